//! One register access from the core's clock to the component's and back.
//!
//! In: `start`, a pulse of the core's clock with the access, only while no other is under way. Out:
//! `done`, a pulse of the core's clock in which `rdata` and `error` count; and the component's
//! monitor bus `m_*`, as [`crate::bus`] wants it.
//!
//! Only two bits cross, each changing once per access: `request` there, `answer` back, each through
//! two flip-flops. What belongs to them (address and data; result) is in registers that change only
//! before the bit does and stand still until the other one comes back, so it has settled when it is
//! looked at, whatever the ratio of the two clocks. An access costs two to three clocks of each side
//! beyond the bus's own.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Crossing {
    pub core_clock: Signal<In, Clock>,
    pub core_reset: Signal<In, Bit>,
    pub start: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub address: Signal<In, Bits<12>>,
    pub wdata: Signal<In, Bits<32>>,
    pub done: Signal<Out, Bit>,
    pub rdata: Signal<Out, Bits<32>>,
    pub error: Signal<Out, Bit>,

    pub bus_clock: Signal<In, Clock>,
    pub bus_reset: Signal<In, Bit>,
    pub m_valid: Signal<Out, Bit>,
    pub m_write: Signal<Out, Bit>,
    pub m_addr: Signal<Out, Bits<12>>,
    pub m_wdata: Signal<Out, Bits<32>>,
    pub m_done: Signal<In, Bit>,
    pub m_rdata: Signal<In, Bits<32>>,
    pub m_error: Signal<In, Bit>,

    // The core's side.
    request: DFF<Bit>,
    held_write: DFF<Bit>,
    held_address: DFF<Bits<12>>,
    held_wdata: DFF<Bits<32>>,
    answer_meta: DFF<Bit>,
    answer_here: DFF<Bit>,
    answer_seen: DFF<Bit>,
    // The component's side.
    request_meta: DFF<Bit>,
    request_here: DFF<Bit>,
    answer: DFF<Bit>,
    valid: DFF<Bit>,
    held_rdata: DFF<Bits<32>>,
    held_error: DFF<Bit>,
}

impl Logic for Crossing {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, core_clock, request, held_write, held_address, held_wdata);
        dff_setup!(self, core_clock, answer_meta, answer_here, answer_seen);
        dff_setup!(self, bus_clock, request_meta, request_here, answer, valid);
        dff_setup!(self, bus_clock, held_rdata, held_error);

        if self.start.val() {
            self.request.d.next = !self.request.q.val();
            self.held_write.d.next = self.write.val();
            self.held_address.d.next = self.address.val();
            self.held_wdata.d.next = self.wdata.val();
        }
        self.answer_meta.d.next = self.answer.q.val();
        self.answer_here.d.next = self.answer_meta.q.val();
        self.answer_seen.d.next = self.answer_here.q.val();
        self.done.next = self.answer_here.q.val() != self.answer_seen.q.val();
        self.rdata.next = self.held_rdata.q.val();
        self.error.next = self.held_error.q.val();
        if self.core_reset.val() {
            self.request.d.next = false;
            self.answer_meta.d.next = false;
            self.answer_here.d.next = false;
            self.answer_seen.d.next = false;
        }

        self.request_meta.d.next = self.request.q.val();
        self.request_here.d.next = self.request_meta.q.val();
        if (self.request_here.q.val() != self.answer.q.val()) && !self.valid.q.val() {
            self.valid.d.next = true;
        }
        if self.valid.q.val() && self.m_done.val() {
            self.valid.d.next = false;
            self.answer.d.next = self.request_here.q.val();
            self.held_rdata.d.next = self.m_rdata.val();
            self.held_error.d.next = self.m_error.val();
        }
        self.m_valid.next = self.valid.q.val();
        self.m_write.next = self.held_write.q.val();
        self.m_addr.next = self.held_address.q.val();
        self.m_wdata.next = self.held_wdata.q.val();
        if self.bus_reset.val() {
            self.request_meta.d.next = false;
            self.request_here.d.next = false;
            self.answer.d.next = false;
            self.valid.d.next = false;
        }
    }
}
