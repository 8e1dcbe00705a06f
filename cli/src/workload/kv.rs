//! A key-value store under YCSB's mixes: a hash table with open addressing that finds records of
//! 1 KiB, all in the memory. A record is `{key: u64, ten fields of 100 bytes}`.
//!
//! Keys are dense numbers, so a scan of n keys from k is n lookups of k, k + 1, ...: in the order of
//! the keys, without an ordered index beside the table.

use std::hash::Hasher as _;

use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};

use super::memory::{Arena, MemoryError, WorkMemory};
use super::table::ProbeTable;
use super::ycsb::{Mix, Operation, Requests, FIELDS, FIELD_BYTES};
use super::{Outcome, WorkError, Workload};
use crate::facts::Facts;

const VALUE_BYTES: usize = FIELDS as usize * FIELD_BYTES;
const KEY: u64 = 0;
const VALUE: u64 = 8;
/// Key and value, rounded up to whole lines.
const RECORD_BYTES: u64 = (VALUE + VALUE_BYTES as u64).next_multiple_of(64);

/// Serves the requests of one mix.
#[derive(Clone, Copy, Debug)]
pub struct KeyValue {
    /// Which mix.
    pub mix: Mix,
    /// Keys inserted before the first request.
    pub records: u64,
    /// How many requests.
    pub requests: u64,
    /// Of the request stream.
    pub seed: u64,
}

/// What was read: a digest per request, and one per key at the end.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    requests: Vec<(Operation, u64)>,
    contents: Vec<u64>,
}

impl Workload for KeyValue {
    type Outcome = Served;

    fn run<M: WorkMemory>(
        &self,
        memory: &mut M,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<Served, WorkError> {
        let Some(requests) = Requests::new(self.mix, self.records, self.requests, self.seed) else {
            return Err(WorkError::Empty("the store has no records"));
        };
        let total = self.records + self.requests;
        let mut store = Store { table: ProbeTable::new(memory)?, arena: Arena::default(), keys: 0 };
        for key in 0..self.records {
            store.insert(memory, key)?;
            memory.operation("load record");
            watch(key + 1, total);
        }
        let mut served = Served { requests: Vec::new(), contents: Vec::new() };
        for (i, operation) in (0..self.requests).zip(requests) {
            let digest = store.serve(memory, operation, i)?;
            memory.operation(operation.name());
            served.requests.push((operation, digest));
            watch(self.records + i + 1, total);
        }
        // What nobody read after it was written counts as well.
        for key in 0..store.keys {
            let mut digest = fnv::FnvHasher::default();
            store.read(memory, key, &mut digest)?;
            served.contents.push(digest.finish());
        }
        Ok(served)
    }
}

struct Store {
    table: ProbeTable,
    arena: Arena,
    keys: u64,
}

impl Store {
    /// Does what is asked; gives a digest of what was read.
    fn serve<M: WorkMemory>(
        &mut self,
        memory: &mut M,
        operation: Operation,
        number: u64,
    ) -> Result<u64, MemoryError> {
        let mut digest = fnv::FnvHasher::default();
        match operation {
            Operation::Read { key } => self.read(memory, key, &mut digest)?,
            Operation::Update { key, field } => self.update(memory, key, field, number)?,
            Operation::Insert { key } => self.insert(memory, key)?,
            Operation::Scan { key, count } => {
                for key in key..(key + count).min(self.keys) {
                    self.read(memory, key, &mut digest)?;
                }
            }
            Operation::ReadModifyWrite { key, field } => {
                self.read(memory, key, &mut digest)?;
                // What is written depends on what was read.
                self.update(memory, key, field, digest.finish())?;
            }
        }
        Ok(digest.finish())
    }

    fn find<M: WorkMemory>(&self, memory: &mut M, key: u64) -> Result<Option<u64>, MemoryError> {
        self.table.find(memory, key, |memory, record| Ok(memory.read_u64(record + KEY)? == key))
    }

    fn insert<M: WorkMemory>(&mut self, memory: &mut M, key: u64) -> Result<(), MemoryError> {
        let record = self.arena.alloc(memory, RECORD_BYTES)?;
        memory.write_u64(record + KEY, key)?;
        memory.write(record + VALUE, &random_bytes::<VALUE_BYTES>(key, FIELDS, 0))?;
        self.table.insert(memory, key, record)?;
        self.keys += 1;
        Ok(())
    }

    /// Reads a value into a digest. A key that is not found is one that the memory lost: it shows
    /// as a difference to the oracle.
    fn read<M: WorkMemory>(
        &self,
        memory: &mut M,
        key: u64,
        digest: &mut fnv::FnvHasher,
    ) -> Result<(), MemoryError> {
        if let Some(record) = self.find(memory, key)? {
            let mut value = [0; VALUE_BYTES];
            memory.read(record + VALUE, &mut value)?;
            digest.write(&value);
        }
        Ok(())
    }

