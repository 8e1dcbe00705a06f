//! The PCIe endpoint: what its BARs hold, the window table, and the rings of its DMA engine.
//!
//! BAR0 (16 KiB, 32-bit registers) holds four pages: the component's registers with the mailbox
//! ([`crate::regs`]), the endpoint's own ([`ALL`]), the window table, and the MSI-X table. A register
//! access takes whole dwords, at most [`BAR0_MAX_DWORDS`] in one TLP; where nothing stands, a read
//! gives zero.
//!
//! BAR2 (64 bits, prefetchable) is [`WINDOWS`] slots of [`WINDOW_SPAN`] bytes. A slot shows
//! [`Window::pages`] pages of one process's memory.
//!
//! The DMA engine takes 64-byte commands ([`Descriptor`]) from a submission ring in host memory and
//! puts 16-byte entries ([`CompletionEntry`]) into a completion ring. Both have `1 << RING_LOG2`
//! entries; their counters ([`SQ_TAIL`], [`CQ_HEAD`]) run freely over 16 bits, and an entry's place
//! is the counter's low bits. At most as many commands as entries are between the start of their
//! work and the host's [`CQ_HEAD`], so the completion ring never overflows. Commands end in any
//! order; an entry of the submission ring may be used again when its command has ended.

use crate::regs::{Access, Field, Register, Reset};
use crate::request::Status;

/// Vendor of the simulated device. Not registered with PCI-SIG: a board has its maker's.
pub const VENDOR_ID: u16 = 0x1234;
/// Device of the simulated device: "SP".
pub const DEVICE_ID: u16 = 0x5350;
/// Class code: memory controller, other.
pub const CLASS: u32 = 0x05_8000;

/// log2 of BAR0's size.
pub const BAR0_BITS: u32 = 14;
/// log2 of BAR2's size.
pub const BAR2_BITS: u32 = WINDOW_SPAN_BITS + WINDOW_BITS;
/// Most dwords that one TLP may read or write in BAR0. More is a completer abort.
pub const BAR0_MAX_DWORDS: u32 = 16;
/// Where the component's registers stand in BAR0.
pub const COMPONENT_PAGE: u32 = 0x0000;
/// Where the endpoint's registers stand in BAR0.
pub const ENDPOINT_PAGE: u32 = 0x1000;
/// Where the window table stands in BAR0: four words a slot, see [`Window::words`].
pub const WINDOW_PAGE: u32 = 0x2000;
/// Where the MSI-X table stands in BAR0.
pub const MSIX_TABLE: u32 = 0x3000;
/// Where the MSI-X pending bits stand in BAR0.
pub const MSIX_PBA: u32 = 0x3800;
/// MSI-X vectors: see [`Vector`]. The last is spare.
pub const VECTORS: u32 = 4;

/// log2 of the slots of the window table.
pub const WINDOW_BITS: u32 = 4;
/// Slots of the window table.
pub const WINDOWS: u32 = 1 << WINDOW_BITS;
/// log2 of the bytes of BAR2 that belong to one slot.
pub const WINDOW_SPAN_BITS: u32 = 28;
/// Bytes of BAR2 that belong to one slot.
pub const WINDOW_SPAN: u64 = 1 << WINDOW_SPAN_BITS;

/// Most entries of a ring.
pub const RING_MAX: u32 = 256;
/// log2 of [`RING_MAX`].
pub const RING_MAX_LOG2: u32 = 8;
/// Bytes of an entry of the submission ring.
pub const DESCRIPTOR_BYTES: usize = 64;
/// Bytes of an entry of the completion ring.
pub const COMPLETION_BYTES: usize = 16;
/// Most lines of one command.
pub const MAX_LINES: u32 = 4096;
/// Lines that one address of a scatter list stands for: 4 KiB.
pub const LIST_LINES: u32 = 64;
/// Addresses in one 64-byte line of a scatter list.
pub const LIST_ENTRIES: u32 = 8;
/// Read requests to the host that can be in flight (tags).
pub const TAGS: u32 = 32;
/// What [`EP_ID`] reads: "SPEP".
pub const EP_ID_VALUE: u32 = u32::from_le_bytes(*b"SPEP");
/// Layout version of this module.
pub const EP_VERSION_VALUE: u32 = 0x0001_0000;

