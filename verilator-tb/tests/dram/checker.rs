//! Replays a command log and checks every timing rule between every pair of commands.
//!
//! Written against the standards and not against the model: its numbers are typed in, it keeps no
//! "earliest clock" but compares each command with all before it that are near enough to matter.

use verilator_tb::dram::{DramCommand as C, IssuedCommand, Preset};

/// Clocks, as on the first page of a data sheet.
pub struct Rules {
    pub banks_per_group: u8,
    pub banks: u8,
    pub cl: i64,
    pub cwl: i64,
    pub rcd: i64,
    pub rp: i64,
    pub ras: i64,
    pub rc: i64,
    pub rrd_s: i64,
    pub rrd_l: i64,
    pub faw: i64,
    pub ccd_s: i64,
    pub ccd_l: i64,
    pub wtr_s: i64,
    pub wtr_l: i64,
    pub wr: i64,
    pub rtp: i64,
    pub rfc: i64,
    pub refi: i64,
}

const BURST: i64 = 4;
/// No rule reaches back further than tRFC.
const HORIZON: i64 = 500;

impl Rules {
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Ddr4_2400 => Rules {
                banks_per_group: 4,
                banks: 16,
                cl: 17,
                cwl: 12,
                rcd: 17,
                rp: 17,
                ras: 39,
                rc: 56,
                rrd_s: 4,
                rrd_l: 6,
                faw: 26,
                ccd_s: 4,
                ccd_l: 6,
                wtr_s: 3,
                wtr_l: 9,
                wr: 18,
                rtp: 9,
                rfc: 420,
                refi: 9360,
            },
            Preset::Ddr3_1600 => Rules {
                banks_per_group: 8,
                banks: 8,
                cl: 11,
                cwl: 8,
                rcd: 11,
                rp: 11,
                ras: 28,
                rc: 39,
                rrd_s: 6,
                rrd_l: 6,
                faw: 32,
                ccd_s: 4,
                ccd_l: 4,
                wtr_s: 6,
                wtr_l: 6,
                wr: 12,
                rtp: 6,
                rfc: 280,
                refi: 6240,
            },
        }
    }

    /// The clocks that must lie between `first` and a later `second`, and the rule's name.
    fn between(&self, first: C, second: C) -> Option<(i64, &'static str)> {
        let group = |bank: u8| bank / self.banks_per_group;
        let by_group = |a: u8, b: u8, long, short| if group(a) == group(b) { long } else { short };
        Some(match (first, second) {
            (C::Activate { bank: a, .. }, C::Activate { bank: b, .. }) if a == b => {
                (self.rc, "tRC")
            }
            (C::Activate { bank: a, .. }, C::Activate { bank: b, .. }) => {
                (by_group(a, b, self.rrd_l, self.rrd_s), "tRRD")
            }
            (C::Activate { bank: a, .. }, C::Read { bank: b, .. } | C::Write { bank: b, .. })
                if a == b =>
            {
                (self.rcd, "tRCD")
            }
            (C::Activate { bank: a, .. }, C::Precharge { bank: b }) if a == b => (self.ras, "tRAS"),
            (C::Activate { .. }, C::PrechargeAll) => (self.ras, "tRAS"),
            (C::Activate { .. }, C::Refresh) => (self.rc, "tRC"),
            (C::Precharge { bank: a }, C::Activate { bank: b, .. }) if a == b => (self.rp, "tRP"),
            (C::PrechargeAll, C::Activate { .. }) => (self.rp, "tRP"),
            (C::Precharge { .. } | C::PrechargeAll, C::Refresh) => (self.rp, "tRP"),
            (C::Read { bank: a, .. }, C::Read { bank: b, .. })
            | (C::Write { bank: a, .. }, C::Write { bank: b, .. }) => {
                (by_group(a, b, self.ccd_l, self.ccd_s), "tCCD")
            }
            (C::Read { .. }, C::Write { .. }) => (self.cl + BURST + 2 - self.cwl, "read to write"),
            (C::Write { bank: a, .. }, C::Read { bank: b, .. }) => {
                (self.cwl + BURST + by_group(a, b, self.wtr_l, self.wtr_s), "tWTR")
            }
            (C::Read { bank: a, .. }, C::Precharge { bank: b }) if a == b => (self.rtp, "tRTP"),
            (C::Read { .. }, C::PrechargeAll) => (self.rtp, "tRTP"),
            (C::Write { bank: a, .. }, C::Precharge { bank: b }) if a == b => {
                (self.cwl + BURST + self.wr, "tWR")
            }
            (C::Write { .. }, C::PrechargeAll) => (self.cwl + BURST + self.wr, "tWR"),
            (C::Refresh, C::Activate { .. } | C::Refresh) => (self.rfc, "tRFC"),
            _ => return None,
        })
    }

    /// Checks a log that starts in clock 0 with all banks precharged and ends in clock `end`.
    ///
    /// # Errors
    /// The first rule that is broken, and where.
    pub fn check(&self, log: &[IssuedCommand], end: u64) -> Result<(), String> {
        self.check_pairs(log)?;
        self.check_activate_window(log)?;
        self.check_rows(log)?;
        self.check_data_bus(log)?;
        self.check_refresh(log, end as i64)
    }

    fn check_pairs(&self, log: &[IssuedCommand]) -> Result<(), String> {
        for (index, second) in log.iter().enumerate() {
            for first in log[..index].iter().rev() {
                let distance = second.clock as i64 - first.clock as i64;
                if distance > HORIZON {
                    break;
                }
                if distance < 1 {
                    return Err(format!("{first:?} and {second:?} share the command bus"));
                }
                if let Some((needed, rule)) = self.between(first.command, second.command) {
                    if distance < needed {
                        return Err(format!(
                            "{rule}: {first:?} then {second:?}, {distance} < {needed} clocks"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn check_activate_window(&self, log: &[IssuedCommand]) -> Result<(), String> {
        let activates: Vec<_> =
            log.iter().filter(|c| matches!(c.command, C::Activate { .. })).collect();
        for five in activates.windows(5) {
            if ((five[4].clock - five[0].clock) as i64) < self.faw {
                return Err(format!("tFAW: {:?} to {:?}", five[0], five[4]));
            }
        }
        Ok(())
    }

    /// Reads and writes go to open rows, activates to precharged banks, refreshes to a precharged
    /// rank.
    fn check_rows(&self, log: &[IssuedCommand]) -> Result<(), String> {
        let mut open = vec![false; self.banks as usize];
        for issued in log {
            let legal = match issued.command {
                C::Activate { bank, .. } => !std::mem::replace(&mut open[bank as usize], true),
                C::Precharge { bank } => std::mem::replace(&mut open[bank as usize], false),
                C::PrechargeAll => {
                    open.fill(false);
                    true
                }
                C::Read { bank, .. } | C::Write { bank, .. } => open[bank as usize],
                C::Refresh => !open.contains(&true),
            };
            if !legal {
                return Err(format!("row state: {issued:?}"));
            }
        }
        Ok(())
    }

    fn check_data_bus(&self, log: &[IssuedCommand]) -> Result<(), String> {
        let mut busy_until = 0;
        for issued in log {
            let delay = match issued.command {
                C::Read { .. } => self.cl,
                C::Write { .. } => self.cwl,
                _ => continue,
            };
            let start = issued.clock as i64 + delay;
            if start < busy_until {
                return Err(format!("data bus: {issued:?} starts before {busy_until}"));
            }
            busy_until = start + BURST;
        }
        Ok(())
    }

    /// Refresh `n` is out as soon after `n` tREFI as the slowest precharge allows.
    fn check_refresh(&self, log: &[IssuedCommand], end: i64) -> Result<(), String> {
        let slack = self.ras + self.cwl + BURST + self.wr + self.rp;
        let mut due = self.refi;
        for issued in log.iter().filter(|c| c.command == C::Refresh) {
            let clock = issued.clock as i64;
            if clock < due || clock > due + slack {
                return Err(format!("tREFI: {issued:?} is due in {due}"));
            }
            due += self.refi;
        }
        if due + slack < end {
            return Err(format!("tREFI: the refresh due in {due} is missing"));
        }
        Ok(())
    }
}
