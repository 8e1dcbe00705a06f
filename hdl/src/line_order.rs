//! Line order: two requests to one physical line take effect one after the other.
//!
//! Every slot that is in flight holds its line. A request whose line is held waits behind the last
//! one to hold it (a chain, one link a slot) and is woken when that one took effect. Lines are compared
//! in the cycle in which a request passes; in the next one it is told that it must wait. So a DRAM
//! controller may reorder as it likes, an atomic's read and write stand together, and it makes no
//! difference through which pid or port a line is reached.

use crate::fifo::Fifo;
use crate::prim::{Cam, Encode, LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct LineOrder {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,

    /// The issue stage's request.
    pub slot: Signal<In, Bits<7>>,
    pub line: Signal<In, Bits<34>>,
    pub write: Signal<In, Bit>,
    /// It leaves the issue stage for the first time, to the DRAM or to wait.
    pub pass: Signal<In, Bit>,
    /// The line of the request that passed in the last cycle is held by another: it waits.
    pub conflict: Signal<Out, Bit>,

    pub finish: Signal<In, Bit>,
    pub finish_slot: Signal<In, Bits<7>>,

    /// A request whose turn has come.
    pub wake_valid: Signal<Out, Bit>,
    pub wake_slot: Signal<Out, Bits<7>>,
    pub wake_take: Signal<In, Bit>,
    /// Line and kind of any slot that has passed.
    pub look_slot: Signal<In, Bits<7>>,
    pub look_line: Signal<Out, Bits<34>>,
    pub look_write: Signal<Out, Bit>,

    pub mark: Signal<In, Bit>,
    pub any_marked: Signal<Out, Bit>,
    pub idle: Signal<Out, Bit>,

    lines_held: Cam<34>,
    behind: LutRam<Bits<7>, 7>,
    lines: LutRam<Bits<35>, 7>,
    woken: Fifo<Bits<7>>,
    holder: Encode,
    /// One bit a slot: a request is in flight; a shootdown waits for it; it holds its line; it is
    /// the last one to hold its line.
    in_flight: DFF<Bits<64>>,
    noted: DFF<Bits<64>>,
    busy: DFF<Bits<64>>,
    tail: DFF<Bits<64>>,
    /// Who held the line of the request that passed in the last cycle, and that request's slot.
    held_by: DFF<Bits<64>>,
    passed_slot: DFF<Bits<7>>,
    /// The request that took effect in the last cycle had one behind it.
    wakes: DFF<Bit>,
    finished_slot: DFF<Bits<7>>,
    accepted: Signal<Local, Bits<64>>,
    finished: Signal<Local, Bits<64>>,
    passed: Signal<Local, Bits<64>>,
    hits: Signal<Local, Bits<64>>,
    one: Param<Bits<64>>,
    /// The slots that there are.
    all: Param<Bits<64>>,
}

impl LineOrder {
    pub fn new(config: &HwConfig) -> Self {
        let slots = 2 * config.port_slots as usize;
        Self {
            lines_held: Cam::new(slots),
            behind: LutRam::new(slots),
            lines: LutRam::new(slots),
            woken: Fifo::new(slots),
            one: Param::new(1u64.into()),
            all: Param::new((u64::MAX >> (64 - slots)).into()),
            ..Default::default()
        }
    }
}

impl Logic for LineOrder {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, in_flight, noted, busy, tail);
        dff_setup!(self, clock, held_by, passed_slot, wakes, finished_slot);
        clock!(self, clock, lines_held, behind, lines, woken);
        self.woken.reset.next = self.reset.val();
        self.accepted.next = 0.into();
        self.finished.next = 0.into();
        self.passed.next = 0.into();
        if self.accept.val() {
            self.accepted.next = ((self.one.val()) << (self.accept_slot.val())) & (self.all.val());
        }
        if self.finish.val() {
            self.finished.next = ((self.one.val()) << (self.finish_slot.val())) & (self.all.val());
        }
        if self.pass.val() {
            self.passed.next = ((self.one.val()) << (self.slot.val())) & (self.all.val());
        }
        // One that takes effect in this cycle is over: nobody needs to wait behind it.
        self.lines_held.look.next = self.line.val();
        self.hits.next = (self.lines_held.equal.val())
            & (self.busy.q.val())
            & (self.tail.q.val())
            & (!self.finished.val());
        self.lines_held.write_enable.next = self.pass.val();
        self.lines_held.write_address.next = self.slot.val();
        self.lines_held.write_data.next = self.line.val();

        self.in_flight.d.next =
            ((self.in_flight.q.val()) & (!self.finished.val())) | (self.accepted.val());
        self.busy.d.next = ((self.busy.q.val()) & (!self.finished.val())) | (self.passed.val());
        self.tail.d.next = (self.tail.q.val()) | (self.passed.val());
        if self.pass.val() {
            self.tail.d.next = ((self.tail.q.val()) & (!self.hits.val())) | (self.passed.val());
        }
        self.held_by.d.next = 0.into();
        if self.pass.val() {
            self.held_by.d.next = self.hits.val();
        }
        self.passed_slot.d.next = self.slot.val();
        self.noted.d.next = (self.noted.q.val()) & (!self.finished.val());
        if self.mark.val() {
            self.noted.d.next = (self.in_flight.q.val()) & (!self.finished.val());
        }
        self.any_marked.next = self.noted.q.val().any();
        self.idle.next = !(self.in_flight.q.val().any());

        self.conflict.next = self.held_by.q.val().any();
        self.holder.bits.next = self.held_by.q.val();
        self.behind.write_enable.next = self.held_by.q.val().any();
        self.behind.write_address.next = self.holder.index.val();
        self.behind.write_data.next = self.passed_slot.q.val();
        // In the cycle after it took effect: one that passed just before is behind it by then.
        self.wakes.d.next =
            ((self.finished.val()) & (self.busy.q.val()) & (!self.tail.q.val())).any();
        self.finished_slot.d.next = self.finish_slot.val();
        self.behind.read_address.next = self.finished_slot.q.val();
        self.woken.push.next = self.wakes.q.val();
        self.woken.push_data.next = self.behind.read_data.val();
        self.wake_valid.next = self.woken.nonempty.val();
        self.wake_slot.next = self.woken.head.val();
        self.woken.pop.next = self.wake_take.val();
        self.lines.write_enable.next = self.pass.val();
        self.lines.write_address.next = self.slot.val();
        self.lines.write_data.next = bit_cast::<35, 34>(self.line.val())
            | (bit_cast::<35, 1>(self.write.val().into()) << 34);
        self.lines.read_address.next = self.look_slot.val();
        self.look_line.next = self.lines.read_data.val().get_bits::<34>(0);
        self.look_write.next = self.lines.read_data.val().get_bit(34);
        if self.reset.val() {
            self.in_flight.d.next = 0.into();
            self.noted.d.next = 0.into();
            self.busy.d.next = 0.into();
            self.held_by.d.next = 0.into();
            self.wakes.d.next = false;
        }
    }
}
