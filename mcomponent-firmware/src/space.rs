//! Virtual addresses: where a range goes.
//!
//! A page's bucket follows from its pid, its vRegion and its index there (see
//! [`splitmem_abi::hash`]), so choosing addresses is choosing buckets. The monitor fills the table
//! like water: it looks for a place where every bucket holds at most `limit` entries, `limit` being
//! the average first and the most that is possible last. Levels thus rise together, and long runs
//! of buckets with a free slot remain almost until the table is full.
//!
//! Places are looked for above the process's highest allocation first: in the rest of its vRegion,
//! then in fresh ones. Each vRegion begins at another bucket, so of many the least loaded are
//! searched. Only when that gives nothing, the gaps below are gone through. A range may cross from
//! one vRegion into the next; its parts then lie in unrelated buckets and are all looked at.

use crate::occupancy::Occupancy;
use crate::records::{place_of, position, Full, Records};
use splitmem_abi::geometry::{PageSize, HUGE_BIT, PAGE_SHIFT, VA_END, VREGION_SHIFT};
use splitmem_abi::hash;
use splitmem_abi::mailbox::Range;
use splitmem_abi::pte::SLOTS;

/// The first address that is handed out: the lowest vRegion stays empty, so that null pointers and
/// what is near them, 32-bit offsets included, never hit memory.
pub(crate) const FIRST_VA: u64 = 1 << VREGION_SHIFT;

/// Fresh vRegions that are compared at most.
const CANDIDATES: usize = 64;
/// How many of them are searched, before more entries per bucket are put up with; all at last.
const SEARCHED: usize = 3;
/// vRegions that are searched at most in the gaps below the highest allocation, per limit.
const TRIES: u32 = 64;

/// How far above the first fresh vRegion the `i`-th candidate lies: over 1024 of them, because the
/// hash's high bits follow from few of a vRegion's low bits.
fn scatter(i: u32) -> u64 {
    (i as u64 * 37) % 1024
}

/// The end of the vRegion that holds `va`.
fn vregion_end(va: u64) -> u64 {
    ((va >> VREGION_SHIFT) + 1) << VREGION_SHIFT
}

/// Splits a range at vRegion borders, and into parts of at most `max` pages.
pub(crate) fn split(range: Range, max: u32) -> impl Iterator<Item = Range> {
    let size = PageSize::of(range.va);
    let mut rest = range;
    core::iter::from_fn(move || {
        let in_vregion = (vregion_end(rest.va) - rest.va) >> size.shift();
        let pages = (rest.pages as u64).min(in_vregion).min(max as u64) as u32;
        let part = Range { pages, ..rest };
        rest.va += (pages as u64) << size.shift();
        rest.pages -= pages;
        (pages > 0).then_some(part)
    })
}

/// The range without its first `pages` pages.
pub(crate) fn without_first(range: Range, pages: u32) -> Range {
    let va = range.va + ((pages as u64) << PageSize::of(range.va).shift());
    Range { va, pages: range.pages - pages, ..range }
}

/// Free addresses of a process.
#[derive(Clone, Copy)]
struct Gap {
    start: u64,
    end: u64,
}

/// The address spaces of all processes.
#[derive(Debug)]
pub(crate) struct AddressSpaces<'a> {
    /// What is allocated.
    pub records: Records<'a>,
    /// What the page table holds.
    pub occupancy: Occupancy<'a>,
}

