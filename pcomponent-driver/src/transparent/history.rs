//! [`History`]: which pages come back soon after they left, and stay longer for it.
//!
//! Hits cannot be seen here: a page that is in a frame is used without anybody's knowledge. What is
//! seen is a page that has to be fetched again. One that comes back before as many others have come as
//! there are frames would not have left under a better order, so it is passed over when the hand
//! comes by: once the first time, then 3, 7 ... 63 times as it goes on coming back. A page that comes
//! back late starts anew. (As 2Q and Linux's refault distance have it, but for the doubling: a page
//! that is used a hundred times as often as others should come a hundredth as often.)
//!
//! Where pages are touched by Zipf's law it misses a quarter less than first in, first out, and half as
//! often where some are touched a hundred times as often as others (the table and the keys of redis);
//! that is ahead of the clock, which sees every use but only one bit of it. Touched alike, pages
//! do as before.

use super::array::Array;
use super::sys::Errno;

/// Bits of a page's word that say how often it came back early.
const HEAT_BITS: u32 = 3;
/// How often that is counted: the hand passes over such a page 63 times.
const HEAT_MAX: u32 = 6;
/// The rest of the word is the time when it left, by pages that had come. It wraps around: a page that
/// was away for as long may be taken for one that came back early, and stays for no reason.
const TIMES: u32 = u32::MAX >> HEAT_BITS;

/// How often pages came back early, and how often the hand is to pass over those in frames.
pub(super) struct History {
    pages: Array<u32>,
    /// By frame.
    stays: Array<u8>,
}

impl History {
    /// For so many pages, and at most as many frames.
    pub fn new(pages: usize) -> Result<Self, Errno> {
        Ok(Self { pages: Array::new(pages)?, stays: Array::new(pages)? })
    }

    /// Bytes for a page, and for a frame.
    pub const BYTES: (usize, usize) = (size_of::<u32>(), size_of::<u8>());

    /// A page will come into a frame in a moment.
    pub fn expect(&self, page: usize) {
        self.pages.expect(page);
    }

    /// A page comes into a frame, the `now`th of all, there being so many frames. It `left` before,
    /// or was never here. Whether it came back early.
    pub fn came(&mut self, page: usize, frame: usize, now: u32, frames: usize, left: bool) -> bool {
        let word = self.pages[page];
        let away = (now & TIMES).wrapping_sub(word >> HEAT_BITS) & TIMES;
        let early = left && (away as usize) < frames;
        let heat = if early { (word_heat(word) + 1).min(HEAT_MAX) } else { 0 };
        self.pages[page] = word & !((1 << HEAT_BITS) - 1) | heat;
        self.stays[frame] = ((1u32 << heat) - 1) as u8;
        early
    }

    /// A page leaves its frame, after `now` pages have come.
    pub fn leaves(&mut self, page: usize, now: u32) {
        self.pages[page] = (now & TIMES) << HEAT_BITS | word_heat(self.pages[page]);
    }

    /// A page has another address from now on.
    pub fn moves(&mut self, from: usize, to: usize) {
        self.pages[to] = self.pages[from];
    }

    /// Whether the page in a frame is to stay when the hand comes by.
    pub fn stays(&self, frame: usize) -> bool {
        self.stays[frame] > 0
    }

    /// The hand passes over the page in a frame.
    pub fn pass_over(&mut self, frame: usize) {
        self.stays[frame] = self.stays[frame].saturating_sub(1);
    }
}

fn word_heat(word: u32) -> u32 {
    word & ((1 << HEAT_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(history: &mut History, frame: usize) -> u32 {
        let mut passes = 0;
        while history.stays(frame) {
            history.pass_over(frame);
            passes += 1;
        }
        passes
    }

    #[test]
    fn who_comes_back_early_stays_twice_as_long_each_time() {
        let mut history = History::new(16).unwrap();
        let mut stays = Vec::new();
        // The count of pages wraps around on the way.
        let mut now = u32::MAX - 200;
        history.came(3, 5, now, 100, false);
        for _ in 0..8 {
            stays.push(passes(&mut history, 5));
            history.leaves(3, now);
            now = now.wrapping_add(99);
            history.came(3, 5, now, 100, true);
        }
        assert_eq!(stays, [0, 1, 3, 7, 15, 31, 63, 63]);
        history.leaves(3, now);
        history.came(3, 5, now.wrapping_add(100), 100, true);
        assert_eq!(passes(&mut history, 5), 0, "it came back late");
    }

    #[test]
    fn a_page_that_was_never_here_is_not_back() {
        let mut history = History::new(16).unwrap();
        history.came(3, 5, 1, 100, false);
        history.leaves(3, 2);
        history.came(3, 6, 3, 100, false);
        assert_eq!(passes(&mut history, 6), 0);
        history.leaves(3, 3);
        history.moves(3, 9);
        history.came(9, 6, 4, 100, true);
        assert_eq!(passes(&mut history, 6), 1);
    }

    /// Misses of touches by a generator, in so many frames, with the hand of the engine.
    fn misses(frames: usize, history: bool, mut touch: impl FnMut() -> usize) -> usize {
        let mut held = History::new(4096).unwrap();
        let mut frame_of = vec![None; 4096];
        let mut pages = Vec::new();
        let (mut hand, mut now) = (0, 0);
        for _ in 0..200_000 {
            let page = touch();
            if frame_of[page].is_some() {
                continue;
            }
            now += 1;
            let frame = if pages.len() < frames {
                pages.push(page);
                pages.len() - 1
            } else {
                hand = (hand + 1) % frames;
                while history && held.stays(hand) {
                    held.pass_over(hand);
                    hand = (hand + 1) % frames;
                }
                frame_of[pages[hand]] = None;
                held.leaves(pages[hand], now);
                pages[hand] = page;
                hand
            };
            held.came(page, frame, now, frames, true);
            frame_of[page] = Some(frame);
        }
        now as usize
    }

    #[test]
    fn popular_pages_miss_a_fifth_less_at_least_and_equal_ones_as_before() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / (1u64 << 31) as f64
        };
        // Close to Zipf's law: each power of two of ranks is touched alike often.
        let mut popular = || (4096f64.powf(random()) as usize - 1) * 1001 % 4096;
        let (with, without) = (misses(512, true, &mut popular), misses(512, false, &mut popular));
        assert!(with * 5 < without * 4, "{with} {without}");
        let mut state = 1u64;
        let mut equal = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 52) as usize
        };
        let (with, without) = (misses(512, true, &mut equal), misses(512, false, &mut equal));
        assert!(with * 100 < without * 101, "{with} {without}");
    }
}
