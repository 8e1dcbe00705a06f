//! The microprogrammed component: all of the machine around its stores.
//!
//! A step takes two cycles. In the first one the scratch word and the memory's word are read; in the
//! second R is computed and goes where the step says, and the next step is fetched. A memory that is
//! not ready lengthens the cycle that needs it.
//!
//! Registers: `bus_valid` and the access stand until `bus_done`, a pulse in which `bus_rdata` and
//! `bus_error` count; then `bus_valid` falls for at least a cycle. `bus_host` tells whose access it is.
//!
//! Memory: a word at `mem_address` in each cycle with `mem_valid` and `mem_ready`. What is read stands
//! in `mem_rdata` from the next cycle on, to the next one that is taken.

use super::alu::Alu;
use super::sequencer::Sequencer;
use super::store::{HashPart, Rom};
use crate::prim::BlockRam;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Component {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub bus_valid: Signal<In, Bit>,
    pub bus_host: Signal<In, Bit>,
    pub bus_write: Signal<In, Bit>,
    pub bus_addr: Signal<In, Bits<12>>,
    pub bus_wdata: Signal<In, Bits<32>>,
    pub bus_done: Signal<Out, Bit>,
    pub bus_error: Signal<Out, Bit>,
    pub bus_rdata: Signal<Out, Bits<32>>,
    pub irq_monitor: Signal<Out, Bit>,
    pub irq_host: Signal<Out, Bit>,
    pub mem_valid: Signal<Out, Bit>,
    pub mem_ready: Signal<In, Bit>,
    pub mem_write: Signal<Out, Bit>,
    pub mem_address: Signal<Out, Bits<16>>,
    /// Bytes of a write.
    pub mem_mask: Signal<Out, Bits<2>>,
    pub mem_wdata: Signal<Out, Bits<16>>,
    pub mem_rdata: Signal<In, Bits<16>>,
    /// A request took effect. For checkers.
    pub retired: Signal<Out, Bit>,

    control: Rom<10>,
    registers: Rom<8>,
    scratch: BlockRam<Bits<16>, 10>,
    hash: HashPart,
    alu: Alu,
    sequencer: Sequencer,
    second: DFF<Bit>,
    a: DFF<Bits<16>>,
    x: DFF<Bits<10>>,
    m: DFF<Bits<16>>,
    k: DFF<Bits<16>>,
    carry: DFF<Bit>,
    cycle: DFF<Bits<32>>,
    read_low: DFF<Bits<16>>,
    read_high: DFF<Bits<16>>,
    done: DFF<Bit>,
    error: DFF<Bit>,
    lines: DFF<Bits<2>>,

    word: Signal<Local, Bits<64>>,
    source: Signal<Local, Bits<4>>,
    constant: Signal<Local, Bits<16>>,
    at: Signal<Local, Bits<10>>,
    waits: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    b: Signal<Local, Bits<16>>,
    r: Signal<Local, Bits<16>>,
    entry: Signal<Local, Bits<64>>,
    has: Signal<Local, Bits<32>>,
    aligned: Signal<Local, Bit>,
    rights: Signal<Local, Bits<4>>,
    allowed: Signal<Local, Bit>,
    absent: Signal<Local, Bit>,
    access: Signal<Local, Bits<16>>,
    chosen: Signal<Local, Bits<16>>,
}

impl Component {
    pub fn new() -> Self {
        let program = super::program::assemble();
        Self {
            control: Rom::new(program.words()),
            registers: Rom::new(super::program::register_words(&program)),
            scratch: BlockRam::new(1 << super::word::SCRATCH_BITS),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.bus_valid.connect();
        self.bus_host.connect();
        self.bus_write.connect();
        self.bus_addr.connect();
        self.bus_wdata.connect();
        self.mem_ready.connect();
        self.mem_rdata.connect();
        self.connect_all();
    }
}

impl Logic for Component {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, second, a, x, m, k, carry, cycle, read_low, read_high, done, error);
        dff_setup!(self, clock, lines);
        clock!(self, clock, control, registers, scratch, sequencer);
        self.cycle.d.next = self.cycle.q.val() + 1;

