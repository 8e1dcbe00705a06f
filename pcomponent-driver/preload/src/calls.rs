//! The program's system calls.
//!
//! Nearly all go to the kernel as they are, with the pages that they need held. Those about memory,
//! signals, threads and processes are answered here or changed; those that let the kernel touch memory
//! behind our back are refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pcomponent_driver::transparent::sys;
use pcomponent_driver::transport::PAGE_BYTES;

use crate::buffers::{self, Held};
use crate::{gate, memory, report, signals, threads};

/// Most bytes of one piece of a large buffer.
static PIECE: AtomicUsize = AtomicUsize::new(1 << 20);

/// Times that a program's arguments are gathered before they are taken to be too many for the frames.
const EXEC_ATTEMPTS: usize = 100;

/// Times that the words of a `futex` are brought in before they are taken not to be there at all.
const FUTEX_ATTEMPTS: usize = 1000;

/// No message over a network is longer, so none is cut.
const LARGEST_MESSAGE: usize = 1 << 16;

/// Sets the largest piece of a buffer that is held at a time.
pub fn set_piece(bytes: usize) {
    PIECE.store(bytes.next_multiple_of(PAGE_BYTES), Ordering::Relaxed);
}

fn error(errno: i32) -> isize {
    -(errno as isize)
}

/// A call whose pages are held, as far as they are ours.
fn pass(n: i64, args: [usize; 6]) -> isize {
    if may_sleep(n, args[1]) {
        gate::asleep(|_| pass_awake(n, args))
    } else {
        pass_awake(n, args)
    }
}

fn pass_awake(n: i64, args: [usize; 6]) -> isize {
    // SAFETY: the program's own call; a page that it touches, is ours and is not held may be absent or
    // protected, which the kernel answers with an error.
    unsafe { sys::raw(n, args) }
}

/// Calls that wait for others. What they write is held, or is not ours.
fn may_sleep(n: i64, second: usize) -> bool {
    match n {
        libc::SYS_read | libc::SYS_readv | libc::SYS_write | libc::SYS_writev => true,
        libc::SYS_recvfrom | libc::SYS_recvmsg | libc::SYS_recvmmsg => true,
        libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg => true,
        libc::SYS_accept | libc::SYS_accept4 | libc::SYS_connect => true,
        libc::SYS_poll | libc::SYS_ppoll | libc::SYS_select | libc::SYS_pselect6 => true,
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => true,
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep | libc::SYS_pause => true,
        libc::SYS_wait4 | libc::SYS_waitid => true,
        libc::SYS_rt_sigsuspend | libc::SYS_rt_sigtimedwait => true,
        // Of these only the waits write nothing, and hold no page.
        libc::SYS_futex => matches!(
            second as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME),
            libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET
        ),
        _ => false,
    }
}

/// Serves the call that a `SIGSYS` is about.
pub fn serve(context: &mut libc::ucontext_t) {
    let registers = &context.uc_mcontext.gregs;
    let arg = |register: i32| registers[register as usize] as usize;
    let n = registers[libc::REG_RAX as usize];
    let args = [
        arg(libc::REG_RDI),
        arg(libc::REG_RSI),
        arg(libc::REG_RDX),
        arg(libc::REG_R10),
        arg(libc::REG_R8),
        arg(libc::REG_R9),
    ];
    if n == libc::SYS_rt_sigreturn {
        // From a frame that is not ours: the stub returns through it.
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = sys::restorer() as i64;
        return;
    }
    if context.uc_stack.ss_flags & sys::SS_AUTODISARM != 0 {
        // Taken away for this call's signal; one of the program's may come meanwhile.
        let stack = &raw const context.uc_stack as usize;
        pass_awake(libc::SYS_sigaltstack, [stack, 0, 0, 0, 0, 0]);
    }
    let answer = call(n, args, context);
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = answer as i64;
}

