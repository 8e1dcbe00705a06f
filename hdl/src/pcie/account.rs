//! Account: how much of each command is left, and how it ended.
//!
//! In: beginnings of commands, and lines that are done: written in the component, refused or lost by
//! the host, sent to the host. One of them a cycle; each stays at its port until ready. Out: the
//! commands that have ended, each once, after the last of its lines. A command's status is that of the
//! first of its lines, in the order in which they are done, that was not ok.

use crate::fifo::Fifo;
use crate::prim::LutRam;
use rust_hdl::prelude::*;

/// A command that has ended.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Ended {
    pub id: Bits<16>,
    pub status: Bits<8>,
    pub cycles: Bits<32>,
    pub value: Bits<64>,
}

#[derive(LogicBlock, Default)]
pub struct Account {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub cycles: Signal<In, Bits<32>>,
    /// Slots were cleared after reset.
    pub ready: Signal<Out, Bit>,
    /// Commands have begun and not ended.
    pub busy: Signal<Out, Bit>,

    pub start_valid: Signal<In, Bit>,
    pub start_ready: Signal<Out, Bit>,
    pub start_slot: Signal<In, Bits<8>>,
    pub start_id: Signal<In, Bits<16>>,
    pub start_lines: Signal<In, Bits<13>>,
    pub start_status: Signal<In, Bits<8>>,

    /// Done, by source: written lines and atomics, pieces sent, pieces of the host's that failed,
    /// lines lost with a list.
    pub wrote_valid: Signal<In, Bit>,
    pub wrote_ready: Signal<Out, Bit>,
    pub wrote_slot: Signal<In, Bits<8>>,
    pub wrote_status: Signal<In, Bits<8>>,
    /// An atomic's old value.
    pub wrote_value: Signal<In, Bits<64>>,
    pub sent_valid: Signal<In, Bit>,
    pub sent_ready: Signal<Out, Bit>,
    pub sent_slot: Signal<In, Bits<8>>,
    pub sent_lines: Signal<In, Bits<7>>,
    pub sent_status: Signal<In, Bits<8>>,
    pub failed_valid: Signal<In, Bit>,
    pub failed_ready: Signal<Out, Bit>,
    pub failed_slot: Signal<In, Bits<8>>,
    pub failed_lines: Signal<In, Bits<7>>,
    pub failed_status: Signal<In, Bits<8>>,
    pub lost_valid: Signal<In, Bit>,
    pub lost_ready: Signal<Out, Bit>,
    pub lost_slot: Signal<In, Bits<8>>,
    pub lost_lines: Signal<In, Bits<13>>,
    pub lost_status: Signal<In, Bits<8>>,

    /// A command has ended; stays until ready.
    pub end_valid: Signal<Out, Bit>,
    pub end_ready: Signal<In, Bit>,
    pub end_record: Signal<Out, Ended>,

    /// `[12:0]` lines left, `[20:13]` status.
    slots: LutRam<Bits<21>, 8>,
    /// `[15:0]` id, `[47:16]` cycle of the beginning.
    begun: LutRam<Bits<48>, 8>,
    ends: Fifo<Ended>,
    clearing: DFF<Bits<9>>,
    open: DFF<Bits<9>>,
    at: Signal<Local, Bits<8>>,
    entry: Signal<Local, Bits<21>>,
    beginning: Signal<Local, Bits<48>>,
    left: Signal<Local, Bits<13>>,
    status: Signal<Local, Bits<8>>,
    lines: Signal<Local, Bits<13>>,
    new_status: Signal<Local, Bits<8>>,
    any: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    ended: Signal<Local, Bit>,
    cleared: Signal<Local, Bit>,
    value: Signal<Local, Bits<64>>,
    record: Signal<Local, Ended>,
}

impl Account {
    pub fn new() -> Self {
        Self {
            slots: LutRam::new(256),
            begun: LutRam::new(256),
            ends: Fifo::new(256),
            ..Default::default()
        }
    }
}

