//! `splitmem lockstep`: random requests on the simulated component, every answer compared with the
//! golden model's.

use std::path::PathBuf;
use std::time::Instant;

use splitmem_abi::request::Status;
use verilator_tb::lockstep::{run, Case, Mode, Summary, TraceTo};
use verilator_tb::Hw;

use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

const AFTER_HELP: &str = "\
Everything follows from the seed: the same arguments give the same requests, stalls and cycles. A
mismatch ends the run and shows what happened to the page in question.

Examples:
  splitmem lockstep --seed 7 --mode shootdown
  splitmem lockstep --config small --mode poison --seed 3 --requests 20000 --trace run.fst
  splitmem lockstep --seed 12 --trace end.fst --trace-from 180000";

/// Run random requests on hardware and golden model in lockstep, one case.
///
/// Both request ports get random reads, masked writes and atomics of many processes, while a small
/// monitor maps, unmaps, shares and protects pages, shoots down translations, and runs out of
/// frames. Every handshake stalls at random, and the memory answers in random order.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where all randomness comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests to send.
    #[arg(long, value_name = "M", default_value_t = 100_000)]
    requests: u64,
    /// Hardware configuration: large or small.
    #[arg(long, default_value_t = Hw::Large)]
    config: Hw,
    /// What the requests aim at: mixed, same-line, atomics, set-storm, fault-storm, shootdown,
    /// out-of-memory or poison.
    #[arg(long, default_value_t = Mode::Mixed)]
    mode: Mode,
    /// Write every signal to an FST file (the run is about ten times slower).
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Begin the trace in this cycle.
    #[arg(long, value_name = "CYCLE", default_value_t = 0, requires = "trace")]
    trace_from: u64,
    /// Print one flat JSON object.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the case and prints what it went through.
    ///
    /// # Errors
    /// A mismatch, the trace file, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let Self { seed, requests, config: hw, mode, .. } = self;
        let case = Case { hw, mode, seed, requests };
        let trace = self.trace.map(|path| TraceTo { path, from: self.trace_from });
        let mut progress = Progress::new("checking");
        let interrupt = Interrupt::install();
        let start = Instant::now();
        let summary = run(&case, trace.as_ref(), &mut |done| {
            progress.update(done, requests);
            !interrupt.is_raised()
        })?;
        drop(progress);
        let mut facts = Facts::new();
        facts.add("config", "Configuration", hw.name(), "");
        facts.add("mode", "Mode", mode.name(), "");
        facts.add("seed", "Seed", seed, "");
        facts.extend(summary_facts(&summary, start.elapsed().as_secs_f64()));
        if let Some(TraceTo { path, .. }) = trace {
            facts.add("trace", "Trace", path.display().to_string(), "");
        }
        facts.print(self.json)
    }
}

/// What cases went through. Reaching the end means that there was no mismatch.
pub(super) fn summary_facts(summary: &Summary, seconds: f64) -> Facts {
    let mut facts = Facts::new();
    facts.add("mismatches", "Mismatches", 0u64, "");
    facts.add("requests", "Requests checked", summary.requests, "");
    let keys = [
        (Status::Ok, "answered_ok", "  ok"),
        (Status::NotMapped, "answered_not_mapped", "  not mapped"),
        (Status::NoPermission, "answered_no_permission", "  no permission"),
        (Status::NoMemory, "answered_no_memory", "  no memory"),
        (Status::BadRequest, "answered_bad_request", "  bad request"),
        (Status::Uncorrectable, "answered_uncorrectable", "  uncorrectable"),
    ];
    for (status, key, label) in keys {
        facts.add(key, label, summary.by_status[status as usize], "");
    }
    let [reads, writes, adds, swaps, unknown] = summary.by_op;
    facts.add("reads", "Reads", reads, "");
    facts.add("writes", "Writes", writes, "");
    facts.add("atomics", "Atomics", adds + swaps, "");
    facts.add("unknown_ops", "Unknown ops", unknown, "");
    facts.add("huge_requests", "To 2 MiB pages", summary.huge, "");
    facts.add("same_line", "To a line with a request in flight", summary.same_line, "");
    facts.add("stale", "By a mapping being replaced", summary.stale, "");
    facts.add("faults", "First writes that took a frame", summary.faults, "");
    facts.add("recycled_frames", "Frames recycled", summary.recycled, "");
    facts.add("table_commands", "Table commands", summary.table_commands[0], "");
    facts.add("table_commands_failed", "  refused", summary.table_commands[1], "");
    facts.add("shootdowns", "Shootdowns", summary.shootdowns, "");
    let longest = u64::from(summary.shootdown_max);
    facts.add("shootdown_max_cycles", "  longest", longest, "cycles");
    facts.add("events", "Events read from the log", summary.events, "");
    facts.add("cycles", "Simulated", summary.cycles, "cycles");
    facts.add("seconds", "Time", seconds, "s");
    facts.add("requests_per_second", "", summary.requests as f64 / seconds, "requests/s");
    facts.add("sim_cycles_per_second", "", summary.cycles as f64 / seconds, "cycles/s");
    facts
}
