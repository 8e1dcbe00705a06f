//! A component that fails, and a link that breaks: nothing is lost in silence, nothing hangs.

mod common;

use std::collections::VecDeque;

use common::{caches, component, describe, lock, EVICTIONS};
use pcomponent_driver::config::{Associativity, CacheConfig, ExCacheConfig, VCacheConfig};
use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo,
};
use pcomponent_driver::{CacheStats, MemoryError, RemoteMemory, RemoteSlice};
use splitmem_abi::mailbox::{Address, Command, ReturnCode};
use splitmem_abi::regs::Counter;
use splitmem_abi::request::Status;

/// Caches of four pages, by each kind of eviction, and virtual ones of four lines.
fn small_caches() -> Vec<CacheConfig> {
    let mut all: Vec<CacheConfig> = Vec::new();
    for eviction in EVICTIONS {
        for dirty in ["page", "line"] {
            let config = ExCacheConfig::with_bytes(4 * 4096)
                .associativity(Associativity::Full)
                .eviction(eviction)
                .dirty(dirty.parse().unwrap());
            all.push(config.into());
        }
    }
    all.push(VCacheConfig { ways: 4, sets: 1 }.into());
    all
}

fn is_write_back(error: &MemoryError, page: u64) -> bool {
    matches!(error, MemoryError::WriteBack { pid: 1, va, cause }
        if va & !4095 == page && matches!(**cause, MemoryError::Uncorrectable { pid: 1, .. }))
}

#[test]
fn a_failed_write_back_keeps_the_data_and_is_reported() {
    for cache in small_caches() {
        println!("{}", describe(&cache));
        let (sim, handle) = component(1, 3);
        let memory = RemoteMemory::connect(sim, 1, cache).unwrap();
        let words = memory.alloc::<u64>(16 * 512).unwrap();
        let bad = words.va() + 2 * 4096;
        words.set(2 * 512, 42).unwrap();
        lock(&handle).fail_writes.insert(bad, Status::Uncorrectable);
        // Push it out, if it would go.
        for round in 0..3 {
            for page in (0..16).filter(|page| *page != 2) {
                // A virtual cache tells the access whose way the line does not leave.
                if let Err(error) = words.set(page * 512, page as u64 + round) {
                    assert!(is_write_back(&error, bad), "{error}");
                    words.set(page * 512, page as u64 + round).unwrap();
                }
            }
        }
        assert_eq!(words.get(2 * 512).unwrap(), 42, "still there");
        let error = memory.flush().unwrap_err();
        assert!(is_write_back(&error, bad), "{error}");
        assert_eq!(words.get(2 * 512).unwrap(), 42);
        for page in (0..16).filter(|page| *page != 2) {
            let there = lock(&handle).bytes(1, words.va() + page * 4096, 8);
            assert_eq!(there[0], page as u8 + 2, "the others were written");
        }
        lock(&handle).fail_writes.clear();
        memory.flush().unwrap();
        assert_eq!(lock(&handle).bytes(1, bad, 8)[0], 42, "and at last this one");
        memory.flush().unwrap();
        let failures = match memory.stats() {
            CacheStats::ExCache(stats) => stats.write_back_failures,
            CacheStats::VCache(stats) => stats.write_back_failures,
            _ => 0,
        };
        assert!(failures > 0);
    }
}

#[test]
fn a_component_without_memory_stops_the_writer_and_not_the_reader() {
    for cache in small_caches() {
        println!("{}", describe(&cache));
        let (sim, handle) = component(1, 3);
        let memory = RemoteMemory::connect(sim, 1, cache).unwrap();
        let words = memory.alloc::<u64>(40 * 512).unwrap();
        for page in 0..40 {
            lock(&handle).fail_writes.insert(words.va() + page * 4096, Status::NoMemory);
        }
        let mut written = 0;
        let error = loop {
            match words.set(written * 512, written as u64 + 7) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, MemoryError::WriteBack { cause, .. }
                if matches!(**cause, MemoryError::NoMemory { pid: 1, .. })),
            "{error}"
        );
        // Four frames, and up to three pages in the victim cache.
        assert!((4..=7).contains(&written), "{written}");
        for page in 0..written {
            // With all frames taken, what is in the victim cache cannot come back.
            match words.get(page * 512) {
                Ok(value) => assert_eq!(value, page as u64 + 7),
                Err(error) => assert!(matches!(error, MemoryError::WriteBack { .. }), "{error}"),
            }
        }
        lock(&handle).fail_writes.clear();
        memory.flush().unwrap();
        for page in 0..written {
            assert_eq!(words.get(page * 512).unwrap(), page as u64 + 7);
        }
    }
}

