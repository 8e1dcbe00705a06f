//! The accepted request, one cycle later: for the blocks that keep by slot what they need of it.
//!
//! None of them is asked about a slot in the two cycles after its request was accepted, so they need
//! not hang on the arbiter's choice in the cycle of that choice.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Accepted {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    pub accept_op: Signal<In, Bits<3>>,
    pub accept_tag: Signal<In, Bits<16>>,
    pub accept_pid: Signal<In, Bits<16>>,
    pub accept_va: Signal<In, Bits<48>>,
    pub accept_port: Signal<In, Bit>,
    /// What stands at the ports: the choice of one of them would be slow to reach all of it.
    pub p0_mask: Signal<In, Bits<64>>,
    pub p0_data: Signal<In, Bits<512>>,
    pub p1_mask: Signal<In, Bits<64>>,
    pub p1_data: Signal<In, Bits<512>>,
    pub valid: Signal<Out, Bit>,
    pub slot: Signal<Out, Bits<7>>,
    pub op: Signal<Out, Bits<3>>,
    pub tag: Signal<Out, Bits<16>>,
    pub pid: Signal<Out, Bits<16>>,
    pub va: Signal<Out, Bits<48>>,
    pub mask: Signal<Out, Bits<64>>,
    pub data: Signal<Out, Bits<512>>,
    is_valid: DFF<Bit>,
    its_slot: DFF<Bits<7>>,
    its_op: DFF<Bits<3>>,
    its_tag: DFF<Bits<16>>,
    its_pid: DFF<Bits<16>>,
    its_va: DFF<Bits<48>>,
    its_port: DFF<Bit>,
    mask_0: DFF<Bits<64>>,
    data_0: DFF<Bits<512>>,
    mask_1: DFF<Bits<64>>,
    data_1: DFF<Bits<512>>,
}

impl Logic for Accepted {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, is_valid, its_slot, its_op, its_tag, its_pid, its_va, its_port, mask_0,
            data_0, mask_1, data_1
        );
        self.is_valid.d.next = self.accept.val();
        self.its_slot.d.next = self.accept_slot.val();
        self.its_op.d.next = self.accept_op.val();
        self.its_tag.d.next = self.accept_tag.val();
        self.its_pid.d.next = self.accept_pid.val();
        self.its_va.d.next = self.accept_va.val();
        self.its_port.d.next = self.accept_port.val();
        self.mask_0.d.next = self.p0_mask.val();
        self.data_0.d.next = self.p0_data.val();
        self.mask_1.d.next = self.p1_mask.val();
        self.data_1.d.next = self.p1_data.val();
        self.valid.next = self.is_valid.q.val();
        self.slot.next = self.its_slot.q.val();
        self.op.next = self.its_op.q.val();
        self.tag.next = self.its_tag.q.val();
        self.pid.next = self.its_pid.q.val();
        self.va.next = self.its_va.q.val();
        self.mask.next = self.mask_0.q.val();
        self.data.next = self.data_0.q.val();
        if self.its_port.q.val() {
            self.mask.next = self.mask_1.q.val();
            self.data.next = self.data_1.q.val();
        }
        if self.reset.val() {
            self.is_valid.d.next = false;
        }
    }
}
