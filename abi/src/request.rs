//! The native request: one 64-byte line of one process.
//!
//! Every front end (CXL.mem, PCIe, serial) only translates to it. Answers may come out of order; two
//! requests of one pid to one line keep their order, whichever ports they came through (the order
//! in which the ports accepted them).

use crate::geometry::LINE_BYTES;

/// One line of data, byte 0 at the lowest address.
pub type Line = [u8; LINE_BYTES];

/// A mask that selects every byte of a line.
pub const FULL_MASK: u64 = u64::MAX;

/// What a request does. Three bits on the port; 4 to 7 answer [`Status::BadRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Op {
    /// Answers the line. `va` is line-aligned.
    Read = 0,
    /// Writes the bytes that the mask selects. `va` is line-aligned.
    Write = 1,
    /// Adds data bytes 0..8 (little-endian, wrapping) to the aligned 8 bytes at `va`; answers the
    /// old value in data bytes 0..8. Needs READ and WRITE permission.
    FetchAdd = 2,
    /// If the aligned 8 bytes at `va` equal data bytes 8..16, replaces them by data bytes 0..8;
    /// answers the old value in data bytes 0..8. Needs READ and WRITE permission.
    CompareSwap = 3,
}

impl Op {
    /// All of them, by code.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::FetchAdd, Self::CompareSwap];

    /// From the code on the port.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Read),
            1 => Some(Self::Write),
            2 => Some(Self::FetchAdd),
            3 => Some(Self::CompareSwap),
            _ => None,
        }
    }

    /// Whether it changes memory (a page's first one takes a frame).
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read)
    }

    /// Whether it is an 8-byte read-modify-write.
    pub const fn is_atomic(self) -> bool {
        matches!(self, Self::FetchAdd | Self::CompareSwap)
    }

    /// Whether `va` is aligned as the op needs it (to a line, an atomic to 8 bytes) and within 48
    /// bits.
    pub const fn takes(self, va: u64) -> bool {
        let low = if self.is_atomic() { 7 } else { LINE_BYTES as u64 - 1 };
        va & low == 0 && va < crate::geometry::VA_END
    }
}

/// How a request ended. Three bits on the port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// Done; a write that says so is never lost.
    Ok = 0,
    /// No mapping of this page for this pid. Nothing was changed.
    NotMapped = 1,
    /// The mapping forbids it. Nothing was changed.
    NoPermission = 2,
    /// First write to a page, and no frame is left. Nothing was changed.
    NoMemory = 3,
    /// Unknown op, or an address not aligned as the op needs. Nothing was changed.
    BadRequest = 4,
    /// The DRAM reported an uncorrectable error (poison) for the line or for its PTE.
    Uncorrectable = 5,
}

impl Status {
    /// All of them, by code.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::NotMapped,
        Self::NoPermission,
        Self::NoMemory,
        Self::BadRequest,
        Self::Uncorrectable,
    ];

    /// From the code on the port.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Ok),
            1 => Some(Self::NotMapped),
            2 => Some(Self::NoPermission),
            3 => Some(Self::NoMemory),
            4 => Some(Self::BadRequest),
            5 => Some(Self::Uncorrectable),
            _ => None,
        }
    }
}

/// A native request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What to do.
    pub op: Op,
    /// The requester's own name for it, given back in the answer. Need not be unique.
    pub tag: u16,
    /// Whose memory.
    pub pid: u16,
    /// Virtual address, 48 bits: line-aligned for reads and writes, 8-byte-aligned for atomics.
    pub va: u64,
    /// Bytes that a write changes; ignored by the other ops.
    pub mask: u64,
    /// Data of a write, operands of an atomic.
    pub data: Line,
}

impl Request {
    /// A read of the line at `va`.
    pub const fn read(tag: u16, pid: u16, va: u64) -> Self {
        Self { op: Op::Read, tag, pid, va, mask: 0, data: [0; LINE_BYTES] }
    }

    /// A write of the bytes of `data` that `mask` selects.
    pub const fn write(tag: u16, pid: u16, va: u64, mask: u64, data: Line) -> Self {
        Self { op: Op::Write, tag, pid, va, mask, data }
    }

    /// Adds `addend` to the 8 bytes at `va`.
    pub fn fetch_add(tag: u16, pid: u16, va: u64, addend: u64) -> Self {
        let mut data = [0; LINE_BYTES];
        data[..8].copy_from_slice(&addend.to_le_bytes());
        Self { op: Op::FetchAdd, tag, pid, va, mask: 0, data }
    }

    /// Replaces the 8 bytes at `va` by `new` if they equal `expected`.
    pub fn compare_swap(tag: u16, pid: u16, va: u64, expected: u64, new: u64) -> Self {
        let mut data = [0; LINE_BYTES];
        data[..8].copy_from_slice(&new.to_le_bytes());
        data[8..16].copy_from_slice(&expected.to_le_bytes());
        Self { op: Op::CompareSwap, tag, pid, va, mask: 0, data }
    }

    /// Whether `va` is aligned as the op needs it and within 48 bits.
    pub const fn is_aligned(&self) -> bool {
        self.op.takes(self.va)
    }
}

/// The answer to a [`Request`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response {
    /// The request's tag.
    pub tag: u16,
    /// How it ended.
    pub status: Status,
    /// The line read; for atomics the old value in bytes 0..8. Zeros in all other cases: nothing of
    /// another process's memory ever stands in an answer that is not a successful read.
    pub data: Line,
}
