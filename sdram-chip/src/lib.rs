//! An SDR SDRAM chip at its pins: 4 banks of 8192 rows of 512 columns of 16 bits, 32 MiB.
//!
//! [`Chip::clock`] is one rising edge of the chip's clock: commands, addresses and data in, data out.
//! The chip keeps what is written, and checks every command against its data sheet ([`Timing`]): the
//! first one that comes too soon, or that the chip's state does not allow, is a [`Violation`] that
//! names parameter, cycle and bank. After it nothing that the chip says counts.
//!
//! Not modelled: self refresh, power down, burst lengths other than 8, full-page bursts, burst stop,
//! auto precharge, and decay of rows that were not refreshed (a late refresh is a violation instead).
#![forbid(unsafe_code)]

mod timing;

pub use timing::Timing;

use std::collections::HashMap;
use std::collections::VecDeque;

/// Banks of the chip.
pub const BANKS: usize = 4;
/// Rows of a bank.
pub const ROWS: u32 = 8192;
/// Words of a row.
pub const COLUMNS: u32 = 512;
/// Words of a burst.
pub const BURST: u32 = 8;

/// What the controller drives at a clock edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pins {
    /// Clock enable.
    pub cke: bool,
    /// Chip select, row strobe, column strobe, write enable: all active low.
    pub cs_n: bool,
    /// See `cs_n`.
    pub ras_n: bool,
    /// See `cs_n`.
    pub cas_n: bool,
    /// See `cs_n`.
    pub we_n: bool,
    /// Bank.
    pub ba: u8,
    /// Row, column, or mode; bit 10 precharges all banks.
    pub a: u16,
    /// Byte lanes that are masked.
    pub dqm: u8,
    /// Data, if the controller drives them.
    pub dq: Option<u16>,
}

/// A command or a state that the data sheet does not allow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// A command came too soon after another.
    #[error(
        "cycle {cycle}: {parameter} violated in bank {bank}: {command} after {was_ps} ps, \
         the data sheet wants {needed_ps} ps"
    )]
    TooSoon {
        /// The data sheet's name of the time.
        parameter: &'static str,
        /// The command.
        command: &'static str,
        /// Bank.
        bank: usize,
        /// Clock edge, from 0.
        cycle: u64,
        /// Time that had passed.
        was_ps: u64,
        /// Time that must have.
        needed_ps: u64,
    },
    /// Something was left undone for too long.
    #[error(
        "cycle {cycle}: {parameter} violated: {was_ps} ps, the data sheet allows {most_ps} ps"
    )]
    TooLate {
        /// The data sheet's name of the time.
        parameter: &'static str,
        /// Clock edge.
        cycle: u64,
        /// Time that has passed.
        was_ps: u64,
        /// Time that may.
        most_ps: u64,
    },
    /// A command that the chip's state does not allow.
    #[error("cycle {cycle}: {command} in bank {bank}: {why}")]
    Illegal {
        /// The command.
        command: &'static str,
        /// Bank.
        bank: usize,
        /// Clock edge.
        cycle: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// Both sides drive the data pins.
    #[error("cycle {cycle}: controller and chip both drive the data pins")]
    Contention {
        /// Clock edge.
        cycle: u64,
    },
    /// The controller did not drive the data of a write.
    #[error("cycle {cycle}: no data on the pins in a write burst")]
    NoData {
        /// Clock edge.
        cycle: u64,
    },
}

/// A defect for tests of self-tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Defect {
    /// A data pin stuck at a level.
    DataStuck {
        /// Pin.
        bit: u8,
        /// Level.
        high: bool,
    },
    /// A row address pin that is always zero.
    RowAddressOpen {
        /// Pin.
        bit: u8,
    },
    /// A bank pin that is always zero.
    BankOpen {
        /// Pin.
        bit: u8,
    },
    /// A mask pin that is always zero: its byte is always written.
    MaskOpen {
        /// Pin.
        lane: u8,
    },
    /// A memory cell that always reads zero: word (as in [`Chip::word`]) and bit.
    Cell {
        /// Word.
        word: u32,
        /// Bit.
        bit: u8,
    },
}

#[derive(Clone, Copy, Default)]
struct Bank {
    row: Option<u16>,
    /// When its last activation and precharge were, and its last word was written.
    activated: Option<u64>,
    precharged: Option<u64>,
    written: Option<u64>,
}

