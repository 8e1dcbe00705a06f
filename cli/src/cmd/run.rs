//! `splitmem run`: an unmodified program with its memory in the component.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use clap::ValueEnum;
use mcomponent_firmware::MonitorConfig;
use pcomponent_driver::backend::model::ModelTransport;
use pcomponent_driver::config::Prefetch;
use pcomponent_driver::profile::Profile;
use pcomponent_driver::transparent::served::Server;
use pcomponent_driver::transparent::settings::{RunSettings, PROFILE, SOCKET, VARIABLE};
use pcomponent_driver::transparent::{Limit, PageStore, TransportStore, MIN_FRAMES};
use splitmem_abi::config::HwConfig;
use verilator_tb::{Hw, MonitorPlace};

use super::output::command_line;
use crate::error::CliError;
use crate::facts::Facts;
use crate::machine::{simulation, word, Dram, MachineError};
use crate::report::Report;
use crate::run::metrics::Metrics;
use crate::run::{counts, live, program, RunError};
use crate::size::{parse_bytes, Size};
use crate::whole_file;

const PAGE: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  splitmem run --local 25% -- sort -S 200M words.txt
  splitmem run --local 64MiB --profile cxl -- redis-server --save ''
  splitmem run --local 10% --profile network --report report -- python3 model.py
  splitmem run --metrics 127.0.0.1:9640 -- redis-server     # and, beside it: splitmem top
  splitmem run --local 25% --json -- sqlite3 big.db 'select count(*) from t' 2>result.json

The program's input and output are its own; the table (or JSON object) goes to the standard error.
Its exit code is ours.

What is managed: private anonymous memory (malloc, mmap) of dynamically linked glibc programs, in
every process that the program starts, each with its own limit. What stays local: stacks, files,
shared memory, code. What is refused, with a message: statically linked and set-user-id programs,
userfaultfd, io_uring, mlock. See the manual: docs/src/explanation/transparent.md.";

/// Run an unmodified program with a part of its memory local and the rest in the component.
///
/// Pages that are in no local frame are fetched when they are touched. --local 25% means a
/// quarter of the pages that hold something at that moment.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Local memory of each process: a size, or a share of what it uses
    #[arg(long, value_name = "SIZE", default_value = "25%")]
    local: Size,
    /// The component
    #[arg(long, value_enum, default_value_t = Backend::Model)]
    backend: Backend,
    /// Its timing: cxl, pcie-dma, network, or a file made by 'splitmem calibrate'; none: as fast as
    /// this machine answers
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Memory of the component: for each process with 'model', else for all together [default: 32GiB, 4GiB
    /// with 'served', 128MiB with 'rtl']
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// If the component is lost, save the pages that it does not have in FILE.PID
    #[arg(long, value_name = "FILE")]
    spill: Option<PathBuf>,
    /// What comes in ahead of a touch: none, sequential[:N], stride[:N] or trend[:N]
    #[arg(long, value_name = "POLICY", default_value = "trend:31")]
    prefetch: Prefetch,
    /// Smaller mappings stay local; more than 4 KiB keeps the small-object heap local too
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1")]
    manage_from: u64,
    /// Print one flat JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Write a self-contained HTML report with plots into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Serve the figures at http://ADDR/metrics for Prometheus while it runs
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// The program and its arguments
    #[arg(required = true, last = true)]
    program: Vec<OsString>,
}

/// What stands behind the transport.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    /// The golden model, in the program's own process
    Model,
    /// The golden model, in this process, reached through a socket
    Served,
    /// The component's hardware description (large, DDR4-2400) with its monitor on the soft core,
    /// simulated cycle by cycle in this process: slow, for small programs
    Rtl,
}

impl Backend {
    fn memory(self) -> u64 {
        match self {
            Self::Model => 32 << 30,
            Self::Served => 4 << 30,
            Self::Rtl => 128 << 20,
        }
    }

    /// A component of this many bytes that others are to be served from.
    fn component(self, bytes: u64) -> Result<Option<Box<dyn PageStore>>, MachineError> {
        // The component's page table and what its monitor keeps back stand beside the pages.
        let needed = bytes + bytes / 8 + (64 << 20);
        let capacity = (bytes / PAGE).min(u64::from(u32::MAX)) as u32;
        Ok(match self {
            Self::Model => None,
            Self::Served => {
                let pa_bits = needed.next_power_of_two().ilog2();
                let model = ModelTransport::new(HwConfig { pa_bits, ..HwConfig::LARGE })?;
                Some(Box::new(TransportStore::new(model, PID, capacity)))
            }
            Self::Rtl => {
                let dram = (Dram::Ddr4_2400, RTL_CLOCK);
                let frames = (needed / PAGE).min(u64::from(u32::MAX));
                let monitor =
                    MonitorConfig { frames: Some(frames as u32), ..MonitorConfig::default() };
                let monitor = (monitor, MonitorPlace::Firmware);
                let rtl = simulation(Hw::Large, dram, frames, monitor, None)?;
                Some(Box::new(TransportStore::new(rtl, PID, capacity)))
            }
        })
    }
}

