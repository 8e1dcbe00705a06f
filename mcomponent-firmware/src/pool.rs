//! The frames that nobody has: a bitmap, in blocks of 2 MiB.
//!
//! A block whose 512 frames are all free is *whole* and can serve a 2 MiB page. 4 KiB frames are
//! taken from blocks that are broken already, the lowest first, and a whole block is broken only
//! when none of those has a frame left. A block becomes whole again when its last frame returns.
//! So the number of whole blocks says exactly how many 2 MiB frames can be had, and the promise
//! that `supply` makes to reserved pages can be kept without moving anything.

use crate::bitset::{words, BitSet};
use splitmem_abi::geometry::FRAMES_PER_HUGE;

/// Words of one block in the bitmap.
const BLOCK_WORDS: usize = FRAMES_PER_HUGE as usize / 32;

/// Consecutive 4 KiB frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A frame came back that was not out, or that never was in the pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotOut;

/// The pool.
#[derive(Debug)]
pub(crate) struct FramePool<'a> {
    /// One bit per frame: it is free.
    free: &'a mut [u32],
    /// Broken blocks that have a free frame.
    broken: BitSet<'a>,
    /// Blocks that are free as a whole.
    whole: BitSet<'a>,
    whole_count: u32,
    free_count: u32,
    /// Frames below this one belong to the page table.
    first: u32,
    /// Frames that exist.
    end: u32,
}

/// Words that a pool of `frames` frames takes.
pub(crate) const fn pool_words(frames: u32) -> usize {
    let blocks = frames.div_ceil(FRAMES_PER_HUGE);
    blocks as usize * BLOCK_WORDS + 2 * words(blocks)
}

impl<'a> FramePool<'a> {
    /// A pool of the frames from `first` to `end` (not included), all free. `memory` has at least
    /// [`pool_words`] of `end`.
    pub fn new(memory: &'a mut [u32], first: u32, end: u32) -> Self {
        let blocks = end.div_ceil(FRAMES_PER_HUGE);
        let (free, sets) = memory.split_at_mut(blocks as usize * BLOCK_WORDS);
        let (broken, whole) = sets.split_at_mut(words(blocks));
        free.fill(0);
        let mut pool = Self {
            free,
            broken: BitSet::new(broken),
            whole: BitSet::new(whole),
            whole_count: 0,
            free_count: end - first,
            first,
            end,
        };
        // Word by word: bit by bit, a large memory would take the soft core longer than its watchdog.
        for (base, word) in (0..end).step_by(32).zip(pool.free.iter_mut()) {
            let from = |frame: u32| u32::MAX.checked_shl(frame.saturating_sub(base));
            *word = from(first).unwrap_or(0) & !from(end).unwrap_or(0);
        }
        for block in first / FRAMES_PER_HUGE..blocks {
            pool.classify(block);
        }
        pool
    }

    /// Frames that are managed here, free or out.
    pub fn total(&self) -> u32 {
        self.end - self.first
    }

    /// Free frames.
    pub fn free(&self) -> u32 {
        self.free_count
    }

    /// Blocks that could serve a 2 MiB page.
    pub fn whole(&self) -> u32 {
        self.whole_count
    }

    /// Whether `frame` is free.
    pub fn is_free(&self, frame: u32) -> bool {
        frame < self.end && self.free[frame as usize / 32] >> (frame % 32) & 1 == 1
    }

    /// Takes up to `max` consecutive frames.
    pub fn take(&mut self, max: u32) -> Option<Extent> {
        let block = match self.broken.first() {
            Some(block) => block,
            None => {
                let block = self.whole.first()?;
                self.whole.remove(block);
                self.whole_count -= 1;
                block
            }
        };
        // Word by word: the soft core refills the hardware's list as fast as it can be emptied.
        let words = self.words_of(block);
        let mut word = words.iter().position(|&word| word != 0)?;
        let bit = words[word].trailing_zeros();
        let first = block * FRAMES_PER_HUGE + word as u32 * 32 + bit;
        let (mut bit, mut count) = (bit, 0);
        while let Some(bits) = words.get_mut(word) {
            let run = (*bits >> bit).trailing_ones().min(max - count);
            if run == 0 {
                break;
            }
            *bits &= !(u32::MAX >> (32 - run) << bit);
            count += run;
            if bit + run < 32 {
                break;
            }
            (word, bit) = (word + 1, 0);
        }
        self.free_count -= count;
        self.classify(block);
        Some(Extent { first, count })
    }

