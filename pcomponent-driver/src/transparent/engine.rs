//! [`Engine`]: a program's pages in a fixed number of local frames, the rest in a [`PageStore`].
//!
//! # Life of a page
//! A page that was never touched costs nothing. The first touch gives it a frame of zeros. When it has
//! to leave, it goes to the store if it may have been written (and is not all zeros), and is just
//! dropped otherwise. A later touch fetches it: protected from writes if it was touched for
//! reading, so that its first write is seen.
//!
//! # Why no write is lost
//! A page that can be written, or could be before it was protected, counts as changed. A protected
//! one can only be written after a fault, which comes here first and waits for the lock. Before a page
//! that can be written is copied to the store it is protected, unless all other threads sleep in
//! system calls or are in a miss, and cannot wake before the eviction has ended (see [`super::awake`]).
//! So what is copied is what the page holds when it is dropped.
//!
//! # What is done without the lock
//! Waiting for a component that has a device's timing, and, where there are other threads, placing pages.
//! The pages are marked as coming meanwhile: whoever else touches them tries again, and whatever but
//! a fault needs the engine waits until none is coming (see [`super::process`]).
//!
//! # Rule that the `unsafe` here relies on
//! **Own range**: pages lie in the range that the engine reserved. A resident page in a readable area
//! can be read, and nothing in the range is a Rust object.
#![allow(unsafe_code)]

mod apart;
mod check;
mod fork;
mod hold;
mod leave;
mod place;
mod relocate;

pub use apart::Placement;

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::ahead::{Ahead, Window, WINDOW};
use super::array::Array;
use super::awake::Awake;
use super::drop::Dropper;
use super::entry::{Entry, PAGES_MAX};
use super::history::History;
use super::passing::Passing;
use super::space::Space;
use super::stats::{add, StatsPage};
use super::store::{Page, PageStore, StoreError};
use super::sys::{self, Errno};
use super::uffd::{Uffd, Unavailable};
use crate::config::Prefetch;
use crate::transport::{Expected, PAGE_BYTES};

/// Frames that a process has at least: system calls hold some of them.
pub const MIN_FRAMES: usize = 64;
/// Pages that leave together.
const BATCH: usize = 64;
/// Pages that share one count of what is live, so that empty stretches are passed over, and one habit:
/// 2 MiB, which one table of the kernel maps.
const STRETCH: usize = 512;
/// Of 255 pages that were read first, so many are written later from which on they come in writable. A
/// guess too many costs two fingerprints, one too few a fault: a fifth of the time.
const HABIT: u8 = 40;
/// Weight of the last page in the habit, as a power of two of its inverse.
const HABIT_SHIFT: u32 = 4;
/// A frame in no use.
const NOBODY: u32 = u32::MAX;

/// How many local frames a process may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This many.
    Frames(usize),
    /// This share of the pages that hold something, above 0 and at most 1.
    Share(f64),
}

/// What an engine is to be like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransparentConfig {
    /// Local frames.
    pub limit: Limit,
    /// What comes in ahead of a touch.
    pub prefetch: Prefetch,
    /// Addresses to reserve, in pages.
    pub span: usize,
    /// Where to reserve them; 0 for wherever there is room.
    pub base: usize,
}

impl TransparentConfig {
    /// So many frames, prefetch along trends, 64 GiB of addresses.
    pub const fn with_frames(frames: usize) -> Self {
        Self {
            limit: Limit::Frames(frames),
            prefetch: Prefetch::Trend { pages: WINDOW - 1 },
            span: 1 << 24,
            base: 0,
        }
    }
}

/// Why a touch could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The component, or the way to it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel refused to place or to take a page.
    #[error("the kernel refused to {action}: {errno}")]
    Kernel {
        /// What it was asked for.
        action: &'static str,
        /// Why it refused.
        errno: Errno,
    },
    /// Every frame is held by a system call.
    #[error("all local frames are held by system calls")]
    Pinned,
    /// This machine cannot serve unmodified programs.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

fn refused(action: &'static str) -> impl Fn(Errno) -> EngineError {
    move |errno| EngineError::Kernel { action, errno }
}

/// Pages on their way, for which nobody holds the engine's lock.
pub struct Coming {
    pages: [usize; WINDOW],
    len: usize,
    write: bool,
    touched: usize,
}

/// What became of a fault.
// Lives for a moment on the stack of a signal handler, which had better not allocate.
#[allow(clippy::large_enum_variant)]
pub enum Faulted {
    /// The access can be made again.
    Served,
    /// Another thread waits for the page.
    Busy,
    /// To be waited for without the lock; then [`Engine::arrived`] is to be called.
    Wait(Expected, Coming),
    /// To be placed without the lock; then [`Engine::placed`] is to be called.
    Place(Placement),
}

