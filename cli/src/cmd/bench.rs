//! `splitmem bench`: component memory beside all other ways to have more memory than there is locally.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcomponent_driver::profile::Profile;
use serde_json::{Map, Value};

use super::bench_programs;
use super::output::{command_line, OutputArgs};
use crate::bench::path::{default_folder, run, Missing, Sizes, Way};
use crate::bench::programs::Program;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::bars::{self, Bar, Part};
use crate::report::Report;
use crate::size::parse_bytes;

/// Threads that miss at once, where it is asked whether they get in each other's way.
const CROWD: u32 = 4;

const AFTER_HELP: &str = "\
Every way runs the same accesses in a process of its own: pages touched at random and in order, read
and read-modify-write, with one thread and with two. Then unmodified programs run with a quarter of
their memory local. Swap and mapped files run under a memory limit
(a cgroup of either version) of the local memory and 16 MiB for the process itself; this needs root.
What cannot be measured here is skipped, with the reason on the standard error and in the output.
Swap, zram device, files and cgroup are this command's own and are undone at its end and after
Ctrl-C; swap that the machine has already is left alone.

Examples:
  splitmem bench                                # all ways and all programs: some minutes
  splitmem bench --programs                     # programs only
  splitmem bench --programs sort,redis --profile network
  splitmem bench --json --ways local,explicit,zram
  splitmem bench --report bench --dir /mnt/nvme";

/// Compare component memory with local memory, swap and mapped files, in one run.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Working set
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    bytes: u64,
    /// Local memory
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "256MiB")]
    local: u64,
    /// Time of each measurement, of which there are four for each way and number of threads
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<u32>,
    /// Which ways, and no programs if none are named [default: all]
    #[arg(long, value_enum, value_name = "WAY", value_delimiter = ',')]
    ways: Option<Vec<Way>>,
    /// Profile whose delays are checked: cxl, pcie-dma, network or a TOML file
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "cxl")]
    profile: String,
    /// Which unmodified programs, a quarter of their memory local, with the profile's timing; and no ways
    /// if none are named [default: all]
    #[arg(long, value_enum, value_name = "PROGRAM", value_delimiter = ',', num_args = 0..)]
    programs: Option<Vec<Program>>,
    /// Folder for the swap file and the mapped file, on a disk
    #[arg(long, value_name = "DIR", default_value_os_t = default_folder())]
    dir: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// The figures of one way and number of threads.
type Figures = Map<String, Value>;

/// A measurement: its name in the kernel's output, in the keys, and for people.
const MEASURED: [(&str, &str, &str); 4] = [
    ("random_read", "random_read", "random read"),
    ("random_rmw", "rmw", "random read-modify-write"),
    ("sequential_read", "seq_read", "sequential read"),
    ("sequential_rmw", "seq_rmw", "sequential read-modify-write"),
];

/// What was measured, and what could not be.
#[derive(Default)]
struct Results {
    figures: BTreeMap<(Way, u32), Figures>,
    /// Reads of resident words.
    words: BTreeMap<Way, Figures>,
    delays: Option<Figures>,
    /// Unmodified, with more threads than processors.
    crowd: Option<Figures>,
    /// Copies of pages, and nothing else.
    copies: Option<Figures>,
    skipped: BTreeMap<Way, String>,
}

impl Args {
    /// Measures and prints.
    ///
    /// # Errors
    /// Wrong usage, Ctrl-C, or the output. A way that cannot be measured is no error.
    pub fn run(self) -> Result<(), CliError> {
        self.check()?;
        self.output.prepare()?;
        // Until all is undone, further Ctrl-C change nothing.
        let interrupt = Interrupt::install_patient();
        let mut results = Results::default();
        let mut facts = match self.ways() {
            [] => Facts::new(),
            ways => self.compare(ways, &mut results, &interrupt)?,
        };
        if let programs @ [_, ..] = self.programs() {
            let measured = bench_programs::measure(programs, &self.profile, &self.dir, &interrupt)?;
            facts.extend(measured);
        }
        if let Some(folder) = &self.output.report {
            let path = self.page(&facts, &results).write(folder, "bench")?;
            facts.add("report", "Report", path.display().to_string(), "");
        }
        facts.print(self.output.json)
    }

    /// The ways to be measured: all, unless only programs are named.
    fn ways(&self) -> &[Way] {
        match (&self.ways, &self.programs) {
            (Some(ways), _) => ways,
            (None, None) => &Way::ALL,
            (None, Some(_)) => &[],
        }
    }

