//! A bench around `Manage`: bus masters, and a memory that answers late and in any order.

use crate::verilated::Verilated;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::pte::PTE_BYTES;
use splitmem_abi::regs::Register;
use splitmem_hdl::manage::Manage;
use std::collections::{HashMap, HashSet};

/// A small component with statistics and room for many frames.
pub const CONFIG: HwConfig = HwConfig { statistics: true, pa_bits: 30, ..HwConfig::SMALL };
/// Lines of a 2 MiB frame that the bench's component clears: more than of a 4 KiB frame.
pub const HUGE_LINES: u32 = 100;

pub type Line = [u8; 64];

/// A side of the register window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Monitor,
    Host,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Monitor => "m",
            Self::Host => "h",
        }
    }
}

/// A line command on its way. The memory sees it when it is answered.
struct Command {
    write: bool,
    line: u64,
    mask: u64,
    data: Line,
    tag: u64,
}

/// The commands of one port that were accepted and not yet answered.
#[derive(Default)]
struct Port {
    pending: Vec<Command>,
    /// What stood at the port, not accepted, in the last cycle.
    offered: Option<(u64, u64, u64, Line)>,
}

pub struct Bench {
    pub dut: Verilated,
    pub rng: SmallRng,
    pub memory: HashMap<u64, Line>,
    pub poisoned: HashSet<u64>,
    pub cycle: u64,
    /// Chance of a ready or an answer in a cycle, percent.
    pub pace: u32,
    /// Answer only when this many are pending, or nothing more comes (0: answer at once).
    pub hold: usize,
    /// Answer in the order of the commands.
    pub in_order: bool,
    te: Port,
    zero: Port,
    /// Lines that the zeroing engine wrote, in the order of their answers.
    pub zeroed: Vec<u64>,
    /// Bucket lines read and written, since it was last cleared.
    pub table_traffic: (u64, u64),
    /// Most table commands in flight at once.
    pub table_in_flight: usize,
}

pub fn emit(config: &HwConfig, huge_lines: u32) -> String {
    let mut manage = Manage::with_huge_lines(config, huge_lines);
    manage.connect_all();
    generate_verilog(&manage)
}

impl Bench {
    /// A bench after reset. The seed is printed: a failed test shows it.
    pub fn new(seed: u64) -> Self {
        Self::of(&CONFIG, seed)
    }

    pub fn of(config: &HwConfig, seed: u64) -> Self {
        Self::with(&emit(config, HUGE_LINES), seed)
    }

    pub fn with(verilog: &str, seed: u64) -> Self {
        println!("seed {seed}");
        let dut = Verilated::new("manage", verilog, seed as u32);
        let mut bench = Self {
            dut,
            rng: SmallRng::seed_from_u64(seed),
            memory: HashMap::new(),
            poisoned: HashSet::new(),
            cycle: 0,
            pace: 60,
            hold: 0,
            in_order: false,
            te: Port::default(),
            zero: Port::default(),
            zeroed: Vec::new(),
            table_traffic: (0, 0),
            table_in_flight: 0,
        };
        bench.reset();
        bench
    }

