//! The CXL.mem device alone: messages in and out, registers, and the pins of a request port.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::request::Line;
use splitmem_cxl_host::flit::Flit;
use splitmem_cxl_host::link::LinkCounts;
use splitmem_cxl_host::message::{DevLoad, Drs, Message, Ndr, Req, ReqOpcode, Rwd, RwdOpcode};

use super::linked::{FlitsSeen, LinkOptions, Linked};
use super::verilated::{Inputs, Outputs, VerilatedCxl, WordIn, WordOut};
use crate::bus::Side;
use crate::component::ComponentError;
use crate::port::RawRequest;

/// Cycles of reset.
const RESET_CYCLES: u32 = 8;

/// How probable it is that the link holds back in a cycle.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CxlStalls {
    /// A message that waits is not offered yet.
    pub message: f64,
    /// An answer is not taken.
    pub answer: f64,
}

/// An answer, and when it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The answer.
    pub message: Message,
    /// The cycle.
    pub cycle: u64,
}

/// What happened in the last cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrontSeen {
    /// Tag of the Req or RwD that was accepted.
    pub accepted: Option<u16>,
    /// Tags of the DRS and the NDR that were taken.
    pub answered: [Option<u16>; 2],
    /// Errors that the device has reported: fatal, not fatal, corrected.
    pub reported: [bool; 3],
}

/// A register access under way.
#[derive(Default)]
struct WordMaster {
    access: Option<(u32, Option<u32>)>,
    result: Option<u32>,
    rest: bool,
}

impl WordMaster {
    fn drive(&mut self, pins: &mut WordIn) {
        pins.valid = self.access.is_some() && !self.rest;
        self.rest = false;
        if let Some((address, value)) = self.access {
            (pins.addr, pins.write) = (address, value.is_some());
            pins.wdata = value.unwrap_or(0);
        }
    }

    fn settle(&mut self, pins: &WordIn, outs: &WordOut) {
        if pins.valid && outs.done {
            (self.access, self.result, self.rest) = (None, Some(outs.rdata), true);
        }
    }
}

/// The CXL.mem device, simulated cycle by cycle.
pub struct CxlFront {
    model: VerilatedCxl,
    /// Messages go over a link; without it they stand at the device's pins.
    link: Option<Linked>,
    inputs: Box<Inputs>,
    outputs: Box<Outputs>,
    reqs: VecDeque<RawReq>,
    rwds: VecDeque<RawRwd>,
    answers: VecDeque<Taken>,
    buses: [WordMaster; 2],
    stalls: CxlStalls,
    rng: SmallRng,
    cycle: u64,
    seen: FrontSeen,
    in_flight: usize,
}

/// A Req by its opcode, which may be reserved.
struct RawReq {
    opcode: u8,
    req: Req,
}

struct RawRwd {
    opcode: u8,
    rwd: Rwd,
}

impl CxlFront {
    /// A device after reset; its registers are as reset leaves them, CXL.mem is enabled.
    ///
    /// # Errors
    /// [`ComponentError::NoMemory`].
    pub fn new() -> Result<Self, ComponentError> {
        Self::over(None)
    }

    /// The same behind its link layer: messages go as flits. Its stalls are the link's.
    ///
    /// # Errors
    /// [`ComponentError::NoMemory`].
    pub fn linked(options: LinkOptions) -> Result<Self, ComponentError> {
        Self::over(Some(Linked::new(options)?))
    }

    fn over(link: Option<Linked>) -> Result<Self, ComponentError> {
        let mut front = Self {
            model: VerilatedCxl::new().ok_or(ComponentError::NoMemory)?,
            link,
            inputs: Box::default(),
            outputs: Box::default(),
            reqs: VecDeque::new(),
            rwds: VecDeque::new(),
            answers: VecDeque::new(),
            buses: Default::default(),
            stalls: CxlStalls::default(),
            rng: SmallRng::seed_from_u64(0),
            cycle: 0,
            seen: FrontSeen::default(),
            in_flight: 0,
        };
        front.inputs.mem_enable = true;
        front.inputs.reset = true;
        for _ in 0..RESET_CYCLES {
            front.cycle(false, None);
        }
        front.inputs.reset = false;
        Ok(front)
    }

    /// Random stalls from now on.
    pub fn stall(&mut self, seed: u64, stalls: CxlStalls) {
        (self.rng, self.stalls) = (SmallRng::seed_from_u64(seed), stalls);
    }

    /// Whether the host lets the device serve memory.
    pub fn enable(&mut self, enable: bool) {
        self.inputs.mem_enable = enable;
    }

