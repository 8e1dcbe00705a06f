//! Keeps what cannot go on at once, so that whether something can come in is known from a register.
//!
//! What comes in stands at the other side in the same cycle. If it is not taken there, it is kept,
//! stays, and goes first; the next one has to wait. One a cycle passes, also after a wait.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Skid<D: Synth> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_data: Signal<In, D>,
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub out_data: Signal<Out, D>,
    kept_valid: DFF<Bit>,
    /// The inverse of `kept_valid`, in a register of its own: many loads hang on either.
    room: DFF<Bit>,
    kept: DFF<D>,
}

impl<D: Synth> Logic for Skid<D> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, kept_valid, room, kept);
        self.in_ready.next = self.room.q.val();
        self.out_valid.next = self.kept_valid.q.val() || (self.in_valid.val() && self.room.q.val());
        self.out_data.next = self.in_data.val();
        if self.kept_valid.q.val() {
            self.out_data.next = self.kept.q.val();
        } else {
            self.kept.d.next = self.in_data.val();
        }
        self.kept_valid.d.next = self.out_valid.val() && !self.out_ready.val();
        self.room.d.next = !(self.out_valid.val() && !self.out_ready.val());
        if self.reset.val() {
            self.kept_valid.d.next = false;
            self.room.d.next = true;
        }
    }
}
