//! Every register of `abi::regs`: reset value, access kind and errors on both buses.

use crate::bench::{emit, Bench, Side, CONFIG, HUGE_LINES};
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{self, Access, Register, Reset, WINDOW_BYTES};

const SIDES: [Side; 2] = [Side::Monitor, Side::Host];

fn access(side: Side, register: &Register) -> Access {
    match side {
        Side::Monitor => register.monitor,
        Side::Host => register.host,
    }
}

/// What registers without a fixed reset value read on the bench, where nothing is in flight.
fn volatile(register: &Register) -> Option<u32> {
    match register.name {
        "STATUS" => Some(regs::field::STATUS::READY.mask() | regs::field::STATUS::IDLE.mask()),
        "IRQ_STATUS" => Some(0),
        // Only the cycle counter moves.
        "COUNTERS" => None,
        name => panic!("{name} has no fixed reset value: say what it reads here"),
    }
}

fn reset_values(config: &HwConfig) {
    let mut bench = Bench::of(config, 1);
    for register in regs::ALL {
        for side in SIDES {
            if !access(side, register).reads() {
                continue;
            }
            for i in 0..register.count {
                let expected = match register.reset {
                    Reset::Volatile => volatile(register),
                    _ => register.reset_value(config),
                };
                let (value, error) = bench.access(side, None, register.at(i));
                assert!(!error, "{side:?} {}[{i}]", register.name);
                let moves = register.name == "COUNTERS" && i < 2 && config.statistics;
                if !moves {
                    let expected = expected.unwrap_or(0);
                    assert_eq!(value, expected, "{side:?} {}[{i}]", register.name);
                }
            }
        }
    }
}

#[test]
fn reset_values_are_those_of_the_abi() {
    reset_values(&HwConfig::SMALL);
    reset_values(&HwConfig::LARGE);
}

#[test]
fn a_side_does_what_it_may_and_nothing_else() {
    let mut bench = Bench::new(2);
    for register in regs::ALL {
        for side in SIDES {
            let allowed = access(side, register);
            for i in [0, register.count - 1] {
                let (value, error) = bench.access(side, None, register.at(i));
                assert_eq!(error, !allowed.reads(), "{side:?} reads {}", register.name);
                assert!(allowed.reads() || value == 0);
                // Zero starts nothing, anywhere.
                let (_, error) = bench.access(side, Some(0), register.at(i));
                assert_eq!(error, !allowed.writes(), "{side:?} writes {}", register.name);
            }
        }
    }
    let stands = |offset: u16| {
        regs::ALL.iter().any(|r| r.offset <= offset && offset < r.at(r.count)) && offset % 4 == 0
    };
    for offset in (0..WINDOW_BYTES).filter(|&offset| !stands(offset)).step_by(7) {
        for side in SIDES {
            for write in [None, Some(0)] {
                assert_eq!(bench.access(side, write, offset), (0, true), "{offset:#x}");
            }
        }
    }
}

#[test]
fn plain_registers_keep_their_bits_until_reset() {
    let mut bench = Bench::new(3);
    for value in [u32::MAX, 0x1234_5678, 0xa5a5_a5a5] {
        for register in regs::ALL {
            // Those whose writes do more than store are tested where they belong.
            if ["CONTROL", "MB_DOORBELL"].contains(&register.name) {
                continue;
            }
            for side in SIDES.iter().filter(|&&side| access(side, register) == Access::Rw) {
                for i in [0, register.count / 2, register.count - 1] {
                    assert_eq!(bench.access(*side, Some(!value), register.at(i)), (0, false));
                    assert_eq!(bench.access(*side, Some(value), register.at(i)), (0, false));
                    let kept = value & register.mask();
                    let read = bench.access(*side, None, register.at(i));
                    assert_eq!(read, (kept, false), "{}[{i}]", register.name);
                    // The other side sees the same or nothing, and cannot change what it may not.
                    let other = if *side == Side::Monitor { Side::Host } else { Side::Monitor };
                    if !access(other, register).writes() {
                        bench.access(other, Some(!value), register.at(i));
                        let read = bench.access(*side, None, register.at(i));
                        assert_eq!(read, (kept, false), "{}[{i}]", register.name);
                    }
                    if access(other, register).reads() {
                        assert_eq!(bench.access(other, None, register.at(i)), (kept, false));
                    }
                }
            }
        }
    }
    bench.reset();
    for register in regs::ALL {
        if let (Some(value), true) = (register.reset_value(&CONFIG), register.monitor.reads()) {
            assert_eq!(bench.read(register), value, "{} after reset", register.name);
        }
    }
}

#[test]
fn control_and_table_reach_their_outputs() {
    let mut bench = Bench::new(4);
    assert!(!bench.dut.is("enable"));
    bench.write(&regs::CONTROL, u32::MAX);
    assert_eq!(bench.read(&regs::CONTROL), regs::field::CONTROL::ENABLE.mask());
    assert!(bench.dut.is("enable"));
    bench.dut.set("ready", 0);
    bench.cycle();
    assert!(!bench.dut.is("enable"));
    bench.write(&regs::TABLE_BASE, 0x0fff_ffff);
    bench.write(&regs::TABLE_SIZE, 13);
    assert_eq!(bench.dut.get("table_base"), CONFIG.frame_mask() as u64);
    assert_eq!(bench.dut.get("table_log2"), 13);
    bench.dut.set("idle", 0);
    assert_eq!(bench.read(&regs::STATUS), 0);
}

#[test]
fn the_sides_take_turns() {
    let mut bench = Bench::new(5);
    for port in ["m", "h"] {
        bench.dut.set(&format!("{port}_valid"), 1);
        bench.dut.set(&format!("{port}_addr"), regs::ID.offset as u64);
    }
    let mut done = Vec::new();
    for _ in 0..200 {
        bench.cycle();
        for port in ["m", "h"] {
            let valid = format!("{port}_valid");
            if bench.dut.is(&format!("{port}_done")) {
                assert_eq!(bench.dut.get(&format!("{port}_rdata")), regs::ID_VALUE as u64);
                let other = if port == "m" { "h_rdata" } else { "m_rdata" };
                assert_eq!(bench.dut.get(other), 0, "one side sees what the other reads");
                done.push(port);
                bench.dut.set(&valid, 0);
                bench.cycle();
                bench.dut.set(&valid, 1);
            }
        }
    }
    assert!(done.len() > 20, "{done:?}");
    assert!(done.windows(2).all(|pair| pair[0] != pair[1]), "{done:?}");
}

#[test]
fn emission_is_the_same_every_time() {
    assert_eq!(emit(&CONFIG, HUGE_LINES), emit(&CONFIG, HUGE_LINES));
}
