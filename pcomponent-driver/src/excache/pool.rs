//! [`Pool`]: the words of all frames, in one mapping.
//!
//! This module owns the driver's only raw memory, and the copying of whole pages in and out of it. It
//! is taken from the host in one mapping, and not as a `Vec`, because it should be made of the host's
//! 2 MiB pages: with 4 KiB pages random hits spend most of their time on the host's own TLB misses.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Has the processor fetch the beginning of a page that will be copied.
#[inline]
pub(crate) fn hint(page: &Page) {
    #[cfg(target_arch = "x86_64")]
    for line in page.chunks_exact(64).take(8) {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        // SAFETY: a prefetch may be of anything.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = page;
}

/// Copies a page into a frame, as by relaxed stores of its words.
#[inline]
pub(crate) fn store_page(frame: &FrameWords, page: &Page) {
    #[cfg(target_arch = "x86_64")]
    if let Some(copy) = Copy::best() {
        // SAFETY: both are of the size of a page, and the words may be written by whoever has a reference
        // to them.
        #[allow(unsafe_code)]
        unsafe {
            copy.page(frame.as_ptr().cast_mut().cast(), page.as_ptr());
        }
        return;
    }
    for (word, bytes) in frame.iter().zip(page.chunks_exact(8)) {
        let mut whole = [0; 8];
        whole.copy_from_slice(bytes);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
}

/// Copies a frame into a page, as by relaxed loads of its words.
#[inline]
pub(crate) fn load_page(frame: &FrameWords, page: &mut Page) {
    #[cfg(target_arch = "x86_64")]
    if let Some(copy) = Copy::best() {
        // SAFETY: both are of the size of a page, and `page` is ours to write.
        #[allow(unsafe_code)]
        unsafe {
            copy.page(page.as_mut_ptr(), frame.as_ptr().cast());
        }
        return;
    }
    for (word, bytes) in frame.iter().zip(page.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
}

/// A way of this processor's to copy a page.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Copy {
    /// 32 bytes at a time.
    Avx,
    /// 64 bytes at a time.
    Avx512,
}

/// Copies a page by moves of one line, each of which takes these instructions, with `\\line` the line's
/// place; the lines of the destination are asked for, to be written, eight ahead of them.
#[cfg(target_arch = "x86_64")]
macro_rules! copy_page {
    ($to:ident, $from:ident, $($line:literal),+) => {
        std::arch::asm!(
            ".irp line, 0, 64, 128, 192, 256, 320, 384, 448",
            "prefetchw [{to} + \\line]",
            ".endr",
            "2:",
            ".irp line, 0, 64, 128, 192, 256, 320, 384, 448",
            "prefetchw [{to} + 512 + \\line]",
            $($line,)+
            ".endr",
            "add {from}, 512",
            "add {to}, 512",
            "dec {left:e}",
            "jnz 2b",
            // The last eight have been asked for.
            ".irp line, 0, 64, 128, 192, 256, 320, 384, 448",
            $($line,)+
            ".endr",
            "vzeroupper",
            out("xmm0") _,
            out("xmm1") _,
            from = inout(reg) $from => _,
            to = inout(reg) $to => _,
            left = inout(reg) crate::transport::PAGE_BYTES / 512 - 1 => _,
            options(nostack),
        )
    };
}

#[cfg(target_arch = "x86_64")]
impl Copy {
    /// The best one that this processor has.
    #[inline]
    fn best() -> Option<Self> {
        if std::arch::is_x86_feature_detected!("avx512f") {
            Some(Self::Avx512)
        } else {
            std::arch::is_x86_feature_detected!("avx").then_some(Self::Avx)
        }
    }

    /// Copies a page. As a rule no cache has the lines of `to`; stores that wait for theirs leave the
    /// loads too little room to go ahead, and the copy takes half as long again. Therefore they are
    /// asked for beforehand.
    ///
    /// In assembly, and not as a copy of Rust's, because other threads may be at the words with relaxed
    /// atomics. To them it is what such accesses of ours would be: no processor takes an access at a
    /// multiple of 8 bytes apart below 8 bytes.
    ///
    /// # Safety
    /// 4096 bytes can be read at `from` and written at `to`, and do not overlap. Where other threads
    /// access them meanwhile, both pointers are 8-byte aligned and they do it atomically. The processor
    /// can do it in this way.
    #[allow(unsafe_code)]
    #[inline]
    unsafe fn page(self, to: *mut u8, from: *const u8) {
        // SAFETY: reads and writes 64 lines of 64 bytes from the pointers on, as the caller allows; a
        // prefetch may be of anything.
        unsafe {
            match self {
                Self::Avx => copy_page!(
                    to,
                    from,
                    "vmovups ymm0, [{from} + \\line]",
                    "vmovups ymm1, [{from} + 32 + \\line]",
                    "vmovups [{to} + \\line], ymm0",
                    "vmovups [{to} + 32 + \\line], ymm1"
                ),
                Self::Avx512 => copy_page!(
                    to,
                    from,
                    "vmovups zmm0, [{from} + \\line]",
                    "vmovups [{to} + \\line], zmm0"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_copied_whole_and_no_further_in_every_way() {
        let pool = Pool::new(3 * WORDS).unwrap();
        let mut page: Page = std::array::from_fn(|i| (i * 7 + i / 256) as u8);
        #[cfg(target_arch = "x86_64")]
        {
            let ways = [
                (std::arch::is_x86_feature_detected!("avx"), Copy::Avx),
                (std::arch::is_x86_feature_detected!("avx512f"), Copy::Avx512),
            ];
            for (_, copy) in ways.into_iter().filter(|(has, _)| *has) {
                // SAFETY: nobody else knows the frame, and the processor has it.
                #[allow(unsafe_code)]
                unsafe {
                    copy.page(pool.frame(1).as_ptr().cast_mut().cast(), page.as_ptr());
                }
                check(&pool, &page);
                page.reverse();
            }
        }
        store_page(pool.frame(1), &page);
        check(&pool, &page);
        let mut back = [0; crate::transport::PAGE_BYTES];
        load_page(pool.frame(1), &mut back);
        assert_eq!(back, page);
    }

    /// The page is in the middle of three frames, and nothing is in the others.
    fn check(pool: &Pool, page: &Page) {
        let bytes: Vec<u8> =
            pool.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let (before, rest) = bytes.split_at(page.len());
        let (middle, behind) = rest.split_at(page.len());
        assert_eq!(middle, page);
        assert!(before.iter().chain(behind).all(|byte| *byte == 0));
    }
}
