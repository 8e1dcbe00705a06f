//! The transparent engine in this process, with pages checked against what was written.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock};

use pcomponent_driver::config::Prefetch;
use pcomponent_driver::transparent::{
    process, Engine, EngineError, Limit, Move, Page, PageStore, StatsPage, StoreError,
    TransparentConfig, Unavailable, MIN_FRAMES,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const PAGE: usize = 4096;
const FRAMES: usize = 1024;
/// What a page's protection is, in the bits of `mmap`.
const RW: i32 = 3;

/// A store that checks that nothing is read that was never written.
#[derive(Clone, Default)]
struct Checked(Arc<Mutex<HashMap<u32, Box<Page>>>>);

impl PageStore for Checked {
    fn capacity(&self) -> u32 {
        20_000
    }
    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        let pages = self.0.lock().expect("nobody panics holding it");
        for (number, page) in numbers.iter().zip(into) {
            *page = **pages.get(number).expect("only what was written is read");
        }
        Ok(())
    }
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        let mut store = self.0.lock().expect("nobody panics holding it");
        for (number, page) in pages {
            assert!(!page.is_zero(), "zeros are never written back");
            store.insert(*number, Box::new(**page));
        }
        Ok(())
    }
}

static STATS: StatsPage = StatsPage::new();

/// One engine for this process: the tests take turns. `None`, loudly, where there can be none.
fn turn() -> Option<std::sync::MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    static READY: OnceLock<Result<(), Unavailable>> = OnceLock::new();
    let guard = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ready = READY.get_or_init(|| {
        let config = TransparentConfig {
            limit: Limit::Frames(FRAMES),
            prefetch: Prefetch::Trend { pages: 16 },
            span: 1 << 20,
            base: 0,
        };
        let engine = match Engine::new(config, Box::new(Checked::default()), &STATS) {
            Ok(engine) => engine,
            Err(EngineError::Unavailable(reason)) => return Err(reason),
            Err(error) => panic!("{error}"),
        };
        // Nobody tells of these threads when they sleep.
        engine.awake().more();
        process::set(engine).map_err(|_| ()).expect("the first engine");
        process::handle_faults().expect("a handler");
        Ok(())
    });
    if let Err(reason) = ready {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(guard)
}

fn engine<R>(work: impl FnOnce(&mut Engine) -> R) -> R {
    process::with(work).expect("there is an engine")
}

struct Mapping(usize, usize);

