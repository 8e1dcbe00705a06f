//! The Verilated memory component as a Rust type.

use crate::beats::Beats;
use crate::bus::{BusAccess, BusMaster, Side};
use crate::dram::{LineCommand, LineMemory};
use crate::hw::Hw;
use crate::port::{Port, RawRequest};
use crate::stalls::{Dice, Stalls};
use crate::verilated::{Inputs, Outputs, Verilated, BUSES};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::PORTS;
use splitmem_abi::regs;
use splitmem_abi::regs::field::STATUS;
use std::path::{Path, PathBuf};

/// Cycles of reset.
const RESET_CYCLES: u32 = 8;
/// Cycles within which a register access must be over, and the component ready after reset. Far
/// beyond what either takes, also with random stalls.
const PATIENCE: u64 = 100_000;

/// Why a component cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// No memory for the Verilated model.
    #[error("not enough memory for the simulated component")]
    NoMemory,
    /// The trace file could not be made.
    #[error("cannot write the trace file {}: {reason}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A register access failed.
    #[error("{0}")]
    Bus(#[from] BusError),
    /// The component was not ready in time after reset.
    #[error("the component was not ready {PATIENCE} cycles after reset")]
    NotReady,
}

/// A request that took effect, from the component's retire tap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retired {
    /// The port it came through.
    pub port: u8,
    /// Its tag.
    pub tag: u16,
    /// What it will be answered with: the code of a status.
    pub status: u8,
}

/// A command on the DRAM port, as it stood there in one cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DramOffer {
    /// Its tag, see [`splitmem_abi::dram`].
    pub tag: u16,
    /// Write, or read.
    pub write: bool,
    /// Physical line number.
    pub line: u64,
    /// Whether the DRAM took it in this cycle.
    pub accepted: bool,
}

/// What happened in the last cycle, for checkers and measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The request that each port accepted.
    pub accepted: [Option<RawRequest>; PORTS],
    /// Whether each port's answer was taken.
    pub answered: [bool; PORTS],
    /// The command on the DRAM port.
    pub dram: Option<DramOffer>,
    /// Tag of the DRAM's reply that the component took.
    pub dram_reply: Option<u16>,
    /// The request that took effect.
    pub retired: Option<Retired>,
}

/// The memory component, simulated cycle by cycle, over a memory `M` behind its DRAM port.
///
/// Nothing happens but in [`tick`](Self::tick). Requests are queued at a [`Port`] and answers
/// received there; registers are reached by starting an access and polling for its end, or with a
/// [`BlockingBus`], which ticks until it is over.
///
/// ```no_run
/// use splitmem_abi::{bus::RegisterBus, regs, request::Request};
/// use verilator_tb::dram::{Fill, IdealMemory, LineStore};
/// use verilator_tb::{Component, Hw, Side};
///
/// let memory = IdealMemory::new(LineStore::new(1 << 19, Fill::Noise(1)), 20);
/// let mut component = Component::new(Hw::Small, memory)?;
/// assert_eq!(component.bus(Side::Host).read(regs::ID.offset)?, regs::ID_VALUE);
/// component.port(0).send(Request::read(1, 7, 0x1000));
/// # Ok::<(), verilator_tb::ComponentError>(())
/// ```
pub struct Component<M> {
    model: Verilated,
    hw: Hw,
    inputs: Box<Inputs>,
    outputs: Box<Outputs>,
    ports: [Port; PORTS],
    buses: [BusMaster; BUSES],
    memory: M,
    /// A command that the component gave away and the memory could not take yet. With it the DRAM
    /// port is not ready. Thus a memory that takes reads while its write queue is full is used as
    /// it should, although a port's ready cannot depend on what is offered.
    waiting: Option<LineCommand>,
    beats: Beats,
    dice: Dice,
    cycle: u64,
    seen: Seen,
    fault: Option<String>,
    traceable: bool,
}

impl<M: LineMemory> Component<M> {
    /// A component after reset, ready, and not yet enabled.
    ///
    /// # Errors
    /// [`ComponentError::NoMemory`], [`ComponentError::NotReady`].
    pub fn new(hw: Hw, memory: M) -> Result<Self, ComponentError> {
        Self::build(hw, memory, None, false)
    }

    /// A component that can write traces. Slower, also while it does not.
    ///
    /// # Errors
    /// As [`Component::new`].
    pub fn traceable(hw: Hw, memory: M) -> Result<Self, ComponentError> {
        Self::build(hw, memory, None, true)
    }

