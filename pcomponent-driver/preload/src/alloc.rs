//! The library's own heap, apart from the program's.
//!
//! The engine allocates inside signal handlers that may have interrupted the program's `malloc`, and
//! what it allocates must never be a page that it manages. So it has an allocator of its own, on
//! memory that it asks the kernel for directly. It is used while the engine's lock is held or
//! before there is a second thread; its own lock covers the rest.

use std::alloc::{GlobalAlloc, Layout};

use dlmalloc::Dlmalloc;
use pcomponent_driver::transparent::lock::Lock;
use pcomponent_driver::transparent::sys;

/// Memory from the kernel, past every interception.
struct Kernel;

// SAFETY: each piece is a mapping of its own that nobody else knows.
unsafe impl dlmalloc::Allocator for Kernel {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match sys::zeros(size) {
            Ok(address) => (address as *mut u8, size, 0),
            Err(_) => (std::ptr::null_mut(), 0, 0),
        }
    }
    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        std::ptr::null_mut()
    }
    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }
    fn free(&self, address: *mut u8, size: usize) -> bool {
        // SAFETY: a piece that `alloc` gave.
        unsafe { sys::raw(libc::SYS_munmap, [address as usize, size, 0, 0, 0, 0]) == 0 }
    }
    fn can_release_part(&self, _: u32) -> bool {
        false
    }
    fn allocates_zeros(&self) -> bool {
        true
    }
    fn page_size(&self) -> usize {
        4096
    }
}

/// The heap.
pub struct Heap(Lock<Dlmalloc<Kernel>>);

impl Heap {
    const fn new() -> Self {
        Self(Lock::new(Dlmalloc::new_with_allocator(Kernel)))
    }
}

// SAFETY: dlmalloc keeps the contract of an allocator; the lock makes it one for all threads.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().malloc(layout.size(), layout.align()) }
    }
    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().free(address, layout.size(), layout.align()) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().calloc(layout.size(), layout.align()) }
    }
    unsafe fn realloc(&self, address: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().realloc(address, layout.size(), layout.align(), size) }
    }
}

#[global_allocator]
static HEAP: Heap = Heap::new();
