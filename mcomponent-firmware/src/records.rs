//! What is allocated: a sorted list of ranges.
//!
//! Adjacent ranges of one process with the same attributes are one record, whichever commands made
//! them, and a command may cover any part of a record or several of them. So the list says nothing
//! that the page table does not say, which is what lets a restarted monitor make it again.

use splitmem_abi::geometry::{PageSize, HUGE_BIT, KEY_BITS, PAGE_SHIFT};
use splitmem_abi::mailbox::{Permission, Range};

/// What all pages of a record have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attributes {
    /// What is allowed.
    pub permission: Permission,
    /// Populated when it was made, its frames counted in `shares`.
    pub shareable: bool,
}

/// An allocated range. Its contents are the monitor's; it is public so that a binary can make an
/// array of them (`[Record::EMPTY; N]`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Pid above page key.
    start: u64,
    pages: u32,
    attributes: Attributes,
}

/// No slot is left in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// A page's place in the order: its pid, then its address. All arithmetic on ranges is done in it.
pub(crate) fn position(pid: u16, va: u64) -> u64 {
    (pid as u64) << KEY_BITS | va >> PAGE_SHIFT
}

/// The pid and the address of a position.
pub(crate) fn place_of(position: u64) -> (u16, u64) {
    ((position >> KEY_BITS) as u16, (position & ((1 << KEY_BITS) - 1)) << PAGE_SHIFT)
}

impl Record {
    /// One to fill an array with.
    pub const EMPTY: Self = Self {
        start: 0,
        pages: 0,
        attributes: Attributes {
            permission: Permission { read: false, write: false },
            shareable: false,
        },
    };

    fn new(range: Range, attributes: Attributes) -> Self {
        Self { start: position(range.pid, range.va), pages: range.pages, attributes }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.pages as u64 * self.size().frames() as u64
    }

    pub(crate) fn attributes(&self) -> Attributes {
        self.attributes
    }

    pub(crate) fn range(&self) -> Range {
        let (pid, va) = place_of(self.start);
        Range { pid, va, pages: self.pages }
    }

    fn size(&self) -> PageSize {
        PageSize::of(place_of(self.start).1)
    }

    /// The part from `start` to `end`, which lie in it on page borders.
    fn part(&self, start: u64, end: u64) -> Self {
        let pages = ((end - start) / self.size().frames() as u64) as u32;
        Self { start, pages, ..*self }
    }

    /// Whether `next` goes on where this one ends, so that both can be one.
    fn joins(&self, next: &Self) -> bool {
        const HALF: u32 = HUGE_BIT - PAGE_SHIFT;
        self.end() == next.start
            && self.start >> HALF == next.start >> HALF
            && self.attributes == next.attributes
    }
}

/// The list.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    slots: &'a mut [Record],
    len: usize,
}

impl<'a> Records<'a> {
    pub fn new(slots: &'a mut [Record]) -> Self {
        Self { slots, len: 0 }
    }

    /// All records, by process and address.
    pub fn all(&self) -> &[Record] {
        &self.slots[..self.len]
    }

    /// Records that can still be added. One command adds at most two.
    pub fn room(&self) -> usize {
        self.slots.len() - self.len
    }

    /// The records between two positions that they touch.
    pub fn touching(&self, start: u64, end: u64) -> &[Record] {
        let first = self.all().partition_point(|r| r.end() <= start);
        let count = self.all()[first..].partition_point(|r| r.start < end);
        &self.all()[first..first + count]
    }

