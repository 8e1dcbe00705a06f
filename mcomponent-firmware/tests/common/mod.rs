//! A monitor on the golden model's registers, driven through the mailbox as a host would.

#![allow(dead_code)] // Each test crate uses its part.

use mcomponent_firmware::{
    Activity, Error, Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin,
};
use proptest::test_runner::{Config, RngSeed};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{PageSize, LINE_BYTES};
use splitmem_abi::mailbox::{
    Address, Command, Health, Info, Payload, Permission, Range, ReturnCode,
};
use splitmem_abi::pte::{decode_bucket, Pte};
use splitmem_abi::regs::field::{MB_COMMAND, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_model::Model;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;
use std::rc::Rc;

/// Runs the same cases every time, unless `PROPTEST_RNG_SEED` says otherwise.
pub fn proptest_config(cases: u32) -> Config {
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    match config.rng_seed {
        RngSeed::Random => Config { rng_seed: RngSeed::Fixed(2), ..config },
        RngSeed::Fixed(_) => config,
    }
}

/// 8 MiB in four blocks of 2 MiB, small lists: everything runs out soon.
pub const HARDWARE: HwConfig = HwConfig {
    tlb_sets: 16,
    free_4k: 16,
    free_2m: 2,
    zero_queue: 4,
    event_log: 32,
    pa_bits: 23,
    statistics: true,
    ..HwConfig::SMALL
};

/// The monitor's bus to a model that the test keeps a hand on.
#[derive(Clone, Debug)]
pub struct Bus {
    pub model: Rc<RefCell<Model>>,
    /// Register accesses.
    pub accesses: u64,
    /// The access after which the monitor is gone. Counts down.
    pub fuse: Rc<Cell<Option<u32>>>,
}

impl Bus {
    pub fn new(model: &Rc<RefCell<Model>>) -> Self {
        Self { model: model.clone(), accesses: 0, fuse: Rc::default() }
    }

    fn burn(&mut self) -> Result<(), BusError> {
        self.accesses += 1;
        match self.fuse.get() {
            Some(0) => return Err(BusError::Gone),
            Some(left) => self.fuse.set(Some(left - 1)),
            None => {}
        }
        Ok(())
    }
}

impl RegisterBus for Bus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.burn()?;
        self.model.borrow_mut().monitor().read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.burn()?;
        self.model.borrow_mut().monitor().write(offset, value)
    }
}

/// How many records and shared frames the monitor can hold.
#[derive(Clone, Copy)]
pub struct Capacity {
    pub records: usize,
    pub shares: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { records: 1000, shares: 1000 }
    }
}

pub type HostedMonitor = Monitor<'static, Bus, Spin>;

/// Boots a monitor. Its tables live as long as the test program.
pub fn boot(
    model: &Rc<RefCell<Model>>,
    config: &MonitorConfig,
    capacity: Capacity,
) -> Result<HostedMonitor, Error> {
    let mut bus = Bus::new(model);
    let tables = tables(&mut bus, config, capacity, &mut [])?;
    Monitor::boot(bus, Spin, tables, config)
}

/// Tables that live as long as the test program, around a journal.
fn tables(
    bus: &mut Bus,
    config: &MonitorConfig,
    capacity: Capacity,
    journal: &'static mut [u32],
) -> Result<MonitorTables<'static>, Error> {
    let layout = config.layout(bus.read(regs::HW_MEMORY.offset)?)?;
    // Filled with what a table must not rely on.
    Ok(MonitorTables {
        frames: vec![0xdead_beef; layout.frame_words()].leak(),
        buckets: vec![0xdead_beef; layout.bucket_words()].leak(),
        records: vec![Record::EMPTY; capacity.records].leak(),
        shares: vec![SharedFrame::EMPTY; capacity.shares].leak(),
        journal,
    })
}

