//! Splitmem's host driver.
//!
//! A program on the host keeps only virtual addresses and a cache; its memory, with page tables,
//! TLB and page faults, is in the component. [`RemoteMemory`] is a process's memory there and
//! [`RemoteSlice`] a typed range of it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`transport`] | the boundary between driver and component |
//! | [`backend`] | implementations of it |
//! | [`config`] | which cache, which policies |
//! | [`profile`] | the timing of a device, for backends that take no time of their own |
//! | [`transparent`] | unmodified programs: mapping by userfaultfd |
//!
//! Between them stands a cache of the caller's choice: none, the virtual cache (64-byte lines) or
//! ExCache (4 KiB pages in local DRAM).
// Allowed again in `excache::pool` and in modules of `transparent`, each of which states its rules.
#![deny(unsafe_code)]

pub mod backend;
pub mod config;
mod direct;
mod error;
mod excache;
mod link;
pub mod profile;
mod region;
mod remote;
mod slice;
mod span;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod transparent;
pub mod transport;
mod vcache;

pub use error::MemoryError;
pub use excache::{ExCacheStats, Sample};
pub use remote::{AllocOptions, CacheStats, RemoteMemory};
pub use slice::{Iter, RemoteSlice};
pub use splitmem_abi::config::HwConfig;
pub use splitmem_abi::geometry::PageSize;
pub use splitmem_abi::mailbox::Permission;
pub use vcache::VCacheStats;
