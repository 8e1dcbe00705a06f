//! The memory controller: read and write queues, FR-FCFS, write draining, ageing, refresh.
//!
//! Per memory clock it issues at most one command. In order of priority:
//!
//! 1. Refresh. From the clock in which it is due on, no other command is issued until all banks
//!    are precharged (PREA, if any row is open) and REF is out. None is postponed or pulled in.
//! 2. The oldest request of the queue being served, if it has waited longer than the age cap.
//! 3. The oldest request whose row is open and whose read or write command is legal now.
//! 4. The oldest request whose activate or precharge is legal now. A row is closed only when no
//!    request of the queue being served waits for it (open page), or an aged one needs the bank.
//!
//! Reads are served unless writes are being drained: from the high watermark down to the low one,
//! or whenever no read waits. A request beyond the age cap turns the service to its queue.
//!
//! Requests to one line keep their order. A read of a line whose 64 bytes all wait in the write
//! queue is answered from there in the next clock; if only some of them wait, it reads the device
//! and is merged on its way back. A write waits until older reads of its line were issued.

use super::config::{ConfigError, ControllerConfig, DramConfig, MAX_BANKS};
use super::device::{Device, DramCommand, IssuedCommand};
use super::mapping::AddressMapping;
use super::queue::{bits, Entry, RequestQueue, MAX_QUEUE};
use super::stats::DramStats;
use std::collections::VecDeque;

/// A request to the controller: one 64-byte line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the requester, given back in [`Done`].
    pub id: u32,
    /// Write if true, read if false.
    pub write: bool,
    /// Line number: byte address / 64. Beyond the rank it wraps.
    pub line: u64,
    /// Bytes that a write covers, bit `i` for byte `i`; ignored for a read.
    pub mask: u64,
}

/// A request that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// The request's name.
    pub id: u32,
    /// For a read, the clock after its last data beat. For a write, the one after its acceptance:
    /// writes are posted.
    pub clock: u64,
}

/// The older of `best` and the oldest of the entries in `mask`, which is not empty.
#[inline]
fn older(best: Option<usize>, mask: u64) -> Option<usize> {
    let index = mask.trailing_zeros() as usize;
    Some(best.map_or(index, |best| best.min(index)))
}

/// A controller and its rank, in memory clocks. It carries no data: see
/// [`TimedDram`](super::TimedDram) for a memory with contents.
pub struct Controller {
    config: ControllerConfig,
    mapping: AddressMapping,
    device: Device,
    reads: RequestQueue,
    writes: RequestQueue,
    draining: bool,
    /// Requests accepted so far: the order of the next one.
    accepted: u64,
    now: u64,
    /// No command can be issued before this clock, unless a request arrives.
    next_try: u64,
    refresh_due: u64,
    refi: u64,
    burst: u64,
    read_delay: u64,
    write_delay: u64,
    /// First clock after all data of issued commands.
    data_end: u64,
    device_done: VecDeque<Done>,
    early_done: VecDeque<Done>,
    log: Option<Vec<IssuedCommand>>,
    stats: DramStats,
}

impl Controller {
    /// A controller in clock 0 with all banks precharged, its first refresh due at tREFI.
    ///
    /// # Errors
    /// If `config` cannot be built, see [`DramConfig::check`].
    pub fn new(config: &DramConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let t = config.timing;
        let in_flight = 2 * MAX_QUEUE;
        Ok(Self {
            config: config.controller,
            mapping: config.mapping.clone(),
            device: Device::new(config),
            reads: RequestQueue::new(config.controller.read_queue),
            writes: RequestQueue::new(config.controller.write_queue),
            draining: false,
            accepted: 0,
            now: 0,
            next_try: t.refi,
            refresh_due: t.refi,
            refi: t.refi,
            burst: t.burst,
            read_delay: t.cl + t.burst,
            write_delay: t.cwl + t.burst,
            data_end: 0,
            device_done: VecDeque::with_capacity(in_flight),
            early_done: VecDeque::with_capacity(in_flight),
            log: None,
            stats: DramStats::default(),
        })
    }

    /// From now on keeps every command for [`commands`](Self::commands).
    pub fn log_commands(&mut self) {
        self.log.get_or_insert_default();
    }

    /// Commands issued since [`log_commands`](Self::log_commands), in order.
    pub fn commands(&self) -> &[IssuedCommand] {
        self.log.as_deref().unwrap_or_default()
    }

