//! What can go wrong between the monitor and the component. What is wrong with a command is a
//! [`ReturnCode`] instead.

use crate::hal::Waiting;
use crate::memory_test::Fault;
use splitmem_abi::bus::BusError;
use splitmem_abi::mailbox::ReturnCode;
use splitmem_abi::regs::VERSION_VALUE;

/// The monitor cannot go on. Its tables may be ahead of the component's: start it anew after a
/// reset of the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A register could not be reached.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Something else than the component answers.
    #[error("no Splitmem component: its ID register reads {id:#010x}")]
    NotSplitmem {
        /// What the ID register reads.
        id: u32,
    },
    /// The component's register map is another one.
    #[error("register map {}.{}, this monitor knows {}.{}",
        found >> 16, found & 0xffff, VERSION_VALUE >> 16, VERSION_VALUE & 0xffff)]
    Version {
        /// What the VERSION register reads.
        found: u32,
    },
    /// The component was not reset: its request ports accept.
    #[error("the component is in use already; reset it first")]
    InUse,
    /// The memory does not hold more than the page table, or is larger than addresses reach.
    #[error("no room for a page table of 2^{log2_buckets} buckets in {frames} frames of 4 KiB")]
    Geometry {
        /// 4 KiB frames of memory.
        frames: u32,
        /// log2 of the page table's buckets.
        log2_buckets: u32,
    },
    /// A component in use whose journal is not there, or says what cannot be: see
    /// [`Monitor::recover`](crate::Monitor::recover).
    #[error("the component is in use, and there is no valid journal to take it over with")]
    NoJournal,
    /// A table that the binary supplied is too small.
    #[error("the table of {table} has {have} words, it needs {need}")]
    TableTooSmall {
        /// Which table.
        table: &'static str,
        /// Words that it has.
        have: usize,
        /// Words that it needs.
        need: usize,
    },
    /// The component did not finish something.
    #[error("the component did not finish: {0}")]
    Stuck(Waiting),
    /// The memory does not hold what it is given.
    #[error(
        "the memory failed its test at address {:#x}, bits {:#010x} of the word: nothing is served",
        .0.address, .0.bits
    )]
    BadMemory(Fault),
    /// The free list gave a frame that was never pushed, when the page table was cleared.
    #[error("frame {frame:#x} came back from the zeroing engine and was not pushed")]
    StrangeFrame {
        /// Its number.
        frame: u32,
    },
}

/// Why a command was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It cannot be, and nothing was changed.
    Refused(ReturnCode),
    /// The monitor cannot go on.
    Broken(Error),
}

impl From<ReturnCode> for Failure {
    fn from(code: ReturnCode) -> Self {
        Self::Refused(code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}
