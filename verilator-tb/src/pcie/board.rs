//! The board: the Verilated endpoint before a component and its monitor, in a host's root port.
//!
//! Cycle by cycle the endpoint's window port is tied to the component's port 0, its DMA port to port
//! 1, its register bus to the host's. The root port sends TLPs, splits completions at its read
//! completion boundary, and answers the endpoint's reads from [`HostMemory`].

use super::tlp::{Tlp, COMPLETION, MEMORY, SUCCESSFUL, UNSUPPORTED};
use super::verilated::{Beat, Endpoint, Inputs, Outputs};
use crate::bus::{BusAccess, Side};
use crate::component::{ComponentError, Seen};
use crate::dram::LineMemory;
use crate::machine::{Machine, MachineError};
use crate::port::RawRequest;
use std::collections::VecDeque;

/// Cycles that a read of a BAR, or all that a write causes, may take.
const PATIENCE: u64 = 20_000_000;
/// Bytes after which the host splits the completions of the endpoint's reads.
const COMPLETION_BYTES: usize = 256;

/// The host's memory, as the endpoint reaches it.
pub trait HostMemory {
    /// Reads; false if there is no memory in all of the range.
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool;
    /// Writes whole dwords of `data` whose bytes are all enabled; false if there is no memory.
    fn write(&mut self, address: u64, data: &[u8]) -> bool;
}

/// Why a board does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The component or its monitor.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// No completion, or no end, in time.
    #[error("the PCIe endpoint did not end {0} within {PATIENCE} cycles")]
    Timeout(&'static str),
    /// The endpoint sent what it may not send.
    #[error("the PCIe endpoint broke its contract: {0}")]
    Protocol(String),
}

/// What configuration space tells the endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Largest payload: 0 is 128 bytes, 5 is 4096.
    pub max_payload: u8,
    /// Largest read request, likewise.
    pub max_read: u8,
    /// The endpoint may send requests.
    pub bus_master: bool,
    /// MSI-X is on.
    pub msix: bool,
    /// All of its vectors are masked.
    pub msix_mask: bool,
    /// Cycles from the endpoint's read request to its completion's first beat.
    pub host_latency: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_payload: 1,
            max_read: 2,
            bus_master: false,
            msix: false,
            msix_mask: false,
            host_latency: 0,
        }
    }
}

/// Answer of a BAR read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BarRead {
    /// What stands there.
    Data(Vec<u8>),
    /// The completion status that it was refused with.
    Refused(u8),
    /// The completion was poisoned.
    Poisoned,
}

/// What passed the endpoint's streams, for measurements.
#[derive(Clone, Copy, Default, Debug)]
pub struct Traffic {
    /// Payload bytes written to the host.
    pub written: u64,
    /// Payload bytes read from the host.
    pub read: u64,
    /// Cycle of the last beat of the last TLP to the host.
    pub last_out: u64,
}

/// A TLP that the endpoint sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Answer of a read.
    Completion,
    /// A read of host memory.
    Read,
    /// A write to host memory at this address.
    Write(u64),
}

/// What passed the endpoint's streams in one cycle.
#[derive(Clone, Copy, Default, Debug)]
pub struct Passed {
    /// The last beat of a TLP to the endpoint was taken.
    pub taken: bool,
    /// The last beat of a TLP from it.
    pub sent: Option<Sent>,
}

/// A board in a slot.
pub struct Board<M> {
    endpoint: Endpoint,
    machine: Machine<M>,
    inputs: Box<Inputs>,
    outputs: Box<Outputs>,
    settings: Settings,
    /// TLPs to the endpoint with the cycle from which they may go.
    to_endpoint: VecDeque<(u64, Tlp)>,
    beats: Vec<Beat>,
    from_endpoint: Option<Tlp>,
    completions: VecDeque<Tlp>,
    tag: u8,
    /// The monitor's register access is under way on the host's bus.
    bus_busy: bool,
    bus_rest: bool,
    fault: Option<String>,
    traffic: Traffic,
    passed: Passed,
    quiet_for: u32,
}

