//! The gate: every system call of the program comes to [`crate::calls`] as a `SIGSYS`.
//!
//! This is the kernel's Syscall User Dispatch (Linux 5.11): per thread, off after `exec`, and free of
//! privileges. Calls from our own stub always pass, and all calls pass while the thread's selector
//! says so, which is while it works for the engine.

use std::arch::global_asm;

use pcomponent_driver::transparent::sys::{self, Errno};
use pcomponent_driver::transparent::{process, Engine};

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
const PR_SYS_DISPATCH_ON: usize = 1;
const PASS: u8 = 0;
const TRAP: u8 = 1;

// One byte for each thread, reached without the C library: its way to thread-local memory may
// allocate.
global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".hidden splitmem_selector",
    ".globl splitmem_selector",
    ".type splitmem_selector, @object",
    ".size splitmem_selector, 1",
    "splitmem_selector:",
    ".zero 1",
    ".popsection",
    ".pushsection .text.splitmem_gate,\"ax\",@progbits",
    ".hidden splitmem_selector_address",
    ".globl splitmem_selector_address",
    ".type splitmem_selector_address, @function",
    "splitmem_selector_address:",
    "mov rax, qword ptr fs:[0]",
    "add rax, qword ptr [rip + splitmem_selector@gottpoff]",
    "ret",
    ".popsection",
);

extern "C" {
    fn splitmem_selector_address() -> *mut u8;
}

/// Lets this thread's system calls come to us from now on.
pub fn close() -> Result<(), Errno> {
    let stub = sys::stub();
    // SAFETY: the byte lives as long as the thread.
    let selector = unsafe { splitmem_selector_address() };
    set(TRAP);
    let args = [
        PR_SET_SYSCALL_USER_DISPATCH,
        PR_SYS_DISPATCH_ON,
        stub.start,
        stub.len(),
        selector as usize,
        0,
    ];
    // SAFETY: changes no memory.
    sys::result(unsafe { sys::raw(libc::SYS_prctl, args) }).map(drop)
}

fn set(to: u8) -> u8 {
    // SAFETY: this thread's own byte; the kernel only reads it. Volatile, because it reads it in
    // the middle of what looks like one piece of code.
    unsafe {
        let selector = splitmem_selector_address();
        let old = selector.read_volatile();
        selector.write_volatile(to);
        old
    }
}

/// Runs something whose system calls, the C library's too, are the engine's and not the program's.
/// Signals must be blocked.
pub fn inside<R>(work: impl FnOnce() -> R) -> R {
    let old = set(PASS);
    let answer = work();
    set(old);
    answer
}

/// Runs something with the engine.
pub fn engine<R>(work: impl FnOnce(&mut Engine) -> R) -> R {
    let mask = sys::block_signals();
    let answer = inside(|| process::with_blocked(work));
    sys::set_signals(mask);
    match answer {
        Some(answer) => answer,
        None => process::stop("it has no engine"),
    }
}