    /// Queues a message. One that goes to the host is an error of the caller's and is dropped.
    pub fn send(&mut self, message: &Message) {
        self.in_flight += match message {
            Message::Req(req) => usize::from(req.opcode != ReqOpcode::MemSpecRd),
            Message::Rwd(_) => 1,
            Message::Ndr(_) | Message::Drs(_) => return,
        };
        match (&mut self.link, message) {
            (Some(link), message) => link.send(*message),
            (None, Message::Req(req)) => {
                self.reqs.push_back(RawReq { opcode: req.opcode as u8, req: *req });
            }
            (None, Message::Rwd(rwd)) => {
                self.rwds.push_back(RawRwd { opcode: rwd.opcode as u8, rwd: *rwd });
            }
            (None, Message::Ndr(_) | Message::Drs(_)) => {}
        }
    }

    /// Queues a message with a reserved opcode, Req or RwD; nothing answers it.
    pub fn send_reserved(&mut self, opcode: u8, tag: u16, with_data: bool) {
        if with_data {
            self.rwds.push_back(RawRwd { opcode, rwd: Rwd::write(tag, 0, [0; 64]) });
        } else {
            self.reqs.push_back(RawReq { opcode, req: Req::read(tag, 0) });
        }
    }

    /// The oldest answer that was not received yet.
    pub fn receive(&mut self) -> Option<Taken> {
        self.answers.pop_front()
    }

    /// Messages that are queued.
    pub fn queued(&self) -> usize {
        self.reqs.len() + self.rwds.len() + self.link.as_ref().map_or(0, Linked::queued)
    }

    /// Why the link is down; `None` if it is up, or if there is none.
    pub fn link_failure(&self) -> Option<&str> {
        self.link.as_ref().and_then(Linked::failure)
    }

    /// What the host's end of the link counted.
    pub fn link_counts(&self) -> LinkCounts {
        self.link.as_ref().map(Linked::counts).unwrap_or_default()
    }

    /// Flits that were hit on the link.
    pub fn link_hits(&self) -> u64 {
        self.link.as_ref().map_or(0, Linked::hits)
    }

    /// The host's end of the link begins anew, as it has to once the device's was reset. What was under
    /// way is forgotten.
    pub fn restart_link(&mut self) {
        self.in_flight = 0;
        if let Some(link) = &mut self.link {
            link.restart();
        }
    }

    /// The next flit to the device is this one, whatever the host has to send.
    pub fn forge(&mut self, flit: Flit) {
        if let Some(link) = &mut self.link {
            link.forge(flit);
        }
    }

    /// Flits that passed the link's pins in the last cycle.
    pub fn flits_seen(&self) -> FlitsSeen {
        self.link.as_ref().map(Linked::seen).unwrap_or_default()
    }

    /// Whether all that was sent and has an answer was answered.
    pub fn is_idle(&self) -> bool {
        self.queued() == 0 && self.in_flight == 0
    }

    /// What happened in the last cycle.
    pub fn seen(&self) -> &FrontSeen {
        &self.seen
    }

    /// Cycles since the beginning of reset.
    pub fn cycles(&self) -> u64 {
        self.cycle
    }

    /// The interrupt line to the monitor.
    pub fn irq(&self) -> bool {
        self.outputs.irq
    }

    /// How busy the device says it is.
    pub fn load(&self) -> DevLoad {
        DevLoad::from_code(self.outputs.dev_load & 3).unwrap_or(DevLoad::SevereOverload)
    }

    /// Starts a register access; false while one is under way on that side.
    pub fn word_start(&mut self, side: Side, offset: u32, write: Option<u32>) -> bool {
        let bus = &mut self.buses[side as usize];
        let free = bus.access.is_none() && bus.result.is_none();
        if free {
            bus.access = Some((offset, write));
        }
        free
    }

    /// The access's result, once.
    pub fn word_poll(&mut self, side: Side) -> Option<u32> {
        self.buses[side as usize].result.take()
    }

    /// The request that stands on the port's pins in the coming cycle.
    pub(super) fn request(&self) -> Option<RawRequest> {
        self.outputs.p_req_valid.then_some(RawRequest {
            op: self.outputs.p_req_op,
            tag: self.outputs.p_req_tag,
            pid: self.outputs.p_req_pid,
            va: self.outputs.p_req_va,
            mask: self.outputs.p_req_mask,
            data: self.outputs.p_req_data,
        })
    }

