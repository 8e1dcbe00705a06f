//! `splitmem latency --port cxl`: the CXL.mem device, stage by stage.

use verilator_tb::latency::{measure_cxl, Route, IDEAL_LATENCY};
use verilator_tb::Hw;

use super::latency::figures;
use super::output::{command_line, OutputArgs};
use crate::error::CliError;
use crate::facts::Facts;
use crate::report::bars::{self, Bar, Part};
use crate::report::Report;

/// Load latency of CXL memory devices as measured by others, in nanoseconds (Melody, ASPLOS'25).
const PUBLISHED: (u64, u64) = (140, 410);

/// Measures and prints. Only a stated `clock`, in MHz, turns cycles into time.
pub(super) fn run(
    hw: Hw,
    seed: u64,
    clock: Option<u32>,
    output: &OutputArgs,
) -> Result<(), CliError> {
    let (measured, routes) = measure_cxl(hw, seed)?;
    let mut facts = Facts::new();
    facts.add("config", "Configuration", hw.name(), "");
    facts.add("port", "Port", "CXL.mem, transaction layer", "");
    facts.add("ideal_dram_latency_cycles", "Ideal memory", u64::from(IDEAL_LATENCY), "cycles");
    figures(&mut facts, &measured);
    for (stage, cycles) in routes.first().map_or(&[][..], |route| &route.stages) {
        let key = format!("cxl_memrd_{}_cycles", stage.replace([' ', '-'], "_").to_lowercase());
        facts.add(key, format!("  MemRd: {stage}"), *cycles, "cycles");
    }
    if let Some(mhz) = clock {
        facts.add("clock_mhz", "At a clock of", u64::from(mhz), "MHz");
        let ns = |cycles: u64| cycles as f64 * 1000.0 / f64::from(mhz);
        for (key, route) in
            ["cxl_memrd_ns", "cxl_memwr_ns", "cxl_memrd_miss_ns"].iter().zip(&routes)
        {
            facts.add(*key, format!("  {}", route.name), ns(route.cycles()), "ns");
        }
        let (least, most) = PUBLISHED;
        facts.add("published_cxl_ns_min", "  published CXL devices, from", least, "ns");
        facts.add("published_cxl_ns_max", "  published CXL devices, to", most, "ns");
        let caveat = "those have link, host and DRAM in them; ours has neither link nor host";
        facts.add("published_caveat", "  to compare with care", caveat, "");
    }
    facts.add("goals_missed", "Goals missed", measured.missed().count() as u64, "");
    if let Some(folder) = &output.report {
        let path = page(&facts, &routes).write(folder, "latency-cxl")?;
        facts.add("report", "Report", path.display().to_string(), "");
    }
    facts.print(output.json)
}

fn page(facts: &Facts, routes: &[Route]) -> Report {
    let mut report = Report::new("splitmem latency --port cxl", &command_line());
    report.heading("Figures");
    report.facts(facts);
    report.heading("Stages");
    let names: Vec<&str> = routes
        .first()
        .map_or(&[][..], |route| &route.stages)
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let header: Vec<&str> = std::iter::once("cycles").chain(names).chain(["all"]).collect();
    let rows: Vec<Vec<String>> = routes
        .iter()
        .map(|route| {
            let stages = route.stages.iter().map(|(_, cycles)| cycles.to_string());
            let ends = [route.cycles().to_string()];
            std::iter::once(route.name.to_owned()).chain(stages).chain(ends).collect()
        })
        .collect();
    report.table(&header, &rows);
    let drawn: Vec<Bar> = routes
        .iter()
        .map(|route| Bar {
            label: route.name.to_owned(),
            parts: route
                .stages
                .iter()
                .enumerate()
                .map(|(series, (name, cycles))| Part {
                    name: (*name).to_owned(),
                    value: *cycles as f64,
                    series,
                })
                .collect(),
        })
        .collect();
    let caption =
        "A message's way through an idle component over the ideal memory, from the cycle in \
                   which M2S was accepted to that in which S2M was taken.";
    report.figure(&bars::svg(&drawn, "cycles"), caption);
    report
}