/// Names a pinned range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(usize);

/// A process's pages. See the module's documentation.
pub struct Engine {
    base: usize,
    config: TransparentConfig,
    /// Which parts of the range are mapped.
    pub(super) space: Space,
    table: Array<Entry>,
    /// Live pages in each stretch.
    stretches: Array<u16>,
    /// How many of 255 pages of each stretch that came in for reading were written later.
    habits: Array<u8>,
    /// The page in each frame, or [`NOBODY`].
    frames: Array<u32>,
    /// Pages that had come before the one in each frame, which tells its age. For those that queue among what
    /// is passed through all pages count, for the others only others.
    arrivals: Array<u32>,
    arrived: u32,
    kept: u32,
    history: History,
    passing: Passing,
    /// What a page held that came in writable by its stretch's habit, by frame.
    prints: Array<u64>,
    unused: Vec<u32>,
    frames_made: usize,
    resident: usize,
    /// Of them, those that count as changed.
    dirty: usize,
    /// Pages on their way, which will be resident.
    coming: usize,
    live: usize,
    /// The frame that was looked at last for eviction; when it last came by the first one, by pages
    /// that had come, and how many came in the round before.
    hand: usize,
    round_began: u32,
    round: u32,
    uffd: Uffd,
    dropper: Dropper,
    store: Box<dyn PageStore>,
    numbers: Vec<u32>,
    numbers_made: u32,
    ahead: Ahead,
    pins: Vec<Option<Range<usize>>>,
    pinned: usize,
    awake: Arc<Awake>,
    /// Whether the thread that has the lock is counted as asleep.
    asleep: bool,
    /// Whether the eviction under way is the only thing that goes on, once that is known.
    alone: Option<bool>,
    stats: &'static StatsPage,
    staging: Vec<Page>,
    zeros: Vec<Page>,
    victims: Vec<usize>,
    /// Ranges that are protected while some of their pages leave.
    guarded: Vec<Range<usize>>,
}

impl Engine {
    /// Reserves the address range and watches it.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the kernel does not let us, [`EngineError::Kernel`] if there is
    /// no room.
    pub fn new(
        config: TransparentConfig,
        store: Box<dyn PageStore>,
        stats: &'static StatsPage,
    ) -> Result<Self, EngineError> {
        let span = config.span.min(PAGES_MAX);
        let config = TransparentConfig { span, ..config };
        let array = refused("reserve its tables");
        let uffd = Uffd::open()?;
        let base =
            sys::reserve(config.base, span * PAGE_BYTES).map_err(refused("reserve addresses"))?;
        // Large pages would take frames that nobody counts. Refused where there are none anyway.
        // SAFETY: the range was reserved just now.
        let _ = unsafe { sys::advise(base, span * PAGE_BYTES, libc::MADV_NOHUGEPAGE) };
        uffd.register(base, span * PAGE_BYTES)?;
        Ok(Self {
            base,
            config,
            space: Space::new(span),
            table: Array::new(span).map_err(&array)?,
            stretches: Array::new(span.div_ceil(STRETCH)).map_err(&array)?,
            habits: Array::new(span.div_ceil(STRETCH)).map_err(&array)?,
            frames: Array::new(span).map_err(&array)?,
            arrivals: Array::new(span).map_err(&array)?,
            arrived: 0,
            kept: 0,
            history: History::new(span).map_err(&array)?,
            passing: Passing::new(span).map_err(&array)?,
            prints: Array::new(span).map_err(&array)?,
            unused: Vec::new(),
            frames_made: 0,
            resident: 0,
            dirty: 0,
            coming: 0,
            live: 0,
            hand: 0,
            round_began: 0,
            round: u32::MAX,
            uffd,
            dropper: Dropper::new(),
            store,
            numbers: Vec::new(),
            numbers_made: 0,
            ahead: Ahead::new(config.prefetch),
            pins: Vec::new(),
            pinned: 0,
            awake: Arc::default(),
            asleep: false,
            alone: None,
            stats,
            staging: vec![Page::ZERO; WINDOW],
            zeros: vec![Page::ZERO; WINDOW],
            victims: Vec::with_capacity(BATCH + STRETCH),
            guarded: Vec::with_capacity(BATCH),
        })
    }

    /// Addresses of the range.
    pub fn range(&self) -> Range<usize> {
        self.base..self.base + self.config.span * PAGE_BYTES
    }

