//! What a hit and a miss cost, on the golden model, in one thread.
//!
//! `hit/raw` is the same access to local memory: what a hit costs over it is the price of remote
//! memory that is at hand. A miss contains the model's own work for 64 lines (`miss/component`).

#![allow(missing_docs)] // for what `criterion_group` makes

use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion};
use pcomponent_driver::backend::model::{ModelConfig, ModelTransport};
use pcomponent_driver::config::{
    Associativity, CacheConfig, DirtyTracking, Eviction, ExCacheConfig, Prefetch, VCacheConfig,
};
use pcomponent_driver::{HwConfig, RemoteMemory, RemoteSlice};

const WORDS: usize = 512;

/// A generator of a few instructions, so that it does not hide what is measured.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (((self.0 >> 33) * end as u64) >> 31) as usize
    }
}

fn connect(cache: impl Into<CacheConfig>) -> RemoteMemory {
    let hardware = HwConfig { pa_bits: 31, ..HwConfig::LARGE };
    let component = ModelTransport::new(ModelConfig::from(hardware)).expect("a model");
    RemoteMemory::connect(component, 1, cache).expect("a valid cache")
}

fn filled(memory: &RemoteMemory, words: usize) -> RemoteSlice<u64> {
    let slice = memory.alloc(words).expect("enough memory");
    slice.fill(1).expect("writable memory");
    slice
}

fn hits(c: &mut Criterion) {
    let mut group = c.benchmark_group("hit");
    for mib in [1, 256] {
        let words = mib << 17;
        let raw = vec![1u64; words];
        let mut random = Random(1);
        group.bench_function(format!("raw read {mib} MiB"), |b| {
            b.iter(|| black_box(&raw)[random.below(words)])
        });
        drop(raw);
        let memory = connect(ExCacheConfig::with_bytes(mib << 20));
        let slice = filled(&memory, words);
        group.bench_function(format!("excache get {mib} MiB"), |b| {
            b.iter(|| black_box(&slice).get(random.below(words)).expect("a hit"))
        });
        group.bench_function(format!("excache set {mib} MiB"), |b| {
            b.iter(|| black_box(&slice).set(random.below(words), 2).expect("a hit"))
        });
        let mut page = [0u64; WORDS];
        group.bench_function(format!("excache read a page of {mib} MiB"), |b| {
            b.iter(|| {
                let start = random.below(words / WORDS) * WORDS;
                black_box(&slice).read(start, &mut page).expect("a hit")
            })
        });
    }
    let memory = connect(VCacheConfig::default());
    let slice = filled(&memory, 1 << 16);
    let mut random = Random(1);
    group.bench_function("vcache get 512 KiB", |b| {
        b.iter(|| black_box(&slice).get(random.below(1 << 16)).expect("a hit"))
    });
    group.finish();
}

