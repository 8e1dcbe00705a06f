//! From reset to the first request.

mod common;

use common::{boot, Bus, Capacity, World, HARDWARE};
use mcomponent_firmware::{
    Error, Layout, Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin, Wait, Waiting,
};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::field::{CONTROL, STATUS};
use splitmem_abi::regs::{self, Counter};
use splitmem_model::Model;
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn the_shipped_configurations_start() {
    for hardware in [HwConfig::LARGE, HwConfig::SMALL] {
        let model = Rc::new(RefCell::new(Model::new(hardware)));
        // A quarter of what the large one can address: its table has four 2 MiB frames.
        let frames = Some(hardware.frames().min(1 << 18) as u32);
        let config = MonitorConfig { frames, ..MonitorConfig::default() };
        let mut monitor = boot(&model, &config, Capacity::default()).expect("boot");
        assert!(model.borrow().accepts());
        let accounts = monitor.accounts().expect("accounts");
        assert_eq!(accounts.table + accounts.pool, monitor.layout().frames());
        assert_eq!((accounts.pending, accounts.granted, accounts.shared), (0, 0, 0));
    }
}

/// The table is cleared, and nothing else.
#[test]
fn a_table_of_any_size_is_cleared() {
    // 2 frames, 16 (as many as the free list holds), 64, and two 2 MiB frames.
    for (pa_bits, log2_buckets) in [(20, 7), (23, 10), (23, 12), (28, 16)] {
        let hardware = HwConfig { pa_bits, ..HARDWARE };
        let model = Rc::new(RefCell::new(Model::new(hardware)));
        let config = MonitorConfig { log2_buckets: Some(log2_buckets), ..MonitorConfig::default() };
        let table_bytes = 64usize << log2_buckets;
        model.borrow_mut().write_physical(0, &vec![0xff; table_bytes + 64]);
        let mut monitor = boot(&model, &config, Capacity::default()).expect("boot");
        assert_eq!(monitor.layout().table_frames() as usize, table_bytes >> 12);
        let mut table = vec![1; table_bytes];
        model.borrow().read_physical(0, &mut table);
        assert!(table.iter().all(|&byte| byte == 0));
        let mut behind = [0; 64];
        model.borrow().read_physical(table_bytes as u64, &mut behind);
        assert_eq!(behind, [0xff; 64]);
        // A push or a pop per list's worth of frames, not per line or bucket.
        let accesses = monitor.bus().accesses;
        let cleared = table_bytes as u64 >> 12;
        assert!(accesses < 40 + 2 * cleared.min(64), "{accesses} accesses for {cleared} frames");
    }
}

/// A start that ends after any of its register accesses, as by a watchdog, leaves a component that the
/// next one can use.
#[test]
fn a_start_that_was_cut_short_is_made_again() {
    for accesses in 0..200 {
        let model = Rc::new(RefCell::new(Model::new(HARDWARE)));
        let config = MonitorConfig::default();
        let layout = small_layout();
        let tables = || MonitorTables {
            frames: vec![0; layout.frame_words()].leak(),
            buckets: vec![0; layout.bucket_words()].leak(),
            records: vec![Record::EMPTY; 8].leak(),
            shares: vec![SharedFrame::EMPTY; 8].leak(),
            journal: &mut [],
        };
        let bus = Bus::new(&model);
        bus.fuse.set(Some(accesses));
        let over = match Monitor::boot(bus, Spin, tables(), &config) {
            Ok(_) => true,
            Err(Error::Bus(BusError::Gone)) => false,
            Err(other) => panic!("after {accesses}: {other}"),
        };
        if over {
            assert!(accesses > 10, "{accesses} accesses are no start");
            return;
        }
        if Monitor::<Bus, Spin>::in_use(&mut Bus::new(&model)).expect("a register") {
            // Requests were let in: this is `recover`'s case.
            continue;
        }
        let mut monitor = Monitor::boot(Bus::new(&model), Spin, tables(), &config).expect("again");
        let accounts = monitor.accounts().expect("accounts");
        assert_eq!((accounts.table + accounts.pool, accounts.pending), (layout.frames(), 0));
    }
    panic!("a start takes more accesses than that");
}

/// One register reads what it should not.
struct Spoiled {
    bus: Bus,
    offset: u16,
    value: u32,
}

impl RegisterBus for Spoiled {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        let value = self.bus.read(offset)?;
        Ok(if offset == self.offset { self.value } else { value })
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.bus.write(offset, value)
    }
}

fn small_layout() -> Layout {
    Layout::new(HARDWARE.frames() as u32, None).expect("layout")
}