    fn update<M: WorkMemory>(
        &self,
        memory: &mut M,
        key: u64,
        field: u64,
        version: u64,
    ) -> Result<(), MemoryError> {
        if let Some(record) = self.find(memory, key)? {
            let bytes = random_bytes::<FIELD_BYTES>(key, field, version);
            memory.write(record + VALUE + field * FIELD_BYTES as u64, &bytes)?;
        }
        Ok(())
    }
}

/// The bytes of a field (or of all, for `field` = [`FIELDS`]) that this version of it has.
fn random_bytes<const N: usize>(key: u64, field: u64, version: u64) -> [u8; N] {
    let mut hasher = fnv::FnvHasher::default();
    for word in [key, field, version] {
        hasher.write_u64(word);
    }
    let mut bytes = [0; N];
    SmallRng::seed_from_u64(hasher.finish()).fill_bytes(&mut bytes);
    bytes
}

impl Outcome for Served {
    fn difference(&self, oracle: &Self) -> Option<String> {
        let request = self.requests.iter().zip(&oracle.requests).position(|(a, b)| a != b);
        if let Some(i) = request {
            let (operation, _) = self.requests[i];
            return Some(format!("request {} ({operation}) read other bytes", i + 1));
        }
        let key = self.contents.iter().zip(&oracle.contents).position(|(a, b)| a != b);
        if let Some(key) = key {
            return Some(format!("key {key} holds other bytes at the end"));
        }
        (self != oracle).then(|| {
            let (ours, right) = (self.contents.len(), oracle.contents.len());
            format!("{ours} keys at the end, expected {right}")
        })
    }

    fn facts(&self) -> Facts {
        let count = |name| self.requests.iter().filter(|(op, _)| op.name() == name).count() as u64;
        let mut facts = Facts::new();
        facts.add("requests", "Requests served", self.requests.len() as u64, "requests");
        facts.add("reads", "Reads", count("read"), "requests");
        facts.add("updates", "Updates", count("update"), "requests");
        facts.add("inserts", "Inserts", count("insert"), "requests");
        facts.add("scans", "Scans", count("scan"), "requests");
        facts.add(
            "read_modify_writes",
            "Read-modify-writes",
            count("read-modify-write"),
            "requests",
        );
        facts.add("records", "Records at the end", self.contents.len() as u64, "records");
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;
    use std::collections::HashMap;

    fn run(mix: Mix) -> Served {
        KeyValue { mix, records: 300, requests: 2000, seed: 9 }
            .run(&mut LocalMemory::new(), &mut |_, _| {})
            .unwrap()
    }

    /// The same store over the standard library's map.
    fn expected(mix: Mix) -> Served {
        let mut store: HashMap<u64, [u8; VALUE_BYTES]> =
            (0..300).map(|key| (key, random_bytes(key, FIELDS, 0))).collect();
        let update = |value: &mut [u8; VALUE_BYTES], key, field, version| {
            let at = field as usize * FIELD_BYTES;
            value[at..at + FIELD_BYTES]
                .copy_from_slice(&random_bytes::<FIELD_BYTES>(key, field, version));
        };
        let mut served = Served { requests: Vec::new(), contents: Vec::new() };
        for (i, operation) in Requests::new(mix, 300, 2000, 9).unwrap().take(2000).enumerate() {
            let mut digest = fnv::FnvHasher::default();
            match operation {
                Operation::Read { key } => digest.write(&store[&key]),
                Operation::Update { key, field } => {
                    update(store.get_mut(&key).unwrap(), key, field, i as u64);
                }
                Operation::Insert { key } => {
                    store.insert(key, random_bytes(key, FIELDS, 0));
                }
                Operation::Scan { key, count } => {
                    (key..key + count).filter_map(|k| store.get(&k)).for_each(|v| digest.write(v));
                }
                Operation::ReadModifyWrite { key, field } => {
                    digest.write(&store[&key]);
                    update(store.get_mut(&key).unwrap(), key, field, digest.finish());
                }
            }
            served.requests.push((operation, digest.finish()));
        }
        for key in 0..store.len() as u64 {
            let mut digest = fnv::FnvHasher::default();
            digest.write(&store[&key]);
            served.contents.push(digest.finish());
        }
        served
    }

    #[test]
    fn every_mix_reads_what_a_map_of_the_standard_library_holds() {
        for mix in [Mix::A, Mix::B, Mix::C, Mix::D, Mix::E, Mix::F] {
            assert_eq!(run(mix).difference(&expected(mix)), None, "{mix:?}");
        }
    }

    #[test]
    fn a_wrong_byte_is_a_difference() {
        let right = run(Mix::A);
        let mut wrong = run(Mix::A);
        wrong.contents[17] ^= 1;
        assert!(wrong.difference(&right).unwrap().starts_with("key 17 "));
        wrong.requests[3].1 ^= 1;
        assert!(wrong.difference(&right).unwrap().starts_with("request 4 "));
        let mut short = run(Mix::A);
        short.contents.pop();
        assert!(short.difference(&right).unwrap().contains("299 keys"));
    }

    #[test]
    fn a_store_without_records_is_refused() {
        let store = KeyValue { mix: Mix::A, records: 0, requests: 1, seed: 1 };
        assert!(matches!(
            store.run(&mut LocalMemory::new(), &mut |_, _| {}),
            Err(WorkError::Empty(_))
        ));
    }
}
