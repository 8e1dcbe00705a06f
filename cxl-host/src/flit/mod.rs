//! The 68-byte flit (section 4.2), without the two bytes of protocol ID that the physical layer puts
//! before it: four slots of 16 bytes and a CRC of two.
//!
//! Slot 0 of a flit with a header begins with the header's 32 bits. Flits come in three kinds:
//! protocol flits (messages), control flits ([`Control`]), and all-data flits, which are four slots
//! of data without a header; only what was received before tells that a flit is one.

mod control;
mod crc;
mod pack;
mod unpack;

pub use control::{Control, ControlError, RetryAck, RetryRequest};
pub use crc::crc16;
pub use pack::{Direction, PackError, Packer};
pub use unpack::{FlitError, Received, Unpacker};

/// Bytes of a flit.
pub const FLIT_BYTES: usize = 66;
/// Slots of a flit.
pub const SLOTS: usize = 4;
/// Bits of the flit header, at the beginning of slot 0.
pub const HEADER_BITS: u32 = 32;
/// Most chunks of data that can wait at the end of a flit: three of a line before it, and those of
/// the three lines that a flit may announce.
pub const MOST_WAITING: usize = 15;

/// A flit as it stands on the link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flit(pub [u8; FLIT_BYTES]);

impl std::fmt::Debug for Flit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, slot) in self.slots().iter().enumerate() {
            write!(f, "{}{slot:032x}", if i == 0 { "" } else { " " })?;
        }
        write!(f, " crc {:04x}", self.crc())
    }
}

impl Flit {
    /// Four slots and their CRC.
    pub fn new(slots: [u128; SLOTS]) -> Self {
        let mut bytes = [0; FLIT_BYTES];
        for (i, slot) in slots.iter().enumerate() {
            bytes[16 * i..16 * (i + 1)].copy_from_slice(&slot.to_le_bytes());
        }
        let mut flit = Self(bytes);
        let crc = crc16(&flit.payload());
        flit.0[64..].copy_from_slice(&crc.to_le_bytes());
        flit
    }

    fn payload(&self) -> [u8; 64] {
        std::array::from_fn(|i| self.0[i])
    }

    /// Its slots.
    pub fn slots(&self) -> [u128; SLOTS] {
        std::array::from_fn(|i| u128::from_le_bytes(std::array::from_fn(|k| self.0[16 * i + k])))
    }

    /// The CRC that it carries.
    pub fn crc(&self) -> u16 {
        u16::from_le_bytes([self.0[64], self.0[65]])
    }

    /// Whether its CRC is that of its slots.
    pub fn is_intact(&self) -> bool {
        crc16(&self.payload()) == self.crc()
    }

    /// The header, if it has one.
    pub fn header(&self) -> Header {
        Header::from_bits(self.slots()[0] as u32)
    }
}

/// The flit header (section 4.2.3.1, tables 4-2 to 4-5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// A control flit.
    pub control: bool,
    /// Acknowledges eight flits.
    pub ack: bool,
    /// A slot of byte enables follows the data.
    pub byte_enables: bool,
    /// Data come as whole lines, four chunks.
    pub whole_lines: bool,
    /// Format codes of the slots, three bits each.
    pub formats: [u8; SLOTS],
    /// Credit returned for messages without data from device to host (NDR).
    pub response_credit: Credit,
    /// Credit returned for messages without data from host to device (Req).
    pub request_credit: Credit,
    /// Credit returned for messages with data (RwD, DRS).
    pub data_credit: Credit,
}

impl Header {
    /// From its bits. Reserved ones are ignored.
    pub const fn from_bits(bits: u32) -> Self {
        Self {
            control: bits & 1 == 1,
            ack: bits >> 2 & 1 == 1,
            byte_enables: bits >> 3 & 1 == 1,
            whole_lines: bits >> 4 & 1 == 1,
            formats: [
                (bits >> 5 & 7) as u8,
                (bits >> 8 & 7) as u8,
                (bits >> 11 & 7) as u8,
                (bits >> 14 & 7) as u8,
            ],
            response_credit: Credit((bits >> 20 & 0xf) as u8),
            request_credit: Credit((bits >> 24 & 0xf) as u8),
            data_credit: Credit((bits >> 28) as u8),
        }
    }

