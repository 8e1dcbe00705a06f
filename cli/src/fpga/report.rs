//! What a bitstream is and what it reached: `report.json` beside it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::boards::{Board, BoardClock};
use super::tools::FpgaError;
use crate::facts::Facts;

/// What a bitstream is and what it reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Board.
    pub board: String,
    /// FPGA, speed grade and package.
    pub device: String,
    /// Hash of the hardware that went in, constraints and recipe: see [`Board::inputs`].
    pub inputs: String,
    /// The firmware that went in, if any did.
    pub firmware: Option<FirmwareReport>,
    /// Hash of the bitstream.
    pub bitstream: String,
    /// Its length.
    pub bitstream_bytes: u64,
    /// Seed of the placement that it is made of.
    pub seed: u32,
    /// What the clocks reached.
    pub clocks: Vec<ClockReport>,
    /// Used and available cells of each kind that is used.
    pub used: Vec<(String, u64, u64)>,
    /// Cells by block, before placement.
    pub blocks: Vec<BlockUse>,
    /// Versions of Yosys and nextpnr.
    pub tools: Vec<String>,
}

/// Which firmware a bitstream has in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirmwareReport {
    /// Hash of what it is compiled from: [`verilator_tb::soc::FIRMWARE_SOURCES`].
    pub sources: String,
    /// Hash of what it became. Other compilers make other firmware of the same sources, and so does
    /// the same one in other places.
    pub image: String,
    /// The compiler.
    pub compiler: String,
}

/// What a clock reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockReport {
    /// What it drives.
    pub clock: String,
    /// What it runs at, in MHz.
    pub runs_at_mhz: f64,
    /// By seed, what its placement reaches, in MHz.
    pub reached_mhz: Vec<(u32, f64)>,
    /// Registers (or memories) between which the slowest path of the bitstream's placement lies.
    pub critical: [String; 2],
}

/// Cells of a block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockUse {
    /// Which block.
    pub block: String,
    /// Look-up tables of four inputs, those in adders and small memories too.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs.
    pub ram: u64,
    /// Multipliers.
    pub dsp: u64,
}

/// The clock that a placement reaches, in MHz. A clock that drives nothing but pads is not reported
/// by the router; such a one is not asked for.
///
/// # Errors
/// [`FpgaError::Report`].
pub fn reached(report: &Json, clock: &BoardClock) -> Result<f64, FpgaError> {
    let clocks = report["fmax"].as_object().into_iter().flatten();
    let named = |net: &str| net == clock.net || net.strip_prefix("$glbnet$") == Some(clock.net);
    let found = clocks.filter(|(net, _)| named(net)).find_map(|(_, c)| c["achieved"].as_f64());
    found.ok_or_else(|| FpgaError::Report(format!("no clock {} in it", clock.net)))
}

/// Where the slowest path of a clock begins and ends.
pub fn critical(report: &Json, clock: &BoardClock) -> [String; 2] {
    let paths = report["critical_paths"].as_array().into_iter().flatten();
    let delay = |path: &&Json| {
        let steps = path["path"].as_array().into_iter().flatten();
        steps.filter_map(|step| step["delay"].as_f64()).sum::<f64>()
    };
    let edge = |end: &Json| {
        let net = end.as_str().and_then(|name| name.strip_prefix("posedge "));
        net.map(|net| net.strip_prefix("$glbnet$").unwrap_or(net)) == Some(clock.net)
    };
    let inside = paths.filter(|path| edge(&path["from"]) && edge(&path["to"]));
    let slowest = inside.max_by(|a, b| delay(a).total_cmp(&delay(b)));
    let steps = slowest.and_then(|path| path["path"].as_array()).cloned().unwrap_or_default();
    let cell = |step: Option<&Json>, end: &str| {
        register(step.and_then(|step| step[end]["cell"].as_str()).unwrap_or("-"))
    };
    [cell(steps.first(), "from"), cell(steps.last(), "to")]
}

/// What a cell is in our own hardware description: tools put a cell's kind and number behind the name
/// of the register or wire that it drives.
fn register(cell: &str) -> String {
    let kinds = ["_TRELLIS_FF", "_LUT4", "_CCU2C", "_PFUMX", "_L6MUX21", "_SB_DFF", "_SB_LUT4"];
    let end = kinds.iter().filter_map(|kind| cell.find(kind)).min();
    cell[..end.unwrap_or(cell.len())].to_owned()
}

/// Used and available cells of each kind that is used.
pub fn used(report: &Json) -> Vec<(String, u64, u64)> {
    let cells = report["utilization"].as_object().into_iter().flatten();
    let counts = cells.filter_map(|(name, cell)| {
        Some((name.clone(), cell["used"].as_u64()?, cell["available"].as_u64()?))
    });
    counts.filter(|(_, used, _)| *used > 0).collect()
}

impl Report {
    /// Fails if a clock of the bitstream's own placement is slower than it runs.
    ///
    /// # Errors
    /// [`FpgaError::TooSlow`].
    pub fn check(&self) -> Result<(), FpgaError> {
        for clock in &self.clocks {
            let reached = clock.reached_mhz.iter().find(|(seed, _)| *seed == self.seed);
            let reached = reached.map_or(0.0, |(_, mhz)| *mhz);
            if reached < clock.runs_at_mhz {
                let [from, to] = clock.critical.clone();
                return Err(FpgaError::TooSlow {
                    clock: clock.clock.clone(),
                    seed: self.seed,
                    reached,
                    wanted: clock.runs_at_mhz,
                    from,
                    to,
                });
            }
        }
        Ok(())
    }

