//! TLPs as the test bench makes and reads them.
//!
//! PCI Express Base Specification 5.0, section 2.2: a header of up to four dwords, dword 0 with format,
//! type and length, and payload.

use super::verilated::Beat;

/// Type of a memory request.
pub const MEMORY: u8 = 0;
/// Type of a completion.
pub const COMPLETION: u8 = 0b01010;
/// Completion status: successful.
pub const SUCCESSFUL: u8 = 0;
/// Completion status: unsupported request.
pub const UNSUPPORTED: u8 = 1;

/// A TLP, with the BAR that a hard IP says a request hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlp {
    /// Header, dword by dword, byte 0 of each in its highest bits.
    pub header: [u32; 4],
    /// BAR that a request hit.
    pub bar: u8,
    /// Payload; whole dwords.
    pub data: Vec<u8>,
}

impl Tlp {
    /// A memory request to `bytes` bytes at `address`, at most 4 KiB and not across one: a write if
    /// there is `data`.
    pub fn memory(bar: u8, address: u64, bytes: usize, tag: u8, data: Option<&[u8]>) -> Self {
        let lead = (address & 3) as usize;
        let dwords = (lead + bytes).div_ceil(4).max(1);
        let trail = dwords * 4 - lead - bytes;
        let (mut first, mut last) = ((0xfu32 << lead) & 0xf, 0xfu32 >> trail.min(4));
        if dwords == 1 {
            (first, last) = (first & last, 0);
        }
        let mut payload = Vec::new();
        if let Some(data) = data {
            payload = vec![0; dwords * 4];
            payload[lead..lead + bytes].copy_from_slice(data);
        }
        let write = u32::from(data.is_some());
        Self {
            header: [
                1 << 29 | write << 30 | (dwords as u32 & 0x3ff),
                u32::from(tag) << 8 | last << 4 | first,
                (address >> 32) as u32,
                address as u32 & !3,
            ],
            bar,
            data: payload,
        }
    }

    /// A completion for the request `of`. Without data if its status is not successful.
    pub fn completion(of: &Self, status: u8, byte_count: usize, lower: u8, data: Vec<u8>) -> Self {
        let with_data = u32::from(!data.is_empty());
        Self {
            header: [
                with_data << 30 | u32::from(COMPLETION) << 24 | ((data.len() as u32 / 4) & 0x3ff),
                u32::from(status) << 13 | (byte_count as u32 & 0xfff),
                (of.header[1] & 0xffff_ff00) | u32::from(lower & 0x7f),
                0,
            ],
            bar: 0,
            data,
        }
    }

    /// Type, five bits.
    pub fn kind(&self) -> u8 {
        ((self.header[0] >> 24) & 0x1f) as u8
    }

    /// Whether the format says that there is data.
    pub fn has_data(&self) -> bool {
        self.header[0] >> 30 & 1 == 1
    }

    /// Payload or requested dwords.
    pub fn dwords(&self) -> usize {
        match self.header[0] as usize & 0x3ff {
            0 => 1024,
            dwords => dwords,
        }
    }

    /// Address of a memory request.
    pub fn address(&self) -> u64 {
        if self.header[0] >> 29 & 1 == 1 {
            u64::from(self.header[2]) << 32 | u64::from(self.header[3] & !3)
        } else {
            u64::from(self.header[2] & !3)
        }
    }

    /// Tag of a request.
    pub fn tag(&self) -> u8 {
        (self.header[1] >> 8) as u8
    }

    /// Byte enables of a request: first dword, last dword.
    pub fn enables(&self) -> (u8, u8) {
        (self.header[1] as u8 & 0xf, self.header[1] as u8 >> 4)
    }

    /// Completion: its request's tag.
    pub fn completes(&self) -> u8 {
        (self.header[2] >> 8) as u8
    }

    /// Completion: status.
    pub fn status(&self) -> u8 {
        ((self.header[1] >> 13) & 7) as u8
    }

    /// Poisoned.
    pub fn is_poisoned(&self) -> bool {
        self.header[0] >> 14 & 1 == 1
    }

    /// Its beats, last one first, to be popped.
    pub(crate) fn beats(&self) -> Vec<Beat> {
        let mut header = [0; 16];
        for (bytes, dword) in header.chunks_mut(4).zip(self.header) {
            bytes.copy_from_slice(&dword.to_le_bytes());
        }
        let chunks: Vec<&[u8]> =
            if self.data.is_empty() { vec![&[]] } else { self.data.chunks(64).collect() };
        let count = chunks.len();
        let beat = |(i, chunk): (usize, &&[u8])| {
            let mut beat = Beat { valid: true, bar: self.bar, header, ..Beat::default() };
            beat.first = i == 0;
            beat.last = i + 1 == count;
            beat.dwords = (chunk.len() / 4) as u8;
            beat.data[..chunk.len()].copy_from_slice(chunk);
            beat
        };
        chunks.iter().enumerate().map(beat).rev().collect()
    }

    /// From a TLP's first beat.
    pub(crate) fn begin(beat: &Beat) -> Self {
        let mut tlp = Self { header: [0; 4], bar: beat.bar, data: Vec::new() };
        for (dword, bytes) in tlp.header.iter_mut().zip(beat.header.chunks(4)) {
            *dword = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
        }
        tlp
    }
}
