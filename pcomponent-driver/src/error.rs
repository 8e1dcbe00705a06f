//! What can go wrong with remote memory.

use std::sync::Arc;

use splitmem_abi::mailbox::ReturnCode;
use splitmem_abi::request::Status;

use crate::config::ConfigError;
use crate::transport::TransportError;

/// Why an access to remote memory, or a command about it, failed.
///
/// Cheap to clone: several threads can wait for one transfer, and each of them is told.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The component has no mapping of this page for this process.
    #[error("address {va:#x} of process {pid} is not mapped")]
    NotMapped {
        /// Process.
        pid: u16,
        /// Address of the line or page that was asked for.
        va: u64,
    },
    /// The mapping forbids the access.
    #[error("process {pid} may not access address {va:#x} in this way")]
    NoPermission {
        /// Process.
        pid: u16,
        /// Address of the line or page that was asked for.
        va: u64,
    },
    /// The page was written for the first time and the component has no frame for it.
    #[error("the component has no frame left for address {va:#x} of process {pid}")]
    NoMemory {
        /// Process.
        pid: u16,
        /// Address of the line or page that was asked for.
        va: u64,
    },
    /// The component's DRAM reported an uncorrectable error: the data there is lost.
    #[error("uncorrectable memory error at address {va:#x} of process {pid}")]
    Uncorrectable {
        /// Process.
        pid: u16,
        /// Address of the line or page that was asked for.
        va: u64,
    },
    /// The component called the request malformed, which this driver never lets happen.
    #[error("the component refused a request for address {va:#x} of process {pid} as malformed")]
    BadRequest {
        /// Process.
        pid: u16,
        /// Address of the line or page that was asked for.
        va: u64,
    },
    /// Data written earlier could not be written back to the component. The cache still holds it:
    /// it can be read, and a later [`flush`](crate::RemoteMemory::flush) tries again.
    #[error(
        "write-back of address {va:#x} of process {pid} failed, the cache keeps the data: {cause}"
    )]
    WriteBack {
        /// Process.
        pid: u16,
        /// Address of the line or page that stays dirty.
        va: u64,
        /// What the component or the link said.
        cause: Box<MemoryError>,
    },
    /// The memory monitor refused a command.
    #[error("the memory monitor refused to {action}: {code:?}")]
    Refused {
        /// What was asked of it.
        action: &'static str,
        /// Its answer.
        code: ReturnCode,
    },
    /// The link to the component failed. It is not used again: every access that needs the
    /// component ends with this error from here on.
    #[error(transparent)]
    Transport(Arc<TransportError>),
    /// The cache cannot be built like this.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host has no memory for the cache.
    #[error("the host has no room for a cache of {bytes} bytes: {cause}")]
    LocalMemory {
        /// Bytes asked for.
        bytes: usize,
        /// What the host said.
        cause: String,
    },
    /// The range lies outside the slice.
    #[error("elements {start}..{end} of a slice of {len}")]
    OutOfBounds {
        /// First element asked for.
        start: usize,
        /// One past the last element asked for.
        end: usize,
        /// Elements in the slice.
        len: usize,
    },
    /// An allocation of no bytes, or of more than an address can name.
    #[error("cannot allocate {len} elements of {size} bytes")]
    BadSize {
        /// Elements.
        len: usize,
        /// Bytes of one.
        size: usize,
    },
}

impl MemoryError {
    /// The error that a status stands for; `None` for [`Status::Ok`].
    pub(crate) fn from_status(status: Status, pid: u16, va: u64) -> Option<Self> {
        Some(match status {
            Status::Ok => return None,
            Status::NotMapped => Self::NotMapped { pid, va },
            Status::NoPermission => Self::NoPermission { pid, va },
            Status::NoMemory => Self::NoMemory { pid, va },
            Status::BadRequest => Self::BadRequest { pid, va },
            Status::Uncorrectable => Self::Uncorrectable { pid, va },
        })
    }

    /// The error of a write-back that failed with `self`.
    pub(crate) fn of_write_back(self, pid: u16, va: u64) -> Self {
        Self::WriteBack { pid, va, cause: Box::new(self) }
    }
}

impl From<Arc<TransportError>> for MemoryError {
    fn from(error: Arc<TransportError>) -> Self {
        Self::Transport(error)
    }
}
