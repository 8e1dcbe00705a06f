//! The contents of a memory, sparse: host memory is used only where lines were written.

use super::LINE_BYTES;
use std::collections::HashSet;

/// Lines in a chunk: 64 MiB, above the size from which the C library always maps fresh pages, so
/// that a new chunk of zeros costs address space only and the kernel adds the pages one by one.
const CHUNK_LINES: u64 = 1 << 20;

type Line = [u8; LINE_BYTES];

/// What a line holds before its first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// All zero.
    Zero,
    /// Every byte the same.
    Byte(u8),
    /// Noise that depends only on this seed and the line number, like DRAM after power-up: shows
    /// a reader that relies on memory nobody wrote.
    Noise(u64),
}

impl Fill {
    /// Turns a line's difference into its contents, and back.
    #[inline]
    fn apply(self, line: u64, mut data: Line) -> Line {
        if self != Fill::Zero {
            for (byte, fill) in data.iter_mut().zip(self.line(line)) {
                *byte ^= fill;
            }
        }
        data
    }

    fn line(self, line: u64) -> Line {
        match self {
            Fill::Zero => [0; LINE_BYTES],
            Fill::Byte(byte) => [byte; LINE_BYTES],
            Fill::Noise(seed) => {
                let mut bytes = [0; LINE_BYTES];
                for (word, out) in bytes.chunks_exact_mut(8).enumerate() {
                    out.copy_from_slice(&splitmix64(seed ^ (line * 8 + word as u64)).to_le_bytes());
                }
                bytes
            }
        }
    }
}

/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Sparse storage of 64-byte lines with poison per line.
///
/// Lines are numbered from 0; line `n` holds the bytes from address `64 n`.
///
/// Stored is every line's difference (exclusive or) from what it is filled with, so that memory
/// nobody wrote is zero pages, which the kernel provides only when they are written.
pub struct LineStore {
    chunks: Vec<Chunk>,
    lines: u64,
    fill: Fill,
    poisoned: HashSet<u64>,
}

/// Differences of [`CHUNK_LINES`] lines, or none while all are zero.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where line 0 starts in `bytes`: aligned, so that no line straddles two of the host's cache
    /// lines.
    start: usize,
}

impl Chunk {
    #[inline]
    fn line(&self, index: usize) -> Option<&Line> {
        self.bytes.get(self.start + index * LINE_BYTES..)?.first_chunk()
    }

    #[inline]
    fn line_mut(&mut self, index: usize) -> &mut Line {
        if self.bytes.is_empty() {
            self.allocate();
        }
        let from = self.start + index * LINE_BYTES;
        (&mut self.bytes[from..from + LINE_BYTES]).try_into().unwrap_or_else(|_| unreachable!())
    }

    #[cold]
    fn allocate(&mut self) {
        self.bytes = vec![0; (CHUNK_LINES as usize + 1) * LINE_BYTES];
        self.start = self.bytes.as_ptr().align_offset(LINE_BYTES);
    }
}

impl LineStore {
    /// A store of `lines` lines (64 bytes each) that all hold `fill`.
    pub fn new(lines: u64, fill: Fill) -> Self {
        let mut chunks = Vec::new();
        chunks.resize_with(lines.div_ceil(CHUNK_LINES) as usize, Chunk::default);
        Self { chunks, lines, fill, poisoned: HashSet::new() }
    }

    /// Size in lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The 64 bytes of a line, poisoned or not.
    ///
    /// # Panics
    /// If `line` is not below [`lines`](Self::lines), like an index beyond a slice. The same
    /// holds for every method that takes a line or an address.
    #[inline]
    pub fn read_line(&self, line: u64) -> [u8; LINE_BYTES] {
        match self.difference(line) {
            Some(difference) => self.fill.apply(line, *difference),
            None => self.fill.line(line),
        }
    }

    /// Replaces a line and clears its poison.
    #[inline]
    pub fn write_line(&mut self, line: u64, data: &[u8; LINE_BYTES]) {
        self.clear_poison(line);
        let difference = self.fill.apply(line, *data);
        self.set_difference(line, difference);
    }

    /// Replaces the bytes of a line whose mask bit (bit `i` for byte `i`) is set. Writing all 64
    /// clears the line's poison; a partial write leaves it, because the rest is still lost.
    #[inline]
    pub fn write_masked(&mut self, line: u64, data: &[u8; LINE_BYTES], mask: u64) {
        if mask == !0 {
            return self.write_line(line, data);
        }
        let new = self.fill.apply(line, *data);
        let old = self.difference(line).unwrap_or(&[0; LINE_BYTES]);
        let difference = merge(old, &new, mask);
        self.set_difference(line, difference);
    }

    /// Copies bytes from address `address` on, across lines.
    pub fn read_bytes(&self, mut address: u64, mut out: &mut [u8]) {
        while !out.is_empty() {
            let offset = (address % LINE_BYTES as u64) as usize;
            let count = out.len().min(LINE_BYTES - offset);
            let line = self.read_line(address / LINE_BYTES as u64);
            let (now, rest) = out.split_at_mut(count);
            now.copy_from_slice(&line[offset..offset + count]);
            out = rest;
            address += count as u64;
        }
    }

