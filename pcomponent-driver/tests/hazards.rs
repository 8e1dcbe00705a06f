//! What an access meets while its page is being written back.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{component, lock, Handle, EVICTIONS, PREFETCHES};
use pcomponent_driver::config::{Associativity, Eviction, ExCacheConfig};
use pcomponent_driver::{CacheStats, ExCacheStats, RemoteMemory, RemoteSlice};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn stats(memory: &RemoteMemory) -> ExCacheStats {
    match memory.stats() {
        CacheStats::ExCache(stats) => stats,
        other => panic!("{other:?}"),
    }
}

/// Pages that carry a version each, raised and read in random order by two threads, over a link
/// that delays and reorders: a stale page shows at once.
#[test]
fn no_page_is_fetched_stale() {
    const PAGES: usize = 20;
    for (i, eviction) in EVICTIONS.into_iter().enumerate() {
        for (j, prefetch) in PREFETCHES.into_iter().enumerate() {
            let seed = 10 * i as u64 + j as u64;
            println!("seed {seed}: {eviction}, {prefetch}");
            let (sim, handle) = component(seed, 30);
            let config = ExCacheConfig::with_bytes(8 * 4096)
                .associativity(Associativity::Ways(8))
                .eviction(eviction)
                .prefetch(prefetch);
            let memory = RemoteMemory::connect(sim, 1, config).unwrap();
            let pages = memory.alloc::<u64>(PAGES * 512).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..2 {
                    let pages = pages.clone();
                    scope.spawn(move || {
                        let mut rng = SmallRng::seed_from_u64(seed + thread as u64);
                        let mut versions = [0u64; PAGES];
                        for step in 0..1500 {
                            // Runs through the pages now and then, for the prefetchers.
                            let page = match step / 100 % 2 {
                                0 => rng.random_range(0..PAGES),
                                _ => step % PAGES,
                            };
                            let words = [0, 511].map(|word| page * 512 + word - word % 2 + thread);
                            for word in words {
                                let version = pages.get(word).unwrap();
                                assert_eq!(version, versions[page], "page {page}, step {step}");
                            }
                            if rng.random_bool(0.6) {
                                versions[page] += 1;
                                for word in words {
                                    pages.set(word, versions[page]).unwrap();
                                }
                            }
                        }
                    });
                }
            });
            assert_eq!(lock(&handle).overlaps, 0);
            let stats = stats(&memory);
            assert!(stats.evictions_dirty > 200, "{stats:?}");
            match eviction {
                Eviction::WriteProtect => assert!(stats.waits_write_protect > 0, "{stats:?}"),
                Eviction::SetList => assert!(stats.waits_eviction_list > 0, "{stats:?}"),
                Eviction::Victim { .. } => assert!(stats.victim_hits > 0, "{stats:?}"),
            }
        }
    }
}

/// Four frames full of dirty pages 0 to 3 and a miss on page 4, after which the write-back of page 1
/// is in flight.
fn page_1_on_its_way(eviction: Eviction) -> (RemoteMemory, RemoteSlice<u64>, Handle) {
    let (sim, handle) = component(1, 0);
    let config = ExCacheConfig::with_bytes(4 * 4096)
        .associativity(Associativity::Full)
        .replacement("fifo".parse().unwrap())
        .eviction(eviction);
    let memory = RemoteMemory::connect(sim, 1, config).unwrap();
    let pages = memory.alloc::<u64>(8 * 512).unwrap();
    for page in 0..4 {
        pages.set(page * 512, page as u64 + 100).unwrap();
    }
    assert_eq!(pages.get(4 * 512).unwrap(), 0);
    let page_1 = pages.va() + 4096;
    assert_eq!(lock(&handle).in_flight(page_1), 1);
    (memory, pages, handle)
}

#[test]
fn a_write_protected_page_is_read_but_not_written() {
    let (memory, pages, handle) = page_1_on_its_way(Eviction::WriteProtect);
    let before = stats(&memory);
    assert_eq!(pages.get(512).unwrap(), 101);
    assert_eq!(stats(&memory).misses, before.misses, "a read hits");
    assert_eq!(lock(&handle).in_flight(pages.va() + 4096), 1, "and waits for nothing");
    pages.set(513, 7).unwrap();
    let after = stats(&memory);
    assert_eq!((after.waits_write_protect, after.fetches), (1, 1), "a write waits and fetches");
    assert_eq!((pages.get(512).unwrap(), pages.get(513).unwrap()), (101, 7));
}

#[test]
fn a_page_in_the_eviction_list_is_waited_for() {
    for write in [false, true] {
        let (memory, pages, handle) = page_1_on_its_way(Eviction::SetList);
        if write {
            pages.set(513, 7).unwrap();
        } else {
            assert_eq!(pages.get(512).unwrap(), 101);
        }
        let after = stats(&memory);
        assert_eq!((after.waits_eviction_list, after.fetches), (1, 1));
        assert_eq!(lock(&handle).overlaps, 0);
        assert_eq!(pages.get(512).unwrap(), 101);
    }
}

