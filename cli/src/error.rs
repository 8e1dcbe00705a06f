//! [`CliError`]: why a command failed. Each message says what to do next.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Arguments that are fine one by one and make no sense together. Exit code 2, like clap's own.
    #[error("{0}\nFor more information, try '--help'.")]
    Usage(String),
    /// A file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file; `-` is the standard input.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The standard output cannot be written.
    #[error("cannot write the result: {0}")]
    Output(std::io::Error),
    /// A memory trace.
    #[error(transparent)]
    Trace(#[from] crate::trace::TraceError),
    /// The register map.
    #[error(transparent)]
    Abi(#[from] crate::cmd::abi::AbiError),
    /// The DRAM model.
    #[error(transparent)]
    Dram(#[from] crate::cmd::dram::DramError),
    /// Ctrl-C. Exit code 130.
    #[error("stopped by Ctrl-C")]
    Interrupted,
}

impl CliError {
    /// The exit code: 1 failure, 2 usage, 130 Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// Prints the message to the standard error and gives the exit code. A reader that closed our
    /// standard output (`splitmem ... | head`) has what it wanted: that is no failure.
    pub fn report(&self) -> ExitCode {
        if matches!(self, Self::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        // With the standard error gone as well there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "splitmem: {self}");
        ExitCode::from(self.exit_code())
    }
}
