//! [`Dropper`]: taking pages from the kernel, many at a time.
//!
//! # Rule that the `unsafe` here relies on
//! **Own range**: the pages lie in the engine's range and what they hold is in the store, or not
//! needed.
#![allow(unsafe_code)]

use super::engine::EngineError;
use super::store::Page;
use super::sys::{self, Errno};
use crate::transport::PAGE_BYTES;

/// Ranges that are dropped with one call.
const RANGES: usize = 64;

/// Drops pages with one call for many ranges where the kernel can (Linux 6.13), which costs one
/// flush of the TLBs instead of one each.
pub(super) struct Dropper {
    /// This process's pidfd; `None` once the kernel said that it cannot.
    pidfd: Option<usize>,
}

impl Dropper {
    pub fn new() -> Self {
        // SAFETY: gives a new descriptor, which is closed on exec.
        let pidfd = unsafe { sys::raw(libc::SYS_pidfd_open, [sys::pid(), 0, 0, 0, 0, 0]) };
        Self { pidfd: sys::result(pidfd).ok() }
    }

    /// Drops ranges, given as address and bytes.
    pub fn drop_pages(
        &mut self,
        ranges: impl Iterator<Item = (usize, usize)>,
    ) -> Result<(), Errno> {
        let mut batch = [[0usize; 2]; RANGES];
        let mut len = 0;
        for (address, bytes) in ranges {
            batch[len] = [address, bytes];
            len += 1;
            if len == RANGES {
                self.drop_batch(&batch)?;
                len = 0;
            }
        }
        self.drop_batch(&batch[..len])
    }

    fn drop_batch(&mut self, batch: &[[usize; 2]]) -> Result<(), Errno> {
        if let (Some(pidfd), [_, _, ..]) = (self.pidfd, batch) {
            let advice = libc::MADV_DONTNEED as usize;
            let args = [pidfd, batch.as_ptr() as usize, batch.len(), advice, 0, 0];
            // SAFETY: own range.
            let answer = unsafe { sys::raw(libc::SYS_process_madvise, args) };
            let bytes: usize = batch.iter().map(|[_, bytes]| bytes).sum();
            if answer == bytes as isize {
                return Ok(());
            }
            // It cannot, or stopped half-way; dropping what is gone does no harm.
            if sys::result(answer).is_err() {
                self.close();
            }
        }
        for [address, bytes] in batch {
            // SAFETY: own range.
            unsafe { sys::advise(*address, *bytes, libc::MADV_DONTNEED) }?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // SAFETY: the descriptor is ours.
            unsafe { sys::raw(libc::SYS_close, [pidfd, 0, 0, 0, 0, 0]) };
        }
    }

    /// What a resident page holds that may not be read.
    pub fn read_page(&self, address: usize) -> Result<Page, EngineError> {
        let failed = |errno| EngineError::Kernel { action: "read a protected page", errno };
        let mut page = Page::ZERO;
        let (path, flags) = (c"/proc/self/mem", libc::O_RDONLY | libc::O_CLOEXEC);
        let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0, 0];
        // SAFETY: a new descriptor, closed below; the page is written by the kernel.
        unsafe {
            let fd = sys::result(sys::raw(libc::SYS_openat, args)).map_err(failed)?;
            let args = [fd, page.0.as_mut_ptr() as usize, PAGE_BYTES, address, 0, 0];
            let answer = sys::result(sys::raw(libc::SYS_pread64, args));
            sys::raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
            match answer {
                Ok(PAGE_BYTES) => Ok(page),
                Ok(_) => Err(failed(Errno(libc::EIO))),
                Err(errno) => Err(failed(errno)),
            }
        }
    }
}

impl Drop for Dropper {
    fn drop(&mut self) {
        self.close();
    }
}
