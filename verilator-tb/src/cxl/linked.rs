//! The link layer between the device and a host: the Verilated end at the device, the codec's model at
//! the host, and two wires on which flits may be hit.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::cxl::LinkFault;
use splitmem_cxl_host::flit::{Direction, Flit, FLIT_BYTES};
use splitmem_cxl_host::link::{Link, LinkCounts};
use splitmem_cxl_host::message::Message;

use super::verilated::{Inputs as DeviceInputs, Outputs as DeviceOutputs};
use super::verilated_link::{Inputs, Outputs, VerilatedLink};
use crate::component::ComponentError;

/// Cycles for which the physical layer is away when it is trained again.
const TRAINING: u32 = 64;

/// What the link is.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LinkOptions {
    /// Cycles from pins to pins, each way.
    pub flight: usize,
    /// How probable it is that a flit is hit: up to three bits of it are turned.
    pub errors: f64,
    /// Of the errors.
    pub seed: u64,
}

/// What of a message passed the device's pins in the last cycle: a protocol flit, not a control flit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlitsSeen {
    /// One came.
    pub came: bool,
    /// One left.
    pub left: bool,
}

pub(super) struct Linked {
    model: VerilatedLink,
    inputs: Box<Inputs>,
    outputs: Box<Outputs>,
    host: Link,
    down: VecDeque<Option<Flit>>,
    up: VecDeque<Option<Flit>>,
    options: LinkOptions,
    rng: SmallRng,
    away: u32,
    /// Flits that were hit.
    hits: u64,
    /// To be sent in the place of what the host has.
    forged: Option<Flit>,
    failure: Option<String>,
    seen: FlitsSeen,
}

impl Linked {
    /// A link before reset.
    pub fn new(options: LinkOptions) -> Result<Self, ComponentError> {
        Ok(Self {
            model: VerilatedLink::new().ok_or(ComponentError::NoMemory)?,
            inputs: Box::default(),
            outputs: Box::default(),
            host: Link::new(Direction::ToDevice),
            down: vec![None; options.flight].into(),
            up: vec![None; options.flight].into(),
            options,
            rng: SmallRng::seed_from_u64(options.seed),
            away: 0,
            hits: 0,
            forged: None,
            failure: None,
            seen: FlitsSeen::default(),
        })
    }

    /// Queues a message at the host's end; one that goes to the host is dropped.
    pub fn send(&mut self, message: Message) {
        let _ = self.host.send(message);
    }

    /// The oldest message that the host got.
    pub fn take(&mut self) -> Option<Message> {
        self.host.take()
    }

    /// Messages that the host has not sent yet.
    pub fn queued(&self) -> usize {
        self.host.queued()
    }

    /// Why the link is down, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub fn counts(&self) -> LinkCounts {
        self.host.counts()
    }

    pub fn seen(&self) -> FlitsSeen {
        self.seen
    }

    /// Flits that were hit on their way, both ways.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// The host's end begins anew, as it must when the device's does; what is on the wires is lost.
    pub fn restart(&mut self) {
        self.host = Link::new(Direction::ToDevice);
        self.failure = None;
        self.clear_wires();
    }

    /// Sends this flit next, whatever the host has to send.
    pub fn forge(&mut self, flit: Flit) {
        self.forged = Some(flit);
    }

    fn clear_wires(&mut self) {
        for wire in [&mut self.down, &mut self.up] {
            wire.iter_mut().for_each(|flit| *flit = None);
        }
    }

    fn pass(&mut self, down: bool, flit: Option<Flit>) -> Option<Flit> {
        let wire = if down { &mut self.down } else { &mut self.up };
        wire.push_back(flit);
        let mut flit = wire.pop_front().flatten()?;
        if self.options.errors > 0.0 && self.rng.random_bool(self.options.errors) {
            self.hits += 1;
            for _ in 0..self.rng.random_range(1..=3) {
                flit.0[self.rng.random_range(0..FLIT_BYTES)] ^= 1 << self.rng.random_range(0..8);
            }
        }
        Some(flit)
    }

    /// The first half of a cycle: flits in and out, and the device's channels as the link drives them.
    pub fn low(&mut self, device: &DeviceOutputs, reset: bool, pins: &mut DeviceInputs) {
        if self.away == 0 && self.outputs.retrain {
            self.away = TRAINING;
            self.clear_wires();
            self.host.reinit();
        }
        let up = !reset && self.away == 0;
        self.away = self.away.saturating_sub(1);
        let flit = match self.forged.take() {
            Some(forged) if up => Some(forged),
            _ if up => self.host.transmit(),
            _ => None,
        };
        let flit = self.pass(true, flit);
        let link = &mut *self.inputs;
        (link.reset, link.phy_up, link.tx_ready) = (reset, up, up);
        link.rx_valid = flit.is_some();
        self.seen = FlitsSeen::default();
        if let Some(flit) = flit {
            link.rx_flit = flit.0;
            self.seen.came = !flit.header().control;
        }
        link.ndr_valid = device.ndr_valid;
        link.ndr_tag = device.ndr_tag;
        link.ndr_ld_id = device.ndr_ld_id;
        link.drs_valid = device.drs_valid;
        link.drs_tag = device.drs_tag;
        link.drs_ld_id = device.drs_ld_id;
        link.drs_poison = device.drs_poison;
        link.drs_data = device.drs_data;
        link.dev_load = device.dev_load;
        link.link_control = device.link_control;
        self.model.low(&self.inputs, &mut self.outputs);

        let out = &*self.outputs;
        pins.req_valid = out.req_valid;
        pins.req_opcode = out.req_opcode;
        pins.req_tag = out.req_tag;
        pins.req_address = out.req_address;
        pins.req_ld_id = out.req_ld_id;
        pins.rwd_valid = out.rwd_valid;
        pins.rwd_opcode = out.rwd_opcode;
        pins.rwd_tag = out.rwd_tag;
        pins.rwd_address = out.rwd_address;
        pins.rwd_ld_id = out.rwd_ld_id;
        pins.rwd_poison = out.rwd_poison;
        pins.rwd_mask = out.rwd_mask;
        pins.rwd_data = out.rwd_data;
        pins.ndr_ready = out.ndr_ready;
        pins.drs_ready = out.drs_ready;
        pins.ras_uncorrectable = out.ras_uncorrectable;
        pins.ras_correctable = out.ras_correctable;
        pins.link_status = out.link_status;
        if let (Some(fault), None) = (LinkFault::from_code(out.fault), &self.failure) {
            self.failure = Some(format!("the device gave the link up: {fault:?}"));
        }
        let flit = (out.tx_valid && up).then_some(Flit(out.tx_flit));
        self.seen.left = flit.is_some_and(|flit| !flit.header().control);
        if let Some(flit) = self.pass(false, flit) {
            if let Err(error) = self.host.receive(&flit) {
                self.failure.get_or_insert(format!("the host gave the link up: {error}"));
            }
        }
    }

    /// The second half: what the device took.
    pub fn high(&mut self, device: &DeviceOutputs) {
        self.inputs.req_ready = device.req_ready;
        self.inputs.rwd_ready = device.rwd_ready;
        self.model.high(&self.inputs);
    }
}