    /// Takes up to `max` whole blocks in a row. The extent counts 4 KiB frames.
    pub fn take_whole(&mut self, max: u32) -> Option<Extent> {
        let block = self.whole.first()?;
        let mut blocks = 0;
        while blocks < max && self.whole.contains(block + blocks) {
            self.whole.remove(block + blocks);
            self.words_of(block + blocks).fill(0);
            blocks += 1;
        }
        self.whole_count -= blocks;
        self.free_count -= blocks * FRAMES_PER_HUGE;
        Some(Extent { first: block * FRAMES_PER_HUGE, count: blocks * FRAMES_PER_HUGE })
    }

    /// Takes this frame, if it is free: gives whether it was. `None` if it never was in the pool.
    pub fn claim(&mut self, frame: u32) -> Option<bool> {
        if frame < self.first || frame >= self.end {
            return None;
        }
        if !self.is_free(frame) {
            return Some(false);
        }
        let block = frame / FRAMES_PER_HUGE;
        if self.whole.contains(block) {
            self.whole.remove(block);
            self.whole_count -= 1;
        }
        self.free[frame as usize / 32] &= !(1 << (frame % 32));
        self.free_count -= 1;
        self.classify(block);
        Some(true)
    }

    /// Takes the block that begins with this frame, if it is whole: gives whether it was. `None` if
    /// none begins there, or a part of it is out.
    pub fn claim_whole(&mut self, frame: u32) -> Option<bool> {
        let block = frame / FRAMES_PER_HUGE;
        if frame % FRAMES_PER_HUGE != 0 || frame < self.first || frame >= self.end {
            return None;
        }
        if self.whole.contains(block) {
            self.whole.remove(block);
            self.whole_count -= 1;
            self.words_of(block).fill(0);
            self.free_count -= FRAMES_PER_HUGE;
            return Some(true);
        }
        (!(frame..frame + FRAMES_PER_HUGE).any(|frame| self.is_free(frame))).then_some(false)
    }

    /// Takes a 4 KiB frame back.
    pub fn put(&mut self, frame: u32) -> Result<(), NotOut> {
        if frame < self.first || frame >= self.end || self.is_free(frame) {
            return Err(NotOut);
        }
        self.free[frame as usize / 32] |= 1 << (frame % 32);
        self.free_count += 1;
        self.classify(frame / FRAMES_PER_HUGE);
        Ok(())
    }

    /// Takes a 2 MiB frame back, named by its first 4 KiB.
    pub fn put_whole(&mut self, frame: u32) -> Result<(), NotOut> {
        let block = frame / FRAMES_PER_HUGE;
        let known = frame >= self.first
            && frame % FRAMES_PER_HUGE == 0
            && self.end.checked_sub(frame).is_some_and(|left| left >= FRAMES_PER_HUGE);
        if !known || self.words_of(block).iter().any(|&word| word != 0) {
            return Err(NotOut);
        }
        self.words_of(block).fill(u32::MAX);
        self.free_count += FRAMES_PER_HUGE;
        self.classify(block);
        Ok(())
    }

    fn words_of(&mut self, block: u32) -> &mut [u32] {
        &mut self.free[block as usize * BLOCK_WORDS..][..BLOCK_WORDS]
    }