impl AddressSpaces<'_> {
    /// Finds a range of `pages` free pages whose buckets all have a free slot, and takes these
    /// slots. The range is not yet recorded.
    pub fn place(&mut self, pid: u16, size: PageSize, pages: u32) -> Option<Range> {
        if pages > self.occupancy.slots() - self.occupancy.entries() {
            return None;
        }
        let average = self.occupancy.entries() / self.occupancy.buckets();
        let limits = average..SLOTS as u32;
        let (start, end) = match size {
            PageSize::Small => (FIRST_VA, 1 << HUGE_BIT),
            PageSize::Huge => (1 << HUGE_BIT, VA_END),
        };
        let (low, high) = (position(pid, start), position(pid, 0) + (end >> PAGE_SHIFT));
        let records = self.records.touching(low, high);
        let gap = |i: usize| Gap {
            start: match i.checked_sub(1) {
                Some(before) => place_of(records[before].end() - 1).1 + (1 << PAGE_SHIFT),
                None => start,
            },
            end: records.get(i).map_or(end, |next| place_of(next.start()).1),
        };
        let occupancy = &mut self.occupancy;
        for limit in limits.clone() {
            let range = Search::new(pid, size, pages, limit, occupancy).above(gap(records.len()));
            if range.is_some() {
                return range;
            }
        }
        for limit in limits {
            let mut search = Search::new(pid, size, pages, limit, occupancy);
            let mut tries = TRIES;
            let range = (0..records.len()).find_map(|i| search.below(gap(i), &mut tries));
            if range.is_some() {
                return range;
            }
        }
        None
    }

    /// Takes the slots of a range that is recorded already. False if a bucket has none left.
    pub fn reserve(&mut self, range: Range) -> bool {
        reserve(&mut self.occupancy, range, SLOTS as u32)
    }

    /// Gives the slots of pages back that were never recorded.
    pub fn vacate(&mut self, range: Range) {
        for_each_run(&mut self.occupancy, range, |occupancy, first, n| {
            occupancy.remove(first, n);
            true
        });
    }

    /// Forgets a recorded range, and its slots.
    pub fn forget(&mut self, range: Range) -> Result<(), Full> {
        self.records.remove(range)?;
        self.vacate(range);
        Ok(())
    }

    /// Never uses the bucket of this page again.
    pub fn retire(&mut self, pid: u16, va: u64) {
        let bucket = hash::bucket(pid, va, self.occupancy.log2());
        self.occupancy.retire(bucket);
    }
}

