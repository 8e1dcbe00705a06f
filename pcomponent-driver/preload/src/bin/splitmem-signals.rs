//! A program with signals of its own, and checks that they come as ever: a timer's handler that works
//! on the program's memory, a handler of `SIGBUS` for a mapped file that is too short, a stack that
//! overflows, threads that are busy, such that sleep until a signal, another thread or their
//! cancellation wakes them, signals that come in the middle of a miss, a stack for handlers, and a thread that
//! would wait on a word that is not there. Nothing in it knows of Splitmem: it is run with and without.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const PAGE: usize = 4096;
/// Words that the timer's handler counts in: many more pages than stay local.
const WORDS: usize = 2 << 20;
/// Times that the handler is to be called.
const TICKS: u64 = 200;

static COUNTS: AtomicPtr<u64> = AtomicPtr::new(std::ptr::null_mut());
static TICKED: AtomicU64 = AtomicU64::new(0);
static SEEN_AT: AtomicUsize = AtomicUsize::new(0);

fn handle(signal: i32, handler: usize, flags: i32) {
    // SAFETY: the handlers below do only what a handler may do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

extern "C" fn on_alarm(_: i32) {
    let tick = TICKED.fetch_add(1, Relaxed);
    let counts = COUNTS.load(Relaxed);
    for i in 0..16 {
        let word = (tick as usize * 7919 + i * 104_729) * 512 % WORDS;
        // SAFETY: within the words, which nobody else changes.
        unsafe { counts.add(word).write_volatile(counts.add(word).read_volatile() + 1) };
    }
}

/// The timer's handler counts in memory that is mostly absent, while the program goes through its own.
fn timer() {
    let mut counts = vec![0u64; WORDS];
    let mut others: Vec<u64> = (0..WORDS as u64).collect();
    COUNTS.store(counts.as_mut_ptr(), Relaxed);
    handle(libc::SIGALRM, on_alarm as *const () as usize, libc::SA_RESTART);
    let every = libc::timeval { tv_sec: 0, tv_usec: 500 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: reads the timer.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
    let mut rounds = 0u64;
    while TICKED.load(Relaxed) < TICKS {
        others.iter_mut().step_by(PAGE / 8).for_each(|word| *word += 1);
        rounds += 1;
    }
    // SAFETY: as above.
    unsafe {
        let off: libc::itimerval = std::mem::zeroed();
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &off, std::ptr::null_mut()), 0);
    }
    let ticks = TICKED.load(Relaxed);
    let counted: u64 = (0..WORDS).map(|i| unsafe_read(&counts, i)).sum();
    assert_eq!(counted, 16 * ticks, "counted in the handler");
    for (i, word) in others.iter().enumerate() {
        let expected = i as u64 + if i % (PAGE / 8) == 0 { rounds } else { 0 };
        assert_eq!(*word, expected, "word {i}");
    }
}

/// Past the compiler's back, as the handler wrote.
fn unsafe_read(words: &[u64], i: usize) -> u64 {
    // SAFETY: within the slice.
    unsafe { (&raw const words[i]).read_volatile() }
}

extern "C" fn on_sigbus(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's argument; memory is put where the file ended.
    unsafe {
        let address = (*info).si_addr() as usize;
        SEEN_AT.store(address, Relaxed);
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
        );
        let page = (address & !(PAGE - 1)) as *mut libc::c_void;
        if libc::mmap(page, PAGE, prot, flags, -1, 0) == libc::MAP_FAILED {
            libc::_exit(9);
        }
    }
}

