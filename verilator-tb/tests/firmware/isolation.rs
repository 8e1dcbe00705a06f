//! A parser that somebody took over, in each kind of isolation: what it reaches, and what becomes of
//! the others.
//!
//! The attack is code put over the parser's own from outside, so that it runs with the parser's
//! rights, whatever these are. It stores words at addresses, and then runs on the spot.

use super::bench::{
    boot_isolated, call, half, info, reply, request, ring, state, write, Dut, Load, FRAMES, RESTART,
};
use splitmem_abi::mailbox::{Command, Compartment, PostMortem, ReturnCode};
use splitmem_abi::pte::{decode_bucket, Pte};
use splitmem_abi::regs::{self, field, Register, TableCommand};
use splitmem_abi::request::{Request, Status};
use splitmem_abi::soc::COMPONENT_BASE;
use verilator_tb::dram::LineMemory;
use verilator_tb::soc::{Image, Isolation};
use verilator_tb::Hw;

/// Who never allocated anything.
const THIEF: u16 = 66;
/// Where it wants to read.
const LOOT: u64 = 0x7000_0000;
/// Cycles within which an attack has had its chance.
const CHANCE: u64 = 60_000;
/// Store access fault, illegal instruction, call without privilege.
const STORE: u32 = 7;
const ILLEGAL: u32 = 2;
const CALL: u32 = 8;

/// RISC-V instructions.
mod code {
    /// Stores a word at an address, with t0 and t1.
    pub fn store(address: u32, value: u32) -> Vec<u32> {
        let (high, low) = parts(address);
        let (value_high, value_low) = parts(value);
        vec![
            high << 12 | 5 << 7 | 0x37,
            value_high << 12 | 6 << 7 | 0x37,
            value_low << 20 | 6 << 15 | 6 << 7 | 0x13,
            low >> 5 << 25 | 6 << 20 | 5 << 15 | 2 << 12 | (low & 31) << 7 | 0x23,
        ]
    }

    /// `lui` adds what `addi` and `sw` take away.
    fn parts(value: u32) -> (u32, u32) {
        (value.wrapping_add(0x800) >> 12, value & 0xfff)
    }

    /// `csrw pmpcfg1, zero`
    pub const OPEN_PMP: u32 = 0x3a1 << 20 | 1 << 12 | 0x73;
    pub const ECALL: u32 = 0x73;
    /// `li a7, value`
    pub fn load_a7(value: u32) -> u32 {
        value << 20 | 17 << 7 | 0x13
    }
    pub const SPIN: u32 = 0x6f;
}

/// The parser's code, and what stood there before an attack.
struct Patch {
    at: u32,
    was: Vec<u32>,
}

impl Patch {
    /// Puts instructions over the parser's.
    fn new(dut: &mut Dut, isolation: Isolation, instructions: &[u32]) -> Self {
        let image = Image::read(isolation.monitor()).unwrap();
        let at = image.symbol_with(&["Mailbox", "read"]).expect("the parser is in the image");
        let core = dut.core_mut().unwrap();
        let halves = instructions.iter().flat_map(|word| [word & 0xffff, word >> 16]);
        let was = (0..).zip(halves).map(|(i, new)| half(core, at + 2 * i, new)).collect();
        Self { at, was }
    }

    fn undo(self, dut: &mut Dut) {
        let core = dut.core_mut().unwrap();
        for (i, was) in (0..).zip(self.was) {
            half(core, self.at + 2 * i, was);
        }
    }
}

/// What an attack is, and how it ends where it is stopped.
struct Attack {
    name: &'static str,
    instructions: Vec<u32>,
    cause: u32,
    value: Option<u32>,
}

fn register(register: &Register) -> u32 {
    COMPONENT_BASE + u32::from(register.offset)
}

