//! A small monitor: random operations on raw registers, mirrored in the model.
//!
//! It does one job at a time. A job is a script of register accesses; most of them go to the
//! hardware and, in the same moment, to the model. So the model is never behind the hardware: its
//! new mapping is there when the hardware's command begins, and its old one can be used until the
//! hardware's shootdown is over.

mod choose;
mod finish;

use super::history::{at, Event as Past};
use super::world::{Area, FramePair, State, World};
use super::{Lockstep, LockstepError, Wrong};
use crate::bus::{BusAccess, Side};
use rand::rngs::SmallRng;
use rand::Rng;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{page_key, PageSize};
use splitmem_abi::regs::field::{CONTROL, TABLE_BASE, TE_RESULT, TE_STATUS, ZERO_PUSH};
use splitmem_abi::regs::{self, Register, TableCommand, TableError};
use std::collections::VecDeque;
use std::ops::Range;

/// One step of a script.
#[derive(Clone, Debug)]
enum Step {
    /// Write to hardware and model.
    Both(Register, u32),
    /// Write to the hardware and something else to the model: a frame of each.
    Pair(Register, FramePair),
    /// Read from the hardware until the bits of the mask have this value.
    Until(Register, u32, u32),
    /// Read from the hardware, for the end of the job.
    Read(Register, u16),
    /// Write to the hardware only.
    Hardware(Register, u32),
    /// Take results of the table engine until it is idle and there are none.
    Drain,
    /// Compare how the table engine's command ended; the pages that it did get the new state.
    TableEnd(Range<usize>, Option<State>),
    /// The hardware's shootdown is over; with nothing, the model was not told of it.
    ShootdownEnd(Option<Coverage>),
    /// Wait until no request to the frozen pages is in flight, and no command to these lines.
    Quiet(Vec<u64>),
}

/// What a shootdown covers.
#[derive(Clone, Copy, Debug)]
enum Coverage {
    Pages { pid: u16, va: u64, count: u32 },
    Pid(u16),
    All,
}

impl Coverage {
    fn covers(self, pid: u16, va: u64) -> bool {
        match self {
            Self::Pages { pid: of, va: first, count } => {
                let size = PageSize::of(first);
                pid == of
                    && PageSize::of(va) == size
                    && (first..first + u64::from(count) * size.bytes()).contains(&va)
            }
            Self::Pid(of) => pid == of,
            Self::All => true,
        }
    }
}

/// What a script is for: what to do at its end.
#[derive(Clone, Debug)]
enum Job {
    /// Nothing more.
    Plain,
    /// Asked for room in the zeroing queue.
    Room,
    /// Popped a frame for a group.
    Popped(usize),
    /// Mapped a group's frame.
    Shared(usize),
    /// Unmapped pages; their frames came back.
    Collected,
    /// Asked for one page's entry: no request to it is in flight; in the memory it had PRESENT.
    Queried { frozen: bool, written: bool },
    /// Read events.
    Events,
    /// All is quiet: poison a line of this page.
    PoisonLine { page: usize, line: u64 },
    /// All is quiet: poison or heal this bucket.
    Bucket { line: u64, poison: bool },
}

/// The small monitor's state.
pub(super) struct Monitor {
    rng: SmallRng,
    script: VecDeque<Step>,
    job: Option<Job>,
    on_bus: Option<Step>,
    rest_until: u64,
    /// Values of the script's reads.
    reads: Vec<u32>,
    /// The table engine's results, the hardware's and the model's.
    results: Vec<(u32, u32)>,
    /// The next read of a drain asks for the state, not for a result.
    drain_asks: bool,
    /// The engine was seen idle: the drain ends with the next empty result.
    drain_ends: bool,
    frozen: Vec<usize>,
    /// Frames that nobody has.
    free: [Vec<FramePair>; 2],
    /// Frames are kept back until this cycle.
    withhold_until: u64,
    /// No 2 MiB frame is pushed before this cycle: each keeps the zeroing engine busy for long.
    next_huge: u64,
    /// Events taken from the log.
    pub events_seen: u64,
}

