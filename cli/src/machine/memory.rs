//! [`ComponentMemory`]: the driver's explicit API as a [`WorkMemory`].

use std::collections::BTreeMap;

use pcomponent_driver::{CacheStats, MemoryError as DriverError, RemoteMemory, RemoteSlice};
use splitmem_abi::mailbox::ReturnCode;

use crate::observe::{CacheCounts, Metered};
use crate::workload::{MemoryError, WorkMemory};

/// A process's memory in the component. Addresses are the process's virtual addresses there.
pub struct ComponentMemory {
    remote: RemoteMemory,
    allocations: BTreeMap<u64, RemoteSlice<u8>>,
}

impl ComponentMemory {
    /// Nothing is allocated yet.
    pub fn new(remote: RemoteMemory) -> Self {
        Self { remote, allocations: BTreeMap::new() }
    }

    /// The driver.
    pub fn remote(&self) -> &RemoteMemory {
        &self.remote
    }

    /// Writes back what the cache holds.
    ///
    /// # Errors
    /// [`MemoryError::Full`], or the component failed.
    pub fn flush(&mut self) -> Result<(), MemoryError> {
        self.remote.flush().map_err(failed)
    }

    /// The allocation that holds an address, and the place in it.
    fn find(&self, address: u64, bytes: usize) -> Result<(&RemoteSlice<u8>, usize), MemoryError> {
        self.allocations
            .range(..=address)
            .next_back()
            .and_then(|(base, slice)| {
                let start = usize::try_from(address - base).ok()?;
                (start.checked_add(bytes)? <= slice.len()).then_some((slice, start))
            })
            .ok_or(MemoryError::NotAllocated { address, bytes: bytes as u64 })
    }
}

impl WorkMemory for ComponentMemory {
    fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
        let no_room = || MemoryError::NoRoom { bytes };
        let length = usize::try_from(bytes).map_err(|_| no_room())?;
        let slice = self.remote.alloc::<u8>(length).map_err(|error| match error {
            DriverError::Refused {
                code: ReturnCode::NoMemory | ReturnCode::NoAddress | ReturnCode::TablesFull,
                ..
            } => no_room(),
            error => failed(error),
        })?;
        let address = slice.va();
        self.allocations.insert(address, slice);
        Ok(address)
    }

    fn free(&mut self, address: u64) -> Result<(), MemoryError> {
        let slice = self
            .allocations
            .remove(&address)
            .ok_or(MemoryError::NotAllocated { address, bytes: 0 })?;
        slice.free().map_err(failed)
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let (slice, start) = self.find(address, into.len())?;
        slice.read(start, into).map_err(failed)
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let (slice, start) = self.find(address, from.len())?;
        slice.write(start, from).map_err(failed)
    }
}

impl Metered for ComponentMemory {
    fn cycles(&self) -> Option<u64> {
        self.remote.cycles()
    }

    fn cache(&self) -> Option<CacheCounts> {
        match self.remote.stats() {
            CacheStats::VCache(stats) => {
                let accesses = stats.reads + stats.writes;
                Some(CacheCounts { accesses, hits: accesses - stats.misses })
            }
            CacheStats::ExCache(stats) => {
                Some(CacheCounts { accesses: stats.accesses(), hits: stats.hits() })
            }
            _ => None,
        }
    }
}

fn failed(error: DriverError) -> MemoryError {
    match error {
        DriverError::NoMemory { va, .. } => MemoryError::Full { address: va },
        DriverError::WriteBack { cause, .. } if matches!(*cause, DriverError::NoMemory { .. }) => {
            failed(*cause)
        }
        error => MemoryError::Component(Box::new(error)),
    }
}
