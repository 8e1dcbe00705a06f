//! What a failed monitor leaves: a record in memory that outlives the watchdog's reset. The next
//! monitor answers the host's question for it; a debugger reads the symbol `POST_MORTEM`.

use crate::power;
use core::fmt::Write;
use core::mem::MaybeUninit;
use core::sync::atomic::{compiler_fence, Ordering};
use splitmem_abi::mailbox::{PostMortem, POST_MORTEM_TEXT};

const MAGIC: u32 = u32::from_le_bytes(*b"DEAD");

/// Kinds of failure.
pub const PANIC: u32 = 1;
pub const EXCEPTION: u32 = 2;

/// All fields are words: whatever memory holds is a value.
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

fn left() -> &'static mut Left {
    // SAFETY: one core, no interrupts, and no caller keeps it; any words are a `Left`. Handlers of
    // failures do not return to whom they interrupted.
    unsafe { &mut *(&raw mut POST_MORTEM).cast::<Left>() }
}

/// Counts this start, and gives what the last monitor left: once.
pub fn take() -> (PostMortem, [u32; POST_MORTEM_TEXT]) {
    let left = left();
    let before = if left.starts_check == !left.starts { left.starts } else { 0 };
    let mut taken = (PostMortem::default(), [0; POST_MORTEM_TEXT]);
    if left.magic == MAGIC && before != 0 {
        taken = (left.record, left.text);
    }
    left.magic = 0;
    let starts = before.wrapping_add(1);
    (left.starts, left.starts_check) = (starts, !starts);
    taken.0.starts = starts;
    taken
}

/// Leaves a record.
pub fn leave(kind: u32, [cause, pc, value]: [u32; 3], text: core::fmt::Arguments<'_>) {
    let left = left();
    let now = power::now();
    let (time_lo, time_hi) = (now as u32, (now >> 32) as u32);
    let starts = left.starts;
    // One compartment, which PostMortem::default names: this processor keeps nothing apart.
    left.record =
        PostMortem { kind, starts, cause, pc, value, time_lo, time_hi, ..PostMortem::default() };
    left.text = [0; POST_MORTEM_TEXT];
    // What does not fit is cut.
    let _ = Words { words: &mut left.text, at: 0 }.write_fmt(text);
    compiler_fence(Ordering::SeqCst);
    left.magic = MAGIC;
    compiler_fence(Ordering::SeqCst);
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
            *word |= u32::from(byte) << (self.at % 4 * 8);
            self.at += 1;
        }
        Ok(())
    }
}
