//! A request port: what waits to be sent, and what came back.

use crate::stalls::Dice;
use crate::verilated::{PortIn, PortOut};
use splitmem_abi::request::{Line, Request, Response, Status};
use std::collections::VecDeque;

/// A request as it stands on the pins; the op code may be one that no [`Request`] has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawRequest {
    /// Op code, three bits.
    pub op: u8,
    /// The requester's own name for it. The latencies in [`Answer`] are right where no two requests
    /// in flight at a port have the same one.
    pub tag: u16,
    /// Whose memory.
    pub pid: u16,
    /// Virtual address, 48 bits.
    pub va: u64,
    /// Bytes that a write changes.
    pub mask: u64,
    /// Data of a write, operands of an atomic.
    pub data: Line,
}

impl From<Request> for RawRequest {
    fn from(r: Request) -> Self {
        Self { op: r.op as u8, tag: r.tag, pid: r.pid, va: r.va, mask: r.mask, data: r.data }
    }
}

/// An answer and when it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The answer.
    pub response: Response,
    /// The cycle in which the request was accepted.
    pub accepted: u64,
    /// The cycle in which the answer was taken.
    pub answered: u64,
}

impl Answer {
    /// Clock edges from the request's acceptance to the answer's.
    pub fn latency(&self) -> u64 {
        self.answered - self.accepted
    }
}

/// One request port of the component, with unbounded queues on the outside.
pub struct Port {
    queue: VecDeque<RawRequest>,
    offered: bool,
    /// Cycle of acceptance by tag.
    accepted_at: Vec<u64>,
    in_flight: usize,
    answers: VecDeque<Answer>,
    held: bool,
}

impl Port {
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            offered: false,
            accepted_at: vec![0; 1 << 16],
            in_flight: 0,
            answers: VecDeque::new(),
            held: false,
        }
    }

    /// Queues a request. It is offered to the component when those before it were accepted.
    pub fn send(&mut self, request: impl Into<RawRequest>) {
        self.queue.push_back(request.into());
    }

    /// The oldest answer that was not received yet.
    pub fn receive(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Takes no answers while `held`: for a front end at this port, which decides in each cycle.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Requests that were sent and not yet accepted.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Requests that were accepted and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether all that was sent is answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    /// Drives the pins of this cycle.
    #[inline]
    pub(crate) fn drive(&mut self, pins: &mut PortIn, dice: &mut Dice) {
        pins.req_load = false;
        if !self.offered {
            if let Some(request) = self.queue.front() {
                if !dice.roll(dice.request) {
                    pins.req_load = true;
                    pins.req_op = request.op;
                    pins.req_tag = request.tag;
                    pins.req_pid = request.pid;
                    pins.req_va = request.va;
                    pins.req_mask = request.mask;
                    pins.req_data = request.data;
                    self.offered = true;
                }
            }
        }
        pins.req_valid = self.offered;
        pins.resp_ready = !self.held && !dice.roll(dice.response);
    }

    /// Ends the cycle's handshakes. Gives the request that was accepted, if one was, and whether
    /// an answer was taken.
    ///
    /// # Errors
    /// The code of an answer's status, if there is no such one.
    #[inline]
    pub(crate) fn settle(
        &mut self,
        ins: &PortIn,
        outs: &PortOut,
        cycle: u64,
    ) -> Result<(Option<RawRequest>, bool), u8> {
        let mut accepted = None;
        if ins.req_valid && outs.req_ready {
            accepted = self.queue.pop_front();
            self.offered = false;
            self.in_flight += 1;
            self.accepted_at[ins.req_tag as usize] = cycle;
        }
        let answered = outs.resp_valid && ins.resp_ready;
        if answered {
            let status = Status::from_code(outs.resp_status).ok_or(outs.resp_status)?;
            // An answer too many is the checker's to notice, by its tag.
            self.in_flight = self.in_flight.saturating_sub(1);
            self.answers.push_back(Answer {
                response: Response { tag: outs.resp_tag, status, data: outs.resp_data },
                accepted: self.accepted_at[outs.resp_tag as usize],
                answered: cycle,
            });
        }
        Ok((accepted, answered))
    }
}