#[test]
fn a_failed_read_names_its_page_and_harms_no_other() {
    for cache in caches() {
        println!("{}", describe(&cache));
        let (sim, handle) = component(1, 3);
        let memory = RemoteMemory::connect(sim, 1, cache).unwrap();
        let words = memory.alloc::<u64>(40 * 512).unwrap();
        words.fill(3).unwrap();
        words.evict().unwrap();
        let bad = words.va() + 20 * 4096;
        lock(&handle).fail_reads.insert(bad, Status::Uncorrectable);
        for page in 0..40 {
            match words.get(page * 512) {
                Ok(value) => assert!(value == 3 && page != 20),
                Err(MemoryError::Uncorrectable { pid: 1, va }) => {
                    assert!(va == bad && page == 20, "{va:#x} {page}")
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(matches!(words.to_vec(), Err(MemoryError::Uncorrectable { .. })));
        lock(&handle).fail_reads.clear();
        assert!(words.to_vec().unwrap().iter().all(|word| *word == 3));
    }
}

#[test]
fn memory_that_is_not_mapped_is_reported() {
    for cache in caches() {
        println!("{}", describe(&cache));
        let (sim, handle) = component(1, 3);
        let memory = RemoteMemory::connect(sim, 1, cache).unwrap();
        let words = memory.alloc::<u64>(512).unwrap();
        words.set(0, 1).unwrap();
        words.evict().unwrap();
        lock(&handle).forget_allocations();
        let error = words.get(0).unwrap_err();
        assert!(matches!(error, MemoryError::NotMapped { pid: 1, va } if va == words.va()));
        let error = words.fetch_add(1, 1).unwrap_err();
        assert!(matches!(error, MemoryError::NotMapped { pid: 1, .. }), "{error}");
        assert!(matches!(words.free(), Err(MemoryError::Refused { .. })));
    }
}

#[test]
fn a_link_that_breaks_in_mid_flight_ends_every_access() {
    for (i, cache) in caches().into_iter().chain(caches()).enumerate() {
        // The second time round, with pages at hand.
        let at_hand = i >= caches().len();
        println!("seed {i}, at hand {at_hand}: {}", describe(&cache));
        let (sim, handle) = component(i as u64, 4);
        let memory = RemoteMemory::connect(sim.at_hand(at_hand), 1, cache.clone()).unwrap();
        let words = memory.alloc::<u64>(60 * 512).unwrap();
        lock(&handle).gone_after = Some(60 + 7 * i as u64);
        // What each thread wrote last, by page.
        let written: Vec<[Option<u64>; 60]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let words = words.clone();
                    scope.spawn(move || write_until_gone(&words, thread))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // What is in the cache can be read on; what is not fails at once.
        for page in 0..60 {
            for (thread, written) in written.iter().enumerate() {
                match words.get(page * 512 + thread) {
                    Ok(value) => assert_eq!(value, written[page].unwrap_or(0)),
                    Err(error) => assert!(is_gone(&error), "{error}"),
                }
            }
        }
        // Either a flush says that something was not saved, or all was.
        match memory.flush() {
            Err(error) => assert!(is_gone(&error), "{error}"),
            Ok(()) => {
                let saved = lock(&handle).bytes(1, words.va(), 60 * 4096);
                for (thread, written) in written.iter().enumerate() {
                    for (page, value) in written.iter().enumerate() {
                        let at = page * 4096 + thread * 8;
                        let there = u64::from_le_bytes(saved[at..at + 8].try_into().unwrap());
                        assert_eq!(there, value.unwrap_or(0));
                    }
                }
            }
        }
        assert!(words.free().is_err());
    }
}

fn write_until_gone(words: &RemoteSlice<u64>, thread: usize) -> [Option<u64>; 60] {
    let mut written = [None; 60];
    for step in 1.. {
        let page = (step * 7 + thread * 13) % 60;
        let at = page * 512 + thread;
        if let Err(error) = words.set(at, step as u64) {
            assert!(is_gone(&error), "{error}");
            break;
        }
        written[page] = Some(step as u64);
        match words.get(at) {
            Ok(value) => assert_eq!(value, step as u64),
            Err(error) => {
                assert!(is_gone(&error), "{error}");
                break;
            }
        }
    }
    written
}

fn is_gone(error: &MemoryError) -> bool {
    match error {
        MemoryError::Transport(error) => matches!(**error, TransportError::Gone(_)),
        MemoryError::WriteBack { cause, .. } => is_gone(cause),
        _ => false,
    }
}

/// A transport that breaks its contract.
struct Liar {
    answer: fn(&Submission) -> Option<Completion>,
    taken: Vec<Submission>,
}

impl Transport for Liar {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "liar", clock_mhz: None, depth: 1 }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        self.taken.extend(batch.drain(..));
        Ok(self.taken.len())
    }

    fn poll(&mut self, done: &mut Vec<Completion>, _wait: bool) -> Result<usize, TransportError> {
        done.extend(self.taken.drain(..).filter_map(|submission| (self.answer)(&submission)));
        Ok(done.len())
    }

    fn mailbox(&mut self, _command: &Command) -> Result<MailboxReply, TransportError> {
        let mut payload = Box::new([0; 64]);
        Address(0x1000).encode(&mut payload);
        Ok(MailboxReply { code: ReturnCode::Success, payload })
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn counter(&mut self, _counter: Counter) -> Result<u64, TransportError> {
        Ok(0)
    }
}

#[test]
fn a_transport_that_breaks_its_contract_is_found_out() {
    let answers: [fn(&Submission) -> Option<Completion>; 3] = [
        |_| None,
        |s| {
            Some(Completion { id: s.id + 1, status: Status::Ok, data: vec![0; 4096], cycles: None })
        },
        |s| Some(Completion { id: s.id, status: Status::Ok, data: vec![0; 63], cycles: None }),
    ];
    for answer in answers {
        for cache in [CacheConfig::None, VCacheConfig::default().into(), CacheConfig::default()] {
            let memory =
                RemoteMemory::connect(Liar { answer, taken: Vec::new() }, 1, cache).unwrap();
            let options = pcomponent_driver::AllocOptions {
                shareable: true,
                ..pcomponent_driver::AllocOptions::default()
            };
            let words = memory.alloc_with::<u64>(512, options).unwrap();
            let error = words.get(0).unwrap_err();
            assert!(
                matches!(&error, MemoryError::Transport(e)
                    if matches!(**e, TransportError::Protocol(_))),
                "{error}"
            );
        }
    }
}

#[test]
fn ranges_and_sizes_are_checked() {
    let (sim, _handle) = component(1, 0);
    let memory = RemoteMemory::connect(sim, 1, CacheConfig::default()).unwrap();
    assert!(matches!(memory.alloc::<u64>(0), Err(MemoryError::BadSize { .. })));
    assert!(matches!(memory.alloc::<u64>(usize::MAX / 4), Err(MemoryError::BadSize { .. })));
    let words = memory.alloc::<u64>(10).unwrap();
    let out_of_bounds = |result: Result<(), MemoryError>| {
        assert!(matches!(result, Err(MemoryError::OutOfBounds { len: 10, .. })), "{result:?}");
    };
    out_of_bounds(words.get(10).map(drop));
    out_of_bounds(words.set(usize::MAX, 0));
    out_of_bounds(words.read(5, &mut [0; 6]));
    out_of_bounds(words.write(usize::MAX, &[0; 2]));
    out_of_bounds(words.slice(3..11).map(drop));
    out_of_bounds(words.slice(..=usize::MAX).map(drop));
    out_of_bounds(words.fetch_add(10, 1).map(drop));
    assert_eq!(words.slice(4..).unwrap().len(), 6);
    words.read(10, &mut []).unwrap();
    let cache = ExCacheConfig::with_bytes(4096);
    let (sim, _handle) = component(1, 0);
    assert!(matches!(RemoteMemory::connect(sim, 1, cache), Err(MemoryError::Config(_))));
}
