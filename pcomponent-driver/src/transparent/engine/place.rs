//! How pages come into their frames: fetched, protected from writes or not, mapped.
#![allow(unsafe_code)]

use super::{fingerprint, refused, Engine, EngineError, HABIT, STRETCH};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::stats::add;
use crate::transparent::store::Page;
use crate::transparent::sys::Errno;
use crate::transparent::uffd::Descriptor;
use crate::transport::PAGE_BYTES;

impl Engine {
    /// Places pages, in runs of neighbours. There is room for all of them. Only one is touched now, or
    /// all of them.
    pub(super) fn place_all(
        &mut self,
        wanted: &[usize],
        write: bool,
        touched: Option<usize>,
    ) -> Result<(), EngineError> {
        let mut rest = wanted;
        while !rest.is_empty() {
            let (run, stored) = self.first_run(rest, write, touched);
            if stored {
                self.place_stored(run)?;
            } else {
                self.map_in(run, page_bytes(&self.zeros[..run.len]))?;
                add(&self.stats.zero_fills, run.len as u64);
                self.account(run, &[0; WINDOW]);
            }
            rest = &rest[run.len..];
        }
        self.publish();
        Ok(())
    }

    /// The first of some pages and those behind it that are placed alike, and whether the store has
    /// them.
    pub(super) fn first_run(
        &self,
        wanted: &[usize],
        write: bool,
        touched: Option<usize>,
    ) -> (Run, bool) {
        let kind = |page: usize| {
            let stored = self.table[page].has(Entry::STORED);
            (self.comes_writable(page, write, touched), stored)
        };
        let first = wanted[0];
        let (writable, stored) = kind(first);
        let same =
            |(i, page): (usize, &usize)| *page == first + i && kind(*page) == (writable, stored);
        let len = wanted.iter().enumerate().take_while(|pair| same(*pair)).count();
        // A write that misses comes writable in any case and is no sign of a habit: what was filled
        // once may be only read from then on.
        (Run { first, len, writable, assumed: writable && !write }, stored)
    }

    /// Whether a page is let be written from the start: it is being written, or it is likely.
    fn comes_writable(&self, page: usize, write: bool, touched: Option<usize>) -> bool {
        let entry = self.table[page];
        let now = touched.is_none_or(|touched| touched == page);
        self.habits[page / STRETCH] >= HABIT || (write && (now || !entry.has(Entry::STORED)))
    }

    /// Places neighbours that the store has, each with a single copy if the store has them at hand.
    fn place_stored(&mut self, run: Run) -> Result<(), EngineError> {
        let mut numbers = [0; WINDOW];
        let numbers = self.numbers_of(run, &mut numbers);
        let mut rest = run;
        while rest.len > 0 {
            let numbers = &numbers[run.len - rest.len..];
            rest.assumed = run.assumed;
            self.sample(&mut rest);
            let (mut prints, mut placed) = ([0; WINDOW], Ok(()));
            let Self { store, uffd, base, .. } = self;
            let mut part = rest;
            part.len = store.with_pages(numbers, &mut |bytes| {
                placed = map_in(uffd, *base, rest, bytes);
                rest.print(bytes, &mut prints);
            })?;
            placed?;
            if part.len == 0 {
                part = rest;
                self.store.read(numbers, &mut self.staging[..part.len])?;
                let bytes = page_bytes(&self.staging[..part.len]);
                self.map_in(part, bytes)?;
                part.print(bytes, &mut prints);
            }
            add(&self.stats.fetches, part.len as u64);
            self.account(part, &prints);
            rest = Run { first: rest.first + part.len, len: rest.len - part.len, ..rest };
        }
        Ok(())
    }

    /// The numbers that the store knows a run's pages by.
    pub(super) fn numbers_of<'a>(&self, run: Run, numbers: &'a mut [u32; WINDOW]) -> &'a [u32] {
        for (number, entry) in numbers.iter_mut().zip(&self.table[run.first..][..run.len]) {
            *number = entry.number();
        }
        &numbers[..run.len]
    }

    /// Whether a guess was right has to be looked at for some runs only.
    pub(super) fn sample(&self, run: &mut Run) {
        run.assumed &= self.arrived % SAMPLED == 0;
    }

    /// Gives a run's pages their frames.
    pub(super) fn account(&mut self, run: Run, prints: &[u64; WINDOW]) {
        for (page, print) in (run.first..run.first + run.len).zip(prints) {
            let frame = self.take_frame(page);
            let old = self.table[page];
            let mut entry = old.in_frame(frame).without(Entry::PASSING);
            if run.writable {
                entry = entry.with(Entry::WRITABLE | Entry::DIRTY);
                self.dirty += 1;
            }
            if run.assumed && old.has(Entry::STORED) {
                entry = entry.with(Entry::ASSUMED);
                self.prints[frame] = *print;
            }
            if !old.is_live() {
                self.live += 1;
                self.stretches[page / STRETCH] += 1;
            }
            self.table[page] = entry;
        }
    }

    pub(super) fn map_in(&self, run: Run, bytes: &[u8]) -> Result<(), EngineError> {
        map_in(&self.uffd, self.base, run, bytes)
    }
}

/// Of so many pages that come in writable by habit, one is looked at when it leaves: to learn from, a
/// few will do, and a fingerprint takes as long as a tenth of a miss.
const SAMPLED: u32 = 8;

/// Neighbours that are placed alike.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub first: usize,
    pub len: usize,
    pub writable: bool,
    /// They come in writable by habit, and what they hold is to be compared when they leave.
    pub assumed: bool,
}

impl Run {
    /// Takes the fingerprints of pages if they are wanted.
    pub(super) fn print(&self, bytes: &[u8], prints: &mut [u64; WINDOW]) {
        if self.assumed {
            let pages = bytes.chunks_exact(PAGE_BYTES).filter_map(<[u8]>::first_chunk);
            prints.iter_mut().zip(pages).for_each(|(print, page)| *print = fingerprint(page));
        }
    }
}

/// Maps the first pages of a run, as many as there are bytes for.
pub(super) fn map_in(
    uffd: &Descriptor,
    base: usize,
    run: Run,
    bytes: &[u8],
) -> Result<(), EngineError> {
    let address = base + run.first * PAGE_BYTES;
    match uffd.copy(address, bytes, !run.writable) {
        Ok(()) => Ok(()),
        // Neighbours in two of the kernel's mappings, which it does not fill together; or one that is
        // there already.
        Err(Errno(libc::ENOENT | libc::EEXIST)) => {
            for (i, page) in bytes.chunks_exact(PAGE_BYTES).enumerate() {
                match uffd.copy(address + i * PAGE_BYTES, page, !run.writable) {
                    Ok(()) | Err(Errno(libc::EEXIST)) => {}
                    Err(errno) => return Err(refused("place a page")(errno)),
                }
            }
            Ok(())
        }
        Err(errno) => Err(refused("place a page")(errno)),
    }
}

pub(super) fn page_bytes(pages: &[Page]) -> &[u8] {
    // SAFETY: a page is its bytes and nothing else.
    unsafe { std::slice::from_raw_parts(pages.as_ptr().cast(), size_of_val(pages)) }
}
