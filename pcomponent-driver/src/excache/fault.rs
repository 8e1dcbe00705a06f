//! Misses: how a page comes into its set.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use splitmem_abi::mailbox::Permission;

use super::entry::{
    Cell, Entry, ABSENT, BACKED, BUSY, DIRTY, FRESH, PREFETCHED, PROTECTED, REFERENCED, RESIDENT,
};
use super::evict::{content, Eviction};
use super::frames::Page;
use super::set::{flag, Set};
use super::victim::Lookup;
use super::{ExCache, Place};
use crate::error::MemoryError;
use crate::link::{Order, Outcome};
use crate::region::{PageRef, Region};
use crate::transport::{Completion, TransportError, Work};

/// What an access wants of a page.
#[derive(Clone, Copy)]
pub(super) enum Need<'a> {
    Read,
    Write,
    /// All of it is written, so what was there is not needed.
    Overwrite(&'a Page),
}

/// How a fault ended.
pub(super) enum Faulted {
    /// The page is, or was, resident: look again.
    Again,
    /// The page is resident, and stays so until it is released.
    Held(Place),
    /// The page was overwritten.
    Written,
}

/// A demand fetch, for the thread that waits for it.
type Demand = Mutex<Option<Result<(), MemoryError>>>;

/// What a fault found under the lock of the set.
enum Step {
    Done(Faulted),
    /// This slot waits for the page.
    Fetch(Place),
    Wait,
}

impl ExCache {
    /// Brings a page in that an access did not find resident, or not writable.
    pub(super) fn fault(
        self: &Arc<Self>,
        page: &PageRef,
        need: Need<'_>,
        ahead: usize,
    ) -> Result<Faulted, MemoryError> {
        check(page, need)?;
        let started = Instant::now();
        let mut attempt = Attempt::default();
        loop {
            let seen = self.link.epoch();
            let entry = Entry::load(page.cell());
            match entry.state() {
                RESIDENT if entry.has(PROTECTED) && !matches!(need, Need::Read) => {
                    check(page, need)?;
                    if entry.has(DIRTY) {
                        self.note(&mut attempt, Wait::WriteProtect);
                        self.link.advance(seen);
                    } else {
                        // It came in when the region was read-only.
                        entry.replace(page.cell(), entry.without(PROTECTED));
                    }
                }
                RESIDENT => {
                    if attempt.waited != 0 {
                        self.stats.waited(started.elapsed());
                    }
                    return Ok(Faulted::Again);
                }
                BUSY => self.join(page, entry, seen, &mut attempt),
                _ => {
                    let mut orders = Vec::new();
                    let step = self.fill(page, need, &mut attempt, &mut orders);
                    if let Ok(Step::Fetch(place)) = step {
                        let fetched = self.fetch_demanded(page, place, ahead, orders);
                        self.stats.waited(started.elapsed());
                        return fetched.map(|()| Faulted::Held(place));
                    }
                    self.link.submit(orders);
                    match step? {
                        Step::Done(Faulted::Again) => {}
                        Step::Done(faulted) => {
                            self.stats.waited(started.elapsed());
                            return Ok(faulted);
                        }
                        Step::Wait | Step::Fetch(_) => self.link.advance(seen),
                    }
                }
            }
        }
    }

    /// Fetches the page that an access waits for into its slot, and what comes next; and lets go of
    /// the write-backs that its frame took.
    fn fetch_demanded(
        self: &Arc<Self>,
        page: &PageRef,
        place: Place,
        ahead: usize,
        mut orders: Vec<Order>,
    ) -> Result<(), MemoryError> {
        let timed = self.link.expect_page();
        let is_timed = timed.is_some();
        if let Some(expected) = timed {
            // What comes next is under way meanwhile.
            self.fetch_beyond(page, ahead, &mut orders);
            self.link.submit(std::mem::take(&mut orders));
            expected.wait();
        }
        let here = self.link.read_page_now(page.pid(), page.va(), |data| {
            self.frames.fill(self.frame_of(place), data, 0);
            self.filled(page, place);
            true
        });
        let demand = (!here).then(|| Arc::new(Demand::new(None)));
        if let Some(demand) = &demand {
            // The fetch goes before the write-backs.
            orders.insert(0, self.fetch(page, place, Some(Arc::clone(demand))));
        }
        if !is_timed {
            self.fetch_beyond(page, ahead, &mut orders);
        }
        self.link.submit(orders);
        let Some(demand) = demand else { return Ok(()) };
        self.link.wait_until(|| demand.lock().is_some());
        let fetched = demand.lock().take();
        fetched.unwrap_or(Ok(()))
    }