impl Mapping {
    fn new(pages: usize) -> Self {
        Self(engine(|e| e.map(pages * PAGE, RW, false)).expect("room"), pages)
    }
    fn get(&self, page: usize, word: usize) -> u64 {
        assert!(page < self.1 && word < 512);
        // SAFETY: in the mapping.
        unsafe { ((self.0 + page * PAGE) as *const u64).add(word).read_volatile() }
    }
    fn set(&self, page: usize, word: usize, value: u64) {
        assert!(page < self.1 && word < 512);
        // SAFETY: in the mapping.
        unsafe { ((self.0 + page * PAGE) as *mut u64).add(word).write_volatile(value) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        engine(|e| e.unmap(self.0, self.1 * PAGE)).expect("unmapped");
    }
}

fn check() {
    assert_eq!(engine(|e| e.check()), Ok(()));
    assert!(STATS.resident_peak.load(Relaxed) as usize <= FRAMES, "{STATS:?}");
}

#[test]
fn random_words_are_found_again() {
    let Some(_turn) = turn() else { return };
    let seed = 11;
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let pages = 8 * FRAMES;
    let memory = Mapping::new(pages);
    let mut expected = HashMap::new();
    for _ in 0..60_000 {
        let at = (rng.random_range(0..pages), rng.random_range(0..512));
        assert_eq!(memory.get(at.0, at.1), expected.get(&at).copied().unwrap_or(0), "{at:?}");
        if rng.random_bool(0.3) {
            let value = rng.random();
            memory.set(at.0, at.1, value);
            expected.insert(at, value);
        }
    }
    check();
    let stats = STATS.read();
    assert!(stats.write_backs > 0 && stats.clean_drops > 0 && stats.fetches > 0, "{stats:?}");
}

#[test]
fn what_is_only_read_costs_no_traffic() {
    let Some(_turn) = turn() else { return };
    let memory = Mapping::new(4 * FRAMES);
    let before = STATS.read();
    for page in 0..4 * FRAMES {
        assert_eq!(memory.get(page, page % 512), 0);
    }
    // Writing zeros is no change either.
    (0..4 * FRAMES).for_each(|page| memory.set(page, 3, 0));
    (0..2 * FRAMES).for_each(|page| assert_eq!(memory.get(page, 3), 0));
    let after = STATS.read();
    assert_eq!((after.fetches, after.write_backs), (before.fetches, before.write_backs));
    check();
}

#[test]
fn sequential_reading_misses_once_for_many_pages() {
    let Some(_turn) = turn() else { return };
    let pages = 8 * FRAMES;
    let memory = Mapping::new(pages);
    (0..pages).for_each(|page| memory.set(page, 0, page as u64 + 1));
    let before = STATS.read();
    for round in 0..3 {
        (0..pages).for_each(|page| assert_eq!(memory.get(page, 0), page as u64 + 1, "{round}"));
    }
    let after = STATS.read();
    let misses = after.misses - before.misses;
    assert!(misses < 3 * pages as u64 / 6, "{misses} misses for {} pages", 3 * pages);
    assert!(after.prefetch_useful - before.prefetch_useful > 2 * pages as u64);
    check();
}

#[test]
fn what_is_passed_through_in_circles_finds_some_of_itself_again() {
    let Some(_turn) = turn() else { return };
    let pages = 4 * FRAMES;
    let memory = Mapping::new(pages);
    (0..pages).for_each(|page| memory.set(page, 0, page as u64 + 1));
    let before = STATS.read();
    for _ in 0..4 {
        (0..pages).for_each(|page| assert_eq!(memory.get(page, 0), page as u64 + 1));
    }
    let fetched = (STATS.read().fetches - before.fetches) as usize;
    // First in, first out it would be all; with all frames kept for what is there, three quarters.
    assert!(fetched < 4 * pages * 17 / 20, "{fetched} of {}", 4 * pages);
    check();
}

#[test]
fn what_is_passed_through_leaves_alone_what_is_used() {
    let Some(_turn) = turn() else { return };
    let (pages, used) = (16 * FRAMES, FRAMES / 2);
    let (passed, kept) = (Mapping::new(pages), Mapping::new(used));
    (0..used).for_each(|page| kept.set(page, 0, page as u64 + 1));
    (0..pages).for_each(|page| passed.set(page, 0, page as u64 + 1));
    let mut rng = SmallRng::seed_from_u64(3);
    let mut pass = || {
        let before = STATS.read();
        for page in 0..pages {
            assert_eq!(passed.get(page, 0), page as u64 + 1);
            let page = rng.random_range(0..used);
            assert_eq!(kept.get(page, 0), page as u64 + 1);
        }
        (STATS.read().fetches - before.fetches) as usize
    };
    // What the tests before left in the frames is gone after one.
    pass();
    let fetched = pass();
    assert!(fetched < pages + used, "{fetched} for {pages} that are passed through and {used}");
    check();
}

#[test]
fn threads_see_one_memory() {
    let Some(_turn) = turn() else { return };
    let threads = 4;
    let pages = 3 * FRAMES;
    let memory = Mapping::new(pages);
    // Each thread owns one word of every page, and all words of a page move together.
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let memory = &memory;
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(100 + thread as u64);
                let mut mine = vec![0u64; pages];
                for _ in 0..15_000 {
                    let page = rng.random_range(0..pages);
                    assert_eq!(memory.get(page, thread), mine[page], "page {page}");
                    if rng.random_bool(0.5) {
                        mine[page] += 1;
                        memory.set(page, thread, mine[page]);
                    }
                }
                for (page, value) in mine.iter().enumerate() {
                    assert_eq!(memory.get(page, thread), *value, "page {page}");
                }
            });
        }
    });
    check();
}

/// Evictions protect what lies around what leaves, and let it be written again.
#[test]
fn what_stays_is_written_on_without_a_fault() {
    let Some(_turn) = turn() else { return };
    let pages = 3 * FRAMES;
    let memory = Mapping::new(pages);
    let mut rng = SmallRng::seed_from_u64(17);
    let mut written = vec![0u64; pages];
    (0..pages).for_each(|page| memory.set(page, 5, 0));
    let mut write = |values: std::ops::Range<u64>| {
        for value in values {
            let page = rng.random_range(0..pages);
            memory.set(page, 5, value);
            written[page] = value;
        }
    };
    // What the tests before left in the frames is gone after some.
    write(1..10_000);
    let before = STATS.read();
    write(10_000..30_000);
    let after = STATS.read();
    let misses = after.misses - before.misses;
    let faults = after.write_faults - before.write_faults;
    assert!(misses > 10_000 && faults * 20 < misses, "{faults} faults, {misses} misses");
    for (page, value) in written.iter().enumerate() {
        assert_eq!(memory.get(page, 5), *value, "page {page}");
    }
    check();
}

