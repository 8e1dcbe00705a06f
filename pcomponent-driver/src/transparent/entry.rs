//! [`Entry`]: what the engine knows of one page, in one word.

use bytemuck::{Pod, Zeroable};

/// A page's word. All zeros: the page holds zeros and costs nothing.
///
/// | bits | |
/// | --- | --- |
/// | 0 to 7 | flags |
/// | 8 to 35 | frame, if [`Entry::RESIDENT`] |
/// | 36 to 63 | the page's number in the store, if [`Entry::STORED`] |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Entry(u64);

/// Pages that an entry can tell apart: 1 TiB.
pub(super) const PAGES_MAX: usize = 1 << 28;

const MASK: u64 = PAGES_MAX as u64 - 1;

impl Entry {
    /// It is in a frame.
    pub const RESIDENT: u64 = 1 << 0;
    /// It can be written without a fault.
    pub const WRITABLE: u64 = 1 << 1;
    /// The frame may differ from the store: it can be written, or could be before it was protected.
    pub const DIRTY: u64 = 1 << 2;
    /// It can be written only because its neighbours are; whether it was is not known.
    pub const ASSUMED: u64 = 1 << 3;
    /// The store holds it, as it last left its frame.
    pub const STORED: u64 = 1 << 4;
    /// A thread that missed waits for it, without the engine's lock.
    pub const COMING: u64 = 1 << 5;
    /// It is on its way into a frame because it lies in a row that the program passes through.
    pub const PASSING: u64 = 1 << 6;

    pub fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    #[must_use]
    pub fn with(self, flags: u64) -> Self {
        Self(self.0 | flags)
    }

    #[must_use]
    pub fn without(self, flags: u64) -> Self {
        Self(self.0 & !flags)
    }

    pub fn frame(self) -> usize {
        ((self.0 >> 8) & MASK) as usize
    }

    #[must_use]
    pub fn in_frame(self, frame: usize) -> Self {
        Self((self.0 & !(MASK << 8)) | ((frame as u64 & MASK) << 8) | Self::RESIDENT)
    }

    pub fn number(self) -> u32 {
        (self.0 >> 36) as u32
    }

    #[must_use]
    pub fn stored_as(self, number: u32) -> Self {
        Self((self.0 & ((1 << 36) - 1)) | (u64::from(number) << 36) | Self::STORED)
    }

    /// Whether the page holds anything.
    pub fn is_live(self) -> bool {
        self.0 & (Self::RESIDENT | Self::STORED) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_touch_each_other() {
        let last = PAGES_MAX - 1;
        let entry = Entry::default().in_frame(last).stored_as(last as u32).with(Entry::DIRTY);
        assert_eq!((entry.frame(), entry.number() as usize), (last, last));
        let entry = entry.in_frame(5).stored_as(9).without(Entry::RESIDENT);
        assert_eq!((entry.frame(), entry.number()), (5, 9));
        assert!(entry.has(Entry::STORED) && entry.has(Entry::DIRTY) && !entry.has(Entry::RESIDENT));
        assert!(entry.is_live() && !entry.without(Entry::STORED).is_live());
    }
}