    /// The current memory clock: requests pushed now arrive in it.
    pub fn clock(&self) -> u64 {
        self.now
    }

    /// Whether the queue for writes (or reads) has room.
    #[inline]
    pub fn can_accept(&self, write: bool) -> bool {
        !if write { &self.writes } else { &self.reads }.is_full()
    }

    /// Requests queued, or read and not yet given back by [`pop_done`](Self::pop_done).
    pub fn pending(&self) -> usize {
        self.reads.len() + self.writes.len() + self.device_done.len() + self.early_done.len()
    }

    /// First clock after the data of everything issued so far.
    pub fn data_end(&self) -> u64 {
        self.data_end
    }

    /// What was counted so far, in memory clocks.
    pub fn stats(&self) -> &DramStats {
        &self.stats
    }

    pub(super) fn stats_mut(&mut self) -> &mut DramStats {
        &mut self.stats
    }

    /// Accepts a request in the current clock; its first command may be issued in the same one.
    ///
    /// # Panics
    /// If [`can_accept`](Self::can_accept) is false for it.
    pub fn push(&mut self, request: Request) {
        let place = self.mapping.locate(request.line);
        let bank = place.bank as usize;
        let mut entry = Entry {
            arrival: self.now,
            line: request.line,
            mask: request.mask,
            id: request.id,
            row: place.row,
            column: place.column,
            bank: place.bank,
            order: self.accepted,
            precharged: false,
            activated: false,
            same_line: 0,
        };
        self.accepted += 1;
        let hit = self.device.open_row(bank) == Some(place.row);
        let done = Done { id: request.id, clock: self.now + 1 };
        if request.write {
            self.stats.writes += 1;
            for index in bits(self.reads.same_line(bank, request.line)) {
                self.reads.entry_mut(index).same_line = 1;
                entry.same_line += 1;
            }
            self.writes.push(entry, hit, entry.same_line > 0);
            self.early_done.push_back(done);
        } else {
            self.stats.reads += 1;
            let covered = bits(self.writes.same_line(bank, request.line))
                .fold(0, |mask, index| mask | self.writes.entry(index).mask);
            if covered == !0 {
                self.stats.forwarded_reads += 1;
                self.stats.read_latency.record(1);
                self.early_done.push_back(done);
                return;
            }
            self.reads.push(entry, hit, false);
        }
        self.next_try = self.now;
    }

    /// Lets the clocks before `clock` pass; none if it is not later than the current one.
    #[inline]
    pub fn advance_to(&mut self, clock: u64) {
        while self.next_try < clock {
            self.pass_until(self.next_try);
            self.next_try = self.schedule();
        }
        self.pass_until(clock.max(self.now));
    }

    /// Takes a request that was answered in or before the current clock.
    #[inline]
    pub fn pop_done(&mut self) -> Option<Done> {
        for queue in [&mut self.early_done, &mut self.device_done] {
            match queue.front() {
                Some(done) if done.clock <= self.now => return queue.pop_front(),
                _ => {}
            }
        }
        None
    }

    /// A later clock up to which nothing happens that [`pop_done`](Self::pop_done) or
    /// [`can_accept`](Self::can_accept) would show, unless a request arrives.
    pub fn next_event(&self) -> u64 {
        [&self.early_done, &self.device_done]
            .into_iter()
            .filter_map(|queue| queue.front())
            .map(|done| done.clock)
            .fold(self.next_try + 1, u64::min)
            .max(self.now + 1)
    }

    fn pass_until(&mut self, clock: u64) {
        let clocks = clock - self.now;
        self.stats.clocks += clocks;
        self.stats.busy_clocks += if self.reads.len() + self.writes.len() > 0 {
            clocks
        } else {
            self.data_end.saturating_sub(self.now).min(clocks)
        };
        self.now = clock;
    }

    /// Issues at most one command in the current clock, and says in which clock to try again.
    fn schedule(&mut self) -> u64 {
        if self.now >= self.refresh_due {
            return self.refresh();
        }
        let Some(write) = self.choose_queue() else {
            return self.refresh_due;
        };
        let mut wake = self.next_ageing().min(self.refresh_due);
        let mut banks = !0;
        let queue = if write { &self.writes } else { &self.reads };
        let (oldest, bank) = (queue.entry(0), queue.entry(0).bank as usize);
        if self.is_aged(oldest.arrival) && queue.issuable(bank) & 1 == 1 {
            let from = self.next_command_from(write, bank, oldest.row);
            if from <= self.now {
                self.issue(write, 0);
                return self.now + 1;
            }
            wake = wake.min(from);
            // Nothing else of its bank may delay it.
            banks = !(1 << bank);
        }
        let best = self
            .best_row_hit(write, banks, &mut wake)
            .or_else(|| self.best_row_command(write, banks, &mut wake));
        match best {
            Some(index) => {
                self.issue(write, index);
                self.now + 1
            }
            None => wake,
        }
    }

