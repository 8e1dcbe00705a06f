//! The engine's side of `mmap` and its relatives: mappings in the reserved range.
//!
//! # Rule that the `unsafe` here relies on
//! **Own range**: every address that is changed lies in the engine's range; the program that mapped it
//! answers for the use of what it unmaps, as with the kernel's own calls.
#![allow(unsafe_code)]

use std::ops::Range;

use super::engine::Engine;
use super::sys::{self, Errno};
use crate::transport::PAGE_BYTES;

const ENOMEM: Errno = Errno(libc::ENOMEM);
const EINVAL: Errno = Errno(libc::EINVAL);

/// Where a mapping that is moved is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nowhere: it must fit where it is.
    No,
    /// Wherever there is room.
    Anywhere,
}

impl Engine {
    /// Maps memory; gives its address. Of what may be written and is not mapped `noreserve`, no more
    /// is given than the component has room for.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map(&mut self, bytes: usize, prot: i32, noreserve: bool) -> Result<usize, Errno> {
        let pages = pages_of(bytes)?;
        let counted = prot & libc::PROT_WRITE != 0 && !noreserve;
        if counted && self.space.counted() + pages > self.capacity() {
            return Err(ENOMEM);
        }
        self.take(pages, prot, counted).map(|start| self.address(start))
    }

    /// Maps pages wherever there is room; gives the first one.
    fn take(&mut self, pages: usize, prot: i32, counted: bool) -> Result<usize, Errno> {
        let start = self.space.map(pages, prot, counted).ok_or(ENOMEM)?;
        // SAFETY: own range, just taken.
        if let Err(errno) = unsafe { sys::protect(self.address(start), pages * PAGE_BYTES, prot) } {
            self.space.unmap(start..start + pages);
            return Err(errno);
        }
        Ok(start)
    }

    /// Maps zeros over a part of the range, whatever was there.
    ///
    /// # Errors
    /// `EINVAL` if it is not wholly in the range; the kernel's.
    pub fn map_over(&mut self, address: usize, bytes: usize, prot: i32) -> Result<(), Errno> {
        let range = self.pages(address, bytes)?;
        self.unmap(address, bytes)?;
        // SAFETY: own range.
        unsafe { sys::protect(address, range.len() * PAGE_BYTES, prot) }?;
        self.space.map_at(range, prot, false);
        Ok(())
    }

    /// Unmaps what is mapped of a range.
    ///
    /// # Errors
    /// `EINVAL` if it is not wholly in the engine's range; the kernel's.
    pub fn unmap(&mut self, address: usize, bytes: usize) -> Result<(), Errno> {
        let range = self.pages(address, bytes)?;
        for part in self.space.unmap(range) {
            let (address, bytes) = (self.address(part.start), part.len() * PAGE_BYTES);
            // SAFETY: own range; first nobody can touch it, then it is dropped.
            unsafe {
                sys::protect(address, bytes, libc::PROT_NONE)?;
                sys::advise(address, bytes, libc::MADV_DONTNEED)?;
            }
            self.discard(part);
        }
        Ok(())
    }

    /// Changes the protection of a range.
    ///
    /// # Errors
    /// `ENOMEM` if a part of it is not mapped; the kernel's.
    pub fn protect(&mut self, address: usize, bytes: usize, prot: i32) -> Result<(), Errno> {
        let range = self.mapped(address, bytes)?;
        // SAFETY: own range.
        unsafe { sys::protect(address, range.len() * PAGE_BYTES, prot) }?;
        self.space.protect(range, prot);
        Ok(())
    }

    /// Makes a range hold zeros again (`MADV_DONTNEED`).
    ///
    /// # Errors
    /// `ENOMEM` if a part of it is not mapped; the kernel's.
    pub fn clear(&mut self, address: usize, bytes: usize) -> Result<(), Errno> {
        let range = self.mapped(address, bytes)?;
        // SAFETY: own range; the program gave up what it holds.
        unsafe { sys::advise(address, range.len() * PAGE_BYTES, libc::MADV_DONTNEED) }?;
        self.discard(range);
        Ok(())
    }

    /// Changes the size of a mapping, and its address where `place` allows and it has to be; gives the
    /// address.
    ///
    /// # Errors
    /// `ENOMEM` where it cannot grow, `EFAULT` if it is not one mapping, the kernel's.
    pub fn remap(
        &mut self,
        address: usize,
        old_bytes: usize,
        new_bytes: usize,
        place: Move,
    ) -> Result<usize, Errno> {
        let old = self.pages(address, old_bytes)?;
        let new_pages = pages_of(new_bytes)?;
        let (_, area) = self.space.area(old.start).ok_or(Errno(libc::EFAULT))?;
        if area.end < old.end {
            return Err(Errno(libc::EFAULT));
        }
        if new_pages <= old.len() {
            let tail = (old.len() - new_pages) * PAGE_BYTES;
            self.unmap(address + new_pages * PAGE_BYTES, tail)?;
            return Ok(address);
        }
        let more = new_pages - old.len();
        if area.counted && self.space.counted() + more > self.capacity() {
            return Err(ENOMEM);
        }
        let behind = old.end..old.end + more;
        if self.space.is_free(&behind) {
            // SAFETY: own range, free.
            unsafe { sys::protect(self.address(old.end), more * PAGE_BYTES, area.prot) }?;
            self.space.map_at(behind, area.prot, area.counted);
            return Ok(address);
        }
        if place == Move::No {
            return Err(ENOMEM);
        }
        self.relocate_to_room(old, new_pages, area.prot, area.counted)
    }

    /// Moves a mapping to where there is room.
    fn relocate_to_room(
        &mut self,
        old: Range<usize>,
        new_pages: usize,
        prot: i32,
        counted: bool,
    ) -> Result<usize, Errno> {
        let start = self.take(new_pages, prot, counted)?;
        // From here on there is no way back: the pages are not where they were.
        if let Err(error) = self.relocate(old.start, start, old.len()) {
            super::process::lost_with(self, &error);
        }
        if let Err(errno) = self.unmap(self.address(old.start), old.len() * PAGE_BYTES) {
            super::process::stop(&errno.to_string());
        }
        Ok(self.address(start))
    }

    /// The pages of a range that lies in the engine's.
    fn pages(&self, address: usize, bytes: usize) -> Result<Range<usize>, Errno> {
        let start = self.page(address).filter(|_| address % PAGE_BYTES == 0).ok_or(EINVAL)?;
        let end = start + pages_of(bytes)?;
        if self.address(end) > self.range().end {
            return Err(EINVAL);
        }
        Ok(start..end)
    }

    fn mapped(&self, address: usize, bytes: usize) -> Result<Range<usize>, Errno> {
        if bytes == 0 {
            return self.page(address).map(|page| page..page).ok_or(EINVAL);
        }
        let range = self.pages(address, bytes)?;
        if self.space.is_mapped(&range) {
            Ok(range)
        } else {
            Err(ENOMEM)
        }
    }
}

fn pages_of(bytes: usize) -> Result<usize, Errno> {
    match bytes.div_ceil(PAGE_BYTES) {
        0 => Err(EINVAL),
        pages => Ok(pages),
    }
}
