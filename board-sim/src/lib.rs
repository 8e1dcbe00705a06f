//! A board in simulation: what is in its bitstream but for pads and clocks, with a serial line at its
//! UART pins and a model of the SDRAM chip, which enforces the data sheet, at its memory pins. Its
//! soft core runs the firmware that it is given, in its own clock.
#![deny(unsafe_code)]

pub mod host;
pub mod memory;
#[allow(unsafe_code)]
mod verilated;

use sdram_chip::{Chip, Counts, Pins, Timing, Violation};
use serial_link::wire::{Listener, Transmitter};
use splitmem_abi::soc::RAM_BASE;
use splitmem_hdl::board::ulx3s;
use verilated::{PinsIn, PinsOut, Verilated};

pub use sdram_chip::Defect;

/// The clock of the simulated board.
pub const CLOCK_KHZ: u32 = ulx3s::CLOCK_KHZ;
/// The clock of its soft core.
pub const CORE_KHZ: u32 = ulx3s::CORE_KHZ;
/// Cycles of reset.
const RESET_CYCLES: u32 = 8;

/// Why a board cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// No memory for the Verilated model.
    #[error("not enough memory for the simulated board")]
    NoMemory,
    /// The controller did to the chip what its data sheet forbids.
    #[error("the SDRAM's data sheet was violated: {0}")]
    Sdram(Violation),
}

/// A simulated ULX3S.
pub struct Board {
    model: Verilated,
    ins: PinsIn,
    outs: PinsOut,
    chip: Chip,
    line: Transmitter,
    ear: Listener,
    heard: Vec<u8>,
    cycle: u64,
    /// The soft core's part of a clock edge that has come by, in kHz.
    core_phase: u32,
}

impl Board {
    /// A board that has just been switched on, and was in reset, with `firmware` in its soft core's
    /// memory: address and bytes of what is loaded. The SDRAM may have a defect.
    ///
    /// # Errors
    /// [`BoardError::NoMemory`].
    pub fn power_up<'a>(
        firmware: impl IntoIterator<Item = (u32, &'a [u8])>,
        defect: Option<Defect>,
    ) -> Result<Self, BoardError> {
        let cycles_per_bit = f64::from(CLOCK_KHZ) * 1000.0 / f64::from(ulx3s::BAUD);
        let mut chip = Chip::new(Timing::ULX3S, 1_000_000_000 / u64::from(CLOCK_KHZ));
        if let Some(defect) = defect {
            chip.break_it(defect);
        }
        let mut board = Self {
            model: Verilated::new().ok_or(BoardError::NoMemory)?,
            ins: PinsIn { reset: true, rx: true, tms: true, ..PinsIn::default() },
            // As a configured FPGA comes up: no command at the chip.
            outs: PinsOut { cs_n: 1, ..PinsOut::default() },
            chip,
            line: Transmitter::new(cycles_per_bit),
            ear: Listener::new(cycles_per_bit),
            heard: Vec::new(),
            cycle: 0,
            core_phase: 0,
        };
        let ram = board.model.ram();
        for (at, bytes) in firmware {
            for (at, &byte) in (at.wrapping_sub(RAM_BASE)..).zip(bytes) {
                // As a configured FPGA: what is beyond the memory is nowhere.
                if let Some(word) = ram.get_mut(at as usize / 4) {
                    let shift = at % 4 * 8;
                    *word = *word & !(0xff << shift) | u32::from(byte) << shift;
                }
            }
        }
        (0..RESET_CYCLES).for_each(|_| board.tick());
        board.ins.reset = false;
        Ok(board)
    }

    /// One clock cycle.
    #[inline]
    pub fn tick(&mut self) {
        let level = self.line.level();
        self.tick_with(level);
    }

    /// Clock cycles with these levels at the UART's input, one a cycle, instead of the line's.
    pub fn drive(&mut self, mut level: impl FnMut() -> Option<bool>) {
        while let Some(level) = level() {
            self.tick_with(level);
        }
    }

    #[inline]
    fn tick_with(&mut self, rx: bool) {
        let o = &self.outs;
        let pins = Pins {
            cke: o.cke == 1,
            cs_n: o.cs_n == 1,
            ras_n: o.ras_n == 1,
            cas_n: o.cas_n == 1,
            we_n: o.we_n == 1,
            ba: o.ba,
            a: o.a,
            dqm: o.dqm,
            dq: (o.dq_drive == 1).then_some(o.dq_out),
        };
        // Pins that nobody drives are anything.
        let floating = (self.cycle as u16).wrapping_mul(0x6D2B);
        self.ins.dq_in = self.chip.clock(pins).unwrap_or(floating);
        self.ins.rx = rx;
        self.core_phase += CORE_KHZ;
        self.ins.core_edge = self.core_phase >= CLOCK_KHZ;
        if self.ins.core_edge {
            self.core_phase -= CLOCK_KHZ;
        }
        self.model.cycle(&self.ins, &mut self.outs);
        self.heard.extend(self.ear.hear(self.outs.tx == 1));
        self.cycle += 1;
    }

    /// Queues bytes at the host's end of the serial line.
    pub fn send(&mut self, bytes: &[u8]) {
        self.line.send(bytes.iter().copied());
    }

    /// Bytes that are not yet on their way.
    pub fn queued(&self) -> usize {
        self.line.queued()
    }

    /// The bytes that the board sent since the last call.
    pub fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }

    /// Drives the soft core's JTAG pins from the next cycle on, and gives TDO as it stands.
    pub fn jtag(&mut self, tck: bool, tms: bool, tdi: bool) -> bool {
        (self.ins.tck, self.ins.tms, self.ins.tdi) = (tck, tms, tdi);
        self.outs.tdo == 1
    }

    /// Clock cycles since power-up.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// The LEDs; `hdl`'s `board::core` says what they mean.
    pub fn leds(&self) -> u8 {
        self.outs.leds
    }

    /// What happened at the SDRAM chip.
    pub fn memory(&self) -> Counts {
        self.chip.counts()
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// [`BoardError::Sdram`].
    pub fn check(&self) -> Result<(), BoardError> {
        match self.chip.violation() {
            Some(violation) => Err(BoardError::Sdram(violation.clone())),
            None => Ok(()),
        }
    }
}