impl Monitor {
    pub fn new(world: &World, rng: SmallRng) -> Self {
        let pair = |&frame: &u32| FramePair { hw: frame, model: frame };
        Self {
            rng,
            script: VecDeque::new(),
            job: None,
            on_bus: None,
            rest_until: 0,
            reads: Vec::new(),
            results: Vec::new(),
            drain_asks: false,
            drain_ends: false,
            frozen: Vec::new(),
            // Reversed: taken from the end.
            free: world.frames.each_ref().map(|frames| frames.iter().rev().map(pair).collect()),
            withhold_until: 0,
            next_huge: 0,
            events_seen: 0,
        }
    }

    /// Whether it has nothing under way.
    pub fn is_resting(&self) -> bool {
        self.job.is_none()
    }

    /// Whether some pages get no requests.
    pub fn freezes(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// The hardware's frames that nobody has, by size.
    pub fn free_frames(&self) -> [Vec<u32>; 2] {
        self.free.each_ref().map(|frames| frames.iter().map(|pair| pair.hw).collect())
    }
}

impl Lockstep {
    /// Programs the table and opens the ports.
    pub(super) fn set_up(&mut self) -> Result<(), LockstepError> {
        let writes = [
            (regs::TABLE_BASE, TABLE_BASE::FRAME.put(self.world.table_base)),
            (regs::TABLE_SIZE, self.world.table_log2),
            (regs::CONTROL, CONTROL::ENABLE.mask() | CONTROL::CLEAR_STATS.mask()),
        ];
        for (register, value) in writes {
            self.component
                .bus(Side::Monitor)
                .write(register.offset, value)
                .map_err(crate::ComponentError::from)?;
            self.mirror(register.offset, value).map_err(|wrong| self.mismatch(wrong))?;
        }
        self.checker.enabled = true;
        self.warm_up().map_err(|wrong| self.mismatch(wrong))
    }

    /// Pushes some frames and maps most of the areas before the first request.
    fn warm_up(&mut self) -> Result<(), Wrong> {
        let mut todo: Vec<Option<Area>> = self.world.areas.iter().cloned().map(Some).collect();
        todo.extend([None, None, None, None]);
        for area in todo {
            match area {
                Some(area) if self.monitor.rng.random_ratio(3, 4) => {
                    let flags = self.choose_rights();
                    let state = Some(State::Mapped);
                    let script = self.table(TableCommand::Insert, area, flags, None, state);
                    self.begin(Job::Plain, script);
                }
                Some(_) => continue,
                None => _ = self.choose_push(),
            }
            while !self.monitor.is_resting() {
                self.run_monitor()?;
                self.component.tick();
                self.check_cycle()?;
            }
        }
        Ok(())
    }

    /// Goes on with the job, or finds another one.
    pub(super) fn run_monitor(&mut self) -> Result<(), Wrong> {
        loop {
            if let Some(step) = self.monitor.on_bus.take() {
                let Some(result) = self.component.bus_poll(Side::Monitor) else {
                    self.monitor.on_bus = Some(step);
                    return Ok(());
                };
                let value = result.map_err(|error| Wrong::new(error.to_string()))?;
                self.bus_done(step, value)?;
            } else if let Some(step) = self.monitor.script.pop_front() {
                if !self.start(step)? {
                    return Ok(());
                }
            } else if let Some(job) = self.monitor.job.take() {
                self.finish_job(job)?;
                if self.monitor.job.is_none() {
                    self.unfreeze();
                    let rest = self.monitor.rng.random_range(0..=self.shape.rest);
                    self.monitor.rest_until = self.component.cycle() + rest;
                }
            } else {
                let rests = self.component.cycle() < self.monitor.rest_until;
                if rests || self.is_winding_down() || !self.choose_job() {
                    return Ok(());
                }
            }
        }
    }

    fn is_winding_down(&self) -> bool {
        self.summary.requests >= self.case.requests
    }

    /// Writes a register of the model.
    fn mirror(&mut self, offset: u16, value: u32) -> Result<(), Wrong> {
        let result = self.model.monitor().write(offset, value);
        result.map_err(|error| Wrong::new(format!("model: {error}")))
    }

