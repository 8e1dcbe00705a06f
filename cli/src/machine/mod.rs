//! The machine that a program runs on: the memory component and the cache at the host, as the
//! command line describes them.

pub mod cxl_sim;
pub mod hardware;
pub mod memory;
pub mod pcie_board;
pub mod rtl;
pub mod session;

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use mcomponent_firmware::MonitorConfig;
use pcomponent_driver::backend::model::{ModelConfig, ModelError, ModelTransport};
use pcomponent_driver::backend::pcie::vfio::{OpenError, VfioDevice};
use pcomponent_driver::backend::pcie::vfio_user::{ConnectError, VfioUserDevice};
use pcomponent_driver::backend::pcie::PcieTransport;
use pcomponent_driver::backend::serial::SerialTransport;
use pcomponent_driver::config::{
    Associativity, CacheConfig, ConfigError, DirtyTracking, Eviction, ExCacheConfig, Prefetch,
    Replacement, VCacheConfig,
};
use pcomponent_driver::transport::{Transport, PAGE_BYTES};
use pcomponent_driver::{MemoryError as DriverError, RemoteMemory};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_cxl_host::linux::dax;
use verilator_tb::cxl::LinkOptions;
use verilator_tb::dram::{Fill, IdealMemory, LineMemory, LineStore, Preset, TimedDram};
use verilator_tb::{Component, Hw, Machine, MonitorOptions, MonitorPlace};

use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::observe::Observed;
use crate::size::{parse_bytes, Size};
use cxl_sim::CxlSimTransport;
use hardware::{Hardware, HardwareError};
use memory::ComponentMemory;
use rtl::RtlTransport;
use session::Session;

/// DRAM of a component, where nothing else is said, in bytes.
const MEMORY: u64 = 256 << 20;
/// Cycles from command to reply of the ideal DRAM.
const IDEAL_LATENCY: u32 = 20;
/// Cycles that a flit is on its way.
const FLIGHT: usize = 16;
/// The process that the workload is.
const PID: u16 = 1;

/// What answers the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Backend {
    /// The component's hardware description, simulated cycle by cycle
    Rtl,
    /// The same, reached through its CXL.mem device: every line a CXL.mem message
    CxlSim,
    /// Mapped memory of this machine, as of a CXL region (--dax), managed as the component would
    Cxl,
    /// The golden model: the same answers, many times faster, no cycles
    Model,
    /// A board at a serial port, or a simulated one (splitmem serve); see --port
    Serial,
    /// A PCI device of this machine, bound to vfio-pci; see --port
    Pci,
    /// A simulated PCI device (splitmem serve --vfio-user); see --port
    VfioUser,
}

impl Backend {
    /// Whether hardware is simulated, with cycles and signals.
    fn simulates(self) -> bool {
        matches!(self, Self::Rtl | Self::CxlSim)
    }

    /// Whether it is found by a --port, with hardware and memory of its own.
    fn has_port(self) -> bool {
        matches!(self, Self::Serial | Self::Pci | Self::VfioUser)
    }
}

/// DRAM behind the component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Dram {
    /// DDR4-2400, 8 Gb x8, 64-bit rank
    #[value(name = "ddr4-2400")]
    Ddr4_2400,
    /// DDR3-1600, 8 Gb x16, 64-bit rank
    #[value(name = "ddr3-1600")]
    Ddr3_1600,
    /// Every line after the same few cycles
    Ideal,
}

/// The word on the command line for a value.
pub fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A Verilated component over its DRAM, with the monitor booted; its clock in MHz beside the DRAM.
///
/// # Errors
/// [`MachineError::Dram`] and [`MachineError::Simulation`].
pub fn simulation(
    hw: Hw,
    (dram, clock): (Dram, u32),
    frames: u64,
    (monitor, place): (MonitorConfig, MonitorPlace),
    trace: Option<&Path>,
) -> Result<RtlTransport<Box<dyn LineMemory + Send>>, MachineError> {
    // What a DRAM holds at power-up is anything: nothing may depend on it.
    let store = LineStore::new(frames * u64::from(PageSize::Small.lines()), Fill::Noise(1));
    let dram: Box<dyn LineMemory + Send> = match dram {
        Dram::Ideal => Box::new(IdealMemory::new(store, IDEAL_LATENCY)),
        Dram::Ddr4_2400 => Box::new(TimedDram::new(&Preset::Ddr4_2400.config(), store, clock)?),
        Dram::Ddr3_1600 => Box::new(TimedDram::new(&Preset::Ddr3_1600.config(), store, clock)?),
    };
    let component = match trace {
        Some(path) => Component::traced(hw, dram, path),
        None => Component::new(hw, dram),
    };
    let component = component.map_err(verilator_tb::MachineError::from)?;
    let options = MonitorOptions { config: monitor, place, ..MonitorOptions::default() };
    let machine = Machine::boot(component, options)?;
    Ok(RtlTransport::new(machine, f64::from(clock)))
}

