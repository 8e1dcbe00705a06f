//! Response queue of one port: a block RAM with its newest entry at hand.
//!
//! An answer pushed into an empty queue can be taken in the next cycle; one answer a cycle, in and
//! out. It cannot overflow: a request's slot is only given back when its answer was taken.

use crate::prim::HeldRam;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct ResponseFifo {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub push: Signal<In, Bit>,
    pub push_slot: Signal<In, Bits<7>>,
    pub push_tag: Signal<In, Bits<16>>,
    pub push_status: Signal<In, Bits<3>>,
    pub push_data: Signal<In, Bits<512>>,
    /// Once up, valid stays with a stable payload until ready.
    pub valid: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub tag: Signal<Out, Bits<16>>,
    pub status: Signal<Out, Bits<3>>,
    pub data: Signal<Out, Bits<512>>,
    /// The slot that comes back in a cycle with valid and ready.
    pub slot: Signal<Out, Bits<7>>,
    lines: HeldRam<Bits<512>, 7>,
    /// `[15:0]` tag, `[18:16]` status, `[25:19]` slot.
    rest: HeldRam<Bits<26>, 7>,
    write_at: DFF<Bits<7>>,
    read_at: DFF<Bits<7>>,
    next_at: Signal<Local, Bits<7>>,
    count: DFF<Bits<8>>,
    filled: DFF<Bit>,
    /// The head is in `fresh_*`, not yet readable from the RAM.
    from_fresh: DFF<Bit>,
    fresh_line: DFF<Bits<512>>,
    fresh_rest: DFF<Bits<26>>,
    entry: Signal<Local, Bits<26>>,
    head: Signal<Local, Bits<26>>,
    pop: Signal<Local, Bit>,
    one_left: Signal<Local, Bit>,
}

impl ResponseFifo {
    pub fn new(config: &HwConfig) -> Self {
        let slots = config.port_slots as usize;
        Self { lines: HeldRam::loose(slots), rest: HeldRam::loose(slots), ..Default::default() }
    }
}

impl Logic for ResponseFifo {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, write_at, read_at, count, filled, from_fresh, fresh_line, fresh_rest
        );
        clock!(self, clock, lines, rest);
        self.entry.next = bit_cast::<26, 16>(self.push_tag.val())
            | (bit_cast::<26, 3>(self.push_status.val()) << 16)
            | (bit_cast::<26, 7>(self.push_slot.val()) << 19);
        self.pop.next = self.filled.q.val() && self.ready.val();
        self.next_at.next = self.read_at.q.val();
        if self.pop.val() {
            self.next_at.next = self.read_at.q.val() + 1;
        }
        self.read_at.d.next = self.next_at.val();
        self.lines.read_enable.next = true;
        self.lines.read_address.next = self.next_at.val();
        self.lines.write_address.next = self.write_at.q.val();
        self.lines.write_data.next = self.push_data.val();
        self.lines.write_enable.next = self.push.val();
        self.rest.read_enable.next = true;
        self.rest.read_address.next = self.next_at.val();
        self.rest.write_address.next = self.write_at.q.val();
        self.rest.write_data.next = self.entry.val();
        self.rest.write_enable.next = self.push.val();
        self.one_left.next = self.count.q.val() == 1;
        if self.push.val() {
            self.write_at.d.next = self.write_at.q.val() + 1;
            self.fresh_line.d.next = self.push_data.val();
            self.fresh_rest.d.next = self.entry.val();
        }
        if self.push.val() && !self.pop.val() {
            self.count.d.next = self.count.q.val() + 1;
            self.filled.d.next = true;
        }
        if self.pop.val() && !self.push.val() {
            self.count.d.next = self.count.q.val() - 1;
            self.filled.d.next = !self.one_left.val();
        }
        // What is pushed becomes the head at once if nothing else is left. Otherwise the head has
        // been in the RAM for a cycle: it is the entry at `next_at`, read now, and not the one being
        // written.
        self.from_fresh.d.next =
            self.push.val() && (!self.filled.q.val() || (self.pop.val() && self.one_left.val()));
        self.head.next = self.rest.read_data.val();
        self.data.next = self.lines.read_data.val();
        if self.from_fresh.q.val() {
            self.head.next = self.fresh_rest.q.val();
            self.data.next = self.fresh_line.q.val();
        }
        self.valid.next = self.filled.q.val();
        self.tag.next = self.head.val().get_bits::<16>(0);
        self.status.next = self.head.val().get_bits::<3>(16);
        self.slot.next = self.head.val().get_bits::<7>(19);
        if self.reset.val() {
            self.write_at.d.next = 0.into();
            self.read_at.d.next = 0.into();
            self.count.d.next = 0.into();
            self.filled.d.next = false;
            self.from_fresh.d.next = false;
        }
    }
}
