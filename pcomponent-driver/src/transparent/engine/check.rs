//! Whether the tables agree with each other, for tests.

use super::{Engine, NOBODY};
use crate::transparent::entry::Entry;

impl Engine {
    /// Checks that every count agrees with the tables.
    ///
    /// # Errors
    /// What disagrees.
    pub fn check(&self) -> Result<(), String> {
        let (mut live, mut resident, mut dirty, mut at) = (0, 0, 0, 0);
        let mut numbers = std::collections::HashSet::new();
        while let Some(page) = self.next_live(at, self.config.span) {
            let entry = self.table[page];
            live += 1;
            if entry.has(Entry::RESIDENT) {
                resident += 1;
                dirty += usize::from(entry.has(Entry::DIRTY));
                if self.frames[entry.frame()] as usize != page {
                    return Err(format!("page {page} is not in its frame {}", entry.frame()));
                }
            }
            if entry.has(Entry::STORED) && !numbers.insert(entry.number()) {
                return Err(format!("page {page} is stored as another is: {}", entry.number()));
            }
            if self.space.area(page).is_none() {
                return Err(format!("page {page} holds something and is not mapped"));
            }
            at = page + 1;
        }
        let queued = (0..self.frames_made).filter(|frame| self.passing.has(*frame));
        if let Some(frame) = queued.clone().find(|frame| self.frames[*frame] == NOBODY) {
            return Err(format!("the empty frame {frame} is in the queue of what passes"));
        }
        let used = self.frames[..self.frames_made].iter().filter(|page| **page != NOBODY).count();
        let counts = [
            (live, self.live),
            (resident, self.resident),
            (resident, used),
            (dirty, self.dirty),
            (queued.count(), self.passing.len()),
        ];
        match counts.iter().find(|(counted, kept)| counted != kept) {
            Some(_) => Err(format!("counts differ: {counts:?}")),
            None => Ok(()),
        }
    }
}
