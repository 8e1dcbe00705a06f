//! [`RemoteMemory`]: a process's memory in the component.

use std::mem::size_of;
use std::sync::Arc;

use bytemuck::Pod;
use serde::Serialize;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Health, Info, Permission, Range, ReturnCode};
use splitmem_abi::regs::Counter;
use splitmem_abi::request::Op;

use crate::config::CacheConfig;
use crate::direct;
use crate::error::MemoryError;
use crate::excache::{ExCache, ExCacheStats, Window};
use crate::link::Link;
use crate::region::Region;
use crate::slice::RemoteSlice;
use crate::span::parts;
use crate::transport::{MailboxReply, Transport, TransportInfo, PAGE_BYTES};
use crate::vcache::{VCache, VCacheStats};

/// What stands between accesses and the link.
enum Layer {
    Direct,
    VCache(VCache),
    ExCache(Arc<ExCache>),
}

pub(crate) struct Shared {
    link: Arc<Link>,
    layer: Layer,
}

/// A process's memory in the component, behind a cache of the caller's choice.
///
/// Clones share the link and the cache, and may be used from several threads at once. Threads see
/// each other's writes as with local memory, because they share the cache: reads and writes that lie
/// within one 4 KiB page (without a cache, or with the virtual cache: within one 64-byte line) take
/// effect at one moment each, larger ones piece by piece. The component's memory itself is behind
/// until [`Self::flush`]. Another host, or another `RemoteMemory` connected to the same component,
/// sees what was flushed, and what it writes is seen after [`RemoteSlice::evict`].
///
/// ```
/// use pcomponent_driver::backend::model::ModelTransport;
/// use pcomponent_driver::{config::ExCacheConfig, HwConfig, RemoteMemory};
///
/// let memory = RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL)?, 7, ExCacheConfig::with_bytes(1 << 20))?;
/// let squares = memory.alloc::<u64>(100_000)?;
/// for i in 0..squares.len() {
///     squares.set(i, (i * i) as u64)?;
/// }
/// assert_eq!(squares.get(300)?, 90_000);
/// memory.flush()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RemoteMemory {
    pub(crate) shared: Arc<Shared>,
    pid: u16,
}

/// What an allocation is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocOptions {
    /// Size of the component's pages. Large ones take fewer entries of its page table and TLB.
    pub page_size: PageSize,
    /// What the process may do with it.
    pub permission: Permission,
    /// Populate it at once, so that it can be shared with another process.
    pub shareable: bool,
}

impl Default for AllocOptions {
    /// 4 KiB pages to read and write, populated by first writes.
    fn default() -> Self {
        Self { page_size: PageSize::Small, permission: Permission::RW, shareable: false }
    }
}

/// Counters of the cache in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CacheStats {
    /// There is no cache.
    None,
    /// The virtual cache's.
    VCache(VCacheStats),
    /// ExCache's.
    ExCache(ExCacheStats),
}

impl RemoteMemory {
    /// Connects process `pid` over a transport.
    ///
    /// # Errors
    /// [`MemoryError::Config`] if the cache cannot be built.
    pub fn connect(
        transport: impl Transport + 'static,
        pid: u16,
        cache: impl Into<CacheConfig>,
    ) -> Result<Self, MemoryError> {
        let link = Arc::new(Link::new(Box::new(transport)));
        let layer = match cache.into() {
            CacheConfig::None => Layer::Direct,
            CacheConfig::VCache(config) => Layer::VCache(VCache::new(config, Arc::clone(&link))?),
            CacheConfig::ExCache(config) => {
                Layer::ExCache(Arc::new(ExCache::new(config, Arc::clone(&link))?))
            }
        };
        Ok(Self { shared: Arc::new(Shared { link, layer }), pid })
    }

    /// The memory of another process, over the same link and through the same cache.
    #[must_use]
    pub fn with_pid(&self, pid: u16) -> Self {
        Self { shared: Arc::clone(&self.shared), pid }
    }

    /// The process.
    pub fn pid(&self) -> u16 {
        self.pid
    }

    /// Allocates `len` elements, all zeros.
    ///
    /// # Errors
    /// [`MemoryError::BadSize`], [`MemoryError::Refused`] or [`MemoryError::Transport`].
    pub fn alloc<T: Pod>(&self, len: usize) -> Result<RemoteSlice<T>, MemoryError> {
        self.alloc_with(len, AllocOptions::default())
    }

