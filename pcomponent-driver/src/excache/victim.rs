//! [`VictimCache`]: a small fully associative cache of pages that just left their sets.
//!
//! LegoOS's victim cache: a page that leaves comes here first and is written back from here. While
//! it is here, a miss takes it back without traffic. A page is dropped, oldest first, only when it
//! is flushed.

use std::collections::VecDeque;

use super::frames::Page;
use crate::error::MemoryError;
use crate::region::PageRef;

/// Where a victim's write-back stands.
#[derive(Clone, Debug)]
enum Phase {
    /// In flight; at its end, the page may have been taken back to this way of its set.
    Writing { taken_back: Option<u32> },
    /// The component has it.
    Flushed,
    /// It failed; the only copy is here.
    Failed(MemoryError),
}

struct Victim {
    id: u64,
    page: PageRef,
    data: Box<Page>,
    dirty: u64,
    phase: Phase,
    /// A miss is about to take it back.
    wanted: bool,
}

/// What is known of a page here.
pub(crate) enum Lookup {
    /// It is not here.
    Missing,
    /// Its write-back is in flight.
    Writing,
    /// It is here and the component has it too.
    Flushed,
    /// It is here only.
    Failed,
}

/// A page taken back.
pub(crate) struct TakenBack {
    pub data: Box<Page>,
    pub dirty: u64,
    /// The component has it, or will if the write-back in flight goes well.
    pub clean: bool,
    /// A write-back is in flight: the page must stay until [`VictimCache::finish`].
    pub writing: bool,
}

/// What the end of a write-back changed.
pub(crate) enum Finished {
    /// Only the state of the victim.
    Here,
    /// The page is back in its set, in this way; these of its lines were written back.
    TakenBack { way: u32, dirty: u64 },
}

pub(crate) struct VictimCache {
    /// Oldest first.
    victims: VecDeque<Victim>,
    capacity: usize,
    next_id: u64,
}

impl VictimCache {
    pub fn new(capacity: usize) -> Self {
        Self { victims: VecDeque::with_capacity(capacity), capacity, next_id: 0 }
    }

    fn position(&self, page: &PageRef) -> Option<usize> {
        self.victims.iter().position(|victim| {
            victim.page.is(page) && !matches!(victim.phase, Phase::Writing { taken_back: Some(_) })
        })
    }

    pub fn lookup(&self, page: &PageRef) -> Lookup {
        match self.position(page).map(|at| &self.victims[at].phase) {
            None => Lookup::Missing,
            Some(Phase::Writing { .. }) => Lookup::Writing,
            Some(Phase::Flushed) => Lookup::Flushed,
            Some(Phase::Failed(_)) => Lookup::Failed,
        }
    }

    /// Keeps a page from being dropped, or no longer.
    pub fn want(&mut self, page: &PageRef, wanted: bool) {
        if let Some(at) = self.position(page) {
            self.victims[at].wanted = wanted;
        }
    }

    /// Makes room for one more, by dropping the oldest flushed page if it must.
    pub fn make_room(&mut self) -> bool {
        if self.victims.len() < self.capacity {
            return true;
        }
        let may_go = |victim: &Victim| matches!(victim.phase, Phase::Flushed) && !victim.wanted;
        let oldest = self.victims.iter().position(may_go);
        oldest.map(|at| self.victims.remove(at)).is_some()
    }

    /// Puts a page in, after [`Self::make_room`]. Dirty lines are zero for a clean page.
    pub fn insert(&mut self, page: PageRef, data: Box<Page>, dirty: u64) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let phase = if dirty == 0 { Phase::Flushed } else { Phase::Writing { taken_back: None } };
        self.victims.push_back(Victim { id, page, data, dirty, phase, wanted: false });
        id
    }

    /// Takes a page back into `way` of its set.
    pub fn take_back(&mut self, page: &PageRef, way: u32) -> Option<TakenBack> {
        let at = self.position(page)?;
        if let Phase::Writing { taken_back } = &mut self.victims[at].phase {
            *taken_back = Some(way);
            let victim = &self.victims[at];
            let data = victim.data.clone();
            return Some(TakenBack { data, dirty: 0, clean: true, writing: true });
        }
        let Victim { data, dirty, phase, .. } = self.victims.remove(at)?;
        let clean = matches!(phase, Phase::Flushed);
        let dirty = if clean { 0 } else { dirty };
        Some(TakenBack { data, dirty, clean, writing: false })
    }

    /// Drops a page whose write-back is not in flight.
    pub fn drop_page(&mut self, page: &PageRef) {
        if let Some(at) = self.position(page) {
            self.victims.remove(at);
        }
    }

    /// The write-back of a victim ended.
    pub fn finish(&mut self, id: u64, result: Result<(), MemoryError>) -> Finished {
        let Some(at) = self.victims.iter().position(|victim| victim.id == id) else {
            return Finished::Here;
        };
        let victim = &mut self.victims[at];
        if let Phase::Writing { taken_back: Some(way) } = victim.phase {
            let dirty = victim.dirty;
            self.victims.remove(at);
            return Finished::TakenBack { way, dirty };
        }
        victim.phase = match result {
            Ok(()) => Phase::Flushed,
            Err(error) => Phase::Failed(error),
        };
        Finished::Here
    }

    /// Whether a write-back is in flight, so that room comes by itself.
    pub fn any_writing(&self) -> bool {
        self.victims.iter().any(|victim| matches!(victim.phase, Phase::Writing { .. }))
    }

    /// The first failure of a page that is here only and is among the `wanted` ones.
    pub fn failure(&self, wanted: impl Fn(&PageRef) -> bool) -> Option<MemoryError> {
        self.victims.iter().filter(|victim| wanted(&victim.page)).find_map(|v| match &v.phase {
            Phase::Failed(error) => Some(error.clone()),
            _ => None,
        })
    }

    /// Gives failed write-backs another try: what is to be written.
    pub fn retry(&mut self) -> Vec<(u64, PageRef, Box<Page>, u64)> {
        let mut again = Vec::new();
        for victim in &mut self.victims {
            if matches!(victim.phase, Phase::Failed(_)) {
                victim.phase = Phase::Writing { taken_back: None };
                again.push((victim.id, victim.page.clone(), victim.data.clone(), victim.dirty));
            }
        }
        again
    }
}
