//! Which bucket a page lives in.
//!
//! `bucket = (h(pid, vRegion) + page index) mod buckets`: one hash per vRegion, then consecutive
//! pages in consecutive buckets. A contiguous range fills buckets one slot deep, and the monitor can
//! tell from the range's first bucket whether every page of it finds a slot.
//!
//! `h` is linear over GF(2): each output bit is the parity of six or seven of the 34 input bits, two
//! levels of 4-input LUTs. The rows were searched so that every prefix of n output bits has full
//! rank over the pid alone, over the vRegion alone, and over the low bits of both together: 65,536
//! pids that each use the same address spread evenly over any power-of-two number of buckets.

use crate::geometry::{page_index, vregion, PID_BITS};

/// Output bits of `h`; a table has at most this many index bits.
pub const HASH_BITS: u32 = 24;

/// `h`'s bit k is the parity of `(vRegion << 16 | pid) & ROWS[k]`.
pub const ROWS: [u64; HASH_BITS as usize] = [
    0x202080281,
    0x014502401,
    0x006041840,
    0x108814404,
    0x0a0480244,
    0x000922280,
    0x001071048,
    0x248082012,
    0x00c104c004,
    0x280210c00,
    0x042304022,
    0x024002040a,
    0x031000420,
    0x009200054,
    0x000c94102,
    0x0a1010103,
    0x208280081,
    0x01a012800,
    0x212080811,
    0x0004e0601,
    0x10a000009,
    0x038002200,
    0x0003110c0,
    0x201011104,
];

/// `h` of a process and one of its vRegions.
pub const fn region_hash(pid: u16, vregion: u32) -> u32 {
    let x = (vregion as u64) << PID_BITS | pid as u64;
    let mut h = 0;
    let mut k = 0;
    while k < ROWS.len() {
        h |= ((x & ROWS[k]).count_ones() & 1) << k;
        k += 1;
    }
    h
}

/// The bucket of the page that holds `va`, in a table of `1 << log2_buckets` buckets.
pub const fn bucket(pid: u16, va: u64, log2_buckets: u32) -> u32 {
    region_hash(pid, vregion(va)).wrapping_add(page_index(va)) & ((1 << log2_buckets) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pid_lands_evenly() {
        // 65,536 pids, one page each at the same address: exactly even in any table up to 2^16.
        for log2 in [6, 10, 13, 16] {
            let mut load = vec![0u32; 1 << log2];
            for pid in 0..=u16::MAX {
                load[bucket(pid, 0x4000_0000, log2) as usize] += 1;
            }
            assert!(load.iter().all(|&n| n == 65_536 >> log2), "log2 {log2}");
        }
    }

    #[test]
    fn consecutive_pages_take_consecutive_buckets() {
        for va in [0x1_2345_6000u64, 1 << 47 | 0x1234_0020_0000] {
            let size = crate::geometry::PageSize::of(va).bytes();
            let first = bucket(7, va, 12);
            assert_eq!(bucket(7, va + size, 12), (first + 1) & 0xfff);
            assert_eq!(bucket(7, va + size - 1, 12), first);
        }
    }
}
