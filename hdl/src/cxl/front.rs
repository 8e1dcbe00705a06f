//! The transaction layer: CXL.mem messages in, native requests out, and back.
//!
//! ```text
//!  Req ─┐ cycle 0        cycle 1           cycle 2          cycle 3
//!       ├─ pick ─ claim ─ HPA to DPA ─┬─ window, poison ─ queue ─ native request
//!  RwD ─┘  (slot)                     └───── denied ──┐
//!  DRS, NDR ── queues ─────────────────────────────────┴──────── native answer
//!  cycle 1                                                       cycle 0
//! ```
//!
//! A message takes three cycles to the request port and its answer one cycle from there: four more
//! than a native request. One message a cycle in, one answer a cycle out. All outputs but the two
//! `*_ready` of M2S, which choose between Req and RwD, come from registers.
//!
//! A read is answered with DRS, everything else with NDR, as a host-managed device does (CXL 3.1,
//! section 3.5, HDM-H). CXL.mem has no word for a fault: a read that is not let through is answered
//! with poison and zeros, a write that is not is dropped and completed, and both leave an event.
//! MemSpecRd is dropped, MemInv and MemInvNT are completed: there is no metadata.

use super::decoder::Decoders;
use super::events::Events;
use super::poison::PoisonList;
use super::windows::Windows;
use super::words::WordAccess;
use crate::fifo::{Fifo, IndexPool};
use crate::prim::LutRam;
use rust_hdl::prelude::*;

/// Messages in flight.
const SLOTS: usize = 64;
/// Answers that wait for the link, and requests that wait for the port.
const QUEUE: usize = 8;

#[derive(LogicBlock)]
pub struct Front {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    /// CXL.mem enable of the device's DVSEC.
    pub enable: Signal<In, Bit>,

    /// A transfer happens where valid and ready are both up; once up, valid stays with a stable
    /// payload until then. So on every channel here.
    pub req_valid: Signal<In, Bit>,
    pub req_ready: Signal<Out, Bit>,
    pub req_opcode: Signal<In, Bits<4>>,
    pub req_tag: Signal<In, Bits<16>>,
    pub req_line: Signal<In, Bits<46>>,
    pub req_ld: Signal<In, Bits<4>>,
    pub rwd_valid: Signal<In, Bit>,
    pub rwd_ready: Signal<Out, Bit>,
    pub rwd_opcode: Signal<In, Bits<4>>,
    pub rwd_tag: Signal<In, Bits<16>>,
    pub rwd_line: Signal<In, Bits<46>>,
    pub rwd_ld: Signal<In, Bits<4>>,
    pub rwd_poison: Signal<In, Bit>,
    pub rwd_mask: Signal<In, Bits<64>>,
    pub rwd_data: Signal<In, Bits<512>>,
    pub ndr_valid: Signal<Out, Bit>,
    pub ndr_ready: Signal<In, Bit>,
    pub ndr_tag: Signal<Out, Bits<16>>,
    pub ndr_ld: Signal<Out, Bits<4>>,
    pub drs_valid: Signal<Out, Bit>,
    pub drs_ready: Signal<In, Bit>,
    pub drs_tag: Signal<Out, Bits<16>>,
    pub drs_ld: Signal<Out, Bits<4>>,
    pub drs_poison: Signal<Out, Bit>,
    pub drs_data: Signal<Out, Bits<512>>,
    /// Of all answers that leave in this cycle.
    pub load: Signal<Out, Bits<2>>,

    pub p_req_valid: Signal<Out, Bit>,
    pub p_req_ready: Signal<In, Bit>,
    pub p_req_write: Signal<Out, Bit>,
    pub p_req_tag: Signal<Out, Bits<16>>,
    pub p_req_pid: Signal<Out, Bits<16>>,
    pub p_req_va: Signal<Out, Bits<48>>,
    pub p_req_mask: Signal<Out, Bits<64>>,
    pub p_req_data: Signal<Out, Bits<512>>,
    pub p_resp_valid: Signal<In, Bit>,
    pub p_resp_ready: Signal<Out, Bit>,
    pub p_resp_tag: Signal<In, Bits<16>>,
    pub p_resp_status: Signal<In, Bits<3>>,
    pub p_resp_data: Signal<In, Bits<512>>,

