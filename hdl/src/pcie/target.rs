//! Target: takes the host's requests apart.
//!
//! In: the `cq` stream. Out: register accesses ([`super::bar0`]), line requests of the window
//! (`req_*`, a native port's), and for every non-posted request a context in the queue of
//! [`super::reads`], in order. A BAR2 read's first line request stands at the port three cycles after
//! its TLP, then one a cycle; a write's lines follow its beats.
//!
//! What is done with what cannot be served: a non-posted request gets a completion with unsupported
//! request or completer abort; a posted one is dropped; each is counted. A TLP of wrong form is
//! dropped as a whole, but for payload that ends too early or too late, of which the beats before the
//! wrong one were written.

use super::reads::ReadContext;
use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::pcie;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum TargetState {
    Idle,
    Decode,
    /// The rest of a TLP that is dropped.
    Skip,
    /// The context of a non-posted request goes into the queue.
    Push,
    WriteLines,
    ReadLines,
    WriteWords,
    ReadWords,
    /// A line of register values goes into the reads' ring.
    FillWords,
}

#[derive(LogicBlock, Default)]
pub struct Target {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// No new line request is offered.
    pub hold: Signal<In, Bit>,
    /// Largest payload, in dwords.
    pub max_payload: Signal<In, Bits<11>>,

    pub cq_valid: Signal<In, Bit>,
    pub cq_ready: Signal<Out, Bit>,
    pub cq_first: Signal<In, Bit>,
    pub cq_last: Signal<In, Bit>,
    pub cq_header: Signal<In, Bits<128>>,
    /// Which BAR the address hit; counts in the first beat.
    pub cq_bar: Signal<In, Bits<3>>,
    pub cq_data: Signal<In, Bits<512>>,
    pub cq_dwords: Signal<In, Bits<5>>,

    /// A register access: valid and its payload stay until done, a pulse.
    pub reg_valid: Signal<Out, Bit>,
    pub reg_write: Signal<Out, Bit>,
    pub reg_addr: Signal<Out, Bits<14>>,
    pub reg_wdata: Signal<Out, Bits<32>>,
    pub reg_done: Signal<In, Bit>,
    pub reg_rdata: Signal<In, Bits<32>>,

    /// The window table's slot, looked up within the cycle.
    pub window_slot: Signal<Out, Bits<4>>,
    pub window_pid: Signal<In, Bits<16>>,
    pub window_base: Signal<In, Bits<36>>,
    pub window_pages: Signal<In, Bits<17>>,
    pub window_read: Signal<In, Bit>,
    pub window_write: Signal<In, Bit>,

    /// Line requests; tag bit 15 tells a write.
    pub req_valid: Signal<Out, Bit>,
    pub req_ready: Signal<In, Bit>,
    pub req_write: Signal<Out, Bit>,
    pub req_tag: Signal<Out, Bits<16>>,
    pub req_pid: Signal<Out, Bits<16>>,
    pub req_va: Signal<Out, Bits<48>>,
    pub req_mask: Signal<Out, Bits<64>>,
    pub req_data: Signal<Out, Bits<512>>,

    pub read_context: Signal<Out, ReadContext>,
    pub context_push: Signal<Out, Bit>,
    pub context_room: Signal<In, Bit>,
    /// The reads' ring has a free line, `ring_slot`; `ring_take` takes it.
    pub ring_room: Signal<In, Bit>,
    pub ring_slot: Signal<In, Bits<6>>,
    pub ring_take: Signal<Out, Bit>,
    /// A line of registers for the ring.
    pub fill_valid: Signal<Out, Bit>,
    pub fill_ready: Signal<In, Bit>,
    pub fill_slot: Signal<Out, Bits<6>>,
    pub fill_data: Signal<Out, Bits<512>>,

    /// Pulses, one per request.
    pub unsupported: Signal<Out, Bit>,
    pub poisoned: Signal<Out, Bit>,
    pub malformed: Signal<Out, Bit>,
    pub outside: Signal<Out, Bit>,

    state: DFF<TargetState>,
    header: DFF<Bits<128>>,
    bar: DFF<Bits<3>>,
    beat: DFF<Bits<512>>,
    beat_valid: DFF<Bit>,
    beat_last: DFF<Bit>,
    beat_dwords: DFF<Bits<5>>,
    refusal: DFF<Bits<3>>,

