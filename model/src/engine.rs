//! The table engine: the monitor's commands on runs of page-table entries.

use crate::memory::{Memory, Poisoned};
use crate::replaced::ReplacedTranslations;
use crate::table::{write_entry, write_flags, Table};
use splitmem_abi::geometry::{page_key, PageSize, VA_END};
use splitmem_abi::pte::Pte;
use splitmem_abi::regs::field::{TE_FLAGS, TE_RESULT, TE_STATUS};
use splitmem_abi::regs::{TableCommand, TableError};
use std::collections::VecDeque;

/// Depth of the result queue.
pub(crate) const RESULTS: usize = 16;

/// A command as the registers hold it when it is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Code of `TE_COMMAND`.
    pub code: u32,
    /// `TE_PID`.
    pub pid: u16,
    /// `TE_VA_HI` and `TE_VA_LO`; from then on the next page's.
    pub va: u64,
    /// `TE_COUNT`; from then on the pages left.
    pub count: u32,
    /// `TE_FLAGS`.
    pub flags: u32,
    /// `TE_FRAME`; from then on the next page's.
    pub frame: u32,
}

/// The engine's state.
#[derive(Debug, Default)]
pub(crate) struct TableEngine {
    job: Option<(TableCommand, Job)>,
    error: Option<TableError>,
    done: u32,
    results: VecDeque<u32>,
}

/// What the engine works on.
pub(crate) struct Surroundings<'a> {
    pub memory: &'a mut Memory,
    pub table: Table,
    pub replaced: &'a mut ReplacedTranslations,
}

/// What a run of the engine did that others must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The command finished, well or not.
    pub finished: bool,
    /// Bucket lines read.
    pub reads: u64,
    /// Entries written.
    pub writes: u64,
    /// A bucket was poisoned.
    pub poison: bool,
}

impl TableEngine {
    pub fn busy(&self) -> bool {
        self.job.is_some()
    }

    /// `TE_STATUS`.
    pub fn status(&self) -> u32 {
        TE_STATUS::BUSY.put(self.busy() as u32)
            | TE_STATUS::ERROR.put(self.error.map_or(0, |error| error as u32))
    }

    /// `TE_DONE`.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// `TE_RESULT`: takes the oldest result, zero if there is none.
    pub fn pop_result(&mut self) -> u32 {
        self.results.pop_front().unwrap_or(0)
    }

    /// Takes a command, unless one is running, and starts to work on it.
    pub fn start(&mut self, job: Job, around: &mut Surroundings<'_>) -> Outcome {
        if self.busy() {
            return Outcome::default();
        }
        self.done = 0;
        self.error = None;
        let command = match job.code {
            1 => TableCommand::Insert,
            2 => TableCommand::Unmap,
            3 => TableCommand::Collect,
            4 => TableCommand::Protect,
            5 => TableCommand::Query,
            _ => {
                self.error = Some(TableError::BadCommand);
                return Outcome { finished: true, ..Outcome::default() };
            }
        };
        self.job = Some((command, job));
        self.run(around)
    }

    /// Works until the command is finished or the result queue is full.
    pub fn run(&mut self, around: &mut Surroundings<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some((command, mut job)) = self.job {
            if job.count == 0 {
                self.job = None;
                outcome.finished = true;
                break;
            }
            let reports = matches!(command, TableCommand::Collect | TableCommand::Query);
            if reports && self.results.len() == RESULTS {
                break;
            }
            outcome.reads += 1;
            match self.page(command, &job, around) {
                Ok(writes) => {
                    outcome.writes += writes;
                    let size = PageSize::of(job.va);
                    job.va = (job.va + size.bytes()) & (VA_END - 1);
                    job.frame = job.frame.wrapping_add(size.frames());
                    job.count -= 1;
                    self.done += 1;
                    self.job = Some((command, job));
                }
                Err(error) => {
                    self.error = Some(error);
                    self.job = None;
                    outcome.finished = true;
                    outcome.poison = error == TableError::Poison;
                }
            }
        }
        outcome
    }

    /// Does one page; gives the number of writes to the table.
    fn page(
        &mut self,
        command: TableCommand,
        job: &Job,
        around: &mut Surroundings<'_>,
    ) -> Result<u64, TableError> {
        let Job { pid, va, flags, .. } = *job;
        let (memory, table) = (&mut *around.memory, around.table);
        table.check(memory, pid, va).map_err(|Poisoned| TableError::Poison)?;
        let valid = table.find(memory, pid, va);
        match command {
            TableCommand::Insert => {
                if valid.is_some() {
                    return Err(TableError::Exists);
                }
                let at = table.find_free(memory, pid, va).ok_or(TableError::BucketFull)?;
                write_entry(memory, at, inserted(job));
                around.replaced.record(pid, va, None);
            }
            TableCommand::Unmap => {
                let entry = valid.ok_or(TableError::NotFound)?;
                let dying = Pte { valid: false, dying: true, ..entry.pte };
                write_flags(memory, entry.address, dying);
                around.replaced.record(pid, va, Some(entry.pte));
            }
            TableCommand::Collect => {
                let entry = table.find_dying(memory, pid, va).ok_or(TableError::NotFound)?;
                write_entry(memory, entry.address, Pte::default());
                if entry.pte.present {
                    self.results.push_back(result(&entry.pte));
                }
            }
            TableCommand::Protect => {
                let entry = valid.ok_or(TableError::NotFound)?;
                let (read, write) = permissions(flags);
                write_flags(memory, entry.address, Pte { read, write, ..entry.pte });
                around.replaced.record(pid, va, Some(entry.pte));
            }
            TableCommand::Query => {
                let entry = valid.ok_or(TableError::NotFound)?;
                self.results.push_back(result(&entry.pte));
                return Ok(0);
            }
        }
        Ok(1)
    }
}

fn permissions(flags: u32) -> (bool, bool) {
    (TE_FLAGS::READ.get(flags) == 1, TE_FLAGS::WRITE.get(flags) == 1)
}

/// The entry that an INSERT writes.
fn inserted(job: &Job) -> Pte {
    let (read, write) = permissions(job.flags);
    let present = TE_FLAGS::PRESENT.get(job.flags) == 1;
    Pte {
        valid: true,
        read,
        write,
        shared: TE_FLAGS::SHARED.get(job.flags) == 1,
        dying: false,
        present,
        pid: job.pid,
        key: page_key(job.va),
        frame: if present { job.frame } else { 0 },
    }
}

/// An entry as `TE_RESULT` reports it.
fn result(pte: &Pte) -> u32 {
    TE_RESULT::FRAME.put(pte.frame)
        | TE_RESULT::WRITE.put(pte.write as u32)
        | TE_RESULT::SHARED.put(pte.shared as u32)
        | TE_RESULT::PRESENT.put(pte.present as u32)
        | TE_RESULT::VALID.put(1)
}
