//! The rank: which row each bank has open, and from which clock on each command is legal.

use super::config::{DramConfig, Timing, MAX_BANKS, MAX_GROUPS};

/// A DRAM command as it stands on the command bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DramCommand {
    /// Activate: open `row` of `bank`.
    Activate {
        /// Bank within the rank, as in [`Location`](super::Location).
        bank: u8,
        /// The row.
        row: u32,
    },
    /// Precharge one bank: close its row.
    Precharge {
        /// Bank within the rank.
        bank: u8,
    },
    /// Precharge all banks.
    PrechargeAll,
    /// Read a burst of eight from the open row.
    Read {
        /// Bank within the rank.
        bank: u8,
        /// Line within the row.
        column: u32,
    },
    /// Write a burst of eight to the open row.
    Write {
        /// Bank within the rank.
        bank: u8,
        /// Line within the row.
        column: u32,
    },
    /// Refresh all banks.
    Refresh,
}

/// A command and the clock in which it was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuedCommand {
    /// Memory clock.
    pub clock: u64,
    /// The command.
    pub command: DramCommand,
}

/// Earliest clocks for a kind of command: in any group, and in each group.
#[derive(Clone, Copy, Default)]
struct Spacing {
    any: u64,
    group: [u64; MAX_GROUPS],
}

impl Spacing {
    #[inline]
    fn hold(&mut self, group: usize, any: u64, same_group: u64) {
        self.any = self.any.max(any);
        self.group[group] = self.group[group].max(same_group);
    }

    #[inline]
    fn from(&self, group: usize) -> u64 {
        self.any.max(self.group[group])
    }
}

/// The state of the rank. Every `*_from` is the first clock in which a command is legal; the
/// caller issues nothing before it.
pub(super) struct Device {
    timing: Timing,
    banks_per_group_log2: u32,
    bank_count: usize,
    /// Banks with an open row, one bit each, and the row.
    open: u32,
    row: [u32; MAX_BANKS],
    /// What each bank itself allows.
    bank_activate_from: [u64; MAX_BANKS],
    bank_cas_from: [u64; MAX_BANKS],
    bank_precharge_from: [u64; MAX_BANKS],
    /// What the other banks leave.
    activate: Spacing,
    read: Spacing,
    write: Spacing,
    /// First clocks after the tFAW of the last four activates, the oldest at `next_activate`.
    window_ends: [u64; 4],
    next_activate: usize,
}

impl Device {
    pub fn new(config: &DramConfig) -> Self {
        Self {
            timing: config.timing,
            banks_per_group_log2: config.geometry.banks_per_group.ilog2(),
            bank_count: config.geometry.banks() as usize,
            open: 0,
            row: [0; MAX_BANKS],
            bank_activate_from: [0; MAX_BANKS],
            bank_cas_from: [0; MAX_BANKS],
            bank_precharge_from: [0; MAX_BANKS],
            activate: Spacing::default(),
            read: Spacing::default(),
            write: Spacing::default(),
            window_ends: [0; 4],
            next_activate: 0,
        }
    }

    #[inline]
    fn group(&self, bank: usize) -> usize {
        bank >> self.banks_per_group_log2
    }

    #[inline]
    pub fn open_row(&self, bank: usize) -> Option<u32> {
        self.is_open(bank).then(|| self.row[bank])
    }

    #[inline]
    pub fn is_open(&self, bank: usize) -> bool {
        self.open >> bank & 1 == 1
    }

    /// Banks with an open row, one bit each.
    #[inline]
    pub fn open_banks(&self) -> u32 {
        self.open
    }

    /// No bank can be read (or written) before this clock; a particular one maybe only later.
    #[inline]
    pub fn any_access_from(&self, write: bool) -> u64 {
        if write { &self.write } else { &self.read }.any
    }

    /// Read (or write) of the bank's open row.
    #[inline]
    pub fn access_from(&self, write: bool, bank: usize) -> u64 {
        let spacing = if write { &self.write } else { &self.read };
        self.bank_cas_from[bank].max(spacing.from(self.group(bank)))
    }

    /// No bank can be activated before this clock; a particular one maybe only later.
    #[inline]
    pub fn any_activate_from(&self) -> u64 {
        self.activate.any
    }

    #[inline]
    pub fn activate_from(&self, bank: usize) -> u64 {
        self.bank_activate_from[bank].max(self.activate.from(self.group(bank)))
    }

    #[inline]
    pub fn precharge_from(&self, bank: usize) -> u64 {
        self.bank_precharge_from[bank]
    }

    /// For the banks that have a row open.
    pub fn precharge_all_from(&self) -> u64 {
        let open = (0..self.bank_count).filter(|&bank| self.is_open(bank));
        open.map(|bank| self.bank_precharge_from[bank]).max().unwrap_or(0)
    }

    /// With all banks precharged. Like an activate of every bank: tRP, tRC and tRFC hold.
    pub fn refresh_from(&self) -> u64 {
        let banks = self.bank_activate_from[..self.bank_count].iter();
        banks.copied().max().unwrap_or(0)
    }

    #[inline]
    pub fn activate(&mut self, now: u64, bank: usize, row: u32) {
        let t = &self.timing;
        self.open |= 1 << bank;
        self.row[bank] = row;
        self.bank_activate_from[bank] = now + t.rc;
        self.bank_cas_from[bank] = now + t.rcd;
        self.bank_precharge_from[bank] = now + t.ras;
        self.window_ends[self.next_activate] = now + t.faw;
        self.next_activate = (self.next_activate + 1) % 4;
        let any = (now + t.rrd_s).max(self.window_ends[self.next_activate]);
        let same_group = now + t.rrd_l;
        self.activate.hold(self.group(bank), any, same_group);
    }

    #[inline]
    pub fn precharge(&mut self, now: u64, bank: usize) {
        self.open &= !(1 << bank);
        let from = &mut self.bank_activate_from[bank];
        *from = (*from).max(now + self.timing.rp);
    }

    /// Closes every open row.
    pub fn precharge_all(&mut self, now: u64) {
        for bank in 0..self.bank_count {
            if self.is_open(bank) {
                self.precharge(now, bank);
            }
        }
    }

    #[inline]
    pub fn read(&mut self, now: u64, bank: usize) {
        let t = &self.timing;
        let group = self.group(bank);
        self.read.hold(group, now + t.ccd_s.max(t.burst), now + t.ccd_l);
        let write = now + t.read_to_write();
        self.write.hold(group, write, write);
        let from = &mut self.bank_precharge_from[bank];
        *from = (*from).max(now + t.rtp);
    }

    #[inline]
    pub fn write(&mut self, now: u64, bank: usize) {
        let t = &self.timing;
        let group = self.group(bank);
        self.write.hold(group, now + t.ccd_s.max(t.burst), now + t.ccd_l);
        self.read.hold(group, now + t.write_to_read_s(), now + t.write_to_read_l());
        let from = &mut self.bank_precharge_from[bank];
        *from = (*from).max(now + t.write_to_precharge());
    }

    pub fn refresh(&mut self, now: u64) {
        self.bank_activate_from.fill(now + self.timing.rfc);
    }
}
