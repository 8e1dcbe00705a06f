//! [`Entry`]: the word that says where a page is and what may be done with it.
//!
//! Every page of an allocation has one, in an array that the page's index selects, so that a hit
//! costs one load to find its frame. All rules of concurrent use hang on this word:
//!
//! - **Who may change it.** A page that is `ABSENT` or `FRESH` changes only under the lock of its
//!   set. A `BUSY` page belongs to whoever made it so. A `RESIDENT` page changes by compare-and-swap
//!   from an unlocked value; while `LOCKED` is set it belongs to the writer who set it.
//! - **Reading** takes no lock: load the word, read the frame, load the word again. If it did not
//!   change, what was read is the page's content at one moment, because every write, and every step
//!   that gives the frame to another page, changes the version.
//! - **Writing** sets `LOCKED`, writes the frame, and puts back the word with the next version. The
//!   lock is held for the copy only; nothing else is waited for under it.
//!
//! The fences that make this sound are in [`super::frames`].

use std::sync::atomic::{AtomicU64, Ordering};

use super::frames::WORDS;

/// An [`AtomicU64`] that holds an [`Entry`].
pub(crate) type Cell = AtomicU64;

/// A page's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(pub u64);

/// Never written since it was allocated: all zeros, wherever it is. Zero, so that a new allocation
/// is an array of zeros.
pub(crate) const FRESH: u64 = 0;
/// Only the component has it (or the eviction list, or the victim cache).
pub(crate) const ABSENT: u64 = 1;
/// Being fetched, or claimed for an atomic or to be freed.
pub(crate) const BUSY: u64 = 2;
/// In a frame.
pub(crate) const RESIDENT: u64 = 3;
const STATE: u64 = 3;

/// A writer is at work.
pub(crate) const LOCKED: u64 = 1 << 2;
/// Write-protected while its write-back is in flight.
pub(crate) const PROTECTED: u64 = 1 << 3;
/// Used since the clock's hand last passed.
pub(crate) const REFERENCED: u64 = 1 << 4;
/// The frame is newer than the component.
pub(crate) const DIRTY: u64 = 1 << 5;
/// Fetched by a prefetch and not used since.
pub(crate) const PREFETCHED: u64 = 1 << 6;
/// Written at some time: without its frame it is `ABSENT`, not `FRESH`.
pub(crate) const BACKED: u64 = 1 << 7;
const FLAGS: u64 = 0xff;

/// Where the frame's number stands: at the weight of the words in a frame, so that the field as it
/// stands is the number of the frame's first word.
const FRAME_SHIFT: u32 = WORDS.trailing_zeros();
const FRAME_BITS: u32 = 24;
const FRAME_MASK: u64 = ((1 << FRAME_BITS) - 1) << FRAME_SHIFT;
const _: () = assert!(FLAGS < 1 << FRAME_SHIFT && WORDS.is_power_of_two());
const VERSION_ONE: u64 = 1 << (FRAME_SHIFT + FRAME_BITS);

impl Entry {
    #[inline(always)]
    pub fn load(cell: &Cell) -> Self {
        Self(cell.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub fn state(self) -> u64 {
        self.0 & STATE
    }

    #[inline(always)]
    pub fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[inline(always)]
    pub fn frame(self) -> usize {
        self.first_word() / WORDS
    }

    /// Number of the frame's first word, of the words of all frames.
    #[inline(always)]
    pub fn first_word(self) -> usize {
        (self.0 & FRAME_MASK) as usize
    }

    /// Whether a read may go ahead without further ado.
    #[inline(always)]
    pub fn reads_at_once(self) -> bool {
        self.0 & (STATE | LOCKED | REFERENCED | PREFETCHED) == RESIDENT | REFERENCED
    }

    /// Whether a writer may lock it.
    #[inline(always)]
    pub fn writes_at_once(self) -> bool {
        self.0 & (STATE | LOCKED | PROTECTED | PREFETCHED) == RESIDENT
    }

    /// The same version with other flags.
    #[inline(always)]
    pub fn with(self, flags: u64) -> Self {
        Self(self.0 | flags)
    }

    /// The same version without these flags.
    #[inline(always)]
    pub fn without(self, flags: u64) -> Self {
        Self(self.0 & !flags)
    }

    /// The next version, with this state, flags and frame.
    pub fn next(self, state_and_flags: u64, frame: usize) -> Self {
        let version = (self.0 & !(VERSION_ONE - 1)).wrapping_add(VERSION_ONE);
        Self(version | (frame as u64) << FRAME_SHIFT | state_and_flags)
    }

    /// The next version in no frame: `ABSENT`, or `FRESH` if it was never written.
    pub fn next_unmapped(self) -> Self {
        if self.has(BACKED) {
            self.next(ABSENT | BACKED, 0)
        } else {
            self.next(FRESH, 0)
        }
    }

    /// The next version, dirty, unlocked and used: how a writer leaves it.
    #[inline(always)]
    pub fn next_written(self) -> Self {
        let kept = self.0 & !(FLAGS & !STATE);
        Self((kept | REFERENCED | DIRTY | BACKED).wrapping_add(VERSION_ONE))
    }

    /// Changes the cell from `self` to `new` if nobody came between.
    #[inline(always)]
    pub fn replace(self, cell: &Cell, new: Self) -> bool {
        cell.compare_exchange(self.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Stores it; for whoever the cell belongs to.
    #[inline(always)]
    pub fn store(self, cell: &Cell) {
        cell.store(self.0, Ordering::Release);
    }
}

/// Changes a resident page's word by `change`, after any writer at work; for holders of its set's
/// lock, which keeps it resident. Gives the word before and after.
pub(crate) fn change_resident(cell: &Cell, change: impl Fn(Entry) -> Entry) -> (Entry, Entry) {
    let mut spins = 0;
    loop {
        let old = Entry::load(cell);
        let new = change(old);
        if !old.has(LOCKED) && old.replace(cell, new) {
            return (old, new);
        }
        relax(&mut spins);
    }
}

/// Waits a moment for a writer, who may have lost its processor.
pub(crate) fn relax(spins: &mut u32) {
    *spins += 1;
    if *spins % 64 == 0 {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_move_and_flags_do_not_leak() {
        let old = Entry(0).next(RESIDENT | REFERENCED | PREFETCHED, 0xff_fffe);
        assert_eq!(old.frame(), 0xff_fffe);
        assert!(!old.reads_at_once() && !old.writes_at_once());
        let used = old.without(PREFETCHED);
        assert!(used.reads_at_once() && used.writes_at_once());
        let locked = used.with(LOCKED);
        assert!(!locked.reads_at_once() && !locked.writes_at_once());
        let written = locked.next_written();
        assert!(written.reads_at_once() && written.has(DIRTY) && written.frame() == 0xff_fffe);
        assert_eq!(written.0.wrapping_sub(used.0) / VERSION_ONE, 1);
        assert_eq!(written.next_unmapped().state(), ABSENT);
        assert_eq!(used.next_unmapped().state(), FRESH);
        let last = Entry(u64::MAX).next_written();
        assert_eq!((last.0 / VERSION_ONE, last.frame()), (0, 0xff_ffff));
    }
}
