//! Software beside the simulation: a host thread that reaches the component only through its
//! registers.
//!
//! The two never run at once, so that the thread's speed does not matter and the same seed gives the
//! same cycles: simulated time stands still while the thread thinks, and goes on while it waits for
//! a register access, for some cycles to pass, or for its interrupt.

use crate::bus::{BusAccess, Side};
use crate::component::Component;
use crate::dram::LineMemory;
use crossbeam_channel::{bounded, Receiver, Sender};
use mcomponent_firmware::{Wait, Waiting};
use splitmem_abi::bus::{BusError, RegisterBus};
use std::thread::JoinHandle;

/// Cycles that pass while the software waits for something that raises no interrupt.
const PAUSE: u64 = 32;

/// What the thread wants.
enum Want {
    Access(BusAccess),
    Pause(u64),
    Interrupt,
}

/// The thread's way to the component.
///
/// All of it fails with [`BusError::Gone`] when the simulation is over; the thread should then end.
pub struct ThreadBus {
    wants: Sender<Want>,
    granted: Receiver<Result<u32, BusError>>,
}

impl ThreadBus {
    fn ask(&mut self, want: Want) -> Result<u32, BusError> {
        self.wants.send(want).map_err(|_| BusError::Gone)?;
        self.granted.recv().map_err(|_| BusError::Gone)?
    }

    /// Sleeps until the interrupt line is high.
    ///
    /// # Errors
    /// [`BusError::Gone`].
    pub fn wait_for_interrupt(&mut self) -> Result<(), BusError> {
        self.ask(Want::Interrupt).map(drop)
    }

    /// Lets cycles pass.
    ///
    /// # Errors
    /// [`BusError::Gone`].
    pub fn pause(&mut self, cycles: u64) -> Result<(), BusError> {
        self.ask(Want::Pause(cycles)).map(drop)
    }

    /// A second way to the component for the same thread: only one of them is used at a time.
    fn share(&self) -> Self {
        Self { wants: self.wants.clone(), granted: self.granted.clone() }
    }

    /// What the monitor waits with.
    pub fn waiter(&self) -> ThreadWait {
        ThreadWait(self.share())
    }
}

impl RegisterBus for ThreadBus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.ask(Want::Access(BusAccess::Read(offset)))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.ask(Want::Access(BusAccess::Write(offset, value))).map(drop)
    }
}

/// Waits by letting simulated time pass.
pub struct ThreadWait(ThreadBus);

impl Wait for ThreadWait {
    fn wait(&mut self, what: Waiting) {
        // If the simulation is over, the register access that follows says so.
        let _ = if what.interrupts() { self.0.wait_for_interrupt() } else { self.0.pause(PAUSE) };
    }
}

/// What the thread does, as the simulation sees it.
enum State {
    /// It runs; simulated time stands still.
    Thinks,
    /// Its register access is under way.
    OnBus,
    /// Until this cycle.
    Pauses(u64),
    /// Until the interrupt.
    Sleeps,
    /// It has ended.
    Over,
}

/// A thread on the monitor's register bus.
pub struct MonitorThread {
    wants: Receiver<Want>,
    grants: Option<Sender<Result<u32, BusError>>>,
    state: State,
    thread: Option<JoinHandle<()>>,
}

impl MonitorThread {
    /// Starts a thread. It takes its first step when the simulation does.
    ///
    /// # Errors
    /// The system's, if there can be no thread.
    pub fn spawn(software: impl FnOnce(ThreadBus) + Send + 'static) -> std::io::Result<Self> {
        let (wants_in, wants) = bounded(1);
        let (grants, granted) = bounded(1);
        let bus = ThreadBus { wants: wants_in, granted };
        let thread = std::thread::Builder::new()
            .name("memory monitor".to_owned())
            .spawn(move || software(bus))?;
        Ok(Self { wants, grants: Some(grants), state: State::Thinks, thread: Some(thread) })
    }

    /// Lets the thread think until it waits for simulated time. To be called before every tick.
    #[inline]
    pub fn run<M: LineMemory>(&mut self, component: &mut Component<M>) {
        loop {
            match self.state {
                State::Thinks => self.listen(component),
                State::OnBus => match component.bus_poll(Side::Monitor) {
                    Some(result) => self.grant(result),
                    None => return,
                },
                State::Pauses(until) if component.cycle() >= until => self.grant(Ok(0)),
                State::Sleeps if component.irq(Side::Monitor) => self.grant(Ok(0)),
                State::Pauses(_) | State::Sleeps | State::Over => return,
            }
        }
    }

    /// Whether the thread waits for its interrupt, or has ended.
    pub fn is_asleep(&self) -> bool {
        matches!(self.state, State::Sleeps | State::Over)
    }

    /// Whether the thread has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn listen<M: LineMemory>(&mut self, component: &mut Component<M>) {
        self.state = match self.wants.recv() {
            Ok(Want::Access(access)) if component.bus_start(Side::Monitor, access) => State::OnBus,
            // Somebody else uses the bus: the access is as good as lost.
            Ok(Want::Access(_)) => {
                self.grant(Err(BusError::Gone));
                return;
            }
            Ok(Want::Pause(cycles)) => State::Pauses(component.cycle() + cycles),
            Ok(Want::Interrupt) => State::Sleeps,
            Err(_) => State::Over,
        };
    }

    fn grant(&mut self, result: Result<u32, BusError>) {
        let taken = self.grants.as_ref().is_some_and(|grants| grants.send(result).is_ok());
        self.state = if taken { State::Thinks } else { State::Over };
    }
}

impl Drop for MonitorThread {
    fn drop(&mut self) {
        // Whatever it waits for fails now.
        self.grants = None;
        let (_, nothing) = bounded(0);
        self.wants = nothing;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told when it happened.
            let _ = thread.join();
        }
    }
}
