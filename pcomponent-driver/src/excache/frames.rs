//! [`Frames`]: the local memory of an ExCache.
//!
//! Frames are arrays of atomic 64-bit words, byte 0 of the page in the lowest byte of word 0. All
//! accesses are relaxed word accesses, so that a reader who races with a writer, or with a page that
//! moves into the frame, reads some words: never undefined behaviour. That what was read is of use
//! is decided by the page's [`Entry`] word (a sequence lock; the fences are those of
//! Boehm, "Can seqlocks get along with programming language memory models?", MSPC'12).

use std::sync::atomic::{fence, AtomicU64, Ordering};

use splitmem_abi::geometry::LINE_SHIFT;

use super::entry::{Cell, Entry, LOCKED};
use super::pool::{load_page, store_page, FrameWords, Pool};
use crate::transport::PAGE_BYTES;

/// Words of a frame.
pub(crate) const WORDS: usize = PAGE_BYTES / 8;
/// The bytes of a page.
pub(crate) type Page = [u8; PAGE_BYTES];

pub(crate) struct Frames {
    words: Pool,
    /// Lines of a frame that were written, one bit each; written under the page's lock only. Empty
    /// if whole pages are tracked.
    dirty: Box<[AtomicU64]>,
}

impl Frames {
    /// # Errors
    /// If the host has no memory for them.
    pub fn new(frames: usize, track_lines: bool) -> std::io::Result<Self> {
        Ok(Self {
            words: Pool::new(frames * WORDS)?,
            dirty: bytemuck::zeroed_slice_box(if track_lines { frames } else { 0 }),
        })
    }

    #[inline(always)]
    fn frame(&self, frame: usize) -> &FrameWords {
        self.words.frame(frame)
    }

    /// The words of all frames.
    pub fn pool(&self) -> &Pool {
        &self.words
    }

    /// Bytes of a page from `offset` on: `false`, and `out` of no use, if the page changed under the
    /// reader.
    #[inline]
    pub fn read(&self, cell: &Cell, entry: Entry, offset: usize, out: &mut [u8]) -> bool {
        copy_out(self.frame(entry.frame()), offset, out);
        unchanged(cell, entry)
    }

    /// Changes one aligned word of a page whose word holds `locked`, set by this thread.
    #[inline(always)]
    pub fn change_word(&self, locked: Entry, word: usize, change: impl FnOnce(u64) -> u64) {
        fence(Ordering::Release);
        let place = &self.words[locked.first_word() | (word % WORDS)];
        place.store(change(place.load(Ordering::Relaxed)), Ordering::Relaxed);
        self.mark_dirty(locked.frame(), 1 << ((word % WORDS * 8) >> LINE_SHIFT));
    }

    /// Writes bytes of a page whose word holds `locked`, set by this thread.
    #[inline]
    pub fn write(&self, locked: Entry, offset: usize, bytes: &[u8]) {
        debug_assert!(locked.has(LOCKED));
        // A reader who sees a byte of this sees the lock (or a later word) when it looks again.
        fence(Ordering::Release);
        let frame = locked.frame();
        copy_in(self.frame(frame), offset, bytes);
        let first = offset >> LINE_SHIFT;
        let last = (offset + bytes.len() - 1) >> LINE_SHIFT;
        self.mark_dirty(frame, u64::MAX >> (63 - (last - first)) << first);
    }

    #[inline(always)]
    fn mark_dirty(&self, frame: usize, lines: u64) {
        if let Some(dirty) = self.dirty.get(frame) {
            dirty.store(dirty.load(Ordering::Relaxed) | lines, Ordering::Relaxed);
        }
    }

    /// Fills a frame that no page has; its dirty lines are `dirty`.
    pub fn fill(&self, frame: usize, page: &Page, dirty: u64) {
        // A reader of the frame's former page who sees a word of this sees that the page has left.
        fence(Ordering::Release);
        store_page(self.frame(frame), page);
        self.set_dirty(frame, dirty);
    }

    /// Fills a frame that no page has with zeros.
    pub fn fill_zero(&self, frame: usize) {
        fence(Ordering::Release);
        for word in self.frame(frame) {
            word.store(0, Ordering::Relaxed);
        }
        self.set_dirty(frame, 0);
    }

    /// The content of a frame that cannot change: its page is unmapped, locked or protected.
    pub fn snapshot(&self, frame: usize) -> Box<Page> {
        let mut page: Box<Page> = bytemuck::zeroed_box();
        load_page(self.frame(frame), &mut page);
        page
    }

    /// Lines to be written back, all of them if whole pages are tracked.
    pub fn dirty(&self, frame: usize) -> u64 {
        self.dirty.get(frame).map_or(u64::MAX, |lines| lines.load(Ordering::Relaxed))
    }

    pub fn set_dirty(&self, frame: usize, lines: u64) {
        if let Some(dirty) = self.dirty.get(frame) {
            dirty.store(lines, Ordering::Relaxed);
        }
    }
}