    /// The parts of records that make up `range`.
    pub fn parts(&self, range: Range) -> impl Iterator<Item = Record> + '_ {
        let whole = Record::new(range, Record::EMPTY.attributes);
        self.touching(whole.start, whole.end())
            .iter()
            .map(move |r| r.part(r.start.max(whole.start), r.end().min(whole.end())))
    }

    /// Whether every page of `range` is allocated.
    pub fn cover(&self, range: Range) -> bool {
        self.parts(range).map(|r| r.pages).sum::<u32>() == range.pages
    }

    /// How many of the two ends of `range`, which is covered, lie within a record.
    pub fn cuts(&self, range: Range) -> usize {
        let cut = Record::new(range, Record::EMPTY.attributes);
        let touched = self.touching(cut.start, cut.end());
        touched.first().is_some_and(|r| r.start < cut.start) as usize
            + touched.last().is_some_and(|r| r.end() > cut.end()) as usize
    }

    /// Adds a range that touches no other.
    pub fn insert(&mut self, range: Range, attributes: Attributes) -> Result<(), Full> {
        let new = Record::new(range, attributes);
        let at = self.all().partition_point(|r| r.start < new.start);
        let after = at < self.len && new.joins(&self.slots[at]);
        let before = at > 0 && self.slots[at - 1].joins(&new);
        match (before, after) {
            (true, true) => {
                self.slots[at - 1].pages += new.pages + self.slots[at].pages;
                self.replace(at, 1, &[])
            }
            (true, false) => {
                self.slots[at - 1].pages += new.pages;
                Ok(())
            }
            (false, true) => {
                self.slots[at].pages += new.pages;
                self.slots[at].start = new.start;
                Ok(())
            }
            (false, false) => self.replace(at, 0, &[new]),
        }
    }

    /// Removes `range`, which is covered.
    pub fn remove(&mut self, range: Range) -> Result<(), Full> {
        let gone = Record::new(range, Record::EMPTY.attributes);
        let at = self.all().partition_point(|r| r.end() <= gone.start);
        let touched = self.touching(gone.start, gone.end());
        let (Some(first), Some(last)) = (touched.first(), touched.last()) else { return Ok(()) };
        let count = touched.len();
        let left = (first.start < gone.start).then(|| first.part(first.start, gone.start));
        let right = (gone.end() < last.end()).then(|| last.part(gone.end(), last.end()));
        match (left, right) {
            (Some(left), Some(right)) => self.replace(at, count, &[left, right]),
            (Some(one), None) | (None, Some(one)) => self.replace(at, count, &[one]),
            (None, None) => self.replace(at, count, &[]),
        }
    }

    /// Gives all pages of `range`, which is covered, a permission. Takes at most two more slots.
    pub fn set_permission(&mut self, range: Range, permission: Permission) -> Result<(), Full> {
        let end = Record::new(range, Record::EMPTY.attributes).end();
        let mut at = position(range.pid, range.va);
        while at < end {
            let Some(record) = self.touching(at, end).first() else { return Ok(()) };
            let part = record.part(record.start.max(at), record.end().min(end));
            let attributes = Attributes { permission, ..record.attributes };
            self.remove(part.range())?;
            self.insert(part.range(), attributes)?;
            at = part.end();
        }
        Ok(())
    }

    /// Puts `new` in the place of `count` records from `at` on.
    fn replace(&mut self, at: usize, count: usize, new: &[Record]) -> Result<(), Full> {
        let len = self.len - count + new.len();
        if len > self.slots.len() {
            return Err(Full);
        }
        self.slots.copy_within(at + count..self.len, at + new.len());
        self.slots[at..at + new.len()].copy_from_slice(new);
        self.len = len;
        Ok(())
    }

    /// Processes that have a record.
    pub fn processes(&self) -> u32 {
        let mut last = None;
        let pids = self.all().iter().map(|r| (r.start >> KEY_BITS) as u16);
        pids.filter(|&pid| last.replace(pid) != Some(pid)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, vec, vec::Vec};

    /// Few pids and addresses, at the borders where neighbours must stay apart: the first and last
    /// pages of both halves.
    fn range() -> impl Strategy<Value = Range> {
        (0u16..2, 0usize..4, 0u64..24, 1u32..12).prop_map(|(pid, area, page, pages)| {
            let (first, size) = [
                (0, PageSize::Small),
                ((1 << HUGE_BIT) - (34 << 12), PageSize::Small),
                (1 << HUGE_BIT, PageSize::Huge),
                ((1 << 48) - (34 << 21), PageSize::Huge),
            ][area];
            Range { pid, va: first + page * size.bytes(), pages }
        })
    }

    fn pages(range: Range) -> impl Iterator<Item = (u16, u64)> {
        let size = PageSize::of(range.va);
        (0..range.pages as u64).map(move |i| (range.pid, range.va + i * size.bytes()))
    }

    /// The least number of records that can say this.
    fn least(map: &BTreeMap<(u16, u64), Attributes>) -> usize {
        let mut count = 0;
        let mut last: Option<((u16, u64), Attributes)> = None;
        for (&(pid, va), &attributes) in map {
            let size = PageSize::of(va);
            let joins = last.is_some_and(|((p, v), a)| {
                p == pid && a == attributes && PageSize::of(v) == size && v + size.bytes() == va
            });
            count += !joins as usize;
            last = Some(((pid, va), attributes));
        }
        count
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn agree_with_a_map_of_pages(
            capacity in 0usize..20,
            steps in prop::collection::vec((range(), 0u32..4, any::<bool>(), 0u8..3), 0..80),
        ) {
            let mut slots = vec![Record::EMPTY; capacity];
            let mut records = Records::new(&mut slots);
            let mut map: BTreeMap<(u16, u64), Attributes> = BTreeMap::new();
            for (range, bits, shareable, what) in steps {
                let permission = Permission::from_bits(bits).unwrap();
                let attributes = Attributes { permission, shareable };
                let mut expected = map.clone();
                let covered = pages(range).all(|page| map.contains_key(&page));
                let free = pages(range).all(|page| !map.contains_key(&page));
                prop_assert_eq!(records.cover(range), covered);
                let result = match what {
                    0 if free => {
                        expected.extend(pages(range).map(|page| (page, attributes)));
                        records.insert(range, attributes)
                    }
                    1 if covered => {
                        pages(range).for_each(|page| { expected.remove(&page); });
                        records.remove(range)
                    }
                    2 if covered && records.room() >= records.cuts(range) => {
                        for page in pages(range) {
                            expected.get_mut(&page).unwrap().permission = permission;
                        }
                        let done = records.set_permission(range, permission);
                        prop_assert_eq!(done, Ok(()));
                        done
                    }
                    _ => continue,
                };
                if result.is_ok() {
                    map = expected;
                } else {
                    prop_assert!(least(&expected) > capacity);
                }
                prop_assert_eq!(records.all().len(), least(&map));
                let listed: Vec<_> = records.all().iter()
                    .flat_map(|r| pages(r.range()).map(|page| (page, r.attributes())))
                    .collect();
                prop_assert_eq!(listed, map.iter().map(|(&p, &a)| (p, a)).collect::<Vec<_>>());
                let pids = (0..2).filter(|&pid| map.keys().any(|page| page.0 == pid)).count();
                prop_assert_eq!(records.processes() as usize, pids);
            }
        }
    }

    /// The last page of one address space and the first of the next are neighbours in the order.
    #[test]
    fn address_spaces_and_page_sizes_stay_apart() {
        let mut slots = [Record::EMPTY; 4];
        let mut records = Records::new(&mut slots);
        let page = |pid, va| Range { pid, va, pages: 1 };
        let neighbours = [
            page(0, (1 << HUGE_BIT) - (1 << 12)),
            page(0, 1 << HUGE_BIT),
            page(0, (1 << 48) - (1 << 21)),
            page(1, 0),
        ];
        for range in neighbours {
            records.insert(range, Record::EMPTY.attributes).unwrap();
        }
        let listed: Vec<_> = records.all().iter().map(Record::range).collect();
        assert_eq!(listed, neighbours);
    }
}
