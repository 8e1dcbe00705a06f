//! Entries of the event log: four 32-bit words.
//!
//! | word | bits | field |
//! | --- | --- | --- |
//! | 0 | 7..=0 | kind: the [`Status`] that the request was answered with |
//! | 0 | 10..=8 | op code |
//! | 0 | 11 | request port |
//! | 0 | 31..=16 | pid |
//! | 1 | 31..=0 | `va[31:0]` |
//! | 2 | 15..=0 | `va[47:32]` |
//! | 3 | 31..=0 | clock cycle, low 32 bits |

use crate::request::Status;

/// A request that was not answered [`Status::Ok`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it was answered with.
    pub status: Status,
    /// Its op code, possibly an unknown one.
    pub op: u8,
    /// The port it came through.
    pub port: u8,
    /// Its pid.
    pub pid: u16,
    /// Its address.
    pub va: u64,
    /// When it was answered: clock cycles, modulo 2^32.
    pub cycle: u32,
}

impl Event {
    /// The four words.
    pub const fn encode(self) -> [u32; 4] {
        [
            self.status as u32
                | (self.op as u32 & 7) << 8
                | (self.port as u32 & 1) << 11
                | (self.pid as u32) << 16,
            self.va as u32,
            (self.va >> 32) as u32 & 0xffff,
            self.cycle,
        ]
    }

    /// From the four words; `None` if the kind is unknown.
    pub const fn decode(w: [u32; 4]) -> Option<Self> {
        match Status::from_code(w[0] as u8) {
            Some(status) => Some(Self {
                status,
                op: (w[0] >> 8 & 7) as u8,
                port: (w[0] >> 11 & 1) as u8,
                pid: (w[0] >> 16) as u16,
                va: w[1] as u64 | (w[2] as u64 & 0xffff) << 32,
                cycle: w[3],
            }),
            None => None,
        }
    }
}
