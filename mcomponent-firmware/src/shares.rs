//! How many mappings each shareable frame has: a hash map of borrowed slots, so that its size
//! follows the memory that is shared and not the memory that there is. Losing a mapping never needs
//! a slot, so freeing cannot fail here.

/// A frame and its mappings. Its contents are the monitor's; it is public so that a binary can
/// make an array of them (`[SharedFrame::EMPTY; N]`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedFrame {
    frame: u32,
    /// Zero: the slot is free.
    mappings: u32,
}

impl SharedFrame {
    /// One to fill an array with.
    pub const EMPTY: Self = Self { frame: 0, mappings: 0 };
}

/// The frame is not known as a shared one, or no slot is left for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoSlot;

/// The map: open addressing, linear probing, no tombstones.
#[derive(Debug)]
pub(crate) struct Shares<'a> {
    slots: &'a mut [SharedFrame],
    len: usize,
}

impl<'a> Shares<'a> {
    /// An empty map over `slots`.
    pub fn new(slots: &'a mut [SharedFrame]) -> Self {
        slots.fill(SharedFrame::EMPTY);
        Self { slots, len: 0 }
    }

    /// Frames that can still be added. One slot in eight stays free, so that probing stays short.
    pub fn room(&self) -> usize {
        (self.slots.len() - self.slots.len().div_ceil(8)).saturating_sub(self.len)
    }

    /// Frames that have a mapping.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where a frame would stand if nothing were in its way.
    fn home(&self, frame: u32) -> usize {
        // Fibonacci hashing: neighbours, as frames of one range are, land far from each other.
        let spread = frame.wrapping_mul(0x9e37_79b9);
        ((spread as u64 * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, i: usize) -> usize {
        if i + 1 == self.slots.len() {
            0
        } else {
            i + 1
        }
    }

    /// The slot of the frame, or the free one where it belongs.
    fn probe(&self, frame: u32) -> usize {
        let mut i = self.home(frame);
        while self.slots[i].mappings > 0 && self.slots[i].frame != frame {
            i = self.after(i);
        }
        i
    }

    /// One more mapping of `frame`.
    pub fn add(&mut self, frame: u32) -> Result<(), NoSlot> {
        if self.slots.is_empty() {
            return Err(NoSlot);
        }
        let i = self.probe(frame);
        if self.slots[i].mappings == 0 {
            if self.room() == 0 {
                return Err(NoSlot);
            }
            self.len += 1;
            self.slots[i] = SharedFrame { frame, mappings: 0 };
        }
        self.slots[i].mappings += 1;
        Ok(())
    }

    /// One mapping of `frame` less; gives how many are left.
    pub fn remove(&mut self, frame: u32) -> Result<u32, NoSlot> {
        if self.slots.is_empty() {
            return Err(NoSlot);
        }
        let i = self.probe(frame);
        match self.slots[i].mappings {
            0 => Err(NoSlot),
            1 => {
                self.vacate(i);
                Ok(0)
            }
            _ => {
                self.slots[i].mappings -= 1;
                Ok(self.slots[i].mappings)
            }
        }
    }

    /// Empties a slot and moves up those behind it that it kept from their homes.
    fn vacate(&mut self, mut hole: usize) {
        self.len -= 1;
        let mut i = self.after(hole);
        while self.slots[i].mappings > 0 {
            let home = self.home(self.slots[i].frame);
            // Whether `home` lies cyclically outside (hole, i]: then the entry may move to `hole`.
            let stays = if hole < i { hole < home && home <= i } else { hole < home || home <= i };
            if !stays {
                self.slots[hole] = self.slots[i];
                hole = i;
            }
            i = self.after(i);
        }
        self.slots[hole] = SharedFrame::EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::HashMap, vec};

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn counts_like_a_map(
            capacity in 0usize..40,
            work in prop::collection::vec((0u32..48, any::<bool>()), 0..300),
        ) {
            let mut slots = vec![SharedFrame::EMPTY; capacity];
            let mut shares = Shares::new(&mut slots);
            let mut expected: HashMap<u32, u32> = HashMap::new();
            for (frame, add) in work {
                if add {
                    let known = expected.contains_key(&frame);
                    let added = shares.add(frame);
                    prop_assert_eq!(added.is_ok(), known || expected.len() < capacity * 7 / 8);
                    if added.is_ok() {
                        *expected.entry(frame).or_default() += 1;
                    }
                } else {
                    let left = expected.get(&frame).map(|n| n - 1).ok_or(NoSlot);
                    prop_assert_eq!(shares.remove(frame), left);
                    match left {
                        Ok(0) => { expected.remove(&frame); }
                        Ok(n) => { expected.insert(frame, n); }
                        Err(_) => {}
                    }
                }
                prop_assert_eq!(shares.len(), expected.len());
            }
        }
    }
}
