//! Event log, mailbox, interrupts, shootdown control.

use crate::bench::{Bench, Side, CONFIG};
use rand::Rng;
use splitmem_abi::event::Event;
use splitmem_abi::regs::field::{
    EVENT_STATUS, HOST_IRQ_STATUS, IRQ_STATUS, MB_DOORBELL, SD_STATUS, STATUS,
};
use splitmem_abi::regs::{self, ShootdownCommand, MAILBOX_WORDS};
use splitmem_abi::request::Status;
use std::collections::VecDeque;

/// Shows an event to the component for one cycle. Gives it with cycle zero.
fn raise(bench: &mut Bench) -> Event {
    let rng = &mut bench.rng;
    let event = Event {
        status: Status::ALL[rng.random_range(1..6)],
        op: rng.random_range(0..8),
        port: rng.random_range(0..2),
        pid: rng.random(),
        va: rng.random_range(0..1 << 48),
        cycle: 0,
    };
    bench.dut.set("ev_valid", 1);
    bench.dut.set("ev_status", event.status as u64);
    bench.dut.set("ev_op", event.op as u64);
    bench.dut.set("ev_port", event.port as u64);
    bench.dut.set("ev_pid", event.pid as u64);
    bench.dut.set("ev_va", event.va);
    bench.cycle();
    bench.dut.set("ev_valid", 0);
    event
}

fn oldest(bench: &mut Bench) -> [u32; 4] {
    std::array::from_fn(|i| bench.read_at(&regs::EVENT, i as u16))
}

#[test]
fn events_are_kept_in_order_until_the_log_is_full() {
    for seed in 0..3 {
        let mut bench = Bench::new(300 + seed);
        let mut log: VecDeque<(Event, u64)> = VecDeque::new();
        let mut dropped = 0;
        let mut first_stamp = None;
        for _ in 0..60 {
            for _ in 0..bench.rng.random_range(0..8) {
                let gap = bench.rng.random_range(0..3);
                bench.cycles(gap);
                let at = bench.cycle;
                let event = raise(&mut bench);
                if log.len() < CONFIG.event_log as usize {
                    log.push_back((event, at));
                } else {
                    dropped += 1;
                }
            }
            let status = bench.read(&regs::EVENT_STATUS);
            assert_eq!(EVENT_STATUS::COUNT.get(status) as usize, log.len());
            assert_eq!(EVENT_STATUS::DROPPED.get(status), dropped);
            let waits = IRQ_STATUS::EVENT.get(bench.read(&regs::IRQ_STATUS));
            assert!(waits == 1 || log.is_empty());
            for _ in 0..bench.rng.random_range(0..6) {
                let words = oldest(&mut bench);
                bench.write(&regs::EVENT_POP, 0);
                let Some((expected, at)) = log.pop_front() else {
                    assert_eq!(words, [0; 4]);
                    continue;
                };
                let event = Event::decode(words).expect("a known status");
                // The stamp counts from reset; all that matters is that it counts cycles.
                let start = *first_stamp.get_or_insert(event.cycle as i64 - at as i64);
                assert_eq!(event.cycle as i64, start + at as i64);
                assert_eq!(Event { cycle: 0, ..event }, expected);
                assert_eq!(words, event.encode());
            }
        }
        assert!(dropped > 10, "the log was never full");
    }
}

#[test]
fn lost_events_are_counted_to_65535() {
    let mut bench = Bench::new(1);
    for _ in 0..65_535 + 40 {
        raise(&mut bench);
    }
    let status = bench.read(&regs::EVENT_STATUS);
    assert_eq!(EVENT_STATUS::DROPPED.get(status), 65_535);
    assert_eq!(EVENT_STATUS::COUNT.get(status), CONFIG.event_log);
}

