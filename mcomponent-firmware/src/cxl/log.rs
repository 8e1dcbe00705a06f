//! The event logs (CXL 3.1, section 8.2.9.2).

use splitmem_abi::cxl::{Denial, Event};
use splitmem_abi::request::Status;

/// Records of a log.
pub const DEPTH: usize = 16;
/// Bytes of a record.
pub const RECORD_BYTES: usize = 0x80;
/// Logs: informational, warning, failure, fatal.
pub const LOGS: usize = 4;

/// General Media Event Record, fbcd0a77-c260-417f-85a9-088b1621eba6.
const GENERAL_MEDIA: [u8; 16] = [
    0xfb, 0xcd, 0x0a, 0x77, 0xc2, 0x60, 0x41, 0x7f, 0x85, 0xa9, 0x08, 0x8b, 0x16, 0x21, 0xeb, 0xa6,
];

/// What a record is made of.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub handle: u16,
    pub time: u64,
    pub dpa: u64,
    pub event: Event,
}

impl Entry {
    /// The record as the mailbox gives it.
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..16].copy_from_slice(&GENERAL_MEDIA);
        record[16] = RECORD_BYTES as u8;
        record[20..22].copy_from_slice(&self.handle.to_le_bytes());
        record[24..32].copy_from_slice(&self.time.to_le_bytes());
        // Physical address; bit 0 says volatile.
        let address = self.dpa & !63 | 1;
        record[48..56].copy_from_slice(&address.to_le_bytes());
        // Descriptor: bit 0 uncorrectable. Type: 0 ECC error, 1 invalid address, 2 data path error.
        record[56] = 1;
        record[57] = match self.event.denial {
            Denial::Poisoned | Denial::Status(Status::Uncorrectable) => 0,
            _ => 1,
        };
        // Transaction: 1 host read, 2 host write.
        record[58] = if self.event.write { 2 } else { 1 };
        record
    }
}

/// One log: a ring of records in the order in which they came.
#[derive(Clone, Copy)]
struct Log {
    entries: [Option<Entry>; DEPTH],
    first: usize,
    count: usize,
    lost: u16,
    lost_at: [u64; 2],
}

impl Log {
    const EMPTY: Self =
        Self { entries: [None; DEPTH], first: 0, count: 0, lost: 0, lost_at: [0; 2] };

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        (0..self.count).filter_map(|i| self.entries[(self.first + i) % DEPTH].as_ref())
    }
}

/// All logs.
pub struct Logs {
    logs: [Log; LOGS],
    handle: u16,
}

impl Logs {
    pub const fn new() -> Self {
        Self { logs: [Log::EMPTY; LOGS], handle: 0 }
    }

    /// Files an event: bad data are failures, what was refused are warnings.
    pub fn record(&mut self, event: &Event, dpa: u64, time: u64) {
        let log = match event.denial {
            Denial::Poisoned | Denial::Status(Status::Uncorrectable) => 2,
            _ => 1,
        };
        let log = &mut self.logs[log];
        if log.count == DEPTH {
            log.lost = log.lost.saturating_add(1);
            if log.lost == 1 {
                log.lost_at[0] = time;
            }
            log.lost_at[1] = time;
            return;
        }
        // A handle is never zero.
        self.handle = self.handle.checked_add(1).unwrap_or(1);
        let entry = Entry { handle: self.handle, time, dpa, event: *event };
        log.entries[(log.first + log.count) % DEPTH] = Some(entry);
        log.count += 1;
    }

    /// Event status: a bit for every log that has records.
    pub fn status(&self) -> u32 {
        self.logs.iter().enumerate().fold(0, |bits, (i, log)| bits | u32::from(log.count > 0) << i)
    }

    /// The answer to Get Event Records: the header, then as many records as `out` holds. Gives its
    /// bytes; `None` if there is no such log.
    pub fn get(&self, log: u8, out: &mut [u8]) -> Option<usize> {
        let log = self.logs.get(usize::from(log))?;
        out[..0x20].fill(0);
        let room = (out.len() - 0x20) / RECORD_BYTES;
        let count = log.count.min(room);
        out[0] = u8::from(log.lost > 0) | u8::from(log.count > count) << 1;
        out[2..4].copy_from_slice(&log.lost.to_le_bytes());
        out[4..12].copy_from_slice(&log.lost_at[0].to_le_bytes());
        out[12..20].copy_from_slice(&log.lost_at[1].to_le_bytes());
        out[20..22].copy_from_slice(&(count as u16).to_le_bytes());
        let records = out[0x20..].chunks_exact_mut(RECORD_BYTES);
        for (place, entry) in records.zip(log.iter()).take(count) {
            place.copy_from_slice(&entry.encode());
        }
        Some(0x20 + count * RECORD_BYTES)
    }

    /// Clear Event Records: all of them, or the oldest ones by their handles in order. False, and
    /// nothing is cleared, if there is no such log or a handle is not the next one.
    pub fn clear(&mut self, log: u8, handles: Option<&[u8]>) -> bool {
        let Some(log) = self.logs.get_mut(usize::from(log)) else { return false };
        let count = match handles {
            None => log.count,
            Some(handles) => {
                let asked = handles.chunks_exact(2).map(|h| u16::from_le_bytes([h[0], h[1]]));
                let count = asked.clone().count();
                let known = log.iter().map(|entry| entry.handle).take(count);
                if count > log.count || !asked.eq(known) {
                    return false;
                }
                count
            }
        };
        log.first = (log.first + count) % DEPTH;
        log.count -= count;
        log.lost = 0;
        true
    }
}
