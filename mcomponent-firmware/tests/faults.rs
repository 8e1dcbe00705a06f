//! Hardware that fails: poisoned lines of the page table, and a component that does not answer.

mod common;

use common::{pages_of, Bus, Capacity, World, HARDWARE};
use mcomponent_firmware::{
    Error, Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin, Waiting,
};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Command, Permission, Range, ReturnCode};
use splitmem_abi::regs::field::{SD_STATUS, TE_STATUS};
use splitmem_abi::regs::{self, Register, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status};
use splitmem_model::Model;
use std::cell::RefCell;
use std::rc::Rc;

fn world() -> World {
    World::new(HARDWARE, &MonitorConfig::default(), Capacity::default())
}

fn poison_bucket(world: &World, pid: u16, va: u64) {
    let line = world.model.borrow().bucket_line(pid, va);
    world.model.borrow_mut().poison(line);
}

/// The poisoned bucket is written anew, as a controller that scrubs would.
fn heal(world: &World, pid: u16, va: u64) {
    let line = world.model.borrow().bucket_line(pid, va);
    let mut bytes = [0; 64];
    world.model.borrow().read_physical(line << 6, &mut bytes);
    world.model.borrow_mut().write_physical(line << 6, &bytes);
}

fn after(range: Range, pages: u32) -> Range {
    let va = range.va + pages as u64 * PageSize::of(range.va).bytes();
    Range { va, pages: range.pages - pages, ..range }
}

#[test]
fn a_poisoned_bucket_is_allocated_around() {
    for (size, shareable) in
        [(PageSize::Small, false), (PageSize::Small, true), (PageSize::Huge, false)]
    {
        let mut world = world();
        let pages = if size == PageSize::Huge { 3 } else { 100 };
        // Where it would go if nothing was wrong.
        let first = world.alloc(1, size, pages, Permission::RW, shareable).expect("room");
        assert_eq!(world.free(first), ReturnCode::Success);
        let bad = after(first, pages / 2).va;
        poison_bucket(&world, 1, bad);
        let range = world.alloc(1, size, pages, Permission::RW, shareable).expect("elsewhere");
        assert!(pages_of(range).all(|(_, va)| va != bad));
        for (pid, va) in pages_of(range) {
            assert_eq!(world.write(pid, va), Status::Ok);
        }
        // The part that was mapped before the bucket stopped it is gone without a trace.
        world.audit();
        assert_eq!(world.health().flags, 0b100);
        assert_eq!(world.free(range), ReturnCode::Success);
        world.audit();
        // Everything but the bucket's slots can be had; all frames can.
        let bad = world.model.borrow().bucket_line(1, bad);
        for _ in 0..4 {
            let all = world.alloc_rw(2, PageSize::Small, 508).expect("all frames");
            for (_, va) in pages_of(all) {
                assert_ne!(world.model.borrow().bucket_line(2, va), bad);
            }
        }
        assert_eq!(world.alloc_rw(2, PageSize::Small, 1), Err(ReturnCode::NoMemory));
    }
}

/// The frames that were at hand for pages that could not be mapped are not lost.
#[test]
fn a_poisoned_bucket_costs_no_frame() {
    let mut world = world();
    let range = world.alloc_rw(1, PageSize::Small, 64).expect("room");
    for (pid, va) in pages_of(range) {
        assert_eq!(world.write(pid, va), Status::Ok);
    }
    // Now the free frames have gaps: no two of them can be mapped at once.
    for i in (0..64).step_by(2) {
        assert_eq!(world.free(Range { pages: 1, ..after(range, i) }), ReturnCode::Success);
    }
    let first = world.alloc(2, PageSize::Small, 10, Permission::RW, true).expect("room");
    assert_eq!(world.free(first), ReturnCode::Success);
    poison_bucket(&world, 2, after(first, 5).va);
    world.alloc(2, PageSize::Small, 10, Permission::RW, true).expect("elsewhere");
    world.audit();
}

#[test]
fn a_poisoned_bucket_does_not_keep_other_pages_from_being_freed() {
    for drop in [false, true] {
        let mut world = world();
        let range = world.alloc_rw(1, PageSize::Small, 200).expect("room");
        for (pid, va) in pages_of(range) {
            assert_eq!(world.write(pid, va), Status::Ok);
        }
        let bad = after(range, 70).va;
        poison_bucket(&world, 1, bad);
        let code = if drop { world.drop_process(1) } else { world.free(range) };
        assert_eq!(code, ReturnCode::Internal);
        world.pages.retain(|page, _| page.1 == bad);
        world.audit();
        let answer = world.model.borrow_mut().request(0, &Request::read(0, 1, bad));
        assert_eq!(answer.status, Status::Uncorrectable);
        // The page is still allocated, and can be freed when its bucket can be read again.
        heal(&world, 1, bad);
        world.check(1, bad);
        let left = Range { va: bad, pages: 1, ..range };
        let code = if drop { world.drop_process(1) } else { world.free(left) };
        assert_eq!(code, ReturnCode::Success);
        world.audit();
    }
}

