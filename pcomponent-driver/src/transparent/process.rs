//! The one engine of this process, and what happens when it is needed.
//!
//! A touch of an absent page is a `SIGBUS` in the thread that touched it. Its handler may have
//! interrupted anything, so it takes only the engine's own lock, and whoever takes that has all signals
//! blocked, or has handlers that put them off: nobody is interrupted by a miss of its own while holding it.
#![allow(unsafe_code)]

use std::ffi::{CString, NulError};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::awake::Awake;
use super::engine::{Engine, EngineError, Faulted};
use super::lock::Lock;
use super::store::StoreError;
use super::sys;

/// Exit code of a program whose memory was lost, as `sysexits.h` has it for input and output errors.
pub const LOST: i32 = 74;

static ENGINE: Lock<Option<Engine>> = Lock::new(None);
/// The engine's, for those who must not wait for the engine.
static AWAKE: OnceLock<Arc<Awake>> = OnceLock::new();
/// Threads that wait until no page is coming.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Gives the process its engine. Gives it back if there is one already.
///
/// # Errors
/// The engine that was given.
pub fn set(engine: Engine) -> Result<(), Box<Engine>> {
    let mask = sys::block_signals();
    let mut slot = ENGINE.lock();
    let answer = if slot.is_some() {
        Err(Box::new(engine))
    } else {
        let _ = AWAKE.set(Arc::clone(engine.awake()));
        *slot = Some(engine);
        Ok(())
    };
    drop(slot);
    sys::set_signals(mask);
    answer
}

/// This process's threads that are awake, if it has an engine.
pub fn awake() -> Option<&'static Awake> {
    AWAKE.get().map(|awake| &**awake)
}

/// Runs something with the engine, all signals blocked. `None` if there is no engine.
pub fn with<R>(work: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    let mask = sys::block_signals();
    let answer = with_blocked(work);
    sys::set_signals(mask);
    answer
}

/// As [`with`], where all signals are blocked already. Waits until no page is coming: only then may
/// anything but a fault look at the engine's pages.
pub fn with_blocked<R>(work: impl FnOnce(&mut Engine) -> R) -> Option<R> {
    let mut waits = false;
    loop {
        let mut slot = ENGINE.lock();
        match slot.as_mut() {
            Some(engine) if engine.is_any_coming() => {
                drop(slot);
                if !waits {
                    waits = true;
                    WAITING.fetch_add(1, Ordering::Relaxed);
                }
                sys::yield_now();
            }
            slot => {
                if waits {
                    WAITING.fetch_sub(1, Ordering::Relaxed);
                }
                return slot.map(|engine| {
                    engine.set_asleep(false);
                    work(engine)
                });
            }
        }
    }
}

/// In a child, after a fork: the threads that waited for the engine are not here.
pub fn alone() {
    WAITING.store(0, Ordering::Relaxed);
}

/// Serves a fault at an address; `false` if it is not ours. No handler of the program's may run meanwhile. Stops the
/// process if its memory is lost. The thread is counted as `asleep` meanwhile, or not.
pub fn on_fault(address: usize, write: bool, asleep: bool) -> bool {
    let started = sys::now();
    loop {
        // Who waits until nothing is coming must not wait for ever.
        while WAITING.load(Ordering::Relaxed) > 0 {
            sys::yield_now();
        }
        let mut slot = ENGINE.lock();
        let Some(engine) = slot.as_mut() else { return false };
        let Some(page) = engine.page(address) else { return false };
        engine.set_asleep(asleep);
        let mut step = engine.fault(page, write);
        if let Ok(Faulted::Wait(expected, coming)) = step {
            drop(slot);
            expected.wait();
            slot = ENGINE.lock();
            let Some(engine) = slot.as_mut() else { return false };
            step = engine.arrived(&coming);
        }
        if let Ok(Faulted::Place(placement)) = step {
            drop(slot);
            let answer = placement.place();
            slot = ENGINE.lock();
            let Some(engine) = slot.as_mut() else { return false };
            step = engine.placed(&placement, answer).map(|()| Faulted::Served);
        }
        match step {
            Ok(Faulted::Served) => {
                let taken = sys::now() - started;
                if let Some(engine) = slot.as_ref() {
                    engine.stats().latency(taken);
                }
                return true;
            }
            // Another thread brings the page; or system calls of others hold the frames: they end.
            Ok(_) | Err(EngineError::Pinned) => {
                drop(slot);
                sys::yield_now();
            }
            Err(error) => {
                drop(slot);
                lost(&error);
            }
        }
    }
}

