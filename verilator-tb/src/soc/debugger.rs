//! A debugger for the soft core: memory, halt, resume and reset through its RISC-V debug module, over
//! any JTAG ([`Scan`]).
//!
//! Enough to load firmware, to read its log and to stop it; for breakpoints and sources there are
//! `probe-rs` and GDB. Registers and bits are those of the RISC-V debug specification 0.13.2.

/// Bits of the instruction register of PULP's debug transport.
const IR_BITS: u32 = 5;
/// Instruction: the debug module interface (6.1.5).
const IR_DMI: u64 = 0x11;
/// Instruction: control and status of the transport (6.1.4).
const IR_DTMCS: u64 = 0x10;
/// `dtmcs.dmireset`.
const DMIRESET: u64 = 1 << 16;
/// Bits of a scan through the interface: two of the operation, 32 of data, seven of address.
const DMI_BITS: u32 = 41;

/// Debug module registers (3.12).
const DMCONTROL: u64 = 0x10;
const DMSTATUS: u64 = 0x11;
const SBCS: u64 = 0x38;
const SBADDRESS0: u64 = 0x39;
const SBDATA0: u64 = 0x3c;

const HALTREQ: u32 = 1 << 31;
const RESUMEREQ: u32 = 1 << 30;
const NDMRESET: u32 = 1 << 1;
const DMACTIVE: u32 = 1;
const ALLHALTED: u32 = 1 << 9;
const ALLRESUMEACK: u32 = 1 << 17;
/// System bus: 32-bit accesses, the address goes on by itself, reads begin when the address is
/// written and, if wanted, when data are read.
const SB_WRITE: u32 = 2 << 17 | 1 << 16;
const SB_READ: u32 = SB_WRITE | 1 << 20;
const SB_READ_ON_DATA: u32 = 1 << 15;
/// Sticky errors: busy, and `sberror`.
const SB_ERRORS: u32 = 1 << 22 | 7 << 12;

/// How often something is looked at before it counts as never happening.
const LOOKS: u32 = 1000;

/// A JTAG port: data bits in, the same number out, lowest first.
pub trait Scan {
    /// What may fail.
    type Error;

    /// Moves along the state machine with these TMS bits.
    ///
    /// # Errors
    /// The port's.
    fn tms(&mut self, count: u32, bits: u64) -> Result<(), Self::Error>;

    /// Shifts up to 64 bits; TMS is high with the last one.
    ///
    /// # Errors
    /// The port's.
    fn shift(&mut self, count: u32, bits: u64) -> Result<u64, Self::Error>;
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebugError<E> {
    /// The JTAG port.
    #[error(transparent)]
    Port(E),
    /// Nothing that the debug module does, or nobody is there.
    #[error("the chip's debug module does not answer as it should while {0}")]
    NoAnswer(&'static str),
    /// An access to memory that is not there.
    #[error("the debug module cannot access memory at {0:#010x}")]
    Access(u32),
}

/// A debugger that is attached.
pub struct Debugger<S> {
    port: S,
    /// TMS bits that were not sent yet: they go with the next ones.
    moves: (u32, u64),
}

impl<S: Scan> Debugger<S> {
    /// Attaches: the debug module is switched on, the core goes on.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn attach(port: S) -> Result<Self, DebugError<S::Error>> {
        let mut debugger = Self { port, moves: (0, 0) };
        // Five ones reset the transport from any state; then to Run-Test/Idle.
        debugger.tms(6, 0b01_1111)?;
        debugger.instruction(IR_DTMCS)?;
        debugger.data(32, DMIRESET)?;
        debugger.instruction(IR_DMI)?;
        debugger.write(DMCONTROL, DMACTIVE)?;
        let status = debugger.read(DMSTATUS)?;
        // Version 2 is the specification's 0.13.
        match status & 0xf {
            2 => {
                debugger.flush()?;
                Ok(debugger)
            }
            _ => Err(DebugError::NoAnswer("attaching")),
        }
    }

    /// Stops the core.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn halt(&mut self) -> Result<(), DebugError<S::Error>> {
        self.write(DMCONTROL, HALTREQ | DMACTIVE)?;
        self.until(ALLHALTED, "halting the core")?;
        self.write(DMCONTROL, DMACTIVE)?;
        self.flush()
    }

