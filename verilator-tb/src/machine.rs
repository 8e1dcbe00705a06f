//! The component with its memory monitor: what a host finds when it is switched on.

use crate::bus::Side;
use crate::component::{Component, ComponentError};
use crate::dram::LineMemory;
use crate::monitor_task::{MonitorTask, TaskBus};
use crate::port::Port;
use crate::soc::{Image, ImageError, Isolation, SoftCore};
use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::mailbox::{MemoryFault, ReturnCode};
use splitmem_abi::regs::field::{CONTROL as CONTROL_FIELDS, MB_STATUS};
use splitmem_abi::regs::{
    CONTROL, HW_MEMORY, MAILBOX_WORDS, MB_PAYLOAD, MB_STATUS as MB_STATUS_AT,
};
use splitmem_abi::soc::SocConfig;

/// Cycles within which a host's register access must be over.
const PATIENCE: u64 = 100_000;
/// Cycles within which the firmware must be up, per frame of the component's memory and besides. It
/// clears the page table, which takes less than a twentieth of that.
const BOOT_PATIENCE: (u64, u64) = (100, 20_000_000);
/// 4 KiB frames whose tables fit the soft core's memory: 512 MiB.
const FIRMWARE_FRAMES: u32 = 1 << 17;

/// Where the memory monitor runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MonitorPlace {
    /// In the simulator's process, on a stack of its own.
    #[default]
    Host,
    /// As firmware on the soft core.
    Firmware,
}

impl std::fmt::Display for MonitorPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Firmware => "firmware",
        })
    }
}

impl std::str::FromStr for MonitorPlace {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "host" => Ok(Self::Host),
            "firmware" => Ok(Self::Firmware),
            _ => Err(format!("no such place: {name}; there are host and firmware")),
        }
    }
}

/// What the memory monitor gets to work with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonitorOptions {
    /// Its configuration. On the soft core only the number of frames counts; the rest is the
    /// firmware's own.
    pub config: MonitorConfig,
    /// Ranges of addresses that it can remember, in the host.
    pub records: usize,
    /// Shareable frames that it can remember, in the host.
    pub shares: usize,
    /// Where it runs.
    pub place: MonitorPlace,
    /// Clocks of the component per clock of the soft core.
    pub clock_ratio: u32,
    /// Which firmware, on the soft core.
    pub isolation: Isolation,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self {
            config: MonitorConfig::default(),
            records: 4096,
            shares: 1 << 16,
            place: MonitorPlace::default(),
            clock_ratio: SocConfig::DEFAULT.clock_ratio,
            isolation: Isolation::default(),
        }
    }
}

/// Why a machine does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// There is no memory for the monitor's stack.
    #[error("no memory for the memory monitor's stack: {0}")]
    Stack(std::io::Error),
    /// The monitor gave up.
    #[error("the memory monitor stopped: {0}")]
    Monitor(String),
    /// The firmware that was built with this crate is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The soft core's memory is too small for this component.
    #[error(
        "the monitor on the soft core manages at most {FIRMWARE_FRAMES} frames (512 MiB), and the \
         component has {0}; run it with less memory, or with the monitor in the host"
    )]
    TooManyFrames(u64),
    /// The monitor has tested the component's memory, and serves nothing.
    #[error(
        "the component's memory failed the monitor's test at address {address:#x}, bits {bits:#010x} \
         of the word: nothing is served"
    )]
    BadMemory {
        /// Byte address of a 32-bit word.
        address: u64,
        /// Its wrong bits; none if they are not known.
        bits: u32,
    },
}

/// The monitor.
enum Mind {
    Task(MonitorTask),
    Core(Box<SoftCore>),
}

/// A component and its memory monitor, the firmware's own code in the host or on the soft core.
///
/// The same seed and the same calls give the same cycles.
pub struct Machine<M> {
    // Dropped first: its last accesses fail before the component is gone.
    monitor: Mind,
    component: Component<M>,
    failed: Option<String>,
}

