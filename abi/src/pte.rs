//! The page-table entry and its bucket.
//!
//! A bucket is one 64-byte line of four 16-byte entries, little-endian:
//!
//! | bits | field | written by |
//! | --- | --- | --- |
//! | 0 | VALID | table engine |
//! | 1 | READ | table engine |
//! | 2 | WRITE | table engine |
//! | 3 | SHARED: the frame has other mappings, so it is never recycled with this one | table engine |
//! | 7 | DYING: unmapped, its frame not yet collected | table engine |
//! | 8 | PRESENT: `frame` holds the page | table engine, fault unit |
//! | 16..=31 | pid | table engine |
//! | 32..=67 | page key, `va[47:12]` | table engine |
//! | 96..=123 | frame, `pa[39:12]` | table engine, fault unit |
//!
//! The fault unit writes only bytes 1 and 12 to 15, permission changes only byte 0. So neither can
//! undo the other, whatever their order; see [`FAULT_MASK`] and [`FLAGS_MASK`].

use crate::geometry::{FRAME_BITS, KEY_BITS};

/// Entries in a bucket.
pub const SLOTS: usize = 4;
/// Bytes of an entry.
pub const PTE_BYTES: usize = 16;
/// Bits of an entry.
pub const PTE_BITS: usize = 128;

/// Bit of VALID.
pub const VALID_BIT: u32 = 0;
/// Bit of READ.
pub const READ_BIT: u32 = 1;
/// Bit of WRITE.
pub const WRITE_BIT: u32 = 2;
/// Bit of SHARED.
pub const SHARED_BIT: u32 = 3;
/// Bit of DYING.
pub const DYING_BIT: u32 = 7;
/// Bit of PRESENT.
pub const PRESENT_BIT: u32 = 8;
/// First bit of the pid.
pub const PID_LSB: u32 = 16;
/// First bit of the page key.
pub const KEY_LSB: u32 = 32;
/// First bit of the frame number.
pub const FRAME_LSB: u32 = 96;

/// Bytes of an entry that the fault unit writes when it gives a frame (PRESENT and the frame).
pub const FAULT_MASK: u16 = 0b1111_0000_0000_0010;
/// Bytes of an entry that a permission change or an unmap writes.
pub const FLAGS_MASK: u16 = 0b1;

/// A decoded entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pte {
    /// The mapping exists.
    pub valid: bool,
    /// Loads are allowed.
    pub read: bool,
    /// Stores are allowed.
    pub write: bool,
    /// The frame has other mappings.
    pub shared: bool,
    /// Unmapped, frame not yet collected.
    pub dying: bool,
    /// `frame` is the page's memory; otherwise the page reads as zeros and its first write faults.
    pub present: bool,
    /// Owner.
    pub pid: u16,
    /// Page key, see [`crate::geometry::page_key`].
    pub key: u64,
    /// Frame number, `pa[39:12]`.
    pub frame: u32,
}

impl Pte {
    /// The 128 bits in memory.
    pub const fn encode(self) -> u128 {
        (self.valid as u128) << VALID_BIT
            | (self.read as u128) << READ_BIT
            | (self.write as u128) << WRITE_BIT
            | (self.shared as u128) << SHARED_BIT
            | (self.dying as u128) << DYING_BIT
            | (self.present as u128) << PRESENT_BIT
            | (self.pid as u128) << PID_LSB
            | ((self.key & ((1 << KEY_BITS) - 1)) as u128) << KEY_LSB
            | ((self.frame & ((1 << FRAME_BITS) - 1)) as u128) << FRAME_LSB
    }

    /// From the 128 bits in memory.
    pub const fn decode(raw: u128) -> Self {
        Self {
            valid: raw >> VALID_BIT & 1 == 1,
            read: raw >> READ_BIT & 1 == 1,
            write: raw >> WRITE_BIT & 1 == 1,
            shared: raw >> SHARED_BIT & 1 == 1,
            dying: raw >> DYING_BIT & 1 == 1,
            present: raw >> PRESENT_BIT & 1 == 1,
            pid: (raw >> PID_LSB) as u16,
            key: (raw >> KEY_LSB) as u64 & ((1 << KEY_BITS) - 1),
            frame: (raw >> FRAME_LSB) as u32 & ((1 << FRAME_BITS) - 1),
        }
    }

    /// Whether a slot is free for a new mapping: neither VALID nor DYING.
    pub const fn is_free(self) -> bool {
        !self.valid && !self.dying
    }

    /// Whether this entry maps page `key` of `pid`.
    pub const fn maps(self, pid: u16, key: u64) -> bool {
        self.valid && self.pid == pid && self.key == key
    }
}

/// The four entries of a bucket line.
pub fn decode_bucket(line: &[u8; 64]) -> [Pte; SLOTS] {
    core::array::from_fn(|slot| {
        let mut raw = [0; PTE_BYTES];
        raw.copy_from_slice(&line[slot * PTE_BYTES..][..PTE_BYTES]);
        Pte::decode(u128::from_le_bytes(raw))
    })
}

/// Writes one entry into a bucket line.
///
/// # Panics
/// If `slot` is 4 or more.
pub fn encode_slot(line: &mut [u8; 64], slot: usize, pte: Pte) {
    line[slot * PTE_BYTES..][..PTE_BYTES].copy_from_slice(&pte.encode().to_le_bytes());
}
