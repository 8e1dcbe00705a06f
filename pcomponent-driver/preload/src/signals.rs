//! The program's signals. `SIGBUS` and `SIGSYS` are ours: the program's handlers of them are kept and
//! called for what is not ours, and they are never blocked. The handlers of all others are called by
//! one of ours, which wakes the thread ([`gate::awake`]).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use pcomponent_driver::transparent::{process, sys};

use crate::{calls, gate};

/// As the kernel has it.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

impl Action {
    fn is_handled(&self) -> bool {
        self.handler != libc::SIG_DFL && self.handler != libc::SIG_IGN
    }
}

const SA_RESTORER: u64 = 0x0400_0000;
const SA_SIGINFO: u64 = libc::SA_SIGINFO as u64;
/// Signals that the kernel has.
const SIGNALS: usize = 64;
/// `si_code` of a system call that came through the gate.
const SYS_USER_DISPATCH: i32 = 2;

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Signals that are never blocked.
const OURS: u64 = bit(libc::SIGBUS) | bit(libc::SIGSYS);

/// What the program wants done with a signal.
struct Wanted {
    handler: AtomicUsize,
    flags: AtomicU64,
    mask: AtomicU64,
}

impl Wanted {
    const fn nothing() -> Self {
        Self { handler: AtomicUsize::new(0), flags: AtomicU64::new(0), mask: AtomicU64::new(0) }
    }
}

/// By the signal's number.
static WANTED: [Wanted; SIGNALS + 1] = [const { Wanted::nothing() }; SIGNALS + 1];
/// The process whose signals these are: a child that shares our memory must not change them.
static OWNER: AtomicUsize = AtomicUsize::new(0);
static REPORTED: AtomicBool = AtomicBool::new(false);

fn wanted(signal: i32) -> &'static Wanted {
    &WANTED[signal as usize]
}

/// Takes over the two signals, and the calls of handlers that there are already.
pub fn install() -> Result<(), sys::Errno> {
    adopt();
    let bus = Action {
        handler: on_sigbus as *const () as usize,
        // What comes while a miss is served is put off; to block it takes the kernel longer. A system call
        // may block, and what would interrupt it must be able to.
        flags: (libc::SA_SIGINFO | libc::SA_NODEFER) as u64 | SA_RESTORER,
        restorer: sys::restorer(),
        mask: 0,
    };
    let sys = Action { handler: on_sigsys as *const () as usize, ..bus };
    for (signal, action) in [(libc::SIGBUS, bus), (libc::SIGSYS, sys)] {
        let mut old = Action::default();
        set(signal, Some(&action), Some(&mut old))?;
        keep(signal, &old);
    }
    for signal in (1..=SIGNALS as i32).filter(|signal| bit(*signal) & OURS == 0) {
        let mut old = Action::default();
        if set(signal, None, Some(&mut old)).is_ok() && old.is_handled() {
            set(signal, Some(&called_by_us(signal, old)), None)?;
        }
    }
    let mask = sys::block_signals();
    sys::set_signals(mask & !OURS);
    Ok(())
}

/// This process's signals are ours to keep, from here or from a fork on.
pub fn adopt() {
    OWNER.store(sys::pid(), Ordering::Relaxed);
}

fn keep(signal: i32, action: &Action) {
    let wanted = wanted(signal);
    wanted.handler.store(action.handler, Ordering::Relaxed);
    wanted.flags.store(action.flags, Ordering::Relaxed);
    wanted.mask.store(action.mask, Ordering::Relaxed);
}

fn kept(signal: i32) -> Action {
    let wanted = wanted(signal);
    Action {
        handler: wanted.handler.load(Ordering::Relaxed),
        flags: wanted.flags.load(Ordering::Relaxed),
        restorer: 0,
        mask: wanted.mask.load(Ordering::Relaxed),
    }
}

fn set(signal: i32, new: Option<&Action>, old: Option<&mut Action>) -> Result<(), sys::Errno> {
    let new = new.map_or(0, |action| &raw const *action as usize);
    let old = old.map_or(0, |action| &raw mut *action as usize);
    // SAFETY: the kernel reads and writes the two records; the handlers live as long as the process.
    let answer = unsafe { sys::raw(libc::SYS_rt_sigaction, [signal as usize, new, old, 8, 0, 0]) };
    sys::result(answer).map(drop)
}

/// The action in whose stead the kernel calls [`on_other`], which calls the program's handler.
fn called_by_us(signal: i32, action: Action) -> Action {
    keep(signal, &action);
    let handler = on_other as *const () as usize;
    restored(Action { handler, flags: action.flags | SA_SIGINFO, ..action })
}

/// The action with a return through our stub, and with our signals never blocked.
fn restored(action: Action) -> Action {
    let (flags, restorer) = (action.flags | SA_RESTORER, sys::restorer());
    Action { flags, restorer, mask: action.mask & !OURS, ..action }
}

/// `rt_sigaction` of the program.
///
/// # Safety
/// The pointers are the program's, and may be touched as it may touch them.
pub unsafe fn action(signal: i32, new: usize, old: usize) -> isize {
    if !(1..=SIGNALS as i32).contains(&signal) {
        return -(libc::EINVAL as isize);
    }
    // SAFETY: the caller's promise. Copies, because the kernel must not touch the program's pages.
    let new = (new != 0).then(|| unsafe { (new as *const Action).read() });
    // A child that shares our memory must not change what this process wants.
    let keeps = || OWNER.load(Ordering::Relaxed) == sys::pid();
    let known = kept(signal);
    let mut before = known;
    if bit(signal) & OURS != 0 {
        if let Some(action) = new.filter(|_| keeps()) {
            keep(signal, &action);
        }
    } else {
        let new = new.map(|action| match action.is_handled() && keeps() {
            true => called_by_us(signal, action),
            false => restored(action),
        });
        if let Err(errno) = set(signal, new.as_ref(), Some(&mut before)) {
            return -(errno.0 as isize);
        }
        if before.handler == on_other as *const () as usize {
            before.handler = known.handler;
            before.flags = before.flags & !SA_SIGINFO | known.flags & SA_SIGINFO;
        }
    }
    if old != 0 {
        // SAFETY: the caller's promise.
        unsafe { (old as *mut Action).write(before) };
    }
    0
}

