//! `splitmem board`: the simulated board, for debuggers and hosts.

use splitmem_abi::geometry::PageSize;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::soc::{Image, Isolation, Log, RttChannel};
use verilator_tb::{Component, Hw, Machine, MachineError, MonitorOptions, MonitorPlace};

use crate::board::server::Server;
use crate::board::{BoardError, DEBUG_ADDRESS, HOST_ADDRESS};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::size::parse_bytes;

/// Cycles of the DRAM from command to reply.
const DRAM_LATENCY: u32 = 20;

/// Run the simulated board: the component, its soft core and the memory monitor on it.
///
/// It listens at two TCP ports of this machine: one is a JTAG probe (Black Magic Probe's remote
/// protocol, which probe-rs speaks), the other one gives the host's registers to 'splitmem
/// component'. It runs until Ctrl-C.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  splitmem board
  splitmem component info
  splitmem log --board sim
  probe-rs attach --probe 1d50:6018:127.0.0.1:7777 --protocol jtag --chip splitmem-soc \\
      --chip-description-path mcomponent-firmware/softcore/splitmem-soc.yaml FIRMWARE.elf")]
pub struct Args {
    /// Hardware configuration: large or small
    #[arg(long, default_value_t = Hw::Small)]
    hw: Hw,
    /// DRAM of the component
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "32MiB")]
    memory: u64,
    /// Where debuggers connect
    #[arg(long, value_name = "HOST:PORT", default_value = DEBUG_ADDRESS)]
    debug: String,
    /// Where hosts connect
    #[arg(long, value_name = "HOST:PORT", default_value = HOST_ADDRESS)]
    host: String,
    /// How much is kept apart in the firmware: none, guards or full
    #[arg(long, default_value_t = Isolation::default())]
    isolation: Isolation,
    /// Print the firmware's log here too
    #[arg(long)]
    log: bool,
}

impl Args {
    /// Runs the board.
    ///
    /// # Errors
    /// [`CliError::Board`], [`CliError::Machine`].
    pub fn run(self) -> Result<(), CliError> {
        let mut server = Server::listen(&self.debug, &self.host)?;
        let frames = self.memory / PageSize::Small.bytes();
        let store = LineStore::new(frames * u64::from(PageSize::Small.lines()), Fill::Noise(1));
        let component = Component::new(self.hw, IdealMemory::new(store, DRAM_LATENCY));
        let component = component.map_err(MachineError::from).map_err(simulation)?;
        let place = MonitorPlace::Firmware;
        let mut options =
            MonitorOptions { place, isolation: self.isolation, ..MonitorOptions::default() };
        options.config.frames = Some(u32::try_from(frames).unwrap_or(u32::MAX));
        let mut machine = Machine::boot(component, options).map_err(simulation)?;

        let image = Image::read(options.isolation.monitor())
            .map_err(|source| BoardError::Image { path: "the built firmware".into(), source })?;
        let ring = image.symbol("_SEGGER_RTT").map(RttChannel::new);
        let mut log = Log::new(options.isolation.monitor()).map_err(BoardError::from)?;
        println!("the board is up: {} of memory, monitor on the soft core", self.hw);
        println!("debugger: {}   host: {}   (Ctrl-C ends it)", self.debug, self.host);
        let interrupt = Interrupt::install();
        server.serve(&mut machine, |machine| {
            if let (true, Some(ring), Some(core)) = (self.log, ring, machine.core_mut()) {
                let Ok(bytes) = ring.take(core);
                for line in log.lines(&bytes) {
                    println!("{line}");
                }
            }
            !interrupt.is_raised()
        });
        Ok(())
    }
}

fn simulation(error: MachineError) -> CliError {
    CliError::Machine(error.into())
}
