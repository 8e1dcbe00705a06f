//! Counters and histograms are exact under random pulses.

use crate::bench::{emit, Bench, Side, CONFIG, HUGE_LINES};
use rand::Rng;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::field::CONTROL;
use splitmem_abi::regs::{self, Counter, HISTOGRAM_BINS, HISTOGRAM_OPS};

/// Pulses that count by themselves, one each.
const PULSES: [(&str, Counter); 11] = [
    ("st_tlb_hit", Counter::TlbHits),
    ("st_tlb_miss", Counter::TlbMisses),
    ("st_walk", Counter::Walks),
    ("st_merge", Counter::WalkMerges),
    ("st_fault_4k", Counter::Faults4k),
    ("st_fault_2m", Counter::Faults2m),
    ("st_zero_read", Counter::ZeroReads),
    ("st_line_wait", Counter::LineWaits),
    ("st_dram_read", Counter::DramReads),
    ("st_dram_write", Counter::DramWrites),
    ("st_shootdown", Counter::Shootdowns),
];

#[derive(Default)]
struct Expected {
    counters: [u64; 32],
    bins: [[u32; HISTOGRAM_BINS]; HISTOGRAM_OPS],
}

impl Expected {
    fn count(&mut self, counter: Counter, n: u64) {
        self.counters[counter as usize] += n;
    }

    fn cycle(&mut self, bench: &mut Bench, percent: u32) {
        for (port, counter) in PULSES {
            let pulse = bench.chance(percent) as u64;
            bench.dut.set(port, pulse);
            self.count(counter, pulse);
        }
        for port in ["st_stall_0", "st_stall_1"] {
            let pulse = bench.chance(percent) as u64;
            bench.dut.set(port, pulse);
            self.count(Counter::PortStalls, pulse);
        }
        let bits = bench.rng.random_range(0..7);
        let walks = bench.rng.random_range(0..1 << bits);
        bench.dut.set("st_walks_now", walks);
        let peak = &mut self.counters[Counter::WalksPeak as usize];
        *peak = walks.max(*peak);

        let (accept, op) = (bench.chance(percent), bench.rng.random_range(0..8));
        bench.dut.set("st_accept", accept as u64);
        bench.dut.set("st_accept_op", op);
        let accepted = [Counter::Reads, Counter::Writes, Counter::Atomics, Counter::Atomics];
        if let (true, Some(&counter)) = (accept, accepted.get(op as usize)) {
            self.count(counter, 1);
        }
        let (retire, op) = (bench.chance(percent), bench.rng.random_range(0..8));
        let status = bench.rng.random_range(0..6);
        let latency = match bench.rng.random_range(0..4) {
            // The same bin again and again, its edges, and anything.
            0 => 5,
            1 => (1u64 << bench.rng.random_range(0..17)) - 1,
            2 => 1 << bench.rng.random_range(0..16),
            _ => bench.rng.random_range(0..1 << 16),
        };
        bench.dut.set("st_retire", retire as u64);
        bench.dut.set("st_retire_op", op);
        bench.dut.set("st_retire_status", status);
        bench.dut.set("st_retire_latency", latency);
        let answered = [
            Counter::Ok,
            Counter::NotMapped,
            Counter::NoPermission,
            Counter::NoMemory,
            Counter::BadRequest,
            Counter::Uncorrectable,
        ];
        if retire {
            self.count(answered[status as usize], 1);
            if op < 4 {
                self.bins[op as usize][latency.max(1).ilog2() as usize] += 1;
            }
        }
        bench.cycle();
    }
}

fn quiet(bench: &mut Bench) {
    for (port, _) in PULSES {
        bench.dut.set(port, 0);
    }
    for port in ["st_stall_0", "st_stall_1", "st_accept", "st_retire", "st_walks_now"] {
        bench.dut.set(port, 0);
    }
}

fn counter(bench: &mut Bench, side: Side, counter: Counter) -> u64 {
    let low = bench.access(side, None, counter.offset());
    let high = bench.access(side, None, counter.offset() + 4);
    assert!(!low.1 && !high.1);
    low.0 as u64 | (high.0 as u64) << 32
}

fn compare(bench: &mut Bench, expected: &Expected) {
    for (which, name) in Counter::ALL {
        for side in [Side::Monitor, Side::Host] {
            let value = counter(bench, side, which);
            if which != Counter::Cycles {
                assert_eq!(value, expected.counters[which as usize], "{name}");
            }
        }
    }
    for (op, bins) in expected.bins.iter().enumerate() {
        for (bin, &count) in bins.iter().enumerate() {
            let i = (op * HISTOGRAM_BINS + bin) as u16;
            assert_eq!(bench.read_at(&regs::HISTOGRAM, i), count, "op {op} bin {bin}");
        }
    }
    for unused in 2 * Counter::ALL.len() as u16..regs::COUNTERS.count {
        assert_eq!(bench.read_at(&regs::COUNTERS, unused), 0);
    }
}

