//! The golden model and the firmware's monitor, in this process.
//!
//! Requests are answered when they are submitted, and take no cycles. Mailbox commands go through the
//! host's mailbox registers to the monitor's own code, which does its work through the monitor's
//! registers, as on the component.

use std::collections::VecDeque;

use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin};
use self_cell::{self_cell, MutBorrow};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::{ConfigError, HwConfig};
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::{Counter, HW_MEMORY};
use splitmem_abi::request::Status;
use splitmem_model::Model;

use super::job::Job;
use super::mailbox;
use super::tags::port_of;
use crate::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
    PAGE_BYTES,
};

/// Completions that wait to be collected before no more work is taken.
const DEPTH: usize = 4096;

/// Times that the monitor may look at the component for one command.
const MONITOR_TURNS: u32 = 1000;

/// What stands behind a [`ModelTransport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// The component's parameters.
    pub hardware: HwConfig,
    /// The monitor's.
    pub monitor: MonitorConfig,
    /// Ranges that can be allocated at once.
    pub allocations: usize,
    /// Frames that can be shared between processes.
    pub shared_frames: usize,
}

impl From<HwConfig> for ModelConfig {
    fn from(hardware: HwConfig) -> Self {
        let monitor = MonitorConfig::default();
        Self { hardware, monitor, allocations: 1 << 14, shared_frames: 1 << 16 }
    }
}

/// Why a model could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// There is no such hardware.
    #[error("hardware parameter {0}")]
    Hardware(#[from] ConfigError),
    /// The memory that should be its DRAM is of another size.
    #[error(transparent)]
    Dram(#[from] splitmem_model::DramMismatch),
    /// The monitor could not take it into use.
    #[error("the memory monitor did not start: {0}")]
    Monitor(#[from] mcomponent_firmware::Error),
}

/// The monitor's bus. It owns the model: who wants the model asks the monitor for its bus.
struct Bus(Model);

impl RegisterBus for Bus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.monitor().read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.monitor().write(offset, value)
    }
}

/// The memory that the monitor works in.
struct Tables {
    frames: Vec<u32>,
    buckets: Vec<u32>,
    records: Vec<Record>,
    shares: Vec<SharedFrame>,
}

type Running<'a> = Monitor<'a, Bus, Spin>;

self_cell!(
    struct Component {
        owner: MutBorrow<Tables>,
        #[not_covariant]
        dependent: Running,
    }
);

/// A component in this process. See the module's documentation.
///
/// ```
/// use pcomponent_driver::backend::model::ModelTransport;
/// use pcomponent_driver::{config::CacheConfig, HwConfig, RemoteMemory};
///
/// let component = ModelTransport::new(HwConfig::SMALL)?;
/// let memory = RemoteMemory::connect(component, 1, CacheConfig::default())?;
/// assert!(memory.component_info()?.frames_free > 7000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelTransport {
    component: Component,
    done: VecDeque<Completion>,
    name: &'static str,
}

impl ModelTransport {
    /// Starts a component, and its monitor.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn new(config: impl Into<ModelConfig>) -> Result<Self, ModelError> {
        let config = config.into();
        config.hardware.check()?;
        Self::start(config, Model::new(config.hardware), "model")
    }

    /// Starts a component whose DRAM is a memory of this machine, such as a mapped CXL region: see
    /// [`Model::over`]. Its name as a transport is `name`.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn over(
        config: impl Into<ModelConfig>,
        dram: Vec<memmap2::MmapMut>,
        name: &'static str,
    ) -> Result<Self, ModelError> {
        let config = config.into();
        config.hardware.check()?;
        Self::start(config, Model::over(config.hardware, dram)?, name)
    }

    fn start(config: ModelConfig, model: Model, name: &'static str) -> Result<Self, ModelError> {
        let mut bus = Bus(model);
        let memory = bus.read(HW_MEMORY.offset).map_err(mcomponent_firmware::Error::from)?;
        let layout = config.monitor.layout(memory)?;
        let tables = Tables {
            frames: vec![0; layout.frame_words()],
            buckets: vec![0; layout.bucket_words()],
            records: vec![Record::EMPTY; config.allocations],
            shares: vec![SharedFrame::EMPTY; config.shared_frames],
        };
        let component = Component::try_new(MutBorrow::new(tables), |tables| {
            let Tables { frames, buckets, records, shares } = tables.borrow_mut();
            let tables = MonitorTables { frames, buckets, records, shares, journal: &mut [] };
            Monitor::boot(bus, Spin, tables, &config.monitor)
        })?;
        Ok(Self { component, done: VecDeque::new(), name })
    }

    /// The model, for tests that look behind the transport or break something there.
    pub fn with_model<R>(&mut self, work: impl FnOnce(&mut Model) -> R) -> R {
        self.component.with_dependent_mut(|_, monitor| work(&mut monitor.bus().0))
    }
}