    /// Its bits.
    pub const fn to_bits(self) -> u32 {
        self.control as u32
            | (self.ack as u32) << 2
            | (self.byte_enables as u32) << 3
            | (self.whole_lines as u32) << 4
            | (self.formats[0] as u32 & 7) << 5
            | (self.formats[1] as u32 & 7) << 8
            | (self.formats[2] as u32 & 7) << 11
            | (self.formats[3] as u32 & 7) << 14
            | (self.response_credit.0 as u32 & 0xf) << 20
            | (self.request_credit.0 as u32 & 0xf) << 24
            | (self.data_credit.0 as u32 & 0xf) << 28
    }
}

/// A returned credit (table 4-4): bit 3 says that it is CXL.mem's, not CXL.cache's; the other bits
/// are 0, or one more than log2 of the messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Credit(pub u8);

impl Credit {
    /// Most credits that one flit can return.
    pub const MOST: u16 = 64;

    /// As many of `credits` as can be returned at once, for CXL.mem.
    pub const fn of(credits: u16) -> Self {
        if credits == 0 {
            Self(0)
        } else if credits >= Self::MOST {
            Self(8 | 7)
        } else {
            Self(8 | (credits.ilog2() as u8 + 1))
        }
    }

    /// Messages of CXL.mem that it stands for.
    pub const fn count(self) -> u16 {
        match (self.0 >> 3, self.0 & 7) {
            (0, _) | (_, 0) => 0,
            (_, code) => 1 << (code - 1),
        }
    }
}

/// Format codes of slots (tables 4-6 to 4-9), of the ones with CXL.mem messages.
pub mod format {
    /// G0, slots 1 to 3: data or byte enables.
    pub const DATA: u8 = 0;
    /// H4, slot 0, to the device: one RwD.
    pub const H_RWD: u8 = 4;
    /// H5, slot 0, to the device: one Req.
    pub const H_REQ: u8 = 5;
    /// G4, slots 1 to 3, to the device: one Req (and a header of CXL.cache).
    pub const G_REQ: u8 = 4;
    /// G5, slots 1 to 3, to the device: one RwD (and a response of CXL.cache).
    pub const G_RWD: u8 = 5;
    /// H3, slot 0, to the host: one DRS and one NDR.
    pub const H_DRS_NDR: u8 = 3;
    /// H4, slot 0, to the host: two NDR.
    pub const H_NDRS: u8 = 4;
    /// H5, slot 0, to the host: two DRS.
    pub const H_DRSS: u8 = 5;
    /// G4, slots 1 to 3, to the host: one DRS and two NDR.
    pub const G_DRS_NDRS: u8 = 4;
    /// G5, slots 1 to 3, to the host: two NDR.
    pub const G_NDRS: u8 = 5;
    /// G6, slots 1 to 3, to the host: three DRS.
    pub const G_DRSS: u8 = 6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_bits_stand_where_the_table_says() {
        let header = Header {
            ack: true,
            byte_enables: true,
            whole_lines: true,
            formats: [5, 1, 2, 6],
            response_credit: Credit::of(1),
            request_credit: Credit::of(64),
            data_credit: Credit::of(5),
            control: false,
        };
        let bytes = header.to_bits().to_le_bytes();
        assert_eq!(bytes, [0b1011_1100, 0b1001_0001, 0b1001_0001, 0b1011_1111]);
        assert_eq!(Header::from_bits(header.to_bits()), header);
    }

    #[test]
    fn credits_are_powers_of_two_of_cxl_mem() {
        let returned = |credits| Credit::of(credits).count();
        assert_eq!([0, 1, 2, 3, 7, 63, 64, 1000].map(returned), [0, 1, 2, 2, 4, 32, 64, 64]);
        assert_eq!(Credit(0b0111).count(), 0, "credit of CXL.cache");
    }
}