#[test]
fn counters_and_histograms_are_exact() {
    for seed in 0..3 {
        let mut bench = Bench::new(400 + seed);
        let mut expected = Expected::default();
        for percent in [30, 100, 5] {
            for _ in 0..4000 {
                expected.cycle(&mut bench, percent);
            }
            quiet(&mut bench);
            compare(&mut bench, &expected);
        }
        bench.write(&regs::CONTROL, CONTROL::CLEAR_STATS.mask());
        expected = Expected::default();
        compare(&mut bench, &expected);
        for _ in 0..500 {
            expected.cycle(&mut bench, 50);
        }
        quiet(&mut bench);
        compare(&mut bench, &expected);
    }
}

#[test]
fn cycles_are_counted_since_the_last_clear() {
    let mut bench = Bench::new(1);
    bench.write(&regs::CONTROL, CONTROL::CLEAR_STATS.mask());
    let cleared = bench.cycle;
    let before = counter(&mut bench, Side::Monitor, Counter::Cycles);
    assert!(before <= bench.cycle - cleared + 8, "{before}");
    let first = bench.cycle;
    bench.cycles(1000);
    let after = counter(&mut bench, Side::Monitor, Counter::Cycles);
    // Each read gives the count of one cycle within its access, which takes less than 60.
    let passed = after - before;
    assert!((1000 - 60..1000 + 120).contains(&passed), "{passed} since {first}");
}

#[test]
fn the_high_word_is_of_the_moment_and_the_side_of_the_low_one() {
    // 2^32 events cannot be waited for: here each one adds 2^31.
    let verilog = emit(&CONFIG, HUGE_LINES);
    let adds = "((added$q) & 64'hffffffffffffffff)";
    assert_eq!(verilog.matches(adds).count(), 1);
    let mut bench = Bench::with(&verilog.replace(adds, &format!("({adds} << 31)")), 2);
    let mut expected = Expected::default();
    for _ in 0..301 {
        expected.cycle(&mut bench, 60);
    }
    let (hits, misses) = (Counter::TlbHits, Counter::TlbMisses);
    let words = |counter: Counter, more: u64| {
        let value = (expected.counters[counter as usize] + more) << 31;
        [value as u32, (value >> 32) as u32]
    };
    let read = |bench: &mut Bench, side, counter: Counter, high: u16| {
        bench.access(side, None, counter.offset() + 4 * high).0
    };
    quiet(&mut bench);
    assert_eq!(read(&mut bench, Side::Monitor, hits, 0), words(hits, 0)[0]);
    assert_eq!(read(&mut bench, Side::Host, misses, 0), words(misses, 0)[0]);
    // Counting on does not change what was kept.
    bench.dut.set("st_tlb_hit", 1);
    bench.cycles(100);
    bench.dut.set("st_tlb_hit", 0);
    assert_eq!(read(&mut bench, Side::Monitor, hits, 1), words(hits, 0)[1]);
    assert_eq!(read(&mut bench, Side::Host, misses, 1), words(misses, 0)[1]);
    assert_eq!(read(&mut bench, Side::Host, hits, 0), words(hits, 100)[0]);
    assert_eq!(read(&mut bench, Side::Host, hits, 1), words(hits, 100)[1]);
    assert_eq!(read(&mut bench, Side::Monitor, hits, 1), words(hits, 0)[1]);
}

#[test]
fn clear_is_told_to_the_data_path() {
    let mut bench = Bench::new(3);
    bench.dut.set("m_valid", 1);
    bench.dut.set("m_write", 1);
    bench.dut.set("m_addr", regs::CONTROL.offset as u64);
    bench.dut.set("m_wdata", CONTROL::CLEAR_STATS.mask() as u64);
    let mut pulses = 0;
    while !bench.dut.is("m_done") {
        bench.cycle();
        pulses += bench.dut.get("clear_stats");
    }
    assert_eq!(pulses, 1);
}

#[test]
fn without_statistics_their_registers_read_zero() {
    let mut bench = Bench::of(&HwConfig::SMALL, 4);
    let mut expected = Expected::default();
    for _ in 0..200 {
        expected.cycle(&mut bench, 100);
    }
    for register in [regs::COUNTERS, regs::HISTOGRAM] {
        for i in 0..register.count {
            assert_eq!(bench.read_at(&register, i), 0);
        }
    }
}