/// Maps a victim's frame for the thief.
fn steal(frame: u32) -> Vec<u32> {
    let flags = field::TE_FLAGS::READ.put(1)
        | field::TE_FLAGS::WRITE.put(1)
        | field::TE_FLAGS::SHARED.put(1)
        | field::TE_FLAGS::PRESENT.put(1);
    let writes = [
        (&regs::TE_PID, u32::from(THIEF)),
        (&regs::TE_VA_LO, LOOT as u32),
        (&regs::TE_VA_HI, (LOOT >> 32) as u32),
        (&regs::TE_COUNT, 1),
        (&regs::TE_FLAGS, flags),
        (&regs::TE_FRAME, frame),
        (&regs::TE_COMMAND, TableCommand::Insert as u32),
    ];
    writes.iter().flat_map(|(to, value)| code::store(register(to), *value)).collect()
}

/// The frame of a page, as the page table in DRAM has it.
fn frame_of(dut: &mut Dut, pid: u16, va: u64) -> u32 {
    let buckets = 1 << 12;
    let key = splitmem_abi::geometry::page_key(va);
    let store = dut.component_mut().memory_mut().store();
    (0..buckets)
        .flat_map(|line| decode_bucket(&store.read_line(line)))
        .find(|pte: &Pte| pte.valid && pte.present && pte.pid == pid && pte.key == key)
        .expect("the page has a frame")
        .frame
}

fn read(dut: &mut Dut, pid: u16, va: u64) -> (Status, u8) {
    let (status, data) = request(dut, Request::read(3, pid, va));
    (status, data[0])
}

fn run(dut: &mut Dut, cycles: u64) {
    for _ in 0..cycles {
        dut.tick();
    }
}

/// Without isolation a parser that was taken over reads what it wants: it has the table engine make
/// an entry for a foreign frame. It writes the allocator's tables, and code.
#[test]
fn without_isolation_a_parser_that_was_taken_over_has_everything() {
    for isolation in [Isolation::None, Isolation::Guards] {
        let mut dut = boot_isolated(Hw::Small, FRAMES, isolation);
        let load = Load::new(&mut dut, 7, 20, 20);
        assert_eq!(read(&mut dut, THIEF, LOOT).0, Status::NotMapped);
        let image = Image::read(isolation.monitor()).unwrap();
        let tables = image.symbol("MONITOR_TABLES").unwrap();
        let mut attack = steal(frame_of(&mut dut, 7, load.at(5)));
        attack.extend(code::store(tables, 0x0bad_cafe));
        attack.push(code::SPIN);
        Patch::new(&mut dut, isolation, &attack);
        ring(&mut dut, Command::Info);
        run(&mut dut, CHANCE);
        assert_eq!(read(&mut dut, THIEF, LOOT), (Status::Ok, 5), "{isolation}");
        assert_eq!(dut.core_mut().unwrap().read_word(tables), 0x0bad_cafe, "{isolation}");
    }
}

