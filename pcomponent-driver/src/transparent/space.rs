//! [`Space`]: which parts of the reserved address range are mapped, and how.

use std::collections::BTreeMap;
use std::ops::Range;

/// Addresses in one mapping, or in none.
type Pages = Range<usize>;

/// A part of the range that is mapped in one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First page behind it.
    pub end: usize,
    /// Protection: the bits of `mmap`.
    pub prot: i32,
    /// Whether its pages were promised room in the component.
    pub counted: bool,
}

/// The mapped areas of `0..pages`, by page number, and the gaps between them.
pub struct Space {
    areas: BTreeMap<usize, Area>,
    gaps: BTreeMap<usize, usize>,
    counted: usize,
}

impl Space {
    /// Nothing mapped.
    pub fn new(pages: usize) -> Self {
        Self { areas: BTreeMap::new(), gaps: BTreeMap::from([(0, pages)]), counted: 0 }
    }

    /// Pages that were promised room.
    pub fn counted(&self) -> usize {
        self.counted
    }

    /// The area that holds a page.
    pub fn area(&self, page: usize) -> Option<(usize, Area)> {
        let (start, area) = self.areas.range(..=page).next_back()?;
        (page < area.end).then_some((*start, *area))
    }

    /// Maps the lowest gap that is large enough; gives its first page.
    pub fn map(&mut self, pages: usize, prot: i32, counted: bool) -> Option<usize> {
        let (&start, _) = self.gaps.iter().find(|(start, end)| *end - *start >= pages)?;
        self.map_at(start..start + pages, prot, counted);
        Some(start)
    }

    /// Whether nothing is mapped there.
    pub fn is_free(&self, range: &Pages) -> bool {
        self.gaps.range(..=range.start).next_back().is_some_and(|(_, end)| *end >= range.end)
    }

    /// Whether all of it is mapped.
    pub fn is_mapped(&self, range: &Pages) -> bool {
        let mut at = range.start;
        while at < range.end {
            match self.area(at) {
                Some((_, area)) => at = area.end,
                None => return false,
            }
        }
        true
    }

    /// Maps a range anew, whatever was there.
    pub fn map_at(&mut self, range: Pages, prot: i32, counted: bool) {
        self.unmap(range.clone());
        if let Some((&start, &end)) = self.gaps.range(..=range.start).next_back() {
            self.gaps.remove(&start);
            if start < range.start {
                self.gaps.insert(start, range.start);
            }
            if range.end < end {
                self.gaps.insert(range.end, end);
            }
        }
        self.counted += if counted { range.len() } else { 0 };
        self.insert(range, Area { end: 0, prot, counted });
    }

    /// Unmaps a range; gives the parts that were mapped.
    pub fn unmap(&mut self, range: Pages) -> Vec<Pages> {
        let parts = self.cut(&range);
        for (start, area) in &parts {
            self.areas.remove(start);
            self.counted -= if area.counted { area.end - start } else { 0 };
        }
        if !range.is_empty() {
            let (mut start, mut end) = (range.start, range.end);
            if let Some((&before, &until)) = self.gaps.range(..=start).next_back() {
                if until >= start {
                    start = before;
                    end = end.max(until);
                }
            }
            while let Some((&next, &until)) = self.gaps.range(start..=end).next() {
                self.gaps.remove(&next);
                end = end.max(until);
            }
            self.gaps.insert(start, end);
        }
        parts.into_iter().map(|(start, area)| start..area.end).collect()
    }

    /// Changes the protection of a range that is all mapped.
    pub fn protect(&mut self, range: Pages, prot: i32) {
        let parts = self.cut(&range);
        // All out first: an inserted part joins its neighbours, and must not join one yet to come.
        for (start, _) in &parts {
            self.areas.remove(start);
        }
        for (start, area) in parts {
            self.insert(start..area.end, Area { prot, ..area });
        }
    }

    /// Splits areas at the ends of the range; gives those inside.
    fn cut(&mut self, range: &Pages) -> Vec<(usize, Area)> {
        for at in [range.start, range.end] {
            if let Some((start, area)) = self.area(at).filter(|(start, _)| *start < at) {
                self.areas.insert(start, Area { end: at, ..area });
                self.areas.insert(at, area);
            }
        }
        self.areas.range(range.clone()).map(|(start, area)| (*start, *area)).collect()
    }

    /// Adds an area where there is none, joined to equal neighbours.
    fn insert(&mut self, range: Pages, like: Area) {
        let (mut start, mut end) = (range.start, range.end);
        let equal = |area: &Area| area.prot == like.prot && area.counted == like.counted;
        if let Some((&before, area)) = self.areas.range(..start).next_back() {
            if area.end == start && equal(area) {
                start = before;
            }
        }
        if let Some(area) = self.areas.get(&end).copied().filter(equal) {
            self.areas.remove(&end);
            end = area.end;
        }
        self.areas.insert(start, Area { end, ..like });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGES: usize = 64;

    proptest! {
        /// Against one entry a page.
        #[test]
        fn areas_and_gaps_agree_with_a_plain_table(
            steps in prop::collection::vec((0..4u8, 0..PAGES, 1..20usize, 0..4i32, any::<bool>()), 1..60)
        ) {
            let mut space = Space::new(PAGES);
            let mut plain = [None; PAGES];
            for (what, start, len, prot, counted) in steps {
                let range = start..(start + len).min(PAGES);
                match what {
                    0 => if let Some(at) = space.map(len, prot, counted) {
                        prop_assert!(plain[at..at + len].iter().all(Option::is_none));
                        plain[at..at + len].fill(Some((prot, counted)));
                    } else {
                        prop_assert!(!plain.windows(len).any(|w| w.iter().all(Option::is_none)));
                    },
                    1 => {
                        let parts = space.unmap(range.clone());
                        let gone: usize = parts.iter().map(Range::len).sum();
                        prop_assert_eq!(gone, plain[range.clone()].iter().flatten().count());
                        plain[range].fill(None);
                    }
                    2 => {
                        space.map_at(range.clone(), prot, counted);
                        plain[range].fill(Some((prot, counted)));
                    }
                    _ => if space.is_mapped(&range) {
                        space.protect(range.clone(), prot);
                        plain[range].iter_mut().flatten().for_each(|page| page.0 = prot);
                    },
                }
                for (page, expected) in plain.iter().enumerate() {
                    let area = space.area(page).map(|(_, area)| (area.prot, area.counted));
                    prop_assert_eq!(area, *expected, "page {}", page);
                    prop_assert_eq!(space.is_free(&(page..page + 1)), expected.is_none());
                }
                let counted = plain.iter().flatten().filter(|page| page.1).count();
                prop_assert_eq!(space.counted(), counted);
            }
        }
    }
}
