//! A monitor's few moves, through the registers only.
#![allow(dead_code)] // each test file uses its own part

use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field, Register, ShootdownCommand, TableCommand};
use splitmem_model::Model;

pub const R: u32 = 1 << 1;
pub const W: u32 = 1 << 2;
pub const RW: u32 = R | W;
pub const SHARED: u32 = 1 << 3;
pub const PRESENT: u32 = 1 << 8;

pub fn read(model: &mut Model, register: &Register) -> u32 {
    model.monitor().read(register.offset).unwrap_or_else(|e| panic!("{}: {e}", register.name))
}

pub fn write(model: &mut Model, register: &Register, value: u32) {
    model
        .monitor()
        .write(register.offset, value)
        .unwrap_or_else(|e| panic!("{}: {e}", register.name));
}

/// Runs of pages that a command works on.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    pub pid: u16,
    pub va: u64,
    pub count: u32,
}

pub fn page(pid: u16, va: u64) -> Pages {
    Pages { pid, va, count: 1 }
}

/// How a command of the table engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub done: u32,
    pub error: u32,
    pub busy: bool,
}

pub fn command(model: &mut Model, code: u32, pages: Pages, flags: u32, frame: u32) -> Ended {
    write(model, &regs::TE_PID, pages.pid as u32);
    write(model, &regs::TE_VA_LO, pages.va as u32);
    write(model, &regs::TE_VA_HI, (pages.va >> 32) as u32);
    write(model, &regs::TE_COUNT, pages.count);
    write(model, &regs::TE_FLAGS, flags);
    write(model, &regs::TE_FRAME, frame);
    write(model, &regs::TE_COMMAND, code);
    ended(model)
}

pub fn ended(model: &mut Model) -> Ended {
    let status = read(model, &regs::TE_STATUS);
    Ended {
        done: read(model, &regs::TE_DONE),
        error: field::TE_STATUS::ERROR.get(status),
        busy: field::TE_STATUS::BUSY.get(status) == 1,
    }
}

pub fn insert(model: &mut Model, pages: Pages, flags: u32) -> Ended {
    command(model, TableCommand::Insert as u32, pages, flags, 0)
}

pub fn insert_frame(model: &mut Model, pages: Pages, flags: u32, frame: u32) -> Ended {
    command(model, TableCommand::Insert as u32, pages, flags | PRESENT, frame)
}

pub fn unmap(model: &mut Model, pages: Pages) -> Ended {
    command(model, TableCommand::Unmap as u32, pages, 0, 0)
}

pub fn collect(model: &mut Model, pages: Pages) -> Ended {
    command(model, TableCommand::Collect as u32, pages, 0, 0)
}

pub fn protect(model: &mut Model, pages: Pages, flags: u32) -> Ended {
    command(model, TableCommand::Protect as u32, pages, flags, 0)
}

pub fn query(model: &mut Model, pages: Pages) -> Ended {
    command(model, TableCommand::Query as u32, pages, 0, 0)
}

pub fn shoot_down(model: &mut Model, how: ShootdownCommand, pages: Pages) {
    write(model, &regs::SD_PID, pages.pid as u32);
    write(model, &regs::SD_VA_LO, pages.va as u32);
    write(model, &regs::SD_VA_HI, (pages.va >> 32) as u32);
    write(model, &regs::SD_COUNT, pages.count);
    write(model, &regs::SD_COMMAND, how as u32);
}

pub fn push_frames(model: &mut Model, base: u32, count: u32, size: PageSize) {
    write(model, &regs::ZERO_BASE, base);
    let huge = (size == PageSize::Huge) as u32;
    let push = field::ZERO_PUSH::COUNT.put(count) | field::ZERO_PUSH::HUGE.put(huge);
    write(model, &regs::ZERO_PUSH, push);
}

pub fn pop_frame(model: &mut Model, size: PageSize) -> Option<u32> {
    let register = match size {
        PageSize::Small => &regs::FREE_4K_POP,
        PageSize::Huge => &regs::FREE_2M_POP,
    };
    let value = read(model, register);
    (field::FREE_4K_POP::VALID.get(value) == 1).then_some(field::FREE_4K_POP::FRAME.get(value))
}

/// Takes a result of the table engine.
pub fn result(model: &mut Model) -> Option<u32> {
    let value = read(model, &regs::TE_RESULT);
    (field::TE_RESULT::VALID.get(value) == 1).then_some(value)
}

/// A register by its offset.
pub fn read_at(model: &mut Model, offset: u16) -> u32 {
    model.monitor().read(offset).unwrap_or_else(|e| panic!("{offset:#x}: {e}"))
}