#[test]
fn a_page_in_the_victim_cache_is_taken_back() {
    for write in [false, true] {
        let (memory, pages, handle) = page_1_on_its_way(Eviction::Victim { pages: 2 });
        if write {
            pages.set(513, 7).unwrap();
        } else {
            assert_eq!(pages.get(512).unwrap(), 101);
        }
        let after = stats(&memory);
        assert_eq!((after.victim_hits, after.fetches), (1, 0));
        assert_eq!(lock(&handle).in_flight(pages.va() + 4096), 1, "during its write-back");
        assert_eq!(pages.get(512).unwrap(), 101);
        memory.flush().unwrap();
        let there = lock(&handle).bytes(1, pages.va() + 4096, 16);
        assert_eq!(there[8], if write { 7 } else { 0 });
    }
}

/// One thread flushes all the time, while others push the flushed pages out and want them back.
#[test]
fn a_page_stays_while_it_is_flushed() {
    for (i, eviction) in EVICTIONS.into_iter().enumerate() {
        println!("seed {i}: {eviction}");
        let (sim, handle) = component(i as u64, 30);
        let config = ExCacheConfig::with_bytes(6 * 4096)
            .associativity(Associativity::Full)
            .eviction(eviction);
        let memory = RemoteMemory::connect(sim, 1, config).unwrap();
        let pages = memory.alloc::<u64>(9 * 512).unwrap();
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (pages, done) = (pages.clone(), &done);
                scope.spawn(move || {
                    for step in 1..1500u64 {
                        let page = (step * (3 + thread) % 9) as usize * 512 + thread as usize;
                        let before = pages.get(page).unwrap();
                        pages.set(page, before + 1).unwrap();
                        assert_eq!(pages.get(page).unwrap(), before + 1);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            while done.load(Ordering::Relaxed) < 2 {
                memory.flush().unwrap();
            }
        });
        assert_eq!(lock(&handle).overlaps, 0);
        let sum: u64 = pages.iter().map(Result::unwrap).sum();
        assert_eq!(sum, 2 * 1499);
    }
}

#[test]
fn fresh_memory_makes_no_traffic() {
    let (sim, handle) = component(1, 0);
    let memory = RemoteMemory::connect(sim, 1, ExCacheConfig::with_bytes(64 * 4096)).unwrap();
    let pages = memory.alloc::<u64>(200 * 512).unwrap();
    assert!(pages.iter().all(|word| word.unwrap() == 0));
    assert_eq!(lock(&handle).submissions, 0, "not even when clean zeros leave");
    assert_eq!(stats(&memory).zero_fills, 200);
    pages.set(3, 1).unwrap();
    memory.flush().unwrap();
    assert_eq!(lock(&handle).page_writes, 1);
}

#[test]
fn whole_pages_are_written_without_a_fetch() {
    let (sim, handle) = component(1, 0);
    let memory = RemoteMemory::connect(sim, 1, ExCacheConfig::with_bytes(64 * 4096)).unwrap();
    let pages = memory.alloc::<u64>(200 * 512).unwrap();
    for value in 1..4 {
        pages.fill(value).unwrap();
    }
    assert_eq!(lock(&handle).page_reads, 0);
    assert!(pages.iter().all(|word| word.unwrap() == 3));
}

#[test]
fn line_tracking_writes_only_what_was_written() {
    for eviction in EVICTIONS {
        let (sim, handle) = component(1, 0);
        let config =
            ExCacheConfig::with_bytes(64 * 4096).eviction(eviction).dirty("line".parse().unwrap());
        let memory = RemoteMemory::connect(sim, 1, config).unwrap();
        let pages = memory.alloc::<u8>(200 * 4096).unwrap();
        for page in 0..200 {
            pages.write(page * 4096 + 60, &[1; 8]).unwrap();
        }
        memory.flush().unwrap();
        let component = lock(&handle);
        assert_eq!((component.page_writes, component.line_writes), (0, 400), "{eviction}");
    }
}

#[test]
fn bulk_reads_fetch_together() {
    let (sim, handle) = component(1, 0);
    let memory = RemoteMemory::connect(sim, 1, ExCacheConfig::with_bytes(64 * 4096)).unwrap();
    let pages = memory.alloc::<u64>(32 * 512).unwrap();
    pages.fill(9).unwrap();
    pages.evict().unwrap();
    let before = lock(&handle).polls;
    assert!(pages.to_vec().unwrap().iter().all(|word| *word == 9));
    assert_eq!(lock(&handle).polls - before, 1, "one wait for all");
    let stats = stats(&memory);
    assert_eq!((stats.fetches, stats.prefetch_issued), (32, 0));
}