fn call(n: i64, args: [usize; 6], context: &mut libc::ucontext_t) -> isize {
    // SAFETY, in all of this: the pointers are the program's, and are touched as the kernel would.
    match n {
        libc::SYS_mmap => memory::mmap(args),
        libc::SYS_munmap => memory::munmap(args),
        libc::SYS_mremap => memory::mremap(args),
        libc::SYS_mprotect | libc::SYS_pkey_mprotect => memory::mprotect(n, args),
        libc::SYS_madvise => memory::madvise(args),
        libc::SYS_brk => memory::brk(args),
        libc::SYS_mlock | libc::SYS_mlock2 | libc::SYS_mlockall => memory::mlock(n, args),
        // SAFETY: see above.
        libc::SYS_rt_sigaction => unsafe { signals::action(args[0] as i32, args[1], args[2]) },
        // SAFETY: see above.
        libc::SYS_rt_sigprocmask => unsafe {
            signals::mask(context, args[0] as i32, args[1], args[2])
        },
        libc::SYS_rt_sigsuspend => with_mask(n, args, 0),
        libc::SYS_ppoll => with_mask(n, args, 3),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => with_mask(n, args, 4),
        libc::SYS_pselect6 => pselect(args),
        // SAFETY: see above.
        libc::SYS_clone => unsafe { threads::clone(context, args) },
        // SAFETY: see above.
        libc::SYS_fork | libc::SYS_vfork => unsafe {
            threads::clone(context, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0])
        },
        // The C library then uses clone, whose arguments stand in registers.
        libc::SYS_clone3 => error(libc::ENOSYS),
        libc::SYS_exit => threads::exit(args),
        libc::SYS_execve => exec(n, args, 0),
        libc::SYS_execveat => exec(n, args, 1),
        libc::SYS_exit_group => {
            report::ended();
            pass(n, args)
        }
        libc::SYS_futex => futex(args),
        libc::SYS_readv | libc::SYS_preadv | libc::SYS_preadv2 => vectors(n, args, true),
        libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2 => vectors(n, args, false),
        libc::SYS_sendmsg => message(n, args, false),
        libc::SYS_recvmsg => message(n, args, true),
        libc::SYS_sendmmsg => messages(n, args, false),
        libc::SYS_recvmmsg => messages(n, args, true),
        libc::SYS_process_vm_readv => vectors(n, args, true),
        libc::SYS_process_vm_writev => vectors(n, args, false),
        libc::SYS_userfaultfd => refuse("userfaultfd"),
        libc::SYS_io_uring_setup => refuse("io_uring"),
        libc::SYS_io_setup => refuse("asynchronous input and output"),
        libc::SYS_vmsplice => refuse("vmsplice"),
        libc::SYS_sigaltstack => alternate_stack(args, context),
        _ => plain(n, args),
    }
}

/// What would let the kernel touch memory behind our back: programs do without it.
fn refuse(what: &str) -> isize {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        sys::say(&[
            "splitmem: refused: the program uses ",
            what,
            ", which cannot work on managed memory\n",
        ]);
    }
    error(libc::ENOSYS)
}

/// A call that is what it is.
fn plain(n: i64, args: [usize; 6]) -> isize {
    if !args.iter().take(buffers::arguments(n)).any(|arg| memory::is_managed(*arg)) {
        return pass(n, args);
    }
    let Some(buffer) = buffers::sized(n) else { return held(n, args, usize::MAX) };
    let whole = args[buffer.length].saturating_mul(buffer.unit);
    let piece = PIECE.load(Ordering::Relaxed);
    if buffers::divisible(n) && memory::is_managed(args[buffer.pointer]) {
        return pieces(n, args, piece);
    }
    let mut args = args;
    if whole > piece.max(LARGEST_MESSAGE) && buffers::may_be_short(n) {
        args[buffer.length] = piece.max(LARGEST_MESSAGE);
    }
    let bytes = args[buffer.length].saturating_mul(buffer.unit);
    let mut pins = Held::new();
    if let Err(errno) = pins.hold(args[buffer.pointer], bytes, buffer.write) {
        return errno;
    }
    held(n, args, buffer.pointer)
}

/// With what the other arguments point to held: nothing in the interface is longer than a page. What
/// only looks like a pointer does no harm.
fn held(n: i64, args: [usize; 6], but: usize) -> isize {
    let mut pins = Held::new();
    let mut all = true;
    for (i, arg) in args.iter().enumerate().take(buffers::arguments(n)) {
        if i != but {
            all &= pins.hold(*arg, PAGE_BYTES, true).is_ok();
        }
    }
    // What is not held may leave at any time, and must be protected for it if the kernel may write there.
    let answer = if all { pass(n, args) } else { pass_awake(n, args) };
    if answer == error(libc::EFAULT) && !all {
        return error(libc::ENOMEM);
    }
    answer
}

