//! Several threads on one memory, with every cache.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{caches, component, describe, lock};
use pcomponent_driver::config::{Associativity, CacheConfig, DirtyTracking, ExCacheConfig};
use pcomponent_driver::{AllocOptions, CacheStats, MemoryError, RemoteMemory, RemoteSlice};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::mailbox::Permission;

const THREADS: usize = 4;
const PAGES: usize = 12;
const BYTES: usize = PAGES * 4096;
const STEPS: usize = 300;

/// A thread's own bytes: every fourth, so that all threads share every word, line and page.
fn own(rng: &mut SmallRng, thread: usize) -> usize {
    rng.random_range(0..BYTES / THREADS) * THREADS + thread
}

struct Shared {
    bytes: RemoteSlice<u8>,
    /// Incremented by atomics of all threads.
    counters: RemoteSlice<u64>,
    /// Each line of it is always written as a whole, with one value.
    records: RemoteSlice<[u64; 8]>,
}

fn work(memory: &RemoteMemory, shared: &Shared, thread: usize, seed: u64) -> u64 {
    let mut rng = SmallRng::seed_from_u64(seed + thread as u64);
    let mut oracle = vec![0u8; BYTES];
    let mut added = 0;
    for _ in 0..STEPS {
        match rng.random_range(0..100) {
            0..40 => {
                let at = own(&mut rng, thread);
                oracle[at] = rng.random();
                shared.bytes.set(at, oracle[at]).unwrap();
            }
            40..75 => {
                let at = own(&mut rng, thread);
                assert_eq!(shared.bytes.get(at).unwrap(), oracle[at], "byte {at}");
            }
            75..80 => {
                let start = rng.random_range(0..BYTES - 9000);
                let mut out = vec![0; 9000];
                shared.bytes.read(start, &mut out).unwrap();
                for (at, byte) in out.into_iter().enumerate() {
                    if (start + at) % THREADS == thread {
                        assert_eq!(byte, oracle[start + at], "byte {}", start + at);
                    }
                }
            }
            80..85 => {
                let counter = rng.random_range(0..600);
                let before = shared.counters.fetch_add(counter, thread as u64 + 1).unwrap();
                added += thread as u64 + 1;
                // Plain reads, which bring the page back into the cache, see what atomics did.
                let after = shared.counters.get(counter).unwrap();
                assert!(after > before, "{after} after an addition to {before}");
            }
            85..91 => {
                let value = rng.random();
                shared.records.set(rng.random_range(0..128), [value; 8]).unwrap();
            }
            91..97 => {
                let record = shared.records.get(rng.random_range(0..128)).unwrap();
                assert_eq!(record, [record[0]; 8]);
            }
            97 => memory.flush().unwrap(),
            98 => shared.bytes.evict().unwrap(),
            _ => {
                // An allocation comes and goes.
                let short = memory.alloc::<u8>(3 * 4096).unwrap();
                short.fill(thread as u8).unwrap();
                assert!(short.iter().all(|byte| byte.unwrap() == thread as u8));
            }
        }
    }
    for (at, byte) in shared.bytes.to_vec().unwrap().into_iter().enumerate() {
        if at % THREADS == thread {
            assert_eq!(byte, oracle[at], "byte {at} at the end");
        }
    }
    added
}

fn run(cache: CacheConfig, (delay, at_hand): (u64, bool), seed: u64) {
    let (sim, handle) = component(seed, delay);
    let memory = RemoteMemory::connect(sim.at_hand(at_hand), 9, cache).unwrap();
    let shared = Shared {
        bytes: memory.alloc(BYTES).unwrap(),
        counters: memory.alloc(600).unwrap(),
        records: memory.alloc(128).unwrap(),
    };
    let added: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (memory, shared) = (memory.clone(), &shared);
                scope.spawn(move || work(&memory, shared, thread, seed))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let counted = shared.counters.iter().sum::<Result<u64, _>>().unwrap();
    assert_eq!(counted, added);
    if let CacheStats::ExCache(stats) = memory.stats() {
        let filled = stats.zero_fills + stats.overwrites + stats.victim_hits + stats.fetches;
        assert_eq!(stats.misses, filled + stats.prefetch_late, "{stats:?}");
    }
    drop(shared);
    let component = lock(&handle);
    assert_eq!(component.allocations(), 0);
    if !matches!(memory.cache(), CacheConfig::None) {
        assert_eq!(component.overlaps, 0);
    }
}

#[test]
fn threads_find_what_they_wrote() {
    for (i, cache) in caches().into_iter().enumerate() {
        for (delay, at_hand) in [(0, false), (5, false), (5, true)] {
            let seed = 1000 + 2 * i as u64 + delay;
            println!("seed {seed}, delay {delay}, at hand {at_hand}: {}", describe(&cache));
            run(cache.clone(), (delay, at_hand), seed);
        }
    }
}