    /// What is counted.
    pub fn stats(&self) -> &'static StatsPage {
        self.stats
    }

    /// Counts somewhere else from now on.
    pub fn set_stats(&mut self, stats: &'static StatsPage) {
        self.stats = stats;
        self.publish();
    }

    /// The address of a page.
    pub fn address(&self, page: usize) -> usize {
        self.base + page * PAGE_BYTES
    }

    /// The page of an address in the range.
    pub fn page(&self, address: usize) -> Option<usize> {
        self.range().contains(&address).then(|| (address - self.base) / PAGE_BYTES)
    }

    /// The process's threads that may write. Whoever starts one says so there before it starts.
    pub fn awake(&self) -> &Arc<Awake> {
        &self.awake
    }

    /// Whether the thread that works with the engine from now on is counted as asleep.
    pub(super) fn set_asleep(&mut self, asleep: bool) {
        self.asleep = asleep;
    }

    /// Pages that the component has room for.
    pub fn capacity(&self) -> usize {
        self.store.capacity() as usize
    }

    /// Frames allowed, with so many pages that hold something.
    fn limit(&self, live: usize) -> usize {
        match self.config.limit {
            Limit::Frames(frames) => frames.max(MIN_FRAMES),
            Limit::Share(share) => ((live as f64 * share) as usize).max(MIN_FRAMES),
        }
    }

    /// A touch of a page that was absent, or protected and written to.
    ///
    /// # Errors
    /// [`EngineError`]. The page is as it was.
    pub fn fault(&mut self, page: usize, write: bool) -> Result<Faulted, EngineError> {
        self.history.expect(page);
        let entry = self.table[page];
        if entry.has(Entry::RESIDENT) {
            // Served meanwhile for another thread, or a first write.
            if write {
                self.allow_writes(page)?;
            }
            return Ok(Faulted::Served);
        }
        if entry.has(Entry::COMING) {
            return Ok(Faulted::Busy);
        }
        add(&self.stats.misses, 1);
        let table = &self.table;
        let (window, useful) = self.ahead.miss(page, |page| table[page].has(Entry::RESIDENT));
        add(&self.stats.prefetch_useful, useful);
        self.bring_in(page, write, &window)
    }

    /// The pages of a fault have come, which was to be waited for.
    ///
    /// # Errors
    /// [`EngineError`]. The pages are as they were.
    pub fn arrived(&mut self, coming: &Coming) -> Result<Faulted, EngineError> {
        let pages = &coming.pages[..coming.len];
        for page in pages {
            self.table[*page] = self.table[*page].without(Entry::COMING);
        }
        self.coming -= pages.len();
        self.place_or_depart(pages, coming.write, coming.touched)
    }

    /// Whether a thread waits for pages without the lock.
    pub fn is_any_coming(&self) -> bool {
        self.coming > 0
    }

    fn allow_writes(&mut self, page: usize) -> Result<(), EngineError> {
        add(&self.stats.write_faults, 1);
        self.uffd
            .protect(self.address(page), PAGE_BYTES, false)
            .map_err(refused("let a page be written"))?;
        let entry = self.table[page];
        if !entry.has(Entry::DIRTY) {
            self.learn(page, true);
            self.dirty += 1;
        }
        self.table[page] = entry.with(Entry::WRITABLE | Entry::DIRTY).without(Entry::ASSUMED);
        Ok(())
    }

    /// A page that had come in for reading was written, or not.
    fn learn(&mut self, page: usize, written: bool) {
        let habit = &mut self.habits[page / STRETCH];
        let off = i32::from(if written { u8::MAX } else { 0 }) - i32::from(*habit);
        // Away from zero, so that it reaches both ends.
        let step = (off.abs() + (1 << HABIT_SHIFT) - 1) >> HABIT_SHIFT;
        *habit = (i32::from(*habit) + step * off.signum()) as u8;
    }

    /// Brings in a page, and those of the window that are near at hand.
    fn bring_in(
        &mut self,
        page: usize,
        write: bool,
        window: &Window,
    ) -> Result<Faulted, EngineError> {
        let mut wanted = [page; WINDOW];
        let mut len = 1;
        // Others follow only where the page itself lives, and not to throw out what is in use.
        let area = self.space.area(page).map_or(page..page + 1, |(start, area)| start..area.end);
        let room = (self.limit(self.live + 1) / 4).min(WINDOW);
        for next in window.pages() {
            let here = Entry::RESIDENT | Entry::COMING;
            let welcome = area.contains(next) && !self.table[*next].has(here);
            if len < room && welcome {
                wanted[len] = *next;
                len += 1;
            }
        }
        if let Err(error) = self.make_room(len) {
            if !matches!(error, EngineError::Pinned) || len == 1 {
                return Err(error);
            }
            len = 1;
            self.make_room(1)?;
        }
        add(&self.stats.prefetched, len as u64 - 1);
        let pages = &mut wanted[..len];
        pages.sort_unstable();
        if !window.pages().is_empty() {
            for page in &pages[..] {
                self.table[*page] = self.table[*page].with(Entry::PASSING);
            }
        }
        let stored = pages.iter().filter(|page| self.table[**page].has(Entry::STORED)).count();
        match if stored == 0 { None } else { self.store.expect(stored) } {
            Some(expected) => {
                for page in &pages[..] {
                    self.table[*page] = self.table[*page].with(Entry::COMING);
                }
                self.coming += len;
                let coming = Coming { pages: wanted, len, write, touched: page };
                Ok(Faulted::Wait(expected, coming))
            }
            None => self.place_or_depart(pages, write, page),
        }
    }

    fn take_frame(&mut self, page: usize) -> usize {
        let frame = self.unused.pop().map_or(self.frames_made, |frame| frame as usize);
        self.frames_made = self.frames_made.max(frame + 1);
        self.frames[frame] = page as u32;
        let (frames, left) = (self.limit(self.live), self.table[page].has(Entry::STORED));
        let early = self.history.came(page, frame, self.arrived, frames, left);
        // What is new will be used for something else than to be passed through.
        if self.table[page].has(Entry::PASSING) && left && !early {
            self.arrivals[frame] = self.arrived;
            if let Some(kept) = self.passing.push(frame, frames) {
                self.keep(kept);
            }
        } else {
            self.keep(frame);
        }
        self.arrived = self.arrived.wrapping_add(1);
        self.resident += 1;
        frame
    }

    /// The page in a frame does not queue among those that are passed through, or no longer.
    fn keep(&mut self, frame: usize) {
        self.arrivals[frame] = self.kept;
        self.kept = self.kept.wrapping_add(1);
    }

    fn leave_frame(&mut self, page: usize) {
        let frame = self.table[page].frame();
        self.frames[frame] = NOBODY;
        self.passing.remove(frame);
        self.unused.push(frame as u32);
        self.resident -= 1;
        self.dirty -= usize::from(self.table[page].has(Entry::DIRTY));
    }

    /// A page holds nothing any more.
    fn forget(&mut self, page: usize) {
        self.live -= 1;
        self.stretches[page / STRETCH] -= 1;
    }

    /// The live pages of a range.
    fn next_live(&self, mut page: usize, end: usize) -> Option<usize> {
        while page < end {
            if self.stretches[page / STRETCH] == 0 {
                page = (page / STRETCH + 1) * STRETCH;
            } else if self.table[page].is_live() {
                return Some(page);
            } else {
                page += 1;
            }
        }
        None
    }

    /// Makes a range hold zeros. The caller drops the pages themselves.
    pub(super) fn discard(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while let Some(page) = self.next_live(at, range.end) {
            let entry = self.table[page];
            if entry.has(Entry::RESIDENT) {
                self.leave_frame(page);
            }
            if entry.has(Entry::STORED) {
                self.numbers.push(entry.number());
            }
            self.table[page] = Entry::default();
            self.forget(page);
            at = page + 1;
        }
        self.publish();
    }

    /// Brings the counts of frames up to date.
    fn publish(&self) {
        let peak = |counter: &std::sync::atomic::AtomicU64, n: usize| {
            if n as u64 > counter.load(Relaxed) {
                counter.store(n as u64, Relaxed);
            }
        };
        self.stats.resident.store(self.resident as u64, Relaxed);
        self.stats.dirty.store(self.dirty as u64, Relaxed);
        self.stats.live.store(self.live as u64, Relaxed);
        self.stats.limit.store(self.limit(self.live) as u64, Relaxed);
        peak(&self.stats.resident_peak, self.resident);
        peak(&self.stats.live_peak, self.live);
        let per_page = (size_of::<Entry>() + History::BYTES.0) * self.live + STRETCH;
        let per_frame = 2 * size_of::<u32>() + size_of::<u64>() + History::BYTES.1 + Passing::BYTES;
        let fixed = 2 * WINDOW * PAGE_BYTES + Ahead::BYTES;
        peak(&self.stats.overhead_bytes, per_page + per_frame * self.frames_made + fixed);
    }
}

/// A fingerprint of a page's content. Two contents may share one: nothing but a guess may hang on it.
fn fingerprint(page: &[u8; PAGE_BYTES]) -> u64 {
    let mut lanes = [0x9e37_79b9_7f4a_7c15u64; 8];
    for block in bytemuck::cast_slice::<u8, [u64; 8]>(page) {
        for (lane, word) in lanes.iter_mut().zip(block) {
            *lane = (*lane ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        }
    }
    lanes
        .iter()
        .fold(0, |sum, lane| (sum ^ lane).rotate_left(29).wrapping_mul(0xc4ce_b9fe_1a85_ec53))
}
