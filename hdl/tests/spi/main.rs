//! The SPI bridge, Verilated, bit by bit at its pins against a model of what `abi::spi` promises, with
//! a register bus in software behind it.

// Other tests use more of them.
#[allow(dead_code)]
#[path = "../common/spi_wire.rs"]
mod spi_wire;
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rust_hdl::prelude::*;
use spi_wire::{Controller, Pace, Pins};
use splitmem_abi::spi::{status, Answer, Operation, Request, FRAME_BYTES, HELLO_VALUE, SEQUENCES};
use splitmem_hdl::spi::bridge::Bridge;
use std::collections::HashMap;
use verilated::Verilated;

/// Offsets from here on are refused.
const DENIED_FROM: u64 = 0xC00;

/// The bridge and a register bus: values by address, which remembers every access.
struct Board {
    dut: Verilated,
    rng: SmallRng,
    registers: HashMap<u64, u64>,
    accesses: Vec<(bool, u64, u64)>,
    /// Cycles that an access takes: a random number below.
    slowest: u32,
    left: u32,
    /// What stood on the bus in the last cycle, while an access is under way.
    held: Option<(bool, u64, u64)>,
    was_done: bool,
}

impl Board {
    fn new(seed: u64) -> Self {
        let mut bridge = Bridge::new();
        bridge.connect_pins();
        let mut dut = Verilated::new("spi", &generate_verilog(&bridge), seed as u32);
        dut.set("cs_n", 1);
        dut.set("reset", 1);
        (0..4).for_each(|_| dut.tick());
        dut.set("reset", 0);
        let rng = SmallRng::seed_from_u64(seed ^ 0xB05);
        let (registers, accesses) = (HashMap::new(), Vec::new());
        Self { dut, rng, registers, accesses, slowest: 9, left: 0, held: None, was_done: false }
    }

    fn reset(&mut self) {
        self.dut.set("reset", 1);
        self.dut.tick();
        self.dut.set("reset", 0);
        (self.held, self.was_done) = (None, false);
    }
}

impl Pins for Board {
    fn cycle(&mut self, sck: bool, cs_n: bool, mosi: bool) -> bool {
        let d = &mut self.dut;
        d.set("sck", u64::from(sck));
        d.set("cs_n", u64::from(cs_n));
        d.set("mosi", u64::from(mosi));
        d.set("m_done", 0);
        // What the bus says counts only with `m_done`.
        d.set("m_rdata", self.rng.random_range(0..1 << 32));
        d.set("m_error", self.rng.random_range(0..2));
        d.settle();
        assert_eq!(d.is("miso_drive"), !cs_n);
        let asks = (d.is("m_write"), d.get("m_addr"), d.get("m_wdata"));
        if d.is("m_valid") {
            assert!(!self.was_done, "valid did not fall after done");
            match self.held {
                None => self.left = self.rng.random_range(0..self.slowest),
                Some(held) => assert_eq!(asks, held, "the access does not stand still"),
            }
            self.held = Some(asks);
        } else {
            assert_eq!(self.held, None, "the access was given up");
        }
        self.was_done = self.held.is_some() && self.left == 0;
        self.left = self.left.saturating_sub(1);
        if self.was_done {
            self.held = None;
            let (write, address, value) = asks;
            let denied = address >= DENIED_FROM;
            let read = self.registers.get(&address).copied().unwrap_or(0);
            d.set("m_done", 1);
            d.set("m_error", u64::from(denied));
            d.set("m_rdata", if write || denied { 0 } else { read });
            self.accesses.push(asks);
            if write && !denied {
                self.registers.insert(address, value);
            }
        }
        d.tick();
        d.set("m_done", 0);
        d.settle();
        d.is("miso")
    }
}

type Bench = Controller<Board>;

fn bench(seed: u64, pace: Pace) -> Bench {
    println!("seed {seed}, {pace:?}");
    Controller::new(Board::new(seed), pace, seed)
}

fn request(operation: Operation, sequence: u8, address: u16, value: u32) -> Request {
    Request { operation, sequence, address, value }
}

/// One frame under one chip select: the answer, if it is intact. Before it, the bridge sends zeros.
fn frame(bench: &mut Bench, request: Request) -> Option<Answer> {
    bench.select();
    let answer = frame_within(bench, request);
    bench.deselect();
    answer
}

