//! The latency histograms, one per op.
//!
//! In: at most one retired request a cycle with its op and latency (`retire`, op codes above the four
//! known ones are not counted). Out: the registers HISTOGRAM. An answer is in its bin three cycles
//! later: find the bin, see whether it holds anything, count.

use crate::prim::{BlockRam, LutRam};
use crate::registers::{constant, Access, Select};
use crate::written::WrittenWords;
use rust_hdl::prelude::*;
use splitmem_abi::regs::{self, HISTOGRAM_BINS, HISTOGRAM_OPS};

/// Bits of a bin's index.
const BIN_BITS: usize = HISTOGRAM_BINS.ilog2() as usize;

#[derive(LogicBlock)]
pub struct Histogram {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub clear: Signal<In, Bit>,
    pub retire: Signal<In, Bit>,
    pub op: Signal<In, Bits<3>>,
    pub latency: Signal<In, Bits<16>>,

    select: Select,
    found: DFF<Bit>,
    found_index: DFF<Bits<6>>,
    counted: DFF<Bit>,
    index: DFF<Bits<6>>,
    /// The bin was counted in since it was cleared.
    holds: DFF<Bit>,
    /// The bins, as the hardware counts and, the same again, as software reads them.
    counts: LutRam<Bits<32>, 6>,
    mirror: BlockRam<Bits<32>, 6>,
    written: WrittenWords,
    /// The bin that the RAM shows was counted in; the selected bin: a block RAM's output comes late in its
    /// cycle.
    shows: DFF<Bit>,
    taken: DFF<Bits<32>>,
    bin: Signal<Local, Bits<BIN_BITS>>,
    old: Signal<Local, Bits<32>>,
    raised: Signal<Local, Bits<32>>,
    at: Signal<Local, Bits<6>>,
    _bins: usize,
    ops: Constant<Bits<3>>,
    bin_bits: Constant<Bits<3>>,
}

impl Default for Histogram {
    fn default() -> Self {
        with_defaults!(Self {
            select: Select::new(&regs::HISTOGRAM),
            counts: LutRam::new(HISTOGRAM_OPS * HISTOGRAM_BINS),
            mirror: BlockRam::new(HISTOGRAM_OPS * HISTOGRAM_BINS),
            _bins: HISTOGRAM_BINS,
            ops: constant(HISTOGRAM_OPS as u64),
            bin_bits: constant(BIN_BITS as u64),
        } clock bus read_data clear retire op latency found found_index counted index holds written
          shows taken bin old raised at)
    }
}

impl Logic for Histogram {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, found, found_index, counted, index, holds, shows, taken);
        clock!(self, clock, select, counts, mirror, written);
        self.select.bus.next = self.bus.val();

        // The bin is the place of the highest bit that is set.
        self.bin.next = 0.into();
        for i in 0..self._bins {
            if self.latency.val().get_bit(i) {
                self.bin.next = i.to_bits::<BIN_BITS>();
            }
        }
        self.found.d.next = self.retire.val() && (self.op.val() < self.ops.val());
        self.found_index.d.next = (bit_cast::<6, 3>(self.op.val()) << self.bin_bits.val())
            | bit_cast::<6, BIN_BITS>(self.bin.val());

        self.counted.d.next = self.found.q.val();
        self.index.d.next = self.found_index.q.val();
        self.holds.d.next = self.written.bits.val().get_bit(self.found_index.q.val().index());
        if self.counted.q.val() && (self.index.q.val() == self.found_index.q.val()) {
            self.holds.d.next = true;
        }

        self.counts.read_address.next = self.index.q.val();
        self.old.next = 0.into();
        if self.holds.q.val() {
            self.old.next = self.counts.read_data.val();
        }
        self.raised.next = self.old.val() + 1;
        self.counts.write_address.next = self.index.q.val();
        self.counts.write_data.next = self.raised.val();
        self.counts.write_enable.next = self.counted.q.val();
        self.mirror.write_address.next = self.index.q.val();
        self.mirror.write_data.next = self.raised.val();
        self.mirror.write_enable.next = self.counted.q.val();
        self.written.index.next = self.index.q.val();
        self.written.set.next = self.counted.q.val();
        self.written.clear.next = self.clear.val() || self.bus.val().reset;

        self.at.next = bit_cast::<6, 10>(self.bus.val().address);
        self.mirror.read_address.next = self.at.val();
        self.taken.d.next = 0.into();
        self.shows.d.next = self.written.bits.val().get_bit(self.at.val().index());
        if self.select.selected.val() && self.shows.q.val() {
            self.taken.d.next = self.mirror.read_data.val();
        }
        self.read_data.next = self.taken.q.val();
        if self.clear.val() || self.bus.val().reset {
            self.found.d.next = false;
            self.counted.d.next = false;
        }
    }
}
