//! What an ExCache counts.
//!
//! Each thread counts in words of its own, which nobody else writes: so nothing on the path of a hit,
//! and no more than must be on that of a miss, waits for the other processors.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

/// Words of their own for this many threads at a time; all others share the first ones.
const SHARDS: usize = 128;
/// The shard of threads without one.
const COMMON: usize = 0;

/// Which shards have a thread, from the second on.
static TAKEN: Mutex<[bool; SHARDS]> = Mutex::new([false; SHARDS]);

/// Bytes of a [`Shard`].
const SHARD_BYTES: usize = size_of::<Shard>();

thread_local! {
    /// This thread's shard, or [`COMMON`], in bytes from the first: so a hit need not multiply.
    static SHARD: Cell<usize> = const { Cell::new(COMMON) };
    static OWNER: Owner = Owner::new();
}

/// Has a shard until its thread ends.
struct Owner(usize);

impl Owner {
    fn new() -> Self {
        let mut taken = TAKEN.lock();
        let shard = (COMMON + 1..SHARDS).find(|shard| !taken[*shard]).unwrap_or(COMMON);
        taken[shard] = true;
        Self(shard)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Accesses from later destructors of this thread count in the common shard.
        SHARD.set(COMMON);
        TAKEN.lock()[self.0] = false;
    }
}

/// What one thread counts. Of a power of two of bytes, for the sake of [`SHARD`].
#[derive(Default)]
#[repr(align(1024))]
pub(crate) struct Shard {
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    events: Events,
    /// Misses that were done at once.
    at_hand: AtomicU64,
    miss_cycles: Histogram,
    miss_ns: Histogram,
}
const _: () = assert!(SHARD_BYTES.is_power_of_two());

macro_rules! events {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// Events of misses and evictions.
        #[derive(Default)]
        pub(crate) struct Events { $(pub $name: AtomicU64),+ }

        /// The counters of an ExCache at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct ExCacheStats {
            /// Reads: one for each page that an operation touches.
            pub reads: u64,
            /// Writes: one for each page that an operation touches.
            pub writes: u64,
            $($(#[$doc])+ pub $name: u64,)+
            /// Demand fetches by their duration in component cycles, where the backend counts them:
            /// bin b counts 2^b to 2^(b+1)-1.
            pub miss_cycles: Vec<u64>,
            /// Accesses that had to wait or fetch, by their duration in nanoseconds, binned likewise. Of
            /// those that found their page in this process the first are timed, and then one in 128, which
            /// counts for them all.
            pub miss_ns: Vec<u64>,
            /// The time series, if one was asked for.
            pub samples: Vec<Sample>,
        }

        impl Events {
            fn add_to(&self, sum: &mut ExCacheStats) {
                $(sum.$name += self.$name.load(Ordering::Relaxed);)+
            }
        }
    };
}

events! {
    /// Pages brought in because an access, or a bulk operation further on, needed them.
    misses,
    /// Of the misses: made a frame of zeros at the host, because never written.
    zero_fills,
    /// Of the misses: wholly overwritten, so not fetched.
    overwrites,
    /// Of the misses: taken back from the victim cache.
    victim_hits,
    /// Of the misses: fetched from the component.
    fetches,
    /// Accesses that found their page being fetched for another access, and waited.
    joined,
    /// Pages fetched by prefetches.
    prefetch_issued,
    /// Prefetched pages that were used, late ones included.
    prefetch_useful,
    /// Prefetched pages whose first use had to wait. These accesses are misses.
    prefetch_late,
    /// Prefetched pages that left unused.
    prefetch_unused,
    /// Pages that left without being written back.
    evictions_clean,
    /// Pages that left and were written back for it.
    evictions_dirty,
    /// Pages written back, for evictions and flushes.
    write_backs,
    /// Lines written back.
    lines_written_back,
    /// Write-backs that failed. The data stayed in the cache each time.
    write_back_failures,
    /// Writes that waited because their page was write-protected by its eviction.
    waits_write_protect,
    /// Accesses that waited because their page was in the eviction list (or, to be wholly
    /// overwritten, on its way out of the victim cache).
    waits_eviction_list,
    /// Misses that waited for room in the victim cache.
    waits_victim_room,
    /// Misses that waited for a frame.
    waits_frame,
    /// Cycles of demand fetches, where the backend counts them.
    miss_cycles_total,
    /// Nanoseconds of accesses that had to wait or fetch.
    miss_ns_total,
}