    /// A component that writes an FST file from its reset on.
    ///
    /// # Errors
    /// As [`Component::new`], and [`ComponentError::Trace`].
    pub fn traced(hw: Hw, memory: M, path: &Path) -> Result<Self, ComponentError> {
        Self::build(hw, memory, Some(path), true)
    }

    fn build(
        hw: Hw,
        memory: M,
        trace: Option<&Path>,
        traceable: bool,
    ) -> Result<Self, ComponentError> {
        let model = Verilated::new(hw, traceable).ok_or(ComponentError::NoMemory)?;
        let mut component = Self {
            model,
            hw,
            inputs: Box::default(),
            outputs: Box::default(),
            ports: [Port::new(), Port::new()],
            buses: [BusMaster::new(), BusMaster::new()],
            memory,
            waiting: None,
            beats: Beats::new(hw.config().beats()),
            dice: Dice::new(0, Stalls::NONE),
            cycle: 0,
            seen: Seen::default(),
            fault: None,
            traceable,
        };
        if let Some(path) = trace {
            component.start_trace(path)?;
        }
        component.reset()?;
        Ok(component)
    }

    fn reset(&mut self) -> Result<(), ComponentError> {
        self.inputs.reset = true;
        for _ in 0..RESET_CYCLES {
            self.tick();
        }
        self.inputs.reset = false;
        let patience = self.cycle + PATIENCE;
        while self.cycle < patience {
            let status = self.bus(Side::Monitor).read(regs::STATUS.offset)?;
            if STATUS::READY.get(status) == 1 {
                return Ok(());
            }
        }
        Err(ComponentError::NotReady)
    }

    /// Which configuration this is.
    pub fn hw(&self) -> Hw {
        self.hw
    }

    /// Clock cycles since the beginning of reset.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// A request port.
    ///
    /// # Panics
    /// If `port` is not 0 or 1, like an index beyond a slice.
    #[inline]
    pub fn port(&mut self, port: usize) -> &mut Port {
        &mut self.ports[port]
    }

    /// Both request ports.
    #[inline]
    pub fn ports(&self) -> &[Port; PORTS] {
        &self.ports
    }

    /// The memory behind the DRAM port.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory behind the DRAM port, to be changed behind the component's back.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Whether commands are in the DRAM, or on their way to it or back.
    pub fn dram_is_idle(&self) -> bool {
        self.waiting.is_none()
            && self.beats.is_idle()
            && !self.inputs.dram_resp_valid
            && self.memory.is_idle()
    }

    /// Whether a command that the component gave away waits for room in the memory.
    pub fn dram_holds_back(&self) -> bool {
        self.waiting.is_some()
    }

    /// Sets the random stalls from now on; the same seed and the same calls give the same cycles.
    pub fn stall(&mut self, seed: u64, stalls: Stalls) {
        self.dice = Dice::new(seed, stalls);
    }

    /// A side's interrupt line, as of the last cycle.
    #[inline]
    pub fn irq(&self, side: Side) -> bool {
        match side {
            Side::Monitor => self.outputs.irq_monitor,
            Side::Host => self.outputs.irq_host,
        }
    }

    /// What happened in the last cycle.
    #[inline]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// A promise that the component was seen to break: what, and in which cycle. Never set in a
    /// right component.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Starts a register access on one side. False if that side's last one is not over, or its
    /// result was not taken.
    pub fn bus_start(&mut self, side: Side, access: BusAccess) -> bool {
        self.buses[side as usize].start(access)
    }

    /// The result of the access that was started, once, when it is over. A write gives zero.
    pub fn bus_poll(&mut self, side: Side) -> Option<Result<u32, BusError>> {
        self.buses[side as usize].take()
    }

