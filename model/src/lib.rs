//! The golden model of Splitmem's memory component: its behaviour in plain Rust, without cycles.
//!
//! A [`Model`] answers native requests one after the other, each wholly before the next
//! ([`Model::request`]), and stands behind the same registers as the hardware ([`Model::monitor`],
//! [`Model::host`]). Its DRAM is a byte image in which the real page table lives, so that a test
//! can compare it with the hardware's byte for byte. What it answers is what `splitmem_abi` says;
//! where the hardware takes time, the model is done at once:
//!
//! | hardware | model |
//! | --- | --- |
//! | requests overlap | they take effect in the order of the calls |
//! | a TLB holds translations until a shootdown | the table is walked for every request |
//! | a frame is cleared some time after it was pushed | as soon as its free list has room |
//! | the table engine works beside the requests | at the write of `TE_COMMAND`, or, if the result queue filled up, when a result is taken |
//! | a shootdown waits for what is in flight | it is complete at the write of `SD_COMMAND` |
//! | `cycles` counts clock cycles | it counts requests; see [`Model::requests`] |
//!
//! # Following hardware
//! A lockstep checker calls the model in the order in which the hardware retires requests. Between
//! a table write and the end of the shootdown the hardware may use the old translation or the new
//! one. With [`Model::hold_shootdowns`] the model keeps what was replaced
//! ([`Model::replaced`]), tells what either would answer ([`Model::peek_status`]), and executes
//! either ([`Model::request_as`]), until [`Model::complete_shootdown`].
//!
//! # Example
//! ```
//! use splitmem_abi::bus::RegisterBus;
//! use splitmem_abi::{config::HwConfig, regs, request::{Request, Status, FULL_MASK}};
//! use splitmem_model::Model;
//!
//! let mut model = Model::new(HwConfig::SMALL);
//! let mut monitor = model.monitor();
//! // A table in the first frame, 16 frames to grant behind it, one page of pid 7 at 0x1000.
//! monitor.write(regs::ZERO_BASE.offset, 1)?;
//! monitor.write(regs::ZERO_PUSH.offset, 16)?;
//! monitor.write(regs::TE_PID.offset, 7)?;
//! monitor.write(regs::TE_VA_LO.offset, 0x1000)?;
//! monitor.write(regs::TE_COUNT.offset, 1)?;
//! let rights = regs::field::TE_FLAGS::READ.put(1) | regs::field::TE_FLAGS::WRITE.put(1);
//! monitor.write(regs::TE_FLAGS.offset, rights)?;
//! monitor.write(regs::TE_COMMAND.offset, regs::TableCommand::Insert as u32)?;
//! monitor.write(regs::CONTROL.offset, regs::field::CONTROL::ENABLE.put(1))?;
//!
//! let answer = model.request(0, &Request::write(1, 7, 0x1040, FULL_MASK, [5; 64]));
//! assert_eq!(answer.status, Status::Ok);
//! assert_eq!(model.request(1, &Request::read(2, 7, 0x1040)).data, [5; 64]);
//! assert_eq!(model.request(1, &Request::read(3, 8, 0x1040)).status, Status::NotMapped);
//! # Ok::<(), splitmem_abi::bus::BusError>(())
//! ```
#![forbid(unsafe_code)]

mod engine;
mod event_log;
mod frames;
mod inspect;
mod memory;
mod page;
mod registers;
mod replaced;
mod request;
mod shootdown;
mod statistics;
mod table;

pub use inspect::{FrameNotPending, InspectError};
pub use memory::DramMismatch;
pub use registers::{Host, Monitor};
pub use replaced::Mark;
pub use request::{Choice, RawRequest};
pub use table::{Entry, PteAddress};

use engine::TableEngine;
use event_log::EventLog;
use frames::Frames;
use memory::Memory;
use registers::RegisterFile;
use replaced::ReplacedTranslations;
use shootdown::Shootdown;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs;
use splitmem_abi::regs::field::CONTROL;
use splitmem_abi::request::{Request, Response, Status};
use statistics::Statistics;
use table::Table;

/// A memory component.
pub struct Model {
    config: HwConfig,
    memory: Memory,
    /// What registers hold by themselves; the rest of them show the parts below.
    file: RegisterFile,
    frames: Frames,
    engine: TableEngine,
    shootdown: Shootdown,
    replaced: ReplacedTranslations,
    events: EventLog,
    statistics: Statistics,
    /// High words of the counters, by side, as they were when the low ones were read.
    latched: [[u32; regs::COUNTERS.count as usize / 2]; 2],
    requests: u64,
}

