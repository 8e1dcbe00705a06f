//! Every register of the map, from both sides: access, reset value, side effects.

mod common;

use common::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::event::Event;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field, Access, Counter, Register, ShootdownCommand, WINDOW_BYTES};
use splitmem_abi::request::{Op, Request, Status, FULL_MASK};
use splitmem_model::{Choice, Model, RawRequest};

const CONFIGS: [HwConfig; 2] = [HwConfig::LARGE, HwConfig::SMALL];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Monitor,
    Host,
}

const SIDES: [Side; 2] = [Side::Monitor, Side::Host];

impl Side {
    fn access(self, register: &Register) -> Access {
        match self {
            Side::Monitor => register.monitor,
            Side::Host => register.host,
        }
    }

    fn read(self, model: &mut Model, offset: u16) -> Result<u32, BusError> {
        match self {
            Side::Monitor => model.monitor().read(offset),
            Side::Host => model.host().read(offset),
        }
    }

    fn write(self, model: &mut Model, offset: u16, value: u32) -> Result<(), BusError> {
        match self {
            Side::Monitor => model.monitor().write(offset, value),
            Side::Host => model.host().write(offset, value),
        }
    }
}

/// The register at an offset, found the slow way.
fn register(offset: u16) -> Option<&'static Register> {
    regs::ALL.iter().find(|r| (0..r.count).any(|i| r.at(i) == offset))
}

/// All that either side can read without taking something out of a queue.
fn snapshot(model: &mut Model) -> Vec<(Side, u16, u32)> {
    let mut all = Vec::new();
    for side in SIDES {
        for r in regs::ALL.iter().filter(|r| {
            let access = side.access(r);
            access.reads() && access != Access::Pop
        }) {
            for i in 0..r.count {
                all.push((side, r.at(i), side.read(model, r.at(i)).unwrap()));
            }
        }
    }
    all
}

#[test]
fn each_side_may_do_what_the_map_says_and_no_more() {
    let mut model = Model::new(HwConfig::LARGE);
    for side in SIDES {
        for offset in 0..WINDOW_BYTES + 16 {
            let access = register(offset).map_or(Access::None, |r| side.access(r));
            let denied = BusError::Denied { offset };
            let read = side.read(&mut model, offset);
            assert_eq!(read.err(), (!access.reads()).then_some(denied), "{side:?} {offset:#x}");
            if access.writes() {
                // Zero starts nothing and rings nothing.
                assert_eq!(side.write(&mut model, offset, 0), Ok(()), "{side:?} {offset:#x}");
            } else {
                let before = snapshot(&mut model);
                assert_eq!(side.write(&mut model, offset, u32::MAX), Err(denied));
                assert_eq!(snapshot(&mut model), before, "{side:?} {offset:#x}");
            }
        }
    }
}

#[test]
fn reset_values_are_the_maps() {
    for config in CONFIGS {
        let mut model = Model::new(config);
        for r in regs::ALL {
            let Some(expected) = r.reset_value(&config) else { continue };
            for side in SIDES.into_iter().filter(|side| side.access(r).reads()) {
                for i in 0..r.count {
                    assert_eq!(side.read(&mut model, r.at(i)), Ok(expected), "{side:?} {}", r.name);
                }
            }
        }
    }
    // The volatile ones, here fixed: nothing has happened yet.
    let mut model = Model::new(HwConfig::LARGE);
    assert_eq!(read(&mut model, &regs::STATUS), 0b11);
    assert_eq!(read(&mut model, &regs::IRQ_STATUS), 0);
    assert_eq!(counter(&mut model, Counter::Cycles), 0);
}

