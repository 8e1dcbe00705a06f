//! What `splitmem bench` compares: the same accesses over every way to have more memory than there is
//! locally.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`kernel`] | the accesses, the same whatever memory is under them |
//! | [`memory`] | the memory: anonymous, a mapped file, or the component behind ExCache |
//! | [`programs`] | unmodified programs, which are not compared but slowed down |
//! | [`path`] | one way, as a child process that runs the kernel |
//! | [`cgroup`] | a memory limit for a child |
//! | [`swap`] | swap of our own on zram or in a file |
//!
//! Whatever is set up here is an object that undoes itself when it is dropped, and Ctrl-C only raises
//! a flag: so all is undone at every end but a kill.

pub mod cgroup;
pub mod kernel;
pub mod memory;
pub mod path;
pub mod programs;
pub mod swap;

use std::path::Path;

use crate::error::CliError;
use crate::interrupt::Interrupt;

/// Why a way of having memory cannot be measured here. Not a failure: the others go on, and the
/// output says it loudly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// What only root may do.
    #[error("needs root")]
    NeedsRoot,
    /// The kernel has no such thing.
    #[error("this kernel has no {0}")]
    Kernel(&'static str),
    /// A file of the kernel's, or of ours, cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A system program failed or is missing.
    #[error("{program}: {why}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        why: String,
    },
    /// The child process did not do its work.
    #[error("the measured process failed: {0}")]
    Child(String),
    /// There is nothing behind this way in this program.
    #[error("{0}")]
    NotBuilt(&'static str),
}

impl Unavailable {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }
}

/// Runs a system program to its end.
fn program(program: &'static str, arguments: &[&str]) -> Result<(), Unavailable> {
    let failed = |why: String| Unavailable::Program { program, why };
    let output = std::process::Command::new(program)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().next_back().unwrap_or("failed").to_owned()))
}

/// Writes a file of the kernel's.
fn write(path: &Path, text: &str) -> Result<(), Unavailable> {
    std::fs::write(path, text).map_err(Unavailable::io(path))
}

/// Reads a file of the kernel's.
fn read(path: &Path) -> Result<String, Unavailable> {
    std::fs::read_to_string(path).map_err(Unavailable::io(path))
}

/// Whether this process is root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// Touches so much memory, and gives it back.
///
/// On a virtual machine, memory that was free for some seconds may be the host's again: then the first
/// touch of a page takes ten times as long, for whichever run comes by first. So before each run as
/// much is touched as it may need.
///
/// # Errors
/// Ctrl-C. Memory that there is not is none: the run will say so.
fn back_memory(bytes: usize, interrupt: &Interrupt) -> Result<(), CliError> {
    /// Touched between looks at the interrupt.
    const PART: usize = 64 << 20;
    let Ok(mut memory) = memmap2::MmapMut::map_anon(bytes.max(1)) else { return Ok(()) };
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    for part in memory.chunks_mut(PART) {
        interrupt.check()?;
        part.fill(1);
    }
    Ok(())
}
