//! Registers as `abi::regs` defines them, and the inner bus that reaches them.
//!
//! Offsets, widths, field positions and reset values all come from `abi` when a block is made. One
//! access on the inner bus looks like this; [`crate::bus`] drives it:
//!
//! | cycle | 1 | 2 | 3 | 4 | 5 and on |
//! | --- | --- | --- | --- | --- | --- |
//! | `address`, `data`, `host` | stable | stable | stable | stable | stable |
//! | a register's `selected` |  | 1 | 1 | 1 | 1 |
//! | `read` or `write` |  |  | 1 |  |  |
//! | `read_data` taken |  |  |  |  | as soon as no block is busy |

use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{Field, Register};

/// Bits of a word address in the register window.
pub const WORD_BITS: usize = 10;

/// The inner bus. `read` and `write` are pulses of one cycle, given only for accesses that the side
/// may make; all else stands still from two cycles before to the end of the access.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Access {
    pub reset: Bit,
    pub address: Bits<WORD_BITS>,
    pub data: Bits<32>,
    pub host: Bit,
    pub read: Bit,
    pub write: Bit,
}

/// A constant of the emitted hardware.
pub fn constant<const N: usize>(value: u64) -> Constant<Bits<N>> {
    Constant::new(value.into())
}

/// The lowest bit of a field, to shift by.
pub fn lsb(field: Field) -> Constant<Bits<5>> {
    constant(field.lsb as u64)
}

/// Whether the access goes to one register, or to a run of them.
///
/// `selected` follows the address after one cycle; `reads` and `writes` are the bus's pulses for
/// this register.
#[derive(LogicBlock)]
pub struct Select {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub selected: Signal<Out, Bit>,
    pub reads: Signal<Out, Bit>,
    pub writes: Signal<Out, Bit>,
    here: DFF<Bit>,
    first: Constant<Bits<WORD_BITS>>,
    mask: Constant<Bits<WORD_BITS>>,
}

impl Select {
    pub fn new(register: &Register) -> Self {
        let (first, count) = (register.offset / 4, register.count);
        assert!(count.is_power_of_two() && first % count == 0, "{}: not aligned", register.name);
        Self::words(first, count)
    }

    /// The `i`-th register of a run.
    pub fn nth(register: &Register, i: u16) -> Self {
        assert!(i < register.count);
        Self::words(register.at(i) / 4, 1)
    }

    fn words(first: u16, count: u16) -> Self {
        with_defaults!(Self {
            first: constant(first as u64),
            mask: constant(!(count as u64 - 1) & ((1 << WORD_BITS) - 1)),
        } clock bus selected reads writes here)
    }
}

impl Logic for Select {
    #[hdl_gen]
    fn update(&mut self) {
        self.here.clock.next = self.clock.val();
        self.here.d.next = (self.bus.val().address & self.mask.val()) == self.first.val();
        self.selected.next = self.here.q.val();
        self.reads.next = self.here.q.val() && self.bus.val().read;
        self.writes.next = self.here.q.val() && self.bus.val().write;
    }
}

/// A register that is plainly written and read back. `value` changes the cycle after the write.
#[derive(LogicBlock)]
pub struct RwRegister {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub value: Signal<Out, Bits<32>>,
    pub selected: Signal<Out, Bit>,
    /// Pulse: it was written. The value is on the bus.
    pub writes: Signal<Out, Bit>,
    pub read_data: Signal<Out, Bits<32>>,
    select: Select,
    stored: DFF<Bits<32>>,
    mask: Constant<Bits<32>>,
    at_reset: Constant<Bits<32>>,
}

impl RwRegister {
    pub fn new(register: &Register, config: &HwConfig) -> Self {
        Self::masked(register, register.mask(), config)
    }

    /// Only the bits of `mask` are kept; the others read zero.
    pub fn masked(register: &Register, mask: u32, config: &HwConfig) -> Self {
        let at_reset = register.reset_value(config).unwrap_or(0);
        with_defaults!(Self {
            select: Select::new(register),
            mask: constant(mask as u64),
            at_reset: constant(at_reset as u64),
        } clock bus value selected writes read_data stored)
    }
}

impl Logic for RwRegister {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, stored);
        clock!(self, clock, select);
        self.select.bus.next = self.bus.val();
        self.value.next = self.stored.q.val();
        self.selected.next = self.select.selected.val();
        self.writes.next = self.select.writes.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.stored.q.val();
        }
        if self.select.writes.val() {
            self.stored.d.next = self.bus.val().data & self.mask.val();
        }
        if self.bus.val().reset {
            self.stored.d.next = self.at_reset.val();
        }
    }
}

/// A register whose value the hardware gives, and which tells when it was read or written.
#[derive(LogicBlock)]
pub struct HwRegister {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub value: Signal<In, Bits<32>>,
    pub read_data: Signal<Out, Bits<32>>,
    /// Pulse: it was read.
    pub reads: Signal<Out, Bit>,
    /// Pulse: it was written. The value is on the bus.
    pub writes: Signal<Out, Bit>,
    select: Select,
}

impl HwRegister {
    pub fn new(register: &Register) -> Self {
        Self::nth(register, 0)
    }

    /// The `i`-th register of a run.
    pub fn nth(register: &Register, i: u16) -> Self {
        with_defaults!(Self {
            select: Select::nth(register, i),
        } clock bus value read_data reads writes)
    }
}

impl Logic for HwRegister {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, select);
        self.select.bus.next = self.bus.val();
        self.reads.next = self.select.reads.val();
        self.writes.next = self.select.writes.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.value.val();
        }
    }
}
