//! Small queues in distributed RAM.

use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;

/// A queue whose head can be seen in the cycle after its push. It never holds more than its depth,
/// because each of its users pushes names of things of which there are that many: there is no
/// `full`.
#[derive(LogicBlock, Default)]
pub struct Fifo<D: Synth> {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub push: Signal<In, Bit>,
    pub push_data: Signal<In, D>,
    /// Takes the head; only while `nonempty`.
    pub pop: Signal<In, Bit>,
    pub head: Signal<Out, D>,
    pub nonempty: Signal<Out, Bit>,
    ram: LutRam<D, 8>,
    write_at: DFF<Bits<8>>,
    read_at: DFF<Bits<8>>,
    count: DFF<Bits<8>>,
    filled: DFF<Bit>,
}

impl<D: Synth> Fifo<D> {
    pub fn new(depth: usize) -> Self {
        Self { ram: LutRam::new(depth), ..Default::default() }
    }
}

impl<D: Synth> Logic for Fifo<D> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, write_at, read_at, count, filled);
        self.ram.clock.next = self.clock.val();
        self.ram.write_address.next = self.write_at.q.val();
        self.ram.write_data.next = self.push_data.val();
        self.ram.write_enable.next = self.push.val();
        self.ram.read_address.next = self.read_at.q.val();
        self.head.next = self.ram.read_data.val();
        self.nonempty.next = self.filled.q.val();
        if self.push.val() {
            self.write_at.d.next = self.write_at.q.val() + 1;
        }
        if self.pop.val() {
            self.read_at.d.next = self.read_at.q.val() + 1;
        }
        if self.push.val() && !self.pop.val() {
            self.count.d.next = self.count.q.val() + 1;
            self.filled.d.next = true;
        }
        if self.pop.val() && !self.push.val() {
            self.count.d.next = self.count.q.val() - 1;
            self.filled.d.next = !(self.count.q.val() == 1);
        }
        if self.reset.val() {
            self.write_at.d.next = 0.into();
            self.read_at.d.next = 0.into();
            self.count.d.next = 0.into();
            self.filled.d.next = false;
        }
    }
}

/// The names 0..depth, each either in the pool or taken. It fills itself after reset, one a cycle;
/// names may be taken and given back meanwhile.
#[derive(LogicBlock, Default)]
pub struct IndexPool {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A name can be taken: `index`, by `take`.
    pub available: Signal<Out, Bit>,
    pub index: Signal<Out, Bits<7>>,
    pub take: Signal<In, Bit>,
    pub give: Signal<In, Bit>,
    pub give_index: Signal<In, Bits<7>>,
    names: Fifo<Bits<7>>,
    fill: DFF<Bits<8>>,
    filling: Signal<Local, Bit>,
    depth: Param<Bits<8>>,
}

impl IndexPool {
    pub fn new(depth: usize) -> Self {
        Self {
            names: Fifo::new(depth),
            depth: Param::new((depth as u64).into()),
            ..Default::default()
        }
    }
}

impl Logic for IndexPool {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, fill);
        clock!(self, clock, names);
        self.names.reset.next = self.reset.val();
        self.filling.next = (self.fill.q.val() != self.depth.val()) && !self.give.val();
        self.names.push.next = self.filling.val() || self.give.val();
        self.names.push_data.next = self.give_index.val();
        if self.filling.val() {
            self.fill.d.next = self.fill.q.val() + 1;
            self.names.push_data.next = bit_cast::<7, 8>(self.fill.q.val());
        }
        self.available.next = self.names.nonempty.val();
        self.index.next = self.names.head.val();
        self.names.pop.next = self.take.val();
        if self.reset.val() {
            self.fill.d.next = 0.into();
        }
    }
}
