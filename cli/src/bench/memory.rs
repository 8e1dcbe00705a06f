//! The memory under the [kernel](super::kernel).

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::path::Path;

use memmap2::{MmapMut, MmapOptions};
use pcomponent_driver::backend::model::ModelTransport;
use pcomponent_driver::config::ExCacheConfig;
use pcomponent_driver::profile::{DelayMeter, Delayed, Profile};
use pcomponent_driver::{CacheStats, RemoteMemory, RemoteSlice};
use splitmem_abi::config::HwConfig;

use super::kernel::{Part, Random, PAGE_WORDS};
use crate::error::CliError;
use crate::machine::MachineError;
use crate::workload::MemoryError;

/// Mapped memory of this process.
pub struct Mapped(MmapMut);

impl Mapped {
    /// Anonymous memory.
    ///
    /// # Errors
    /// [`CliError::HostMemory`].
    pub fn anonymous(bytes: usize) -> Result<Self, CliError> {
        let map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon();
        map.map(Self).map_err(CliError::HostMemory)
    }

    /// A file that is made, or made as long.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub fn file(path: &Path, bytes: usize) -> Result<Self, CliError> {
        let open = || -> std::io::Result<MmapMut> {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
            file.set_len(bytes as u64)?;
            map(&file)
        };
        open().map(Self).map_err(|source| CliError::Write { path: path.to_owned(), source })
    }

    /// A part for each of some threads.
    pub fn parts(&mut self, threads: usize) -> Vec<&mut [u64]> {
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut self.0);
        let pages = words.len() / PAGE_WORDS / threads;
        words.chunks_exact_mut(pages * PAGE_WORDS).take(threads).collect()
    }
}

/// Maps a file that nobody but the benchmark knows.
#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<MmapMut> {
    // SAFETY: the file was made by this process, in a folder of the benchmark's own, to be mapped
    // here only; it is neither shortened nor written otherwise while it is mapped.
    unsafe { MmapMut::map_mut(file) }
}

impl Part for &mut [u64] {
    fn words(&self) -> usize {
        self.len()
    }

    #[inline]
    fn read(&self, word: usize) -> Result<u64, MemoryError> {
        Ok(self[word])
    }

    #[inline]
    fn write(&mut self, word: usize, value: u64) -> Result<(), MemoryError> {
        self[word] = value;
        Ok(())
    }

    fn write_page(&mut self, page: usize, words: &[u64; PAGE_WORDS]) -> Result<(), MemoryError> {
        self[page * PAGE_WORDS..][..PAGE_WORDS].copy_from_slice(words);
        Ok(())
    }
}

/// Memory whose pages are copied by `memcpy`, each time one is touched, to a random one of some frames: what
/// a miss of the explicit API is to be measured by, without the way to a page and all that is kept of it.
pub struct Copied {
    source: MmapMut,
    frames: RefCell<(MmapMut, Random)>,
}

impl Copied {
    /// So many bytes, and so many of frames, in the host's large pages where it has them.
    ///
    /// # Errors
    /// [`CliError::HostMemory`].
    pub fn new(bytes: usize, local: usize) -> Result<Self, CliError> {
        let map = |bytes: usize| {
            let map = MmapOptions::new().len(bytes.max(PAGE_WORDS * 8)).map_anon()?;
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            Ok(map)
        };
        let frames = RefCell::new((map(local).map_err(CliError::HostMemory)?, Random(1)));
        Ok(Self { source: map(bytes).map_err(CliError::HostMemory)?, frames })
    }
}

impl Part for Copied {
    fn words(&self) -> usize {
        self.source.len() / 8
    }

    fn read(&self, word: usize) -> Result<u64, MemoryError> {
        let (frames, random) = &mut *self.frames.borrow_mut();
        let frames: &mut [u64] = bytemuck::cast_slice_mut(frames);
        let source: &[u64] = bytemuck::cast_slice(&self.source);
        let frame = random.below(frames.len() / PAGE_WORDS) * PAGE_WORDS;
        let page = word / PAGE_WORDS * PAGE_WORDS;
        frames[frame..][..PAGE_WORDS].copy_from_slice(&source[page..][..PAGE_WORDS]);
        Ok(frames[frame + word % PAGE_WORDS])
    }

    fn write(&mut self, word: usize, value: u64) -> Result<(), MemoryError> {
        bytemuck::cast_slice_mut::<u8, u64>(&mut self.source)[word] = value;
        Ok(())
    }

    fn write_page(&mut self, page: usize, words: &[u64; PAGE_WORDS]) -> Result<(), MemoryError> {
        let source: &mut [u64] = bytemuck::cast_slice_mut(&mut self.source);
        source[page * PAGE_WORDS..][..PAGE_WORDS].copy_from_slice(words);
        Ok(())
    }
}

/// Memory of a component (the golden model) behind ExCache.
pub struct Explicit {
    memory: RemoteMemory,
    words: RemoteSlice<u64>,
    delays: Option<DelayMeter>,
}

impl Explicit {
    /// `bytes` of memory over `local` bytes of frames, with a device's timing if there is a profile.
    ///
    /// # Errors
    /// [`CliError::Machine`] and [`CliError::Memory`].
    pub fn new(bytes: usize, local: usize, profile: Option<&Profile>) -> Result<Self, CliError> {
        // The page table and the monitor's reserve stand beside it.
        let pa_bits = (2 * bytes).next_power_of_two().ilog2().max(25);
        let model = ModelTransport::new(HwConfig { pa_bits, ..HwConfig::LARGE });
        let model = model.map_err(MachineError::from)?;
        let cache = ExCacheConfig::with_bytes(local);
        let (memory, delays) = match profile {
            None => (RemoteMemory::connect(model, 1, cache), None),
            Some(profile) => {
                let delayed = Delayed::new(model, profile);
                let delays = delayed.stats();
                (RemoteMemory::connect(delayed, 1, cache), Some(delays))
            }
        };
        let memory = memory.map_err(MachineError::from)?;
        let words = memory.alloc(bytes / 8).map_err(MachineError::from)?;
        Ok(Self { memory, words, delays })
    }

    /// A part for each of some threads.
    ///
    /// # Errors
    /// [`CliError::Memory`].
    pub fn parts(&self, threads: usize) -> Result<Vec<RemoteSlice<u64>>, CliError> {
        let words = self.words.len() / PAGE_WORDS / threads * PAGE_WORDS;
        let part = |i: usize| self.words.slice(i * words..(i + 1) * words);
        Ok((0..threads).map(part).collect::<Result<_, _>>().map_err(component)?)
    }

    /// Misses so far.
    pub fn misses(&self) -> u64 {
        match self.memory.stats() {
            CacheStats::ExCache(stats) => stats.misses,
            _ => 0,
        }
    }

    /// The delays of the profile, if there is one.
    pub fn delays(&self) -> Option<&DelayMeter> {
        self.delays.as_ref()
    }
}

#[cold]
fn component(error: pcomponent_driver::MemoryError) -> MemoryError {
    MemoryError::Component(Box::new(error))
}

impl Part for RemoteSlice<u64> {
    fn words(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn read(&self, word: usize) -> Result<u64, MemoryError> {
        self.get(word).map_err(component)
    }

    #[inline]
    fn write(&mut self, word: usize, value: u64) -> Result<(), MemoryError> {
        self.set(word, value).map_err(component)
    }

    fn write_page(&mut self, page: usize, words: &[u64; PAGE_WORDS]) -> Result<(), MemoryError> {
        RemoteSlice::write(self, page * PAGE_WORDS, words).map_err(component)
    }
}
