//! A register on a valid/ready channel, for both directions.
//!
//! What comes in stands at the other side in the next cycle; whether something can come in is known
//! from a register. One a cycle passes. Once up, valid stays with a stable payload until ready.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Relay<D: Synth> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_data: Signal<In, D>,
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub out_data: Signal<Out, D>,
    /// The inverse of `kept_valid`, in a register of its own: many loads hang on either.
    room: DFF<Bit>,
    head_valid: DFF<Bit>,
    head: DFF<D>,
    /// Came in while the head did not go out.
    kept_valid: DFF<Bit>,
    kept: DFF<D>,
}

impl<D: Synth> Logic for Relay<D> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, room, head_valid, head, kept_valid, kept);
        self.in_ready.next = self.room.q.val();
        self.out_valid.next = self.head_valid.q.val();
        self.out_data.next = self.head.q.val();
        if !self.kept_valid.q.val() {
            self.kept.d.next = self.in_data.val();
            self.kept_valid.d.next =
                self.in_valid.val() && self.head_valid.q.val() && !self.out_ready.val();
            self.room.d.next =
                !(self.in_valid.val() && self.head_valid.q.val() && !self.out_ready.val());
        }
        if (!self.head_valid.q.val()) || self.out_ready.val() {
            self.head.d.next = self.in_data.val();
            self.head_valid.d.next = self.in_valid.val();
            if self.kept_valid.q.val() {
                self.head.d.next = self.kept.q.val();
                self.head_valid.d.next = true;
                self.kept_valid.d.next = false;
                self.room.d.next = true;
            }
        }
        if self.reset.val() {
            self.head_valid.d.next = false;
            self.kept_valid.d.next = false;
            self.room.d.next = true;
        }
    }
}
