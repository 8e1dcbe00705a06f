//! `splitmem sim`: real programs with their data in the memory component.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::OutputArgs;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::machine::MachineArgs;
use crate::observe::Watched;
use crate::progress::Progress;
use crate::size::parse_bytes;
use crate::trace::source;
use crate::workload::kv::KeyValue;
use crate::workload::pagerank::PageRank;
use crate::workload::sort::Sort;
use crate::workload::wordcount::WordCount;
use crate::workload::ycsb::Mix;
use crate::workload::{LocalMemory, Outcome as _, WorkMemory, Workload};

const EXAMPLES: &str = "\
Examples:
  splitmem sim wordcount /usr/share/common-licenses/GPL-3
  splitmem sim sort words.txt --excache 10% --prefetch sequential
  splitmem sim pagerank web-Google.txt.gz --backend model --report report
  splitmem sim kv --mix a --eviction victim --json
Each of them explains itself: splitmem sim wordcount --help";

/// Run a real program with its data in the memory component, and check its result.
///
/// The program runs twice: once in local memory, which gives the right answer and tells how much
/// memory it takes, and once with its data in the component. Any difference is an error.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand, Debug)]
enum Program {
    Wordcount(WordCountArgs),
    Sort(SortArgs),
    Pagerank(PageRankArgs),
    Kv(KvArgs),
}

/// Count how often each word of a text occurs.
///
/// The text, its words and the hash table that finds them live in the component.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  splitmem sim wordcount /usr/share/common-licenses/GPL-3
  splitmem sim wordcount book.txt.gz --excache 256KiB --replacement fifo --report report
  cat *.md | splitmem sim wordcount - --backend model --json")]
struct WordCountArgs {
    /// The text, compressed with gzip or not; - for the standard input
    file: PathBuf,
    #[command(flatten)]
    common: Common,
}

/// Sort the lines of a text.
///
/// A merge sort in the manner of an external sort: the host sorts runs that fit a small buffer, and
/// merges eight of them at a time from and to the component.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  splitmem sim sort /usr/share/common-licenses/GPL-3
  splitmem sim sort words.txt --run-size 4KiB --excache 10% --prefetch sequential:16")]
struct SortArgs {
    /// The text, compressed with gzip or not; - for the standard input
    file: PathBuf,
    /// Text that the host sorts at a time
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "16KiB")]
    run_size: u64,
    #[command(flatten)]
    common: Common,
}

/// Rank the nodes of a graph (PageRank).
///
/// The graph stands in the component as compressed sparse rows. Sums have one fixed order, so the
/// ranks must agree with those of local memory to the last bit.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
EDGES: one edge a line, FROM TO as decimal numbers; lines that begin with # or % are remarks.

Examples:
  splitmem sim pagerank edges.txt
  splitmem sim pagerank web-Google.txt.gz --iterations 5 --backend model --excache 50%")]
struct PageRankArgs {
    /// The edge list, compressed with gzip or not; - for the standard input
    edges: PathBuf,
    /// How often the ranks are computed anew
    #[arg(long, value_name = "N", default_value_t = 10)]
    iterations: u32,
    /// Probability of following an edge
    #[arg(long, value_name = "P", default_value_t = 0.85, value_parser = parse_probability)]
    damping: f64,
    #[command(flatten)]
    common: Common,
}

/// Serve a key-value store under one of YCSB's mixes.
///
/// A hash table finds records of ten fields of 100 bytes, all in the component. Keys are zipfian
/// (constant 0.99), in mix D the newest ones are the most popular.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Mixes: A half reads, half updates; B 95% reads, 5% updates; C reads; D 95% reads of the newest,
5% inserts; E 95% scans of 1 to 100 keys, 5% inserts; F half reads, half read-modify-writes.

Examples:
  splitmem sim kv --mix a
  splitmem sim kv --mix e --records 5000 --requests 2000 --prefetch stride
  splitmem sim kv --mix c --backend model --excache 1MiB --replacement random --json")]