    /// Replaces bytes from address `address` on, across lines; poison as in
    /// [`write_masked`](Self::write_masked).
    pub fn write_bytes(&mut self, mut address: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = (address % LINE_BYTES as u64) as usize;
            let (now, rest) = bytes.split_at(bytes.len().min(LINE_BYTES - offset));
            let mut data = [0; LINE_BYTES];
            data[offset..offset + now.len()].copy_from_slice(now);
            let mask = (!0u64 >> (LINE_BYTES - now.len())) << offset;
            self.write_masked(address / LINE_BYTES as u64, &data, mask);
            bytes = rest;
            address += now.len() as u64;
        }
    }

    /// Marks a line uncorrectable until it is wholly written.
    pub fn poison(&mut self, line: u64) {
        self.check(line);
        self.poisoned.insert(line);
    }

    /// Takes the mark of [`poison`](Self::poison) away; the bytes stay.
    #[inline]
    pub fn clear_poison(&mut self, line: u64) {
        if !self.poisoned.is_empty() {
            self.poisoned.remove(&line);
        }
    }

    /// Whether a line is marked uncorrectable.
    #[inline]
    pub fn is_poisoned(&self, line: u64) -> bool {
        !self.poisoned.is_empty() && self.poisoned.contains(&line)
    }

    #[inline]
    fn check(&self, line: u64) {
        assert!(
            line < self.lines,
            "line {line:#x} is beyond the memory of {:#x} lines",
            self.lines
        );
    }

    #[inline]
    fn difference(&self, line: u64) -> Option<&Line> {
        self.check(line);
        self.chunks[(line / CHUNK_LINES) as usize].line((line % CHUNK_LINES) as usize)
    }

    #[inline]
    fn set_difference(&mut self, line: u64, difference: Line) {
        // Clearing memory that is clear already costs no host memory.
        if difference == [0; LINE_BYTES]
            && *self.difference(line).unwrap_or(&difference) == difference
        {
            return;
        }
        self.check(line);
        *self.chunks[(line / CHUNK_LINES) as usize].line_mut((line % CHUNK_LINES) as usize) =
            difference;
    }
}

/// `new` where the mask bit of a byte is set, else `old`.
#[inline]
fn merge(old: &[u8; LINE_BYTES], new: &[u8; LINE_BYTES], mask: u64) -> [u8; LINE_BYTES] {
    std::array::from_fn(|i| if mask >> i & 1 == 1 { new[i] } else { old[i] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn agrees_with_a_plain_map_on_random_masked_writes() {
        let lines = 3 * CHUNK_LINES / 2 + 17;
        for fill in [Fill::Zero, Fill::Byte(0xee), Fill::Noise(9)] {
            let mut store = LineStore::new(lines, fill);
            let mut reference: HashMap<u64, [u8; 64]> = HashMap::new();
            for step in 0..20_000u64 {
                let line = splitmix64(step) % 512 * (lines / 512);
                let mask = match step % 3 {
                    0 => !0,
                    1 => splitmix64(step ^ 1 << 40),
                    _ => 1 << (step % 64),
                };
                let data = Fill::Noise(step).line(line);
                let expected = reference.entry(line).or_insert_with(|| fill.line(line));
                for byte in 0..64 {
                    if mask >> byte & 1 == 1 {
                        expected[byte] = data[byte];
                    }
                }
                store.write_masked(line, &data, mask);
            }
            for (line, expected) in reference {
                assert_eq!(store.read_line(line), expected, "line {line} of {fill:?}");
            }
            assert_eq!(store.read_line(lines - 1), fill.line(lines - 1));
        }
    }

    #[test]
    fn clearing_clear_memory_allocates_nothing() {
        let mut store = LineStore::new(1 << 20, Fill::Zero);
        for line in 0..4096 {
            store.write_line(line, &[0; 64]);
        }
        assert!(store.chunks[0].bytes.is_empty());
        store.write_masked(64, &[1; 64], 1 << 63);
        assert_eq!(store.read_line(64)[62..], [0, 1]);
    }

    #[test]
    fn only_a_whole_write_heals_poison() {
        let mut store = LineStore::new(16, Fill::Zero);
        store.poison(5);
        store.write_masked(5, &[1; 64], !0 >> 1);
        assert!(store.is_poisoned(5));
        store.write_masked(5, &[2; 64], !0);
        assert!(!store.is_poisoned(5));
        assert_eq!(store.read_line(5), [2; 64]);
    }

    #[test]
    fn bytes_cross_lines() {
        let mut store = LineStore::new(16, Fill::Byte(0xff));
        let text: Vec<u8> = (0..200).collect();
        store.write_bytes(100, &text);
        let mut back = vec![0; 202];
        store.read_bytes(99, &mut back);
        assert_eq!(back[0], 0xff);
        assert_eq!(back[1..201], text);
        assert_eq!(back[201], 0xff);
    }

    #[test]
    #[should_panic(expected = "beyond the memory")]
    fn a_line_beyond_the_end_is_refused() {
        LineStore::new(16, Fill::Zero).read_line(16);
    }
}