#[test]
fn plain_registers_keep_their_fields_and_nothing_else() {
    let mut random = SmallRng::seed_from_u64(3);
    // Their writes do more than to be kept; see the tests below.
    let special = [regs::CONTROL.offset, regs::MB_DOORBELL.offset];
    let mut model = Model::new(HwConfig::SMALL);
    for _ in 0..20 {
        let mut expected = Vec::new();
        for r in regs::ALL.iter().filter(|r| !special.contains(&r.offset)) {
            for side in SIDES.into_iter().filter(|side| side.access(r) == Access::Rw) {
                for i in 0..r.count {
                    let value = random.random();
                    assert_eq!(side.write(&mut model, r.at(i), value), Ok(()));
                    expected.retain(|&(_, offset, _)| offset != r.at(i));
                    expected.push((r, r.at(i), value & r.mask()));
                }
            }
        }
        assert!(expected.len() > 80);
        for (r, offset, value) in expected {
            for side in SIDES.into_iter().filter(|side| side.access(r).reads()) {
                assert_eq!(side.read(&mut model, offset), Ok(value), "{side:?} {}", r.name);
            }
        }
    }
}

/// A component with one table frame, 4 frames of each size, the ports open.
fn ready(config: HwConfig) -> Model {
    let mut model = Model::new(config);
    push_frames(&mut model, 16, 4, PageSize::Small);
    push_frames(&mut model, 2048, 4, PageSize::Huge);
    write(&mut model, &regs::CONTROL, 1);
    model
}

fn counter(model: &mut Model, counter: Counter) -> u64 {
    let mut host = model.host();
    let low = host.read(counter.offset()).unwrap() as u64;
    low | (host.read(counter.offset() + 4).unwrap() as u64) << 32
}

fn irq(model: &mut Model) -> u32 {
    read(model, &regs::IRQ_STATUS)
}

#[test]
fn control_opens_the_ports() {
    let mut model = Model::new(HwConfig::SMALL);
    assert!(!model.accepts());
    write(&mut model, &regs::CONTROL, 1);
    assert!(model.accepts());
    assert_eq!(model.host().read(regs::CONTROL.offset), Ok(1));
    write(&mut model, &regs::CONTROL, 2);
    assert!(!model.accepts());
    assert_eq!(read(&mut model, &regs::CONTROL), 0, "CLEAR_STATS reads zero");
}

#[test]
fn frames_are_pushed_counted_and_popped() {
    let mut model = Model::new(HwConfig::SMALL);
    model.write_physical(16 << 12, &[7; 4096]);
    push_frames(&mut model, 16, 100, PageSize::Small);
    push_frames(&mut model, 1024 + 5, 6, PageSize::Huge); // within a 2 MiB frame: its first
    let status = read(&mut model, &regs::ZERO_STATUS);
    assert_eq!(field::ZERO_STATUS::ROOM.get(status), 2);
    assert_eq!(field::ZERO_STATUS::BUSY.get(status), 1);
    assert_eq!(field::ZERO_STATUS::OVERFLOW.get(status), 0);
    assert_eq!(field::STATUS::ZERO_BUSY.get(read(&mut model, &regs::STATUS)), 1);
    let counts = [&regs::FREE_4K, &regs::FREE_2M, &regs::PENDING_4K, &regs::PENDING_2M];
    assert_eq!(counts.map(|r| read(&mut model, r)), [64, 4, 100, 6]);

    assert_eq!(pop_frame(&mut model, PageSize::Small), Some(16));
    assert_eq!(pop_frame(&mut model, PageSize::Huge), Some(1024));
    assert_eq!(counts.map(|r| read(&mut model, r)), [64, 4, 99, 5]);
    let mut bytes = [1; 4096];
    model.read_physical(16 << 12, &mut bytes);
    assert_eq!(bytes, [0; 4096]);

    for frame in 17..116 {
        assert_eq!(pop_frame(&mut model, PageSize::Small), Some(frame));
    }
    assert_eq!(pop_frame(&mut model, PageSize::Small), None);
    assert_eq!(read(&mut model, &regs::FREE_4K_POP), 0);

    push_frames(&mut model, 16, 0, PageSize::Small);
    let status = read(&mut model, &regs::ZERO_STATUS);
    assert_eq!(field::ZERO_STATUS::OVERFLOW.get(status), 1);
    assert_eq!(field::ZERO_STATUS::ROOM.get(status), 3);
    let cleared = [Counter::Zeroed4k, Counter::Zeroed2m];
    assert_eq!(cleared.map(|c| counter(&mut model, c)), [0, 0], "SMALL has no statistics");
}

