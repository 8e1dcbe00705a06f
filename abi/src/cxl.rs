//! The CXL front end: what its hardware, the monitor that serves it and the host share.
//!
//! Addresses are byte offsets on the front end's register buses. The first [`PRIVATE`] bytes are
//! what the host sees in its BARs: the component registers (CXL 3.1, section 8.2.3), then at
//! [`DEVICE`] the device registers (8.2.8). Beyond are the monitor's own.

/// Where the component registers' CXL.cachemem part begins (8.2.4).
pub const CACHEMEM: u32 = 0x1000;
/// Where the device registers begin.
pub const DEVICE: u32 = 0x1_0000;
/// Where the monitor's own registers begin; the host's bus ends here.
pub const PRIVATE: u32 = 0x2_0000;

/// RAS capability (id 2, 8.2.4.17).
pub const RAS: u32 = CACHEMEM + 0x100;
/// Link capability (id 4, 8.2.4.19).
pub const LINK: u32 = CACHEMEM + 0x180;
/// Registers of the link capability, 64 bits each.
pub mod link {
    use super::LINK;

    /// Link layer capability.
    pub const CAPABILITY: u32 = LINK;
    /// Link layer control and status.
    pub const CONTROL: u32 = LINK + 0x08;
    /// Credits to be given at the link's beginning.
    pub const RX_CONTROL: u32 = LINK + 0x10;
    /// Credits that wait to be returned.
    pub const RX_RETURNED: u32 = LINK + 0x18;
    /// Credits held of the other end.
    pub const TX_STATUS: u32 = LINK + 0x20;
    /// When acknowledgements are sent by themselves.
    pub const ACK_TIMER: u32 = LINK + 0x28;
    /// What is switched off.
    pub const DEFEATURE: u32 = LINK + 0x30;
}

/// HDM decoder capability (id 5, 8.2.4.20).
pub const HDM: u32 = CACHEMEM + 0x200;
/// HDM decoder global control; bit 0 poison on decode error, bit 1 enable.
pub const HDM_CONTROL: u32 = HDM + 4;
/// HDM decoders of the device.
pub const HDM_DECODERS: u32 = 2;

/// First register of HDM decoder `n`.
pub const fn hdm_decoder(n: u32) -> u32 {
    HDM + 0x10 + 0x20 * n
}

/// Registers of an HDM decoder, relative to [`hdm_decoder`].
pub mod decoder {
    /// Base address, bits 31:28.
    pub const BASE_LOW: u32 = 0x00;
    /// Base address, bits 51:32.
    pub const BASE_HIGH: u32 = 0x04;
    /// Size, bits 31:28.
    pub const SIZE_LOW: u32 = 0x08;
    /// Size, bits 51:32.
    pub const SIZE_HIGH: u32 = 0x0c;
    /// Control.
    pub const CONTROL: u32 = 0x10;
    /// DPA skip, bits 31:28.
    pub const SKIP_LOW: u32 = 0x14;
    /// DPA skip, bits 51:32.
    pub const SKIP_HIGH: u32 = 0x18;
    /// Control: lock on commit.
    pub const LOCK: u32 = 1 << 8;
    /// Control: commit.
    pub const COMMIT: u32 = 1 << 9;
    /// Control: committed.
    pub const COMMITTED: u32 = 1 << 10;
    /// Control: the commit failed.
    pub const ERROR: u32 = 1 << 11;
    /// Control: host-only coherent (HDM-H), the only type here.
    pub const HOST_ONLY: u32 = 1 << 12;
}

