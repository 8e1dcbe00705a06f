//! How software reaches the registers: one trait for every place the monitor or the driver runs.
//!
//! The soft core implements it with volatile loads and stores, a companion microcontroller with SPI
//! transfers, the simulator with bus cycles of the Verilated component, the golden model directly.

/// Access to the register window from one side.
pub trait RegisterBus {
    /// Reads the register at byte `offset`.
    ///
    /// # Errors
    /// [`BusError`] if this side may not read it, nothing stands there, or the bus is gone.
    fn read(&mut self, offset: u16) -> Result<u32, BusError>;

    /// Writes the register at byte `offset`.
    ///
    /// # Errors
    /// [`BusError`] if this side may not write it, nothing stands there, or the bus is gone.
    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError>;
}

impl<B: RegisterBus + ?Sized> RegisterBus for &mut B {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        (**self).read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        (**self).write(offset, value)
    }
}

/// A register access that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusError {
    /// The side may not do this with the register, or nothing stands at this offset.
    Denied {
        /// Byte offset in the window.
        offset: u16,
    },
    /// The component did not answer.
    Gone,
}

impl BusError {
    /// The same of a register whose offset the bus was told in another way.
    pub const fn at(self, offset: u16) -> Self {
        match self {
            Self::Denied { .. } => Self::Denied { offset },
            Self::Gone => Self::Gone,
        }
    }
}

impl core::fmt::Display for BusError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Denied { offset } => write!(f, "register access denied at offset {offset:#05x}"),
            Self::Gone => write!(f, "the component does not answer"),
        }
    }
}

impl core::error::Error for BusError {}