/// One aligned word of a page: `None` if the page changed under the reader.
#[inline(always)]
pub(crate) fn read_word(words: &Pool, cell: &Cell, entry: Entry, word: usize) -> Option<u64> {
    let value = words.get(entry.first_word() | (word % WORDS))?.load(Ordering::Relaxed);
    unchanged(cell, entry).then_some(value)
}

/// Whether the page's word is as it was when the reader began.
#[inline(always)]
fn unchanged(cell: &Cell, entry: Entry) -> bool {
    fence(Ordering::Acquire);
    cell.load(Ordering::Relaxed) == entry.0
}

/// Copies bytes from `offset` on out of a frame.
#[inline]
fn copy_out(words: &[AtomicU64], offset: usize, out: &mut [u8]) {
    let (head, body) = out.split_at_mut(out.len().min((8 - offset % 8) % 8));
    if !head.is_empty() {
        let bytes = words[offset / 8].load(Ordering::Relaxed).to_le_bytes();
        head.copy_from_slice(&bytes[offset % 8..][..head.len()]);
    }
    let mut words = words[offset.div_ceil(8)..].iter();
    let mut chunks = body.chunks_exact_mut(8);
    for (chunk, word) in (&mut chunks).zip(&mut words) {
        chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    let tail = chunks.into_remainder();
    if let (false, Some(word)) = (tail.is_empty(), words.next()) {
        tail.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes()[..tail.len()]);
    }
}

/// Copies bytes into a frame from `offset` on; no other thread writes it meanwhile.
#[inline]
fn copy_in(words: &[AtomicU64], offset: usize, bytes: &[u8]) {
    let (head, body) = bytes.split_at(bytes.len().min((8 - offset % 8) % 8));
    if !head.is_empty() {
        patch(&words[offset / 8], offset % 8, head);
    }
    let mut words = words[offset.div_ceil(8)..].iter();
    let mut chunks = body.chunks_exact(8);
    for (chunk, word) in (&mut chunks).zip(&mut words) {
        let mut whole = [0; 8];
        whole.copy_from_slice(chunk);
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
    let tail = chunks.remainder();
    if let (false, Some(word)) = (tail.is_empty(), words.next()) {
        patch(word, 0, tail);
    }
}

/// Replaces some bytes of a word.
#[inline]
fn patch(word: &AtomicU64, at: usize, bytes: &[u8]) {
    let mut whole = word.load(Ordering::Relaxed).to_le_bytes();
    whole[at..at + bytes.len()].copy_from_slice(bytes);
    word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_any_offset_and_length_go_in_and_out() {
        let frames = Frames::new(2, true).unwrap();
        let mut oracle = [0u8; PAGE_BYTES];
        let entry = Entry(0).next(super::super::entry::RESIDENT | LOCKED, 1);
        let cell = Cell::new(entry.0);
        let mut value = 0u8;
        for offset in [0, 1, 7, 8, 13, 63, 64, 100, 4000] {
            for len in [1, 2, 7, 8, 9, 16, 17, 63, 64, 65, 96] {
                let bytes: Vec<u8> = (0..len)
                    .map(|_| {
                        value = value.wrapping_mul(5).wrapping_add(77);
                        value
                    })
                    .collect();
                frames.write(entry, offset, &bytes);
                oracle[offset..offset + len].copy_from_slice(&bytes);
                let mut out = vec![0; len];
                assert!(frames.read(&cell, entry, offset, &mut out));
                assert_eq!(out, bytes, "{offset} {len}");
                assert_eq!(frames.snapshot(1)[..], oracle[..], "{offset} {len}");
            }
        }
        assert!(frames.snapshot(0).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn written_lines_are_known() {
        let frames = Frames::new(1, true).unwrap();
        let entry = Entry(0).next(super::super::entry::RESIDENT | LOCKED, 0);
        frames.write(entry, 63, &[1, 2]);
        assert_eq!(frames.dirty(0), 0b11);
        frames.write(entry, 4095, &[1]);
        assert_eq!(frames.dirty(0), 1 << 63 | 0b11);
        frames.write(entry, 0, &[0; PAGE_BYTES]);
        assert_eq!(frames.dirty(0), u64::MAX);
        frames.fill_zero(0);
        assert_eq!(frames.dirty(0), 0);
    }

    #[test]
    fn a_reader_sees_that_the_page_changed() {
        let frames = Frames::new(1, false).unwrap();
        let entry = Entry(0).next(super::super::entry::RESIDENT, 0);
        let cell = Cell::new(entry.0);
        assert_eq!(read_word(frames.pool(), &cell, entry, 3), Some(0));
        entry.next_written().store(&cell);
        assert_eq!(read_word(frames.pool(), &cell, entry, 3), None);
        assert!(!frames.read(&cell, entry, 0, &mut [0; 8]));
    }
}