/// A monitor that dies at any register access, and what outlives it.
pub struct Mortal {
    rng: SmallRng,
    /// One of so many commands lets it die.
    one_in: u32,
    fuse: Rc<Cell<Option<u32>>>,
    journal: NonNull<[u32]>,
    config: MonitorConfig,
    capacity: Capacity,
    /// Deaths so far.
    pub deaths: u32,
}

impl Mortal {
    fn light_fuse(&mut self) {
        if self.rng.random_ratio(1, self.one_in) {
            // Mostly within a short command, sometimes far into a long one.
            let most = if self.rng.random_ratio(1, 4) { 3000 } else { 80 };
            self.fuse.set(Some(self.rng.random_range(0..most)));
        }
    }

    /// A monitor that takes over, however often it dies while it tries.
    fn rebirth(&mut self, model: &Rc<RefCell<Model>>) -> HostedMonitor {
        for tries in 0.. {
            self.deaths += 1;
            self.fuse.set(None);
            // Long ones would never come to their end.
            if tries < 3 {
                self.light_fuse();
            }
            let mut bus = Bus { fuse: self.fuse.clone(), ..Bus::new(model) };
            // SAFETY: the memory was leaked and is never freed; whoever had it before is a monitor
            // that has returned an error or was dropped, and is not used again.
            let journal = unsafe { self.journal.as_mut() };
            let born = tables(&mut bus, &self.config, self.capacity, journal)
                .and_then(|tables| Monitor::recover(bus, Spin, tables, &self.config));
            match born {
                Ok(monitor) => return monitor,
                Err(Error::Bus(BusError::Gone)) => {}
                Err(error) => panic!("recovery {}: {error}", self.deaths),
            }
        }
        unreachable!("there is always another try");
    }
}

/// A component, its monitor, and what a host expects of them.
pub struct World {
    pub model: Rc<RefCell<Model>>,
    pub monitor: HostedMonitor,
    /// Every allocated page, by process and first address.
    pub pages: BTreeMap<(u16, u64), Page>,
    /// The value that was written into each page's memory.
    values: HashMap<u64, u64>,
    cells: u64,
    writes: u64,
    /// Where the monitor may die.
    pub mortal: Option<Mortal>,
}

/// An allocated page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Page {
    pub permission: Permission,
    pub shareable: bool,
    /// Which memory it shows: the same for all mappings of a shared page.
    pub cell: u64,
}

/// The pages of a range, by first address.
pub fn pages_of(range: Range) -> impl Iterator<Item = (u16, u64)> {
    let size = PageSize::of(range.va);
    (0..range.pages as u64).map(move |i| (range.pid, range.va + i * size.bytes()))
}

impl World {
    pub fn new(hardware: HwConfig, config: &MonitorConfig, capacity: Capacity) -> Self {
        let model = Rc::new(RefCell::new(Model::new(hardware)));
        // DRAM holds anything after power-on.
        for frame in 0..hardware.frames() {
            let garbage = [frame as u8 | 0x81; 4096];
            model.borrow_mut().write_physical(frame << 12, &garbage);
        }
        let monitor = boot(&model, config, capacity).expect("boot");
        let (pages, values) = (BTreeMap::new(), HashMap::new());
        Self { model, monitor, pages, values, cells: 0, writes: 0, mortal: None }
    }

    /// One whose monitor dies now and then, at a random register access, and is started again.
    pub fn mortal(config: &MonitorConfig, capacity: Capacity, one_in: u32, seed: u64) -> Self {
        let mut world = Self::new(HARDWARE, config, capacity);
        let model = Rc::new(RefCell::new(Model::new(HARDWARE)));
        let memory = vec![0; MonitorTables::journal_words(capacity.records)].leak();
        let mut mortal = Mortal {
            rng: SmallRng::seed_from_u64(seed),
            one_in,
            fuse: Rc::default(),
            journal: NonNull::from(memory),
            config: *config,
            capacity,
            deaths: 0,
        };
        let mut bus = Bus { fuse: mortal.fuse.clone(), ..Bus::new(&model) };
        // SAFETY: as in `rebirth`; nobody had it before.
        let journal = unsafe { mortal.journal.as_mut() };
        let tables = tables(&mut bus, config, capacity, journal).expect("tables");
        world.monitor = Monitor::boot(bus, Spin, tables, config).expect("boot");
        world.model = model;
        world.mortal = Some(mortal);
        world
    }

