//! Pages that are placed without the engine's lock.
//!
//! To place a page is half of what the kernel does for a miss, and needs none of what the lock keeps.
//! So where there are other threads, who missed only finds out what is to be placed, and places it after
//! giving the lock back. The pages are marked as coming meanwhile, as those are that a device has not yet
//! sent: whoever else touches them tries again, none of them leaves, and whatever but a fault needs the
//! engine waits.
#![allow(unsafe_code)]

use super::place::{map_in, Run};
use super::{Engine, EngineError, Faulted};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::stats::add;
use crate::transparent::uffd::Descriptor;
use crate::transport::PAGE_BYTES;

/// What is to be placed without the engine's lock; then [`Engine::placed`] is to be called.
pub struct Placement {
    uffd: Descriptor,
    base: usize,
    run: Run,
    source: *const u8,
    stored: bool,
    prints: [u64; WINDOW],
}

impl Placement {
    /// Places the pages.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn place(&self) -> Result<(), EngineError> {
        // SAFETY: the pages of a store that stay, or the engine's zeros. The store's are written only
        // when the pages leave a frame, and they are in none before this has ended.
        let bytes = unsafe { std::slice::from_raw_parts(self.source, self.run.len * PAGE_BYTES) };
        map_in(&self.uffd, self.base, self.run, bytes)
    }
}

impl Engine {
    /// Places pages for which there is room, at once or, where that keeps other threads waiting, apart.
    pub(super) fn place_or_depart(
        &mut self,
        wanted: &[usize],
        write: bool,
        touched: usize,
    ) -> Result<Faulted, EngineError> {
        let stays = self.store.stays();
        if self.awake.several() {
            let (run, stored) = self.first_run(wanted, write, Some(touched));
            if stays || !stored {
                return self.depart(wanted, run, stored, (write, touched));
            }
        }
        self.place_all(wanted, write, Some(touched))?;
        Ok(Faulted::Served)
    }

    /// Hands out the first pages; the others, if any, are placed here.
    fn depart(
        &mut self,
        wanted: &[usize],
        mut run: Run,
        stored: bool,
        (write, touched): (bool, usize),
    ) -> Result<Faulted, EngineError> {
        let mut prints = [0; WINDOW];
        let mut source = self.zeros.as_ptr().cast::<u8>();
        if stored {
            self.sample(&mut run);
            let mut numbers = [0; WINDOW];
            let numbers = self.numbers_of(run, &mut numbers);
            let handed = self.store.with_pages(numbers, &mut |bytes| {
                source = bytes.as_ptr();
                run.print(bytes, &mut prints);
            })?;
            if handed == 0 {
                self.place_all(wanted, write, Some(touched))?;
                return Ok(Faulted::Served);
            }
            run.len = handed;
        }
        let rest = &wanted[run.len..];
        if !rest.is_empty() {
            self.place_all(rest, write, Some(touched))?;
        }
        for page in run.first..run.first + run.len {
            self.table[page] = self.table[page].with(Entry::COMING);
        }
        self.coming += run.len;
        let (uffd, base) = (self.uffd.descriptor(), self.base);
        Ok(Faulted::Place(Placement { uffd, base, run, source, stored, prints }))
    }

    /// A placement has ended.
    ///
    /// # Errors
    /// What it ended with.
    pub fn placed(
        &mut self,
        placement: &Placement,
        answer: Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let Placement { run, stored, ref prints, .. } = *placement;
        for page in run.first..run.first + run.len {
            self.table[page] = self.table[page].without(Entry::COMING);
        }
        self.coming -= run.len;
        answer?;
        let counter = if stored { &self.stats.fetches } else { &self.stats.zero_fills };
        add(counter, run.len as u64);
        self.account(run, prints);
        self.publish();
        Ok(())
    }
}
