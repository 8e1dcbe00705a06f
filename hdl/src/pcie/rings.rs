//! Rings: fetches commands from the submission ring, ahead of need and in order.
//!
//! Out: read requests of one line each for [`super::host_reads`], and the commands to
//! [`super::commands`]. Up to eight fetches are in flight or wait to be worked on. A command is only
//! fetched when its completion entry has a place: between the commands begun and the host's `CQ_HEAD`
//! there are never more than the ring has entries.

use crate::prim::LutRam;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Rings {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub enable: Signal<In, Bit>,
    pub base: Signal<In, Bits<64>>,
    pub ring_log2: Signal<In, Bits<4>>,
    pub sq_tail: Signal<In, Bits<16>>,
    pub cq_head: Signal<In, Bits<16>>,
    /// The engine was just enabled: both rings begin anew.
    pub starts: Signal<Out, Bit>,
    /// Commands are being fetched, or were and are not yet taken.
    pub busy: Signal<Out, Bit>,

    /// A line of the ring to be read. Once up, valid stays until ready.
    pub fetch_valid: Signal<Out, Bit>,
    pub fetch_ready: Signal<In, Bit>,
    pub fetch_address: Signal<Out, Bits<64>>,
    pub fetch_place: Signal<Out, Bits<3>>,
    /// What was read.
    pub line: Signal<In, Bit>,
    pub line_place: Signal<In, Bits<3>>,
    pub line_status: Signal<In, Bits<8>>,
    pub line_data: Signal<In, Bits<512>>,

    pub command_valid: Signal<Out, Bit>,
    pub command_ready: Signal<In, Bit>,
    /// Its place in the ring.
    pub command_slot: Signal<Out, Bits<8>>,
    /// Zero, or why it could not be fetched: it then does nothing.
    pub command_status: Signal<Out, Bits<8>>,
    pub command: Signal<Out, Bits<512>>,

    lines: LutRam<Bits<512>, 3>,
    statuses: LutRam<Bits<8>, 3>,
    there: DFF<Bits<8>>,
    was_enabled: DFF<Bit>,
    /// Counts of commands, modulo 65536: asked for, and given on.
    asked: DFF<Bits<16>>,
    given: DFF<Bits<16>>,
    /// A fetch is offered.
    offered: DFF<Bit>,
    ahead: Signal<Local, Bits<16>>,
    unreported: Signal<Local, Bits<16>>,
    entries: Signal<Local, Bits<16>>,
    slot_mask: Signal<Local, Bits<16>>,
    place: Signal<Local, Bits<64>>,
    one: Signal<Local, Bits<8>>,
    come: Signal<Local, Bits<8>>,
    gone: Signal<Local, Bits<8>>,
    start: Signal<Local, Bit>,
    can_ask: Signal<Local, Bit>,
}

impl Rings {
    pub fn new() -> Self {
        Self { lines: LutRam::new(8), statuses: LutRam::new(8), ..Default::default() }
    }
}

impl Logic for Rings {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, there, was_enabled, asked, given, offered);
        clock!(self, clock, lines, statuses);
        self.was_enabled.d.next = self.enable.val();
        self.start.next = self.enable.val() && !self.was_enabled.q.val();
        self.starts.next = self.start.val();
        self.one.next = 1.into();
        self.entries.next = bit_cast::<16, 8>(self.one.val()) << self.ring_log2.val();
        self.slot_mask.next = self.entries.val() - 1;
        self.ahead.next = self.asked.q.val() - self.given.q.val();
        self.unreported.next = self.asked.q.val() - self.cq_head.val();
        self.busy.next = self.ahead.val().any() || self.offered.q.val();

        self.can_ask.next = self.enable.val()
            && self.was_enabled.q.val()
            && (self.asked.q.val() != self.sq_tail.val())
            && (self.ahead.val() < 8)
            && (self.unreported.val() < self.entries.val());
        self.place.next = bit_cast::<64, 16>(self.asked.q.val() & self.slot_mask.val()) << 6;
        self.fetch_valid.next = self.offered.q.val();
        self.fetch_address.next = self.base.val() + self.place.val();
        self.fetch_place.next = self.asked.q.val().get_bits::<3>(0);
        if self.offered.q.val() {
            if self.fetch_ready.val() {
                self.offered.d.next = false;
                self.asked.d.next = self.asked.q.val() + 1;
            }
        } else {
            self.offered.d.next = self.can_ask.val();
        }

        self.lines.write_address.next = self.line_place.val();
        self.lines.write_data.next = self.line_data.val();
        self.lines.write_enable.next = self.line.val();
        self.lines.read_address.next = self.given.q.val().get_bits::<3>(0);
        self.statuses.write_address.next = self.line_place.val();
        self.statuses.write_data.next = self.line_status.val();
        self.statuses.write_enable.next = self.line.val();
        self.statuses.read_address.next = self.given.q.val().get_bits::<3>(0);
        self.come.next = 0.into();
        if self.line.val() {
            self.come.next = self.one.val() << self.line_place.val();
        }
        self.command_valid.next =
            self.there.q.val().get_bit(self.given.q.val().get_bits::<3>(0).index());
        self.command_slot.next = bit_cast::<8, 16>(self.given.q.val() & self.slot_mask.val());
        self.command_status.next = self.statuses.read_data.val();
        self.command.next = self.lines.read_data.val();
        self.gone.next = 0.into();
        if self.command_valid.val() && self.command_ready.val() {
            self.gone.next = self.one.val() << self.given.q.val().get_bits::<3>(0);
            self.given.d.next = self.given.q.val() + 1;
        }
        self.there.d.next = (self.there.q.val() & (!self.gone.val())) | self.come.val();
        if self.start.val() {
            self.asked.d.next = 0.into();
            self.given.d.next = 0.into();
        }
        if self.reset.val() {
            self.there.d.next = 0.into();
            self.was_enabled.d.next = false;
            self.asked.d.next = 0.into();
            self.given.d.next = 0.into();
            self.offered.d.next = false;
        }
    }
}
