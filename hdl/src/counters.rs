//! The counters.
//!
//! In: what happened in this cycle. Out: the registers COUNTERS.
//!
//! Each counter is a small tally beside its event and a 64-bit total in a RAM. A sweep visits one
//! counter a cycle, adds its tally to its total and starts the tally anew. A read of a low word waits
//! for the sweep, at most 35 cycles, and so gives the exact count up to one cycle after the read began;
//! the high word of the same moment is kept for the side that read.

use crate::prim::LutRam;
use crate::registers::{constant, Access, Select, WORD_BITS};
use crate::written::WrittenWords;
use rust_hdl::prelude::*;
use splitmem_abi::regs::{self, Counter};

/// Bits that name a counter: half of the words of COUNTERS.
pub const COUNTER_BITS: usize = (regs::COUNTERS.count / 2).ilog2() as usize;
/// A tally counts at most two a cycle, for as many cycles as a sweep takes.
const TALLY_BITS: usize = COUNTER_BITS + 2;

/// What happened in one cycle, a bit per counter, in the order of `abi`'s [`Counter`].
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Happened {
    pub cycles: Bit,
    pub reads: Bit,
    pub writes: Bit,
    pub atomics: Bit,
    pub ok: Bit,
    pub not_mapped: Bit,
    pub no_permission: Bit,
    pub no_memory: Bit,
    pub bad_request: Bit,
    pub uncorrectable: Bit,
    pub tlb_hits: Bit,
    pub tlb_misses: Bit,
    pub walks: Bit,
    pub walk_merges: Bit,
    /// Not counted: the peak is kept apart.
    pub walks_peak: Bit,
    pub faults_4k: Bit,
    pub faults_2m: Bit,
    pub zero_reads: Bit,
    pub zeroed_4k: Bit,
    pub zeroed_2m: Bit,
    pub line_waits: Bit,
    pub dram_reads: Bit,
    pub dram_writes: Bit,
    pub port_stalls: Bit,
    pub shootdowns: Bit,
}

/// Counts between two visits of the sweep. A visit takes the count of all cycles before it.
#[derive(LogicBlock)]
pub struct Tally {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub sweep: Signal<In, Bits<COUNTER_BITS>>,
    pub one: Signal<In, Bit>,
    /// A second one in the same cycle.
    pub another: Signal<In, Bit>,
    /// The tally while it is visited, else zero.
    pub taken: Signal<Out, Bits<TALLY_BITS>>,
    tally: DFF<Bits<TALLY_BITS>>,
    rest: Signal<Local, Bits<TALLY_BITS>>,
    added: Signal<Local, Bits<TALLY_BITS>>,
    index: Constant<Bits<COUNTER_BITS>>,
}

impl Tally {
    pub fn new(index: usize) -> Self {
        with_defaults!(Self {
            index: constant(index as u64),
        } clock clear sweep one another taken tally rest added)
    }
}

impl Logic for Tally {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, tally);
        self.taken.next = 0.into();
        self.rest.next = self.tally.q.val();
        if self.sweep.val() == self.index.val() {
            self.taken.next = self.tally.q.val();
            self.rest.next = 0.into();
        }
        self.added.next = 0.into();
        if self.one.val() || self.another.val() {
            self.added.next = 1.into();
        }
        if self.one.val() && self.another.val() {
            self.added.next = 2.into();
        }
        self.tally.d.next = self.rest.val() + self.added.val();
        if self.clear.val() {
            self.tally.d.next = 0.into();
        }
    }
}

#[derive(LogicBlock)]
pub struct Counters {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    /// The register being read needs more time.
    pub waits: Signal<Out, Bit>,
    pub clear: Signal<In, Bit>,
    pub happened: Signal<In, Happened>,
    /// A second stalled port in the same cycle.
    pub another_stall: Signal<In, Bit>,
    pub walks_now: Signal<In, Bits<7>>,

    select: Select,
    tallies: Vec<Tally>,
    _tallies: usize,
    sweep: DFF<Bits<COUNTER_BITS>>,
    taken: DFF<Bits<TALLY_BITS>>,
    taken_of: DFF<Bits<COUNTER_BITS>>,
    totals: LutRam<Bits<64>, COUNTER_BITS>,
    /// The total that was read, what is added to it, and whose it is.
    total: DFF<Bits<64>>,
    added: DFF<Bits<TALLY_BITS>>,
    of: DFF<Bits<COUNTER_BITS>>,
    written: WrittenWords,
    peak: DFF<Bits<7>>,
    waiting: DFF<Bit>,
    low: DFF<Bits<32>>,
    m_high: DFF<Bits<32>>,
    h_high: DFF<Bits<32>>,
    /// What happened in the last cycle.
    events: DFF<Bits<25>>,
    stalled: DFF<Bit>,
    clearing: DFF<Bit>,
    walking: DFF<Bits<7>>,
    seconds: Signal<Local, Bits<25>>,
    visited: Signal<Local, Bits<TALLY_BITS>>,
    sum: Signal<Local, Bits<64>>,
    word: Signal<Local, Bits<WORD_BITS>>,
    is_high: Signal<Local, Bit>,
    wanted: Signal<Local, Bits<COUNTER_BITS>>,
    stalls: Constant<Bits<COUNTER_BITS>>,
    peak_index: Constant<Bits<COUNTER_BITS>>,
}

