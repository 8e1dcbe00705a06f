//! The SDRAM controller, Verilated, against a chip model that enforces the data sheet.

// Other tests use more of it.
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rust_hdl::prelude::*;
use sdram_chip::{Chip, Defect, Pins, Timing};
use splitmem_hdl::sdram::memory::Memory;
use splitmem_hdl::sdram::timing::Cycles;
use std::collections::{HashMap, VecDeque};
use verilated::Verilated;

/// Lines of the chip.
const LINES: u64 = 1 << 19;
/// Cycles in which all that a test asks must be over.
const PATIENCE: u64 = 1_000_000;

type Line = [u64; 8];

#[derive(Clone, Copy, Debug)]
struct Command {
    write: bool,
    tag: u64,
    line: u64,
    mask: u64,
    data: Line,
}

struct Bench {
    dut: Verilated,
    chip: Chip,
    broken: bool,
    cycle: u64,
    queue: VecDeque<Command>,
    beat: usize,
    /// Chance that replies are taken in a cycle, percent.
    pace: u32,
    rng: SmallRng,
    reply: Vec<u64>,
    /// Tag, and the data of a read.
    replies: Vec<(u64, Vec<u64>)>,
}

impl Bench {
    fn new(mhz: u32, defect: Option<Defect>, seed: u64) -> Self {
        println!("{mhz} MHz, seed {seed}");
        let mut memory = Memory::new(&Cycles::at(mhz * 1000));
        memory.connect_pins();
        let dut = Verilated::new("sdram", &generate_verilog(&memory), seed as u32);
        let mut chip = Chip::new(Timing::ULX3S, 1_000_000u64.div_ceil(u64::from(mhz)));
        if let Some(defect) = defect {
            chip.break_it(defect);
        }
        let mut bench = Self {
            dut,
            chip,
            broken: defect.is_some(),
            cycle: 0,
            queue: VecDeque::new(),
            beat: 0,
            pace: 100,
            rng: SmallRng::seed_from_u64(seed),
            reply: Vec::new(),
            replies: Vec::new(),
        };
        bench.dut.set("reset", 1);
        // As a configured FPGA comes up: its outputs are off before the first edge.
        bench.dut.tick();
        bench.dut.tick();
        bench.dut.set("reset", 0);
        bench
    }

    fn ready(mhz: u32, seed: u64) -> Self {
        let mut bench = Self::new(mhz, None, seed);
        bench.until(|b| b.dut.is("ready") || b.dut.is("failed"));
        assert!(!bench.dut.is("failed"), "a good chip fails its test");
        println!("ready after {} cycles, {} us", bench.cycle, bench.cycle / u64::from(mhz));
        bench
    }

    fn until(&mut self, mut over: impl FnMut(&mut Self) -> bool) {
        let end = self.cycle + PATIENCE;
        while !over(self) {
            assert!(self.cycle < end, "not over in time");
            self.tick();
        }
        // A chip with an open bank wire is told to open what is open.
        assert!(self.broken || self.chip.violation().is_none(), "{:?}", self.chip.violation());
    }

    fn tick(&mut self) {
        let d = &mut self.dut;
        d.set("cmd_valid", 0);
        if let Some(command) = self.queue.front() {
            d.set("cmd_valid", 1);
            d.set("cmd_write", u64::from(command.write));
            d.set("cmd_tag", command.tag);
            d.set("cmd_line", command.line);
            d.set("cmd_last", u64::from(!command.write || self.beat == 7));
            d.set("cmd_mask", command.mask >> (8 * self.beat) & 0xFF);
            d.set("cmd_data", command.data[self.beat]);
        }
        d.set("resp_ready", u64::from(self.rng.random_range(0..100) < self.pace));
        let pins = Pins {
            cke: d.is("cke"),
            cs_n: d.is("cs_n"),
            ras_n: d.is("ras_n"),
            cas_n: d.is("cas_n"),
            we_n: d.is("we_n"),
            ba: d.get("ba") as u8,
            a: d.get("a") as u16,
            dqm: d.get("dqm") as u8,
            dq: d.is("dq_drive").then(|| d.get("dq_out") as u16),
        };
        // What nobody drives is anything.
        let floating = (self.cycle as u16).wrapping_mul(0x6D2B);
        d.set("dq_in", u64::from(self.chip.clock(pins).unwrap_or(floating)));
        d.settle();
        if self.queue.front().is_some() && d.is("cmd_ready") {
            self.beat += 1;
            if self.queue.front().is_some_and(|c| !c.write) || self.beat == 8 {
                self.queue.pop_front();
                self.beat = 0;
            }
        }
        if d.is("resp_valid") && d.is("resp_ready") {
            self.reply.push(d.get("resp_data"));
            if d.is("resp_last") {
                self.replies.push((d.get("resp_tag"), std::mem::take(&mut self.reply)));
            }
        }
        self.dut.tick();
        self.cycle += 1;
    }
}

fn line_of(rng: &mut SmallRng) -> Line {
    std::array::from_fn(|_| rng.random())
}

