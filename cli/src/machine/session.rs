//! [`Session`]: a machine at work, and what is known of it afterwards.

use std::time::Instant;

use pcomponent_driver::config::CacheConfig;
use pcomponent_driver::CacheStats;
use splitmem_abi::geometry::LINE_BYTES;
use splitmem_abi::regs::Counter;

use super::memory::ComponentMemory;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::observe::{Activity, Latencies, Observer, Watched};
use crate::report::bars::{self, Bar, Part};
use crate::report::chart::{Axis, Chart, Series};
use crate::report::scale::Scale;
use crate::report::Report;
use crate::workload::MemoryError;

/// A machine at work.
pub struct Session {
    /// The process's memory.
    pub memory: Watched<ComponentMemory>,
    observer: Observer,
    started: Instant,
    /// The component's cycles then: its boot was before.
    cycles_before: u64,
}

impl Session {
    /// Starts the clock.
    pub fn new(memory: ComponentMemory, observer: Observer, interrupt: Interrupt) -> Self {
        let cycles_before = memory.remote().cycles().unwrap_or(0);
        let memory = Watched::new(memory, interrupt);
        Self { memory, observer, started: Instant::now(), cycles_before }
    }

    /// Writes back what the cache holds: the component's share of the work is only then done.
    ///
    /// # Errors
    /// As [`ComponentMemory::flush`].
    pub fn finish(&mut self) -> Result<(), MemoryError> {
        self.memory.inner_mut().flush()
    }

    /// What was measured so far.
    pub fn facts(&self) -> Facts {
        let mut facts = self.cache_facts();
        facts.extend(self.cycle_facts());
        facts.extend(self.component_facts());
        facts
    }

    fn cache_facts(&self) -> Facts {
        let remote = self.memory.inner().remote();
        let mut facts = Facts::new();
        match (remote.cache(), remote.stats()) {
            (CacheConfig::ExCache(config), CacheStats::ExCache(stats)) => {
                let ratio = |value: Option<f64>| value.unwrap_or(f64::NAN);
                facts.add("cache", "Cache", "excache", "");
                facts.add("excache_bytes", "  local memory", config.bytes as u64, "bytes");
                facts.add("ways", "  ways", config.associativity.to_string(), "");
                facts.add("replacement", "  replacement", config.replacement.to_string(), "");
                facts.add("eviction", "  eviction", config.eviction.to_string(), "");
                facts.add("prefetch", "  prefetch", config.prefetch.to_string(), "");
                facts.add("dirty", "  dirty tracking", config.dirty.to_string(), "");
                facts.add("cache_accesses", "Accesses", stats.accesses(), "pages");
                facts.add("cache_misses", "  misses", stats.misses, "pages");
                facts.add("hit_ratio", "  hit ratio", ratio(stats.hit_ratio()), "of accesses");
                facts.add("zero_fills", "  zero-filled at the host", stats.zero_fills, "pages");
                facts.add("page_fetches", "  fetched", stats.fetches, "pages");
                facts.add(
                    "victim_hits",
                    "  taken back from the victims",
                    stats.victim_hits,
                    "pages",
                );
                facts.add("prefetches", "Prefetched", stats.prefetch_issued, "pages");
                facts.add("prefetches_useful", "  of them used", stats.prefetch_useful, "pages");
                facts.add("write_backs", "Written back", stats.write_backs, "pages");
                facts.add("lines_written_back", "  in lines", stats.lines_written_back, "lines");
            }
            (CacheConfig::VCache(config), CacheStats::VCache(stats)) => {
                let bytes = (config.sets * config.ways * LINE_BYTES) as u64;
                facts.add("cache", "Cache", "vcache", "");
                facts.add("vcache_bytes", "  local memory", bytes, "bytes");
                facts.add("cache_accesses", "Accesses", stats.reads + stats.writes, "lines");
                facts.add("cache_misses", "  misses", stats.misses, "lines");
                let ratio = stats.hit_ratio().unwrap_or(f64::NAN);
                facts.add("hit_ratio", "  hit ratio", ratio, "of accesses");
                facts.add("line_fetches", "  fetched", stats.fetches, "lines");
                facts.add("write_backs", "Written back", stats.write_backs, "lines");
            }
            _ => facts.add("cache", "Cache", "none", ""),
        }
        facts
    }

