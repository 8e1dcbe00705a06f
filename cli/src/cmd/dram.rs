//! `splitmem dram`: the DRAM timing model alone, in memory clocks.

use std::path::PathBuf;

use verilator_tb::dram::{
    replay, Access, AddressMapping, ConfigError, DramConfig, LatencyHistogram, Load, Preset,
    ReplayError, ReplayReport, LINE_BYTES,
};

use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::trace::{self, source, Format, Kind, TraceError, TraceReader};

const AFTER_HELP: &str = "\
Trace: CSV, one access a line: OP,ADDR with OP R or W and the byte address decimal or 0x
hexadecimal. A third column, the size in bytes, makes an access touch every 64-byte line it covers.
Lines that begin with # are remarks, the first line may name the columns.

Latency is counted from the clock in which a read enters the read queue to the end of its last data
beat. Writes are posted. Addresses beyond the rank wrap, and are counted.

Examples:
  splitmem dram trace.csv --preset ddr4-2400 --outstanding 1
  zcat trace.csv.gz | splitmem dram - --preset ddr3-1600 --saturate --json
  splitmem dram trace.csv --preset ddr4-2400 --mapping row:bank:column:bankgroup";

/// Replay a trace on the DRAM timing model alone.
///
/// One channel with one 64-bit rank behind an FR-FCFS controller with an open page policy. Reports
/// read latency, bandwidth and row hits.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// CSV trace OP,ADDR, compressed with gzip or not; - for the standard input.
    trace: PathBuf,
    /// DRAM device: ddr4-2400 (17-17-17, 8Gb x8) or ddr3-1600 (11-11-11, 8Gb x16).
    #[arg(long, default_value_t = Preset::Ddr4_2400)]
    preset: Preset,
    /// Closed loop with N requests in flight.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..),
          conflicts_with = "saturate")]
    outstanding: Option<u32>,
    /// Offer requests as fast as the queues take them, at most one a clock (default).
    #[arg(long)]
    saturate: bool,
    /// Address fields above the 64-byte line offset, most significant first.
    #[arg(long, default_value = AddressMapping::DEFAULT)]
    mapping: String,
    /// Print one flat JSON object.
    #[arg(long)]
    json: bool,
}

/// Why the DRAM model cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DramError {
    /// The channel cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A trace without an access.
    #[error("{} holds no access (a line of it is OP,ADDR, such as R,0x1f40)", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

impl Args {
    /// Replays the trace and prints what was measured.
    ///
    /// # Errors
    /// The arguments, the trace, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let config = self
            .preset
            .config()
            .with_mapping(&self.mapping)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        let load = match self.outstanding {
            Some(n) => Load::Outstanding(n as usize),
            None => Load::Saturate,
        };
        let report = self.replay(&config, load)?;
        facts(self.preset, &config, load, &report).print(self.json)
    }

    fn replay(&self, config: &DramConfig, load: Load) -> Result<ReplayReport, CliError> {
        let source = source::open(&self.trace)
            .map_err(|source| CliError::Read { path: self.trace.clone(), source })?;
        let mut progress = Progress::new("replaying");
        let interrupt = Interrupt::install();
        let reader = TraceReader::new(source.reader, self.trace.clone(), Some(Format::OpAddress));
        let accesses = reader.flat_map(|access| {
            let (access, error) = match interrupt.check().and(access.map_err(trace_error)) {
                Ok(access) => (Some(access), None),
                Err(error) => (None, Some(error)),
            };
            access.into_iter().flat_map(lines_of).map(Ok).chain(error.map(Err))
        });
        replay(config, load, accesses, |_| progress.update(source.position.get(), source.length))
            .map_err(|error| match error {
                ReplayError::Config(error) => DramError::from(error).into(),
                ReplayError::Trace(error) => error,
            })
    }
}

fn trace_error(error: TraceError) -> CliError {
    match error {
        TraceError::Empty { path } => DramError::Empty { path }.into(),
        error => error.into(),
    }
}

/// The line accesses that an access of a trace makes.
fn lines_of(access: trace::Access) -> impl Iterator<Item = Access> {
    let first = access.address / LINE_BYTES as u64;
    let last = (access.address + u64::from(access.size) - 1) / LINE_BYTES as u64;
    let writes: &[bool] = match access.kind {
        Kind::Load | Kind::Fetch => &[false],
        Kind::Store => &[true],
        Kind::Modify => &[false, true],
    };
    (first..=last).flat_map(|line| writes.iter().map(move |&write| Access { write, line }))
}