    /// An event waits; the poison list ran over.
    pub event_waits: Signal<Out, Bit>,
    pub overflow: Signal<Out, Bit>,
    /// Pulses: a message of reserved opcode was dropped; a write brought poison.
    pub reserved: Signal<Out, Bit>,
    pub poison_in: Signal<Out, Bit>,

    decoders: Decoders,
    windows: Windows,
    poison: PoisonList,
    events: Events,

    // Cycle 0: one message, its slot, and who claims its line.
    slots: IndexPool,
    busy: DFF<Bits<7>>,
    ahead: DFF<Bits<4>>,
    turn_rwd: DFF<Bit>,
    room: Signal<Local, Bit>,
    pick_rwd: Signal<Local, Bit>,
    take_req: Signal<Local, Bit>,
    take_rwd: Signal<Local, Bit>,
    is_read: Signal<Local, Bit>,
    is_inv: Signal<Local, Bit>,
    is_write: Signal<Local, Bit>,
    accept: Signal<Local, Bit>,
    no_data: Signal<Local, Bit>,
    tag: Signal<Local, Bits<16>>,
    ld: Signal<Local, Bits<4>>,
    line: Signal<Local, Bits<46>>,
    /// By slot: `[15:0]` tag, `[19:16]` logical device, `[20]` answered with NDR, `[21]` write.
    facts: LutRam<Bits<22>, 7>,
    lines: LutRam<Bits<46>, 7>,

    // Cycle 1.
    a_valid: DFF<Bit>,
    a_write: DFF<Bit>,
    a_inv: DFF<Bit>,
    a_poison: DFF<Bit>,
    a_whole: DFF<Bit>,
    a_slot: DFF<Bits<7>>,
    a_line: DFF<Bits<46>>,
    a_hit: DFF<Bit>,
    a_by_1: DFF<Bit>,
    a_mask: DFF<Bits<64>>,
    a_data: DFF<Bits<512>>,

    // Cycle 2.
    b_valid: DFF<Bit>,
    b_write: DFF<Bit>,
    b_inv: DFF<Bit>,
    b_poison: DFF<Bit>,
    b_whole: DFF<Bit>,
    b_slot: DFF<Bits<7>>,
    b_dpa: DFF<Bits<46>>,
    b_hit: DFF<Bit>,
    b_mask: DFF<Bits<64>>,
    b_data: DFF<Bits<512>>,
    permitted: Signal<Local, Bit>,
    reason: Signal<Local, Bits<4>>,
    go: Signal<Local, Bit>,
    deny: Signal<Local, Bit>,

    // Cycle 3: what waits for the port. `[0]` write, `[7:1]` slot, `[23:8]` pid, `[65:24]` line.
    heads: Fifo<Bits<66>>,
    masks: Fifo<Bits<64>>,
    data: Fifo<Bits<512>>,
    sent: Signal<Local, Bit>,
    head: Signal<Local, Bits<66>>,
    /// Slots that did not get to the port: `[6:0]` slot, `[10:7]` reason, 0 if there is none.
    denied: Fifo<Bits<11>>,

    // Answers.
    turn_denied: DFF<Bit>,
    can_answer: Signal<Local, Bit>,
    serve: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    answer: Signal<Local, Bit>,
    slot: Signal<Local, Bits<7>>,
    why: Signal<Local, Bits<4>>,
    fact: Signal<Local, Bits<22>>,
    bad: Signal<Local, Bit>,
    nothing: Signal<Local, Bit>,
    push_ndr: Signal<Local, Bit>,
    push_drs: Signal<Local, Bit>,
    pop_ndr: Signal<Local, Bit>,
    pop_drs: Signal<Local, Bit>,
    ndrs: Fifo<Bits<20>>,
    /// `[15:0]` tag, `[19:16]` logical device, `[20]` poison.
    drss: Fifo<Bits<21>>,
    drs_lines: Fifo<Bits<512>>,
    ndr_count: DFF<Bits<4>>,
    drs_count: DFF<Bits<4>>,
    drs_head: Signal<Local, Bits<21>>,
    no_bytes: Signal<Local, Bits<64>>,
    zeros: Signal<Local, Bits<512>>,
}