#[test]
fn low_thresholds_interrupt_while_they_hold() {
    let mut model = ready(HwConfig::SMALL);
    insert(&mut model, Pages { pid: 1, va: 0, count: 4 }, RW);
    write(&mut model, &regs::IRQ_STATUS, u32::MAX);
    let low = field::IRQ_STATUS::FREE_4K_LOW.mask();
    write(&mut model, &regs::FREE_4K_LOW, 4);
    assert_eq!(irq(&mut model), 0);
    model.request(0, &Request::write(0, 1, 0, FULL_MASK, [1; 64]));
    assert_eq!(irq(&mut model), low);
    write(&mut model, &regs::IRQ_STATUS, low);
    assert_eq!(irq(&mut model), low, "it still holds");
    push_frames(&mut model, 100, 1, PageSize::Small);
    write(&mut model, &regs::IRQ_STATUS, low);
    assert_eq!(irq(&mut model), 0);

    assert!(!model.irq_monitor());
    write(&mut model, &regs::FREE_2M_LOW, 5);
    assert_eq!(irq(&mut model), field::IRQ_STATUS::FREE_2M_LOW.mask());
    assert!(!model.irq_monitor(), "masked");
    write(&mut model, &regs::IRQ_MASK, field::IRQ_STATUS::FREE_2M_LOW.mask());
    assert!(model.irq_monitor());
}

#[test]
fn causes_are_set_by_what_they_stand_for() {
    let mut model = ready(HwConfig::SMALL);
    let mut cause = |what: &str, bits: &[regs::Field], act: &mut dyn FnMut(&mut Model)| {
        write(&mut model, &regs::IRQ_STATUS, u32::MAX);
        assert_eq!(irq(&mut model), 0, "before {what}");
        act(&mut model);
        let expected = bits.iter().fold(0, |mask, bit| mask | bit.mask());
        assert_eq!(irq(&mut model), expected, "{what}");
        for _ in 0..2 {
            write(&mut model, &regs::EVENT_POP, 0);
        }
    };
    use field::IRQ_STATUS::{DOORBELL, EVENT, NO_MEMORY, SD_DONE, TE_DONE, UNCORRECTABLE};
    cause("insert", &[TE_DONE], &mut |m| {
        insert(m, Pages { pid: 1, va: 0, count: 5 }, RW);
    });
    cause("an empty command", &[TE_DONE], &mut |m| {
        unmap(m, Pages { pid: 1, va: 0, count: 0 });
    });
    cause("an unknown command", &[TE_DONE], &mut |m| {
        assert_eq!(command(m, 7, page(1, 0), 0, 0).error, regs::TableError::BadCommand as u32);
    });
    cause("shootdown", &[SD_DONE], &mut |m| shoot_down(m, ShootdownCommand::All, page(0, 0)));
    cause("not mapped", &[EVENT], &mut |m| {
        m.request(0, &Request::read(0, 2, 0));
    });
    cause("no memory", &[EVENT, NO_MEMORY], &mut |m| {
        for n in 0..5 {
            m.request(0, &Request::write(0, 1, n << 12, 0, [0; 64]));
        }
    });
    cause("poisoned data", &[EVENT, UNCORRECTABLE], &mut |m| {
        m.poison(m.line_of(1, 0x1000).unwrap());
        m.request(0, &Request::read(0, 1, 0x1000));
    });
    cause("a poisoned bucket", &[TE_DONE, UNCORRECTABLE], &mut |m| {
        m.poison(m.bucket_line(3, 0));
        assert_eq!(query(m, page(3, 0)).error, regs::TableError::Poison as u32);
    });
    cause("doorbell", &[DOORBELL], &mut |m| m.host().write(regs::MB_DOORBELL.offset, 1).unwrap());
}

