//! Memory that a device reads and writes while we do.

use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};

use super::SHARED_BYTES;

/// [`SHARED_BYTES`] that a device and this process share.
pub(super) struct SharedMemory(MmapRaw);

impl SharedMemory {
    /// The first bytes of a file, which must have as many.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        MmapOptions::new().len(SHARED_BYTES).map_raw(file).map(Self)
    }

    /// Fresh memory of this process.
    pub(super) fn anonymous() -> io::Result<Self> {
        MmapOptions::new().len(SHARED_BYTES).map_anon().map(|mapping| Self(mapping.into()))
    }

    /// Its first byte.
    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Reads; `at + data.len()` is at most [`SHARED_BYTES`].
    #[allow(unsafe_code)]
    pub(super) fn load(&self, at: usize, data: &mut [u8]) {
        assert!(at + data.len() <= SHARED_BYTES);
        // SAFETY: the mapping is that long, and lives as long as we do. The device may write at the same
        // time: the bytes are copied through raw pointers, never borrowed, and an entry that is looked at
        // too early is looked at again.
        unsafe {
            std::ptr::copy_nonoverlapping(self.0.as_ptr().add(at), data.as_mut_ptr(), data.len());
        }
    }

    /// Writes; `at + data.len()` is at most [`SHARED_BYTES`].
    #[allow(unsafe_code)]
    pub(super) fn store(&mut self, at: usize, data: &[u8]) {
        assert!(at + data.len() <= SHARED_BYTES);
        // SAFETY: as in `load`; the device reads what was stored after it heard of it by a doorbell.
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.0.as_mut_ptr().add(at), data.len());
        }
    }
}
