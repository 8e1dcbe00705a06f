//! A machine with the monitor on its core, and a host at its mailbox.

use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Info, Payload, Permission, Range};
use splitmem_abi::regs::{self, field, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::soc::{Image, Isolation, Log, RttChannel, SoftCore};
use verilator_tb::{Component, Hw, Machine, MonitorOptions, MonitorPlace};

pub type Dut = Machine<IdealMemory>;

pub const FRAMES: u32 = 8192;
/// Cycles in which a watchdog must have bitten and the monitor be back.
pub const RESTART: u64 = 12_000_000;

pub fn boot() -> Dut {
    boot_with(Hw::Small, FRAMES)
}

pub fn boot_with(hw: Hw, frames: u32) -> Dut {
    boot_isolated(hw, frames, Isolation::default())
}

pub fn boot_isolated(hw: Hw, frames: u32, isolation: Isolation) -> Dut {
    let place = MonitorPlace::Firmware;
    let mut options = MonitorOptions { place, isolation, ..MonitorOptions::default() };
    options.config.frames = Some(frames);
    let memory = IdealMemory::new(LineStore::new(u64::from(frames) << 6, Fill::Noise(1)), 10);
    Machine::boot(Component::new(hw, memory).unwrap(), options).unwrap()
}

pub fn ring(dut: &mut Dut, command: Command) {
    let mut payload = [0; MAILBOX_WORDS];
    let (opcode, length) = command.encode(&mut payload);
    let mut host = dut.host();
    for (i, word) in (0..).zip(&payload[..usize::from(length) / 4]) {
        host.write(regs::MB_PAYLOAD.at(i), *word).unwrap();
    }
    let header =
        field::MB_COMMAND::OPCODE.put(opcode.into()) | field::MB_COMMAND::LENGTH.put(length.into());
    host.write(regs::MB_COMMAND.offset, header).unwrap();
    host.write(regs::MB_DOORBELL.offset, 1).unwrap();
}

pub fn reply(dut: &mut Dut) -> Option<(u32, Payload)> {
    let mut host = dut.host();
    if host.read(regs::MB_DOORBELL.offset).unwrap() != 0 {
        return None;
    }
    let status = host.read(regs::MB_STATUS.offset).unwrap();
    let mut payload = [0; MAILBOX_WORDS];
    for (i, word) in (0..).zip(&mut payload) {
        *word = host.read(regs::MB_PAYLOAD.at(i)).unwrap();
    }
    Some((field::MB_STATUS::CODE.get(status), payload))
}

/// A command's code and reply.
pub fn call(dut: &mut Dut, command: Command) -> (u32, Payload) {
    ring(dut, command);
    let patience = dut.cycle() + RESTART;
    loop {
        if let Some(reply) = reply(dut) {
            return reply;
        }
        assert!(dut.cycle() < patience, "no reply to {command:?}, {}", state(dut));
    }
}

pub fn state(dut: &mut Dut) -> String {
    let core = dut.core_mut().unwrap();
    // The log's ring stands at the same place of memory only in the same firmware: all that do not
    // decode it are of no use here, so the first one that does is it.
    let log = Isolation::ALL.iter().find_map(|isolation| {
        let image = Image::read(isolation.monitor()).unwrap();
        let ring = RttChannel::new(image.symbol("_SEGGER_RTT").unwrap());
        let lines = Log::new(isolation.monitor()).unwrap().lines(&ring.take(core).unwrap());
        (!lines.is_empty()).then_some(lines)
    });
    let log = log.unwrap_or_default();
    format!("pc {:#x}, {} resets; log:\n{}", core.pc(), core.resets(), log.join("\n"))
}

pub fn alloc(pid: u16, pages: u32) -> Command {
    let (size, permission) = (PageSize::Small, Permission::RW);
    Command::Alloc { pid, pages, size, permission, shareable: false }
}

/// Allocates, and gives the first address.
pub fn get(dut: &mut Dut, pid: u16, pages: u32) -> u64 {
    let (code, payload) = call(dut, alloc(pid, pages));
    assert_eq!(code, 0);
    Address::decode(&payload).0
}

pub fn request(dut: &mut Dut, request: Request) -> (Status, [u8; 64]) {
    dut.port(0).send(request);
    for _ in 0..20_000 {
        dut.tick();
        if let Some(answer) = dut.port(0).receive() {
            return (answer.response.status, answer.response.data);
        }
    }
    panic!("no answer to {request:?}");
}

pub fn write(dut: &mut Dut, pid: u16, va: u64, value: u8) -> Status {
    request(dut, Request::write(1, pid, va, FULL_MASK, [value; 64])).0
}

/// Memory with a pattern in it.
pub struct Load {
    pub pid: u16,
    pub va: u64,
    pub pages: u32,
    /// Pages that were written.
    touched: u32,
}

impl Load {
    pub fn new(dut: &mut Dut, pid: u16, pages: u32, touched: u32) -> Self {
        let mut load = Self { pid, va: get(dut, pid, pages), pages, touched: 0 };
        load.touch(dut, touched);
        load
    }

    pub fn at(&self, page: u32) -> u64 {
        self.va + u64::from(page) * 4096
    }

    pub fn touch(&mut self, dut: &mut Dut, pages: u32) {
        for page in self.touched..self.touched + pages {
            assert_eq!(write(dut, self.pid, self.at(page), page as u8), Status::Ok, "page {page}");
        }
        self.touched += pages;
    }

    /// Every page reads as it was written, or as zeros.
    pub fn check(&self, dut: &mut Dut) {
        for page in 0..self.pages {
            let value = if page < self.touched { page as u8 } else { 0 };
            let read = Request::read(2, self.pid, self.at(page));
            assert_eq!(request(dut, read), (Status::Ok, [value; 64]), "page {page}");
        }
    }
}

pub fn info(dut: &mut Dut) -> Info {
    let (code, payload) = call(dut, Command::Info);
    assert_eq!(code, 0);
    Info::decode(&payload)
}

pub fn restarted(dut: &mut Dut, resets: u32) {
    let patience = dut.cycle() + RESTART;
    while dut.core().unwrap().resets() == resets || !dut.core().unwrap().is_asleep() {
        dut.tick();
        assert!(dut.cycle() < patience, "not restarted, {}", state(dut));
        assert!(dut.core().unwrap().resets() <= resets + 1, "fails again, {}", state(dut));
    }
}

/// What must hold after a restart: everything is as it was, all frames are there and each once.
pub fn in_order(dut: &mut Dut, loads: &[&Load], before: Info) {
    for load in loads {
        load.check(dut);
    }
    let after = info(dut);
    assert_eq!((after.mappings, after.processes), (before.mappings, before.processes));
    assert_eq!(after.frames_total, before.frames_total);
    // Memory of a new process shows nothing of the others, and none of it is theirs.
    let new = Load::new(dut, 99, 40, 40);
    new.check(dut);
    for load in loads {
        load.check(dut);
    }
    let gone = Range { pid: 99, va: new.va, pages: new.pages };
    assert_eq!(call(dut, Command::Free(gone)).0, 0);
    assert_eq!(call(dut, Command::Free(gone)).0, 6, "freed twice");
}

/// Puts two bytes into the core's memory; gives what was there.
pub fn half(core: &mut SoftCore, address: u32, value: u32) -> u32 {
    let shift = address % 4 * 8;
    let was = core.read_word(address & !3);
    core.write_word(address & !3, was & !(0xffff << shift) | value << shift);
    was >> shift & 0xffff
}
