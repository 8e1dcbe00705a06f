//! The page table, where it really lives: buckets of entries in the DRAM.

use crate::memory::{Memory, Poisoned};
use splitmem_abi::geometry::{
    page_index, page_key, vregion, PageSize, LINE_SHIFT, PAGE_SHIFT, PID_BITS, VA_BITS,
    VREGION_SHIFT,
};
use splitmem_abi::hash;
use splitmem_abi::pte::{Pte, DYING_BIT, KEY_LSB, PID_LSB, PTE_BYTES, SLOTS, VALID_BIT};
use splitmem_abi::request::Line;

/// `h` of each value of each byte of its input: `h` is linear over GF(2), so the `h` of an input is
/// the exclusive or of its bytes'. Five loads instead of 24 parities, on the model's hottest path.
static HASH_OF_BYTE: [[u32; 256]; 5] = {
    let mut table = [[0; 256]; 5];
    let mut byte = 0;
    while byte < table.len() {
        let mut value = 0;
        while value < 256 {
            let input = (value as u64) << (8 * byte);
            let vregion = (input >> PID_BITS) as u32 & ((1 << (VA_BITS - VREGION_SHIFT)) - 1);
            table[byte][value] = hash::region_hash(input as u16, vregion);
            value += 1;
        }
        byte += 1;
    }
    table
};

/// The same as [`hash::bucket`].
#[inline]
fn bucket(pid: u16, va: u64, log2_buckets: u32) -> u32 {
    let input = (vregion(va) as u64) << PID_BITS | pid as u64;
    let h = HASH_OF_BYTE
        .iter()
        .enumerate()
        .fold(0, |h, (byte, table)| h ^ table[(input >> (8 * byte)) as usize & 0xff]);
    h.wrapping_add(page_index(va)) & ((1 << log2_buckets) - 1)
}

/// Where the table stands: `TABLE_BASE` and `TABLE_SIZE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// First frame.
    pub base: u32,
    /// log2 of the buckets.
    pub log2: u32,
}

/// Where an entry stands in the DRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PteAddress {
    /// Physical line number of its bucket.
    pub line: u64,
    /// Slot in the bucket, 0 to 3.
    pub slot: usize,
}

/// An entry and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub address: PteAddress,
    /// What.
    pub pte: Pte,
}

/// The entry in slot `slot` of a bucket's bytes.
#[inline]
fn raw_slot(bucket: &[u8], slot: usize) -> u128 {
    let mut raw = [0; PTE_BYTES];
    raw.copy_from_slice(&bucket[slot * PTE_BYTES..][..PTE_BYTES]);
    u128::from_le_bytes(raw)
}

impl Table {
    /// Line number of the bucket of a page.
    #[inline]
    pub fn bucket_line(&self, pid: u16, va: u64) -> u64 {
        ((self.base as u64) << (PAGE_SHIFT - LINE_SHIFT)) + bucket(pid, va, self.log2) as u64
    }

    /// The bucket's four entries, poisoned or not.
    fn bucket(self, memory: &Memory, pid: u16, va: u64) -> impl Iterator<Item = Entry> + '_ {
        let line = memory.wrap(self.bucket_line(pid, va));
        let bytes = memory.peek(line);
        (0..SLOTS).map(move |slot| Entry {
            address: PteAddress { line, slot },
            pte: bytes.map_or(Pte::default(), |bytes| Pte::decode(raw_slot(bytes, slot))),
        })
    }

    /// The valid entry of a page.
    #[inline]
    pub fn find(&self, memory: &Memory, pid: u16, va: u64) -> Option<Entry> {
        self.find_marked(memory, pid, va, 1 << VALID_BIT)
    }

    /// The unmapped, not yet collected entry of a page.
    pub fn find_dying(&self, memory: &Memory, pid: u16, va: u64) -> Option<Entry> {
        self.find_marked(memory, pid, va, 1 << DYING_BIT)
    }

    /// The first entry of a page that has one of the bits of `marks` set.
    #[inline]
    fn find_marked(&self, memory: &Memory, pid: u16, va: u64, marks: u128) -> Option<Entry> {
        // Compared undecoded: this is where the model spends its time.
        const COMPARED: u128 = (u16::MAX as u128) << PID_LSB | ((1 << 36) - 1) << KEY_LSB;
        let wanted = (pid as u128) << PID_LSB | (page_key(va) as u128) << KEY_LSB;
        let line = memory.wrap(self.bucket_line(pid, va));
        let bytes = memory.peek(line)?;
        (0..SLOTS).map(|slot| (slot, raw_slot(bytes, slot))).find_map(|(slot, raw)| {
            (raw & COMPARED == wanted && raw & marks != 0)
                .then(|| Entry { address: PteAddress { line, slot }, pte: Pte::decode(raw) })
        })
    }

    /// A free slot for the page: the lowest.
    pub fn find_free(&self, memory: &Memory, pid: u16, va: u64) -> Option<PteAddress> {
        self.bucket(memory, pid, va).find(|e| e.pte.is_free()).map(|e| e.address)
    }

    /// Whether the page's bucket can be read.
    #[inline]
    pub fn check(&self, memory: &Memory, pid: u16, va: u64) -> Result<(), Poisoned> {
        if memory.is_poisoned(self.bucket_line(pid, va)) {
            return Err(Poisoned);
        }
        Ok(())
    }
}

/// Writes the bytes of an entry that `bytes` selects (bit i: byte i of the entry).
pub(crate) fn write_pte(memory: &mut Memory, at: PteAddress, pte: Pte, bytes: u16) {
    let mut data: Line = [0; 64];
    data[at.slot * PTE_BYTES..][..PTE_BYTES].copy_from_slice(&pte.encode().to_le_bytes());
    memory.write(at.line, &data, (bytes as u64) << (at.slot * PTE_BYTES));
}

/// The physical line of `va` in the frame of its page. The low nine bits of a 2 MiB page's frame
/// number are not looked at.
#[inline]
pub(crate) fn data_line(frame: u32, va: u64) -> u64 {
    let size = PageSize::of(va);
    let lines = size.lines() as u64;
    let first = (frame as u64) << (PAGE_SHIFT - LINE_SHIFT);
    first & !(lines - 1) | va >> LINE_SHIFT & (lines - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn the_bytewise_hash_is_the_hash() {
        let mut random = SmallRng::seed_from_u64(1);
        for _ in 0..100_000 {
            let (pid, va) = (random.random(), random.random::<u64>() >> 16);
            let log2 = random.random_range(6..=24);
            assert_eq!(bucket(pid, va, log2), hash::bucket(pid, va, log2), "{pid} {va:#x} {log2}");
        }
    }
}
