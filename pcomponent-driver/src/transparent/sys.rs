//! System calls without the C library: no `errno`, no cancellation, no locks.
//!
//! The engine runs inside signal handlers that may have interrupted anything, the C library's own
//! functions included, and in `splitmem run` every other system call of the process is intercepted.
//! So everything here goes through one instruction whose address is known ([`stub`]).
//!
//! # Rules that the `unsafe` here relies on
//! * **Kernel checks**: a system call that is given a bad address answers `EFAULT`; it is unsafe
//!   only where it changes memory that Rust owns.
//! * **Own mapping**: memory is mapped, protected or dropped only in ranges that the caller reserved.
#![allow(unsafe_code)]

use std::arch::{asm, global_asm};
use std::ffi::CStr;
use std::ops::Range;

/// Linux's number of an error, positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the C library's words: for these it looks into the environment, which may be in the very
        // memory that cannot be had.
        let kind = std::io::Error::from_raw_os_error(self.0).kind();
        write!(f, "{kind} (error {})", self.0)
    }
}

impl std::error::Error for Errno {}

global_asm!(
    ".pushsection .text.splitmem_stub,\"ax\",@progbits",
    ".balign 64",
    ".hidden splitmem_stub_start",
    ".hidden splitmem_stub_end",
    ".hidden splitmem_syscall",
    ".hidden splitmem_restore",
    ".hidden splitmem_resume",
    ".hidden splitmem_clone",
    ".globl splitmem_stub_start, splitmem_stub_end, splitmem_syscall, splitmem_restore",
    ".globl splitmem_resume, splitmem_clone",
    "splitmem_stub_start:",
    // isize splitmem_syscall(number, a, b, c, d, e, f)
    ".type splitmem_syscall, @function",
    "splitmem_syscall:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "syscall",
    "ret",
    // What a signal handler returns to.
    ".type splitmem_restore, @function",
    "splitmem_restore:",
    "mov eax, 15",
    "syscall",
    "nop",
    // void splitmem_resume(registers, xstate, features): goes on from there.
    ".type splitmem_resume, @function",
    "splitmem_resume:",
    "mov eax, edx",
    "shr rdx, 32",
    "xrstor64 [rsi]",
    "mov eax, ss",
    "push rax",
    "push qword ptr [rdi + 120]",
    "push qword ptr [rdi + 136]",
    "mov eax, cs",
    "push rax",
    "push qword ptr [rdi + 128]",
    "mov r8, [rdi]",
    "mov r9, [rdi + 8]",
    "mov r10, [rdi + 16]",
    "mov r11, [rdi + 24]",
    "mov r12, [rdi + 32]",
    "mov r13, [rdi + 40]",
    "mov r14, [rdi + 48]",
    "mov r15, [rdi + 56]",
    "mov rsi, [rdi + 72]",
    "mov rbp, [rdi + 80]",
    "mov rbx, [rdi + 88]",
    "mov rdx, [rdi + 96]",
    "mov rax, [rdi + 104]",
    "mov rcx, [rdi + 112]",
    "mov rdi, [rdi + 64]",
    "iretq",
    // isize splitmem_clone(flags, frame, parent_tid, child_tid, tls): the new thread takes its
    // registers from the frame of 16 words and calls the function in word 15 before it goes on.
    ".type splitmem_clone, @function",
    "splitmem_clone:",
    "mov r10, rcx",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2:",
    "xor ebp, ebp",
    "mov rbx, rsp",
    "and rsp, -16",
    "call [rbx + 120]",
    "mov r8, [rbx]",
    "mov r9, [rbx + 8]",
    "mov r10, [rbx + 16]",
    "mov r12, [rbx + 24]",
    "mov r13, [rbx + 32]",
    "mov r14, [rbx + 40]",
    "mov r15, [rbx + 48]",
    "mov rdi, [rbx + 56]",
    "mov rsi, [rbx + 64]",
    "mov rbp, [rbx + 72]",
    "mov rdx, [rbx + 88]",
    "mov rcx, [rbx + 104]",
    "mov rsp, [rbx + 112]",
    "mov rbx, [rbx + 80]",
    "xor eax, eax",
    "jmp rcx",
    "nop",
    "splitmem_stub_end:",
    ".popsection",
);