    /// The programs to be measured: all, unless only ways are named.
    fn programs(&self) -> &[Program] {
        match (&self.programs, &self.ways) {
            (Some(programs), _) if !programs.is_empty() => programs,
            (None, Some(_)) => &[],
            _ => &Program::ALL,
        }
    }

    fn compare(
        &self,
        ways: &[Way],
        results: &mut Results,
        interrupt: &Interrupt,
    ) -> Result<Facts, CliError> {
        let load = load_average();
        let mut progress = Progress::new("measuring");
        let steps = (ways.len() * (self.threads.len() + 1)) as u64;
        let mut step = 0;
        for &way in ways {
            for &threads in &self.threads {
                progress.update(step, steps);
                step += 1;
                self.touch(way, threads, results, interrupt)?;
            }
            progress.update(step, steps);
            step += 1;
            self.beside(way, results, interrupt)?;
        }
        Ok(self.facts(results, load))
    }

    fn check(&self) -> Result<(), CliError> {
        Profile::named(&self.profile)?;
        let usage = |message: &str| Err(CliError::Usage(message.to_owned()));
        if self.threads.is_empty() || self.threads.iter().any(|n| !(1..=64).contains(n)) {
            return usage("--threads: 1 to 64 each");
        }
        if Duration::try_from_secs_f64(self.seconds).is_err() {
            return usage("--seconds: not a time");
        }
        if self.local > self.bytes || self.local < 1 << 20 {
            return usage("--local: 1MiB at least, and at most --bytes");
        }
        Ok(())
    }

    fn sizes(&self, bytes: u64, threads: u32) -> Sizes {
        let time = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        Sizes { bytes, local: self.local, time, threads }
    }

    /// Touches pages in one way.
    fn touch(
        &self,
        way: Way,
        threads: u32,
        results: &mut Results,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        if results.skipped.contains_key(&way) || !way.takes(threads) {
            return Ok(());
        }
        let sizes = self.sizes(self.bytes, threads);
        let figures = results.keep(way, run(way, &sizes, &self.dir, &[], interrupt))?;
        results.figures.extend(figures.map(|figures| ((way, threads), figures)));
        Ok(())
    }

    /// What is measured beside the touches: reads of resident words, the delays of a profile, copies of
    /// pages.
    fn beside(
        &self,
        way: Way,
        results: &mut Results,
        interrupt: &Interrupt,
    ) -> Result<(), CliError> {
        let resident = matches!(way, Way::Local | Way::Explicit | Way::Transparent);
        if !resident || results.skipped.contains_key(&way) {
            return Ok(());
        }
        // What is as large as the local memory is resident in ExCache. Beside the memory of an
        // unmodified program there is the program's own.
        let bytes = if way == Way::Transparent { self.local / 2 } else { self.local };
        let words = run(way, &self.sizes(bytes, 1), &self.dir, &["--words"], interrupt);
        if let Some(mut words) = results.keep(way, words)? {
            if way == Way::Transparent {
                let local = self.sizes(bytes, 1);
                let local = run(Way::Local, &local, &self.dir, &["--words"], interrupt);
                if let Some(local) = results.keep(Way::Local, local)? {
                    words.insert("local_word_ns".to_owned(), number(&local, "word_ns").into());
                }
            }
            results.words.insert(way, words);
        }
        if way == Way::Transparent {
            let more = ["--pattern", "random", "--op", "read"];
            let crowd = run(way, &self.sizes(self.bytes, CROWD), &self.dir, &more, interrupt);
            results.crowd = results.keep(way, crowd)?;
        }
        if way == Way::Explicit {
            // Twice: what the filling left dirty has gone by the second time.
            let more = ["--pattern", "random,random", "--op", "read", "--profile", &self.profile];
            let delays = run(way, &self.sizes(self.bytes, 1), &self.dir, &more, interrupt);
            results.delays = results.keep(way, delays)?;
            let more = ["--copied", "--pattern", "random", "--op", "read"];
            let copies = run(Way::Local, &self.sizes(self.bytes, 1), &self.dir, &more, interrupt);
            results.copies = results.keep(way, copies)?;
        }
        Ok(())
    }

