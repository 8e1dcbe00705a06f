//! [`Ahead`]: which pages to bring in with one that missed.
//!
//! The policies are ExCache's ([`Predictor`]). A program goes through several arrays by turns, and jumps about in
//! others meanwhile. So misses are first looked at by where they lie, in 2 MiB and in 64 MiB; what turns out to
//! go somewhere is a *stream* from then on, which only those misses belong to that it leads to. Hits
//! cannot be seen here, so the use of pages that came ahead is inferred: a program that misses right behind
//! the last page of a window has gone through the window.

use std::ops::Range;

use crate::config::Prefetch;
use crate::excache::predictor::{Plan, Predictor};

/// log2 of the pages of a place, of which each has a history: small ones, where streams are told apart, and large
/// ones, for long strides.
const PLACES: [u32; 2] = [9, 14];
/// Histories of places of either size.
const HISTORIES: usize = 64;
/// Streams that are followed at a time.
const STREAMS: usize = 16;
/// Pages in frames that a program may have gone through between two misses. Who jumps about rarely
/// lands that near.
const GAP: usize = 16;
/// Most pages in one window.
pub(super) const WINDOW: usize = 32;

/// Pages to bring in.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pages: [usize; WINDOW],
    len: usize,
}

impl Window {
    pub const EMPTY: Self = Self { pages: [0; WINDOW], len: 0 };

    fn new(plan: Plan, page: usize) -> Self {
        let mut window = Self::EMPTY;
        for next in plan.pages(page, usize::MAX).take(WINDOW) {
            window.pages[window.len] = next;
            window.len += 1;
        }
        window
    }

    pub fn pages(&self) -> &[usize] {
        &self.pages[..self.len]
    }

    /// The page that a program touches next when it has gone through from `page` on.
    fn next(&self) -> Option<usize> {
        let last = *self.pages().last()? as isize;
        let step = match self.pages() {
            [.., before, _] => last - *before as isize,
            _ => 1,
        };
        usize::try_from(last + step).ok()
    }
}

/// Misses in one place.
struct History {
    place: usize,
    /// The page that missed last.
    last: usize,
    predictor: Predictor,
}

impl History {
    fn miss(&mut self, page: usize, is_here: impl Fn(usize) -> bool) -> Window {
        let passed = self.last + 1..page;
        if passed.len() <= GAP && passed.clone().all(is_here) {
            passed.for_each(|page| _ = self.predictor.record(page, true));
        }
        self.last = page;
        Window::new(self.predictor.record(page, false), page)
    }
}

/// Misses that lead from one to the next.
struct Stream {
    predictor: Predictor,
    window: Window,
    /// Where the pages lie that it may lead to.
    reach: Range<usize>,
    /// When it went on last, by misses.
    time: u64,
}

impl Stream {
    fn new(predictor: Predictor, window: Window, time: u64) -> Self {
        let mut stream = Self { predictor, window, reach: 0..0, time };
        stream.set_reach();
        stream
    }

    fn set_reach(&mut self) {
        let (pages, next) = (self.window.pages(), self.window.next().unwrap_or(0));
        let (first, last) = (pages.first().map_or(next, |page| *page), next + GAP);
        self.reach = first.min(next)..first.max(last) + 1;
    }

    /// Whether it leads to this page.
    fn leads_to(&self, page: usize, is_here: impl Fn(usize) -> bool) -> bool {
        if !self.reach.contains(&page) {
            return false;
        }
        let beyond = self.window.next().map_or(0..0, |next| next..page);
        self.window.next() == Some(page)
            || self.window.pages().contains(&page)
            || ((1..=GAP).contains(&beyond.len()) && beyond.clone().all(is_here))
    }

    /// It has led to this page; gives how many pages of the window turned out useful.
    fn goes_on(&mut self, page: usize, time: u64) -> u64 {
        let mut useful = 0;
        if !self.window.pages().contains(&page) {
            self.window.pages().iter().for_each(|used| _ = self.predictor.record(*used, true));
            useful = self.window.pages().len() as u64;
        }
        // Whoever goes through pages of which some are here misses only where one is not.
        let passed = self.window.next().map_or(0..0, |next| next..page);
        passed.for_each(|page| _ = self.predictor.record(page, true));
        self.window = Window::new(self.predictor.record(page, false), page);
        self.time = time;
        self.set_reach();
        useful
    }
}

/// Misses so far, by place and by stream.
pub(super) struct Ahead {
    policy: Prefetch,
    histories: [Vec<Option<History>>; 2],
    streams: [Option<Stream>; STREAMS],
    time: u64,
}