/// Where the pages go that the component does not have, if it is lost.
static SPILL: OnceLock<CString> = OnceLock::new();

/// If the component is lost, the pages that it does not have are to be saved in a file: this path, a dot,
/// and the process's number. Set once.
///
/// # Errors
/// If a path cannot be like this.
pub fn spill_to(path: &Path) -> Result<(), NulError> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let _ = SPILL.set(path);
    Ok(())
}

/// Stops the process because a page of its memory cannot be had. The caller must not hold the engine.
pub fn lost(error: &EngineError) -> ! {
    // Whoever comes second waits for the lock until the process ends.
    with(|engine| lost_with(engine, error));
    stop(&error.to_string())
}

/// As [`lost`], for who holds the engine.
pub fn lost_with(engine: &Engine, error: &EngineError) -> ! {
    let is_gone = matches!(error, EngineError::Store(StoreError::Transport(_)));
    if let (true, Some(path)) = (is_gone, SPILL.get()) {
        spill(engine, path);
    }
    match error {
        EngineError::Store(StoreError::Full) => {
            stop("the memory component is full: the program was promised more memory than there is")
        }
        error => stop(&error.to_string()),
    }
}

fn spill(engine: &Engine, path: &CString) {
    let mut path = path.clone().into_bytes();
    path.extend(format!(".{}", std::process::id()).into_bytes());
    let Ok(path) = CString::new(path) else { return };
    let name = path.to_string_lossy();
    match engine.spill(&path) {
        Ok(pages) => sys::say(&[
            &format!("splitmem: {pages} pages that the component does not have were saved in "),
            &name,
            "\n",
        ]),
        Err(error) => sys::say(&[
            "splitmem: nothing could be saved in ",
            &name,
            ": ",
            &error.to_string(),
            "\n",
        ]),
    }
}

/// Stops the process with a message.
pub fn stop(why: &str) -> ! {
    sys::say(&["splitmem: the program was stopped: ", why, "\n"]);
    sys::exit(LOST)
}

/// Serves this process's faults with a handler of `SIGBUS`, for programs that use the engine
/// themselves (`splitmem run` has its own).
///
/// # Errors
/// The kernel's.
pub fn handle_faults() -> Result<(), sys::Errno> {
    // SAFETY: it does only what a handler may do; zeros are a set of signals.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        handle_sigbus(on_sigbus, all)
    }
}

/// Makes a function the handler of `SIGBUS` for all of the process's life, with these signals blocked.
///
/// # Errors
/// The kernel's.
///
/// # Safety
/// The function does only what a handler may do.
pub(super) unsafe fn handle_sigbus(
    handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void),
    blocked: libc::sigset_t,
) -> Result<(), sys::Errno> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        action.sa_mask = blocked;
        if libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) != 0 {
            return Err(sys::Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)));
        }
    }
    Ok(())
}

/// Address and kind of the access that a fault's signal is about.
///
/// # Safety
/// The arguments are those of a handler of `SIGBUS`.
pub unsafe fn access(info: *const libc::siginfo_t, context: *const libc::c_void) -> (usize, bool) {
    // SAFETY: the caller's promise.
    unsafe {
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        // Bit 1 of the page fault's error code: a write.
        ((*info).si_addr() as usize, registers[libc::REG_ERR as usize] & 2 != 0)
    }
}

extern "C" fn on_sigbus(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's arguments.
    let (address, write) = unsafe { access(info, context) };
    if !on_fault(address, write, false) {
        stop("SIGBUS: an access beyond the end of a mapped file, or to memory that failed");
    }
}