/// Event status (8.2.8.3.1): bit per log that has records.
pub const EVENT_STATUS: u32 = DEVICE + 0x80;
/// Memory device status (8.2.8.5.1).
pub const MEMDEV_STATUS: u32 = DEVICE + 0x88;
/// Memory device status: media ready.
pub const MEDIA_READY: u32 = 1 << 2;
/// Memory device status: the mailbox is there.
pub const MAILBOX_READY: u32 = 1 << 4;
/// Mailbox capability (8.2.8.4); the registers below are its.
pub const MAILBOX: u32 = DEVICE + 0x1e0;
/// Bit 0: doorbell.
pub const MAILBOX_CONTROL: u32 = MAILBOX + 0x04;
/// Opcode in bits 15:0, payload length in 36:16.
pub const MAILBOX_COMMAND: u32 = MAILBOX + 0x08;
/// Background operation in bit 0, return code in 47:32.
pub const MAILBOX_STATUS: u32 = MAILBOX + 0x10;
/// Background command: opcode in 15:0, percentage in 22:16, return code in 47:32.
pub const MAILBOX_BACKGROUND: u32 = MAILBOX + 0x18;
/// The payload.
pub const MAILBOX_PAYLOAD: u32 = MAILBOX + 0x20;
/// log2 of the payload's bytes.
pub const PAYLOAD_SHIFT: u32 = 9;
/// Bytes of the payload.
pub const PAYLOAD_BYTES: usize = 1 << PAYLOAD_SHIFT;

/// Why the monitor's interrupt is up: bit 0 doorbell, bit 1 event, bit 2 poison list overflow.
pub const STATUS: u32 = PRIVATE;
/// Window to be set: pid in 15:0, readable 16, writable 17.
pub const WINDOW_PID: u32 = PRIVATE + 0x10;
/// Window to be set: first page, low 32 bits.
pub const WINDOW_PAGE_LOW: u32 = PRIVATE + 0x14;
/// Window to be set: first page, high 4 bits.
pub const WINDOW_PAGE_HIGH: u32 = PRIVATE + 0x18;
/// Window to be set: pages of 4 KiB, 0 for none.
pub const WINDOW_PAGES: u32 = PRIVATE + 0x1c;
/// Writing a slot's index sets its window.
pub const WINDOW_SET: u32 = PRIVATE + 0x20;
/// Bit per used entry of the poison list.
pub const POISON_USED: u32 = PRIVATE + 0x40;
/// Entry of the poison list to look at or change.
pub const POISON_INDEX: u32 = PRIVATE + 0x44;
/// Line (DPA / 64) of that entry, low 32 bits; written, the line that [`POISON_CHANGE`] sets.
pub const POISON_LINE_LOW: u32 = PRIVATE + 0x48;
/// The same, high 14 bits.
pub const POISON_LINE_HIGH: u32 = PRIVATE + 0x4c;
/// Written: 1 sets the entry, 2 frees it, 4 forgets an overflow.
pub const POISON_CHANGE: u32 = PRIVATE + 0x50;
/// Entries of the poison list.
pub const POISON_ENTRIES: usize = 16;
/// The oldest event: word 0 to 2. See [`Event`].
pub const EVENT: u32 = PRIVATE + 0x80;
/// Events in the log (7:0) and events lost (31:8, saturating).
pub const EVENT_COUNT: u32 = PRIVATE + 0x8c;
/// Writing takes the oldest event off the log.
pub const EVENT_POP: u32 = PRIVATE + 0x90;

/// [`STATUS`] bits.
pub mod status {
    /// The host rang the mailbox's doorbell.
    pub const DOORBELL: u32 = 1;
    /// There is an event.
    pub const EVENT: u32 = 2;
    /// More lines are poisoned than the list holds: every read answers poison.
    pub const OVERFLOW: u32 = 4;
}

/// Slots of the aperture.
pub const WINDOWS: usize = 64;
/// log2 of the bytes of a slot: 256 MiB, the unit in which CXL tells capacity.
pub const WINDOW_SHIFT: u32 = 28;
/// Bytes of device physical address space: the aperture.
pub const APERTURE: u64 = (WINDOWS as u64) << WINDOW_SHIFT;

