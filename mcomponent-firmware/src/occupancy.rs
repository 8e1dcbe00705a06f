//! How many entries each bucket of the page table holds: four bits per bucket.
//!
//! A bucket has four slots and there is no overflow chain, so a range may only be placed where none
//! of its buckets is full. Consecutive pages of a vRegion take consecutive buckets (the last one is
//! followed by the first), which makes the question "where do `n` pages fit" a search for `n`
//! buckets in a row, eight buckets a step.

use splitmem_abi::pte::SLOTS;

/// Buckets in a word.
const LANES: u32 = 8;
/// One in every lane.
const ONES: u32 = 0x1111_1111;
/// A lane's top bit: the bucket takes no more entries, because its line is poisoned. The bits below
/// it count.
const RETIRED: u32 = 0x8;
/// A count that nothing reaches.
const ABOVE_ALL: u32 = 0x7;

/// Buckets whose entries are also counted together: as many as a vRegion of 2 MiB pages reaches.
const BLOCK: u32 = 512;

const fn lane_words(log2_buckets: u32) -> usize {
    (1 << log2_buckets) / LANES as usize
}

/// Words that the occupancy of `1 << log2_buckets` buckets takes.
pub(crate) const fn occupancy_words(log2_buckets: u32) -> usize {
    lane_words(log2_buckets) + (1u32 << log2_buckets).div_ceil(BLOCK) as usize
}

/// Entries per bucket.
#[derive(Debug)]
pub(crate) struct Occupancy<'a> {
    words: &'a mut [u32],
    /// Entries per block.
    blocks: &'a mut [u32],
    log2: u32,
    entries: u32,
}

/// Part of a word: `lanes` buckets from `shift` bits on.
struct Part {
    word: usize,
    shift: u32,
    lanes: u32,
}

impl Part {
    /// The lowest bit of each of its lanes.
    fn ones(&self) -> u32 {
        (ONES >> (4 * (LANES - self.lanes))) << self.shift
    }

    fn block(&self) -> usize {
        self.word / (BLOCK / LANES) as usize
    }
}

impl<'a> Occupancy<'a> {
    /// All buckets empty. `words` has at least [`occupancy_words`].
    pub fn new(words: &'a mut [u32], log2_buckets: u32) -> Self {
        let words = &mut words[..occupancy_words(log2_buckets)];
        words.fill(0);
        let (words, blocks) = words.split_at_mut(lane_words(log2_buckets));
        Self { words, blocks, log2: log2_buckets, entries: 0 }
    }

    /// Buckets.
    pub fn buckets(&self) -> u32 {
        1 << self.log2
    }

    /// log2 of the buckets.
    pub fn log2(&self) -> u32 {
        self.log2
    }

    /// Entries in all buckets.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Slots in all buckets.
    pub fn slots(&self) -> u32 {
        self.buckets() * SLOTS as u32
    }

    /// Entries in one bucket.
    #[cfg(test)]
    pub fn of(&self, bucket: u32) -> u32 {
        self.words[(bucket / LANES) as usize] >> (4 * (bucket % LANES)) & ABOVE_ALL
    }

    /// Takes a bucket out of use; the entries that it has stay counted.
    pub fn retire(&mut self, bucket: u32) {
        self.words[(bucket / LANES) as usize] |= RETIRED << (4 * (bucket % LANES));
    }

    /// The `n` buckets from `first` on, around the end, in parts of words.
    fn parts(&self, first: u32, n: u32) -> impl Iterator<Item = Part> {
        let mask = self.buckets() - 1;
        let mut bucket = first & mask;
        let mut left = n;
        core::iter::from_fn(move || {
            let lane = bucket % LANES;
            let part = Part {
                word: (bucket / LANES) as usize,
                shift: 4 * lane,
                lanes: left.min(LANES - lane),
            };
            left -= part.lanes;
            bucket = (bucket + part.lanes) & mask;
            (part.lanes > 0).then_some(part)
        })
    }

    /// The top bit of each lane of the part that holds more than `limit` entries, or is retired.
    fn over(&self, part: &Part, limit: u32) -> u32 {
        let word = self.words[part.word];
        // Seven in a lane, plus one, sets its top bit; a count of 7 and 7 more stay in the lane.
        let counts = (word & (ONES * ABOVE_ALL)) + ONES * (ABOVE_ALL - limit);
        (counts | word) & (part.ones() * RETIRED)
    }

    /// Whether none of the `n` buckets from `first` on holds more than `limit` entries. `n` is at
    /// most [`Occupancy::buckets`].
    pub fn fits(&self, first: u32, n: u32, limit: u32) -> bool {
        self.parts(first, n).all(|part| self.over(&part, limit) == 0)
    }

