//! The serial link, Verilated, between the host's own end of it and a component in software: over a
//! good wire, and over one that flips, loses and repeats bytes.

// Other tests use more of it.
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rust_hdl::prelude::*;
use serial_link::wire::{Listener, Transmitter};
use serial_link::{Call, LinkError, Outcome, Patience, Reply};
use splitmem_abi::bus::BusError;
use splitmem_abi::request::{Line, Op, Request, Status};
use splitmem_abi::serial::Space;
use splitmem_hdl::serial::link::{Link, LinkConfig};
use std::collections::HashMap;
use verilated::Verilated;

const CLOCK_KHZ: u32 = 30_000;
const BAUD: u32 = 3_000_000;
const CYCLES_PER_BIT: f64 = 10.0;
const CONFIG: LinkConfig = LinkConfig { clock_khz: CLOCK_KHZ, baud: BAUD, board: 1, build: 0xBEEF };

/// A component: lines by pid and address, and sixteen registers a space, each write adding one to
/// register 0: a write that happens twice shows there.
#[derive(Default)]
struct Component {
    lines: HashMap<(u16, u64), Line>,
    registers: HashMap<u64, u32>,
    /// Answers that wait: cycle, tag, status, line.
    answers: Vec<(u64, u64, Status, Line)>,
    writes: u64,
    access: u32,
}

struct Bench {
    dut: Verilated,
    host: serial_link::Link,
    out: Transmitter,
    ear: Listener,
    component: Component,
    rng: SmallRng,
    /// Chance that a byte is damaged, lost or repeated on its way, per thousand.
    noise: u32,
    /// The component answers every so many cycles, all that it has, at once.
    gathers: u64,
    cycle: u64,
    replies: HashMap<u64, Outcome>,
    order: Vec<u64>,
    cut: bool,
}

impl Bench {
    fn new(seed: u64, noise: u32, session: u8) -> Self {
        println!("seed {seed}");
        let mut link = Link::new(&CONFIG);
        link.connect_pins();
        let mut dut = Verilated::new("serial", &generate_verilog(&link), seed as u32);
        dut.set("reset", 1);
        dut.set("rx", 1);
        (0..4).for_each(|_| dut.tick());
        dut.set("reset", 0);
        let patience = Patience { repeat_us: 4_000, give_up_us: 400_000 };
        Self {
            dut,
            host: serial_link::Link::new(session, patience),
            out: Transmitter::new(CYCLES_PER_BIT),
            ear: Listener::new(CYCLES_PER_BIT),
            component: Component::default(),
            rng: SmallRng::seed_from_u64(seed),
            noise,
            gathers: 1,
            cycle: 0,
            replies: HashMap::new(),
            order: Vec::new(),
            cut: false,
        }
    }

    fn now(&self) -> u64 {
        self.cycle * 1000 / u64::from(CLOCK_KHZ)
    }

    /// What becomes of a byte on the wire.
    fn on_wire(&mut self, byte: u8) -> Vec<u8> {
        if self.cut {
            return Vec::new();
        }
        if self.rng.random_range(0..1000) >= self.noise {
            return vec![byte];
        }
        match self.rng.random_range(0..4) {
            0 => Vec::new(),
            1 => vec![byte, byte],
            2 => vec![byte ^ 1 << self.rng.random_range(0..8)],
            _ => vec![byte, self.rng.random()],
        }
    }

    fn tick(&mut self) {
        if self.out.queued() == 0 && self.cycle % 64 == 0 {
            let mut bytes = Vec::new();
            self.host.bytes_out(self.now(), &mut bytes);
            for byte in bytes {
                let became = self.on_wire(byte);
                self.out.send(became);
            }
        }
        let level = self.out.level();
        self.dut.set("rx", u64::from(level));
        self.component_inputs();
        self.dut.settle();
        if let Some(byte) = self.ear.hear(self.dut.is("tx")) {
            let became = self.on_wire(byte);
            self.host.bytes_in(&became, self.now());
            while let Some(Reply { id, outcome }) = self.host.reply() {
                assert!(self.replies.insert(id, outcome).is_none(), "{id} is answered twice");
                self.order.push(id);
            }
        }
        self.component_outputs();
        self.dut.tick();
        self.cycle += 1;
    }

    fn component_inputs(&mut self) {
        let (d, c) = (&mut self.dut, &mut self.component);
        d.set("req_ready", u64::from(self.cycle % 3 == 0));
        let there = c.answers.first().filter(|answer| answer.0 <= self.cycle);
        d.set("resp_valid", u64::from(there.is_some()));
        if let Some((_, tag, status, line)) = there {
            d.set("resp_tag", *tag);
            d.set("resp_status", *status as u64);
            d.set_line("resp_data", line);
        }
        d.set("reg_done", u64::from(c.access == 8));
        if c.access == 8 {
            let address = d.get("reg_address");
            let known = address & 0xFFF < 0x40;
            d.set("reg_error", u64::from(!known));
            let value = c.registers.get(&address).copied().unwrap_or(0);
            d.set("reg_rdata", if d.is("reg_write") { 0 } else { u64::from(value) });
        }
    }

