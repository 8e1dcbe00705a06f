//! What the processes of a run counted, for people and for programs.

use std::fs;
use std::path::Path;

use pcomponent_driver::transparent::stats::class_end;
use pcomponent_driver::transparent::{StatsPage, TransparentStats};

use crate::facts::{grouped, Facts};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::scale::Scale;
use crate::report::Report;

const PAGE: u64 = 4096;

/// The counters of every process that has left some in the folder, by process id and age.
pub fn collect(folder: &Path) -> Vec<TransparentStats> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut counts: Vec<_> =
        entries.filter_map(|entry| StatsPage::parse(&fs::read(entry.ok()?.path()).ok()?)).collect();
    counts.sort_by_key(|stats| (stats.started_ns, stats.pid));
    counts
}

/// All processes together.
pub fn total(processes: &[TransparentStats]) -> TransparentStats {
    let mut total = StatsPage::new().read();
    processes.iter().for_each(|stats| total.add(stats));
    total
}

/// What was counted, over all processes.
pub fn facts(processes: &[TransparentStats], seconds: f64) -> Facts {
    let all = total(processes);
    let us = |ns: Option<u64>| ns.map_or(f64::NAN, |ns| ns as f64 / 1000.0);
    let ratio = |part: u64, whole: u64| part as f64 / whole as f64;
    let mut facts = Facts::new();
    facts.add("processes", "Processes", processes.len() as u64, "");
    facts.add("seconds", "Time taken", seconds, "s");
    facts.add("miss_seconds", "  in misses, over all threads", all.miss_ns as f64 / 1e9, "s");
    facts.add(
        "touched_bytes",
        "Memory that held something, at most",
        all.live_peak * PAGE,
        "bytes",
    );
    facts.add("local_bytes", "Local memory in use, at most", all.resident_peak * PAGE, "bytes");
    facts.add("overhead_bytes", "  besides, the engine's tables", all.overhead_bytes, "bytes");
    facts.add("misses", "Misses", all.misses, "pages");
    facts.add("misses_per_second", "  a second", all.misses as f64 / seconds, "pages/s");
    facts.add("zero_fills", "  zero-filled at the host", all.zero_fills, "pages");
    facts.add("syscall_pages", "  for system calls", all.syscall_pages, "pages");
    facts.add(
        "miss_us_mean",
        "  mean time",
        ratio(all.miss_ns, all.latency.iter().sum()) / 1e3,
        "us",
    );
    facts.add("miss_us_p50", "  median, below", us(all.quantile(0.5)), "us");
    facts.add("miss_us_p99", "  99th percentile, below", us(all.quantile(0.99)), "us");
    facts.add("page_fetches", "Fetched", all.fetches, "pages");
    facts.add("prefetches", "Brought in ahead", all.prefetched, "pages");
    let accuracy = ratio(all.prefetch_useful.min(all.prefetched), all.prefetched);
    facts.add("prefetch_accuracy", "  went through, at least", accuracy, "of them");
    facts.add("write_backs", "Written back", all.write_backs, "pages");
    facts.add("clean_drops", "Dropped unchanged", all.clean_drops, "pages");
    facts.add("zero_drops", "Dropped holding zeros", all.zero_drops, "pages");
    facts.add("write_faults", "First writes seen", all.write_faults, "pages");
    facts.add("forks", "Forks", all.forks, "");
    facts
}

/// Adds the plot of miss latencies and a table of the processes.
pub fn draw(report: &mut Report, processes: &[TransparentStats]) {
    let all = total(processes);
    let misses: u64 = all.latency.iter().sum();
    report.heading("Latency of a miss");
    if misses == 0 {
        report.paragraph("There was none.");
    } else {
        let mut seen = 0;
        let mut points = Vec::new();
        for (class, n) in all.latency.iter().enumerate() {
            seen += n;
            if seen > 0 {
                points.push((class_end(class) as f64 / 1000.0, seen as f64 / misses as f64));
            }
            if seen == misses {
                break;
            }
        }
        let chart = Chart {
            x: Axis { label: "us".to_owned(), scale: Scale::Log, range: None },
            y: Axis {
                label: "share that took at most so long".to_owned(),
                scale: Scale::Linear,
                range: Some((0.0, 1.0)),
            },
            series: vec![Series { name: "misses".to_owned(), points, steps: true }],
        };
        report.figure(
            &chart.svg(),
            "From the signal in the thread that missed to the page in its place, eviction included; \
             to within a quarter of a doubling.",
        );
    }
    report.heading("Processes");
    let header = [
        "process",
        "touched MiB",
        "local MiB",
        "misses",
        "fetched",
        "written back",
        "ms in misses",
    ];
    let mib = |pages: u64| format!("{:.1}", pages as f64 * PAGE as f64 / (1 << 20) as f64);
    let rows: Vec<Vec<String>> = processes
        .iter()
        .map(|p| {
            vec![
                p.pid.to_string(),
                mib(p.live_peak),
                mib(p.resident_peak),
                grouped(p.misses),
                grouped(p.fetches),
                grouped(p.write_backs),
                format!("{:.1}", p.miss_ns as f64 / 1e6),
            ]
        })
        .collect();
    report.table(&header, &rows);
}
