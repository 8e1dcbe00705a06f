//! The firmware's own SPI driver, and the memory monitor over it, at the pins of the Verilated bridge and
//! component: at any pace that the bridge allows, over wires that flip bits and lose chip select.

mod emulator;
mod host;
// The bridge's own test uses more of it.
#[allow(dead_code)]
#[path = "../../../hdl/tests/common/spi_wire.rs"]
mod spi_wire;
mod world;

use host::Mind;
use mcomponent_firmware::spi::{PinWait, SpiError, SpiRegisters};
use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use spi_wire::Pace;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::regs;
use verilator_tb::{BusAccess, Side};
use world::{Faults, Recorder, World};

const FRAMES: u32 = 2048;

type Bus = Recorder<SpiRegisters<World>>;

/// The monitor, with this driver in this process, as its main loop has it.
struct Local<'a> {
    monitor: Monitor<'a, &'a mut Bus, PinWait<World, World>>,
    pin: PinWait<World, World>,
}

impl Mind for Local<'_> {
    fn step(&mut self) {
        if self.monitor.poll().unwrap().may_sleep {
            self.pin.rest();
        }
    }
}

/// The monitor's memory.
struct Tables {
    frames: Vec<u32>,
    buckets: Vec<u32>,
    records: Vec<Record>,
    shares: Vec<SharedFrame>,
}

fn config() -> MonitorConfig {
    MonitorConfig { frames: Some(FRAMES), ..MonitorConfig::default() }
}

impl Tables {
    fn new(hw_memory: u32) -> Self {
        let layout = config().layout(hw_memory).unwrap();
        Self {
            frames: vec![0; layout.frame_words()],
            buckets: vec![0; layout.bucket_words()],
            records: vec![Record::EMPTY; 256],
            shares: vec![SharedFrame::EMPTY; 64],
        }
    }

    fn lend(&mut self) -> MonitorTables<'_> {
        MonitorTables {
            frames: &mut self.frames,
            buckets: &mut self.buckets,
            records: &mut self.records,
            shares: &mut self.shares,
            journal: &mut [],
        }
    }
}

fn connect(world: &World) -> Bus {
    Recorder::new(SpiRegisters::connect(world.clone()).unwrap())
}

/// Boots the monitor and has it serve a host; gives what was repeated.
fn serves_a_host(seed: u64, pace: Pace, faults: Faults) -> (u32, u32) {
    println!("seed {seed}, {pace:?}, {faults:?}");
    let world = World::new(seed, FRAMES, pace, faults);
    let mut bus = connect(&world);
    let mut tables = Tables::new(bus.read(regs::HW_MEMORY.offset).unwrap());
    let wait = || PinWait::new(world.clone(), world.clone());
    let start = world.cycles();
    let monitor = Monitor::boot(&mut bus, wait(), tables.lend(), &config()).unwrap();
    let mut mind = Local { monitor, pin: wait() };
    println!("boot: {} cycles", world.cycles() - start);

    // More first writes than the free list is deep: the monitor must refill it.
    let pages = 100;
    host::uses_memory(&world, &mut mind, pages);
    let accounts = mind.monitor.accounts().unwrap();
    let sum = accounts.table + accounts.pool + accounts.pending + accounts.granted;
    assert_eq!((accounts.granted, sum + accounts.shared), (pages, FRAMES));
    drop(mind);

    // What the driver was asked for is what happened on the component's bus: all, once, in this order,
    // with these results.
    let asked = bus.log();
    assert!(asked.len() > 1000);
    world.accesses(|seen| assert!(seen == asked, "the accesses differ"));
    let counts = bus.inner().counts();
    println!("{counts:?}, {} accesses, {} cycles", asked.len(), world.cycles());
    (counts.damaged, counts.busy)
}

#[test]
fn the_monitor_serves_a_host_at_full_pace() {
    let (damaged, busy) = serves_a_host(1, Pace::FASTEST, Faults::NONE);
    assert_eq!((damaged, busy), (0, 0));
}

