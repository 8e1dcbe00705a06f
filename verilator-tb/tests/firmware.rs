//! The memory monitor as firmware: its log, and what becomes of memory when it is halted, panics, or
//! is reset under load.

use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Info, Payload, Permission, PostMortem, Range};
use splitmem_abi::regs::{self, field, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::soc::{Debugger, Image, Log, RttChannel, SoftCore, Wires, MONITOR};
use verilator_tb::{Component, Hw, Machine, MonitorOptions, MonitorPlace};

type Dut = Machine<IdealMemory>;

const FRAMES: u32 = 8192;
/// Cycles in which a watchdog must have bitten and the monitor be back.
const RESTART: u64 = 12_000_000;

fn boot() -> Dut {
    boot_with(Hw::Small, FRAMES)
}

fn boot_with(hw: Hw, frames: u32) -> Dut {
    let place = MonitorPlace::Firmware;
    let mut options = MonitorOptions { place, ..MonitorOptions::default() };
    options.config.frames = Some(frames);
    let memory = IdealMemory::new(LineStore::new(u64::from(frames) << 6, Fill::Noise(1)), 10);
    Machine::boot(Component::new(hw, memory).unwrap(), options).unwrap()
}

fn ring(dut: &mut Dut, command: Command) {
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

fn reply(dut: &mut Dut) -> Option<(u32, Payload)> {
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
fn call(dut: &mut Dut, command: Command) -> (u32, Payload) {
    ring(dut, command);
    let patience = dut.cycle() + RESTART;
    loop {
        if let Some(reply) = reply(dut) {
            return reply;
        }
        assert!(dut.cycle() < patience, "no reply to {command:?}, {}", state(dut));
    }
}

fn state(dut: &mut Dut) -> String {
    let core = dut.core_mut().unwrap();
    let image = Image::read(MONITOR).unwrap();
    let ring = RttChannel::new(image.symbol("_SEGGER_RTT").unwrap());
    let log = Log::new(MONITOR).unwrap().lines(&ring.take(core).unwrap());
    format!("pc {:#x}, {} resets; log:\n{}", core.pc(), core.resets(), log.join("\n"))
}

fn alloc(pid: u16, pages: u32) -> Command {
    let (size, permission) = (PageSize::Small, Permission::RW);
    Command::Alloc { pid, pages, size, permission, shareable: false }
}

/// Allocates, and gives the first address.
fn get(dut: &mut Dut, pid: u16, pages: u32) -> u64 {
    let (code, payload) = call(dut, alloc(pid, pages));
    assert_eq!(code, 0);
    Address::decode(&payload).0
}

fn request(dut: &mut Dut, request: Request) -> (Status, [u8; 64]) {
    dut.port(0).send(request);
    for _ in 0..20_000 {
        dut.tick();
        if let Some(answer) = dut.port(0).receive() {
            return (answer.response.status, answer.response.data);
        }
    }
    panic!("no answer to {request:?}");
}

fn write(dut: &mut Dut, pid: u16, va: u64, value: u8) -> Status {
    request(dut, Request::write(1, pid, va, FULL_MASK, [value; 64])).0
}

/// Memory with a pattern in it.
struct Load {
    pid: u16,
    va: u64,
    pages: u32,
    /// Pages that were written.
    touched: u32,
}

impl Load {
    fn new(dut: &mut Dut, pid: u16, pages: u32, touched: u32) -> Self {
        let mut load = Self { pid, va: get(dut, pid, pages), pages, touched: 0 };
        load.touch(dut, touched);
        load
    }

    fn at(&self, page: u32) -> u64 {
        self.va + u64::from(page) * 4096
    }

    fn touch(&mut self, dut: &mut Dut, pages: u32) {
        for page in self.touched..self.touched + pages {
            assert_eq!(write(dut, self.pid, self.at(page), page as u8), Status::Ok, "page {page}");
        }
        self.touched += pages;
    }

    /// Every page reads as it was written, or as zeros.
    fn check(&self, dut: &mut Dut) {
        for page in 0..self.pages {
            let value = if page < self.touched { page as u8 } else { 0 };
            let read = Request::read(2, self.pid, self.at(page));
            assert_eq!(request(dut, read), (Status::Ok, [value; 64]), "page {page}");
        }
    }
}

fn info(dut: &mut Dut) -> Info {
    let (code, payload) = call(dut, Command::Info);
    assert_eq!(code, 0);
    Info::decode(&payload)
}

fn restarted(dut: &mut Dut, resets: u32) {
    let patience = dut.cycle() + RESTART;
    while dut.core().unwrap().resets() == resets || !dut.core().unwrap().is_asleep() {
        dut.tick();
        assert!(dut.cycle() < patience, "not restarted, {}", state(dut));
        assert!(dut.core().unwrap().resets() <= resets + 1, "fails again, {}", state(dut));
    }
}

/// What must hold after a restart: everything is as it was, all frames are there and each once.
fn in_order(dut: &mut Dut, loads: &[&Load], before: Info) {
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

#[test]
fn the_log_is_decoded_with_file_and_line() {
    let mut dut = boot();
    info(&mut dut);
    let log = state(&mut dut);
    assert!(log.contains("INFO  memory monitor 1.0, start 1"), "{log}");
    assert!(log.contains("ready: 8192 frames, a table of 2^12 buckets"), "{log}");
    assert!(log.contains("main.rs:"), "{log}");
}

/// The most memory that the core's tables hold: no step of the start may take longer than the watchdog.
#[test]
fn much_memory_is_taken_into_use() {
    let frames = 1 << 17;
    let mut dut = boot_with(Hw::Large, frames);
    assert_eq!(dut.core().unwrap().resets(), 0, "{}", state(&mut dut));
    let load = Load::new(&mut dut, 7, 300, 100);
    load.check(&mut dut);
    assert_eq!(info(&mut dut).frames_total, frames);
}

#[test]
fn a_halted_monitor_does_not_disturb_the_data_path() {
    let mut dut = boot();
    let mut load = Load::new(&mut dut, 7, 100, 60);
    let before = info(&mut dut);
    let mut debugger = Debugger::attach(Wires(&mut dut)).unwrap();
    debugger.halt().unwrap();
    assert!(debugger.is_halted().unwrap());
    load.check(&mut dut);
    // First writes go on from the hardware's own list.
    load.touch(&mut dut, 30);
    load.check(&mut dut);
    // A command waits, for longer than the watchdog would; a halted core is not restarted.
    let resets = dut.core().unwrap().resets();
    ring(&mut dut, alloc(8, 3));
    for _ in 0..3_000_000 {
        dut.tick();
    }
    assert_eq!(reply(&mut dut), None);
    assert_eq!(dut.core().unwrap().resets(), resets);
    Debugger::attach(Wires(&mut dut)).unwrap().resume().unwrap();
    let patience = dut.cycle() + RESTART;
    while reply(&mut dut).is_none() {
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    }
    assert_eq!(reply(&mut dut).unwrap().0, 0);
    let before = Info { mappings: before.mappings + 3, processes: 2, ..before };
    in_order(&mut dut, &[&load], before);
}

#[test]
fn a_failed_monitor_is_restarted_and_nothing_is_lost() {
    let mut dut = boot();
    let image = Image::read(MONITOR).unwrap();
    let mut load = Load::new(&mut dut, 7, 300, 200);
    let other = Load::new(&mut dut, 8, 50, 50);
    let before = info(&mut dut);
    // An instruction that there is none of, where the monitor comes by when it wakes.
    let spot = image.symbol("monitor_feed").unwrap();
    let core: &mut SoftCore = dut.core_mut().unwrap();
    let resets = core.resets();
    let was = core.read_word(spot & !3);
    core.write_word(spot & !3, if spot % 4 == 0 { was & !0xffff } else { was & 0xffff });
    ring(&mut dut, alloc(9, 5));
    for _ in 0..20_000 {
        dut.tick();
    }
    dut.core_mut().unwrap().write_word(spot & !3, was);
    assert_eq!(reply(&mut dut), None, "the monitor has failed");
    load.check(&mut dut);
    load.touch(&mut dut, 20);
    restarted(&mut dut, resets);
    // The command that it did not see is answered by the next one.
    let patience = dut.cycle() + RESTART;
    let answer = loop {
        if let Some(answer) = reply(&mut dut) {
            break answer;
        }
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    };
    assert_eq!(answer.0, 0);
    let (code, payload) = call(&mut dut, Command::PostMortem);
    let left = PostMortem::decode(&payload);
    assert_eq!((code, left.kind, left.cause, left.starts), (0, 2, 2, 2), "{left:x?}");
    assert_eq!(left.pc, spot);
    let before = Info { mappings: before.mappings + 5, processes: 3, ..before };
    in_order(&mut dut, &[&load, &other], before);
}

/// The firmware writes to its own code: the guard lets it fail, and the next one goes on.
#[test]
fn code_cannot_be_written_by_the_firmware() {
    let mut dut = boot();
    let load = Load::new(&mut dut, 7, 20, 20);
    let before = info(&mut dut);
    let spot = Image::read(MONITOR).unwrap().symbol("monitor_feed").unwrap();
    let core = dut.core_mut().unwrap();
    let resets = core.resets();
    // auipc t0, 0; sw t0, 0(t0), in halves: code is aligned to two bytes.
    let patch = [0x0297, 0x0000, 0xa023, 0x0052];
    let mut was = [0; 4];
    for (i, (was, patch)) in (0..).zip(was.iter_mut().zip(patch)) {
        *was = half(core, spot + 2 * i, patch);
    }
    ring(&mut dut, Command::Info);
    for _ in 0..20_000 {
        dut.tick();
    }
    let core = dut.core_mut().unwrap();
    for (i, (was, patch)) in (0..).zip(was.into_iter().zip(patch)) {
        assert_eq!(half(core, spot + 2 * i, was), patch, "it was written");
    }
    restarted(&mut dut, resets);
    while reply(&mut dut).is_none() {}
    let (_, payload) = call(&mut dut, Command::PostMortem);
    let left = PostMortem::decode(&payload);
    // Store access fault, at the address that was to be written.
    assert_eq!((left.kind, left.cause, left.value), (2, 7, spot), "{left:x?}");
    in_order(&mut dut, &[&load], before);
}

/// Puts two bytes into the core's memory; gives what was there.
fn half(core: &mut SoftCore, address: u32, value: u32) -> u32 {
    let shift = address % 4 * 8;
    let was = core.read_word(address & !3);
    core.write_word(address & !3, was & !(0xffff << shift) | value << shift);
    was >> shift & 0xffff
}

/// Reset at every so many cycles of a series of commands, while requests go on.
#[test]
fn a_monitor_reset_at_any_moment_loses_nothing() {
    let mut dut = boot();
    let load = Load::new(&mut dut, 7, 120, 80);
    let mut pages = 0;
    for (round, delay) in (0..12u32).map(|round| (round, u64::from(round) * 397)) {
        let resets = dut.core().unwrap().resets();
        let (code, allocated) = {
            ring(&mut dut, alloc(20, 6 + round));
            for _ in 0..delay {
                dut.tick();
            }
            Debugger::attach(Wires(&mut dut)).unwrap().reset().unwrap();
            load.check(&mut dut);
            restarted(&mut dut, resets);
            let patience = dut.cycle() + RESTART;
            loop {
                if let Some((code, payload)) = reply(&mut dut) {
                    break (code, Address::decode(&payload).0);
                }
                assert!(dut.cycle() < patience, "round {round}: {}", state(&mut dut));
            }
        };
        assert_eq!(code, 0, "round {round}");
        pages += 6 + round;
        let after = info(&mut dut);
        assert_eq!(after.mappings, 120 + pages, "round {round}");
        assert_eq!(write(&mut dut, 20, allocated, 1), Status::Ok, "round {round}");
    }
    load.check(&mut dut);
    assert_eq!(call(&mut dut, Command::Drop { pid: 20 }).0, 0);
    assert_eq!(info(&mut dut).mappings, 120);
}
