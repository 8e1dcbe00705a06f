//! [`Ahead`]: which pages to bring in with one that missed.
//!
//! The policies are ExCache's ([`Predictor`]). Hits cannot be seen here, so the use of pages that came
//! ahead is inferred: a program that misses right behind the last page of a window has gone
//! through the window.

use crate::config::Prefetch;
use crate::excache::predictor::Predictor;

/// log2 of the pages that have one history: 64 MiB.
const NEIGHBOURHOOD: u32 = 14;
/// Histories.
const HISTORIES: usize = 64;
/// Pages in frames that a program may have gone through between two misses. Who jumps about rarely
/// lands that near.
const GAP: usize = 16;
/// Most pages in one window.
pub(super) const WINDOW: usize = 32;

struct History {
    neighbourhood: usize,
    predictor: Predictor,
    /// The page that missed last.
    last: usize,
    window: Window,
}

/// Pages to bring in.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pages: [usize; WINDOW],
    len: usize,
}

impl Window {
    pub const EMPTY: Self = Self { pages: [0; WINDOW], len: 0 };

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

/// Histories of misses, by neighbourhood.
pub(super) struct Ahead {
    policy: Prefetch,
    histories: Vec<Option<History>>,
}

impl Ahead {
    pub fn new(policy: Prefetch) -> Self {
        Self { policy, histories: std::iter::repeat_with(|| None).take(HISTORIES).collect() }
    }

    /// Records a miss; gives the pages to bring in with it, and how many pages of the window
    /// before turned out useful. Is told of pages whether they are in frames.
    pub fn miss(&mut self, page: usize, is_here: impl Fn(usize) -> bool) -> (Window, u64) {
        if self.policy == Prefetch::None {
            return (Window::EMPTY, 0);
        }
        let neighbourhood = page >> NEIGHBOURHOOD;
        let first = neighbourhood << NEIGHBOURHOOD;
        let slot = &mut self.histories[neighbourhood % HISTORIES];
        let history = match slot {
            Some(history) if history.neighbourhood == neighbourhood => history,
            _ => slot.insert(History {
                neighbourhood,
                predictor: Predictor::new(self.policy),
                last: page,
                window: Window::EMPTY,
            }),
        };
        let mut useful = 0;
        if history.window.next() == Some(page) {
            for used in history.window.pages() {
                history.predictor.record(used - first, true);
                useful += 1;
            }
        }
        // Whoever goes through pages of which some are here misses only where one is not.
        let passed = history.last + 1..page;
        if passed.len() <= GAP && passed.clone().all(is_here) {
            passed.for_each(|page| _ = history.predictor.record(page - first, true));
        }
        history.last = page;
        let plan = history.predictor.record(page - first, false);
        let mut window = Window::EMPTY;
        for next in plan.pages(page - first, 1 << NEIGHBOURHOOD).take(WINDOW) {
            window.pages[window.len] = first + next;
            window.len += 1;
        }
        history.window = window;
        (window, useful)
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
            let (window, _) = ahead.miss(page, is_here);
            page = window.pages().last().unwrap_or(&page) + 1;
            page += (0..).take_while(|more| is_here(page + more)).count();
            misses += 1;
        }
        assert!(misses < 500, "{misses}");
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
