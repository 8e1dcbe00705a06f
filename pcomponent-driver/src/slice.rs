//! [`RemoteSlice`]: a typed range of remote memory.

use std::marker::PhantomData;
use std::mem::size_of;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use bytemuck::Pod;
use splitmem_abi::mailbox::{Address, Command, Permission};
use splitmem_abi::request::Op;

use crate::error::MemoryError;
use crate::excache::Window;
use crate::region::Region;
use crate::remote::{range_of, RemoteMemory};

/// An allocation. Freed when its last slice is dropped.
struct Allocation {
    memory: RemoteMemory,
    region: Arc<Region>,
    freed: AtomicBool,
}

impl Allocation {
    fn free(&self) -> Result<(), MemoryError> {
        if self.freed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let shared = &self.memory.shared;
        // Of shared memory, others may still want what was written.
        let saved = if self.region.shared { shared.evict(&self.region) } else { Ok(()) };
        shared.discard(&self.region)?;
        let range = range_of(&self.region);
        saved.and(self.memory.ask("free memory", &Command::Free(range)).map(drop))
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // Nobody is left to tell; whoever wants to know calls `RemoteSlice::free`.
        let _ = self.free();
    }
}

/// `len` elements of remote memory.
///
/// Clones and sub-slices share the memory, which is freed when the last of them is dropped. All
/// methods take `&self`: like a slice of [`Cell`](std::cell::Cell), but for several threads (see
/// [`RemoteMemory`] for what they see of each other).
///
/// ```
/// use pcomponent_driver::backend::model::ModelTransport;
/// use pcomponent_driver::{config::VCacheConfig, HwConfig, RemoteMemory};
///
/// let memory = RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL)?, 1, VCacheConfig::default())?;
/// let text = memory.alloc::<u8>(11)?;
/// text.write(0, b"remote word")?;
/// let word = text.slice(7..)?;
/// assert_eq!(word.to_vec()?, b"word");
/// word.set(0, b'l')?;
/// let mut all = [0; 11];
/// text.read(0, &mut all)?;
/// assert_eq!(&all, b"remote lord");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RemoteSlice<T> {
    owner: Arc<Allocation>,
    /// Where the elements are that are at hand.
    window: Option<Window>,
    /// First byte in the region.
    start: usize,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T> RemoteSlice<T> {
    /// Elements of the same memory.
    fn part<U>(&self, start: usize, len: usize) -> RemoteSlice<U> {
        RemoteSlice {
            owner: Arc::clone(&self.owner),
            window: self.window.clone(),
            start,
            len,
            element: PhantomData,
        }
    }
}

impl<T> Clone for RemoteSlice<T> {
    fn clone(&self) -> Self {
        self.part(self.start, self.len)
    }
}

impl<T> std::fmt::Debug for RemoteSlice<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteSlice")
            .field("pid", &self.owner.region.pid)
            .field("va", &format_args!("{:#x}", self.owner.region.va + self.start as u64))
            .field("len", &self.len)
            .finish()
    }
}

impl<T: Pod> RemoteSlice<T> {
    /// Whether an element lies in one aligned word. Every slice starts at a multiple of its element's
    /// size: allocations start at a page, and parts are of elements, or of bytes.
    const WITHIN_WORD: bool = matches!(size_of::<T>(), 1 | 2 | 4 | 8);

    /// The byte of its word that an element at this byte of the region starts at.
    #[inline(always)]
    fn byte_of_word(at: usize) -> usize {
        at % 8 / size_of::<T>() * size_of::<T>()
    }

    pub(crate) fn new(memory: RemoteMemory, region: Region, len: usize) -> Self {
        let region = Arc::new(region);
        let window = memory.shared.window(&region);
        let owner = Allocation { memory, region, freed: AtomicBool::new(false) };
        Self { owner: Arc::new(owner), window, start: 0, len, element: PhantomData }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Virtual address of the first element.
    pub fn va(&self) -> u64 {
        self.owner.region.va + self.start as u64
    }

    /// Reads an element.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], or what kept the component from giving it.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Result<T, MemoryError> {
        let at = self.start.wrapping_add(index.wrapping_mul(size_of::<T>()));
        if Self::WITHIN_WORD && index < self.len {
            if let Some(word) = self.window.as_ref().and_then(|window| window.read_word(at)) {
                let bytes = word.to_le_bytes();
                let byte = Self::byte_of_word(at);
                return Ok(bytemuck::pod_read_unaligned(&bytes[byte..][..size_of::<T>()]));
            }
        }
        self.get_slowly(index)
    }

    #[cold]
    #[inline(never)]
    fn get_slowly(&self, index: usize) -> Result<T, MemoryError> {
        let mut value = [T::zeroed()];
        self.read(index, &mut value)?;
        Ok(value[0])
    }

