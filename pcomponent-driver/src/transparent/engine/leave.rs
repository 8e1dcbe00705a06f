//! How pages leave their frames: chosen, protected, brought to the store, dropped. Why no write is
//! lost on the way, the engine's documentation says.

use std::ops::Range;

use super::{fingerprint, refused, Engine, EngineError, BATCH, NOBODY, STRETCH};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::stats::add;
use crate::transparent::store::{Page, StoreError};
use crate::transport::PAGE_BYTES;

/// Calls that let the pages of a stretch be written again: where those that may be and those that may not
/// take turns, a fault for each that is written is cheaper.
const UNGUARDS: u32 = 4;

impl Engine {
    /// Makes room for so many more resident pages.
    pub(super) fn make_room(&mut self, more: usize) -> Result<(), EngineError> {
        loop {
            let limit = self.limit(self.live + more);
            let after = self.resident + self.coming + more;
            if after <= limit {
                return Ok(());
            }
            self.evict((after - limit).max(BATCH.min(limit / 8)))?;
        }
    }

    /// Takes pages out of their frames, about `count` of them, those first that have had theirs for
    /// longest and did not come back early.
    fn evict(&mut self, count: usize) -> Result<(), EngineError> {
        let answer = self.evict_some(count.min(BATCH));
        if self.alone.take() == Some(true) {
            self.awake.ends();
        }
        answer
    }

    /// Whether other threads may write to what leaves. Asked only where it matters, because those that wake
    /// wait until an eviction that is alone has ended.
    fn is_watched(&mut self) -> bool {
        let (awake, asleep) = (&self.awake, self.asleep);
        !*self.alone.get_or_insert_with(|| awake.begins_alone(asleep))
    }

    fn evict_some(&mut self, count: usize) -> Result<(), EngineError> {
        let mut victims = std::mem::take(&mut self.victims);
        victims.clear();
        self.choose(count, &mut victims);
        victims.sort_unstable();
        victims.dedup();
        let answer = match victims[..] {
            [] => Err(EngineError::Pinned),
            _ => self.leave(&victims),
        };
        self.victims = victims;
        self.unguard();
        answer
    }

    fn choose(&mut self, count: usize, victims: &mut Vec<usize>) {
        if self.passing.is_long(self.resident) {
            self.choose_passing(count, victims);
        }
        // The second time around, whichever may.
        for step in 0..2 * self.frames_made {
            if victims.len() >= count {
                break;
            }
            self.advance_hand();
            let page = self.frames[self.hand];
            if page == NOBODY || self.is_pinned(page as usize) {
                continue;
            }
            if step < self.frames_made {
                if !self.is_old(self.hand) {
                    continue;
                }
                if self.history.stays(self.hand) {
                    self.history.pass_over(self.hand);
                    continue;
                }
            }
            self.choose_page(page as usize, victims);
        }
    }

    /// Pages that are passed through, the oldest first.
    fn choose_passing(&mut self, count: usize, victims: &mut Vec<usize>) {
        let mut at = self.passing.oldest();
        while let Some(frame) = at.filter(|_| victims.len() < count) {
            let page = self.frames[frame] as usize;
            if !self.is_pinned(page) {
                self.choose_page(page, victims);
            }
            at = self.passing.newer(frame);
        }
    }

    fn choose_page(&mut self, page: usize, victims: &mut Vec<usize>) {
        victims.push(page);
        if self.table[page].has(Entry::WRITABLE) && self.is_watched() {
            self.choose_around(page, victims);
        }
    }

    fn advance_hand(&mut self) {
        self.hand += 1;
        if self.hand >= self.frames_made {
            self.hand = 0;
            self.round = self.kept.wrapping_sub(self.round_began);
            self.round_began = self.kept;
        }
    }

    /// Whether many have come after the page in this frame: half as many as there are in frames, or, where
    /// most stay longer, as in the hand's last round. What is passed through has a way out of its own, and
    /// is old where that is not used.
    fn is_old(&self, frame: usize) -> bool {
        let old = match self.passing.has(frame) {
            true => self.resident,
            false => self.resident.min(self.round as usize) / 2,
        };
        self.age(frame) > old
    }

