//! Where the page table stands, and what memory the monitor needs for its own tables.

use crate::error::Error;
use crate::journal::Journal;
use crate::occupancy::{occupancy_words, Occupancy};
use crate::pool::{pool_words, FramePool};
use crate::records::{Record, Records};
use crate::shares::{SharedFrame, Shares};
use crate::space::AddressSpaces;
use splitmem_abi::geometry::{FRAME_BITS, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::hash::HASH_BITS;

/// log2 of the buckets in one 4 KiB frame: the smallest table.
const LOG2_BUCKETS_MIN: u32 = PAGE_SHIFT - LINE_SHIFT;

/// How the component's memory is divided: the page table from frame 0 on, the rest to be granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    frames: u32,
    log2_buckets: u32,
}

impl Layout {
    /// A memory of `frames` 4 KiB frames. Without `log2_buckets`, the table has at least two slots
    /// per frame: half as many buckets as frames, rounded up to a power of two, 64 to 2^24.
    ///
    /// # Errors
    /// [`Error::Geometry`] if the table would not leave a frame, or a number is out of range.
    pub const fn new(frames: u32, log2_buckets: Option<u32>) -> Result<Self, Error> {
        let log2_buckets = match log2_buckets {
            Some(log2) => log2,
            None => {
                // Rounded up twice: half of the frames, then the power of two.
                let log2 = u32::BITS - frames.div_ceil(2).saturating_sub(1).leading_zeros();
                if log2 < LOG2_BUCKETS_MIN {
                    LOG2_BUCKETS_MIN
                } else if log2 > HASH_BITS {
                    HASH_BITS
                } else {
                    log2
                }
            }
        };
        let layout = Self { frames, log2_buckets };
        if frames > 1 << FRAME_BITS
            || log2_buckets < LOG2_BUCKETS_MIN
            || log2_buckets > HASH_BITS
            || frames <= layout.table_frames()
        {
            return Err(Error::Geometry { frames, log2_buckets });
        }
        Ok(layout)
    }

    /// 4 KiB frames of memory.
    pub const fn frames(&self) -> u32 {
        self.frames
    }

    /// log2 of the page table's buckets.
    pub const fn log2_buckets(&self) -> u32 {
        self.log2_buckets
    }

    /// 4 KiB frames that the page table takes.
    pub const fn table_frames(&self) -> u32 {
        1 << (self.log2_buckets - LOG2_BUCKETS_MIN)
    }

    /// 32-bit words that [`MonitorTables::frames`] needs: one bit per frame and a little.
    pub const fn frame_words(&self) -> usize {
        pool_words(self.frames)
    }

    /// 32-bit words that [`MonitorTables::buckets`] needs: four bits per bucket.
    pub const fn bucket_words(&self) -> usize {
        occupancy_words(self.log2_buckets)
    }
}

/// The memory that the monitor works in, supplied by the binary so that it decides the sizes. What
/// stands in it does not matter.
#[derive(Debug)]
pub struct MonitorTables<'a> {
    /// Which frames are free: [`Layout::frame_words`].
    pub frames: &'a mut [u32],
    /// How full each bucket of the page table is: [`Layout::bucket_words`].
    pub buckets: &'a mut [u32],
    /// Allocated ranges, 16 bytes each on a 32-bit core. A command that would need one more than
    /// there are is answered `TablesFull`.
    pub records: &'a mut [Record],
    /// Frames of shareable memory, 8 bytes each; one in eight stays unused.
    pub shares: &'a mut [SharedFrame],
    /// Memory that outlives the monitor, in which it keeps its journal: for
    /// [`Monitor::recover`](crate::Monitor::recover), [`Self::journal_words`] for as many records as
    /// above. Empty: no journal.
    pub journal: &'a mut [u32],
}

/// The tables, each on its words.
pub(crate) struct Divided<'a> {
    pub pool: FramePool<'a>,
    pub space: AddressSpaces<'a>,
    pub shares: Shares<'a>,
    pub journal: &'a mut [u32],
}

impl<'a> MonitorTables<'a> {
    /// 32-bit words that [`Self::journal`] needs for that many records.
    pub const fn journal_words(records: usize) -> usize {
        Journal::words(records)
    }

    pub(crate) fn divide(self, layout: &Layout) -> Result<Divided<'a>, Error> {
        let check = |table, have, need| {
            if have < need {
                return Err(Error::TableTooSmall { table, have, need });
            }
            Ok(())
        };
        check("frames", self.frames.len(), layout.frame_words())?;
        check("buckets", self.buckets.len(), layout.bucket_words())?;
        if !self.journal.is_empty() {
            check("the journal", self.journal.len(), Self::journal_words(self.records.len()))?;
        }
        Ok(Divided {
            pool: FramePool::new(self.frames, layout.table_frames(), layout.frames),
            space: AddressSpaces {
                records: Records::new(self.records),
                occupancy: Occupancy::new(self.buckets, layout.log2_buckets),
            },
            shares: Shares::new(self.shares),
            journal: self.journal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_two_slots_per_frame_or_more() {
        for frames in [2, 127, 128, 129, 8192, 100_000, 1 << 24] {
            let layout = Layout::new(frames, None).unwrap();
            let slots = 4u64 << layout.log2_buckets();
            assert!(slots >= 2 * frames as u64, "{frames}");
            assert!(slots < 4 * frames as u64 || layout.log2_buckets() == 6, "{frames}");
        }
        assert_eq!(Layout::new(1 << 28, None).map(|l| l.log2_buckets()), Ok(24));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (frames, log2) in [(0, None), (1, None), (16, Some(10)), (64, Some(5)), (9, Some(25))] {
            assert!(matches!(Layout::new(frames, log2), Err(Error::Geometry { .. })), "{frames}");
        }
        assert!(Layout::new(u32::MAX, None).is_err());
        assert!(Layout::new(17, Some(10)).is_ok());
    }
}