/// A touch beyond the end of a mapped file comes to the program's own handler.
fn short_file() {
    handle(libc::SIGBUS, on_sigbus as *const () as usize, libc::SA_SIGINFO);
    // SAFETY: a new descriptor, and a new mapping of it.
    unsafe {
        let fd = libc::memfd_create(c"short".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0);
        let mut file = std::fs::File::from_raw_fd(fd);
        file.write_all(&[7; PAGE]).expect("written");
        let prot = libc::PROT_READ;
        let fd = file.as_raw_fd();
        let at = libc::mmap(std::ptr::null_mut(), 2 * PAGE, prot, libc::MAP_SHARED, fd, 0);
        assert!(at != libc::MAP_FAILED);
        let at = at.cast::<u8>();
        assert_eq!(at.read_volatile(), 7);
        assert_eq!(at.add(PAGE + 5).read_volatile(), 0, "what the handler put there");
        assert_eq!(SEEN_AT.load(Relaxed), at as usize + PAGE + 5);
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    deeper(depth + 1) + room[(depth % 64) as usize]
}

/// A stack that overflows ends the process, as ever.
fn overflow() {
    // SAFETY: the child only recurses; what stands in its memory is not used again.
    unsafe {
        match libc::fork() {
            0 => {
                handle(libc::SIGSEGV, libc::SIG_DFL, 0);
                let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &limit);
                std::hint::black_box(deeper(0));
                libc::_exit(3);
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
                assert_eq!(signal, Some(libc::SIGSEGV), "{status:#x}");
            }
        }
    }
}

/// Pages that sleeping threads write to when they wake.
const MARKED: usize = 256;
/// Times that each of them wakes.
const NAPS: u64 = 1500;

static MARKS: AtomicPtr<u64> = AtomicPtr::new(std::ptr::null_mut());
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Counts on each page, several times.
fn mark(word: usize) {
    (0..4).for_each(|_| (0..MARKED).for_each(|page| mark_page(page, word)));
}

fn mark_page(page: usize, word: usize) {
    assert!(page < MARKED);
    // SAFETY: within the marks; each thread has a word of its own on every page.
    unsafe {
        let word = MARKS.load(Relaxed).add(page * PAGE / 8 + word);
        word.write_volatile(word.read_volatile() + 1);
    }
}

extern "C" fn on_user(_: i32) {
    mark(0);
    HANDLED.fetch_add(1, Relaxed);
}

extern "C" fn sleeps_for_ever(_: *mut libc::c_void) -> *mut libc::c_void {
    loop {
        // SAFETY: changes nothing.
        unsafe { libc::pause() };
    }
}

/// Two threads write to memory that does not fit, and neither sleeps.
fn busy_threads() {
    const ROUNDS: u64 = 5000;
    let mut marks = vec![0u64; MARKED * PAGE / 8];
    let mut others = vec![0u64; WORDS];
    MARKS.store(marks.as_mut_ptr(), Relaxed);
    let marked = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                mark(0);
                marked.fetch_add(1, Relaxed);
            }
        });
        while marked.load(Relaxed) < ROUNDS {
            others.iter_mut().step_by(PAGE / 8).for_each(|word| *word += 1);
        }
    });
    for page in 0..MARKED {
        assert_eq!(unsafe_read(&marks, page * PAGE / 8), 4 * ROUNDS, "page {page}");
    }
    let same = |word: &u64| *word == others[0];
    assert!(others.iter().step_by(PAGE / 8).all(same), "written beside the marks");
}

