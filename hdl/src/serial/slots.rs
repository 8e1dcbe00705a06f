//! The link's places for requests: what was asked, what came of it, and what is to be sent.
//!
//! ```text
//!  frame ─ accept ─ requests[slot] ─ execute ─┬─ request port ─┬─ store ─ answers[slot] ─ send
//!            └ asked before: send again       └─ register bus ─┘
//! ```
//!
//! See `abi::serial` for the rules. A slot is known once it was used in this session, and done once
//! its answer is kept. Register accesses overtake requests that the component does not take yet: the
//! monitor needs them to open it. While `closed`, requests are answered `Uncorrectable`.

use crate::fifo::Fifo;
use crate::prim::{BlockRam, LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::request::Status;
use splitmem_abi::serial::{Kind, SLOTS, VERSION};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Accepts {
    Idle,
    Look,
    Copy,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Executes {
    Idle,
    Fetch,
    Access,
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Stores {
    Idle,
    Look,
    Line,
    /// The component's answer is done with. Of this state's own, so that whether it is taken is known
    /// from a register: a long way leads from here to where the component keeps it.
    Take,
    Value,
}

#[derive(LogicBlock, Default)]
pub struct Slots {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub closed: Signal<In, Bit>,
    /// Whether a host has begun a session.
    pub open: Signal<Out, Bit>,

    /// The receiver's.
    pub frame: Signal<In, Bit>,
    pub kind: Signal<In, Bits<8>>,
    pub slot: Signal<In, Bits<8>>,
    pub number: Signal<In, Bits<8>>,
    pub session: Signal<In, Bits<8>>,
    pub payload_at: Signal<Out, Bits<7>>,
    pub payload_data: Signal<In, Bits<8>>,

    /// A request port of the component.
    pub req_valid: Signal<Out, Bit>,
    pub req_ready: Signal<In, Bit>,
    pub req_op: Signal<Out, Bits<3>>,
    pub req_tag: Signal<Out, Bits<16>>,
    pub req_pid: Signal<Out, Bits<16>>,
    pub req_va: Signal<Out, Bits<48>>,
    pub req_mask: Signal<Out, Bits<64>>,
    pub req_data: Signal<Out, Bits<512>>,
    pub resp_valid: Signal<In, Bit>,
    pub resp_ready: Signal<Out, Bit>,
    pub resp_tag: Signal<In, Bits<16>>,
    pub resp_status: Signal<In, Bits<3>>,
    pub resp_data: Signal<In, Bits<512>>,

    /// Registers: `address[13:12]` is the space. As the component's buses: `valid` until `done`.
    pub reg_valid: Signal<Out, Bit>,
    pub reg_write: Signal<Out, Bit>,
    pub reg_address: Signal<Out, Bits<14>>,
    pub reg_wdata: Signal<Out, Bits<32>>,
    pub reg_done: Signal<In, Bit>,
    pub reg_rdata: Signal<In, Bits<32>>,
    pub reg_error: Signal<In, Bit>,
    pub irq_monitor: Signal<In, Bit>,
    pub irq_host: Signal<In, Bit>,
    /// Flags of Welcome.
    pub flags: Signal<In, Bits<8>>,

    /// The sender's.
    pub sender_idle: Signal<In, Bit>,
    pub send: Signal<Out, Bit>,
    pub send_header: Signal<Out, Bits<32>>,
    pub send_length: Signal<Out, Bits<7>>,
    pub send_at: Signal<In, Bits<7>>,
    pub send_data: Signal<Out, Bits<8>>,

    present: DFF<Bits<8>>,
    opened: DFF<Bit>,
    known: DFF<Bits<32>>,
    done: DFF<Bits<32>>,
    queued: DFF<Bits<32>>,
    /// Sequence numbers, twice: for who accepts and for who sends.
    sequences: LutRam<Bits<8>, 5>,
    sequences_sent: LutRam<Bits<8>, 5>,
    kinds: LutRam<Bits<8>, 5>,
    /// Kind and status of answers.
    results: LutRam<Bits<16>, 5>,
    requests: BlockRam<Bits<8>, 12>,
    answers: BlockRam<Bits<8>, 11>,
    to_do: Fifo<Bits<5>>,
    to_access: Fifo<Bits<5>>,
    to_send: Fifo<Bits<5>>,

    accepts: DFF<Accepts>,
    copied: DFF<Bits<7>>,
    copies: DFF<Bit>,
    copied_to: DFF<Bits<7>>,
    welcome: DFF<Bit>,
    refuse: DFF<Bit>,

    executes: DFF<Executes>,
    at_slot: DFF<Bits<5>>,
    access: DFF<Bit>,
    fetched: DFF<Bits<7>>,
    arrives: DFF<Bit>,
    arrived: DFF<Bits<7>>,
    /// The session changed under the access.
    stale: DFF<Bit>,
    head: DFF<Bits<64>>,
    loaded: DFF<Bit>,
    op: DFF<Bits<3>>,
    tag: DFF<Bits<16>>,
    target: DFF<Bits<64>>,
    data: DFF<Bits<512>>,
    mask: DFF<Bits<64>>,

    /// An answer that is no line, for `value_slot`.
    value_there: DFF<Bit>,
    value_slot: DFF<Bits<5>>,
    value: DFF<Bits<32>>,
    value_result: DFF<Bits<16>>,
    stores: DFF<Stores>,
    stored: DFF<Bits<6>>,
    /// Tag and status of the component's answer.
    answer_tag: DFF<Bits<16>>,
    answer_status: DFF<Bits<3>>,
    /// The eight bytes among which the one is that is written: a cycle behind `stored`.
    stages: DFF<Bit>,
    staged: DFF<Bits<64>>,
    staged_at: DFF<Bits<11>>,

    looks_up: DFF<Bit>,
    send_slot: DFF<Bits<5>>,
    sends_welcome: DFF<Bit>,

    slot_5: Signal<Local, Bits<5>>,
    one: Signal<Local, Bits<32>>,
    this_bit: Signal<Local, Bits<32>>,
    asked_before: Signal<Local, Bit>,
    hello: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    again: Signal<Local, Bit>,
    taken: Signal<Local, Bit>,
    is_access: Signal<Local, Bit>,
    exec_kind: Signal<Local, Bits<8>>,
    resp_slot: Signal<Local, Bits<5>>,
    resp_this: Signal<Local, Bits<32>>,
    resp_wanted: Signal<Local, Bit>,
    resp_line: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    finish_slot: Signal<Local, Bits<5>>,
    finish_this: Signal<Local, Bits<32>>,
    finish_result: Signal<Local, Bits<16>>,
    beat_shift: Signal<Local, Bits<10>>,
    byte_shift: Signal<Local, Bits<6>>,
    store_value: Signal<Local, Bit>,
    pop_send: Signal<Local, Bit>,
    popped: Signal<Local, Bits<32>>,
    push_send: Signal<Local, Bits<32>>,
    sent_kind: Signal<Local, Bits<8>>,
    sent_status: Signal<Local, Bits<8>>,
    welcome_word: Signal<Local, Bits<64>>,
    next_known: Signal<Local, Bits<32>>,
    next_done: Signal<Local, Bits<32>>,
    next_queued: Signal<Local, Bits<32>>,

    identity: Param<Bits<64>>,
    hello_code: Param<Bits<8>>,
    read: Param<Bits<8>>,
    write: Param<Bits<8>>,
    masked: Param<Bits<8>>,
    add: Param<Bits<8>>,
    swap: Param<Bits<8>>,
    reg_read: Param<Bits<8>>,
    reg_write_code: Param<Bits<8>>,
    line_code: Param<Bits<16>>,
    done_code: Param<Bits<16>>,
    register_code: Param<Bits<16>>,
    welcome_code: Param<Bits<32>>,
    refuse_code: Param<Bits<32>>,
    lost: Param<Bits<16>>,
    whole: Param<Bits<64>>,
}

impl Slots {
    /// `board` and `build` are what Welcome tells of this board.
    pub fn new(board: u8, build: u32) -> Self {
        let code = |kind: Kind| Param::new((kind as u64).into());
        let wide = |kind: Kind| Param::new((kind as u64).into());
        let header = |kind: Kind| Param::new((kind as u64).into());
        let [b0, b1, b2, b3] = build.to_le_bytes();
        let identity = [VERSION, SLOTS as u8, board, 0, b0, b1, b2, b3];
        Self {
            sequences: LutRam::new(SLOTS),
            sequences_sent: LutRam::new(SLOTS),
            kinds: LutRam::new(SLOTS),
            results: LutRam::new(SLOTS),
            requests: BlockRam::new(SLOTS * 128),
            answers: BlockRam::new(SLOTS * 64),
            to_do: Fifo::new(SLOTS),
            to_access: Fifo::new(SLOTS),
            to_send: Fifo::new(SLOTS),
            identity: Param::new(u64::from_le_bytes(identity).into()),
            hello_code: code(Kind::Hello),
            read: code(Kind::Read),
            write: code(Kind::Write),
            masked: code(Kind::WriteMasked),
            add: code(Kind::FetchAdd),
            swap: code(Kind::CompareSwap),
            reg_read: code(Kind::RegisterRead),
            reg_write_code: code(Kind::RegisterWrite),
            line_code: wide(Kind::Line),
            done_code: wide(Kind::Done),
            register_code: wide(Kind::Register),
            welcome_code: header(Kind::Welcome),
            refuse_code: header(Kind::NoSession),
            whole: Param::new(u64::MAX.into()),
            lost: Param::new((Kind::Done as u64 | (Status::Uncorrectable as u64) << 8).into()),
            ..Default::default()
        }
    }
}

impl Logic for Slots {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, present, opened, known, done, queued, accepts, copied, copies);
        dff_setup!(self, clock, copied_to, welcome, refuse, executes, at_slot, access, fetched);
        dff_setup!(self, clock, arrives, arrived, stale, head, loaded, op, tag, target, data, mask);
        dff_setup!(self, clock, value_there, value_slot, value, value_result, stores, stored);
        dff_setup!(self, clock, looks_up, send_slot, sends_welcome, stages, staged, staged_at);
        dff_setup!(self, clock, answer_tag, answer_status);
        clock!(self, clock, sequences, sequences_sent, kinds, results, requests, answers);
        clock!(self, clock, to_do, to_access, to_send);
        self.open.next = self.opened.q.val();
        self.one.next = 1.into();

        // Accept: look whether this was asked before, and if not, keep it.
        self.slot_5.next = bit_cast::<5, 8>(self.slot.val());
        self.this_bit.next = self.one.val() << self.slot_5.val();
        self.sequences.read_address.next = self.slot_5.val();
        self.asked_before.next = ((self.known.q.val() & self.this_bit.val()) != 0)
            && (self.sequences.read_data.val() == self.number.val());
        self.is_access.next = (self.kind.val() == self.reg_read.val())
            || (self.kind.val() == self.reg_write_code.val());
        self.hello.next = false;
        self.begins.next = false;
        self.again.next = false;
        self.taken.next = false;
        self.copies.d.next = false;
        self.copied_to.d.next = self.copied.q.val();
        self.payload_at.next = self.copied.q.val();
        match self.accepts.q.val() {
            Accepts::Idle => {
                if self.frame.val() {
                    self.accepts.d.next = Accepts::Look;
                    self.copied.d.next = 0.into();
                }
            }
            Accepts::Look => {
                self.accepts.d.next = Accepts::Idle;
                if self.kind.val() == self.hello_code.val() {
                    self.hello.next = true;
                    self.begins.next =
                        !self.opened.q.val() || (self.session.val() != self.present.q.val());
                } else {
                    if !self.opened.q.val() || (self.session.val() != self.present.q.val()) {
                        self.refuse.d.next = true;
                    } else {
                        if self.slot.val() < 32 {
                            if self.asked_before.val() {
                                // Once more, unless it waits to be sent or is not done.
                                self.again.next = ((self.done.q.val() & self.this_bit.val()) != 0)
                                    && ((self.queued.q.val() & self.this_bit.val()) == 0);
                                if self.finish.val() {
                                    self.again.next = false;
                                    self.accepts.d.next = Accepts::Look;
                                }
                            } else {
                                // A slot whose request is under way takes no other one.
                                if ((self.known.q.val() & self.this_bit.val()) == 0)
                                    || ((self.done.q.val() & self.this_bit.val()) != 0)
                                {
                                    self.accepts.d.next = Accepts::Copy;
                                }
                            }
                        }
                    }
                }
            }
            Accepts::Copy => {
                self.copies.d.next = true;
                self.copied.d.next = self.copied.q.val() + 1;
                if self.copied.q.val() == 81 {
                    self.accepts.d.next = Accepts::Idle;
                    self.copies.d.next = false;
                    self.taken.next = true;
                }
            }
            _ => {
                self.accepts.d.next = Accepts::Idle;
            }
        }
        self.requests.write_address.next =
            (bit_cast::<12, 5>(self.slot_5.val()) << 7) | bit_cast::<12, 7>(self.copied_to.q.val());
        self.requests.write_data.next = self.payload_data.val();
        self.requests.write_enable.next = self.copies.q.val();
        self.sequences.write_address.next = self.slot_5.val();
        self.sequences.write_data.next = self.number.val();
        self.sequences.write_enable.next = self.taken.val();
        self.sequences_sent.write_address.next = self.slot_5.val();
        self.sequences_sent.write_data.next = self.number.val();
        self.sequences_sent.write_enable.next = self.taken.val();
        self.kinds.write_address.next = self.slot_5.val();
        self.kinds.write_data.next = self.kind.val();
        self.kinds.write_enable.next = self.taken.val();
        self.to_do.push.next = self.taken.val() && !self.is_access.val();
        self.to_do.push_data.next = self.slot_5.val();
        self.to_access.push.next = self.taken.val() && self.is_access.val();
        self.to_access.push_data.next = self.slot_5.val();
        if self.hello.val() {
            self.welcome.d.next = true;
        }
        if self.begins.val() {
            self.opened.d.next = true;
            self.present.d.next = self.session.val();
            self.stale.d.next = true;
        }
        self.to_do.reset.next = self.reset.val() || self.begins.val();
        self.to_access.reset.next = self.reset.val() || self.begins.val();
        self.to_send.reset.next = self.reset.val() || self.begins.val();

        // Execute: fetch a request's bytes, and hand it to the component or to the registers.
        self.to_do.pop.next = false;
        self.to_access.pop.next = false;
        self.arrives.d.next = false;
        self.arrived.d.next = self.fetched.q.val();
        self.requests.read_address.next = (bit_cast::<12, 5>(self.at_slot.q.val()) << 7)
            | bit_cast::<12, 7>(self.fetched.q.val());
        self.kinds.read_address.next = self.at_slot.q.val();
        self.exec_kind.next = self.kinds.read_data.val();
        self.reg_valid.next = self.executes.q.val() == Executes::Access;
        self.reg_write.next = self.exec_kind.val() == self.reg_write_code.val();
        self.reg_address.next = bit_cast::<14, 64>(self.head.q.val());
        self.reg_wdata.next = self.head.q.val().get_bits::<32>(16);
        if self.arrives.q.val() {
            if self.arrived.q.val() < 8 {
                self.head.d.next = (self.head.q.val() >> 8)
                    | (bit_cast::<64, 8>(self.requests.read_data.val()) << 56);
            } else {
                if self.arrived.q.val() < 72 {
                    self.data.d.next = (self.data.q.val() >> 8)
                        | (bit_cast::<512, 8>(self.requests.read_data.val()) << 504);
                } else {
                    self.mask.d.next = (self.mask.q.val() >> 8)
                        | (bit_cast::<64, 8>(self.requests.read_data.val()) << 56);
                }
            }
        }
        if self.req_valid.val() && self.req_ready.val() {
            self.loaded.d.next = false;
        }
        match self.executes.q.val() {
            Executes::Idle => {
                self.fetched.d.next = 0.into();
                if !self.begins.val() && !self.value_there.q.val() {
                    if self.to_access.nonempty.val() {
                        self.to_access.pop.next = true;
                        self.at_slot.d.next = self.to_access.head.val();
                        self.access.d.next = true;
                        self.stale.d.next = false;
                        self.executes.d.next = Executes::Fetch;
                    } else {
                        if self.to_do.nonempty.val() && !self.loaded.q.val() {
                            self.to_do.pop.next = true;
                            self.at_slot.d.next = self.to_do.head.val();
                            self.access.d.next = false;
                            self.stale.d.next = false;
                            self.executes.d.next = Executes::Fetch;
                        }
                    }
                }
            }
            Executes::Fetch => {
                self.arrives.d.next = true;
                self.fetched.d.next = self.fetched.q.val() + 1;
                if self.access.q.val() && (self.fetched.q.val() == 8) {
                    self.arrives.d.next = false;
                    self.fetched.d.next = 8.into();
                    self.executes.d.next = Executes::Access;
                }
                if self.fetched.q.val() == 80 {
                    self.arrives.d.next = false;
                    self.fetched.d.next = 80.into();
                    if !self.arrives.q.val() {
                        self.executes.d.next = Executes::Idle;
                        self.target.d.next = self.head.q.val();
                        self.op.d.next = 0.into();
                        if (self.exec_kind.val() == self.write.val())
                            || (self.exec_kind.val() == self.masked.val())
                        {
                            self.op.d.next = 1.into();
                        }
                        if self.exec_kind.val() == self.add.val() {
                            self.op.d.next = 2.into();
                        }
                        if self.exec_kind.val() == self.swap.val() {
                            self.op.d.next = 3.into();
                        }
                        if self.exec_kind.val() != self.masked.val() {
                            self.mask.d.next = self.whole.val();
                        }
                        // Tag: slot, whether a line comes back, session.
                        self.tag.d.next = bit_cast::<16, 5>(self.at_slot.q.val())
                            | (bit_cast::<16, 8>(self.present.q.val()) << 8);
                        if (self.exec_kind.val() != self.write.val())
                            && (self.exec_kind.val() != self.masked.val())
                        {
                            self.tag.d.next = bit_cast::<16, 5>(self.at_slot.q.val())
                                | (bit_cast::<16, 8>(self.present.q.val()) << 8)
                                | 0x20;
                        }
                        if !self.stale.q.val() && !self.begins.val() {
                            self.loaded.d.next = !self.closed.val();
                            self.value_there.d.next = self.closed.val();
                            self.value_slot.d.next = self.at_slot.q.val();
                            self.value_result.d.next = self.lost.val();
                        }
                    }
                }
            }
            Executes::Access => {
                if self.reg_done.val() {
                    self.executes.d.next = Executes::Idle;
                    self.value_there.d.next = !self.stale.q.val() && !self.begins.val();
                    self.value_slot.d.next = self.at_slot.q.val();
                    self.value.d.next = self.reg_rdata.val();
                    self.value_result.d.next = self.register_code.val()
                        | (bit_cast::<16, 1>(self.reg_error.val().into()) << 11);
                }
            }
            _ => {
                self.executes.d.next = Executes::Idle;
            }
        }
        self.req_valid.next = self.loaded.q.val();
        self.req_op.next = self.op.q.val();
        self.req_tag.next = self.tag.q.val();
        self.req_pid.next = bit_cast::<16, 64>(self.target.q.val());
        self.req_va.next = self.target.q.val().get_bits::<48>(16);
        self.req_mask.next = self.mask.q.val();
        self.req_data.next = self.data.q.val();

        // Store: an answer of the component, or a value, becomes the slot's answer.
        self.resp_slot.next = bit_cast::<5, 16>(self.answer_tag.q.val());
        self.resp_this.next = self.one.val() << self.resp_slot.val();
        self.resp_wanted.next = (self.answer_tag.q.val().get_bits::<8>(8) == self.present.q.val())
            && ((self.known.q.val() & self.resp_this.val()) != 0)
            && ((self.done.q.val() & self.resp_this.val()) == 0);
        self.resp_line.next =
            self.answer_tag.q.val().get_bit(5) && (self.answer_status.q.val() == 0);
        self.resp_ready.next = self.stores.q.val() == Stores::Take;
        self.finish.next = false;
        self.finish_slot.next = self.resp_slot.val();
        self.finish_result.next =
            self.done_code.val() | (bit_cast::<16, 3>(self.answer_status.q.val()) << 8);
        if self.resp_line.val() {
            self.finish_result.next = self.line_code.val();
        }
        // A byte of 64 in two steps: first eight of them, then one of these.
        self.beat_shift.next = bit_cast::<10, 6>(self.stored.q.val() & 0x38) << 3;
        self.staged.d.next = bit_cast::<64, 512>(self.resp_data.val() >> self.beat_shift.val());
        self.staged_at.d.next =
            (bit_cast::<11, 5>(self.resp_slot.val()) << 6) | bit_cast::<11, 6>(self.stored.q.val());
        self.stages.d.next = false;
        self.byte_shift.next = bit_cast::<6, 3>(self.staged_at.q.val().get_bits::<3>(0)) << 3;
        self.answers.write_address.next = self.staged_at.q.val();
        self.answers.write_data.next =
            bit_cast::<8, 64>(self.staged.q.val() >> self.byte_shift.val());
        self.answers.write_enable.next = self.stages.q.val();
        self.store_value.next = false;
        match self.stores.q.val() {
            Stores::Idle => {
                self.stored.d.next = 0.into();
                self.answer_tag.d.next = self.resp_tag.val();
                self.answer_status.d.next = self.resp_status.val();
                if self.resp_valid.val() {
                    self.stores.d.next = Stores::Look;
                } else {
                    if self.value_there.q.val() {
                        self.stores.d.next = Stores::Value;
                    }
                }
            }
            Stores::Look => {
                self.stores.d.next = Stores::Take;
                self.finish.next = self.resp_wanted.val() && !self.resp_line.val();
                if self.resp_wanted.val() && self.resp_line.val() {
                    self.stores.d.next = Stores::Line;
                }
            }
            Stores::Line => {
                self.stages.d.next = true;
                self.stored.d.next = self.stored.q.val() + 1;
                if self.stored.q.val() == 63 {
                    self.stores.d.next = Stores::Take;
                    self.finish.next = self.resp_wanted.val();
                }
            }
            Stores::Take => {
                self.stores.d.next = Stores::Idle;
            }
            Stores::Value => {
                self.store_value.next = true;
                self.stages.d.next = true;
                self.stored.d.next = self.stored.q.val() + 1;
                if self.stored.q.val() == 3 {
                    self.stores.d.next = Stores::Idle;
                    self.value_there.d.next = false;
                    self.finish.next = self.value_there.q.val();
                }
            }
            _ => {
                self.stores.d.next = Stores::Idle;
            }
        }
        if self.store_value.val() {
            self.finish_slot.next = self.value_slot.q.val();
            self.finish_result.next = self.value_result.q.val();
            self.staged.d.next = bit_cast::<64, 32>(self.value.q.val());
            self.staged_at.d.next = (bit_cast::<11, 5>(self.value_slot.q.val()) << 6)
                | bit_cast::<11, 6>(self.stored.q.val());
        }
        if self.begins.val() {
            self.value_there.d.next = false;
        }
        self.finish_this.next = self.one.val() << self.finish_slot.val();
        self.results.write_address.next = self.finish_slot.val();
        self.results.write_data.next = self.finish_result.val();
        self.results.write_enable.next = self.finish.val();

        // Send: Welcome and refusals first, then answers in their order.
        self.push_send.next = 0.into();
        self.to_send.push.next = false;
        self.to_send.push_data.next = self.finish_slot.val();
        if self.finish.val() {
            self.to_send.push.next = !self.begins.val();
            self.push_send.next = self.finish_this.val();
        }
        if self.again.val() {
            self.to_send.push.next = true;
            self.to_send.push_data.next = self.slot_5.val();
            self.push_send.next = self.this_bit.val();
        }
        self.pop_send.next = false;
        self.popped.next = self.one.val() << self.to_send.head.val();
        self.looks_up.d.next = false;
        self.send.next = false;
        self.sequences_sent.read_address.next = self.send_slot.q.val();
        self.results.read_address.next = self.send_slot.q.val();
        self.sent_kind.next = bit_cast::<8, 16>(self.results.read_data.val());
        self.sent_status.next = self.results.read_data.val().get_bits::<8>(8)
            | (bit_cast::<8, 1>(self.irq_monitor.val().into()) << 4)
            | (bit_cast::<8, 1>(self.irq_host.val().into()) << 5);
        self.send_header.next = bit_cast::<32, 8>(self.sent_kind.val())
            | (bit_cast::<32, 5>(self.send_slot.q.val()) << 8)
            | (bit_cast::<32, 8>(self.sequences_sent.read_data.val()) << 16)
            | (bit_cast::<32, 8>(self.sent_status.val()) << 24);
        self.send_length.next = 0.into();
        if self.sent_kind.val() == bit_cast::<8, 16>(self.line_code.val()) {
            self.send_length.next = 64.into();
        }
        if self.sent_kind.val() == bit_cast::<8, 16>(self.register_code.val()) {
            self.send_length.next = 4.into();
        }
        if self.looks_up.q.val() {
            self.send.next = true;
        } else {
            if self.sender_idle.val() {
                if self.welcome.q.val() {
                    self.send.next = true;
                    self.sends_welcome.d.next = true;
                    self.welcome.d.next = self.hello.val();
                    self.send_header.next =
                        self.welcome_code.val() | (bit_cast::<32, 8>(self.present.q.val()) << 24);
                    self.send_length.next = 8.into();
                } else {
                    if self.refuse.q.val() {
                        self.send.next = true;
                        self.refuse.d.next = false;
                        self.send_header.next = self.refuse_code.val()
                            | (bit_cast::<32, 8>(self.slot.val()) << 8)
                            | (bit_cast::<32, 8>(self.number.val()) << 16);
                        self.send_length.next = 0.into();
                    } else {
                        if self.to_send.nonempty.val() && !self.begins.val() {
                            self.pop_send.next = true;
                            self.send_slot.d.next = self.to_send.head.val();
                            self.looks_up.d.next = true;
                            self.sends_welcome.d.next = false;
                        }
                    }
                }
            }
        }
        self.to_send.pop.next = self.pop_send.val();
        self.answers.read_address.next = (bit_cast::<11, 5>(self.send_slot.q.val()) << 6)
            | bit_cast::<11, 7>(self.send_at.val() & 63);
        self.welcome_word.next = self.identity.val() | (bit_cast::<64, 8>(self.flags.val()) << 24);
        self.send_data.next = self.answers.read_data.val();
        if self.sends_welcome.q.val() {
            self.send_data.next =
                bit_cast::<8, 64>(self.welcome_word.val() >> (self.send_at.val() << 3));
        }

        self.next_known.next = self.known.q.val();
        self.next_done.next = self.done.q.val();
        self.next_queued.next = self.queued.q.val() | self.push_send.val();
        if self.finish.val() {
            self.next_done.next = self.done.q.val() | self.finish_this.val();
        }
        self.known.d.next = self.next_known.val();
        self.done.d.next = self.next_done.val();
        self.queued.d.next = self.next_queued.val();
        if self.pop_send.val() {
            self.queued.d.next = self.next_queued.val() & !self.popped.val();
        }
        if self.taken.val() {
            self.known.d.next = self.next_known.val() | self.this_bit.val();
            self.done.d.next = self.next_done.val() & !self.this_bit.val();
        }
        if self.begins.val() || self.reset.val() {
            self.known.d.next = 0.into();
            self.done.d.next = 0.into();
            self.queued.d.next = 0.into();
        }
        if self.reset.val() {
            self.opened.d.next = false;
            self.accepts.d.next = Accepts::Idle;
            self.executes.d.next = Executes::Idle;
            self.stores.d.next = Stores::Idle;
            self.loaded.d.next = false;
            self.value_there.d.next = false;
            self.welcome.d.next = false;
            self.refuse.d.next = false;
            self.looks_up.d.next = false;
            self.copies.d.next = false;
            self.arrives.d.next = false;
            self.stages.d.next = false;
        }
    }
}
