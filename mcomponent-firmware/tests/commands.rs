//! Each command's own promises.

mod common;

use common::{boot, pages_of, Bus, Capacity, World, HARDWARE};
use mcomponent_firmware::{
    Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Wait, Waiting,
};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::event::Event;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission, Range, ReturnCode, EVENTS_PER_REPLY};
use splitmem_abi::regs::{self, Counter, TableCommand, MAILBOX_WORDS};
use splitmem_abi::request::{Op, Status};
use splitmem_model::Model;
use std::cell::RefCell;
use std::rc::Rc;

fn world() -> World {
    World::new(HARDWARE, &MonitorConfig::default(), Capacity::default())
}

#[test]
fn memory_is_promised_only_once() {
    let mut world = world();
    let usable = 2048 - world.monitor.layout().table_frames();
    let range = world.alloc_rw(1, PageSize::Small, usable).expect("all of it");
    assert_eq!(world.alloc_rw(2, PageSize::Small, 1), Err(ReturnCode::NoMemory));
    assert_eq!(world.alloc_rw(2, PageSize::Huge, 1), Err(ReturnCode::NoMemory));
    for (pid, va) in pages_of(range) {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    world.audit();
    // One frame less, and it can be had again.
    assert_eq!(world.free(Range { pages: 1, ..range }), ReturnCode::Success);
    assert!(world.alloc_rw(2, PageSize::Small, 1).is_ok());
    world.audit();
}

#[test]
fn huge_pages_are_kept_whole() {
    let mut world = world();
    // Four blocks, one of them cut by the table: three 2 MiB pages, in any mix.
    let huge = world.alloc_rw(1, PageSize::Huge, 2).expect("two blocks");
    let small = world.alloc_rw(1, PageSize::Small, 496 + 512).expect("the cut block and one more");
    assert_eq!(world.alloc_rw(1, PageSize::Small, 1), Err(ReturnCode::NoMemory));
    assert_eq!(world.alloc_rw(1, PageSize::Huge, 1), Err(ReturnCode::NoMemory));
    for (pid, va) in pages_of(small).chain(pages_of(huge)) {
        assert_eq!(world.write(pid, va), Status::Ok);
        world.check(pid, va);
    }
    // One page too many in the third block.
    assert_eq!(world.free(Range { pages: 511, ..small }), ReturnCode::Success);
    assert_eq!(world.free(Range { pages: 1, ..huge }), ReturnCode::Success);
    assert!(world.alloc_rw(3, PageSize::Huge, 1).is_ok());
    world.audit();
}

#[test]
fn the_hardware_gets_what_is_promised_and_not_more() {
    let mut world = world();
    let pending = |world: &mut World| world.monitor.accounts().expect("accounts").pending;
    assert_eq!(pending(&mut world), 0);
    let first = world.alloc_rw(1, PageSize::Small, 3).expect("room");
    assert_eq!(pending(&mut world), 3);
    assert_eq!(world.write(1, first.va), Status::Ok);
    assert_eq!(pending(&mut world), 2);
    // As many as the list holds.
    let second = world.alloc_rw(1, PageSize::Small, 100).expect("room");
    assert_eq!(pending(&mut world), 16);
    for (done, (pid, va)) in (1..).zip(pages_of(second)) {
        assert_eq!(world.write(pid, va), Status::Ok);
        // Asked for more at a quarter less.
        assert!(pending(&mut world) >= 12.min(102 - done), "after {done} writes");
    }
    assert_eq!(pending(&mut world), 2);
    world.alloc_rw(1, PageSize::Huge, 3).expect("room");
    assert_eq!(pending(&mut world), 2 + 2 * 512);
    world.audit();
}

/// Frames that wait in the hardware for pages that are gone do not stand in the way of others.
#[test]
fn untouched_memory_comes_back_from_the_hardware() {
    let mut world = world();
    let small = world.alloc_rw(1, PageSize::Small, 600).expect("room");
    assert!(world.monitor.accounts().expect("accounts").pending > 0);
    assert_eq!(world.free(small), ReturnCode::Success);
    assert!(world.monitor.accounts().expect("accounts").pending > 0);
    let huge = world.alloc_rw(1, PageSize::Huge, 3).expect("three whole blocks");
    world.audit();
    assert_eq!(world.free(huge), ReturnCode::Success);
    let usable = 2048 - world.monitor.layout().table_frames();
    let all = world.alloc_rw(2, PageSize::Small, usable).expect("all of it");
    for (pid, va) in pages_of(all) {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    world.audit();
}

#[test]
fn overcommit_promises_more_than_there_is() {
    let config = MonitorConfig { overcommit: true, ..MonitorConfig::default() };
    let mut world = World::new(HARDWARE, &config, Capacity::default());
    let usable = 2048 - world.monitor.layout().table_frames();
    // As much as the table has slots for.
    let first = world.alloc_rw(1, PageSize::Small, usable).expect("room");
    let second = world.alloc_rw(2, PageSize::Small, usable).expect("slots");
    for (pid, va) in pages_of(first) {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    assert_eq!(world.write(2, second.va), Status::NoMemory);
    assert_eq!(world.write(2, second.va), Status::NoMemory);
    world.audit();
    assert_eq!(world.health().no_memory_events, 2);
    // Shareable memory is not promised: it is there or it is not.
    let shared = world.alloc(3, PageSize::Small, 1, Permission::RW, true);
    assert_eq!(shared, Err(ReturnCode::NoMemory));
    world.audit();
    assert_eq!(world.free(Range { pages: 10, ..first }), ReturnCode::Success);
    assert_eq!(world.write(2, second.va), Status::Ok);
    let shared = world.alloc(3, PageSize::Small, 4, Permission::RW, true);
    assert!(shared.is_ok());
    world.audit();
    assert_eq!(world.alloc_rw(4, PageSize::Small, 4096), Err(ReturnCode::NoAddress));
    assert_eq!(world.health().no_address, 1);
    world.audit();
}

#[test]
fn with_overcommit_too_untouched_memory_comes_back() {
    let config = MonitorConfig { overcommit: true, ..MonitorConfig::default() };
    let mut world = World::new(HARDWARE, &config, Capacity::default());
    let huge = world.alloc_rw(1, PageSize::Huge, 3).expect("slots");
    assert_eq!(world.free(huge), ReturnCode::Success);
    assert_eq!(world.monitor.accounts().expect("accounts").pending, 2 * 512);
    // A number that no counter holds.
    assert_eq!(world.alloc_rw(1, PageSize::Huge, u32::MAX), Err(ReturnCode::NoAddress));
    world.alloc_rw(1, PageSize::Huge, 1).expect("slots");
    assert_eq!(world.alloc_rw(1, PageSize::Huge, u32::MAX), Err(ReturnCode::NoMemory));
    assert_eq!(world.drop_process(1), ReturnCode::Success);
    let small = world.alloc_rw(2, PageSize::Small, 2048 - 16).expect("slots");
    for (pid, va) in pages_of(small) {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    world.audit();
}

#[test]
fn a_shared_frame_lives_as_long_as_a_mapping() {
    for size in [PageSize::Small, PageSize::Huge] {
        let mut world = world();
        let first = world.alloc(1, size, 2, Permission::RW, true).expect("room");
        let second = world.share(first, 2, Permission::RO).expect("shareable");
        let third = world.share(second, 3, Permission::RW).expect("shareable again");
        assert_eq!(world.share(first, 1, Permission::RW), Err(ReturnCode::BadArgument));
        assert_eq!(world.write(1, first.va), Status::Ok);
        assert_eq!(world.write(2, second.va), Status::NoPermission);
        world.check(3, third.va);
        assert_eq!(world.write(3, third.va), Status::Ok);
        world.check(1, first.va);
        world.audit();
        let before = world.info().frames_free;
        assert_eq!(world.free(first), ReturnCode::Success);
        assert_eq!(world.drop_process(2), ReturnCode::Success);
        assert_eq!(world.info().frames_free, before);
        world.check(3, third.va);
        assert_eq!(world.free(third), ReturnCode::Success);
        assert_eq!(world.info().frames_free, before + 2 * size.frames());
        world.audit();
        let private = world.alloc_rw(1, size, 1).expect("room");
        assert_eq!(world.share(private, 2, Permission::RW), Err(ReturnCode::NotShareable));
        world.audit();
    }
}

#[test]
fn full_tables_are_said_to_be_full() {
    let capacity = Capacity { records: 2, shares: 8 };
    let mut world = World::new(HARDWARE, &MonitorConfig::default(), capacity);
    let rw = world.alloc_rw(1, PageSize::Small, 5).expect("room");
    let too_many = world.alloc(2, PageSize::Small, 8, Permission::RW, true);
    assert_eq!(too_many, Err(ReturnCode::TablesFull), "seven of eight shared frames at most");
    let shared = world.alloc(2, PageSize::Small, 7, Permission::RW, true).expect("room");
    assert_eq!(world.alloc_rw(3, PageSize::Small, 1), Err(ReturnCode::TablesFull));
    assert_eq!(world.share(shared, 3, Permission::RW), Err(ReturnCode::TablesFull));
    // The middle of a record would leave two.
    let middle = Range { va: rw.va + 4096, pages: 2, ..rw };
    assert_eq!(world.free(middle), ReturnCode::TablesFull);
    assert_eq!(world.protect(middle, Permission::RO), ReturnCode::TablesFull);
    world.audit();
    assert_eq!(world.protect(rw, Permission::RO), ReturnCode::Success);
    assert_eq!(world.free(Range { pages: 2, ..rw }), ReturnCode::Success);
    // A neighbour of the same kind takes no record.
    world.audit();
    assert_eq!(world.drop_process(1), ReturnCode::Success);
    assert!(world.alloc_rw(3, PageSize::Small, 1).is_ok());
    world.audit();
}

#[test]
fn many_processes_use_the_same_few_pages_each() {
    let mut world = World::new(
        HwConfig { pa_bits: 25, ..HARDWARE },
        &MonitorConfig::default(),
        Capacity { records: 8192, shares: 8 },
    );
    let usable = 8192 - world.monitor.layout().table_frames();
    for pid in 0..usable as u16 {
        let range = world.alloc_rw(pid, PageSize::Small, 1).expect("a frame each");
        // The hash spreads them: nobody has to go far from the lowest address.
        assert!(range.va < (1 << 30) + (64 << 12), "{range:x?}");
    }
    assert_eq!(world.info().processes, usable);
    world.audit();
    let pages: Vec<_> = world.pages.keys().copied().collect();
    for (pid, va) in pages {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    world.audit();
}

/// Which shootdowns are started.
#[derive(Clone)]
struct Spy {
    bus: Bus,
    commands: Rc<RefCell<Vec<u32>>>,
}

impl RegisterBus for Spy {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.bus.read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        if offset == regs::SD_COMMAND.offset {
            self.commands.borrow_mut().push(value);
        }
        if offset == regs::TE_COMMAND.offset && value == TableCommand::Insert as u32 {
            // From now on the page can be touched.
            assert!(self.bus.read(regs::PENDING_4K.offset)? > 0, "frames come first");
        }
        self.bus.write(offset, value)
    }
}

/// Completes a shootdown that the monitor waits for, and looks at what it has done by then.
struct Completing(Rc<RefCell<Model>>);

impl Wait for Completing {
    fn wait(&mut self, what: Waiting) {
        assert_eq!(what, Waiting::Shootdown);
        assert!(what.interrupts());
        let mut model = self.0.borrow_mut();
        assert!(!model.irq_monitor());
        let pending = model.monitor().read(regs::PENDING_4K.offset).expect("a register");
        assert_eq!(pending, 16, "no frame was recycled");
        assert!(model.complete_shootdown());
        assert!(model.irq_monitor(), "a sleeping core would wake up");
    }
}

#[test]
fn frames_are_recycled_only_after_the_shootdown() {
    let model = Rc::new(RefCell::new(Model::new(HARDWARE)));
    model.borrow_mut().hold_shootdowns();
    let bus = Spy { bus: Bus::new(&model), commands: Rc::default() };
    let commands = bus.commands.clone();
    let config = MonitorConfig::default();
    let layout = config.layout(23).expect("8 MiB");
    let tables = MonitorTables {
        frames: &mut vec![0; layout.frame_words()],
        buckets: &mut vec![0; layout.bucket_words()],
        records: &mut [Record::EMPTY; 8],
        shares: &mut [SharedFrame::EMPTY; 8],
        journal: &mut [],
    };
    let wait = Completing(model.clone());
    let mut monitor = Monitor::boot(bus, wait, tables, &config).expect("boot");
    let mut call = |command: Command| {
        let mut payload = [0; MAILBOX_WORDS];
        let (opcode, length) = command.encode(&mut payload);
        let (code, _) = monitor.handle(opcode, length, &mut payload).expect("handle");
        assert_eq!(code, ReturnCode::Success);
        Address::decode(&payload).0
    };
    let permission = Permission::RW;
    let (size, shareable) = (PageSize::Small, false);
    let va = call(Command::Alloc { pid: 1, pages: 40, size, permission, shareable });
    // The TLB has 16 sets: 16 pages are shot down one by one, 17 are not.
    call(Command::Free(Range { pid: 1, va, pages: 16 }));
    call(Command::Protect(Range { pid: 1, va: va + (16 << 12), pages: 17 }, Permission::RO));
    call(Command::Drop { pid: 1 });
    call(Command::Drop { pid: 1 });
    assert_eq!(*commands.borrow(), [1, 2, 2], "pages, pid, pid, and none for an empty process");
    let shootdowns = model.borrow_mut().host().read(Counter::Shootdowns.offset());
    assert_eq!(shootdowns, Ok(3));
}

/// The interrupt of a command that the monitor saw end by itself.
#[test]
fn a_late_interrupt_does_not_keep_the_monitor_awake() {
    let mut world = world();
    let mut monitor = Bus::new(&world.model);
    monitor.write(regs::TE_COUNT.offset, 0).expect("a register");
    monitor.write(regs::TE_COMMAND.offset, TableCommand::Unmap as u32).expect("a register");
    assert!(world.model.borrow().irq_monitor());
    world.serve_interrupts();
    assert!(!world.model.borrow().irq_monitor());
}

#[test]
fn events_and_health_tell_what_happened() {
    let mut world = world();
    let range = world.alloc(5, PageSize::Small, 1, Permission::RO, false).expect("room");
    for i in 0..20 {
        world.check(6, 0x1_0000 + (i << 12));
    }
    assert_eq!(world.write(5, range.va), Status::NoPermission);
    let mut events = vec![];
    for expected in [EVENTS_PER_REPLY, 6, 0] {
        let (code, reply) = world.call(Command::Events);
        assert_eq!((code, reply[0] as usize), (ReturnCode::Success, expected));
        events.extend((0..expected).map(|i| {
            let words = [1, 2, 3, 4].map(|w| reply[4 * i + w]);
            Event::decode(words).expect("a known status")
        }));
    }
    for (i, event) in (0..20).zip(&events) {
        let seen = (event.status, event.pid, event.va, event.op, event.port);
        assert_eq!(seen, (Status::NotMapped, 6, 0x1_0000 + (i << 12), Op::Read as u8, 1));
    }
    let last = events[20];
    assert_eq!((last.status, last.pid, last.va), (Status::NoPermission, 5, range.va));

    let health = world.health();
    assert_eq!((health.flags, health.no_memory_events, health.uncorrectable_events), (0, 0, 0));
    assert_eq!((health.commands, health.commands_refused), (5, 0));
    assert_eq!((health.refills, health.shootdowns), (1, 0));
    let (code, _) = world.call(Command::Free(Range { pid: 6, ..range }));
    assert_eq!(code, ReturnCode::NotAllocated);
    assert_eq!(world.health().commands_refused, 1);

    // More than the log holds, and almost all memory promised.
    for _ in 0..40 {
        world.check(6, 0x1_0000);
    }
    assert_eq!(world.health().flags, 0b1000);
    world.alloc_rw(1, PageSize::Small, 1920).expect("room");
    assert_eq!(world.health().flags, 0b1001);
    let info = world.info();
    assert_eq!((info.frames_total, info.frames_free), (2048, 2048 - 16 - 1921));
    assert_eq!((info.buckets, info.mappings, info.processes, info.pa_bits), (1024, 1921, 2, 23));
}

/// What a large range costs at the registers: the soft core pays for each access.
#[test]
fn a_range_costs_little_per_page() {
    let model = Rc::new(RefCell::new(Model::new(HwConfig { pa_bits: 30, ..HwConfig::LARGE })));
    let mut monitor = boot(&model, &MonitorConfig::default(), Capacity::default()).expect("boot");
    let mut accesses = |command: Command, words: &mut [u32; MAILBOX_WORDS]| {
        let before = monitor.bus().accesses;
        let (opcode, length) = command.encode(words);
        let (code, _) = monitor.handle(opcode, length, words).expect("handle");
        assert_eq!(code, ReturnCode::Success);
        monitor.bus().accesses - before
    };
    let pages = 200_000;
    let mut words = [0; MAILBOX_WORDS];
    let (size, permission) = (PageSize::Small, Permission::RW);
    let alloc = Command::Alloc { pid: 1, pages, size, permission, shareable: false };
    let cost = accesses(alloc, &mut words) as f64 / pages as f64;
    let va = Address::decode(&words).0;
    let free = accesses(Command::Free(Range { pid: 1, va, pages }), &mut words);
    let free = free as f64 / pages as f64;
    eprintln!("register accesses per untouched page: {cost:.3} to allocate, {free:.3} to free");
    assert!(cost < 0.5 && free < 1.0);
}
