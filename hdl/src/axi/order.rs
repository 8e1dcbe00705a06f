//! Answers in the order in which the beats were asked for, however they come: AXI wants them in order for
//! each id (A5.3), and this gives them in order for all.
//!
//! A beat takes a slot of 64, which is its tag. An answer marks its slot. The oldest beat stands at the
//! `head_*` outputs, which come from registers; `pop` takes it and frees its slot.

use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;

#[derive(LogicBlock)]
pub struct Order {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub room: Signal<Out, Bit>,
    /// The slot that the next beat gets.
    pub slot: Signal<Out, Bits<6>>,
    pub take: Signal<In, Bit>,
    pub id: Signal<In, Bits<8>>,
    pub last: Signal<In, Bit>,

    /// The component's answer.
    pub answer: Signal<In, Bit>,
    pub answer_slot: Signal<In, Bits<6>>,
    /// It is not ok.
    pub answer_bad: Signal<In, Bit>,
    /// A beat that the component is not asked for.
    pub deny: Signal<In, Bit>,
    pub deny_slot: Signal<In, Bits<6>>,
    /// Because nothing stands there.
    pub deny_outside: Signal<In, Bit>,

    pub head_valid: Signal<Out, Bit>,
    pub head_slot: Signal<Out, Bits<6>>,
    pub head_id: Signal<Out, Bits<8>>,
    pub head_last: Signal<Out, Bit>,
    pub head_bad: Signal<Out, Bit>,
    pub head_outside: Signal<Out, Bit>,
    pub pop: Signal<In, Bit>,

    /// `[7:0]` id, `[8]` last beat of its burst.
    beats: LutRam<Bits<9>, 6>,
    /// Free-running; their low bits are slots.
    head: DFF<Bits<7>>,
    tail: DFF<Bits<7>>,
    /// A bit a slot: answered or denied; not ok; outside.
    done: DFF<Bits<64>>,
    bad: DFF<Bits<64>>,
    outside: DFF<Bits<64>>,
    count: Signal<Local, Bits<7>>,
    first: Signal<Local, Bits<6>>,
    here: Signal<Local, Bits<64>>,
    answered: Signal<Local, Bits<64>>,
    denied: Signal<Local, Bits<64>>,
    popped: Signal<Local, Bits<64>>,
    newly_bad: Signal<Local, Bits<64>>,
    newly_outside: Signal<Local, Bits<64>>,
    beat: Signal<Local, Bits<9>>,
    one: Param<Bits<64>>,
}

impl Order {
    pub fn new() -> Self {
        with_defaults!(Self {
            beats: LutRam::new(64),
            one: Param::new(1u64.into()),
        } clock reset room slot take id last answer answer_slot answer_bad deny deny_slot deny_outside
          head_valid head_slot head_id head_last head_bad head_outside pop head tail done bad outside
          count first here answered denied popped newly_bad newly_outside beat)
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Order {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, beats);
        dff_setup!(self, clock, head, tail, done, bad, outside);
        self.count.next = self.tail.q.val() - self.head.q.val();
        self.room.next = !self.count.val().get_bit(6);
        self.slot.next = self.tail.q.val().get_bits::<6>(0);
        self.beats.write_enable.next = self.take.val();
        self.beats.write_address.next = self.slot.val();
        self.beats.write_data.next =
            bit_cast::<9, 8>(self.id.val()) | (bit_cast::<9, 1>(self.last.val().into()) << 8);
        if self.take.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }

        self.first.next = self.head.q.val().get_bits::<6>(0);
        self.beats.read_address.next = self.first.val();
        self.beat.next = self.beats.read_data.val();
        self.head_slot.next = self.first.val();
        self.head_id.next = self.beat.val().get_bits::<8>(0);
        self.head_last.next = self.beat.val().get_bit(8);
        self.here.next = self.one.val() << self.first.val();
        self.head_valid.next = (self.done.q.val() & self.here.val()).any();
        self.head_bad.next = (self.bad.q.val() & self.here.val()).any();
        self.head_outside.next = (self.outside.q.val() & self.here.val()).any();

        self.answered.next = 0.into();
        self.denied.next = 0.into();
        self.popped.next = 0.into();
        self.newly_bad.next = 0.into();
        self.newly_outside.next = 0.into();
        if self.answer.val() {
            self.answered.next = self.one.val() << self.answer_slot.val();
        }
        if self.deny.val() {
            self.denied.next = self.one.val() << self.deny_slot.val();
        }
        if self.pop.val() {
            self.popped.next = self.here.val();
            self.head.d.next = self.head.q.val() + 1;
        }
        if self.answer_bad.val() {
            self.newly_bad.next = self.answered.val();
        }
        if self.deny_outside.val() {
            self.newly_outside.next = self.denied.val();
        }
        self.done.d.next =
            (self.done.q.val() | (self.answered.val() | self.denied.val())) & (!self.popped.val());
        self.bad.d.next =
            (self.bad.q.val() | (self.newly_bad.val() | self.denied.val())) & (!self.popped.val());
        self.outside.d.next =
            (self.outside.q.val() | self.newly_outside.val()) & (!self.popped.val());
        if self.reset.val() {
            self.head.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.done.d.next = 0.into();
            self.bad.d.next = 0.into();
            self.outside.d.next = 0.into();
        }
    }
}
