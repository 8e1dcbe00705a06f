//! The component's registers over SPI: how a monitor on a companion microcontroller reaches them.
//!
//! [`SpiRegisters`] is the [`RegisterBus`] over any [`SpiDevice`], [`PinWait`] the [`Wait`] over any
//! pin that carries the component's interrupt. The frames, and why nothing happens twice, are
//! [`splitmem_abi::spi`]'s.

use crate::hal::{Wait, Waiting};
use embedded_hal::digital::InputPin;
use embedded_hal::spi::{Error as _, ErrorKind, SpiDevice};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::spi::{status, Answer, Operation, Request, FRAME_BYTES, HELLO_VALUE, SEQUENCES};

/// Times that a frame is sent until its answer comes undamaged.
const TRIES: u32 = 16;
/// Times that a frame is sent until its access is over. One takes microseconds, an access of the
/// component's bus well below one.
const LOOKS: u32 = 1024;

/// Why the bridge cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpiError {
    /// The microcontroller's own SPI controller, or its chip select.
    #[error("the SPI controller failed: {0}")]
    Controller(ErrorKind),
    /// MISO never moved.
    #[error("nothing answers: is the FPGA configured, and are MISO and chip select connected?")]
    Silent,
    /// The answers came damaged, or said that the requests did.
    #[error(
        "{TRIES} frames in a row were damaged: SCK is too fast for the wires or the FPGA's clock"
    )]
    Damaged,
    /// Something else than the bridge answers, or one of another version.
    #[error("the bridge presents itself as {found:#010x}, this driver knows {HELLO_VALUE:#010x}")]
    Version {
        /// What it answered.
        found: u32,
    },
    /// The component was reset: what the monitor knows of it is void.
    #[error("the component was reset meanwhile; start the monitor anew")]
    Reset,
    /// An access does not end.
    #[error("the access to the register at {offset:#05x} does not end")]
    Busy {
        /// Byte offset in the window.
        offset: u16,
    },
}

/// What happened on the wires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpiCounts {
    /// Frames sent.
    pub frames: u32,
    /// Frames repeated because they, or their answers, were damaged.
    pub damaged: u32,
    /// Frames repeated because the access was not over.
    pub busy: u32,
}

/// The registers behind the bridge.
///
/// Once it has failed (all but [`BusError::Denied`]) it stays so, because what became of the last access
/// is not known: [`connect`](Self::connect) anew.
#[derive(Debug)]
pub struct SpiRegisters<S> {
    device: S,
    /// Of the last access.
    sequence: u8,
    failed: Option<SpiError>,
    counts: SpiCounts,
}

impl<S: SpiDevice> SpiRegisters<S> {
    /// Greets the bridge. `device` is in mode 0, most significant bit first, and not faster than the
    /// bridge's clock allows ([`splitmem_abi::spi::CLOCKS_PER_SCK`]).
    ///
    /// # Errors
    /// [`SpiError`], all but [`SpiError::Reset`].
    pub fn connect(device: S) -> Result<Self, SpiError> {
        let counts = SpiCounts::default();
        let mut registers = Self { device, sequence: 0, failed: None, counts };
        let hello = Request { operation: Operation::Hello, sequence: 0, address: 0, value: 0 };
        let answer = registers.exchange(&hello)?;
        if answer.value != HELLO_VALUE {
            return Err(SpiError::Version { found: answer.value });
        }
        registers.sequence = answer.status & status::SEQUENCE;
        Ok(registers)
    }

    /// Why the bus is [`BusError::Gone`], if it is.
    pub fn failed(&self) -> Option<SpiError> {
        self.failed
    }

    /// What happened on the wires since [`connect`](Self::connect).
    pub fn counts(&self) -> SpiCounts {
        self.counts
    }

    /// Sends a request until it has an answer that is intact and final.
    fn exchange(&mut self, request: &Request) -> Result<Answer, SpiError> {
        let (mut tries, mut looks) = (0, 0);
        loop {
            let why = match self.frame(request) {
                Ok(answer) if answer.status & status::UNKNOWN != 0 => {
                    return Err(SpiError::Version { found: 0 });
                }
                Ok(answer) if answer.status & status::CLOSED != 0 => return Err(SpiError::Reset),
                Ok(answer) if answer.status & status::BUSY != 0 => {
                    looks += 1;
                    self.counts.busy = self.counts.busy.saturating_add(1);
                    if looks == LOOKS {
                        return Err(SpiError::Busy { offset: request.address });
                    }
                    continue;
                }
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            tries += 1;
            self.counts.damaged = self.counts.damaged.saturating_add(1);
            if tries == TRIES {
                return Err(why);
            }
        }
    }

    /// Sends a request once: an intact answer to just this one.
    fn frame(&mut self, request: &Request) -> Result<Answer, SpiError> {
        let mut frame = request.encode();
        self.counts.frames = self.counts.frames.saturating_add(1);
        let done = self.device.transfer_in_place(&mut frame);
        done.map_err(|error| SpiError::Controller(error.kind()))?;
        let answer = Answer::decode(request.operation, &frame).ok_or_else(|| {
            let still = [[0x00; FRAME_BYTES], [0xFF; FRAME_BYTES]].contains(&frame);
            if still {
                SpiError::Silent
            } else {
                SpiError::Damaged
            }
        })?;
        // Of an access that was carried out, the number must be this one's.
        let others = status::BUSY | status::UNKNOWN | status::CLOSED;
        let another = request.operation != Operation::Hello
            && answer.status & others == 0
            && answer.status & status::SEQUENCE != request.sequence;
        if answer.status & status::DAMAGED != 0 || another {
            return Err(SpiError::Damaged);
        }
        Ok(answer)
    }

    fn access(&mut self, operation: Operation, offset: u16, value: u32) -> Result<u32, BusError> {
        if self.failed.is_some() {
            return Err(BusError::Gone);
        }
        let sequence = (self.sequence + 1) % SEQUENCES;
        let request = Request { operation, sequence, address: offset, value };
        let answer = self.exchange(&request).map_err(|error| {
            self.failed = Some(error);
            BusError::Gone
        })?;
        self.sequence = sequence;
        if answer.status & status::DENIED != 0 {
            return Err(BusError::Denied { offset });
        }
        Ok(answer.value)
    }
}

impl<S: SpiDevice> RegisterBus for SpiRegisters<S> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(Operation::Read, offset, 0)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(Operation::Write, offset, value).map(drop)
    }
}

/// What a microcontroller does while it waits.
pub trait Nap {
    /// Sleeps until the interrupt pin is high, or it is time for a sign of life, and gives one.
    fn sleep(&mut self);

    /// Gives a sign of life.
    fn alive(&mut self);
}

/// Waits for the component's interrupt at a pin.
#[derive(Debug)]
pub struct PinWait<P, N> {
    irq: P,
    nap: N,
}

impl<P: InputPin, N: Nap> PinWait<P, N> {
    /// With the interrupt, high while it is up, at `irq`.
    pub fn new(irq: P, nap: N) -> Self {
        Self { irq, nap }
    }

    /// Sleeps unless the interrupt is up.
    pub fn rest(&mut self) {
        // A pin that cannot be read says nothing: better one look at the registers too many.
        if self.irq.is_low().unwrap_or(false) {
            self.nap.sleep();
        } else {
            self.nap.alive();
        }
    }
}

impl<P: InputPin, N: Nap> Wait for PinWait<P, N> {
    fn wait(&mut self, what: Waiting) {
        if what.interrupts() {
            self.rest();
        } else {
            self.nap.alive();
        }
    }
}
