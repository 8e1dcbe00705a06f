//! What a failed monitor leaves: a record in memory that outlives a reset of the core. The next
//! monitor answers the host's question for it; a debugger reads the symbol `POST_MORTEM`.

use crate::registers::System;
use core::fmt::Write;
use core::mem::MaybeUninit;
use splitmem_abi::mailbox::{Compartment, PostMortem, POST_MORTEM_TEXT};

const MAGIC: u32 = u32::from_le_bytes(*b"DEAD");

/// Kinds of failure.
pub const PANIC: u32 = 1;
pub const EXCEPTION: u32 = 2;
pub const SILENCE: u32 = 3;

/// What is known of a failure.
#[derive(Clone, Copy, Default)]
pub struct Failure {
    pub kind: u32,
    pub cause: u32,
    pub pc: u32,
    pub value: u32,
}

/// The record of the last failure, as a host is told it.
pub struct LastWords {
    pub record: PostMortem,
    pub text: [u32; POST_MORTEM_TEXT],
}

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
    /// Who runs now.
    running: u32,
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

/// Keeps in mind who runs, in case nothing is heard of it any more.
#[cfg(isolation = "full")]
pub fn note_running(compartment: Compartment) {
    left().running = compartment as u32;
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// Counts this start, and gives what the last monitor left: once. A watchdog that `bit` without a
/// record means that somebody ran for ever.
pub fn take(bit: bool) -> LastWords {
    let left = left();
    let before = if left.starts_check == !left.starts { left.starts } else { 0 };
    let power_up = before == 0;
    (left.starts, left.starts_check) = (before + 1, !(before + 1));
    if bit && !power_up && left.magic != MAGIC {
        let who = Compartment::from_number(left.running).unwrap_or(Compartment::Kernel);
        let failure = Failure { kind: SILENCE, ..Failure::default() };
        leave(who, failure, format_args!("{}: no sign of life", who.name()));
    }
    let left = self::left();
    let mut taken = LastWords { record: PostMortem::default(), text: [0; POST_MORTEM_TEXT] };
    if left.magic == MAGIC && !power_up {
        (taken.record, taken.text) = (left.record, left.text);
    }
    left.magic = 0;
    left.running = Compartment::Kernel as u32;
    taken.record.starts = before + 1;
    taken
}

/// Takes the record that was left since the start.
#[cfg(isolation = "full")]
pub fn take_fresh() -> (PostMortem, [u32; POST_MORTEM_TEXT]) {
    let left = left();
    left.magic = 0;
    (left.record, left.text)
}

/// Leaves a record.
pub fn leave(compartment: Compartment, failure: Failure, text: core::fmt::Arguments<'_>) {
    let left = left();
    let now = System.now();
    left.record = PostMortem {
        kind: failure.kind,
        starts: left.starts,
        cause: failure.cause,
        pc: failure.pc,
        value: failure.value,
        time_lo: now as u32,
        time_hi: (now >> 32) as u32,
        compartment: compartment as u32,
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
