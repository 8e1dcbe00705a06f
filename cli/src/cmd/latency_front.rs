//! `splitmem latency --port cxl|pcie`: a front end before the component, stage by stage.

use verilator_tb::latency::{
    measure_cxl, measure_pcie, ErrorRate, FrontReport, LatencyError, Route, IDEAL_LATENCY,
};
use verilator_tb::Hw;

use super::latency::figures;
use super::output::{command_line, OutputArgs};
use crate::error::CliError;
use crate::facts::Facts;
use crate::report::bars::{self, Bar, Part};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::scale::Scale;
use crate::report::Report;

type Measure = fn(Hw, u64) -> Result<FrontReport, LatencyError>;

/// A front end that can be measured.
pub(super) struct Front {
    /// Its name on the command line.
    word: &'static str,
    label: &'static str,
    measure: Measure,
    /// Name in JSON of each route.
    keys: &'static [&'static str],
    /// What others have published: key, label, nanoseconds.
    published: &'static [(&'static str, &'static str, u64)],
    /// What keeps that from being compared at once.
    caveat: &'static str,
    caption: &'static str,
}

/// CXL.mem messages at the device's transaction layer.
pub(super) const CXL: Front = Front {
    word: "cxl",
    label: "CXL.mem, transaction layer, and with its link layer",
    measure: measure_cxl,
    keys: &[
        "cxl_memrd",
        "cxl_memwr",
        "cxl_memrd_miss",
        "cxl_first_write",
        "cxl_memrd_link",
        "cxl_memwr_link",
    ],
    published: &[
        ("published_cxl_ns_min", "  published CXL devices (Melody, ASPLOS'25), from", 140),
        ("published_cxl_ns_max", "  published CXL devices, to", 410),
    ],
    caveat: "those have link, host and DRAM in them; ours has neither physical layer nor host",
    caption:
        "A message's way through an idle component over the ideal memory, from the cycle in which \
              M2S was accepted to that in which S2M was taken; flit to flit, from the cycle in which \
              the first flit came to that in which the last one left.",
};

/// TLPs at the PCIe endpoint.
pub(super) const PCIE: Front = Front {
    word: "pcie",
    label: "PCIe endpoint, TLPs",
    measure: measure_pcie,
    keys: &["pcie_bar_read", "dma_page", "dma_page_write"],
    published: &[("published_legoos_miss_ns", "  published ExCache miss (LegoOS, OSDI'18)", 6310)],
    caveat: "that has network, software and host in it; ours has no link, and a prompt host",
    caption:
        "From the cycle in which the request's or the doorbell's TLP was taken, through an idle \
              component over the ideal memory, to the last TLP that it caused.",
};

/// Measures and prints. Only a stated `clock`, in MHz, turns cycles into time.
pub(super) fn run(
    front: &Front,
    hw: Hw,
    seed: u64,
    clock: Option<u32>,
    output: &OutputArgs,
) -> Result<(), CliError> {
    let FrontReport { report: measured, routes, errors } = (front.measure)(hw, seed)?;
    let mut facts = Facts::new();
    facts.add("config", "Configuration", hw.name(), "");
    facts.add("port", "Port", front.label, "");
    facts.add("ideal_dram_latency_cycles", "Ideal memory", u64::from(IDEAL_LATENCY), "cycles");
    figures(&mut facts, &measured);
    for (key, route) in front.keys.iter().zip(&routes) {
        facts.add(format!("{key}_stages_cycles"), route.name, route.cycles(), "cycles, of which");
        for (stage, cycles) in &route.stages {
            let stage_key = stage.replace([' ', '-', '\''], "_").to_lowercase();
            facts.add(format!("{key}_{stage_key}_cycles"), format!("  {stage}"), *cycles, "cycles");
        }
    }
    // Without errors it is a figure already.
    for rate in errors.iter().filter(|rate| rate.errors > 0.0) {
        let name = rate_name(rate);
        let label = format!("  MemRd over the link, 1 flit in {:.0} hit", 1.0 / rate.errors);
        let key = format!("cxl_link_requests_per_cycle_{name}");
        facts.add(key, label, rate.requests_per_cycle, "requests/cycle");
        facts.add(format!("cxl_link_flits_hit_{name}"), "    flits hit", rate.hits, "");
    }
    if let Some(mhz) = clock {
        facts.add("clock_mhz", "At a clock of", u64::from(mhz), "MHz");
        let ns = |cycles: u64| cycles as f64 * 1000.0 / f64::from(mhz);
        for (key, route) in front.keys.iter().zip(&routes) {
            facts.add(format!("{key}_ns"), format!("  {}", route.name), ns(route.cycles()), "ns");
        }
        for (key, label, published) in front.published {
            facts.add(*key, *label, *published, "ns");
        }
        facts.add("published_caveat", "  to compare with care", front.caveat, "");
    }
    facts.add("goals_missed", "Goals missed", measured.missed().count() as u64, "");
    if let Some(folder) = &output.report {
        let path = page(front, &facts, &routes, &errors)
            .write(folder, &format!("latency-{}", front.word))?;
        facts.add("report", "Report", path.display().to_string(), "");
    }
    facts.print(output.json)
}

