//! The lockstep checker: random stimulus on the Verilated component, every answer compared with the
//! golden model's.
//!
//! The component's retire tap tells the order in which requests take effect; the model executes
//! them in that order. Meanwhile a small monitor changes mappings through the registers, on both,
//! and while a change is in flight the old and the new mapping are both allowed. The memory behind
//! the component answers in random order ([`ChaosMemory`]); every handshake stalls at random. At
//! the end page table, memory contents and frames are compared.
//!
//! Everything follows from the seed: a case that failed fails again, at the same cycle.

mod chaos;
mod checker;
mod feed;
mod finish;
mod history;
mod mode;
mod monitor;
mod world;

pub use chaos::{ChaosMemory, Latency};
pub use mode::Mode;

use crate::component::{Component, ComponentError};
use crate::dram::{Fill, LineMemory, LineStore};
use crate::hw::Hw;
use checker::Checker;
use feed::Feed;
use history::History;
use mode::{Shape, WEATHER};
use monitor::Monitor;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::geometry::LINE_SHIFT;
use splitmem_model::Model;
use std::path::PathBuf;
use world::World;

/// Cycles between two looks at whether anything moves.
const WATCH: u64 = 50_000;
/// Cycles between two calls of the caller's progress function.
const TELL: u64 = 1 << 16;

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Which configuration.
    pub hw: Hw,
    /// Aim of the stimulus.
    pub mode: Mode,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Requests to send.
    pub requests: u64,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { hw, mode, seed, requests } = self;
        write!(f, "--config {hw} --mode {mode} --seed {seed} --requests {requests}")
    }
}

/// A trace of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceTo {
    /// The FST file.
    pub path: PathBuf,
    /// The cycle from which on it is written.
    pub from: u64,
}

/// What a case went through. The counts say that it was worth running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests answered, all of them as the model says.
    pub requests: u64,
    /// Component clocks.
    pub cycles: u64,
    /// Requests by the code of their status.
    pub by_status: [u64; 6],
    /// Requests by op; the last one counts unknown ops.
    pub by_op: [u64; 5],
    /// Requests that used a mapping that was being replaced.
    pub stale: u64,
    /// First writes that took a frame.
    pub faults: u64,
    /// Requests to 2 MiB pages.
    pub huge: u64,
    /// Requests that were accepted while another one to their line was in flight.
    pub same_line: u64,
    /// Shootdowns.
    pub shootdowns: u64,
    /// Longest shootdown, in cycles.
    pub shootdown_max: u32,
    /// Commands of the table engine that succeeded, and that did not.
    pub table_commands: [u64; 2],
    /// Frames that came back and were pushed again.
    pub recycled: u64,
    /// Events taken from the log.
    pub events: u64,
}

impl Summary {
    /// Adds another case's counts.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.cycles += other.cycles;
        for (sum, n) in self.by_status.iter_mut().zip(other.by_status) {
            *sum += n;
        }
        for (sum, n) in self.by_op.iter_mut().zip(other.by_op) {
            *sum += n;
        }
        self.stale += other.stale;
        self.faults += other.faults;
        self.huge += other.huge;
        self.same_line += other.same_line;
        self.shootdowns += other.shootdowns;
        self.shootdown_max = self.shootdown_max.max(other.shootdown_max);
        for (sum, n) in self.table_commands.iter_mut().zip(other.table_commands) {
            *sum += n;
        }
        self.recycled += other.recycled;
        self.events += other.events;
    }
}

/// The component did not do what the model does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The case.
    pub case: Case,
    /// The cycle in which it was noticed.
    pub cycle: u64,
    /// What was wrong.
    pub what: String,
    /// What happened before, to the line or page in question, the newest last.
    pub history: Vec<String>,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "hardware and model disagree in cycle {}: {}", self.cycle, self.what)?;
        writeln!(f, "what happened before (cycle, event):")?;
        for line in &self.history {
            writeln!(f, "{line}")?;
        }
        write!(f, "the same again: splitmem lockstep {}", self.case)
    }
}

/// Why a case did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockstepError {
    /// Hardware and model disagree.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// The component does not work at all.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The progress function said stop.
    #[error("stopped")]
    Stopped,
}

/// Something is wrong; the page to tell the history of, if it is about one.
#[derive(Debug)]
struct Wrong {
    what: String,
    page: Option<(u16, u64)>,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), page: None }
    }

    fn at(pid: u16, va: u64, what: impl Into<String>) -> Self {
        Self { what: what.into(), page: Some((pid, va)) }
    }
}