impl ExCacheStats {
    /// Accesses in all.
    pub fn accesses(&self) -> u64 {
        self.reads + self.writes
    }

    /// Accesses that found their page in the cache (or on its way for another access).
    pub fn hits(&self) -> u64 {
        self.accesses().saturating_sub(self.misses)
    }

    /// Hits by accesses; `None` without accesses.
    pub fn hit_ratio(&self) -> Option<f64> {
        (self.accesses() > 0).then(|| self.hits() as f64 / self.accesses() as f64)
    }

    /// Useful prefetches by issued ones; `None` without prefetches.
    pub fn prefetch_accuracy(&self) -> Option<f64> {
        (self.prefetch_issued > 0)
            .then(|| self.prefetch_useful as f64 / self.prefetch_issued as f64)
    }
}

/// A point of the time series: both counts since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Accesses.
    pub accesses: u64,
    /// Misses.
    pub misses: u64,
}

/// So many misses that are done at once are timed, and after them one of so many.
const TIMED: u64 = 128;

/// Bins of the duration histograms.
const BINS: usize = 40;

/// Durations by powers of two.
struct Histogram([AtomicU64; BINS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BINS])
    }
}

impl Histogram {
    fn bin(&self, value: u64) -> &AtomicU64 {
        &self.0[(value.max(1).ilog2() as usize).min(BINS - 1)]
    }

    fn add_to(&self, sum: &mut [u64; BINS]) {
        sum.iter_mut().zip(&self.0).for_each(|(sum, bin)| *sum += bin.load(Ordering::Relaxed));
    }
}

/// Up to the last bin that counted something.
fn trimmed(bins: [u64; BINS]) -> Vec<u64> {
    let used = bins.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    bins[..used].to_vec()
}

pub(crate) struct Stats {
    shards: [Shard; SHARDS],
    /// A thread takes a sample when its count comes to a multiple of this plus one.
    sample_mask: u64,
    samples: Mutex<Vec<Sample>>,
}

impl Stats {
    pub fn new(sample_every: u64) -> Self {
        let sample_mask = match sample_every {
            0 => u64::MAX,
            n => n.checked_next_power_of_two().map_or(u64::MAX, |n| n - 1),
        };
        Self {
            shards: std::array::from_fn(|_| Shard::default()),
            sample_mask,
            samples: Mutex::new(Vec::new()),
        }
    }

    #[inline(always)]
    pub fn count_read(&self) {
        self.count_access(|shard| &shard.reads);
    }

    #[inline(always)]
    pub fn count_write(&self) {
        self.count_access(|shard| &shard.writes);
    }

    /// Whether a time series is taken.
    pub fn samples(&self) -> bool {
        self.sample_mask != u64::MAX
    }

    /// Counts an access that took the short way; only where no time series is taken.
    #[inline(always)]
    pub fn count_hit(&self, counter: impl Fn(&Shard) -> &AtomicU64) {
        self.count(counter, 1);
    }

    /// Counts one event.
    pub fn one(&self, counter: impl Fn(&Events) -> &AtomicU64) {
        self.add(counter, 1);
    }

    /// Counts some events.
    pub fn add(&self, counter: impl Fn(&Events) -> &AtomicU64, count: u64) {
        self.count(|shard| counter(&shard.events), count);
    }

