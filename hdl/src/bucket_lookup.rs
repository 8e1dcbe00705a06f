//! What a bucket says about a page.
//!
//! In: a bucket line with the page it was read for. Out, three cycles later: whether an entry of
//! the page stands in it and which, and whether a slot is free. A line a cycle.

use crate::registers::{constant, lsb};
use rust_hdl::prelude::*;
use splitmem_abi::pte;
use splitmem_abi::regs::field::TE_RESULT;

/// Bits of the index of a slot.
pub const SLOT_INDEX_BITS: usize = pte::SLOTS.ilog2() as usize;

/// One slot of a bucket. The outputs follow the inputs after one cycle.
#[derive(LogicBlock)]
pub struct SlotMatch {
    pub clock: Signal<In, Clock>,
    pub raw: Signal<In, Bits<128>>,
    pub pid: Signal<In, Bits<16>>,
    pub key: Signal<In, Bits<36>>,
    /// Look for an entry that is DYING, not for a VALID one.
    pub want_dying: Signal<In, Bit>,
    pub hit: Signal<Out, Bit>,
    pub free: Signal<Out, Bit>,
    pub read: Signal<Out, Bit>,
    /// The entry as TE_RESULT reports it, without VALID.
    pub report: Signal<Out, Bits<32>>,
    is_hit: DFF<Bit>,
    is_free: DFF<Bit>,
    readable: DFF<Bit>,
    reported: DFF<Bits<32>>,
    alive: Signal<Local, Bit>,
    gone: Signal<Local, Bit>,
    writable: Signal<Local, Bit>,
    is_shared: Signal<Local, Bit>,
    is_present: Signal<Local, Bit>,
    valid: Constant<Bits<7>>,
    dying: Constant<Bits<7>>,
    can_read: Constant<Bits<7>>,
    can_write: Constant<Bits<7>>,
    shared: Constant<Bits<7>>,
    present: Constant<Bits<7>>,
    pid_lsb: Constant<Bits<7>>,
    key_lsb: Constant<Bits<7>>,
    frame_lsb: Constant<Bits<7>>,
    result_frame: Constant<Bits<5>>,
    result_write: Constant<Bits<5>>,
    result_shared: Constant<Bits<5>>,
    result_present: Constant<Bits<5>>,
}

impl Default for SlotMatch {
    fn default() -> Self {
        with_defaults!(Self {
            valid: constant(pte::VALID_BIT as u64),
            dying: constant(pte::DYING_BIT as u64),
            can_read: constant(pte::READ_BIT as u64),
            can_write: constant(pte::WRITE_BIT as u64),
            shared: constant(pte::SHARED_BIT as u64),
            present: constant(pte::PRESENT_BIT as u64),
            pid_lsb: constant(pte::PID_LSB as u64),
            key_lsb: constant(pte::KEY_LSB as u64),
            frame_lsb: constant(pte::FRAME_LSB as u64),
            result_frame: lsb(TE_RESULT::FRAME),
            result_write: lsb(TE_RESULT::WRITE),
            result_shared: lsb(TE_RESULT::SHARED),
            result_present: lsb(TE_RESULT::PRESENT),
        } clock raw pid key want_dying hit free read report is_hit is_free readable reported
          alive gone writable is_shared is_present)
    }
}

impl Logic for SlotMatch {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, is_hit, is_free, readable, reported);
        self.hit.next = self.is_hit.q.val();
        self.free.next = self.is_free.q.val();
        self.read.next = self.readable.q.val();
        self.report.next = self.reported.q.val();
        self.alive.next = self.raw.val().get_bit(self.valid.val().index());
        self.gone.next = self.raw.val().get_bit(self.dying.val().index());
        self.writable.next = self.raw.val().get_bit(self.can_write.val().index());
        self.is_shared.next = self.raw.val().get_bit(self.shared.val().index());
        self.is_present.next = self.raw.val().get_bit(self.present.val().index());
        self.is_hit.d.next = ((self.alive.val() && !self.want_dying.val())
            || (self.gone.val() && self.want_dying.val()))
            && ((self.raw.val().get_bits::<16>(self.pid_lsb.val().index()) == self.pid.val())
                && (self.raw.val().get_bits::<36>(self.key_lsb.val().index()) == self.key.val()));
        self.is_free.d.next = !self.alive.val() && !self.gone.val();
        self.readable.d.next = self.raw.val().get_bit(self.can_read.val().index());
        self.reported.d.next =
            ((bit_cast::<32, 28>(self.raw.val().get_bits::<28>(self.frame_lsb.val().index()))
                << self.result_frame.val())
                | (bit_cast::<32, 1>(self.writable.val().into()) << self.result_write.val()))
                | ((bit_cast::<32, 1>(self.is_shared.val().into()) << self.result_shared.val())
                    | (bit_cast::<32, 1>(self.is_present.val().into())
                        << self.result_present.val()));
    }
}

