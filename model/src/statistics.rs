//! Counters and latency histograms.
//!
//! The model has no cycles and no TLB. `cycles` counts requests, every request takes one of them
//! (so the histograms count requests by op, in bin 0), every translation is a TLB miss and a walk
//! of its own, and nothing ever waits.

use splitmem_abi::regs::{Counter, HISTOGRAM_BINS, HISTOGRAM_OPS};
use splitmem_abi::request::{Op, Status};

#[derive(Debug, Default, Clone)]
pub(crate) struct Statistics {
    counters: [u64; Counter::ALL.len()],
    latencies: [u32; HISTOGRAM_OPS],
}

impl Statistics {
    #[inline]
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.counters[counter as usize] += n;
    }

    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// One lookup that missed and walked.
    #[inline]
    pub fn walk(&mut self) {
        self.count(Counter::TlbMisses);
        self.count(Counter::Walks);
        self.count(Counter::DramReads);
        self.counters[Counter::WalksPeak as usize] = 1;
    }

    /// One request, from acceptance to answer. Unknown ops stand in no counter of requests by op.
    #[inline]
    pub fn request(&mut self, op: Option<Op>, status: Status) {
        self.count(Counter::Cycles);
        if let Some(op) = op {
            self.count(match op {
                Op::Read => Counter::Reads,
                Op::Write => Counter::Writes,
                Op::FetchAdd | Op::CompareSwap => Counter::Atomics,
            });
            self.latencies[op as usize] = self.latencies[op as usize].wrapping_add(1);
        }
        self.count(match status {
            Status::Ok => Counter::Ok,
            Status::NotMapped => Counter::NotMapped,
            Status::NoPermission => Counter::NoPermission,
            Status::NoMemory => Counter::NoMemory,
            Status::BadRequest => Counter::BadRequest,
            Status::Uncorrectable => Counter::Uncorrectable,
        });
    }

    /// Counter `n` in the order of the registers; zero beyond the last.
    pub fn counter(&self, n: usize) -> u64 {
        self.counters.get(n).copied().unwrap_or(0)
    }

    /// Word `i` of the histograms.
    pub fn histogram(&self, i: usize) -> u32 {
        if i % HISTOGRAM_BINS == 0 {
            self.latencies[i / HISTOGRAM_BINS]
        } else {
            0
        }
    }
}
