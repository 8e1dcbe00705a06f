//! What each compartment may do: `isolation.toml`, as the build made Rust of it.

use core::arch::asm;
use splitmem_abi::mailbox::Compartment;

/// Rights of a compartment.
pub struct Rights {
    /// Its memory.
    pub base: u32,
    pub end: u32,
    /// The top of its stack, above which its messages are.
    pub stack: u32,
    /// What `pmpcfg1` to `pmpcfg3` hold while it runs.
    pub pmp: [u32; 3],
    /// Whom it may call: a bit each.
    pub calls: u32,
    /// It may sleep, and tell the watchdog that it lives.
    pub waits: bool,
    /// What `pmpcfg0` holds, beside what is locked, while it starts.
    pub start: u32,
}

include!(concat!(env!("OUT_DIR"), "/compartments.rs"));

/// A compartment's place in [`RIGHTS`].
pub const fn place(compartment: Compartment) -> usize {
    compartment as usize - 1
}

/// The address of a compartment's message.
pub fn message(of: Compartment) -> usize {
    RIGHTS[place(of)].stack as usize
}

/// Nobody without privilege may do anything yet.
pub fn set_up() {
    set_addresses();
    // SAFETY: without privilege nothing runs yet; a return from a trap is to lead there.
    unsafe { asm!("csrc mstatus, {}", in(reg) 3usize << 11) }
}

/// Gives a compartment its rights, and takes those of others.
#[inline(always)]
pub fn give(rights: &Rights, starts: bool) {
    let first = if starts { rights.start } else { 0 };
    // SAFETY: machine mode, which alone runs now, is not held by these entries.
    unsafe {
        asm!(
            "csrw pmpcfg0, {}",
            "csrw pmpcfg1, {}",
            "csrw pmpcfg2, {}",
            "csrw pmpcfg3, {}",
            in(reg) first, in(reg) rights.pmp[0], in(reg) rights.pmp[1], in(reg) rights.pmp[2],
        );
    }
}