/// Two threads sleep, one until a signal comes and one until it can read from a pipe, and write to
/// memory when they wake, while a third has to make room for what it writes itself.
fn sleepers() {
    let mut marks = vec![0u64; MARKED * PAGE / 8];
    let mut others = vec![0u64; WORDS];
    MARKS.store(marks.as_mut_ptr(), Relaxed);
    handle(libc::SIGUSR1, on_user as *const () as usize, libc::SA_RESTART);
    let read_back = AtomicU64::new(0);
    let mut ends = [0; 2];
    // SAFETY: two new descriptors, owned from here on.
    let (mut reader, mut writer) = unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        (std::fs::File::from_raw_fd(ends[0]), std::fs::File::from_raw_fd(ends[1]))
    };
    // SAFETY: the thread is ended below; its function needs nothing of ours.
    let sleeper = unsafe {
        let mut thread = std::mem::zeroed();
        let nothing = std::ptr::null();
        let answer =
            libc::pthread_create(&mut thread, nothing, sleeps_for_ever, std::ptr::null_mut());
        assert_eq!(answer, 0);
        thread
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while reader.read_exact(&mut [0]).is_ok() {
                mark(1);
                read_back.fetch_add(1, Relaxed);
            }
        });
        for nap in 0..NAPS {
            // SAFETY: it runs until it is cancelled.
            assert_eq!(unsafe { libc::pthread_kill(sleeper, libc::SIGUSR1) }, 0);
            writer.write_all(&[1]).expect("a pipe takes it");
            // Different times after they woke.
            let pages = others.chunks_mut(PAGE / 8).skip(nap as usize % 16).step_by(16);
            pages.for_each(|page| page[0] += 1);
            while HANDLED.load(Relaxed) <= nap || read_back.load(Relaxed) <= nap {
                std::thread::yield_now();
            }
        }
        drop(writer);
    });
    for page in 0..MARKED {
        for word in 0..2 {
            let count = unsafe_read(&marks, page * PAGE / 8 + word);
            assert_eq!(count, 4 * NAPS, "page {page}, written by sleeper {word}");
        }
    }
    let touched = others.iter().sum::<u64>();
    assert_eq!(touched, (WORDS * 8 / PAGE / 16) as u64 * NAPS, "written by who was awake");
    let mut answer = std::ptr::null_mut();
    // SAFETY: the thread sleeps, and has nothing that would have to be given back.
    unsafe {
        assert_eq!(libc::pthread_cancel(sleeper), 0);
        assert_eq!(libc::pthread_join(sleeper, &mut answer), 0);
    }
    // PTHREAD_CANCELED
    assert_eq!(answer as isize, -1, "the thread was cancelled");
}

extern "C" fn on_second(_: i32) {
    HANDLED.fetch_add(1, Relaxed);
}

/// What the program is told of its handlers is what it set, whoever calls them.
fn handlers_are_known() {
    let (signal, handler) = (libc::SIGUSR2, on_second as *const () as usize);
    assert_eq!(handler_of(signal).sa_sigaction, libc::SIG_DFL);
    handle(signal, handler, libc::SA_RESTART);
    let action = handler_of(signal);
    assert_eq!(action.sa_sigaction, handler);
    assert_eq!(action.sa_flags & (libc::SA_RESTART | libc::SA_SIGINFO), libc::SA_RESTART);
    handle(signal, handler, libc::SA_RESETHAND);
    let before = HANDLED.load(Relaxed);
    // SAFETY: the handler only counts.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
    assert_eq!(HANDLED.load(Relaxed), before + 1);
    assert_eq!(handler_of(signal).sa_sigaction, libc::SIG_DFL, "it was for one signal");
}

fn handler_of(signal: i32) -> libc::sigaction {
    // SAFETY: writes the action.
    unsafe {
        let mut action = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        action
    }
}

/// Signals of either kind that come while the program misses.
const DISTURBANCES: u64 = 64 * MARKED as u64;

static NEXT: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_queued(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's argument, of a signal that was sent with a value.
    let value = unsafe { (*info).si_value().sival_ptr } as u64;
    if NEXT.fetch_add(1, Relaxed) != value {
        // SAFETY: ends the process.
        unsafe { libc::_exit(8) };
    }
    mark_page(value as usize % MARKED, 0);
}

extern "C" fn on_once(signal: i32) {
    let number = HANDLED.fetch_add(1, Relaxed);
    mark_page(number as usize % MARKED, 1);
    handle(signal, on_once as *const () as usize, libc::SA_RESETHAND);
}