/// Which cache stands at the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Cache {
    /// 4 KiB pages in local memory, under software control
    Excache,
    /// 64-byte lines, virtually indexed and tagged
    Vcache,
    /// No cache: every access is a request
    None,
}

/// The machine.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Machine")]
pub struct MachineArgs {
    /// What answers the requests
    #[arg(long, value_enum, default_value_t = Backend::Rtl)]
    pub backend: Backend,

    /// Where the board is, whose own hardware and memory are used: a serial port (--backend serial), a
    /// PCI device's address such as 0000:03:00.0 (pci), or a socket (vfio-user)
    #[arg(
        long,
        value_name = "PATH|ADDRESS",
        required_if_eq_any([("backend", "serial"), ("backend", "pci"), ("backend", "vfio-user")])
    )]
    pub port: Option<String>,

    /// Hardware configuration: large, small, or a TOML file
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "large")]
    pub hw: Hardware,

    /// DRAM behind the component
    #[arg(long, value_enum, default_value_t = Dram::Ddr4_2400)]
    pub dram: Dram,

    /// Clock of the component, by which its cycles turn into time and the DRAM's clock into its
    #[arg(long, value_name = "MHZ", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub clock: u32,

    /// DRAM that the component has [default: 256MiB, or as much as the hardware can address]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub memory: Option<u64>,

    /// Where the memory monitor runs: host (beside the simulation) or firmware (on the soft
    /// core, at half of the component's clock)
    #[arg(long, value_name = "PLACE", default_value_t)]
    pub monitor: MonitorPlace,
    /// dax device (dax0.0) of --backend cxl, or a file to stand in for one; all in it is overwritten
    #[arg(long, value_name = "NAME|FILE")]
    pub dax: Option<PathBuf>,

    /// With --backend cxl-sim: messages go through the link layer, as flits, of which this share is hit by
    /// bit errors on its way
    #[arg(long, value_name = "ERRORS", num_args = 0..=1, default_missing_value = "0", value_parser = parse_share)]
    pub link: Option<f64>,

    /// Record the component's signals in this FST file (slow: for short runs)
    #[arg(long, value_name = "FILE.fst")]
    pub trace: Option<PathBuf>,

    #[allow(missing_docs)] // a doc comment here would become the heading's help
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// The cache at the host.
// The fields' docs are what --help prints, where brackets mark what may be left out.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cache at the host")]
pub struct CacheArgs {
    /// Which cache
    #[arg(long, value_enum, default_value_t = Cache::Excache)]
    pub cache: Cache,

    /// Local memory of ExCache: bytes, or a share of all that the workload allocates
    #[arg(long, value_name = "SIZE", default_value = "25%")]
    pub excache: Size,

    /// Frames that a page may go to: a number of ways, or full [default: 64, or all there are]
    #[arg(long, value_name = "WAYS")]
    pub ways: Option<Associativity>,

    /// Which page leaves a full set: fifo, lru (clock) or random
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub replacement: Replacement,

    /// How a dirty page leaves: write-protect, set-list, or victim[:PAGES]
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub eviction: Eviction,

    /// Which pages are fetched ahead: none, sequential[:PAGES], stride[:PAGES] or trend[:PAGES]
    #[arg(long, value_name = "POLICY", default_value_t)]
    pub prefetch: Prefetch,

    /// What a write-back writes: the page, or the lines of it that were written
    #[arg(long, value_name = "UNIT", default_value_t)]
    pub dirty: DirtyTracking,

    /// Fetch fresh memory from the component too, instead of filling it with zeros at the host
    #[arg(long)]
    pub no_zero_fill: bool,
}