fn frame_within(bench: &mut Bench, request: Request) -> Option<Answer> {
    let mut bytes = request.encode();
    bench.bytes(&mut bytes);
    let silence = &bytes[..request.operation.answer_at()];
    assert!(bench.noise > 0 || silence.iter().all(|byte| *byte == 0), "{bytes:02x?}");
    Answer::decode(request.operation, &bytes)
}

fn ok(sequence: u8, value: u32) -> Option<Answer> {
    Some(Answer { status: status::ANSWER | sequence, value })
}

fn refused(sequence: u8, reason: u8) -> Option<Answer> {
    Some(Answer { status: status::ANSWER | reason | sequence, value: 0 })
}

fn hello(bench: &mut Bench) -> u8 {
    let answer = frame(bench, request(Operation::Hello, 0, 0, 0)).expect("an answer to hello");
    assert_eq!(answer.value, HELLO_VALUE);
    assert_eq!(answer.status & !status::SEQUENCE, status::ANSWER);
    answer.status & status::SEQUENCE
}

#[test]
fn registers_are_read_and_written_at_every_pace() {
    for seed in 1..=12 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let pace = if seed <= 4 { Pace::FASTEST } else { Pace::random(&mut rng) };
        let mut bench = bench(seed, pace);
        bench.wait(rng.random_range(0.0..1.0));
        let mut sequence = hello(&mut bench);
        let mut expected = HashMap::new();
        let mut accesses = Vec::new();
        // Frames follow each other also without chip select between them.
        bench.select();
        for _ in 0..200 {
            if rng.random() {
                bench.deselect();
                bench.select();
            }
            sequence = (sequence + 1) % SEQUENCES;
            let (address, value) = (rng.random_range(0..8) * 0x1A4, rng.random());
            let denied = u64::from(address) >= DENIED_FROM;
            let write = rng.random();
            let operation = if write { Operation::Write } else { Operation::Read };
            let answer = frame_within(&mut bench, request(operation, sequence, address, value));
            let read = expected.get(&address).copied().unwrap_or(0);
            assert_eq!(
                answer,
                match (denied, write) {
                    (true, _) => refused(sequence, status::DENIED),
                    (false, true) => ok(sequence, 0),
                    (false, false) => ok(sequence, read),
                }
            );
            if write && !denied {
                expected.insert(address, value);
            }
            accesses.push((write, u64::from(address)));
        }
        let seen = bench.pins.accesses.iter().map(|(write, address, _)| (*write, *address));
        assert!(seen.eq(accesses), "every access happens once");
    }
}

#[test]
fn a_repetition_is_answered_and_not_carried_out() {
    let mut bench = bench(20, Pace::FASTEST);
    let next = (hello(&mut bench) + 1) % SEQUENCES;
    bench.pins.registers.insert(8, 0x1234_5678);
    for _ in 0..3 {
        let answer = frame(&mut bench, request(Operation::Read, next, 8, 0));
        assert_eq!(answer, ok(next, 0x1234_5678));
        bench.pins.registers.insert(8, 0);
    }
    // A write that is damaged on its way leaves the result where it is.
    let mut bytes = request(Operation::Write, next + 1, 8, 77).encode();
    bytes[5] ^= 4;
    bench.select();
    bench.bytes(&mut bytes);
    bench.deselect();
    let answer = Answer::decode(Operation::Write, &bytes);
    assert_eq!(answer, refused(next, status::DAMAGED));
    let again = frame(&mut bench, request(Operation::Read, next, 8, 0));
    assert_eq!(again, ok(next, 0x1234_5678));
    assert_eq!(bench.pins.accesses.len(), 1);
}

#[test]
fn chip_select_may_rise_anywhere() {
    let mut bench = bench(30, Pace::FASTEST);
    let mut sequence = hello(&mut bench);
    for bits in 0..8 * FRAME_BYTES {
        sequence = (sequence + 1) % SEQUENCES;
        let before = bench.pins.accesses.len();
        let write = request(Operation::Write, sequence, 0x10, bits as u32);
        let bytes = write.encode();
        bench.select();
        for bit in 0..bits {
            bench.bit(bytes[bit / 8] >> (7 - bit % 8) & 1 == 1);
        }
        bench.deselect();
        bench.wait(20.0);
        let whole = bits >= 8 * Operation::Write.request_bytes();
        assert_eq!(bench.pins.accesses.len() - before, usize::from(whole), "{bits} bits");
        // Repeated, it is carried out if it was not.
        assert_eq!(frame(&mut bench, write), ok(sequence, 0));
        assert_eq!(bench.pins.accesses.len(), before + 1);
        assert_eq!(bench.pins.registers[&0x10], bits as u64);
    }
}

