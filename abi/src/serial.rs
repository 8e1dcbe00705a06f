//! Frames of the serial link between a host and a board.
//!
//! The host asks and the board answers, each in frames: [`SYNC`], four bytes of header, a payload
//! whose length the kind tells, and a CRC-32 (IEEE 802.3) of header and payload, lowest byte first.
//!
//! | from the host | from the board |
//! | --- | --- |
//! | kind, slot, sequence number, session | kind, slot, sequence number, status |
//!
//! **Nothing is lost and nothing happens twice.** The board has [`SLOTS`] places for requests: the
//! host's credit. A request names its slot and a sequence number that differs from the slot's last
//! one; the host uses a slot again only when it has its answer. It repeats a request that is not
//! answered in time. The board does what it has not done, and of what it has done it repeats the
//! answer. A damaged frame has a wrong CRC and is ignored by either side, so it comes to the same as
//! a lost one. The board never waits for the host and has no timer but one: a frame that stops in the
//! middle is forgotten after [`IDLE_CYCLES`].
//!
//! **Sessions.** A host begins with [`Kind::Hello`] and a session number; a number that is not the
//! present one frees all slots. Requests of another session are answered with [`Kind::NoSession`]: the
//! board was reset, or another host has taken it.
//!
//! **Order.** A request that was lost comes after those that followed it. The host holds back a
//! request while one to the same line of the same process is not answered.

/// Marks the beginning of a frame.
pub const SYNC: u8 = 0xA5;
/// Version of this format; a board and a host work together only if it is the same.
pub const VERSION: u8 = 1;
/// Requests that can be under way.
pub const SLOTS: usize = 32;
/// Bytes of a header, after [`SYNC`].
pub const HEADER_BYTES: usize = 4;
/// Bytes of the CRC.
pub const CRC_BYTES: usize = 4;
/// The longest payload.
pub const PAYLOAD_BYTES: usize = 80;
/// Clock cycles of the board without a byte after which a frame that has begun is forgotten.
pub const IDLE_CYCLES: u32 = 1 << 16;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Begins a session, or asks who is there.
    Hello = 0x01,
    /// Read a line: pid (2 bytes), va (6).
    Read = 0x02,
    /// Write a whole line: pid, va, data (64).
    Write = 0x03,
    /// Write some bytes of a line: pid, va, data, mask (8).
    WriteMasked = 0x04,
    /// Atomic add: pid, va, addend (8).
    FetchAdd = 0x05,
    /// Atomic compare and swap: pid, va, new value (8), expected (8).
    CompareSwap = 0x06,
    /// Read a register: address (2), see [`Space`].
    RegisterRead = 0x07,
    /// Write a register: address (2), value (4).
    RegisterWrite = 0x08,
    /// Answer to Hello, status is the session: version, slots, board, flags, build (4).
    Welcome = 0x81,
    /// Answer with a line (64).
    Line = 0x82,
    /// Answer without data.
    Done = 0x83,
    /// Answer with a register's value (4).
    Register = 0x84,
    /// The request's session is not the present one.
    NoSession = 0x85,
}

impl Kind {
    /// What the host sends.
    pub const REQUESTS: [Self; 8] = [
        Self::Hello,
        Self::Read,
        Self::Write,
        Self::WriteMasked,
        Self::FetchAdd,
        Self::CompareSwap,
        Self::RegisterRead,
        Self::RegisterWrite,
    ];
    /// What the board sends.
    pub const ANSWERS: [Self; 5] =
        [Self::Welcome, Self::Line, Self::Done, Self::Register, Self::NoSession];

