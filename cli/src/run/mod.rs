//! Unmodified programs in managed memory: starting them, and what they counted.

pub mod counts;
pub mod live;
pub mod metrics;
pub mod program;

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a program was not run in managed memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no such program.
    #[error("{0}: no such program; give a path, or a name that is on the PATH")]
    NoProgram(String),
    /// The dynamic linker has no part in it.
    #[error(
        "{}: statically linked, so nothing can be loaded into it; only dynamically linked programs \
         can be run", .0.display()
    )]
    Static(PathBuf),
    /// The dynamic linker ignores us.
    #[error(
        "{}: changes its user or group when it starts, so the dynamic linker loads nothing into it; \
         run a copy without those bits", .0.display()
    )]
    Privileged(PathBuf),
    /// The library is not where it belongs.
    #[error(
        "libsplitmem_preload.so is missing; looked in: {0}. Build it with \
         'cargo build --release -p splitmem-preload', or point SPLITMEM_PRELOAD at it"
    )]
    NoLibrary(String),
    /// The folder for the processes' counters.
    #[error("cannot make a folder for the run: {0}")]
    Folder(std::io::Error),
    /// The figures cannot be served.
    #[error("cannot serve metrics at {address}: {why}; choose another address with --metrics")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why.
        why: String,
    },
    /// It did not start.
    #[error("cannot start {}: {source}", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ran without us.
    #[error(
        "the program ran, but not in managed memory: the dynamic linker did not load the library \
         (another C library than glibc, or an environment that was cleared)"
    )]
    NotLoaded,
    /// Not this machine.
    #[error("unmodified programs can be run on x86-64 Linux only")]
    NotHere,
}
