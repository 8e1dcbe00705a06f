//! Evictions and write-backs: how a page leaves its set.
//!
//! | [`config::Eviction`] | while its write-back is in flight, a dirty page | and an access to it |
//! | --- | --- | --- |
//! | `WriteProtect` | is resident, `PROTECTED`, slot `LEAVING` | reads hit; writes wait, then fetch |
//! | `SetList` | is `ABSENT`, slot `LEAVING` and in the eviction list | waits, then fetches |
//! | `Victim` | is `ABSENT`, in the victim cache; its slot is free | takes it back |

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;
use splitmem_abi::geometry::LINE_BYTES;
use splitmem_abi::request::FULL_MASK;

use super::entry::{
    change_resident, Entry, BACKED, DIRTY, LOCKED, PREFETCHED, PROTECTED, REFERENCED,
};
use super::fault::resident;
use super::frames::Page;
use super::set::{flag, Set};
use super::victim::{Finished, VictimCache};
use super::{ExCache, Place};
use crate::config;
use crate::direct::checked;
use crate::error::MemoryError;
use crate::link::{Order, Outcome};
use crate::region::PageRef;
use crate::transport::{Completion, Work};

/// What became of an eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// The slot is free.
    Freed,
    /// The slot will be free when the write-back is done.
    Started,
    /// The victim cache has no room now; nothing was changed.
    NoRoom,
}

