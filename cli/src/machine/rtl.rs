//! The Verilated component and its monitor, in this process.
//!
//! The emitted Verilog answers, cycle by cycle, over a DRAM timing model; the monitor is the
//! firmware's own code on a stack of its own, from where it reaches only registers. Every call costs
//! simulated cycles, and completions tell how many.

use std::collections::VecDeque;

use pcomponent_driver::backend::mailbox;
use pcomponent_driver::backend::tags::InFlight;
use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo,
};
use splitmem_abi::config::PORTS;
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::Counter;
use verilator_tb::dram::LineMemory;
use verilator_tb::Machine;

/// Submissions in flight before no more are taken.
const DEPTH: usize = 256;
/// Requests kept ready at a port, so that it never waits for the host.
const AHEAD: usize = 2;
/// Cycles that pass when a caller looks for completions without waiting.
const GLANCE: u64 = 16;
/// Cycles without any progress after which the component counts as dead. A fault on a 2 MiB page
/// may wait for 32,768 line writes of the zeroing engine.
const PATIENCE: u64 = 4_000_000;
/// Cycles between looks at the mailbox.
const MAILBOX_PERIOD: u64 = 32;

/// A simulated component in this process. See the module's documentation.
///
/// ```
/// use splitmem_cli::machine::rtl::RtlTransport;
/// use pcomponent_driver::{config::CacheConfig, RemoteMemory};
/// use verilator_tb::dram::{Fill, IdealMemory, LineStore};
/// use verilator_tb::{Component, Hw, Machine, MonitorOptions};
///
/// let dram = IdealMemory::new(LineStore::new(1 << 18, Fill::Noise(1)), 20);
/// let machine = Machine::boot(Component::new(Hw::Small, dram)?, MonitorOptions::default())?;
/// let memory = RemoteMemory::connect(RtlTransport::new(machine, 200.0), 1, CacheConfig::default())?;
/// assert!(memory.component_info()?.frames_free > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RtlTransport<M> {
    machine: Machine<M>,
    clock_mhz: f64,
    jobs: InFlight,
    done: VecDeque<Completion>,
}

impl<M: LineMemory> RtlTransport<M> {
    /// Over a machine whose monitor is up. `clock_mhz` turns its cycles into time.
    pub fn new(machine: Machine<M>, clock_mhz: f64) -> Self {
        Self { machine, clock_mhz, jobs: InFlight::default(), done: VecDeque::new() }
    }

    /// The machine, for measurements beyond the transport: its DRAM's statistics, its trace.
    pub fn machine(&mut self) -> &mut Machine<M> {
        &mut self.machine
    }

    /// The machine, for another way to it. Nothing may be in flight.
    pub fn into_machine(self) -> Machine<M> {
        self.machine
    }

    /// One clock cycle: requests out, answers in.
    fn tick(&mut self) -> Result<(), TransportError> {
        for port in 0..PORTS {
            while self.machine.port(port).queued() < AHEAD {
                let Some(request) = self.jobs.offer(port).copied() else { break };
                self.machine.port(port).send(request);
                self.jobs.sent(port);
            }
        }
        self.machine.tick();
        for port in 0..PORTS {
            while let Some(answer) = self.machine.port(port).receive() {
                self.done.extend(self.jobs.answer(&answer.response, Some(answer.answered))?);
            }
        }
        Ok(())
    }

    /// Lets cycles pass until `over` says so.
    fn tick_until(
        &mut self,
        what: &str,
        mut over: impl FnMut(&mut Self) -> Result<bool, TransportError>,
    ) -> Result<(), TransportError> {
        let patience = self.machine.cycle() + PATIENCE;
        while !over(self)? {
            if self.machine.cycle() > patience {
                return Err(TransportError::Timeout(format!("{PATIENCE} cycles, {what}")));
            }
            self.tick()?;
            if self.machine.cycle() % 4096 == 0 {
                self.check()?;
            }
        }
        Ok(())
    }

    /// Whether component and monitor are still well.
    fn check(&mut self) -> Result<(), TransportError> {
        if let Some(fault) = self.machine.component().fault() {
            return Err(TransportError::Protocol(fault.to_owned()));
        }
        match self.machine.monitor_failure() {
            Some(why) => Err(TransportError::Gone(format!("its monitor stopped: {why}"))),
            None => Ok(()),
        }
    }
}

impl<M: LineMemory + Send> Transport for RtlTransport<M> {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "rtl", clock_mhz: Some(self.clock_mhz), depth: DEPTH }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let room = DEPTH.saturating_sub(self.jobs.len()).min(batch.len());
        let now = self.machine.cycle();
        for submission in batch.drain(..room) {
            self.jobs.submit(submission, Some(now))?;
        }
        Ok(room)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        if wait {
            self.tick_until(
                "no completion",
                |rtl| Ok(!rtl.done.is_empty() || rtl.jobs.is_empty()),
            )?;
        } else if !self.jobs.is_empty() {
            for _ in 0..GLANCE {
                self.tick()?;
            }
        }
        let count = self.done.len();
        done.extend(self.done.drain(..));
        Ok(count)
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        mailbox::send(&mut self.machine.host(), command)?;
        let mut reply = None;
        self.tick_until("no reply of the monitor", |rtl| {
            if rtl.machine.cycle() % MAILBOX_PERIOD == 0 {
                reply = mailbox::receive(&mut rtl.machine.host())?;
            }
            Ok(reply.is_some())
        })?;
        reply.ok_or_else(|| TransportError::Timeout("the monitor's patience".into()))
    }

    fn cycles(&self) -> Option<u64> {
        Some(self.machine.cycle())
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        mailbox::counter(&mut self.machine.host(), counter)
    }
}