    // The header, taken apart.
    fmt: Signal<Local, Bits<3>>,
    kind: Signal<Local, Bits<5>>,
    length: Signal<Local, Bits<11>>,
    length_ends: Signal<Local, Bits<11>>,
    first_be: Signal<Local, Bits<4>>,
    last_be: Signal<Local, Bits<4>>,
    address: Signal<Local, Bits<32>>,
    lane: Signal<Local, Bits<4>>,
    is_read: Signal<Local, Bit>,
    is_write: Signal<Local, Bit>,
    is_other: Signal<Local, Bit>,
    is_message: Signal<Local, Bit>,
    bad_enables: Signal<Local, Bit>,
    bad_payload: Signal<Local, Bit>,
    first_dwords: Signal<Local, Bits<11>>,
    wrong: Signal<Local, Bit>,
    within_tlp: Signal<Local, Bit>,
    page: Signal<Local, Bits<17>>,
    lead: Signal<Local, Bits<2>>,
    trail: Signal<Local, Bits<2>>,
    bytes: Signal<Local, Bits<13>>,
    enables: Signal<Local, Bits<4>>,

    // The request being worked on.
    pid: DFF<Bits<16>>,
    /// Of the next line.
    va: DFF<Bits<42>>,
    /// Dwords not yet in a line or a register access.
    left: DFF<Bits<11>>,
    /// Dwords not yet arrived in beats.
    coming: DFF<Bits<11>>,
    begun: DFF<Bit>,
    carry: DFF<Bits<512>>,
    from: Signal<Local, Bits<4>>,
    room: Signal<Local, Bits<5>>,
    take: Signal<Local, Bits<11>>,
    to: Signal<Local, Bits<4>>,
    last_line: Signal<Local, Bit>,
    up: Signal<Local, Bits<10>>,
    down: Signal<Local, Bits<10>>,
    rotated: Signal<Local, Bits<512>>,
    low_lanes: Signal<Local, Bits<512>>,
    merged: Signal<Local, Bits<512>>,
    from_bit: Signal<Local, Bits<6>>,
    to_bit: Signal<Local, Bits<6>>,
    above_bits: Signal<Local, Bits<6>>,
    above: Signal<Local, Bits<4>>,
    not_first: Signal<Local, Bits<4>>,
    not_last: Signal<Local, Bits<4>>,
    cut_first: Signal<Local, Bits<64>>,
    cut_last: Signal<Local, Bits<64>>,
    mask: Signal<Local, Bits<64>>,
    port_free: Signal<Local, Bit>,
    emit: Signal<Local, Bit>,
    take_beat: Signal<Local, Bit>,
    next_dwords: Signal<Local, Bits<11>>,
    bad_beat: Signal<Local, Bit>,
    // Registers.
    /// Dword address in BAR0.
    at: DFF<Bits<12>>,
    image: DFF<Bits<512>>,
    image_slot: DFF<Bits<6>>,
    has_slot: DFF<Bit>,
    asking: DFF<Bit>,
    reg_bit: Signal<Local, Bits<9>>,
    word_be: Signal<Local, Bits<4>>,
    word_last: Signal<Local, Bit>,

    out_valid: DFF<Bit>,
    out_write: DFF<Bit>,
    out_tag: DFF<Bits<16>>,
    out_pid: DFF<Bits<16>>,
    out_va: DFF<Bits<48>>,
    out_mask: DFF<Bits<64>>,
    out_data: DFF<Bits<512>>,
    write_tag: Param<Bits<16>>,
    most_words: Param<Bits<11>>,
    page_dwords: Param<Bits<11>>,
    sixteen: Param<Bits<11>>,
}

impl Target {
    pub fn new() -> Self {
        Self {
            write_tag: Param::new(0x8000.into()),
            most_words: Param::new((pcie::BAR0_MAX_DWORDS as u64).into()),
            page_dwords: Param::new(1024.into()),
            sixteen: Param::new(16.into()),
            ..Default::default()
        }
    }
}