impl ExCache {
    /// Evicts up to a batch of pages. `None`: no page may leave now; else how the last one went.
    pub(super) fn evict_batch(
        self: &Arc<Self>,
        index: usize,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Option<Eviction> {
        let mut last = None;
        for _ in 0..self.batch {
            let Some(way) = set.choose(self.config.replacement) else { break };
            last = Some(self.evict(Place { set: index, way }, set, orders));
            if last == Some(Eviction::NoRoom) {
                break;
            }
        }
        last
    }

    /// Starts the next batch when the last free frame was taken, so that it is done by the time the
    /// next miss needs a frame. Only if a miss found none before, and once for that: pages that just
    /// fill a set must be able to stay.
    pub(super) fn evict_ahead(
        self: &Arc<Self>,
        index: usize,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) {
        if set.pressed && !set.has_free() && !set.anyone_leaving() && self.shape.ways >= 4 {
            set.pressed = false;
            self.evict_batch(index, set, orders);
        }
    }

    /// Evicts a page that may leave.
    pub(super) fn evict(
        self: &Arc<Self>,
        place: Place,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Eviction {
        let Some(page) = set.page(place.way) else { return Eviction::Freed };
        match self.config.eviction {
            config::Eviction::WriteProtect => self.evict_protected(place, &page, set, orders),
            config::Eviction::SetList => self.evict_listed(place, &page, set, orders),
            config::Eviction::Victim { .. } => self.evict_to_victims(place, &page, set, orders),
        }
    }

    fn evict_protected(
        self: &Arc<Self>,
        place: Place,
        page: &PageRef,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Eviction {
        let (old, _) = change_resident(page.cell(), |entry| {
            if entry.has(DIRTY) {
                entry.with(PROTECTED)
            } else {
                entry.next_unmapped()
            }
        });
        self.count_eviction(old);
        if !old.has(DIRTY) {
            set.vacate(place.way);
            return Eviction::Freed;
        }
        set.raise(place.way, flag::LEAVING);
        self.write_out(place, page, orders);
        Eviction::Started
    }

    fn evict_listed(
        self: &Arc<Self>,
        place: Place,
        page: &PageRef,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Eviction {
        let (old, _) = change_resident(page.cell(), Entry::next_unmapped);
        self.count_eviction(old);
        if !old.has(DIRTY) {
            set.vacate(place.way);
            return Eviction::Freed;
        }
        set.raise(place.way, flag::LEAVING);
        set.eviction_list.push(place.way);
        self.write_out(place, page, orders);
        Eviction::Started
    }

    fn evict_to_victims(
        self: &Arc<Self>,
        place: Place,
        page: &PageRef,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Eviction {
        let Some(victims) = &self.victims else { return Eviction::NoRoom };
        let mut victims = victims.lock();
        let room = victims.make_room();
        let (old, new) = change_resident(page.cell(), |entry| {
            if entry.has(DIRTY) && !room {
                entry
            } else {
                entry.next_unmapped()
            }
        });
        if old == new {
            return Eviction::NoRoom;
        }
        self.count_eviction(old);
        let frame = self.frame_of(place);
        let dirty = if old.has(DIRTY) { self.frames.dirty(frame) } else { 0 };
        // Zeros that can be made again need no place, and a clean page does without if there is none.
        if room && (old.has(BACKED) || !self.config.zero_fill) {
            let data = self.frames.snapshot(frame);
            let written = (dirty != 0).then(|| data.clone());
            let id = victims.insert(page.clone(), data, dirty);
            if let Some(data) = written {
                self.write_victim(id, page, data, dirty, orders);
            }
        }
        drop(victims);
        set.vacate(place.way);
        Eviction::Freed
    }

    pub(super) fn count_eviction(&self, entry: Entry) {
        let dirty = entry.has(DIRTY);
        self.stats.one(|e| if dirty { &e.evictions_dirty } else { &e.evictions_clean });
        if entry.has(PREFETCHED) {
            self.stats.one(|events| &events.prefetch_unused);
        }
    }

    pub(super) fn count_write_back(&self, lines: u64) {
        self.stats.one(|events| &events.write_backs);
        self.stats.add(|events| &events.lines_written_back, lines.count_ones() as u64);
    }

    /// Orders the write-back of a leaving page from its frame.
    fn write_out(self: &Arc<Self>, place: Place, page: &PageRef, orders: &mut Vec<Order>) {
        let frame = self.frame_of(place);
        let cache = Arc::clone(self);
        let leaving = page.clone();
        let end = move |result| cache.left(&leaving, place, result);
        self.write_back(page, self.frames.snapshot(frame), self.frames.dirty(frame), orders, end);
    }

    /// The write-back of a leaving page has ended. Runs under the link's lock.
    fn left(&self, page: &PageRef, place: Place, result: Result<(), MemoryError>) {
        let mut set = self.sets[place.set].lock();
        let cell = page.cell();
        let listed = set.eviction_list.iter().position(|way| *way == place.way);
        if let Some(at) = listed {
            set.eviction_list.swap_remove(at);
        }
        match result {
            Ok(()) => {
                if listed.is_none() {
                    change_resident(cell, Entry::next_unmapped);
                }
                set.vacate(place.way);
            }
            Err(error) => {
                if listed.is_some() {
                    let flags = resident(&page.region) | DIRTY | BACKED | REFERENCED;
                    let entry = Entry::load(cell);
                    entry.next(flags, self.frame_of(place)).store(cell);
                } else {
                    change_resident(cell, |entry| entry.without(PROTECTED));
                }
                set.lower(place.way, flag::LEAVING);
                self.stick(&mut set, place, page, error);
            }
        }
    }

    /// Keeps a page whose write-back failed.
    pub(super) fn stick(&self, set: &mut Set, place: Place, page: &PageRef, error: MemoryError) {
        set.raise(place.way, flag::STUCK);
        set.failure = Some(error.of_write_back(page.pid(), page.va()));
    }

    /// Orders the write-back of a page in the victim cache.
    fn write_victim(
        self: &Arc<Self>,
        id: u64,
        page: &PageRef,
        data: Box<Page>,
        dirty: u64,
        orders: &mut Vec<Order>,
    ) {
        let cache = Arc::clone(self);
        let victim = page.clone();
        let end = move |result| cache.victim_written(id, &victim, result);
        self.write_back(page, data, dirty, orders, end);
    }

    /// Gives failed write-backs of the victim cache another try.
    pub(super) fn retry_victims(
        self: &Arc<Self>,
        victims: &mut VictimCache,
        orders: &mut Vec<Order>,
    ) {
        for (id, page, data, dirty) in victims.retry() {
            self.write_victim(id, &page, data, dirty, orders);
        }
    }

    /// The write-back of a page in the victim cache has ended. Runs under the link's lock.
    fn victim_written(&self, id: u64, page: &PageRef, result: Result<(), MemoryError>) {
        let Some(victims) = &self.victims else { return };
        let kept = result.clone().map_err(|error| error.of_write_back(page.pid(), page.va()));
        let finished = victims.lock().finish(id, kept);
        if let Finished::TakenBack { way, dirty } = finished {
            self.flushed(
                page,
                Place { set: self.set_of(&page.region, page.index as usize), way },
                dirty,
                result,
            );
        }
    }

    /// The write-back of a page that stays has ended. Runs under the link's lock.
    pub(super) fn flushed(
        &self,
        page: &PageRef,
        place: Place,
        lines: u64,
        result: Result<(), MemoryError>,
    ) {
        let mut set = self.sets[place.set].lock();
        set.lower(place.way, flag::FLUSHING);
        if let Err(error) = result {
            let frame = self.frame_of(place);
            let (old, _) = change_resident(page.cell(), |entry| entry.with(LOCKED));
            let newer = if old.has(DIRTY) { self.frames.dirty(frame) } else { 0 };
            self.frames.set_dirty(frame, newer | lines);
            old.with(DIRTY).store(page.cell());
            self.stick(&mut set, place, page, error);
        }
    }

    /// Orders the write-back of some lines of a page.
    pub(super) fn write_back(
        self: &Arc<Self>,
        page: &PageRef,
        data: Box<Page>,
        lines: u64,
        orders: &mut Vec<Order>,
        end: impl FnOnce(Result<(), MemoryError>) + Send + 'static,
    ) {
        self.count_write_back(lines);
        let cache = Arc::clone(self);
        let end = move |result: Result<(), MemoryError>| {
            if result.is_err() {
                cache.stats.one(|events| &events.write_back_failures);
            }
            end(result);
        };
        let (pid, va) = (page.pid(), page.va());
        if lines == u64::MAX {
            let page = page.clone();
            let end = Box::new(move |outcome| end(content(&page, outcome).map(drop)));
            orders.push(Order { pid, va, work: Work::WritePage { data }, end });
            return;
        }
        let gather = Arc::new(Gather {
            left: AtomicU64::new(lines.count_ones() as u64),
            state: Mutex::new((Ok(()), Some(Box::new(end)))),
        });
        for line in (0..64).filter(|line| lines >> line & 1 == 1) {
            let mut bytes = Box::new([0; LINE_BYTES]);
            bytes.copy_from_slice(&data[line * LINE_BYTES..][..LINE_BYTES]);
            let (page, gather) = (page.clone(), Arc::clone(&gather));
            orders.push(Order {
                pid,
                va: va + (line * LINE_BYTES) as u64,
                work: Work::WriteLine { data: bytes, mask: FULL_MASK },
                end: Box::new(move |outcome| gather.line(content(&page, outcome).map(drop))),
            });
        }
    }
}

/// A result for each of some lines, and what is done with the first error, or none, at the end.
struct Gather {
    left: AtomicU64,
    #[allow(clippy::type_complexity)]
    state:
        Mutex<(Result<(), MemoryError>, Option<Box<dyn FnOnce(Result<(), MemoryError>) + Send>>)>,
}

impl Gather {
    fn line(&self, result: Result<(), MemoryError>) {
        let mut state = self.state.lock();
        if state.0.is_ok() {
            state.0 = result;
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let result = std::mem::replace(&mut state.0, Ok(()));
            if let Some(end) = state.1.take() {
                drop(state);
                end(result);
            }
        }
    }
}

/// The completion of an order for a page, or the error that it ended with.
pub(super) fn content(page: &PageRef, outcome: Outcome) -> Result<Completion, MemoryError> {
    checked(outcome?, page.pid(), page.va())
}
