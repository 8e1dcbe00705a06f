//! [`StatsPage`]: what an engine counts, in memory that others may look at while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Classes of the histogram of miss latencies: four to a doubling.
pub const CLASSES: usize = 96;

macro_rules! counters {
    ($( $(#[doc = $doc:literal])+ $name:ident ),+ $(,)?) => {
        /// Counters of one process, zeros to begin with. One writer, any number of readers, which may
        /// be other processes.
        #[derive(Debug)]
        #[repr(C)]
        pub struct StatsPage {
            /// [`StatsPage::MAGIC`] once the rest is valid.
            pub magic: AtomicU64,
            $( $(#[doc = $doc])+ pub $name: AtomicU64, )+
            /// Misses by the time that they took; see [`class_of`].
            pub latency: [AtomicU64; CLASSES],
        }

        /// Counters of a process, or of several together.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub struct TransparentStats {
            $( $(#[doc = $doc])+ pub $name: u64, )+
            /// Misses by the time that they took; see [`class_of`].
            pub latency: Vec<u64>,
        }

        impl StatsPage {
            /// The counters now.
            pub fn read(&self) -> TransparentStats {
                TransparentStats {
                    $( $name: self.$name.load(Ordering::Relaxed), )+
                    latency: self.latency.iter().map(|n| n.load(Ordering::Relaxed)).collect(),
                }
            }

            /// The counters in the bytes of such a page; `None` if it is not valid yet, or is of
            /// another version.
            pub fn parse(bytes: &[u8]) -> Option<TransparentStats> {
                let mut words = bytes.chunks_exact(8).map(|word| {
                    word.try_into().map_or(0, u64::from_ne_bytes)
                });
                if words.next()? != Self::MAGIC {
                    return None;
                }
                Some(TransparentStats {
                    $( $name: words.next()?, )+
                    latency: words.take(CLASSES).collect(),
                })
            }

            /// Starts to count from zero.
            pub fn clear(&self) {
                $( self.$name.store(0, Ordering::Relaxed); )+
                self.latency.iter().for_each(|n| n.store(0, Ordering::Relaxed));
            }

            /// Nothing counted yet.
            pub const fn new() -> Self {
                Self {
                    magic: AtomicU64::new(0),
                    $( $name: AtomicU64::new(0), )+
                    latency: [const { AtomicU64::new(0) }; CLASSES],
                }
            }
        }
    };
}

counters! {
    /// Process id.
    pid,
    /// 1 while it runs, 2 when it has exited, 3 when its memory was lost.
    state,
    /// When it started, in nanoseconds of the monotonic clock.
    started_ns,
    /// When it ended.
    ended_ns,
    /// Touches of pages that were in no local frame, in user mode or for a system call.
    misses,
    /// Misses of pages that were never written: zero-filled at the host, no traffic.
    zero_fills,
    /// Pages fetched from the component, on demand or ahead.
    fetches,
    /// Pages brought in ahead of a touch.
    prefetched,
    /// Of them, those in a window that the program was seen to leave at its far end.
    prefetch_useful,
    /// Pages written back.
    write_backs,
    /// Pages that left without traffic because they had not changed.
    clean_drops,
    /// Pages that left without traffic because they held only zeros.
    zero_drops,
    /// First writes to pages that had come in for reading.
    write_faults,
    /// Pages that were brought in for system calls.
    syscall_pages,
    /// Local frames in use.
    resident,
    /// Of them, those whose content the component does not have, as far as is known.
    dirty,
    /// The most that were in use at a time.
    resident_peak,
    /// The limit of frames now.
    limit,
    /// Pages that hold something.
    live,
    /// The most that did at a time.
    live_peak,
    /// Nanoseconds in misses.
    miss_ns,
    /// Bytes that the engine uses for itself (tables, not frames).
    overhead_bytes,
    /// Processes that it forked.
    forks,
}

impl StatsPage {
    /// Says that a page is one, and of this layout.
    pub const MAGIC: u64 = 0x5350_4c49_544d_454d ^ size_of::<Self>() as u64;

    /// Counts one miss that took so long.
    pub(super) fn latency(&self, ns: u64) {
        add(&self.miss_ns, ns);
        add(&self.latency[class_of(ns)], 1);
    }
}

impl Default for StatsPage {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts. There is one writer at a time, so nothing is lost.
#[inline]
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

/// The class of a time: the two bits below its leading one tell the quarter of the doubling.
pub fn class_of(ns: u64) -> usize {
    let ns = ns.max(4);
    let doubling = ns.ilog2();
    let quarter = (ns >> (doubling - 2)) & 3;
    ((doubling as usize - 2) * 4 + quarter as usize).min(CLASSES - 1)
}

/// The first nanosecond behind a class.
pub fn class_end(class: usize) -> u64 {
    let (doubling, quarter) = (class as u32 / 4 + 2, class as u64 % 4);
    (4 + quarter + 1) << (doubling - 2)
}

impl TransparentStats {
    /// Nanoseconds that this share of the misses stayed below, to within a quarter of a doubling.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total: u64 = self.latency.iter().sum();
        let wanted = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.latency.iter().enumerate().find_map(|(class, n)| {
            seen += n;
            (seen >= wanted).then(|| class_end(class))
        })
    }

    /// Adds those of another process; for what is a moment's value, the larger one stands.
    pub fn add(&mut self, other: &Self) {
        for (sum, n) in [
            (&mut self.misses, other.misses),
            (&mut self.zero_fills, other.zero_fills),
            (&mut self.fetches, other.fetches),
            (&mut self.prefetched, other.prefetched),
            (&mut self.prefetch_useful, other.prefetch_useful),
            (&mut self.write_backs, other.write_backs),
            (&mut self.clean_drops, other.clean_drops),
            (&mut self.zero_drops, other.zero_drops),
            (&mut self.write_faults, other.write_faults),
            (&mut self.syscall_pages, other.syscall_pages),
            (&mut self.miss_ns, other.miss_ns),
            (&mut self.forks, other.forks),
        ] {
            *sum += n;
        }
        for (most, n) in [
            (&mut self.resident_peak, other.resident_peak),
            (&mut self.live_peak, other.live_peak),
            (&mut self.limit, other.limit),
            (&mut self.overhead_bytes, other.overhead_bytes),
            (&mut self.state, other.state),
        ] {
            *most = n.max(*most);
        }
        self.latency.iter_mut().zip(&other.latency).for_each(|(sum, n)| *sum += n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_its_class() {
        for ns in (4..5000).chain([1 << 20, 3 << 20, (1 << 23) - 1]) {
            let class = class_of(ns);
            assert!(ns < class_end(class), "{ns}");
            assert!(class == 0 || ns >= class_end(class - 1), "{ns}");
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
        assert_eq!(class_of(0), 0);
    }

    #[test]
    fn another_process_reads_the_same_counters() {
        let page = StatsPage::new();
        let bytes = |page: &StatsPage| {
            let stats = page.read();
            let magic = page.magic.load(Ordering::Relaxed);
            // In the page's own order: `parse` finds each counter in its place.
            let mut words = vec![magic, stats.pid, stats.state];
            words.resize(size_of::<StatsPage>() / 8 - CLASSES, 7);
            words.extend(&stats.latency);
            words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>()
        };
        assert_eq!(StatsPage::parse(&bytes(&page)), None);
        page.pid.store(1234, Ordering::Relaxed);
        page.latency(500);
        page.magic.store(StatsPage::MAGIC, Ordering::Relaxed);
        let read = StatsPage::parse(&bytes(&page)).unwrap();
        assert_eq!((read.pid, read.state, read.misses), (1234, 0, 7));
        assert_eq!(read.latency, page.read().latency);
        assert_eq!(StatsPage::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn quantiles_come_from_the_histogram() {
        let page = StatsPage::new();
        for _ in 0..99 {
            page.latency(1000);
        }
        page.latency(100_000);
        let stats = page.read();
        assert_eq!(stats.quantile(0.5), Some(class_end(class_of(1000))));
        assert_eq!(stats.quantile(1.0), Some(class_end(class_of(100_000))));
        assert_eq!(stats.miss_ns, 99 * 1000 + 100_000);
        assert_eq!(StatsPage::new().read().quantile(0.5), None);
    }
}
