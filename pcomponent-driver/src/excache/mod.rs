//! ExCache: local frames of 4 KiB under software control (LegoOS, OSDI'18, section 4.3).
//!
//! # Path of an access
//! A **hit** loads the page's [`entry`] word, selected by the page's index in its allocation, reads
//! or writes the frame, and is done: no lock of the cache, no hash, no call of the component. A write
//! holds its page's own lock for the copy.
//!
//! A **miss** ([`fault`]) takes the lock of the page's set, finds a frame, and hands the fetch, the
//! prefetches it led to and the write-backs it made necessary to the link in one batch. Then it waits,
//! driving the link, without any lock. Where the transport has pages in this process, a miss is done
//! in one go instead ([`at_hand`]).
//!
//! # What keeps a page from being fetched stale
//! A page that was written and left its frame is in one of two places until the component has
//! acknowledged its write-back: in its set's eviction list, or in the victim cache. A miss looks
//! there under the set's lock before it fetches, and waits or takes the page back. (With
//! write-protection the page has not left its frame.) So no fetch of a page is ever in flight together
//! with a write-back of it, and the cache does not depend on the order in which a transport does
//! its work.
//!
//! # Failures
//! A page whose write-back fails stays in the cache, dirty and *stuck*: it can be read and
//! written, it does not leave, and a flush tries again and reports. A miss that finds only stuck
//! pages in its set tries again too, and fails with what the component said.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`entry`] | a page's word, and the rules of concurrent use |
//! | [`frames`], [`pool`] | the local memory |
//! | [`window`] | the path of a hit |
//! | [`set`] | which page is in which frame, and which leaves next |
//! | [`victim`] | the victim cache |
//! | [`fault`] | misses |
//! | [`at_hand`] | misses on pages that are in this process |
//! | [`evict`] | evictions and write-backs |
//! | [`ahead`] | pages fetched before they are asked for |
//! | [`claim`] | pages taken out of the cache for an atomic, or to be freed |
//! | [`flush`] | dirty pages written back without leaving |

mod ahead;
mod at_hand;
mod claim;
pub(crate) mod entry;
mod evict;
mod fault;
mod flush;
mod frames;
mod pool;
pub(crate) mod predictor;
mod set;
mod stats;
mod victim;
mod window;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use stats::{ExCacheStats, Sample};
pub(crate) use window::Window;

use crate::config::{DirtyTracking, Eviction, ExCacheConfig, Shape};
use crate::error::MemoryError;
use crate::link::Link;
use crate::region::{PageRef, Region};
use crate::transport::PAGE_BYTES;
use at_hand::Access;
use entry::{relax, Entry, LOCKED, RESIDENT};
use fault::{Faulted, Need};
use frames::{Frames, Page};
use set::Set;
use stats::Stats;
use victim::VictimCache;

/// A slot: set and way. Its frame is `set * ways + way`.
#[derive(Clone, Copy, Debug)]
struct Place {
    set: usize,
    way: u32,
}

/// A set behind its lock, from the beginning of a cache line on.
#[repr(align(64))]
struct LockedSet(Mutex<Set>);

impl LockedSet {
    /// Has the processor fetch what is behind the lock.
    fn glance(&self) {
        std::hint::black_box(self.0.is_locked());
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.0.lock()
    }
}

pub(crate) struct ExCache {
    config: ExCacheConfig,
    shape: Shape,
    /// Pages evicted together.
    batch: usize,
    link: Arc<Link>,
    frames: Arc<Frames>,
    sets: Box<[LockedSet]>,
    /// Locked after a set's lock, never before.
    victims: Option<Mutex<VictimCache>>,
    stats: Arc<Stats>,
}

impl ExCache {
    pub fn new(config: ExCacheConfig, link: Arc<Link>) -> Result<Self, MemoryError> {
        let shape = config.shape()?;
        let victims = match config.eviction {
            Eviction::Victim { pages } => Some(Mutex::new(VictimCache::new(pages))),
            _ => None,
        };
        let track_lines = config.dirty == DirtyTracking::Line;
        let frames = Frames::new(shape.frames(), track_lines).map_err(|error| {
            let bytes = shape.frames() * PAGE_BYTES;
            MemoryError::LocalMemory { bytes, cause: error.to_string() }
        })?;
        let set = |i: usize| Set::new(shape.ways, config.seed.wrapping_add(i as u64));
        Ok(Self {
            shape,
            batch: config.evict_batch.clamp(1, (shape.ways / 4).max(1)),
            link,
            frames: Arc::new(frames),
            sets: (0..shape.sets).map(|i| LockedSet(Mutex::new(set(i)))).collect(),
            victims,
            stats: Arc::new(Stats::new(config.sample_every)),
            config,
        })
    }

