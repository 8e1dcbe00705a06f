//! Reads: turns lines, which come in any order, into completions in the order of the requests.
//!
//! In: a context for each non-posted request, the lines that were asked for (each with its place in
//! a ring of 64), by `fill_*`. Out: the `cc` stream. A read is answered in completions that end at
//! multiples of the maximum payload size, a multiple of 128 bytes, as an endpoint may split them (PCIe
//! Base Specification 5.0, section 2.3.1.1), each when its lines are there. A line that the component
//! refused ends the read with a completer abort; one with an uncorrectable error gives a poisoned
//! completion. One dword to sixteen a cycle; a read of one line is answered three cycles after its
//! line came.

use crate::fifo::Fifo;
use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::request::Status;

/// What is kept of a non-posted request.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct ReadContext {
    pub requester: Bits<16>,
    pub tag: Bits<8>,
    pub traffic: Bits<3>,
    pub attributes: Bits<2>,
    pub id_ordering: Bit,
    /// First dword in its 4 KiB.
    pub dword: Bits<10>,
    /// Dwords.
    pub length: Bits<11>,
    /// Bytes of the first dword that are not asked for.
    pub lead: Bits<2>,
    /// Bytes from the first to the last one asked for.
    pub bytes: Bits<13>,
    /// Zero, or the completion status that it is refused with; then it has no lines.
    pub refusal: Bits<3>,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ReadsState {
    Idle,
    Measure,
    Gather,
    Load,
    Send,
    Refuse,
    /// What is left of a refused read's lines is thrown away.
    Discard,
}

#[derive(LogicBlock, Default)]
pub struct Reads {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Largest payload, in dwords: 32 to 1024, a power of two.
    pub max_payload: Signal<In, Bits<11>>,
    /// The endpoint's own bus, device and function number.
    pub completer: Signal<In, Bits<16>>,

    pub read_context: Signal<In, ReadContext>,
    pub context_push: Signal<In, Bit>,
    pub context_room: Signal<Out, Bit>,
    pub ring_room: Signal<Out, Bit>,
    pub ring_slot: Signal<Out, Bits<6>>,
    pub ring_take: Signal<In, Bit>,
    pub fill: Signal<In, Bit>,
    pub fill_slot: Signal<In, Bits<6>>,
    pub fill_status: Signal<In, Bits<3>>,
    pub fill_data: Signal<In, Bits<512>>,

    pub cc_valid: Signal<Out, Bit>,
    pub cc_ready: Signal<In, Bit>,
    pub cc_first: Signal<Out, Bit>,
    pub cc_last: Signal<Out, Bit>,
    pub cc_header: Signal<Out, Bits<128>>,
    pub cc_data: Signal<Out, Bits<512>>,
    pub cc_dwords: Signal<Out, Bits<5>>,

    contexts: Fifo<ReadContext>,
    waiting: DFF<Bits<5>>,
    lines: LutRam<Bits<512>, 6>,
    statuses: LutRam<Bits<3>, 6>,
    filled: DFF<Bits<64>>,
    /// Next line to be given away, and the oldest one not yet sent; seven bits, to tell full from empty.
    tail: DFF<Bits<7>>,
    head: DFF<Bits<7>>,
    used: Signal<Local, Bits<7>>,
    /// The line looked at.
    at: DFF<Bits<7>>,
    state: DFF<ReadsState>,
    current: DFF<ReadContext>,
    /// Of what is left of the read.
    dword: DFF<Bits<10>>,
    left: DFF<Bits<11>>,
    bytes: DFF<Bits<13>>,
    lead: DFF<Bits<2>>,
    /// Dwords of this completion, and lines that they come from.
    chunk: DFF<Bits<11>>,
    to_boundary: Signal<Local, Bits<11>>,
    next_chunk: Signal<Local, Bits<11>>,
    chunk_lines: DFF<Bits<7>>,
    span: Signal<Local, Bits<12>>,
    all_lines: Signal<Local, Bits<12>>,
    seen: DFF<Bits<7>>,
    refused: DFF<Bit>,
    broken: DFF<Bit>,
    here: Signal<Local, Bit>,
    status: Signal<Local, Bits<3>>,
    previous: DFF<Bits<512>>,
    unsent: DFF<Bits<11>>,
    begun: DFF<Bit>,
    shift: Signal<Local, Bits<10>>,
    back: Signal<Local, Bits<10>>,
    beat_dwords: Signal<Local, Bits<5>>,
    advance: Signal<Local, Bit>,
    code: Signal<Local, Bits<3>>,
    with_data: Signal<Local, Bit>,
    lower: Signal<Local, Bits<7>>,
    dw0: Signal<Local, Bits<32>>,
    dw1: Signal<Local, Bits<32>>,
    dw2: Signal<Local, Bits<32>>,
    one: Signal<Local, Bits<64>>,
    keep: Signal<Local, Bits<64>>,
    add: Signal<Local, Bits<64>>,
    fetched: Signal<Local, ReadContext>,
    chunk_bytes: Signal<Local, Bits<13>>,
    lane: Signal<Local, Bits<4>>,
    uncorrectable: Param<Bits<3>>,
    sixteen: Param<Bits<11>>,
    full: Param<Bits<7>>,
}