    /// Writes an element.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], or what kept the write from being done. Behind a cache, what
    /// the component has against it may only show when it is written back.
    #[inline(always)]
    pub fn set(&self, index: usize, value: T) -> Result<(), MemoryError> {
        let at = self.start.wrapping_add(index.wrapping_mul(size_of::<T>()));
        if Self::WITHIN_WORD && index < self.len {
            let change = |word: u64| {
                let mut bytes = word.to_le_bytes();
                let byte = Self::byte_of_word(at);
                bytes[byte..][..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
                u64::from_le_bytes(bytes)
            };
            if self.window.as_ref().is_some_and(|window| window.change_word(at, change)) {
                return Ok(());
            }
        }
        self.set_slowly(index, value)
    }

    #[cold]
    #[inline(never)]
    fn set_slowly(&self, index: usize, value: T) -> Result<(), MemoryError> {
        self.write(index, &[value])
    }

    /// Reads elements from `start` on.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], or the first thing that kept the component from giving them;
    /// `out` may then be filled in part.
    pub fn read(&self, start: usize, out: &mut [T]) -> Result<(), MemoryError> {
        self.read_on(start, out, 0)
    }

    /// Reads elements from `start` on; the next `more` elements will be read after them.
    fn read_on(&self, start: usize, out: &mut [T], more: usize) -> Result<(), MemoryError> {
        self.check(start, out.len())?;
        if out.is_empty() {
            return Ok(());
        }
        let at = self.start + start * size_of::<T>();
        let more = more.min(self.len - start - out.len()) * size_of::<T>();
        let shared = &self.owner.memory.shared;
        shared.read(&self.owner.region, at, bytemuck::cast_slice_mut(out), more)
    }

    /// Writes elements from `start` on.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], or the first thing that kept the write from being done; a part
    /// may then be written.
    pub fn write(&self, start: usize, values: &[T]) -> Result<(), MemoryError> {
        self.check(start, values.len())?;
        let at = self.start + start * size_of::<T>();
        self.owner.memory.shared.write(&self.owner.region, at, bytemuck::cast_slice(values))
    }

    /// Writes `value` to every element.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn fill(&self, value: T) -> Result<(), MemoryError> {
        let chunk = vec![value; CHUNK.min(self.len)];
        for start in (0..self.len).step_by(CHUNK) {
            self.write(start, &chunk[..chunk.len().min(self.len - start)])?;
        }
        Ok(())
    }

    /// All elements.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn to_vec(&self) -> Result<Vec<T>, MemoryError> {
        let mut values = vec![T::zeroed(); self.len];
        self.read(0, &mut values)?;
        Ok(values)
    }

    /// The elements in their order, read a stretch at a time. After an error it ends.
    ///
    /// ```
    /// # use pcomponent_driver::backend::model::ModelTransport;
    /// # use pcomponent_driver::{config::CacheConfig, HwConfig, RemoteMemory};
    /// # let memory = RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL)?, 1, CacheConfig::default())?;
    /// let numbers = memory.alloc::<u32>(1000)?;
    /// numbers.fill(3)?;
    /// let sum = numbers.iter().sum::<Result<u32, _>>()?;
    /// assert_eq!(sum, 3000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { slice: self, next: 0, stretch: Vec::new().into_iter() }
    }

    /// A part of the slice, which shares its memory.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, MemoryError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len,
        };
        if start > end || end > self.len {
            return Err(MemoryError::OutOfBounds { start, end, len: self.len });
        }
        Ok(self.part(self.start + start * size_of::<T>(), end - start))
    }

    /// The same memory as bytes.
    pub fn as_bytes(&self) -> RemoteSlice<u8> {
        self.part(self.start, self.len * size_of::<T>())
    }

    /// Writes back what was written to the allocation. See [`RemoteMemory::flush`].
    ///
    /// # Errors
    /// As [`RemoteMemory::flush`].
    pub fn flush(&self) -> Result<(), MemoryError> {
        self.owner.memory.shared.flush(&self.owner.region)
    }

    /// Writes back what was written to the allocation and drops it from the cache, so that the next
    /// reads see what the component has: for memory that another process or host writes too.
    ///
    /// # Errors
    /// As [`RemoteMemory::flush`].
    pub fn evict(&self) -> Result<(), MemoryError> {
        self.owner.memory.shared.evict(&self.owner.region)
    }

    /// Changes what may be done with the whole allocation. Writes that race with it may be refused.
    ///
    /// # Errors
    /// [`MemoryError::Refused`], [`MemoryError::Transport`], or as [`RemoteMemory::flush`].
    pub fn protect(&self, permission: Permission) -> Result<(), MemoryError> {
        let Allocation { memory, region, .. } = &*self.owner;
        let old = region.permission();
        // Until the component has changed it, only what both allow.
        region.set_permission(Permission {
            read: old.read && permission.read,
            write: old.write && permission.write,
        });
        let command = Command::Protect(range_of(region), permission);
        let done = memory
            .shared
            .evict(region)
            .and_then(|()| memory.ask("protect memory", &command).map(drop));
        region.set_permission(if done.is_ok() { permission } else { old });
        done
    }

    /// Maps the allocation, made shareable, into the address space of another process of the same
    /// component. Dropping either writes back what was written through it, and leaves the other.
    ///
    /// The two are cached separately: what one side writes is seen by the other after the one
    /// flushes and the other evicts. Atomics of both meet in the component.
    ///
    /// ```
    /// use pcomponent_driver::backend::model::ModelTransport;
    /// use pcomponent_driver::config::CacheConfig;
    /// use pcomponent_driver::{AllocOptions, HwConfig, Permission, RemoteMemory};
    ///
    /// let ours = RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL)?, 1, CacheConfig::default())?;
    /// let theirs = ours.with_pid(2);
    /// let options = AllocOptions { shareable: true, ..AllocOptions::default() };
    /// let here = ours.alloc_with::<u64>(512, options)?;
    /// let there = here.share(&theirs, Permission::RO)?;
    /// here.set(5, 55)?;
    /// here.flush()?;
    /// assert_eq!(there.get(5)?, 55);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::Refused`], [`MemoryError::Transport`], or as [`RemoteMemory::flush`].
    pub fn share(&self, with: &RemoteMemory, permission: Permission) -> Result<Self, MemoryError> {
        let Allocation { memory, region, .. } = &*self.owner;
        let source = range_of(region);
        let command = Command::Share { source, pid: with.pid(), permission };
        memory.shared.evict(region)?;
        let reply = memory.ask("share memory", &command)?;
        let place = (with.pid(), Address::decode(&reply.payload).0, region.pages);
        let mut shared = Self::new(with.clone(), with.region(place, permission, true), self.len);
        shared.start = self.start;
        Ok(shared)
    }

    /// Frees the memory and says how that went, if this is its last slice; otherwise only lets go of
    /// this one.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] or [`MemoryError::Transport`]; for shared memory also
    /// [`MemoryError::WriteBack`] for what others will not see (it is freed all the same).
    pub fn free(self) -> Result<(), MemoryError> {
        Arc::into_inner(self.owner).map_or(Ok(()), |owner| owner.free())
    }

    fn check(&self, start: usize, len: usize) -> Result<(), MemoryError> {
        match start.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(self.out_of_bounds(start, len)),
        }
    }

    #[cold]
    fn out_of_bounds(&self, start: usize, len: usize) -> MemoryError {
        MemoryError::OutOfBounds { start, end: start.saturating_add(len), len: self.len }
    }
}