impl Front {
    pub fn new() -> Self {
        with_defaults!(Self {
            decoders: Decoders::new(),
            windows: Windows::new(),
            poison: PoisonList::new(),
            events: Events::new(),
            slots: IndexPool::new(SLOTS),
            facts: LutRam::new(SLOTS),
            lines: LutRam::new(SLOTS),
            heads: Fifo::new(QUEUE),
            masks: Fifo::new(QUEUE),
            data: Fifo::new(QUEUE),
            denied: Fifo::new(SLOTS),
            ndrs: Fifo::new(QUEUE),
            drss: Fifo::new(QUEUE),
            drs_lines: Fifo::new(QUEUE),
        } clock bus read_data enable req_valid req_ready req_opcode req_tag req_line req_ld
          rwd_valid rwd_ready rwd_opcode rwd_tag rwd_line rwd_ld rwd_poison rwd_mask rwd_data
          ndr_valid ndr_ready ndr_tag ndr_ld drs_valid drs_ready drs_tag drs_ld drs_poison drs_data
          load p_req_valid p_req_ready p_req_write p_req_tag p_req_pid p_req_va p_req_mask
          p_req_data p_resp_valid p_resp_ready p_resp_tag p_resp_status p_resp_data event_waits overflow
          reserved poison_in busy ahead turn_rwd room pick_rwd take_req take_rwd is_read is_inv
          is_write accept no_data tag ld line a_valid a_write a_inv a_poison a_whole a_slot a_line a_hit
          a_by_1 a_mask a_data b_valid b_write b_inv b_poison b_whole b_slot b_dpa b_hit b_mask
          b_data permitted reason go deny sent head turn_denied can_answer serve take answer slot
          why fact bad nothing push_ndr push_drs pop_ndr pop_drs ndr_count drs_count drs_head no_bytes zeros)
    }
}

impl Default for Front {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Front {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, decoders, windows, poison, events, slots, facts, lines);
        clock!(self, clock, heads, masks, data, denied, ndrs, drss, drs_lines);
        dff_setup!(self, clock, busy, ahead, turn_rwd, turn_denied, ndr_count, drs_count);
        dff_setup!(self, clock, a_valid, a_write, a_inv, a_poison, a_whole, a_slot, a_line, a_hit);
        dff_setup!(self, clock, a_by_1, a_mask, a_data);
        dff_setup!(self, clock, b_valid, b_write, b_inv, b_poison, b_whole, b_slot, b_dpa, b_hit);
        dff_setup!(self, clock, b_mask, b_data);
        self.decoders.bus.next = self.bus.val();
        self.windows.bus.next = self.bus.val();
        self.poison.bus.next = self.bus.val();
        self.events.bus.next = self.bus.val();
        self.read_data.next = (self.decoders.read_data.val() | self.windows.read_data.val())
            | (self.poison.read_data.val() | self.events.read_data.val());
        self.slots.reset.next = self.bus.val().reset;
        self.heads.reset.next = self.bus.val().reset;
        self.masks.reset.next = self.bus.val().reset;
        self.data.reset.next = self.bus.val().reset;
        self.denied.reset.next = self.bus.val().reset;
        self.ndrs.reset.next = self.bus.val().reset;
        self.drss.reset.next = self.bus.val().reset;
        self.drs_lines.reset.next = self.bus.val().reset;