struct KvArgs {
    /// The mix of requests
    #[arg(long, value_enum, default_value_t = Mix::A, ignore_case = true)]
    mix: Mix,
    /// Records before the first request
    #[arg(long, value_name = "N", default_value_t = 1000)]
    records: u64,
    /// Requests
    #[arg(long, value_name = "N", default_value_t = 5000)]
    requests: u64,
    /// Seed of the request stream
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
struct Common {
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn parse_probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

impl Args {
    /// Runs the program in both memories, compares, and shows what was measured.
    ///
    /// # Errors
    /// The arguments, the input, a result that differs, the component, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        match self.program {
            Program::Wordcount(args) => {
                let text = read(&args.file)?;
                args.common.simulate("wordcount", &args.file, &WordCount { text: &text })
            }
            Program::Sort(args) => {
                let text = read(&args.file)?;
                let sort = Sort { text: &text, run_bytes: args.run_size };
                args.common.simulate("sort", &args.file, &sort)
            }
            Program::Pagerank(args) => {
                let edges = read(&args.edges)?;
                let (iterations, damping) = (args.iterations, args.damping);
                let rank = PageRank { edges: &edges, iterations, damping };
                args.common.simulate("pagerank", &args.edges, &rank)
            }
            Program::Kv(args) => {
                let KvArgs { mix, records, requests, seed, common } = args;
                let store = KeyValue { mix, records, requests, seed };
                common.simulate("kv", Path::new("the key-value store"), &store)
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    source::open(path).map_err(failed)?.reader.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

impl Common {
    fn simulate<W: Workload>(
        &self,
        name: &str,
        input: &Path,
        workload: &W,
    ) -> Result<(), CliError> {
        self.machine.check()?;
        self.output.prepare()?;
        let interrupt = Interrupt::install();
        let failed = |error| CliError::of_workload(input, error);

        let mut local = Watched::new(LocalMemory::new(), interrupt.clone());
        let mut progress = Progress::new("in local memory");
        let expected = workload
            .run(&mut local, &mut |done, total| progress.update(done, total))
            .map_err(failed)?;
        drop(progress);
        let footprint = local.inner().peak_bytes();
        drop(local);

        let mut session = self.machine.start(footprint, interrupt)?;
        let mut progress = Progress::new("in the component");
        let mut watch = |done, total| progress.update(done, total);
        let outcome = run_checked(workload, input, &expected, &mut session.memory, &mut watch)
            .and_then(|outcome| Ok(session.finish().map(|()| outcome)?));
        drop(progress);
        if !matches!(outcome, Ok(_) | Err(CliError::Interrupted)) {
            return outcome.map(drop);
        }

        let mut result = Facts::new();
        result.add("workload", "Program", name, "");
        result.add("completed", "Completed", outcome.is_ok(), "");
        if let Ok(outcome) = &outcome {
            result.add("checked", "Same result as in local memory", true, "");
            result.extend(outcome.facts());
        }
        let mut machine = Facts::new();
        machine.add("footprint_bytes", "Data in the component at most", footprint, "bytes");
        machine.extend(self.machine.facts());
        self.output.show(&format!("sim {name}"), result, machine, &session, outcome.map(drop))
    }
}

/// Runs a workload and compares what it computed with the right answer.
fn run_checked<W: Workload, M: WorkMemory>(
    workload: &W,
    input: &Path,
    expected: &W::Outcome,
    memory: &mut M,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<W::Outcome, CliError> {
    let outcome =
        workload.run(memory, watch).map_err(|error| CliError::of_workload(input, error))?;
    match outcome.difference(expected) {
        Some(difference) => Err(CliError::Mismatch(difference)),
        None => Ok(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::MemoryError;

    /// Local memory that gives one bit wrong in every read of 100 bytes or more.
    struct Wrong(LocalMemory);

    impl WorkMemory for Wrong {
        fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
            self.0.alloc(bytes)
        }
        fn free(&mut self, address: u64) -> Result<(), MemoryError> {
            self.0.free(address)
        }
        fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
            self.0.read(address, into)?;
            if into.len() >= 100 {
                into[50] ^= 1;
            }
            Ok(())
        }
        fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
            self.0.write(address, from)
        }
    }

    #[test]
    fn a_wrong_result_is_an_error() {
        let store = KeyValue { mix: Mix::C, records: 20, requests: 20, seed: 1 };
        let (input, watch) = (Path::new("store"), &mut |_, _| {});
        let expected = store.run(&mut LocalMemory::new(), watch).unwrap();
        let mut sound = LocalMemory::new();
        assert!(run_checked(&store, input, &expected, &mut sound, watch).is_ok());
        let mut wrong = Wrong(LocalMemory::new());
        let error = run_checked(&store, input, &expected, &mut wrong, watch).unwrap_err();
        assert!(matches!(error, CliError::Mismatch(_)), "{error}");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("request 1 (read of key"), "{error}");
    }

    #[test]
    fn probabilities_are_read() {
        assert_eq!(parse_probability("0.85"), Ok(0.85));
        for text in ["1.5", "-0.1", "NaN", "x", ""] {
            assert!(parse_probability(text).is_err(), "{text}");
        }
    }
}
