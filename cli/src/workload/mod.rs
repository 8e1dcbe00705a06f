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