    /// Waits for a page that another access, or a prefetch, has under way.
    fn join(&self, page: &PageRef, entry: Entry, seen: u64, attempt: &mut Attempt) {
        // It may have arrived already and only wait to be collected.
        self.link.poll();
        if self.link.epoch() != seen {
            return;
        }
        if entry.has(PREFETCHED) && entry.replace(page.cell(), entry.without(PREFETCHED)) {
            self.stats.one(|events| &events.prefetch_useful);
            self.stats.one(|events| &events.prefetch_late);
            self.stats.one(|events| &events.misses);
        } else {
            self.note(attempt, Wait::Fetch);
        }
        self.link.advance(seen);
    }

    /// Finds a frame for a page that is not resident, and fills it or starts to.
    fn fill(
        self: &Arc<Self>,
        page: &PageRef,
        need: Need<'_>,
        attempt: &mut Attempt,
        orders: &mut Vec<Order>,
    ) -> Result<Step, MemoryError> {
        let index = self.set_of(&page.region, page.index as usize);
        let mut set = self.sets[index].lock();
        let cell = page.cell();
        let entry = Entry::load(cell);
        if !matches!(entry.state(), ABSENT | FRESH) {
            return Ok(Step::Done(Faulted::Again));
        }
        if set.in_eviction_list(&page.region, page.index) {
            self.note(attempt, Wait::WriteBack);
            return Ok(Step::Wait);
        }
        let victim = self.victims.as_ref().map(|victims| victims.lock().lookup(page));
        if let (Some(Lookup::Writing), Need::Overwrite(_)) = (&victim, need) {
            // What is being written back must not arrive after what is written now.
            self.note(attempt, Wait::WriteBack);
            return Ok(Step::Wait);
        }
        // The evictions that make a frame free must not push the page out of the victim cache.
        let want = |wanted| self.victims.iter().for_each(|v| v.lock().want(page, wanted));
        want(true);
        let way = self.find_frame(index, &mut set, attempt, orders);
        want(false);
        let Some(way) = way? else { return Ok(Step::Wait) };
        let place = Place { set: index, way };
        let frame = self.frame_of(place);
        let step = match (need, victim) {
            (Need::Overwrite(data), victim) => {
                if let (Some(victims), Some(_)) = (&self.victims, victim) {
                    victims.lock().drop_page(page);
                }
                self.frames.fill(frame, data, u64::MAX);
                set.occupy(way, &page.region, page.index, 0);
                entry.next(RESIDENT | REFERENCED | DIRTY | BACKED, frame).store(cell);
                self.stats.one(|events| &events.overwrites);
                Step::Done(Faulted::Written)
            }
            (_, Some(Lookup::Writing | Lookup::Flushed | Lookup::Failed)) => {
                self.take_back(page, entry, place, &mut set)
            }
            _ if entry.state() == FRESH && self.config.zero_fill => {
                self.frames.fill_zero(frame);
                set.occupy(way, &page.region, page.index, flag::HELD);
                entry.next(resident(&page.region) | REFERENCED, frame).store(cell);
                self.stats.one(|events| &events.zero_fills);
                Step::Done(Faulted::Held(place))
            }
            _ => {
                set.occupy(way, &page.region, page.index, flag::FILLING | flag::HELD);
                entry.next(BUSY | (entry.0 & BACKED), frame).store(cell);
                self.stats.one(|events| &events.fetches);
                Step::Fetch(place)
            }
        };
        // A page that left the victim cache meanwhile is looked up again, and counted then.
        if !matches!(step, Step::Done(Faulted::Again)) {
            self.stats.one(|events| &events.misses);
        }
        self.evict_ahead(index, &mut set, orders);
        Ok(step)
    }

    /// A frame of the set for a page that needs one, by evictions if need be; `None`: wait.
    fn find_frame(
        self: &Arc<Self>,
        index: usize,
        set: &mut Set,
        attempt: &mut Attempt,
        orders: &mut Vec<Order>,
    ) -> Result<Option<u32>, MemoryError> {
        loop {
            if let Some(way) = set.take_free() {
                return Ok(Some(way));
            }
            set.pressed = true;
            // If pages are on their way out already, their frames will do.
            let ended = match set.anyone_leaving() {
                true => None,
                false => self.evict_batch(index, set, orders),
            };
            if set.has_free() {
                continue;
            }
            if ended == Some(Eviction::NoRoom) {
                let Some(victims) = &self.victims else { continue };
                let mut victims = victims.lock();
                if !victims.any_writing() {
                    // All that is there failed to be written back.
                    if let (true, Some(error)) = (attempt.retried, victims.failure(|_| true)) {
                        return Err(error);
                    }
                    attempt.retried = true;
                    self.retry_victims(&mut victims, orders);
                }
                self.note(attempt, Wait::VictimRoom);
            } else if !set.will_change() {
                // Every page here is stuck.
                match &set.failure {
                    Some(error) if attempt.retried => return Err(error.clone()),
                    _ => {
                        attempt.retried = true;
                        set.free_stuck();
                        continue;
                    }
                }
            } else {
                self.note(attempt, Wait::Frame);
            }
            set.waiting = true;
            return Ok(None);
        }
    }

