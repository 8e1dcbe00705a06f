//! [`Replay`]: the accesses of a trace, made again in a [`WorkMemory`].
//!
//! A trace tells where a program loaded and stored, not what. Every store here writes bytes of its
//! own, a modify adds one to each byte that it reads. The trace's addresses are mapped onto the
//! memory as they are touched, [`CHUNK`] by chunk, so memory is taken for what the program used and
//! not for the holes in between.

use std::collections::HashMap;

use super::{Access, Kind};
use crate::facts::Facts;
use crate::workload::{LocalMemory, MemoryError, WorkMemory};

/// Bytes of trace addresses that are mapped at a time.
pub const CHUNK: u64 = 256 << 10;

/// Where a chunk lies.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    memory: u64,
    /// In the twin, if there is one.
    twin: u64,
}

/// Why an access could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The memory failed.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The memory gave other bytes than were written.
    #[error(
        "the byte at trace address {address:#x} is {found:#04x}, and {written:#04x} was written"
    )]
    Mismatch {
        /// Where, in the trace's addresses.
        address: u64,
        /// What was read.
        found: u8,
        /// What had been written there last.
        written: u8,
    },
}

/// Makes accesses again, one after the other.
#[derive(Debug, Default)]
pub struct Replay {
    chunks: HashMap<u64, Chunk>,
    twin: Option<LocalMemory>,
    /// Room for the bytes of one access, and for what the twin holds there.
    buffers: [Vec<u8>; 2],
    counts: Counts,
}

/// What was replayed so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Loads.
    pub loads: u64,
    /// Stores.
    pub stores: u64,
    /// Modifies.
    pub modifies: u64,
    /// Instruction fetches, replayed as loads.
    pub fetches: u64,
    /// Bytes, those of modifies once.
    pub bytes: u64,
}

impl Counts {
    /// All accesses.
    pub fn accesses(&self) -> u64 {
        self.loads + self.stores + self.modifies + self.fetches
    }

    /// For people.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        facts.add("trace_accesses", "Accesses replayed", self.accesses(), "accesses");
        facts.add("trace_loads", "Loads", self.loads, "accesses");
        facts.add("trace_stores", "Stores", self.stores, "accesses");
        facts.add("trace_modifies", "Modifies", self.modifies, "accesses");
        facts.add("trace_fetches", "Instruction fetches", self.fetches, "accesses");
        facts.add("trace_bytes", "Data of these accesses", self.bytes, "bytes");
        facts
    }
}

impl Replay {
    /// Nothing is mapped yet. With `verify`, whatever is read is compared with a twin in local
    /// memory.
    pub fn new(verify: bool) -> Self {
        Self { twin: verify.then(LocalMemory::new), ..Self::default() }
    }

