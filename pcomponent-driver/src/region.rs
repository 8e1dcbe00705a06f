//! [`Region`]: one allocation as the driver sees it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;
use splitmem_abi::geometry::PAGE_SHIFT;
use splitmem_abi::mailbox::Permission;

use crate::config::Prefetch;
use crate::excache::entry::{self, Cell};
use crate::excache::predictor::Predictor;
use crate::transport::PAGE_BYTES;

/// A range of a process's virtual addresses, in pages of 4 KiB whatever the component's page size.
pub(crate) struct Region {
    pub pid: u16,
    pub va: u64,
    pub pages: usize,
    /// Where each page is; empty unless an ExCache is in use.
    pub cells: Arc<[Cell]>,
    permission: AtomicU32,
    /// Others may read and write it too.
    pub shared: bool,
    pub predictor: Mutex<Predictor>,
}

impl Region {
    /// A region whose pages are not cached. If it is not `shared`, it is known to be all zeros.
    pub fn new(
        (pid, va, pages): (u16, u64, usize),
        permission: Permission,
        shared: bool,
        excache: Option<Prefetch>,
    ) -> Self {
        let word = if shared { entry::ABSENT | entry::BACKED } else { entry::FRESH };
        let cells = if excache.is_some() { pages } else { 0 };
        let cells = (0..cells).map(|_| Cell::new(word)).collect();
        Self {
            pid,
            va,
            pages,
            cells,
            permission: AtomicU32::new(permission.bits()),
            shared,
            predictor: Mutex::new(Predictor::new(excache.unwrap_or_default())),
        }
    }

    pub fn bytes(&self) -> usize {
        self.pages * PAGE_BYTES
    }

    /// Virtual address of a page.
    pub fn page_va(&self, index: usize) -> u64 {
        self.va + ((index as u64) << PAGE_SHIFT)
    }

    pub fn permission(&self) -> Permission {
        Permission::from_bits(self.permission.load(Ordering::Acquire)).unwrap_or(Permission::RO)
    }

    pub fn set_permission(&self, permission: Permission) {
        self.permission.store(permission.bits(), Ordering::Release);
    }
}

/// A page of a region.
#[derive(Clone)]
pub(crate) struct PageRef {
    pub region: Arc<Region>,
    pub index: u32,
}

impl PageRef {
    pub fn cell(&self) -> &Cell {
        &self.region.cells[self.index as usize]
    }

    pub fn pid(&self) -> u16 {
        self.region.pid
    }

    pub fn va(&self) -> u64 {
        self.region.page_va(self.index as usize)
    }

    pub fn is(&self, other: &Self) -> bool {
        self.index == other.index && Arc::ptr_eq(&self.region, &other.region)
    }
}
