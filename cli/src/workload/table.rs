//! [`ProbeTable`]: a hash table with open addressing that lives in a [`WorkMemory`].
//!
//! A slot is 16 bytes: the hash and a value that is never zero (zero marks an empty slot). What the
//! value means is the caller's: an address, or a number plus one. Slots are probed one after the
//! other, so a lookup mostly stays in one 64-byte line.

use super::memory::{MemoryError, WorkMemory};

const SLOT: u64 = 16;
const FIRST_SLOTS: u64 = 256;

/// The table. It grows by doubling when three quarters of its slots are taken.
#[derive(Debug)]
pub struct ProbeTable {
    base: u64,
    slots: u64,
    entries: u64,
}

impl ProbeTable {
    /// An empty table.
    ///
    /// # Errors
    /// As [`WorkMemory::alloc`].
    pub fn new<M: WorkMemory>(memory: &mut M) -> Result<Self, MemoryError> {
        Ok(Self { base: memory.alloc(FIRST_SLOTS * SLOT)?, slots: FIRST_SLOTS, entries: 0 })
    }

    /// Entries in it.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn read_slot<M: WorkMemory>(&self, memory: &mut M, i: u64) -> Result<(u64, u64), MemoryError> {
        let mut slot = [0; SLOT as usize];
        memory.read(self.base + i * SLOT, &mut slot)?;
        let (mut hash, mut value) = ([0; 8], [0; 8]);
        hash.copy_from_slice(&slot[..8]);
        value.copy_from_slice(&slot[8..]);
        Ok((u64::from_le_bytes(hash), u64::from_le_bytes(value)))
    }

    /// The value of the entry with this hash for which `is_it` says yes.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    pub fn find<M: WorkMemory>(
        &self,
        memory: &mut M,
        hash: u64,
        mut is_it: impl FnMut(&mut M, u64) -> Result<bool, MemoryError>,
    ) -> Result<Option<u64>, MemoryError> {
        let mut i = self.home(hash);
        loop {
            let (slot_hash, value) = self.read_slot(memory, i)?;
            if value == 0 {
                return Ok(None);
            }
            if slot_hash == hash && is_it(memory, value)? {
                return Ok(Some(value));
            }
            i = (i + 1) % self.slots;
        }
    }

    /// Adds an entry. `value` is not zero. An equal one that is there already stays there too.
    ///
    /// # Errors
    /// As [`WorkMemory::alloc`] and [`WorkMemory::write`].
    pub fn insert<M: WorkMemory>(
        &mut self,
        memory: &mut M,
        hash: u64,
        value: u64,
    ) -> Result<(), MemoryError> {
        debug_assert_ne!(value, 0, "zero marks an empty slot");
        if (self.entries + 1) * 4 > self.slots * 3 {
            self.grow(memory)?;
        }
        self.place(memory, hash, value)
    }

    fn place<M: WorkMemory>(
        &mut self,
        memory: &mut M,
        hash: u64,
        value: u64,
    ) -> Result<(), MemoryError> {
        let mut i = self.home(hash);
        while self.read_slot(memory, i)?.1 != 0 {
            i = (i + 1) % self.slots;
        }
        let mut slot = [0; SLOT as usize];
        slot[..8].copy_from_slice(&hash.to_le_bytes());
        slot[8..].copy_from_slice(&value.to_le_bytes());
        memory.write(self.base + i * SLOT, &slot)?;
        self.entries += 1;
        Ok(())
    }

    fn grow<M: WorkMemory>(&mut self, memory: &mut M) -> Result<(), MemoryError> {
        let slots = self.slots * 2;
        let mut larger = Self { base: memory.alloc(slots * SLOT)?, slots, entries: 0 };
        self.for_each(memory, |memory, hash, value| larger.place(memory, hash, value))?;
        memory.free(self.base)?;
        *self = larger;
        Ok(())
    }

    /// Calls `visit` with hash and value of every entry.
    ///
    /// # Errors
    /// As [`WorkMemory::read`], or what `visit` says.
    pub fn for_each<M: WorkMemory>(
        &self,
        memory: &mut M,
        mut visit: impl FnMut(&mut M, u64, u64) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        for i in 0..self.slots {
            let (hash, value) = self.read_slot(memory, i)?;
            if value != 0 {
                visit(memory, hash, value)?;
            }
        }
        Ok(())
    }

    /// The slot where probing begins. Multiplied by the golden ratio first (Knuth, The Art of
    /// Computer Programming, volume 3, 6.4), so that hashes that differ in few bits spread.
    fn home(&self, hash: u64) -> u64 {
        hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.slots.trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        // Few hashes for many keys: entries of one hash must be told apart.
        #[test]
        fn it_finds_what_a_hash_map_finds(
            keys in prop::collection::vec(0u64..400, 0..500), modulus in 1u64..400
        ) {
            let memory = &mut LocalMemory::new();
            let mut table = ProbeTable::new(memory).unwrap();
            let mut oracle = HashMap::new();
            for (i, key) in keys.iter().enumerate() {
                // The value carries its key, as the address of a record would.
                let value = key << 32 | (i as u64 + 1);
                let found = table
                    .find(memory, key % modulus, |_, value| Ok(value >> 32 == *key))
                    .unwrap();
                prop_assert_eq!(found, oracle.get(key).copied());
                if found.is_none() {
                    table.insert(memory, key % modulus, value).unwrap();
                    oracle.insert(*key, value);
                }
            }
            let mut all = HashMap::new();
            table.for_each(memory, |_, _, value| {
                all.insert(value >> 32, value);
                Ok(())
            }).unwrap();
            prop_assert_eq!(table.len(), oracle.len() as u64);
            prop_assert_eq!(all, oracle);
        }
    }
}