    fn component_outputs(&mut self) {
        let (d, c) = (&mut self.dut, &mut self.component);
        if d.is("resp_valid") && d.is("resp_ready") {
            c.answers.remove(0);
        }
        if d.is("req_valid") && d.is("req_ready") {
            let key = (d.get("req_pid") as u16, d.get("req_va") & !63);
            let (mask, data) = (d.get("req_mask"), d.get_line("req_data"));
            let line = c.lines.entry(key).or_insert([0; 64]);
            let mut answer = [0; 64];
            let mut status = Status::Ok;
            match Op::from_code(d.get("req_op") as u8) {
                Some(Op::Read) => answer = *line,
                Some(Op::Write) => {
                    c.writes += 1;
                    for i in (0..64).filter(|i| mask >> i & 1 == 1) {
                        line[i] = data[i];
                    }
                }
                Some(Op::FetchAdd) => {
                    let at = (d.get("req_va") & 63) as usize;
                    let old: [u8; 8] = line[at..at + 8].try_into().expect("8 bytes");
                    let add: [u8; 8] = data[..8].try_into().expect("8 bytes");
                    let new = u64::from_le_bytes(old).wrapping_add(u64::from_le_bytes(add));
                    line[at..at + 8].copy_from_slice(&new.to_le_bytes());
                    answer[..8].copy_from_slice(&old);
                }
                _ => status = Status::BadRequest,
            }
            if key.0 == 666 {
                (status, answer) = (Status::NotMapped, [0; 64]);
            }
            let at = self.cycle.next_multiple_of(self.gathers) + self.rng.random_range(1..200);
            let before = c.answers.partition_point(|other| other.0 <= at).max(1);
            let before = before.min(c.answers.len());
            c.answers.insert(before, (at, d.get("req_tag"), status, answer));
        }
        if d.is("reg_valid") {
            c.access += 1;
            if c.access == 9 {
                c.access = 0;
                let address = d.get("reg_address");
                if d.is("reg_write") {
                    c.registers.insert(address, d.get("reg_wdata") as u32);
                    *c.registers.entry(address & 0x3000).or_default() += 1;
                }
            }
        } else {
            c.access = 0;
        }
    }

    fn until_answered(&mut self) {
        let end = self.cycle + 2_000_000;
        while self.host.pending() > 0 || self.host.welcome().is_none() {
            assert_eq!(self.host.error(), None);
            assert!(self.cycle < end, "not over in time");
            self.tick();
        }
    }
}

/// Random calls, each answered once and rightly, whatever the wire does.
fn nothing_is_lost(seed: u64, noise: u32, calls: u64) {
    let mut bench = Bench::new(seed, noise, seed as u8);
    bench.gathers = [1, 8192][seed as usize % 2];
    let mut rng = SmallRng::seed_from_u64(seed ^ 0xFEED);
    let mut lines: HashMap<(u16, u64), Line> = HashMap::new();
    let mut expected = HashMap::new();
    let (mut writes, mut accesses) = (0, 0);
    for id in 0..calls {
        let key = (rng.random_range(1..4), rng.random_range(0..8u64) * 64);
        let line = lines.entry(key).or_insert([0; 64]);
        let (call, outcome) = match rng.random_range(0..10) {
            0..3 => (Request::read(0, key.0, key.1), (Status::Ok, *line)),
            3..6 => {
                let data: Line = std::array::from_fn(|_| rng.random());
                let mask = if rng.random() { u64::MAX } else { rng.random() };
                (0..64).filter(|i| mask >> i & 1 == 1).for_each(|i| line[i] = data[i]);
                writes += 1;
                (Request::write(0, key.0, key.1, mask, data), (Status::Ok, [0; 64]))
            }
            6 => {
                let old: [u8; 8] = line[8..16].try_into().expect("8 bytes");
                let new = u64::from_le_bytes(old).wrapping_add(id).to_le_bytes();
                line[8..16].copy_from_slice(&new);
                let mut answer = [0; 64];
                answer[..8].copy_from_slice(&old);
                (Request::fetch_add(0, key.0, key.1 + 8, id), (Status::Ok, answer))
            }
            7 => (Request::read(0, 666, 0), (Status::NotMapped, [0; 64])),
            _ => {
                // Registers are not ordered among each other: each is written once.
                accesses += 1;
                let call = Call::Write(Space::Monitor, 4 + 4 * (id as u16 % 15), id as u32);
                bench.host.call(id, call);
                expected.insert(id, Outcome::Register(Ok(0)));
                continue;
            }
        };
        bench.host.call(id, Call::Memory(call));
        expected.insert(id, Outcome::Memory(outcome.0, outcome.1));
    }
    bench.until_answered();
    assert_eq!(bench.replies, expected);
    // Nothing happened twice.
    assert_eq!(bench.component.writes, writes);
    let counted = bench.component.registers.get(&0x1000).copied().unwrap_or(0);
    assert_eq!(counted, accesses);
    let counts = bench.host.counts();
    println!("{counts:?}, {} damaged frames at the board", bench.dut.get("bad_frames"));
    assert_eq!(noise > 0, counts.repeated > 0);
}

