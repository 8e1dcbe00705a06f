//! [`Set`]: which page is in which frame of a set, and in which order they leave.
//!
//! The order is that of the ways, round and round from a *hand* on, as in a clock: ways that became free
//! are taken in the order in which they did, so pages stand in the order of their arrival but for those
//! that left out of turn. There is no list to keep, and those who leave next stand side by side.

use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::entry::{change_resident, Entry, REFERENCED};
use crate::config::Replacement;
use crate::error::MemoryError;
use crate::region::{PageRef, Region};

/// What is going on with a slot; a page may leave only if nothing is.
pub(crate) mod flag {
    /// It holds a page or waits for one.
    pub const USED: u8 = 1;
    /// Its page is on its way from the component.
    pub const FILLING: u8 = 2;
    /// Kept for the thread that missed on it, until its access is done.
    pub const HELD: u8 = 4;
    /// A write-back is in flight, after which the page stays.
    pub const FLUSHING: u8 = 8;
    /// A write-back is in flight, after which the page has left.
    pub const LEAVING: u8 = 16;
    /// Its write-back failed.
    pub const STUCK: u8 = 32;
}
use flag::{LEAVING, STUCK, USED};

/// Flags of a slot in a state that ends by itself.
const PASSING: u8 = !(USED | STUCK);

/// No way.
const NONE: u32 = u32::MAX;

/// A way of a set. Small, because there is one per frame.
struct Slot {
    region: Option<Arc<Region>>,
    /// Of its page in the region; of a free way, the one that is taken after it.
    index: u32,
    flags: u8,
}

// With 8 bytes of page word and 8 of dirty lines, this stays below 1 % of the frame.
const _: () = assert!(size_of::<Slot>() + 16 <= crate::transport::PAGE_BYTES / 100);

/// A set of ways. What every miss needs stands in front, to be in one cache line with the lock.
#[repr(C)]
pub(crate) struct Set {
    slots: Box<[Slot]>,
    /// The way that is taken next, and the last one of those that are free.
    free: u32,
    last_free: u32,
    /// Slots that are [`PASSING`], and of them those that are leaving.
    passing: u32,
    leaving: u32,
    /// The way whose page is the first to leave, if it may.
    hand: u32,
    /// Somebody waits for a frame.
    pub waiting: bool,
    /// A miss found no free frame since pages were last evicted ahead of need.
    pub pressed: bool,
    /// The per-set eviction list: slots whose page is unmapped while it is written back.
    pub eviction_list: Vec<u32>,
    /// Why a page is stuck.
    pub failure: Option<MemoryError>,
    rng: SmallRng,
}

