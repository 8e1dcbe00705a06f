//! [`Array`]: a table of words over a whole address range, of which only what is used costs memory.
//!
//! # Rule that the `unsafe` here relies on
//! **Zeroed mapping**: the kernel gives zeros, every bit pattern is a value of `T` (`Pod`), and the
//! mapping lives and is private as long as the array.
#![allow(unsafe_code)]

use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

use super::sys::{self, Errno};

/// `len` values, zero until written.
pub(super) struct Array<T: Pod> {
    start: *mut T,
    len: usize,
}

// SAFETY: it owns its mapping, as a `Vec` owns its.
unsafe impl<T: Pod + Send> Send for Array<T> {}

impl<T: Pod> Array<T> {
    /// Reserves address space; memory is provided where it is touched.
    pub fn new(len: usize) -> Result<Self, Errno> {
        let start = sys::zeros((len * size_of::<T>()).max(1))? as *mut T;
        Ok(Self { start, len })
    }
}

impl<T: Pod> Array<T> {
    /// This value will be needed in a moment.
    #[inline]
    pub fn expect(&self, index: usize) {
        if index < self.len {
            // SAFETY: changes nothing, and the address is in the mapping.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.start.add(index).cast()) };
        }
    }
}

impl<T: Pod> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: zeroed mapping.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T: Pod> DerefMut for Array<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: zeroed mapping, borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<T: Pod> Drop for Array<T> {
    fn drop(&mut self) {
        let bytes = (self.len * size_of::<T>()).max(1);
        // SAFETY: the mapping is ours and nobody refers to it any more.
        unsafe { sys::raw(libc::SYS_munmap, [self.start as usize, bytes, 0, 0, 0, 0]) };
    }
}
