//! `splitmem calibrate`: the timing profile of the simulated component.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use mcomponent_firmware::MonitorConfig;
use pcomponent_driver::profile::fit::{fit, Fit, Point};
use pcomponent_driver::transport::{Submission, Transport, TransportError, Work, PAGE_BYTES};
use pcomponent_driver::MemoryError as DriverError;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use splitmem_abi::geometry::{PageSize, LINE_BYTES};
use splitmem_abi::mailbox::{Address, Command, Permission, ReturnCode};
use verilator_tb::{Hw, MonitorPlace};

use super::output::{command_line, OutputArgs};
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::machine::{simulation, word, Dram, MachineError};
use crate::progress::Progress;
use crate::report::chart::{Axis, Chart, Series};
use crate::report::scale::Scale;
use crate::report::Report;
use crate::whole_file;

const AFTER_HELP: &str = "\
Reads of lines and of pages at random addresses go to the component's ports, so many at a time, and
every one that is answered is followed by another. The profile is what comes closest to the mean
latencies, by the least squares of relative errors; the errors are printed.

The profile has the component's and its DRAM's time. The link to the host is not simulated: add its
latency to base_latency_ns for a device behind one.

Examples:
  splitmem calibrate --config large --dram ddr4-2400 -o profile.toml
  splitmem calibrate --json";

/// Measure the simulated component under load and write its timing profile.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Hardware configuration: large or small
    #[arg(long, default_value_t = Hw::Large)]
    config: Hw,
    /// DRAM behind the component
    #[arg(long, value_enum, default_value_t = Dram::Ddr4_2400)]
    dram: Dram,
    /// Clock of the component
    #[arg(long, value_name = "MHZ", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    clock: u32,
    /// Memory that is read: more than the TLB reaches makes misses
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse_bytes, default_value = "8MiB")]
    bytes: u64,
    /// Requests at a time, ascending
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32])]
    loads: Vec<u32>,
    /// Lines read at each load; of pages, a thirty-second of it
    #[arg(long, default_value_t = 4000)]
    requests: u32,
    /// Seed of the addresses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the profile to this file
    #[arg(short = 'o', long = "out", value_name = "FILE.toml")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    /// Measures, fits, writes and prints.
    ///
    /// # Errors
    /// A component that does not work, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let usage = |message: &str| CliError::Usage(message.to_owned());
        if self.loads.is_empty() || self.loads.iter().any(|load| !(1..=256).contains(load)) {
            return Err(usage("--loads: 1 to 256 each"));
        }
        if self.bytes % PAGE_BYTES as u64 != 0 || self.bytes > 64 << 20 || self.requests < 64 {
            return Err(usage("--bytes: whole pages, up to 64MiB; --requests: 64 or more"));
        }
        self.output.prepare()?;
        let interrupt = Interrupt::install();
        let points = self.measure(&interrupt)?;
        let source =
            format!(
            "splitmem calibrate: {} configuration at {} MHz over {}, simulated cycle by cycle, {} \
             bytes read at random",
            self.config, self.clock, word(&self.dram), self.bytes
        );
        let name = format!("rtl-{}-{}", self.config, word(&self.dram));
        // Two sizes were measured, and every request took some cycles.
        let fit = fit(&name, &source, &points)
            .ok_or_else(|| usage("--loads: no latency was measured to fit a profile to"))?;
        if let Some(path) = &self.out {
            whole_file::write(path, &fit.profile.to_toml())?;
        }
        let mut facts = self.facts(&points, &fit);
        if let Some(folder) = &self.output.report {
            let path = page(&points, &fit, &facts).write(folder, "calibrate")?;
            facts.add("report", "Report", path.display().to_string(), "");
        }
        facts.print(self.output.json)
    }

    fn measure(&self, interrupt: &Interrupt) -> Result<Vec<Point>, CliError> {
        let mut device = Device::new(self)?;
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let mut points = Vec::new();
        let mut progress = Progress::new("simulating");
        let steps = 2 * self.loads.len() as u64;
        for bytes in [LINE_BYTES, PAGE_BYTES] {
            for &outstanding in &self.loads {
                progress.update(points.len() as u64, steps);
                let count = if bytes == LINE_BYTES { self.requests } else { self.requests / 32 };
                let count = count.max(4 * outstanding);
                let cycles = device.closed_loop(bytes, outstanding, count, &mut rng, interrupt)?;
                let latency_ns = cycles * 1000.0 / f64::from(self.clock);
                points.push(Point { bytes, outstanding, latency_ns });
            }
        }
        Ok(points)
    }

    fn facts(&self, points: &[Point], fit: &Fit) -> Facts {
        let mut facts = Facts::new();
        let profile = &fit.profile;
        facts.add("name", "Profile", profile.name.as_str(), "");
        facts.add("config", "Configuration", self.config.name(), "");
        facts.add("dram", "DRAM", word(&self.dram), "");
        facts.add("clock_mhz", "Clock of the component", u64::from(self.clock), "MHz");
        facts.add("base_latency_ns", "Base latency", profile.base_latency_ns, "ns");
        facts.add("bandwidth_gb_per_s", "Bandwidth", profile.bandwidth_gb_per_s, "GB/s");
        facts.add("request_overhead_ns", "Overhead a request", profile.request_overhead_ns, "ns");
        facts.add("fit_mean_error", "Error of the fit, mean", 100.0 * fit.mean_error, "%");
        facts.add("fit_worst_error", "  worst", 100.0 * fit.worst_error, "%");
        for (point, predicted) in points.iter().zip(&fit.predicted_ns) {
            let kind = kind(point.bytes);
            let key = format!("{kind}_{}_ns", point.outstanding);
            let label = format!("Read of a {kind}, {} at a time", point.outstanding);
            facts.add(key, label, point.latency_ns, "ns");
            let key = format!("{kind}_{}_fit_ns", point.outstanding);
            facts.add(key, "  by the profile", *predicted, "ns");
        }
        if let Some(path) = &self.out {
            facts.add("file", "Written to", path.display().to_string(), "");
        }
        facts
    }
}

