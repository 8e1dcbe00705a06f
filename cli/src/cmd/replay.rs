//! `splitmem replay`: a program's memory trace against the memory component.

use std::collections::HashSet;
use std::path::PathBuf;

use pcomponent_driver::transport::PAGE_BYTES;

use super::output::OutputArgs;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::machine::session::Session;
use crate::machine::{Cache, MachineArgs};
use crate::progress::Progress;
use crate::size::Size;
use crate::trace::replay::{Replay, ReplayError};
use crate::trace::source::{self, is_stdin, Source};
use crate::trace::{Format, Kind, TraceReader};

const EXAMPLES: &str = "\
TRACE is the text of valgrind's lackey, or CSV: OP,ADDR,SIZE with OP one of R, W, M (modify) and I
(instruction fetch), ADDR decimal or hexadecimal with 0x. Compressed with gzip or not.

Examples:
  valgrind --tool=lackey --trace-mem=yes --log-file=ls.trace ls
  splitmem replay ls.trace --excache 256KiB --prefetch trend
  zcat big.trace.gz | splitmem replay - --backend model --excache 1MiB --limit 1000000
  splitmem replay accesses.csv --cache none --dram ddr3-1600 --report report";

/// Replay a program's memory accesses on the memory component.
///
/// The trace is read as a stream: it may be of any length. Its addresses are mapped to memory in the
/// component as they are touched.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The trace; - for the standard input
    #[arg(value_name = "TRACE")]
    input: PathBuf,
    /// The trace's format [default: what its first line looks like]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Leave instruction fetches out
    #[arg(long)]
    skip_fetches: bool,
    /// End after so many accesses
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Compare whatever is read with a copy in local memory
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    /// Replays the trace and shows what was measured.
    ///
    /// # Errors
    /// The arguments, the trace, wrong data, the component, Ctrl-C, or the output.
    pub fn run(self) -> Result<(), CliError> {
        self.machine.check()?;
        self.output.prepare()?;
        let interrupt = Interrupt::install();
        let footprint = self.footprint(&interrupt)?;
        let mut replay = Replay::new(self.verify);
        // The trace is opened before the machine is built: a wrong path is known at once.
        let source = self.open()?;
        let mut session = self.machine.start(footprint, interrupt)?;
        let result = self.replay(source, &mut replay, &mut session);
        let mut facts = Facts::new();
        facts.add("workload", "Program", "replay", "");
        facts.add("completed", "Completed", result.is_ok(), "");
        facts.add("verified", "Data verified", self.verify, "");
        facts.extend(replay.counts().facts());
        self.output.show("replay", facts, self.machine.facts(), &session, result)
    }

    fn open(&self) -> Result<Source, CliError> {
        let path = self.input.clone();
        source::open(&path).map_err(|source| CliError::Read { path, source })
    }

    fn replay(
        &self,
        source: Source,
        replay: &mut Replay,
        session: &mut Session,
    ) -> Result<(), CliError> {
        let mut progress = Progress::new("replaying");
        let (position, length) = (source.position, source.length);
        let mut trace = TraceReader::new(source.reader, self.input.clone(), self.format);
        let mut left = self.limit.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(access) = trace.next() else { break };
            let access = access?;
            if self.skip_fetches && access.kind == Kind::Fetch {
                continue;
            }
            replay.step(&mut session.memory, access).map_err(|error| match error {
                ReplayError::Memory(error) => CliError::from(error),
                mismatch => {
                    let path = self.input.display();
                    CliError::Mismatch(format!("{path}:{}: {mismatch}", trace.line()))
                }
            })?;
            left -= 1;
            progress.update(position.get(), length);
        }
        Ok(session.finish()?)
    }

    /// Bytes of the pages that the trace touches, where the cache's size is a share of them; zero
    /// otherwise. Takes a pass over the whole trace.
    fn footprint(&self, interrupt: &Interrupt) -> Result<u64, CliError> {
        let cache = &self.machine.cache;
        if cache.cache != Cache::Excache || matches!(cache.excache, Size::Bytes(_)) {
            return Ok(0);
        }
        if is_stdin(&self.input) {
            let message = "--excache as a share needs to read the trace twice, which the standard \
                           input does not allow; give bytes, such as --excache 1MiB";
            return Err(CliError::Usage(message.to_owned()));
        }
        let source = self.open()?;
        let mut progress = Progress::new("looking through the trace");
        let trace = TraceReader::new(source.reader, self.input.clone(), self.format);
        let limit = usize::try_from(self.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let wanted = trace.filter(|access| {
            !(self.skip_fetches && matches!(access, Ok(a) if a.kind == Kind::Fetch))
        });
        let mut pages = HashSet::new();
        for access in wanted.take(limit) {
            interrupt.check()?;
            let access = access?;
            let last = access.address + u64::from(access.size) - 1;
            pages.extend(access.address / PAGE_BYTES as u64..=last / PAGE_BYTES as u64);
            progress.update(source.position.get(), source.length);
        }
        Ok((pages.len() * PAGE_BYTES) as u64)
    }
}