/// What a slot of the aperture shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Whose memory.
    pub pid: u16,
    /// First address, page-aligned.
    pub va: u64,
    /// Bytes, whole pages, at most a slot.
    pub bytes: u64,
    /// Loads are let through.
    pub read: bool,
    /// Stores are let through.
    pub write: bool,
}

/// Why a request through the aperture was answered with poison, or its data were dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// No HDM decoder claims the address.
    NotDecoded,
    /// The slot shows nothing there.
    NoWindow,
    /// The window lets no such access through.
    WindowPermission,
    /// The line is on the poison list.
    Poisoned,
    /// The component's own answer.
    Status(crate::request::Status),
}

impl Denial {
    /// From its code; `None` if there is no such one.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::NotDecoded,
            2 => Self::NoWindow,
            3 => Self::WindowPermission,
            4 => Self::Poisoned,
            9..=13 => match crate::request::Status::from_code(code - 8) {
                Some(status) => Self::Status(status),
                None => return None,
            },
            _ => return None,
        })
    }
}

/// An entry of the front end's event log: three words. Word 0: `[3:0]` reason, `[4]` a write,
/// `[11:8]` logical device, `[31:16]` tag; word 1 and 2: the host's line address (HPA / 64).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Why.
    pub denial: Denial,
    /// A write.
    pub write: bool,
    /// The request's logical device.
    pub ld_id: u8,
    /// The request's tag.
    pub tag: u16,
    /// The host's physical address.
    pub hpa: u64,
}

impl Event {
    /// From the three words; `None` if the reason is unknown.
    pub const fn decode(words: [u32; 3]) -> Option<Self> {
        match Denial::from_code(words[0] as u8 & 15) {
            Some(denial) => Some(Self {
                denial,
                write: words[0] >> 4 & 1 == 1,
                ld_id: (words[0] >> 8) as u8 & 15,
                tag: (words[0] >> 16) as u16,
                hpa: (words[1] as u64 | (words[2] as u64) << 32) << 6,
            }),
            None => None,
        }
    }
}

/// Why the link layer gave the link up: what no retry heals. Sections are those of CXL 3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// A control flit of unknown kind (4.2.7).
    Control = 1,
    /// A control flit between a message and its data (4.2.5).
    Interrupted = 2,
    /// A slot format that carries nothing of CXL.mem, or data that no header announced (4.2.3).
    Format = 3,
    /// A slot has a header where data are due (4.2.5).
    DataDue = 4,
    /// More Req than a flit may carry (4.2.5).
    TooMany = 5,
    /// Half a line, or byte enables that the message has not or lacks (4.2.3).
    Shape = 6,
    /// Something before INIT.Param, or a second one (4.2.7).
    Init = 7,
    /// More messages than credits were given for (4.2.3).
    Overflow = 8,
    /// More flits were acknowledged than sent (4.2.8.1).
    Acknowledged = 9,
    /// A flit was asked for that is not in the retry buffer (4.2.8.1).
    Forgotten = 10,
    /// Too many retries and trainings of the physical layer (4.2.8.5.1).
    Retries = 11,
}

impl LinkFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Control,
        Self::Interrupted,
        Self::Format,
        Self::DataDue,
        Self::TooMany,
        Self::Shape,
        Self::Init,
        Self::Overflow,
        Self::Acknowledged,
        Self::Forgotten,
        Self::Retries,
    ];

    /// From its code; `None` if there is no such one: 0 says that the link was not given up.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| *fault as u8 == code)
    }
}

/// The front end's registers from one of its two sides.
pub trait WordBus {
    /// Reads a word.
    ///
    /// # Errors
    /// [`BusError`](crate::bus::BusError) if there is no answer.
    fn read_word(&mut self, offset: u32) -> Result<u32, crate::bus::BusError>;

    /// Writes a word.
    ///
    /// # Errors
    /// [`BusError`](crate::bus::BusError) if there is no answer.
    fn write_word(&mut self, offset: u32, value: u32) -> Result<(), crate::bus::BusError>;
}
