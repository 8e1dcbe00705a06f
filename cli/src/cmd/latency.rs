//! `splitmem latency`: the cycle-accurate latency tests.

use std::time::Instant;

use verilator_tb::latency::{
    measure, measure_monitor, Dram, LatencyError, Options, Reach, Report as Measured,
    COMPONENT_MHZ, IDEAL_LATENCY,
};
use verilator_tb::soc::Isolation;
use verilator_tb::{Hw, MonitorPlace};

use super::fmax;
use super::output::{command_line, OutputArgs};
use super::serve::SimulatedBoard;
use super::{latency_board, latency_front, latency_vfio};
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::chart::{Axis, Chart, Series};
use crate::report::scale::Scale;
use crate::report::Report;

const AFTER_HELP: &str = "\
Every figure is measured at the component's pins in this run. Figures that have a goal are defined
with the ideal memory; --dram changes the memory under the latencies by kind of request.

Examples:
  splitmem latency
  splitmem latency --json --dram ddr4-2400
  splitmem latency --report latency
  splitmem latency --monitor firmware --json
  splitmem latency --monitor firmware --isolation none
  splitmem latency --board ulx3s --json
  splitmem latency --port cxl --clock 200 --json
  splitmem latency --port pcie --clock 200 --report latency
  splitmem latency --port vfio-user --config small";

/// Measure the simulated component: cycles of hits, misses and faults, rates, and what disturbs them.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Hardware configuration: large or small.
    #[arg(long, default_value_t = Hw::Large)]
    config: Hw,
    /// Measure a simulated board at its pins instead
    #[arg(long, value_enum, conflicts_with_all = ["config", "port", "clock", "dram", "monitor"])]
    board: Option<SimulatedBoard>,
    /// Which of the component's ports
    #[arg(long, value_enum, default_value_t = Port::Native)]
    port: Port,
    /// Clock by which cycles turn into nanoseconds; without it none are told
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=2000))]
    clock: Option<u32>,
    /// Memory under the latencies by kind: ideal, ddr4-2400 or ddr3-1600.
    #[arg(long, default_value_t = Dram::Ideal)]
    dram: Dram,
    /// Seed of the random addresses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure the memory monitor instead, where it runs: host (beside the simulation) or
    /// firmware (on the soft core).
    #[arg(long, value_name = "PLACE")]
    monitor: Option<MonitorPlace>,
    /// How much is kept apart in the firmware that is measured: none, guards or full. What each costs
    /// is told for all of them.
    #[arg(long, requires = "monitor", default_value_t = Isolation::default())]
    isolation: Isolation,
    #[command(flatten)]
    output: OutputArgs,
}

/// A port of the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Port {
    /// The native request ports
    Native,
    /// CXL.mem messages at the device's transaction layer
    Cxl,
    /// TLPs at the PCIe endpoint
    Pcie,
    /// A client of the board as a PCI device (vfio-user): ExCache misses, also in wall time
    VfioUser,
}

impl Args {
    /// Measures and prints.
    ///
    /// # Errors
    /// A component that does not work, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        self.output.prepare()?;
        if let Some(SimulatedBoard::Ulx3s) = self.board {
            return latency_board::run(self.seed, &self.output);
        }
        let front = match self.port {
            Port::Native => None,
            Port::Cxl => Some(latency_front::CXL),
            Port::Pcie => Some(latency_front::PCIE),
            Port::VfioUser => {
                return latency_vfio::run(self.config, self.seed, self.clock, &self.output);
            }
        };
        if let Some(front) = front {
            return latency_front::run(&front, self.config, self.seed, self.clock, &self.output);
        }
        let options = Options { hw: self.config, dram: self.dram, seed: self.seed };
        let interrupt = Interrupt::install();
        let mut progress = Progress::new("measuring");
        let start = Instant::now();
        let measured = match self.monitor {
            Some(place) => measure_monitor(&options, place, self.isolation)?,
            None => measure(&options, &mut |_, share| {
                progress.update((share * 100.0) as u64, 100);
                !interrupt.is_raised()
            })?,
        };
        drop(progress);
        let mut facts = facts(&options, &measured, start.elapsed().as_secs_f64());
        if self.monitor.is_none() {
            clock(&mut facts, self.config);
        }
        if let Some(folder) = &self.output.report {
            let path = page(&options, &facts, &measured).write(folder, "latency")?;
            facts.add("report", "Report", path.display().to_string(), "");
        }
        facts.print(self.output.json)
    }
}

