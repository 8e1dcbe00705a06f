//! New threads and processes.

use pcomponent_driver::transparent::{process, sys, Awake};

use crate::{gate, memory, report, signals};

const CLONE_VM: usize = libc::CLONE_VM as usize;
const CLONE_VFORK: usize = libc::CLONE_VFORK as usize;
const CLONE_THREAD: usize = libc::CLONE_THREAD as usize;
const CLONE_SETTLS: usize = libc::CLONE_SETTLS as usize;

/// Words of the record that a new thread starts from, and where in it what stands; see
/// `splitmem_clone` in `sys.rs`.
const FRAME: usize = 16;
const REGISTERS: [(usize, i32); 12] = [
    (0, libc::REG_R8),
    (1, libc::REG_R9),
    (2, libc::REG_R10),
    (3, libc::REG_R12),
    (4, libc::REG_R13),
    (5, libc::REG_R14),
    (6, libc::REG_R15),
    (7, libc::REG_RDI),
    (8, libc::REG_RSI),
    (9, libc::REG_RBP),
    (10, libc::REG_RBX),
    (11, libc::REG_RDX),
];
const RIP: usize = 13;
const RSP: usize = 14;
const START: usize = 15;

/// `clone`, `fork` and `vfork` of the program.
///
/// # Safety
/// The arguments are the program's, in the order of `clone`: flags, stack, parent's tid, child's
/// tid, thread-local memory.
pub unsafe fn clone(context: &libc::ucontext_t, args: [usize; 6]) -> isize {
    let [flags, stack, ..] = args;
    if flags & CLONE_VM != 0 && stack != 0 {
        // SAFETY: the caller's promise.
        unsafe { thread(context, args) }
    } else {
        // Without a stack of its own a child that shares our memory would overwrite our frame.
        // SAFETY: the caller's promise.
        unsafe { fork([flags & !(CLONE_VM | CLONE_VFORK), stack, args[2], args[3], args[4], 0]) }
    }
}

unsafe fn thread(context: &libc::ucontext_t, args: [usize; 6]) -> isize {
    let [flags, stack, parent_tid, child_tid, tls, _] = args;
    if memory::is_managed(stack) || memory::is_managed(stack - 1) {
        sys::say(&["splitmem: refused: a thread whose stack is in managed memory\n"]);
        return -(libc::EINVAL as isize);
    }
    let frame = ((stack - FRAME * 8 - 128) & !15) as *mut usize;
    let registers = &context.uc_mcontext.gregs;
    // SAFETY: the new stack is the program's, and is nobody else's yet.
    unsafe {
        for (place, register) in REGISTERS {
            frame.add(place).write(registers[register as usize] as usize);
        }
        frame.add(RIP).write(registers[libc::REG_RIP as usize] as usize);
        frame.add(RSP).write(stack);
        frame.add(START).write(start as *const () as usize);
        let tls = if flags & CLONE_SETTLS != 0 { tls } else { 0 };
        let start = || sys::clone_thread(flags, frame as usize, [parent_tid, child_tid], tls);
        counted(flags, start)
    }
}

/// Starts something that may write to our memory, and sees to it that it is counted as awake.
fn counted(flags: usize, start: impl FnOnce() -> isize) -> isize {
    let Some(awake) = process::awake() else { return start() };
    let own_tls = flags & CLONE_SETTLS != 0;
    if flags & CLONE_THREAD == 0 && flags & CLONE_VFORK != 0 && !own_tls {
        // This thread stands still meanwhile, and is counted for it.
        return gate::never_asleep(start);
    }
    awake.more();
    if flags & CLONE_THREAD == 0 || !own_tls {
        // It may be killed in its sleep, or tells with another thread's mark: one more for good.
        awake.more();
    }
    let answer = start();
    if answer < 0 {
        awake.sleeps();
        awake.ended();
    }
    answer
}

/// The end of a thread. At its last the kernel goes through the thread's list of locks and marks those
/// that it still has: then the thread counts as awake for good.
pub fn exit(args: [usize; 6]) -> isize {
    // SAFETY: does not return.
    let exit = || unsafe { sys::raw(libc::SYS_exit, args) };
    if has_locks() {
        exit()
    } else {
        gate::asleep(|asleep| {
            process::awake().filter(|_| asleep).into_iter().for_each(Awake::ended);
            exit()
        })
    }
}

fn has_locks() -> bool {
    let (mut list, mut size) = (0usize, 0usize);
    let args = [0, &raw mut list as usize, &raw mut size as usize, 0, 0, 0];
    // SAFETY: the kernel writes the two words.
    let answer = unsafe { sys::raw(libc::SYS_get_robust_list, args) };
    // Empty, its first word points to itself.
    // SAFETY: the kernel reads it in a moment.
    answer != 0 || (list != 0 && unsafe { (list as *const usize).read() } != list)
}

/// First thing in a new thread.
extern "C" fn start() {
    if let Err(errno) = gate::close() {
        process::stop(&errno.to_string());
    }
}

/// A process of its own: the kernel copies memory on write, ours included, so the child starts
/// with the store as it was. What the kernel does not copy is that the range is watched.
unsafe fn fork(args: [usize; 6]) -> isize {
    let mask = sys::block_signals();
    let answer = gate::inside(|| {
        // Nobody works for the engine meanwhile: the lock is held.
        process::with_blocked(|engine| {
            let token = match engine.before_fork() {
                Ok(token) => token,
                Err(error) => process::lost_with(engine, &error),
            };
            // SAFETY: no memory is shared; the child goes on from here on its copy of this stack.
            let answer = unsafe { sys::raw(libc::SYS_clone, args) };
            if answer == 0 {
                signals::adopt();
                process::alone();
                if let Err(error) = engine.after_fork(token) {
                    process::lost_with(engine, &error);
                }
                engine.set_stats(report::open());
            } else if answer > 0 {
                report::forked(engine.stats());
            }
            answer
        })
    });
    let answer = answer.unwrap_or(-(libc::ENOSYS as isize));
    if answer == 0 {
        start();
    }
    sys::set_signals(mask);
    answer
}
