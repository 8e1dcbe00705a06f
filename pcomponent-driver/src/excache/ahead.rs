//! Pages fetched before they are asked for: prefetches, and the further pages of a bulk access.

use std::sync::Arc;

use super::entry::{Entry, ABSENT, BACKED, BUSY, DIRTY, FRESH, PREFETCHED};
use super::evict::Eviction;
use super::set::{flag, Set};
use super::victim::Lookup;
use super::{ExCache, Place};
use crate::config::Prefetch;
use crate::link::Order;
use crate::region::PageRef;

/// Most further pages of a bulk access that are fetched together with the one that missed.
const BULK: usize = 32;

impl ExCache {
    /// After a miss on `page`: fetches what comes next, as far as there are frames.
    pub(super) fn fetch_beyond(
        self: &Arc<Self>,
        page: &PageRef,
        ahead: usize,
        orders: &mut Vec<Order>,
    ) {
        let index = page.index as usize;
        let end = page.region.pages.min(index + 1 + ahead.min(BULK));
        for next in index + 1..end {
            if self.fetch_ahead(page, next, 0, orders) {
                self.stats.one(|events| &events.misses);
                self.stats.one(|events| &events.fetches);
            }
        }
        self.prefetch(page, false, orders);
    }

    /// After the first use of a prefetched page: fetches what comes next.
    pub(super) fn fetch_after_use(self: &Arc<Self>, page: &PageRef) {
        let mut orders = Vec::new();
        self.prefetch(page, true, &mut orders);
        self.link.submit(orders);
    }

    fn prefetch(self: &Arc<Self>, page: &PageRef, prefetched: bool, orders: &mut Vec<Order>) {
        if self.config.prefetch == Prefetch::None {
            return;
        }
        let index = page.index as usize;
        let plan = page.region.predictor.lock().record(index, prefetched);
        for next in plan.pages(index, page.region.pages) {
            if self.fetch_ahead(page, next, PREFETCHED, orders) {
                self.stats.one(|events| &events.prefetch_issued);
            }
        }
    }

    /// Starts to fetch a page of the same region if the component has it and a frame can be had
    /// without waiting.
    fn fetch_ahead(
        self: &Arc<Self>,
        near: &PageRef,
        index: usize,
        mark: u64,
        orders: &mut Vec<Order>,
    ) -> bool {
        let wanted = |entry: Entry| {
            entry.state() == ABSENT || (entry.state() == FRESH && !self.config.zero_fill)
        };
        let page = PageRef { region: Arc::clone(&near.region), index: index as u32 };
        let cell = page.cell();
        if !wanted(Entry::load(cell)) {
            return false;
        }
        let set_index = self.set_of(&page.region, page.index as usize);
        let mut set = self.sets[set_index].lock();
        let entry = Entry::load(cell);
        let elsewhere = || match &self.victims {
            Some(victims) => !matches!(victims.lock().lookup(&page), Lookup::Missing),
            None => set.in_eviction_list(&page.region, page.index),
        };
        if !wanted(entry) || elsewhere() {
            return false;
        }
        let Some(way) = self.frame_at_once(set_index, &mut set, orders) else { return false };
        let place = Place { set: set_index, way };
        set.occupy(way, &page.region, page.index, flag::FILLING);
        entry.next(BUSY | mark | (entry.0 & BACKED), self.frame_of(place)).store(cell);
        orders.push(self.fetch(&page, place, None));
        self.evict_ahead(set_index, &mut set, orders);
        true
    }

    /// A free frame, or that of a clean page.
    fn frame_at_once(
        self: &Arc<Self>,
        index: usize,
        set: &mut Set,
        orders: &mut Vec<Order>,
    ) -> Option<u32> {
        if let Some(way) = set.take_free() {
            return Some(way);
        }
        let way = set.choose(self.config.replacement)?;
        let page = set.page(way)?;
        if Entry::load(page.cell()).has(DIRTY) {
            return None;
        }
        // If it was written just now, its eviction has started: another page's gain.
        match self.evict(Place { set: index, way }, set, orders) {
            Eviction::Freed => set.take_free(),
            Eviction::Started | Eviction::NoRoom => None,
        }
    }
}