#[test]
fn mappings_move_shrink_and_change_protection() {
    let Some(_turn) = turn() else { return };
    let first = Mapping::new(300);
    let barrier = Mapping::new(1);
    (0..300).for_each(|page| first.set(page, 9, page as u64 + 7));
    // The barrier is in the way, so it has to move.
    let old = first.0;
    assert!(engine(|e| e.remap(old, 300 * PAGE, 400 * PAGE, Move::No)).is_err());
    let moved = engine(|e| e.remap(old, 300 * PAGE, 400 * PAGE, Move::Anywhere)).expect("room");
    std::mem::forget(first);
    assert_ne!(moved, old);
    let memory = Mapping(moved, 400);
    for page in (0..400).rev() {
        assert_eq!(memory.get(page, 9), if page < 300 { page as u64 + 7 } else { 0 });
    }
    // Once more, and it is two mappings for the kernel now.
    let barrier_too = Mapping::new(1);
    let again =
        engine(|e| e.remap(memory.0, 400 * PAGE, 500 * PAGE, Move::Anywhere)).expect("room");
    std::mem::forget(memory);
    let memory = Mapping(again, 500);
    for page in 0..500 {
        assert_eq!(memory.get(page, 9), if page < 300 { page as u64 + 7 } else { 0 });
    }
    drop(barrier_too);
    let moved = again;
    // What may not even be read is kept all the same.
    (0..50).for_each(|page| memory.set(page, 1, 5));
    engine(|e| e.protect(moved, 50 * PAGE, 0)).expect("protected");
    (50..400).for_each(|page| memory.set(page, 1, 6));
    engine(|e| e.protect(moved, 50 * PAGE, RW)).expect("unprotected");
    (0..50).for_each(|page| {
        assert_eq!((memory.get(page, 1), memory.get(page, 9)), (5, page as u64 + 7))
    });
    // Given up, it holds zeros; unmapped in the middle, the rest stays.
    engine(|e| e.clear(moved, 100 * PAGE)).expect("cleared");
    engine(|e| e.unmap(moved + 100 * PAGE, 100 * PAGE)).expect("unmapped");
    (0..100).for_each(|page| assert_eq!(memory.get(page, 9), 0));
    (200..300).for_each(|page| assert_eq!(memory.get(page, 9), page as u64 + 7));
    drop(barrier);
    check();
}

#[test]
fn what_lies_beside_a_moved_mapping_is_found_again() {
    let Some(_turn) = turn() else { return };
    // What the other tests used is out of the way: there the kernel has mappings of many origins.
    let below = 1 << 18;
    let used = Mapping(engine(|e| e.map(below * PAGE, RW, true)).expect("room"), below);
    assert_eq!(engine(|e| e.page(used.0)), Some(0));
    // [beside][moved][in the way]: one mapping for the kernel, so all of it has one origin.
    let beside = Mapping::new(300);
    let moved = Mapping::new(4);
    let in_the_way = Mapping::new(6);
    (0..300).for_each(|page| beside.set(page, 3, page as u64 + 1));
    (0..4).for_each(|page| moved.set(page, 3, page as u64 + 1001));
    let first = moved.0;
    assert_eq!((first, in_the_way.0), (beside.0 + 300 * PAGE, first + 4 * PAGE));
    let away = engine(|e| e.remap(first, 4 * PAGE, 5 * PAGE, Move::Anywhere)).expect("room");
    std::mem::forget(moved);
    drop(in_the_way);
    // Too large for the gap, so that what was moved cannot grow where it is now, and goes back.
    let wall = Mapping::new(20);
    assert_eq!(wall.0, away + 5 * PAGE);
    engine(|e| e.unmap(away + 4 * PAGE, PAGE)).expect("its last page is its own");
    let back = engine(|e| e.remap(away, 4 * PAGE, 6 * PAGE, Move::Anywhere)).expect("room");
    let moved = Mapping(back, 6);
    assert_eq!(back, first);
    for page in 0..300 {
        assert_eq!(beside.get(page, 3), page as u64 + 1, "beside it, page {page}");
    }
    for page in 0..6 {
        assert_eq!(moved.get(page, 3), if page < 4 { page as u64 + 1001 } else { 0 });
    }
    check();
}

#[test]
fn pinned_pages_stay_and_are_bounded() {
    let Some(_turn) = turn() else { return };
    let memory = Mapping::new(4 * FRAMES);
    (0..4 * FRAMES).for_each(|page| memory.set(page, 0, 1));
    let first = engine(|e| e.page(memory.0)).expect("in the range");
    let pin = engine(|e| e.pin(first..first + 16, true)).expect("pinned");
    (16..4 * FRAMES).for_each(|page| memory.set(page, 1, 2));
    let misses = STATS.misses.load(Relaxed);
    (0..16).for_each(|page| memory.set(page, 2, 3));
    assert_eq!(STATS.misses.load(Relaxed), misses, "pinned pages are there");
    let answer = engine(|e| e.pin(first + 16..first + 16 + FRAMES / 2, false));
    assert!(matches!(answer, Err(EngineError::Pinned)));
    engine(|e| e.unpin(pin));
    let pin =
        engine(|e| e.pin(first + 16..first + 16 + MIN_FRAMES / 2, false)).expect("room again");
    engine(|e| e.unpin(pin));
    check();
}

#[test]
fn no_more_is_promised_than_there_is_room() {
    let Some(_turn) = turn() else { return };
    let capacity = engine(|e| e.capacity());
    assert!(engine(|e| e.map((capacity + 1) * PAGE, RW, false)).is_err());
    let memory = Mapping::new(capacity - 10);
    assert!(engine(|e| e.map(11 * PAGE, RW, false)).is_err());
    drop(Mapping::new(10));
    drop(memory);
    check();
}