    /// The smallest `offset` below `starts` such that the `n` buckets from `first + offset` on fit.
    pub fn find(&self, first: u32, starts: u32, n: u32, limit: u32) -> Option<u32> {
        let mut offset = 0;
        let mut run = 0;
        for part in self.parts(first, starts + n - 1) {
            let over = self.over(&part, limit) >> part.shift;
            let mut lane = 0;
            while lane < part.lanes {
                // To the next bucket that does not fit, or to the part's end.
                let good = ((over >> (4 * lane)).trailing_zeros() / 4).min(part.lanes - lane);
                run += good;
                lane += good;
                if run >= n {
                    return Some(offset + lane - run);
                }
                if lane < part.lanes {
                    run = 0;
                    lane += 1;
                }
            }
            offset += part.lanes;
        }
        None
    }

    /// How many of the `max` buckets before `end` fit, counted backwards from it.
    pub fn fitting_before(&self, end: u32, max: u32, limit: u32) -> u32 {
        let mask = self.buckets() - 1;
        let mut n = 0;
        while n < max {
            // Backwards in words: whole ones where the position allows.
            let bucket = end.wrapping_sub(n + 1) & mask;
            let lanes = (bucket % LANES + 1).min(max - n);
            let first = bucket + 1 - lanes;
            if self.fits(first, lanes, limit) {
                n += lanes;
            } else if self.fits(bucket, 1, limit) {
                n += 1;
            } else {
                break;
            }
        }
        n
    }

    /// Entries in the blocks that the `n` buckets from `first` on touch: roughly how full they are.
    pub fn load(&self, first: u32, n: u32) -> u32 {
        let mask = self.buckets() - 1;
        let blocks = (first % BLOCK + n).div_ceil(BLOCK).min(self.blocks.len() as u32);
        let starts = (0..blocks).map(|i| (first + i * BLOCK) & mask);
        starts.map(|bucket| self.blocks[(bucket / BLOCK) as usize]).sum()
    }

    /// Counts one more entry in each of `n` buckets that fit.
    pub fn add(&mut self, first: u32, n: u32) {
        for part in self.parts(first, n) {
            self.words[part.word] += part.ones();
            self.blocks[part.block()] += part.lanes;
        }
        self.entries += n;
    }

    /// Takes back what [`Occupancy::add`] counted.
    pub fn remove(&mut self, first: u32, n: u32) {
        for part in self.parts(first, n) {
            self.words[part.word] -= part.ones();
            self.blocks[part.block()] -= part.lanes;
        }
        self.entries -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    const LOG2: u32 = 6;

    #[test]
    fn the_load_of_blocks_is_counted() {
        let mut words = vec![7; occupancy_words(11)];
        let mut occupancy = Occupancy::new(&mut words, 11);
        // 100 buckets at the end of the third block, 900 from the fourth around to the first.
        occupancy.add(2 * 512 + 412, 1000);
        assert_eq!(occupancy.load(0, 512), 388);
        assert_eq!(occupancy.load(1024, 1), 100);
        assert_eq!(occupancy.load(1535, 2), 612);
        assert_eq!(occupancy.load(2047, 2), 900);
        assert_eq!(occupancy.load(700, 2048), 1000);
        occupancy.remove(2 * 512 + 412, 500);
        assert_eq!(occupancy.load(1536, 512), 112);
    }

    /// What it replaces: a count per bucket, one by one.
    struct Naive([u32; 1 << LOG2]);

    impl Naive {
        fn fits(&self, first: u32, n: u32, limit: u32) -> bool {
            (first..first + n).all(|b| self.0[b as usize % self.0.len()] <= limit)
        }
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn agrees_with_counting_one_by_one(
            adds in prop::collection::vec((0u32..64, 1u32..64, 0u32..4), 0..40),
            retired in prop::option::of(0u32..64),
            (first, starts, n, limit) in (0u32..64, 1u32..=64, 1u32..=64, 0u32..4),
        ) {
            let mut words = vec![u32::MAX; occupancy_words(LOG2)];
            let mut occupancy = Occupancy::new(&mut words, LOG2);
            let mut naive = Naive([0; 64]);
            let mut done = vec![];
            for (first, n, limit) in adds {
                let fits = naive.fits(first, n, limit);
                prop_assert_eq!(occupancy.fits(first, n, limit), fits);
                if fits {
                    occupancy.add(first, n);
                    done.push((first, n));
                    (first..first + n).for_each(|b| naive.0[b as usize % 64] += 1);
                }
            }
            prop_assert_eq!(occupancy.entries(), naive.0.iter().sum::<u32>());
            for b in 0..64 {
                prop_assert_eq!(occupancy.of(b), naive.0[b as usize]);
            }
            if let Some(b) = retired {
                occupancy.retire(b);
                naive.0[b as usize] += 8;
            }
            let expected = (0..starts).find(|o| naive.fits(first + o, n, limit));
            prop_assert_eq!(occupancy.find(first, starts, n, limit), expected);
            let before = (0..n).take_while(|i| naive.fits(first + 63 - i, 1, limit)).count();
            prop_assert_eq!(occupancy.fitting_before(first, n, limit), before as u32);
            for (first, n) in done {
                occupancy.remove(first, n);
            }
            prop_assert_eq!(occupancy.entries(), 0);
        }
    }
}
