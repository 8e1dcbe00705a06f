//! The allocator: its start, and what it is asked for beside commands.

use crate::error::{Error, Failure};
use crate::hal::{Registers, Wait, Waiting};
use crate::journal::{Entry, Journal, SLACK};
use crate::layout::{Divided, Layout, MonitorTables};
use crate::shares::Shares;
use crate::space::AddressSpaces;
use crate::supply::{Lane, Supply};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, FRAMES_PER_HUGE, PAGE_SHIFT};
use splitmem_abi::mailbox::{Command, Health, Payload, Range, ReturnCode};
use splitmem_abi::regs::field::{
    CONTROL, HW_MEMORY, HW_PATH, IRQ_STATUS, MB_DOORBELL, MB_STATUS, STATUS, TABLE_BASE,
    TABLE_SIZE, VERSION, ZERO_STATUS,
};
use splitmem_abi::regs::{self, ID_VALUE, MAILBOX_WORDS, VERSION_VALUE};

/// The doorbell's interrupt cause.
const DOORBELL: u32 = IRQ_STATUS::DOORBELL.mask();

/// The causes for which the free lists are looked at. The event log is left to the host, which asks
/// for it.
const REFILLS: u32 = IRQ_STATUS::FREE_4K_LOW.mask()
    | IRQ_STATUS::FREE_2M_LOW.mask()
    | IRQ_STATUS::NO_MEMORY.mask()
    | IRQ_STATUS::UNCORRECTABLE.mask();

/// The causes that raise the interrupt line: also those that a [`Wait`] may sleep for. These are
/// taken before a command ends; one that came late is taken by the next look.
pub(crate) const IRQ_MASK: u32 =
    DOORBELL | REFILLS | IRQ_STATUS::TE_DONE.mask() | IRQ_STATUS::SD_DONE.mask();

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
    /// Test the memory before requests are let in. What is tested: see `memory_test`.
    pub test_memory: bool,
}

impl Default for MonitorConfig {
    /// All memory, no overcommit, no test of the memory. The patience is several times what the
    /// longest wait (a 2 MiB frame cleared, 64 buckets read and written) takes a fast core.
    fn default() -> Self {
        Self {
            frames: None,
            log2_buckets: None,
            overcommit: false,
            patience: 1 << 24,
            test_memory: false,
        }
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
    pub permissions: bool,
}

/// What the allocator counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub refills: u32,
    pub shootdowns: u32,
    pub shootdown_cycles_max: u32,
    pub no_address: u32,
    /// Interrupts, each of which may stand for several answers.
    pub no_memory: u32,
    pub uncorrectable: bool,
    pub anomalies: u32,
    pub restarts: u32,
    pub memory_tested: bool,
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

/// Leaves words in the mailbox that no command asked for.
pub(crate) fn put_unasked(
    bus: &mut impl RegisterBus,
    code: ReturnCode,
    payload: &Payload,
    length: u16,
) -> Result<(), Error> {
    for (i, &word) in (0..).zip(&payload[..length as usize / 4]) {
        bus.write(regs::MB_PAYLOAD.at(i), word)?;
    }
    let status = MB_STATUS::CODE.put(code as u32) | MB_STATUS::LENGTH.put(length as u32);
    Ok(bus.write(regs::MB_STATUS.offset, status)?)
}

/// What [`Allocator::tend`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tended {
    /// The interrupt causes that stood, as in `IRQ_STATUS`.
    pub causes: u32,
    /// No cause stands any more, the mailbox's doorbell not counted: its commands are the caller's.
    pub idle: bool,
}

/// The allocator and page-table writer: everything of the monitor that changes the page table, the
/// free lists and who has what. It never looks into the mailbox.
#[derive(Debug)]
pub struct Allocator<'a, B, W> {
    pub(crate) regs: Registers<B, W>,
    pub(crate) layout: Layout,
    pub(crate) hardware: Hardware,
    pub(crate) space: AddressSpaces<'a>,
    pub(crate) supply: Supply<'a>,
    pub(crate) shares: Shares<'a>,
    pub(crate) counts: Counts,
    pub(crate) journal: Journal<'a>,
    /// The next command was begun by a monitor before this one.
    pub(crate) resuming: bool,
    /// A command was begun, and is not yet answered.
    begun: bool,
    /// What it allocated: until it is answered nobody knows of it.
    untold: Option<Range>,
}

