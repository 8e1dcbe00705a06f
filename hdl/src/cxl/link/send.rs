//! The transmitter: which flit leaves next, and the two stages on its way out.
//!
//! ```text
//!  cycle 0            cycle 1               cycle 2
//!  choose, pack ───── CRC ──┬────────────── tx pins
//!       └ retry buffer ─────┘ (a replay brings its CRC along)
//! ```
//!
//! By rank (4.2.8.5.3): the rest of a sequence of RETRY flits; all-data flits, which follow at once;
//! RETRY.Ack; RETRY.Req; replays; INIT.Param; messages; LLCRD; RETRY.Idle, while an answer is waited for.

use super::crc::FlitCrc;
use super::replay::PLACES;
use rust_hdl::prelude::*;

/// RETRY.Frame before a RETRY.Req or RETRY.Ack.
const FRAMES: u64 = 5;

#[derive(LogicBlock, Default)]
pub struct Send {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub tx_valid: Signal<Out, Bit>,
    pub tx_flit: Signal<Out, Bits<528>>,
    pub tx_ready: Signal<In, Bit>,

    /// INIT.Param is not sent yet; it was.
    pub init_stall: Signal<In, Bit>,
    pub began: Signal<Out, Bit>,
    /// Acknowledgements that are sent by themselves, and cycles that they and credits may wait.
    pub force_acks: Signal<In, Bits<8>>,
    pub flush_after: Signal<In, Bits<10>>,

    /// From [`super::retry`].
    pub hush: Signal<In, Bit>,
    pub alive: Signal<In, Bit>,
    pub asked: Signal<In, Bit>,
    pub asks: Signal<In, Bit>,
    pub asked_from: Signal<In, Bits<6>>,
    pub asked_number: Signal<In, Bits<5>>,
    pub request: Signal<In, Bit>,
    pub expected: Signal<In, Bits<8>>,
    pub number: Signal<In, Bits<5>>,
    pub trainings: Signal<In, Bits<5>>,
    pub waits: Signal<In, Bit>,
    pub owed: Signal<In, Bits<8>>,
    pub owed_sent: Signal<Out, Bits<8>>,
    pub request_sent: Signal<Out, Bit>,
    pub answer_sent: Signal<Out, Bit>,
    pub sends: Signal<Out, Bit>,

    /// The retry buffer's.
    pub push: Signal<Out, Bit>,
    pub push_all_data: Signal<Out, Bit>,
    pub write_at: Signal<In, Bits<6>>,
    pub used: Signal<In, Bits<7>>,
    pub store: Signal<Out, Bit>,
    pub store_at: Signal<Out, Bits<6>>,
    pub store_flit: Signal<Out, Bits<528>>,
    pub again: Signal<In, Bit>,
    pub again_all_data: Signal<In, Bit>,
    pub advance: Signal<Out, Bit>,
    pub flit: Signal<In, Bits<528>>,

    /// The packer's, the answers that it packs, and the credits.
    pub header_flit: Signal<In, Bits<512>>,
    pub data_flit: Signal<In, Bits<512>>,
    pub due: Signal<In, Bit>,
    pub all_data: Signal<In, Bit>,
    pub take_header: Signal<Out, Bit>,
    pub take_data: Signal<Out, Bit>,
    pub ndr_valid: Signal<In, Bit>,
    pub ndr_credit: Signal<In, Bit>,
    pub drs_valid: Signal<In, Bit>,
    pub drs_credit: Signal<In, Bit>,
    pub with_ndr: Signal<Out, Bit>,
    pub with_drs: Signal<Out, Bit>,
    pub ack: Signal<Out, Bit>,
    pub req_credit: Signal<In, Bits<4>>,
    pub data_credit: Signal<In, Bits<4>>,
    pub credits_owed: Signal<In, Bit>,
    /// Credits leave in a header.
    pub returns: Signal<Out, Bit>,

