//! What a failed monitor leaves: a record in memory that outlives a reset of the core. The next
//! monitor answers the host's question for it; a debugger reads the symbol `POST_MORTEM`.

use crate::registers::System;
use core::fmt::Write;
use core::mem::MaybeUninit;
use splitmem_abi::mailbox::{PostMortem, POST_MORTEM_TEXT};

const MAGIC: u32 = u32::from_le_bytes(*b"DEAD");

/// Kinds of failure.
pub const PANIC: u32 = 1;
pub const EXCEPTION: u32 = 2;

#[derive(Clone, Copy)]
#[repr(C)]
struct Left {
    /// `MAGIC`, written last.
    magic: u32,
    record: PostMortem,
    text: [u32; POST_MORTEM_TEXT],
    /// Starts since power-up, with a check word against what memory holds then.
    starts: u32,
    starts_check: u32,
}

#[no_mangle]
#[link_section = ".uninit.post_mortem"]
static mut POST_MORTEM: MaybeUninit<Left> = MaybeUninit::uninit();

/// The record. Any words are one, valid or not.
fn left() -> &'static mut Left {
    // SAFETY: one hart, no interrupts, and no caller keeps it; all fields are words, so whatever
    // memory holds is a value. Handlers of failures do not return to whom they interrupted.
    unsafe { &mut *(&raw mut POST_MORTEM).cast::<Left>() }
}

/// Counts this start, and gives what the last monitor left: once.
pub fn take() -> (PostMortem, [u32; POST_MORTEM_TEXT]) {
    let left = left();
    let before = if left.starts_check == !left.starts { left.starts } else { 0 };
    let power_up = before == 0;
    (left.starts, left.starts_check) = (before + 1, !(before + 1));
    let mut taken = (PostMortem::default(), [0; POST_MORTEM_TEXT]);
    if left.magic == MAGIC && !power_up {
        taken = (left.record, left.text);
    }
    left.magic = 0;
    taken.0.starts = before + 1;
    taken
}

/// Leaves a record.
pub fn leave(kind: u32, [cause, pc, value]: [u32; 3], text: core::fmt::Arguments<'_>) {
    let left = left();
    let now = System.now();
    left.record = PostMortem {
        kind,
        starts: left.starts,
        cause,
        pc,
        value,
        time_lo: now as u32,
        time_hi: (now >> 32) as u32,
    };
    left.text = [0; POST_MORTEM_TEXT];
    // What does not fit is cut.
    let _ = Words { words: &mut left.text, at: 0 }.write_fmt(text);
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    left.magic = MAGIC;
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// Text as little-endian words.
struct Words<'a> {
    words: &'a mut [u32],
    at: usize,
}

impl Write for Words<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            let word = self.words.get_mut(self.at / 4).ok_or(core::fmt::Error)?;
            *word |= (byte as u32) << (self.at % 4 * 8);
            self.at += 1;
        }
        Ok(())
    }
}