    /// As it is printed.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        let text = |facts: &mut Facts, key: &str, label: &str, value: &str| {
            facts.add(key.to_owned(), label.to_owned(), value, "");
        };
        text(&mut facts, "board", "Board", &self.board);
        text(&mut facts, "device", "FPGA", &self.device);
        facts.add("seed", "Placement of seed", u64::from(self.seed), "");
        for clock in &self.clocks {
            let key = clock.clock.replace(' ', "_");
            let label = format!("Clock of the {}", clock.clock);
            facts.add(format!("{key}_mhz"), label, clock.runs_at_mhz, "MHz");
            for (seed, mhz) in &clock.reached_mhz {
                let label = format!("  reached with seed {seed}");
                facts.add(format!("{key}_seed_{seed}_mhz"), label, *mhz, "MHz");
            }
            let [from, to] = &clock.critical;
            text(&mut facts, &format!("{key}_critical_from"), "  slowest path from", from);
            text(&mut facts, &format!("{key}_critical_to"), "    to", to);
        }
        for (cell, used, available) in &self.used {
            let key = format!("used_{}", cell.to_lowercase());
            facts.add(key, format!("{cell} of {available}"), *used, "");
        }
        for block in &self.blocks {
            let words = format!(
                "{} LUT4, {} FF, {} block RAM, {} DSP",
                block.lut, block.ff, block.ram, block.dsp
            );
            let key = format!("block_{}", block.block.replace(' ', "_").to_lowercase());
            facts.add(key, format!("Block: {}", block.block), words, "");
        }
        facts.add("bitstream_bytes", "Bitstream", self.bitstream_bytes, "bytes");
        text(&mut facts, "bitstream", "  hash", &self.bitstream);
        text(&mut facts, "inputs", "Hash of the hardware that went in", &self.inputs);
        if let Some(firmware) = &self.firmware {
            text(&mut facts, "firmware", "Hash of the firmware that went in", &firmware.image);
            text(&mut facts, "firmware_sources", "  of its sources", &firmware.sources);
            text(&mut facts, "compiler", "  compiled by", &firmware.compiler);
        }
        facts
    }

    /// Of what was read of the router's reports. `reports` are the placements by seed, and `seed` the
    /// one that the bitstream is made of.
    ///
    /// # Errors
    /// [`FpgaError::Report`].
    pub fn clocks_of(
        board: &Board,
        reports: &[(u32, Json)],
        seed: u32,
    ) -> Result<Vec<ClockReport>, FpgaError> {
        let of_clock = |clock: &BoardClock| {
            let reached: Result<Vec<_>, FpgaError> =
                reports.iter().map(|(seed, report)| Ok((*seed, reached(report, clock)?))).collect();
            let own = reports.iter().find(|(other, _)| *other == seed);
            Ok(ClockReport {
                clock: clock.name.to_owned(),
                runs_at_mhz: f64::from(clock.khz) / 1000.0,
                reached_mhz: reached?,
                critical: own.map_or_else(Default::default, |(_, report)| critical(report, clock)),
            })
        };
        board.clocks.iter().map(of_clock).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fpga::boards::BoardName;

    fn router(mhz: f64) -> Json {
        serde_json::json!({
            "fmax": {"$glbnet$clock": {"achieved": mhz}, "$glbnet$clock_late": {"achieved": 999.0},
                     "$glbnet$clock_core": {"achieved": 999.0}},
            "critical_paths": [
                {"from": "posedge $glbnet$clock", "to": "posedge $glbnet$clock", "path": [
                    {"delay": 9.0, "from": {"cell": "core.a_TRELLIS_FF_Q_3"},
                     "to": {"cell": "core.z_LUT4_Z_TRELLIS_FF_Q"}}]},
                {"from": "<async>", "to": "posedge $glbnet$clock", "path": [
                    {"delay": 99.0, "from": {"cell": "pin"}, "to": {"cell": "core.b"}}]}],
            "utilization": {"DP16KD": {"available": 208, "used": 9},
                            "DCCA": {"available": 56, "used": 0}}
        })
    }

    #[test]
    fn a_router_report_is_understood() {
        let clock = BoardClock { name: "component", net: "clock", khz: 41_000 };
        let report = router(41.5);
        assert_eq!(reached(&report, &clock).ok(), Some(41.5));
        assert_eq!(critical(&report, &clock), ["core.a", "core.z"]);
        assert_eq!(used(&report), [("DP16KD".to_owned(), 9, 208)]);
        assert!(reached(&Json::Null, &clock).is_err());
    }

    #[test]
    fn a_placement_that_is_too_slow_is_no_bitstream() {
        let board = BoardName::Ulx3s.board();
        let mut report = Report {
            board: "ulx3s".to_owned(),
            device: String::new(),
            inputs: String::new(),
            firmware: None,
            bitstream: String::new(),
            bitstream_bytes: 0,
            seed: 2,
            clocks: Vec::new(),
            used: Vec::new(),
            blocks: Vec::new(),
            tools: Vec::new(),
        };
        let reports = |mhz| [(1, router(1.0)), (2, router(mhz))];
        let khz = f64::from(board.clocks[0].khz);
        report.clocks = Report::clocks_of(board, &reports(khz / 1000.0), 2).expect("clocks");
        assert!(report.check().is_ok());
        report.clocks = Report::clocks_of(board, &reports(khz / 1001.0), 2).expect("clocks");
        let message = report.check().expect_err("too slow").to_string();
        assert!(message.contains("seed 2") && message.contains("core.a to core.z"), "{message}");
    }
}