#[test]
fn lines_are_kept_and_no_time_of_the_data_sheet_is_violated() {
    for (mhz, seed) in [(25, 1), (50, 2), (60, 3), (100, 4)] {
        let mut bench = Bench::ready(mhz, seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut memory: HashMap<u64, Line> = HashMap::new();
        let mut expected = Vec::new();
        // Few rows, so that rows of one bank meet; first every line is written.
        let spread: Vec<u64> = (0..48)
            .map(|i| {
                let row: u64 = [0, 1, 4095, 8191][rng.random_range(0..4)];
                row << 6 | (i % 4) << 4 | rng.random_range(0..16)
            })
            .collect();
        for i in 0..1500 {
            let line = spread[if i < 48 { i } else { rng.random_range(0..48) }];
            let write = i < 48 || rng.random_bool(0.4);
            let mask = match rng.random_range(0..3) {
                _ if i < 48 => u64::MAX,
                0 => u64::MAX,
                1 => 1 << rng.random_range(0..64),
                _ => rng.random(),
            };
            let data = line_of(&mut rng);
            let tag = i as u64 & 1023;
            bench.queue.push_back(Command { write, tag, line, mask, data });
            if write {
                let old = memory.entry(line).or_default();
                for (b, beat) in old.iter_mut().enumerate() {
                    let bytes = (0..8).filter(|k| mask >> (8 * b + k) & 1 == 1);
                    let bits = bytes.fold(0u64, |bits, k| bits | 0xFF << (8 * k));
                    *beat = *beat & !bits | data[b] & bits;
                }
                expected.push((tag, None));
            } else {
                expected.push((tag, Some(memory[&line])));
            }
        }
        bench.pace = 70;
        bench.until(|b| b.replies.len() == expected.len());
        for ((tag, data), (wanted, line)) in bench.replies.iter().zip(&expected) {
            assert_eq!(tag, wanted);
            match line {
                Some(line) => assert_eq!(data, line, "tag {tag}"),
                None => assert_eq!(data.len(), 1),
            }
        }
    }
}

/// Lines per cycle, times the 32 cycles that a line's words take.
fn efficiency(bench: &mut Bench, lines: impl Iterator<Item = u64>, count: usize) -> f64 {
    for (i, line) in lines.take(count).enumerate() {
        let tag = i as u64 & 1023;
        bench.queue.push_back(Command { write: false, tag, line, mask: 0, data: [0; 8] });
    }
    bench.replies.clear();
    let start = bench.cycle;
    bench.until(|b| b.replies.len() == count);
    32.0 * count as f64 / (bench.cycle - start) as f64
}

#[test]
fn reads_come_close_to_what_the_chip_can_do() {
    for mhz in [50, 60, 100] {
        let mut bench = Bench::ready(mhz, 5);
        let sequential = efficiency(&mut bench, 1000.., 2000);
        let mut rng = SmallRng::seed_from_u64(6);
        let random =
            efficiency(&mut bench, std::iter::from_fn(|| Some(rng.random_range(0..LINES))), 2000);
        // What bank timing allows lines at random places: 32 cycles of words; a line in four meets
        // the bank of the one before it, and a row that is closed, and waits from that line's last burst
        // (8 words, less one that may come out after the precharge) for precharge, activation and
        // the first word's place: 7 + tRP + tRCD - 8 cycles. A refresh costs tRP + tRFC and the way back
        // to an open row, tRCD, every 7.5 us.
        let c = Cycles::at(mhz * 1000);
        let line = 32.0 + (7 + c.rp + c.rcd - 8) as f64 / 4.0;
        let refresh = (c.rp + c.rfc + c.rcd) as f64 / c.refresh as f64;
        let bound = 32.0 / line * (1.0 - refresh);
        println!(
            "{mhz} MHz: sequential {sequential:.3} of the peak, random {random:.3}, bound {bound:.3}"
        );
        assert!(sequential >= 0.85, "{sequential}");
        assert!(random >= 0.9 * bound, "{random} of {bound}");
    }
}

#[test]
fn refreshes_do_not_starve_under_load() {
    let mut bench = Bench::ready(50, 7);
    let (before, start) = (bench.chip.counts().refreshes, bench.cycle);
    // One row, no pause: nothing but a refresh ever closes it.
    efficiency(&mut bench, (0..).map(|i| i % 16), 4000);
    let refreshes = bench.chip.counts().refreshes - before;
    let due = (bench.cycle - start) * 20 * 8192 / 64_000_000;
    println!("{refreshes} refreshes, {due} due");
    assert!(refreshes >= due);
}

#[test]
fn the_self_test_says_which_address_and_bit() {
    // Line 0 is tested before all others: whatever touches every line shows there. Lines with one
    // address wire each come after it.
    let cases = [
        (Defect::DataStuck { bit: 5, high: true }, 0, 1 << 5),
        (Defect::DataStuck { bit: 15, high: false }, 0, 1 << 15),
        (Defect::MaskOpen { lane: 0 }, 0, 0x00FF),
        (Defect::MaskOpen { lane: 1 }, 0, 0xFF00),
        // Line 64 is row 1, bank 0: bit 6 of the line number is row wire 0. Written after line 0, it
        // is what line 0 reads.
        (Defect::RowAddressOpen { bit: 0 }, 0, 1 << 6),
        (Defect::BankOpen { bit: 1 }, 0, 0),
        // Word 4 * 512 * 4096 is the first of row 4096, line 1 << 18.
        (Defect::Cell { word: 4096 * 4 * 512 + 3, bit: 9 }, 1 << 18, 1 << 9),
    ];
    for (defect, line, bits) in cases {
        let mut bench = Bench::new(50, Some(defect), 8);
        bench.until(|b| b.dut.is("ready") || b.dut.is("failed"));
        assert!(bench.dut.is("failed"), "{defect:?} was not found");
        // A chip with an open bank wire does what no data sheet says: all that counts is that it shows.
        let anything = defect == Defect::BankOpen { bit: 1 };
        let found = (bench.dut.get("fail_line"), bench.dut.get("fail_bits"));
        assert!(anything || found == (line, bits), "{defect:?}: {found:?}");
        // And nothing is served from it.
        let read = Command { write: false, tag: 0, line: 0, mask: 0, data: [0; 8] };
        bench.queue.push_back(read);
        for _ in 0..1000 {
            bench.tick();
        }
        assert_eq!((bench.queue.len(), bench.replies.len()), (1, 0), "{defect:?}");
    }
}
