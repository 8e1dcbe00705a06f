//! The DRAM: a sparse byte image in 64-byte lines, with poison per line.
//!
//! Host memory is used only where something other than zeros was written.

use memmap2::{MmapMut, MmapOptions};
use splitmem_abi::geometry::{LINE_BYTES, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::request::{Line, FULL_MASK};
use std::collections::HashSet;

/// log2 of a chunk's bytes, the unit in which address space is taken from the host: 1 GiB.
const CHUNK_SHIFT: u32 = 30;

/// The DRAM of a component.
pub(crate) struct Memory {
    /// `None` while the chunk is all zeros.
    chunks: Vec<Option<MmapMut>>,
    /// Bytes of each chunk.
    chunk_bytes: usize,
    /// The bits that a physical line number has.
    line_mask: u64,
    poisoned: HashSet<u64>,
}

/// Address space that reads as zeros; the host provides memory where it is written.
///
/// # Panics
/// If the host has no address space left, as any allocation would.
#[cold]
fn zeros(bytes: usize) -> MmapMut {
    let map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon();
    let map = map.unwrap_or_else(|error| panic!("no memory for the component's DRAM: {error}"));
    // Random requests miss the host's TLB at every step: 2 MiB pages halve the time they take. A
    // host that has none works all the same.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map
}

/// Mappings that are not what the component's parameters ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this component's DRAM is {chunks} mapping(s) of {bytes} bytes")]
pub struct DramMismatch {
    /// Mappings that it takes.
    pub chunks: usize,
    /// Bytes of each.
    pub bytes: usize,
}

/// The DRAM reported an uncorrectable error for a line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Poisoned;

/// Replaces the bytes of `old` whose mask bit is set, eight at a time.
#[inline]
fn merge(old: &mut [u8], new: &Line, mask: u64) {
    for (i, (old, new)) in old.chunks_exact_mut(8).zip(new.chunks_exact(8)).enumerate() {
        match (mask >> (8 * i)) as u8 {
            0 => {}
            0xff => old.copy_from_slice(new),
            mask => {
                for (bit, (old, new)) in old.iter_mut().zip(new).enumerate() {
                    if mask >> bit & 1 == 1 {
                        *old = *new;
                    }
                }
            }
        }
    }
}

const fn split(line: u64) -> (usize, usize) {
    let address = line << LINE_SHIFT;
    ((address >> CHUNK_SHIFT) as usize, (address & ((1 << CHUNK_SHIFT) - 1)) as usize)
}

impl Memory {
    /// `1 << pa_bits` bytes of zeros.
    pub fn new(pa_bits: u32) -> Self {
        let mut chunks = Vec::new();
        chunks.resize_with(1 << pa_bits.saturating_sub(CHUNK_SHIFT), || None);
        Self {
            chunks,
            chunk_bytes: 1 << pa_bits.min(CHUNK_SHIFT),
            line_mask: (1 << (pa_bits - LINE_SHIFT)) - 1,
            poisoned: HashSet::new(),
        }
    }

    /// A DRAM in mappings of the caller's: see [`crate::Model::over`].
    pub fn over(pa_bits: u32, chunks: Vec<MmapMut>) -> Result<Self, DramMismatch> {
        let empty = Self::new(pa_bits);
        let fits = chunks.iter().all(|chunk| chunk.len() == empty.chunk_bytes);
        if chunks.len() != empty.chunks.len() || !fits {
            let (chunks, bytes) = (empty.chunks.len(), empty.chunk_bytes);
            return Err(DramMismatch { chunks, bytes });
        }
        Ok(Self { chunks: chunks.into_iter().map(Some).collect(), ..empty })
    }

    #[inline]
    fn bytes_mut(&mut self, line: u64, len: usize) -> &mut [u8] {
        let (chunk, offset) = split(line);
        let bytes = self.chunk_bytes;
        &mut self.chunks[chunk].get_or_insert_with(|| zeros(bytes))[offset..][..len]
    }

    #[inline]
    fn bytes(&self, line: u64, len: usize) -> Option<&[u8]> {
        let (chunk, offset) = split(line);
        self.chunks[chunk].as_ref().map(|bytes| &bytes[offset..][..len])
    }

    /// The line's number with the bits cut that this DRAM does not have. Applied by every method.
    #[inline]
    pub fn wrap(&self, line: u64) -> u64 {
        line & self.line_mask
    }

    /// A line's bytes, poisoned or not; `None` while its neighbourhood is all zeros.
    #[inline]
    pub fn peek(&self, line: u64) -> Option<&[u8]> {
        self.bytes(self.wrap(line), LINE_BYTES)
    }

    /// The bytes from a line on, as many as lie in one frame; `None` while they are all zeros.
    #[inline]
    pub fn run<const BYTES: usize>(&self, line: u64) -> Option<&[u8; BYTES]> {
        self.bytes(self.wrap(line), BYTES)?.first_chunk()
    }

    /// So many pages from a line on, or as many of them as lie in the same mapping; `None` while they
    /// are all zeros.
    pub fn pages(&self, line: u64, pages: usize) -> Option<&[u8]> {
        let line = self.wrap(line);
        let room = self.chunk_bytes - split(line).1;
        self.bytes(line, (pages << PAGE_SHIFT).min(room))
    }

    /// Writes bytes from a line on, as many as lie in one frame. Heals no poison: for a DRAM without.
    #[inline]
    pub fn write_run<const BYTES: usize>(&mut self, line: u64, bytes: &[u8; BYTES]) {
        debug_assert!(!self.any_poisoned());
        self.bytes_mut(self.wrap(line), BYTES).copy_from_slice(bytes);
    }

    /// A copy of a line's bytes, poisoned or not.
    pub fn line(&self, line: u64) -> Line {
        let mut copy = [0; LINE_BYTES];
        if let Some(bytes) = self.peek(line) {
            copy.copy_from_slice(bytes);
        }
        copy
    }

    /// Reads a line as the DRAM port does: `out` is left alone if it is poisoned.
    #[inline]
    pub fn read(&self, line: u64, out: &mut Line) -> Result<(), Poisoned> {
        if self.is_poisoned(line) {
            return Err(Poisoned);
        }
        match self.peek(line) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => out.fill(0),
        }
        Ok(())
    }

    /// Writes the bytes whose mask bit is set. A whole line heals its poison; a part does not,
    /// because the rest is still lost.
    #[inline]
    pub fn write(&mut self, line: u64, data: &Line, mask: u64) {
        let line = self.wrap(line);
        let bytes = self.bytes_mut(line, LINE_BYTES);
        if mask == FULL_MASK {
            bytes.copy_from_slice(data);
            if !self.poisoned.is_empty() {
                self.poisoned.remove(&line);
            }
        } else {
            merge(bytes, data, mask);
        }
    }

    /// Writes the aligned 8 bytes at byte `at` of a line.
    #[inline]
    pub fn write_word(&mut self, line: u64, at: usize, word: u64) {
        let line = self.wrap(line);
        self.bytes_mut(line, LINE_BYTES)[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Clears `count` lines from `first` on, a multiple of `count`, which is a power of two; heals
    /// their poison.
    pub fn clear(&mut self, first: u64, count: u64) {
        let first = self.wrap(first);
        // A run longer than this DRAM is all of it.
        let len = ((count as usize) << LINE_SHIFT).min(self.chunk_bytes);
        // Clearing what is clear already would only make the host provide pages for it.
        let dirty = |old: &[u8]| old.chunks(LINE_BYTES).any(|line| line != [0; LINE_BYTES]);
        if self.bytes(first, len).is_some_and(dirty) {
            self.bytes_mut(first, len).fill(0);
        }
        if !self.poisoned.is_empty() {
            self.poisoned.retain(|&line| line < first || line >= first + count);
        }
    }

    /// Marks a line uncorrectable until all of it is written.
    pub fn poison(&mut self, line: u64) {
        let line = self.wrap(line);
        self.poisoned.insert(line);
    }

    #[inline]
    pub fn any_poisoned(&self) -> bool {
        !self.poisoned.is_empty()
    }

    #[inline]
    pub fn is_poisoned(&self, line: u64) -> bool {
        !self.poisoned.is_empty() && self.poisoned.contains(&self.wrap(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_writes_change_only_their_bytes() {
        let mut memory = Memory::new(32);
        let line = (2 << 24) - 1;
        memory.write(line, &[1; 64], FULL_MASK);
        memory.write(line, &[2; 64], 1 << 63 | 1);
        let mut expected = [1; 64];
        expected[0] = 2;
        expected[63] = 2;
        assert_eq!(memory.line(line), expected);
        assert_eq!(memory.line(line - 1), [0; 64]);
        assert_eq!(memory.peek(0), None);
    }

    #[test]
    fn only_a_whole_write_heals_poison() {
        let mut memory = Memory::new(20);
        memory.poison(5);
        memory.write(5, &[1; 64], FULL_MASK >> 1);
        assert!(memory.is_poisoned(5));
        memory.write(5, &[2; 64], FULL_MASK);
        let mut read = [1; 64];
        assert_eq!((memory.read(5, &mut read), read), (Ok(()), [2; 64]));
    }

    #[test]
    fn clearing_clears_its_lines_only() {
        let mut memory = Memory::new(22);
        for line in 63..129 {
            memory.write(line, &[7; 64], FULL_MASK);
            memory.poison(line);
        }
        memory.clear(64, 64);
        for line in 64..128 {
            assert_eq!((memory.line(line), memory.is_poisoned(line)), ([0; 64], false));
        }
        for line in [63, 128] {
            let mut read = [1; 64];
            assert_eq!((memory.read(line, &mut read), read), (Err(Poisoned), [1; 64]));
            assert_eq!(memory.line(line), [7; 64]);
        }
    }
}
