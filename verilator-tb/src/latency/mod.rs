//! The latency tests: every figure is measured at the component's pins, in the run that reports it.
//!
//! | part | what it measures |
//! | --- | --- |
//! | `path` | single requests through an idle component: cycles to the DRAM command, by kind |
//! | `load` | sustained rate, hits beside a storm of misses and faults, walks in flight |
//! | `scale` | misses with 65,536 processes and with four million entries |
//! | `mix` | latencies by kind of request under a moderate random load, shootdowns |
//! | `cxl` | the CXL.mem port: stages, rate ([`measure_cxl`]) |
//! | `pcie` | the PCIe endpoint: stages of BAR reads and DMA, rate ([`measure_pcie`]) |
//! | `speed` | how fast the simulation is |
//! | `monitor` | the monitor's commands, storms of first writes ([`measure_monitor`]) |
//!
//! Cycles are counted between clock edges: a request accepted in cycle c whose DRAM command stands
//! on the pins in cycle c + 4 took 4 cycles.

mod cxl;
mod load;
mod mix;
mod monitor;
mod path;
mod pcie;
mod rig;
mod scale;
mod speed;

pub use cxl::{measure_cxl, ErrorRate, Route};
pub use pcie::measure_pcie;

use crate::component::ComponentError;
use crate::dram::{
    ConfigError, IdealMemory, LatencyHistogram, LineMemory, LineStore, Preset, TimedDram,
};
use crate::hw::Hw;
use splitmem_abi::bus::BusError;

pub use monitor::measure_monitor;

/// Cycles of the ideal memory from command to reply.
pub const IDEAL_LATENCY: u32 = 20;
/// Clock of the component against which DRAM devices are timed, in MHz.
pub const COMPONENT_MHZ: u32 = 100;

/// The memory behind the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dram {
    /// Answers every command after [`IDEAL_LATENCY`] cycles.
    #[default]
    Ideal,
    /// A DRAM device beside a component of [`COMPONENT_MHZ`].
    Device(Preset),
}

impl Dram {
    /// A memory of this kind over `store`.
    ///
    /// # Errors
    /// A device that cannot be built.
    pub fn over(self, store: LineStore) -> Result<Box<dyn LineMemory>, ConfigError> {
        Ok(match self {
            Self::Ideal => Box::new(IdealMemory::new(store, IDEAL_LATENCY)),
            Self::Device(preset) => {
                Box::new(TimedDram::new(&preset.config(), store, COMPONENT_MHZ)?)
            }
        })
    }
}

impl std::fmt::Display for Dram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ideal => f.write_str("ideal"),
            Self::Device(preset) => preset.fmt(f),
        }
    }
}

impl std::str::FromStr for Dram {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "ideal" {
            return Ok(Self::Ideal);
        }
        name.parse().map(Self::Device).map_err(|_| {
            format!("no such memory: {name}; there are ideal, ddr4-2400 and ddr3-1600")
        })
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The hardware.
    pub hw: Hw,
    /// The memory behind it, for the figures of `mix`. The others are defined with the ideal one.
    pub dram: Dram,
    /// Seed of the random addresses.
    pub seed: u64,
}

/// What a figure should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Reach {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Reach {
    /// Whether a value is as it should be. Values count as equal within half of the last of three
    /// decimal places.
    pub fn is_met(self, value: f64) -> bool {
        const ROUNDING: f64 = 0.000_5;
        match self {
            Self::AtLeast(least) => value >= least - ROUNDING,
            Self::AtMost(most) => value <= most + ROUNDING,
        }
    }
}

/// A measured number.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be, for those that have a goal.
    pub reach: Option<Reach>,
}

/// The latencies of one kind of request, from acceptance to answer, in cycles.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Which kind.
    pub name: &'static str,
    /// All samples.
    pub latency: LatencyHistogram,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The figures, in order.
    pub figures: Vec<Figure>,
    /// Latencies by kind of request, with the memory of [`Options::dram`].
    pub distributions: Vec<Distribution>,
}

impl Report {
    fn add(
        &mut self,
        key: &'static str,
        label: &'static str,
        value: impl Into<f64>,
        unit: &'static str,
    ) -> &mut Figure {
        self.figures.push(Figure { key, label, value: value.into(), unit, reach: None });
        let last = self.figures.len() - 1;
        &mut self.figures[last]
    }

    /// The figure of this key.
    pub fn figure(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    /// The figures that are not what they should be.
    pub fn missed(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|f| f.reach.is_some_and(|reach| !reach.is_met(f.value)))
    }
}

impl Figure {
    fn at_least(&mut self, least: f64) {
        self.reach = Some(Reach::AtLeast(least));
    }

    fn at_most(&mut self, most: f64) {
        self.reach = Some(Reach::AtMost(most));
    }
}

/// What was measured of a front end.
#[derive(Clone, Debug)]
pub struct FrontReport {
    /// The figures.
    pub report: Report,
    /// Single requests, stage by stage.
    pub routes: Vec<Route>,
    /// The rate over a link with errors, by rising error rate; empty for a front end without a link.
    pub errors: Vec<ErrorRate>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// The component does not work.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The monitor does not.
    #[error(transparent)]
    Machine(#[from] crate::machine::MachineError),
    /// The PCIe endpoint does not.
    #[error(transparent)]
    Board(#[from] crate::pcie::BoardError),
    /// The memory cannot be built.
    #[error(transparent)]
    Dram(#[from] ConfigError),
    /// The component did something that it should not.
    #[error("the component did not behave while {doing}: {what}")]
    Misbehaved {
        /// What was measured.
        doing: &'static str,
        /// What it did.
        what: String,
    },
    /// The progress function said stop.
    #[error("stopped")]
    Stopped,
}

impl From<BusError> for LatencyError {
    fn from(error: BusError) -> Self {
        Self::Component(error.into())
    }
}

/// Measures everything. `progress` is told what is measured next and the share that is done (0 to
/// 1), and says whether to go on.
///
/// # Errors
/// [`LatencyError`].
pub fn measure(
    options: &Options,
    progress: &mut dyn FnMut(&'static str, f64) -> bool,
) -> Result<Report, LatencyError> {
    type Part = fn(&Options, &mut Report) -> Result<(), LatencyError>;
    // Shares of the time that the parts take.
    let parts: [(&'static str, f64, Part); 5] = [
        ("single requests", 0.05, path::measure),
        ("sustained load", 0.25, load::measure),
        ("many processes, many entries", 0.35, scale::measure),
        ("a mixed load", 0.2, mix::measure),
        ("the simulation's speed", 0.15, speed::measure),
    ];
    let mut report = Report::default();
    let mut done = 0.0;
    for (what, share, part) in parts {
        if !progress(what, done) {
            return Err(LatencyError::Stopped);
        }
        part(options, &mut report)?;
        done += share;
    }
    Ok(report)
}
