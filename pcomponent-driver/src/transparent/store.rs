//! [`PageStore`]: where pages are that are in no local frame.

use std::collections::VecDeque;

use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission, ReturnCode};
use splitmem_abi::request::Status;

use crate::transport::{Completion, Submission, Transport, TransportError, Work, PAGE_BYTES};

/// A page of memory.
#[derive(Clone, Copy)]
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

    /// Writes pages; returns when all are acknowledged.
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
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        (**self).write(pages)
    }
}

/// Pages that are allocated at the component together.
const RANGE_SHIFT: u32 = 14;

/// The memory of one process in a component behind any [`Transport`].
pub struct TransportStore<T> {
    transport: T,
    pid: u16,
    capacity: u32,
    /// Addresses of the ranges of `1 << RANGE_SHIFT` pages, in the order of the pages' numbers.
    ranges: Vec<u64>,
    batch: VecDeque<Submission>,
    done: Vec<Completion>,
}

impl<T: Transport> TransportStore<T> {
    /// A store of at most `capacity` pages.
    pub fn new(transport: T, pid: u16, capacity: u32) -> Self {
        let (batch, done) = (VecDeque::new(), Vec::new());
        Self { transport, pid, capacity, ranges: Vec::new(), batch, done }
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

    /// Does what stands in `batch`; `arrived` gets each completion.
    fn run(
        &mut self,
        mut arrived: impl FnMut(&Completion) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut left = self.batch.len();
        let mut worst = Ok(());
        while left > 0 {
            self.transport.submit(&mut self.batch)?;
            self.transport.poll(&mut self.done, true)?;
            for completion in self.done.drain(..) {
                left = left.saturating_sub(1);
                let answer = match completion.status {
                    Status::Ok => arrived(&completion),
                    Status::NoMemory => Err(StoreError::Full),
                    status => Err(StoreError::Refused(status)),
                };
                worst = worst.and(answer);
            }
        }
        worst
    }
}

impl<T: Transport> PageStore for TransportStore<T> {
    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        for (id, number) in (0..).zip(numbers) {
            let va = self.va(*number)?;
            self.batch.push_back(Submission { id, pid: self.pid, va, work: Work::ReadPage });
        }
        self.run(|completion| {
            let page = into.get_mut(completion.id as usize);
            match page.zip(completion.data.first_chunk::<PAGE_BYTES>()) {
                Some((page, data)) => page.0.copy_from_slice(data),
                None => return Err(TransportError::Protocol("not a page".into()).into()),
            }
            Ok(())
        })
    }

    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        for (id, (number, page)) in (0..).zip(pages) {
            let va = self.va(*number)?;
            let work = Work::WritePage { data: Box::new(page.0) };
            self.batch.push_back(Submission { id, pid: self.pid, va, work });
        }
        self.run(|_| Ok(()))
    }
}
