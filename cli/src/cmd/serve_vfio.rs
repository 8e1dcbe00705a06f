//! `splitmem serve --vfio-user`: the simulated component as a PCI device of another process.

use std::io::Write as _;
use std::path::Path;

use mcomponent_firmware::MonitorConfig;
use splitmem_abi::geometry::PageSize;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::latency::IDEAL_LATENCY;
use verilator_tb::pcie::{serve, Board, BoardError, Event, ServeError as PciError};
use verilator_tb::{Component, Hw, Machine, MonitorOptions};

use super::serve::ServeError;
use crate::error::CliError;
use crate::size::parse_bytes;

/// Least DRAM of a component, in bytes.
const LEAST: u64 = 4 << 20;

/// What stands behind the PCIe endpoint.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "With --vfio-user")]
pub(super) struct PciArgs {
    /// Hardware configuration: large or small
    #[arg(long, default_value_t = Hw::Large, requires = "vfio_user")]
    hw: Hw,
    /// DRAM that the component has
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = parse_bytes, requires = "vfio_user")]
    memory: u64,
    /// Stop when the first client has gone
    #[arg(long, requires = "vfio_user")]
    once: bool,
}

/// Serves until Ctrl-C, or with `--once` until the first client has gone.
pub(super) fn run(socket: &Path, args: &PciArgs) -> Result<(), CliError> {
    let most = 1u64 << args.hw.config().pa_bits;
    if !(LEAST..=most).contains(&args.memory) {
        return Err(CliError::Usage(format!(
            "--memory is from {LEAST} to {most} bytes for the {} configuration",
            args.hw
        )));
    }
    let board = board(args.hw, args.memory)?;
    let served = serve(socket, board, |event| {
        let mut out = std::io::stdout();
        // Whoever reads our output may have gone: the clients stay.
        let _ = match event {
            Event::Listening => writeln!(out, "listening at {}", socket.display()),
            Event::Gone(None) => writeln!(out, "a client has gone"),
            Event::Gone(Some(why)) => writeln!(out, "a client was lost: {why}"),
        };
        !(args.once && matches!(event, Event::Gone(_)))
    });
    served.map_err(ServeError::from)?;
    Ok(())
}

/// The component with so many bytes of DRAM, its monitor booted, behind its endpoint.
pub(super) fn board(hw: Hw, memory: u64) -> Result<Board<IdealMemory>, CliError> {
    let frames = memory / PageSize::Small.bytes();
    let lines = frames * u64::from(PageSize::Small.lines());
    let dram = IdealMemory::new(LineStore::new(lines, Fill::Noise(1)), IDEAL_LATENCY);
    // The monitor is told what there is: the table that it lays out for all that the hardware can
    // address would lie in memory that does not exist.
    let config = MonitorConfig { frames: u32::try_from(frames).ok(), ..MonitorConfig::default() };
    let options = MonitorOptions { config, ..MonitorOptions::default() };
    let booted = || -> Result<_, BoardError> {
        let component = Component::new(hw, dram).map_err(verilator_tb::MachineError::from)?;
        Board::new(Machine::boot(component, options)?)
    };
    Ok(booted().map_err(PciError::from).map_err(ServeError::from)?)
}
