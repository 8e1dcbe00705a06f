//! [`PageStore`]: where pages are that are in no local frame.

use std::collections::VecDeque;

use bytemuck::{Pod, Zeroable};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission, ReturnCode};
use splitmem_abi::request::Status;

use crate::transport::{
    Completion, Expected, Submission, Transport, TransportError, Work, PAGE_BYTES,
};

/// A page of memory.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
pub struct Page(pub [u8; PAGE_BYTES]);

impl Page {
    /// All zeros.
    pub const ZERO: Self = Self([0; PAGE_BYTES]);

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        bytemuck::cast_slice::<u8, u64>(&self.0).iter().all(|word| *word == 0)
    }
}

/// Why a store could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for another page.
    #[error("the memory component is full")]
    Full,
    /// The way to the component, or the component, is gone.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The component refused.
    #[error("the memory component answered {0:?}")]
    Refused(Status),
    /// The component's monitor refused.
    #[error("the memory monitor answered {0:?}")]
    Monitor(ReturnCode),
}

/// Pages by number. A page that was never written must not be read.
pub trait PageStore: Send {
    /// Pages that it can hold.
    fn capacity(&self) -> u32;

    /// Fetches pages, in the order of their numbers; as many as there are numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError>;

    /// Hands over the first of these pages and those after it, as far as they lie in this process, one
    /// behind the other: `take` is called with their bytes, and the answer is their number.
    ///
    /// # Errors
    /// [`StoreError`].
    fn with_pages(
        &mut self,
        _numbers: &[u32],
        _take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// Whether what [`Self::with_pages`] hands over stays where it is, and as it is until it is written, after
    /// that call: then it can be read while others use the store.
    fn stays(&self) -> bool {
        false
    }

    /// Announces that so many pages will be fetched, each once; gives the time to wait for before, where
    /// the component has a device's timing.
    fn expect(&mut self, _pages: usize) -> Option<Expected> {
        None
    }

    /// Before a fork: gives what the child hands to [`Self::after_fork`]. A store in memory of the
    /// process's own is copied by the kernel, and needs neither.
    ///
    /// # Errors
    /// [`StoreError`].
    fn before_fork(&mut self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// In the child: from now on its memory is its own.
    ///
    /// # Errors
    /// [`StoreError`].
    fn after_fork(&mut self, _token: u64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes pages. A later read gives what was written; a write that fails later makes a later call
    /// fail.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError>;
}

impl<S: PageStore + ?Sized> PageStore for Box<S> {
    fn capacity(&self) -> u32 {
        (**self).capacity()
    }
    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        (**self).read(numbers, into)
    }
    fn with_pages(
        &mut self,
        numbers: &[u32],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, StoreError> {
        (**self).with_pages(numbers, take)
    }
    fn stays(&self) -> bool {
        (**self).stays()
    }
    fn expect(&mut self, pages: usize) -> Option<Expected> {
        (**self).expect(pages)
    }
    fn before_fork(&mut self) -> Result<u64, StoreError> {
        (**self).before_fork()
    }
    fn after_fork(&mut self, token: u64) -> Result<(), StoreError> {
        (**self).after_fork(token)
    }
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        (**self).write(pages)
    }
}

/// Pages that are allocated at the component together.
const RANGE_SHIFT: u32 = 14;

/// Writes that may be in flight while the program goes on.
const WRITES: usize = 256;
/// The name of every write's submission.
const WRITE: u64 = u64::MAX;

/// The memory of one process in a component behind any [`Transport`].
pub struct TransportStore<T> {
    transport: T,
    pid: u16,
    capacity: u32,
    /// Addresses of the ranges of `1 << RANGE_SHIFT` pages, in the order of the pages' numbers.
    ranges: Vec<u64>,
    batch: VecDeque<Submission>,
    /// Submissions handed over and not completed.
    flying: usize,
    done: Vec<Completion>,
}

impl<T: Transport> TransportStore<T> {
    /// A store of at most `capacity` pages.
    pub fn new(transport: T, pid: u16, capacity: u32) -> Self {
        let (batch, done) = (VecDeque::new(), Vec::new());
        Self { transport, pid, capacity, ranges: Vec::new(), batch, flying: 0, done }
    }

    /// The transport.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    fn va(&mut self, number: u32) -> Result<u64, StoreError> {
        let range = (number >> RANGE_SHIFT) as usize;
        while self.ranges.len() <= range {
            let reply = self.transport.mailbox(&Command::Alloc {
                pid: self.pid,
                pages: 1 << RANGE_SHIFT,
                size: PageSize::Small,
                permission: Permission::RW,
                shareable: false,
            })?;
            match reply.code {
                ReturnCode::Success => self.ranges.push(Address::decode(&reply.payload).0),
                ReturnCode::NoMemory | ReturnCode::NoAddress | ReturnCode::TablesFull => {
                    return Err(StoreError::Full)
                }
                code => return Err(StoreError::Monitor(code)),
            }
        }
        let offset = u64::from(number & ((1 << RANGE_SHIFT) - 1)) * PAGE_BYTES as u64;
        Ok(self.ranges[range] + offset)
    }

    /// Hands over what stands in `batch`, and waits until at most `left` submissions are in flight.
    /// What was read goes into its place in `into`.
    fn run(&mut self, left: usize, into: &mut [Page]) -> Result<(), StoreError> {
        let mut worst = Ok(());
        loop {
            self.flying += self.transport.submit(&mut self.batch)?;
            let wait = !self.batch.is_empty() || self.flying > left;
            self.transport.poll(&mut self.done, wait)?;
            self.flying = self.flying.saturating_sub(self.done.len());
            for completion in self.done.drain(..) {
                let answer = match completion.status {
                    Status::Ok if completion.id == WRITE => Ok(()),
                    Status::Ok => {
                        let page = into.get_mut(completion.id as usize);
                        match page.zip(completion.data.first_chunk::<PAGE_BYTES>()) {
                            Some((page, data)) => {
                                page.0.copy_from_slice(data);
                                Ok(())
                            }
                            None => Err(TransportError::Protocol("not a page".into()).into()),
                        }
                    }
                    Status::NoMemory => Err(StoreError::Full),
                    status => Err(StoreError::Refused(status)),
                };
                worst = worst.and(answer);
            }
            if self.batch.is_empty() && self.flying <= left {
                return worst;
            }
        }
    }
}

impl<T: Transport> PageStore for TransportStore<T> {
    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        let mut at_once = true;
        for ((id, number), page) in (0..).zip(numbers).zip(into.iter_mut()) {
            let va = self.va(*number)?;
            // Past the queue only while nothing in it could be a write of this page.
            at_once &= self.flying == 0;
            let take = &mut |bytes: &[u8; PAGE_BYTES]| {
                page.0.copy_from_slice(bytes);
                true
            };
            if !(at_once && self.transport.read_page_now(self.pid, va, take)?) {
                at_once = false;
                self.batch.push_back(Submission { id, pid: self.pid, va, work: Work::ReadPage });
            }
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        // Everything in flight, because the reads stand behind the writes.
        self.run(0, into)
    }

