//! What becomes of a flit that came: the two retry state machines (section 4.2.8.5), acknowledgements,
//! and what no retry heals.
//!
//! A flit counts if its CRC is right, it is no RETRY flit, and the local machine is in its normal
//! state: then it is the next one in order. Otherwise it is dropped, and asked for again.
//!
//! RETRY.Req and RETRY.Ack mean something right behind four RETRY.Frame: at most four all-data flits
//! stand in a row, and no fifth flit can look like the end of a sequence then. Five are sent, so one of
//! them may be hit.

use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::cxl::LinkFault;

/// Requests for one flit before the physical layer is trained again, and trainings before the link is
/// given up: the least that 4.2.8.5.1 suggests.
pub const MOST: u64 = 10;
/// Flits sent after which a request counts as lost: the least suggested.
pub const TIMEOUT: u64 = 4096;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Lrsm {
    Normal,
    Request,
    Idle,
    Reinit,
    Abort,
}

#[derive(LogicBlock, Default)]
pub struct Retry {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub phy_up: Signal<In, Bit>,
    pub retrain: Signal<Out, Bit>,
    /// From [`super::check`].
    pub there: Signal<In, Bit>,
    pub good: Signal<In, Bit>,
    pub slots: Signal<In, Bits<512>>,
    /// From the unpacker and the inbox.
    pub all_data: Signal<In, Bit>,
    pub data_due: Signal<In, Bit>,
    pub unpack_fault: Signal<In, Bits<4>>,
    pub overflow: Signal<In, Bit>,
    /// Of the retry buffer: flits not acknowledged, and the oldest one's place.
    pub used: Signal<In, Bits<7>>,
    pub oldest: Signal<In, Bits<6>>,

    /// A flit with messages, or with data, counts. Its header's credits, or an LLCRD's, count.
    pub take: Signal<Out, Bit>,
    pub credits: Signal<Out, Bit>,
    /// Flits that the other end acknowledges in this cycle.
    pub acks: Signal<Out, Bits<8>>,
    /// Flits to be acknowledged, and how many of them a flit that leaves now acknowledges.
    pub owed: Signal<Out, Bits<8>>,
    pub owed_sent: Signal<In, Bits<8>>,

    /// The other end's request: to be answered from `asked_from` on. Pulse: it came just now.
    pub asked: Signal<Out, Bit>,
    pub asked_from: Signal<Out, Bits<6>>,
    pub asked_number: Signal<Out, Bits<5>>,
    pub asks: Signal<Out, Bit>,
    /// Pulses: INIT.Param came; an answer of the other end came, ours or not.
    pub inits: Signal<Out, Bit>,
    pub answers: Signal<Out, Bit>,
    /// Our own request is to be sent; the last flit of the sequence leaves.
    pub request: Signal<Out, Bit>,
    pub expected: Signal<Out, Bits<8>>,
    pub number: Signal<Out, Bits<5>>,
    pub trainings: Signal<Out, Bits<5>>,
    pub request_sent: Signal<In, Bit>,
    pub answer_sent: Signal<In, Bit>,
    /// Flits must pass, so that the time-out counts; one leaves.
    pub waits: Signal<Out, Bit>,
    pub sends: Signal<In, Bit>,
    /// A clean flit came: the other end is there.
    pub alive: Signal<Out, Bit>,
    /// INIT.Param came.
    pub open: Signal<Out, Bit>,
    /// Nothing may be sent, and what is on its way out is void.
    pub hush: Signal<Out, Bit>,
    /// The link was given up, why (`abi::cxl::LinkFault`), and that it happens now.
    pub down: Signal<Out, Bit>,
    pub fault: Signal<Out, Bits<4>>,
    pub falls: Signal<Out, Bit>,
    /// Pulses: a flit of wrong CRC; too many retries; the physical layer went down.
    pub corrupt: Signal<Out, Bit>,
    pub gave_up: Signal<Out, Bit>,
    pub lost: Signal<Out, Bit>,

