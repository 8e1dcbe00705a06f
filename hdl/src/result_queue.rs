//! What the table engine found, until the monitor reads it: the register TE_RESULT.
//!
//! In: `push` with an entry as TE_RESULT reports it, only while `room`. A read of the register takes
//! the oldest one.

use crate::prim::LutRam;
use crate::registers::{constant, Access, HwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::regs;

/// Depth of the queue.
pub const RESULTS: usize = 16;

#[derive(LogicBlock)]
pub struct ResultQueue {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub push: Signal<In, Bit>,
    pub result: Signal<In, Bits<32>>,
    pub room: Signal<Out, Bit>,
    pop: HwRegister,
    queue: LutRam<Bits<32>, 4>,
    tail: DFF<Bits<4>>,
    head: DFF<Bits<4>>,
    count: DFF<Bits<5>>,
    popped: DFF<Bits<32>>,
    takes: Signal<Local, Bit>,
    depth: Constant<Bits<5>>,
}

impl Default for ResultQueue {
    fn default() -> Self {
        with_defaults!(Self {
            pop: HwRegister::new(&regs::TE_RESULT),
            queue: LutRam::new(RESULTS),
            depth: constant(RESULTS as u64),
        } clock bus read_data push result room tail head count popped takes)
    }
}

impl Logic for ResultQueue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, tail, head, count, popped);
        clock!(self, clock, pop, queue);
        self.pop.bus.next = self.bus.val();
        self.queue.write_address.next = self.tail.q.val();
        self.queue.write_data.next = self.result.val();
        self.queue.write_enable.next = self.push.val();
        self.queue.read_address.next = self.head.q.val();
        self.room.next = self.count.q.val() != self.depth.val();
        self.takes.next = self.pop.reads.val() && self.count.q.val().any();
        if self.pop.reads.val() {
            self.popped.d.next = 0.into();
        }
        if self.takes.val() {
            self.popped.d.next = self.queue.read_data.val();
            self.head.d.next = self.head.q.val() + 1;
        }
        if self.push.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }
        if self.push.val() && !self.takes.val() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if !self.push.val() && self.takes.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        self.pop.value.next = self.popped.q.val();
        self.read_data.next = self.pop.read_data.val();
        if self.bus.val().reset {
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
            self.count.d.next = 0.into();
        }
    }
}