    fn with_pages(
        &mut self,
        numbers: &[u32],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, StoreError> {
        let (Some(first), 0) = (numbers.first(), self.flying) else { return Ok(0) };
        let va = self.va(*first)?;
        // Numbers that follow each other are addresses that do, within a range.
        let range = |number: &u32| number >> RANGE_SHIFT == first >> RANGE_SHIFT;
        let follows = |pair: &(u32, &u32)| *pair.1 == pair.0 && range(pair.1);
        let most = (*first..).zip(numbers).take_while(follows).count();
        Ok(self.transport.read_pages_now(self.pid, va, most, take)?)
    }

    fn stays(&self) -> bool {
        self.transport.pages_stay()
    }

    fn expect(&mut self, pages: usize) -> Option<Expected> {
        // Behind writes in flight they are submitted, and take their time there.
        if self.flying > 0 {
            return None;
        }
        self.transport.expect_pages(pages)
    }

    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        for (number, page) in pages {
            let va = self.va(*number)?;
            let at_once = self.flying == 0 && self.batch.is_empty();
            if at_once && self.transport.write_page_now(self.pid, va, &page.0)? {
                continue;
            }
            let work = Work::WritePage { data: Box::new(page.0) };
            self.batch.push_back(Submission { id: WRITE, pid: self.pid, va, work });
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        self.run(WRITES, &mut [])
    }
}
