//! The scratch memory: 1024 words of 16 bits. Registers stand at half their offset, low half first.
//!
//! Rings are aligned to their size, so that an index in X, ORed, is an address in them.

use splitmem_abi::regs::{self, Register};
use splitmem_abi::window;

/// The low half of a register.
pub const fn low(register: &Register) -> u16 {
    register.offset / 2
}

/// Its high half.
pub const fn high(register: &Register) -> u16 {
    low(register) + 1
}

/// A page that is looked up: pid and address from here on, at [`PID`] to [`VA2`].
pub const REQUEST: u16 = low(&window::RQ_PID);
/// The table engine's command, copied from the registers: [`low`] of TE_PID to TE_FRAME, and this.
pub const JOB: u16 = 0x200;
/// The page that the table engine works on.
pub const JOB_PAGE: u16 = JOB | low(&regs::TE_PID);
pub const PID: u16 = 0;
pub const VA0: u16 = 2;
pub const VA1: u16 = 3;
pub const VA2: u16 = 4;

const _: () = {
    assert!(low(&window::RQ_VA_LO) == REQUEST | VA0 && low(&window::RQ_VA_HI) == REQUEST | VA2);
    assert!(low(&regs::TE_VA_LO) == low(&regs::TE_PID) | VA0);
    assert!(low(&regs::TE_VA_HI) == low(&regs::TE_PID) | VA2);
};

/// Code of the table engine's command.
pub const JOB_CODE: u16 = 0x24c;

macro_rules! variables {
    ($from:literal: $($(#[doc = $doc:literal])* $name:ident)+) => {
        variables! { @ $from; $($(#[doc = $doc])* $name)+ }
    };
    (@ $at:expr; $(#[doc = $doc:literal])* $name:ident $($rest:tt)*) => {
        $(#[doc = $doc])*
        pub const $name: u16 = $at;
        variables! { @ $at + 1; $($rest)* }
    };
    (@ $at:expr;) => {};
}

variables! { 0x210:
    /// What waits: bit 1 a request, 2 frames to clear, 3 the table engine; as in STATUS.
    WORK
    /// The flags of which an entry that is looked for has one.
    MARK
    KEY0 KEY1 KEY2
    /// Where the entry that was looked for stands in memory. Odd: nowhere.
    SLOT
    /// The first free slot of the bucket. Odd: none.
    FREE_SLOT
    /// The slot that is looked at.
    HERE
    T0 T1
    /// Of the bucket number, as an offset in words, the bits that count.
    TABLE_MASK
    /// The table's first word.
    TABLE_AT
    /// The last translation: whether it holds, of which page, the entry's flags, frame and slot.
    HELD HELD_PID HELD_VA0 HELD_VA1 HELD_VA2 HELD_FLAGS HELD_FRAME HELD_SLOT
    /// Last scratch address of RQ_DATA that reads as the answer; behind it zeros.
    ANSWER_LAST
    /// The frame being cleared: whether there is one, and its next word.
    CLEARING CLEAR_AT
}

variables! { 0x250:
    FREE_HEAD FREE_TAIL RUN_HEAD RUN_TAIL EVENT_HEAD EVENT_TAIL RESULT_HEAD RESULT_TAIL RESULT_COUNT
}

/// Cleared frames, one word each.
pub const FREE: u16 = 0x260;
pub const FREE_ENTRIES: u16 = 16;
/// Runs of frames to clear: first frame, count.
pub const RUNS: u16 = 0x270;
pub const RUN_ENTRIES: u16 = 4;
/// The table engine's results, two words each.
pub const RESULTS: u16 = 0x280;
pub const RESULT_ENTRIES: u16 = 16;
/// The event log, eight words each.
pub const EVENTS: u16 = 0x2c0;
pub const EVENT_ENTRIES: u16 = 8;

/// RQ_DATA as the host writes it.
pub const DATA: u16 = low(&window::RQ_DATA);
/// From a word of [`DATA`] to that of the answer.
pub const ANSWER: u16 = 0x200;
/// [`ANSWER_LAST`] after an answer of so many words.
pub const fn answer_last(words: u16) -> u16 {
    DATA + words - 1
}