#[test]
fn the_event_log_keeps_the_oldest_and_counts_the_rest() {
    let mut model = ready(HwConfig::SMALL);
    let event = |model: &mut Model| {
        Event::decode(std::array::from_fn(|i| {
            model.monitor().read(regs::EVENT.at(i as u16)).unwrap()
        }))
    };
    assert_eq!(event(&mut model).map(|e| e.va), Some(0), "an empty log reads zero");
    let raw = RawRequest { op: 6, tag: 1, pid: 9, va: 0xfedc_ba98_7654, mask: 0, data: [0; 64] };
    model.request_as(1, &raw, Choice::Current);
    for n in 0..20 {
        model.request(0, &Request::read(0, n, 0x1000));
    }
    let status = read(&mut model, &regs::EVENT_STATUS);
    assert_eq!(field::EVENT_STATUS::COUNT.get(status), 16);
    assert_eq!(field::EVENT_STATUS::DROPPED.get(status), 5);
    let first = Event { status: Status::BadRequest, op: 6, port: 1, pid: 9, va: raw.va, cycle: 1 };
    assert_eq!(event(&mut model), Some(first));
    write(&mut model, &regs::EVENT_POP, 0);
    let second = Event { status: Status::NotMapped, op: 0, port: 0, pid: 0, va: 0x1000, cycle: 2 };
    assert_eq!(event(&mut model), Some(second));
    for _ in 0..16 {
        write(&mut model, &regs::EVENT_POP, 0);
    }
    assert_eq!(field::EVENT_STATUS::COUNT.get(read(&mut model, &regs::EVENT_STATUS)), 0);
    for n in 0..70_000 {
        model.request(0, &Request::read(n as u16, 1, 0x1000));
    }
    let status = read(&mut model, &regs::EVENT_STATUS);
    assert_eq!(field::EVENT_STATUS::DROPPED.get(status), 65_535);
}

#[test]
fn the_doorbell_hands_the_mailbox_over_and_back() {
    let mut model = Model::new(HwConfig::SMALL);
    write(&mut model, &regs::IRQ_MASK, field::IRQ_STATUS::DOORBELL.mask());
    let mut host = model.host();
    host.write(regs::HOST_IRQ_MASK.offset, 1).unwrap();
    host.write(regs::MB_COMMAND.offset, 0x0004_0010).unwrap();
    host.write(regs::MB_PAYLOAD.at(63), 77).unwrap();
    host.write(regs::MB_DOORBELL.offset, 0).unwrap();
    assert_eq!(host.read(regs::MB_DOORBELL.offset), Ok(0));
    host.write(regs::MB_DOORBELL.offset, 1).unwrap();
    assert_eq!(host.read(regs::MB_DOORBELL.offset), Ok(1));
    for offset in [regs::MB_COMMAND.offset, regs::MB_PAYLOAD.at(63)] {
        assert_eq!(host.write(offset, 1), Err(BusError::Denied { offset }));
    }
    assert!(model.irq_monitor() && !model.irq_host());

    write(&mut model, &regs::IRQ_STATUS, field::IRQ_STATUS::DOORBELL.mask());
    assert!(!model.irq_monitor());
    model.host().write(regs::MB_DOORBELL.offset, 1).unwrap();
    assert!(!model.irq_monitor(), "it rang already");
    assert_eq!(read(&mut model, &regs::MB_COMMAND), 0x0004_0010);
    assert_eq!(model.monitor().read(regs::MB_PAYLOAD.at(63)), Ok(77));
    model.monitor().write(regs::MB_PAYLOAD.at(63), 78).unwrap();
    write(&mut model, &regs::MB_STATUS, 5);
    write(&mut model, &regs::MB_DOORBELL, 0);
    assert_eq!(read(&mut model, &regs::MB_DOORBELL), 1);
    write(&mut model, &regs::MB_DOORBELL, 1);
    assert!(model.irq_host());
    let mut host = model.host();
    assert_eq!(host.read(regs::MB_DOORBELL.offset), Ok(0));
    assert_eq!(host.read(regs::MB_STATUS.offset), Ok(5));
    assert_eq!(host.read(regs::MB_PAYLOAD.at(63)), Ok(78));
    assert_eq!(host.read(regs::HOST_IRQ_STATUS.offset), Ok(1));
    host.write(regs::HOST_IRQ_STATUS.offset, 1).unwrap();
    assert!(!model.irq_host());
    write(&mut model, &regs::MB_DOORBELL, 1);
    assert!(!model.irq_host(), "there was nothing to answer");
}