    crc: FlitCrc,
    first_valid: DFF<Bit>,
    first: DFF<Bits<512>>,
    first_replay: DFF<Bit>,
    first_store: DFF<Bit>,
    first_at: DFF<Bits<6>>,
    second_valid: DFF<Bit>,
    second: DFF<Bits<528>>,
    /// A sequence under way, and the RETRY.Frame that it still has.
    answering: DFF<Bit>,
    requesting: DFF<Bit>,
    frames: DFF<Bits<3>>,
    init_sent: DFF<Bit>,
    flush: DFF<Bits<10>>,

    sealed: Signal<Local, Bits<528>>,
    second_moves: Signal<Local, Bit>,
    first_moves: Signal<Local, Bit>,
    can: Signal<Local, Bit>,
    in_sequence: Signal<Local, Bit>,
    run: Signal<Local, Bit>,
    begin_answer: Signal<Local, Bit>,
    begin_request: Signal<Local, Bit>,
    rest: Signal<Local, Bit>,
    ready: Signal<Local, Bit>,
    wants_header: Signal<Local, Bit>,
    llcrd_room: Signal<Local, Bit>,
    pending: Signal<Local, Bit>,
    flushes: Signal<Local, Bit>,
    starving: Signal<Local, Bit>,
    frame: Signal<Local, Bit>,
    answer: Signal<Local, Bit>,
    ask: Signal<Local, Bit>,
    replay: Signal<Local, Bit>,
    data: Signal<Local, Bit>,
    init: Signal<Local, Bit>,
    messages: Signal<Local, Bit>,
    llcrd: Signal<Local, Bit>,
    idle: Signal<Local, Bit>,
    free: Signal<Local, Bits<7>>,
    empty: Signal<Local, Bit>,
    header: Signal<Local, Bits<32>>,
    code: Signal<Local, Bits<8>>,
    payload: Signal<Local, Bits<32>>,
    control: Signal<Local, Bits<128>>,
}