/// Calls `each` with the runs of buckets that a range takes, none of them longer than the table,
/// until it gives false. Gives how many pages it was called for with success.
fn for_each_run(
    occupancy: &mut Occupancy<'_>,
    range: Range,
    mut each: impl FnMut(&mut Occupancy<'_>, u32, u32) -> bool,
) -> u32 {
    let mut done = 0;
    for part in split(range, occupancy.buckets()) {
        let first = hash::bucket(part.pid, part.va, occupancy.log2());
        if !each(occupancy, first, part.pages) {
            break;
        }
        done += part.pages;
    }
    done
}

/// Takes the slots of a range if no bucket held more than `limit` entries before each of its pages.
fn reserve(occupancy: &mut Occupancy<'_>, range: Range, limit: u32) -> bool {
    let done = for_each_run(occupancy, range, |occupancy, first, n| {
        let fits = occupancy.fits(first, n, limit);
        if fits {
            occupancy.add(first, n);
        }
        fits
    });
    if done == range.pages {
        return true;
    }
    for_each_run(occupancy, Range { pages: done, ..range }, |occupancy, first, n| {
        occupancy.remove(first, n);
        true
    });
    false
}

/// A search for a place where no bucket holds more than `limit` entries so far.
struct Search<'s, 'a> {
    pid: u16,
    size: PageSize,
    pages: u32,
    limit: u32,
    occupancy: &'s mut Occupancy<'a>,
    /// Every bucket was tried as the first one: another vRegion has nothing to add for ranges that
    /// lie in one.
    circled: bool,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(
        pid: u16,
        size: PageSize,
        pages: u32,
        limit: u32,
        occupancy: &'s mut Occupancy<'a>,
    ) -> Self {
        Self { pid, size, pages, limit, occupancy, circled: false }
    }

    fn bytes(&self, pages: u32) -> u64 {
        (pages as u64) << self.size.shift()
    }

    fn bucket(&self, va: u64) -> u32 {
        hash::bucket(self.pid, va, self.occupancy.log2())
    }

    /// Looks in the gap above the highest allocation.
    fn above(&mut self, gap: Gap) -> Option<Range> {
        let border = vregion_end(gap.start - 1);
        if gap.start < border {
            let range = self.vregion(gap);
            if range.is_some() {
                return range;
            }
        }
        let last = self.limit as usize == SLOTS - 1;
        let mut searched = [u64::MAX; CANDIDATES];
        for i in 0..if last { CANDIDATES } else { SEARCHED } {
            let best = self.least_loaded(Gap { start: border, ..gap }, &searched[..i])?;
            searched[i] = best;
            let range = self.vregion(Gap { start: best, ..gap });
            if range.is_some() {
                return range;
            }
        }
        None
    }

    /// The least loaded of the candidates among the vRegions of `gap`, which begins with one, except
    /// those that were searched.
    fn least_loaded(&self, gap: Gap, searched: &[u64]) -> Option<u64> {
        // Twice as many as there are places in the table.
        let reach = (1 << VREGION_SHIFT) >> self.size.shift();
        let count = (2 * self.occupancy.buckets() / reach).clamp(1, CANDIDATES as u32);
        (0..count)
            .map(|i| gap.start + (scatter(i) << VREGION_SHIFT))
            .filter(|va| va + self.bytes(self.pages) <= gap.end && !searched.contains(va))
            .min_by_key(|&va| {
                let range = Range { pid: self.pid, va, pages: self.pages.max(reach) };
                let parts = split(range, reach);
                let loads = parts.map(|part| self.occupancy.load(self.bucket(part.va), part.pages));
                loads.map(u64::from).sum::<u64>()
            })
    }

    /// Looks in a gap, one vRegion after the other.
    fn below(&mut self, gap: Gap, tries: &mut u32) -> Option<Range> {
        let mut at = gap.start;
        while *tries > 0 && gap.end - at >= self.bytes(self.pages) {
            *tries -= 1;
            let range = self.vregion(Gap { start: at, ..gap });
            if range.is_some() {
                return range;
            }
            at = vregion_end(at).min(gap.end);
        }
        None
    }

    /// Looks for a range that begins in the gap's first vRegion.
    fn vregion(&mut self, gap: Gap) -> Option<Range> {
        let border = vregion_end(gap.start);
        self.inside(gap.start, border.min(gap.end)).or_else(|| self.across(gap, border))
    }

    /// Looks for a place from `at` to `end`, in one vRegion.
    fn inside(&mut self, at: u64, end: u64) -> Option<Range> {
        let room = ((end - at) >> self.size.shift()) as u32;
        if self.circled || room < self.pages {
            return None;
        }
        // A range longer than the table goes around it: `rounds` times wholly, then a rest.
        let buckets = self.occupancy.buckets();
        let rounds = (self.pages - 1) / buckets;
        let rest = self.pages - rounds * buckets;
        let starts = room - self.pages + 1;
        self.circled = starts >= buckets;
        let limit = self.limit.checked_sub(rounds)?;
        let first = self.bucket(at);
        let offset = self.occupancy.find(first, starts.min(buckets), rest, limit)?;
        self.try_at(at + self.bytes(offset))
    }

    /// Looks for a place across the vRegion border at `border`: as much as fits before it.
    fn across(&mut self, gap: Gap, border: u64) -> Option<Range> {
        if border >= gap.end {
            return None;
        }
        let room = ((border - gap.start) >> self.size.shift()) as u32;
        let max = room.min(self.pages - 1).min(self.occupancy.buckets());
        // Asked by the page before it: the border itself has the next vRegion's hash.
        let last = self.bucket(border - 1);
        let before = self.occupancy.fitting_before(last.wrapping_add(1), max, self.limit);
        let start = border - self.bytes(before);
        if before == 0 || gap.end - start < self.bytes(self.pages) {
            return None;
        }
        self.try_at(start)
    }

    fn try_at(&mut self, va: u64) -> Option<Range> {
        let range = Range { pid: self.pid, va, pages: self.pages };
        reserve(self.occupancy, range, self.limit).then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::occupancy::occupancy_words;
    use crate::records::{Attributes, Record};
    use proptest::prelude::*;
    use rand::{rngs::SmallRng, Rng, SeedableRng};
    use splitmem_abi::mailbox::Permission;
    use std::{collections::BTreeSet, eprintln, vec, vec::Vec};

    const ATTRIBUTES: Attributes = Attributes { permission: Permission::RW, shareable: false };

    fn pages(range: Range) -> impl Iterator<Item = u64> {
        let size = PageSize::of(range.va);
        (0..range.pages as u64).map(move |i| range.va + i * size.bytes())
    }

    fn with_space<T>(log2: u32, test: impl FnOnce(&mut AddressSpaces<'_>) -> T) -> T {
        let mut words = vec![0; occupancy_words(log2)];
        let mut records = vec![Record::EMPTY; 10_000];
        test(&mut AddressSpaces {
            records: Records::new(&mut records),
            occupancy: Occupancy::new(&mut words, log2),
        })
    }

    fn alloc(space: &mut AddressSpaces<'_>, pid: u16, size: PageSize, n: u32) -> Option<Range> {
        let range = space.place(pid, size, n)?;
        space.records.insert(range, ATTRIBUTES).expect("records are plenty");
        Some(range)
    }

    /// Entries per bucket, counted page by page.
    fn count(load: &mut [u32], range: Range, sign: i32) {
        for va in pages(range) {
            let bucket = hash::bucket(range.pid, va, load.len().trailing_zeros());
            let entries = &mut load[bucket as usize];
            *entries = entries.wrapping_add_signed(sign);
        }
    }

    /// Whether `n` pages in one vRegion could be placed if all its addresses were free.
    fn could_be_placed(load: &[u32], n: u32) -> bool {
        (0..load.len()).any(|first| {
            let mut load = load.to_vec();
            let buckets = load.len();
            (first..first + n as usize).all(|i| {
                let entries = &mut load[i % buckets];
                *entries += 1;
                *entries <= SLOTS as u32
            })
        })
    }

    fn size() -> impl Strategy<Value = PageSize> {
        prop_oneof![Just(PageSize::Small), Just(PageSize::Huge)]
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn no_bucket_takes_a_fifth_entry(
            log2 in 6u32..9,
            steps in prop::collection::vec(
                (0u16..3, size(), prop_oneof![4 => 1u32..60, 1 => 60u32..700], any::<u64>()),
                1..80,
            ),
        ) {
            with_space(log2, |space| {
                let mut load = vec![0; 1 << log2];
                let mut held: Vec<Range> = vec![];
                for (pid, size, n, choice) in steps {
                    if choice % 3 == 0 && !held.is_empty() {
                        // A part of what one process holds.
                        let range = held.swap_remove((choice >> 8) as usize % held.len());
                        let first = (choice >> 32) as u32 % range.pages;
                        let gone = without_first(range, first);
                        let gone = Range { pages: 1 + (choice >> 16) as u32 % gone.pages, ..gone };
                        space.forget(gone).expect("records are plenty");
                        count(&mut load, gone, -1);
                        let parts = [Range { pages: first, ..range },
                            without_first(range, first + gone.pages)];
                        held.extend(parts.into_iter().filter(|part| part.pages > 0));
                        continue;
                    }
                    match alloc(space, pid, size, n) {
                        Some(range) => {
                            prop_assert_eq!((range.pid, range.pages), (pid, n));
                            prop_assert!(range.va >= FIRST_VA && range.va % size.bytes() == 0);
                            let last = range.va + (n as u64 - 1) * size.bytes();
                            prop_assert!(PageSize::of(range.va) == size);
                            prop_assert!(last < VA_END && PageSize::of(last) == size);
                            let end = |r: &Range| r.va + r.pages as u64 * PageSize::of(r.va).bytes();
                            for other in held.iter().filter(|other| other.pid == pid) {
                                let apart = end(&range) <= other.va || end(other) <= range.va;
                                prop_assert!(apart, "{:x?} {:x?}", range, other);
                            }
                            count(&mut load, range, 1);
                            held.push(range);
                        }
                        None if n <= size_pages(size) - (1 << log2) => {
                            prop_assert!(!could_be_placed(&load, n), "{} pages fit", n);
                        }
                        None => {}
                    }
                    prop_assert!(load.iter().all(|&entries| entries <= SLOTS as u32));
                    for (bucket, &entries) in (0..).zip(&load) {
                        prop_assert_eq!(space.occupancy.of(bucket), entries);
                    }
                }
                Ok(())
            })?;
        }
    }

    /// Pages of a vRegion.
    fn size_pages(size: PageSize) -> u32 {
        1 << (VREGION_SHIFT - size.shift())
    }

    #[test]
    fn a_range_may_cross_vregions() {
        with_space(12, |space| {
            // 2 MiB pages: three vRegions of 512.
            let range = alloc(space, 1, PageSize::Huge, 1500).expect("the table is empty");
            let mut load = vec![0; 1 << 12];
            count(&mut load, range, 1);
            assert!(load.iter().all(|&n| n <= SLOTS as u32));
            // 4 KiB pages, with no room but around a border: 3 pages before it, 7 behind.
            let border = 9 << VREGION_SHIFT;
            let (low, high) = (border - (3 << PAGE_SHIFT), border + (7 << PAGE_SHIFT));
            let filled = |start: u64, end: u64| {
                (start..end).step_by(1 << 43).map(move |va| Range {
                    pid: 2,
                    va,
                    pages: ((end - va).min(1 << 43) >> PAGE_SHIFT) as u32,
                })
            };
            for (i, range) in (0..).zip(filled(FIRST_VA, low).chain(filled(high, 1 << HUGE_BIT))) {
                // Different ones in turn, so that they stay apart: more pages than one can count.
                let attributes = Attributes { shareable: i % 2 == 0, ..ATTRIBUTES };
                space.records.insert(range, attributes).expect("records are plenty");
            }
            assert_eq!(space.place(2, PageSize::Small, 11), None);
            let range = alloc(space, 2, PageSize::Small, 9).expect("10 pages are free");
            assert_eq!(range.va, low);
            assert_eq!(alloc(space, 2, PageSize::Small, 2), None);
            let last = alloc(space, 2, PageSize::Small, 1).expect("one page is free");
            assert_eq!(last.va, high - (1 << PAGE_SHIFT));
            // The other half of its address space is empty.
            assert!(alloc(space, 2, PageSize::Huge, 1).is_some());
        });
    }

    #[test]
    fn ranges_longer_than_the_table_go_around_it() {
        with_space(6, |space| {
            let range = alloc(space, 3, PageSize::Small, 256).expect("exactly full");
            assert!((0..64).all(|bucket| space.occupancy.of(bucket) == 4));
            assert_eq!(alloc(space, 4, PageSize::Huge, 1), None);
            space.forget(range).expect("records are plenty");
            assert_eq!(space.occupancy.entries(), 0);
            assert!(alloc(space, 3, PageSize::Huge, 255).is_some());
            assert!(alloc(space, 5, PageSize::Huge, 1).is_some());
            assert_eq!(alloc(space, 5, PageSize::Huge, 1), None);
        });
    }

    #[test]
    fn a_retired_bucket_is_avoided() {
        with_space(6, |space| {
            let range = alloc(space, 3, PageSize::Small, 1).expect("the table is empty");
            space.forget(range).expect("records are plenty");
            space.retire(3, range.va);
            // In one vRegion there is no way around it; a vRegion border lets the rest fit.
            let around = alloc(space, 3, PageSize::Small, 64).expect("63 buckets, four slots each");
            let bucket = hash::bucket(3, range.va, 6);
            assert_eq!(space.occupancy.of(bucket), 0);
            assert_eq!(around.pages, space.occupancy.entries());
        });
    }

    /// Allocates and frees ranges of random sizes until no address is found. Gives the part of the
    /// table's slots that was taken then, and the part of the allocations that were 2 MiB pages.
    fn fill_at_first_refusal(log2: u32, longest: u32, churn: bool, seed: u64) -> f64 {
        with_space(log2, |space| {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut held: Vec<Range> = vec![];
            loop {
                let huge = rng.random_ratio(1, 20);
                let size = if huge { PageSize::Huge } else { PageSize::Small };
                // As many small ones as large ones: the logarithm is even.
                let most = if huge { 256 } else { longest } as f64;
                let n = most.powf(rng.random::<f64>()) as u32;
                match alloc(space, rng.random_range(0..100), size, n) {
                    Some(range) => held.push(range),
                    None => {
                        return space.occupancy.entries() as f64 / space.occupancy.slots() as f64
                    }
                }
                // Of what was allocated, two fifths are freed again at once, in random order.
                if churn && rng.random_ratio(2, 5) {
                    let gone = held.swap_remove(rng.random_range(0..held.len()));
                    space.forget(gone).expect("records are plenty");
                }
            }
        })
    }

    #[test]
    fn nine_tenths_of_the_frames_can_be_allocated() {
        for log2 in [12, 16] {
            for longest in [1 << (log2 - 8), 1 << (log2 - 4), 1 << (log2 - 1)] {
                for churn in [false, true] {
                    let fill = |seed| fill_at_first_refusal(log2, longest, churn, seed);
                    let worst = (0..5).map(fill).fold(1.0, f64::min);
                    eprintln!(
                        "2^{log2} buckets, ranges of 1 to {longest} pages, churn {churn}: \
                         first refusal at {:.1} % of the slots or later (seeds 0 to 4)",
                        100.0 * worst
                    );
                    // A table has two slots per frame, so all frames are half of the slots. First
                    // fit, without levels, ends at 46 % for the longest ranges.
                    assert!(worst > 0.65, "{worst}");
                }
            }
        }
    }

    /// All frames stay allocated, in ever changing pieces.
    #[test]
    fn a_full_memory_can_be_reused_for_ever() {
        for (log2, longest, count) in [(10, 256, 3000), (14, 4096, 3000), (21, 1 << 18, 600)] {
            with_space(log2, |space| {
                let frames = 2u32 << log2;
                let mut rng = SmallRng::seed_from_u64(log2 as u64);
                let mut held: Vec<Range> = vec![];
                for i in 0..count {
                    let n = f64::from(longest).powf(rng.random::<f64>()) as u32;
                    while space.occupancy.entries() + n > frames {
                        let gone = held.swap_remove(rng.random_range(0..held.len()));
                        space.forget(gone).expect("records are plenty");
                    }
                    let range = alloc(space, rng.random_range(0..50), PageSize::Small, n);
                    held.push(range.unwrap_or_else(|| panic!("allocation {i}: {n} pages")));
                }
            });
        }
    }

    #[test]
    fn candidates_begin_all_over_the_table() {
        for log2 in 19..=24 {
            for pid in [0, 1, 77, 40_000] {
                let first = |i| FIRST_VA + (scatter(i) << VREGION_SHIFT);
                let places = 1usize << (log2 - 18);
                let begun: BTreeSet<u32> = (0..2 * places as u32)
                    .map(|i| hash::bucket(pid, first(i.min(CANDIDATES as u32 - 1)), log2) >> 18)
                    .collect();
                assert!(3 * begun.len() >= places, "{log2} {pid}: {} of {places}", begun.len());
            }
        }
    }

    /// In a table that one vRegion does not reach all of, the parts fill evenly.
    #[test]
    fn a_large_table_fills_evenly() {
        with_space(21, |space| {
            for pid in 0..100 {
                alloc(space, pid, PageSize::Huge, 400).expect("room");
                alloc(space, pid, PageSize::Small, 20_000).expect("room");
            }
            let deep = (0..1 << 21).filter(|&bucket| space.occupancy.of(bucket) > 2).count();
            let average = space.occupancy.entries() as f64 / (1 << 21) as f64;
            eprintln!("{deep} buckets with more than 2 entries, average {average:.2}");
            assert_eq!(deep, 0);
        });
    }
}
