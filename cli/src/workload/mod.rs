//! The workloads: real programs whose data lives in some memory.
//!
//! Each is written once over [`WorkMemory`] and run twice: on the component's memory through the
//! driver, and on [`LocalMemory`], the oracle. Whatever the two runs say differently
//! ([`Outcome::difference`]) is an error.
//!
//! | module | what it computes | what its accesses are like |
//! | --- | --- | --- |
//! | [`wordcount`] | how often each word of a text occurs | a stream, and a hash table with a few hot words |
//! | [`sort`] | the lines of a text in order | streams that merge |
//! | [`pagerank`] | the rank of each node of a graph | a stream, and reads all over the ranks |
//! | [`kv`] | YCSB's mixes A to F over a hash table | zipfian, values of 1000 bytes |

pub mod kv;
pub mod local;
pub mod memory;
pub mod pagerank;
pub mod sort;
pub mod table;
pub mod wordcount;
pub mod ycsb;

pub use local::LocalMemory;
pub use memory::{MemoryError, WorkMemory};

use crate::facts::Facts;

/// A program over some memory.
pub trait Workload {
    /// What it computes.
    type Outcome: Outcome;

    /// Runs it. `watch` learns of progress: units done, and units in total.
    ///
    /// # Errors
    /// [`WorkError`].
    fn run<M: WorkMemory>(
        &self,
        memory: &mut M,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<Self::Outcome, WorkError>;
}

/// What a workload computed.
pub trait Outcome {
    /// Where it first differs from what the oracle computed, in words; `None` if it does not.
    fn difference(&self, oracle: &Self) -> Option<String>;

    /// What a person wants to know of it.
    fn facts(&self) -> Facts;
}

/// Why a workload could not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The memory failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A line of the edge list is none.
    #[error("line {line}: expected two node numbers, as in '17 42', and not {text:?}")]
    Edge {
        /// Line number, from 1.
        line: u64,
        /// The beginning of the line.
        text: String,
    },
    /// Nothing to work on.
    #[error("there is nothing to work on: {0}")]
    Empty(&'static str),
    /// More than the workload's data structures can number.
    #[error("too large: {0}")]
    TooLarge(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::kv::KeyValue;
    use crate::workload::pagerank::PageRank;
    use crate::workload::sort::Sort;
    use crate::workload::wordcount::WordCount;
    use crate::workload::ycsb::Mix;

    /// Local memory that loses one write: the `faulty`-th of those that change anything.
    struct Forgetful {
        inner: LocalMemory,
        changes: u64,
        faulty: u64,
    }

    impl WorkMemory for Forgetful {
        fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
            self.inner.alloc(bytes)
        }
        fn free(&mut self, address: u64) -> Result<(), MemoryError> {
            self.inner.free(address)
        }
        fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
            self.inner.read(address, into)
        }
        fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
            let mut old = vec![0; from.len()];
            self.inner.read(address, &mut old)?;
            if old == from {
                return Ok(());
            }
            self.changes += 1;
            if self.changes - 1 == self.faulty {
                return Ok(());
            }
            self.inner.write(address, from)
        }
    }

    /// Loses each of 40 writes in its own run; gives in how many of them it showed.
    fn noticed(workload: &impl Workload) -> u64 {
        let run = |faulty| {
            let mut memory = Forgetful { inner: LocalMemory::new(), changes: 0, faulty };
            (workload.run(&mut memory, &mut |_, _| {}), memory.changes)
        };
        let (right, changes) = run(u64::MAX);
        let right = right.unwrap();
        (0..40)
            .filter(|i| match run(i * changes / 40) {
                (Ok(outcome), _) => outcome.difference(&right).is_some(),
                (Err(_), _) => true,
            })
            .count() as u64
    }

    /// A lost write shows in the result, unless nobody reads there again: the last place of a row
    /// that was filled, a line feed that was a zero byte instead.
    #[test]
    fn hardly_a_lost_write_goes_unnoticed() {
        let text: String = (0..2000u32).map(|i| format!("w{} l{}\n", i * i % 97, i % 13)).collect();
        let text = text.as_bytes();
        assert!(noticed(&WordCount { text }) >= 36);
        assert!(noticed(&Sort { text, run_bytes: 500 }) >= 36);
        let edges: String = (0..400u32).map(|i| format!("{} {}\n", i % 37, i * i % 41)).collect();
        let edges = edges.as_bytes();
        assert!(noticed(&PageRank { edges, iterations: 3, damping: 0.85 }) >= 36);
        for mix in [Mix::A, Mix::D, Mix::F] {
            assert!(noticed(&KeyValue { mix, records: 50, requests: 100, seed: 3 }) >= 36);
        }
    }
}