impl<M: LineMemory> Machine<M> {
    /// Boots the monitor on a component that was just reset.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn boot(component: Component<M>, options: MonitorOptions) -> Result<Self, MachineError> {
        match options.place {
            MonitorPlace::Host => Self::boot_host(component, options),
            MonitorPlace::Firmware => Self::boot_core(component, options),
        }
    }

    /// Boots an image of the firmware, the built one if there is none given.
    fn boot_core(component: Component<M>, options: MonitorOptions) -> Result<Self, MachineError> {
        let addressable = component.hw().config().frames();
        let frames = options.config.frames.map_or(addressable, u64::from);
        let frames = match u32::try_from(frames) {
            Ok(frames) if frames <= FIRMWARE_FRAMES => frames,
            _ => return Err(MachineError::TooManyFrames(frames)),
        };
        let image = Image::read(options.isolation.monitor())?;
        let core = SoftCore::new(Some(&image), options.clock_ratio, frames);
        let core = Box::new(core.ok_or(ComponentError::NoMemory)?);
        let mut machine = Self { monitor: Mind::Core(core), component, failed: None };
        let patience = machine.cycle() + BOOT_PATIENCE.0 * u64::from(frames) + BOOT_PATIENCE.1;
        // Up is a monitor that has let requests in and waits for work.
        while machine.cycle() < patience {
            machine.tick();
            if machine.core().is_some_and(SoftCore::is_asleep) {
                if let Some(fault) = machine.memory_fault()? {
                    return Err(fault);
                }
                let control = machine.host().read(CONTROL.offset).map_err(ComponentError::from)?;
                if CONTROL_FIELDS::ENABLE.get(control) == 1 {
                    return Ok(machine);
                }
            }
            if let Some(why) = machine.monitor_failure() {
                return Err(MachineError::Monitor(why.to_owned()));
            }
        }
        let pc = machine.core().map_or(0, SoftCore::pc);
        Err(MachineError::Monitor(format!("the firmware is not up in time; it is at {pc:#010x}")))
    }

    /// What the monitor says of the component's memory before it lets requests in.
    fn memory_fault(&mut self) -> Result<Option<MachineError>, MachineError> {
        let mut host = self.host();
        let mut read = |offset| host.read(offset).map_err(ComponentError::from);
        if MB_STATUS::CODE.get(read(MB_STATUS_AT.offset)?) != ReturnCode::MemoryFault as u32 {
            return Ok(None);
        }
        let mut words = [0; MAILBOX_WORDS];
        for (i, word) in (0..MemoryFault::BYTES / 4).zip(&mut words) {
            *word = read(MB_PAYLOAD.at(i))?;
        }
        let MemoryFault { address_lo, address_hi, bits } = MemoryFault::decode(&words);
        let address = u64::from(address_hi) << 32 | u64::from(address_lo);
        Ok(Some(MachineError::BadMemory { address, bits }))
    }

    fn boot_host(component: Component<M>, options: MonitorOptions) -> Result<Self, MachineError> {
        // SAFETY: what `serve` keeps are vectors of plain data, and the monitor, which borrows them.
        let task = unsafe { MonitorTask::spawn(move |bus| serve(bus, options)) };
        let monitor = Mind::Task(task.map_err(MachineError::Stack)?);
        let mut machine = Self { monitor, component, failed: None };
        loop {
            machine.tick();
            if matches!(&machine.monitor, Mind::Task(task) if task.is_ready()) {
                return Ok(machine);
            }
            if let Some(why) = machine.monitor_failure() {
                return Err(MachineError::Monitor(why.to_owned()));
            }
        }
    }

    /// One clock cycle.
    #[inline]
    pub fn tick(&mut self) {
        match &mut self.monitor {
            Mind::Task(task) => task.run(&mut self.component),
            Mind::Core(core) => core.run(&mut self.component),
        }
        self.component.tick();
    }

    /// Clock cycles since the beginning of reset.
    #[inline]
    pub fn cycle(&self) -> u64 {
        self.component.cycle()
    }

    /// A request port.
    ///
    /// # Panics
    /// If `port` is not 0 or 1, like an index beyond a slice.
    #[inline]
    pub fn port(&mut self, port: usize) -> &mut Port {
        self.component.port(port)
    }

    /// The component.
    pub fn component(&self) -> &Component<M> {
        &self.component
    }

    /// The component, for what is beyond the machine: stalls, traces, its memory. Its monitor's bus
    /// is taken.
    pub fn component_mut(&mut self) -> &mut Component<M> {
        &mut self.component
    }

    /// The host's registers. An access ticks the machine until it is over.
    pub fn host(&mut self) -> HostBus<'_, M> {
        HostBus(self)
    }

    /// The soft core, if the monitor runs on it.
    pub fn core(&self) -> Option<&SoftCore> {
        match &self.monitor {
            Mind::Core(core) => Some(core),
            Mind::Task(_) => None,
        }
    }

    /// The soft core, to be debugged.
    pub fn core_mut(&mut self) -> Option<&mut SoftCore> {
        match &mut self.monitor {
            Mind::Core(core) => Some(core),
            Mind::Task(_) => None,
        }
    }

    /// Whether the monitor sleeps and has no reason to wake up, and no request is in flight.
    pub fn is_quiet(&self) -> bool {
        let asleep = match &self.monitor {
            Mind::Task(task) => task.is_asleep(),
            Mind::Core(core) => core.is_asleep(),
        };
        asleep
            && !self.component.irq(Side::Monitor)
            && self.component.ports().iter().all(Port::is_idle)
    }

    /// Why the monitor stopped for good, if it did. Firmware that fails is restarted by its
    /// watchdog, and has not stopped.
    pub fn monitor_failure(&mut self) -> Option<&str> {
        if let (None, Mind::Task(task)) = (&self.failed, &self.monitor) {
            self.failed = task.end().map(|end| match end {
                Ok(()) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            });
        }
        self.failed.as_deref()
    }
}

