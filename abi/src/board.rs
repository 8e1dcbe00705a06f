//! The registers of a board around the component: what it is, and how its memory is.
//!
//! Read over the serial link in [`crate::serial::Space::Board`]; they can be read also while the
//! component cannot be used. All are read-only.

/// What [`MAGIC`] reads: "SPLB".
pub const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"SPLB");

/// A board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum BoardId {
    /// Radiona ULX3S with an LFE5U-85F.
    Ulx3s85 = 1,
}

impl BoardId {
    /// From its code.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Ulx3s85),
            _ => None,
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ulx3s85 => "ulx3s",
        }
    }
}

/// The board's signature.
pub const MAGIC: u16 = 0x000;
/// Clock of the component in kHz.
pub const CLOCK_KHZ: u16 = 0x004;
/// State of the memory: [`MEMORY_READY`], [`MEMORY_FAILED`].
pub const MEMORY: u16 = 0x008;
/// Line number at which the memory's test failed.
pub const FAIL_LINE: u16 = 0x00C;
/// Data wires that differed there.
pub const FAIL_BITS: u16 = 0x010;
/// Frames that were damaged on their way to the board.
pub const BAD_FRAMES: u16 = 0x014;
/// Clock cycles from power-up until the memory was ready.
pub const READY_CYCLES: u16 = 0x018;

/// The memory was tested and can be used.
pub const MEMORY_READY: u32 = 1;
/// The memory's test failed: nothing is served.
pub const MEMORY_FAILED: u32 = 2;

/// Where in its address space the RP2040 of a pico-ice has the FPGA's bitstream: the second MiB of its
/// flash, written there by itself, so that firmware and design are flashed one without the other.
pub const PICO_ICE_BITSTREAM: u32 = 0x1010_0000;