extern "C" {
    static splitmem_stub_start: u8;
    static splitmem_stub_end: u8;
    fn splitmem_syscall(
        n: usize,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> isize;
    fn splitmem_restore();
    fn splitmem_resume(registers: *const i64, xstate: *const u8, features: u64) -> !;
    fn splitmem_clone(flags: usize, frame: usize, ptid: usize, ctid: usize, tls: usize) -> isize;
}

/// Addresses from which our own system calls come.
pub fn stub() -> Range<usize> {
    (&raw const splitmem_stub_start) as usize..(&raw const splitmem_stub_end) as usize
}

/// What signal handlers return to (`sa_restorer`).
pub fn restorer() -> usize {
    splitmem_restore as *const () as usize
}

/// Of a stack for handlers (`ss_flags`, Linux 4.7): the kernel takes it away for each handler, and gives it back at
/// the handler's end.
pub const SS_AUTODISARM: i32 = i32::MIN;

/// Goes on from the context of a signal's handler, where the kernel's own way can be left out: it takes a tenth
/// of a miss. Returns if it cannot.
///
/// # Safety
/// The context is one that the kernel made for the handler that calls this, nothing has been blocked or unblocked
/// since, and nothing on the stack up to there is used again.
pub unsafe fn resume(context: &libc::ucontext_t) {
    /// What the kernel says in the unused bytes of the area for the processor's state, which the processor
    /// itself wrote with `xsave` (Linux, `asm/sigcontext.h`: `_fpx_sw_bytes`).
    const SAYS: usize = 464;
    const MAGIC: u32 = 0x4650_5853;
    let (registers, state) = (&context.uc_mcontext.gregs, context.uc_mcontext.fpregs.cast::<u8>());
    let disarmed = context.uc_stack.ss_flags & SS_AUTODISARM != 0;
    if state.is_null() || disarmed || has_shadow_stack() {
        return;
    }
    // SAFETY: the area is that of the context.
    unsafe {
        let features = state.add(SAYS + 8).cast::<u64>().read_unaligned();
        if state.add(SAYS).cast::<u32>().read_unaligned() == MAGIC {
            splitmem_resume(registers.as_ptr(), state, features);
        }
    }
}

/// Whether the processor keeps a second stack of return addresses, which only the kernel can put right.
fn has_shadow_stack() -> bool {
    let mut pointer = 0u64;
    // SAFETY: reads a register; does nothing where there is none.
    unsafe { asm!("rdsspq {}", inout(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer != 0
}

/// A system call, with its answer as the kernel gives it: errors from -4095 to -1.
///
/// # Safety
/// The call must not change memory that Rust owns other than through its arguments.
#[inline]
pub unsafe fn raw(n: i64, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the caller's promise.
    unsafe { splitmem_syscall(n as usize, a, b, c, d, e, f) }
}

/// `clone` of a thread that goes on from the registers in `frame`.
///
/// # Safety
/// `frame` is the address of 16 words on the new thread's stack, as `splitmem_clone` reads them,
/// and everything there is right for a thread that starts.
pub unsafe fn clone_thread(flags: usize, frame: usize, ids: [usize; 2], tls: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { splitmem_clone(flags, frame, ids[0], ids[1], tls) }
}

/// The answer as a result.
pub fn result(answer: isize) -> Result<usize, Errno> {
    if (-4095..0).contains(&answer) {
        Err(Errno(-answer as i32))
    } else {
        Ok(answer as usize)
    }
}

/// Reserves address space that cannot be touched until [`protect`]; at `address` if it is not zero.
pub fn reserve(address: usize, bytes: usize) -> Result<usize, Errno> {
    let fixed = if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
    map(address, bytes, libc::PROT_NONE, fixed)
}

/// Zeroed memory that the kernel provides where it is touched.
pub fn zeros(bytes: usize) -> Result<usize, Errno> {
    map(0, bytes, libc::PROT_READ | libc::PROT_WRITE, 0)
}

fn map(address: usize, bytes: usize, prot: i32, flags: i32) -> Result<usize, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags;
    let args = [address, bytes, prot as usize, flags as usize, usize::MAX, 0];
    // SAFETY: a new mapping; with an address it fails rather than replace another.
    result(unsafe { raw(libc::SYS_mmap, args) })
}

/// Changes the protection of a range.
///
/// # Safety
/// The range is the caller's reservation.
pub unsafe fn protect(address: usize, bytes: usize, prot: i32) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { raw(libc::SYS_mprotect, [address, bytes, prot as usize, 0, 0, 0]) }).map(drop)
}

/// Drops the pages of a range.
///
/// # Safety
/// The range is the caller's reservation, and its content is not needed.
pub unsafe fn advise(address: usize, bytes: usize, advice: i32) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    result(unsafe { raw(libc::SYS_madvise, [address, bytes, advice as usize, 0, 0, 0]) }).map(drop)
}

