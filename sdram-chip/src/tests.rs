//! The chip must notice each violation: a right sequence of commands, then the same with one wrong.

use super::*;

/// 100 MHz: one cycle is 10 ns.
const PERIOD: u64 = 10_000;

const NOP: Pins = Pins {
    cke: true,
    cs_n: false,
    ras_n: true,
    cas_n: true,
    we_n: true,
    ba: 0,
    a: 0,
    dqm: 0,
    dq: None,
};

fn activate(ba: u8, a: u16) -> Pins {
    Pins { ras_n: false, ba, a, ..NOP }
}
fn read(ba: u8, a: u16) -> Pins {
    Pins { cas_n: false, ba, a, ..NOP }
}
fn write(ba: u8, a: u16, dq: u16) -> Pins {
    Pins { cas_n: false, we_n: false, ba, a, dq: Some(dq), ..NOP }
}
fn precharge(ba: u8) -> Pins {
    Pins { ras_n: false, we_n: false, ba, ..NOP }
}
const PRECHARGE_ALL: Pins = Pins { ras_n: false, we_n: false, a: 1 << 10, ..NOP };
const REFRESH: Pins = Pins { ras_n: false, cas_n: false, ..NOP };
const MODE: Pins = Pins { ras_n: false, cas_n: false, we_n: false, a: 0x23, ..NOP };

struct Bench(Chip);

impl Bench {
    fn raw() -> Self {
        Self(Chip::new(Timing::ULX3S, PERIOD))
    }

    fn ready() -> Self {
        let mut bench = Self::raw();
        bench.wait(20_000);
        bench.at(PRECHARGE_ALL, 3);
        for _ in 0..8 {
            bench.at(REFRESH, 7);
        }
        bench.at(MODE, 2);
        assert_eq!(bench.0.violation(), None);
        bench
    }

    /// A command, and `cycles` later the next one may follow.
    fn at(&mut self, pins: Pins, cycles: u64) -> Option<u16> {
        let data = self.0.clock(pins);
        self.wait(cycles - 1);
        data
    }

    fn wait(&mut self, cycles: u64) {
        for _ in 0..cycles {
            self.0.clock(NOP);
        }
    }

    fn write_burst(&mut self, ba: u8, column: u16, first: u16) {
        self.0.clock(write(ba, column, first));
        for i in 1..8 {
            self.0.clock(Pins { dq: Some(first + i), ..NOP });
        }
    }

    fn parameter(&self) -> &'static str {
        match self.0.violation() {
            Some(Violation::TooSoon { parameter, .. } | Violation::TooLate { parameter, .. }) => {
                parameter
            }
            Some(Violation::Illegal { why, .. }) => why,
            Some(Violation::Contention { .. }) => "contention",
            Some(Violation::NoData { .. }) => "no data",
            None => "none",
        }
    }
}

#[test]
fn what_was_written_is_read_two_edges_later() {
    let mut bench = Bench::ready();
    bench.at(activate(2, 77), 3);
    bench.write_burst(2, 16, 100);
    bench.0.clock(Pins { dqm: 0, ..write(2, 24, 7) });
    bench.0.clock(Pins { dqm: 1, dq: Some(0xFFFF), ..NOP });
    for _ in 0..6 {
        bench.0.clock(Pins { dqm: 3, dq: Some(0xFFFF), ..NOP });
    }
    let mut words = vec![bench.0.clock(read(2, 16))];
    words.extend((0..9).map(|_| bench.0.clock(NOP)));
    let expected: Vec<_> = [None].into_iter().chain((100..108).map(Some)).chain([None]).collect();
    assert_eq!(words, expected);
    assert_eq!(bench.0.word((77 * 4 + 2) * 512 + 24), 7);
    assert_eq!(bench.0.word((77 * 4 + 2) * 512 + 25) >> 8, 0xFF);
    assert_eq!(bench.0.violation(), None);
}