impl Logic for Target {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, header, bar, beat, beat_valid, beat_last, beat_dwords);
        dff_setup!(self, clock, refusal, pid, va, left, coming, begun, carry, at, image);
        dff_setup!(self, clock, image_slot, has_slot, asking);
        dff_setup!(self, clock, out_valid, out_write, out_tag, out_pid, out_va, out_mask, out_data);

        // The header.
        self.fmt.next = self.header.q.val().get_bits::<3>(29);
        self.kind.next = self.header.q.val().get_bits::<5>(24);
        self.length.next = bit_cast::<11, 10>(self.header.q.val().get_bits::<10>(0));
        if self.header.q.val().get_bits::<10>(0) == 0 {
            self.length.next = self.page_dwords.val();
        }
        self.first_be.next = self.header.q.val().get_bits::<4>(32);
        self.last_be.next = self.header.q.val().get_bits::<4>(36);
        self.address.next = self.header.q.val().get_bits::<32>(64);
        if self.fmt.val().get_bit(0) {
            self.address.next = self.header.q.val().get_bits::<32>(96);
        }
        self.lane.next = self.address.val().get_bits::<4>(2);
        self.is_read.next = (!self.fmt.val().get_bit(1)) && (self.kind.val() == 0);
        self.is_write.next = self.fmt.val().get_bit(1) && (self.kind.val() == 0);
        // Locked reads, I/O and configuration requests, atomics (swap, fetch-add, compare-swap).
        self.is_other.next = ((self.kind.val() == 1) && !self.fmt.val().get_bit(1))
            || ((self.kind.val() == 2) && !self.fmt.val().get_bit(0))
            || (((self.kind.val() == 4) || (self.kind.val() == 5)) && !self.fmt.val().get_bit(0))
            || (((self.kind.val() == 12) || (self.kind.val() == 13) || (self.kind.val() == 14))
                && self.fmt.val().get_bit(1));
        self.is_message.next = (self.kind.val().get_bits::<2>(3) == 2) && self.fmt.val().get_bit(0);
        self.bad_enables.next = self.last_be.val().any();
        if self.length.val() != 1 {
            self.bad_enables.next = (!self.first_be.val().any()) || (!self.last_be.val().any());
        }
        self.first_dwords.next = self.length.val();
        if self.length.val() > self.sixteen.val() {
            self.first_dwords.next = self.sixteen.val();
        }
        // What has data says so in its format, and has as much as its length says.
        self.bad_payload.next = self.beat_dwords.q.val().any() || !self.beat_last.q.val();
        if self.fmt.val().get_bit(1) {
            self.bad_payload.next = (bit_cast::<11, 5>(self.beat_dwords.q.val())
                != self.first_dwords.val())
                || (self.beat_last.q.val() != (self.length.val() == self.first_dwords.val()));
        }
        self.length_ends.next =
            self.page_dwords.val() - bit_cast::<11, 10>(self.address.val().get_bits::<10>(2));
        self.wrong.next = self.fmt.val().get_bit(2)
            || self.bad_payload.val()
            || !(self.is_read.val()
                || self.is_write.val()
                || self.is_other.val()
                || self.is_message.val())
            || ((self.is_read.val() || self.is_write.val())
                && (self.bad_enables.val() || (self.length.val() > self.length_ends.val())))
            || (self.is_write.val() && (self.length.val() > self.max_payload.val()));
        self.window_slot.next = self.address.val().get_bits::<4>(28);
        self.page.next = bit_cast::<17, 16>(self.address.val().get_bits::<16>(12));
        self.within_tlp.next = self.page.val() < self.window_pages.val();

        // Bytes that a read asks for: leading and trailing ones that are not enabled do not count.
        self.enables.next = self.last_be.val();
        if self.length.val() == 1 {
            self.enables.next = self.first_be.val();
        }
        self.lead.next = 0.into();
        if self.first_be.val().any() && !self.first_be.val().get_bit(0) {
            self.lead.next = 3.into();
            if self.first_be.val().get_bit(2) {
                self.lead.next = 2.into();
            }
            if self.first_be.val().get_bit(1) {
                self.lead.next = 1.into();
            }
        }
        self.trail.next = 3.into();
        if self.enables.val().get_bit(1) {
            self.trail.next = 2.into();
        }
        if self.enables.val().get_bit(2) {
            self.trail.next = 1.into();
        }
        if self.enables.val().get_bit(3) {
            self.trail.next = 0.into();
        }
        self.bytes.next = (bit_cast::<13, 11>(self.length.val()) << 2)
            - bit_cast::<13, 2>(self.lead.val())
            - bit_cast::<13, 2>(self.trail.val());
        self.read_context.next.requester = self.header.q.val().get_bits::<16>(48);
        self.read_context.next.tag = self.header.q.val().get_bits::<8>(40);
        self.read_context.next.traffic = self.header.q.val().get_bits::<3>(20);
        self.read_context.next.attributes = self.header.q.val().get_bits::<2>(12);
        self.read_context.next.id_ordering = self.header.q.val().get_bit(18);
        self.read_context.next.dword = self.address.val().get_bits::<10>(2);
        self.read_context.next.length = self.length.val();
        self.read_context.next.lead = self.lead.val();
        self.read_context.next.bytes = self.bytes.val();
        self.read_context.next.refusal = self.refusal.q.val();
        self.context_push.next = false;

        // The line being made: dwords `from` to `to`.
        self.from.next = self.lane.val();
        if self.begun.q.val() {
            self.from.next = 0.into();
        }
        self.room.next = 16.into();
        if !self.begun.q.val() {
            self.room.next =
                bit_cast::<5, 11>(self.sixteen.val()) - bit_cast::<5, 4>(self.lane.val());
        }
        self.take.next = bit_cast::<11, 5>(self.room.val());
        if self.left.q.val() < bit_cast::<11, 5>(self.room.val()) {
            self.take.next = self.left.q.val();
        }
        self.last_line.next = self.take.val() == self.left.q.val();
        self.to.next = self.from.val() + bit_cast::<4, 11>(self.take.val()) - 1;
        self.up.next = bit_cast::<10, 4>(self.lane.val()) << 5;
        self.down.next = bit_cast::<10, 5>(
            bit_cast::<5, 11>(self.sixteen.val()) - bit_cast::<5, 4>(self.lane.val()),
        ) << 5;
        self.rotated.next =
            (self.beat.q.val() << self.up.val()) | (self.beat.q.val() >> self.down.val());
        self.low_lanes.next = !((!bit_cast::<512, 1>(false.into())) << self.up.val());
        self.merged.next = self.rotated.val();
        if self.begun.q.val() {
            self.merged.next = (self.carry.q.val() & self.low_lanes.val())
                | (self.rotated.val() & (!self.low_lanes.val()));
        }
        self.from_bit.next = bit_cast::<6, 4>(self.from.val()) << 2;
        self.to_bit.next = bit_cast::<6, 4>(self.to.val()) << 2;
        self.above.next = !self.to.val();
        self.above_bits.next = bit_cast::<6, 4>(self.above.val()) << 2;
        // Inverted in their own width: a cast within the expression would come too late.
        self.not_first.next = !self.first_be.val();
        self.not_last.next = !self.last_be.val();
        self.cut_first.next = 0.into();
        if !self.begun.q.val() {
            self.cut_first.next = bit_cast::<64, 4>(self.not_first.val()) << self.from_bit.val();
        }
        self.cut_last.next = 0.into();
        if self.last_line.val() && (self.length.val() != 1) {
            self.cut_last.next = bit_cast::<64, 4>(self.not_last.val()) << self.to_bit.val();
        }
        self.mask.next = ((!bit_cast::<64, 1>(false.into())) << self.from_bit.val())
            & ((!bit_cast::<64, 1>(false.into())) >> self.above_bits.val())
            & (!self.cut_first.val())
            & (!self.cut_last.val());

        // The line request at the port.
        self.req_valid.next = self.out_valid.q.val();
        self.req_write.next = self.out_write.q.val();
        self.req_tag.next = self.out_tag.q.val();
        self.req_pid.next = self.out_pid.q.val();
        self.req_va.next = self.out_va.q.val();
        self.req_mask.next = self.out_mask.q.val();
        self.req_data.next = self.out_data.q.val();
        self.port_free.next =
            ((!self.out_valid.q.val()) || self.req_ready.val()) && !self.hold.val();
        if self.req_ready.val() {
            self.out_valid.d.next = false;
        }

        // Beats after the first one of a write.
        self.next_dwords.next = self.coming.q.val();
        if self.coming.q.val() > self.sixteen.val() {
            self.next_dwords.next = self.sixteen.val();
        }
        self.bad_beat.next = self.cq_first.val()
            || (bit_cast::<11, 5>(self.cq_dwords.val()) != self.next_dwords.val())
            || (self.cq_last.val() != (self.coming.q.val() == self.next_dwords.val()));

        // Registers, one dword after the other.
        self.word_be.next = 15.into();
        if self.left.q.val() == 1 {
            self.word_be.next = self.last_be.val();
        }
        if !self.begun.q.val() {
            self.word_be.next = self.first_be.val();
        }
        self.word_last.next = self.left.q.val() == 1;
        self.reg_valid.next = self.asking.q.val();
        self.reg_write.next = self.is_write.val();
        self.reg_addr.next = bit_cast::<14, 12>(self.at.q.val()) << 2;
        self.reg_wdata.next = self.beat.q.val().get_bits::<32>(0);
        self.reg_bit.next = bit_cast::<9, 4>(self.at.q.val().get_bits::<4>(0)) << 5;
        self.fill_valid.next = false;
        self.fill_slot.next = self.image_slot.q.val();
        self.fill_data.next = self.image.q.val();

        self.cq_ready.next = false;
        self.ring_take.next = false;
        self.unsupported.next = false;
        self.poisoned.next = false;
        self.malformed.next = false;
        self.outside.next = false;
        self.emit.next = false;
        self.take_beat.next = false;

        match self.state.q.val() {
            TargetState::Idle => {
                self.cq_ready.next = true;
                self.header.d.next = self.cq_header.val();
                self.bar.d.next = self.cq_bar.val();
                self.beat.d.next = self.cq_data.val();
                self.beat_last.d.next = self.cq_last.val();
                self.beat_dwords.d.next = self.cq_dwords.val();
                self.beat_valid.d.next = true;
                if self.cq_valid.val() {
                    self.state.d.next = TargetState::Decode;
                    if !self.cq_first.val() {
                        self.malformed.next = true;
                        self.state.d.next = TargetState::Skip;
                        if self.cq_last.val() {
                            self.state.d.next = TargetState::Idle;
                        }
                    }
                }
            }
            TargetState::Decode => {
                self.left.d.next = self.length.val();
                self.coming.d.next = self.length.val() - self.first_dwords.val();
                self.begun.d.next = false;
                self.at.d.next = self.address.val().get_bits::<12>(2);
                self.image.d.next = 0.into();
                self.has_slot.d.next = false;
                self.pid.d.next = self.window_pid.val();
                self.va.d.next = (bit_cast::<42, 36>(
                    self.window_base.val() + bit_cast::<36, 17>(self.page.val()),
                ) << 6)
                    | bit_cast::<42, 6>(self.address.val().get_bits::<6>(6));
                self.refusal.d.next = 0.into();
                self.state.d.next = TargetState::Skip;
                if self.beat_last.q.val() {
                    self.state.d.next = TargetState::Idle;
                }
                if self.wrong.val() {
                    self.malformed.next = true;
                } else if self.is_other.val() {
                    // Its data, if it has any, are short.
                    self.unsupported.next = true;
                    self.refusal.d.next = 1.into();
                    self.state.d.next = TargetState::Push;
                } else if self.is_read.val() {
                    self.state.d.next = TargetState::Push;
                    if self.bar.q.val() == 0 {
                        if self.length.val() > self.most_words.val() {
                            self.unsupported.next = true;
                            self.refusal.d.next = 4.into();
                        }
                    } else if self.bar.q.val() == 2 {
                        if !self.within_tlp.val() {
                            self.outside.next = true;
                            self.refusal.d.next = 1.into();
                        } else if !self.window_read.val() {
                            self.outside.next = true;
                            self.refusal.d.next = 4.into();
                        }
                    } else {
                        self.unsupported.next = true;
                        self.refusal.d.next = 1.into();
                    }
                } else if self.is_write.val() {
                    if self.header.q.val().get_bit(14) {
                        self.poisoned.next = true;
                    } else if (self.bar.q.val() == 0)
                        && !(self.length.val() > self.most_words.val())
                    {
                        self.state.d.next = TargetState::WriteWords;
                    } else if self.bar.q.val() == 2 {
                        if self.within_tlp.val() && self.window_write.val() {
                            // A write of no bytes does nothing.
                            if self.first_be.val().any() {
                                self.state.d.next = TargetState::WriteLines;
                            }
                        } else {
                            self.outside.next = true;
                        }
                    } else {
                        self.unsupported.next = true;
                    }
                }
            }
            TargetState::Skip => {
                self.cq_ready.next = true;
                if self.cq_valid.val() && self.cq_last.val() {
                    self.state.d.next = TargetState::Idle;
                }
            }
            TargetState::Push => {
                if self.context_room.val() {
                    self.context_push.next = true;
                    self.state.d.next = TargetState::ReadLines;
                    if self.bar.q.val() == 0 {
                        self.state.d.next = TargetState::ReadWords;
                    }
                    if self.refusal.q.val().any() {
                        self.state.d.next = TargetState::Skip;
                        if self.beat_last.q.val() {
                            self.state.d.next = TargetState::Idle;
                        }
                    }
                }
            }
            TargetState::WriteLines => {
                self.emit.next = self.port_free.val() && self.beat_valid.q.val();
                self.take_beat.next =
                    self.coming.q.val().any() && (self.emit.val() || !self.beat_valid.q.val());
                self.cq_ready.next = self.take_beat.val();
                if self.emit.val() {
                    self.left.d.next = self.left.q.val() - self.take.val();
                    self.va.d.next = self.va.q.val() + 1;
                    self.begun.d.next = true;
                    self.carry.d.next = self.rotated.val();
                    self.out_valid.d.next = true;
                    // What is left after the last beat is in `carry`.
                    self.beat_valid.d.next = !self.coming.q.val().any();
                    if self.last_line.val() {
                        self.state.d.next = TargetState::Idle;
                    }
                }
                if self.take_beat.val() && self.cq_valid.val() {
                    self.beat.d.next = self.cq_data.val();
                    self.beat_valid.d.next = true;
                    self.coming.d.next = self.coming.q.val() - self.next_dwords.val();
                    if self.bad_beat.val() {
                        self.malformed.next = true;
                        self.state.d.next = TargetState::Skip;
                        if self.cq_last.val() {
                            self.state.d.next = TargetState::Idle;
                        }
                    }
                }
            }
            TargetState::ReadLines => {
                self.emit.next = self.port_free.val() && self.ring_room.val();
                if self.emit.val() {
                    self.ring_take.next = true;
                    self.left.d.next = self.left.q.val() - self.take.val();
                    self.va.d.next = self.va.q.val() + 1;
                    self.begun.d.next = true;
                    self.out_valid.d.next = true;
                    if self.last_line.val() {
                        self.state.d.next = TargetState::Idle;
                    }
                }
            }
            TargetState::WriteWords => {
                // Only whole dwords: a register has no byte enables.
                self.asking.d.next = self.word_be.val() == 15;
                if self.reg_done.val() || (self.word_be.val() != 15) {
                    self.asking.d.next = false;
                    self.unsupported.next = (self.word_be.val() != 15) && self.word_be.val().any();
                    self.begun.d.next = true;
                    self.left.d.next = self.left.q.val() - 1;
                    self.beat.d.next = self.beat.q.val() >> 32;
                    self.at.d.next = self.at.q.val() + 1;
                    if self.word_last.val() {
                        self.state.d.next = TargetState::Idle;
                    }
                }
            }
            TargetState::ReadWords => {
                if !self.has_slot.q.val() {
                    if self.ring_room.val() {
                        self.ring_take.next = true;
                        self.image_slot.d.next = self.ring_slot.val();
                        self.has_slot.d.next = true;
                    }
                } else {
                    self.asking.d.next = true;
                    if self.reg_done.val() {
                        self.asking.d.next = false;
                        self.image.d.next = self.image.q.val()
                            | (bit_cast::<512, 32>(self.reg_rdata.val()) << self.reg_bit.val());
                        self.left.d.next = self.left.q.val() - 1;
                        self.at.d.next = self.at.q.val() + 1;
                        if self.word_last.val() || self.at.q.val().get_bits::<4>(0).all() {
                            self.state.d.next = TargetState::FillWords;
                        }
                    }
                }
            }
            TargetState::FillWords => {
                self.fill_valid.next = true;
                if self.fill_ready.val() {
                    self.image.d.next = 0.into();
                    self.has_slot.d.next = false;
                    self.state.d.next = TargetState::ReadWords;
                    if !self.left.q.val().any() {
                        self.state.d.next = TargetState::Idle;
                    }
                }
            }
            _ => {
                self.state.d.next = TargetState::Idle;
            }
        }
        if self.emit.val() {
            self.out_write.d.next = self.is_write.val();
            self.out_tag.d.next = bit_cast::<16, 6>(self.ring_slot.val());
            if self.is_write.val() {
                self.out_tag.d.next = self.write_tag.val();
            }
            self.out_pid.d.next = self.pid.q.val();
            self.out_va.d.next = bit_cast::<48, 42>(self.va.q.val()) << 6;
            self.out_mask.d.next = self.mask.val();
            self.out_data.d.next = self.merged.val();
        }
        if self.reset.val() {
            self.state.d.next = TargetState::Idle;
            self.out_valid.d.next = false;
            self.asking.d.next = false;
        }
    }
}
