//! [`Window`]: what a typed slice needs to hit by itself.

use std::sync::Arc;

use super::entry::{Cell, Entry, LOCKED};
use super::frames::{read_word, Frames};
use super::pool::Pool;
use super::stats::Stats;
use crate::transport::PAGE_BYTES;

/// The page words of one region and the frames they name. A slice has it at hand, so that a hit
/// follows no more pointers than it must; and gives up, changing nothing, where it is no plain hit.
#[derive(Clone)]
pub(crate) struct Window {
    pub cells: Arc<[Cell]>,
    pub words: Pool,
    pub frames: Arc<Frames>,
    pub stats: Arc<Stats>,
}

impl Window {
    /// The aligned word that holds byte `at` of the region.
    #[inline(always)]
    pub fn read_word(&self, at: usize) -> Option<u64> {
        let cell = self.cells.get(at / PAGE_BYTES)?;
        let entry = Entry::load(cell);
        if !entry.reads_at_once() {
            return None;
        }
        let value = read_word(&self.words, cell, entry, at % PAGE_BYTES / 8)?;
        self.stats.count_hit(|shard| &shard.reads);
        Some(value)
    }

    /// Changes the aligned word that holds byte `at` of the region; tells whether it did.
    #[inline(always)]
    pub fn change_word(&self, at: usize, change: impl FnOnce(u64) -> u64) -> bool {
        let Some(cell) = self.cells.get(at / PAGE_BYTES) else { return false };
        let entry = Entry::load(cell);
        let locked = entry.with(LOCKED);
        if !entry.writes_at_once() || !entry.replace(cell, locked) {
            return false;
        }
        self.frames.change_word(locked, at % PAGE_BYTES / 8, change);
        entry.next_written().store(cell);
        self.stats.count_hit(|shard| &shard.writes);
        true
    }
}
