//! Commands and replies of the memory monitor.
//!
//! A command is an opcode and a payload of up to 256 bytes of little-endian words; a reply is a
//! return code and a payload. The host writes payload and `MB_COMMAND`, rings the doorbell, waits
//! for it to clear, and reads `MB_STATUS` and the payload (in the style of CXL's mailbox).

use crate::geometry::PageSize;
use crate::regs::MAILBOX_WORDS;

/// Payload words of a command or a reply.
pub type Payload = [u32; MAILBOX_WORDS];

/// Most payload words of a command.
pub const COMMAND_WORDS: usize = 6;
/// The payload of a command, without what no command uses.
pub type CommandWords = [u32; COMMAND_WORDS];

/// Return code of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum ReturnCode {
    /// Done.
    Success = 0,
    /// Unknown opcode.
    UnknownCommand = 1,
    /// The payload's length is not the command's.
    BadLength = 2,
    /// A field is out of its range.
    BadArgument = 3,
    /// No range of virtual addresses is left whose buckets all have a free slot.
    NoAddress = 4,
    /// Fewer frames are left than were asked for.
    NoMemory = 5,
    /// The range is not (wholly) allocated to this pid.
    NotAllocated = 6,
    /// The memory was not allocated shareable.
    NotShareable = 7,
    /// The monitor's own tables are full.
    TablesFull = 8,
    /// The hardware did something that it should not; see the health record.
    Internal = 9,
    /// The memory failed its test, and nothing is served; the payload says where ([`MemoryFault`]).
    MemoryFault = 10,
}

impl ReturnCode {
    /// From the code in `MB_STATUS`.
    pub const fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnknownCommand,
            2 => Self::BadLength,
            3 => Self::BadArgument,
            4 => Self::NoAddress,
            5 => Self::NoMemory,
            6 => Self::NotAllocated,
            7 => Self::NotShareable,
            8 => Self::TablesFull,
            9 => Self::Internal,
            10 => Self::MemoryFault,
            _ => return None,
        })
    }
}

/// What a mapping allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Permission {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
}

impl Permission {
    /// Loads and stores.
    pub const RW: Self = Self { read: true, write: true };
    /// Loads only.
    pub const RO: Self = Self { read: true, write: false };

    /// Bit 0 READ, bit 1 WRITE.
    pub const fn bits(self) -> u32 {
        self.read as u32 | (self.write as u32) << 1
    }

    /// From the bits; `None` if others are set.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits > 3 {
            return None;
        }
        Some(Self { read: bits & 1 == 1, write: bits & 2 == 2 })
    }
}

/// A range of pages of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Owner.
    pub pid: u16,
    /// First byte, page-aligned; the address tells the page size.
    pub va: u64,
    /// Pages.
    pub pages: u32,
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// What the component is and has.
    Info,
    /// Allocate pages.
    Alloc {
        /// For whom.
        pid: u16,
        /// How many.
        pages: u32,
        /// Of which size.
        size: PageSize,
        /// What is allowed.
        permission: Permission,
        /// Populate now, so that the range can be shared later.
        shareable: bool,
    },
    /// Give a whole or partial allocation back.
    Free(Range),
    /// Change what is allowed.
    Protect(Range, Permission),
    /// Map a shareable range into another process.
    Share {
        /// What.
        source: Range,
        /// Into which process.
        pid: u16,
        /// What is allowed there.
        permission: Permission,
    },
    /// Give back all memory of a process.
    Drop {
        /// Which.
        pid: u16,
    },
    /// State of health.
    Health,
    /// The oldest events of the log, taken out of it (up to 15).
    Events,
    /// What the monitor before this one left when it failed.
    PostMortem,
}

impl Command {
    /// Opcode and payload length in bytes of each command.
    pub const INFO: (u16, u16) = (0x01, 0);
    /// See [`Command::Alloc`].
    pub const ALLOC: (u16, u16) = (0x10, 12);
    /// See [`Command::Free`].
    pub const FREE: (u16, u16) = (0x11, 16);
    /// See [`Command::Protect`].
    pub const PROTECT: (u16, u16) = (0x12, 20);
    /// See [`Command::Share`].
    pub const SHARE: (u16, u16) = (0x13, 24);
    /// See [`Command::Drop`].
    pub const DROP: (u16, u16) = (0x14, 4);
    /// See [`Command::Health`].
    pub const HEALTH: (u16, u16) = (0x20, 0);
    /// See [`Command::Events`].
    pub const EVENTS: (u16, u16) = (0x21, 0);
    /// See [`Command::PostMortem`].
    pub const POST_MORTEM: (u16, u16) = (0x22, 0);