#[derive(Clone, Copy)]
struct Burst {
    write: bool,
    bank: usize,
    row: u16,
    column: u32,
    done: u32,
}

/// What happened at the chip, for measurements.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Rows opened.
    pub activates: u64,
    /// Read bursts.
    pub reads: u64,
    /// Write bursts.
    pub writes: u64,
    /// Refreshes.
    pub refreshes: u64,
}

/// The chip.
pub struct Chip {
    timing: Timing,
    period_ps: u64,
    cycle: u64,
    banks: [Bank; BANKS],
    mode: Option<u64>,
    /// When the last refresh and mode command were, and any activation.
    refreshed: Option<u64>,
    activated: Option<(u64, usize)>,
    /// Refreshes before the mode was set.
    first_refreshes: u32,
    /// Cycle of the first command after power-up's pause.
    awake: Option<u64>,
    /// Refreshes since the mode was set, and when that was.
    refreshes: u64,
    burst: Option<Burst>,
    /// Words on their way to the pins: the one for the next edge first.
    out: VecDeque<Option<u16>>,
    /// The chip drove the pins at the last edge.
    drove: bool,
    words: HashMap<u32, u16>,
    defect: Option<Defect>,
    violation: Option<Violation>,
    counts: Counts,
}

impl Chip {
    /// A chip before power-up, clocked every `period_ps`.
    pub fn new(timing: Timing, period_ps: u64) -> Self {
        Self {
            timing,
            period_ps,
            cycle: 0,
            banks: Default::default(),
            mode: None,
            refreshed: None,
            activated: None,
            first_refreshes: 0,
            awake: None,
            refreshes: 0,
            burst: None,
            out: VecDeque::new(),
            drove: false,
            words: HashMap::new(),
            defect: None,
            violation: None,
            counts: Counts::default(),
        }
    }

    /// Breaks the chip.
    pub fn break_it(&mut self, defect: Defect) {
        self.defect = Some(defect);
    }

    /// The first violation, if there was one.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Clock edges so far.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// A word of the memory, at `(row * BANKS + bank) * COLUMNS + column`: anything before it was
    /// written, but the same every time.
    pub fn word(&self, address: u32) -> u16 {
        let noise = (address.wrapping_mul(0x9E37_79B1) >> 13) as u16;
        let word = self.words.get(&address).copied().unwrap_or(noise);
        match self.defect {
            Some(Defect::Cell { word: broken, bit }) if broken == address => word & !(1 << bit),
            _ => word,
        }
    }

    /// One rising edge of the chip's clock. Gives the data that the chip drives until the next edge
    /// but one's set-up, `None` while its pins are off: what the controller takes in at the edge after
    /// this one. A read's first word comes `CAS latency - 1` edges after its command.
    pub fn clock(&mut self, pins: Pins) -> Option<u16> {
        let result = self.edge(pins);
        if let Err(violation) = result {
            self.violation.get_or_insert(violation);
        }
        let data = self.out.pop_front().flatten();
        self.drove = data.is_some();
        self.cycle += 1;
        match (data, self.defect) {
            (Some(word), Some(Defect::DataStuck { bit, high: false })) => Some(word & !(1 << bit)),
            (Some(word), Some(Defect::DataStuck { bit, high: true })) => Some(word | 1 << bit),
            (data, _) => data,
        }
    }

    fn edge(&mut self, pins: Pins) -> Result<(), Violation> {
        let cycle = self.cycle;
        // The word of the last edge stands on the pins until after this one.
        if pins.dq.is_some() && (self.drove || self.out.front().is_some_and(Option::is_some)) {
            return Err(Violation::Contention { cycle });
        }
        if !pins.cke {
            return Ok(());
        }
        let command = (pins.ras_n, pins.cas_n, pins.we_n);
        if !pins.cs_n && command != (true, true, true) {
            self.command(pins)?;
        }
        self.continue_burst(pins)?;
        if self.mode.is_some() {
            let debt = self.since(self.mode.unwrap_or(0)) / self.timing.refi_ps;
            // As many as may be put off are not said in the data sheet; every row once in 64 ms is. Nine
            // intervals late in a run is more than a controller can plan to make good.
            if debt > self.refreshes + 8 {
                return Err(Violation::TooLate {
                    parameter: "tREFI",
                    cycle,
                    was_ps: self.since(self.refreshed.unwrap_or(0)),
                    most_ps: 8 * self.timing.refi_ps,
                });
            }
        }
        for bank in self.banks {
            let open = bank.row.and(bank.activated).map(|then| self.since(then));
            if open.is_some_and(|was| was > self.timing.ras_max_ps) {
                return Err(Violation::TooLate {
                    parameter: "tRAS max",
                    cycle,
                    was_ps: open.unwrap_or(0),
                    most_ps: self.timing.ras_max_ps,
                });
            }
        }
        Ok(())
    }

