//! Counters and latency histograms.
//!
//! The model has no cycles and no TLB. `cycles` counts requests, every request takes one of them
//! (so the histograms count requests by op, in bin 0), every translation is a TLB miss and a walk
//! of its own, and nothing ever waits.

use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{Counter, HISTOGRAM_BINS};
use splitmem_abi::request::{Op, Status};

/// What was counted since reset or `CLEAR_STATS`. The hot path counts little; the rest is added up
/// when it is read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Statistics {
    /// Requests by op (the last: unknown ones) and status.
    answers: [[u64; Status::ALL.len()]; Op::ALL.len() + 1],
    /// Translations, each one bucket read.
    pub walks: u64,
    /// Lines read and written but for buckets of translations.
    pub reads: u64,
    pub writes: u64,
    pub faults_4k: u64,
    pub faults_2m: u64,
    pub zero_reads: u64,
    pub zeroed_4k: u64,
    pub zeroed_2m: u64,
    pub shootdowns: u64,
}

impl Statistics {
    /// One request, from acceptance to answer.
    #[inline]
    pub fn request(&mut self, op: Option<Op>, status: Status) {
        self.answers[op.map_or(Op::ALL.len(), |op| op as usize)][status as usize] += 1;
    }

    /// Some requests of one op with one answer.
    pub fn requests_of(&mut self, op: Op, status: Status, count: u64) {
        self.answers[op as usize][status as usize] += count;
    }

    /// A first write: one frame, one write of its entry.
    pub fn fault(&mut self, size: PageSize) {
        self.writes += 1;
        match size {
            PageSize::Small => self.faults_4k += 1,
            PageSize::Huge => self.faults_2m += 1,
        }
    }

    /// Frames cleared line by line.
    pub fn zeroed(&mut self, size: PageSize, frames: u64) {
        self.writes += frames * size.lines() as u64;
        match size {
            PageSize::Small => self.zeroed_4k += frames,
            PageSize::Huge => self.zeroed_2m += frames,
        }
    }

    /// A counter's value.
    pub fn counter(&self, counter: Counter) -> u64 {
        let answered = |status: Status| self.answers.iter().map(|row| row[status as usize]).sum();
        match counter {
            Counter::Cycles => self.answers.iter().flatten().sum(),
            Counter::Reads => self.requests(Op::Read),
            Counter::Writes => self.requests(Op::Write),
            Counter::Atomics => self.requests(Op::FetchAdd) + self.requests(Op::CompareSwap),
            Counter::Ok => answered(Status::Ok),
            Counter::NotMapped => answered(Status::NotMapped),
            Counter::NoPermission => answered(Status::NoPermission),
            Counter::NoMemory => answered(Status::NoMemory),
            Counter::BadRequest => answered(Status::BadRequest),
            Counter::Uncorrectable => answered(Status::Uncorrectable),
            Counter::TlbMisses | Counter::Walks => self.walks,
            Counter::WalksPeak => self.walks.min(1),
            Counter::Faults4k => self.faults_4k,
            Counter::Faults2m => self.faults_2m,
            Counter::ZeroReads => self.zero_reads,
            Counter::Zeroed4k => self.zeroed_4k,
            Counter::Zeroed2m => self.zeroed_2m,
            Counter::DramReads => self.walks + self.reads,
            Counter::DramWrites => self.writes,
            Counter::Shootdowns => self.shootdowns,
            Counter::TlbHits | Counter::WalkMerges | Counter::LineWaits | Counter::PortStalls => 0,
        }
    }

    /// Word `i` of the histograms.
    pub fn histogram(&self, i: usize) -> u32 {
        match (i % HISTOGRAM_BINS, Op::ALL.get(i / HISTOGRAM_BINS)) {
            (0, Some(op)) => self.requests(*op) as u32,
            _ => 0,
        }
    }

    fn requests(&self, op: Op) -> u64 {
        self.answers[op as usize].iter().sum()
    }
}