/// Boots with tables shortened by so many words.
fn boot_with<W: Wait>(
    bus: impl RegisterBus,
    wait: W,
    config: &MonitorConfig,
    short: (usize, usize),
) -> Result<(), Error> {
    let layout = small_layout();
    let tables = MonitorTables {
        frames: &mut vec![0; layout.frame_words() - short.0],
        buckets: &mut vec![0; layout.bucket_words() - short.1],
        records: &mut [Record::EMPTY; 8],
        shares: &mut [SharedFrame::EMPTY; 8],
        journal: &mut [],
    };
    Monitor::boot(bus, wait, tables, config).map(|_| ())
}

fn spoiled(offset: u16, value: u32) -> Spoiled {
    let model = Rc::new(RefCell::new(Model::new(HARDWARE)));
    Spoiled { bus: Bus::new(&model), offset, value }
}

#[test]
fn a_wrong_component_is_refused() {
    let config = MonitorConfig { patience: 50, ..MonitorConfig::default() };
    let try_with = |offset, value| boot_with(spoiled(offset, value), Spin, &config, (0, 0));
    assert_eq!(try_with(regs::ID.offset, regs::ID_VALUE), Ok(()));
    assert_eq!(try_with(regs::ID.offset, 0), Err(Error::NotSplitmem { id: 0 }));
    assert_eq!(
        try_with(regs::VERSION.offset, 0x0002_0000),
        Err(Error::Version { found: 0x0002_0000 })
    );
    assert_eq!(try_with(regs::VERSION.offset, regs::VERSION_VALUE + 1), Ok(()));
    assert_eq!(
        try_with(regs::STATUS.offset, STATUS::IDLE.put(1)),
        Err(Error::Stuck(Waiting::Ready))
    );
    assert_eq!(try_with(regs::CONTROL.offset, CONTROL::ENABLE.put(1)), Err(Error::InUse));
    assert_eq!(try_with(regs::PENDING_2M.offset, 1), Err(Error::Stuck(Waiting::Frame)));
    assert_eq!(try_with(regs::FREE_4K_POP.offset, 0), Err(Error::Stuck(Waiting::Frame)));
    assert_eq!(
        try_with(regs::FREE_4K_POP.offset, 1 << 31 | 0x700),
        Err(Error::StrangeFrame { frame: 0x700 })
    );
}

#[test]
fn tables_that_are_too_small_are_refused() {
    let config = MonitorConfig::default();
    let layout = small_layout();
    let words = |short| boot_with(spoiled(0, regs::ID_VALUE), Spin, &config, short);
    assert_eq!(words((0, 0)), Ok(()));
    let need = layout.frame_words();
    assert_eq!(words((1, 0)), Err(Error::TableTooSmall { table: "frames", have: need - 1, need }));
    let need = layout.bucket_words();
    assert_eq!(words((0, 1)), Err(Error::TableTooSmall { table: "buckets", have: need - 1, need }));
    let config = MonitorConfig { frames: Some(1 << 20), ..config };
    let more = boot_with(spoiled(0, regs::ID_VALUE), Spin, &config, (0, 0));
    assert!(matches!(more, Err(Error::Geometry { .. })), "more memory than can be addressed");
}

/// A simulation that is only advanced by waiting.
struct Turns(u32);

impl Wait for Turns {
    fn wait(&mut self, what: Waiting) {
        assert_eq!(what, Waiting::Ready);
        self.0 += 1;
    }
}

#[test]
fn waiting_is_left_to_the_binary() {
    let mut turns = Turns(0);
    let config = MonitorConfig { patience: 30, ..MonitorConfig::default() };
    let bus = spoiled(regs::STATUS.offset, 0);
    assert!(boot_with(bus, &mut turns, &config, (0, 0)).is_err());
    assert_eq!(turns.0, 30);
}

#[test]
fn one_frame_of_memory_can_be_used() {
    // 1 MiB: no 2 MiB page fits.
    let hardware = HwConfig { pa_bits: 20, ..HARDWARE };
    let config = MonitorConfig { frames: Some(2), ..MonitorConfig::default() };
    let mut world = World::new(hardware, &config, Capacity::default());
    assert!(world.alloc_rw(1, PageSize::Huge, 1).is_err());
    assert!(world.alloc_rw(1, PageSize::Small, 2).is_err());
    let range = world.alloc_rw(1, PageSize::Small, 1).expect("one frame");
    assert_eq!(world.write(1, range.va), splitmem_abi::request::Status::Ok);
    world.check(1, range.va);
    world.audit();
    let zeroed = world.host(|host| host.read(Counter::Zeroed4k.offset()));
    assert_eq!(zeroed, Ok(2), "the table and the page");
}
