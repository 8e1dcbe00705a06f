//! `splitmem latency --port vfio-user`: an ExCache miss of one thread, answered by the simulated board of
//! another one through a vfio-user socket, in wall time and in the component's cycles.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use pcomponent_driver::backend::pcie::vfio_user::VfioUserDevice;
use pcomponent_driver::backend::pcie::{PcieDevice as _, PcieTransport};
use pcomponent_driver::config::{ExCacheConfig, Prefetch};
use pcomponent_driver::transport::TransportError;
use pcomponent_driver::{CacheStats, RemoteMemory, RemoteSlice};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::pcie::{ENDPOINT_PAGE, EP_ID};
use verilator_tb::latency::IDEAL_LATENCY;
use verilator_tb::pcie::{serve, Event};
use verilator_tb::Hw;

use super::output::{command_line, OutputArgs};
use super::serve::ServeError;
use super::serve_vfio;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::machine::MachineError;
use crate::observe::{Latencies, Observed};
use crate::report::Report;

/// Pages of the process, and local frames for them: three of four touches at random miss.
const PAGES: usize = 256;
const FRAMES: usize = 64;
/// Elements of 8 bytes in a page.
const WORDS: usize = 512;
const PAGE_BYTES: usize = WORDS * 8;
/// Touches that are measured, and reads of a register.
const TOUCHES: usize = 2000;
/// DRAM of the component.
const MEMORY: u64 = 32 << 20;
const PID: u16 = 1;

/// What is timed: key and words.
const REGISTER: (&str, &str) = ("vfio_user_register_read", "A register of BAR0 is read");
const CLEAN: (&str, &str) = ("vfio_user_miss", "ExCache miss, pages only read");
const DIRTY: (&str, &str) = ("vfio_user_miss_dirty", "ExCache miss, all pages written to");

/// Serves a board at a socket of its own and measures a client of it. Only a stated `clock`, in MHz, turns
/// cycles into time of a device.
pub(super) fn run(
    hw: Hw,
    seed: u64,
    clock: Option<u32>,
    output: &OutputArgs,
) -> Result<(), CliError> {
    let folder = tempfile::tempdir()
        .map_err(|source| CliError::Write { path: std::env::temp_dir(), source })?;
    let socket = folder.path().join("board");
    let interrupt = Interrupt::install();
    let (tell, listening) = mpsc::channel();
    let (mut facts, page_cycles) = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let board = serve_vfio::board(hw, MEMORY)?;
            // When nobody waits any more to be told, the client is done.
            serve(&socket, board, |event| match event {
                Event::Listening => tell.send(()).is_ok(),
                Event::Gone(_) => false,
            })
            .map_err(ServeError::from)?;
            Ok::<_, CliError>(())
        });
        // Not told: the server has ended, and says why.
        let measured = match listening.recv() {
            Ok(()) => measure(&socket, hw, seed, &interrupt),
            Err(mpsc::RecvError) => Err(CliError::Interrupted),
        };
        match server.join() {
            Ok(served) => served.and(measured),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    if let Some(mhz) = clock {
        facts.add("clock_mhz", "At a clock of", u64::from(mhz), "MHz");
        facts.add("vfio_user_page_us", "  a page by DMA", page_cycles / f64::from(mhz), "us");
        facts.add("published_legoos_miss_us", "  published ExCache miss (LegoOS)", 6.31, "us");
        let caveat = "that has network and software in it; these cycles are the endpoint's alone";
        facts.add("published_caveat", "  to compare with care", caveat, "");
    }
    if let Some(folder) = &output.report {
        let mut report = Report::new("splitmem latency --port vfio-user", &command_line());
        report.heading("Figures");
        report.facts(&facts);
        let path = report.write(folder, "latency-vfio-user")?;
        facts.add("report", "Report", path.display().to_string(), "");
    }
    facts.print(output.json)
}

/// Figures, and the mean cycles of a page.
fn measure(
    socket: &Path,
    hw: Hw,
    seed: u64,
    interrupt: &Interrupt,
) -> Result<(Facts, f64), CliError> {
    let mut nanoseconds = Latencies::default();
    let mut device = VfioUserDevice::connect(socket).map_err(MachineError::from)?;
    for _ in 0..TOUCHES {
        let start = Instant::now();
        device
            .read_register(ENDPOINT_PAGE + u32::from(EP_ID.offset))
            .map_err(MachineError::Board)?;
        nanoseconds.record(REGISTER.0, since(start));
    }

    let transport = PcieTransport::start(device).map_err(MachineError::Board)?;
    let (transport, observer) = Observed::new(Box::new(transport));
    let cache = ExCacheConfig::with_bytes(FRAMES * PAGE_BYTES).prefetch(Prefetch::None);
    let memory = RemoteMemory::connect(transport, PID, cache).map_err(MachineError::from)?;
    let slice = memory.alloc::<u64>(PAGES * WORDS).map_err(MachineError::from)?;
    for page in 0..PAGES {
        slice.set(page * WORDS, page as u64).map_err(MachineError::from)?;
    }
    memory.flush().map_err(MachineError::from)?;

    let mut rng = SmallRng::seed_from_u64(seed);
    for ((key, _), write) in [(CLEAN, false), (DIRTY, true)] {
        for _ in 0..TOUCHES {
            interrupt.check()?;
            let before = fetches(&memory);
            let start = Instant::now();
            touch(&slice, rng.random_range(0..PAGES), write)?;
            let took = since(start);
            if fetches(&memory) > before {
                nanoseconds.record(key, took);
            }
        }
    }

    let mut facts = Facts::new();
    facts.add("config", "Configuration", hw.name(), "");
    facts.add("port", "Port", "PCIe endpoint by vfio-user, in this process", "");
    facts.add("ideal_dram_latency_cycles", "Ideal memory", u64::from(IDEAL_LATENCY), "cycles");
    for (key, label) in [REGISTER, CLEAN, DIRTY] {
        let Some(times) = nanoseconds.of(key) else { continue };
        facts.add(format!("{key}_us_mean"), format!("{label}, mean"), times.mean() / 1e3, "us");
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let us = times.value_at_quantile(quantile) as f64 / 1e3;
            facts.add(format!("{key}_us_{name}"), format!("  {name}"), us, "us");
        }
        facts.add(format!("{key}_count"), "  how many", times.len(), "");
    }
    let observation = observer.observation();
    let page_cycles = observation.submissions.of("page read").map_or(f64::NAN, |h| h.mean());
    let label = "A page by DMA, mean of all those misses";
    facts.add("vfio_user_page_cycles", label, page_cycles, "cycles");
    Ok((facts, page_cycles))
}

fn fetches(memory: &RemoteMemory) -> u64 {
    match memory.stats() {
        CacheStats::ExCache(stats) => stats.fetches,
        _ => 0,
    }
}

/// Reads, or writes, one element of a page.
fn touch(slice: &RemoteSlice<u64>, page: usize, write: bool) -> Result<(), CliError> {
    let at = page * WORDS;
    if write {
        slice.set(at, page as u64).map_err(MachineError::from)?;
        return Ok(());
    }
    match slice.get(at).map_err(MachineError::from)? {
        found if found == page as u64 => Ok(()),
        found => {
            let what = format!("page {page} came back with {found}");
            Err(MachineError::Board(TransportError::Protocol(what)).into())
        }
    }
}

fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
