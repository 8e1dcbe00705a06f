//! Memory of another process that it lent to the device: the one place with unsafe code in the server.
//!
//! Safety rules: 1. A [`Lent`] is one shared mapping of `size` bytes at `at`, made by `mmap` and undone
//! once, on drop. 2. The other process may change the bytes at any time, so they are only copied by
//! `copy_nonoverlapping` through raw pointers, within the mapping, and no reference to them is ever
//! made. 3. A file that its owner shortens under us raises SIGBUS: the server's end, as it is of every
//! device in a process of its own.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;

use super::HostMemory;

/// A range of the client's memory.
struct Lent {
    address: u64,
    size: u64,
    at: NonNull<u8>,
}

// SAFETY: rule 1: the mapping belongs to this value alone, whichever thread holds it.
unsafe impl Send for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: rule 1.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.size as usize) };
    }
}

/// All that the client has lent.
#[derive(Default)]
pub(super) struct ClientMemory(Vec<Lent>);

impl ClientMemory {
    /// Takes a range; replaces nothing.
    ///
    /// # Errors
    /// An empty range, one that meets another or wraps, or the system's.
    pub fn map(&mut self, address: u64, size: u64, file: &File, offset: u64) -> io::Result<()> {
        let end = address.checked_add(size).filter(|_| size != 0);
        let end = end.ok_or(io::ErrorKind::InvalidInput)?;
        if self.0.iter().any(|lent| address < lent.address + lent.size && lent.address < end) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let length = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the system's choice; nothing else is touched.
        let at = unsafe {
            let nowhere = std::ptr::null_mut();
            libc::mmap(nowhere, length, rights, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.0.push(Lent { address, size, at });
        Ok(())
    }

    /// Gives back all ranges within.
    pub fn unmap(&mut self, address: u64, size: u64) {
        let end = address.saturating_add(size);
        self.0.retain(|lent| lent.address < address || lent.address + lent.size > end);
    }

    /// Gives back everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Where `bytes` bytes at `address` are, if one range has them all.
    fn find(&self, address: u64, bytes: usize) -> Option<*mut u8> {
        let end = address.checked_add(bytes as u64)?;
        let lent = self.0.iter().find(|l| address >= l.address && end <= l.address + l.size)?;
        // SAFETY: rule 1: the offset lies within the mapping.
        Some(unsafe { lent.at.as_ptr().add((address - lent.address) as usize) })
    }
}

impl HostMemory for ClientMemory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        let Some(from) = self.find(address, data.len()) else { return false };
        // SAFETY: rule 2; `find` gave a place with that many bytes.
        unsafe { std::ptr::copy_nonoverlapping(from, data.as_mut_ptr(), data.len()) };
        true
    }

    fn write(&mut self, address: u64, data: &[u8]) -> bool {
        let Some(to) = self.find(address, data.len()) else { return false };
        // What was written before is seen before: an entry's phase comes after the data.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
        // SAFETY: rule 2; `find` gave a place with that many bytes.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to, data.len()) };
        true
    }
}