/// Gives the processor to another thread.
pub fn yield_now() {
    // SAFETY: touches no memory.
    unsafe { raw(libc::SYS_sched_yield, [0; 6]) };
}

/// Blocks every signal; gives the mask that was.
pub fn block_signals() -> u64 {
    let (all, mut old) = (u64::MAX, 0u64);
    let args =
        [libc::SIG_SETMASK as usize, &raw const all as usize, &raw mut old as usize, 8, 0, 0];
    // SAFETY: reads and writes the two words.
    unsafe { raw(libc::SYS_rt_sigprocmask, args) };
    old
}

/// Sets the mask of blocked signals.
pub fn set_signals(mask: u64) {
    let args = [libc::SIG_SETMASK as usize, &raw const mask as usize, 0, 8, 0, 0];
    // SAFETY: reads the word.
    unsafe { raw(libc::SYS_rt_sigprocmask, args) };
}

/// Writes to the standard error, in pieces, without allocating.
pub fn say(parts: &[&str]) {
    for part in parts {
        // SAFETY: the kernel only reads the text.
        unsafe { raw(libc::SYS_write, [2, part.as_ptr() as usize, part.len(), 0, 0, 0]) };
    }
}

/// Sends all of it on a socket. If nobody is at the other end any more this is an error, and no
/// `SIGPIPE`, which would end a program that knows nothing of the socket.
pub fn send_all(socket: i32, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let (from, flags) = (bytes.as_ptr() as usize, libc::MSG_NOSIGNAL as usize);
        // SAFETY: the kernel only reads the bytes.
        let sent =
            unsafe { raw(libc::SYS_sendto, [socket as usize, from, bytes.len(), flags, 0, 0]) };
        match result(sent) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno(libc::EINTR)) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// An open file, closed when dropped.
pub struct OwnedFile(usize);

/// Makes a file, or empties it.
pub fn create(path: &CStr) -> Result<OwnedFile, Errno> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0o600, 0, 0];
    // SAFETY: the kernel reads the path; the descriptor is new.
    result(unsafe { raw(libc::SYS_openat, args) }).map(OwnedFile)
}

impl OwnedFile {
    /// Writes all of it.
    pub fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let args = [self.0, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0];
            // SAFETY: the kernel only reads the bytes.
            match result(unsafe { raw(libc::SYS_write, args) }) {
                Ok(0) => return Err(Errno(libc::EIO)),
                Ok(written) => bytes = &bytes[written..],
                Err(Errno(libc::EINTR)) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { raw(libc::SYS_close, [self.0, 0, 0, 0, 0, 0]) };
    }
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { raw(libc::SYS_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// This process.
pub fn pid() -> usize {
    // SAFETY: changes no memory.
    unsafe { raw(libc::SYS_getpid, [0; 6]) as usize }
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes `time`. The C library asks the vDSO and takes no lock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_without_the_c_library() {
        assert_eq!(Errno(libc::ENOMEM).to_string(), "out of memory (error 12)");
        // One that Rust has no kind for.
        let other = Errno(libc::EFAULT).to_string();
        assert!(other.ends_with("(error 14)"), "{other}");
        assert!(!other.contains("Bad address"), "{other}");
    }
}
