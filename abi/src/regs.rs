//! The register map.
//!
//! 32-bit registers in a 4 KiB window. Two buses reach it: the monitor's (firmware) and the host's
//! (BAR0 or the like); each register says what each side may do. An access that a side may not make,
//! or to an address where nothing stands, changes nothing, reads zero and raises the bus's error.

use crate::config::HwConfig;

/// What one side may do with a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: reads zero with an error, writes are dropped with an error.
    None,
    /// Read. Writes are dropped with an error.
    Ro,
    /// Read and write.
    Rw,
    /// Write. Reads give zero with an error.
    Wo,
    /// Read; writing one to a bit clears it.
    W1c,
    /// Read, which takes the value out of its queue. Writes are dropped with an error.
    Pop,
}

impl Access {
    /// Whether a read is allowed.
    pub const fn reads(self) -> bool {
        !matches!(self, Self::None | Self::Wo)
    }

    /// Whether a write is allowed.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Rw | Self::Wo | Self::W1c)
    }
}

/// What a register reads after reset.
#[derive(Clone, Copy, Debug)]
pub enum Reset {
    /// Always this.
    Value(u32),
    /// This function of the hardware's parameters.
    Config(fn(&HwConfig) -> u32),
    /// Not fixed: it follows the hardware's state.
    Volatile,
}

/// A field of a register.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Lowest bit.
    pub lsb: u32,
    /// Bits.
    pub width: u32,
    /// What it means.
    pub doc: &'static str,
}

impl Field {
    /// The field's bits in the register.
    pub const fn mask(&self) -> u32 {
        (((1u64 << self.width) - 1) as u32) << self.lsb
    }

    /// The field's value in `register`.
    pub const fn get(&self, register: u32) -> u32 {
        (register & self.mask()) >> self.lsb
    }

    /// `value` at the field's place; bits that do not fit are cut.
    pub const fn put(&self, value: u32) -> u32 {
        value << self.lsb & self.mask()
    }
}

/// A register, or a run of equal ones.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// Name.
    pub name: &'static str,
    /// Byte offset in the window.
    pub offset: u16,
    /// How many stand in a row, four bytes apart.
    pub count: u16,
    /// What it reads after reset.
    pub reset: Reset,
    /// What the monitor may do.
    pub monitor: Access,
    /// What the host may do.
    pub host: Access,
    /// Its fields; bits outside them read zero. Empty: one field of 32 bits.
    pub fields: &'static [Field],
    /// What it is.
    pub doc: &'static str,
}

impl Register {
    /// Bits that exist.
    pub const fn mask(&self) -> u32 {
        if self.fields.is_empty() {
            return u32::MAX;
        }
        let mut mask = 0;
        let mut i = 0;
        while i < self.fields.len() {
            mask |= self.fields[i].mask();
            i += 1;
        }
        mask
    }

    /// Byte offset of the `i`-th register of a run.
    pub const fn at(&self, i: u16) -> u16 {
        self.offset + 4 * i
    }

    /// What it reads after reset in a component of these parameters, if that is fixed.
    pub fn reset_value(&self, config: &HwConfig) -> Option<u32> {
        match self.reset {
            Reset::Value(v) => Some(v),
            Reset::Config(f) => Some(f(config)),
            Reset::Volatile => None,
        }
    }
}

