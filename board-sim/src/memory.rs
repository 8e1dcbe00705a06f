//! The board's SDRAM controller alone, with the chip's model at its pins and nothing but line reads in
//! front of it: how close it comes to what the chip can do.

use crate::verilated::{Memory, MemoryIn, MemoryOut};
use crate::{BoardError, CLOCK_KHZ};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use sdram_chip::{Chip, Pins, Timing};
use splitmem_hdl::sdram::timing::Cycles;

/// Cycles that a line's words take, one a cycle: the chip's peak.
pub const LINE_CYCLES: u64 = 32;
/// Lines of the chip.
const LINES: u32 = 1 << 19;
/// Cycles within which the memory is ready.
const PATIENCE: u64 = 1_000_000;

/// Line reads as share of the chip's peak of one word a cycle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reads {
    /// Lines that follow one another.
    pub sequential: f64,
    /// Lines anywhere.
    pub random: f64,
    /// What bank timing allows lines anywhere: see [`bound`].
    pub bound: f64,
}

/// The most that reads of lines anywhere can reach, as share of the peak, at these times.
///
/// A line takes 32 cycles of words. One in four meets the bank of the line before it, whose row is
/// another one: it waits from that line's last burst on (8 words, one of which may come out after the
/// precharge) for precharge, activation and its own first word, `7 + tRP + tRCD - 8` cycles. Every
/// 7.5 us a refresh takes `tRP + tRFC`, and `tRCD` to open a row again.
pub fn bound(cycles: &Cycles) -> f64 {
    let line = LINE_CYCLES as f64 + f64::from(7 + cycles.rp + cycles.rcd - 8) / 4.0;
    let refresh = f64::from(cycles.rp + cycles.rfc + cycles.rcd) / f64::from(cycles.refresh);
    LINE_CYCLES as f64 / line * (1.0 - refresh)
}

/// Reads `count` lines each way.
///
/// # Errors
/// [`BoardError`].
pub fn measure(count: u64, seed: u64) -> Result<Reads, BoardError> {
    let mut bench = Bench::new()?;
    let sequential = bench.reads(count, |i| (1000 + i) as u32 % LINES)?;
    let mut rng = SmallRng::seed_from_u64(seed);
    let random = bench.reads(count, |_| rng.random_range(0..LINES))?;
    Ok(Reads { sequential, random, bound: bound(&Cycles::at(CLOCK_KHZ)) })
}

struct Bench {
    model: Memory,
    ins: MemoryIn,
    outs: MemoryOut,
    chip: Chip,
    cycle: u64,
}

impl Bench {
    /// A memory that has passed its test.
    fn new() -> Result<Self, BoardError> {
        let mut bench = Self {
            model: Memory::new().ok_or(BoardError::NoMemory)?,
            ins: MemoryIn { reset: true, ..MemoryIn::default() },
            outs: MemoryOut { cs_n: 1, ..MemoryOut::default() },
            chip: Chip::new(Timing::ULX3S, 1_000_000_000 / u64::from(CLOCK_KHZ)),
            cycle: 0,
        };
        bench.tick();
        bench.tick();
        bench.ins.reset = false;
        while bench.outs.ready == 0 && bench.cycle < PATIENCE {
            bench.tick();
        }
        bench.check()?;
        Ok(bench)
    }

    fn tick(&mut self) {
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
        self.ins.dq_in = self.chip.clock(pins).unwrap_or(0);
        self.model.cycle(&self.ins, &mut self.outs);
        self.cycle += 1;
    }

    fn check(&self) -> Result<(), BoardError> {
        match self.chip.violation() {
            Some(violation) => Err(BoardError::Sdram(violation.clone())),
            None => Ok(()),
        }
    }

    /// Share of the peak.
    fn reads(&mut self, count: u64, mut line: impl FnMut(u64) -> u32) -> Result<f64, BoardError> {
        let start = self.cycle;
        let (mut asked, mut answered) = (0, 0);
        self.ins.line = line(0);
        self.ins.valid = true;
        while answered < count && self.cycle < start + PATIENCE {
            self.tick();
            // What stood at the pins in the cycle that this edge ended.
            if self.ins.valid && self.outs.took == 1 {
                asked += 1;
                self.ins.valid = asked < count;
                self.ins.line = line(asked);
            }
            answered += u64::from(self.outs.gave_last);
        }
        self.check()?;
        Ok((LINE_CYCLES * answered) as f64 / (self.cycle - start) as f64)
    }
}