/// Signals that come in the middle of misses are handled in their order, with what came with them, each once;
/// so are those whose handler is for one signal and sets itself again.
fn disturbed_misses() {
    let mut marks = vec![0u64; MARKED * PAGE / 8];
    let mut others = vec![0u64; WORDS];
    MARKS.store(marks.as_mut_ptr(), Relaxed);
    HANDLED.store(0, Relaxed);
    let queued = libc::SIGRTMIN() + 3;
    handle(queued, on_queued as *const () as usize, libc::SA_SIGINFO | libc::SA_RESTART);
    handle(libc::SIGUSR2, on_once as *const () as usize, libc::SA_RESETHAND);
    // SAFETY: changes nothing.
    let (process, main) = unsafe { (libc::getpid(), libc::pthread_self()) };
    let mut rounds = 0u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: the mask is this thread's.
            unsafe {
                let mut mask = std::mem::zeroed();
                libc::sigaddset(&mut mask, queued);
                let nothing = std::ptr::null_mut();
                assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &mask, nothing), 0);
            }
            for i in 0..DISTURBANCES {
                while NEXT.load(Relaxed) + 4 < i || HANDLED.load(Relaxed) < i {
                    std::thread::sleep(Duration::from_micros(5));
                }
                let value = libc::sigval { sival_ptr: i as *mut libc::c_void };
                // SAFETY: the thread lives until this one has ended.
                unsafe {
                    assert_eq!(libc::sigqueue(process, queued, value), 0);
                    assert_eq!(libc::pthread_kill(main, libc::SIGUSR2), 0);
                }
            }
        });
        while NEXT.load(Relaxed) < DISTURBANCES || HANDLED.load(Relaxed) < DISTURBANCES {
            others.iter_mut().step_by(PAGE / 8).for_each(|word| *word += 1);
            rounds += 1;
        }
    });
    for page in 0..MARKED {
        for word in 0..2 {
            let count = unsafe_read(&marks, page * PAGE / 8 + word);
            assert_eq!(count, DISTURBANCES / MARKED as u64, "page {page}, by handler {word}");
        }
    }
    assert!(others.iter().step_by(PAGE / 8).all(|word| *word == rounds), "written beside them");
}

extern "C" fn on_stack(_: i32) {
    let here = 0u8;
    SEEN_AT.store(std::hint::black_box(&raw const here) as usize, Relaxed);
}

/// The stack that handlers run on is kept, also where the kernel takes it away for each handler and gives it back
/// behind it: then it is taken away at a miss as well.
fn alternate_stack() {
    const SS_AUTODISARM: i32 = i32::MIN;
    const BYTES: usize = 64 << 10;
    // SAFETY: a mapping of its own, which is no handler's stack any more when this returns.
    unsafe {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
        );
        let at = libc::mmap(std::ptr::null_mut(), BYTES, prot, flags, -1, 0);
        assert!(at != libc::MAP_FAILED);
        for ss_flags in [0, SS_AUTODISARM] {
            let stack = libc::stack_t { ss_sp: at, ss_flags, ss_size: BYTES };
            let mut before = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(&stack, &mut before), 0);
            let mut words = vec![0u64; WORDS];
            for _ in 0..2 {
                words.iter_mut().step_by(PAGE / 8).for_each(|word| *word += 1);
            }
            assert_eq!(words.iter().sum::<u64>(), 2 * (WORDS * 8 / PAGE) as u64);
            handle(libc::SIGUSR2, on_stack as *const () as usize, libc::SA_ONSTACK);
            assert_eq!(libc::raise(libc::SIGUSR2), 0);
            assert!(SEEN_AT.load(Relaxed).wrapping_sub(at as usize) < BYTES, "on its stack");
            let mut now: libc::stack_t = std::mem::zeroed();
            assert_eq!(libc::sigaltstack(&before, &mut now), 0);
            assert_eq!((now.ss_sp, now.ss_flags, now.ss_size), (at, ss_flags, BYTES));
        }
        assert_eq!(libc::munmap(at, BYTES), 0);
    }
}

/// A wait on a word that is not there fails as ever.
fn absent_word() {
    // SAFETY: a mapping of its own, gone before its address is used, and never touched.
    unsafe {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let at = libc::mmap(std::ptr::null_mut(), PAGE, prot, flags, -1, 0);
        assert!(at != libc::MAP_FAILED);
        assert_eq!(libc::munmap(at, PAGE), 0);
        let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        let nothing = std::ptr::null::<libc::timespec>();
        assert_eq!(libc::syscall(libc::SYS_futex, at, op, 0, nothing), -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
    }
}

fn main() {
    absent_word();
    busy_threads();
    sleepers();
    handlers_are_known();
    disturbed_misses();
    alternate_stack();
    timer();
    short_file();
    overflow();
    println!("all signals came");
}