/// What interrupts the host, by MSI-X vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Vector {
    /// Entries were put into the completion ring.
    Completion = 0,
    /// The component's host interrupt: the memory monitor replied.
    Component = 1,
    /// An error counter of the endpoint went up.
    Error = 2,
}

crate::regs::registers! {
    /// The endpoint's signature, "SPEP".
    EP_ID[1] @ 0x000: None / Ro = Reset::Value(EP_ID_VALUE);
    /// Version of the endpoint's registers, rings and tables.
    EP_VERSION[1] @ 0x004: None / Ro = Reset::Value(EP_VERSION_VALUE);
    /// What the endpoint has.
    EP_CAPS[1] @ 0x008: None / Ro = Reset::Value(
        RING_MAX_LOG2 | WINDOW_BITS << 8 | WINDOW_SPAN_BITS << 16 | VECTORS << 24);
    {
        RING 0 + 8: "log2 of the most entries of a ring",
        WINDOWS 8 + 8: "log2 of the window table's slots",
        SPAN 16 + 8: "log2 of the bytes of a slot",
        VECTORS 24 + 8: "MSI-X vectors"
    }
    /// Switches the DMA engine. Going from 0 to 1 puts both rings to their beginning.
    DMA_CONTROL[1] @ 0x00C: None / Rw = Reset::Value(0);
    { ENABLE 0 + 1: "Commands are taken. Cleared: those begun end, and no more are begun" }
    /// What the DMA engine does.
    DMA_STATUS[1] @ 0x010: None / Ro = Reset::Volatile;
    {
        BUSY 0 + 1: "Commands are being fetched or worked on",
        READY 1 + 1: "The engine was cleared after reset and may be enabled",
        DEAD_TAGS 8 + 8: "Read tags lost to completion timeouts; a reset gives them back"
    }
    /// Submission ring in host memory, low half; 64-byte aligned. Change it only while disabled.
    SQ_BASE_LO[1] @ 0x014: None / Rw = Reset::Value(0);
    { ADDRESS 6 + 26: "Bits 31..6" }
    /// Its high half.
    SQ_BASE_HI[1] @ 0x018: None / Rw = Reset::Value(0);
    /// Completion ring in host memory, low half; 64-byte aligned. Change it only while disabled.
    CQ_BASE_LO[1] @ 0x01C: None / Rw = Reset::Value(0);
    { ADDRESS 6 + 26: "Bits 31..6" }
    /// Its high half.
    CQ_BASE_HI[1] @ 0x020: None / Rw = Reset::Value(0);
    /// Entries of both rings.
    RING_LOG2[1] @ 0x024: None / Rw = Reset::Value(0);
    { LOG2 0 + 4: "log2, 0 to 8; more counts as 8" }
    /// Doorbell: commands that the host has put into the submission ring, modulo 65536.
    SQ_TAIL[1] @ 0x028: None / Rw = Reset::Value(0);
    { COUNT 0 + 16: "Commands" }
    /// Doorbell: entries that the host has taken from the completion ring, modulo 65536.
    CQ_HEAD[1] @ 0x02C: None / Rw = Reset::Value(0);
    { COUNT 0 + 16: "Entries" }
    /// A read request to the host without a completion for one to two times this long has failed.
    TIMEOUT[1] @ 0x030: None / Rw = Reset::Value(12_500_000);
    { CYCLES 0 + 32: "Clock cycles; 50 ms at 250 MHz. Zero: never" }
    /// Clock cycles since reset, low 32 bits.
    EP_CYCLES[1] @ 0x034: None / Ro = Reset::Volatile;
    /// Non-posted requests answered with unsupported request or completer abort, and posted ones
    /// dropped, because nothing stands there or the request is none that the endpoint serves.
    ERR_UNSUPPORTED[1] @ 0x040: None / Ro = Reset::Value(0);
    /// Poisoned requests that were dropped.
    ERR_POISONED[1] @ 0x044: None / Ro = Reset::Value(0);
    /// TLPs dropped because their form is wrong.
    ERR_MALFORMED[1] @ 0x048: None / Ro = Reset::Value(0);
    /// Accesses to BAR2 outside a window, or not allowed by it.
    ERR_WINDOW[1] @ 0x04C: None / Ro = Reset::Value(0);
    /// Lines of BAR2 writes that the component refused; it has the reason in its event log.
    ERR_LINES[1] @ 0x050: None / Ro = Reset::Value(0);
    /// Completions of the host that belong to no read, or are too long.
    ERR_UNEXPECTED[1] @ 0x054: None / Ro = Reset::Value(0);
    /// Reads of host memory that ended with an error status, poison, or none in time.
    ERR_HOST[1] @ 0x058: None / Ro = Reset::Value(0);
}

