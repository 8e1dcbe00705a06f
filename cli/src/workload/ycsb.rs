//! The request streams of YCSB's core workloads A to F (Cooper and others, "Benchmarking cloud
//! serving systems with YCSB", SoCC'10; the proportions are those of the files
//! `workloads/workloada` to `workloadf` in its repository).
//!
//! Keys are the numbers 0, 1, 2, ... in the order of their insertion.

use std::hash::Hasher as _;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};

/// Fields of a value.
pub const FIELDS: u64 = 10;
/// Bytes of a field.
pub const FIELD_BYTES: usize = 100;
/// Most keys that a scan reads.
pub const SCAN_MAX: u64 = 100;
/// Exponent of the zipfian distribution that YCSB uses.
pub const ZIPFIAN_CONSTANT: f64 = 0.99;

/// The mixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Mix {
    /// Half reads, half updates: a session store.
    A,
    /// 95 % reads, 5 % updates: photo tags.
    B,
    /// Reads only: a cache of user profiles.
    C,
    /// 95 % reads of what is newest, 5 % inserts: status updates.
    D,
    /// 95 % short scans, 5 % inserts: threaded conversations.
    E,
    /// Half reads, half read-modify-writes: a user database.
    F,
}

impl Mix {
    /// Share of reads, updates, inserts, scans and read-modify-writes; they add up to one.
    const fn shares(self) -> [f64; 5] {
        match self {
            Self::A => [0.5, 0.5, 0.0, 0.0, 0.0],
            Self::B => [0.95, 0.05, 0.0, 0.0, 0.0],
            Self::C => [1.0, 0.0, 0.0, 0.0, 0.0],
            Self::D => [0.95, 0.0, 0.05, 0.0, 0.0],
            Self::E => [0.0, 0.0, 0.05, 0.95, 0.0],
            Self::F => [0.5, 0.0, 0.0, 0.0, 0.5],
        }
    }
}

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Read the whole value.
    Read {
        /// Of this key.
        key: u64,
    },
    /// Replace one field.
    Update {
        /// Of this key.
        key: u64,
        /// Which, below [`FIELDS`].
        field: u64,
    },
    /// Add the next key.
    Insert {
        /// Which.
        key: u64,
    },
    /// Read the values of some keys in order.
    Scan {
        /// The first one.
        key: u64,
        /// How many; fewer if the keys end before.
        count: u64,
    },
    /// Read the whole value and replace one field.
    ReadModifyWrite {
        /// Of this key.
        key: u64,
        /// Which, below [`FIELDS`].
        field: u64,
    },
}

impl Operation {
    /// For statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Update { .. } => "update",
            Self::Insert { .. } => "insert",
            Self::Scan { .. } => "scan",
            Self::ReadModifyWrite { .. } => "read-modify-write",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scan { key, count } => write!(f, "scan of {count} keys from {key}"),
            Self::Read { key } | Self::Insert { key } => write!(f, "{} of key {key}", self.name()),
            Self::Update { key, field } | Self::ReadModifyWrite { key, field } => {
                write!(f, "{} of key {key}, field {field}", self.name())
            }
        }
    }
}

/// A zipfian distribution whose `n` can grow cheaply, over ranks 0 (the most frequent) to `n - 1`:
/// rank r has probability proportional to `1 / (r + 1)^ZIPFIAN_CONSTANT`.
#[derive(Clone, Copy, Debug)]
pub struct Zipfian {
    ranks: u64,
    distribution: Zipf<f64>,
}

impl Zipfian {
    /// Over this many ranks; `None` for none at all.
    pub fn new(ranks: u64) -> Option<Self> {
        let distribution = Zipf::new(ranks as f64, ZIPFIAN_CONSTANT).ok()?;
        Some(Self { ranks, distribution })
    }

    /// A random rank.
    pub fn sample(&self, random: &mut SmallRng) -> u64 {
        // The library's ranks begin at one.
        (self.distribution.sample(random) as u64).clamp(1, self.ranks) - 1
    }
}

/// The requests of one mix, without end.
#[derive(Debug)]
pub struct Requests {
    mix: Mix,
    random: SmallRng,
    /// Keys inserted so far.
    keys: u64,
    /// Popularity of keys. For mix D over their age, else over all keys that may come to be.
    popularity: Zipfian,
}

impl Requests {
    /// Requests of `mix` to a store of `keys` keys; about `requests` will be taken. `None` for a
    /// store without keys.
    pub fn new(mix: Mix, keys: u64, requests: u64, seed: u64) -> Option<Self> {
        if keys == 0 {
            return None;
        }
        // As YCSB does: twice the inserts that are expected, so that the popular keys stay the
        // same ones while the store grows.
        let inserts = (requests as f64 * mix.shares()[2] * 2.0) as u64;
        let ranks = if mix == Mix::D { keys } else { keys + inserts };
        Some(Self {
            mix,
            random: SmallRng::seed_from_u64(seed),
            keys,
            popularity: Zipfian::new(ranks)?,
        })
    }

    /// A key that exists.
    fn key(&mut self) -> u64 {
        if self.mix == Mix::D {
            return self.keys - 1 - self.popularity.sample(&mut self.random);
        }
        // Scrambled, so that the popular keys do not lie side by side; a key that is not yet there
        // is drawn again.
        loop {
            let mut hasher = fnv::FnvHasher::default();
            hasher.write_u64(self.popularity.sample(&mut self.random));
            let key = hasher.finish() % self.popularity.ranks;
            if key < self.keys {
                return key;
            }
        }
    }