/// Clock of the simulated component, in MHz.
const RTL_CLOCK: u32 = 200;
/// Whose memory it is at a component that is served: the server's.
const PID: u16 = 1;

impl Args {
    /// Runs the program, then shows what its processes counted.
    ///
    /// # Errors
    /// What keeps the program from running, its own failure, or the output.
    pub fn run(self) -> Result<(), CliError> {
        let [name, arguments @ ..] = &self.program[..] else {
            return Err(CliError::Usage("a program is needed".to_owned()));
        };
        let path = program::find(name)?;
        let library = program::library()?;
        let profile = self.profile.as_deref().map(Profile::named).transpose()?;
        self.report.as_deref().map_or(Ok(()), Report::prepare)?;
        let folder =
            tempfile::Builder::new().prefix(live::FOLDER).tempdir().map_err(RunError::Folder)?;
        if let Some(profile) = &profile {
            whole_file::write(&folder.path().join(PROFILE), &profile.to_toml())?;
        }
        let memory = self.memory.unwrap_or(self.backend.memory());
        if profile.is_some() && self.backend != Backend::Model {
            let text = "--profile: a component that is served takes its own time";
            return Err(CliError::Usage(text.to_owned()));
        }
        let served = match self.backend.component(memory)? {
            None => None,
            Some(store) => {
                let server = Server::start(&folder.path().join(SOCKET), store);
                Some(server.map_err(RunError::Folder)?)
            }
        };
        let spill = self.spill.as_deref().map(std::path::absolute).transpose();
        let settings = RunSettings {
            limit: match self.local {
                Size::Bytes(bytes) => Limit::Frames((bytes / PAGE) as usize),
                Size::Share(share) => Limit::Share(share),
            },
            prefetch: self.prefetch,
            memory,
            served: served.is_some(),
            spill: spill.map_err(RunError::Folder)?,
            smallest: self.manage_from as usize,
            profile: profile.is_some(),
            folder: Some(folder.path().to_owned()),
        };
        if matches!(settings.limit, Limit::Frames(frames) if frames < MIN_FRAMES) {
            let least = Size::Bytes(MIN_FRAMES as u64 * PAGE);
            return Err(CliError::Usage(format!("--local: at least {least} is needed")));
        }
        let mut preload = library.into_os_string();
        if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
            preload.push(":");
            preload.push(others);
        }
        let serve = |address| Metrics::serve(address, folder.path());
        let metrics = self.metrics.map(serve).transpose()?;
        if let Some(address) = metrics.as_ref().and_then(Metrics::address) {
            eprintln!("splitmem: metrics at http://{address}/metrics");
        }
        // Ctrl-C goes to the program, which is in our terminal's group; we wait for it.
        let ignored = ctrlc::set_handler(|| {});
        let started = Instant::now();
        let mut child = Command::new(&path)
            .args(arguments)
            .env("LD_PRELOAD", preload)
            .env(VARIABLE, settings.format())
            .spawn()
            .map_err(|source| RunError::Start { path, source })?;
        let status = child.wait().map_err(CliError::Output)?;
        let seconds = started.elapsed().as_secs_f64();
        drop((ignored, metrics, served));
        let processes = counts::collect(folder.path());
        if processes.is_empty() {
            return Err(failure(status).map_or(RunError::NotLoaded.into(), |error| error));
        }
        self.show(&counts::facts(&processes, seconds), profile.as_ref(), &processes)?;
        failure(status).map_or(Ok(()), Err)
    }

    fn show(
        &self,
        counted: &Facts,
        profile: Option<&Profile>,
        processes: &[pcomponent_driver::transparent::TransparentStats],
    ) -> Result<(), CliError> {
        let mut all = Facts::new();
        let words: Vec<_> = self.program.iter().map(|word| word.to_string_lossy()).collect();
        all.add("program", "Program", words.join(" "), "");
        all.add("local", "Local memory allowed", self.local.to_string(), "");
        all.add("backend", "Component", word(&self.backend), "");
        all.add("profile", "  timing", profile.map_or("none", |p| &p.name), "");
        all.add("prefetch", "Prefetch", self.prefetch.to_string(), "");
        all.extend(counted.clone());
        if let Some(folder) = &self.report {
            let mut report = Report::new("splitmem run", &command_line());
            report.heading("Result");
            report.facts(&all);
            counts::draw(&mut report, processes);
            let path = report.write(folder, "run")?;
            all.add("report", "Report", path.display().to_string(), "");
        }
        eprintln!("{}", if self.json { all.json() } else { all.table() });
        Ok(())
    }
}

/// The program's failure, if it failed.
fn failure(status: ExitStatus) -> Option<CliError> {
    if status.success() {
        return None;
    }
    // As shells do.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Some(CliError::Program(status, code.clamp(1, 255) as u8))
}