        // The step.
        self.word.next = self.control.word.val();
        self.source.next = self.word.val().get_bits::<4>(25);
        self.constant.next = self.word.val().get_bits::<16>(33);
        self.mem_valid.next = ((self.source.val() == 2) && !self.second.q.val())
            || (self.word.val().get_bit(56) && self.second.q.val());
        self.waits.next = self.mem_valid.val() && !self.mem_ready.val();
        self.second.d.next = self.second.q.val() ^ !self.waits.val();
        self.ends.next = self.second.q.val() && !self.waits.val();
        self.sequencer.reset.next = self.reset.val();
        self.sequencer.ends.next = self.ends.val();
        self.sequencer.way.next = self.word.val().get_bits::<4>(10);
        self.sequencer.target.next = self.word.val().get_bits::<10>(0);
        self.control.address.next = self.sequencer.fetch.val();
        self.control.enable.next = self.ends.val() || self.reset.val();

        // What is read.
        self.at.next = self.word.val().get_bits::<10>(14);
        if self.word.val().get_bit(24) {
            self.at.next = self.word.val().get_bits::<10>(14) | self.x.q.val();
        }
        self.scratch.read_address.next = self.at.val();
        self.mem_write.next = self.second.q.val();
        self.mem_address.next = self.m.q.val();
        self.mem_mask.next = 3.into();
        if self.word.val().get_bit(57) {
            self.mem_mask.next = self.k.q.val().get_bits::<2>(0);
        }

        // The register access.
        self.registers.address.next = self.bus_addr.val().get_bits::<8>(2);
        self.registers.enable.next = true;
        self.entry.next = self.registers.word.val();
        self.has.next = self.entry.val().get_bits::<32>(32);
        self.aligned.next = self.bus_addr.val().get_bits::<2>(0) == 0;
        self.rights.next = self.entry.val().get_bits::<4>(20);
        if self.bus_host.val() {
            self.rights.next = self.entry.val().get_bits::<4>(20) >> 2;
        }
        self.allowed.next = self.aligned.val()
            && (self.bus_addr.val().get_bits::<2>(10) == 0)
            && ((self.rights.val().get_bit(0) && !self.bus_write.val())
                || (self.rights.val().get_bit(1) && self.bus_write.val()));
        // Counters and histograms: there are none.
        self.absent.next = self.aligned.val()
            && !self.bus_write.val()
            && ((self.bus_addr.val().get_bits::<4>(8) == 4)
                || (self.bus_addr.val().get_bits::<4>(8) == 8));
        self.access.next = bit_cast::<16, 9>(self.bus_addr.val().get_bits::<9>(1))
            | (bit_cast::<16, 1>(self.bus_host.val().into()) << 13)
            | (bit_cast::<16, 1>(self.absent.val().into()) << 14)
            | (bit_cast::<16, 1>(self.allowed.val().into()) << 15);
        self.sequencer.register.next = self.entry.val().get_bits::<10>(0);
        if self.bus_write.val() {
            self.sequencer.register.next = self.entry.val().get_bits::<10>(10);
        }
        self.sequencer.access.next = self.bus_valid.val() && !self.done.q.val();

        // B.
        self.hash.word.next = self.scratch.read_data.val();
        self.hash.select.next = 0.into();
        if self.source.val() == 9 {
            self.hash.select.next = 1.into();
        }
        if self.source.val() == 10 {
            self.hash.select.next = 2.into();
        }
        if self.source.val() == 11 {
            self.hash.select.next = 3.into();
        }
        self.b.next = bit_cast::<16, 11>(self.hash.sum.val());
        if self.source.val() == 0 {
            self.b.next = self.scratch.read_data.val();
        }
        if self.source.val() == 1 {
            self.b.next = self.constant.val();
        }
        if self.source.val() == 2 {
            self.b.next = self.mem_rdata.val();
        }
        if self.source.val() == 3 {
            self.b.next = self.m.q.val();
        }
        if self.source.val() == 4 {
            self.b.next = self.access.val();
        }
        if self.source.val() == 5 {
            self.b.next = self.bus_wdata.val().get_bits::<16>(0) & self.has.val().get_bits::<16>(0);
        }
        if self.source.val() == 6 {
            self.b.next =
                self.bus_wdata.val().get_bits::<16>(16) & self.has.val().get_bits::<16>(16);
        }
        if self.source.val() == 7 {
            self.b.next = self.cycle.q.val().get_bits::<16>(0);
        }
        if self.source.val() == 8 {
            self.b.next = self.cycle.q.val().get_bits::<16>(16);
        }