    /// Writes the payload; gives opcode and length.
    pub fn encode(&self, p: &mut Payload) -> (u16, u16) {
        let (opcode, length, words) = self.words();
        let used = length as usize / 4;
        p[..used].copy_from_slice(&words[..used]);
        (opcode, length)
    }

    /// Opcode, length, and the payload's words, zeros behind them.
    pub fn words(&self) -> (u16, u16, CommandWords) {
        let mut p = [0; COMMAND_WORDS];
        let (opcode, length) = match *self {
            Self::Info => Self::INFO,
            Self::Alloc { pid, pages, size, permission, shareable } => {
                p[0] = pid as u32;
                p[1] = pages;
                p[2] = permission.bits()
                    | ((size == PageSize::Huge) as u32) << 8
                    | (shareable as u32) << 9;
                Self::ALLOC
            }
            Self::Free(range) => {
                range.encode(&mut p);
                Self::FREE
            }
            Self::Protect(range, permission) => {
                range.encode(&mut p);
                p[4] = permission.bits();
                Self::PROTECT
            }
            Self::Share { source, pid, permission } => {
                source.encode(&mut p);
                p[4] = pid as u32;
                p[5] = permission.bits();
                Self::SHARE
            }
            Self::Drop { pid } => {
                p[0] = pid as u32;
                Self::DROP
            }
            Self::Health => Self::HEALTH,
            Self::Events => Self::EVENTS,
            Self::PostMortem => Self::POST_MORTEM,
        };
        (opcode, length, p)
    }

    /// Reads a command. Every sequence of bytes gives a command or a return code that says why not.
    ///
    /// # Errors
    /// [`ReturnCode::UnknownCommand`], [`ReturnCode::BadLength`] or [`ReturnCode::BadArgument`].
    pub fn decode(opcode: u16, length: u16, p: &Payload) -> Result<Self, ReturnCode> {
        let [a, b, c, d, e, f, ..] = *p;
        Self::from_words(opcode, length, &[a, b, c, d, e, f])
    }

    /// As [`Self::decode`], from as many words as a command can have.
    ///
    /// # Errors
    /// Those of [`Self::decode`].
    pub fn from_words(opcode: u16, length: u16, p: &CommandWords) -> Result<Self, ReturnCode> {
        let (expected, command) = match opcode {
            0x01 => (Self::INFO, Ok(Self::Info)),
            0x10 => (Self::ALLOC, Self::decode_alloc(p)),
            0x11 => (Self::FREE, Range::decode(p).map(Self::Free)),
            0x12 => (Self::PROTECT, Self::decode_protect(p)),
            0x13 => (Self::SHARE, Self::decode_share(p)),
            0x14 => (Self::DROP, decode_pid(p[0]).map(|pid| Self::Drop { pid })),
            0x20 => (Self::HEALTH, Ok(Self::Health)),
            0x21 => (Self::EVENTS, Ok(Self::Events)),
            0x22 => (Self::POST_MORTEM, Ok(Self::PostMortem)),
            _ => return Err(ReturnCode::UnknownCommand),
        };
        if length != expected.1 {
            return Err(ReturnCode::BadLength);
        }
        command
    }

    fn decode_alloc(p: &CommandWords) -> Result<Self, ReturnCode> {
        if p[2] >> 10 != 0 || p[2] & 0xfc != 0 || p[1] == 0 {
            return Err(ReturnCode::BadArgument);
        }
        Ok(Self::Alloc {
            pid: decode_pid(p[0])?,
            pages: p[1],
            size: if p[2] >> 8 & 1 == 1 { PageSize::Huge } else { PageSize::Small },
            permission: decode_permission(p[2] & 3)?,
            shareable: p[2] >> 9 & 1 == 1,
        })
    }

    fn decode_protect(p: &CommandWords) -> Result<Self, ReturnCode> {
        Ok(Self::Protect(Range::decode(p)?, decode_permission(p[4])?))
    }

    fn decode_share(p: &CommandWords) -> Result<Self, ReturnCode> {
        Ok(Self::Share {
            source: Range::decode(p)?,
            pid: decode_pid(p[4])?,
            permission: decode_permission(p[5])?,
        })
    }
}

impl Range {
    fn encode(&self, p: &mut CommandWords) {
        p[0] = self.pid as u32;
        p[1] = self.pages;
        p[2] = self.va as u32;
        p[3] = (self.va >> 32) as u32;
    }