/// A slot of the window table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Whose memory.
    pub pid: u16,
    /// Loads may pass.
    pub read: bool,
    /// Stores may pass.
    pub write: bool,
    /// First byte, 4 KiB-aligned.
    pub va: u64,
    /// 4 KiB pages, at most `WINDOW_SPAN / 4096`; zero: the slot is off.
    pub pages: u32,
}

impl Window {
    /// Bit of word 0: loads may pass.
    pub const READ: u32 = 1 << 30;
    /// Bit of word 0: stores may pass.
    pub const WRITE: u32 = 1 << 31;

    /// The slot's four words: pid and permissions, `va[43:12]`, `va[47:44]`, pages. To change a slot
    /// in use, write zero to the last word first.
    pub const fn words(&self) -> [u32; 4] {
        let rights =
            (if self.read { Self::READ } else { 0 }) | (if self.write { Self::WRITE } else { 0 });
        [self.pid as u32 | rights, (self.va >> 12) as u32, (self.va >> 44) as u32, self.pages]
    }
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum DmaOp {
    /// Nothing; ends at once.
    Nop = 0,
    /// Component to host.
    Read = 1,
    /// Host to component.
    Write = 2,
    /// Adds [`Descriptor::operand`] to the 8 bytes at `va`.
    FetchAdd = 3,
    /// Replaces the 8 bytes at `va` by [`Descriptor::operand`] if they equal
    /// [`Descriptor::expected`].
    CompareSwap = 4,
}

/// A command of the DMA engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// What to do.
    pub op: DmaOp,
    /// `host` is the address of a scatter list: 64-byte aligned, an 8-byte address for each 4 KiB.
    pub list: bool,
    /// The host's name for it, given back in the completion entry.
    pub id: u16,
    /// Whose memory.
    pub pid: u16,
    /// 64-byte lines, 1 to [`MAX_LINES`]; 0 for what moves none.
    pub lines: u16,
    /// In the component: aligned to a line, an atomic to 8 bytes.
    pub va: u64,
    /// In host memory, aligned to a line, as are a list's addresses. The lines of an address of a
    /// list must not cross a 4 KiB boundary, unless it is the last one.
    pub host: u64,
    /// Bytes of a single written line that change (all ones otherwise); operand of an atomic.
    pub operand: u64,
    /// Expected value of a compare-and-swap.
    pub expected: u64,
}

impl Descriptor {
    /// Bit of byte 1: `host` is the address of a list.
    pub const LIST: u8 = 1;

    /// The entry of the submission ring, little-endian.
    pub fn encode(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes[0] = self.op as u8;
        bytes[1] = if self.list { Self::LIST } else { 0 };
        bytes[2..4].copy_from_slice(&self.id.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.pid.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.lines.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.va.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.host.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.operand.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.expected.to_le_bytes());
        bytes
    }
}

/// How a command ended: the component's status, or one of the endpoint's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DmaStatus {
    /// As the component answered: the first of the command's lines that was not ok.
    Component(Status),
    /// The descriptor is none: nothing was done.
    BadCommand,
    /// The host answered unsupported request or completer abort: no such memory.
    HostRefused,
    /// The host's data were poisoned.
    HostPoisoned,
    /// The host did not answer in time.
    HostTimeout,
}

