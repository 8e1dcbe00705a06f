//! [`LocalMemory`]: the host's own memory, as the oracle of what a component's memory must do.

use std::collections::BTreeMap;

use super::memory::{MemoryError, WorkMemory};

/// First address; nothing is ever allocated at zero.
const BASE: u64 = 0x1000;
/// Allocations begin at multiples of this, with at least as much unallocated between two.
const ALIGN: u64 = 0x1000;

/// Local memory. An access outside of an allocation is an error, not a read of a neighbour.
#[derive(Debug, Default)]
pub struct LocalMemory {
    allocations: BTreeMap<u64, Vec<u8>>,
    next: u64,
    allocated: u64,
    peak: u64,
}

impl LocalMemory {
    /// Nothing is allocated.
    pub fn new() -> Self {
        Self { next: BASE, ..Self::default() }
    }

    /// Most bytes that were allocated at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }

    fn slice(&mut self, address: u64, bytes: usize) -> Result<&mut [u8], MemoryError> {
        self.allocations
            .range_mut(..=address)
            .next_back()
            .and_then(|(&base, data)| {
                let start = usize::try_from(address - base).ok()?;
                data.get_mut(start..start.checked_add(bytes)?)
            })
            .ok_or(MemoryError::NotAllocated { address, bytes: bytes as u64 })
    }
}

impl WorkMemory for LocalMemory {
    fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
        let no_room = || MemoryError::NoRoom { bytes };
        let length = usize::try_from(bytes).map_err(|_| no_room())?;
        let address = self.next;
        self.next = bytes
            .checked_next_multiple_of(ALIGN)
            .and_then(|size| size.checked_add(ALIGN)?.checked_add(address))
            .ok_or_else(no_room)?;
        let mut data = Vec::new();
        data.try_reserve_exact(length).map_err(|_| no_room())?;
        data.resize(length, 0);
        self.allocations.insert(address, data);
        self.allocated += bytes;
        self.peak = self.peak.max(self.allocated);
        Ok(address)
    }

    fn free(&mut self, address: u64) -> Result<(), MemoryError> {
        let data = self
            .allocations
            .remove(&address)
            .ok_or(MemoryError::NotAllocated { address, bytes: 0 })?;
        self.allocated -= data.len() as u64;
        Ok(())
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        into.copy_from_slice(self.slice(address, into.len())?);
        Ok(())
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.slice(address, from.len())?.copy_from_slice(from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::memory::Arena;

    #[test]
    fn words_come_back_and_new_memory_reads_zero() {
        let mut memory = LocalMemory::new();
        let a = memory.alloc(100).unwrap();
        assert_eq!(memory.read_u64(a + 92).unwrap(), 0);
        memory.write_f64(a + 3, -0.1).unwrap();
        memory.write_u32(a + 11, 7).unwrap();
        assert_eq!(memory.read_f64(a + 3).unwrap(), -0.1);
        assert_eq!(memory.read_u32(a + 11).unwrap(), 7);
    }

    #[test]
    fn accesses_outside_an_allocation_fail() {
        let mut memory = LocalMemory::new();
        let a = memory.alloc(100).unwrap();
        let b = memory.alloc(100).unwrap();
        assert!(memory.read_u64(a + 93).is_err());
        assert!(memory.write_u64(a - 1, 0).is_err());
        assert!(memory.read_u64(u64::MAX).is_err());
        memory.free(a).unwrap();
        assert!(memory.read_u64(a).is_err());
        assert!(memory.free(a).is_err());
        assert!(memory.write_u64(b, 1).is_ok());
        assert!(matches!(memory.alloc(u64::MAX), Err(MemoryError::NoRoom { .. })));
    }

    #[test]
    fn the_peak_counts_what_stood_at_once() {
        let mut memory = LocalMemory::new();
        let a = memory.alloc(100).unwrap();
        memory.free(a).unwrap();
        memory.alloc(60).unwrap();
        memory.alloc(60).unwrap();
        assert_eq!(memory.peak_bytes(), 120);
    }

    #[test]
    fn pieces_of_an_arena_do_not_overlap() {
        let mut memory = LocalMemory::new();
        let mut arena = Arena::default();
        let mut pieces = Vec::new();
        for i in 1..3000u64 {
            let bytes = i * 7 % 900 + 1;
            let address = arena.alloc(&mut memory, bytes).unwrap();
            memory.write(address, &vec![i as u8; bytes as usize]).unwrap();
            pieces.push((address, bytes, i as u8));
        }
        for (address, bytes, value) in pieces {
            let mut data = vec![0; bytes as usize];
            memory.read(address, &mut data).unwrap();
            assert!(data.iter().all(|&b| b == value));
        }
        let large = arena.alloc(&mut memory, 1 << 20).unwrap();
        assert!(memory.write_u64(large + (1 << 20) - 8, 1).is_ok());
    }
}