    /// Lets the core go on.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn resume(&mut self) -> Result<(), DebugError<S::Error>> {
        self.write(DMCONTROL, RESUMEREQ | DMACTIVE)?;
        self.until(ALLRESUMEACK, "resuming the core")?;
        self.write(DMCONTROL, DMACTIVE)?;
        self.flush()
    }

    /// Whether the core is stopped.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn is_halted(&mut self) -> Result<bool, DebugError<S::Error>> {
        Ok(self.read(DMSTATUS)? & ALLHALTED != 0)
    }

    /// Resets the core, which then starts anew.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn reset(&mut self) -> Result<(), DebugError<S::Error>> {
        self.write(DMCONTROL, NDMRESET | DMACTIVE)?;
        self.write(DMCONTROL, DMACTIVE)?;
        self.flush()
    }

    /// Reads words from an address on.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn read_words(
        &mut self,
        address: u32,
        words: &mut [u32],
    ) -> Result<(), DebugError<S::Error>> {
        let Some((last, rest)) = words.split_last_mut() else { return Ok(()) };
        let follow = if rest.is_empty() { 0 } else { SB_READ_ON_DATA };
        self.write(SBCS, SB_READ | follow | SB_ERRORS)?;
        self.write(SBADDRESS0, address)?;
        for word in rest {
            *word = self.read(SBDATA0)?;
        }
        // The last one begins no other.
        self.write(SBCS, SB_WRITE)?;
        *last = self.read(SBDATA0)?;
        self.check(address)
    }

    /// Writes words from an address on.
    ///
    /// # Errors
    /// [`DebugError`].
    pub fn write_words(&mut self, address: u32, words: &[u32]) -> Result<(), DebugError<S::Error>> {
        self.write(SBCS, SB_WRITE | SB_ERRORS)?;
        self.write(SBADDRESS0, address)?;
        for &word in words {
            self.write(SBDATA0, word)?;
        }
        self.check(address)
    }

    fn check(&mut self, address: u32) -> Result<(), DebugError<S::Error>> {
        match self.read(SBCS)? & SB_ERRORS {
            0 => Ok(()),
            _ => Err(DebugError::Access(address)),
        }
    }

    fn until(&mut self, bit: u32, what: &'static str) -> Result<(), DebugError<S::Error>> {
        for _ in 0..LOOKS {
            if self.read(DMSTATUS)? & bit != 0 {
                return Ok(());
            }
        }
        Err(DebugError::NoAnswer(what))
    }

    fn read(&mut self, register: u64) -> Result<u32, DebugError<S::Error>> {
        self.data(DMI_BITS, register << 34 | 1)?;
        // Another scan brings the answer. The transport crosses clocks: some idle ones first.
        self.tms(8, 0)?;
        for _ in 0..LOOKS {
            let answer = self.data(DMI_BITS, 0)?;
            match answer & 3 {
                0 => return Ok((answer >> 2) as u32),
                3 => self.clear_busy()?,
                _ => return Err(DebugError::NoAnswer("reading a register")),
            }
        }
        Err(DebugError::NoAnswer("reading a register"))
    }

    fn write(&mut self, register: u64, value: u32) -> Result<(), DebugError<S::Error>> {
        self.data(DMI_BITS, register << 34 | u64::from(value) << 2 | 2)?;
        self.tms(8, 0)
    }

    fn clear_busy(&mut self) -> Result<(), DebugError<S::Error>> {
        self.instruction(IR_DTMCS)?;
        self.data(32, DMIRESET)?;
        self.instruction(IR_DMI)?;
        self.tms(32, 0)
    }

    /// Moves along the state machine, at the latest when something is shifted.
    fn tms(&mut self, count: u32, bits: u64) -> Result<(), DebugError<S::Error>> {
        if self.moves.0 + count > u64::BITS {
            self.flush()?;
        }
        self.moves.1 |= bits << self.moves.0;
        self.moves.0 += count;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DebugError<S::Error>> {
        let (count, bits) = std::mem::take(&mut self.moves);
        if count > 0 {
            self.port.tms(count, bits).map_err(DebugError::Port)?;
        }
        Ok(())
    }

    fn shift(&mut self, count: u32, bits: u64) -> Result<u64, DebugError<S::Error>> {
        self.flush()?;
        self.port.shift(count, bits).map_err(DebugError::Port)
    }

    /// From Run-Test/Idle and back.
    fn instruction(&mut self, code: u64) -> Result<(), DebugError<S::Error>> {
        self.tms(4, 0b0011)?;
        self.shift(IR_BITS, code)?;
        self.tms(2, 0b01)
    }

    /// From Run-Test/Idle and back.
    fn data(&mut self, count: u32, bits: u64) -> Result<u64, DebugError<S::Error>> {
        self.tms(3, 0b001)?;
        let out = self.shift(count, bits)?;
        self.tms(2, 0b01)?;
        Ok(out)
    }
}