    pub fn reset(&mut self) {
        self.dut.set("reset", 1);
        for _ in 0..3 {
            self.dut.tick();
        }
        self.dut.set("reset", 0);
        self.dut.set("ready", 1);
        self.dut.set("idle", 1);
        self.te = Port::default();
        self.zero = Port::default();
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// One cycle: the memory's side is played here, all other inputs are the caller's.
    pub fn cycle(&mut self) {
        for (port, name) in [(false, "te"), (true, "zero")] {
            let ready = self.chance(self.pace);
            self.dut.set(&format!("{name}_cmd_ready"), ready as u64);
            let answer = self.pick_answer(port);
            let (valid, tag, line, poison) = match &answer {
                Some(command) => {
                    let data = self.perform(port, command);
                    let poison = !command.write && self.poisoned.contains(&command.line);
                    (1, command.tag, data, poison)
                }
                None => (0, self.rng.random_range(0..128), [0x55; 64], false),
            };
            if port {
                self.dut.set("zero_ack_valid", valid);
                self.dut.set("zero_ack_tag", tag);
            } else {
                self.dut.set("te_resp_valid", valid);
                self.dut.set("te_resp_tag", tag);
                self.dut.set_line("te_resp_data", &line);
                self.dut.set("te_resp_poison", poison as u64);
            }
        }
        self.dut.settle();
        self.accept_te();
        self.accept_zero();
        self.dut.tick();
        self.cycle += 1;
    }

    pub fn cycles(&mut self, n: u32) {
        for _ in 0..n {
            self.cycle();
        }
    }

    fn pick_answer(&mut self, zero: bool) -> Option<Command> {
        let pace = self.pace;
        let hold = self.hold;
        let answers = self.chance(pace);
        let starved = self.chance(2);
        let port = if zero { &mut self.zero } else { &mut self.te };
        if port.pending.is_empty() || !answers || (port.pending.len() < hold && !starved) {
            return None;
        }
        let last = if self.in_order { 0 } else { port.pending.len() - 1 };
        Some(port.pending.remove(self.rng.random_range(0..=last)))
    }

    fn perform(&mut self, zero: bool, command: &Command) -> Line {
        if zero {
            self.zeroed.push(command.line);
        }
        let line = self.memory.entry(command.line).or_insert([0xee; 64]);
        if command.write {
            for i in (0..64).filter(|i| command.mask >> i & 1 == 1) {
                line[i] = command.data[i];
            }
            // The answer to a write carries no data.
            return [0xaa; 64];
        }
        *line
    }

    fn accept_te(&mut self) {
        let now = self.dut.is("te_cmd_valid").then(|| {
            let write = self.dut.get("te_cmd_write");
            let entry = self.dut.get_line("te_cmd_entry");
            (
                self.dut.get("te_cmd_line") << 1 | write,
                self.dut.get("te_cmd_tag"),
                self.dut.get("te_cmd_mask"),
                std::array::from_fn(|i| entry[i % PTE_BYTES]),
            )
        });
        if let Some(before) = self.te.offered.take() {
            assert_eq!(Some(before), now, "te_cmd changed before it was accepted");
        }
        let Some((line_and_write, tag, mask, data)) = now else { return };
        if !self.dut.is("te_cmd_ready") {
            self.te.offered = now;
            return;
        }
        let command =
            Command { write: line_and_write & 1 == 1, line: line_and_write >> 1, mask, data, tag };
        for other in &self.te.pending {
            assert_ne!(other.tag, command.tag, "tag in use");
            assert_ne!(other.line, command.line, "two commands to one line");
        }
        match command.write {
            false => self.table_traffic.0 += 1,
            true => self.table_traffic.1 += 1,
        }
        self.te.pending.push(command);
        self.table_in_flight = self.table_in_flight.max(self.te.pending.len());
    }

    fn accept_zero(&mut self) {
        let now = self.dut.is("zero_cmd_valid").then(|| {
            (self.dut.get("zero_cmd_line"), self.dut.get("zero_cmd_tag"), u64::MAX, [0; 64])
        });
        if let Some(before) = self.zero.offered.take() {
            assert_eq!(Some(before), now, "zero_cmd changed before it was accepted");
        }
        let Some((line, tag, mask, data)) = now else { return };
        if !self.dut.is("zero_cmd_ready") {
            self.zero.offered = now;
            return;
        }
        self.zero.pending.push(Command { write: true, line, mask, data, tag });
    }

    /// Writes of the zeroing engine that were accepted and not answered.
    pub fn zeros_pending(&self) -> usize {
        self.zero.pending.len()
    }

    /// One access: what was read, and whether the bus said error.
    pub fn access(&mut self, side: Side, write: Option<u32>, offset: u16) -> (u32, bool) {
        let p = side.prefix();
        let port = |name: &str| format!("{p}_{name}");
        self.dut.set(&port("valid"), 1);
        self.dut.set(&port("write"), write.is_some() as u64);
        self.dut.set(&port("addr"), offset as u64);
        self.dut.set(&port("wdata"), write.unwrap_or(0x5555_5555) as u64);
        let start = self.cycle;
        self.dut.settle();
        while !self.dut.is(&port("done")) {
            assert!(self.cycle < start + 200, "no answer at {offset:#x}");
            self.cycle();
        }
        let answer = (self.dut.get(&port("rdata")) as u32, self.dut.is(&port("error")));
        self.cycle();
        assert!(!self.dut.is(&port("done")), "done is a pulse");
        self.dut.set(&port("valid"), 0);
        for name in ["write", "addr", "wdata"] {
            self.dut.set(&port(name), 0);
        }
        self.cycle();
        answer
    }

    pub fn read(&mut self, register: &Register) -> u32 {
        self.read_at(register, 0)
    }

    pub fn read_at(&mut self, register: &Register, i: u16) -> u32 {
        let (value, error) = self.access(Side::Monitor, None, register.at(i));
        assert!(!error, "{}", register.name);
        value
    }

    pub fn write(&mut self, register: &Register, value: u32) {
        let (_, error) = self.access(Side::Monitor, Some(value), register.offset);
        assert!(!error, "{}", register.name);
    }
}
