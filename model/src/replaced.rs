//! Translations that the table engine replaced and that requests in flight may still use.
//!
//! The component answers a request with the new translation at the latest when it accepted the
//! request after the shootdown completed; before that, with the old or the new one. A checker that
//! follows hardware must allow both, so this keeps, per page, what each table write replaced until
//! a shootdown that covers the page completes.

use splitmem_abi::geometry::page_key;
use splitmem_abi::pte::Pte;
use std::collections::HashMap;

/// A point in the order of table writes, see [`crate::Model::mark`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(crate) u64);

/// What a table write replaced.
#[derive(Clone, Copy, Debug)]
struct Replaced {
    /// The write's place in the order of table writes.
    at: Mark,
    /// The entry before it; `None` if the page was not mapped.
    old: Option<Pte>,
}

/// The replaced translations of all pages.
#[derive(Debug, Default)]
pub(crate) struct ReplacedTranslations {
    /// By pid and page key; the oldest first.
    pages: HashMap<(u16, u64), Vec<Replaced>>,
    writes: u64,
    /// Without it nothing is remembered.
    pub keep: bool,
}

/// What a shootdown covers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Coverage {
    /// `count` pages of `pid` from key `first` on, `step` apart.
    Pages { pid: u16, first: u64, step: u64, count: u32 },
    /// A whole process.
    Pid(u16),
    /// Everything.
    All,
}

impl Coverage {
    fn covers(&self, pid: u16, key: u64) -> bool {
        match *self {
            Self::Pages { pid: of, first, step, count } => {
                pid == of
                    && key >= first
                    && (key - first) % step == 0
                    && (key - first) / step < count as u64
            }
            Self::Pid(of) => pid == of,
            Self::All => true,
        }
    }
}

impl ReplacedTranslations {
    /// Remembers what the write to the page's entry replaces.
    pub fn record(&mut self, pid: u16, va: u64, old: Option<Pte>) {
        if self.keep {
            self.writes += 1;
            let replaced = Replaced { at: Mark(self.writes), old };
            self.pages.entry((pid, page_key(va))).or_default().push(replaced);
        }
    }

    /// The last write so far.
    pub fn mark(&self) -> Mark {
        Mark(self.writes)
    }

    /// How many replaced translations of a page may still be used.
    pub fn count(&self, pid: u16, va: u64) -> usize {
        self.pages.get(&(pid, page_key(va))).map_or(0, Vec::len)
    }

    /// The n-th oldest of them.
    pub fn get(&self, pid: u16, va: u64, n: usize) -> Option<Option<Pte>> {
        self.pages.get(&(pid, page_key(va)))?.get(n).map(|replaced| replaced.old)
    }

    /// Ends what a shootdown of `coverage` ends that was started at `until`.
    pub fn shoot_down(&mut self, coverage: &Coverage, until: Mark) {
        self.forget(|pid, key, replaced| coverage.covers(pid, key) && replaced.at <= until);
    }

    /// Ends "was not mapped": no TLB holds it, so an INSERT needs no shootdown.
    pub fn settle_inserts(&mut self, until: Mark) {
        self.forget(|_, _, replaced| replaced.old.is_none() && replaced.at <= until);
    }

    fn forget(&mut self, ends: impl Fn(u16, u64, &Replaced) -> bool) {
        self.pages.retain(|&(pid, key), versions| {
            versions.retain(|replaced| !ends(pid, key, replaced));
            !versions.is_empty()
        });
    }
}