fn facts(preset: Preset, config: &DramConfig, load: Load, report: &ReplayReport) -> Facts {
    let (timing, controller, stats) = (&config.timing, &config.controller, &report.stats);
    let mut facts = Facts::new();
    facts.add("preset", "Preset", preset.to_string(), "");
    facts.add("device", "Device", config.device, "");
    facts.add("capacity_bytes", "Capacity", config.geometry.bytes(), "bytes");
    facts.add("clock_mhz", "Memory clock", u64::from(timing.clock_mhz), "MHz");
    facts.add("mapping", "Address mapping", config.mapping.to_string(), "");
    facts.add("scheduler", "Scheduler", "FR-FCFS, open page", "");
    facts.add("read_queue_depth", "Read queue", controller.read_queue as u64, "lines");
    facts.add("write_queue_depth", "Write queue", controller.write_queue as u64, "lines");
    facts.add("write_high_watermark", "  drained from", controller.write_high as u64, "lines");
    facts.add("write_low_watermark", "  down to", controller.write_low as u64, "lines");
    facts.add("age_cap_clocks", "Age cap", controller.age_cap, "clocks");
    facts.add("refresh", "Refresh", "all banks, none postponed", "");
    facts.add("refresh_interval_clocks", "  interval", timing.refi, "clocks");
    facts.add("refresh_duration_clocks", "  duration", timing.rfc, "clocks");
    match load {
        Load::Saturate => facts.add("load", "Load", "saturate", ""),
        Load::Outstanding(n) => {
            facts.add("load", "Load", "outstanding", "");
            facts.add("outstanding", "  in flight", n as u64, "requests");
        }
    }
    facts.add("reads", "Reads", stats.reads, "lines");
    facts.add("forwarded_reads", "  from the write queue", stats.forwarded_reads, "lines");
    facts.add("writes", "Writes", stats.writes, "lines");
    facts.add("wrapped_addresses", "Addresses beyond the rank", report.wrapped, "lines");
    add_latency(&mut facts, config, &stats.read_latency);
    facts.add("bandwidth_gb_per_s", "Bandwidth", report.gb_per_second(config), "GB/s");
    facts.add("peak_gb_per_s", "  of at most", timing.peak_gb_per_second(), "GB/s");
    let bus = stats.data_clocks as f64 / report.clocks as f64;
    facts.add("data_bus_utilization", "Data bus in use", bus, "of clocks");
    facts.add("row_hit_rate", "Row hits", stats.row_hit_rate(), "of accesses");
    facts.add("row_hits", "  open row", stats.row_hits, "lines");
    facts.add("row_misses", "  precharged bank", stats.row_misses, "lines");
    facts.add("row_conflicts", "  other row open", stats.row_conflicts, "lines");
    facts.add("activates", "Activates", stats.activates, "commands");
    facts.add("precharges", "Precharges of one bank", stats.precharges, "commands");
    facts.add("refreshes", "Refreshes", stats.refreshes, "commands");
    facts.add("total_clocks", "Total", report.clocks, "clocks");
    facts.add("total_ns", "", timing.nanoseconds(report.clocks as f64), "ns");
    facts
}

fn add_latency(facts: &mut Facts, config: &DramConfig, latency: &LatencyHistogram) {
    let mut add = |label, keys: [&'static str; 2], clocks: Option<f64>| {
        let clocks = clocks.unwrap_or(f64::NAN);
        facts.add(keys[0], label, clocks, "clocks");
        facts.add(keys[1], "", config.timing.nanoseconds(clocks), "ns");
    };
    let keys = ["read_latency_mean_clocks", "read_latency_mean_ns"];
    add("Read latency, mean", keys, latency.mean());
    let percentile = |q| latency.percentile(q).map(|clocks| clocks as f64);
    let keys = ["read_latency_p50_clocks", "read_latency_p50_ns"];
    add("Read latency, p50", keys, percentile(0.5));
    let keys = ["read_latency_p99_clocks", "read_latency_p99_ns"];
    add("Read latency, p99", keys, percentile(0.99));
    let keys = ["read_latency_max_clocks", "read_latency_max_ns"];
    add("Read latency, max", keys, percentile(1.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(kind: Kind, address: u64, size: u32) -> Vec<(bool, u64)> {
        lines_of(trace::Access { kind, address, size }).map(|a| (a.write, a.line)).collect()
    }

    #[test]
    fn an_access_touches_every_line_it_covers() {
        assert_eq!(lines(Kind::Load, 127, 1), [(false, 1)]);
        assert_eq!(lines(Kind::Store, 127, 2), [(true, 1), (true, 2)]);
        assert_eq!(lines(Kind::Modify, 64, 64), [(false, 1), (true, 1)]);
        assert_eq!(lines(Kind::Load, 0, 129).len(), 3);
    }
}
