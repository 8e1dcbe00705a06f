//! A process that is copied, and one that has lost its component.

use std::ffi::CStr;

use super::{refused, Engine, EngineError, NOBODY};
use crate::transparent::drop::Dropper;
use crate::transparent::entry::Entry;
use crate::transparent::sys;
use crate::transparent::uffd::Uffd;
use crate::transport::PAGE_BYTES;

impl Engine {
    /// Before a fork; gives what the child hands to [`Self::after_fork`].
    ///
    /// # Errors
    /// The store's.
    pub fn before_fork(&mut self) -> Result<u64, EngineError> {
        Ok(self.store.before_fork()?)
    }

    /// In the child, after a fork: the kernel has forgotten what it watched, and which pages were
    /// protected. Nothing in the range may have been touched since.
    ///
    /// # Errors
    /// [`EngineError`]: the kernel does not let us watch, or the store's.
    pub fn after_fork(&mut self, token: u64) -> Result<(), EngineError> {
        self.store.after_fork(token)?;
        self.uffd = Uffd::open()?;
        self.uffd.register(self.base, self.config.span * PAGE_BYTES)?;
        self.dropper = Dropper::new();
        self.awake.reset();
        debug_assert!(!self.is_any_coming(), "a fork waits for that");
        self.pins.clear();
        self.pinned = 0;
        for frame in 0..self.frames_made {
            let page = self.frames[frame];
            if page != NOBODY {
                self.dirty += usize::from(!self.table[page as usize].has(Entry::DIRTY));
                let entry = self.table[page as usize].with(Entry::WRITABLE | Entry::DIRTY);
                self.table[page as usize] = entry.without(Entry::ASSUMED);
            }
        }
        Ok(())
    }

    /// Writes the pages that the component does not have to a file: the line `splitmem spill 1`, then for
    /// each page its address (8 bytes, little-endian) and its 4096 bytes. Gives their number.
    ///
    /// # Errors
    /// The kernel's.
    pub fn spill(&self, path: &CStr) -> Result<usize, EngineError> {
        let failed = refused("write the spill file");
        let file = sys::create(path).map_err(&failed)?;
        let write = |bytes: &[u8]| file.write_all(bytes).map_err(&failed);
        write(b"splitmem spill 1\n")?;
        let mut count = 0;
        for page in self.frames[..self.frames_made].iter().filter(|page| **page != NOBODY) {
            let page = *page as usize;
            if self.table[page].has(Entry::DIRTY) {
                let content = self.dropper.read_page(self.address(page))?;
                write(&(self.address(page) as u64).to_le_bytes())?;
                write(&content.0)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
