//! Software beside the simulation that reaches the component only through its registers.
//!
//! It has a stack of its own and the simulation's thread: the two never run at once, so that the same
//! seed gives the same cycles. Simulated time stands still while the software thinks, and goes on while
//! it waits for a register access, for some cycles to pass, or for its interrupt. A thread of its own
//! would cost two switches per register access, which on a busy machine are milliseconds.

use crate::bus::{BusAccess, Side};
use crate::component::Component;
use crate::dram::LineMemory;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use mcomponent_firmware::{Error, Wait, Waiting};
use splitmem_abi::bus::{BusError, RegisterBus};

/// Cycles that pass while the software waits for something that raises no interrupt.
const PAUSE: u64 = 32;
/// Bytes of its stack.
const STACK: usize = 1 << 20;

/// What the software wants.
pub(crate) enum Want {
    Access(BusAccess),
    Pause(u64),
    Interrupt,
    /// Nothing: it is up.
    Ready,
}

type Grant = Result<u32, BusError>;
type Software = Coroutine<Grant, Want, Result<(), Error>>;

/// The software's way to the component.
///
/// All of it fails with [`BusError::Gone`] when the simulation is over; the software should then end.
#[derive(Clone, Copy)]
pub(crate) struct TaskBus<'a>(&'a Yielder<Grant, Want>);

impl TaskBus<'_> {
    /// Sleeps until the interrupt line is high.
    pub(crate) fn wait_for_interrupt(&mut self) -> Result<(), BusError> {
        self.0.suspend(Want::Interrupt).map(drop)
    }

    /// Tells that the software is up.
    pub(crate) fn ready(&mut self) -> Result<(), BusError> {
        self.0.suspend(Want::Ready).map(drop)
    }
}

impl RegisterBus for TaskBus<'_> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.suspend(Want::Access(BusAccess::Read(offset)))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.suspend(Want::Access(BusAccess::Write(offset, value))).map(drop)
    }
}

/// Waits by letting simulated time pass.
impl Wait for TaskBus<'_> {
    fn wait(&mut self, what: Waiting) {
        // If the simulation is over, the register access that follows says so.
        let _ =
            self.0.suspend(if what.interrupts() { Want::Interrupt } else { Want::Pause(PAUSE) });
    }
}

/// What the software does, as the simulation sees it.
enum State {
    /// It did not take its first step yet.
    Waits,
    /// Its register access is under way.
    OnBus,
    /// Until this cycle.
    Pauses(u64),
    /// Until the interrupt.
    Sleeps,
    /// It has ended.
    Over(Result<(), Error>),
}

/// Software on the monitor's register bus.
pub(crate) struct MonitorTask {
    software: Software,
    state: State,
    ready: bool,
}

// SAFETY: the software may go on in another thread than the one in which it stopped. `spawn` requires of
// its caller that nothing on its stack minds.
unsafe impl Send for MonitorTask {}

impl MonitorTask {
    /// Prepares software. It takes its first step when the simulation does.
    ///
    /// # Errors
    /// The system's, if there is no memory for its stack.
    ///
    /// # Safety
    /// All that `software` has on its stack while it waits must be [`Send`].
    pub(crate) unsafe fn spawn(
        software: impl FnOnce(TaskBus<'_>) -> Result<(), Error> + Send + 'static,
    ) -> std::io::Result<Self> {
        let software = Coroutine::with_stack(DefaultStack::new(STACK)?, |yielder, _| {
            software(TaskBus(yielder))
        });
        Ok(Self { software, state: State::Waits, ready: false })
    }

    /// Lets the software think until it waits for simulated time. To be called before every tick.
    #[inline]
    pub(crate) fn run<M: LineMemory>(&mut self, component: &mut Component<M>) {
        loop {
            let granted = match self.state {
                State::Waits => Ok(0),
                State::OnBus => match component.bus_poll(Side::Monitor) {
                    Some(result) => result,
                    None => return,
                },
                State::Pauses(until) if component.cycle() >= until => Ok(0),
                State::Sleeps if component.irq(Side::Monitor) => Ok(0),
                State::Pauses(_) | State::Sleeps | State::Over(_) => return,
            };
            self.think(component, granted);
        }
    }

    /// Whether the software waits for its interrupt, or has ended.
    pub(crate) fn is_asleep(&self) -> bool {
        matches!(self.state, State::Sleeps | State::Over(_))
    }

    /// Whether the software has told that it is up.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// How the software ended, if it has.
    pub(crate) fn end(&self) -> Option<&Result<(), Error>> {
        match &self.state {
            State::Over(result) => Some(result),
            _ => None,
        }
    }

    #[inline(never)]
    fn think<M: LineMemory>(&mut self, component: &mut Component<M>, mut granted: Grant) {
        self.state = loop {
            granted = match self.software.resume(granted) {
                CoroutineResult::Return(result) => break State::Over(result),
                CoroutineResult::Yield(Want::Access(access)) => {
                    if component.bus_start(Side::Monitor, access) {
                        break State::OnBus;
                    }
                    // Somebody else uses the bus: the access is as good as lost.
                    Err(BusError::Gone)
                }
                CoroutineResult::Yield(Want::Pause(cycles)) => {
                    break State::Pauses(component.cycle() + cycles);
                }
                CoroutineResult::Yield(Want::Interrupt) => break State::Sleeps,
                CoroutineResult::Yield(Want::Ready) => {
                    self.ready = true;
                    Ok(0)
                }
            };
        };
    }
}

impl Drop for MonitorTask {
    fn drop(&mut self) {
        // Whatever it waits for fails now, until it ends.
        while self.software.started() && !self.software.done() {
            self.software.resume(Err(BusError::Gone));
        }
    }
}
