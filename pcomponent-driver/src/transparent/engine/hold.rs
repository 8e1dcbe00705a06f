//! Pages that stay in their frames while a system call uses them.

use std::ops::Range;

use super::{Engine, EngineError, Pin};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::stats::add;

impl Engine {
    /// Brings in the pages of a range that can be touched and keeps them in their frames, so that
    /// a system call can use them.
    ///
    /// # Errors
    /// [`EngineError::Pinned`] if more than half of the frames would be held.
    pub fn pin(&mut self, range: Range<usize>, write: bool) -> Result<Pin, EngineError> {
        if self.pinned + range.len() > self.limit(self.live) / 2 {
            return Err(EngineError::Pinned);
        }
        let slot = match self.pins.iter().position(Option::is_none) {
            Some(slot) => slot,
            None => {
                self.pins.push(None);
                self.pins.len() - 1
            }
        };
        self.pins[slot] = Some(range.clone());
        self.pinned += range.len();
        let pin = Pin(slot);
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + WINDOW);
            if let Err(error) = self.hold(at..end, write) {
                self.unpin(pin);
                return Err(error);
            }
            at = end;
        }
        Ok(pin)
    }

    fn hold(&mut self, range: Range<usize>, write: bool) -> Result<(), EngineError> {
        let mut missing = [0; WINDOW];
        let mut len = 0;
        for page in range {
            let touchable = |prot: i32| prot & (if write { 2 } else { 3 }) != 0;
            let entry = self.table[page];
            if !self.space.area(page).is_some_and(|(_, area)| touchable(area.prot)) {
                continue;
            }
            if !entry.has(Entry::RESIDENT) {
                missing[len] = page;
                len += 1;
            } else if write && !entry.has(Entry::WRITABLE) {
                self.allow_writes(page)?;
            }
        }
        if len == 0 {
            return Ok(());
        }
        self.make_room(len)?;
        let missing_stored = |page: &&usize| self.table[**page].has(Entry::STORED);
        let stored = missing[..len].iter().filter(missing_stored).count();
        if let Some(expected) = if stored == 0 { None } else { self.store.expect(stored) } {
            expected.wait();
        }
        add(&self.stats.syscall_pages, len as u64);
        add(&self.stats.misses, len as u64);
        self.place_all(&missing[..len], write, None)
    }

    /// Lets the pages of a range go again.
    pub fn unpin(&mut self, pin: Pin) {
        if let Some(range) = self.pins.get_mut(pin.0).and_then(Option::take) {
            self.pinned -= range.len();
        }
    }

    pub(super) fn is_pinned(&self, page: usize) -> bool {
        self.pinned > 0 && self.pins.iter().flatten().any(|range| range.contains(&page))
    }
}