impl DmaStatus {
    /// Code of [`DmaStatus::BadCommand`].
    pub const BAD_COMMAND: u8 = 0x10;
    /// Code of [`DmaStatus::HostRefused`].
    pub const HOST_REFUSED: u8 = 0x11;
    /// Code of [`DmaStatus::HostPoisoned`].
    pub const HOST_POISONED: u8 = 0x12;
    /// Code of [`DmaStatus::HostTimeout`].
    pub const HOST_TIMEOUT: u8 = 0x13;

    /// From the code in a completion entry.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            Self::BAD_COMMAND => Some(Self::BadCommand),
            Self::HOST_REFUSED => Some(Self::HostRefused),
            Self::HOST_POISONED => Some(Self::HostPoisoned),
            Self::HOST_TIMEOUT => Some(Self::HostTimeout),
            code => match Status::from_code(code) {
                Some(status) => Some(Self::Component(status)),
                None => None,
            },
        }
    }
}

impl core::fmt::Display for DmaStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Component(status) => write!(f, "the component answered {status:?}"),
            Self::BadCommand => f.write_str("the endpoint does not know the command"),
            Self::HostRefused => f.write_str("the host has no memory at the address"),
            Self::HostPoisoned => f.write_str("the host's data were poisoned"),
            Self::HostTimeout => f.write_str("the host did not answer the endpoint's read in time"),
        }
    }
}

/// An entry of the completion ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompletionEntry {
    /// Of the descriptor.
    pub id: u16,
    /// Code of a [`DmaStatus`].
    pub status: u8,
    /// Changes with every round of the ring; 1 in the first. An entry is new when it has the phase
    /// of its round.
    pub phase: bool,
    /// Clock cycles from the command's start, after its fetch, to its end.
    pub cycles: u32,
    /// Old value of an atomic, zero otherwise.
    pub value: u64,
}

impl CompletionEntry {
    /// Bit of the first word: the phase.
    pub const PHASE: u32 = 1 << 31;

    /// From the bytes in host memory.
    pub fn decode(bytes: &[u8; COMPLETION_BYTES]) -> Self {
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Self {
            id: word(0) as u16,
            status: (word(0) >> 16) as u8,
            phase: word(0) & Self::PHASE != 0,
            cycles: word(4),
            value: word(8) as u64 | (word(12) as u64) << 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_registers_do_not_overlap() {
        let mut end = 0;
        for r in ALL {
            assert!(r.offset >= end && r.offset % 4 == 0, "{}", r.name);
            end = r.offset + 4 * r.count;
        }
        assert!(u32::from(end) <= WINDOW_PAGE - ENDPOINT_PAGE);
        const { assert!(WINDOW_PAGE + WINDOWS * 16 <= MSIX_TABLE) };
        const { assert!(MSIX_TABLE + VECTORS * 16 <= MSIX_PBA && MSIX_PBA < 1 << BAR0_BITS) };
    }

    #[test]
    fn the_status_codes_are_apart() {
        let mut known = 0;
        for code in 0..=u8::MAX {
            known += DmaStatus::from_code(code).is_some() as u32;
        }
        assert_eq!(known, Status::ALL.len() as u32 + 4);
    }

    #[test]
    fn a_completion_reads_back() {
        let mut bytes = [0; COMPLETION_BYTES];
        bytes[..4].copy_from_slice(&0x8013_beefu32.to_le_bytes());
        bytes[4..8].copy_from_slice(&77u32.to_le_bytes());
        bytes[8..].copy_from_slice(&0x0123_4567_89ab_cdefu64.to_le_bytes());
        let entry = CompletionEntry::decode(&bytes);
        let value = 0x0123_4567_89ab_cdef;
        let status = DmaStatus::HOST_TIMEOUT;
        let wanted = CompletionEntry { id: 0xbeef, status, phase: true, cycles: 77, value };
        assert_eq!(entry, wanted);
    }
}