    /// Registers whose accesses tick the component until they are over.
    pub fn bus(&mut self, side: Side) -> BlockingBus<'_, M> {
        BlockingBus { component: self, side }
    }

    /// Starts to write every signal to an FST file. One that is being written is finished.
    ///
    /// # Errors
    /// [`ComponentError::Trace`] if the file cannot be written, or the component was not made to be
    /// traced.
    pub fn start_trace(&mut self, path: &Path) -> Result<(), ComponentError> {
        let error = |reason: String| ComponentError::Trace { path: path.to_owned(), reason };
        if !self.traceable {
            return Err(error("this component was made without tracing".to_owned()));
        }
        // The FST writer does not say why it could not open a file; this does.
        std::fs::File::create(path).map_err(|e| error(e.to_string()))?;
        if self.model.trace(path) {
            Ok(())
        } else {
            Err(error("the trace writer could not open it".to_owned()))
        }
    }

    /// Finishes the trace. Dropping the component does so too.
    pub fn stop_trace(&mut self) {
        self.model.trace_close();
    }

    /// One clock cycle.
    pub fn tick(&mut self) {
        self.drive();
        self.model.low(&self.inputs, &mut self.outputs);
        self.settle();
        self.model.high();
        self.memory.tick();
        self.cycle += 1;
    }

    /// Puts this cycle's inputs on the pins.
    #[inline]
    fn drive(&mut self) {
        let pins = &mut *self.inputs;
        for (port, pins) in self.ports.iter_mut().zip(&mut pins.port) {
            port.drive(pins, &mut self.dice);
        }
        for (bus, pins) in self.buses.iter_mut().zip(&mut pins.bus) {
            bus.drive(pins, &mut self.dice);
        }

        if let Some(command) = self.waiting.take_if(|c| self.memory.can_accept(c.write)) {
            self.memory.push(command);
        }
        pins.dram_cmd_ready = self.waiting.is_none() && !self.dice.roll(self.dice.dram_command);

        pins.dram_resp_load = false;
        if !pins.dram_resp_valid && !self.dice.roll(self.dice.dram_reply) {
            self.beats.put(pins, || self.memory.pop_reply());
        }
    }

    /// Carries out the handshakes of this cycle.
    #[inline]
    fn settle(&mut self) {
        let (ins, outs) = (&mut *self.inputs, &*self.outputs);
        for (i, port) in self.ports.iter_mut().enumerate() {
            match port.settle(&ins.port[i], &outs.port[i], self.cycle) {
                Ok((accepted, answered)) => {
                    self.seen.accepted[i] = accepted;
                    self.seen.answered[i] = answered;
                }
                Err(code) => {
                    self.fault.get_or_insert_with(|| {
                        format!("cycle {}: port {i} answered unknown status {code}", self.cycle)
                    });
                }
            }
        }
        for (bus, outs) in self.buses.iter_mut().zip(&outs.bus) {
            bus.settle(outs);
        }

        self.seen.retired = outs.retire_valid.then_some(Retired {
            port: outs.retire_port,
            tag: outs.retire_tag,
            status: outs.retire_status,
        });

        self.seen.dram = None;
        if outs.dram_cmd_valid {
            self.seen.dram = Some(DramOffer {
                tag: outs.dram_cmd_tag,
                write: outs.dram_cmd_write,
                line: outs.dram_cmd_line,
                accepted: ins.dram_cmd_ready && outs.dram_cmd_last,
            });
            if ins.dram_cmd_ready {
                match self.beats.take(outs) {
                    Ok(Some(command)) if self.memory.can_accept(command.write) => {
                        self.memory.push(command);
                    }
                    Ok(command) => self.waiting = command,
                    Err(what) => {
                        self.fault.get_or_insert_with(|| format!("cycle {}: {what}", self.cycle));
                    }
                }
            }
        }

        self.seen.dram_reply = None;
        if ins.dram_resp_valid && outs.dram_resp_ready {
            self.seen.dram_reply = ins.dram_resp_last.then_some(ins.dram_resp_tag);
            ins.dram_resp_valid = false;
        }
    }
}

/// The registers of one side; an access ticks the component until it is over. See
/// [`Component::bus`].
pub struct BlockingBus<'a, M> {
    component: &'a mut Component<M>,
    side: Side,
}

impl<M: LineMemory> BlockingBus<'_, M> {
    fn access(&mut self, access: BusAccess) -> Result<u32, BusError> {
        let patience = self.component.cycle + PATIENCE;
        let mut started = false;
        while self.component.cycle < patience {
            started = started || self.component.bus_start(self.side, access);
            self.component.tick();
            if started {
                if let Some(result) = self.component.bus_poll(self.side) {
                    return result;
                }
            }
        }
        Err(BusError::Gone)
    }
}

impl<M: LineMemory> RegisterBus for BlockingBus<'_, M> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(BusAccess::Read(offset))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(BusAccess::Write(offset, value)).map(drop)
    }
}