    fn facts(&self, results: &Results, load: f64) -> Facts {
        let mut facts = Facts::new();
        facts.add("working_set_bytes", "Working set", self.bytes, "bytes");
        facts.add("local_bytes", "Local memory", self.local, "bytes");
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        facts.add("cpus", "Processors", cpus, "");
        facts.add("load_average_1m", "Load of the machine before, 1 min", load, "");
        if let Some(pages) = swap_readahead() {
            facts.add(
                "swap_readahead_pages",
                "Pages that Linux swaps in at a time",
                pages,
                "pages",
            );
        }
        for (kernel, key, name) in MEASURED {
            for &threads in &self.threads {
                for &way in self.ways().iter().filter(|way| way.takes(threads)) {
                    results.touch_facts(&mut facts, (kernel, key, name), (way, threads));
                }
            }
        }
        self.goals(results, &mut facts);
        if let Some(delays) = &results.delays {
            let (modelled, achieved) =
                (number(delays, "delay_modelled_ns"), number(delays, "delay_achieved_ns"));
            facts.add("delay_profile", "Delays of profile", self.profile.as_str(), "");
            facts.add("delay_modelled_ns", "  asked for, mean", modelled, "ns");
            facts.add("delay_achieved_ns", "  achieved, mean", achieved, "ns");
            facts.add("delay_error", "  off by (goal: within 0.1)", achieved / modelled - 1.0, "");
            let late = number(delays, "delay_late_ns");
            facts.add("delay_late_ns", "  late where nothing interrupted", late, "ns");
            let share = number(delays, "delay_interrupted") / number(delays, "delayed_requests");
            facts.add("delay_interrupted", "  share that the machine interrupted", share, "");
            let miss = number(delays, "random_read_ns") / number(delays, "random_read_miss_ratio");
            facts.add("delayed_miss_us", "  a miss then takes", miss / 1e3, "us");
        }
        for (way, why) in &results.skipped {
            facts.add(
                format!("skipped_{}", way.key()),
                format!("SKIPPED {}", way.name()),
                why.as_str(),
                "",
            );
        }
        facts
    }

    /// The figures that have a goal, and what they are made of.
    fn goals(&self, results: &Results, facts: &mut Facts) {
        let us = |way: Way| results.ns(way, 1, "random_read_ns") / 1e3;
        let word = |way: Way| results.words.get(&way).map_or(f64::NAN, |f| number(f, "word_ns"));
        let miss = us(Way::Explicit) / results.ns(Way::Explicit, 1, "random_read_miss_ratio");
        facts.add("explicit_miss_us", "Explicit API: a miss (goal: 1.2 or less)", miss, "us");
        let copy = results.copies.as_ref().map_or(f64::NAN, |f| number(f, "random_read_ns")) / 1e3;
        facts.add(
            "page_copy_us",
            "  beside it, a plain copy of a page from anywhere to anywhere",
            copy,
            "us",
        );
        facts.add("explicit_miss_over_copy_us", "  the miss over it", miss - copy, "us");
        let (raw, hit) = (word(Way::Local), word(Way::Explicit));
        facts.add("raw_word_ns", "Random word, plain slice", raw, "ns");
        facts.add("explicit_word_ns", "  explicit API, resident", hit, "ns");
        facts.add("explicit_hit_ns_over_raw", "  over it (goal: 10 or less)", hit - raw, "ns");
        let transparent = results.words.get(&Way::Transparent);
        let over =
            transparent.map_or(f64::NAN, |f| number(f, "word_ns") / number(f, "local_word_ns"));
        facts.add(
            "resident_hit_overhead",
            "  splitmem run, over its own plain slice",
            over - 1.0,
            "",
        );
        for (kernel, key, name) in &MEASURED[..3] {
            let ns = |way| results.ns(way, 1, &format!("{kernel}_ns"));
            let over = ns(Way::Transparent) / ns(Way::Floor);
            let label = format!("A {name}, splitmem run by bare userfaultfd");
            facts.add(format!("{key}_over_floor"), label, over, "");
        }
        let crowd = results.crowd.as_ref().map_or(f64::NAN, |f| number(f, "random_read_ns")) / 1e3;
        let label = format!("A random read, splitmem run, {CROWD} threads");
        facts.add(format!("transparent_random_read_{CROWD}t_us"), label, crowd, "us");
        let more = f64::from(CROWD) * us(Way::Transparent) / crowd;
        let label = "  their throughput by that of 1 (goal: 1 or more)";
        facts.add(format!("transparent_{CROWD}t_over_1t"), label, more, "");
        for way in [Way::Transparent, Way::Explicit] {
            let more = 2.0 * us(way) / (results.ns(way, 2, "random_read_ns") / 1e3);
            let label = format!("Throughput of 2 threads by that of 1, {}", way.name());
            facts.add(format!("{}_2t_over_1t", way.key()), label, more, "");
        }
        let engine = results.figures.get(&(Way::Transparent, 1));
        let share =
            engine.map_or(f64::NAN, |f| number(f, "overhead_bytes") / number(f, "touched_bytes"));
        let label = "Memory of the engine by what it manages (goal: 0.01 or less)";
        facts.add("memory_overhead", label, share, "");
        for (way, prefix, goal) in
            [(Way::Transparent, "", true), (Way::Explicit, "explicit_", false)]
        {
            for (other, most) in [(Way::Zram, "0.8"), (Way::MappedFile, "0.7")] {
                let goal = if goal { format!(" (goal: below {most})") } else { String::new() };
                let label = format!("{} by {}{goal}", way.name(), other.name());
                facts.add(
                    format!("{prefix}ratio_to_{}", other.key()),
                    label,
                    us(way) / us(other),
                    "",
                );
            }
        }
    }

