//! The contents of a memory, sparse: host memory is used only for pages that were written.

use super::LINE_BYTES;
use std::collections::HashSet;

const PAGE_LINES: usize = 64;
const CHUNK_PAGES: usize = 512;
const CHUNK_LINES: u64 = (PAGE_LINES * CHUNK_PAGES) as u64;

/// Aligned so that a line never straddles two of the host's cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE_BYTES]);

type Page = [Line; PAGE_LINES];
type Chunk = [Option<Box<Page>>; CHUNK_PAGES];

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
    fn line(self, line: u64) -> [u8; LINE_BYTES] {
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
/// Lines are numbered from 0; line `n` holds the bytes from address `64 n`. Pages of 4 KiB are
/// allocated on the first write that changes them.
pub struct LineStore {
    chunks: Vec<Option<Box<Chunk>>>,
    lines: u64,
    fill: Fill,
    poisoned: HashSet<u64>,
    pages: usize,
}

impl LineStore {
    /// A store of `lines` lines (64 bytes each) that all hold `fill`.
    pub fn new(lines: u64, fill: Fill) -> Self {
        let mut chunks = Vec::new();
        chunks.resize_with(lines.div_ceil(CHUNK_LINES) as usize, || None);
        Self {
            chunks,
            lines,
            fill,
            poisoned: HashSet::new(),
            pages: 0,
        }
    }

    /// Size in lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// 4 KiB pages that take up host memory.
    pub fn allocated_pages(&self) -> usize {
        self.pages
    }

    /// The 64 bytes of a line, poisoned or not.
    ///
    /// # Panics
    /// If `line` is not below [`lines`](Self::lines), like an index beyond a slice. The same
    /// holds for every method that takes a line or an address.
    #[inline]
    pub fn read_line(&self, line: u64) -> [u8; LINE_BYTES] {
        match self.get(line) {
            Some(stored) => stored.0,
            None => self.fill.line(line),
        }
    }

    /// Replaces a line and clears its poison.
    #[inline]
    pub fn write_line(&mut self, line: u64, data: &[u8; LINE_BYTES]) {
        self.clear_poison(line);
        if self.get(line).is_none() && *data == self.fill.line(line) {
            // Clearing memory that is clear costs no host memory.
            return;
        }
        self.get_mut(line).0 = *data;
    }

    /// Replaces the bytes of a line whose mask bit (bit `i` for byte `i`) is set. Writing all 64
    /// clears the line's poison; a partial write leaves it, because the rest is still lost.
    #[inline]
    pub fn write_masked(&mut self, line: u64, data: &[u8; LINE_BYTES], mask: u64) {
        if mask == !0 {
            return self.write_line(line, data);
        }
        let merged = merge(&self.read_line(line), data, mask);
        if self.get(line).is_none() && merged == self.fill.line(line) {
            return;
        }
        self.get_mut(line).0 = merged;
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
    fn get(&self, line: u64) -> Option<&Line> {
        self.check(line);
        let (chunk, page, index) = split(line);
        let page = self.chunks[chunk].as_ref()?[page].as_ref()?;
        Some(&page[index])
    }

    #[inline]
    fn get_mut(&mut self, line: u64) -> &mut Line {
        self.check(line);
        let (chunk, page, index) = split(line);
        let fill = self.fill;
        let slot = &mut self.chunks[chunk].get_or_insert_with(empty_chunk)[page];
        let page = match slot {
            Some(page) => page,
            None => {
                self.pages += 1;
                slot.insert(new_page(fill, line - index as u64))
            }
        };
        &mut page[index]
    }
}

#[inline]
fn split(line: u64) -> (usize, usize, usize) {
    (
        (line / CHUNK_LINES) as usize,
        (line / PAGE_LINES as u64) as usize % CHUNK_PAGES,
        line as usize % PAGE_LINES,
    )
}

fn empty_chunk() -> Box<Chunk> {
    Box::new([const { None }; CHUNK_PAGES])
}

#[cold]
fn new_page(fill: Fill, first_line: u64) -> Box<Page> {
    Box::new(std::array::from_fn(|i| {
        Line(fill.line(first_line + i as u64))
    }))
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
        let lines = 3 * CHUNK_LINES + 17;
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
        assert_eq!(store.allocated_pages(), 0);
        store.write_masked(64, &[1; 64], 1 << 63);
        assert_eq!(store.allocated_pages(), 1);
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