impl From<LatencyError> for CliError {
    fn from(error: LatencyError) -> Self {
        match error {
            LatencyError::Stopped => Self::Interrupted,
            error => Self::Latency(error),
        }
    }
}

fn facts(options: &Options, measured: &Measured, seconds: f64) -> Facts {
    let mut facts = Facts::new();
    facts.add("config", "Configuration", options.hw.name(), "");
    facts.add("dram", "Memory", options.dram.to_string(), "");
    let ideal = u64::from(IDEAL_LATENCY);
    facts.add("ideal_dram_latency_cycles", "  ideal memory", ideal, "cycles");
    if options.dram != Dram::Ideal {
        let clock = u64::from(COMPONENT_MHZ);
        facts.add("component_clock_mhz", "  component's clock beside it", clock, "MHz");
    }
    figures(&mut facts, measured);
    let missed = measured.missed().count() as u64;
    facts.add("goals_missed", "Goals missed", missed, "");
    facts.add("seconds", "Time", seconds, "s");
    facts
}

/// The figures with their goals.
pub(super) fn figures(facts: &mut Facts, measured: &Measured) {
    for figure in &measured.figures {
        let label = match figure.reach {
            Some(Reach::AtLeast(least)) => format!("{} (goal: {least} or more)", figure.label),
            Some(Reach::AtMost(most)) => format!("{} (goal: {most} or less)", figure.label),
            None => figure.label.to_owned(),
        };
        if figure.value.fract() == 0.0 && figure.unit.starts_with("cycles") {
            facts.add(figure.key, label, figure.value as u64, figure.unit);
        } else {
            facts.add(figure.key, label, figure.value, figure.unit);
        }
    }
}

/// The clock of this hardware on an FPGA, if `make fmax` found it out: the one figure not of this run.
fn clock(facts: &mut Facts, hw: Hw) {
    let goal = match hw {
        Hw::Large => format!(", goal: {} or more", fmax::GOAL_MHZ),
        Hw::Small => String::new(),
    };
    let (mhz, from) = match fmax::saved(&hw.config()) {
        Some(saved) => (saved.synth_fmax_mhz, format!("of 'make fmax', seed {}", saved.seed)),
        None => (f64::NAN, format!("not known: 'make fmax HW={}' finds it out", hw.name())),
    };
    facts.add("synth_fmax_mhz", format!("Clock on an ECP5-85F-6 ({from}{goal})"), mhz, "MHz");
}

fn page(options: &Options, facts: &Facts, measured: &Measured) -> Report {
    let mut report = Report::new("splitmem latency", &command_line());
    report.heading("Figures");
    report.facts(facts);
    report.heading("Latencies by kind of request");
    report.paragraph(&format!(
        "From the acceptance of a request to its answer, under a moderate random load on both ports \
         of the {} component, memory: {}.",
        options.hw, options.dram
    ));
    let series = measured.distributions.iter().map(|kind| {
        let total = kind.latency.samples() as f64;
        let mut seen = 0;
        let points = kind.latency.iter().map(|(cycles, count)| {
            seen += count;
            (cycles as f64, seen as f64 / total)
        });
        Series { name: kind.name.to_owned(), points: points.collect(), steps: true }
    });
    let chart = Chart {
        x: Axis { label: "Latency, cycles".to_owned(), scale: Scale::Log, range: None },
        y: Axis {
            label: "Share of requests".to_owned(),
            scale: Scale::Linear,
            range: Some((0.0, 1.0)),
        },
        series: series.collect(),
    };
    report.figure(&chart.svg(), "Cumulative distribution of latencies, by kind of request");
    report
}
