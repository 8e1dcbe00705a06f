//! The monitor and its start.

use crate::error::Error;
use crate::hal::{Registers, Wait, Waiting};
use crate::journal::{Entry, Journal};
use crate::layout::{Divided, Layout, MonitorTables};
use crate::mailbox::IRQ_MASK;
use crate::shares::Shares;
use crate::space::AddressSpaces;
use crate::supply::{Lane, Supply};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, FRAMES_PER_HUGE, PAGE_SHIFT};
use splitmem_abi::mailbox::{PostMortem, POST_MORTEM_TEXT};
use splitmem_abi::regs::field::{
    CONTROL, HW_MEMORY, HW_PATH, STATUS, TABLE_BASE, TABLE_SIZE, VERSION, ZERO_STATUS,
};
use splitmem_abi::regs::{self, ID_VALUE, VERSION_VALUE};

/// What the binary decides about the monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonitorConfig {
    /// 4 KiB frames of memory that are there. `None`: as many as the component can address.
    pub frames: Option<u32>,
    /// log2 of the page table's buckets. `None`: two slots per frame or a little more.
    pub log2_buckets: Option<u32>,
    /// Promise more memory than there is. A first write can then be answered `NoMemory`; without
    /// it, an allocation is refused that could not be filled.
    pub overcommit: bool,
    /// Looks at a register before the component counts as stuck ([`Error::Stuck`]).
    pub patience: u32,
}

impl Default for MonitorConfig {
    /// All memory, no overcommit. The patience is several times what the
    /// longest wait (a 2 MiB frame cleared, 64 buckets read and written) takes a fast core.
    fn default() -> Self {
        Self { frames: None, log2_buckets: None, overcommit: false, patience: 1 << 24 }
    }
}

impl MonitorConfig {
    /// The memory that a component with this `HW_MEMORY` register is laid out to. A binary that
    /// allocates the monitor's tables at run time asks for their sizes here.
    ///
    /// # Errors
    /// [`Error::Geometry`].
    pub fn layout(&self, hw_memory: u32) -> Result<Layout, Error> {
        let addressable = 1u64 << HW_MEMORY::PA_BITS.get(hw_memory).saturating_sub(PAGE_SHIFT);
        // What is beyond 32 bits is refused by `Layout::new`.
        let addressable = u32::try_from(addressable).unwrap_or(u32::MAX);
        let frames = self.frames.unwrap_or(addressable);
        if frames > addressable {
            return Err(Error::Geometry { frames, log2_buckets: self.log2_buckets.unwrap_or(0) });
        }
        Layout::new(frames, self.log2_buckets)
    }
}

/// What the hardware says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hardware {
    pub tlb_sets: u32,
    pub pa_bits: u32,
    pub statistics: bool,
}

/// What the monitor counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Telemetry {
    pub commands: u32,
    pub commands_refused: u32,
    pub refills: u32,
    pub shootdowns: u32,
    pub shootdown_cycles_max: u32,
    pub no_address: u32,
    /// Interrupts, each of which may stand for several answers.
    pub no_memory: u32,
    pub uncorrectable: bool,
    pub anomalies: u32,
    pub restarts: u32,
}

/// Where the frames are, in 4 KiB. Their sum is [`Layout::frames`], unless the component lost some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameAccounts {
    /// The page table's own.
    pub table: u32,
    /// In the monitor's pool.
    pub pool: u32,
    /// In the hardware: queued, being cleared, or in a free list.
    pub pending: u32,
    /// Granted to a private page.
    pub granted: u32,
    /// Under shareable memory.
    pub shared: u32,
}

/// The memory monitor of one component. See the crate's documentation.
#[derive(Debug)]
pub struct Monitor<'a, B, W> {
    pub(crate) regs: Registers<B, W>,
    pub(crate) layout: Layout,
    pub(crate) hardware: Hardware,
    pub(crate) space: AddressSpaces<'a>,
    pub(crate) supply: Supply<'a>,
    pub(crate) shares: Shares<'a>,
    pub(crate) telemetry: Telemetry,
    pub(crate) journal: Journal<'a>,
    /// The next command was begun by a monitor before this one.
    pub(crate) resuming: bool,
    pub(crate) post_mortem: (PostMortem, [u32; POST_MORTEM_TEXT]),
}