impl<M: LineMemory> Board<M> {
    /// Puts a machine behind an endpoint, which is reset.
    ///
    /// # Errors
    /// [`BoardError`] if there is no memory for the model.
    pub fn new(machine: Machine<M>) -> Result<Self, BoardError> {
        let endpoint =
            Endpoint::new().ok_or(BoardError::Machine(ComponentError::NoMemory.into()))?;
        let mut board = Self {
            endpoint,
            machine,
            inputs: Box::default(),
            outputs: Box::default(),
            settings: Settings::default(),
            to_endpoint: VecDeque::new(),
            beats: Vec::new(),
            from_endpoint: None,
            completions: VecDeque::new(),
            tag: 0,
            bus_busy: false,
            bus_rest: false,
            fault: None,
            traffic: Traffic::default(),
            passed: Passed::default(),
            quiet_for: 0,
        };
        board.inputs.reset = true;
        let mut nothing = NoMemory;
        for _ in 0..8 {
            board.tick(&mut nothing);
        }
        board.inputs.reset = false;
        // The engine clears its slots.
        for _ in 0..300 {
            board.tick(&mut nothing);
        }
        Ok(board)
    }

    /// What configuration space says from now on.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What configuration space says.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The machine behind the endpoint.
    pub fn machine(&mut self) -> &mut Machine<M> {
        &mut self.machine
    }

    /// Clock cycles of the component.
    pub fn cycle(&self) -> u64 {
        self.machine.cycle()
    }

    /// What has passed so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What passed in the last cycle.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// What was seen at the component's pins in the last cycle.
    pub fn component_seen(&self) -> &Seen {
        self.machine.component().seen()
    }

