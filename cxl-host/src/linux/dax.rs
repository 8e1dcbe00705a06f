//! A region's memory, as a dax device gives it.
//!
//! Mapping is the one unsafe step; the mapping itself is accessed a line at a time, by volatile
//! copies, because the component behind it may be used by others too.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::error::{Action, CxlError};
use super::tree::{System, Tree as _};

/// Bytes of each mapping that [`owned`] gives.
pub const CHUNK: u64 = 1 << 30;

/// Maps a dax device (`dax0.0`), or a file by its path, for one owner who takes it as plain memory:
/// the largest power of two that fits in it, in mappings of 1 GiB or one smaller.
///
/// # Errors
/// [`CxlError`].
pub fn owned(name: &Path) -> Result<Vec<MmapMut>, CxlError> {
    let bare = name.components().count() == 1 && !name.exists();
    let path = if bare { Path::new("/dev").join(name) } else { name.to_owned() };
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(|e| CxlError::refused(Action::Open, &path, e))?;
    let sysfs = Path::new("/sys/bus/dax/devices").join(path.file_name().unwrap_or_default());
    let bytes = match System.read_if_there(&sysfs.join("size"))? {
        Some(_) => System.number(&sysfs.join("size"))?,
        None => file.metadata().map_err(|e| CxlError::refused(Action::Read, &path, e))?.len(),
    };
    let Some(bits) = bytes.checked_ilog2() else {
        return Err(CxlError::Missing {
            what: format!("{} is empty", path.display()),
            hint: "name a dax device, or a file as large as the memory is to be",
        });
    };
    let (bytes, mut chunks) = (1u64 << bits, Vec::new());
    for offset in (0..bytes).step_by(CHUNK as usize) {
        let length = bytes.min(CHUNK);
        let mut options = MmapOptions::new();
        options.offset(offset).len(usize::try_from(length).unwrap_or(usize::MAX));
        // SAFETY: who maps a device's memory twice, or writes to the file behind our back, changes
        // bytes under a reference; that the owner is the only one, the caller was told to see to.
        let map = unsafe { options.map_mut(&file) };
        chunks.push(map.map_err(|e| CxlError::refused(Action::Map(length), &path, e))?);
    }
    Ok(chunks)
}

/// A mapped dax device.
#[derive(Debug)]
pub struct Dax {
    map: MmapRaw,
    path: PathBuf,
}

impl Dax {
    /// Opens and maps `/dev/NAME`, all of it, as its size in sysfs says.
    ///
    /// # Errors
    /// [`CxlError`].
    pub fn open(name: &str) -> Result<Self, CxlError> {
        let size = Path::new("/sys/bus/dax/devices").join(name).join("size");
        Self::map(&Path::new("/dev").join(name), System.number(&size)?)
    }

    /// Maps `bytes` of a file.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    pub fn map(path: &Path, bytes: u64) -> Result<Self, CxlError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|e| CxlError::refused(Action::Open, path, e))?;
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let map = MmapOptions::new().len(length).map_raw(&file);
        let map = map.map_err(|e| CxlError::refused(Action::Map(bytes), path, e))?;
        Ok(Self { map, path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are mapped.
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// The line at `offset`; `None` if there is none.
    pub fn read_line(&self, offset: u64) -> Option<[u8; 64]> {
        let words = self.line(offset)?;
        let mut line = [0; 64];
        for (i, bytes) in line.chunks_exact_mut(8).enumerate() {
            // SAFETY: `line` made sure that 64 mapped bytes begin there, aligned for u64; the mapping
            // lives as long as `self`. Volatile, because others may change them.
            bytes.copy_from_slice(&unsafe { words.add(i).read_volatile() }.to_ne_bytes());
        }
        Some(line)
    }

    /// Writes the line at `offset`; false if there is none.
    pub fn write_line(&self, offset: u64, data: &[u8; 64]) -> bool {
        let Some(words) = self.line(offset) else { return false };
        for (i, bytes) in data.chunks_exact(8).enumerate() {
            let word = u64::from_ne_bytes(std::array::from_fn(|k| bytes[k]));
            // SAFETY: as in `read_line`.
            unsafe { words.add(i).write_volatile(word) };
        }
        true
    }

    /// Where a whole line begins.
    fn line(&self, offset: u64) -> Option<*mut u64> {
        let end = offset.checked_add(64)?;
        if offset % 64 != 0 || end > self.len() {
            return None;
        }
        // SAFETY: within the mapping, as was just checked.
        Some(unsafe { self.map.as_mut_ptr().add(offset as usize) }.cast())
    }
}