    state: DFF<Lrsm>,
    frames: DFF<Bits<3>>,
    eseq: DFF<Bits<8>>,
    wrap: DFF<Bits<8>>,
    opened: DFF<Bit>,
    heard: DFF<Bit>,
    unacknowledged: DFF<Bits<8>>,
    num_retry: DFF<Bits<5>>,
    num_reinit: DFF<Bits<5>>,
    timer: DFF<Bits<13>>,
    was_up: DFF<Bit>,
    /// The physical layer went down since it was to be trained.
    fell: DFF<Bit>,
    why: DFF<Bits<4>>,
    remote: DFF<Bit>,
    remote_from: DFF<Bits<6>>,
    remote_number: DFF<Bits<5>>,

    normal: Signal<Local, Bit>,
    ok: Signal<Local, Bit>,
    control: Signal<Local, Bit>,
    plain: Signal<Local, Bit>,
    kind: Signal<Local, Bits<4>>,
    sub: Signal<Local, Bits<4>>,
    is_retry: Signal<Local, Bit>,
    is_llcrd: Signal<Local, Bit>,
    is_init: Signal<Local, Bit>,
    framed: Signal<Local, Bit>,
    came_request: Signal<Local, Bit>,
    came_answer: Signal<Local, Bit>,
    accept: Signal<Local, Bit>,
    counts: Signal<Local, Bit>,
    fault_now: Signal<Local, Bits<4>>,
    acked: Signal<Local, Bits<8>>,
    from: Signal<Local, Bits<8>>,
    place: Signal<Local, Bits<6>>,
    eseq_next: Signal<Local, Bits<8>>,
    break_now: Signal<Local, Bit>,
    most: Param<Bits<5>>,
    timeout: Param<Bits<13>>,
}

impl Retry {
    pub fn new() -> Self {
        Self {
            most: Param::new(MOST.into()),
            timeout: Param::new(TIMEOUT.into()),
            ..Default::default()
        }
    }
}

