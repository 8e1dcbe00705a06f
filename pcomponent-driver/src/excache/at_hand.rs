//! Misses on pages that the transport has at hand, as the golden model does.
//!
//! Such a miss is done in one go, under the lock of its set, within the link's: a page that may leave is
//! chosen, written back if it is dirty, and gives its frame to the new one, into which the access looks
//! at once. Nobody sees anything in between, so there is no order, nothing to wait for, and nobody to
//! tell. What has more to it (a page that is on its way out, zeros, no page that may leave, an error) is
//! left as it is, for [`super::fault`].
//!
//! Its time is that of the copy, if nothing keeps the processor from going ahead: the lines of a page take
//! as long to come as the whole rest, and until they are there the next miss can be under way. So what
//! would make it wait is kept off this path: as a rule no look at the clock, two locks, events counted in
//! the thread's own words, and the words of those who leave looked at side by side.

use std::sync::Arc;
use std::time::Instant;

use super::entry::{
    change_resident, Entry, ABSENT, BACKED, DIRTY, FRESH, LOCKED, REFERENCED, RESIDENT,
};
use super::fault::resident;
use super::set::Set;
use super::{pool, ExCache, Place};
use crate::config::Prefetch;
use crate::link::AtHand;
use crate::region::{PageRef, Region};

/// What an access does with its page.
pub(super) enum Access<'a> {
    Read { offset: usize, out: &'a mut [u8] },
    Write { offset: usize, bytes: &'a [u8] },
}

impl Access<'_> {
    fn is_allowed(&self, region: &Region) -> bool {
        let permission = region.permission();
        match self {
            Self::Read { .. } => permission.read,
            Self::Write { .. } => permission.write,
        }
    }
}

impl ExCache {
    /// Makes an access to a page that is not resident, if the page is at hand and a frame can be had.
    /// `false`: nothing was done.
    pub(super) fn at_hand(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        access: Access<'_>,
    ) -> bool {
        // What leaves for the victim cache leaves by an order.
        if !self.link.pages_at_hand() || self.victims.is_some() {
            return false;
        }
        let cell = &region.cells[index];
        if !self.is_elsewhere(Entry::load(cell)) || !access.is_allowed(region) {
            return false;
        }
        let timed = self.stats.at_hand_timed().map(|misses| (misses, Instant::now()));
        let done = self.link.with_pages_at_hand(|pages| self.bring(region, index, access, pages));
        if done != Some(true) {
            return false;
        }
        self.stats.done_at_hand();
        if let Some((misses, started)) = timed {
            self.stats.waited_alike(started.elapsed(), misses);
        }
        // Pages further on are at hand too. Only who asked for prefetches has them.
        if self.config.prefetch != Prefetch::None {
            let mut orders = Vec::new();
            let page = PageRef { region: Arc::clone(region), index: index as u32 };
            self.fetch_beyond(&page, 0, &mut orders);
            self.link.submit(orders);
        }
        true
    }

    /// Whether the component has the page, or its zeros.
    fn is_elsewhere(&self, entry: Entry) -> bool {
        entry.state() == ABSENT || (entry.state() == FRESH && !self.config.zero_fill)
    }

    /// Brings the page in, and makes the access to it.
    fn bring(
        &self,
        region: &Arc<Region>,
        index: usize,
        mut access: Access<'_>,
        pages: &mut AtHand<'_>,
    ) -> bool {
        let number = self.set_of(region, index);
        self.sets[number].glance();
        loop {
            let mut full = false;
            let done = pages.read(region.pid, region.page_va(index), |data| {
                // It comes while the rest is seen to.
                pool::hint(data);
                let mut set = self.sets[number].lock();
                let was = Entry::load(&region.cells[index]);
                if !self.is_elsewhere(was) || set.in_eviction_list(region, index as u32) {
                    return false;
                }
                let Some(way) = set.take_free() else {
                    full = true;
                    return false;
                };
                set.occupy(way, region, index as u32, 0);
                let frame = self.frame_of(Place { set: number, way });
                self.frames.fill(frame, data, 0);
                let now = match &mut access {
                    Access::Read { offset, out } => {
                        out.copy_from_slice(&data[*offset..][..out.len()]);
                        was.next(resident(region) | REFERENCED | (was.0 & BACKED), frame)
                    }
                    Access::Write { offset, bytes } => {
                        let locked = was.next(RESIDENT | LOCKED, frame);
                        self.frames.write(locked, *offset, bytes);
                        locked.next_written()
                    }
                };
                now.store(&region.cells[index]);
                true
            });
            if done || !(full && self.clear_batch(number, pages)) {
                return done;
            }
        }
    }

    /// Evicts up to a batch of pages, of which those that are dirty are written back for it; tells
    /// whether any left.
    fn clear_batch(&self, number: usize, pages: &mut AtHand<'_>) -> bool {
        let mut set = self.sets[number].lock();
        // As a rule each of them has a second chance to lose.
        set.glance(2 * self.batch);
        for _ in 0..self.batch {
            let way = set.choose(self.config.replacement);
            if !way.is_some_and(|way| self.clear(Place { set: number, way }, &mut set, pages)) {
                break;
            }
        }
        set.has_free()
    }

    /// Evicts a page that may leave; tells whether it did.
    fn clear(&self, place: Place, set: &mut Set, pages: &mut AtHand<'_>) -> bool {
        let Some((region, index)) = set.region(place.way) else { return false };
        let cell = &region.cells[index as usize];
        let (old, now) = change_resident(cell, |entry| {
            if entry.has(DIRTY) {
                entry.with(LOCKED)
            } else {
                entry.next_unmapped()
            }
        });
        if now.has(LOCKED) {
            let frame = self.frame_of(place);
            // Of a page that is dirty in part, the lines are written by orders.
            let whole = self.frames.dirty(frame) == u64::MAX;
            let va = region.page_va(index as usize);
            if !(whole && pages.write(region.pid, va, &self.frames.snapshot(frame))) {
                old.store(cell);
                return false;
            }
            self.count_write_back(u64::MAX);
            old.next_unmapped().store(cell);
        }
        self.count_eviction(old);
        set.vacate(place.way);
        true
    }
}
