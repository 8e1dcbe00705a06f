//! Threads that cannot write to memory for the moment, because they wait in a system call.
//!
//! Before a page that can be written is copied to the component it has to be protected from the other
//! threads, which interrupts their processors. Most threads of most programs wait for something,
//! however, and the kernel writes for them to pages only that are held. So whoever catches the
//! program's system calls counts the threads that run; if the one that evicts is the only one, nothing
//! is protected. (This is the quiescence of read-copy-update, with threads that rest for readers.)
//!
//! # Why no thread writes behind the eviction's back
//! The one that evicts first says so and then looks whether it is alone; one that comes back from its
//! system call is first counted and then looks whether somebody evicts, and waits. In the one order of
//! these four (`SeqCst`) at least one of the two sees the other. A thread that is started is counted
//! by the one that starts it, which runs.
//!
//! A thread that is counted and does not run costs time; one that runs and is not counted would cost
//! data. So whoever is in doubt does not rest.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::sys;

/// Whether threads are counted: not in a program that uses the engine by itself.
static COUNTED: AtomicBool = AtomicBool::new(false);
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// A thread evicts that was alone when it began.
static EVICTING: AtomicBool = AtomicBool::new(false);

/// From now on threads are counted; the calling one is the only one. In the child of a fork, too.
pub fn count() {
    RUNNING.store(1, SeqCst);
    EVICTING.store(false, SeqCst);
    COUNTED.store(true, SeqCst);
}

/// In the child of a fork there is one thread.
pub(super) fn alone_again() {
    if COUNTED.load(SeqCst) {
        count();
    }
}

/// A thread is about to be started; if it then is not, it [`rests`].
pub fn begins() {
    RUNNING.fetch_add(1, SeqCst);
}

/// The calling thread writes nothing from here until it [`resumes`], and the kernel nothing for it but
/// to pages that are held.
pub fn rests() {
    RUNNING.fetch_sub(1, SeqCst);
}

/// The calling thread is going to write again. Waits for an eviction that relies on its rest.
pub fn resumes() {
    RUNNING.fetch_add(1, SeqCst);
    while EVICTING.load(SeqCst) {
        sys::yield_now();
    }
}

/// Runs an eviction, which is told whether no other thread can write until it is done. One at a time:
/// the caller has the engine.
pub(super) fn evicting<R>(work: impl FnOnce(bool) -> R) -> R {
    if !COUNTED.load(SeqCst) {
        return work(false);
    }
    EVICTING.store(true, SeqCst);
    let alone = RUNNING.load(SeqCst) == 1;
    if !alone {
        EVICTING.store(false, SeqCst);
    }
    let answer = work(alone);
    EVICTING.store(false, SeqCst);
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::*;

    fn pause() {
        (0..500).for_each(|_| std::hint::spin_loop());
    }

    /// Two threads: one writes and rests in turns, the other looks whether what it read changes while
    /// it is told that it is alone.
    #[test]
    fn nobody_writes_while_an_eviction_is_alone() {
        evicting(|alone| assert!(!alone, "nothing is counted"));
        count();
        evicting(|alone| assert!(alone));
        let (word, done) = (AtomicU64::new(0), AtomicBool::new(false));
        let (mut alone_seen, mut others_seen, mut changed) = (0, 0, 0);
        begins();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    word.fetch_add(1, SeqCst);
                    rests();
                    pause();
                    resumes();
                }
                rests();
            });
            let deadline = Instant::now() + Duration::from_secs(30);
            while (alone_seen < 2000 || others_seen < 2000) && Instant::now() < deadline {
                evicting(|alone| {
                    let before = word.load(SeqCst);
                    pause();
                    match alone {
                        true => {
                            alone_seen += 1;
                            changed += usize::from(word.load(SeqCst) != before);
                        }
                        false => others_seen += 1,
                    }
                });
            }
            done.store(true, SeqCst);
        });
        assert_eq!(changed, 0, "it wrote meanwhile");
        assert!(alone_seen > 0 && others_seen > 0, "{alone_seen} {others_seen}");
        evicting(|alone| assert!(alone, "the other one has ended"));
    }
}