/// Reads or writes in pieces. Ends early where the kernel might.
fn pieces(n: i64, args: [usize; 6], piece: usize) -> isize {
    let [fd, address, bytes, offset, ..] = args;
    let write = matches!(n, libc::SYS_read | libc::SYS_pread64);
    let mut done = 0;
    loop {
        let mut part = piece.min(bytes - done);
        let mut pins = Held::new();
        let (at, offset) = (address + done, offset.wrapping_add(done));
        let answer = match pins.hold_at_once(at, part, write) {
            Ok(()) => pass(n, [fd, at, part, offset, 0, 0]),
            Err(_) => {
                // Others wait in system calls and hold the frames: by way of our stack.
                part = part.min(PAGE_BYTES);
                // SAFETY: the program's own.
                unsafe { by_way_of_the_stack(n, [fd, at, part, offset, 0, 0], write) }
            }
        };
        if answer < 0 {
            return if done > 0 { done as isize } else { answer };
        }
        done += answer as usize;
        // From anything but a file, more would have to be waited for.
        if done == bytes || (answer as usize) < part || (n == libc::SYS_read && !is_file(fd)) {
            return done as isize;
        }
    }
}

/// A read or write of at most a page that needs no page held.
///
/// # Safety
/// The buffer is the program's.
unsafe fn by_way_of_the_stack(n: i64, args: [usize; 6], write: bool) -> isize {
    let [fd, address, bytes, offset, ..] = args;
    let mut copy = [0u8; PAGE_BYTES];
    let copy = &mut copy[..bytes.min(PAGE_BYTES)];
    let theirs = address as *mut u8;
    // SAFETY: the caller's promise. Absent pages come as they are touched.
    unsafe {
        if !write {
            theirs.copy_to_nonoverlapping(copy.as_mut_ptr(), copy.len());
        }
        let answer = pass(n, [fd, copy.as_mut_ptr() as usize, copy.len(), offset, 0, 0]);
        if write && answer > 0 {
            let read = copy.len().min(answer as usize);
            theirs.copy_from_nonoverlapping(copy.as_ptr(), read);
        }
        answer
    }
}