    /// Puts a block, whose bits have changed, into the set where it belongs. A block that the end
    /// of the memory or the page table cuts has bits that are never set, so it is never whole.
    fn classify(&mut self, block: u32) {
        let words = self.words_of(block);
        let all = words.iter().all(|&word| word == u32::MAX);
        let any = words.iter().any(|&word| word != 0);
        if all && !self.whole.contains(block) {
            self.whole.insert(block);
            self.whole_count += 1;
        }
        if any && !all {
            self.broken.insert(block);
        } else {
            self.broken.remove(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeSet, vec};

    #[derive(Clone, Copy, Debug)]
    enum Work {
        Take(u32),
        TakeWhole(u32),
        Put(prop::sample::Index),
        PutWhole(prop::sample::Index),
        PutAny(u32),
        PutWholeAny(u32),
    }

    fn work() -> impl Strategy<Value = Work> {
        prop_oneof![
            (1u32..700).prop_map(Work::Take),
            (1u32..3).prop_map(Work::TakeWhole),
            any::<prop::sample::Index>().prop_map(Work::Put),
            any::<prop::sample::Index>().prop_map(Work::PutWhole),
            (0u32..4000).prop_map(Work::PutAny),
            (0u32..4000).prop_map(Work::PutWholeAny),
        ]
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn every_frame_is_in_one_place(
            first in 0u32..600,
            end in 1100u32..3200,
            steps in prop::collection::vec(work(), 0..300),
        ) {
            let mut memory = vec![u32::MAX; pool_words(end)];
            let mut pool = FramePool::new(&mut memory, first, end);
            let mut out = BTreeSet::new();
            let mut whole_out = BTreeSet::new();
            let whole = |frames: &BTreeSet<u32>, huge: &BTreeSet<u32>| (0..end / 512)
                .filter(|b| b * 512 >= first && !huge.contains(&(b * 512)))
                .filter(|b| frames.range(b * 512..b * 512 + 512).next().is_none())
                .count() as u32;
            for step in steps {
                match step {
                    Work::Take(max) => {
                        let before = pool.whole();
                        let broken_had = pool.free() > before * 512;
                        match pool.take(max) {
                            Some(run) => {
                                prop_assert!(run.count > 0 && run.count <= max);
                                for frame in run.first..run.first + run.count {
                                    prop_assert!((first..end).contains(&frame));
                                    prop_assert!(out.insert(frame), "{} twice", frame);
                                    prop_assert!(!whole_out.contains(&(frame / 512 * 512)));
                                }
                                // A whole block is broken only when nothing else is left.
                                prop_assert_eq!(pool.whole(), before - !broken_had as u32);
                            }
                            None => prop_assert_eq!(pool.free(), 0),
                        }
                    }
                    Work::TakeWhole(max) => match pool.take_whole(max) {
                        Some(run) => {
                            prop_assert!(run.first % 512 == 0 && run.count % 512 == 0);
                            prop_assert!(run.count > 0 && run.count <= max * 512);
                            for block in (run.first..run.first + run.count).step_by(512) {
                                prop_assert!(block >= first && block + 512 <= end);
                                prop_assert!(out.range(block..block + 512).next().is_none());
                                prop_assert!(whole_out.insert(block));
                            }
                        }
                        None => prop_assert_eq!(pool.whole(), 0),
                    },
                    Work::Put(i) if !out.is_empty() => {
                        let frame = *out.iter().nth(i.index(out.len())).unwrap();
                        prop_assert_eq!(pool.put(frame), Ok(()));
                        out.remove(&frame);
                        prop_assert_eq!(pool.put(frame), Err(NotOut));
                    }
                    Work::PutWhole(i) if !whole_out.is_empty() => {
                        let frame = *whole_out.iter().nth(i.index(whole_out.len())).unwrap();
                        prop_assert_eq!(pool.put_whole(frame), Ok(()));
                        whole_out.remove(&frame);
                        prop_assert_eq!(pool.put_whole(frame), Err(NotOut));
                    }
                    Work::PutAny(frame) if !out.contains(&frame)
                        && !whole_out.contains(&(frame / 512 * 512)) =>
                    {
                        prop_assert_eq!(pool.put(frame), Err(NotOut));
                    }
                    Work::PutWholeAny(frame) if frame % 512 != 0 || frame < first || frame + 512 > end => {
                        prop_assert_eq!(pool.put_whole(frame), Err(NotOut));
                    }
                    _ => {}
                }
                let gone = out.len() + 512 * whole_out.len();
                prop_assert_eq!(pool.free() as usize, (end - first) as usize - gone);
                prop_assert_eq!(pool.whole(), whole(&out, &whole_out));
            }
        }
    }
}
