//! The poison list: lines whose data are known to be bad, by device physical address.
//!
//! A poisoned write lists its line, a whole good one takes it off, a read of a listed line is
//! answered with poison. If the list is full when a line has to be listed, *every* read is answered
//! with poison until the monitor forgets the overflow: bad data are never given out as good. The
//! monitor reads the list, and adds and removes lines, for the mailbox's poison commands.

use super::words::{LiveWord, Word, WordAccess};
use crate::prim::{Cam, Encode, LutRam};
use rust_hdl::prelude::*;
use splitmem_abi::cxl;

#[derive(LogicBlock)]
pub struct PoisonList {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    /// A line; `poisoned` in the same cycle.
    pub line: Signal<In, Bits<46>>,
    pub poisoned: Signal<Out, Bit>,
    /// Lists `line`.
    pub add: Signal<In, Bit>,
    /// Takes `line` off.
    pub remove: Signal<In, Bit>,
    pub overflow: Signal<Out, Bit>,

    used_word: LiveWord,
    index: Word,
    line_low: LiveWord,
    line_high: LiveWord,
    asked_low: Word,
    asked_high: Word,
    change: LiveWord,
    lines: Cam<46>,
    copies: LutRam<Bits<46>, 4>,
    used: DFF<Bits<16>>,
    overflows: DFF<Bit>,
    hits: Signal<Local, Bits<64>>,
    free: Encode,
    one: Signal<Local, Bits<16>>,
    vacant: Signal<Local, Bits<16>>,
    /// The first vacant entry.
    first: Signal<Local, Bits<16>>,
    listed: Signal<Local, Bits<16>>,
    removed: Signal<Local, Bits<16>>,
    write: Signal<Local, Bit>,
    write_at: Signal<Local, Bits<7>>,
    write_line: Signal<Local, Bits<46>>,
    by_monitor: Signal<Local, Bit>,
    /// A change of the monitor's that waits for a cycle without one of the host's.
    waits: DFF<Bit>,
    what: DFF<Bits<3>>,
}

impl PoisonList {
    pub fn new() -> Self {
        with_defaults!(Self {
            used_word: LiveWord::new(cxl::POISON_USED),
            index: Word::new(cxl::POISON_INDEX, 0, 0xf, 0),
            line_low: LiveWord::new(cxl::POISON_LINE_LOW),
            line_high: LiveWord::new(cxl::POISON_LINE_HIGH),
            asked_low: Word::new(cxl::POISON_LINE_LOW, 0, u32::MAX, 0),
            asked_high: Word::new(cxl::POISON_LINE_HIGH, 0, 0x3fff, 0),
            change: LiveWord::new(cxl::POISON_CHANGE),
            lines: Cam::new(cxl::POISON_ENTRIES),
            copies: LutRam::new(cxl::POISON_ENTRIES),
        } clock bus read_data line poisoned add remove overflow used overflows hits free one vacant first listed
          removed write write_at write_line by_monitor waits what)
    }
}

impl Default for PoisonList {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for PoisonList {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, used_word, index, line_low, line_high, asked_low, asked_high, change);
        clock!(self, clock, lines, copies);
        dff_setup!(self, clock, used, overflows, waits, what);
        self.used_word.bus.next = self.bus.val();
        self.index.bus.next = self.bus.val();
        self.index.locked.next = false;
        self.line_low.bus.next = self.bus.val();
        self.line_high.bus.next = self.bus.val();
        self.asked_low.bus.next = self.bus.val();
        self.asked_low.locked.next = false;
        self.asked_high.bus.next = self.bus.val();
        self.asked_high.locked.next = false;
        self.change.bus.next = self.bus.val();
        self.change.value.next = 0.into();
        self.used_word.value.next = bit_cast::<32, 16>(self.used.q.val());
        self.copies.read_address.next = bit_cast::<4, 32>(self.index.value.val());
        self.line_low.value.next = bit_cast::<32, 46>(self.copies.read_data.val());
        self.line_high.value.next = bit_cast::<32, 46>(self.copies.read_data.val() >> 32);
        // What was asked is written where the list is read: it is not read back.
        self.read_data.next = (self.used_word.read_data.val() | self.index.read_data.val())
            | (self.line_low.read_data.val() | self.line_high.read_data.val());

        self.lines.look.next = self.line.val();
        self.hits.next = self.lines.equal.val() & bit_cast::<64, 16>(self.used.q.val());
        self.poisoned.next = self.hits.val().any() || self.overflows.q.val();
        self.overflow.next = self.overflows.q.val();
        self.vacant.next = !self.used.q.val();
        self.first.next = self.vacant.val() & (self.used.q.val() + 1);
        self.free.bits.next = bit_cast::<64, 16>(self.first.val());
        self.one.next = 1.into();

        if self.change.writes.val() {
            self.waits.d.next = true;
            self.what.d.next = bit_cast::<3, 32>(self.bus.val().data);
        }
        self.by_monitor.next = self.waits.q.val() && !self.add.val() && !self.remove.val();
        if self.by_monitor.val() {
            self.waits.d.next = false;
        }
        self.write.next = false;
        self.write_at.next = self.free.index.val();
        self.write_line.next = self.line.val();
        self.listed.next = 0.into();
        self.removed.next = 0.into();
        if self.add.val() && !self.hits.val().any() {
            if !(self.used.q.val() == 0xffff) {
                self.write.next = true;
                self.listed.next = self.first.val();
            } else {
                self.overflows.d.next = true;
            }
        }
        if self.remove.val() {
            self.removed.next = bit_cast::<16, 64>(self.hits.val());
        }
        if self.by_monitor.val() {
            self.write_at.next = bit_cast::<7, 32>(self.index.value.val());
            self.write_line.next = bit_cast::<46, 32>(self.asked_low.value.val())
                | (bit_cast::<46, 32>(self.asked_high.value.val()) << 32);
            if self.what.q.val().get_bit(0) {
                self.write.next = true;
                self.listed.next = self.one.val() << self.index.value.val().get_bits::<4>(0);
            }
            if self.what.q.val().get_bit(1) {
                self.removed.next = self.one.val() << self.index.value.val().get_bits::<4>(0);
            }
            if self.what.q.val().get_bit(2) {
                self.overflows.d.next = false;
            }
        }
        self.lines.write_enable.next = self.write.val();
        self.lines.write_address.next = self.write_at.val();
        self.lines.write_data.next = self.write_line.val();
        self.copies.write_enable.next = self.write.val();
        self.copies.write_address.next = bit_cast::<4, 7>(self.write_at.val());
        self.copies.write_data.next = self.write_line.val();
        self.used.d.next = (self.used.q.val() & (!self.removed.val())) | self.listed.val();
        if self.bus.val().reset {
            self.used.d.next = 0.into();
            self.overflows.d.next = false;
            self.waits.d.next = false;
        }
    }
}

// Sixteen entries stand in the code as widths.
const _: () = assert!(cxl::POISON_ENTRIES == 16);