    fn page(&self, facts: &Facts, results: &Results) -> Report {
        let mut report = Report::new("splitmem bench", &command_line());
        if !self.ways().is_empty() {
            report.heading("A page touched");
            report.paragraph(
            "Microseconds that a touch takes its thread, on average, with one thread: the whole \
             working set is touched, a part of it is local.",
        );
            for (kernel, _, name) in MEASURED {
                let bars: Vec<Bar> = self
                    .ways()
                    .iter()
                    .filter_map(|&way| {
                        let value = results.ns(way, self.threads[0], &format!("{kernel}_ns")) / 1e3;
                        let part = Part { name: name.to_owned(), value, series: 0 };
                        value
                            .is_finite()
                            .then(|| Bar { label: way.name().to_owned(), parts: vec![part] })
                    })
                    .collect();
                report.figure(&bars::svg(&bars, "us"), name);
            }
        }
        report.heading("Figures");
        report.facts(facts);
        report
    }
}

impl Results {
    /// The figures; or none, and why.
    fn keep(
        &mut self,
        way: Way,
        outcome: Result<Figures, Missing>,
    ) -> Result<Option<Figures>, CliError> {
        match outcome {
            Ok(figures) => Ok(Some(figures)),
            Err(Missing::Stop(error)) => Err(error),
            Err(Missing::Unavailable(why)) => {
                eprintln!("splitmem: WARNING: {} NOT MEASURED: {why}", way.name());
                self.skipped.insert(way, why.to_string());
                Ok(None)
            }
        }
    }

    fn ns(&self, way: Way, threads: u32, key: &str) -> f64 {
        self.figures.get(&(way, threads)).map_or(f64::NAN, |figures| number(figures, key))
    }

    fn touch_facts(&self, facts: &mut Facts, what: (&str, &str, &str), at: (Way, u32)) {
        let ((kernel, key, name), (way, threads)) = (what, at);
        let beside = if threads == 1 { String::new() } else { format!(", {threads} threads") };
        let label = format!("A {name}, {}{beside}", way.name());
        if !self.figures.contains_key(&at) {
            // Asked for, and not to be had: the names are there all the same.
            facts.add(name_of(at, key), label, f64::NAN, "us");
            return;
        }
        let us = |what: &str| self.ns(way, threads, &format!("{kernel}_{what}")) / 1e3;
        facts.add(name_of(at, key), label, us("ns"), "us");
        let cpu = name_of(at, &format!("{key}_cpu"));
        facts.add(cpu, "  processor time, all threads", us("cpu_ns"), "us");
    }
}

/// The key of a figure.
fn name_of((way, threads): (Way, u32), key: &str) -> String {
    match threads {
        1 => format!("{}_{key}_us", way.key()),
        n => format!("{}_{key}_{n}t_us", way.key()),
    }
}

fn number(figures: &Figures, key: &str) -> f64 {
    figures.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// What the machine is set to (`vm.page-cluster`), and we leave as it is.
fn swap_readahead() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/vm/page-cluster").ok()?;
    text.trim().parse::<u32>().ok().and_then(|log2| 1u64.checked_shl(log2))
}

/// Processes that want to run, over the last minute.
fn load_average() -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc/loadavg")).unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}
