//! Cleared frames of one size, oldest first.
//!
//! In: `push` with a frame, at most one a cycle; the pusher keeps `count` within the depth. Out: the
//! oldest frame, registered, with `valid`; `take` (only while valid) gives way to the next one. A
//! frame in two cycles can be taken as long as there are any. A pushed frame reaches `frame` three cycles
//! later in an empty list; `count` has it from the next cycle on.
//!
//! A FIFO in block RAM with two registers before it, which hide the RAM's cycle of latency and its
//! slow output.

use crate::prim::HeldRam;
use rust_hdl::prelude::*;

#[derive(LogicBlock)]
pub struct FreeList {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub push: Signal<In, Bit>,
    pub push_frame: Signal<In, Bits<28>>,
    pub valid: Signal<Out, Bit>,
    pub frame: Signal<Out, Bits<28>>,
    pub take: Signal<In, Bit>,
    /// Frames in the list, `frame` included.
    pub count: Signal<Out, Bits<16>>,

    ram: HeldRam<Bits<28>, 12>,
    tail: DFF<Bits<12>>,
    head: DFF<Bits<12>>,
    in_ram: DFF<Bits<16>>,
    total: DFF<Bits<16>>,
    /// The RAM's output is a frame that is in neither register yet.
    fetched: DFF<Bit>,
    first_valid: DFF<Bit>,
    first: DFF<Bits<28>>,
    second_valid: DFF<Bit>,
    second: DFF<Bits<28>>,
    fetch: Signal<Local, Bit>,
    first_stays: Signal<Local, Bit>,
    second_stays: Signal<Local, Bit>,
}

impl FreeList {
    pub fn new(depth: u32) -> Self {
        with_defaults!(Self {
            ram: HeldRam::loose(depth as usize),
        } clock reset push push_frame valid frame take count tail head in_ram total fetched
          first_valid first second_valid second fetch first_stays second_stays)
    }
}

impl Logic for FreeList {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, tail, head, in_ram, total, fetched);
        dff_setup!(self, clock, first_valid, first, second_valid, second);
        clock!(self, clock, ram);
        self.ram.write_address.next = self.tail.q.val();
        self.ram.write_data.next = self.push_frame.val();
        self.ram.write_enable.next = self.push.val();
        self.ram.read_enable.next = true;
        self.ram.read_address.next = self.head.q.val();

        // What stands before the RAM after a take. A fetch wants room for its frame before it, so that
        // it does not hang on the take.
        self.first_stays.next = (self.first_valid.q.val() && !self.take.val())
            || (self.second_valid.q.val() && self.take.val());
        self.second_stays.next = self.second_valid.q.val() && !self.take.val();
        self.fetch.next = self.in_ram.q.val().any()
            && !self.second_valid.q.val()
            && !(self.first_valid.q.val() && self.fetched.q.val());
        self.fetched.d.next = self.fetch.val();

        if self.take.val() {
            self.first.d.next = self.second.q.val();
        }
        self.first_valid.d.next = self.first_stays.val() || self.fetched.q.val();
        self.second_valid.d.next = self.second_stays.val();
        if self.fetched.q.val() {
            if self.first_stays.val() {
                self.second_valid.d.next = true;
                self.second.d.next = self.ram.read_data.val();
            } else {
                self.first.d.next = self.ram.read_data.val();
            }
        }

        if self.push.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }
        if self.fetch.val() {
            self.head.d.next = self.head.q.val() + 1;
        }
        if self.push.val() && !self.fetch.val() {
            self.in_ram.d.next = self.in_ram.q.val() + 1;
        }
        if !self.push.val() && self.fetch.val() {
            self.in_ram.d.next = self.in_ram.q.val() - 1;
        }
        if self.push.val() && !self.take.val() {
            self.total.d.next = self.total.q.val() + 1;
        }
        if !self.push.val() && self.take.val() {
            self.total.d.next = self.total.q.val() - 1;
        }
        self.valid.next = self.first_valid.q.val();
        self.frame.next = self.first.q.val();
        self.count.next = self.total.q.val();
        if self.reset.val() {
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
            self.in_ram.d.next = 0.into();
            self.total.d.next = 0.into();
            self.fetched.d.next = false;
            self.first_valid.d.next = false;
            self.second_valid.d.next = false;
        }
    }
}
