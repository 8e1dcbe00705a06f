//! Arbiter: picks one request a cycle from the two ports and gives it a transaction slot.
//!
//! In: two request ports. Out: one request into stage 0 of the pipeline, in the same cycle.
//!
//! Each port has slots of its own, so that one port's storm never takes the other's: a port whose
//! slots are all in flight waits alone. Ports that both could go take turns.

use crate::fifo::IndexPool;
use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct Intake {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The component serves requests.
    pub enable: Signal<In, Bit>,
    /// Stage 0 moves on in this cycle.
    pub advance: Signal<In, Bit>,
    /// A TLB invalidation takes this cycle's place in the pipeline.
    pub invalidating: Signal<In, Bit>,

    /// A transfer happens where valid and ready are both up; once up, valid stays with a stable
    /// payload until then.
    pub p0_valid: Signal<In, Bit>,
    pub p0_ready: Signal<Out, Bit>,
    pub p0_op: Signal<In, Bits<3>>,
    pub p0_tag: Signal<In, Bits<16>>,
    pub p0_pid: Signal<In, Bits<16>>,
    pub p0_va: Signal<In, Bits<48>>,
    pub p1_valid: Signal<In, Bit>,
    pub p1_ready: Signal<Out, Bit>,
    pub p1_op: Signal<In, Bits<3>>,
    pub p1_tag: Signal<In, Bits<16>>,
    pub p1_pid: Signal<In, Bits<16>>,
    pub p1_va: Signal<In, Bits<48>>,

    /// A slot of the port comes back: its answer was taken.
    pub give_0: Signal<In, Bit>,
    pub give_0_slot: Signal<In, Bits<7>>,
    pub give_1: Signal<In, Bit>,
    pub give_1_slot: Signal<In, Bits<7>>,

    /// The request accepted in this cycle.
    pub valid: Signal<Out, Bit>,
    pub port: Signal<Out, Bit>,
    pub slot: Signal<Out, Bits<7>>,
    pub op: Signal<Out, Bits<3>>,
    pub tag: Signal<Out, Bits<16>>,
    pub pid: Signal<Out, Bits<16>>,
    pub va: Signal<Out, Bits<48>>,

    slots_0: IndexPool,
    slots_1: IndexPool,
    /// Whose turn it is when both could go.
    turn: DFF<Bit>,
    can_0: Signal<Local, Bit>,
    can_1: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    pick_1: Signal<Local, Bit>,
    port_bit: Param<Bits<7>>,
    index_mask: Param<Bits<7>>,
}

impl Intake {
    pub fn new(config: &HwConfig) -> Self {
        Self {
            slots_0: IndexPool::new(config.port_slots as usize),
            slots_1: IndexPool::new(config.port_slots as usize),
            port_bit: Param::new((config.port_slots as u64).into()),
            index_mask: Param::new((config.port_slots as u64 - 1).into()),
            ..Default::default()
        }
    }
}

impl Logic for Intake {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, turn);
        clock!(self, clock, slots_0, slots_1);
        self.slots_0.reset.next = self.reset.val();
        self.slots_1.reset.next = self.reset.val();
        self.slots_0.give.next = self.give_0.val();
        self.slots_0.give_index.next = self.give_0_slot.val();
        self.slots_1.give.next = self.give_1.val();
        self.slots_1.give_index.next = (self.give_1_slot.val()) & (self.index_mask.val());

        self.can_0.next = self.p0_valid.val() && self.slots_0.available.val();
        self.can_1.next = self.p1_valid.val() && self.slots_1.available.val();
        self.pick_1.next = self.can_1.val() && (self.turn.q.val() || !self.can_0.val());
        self.go.next = self.enable.val() && self.advance.val() && !self.invalidating.val();
        self.p0_ready.next = self.go.val() && self.can_0.val() && !self.pick_1.val();
        self.p1_ready.next = self.go.val() && self.pick_1.val();
        self.slots_0.take.next = self.go.val() && self.can_0.val() && !self.pick_1.val();
        self.slots_1.take.next = self.go.val() && self.pick_1.val();
        self.valid.next = self.go.val() && (self.can_0.val() || self.can_1.val());
        if self.go.val() && (self.can_0.val() || self.can_1.val()) {
            self.turn.d.next = !self.pick_1.val();
        }
        self.port.next = self.pick_1.val();
        self.slot.next = self.slots_0.index.val();
        self.op.next = self.p0_op.val();
        self.tag.next = self.p0_tag.val();
        self.pid.next = self.p0_pid.val();
        self.va.next = self.p0_va.val();
        if self.pick_1.val() {
            self.slot.next = (self.slots_1.index.val()) | (self.port_bit.val());
            self.op.next = self.p1_op.val();
            self.tag.next = self.p1_tag.val();
            self.pid.next = self.p1_pid.val();
            self.va.next = self.p1_va.val();
        }
        if self.reset.val() {
            self.turn.d.next = false;
        }
    }
}
