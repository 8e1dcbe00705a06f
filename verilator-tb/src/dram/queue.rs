//! A request queue that answers the scheduler's questions with bit masks.

use super::config::MAX_BANKS;

/// Entries a queue can have: one bit each in a mask.
pub const MAX_QUEUE: usize = 64;

/// A request that waits for its device access.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// Clock in which it was accepted.
    pub arrival: u64,
    pub line: u64,
    /// Bytes a write covers.
    pub mask: u64,
    /// The requester's name for it.
    pub id: u32,
    pub row: u32,
    pub column: u32,
    pub bank: u8,
    /// Place in the order of acceptance, both queues together.
    pub order: u64,
    /// A precharge was issued on behalf of this entry.
    pub precharged: bool,
    /// An activate was issued on behalf of this entry, so that it is no row hit.
    pub activated: bool,
    /// For a write, older reads of its line that still wait. For a read, whether writes wait for
    /// it (any number).
    pub same_line: u8,
}

/// Entries in order of age: 0 is the oldest, so "the oldest of a set" is a mask's lowest bit.
///
/// Taking one out moves the younger ones up and squeezes its bit out of every mask, which for 64
/// entries and 16 banks costs less than keeping links or age matrices.
pub(super) struct RequestQueue {
    entries: [Entry; MAX_QUEUE],
    len: usize,
    depth: usize,
    in_bank: [u64; MAX_BANKS],
    /// Of those in a bank, the entries for its open row.
    hits: [u64; MAX_BANKS],
    /// Entries that must not be issued yet.
    blocked: u64,
    /// Banks for which an entry may be issued, one bit each, and those where one hits the row.
    waiting_banks: u32,
    hit_banks: u32,
}

