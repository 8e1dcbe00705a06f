//! The zeroing engine for frames of one size.
//!
//! In: runs of frames (`push`, at most one a cycle; the pusher keeps `queued` within the depth), and
//! `room`: a frame may be started. Out: one line write after the other (`cmd_valid`, `cmd_line`,
//! `cmd_slot` until `cmd_ready`), and `cleared` with `frame`, a pulse, when all writes of the oldest
//! frame are acknowledged (`ack_valid` with its slot). Frames come out in the order in which they
//! were pushed.
//!
//! A write can go out in every cycle, but for one between two frames: the next frame is written while
//! the former ones' acknowledges are on their way, each frame in its slot.

use crate::prim::LutRam;
use crate::registers::constant;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT, PAGE_SHIFT};

/// Slots of the most that any size has.
pub const SLOT_BITS: usize = 2;

/// A run of frames.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Run {
    pub base: Bits<28>,
    pub count: Bits<16>,
}

/// A frame whose writes are under way.
///
/// When its `last` line was issued and as many acknowledges came as lines were issued, and it is the
/// `oldest`, it `retires`: one pulse, and the slot is free.
#[derive(LogicBlock, Default)]
pub struct ZeroSlot {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub start: Signal<In, Bit>,
    pub start_frame: Signal<In, Bits<28>>,
    pub issue: Signal<In, Bit>,
    pub last: Signal<In, Bit>,
    pub ack: Signal<In, Bit>,
    pub oldest: Signal<In, Bit>,
    pub busy: Signal<Out, Bit>,
    pub retires: Signal<Out, Bit>,
    pub frame: Signal<Out, Bits<28>>,
    used: DFF<Bit>,
    issued: DFF<Bit>,
    unanswered: DFF<Bits<16>>,
    of: DFF<Bits<28>>,
}

impl Logic for ZeroSlot {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, used, issued, unanswered, of);
        if self.issue.val() && !self.ack.val() {
            self.unanswered.d.next = self.unanswered.q.val() + 1;
        }
        if !self.issue.val() && self.ack.val() {
            self.unanswered.d.next = self.unanswered.q.val() - 1;
        }
        if self.issue.val() && self.last.val() {
            self.issued.d.next = true;
        }
        self.retires.next = ((self.used.q.val() && self.issued.q.val())
            && !self.unanswered.q.val().any())
            && self.oldest.val();
        if self.retires.val() {
            self.used.d.next = false;
        }
        if self.start.val() {
            self.used.d.next = true;
            self.issued.d.next = false;
            self.of.d.next = self.start_frame.val();
        }
        self.busy.next = self.used.q.val();
        self.frame.next = self.of.q.val();
        if self.reset.val() {
            self.used.d.next = false;
            self.issued.d.next = false;
            self.unanswered.d.next = 0.into();
        }
    }
}

#[derive(LogicBlock)]
pub struct Zeroer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub push: Signal<In, Bit>,
    pub push_base: Signal<In, Bits<28>>,
    pub push_count: Signal<In, Bits<16>>,
    /// Runs in the queue.
    pub queued: Signal<Out, Bits<8>>,
    pub room: Signal<In, Bit>,
    /// A frame is started: it takes a place in the list.
    pub started: Signal<Out, Bit>,
    pub cmd_valid: Signal<Out, Bit>,
    pub cmd_line: Signal<Out, Bits<34>>,
    pub cmd_slot: Signal<Out, Bits<SLOT_BITS>>,
    pub cmd_ready: Signal<In, Bit>,
    pub ack_valid: Signal<In, Bit>,
    pub ack_slot: Signal<In, Bits<SLOT_BITS>>,
    pub cleared: Signal<Out, Bit>,
    pub frame: Signal<Out, Bits<28>>,
    pub busy: Signal<Out, Bit>,

    runs: LutRam<Run, 6>,
    run_tail: DFF<Bits<6>>,
    run_head: DFF<Bits<6>>,
    run_count: DFF<Bits<8>>,
    /// The run that is being worked on: its next frame, and how many are left.
    run_valid: DFF<Bit>,
    next_frame: DFF<Bits<28>>,
    left: DFF<Bits<16>>,
    /// The frame that is being written, and its next line.
    writing: DFF<Bit>,
    write_frame: DFF<Bits<28>>,
    line: DFF<Bits<15>>,
    write_slot: DFF<Bits<SLOT_BITS>>,
    next_slot: DFF<Bits<SLOT_BITS>>,
    oldest: DFF<Bits<SLOT_BITS>>,
    slots: Vec<ZeroSlot>,
    _slots: usize,

    pushed: Signal<Local, Run>,
    load: Signal<Local, Bit>,
    slot_free: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    last: Signal<Local, Bit>,
    start: Signal<Local, Bit>,
    retire: Signal<Local, Bit>,
    slots_busy: Signal<Local, Bit>,
    oldest_frame: Signal<Local, Bits<28>>,
    last_line: Constant<Bits<15>>,
    step: Constant<Bits<28>>,
    frame_mask: Constant<Bits<28>>,
    slot_mask: Constant<Bits<SLOT_BITS>>,
    page_lines_shift: Constant<Bits<5>>,
}

