//! [`Way`]: one way to have more memory than there is locally, measured in a child process.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::cgroup::{Cgroup, SLACK};
use super::swap::Swap;
use super::{back_memory, Unavailable};
use crate::error::CliError;
use crate::interrupt::Interrupt;

/// A way to have memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Way {
    /// All of it local
    Local,
    /// The component (golden model) through the typed API, behind ExCache
    Explicit,
    /// The component (golden model) under an unmodified program: splitmem run
    Transparent,
    /// The least that a miss takes that user space serves: a signal, a copy, a drop
    Floor,
    /// Linux swap on zram, under a memory limit
    Zram,
    /// Linux swap in a file, under a memory limit
    SwapFile,
    /// A mapped file, under a memory limit
    MappedFile,
}

impl Way {
    /// All, in the order of the output.
    pub const ALL: [Self; 7] = [
        Self::Local,
        Self::Explicit,
        Self::Transparent,
        Self::Floor,
        Self::Zram,
        Self::SwapFile,
        Self::MappedFile,
    ];

    /// In the names of figures.
    pub fn key(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Explicit => "explicit",
            Self::Transparent => "transparent",
            Self::Floor => "floor",
            Self::Zram => "zram_swap",
            Self::SwapFile => "swap_file",
            Self::MappedFile => "mmapped_file",
        }
    }

    /// Whether it can be measured with so many threads.
    pub fn takes(self, threads: u32) -> bool {
        self != Self::Floor || threads == 1
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "all local",
            Self::Explicit => "explicit API",
            Self::Transparent => "splitmem run",
            Self::Floor => "bare userfaultfd",
            Self::Zram => "zram swap",
            Self::SwapFile => "swap file",
            Self::MappedFile => "mmapped file",
        }
    }
}

/// The sizes of a comparison.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Working set, bytes.
    pub bytes: u64,
    /// Local memory, bytes.
    pub local: u64,
    /// Each measurement's time.
    pub time: Duration,
    /// Threads.
    pub threads: u32,
}

/// Why a child gave no figures.
#[derive(Debug)]
pub enum Missing {
    /// It cannot be measured here.
    Unavailable(Unavailable),
    /// The whole command is to end.
    Stop(CliError),
}

impl<E: Into<Unavailable>> From<E> for Missing {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Runs the kernel in one way and gives its figures. What was set up for it is undone on return,
/// however it ends.
///
/// # Errors
/// [`Missing`].
pub fn run(
    way: Way,
    sizes: &Sizes,
    folder: &Path,
    more: &[&str],
    interrupt: &Interrupt,
) -> Result<Map<String, Value>, Missing> {
    if matches!(way, Way::Explicit | Way::Transparent | Way::Floor) {
        // The others have all their memory once it is filled.
        back_memory((sizes.bytes + sizes.local) as usize, interrupt).map_err(Missing::Stop)?;
    }
    let kernel = std::env::current_exe().map_err(Unavailable::io(Path::new("/proc/self/exe")))?;
    let scratch = tempfile::Builder::new().prefix("splitmem-bench-").tempdir_in(folder);
    let scratch = scratch.map_err(Unavailable::io(folder))?;
    let limited = || Cgroup::new(sizes.local + SLACK);
    // In the order in which they are dropped: the group is empty then, and swap after it.
    let (group, swap): (Option<Cgroup>, Option<Swap>) = match way {
        Way::Local | Way::Explicit | Way::Transparent | Way::Floor => (None, None),
        Way::MappedFile => (Some(limited()?), None),
        Way::Zram => {
            let group = limited()?;
            (Some(group), Some(Swap::zram(2 * sizes.bytes)?))
        }
        Way::SwapFile => {
            let group = limited()?;
            (Some(group), Some(Swap::file(scratch.path(), sizes.bytes + SLACK)?))
        }
    };
    let mut command = match (&group, way) {
        (Some(group), _) => group.command(&kernel),
        (None, Way::Transparent) => splitmem_run(&kernel, sizes.local)?,
        (None, _) => Command::new(&kernel),
    };
    command.arg("bench-kernel");
    command.args(["--bytes", &sizes.bytes.to_string(), "--local", &sizes.local.to_string()]);
    command.args(["--seconds", &sizes.time.as_secs_f64().to_string()]);
    command.args(["--threads", &sizes.threads.to_string()]);
    match way {
        Way::Explicit => drop(command.arg("--explicit")),
        Way::Floor => drop(command.arg("--floor")),
        Way::MappedFile => drop(command.arg("--file").arg(scratch.path().join("mapped"))),
        _ => {}
    }
    command.args(more);
    let figures = figures(&mut command, interrupt);
    drop(group);
    drop(swap);
    figures
}

/// `splitmem run` with this much local memory, if this program has it.
fn splitmem_run(program: &Path, local: u64) -> Result<Command, Unavailable> {
    let quiet = |stdio: fn() -> Stdio| (stdio(), stdio());
    let (out, err) = quiet(Stdio::null);
    let known = Command::new(program).args(["run", "--help"]).stdout(out).stderr(err).status();
    if !known.is_ok_and(|status| status.success()) {
        return Err(Unavailable::NotBuilt("this splitmem has no `run` command"));
    }
    let mut command = Command::new(program);
    command.args(["run", "--json", "--local", &local.to_string(), "--"]).arg(program);
    Ok(command)
}

/// Runs a child to its end, or until Ctrl-C, and reads the JSON object in its output.
fn figures(command: &mut Command, interrupt: &Interrupt) -> Result<Map<String, Value>, Missing> {
    let failed = |why: String| Missing::Unavailable(Unavailable::Child(why));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Reaped(child.map_err(|error| failed(error.to_string()))?);
    let status = loop {
        interrupt.check().map_err(Missing::Stop)?;
        match child.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    // Ctrl-C at a terminal reaches the child as well.
    interrupt.check().map_err(Missing::Stop)?;
    let (mut out, mut err) = (String::new(), String::new());
    // Both are short: the pipes held them.
    let _ = child.0.stdout.as_mut().map(|pipe| pipe.read_to_string(&mut out));
    let _ = child.0.stderr.as_mut().map(|pipe| pipe.read_to_string(&mut err));
    if !status.success() {
        // Nobody but the kernel kills it like this, and for one reason.
        let killed = status.signal() == Some(9);
        let why = if killed { "(out of memory under its limit)" } else { "" };
        let said = err.lines().next_back().unwrap_or_default();
        return Err(failed(format!("{status} {why}{said}")));
    }
    // What it measured, and what `splitmem run` counted meanwhile.
    match (last_object(&out), last_object(&err)) {
        (Some(mut figures), counted) => {
            for key in ["overhead_bytes", "touched_bytes"] {
                let value = counted.as_ref().and_then(|counted| counted.get(key));
                figures.extend(value.map(|value| (key.to_owned(), value.clone())));
            }
            Ok(figures)
        }
        (None, _) => Err(failed(format!("it printed no figures: {out:?} {err:?}"))),
    }
}

/// The last line of a text that is a JSON object.
fn last_object(text: &str) -> Option<Map<String, Value>> {
    let json = text.lines().rev().find(|line| line.starts_with('{'))?;
    serde_json::from_str(json).ok()
}

/// A child that does not outlive this.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It has ended already, unless we stop early.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder for files, by default: on a disk, not in memory.
pub fn default_folder() -> PathBuf {
    PathBuf::from("/var/tmp")
}
