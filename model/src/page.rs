//! Whole pages of 4 KiB: the requests of their 64 lines at once.
//!
//! A page lies in one frame, so its translation, permission and frame are the same for all its lines.
//! What is done here is what [`Model::request`] does for them one after the other, to the last
//! counter, in a tenth of the time. Where any of the lines might be answered otherwise than *ok*
//! nothing is done, and whoever asks sends the lines.

use crate::table::{data_line, Entry};
use crate::Model;
use splitmem_abi::geometry::{PageSize, LINE_BYTES, PAGE_SHIFT, VA_END};
use splitmem_abi::pte::Pte;
use splitmem_abi::request::{Op, Status};

/// Bytes of a page.
const PAGE_BYTES: usize = 1 << PAGE_SHIFT;
/// Its lines.
const LINES: u64 = (PAGE_BYTES / LINE_BYTES) as u64;

static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

impl Model {
    /// Executes the reads of the 64 lines of the 4 KiB at `va` and answers their bytes. `None`, and
    /// nothing was done, if any of them might not be answered [`Status::Ok`].
    pub fn read_page(&mut self, pid: u16, va: u64) -> Option<&[u8; PAGE_BYTES]> {
        let pte = self.readable(pid, va)?;
        self.count_page_read(pte);
        Some(self.page(pte, va))
    }

    /// As [`Self::read_page`] if `take` takes the bytes; if it does not, nothing was done either. Tells
    /// which.
    pub fn read_page_if(
        &mut self,
        pid: u16,
        va: u64,
        take: impl FnOnce(&[u8; PAGE_BYTES]) -> bool,
    ) -> bool {
        let Some(pte) = self.readable(pid, va) else { return false };
        let taken = take(self.page(pte, va));
        if taken {
            self.count_page_read(pte);
        }
        taken
    }

    /// The entry of a page that can be read as a whole.
    #[inline]
    fn readable(&self, pid: u16, va: u64) -> Option<Pte> {
        let Entry { pte, .. } = self.entry_of_page(pid, va)?;
        (pte.read || !self.config.check_permissions).then_some(pte)
    }

    #[inline]
    fn page(&self, pte: Pte, va: u64) -> &[u8; PAGE_BYTES] {
        let present = pte.present.then(|| self.memory.run(data_line(pte.frame, va)));
        present.flatten().unwrap_or(&ZEROS)
    }

    #[inline]
    fn count_page_read(&mut self, pte: Pte) {
        self.count_page(Op::Read);
        if pte.present {
            self.statistics.reads += LINES;
        } else {
            self.statistics.zero_reads += LINES;
        }
    }

    /// As [`Self::read_page`] for the page at `va` and those behind it, at most `most` in all, as far as
    /// they stand one behind the other in the DRAM: answers their bytes.
    pub fn read_pages(&mut self, pid: u16, va: u64, most: usize) -> Option<&[u8]> {
        let frame_of = |model: &Self, va| {
            let pte = model.readable(pid, va)?;
            pte.present.then(|| data_line(pte.frame, va))
        };
        let first = match frame_of(self, va) {
            Some(first) if self.memory.pages(first, 1).is_some() => first,
            _ => return self.read_page(pid, va).map(|page| &page[..]),
        };
        let follows = |page: &u64| {
            let next = va + page * PAGE_BYTES as u64;
            frame_of(self, next) == Some(first + page * LINES)
        };
        let pages = 1 + (1..most as u64).take_while(follows).count();
        let pages = self.memory.pages(first, pages).map_or(0, |bytes| bytes.len() / PAGE_BYTES);
        (0..pages).for_each(|_| self.count_page(Op::Read));
        self.statistics.reads += LINES * pages as u64;
        self.memory.pages(first, pages)
    }

    /// Executes whole writes of the 64 lines of the 4 KiB at `va`. `false`, and nothing was done, if
    /// any of them might not be answered [`Status::Ok`].
    pub fn write_page(&mut self, pid: u16, va: u64, bytes: &[u8; PAGE_BYTES]) -> bool {
        let Some(Entry { address, pte }) = self.entry_of_page(pid, va) else { return false };
        if self.config.check_permissions && !pte.write {
            return false;
        }
        let first = if pte.present {
            data_line(pte.frame, va)
        } else if self.frames.next(PageSize::of(va)).is_none() {
            return false;
        } else {
            match self.grant(address, va) {
                Ok(first) => first,
                Err(_) => return false,
            }
        };
        self.count_page(Op::Write);
        self.statistics.writes += LINES;
        self.memory.write_run(first, bytes);
        true
    }

    /// The entry of a page that can be dealt with as a whole.
    #[inline]
    fn entry_of_page(&self, pid: u16, va: u64) -> Option<Entry> {
        // Poison, of the bucket or of a line, is for the lines' own path.
        let whole = va % PAGE_BYTES as u64 == 0 && va < VA_END && !self.memory.any_poisoned();
        if !whole {
            return None;
        }
        self.table().find(&self.memory, pid, va)
    }

    #[inline]
    fn count_page(&mut self, op: Op) {
        self.requests += LINES;
        self.statistics.walks += LINES;
        self.statistics.requests_of(op, Status::Ok, LINES);
    }
}