impl Reads {
    pub fn new() -> Self {
        Self {
            contexts: Fifo::new(16),
            lines: LutRam::new(64),
            statuses: LutRam::new(64),
            uncorrectable: Param::new((Status::Uncorrectable as u64).into()),
            sixteen: Param::new(16.into()),
            full: Param::new(64.into()),
            ..Default::default()
        }
    }
}

impl Logic for Reads {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, waiting, filled, tail, head, at, state, current, dword, left, bytes
        );
        dff_setup!(self, clock, lead, chunk, chunk_lines, seen, refused, broken, previous, unsent);
        dff_setup!(self, clock, begun);
        clock!(self, clock, contexts, lines, statuses);
        self.contexts.reset.next = self.reset.val();
        self.contexts.push.next = self.context_push.val();
        self.contexts.push_data.next = self.read_context.val();
        self.contexts.pop.next = false;
        self.fetched.next = self.contexts.head.val();
        self.context_room.next = !self.waiting.q.val().get_bit(4);
        if self.context_push.val() {
            self.waiting.d.next = self.waiting.q.val() + 1;
        }

        self.used.next = self.tail.q.val() - self.head.q.val();
        self.ring_room.next = self.used.val() != self.full.val();
        self.ring_slot.next = self.tail.q.val().get_bits::<6>(0);
        self.lines.write_address.next = self.fill_slot.val();
        self.lines.write_data.next = self.fill_data.val();
        self.lines.write_enable.next = self.fill.val();
        self.lines.read_address.next = self.at.q.val().get_bits::<6>(0);
        self.statuses.write_address.next = self.fill_slot.val();
        self.statuses.write_data.next = self.fill_status.val();
        self.statuses.write_enable.next = self.fill.val();
        self.statuses.read_address.next = self.at.q.val().get_bits::<6>(0);
        self.one.next = 1.into();
        // A line given away is no longer filled; one that comes is.
        self.keep.next = 0.into();
        if self.ring_take.val() {
            self.tail.d.next = self.tail.q.val() + 1;
            self.keep.next = self.one.val() << self.tail.q.val().get_bits::<6>(0);
        }
        self.add.next = 0.into();
        if self.fill.val() {
            self.add.next = self.one.val() << self.fill_slot.val();
        }
        self.filled.d.next = (self.filled.q.val() & (!self.keep.val())) | self.add.val();
        self.here.next = self.filled.q.val().get_bit(self.at.q.val().get_bits::<6>(0).index())
            && (self.at.q.val() != self.tail.q.val());
        self.status.next = self.statuses.read_data.val();

        // The completion's size.
        self.lane.next = self.dword.q.val().get_bits::<4>(0);
        self.to_boundary.next = self.max_payload.val()
            - (bit_cast::<11, 10>(self.dword.q.val()) & (self.max_payload.val() - 1));
        self.next_chunk.next = self.left.q.val();
        if self.to_boundary.val() < self.left.q.val() {
            self.next_chunk.next = self.to_boundary.val();
        }
        self.span.next =
            bit_cast::<12, 11>(self.next_chunk.val()) + bit_cast::<12, 4>(self.lane.val()) + 15;
        self.all_lines.next =
            bit_cast::<12, 11>(self.left.q.val()) + bit_cast::<12, 4>(self.lane.val()) + 15;
        self.chunk_bytes.next =
            (bit_cast::<13, 11>(self.chunk.q.val()) << 2) - bit_cast::<13, 2>(self.lead.q.val());

        // Its data: from lane `shift` of the previous line on, and the beginning of the next one.
        self.shift.next = bit_cast::<10, 4>(self.lane.val()) << 5;
        self.back.next = bit_cast::<10, 5>(16 - bit_cast::<5, 4>(self.lane.val())) << 5;
        self.beat_dwords.next = bit_cast::<5, 11>(self.unsent.q.val());
        if self.unsent.q.val() > self.sixteen.val() {
            self.beat_dwords.next = 16.into();
        }
        self.cc_data.next = (self.previous.q.val() >> self.shift.val())
            | (self.lines.read_data.val() << self.back.val());
        self.cc_valid.next = false;
        self.cc_first.next = !self.begun.q.val();
        self.cc_last.next = !(self.unsent.q.val() > self.sixteen.val());
        self.cc_dwords.next = self.beat_dwords.val();
        self.advance.next = false;

        // Its header.
        self.with_data.next = true;
        self.code.next = 0.into();
        if self.current.q.val().refusal.any() {
            self.code.next = self.current.q.val().refusal;
            self.with_data.next = false;
        } else if self.refused.q.val() {
            self.code.next = 4.into();
            self.with_data.next = false;
        }
        self.lower.next =
            (bit_cast::<7, 10>(self.dword.q.val()) << 2) | bit_cast::<7, 2>(self.lead.q.val());
        self.dw0.next = (bit_cast::<32, 5>(10.into()) << 24)
            | (bit_cast::<32, 3>(self.current.q.val().traffic) << 20)
            | (bit_cast::<32, 2>(self.current.q.val().attributes) << 12);
        if self.current.q.val().id_ordering {
            self.dw0.next = (bit_cast::<32, 5>(10.into()) << 24)
                | (bit_cast::<32, 3>(self.current.q.val().traffic) << 20)
                | (bit_cast::<32, 2>(self.current.q.val().attributes) << 12)
                | (bit_cast::<32, 1>(true.into()) << 18);
        }
        self.dw1.next = (bit_cast::<32, 16>(self.completer.val()) << 16)
            | (bit_cast::<32, 3>(self.code.val()) << 13)
            | (bit_cast::<32, 13>(self.bytes.q.val()) & 0xfff);
        self.dw2.next = (bit_cast::<32, 16>(self.current.q.val().requester) << 16)
            | (bit_cast::<32, 8>(self.current.q.val().tag) << 8)
            | bit_cast::<32, 7>(self.lower.val());
        self.cc_header.next = bit_cast::<128, 32>(self.dw0.val())
            | (bit_cast::<128, 32>(self.dw1.val()) << 32)
            | (bit_cast::<128, 32>(self.dw2.val()) << 64);
        if self.with_data.val() {
            self.cc_header.next = bit_cast::<128, 32>(self.dw0.val())
                | (bit_cast::<128, 1>(true.into()) << 30)
                | (bit_cast::<128, 1>(self.broken.q.val().into()) << 14)
                | (bit_cast::<128, 11>(self.chunk.q.val()) & 0x3ff)
                | (bit_cast::<128, 32>(self.dw1.val()) << 32)
                | (bit_cast::<128, 32>(self.dw2.val()) << 64);
        }

        match self.state.q.val() {
            ReadsState::Idle => {
                self.current.d.next = self.contexts.head.val();
                self.dword.d.next = self.fetched.val().dword;
                self.left.d.next = self.fetched.val().length;
                self.bytes.d.next = self.fetched.val().bytes;
                self.lead.d.next = self.fetched.val().lead;
                self.refused.d.next = false;
                if self.contexts.nonempty.val() {
                    self.contexts.pop.next = true;
                    self.waiting.d.next = self.waiting.q.val() - 1;
                    if self.context_push.val() {
                        self.waiting.d.next = self.waiting.q.val();
                    }
                    self.state.d.next = ReadsState::Measure;
                    if self.fetched.val().refusal.any() {
                        self.state.d.next = ReadsState::Refuse;
                    }
                }
            }
            ReadsState::Measure => {
                self.chunk.d.next = self.next_chunk.val();
                self.chunk_lines.d.next = bit_cast::<7, 12>(self.span.val() >> 4);
                self.seen.d.next = 0.into();
                self.at.d.next = self.head.q.val();
                self.broken.d.next = false;
                self.begun.d.next = false;
                self.unsent.d.next = self.next_chunk.val();
                self.state.d.next = ReadsState::Gather;
            }
            ReadsState::Gather => {
                // Lines are looked at one a cycle, as they come.
                if self.seen.q.val() == self.chunk_lines.q.val() {
                    self.at.d.next = self.head.q.val();
                    self.state.d.next = ReadsState::Load;
                    if self.refused.q.val() {
                        self.state.d.next = ReadsState::Refuse;
                    }
                } else if self.here.val() {
                    self.at.d.next = self.at.q.val() + 1;
                    self.seen.d.next = self.seen.q.val() + 1;
                    if self.status.val() == self.uncorrectable.val() {
                        self.broken.d.next = true;
                    } else if self.status.val().any() {
                        self.refused.d.next = true;
                    }
                }
            }
            ReadsState::Load => {
                self.previous.d.next = self.lines.read_data.val();
                self.at.d.next = self.at.q.val() + 1;
                self.state.d.next = ReadsState::Send;
            }
            ReadsState::Send => {
                self.cc_valid.next = true;
                if self.cc_ready.val() {
                    self.advance.next = true;
                    self.begun.d.next = true;
                    self.previous.d.next = self.lines.read_data.val();
                    self.at.d.next = self.at.q.val() + 1;
                    self.unsent.d.next = self.unsent.q.val() - 16;
                    if !(self.unsent.q.val() > self.sixteen.val()) {
                        self.head.d.next = self.head.q.val() + self.chunk_lines.q.val();
                        self.dword.d.next =
                            self.dword.q.val() + bit_cast::<10, 11>(self.chunk.q.val());
                        self.left.d.next = self.left.q.val() - self.chunk.q.val();
                        self.bytes.d.next = self.bytes.q.val() - self.chunk_bytes.val();
                        self.lead.d.next = 0.into();
                        self.state.d.next = ReadsState::Measure;
                        if self.left.q.val() == self.chunk.q.val() {
                            self.state.d.next = ReadsState::Idle;
                        }
                    }
                }
            }
            ReadsState::Refuse => {
                self.cc_valid.next = true;
                self.cc_first.next = true;
                self.cc_last.next = true;
                self.cc_dwords.next = 0.into();
                self.at.d.next = self.head.q.val();
                self.seen.d.next = 0.into();
                self.chunk_lines.d.next = bit_cast::<7, 12>(self.all_lines.val() >> 4);
                if self.cc_ready.val() {
                    self.state.d.next = ReadsState::Idle;
                    if self.refused.q.val() {
                        self.state.d.next = ReadsState::Discard;
                    }
                }
            }
            ReadsState::Discard => {
                if self.seen.q.val() == self.chunk_lines.q.val() {
                    self.head.d.next = self.at.q.val();
                    self.state.d.next = ReadsState::Idle;
                } else if self.here.val() {
                    self.at.d.next = self.at.q.val() + 1;
                    self.seen.d.next = self.seen.q.val() + 1;
                    self.head.d.next = self.at.q.val();
                }
            }
            _ => {
                self.state.d.next = ReadsState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = ReadsState::Idle;
            self.waiting.d.next = 0.into();
            self.filled.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
        }
    }
}