    fn field(&mut self) -> u64 {
        self.random.random_range(0..FIELDS)
    }
}

impl Iterator for Requests {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let [read, update, insert, scan, _] = self.mix.shares();
        let dice: f64 = self.random.random();
        Some(if dice < read {
            Operation::Read { key: self.key() }
        } else if dice < read + update {
            Operation::Update { key: self.key(), field: self.field() }
        } else if dice < read + update + insert {
            let key = self.keys;
            self.keys += 1;
            if self.mix == Mix::D {
                self.popularity = Zipfian::new(self.keys)?;
            }
            Operation::Insert { key }
        } else if dice < read + update + insert + scan {
            let count = self.random.random_range(1..=SCAN_MAX);
            Operation::Scan { key: self.key(), count }
        } else {
            Operation::ReadModifyWrite { key: self.key(), field: self.field() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn shares(mix: Mix) -> HashMap<&'static str, f64> {
        const N: usize = 20_000;
        let mut shares = HashMap::new();
        for operation in Requests::new(mix, 1000, N as u64, 1).unwrap().take(N) {
            *shares.entry(operation.name()).or_default() += 1.0 / N as f64;
        }
        shares
    }

    #[test]
    fn mixes_have_their_proportions() {
        for (mix, expected) in [
            (Mix::A, &[("read", 0.5), ("update", 0.5)][..]),
            (Mix::B, &[("read", 0.95), ("update", 0.05)]),
            (Mix::C, &[("read", 1.0)]),
            (Mix::D, &[("read", 0.95), ("insert", 0.05)]),
            (Mix::E, &[("scan", 0.95), ("insert", 0.05)]),
            (Mix::F, &[("read", 0.5), ("read-modify-write", 0.5)]),
        ] {
            let shares = shares(mix);
            assert_eq!(shares.len(), expected.len(), "{mix:?}");
            for (name, share) in expected {
                assert!((shares[name] - share).abs() < 0.015, "{mix:?} {name} {shares:?}");
            }
        }
    }

    #[test]
    fn keys_exist_and_inserts_are_in_order() {
        for mix in [Mix::A, Mix::D, Mix::E, Mix::F] {
            let mut keys = 50;
            for operation in Requests::new(mix, keys, 5000, 7).unwrap().take(5000) {
                match operation {
                    Operation::Insert { key } => {
                        assert_eq!(key, keys);
                        keys += 1;
                    }
                    Operation::Scan { key, count } => {
                        assert!(key < keys && (1..=SCAN_MAX).contains(&count));
                    }
                    Operation::Read { key } => assert!(key < keys),
                    Operation::Update { key, field }
                    | Operation::ReadModifyWrite { key, field } => {
                        assert!(key < keys && field < FIELDS);
                    }
                }
            }
        }
    }

    #[test]
    fn mix_d_reads_what_is_newest() {
        let mut keys = 10_000;
        let (mut newest, mut reads) = (0, 0);
        for operation in Requests::new(Mix::D, keys, 5000, 3).unwrap().take(5000) {
            match operation {
                Operation::Insert { .. } => keys += 1,
                Operation::Read { key } => {
                    reads += 1;
                    newest += u32::from(keys - key <= 100);
                }
                other => panic!("{other:?}"),
            }
        }
        // The 100 of 10,000 most popular ranks take a bit more than half of the requests.
        let share = f64::from(newest) / f64::from(reads);
        assert!((0.5..0.6).contains(&share), "{share}");
    }

    #[test]
    fn the_same_seed_gives_the_same_requests() {
        let take =
            |seed| Requests::new(Mix::A, 100, 50, seed).unwrap().take(50).collect::<Vec<_>>();
        assert_eq!(take(5), take(5));
        assert_ne!(take(5), take(6));
        assert!(Requests::new(Mix::A, 0, 50, 1).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// Frequencies against the definition. A rank's count is binomial; five standard deviations
        /// (and half a request) are hardly ever exceeded by a right sampler.
        #[test]
        fn ranks_have_zipfian_frequencies(ranks in 1u64..5000, seed in any::<u64>()) {
            const N: u32 = 100_000;
            let zipfian = Zipfian::new(ranks).unwrap();
            let mut random = SmallRng::seed_from_u64(seed);
            let mut counts = vec![0u32; ranks as usize];
            for _ in 0..N {
                counts[zipfian.sample(&mut random) as usize] += 1;
            }
            let weight = |rank: usize| (rank as f64 + 1.0).powf(-ZIPFIAN_CONSTANT);
            let sum: f64 = (0..counts.len()).map(weight).sum();
            for (rank, &count) in counts.iter().enumerate().take(20) {
                let p = weight(rank) / sum;
                let deviation = (f64::from(N) * p * (1.0 - p)).sqrt();
                let error = (f64::from(count) - f64::from(N) * p).abs();
                prop_assert!(error <= 5.0 * deviation + 0.5, "rank {rank} of {ranks}: {count}");
            }
            // And the tail as a whole.
            let tail: u32 = counts.iter().skip(20).sum();
            let p: f64 = (20..counts.len()).map(weight).sum::<f64>() / sum;
            let deviation = (f64::from(N) * p * (1.0 - p)).max(0.0).sqrt();
            prop_assert!((f64::from(tail) - f64::from(N) * p).abs() <= 5.0 * deviation + 0.5);
        }
    }
}