impl Set {
    pub fn new(ways: usize, seed: u64) -> Self {
        let slot = |way| Slot { region: None, index: way + 1, flags: 0 };
        let mut slots: Box<[Slot]> = (0..ways as u32).map(slot).collect();
        slots.last_mut().into_iter().for_each(|last| last.index = NONE);
        Self {
            slots,
            free: 0,
            last_free: ways as u32 - 1,
            passing: 0,
            leaving: 0,
            hand: 0,
            waiting: false,
            pressed: false,
            eviction_list: Vec::new(),
            failure: None,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    pub fn take_free(&mut self) -> Option<u32> {
        let way = self.free;
        let slot = self.slots.get(way as usize)?;
        self.free = slot.index;
        Some(way)
    }

    /// Takes back what [`Self::take_free`] gave.
    pub fn give_back(&mut self, way: u32) {
        if self.free == NONE {
            self.last_free = way;
        }
        self.slots[way as usize].index = self.free;
        self.free = way;
    }

    pub fn has_free(&self) -> bool {
        self.free != NONE
    }

    /// Gives a slot to a page.
    pub fn occupy(&mut self, way: u32, region: &Arc<Region>, index: u32, flags: u8) {
        let slot = &mut self.slots[way as usize];
        slot.region = Some(Arc::clone(region));
        slot.index = index;
        self.set_flags(way, USED | flags);
    }

    /// Takes a slot from its page.
    pub fn vacate(&mut self, way: u32) {
        if way == self.hand {
            // Who comes here next is the last to leave.
            self.hand = self.behind(way);
        }
        self.set_flags(way, 0);
        let slot = &mut self.slots[way as usize];
        (slot.region, slot.index) = (None, NONE);
        if self.free == NONE {
            self.free = way;
        } else {
            self.slots[self.last_free as usize].index = way;
        }
        self.last_free = way;
    }

    pub fn page(&self, way: u32) -> Option<PageRef> {
        let (region, index) = self.region(way)?;
        Some(PageRef { region: Arc::clone(region), index })
    }

    /// The region of a slot's page, and the page's index in it.
    pub fn region(&self, way: u32) -> Option<(&Arc<Region>, u32)> {
        let slot = &self.slots[way as usize];
        slot.region.as_ref().map(|region| (region, slot.index))
    }

    pub fn flags(&self, way: u32) -> u8 {
        self.slots[way as usize].flags
    }

    pub fn raise(&mut self, way: u32, flags: u8) {
        self.set_flags(way, self.flags(way) | flags);
    }

    pub fn lower(&mut self, way: u32, flags: u8) {
        self.set_flags(way, self.flags(way) & !flags);
    }

    fn set_flags(&mut self, way: u32, flags: u8) {
        let old = std::mem::replace(&mut self.slots[way as usize].flags, flags);
        let count = |mask: u8| (flags & mask != 0) as u32;
        let was = |mask: u8| (old & mask != 0) as u32;
        self.passing = self.passing + count(PASSING) - was(PASSING);
        self.leaving = self.leaving + count(LEAVING) - was(LEAVING);
    }

    /// Whether any slot is in a state that ends by itself and may then be free.
    pub fn will_change(&self) -> bool {
        self.passing > 0
    }

    /// Whether a page is on its way out.
    pub fn anyone_leaving(&self) -> bool {
        self.leaving > 0
    }

    /// Gives stuck pages another try. Tells whether there were any.
    pub fn free_stuck(&mut self) -> bool {
        let mut any = false;
        for slot in &mut self.slots {
            any |= slot.flags & STUCK != 0;
            slot.flags &= !STUCK;
        }
        any
    }

    /// Whether the page stands in the eviction list.
    pub fn in_eviction_list(&self, region: &Arc<Region>, index: u32) -> bool {
        let is_page = |way: &u32| {
            let slot = &self.slots[*way as usize];
            slot.index == index && slot.region.as_ref().is_some_and(|r| Arc::ptr_eq(r, region))
        };
        self.leaving > 0 && self.eviction_list.iter().any(is_page)
    }

    /// The page to leave next, if any may.
    pub fn choose(&mut self, policy: Replacement) -> Option<u32> {
        match policy {
            Replacement::Fifo => self.first_idle(),
            Replacement::Lru => self.second_chance(),
            Replacement::Random => self.random(),
        }
    }

    fn idle(&self, way: u32) -> bool {
        self.slots[way as usize].flags == USED
    }

    /// The way behind another one.
    fn behind(&self, way: u32) -> u32 {
        if way as usize + 1 == self.slots.len() {
            0
        } else {
            way + 1
        }
    }

    /// All ways, from the hand on.
    fn round(&self) -> impl Iterator<Item = u32> {
        let ways = self.slots.len() as u32;
        (self.hand..ways).chain(0..self.hand)
    }

    fn first_idle(&mut self) -> Option<u32> {
        let way = self.round().find(|way| self.idle(*way))?;
        self.hand = way;
        Some(way)
    }

    fn second_chance(&mut self) -> Option<u32> {
        // Twice around: in the second round the bits are clear, unless other threads set them anew.
        for _ in 0..2 * self.slots.len() {
            let way = self.hand;
            let Slot { region, index, .. } = &self.slots[way as usize];
            if let (true, Some(region)) = (self.idle(way), region) {
                let cell = &region.cells[*index as usize];
                if !Entry::load(cell).has(REFERENCED) {
                    return Some(way);
                }
                change_resident(cell, |entry| entry.without(REFERENCED));
            }
            self.hand = self.behind(way);
        }
        self.first_idle()
    }

    /// Has the processor fetch the words of so many pages that leave next, side by side and not one after
    /// the other when each is looked at.
    pub fn glance(&self, pages: usize) {
        for way in self.round().take(pages) {
            if let Some((region, index)) = self.region(way) {
                black_box(region.cells[index as usize].load(Ordering::Relaxed));
            }
        }
    }

    fn random(&mut self) -> Option<u32> {
        let ways = self.slots.len() as u32;
        let start = self.rng.random_range(0..ways);
        (0..ways).map(|i| (start + i) % ways).find(|way| self.idle(*way))
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::RESIDENT;
    use super::*;
    use splitmem_abi::mailbox::Permission;

    /// A set of four with pages 0 to 3 in it.
    fn full_set() -> (Set, Arc<Region>) {
        let region =
            Arc::new(Region::new((1, 0, 16), Permission::RW, false, Some(Default::default())));
        let mut set = Set::new(4, 1);
        for index in 0..4 {
            come(&mut set, &region, index);
        }
        (set, region)
    }

    fn come(set: &mut Set, region: &Arc<Region>, index: u32) {
        let page = PageRef { region: Arc::clone(region), index };
        let way = set.take_free().unwrap();
        Entry(0).next(RESIDENT, way as usize).store(page.cell());
        set.occupy(way, region, index, 0);
    }

    fn leave(set: &mut Set, policy: Replacement) -> u32 {
        let way = set.choose(policy).unwrap();
        let index = set.page(way).unwrap().index;
        set.vacate(way);
        index
    }

    fn touch(region: &Region, index: usize) {
        let cell = &region.cells[index];
        Entry::load(cell).with(REFERENCED).store(cell);
    }

    #[test]
    fn fifo_goes_by_arrival() {
        let (mut set, region) = full_set();
        touch(&region, 0);
        assert_eq!(leave(&mut set, Replacement::Fifo), 0);
        come(&mut set, &region, 9);
        let order: Vec<_> = (0..4).map(|_| leave(&mut set, Replacement::Fifo)).collect();
        assert_eq!(order, [1, 2, 3, 9]);
        assert_eq!(set.choose(Replacement::Fifo), None);
    }

    #[test]
    fn lru_gives_a_second_chance() {
        let (mut set, region) = full_set();
        touch(&region, 0);
        touch(&region, 2);
        let order: Vec<_> = (0..4).map(|_| leave(&mut set, Replacement::Lru)).collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn lru_ends_when_all_are_used() {
        let (mut set, region) = full_set();
        (0..4).for_each(|index| touch(&region, index));
        assert_eq!(leave(&mut set, Replacement::Lru), 0);
    }

    #[test]
    fn random_reaches_every_page() {
        let mut seen = [false; 4];
        for seed in 0..64 {
            let (mut set, _region) = full_set();
            set.rng = SmallRng::seed_from_u64(seed);
            seen[leave(&mut set, Replacement::Random) as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
    }

    #[test]
    fn no_policy_takes_a_page_with_something_going_on() {
        for policy in [Replacement::Fifo, Replacement::Lru, Replacement::Random] {
            let (mut set, _region) = full_set();
            for (way, flag) in
                [flag::FILLING, flag::HELD, flag::FLUSHING, LEAVING].into_iter().enumerate()
            {
                assert!(set.choose(policy).is_some());
                set.raise(way as u32, flag);
            }
            assert_eq!(set.choose(policy), None);
            assert!(set.will_change() && set.anyone_leaving());
            set.lower(3, LEAVING);
            assert!(!set.anyone_leaving());
            assert_eq!(set.choose(policy), Some(3));
            set.raise(3, STUCK);
            assert_eq!(set.choose(policy), None);
            assert!(set.free_stuck());
            assert_eq!(set.choose(policy), Some(3));
        }
    }
}