#[test]
fn a_protect_that_fails_is_undone() {
    let mut world = world();
    let range = world.alloc_rw(1, PageSize::Small, 300).expect("room");
    // Different permissions, to be restored each.
    let some = Range { pages: 30, ..after(range, 100) };
    assert_eq!(world.protect(some, Permission::RO), ReturnCode::Success);
    poison_bucket(&world, 1, after(range, 250).va);
    let none = Permission { read: false, write: false };
    assert_eq!(world.protect(range, none), ReturnCode::Internal);
    world.audit();
}

#[test]
fn a_share_that_fails_is_undone() {
    let mut world = world();
    let source = world.alloc(1, PageSize::Small, 90, Permission::RW, true).expect("room");
    poison_bucket(&world, 1, after(source, 80).va);
    assert_eq!(world.share(source, 2, Permission::RW), Err(ReturnCode::Internal));
    world.audit();
    let good = Range { pages: 80, ..source };
    let shared = world.share(good, 2, Permission::RW).expect("shareable");
    assert_eq!(world.free(shared), ReturnCode::Success);
    world.audit();
}

/// A register, and what it always reads; nothing if the bus is gone there.
type Fault = (Register, Option<u32>);

/// A bus that has a fault once it is armed with one.
struct Failing {
    bus: Bus,
    armed: Rc<RefCell<Option<Fault>>>,
}

impl RegisterBus for Failing {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        match &*self.armed.borrow() {
            Some((register, value)) if register.offset == offset => value.ok_or(BusError::Gone),
            _ => self.bus.read(offset),
        }
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.bus.write(offset, value)
    }
}

#[test]
fn a_component_that_does_not_finish_is_reported() {
    let stuck = [
        (regs::TE_STATUS, Some(TE_STATUS::BUSY.put(1)), Error::Stuck(Waiting::TableEngine), true),
        (regs::SD_STATUS, Some(SD_STATUS::BUSY.put(1)), Error::Stuck(Waiting::Shootdown), false),
        (regs::FREE_4K_POP, Some(0), Error::Stuck(Waiting::Frame), true),
        (regs::TE_RESULT, None, Error::Bus(BusError::Gone), false),
    ];
    for (register, value, expected, while_allocating) in stuck {
        let model = Rc::new(RefCell::new(Model::new(HARDWARE)));
        let armed = Rc::default();
        let bus = Failing { bus: Bus::new(&model), armed };
        let armed = bus.armed.clone();
        let config = MonitorConfig { patience: 100, ..MonitorConfig::default() };
        let layout = config.layout(23).expect("8 MiB");
        let tables = MonitorTables {
            frames: &mut vec![0; layout.frame_words()],
            buckets: &mut vec![0; layout.bucket_words()],
            records: &mut [Record::EMPTY; 8],
            shares: &mut [SharedFrame::EMPTY; 16],
            journal: &mut [],
        };
        let mut monitor = Monitor::boot(bus, Spin, tables, &config).expect("boot");
        let mut call = |command: Command| {
            let mut model = model.borrow_mut();
            let mut payload = [0; MAILBOX_WORDS];
            let (opcode, length) = command.encode(&mut payload);
            for (i, &word) in (0..).zip(&payload) {
                model.host().write(regs::MB_PAYLOAD.at(i), word).expect("a register");
            }
            let command = opcode as u32 | (length as u32) << 16;
            model.host().write(regs::MB_COMMAND.offset, command).expect("a register");
            model.host().write(regs::MB_DOORBELL.offset, 1).expect("a register");
            drop(model);
            monitor.poll()
        };
        let (size, permission) = (PageSize::Small, Permission::RW);
        let alloc = Command::Alloc { pid: 1, pages: 5, size, permission, shareable: true };
        if !while_allocating {
            let activity = call(alloc).expect("poll");
            assert_eq!(activity.answered, Some(ReturnCode::Success));
        }
        *armed.borrow_mut() = Some((register, value));
        let command = if while_allocating { alloc } else { Command::Drop { pid: 1 } };
        assert_eq!(call(command), Err(expected));
        // The host is not left waiting.
        let mut model = model.borrow_mut();
        assert_eq!(model.host().read(regs::MB_DOORBELL.offset), Ok(0));
        let status = model.host().read(regs::MB_STATUS.offset);
        assert_eq!(status, Ok(ReturnCode::Internal as u32));
    }
}
