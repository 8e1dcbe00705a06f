//! The DRAM: a sparse byte image in 64-byte lines, with poison per line.
//!
//! Host memory is used only where something other than zeros was written.

use splitmem_abi::geometry::{LINE_BYTES, LINE_SHIFT};
use splitmem_abi::request::{Line, FULL_MASK};
use std::collections::HashSet;

/// log2 of a chunk's bytes: 64 MiB. From 32 MiB on glibc's allocator always maps fresh pages, so a
/// chunk of zeros costs address space only and the kernel adds its pages one by one.
const CHUNK_SHIFT: u32 = 26;

/// The DRAM of a component.
pub(crate) struct Memory {
    chunks: Vec<Chunk>,
    /// The bits that a physical line number has.
    line_mask: u64,
    poisoned: HashSet<u64>,
}

#[derive(Default)]
struct Chunk {
    /// Empty while the chunk is all zeros.
    bytes: Vec<u8>,
    /// Where the chunk starts in `bytes`: aligned, so that a line is one line of the host's cache.
    start: usize,
}

impl Chunk {
    #[inline]
    fn get(&self, offset: usize, len: usize) -> Option<&[u8]> {
        if self.bytes.is_empty() {
            return None;
        }
        Some(&self.bytes[self.start + offset..][..len])
    }

    #[inline]
    fn get_mut(&mut self, offset: usize, len: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.allocate();
        }
        &mut self.bytes[self.start + offset..][..len]
    }

    #[cold]
    fn allocate(&mut self) {
        self.bytes = vec![0; (1 << CHUNK_SHIFT) + LINE_BYTES];
        self.start = self.bytes.as_ptr().align_offset(LINE_BYTES).min(LINE_BYTES);
    }
}

/// The DRAM reported an uncorrectable error for a line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Poisoned;

const fn split(line: u64) -> (usize, usize) {
    let address = line << LINE_SHIFT;
    ((address >> CHUNK_SHIFT) as usize, (address & ((1 << CHUNK_SHIFT) - 1)) as usize)
}

impl Memory {
    /// `1 << pa_bits` bytes of zeros.
    pub fn new(pa_bits: u32) -> Self {
        let mut chunks = Vec::new();
        chunks.resize_with(1 << pa_bits.saturating_sub(CHUNK_SHIFT), Chunk::default);
        Self { chunks, line_mask: (1 << (pa_bits - LINE_SHIFT)) - 1, poisoned: HashSet::new() }
    }

    /// The line's number with the bits cut that this DRAM does not have. Applied by every method.
    #[inline]
    pub fn wrap(&self, line: u64) -> u64 {
        line & self.line_mask
    }

    /// A line's bytes, poisoned or not; `None` while its neighbourhood is all zeros.
    #[inline]
    pub fn peek(&self, line: u64) -> Option<&[u8]> {
        let (chunk, offset) = split(self.wrap(line));
        self.chunks[chunk].get(offset, LINE_BYTES)
    }

    /// A copy of a line's bytes, poisoned or not.
    #[inline]
    pub fn line(&self, line: u64) -> Line {
        let mut copy = [0; LINE_BYTES];
        if let Some(bytes) = self.peek(line) {
            copy.copy_from_slice(bytes);
        }
        copy
    }

    /// Reads a line as the DRAM port does.
    #[inline]
    pub fn read(&self, line: u64) -> Result<Line, Poisoned> {
        if self.is_poisoned(line) {
            return Err(Poisoned);
        }
        Ok(self.line(line))
    }

    /// Writes the bytes whose mask bit is set. A whole line heals its poison; a part does not,
    /// because the rest is still lost.
    #[inline]
    pub fn write(&mut self, line: u64, data: &Line, mask: u64) {
        let line = self.wrap(line);
        let (chunk, offset) = split(line);
        let bytes = self.chunks[chunk].get_mut(offset, LINE_BYTES);
        if mask == FULL_MASK {
            bytes.copy_from_slice(data);
            if !self.poisoned.is_empty() {
                self.poisoned.remove(&line);
            }
        } else {
            for (i, byte) in bytes.iter_mut().enumerate() {
                if mask >> i & 1 == 1 {
                    *byte = data[i];
                }
            }
        }
    }

    /// Clears `count` lines from `first` on, a multiple of `count`, which is a power of two; heals
    /// their poison.
    pub fn clear(&mut self, first: u64, count: u64) {
        let first = self.wrap(first);
        let (chunk, offset) = split(first);
        let bytes = (count as usize) << LINE_SHIFT;
        // Clearing what is clear already would only make the host provide pages for it.
        if let Some(old) = self.chunks[chunk].get(offset, bytes) {
            if old.iter().any(|&byte| byte != 0) {
                self.chunks[chunk].get_mut(offset, bytes).fill(0);
            }
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
    pub fn is_poisoned(&self, line: u64) -> bool {
        !self.poisoned.is_empty() && self.poisoned.contains(&self.wrap(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_writes_change_only_their_bytes() {
        let mut memory = Memory::new(30);
        let line = (1 << 24) - 1;
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
        assert_eq!(memory.read(5), Err(Poisoned));
        memory.write(5, &[2; 64], FULL_MASK);
        assert_eq!(memory.read(5), Ok([2; 64]));
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
            assert_eq!(memory.read(line), Ok([0; 64]));
        }
        for line in [63, 128] {
            assert_eq!((memory.line(line), memory.read(line)), ([7; 64], Err(Poisoned)));
        }
    }
}
