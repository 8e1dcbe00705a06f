//! Dirty pages written back without leaving.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;

use super::entry::{change_resident, DIRTY, LOCKED};
use super::set::flag;
use super::{ExCache, Place};
use crate::error::MemoryError;
use crate::link::Order;
use crate::region::PageRef;

/// Pages written back at once.
const CHUNK: usize = 128;

/// Write-backs under way and the first error among them.
#[derive(Default)]
struct Progress {
    left: AtomicU64,
    error: Mutex<Option<MemoryError>>,
}

impl Progress {
    fn fail(&self, error: MemoryError) {
        self.error.lock().get_or_insert(error);
    }
}

impl ExCache {
    /// Writes back what was written to pages that `wanted` selects before the call, and waits until
    /// the component has acknowledged it. The pages stay in the cache.
    ///
    /// On errors the other pages are written back all the same, and the first error is given.
    pub fn flush(self: &Arc<Self>, wanted: impl Fn(&PageRef) -> bool) -> Result<(), MemoryError> {
        let failures = || self.stats.events(|events| &events.write_back_failures);
        loop {
            let before = failures();
            self.flush_once(&wanted)?;
            // A victim can be taken back into a slot that was already looked at. If then its
            // write-back fails, it is dirty there: look again.
            if self.victims.is_none() || failures() == before {
                return Ok(());
            }
        }
    }

    fn flush_once(self: &Arc<Self>, wanted: impl Fn(&PageRef) -> bool) -> Result<(), MemoryError> {
        let progress = Arc::new(Progress::default());
        // What failed to leave the victim cache before could otherwise be taken back behind us.
        self.flush_victims(&wanted, &progress);
        let slots = self.shape.frames();
        for first in (0..slots).step_by(CHUNK) {
            let mut orders = Vec::new();
            let mut leaving = Vec::new();
            for slot in first..slots.min(first + CHUNK) {
                let place = self.place_of(slot);
                if let Some(page) = self.flush_slot(place, &wanted, &progress, &mut orders) {
                    leaving.push((place, page));
                }
            }
            self.link.submit(orders);
            self.link.wait_until(|| progress.left.load(Ordering::Acquire) == 0);
            for (place, page) in leaving {
                self.wait_for_write_back(place, &page, &wanted, &progress);
            }
        }
        self.flush_victims(&wanted, &progress);
        let error = progress.error.lock().take();
        error.map_or(Ok(()), Err)
    }

    /// Starts to write back a slot's page if it is dirty. Gives the page if a write-back that was
    /// started before is still in flight.
    fn flush_slot(
        self: &Arc<Self>,
        place: Place,
        wanted: impl Fn(&PageRef) -> bool,
        progress: &Arc<Progress>,
        orders: &mut Vec<Order>,
    ) -> Option<PageRef> {
        let mut set = self.sets[place.set].lock();
        let page = set.page(place.way).filter(wanted)?;
        let flags = set.flags(place.way);
        if flags & (flag::LEAVING | flag::FLUSHING) != 0 {
            return Some(page);
        }
        if flags & flag::FILLING != 0 {
            return None;
        }
        let (old, _) =
            change_resident(
                page.cell(),
                |entry| {
                    if entry.has(DIRTY) {
                        entry.with(LOCKED)
                    } else {
                        entry
                    }
                },
            );
        if !old.has(DIRTY) {
            return None;
        }
        let frame = self.frame_of(place);
        let (data, lines) = (self.frames.snapshot(frame), self.frames.dirty(frame));
        self.frames.set_dirty(frame, 0);
        old.without(DIRTY).store(page.cell());
        set.lower(place.way, flag::STUCK);
        set.raise(place.way, flag::FLUSHING);
        drop(set);

        progress.left.fetch_add(1, Ordering::Relaxed);
        let (cache, progress, flushed) = (Arc::clone(self), Arc::clone(progress), page.clone());
        self.write_back(&page, data, lines, orders, move |result| {
            if let Err(error) = &result {
                progress.fail(error.clone().of_write_back(flushed.pid(), flushed.va()));
            }
            cache.flushed(&flushed, place, lines, result);
            progress.left.fetch_sub(1, Ordering::Release);
        });
        None
    }

    /// Waits for a write-back that others started; and tries again if it fails, or if the page was
    /// written since.
    fn wait_for_write_back(
        self: &Arc<Self>,
        place: Place,
        page: &PageRef,
        wanted: impl Fn(&PageRef) -> bool,
        progress: &Arc<Progress>,
    ) {
        loop {
            self.link.wait_until(|| {
                let set = self.sets[place.set].lock();
                let same = set.page(place.way).is_some_and(|now| now.is(page));
                !same || set.flags(place.way) & (flag::LEAVING | flag::FLUSHING) == 0
            });
            let mut orders = Vec::new();
            let still = self.flush_slot(place, &wanted, progress, &mut orders);
            self.link.submit(orders);
            self.link.wait_until(|| progress.left.load(Ordering::Acquire) == 0);
            if still.is_none_or(|now| !now.is(page)) {
                return;
            }
        }
    }

    /// Waits for the write-backs of the victim cache, and gives the failed ones another try.
    fn flush_victims(self: &Arc<Self>, wanted: impl Fn(&PageRef) -> bool, progress: &Progress) {
        let Some(victims) = &self.victims else { return };
        let mut orders = Vec::new();
        self.retry_victims(&mut victims.lock(), &mut orders);
        self.link.submit(orders);
        self.link.wait_until(|| !victims.lock().any_writing());
        if let Some(error) = victims.lock().failure(wanted) {
            progress.fail(error);
        }
    }
}