    /// Whether an answer of the port is taken in the coming cycle.
    pub(super) fn takes_answer(&self) -> bool {
        self.outputs.p_resp_ready
    }

    /// One clock cycle: whether the port took the request, and the answer that stands there.
    pub(super) fn cycle(&mut self, accepted: bool, answer: Option<(u16, u8, &Line)>) {
        self.drive();
        let pins = &mut *self.inputs;
        pins.p_req_ready = accepted;
        pins.p_resp_valid = answer.is_some();
        if let Some((tag, status, data)) = answer {
            pins.p_resp_tag = tag;
            pins.p_resp_status = status;
            pins.p_resp_data = *data;
        }
        self.model.low(&self.inputs, &mut self.outputs);
        self.settle();
        if let Some(link) = &mut self.link {
            link.high(&self.outputs);
        }
        self.model.high(&mut self.outputs);
        while let Some(message) = self.link.as_mut().and_then(Linked::take) {
            self.arrived(message);
        }
        self.cycle += 1;
    }

    fn drive(&mut self) {
        let stalls = self.stalls;
        let mut roll = |chance: f64| chance > 0.0 && self.rng.random_bool(chance);
        let pins = &mut *self.inputs;
        if !pins.req_valid && !roll(stalls.message) {
            if let Some(RawReq { opcode, req }) = self.reqs.front() {
                pins.req_valid = true;
                pins.req_opcode = *opcode;
                pins.req_tag = req.tag;
                pins.req_address = req.address >> 5;
                pins.req_ld_id = req.ld_id;
            }
        }
        if !pins.rwd_valid && !roll(stalls.message) {
            if let Some(RawRwd { opcode, rwd }) = self.rwds.front() {
                pins.rwd_valid = true;
                pins.rwd_opcode = *opcode;
                pins.rwd_tag = rwd.tag;
                pins.rwd_address = rwd.address >> 6;
                pins.rwd_ld_id = rwd.ld_id;
                pins.rwd_poison = rwd.poison;
                // Byte enables of a whole write are the device's to ignore.
                let whole = *opcode == RwdOpcode::MemWr as u8;
                pins.rwd_mask = if whole { u64::from(rwd.tag) } else { rwd.mask };
                pins.rwd_data = rwd.data;
            }
        }
        pins.ndr_ready = !roll(stalls.answer);
        pins.drs_ready = !roll(stalls.answer);
        if let Some(link) = &mut self.link {
            let reset = pins.reset;
            link.low(&self.outputs, reset, pins);
        }
        for (bus, pins) in self.buses.iter_mut().zip(&mut pins.bus) {
            bus.drive(pins);
        }
    }

    fn arrived(&mut self, message: Message) {
        self.answers.push_back(Taken { message, cycle: self.cycle });
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn settle(&mut self) {
        let (pins, outs) = (&mut *self.inputs, &*self.outputs);
        self.seen = FrontSeen {
            reported: [outs.error_fatal, outs.error_nonfatal, outs.error_correctable],
            ..FrontSeen::default()
        };
        let mut taken = [None; 2];
        if pins.req_valid && outs.req_ready {
            self.seen.accepted = Some(pins.req_tag);
            self.reqs.pop_front();
            pins.req_valid = false;
        }
        if pins.rwd_valid && outs.rwd_ready {
            self.seen.accepted = Some(pins.rwd_tag);
            self.rwds.pop_front();
            pins.rwd_valid = false;
        }
        let load = DevLoad::from_code(outs.dev_load & 3).unwrap_or(DevLoad::SevereOverload);
        if outs.drs_valid && pins.drs_ready {
            let drs = Drs {
                poison: outs.drs_poison,
                ld_id: outs.drs_ld_id,
                load,
                ..Drs::data(outs.drs_tag, outs.drs_data)
            };
            self.seen.answered[0] = Some(drs.tag);
            taken[0] = Some(Message::Drs(drs));
        }
        if outs.ndr_valid && pins.ndr_ready {
            let ndr = Ndr { ld_id: outs.ndr_ld_id, load, ..Ndr::cmp(outs.ndr_tag) };
            self.seen.answered[1] = Some(ndr.tag);
            taken[1] = Some(Message::Ndr(ndr));
        }
        for (i, bus) in self.buses.iter_mut().enumerate() {
            bus.settle(&pins.bus[i], &outs.bus[i]);
        }
        // Over a link, they are on their way now.
        if self.link.is_none() {
            taken.into_iter().flatten().for_each(|message| self.arrived(message));
        }
    }
}