    /// What the monitor does when it is interrupted; if it dies, the next one.
    fn poll(&mut self) -> Activity {
        loop {
            match (self.monitor.poll(), &mut self.mortal) {
                (Ok(activity), _) => return activity,
                (Err(Error::Bus(BusError::Gone)), Some(mortal)) => {
                    self.monitor = mortal.rebirth(&self.model);
                }
                (Err(error), _) => panic!("poll: {error}"),
            }
        }
    }

    pub fn host<T>(&mut self, access: impl FnOnce(&mut dyn RegisterBus) -> T) -> T {
        access(&mut self.model.borrow_mut().host())
    }

    /// A command as bytes in the mailbox, and its reply.
    pub fn mail(&mut self, opcode: u16, length: u16, payload: &Payload) -> (ReturnCode, Payload) {
        self.host(|host| {
            for (i, &word) in (0..).zip(payload) {
                host.write(regs::MB_PAYLOAD.at(i), word).unwrap();
            }
            let command =
                MB_COMMAND::OPCODE.put(opcode as u32) | MB_COMMAND::LENGTH.put(length as u32);
            host.write(regs::MB_COMMAND.offset, command).unwrap();
            host.write(regs::MB_DOORBELL.offset, 1).unwrap();
        });
        assert!(self.model.borrow().irq_monitor(), "the doorbell interrupts");
        if let Some(mortal) = &mut self.mortal {
            mortal.light_fuse();
        }
        let activity = self.poll();
        let (code, reply) = self.host(|host| {
            assert_eq!(host.read(regs::MB_DOORBELL.offset), Ok(0));
            let status = host.read(regs::MB_STATUS.offset).unwrap();
            let code = ReturnCode::from_code(MB_STATUS::CODE.get(status) as u16).expect("code");
            let mut reply = [0; MAILBOX_WORDS];
            for i in 0..MB_STATUS::LENGTH.get(status) as u16 / 4 {
                reply[i as usize] = host.read(regs::MB_PAYLOAD.at(i)).unwrap();
            }
            (code, reply)
        });
        // A reply may be all that a monitor leaves: its successor rings the bell.
        assert!(activity.answered == Some(code) || self.mortal.is_some());
        self.serve_interrupts();
        (code, reply)
    }

    /// A command and its reply.
    pub fn call(&mut self, command: Command) -> (ReturnCode, Payload) {
        let mut payload = [0; MAILBOX_WORDS];
        let (opcode, length) = command.encode(&mut payload);
        self.mail(opcode, length, &payload)
    }

    /// What the monitor's main loop does.
    pub fn serve_interrupts(&mut self) {
        for _ in 0..100 {
            let activity = self.poll();
            assert_eq!(activity.may_sleep, !self.model.borrow().irq_monitor());
            if activity.may_sleep {
                return;
            }
        }
        panic!("the interrupt line stays high");
    }

    pub fn alloc(
        &mut self,
        pid: u16,
        size: PageSize,
        pages: u32,
        permission: Permission,
        shareable: bool,
    ) -> Result<Range, ReturnCode> {
        let command = Command::Alloc { pid, pages, size, permission, shareable };
        let (code, reply) = self.call(command);
        if code != ReturnCode::Success {
            return Err(code);
        }
        let range = Range { pid, va: Address::decode(&reply).0, pages };
        assert_eq!(PageSize::of(range.va), size);
        assert!(range.va >= 1 << 30, "the lowest vRegion is never handed out");
        for page in pages_of(range) {
            self.cells += 1;
            let new = Page { permission, shareable, cell: self.cells };
            assert_eq!(self.pages.insert(page, new), None, "{page:x?} was allocated already");
        }
        Ok(range)
    }

