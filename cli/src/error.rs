//! [`CliError`]: why a command failed. Each message says what to do next.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::machine::MachineError;
use crate::workload::{MemoryError, WorkError};

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
    /// What a program was given to work on.
    #[error("{}: {source}", path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: WorkError,
    },
    /// The machine that was asked for.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The memory component, or the memory in it.
    #[error(transparent)]
    Memory(MemoryError),
    /// The memory component gave another result than local memory.
    #[error(
        "WRONG RESULT from the memory component: {0}\n\
         This is a bug of Splitmem: please report it with the command line and the input."
    )]
    Mismatch(String),
    /// The CXL of this machine.
    #[error(transparent)]
    Cxl(Box<splitmem_cxl_host::linux::error::CxlError>),
    /// The latency tests.
    #[error(transparent)]
    Latency(verilator_tb::latency::LatencyError),
    /// The lockstep checker: hardware and model disagree, or the component does not work.
    #[error(transparent)]
    Lockstep(verilator_tb::lockstep::LockstepError),
    /// A board.
    #[error(transparent)]
    Board(#[from] crate::board::BoardError),
    /// Synthesis, place and route.
    #[error(transparent)]
    Fpga(#[from] crate::fpga::tools::FpgaError),
    /// A simulated board.
    #[error(transparent)]
    Serve(#[from] crate::cmd::serve::ServeError),
    /// Loading a bitstream.
    #[error(transparent)]
    Flash(#[from] crate::fpga::loader::FlashError),
    /// A timing profile.
    #[error(transparent)]
    Profile(#[from] pcomponent_driver::profile::ProfileError),
    /// The host has no memory for a benchmark.
    #[error("the host has no memory to measure: {0}")]
    HostMemory(std::io::Error),
    /// Misses cannot be served in user space here.
    #[error("no misses to measure: {0}")]
    Floor(#[from] pcomponent_driver::transparent::EngineError),
    /// An unmodified program could not be run, or was not.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// A program that ran and failed by itself; its exit code is ours.
    #[error("the program ended with {0}")]
    Program(std::process::ExitStatus, u8),
    /// Ctrl-C. Exit code 130.
    #[error("stopped by Ctrl-C")]
    Interrupted,
}

impl From<MemoryError> for CliError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Interrupted => Self::Interrupted,
            error => Self::Memory(error),
        }
    }
}

impl From<verilator_tb::lockstep::LockstepError> for CliError {
    fn from(error: verilator_tb::lockstep::LockstepError) -> Self {
        match error {
            verilator_tb::lockstep::LockstepError::Stopped => Self::Interrupted,
            error => Self::Lockstep(error),
        }
    }
}

impl CliError {
    /// The error of a program that worked on the file at `path`.
    pub fn of_workload(path: &Path, error: WorkError) -> Self {
        match error {
            WorkError::Memory(error) => error.into(),
            source => Self::Input { path: path.to_owned(), source },
        }
    }

    /// The exit code: 1 failure, 2 usage, 130 Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
            Self::Program(_, code) => *code,
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
