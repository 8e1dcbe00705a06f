//! What a restarted monitor cannot ask the hardware for: which ranges are allocated, and how far the
//! last command came.
//!
//! A log in memory that outlives the monitor (a soft core's memory keeps its contents over a reset).
//! An entry is written before what it tells about happens in the page table, its check word last, so
//! that a monitor stopped anywhere leaves a log whose valid part is true. The check covers the
//! entry, its place and the generation of its half: what stood there before is not valid.
//!
//! The log has two halves. When one is full, the ranges that are allocated now are written to the
//! other one, which counts from the moment in which one word is written, the control word.
//!
//! The page table remains the truth about frames; see [`Monitor::recover`](crate::Monitor::recover).

use crate::records::{Attributes, Record};
use core::sync::atomic::{compiler_fence, Ordering};
use splitmem_abi::geometry::PAGE_SHIFT;
use splitmem_abi::mailbox::{Permission, Range};

/// Words of an entry.
const ENTRY: usize = 4;
/// Upper half of the control word.
const MAGIC: u32 = 0x5a17;
/// Entries that a command may add besides one per record.
pub(crate) const SLACK: usize = 32;

/// Something that is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// A range is going to be mapped.
    Alloc(Range, Attributes),
    /// A range's entries are gone.
    Gone(Range),
    /// A range has a new permission.
    Permission(Range, Permission),
    /// A command is going to be carried out.
    /// The first two words of its payload: the reply may overwrite them before it is whole.
    Begun([u32; 2]),
    /// It frees a range, and was found to be right: from now on it may be half done.
    Freeing,
    /// It is, and its reply stands in the mailbox.
    Replied,
}

impl Entry {
    fn encode(self) -> [u32; 3] {
        let range = |kind: u32, range: Range, flags: u32| {
            let page = (range.va >> PAGE_SHIFT) as u32;
            let high = (range.va >> (PAGE_SHIFT + 32)) as u32;
            [kind | flags << 4 | high << 8 | (range.pid as u32) << 16, range.pages, page]
        };
        match self {
            Self::Alloc(r, a) => range(1, r, a.permission.bits() | (a.shareable as u32) << 2),
            Self::Gone(r) => range(2, r, 0),
            Self::Permission(r, permission) => range(3, r, permission.bits()),
            Self::Begun([a, b]) => [4, a, b],
            Self::Replied => [5, 0, 0],
            Self::Freeing => [6, 0, 0],
        }
    }

    fn decode([first, second, third]: [u32; 3]) -> Option<Self> {
        let va = ((third as u64) | ((first >> 8 & 0xf) as u64) << 32) << PAGE_SHIFT;
        let range = Range { pid: (first >> 16) as u16, va, pages: second };
        let permission = Permission::from_bits(first >> 4 & 3)?;
        Some(match first & 0xf {
            1 => Self::Alloc(range, Attributes { permission, shareable: first >> 6 & 1 == 1 }),
            2 => Self::Gone(range),
            3 => Self::Permission(range, permission),
            4 => Self::Begun([second, third]),
            5 => Self::Replied,
            6 => Self::Freeing,
            _ => return None,
        })
    }
}

/// The log.
#[derive(Debug)]
pub(crate) struct Journal<'a> {
    words: &'a mut [u32],
    generation: u16,
    len: usize,
    /// A command is under way, and it is one that frees.
    begun: Option<[u32; 2]>,
    freeing: bool,
}

impl<'a> Journal<'a> {
    /// Words of a journal for a monitor of that many records.
    pub const fn words(records: usize) -> usize {
        1 + 2 * ENTRY * (2 * records + SLACK)
    }

    /// An empty log. Without memory, nothing is logged.
    pub fn new(words: &'a mut [u32]) -> Self {
        let mut journal = Self { words, generation: 0, len: 0, begun: None, freeing: false };
        let old = journal.words.first().copied().unwrap_or(0) as u16;
        journal.turn(old.wrapping_add(1));
        journal
    }

    /// The log that stands in memory; `None` if none does.
    pub fn open(words: &'a mut [u32]) -> Option<Self> {
        let control = *words.first()?;
        if control >> 16 != MAGIC {
            return None;
        }
        let generation = control as u16;
        let mut journal = Self { words, generation, len: 0, begun: None, freeing: false };
        while let Some(entry) = journal.get(journal.len) {
            journal.note(entry);
            journal.len += 1;
        }
        Some(journal)
    }

    /// Entries that fit one half.
    fn capacity(&self) -> usize {
        self.words.len().saturating_sub(1) / (2 * ENTRY)
    }

    /// Entries that can still be added.
    pub fn room(&self) -> usize {
        self.capacity() - self.len
    }

