//! `splitmem soak`: many lockstep cases, of every mode on every configuration.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use verilator_tb::lockstep::{run, Case, LockstepError, Mode, Summary};
use verilator_tb::Hw;

use super::lockstep::summary_facts;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// How often the progress is shown.
const BLINK: Duration = Duration::from_millis(100);

const AFTER_HELP: &str = "\
The cases' seeds count up from --seed; a mismatch names its case, and 'splitmem lockstep' with those
arguments runs it again.

Examples:
  splitmem soak
  splitmem soak --requests 1000000 --seed 1000 --jobs 1";

/// Run random requests on hardware and golden model in lockstep, millions of them.
///
/// Cases of every mode on every configuration, each with its own seed, until all requests were
/// answered as the model says. See 'splitmem lockstep --help' for what a case does.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Requests in all.
    #[arg(long, value_name = "M", default_value_t = 10_000_000)]
    requests: u64,
    /// Requests of one case.
    #[arg(long, value_name = "M", default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    case_requests: u64,
    /// Seed of the first case.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cases that run at once [default: one per processor].
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Print one flat JSON object.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the cases and prints what they went through together.
    ///
    /// # Errors
    /// A mismatch, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let cases = self.cases();
        let jobs = match self.jobs.map_or_else(std::thread::available_parallelism, Ok) {
            Ok(jobs) => jobs.get().min(cases.len()),
            Err(_) => 1,
        };
        let soak = Soak::new(&cases, Interrupt::install());
        let start = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| soak.work())).collect();
            let mut progress = Progress::new("checking");
            while !workers.iter().all(|worker| worker.is_finished()) {
                progress.update(soak.answered.load(Ordering::Relaxed), self.requests);
                std::thread::sleep(BLINK);
            }
        });
        let seconds = start.elapsed().as_secs_f64();
        let (summary, error) = soak.result();
        if let Some(error) = error {
            return Err(error.into());
        }
        let mut facts = Facts::new();
        facts.add("cases", "Cases", cases.len() as u64, "");
        facts.add("first_seed", "  first seed", self.seed, "");
        let last = cases.last().map_or(self.seed, |case| case.seed);
        facts.add("last_seed", "  last seed", last, "");
        facts.extend(summary_facts(&summary, seconds));
        facts.print(self.json)
    }

    /// Mode and configuration change from case to case, the seed too.
    fn cases(&self) -> Vec<Case> {
        let kinds = Hw::ALL.iter().flat_map(|&hw| Mode::ALL.map(|(mode, _)| (hw, mode)));
        let kinds: Vec<_> = kinds.collect();
        let mut left = self.requests;
        let mut cases = Vec::new();
        while left > 0 {
            let (hw, mode) = kinds[cases.len() % kinds.len()];
            let requests = left.min(self.case_requests);
            cases.push(Case { hw, mode, seed: self.seed + cases.len() as u64, requests });
            left -= requests;
        }
        cases
    }
}

/// Cases that several threads work on.
struct Soak<'a> {
    cases: Mutex<std::slice::Iter<'a, Case>>,
    interrupt: Interrupt,
    stop: AtomicBool,
    answered: AtomicU64,
    result: Mutex<(Summary, Option<LockstepError>)>,
}

impl<'a> Soak<'a> {
    fn new(cases: &'a [Case], interrupt: Interrupt) -> Self {
        Self {
            cases: Mutex::new(cases.iter()),
            interrupt,
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            result: Mutex::default(),
        }
    }

    /// Takes cases until none is left or something went wrong.
    fn work(&self) {
        while let Some(case) = lock(&self.cases).next() {
            let mut told = 0;
            let outcome = run(case, None, &mut |answered| {
                self.answered.fetch_add(answered - told, Ordering::Relaxed);
                told = answered;
                !self.stop.load(Ordering::Relaxed) && !self.interrupt.is_raised()
            });
            let mut result = lock(&self.result);
            match outcome {
                Ok(summary) => {
                    self.answered.fetch_add(summary.requests - told, Ordering::Relaxed);
                    result.0.add(&summary);
                }
                Err(error) => {
                    // Those who were stopped because of the first error have nothing to say.
                    result.1.get_or_insert(error);
                    self.stop.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    fn result(self) -> (Summary, Option<LockstepError>) {
        self.result.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A lock whose holder panicked still holds whole values.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