    /// Allocates `len` elements, all zeros, with options.
    ///
    /// # Errors
    /// [`MemoryError::BadSize`], [`MemoryError::Refused`] or [`MemoryError::Transport`].
    pub fn alloc_with<T: Pod>(
        &self,
        len: usize,
        options: AllocOptions,
    ) -> Result<RemoteSlice<T>, MemoryError> {
        let bad_size = || MemoryError::BadSize { len, size: size_of::<T>() };
        let bytes = len.checked_mul(size_of::<T>()).filter(|bytes| *bytes > 0);
        let page_bytes = options.page_size.bytes() as usize;
        let pages = bytes.ok_or_else(bad_size)?.div_ceil(page_bytes);
        // The driver numbers 4 KiB pages with 32 bits: 16 TiB.
        let small_pages = pages * (page_bytes / PAGE_BYTES);
        if u32::try_from(small_pages).is_err() {
            return Err(bad_size());
        }
        let command = Command::Alloc {
            pid: self.pid,
            pages: pages as u32,
            size: options.page_size,
            permission: options.permission,
            shareable: options.shareable,
        };
        let reply = self.ask("allocate memory", &command)?;
        let va = Address::decode(&reply.payload).0;
        let place = (self.pid, va, small_pages);
        let region = self.region(place, options.permission, options.shareable);
        Ok(RemoteSlice::new(self.clone(), region, len))
    }

    /// The driver's record of a range.
    pub(crate) fn region(
        &self,
        place: (u16, u64, usize),
        permission: Permission,
        shared: bool,
    ) -> Region {
        let excache = match &self.shared.layer {
            Layer::ExCache(cache) => Some(cache.config().prefetch),
            Layer::Direct | Layer::VCache(_) => None,
        };
        Region::new(place, permission, shared, excache)
    }

    /// Writes back everything that was written so far to this process's memory, and returns when the
    /// component has acknowledged it. What was written stays cached.
    ///
    /// # Errors
    /// [`MemoryError::WriteBack`] for the first page or line that could not be written back. The
    /// others were; this one stays in the cache, and the next flush tries again.
    pub fn flush(&self) -> Result<(), MemoryError> {
        match &self.shared.layer {
            Layer::Direct => Ok(()),
            Layer::VCache(cache) => cache.flush(|pid, _| pid == self.pid, false),
            Layer::ExCache(cache) => cache.flush(|page| page.pid() == self.pid),
        }
    }

    /// The cache's counters.
    pub fn stats(&self) -> CacheStats {
        match &self.shared.layer {
            Layer::Direct => CacheStats::None,
            Layer::VCache(cache) => CacheStats::VCache(cache.stats()),
            Layer::ExCache(cache) => CacheStats::ExCache(cache.stats()),
        }
    }

    /// The cache as it was configured, and what of it can be used: an ExCache is rounded down to
    /// whole sets.
    pub fn cache(&self) -> CacheConfig {
        match &self.shared.layer {
            Layer::Direct => CacheConfig::None,
            Layer::VCache(cache) => cache.config().clone().into(),
            Layer::ExCache(cache) => {
                let mut config = cache.config().clone();
                config.bytes = cache.shape().frames() * PAGE_BYTES;
                config.into()
            }
        }
    }

    /// What the monitor says of the component.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] or [`MemoryError::Transport`].
    pub fn component_info(&self) -> Result<Info, MemoryError> {
        Ok(Info::decode(&self.ask("describe the component", &Command::Info)?.payload))
    }

    /// The component's state of health.
    ///
    /// # Errors
    /// [`MemoryError::Refused`] or [`MemoryError::Transport`].
    pub fn component_health(&self) -> Result<Health, MemoryError> {
        Ok(Health::decode(&self.ask("report its health", &Command::Health)?.payload))
    }

    /// One of the component's hardware counters.
    ///
    /// # Errors
    /// [`MemoryError::Transport`].
    pub fn component_counter(&self, counter: Counter) -> Result<u64, MemoryError> {
        self.shared.link.counter(counter)
    }

    /// Component clock cycles since the start, where the backend counts them.
    pub fn cycles(&self) -> Option<u64> {
        self.shared.link.cycles()
    }

    /// The backend.
    pub fn transport_info(&self) -> TransportInfo {
        self.shared.link.info()
    }

    /// A command to the monitor, refused or done.
    pub(crate) fn ask(
        &self,
        action: &'static str,
        command: &Command,
    ) -> Result<MailboxReply, MemoryError> {
        let reply = self.shared.link.mailbox(command)?;
        match reply.code {
            ReturnCode::Success => Ok(reply),
            code => Err(MemoryError::Refused { action, code }),
        }
    }
}