impl<'a, B: RegisterBus, W: Wait> Monitor<'a, B, W> {
    /// Takes a component that was just reset into use: lays out its memory, clears the page table,
    /// and lets requests in.
    ///
    /// # Errors
    /// [`Error::Bus`], [`Error::NotSplitmem`], [`Error::Version`], [`Error::InUse`],
    /// [`Error::Geometry`], [`Error::TableTooSmall`], [`Error::Stuck`], [`Error::StrangeFrame`].
    pub fn boot(
        bus: B,
        wait: W,
        tables: MonitorTables<'a>,
        config: &MonitorConfig,
    ) -> Result<Self, Error> {
        let regs = Registers { bus, wait, patience: config.patience };
        let mut monitor = Self::prepare(regs, tables, config, |words| Some(Journal::new(words)))?;
        monitor.check_unused()?;
        monitor.clear_table()?;
        let layout = monitor.layout;
        let regs = &mut monitor.regs;
        regs.write(&regs::TABLE_BASE, TABLE_BASE::FRAME.put(0))?;
        regs.write(&regs::TABLE_SIZE, TABLE_SIZE::LOG2.put(layout.log2_buckets()))?;
        regs.write(&regs::FREE_4K_LOW, 0)?;
        regs.write(&regs::FREE_2M_LOW, 0)?;
        regs.write(&regs::IRQ_STATUS, u32::MAX)?;
        regs.write(&regs::IRQ_MASK, IRQ_MASK)?;
        regs.write(&regs::CONTROL, CONTROL::ENABLE.put(1))?;
        Ok(monitor)
    }