/// With compartments, each attack ends at the first forbidden step: the parser is started anew, the
/// command is answered, the record names the parser, and everything else is as it was.
#[test]
fn a_parser_that_was_taken_over_reaches_nothing() {
    let isolation = Isolation::Full;
    let mut dut = boot_isolated(Hw::Small, FRAMES, isolation);
    let mut load = Load::new(&mut dut, 7, 60, 20);
    let before = info(&mut dut);
    let image = Image::read(isolation.monitor()).unwrap();
    let symbol = |name: &str| image.symbol(name).unwrap();
    let frame = frame_of(&mut dut, 7, load.at(5));
    let at = |name, address: u32| Attack {
        name,
        instructions: code::store(address, 0x0bad_cafe),
        cause: STORE,
        value: Some(address),
    };
    let attacks = [
        Attack {
            name: "a page-table entry",
            instructions: steal(frame),
            cause: STORE,
            value: Some(register(&regs::TE_PID)),
        },
        at("the free list", register(&regs::ZERO_PUSH)),
        at("the page table's place", register(&regs::TABLE_BASE)),
        at("the switches", register(&regs::CONTROL)),
        at("the doorbell", register(&regs::MB_DOORBELL)),
        at("the event log", register(&regs::EVENT_POP)),
        at("the allocator's tables", symbol("MONITOR_TABLES")),
        at("the allocator's state", symbol("ALLOCATOR_STATE")),
        at("the kernel's record", symbol("POST_MORTEM")),
        at("the kernel's stack", symbol("_stack_start") - 4),
        at("the watchdog", splitmem_abi::soc::SYSTEM_BASE + 0x10),
        at("code", symbol("monitor_feed") & !3),
        Attack {
            name: "the memory protection itself",
            instructions: vec![code::OPEN_PMP],
            cause: ILLEGAL,
            value: None,
        },
        Attack {
            name: "a service that is not for it",
            instructions: vec![code::load_a7(1), code::ECALL],
            cause: CALL,
            value: None,
        },
    ];
    let resets = dut.core().unwrap().resets();
    let events = dut.core_mut().unwrap().read_word(symbol("MONITOR_TABLES"));
    for attack in attacks {
        let name = attack.name;
        let mut instructions = attack.instructions;
        instructions.push(code::SPIN);
        let patch = Patch::new(&mut dut, isolation, &instructions);
        // As long as it is there, each command costs a parser.
        for _ in 0..2 {
            let (code, _) = call(&mut dut, Command::Info);
            assert_eq!(code, ReturnCode::Internal as u32, "{name}: {}", state(&mut dut));
        }
        assert_eq!(read(&mut dut, THIEF, LOOT).0, Status::NotMapped, "{name}");
        load.touch(&mut dut, 1);
        patch.undo(&mut dut);
        let (code, payload) = call(&mut dut, Command::PostMortem);
        let left = PostMortem::decode(&payload);
        assert_eq!(code, 0, "{name}");
        assert_eq!((left.kind, left.cause), (2, attack.cause), "{name}: {left:x?}");
        assert_eq!(left.compartment, Compartment::Parser as u32, "{name}");
        if let Some(value) = attack.value {
            assert_eq!(left.value, value, "{name}");
        }
    }
    assert_eq!(dut.core_mut().unwrap().read_word(symbol("MONITOR_TABLES")), events);
    assert_eq!(dut.core().unwrap().resets(), resets, "{}", state(&mut dut));
    load.check(&mut dut);
    let after = info(&mut dut);
    assert_eq!((after.mappings, after.processes), (before.mappings, before.processes));
    super::in_order(&mut dut, &[&load], before);
    assert!(state(&mut dut).contains("parser: exception"));
}

/// One that never comes back is ended by the watchdog; the command is not begun again.
#[test]
fn a_parser_that_runs_for_ever_costs_one_command() {
    let isolation = Isolation::Full;
    let mut dut = boot_isolated(Hw::Small, FRAMES, isolation);
    let load = Load::new(&mut dut, 7, 30, 20);
    let patch = Patch::new(&mut dut, isolation, &[code::SPIN]);
    let resets = dut.core().unwrap().resets();
    ring(&mut dut, Command::Drop { pid: 7 });
    let patience = dut.cycle() + RESTART;
    while dut.core().unwrap().resets() == resets {
        dut.tick();
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    }
    // The parser's code is as bad as before when the monitor starts; it is not asked.
    let answer = loop {
        if let Some(answer) = reply(&mut dut) {
            break answer;
        }
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    };
    assert_eq!(answer.0, ReturnCode::Internal as u32);
    patch.undo(&mut dut);
    let (code, payload) = call(&mut dut, Command::PostMortem);
    let left = PostMortem::decode(&payload);
    assert_eq!((code, left.kind), (0, 3), "{left:x?}");
    assert_eq!(left.compartment, Compartment::Parser as u32);
    load.check(&mut dut);
    assert_eq!(write(&mut dut, 7, load.at(25), 9), Status::Ok);
}

/// All kinds of isolation serve alike.
#[test]
fn every_kind_of_isolation_serves() {
    for isolation in Isolation::ALL {
        let mut dut = boot_isolated(Hw::Small, FRAMES, isolation);
        let load = Load::new(&mut dut, 7, 20, 20);
        load.check(&mut dut);
        for (command, code) in [
            (Command::Health, ReturnCode::Success),
            (Command::Events, ReturnCode::Success),
            (Command::PostMortem, ReturnCode::Success),
            (Command::Drop { pid: 7 }, ReturnCode::Success),
        ] {
            assert_eq!(call(&mut dut, command).0, code as u32, "{isolation}: {command:?}");
        }
        assert_eq!(info(&mut dut).mappings, 0, "{isolation}");
        assert_eq!(dut.core().unwrap().resets(), 0, "{isolation}");
    }
}
