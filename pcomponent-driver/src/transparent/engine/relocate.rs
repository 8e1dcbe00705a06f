//! How pages get other addresses, when the program's mapping moves.
//!
//! Not with `mremap`: the kernel joins what it moves to an equal neighbour at the new place and then
//! forgets to watch both, so a thread that misses in the neighbour before it is watched again would
//! find zeros. What is resident is copied, as it would be if it left and came back.
#![allow(unsafe_code)]

use super::leave::runs;
use super::place::{page_bytes, Run};
use super::{Engine, EngineError, STRETCH};
use crate::transparent::ahead::WINDOW;
use crate::transparent::entry::Entry;
use crate::transparent::store::Page;

impl Engine {
    /// Gives pages other addresses. The new place is mapped and holds nothing; the old one is left
    /// mapped, and holds nothing.
    ///
    /// # Errors
    /// The kernel's. Pages may be lost then.
    pub(in crate::transparent) fn relocate(
        &mut self,
        from: usize,
        to: usize,
        pages: usize,
    ) -> Result<(), EngineError> {
        let (mut resident, mut len) = ([0; WINDOW], 0);
        let mut at = from;
        while let Some(page) = self.next_live(at, from + pages) {
            if self.table[page].has(Entry::RESIDENT) {
                resident[len] = page;
                len += 1;
            }
            if len == WINDOW {
                self.carry(&resident, from, to)?;
                len = 0;
            }
            at = page + 1;
        }
        self.carry(&resident[..len], from, to)?;
        at = from;
        while let Some(page) = self.next_live(at, from + pages) {
            let target = page - from + to;
            let entry = std::mem::take(&mut self.table[page]);
            if entry.has(Entry::RESIDENT) {
                self.frames[entry.frame()] = target as u32;
            }
            self.history.moves(page, target);
            self.table[target] = entry;
            self.stretches[page / STRETCH] -= 1;
            self.stretches[target / STRETCH] += 1;
            at = page + 1;
        }
        Ok(())
    }

    /// Copies at most a window of resident pages to their new place, each as writable as it was. They
    /// leave the old one first, so that the limit holds.
    fn carry(&mut self, pages: &[usize], from: usize, to: usize) -> Result<(), EngineError> {
        let mut staging = std::mem::take(&mut self.staging);
        let answer = self.carry_through(&mut staging, pages, from, to);
        self.staging = staging;
        answer
    }

    fn carry_through(
        &mut self,
        staging: &mut [Page],
        pages: &[usize],
        from: usize,
        to: usize,
    ) -> Result<(), EngineError> {
        for (page, copy) in pages.iter().zip(&mut *staging) {
            *copy = if self.is_readable(*page) {
                // SAFETY: own range; resident and readable, and the program gives up this address.
                unsafe { *(self.address(*page) as *const Page) }
            } else {
                self.dropper.read_page(self.address(*page))?
            };
        }
        self.drop_pages(pages)?;
        let mut copies = &staging[..pages.len()];
        for run in runs(pages.iter().copied()) {
            let mut first = run.start;
            while first < run.end {
                let writable = self.table[first].has(Entry::WRITABLE);
                let alike = |page: &usize| self.table[*page].has(Entry::WRITABLE) == writable;
                let len = (first..run.end).take_while(alike).count();
                let (now, rest) = copies.split_at(len);
                let place = Run { first: first - from + to, len, writable, assumed: false };
                self.map_in(place, page_bytes(now))?;
                copies = rest;
                first += len;
            }
        }
        Ok(())
    }
}