    fn decode(p: &CommandWords) -> Result<Self, ReturnCode> {
        let range =
            Self { pid: decode_pid(p[0])?, pages: p[1], va: p[2] as u64 | (p[3] as u64) << 32 };
        let size = PageSize::of(range.va);
        // Checked in this order: the shift of a 32-bit count by at most 21 bits cannot overflow.
        let fits = range.va >> crate::geometry::VA_BITS == 0
            && range.va % size.bytes() == 0
            && range.pages > 0
            && range.va + ((range.pages as u64) << size.shift()) <= Self::half_end(size);
        if fits {
            Ok(range)
        } else {
            Err(ReturnCode::BadArgument)
        }
    }

    /// Addresses of one page size end here.
    const fn half_end(size: PageSize) -> u64 {
        match size {
            PageSize::Small => 1 << crate::geometry::HUGE_BIT,
            PageSize::Huge => crate::geometry::VA_END,
        }
    }
}

fn decode_pid(word: u32) -> Result<u16, ReturnCode> {
    u16::try_from(word).map_err(|_| ReturnCode::BadArgument)
}

fn decode_permission(word: u32) -> Result<Permission, ReturnCode> {
    Permission::from_bits(word).ok_or(ReturnCode::BadArgument)
}

/// Reply to [`Command::Alloc`] and [`Command::Share`]: the first byte of the new range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub u64);

impl Address {
    /// Payload bytes.
    pub const BYTES: u16 = 8;

    /// Writes the payload.
    pub fn encode(self, p: &mut Payload) -> u16 {
        p[0] = self.0 as u32;
        p[1] = (self.0 >> 32) as u32;
        Self::BYTES
    }

    /// Reads the payload.
    pub fn decode(p: &Payload) -> Self {
        Self(p[0] as u64 | (p[1] as u64) << 32)
    }
}

macro_rules! word_record {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $fdoc:literal])+ $field:ident ),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: u32 ),+ }

        impl $name {
            /// Payload bytes.
            pub const BYTES: u16 = 4 * [$(stringify!($field)),+].len() as u16;

            /// Writes the payload.
            pub fn encode(&self, p: &mut Payload) -> u16 {
                let words = [$(self.$field),+];
                p[..words.len()].copy_from_slice(&words);
                Self::BYTES
            }

            /// Reads the payload.
            pub fn decode(p: &Payload) -> Self {
                let mut words = p.iter().copied();
                Self { $($field: words.next().unwrap_or(0)),+ }
            }
        }
    };
}

word_record! {
    /// Reply to [`Command::Info`].
    Info {
        /// Version of the monitor: major 16 bits, minor 16 bits.
        monitor_version,
        /// 4 KiB frames that the monitor manages.
        frames_total,
        /// 4 KiB frames in no allocation and not given to the hardware.
        frames_free,
        /// Buckets of the page table.
        buckets,
        /// Mappings in the page table.
        mappings,
        /// Processes that have memory.
        processes,
        /// log2 of the physical address space in bytes.
        pa_bits,
        /// What the monitor can and did: see the constants.
        capabilities,
    }
}

impl Info {
    /// Capability: a monitor that is started anew takes over what its predecessor allocated.
    pub const RECOVERS: u32 = 1 << 0;
    /// Capability: the memory was tested before requests were let in.
    pub const MEMORY_TESTED: u32 = 1 << 1;
    /// Capability: the hardware checks permissions.
    pub const PERMISSIONS: u32 = 1 << 2;
    /// Capability: the hardware has counters and histograms.
    pub const STATISTICS: u32 = 1 << 3;
}

word_record! {
    /// What stands in the mailbox with [`ReturnCode::MemoryFault`].
    MemoryFault {
        /// Physical byte address of a word of memory: low half.
        address_lo,
        /// High half.
        address_hi,
        /// The word's wrong bits. None: it is not known which; the 16 bytes from there on are lost.
        bits,
    }
}

word_record! {
    /// Reply to [`Command::Health`].
    Health {
        /// Bit 0: frames low. Bit 1: table nearly full. Bit 2: uncorrectable error seen.
        /// Bit 3: events were dropped.
        flags,
        /// First writes that found no frame.
        no_memory_events,
        /// Uncorrectable errors.
        uncorrectable_events,
        /// Commands handled.
        commands,
        /// Commands refused.
        commands_refused,
        /// Frame runs given to the zeroing engine.
        refills,
        /// Shootdowns done.
        shootdowns,
        /// Longest shootdown in cycles.
        shootdown_cycles_max,
        /// Allocations refused because no address range had room in its buckets.
        no_address,
        /// The monitor was started again without a reset of the component (1), or not (0).
        restarts,
    }
}