fn kind(bytes: usize) -> &'static str {
    if bytes == LINE_BYTES {
        "line"
    } else {
        "page"
    }
}

/// The process that reads.
const PID: u16 = 1;

/// A simulated component with some memory that was written.
struct Device {
    transport: Box<dyn Transport>,
    va: u64,
    bytes: u64,
}

impl Device {
    fn new(args: &Args) -> Result<Self, CliError> {
        // What is read, and as much again for the page table, the monitor's reserve and spare frames.
        let most = args.config.config().frames();
        let frames = (2 * args.bytes / PAGE_BYTES as u64 + 4096).min(most);
        let frames_known = u32::try_from(frames).ok();
        let monitor = MonitorConfig { frames: frames_known, ..MonitorConfig::default() };
        let mut transport = Box::new(simulation(
            args.config,
            (args.dram, args.clock),
            frames,
            (monitor, MonitorPlace::Host),
            None,
        )?);
        let pages = (args.bytes / PAGE_BYTES as u64) as u32;
        let (size, permission) = (PageSize::Small, Permission::RW);
        let command = Command::Alloc { pid: PID, pages, size, permission, shareable: false };
        let reply = transport.mailbox(&command).map_err(failed)?;
        if reply.code != ReturnCode::Success {
            let message = format!("--bytes: the component has no such memory ({:?})", reply.code);
            return Err(CliError::Usage(message));
        }
        let va = Address::decode(&reply.payload).0;
        let mut device = Self { transport, va, bytes: args.bytes };
        // Pages that were never written would be answered without the DRAM.
        let mut lines: VecDeque<Submission> = (0..u64::from(pages))
            .map(|page| Submission {
                id: page,
                pid: PID,
                va: va + page * PAGE_BYTES as u64,
                work: Work::WriteLine { data: Box::new([1; LINE_BYTES]), mask: u64::MAX },
            })
            .collect();
        let mut done = Vec::new();
        while done.len() < pages as usize {
            device.transport.submit(&mut lines).map_err(failed)?;
            device.transport.poll(&mut done, true).map_err(failed)?;
        }
        Ok(device)
    }

    /// Keeps so many reads in the component until `count` have ended: their mean cycles.
    fn closed_loop(
        &mut self,
        bytes: usize,
        outstanding: u32,
        count: u32,
        rng: &mut SmallRng,
        interrupt: &Interrupt,
    ) -> Result<f64, CliError> {
        let (va, places) = (self.va, self.bytes / bytes as u64);
        let mut next = |id: u64| {
            let place = rng.random_range(0..places) * bytes as u64;
            let work = if bytes == LINE_BYTES { Work::ReadLine } else { Work::ReadPage };
            Submission { id, pid: PID, va: va + place, work }
        };
        let mut batch: VecDeque<Submission> = (0..u64::from(outstanding)).map(&mut next).collect();
        let mut refill = Vec::new();
        let (mut sum, mut ended, mut flying) = (0, 0, outstanding);
        while flying > 0 {
            interrupt.check()?;
            self.transport.submit(&mut batch).map_err(failed)?;
            self.transport.poll(&mut refill, true).map_err(failed)?;
            for completion in refill.drain(..) {
                flying -= 1;
                ended += 1;
                // The first ones find the component idle.
                if ended > outstanding {
                    sum += completion.cycles.unwrap_or(0);
                }
                if ended + flying < count + outstanding {
                    batch.push_back(next(completion.id));
                    flying += 1;
                }
            }
        }
        Ok(sum as f64 / f64::from(ended - outstanding))
    }
}

fn failed(error: TransportError) -> CliError {
    MachineError::from(DriverError::from(Arc::new(error))).into()
}

fn page(points: &[Point], fit: &Fit, facts: &Facts) -> Report {
    let mut report = Report::new("splitmem calibrate", &command_line());
    report.heading("Latency by requests at a time");
    let line = |name: &str, bytes: usize, value: &dyn Fn(usize) -> f64| Series {
        name: name.to_owned(),
        points: points
            .iter()
            .enumerate()
            .filter(|(_, point)| point.bytes == bytes)
            .map(|(i, point)| (f64::from(point.outstanding), value(i)))
            .collect(),
        steps: false,
    };
    let measured = |i: usize| points[i].latency_ns;
    let predicted = |i: usize| fit.predicted_ns[i];
    let chart = Chart {
        x: Axis { label: "Requests at a time".to_owned(), scale: Scale::Log, range: None },
        y: Axis { label: "Mean latency, ns".to_owned(), scale: Scale::Log, range: None },
        series: vec![
            line("line, measured", LINE_BYTES, &measured),
            line("line, profile", LINE_BYTES, &predicted),
            line("page, measured", PAGE_BYTES, &measured),
            line("page, profile", PAGE_BYTES, &predicted),
        ],
    };
    report.figure(&chart.svg(), "Measured, and what the fitted profile gives");
    report.heading("Figures");
    report.facts(facts);
    report
}