impl Zeroer {
    /// `lines` of each frame are written: all of them, except in tests, which cannot wait for 32,768.
    /// `slots` is a power of two, at most four.
    pub fn new(config: &HwConfig, size: PageSize, slots: usize, lines: u32) -> Self {
        assert!(slots.is_power_of_two() && slots <= 1 << SLOT_BITS);
        assert!(lines >= 2 && lines <= size.lines());
        with_defaults!(Self {
            runs: LutRam::new(config.zero_queue as usize),
            slots: (0..slots).map(|_| ZeroSlot::default()).collect(),
            _slots: slots,
            last_line: constant(lines as u64 - 1),
            step: constant(size.frames() as u64),
            frame_mask: constant((config.frame_mask() & !(size.frames() - 1)) as u64),
            slot_mask: constant(slots as u64 - 1),
            page_lines_shift: constant((PAGE_SHIFT - LINE_SHIFT) as u64),
        } clock reset push push_base push_count queued room started cmd_valid cmd_line cmd_slot
          cmd_ready ack_valid ack_slot cleared frame busy run_tail run_head run_count run_valid
          next_frame left writing write_frame line write_slot next_slot oldest pushed load
          slot_free issue last start retire slots_busy oldest_frame)
    }
}

impl Logic for Zeroer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, run_tail, run_head, run_count, run_valid, next_frame, left);
        dff_setup!(self, clock, writing, write_frame, line, write_slot, next_slot, oldest);
        clock!(self, clock, runs);

        // The queue of runs.
        self.pushed.next.base = self.push_base.val() & self.frame_mask.val();
        self.pushed.next.count = self.push_count.val();
        self.runs.write_address.next = self.run_tail.q.val();
        self.runs.write_data.next = self.pushed.val();
        self.runs.write_enable.next = self.push.val();
        self.runs.read_address.next = self.run_head.q.val();
        self.load.next = !self.run_valid.q.val() && self.run_count.q.val().any();
        if self.push.val() {
            self.run_tail.d.next = self.run_tail.q.val() + 1;
        }
        if self.load.val() {
            self.run_head.d.next = self.run_head.q.val() + 1;
        }
        if self.push.val() && !self.load.val() {
            self.run_count.d.next = self.run_count.q.val() + 1;
        }
        if !self.push.val() && self.load.val() {
            self.run_count.d.next = self.run_count.q.val() - 1;
        }
        self.queued.next = self.run_count.q.val();

        // The frame being written; the next one starts a cycle after its last line.
        self.cmd_valid.next = self.writing.q.val();
        self.cmd_line.next = (bit_cast::<34, 28>(self.write_frame.q.val())
            << self.page_lines_shift.val())
            | bit_cast::<34, 15>(self.line.q.val());
        self.cmd_slot.next = self.write_slot.q.val();
        self.issue.next = self.writing.q.val() && self.cmd_ready.val();
        self.last.next = self.line.q.val() == self.last_line.val();
        self.slot_free.next = false;
        for i in 0..self._slots {
            if (self.next_slot.q.val() == i.to_bits::<SLOT_BITS>()) && !self.slots[i].busy.val() {
                self.slot_free.next = true;
            }
        }
        self.start.next = (self.run_valid.q.val() && self.room.val())
            && (self.slot_free.val() && !self.writing.q.val());
        self.started.next = self.start.val();
        if self.issue.val() {
            self.line.d.next = self.line.q.val() + 1;
            if self.last.val() {
                self.writing.d.next = false;
            }
        }
        if self.start.val() {
            self.writing.d.next = true;
            self.write_frame.d.next = self.next_frame.q.val();
            self.line.d.next = 0.into();
            self.write_slot.d.next = self.next_slot.q.val();
            self.next_slot.d.next = (self.next_slot.q.val() + 1) & self.slot_mask.val();
            self.next_frame.d.next =
                (self.next_frame.q.val() + self.step.val()) & self.frame_mask.val();
            self.left.d.next = self.left.q.val() - 1;
            if self.left.q.val() == 1 {
                self.run_valid.d.next = false;
            }
        }
        if self.load.val() {
            self.run_valid.d.next = true;
            self.next_frame.d.next = self.runs.read_data.val().base;
            self.left.d.next = self.runs.read_data.val().count;
        }

        // The frames whose acknowledges are awaited.
        self.retire.next = false;
        self.oldest_frame.next = 0.into();
        self.slots_busy.next = false;
        for i in 0..self._slots {
            self.slots[i].clock.next = self.clock.val();
            self.slots[i].reset.next = self.reset.val();
            self.slots[i].start_frame.next = self.next_frame.q.val();
            self.slots[i].start.next =
                self.start.val() && (self.next_slot.q.val() == i.to_bits::<SLOT_BITS>());
            self.slots[i].issue.next =
                self.issue.val() && (self.write_slot.q.val() == i.to_bits::<SLOT_BITS>());
            self.slots[i].last.next = self.last.val();
            self.slots[i].ack.next =
                self.ack_valid.val() && (self.ack_slot.val() == i.to_bits::<SLOT_BITS>());
            self.slots[i].oldest.next = self.oldest.q.val() == i.to_bits::<SLOT_BITS>();
            if self.slots[i].retires.val() {
                self.retire.next = true;
                self.oldest_frame.next = self.slots[i].frame.val();
            }
            if self.slots[i].busy.val() {
                self.slots_busy.next = true;
            }
        }
        if self.retire.val() {
            self.oldest.d.next = (self.oldest.q.val() + 1) & self.slot_mask.val();
        }
        self.cleared.next = self.retire.val();
        self.frame.next = self.oldest_frame.val();
        self.busy.next =
            (self.run_count.q.val().any() || self.run_valid.q.val()) || self.slots_busy.val();

        if self.reset.val() {
            self.run_tail.d.next = 0.into();
            self.run_head.d.next = 0.into();
            self.run_count.d.next = 0.into();
            self.run_valid.d.next = false;
            self.writing.d.next = false;
            self.line.d.next = 0.into();
            self.write_slot.d.next = 0.into();
            self.next_slot.d.next = 0.into();
            self.oldest.d.next = 0.into();
        }
    }
}