impl Logic for Account {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, clearing, open);
        clock!(self, clock, slots, begun, ends);
        self.ends.reset.next = self.reset.val();
        self.cleared.next = self.clearing.q.val().get_bit(8);
        self.ready.next = self.cleared.val();
        self.busy.next = self.open.q.val().any() || self.ends.nonempty.val();

        self.any.next = false;
        self.wrote_ready.next = false;
        self.sent_ready.next = false;
        self.failed_ready.next = false;
        self.lost_ready.next = false;
        self.at.next = self.start_slot.val();
        self.lines.next = 0.into();
        self.new_status.next = 0.into();
        self.value.next = 0.into();
        if self.cleared.val() {
            if self.wrote_valid.val() {
                self.any.next = true;
                self.wrote_ready.next = true;
                self.at.next = self.wrote_slot.val();
                self.lines.next = 1.into();
                self.new_status.next = self.wrote_status.val();
                self.value.next = self.wrote_value.val();
            } else if self.sent_valid.val() {
                self.any.next = true;
                self.sent_ready.next = true;
                self.at.next = self.sent_slot.val();
                self.lines.next = bit_cast::<13, 7>(self.sent_lines.val());
                self.new_status.next = self.sent_status.val();
            } else if self.failed_valid.val() {
                self.any.next = true;
                self.failed_ready.next = true;
                self.at.next = self.failed_slot.val();
                self.lines.next = bit_cast::<13, 7>(self.failed_lines.val());
                self.new_status.next = self.failed_status.val();
            } else if self.lost_valid.val() {
                self.any.next = true;
                self.lost_ready.next = true;
                self.at.next = self.lost_slot.val();
                self.lines.next = self.lost_lines.val();
                self.new_status.next = self.lost_status.val();
            }
        }
        self.slots.read_address.next = self.at.val();
        self.entry.next = self.slots.read_data.val();
        self.begun.read_address.next = self.at.val();
        self.beginning.next = self.begun.read_data.val();
        self.left.next = self.entry.val().get_bits::<13>(0);
        // A slot that still has lines left is not begun again.
        self.start_ready.next = self.cleared.val() && (!self.any.val()) && !self.left.val().any();
        self.begins.next = self.start_valid.val()
            && self.cleared.val()
            && (!self.any.val())
            && !self.left.val().any();
        self.status.next = self.entry.val().get_bits::<8>(13);
        if !self.status.val().any() {
            self.status.next = self.new_status.val();
        }
        self.ended.next = (self.any.val() && (self.left.val() == self.lines.val()))
            || (self.begins.val() && !self.start_lines.val().any());

        self.slots.write_address.next = self.at.val();
        self.slots.write_enable.next = self.any.val() || self.begins.val();
        self.slots.write_data.next = bit_cast::<21, 13>(self.left.val() - self.lines.val())
            | (bit_cast::<21, 8>(self.status.val()) << 13);
        self.begun.write_address.next = self.start_slot.val();
        self.begun.write_enable.next = self.begins.val();
        self.begun.write_data.next =
            bit_cast::<48, 16>(self.start_id.val()) | (bit_cast::<48, 32>(self.cycles.val()) << 16);
        self.record.next.id = self.beginning.val().get_bits::<16>(0);
        self.record.next.status = self.status.val();
        self.record.next.cycles = self.cycles.val() - self.beginning.val().get_bits::<32>(16);
        self.record.next.value = self.value.val();
        if self.begins.val() {
            self.slots.write_data.next = bit_cast::<21, 13>(self.start_lines.val());
            self.record.next.id = self.start_id.val();
            self.record.next.status = self.start_status.val();
            self.record.next.cycles = 0.into();
        }
        self.ends.push.next = self.ended.val();
        self.ends.push_data.next = self.record.val();
        self.end_valid.next = self.ends.nonempty.val();
        self.end_record.next = self.ends.head.val();
        self.ends.pop.next = self.ends.nonempty.val() && self.end_ready.val();
        if self.begins.val() && !self.ended.val() {
            self.open.d.next = self.open.q.val() + 1;
        }
        if self.any.val() && self.ended.val() {
            self.open.d.next = self.open.q.val() - 1;
        }
        if !self.cleared.val() {
            self.clearing.d.next = self.clearing.q.val() + 1;
            self.slots.write_address.next = self.clearing.q.val().get_bits::<8>(0);
            self.slots.write_enable.next = true;
            self.slots.write_data.next = 0.into();
        }
        if self.reset.val() {
            self.clearing.d.next = 0.into();
            self.open.d.next = 0.into();
        }
    }
}