    /// The oldest request of `banks` whose read (or write) command is legal now; if there is none,
    /// lowers `wake` to a clock before which there is none either.
    #[inline]
    fn best_row_hit(&self, write: bool, banks: u32, wake: &mut u64) -> Option<usize> {
        let queue = if write { &self.writes } else { &self.reads };
        let banks = queue.hit_banks() & banks;
        let any_from = self.device.any_access_from(write);
        if banks == 0 || any_from > self.now {
            if banks != 0 {
                *wake = any_from.min(*wake);
            }
            return None;
        }
        let mut best = None;
        for bank in bits(u64::from(banks)) {
            let from = self.device.access_from(write, bank);
            if from <= self.now {
                best = older(best, queue.hits(bank));
            } else {
                *wake = from.min(*wake);
            }
        }
        best
    }

    /// The oldest request of `banks` whose activate or precharge is legal now, in a bank without
    /// row hits; `wake` as above.
    #[inline]
    fn best_row_command(&self, write: bool, banks: u32, wake: &mut u64) -> Option<usize> {
        let queue = if write { &self.writes } else { &self.reads };
        let banks = queue.waiting_banks() & !queue.hit_banks() & banks;
        let open = self.device.open_banks();
        let mut best = None;
        for bank in bits(u64::from(banks & open)) {
            let from = self.device.precharge_from(bank);
            if from <= self.now {
                best = older(best, queue.issuable(bank));
            } else {
                *wake = from.min(*wake);
            }
        }
        let any_from = self.device.any_activate_from();
        if banks & !open == 0 || any_from > self.now {
            if banks & !open != 0 {
                *wake = any_from.min(*wake);
            }
            return best;
        }
        for bank in bits(u64::from(banks & !open)) {
            let from = self.device.activate_from(bank);
            if from <= self.now {
                best = older(best, queue.issuable(bank));
            } else {
                *wake = from.min(*wake);
            }
        }
        best
    }

    /// When the command is legal that an access to `row` needs next.
    fn next_command_from(&self, write: bool, bank: usize, row: u32) -> u64 {
        match self.device.open_row(bank) {
            Some(open) if open == row => self.device.access_from(write, bank),
            Some(_) => self.device.precharge_from(bank),
            None => self.device.activate_from(bank),
        }
    }

    /// Which queue to serve: writes if true. None if nothing may be issued.
    fn choose_queue(&mut self) -> Option<bool> {
        if self.draining && self.writes.len() <= self.config.write_low {
            self.draining = false;
        } else if self.writes.len() >= self.config.write_high {
            self.draining = true;
        }
        match (self.reads.oldest_arrival(), self.writes.oldest_arrival()) {
            (None, None) => None,
            (Some(_), None) => Some(false),
            (None, Some(_)) => Some(true),
            // Reads are never blocked, so there is always something to do in one of the queues.
            (Some(_), Some(_)) if !self.writes.has_issuable() => Some(false),
            (Some(read), Some(write)) if self.is_aged(read.min(write)) => Some(write < read),
            _ => Some(self.draining),
        }
    }

    #[inline]
    fn is_aged(&self, arrival: u64) -> bool {
        self.now - arrival > self.config.age_cap
    }

    /// The next clock in which a request crosses the age cap and may change what is chosen.
    #[inline]
    fn next_ageing(&self) -> u64 {
        [self.reads.oldest_arrival(), self.writes.oldest_arrival()]
            .into_iter()
            .flatten()
            .map(|arrival| arrival + self.config.age_cap + 1)
            .filter(|&clock| clock > self.now)
            .min()
            .unwrap_or(u64::MAX)
    }