#[test]
fn a_good_wire_loses_nothing_and_repeats_nothing() {
    nothing_is_lost(1, 0, 100);
}

#[test]
fn a_bad_wire_loses_nothing_and_does_nothing_twice() {
    for seed in [2, 3] {
        nothing_is_lost(seed, 2, 60);
    }
}

#[test]
fn registers_are_read_and_denied() {
    let mut bench = Bench::new(5, 0, 1);
    bench.component.registers.insert(0x2008, 77);
    bench.host.call(0, Call::Read(Space::Board, 8));
    bench.host.call(1, Call::Read(Space::Host, 0x800));
    bench.until_answered();
    assert_eq!(bench.replies[&0], Outcome::Register(Ok(77)));
    let denied = Outcome::Register(Err(BusError::Denied { offset: 0x800 }));
    assert_eq!(bench.replies[&1], denied);
}

#[test]
fn page_fetches_fill_the_line_and_a_line_read_takes_its_frames_time() {
    let mut bench = Bench::new(6, 0, 1);
    bench.until_answered();
    bench.host.call(0, Call::Memory(Request::read(0, 1, 0)));
    let start = bench.cycle;
    bench.until_answered();
    let one = bench.cycle - start;
    println!("one line read: {one} cycles, {:.1} us at 3 Mbaud", one as f64 / 30.0);
    let start = bench.cycle;
    for line in 0..4 * 64 {
        bench.host.call(1 + line, Call::Memory(Request::read(0, 1, 64 * line)));
    }
    bench.until_answered();
    let bits = 4.0 * 4096.0 * 10.0;
    let efficiency = bits * CYCLES_PER_BIT / (bench.cycle - start) as f64;
    println!("page fetches: {efficiency:.3} of the baud rate");
    assert!(efficiency >= 0.8, "{efficiency}");
}

#[test]
fn a_closed_board_answers_and_serves_nothing() {
    let mut bench = Bench::new(7, 0, 1);
    bench.dut.set("closed", 1);
    bench.dut.set("flags", 2);
    bench.host.call(0, Call::Memory(Request::read(0, 1, 0)));
    bench.host.call(1, Call::Memory(Request::write(0, 1, 64, u64::MAX, [1; 64])));
    bench.until_answered();
    for id in [0, 1] {
        assert_eq!(bench.replies[&id], Outcome::Memory(Status::Uncorrectable, [0; 64]));
    }
    assert!(bench.host.welcome().is_some_and(|welcome| welcome.memory_failed));
    assert_eq!(bench.component.writes, 0);
}

#[test]
fn a_second_host_ends_the_first_ones_session_and_a_pulled_cable_is_noticed() {
    let mut bench = Bench::new(8, 0, 1);
    bench.host.call(0, Call::Memory(Request::write(0, 1, 0, u64::MAX, [3; 64])));
    bench.until_answered();
    let patience = Patience { repeat_us: 8_000, give_up_us: 100_000 };
    let second = serial_link::Link::new(2, patience);
    let mut first = std::mem::replace(&mut bench.host, second);
    bench.host.call(1, Call::Memory(Request::read(0, 1, 0)));
    bench.until_answered();
    assert_eq!(bench.replies[&1], Outcome::Memory(Status::Ok, [3; 64]));
    std::mem::swap(&mut bench.host, &mut first);
    bench.host.call(2, Call::Memory(Request::read(0, 1, 0)));
    while bench.host.error().is_none() {
        bench.tick();
    }
    assert_eq!(bench.host.error(), Some(LinkError::NoSession));

    std::mem::swap(&mut bench.host, &mut first);
    bench.host.call(3, Call::Memory(Request::read(0, 1, 0)));
    bench.cut = true;
    while bench.host.error().is_none() {
        bench.tick();
    }
    assert_eq!(bench.host.error(), Some(LinkError::Lost));
}