    /// Whether there is no memory to log in.
    pub fn is_absent(&self) -> bool {
        self.capacity() == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    fn at(&self, generation: u16, i: usize) -> usize {
        1 + (generation as usize % 2 * self.capacity() + i) * ENTRY
    }

    fn check(generation: u16, i: usize, words: [u32; 3]) -> u32 {
        // FNV-1a over whole words: what it must tell apart is an entry from what stood there before.
        let mut hash = 0x811c_9dc5 ^ generation as u32;
        for word in [i as u32, words[0], words[1], words[2]] {
            hash = (hash ^ word).wrapping_mul(0x0100_0193);
            hash ^= hash >> 15;
        }
        hash
    }

    /// The `i`-th entry.
    pub fn get(&self, i: usize) -> Option<Entry> {
        if i >= self.capacity() {
            return None;
        }
        let at = self.at(self.generation, i);
        let [a, b, c, check] = *self.words.get(at..at + ENTRY)? else { return None };
        let words = [a, b, c];
        (check == Self::check(self.generation, i, words)).then(|| Entry::decode(words))?
    }

    fn put(&mut self, generation: u16, i: usize, entry: Entry) {
        let (at, words) = (self.at(generation, i), entry.encode());
        self.words[at..at + 3].copy_from_slice(&words);
        // The check last, and all of it before anything that follows.
        compiler_fence(Ordering::SeqCst);
        self.words[at + 3] = Self::check(generation, i, words);
        compiler_fence(Ordering::SeqCst);
    }

    /// Keeps in mind how far the command came.
    fn note(&mut self, entry: Entry) {
        match entry {
            Entry::Begun(words) => (self.begun, self.freeing) = (Some(words), false),
            Entry::Freeing => self.freeing = true,
            Entry::Replied => self.forget_command(),
            Entry::Alloc(..) | Entry::Gone(_) | Entry::Permission(..) => {}
        }
    }

    /// Nothing is left of the command that was under way.
    pub fn forget_command(&mut self) {
        (self.begun, self.freeing) = (None, false);
    }

    /// Lets the half of another generation count.
    fn turn(&mut self, generation: u16) {
        compiler_fence(Ordering::SeqCst);
        self.generation = generation;
        if let Some(control) = self.words.first_mut() {
            *control = MAGIC << 16 | generation as u32;
        }
        compiler_fence(Ordering::SeqCst);
    }

    /// Adds an entry. False if there is no room; see [`Self::compact`].
    pub fn add(&mut self, entry: Entry) -> bool {
        if self.capacity() == 0 {
            return true;
        }
        if self.room() == 0 {
            return false;
        }
        self.put(self.generation, self.len, entry);
        self.note(entry);
        self.len += 1;
        true
    }

    /// Begins anew with what is allocated now, and the command that is under way.
    pub fn compact(&mut self, records: &[Record]) {
        if self.capacity() == 0 {
            return;
        }
        let generation = self.generation.wrapping_add(1);
        let mut len = 0;
        for record in records.iter().take(self.capacity()) {
            self.put(generation, len, Entry::Alloc(record.range(), record.attributes()));
            len += 1;
        }
        let begun = self.begun.map(Entry::Begun);
        for marker in [begun, self.freeing.then_some(Entry::Freeing)].into_iter().flatten() {
            if len < self.capacity() {
                self.put(generation, len, marker);
                len += 1;
            }
        }
        // Behind the last one nothing must be valid that another use of this half has left.
        if len < self.capacity() {
            let end = self.at(generation, len) + 3;
            self.words[end] = !Self::check(generation, len, [0; 3]);
        }
        self.turn(generation);
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec};

    fn range(i: u32) -> Range {
        Range { pid: 0xfff0 + i as u16 % 16, va: (1 << 47) + ((i as u64) << 21), pages: i + 1 }
    }

    fn alloc(i: u32) -> Entry {
        let permission = if i % 2 == 0 { Permission::RW } else { Permission::RO };
        Entry::Alloc(range(i), Attributes { permission, shareable: i % 3 == 0 })
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let entries = [
            alloc(5),
            alloc(6),
            Entry::Gone(range(5)),
            Entry::Permission(range(6), Permission::RO),
            Entry::Begun([u32::MAX, 7]),
            Entry::Freeing,
            Entry::Replied,
        ];
        let mut words = vec![0xdead_beef; Journal::words(4)];
        let mut journal = Journal::new(&mut words);
        assert!(entries.iter().all(|&entry| journal.add(entry)));
        let journal = Journal::open(&mut words).expect("there is one");
        let read: Vec<_> = (0..journal.len()).filter_map(|i| journal.get(i)).collect();
        assert_eq!(read, entries);
    }

    #[test]
    fn a_torn_entry_and_what_follows_do_not_count() {
        for word in 0..ENTRY {
            let mut words = vec![0; Journal::words(4)];
            let mut journal = Journal::new(&mut words);
            (0..4).for_each(|i| assert!(journal.add(alloc(i))));
            let at = journal.at(journal.generation, 2);
            words[at + word] ^= 1 << 9;
            assert_eq!(Journal::open(&mut words).expect("there is one").len(), 2, "word {word}");
        }
    }

    #[test]
    fn memory_at_power_up_is_no_journal_and_a_new_one_is_empty() {
        let mut words = vec![0; Journal::words(4)];
        assert!(Journal::open(&mut words).is_none());
        let mut journal = Journal::new(&mut words);
        (0..9).for_each(|i| assert!(journal.add(alloc(i))));
        assert_eq!(Journal::new(&mut words).len(), 0);
        assert_eq!(Journal::open(&mut words).expect("there is one").len(), 0);
    }

    #[test]
    fn a_full_one_goes_on_in_its_other_half() {
        let mut words = vec![0; Journal::words(4)];
        let mut journal = Journal::new(&mut words);
        let mut added = 0;
        for turn in 0..5 {
            while journal.add(alloc(added)) {
                added += 1;
            }
            assert_eq!(journal.room(), 0, "turn {turn}");
            journal.compact(&[Record::EMPTY; 3]);
            assert_eq!(journal.len(), 3);
        }
        assert_eq!(Journal::open(&mut words).expect("there is one").len(), 3);
    }
}
