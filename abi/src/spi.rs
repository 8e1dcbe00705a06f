//! Frames of the SPI link between a companion microcontroller and the component's registers.
//!
//! The microcontroller is the controller: mode 0, most significant bit first. A frame is one register
//! access, [`FRAME_BYTES`] long whatever it is. In the same clocks the bridge is sent the request and
//! then sends the answer:
//!
//! | bytes | to the bridge | from the bridge |
//! | --- | --- | --- |
//! | 2 | operation (2 bits), sequence number (2), address (12) | zero |
//! | 4, of a write only | the value to write | zero |
//! | 2 | CRC of the above | zero |
//! | 1 | anything | zero: the time of the access |
//! | 1 | anything | [`status`] |
//! | 4, not of a write | anything | the value read |
//! | 2 | anything | CRC of status and value |
//!
//! The CRC is CRC-16/IBM-3740 ([`CRC_POLYNOMIAL`], from all ones). Frames may follow each other
//! while chip select stays low.
//!
//! **Nothing happens twice.** The bridge carries out what bears another sequence number than the last
//! access that it carried out, and answers a repetition with that one's result. So the microcontroller
//! repeats a frame, number and all, until its answer comes undamaged; then it goes on to the next
//! number.
//!
//! **Every frame has a defined end.** Chip select raised before a request is whole: it is forgotten.
//! Raised later: the access is carried out, and a repetition gets its result. A wrong CRC, an unknown
//! operation, an access that is not over yet or that the register refuses: one bit each of the
//! status, and the value is zero.
//!
//! **After a reset** of the bridge accesses are refused until [`Operation::Hello`], so that a
//! microcontroller notices that the component it knew has gone. Hello tells the last sequence number.

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 12;
/// Bytes between request and answer.
pub const TURNAROUND_BYTES: usize = 1;
/// Bytes of a CRC.
pub const CRC_BYTES: usize = 2;
/// Bytes of operation, sequence number and address.
pub const HEADER_BYTES: usize = 2;
/// Bytes of a value.
pub const VALUE_BYTES: usize = 4;
/// Bytes of a status.
pub const STATUS_BYTES: usize = 1;
/// Sequence numbers, which go round.
pub const SEQUENCES: u8 = 4;
/// What Hello's answer holds: a signature, and the version of this format.
pub const HELLO_VALUE: u32 = u32::from_be_bytes(*b"SPM\x01");
/// The bridge's clock must be at least this many times SCK's, and SCK high or low for at least two of
/// its cycles.
pub const CLOCKS_PER_SCK: u32 = 4;

/// x^16 + x^12 + x^5 + 1.
pub const CRC_POLYNOMIAL: u16 = 0x1021;
/// What a CRC starts from. After a frame's own CRC it is zero.
pub const CRC_START: u16 = 0xFFFF;

/// What a request asks for. Zero is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Operation {
    /// Read a register.
    Read = 1,
    /// Write a register.
    Write = 2,
    /// Who is there? The address is not looked at.
    Hello = 3,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Hello];

    /// Bytes of its request, with the CRC.
    pub const fn request_bytes(self) -> usize {
        match self {
            Self::Write => HEADER_BYTES + VALUE_BYTES + CRC_BYTES,
            Self::Read | Self::Hello => HEADER_BYTES + CRC_BYTES,
        }
    }

    /// Where its answer begins.
    pub const fn answer_at(self) -> usize {
        self.request_bytes() + TURNAROUND_BYTES
    }
}

/// The status byte of an answer. At most one of the reasons is set.
pub mod status {
    /// An answer: always set.
    pub const ANSWER: u8 = 0x80;
    /// The register refused the access.
    pub const DENIED: u8 = 0x40;
    /// This access, or one before it, is not over yet: repeat the frame.
    pub const BUSY: u8 = 0x20;
    /// The request's CRC was wrong; nothing was done: repeat the frame.
    pub const DAMAGED: u8 = 0x10;
    /// There is no such operation.
    pub const UNKNOWN: u8 = 0x08;
    /// The bridge was reset and heard no Hello since.
    pub const CLOSED: u8 = 0x04;
    /// Sequence number of the last access that was carried out.
    pub const SEQUENCE: u8 = 0x03;
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What is asked.
    pub operation: Operation,
    /// Below [`SEQUENCES`].
    pub sequence: u8,
    /// Byte offset in the register window, 12 bits.
    pub address: u16,
    /// The value to write.
    pub value: u32,
}