macro_rules! registers {
    ($( $(#[doc = $doc:literal])+ $name:ident [$count:literal] @ $offset:literal :
        $monitor:ident / $host:ident = $reset:expr ;
        $( { $( $field:ident $lsb:literal + $width:literal : $fdoc:literal ),+ $(,)? } )? )+) => {
        $(
            $(#[doc = $doc])+
            pub const $name: Register = Register {
                name: stringify!($name),
                offset: $offset,
                count: $count,
                reset: $reset,
                monitor: Access::$monitor,
                host: Access::$host,
                fields: &[ $( $( Field {
                    name: stringify!($field), lsb: $lsb, width: $width, doc: $fdoc,
                } ),+ )? ],
                doc: concat!($($doc, "\n"),+),
            };
        )+
        /// Every register, by offset.
        pub const ALL: &[Register] = &[ $( $name ),+ ];
        $crate::regs::paste_fields! { $( $name { $( $( $field $lsb $width ),+ )? } )+ }
    };
}
pub(crate) use registers;

/// Makes `field::REGISTER_FIELD` constants without a procedural macro: one module per register.
macro_rules! paste_fields {
    ($( $name:ident { $( $field:ident $lsb:literal $width:literal ),* } )+) => {
        /// The fields of each register: `field::TE_STATUS::BUSY`.
        #[allow(non_snake_case)]
        pub mod field {
            $(
                #[allow(missing_docs)]
                pub mod $name {
                    $( pub const $field: super::super::Field = super::super::Field {
                        name: stringify!($field), lsb: $lsb, width: $width, doc: "",
                    }; )*
                }
            )+
        }
    };
}

pub(crate) use paste_fields;

/// Size of the register window in bytes.
pub const WINDOW_BYTES: u16 = 0x1000;
/// What [`ID`] reads: "SPLM".
pub const ID_VALUE: u32 = u32::from_le_bytes(*b"SPLM");
/// What [`VERSION`] reads: major 16 bits, minor 16 bits.
pub const VERSION_VALUE: u32 = 0x0001_0000;
/// Words of the mailbox payload.
pub const MAILBOX_WORDS: usize = 64;
/// Ops that the histograms tell apart, see [`crate::request::Op`].
pub const HISTOGRAM_OPS: usize = 4;
/// Bins of one histogram: bin b counts latencies of 2^b to 2^(b+1)-1 cycles; the last one, all above.
pub const HISTOGRAM_BINS: usize = 16;

const fn log2(value: u32) -> u32 {
    value.trailing_zeros()
}

registers! {
    /// The component's signature, "SPLM".
    ID[1] @ 0x000: Ro / Ro = Reset::Value(ID_VALUE);
    /// Version of this register map.
    VERSION[1] @ 0x004: Ro / Ro = Reset::Value(VERSION_VALUE);
    {
        MINOR 0 + 16: "Minor: registers were added",
        MAJOR 16 + 16: "Major: registers changed their meaning"
    }
    /// Parameters of the translation path.
    HW_PATH[1] @ 0x008: Ro / Ro = Reset::Config(|c| {
        log2(c.tlb_sets) | log2(c.tlb_ways) << 4 | log2(c.walk_entries) << 8
            | log2(c.port_slots) << 12 | log2(c.event_log) << 16
            | (c.check_permissions as u32) << 20 | (c.statistics as u32) << 21
    });
    {
        TLB_SETS 0 + 4: "log2 of the TLB's sets",
        TLB_WAYS 4 + 4: "log2 of the TLB's ways",
        WALKS 8 + 4: "log2 of the walks in flight",
        SLOTS 12 + 4: "log2 of the requests in flight per port",
        EVENTS 16 + 4: "log2 of the event log's depth",
        PERMISSIONS 20 + 1: "Permissions are checked",
        STATISTICS 21 + 1: "Counters and histograms exist"
    }
    /// Parameters of the memory side.
    HW_MEMORY[1] @ 0x00C: Ro / Ro = Reset::Config(|c| {
        c.pa_bits | log2(c.dram_data_bits) << 8 | log2(c.free_4k) << 12
            | c.free_2m.checked_ilog2().unwrap_or(0) << 16 | log2(c.zero_queue) << 20
    });
    {
        PA_BITS 0 + 6: "Physical address bits",
        DRAM_BITS 8 + 4: "log2 of the DRAM port's data bits",
        FREE_4K 12 + 4: "log2 of the 4 KiB free list's depth",
        FREE_2M 16 + 4: "log2 of the 2 MiB free list's depth; 0: there is none",
        ZERO_QUEUE 20 + 4: "log2 of the zeroing queue's depth"
    }
    /// Switches.
    CONTROL[1] @ 0x010: Rw / Ro = Reset::Value(0);
    {
        ENABLE 0 + 1: "The request ports accept. Set it when the table is cleared and TABLE_* are right",
        CLEAR_STATS 1 + 1: "Writing one clears counters and histograms; reads zero"
    }
    /// State.
    STATUS[1] @ 0x014: Ro / Ro = Reset::Volatile;
    {
        READY 0 + 1: "The TLB was cleared after reset; registers other than ID..STATUS may be used",
        IDLE 1 + 1: "No request is in flight",
        ZERO_BUSY 2 + 1: "The zeroing engine has work",
        TE_BUSY 3 + 1: "The table engine has work",
        SD_BUSY 4 + 1: "A shootdown is not yet complete"
    }
    /// First frame of the page table.
    TABLE_BASE[1] @ 0x018: Rw / None = Reset::Value(0);
    { FRAME 0 + 28: "Frame number, pa[39:12]" }
    /// Size of the page table.
    TABLE_SIZE[1] @ 0x01C: Rw / None = Reset::Value(6);
    { LOG2 0 + 5: "log2 of its buckets, 6 (one frame) to 24" }
    /// Why the monitor is interrupted. A level cause comes back at once if it still holds.
    IRQ_STATUS[1] @ 0x020: W1c / None = Reset::Volatile;
    {
        DOORBELL 0 + 1: "Edge: the host rang the mailbox's doorbell",
        FREE_4K_LOW 1 + 1: "Level: fewer than FREE_4K_LOW cleared or queued 4 KiB frames are left",
        FREE_2M_LOW 2 + 1: "Level: fewer than FREE_2M_LOW cleared or queued 2 MiB frames are left",
        NO_MEMORY 3 + 1: "Edge: a first write found no frame",
        EVENT 4 + 1: "Level: the event log is not empty",
        TE_DONE 5 + 1: "Edge: the table engine finished",
        SD_DONE 6 + 1: "Edge: the shootdown completed",
        UNCORRECTABLE 7 + 1: "Edge: the DRAM reported poison"
    }
    /// Which causes raise the monitor's interrupt.
    IRQ_MASK[1] @ 0x024: Rw / None = Reset::Value(0);
    { CAUSES 0 + 8: "One bit per cause, as in IRQ_STATUS" }
    /// Why the host is interrupted.
    HOST_IRQ_STATUS[1] @ 0x028: Ro / W1c = Reset::Value(0);
    { REPLY 0 + 1: "Edge: the monitor answered a mailbox command" }
    /// Which causes raise the host's interrupt.
    HOST_IRQ_MASK[1] @ 0x02C: Ro / Rw = Reset::Value(0);
    { CAUSES 0 + 1: "One bit per cause, as in HOST_IRQ_STATUS" }

    /// First frame of the next run to clear.
    ZERO_BASE[1] @ 0x040: Rw / None = Reset::Value(0);
    { FRAME 0 + 28: "Frame number; a multiple of 512 for 2 MiB frames" }
    /// Hands a run of frames to the zeroing engine, which clears each and appends it to its free
    /// list. Dropped, with OVERFLOW set, when the queue has no room, COUNT is zero, or there is no
    /// list of that size.
    ZERO_PUSH[1] @ 0x044: Wo / None = Reset::Value(0);
    {
        COUNT 0 + 16: "Frames in the run, in units of their size",
        HUGE 31 + 1: "The run is of 2 MiB frames"
    }
    /// The zeroing engine.
    ZERO_STATUS[1] @ 0x048: Ro / None = Reset::Config(|c| c.zero_queue);
    {
        ROOM 0 + 8: "Runs that can still be pushed",
        BUSY 8 + 1: "It has work",
        OVERFLOW 9 + 1: "A push was dropped since reset"
    }
    /// Cleared 4 KiB frames ready to be granted.
    FREE_4K[1] @ 0x04C: Ro / None = Reset::Value(0);
    { COUNT 0 + 16: "Frames in the list" }
    /// Cleared 2 MiB frames ready to be granted.
    FREE_2M[1] @ 0x050: Ro / None = Reset::Value(0);
    { COUNT 0 + 16: "Frames in the list" }
    /// 4 KiB frames pushed and not yet granted: queued, being cleared, or in the list.
    PENDING_4K[1] @ 0x054: Ro / None = Reset::Value(0);
    { COUNT 0 + 24: "Frames" }
    /// 2 MiB frames pushed and not yet granted.
    PENDING_2M[1] @ 0x058: Ro / None = Reset::Value(0);
    { COUNT 0 + 24: "Frames" }
    /// Threshold of IRQ_STATUS.FREE_4K_LOW, compared with PENDING_4K.
    FREE_4K_LOW[1] @ 0x05C: Rw / None = Reset::Value(0);
    { COUNT 0 + 24: "Frames" }
    /// Threshold of IRQ_STATUS.FREE_2M_LOW, compared with PENDING_2M.
    FREE_2M_LOW[1] @ 0x060: Rw / None = Reset::Value(0);
    { COUNT 0 + 24: "Frames" }
    /// Takes a cleared 4 KiB frame out of the free list, for a mapping that is populated when it is
    /// made (shared memory).
    FREE_4K_POP[1] @ 0x064: Pop / None = Reset::Value(0);
    {
        FRAME 0 + 28: "Frame number",
        VALID 31 + 1: "There was one"
    }
    /// Takes a cleared 2 MiB frame out of the free list.
    FREE_2M_POP[1] @ 0x068: Pop / None = Reset::Value(0);
    {
        FRAME 0 + 28: "Frame number of its first 4 KiB",
        VALID 31 + 1: "There was one"
    }

    /// Process of the table engine's next command.
    TE_PID[1] @ 0x080: Rw / None = Reset::Value(0);
    { PID 0 + 16: "Process" }
    /// Low half of its first virtual address.
    TE_VA_LO[1] @ 0x084: Rw / None = Reset::Value(0);
    /// High half of its first virtual address.
    TE_VA_HI[1] @ 0x088: Rw / None = Reset::Value(0);
    { VA 0 + 16: "va[47:32]" }
    /// Pages it works on, of the size that the address selects.
    TE_COUNT[1] @ 0x08C: Rw / None = Reset::Value(0);
    { PAGES 0 + 19: "Pages; zero is done at once" }
    /// What INSERT and PROTECT write.
    TE_FLAGS[1] @ 0x090: Rw / None = Reset::Value(0);
    {
        READ 1 + 1: "Loads are allowed",
        WRITE 2 + 1: "Stores are allowed",
        SHARED 3 + 1: "The frames have other mappings (INSERT; PROTECT keeps what stands)",
        PRESENT 8 + 1: "INSERT maps the frames from TE_FRAME on"
    }
    /// First frame of an INSERT with PRESENT; each page takes the next one.
    TE_FRAME[1] @ 0x094: Rw / None = Reset::Value(0);
    { FRAME 0 + 28: "Frame number" }
    /// Starts the table engine. Ignored while it is busy.
    TE_COMMAND[1] @ 0x098: Wo / None = Reset::Value(0);
    { CODE 0 + 3: "1 insert, 2 unmap, 3 collect, 4 protect, 5 query" }
    /// State of the table engine. On an error it stopped at page TE_DONE, which is unchanged.
    TE_STATUS[1] @ 0x09C: Ro / None = Reset::Value(0);
    {
        BUSY 0 + 1: "It has work",
        ERROR 1 + 3: "0 none, 1 bucket full, 2 not found, 3 exists already, 4 bad command, 5 poison"
    }
    /// Pages completed by the last command.
    TE_DONE[1] @ 0x0A0: Ro / None = Reset::Value(0);
    { PAGES 0 + 19: "Pages" }
    /// Frames of collected pages, in page order (only those that were PRESENT), and the entry that
    /// QUERY found. The engine waits while this queue (16 deep) is full.
    TE_RESULT[1] @ 0x0A4: Pop / None = Reset::Value(0);
    {
        FRAME 0 + 28: "Frame number",
        WRITE 28 + 1: "The entry allowed stores",
        SHARED 29 + 1: "The frame has other mappings: do not recycle it",
        PRESENT 30 + 1: "The entry had a frame",
        VALID 31 + 1: "There was a result"
    }

    /// Process of the next shootdown.
    SD_PID[1] @ 0x0C0: Rw / None = Reset::Value(0);
    { PID 0 + 16: "Process" }
    /// Low half of its first virtual address.
    SD_VA_LO[1] @ 0x0C4: Rw / None = Reset::Value(0);
    /// High half of its first virtual address.
    SD_VA_HI[1] @ 0x0C8: Rw / None = Reset::Value(0);
    { VA 0 + 16: "va[47:32]" }
    /// Pages of a page shootdown.
    SD_COUNT[1] @ 0x0CC: Rw / None = Reset::Value(1);
    { PAGES 0 + 19: "Pages, of the size that the address selects" }
    /// Starts a shootdown. Ignored while one is under way. It is complete only when no request in
    /// flight can still use the old translation.
    SD_COMMAND[1] @ 0x0D0: Wo / None = Reset::Value(0);
    { CODE 0 + 2: "1 pages, 2 the whole pid, 3 everything" }
    /// State of the shootdown.
    SD_STATUS[1] @ 0x0D4: Ro / None = Reset::Value(0);
    { BUSY 0 + 1: "Not yet complete" }
    /// Cycles that the last shootdown took.
    SD_CYCLES[1] @ 0x0D8: Ro / None = Reset::Value(0);

    /// The event log.
    EVENT_STATUS[1] @ 0x0E0: Ro / None = Reset::Value(0);
    {
        COUNT 0 + 16: "Events in the log",
        DROPPED 16 + 16: "Events lost because it was full; stays at 65535"
    }
    /// The oldest event, see `event`.
    EVENT[4] @ 0x0E4: Ro / None = Reset::Value(0);
    /// Drops the oldest event.
    EVENT_POP[1] @ 0x0F4: Wo / None = Reset::Value(0);

    /// Mailbox command (CXL 3.0, 8.2.8.4 in style): the host writes it while the doorbell is clear.
    MB_COMMAND[1] @ 0x100: Ro / Rw = Reset::Value(0);
    {
        OPCODE 0 + 16: "Command",
        LENGTH 16 + 16: "Bytes of payload"
    }
    /// Mailbox answer: the monitor writes it before it clears the doorbell.
    MB_STATUS[1] @ 0x104: Rw / Ro = Reset::Value(0);
    {
        CODE 0 + 16: "Return code",
        LENGTH 16 + 16: "Bytes of payload"
    }
    /// Mailbox doorbell. The host writes one: a command stands ready. The monitor writes one: it was
    /// answered (the bit clears, HOST_IRQ_STATUS.REPLY is set). Reads one while the monitor owns the
    /// mailbox; the host's writes to MB_COMMAND and MB_PAYLOAD are dropped with an error meanwhile.
    MB_DOORBELL[1] @ 0x108: W1c / Rw = Reset::Value(0);
    { BUSY 0 + 1: "The monitor owns the mailbox" }
    /// Mailbox payload, request and answer.
    MB_PAYLOAD[64] @ 0x200: Rw / Rw = Reset::Value(0);

    /// Counters, 64 bits each: the low word at 8n, the high word, taken when the low one was read,
    /// at 8n + 4. See `Counter`.
    COUNTERS[64] @ 0x400: Ro / Ro = Reset::Volatile;
    /// Latency histograms: four ops of 16 bins. The latency runs from the acceptance of a request to
    /// the end of its last DRAM answer.
    HISTOGRAM[64] @ 0x800: Ro / Ro = Reset::Value(0);
}

/// The counters, in the order of [`COUNTERS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Counter {
    /// Clock cycles since reset or CLEAR_STATS.
    Cycles = 0,
    /// Reads accepted.
    Reads,
    /// Writes accepted.
    Writes,
    /// Atomics accepted.
    Atomics,
    /// Requests answered ok.
    Ok,
    /// Requests answered not mapped.
    NotMapped,
    /// Requests answered no permission.
    NoPermission,
    /// Requests answered no memory.
    NoMemory,
    /// Requests answered bad request.
    BadRequest,
    /// Requests answered uncorrectable.
    Uncorrectable,
    /// Lookups that hit the TLB.
    TlbHits,
    /// Lookups that missed it.
    TlbMisses,
    /// Bucket lines read by the walker.
    Walks,
    /// Misses that joined a walk already in flight.
    WalkMerges,
    /// Most walks in flight at once.
    WalksPeak,
    /// 4 KiB frames granted to first writes.
    Faults4k,
    /// 2 MiB frames granted to first writes.
    Faults2m,
    /// Reads answered with zeros because the page has no frame yet.
    ZeroReads,
    /// 4 KiB frames cleared.
    Zeroed4k,
    /// 2 MiB frames cleared.
    Zeroed2m,
    /// Requests that waited for an earlier one to the same line.
    LineWaits,
    /// Lines read from DRAM.
    DramReads,
    /// Lines written to DRAM.
    DramWrites,
    /// Cycles in which a request stood at a port and was not accepted.
    PortStalls,
    /// Shootdowns completed.
    Shootdowns,
}

impl Counter {
    /// All of them, in order, with their names.
    pub const ALL: [(Self, &'static str); 25] = [
        (Self::Cycles, "cycles"),
        (Self::Reads, "reads"),
        (Self::Writes, "writes"),
        (Self::Atomics, "atomics"),
        (Self::Ok, "ok"),
        (Self::NotMapped, "not_mapped"),
        (Self::NoPermission, "no_permission"),
        (Self::NoMemory, "no_memory"),
        (Self::BadRequest, "bad_request"),
        (Self::Uncorrectable, "uncorrectable"),
        (Self::TlbHits, "tlb_hits"),
        (Self::TlbMisses, "tlb_misses"),
        (Self::Walks, "walks"),
        (Self::WalkMerges, "walk_merges"),
        (Self::WalksPeak, "walks_peak"),
        (Self::Faults4k, "faults_4k"),
        (Self::Faults2m, "faults_2m"),
        (Self::ZeroReads, "zero_reads"),
        (Self::Zeroed4k, "zeroed_4k"),
        (Self::Zeroed2m, "zeroed_2m"),
        (Self::LineWaits, "line_waits"),
        (Self::DramReads, "dram_reads"),
        (Self::DramWrites, "dram_writes"),
        (Self::PortStalls, "port_stalls"),
        (Self::Shootdowns, "shootdowns"),
    ];

    /// Offset of its low word.
    pub const fn offset(self) -> u16 {
        COUNTERS.at(2 * self as u16)
    }
}

/// Codes of [`TE_COMMAND`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum TableCommand {
    /// Makes entries; stops at a page that has one (exists already) or whose bucket is full. A
    /// request may still join a walk of the page that began before, and be answered not mapped;
    /// where that matters, a shootdown (also one of zero pages) ends such walks.
    Insert = 1,
    /// Marks entries DYING: new walks answer not mapped. Stops at a page without a valid entry.
    Unmap = 2,
    /// Clears DYING entries and reports their frames. To be used after the shootdown: until then a
    /// fault in flight may still give the page a frame. Stops at a page without a dying entry.
    Collect = 3,
    /// Replaces READ and WRITE. Stops at a page without a valid entry.
    Protect = 4,
    /// Reports the entry of one page (valid or not found).
    Query = 5,
}

/// Codes of `TE_STATUS.ERROR`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum TableError {
    /// All four slots of the page's bucket are taken.
    BucketFull = 1,
    /// No such entry.
    NotFound = 2,
    /// The page has an entry already.
    Exists = 3,
    /// Unknown command.
    BadCommand = 4,
    /// The DRAM reported poison for the bucket.
    Poison = 5,
}