    fn read_model(&mut self, register: Register) -> Result<u32, Wrong> {
        let result = self.model.monitor().read(register.offset);
        result.map_err(|error| Wrong::new(format!("model: {error}")))
    }

    /// Starts a step; false if it must be tried again later.
    fn start(&mut self, step: Step) -> Result<bool, Wrong> {
        let access = match step {
            Step::Both(register, value) => {
                self.tell_command(register, value);
                self.mirror(register.offset, value)?;
                BusAccess::Write(register.offset, value)
            }
            Step::Pair(register, FramePair { hw, model }) => {
                self.mirror(register.offset, model)?;
                BusAccess::Write(register.offset, hw)
            }
            Step::Hardware(register, value) => {
                if register.offset == regs::CONTROL.offset {
                    self.checker.enabled |= CONTROL::ENABLE.get(value) == 1;
                }
                BusAccess::Write(register.offset, value)
            }
            Step::Until(register, ..) => BusAccess::Read(register.offset),
            Step::Read(register, i) => {
                if [regs::FREE_4K_POP.offset, regs::FREE_2M_POP.offset].contains(&register.offset) {
                    self.checker.taken[pop_size(&register)] += 1;
                }
                BusAccess::Read(register.at(i))
            }
            Step::Drain if self.monitor.drain_asks => BusAccess::Read(regs::TE_STATUS.offset),
            Step::Drain => BusAccess::Read(regs::TE_RESULT.offset),
            Step::TableEnd(..) => BusAccess::Read(regs::TE_DONE.offset),
            Step::ShootdownEnd(coverage) => {
                if let Some(coverage) = coverage {
                    self.end_shootdown(coverage);
                }
                BusAccess::Read(regs::SD_CYCLES.offset)
            }
            Step::Quiet(lines) => {
                let pages = &self.world.pages;
                let busy = self.monitor.frozen.iter().any(|&page| pages[page].in_flight > 0)
                    || self.checker.wild > 0
                    || lines.iter().any(|&line| self.component.memory().touches(line))
                    || self.component.dram_holds_back();
                if busy {
                    self.monitor.script.push_front(Step::Quiet(lines));
                }
                return Ok(!busy);
            }
        };
        let started = self.component.bus_start(Side::Monitor, access);
        debug_assert!(started, "one access at a time");
        self.monitor.on_bus = Some(step);
        Ok(false)
    }

    /// A register access of a step is over.
    fn bus_done(&mut self, step: Step, value: u32) -> Result<(), Wrong> {
        match step {
            Step::Both(register, written) => {
                if register.offset == regs::ZERO_PUSH.offset {
                    let count = u64::from(ZERO_PUSH::COUNT.get(written));
                    self.checker.pushed[ZERO_PUSH::HUGE.get(written) as usize] += count;
                }
            }
            Step::Hardware(register, written) => {
                if register.offset == regs::CONTROL.offset {
                    self.checker.enabled = CONTROL::ENABLE.get(written) == 1;
                }
            }
            Step::Until(_, mask, wanted) => {
                if value & mask != wanted {
                    self.monitor.script.push_front(step);
                }
            }
            Step::Read(..) => self.monitor.reads.push(value),
            Step::Drain => self.drain(value)?,
            Step::TableEnd(pages, state) => self.end_table_command(value, pages, state)?,
            Step::ShootdownEnd(_) => {
                self.summary.shootdowns += 1;
                self.summary.shootdown_max = self.summary.shootdown_max.max(value);
            }
            Step::Pair(..) | Step::Quiet(_) => {}
        }
        Ok(())
    }

    fn drain(&mut self, value: u32) -> Result<(), Wrong> {
        if self.monitor.drain_asks {
            self.monitor.drain_asks = false;
            self.monitor.drain_ends = TE_STATUS::BUSY.get(value) == 0;
        } else if TE_RESULT::VALID.get(value) == 1 {
            let model = self.read_model(regs::TE_RESULT)?;
            self.monitor.results.push((value, model));
        } else if self.monitor.drain_ends {
            self.monitor.drain_ends = false;
            let model = self.read_model(regs::TE_RESULT)?;
            if TE_RESULT::VALID.get(model) == 1 {
                return Err(Wrong::new(format!(
                    "the table engine did not report a page; the model says {model:#010x}"
                )));
            }
            return Ok(());
        } else {
            self.monitor.drain_asks = true;
        }
        self.monitor.script.push_front(Step::Drain);
        Ok(())
    }