/// Why the machine cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The cache's shape.
    #[error("{0}")]
    Cache(#[from] ConfigError),
    /// The hardware's parameters.
    #[error(transparent)]
    Hardware(#[from] HardwareError),
    /// More DRAM than the hardware can address.
    #[error("--memory {asked}: this hardware addresses at most {most} of DRAM (its pa_bits)")]
    Memory {
        /// What was asked for.
        asked: ByteSize,
        /// What there can be.
        most: ByteSize,
    },
    /// Hardware that was not Verilated when this program was built.
    #[error(
        "the simulator was built for --hw large and --hw small; to run {0}, use --backend model, or \
         splitmem hdl emit and a simulator of your own"
    )]
    NotBuilt(Hardware),
    /// The simulated component does not start.
    #[error("the simulated component does not start: {0}")]
    Simulation(#[from] verilator_tb::MachineError),
    /// Its DRAM does not.
    #[error("the DRAM model does not start: {0}")]
    Dram(#[from] verilator_tb::dram::ConfigError),
    /// The golden model does not start.
    #[error("the golden model does not start: {0}")]
    Model(#[from] ModelError),
    /// The board at a port.
    #[error("the board cannot be used: {0}")]
    Board(pcomponent_driver::transport::TransportError),
    /// The PCI device.
    #[error(transparent)]
    Pci(#[from] OpenError),
    /// The simulated PCI device.
    #[error(transparent)]
    VfioUser(#[from] ConnectError),
    /// The memory of a CXL region cannot be mapped.
    #[error(transparent)]
    Cxl(#[from] splitmem_cxl_host::linux::error::CxlError),
    /// The driver found no way to the component.
    #[error("the memory component cannot be reached: {0}")]
    Driver(#[from] DriverError),
}

impl MachineArgs {
    /// Checks what can be checked before any work is done.
    ///
    /// # Errors
    /// [`CliError::Usage`] for options that do not go together, [`CliError::Machine`] for a hardware
    /// configuration that cannot be read or built.
    pub fn check(&self) -> Result<(), CliError> {
        let usage = |message: &str| Err(CliError::Usage(message.to_owned()));
        if !self.backend.simulates() && self.trace.is_some() {
            return usage(
                "--trace records hardware signals, which only a simulated component has; use \
                 --backend rtl",
            );
        }
        if !self.backend.simulates() && self.monitor == MonitorPlace::Firmware {
            return usage(
                "--monitor firmware runs on the simulated soft core, which only a simulated \
                 component has; use --backend rtl",
            );
        }
        if self.link.is_some() && self.backend != Backend::CxlSim {
            return usage("--link is between a host and its CXL device: use --backend cxl-sim");
        }
        if (self.backend == Backend::Cxl) != self.dax.is_some() {
            return usage("--backend cxl and --dax go together: the one maps what the other names");
        }
        let hardware = self.hw.config().map_err(MachineError::from)?;
        self.memory(&hardware)?;
        Ok(())
    }

    /// Builds the machine and starts it. `footprint` is what the workload allocates, in bytes.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn start(&self, footprint: u64, interrupt: Interrupt) -> Result<Session, MachineError> {
        let cache = self.cache.config(footprint)?;
        let (transport, observer) = Observed::new(self.transport()?);
        let remote = RemoteMemory::connect(transport, PID, cache)?;
        Ok(Session::new(ComponentMemory::new(remote), observer, interrupt))
    }

    /// Bytes of DRAM of the component.
    fn memory(&self, hardware: &HwConfig) -> Result<u64, MachineError> {
        let most = hardware.frames() * PageSize::Small.bytes();
        match self.memory {
            None => Ok(MEMORY.min(most)),
            Some(bytes) if bytes <= most => Ok(bytes),
            Some(bytes) => {
                Err(MachineError::Memory { asked: ByteSize(bytes), most: ByteSize(most) })
            }
        }
    }

    /// The component.
    fn transport(&self) -> Result<Box<dyn Transport>, MachineError> {
        let hardware = self.hw.config()?;
        let frames = self.memory(&hardware)? / PageSize::Small.bytes();
        let mut config = ModelConfig::from(hardware);
        config.monitor.frames = u32::try_from(frames).ok();
        let port = self.port.as_deref().unwrap_or_default();
        match self.backend {
            Backend::Model => Ok(Box::new(ModelTransport::new(config)?)),
            Backend::Rtl => Ok(Box::new(self.simulation(frames, config.monitor)?)),
            Backend::Serial => {
                let board = SerialTransport::open(port, MonitorConfig::default());
                Ok(Box::new(board.map_err(MachineError::Board)?))
            }
            Backend::Pci => {
                let board = PcieTransport::start(VfioDevice::open(port)?);
                Ok(Box::new(board.map_err(MachineError::Board)?))
            }
            Backend::VfioUser => {
                let board = PcieTransport::start(VfioUserDevice::connect(Path::new(port))?);
                Ok(Box::new(board.map_err(MachineError::Board)?))
            }
            Backend::Cxl => {
                let dram = dax::owned(self.dax.as_deref().unwrap_or(Path::new("")))?;
                let bytes: u64 = dram.iter().map(|chunk| chunk.len() as u64).sum();
                let hardware = HwConfig { pa_bits: bytes.ilog2(), ..hardware };
                config = ModelConfig::from(hardware);
                Ok(Box::new(ModelTransport::over(config, dram, "cxl")?))
            }
            Backend::CxlSim => {
                let machine = self.simulation(frames, config.monitor)?.into_machine();
                let link = self.link.map(|errors| LinkOptions { flight: FLIGHT, errors, seed: 1 });
                let transport = CxlSimTransport::new(machine, f64::from(self.clock), link);
                Ok(Box::new(transport.map_err(verilator_tb::MachineError::from)?))
            }
        }
    }

    /// The Verilated component over its DRAM, with the monitor booted.
    fn simulation(
        &self,
        frames: u64,
        monitor: MonitorConfig,
    ) -> Result<RtlTransport<Box<dyn LineMemory + Send>>, MachineError> {
        let hw = match &self.hw {
            Hardware::Large => Hw::Large,
            Hardware::Small => Hw::Small,
            file @ Hardware::File(_) => return Err(MachineError::NotBuilt(file.clone())),
        };
        let monitor = (monitor, self.monitor);
        simulation(hw, (self.dram, self.clock), frames, monitor, self.trace.as_deref())
    }

    /// What the machine is, as it was asked for.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        facts.add("backend", "Backend", word(&self.backend), "");
        if self.backend.has_port() {
            // Everything else is the board's own.
            facts.add("port", "Port", self.port.clone().unwrap_or_default(), "");
            return facts;
        }
        facts.add("hw", "Hardware configuration", self.hw.to_string(), "");
        if self.backend.simulates() {
            facts.add("dram", "DRAM", word(&self.dram), "");
            facts.add("clock_mhz", "Clock of the component", u64::from(self.clock), "MHz");
            facts.add("monitor", "Memory monitor runs in", self.monitor.to_string(), "");
        }
        if let Some(errors) = self.link {
            facts.add("link_errors", "CXL link: flits hit by bit errors", errors, "of all");
        }
        if let Some(dax) = &self.dax {
            facts.add("dax", "Mapped memory", dax.display().to_string(), "");
            return facts;
        }
        if let Ok(bytes) = self.hw.config().map_err(Into::into).and_then(|hw| self.memory(&hw)) {
            facts.add("memory_bytes", "Memory of the component", bytes, "bytes");
        }
        facts
    }
}

impl CacheArgs {
    fn config(&self, footprint: u64) -> Result<CacheConfig, ConfigError> {
        match self.cache {
            Cache::None => Ok(CacheConfig::None),
            Cache::Vcache => Ok(VCacheConfig::default().into()),
            Cache::Excache => {
                // A share of little is rounded up to whole pages, and to as few as make sense.
                let asked = usize::try_from(self.excache.of(footprint)).unwrap_or(usize::MAX);
                let bytes = match self.excache {
                    Size::Bytes(_) => asked,
                    Size::Share(_) => {
                        asked.div_ceil(PAGE_BYTES).max(FEWEST).saturating_mul(PAGE_BYTES)
                    }
                };
                let ways = self.ways.unwrap_or(match Associativity::default() {
                    Associativity::Ways(ways) if ways * PAGE_BYTES <= bytes => {
                        Associativity::Ways(ways)
                    }
                    _ => Associativity::Full,
                });
                let config = ExCacheConfig::with_bytes(bytes)
                    .associativity(ways)
                    .replacement(self.replacement)
                    .eviction(self.eviction)
                    .prefetch(self.prefetch)
                    .dirty(self.dirty)
                    .zero_fill(!self.no_zero_fill);
                config.shape()?;
                Ok(config.into())
            }
        }
    }
}

/// A probability that leaves something to get through.
fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=0.1).contains(&share) => Ok(share),
        _ => Err("expected a share of the flits from 0 to 0.1, such as 1e-4".into()),
    }
}

/// Fewest pages of an ExCache that is given as a share.
const FEWEST: usize = 4;
