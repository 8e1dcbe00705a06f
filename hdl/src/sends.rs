//! Between the issue stage and the DRAM port: a register for both directions, out of which a request
//! vanishes whose line is held by another.
//!
//! What comes in stands at the DRAM port in the next cycle, and in that cycle the line order says
//! whether it must wait (`drop`). Whether something can come in is known from a register. One a cycle
//! passes. Once up, `present` stays with a stable payload until ready, or until it vanishes in its
//! first cycle.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Sends {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_data: Signal<In, Bits<619>>,
    /// What came in with the last cycle vanishes.
    pub drop: Signal<In, Bit>,
    /// Claims the port; `out_valid` is late, and false for what vanishes.
    pub present: Signal<Out, Bit>,
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub out_data: Signal<Out, Bits<619>>,
    /// The inverse of `kept_valid`, in a register of its own: many loads hang on either.
    room: DFF<Bit>,
    head_valid: DFF<Bit>,
    head: DFF<Bits<619>>,
    /// Came in while the head did not go out.
    kept_valid: DFF<Bit>,
    kept: DFF<Bits<619>>,
    stays: Signal<Local, Bit>,
    drops_head: Signal<Local, Bit>,
}

impl Logic for Sends {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, room, head_valid, head, kept_valid, kept);
        self.in_ready.next = self.room.q.val();
        // What came in last is in `kept`, if that holds anything.
        self.drops_head.next = self.drop.val() && !self.kept_valid.q.val();
        self.present.next = self.head_valid.q.val();
        self.out_valid.next = self.head_valid.q.val() && !self.drops_head.val();
        self.out_data.next = self.head.q.val();
        self.stays.next = self.head_valid.q.val() && !self.out_ready.val();
        if !self.kept_valid.q.val() {
            self.kept.d.next = self.in_data.val();
        }
        self.kept_valid.d.next = self.stays.val()
            && ((self.kept_valid.q.val() && !self.drop.val())
                || (!self.kept_valid.q.val() && self.in_valid.val()));
        self.room.d.next = !(self.stays.val()
            && ((self.kept_valid.q.val() && !self.drop.val())
                || (!self.kept_valid.q.val() && self.in_valid.val())));
        if self.stays.val() {
            self.head_valid.d.next = !self.drops_head.val();
        } else {
            self.head.d.next = self.in_data.val();
            self.head_valid.d.next = self.in_valid.val();
            if self.kept_valid.q.val() {
                self.head.d.next = self.kept.q.val();
                self.head_valid.d.next = !self.drop.val();
            }
        }
        if self.reset.val() {
            self.head_valid.d.next = false;
            self.kept_valid.d.next = false;
            self.room.d.next = true;
        }
    }
}