impl Health {
    /// Flag: frames are low.
    pub const FRAMES_LOW: u32 = 1 << 0;
    /// Flag: the page table is nearly full.
    pub const TABLE_FULL: u32 = 1 << 1;
    /// Flag: an uncorrectable error was seen.
    pub const UNCORRECTABLE: u32 = 1 << 2;
    /// Flag: events were dropped.
    pub const EVENTS_DROPPED: u32 = 1 << 3;
}

word_record! {
    /// Reply to [`Command::PostMortem`]; behind it up to [`POST_MORTEM_TEXT`] words of UTF-8 text,
    /// padded with zeros.
    PostMortem {
        /// 0 none, 1 panic, 2 processor exception, 3 no sign of life until the watchdog.
        kind,
        /// Times that the monitor was started since power-up.
        starts,
        /// Exception: `mcause`.
        cause,
        /// Exception: where, `mepc`.
        pc,
        /// Exception: the faulting address or instruction, `mtval`. Panic: the line.
        value,
        /// When: low half of the core's clocks since power-up.
        time_lo,
        /// High half of it.
        time_hi,
        /// The part of the firmware that failed, see [`Compartment`].
        compartment,
    }
}

/// Parts of the monitor's firmware, where they are kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Compartment {
    /// What has all rights: start, gates between the others, watchdog. The whole monitor, where
    /// nothing is kept apart.
    Kernel = 0,
    /// The mailbox's parser.
    Parser = 1,
    /// The allocator and page-table writer.
    Allocator = 2,
    /// Health, events, counters.
    Telemetry = 3,
}

impl Compartment {
    /// From its number.
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Kernel,
            1 => Self::Parser,
            2 => Self::Allocator,
            3 => Self::Telemetry,
            _ => return None,
        })
    }

    /// Its name, as in the firmware's table of compartments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Parser => "parser",
            Self::Allocator => "allocator",
            Self::Telemetry => "telemetry",
        }
    }
}

/// Words of text behind a [`PostMortem`].
pub const POST_MORTEM_TEXT: usize = 32;

/// Events in one reply to [`Command::Events`]: word 0 is the count, then four words each.
pub const EVENTS_PER_REPLY: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range() -> impl Strategy<Value = Range> {
        (any::<u16>(), 0u64..1 << 30, 1u32..1000, any::<bool>()).prop_map(
            |(pid, n, pages, huge)| {
                let va = if huge { 1 << 47 | (n % (1 << 20)) << 21 } else { n << 12 };
                Range { pid, va, pages }
            },
        )
    }

    fn permission() -> impl Strategy<Value = Permission> {
        (any::<bool>(), any::<bool>()).prop_map(|(read, write)| Permission { read, write })
    }

    fn command() -> impl Strategy<Value = Command> {
        prop_oneof![
            Just(Command::Info),
            Just(Command::Health),
            Just(Command::Events),
            Just(Command::PostMortem),
            any::<u16>().prop_map(|pid| Command::Drop { pid }),
            range().prop_map(Command::Free),
            (range(), permission()).prop_map(|(r, p)| Command::Protect(r, p)),
            (range(), any::<u16>(), permission())
                .prop_map(|(source, pid, permission)| Command::Share { source, pid, permission }),
            (any::<u16>(), 1u32.., permission(), any::<bool>(), any::<bool>()).prop_map(
                |(pid, pages, permission, huge, shareable)| Command::Alloc {
                    pid,
                    pages,
                    size: if huge { PageSize::Huge } else { PageSize::Small },
                    permission,
                    shareable,
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn commands_survive_the_mailbox(command in command()) {
            let mut p = [0; MAILBOX_WORDS];
            let (opcode, length) = command.encode(&mut p);
            prop_assert_eq!(Command::decode(opcode, length, &p), Ok(command));
            prop_assert_eq!(
                Command::decode(opcode, length + 4, &p),
                Err(ReturnCode::BadLength)
            );
        }

        #[test]
        fn any_bytes_give_a_command_or_a_code(
            opcode in prop_oneof![0u16..0x30, any::<u16>()],
            length in prop_oneof![0u16..32, any::<u16>()],
            words in prop::array::uniform32(any::<u32>()),
        ) {
            let mut p = [0; MAILBOX_WORDS];
            p[..32].copy_from_slice(&words);
            if let Ok(command) = Command::decode(opcode, length, &p) {
                let mut again = [0; MAILBOX_WORDS];
                prop_assert_eq!(command.encode(&mut again), (opcode, length));
            }
        }
    }
}
