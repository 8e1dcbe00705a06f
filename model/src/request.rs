//! What a request does: the path from an address to a line and an answer.

use crate::memory::Poisoned;
use crate::table::{data_line, write_pte, PteAddress};
use crate::Model;
use splitmem_abi::event::Event;
use splitmem_abi::geometry::{PageSize, LINE_BYTES, VA_END};
use splitmem_abi::pte::{Pte, FAULT_MASK};
use splitmem_abi::regs::field::IRQ_STATUS;
use splitmem_abi::request::{Line, Op, Request, Response, Status};

/// A native request as it stands on the port: the op may be unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawRequest {
    /// Op code, 0 to 7; from 4 on (and beyond 7) unknown.
    pub op: u8,
    /// The requester's own name for it.
    pub tag: u16,
    /// Whose memory.
    pub pid: u16,
    /// Virtual address. What does not fit 48 bits is a bad request.
    pub va: u64,
    /// Bytes that a write changes.
    pub mask: u64,
    /// Data of a write, operands of an atomic.
    pub data: Line,
}

impl From<&Request> for RawRequest {
    fn from(r: &Request) -> Self {
        Self { op: r.op as u8, tag: r.tag, pid: r.pid, va: r.va, mask: r.mask, data: r.data }
    }
}

/// Which translation a request uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// What the page table says.
    #[default]
    Current,
    /// The n-th oldest of those that were replaced and not yet shot down, see
    /// [`Model::replaced`].
    Replaced(usize),
}

/// A request without its copy of the data.
#[derive(Clone, Copy)]
pub(crate) struct Native<'a> {
    pub op: u8,
    pub tag: u16,
    pub pid: u16,
    pub va: u64,
    pub mask: u64,
    pub data: &'a Line,
}

impl<'a> From<&'a Request> for Native<'a> {
    #[inline]
    fn from(r: &'a Request) -> Self {
        Self { op: r.op as u8, tag: r.tag, pid: r.pid, va: r.va, mask: r.mask, data: &r.data }
    }
}

impl<'a> From<&'a RawRequest> for Native<'a> {
    fn from(r: &'a RawRequest) -> Self {
        Self { op: r.op, tag: r.tag, pid: r.pid, va: r.va, mask: r.mask, data: &r.data }
    }
}

/// What translation makes of a request.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// It ends here.
    Fail(Status),
    /// A read of a page that was never written.
    Zeros,
    /// It works on a line.
    Line(u64),
    /// It is the first write to its page: the entry gets a frame.
    FirstWrite(PteAddress),
}

const ZEROS: Line = [0; LINE_BYTES];

impl Model {
    /// Answers one request, wholly, before it returns.
    #[inline]
    pub(crate) fn execute(&mut self, port: u8, r: Native<'_>, choice: Choice) -> Response {
        let op = Op::from_code(r.op);
        let mut response = Response { tag: r.tag, status: Status::Ok, data: ZEROS };
        if let Err(status) = self.carry_out(&r, op, choice, &mut response.data) {
            response.status = status;
        }
        let status = response.status;
        self.requests += 1;
        self.statistics.request(op, status);
        if status != Status::Ok {
            self.report(port, &r, status);
        }
        response
    }

    #[inline]
    fn carry_out(
        &mut self,
        r: &Native<'_>,
        op: Option<Op>,
        choice: Choice,
        answer: &mut Line,
    ) -> Result<(), Status> {
        let op = op.filter(|op| op.takes(r.va)).ok_or(Status::BadRequest)?;
        if choice == Choice::Current {
            self.statistics.walks += 1;
        }
        let line = match self.plan(r, op, choice) {
            Plan::Fail(status) => return Err(status),
            Plan::Zeros => {
                self.statistics.zero_reads += 1;
                return Ok(());
            }
            Plan::Line(line) => line,
            Plan::FirstWrite(entry) => self.grant(entry, r.va)?,
        };
        self.access(r, op, line, answer)
    }

    /// The status that a request would be answered with; nothing changes.
    pub(crate) fn foresee(&self, r: Native<'_>, choice: Choice) -> Status {
        let Some(op) = Op::from_code(r.op).filter(|op| op.takes(r.va)) else {
            return Status::BadRequest;
        };
        let line = match self.plan(&r, op, choice) {
            Plan::Fail(status) => return status,
            Plan::Zeros => return Status::Ok,
            Plan::Line(line) => line,
            Plan::FirstWrite(_) => match self.frames.next(PageSize::of(r.va)) {
                Some(frame) => data_line(frame, r.va),
                None => return Status::NoMemory,
            },
        };
        if op != Op::Write && self.memory.is_poisoned(line) {
            return Status::Uncorrectable;
        }
        Status::Ok
    }

