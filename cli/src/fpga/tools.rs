//! Yosys, nextpnr and the packers, as `scripts/setup.sh synth` installs them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::CliError;
use crate::interrupt::Interrupt;

/// Why there is no bitstream, or no clock to report.
#[derive(Debug, thiserror::Error)]
pub enum FpgaError {
    /// A program is not installed.
    #[error(
        "{} is not there: run 'scripts/setup.sh synth', or set SPLITMEM_TOOLS to where it is",
        .0.display()
    )]
    NoTool(PathBuf),
    /// The soft core is not installed.
    #[error("the soft core is not in {}: run 'scripts/setup.sh soc'", .0.display())]
    NoCore(PathBuf),
    /// The firmware that was built with this program.
    #[error(transparent)]
    Firmware(#[from] verilator_tb::soc::ImageError),
    /// A program is there and cannot be started.
    #[error("cannot start {}: {source}", tool.display())]
    Start {
        /// Which.
        tool: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{tool} failed; the end of its log:\n{log}")]
    Failed {
        /// Which.
        tool: String,
        /// Last lines that it printed.
        log: String,
    },
    /// The router's report is not as expected.
    #[error("the report of nextpnr cannot be understood: {0}")]
    Report(String),
    /// A placement misses the clock that the hardware is built for.
    #[error(
        "the {clock} clock reaches {reached:.1} MHz with seed {seed} and is to run at {wanted:.1} MHz: \
         no bitstream was written. Its slowest path: {from} to {to}"
    )]
    TooSlow {
        /// Which clock.
        clock: String,
        /// Seed of the best placement.
        seed: u32,
        /// MHz.
        reached: f64,
        /// MHz.
        wanted: f64,
        /// Where the slowest path begins.
        from: String,
        /// Where it ends.
        to: String,
    },
}

/// FNV-1a of 64 bits: to tell builds apart, not to guard against anybody.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = fnv::FnvHasher::default();
    for part in parts {
        hasher.write(part);
        hasher.write_u8(0);
    }
    hasher.finish()
}

/// A program in the Python environment that `scripts/setup.sh` makes.
///
/// # Errors
/// [`FpgaError::NoTool`].
pub fn tool(name: &str) -> Result<PathBuf, FpgaError> {
    let path = venv().join("bin").join(name);
    // The program runs in another folder.
    path.canonicalize().map_err(|_| FpgaError::NoTool(path))
}

/// The Python environment.
pub fn venv() -> PathBuf {
    let tools = std::env::var_os("SPLITMEM_TOOLS").unwrap_or_else(|| ".tools".into());
    Path::new(&tools).join("venv")
}

/// Runs a tool in `folder`; what it prints goes to `NAME.log` there.
///
/// # Errors
/// [`FpgaError`] if it cannot be started or fails, Ctrl-C.
pub fn run<I, S>(
    tool: &Path,
    arguments: I,
    folder: &Path,
    name: &str,
    interrupt: &Interrupt,
) -> Result<(), CliError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    eprintln!("splitmem: {name} is at work");
    let path = folder.join(format!("{name}.log"));
    let create = || File::create(&path).and_then(|log| Ok((log.try_clone()?, log)));
    let (log, errors) =
        create().map_err(|source| CliError::Write { path: path.clone(), source })?;
    let status = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .status()
        .map_err(|source| FpgaError::Start { tool: tool.to_owned(), source })?;
    interrupt.check()?;
    if status.success() {
        return Ok(());
    }
    let log = fs::read(&path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(12)..].join("\n");
    Err(FpgaError::Failed { tool: name.to_owned(), log: end }.into())
}

/// What a tool says of itself.
pub fn version(tool: &Path, flag: &str) -> String {
    let output = Command::new(tool).arg(flag).output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("?").to_owned()
}
