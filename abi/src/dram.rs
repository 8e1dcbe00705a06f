//! The tag space of the DRAM port.
//!
//! Commands are 64-byte lines; every command, read or write, gets exactly one answer with its tag,
//! in any order. The component keeps two commands to one line apart by itself (a later one is only
//! issued when the earlier one was answered), so a DRAM controller may reorder freely. Bucket lines
//! are the exception: commands to one may overlap, but then their masks have no byte in common, or
//! a read of the later one's requester has already returned what the earlier one wrote.
//!
//! On a port of fewer than 512 bits (`HwConfig::dram_data_bits`) a write's line and a read's answer take
//! several beats, lowest bytes first, the last one marked; a read and a write's answer take one.

/// Bits of a tag: a class above an index.
pub const TAG_BITS: u32 = 10;
/// Bits of a tag's index.
pub const TAG_INDEX_BITS: u32 = 7;

/// Who a command belongs to: bits 9..=7 of a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u16)]
pub enum TagClass {
    /// A request's own line; the index is its transaction slot.
    Data = 0,
    /// A page-table walk; the index is its walk entry.
    Walk = 1,
    /// A PTE written by the fault unit; the index is its walk entry.
    PteWrite = 2,
    /// A line cleared by the zeroing engine.
    Zero = 3,
    /// The table engine's bucket read or write.
    Table = 4,
    /// The write half of an atomic; the index is its transaction slot.
    AtomicWrite = 5,
}

impl TagClass {
    /// The class of a tag, if it is one of ours.
    pub const fn of(tag: u16) -> Option<Self> {
        match tag >> TAG_INDEX_BITS {
            0 => Some(Self::Data),
            1 => Some(Self::Walk),
            2 => Some(Self::PteWrite),
            3 => Some(Self::Zero),
            4 => Some(Self::Table),
            5 => Some(Self::AtomicWrite),
            _ => None,
        }
    }
}

/// The index of a tag.
pub const fn tag_index(tag: u16) -> u16 {
    tag & ((1 << TAG_INDEX_BITS) - 1)
}
