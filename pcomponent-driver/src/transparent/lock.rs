//! [`Lock`]: a mutual exclusion that a signal handler may take.
//!
//! Whoever takes it has all signals blocked or puts them off (see [`super::process`]), so nobody is interrupted while
//! holding it, and it asks nothing of the C library or of thread-local memory.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use super::sys;

/// Turns of the loop before a waiting thread lets others have its processor: about the length of a miss.
const SPINS: u32 = 200;
/// Times that it does so before it sleeps: about the length of an eviction. To wake a processor that has
/// gone to sleep takes as long as ten misses, of who wakes it as well, so that is for when the holder
/// waits itself.
const YIELDS: u32 = 200;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// A value behind a lock.
pub struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and there is one guard at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Gives the lock back when dropped.
pub struct Guard<'a, T>(&'a Lock<T>);

impl<T> Lock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        for turn in 0..SPINS + YIELDS {
            if self.take(FREE, HELD) {
                return Guard(self);
            }
            if turn < SPINS {
                std::hint::spin_loop();
            } else {
                sys::yield_now();
            }
        }
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            self.futex(libc::FUTEX_WAIT, CONTENDED);
        }
        Guard(self)
    }

    fn take(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn futex(&self, op: i32, value: u32) {
        let address = &raw const self.state as usize;
        let op = (op | libc::FUTEX_PRIVATE_FLAG) as usize;
        // SAFETY: the kernel only reads the word.
        unsafe { sys::raw(libc::SYS_futex, [address, op, value as usize, 0, 0, 0]) };
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if self.0.state.swap(FREE, Ordering::Release) == CONTENDED {
            self.0.futex(libc::FUTEX_WAKE, 1);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one.
        unsafe { &mut *self.0.value.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let lock = Lock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *lock.lock() += 1));
            }
        });
        assert_eq!(*lock.lock(), 80_000);
    }
}