    /// Compares how a command of the table engine ended. `done` is the hardware's count of pages.
    fn end_table_command(
        &mut self,
        done: u32,
        pages: Range<usize>,
        state: Option<State>,
    ) -> Result<(), Wrong> {
        let status = self.monitor.reads.pop().unwrap_or_default();
        let model = (self.read_model(regs::TE_STATUS)?, self.read_model(regs::TE_DONE)?);
        if (status, done) != model {
            let page = self.world.pages[pages.start];
            let show = |(status, done): (u32, u32)| {
                let error = TableError::from_code(TE_STATUS::ERROR.get(status));
                format!("error {error:?} after {done} pages")
            };
            let what = format!(
                "a table command of {} pages from {} ended with {}; the model says {}",
                pages.len(),
                at(page.pid, page.va),
                show((status, done)),
                show(model),
            );
            return Err(Wrong::at(page.pid, page.va, what));
        }
        let failed = usize::from(TE_STATUS::ERROR.get(status) != 0);
        self.summary.table_commands[failed] += 1;
        let done = pages.start..pages.start + done as usize;
        if let Some(state) = state {
            for page in &mut self.world.pages[done] {
                page.state = state;
            }
        }
        self.checker.table_written(self.model.mark());
        Ok(())
    }

    fn end_shootdown(&mut self, coverage: Coverage) {
        self.model.complete_shootdown();
        if let Some(mark) = self.checker.shootdown_ends() {
            self.model.settle_inserts(mark);
        }
        for (line, shot) in &mut self.checker.poisoned_buckets {
            for page in &self.world.pages {
                if coverage.covers(page.pid, page.va)
                    && self.world.bucket_line(page.pid, page.va) == *line
                {
                    shot.insert((page.pid, page_key(page.va)));
                }
            }
        }
    }

    fn tell_command(&mut self, register: Register, value: u32) {
        let commands = [regs::TE_COMMAND, regs::SD_COMMAND, regs::ZERO_PUSH, regs::CONTROL];
        if register.offset == regs::SD_COMMAND.offset {
            self.checker.shootdown_begins();
        }
        if commands.iter().any(|command| command.offset == register.offset) {
            let what = match register.offset {
                o if o == regs::TE_COMMAND.offset => {
                    let get = |r: Register, m: &mut Self| m.read_model(r).unwrap_or_default();
                    let (pid, lo) = (get(regs::TE_PID, self), get(regs::TE_VA_LO, self));
                    let (hi, count) = (get(regs::TE_VA_HI, self), get(regs::TE_COUNT, self));
                    let flags = get(regs::TE_FLAGS, self);
                    let va = u64::from(hi) << 32 | u64::from(lo);
                    format!(
                        "TE_COMMAND {value}: {count} pages, flags {flags:#x}, {}",
                        at(pid as u16, va)
                    )
                }
                _ => format!("{} {value:#x}", register.name),
            };
            self.history.add(self.component.cycle(), Past::Monitor(what));
        }
    }

    fn freeze(&mut self, pages: impl IntoIterator<Item = usize>) {
        for page in pages {
            self.world.pages[page].frozen = true;
            self.monitor.frozen.push(page);
        }
    }

    fn unfreeze(&mut self) {
        for page in self.monitor.frozen.drain(..) {
            self.world.pages[page].frozen = false;
        }
    }

    fn begin(&mut self, job: Job, script: impl IntoIterator<Item = Step>) {
        self.monitor.reads.clear();
        self.monitor.results.clear();
        self.monitor.script.extend(script);
        self.monitor.job = Some(job);
    }
}

fn pop_size(register: &Register) -> usize {
    usize::from(register.offset == regs::FREE_2M_POP.offset)
}
