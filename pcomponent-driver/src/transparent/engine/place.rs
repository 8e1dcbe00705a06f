//! How pages come into their frames: fetched, protected from writes or not, mapped.
#![allow(unsafe_code)]

use super::{fingerprint, refused, Engine, EngineError, HABIT, STRETCH};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::stats::add;
use crate::transparent::store::Page;
use crate::transparent::sys::Errno;
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
        while let [first, ..] = rest {
            let writable = self.comes_writable(*first, write, touched);
            let same = |(i, page): (usize, &usize)| {
                *page == first + i && self.comes_writable(*page, write, touched) == writable
            };
            let len = rest.iter().enumerate().take_while(|pair| same(*pair)).count();
            self.place(*first, len, writable, write)?;
            rest = &rest[len..];
        }
        self.publish();
        Ok(())
    }

    /// Whether a page is let be written from the start: it is being written, or it is likely.
    fn comes_writable(&self, page: usize, write: bool, touched: Option<usize>) -> bool {
        let entry = self.table[page];
        let now = touched.is_none_or(|touched| touched == page);
        self.habits[page / STRETCH] >= HABIT || (write && (now || !entry.has(Entry::STORED)))
    }

    /// Places a run of neighbours.
    fn place(
        &mut self,
        first: usize,
        len: usize,
        writable: bool,
        write: bool,
    ) -> Result<(), EngineError> {
        // A write that misses comes writable in any case and is no sign of a habit: what was filled
        // once may be only read from then on.
        let assumed = writable && !write;
        let mut prints = [0; WINDOW];
        let stored = match self.place_where_it_lies(first, len, !writable, assumed)? {
            Some(print) => {
                prints[0] = print;
                1
            }
            None => self.place_copies(first, len, !writable, assumed.then_some(&mut prints))?,
        };
        add(&self.stats.fetches, stored as u64);
        add(&self.stats.zero_fills, (len - stored) as u64);
        for (page, print) in (first..first + len).zip(prints) {
            let frame = self.take_frame(page);
            let old = self.table[page];
            let mut entry = old.in_frame(frame);
            if writable {
                entry = entry.with(Entry::WRITABLE | Entry::DIRTY);
                self.dirty += 1;
            }
            if assumed {
                entry = entry.with(Entry::ASSUMED);
                self.prints[frame] = print;
            }
            if !old.is_live() {
                self.live += 1;
                self.stretches[page / STRETCH] += 1;
            }
            self.table[page] = entry;
        }
        Ok(())
    }

    /// Places one page with a single copy, if the store has it at hand; gives its fingerprint if it is
    /// wanted.
    fn place_where_it_lies(
        &mut self,
        page: usize,
        len: usize,
        protect: bool,
        assumed: bool,
    ) -> Result<Option<u64>, EngineError> {
        let entry = self.table[page];
        if len != 1 || !entry.has(Entry::STORED) {
            return Ok(None);
        }
        let address = self.address(page);
        let Self { store, uffd, .. } = self;
        let (mut placed, mut print) = (Ok(()), 0);
        let here = store.with_page(entry.number(), &mut |bytes| {
            placed = uffd.copy(address, bytes, protect);
            if assumed {
                print = fingerprint(bytes);
            }
        })?;
        match placed {
            Ok(()) | Err(Errno(libc::EEXIST)) => Ok(here.then_some(print)),
            Err(errno) => Err(refused("place a page")(errno)),
        }
    }

    /// Places a run of neighbours by way of a buffer; gives how many were fetched, and their
    /// fingerprints if they are wanted.
    fn place_copies(
        &mut self,
        first: usize,
        len: usize,
        protect: bool,
        prints: Option<&mut [u64; WINDOW]>,
    ) -> Result<usize, EngineError> {
        let mut numbers = [0; WINDOW];
        let mut stored = 0;
        for i in 0..len {
            let entry = self.table[first + i];
            if entry.has(Entry::STORED) {
                numbers[stored] = entry.number();
                stored += 1;
            }
        }
        let pages = if stored == 0 {
            &self.zeros[..len]
        } else {
            self.store.read(&numbers[..stored], &mut self.staging[..stored])?;
            // Make room for those that hold zeros among them, from the last one on.
            let mut from = stored;
            for i in (0..len).rev() {
                if self.table[first + i].has(Entry::STORED) {
                    from -= 1;
                    if from != i {
                        self.staging.copy_within(from..=from, i);
                    }
                } else {
                    self.staging[i] = Page::ZERO;
                }
            }
            &self.staging[..len]
        };
        let address = self.base + first * PAGE_BYTES;
        match self.uffd.copy(address, page_bytes(pages), protect) {
            Ok(()) => {}
            // Neighbours in two of the kernel's mappings, which it does not fill together; or one that
            // is there already.
            Err(Errno(libc::ENOENT | libc::EEXIST)) => {
                for (i, page) in pages.iter().enumerate() {
                    let address = address + i * PAGE_BYTES;
                    match self.uffd.copy(address, &page.0, protect) {
                        Ok(()) | Err(Errno(libc::EEXIST)) => {}
                        Err(errno) => return Err(refused("place a page")(errno)),
                    }
                }
            }
            Err(errno) => return Err(refused("place a page")(errno)),
        }
        if let Some(prints) = prints {
            prints.iter_mut().zip(pages).for_each(|(print, page)| *print = fingerprint(&page.0));
        }
        Ok(stored)
    }
}

fn page_bytes(pages: &[Page]) -> &[u8] {
    // SAFETY: a page is its bytes and nothing else.
    unsafe { std::slice::from_raw_parts(pages.as_ptr().cast(), size_of_val(pages)) }
}