    /// A monitor of a component that it knows, with empty tables; the component is as it was.
    pub(crate) fn prepare(
        regs: Registers<B, W>,
        tables: MonitorTables<'a>,
        config: &MonitorConfig,
        journal: impl FnOnce(&'a mut [u32]) -> Option<Journal<'a>>,
    ) -> Result<Self, Error> {
        let mut regs = regs;
        let id = regs.read(&regs::ID)?;
        if id != ID_VALUE {
            return Err(Error::NotSplitmem { id });
        }
        let found = regs.read(&regs::VERSION)?;
        let newer = VERSION::MINOR.get(found) >= VERSION::MINOR.get(VERSION_VALUE);
        if VERSION::MAJOR.get(found) != VERSION::MAJOR.get(VERSION_VALUE) || !newer {
            return Err(Error::Version { found });
        }
        let path = regs.read(&regs::HW_PATH)?;
        let memory = regs.read(&regs::HW_MEMORY)?;
        regs.until(Waiting::Ready, &regs::STATUS, STATUS::READY, 1)?;
        let layout = config.layout(memory)?;
        let Divided { pool, space, shares, journal: words } = tables.divide(&layout)?;
        let journal = journal(words).ok_or(Error::NoJournal)?;
        let small = Lane::new(1 << HW_MEMORY::FREE_4K.get(memory));
        let huge = Lane::new(1 << HW_MEMORY::FREE_2M.get(memory));
        Ok(Self {
            regs,
            layout,
            hardware: Hardware {
                tlb_sets: 1 << HW_PATH::TLB_SETS.get(path),
                pa_bits: HW_MEMORY::PA_BITS.get(memory),
                statistics: HW_PATH::STATISTICS.get(path) == 1,
            },
            space,
            supply: Supply::new(pool, small, huge, config.overcommit),
            shares,
            telemetry: Telemetry::default(),
            journal,
            resuming: false,
            post_mortem: (PostMortem::default(), [0; POST_MORTEM_TEXT]),
        })
    }

    /// What the monitor before this one left when it failed: the host may ask for it.
    pub fn set_post_mortem(&mut self, record: PostMortem, text: [u32; POST_MORTEM_TEXT]) {
        self.post_mortem = (record, text);
    }

    /// Logs what is going to happen.
    pub(crate) fn log(&mut self, entry: Entry) {
        if !self.journal.add(entry) {
            self.journal.compact(self.space.records.all());
            if !self.journal.add(entry) {
                self.anomaly();
            }
        }
    }

    /// A component that lets requests in holds pages that this start would lose. One that does not may
    /// still hold frames of a start that was cut short: nobody was granted any.
    fn check_unused(&mut self) -> Result<(), Error> {
        if self.regs.field(&regs::CONTROL, CONTROL::ENABLE)? == 1 {
            return Err(Error::InUse);
        }
        for size in [PageSize::Small, PageSize::Huge] {
            let mut looks = 0;
            while self.pending(size)? > 0 {
                match self.pop(size)? {
                    Some(_) => looks = 0,
                    None if looks == self.regs.patience => {
                        return Err(Error::Stuck(Waiting::Frame))
                    }
                    None => {
                        looks += 1;
                        self.regs.wait.wait(Waiting::Frame);
                    }
                }
            }
        }
        Ok(())
    }

    /// Clears the page table. The zeroing engine is the only thing in the component that clears
    /// memory, so the table's frames go through it like any others and are taken back from the
    /// free list: as 2 MiB frames where the table has such a size, which is one register access per
    /// 32,768 buckets.
    fn clear_table(&mut self) -> Result<(), Error> {
        let frames = self.layout.table_frames();
        let size = if frames >= FRAMES_PER_HUGE { PageSize::Huge } else { PageSize::Small };
        let (step, depth) = (size.frames(), self.supply.lane(size).depth);
        let (mut pushed, mut cleared, mut looks) = (0, 0, 0);
        while cleared < frames {
            // Half a list at a time: the engine is not idle, and never waits for room.
            let waiting = (pushed - cleared) / step;
            let want = (depth - waiting).min((frames - pushed) / step);
            if waiting <= depth / 2
                && want > 0
                && self.regs.field(&regs::ZERO_STATUS, ZERO_STATUS::ROOM)? > 0
            {
                self.push(size, pushed, want)?;
                pushed += want * step;
            }
            match self.pop(size)? {
                Some(frame) if frame < pushed => {
                    cleared += step;
                    looks = 0;
                }
                Some(frame) => return Err(Error::StrangeFrame { frame }),
                None if looks == self.regs.patience => return Err(Error::Stuck(Waiting::Frame)),
                None => {
                    looks += 1;
                    self.regs.wait.wait(Waiting::Frame);
                }
            }
        }
        Ok(())
    }

    /// How the component's memory is divided.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Where the frames are now.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn accounts(&mut self) -> Result<FrameAccounts, Error> {
        let mut accounts = FrameAccounts {
            table: self.layout.table_frames(),
            pool: self.supply.pool.free(),
            pending: 0,
            granted: 0,
            shared: 0,
        };
        for size in [PageSize::Small, PageSize::Huge] {
            let pending = self.pending(size)?;
            let lane = self.supply.lane(size);
            accounts.pending += pending * size.frames();
            accounts.shared += lane.shared * size.frames();
            accounts.granted += (lane.out - lane.shared).saturating_sub(pending) * size.frames();
        }
        Ok(accounts)
    }

    /// How often the hardware did what its contract forbids (each time something was answered
    /// `Internal`, or a frame was given up).
    pub fn anomalies(&self) -> u32 {
        self.telemetry.anomalies
    }

    /// The registers' bus, for what is beyond the monitor.
    pub fn bus(&mut self) -> &mut B {
        &mut self.regs.bus
    }

    pub(crate) fn anomaly(&mut self) {
        self.telemetry.anomalies = self.telemetry.anomalies.saturating_add(1);
    }
}