impl Logic for Retry {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, frames, eseq, wrap, opened, heard, unacknowledged);
        dff_setup!(self, clock, num_retry, num_reinit, timer, was_up, fell, why);
        dff_setup!(self, clock, remote, remote_from, remote_number);
        self.normal.next = self.state.q.val() == Lrsm::Normal;
        self.ok.next = (self.there.val() && self.good.val())
            && !((self.state.q.val() == Lrsm::Reinit) || (self.state.q.val() == Lrsm::Abort));

        // What kind of flit it is (4.2.7): LLCTRL and SubType stand behind the header.
        self.control.next =
            self.slots.val().get_bit(0) && !(self.all_data.val() && self.normal.val());
        self.plain.next = !self.slots.val().get_bits::<3>(5).any();
        self.kind.next = self.slots.val().get_bits::<4>(32);
        self.sub.next = self.slots.val().get_bits::<4>(36);
        self.is_retry.next = self.control.val()
            && self.plain.val()
            && (self.kind.val() == 1)
            && (self.sub.val() < 4);
        self.is_llcrd.next = self.plain.val() && (self.kind.val() == 0) && (self.sub.val() == 1);
        self.is_init.next = self.plain.val() && (self.kind.val() == 12) && (self.sub.val() == 8);
        self.framed.next = self.frames.q.val().get_bit(2);
        self.came_request.next =
            (self.ok.val() && self.framed.val()) && (self.is_retry.val() && (self.sub.val() == 1));
        self.came_answer.next =
            (self.ok.val() && self.framed.val()) && (self.is_retry.val() && (self.sub.val() == 2));
        if self.there.val() {
            self.frames.d.next = 0.into();
            if self.ok.val() && self.is_retry.val() && (self.sub.val() == 3) {
                self.frames.d.next = self.frames.q.val() + 1;
                if self.framed.val() {
                    self.frames.d.next = 4.into();
                }
            }
        }

        // Acknowledgements: eight by a header's Ak bit, or Full_Ack of an LLCRD.
        self.acked.next = 0.into();
        if self.control.val() {
            if self.is_llcrd.val() {
                self.acked.next = bit_cast::<8, 3>(self.slots.val().get_bits::<3>(64))
                    | (bit_cast::<8, 1>(self.slots.val().get_bits::<1>(2)) << 3)
                    | (bit_cast::<8, 4>(self.slots.val().get_bits::<4>(68)) << 4);
            }
        } else {
            if self.slots.val().get_bit(2) && !self.all_data.val() {
                self.acked.next = 8.into();
            }
        }

        // The other end's request for a flit that is not in the buffer would be a fault.
        self.from.next = self.slots.val().get_bits::<8>(64);
        self.place.next = bit_cast::<6, 8>(self.from.val()) - self.oldest.val();

        // Codes of `abi::cxl::LinkFault`.
        self.accept.next = self.ok.val() && self.normal.val() && !self.is_retry.val();
        self.fault_now.next = 0.into();
        if self.accept.val() {
            if self.acked.val() > bit_cast::<8, 7>(self.used.val()) {
                self.fault_now.next = 9.into();
            }
            if self.control.val() {
                if self.is_init.val() == self.opened.q.val() {
                    self.fault_now.next = 7.into();
                }
                if self.data_due.val() {
                    self.fault_now.next = 2.into();
                }
                if !self.is_llcrd.val() && !self.is_init.val() {
                    self.fault_now.next = 1.into();
                }
            } else {
                if self.overflow.val() {
                    self.fault_now.next = 8.into();
                }
                if self.unpack_fault.val().any() {
                    self.fault_now.next = self.unpack_fault.val();
                }
                if !self.opened.q.val() {
                    self.fault_now.next = 7.into();
                }
            }
        }
        if self.came_request.val()
            && ((bit_cast::<7, 6>(self.place.val()) > self.used.val())
                || self.from.val().get_bits::<2>(6).any())
        {
            self.fault_now.next = 10.into();
        }
        self.counts.next = self.accept.val() && !self.fault_now.val().any();
        self.take.next = self.counts.val() && !self.control.val();
        self.credits.next = self.counts.val()
            && ((self.control.val() && self.is_llcrd.val())
                || (!self.control.val() && !self.all_data.val()));
        self.acks.next = 0.into();
        if self.counts.val() {
            self.acks.next = self.acked.val();
        }

        self.inits.next = self.counts.val() && (self.control.val() && self.is_init.val());
        self.answers.next = self.came_answer.val();

        // In order.
        self.expected.next = self.eseq.q.val();
        self.eseq_next.next = self.eseq.q.val() + 1;
        if self.counts.val() {
            self.eseq.d.next = self.eseq_next.val();
            if self.eseq_next.val() == self.wrap.q.val() {
                self.eseq.d.next = 0.into();
            }
            if self.inits.val() {
                self.opened.d.next = true;
                self.wrap.d.next = self.slots.val().get_bits::<8>(88);
            }
        }
        self.open.next = self.opened.q.val();
        self.alive.next = self.heard.q.val();
        if self.ok.val() {
            self.heard.d.next = true;
        }
        self.owed.next = self.unacknowledged.q.val();
        self.unacknowledged.d.next = self.unacknowledged.q.val() - self.owed_sent.val();
        if self.counts.val() && !self.unacknowledged.q.val().all() {
            self.unacknowledged.d.next = (self.unacknowledged.q.val() - self.owed_sent.val()) + 1;
        }

        // RRSM.
        self.asks.next = self.came_request.val();
        self.asked.next = self.remote.q.val();
        self.asked_from.next = self.remote_from.q.val();
        self.asked_number.next = self.remote_number.q.val();
        if self.answer_sent.val() {
            self.remote.d.next = false;
        }
        if self.came_request.val() {
            self.remote.d.next = true;
            self.remote_from.d.next = bit_cast::<6, 8>(self.from.val());
            self.remote_number.d.next = self.slots.val().get_bits::<5>(80);
        }

        // LRSM.
        self.request.next =
            (self.state.q.val() == Lrsm::Request) && !(self.num_retry.q.val() == self.most.val());
        self.number.next = self.num_retry.q.val() + 1;
        self.trainings.next = self.num_reinit.q.val();
        self.waits.next = self.state.q.val() == Lrsm::Idle;
        self.retrain.next = (self.state.q.val() == Lrsm::Reinit) && !self.fell.q.val();
        self.gave_up.next = false;
        self.break_now.next = self.fault_now.val().any();
        if self.waits.val() && self.sends.val() {
            self.timer.d.next = self.timer.q.val() + 1;
        }
        match self.state.q.val() {
            Lrsm::Normal => {
                if self.there.val() && !self.good.val() {
                    self.state.d.next = Lrsm::Request;
                }
            }
            Lrsm::Request => {
                if self.request_sent.val() {
                    self.state.d.next = Lrsm::Idle;
                    self.num_retry.d.next = self.number.val();
                    self.timer.d.next = 0.into();
                } else {
                    if self.num_retry.q.val() == self.most.val() {
                        self.gave_up.next = true;
                        self.state.d.next = Lrsm::Reinit;
                        self.fell.d.next = false;
                        self.num_reinit.d.next = self.num_reinit.q.val() + 1;
                        if self.num_reinit.q.val() == self.most.val() {
                            self.break_now.next = true;
                            self.why.d.next = 11.into();
                        }
                    }
                }
            }
            Lrsm::Idle => {
                if self.timer.q.val() == self.timeout.val() {
                    self.state.d.next = Lrsm::Request;
                }
                if self.came_answer.val()
                    && (self.slots.val().get_bits::<5>(67) == self.num_retry.q.val())
                {
                    self.state.d.next = Lrsm::Normal;
                    if self.slots.val().get_bit(64) {
                        self.num_retry.d.next = 0.into();
                        self.num_reinit.d.next = 0.into();
                    }
                }
            }
            Lrsm::Reinit => {
                if self.fell.q.val() && self.phy_up.val() {
                    self.state.d.next = Lrsm::Request;
                    self.num_retry.d.next = 0.into();
                }
            }
            Lrsm::Abort => {}
        }
        if self.counts.val() {
            self.num_retry.d.next = 0.into();
            self.num_reinit.d.next = 0.into();
        }
        self.was_up.d.next = self.phy_up.val();
        self.lost.next = self.was_up.q.val() && !self.phy_up.val();
        if self.lost.val() {
            self.remote.d.next = false;
            self.frames.d.next = 0.into();
            self.fell.d.next = true;
            if !(self.state.q.val() == Lrsm::Abort) {
                self.state.d.next = Lrsm::Reinit;
            }
        }
        self.falls.next = self.break_now.val() && !(self.state.q.val() == Lrsm::Abort);
        if self.falls.val() {
            self.state.d.next = Lrsm::Abort;
            if self.fault_now.val().any() {
                self.why.d.next = self.fault_now.val();
            }
        }
        self.down.next = self.state.q.val() == Lrsm::Abort;
        self.fault.next = self.why.q.val();
        self.hush.next =
            !self.phy_up.val() || (self.down.val() || (self.state.q.val() == Lrsm::Reinit));
        self.corrupt.next = self.there.val() && !self.good.val();
        if self.reset.val() {
            self.state.d.next = Lrsm::Normal;
            self.frames.d.next = 0.into();
            self.eseq.d.next = 0.into();
            self.wrap.d.next = 9.into();
            self.opened.d.next = false;
            self.heard.d.next = false;
            self.unacknowledged.d.next = 0.into();
            self.num_retry.d.next = 0.into();
            self.num_reinit.d.next = 0.into();
            self.timer.d.next = 0.into();
            self.was_up.d.next = false;
            self.fell.d.next = false;
            self.why.d.next = 0.into();
            self.remote.d.next = false;
        }
    }
}

// Numbers in the code above, and in the unpacker's and the layer's.
const _: () = assert!(
    LinkFault::Control as u8 == 1
        && LinkFault::Interrupted as u8 == 2
        && LinkFault::Format as u8 == 3
        && LinkFault::DataDue as u8 == 4
        && LinkFault::TooMany as u8 == 5
        && LinkFault::Shape as u8 == 6
        && LinkFault::Init as u8 == 7
        && LinkFault::Overflow as u8 == 8
        && LinkFault::Acknowledged as u8 == 9
        && LinkFault::Forgotten as u8 == 10
        && LinkFault::Retries as u8 == 11
);