/// What each wrong step must be called. Every closure does all right but one thing.
#[test]
fn every_violation_is_named() {
    type Step = fn(&mut Bench);
    let cases: [(&str, Step); 19] = [
        ("tRCD", |b| {
            b.at(activate(0, 1), 2);
            b.0.clock(read(0, 0));
        }),
        ("tRP", |b| {
            b.at(activate(0, 1), 5);
            b.at(precharge(0), 2);
            b.0.clock(activate(0, 1));
        }),
        ("tRC", |b| {
            b.0.timing.rc_ps = 100_000;
            b.at(activate(0, 1), 5);
            b.at(precharge(0), 3);
            b.0.clock(activate(0, 1));
        }),
        ("tRAS", |b| {
            b.at(activate(0, 1), 4);
            b.0.clock(precharge(0));
        }),
        ("tRAS max", |b| {
            b.0.timing.refi_ps *= 2;
            b.at(activate(0, 1), 1);
            b.wait(10_001);
        }),
        ("tRRD", |b| {
            b.at(activate(0, 1), 1);
            b.0.clock(activate(1, 1));
        }),
        ("tWR", |b| {
            b.at(activate(0, 1), 3);
            b.write_burst(0, 0, 5);
            b.0.clock(precharge(0));
        }),
        ("tRFC", |b| {
            b.at(REFRESH, 6);
            b.0.clock(activate(0, 1));
        }),
        ("tMRD", |b| {
            b.at(MODE, 1);
            b.0.clock(activate(0, 1));
        }),
        ("tREFI", |b| b.wait(10 * 782)),
        ("the bank is open", |b| {
            b.at(activate(0, 1), 9);
            b.0.clock(activate(0, 1));
        }),
        ("the bank is closed", |b| {
            b.0.clock(read(0, 0));
        }),
        ("a burst is under way: it would be cut short", |b| {
            b.at(activate(0, 1), 3);
            b.at(read(0, 0), 7);
            b.0.clock(read(0, 8));
        }),
        ("a burst is under way in the bank", |b| {
            b.at(activate(0, 1), 5);
            b.at(read(0, 0), 6);
            b.0.clock(precharge(0));
        }),
        ("a bank is open", |b| {
            b.at(activate(0, 1), 3);
            b.0.clock(REFRESH);
        }),
        ("no data", |b| {
            b.at(activate(0, 1), 3);
            b.at(write(0, 0, 1), 2);
        }),
        ("contention", |b| {
            b.at(activate(0, 1), 3);
            b.at(read(0, 0), 9);
            b.0.clock(write(0, 8, 1));
        }),
        ("masked reads are not modelled", |b| {
            b.at(activate(0, 1), 3);
            b.0.clock(Pins { dqm: 1, ..read(0, 0) });
        }),
        ("not modelled", |b| {
            b.0.clock(Pins { we_n: false, ..NOP });
        }),
    ];
    for (name, step) in cases {
        let mut bench = Bench::ready();
        step(&mut bench);
        assert_eq!(bench.parameter(), name, "{:?}", bench.0.violation());
    }
    let mut bench = Bench::ready();
    bench.at(activate(0, 1), 3);
    bench.at(read(0, 0), 7);
    bench.at(precharge(0), 3);
    bench.at(activate(0, 2), 3);
    assert_eq!(bench.0.violation(), None, "a precharge as early as the data sheet allows");
}

#[test]
fn power_up_is_kept_in_order() {
    let mut bench = Bench::raw();
    bench.wait(19_000);
    bench.0.clock(PRECHARGE_ALL);
    assert_eq!(bench.parameter(), "power-up pause");
    let mut bench = Bench::raw();
    bench.wait(20_000);
    bench.0.clock(REFRESH);
    assert_eq!(bench.parameter(), "the first command must precharge all banks");
    let mut bench = Bench::raw();
    bench.wait(20_000);
    bench.at(PRECHARGE_ALL, 3);
    bench.at(REFRESH, 7);
    bench.0.clock(MODE);
    assert_eq!(bench.parameter(), "too few refreshes before the mode is set");
    let mut bench = Bench::raw();
    bench.wait(20_000);
    bench.at(PRECHARGE_ALL, 3);
    bench.0.clock(activate(0, 0));
    assert_eq!(bench.parameter(), "the mode was never set");
}

#[test]
fn violations_say_where_and_how_much() {
    let mut bench = Bench::ready();
    bench.at(activate(3, 1), 2);
    let cycle = bench.0.cycle();
    bench.0.clock(read(3, 0));
    let text = bench.0.violation().map(ToString::to_string).unwrap_or_default();
    let wanted = "tRCD violated in bank 3: READ after 20000 ps, the data sheet wants 21000 ps";
    assert_eq!(text, format!("cycle {cycle}: {wanted}"));
}

#[test]
fn defects_show_at_the_pins() {
    let mut bench = Bench::ready();
    bench.0.break_it(Defect::DataStuck { bit: 3, high: true });
    bench.at(activate(0, 1), 3);
    bench.write_burst(0, 0, 0);
    assert_eq!(bench.0.word(4 * 512), 8);
    let mut bench = Bench::ready();
    bench.0.break_it(Defect::RowAddressOpen { bit: 12 });
    bench.at(activate(1, 4097), 3);
    bench.write_burst(1, 0, 9);
    assert_eq!(bench.0.word((4 + 1) * 512), 9);
}