impl Model {
    /// A component of these parameters after reset, its DRAM all zeros.
    ///
    /// # Panics
    /// If [`HwConfig::check`] refuses the parameters.
    pub fn new(config: HwConfig) -> Self {
        if let Err(error) = config.check() {
            panic!("unchecked hardware configuration: {error}");
        }
        Self {
            config,
            memory: Memory::new(config.pa_bits),
            file: RegisterFile::new(&config),
            frames: Frames::new(&config),
            engine: TableEngine::default(),
            shootdown: Shootdown::default(),
            replaced: ReplacedTranslations::default(),
            events: EventLog::new(config.event_log),
            statistics: Statistics::default(),
            latched: Default::default(),
            requests: 0,
        }
    }

    /// A component whose DRAM is memory of the caller's, with whatever is in it: mappings of 1 GiB,
    /// or a single smaller one, `1 << pa_bits` bytes in all. Nothing else may change them.
    ///
    /// # Errors
    /// [`DramMismatch`].
    ///
    /// # Panics
    /// If [`HwConfig::check`] refuses the parameters.
    pub fn over(config: HwConfig, dram: Vec<memmap2::MmapMut>) -> Result<Self, DramMismatch> {
        let memory = Memory::over(config.pa_bits, dram)?;
        Ok(Self { memory, ..Self::new(config) })
    }

    /// The component's parameters.
    pub fn config(&self) -> &HwConfig {
        &self.config
    }

    /// Whether the ports accept requests (`CONTROL.ENABLE`). Whoever stands before the ports must
    /// heed it: a request that is handed over is executed in any case, because hardware too
    /// finishes what it accepted before the switch was cleared.
    pub fn accepts(&self) -> bool {
        CONTROL::ENABLE.get(self.file.get(&regs::CONTROL)) == 1
    }

    /// Requests executed since reset: the model's clock.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Executes one request of a port (0 or 1) and answers it.
    #[inline]
    pub fn request(&mut self, port: u8, request: &Request) -> Response {
        self.execute(port, request.into(), Choice::Current)
    }

    /// Executes one request, whose op may be unknown, with the translation of `choice`.
    pub fn request_as(&mut self, port: u8, request: &RawRequest, choice: Choice) -> Response {
        self.execute(port, request.into(), choice)
    }

    /// The status that [`Model::request_as`] would answer now. Nothing changes.
    pub fn peek_status(&self, request: &RawRequest, choice: Choice) -> Status {
        self.foresee(request.into(), choice)
    }

    /// The registers as the monitor reaches them.
    pub fn monitor(&mut self) -> Monitor<'_> {
        Monitor(self)
    }

    /// The registers as the host reaches them.
    pub fn host(&mut self) -> Host<'_> {
        Host(self)
    }

    /// The monitor's interrupt line.
    pub fn irq_monitor(&self) -> bool {
        self.file.get(&regs::IRQ_STATUS) & self.file.get(&regs::IRQ_MASK) != 0
    }

    /// The host's interrupt line.
    pub fn irq_host(&self) -> bool {
        self.file.get(&regs::HOST_IRQ_STATUS) & self.file.get(&regs::HOST_IRQ_MASK) != 0
    }

    #[inline]
    fn table(&self) -> Table {
        Table { base: self.file.get(&regs::TABLE_BASE), log2: self.file.get(&regs::TABLE_SIZE) }
    }

    /// Sets an edge cause of the monitor's interrupt.
    fn raise(&mut self, cause: regs::Field) {
        self.file.set_bits(&regs::IRQ_STATUS, cause.mask());
    }

    /// Sets the level causes that hold now. Called after whatever can make one of them true.
    fn raise_levels(&mut self) {
        use regs::field::IRQ_STATUS;
        let low = |size, threshold| self.frames.pending(size) < self.file.get(threshold);
        let levels = IRQ_STATUS::FREE_4K_LOW.put(low(PageSize::Small, &regs::FREE_4K_LOW) as u32)
            | IRQ_STATUS::FREE_2M_LOW.put(low(PageSize::Huge, &regs::FREE_2M_LOW) as u32)
            | IRQ_STATUS::EVENT.put(!self.events.is_empty() as u32);
        self.file.set_bits(&regs::IRQ_STATUS, levels);
    }

    /// Takes the next frame out of its free list, whoever it is for.
    fn take_frame(&mut self, size: PageSize) -> Option<u32> {
        let (frame, cleared) = self.frames.grant(size, &mut self.memory)?;
        self.statistics.zeroed(size, cleared);
        self.raise_levels();
        Some(frame)
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("config", &self.config)
            .field("requests", &self.requests)
            .field("table", &self.table())
            .field("frames", &self.frames)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