#[test]
fn the_mailbox_has_one_owner_at_a_time() {
    let mut bench = Bench::new(2);
    let host = Side::Host;
    bench.write(&regs::IRQ_MASK, IRQ_STATUS::DOORBELL.mask());
    bench.access(host, Some(1), regs::HOST_IRQ_MASK.offset);
    for round in 0..3 {
        let word = |i: u16| 0x1234_5679u32.wrapping_mul(i as u32 + 1) + round;
        for i in 0..MAILBOX_WORDS as u16 {
            bench.access(host, Some(word(i)), regs::MB_PAYLOAD.at(i));
        }
        assert_eq!(bench.access(host, Some(0x8_0042), regs::MB_COMMAND.offset), (0, false));
        // The monitor cannot answer what was not asked.
        bench.write(&regs::MB_DOORBELL, 1);
        assert_eq!(bench.access(host, None, regs::HOST_IRQ_STATUS.offset), (0, false));
        bench.access(host, Some(0), regs::MB_DOORBELL.offset);
        assert_eq!(bench.read(&regs::MB_DOORBELL), 0);
        assert!(!bench.dut.is("irq_monitor"));

        bench.access(host, Some(1), regs::MB_DOORBELL.offset);
        assert_eq!(MB_DOORBELL::BUSY.get(bench.read(&regs::MB_DOORBELL)), 1);
        assert!(bench.dut.is("irq_monitor"));
        bench.write(&regs::IRQ_STATUS, IRQ_STATUS::DOORBELL.mask());
        assert_eq!(bench.read(&regs::IRQ_STATUS), 0, "an edge does not come back");
        // The host's writes are refused now, its reads are not.
        for offset in [regs::MB_COMMAND.offset, regs::MB_PAYLOAD.at(0), regs::MB_PAYLOAD.at(63)] {
            assert_eq!(bench.access(host, Some(7), offset), (0, true));
            assert!(!bench.access(host, None, offset).1);
        }
        // Ringing again changes nothing.
        assert_eq!(bench.access(host, Some(1), regs::MB_DOORBELL.offset), (0, false));
        assert_eq!(bench.read(&regs::IRQ_STATUS), 0);

        assert_eq!(bench.read(&regs::MB_COMMAND), 0x8_0042);
        for i in 0..MAILBOX_WORDS as u16 {
            assert_eq!(bench.read_at(&regs::MB_PAYLOAD, i), word(i));
        }
        let (_, error) = bench.access(Side::Monitor, Some(!word(5)), regs::MB_PAYLOAD.at(5));
        assert!(!error);
        bench.write(&regs::MB_STATUS, 0x4_0000);
        assert!(!bench.dut.is("irq_host"));
        bench.write(&regs::MB_DOORBELL, 1);
        assert!(bench.dut.is("irq_host"));
        let reply = bench.access(host, None, regs::HOST_IRQ_STATUS.offset);
        assert_eq!(reply, (HOST_IRQ_STATUS::REPLY.mask(), false));
        bench.access(host, Some(1), regs::HOST_IRQ_STATUS.offset);
        assert!(!bench.dut.is("irq_host"));
        assert_eq!(bench.access(host, None, regs::MB_DOORBELL.offset), (0, false));
        assert_eq!(bench.access(host, None, regs::MB_STATUS.offset), (0x4_0000, false));
        assert_eq!(bench.access(host, None, regs::MB_PAYLOAD.at(5)), (!word(5), false));
    }
}

#[test]
fn edges_latch_and_the_mask_lets_them_through() {
    let mut bench = Bench::new(3);
    for (port, cause) in [
        ("no_memory", IRQ_STATUS::NO_MEMORY),
        ("poison", IRQ_STATUS::UNCORRECTABLE),
        ("te_resp_poison", IRQ_STATUS::UNCORRECTABLE),
    ] {
        bench.write(&regs::IRQ_MASK, 0);
        if port == "te_resp_poison" {
            // Poison on a bucket that the table engine reads.
            bench.poisoned.insert(0x40);
            bench.write(&regs::TABLE_BASE, 1);
            bench.write(&regs::TE_COUNT, 1);
            bench.write(&regs::TE_COMMAND, regs::TableCommand::Query as u32);
            bench.cycles(100);
        } else {
            bench.dut.set(port, 1);
            bench.cycle();
            bench.dut.set(port, 0);
            bench.cycles(3);
        }
        assert_eq!(bench.read(&regs::IRQ_STATUS) & cause.mask(), cause.mask(), "{port}");
        assert!(!bench.dut.is("irq_monitor"));
        bench.write(&regs::IRQ_MASK, cause.mask());
        assert!(bench.dut.is("irq_monitor"));
        bench.write(&regs::IRQ_STATUS, !cause.mask());
        assert!(bench.dut.is("irq_monitor"), "zeros clear nothing");
        bench.write(&regs::IRQ_STATUS, cause.mask());
        assert!(!bench.dut.is("irq_monitor"));
        assert_eq!(bench.read(&regs::IRQ_STATUS), 0);
    }
}