    fn refresh(&mut self) -> u64 {
        if self.device.open_banks() != 0 {
            let from = self.device.precharge_all_from();
            if from > self.now {
                return from;
            }
            self.device.precharge_all(self.now);
            for bank in 0..MAX_BANKS {
                self.reads.row_closed(bank);
                self.writes.row_closed(bank);
            }
            self.record(DramCommand::PrechargeAll);
        } else {
            let from = self.device.refresh_from();
            if from > self.now {
                return from;
            }
            self.device.refresh(self.now);
            self.refresh_due += self.refi;
            self.stats.refreshes += 1;
            self.record(DramCommand::Refresh);
        }
        self.now + 1
    }

    /// Issues the command that an entry needs next.
    fn issue(&mut self, write: bool, index: usize) {
        let queue = if write { &mut self.writes } else { &mut self.reads };
        let entry = queue.entry_mut(index);
        let (row, number) = (entry.row, entry.bank);
        let bank = number as usize;
        match self.device.open_row(bank) {
            Some(open) if open == row => self.access(write, index),
            Some(_) => {
                entry.precharged = true;
                self.stats.precharges += 1;
                self.device.precharge(self.now, bank);
                self.reads.row_closed(bank);
                self.writes.row_closed(bank);
                self.record(DramCommand::Precharge { bank: number });
            }
            None => {
                entry.activated = true;
                self.stats.activates += 1;
                self.device.activate(self.now, bank, row);
                self.reads.row_opened(bank, row);
                self.writes.row_opened(bank, row);
                self.record(DramCommand::Activate { bank: number, row });
            }
        }
    }

    /// Issues the read or write command of an entry, which leaves its queue.
    fn access(&mut self, write: bool, index: usize) {
        let queue = if write { &mut self.writes } else { &mut self.reads };
        let entry = queue.remove(index);
        let bank = entry.bank as usize;
        match (entry.activated, entry.precharged) {
            (false, _) => self.stats.row_hits += 1,
            (true, false) => self.stats.row_misses += 1,
            (true, true) => self.stats.row_conflicts += 1,
        }
        self.stats.data_clocks += self.burst;
        if write {
            self.device.write(self.now, bank);
            self.data_end = self.now + self.write_delay;
            self.record(DramCommand::Write { bank: entry.bank, column: entry.column });
            return;
        }
        self.device.read(self.now, bank);
        self.data_end = self.now + self.read_delay;
        self.stats.read_latency.record(self.data_end - entry.arrival);
        self.device_done.push_back(Done { id: entry.id, clock: self.data_end });
        if entry.same_line > 0 {
            for index in bits(self.writes.same_line(bank, entry.line)) {
                if self.writes.entry(index).order > entry.order {
                    self.writes.unblock_one(index);
                }
            }
        }
        self.record(DramCommand::Read { bank: entry.bank, column: entry.column });
    }

    #[inline]
    fn record(&mut self, command: DramCommand) {
        if let Some(log) = &mut self.log {
            log.push(IssuedCommand { clock: self.now, command });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;
    use rand::{rngs::SmallRng, Rng, SeedableRng};

    /// Random requests; with `eager` the scheduler looks at every single clock.
    fn commands(seed: u64, eager: bool) -> Result<(Vec<IssuedCommand>, DramStats), ConfigError> {
        let mut config = Preset::Ddr4_2400.config();
        config.controller.age_cap = 150;
        let mut controller = Controller::new(&config)?;
        controller.log_commands();
        let mut rng = SmallRng::seed_from_u64(seed);
        for id in 0..5000 {
            let write = rng.random_bool(0.5);
            let spread = if rng.random() { 512 } else { 1 << 20 };
            let line = rng.random_range(0..spread);
            let pause = if rng.random_bool(0.05) { rng.random_range(0..300) } else { 4 };
            let mut wait = pause;
            while wait > 0 || !controller.can_accept(write) {
                wait = wait.max(1) - 1;
                if eager {
                    controller.next_try = controller.now;
                }
                controller.advance_to(controller.now + 1);
                while controller.pop_done().is_some() {}
            }
            controller.push(Request { id, write, line, mask: !0 });
        }
        Ok((controller.commands().to_vec(), controller.stats().clone()))
    }

    /// The clocks that the scheduler skips are clocks in which it would issue nothing.
    #[test]
    fn skipping_clocks_changes_nothing() {
        for seed in 0..4 {
            let (skipping, eager) = (commands(seed, false), commands(seed, true));
            assert!(skipping.as_ref().is_ok_and(|(log, _)| log.len() > 5000));
            assert_eq!(skipping, eager, "seed {seed}");
        }
    }
}
