//! [`Timeline`]: how a cache did over time, in a bounded number of samples.

use super::CacheCounts;

/// Most samples that are kept.
const SAMPLES: usize = 512;

/// Samples of a cache's counts, evenly spread over however many operations there are: when the room
/// for them is full, every other one goes and from then on half as many are taken.
#[derive(Clone, Debug)]
pub struct Timeline {
    samples: Vec<Sample>,
    /// Operations from one sample to the next.
    stride: u64,
    /// Operations so far.
    operations: u64,
}

/// Counts at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Of the cache.
    pub counts: CacheCounts,
    /// Simulated cycles since the start, where they are counted.
    pub cycles: Option<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { samples: Vec::new(), stride: 1, operations: 0 }
    }
}

impl Timeline {
    /// Counts an operation; tells whether a sample should be taken after it.
    pub fn is_due(&mut self) -> bool {
        self.operations += 1;
        if self.operations % self.stride == 0 && self.samples.len() == SAMPLES {
            // Those at the multiples of twice the stride stay: every second one.
            let mut even = true;
            self.samples.retain(|_| {
                even = !even;
                even
            });
            self.stride *= 2;
        }
        self.operations % self.stride == 0
    }

    /// Adds a sample.
    pub fn add(&mut self, counts: CacheCounts, cycles: Option<u64>) {
        self.samples.push(Sample { counts, cycles });
    }

    /// Whether the samples carry cycles.
    pub fn has_cycles(&self) -> bool {
        self.samples.iter().any(|sample| sample.cycles.is_some())
    }

    /// The hit ratio between each sample and the one before it, over cycles or, where there are
    /// none, over accesses. Stretches without an access are left out.
    pub fn hit_ratios(&self) -> Vec<(f64, f64)> {
        let start = Sample { counts: CacheCounts::default(), cycles: None };
        let before = std::iter::once(&start).chain(&self.samples);
        before
            .zip(&self.samples)
            .filter(|(from, to)| to.counts.accesses > from.counts.accesses)
            .map(|(from, to)| {
                // A prefetch that comes too late can turn an earlier hit into a miss.
                let hits = to.counts.hits.saturating_sub(from.counts.hits);
                let accesses = to.counts.accesses - from.counts.accesses;
                let at = to.cycles.unwrap_or(to.counts.accesses);
                (at as f64, hits as f64 / accesses as f64)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(operations: u64) -> Timeline {
        let mut timeline = Timeline::default();
        for i in 1..=operations {
            if timeline.is_due() {
                timeline.add(CacheCounts { accesses: 2 * i, hits: i }, None);
            }
        }
        timeline
    }

    #[test]
    fn samples_stay_few_and_even() {
        for operations in [1, 100, 512, 513, 100_000] {
            let timeline = run(operations);
            let count = timeline.samples.len() as u64;
            assert!(count <= SAMPLES as u64 && count >= operations.min(200), "{count}");
            let at: Vec<u64> = timeline.samples.iter().map(|s| s.counts.accesses).collect();
            assert!(
                at.windows(2).all(|w| (w[1] - w[0]).abs_diff(2 * timeline.stride) <= 2),
                "{at:?}"
            );
        }
    }

    #[test]
    fn ratios_are_of_the_stretch_between_samples() {
        let mut timeline = Timeline::default();
        timeline.add(CacheCounts { accesses: 10, hits: 0 }, Some(1000));
        timeline.add(CacheCounts { accesses: 10, hits: 0 }, Some(1500));
        timeline.add(CacheCounts { accesses: 30, hits: 15 }, Some(2000));
        assert_eq!(timeline.hit_ratios(), [(1000.0, 0.0), (2000.0, 0.75)]);
        assert!(timeline.has_cycles());
        assert_eq!(run(1).hit_ratios(), [(2.0, 0.5)]);
    }
}
