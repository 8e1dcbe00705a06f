//! [`FloorMemory`]: the least that memory behind userfaultfd takes on this machine, to hold the engine's
//! figures against.
//!
//! Whoever serves misses in user space at least takes a signal, copies the page to where it was missed,
//! and takes older pages from the kernel, many at a time. This does that and nothing else: no table but
//! a bit for each page, no policy, no component but a copy of the memory in this process, one thread.
//! What is not needed here is given away as well: whether pages are written back is said by whoever
//! measures, for all of them.
//!
//! # Rule that the `unsafe` here relies on
//! **Own range**: as for the engine. Pages lie in the range that was reserved here, and the handler is
//! called by touches of it only.
#![allow(unsafe_code)]

use std::collections::VecDeque;

use super::array::Array;
use super::drop::Dropper;
use super::engine::EngineError;
use super::lock::Lock;
use super::process;
use super::store::Page;
use super::sys::{self, Errno};
use super::uffd::Uffd;
use crate::transport::PAGE_BYTES;

/// Pages that leave together.
const BATCH: usize = 64;
/// Most pages that come together.
pub const WINDOW: usize = 32;

static FLOOR: Lock<Option<Floor>> = Lock::new(None);

/// What the handler works on.
struct Floor {
    base: usize,
    pages: usize,
    limit: usize,
    /// Pages in frames, the oldest first.
    resident: VecDeque<u32>,
    is_resident: Array<u8>,
    /// What the component would hold.
    copies: Array<Page>,
    uffd: Uffd,
    dropper: Dropper,
    window: usize,
    writes_back: bool,
}

/// The memory of the one floor of this process.
pub struct FloorMemory {
    base: usize,
    bytes: usize,
}

impl FloorMemory {
    /// Memory of whole pages, so many of them resident at a time. Once in a process: its `SIGBUS` is
    /// taken for good.
    ///
    /// # Errors
    /// [`EngineError`], if the kernel does not let us.
    pub fn new(bytes: usize, limit: usize) -> Result<Self, EngineError> {
        let failed = |action| move |errno| EngineError::Kernel { action, errno };
        let (pages, limit) = (bytes / PAGE_BYTES, limit.max(2 * BATCH));
        let bytes = pages * PAGE_BYTES;
        let base = sys::reserve(0, bytes).map_err(failed("reserve addresses"))?;
        let uffd = Uffd::open()?;
        // SAFETY: own range, reserved just now.
        unsafe {
            let _ = sys::advise(base, bytes, libc::MADV_NOHUGEPAGE);
            sys::protect(base, bytes, libc::PROT_READ | libc::PROT_WRITE)
                .map_err(failed("map memory"))?;
        }
        uffd.register(base, bytes)?;
        let array = failed("reserve its tables");
        let copies: Array<Page> = Array::new(pages).map_err(&array)?;
        // What the copies cost in the processor's own TLB is not the kernel's floor.
        // SAFETY: the array's own mapping; how it is backed changes no value.
        let _ = unsafe { sys::advise(copies.as_ptr() as usize, bytes, libc::MADV_HUGEPAGE) };
        let floor = Floor {
            base,
            pages,
            limit,
            resident: VecDeque::with_capacity(limit),
            is_resident: Array::new(pages).map_err(&array)?,
            copies,
            uffd,
            dropper: Dropper::new(),
            window: 1,
            writes_back: true,
        };
        let mask = sys::block_signals();
        *FLOOR.lock() = Some(floor);
        sys::set_signals(mask);
        // SAFETY: the handler does only what a handler may do. This process has no other, so none is blocked:
        // zeros are an empty set.
        unsafe { process::handle_sigbus(on_sigbus, std::mem::zeroed()) }
            .map_err(failed("handle SIGBUS"))?;
        Ok(Self { base, bytes })
    }

    /// The memory, in 8-byte words.
    pub fn words(&mut self) -> &mut [u64] {
        // SAFETY: own range, mapped for as long as the process lives; a page holds zeros, or what was
        // written last, whenever it is touched.
        unsafe { std::slice::from_raw_parts_mut(self.base as *mut u64, self.bytes / 8) }
    }

    /// From now on so many neighbours come with a page, at most [`WINDOW`] together with it; pages that
    /// leave are written back, or are known not to have been written.
    pub fn set(window: usize, writes_back: bool) {
        let mask = sys::block_signals();
        if let Some(floor) = FLOOR.lock().as_mut() {
            floor.window = window.clamp(1, WINDOW);
            // What was written so far is saved before it can be lost.
            let answer = if writes_back { Ok(()) } else { floor.evict(floor.resident.len()) };
            if let Err(errno) = answer {
                process::stop(&errno.to_string());
            }
            floor.writes_back = writes_back;
        }
        sys::set_signals(mask);
    }
}

impl Floor {
    fn miss(&mut self, page: usize) -> Result<(), Errno> {
        let end = self.pages.min(page + self.window);
        let absent = (page..end).take_while(|page| self.is_resident[*page] == 0).count();
        if self.resident.len() + absent > self.limit {
            self.evict(BATCH)?;
        }
        let copies = &self.copies[page..page + absent];
        // SAFETY: a page is its bytes and nothing else.
        let bytes =
            unsafe { std::slice::from_raw_parts(copies.as_ptr().cast(), size_of_val(copies)) };
        self.uffd.copy(self.base + page * PAGE_BYTES, bytes, false)?;
        for page in page..page + absent {
            self.is_resident[page] = 1;
            self.resident.push_back(page as u32);
        }
        Ok(())
    }

    fn evict(&mut self, count: usize) -> Result<(), Errno> {
        let mut left = count.min(self.resident.len());
        let mut batch = [0; BATCH];
        while left > 0 {
            let batch = &mut batch[..left.min(BATCH)];
            for (slot, page) in batch.iter_mut().zip(self.resident.drain(..left.min(BATCH))) {
                *slot = page as usize;
            }
            batch.sort_unstable();
            for page in batch.iter() {
                self.is_resident[*page] = 0;
                if self.writes_back {
                    let at = (self.base + page * PAGE_BYTES) as *const Page;
                    // SAFETY: own range; resident, and the only thread that writes to it waits for us.
                    self.copies[*page] = unsafe { *at };
                }
            }
            let address = |page: &usize| (self.base + page * PAGE_BYTES, PAGE_BYTES);
            self.dropper.drop_pages(batch.iter().map(address))?;
            left -= batch.len();
        }
        Ok(())
    }
}

extern "C" fn on_sigbus(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's arguments.
    let (address, _) = unsafe { process::access(info, context) };
    let mut slot = FLOOR.lock();
    let Some(floor) = slot.as_mut() else { process::stop("SIGBUS") };
    if address < floor.base || address >= floor.base + floor.pages * PAGE_BYTES {
        process::stop("SIGBUS: not an address of the measured memory");
    }
    if let Err(errno) = floor.miss((address - floor.base) / PAGE_BYTES) {
        process::stop(&errno.to_string());
    }
    drop(slot);
    // SAFETY: the kernel's argument; nothing was blocked, and nothing here is left to be dropped.
    unsafe { sys::resume(&*context.cast()) };
}