        // Cycle 0.
        self.room.next =
            self.slots.available.val() && self.windows.ready.val() && !(self.ahead.q.val() == 8);
        self.pick_rwd.next =
            self.rwd_valid.val() && (self.turn_rwd.q.val() || !self.req_valid.val());
        self.req_ready.next = self.room.val() && !self.pick_rwd.val();
        self.rwd_ready.next = self.room.val() && self.pick_rwd.val();
        self.take_req.next = self.req_valid.val() && self.room.val() && !self.pick_rwd.val();
        self.take_rwd.next = self.room.val() && self.pick_rwd.val();
        if self.take_req.val() {
            self.turn_rwd.d.next = true;
        }
        if self.take_rwd.val() {
            self.turn_rwd.d.next = false;
        }
        self.is_read.next =
            self.take_req.val() && ((self.req_opcode.val() == 1) || (self.req_opcode.val() == 2));
        self.is_inv.next =
            self.take_req.val() && ((self.req_opcode.val() == 0) || (self.req_opcode.val() == 9));
        self.is_write.next =
            self.take_rwd.val() && ((self.rwd_opcode.val() == 1) || (self.rwd_opcode.val() == 2));
        self.accept.next = self.is_read.val() || self.is_inv.val() || self.is_write.val();
        self.reserved.next = (self.take_rwd.val() && !self.is_write.val())
            || ((self.take_req.val() && !self.accept.val()) && !(self.req_opcode.val() == 8));
        self.poison_in.next = self.is_write.val() && self.rwd_poison.val();
        self.tag.next = self.req_tag.val();
        self.ld.next = self.req_ld.val();
        self.line.next = self.req_line.val();
        if self.pick_rwd.val() {
            self.tag.next = self.rwd_tag.val();
            self.ld.next = self.rwd_ld.val();
            self.line.next = self.rwd_line.val();
        }
        self.no_data.next = !self.is_read.val();
        self.slots.take.next = self.accept.val();
        self.facts.write_enable.next = self.accept.val();
        self.facts.write_address.next = self.slots.index.val();
        self.facts.write_data.next = bit_cast::<22, 16>(self.tag.val())
            | (bit_cast::<22, 4>(self.ld.val()) << 16)
            | (bit_cast::<22, 1>(self.no_data.val().into()) << 20)
            | (bit_cast::<22, 1>(self.is_write.val().into()) << 21);
        self.lines.write_enable.next = self.accept.val();
        self.lines.write_address.next = self.slots.index.val();
        self.lines.write_data.next = self.line.val();
        self.decoders.enable.next = self.enable.val();
        self.decoders.line.next = self.line.val();
        self.a_valid.d.next = self.accept.val();
        self.a_write.d.next = self.is_write.val();
        self.a_inv.d.next = self.is_inv.val();
        self.a_poison.d.next = self.rwd_poison.val();
        self.a_whole.d.next = self.rwd_opcode.val() == 1;
        self.a_slot.d.next = self.slots.index.val();
        self.a_line.d.next = self.line.val();
        self.a_hit.d.next = self.decoders.hit_0.val() || self.decoders.hit_1.val();
        self.a_by_1.d.next = !self.decoders.hit_0.val();
        self.a_mask.d.next = self.rwd_mask.val();
        self.a_data.d.next = self.rwd_data.val();

        // Cycle 1.
        self.no_bytes.next = 0.into();
        self.zeros.next = 0.into();
        self.decoders.claimed.next = self.a_line.q.val();
        self.decoders.by_1.next = self.a_by_1.q.val();
        self.b_valid.d.next = self.a_valid.q.val();
        self.b_write.d.next = self.a_write.q.val();
        self.b_inv.d.next = self.a_inv.q.val();
        self.b_poison.d.next = self.a_poison.q.val();
        self.b_whole.d.next = self.a_whole.q.val();
        self.b_slot.d.next = self.a_slot.q.val();
        self.b_dpa.d.next = self.decoders.dpa.val();
        self.b_hit.d.next = self.a_hit.q.val();
        self.b_mask.d.next = self.a_mask.q.val();
        if self.a_whole.q.val() {
            self.b_mask.d.next = !self.no_bytes.val();
        }
        self.b_data.d.next = self.a_data.q.val();