    /// A function level reset: the endpoint forgets everything, the component nothing.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn reset(&mut self, host: &mut dyn HostMemory) -> Result<(), BoardError> {
        self.settings = Settings { max_payload: 1, max_read: 2, ..Settings::default() };
        self.to_endpoint.clear();
        self.beats.clear();
        self.inputs.flr = true;
        self.run(host, "its reset", |board| board.outputs.flr_done)?;
        self.inputs.flr = false;
        self.inputs.rx = Beat::default();
        self.from_endpoint = None;
        self.completions.clear();
        for _ in 0..300 {
            self.tick(host);
        }
        self.check()
    }

    /// Reads a BAR: at most 4 KiB and not across one.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn read_bar(
        &mut self,
        host: &mut dyn HostMemory,
        bar: u8,
        offset: u64,
        bytes: usize,
    ) -> Result<BarRead, BoardError> {
        self.tag = self.tag.wrapping_add(1);
        let request = Tlp::memory(bar, offset, bytes, self.tag, None);
        self.to_endpoint.push_back((0, request));
        let lead = (offset & 3) as usize;
        let mut data = Vec::new();
        while data.len() < lead + bytes {
            self.run(host, "a read", |board| !board.completions.is_empty())?;
            let Some(completion) = self.completions.pop_front() else { continue };
            if completion.status() != SUCCESSFUL {
                return Ok(BarRead::Refused(completion.status()));
            }
            if completion.is_poisoned() {
                return Ok(BarRead::Poisoned);
            }
            if completion.data.is_empty() || completion.completes() != self.tag {
                return Err(BoardError::Protocol(format!("an odd completion {completion:x?}")));
            }
            data.extend(completion.data);
        }
        Ok(BarRead::Data(data[lead..lead + bytes].to_vec()))
    }

    /// Writes to a BAR (at most 128 bytes, and not across 4 KiB), and lets the board work until there
    /// is nothing more to do: the write is done, commands that it rang for have ended, the monitor has
    /// answered.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn write_bar(
        &mut self,
        host: &mut dyn HostMemory,
        bar: u8,
        offset: u64,
        data: &[u8],
    ) -> Result<(), BoardError> {
        self.send(Tlp::memory(bar, offset, data.len(), 0, Some(data)));
        self.settle(host)
    }

    /// Puts a TLP into the queue to the endpoint, whatever it is.
    pub fn send(&mut self, tlp: Tlp) {
        self.quiet_for = 0;
        self.to_endpoint.push_back((0, tlp));
    }

    /// Works until there is nothing more to do.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn settle(&mut self, host: &mut dyn HostMemory) -> Result<(), BoardError> {
        self.quiet_for = 0;
        self.run(host, "its work", |board| board.quiet_for > 64)
    }

    fn run(
        &mut self,
        host: &mut dyn HostMemory,
        what: &'static str,
        mut over: impl FnMut(&Self) -> bool,
    ) -> Result<(), BoardError> {
        let patience = self.cycle() + PATIENCE;
        while !over(self) {
            if self.cycle() > patience {
                return Err(BoardError::Timeout(what));
            }
            self.tick(host);
        }
        self.check()
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// [`BoardError`] if the endpoint or the component broke a promise, or the monitor stopped.
    fn check(&mut self) -> Result<(), BoardError> {
        if let Some(what) = &self.fault {
            return Err(BoardError::Protocol(what.clone()));
        }
        if let Some(fault) = self.machine.component().fault() {
            return Err(BoardError::Protocol(fault.to_owned()));
        }
        match self.machine.monitor_failure() {
            Some(why) => Err(MachineError::Monitor(why.to_owned()).into()),
            None => Ok(()),
        }
    }

    /// The next completion that the endpoint sent, for tests that send TLPs of their own.
    pub fn take_completion(&mut self) -> Option<Tlp> {
        self.completions.pop_front()
    }

    /// One clock cycle.
    pub fn tick(&mut self, host: &mut dyn HostMemory) {
        self.drive();
        self.endpoint.low(&self.inputs, &mut self.outputs);
        self.settle_cycle(host);
        self.endpoint.high();
        self.machine.tick();
    }

    fn drive(&mut self) {
        let pins = &mut *self.inputs;
        pins.cfg_id = 0x0100;
        pins.cfg_max_payload = self.settings.max_payload;
        pins.cfg_max_read = self.settings.max_read;
        pins.cfg_bus_master = self.settings.bus_master;
        pins.cfg_msix_enable = self.settings.msix;
        pins.cfg_msix_mask = self.settings.msix_mask;
        pins.tx_ready = true;
        pins.irq_host = self.machine.component().irq(Side::Host);
        if !pins.rx.valid {
            if self.beats.is_empty() {
                let now = self.machine.cycle();
                if self.to_endpoint.front().is_some_and(|(from, _)| *from <= now) {
                    if let Some((_, tlp)) = self.to_endpoint.pop_front() {
                        self.beats = tlp.beats();
                    }
                }
            }
            pins.rx = self.beats.pop().unwrap_or_default();
        }
        for (i, port) in pins.port.iter_mut().enumerate() {
            port.req_ready = self.machine.port(i).queued() < 2;
            if !port.resp_valid {
                if let Some(answer) = self.machine.port(i).receive() {
                    port.resp_valid = true;
                    port.resp_tag = answer.response.tag;
                    port.resp_status = answer.response.status as u8;
                    port.resp_data = answer.response.data;
                }
            }
        }
        pins.h_done = false;
        if self.bus_busy {
            if let Some(result) = self.machine.component_mut().bus_poll(Side::Host) {
                pins.h_done = true;
                pins.h_error = result.is_err();
                pins.h_rdata = result.unwrap_or(0);
                self.bus_busy = false;
                self.bus_rest = true;
            }
        }
    }

    fn settle_cycle(&mut self, host: &mut dyn HostMemory) {
        let now = self.machine.cycle();
        let (ins, outs) = (&mut *self.inputs, &*self.outputs);
        let mut quiet = !ins.rx.valid && self.to_endpoint.is_empty() && self.beats.is_empty();
        self.passed = Passed::default();
        if ins.rx.valid && outs.rx_ready {
            self.passed.taken = ins.rx.last;
            ins.rx.valid = false;
        }
        for (i, (pins, out)) in ins.port.iter_mut().zip(&outs.port).enumerate() {
            if pins.resp_valid && out.resp_ready {
                pins.resp_valid = false;
            }
            let port = self.machine.port(i);
            if out.req_valid && pins.req_ready && !ins.reset {
                port.send(RawRequest {
                    op: out.req_op,
                    tag: out.req_tag,
                    pid: out.req_pid,
                    va: out.req_va,
                    mask: out.req_mask,
                    data: out.req_data,
                });
            }
            quiet &= !out.req_valid && port.is_idle();
        }
        quiet &= !outs.h_valid && !outs.tx.valid && self.machine.is_quiet();
        if outs.h_valid && !self.bus_busy && !self.bus_rest && !ins.h_done {
            let access = if outs.h_write {
                BusAccess::Write(outs.h_addr, outs.h_wdata)
            } else {
                BusAccess::Read(outs.h_addr)
            };
            self.bus_busy = self.machine.component_mut().bus_start(Side::Host, access);
        }
        self.bus_rest = self.bus_rest && outs.h_valid;
        self.quiet_for = if quiet { self.quiet_for.saturating_add(1) } else { 0 };
        if outs.tx.valid && !ins.reset {
            self.traffic.last_out = now;
            self.receive(outs.tx, host, now);
        }
    }

    /// A beat from the endpoint.
    fn receive(&mut self, beat: Beat, host: &mut dyn HostMemory, now: u64) {
        let mut tlp = match (beat.first, self.from_endpoint.take()) {
            (true, None) => Tlp::begin(&beat),
            (false, Some(tlp)) => tlp,
            _ => {
                self.fault.get_or_insert_with(|| format!("cycle {now}: a TLP within a TLP"));
                return;
            }
        };
        tlp.data.extend_from_slice(&beat.data[..usize::from(beat.dwords) * 4]);
        if !beat.last {
            self.from_endpoint = Some(tlp);
            return;
        }
        if tlp.has_data() == tlp.data.is_empty()
            || (tlp.has_data() && tlp.data.len() != tlp.dwords() * 4)
        {
            self.fault.get_or_insert_with(|| format!("cycle {now}: wrong length of {tlp:x?}"));
            return;
        }
        self.passed.sent = match (tlp.kind(), tlp.has_data()) {
            (COMPLETION, _) => Some(Sent::Completion),
            (MEMORY, true) => Some(Sent::Write(tlp.address())),
            (MEMORY, false) => Some(Sent::Read),
            _ => None,
        };
        match (tlp.kind(), tlp.has_data()) {
            (COMPLETION, _) => self.completions.push_back(tlp),
            (MEMORY, true) => {
                self.traffic.written += tlp.data.len() as u64;
                // A posted write to nowhere is lost, as on a real bus.
                let _ = host.write(tlp.address(), &tlp.data);
            }
            (MEMORY, false) => self.answer(&tlp, host, now),
            _ => {
                self.fault.get_or_insert_with(|| format!("cycle {now}: unknown {tlp:x?}"));
            }
        }
    }

    /// Completions of the endpoint's read.
    fn answer(&mut self, read: &Tlp, host: &mut dyn HostMemory, now: u64) {
        let mut data = vec![0; read.dwords() * 4];
        let from = now + self.settings.host_latency;
        let address = read.address();
        if (address & 4095) as usize + data.len() > 4096 {
            self.fault.get_or_insert_with(|| format!("cycle {now}: a read across 4 KiB"));
            return;
        }
        if !host.read(address, &mut data) {
            self.to_endpoint
                .push_back((from, Tlp::completion(read, UNSUPPORTED, data.len(), 0, Vec::new())));
            return;
        }
        self.traffic.read += data.len() as u64;
        let mut at = 0;
        while at < data.len() {
            let lower = address as usize + at;
            let take = (COMPLETION_BYTES - lower % COMPLETION_BYTES).min(data.len() - at);
            let part = data[at..at + take].to_vec();
            let completion = Tlp::completion(read, SUCCESSFUL, data.len() - at, lower as u8, part);
            self.to_endpoint.push_back((from, completion));
            at += take;
        }
    }
}

/// No memory anywhere.
struct NoMemory;

impl HostMemory for NoMemory {
    fn read(&mut self, _address: u64, _data: &mut [u8]) -> bool {
        false
    }

    fn write(&mut self, _address: u64, _data: &[u8]) -> bool {
        false
    }
}
