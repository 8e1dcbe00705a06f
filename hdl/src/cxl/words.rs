//! Registers of the front end, and the inner bus that reaches them.
//!
//! An access: the address stands, `selected` follows one cycle later, then `write` is a pulse, then
//! all `read_data`, ORed, are taken. [`super::port`] drives it.

use crate::prim::Param;
use rust_hdl::prelude::*;

/// Bits of a word address: 256 KiB.
pub const WORD_BITS: usize = 16;

#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct WordAccess {
    pub reset: Bit,
    pub address: Bits<WORD_BITS>,
    pub data: Bits<32>,
    /// The host's access, not the monitor's.
    pub host: Bit,
    pub write: Bit,
}

/// Whether an access goes to one word, or to a run of words.
#[derive(LogicBlock, Default)]
pub struct WordSelect {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub selected: Signal<Out, Bit>,
    pub writes: Signal<Out, Bit>,
    here: DFF<Bit>,
    first: Param<Bits<WORD_BITS>>,
    mask: Param<Bits<WORD_BITS>>,
}

impl WordSelect {
    /// `bytes`, a power of two, from `offset` on, a multiple of it.
    pub fn new(offset: u32, bytes: u32) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= 4 && offset % bytes == 0);
        let mask = u64::from(!(bytes / 4 - 1)) & ((1 << WORD_BITS) - 1);
        Self {
            first: Param::new(u64::from(offset / 4).into()),
            mask: Param::new(mask.into()),
            ..Default::default()
        }
    }
}

impl Logic for WordSelect {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, here);
        self.here.d.next = (self.bus.val().address & self.mask.val()) == self.first.val();
        self.selected.next = self.here.q.val();
        self.writes.next = self.here.q.val() && self.bus.val().write;
    }
}

/// A register that keeps what is written to it: of the host's writes the bits of one mask, of the
/// monitor's those of another. While `locked`, the host's writes change nothing.
#[derive(LogicBlock, Default)]
pub struct Word {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub locked: Signal<In, Bit>,
    pub value: Signal<Out, Bits<32>>,
    pub writes: Signal<Out, Bit>,
    pub read_data: Signal<Out, Bits<32>>,
    select: WordSelect,
    stored: DFF<Bits<32>>,
    mask: Signal<Local, Bits<32>>,
    host_mask: Param<Bits<32>>,
    monitor_mask: Param<Bits<32>>,
    at_reset: Param<Bits<32>>,
}

impl Word {
    pub fn new(offset: u32, host_mask: u32, monitor_mask: u32, at_reset: u32) -> Self {
        Self {
            select: WordSelect::new(offset, 4),
            host_mask: Param::new(u64::from(host_mask).into()),
            monitor_mask: Param::new(u64::from(monitor_mask).into()),
            at_reset: Param::new(u64::from(at_reset).into()),
            ..Default::default()
        }
    }
}

impl Logic for Word {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, stored);
        clock!(self, clock, select);
        self.select.bus.next = self.bus.val();
        self.value.next = self.stored.q.val();
        self.writes.next = self.select.writes.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.stored.q.val();
        }
        self.mask.next = self.monitor_mask.val();
        if self.bus.val().host {
            self.mask.next = self.host_mask.val();
        }
        if self.select.writes.val() && !(self.locked.val() && self.bus.val().host) {
            self.stored.d.next = (self.stored.q.val() & (!self.mask.val()))
                | (self.bus.val().data & self.mask.val());
        }
        if self.bus.val().reset {
            self.stored.d.next = self.at_reset.val();
        }
    }
}

/// A register whose bits hardware sets and software clears by writing ones to them.
#[derive(LogicBlock, Default)]
pub struct StickyWord {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub set: Signal<In, Bits<32>>,
    pub read_data: Signal<Out, Bits<32>>,
    select: WordSelect,
    stored: DFF<Bits<32>>,
    kept: Signal<Local, Bits<32>>,
}

impl StickyWord {
    pub fn new(offset: u32) -> Self {
        Self { select: WordSelect::new(offset, 4), ..Default::default() }
    }
}

impl Logic for StickyWord {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, stored);
        clock!(self, clock, select);
        self.select.bus.next = self.bus.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.stored.q.val();
        }
        self.kept.next = self.stored.q.val();
        if self.select.writes.val() {
            self.kept.next = self.stored.q.val() & (!self.bus.val().data);
        }
        self.stored.d.next = self.kept.val() | self.set.val();
        if self.bus.val().reset {
            self.stored.d.next = 0.into();
        }
    }
}

/// A register whose value the hardware gives.
#[derive(LogicBlock, Default)]
pub struct LiveWord {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub value: Signal<In, Bits<32>>,
    pub writes: Signal<Out, Bit>,
    pub read_data: Signal<Out, Bits<32>>,
    select: WordSelect,
}

impl LiveWord {
    pub fn new(offset: u32) -> Self {
        Self { select: WordSelect::new(offset, 4), ..Default::default() }
    }
}

impl Logic for LiveWord {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, select);
        self.select.bus.next = self.bus.val();
        self.writes.next = self.select.writes.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.value.val();
        }
    }
}

/// Registers that never change: what the device can do.
#[derive(LogicBlock, Default)]
pub struct FixedWords {
    pub address: Signal<In, Bits<WORD_BITS>>,
    pub read_data: Signal<Out, Bits<32>>,
    _words: Vec<(u32, u32)>,
}

impl FixedWords {
    /// Offsets and values.
    pub fn new(words: Vec<(u32, u32)>) -> Self {
        Self { _words: words, ..Default::default() }
    }
}

impl Logic for FixedWords {
    fn update(&mut self) {
        let offset = self.address.val().index() as u32 * 4;
        let found = self._words.iter().find(|(at, _)| *at == offset);
        self.read_data.next = found.map_or(0, |(_, value)| u64::from(*value)).into();
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        let cases: String = self
            ._words
            .iter()
            .map(|(at, value)| {
                format!("    {WORD_BITS}'h{:x}: read_data = 32'h{value:08x};\n", at / 4)
            })
            .collect();
        Verilog::Custom(format!(
            "always @(*) begin\n  case (address)\n{cases}    default: read_data = 32'd0;\n  \
             endcase\nend\n"
        ))
    }
}