    /// Pages that have come after the one in this frame.
    fn age(&self, frame: usize) -> usize {
        let now = if self.passing.has(frame) { self.arrived } else { self.kept };
        now.wrapping_sub(self.arrivals[frame]) as usize
    }

    /// Protects all that can be written in the stretch of a page that leaves, until the older half of
    /// its pages have left too; what stays can then be written again.
    ///
    /// Where other threads run, what a protection costs is telling their processors, once for a call
    /// whatever its range: ten times the rest of an eviction. To take it back, nobody need be told.
    fn choose_around(&mut self, chosen: usize, victims: &mut Vec<usize>) {
        let (start, area) =
            self.space.area(chosen).map_or((chosen, chosen + 1), |(s, a)| (s, a.end));
        let first = chosen / STRETCH * STRETCH;
        let range = first.max(start)..(first + STRETCH).min(area);
        let mut run = None;
        for page in range {
            let entry = self.table[page];
            if !entry.has(Entry::RESIDENT | Entry::COMING) {
                continue;
            }
            if entry.has(Entry::COMING) || self.is_pinned(page) {
                // Another thread is placing it, as it should be in a moment, protected or not; or a system
                // call may be writing to it.
                run.take().into_iter().for_each(|run| self.guard(run, chosen));
                continue;
            }
            if entry.has(Entry::WRITABLE) {
                run.get_or_insert(page..page).end = page + 1;
            }
            if self.leaves_with(page, chosen) {
                victims.push(page);
            }
        }
        run.into_iter().for_each(|run| self.guard(run, chosen));
    }

    /// Whether a resident page leaves if one of its stretch does.
    fn leaves_with(&self, page: usize, chosen: usize) -> bool {
        let frame = self.table[page].frame();
        let queued = |page: usize| self.passing.has(self.table[page].frame());
        page == chosen
            || (self.is_old(frame) && !self.history.stays(frame))
            || (queued(page) && queued(chosen) && self.age(frame) > self.passing.len() / 2)
    }

    /// Protects a range. Of its pages that can be written, those that stay count as such all the while:
    /// who writes to one meanwhile waits for the lock.
    fn guard(&mut self, run: Range<usize>, chosen: usize) {
        // Here nothing may be allocated: a signal came in anywhere. What is not guarded, because the
        // list is full or there is more than one mapping for the kernel, is protected as it leaves.
        let bytes = run.len() * PAGE_BYTES;
        if self.guarded.len() == self.guarded.capacity()
            || self.uffd.protect(self.address(run.start), bytes, true).is_err()
        {
            return;
        }
        for page in run.clone() {
            if self.table[page].has(Entry::RESIDENT) && self.leaves_with(page, chosen) {
                self.table[page] = self.table[page].without(Entry::WRITABLE);
            }
        }
        self.guarded.push(run);
    }

    /// Lets what was guarded and has stayed be written again, where a few calls do it.
    fn unguard(&mut self) {
        while let Some(mut rest) = self.guarded.pop() {
            let mut calls = 0;
            while let Some(run) = self.next_writable(rest.clone()) {
                rest.start = run.end;
                let bytes = run.len() * PAGE_BYTES;
                calls += 1;
                if calls <= UNGUARDS
                    && self.uffd.protect(self.address(run.start), bytes, false).is_ok()
                {
                    continue;
                }
                // They are let be written one by one, as they are.
                for page in run {
                    self.table[page] = self.table[page].without(Entry::WRITABLE);
                }
            }
        }
    }

    /// The first pages of a range that count as writable, and no other resident ones among them.
    fn next_writable(&self, range: Range<usize>) -> Option<Range<usize>> {
        let resident = |page: &usize| self.table[*page].has(Entry::RESIDENT);
        let mut pages = range.filter(resident);
        let writable = |page: &usize| self.table[*page].has(Entry::WRITABLE);
        let start = pages.find(writable)?;
        Some(start..pages.take_while(writable).last().unwrap_or(start) + 1)
    }