        // Cycle 2.
        self.windows.line.next = self.b_dpa.q.val();
        self.poison.line.next = self.b_dpa.q.val();
        self.permitted.next = self.windows.read.val();
        if self.b_write.q.val() {
            self.permitted.next = self.windows.write.val();
        }
        self.reason.next = 0.into();
        if !self.b_inv.q.val() {
            if self.poison.poisoned.val() && !self.b_write.q.val() {
                self.reason.next = 4.into();
            }
            if !self.permitted.val() {
                self.reason.next = 3.into();
            }
            if !self.windows.found.val() {
                self.reason.next = 2.into();
            }
            if !self.b_hit.q.val() {
                self.reason.next = 1.into();
            }
        }
        self.deny.next = self.b_valid.q.val() && (self.b_inv.q.val() || self.reason.val().any());
        self.go.next = self.b_valid.q.val() && !self.deny.val();
        self.poison.add.next = self.go.val() && self.b_write.q.val() && self.b_poison.q.val();
        self.poison.remove.next =
            self.go.val() && self.b_write.q.val() && self.b_whole.q.val() && !self.b_poison.q.val();
        self.denied.push.next = self.deny.val();
        self.denied.push_data.next =
            bit_cast::<11, 7>(self.b_slot.q.val()) | (bit_cast::<11, 4>(self.reason.val()) << 7);
        self.heads.push.next = self.go.val();
        self.heads.push_data.next = bit_cast::<66, 1>(self.b_write.q.val().into())
            | (bit_cast::<66, 7>(self.b_slot.q.val()) << 1)
            | (bit_cast::<66, 16>(self.windows.pid.val()) << 8)
            | (bit_cast::<66, 42>(self.windows.va_line.val()) << 24);
        self.masks.push.next = self.go.val();
        self.masks.push_data.next = self.b_mask.q.val();
        self.data.push.next = self.go.val();
        self.data.push_data.next = self.b_data.q.val();

        // Cycle 3.
        self.p_req_valid.next = self.heads.nonempty.val();
        self.sent.next = self.heads.nonempty.val() && self.p_req_ready.val();
        self.heads.pop.next = self.sent.val();
        self.masks.pop.next = self.sent.val();
        self.data.pop.next = self.sent.val();
        self.head.next = self.heads.head.val();
        self.p_req_write.next = self.head.val().get_bit(0);
        self.p_req_tag.next = bit_cast::<16, 7>(self.head.val().get_bits::<7>(1));
        self.p_req_pid.next = self.head.val().get_bits::<16>(8);
        self.p_req_va.next = bit_cast::<48, 42>(self.head.val().get_bits::<42>(24)) << 6;
        self.p_req_mask.next = self.masks.head.val();
        self.p_req_data.next = self.data.head.val();
        self.ahead.d.next = (self.ahead.q.val() + bit_cast::<4, 1>(self.accept.val().into()))
            - (bit_cast::<4, 1>(self.sent.val().into()) + bit_cast::<4, 1>(self.deny.val().into()));