impl Logic for Send {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, first_valid, first, first_replay, first_store, first_at);
        dff_setup!(self, clock, second_valid, second);
        dff_setup!(self, clock, answering, requesting, frames, init_sent, flush);

        // Choose.
        self.second_moves.next = !self.second_valid.q.val() || self.tx_ready.val();
        self.first_moves.next = !self.first_valid.q.val() || self.second_moves.val();
        self.can.next = self.first_moves.val() && !self.hush.val();
        self.in_sequence.next = self.answering.q.val() || self.requesting.q.val();
        self.run.next = self.again_all_data.val() || (!self.again.val() && self.all_data.val());
        self.begin_answer.next = (!self.in_sequence.val() && !self.run.val()) && self.asked.val();
        self.begin_request.next = (!self.in_sequence.val() && !self.run.val())
            && (!self.asked.val() && self.request.val());
        self.frame.next = (self.in_sequence.val() && self.frames.q.val().any())
            || (self.begin_answer.val() || self.begin_request.val());
        self.answer.next = self.answering.q.val() && !self.frames.q.val().any();
        self.ask.next = self.requesting.q.val() && !self.frames.q.val().any();
        self.rest.next =
            !self.in_sequence.val() && !(self.begin_answer.val() || self.begin_request.val());
        self.replay.next = self.rest.val() && self.again.val();
        self.data.next = self.rest.val() && (!self.again.val() && self.all_data.val());
        self.ready.next = self.rest.val() && !(self.again.val() || self.all_data.val());
        self.init.next = (self.ready.val() && self.alive.val())
            && (!self.init_sent.q.val() && !self.init_stall.val());
        self.began.next = self.init_sent.q.val();
        // Of a line that begins, the flit with its end must find room too, and one more place stays
        // for a flit that acknowledges.
        self.with_drs.next =
            (self.drs_valid.val() && self.drs_credit.val()) && (self.used.val() < 61);
        self.with_ndr.next =
            (self.ndr_valid.val() && self.ndr_credit.val()) && (self.used.val() < 62);
        self.wants_header.next = self.due.val() || (self.with_drs.val() || self.with_ndr.val());
        self.messages.next =
            (self.ready.val() && self.init_sent.q.val()) && self.wants_header.val();
        // Acknowledging one flit by itself would be answered by the same, without end.
        self.pending.next = self.credits_owed.val() || self.owed.val().get_bits::<7>(1).any();
        self.flushes.next = self.flush.q.val() >= self.flush_after.val();
        self.starving.next = (self.owed.val().any() && (self.owed.val() >= self.force_acks.val()))
            || (self.pending.val() && self.flushes.val());
        self.llcrd_room.next =
            (self.used.val() < 62) || ((self.used.val() == 62) && self.owed.val().any());
        self.llcrd.next = (self.ready.val() && self.init_sent.q.val())
            && (!self.wants_header.val() && (self.starving.val() && self.llcrd_room.val()));
        self.idle.next = self.ready.val()
            && ((!self.alive.val() || (!self.init_sent.q.val() && self.init_stall.val()))
                || ((self.init_sent.q.val() && self.waits.val())
                    && !(self.messages.val() || self.llcrd.val())));

        // The others' part of it.
        self.sends.next = self.can.val()
            && ((self.in_sequence.val() || self.frame.val())
                || ((self.replay.val() || self.data.val())
                    || (self.init.val() || self.messages.val())
                    || (self.llcrd.val() || self.idle.val())));
        self.request_sent.next = self.can.val() && self.ask.val();
        self.answer_sent.next = self.can.val() && self.answer.val();
        self.advance.next = self.can.val() && self.replay.val();
        self.push.next = self.can.val()
            && ((self.data.val() || self.init.val()) || (self.messages.val() || self.llcrd.val()));
        self.push_all_data.next = self.data.val();
        self.take_header.next = self.can.val() && self.messages.val();
        self.take_data.next = self.can.val() && self.data.val();
        self.returns.next = self.can.val() && (self.messages.val() || self.llcrd.val());
        self.ack.next = self.owed.val().get_bits::<5>(3).any();
        self.owed_sent.next = 0.into();
        if self.can.val() && (self.messages.val() && self.ack.val()) {
            self.owed_sent.next = 8.into();
        }
        if self.can.val() && self.llcrd.val() {
            self.owed_sent.next = self.owed.val();
        }
        self.flush.d.next = 0.into();
        if !self.returns.val() && self.pending.val() {
            self.flush.d.next = self.flush.q.val() + 1;
            if self.flushes.val() {
                self.flush.d.next = self.flush.q.val();
            }
        }

        // Sequences.
        if self.can.val() {
            if self.init.val() {
                self.init_sent.d.next = true;
            }
            if self.frame.val() {
                self.frames.d.next = self.frames.q.val() - 1;
            }
            if self.begin_answer.val() || self.begin_request.val() {
                self.frames.d.next = 4.into();
                self.answering.d.next = self.begin_answer.val();
                self.requesting.d.next = self.begin_request.val();
            }
            if self.answer.val() {
                self.answering.d.next = false;
            }
            if self.ask.val() {
                self.requesting.d.next = false;
            }
        }
        // An answer that was begun would be one to an older request.
        if self.asks.val() {
            self.answering.d.next = false;
        }

        // Control flits (4.2.7, tables 4-9 and 4-10): Type 0, LLCTRL 35:32, SubType 39:36, payload
        // from bit 64 on. The default is RETRY.Idle.
        self.free.next = (self.used.val() ^ 127) + 65;
        self.empty.next = self.asked_from.val() == self.write_at.val();
        self.header.next = 1.into();
        self.code.next = 0x01.into();
        self.payload.next = 0.into();
        if self.frame.val() {
            self.code.next = 0x31.into();
        }
        if self.answer.val() {
            // Empty 0, NUM_RETRY 7:3, WrPtr 15:8, ESeq 23:16, NumFreeBuf 31:24.
            self.code.next = 0x21.into();
            self.payload.next = (bit_cast::<32, 1>(self.empty.val().into())
                | (bit_cast::<32, 5>(self.asked_number.val()) << 3))
                | ((bit_cast::<32, 6>(self.write_at.val()) << 8)
                    | (bit_cast::<32, 6>(self.asked_from.val()) << 16))
                | (bit_cast::<32, 7>(self.free.val()) << 24);
        }
        if self.ask.val() {
            // ESeq 7:0, NUM_RETRY 20:16, NUM_PHY_REINIT 25:21.
            self.code.next = 0x11.into();
            self.payload.next = bit_cast::<32, 8>(self.expected.val())
                | ((bit_cast::<32, 5>(self.number.val()) << 16)
                    | (bit_cast::<32, 5>(self.trainings.val()) << 21));
        }
        if self.init.val() {
            // Interconnect Version 3:0 (2: CXL 2.0 and later), LLR Wrap Value 31:24.
            self.code.next = 0x8c.into();
            self.payload.next = 0x4000_0002.into();
        }
        if self.llcrd.val() {
            // Ak 2, ReqCrd 27:24, DataCrd 31:28; Full_Ack is {Payload[7:4], Ak, Payload[2:0]}.
            self.code.next = 0x10.into();
            self.header.next = (bit_cast::<32, 1>(self.owed.val().get_bits::<1>(3)) << 2)
                | ((bit_cast::<32, 4>(self.req_credit.val()) << 24)
                    | (bit_cast::<32, 4>(self.data_credit.val()) << 28))
                | 1;
            self.payload.next = bit_cast::<32, 3>(self.owed.val().get_bits::<3>(0))
                | (bit_cast::<32, 4>(self.owed.val().get_bits::<4>(4)) << 4);
        }
        self.control.next = bit_cast::<128, 32>(self.header.val())
            | ((bit_cast::<128, 8>(self.code.val()) << 32)
                | (bit_cast::<128, 32>(self.payload.val()) << 64));

        // On its way.
        if self.first_moves.val() {
            self.first_valid.d.next = self.sends.val();
            self.first_replay.d.next = self.replay.val();
            self.first_store.d.next = self.push.val();
            self.first_at.d.next = self.write_at.val();
            self.first.d.next = bit_cast::<512, 128>(self.control.val());
            if self.messages.val() {
                self.first.d.next = self.header_flit.val();
            }
            if self.data.val() {
                self.first.d.next = self.data_flit.val();
            }
        }
        self.crc.slots.next = self.first.q.val();
        self.sealed.next = bit_cast::<528, 512>(self.first.q.val())
            | (bit_cast::<528, 16>(self.crc.crc.val()) << 512);
        self.store.next = self.first_valid.q.val() && self.first_store.q.val();
        self.store_at.next = self.first_at.q.val();
        self.store_flit.next = self.sealed.val();
        if self.second_moves.val() {
            self.second_valid.d.next = self.first_valid.q.val();
            self.second.d.next = self.sealed.val();
            if self.first_replay.q.val() {
                self.second.d.next = self.flit.val();
            }
        }
        self.tx_valid.next = self.second_valid.q.val();
        self.tx_flit.next = self.second.q.val();
        if self.hush.val() {
            self.first_valid.d.next = false;
            self.second_valid.d.next = false;
            self.answering.d.next = false;
            self.requesting.d.next = false;
            self.frames.d.next = 0.into();
        }
        if self.reset.val() {
            self.first_valid.d.next = false;
            self.second_valid.d.next = false;
            self.answering.d.next = false;
            self.requesting.d.next = false;
            self.frames.d.next = 0.into();
            self.init_sent.d.next = false;
            self.flush.d.next = 0.into();
        }
    }
}

// Numbers in the code above.
const _: () = assert!(PLACES == 64 && FRAMES == 5);
