//! [`Latencies`]: how long operations took, in cycles, by name.

use hdrhistogram::Histogram;

use crate::facts::{grouped, Facts};

/// Latencies are told apart to this many significant digits, and counted up to this many cycles.
const DIGITS: u8 = 3;
const CYCLES_MAX: u64 = 1 << 40;
/// Quantiles of the table.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Latencies of operations, by name, in the order in which the names first came.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<(&'static str, Histogram<u32>)>);

impl Latencies {
    /// One operation of this name took this long.
    pub fn record(&mut self, name: &'static str, cycles: u64) {
        let place = self.0.iter().position(|(known, _)| *known == name);
        let histogram = match place {
            Some(i) => &mut self.0[i].1,
            None => {
                // The bounds are constants that the library takes; see the test.
                let Ok(new) = Histogram::new_with_bounds(1, CYCLES_MAX, DIGITS) else { return };
                self.0.push((name, new));
                match self.0.last_mut() {
                    Some((_, histogram)) => histogram,
                    None => return,
                }
            }
        };
        histogram.saturating_record(cycles);
    }

    /// What was recorded under a name.
    pub fn of(&self, name: &str) -> Option<&Histogram<u32>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, histogram)| histogram)
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Operations recorded.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, histogram)| histogram.len()).sum()
    }

    /// Share of operations that took at most so many cycles, by name: points of a rising line that
    /// ends at 1.
    pub fn cumulative(&self) -> Vec<(&'static str, Vec<(f64, f64)>)> {
        let points = |histogram: &Histogram<u32>| {
            let mut seen = 0;
            let mut points = vec![(0.0, 0.0)];
            for bucket in histogram.iter_recorded() {
                seen += bucket.count_since_last_iteration();
                let share = seen as f64 / histogram.len() as f64;
                points.push((bucket.value_iterated_to() as f64, share));
            }
            points
        };
        self.0.iter().map(|(name, histogram)| (*name, points(histogram))).collect()
    }

    /// The header of [`Self::rows`].
    pub const HEADER: [&'static str; 8] =
        ["cycles", "operations", "mean", "p50", "p90", "p99", "p99.9", "most"];

    /// One row per name.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |(name, histogram): &(&'static str, Histogram<u32>)| {
            let mut row = vec![(*name).to_owned(), grouped(histogram.len())];
            row.push(format!("{:.1}", histogram.mean()));
            row.extend(QUANTILES.map(|q| grouped(histogram.value_at_quantile(q))));
            row.push(grouped(histogram.max()));
            row
        };
        self.0.iter().map(row).collect()
    }

    /// Median and 99th percentile of the name that was recorded most often.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        if let Some((name, histogram)) = self.0.iter().max_by_key(|(_, h)| h.len()) {
            let median = histogram.value_at_quantile(0.5);
            let tail = histogram.value_at_quantile(0.99);
            facts.add("op", "Most frequent operation", *name, "");
            facts.add("op_cycles_mean", "It takes on average", histogram.mean(), "cycles");
            facts.add("op_cycles_p50", "Its median", median, "cycles");
            facts.add("op_cycles_p99", "Its 99th percentile", tail, "cycles");
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_by_name() {
        let mut latencies = Latencies::default();
        for cycles in 0..=100 {
            latencies.record("read", cycles);
        }
        latencies.record("write", u64::MAX);
        assert_eq!(latencies.count(), 102);
        let rows = latencies.rows();
        assert_eq!(rows[0][..5], ["read", "101", "50.0", "50", "90"]);
        assert_eq!(rows[0][7], "100");
        assert_eq!(rows[1][..2], ["write", "1"]);
        assert_eq!(latencies.facts().iter().next().unwrap().value.display(), "read");
    }

    #[test]
    fn the_cumulative_line_rises_to_one() {
        let mut latencies = Latencies::default();
        for cycles in [0, 0, 0, 10, 500] {
            latencies.record("read", cycles);
        }
        let lines = latencies.cumulative();
        let (name, points) = &lines[0];
        assert_eq!(*name, "read");
        assert_eq!(points[..3], [(0.0, 0.0), (0.0, 0.6), (10.0, 0.8)]);
        assert_eq!(points.last().unwrap().1, 1.0);
        assert!(points.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1));
    }
}