impl Request {
    /// The frame, as it is to be sent; what the answer will take the place of is zero.
    pub fn encode(&self) -> [u8; FRAME_BYTES] {
        let mut frame = [0; FRAME_BYTES];
        let header = (self.operation as u16) << 14
            | u16::from(self.sequence % SEQUENCES) << 12
            | self.address & 0xFFF;
        frame[..HEADER_BYTES].copy_from_slice(&header.to_be_bytes());
        let end = self.operation.request_bytes() - CRC_BYTES;
        if self.operation == Operation::Write {
            frame[HEADER_BYTES..end].copy_from_slice(&self.value.to_be_bytes());
        }
        let crc = crc(&frame[..end]).to_be_bytes();
        frame[end..end + CRC_BYTES].copy_from_slice(&crc);
        frame
    }
}

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Bits of [`status`].
    pub status: u8,
    /// What was read; zero for a write.
    pub value: u32,
}

impl Answer {
    /// Reads the answer to an operation out of what came during its frame. None if it is damaged.
    pub fn decode(operation: Operation, frame: &[u8; FRAME_BYTES]) -> Option<Self> {
        let answer = &frame[operation.answer_at()..];
        let intact = crc(answer) == 0 && answer[0] & status::ANSWER != 0;
        let value = match operation {
            Operation::Write => 0,
            Operation::Read | Operation::Hello => {
                u32::from_be_bytes([answer[1], answer[2], answer[3], answer[4]])
            }
        };
        intact.then_some(Self { status: answer[0], value })
    }
}

/// The CRC of some bytes; zero if their own CRC stands at their end.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(CRC_START, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            crc << 1 ^ if crc >> 15 == 1 { CRC_POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_one_of_the_catalogue() {
        assert_eq!(crc(b"123456789"), 0x29B1);
    }

    #[test]
    fn every_operation_fills_its_frame() {
        for operation in Operation::ALL {
            let value = if operation == Operation::Write { 0 } else { VALUE_BYTES };
            let answer = STATUS_BYTES + value + CRC_BYTES;
            assert_eq!(operation.answer_at() + answer, FRAME_BYTES);
        }
    }

    #[test]
    fn a_request_is_header_value_crc() {
        let write = Request {
            operation: Operation::Write,
            sequence: 3,
            address: 0x124,
            value: 0x89AB_CDEF,
        };
        let frame = write.encode();
        assert_eq!(frame[..6], [0xB1, 0x24, 0x89, 0xAB, 0xCD, 0xEF]);
        assert_eq!(crc(&frame[..8]), 0);
        assert_eq!(frame[8..], [0; 4]);
        let read = Request { operation: Operation::Read, sequence: 1, address: 0x008, value: 7 };
        assert_eq!(read.encode()[..2], [0x50, 0x08]);
        assert_eq!(crc(&read.encode()[..4]), 0);
        assert_eq!(read.encode()[4..], [0; 8]);
    }

    #[test]
    fn an_answer_is_read_only_if_it_is_intact() {
        let mut frame = [0; FRAME_BYTES];
        frame[5..10].copy_from_slice(&[0x82, 1, 2, 3, 4]);
        let check = crc(&frame[5..10]).to_be_bytes();
        frame[10..].copy_from_slice(&check);
        let answer = Answer { status: 0x82, value: 0x0102_0304 };
        assert_eq!(Answer::decode(Operation::Read, &frame), Some(answer));
        for bit in 40..96 {
            let mut damaged = frame;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Answer::decode(Operation::Read, &damaged), None, "bit {bit}");
        }
    }

    /// The page of the book shows these frames, and no others.
    #[test]
    fn the_book_says_the_same() {
        const PAGE: &str = include_str!("../../docs/src/reference/companion.md");
        let row = |line: String| assert!(PAGE.contains(&line), "the page lacks: {line}");
        assert!(PAGE.contains(&format!("`{HELLO_VALUE:#010x}`")));
        for operation in Operation::ALL {
            let (code, bytes) = (operation as u8, operation.request_bytes());
            row(format!("\n| {operation:?} | {code} | {bytes} | {} |\n", operation.answer_at()));
        }
        for (name, mask) in [
            ("ANSWER", status::ANSWER),
            ("DENIED", status::DENIED),
            ("BUSY", status::BUSY),
            ("DAMAGED", status::DAMAGED),
            ("UNKNOWN", status::UNKNOWN),
            ("CLOSED", status::CLOSED),
            ("SEQUENCE", status::SEQUENCE),
        ] {
            row(format!("\n| {name} | {mask:#04x} | "));
        }
        // The table of a frame stands also at the head of this file.
        let table = include_str!("spi.rs").lines().filter_map(|line| line.strip_prefix("//! |"));
        for line in table {
            row(format!("\n|{}\n", line.replace("[`status`]", "status")));
        }
    }

    #[test]
    fn a_wire_that_is_stuck_is_no_answer_and_no_request() {
        for stuck in [0x00, 0xFF] {
            for operation in Operation::ALL {
                assert_eq!(Answer::decode(operation, &[stuck; FRAME_BYTES]), None);
                assert_ne!(crc(&[stuck; FRAME_BYTES][..operation.request_bytes()]), 0);
            }
        }
    }
}
