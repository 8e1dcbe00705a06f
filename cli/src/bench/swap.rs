//! [`Swap`]: swap of our own, on a zram device that is made for it or in a file.
//!
//! It is used before any swap that the machine has already, which is neither touched nor emptied, and
//! it goes away when it is dropped.

use std::path::{Path, PathBuf};

use super::{is_root, program, read, write, Unavailable};

/// Above all priorities that other swap has by itself.
const PRIORITY: &str = "32767";

/// Swap that is on.
#[derive(Debug)]
pub struct Swap {
    /// Off before what it is on goes away: fields are dropped in this order.
    _active: Active,
    _zram: Option<Zram>,
    _file: Option<SwapFile>,
}

impl Swap {
    /// Swap of `bytes` on a new zram device.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn zram(bytes: u64) -> Result<Self, Unavailable> {
        if !is_root() {
            return Err(Unavailable::NeedsRoot);
        }
        let zram = Zram::new(bytes)?;
        let active = Active::new(&zram.device())?;
        Ok(Self { _active: active, _zram: Some(zram), _file: None })
    }

    /// Swap of `bytes` in a new file in a folder.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn file(folder: &Path, bytes: u64) -> Result<Self, Unavailable> {
        if !is_root() {
            return Err(Unavailable::NeedsRoot);
        }
        let path = folder.join("swap");
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        made.map_err(Unavailable::io(&path))?;
        let file = SwapFile(path);
        // The kernel takes no file with holes, and none that others can read.
        let name = file.0.display().to_string();
        program("chmod", &["600", &name])?;
        program("fallocate", &["--length", &bytes.to_string(), &name])?;
        let active = Active::new(&file.0)?;
        Ok(Self { _active: active, _zram: None, _file: Some(file) })
    }
}

/// Swap that is on; off when dropped.
#[derive(Debug)]
struct Active(String);

impl Active {
    fn new(path: &Path) -> Result<Self, Unavailable> {
        let name = path.display().to_string();
        program("mkswap", &[&name])?;
        program("swapon", &["--priority", PRIORITY, &name])?;
        Ok(Self(name))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Err(error) = program("swapoff", &[&self.0]) {
            eprintln!("splitmem: WARNING: swap on {} stays on: {error}", self.0);
        }
    }
}

/// A file of our own.
#[derive(Debug)]
struct SwapFile(PathBuf);

impl Drop for SwapFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("splitmem: WARNING: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// The folder through which zram devices come and go.
const CONTROL: &str = "/sys/class/zram-control";

/// A zram device of our own.
#[derive(Debug)]
struct Zram(u32);

impl Zram {
    fn new(bytes: u64) -> Result<Self, Unavailable> {
        let control = Path::new(CONTROL);
        if !control.exists() {
            // It may be a module that nobody has asked for yet.
            let _ = program("modprobe", &["zram"]);
        }
        if !control.exists() {
            return Err(Unavailable::Kernel("zram"));
        }
        // Reading makes a device and tells its number.
        let number = read(&control.join("hot_add"))?;
        let zram = Self(number.trim().parse().map_err(|_| Unavailable::Kernel("zram hot_add"))?);
        write(&zram.folder().join("disksize"), &bytes.to_string())?;
        Ok(zram)
    }

    fn folder(&self) -> PathBuf {
        format!("/sys/block/zram{}", self.0).into()
    }

    fn device(&self) -> PathBuf {
        format!("/dev/zram{}", self.0).into()
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        let gone = write(&self.folder().join("reset"), "1")
            .and_then(|()| write(&Path::new(CONTROL).join("hot_remove"), &self.0.to_string()));
        if let Err(error) = gone {
            eprintln!("splitmem: WARNING: zram device {} stays: {error}", self.0);
        }
    }
}