    fn cycle_facts(&self) -> Facts {
        let remote = self.memory.inner().remote();
        let mut facts = Facts::new();
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(cycles) = remote.cycles() {
            facts.add("sim_cycles", "Simulated time", cycles, "cycles");
            if let Some(mhz) = remote.transport_info().clock_mhz {
                facts.add("sim_us", "  at the component's clock", cycles as f64 / mhz, "us");
            }
            let observation = self.observer.observation();
            for (key, activity) in [
                ("cycles_fetching", Activity::Reading),
                ("cycles_fetching_and_writing", Activity::Both),
                ("cycles_writing_back", Activity::Writing),
                ("cycles_monitor", Activity::Monitor),
            ] {
                let label = format!("  {}", activity.name());
                facts.add(key, label, observation.cycles(activity), "cycles");
            }
            facts.extend(self.memory.operations().facts());
            let speed = (cycles - self.cycles_before) as f64 / seconds;
            facts.add("sim_cycles_per_second", "Simulation speed", speed, "cycles/s");
        }
        facts.add("host_seconds", "Time taken", seconds, "s");
        facts
    }

    /// The hardware's counters; none if the component has none, or cannot be asked any more.
    fn component_facts(&self) -> Facts {
        let remote = self.memory.inner().remote();
        let mut facts = Facts::new();
        // Hardware built without statistics answers zero, of its cycles too.
        if !remote.component_counter(Counter::Cycles).is_ok_and(|cycles| cycles > 0) {
            return facts;
        }
        for (counter, name) in Counter::ALL {
            // The cycles stand above, counted where the time passed.
            if counter == Counter::Cycles {
                continue;
            }
            if let Ok(count) = remote.component_counter(counter) {
                let label = format!("Component: {}", name.replace('_', " "));
                facts.add(format!("component_{name}"), label, count, unit(counter));
            }
        }
        facts
    }

    /// Adds the plots.
    pub fn draw(&self, report: &mut Report) {
        let observation = self.observer.observation();
        latencies(
            report,
            "Latency per operation",
            self.memory.operations(),
            "One operation of the program, from the end of the one before it, as simulated time: what \
             the cache at the host answers takes no cycle of the component.",
        );
        latencies(
            report,
            "Latency per request",
            &observation.submissions,
            "From the driver's hand-over to the component's last answer. A page is 64 lines.",
        );
        self.draw_hits(report);
        if observation.total() > 0 {
            report.heading("Where the cycles went");
            let parts = (0..).zip(Activity::ALL).map(|(series, activity)| Part {
                name: activity.name().to_owned(),
                value: observation.cycles(activity) as f64,
                series,
            });
            let bar = Bar { label: "host waits for".to_owned(), parts: parts.collect() };
            report.figure(
                &bars::svg(&[bar], "component cycles"),
                "What was in flight while simulated time went by. The host's own work takes none.",
            );
        }
    }

    fn draw_hits(&self, report: &mut Report) {
        let timeline = self.memory.timeline();
        let points = timeline.hit_ratios();
        if points.is_empty() {
            return;
        }
        let x = if timeline.has_cycles() { "component cycles" } else { "accesses" };
        let chart = Chart {
            x: Axis { label: x.to_owned(), scale: Scale::Linear, range: None },
            y: Axis {
                label: "hit ratio of the cache at the host".to_owned(),
                scale: Scale::Linear,
                range: Some((0.0, 1.0)),
            },
            series: vec![Series { name: "hit ratio".to_owned(), points, steps: false }],
        };
        report.heading("Hit ratio over time");
        report.figure(&chart.svg(), "Each point is the ratio since the point before it.");
    }
}

fn latencies(report: &mut Report, heading: &str, latencies: &Latencies, caption: &str) {
    report.heading(heading);
    if latencies.is_empty() {
        report.paragraph("This backend counts no cycles: --backend rtl does.");
        return;
    }
    let series = latencies.cumulative().into_iter().map(|(name, points)| Series {
        name: name.to_owned(),
        points,
        steps: true,
    });
    let chart = Chart {
        x: Axis { label: "component cycles".to_owned(), scale: Scale::Log, range: None },
        y: Axis {
            label: "share that took at most so long".to_owned(),
            scale: Scale::Linear,
            range: Some((0.0, 1.0)),
        },
        series: series.collect(),
    };
    report.figure(&chart.svg(), caption);
    report.table(&Latencies::HEADER, &latencies.rows());
}

/// What a counter counts.
fn unit(counter: Counter) -> &'static str {
    use Counter as C;
    match counter {
        C::TlbHits | C::TlbMisses | C::WalkMerges => "lookups",
        C::Walks | C::WalksPeak => "walks",
        C::Faults4k | C::Faults2m => "pages",
        C::Zeroed4k | C::Zeroed2m => "frames",
        C::DramReads | C::DramWrites => "lines",
        C::Cycles | C::PortStalls => "cycles",
        C::Shootdowns => "shootdowns",
        _ => "requests",
    }
}
