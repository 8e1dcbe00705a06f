//! The table engine: the monitor's commands on runs of page-table entries.

use crate::memory::{Memory, Poisoned};
use crate::replaced::ReplacedTranslations;
use crate::table::{write_pte, Entry, PteAddress, Table};
use splitmem_abi::geometry::{page_key, PageSize, VA_END};
use splitmem_abi::pte::{Pte, FLAGS_MASK};
use splitmem_abi::regs::field::{TE_FLAGS, TE_RESULT, TE_STATUS};
use splitmem_abi::regs::{TableCommand, TableError};
use std::collections::VecDeque;

/// Depth of the result queue.
pub(crate) const RESULTS: usize = 16;

/// All bytes of an entry.
const ENTRY_MASK: u16 = u16::MAX;

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
            let page = page(command, &job, around);
            if matches!(page, Ok(Page { result: Some(_), .. })) && self.results.len() == RESULTS {
                break;
            }
            outcome.reads += 1;
            match page {
                Ok(page) => {
                    self.results.extend(page.result);
                    if let Some((at, pte, bytes)) = page.write {
                        write_pte(around.memory, at, pte, bytes);
                        outcome.writes += 1;
                    }
                    if let Some(old) = page.replaces {
                        around.replaced.record(job.pid, job.va, old);
                    }
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
}

/// What one page of a command comes to.
#[derive(Default)]
struct Page {
    /// An entry, where it is written, and which of its bytes.
    write: Option<(PteAddress, Pte, u16)>,
    /// The translation that the write replaces.
    replaces: Option<Option<Pte>>,
    /// For `TE_RESULT`.
    result: Option<u32>,
}

fn page(command: TableCommand, job: &Job, around: &Surroundings<'_>) -> Result<Page, TableError> {
    let (Surroundings { memory, table, .. }, Job { pid, va, flags, .. }) = (around, *job);
    table.check(memory, pid, va).map_err(|Poisoned| TableError::Poison)?;
    let valid = table.find(memory, pid, va);
    Ok(match command {
        TableCommand::Insert => {
            if valid.is_some() {
                return Err(TableError::Exists);
            }
            let at = table.find_free(memory, pid, va).ok_or(TableError::BucketFull)?;
            let write = Some((at, inserted(job), ENTRY_MASK));
            Page { write, replaces: Some(None), ..Page::default() }
        }
        TableCommand::Unmap => {
            let entry = valid.ok_or(TableError::NotFound)?;
            change_flags(&entry, Pte { valid: false, dying: true, ..entry.pte })
        }
        TableCommand::Protect => {
            let entry = valid.ok_or(TableError::NotFound)?;
            let (read, write) = permissions(flags);
            change_flags(&entry, Pte { read, write, ..entry.pte })
        }
        TableCommand::Collect => {
            let entry = table.find_dying(memory, pid, va).ok_or(TableError::NotFound)?;
            Page {
                write: Some((entry.address, Pte::default(), ENTRY_MASK)),
                replaces: None,
                result: entry.pte.present.then(|| result(&entry.pte)),
            }
        }
        TableCommand::Query => {
            let entry = valid.ok_or(TableError::NotFound)?;
            Page { result: Some(result(&entry.pte)), ..Page::default() }
        }
    })
}

fn change_flags(entry: &Entry, new: Pte) -> Page {
    Page {
        write: Some((entry.address, new, FLAGS_MASK)),
        replaces: Some(Some(entry.pte)),
        result: None,
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