#[test]
fn the_monitor_serves_a_host_over_bad_wires() {
    for seed in [2, 3] {
        let pace = Pace::random(&mut SmallRng::seed_from_u64(seed));
        let faults = Faults { flips: 300, aborts: 30 };
        let (damaged, _) = serves_a_host(seed, pace, faults);
        assert!(damaged > 50, "{damaged}");
    }
}

/// Random accesses, also to what the monitor may not touch, at random paces over worse wires.
#[test]
fn no_access_is_lost_or_made_twice() {
    for seed in 10..16 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let pace = Pace::random(&mut rng);
        let faults = Faults { flips: 1000, aborts: 100 };
        let world = World::new(seed, FRAMES, pace, faults);
        let mut bus = connect(&world);
        let mut refused = 0;
        for _ in 0..400 {
            let offset = rng.random_range(0..0x400) * 4;
            // Nothing is started, only told: the registers of the mailbox and the table engine's
            // operands can be written as one likes.
            let register = [regs::TE_PID, regs::TE_COUNT, regs::SD_PID, regs::MB_STATUS];
            let (write, offset) = match rng.random_range(0..3) {
                0 => (true, register[rng.random_range(0..register.len())].offset),
                1 => (false, register[rng.random_range(0..register.len())].offset),
                _ => (false, offset),
            };
            let result = match write {
                true => bus.write(offset, rng.random()).map(|()| 0),
                false => bus.read(offset),
            };
            if let Err(error) = result {
                assert_eq!(error, BusError::Denied { offset });
                refused += 1;
            }
            world.pass(rng.random_range(0..40));
        }
        assert!(refused > 20, "{refused}");
        world.accesses(|seen| assert!(seen == bus.log(), "the accesses differ"));
        let counts = bus.inner().counts();
        println!("seed {seed}: {counts:?}");
        assert!(counts.damaged > 20, "{counts:?}");
    }
}

#[test]
fn what_is_wrong_is_told() {
    let world = World::new(20, FRAMES, Pace::FASTEST, Faults::NONE);
    let mut bus = SpiRegisters::connect(world.clone()).unwrap();
    bus.write(regs::TE_PID.offset, 5).unwrap();
    world.reset_bridge();
    assert_eq!(bus.read(regs::TE_PID.offset), Err(BusError::Gone));
    assert_eq!(bus.failed(), Some(SpiError::Reset));
    // A new start finds the component as it is.
    let mut bus = SpiRegisters::connect(world.clone()).unwrap();
    assert_eq!(bus.read(regs::TE_PID.offset), Ok(5));

    world.cut();
    assert_eq!(bus.read(regs::TE_PID.offset), Err(BusError::Gone));
    assert_eq!(bus.failed(), Some(SpiError::Silent));
    assert_eq!(SpiRegisters::connect(world.clone()).err(), Some(SpiError::Silent));

    // Every frame is hit.
    let world = World::new(21, FRAMES, Pace::FASTEST, Faults { flips: 200_000, aborts: 0 });
    assert_eq!(SpiRegisters::connect(world).err(), Some(SpiError::Damaged));
}

#[test]
fn a_register_access_takes_its_frame() {
    let world = World::new(30, FRAMES, Pace::FASTEST, Faults::NONE);
    let mut bus = SpiRegisters::connect(world.clone()).unwrap();
    let start = world.cycles();
    for _ in 0..100 {
        bus.read(regs::ID.offset).unwrap();
    }
    let cycles = (world.cycles() - start) as f64 / 100.0;
    println!("a register access: {cycles} cycles of the component at SCK = clock / 4");
    assert!((384.0..400.0).contains(&cycles), "{cycles}");
    // The host's accesses, which go in turn with these, change nothing about it.
    world.component(|component| component.bus_start(Side::Host, BusAccess::Read(regs::ID.offset)));
    assert_eq!(bus.read(regs::ID.offset), Ok(regs::ID_VALUE));
    assert_eq!(bus.counts().busy, 0);
}