/// An error rate in a key: 1e3 for one flit in a thousand.
fn rate_name(rate: &ErrorRate) -> String {
    format!("{:e}", rate.errors).replace('-', "")
}

fn page(front: &Front, facts: &Facts, routes: &[Route], errors: &[ErrorRate]) -> Report {
    let title = format!("splitmem latency --port {}", front.word);
    let mut report = Report::new(&title, &command_line());
    report.heading("Figures");
    report.facts(facts);
    report.heading("Stages");
    // Routes of the same stages stand in one table.
    let names = |route: &Route| route.stages.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    for like in routes.chunk_by(|a, b| names(a) == names(b)) {
        let stages = like.first().map(names).unwrap_or_default();
        let header: Vec<&str> = std::iter::once("cycles").chain(stages).chain(["all"]).collect();
        let rows: Vec<Vec<String>> = like
            .iter()
            .map(|route| {
                let stages = route.stages.iter().map(|(_, cycles)| cycles.to_string());
                let ends = [route.cycles().to_string()];
                std::iter::once(route.name.to_owned()).chain(stages).chain(ends).collect()
            })
            .collect();
        report.table(&header, &rows);
    }
    // One colour for one stage, whichever route it is of.
    let mut series: Vec<&str> = Vec::new();
    let mut drawn = Vec::new();
    for route in routes {
        let mut parts = Vec::new();
        for (name, cycles) in &route.stages {
            let series = series.iter().position(|known| known == name).unwrap_or_else(|| {
                series.push(name);
                series.len() - 1
            });
            parts.push(Part { name: (*name).to_owned(), value: *cycles as f64, series });
        }
        drawn.push(Bar { label: route.name.to_owned(), parts });
    }
    report.figure(&bars::svg(&drawn, "cycles"), front.caption);
    if !errors.is_empty() {
        error_rates(&mut report, errors);
    }
    report
}

/// Throughput against the error rate.
fn error_rates(report: &mut Report, errors: &[ErrorRate]) {
    report.heading("Errors on the link");
    let rows: Vec<Vec<String>> = errors
        .iter()
        .map(|rate| {
            vec![
                format!("{:e}", rate.errors),
                format!("{:.4}", rate.requests_per_cycle),
                rate.hits.to_string(),
                rate.cycles.to_string(),
            ]
        })
        .collect();
    report.table(&["hit, of all flits", "MemRd a cycle", "flits hit", "cycles"], &rows);
    let chart = Chart {
        x: Axis { label: "Flits hit, of a million".to_owned(), scale: Scale::Log, range: None },
        y: Axis {
            label: "MemRd a cycle".to_owned(),
            scale: Scale::Linear,
            range: Some((0.0, 1.0)),
        },
        series: vec![Series {
            name: "MemRd over the link".to_owned(),
            points: errors.iter().map(|r| (r.errors * 1e6, r.requests_per_cycle)).collect(),
            steps: false,
        }],
    };
    report.figure(
        &chart.svg(),
        "Reads that hit the TLB, as fast as the link takes them. A flit that is hit has up to three bits \
         turned, either way; everything from it on is sent again.",
    );
}