    /// Translates. The order of the checks is the order of the statuses' priority.
    #[inline]
    fn plan(&self, r: &Native<'_>, op: Op, choice: Choice) -> Plan {
        let found = match choice {
            Choice::Current => {
                if self.table().check(&self.memory, r.pid, r.va).is_err() {
                    return Plan::Fail(Status::Uncorrectable);
                }
                self.table().find(&self.memory, r.pid, r.va).map(|e| (e.address, e.pte))
            }
            Choice::Replaced(n) => self.replaced_entry(r.pid, r.va, n),
        };
        let Some((address, pte)) = found else { return Plan::Fail(Status::NotMapped) };
        if self.config.check_permissions && !allows(&pte, op) {
            return Plan::Fail(Status::NoPermission);
        }
        if pte.present {
            Plan::Line(data_line(pte.frame, r.va))
        } else if op.writes() {
            Plan::FirstWrite(address)
        } else {
            Plan::Zeros
        }
    }

    /// A replaced translation: its flags, and the frame that its entry has by now (a first write
    /// that uses it gives the frame to the entry, dying or not).
    fn replaced_entry(&self, pid: u16, va: u64, n: usize) -> Option<(PteAddress, Pte)> {
        let old = self.replaced.get(pid, va, n)??;
        let table = self.table();
        let entry = table
            .find(&self.memory, pid, va)
            .or_else(|| table.find_dying(&self.memory, pid, va))?;
        Some((entry.address, Pte { read: old.read, write: old.write, ..entry.pte }))
    }

    /// Gives the page of `va` the next frame; answers the line of `va` in it.
    pub(crate) fn grant(&mut self, entry: PteAddress, va: u64) -> Result<u64, Status> {
        let size = PageSize::of(va);
        let frame = self.take_frame(size).ok_or(Status::NoMemory)?;
        let given = Pte { present: true, frame, ..Pte::default() };
        write_pte(&mut self.memory, entry, given, FAULT_MASK);
        self.statistics.fault(size);
        Ok(data_line(frame, va))
    }

    /// Reads or writes the line. `answer` holds zeros, and still does on an error.
    #[inline]
    fn access(
        &mut self,
        r: &Native<'_>,
        op: Op,
        line: u64,
        answer: &mut Line,
    ) -> Result<(), Status> {
        if op == Op::Write {
            self.memory.write(line, r.data, r.mask);
            self.statistics.writes += 1;
            return Ok(());
        }
        self.statistics.reads += 1;
        self.memory.read(line, answer).map_err(|Poisoned| Status::Uncorrectable)?;
        if op == Op::Read {
            return Ok(());
        }
        let at = r.va as usize & (LINE_BYTES - 1);
        let old = word(answer, at);
        let operand = word(r.data, 0);
        let new = match op {
            Op::FetchAdd => Some(old.wrapping_add(operand)),
            _ => (old == word(r.data, 8)).then_some(operand),
        };
        if let Some(new) = new {
            self.memory.write_word(line, at, new);
            self.statistics.writes += 1;
        }
        *answer = ZEROS;
        answer[..8].copy_from_slice(&old.to_le_bytes());
        Ok(())
    }

    /// Logs an answer that is not ok, and interrupts the monitor.
    #[cold]
    fn report(&mut self, port: u8, r: &Native<'_>, status: Status) {
        match status {
            Status::NoMemory => self.raise(IRQ_STATUS::NO_MEMORY),
            Status::Uncorrectable => self.raise(IRQ_STATUS::UNCORRECTABLE),
            _ => {}
        }
        self.events.push(Event {
            status,
            op: r.op,
            port,
            pid: r.pid,
            va: r.va & (VA_END - 1),
            cycle: self.requests as u32,
        });
        self.raise_levels();
    }
}

#[inline]
fn allows(pte: &Pte, op: Op) -> bool {
    match op {
        Op::Read => pte.read,
        Op::Write => pte.write,
        Op::FetchAdd | Op::CompareSwap => pte.read && pte.write,
    }
}

#[inline]
fn word(line: &Line, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&line[at..at + 8]);
    u64::from_le_bytes(bytes)
}
