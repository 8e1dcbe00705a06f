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

#[derive(Clone, Copy, Default)]
struct Bank {
    open: bool,
    row: u32,
    activate_from: u64,
    cas_from: u64,
    precharge_from: u64,
}

/// Earliest clocks for a kind of command: in any group, and in each group.
#[derive(Clone, Copy, Default)]
struct Spacing {
    any: u64,
    group: [u64; MAX_GROUPS],
}

impl Spacing {
    #[inline]
    fn from(&self, group: usize) -> u64 {
        self.any.max(self.group[group])
    }

    #[inline]
    fn hold(&mut self, group: usize, any: u64, same_group: u64) {
        self.any = self.any.max(any);
        self.group[group] = self.group[group].max(same_group);
    }
}

/// The state of the rank. Every `*_from` is the first clock in which a command is legal; the
/// caller issues nothing before it.
pub(super) struct Device {
    timing: Timing,
    banks_per_group_log2: u32,
    bank_count: usize,
    banks: [Bank; MAX_BANKS],
    /// Banks with an open row, one bit each.
    open: u32,
    activate: Spacing,
    read: Spacing,
    write: Spacing,
    /// Clocks of the last four activates, the oldest at `next_activate`.
    last_activates: [u64; 4],
    next_activate: usize,
}

impl Device {
    pub fn new(config: &DramConfig) -> Self {
        Self {
            timing: config.timing,
            banks_per_group_log2: config.geometry.banks_per_group.ilog2(),
            bank_count: config.geometry.banks() as usize,
            banks: [Bank::default(); MAX_BANKS],
            open: 0,
            activate: Spacing::default(),
            read: Spacing::default(),
            write: Spacing::default(),
            last_activates: [0; 4],
            next_activate: 0,
        }
    }

    #[inline]
    fn group(&self, bank: usize) -> usize {
        bank >> self.banks_per_group_log2
    }

    #[inline]
    pub fn open_row(&self, bank: usize) -> Option<u32> {
        self.banks[bank].open.then(|| self.banks[bank].row)
    }

    /// Banks with an open row, one bit each.
    #[inline]
    pub fn open_banks(&self) -> u32 {
        self.open
    }

    #[inline]
    pub fn activate_from(&self, bank: usize) -> u64 {
        self.banks[bank]
            .activate_from
            .max(self.activate.from(self.group(bank)))
    }

    #[inline]
    pub fn read_from(&self, bank: usize) -> u64 {
        self.banks[bank]
            .cas_from
            .max(self.read.from(self.group(bank)))
    }

    #[inline]
    pub fn write_from(&self, bank: usize) -> u64 {
        self.banks[bank]
            .cas_from
            .max(self.write.from(self.group(bank)))
    }

    #[inline]
    pub fn precharge_from(&self, bank: usize) -> u64 {
        self.banks[bank].precharge_from
    }

    /// For the banks that have a row open.
    pub fn precharge_all_from(&self) -> u64 {
        let open = self.banks[..self.bank_count].iter().filter(|b| b.open);
        open.map(|b| b.precharge_from).max().unwrap_or(0)
    }

    /// With all banks precharged. Like an activate of every bank: tRP, tRC and tRFC hold.
    pub fn refresh_from(&self) -> u64 {
        let banks = self.banks[..self.bank_count].iter();
        banks.map(|b| b.activate_from).max().unwrap_or(0)
    }

    #[inline]
    pub fn activate(&mut self, now: u64, bank: usize, row: u32) {
        let t = &self.timing;
        let group = self.group(bank);
        let state = &mut self.banks[bank];
        state.open = true;
        state.row = row;
        state.activate_from = now + t.rc;
        state.cas_from = now + t.rcd;
        state.precharge_from = now + t.ras;
        self.open |= 1 << bank;
        self.last_activates[self.next_activate] = now + t.faw;
        self.next_activate = (self.next_activate + 1) % 4;
        // The oldest of the last four: the next activate is the fifth in its window.
        let any = (now + t.rrd_s).max(self.last_activates[self.next_activate]);
        self.activate.hold(group, any, now + t.rrd_l);
    }

    #[inline]
    pub fn precharge(&mut self, now: u64, bank: usize) {
        let state = &mut self.banks[bank];
        state.open = false;
        state.activate_from = state.activate_from.max(now + self.timing.rp);
        self.open &= !(1 << bank);
    }

    /// Closes every open row.
    pub fn precharge_all(&mut self, now: u64) {
        for bank in 0..self.bank_count {
            if self.banks[bank].open {
                self.precharge(now, bank);
            }
        }
    }

    #[inline]
    pub fn read(&mut self, now: u64, bank: usize) {
        let t = &self.timing;
        let group = self.group(bank);
        self.read
            .hold(group, now + t.ccd_s.max(t.burst), now + t.ccd_l);
        let write = now + t.read_to_write();
        self.write.hold(group, write, write);
        let state = &mut self.banks[bank];
        state.precharge_from = state.precharge_from.max(now + t.rtp);
    }

    #[inline]
    pub fn write(&mut self, now: u64, bank: usize) {
        let t = &self.timing;
        let group = self.group(bank);
        self.write
            .hold(group, now + t.ccd_s.max(t.burst), now + t.ccd_l);
        self.read
            .hold(group, now + t.write_to_read_s(), now + t.write_to_read_l());
        let state = &mut self.banks[bank];
        state.precharge_from = state.precharge_from.max(now + t.write_to_precharge());
    }

    pub fn refresh(&mut self, now: u64) {
        for bank in &mut self.banks[..self.bank_count] {
            bank.activate_from = now + self.timing.rfc;
        }
    }
}