#[test]
fn counters_count_what_they_are_named_for() {
    let mut model = ready(HwConfig::LARGE);
    insert(&mut model, Pages { pid: 1, va: 0, count: 6 }, RW);
    insert(&mut model, page(1, 1 << 47), RW);
    insert(&mut model, page(2, 0), R);
    write(&mut model, &regs::CONTROL, 3);
    let requests = [
        Request::read(0, 1, 0),                           // zeros
        Request::write(0, 1, 0, FULL_MASK, [1; 64]),      // takes a frame
        Request::write(0, 1, 1 << 47, 1, [1; 64]),        // takes a 2 MiB frame
        Request::read(0, 1, 0),                           //
        Request::fetch_add(0, 1, 8, 1),                   //
        Request::compare_swap(0, 1, 8, 0, 1),             // does not match
        Request::read(0, 9, 0),                           // not mapped
        Request::write(0, 2, 0, 0, [0; 64]),              // no permission
        Request::read(0, 1, 4),                           // bad
        Request::write(0, 1, 0x1000, FULL_MASK, [1; 64]), // frames run out:
        Request::write(0, 1, 0x2000, FULL_MASK, [1; 64]),
        Request::write(0, 1, 0x3000, FULL_MASK, [1; 64]),
        Request::write(0, 1, 0x4000, FULL_MASK, [1; 64]),
    ];
    for request in &requests {
        model.request(0, request);
    }
    model.poison(model.line_of(1, 0x1000).unwrap());
    model.request(0, &Request::fetch_add(0, 1, 0x1000, 1));
    shoot_down(&mut model, ShootdownCommand::Pid, page(1, 0));
    let expected = [
        (Counter::Cycles, 14),
        (Counter::Reads, 4),
        (Counter::Writes, 7),
        (Counter::Atomics, 3),
        (Counter::Ok, 9),
        (Counter::NotMapped, 1),
        (Counter::NoPermission, 1),
        (Counter::NoMemory, 1),
        (Counter::BadRequest, 1),
        (Counter::Uncorrectable, 1),
        (Counter::TlbHits, 0),
        (Counter::TlbMisses, 13),
        (Counter::Walks, 13),
        (Counter::WalkMerges, 0),
        (Counter::WalksPeak, 1),
        (Counter::Faults4k, 4),
        (Counter::Faults2m, 1),
        (Counter::ZeroReads, 1),
        (Counter::Zeroed4k, 0),
        (Counter::Zeroed2m, 0),
        (Counter::LineWaits, 0),
        (Counter::DramReads, 13 + 4),
        (Counter::DramWrites, 5 + 5 + 1),
        (Counter::PortStalls, 0),
        (Counter::Shootdowns, 1),
    ];
    assert_eq!(expected.len(), Counter::ALL.len());
    for (which, value) in expected {
        assert_eq!(counter(&mut model, which), value, "{which:?}");
    }
    assert_eq!(model.requests(), 14);
    push_frames(&mut model, 100, 2, PageSize::Small);
    assert_eq!(counter(&mut model, Counter::Zeroed4k), 2);

    let histogram = |model: &mut Model, op: Op| -> u32 {
        let first = op as u16 * regs::HISTOGRAM_BINS as u16;
        (0..16).map(|bin| model.host().read(regs::HISTOGRAM.at(first + bin)).unwrap()).sum()
    };
    let counts = Op::ALL.map(|op| histogram(&mut model, op));
    assert_eq!(counts, [4, 7, 2, 1]);

    write(&mut model, &regs::CONTROL, 3);
    assert_eq!(counter(&mut model, Counter::Reads), 0);
    assert_eq!(histogram(&mut model, Op::Read), 0);
}

#[test]
fn without_statistics_their_registers_read_zero() {
    let mut model = ready(HwConfig::SMALL);
    model.request(0, &Request::read(0, 1, 0));
    assert_eq!(counter(&mut model, Counter::Reads), 0);
    for r in [&regs::COUNTERS, &regs::HISTOGRAM] {
        for i in 0..r.count {
            assert_eq!(model.monitor().read(r.at(i)), Ok(0));
        }
    }
}