impl RequestQueue {
    pub fn new(depth: usize) -> Self {
        Self {
            entries: [Entry::default(); MAX_QUEUE],
            len: 0,
            depth,
            in_bank: [0; MAX_BANKS],
            hits: [0; MAX_BANKS],
            blocked: 0,
            waiting_banks: 0,
            hit_banks: 0,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.len == self.depth
    }

    /// Whether any entry may be issued.
    #[inline]
    pub fn has_issuable(&self) -> bool {
        self.len > self.blocked.count_ones() as usize
    }

    #[inline]
    pub fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    #[inline]
    pub fn entry_mut(&mut self, index: usize) -> &mut Entry {
        &mut self.entries[index]
    }

    /// Arrival of the oldest entry.
    #[inline]
    pub fn oldest_arrival(&self) -> Option<u64> {
        (self.len > 0).then(|| self.entries[0].arrival)
    }

    /// Banks for which an entry may be issued, one bit each.
    #[inline]
    pub fn waiting_banks(&self) -> u32 {
        self.waiting_banks
    }

    /// Banks for whose open row an entry may be issued, one bit each.
    #[inline]
    pub fn hit_banks(&self) -> u32 {
        self.hit_banks
    }

    #[inline]
    fn update_bank(&mut self, bank: usize) {
        let clear = !(1 << bank);
        let waiting = u32::from(self.issuable(bank) != 0);
        let hit = u32::from(self.hits(bank) != 0);
        self.waiting_banks = self.waiting_banks & clear | waiting << bank;
        self.hit_banks = self.hit_banks & clear | hit << bank;
    }

    /// Entries for `bank` that may be issued.
    #[inline]
    pub fn issuable(&self, bank: usize) -> u64 {
        self.in_bank[bank] & !self.blocked
    }

    /// Entries for the open row of `bank` that may be issued.
    #[inline]
    pub fn hits(&self, bank: usize) -> u64 {
        self.hits[bank] & !self.blocked
    }

    /// Entries for `line`, which lies in `bank`.
    #[inline]
    pub fn same_line(&self, bank: usize, line: u64) -> u64 {
        let mut found = 0;
        for index in bits(self.in_bank[bank]) {
            found |= u64::from(self.entries[index].line == line) << index;
        }
        found
    }

    /// Appends an entry, the youngest; `hit` if its row is open.
    #[inline]
    pub fn push(&mut self, entry: Entry, hit: bool, blocked: bool) {
        assert!(!self.is_full(), "a request was pushed into a full queue");
        let bank = entry.bank as usize;
        let bit = 1u64 << self.len;
        self.entries[self.len] = entry;
        self.len += 1;
        self.in_bank[bank] |= bit;
        if hit {
            self.hits[bank] |= bit;
        }
        if blocked {
            self.blocked |= bit;
        }
        self.update_bank(bank);
    }

    /// Takes an entry out.
    #[inline]
    pub fn remove(&mut self, index: usize) -> Entry {
        let entry = self.entries[index];
        self.entries.copy_within(index + 1..self.len, index);
        self.len -= 1;
        let older = (1u64 << index) - 1;
        let squeeze = |mask: u64| (mask & older) | (mask >> 1 & !older);
        self.in_bank = self.in_bank.map(squeeze);
        self.hits = self.hits.map(squeeze);
        self.blocked = squeeze(self.blocked);
        self.update_bank(entry.bank as usize);
        entry
    }

    /// `row` of `bank` is open now.
    #[inline]
    pub fn row_opened(&mut self, bank: usize, row: u32) {
        let mut hits = 0;
        for index in bits(self.in_bank[bank]) {
            hits |= u64::from(self.entries[index].row == row) << index;
        }
        self.hits[bank] = hits;
        self.update_bank(bank);
    }

    /// No row of `bank` is open now.
    #[inline]
    pub fn row_closed(&mut self, bank: usize) {
        self.hits[bank] = 0;
        self.update_bank(bank);
    }

    /// One older access to the line of the blocked entry `index` was issued.
    #[inline]
    pub fn unblock_one(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.same_line -= 1;
        if entry.same_line == 0 {
            let bank = entry.bank as usize;
            self.blocked &= !(1 << index);
            self.update_bank(bank);
        }
    }
}

/// The numbers of a mask's set bits, lowest first.
#[inline]
pub(super) fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            index
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, bank: u8, row: u32) -> Entry {
        Entry { id, bank, row, line: u64::from(id), arrival: u64::from(id), ..Entry::default() }
    }

    #[test]
    fn masks_follow_the_entries_when_one_is_taken_out() {
        let mut queue = RequestQueue::new(MAX_QUEUE);
        for id in 0..MAX_QUEUE as u32 {
            queue.push(entry(id, (id % 3) as u8, id % 5), false, id % 7 == 0);
        }
        assert!(queue.is_full());
        queue.row_opened(1, 2);
        let mut expected: Vec<u32> = (0..MAX_QUEUE as u32).collect();
        for index in [63, 0, 31, 5, 5, 40] {
            assert_eq!(queue.remove(index).id, expected.remove(index));
            assert_eq!(queue.len(), expected.len());
            for (position, &id) in expected.iter().enumerate() {
                let bit = 1u64 << position;
                assert_eq!(queue.entry(position).id, id);
                assert_eq!(queue.issuable((id % 3) as usize) & bit != 0, id % 7 != 0);
                let hit = id % 3 == 1 && id % 5 == 2 && id % 7 != 0;
                assert_eq!(queue.hits(1) & bit != 0, hit, "entry {id}");
            }
        }
    }

    #[test]
    fn a_blocked_entry_waits_for_all_it_depends_on() {
        let mut queue = RequestQueue::new(4);
        let mut waiting = entry(3, 2, 0);
        waiting.same_line = 2;
        queue.push(waiting, false, true);
        assert!(!queue.has_issuable());
        queue.unblock_one(0);
        assert!(!queue.has_issuable());
        queue.unblock_one(0);
        assert_eq!((queue.has_issuable(), queue.issuable(2)), (true, 1));
        assert_eq!((queue.same_line(2, 3), queue.same_line(2, 4)), (1, 0));
        queue.remove(0);
        assert_eq!((queue.issuable(2), queue.oldest_arrival()), (0, None));
    }
}