#[test]
fn every_flipped_bit_of_a_request_is_noticed() {
    let mut bench = bench(40, Pace::FASTEST);
    let sequence = (hello(&mut bench) + 1) % SEQUENCES;
    for operation in [Operation::Read, Operation::Write] {
        for bit in 0..8 * operation.request_bytes() {
            let mut bytes = request(operation, sequence, 0x14, 0xFFFF_0000).encode();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            // What follows a request is not looked at.
            bytes[operation.request_bytes()..].fill(bench.rng.random());
            bench.select();
            bench.bytes(&mut bytes);
            bench.deselect();
            // A flip in the operation's bits may change where the bridge thinks that the answer is.
            let answer = Answer::decode(operation, &bytes);
            if bit >= 2 {
                assert_eq!(answer, refused(0, status::DAMAGED), "bit {bit}");
            } else {
                assert!(answer.is_none_or(|answer| answer.status & status::DAMAGED != 0));
            }
        }
    }
    assert_eq!(bench.pins.accesses, []);
}

#[test]
fn an_unknown_operation_and_a_bridge_without_hello_refuse() {
    let mut bench = bench(50, Pace::FASTEST);
    let read = request(Operation::Read, 1, 0x14, 0);
    assert_eq!(frame(&mut bench, read), refused(0, status::CLOSED));
    let write = request(Operation::Write, 2, 0x14, 1);
    assert_eq!(frame(&mut bench, write), refused(0, status::CLOSED));

    // Operation zero, with a right CRC.
    let mut bytes = [0; FRAME_BYTES];
    let crc = splitmem_abi::spi::crc(&bytes[..2]).to_be_bytes();
    bytes[2..4].copy_from_slice(&crc);
    bench.select();
    bench.bytes(&mut bytes);
    bench.deselect();
    assert_eq!(Answer::decode(Operation::Read, &bytes), refused(0, status::UNKNOWN));
    assert_eq!(bench.pins.accesses, []);

    assert_eq!(hello(&mut bench), 0);
    assert_eq!(frame(&mut bench, read), ok(1, 0));
    bench.pins.reset();
    assert_eq!(frame(&mut bench, write), refused(0, status::CLOSED));
    assert_eq!(bench.pins.accesses.len(), 1);
}

#[test]
fn a_slow_register_is_busy_until_it_is_not() {
    let mut waited = 0;
    for seed in 60..70 {
        let mut bench = bench(seed, Pace::FASTEST);
        bench.pins.slowest = 1500;
        let mut sequence = hello(&mut bench);
        for i in 0..20 {
            sequence = (sequence + 1) % SEQUENCES;
            bench.pins.registers.insert(0x18, i);
            let write = request(Operation::Write, sequence, 0x18, i as u32 + 1);
            let read = request(Operation::Read, sequence, 0x18, 0);
            let (request, result) = if bench.rng.random() { (write, 0) } else { (read, i as u32) };
            loop {
                let answer = frame(&mut bench, request);
                if answer == ok(sequence, result) {
                    break;
                }
                assert_eq!(answer, refused(sequence, status::BUSY));
                waited += 1;
                // Another access meanwhile is not taken either, nor does it disturb the one under way.
                let other = self::request(Operation::Write, (sequence + 1) % SEQUENCES, 0, !0);
                let under_way = bench.pins.held.is_some();
                if under_way && bench.pins.left > 100 {
                    assert_eq!(frame(&mut bench, other), refused(sequence, status::BUSY));
                }
            }
            assert_eq!(bench.pins.accesses.len(), i as usize + 1);
        }
    }
    assert!(waited > 50, "{waited}");
}

#[test]
fn the_interrupt_is_passed_on() {
    let mut bench = bench(80, Pace::FASTEST);
    for level in [1, 0, 1] {
        bench.pins.dut.set("irq_monitor", level);
        bench.wait(2.0);
        assert_eq!(bench.pins.dut.get("irq"), level);
    }
}
