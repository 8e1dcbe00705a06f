//! What the monitor needs from the place it runs at: the registers, and something to do while it
//! waits.

use crate::error::Error;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::regs::{self, Field, Register};

/// What the monitor waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// `STATUS.READY` after reset. No interrupt comes.
    Ready,
    /// A frame from the zeroing engine. No interrupt comes.
    Frame,
    /// Results of the table engine, while it works. No interrupt comes.
    Result,
    /// The end of a table engine's command. The interrupt TE_DONE comes.
    TableEngine,
    /// The end of a shootdown. The interrupt SD_DONE comes.
    Shootdown,
    /// Nothing: a long piece of the monitor's own work goes on, and this is a sign of life.
    Itself,
}

impl Waiting {
    /// Whether the component raises the monitor's interrupt line when it is over, so that
    /// [`Wait::wait`] may sleep until it is high.
    pub const fn interrupts(self) -> bool {
        matches!(self, Self::TableEngine | Self::Shootdown)
    }
}

impl core::fmt::Display for Waiting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ready => "reset",
            Self::Frame => "clearing a frame",
            Self::Result => "reporting page-table entries",
            Self::TableEngine => "a command to the table engine",
            Self::Shootdown => "a shootdown",
            Self::Itself => "the monitor's own work",
        })
    }
}

/// What to do between two looks at a register that has to change.
///
/// A soft core sleeps (`wfi`) if [`Waiting::interrupts`]; a simulation lets cycles pass; a thread
/// yields. It may return early.
pub trait Wait {
    /// Called after a look that found the component not yet done, and from time to time in long work.
    fn wait(&mut self, what: Waiting);
}

/// Waits by looking again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spin;

impl Wait for Spin {
    fn wait(&mut self, _: Waiting) {
        core::hint::spin_loop();
    }
}

impl<W: Wait + ?Sized> Wait for &mut W {
    fn wait(&mut self, what: Waiting) {
        (**self).wait(what);
    }
}

/// The registers.
#[derive(Debug)]
pub(crate) struct Registers<B, W> {
    pub bus: B,
    pub wait: W,
    /// Looks at a register before the component counts as stuck.
    pub patience: u32,
}

impl<B: RegisterBus, W: Wait> Registers<B, W> {
    pub fn read(&mut self, register: &Register) -> Result<u32, Error> {
        Ok(self.bus.read(register.offset)?)
    }

    pub fn write(&mut self, register: &Register, value: u32) -> Result<(), Error> {
        Ok(self.bus.write(register.offset, value)?)
    }

    /// Reads one field.
    pub fn field(&mut self, register: &Register, field: Field) -> Result<u32, Error> {
        Ok(field.get(self.read(register)?))
    }

    /// Waits until a field has this value.
    pub fn until(
        &mut self,
        what: Waiting,
        register: &Register,
        field: Field,
        value: u32,
    ) -> Result<(), Error> {
        for _ in 0..self.patience {
            if self.field(register, field)? == value {
                return Ok(());
            }
            self.wait.wait(what);
        }
        Err(Error::Stuck(what))
    }

    /// Waits until a bit that an interrupt announces is clear, and takes the interrupt.
    pub fn until_done(
        &mut self,
        what: Waiting,
        register: &Register,
        busy: Field,
        cause: Field,
    ) -> Result<(), Error> {
        self.until(what, register, busy, 0)?;
        self.write(&regs::IRQ_STATUS, cause.mask())
    }

    /// Writes a virtual address into a pair of registers.
    pub fn write_va(&mut self, low: &Register, high: &Register, va: u64) -> Result<(), Error> {
        self.write(low, va as u32)?;
        self.write(high, (va >> 32) as u32)
    }
}
