//! What holds for everybody, by physical memory protection (PMP): code and constants are read-only,
//! and a stack that grows too far ends in a fault instead of in somebody's variables.
//!
//! The entries are locked: they hold for machine mode too, and until the core is reset.

use core::arch::asm;

extern "C" {
    static _stext: u8;
    static __sidata: u8;
    static __estack: u8;
}

/// Bytes below the stack that nobody may touch: a power of two.
const GUARD: usize = 256;
/// Bits of a PMP configuration.
const LOCKED: usize = 1 << 7;
const NAPOT: usize = 3 << 3;
const TOP_OF_RANGE: usize = 1 << 3;
const EXECUTE: usize = 1 << 2;
const READ: usize = 1;

/// Sets the guards up: the first three entries.
pub fn set_up() {
    // What is loaded and never written ends where the initial values of variables begin.
    let (text, end) = (&raw const _stext as usize, &raw const __sidata as usize & !3);
    let bottom = (&raw const __estack as usize).next_multiple_of(GUARD);
    let code = LOCKED | TOP_OF_RANGE | EXECUTE | READ;
    let stack = LOCKED | NAPOT;
    // SAFETY: the entries take rights away from this program and change nothing else; what it
    // executes stays executable.
    unsafe {
        asm!("csrw pmpaddr0, {}", in(reg) text >> 2);
        asm!("csrw pmpaddr1, {}", in(reg) end >> 2);
        asm!("csrw pmpaddr2, {}", in(reg) bottom >> 2 | (GUARD / 8 - 1));
        asm!("csrw pmpcfg0, {}", in(reg) code << 8 | stack << 16);
    }
}