/// The monitor's main loop.
fn serve(mut bus: TaskBus<'_>, options: MonitorOptions) -> Result<(), mcomponent_firmware::Error> {
    let layout = options.config.layout(bus.read(HW_MEMORY.offset)?)?;
    let (mut frames, mut buckets) = (vec![0; layout.frame_words()], vec![0; layout.bucket_words()]);
    let mut records = vec![Record::EMPTY; options.records];
    let mut shares = vec![SharedFrame::EMPTY; options.shares];
    let tables = MonitorTables {
        frames: &mut frames,
        buckets: &mut buckets,
        records: &mut records,
        shares: &mut shares,
        journal: &mut [],
    };
    let mut monitor = Monitor::boot(bus, bus, tables, &options.config)?;
    // The first poll fills the free lists before the host is let in.
    while !monitor.poll()?.may_sleep {}
    bus.ready()?;
    loop {
        match monitor.bus().wait_for_interrupt() {
            // The simulation is over.
            Err(BusError::Gone) => return Ok(()),
            result => result?,
        }
        while !monitor.poll()?.may_sleep {}
    }
}

/// The registers as the host of a [`Machine`] reaches them.
pub struct HostBus<'a, M>(&'a mut Machine<M>);

impl<M: LineMemory> HostBus<'_, M> {
    fn access(&mut self, access: crate::bus::BusAccess) -> Result<u32, BusError> {
        let machine = &mut *self.0;
        let patience = machine.cycle() + PATIENCE;
        let mut started = false;
        while machine.cycle() < patience {
            started = started || machine.component.bus_start(Side::Host, access);
            machine.tick();
            if started {
                if let Some(result) = machine.component.bus_poll(Side::Host) {
                    return result;
                }
            }
        }
        Err(BusError::Gone)
    }
}

impl<M: LineMemory> RegisterBus for HostBus<'_, M> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(crate::bus::BusAccess::Read(offset))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(crate::bus::BusAccess::Write(offset, value)).map(drop)
    }
}
