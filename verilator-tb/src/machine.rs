//! The component with its memory monitor: what a host finds when it is switched on.

use crate::bus::Side;
use crate::component::{Component, ComponentError};
use crate::dram::LineMemory;
use crate::monitor_thread::{MonitorThread, ThreadBus};
use crate::port::Port;
use crossbeam_channel::{bounded, Receiver, Sender, TryRecvError};
use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::regs::HW_MEMORY;

/// Cycles within which a host's register access must be over.
const PATIENCE: u64 = 100_000;

/// What the memory monitor gets to work with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonitorOptions {
    /// Its configuration.
    pub config: MonitorConfig,
    /// Ranges of addresses that it can remember.
    pub records: usize,
    /// Shareable frames that it can remember.
    pub shares: usize,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self { config: MonitorConfig::default(), records: 4096, shares: 1 << 16 }
    }
}

/// Why a machine does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The component.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The monitor's thread could not be started.
    #[error("cannot start the memory monitor's thread: {0}")]
    Thread(std::io::Error),
    /// The monitor gave up.
    #[error("the memory monitor stopped: {0}")]
    Monitor(String),
}

/// What the monitor's thread tells.
enum News {
    Booted,
    Failed(String),
}

/// A component and its memory monitor, the firmware's own code in a host thread.
///
/// The same seed and the same calls give the same cycles: see [`MonitorThread`].
pub struct Machine<M> {
    // Dropped first: the thread's last accesses fail before the component is gone.
    monitor: MonitorThread,
    component: Component<M>,
    news: Receiver<News>,
    failed: Option<String>,
}

impl<M: LineMemory> Machine<M> {
    /// Boots the monitor on a component that was just reset.
    ///
    /// # Errors
    /// [`MachineError`].
    pub fn boot(component: Component<M>, options: MonitorOptions) -> Result<Self, MachineError> {
        let (tell, news) = bounded(4);
        let software = move |bus: ThreadBus| {
            // The simulation is over, or it asks no more: either way nobody listens.
            if let Err(error) = serve(bus, options, &tell) {
                let _ = tell.try_send(News::Failed(error.to_string()));
            }
        };
        let monitor = MonitorThread::spawn(software).map_err(MachineError::Thread)?;
        let mut machine = Self { monitor, component, news, failed: None };
        loop {
            machine.tick();
            match machine.news.try_recv() {
                Ok(News::Booted) => return Ok(machine),
                Ok(News::Failed(why)) => return Err(MachineError::Monitor(why)),
                Err(TryRecvError::Disconnected) => {
                    return Err(MachineError::Monitor("its thread died".to_owned()))
                }
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    /// One clock cycle.
    #[inline]
    pub fn tick(&mut self) {
        self.monitor.run(&mut self.component);
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

    /// Why the monitor stopped, if it did.
    pub fn monitor_failure(&mut self) -> Option<&str> {
        if self.failed.is_none() && self.monitor.is_over() {
            let why = match self.news.try_recv() {
                Ok(News::Failed(why)) => why,
                _ => "its thread died".to_owned(),
            };
            self.failed = Some(why);
        }
        self.failed.as_deref()
    }
}

/// The monitor's main loop.
fn serve(
    bus: ThreadBus,
    options: MonitorOptions,
    tell: &Sender<News>,
) -> Result<(), mcomponent_firmware::Error> {
    let mut bus = bus;
    let layout = options.config.layout(bus.read(HW_MEMORY.offset)?)?;
    let (mut frames, mut buckets) = (vec![0; layout.frame_words()], vec![0; layout.bucket_words()]);
    let mut records = vec![Record::EMPTY; options.records];
    let mut shares = vec![SharedFrame::EMPTY; options.shares];
    let tables = MonitorTables {
        frames: &mut frames,
        buckets: &mut buckets,
        records: &mut records,
        shares: &mut shares,
    };
    let wait = bus.waiter();
    let mut monitor = Monitor::boot(bus, wait, tables, &options.config)?;
    // The first poll fills the free lists before the host is let in.
    while !monitor.poll()?.may_sleep {}
    let _ = tell.try_send(News::Booted);
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