/// What a bucket said.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Finding {
    pub poison: Bit,
    pub found: Bit,
    pub found_slot: Bits<SLOT_INDEX_BITS>,
    pub free: Bit,
    pub free_slot: Bits<SLOT_INDEX_BITS>,
    /// The found entry's READ.
    pub read: Bit,
    /// The found entry as TE_RESULT reports it, without VALID.
    pub report: Bits<32>,
}

#[derive(LogicBlock)]
pub struct BucketLookup {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub valid: Signal<In, Bit>,
    pub index: Signal<In, Bits<5>>,
    pub line: Signal<In, Bits<512>>,
    pub poison: Signal<In, Bit>,
    pub pid: Signal<In, Bits<16>>,
    pub want_dying: Signal<In, Bit>,
    /// The key of page `captured_index`, wanted in the same cycle.
    pub key: Signal<In, Bits<36>>,
    pub captured_index: Signal<Out, Bits<5>>,
    pub out_valid: Signal<Out, Bit>,
    pub out_index: Signal<Out, Bits<5>>,
    pub out: Signal<Out, Finding>,

    slots: Vec<SlotMatch>,
    _slots: usize,
    captured: DFF<Bit>,
    captured_line: DFF<Bits<512>>,
    captured_poison: DFF<Bit>,
    captured_at: DFF<Bits<5>>,
    matched: DFF<Bit>,
    matched_poison: DFF<Bit>,
    matched_at: DFF<Bits<5>>,
    finished: DFF<Bit>,
    finished_at: DFF<Bits<5>>,
    finding: DFF<Finding>,
    found: Signal<Local, Bit>,
    found_slot: Signal<Local, Bits<SLOT_INDEX_BITS>>,
    free: Signal<Local, Bit>,
    free_slot: Signal<Local, Bits<SLOT_INDEX_BITS>>,
    read: Signal<Local, Bit>,
    report: Signal<Local, Bits<32>>,
    answer: Signal<Local, Finding>,
}

impl Default for BucketLookup {
    fn default() -> Self {
        with_defaults!(Self {
            slots: (0..pte::SLOTS).map(|_| SlotMatch::default()).collect(),
            _slots: pte::SLOTS,
        } clock reset valid index line poison pid want_dying key captured_index out_valid out_index
          out captured captured_line captured_poison captured_at matched matched_poison matched_at
          finished finished_at finding found found_slot free free_slot read report answer)
    }
}

impl Logic for BucketLookup {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, captured, captured_line, captured_poison, captured_at);
        dff_setup!(self, clock, matched, matched_poison, matched_at);
        dff_setup!(self, clock, finished, finished_at, finding);

        self.captured.d.next = self.valid.val();
        if self.valid.val() {
            self.captured_line.d.next = self.line.val();
            self.captured_poison.d.next = self.poison.val();
            self.captured_at.d.next = self.index.val();
        }
        self.captured_index.next = self.captured_at.q.val();

        self.matched.d.next = self.captured.q.val();
        self.matched_poison.d.next = self.captured_poison.q.val();
        self.matched_at.d.next = self.captured_at.q.val();
        self.found.next = false;
        self.found_slot.next = 0.into();
        self.free.next = false;
        self.free_slot.next = 0.into();
        self.read.next = false;
        self.report.next = 0.into();
        for i in 0..self._slots {
            self.slots[i].clock.next = self.clock.val();
            self.slots[i].raw.next = self.captured_line.q.val().get_bits::<128>(i * 128);
            self.slots[i].pid.next = self.pid.val();
            self.slots[i].key.next = self.key.val();
            self.slots[i].want_dying.next = self.want_dying.val();
            if self.slots[i].hit.val() && !self.found.val() {
                self.found.next = true;
                self.found_slot.next = i.to_bits::<SLOT_INDEX_BITS>();
                self.read.next = self.slots[i].read.val();
                self.report.next = self.slots[i].report.val();
            }
            if self.slots[i].free.val() && !self.free.val() {
                self.free.next = true;
                self.free_slot.next = i.to_bits::<SLOT_INDEX_BITS>();
            }
        }

        self.finished.d.next = self.matched.q.val();
        self.finished_at.d.next = self.matched_at.q.val();
        self.answer.next.poison = self.matched_poison.q.val();
        self.answer.next.found = self.found.val();
        self.answer.next.found_slot = self.found_slot.val();
        self.answer.next.free = self.free.val();
        self.answer.next.free_slot = self.free_slot.val();
        self.answer.next.read = self.read.val();
        self.answer.next.report = self.report.val();
        self.finding.d.next = self.answer.val();
        self.out_valid.next = self.finished.q.val();
        self.out_index.next = self.finished_at.q.val();
        self.out.next = self.finding.q.val();
        if self.reset.val() {
            self.captured.d.next = false;
            self.matched.d.next = false;
            self.finished.d.next = false;
        }
    }
}
