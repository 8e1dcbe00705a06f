//! `splitmem bench-kernel`: the accesses that `splitmem bench` measures, over the memory of this
//! process. Hidden: it is what `splitmem bench` runs under limits, swap and `splitmem run`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use pcomponent_driver::profile::{DelayMeter, Profile};
use pcomponent_driver::transparent::floor::{FloorMemory, WINDOW};

use crate::bench::kernel::{fill, measure, word_ns, Measured, Op, Part, Pattern};
use crate::bench::memory::{Copied, Explicit, Mapped};
use crate::bench::programs::pagerank;
use crate::error::CliError;
use crate::facts::Facts;
use crate::size::parse_bytes;

/// Touch pages and print what a touch takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Memory that is touched
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    bytes: u64,
    /// Local memory that there is for it
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "256MiB")]
    local: u64,
    /// Which page comes next
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["random", "sequential"])]
    pattern: Vec<Pattern>,
    /// What a touch does
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["read", "rmw"])]
    op: Vec<Op>,
    /// Threads, each with its part of the memory
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Time of each measurement
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Map this file instead of anonymous memory
    #[arg(long, conflicts_with = "explicit")]
    file: Option<PathBuf>,
    /// Use component memory through the typed API
    #[arg(long)]
    explicit: bool,
    /// Use memory behind the least that can serve misses in user space
    #[arg(long, conflicts_with_all = ["explicit", "file"])]
    floor: bool,
    /// Use memory that is copied page by page into the local one as it is touched
    #[arg(long, conflicts_with_all = ["explicit", "file", "floor"])]
    copied: bool,
    /// Timing of the component, with --explicit
    #[arg(long, requires = "explicit")]
    profile: Option<String>,
    /// Read random words that are resident instead of touching pages
    #[arg(long)]
    words: bool,
    /// Rank the vertices of a graph of this many instead, and print a check sum
    #[arg(long, value_name = "VERTICES", value_parser = clap::value_parser!(u32).range(1..))]
    pagerank: Option<u32>,
}

impl Args {
    /// Touches and prints.
    ///
    /// # Errors
    /// No memory, or wrong contents.
    pub fn run(self) -> Result<(), CliError> {
        if let Some(vertices) = self.pagerank {
            let mut facts = Facts::new();
            facts.add("pagerank", "Sum of squares", pagerank(vertices as usize), "");
            return facts.print(true);
        }
        let profile = self.profile.as_deref().map(Profile::named).transpose()?;
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let local = usize::try_from(self.local).unwrap_or(usize::MAX);
        if bytes / 4096 < self.threads as usize {
            return Err(CliError::Usage("--bytes: every thread needs a page".to_owned()));
        }
        let threads = self.threads as usize;
        let facts = if self.explicit {
            let memory = Explicit::new(bytes, local, profile.as_ref())?;
            let mut parts = memory.parts(threads)?;
            // So the delays are those of the last measurement.
            let begin = |_, _| memory.delays().into_iter().for_each(DelayMeter::reset);
            let mut facts = self.measure(&mut parts, begin, || memory.misses())?;
            if let Some(delays) = memory.delays().map(|delays| delays.get()) {
                facts.add("delay_modelled_ns", "Delay by the profile", delays.modelled_ns, "ns");
                facts.add("delay_achieved_ns", "  achieved", delays.achieved_ns, "ns");
                facts.add("delay_late_ns", "  late, if not interrupted", delays.late_ns, "ns");
                facts.add("delayed_requests", "  requests", delays.requests, "");
                facts.add("delay_interrupted", "  interrupted", delays.interrupted, "");
            }
            facts
        } else if self.floor {
            let mut memory = FloorMemory::new(bytes, local / 4096)?;
            let begin = |op, pattern| {
                let window = if pattern == Pattern::Sequential { WINDOW } else { 1 };
                FloorMemory::set(window, op == Op::Rmw);
            };
            self.measure(&mut [memory.words()], begin, || 0)?
        } else if self.copied {
            self.measure(&mut [Copied::new(bytes, local)?], |_, _| (), || 0)?
        } else {
            let mut memory = match &self.file {
                Some(path) => Mapped::file(path, bytes)?,
                None => Mapped::anonymous(bytes)?,
            };
            self.measure(&mut memory.parts(threads), |_, _| (), || 0)?
        };
        facts.print(true)
    }

    fn measure<P: Part>(
        &self,
        parts: &mut [P],
        begin: impl Fn(Op, Pattern),
        misses: impl Fn() -> u64,
    ) -> Result<Facts, CliError> {
        let mut facts = Facts::new();
        let start = Instant::now();
        for (part, seed) in parts.iter_mut().zip(1..) {
            fill(part, seed)?;
        }
        facts.add("fill_seconds", "Fill", start.elapsed().as_secs_f64(), "s");
        if self.words {
            if let [part, ..] = parts {
                facts.add("word_ns", "Random word", word_ns(part, 7)?, "ns");
            }
            return Ok(facts);
        }
        let time = Duration::try_from_secs_f64(self.seconds)
            .map_err(|error| CliError::Usage(format!("--seconds: {error}")))?;
        // Twice what fits locally: what was left by the measurement before has gone by then.
        let warm_up = 2 * self.local.min(self.bytes) / 4096 / u64::from(self.threads);
        for op in &self.op {
            for pattern in &self.pattern {
                begin(*op, *pattern);
                let before = misses();
                let measured = measure(parts, (*pattern, *op), warm_up, time)?;
                let missed = misses() - before;
                let name = format!("{}_{}", word(*pattern), word_of_op(*op));
                add(&mut facts, &name, &measured, missed);
            }
        }
        Ok(facts)
    }
}

fn add(facts: &mut Facts, name: &str, measured: &Measured, missed: u64) {
    facts.add(format!("{name}_ns"), name, measured.touch_ns, "ns");
    facts.add(format!("{name}_cpu_ns"), "  processor time", measured.cpu_ns, "ns");
    facts.add(format!("{name}_touches"), "  touches", measured.touches, "");
    // Of the warm-up too, which touches alike.
    let ratio = missed as f64 / (measured.touches + measured.warm_up) as f64;
    facts.add(format!("{name}_miss_ratio"), "  misses a touch", ratio, "");
}

fn word(pattern: Pattern) -> String {
    pattern.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn word_of_op(op: Op) -> String {
    op.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
