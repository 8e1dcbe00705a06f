//! One transaction slot, as the line order sees it.

use crate::prim::Param;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct LineSlot {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A request takes this slot.
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    /// The issue stage's line; this slot's is the same, and nobody waits behind it yet.
    pub line: Signal<In, Bits<34>>,
    pub equal: Signal<Out, Bit>,
    pub match_slot: Signal<Out, Bits<7>>,
    /// The issue stage's request passes: it holds its line from now on, behind `behind` if it waits.
    pub pass: Signal<In, Bit>,
    pub pass_slot: Signal<In, Bits<7>>,
    pub waits: Signal<In, Bit>,
    pub behind: Signal<In, Bits<7>>,
    /// A request took effect.
    pub finish: Signal<In, Bit>,
    pub finish_slot: Signal<In, Bits<7>>,
    /// Another one waits behind it.
    pub wakes: Signal<Out, Bit>,
    /// A shootdown takes note of what is in flight.
    pub mark: Signal<In, Bit>,
    pub marked: Signal<Out, Bit>,
    pub active: Signal<Out, Bit>,

    index: Param<Bits<7>>,
    in_flight: DFF<Bit>,
    noted: DFF<Bit>,
    busy: DFF<Bit>,
    tail: DFF<Bit>,
    held: DFF<Bits<34>>,
    hit: Signal<Local, Bit>,
    finishing: Signal<Local, Bit>,
}

impl LineSlot {
    pub fn new(index: usize) -> Self {
        Self { index: Param::new((index as u64).into()), ..Default::default() }
    }
}

impl Logic for LineSlot {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, in_flight, noted, busy, tail, held);
        self.finishing.next = self.finish.val() && (self.finish_slot.val() == self.index.val());
        // One that takes effect in this cycle is over: nobody needs to wait behind it.
        self.hit.next = self.busy.q.val()
            && self.tail.q.val()
            && (self.held.q.val() == self.line.val())
            && !self.finishing.val();
        self.equal.next = self.hit.val();
        self.match_slot.next = 0.into();
        if self.hit.val() {
            self.match_slot.next = self.index.val();
        }
        self.wakes.next = self.finishing.val() && self.busy.q.val() && !self.tail.q.val();
        self.marked.next = self.noted.q.val();
        self.active.next = self.in_flight.q.val();

        if self.mark.val() {
            self.noted.d.next = self.in_flight.q.val();
        }
        if self.finishing.val() {
            self.in_flight.d.next = false;
            self.noted.d.next = false;
            self.busy.d.next = false;
        }
        if self.waits.val() && (self.behind.val() == self.index.val()) {
            self.tail.d.next = false;
        }
        if self.pass.val() && (self.pass_slot.val() == self.index.val()) {
            self.busy.d.next = true;
            self.tail.d.next = true;
            self.held.d.next = self.line.val();
        }
        if self.accept.val() && (self.accept_slot.val() == self.index.val()) {
            self.in_flight.d.next = true;
        }
        if self.reset.val() {
            self.in_flight.d.next = false;
            self.noted.d.next = false;
            self.busy.d.next = false;
        }
    }
}