    pub fn config(&self) -> &ExCacheConfig {
        &self.config
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn stats(&self) -> ExCacheStats {
        self.stats.snapshot()
    }

    /// The set of a page: consecutive pages go to consecutive sets, and processes start apart.
    fn set_of(&self, region: &Region, index: usize) -> usize {
        let number = (region.page_va(index) >> 12).wrapping_add(region.pid as u64 * 0x9e37_79b1);
        (number % self.shape.sets as u64) as usize
    }

    fn frame_of(&self, place: Place) -> usize {
        place.set * self.shape.ways + place.way as usize
    }

    /// The slot of a page that is resident in this frame.
    fn place_of(&self, frame: usize) -> Place {
        Place { set: frame / self.shape.ways, way: (frame % self.shape.ways) as u32 }
    }

    /// A way to hit the pages of a region without asking here. There is none where a time series is
    /// taken: it is the way here that looks whether the next point is due.
    pub fn window(&self, region: &Region) -> Option<Window> {
        (!self.stats.samples()).then(|| Window {
            cells: Arc::clone(&region.cells),
            words: self.frames.pool().clone(),
            frames: Arc::clone(&self.frames),
            stats: Arc::clone(&self.stats),
        })
    }

    /// Reads bytes of one page. The access will go on with the next `ahead` pages.
    #[inline]
    pub fn read(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        offset: usize,
        out: &mut [u8],
        ahead: usize,
    ) -> Result<(), MemoryError> {
        self.stats.count_read();
        let cell = &region.cells[index];
        let entry = Entry::load(cell);
        if entry.reads_at_once() && self.frames.read(cell, entry, offset, out) {
            return Ok(());
        }
        self.read_slowly(region, index, offset, out, ahead)
    }

    #[cold]
    fn read_slowly(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        offset: usize,
        out: &mut [u8],
        ahead: usize,
    ) -> Result<(), MemoryError> {
        if self.at_hand(region, index, Access::Read { offset, out }) {
            return Ok(());
        }
        let page = PageRef { region: Arc::clone(region), index: index as u32 };
        loop {
            if self.read_resident(&page, offset, out) {
                return Ok(());
            }
            if let Faulted::Held(place) = self.fault(&page, Need::Read, ahead)? {
                let read = self.read_resident(&page, offset, out);
                self.release(place);
                if read {
                    return Ok(());
                }
            }
        }
    }

    /// Reads bytes of a page as long as it is resident: `false` if it is not.
    fn read_resident(self: &Arc<Self>, page: &PageRef, offset: usize, out: &mut [u8]) -> bool {
        let cell = page.cell();
        let mut spins = 0;
        loop {
            let entry = Entry::load(cell);
            if entry.state() != RESIDENT {
                return false;
            }
            let entry = self.used(page, entry);
            if spins < 1000 {
                if !entry.has(LOCKED) && self.frames.read(cell, entry, offset, out) {
                    return true;
                }
            } else if !entry.has(LOCKED) && entry.replace(cell, entry.with(LOCKED)) {
                // Writers gave no chance to read between them: be one of them.
                self.frames.read(cell, entry.with(LOCKED), offset, out);
                entry.store(cell);
                return true;
            }
            relax(&mut spins);
        }
    }

    /// Writes bytes of one page.
    #[inline]
    pub fn write(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), MemoryError> {
        self.stats.count_write();
        let cell = &region.cells[index];
        let entry = Entry::load(cell);
        if entry.writes_at_once() && self.try_write(cell, entry, offset, bytes) {
            return Ok(());
        }
        self.write_slowly(region, index, offset, bytes)
    }

    #[inline(always)]
    fn try_write(&self, cell: &entry::Cell, entry: Entry, offset: usize, bytes: &[u8]) -> bool {
        let locked = entry.with(LOCKED);
        if !entry.replace(cell, locked) {
            return false;
        }
        self.frames.write(locked, offset, bytes);
        entry.next_written().store(cell);
        true
    }

    #[cold]
    fn write_slowly(
        self: &Arc<Self>,
        region: &Arc<Region>,
        index: usize,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), MemoryError> {
        let whole: Option<&Page> = bytes.try_into().ok();
        if whole.is_none() && self.at_hand(region, index, Access::Write { offset, bytes }) {
            return Ok(());
        }
        let page = PageRef { region: Arc::clone(region), index: index as u32 };
        loop {
            if self.write_resident(&page, offset, bytes) {
                return Ok(());
            }
            let need = whole.map_or(Need::Write, Need::Overwrite);
            match self.fault(&page, need, 0)? {
                Faulted::Again => {}
                Faulted::Written => return Ok(()),
                Faulted::Held(place) => {
                    let written = self.write_resident(&page, offset, bytes);
                    self.release(place);
                    if written {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Writes bytes of a page as long as it is resident and may be written: `false` if not.
    fn write_resident(self: &Arc<Self>, page: &PageRef, offset: usize, bytes: &[u8]) -> bool {
        let cell = page.cell();
        let mut spins = 0;
        loop {
            let entry = Entry::load(cell);
            if entry.state() != RESIDENT || entry.has(entry::PROTECTED) {
                return false;
            }
            let entry = self.used(page, entry);
            if entry.writes_at_once() && self.try_write(cell, entry, offset, bytes) {
                return true;
            }
            relax(&mut spins);
        }
    }

    /// Lets go of a page that [`Self::fault`] held for this thread.
    fn release(&self, place: Place) {
        let mut set = self.sets[place.set].lock();
        set.lower(place.way, set::flag::HELD);
        let waiting = std::mem::take(&mut set.waiting);
        drop(set);
        if waiting {
            self.link.touch();
        }
    }

    /// Notes the use of a resident page; gives its word as it then is.
    fn used(self: &Arc<Self>, page: &PageRef, entry: Entry) -> Entry {
        if entry.has(LOCKED) || (entry.has(entry::REFERENCED) && !entry.has(entry::PREFETCHED)) {
            return entry;
        }
        let new = entry.with(entry::REFERENCED).without(entry::PREFETCHED);
        if !entry.replace(page.cell(), new) {
            return entry;
        }
        if entry.has(entry::PREFETCHED) {
            self.stats.one(|events| &events.prefetch_useful);
            self.fetch_after_use(page);
        }
        new
    }
}
