//! [`Awake`]: how many threads of the process may be writing to its memory.
//!
//! A page that leaves has to be protected from other threads' writes, which is a third of what it takes.
//! Most threads of most programs sleep in a system call most of the time, and those that miss wait for
//! each other. So who intercepts calls and misses tells here when a thread falls asleep and wakes; an
//! eviction while nobody else is awake protects nothing, and who wakes meanwhile waits for its end before it
//! goes on in the program.
//!
//! The two meet as in Dekker's algorithm: each first tells of itself and then looks for the other, both
//! in the single order that `SeqCst` has. So either the eviction sees that somebody woke, or who woke
//! sees the eviction.

use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use super::sys;

/// The threads of a process that are awake. Nothing here allocates or blocks for long: a signal
/// handler may call all of it.
#[derive(Debug)]
pub struct Awake {
    threads: AtomicU32,
    /// Threads that there are, awake or asleep.
    all: AtomicU32,
    /// Somebody evicts, and nobody else is awake.
    alone: AtomicBool,
}

impl Default for Awake {
    fn default() -> Self {
        Self::one()
    }
}

impl Awake {
    /// One thread, awake.
    pub const fn one() -> Self {
        let (threads, all) = (AtomicU32::new(1), AtomicU32::new(1));
        Self { threads, all, alone: AtomicBool::new(false) }
    }

    /// A thread is about to start, awake. If nobody will tell when it sleeps, it counts as awake for
    /// good.
    pub fn more(&self) {
        self.all.fetch_add(1, Relaxed);
        self.threads.fetch_add(1, SeqCst);
    }

    /// A thread that [`sleeps`](Self::sleeps) will never wake.
    pub fn ended(&self) {
        self.all.fetch_sub(1, Relaxed);
    }

    /// The calling thread writes to the program's memory no more until it [`wakes`](Self::wakes).
    pub fn sleeps(&self) {
        self.threads.fetch_sub(1, SeqCst);
    }

    /// The calling thread is going to write to the program's memory again. Waits while another one
    /// evicts that had seen it asleep.
    pub fn wakes(&self) {
        self.threads.fetch_add(1, SeqCst);
        while self.alone.load(SeqCst) {
            sys::yield_now();
        }
    }

    /// Whether there are other threads.
    pub fn several(&self) -> bool {
        self.all.load(Relaxed) > 1
    }

    /// In a child, after a fork: the other threads are not here.
    pub(super) fn reset(&self) {
        self.threads.store(1, SeqCst);
        self.all.store(1, Relaxed);
    }

    /// Whether no other thread than the calling one is awake, which holds the engine and is itself
    /// `asleep` or not. If so, that stays so until [`Self::ends`].
    pub(super) fn begins_alone(&self, asleep: bool) -> bool {
        self.alone.store(true, SeqCst);
        let alone = self.threads.load(SeqCst) <= u32::from(!asleep);
        if !alone {
            self.ends();
        }
        alone
    }

    /// Lets go those that woke meanwhile.
    pub(super) fn ends(&self) {
        self.alone.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn whoever_is_awake_is_counted() {
        let awake = Awake::one();
        assert!(awake.begins_alone(false));
        awake.ends();
        awake.more();
        assert!(!awake.begins_alone(false));
        awake.sleeps();
        assert!(awake.begins_alone(false));
        awake.ends();
        awake.wakes();
        assert!(!awake.begins_alone(false));
        assert!(!awake.begins_alone(true), "two are awake");
        awake.sleeps();
        assert!(!awake.begins_alone(true), "one is awake");
        awake.sleeps();
        assert!(awake.begins_alone(true));
        awake.ends();
        awake.wakes();
        awake.reset();
        assert!(awake.begins_alone(false) && !awake.several());
    }

    /// One thread evicts, as it were, whenever it is alone; the others wake, write and sleep. Nobody
    /// writes while it is alone.
    #[test]
    fn nobody_writes_while_one_evicts_alone() {
        const ROUNDS: u64 = 20_000;
        let awake = Awake::one();
        let (word, done) = (AtomicU64::new(0), AtomicU32::new(0));
        let mut alone = 0;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        awake.wakes();
                        word.fetch_add(1, Relaxed);
                        awake.sleeps();
                        std::thread::yield_now();
                    }
                    done.fetch_add(1, Relaxed);
                });
            }
            while done.load(Relaxed) < 2 {
                if awake.begins_alone(false) {
                    let before = word.load(Relaxed);
                    (0..50).for_each(|_| std::hint::spin_loop());
                    assert_eq!(word.load(Relaxed), before);
                    awake.ends();
                    alone += 1;
                }
            }
        });
        assert!(alone > 0);
        assert_eq!(word.load(Relaxed), 2 * ROUNDS);
    }
}
