//! [`Transport`]: the one boundary between driver and component.
//!
//! Backends: the golden model in process, the Verilated RTL in process (every call costs simulated
//! cycles and reports them), and later `vfio-user`, VFIO, CXL dax and serial lines. All speak the
//! same language: batches of line and page requests in, completions out, mailbox commands.

pub use crate::profile::Expected;
use splitmem_abi::mailbox::{Command, Payload, ReturnCode};
use splitmem_abi::request::{Op, Status};

/// Bytes of the pages that ExCache moves.
pub const PAGE_BYTES: usize = 4096;

/// A request to the component. `id` is the caller's name for it and comes back in the completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The caller's name for it; need not be unique.
    pub id: u64,
    /// Whose memory.
    pub pid: u16,
    /// Virtual address: line-aligned for lines, 4 KiB-aligned for pages, 8-byte-aligned for atomics.
    pub va: u64,
    /// What to do.
    pub work: Work,
}

/// What a [`Submission`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Read 64 bytes.
    ReadLine,
    /// Write the bytes of a line that the mask selects.
    WriteLine {
        /// The line.
        data: Box<[u8; 64]>,
        /// Bit i selects byte i.
        mask: u64,
    },
    /// Read 4 KiB.
    ReadPage,
    /// Write 4 KiB.
    WritePage {
        /// The page.
        data: Box<[u8; PAGE_BYTES]>,
    },
    /// 8-byte fetch-add or compare-and-swap; see [`splitmem_abi::request::Op`].
    Atomic {
        /// [`Op::FetchAdd`] or [`Op::CompareSwap`].
        op: Op,
        /// Addend or new value.
        operand: u64,
        /// Expected value of a compare-and-swap.
        expected: u64,
    },
}

/// The end of a [`Submission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The submission's id.
    pub id: u64,
    /// How it ended; for a page, the first status of its lines that was not ok.
    pub status: Status,
    /// What was read: 64 or 4096 bytes, 8 for an atomic's old value, empty otherwise.
    pub data: Vec<u8>,
    /// Component clock cycles from submission to completion, where the backend counts them.
    pub cycles: Option<u64>,
}

/// Why a transport could not do its work. The component's own answers are not errors but
/// [`Status`] and [`ReturnCode`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The component is gone: simulation ended, link down, server closed.
    #[error("the memory component is gone: {0}")]
    Gone(String),
    /// No answer in time.
    #[error("the memory component did not answer within {0}")]
    Timeout(String),
    /// The component answered something that its contract forbids.
    #[error("the memory component broke its contract: {0}")]
    Protocol(String),
    /// The submission cannot be expressed: misaligned, or of the wrong size.
    #[error("bad submission: {0}")]
    BadSubmission(String),
}

/// A reply of the memory monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxReply {
    /// Return code.
    pub code: ReturnCode,
    /// Payload.
    pub payload: Box<Payload>,
}

/// What a backend is.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportInfo {
    /// Short name: "model", "rtl", ...
    pub name: &'static str,
    /// Component clock in MHz by which cycles turn into time, where cycles are counted.
    pub clock_mhz: Option<f64>,
    /// Submissions that may be in flight before [`Transport::submit`] takes no more.
    pub depth: usize,
}

/// The way to one memory component.
pub trait Transport: Send {
    /// What this backend is.
    fn info(&self) -> TransportInfo;

    /// Takes submissions from the front of `batch`, as many as there is room for, and returns how
    /// many it took (they are removed). Two submissions of one pid to one line keep their order.
    ///
    /// # Errors
    /// [`TransportError`]; submissions taken before the error are still in flight.
    fn submit(
        &mut self,
        batch: &mut std::collections::VecDeque<Submission>,
    ) -> Result<usize, TransportError>;

    /// Moves finished work to the end of `done` and returns how many there were. With `wait`,
    /// blocks (or simulates) until there is at least one, unless nothing is in flight.
    ///
    /// # Errors
    /// [`TransportError`].
    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError>;

    /// Reads a page if the backend has it at once, as the golden model does: hands its bytes to `take`,
    /// and tells what that did, which is whether it took them. `false`: nothing was read, and, unless
    /// `take` did not want it, a submission will tell what the component has to say. Not to be called
    /// while a submission for the page is in flight.
    ///
    /// # Errors
    /// [`TransportError`].
    fn read_page_now(
        &mut self,
        _pid: u16,
        _va: u64,
        _take: &mut dyn FnMut(&[u8; PAGE_BYTES]) -> bool,
    ) -> Result<bool, TransportError> {
        Ok(false)
    }

    /// Whether [`Self::read_page_now`] and [`Self::write_page_now`] do, as a rule, what they are asked for,
    /// and without waiting: then a page is fetched under whatever locks, and orders are for the rest.
    fn pages_at_hand(&self) -> bool {
        false
    }

    /// As [`Self::read_page_now`] for the page at `va` and those behind it, at most `most` in all, as far
    /// as the backend has them one behind the other: hands over their bytes together and tells how many
    /// pages they are. 0: nothing was done.
    ///
    /// # Errors
    /// [`TransportError`].
    fn read_pages_now(
        &mut self,
        pid: u16,
        va: u64,
        _most: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TransportError> {
        let take = &mut |page: &[u8; PAGE_BYTES]| {
            take(page);
            true
        };
        self.read_page_now(pid, va, take).map(usize::from)
    }

    /// Whether what [`Self::read_pages_now`] hands over stays where it is after that call, and as it is until
    /// the pages are written: then it can be read while others use the transport.
    fn pages_stay(&self) -> bool {
        false
    }

    /// Writes a page if the backend takes it at once: tells whether it did. `false`: nothing was done, and
    /// a submission will tell what the component has to say. Not to be called while a submission for
    /// the page is in flight.
    ///
    /// # Errors
    /// [`TransportError`].
    fn write_page_now(
        &mut self,
        _pid: u16,
        _va: u64,
        _data: &[u8; PAGE_BYTES],
    ) -> Result<bool, TransportError> {
        Ok(false)
    }

    /// Announces that so many pages will be read by [`Self::read_page_now`], each once; gives the
    /// time to wait for first where the backend has a device's timing. Without the announcement
    /// `read_page_now` waits by itself, and who holds the transport holds up all others.
    fn expect_pages(&mut self, _pages: usize) -> Option<Expected> {
        None
    }

    /// When the next completion will be there, where the backend knows: [`Self::poll`] would wait
    /// until then, and whoever shares the transport had better wait without it.
    fn ready_at(&self) -> Option<std::time::Instant> {
        None
    }

    /// One command to the memory monitor, and its reply. Data requests in flight go on meanwhile.
    ///
    /// # Errors
    /// [`TransportError`].
    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError>;

    /// Component clock cycles since the start, where the backend counts them.
    fn cycles(&self) -> Option<u64>;

    /// The component's hardware counters and histograms, by register (see
    /// [`splitmem_abi::regs::Counter`]).
    ///
    /// # Errors
    /// [`TransportError`].
    fn counter(&mut self, counter: splitmem_abi::regs::Counter) -> Result<u64, TransportError>;
}