        // R, and the way on.
        self.alu.operation.next = self.word.val().get_bits::<4>(29);
        self.alu.a.next = self.a.q.val();
        self.alu.b.next = self.b.val();
        self.alu.carry_in.next = self.carry.q.val();
        self.r.next = self.alu.result.val();
        self.mem_wdata.next = self.r.val();
        self.sequencer.zero.next = self.alu.zero.val();
        self.sequencer.carry.next = self.alu.carry.val();
        self.chosen.next = self.b.val() >> self.constant.val().get_bits::<4>(0);
        self.sequencer.selected.next = self.chosen.val().get_bit(0);
        self.sequencer.line_end.next = self.m.q.val().get_bits::<5>(0) == 31;
        self.sequencer.entry_end.next = self.m.q.val().get_bits::<3>(0) == 7;
        self.sequencer.scratch_end.next = self.x.q.val() == 1023;

        // What the step does.
        self.scratch.write_address.next = self.at.val();
        self.scratch.write_data.next = self.r.val();
        self.scratch.write_enable.next = self.ends.val() && self.word.val().get_bit(50);
        self.done.d.next = false;
        self.error.d.next = false;
        self.retired.next = false;
        if self.ends.val() {
            if self.alu.is_sum.val() {
                self.carry.d.next = self.alu.carry.val();
            }
            if self.word.val().get_bit(49) {
                self.a.d.next = self.r.val();
            }
            if self.word.val().get_bit(54) {
                self.x.d.next = self.x.q.val() + 1;
            }
            if self.word.val().get_bit(51) {
                self.x.d.next = self.r.val().get_bits::<10>(0);
            }
            if self.word.val().get_bit(55) {
                self.m.d.next = self.m.q.val() + 1;
            }
            if self.word.val().get_bit(52) {
                self.m.d.next = self.r.val();
            }
            if self.word.val().get_bit(57) {
                self.k.d.next = self.k.q.val() >> 2;
            }
            if self.word.val().get_bit(53) {
                self.k.d.next = self.r.val();
            }
            if self.word.val().get_bit(58) {
                self.read_low.d.next = self.r.val();
            }
            if self.word.val().get_bit(59) {
                self.read_high.d.next = self.r.val();
            }
            if self.word.val().get_bit(60) {
                self.lines.d.next =
                    (self.lines.q.val() & 2) | bit_cast::<2, 1>((!self.alu.zero.val()).into());
            }
            if self.word.val().get_bit(61) {
                self.lines.d.next = (self.lines.q.val() & 1)
                    | (bit_cast::<2, 1>((!self.alu.zero.val()).into()) << 1);
            }
            self.done.d.next = self.word.val().get_bits::<2>(62) == 1;
            if self.word.val().get_bits::<2>(62) == 2 {
                self.done.d.next = true;
                self.error.d.next = true;
            }
            self.retired.next = self.word.val().get_bits::<2>(62) == 3;
        }
        self.bus_done.next = self.done.q.val();
        self.bus_error.next = self.error.q.val();
        self.bus_rdata.next = bit_cast::<32, 16>(self.read_low.q.val())
            | (bit_cast::<32, 16>(self.read_high.q.val()) << 16);
        self.irq_monitor.next = self.lines.q.val().get_bit(0);
        self.irq_host.next = self.lines.q.val().get_bit(1);
        if self.reset.val() {
            self.second.d.next = false;
            self.done.d.next = false;
            self.error.d.next = false;
            self.lines.d.next = 0.into();
            self.cycle.d.next = 0.into();
        }
    }
}
