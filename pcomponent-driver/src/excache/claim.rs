//! Pages taken out of the cache, so that the component's copy is the only one for a while.

use std::sync::Arc;

use super::entry::{
    change_resident, relax, Entry, ABSENT, BACKED, BUSY, DIRTY, FRESH, LOCKED, RESIDENT,
};
use super::evict::Eviction;
use super::set::{flag, Set};
use super::victim::Lookup;
use super::ExCache;
use crate::error::MemoryError;
use crate::link::Order;
use crate::region::{PageRef, Region};

/// What a look at a page found.
enum Step {
    Claimed,
    Again,
    Wait,
}

impl ExCache {
    /// Runs `work` while the page is in no frame and the component has all that was written to it.
    /// Accesses to it wait meanwhile.
    pub fn at_component<R>(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        work: impl FnOnce() -> R,
    ) -> Result<R, MemoryError> {
        let page = PageRef { region: Arc::clone(region), index: index as u32 };
        self.claim(&page, false)?;
        let result = work();
        // The component's copy may now differ from zeros.
        let cell = page.cell();
        Entry::load(cell).next(ABSENT | BACKED, 0).store(cell);
        self.link.touch();
        Ok(result)
    }

    /// Writes a region's dirty pages back and drops all its pages.
    pub fn evict_region(self: &Arc<Self>, region: &Arc<Region>) -> Result<(), MemoryError> {
        for index in 0..region.pages {
            if Entry::load(&region.cells[index]).state() != FRESH {
                self.at_component(region, index, || ())?;
            }
        }
        Ok(())
    }

    /// Drops all pages of a region that is going to be freed, dirty or not. They stay claimed.
    pub fn discard_region(self: &Arc<Self>, region: &Arc<Region>) -> Result<(), MemoryError> {
        for index in 0..region.pages {
            self.claim(&PageRef { region: Arc::clone(region), index: index as u32 }, true)?;
        }
        Ok(())
    }

    /// Makes a page busy, in no frame. With `discard`, what was written to it may be lost.
    fn claim(self: &Arc<Self>, page: &PageRef, discard: bool) -> Result<(), MemoryError> {
        let mut retried = false;
        let mut spins = 0;
        loop {
            let seen = self.link.epoch();
            let mut orders = Vec::new();
            let step = {
                let index = self.set_of(&page.region, page.index as usize);
                let mut set = self.sets[index].lock();
                self.try_claim(page, discard, &mut retried, &mut set, &mut orders)
            };
            self.link.submit(orders);
            match step? {
                Step::Claimed => return Ok(()),
                Step::Again => relax(&mut spins),
                Step::Wait => self.link.advance(seen),
            }
        }
    }

    fn try_claim(
        self: &Arc<Self>,
        page: &PageRef,
        discard: bool,
        retried: &mut bool,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Result<Step, MemoryError> {
        let cell = page.cell();
        let entry = Entry::load(cell);
        match entry.state() {
            BUSY => Ok(Step::Wait),
            RESIDENT => self.try_claim_resident(page, entry, discard, retried, set, orders),
            _ if set.in_eviction_list(&page.region, page.index) => Ok(Step::Wait),
            _ => {
                if let Some(victims) = &self.victims {
                    let mut victims = victims.lock();
                    match victims.lookup(page) {
                        Lookup::Writing => return Ok(Step::Wait),
                        Lookup::Failed if !discard => {
                            if let (true, Some(error)) = (*retried, victims.failure(|_| true)) {
                                return Err(error);
                            }
                            *retried = true;
                            self.retry_victims(&mut victims, orders);
                            return Ok(Step::Wait);
                        }
                        _ => victims.drop_page(page),
                    }
                }
                entry.next(BUSY | (entry.0 & BACKED), 0).store(cell);
                Ok(Step::Claimed)
            }
        }
    }

    fn try_claim_resident(
        self: &Arc<Self>,
        page: &PageRef,
        entry: Entry,
        discard: bool,
        retried: &mut bool,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Result<Step, MemoryError> {
        let place = self.place_of(entry.frame());
        let flags = set.flags(place.way);
        if flags & (flag::HELD | flag::FLUSHING | flag::LEAVING | flag::FILLING) != 0 {
            set.waiting = true;
            return Ok(Step::Wait);
        }
        if entry.has(LOCKED) {
            return Ok(Step::Again);
        }
        if entry.has(DIRTY) && !discard {
            if flags & flag::STUCK != 0 {
                if let (true, Some(error)) = (*retried, &set.failure) {
                    return Err(error.clone());
                }
                set.lower(place.way, flag::STUCK);
            }
            *retried = true;
            return Ok(match self.evict(place, set, orders) {
                Eviction::Freed => Step::Again,
                Eviction::Started | Eviction::NoRoom => Step::Wait,
            });
        }
        let (old, new) = change_resident(page.cell(), |now| {
            if now.has(DIRTY) && !discard {
                now
            } else {
                now.next(BUSY | (now.0 & BACKED), 0)
            }
        });
        if old == new {
            return Ok(Step::Again);
        }
        set.vacate(place.way);
        Ok(Step::Claimed)
    }
}