fn is_file(fd: usize) -> bool {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    let answer = pass(libc::SYS_fstat, [fd, stat.as_mut_ptr() as usize, 0, 0, 0, 0]);
    // SAFETY: zeroed, and any bits are a `stat`.
    answer == 0 && unsafe { stat.assume_init() }.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// A wait on a word must not hold its page for as long as it lasts. It is enough that the page is
/// there when the kernel looks, which it nearly always is; if not, it is brought in, and again. The frames
/// may be held by calls that wait for this one, so it is patient: no program expects it to fail.
fn futex(args: [usize; 6]) -> isize {
    let words = [args[0], args[3], args[4]];
    let mut answer = pass(libc::SYS_futex, args);
    for _ in 0..FUTEX_ATTEMPTS {
        if answer != error(libc::EFAULT) || !words.iter().any(|word| memory::is_managed(*word)) {
            break;
        }
        let mut pins = Held::new();
        if words.iter().all(|word| pins.hold(*word, size_of::<u64>(), true).is_ok()) {
            drop(pins);
            answer = pass(libc::SYS_futex, args);
        }
    }
    answer
}

/// Vectors as far as they can be held together; the kernel, too, may stop early.
fn vectors(n: i64, mut args: [usize; 6], write: bool) -> isize {
    let piece = PIECE.load(Ordering::Relaxed);
    // SAFETY: the program's own.
    let (count, first) = unsafe { buffers::vectors_within(args[1], args[2], piece) };
    if count == 0 && args[2] > 0 {
        let single = match n {
            libc::SYS_readv => libc::SYS_read,
            libc::SYS_writev => libc::SYS_write,
            libc::SYS_preadv => libc::SYS_pread64,
            libc::SYS_pwritev => libc::SYS_pwrite64,
            _ => return error(libc::ENOMEM),
        };
        let args = [args[0], first.iov_base as usize, first.iov_len, args[3], 0, 0];
        return pieces(single, args, piece);
    }
    args[2] = count;
    let mut pins = Held::new();
    // SAFETY: the program's own.
    match unsafe { buffers::hold_vectors(&mut pins, args[1], count, write) } {
        Ok(()) => pass(n, args),
        Err(errno) => errno,
    }
}

fn message(n: i64, args: [usize; 6], write: bool) -> isize {
    let mut pins = Held::new();
    // SAFETY: the program's own.
    match unsafe { buffers::hold_message(&mut pins, args[1], write) } {
        Ok(()) => pass(n, args),
        Err(errno) => errno,
    }
}

fn messages(n: i64, args: [usize; 6], write: bool) -> isize {
    let mut pins = Held::new();
    for i in 0..args[2].min(1024) {
        let message = args[1] + i * size_of::<libc::mmsghdr>();
        // SAFETY: the program's own.
        let held = unsafe { buffers::hold_message(&mut pins, message, write) };
        if let Err(errno) = held.and_then(|()| pins.hold(message, size_of::<libc::mmsghdr>(), true))
        {
            return errno;
        }
    }
    plain(n, args)
}

/// The arguments may be on more pages than can be held. The kernel copies them before it does anything
/// else, so it is enough that they are all there at one time.
fn exec(n: i64, args: [usize; 6], path: usize) -> isize {
    for _ in 0..EXEC_ATTEMPTS {
        // SAFETY: the program's own.
        unsafe {
            buffers::touch_text(args[path]);
            buffers::touch_texts(args[path + 1]);
            buffers::touch_texts(args[path + 2]);
        }
        let answer = pass(n, args);
        if answer != error(libc::EFAULT) {
            return answer;
        }
    }
    error(libc::E2BIG)
}

/// A call whose argument `at` is a mask of signals to block meanwhile.
fn with_mask(n: i64, mut args: [usize; 6], at: usize) -> isize {
    let mask;
    if args[at] != 0 {
        // SAFETY: the program's own.
        mask = unsafe { signals::without_ours(args[at]) };
        args[at] = &raw const mask as usize;
    }
    plain(n, args)
}

fn pselect(mut args: [usize; 6]) -> isize {
    let mask;
    let record: [usize; 2];
    if args[5] != 0 {
        // SAFETY: the program's own: a pointer to a mask, and its size.
        let [pointer, size] = unsafe { (args[5] as *const [usize; 2]).read() };
        if pointer != 0 {
            // SAFETY: the program's own.
            mask = unsafe { signals::without_ours(pointer) };
            record = [&raw const mask as usize, size];
            args[5] = &raw const record as usize;
        }
    }
    plain(libc::SYS_pselect6, args)
}

/// `sigaltstack` of the program. At the end of the call's signal the kernel sets the stack to what stands in its
/// context, so that is where it is looked up and set.
fn alternate_stack(args: [usize; 6], context: &mut libc::ucontext_t) -> isize {
    let [new, old, ..] = args;
    let before = context.uc_stack;
    if new != 0 {
        // SAFETY: the program's own.
        let stack = unsafe { (new as *const libc::stack_t).read() };
        // The kernel writes to it when a signal comes, whenever that is.
        let mut pins = Held::new();
        let enabled = stack.ss_flags & libc::SS_DISABLE == 0;
        if enabled && memory::is_managed(stack.ss_sp as usize) {
            if let Err(errno) = pins.hold(stack.ss_sp as usize, stack.ss_size, true) {
                return errno;
            }
        }
        // It knows what is wrong with one.
        let answer = pass(libc::SYS_sigaltstack, [&raw const stack as usize, 0, 0, 0, 0, 0]);
        if answer != 0 {
            return answer;
        }
        // Held for good.
        std::mem::forget(pins);
        context.uc_stack = stack;
    }
    if old != 0 {
        let is_on = || {
            let here = context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
            here.wrapping_sub(before.ss_sp as usize) < before.ss_size
        };
        let kept = before.ss_flags & sys::SS_AUTODISARM;
        let state = match before.ss_size {
            0 => libc::SS_DISABLE,
            _ if kept == 0 && is_on() => libc::SS_ONSTACK,
            _ => 0,
        };
        // SAFETY: the program's own.
        unsafe {
            (old as *mut libc::stack_t).write(libc::stack_t { ss_flags: kept | state, ..before })
        };
    }
    0
}