impl Shared {
    /// A region's way around this, where there is one.
    pub fn window(&self, region: &Region) -> Option<Window> {
        match &self.layer {
            Layer::ExCache(cache) => cache.window(region),
            Layer::Direct | Layer::VCache(_) => None,
        }
    }

    /// Reads bytes of a region. The access will go on with `more` bytes behind them.
    pub fn read(
        &self,
        region: &Arc<Region>,
        start: usize,
        out: &mut [u8],
        more: usize,
    ) -> Result<(), MemoryError> {
        match &self.layer {
            Layer::Direct => direct::read(&self.link, region, start, out),
            Layer::VCache(cache) => {
                allowed(region, region.permission().read, start)?;
                cache.read(region, start, out)
            }
            Layer::ExCache(cache) => {
                let last = (start + out.len() + more - 1) / PAGE_BYTES;
                for part in parts(start, out.len(), PAGE_BYTES) {
                    let ahead = last - part.unit;
                    cache.read(region, part.unit, part.offset, &mut out[part.range()], ahead)?;
                }
                Ok(())
            }
        }
    }

    /// Writes bytes of a region.
    pub fn write(
        &self,
        region: &Arc<Region>,
        start: usize,
        bytes: &[u8],
    ) -> Result<(), MemoryError> {
        match &self.layer {
            Layer::Direct => direct::write(&self.link, region, start, bytes),
            Layer::VCache(cache) => {
                allowed(region, region.permission().write, start)?;
                cache.write(region, start, bytes)
            }
            Layer::ExCache(cache) => {
                for part in parts(start, bytes.len(), PAGE_BYTES) {
                    cache.write(region, part.unit, part.offset, &bytes[part.range()])?;
                }
                Ok(())
            }
        }
    }

    /// An atomic at the component on the 8 bytes at `start`; gives the old value.
    pub fn atomic(
        &self,
        region: &Arc<Region>,
        start: usize,
        op: Op,
        operand: u64,
        expected: u64,
    ) -> Result<u64, MemoryError> {
        let run = || direct::atomic(&self.link, region, start, op, operand, expected);
        match &self.layer {
            Layer::Direct => run(),
            Layer::VCache(cache) => cache.atomic(region, start, op, operand, expected),
            Layer::ExCache(cache) => cache.at_component(region, start / PAGE_BYTES, run)?,
        }
    }

    /// Writes back what was written to a region; the data stays cached.
    pub fn flush(&self, region: &Arc<Region>) -> Result<(), MemoryError> {
        match &self.layer {
            Layer::Direct => Ok(()),
            Layer::VCache(cache) => cache.flush(within(region), false),
            Layer::ExCache(cache) => cache.flush(|page| Arc::ptr_eq(&page.region, region)),
        }
    }

    /// Writes back what was written to a region and drops it from the cache.
    pub fn evict(&self, region: &Arc<Region>) -> Result<(), MemoryError> {
        match &self.layer {
            Layer::Direct => Ok(()),
            Layer::VCache(cache) => cache.flush(within(region), true),
            Layer::ExCache(cache) => cache.evict_region(region),
        }
    }

    /// Drops a region from the cache, which nobody uses any more.
    pub fn discard(&self, region: &Arc<Region>) -> Result<(), MemoryError> {
        match &self.layer {
            Layer::Direct => Ok(()),
            Layer::VCache(cache) => {
                cache.discard(within(region));
                Ok(())
            }
            Layer::ExCache(cache) => cache.discard_region(region),
        }
    }
}

fn within(region: &Region) -> impl Fn(u16, u64) -> bool {
    let (owner, lines) = (region.pid, region.va..region.va + region.bytes() as u64);
    move |pid, va| pid == owner && lines.contains(&va)
}

/// Refuses what the region's permission does, where a cache stands before the component's check.
fn allowed(region: &Region, allowed: bool, start: usize) -> Result<(), MemoryError> {
    if allowed {
        return Ok(());
    }
    let line = !(splitmem_abi::geometry::LINE_BYTES as u64 - 1);
    Err(MemoryError::NoPermission { pid: region.pid, va: (region.va + start as u64) & line })
}

/// The monitor's name of a region: in pages of the size that its address selects.
pub(crate) fn range_of(region: &Region) -> Range {
    let per_page = PageSize::of(region.va).bytes() as usize / PAGE_BYTES;
    Range { pid: region.pid, va: region.va, pages: (region.pages / per_page) as u32 }
}