impl<'a, B: RegisterBus, W: Wait> Allocator<'a, B, W> {
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
        let mut allocator = Self::prepare(regs, tables, config, |words| Some(Journal::new(words)))?;
        allocator.check_unused()?;
        if config.test_memory {
            if let Err(error) = allocator.test_memory() {
                if let Error::BadMemory(fault) = error {
                    fault.announce(&mut allocator.regs.bus)?;
                }
                return Err(error);
            }
            allocator.counts.memory_tested = true;
        }
        allocator.clear_table()?;
        let layout = allocator.layout;
        let regs = &mut allocator.regs;
        regs.write(&regs::TABLE_BASE, TABLE_BASE::FRAME.put(0))?;
        regs.write(&regs::TABLE_SIZE, TABLE_SIZE::LOG2.put(layout.log2_buckets()))?;
        regs.write(&regs::FREE_4K_LOW, 0)?;
        regs.write(&regs::FREE_2M_LOW, 0)?;
        regs.write(&regs::IRQ_STATUS, u32::MAX)?;
        regs.write(&regs::IRQ_MASK, IRQ_MASK)?;
        allocator.announce()?;
        let regs = &mut allocator.regs;
        regs.write(&regs::CONTROL, CONTROL::ENABLE.put(1))?;
        Ok(allocator)
    }

    /// Puts into the mailbox what a host would be told if it asked: version, memory, capabilities.
    fn announce(&mut self) -> Result<(), Error> {
        // A host that was there first has a command in it.
        if self.regs.field(&regs::MB_DOORBELL, MB_DOORBELL::BUSY)? == 1 {
            return Ok(());
        }
        let mut payload = [0; MAILBOX_WORDS];
        let length = self.info().encode(&mut payload);
        put_unasked(&mut self.regs.bus, ReturnCode::Success, &payload, length)
    }

    /// An allocator of a component that it knows, with empty tables; the component is as it was.
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
                permissions: HW_PATH::PERMISSIONS.get(path) == 1,
            },
            space,
            supply: Supply::new(pool, small, huge, config.overcommit),
            shares,
            counts: Counts::default(),
            journal,
            resuming: false,
            begun: false,
            untold: None,
        })
    }

    /// Takes care of what interrupts it: refills the free lists. The doorbell is not its business.
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`].
    pub fn tend(&mut self) -> Result<Tended, Error> {
        let causes = self.regs.read(&regs::IRQ_STATUS)? & IRQ_MASK;
        // The doorbell's is taken with its command: a monitor that takes over tells by it whether
        // the command in the mailbox was seen.
        let taken = causes & !DOORBELL;
        if taken != 0 {
            // Taken before their reasons are looked at, so that none is lost.
            self.regs.write(&regs::IRQ_STATUS, taken)?;
        }
        if IRQ_STATUS::NO_MEMORY.get(causes) == 1 {
            self.counts.no_memory = self.counts.no_memory.saturating_add(1);
        }
        if IRQ_STATUS::UNCORRECTABLE.get(causes) == 1 {
            self.counts.uncorrectable = true;
        }
        if taken == 0 {
            return Ok(Tended { causes, idle: true });
        }
        if causes & REFILLS != 0 {
            self.refill()?;
        }
        let left = self.regs.read(&regs::IRQ_STATUS)? & IRQ_MASK & !DOORBELL;
        Ok(Tended { causes, idle: left == 0 })
    }

    /// Carries out a command that changes or asks for what the allocator has, and puts the reply into
    /// `payload`. Gives the return code and the reply's bytes. Other commands are answered
    /// `UnknownCommand`.
    ///
    /// [`Self::conclude`] or [`Self::abandon`] is to follow.
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`].
    pub fn execute(
        &mut self,
        command: Command,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        self.begin(command)?;
        let result = self.carry_out(command, payload);
        self.resuming = false;
        match result {
            Ok(length) => Ok((ReturnCode::Success, length)),
            Err(Failure::Refused(code)) => Ok((code, 0)),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    /// Logs that a command is going to be carried out, and takes the doorbell's interrupt.
    fn begin(&mut self, command: Command) -> Result<(), Error> {
        if !self.resuming && !self.journal.is_absent() {
            // Room for all that a command may log, so that none of it is begun anew in between.
            if self.journal.room() < self.space.records.all().len() + SLACK {
                self.journal.compact(self.space.records.all());
            }
            let (_, _, [first, second, ..]) = command.words();
            self.log(Entry::Begun([first, second]));
        }
        self.begun = true;
        self.untold = None;
        self.regs.write(&regs::IRQ_STATUS, DOORBELL)
    }

    /// A range was allocated.
    pub(crate) fn told_soon(&mut self, range: Range) {
        self.untold = Some(range);
    }

    /// The command's reply stands in the mailbox, whoever carried it out: logs it. After that the
    /// doorbell is to be cleared.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn conclude(&mut self) -> Result<(), Error> {
        self.log(Entry::Replied);
        self.untold = None;
        if !core::mem::take(&mut self.begun) {
            self.regs.write(&regs::IRQ_STATUS, DOORBELL)?;
        }
        Ok(())
    }

    /// The command's reply is `Internal`, and stands in the mailbox: whoever was to answer it failed.
    /// What it allocated is taken back, as nobody was told of it; what it freed or changed stays so.
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`].
    pub fn abandon(&mut self) -> Result<(), Error> {
        self.resuming = false;
        if let Some(range) = self.untold.take() {
            self.tear_down_parts(range)?;
        }
        self.conclude()
    }

    /// The record of health, as far as the allocator knows.
    pub fn vitals(&self) -> Health {
        let frames = self.supply.pool.total();
        let left = self.supply.pool.free().min(self.supply.unpromised());
        let occupancy = &self.space.occupancy;
        let flags = (Health::FRAMES_LOW * (left < frames / 16) as u32)
            | (Health::TABLE_FULL * (occupancy.entries() > occupancy.slots() / 8 * 7) as u32)
            | (Health::UNCORRECTABLE * self.counts.uncorrectable as u32);
        let counts = &self.counts;
        Health {
            flags,
            no_memory_events: counts.no_memory,
            uncorrectable_events: counts.uncorrectable as u32,
            refills: counts.refills,
            shootdowns: counts.shootdowns,
            shootdown_cycles_max: counts.shootdown_cycles_max,
            no_address: counts.no_address,
            restarts: counts.restarts,
            ..Health::default()
        }
    }

    /// Whether the hardware counts what happens.
    pub fn has_statistics(&self) -> bool {
        self.hardware.statistics
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
        self.counts.anomalies
    }

    /// The registers' bus, for what is beyond the monitor.
    pub fn bus(&mut self) -> &mut B {
        &mut self.regs.bus
    }

    pub(crate) fn anomaly(&mut self) {
        self.counts.anomalies = self.counts.anomalies.saturating_add(1);
    }
}
