//! [`Predictor`]: which pages of a region will be asked for next.

use crate::config::Prefetch;

/// Steps that the trend is sought in (Leap: 32).
const HISTORY: usize = 32;
/// The first window is this fraction of the history (Leap's Nsplit).
const SPLIT: usize = 4;

/// Pages to fetch: `count` of them, `step` apart, from the one behind the access on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    step: i64,
    count: usize,
}

impl Plan {
    /// Indices of the pages that exist in a region of `pages`.
    pub fn pages(self, from: usize, pages: usize) -> impl Iterator<Item = usize> {
        (1..=self.count as i64)
            .map_while(move |i| usize::try_from(from as i64 + i * self.step).ok())
            .take_while(move |page| *page < pages)
    }
}

/// History of one region's misses and of the first uses of its prefetched pages.
pub(crate) struct Predictor {
    policy: Prefetch,
    last: Option<usize>,
    steps: [i64; HISTORY],
    /// Steps recorded, ever.
    recorded: usize,
    /// And when the last one came that was the same as the one before, counted from 1.
    repeated: usize,
    /// Trend: prefetched pages used since the last prefetch, and that prefetch's size.
    useful: usize,
    window: usize,
}

impl Predictor {
    pub fn new(policy: Prefetch) -> Self {
        Self {
            policy,
            last: None,
            steps: [0; HISTORY],
            recorded: 0,
            repeated: 0,
            useful: 0,
            window: 0,
        }
    }

    /// Records a miss of `page`, or the first use of it after it was prefetched, and plans.
    pub fn record(&mut self, page: usize, prefetched: bool) -> Plan {
        if let Some(last) = self.last {
            let step = page as i64 - last as i64;
            let repeats = self.step(0) == Some(step);
            self.steps[self.recorded % HISTORY] = step;
            self.recorded += 1;
            if repeats {
                self.repeated = self.recorded;
            }
        }
        self.last = Some(page);
        match self.policy {
            Prefetch::None => Plan::default(),
            Prefetch::Sequential { pages } => Plan { step: 1, count: pages },
            Prefetch::Stride { pages } => match (self.step(0), self.step(1)) {
                (Some(a), Some(b)) if a == b && a != 0 => Plan { step: a, count: pages },
                _ => Plan::default(),
            },
            Prefetch::Trend { .. } if prefetched => {
                self.useful += 1;
                Plan::default()
            }
            Prefetch::Trend { pages } => self.along_trend(pages),
        }
    }

    /// The step `back` steps ago.
    fn step(&self, back: usize) -> Option<i64> {
        (back < self.recorded.min(HISTORY))
            .then(|| self.steps[(self.recorded - 1 - back) % HISTORY])
    }

    /// Leap, algorithm 2: as many pages as the last prefetch was useful, along the trend.
    fn along_trend(&mut self, most: usize) -> Plan {
        let trend = self.trend().filter(|step| *step != 0);
        let mut window = if self.useful > 0 {
            (self.useful + 1).next_power_of_two()
        } else {
            (trend.is_some() && trend == self.step(0)) as usize
        };
        // It shrinks smoothly when prefetches stop being useful.
        window = window.max(self.window / 2).min(most);
        self.useful = 0;
        self.window = window;
        trend.map_or(Plan::default(), |step| Plan { step, count: window })
    }