/// Atomics at the component. Every one is a round trip: the cached page (line) is written back and
/// dropped first, and other accesses to it wait meanwhile, so that all threads see atomics and plain
/// accesses in one order. Atomics of other hosts and processes meet there too.
impl RemoteSlice<u64> {
    /// Adds to an element, wrapping; gives the old value.
    ///
    /// ```
    /// # use pcomponent_driver::backend::model::ModelTransport;
    /// # use pcomponent_driver::{config::CacheConfig, HwConfig, RemoteMemory};
    /// # let memory = RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL)?, 1, CacheConfig::default())?;
    /// let counters = memory.alloc::<u64>(8)?;
    /// counters.set(3, 10)?;
    /// assert_eq!(counters.fetch_add(3, 5)?, 10);
    /// assert_eq!(counters.get(3)?, 15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], [`MemoryError::WriteBack`] if what was written there before
    /// could not be written back, or what the component had against it.
    pub fn fetch_add(&self, index: usize, addend: u64) -> Result<u64, MemoryError> {
        self.atomic(index, Op::FetchAdd, addend, 0)
    }

    /// Replaces an element by `new` if it equals `expected`; gives the old value.
    ///
    /// # Errors
    /// As [`Self::fetch_add`].
    pub fn compare_swap(&self, index: usize, expected: u64, new: u64) -> Result<u64, MemoryError> {
        self.atomic(index, Op::CompareSwap, new, expected)
    }

    fn atomic(
        &self,
        index: usize,
        op: Op,
        operand: u64,
        expected: u64,
    ) -> Result<u64, MemoryError> {
        self.check(index, 1)?;
        let Allocation { memory, region, .. } = &*self.owner;
        memory.shared.atomic(region, self.start + 8 * index, op, operand, expected)
    }
}

/// Elements read, or written, at a time where the caller names no number.
const CHUNK: usize = 4096;

/// See [`RemoteSlice::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    slice: &'a RemoteSlice<T>,
    /// First element not yet read.
    next: usize,
    stretch: std::vec::IntoIter<T>,
}

impl<T: Pod> Iterator for Iter<'_, T> {
    type Item = Result<T, MemoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.stretch.next() {
            return Some(Ok(value));
        }
        let left = self.slice.len - self.next;
        if left == 0 {
            return None;
        }
        let len = left.min(CHUNK);
        let mut stretch = vec![T::zeroed(); len];
        match self.slice.read_on(self.next, &mut stretch, left - len) {
            Ok(()) => {
                self.next += len;
                self.stretch = stretch.into_iter();
                self.stretch.next().map(Ok)
            }
            Err(error) => {
                self.next = self.slice.len;
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.slice.len - self.next + self.stretch.len();
        (0, Some(left))
    }
}

impl<'a, T: Pod> IntoIterator for &'a RemoteSlice<T> {
    type Item = Result<T, MemoryError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
