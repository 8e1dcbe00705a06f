//! Lines, pages, vRegions and address widths.
//!
//! The upper half of a process's 48-bit virtual space ([`HUGE_BIT`] set) is made of 2 MiB pages and
//! the lower half of 4 KiB pages. A page's size is thus known from its address alone, so that a
//! walk never has to try two sizes: it is one line read for both.

/// Bytes of a line, the unit of every data access.
pub const LINE_BYTES: usize = 64;
/// log2 of [`LINE_BYTES`].
pub const LINE_SHIFT: u32 = 6;
/// Bits of a virtual address.
pub const VA_BITS: u32 = 48;
/// The address bit that selects 2 MiB pages.
pub const HUGE_BIT: u32 = 47;
/// Bits of a process identifier.
pub const PID_BITS: u32 = 16;
/// log2 of a 4 KiB page.
pub const PAGE_SHIFT: u32 = 12;
/// log2 of a 2 MiB page.
pub const HUGE_SHIFT: u32 = 21;
/// log2 of a vRegion (1 GiB), the unit of placement (LegoOS, OSDI'18, section 4.4).
pub const VREGION_SHIFT: u32 = 30;
/// Bits of a page key, `va[47:12]`.
pub const KEY_BITS: u32 = VA_BITS - PAGE_SHIFT;
/// Widest physical address of the component's DRAM, in bits.
pub const PA_BITS_MAX: u32 = 40;
/// Bits of a frame number, `pa[39:12]`. A 2 MiB frame is named by its first 4 KiB frame.
pub const FRAME_BITS: u32 = PA_BITS_MAX - PAGE_SHIFT;
/// Bits of a physical line number, `pa[39:6]`.
pub const PLINE_BITS: u32 = PA_BITS_MAX - LINE_SHIFT;
/// 4 KiB frames in a 2 MiB frame.
pub const FRAMES_PER_HUGE: u32 = 1 << (HUGE_SHIFT - PAGE_SHIFT);
/// Largest virtual address plus one.
pub const VA_END: u64 = 1 << VA_BITS;

/// The two page sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PageSize {
    /// 4 KiB, addresses below `1 << 47`.
    Small,
    /// 2 MiB, addresses from `1 << 47` up.
    Huge,
}

impl PageSize {
    /// The size of the page that holds `va`.
    pub const fn of(va: u64) -> Self {
        if va >> HUGE_BIT & 1 == 1 {
            Self::Huge
        } else {
            Self::Small
        }
    }

    /// log2 of the size in bytes.
    pub const fn shift(self) -> u32 {
        match self {
            Self::Small => PAGE_SHIFT,
            Self::Huge => HUGE_SHIFT,
        }
    }

    /// Size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// 4 KiB frames that one page takes.
    pub const fn frames(self) -> u32 {
        1 << (self.shift() - PAGE_SHIFT)
    }

    /// Lines of 64 bytes in one page.
    pub const fn lines(self) -> u32 {
        1 << (self.shift() - LINE_SHIFT)
    }
}

/// First byte of the page that holds `va`.
pub const fn page_base(va: u64) -> u64 {
    va & !(PageSize::of(va).bytes() - 1)
}

/// The key that the TLB and the page table compare: `va[47:12]`, the low nine bits zero for a
/// 2 MiB page. The size is part of it (bit 35).
pub const fn page_key(va: u64) -> u64 {
    (page_base(va) & (VA_END - 1)) >> PAGE_SHIFT
}

/// Byte offset of `va` in its page.
pub const fn page_offset(va: u64) -> u64 {
    va & (PageSize::of(va).bytes() - 1)
}

/// The 1 GiB vRegion of `va`: `va[47:30]`, 18 bits.
pub const fn vregion(va: u64) -> u32 {
    (va >> VREGION_SHIFT) as u32 & ((1 << (VA_BITS - VREGION_SHIFT)) - 1)
}

/// Index of the page of `va` in its vRegion: 18 bits for 4 KiB pages, 9 bits for 2 MiB ones.
pub const fn page_index(va: u64) -> u32 {
    ((va & ((1 << VREGION_SHIFT) - 1)) >> PageSize::of(va).shift()) as u32
}