    /// From its code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::REQUESTS.into_iter().chain(Self::ANSWERS).find(|kind| *kind as u8 == code)
    }

    /// Bytes of its payload.
    pub const fn payload(self) -> usize {
        match self {
            Self::Hello | Self::Done | Self::NoSession => 0,
            Self::Read | Self::Welcome => 8,
            Self::Write => 72,
            Self::WriteMasked => 80,
            Self::FetchAdd => 16,
            Self::CompareSwap => 24,
            Self::RegisterRead => 2,
            Self::RegisterWrite => 6,
            Self::Line => 64,
            Self::Register => 4,
        }
    }

    /// Bytes of its whole frame.
    pub const fn frame(self) -> usize {
        1 + HEADER_BYTES + self.payload() + CRC_BYTES
    }
}

/// The status byte of an answer.
pub mod status {
    /// Code of a [`crate::request::Status`], in the low three bits.
    pub const CODE: u8 = 0x07;
    /// A register access was denied.
    pub const DENIED: u8 = 0x08;
    /// The monitor's interrupt is up.
    pub const IRQ_MONITOR: u8 = 0x10;
    /// The host's interrupt is up.
    pub const IRQ_HOST: u8 = 0x20;
}

/// The flags of a [`Kind::Welcome`].
pub mod welcome {
    /// The memory was tested and can be used.
    pub const MEMORY_READY: u8 = 1;
    /// The memory's test failed.
    pub const MEMORY_FAILED: u8 = 2;
    /// The memory monitor runs on the board; otherwise the host brings its own.
    pub const OWN_MONITOR: u8 = 4;
}

/// Which registers: bits 13 and 12 of a register's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u16)]
pub enum Space {
    /// The component's, from the host's side.
    Host = 0,
    /// The component's, from the monitor's side. A board with a monitor of its own denies it.
    Monitor = 1,
    /// The board's own, see [`crate::board`].
    Board = 2,
}

impl Space {
    /// The address of a register in this space.
    pub const fn address(self, offset: u16) -> u16 {
        (self as u16) << 12 | offset & 0xFFF
    }
}

/// One step of the CRC: a byte more.
pub const fn crc_step(crc: u32, byte: u8) -> u32 {
    let mut crc = crc ^ byte as u32;
    let mut i = 0;
    while i < 8 {
        crc = crc >> 1 ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1));
        i += 1;
    }
    crc
}

/// What a CRC starts from; it ends complemented.
pub const CRC_START: u32 = u32::MAX;

/// The CRC of some bytes.
pub fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(CRC_START, |crc, byte| crc_step(crc, *byte))
}

/// Writes a frame; gives its length. `payload` must have the kind's length; what it lacks is zero.
pub fn encode(
    frame: &mut [u8; 1 + HEADER_BYTES + PAYLOAD_BYTES + CRC_BYTES],
    kind: Kind,
    [slot, sequence, last]: [u8; 3],
    payload: &[u8],
) -> usize {
    let end = 1 + HEADER_BYTES + kind.payload();
    frame[..5].copy_from_slice(&[SYNC, kind as u8, slot, sequence, last]);
    frame[5..end].fill(0);
    let given = payload.len().min(kind.payload());
    frame[5..5 + given].copy_from_slice(&payload[..given]);
    let crc = crc(&frame[1..end]).to_le_bytes();
    frame[end..end + CRC_BYTES].copy_from_slice(&crc);
    end + CRC_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_one_of_ethernet() {
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn kinds_have_their_codes_and_fit() {
        for kind in Kind::REQUESTS.into_iter().chain(Kind::ANSWERS) {
            assert_eq!(Kind::from_code(kind as u8), Some(kind));
            assert!(kind.payload() <= PAYLOAD_BYTES);
        }
        assert_eq!(Kind::from_code(0), None);
    }

    #[test]
    fn a_frame_is_sync_header_payload_crc() {
        let mut frame = [0; 89];
        let length = encode(&mut frame, Kind::RegisterRead, [3, 9, 7], &[0x14, 0x20]);
        assert_eq!(length, Kind::RegisterRead.frame());
        assert_eq!(frame[..7], [SYNC, 7, 3, 9, 7, 0x14, 0x20]);
        assert_eq!(frame[7..11], crc(&frame[1..7]).to_le_bytes());
    }
}