        // Answers: the port's and those of what did not get there, which take turns.
        self.can_answer.next = !(self.ndr_count.q.val() == 8) && !(self.drs_count.q.val() == 8);
        self.serve.next =
            self.can_answer.val() && self.denied.nonempty.val() && self.turn_denied.q.val();
        self.p_resp_ready.next = self.can_answer.val() && !self.serve.val();
        self.take.next = self.p_resp_valid.val() && self.p_resp_ready.val();
        self.turn_denied.d.next = !(self.serve.val() && self.p_resp_valid.val());
        self.denied.pop.next = self.serve.val();
        self.answer.next = self.serve.val() || self.take.val();
        self.slot.next = bit_cast::<7, 16>(self.p_resp_tag.val());
        self.why.next = bit_cast::<4, 3>(self.p_resp_status.val());
        if self.p_resp_status.val().any() {
            self.why.next = bit_cast::<4, 3>(self.p_resp_status.val()) | 8;
        }
        if self.serve.val() {
            self.slot.next = self.denied.head.val().get_bits::<7>(0);
            self.why.next = self.denied.head.val().get_bits::<4>(7);
        }
        self.facts.read_address.next = self.slot.val();
        self.lines.read_address.next = self.slot.val();
        self.fact.next = self.facts.read_data.val();
        self.bad.next = self.why.val().any();
        // An address that nobody claims: the host says whether that is poison or ones.
        self.nothing.next = self.why.val() == 1;
        self.slots.give.next = self.answer.val();
        self.slots.give_index.next = self.slot.val();
        self.push_ndr.next = self.answer.val() && self.fact.val().get_bit(20);
        self.push_drs.next = self.answer.val() && !self.fact.val().get_bit(20);
        self.ndrs.push.next = self.push_ndr.val();
        self.ndrs.push_data.next = bit_cast::<20, 22>(self.fact.val());
        self.drss.push.next = self.push_drs.val();
        self.drss.push_data.next = bit_cast::<21, 20>(self.fact.val().get_bits::<20>(0))
            | (bit_cast::<21, 1>(
                (self.bad.val() && (self.decoders.poison.val() || !self.nothing.val())).into(),
            ) << 20);
        self.drs_lines.push.next = self.push_drs.val();
        self.drs_lines.push_data.next = self.p_resp_data.val();
        if self.bad.val() {
            self.drs_lines.push_data.next = 0.into();
        }
        if self.nothing.val() {
            self.drs_lines.push_data.next = !self.zeros.val();
        }
        self.events.valid.next = self.answer.val() && self.bad.val();
        self.events.reason.next = self.why.val();
        self.events.write.next = self.fact.val().get_bit(21);
        self.events.tag.next = self.fact.val().get_bits::<16>(0);
        self.events.ld.next = self.fact.val().get_bits::<4>(16);
        self.events.line.next = self.lines.read_data.val();
        self.event_waits.next = self.events.waits.val();
        self.overflow.next = self.poison.overflow.val();

        // To the link.
        self.ndr_valid.next = self.ndrs.nonempty.val();
        self.ndr_tag.next = self.ndrs.head.val().get_bits::<16>(0);
        self.ndr_ld.next = self.ndrs.head.val().get_bits::<4>(16);
        self.pop_ndr.next = self.ndrs.nonempty.val() && self.ndr_ready.val();
        self.ndrs.pop.next = self.pop_ndr.val();
        self.drs_head.next = self.drss.head.val();
        self.drs_valid.next = self.drss.nonempty.val();
        self.drs_tag.next = self.drs_head.val().get_bits::<16>(0);
        self.drs_ld.next = self.drs_head.val().get_bits::<4>(16);
        self.drs_poison.next = self.drs_head.val().get_bit(20);
        self.drs_data.next = self.drs_lines.head.val();
        self.pop_drs.next = self.drss.nonempty.val() && self.drs_ready.val();
        self.drss.pop.next = self.pop_drs.val();
        self.drs_lines.pop.next = self.pop_drs.val();
        self.ndr_count.d.next = (self.ndr_count.q.val()
            + bit_cast::<4, 1>(self.push_ndr.val().into()))
            - bit_cast::<4, 1>(self.pop_ndr.val().into());
        self.drs_count.d.next = (self.drs_count.q.val()
            + bit_cast::<4, 1>(self.push_drs.val().into()))
            - bit_cast::<4, 1>(self.pop_drs.val().into());
        // A quarter of the slots is light, three quarters are what a full port needs.
        self.busy.d.next = (self.busy.q.val() + bit_cast::<7, 1>(self.accept.val().into()))
            - bit_cast::<7, 1>(self.answer.val().into());
        self.load.next = 0.into();
        if self.busy.q.val() >= 16 {
            self.load.next = 1.into();
        }
        if self.busy.q.val() >= 48 {
            self.load.next = 2.into();
        }
        if self.busy.q.val() >= 60 {
            self.load.next = 3.into();
        }
        if self.bus.val().reset {
            self.a_valid.d.next = false;
            self.b_valid.d.next = false;
            self.busy.d.next = 0.into();
            self.ahead.d.next = 0.into();
            self.ndr_count.d.next = 0.into();
            self.drs_count.d.next = 0.into();
            self.turn_rwd.d.next = false;
            self.turn_denied.d.next = false;
        }
    }
}

// Depths stand in the code as numbers.
const _: () = assert!(SLOTS == 64 && QUEUE == 8);