/// A read within a page happens at one moment: all of it is from before a write, or from after.
#[test]
fn a_page_is_never_seen_half_written() {
    let excaches = || caches().into_iter().filter(|c| matches!(c, CacheConfig::ExCache(_)));
    let orders = excaches().step_by(11).map(|cache| (cache, false));
    for (cache, at_hand) in orders.chain(excaches().step_by(5).map(|cache| (cache, true))) {
        println!("at hand {at_hand}: {}", describe(&cache));
        let (sim, _handle) = component(3, 2);
        let memory = RemoteMemory::connect(sim.at_hand(at_hand), 1, cache).unwrap();
        let pages = memory.alloc::<u64>(2 * 512).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for page in 0..2 {
                let (pages, done) = (pages.slice(page * 512..(page + 1) * 512).unwrap(), &done);
                scope.spawn(move || {
                    let mut value = 0;
                    while !done.load(Ordering::Relaxed) {
                        value += 1;
                        pages.write(0, &[value; 512]).unwrap();
                    }
                });
            }
            let reader = scope.spawn(|| {
                let mut last = [0; 2];
                let mut page = [0u64; 512];
                for i in 0..200 {
                    pages.read(i % 2 * 512, &mut page).unwrap();
                    assert!(page.iter().all(|word| *word == page[0]), "{page:?}");
                    assert!(page[0] >= last[i % 2]);
                    last[i % 2] = page[0];
                }
            });
            let read = reader.join();
            done.store(true, Ordering::Relaxed);
            read.unwrap();
        });
    }
}

/// Misses on pages that are at hand are done at once, those of threads that do it together too, and what
/// is dirty is written back so.
#[test]
fn pages_at_hand_take_no_orders() {
    let (sim, handle) = component(1, 5);
    let config = ExCacheConfig::with_bytes(16 * 4096).associativity(Associativity::Ways(8));
    let memory = RemoteMemory::connect(sim.at_hand(true), 1, config).unwrap();
    let pages = memory.alloc::<u64>(64 * 512).unwrap();
    // Not fresh, so that misses fetch.
    pages.fill(0).unwrap();
    pages.evict().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let pages = pages.clone();
            scope.spawn(move || {
                for step in 0..2000 {
                    let at = step * 37 % 64 * 512 + thread;
                    let value = pages.get(at).unwrap();
                    pages.set(at, value + 1).unwrap();
                }
            });
        }
    });
    let sum: u64 = pages.to_vec().unwrap().iter().sum();
    assert_eq!(sum, 2000 * THREADS as u64);
    let component = lock(&handle);
    assert_eq!(component.overlaps, 0);
    let CacheStats::ExCache(stats) = memory.stats() else { panic!("no ExCache") };
    assert_eq!(component.page_reads, stats.fetches);
    // One time in six the component refuses; another thread may then come first.
    assert!(component.reads_at_hand > stats.fetches * 3 / 4, "{stats:?}");
    assert!(component.writes_at_hand > stats.evictions_dirty / 2, "{stats:?}");
    let timed: u64 = stats.miss_ns.iter().sum();
    assert!(timed > stats.misses / 2, "{timed} of {stats:?}");
}

/// At hand or not, what is read-only is not written, and of a page whose lines are tracked only those
/// that were written are written back.
#[test]
fn pages_at_hand_are_under_the_same_rules() {
    let (sim, handle) = component(1, 5);
    let config = ExCacheConfig::with_bytes(8 * 4096)
        .associativity(Associativity::Ways(8))
        .zero_fill(false)
        .dirty(DirtyTracking::Line);
    let memory = RemoteMemory::connect(sim.at_hand(true), 1, config).unwrap();
    let read_only = AllocOptions { permission: Permission::RO, ..AllocOptions::default() };
    let pages = memory.alloc_with::<u64>(64 * 512, read_only).unwrap();
    for page in 0..64 {
        let error = pages.set(page * 512, 1).unwrap_err();
        assert!(matches!(error, MemoryError::NoPermission { pid: 1, .. }), "{error}");
    }
    assert!(pages.iter().all(|word| word.unwrap() == 0));
    let lines = memory.alloc::<u64>(64 * 512).unwrap();
    (0..64).for_each(|page| lines.set(page * 512 + page * 8, 1).unwrap());
    memory.flush().unwrap();
    let component = lock(&handle);
    assert!(component.reads_at_hand > 64);
    assert_eq!((component.page_writes, component.line_writes), (0, 64));
}
