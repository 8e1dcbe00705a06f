//! [`Watched`]: a memory that ends with Ctrl-C and keeps count of its operations.

use super::{Latencies, Timeline};
use crate::interrupt::Interrupt;
use crate::workload::{MemoryError, WorkMemory};

/// What can be read off a memory while it works. Local memory has no meters.
pub trait Metered {
    /// Simulated cycles since the start, where there are any.
    fn cycles(&self) -> Option<u64> {
        None
    }

    /// What the cache before it counted, if there is one.
    fn cache(&self) -> Option<CacheCounts> {
        None
    }
}

impl Metered for crate::workload::LocalMemory {}

/// Counts of a cache since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheCounts {
    /// Accesses.
    pub accesses: u64,
    /// Those that found their page or line.
    pub hits: u64,
}

/// A memory whose every access looks for Ctrl-C first, and whose operations are timed.
#[derive(Debug)]
pub struct Watched<M> {
    inner: M,
    interrupt: Interrupt,
    operations: Latencies,
    timeline: Timeline,
    /// Cycles at the end of the last operation.
    last: u64,
}

impl<M: WorkMemory + Metered> Watched<M> {
    /// Watches `inner` from now on.
    pub fn new(inner: M, interrupt: Interrupt) -> Self {
        let last = inner.cycles().unwrap_or(0);
        let (operations, timeline) = (Latencies::default(), Timeline::default());
        Self { inner, interrupt, operations, timeline, last }
    }

    /// How long operations took; nothing where the memory counts no cycles.
    pub fn operations(&self) -> &Latencies {
        &self.operations
    }

    /// How the cache did over time; empty where there is no cache.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The memory that is watched.
    pub fn inner(&self) -> &M {
        &self.inner
    }

    /// The memory that is watched, to be used without being counted.
    pub fn inner_mut(&mut self) -> &mut M {
        &mut self.inner
    }

    fn check(&self) -> Result<(), MemoryError> {
        if self.interrupt.is_raised() {
            return Err(MemoryError::Interrupted);
        }
        Ok(())
    }
}

impl<M: WorkMemory + Metered> WorkMemory for Watched<M> {
    fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
        self.check()?;
        self.inner.alloc(bytes)
    }

    fn free(&mut self, address: u64) -> Result<(), MemoryError> {
        self.check()?;
        self.inner.free(address)
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        self.check()?;
        self.inner.read(address, into)
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.check()?;
        self.inner.write(address, from)
    }

    fn operation(&mut self, name: &'static str) {
        if let Some(now) = self.inner.cycles() {
            self.operations.record(name, now - self.last);
            self.last = now;
        }
        if self.timeline.is_due() {
            if let Some(counts) = self.inner.cache() {
                self.timeline.add(counts, self.inner.cycles());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;

    /// Every access takes seven cycles.
    struct Slow(LocalMemory, u64);

    impl WorkMemory for Slow {
        fn alloc(&mut self, bytes: u64) -> Result<u64, MemoryError> {
            self.0.alloc(bytes)
        }
        fn free(&mut self, address: u64) -> Result<(), MemoryError> {
            self.0.free(address)
        }
        fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
            self.1 += 7;
            self.0.read(address, into)
        }
        fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
            self.1 += 7;
            self.0.write(address, from)
        }
    }

    impl Metered for Slow {
        fn cycles(&self) -> Option<u64> {
            Some(self.1)
        }
    }

    #[test]
    fn operations_are_timed_from_one_to_the_next() {
        let mut memory = Watched::new(Slow(LocalMemory::new(), 100), Interrupt::default());
        let a = memory.alloc(64).unwrap();
        memory.write_u64(a, 1).unwrap();
        memory.operation("set");
        memory.read_u64(a).unwrap();
        memory.write_u64(a, 2).unwrap();
        memory.operation("add");
        memory.operation("nothing");
        let most: Vec<_> =
            memory.operations().rows().into_iter().map(|r| (r[0].clone(), r[7].clone())).collect();
        let row = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(most, [row("set", "7"), row("add", "14"), row("nothing", "0")]);
    }

    #[test]
    fn after_ctrl_c_no_access_is_made() {
        let interrupt = Interrupt::default();
        let mut memory = Watched::new(LocalMemory::new(), interrupt.clone());
        let a = memory.alloc(64).unwrap();
        memory.write_u64(a, 1).unwrap();
        interrupt.raise();
        assert!(matches!(memory.write_u64(a, 2), Err(MemoryError::Interrupted)));
        assert!(matches!(memory.read_u64(a), Err(MemoryError::Interrupted)));
        assert!(matches!(memory.alloc(1), Err(MemoryError::Interrupted)));
        assert!(matches!(memory.free(a), Err(MemoryError::Interrupted)));
        assert_eq!(memory.inner_mut().read_u64(a).unwrap(), 1);
    }
}