/// Executes a submission. The monitor gets its turn whenever the component interrupts it.
fn execute(
    monitor: &mut Running<'_>,
    submission: Submission,
) -> Result<Completion, TransportError> {
    if let Some(completion) = execute_page(accepting(monitor)?, &submission) {
        answer_interrupt(monitor)?;
        return Ok(completion);
    }
    let mut job = Job::new(submission)?;
    for line in 0..job.lines() {
        let request = job.request(line, line as u16);
        let response = accepting(monitor)?.request(port_of(request.va) as u8, &request);
        job.answer(line, &response);
        answer_interrupt(monitor)?;
    }
    Ok(job.finish(None))
}

/// Executes a whole page at once, where the model can.
fn execute_page(model: &mut Model, submission: &Submission) -> Option<Completion> {
    let Submission { id, pid, va, ref work } = *submission;
    let data = match work {
        Work::ReadPage => model.read_page(pid, va)?.to_vec(),
        Work::WritePage { data } if model.write_page(pid, va, data) => Vec::new(),
        _ => return None,
    };
    Some(Completion { id, status: Status::Ok, data, cycles: None })
}

/// The model, if it takes requests.
fn accepting<'a>(monitor: &'a mut Running<'_>) -> Result<&'a mut Model, TransportError> {
    let model = &mut monitor.bus().0;
    if !model.accepts() {
        return Err(TransportError::Gone("the component takes no requests".into()));
    }
    Ok(model)
}

/// Gives the monitor its turn if the component interrupts it.
fn answer_interrupt(monitor: &mut Running<'_>) -> Result<(), TransportError> {
    if monitor.bus().0.irq_monitor() {
        monitor.poll().map_err(|error| TransportError::Gone(error.to_string()))?;
    }
    Ok(())
}

impl Transport for ModelTransport {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: self.name, clock_mhz: None, depth: DEPTH }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let done = &mut self.done;
        self.component.with_dependent_mut(|_, monitor| {
            let room = batch.len().min(DEPTH.saturating_sub(done.len()));
            for submission in batch.drain(..room) {
                done.push_back(execute(monitor, submission)?);
            }
            Ok(room)
        })
    }

    fn poll(&mut self, done: &mut Vec<Completion>, _wait: bool) -> Result<usize, TransportError> {
        let count = self.done.len();
        done.extend(self.done.drain(..));
        Ok(count)
    }

    fn pages_at_hand(&self) -> bool {
        true
    }

    fn read_page_now(
        &mut self,
        pid: u16,
        va: u64,
        take: &mut dyn FnMut(&[u8; PAGE_BYTES]) -> bool,
    ) -> Result<bool, TransportError> {
        self.component
            .with_dependent_mut(|_, monitor| Ok(accepting(monitor)?.read_page_if(pid, va, take)))
    }

    fn read_pages_now(
        &mut self,
        pid: u16,
        va: u64,
        most: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TransportError> {
        self.component.with_dependent_mut(|_, monitor| {
            let pages = accepting(monitor)?.read_pages(pid, va, most);
            Ok(pages.map_or(0, |pages| {
                take(pages);
                pages.len() / PAGE_BYTES
            }))
        })
    }

    fn pages_stay(&self) -> bool {
        // The DRAM is mapped once; a page that was never written is a constant.
        true
    }

    fn write_page_now(
        &mut self,
        pid: u16,
        va: u64,
        data: &[u8; PAGE_BYTES],
    ) -> Result<bool, TransportError> {
        self.component.with_dependent_mut(|_, monitor| {
            let done = accepting(monitor)?.write_page(pid, va, data);
            answer_interrupt(monitor)?;
            Ok(done)
        })
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        self.component.with_dependent_mut(|_, monitor| {
            mailbox::send(&mut monitor.bus().0.host(), command)?;
            for _ in 0..MONITOR_TURNS {
                monitor.poll().map_err(|error| TransportError::Gone(error.to_string()))?;
                if let Some(reply) = mailbox::receive(&mut monitor.bus().0.host())? {
                    return Ok(reply);
                }
            }
            Err(TransportError::Timeout(format!("{MONITOR_TURNS} turns of the monitor")))
        })
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        self.with_model(|model| mailbox::counter(&mut model.host(), counter))
    }
}