    /// Takes a page back from the victim cache.
    fn take_back(&self, page: &PageRef, entry: Entry, place: Place, set: &mut Set) -> Step {
        let taken = self.victims.as_ref().and_then(|v| v.lock().take_back(page, place.way));
        let Some(taken) = taken else {
            set.give_back(place.way);
            return Step::Done(Faulted::Again);
        };
        let frame = self.frame_of(place);
        self.frames.fill(frame, &taken.data, taken.dirty);
        let writing = if taken.writing { flag::FLUSHING } else { 0 };
        set.occupy(place.way, &page.region, page.index, flag::HELD | writing);
        let dirty = if taken.clean { 0 } else { DIRTY };
        let flags = resident(&page.region) | REFERENCED | BACKED | dirty;
        entry.next(flags, frame).store(page.cell());
        self.stats.one(|events| &events.victim_hits);
        Step::Done(Faulted::Held(place))
    }

    /// The order that fetches a page into a slot that is filling.
    pub(super) fn fetch(
        self: &Arc<Self>,
        page: &PageRef,
        place: Place,
        demand: Option<Arc<Demand>>,
    ) -> Order {
        let cache = Arc::clone(self);
        let filled = page.clone();
        let end = Box::new(move |outcome: Outcome| {
            let cycles = outcome.as_ref().ok().and_then(|completion| completion.cycles);
            let result = cache.fetched(&filled, place, content(&filled, outcome));
            if let Some(demand) = demand {
                cache.stats.miss_took(cycles);
                *demand.lock() = Some(result);
            }
        });
        Order { pid: page.pid(), va: page.va(), work: Work::ReadPage, end }
    }

    /// A fetch has ended. Runs under the link's lock.
    fn fetched(
        &self,
        page: &PageRef,
        place: Place,
        content: Result<Completion, MemoryError>,
    ) -> Result<(), MemoryError> {
        let result = content.and_then(|completion| {
            let data: &Page = completion.data.as_slice().try_into().map_err(|_| {
                let message = format!("a page of {} bytes", completion.data.len());
                MemoryError::from(Arc::new(TransportError::Protocol(message)))
            })?;
            self.frames.fill(self.frame_of(place), data, 0);
            Ok(())
        });
        if result.is_ok() {
            self.filled(page, place);
        } else {
            let mut set = self.sets[place.set].lock();
            set.vacate(place.way);
            Entry::load(page.cell()).next_unmapped().store(page.cell());
        }
        result
    }

    /// The page is in its frame: lets everybody have it. Runs under the link's lock.
    fn filled(&self, page: &PageRef, place: Place) {
        let mut set = self.sets[place.set].lock();
        set.lower(place.way, flag::FILLING);
        let (flags, frame) = (resident(&page.region), self.frame_of(place));
        settle_busy(page.cell(), |entry| {
            let used = if entry.has(PREFETCHED) { PREFETCHED } else { REFERENCED };
            entry.next(flags | used | (entry.0 & BACKED), frame)
        });
    }
}

/// Changes a busy page's word; another thread may clear its mark of a prefetch meanwhile.
fn settle_busy(cell: &Cell, change: impl Fn(Entry) -> Entry) {
    loop {
        let entry = Entry::load(cell);
        if entry.replace(cell, change(entry)) {
            return;
        }
    }
}

/// What an access can wait for.
#[derive(Clone, Copy)]
enum Wait {
    WriteProtect,
    WriteBack,
    VictimRoom,
    Frame,
    Fetch,
}

/// What a thread went through in one fault.
#[derive(Default)]
struct Attempt {
    /// Stuck pages were given another try for it.
    retried: bool,
    /// What it waited for, one bit each.
    waited: u8,
}

impl ExCache {
    /// Notes that a fault waits; for each reason, it is counted once.
    fn note(&self, attempt: &mut Attempt, wait: Wait) {
        if attempt.waited & 1 << wait as u8 == 0 {
            self.stats.one(|events| match wait {
                Wait::WriteProtect => &events.waits_write_protect,
                Wait::WriteBack => &events.waits_eviction_list,
                Wait::VictimRoom => &events.waits_victim_room,
                Wait::Frame => &events.waits_frame,
                Wait::Fetch => &events.joined,
            });
        }
        attempt.waited |= 1 << wait as u8;
    }
}

/// The state, and whether writes are let through at once, of a page of this region.
pub(super) fn resident(region: &Region) -> u64 {
    if region.permission().write {
        RESIDENT
    } else {
        RESIDENT | PROTECTED
    }
}

/// Refuses what the region's permission does.
fn check(page: &PageRef, need: Need<'_>) -> Result<(), MemoryError> {
    let Permission { read, write } = page.region.permission();
    let allowed = match need {
        Need::Read => read,
        Need::Write | Need::Overwrite(_) => write,
    };
    if allowed {
        return Ok(());
    }
    Err(MemoryError::NoPermission { pid: page.pid(), va: page.va() })
}