    /// Writes pages back as needed and drops them.
    fn leave(&mut self, victims: &[usize]) -> Result<(), EngineError> {
        // Decided by the first of them that can be written.
        if self.alone == Some(false) {
            let written = |page: &usize| self.table[*page].has(Entry::WRITABLE);
            for run in runs(victims.iter().copied().filter(|page| written(page))) {
                self.uffd
                    .protect(self.address(run.start), run.len() * PAGE_BYTES, true)
                    .map_err(refused("protect a page"))?;
            }
        }
        for part in victims.chunks(WINDOW) {
            self.write_back(part)?;
        }
        self.drop_pages(victims)?;
        for page in victims {
            self.history.leaves(*page, self.arrived);
            self.leave_frame(*page);
            let left = Entry::RESIDENT | Entry::WRITABLE | Entry::DIRTY | Entry::ASSUMED;
            self.table[*page] = self.table[*page].without(left);
            if !self.table[*page].is_live() {
                self.table[*page] = Entry::default();
                self.forget(*page);
            }
        }
        Ok(())
    }

    /// Takes pages, in ascending order, from the kernel.
    pub(super) fn drop_pages(&mut self, pages: &[usize]) -> Result<(), EngineError> {
        let base = self.base;
        let runs = runs(pages.iter().copied());
        self.dropper
            .drop_pages(runs.map(|run| (base + run.start * PAGE_BYTES, run.len() * PAGE_BYTES)))
            .map_err(refused("take a page"))
    }

    /// Brings the store up to date with at most a window of pages that are about to leave.
    fn write_back(&mut self, pages: &[usize]) -> Result<(), EngineError> {
        let (mut clean, mut zero) = (0, 0);
        let mut writes = [(0, &Page::ZERO); WINDOW];
        let mut len = 0;
        // A copy of what may not be read in place; rare, so each in an allocation of its own.
        let mut copies = Vec::new();
        for page in pages {
            if self.table[*page].has(Entry::DIRTY) && !self.is_readable(*page) {
                copies.push((*page, Box::new(self.dropper.read_page(self.address(*page))?)));
            }
        }
        for page in pages {
            let entry = self.table[*page];
            if !entry.has(Entry::DIRTY) {
                self.learn(*page, false);
                clean += 1;
                continue;
            }
            let copy = copies.iter().find(|(copied, _)| copied == page);
            let content: &Page = match copy {
                Some((_, copy)) => copy,
                // SAFETY: own range; resident, readable, and nobody writes to it: it is protected,
                // or the only thread waits for us.
                None => unsafe { &*(self.address(*page) as *const Page) },
            };
            if content.is_zero() {
                zero += 1;
                if entry.has(Entry::STORED) {
                    self.numbers.push(entry.number());
                }
                self.table[*page] = entry.without(Entry::STORED);
                continue;
            }
            let mut after = entry;
            if !entry.has(Entry::STORED) {
                let number = match self.numbers.pop() {
                    Some(number) => number,
                    None if self.numbers_made < self.store.capacity() => {
                        self.numbers_made += 1;
                        self.numbers_made - 1
                    }
                    None => return Err(StoreError::Full.into()),
                };
                after = after.stored_as(number);
            }
            // It came in writable by habit: now it shows whether that was right.
            if entry.has(Entry::ASSUMED) {
                let same = fingerprint(&content.0) == self.prints[entry.frame()];
                self.learn(*page, !same);
            }
            self.table[*page] = after;
            writes[len] = (after.number(), content);
            len += 1;
        }
        self.store.write(&writes[..len])?;
        add(&self.stats.write_backs, len as u64);
        add(&self.stats.clean_drops, clean);
        add(&self.stats.zero_drops, zero);
        Ok(())
    }

    pub(super) fn is_readable(&self, page: usize) -> bool {
        self.space.area(page).is_some_and(|(_, area)| area.prot & libc::PROT_READ != 0)
    }
}

/// Runs of neighbours in ascending numbers.
pub(super) fn runs(pages: impl Iterator<Item = usize>) -> impl Iterator<Item = Range<usize>> {
    let mut pages = pages.peekable();
    std::iter::from_fn(move || {
        let start = pages.next()?;
        let mut end = start + 1;
        while pages.next_if_eq(&end).is_some() {
            end += 1;
        }
        Some(start..end)
    })
}
