//! Programs that run in managed memory right now, on this machine, and what they count.
//!
//! Every `splitmem run` has a folder, and every process of it a file there that the process maps and
//! counts in (see [`StatsPage`](pcomponent_driver::transparent::StatsPage)). So looking costs the
//! program nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pcomponent_driver::transparent::TransparentStats;

use super::counts;

/// How the names of the folders of runs begin.
pub const FOLDER: &str = "splitmem-run-";

/// Bytes of a page.
const PAGE: f64 = 4096.0;
/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;
/// [`TransparentStats::state`] of a process that runs.
const RUNS: u64 = 1;

/// The folders of all runs of this user that can be seen.
pub fn folders() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return Vec::new() };
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(FOLDER);
    entries.flatten().filter(ours).map(|entry| entry.path()).collect()
}

/// The processes in a folder that run, by the time of their start.
pub fn running(folder: &Path) -> Vec<TransparentStats> {
    let mut processes = counts::collect(folder);
    processes.retain(|stats| stats.state == RUNS && Path::new(&proc_of(stats.pid)).exists());
    processes
}

fn proc_of(pid: u64) -> String {
    format!("/proc/{pid}")
}

/// The name of a process, as Linux has it.
pub fn name(pid: u64) -> String {
    let name = fs::read_to_string(format!("{}/comm", proc_of(pid))).unwrap_or_default();
    name.trim_end().to_owned()
}

/// One process between two looks.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// What it has counted since it started.
    pub stats: TransparentStats,
    /// Misses a second since the last look.
    pub misses_per_second: f64,
    /// Share of the time since the last look that its threads spent in misses; more than 1 if
    /// several did at once.
    pub in_misses: f64,
    /// Misses since the last look by the time that they took.
    pub latency: Vec<u64>,
}

impl Line {
    /// Memory that holds something, in MiB.
    pub fn touched_mib(&self) -> f64 {
        self.stats.live as f64 * PAGE / MIB
    }

    /// Of it, what is in local frames, in MiB.
    pub fn local_mib(&self) -> f64 {
        self.stats.resident as f64 * PAGE / MIB
    }

    /// Of that, what the component does not have, in MiB.
    pub fn dirty_mib(&self) -> f64 {
        self.stats.dirty as f64 * PAGE / MIB
    }

    /// Of the pages brought in ahead, the share that the program went through, at least; `None` if
    /// there were none.
    pub fn prefetch_accuracy(&self) -> Option<f64> {
        let brought = self.stats.prefetched;
        (brought > 0).then(|| self.stats.prefetch_useful.min(brought) as f64 / brought as f64)
    }

    /// Nanoseconds that half of the misses since the last look stayed below.
    pub fn median_ns(&self) -> Option<u64> {
        TransparentStats { latency: self.latency.clone(), ..self.stats.clone() }.quantile(0.5)
    }
}

/// Looks at all runs again and again.
#[derive(Default)]
pub struct Watch {
    before: Vec<TransparentStats>,
    at: Option<Instant>,
}

impl Watch {
    /// A first look, for rates since then.
    pub fn begin() -> Self {
        let mut watch = Self::default();
        watch.look();
        watch
    }

    /// Every process that runs now, and what it did since the last look, or since it started.
    pub fn look(&mut self) -> Vec<Line> {
        let now = Instant::now();
        let since = self.at.map_or(Duration::ZERO, |at| now - at);
        let stats: Vec<_> = folders().iter().flat_map(|folder| running(folder)).collect();
        let lines = stats.iter().map(|stats| self.line(stats, since)).collect();
        self.at = Some(now);
        self.before = stats;
        lines
    }

    fn line(&self, stats: &TransparentStats, since: Duration) -> Line {
        let key = |stats: &TransparentStats| (stats.pid, stats.started_ns);
        let before = self.before.iter().find(|before| key(before) == key(stats));
        let more = |field: fn(&TransparentStats) -> u64| {
            field(stats).saturating_sub(before.map_or(0, field)) as f64
        };
        let seconds = since.as_secs_f64().max(1e-3);
        let mut latency = stats.latency.clone();
        if let Some(before) = before {
            latency
                .iter_mut()
                .zip(&before.latency)
                .for_each(|(n, old)| *n = n.saturating_sub(*old));
        }
        Line {
            name: name(stats.pid),
            stats: stats.clone(),
            misses_per_second: more(|stats| stats.misses) / seconds,
            in_misses: more(|stats| stats.miss_ns) / 1e9 / seconds,
            latency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcomponent_driver::transparent::StatsPage;

    fn stats(misses: u64, ns: u64) -> TransparentStats {
        let mut stats = StatsPage::new().read();
        (stats.pid, stats.state) = (u64::from(std::process::id()), RUNS);
        (stats.misses, stats.miss_ns) = (misses, ns);
        stats.latency[40] = misses;
        stats
    }

    #[test]
    fn rates_are_of_the_time_since_the_last_look() {
        let watch = Watch { before: vec![stats(100, 1_000_000_000)], at: None };
        let line = watch.line(&stats(350, 2_000_000_000), Duration::from_secs(2));
        assert_eq!((line.misses_per_second, line.in_misses), (125.0, 0.5));
        assert_eq!(line.latency.iter().sum::<u64>(), 250);
        assert_eq!(line.prefetch_accuracy(), None);
        // A process that has replaced itself starts anew.
        let mut other = stats(10, 0);
        other.started_ns = 1;
        let line = watch.line(&other, Duration::from_secs(2));
        assert_eq!(line.misses_per_second, 5.0);
        assert!(!line.name.is_empty());
    }
}