fn misses(c: &mut Criterion) {
    let mut group = c.benchmark_group("miss");
    // Sixteen times as many pages as frames: nearly every access misses.
    let pages = 16 * 256;
    let direct = filled(&connect(CacheConfig::None), pages * WORDS);
    let mut random = Random(1);
    let mut page = [0u64; WORDS];
    group.bench_function("component", |b| {
        b.iter(|| direct.read(random.below(pages) * WORDS, &mut page).expect("a page"))
    });
    drop(direct);
    for eviction in ["write-protect", "set-list", "victim"] {
        let config = ExCacheConfig::with_bytes(256 * 4096)
            .eviction(eviction.parse().expect("an eviction policy"));
        let slice = filled(&connect(config), pages * WORDS);
        group.bench_function(format!("read, {eviction}"), |b| {
            b.iter(|| slice.get(random.below(pages) * WORDS).expect("a page"))
        });
        group.bench_function(format!("write, {eviction}"), |b| {
            b.iter(|| slice.set(random.below(pages) * WORDS, 3).expect("a page"))
        });
    }
    // What `splitmem bench` measures: 1 GiB over 256 MiB, a quarter of the touches hit.
    let pages = 1 << 18;
    let slice = filled(&connect(ExCacheConfig::with_bytes(256 << 20)), pages * WORDS);
    group.bench_function("touch to read, 1 GiB over 256 MiB", |b| {
        b.iter(|| slice.get(random.below(pages) * WORDS).expect("a page"))
    });
    group.bench_function("touch to write, 1 GiB over 256 MiB", |b| {
        b.iter(|| slice.set(random.below(pages) * WORDS, 3).expect("a page"))
    });
    drop(slice);
    for prefetch in
        [Prefetch::None, Prefetch::Sequential { pages: 8 }, Prefetch::Trend { pages: 8 }]
    {
        let config = ExCacheConfig::with_bytes(256 * 4096).prefetch(prefetch);
        let slice = filled(&connect(config), pages * WORDS);
        let mut next = 0;
        group.bench_function(format!("sequential read, prefetch {prefetch}"), |b| {
            b.iter(|| {
                next = (next + 1) % pages;
                slice.get(next * WORDS).expect("a page")
            })
        });
    }
    group.finish();
}

/// The pieces of which misses and evictions are made.
fn pieces(c: &mut Criterion) {
    let mut group = c.benchmark_group("piece");
    let frames = 256;
    let small = || ExCacheConfig::with_bytes(frames * 4096);

    let direct = filled(&connect(CacheConfig::None), 1 << 20);
    let mut random = Random(1);
    group.bench_function("model, read a line", |b| {
        b.iter(|| direct.get(random.below(1 << 20)).expect("a line"))
    });
    group.bench_function("model, write a line", |b| {
        b.iter(|| direct.set(random.below(1 << 20), 7).expect("a line"))
    });
    drop(direct);

    // Fresh pages, each touched once: zeros made at the host, and clean pages dropped for them.
    let memory = connect(small());
    let mut fresh = memory.alloc::<u64>(4096 * WORDS).expect("enough memory");
    let mut page = 0;
    group.bench_function("zero fill", |b| {
        b.iter(|| {
            if page == 4096 {
                fresh = memory.alloc(4096 * WORDS).expect("enough memory");
                page = 0;
            }
            page += 1;
            fresh.get((page - 1) * WORDS).expect("zeros")
        })
    });
    drop(fresh);

    for dirty in [DirtyTracking::Page, DirtyTracking::Line] {
        let slice = filled(&connect(small().dirty(dirty)), 64 * WORDS);
        let one = slice.slice(..WORDS).expect("a page");
        group.bench_function(
            format!("write-back of a written {dirty}, a flush of 64 pages"),
            |b| {
                b.iter(|| {
                    one.set(5, 6).expect("a hit");
                    one.flush().expect("a write-back")
                })
            },
        );
    }

    // One page more than a set has ways, in turn: each comes back from the victim cache.
    let ways = 8;
    let config = small()
        .associativity(Associativity::Ways(ways))
        .evict_batch(1)
        .eviction(Eviction::Victim { pages: 8 });
    let sets = frames / ways;
    let slice = filled(&connect(config), (ways + 1) * sets * WORDS);
    let mut turn = 0;
    group.bench_function("victim cache, a page back and another in", |b| {
        b.iter(|| {
            turn = (turn + 1) % (ways + 1);
            slice.get(turn * sets * WORDS).expect("a page")
        })
    });

    // Misses without a pattern: what looking for one costs.
    for prefetch in [Prefetch::None, Prefetch::Stride { pages: 8 }, Prefetch::Trend { pages: 8 }] {
        let slice = filled(&connect(small().prefetch(prefetch)), 16 * frames * WORDS);
        group.bench_function(format!("predictor, a random miss with {prefetch}"), |b| {
            b.iter(|| slice.get(random.below(16 * frames) * WORDS).expect("a page"))
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = hits, misses, pieces
}
criterion_main!(benches);
