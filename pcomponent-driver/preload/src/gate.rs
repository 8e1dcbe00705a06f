//! The gate: every system call of the program comes to [`crate::calls`] as a `SIGSYS`.
//!
//! This is the kernel's Syscall User Dispatch (Linux 5.11): per thread, off after `exec`, and free of
//! privileges. Calls from our own stub always pass, and all calls pass while the thread's selector
//! says so, which is while it works for the engine.

use std::arch::global_asm;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use pcomponent_driver::transparent::sys::{self, Errno};
use pcomponent_driver::transparent::{process, Awake, Engine};

use crate::memory;

const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
const PR_SYS_DISPATCH_ON: usize = 1;
const PASS: u8 = 0;
const TRAP: u8 = 1;

// Three bytes for each thread, reached without the C library: its way to thread-local memory may
// allocate. The first is the kernel's selector; the second tells that the thread sleeps, the third that it
// serves a miss.
global_asm!(
    ".pushsection .tbss,\"awT\",@nobits",
    ".hidden splitmem_selector",
    ".globl splitmem_selector",
    ".type splitmem_selector, @object",
    ".size splitmem_selector, 3",
    "splitmem_selector:",
    ".zero 3",
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

/// What this thread's second byte says.
mod state {
    pub const AWAKE: u8 = 0;
    /// In [`super::asleep`].
    pub const ASLEEP: u8 = 1;
    /// In [`super::never_asleep`].
    pub const WITHOUT_SLEEP: u8 = 2;
}

fn state() -> u8 {
    // SAFETY: this thread's own byte, which its signal handlers change as well.
    unsafe { splitmem_selector_address().add(1).read_volatile() }
}

fn set_state(to: u8) {
    // SAFETY: as in `state`.
    unsafe { splitmem_selector_address().add(1).write_volatile(to) }
}

/// Does something in which the thread may wait for long, and in which nothing of the program's memory is
/// written but what is held: a system call, or a miss. Tells it whether the thread is counted as asleep.
pub fn asleep<R>(work: impl FnOnce(bool) -> R) -> R {
    // On a stack in the program's memory, a coroutine's, these very functions would write to it.
    let here = 0u8;
    let may = state() == state::AWAKE && !memory::is_managed(&raw const here as usize);
    // Nobody looks whether the only thread sleeps.
    let others = |awake: &&Awake| awake.several();
    let Some(awake) = process::awake().filter(others).filter(|_| may) else { return work(false) };
    // First the mark, so that a signal that comes between finds it.
    set_state(state::ASLEEP);
    awake.sleeps();
    let answer = work(true);
    awake.wakes();
    set_state(state::AWAKE);
    answer
}

/// Runs a handler of the program's, which may have come in while the thread slept. If it does not return,
/// the thread is awake.
pub fn awake(handler: impl FnOnce()) {
    let slept = process::awake().filter(|_| state() == state::ASLEEP);
    if let Some(awake) = slept {
        awake.wakes();
        set_state(state::AWAKE);
    }
    handler();
    if let Some(awake) = slept {
        set_state(state::ASLEEP);
        awake.sleeps();
    }
}

/// Starts a child that borrows this thread's memory, its thread-local one too, until it is gone or another
/// program: such a one may be killed in its sleep, and then nobody would wake.
pub fn never_asleep(start: impl FnOnce() -> isize) -> isize {
    let before = state();
    set_state(state::WITHOUT_SLEEP);
    let answer = start();
    set_state(before);
    answer
}

/// What this thread's third byte says.
mod miss {
    pub const NONE: u8 = 0;
    /// In [`super::serving`].
    pub const SERVED: u8 = 1;
    /// There, and a signal came meanwhile.
    pub const DISTURBED: u8 = 2;
}

fn miss() -> &'static AtomicU8 {
    // SAFETY: the byte lives as long as the thread, and is looked at by this thread and its signal handlers only.
    unsafe { AtomicU8::from_ptr(splitmem_selector_address().add(2)) }
}

/// Serves a miss; `false` behind the answer if a signal came meanwhile. Signals are not blocked: those that come
/// find [`is_serving`].
pub fn serving<R>(work: impl FnOnce() -> R) -> (R, bool) {
    miss().store(miss::SERVED, Relaxed);
    let answer = inside(work);
    // At once, so that nothing comes between the two.
    let undisturbed = miss().swap(miss::NONE, Relaxed) == miss::SERVED;
    (answer, undisturbed)
}

/// Whether this thread is in the middle of a miss, where nothing of the program's may run.
pub fn is_serving() -> bool {
    miss().load(Relaxed) != miss::NONE
}

/// A signal came in the middle of a miss.
pub fn disturb() {
    miss().store(miss::DISTURBED, Relaxed);
}

/// Runs something whose system calls, the C library's too, are the engine's and not the program's.
/// No handler of the program's may run meanwhile.
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