/// The mask in the context of a signal, which is the program's.
fn mask_of(context: &mut libc::ucontext_t) -> *mut u64 {
    (&raw mut context.uc_sigmask).cast()
}

/// `rt_sigprocmask` of the program, in effect when the handler returns.
///
/// # Safety
/// As [`action`].
pub unsafe fn mask(context: &mut libc::ucontext_t, how: i32, new: usize, old: usize) -> isize {
    let mask = mask_of(context);
    // SAFETY: the mask is in the context; for the others, the caller's promise.
    unsafe {
        let before = mask.read();
        if new != 0 {
            let new = (new as *const u64).read();
            let after = match how {
                libc::SIG_BLOCK => before | new,
                libc::SIG_UNBLOCK => before & !new,
                libc::SIG_SETMASK => new,
                _ => return -(libc::EINVAL as isize),
            };
            mask.write(after & !OURS);
        }
        if old != 0 {
            (old as *mut u64).write(before);
        }
    }
    0
}

/// A mask that the program hands to a system call, without what is ours.
///
/// # Safety
/// As [`action`].
pub unsafe fn without_ours(mask: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { (mask as *const u64).read() & !OURS }
}

/// Signals are put off while it serves a miss, not in the few instructions around that: from there a handler's
/// unwinding may pass through it, as through [`on_other`].
extern "C-unwind" fn on_sigbus(
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel's arguments, here and below.
    unsafe {
        if gate::is_serving() {
            // Not about an access: somebody sent it.
            return put_off(signal, info, context);
        }
        let (address, write) = process::access(info, context);
        let serve = || gate::asleep(|asleep| process::on_fault(address, write, asleep));
        match gate::serving(serve) {
            (false, _) => pass_on(signal, info, context),
            (true, true) => sys::resume(&*context.cast()),
            // The kernel's way back unblocks what was put off.
            (true, false) => {}
        }
    }
}

extern "C-unwind" fn on_sigsys(
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel's arguments.
    unsafe {
        if (*info).si_code == SYS_USER_DISPATCH {
            calls::serve(&mut *context.cast::<libc::ucontext_t>());
        } else if gate::is_serving() {
            put_off(signal, info, context);
        } else {
            pass_on(signal, info, context);
        }
    }
}

/// A signal of the program's. Unwinding may pass through it, as it may through the program's handler:
/// that is how the C library ends a thread that is cancelled.
extern "C-unwind" fn on_other(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type Handler = extern "C-unwind" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    if gate::is_serving() {
        // SAFETY: the kernel's arguments.
        return unsafe { put_off(signal, info, context) };
    }
    let handler = wanted(signal).handler.load(Ordering::Relaxed);
    // SAFETY: the program gave it as a handler; one that takes only the number finds it there.
    let handler: Handler = unsafe { std::mem::transmute(handler) };
    gate::awake(|| handler(signal, info, context));
}

/// Sends a signal that came in the middle of a miss to this thread once more, with everything blocked until the
/// miss has been served. It comes before those of its number that wait for the whole process, and after
/// those that wait for this thread.
///
/// # Safety
/// The arguments are those of a handler.
unsafe fn put_off(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let action = kept(signal);
    if bit(signal) & OURS == 0 && action.flags & libc::SA_RESETHAND as u64 != 0 {
        // It has been used up, and was not called.
        let _ = set(signal, Some(&called_by_us(signal, action)), None);
    }
    // SAFETY: the caller's promise.
    unsafe { mask_of(&mut *context.cast()).write(u64::MAX) };
    gate::disturb();
    let (pid, signal) = (sys::pid(), signal as usize);
    // SAFETY: changes no memory; the kernel reads what came with the signal.
    unsafe {
        let thread = sys::raw(libc::SYS_gettid, [0; 6]) as usize;
        let args = [pid, thread, signal, info as usize, 0, 0];
        if sys::raw(libc::SYS_rt_tgsigqueueinfo, args) < 0 {
            // No more can be queued: without what came with it, as the kernel itself does it.
            sys::raw(libc::SYS_tgkill, [pid, thread, signal, 0, 0, 0]);
        }
    }
}

/// Does with a signal that is not about us what the program wants done with it.
///
/// # Safety
/// The arguments are those of its handler.
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let wanted = wanted(signal);
    let handler = wanted.handler.load(Ordering::Relaxed);
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        if signal == libc::SIGBUS && !REPORTED.swap(true, Ordering::Relaxed) {
            sys::say(&["splitmem: the program had a SIGBUS of its own\n"]);
        }
        // Back to the access, which now does what it would have done.
        let _ = set(signal, Some(&Action::default()), None);
        return;
    }
    // SAFETY: the program's handler, called as the kernel would call it, its mask included.
    unsafe {
        let mask = mask_of(&mut *context.cast()).read();
        sys::set_signals((mask | wanted.mask.load(Ordering::Relaxed)) & !OURS);
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
            std::mem::transmute(handler);
        handler(signal, info, context);
    }
}