/// Runs a case. `progress` is told the number of requests answered now and then and says whether to
/// go on.
///
/// # Errors
/// [`LockstepError`].
pub fn run(
    case: &Case,
    trace: Option<&TraceTo>,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Summary, LockstepError> {
    let mut lockstep = Lockstep::new(case, trace)?;
    lockstep.run(trace, progress)
}

/// A case that runs.
struct Lockstep {
    case: Case,
    shape: Shape,
    component: Component<ChaosMemory>,
    model: Model,
    world: World,
    feed: Feed,
    monitor: Monitor,
    checker: Checker,
    history: History,
    summary: Summary,
    weather: SmallRng,
    next_weather: u64,
}

impl Lockstep {
    fn new(case: &Case, trace: Option<&TraceTo>) -> Result<Self, LockstepError> {
        // Streams of their own, so that a change in one part leaves the others as they were.
        let stream = |n: u64| SmallRng::seed_from_u64(case.seed.wrapping_mul(8).wrapping_add(n));
        let config = case.hw.config();
        let shape = case.mode.shape();
        let world = World::new(case.hw, &shape, &mut stream(0));

        let mut store = LineStore::new(1 << (config.pa_bits - LINE_SHIFT), Fill::Noise(case.seed));
        let table = u64::from(world.table_base) << 6;
        for line in table..table + (1 << world.table_log2) {
            store.write_line(line, &[0; 64]);
        }
        let memory = ChaosMemory::new(store, WEATHER[0].1, case.seed ^ 1 << 63);
        let component = match trace {
            Some(TraceTo { path, from: 0 }) => Component::traced(case.hw, memory, path)?,
            Some(_) => Component::traceable(case.hw, memory)?,
            None => Component::new(case.hw, memory)?,
        };
        let mut model = Model::new(config);
        model.hold_shootdowns();
        Ok(Self {
            case: case.clone(),
            shape,
            component,
            model,
            feed: Feed::new(stream(1)),
            monitor: Monitor::new(&world, stream(2)),
            checker: Checker::default(),
            history: History::default(),
            summary: Summary::default(),
            weather: stream(3),
            next_weather: 0,
            world,
        })
    }

    fn run(
        &mut self,
        trace: Option<&TraceTo>,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Summary, LockstepError> {
        let mut trace_from = trace.filter(|trace| trace.from > 0);
        let mut moved = (0, 0);
        self.set_up()?;
        while !self.is_done() {
            if let Some(trace) = trace_from.take_if(|trace| self.component.cycle() >= trace.from) {
                self.component.start_trace(&trace.path)?;
            }
            self.step().map_err(|wrong| self.mismatch(wrong))?;
            let cycle = self.component.cycle();
            if cycle % WATCH == 0 {
                let stats = self.component.memory().stats();
                let now = (self.summary.requests, stats.reads + stats.writes);
                if now == moved {
                    let wrong = Wrong::new(format!("nothing moved for {WATCH} cycles"));
                    return Err(self.mismatch(wrong));
                }
                moved = now;
            }
            if cycle % TELL == 0 && !progress(self.summary.requests) {
                return Err(LockstepError::Stopped);
            }
        }
        self.summary.cycles = self.component.cycle();
        self.compare_all().map_err(|wrong| self.mismatch(wrong))?;
        self.component.stop_trace();
        Ok(self.summary.clone())
    }

    fn is_done(&self) -> bool {
        self.summary.requests >= self.case.requests
            && self.component.ports().iter().all(|port| port.is_idle())
            && self.monitor.is_resting()
    }

    /// One clock cycle.
    fn step(&mut self) -> Result<(), Wrong> {
        if self.component.cycle() >= self.next_weather {
            self.change_weather();
        }
        self.send_requests();
        self.run_monitor()?;
        self.component.tick();
        self.check_cycle()
    }

    fn change_weather(&mut self) {
        let (stalls, latency) = WEATHER[self.weather.random_range(0..WEATHER.len())];
        self.component.stall(self.weather.random(), stalls);
        self.component.memory_mut().set_latency(latency);
        self.next_weather = self.component.cycle() + self.weather.random_range(500..8000);
    }

    fn mismatch(&self, wrong: Wrong) -> LockstepError {
        let history = match wrong.page {
            Some((pid, va)) => self.history.of_page(&self.world, pid, va),
            None => self.history.all(),
        };
        LockstepError::Mismatch(Box::new(Mismatch {
            case: self.case.clone(),
            cycle: self.component.cycle(),
            what: wrong.what,
            history,
        }))
    }
}