impl Ahead {
    /// Bytes of all that is kept.
    pub const BYTES: usize =
        2 * HISTORIES * size_of::<Option<History>>() + STREAMS * size_of::<Option<Stream>>();

    pub fn new(policy: Prefetch) -> Self {
        let none = || std::iter::repeat_with(|| None).take(HISTORIES).collect();
        let streams = [const { None }; STREAMS];
        Self { policy, histories: [none(), none()], streams, time: 0 }
    }

    /// Records a miss; gives the pages to bring in with it, and how many pages of the window
    /// before turned out useful. Is told of pages whether they are in frames.
    pub fn miss(&mut self, page: usize, is_here: impl Fn(usize) -> bool) -> (Window, u64) {
        if self.policy == Prefetch::None {
            return (Window::EMPTY, 0);
        }
        self.time += 1;
        for slot in &mut self.streams {
            if let Some(stream) = slot.as_mut().filter(|stream| stream.leads_to(page, &is_here)) {
                let useful = stream.goes_on(page, self.time);
                let window = stream.window;
                if window.pages().is_empty() {
                    *slot = None;
                }
                return (window, useful);
            }
        }
        for (histories, bits) in self.histories.iter_mut().zip(PLACES) {
            let place = page >> bits;
            let slot = &mut histories[place % HISTORIES];
            let history = match slot {
                Some(history) if history.place == place => history,
                _ => slot.insert(History {
                    place,
                    last: page,
                    predictor: Predictor::new(self.policy),
                }),
            };
            let window = history.miss(page, &is_here);
            if window.pages().is_empty() {
                continue;
            }
            let age = |stream: &Option<Stream>| stream.as_ref().map_or(0, |stream| stream.time);
            let oldest = self.streams.iter_mut().min_by_key(|stream| age(stream));
            if let (Some(oldest), Some(history)) = (oldest, slot.take()) {
                *oldest = Some(Stream::new(history.predictor, window, self.time));
            }
            return (window, 0);
        }
        (Window::EMPTY, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequential_reader_gets_ever_larger_windows_and_all_were_useful() {
        let mut ahead = Ahead::new(Prefetch::Trend { pages: 16 });
        let (mut page, mut misses, mut brought, mut useful) = (1 << 20, 0, 0, 0);
        while page < (1 << 20) + 2000 {
            let (window, used) = ahead.miss(page, |_| false);
            brought += window.pages().len();
            useful += used as usize;
            page += 1 + window.pages().len();
            misses += 1;
        }
        assert!(misses < 150, "{misses}");
        assert!(brought - useful <= 16, "{brought} {useful}");
    }

    #[test]
    fn pages_that_are_here_already_do_not_hide_the_way() {
        let mut ahead = Ahead::new(Prefetch::Trend { pages: 16 });
        // Of every seven pages, these are here.
        let is_here = |page: usize| [0, 1, 4].contains(&(page % 7));
        let (mut page, mut misses) = (2, 0);
        while page < 7000 {
            let window = ahead.miss(page, is_here).0;
            page = window.pages().last().unwrap_or(&page) + 1;
            page += (0..).take_while(|more| is_here(page + more)).count();
            misses += 1;
        }
        assert!(misses < 1000, "{misses}");
    }

    #[test]
    fn several_arrays_by_turns_are_told_apart_and_from_jumps_beside_them() {
        let mut ahead = Ahead::new(Prefetch::Trend { pages: 16 });
        let mut state = 1usize;
        let mut jump = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            12_000 + (state >> 53)
        };
        // Three arrays of 2000 pages, all in 64 MiB, gone through at three speeds.
        let (mut next, mut misses, mut jumps) = ([0, 4000, 8000], [0; 3], 0);
        for turn in 0..2000 {
            for (array, next) in next.iter_mut().enumerate() {
                if turn % (array + 1) == 0 && *next <= 4000 * array + turn / (array + 1) {
                    *next += 1 + ahead.miss(*next, |_| false).0.pages().len();
                    misses[array] += 1;
                }
            }
            jumps += ahead.miss(jump(), |_| false).0.pages().len();
        }
        assert!(misses[0] < 150 && misses[1] < 80 && misses[2] < 60, "{misses:?}");
        assert!(jumps < 40, "{jumps}");
    }

    #[test]
    fn a_random_reader_gets_nothing() {
        let mut ahead = Ahead::new(Prefetch::Trend { pages: 16 });
        let brought: usize = (0..2000usize)
            .map(|i| ahead.miss(i * i * 7919 % 16_381, |_| false).0.pages().len())
            .sum();
        assert!(brought < 20, "{brought}");
    }
}