    #[inline(always)]
    fn count(&self, counter: impl Fn(&Shard) -> &AtomicU64, count: u64) {
        let shard = SHARD.get();
        if shard == COMMON {
            self.count_without_shard(counter, count);
        } else {
            // Nobody else writes this word: no need for an atomic addition.
            let counter = counter(self.shard(shard));
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn shard(&self, bytes: usize) -> &Shard {
        &self.shards[bytes / SHARD_BYTES % SHARDS]
    }

    #[inline(always)]
    fn count_access(&self, counter: impl Fn(&Shard) -> &AtomicU64) {
        self.count_hit(&counter);
        if self.samples() {
            let count = counter(self.shard(SHARD.get())).load(Ordering::Relaxed);
            if count > 0 && count & self.sample_mask == 0 {
                self.sample();
            }
        }
    }

    #[cold]
    fn count_without_shard(&self, counter: impl Fn(&Shard) -> &AtomicU64, count: u64) {
        // Next time this thread may have one. If it is ending, there is none to be had.
        let _ = OWNER.try_with(|owner| SHARD.set(owner.0 * SHARD_BYTES));
        counter(&self.shards[COMMON]).fetch_add(count, Ordering::Relaxed);
    }

    #[cold]
    fn sample(&self) {
        let accesses = self.sum(|shard| &shard.reads) + self.sum(|shard| &shard.writes);
        let misses = self.events(|events| &events.misses);
        self.samples.lock().push(Sample { accesses, misses });
    }

    /// How often all threads counted an event.
    pub fn events(&self, counter: impl Fn(&Events) -> &AtomicU64) -> u64 {
        self.sum(|shard| counter(&shard.events))
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
    }

    pub fn miss_took(&self, cycles: Option<u64>) {
        if let Some(cycles) = cycles {
            self.count(|shard| shard.miss_cycles.bin(cycles), 1);
            self.add(|events| &events.miss_cycles_total, cycles);
        }
    }

    /// An access waited.
    pub fn waited(&self, time: Duration) {
        self.waited_alike(time, 1);
    }

    /// So many accesses waited, of which one was timed.
    pub fn waited_alike(&self, time: Duration, accesses: u64) {
        let ns = time.as_nanos() as u64;
        self.count(|shard| shard.miss_ns.bin(ns), accesses);
        self.add(|events| &events.miss_ns_total, accesses.wrapping_mul(ns));
    }

    /// For how many misses one that is done at once now stands if it is timed, as the first ones of a
    /// thread are, and then every so manyth, for itself and those since the last one. To look at the
    /// clock twice makes such a miss take half as long again: the processor finishes first what it has
    /// begun, where otherwise the next miss is under way while the page of this one comes.
    pub fn at_hand_timed(&self) -> Option<u64> {
        match self.shard(SHARD.get()).at_hand.load(Ordering::Relaxed) {
            0..TIMED => Some(1),
            done => ((done + 1) % TIMED == 0).then_some(TIMED),
        }
    }

    /// A miss was done at once.
    pub fn done_at_hand(&self) {
        self.one(|events| &events.misses);
        self.one(|events| &events.fetches);
        self.count(|shard| &shard.at_hand, 1);
    }

    pub fn snapshot(&self) -> ExCacheStats {
        let mut stats = ExCacheStats {
            reads: self.sum(|shard| &shard.reads),
            writes: self.sum(|shard| &shard.writes),
            samples: self.samples.lock().clone(),
            ..ExCacheStats::default()
        };
        let (mut miss_cycles, mut miss_ns) = ([0; BINS], [0; BINS]);
        for shard in &self.shards {
            shard.events.add_to(&mut stats);
            shard.miss_cycles.add_to(&mut miss_cycles);
            shard.miss_ns.add_to(&mut miss_ns);
        }
        (stats.miss_cycles, stats.miss_ns) = (trimmed(miss_cycles), trimmed(miss_ns));
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_thread_does_is_counted() {
        let stats = Stats::new(0);
        // More threads than shards, one generation after the other and many at once.
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..SHARDS + 10 {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            stats.count_read();
                        }
                        stats.count_write();
                        stats.one(|events| &events.misses);
                        stats.waited(Duration::from_nanos(3));
                    });
                }
            });
        }
        let threads = 3 * (SHARDS as u64 + 10);
        let snapshot = stats.snapshot();
        assert_eq!((snapshot.reads, snapshot.writes), (100 * threads, threads));
        assert_eq!(snapshot.misses, threads);
        assert_eq!((snapshot.miss_ns, snapshot.miss_ns_total), (vec![0, threads], 3 * threads));
    }

    #[test]
    fn samples_come_at_the_interval() {
        let stats = Stats::new(100);
        for i in 0..300 {
            if i % 3 == 0 {
                stats.one(|events| &events.misses);
            }
            stats.count_read();
        }
        let samples = stats.snapshot().samples;
        assert_eq!(
            samples,
            [Sample { accesses: 128, misses: 43 }, Sample { accesses: 256, misses: 86 }]
        );
    }

    #[test]
    fn durations_fall_into_their_bins() {
        let stats = Stats::new(0);
        for cycles in [0, 1, 2, 3, 4, 1000, u64::MAX] {
            stats.miss_took(Some(cycles));
        }
        let bins = stats.snapshot().miss_cycles;
        assert_eq!((bins[0], bins[1], bins[2], bins[9], bins[BINS - 1]), (2, 2, 1, 1, 1));
    }
}