    /// Leap, algorithm 1: the majority step of the smallest window that has one.
    fn trend(&self) -> Option<i64> {
        // Of an even number of steps more than half are the same only if two neighbours are.
        if self.repeated + HISTORY <= self.recorded + 1 || self.repeated == 0 {
            return None;
        }
        let mut window = HISTORY / SPLIT;
        while window <= HISTORY {
            let steps = || (0..window).map_while(|back| self.step(back));
            // Boyer and Moore's vote, then the count that tells whether it is a majority.
            let (mut candidate, mut votes) = (0, 0usize);
            for step in steps() {
                match votes {
                    0 => (candidate, votes) = (step, 1),
                    _ if step == candidate => votes += 1,
                    _ => votes -= 1,
                }
            }
            if steps().filter(|step| *step == candidate).count() > window / 2 {
                return Some(candidate);
            }
            window *= 2;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(predictor: &mut Predictor, page: usize, pages: usize) -> Vec<usize> {
        predictor.record(page, false).pages(page, pages).collect()
    }

    #[test]
    fn sequential_stays_in_the_region() {
        let mut p = Predictor::new(Prefetch::Sequential { pages: 4 });
        assert_eq!(planned(&mut p, 3, 100), [4, 5, 6, 7]);
        assert_eq!(planned(&mut p, 97, 100), [98, 99]);
    }

    #[test]
    fn stride_wants_two_equal_steps() {
        let mut p = Predictor::new(Prefetch::Stride { pages: 2 });
        assert_eq!(planned(&mut p, 50, 100), [0usize; 0]);
        assert_eq!(planned(&mut p, 43, 100), [0usize; 0]);
        assert_eq!(planned(&mut p, 36, 100), [29, 22]);
        assert_eq!(planned(&mut p, 35, 100), [0usize; 0]);
        assert_eq!(planned(&mut p, 34, 100), [33, 32]);
        assert_eq!(planned(&mut p, 34, 100), [0usize; 0]);
        assert_eq!(planned(&mut p, 34, 100), [0usize; 0], "a repeated page is no stride");
    }

    #[test]
    fn the_trend_survives_strangers_among_the_steps() {
        let mut p = Predictor::new(Prefetch::Trend { pages: 8 });
        // One stride of 3, with one access in five elsewhere.
        let mut plans = Vec::new();
        for i in 0..60 {
            let page = if i % 5 == 4 { 900 + 7 * i } else { 3 * i };
            plans.push((page, planned(&mut p, page, 1000)));
        }
        assert!(plans[..5].iter().all(|(_, pages)| pages.is_empty()));
        let right = plans.iter().filter(|(page, pages)| pages.first() == Some(&(page + 3))).count();
        let wrong = plans.iter().filter(|(page, pages)| !pages.is_empty() && pages[0] != page + 3);
        assert!(right >= 20, "{right}");
        assert_eq!(wrong.count(), 0);
    }

    #[test]
    fn the_trend_window_follows_usefulness() {
        let mut p = Predictor::new(Prefetch::Trend { pages: 8 });
        let mut page = 0;
        let mut sizes = Vec::new();
        for _ in 0..20 {
            let count = planned(&mut p, page, 10_000).len();
            sizes.push(count);
            // All that was prefetched is used, then the next page misses.
            for _ in 0..count {
                page += 1;
                p.record(page, true);
            }
            page += 1;
        }
        let first = sizes.iter().position(|size| *size > 0).unwrap();
        assert_eq!(sizes[first..][..4], [1, 2, 4, 8]);
        assert!(sizes[first + 3..].iter().all(|size| *size == 8));
        // Now nothing is: the window halves, and ends.
        let mut after = Vec::new();
        for i in 0..40 {
            page += 17 * i * i % 101 + 2;
            after.push(planned(&mut p, page, 100_000_000).len());
        }
        assert!(after[0] >= 4 && after[38..] == [0, 0], "{after:?}");
    }

    #[test]
    fn the_trend_is_the_majority_of_the_smallest_window_that_has_one() {
        let mut p = Predictor::new(Prefetch::Trend { pages: 8 });
        let (mut page, mut steps, mut found) = (1i64 << 40, Vec::new(), [0; 2]);
        let mut state = 1u64;
        for i in 0..40_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Now and then two steps only, of which either may be the most frequent.
            let step = (state >> 60) as i64 % [2, 3, 16][i / 50 % 3] + 1;
            if i > 0 {
                steps.push(step);
                page += step;
            }
            p.record(page as usize, false);
            let majority = [8, 16, 32].into_iter().find_map(|window| {
                let last = &steps[steps.len().saturating_sub(window)..];
                let count = |step: &i64| last.iter().filter(|other| *other == step).count();
                last.iter().copied().find(|step| count(step) > window / 2)
            });
            assert_eq!(p.trend(), majority, "{i} {steps:?}");
            found[usize::from(majority.is_some())] += 1;
        }
        assert!(found[0] > 5000 && found[1] > 5000, "{found:?}");
    }

    #[test]
    fn no_majority_means_no_prefetch() {
        let mut p = Predictor::new(Prefetch::Trend { pages: 8 });
        for i in 0..200usize {
            let page = i * i * 31 % 997;
            assert_eq!(planned(&mut p, page, 1000), [0usize; 0], "{i}");
        }
    }
}
