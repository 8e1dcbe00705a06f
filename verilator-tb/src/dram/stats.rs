//! Counters of a memory, and an exact latency histogram.

/// What a memory counted. Clocks are the memory's own: memory clocks for a DRAM device,
/// component clocks for the ideal memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DramStats {
    /// Clocks that passed.
    pub clocks: u64,
    /// Clocks in which at least one request was queued or in flight.
    pub busy_clocks: u64,
    /// Clocks in which the data bus carried a beat.
    pub data_clocks: u64,
    /// Read commands accepted.
    pub reads: u64,
    /// Write commands accepted.
    pub writes: u64,
    /// Reads answered from the write queue, without a device access.
    pub forwarded_reads: u64,
    /// Device accesses that found their row open, without an activate of their own.
    pub row_hits: u64,
    /// Device accesses that had to activate their row in a precharged bank.
    pub row_misses: u64,
    /// Device accesses that had to activate their row after another row was closed for them.
    pub row_conflicts: u64,
    /// Activate commands.
    pub activates: u64,
    /// Precharge commands to one bank.
    pub precharges: u64,
    /// All-bank refresh commands.
    pub refreshes: u64,
    /// Commands whose line lay beyond the end of the memory; reads of them answer poison.
    pub out_of_range: u64,
    /// Reads by latency in clocks, from the clock of acceptance to the end of the last data beat.
    pub read_latency: LatencyHistogram,
}

impl DramStats {
    /// Bytes asked for: 64 for each read and write, masked or not.
    pub fn bytes(&self) -> u64 {
        (self.reads + self.writes) * super::LINE_BYTES as u64
    }

    /// Share of device accesses that found their row open, 0 to 1; 0 if there were none.
    pub fn row_hit_rate(&self) -> f64 {
        let accesses = self.row_hits + self.row_misses + self.row_conflicts;
        if accesses == 0 {
            0.0
        } else {
            self.row_hits as f64 / accesses as f64
        }
    }
}

/// One counter for each latency in clocks, so that mean and percentiles are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    counts: Vec<u64>,
    samples: u64,
    sum: u64,
}

impl LatencyHistogram {
    /// Counts one sample of `clocks`. Storage grows to the largest latency seen, once.
    #[inline]
    pub fn record(&mut self, clocks: u64) {
        let index = clocks as usize;
        if index >= self.counts.len() {
            self.counts.resize((index + 1).next_power_of_two(), 0);
        }
        self.counts[index] += 1;
        self.samples += 1;
        self.sum += clocks;
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Mean in clocks, or `None` without samples.
    pub fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.sum as f64 / self.samples as f64)
    }

    /// The smallest latency that at least the share `q` (0 to 1) of the samples do not exceed
    /// (nearest-rank percentile), in clocks; `None` without samples.
    pub fn percentile(&self, q: f64) -> Option<u64> {
        if self.samples == 0 {
            return None;
        }
        let rank = ((q * self.samples as f64).ceil() as u64).clamp(1, self.samples);
        let mut seen = 0;
        for (clocks, count) in self.iter() {
            seen += count;
            if seen >= rank {
                return Some(clocks);
            }
        }
        None
    }

    /// The largest latency seen, in clocks.
    pub fn max(&self) -> Option<u64> {
        self.counts.iter().rposition(|&count| count > 0).map(|clocks| clocks as u64)
    }

    /// The smallest latency seen, in clocks.
    pub fn min(&self) -> Option<u64> {
        self.iter().next().map(|(clocks, _)| clocks)
    }

    /// `(latency in clocks, samples)` in rising order, empty latencies left out.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, &count)| count > 0)
            .map(|(clocks, &count)| (clocks as u64, count))
    }

    /// Forgets all samples and keeps the storage.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.samples = 0;
        self.sum = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut histogram = LatencyHistogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        for clocks in 1..=100 {
            histogram.record(clocks);
        }
        assert_eq!(histogram.mean(), Some(50.5));
        assert_eq!(histogram.percentile(0.0), Some(1));
        assert_eq!(histogram.percentile(0.5), Some(50));
        assert_eq!(histogram.percentile(0.99), Some(99));
        assert_eq!(histogram.percentile(1.0), Some(100));
        assert_eq!((histogram.min(), histogram.max()), (Some(1), Some(100)));
    }

    #[test]
    fn clear_forgets_the_samples() {
        let mut histogram = LatencyHistogram::default();
        histogram.record(5);
        histogram.clear();
        assert_eq!((histogram.samples(), histogram.max()), (0, None));
    }
}