impl Default for Counters {
    fn default() -> Self {
        let tallies = Counter::ALL.len();
        with_defaults!(Self {
            select: Select::new(&regs::COUNTERS),
            tallies: (0..tallies).map(Tally::new).collect(),
            _tallies: tallies,
            totals: LutRam::new(1 << COUNTER_BITS),
            stalls: constant(Counter::PortStalls as u64),
            peak_index: constant(Counter::WalksPeak as u64),
        } clock bus read_data waits clear happened another_stall walks_now sweep taken taken_of
          total added of written peak waiting low m_high h_high events stalled clearing walking
          seconds visited sum word is_high wanted)
    }
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, sweep, taken, taken_of, peak, waiting, low, m_high, h_high);
        dff_setup!(self, clock, total, added, of, events, stalled, clearing, walking);
        clock!(self, clock, select, totals, written);
        self.select.bus.next = self.bus.val();

        self.events.d.next = self.happened.val().into();
        self.stalled.d.next = self.another_stall.val();
        self.clearing.d.next = self.clear.val();
        self.walking.d.next = self.walks_now.val();
        self.seconds.next = 0.into();
        if self.stalled.q.val() {
            self.seconds.next = 1.into();
        }
        self.seconds.next = self.seconds.val() << self.stalls.val();
        self.visited.next = 0.into();
        for i in 0..self._tallies {
            self.tallies[i].clock.next = self.clock.val();
            self.tallies[i].clear.next = self.clearing.q.val();
            self.tallies[i].sweep.next = self.sweep.q.val();
            self.tallies[i].one.next = self.events.q.val().get_bit(i);
            self.tallies[i].another.next = self.seconds.val().get_bit(i);
            self.visited.next = self.visited.val() | self.tallies[i].taken.val();
        }
        if self.walking.q.val() > self.peak.q.val() {
            self.peak.d.next = self.walking.q.val();
        }
        self.sweep.d.next = self.sweep.q.val() + 1;
        self.taken.d.next = self.visited.val();
        self.taken_of.d.next = self.sweep.q.val();

        self.totals.read_address.next = self.taken_of.q.val();
        self.total.d.next = 0.into();
        if self.written.bits.val().get_bit(self.taken_of.q.val().index()) {
            self.total.d.next = self.totals.read_data.val();
        }
        self.added.d.next = self.taken.q.val();
        self.of.d.next = self.taken_of.q.val();

        self.sum.next = self.total.q.val() + bit_cast::<64, TALLY_BITS>(self.added.q.val());
        if self.of.q.val() == self.peak_index.val() {
            self.sum.next = bit_cast::<64, 7>(self.peak.q.val());
        }
        self.totals.write_address.next = self.of.q.val();
        self.totals.write_data.next = self.sum.val();
        self.totals.write_enable.next = true;
        self.written.index.next = bit_cast::<6, COUNTER_BITS>(self.of.q.val());
        self.written.set.next = true;
        self.written.clear.next = self.clearing.q.val() || self.bus.val().reset;

        // Words are in pairs, the low one first.
        self.word.next = self.bus.val().address;
        self.is_high.next = self.word.val().get_bit(0);
        self.wanted.next = bit_cast::<COUNTER_BITS, WORD_BITS>(self.word.val() >> 1);
        if self.select.reads.val() && !self.is_high.val() {
            self.waiting.d.next = true;
        }
        if self.waiting.q.val() && (self.of.q.val() == self.wanted.val()) {
            self.waiting.d.next = false;
            self.low.d.next = bit_cast::<32, 64>(self.sum.val());
            if self.bus.val().host {
                self.h_high.d.next = self.sum.val().get_bits::<32>(32);
            } else {
                self.m_high.d.next = self.sum.val().get_bits::<32>(32);
            }
        }
        self.waits.next = self.waiting.q.val();
        self.read_data.next = 0.into();
        if self.select.selected.val() {
            self.read_data.next = self.low.q.val();
            if self.is_high.val() {
                self.read_data.next = self.m_high.q.val();
                if self.bus.val().host {
                    self.read_data.next = self.h_high.q.val();
                }
            }
        }
        if self.clearing.q.val() || self.bus.val().reset {
            self.taken.d.next = 0.into();
            self.total.d.next = 0.into();
            self.added.d.next = 0.into();
            self.peak.d.next = 0.into();
        }
        if self.bus.val().reset {
            self.events.d.next = 0.into();
            self.stalled.d.next = false;
            self.walking.d.next = 0.into();
            self.sweep.d.next = 0.into();
            self.waiting.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_in_the_order_of_the_counters() {
        let TypeKind::Composite(fields) = Happened::descriptor().kind else { panic!() };
        let names: Vec<_> = fields.iter().map(|field| field.fieldname.as_str()).collect();
        assert_eq!(names, Counter::ALL.map(|(_, name)| name));
        assert_eq!(Happened::BITS, Counter::ALL.len());
    }
}