impl TableError {
    /// From the code; `None` for zero (no error) and unknown codes.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::BucketFull),
            2 => Some(Self::NotFound),
            3 => Some(Self::Exists),
            4 => Some(Self::BadCommand),
            5 => Some(Self::Poison),
            _ => None,
        }
    }
}

/// Codes of [`SD_COMMAND`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ShootdownCommand {
    /// `SD_COUNT` pages of a pid.
    Pages = 1,
    /// All pages of a pid.
    Pid = 2,
    /// Everything.
    All = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_do_not_overlap() {
        let mut end = 0;
        for r in ALL {
            assert!(r.offset >= end && r.offset % 4 == 0, "{}", r.name);
            end = r.offset + 4 * r.count;
            assert!(end <= WINDOW_BYTES);
            let mut seen = 0u32;
            for f in r.fields {
                assert_eq!(seen & f.mask(), 0, "{}.{}", r.name, f.name);
                seen |= f.mask();
            }
        }
    }

    #[test]
    fn reset_values_fit_their_fields() {
        for config in [HwConfig::LARGE, HwConfig::SMALL, HwConfig::MICRO] {
            for r in ALL {
                let value = r.reset_value(&config).unwrap_or(0);
                assert_eq!(value & !r.mask(), 0, "{}", r.name);
            }
        }
    }

    #[test]
    fn counters_fit_and_are_in_order() {
        for (i, (counter, _)) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, i);
        }
        assert!(2 * Counter::ALL.len() <= COUNTERS.count as usize);
        assert_eq!(HISTOGRAM.count as usize, HISTOGRAM_OPS * HISTOGRAM_BINS);
        assert_eq!(MB_PAYLOAD.count as usize, MAILBOX_WORDS);
    }
}