    /// Private memory that may be read and written.
    pub fn alloc_rw(&mut self, pid: u16, size: PageSize, pages: u32) -> Result<Range, ReturnCode> {
        self.alloc(pid, size, pages, Permission::RW, false)
    }

    fn allocated(&self, range: Range) -> bool {
        pages_of(range).all(|page| self.pages.contains_key(&page))
    }

    /// Checks the answer against what a host may expect, and keeps the books.
    pub fn free(&mut self, range: Range) -> ReturnCode {
        let allocated = self.allocated(range);
        let (code, _) = self.call(Command::Free(range));
        assert_eq!(code == ReturnCode::NotAllocated, !allocated);
        if code == ReturnCode::Success {
            pages_of(range).for_each(|page| {
                self.pages.remove(&page);
            });
        }
        code
    }

    pub fn protect(&mut self, range: Range, permission: Permission) -> ReturnCode {
        let allocated = self.allocated(range);
        let (code, _) = self.call(Command::Protect(range, permission));
        assert_eq!(code == ReturnCode::NotAllocated, !allocated);
        if code == ReturnCode::Success {
            for page in pages_of(range) {
                self.pages.get_mut(&page).expect("allocated").permission = permission;
            }
        }
        code
    }

    pub fn share(
        &mut self,
        source: Range,
        pid: u16,
        permission: Permission,
    ) -> Result<Range, ReturnCode> {
        let expected = if pid == source.pid {
            Some(ReturnCode::BadArgument)
        } else if !self.allocated(source) {
            Some(ReturnCode::NotAllocated)
        } else if pages_of(source).any(|page| !self.pages[&page].shareable) {
            Some(ReturnCode::NotShareable)
        } else {
            None
        };
        let (code, reply) = self.call(Command::Share { source, pid, permission });
        if let Some(expected) = expected {
            assert_eq!(code, expected);
        }
        if code != ReturnCode::Success {
            return Err(code);
        }
        let range = Range { pid, va: Address::decode(&reply).0, pages: source.pages };
        for (from, to) in pages_of(source).zip(pages_of(range)) {
            let new = Page { permission, ..self.pages[&from] };
            assert_eq!(self.pages.insert(to, new), None, "{to:x?} was allocated already");
        }
        Ok(range)
    }

    pub fn drop_process(&mut self, pid: u16) -> ReturnCode {
        let (code, _) = self.call(Command::Drop { pid });
        if code == ReturnCode::Success {
            self.pages.retain(|page, _| page.0 != pid);
        }
        code
    }

    pub fn info(&mut self) -> Info {
        let (code, reply) = self.call(Command::Info);
        assert_eq!(code, ReturnCode::Success);
        Info::decode(&reply)
    }

    pub fn health(&mut self) -> Health {
        let (code, reply) = self.call(Command::Health);
        assert_eq!(code, ReturnCode::Success);
        Health::decode(&reply)
    }

    /// Writes a new value into a page, and checks the answer.
    pub fn write(&mut self, pid: u16, va: u64) -> Status {
        self.writes += 1;
        let mut data = [0; LINE_BYTES];
        data[..8].copy_from_slice(&self.writes.to_le_bytes());
        let request = Request::write(0, pid, va, FULL_MASK, data);
        let status = self.model.borrow_mut().request(0, &request).status;
        if self.model.borrow().irq_monitor() {
            self.serve_interrupts();
        }
        match self.pages.get(&(pid, va)) {
            None => assert_eq!(status, Status::NotMapped),
            Some(page) if !page.permission.write => assert_eq!(status, Status::NoPermission),
            Some(_) if status == Status::NoMemory => {}
            Some(page) => {
                assert_eq!(status, Status::Ok);
                self.values.insert(page.cell, self.writes);
            }
        }
        status
    }