    /// What was replayed so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Makes one access.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn step<M: WorkMemory>(
        &mut self,
        memory: &mut M,
        access: Access,
    ) -> Result<(), ReplayError> {
        let mut done = 0;
        while done < u64::from(access.size) {
            let address = access.address + done;
            let length = (u64::from(access.size) - done).min(CHUNK - address % CHUNK);
            self.piece(memory, access.kind, address, length as usize)?;
            done += length;
        }
        let (count, name) = match access.kind {
            Kind::Fetch => (&mut self.counts.fetches, "fetch"),
            Kind::Load => (&mut self.counts.loads, "load"),
            Kind::Store => (&mut self.counts.stores, "store"),
            Kind::Modify => (&mut self.counts.modifies, "modify"),
        };
        *count += 1;
        self.counts.bytes += u64::from(access.size);
        memory.operation(name);
        Ok(())
    }

    /// Makes the part of an access that lies in one chunk.
    fn piece<M: WorkMemory>(
        &mut self,
        memory: &mut M,
        kind: Kind,
        address: u64,
        length: usize,
    ) -> Result<(), ReplayError> {
        let chunk = self.chunk(memory, address / CHUNK)?;
        let offset = address % CHUNK;
        let [bytes, expected] = &mut self.buffers;
        bytes.resize(length, 0);
        if kind != Kind::Store {
            memory.read(chunk.memory + offset, bytes)?;
            if let Some(twin) = &mut self.twin {
                expected.resize(length, 0);
                twin.read(chunk.twin + offset, expected)?;
                if let Some(i) = (0..length).find(|&i| bytes[i] != expected[i]) {
                    let (found, written) = (bytes[i], expected[i]);
                    return Err(ReplayError::Mismatch {
                        address: address + i as u64,
                        found,
                        written,
                    });
                }
            }
        }
        match kind {
            Kind::Fetch | Kind::Load => return Ok(()),
            Kind::Modify => bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
            Kind::Store => {
                let number = self.counts.accesses();
                for (byte, place) in bytes.iter_mut().zip(address..) {
                    // Different from one store to the next, and along the bytes of each.
                    *byte = (number.wrapping_mul(0x9d) ^ place) as u8;
                }
            }
        }
        memory.write(chunk.memory + offset, bytes)?;
        if let Some(twin) = &mut self.twin {
            twin.write(chunk.twin + offset, bytes)?;
        }
        Ok(())
    }

    fn chunk<M: WorkMemory>(&mut self, memory: &mut M, number: u64) -> Result<Chunk, MemoryError> {
        if let Some(chunk) = self.chunks.get(&number) {
            return Ok(*chunk);
        }
        let twin = self.twin.as_mut().map_or(Ok(0), |twin| twin.alloc(CHUNK))?;
        let chunk = Chunk { memory: memory.alloc(CHUNK)?, twin };
        self.chunks.insert(number, chunk);
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn access(kind: Kind, address: u64, size: u32) -> Access {
        Access { kind, address, size }
    }

    #[test]
    fn accesses_are_counted_and_mapped_where_they_touch() {
        let mut memory = LocalMemory::new();
        let mut replay = Replay::new(true);
        for a in [
            access(Kind::Store, 0x1000, 8),
            access(Kind::Load, 0x1004, 4),
            // Over a chunk's end, and at the very top of the address space.
            access(Kind::Modify, CHUNK - 3, 6),
            access(Kind::Store, u64::MAX - 9, 9),
            access(Kind::Fetch, 0x7fff_0000_0000, 3),
        ] {
            replay.step(&mut memory, a).unwrap();
        }
        let expected = Counts { loads: 1, stores: 2, modifies: 1, fetches: 1, bytes: 30 };
        assert_eq!(replay.counts(), expected);
        assert_eq!(memory.peak_bytes(), 4 * CHUNK);
    }

    #[test]
    fn a_byte_that_changed_is_found() {
        let mut memory = LocalMemory::new();
        let mut replay = Replay::new(true);
        replay.step(&mut memory, access(Kind::Store, 64, 8)).unwrap();
        let at = replay.chunks[&0].memory + 66;
        let mut byte = [0];
        memory.read(at, &mut byte).unwrap();
        memory.write(at, &[byte[0] ^ 4]).unwrap();
        replay.step(&mut memory, access(Kind::Load, 64, 2)).unwrap();
        let error = replay.step(&mut memory, access(Kind::Load, 64, 8)).unwrap_err();
        assert!(matches!(error, ReplayError::Mismatch { address: 66, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn a_sound_memory_never_mismatches(
            accesses in prop::collection::vec((0usize..4, 0u64..3 * CHUNK, 1u32..500), 1..200)
        ) {
            const KINDS: [Kind; 4] = [Kind::Fetch, Kind::Load, Kind::Store, Kind::Modify];
            let mut memory = LocalMemory::new();
            let mut replay = Replay::new(true);
            for (kind, address, size) in accesses {
                prop_assert!(replay.step(&mut memory, access(KINDS[kind], address, size)).is_ok());
            }
        }
    }
}