    fn since(&self, then: u64) -> u64 {
        (self.cycle - then) * self.period_ps
    }

    /// Checks that `needed_ps` have passed since `then`.
    fn check(
        &self,
        parameter: &'static str,
        command: &'static str,
        bank: usize,
        then: Option<u64>,
        needed_ps: u64,
    ) -> Result<(), Violation> {
        let Some(then) = then else { return Ok(()) };
        let was_ps = self.since(then);
        if was_ps >= needed_ps {
            return Ok(());
        }
        let cycle = self.cycle;
        Err(Violation::TooSoon { parameter, command, bank, cycle, was_ps, needed_ps })
    }

    fn command(&mut self, pins: Pins) -> Result<(), Violation> {
        let (cycle, mut bank) = (self.cycle, usize::from(pins.ba & 3));
        let mut row = pins.a & (ROWS as u16 - 1);
        match self.defect {
            Some(Defect::BankOpen { bit }) => bank &= !(1 << bit),
            Some(Defect::RowAddressOpen { bit }) => row &= !(1 << bit),
            _ => {}
        }
        let name = match (pins.ras_n, pins.cas_n, pins.we_n) {
            (false, true, true) => "ACTIVATE",
            (true, false, true) => "READ",
            (true, false, false) => "WRITE",
            (false, true, false) => "PRECHARGE",
            (false, false, true) => "REFRESH",
            (false, false, false) => "LOAD MODE",
            (true, true, false) => "BURST STOP",
            (true, true, true) => return Ok(()),
        };
        let illegal = |why| Err(Violation::Illegal { command: name, bank, cycle, why });
        if self.awake.is_none() {
            self.check("power-up pause", name, bank, Some(0), self.timing.power_up_ps)?;
            self.awake = Some(cycle);
            if name != "PRECHARGE" || pins.a & 1 << 10 == 0 {
                return illegal("the first command must precharge all banks");
            }
        }
        if name == "BURST STOP" {
            return illegal("not modelled");
        }
        if self.mode.is_none() && matches!(name, "ACTIVATE" | "READ" | "WRITE") {
            return illegal("the mode was never set");
        }
        self.check("tRFC", name, bank, self.refreshed, self.timing.rfc_ps)?;
        let mode_ps = self.timing.mrd_cycles * self.period_ps;
        self.check("tMRD", name, bank, self.mode, mode_ps)?;
        let was = self.banks[bank];
        match name {
            "ACTIVATE" => {
                if was.row.is_some() {
                    return illegal("the bank is open");
                }
                self.check("tRP", name, bank, was.precharged, self.timing.rp_ps)?;
                self.check("tRC", name, bank, was.activated, self.timing.rc_ps)?;
                if let Some((then, _)) = self.activated {
                    self.check("tRRD", name, bank, Some(then), self.timing.rrd_ps)?;
                }
                self.activated = Some((cycle, bank));
                self.banks[bank].row = Some(row);
                self.banks[bank].activated = Some(cycle);
                self.counts.activates += 1;
            }
            "READ" | "WRITE" => {
                let Some(row) = was.row else { return illegal("the bank is closed") };
                if pins.a & 1 << 10 != 0 {
                    return illegal("auto precharge is not modelled");
                }
                if self.burst.is_some_and(|burst| burst.done < BURST) {
                    return illegal("a burst is under way: it would be cut short");
                }
                self.check("tRCD", name, bank, was.activated, self.timing.rcd_ps)?;
                let write = name == "WRITE";
                let column = u32::from(pins.a) & (COLUMNS - 1);
                self.burst = Some(Burst { write, bank, row, column, done: 0 });
                if write {
                    self.counts.writes += 1;
                } else {
                    self.counts.reads += 1;
                }
            }
            "PRECHARGE" => {
                let all = pins.a & 1 << 10 != 0;
                for i in (0..BANKS).filter(|&i| all || i == bank) {
                    let was = self.banks[i];
                    if was.row.is_none() {
                        continue;
                    }
                    let bursting = self.burst.filter(|b| b.bank == i && b.done < BURST);
                    // A read's last words come out although the bank is closed already, if the command
                    // comes no more than the CAS latency less one early.
                    let left = bursting.map_or(0, |b| BURST - b.done);
                    let early =
                        bursting.is_some_and(|b| !b.write) && left < self.timing.cas_latency;
                    if left > 0 && !early {
                        let why = "a burst is under way in the bank";
                        return Err(Violation::Illegal { command: name, bank: i, cycle, why });
                    }
                    self.check("tRAS", name, i, was.activated, self.timing.ras_ps)?;
                    let recovery = self.timing.wr_ps.max(self.timing.wr_cycles * self.period_ps);
                    self.check("tWR", name, i, was.written, recovery)?;
                    self.banks[i].row = None;
                    self.banks[i].precharged = Some(cycle);
                }
                if self.mode.is_none() {
                    self.banks.iter_mut().for_each(|bank| bank.precharged = Some(cycle));
                }
            }
            "REFRESH" | "LOAD MODE" => {
                for (i, bank) in self.banks.iter().enumerate() {
                    if bank.row.is_some() {
                        let why = "a bank is open";
                        return Err(Violation::Illegal { command: name, bank: i, cycle, why });
                    }
                    self.check("tRP", name, i, bank.precharged, self.timing.rp_ps)?;
                }
                if name == "REFRESH" {
                    for i in 0..BANKS {
                        self.check("tRC", name, i, self.banks[i].activated, self.timing.rc_ps)?;
                    }
                    self.refreshed = Some(cycle);
                    self.counts.refreshes += 1;
                    if self.mode.is_some() {
                        self.refreshes += 1;
                    } else {
                        self.first_refreshes += 1;
                    }
                } else {
                    if self.first_refreshes < self.timing.first_refreshes {
                        return illegal("too few refreshes before the mode is set");
                    }
                    if pins.a & 0x7 != 3 || pins.a & 0x8 != 0 {
                        return illegal("only sequential bursts of 8 are modelled");
                    }
                    if u32::from(pins.a >> 4 & 7) != self.timing.cas_latency {
                        return illegal("another CAS latency than the one that is modelled");
                    }
                    if pins.a & 0x200 != 0 || pins.ba != 0 {
                        return illegal("single writes are not modelled");
                    }
                    self.mode = Some(cycle);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The word of this edge's burst.
    fn continue_burst(&mut self, pins: Pins) -> Result<(), Violation> {
        let Some(mut burst) = self.burst.filter(|burst| burst.done < BURST) else {
            self.burst = None;
            return Ok(());
        };
        // A sequential burst wraps within its eight words.
        let column = (burst.column & !(BURST - 1)) | ((burst.column + burst.done) & (BURST - 1));
        let address = (u32::from(burst.row) * BANKS as u32 + burst.bank as u32) * COLUMNS + column;
        burst.done += 1;
        self.burst = Some(burst);
        if burst.write {
            let Some(word) = pins.dq else {
                return Err(Violation::NoData { cycle: self.cycle });
            };
            let word = match self.defect {
                Some(Defect::DataStuck { bit, high: false }) => word & !(1 << bit),
                Some(Defect::DataStuck { bit, high: true }) => word | 1 << bit,
                _ => word,
            };
            let mut dqm = pins.dqm;
            if let Some(Defect::MaskOpen { lane }) = self.defect {
                dqm &= !(1 << lane);
            }
            let mask =
                (if dqm & 1 == 0 { 0xFF } else { 0 }) | (if dqm & 2 == 0 { 0xFF00 } else { 0 });
            let merged = (self.word(address) & !mask) | (word & mask);
            self.words.insert(address, merged);
            self.banks[burst.bank].written = Some(self.cycle);
        } else {
            // A read's mask comes two edges before the word it is for; this model wants it clear.
            if pins.dqm != 0 {
                let (bank, cycle) = (burst.bank, self.cycle);
                let why = "masked reads are not modelled";
                return Err(Violation::Illegal { command: "READ", bank, cycle, why });
            }
            let at = self.timing.cas_latency as usize - 1;
            while self.out.len() <= at {
                self.out.push_back(None);
            }
            self.out[at] = Some(self.word(address));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