    /// Reads a page's first line, or what lies at its address, and checks the answer.
    pub fn check(&mut self, pid: u16, va: u64) {
        let answer = self.model.borrow_mut().request(1, &Request::read(0, pid, va));
        match self.pages.get(&(pid, va)) {
            None => assert_eq!(answer.status, Status::NotMapped, "{pid} {va:#x}"),
            Some(page) if !page.permission.read => {
                assert_eq!(answer.status, Status::NoPermission);
            }
            Some(page) => {
                assert_eq!(answer.status, Status::Ok, "{pid} {va:#x}");
                // Zeros, if nothing was written since it was allocated.
                let mut expected = [0; LINE_BYTES];
                let value = self.values.get(&page.cell).copied().unwrap_or(0);
                expected[..8].copy_from_slice(&value.to_le_bytes());
                assert_eq!(answer.data, expected, "{pid} {va:#x}");
                // And behind it: nothing of a former owner.
                let rest = Request::read(0, pid, va + LINE_BYTES as u64);
                let rest = self.model.borrow_mut().request(1, &rest);
                assert_eq!((rest.status, rest.data), (Status::Ok, [0; LINE_BYTES]));
            }
        }
    }

    /// The page table as it stands in DRAM.
    pub fn table(&self) -> BTreeMap<(u16, u64), Pte> {
        let layout = self.monitor.layout();
        let mut table = BTreeMap::new();
        for bucket in 0..1u64 << layout.log2_buckets() {
            let mut line = [0; LINE_BYTES];
            self.model.borrow().read_physical(bucket * LINE_BYTES as u64, &mut line);
            for pte in decode_bucket(&line) {
                assert!(!pte.dying, "{pte:x?} was not collected");
                if pte.valid {
                    let twice = table.insert((pte.pid, pte.key << 12), pte);
                    assert_eq!(twice, None);
                } else {
                    assert_eq!(pte, Pte::default(), "the table was not cleared");
                }
            }
        }
        table
    }

    /// Checks everything that always holds.
    pub fn audit(&mut self) {
        let table = self.table();
        let expected: Vec<_> = self.pages.keys().collect();
        assert_eq!(table.keys().collect::<Vec<_>>(), expected, "pages in the table");
        let layout = self.monitor.layout();
        // Who has each frame: the cell that it shows.
        let mut owners: HashMap<u32, u64> = HashMap::new();
        let (mut granted, mut shared) = (0, 0);
        for (page, pte) in &table {
            let expected = self.pages[page];
            assert_eq!(
                (pte.read, pte.write),
                (expected.permission.read, expected.permission.write)
            );
            assert_eq!(pte.shared, expected.shareable);
            assert!(pte.present || !expected.shareable);
            if !pte.present {
                continue;
            }
            let size = PageSize::of(page.1);
            assert!(pte.frame >= layout.table_frames(), "{page:x?} lies in the table");
            assert!(pte.frame + size.frames() <= layout.frames(), "{page:x?}");
            assert_eq!(pte.frame % size.frames(), 0, "{page:x?}");
            let mut new = false;
            for frame in pte.frame..pte.frame + size.frames() {
                match owners.insert(frame, expected.cell) {
                    None => new = true,
                    Some(cell) => assert_eq!(cell, expected.cell, "frame {frame} in two places"),
                }
            }
            if new {
                let frames = if expected.shareable { &mut shared } else { &mut granted };
                *frames += size.frames();
            }
        }
        if let Some(mortal) = &self.mortal {
            mortal.fuse.set(None);
        }
        let accounts = self.monitor.accounts().expect("accounts");
        assert_eq!((accounts.granted, accounts.shared), (granted, shared), "{accounts:?}");
        let sum = accounts.table + accounts.pool + accounts.pending + granted + shared;
        assert_eq!(sum, layout.frames(), "{accounts:?}");
        assert_eq!(self.monitor.anomalies(), 0);
        let info = self.info();
        assert_eq!(info.mappings as usize, self.pages.len());
        let mut pids: Vec<u16> = self.pages.keys().map(|page| page.0).collect();
        pids.dedup();
        assert_eq!(info.processes as usize, pids.len());
    }
}
