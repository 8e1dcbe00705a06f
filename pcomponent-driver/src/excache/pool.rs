//! [`Pool`]: the words of all frames, in one mapping.
//!
//! This module owns the driver's only raw memory, and the copying of whole pages in and out of it. It is taken from the host in one mapping, and not as
//! a `Vec`, because it should be made of the host's 2 MiB pages: with 4 KiB pages random hits
//! spend most of their time on the host's own TLB misses.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};

use super::frames::{Page, WORDS};

/// Words that are zero until they are written. The host provides memory when they are touched.
/// Clones are the same words: whoever hits has one at hand, and follows no pointer to find them.
#[derive(Clone)]
pub(crate) struct Pool {
    first: NonNull<AtomicU64>,
    words: usize,
    /// Keeps the words mapped.
    _map: Arc<MmapMut>,
}

impl Pool {
    /// This many words.
    ///
    /// # Errors
    /// If the host has no room for them.
    pub fn new(words: usize) -> std::io::Result<Self> {
        // A mapping cannot be empty.
        let mut map = MmapOptions::new().len((words * size_of::<AtomicU64>()).max(1)).map_anon()?;
        // A host that has no large pages works all the same.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let first = NonNull::from(&mut map[0]).cast();
        Ok(Self { first, words, _map: Arc::new(map) })
    }
}

// SAFETY: a pool is a shared reference to atomics and an owner of the mapping they are in; both may
// go to, and be used by, any thread.
#[allow(unsafe_code)]
unsafe impl Send for Pool {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Pool {}

impl Pool {
    /// The words of one frame.
    ///
    /// # Panics
    /// If the pool ends before it, like an index beyond a slice.
    #[inline(always)]
    pub fn frame(&self, frame: usize) -> &FrameWords {
        let words = &self[frame * WORDS..][..WORDS];
        // SAFETY: a slice of that many words is an array of them.
        #[allow(unsafe_code)]
        unsafe {
            &*words.as_ptr().cast()
        }
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
            std::slice::from_raw_parts(self.first.as_ptr(), self.words)
        }
    }
}

/// The words of one frame.
pub(crate) type FrameWords = [AtomicU64; WORDS];

/// Copies a page into a frame, as by relaxed stores of its words.
#[inline]
pub(crate) fn store_page(frame: &FrameWords, page: &Page) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: both are of the size of a page, and the words may be written by whoever has a reference
    // to them.
    #[allow(unsafe_code)]
    unsafe {
        copy_page(frame.as_ptr().cast_mut().cast(), page.as_ptr());
    }
    #[cfg(not(target_arch = "x86_64"))]
    for (word, bytes) in frame.iter().zip(page.chunks_exact(8)) {
        let mut whole = [0; 8];
        whole.copy_from_slice(bytes);
        word.store(u64::from_le_bytes(whole), std::sync::atomic::Ordering::Relaxed);
    }
}

/// Copies a frame into a page, as by relaxed loads of its words.
#[inline]
pub(crate) fn load_page(frame: &FrameWords, page: &mut Page) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: both are of the size of a page, and `page` is ours to write.
    #[allow(unsafe_code)]
    unsafe {
        copy_page(page.as_mut_ptr(), frame.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    for (word, bytes) in frame.iter().zip(page.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.load(std::sync::atomic::Ordering::Relaxed).to_le_bytes());
    }
}

/// Copies a page, 16 bytes at a time: a quarter faster than word by word, because more of the cache
/// misses are under way at once. In assembly, and not as a copy of Rust's, because other threads
/// may be at the words with relaxed atomics. To them it is what such accesses of ours would be: no
/// processor takes an aligned 16-byte access apart below 8 bytes.
///
/// # Safety
/// 4096 bytes can be read at `from` and written at `to`, and do not overlap. Bytes that other threads
/// access meanwhile are accessed atomically by them, and both pointers are then 16-byte aligned.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[inline]
unsafe fn copy_page(to: *mut u8, from: *const u8) {
    // SAFETY: reads and writes 64 lines of 64 bytes from the pointers on, as the caller allows.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "dec {left:e}",
            "jnz 2b",
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            left = inout(reg) crate::transport::PAGE_BYTES / 64 => _,
            options(nostack),
        );
    }
}