#[test]
fn an_edge_that_comes_while_it_is_cleared_is_not_lost() {
    let cause = IRQ_STATUS::NO_MEMORY.mask();
    // The cause is raised in cycle `at` of the access that clears it; what came before is cleared.
    let survives: Vec<bool> = (0..8)
        .map(|at| {
            let mut bench = Bench::new(5);
            bench.dut.set("m_valid", 1);
            bench.dut.set("m_write", 1);
            bench.dut.set("m_addr", regs::IRQ_STATUS.offset as u64);
            bench.dut.set("m_wdata", cause as u64);
            for cycle in 0..8 {
                bench.dut.set("no_memory", (cycle == at) as u64);
                bench.cycle();
                if bench.dut.is("m_done") {
                    bench.dut.set("m_valid", 0);
                }
            }
            bench.dut.set("no_memory", 0);
            bench.cycles(2);
            bench.read(&regs::IRQ_STATUS) == cause
        })
        .collect();
    // The register is written in cycle 3 of an access: the cause of that very cycle stays.
    assert_eq!(survives, [false, false, false, true, true, true, true, true]);
}

#[test]
fn a_shootdown_is_started_once_and_timed() {
    let mut bench = Bench::new(4);
    bench.write(&regs::SD_PID, 0xbeef);
    bench.write(&regs::SD_VA_LO, 0x8765_4000);
    bench.write(&regs::SD_VA_HI, 0x9abc);
    bench.write(&regs::SD_COUNT, 0x7_1234);
    bench.write(&regs::SD_COMMAND, 0);
    assert_eq!(bench.read(&regs::SD_STATUS), 0);
    for code in [ShootdownCommand::Pages, ShootdownCommand::Pid, ShootdownCommand::All] {
        let (mut starts, mut busy_for) = (0, 0);
        bench.dut.set("m_valid", 1);
        bench.dut.set("m_write", 1);
        bench.dut.set("m_addr", regs::SD_COMMAND.offset as u64);
        bench.dut.set("m_wdata", code as u64);
        for cycle in 0..60 {
            bench.dut.settle();
            if bench.dut.is("sd_start") {
                starts += 1;
                busy_for = 25;
                assert_eq!(bench.dut.get("sd_code"), code as u64);
                assert_eq!(bench.dut.get("sd_pid"), 0xbeef);
                assert_eq!(bench.dut.get("sd_va"), 0x9abc_8765_4000);
                assert_eq!(bench.dut.get("sd_count"), 0x7_1234);
            }
            if bench.dut.is("m_done") {
                bench.dut.set("m_valid", 0);
                bench.dut.set("m_write", 0);
            }
            bench.cycle();
            bench.dut.set("sd_busy", (busy_for > 0) as u64);
            busy_for = u32::saturating_sub(busy_for, 1);
            // The registers may change under way, the shootdown does not.
            if cycle == 20 {
                assert_eq!(bench.dut.get("sd_pid"), 0xbeef);
            }
        }
        assert_eq!(starts, 1);
        assert_eq!(bench.read(&regs::SD_STATUS), 0);
        let cycles = bench.read(&regs::SD_CYCLES);
        assert!((25..=28).contains(&cycles), "{cycles}");
        let done = bench.read(&regs::IRQ_STATUS);
        assert_eq!(done, IRQ_STATUS::SD_DONE.mask());
        bench.write(&regs::IRQ_STATUS, done);
    }
    // Busy from the command on, and deaf to the next one.
    bench.write(&regs::SD_COMMAND, 2);
    bench.dut.set("sd_busy", 1);
    bench.write(&regs::SD_PID, 1);
    bench.write(&regs::SD_COMMAND, 1);
    assert_eq!((bench.dut.get("sd_code"), bench.dut.get("sd_pid")), (2, 0xbeef));
    assert_eq!(bench.read(&regs::SD_STATUS), SD_STATUS::BUSY.mask());
    assert_eq!(STATUS::SD_BUSY.get(bench.read(&regs::STATUS)), 1);
    assert_eq!(bench.read(&regs::IRQ_STATUS), 0);
    bench.dut.set("sd_busy", 0);
    bench.cycles(3);
    assert_eq!(bench.read(&regs::SD_STATUS), 0);
}
