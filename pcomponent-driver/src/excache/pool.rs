//! [`Pool`]: the words of all frames, in one mapping.
//!
//! This module owns the driver's only raw memory. It is taken from the host in one mapping, and not as
//! a `Vec`, because it should be made of the host's 2 MiB pages: with 4 KiB pages random hits
//! spend most of their time on the host's own TLB misses.

use std::ops::Deref;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapOptions};

/// Words that are zero until they are written. The host provides memory when they are touched.
pub(crate) struct Pool {
    map: MmapMut,
    words: usize,
}

impl Pool {
    /// This many words.
    ///
    /// # Errors
    /// If the host has no room for them.
    pub fn new(words: usize) -> std::io::Result<Self> {
        // A mapping cannot be empty.
        let map = MmapOptions::new().len((words * size_of::<AtomicU64>()).max(1)).map_anon()?;
        // A host that has no large pages works all the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map, words })
    }
}

impl Deref for Pool {
    type Target = [AtomicU64];

    #[inline(always)]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping starts at a page boundary, is at least `words` words long, readable,
        // writable and initialised (to zeros), and lives as long as `self`. It is private to this
        // process and reached only through here, so never but by atomic accesses.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.words)
        }
    }
}
