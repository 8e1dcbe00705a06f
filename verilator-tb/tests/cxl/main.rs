//! The CXL.mem device at the component, both Verilated, in lockstep with the golden model: random
//! messages, addresses, windows and decoders under random stalls; then what random messages seldom
//! meet.

mod golden;
mod link;
mod mailbox;

use std::collections::{HashMap, HashSet};

use golden::{Due, Golden, Range};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::cxl::{self, decoder, Event, Window, WordBus, POISON_ENTRIES, WINDOW_SHIFT};
use splitmem_abi::regs::{self, field, TableCommand};
use splitmem_cxl_host::message::{Message, Req, ReqOpcode, Rwd};
use splitmem_model::Model;
use verilator_tb::cxl::{CxlComponent, CxlFront, CxlStalls};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::{Component, Hw, Side, Stalls};

const FRAMES: u32 = 2048;
/// Pages of a process, from page 16 of its space on.
const PAGES: u32 = 24;
const FIRST_VA: u64 = 16 << 12;
const SLOT: u64 = 1 << WINDOW_SHIFT;

type Dut = CxlComponent<Component<IdealMemory>>;

/// Tables, frames and rights: the same on the hardware and on the model. The first process may do
/// all, the second only read.
fn set_up(bus: &mut impl RegisterBus) {
    let mut write = |register: &regs::Register, value| {
        bus.write(register.offset, value).unwrap();
    };
    write(&regs::TABLE_SIZE, 8);
    write(&regs::ZERO_BASE, 64);
    write(&regs::ZERO_PUSH, 512);
    for (pid, write_bit) in [(1, 1), (2, 0)] {
        let flags = field::TE_FLAGS::READ.put(1) | field::TE_FLAGS::WRITE.put(write_bit);
        for (register, value) in [
            (&regs::TE_PID, pid),
            (&regs::TE_VA_LO, FIRST_VA as u32),
            (&regs::TE_VA_HI, 0),
            (&regs::TE_COUNT, PAGES),
            (&regs::TE_FLAGS, flags),
            (&regs::TE_COMMAND, TableCommand::Insert as u32),
        ] {
            bus.write(register.offset, value).unwrap();
        }
        while bus.read(regs::TE_STATUS.offset).unwrap() != 0 {}
    }
    while bus.read(regs::FREE_4K.offset).unwrap() < 32 {}
    bus.write(regs::CONTROL.offset, field::CONTROL::ENABLE.put(1)).unwrap();
}

fn pair() -> (Dut, Golden) {
    let memory = IdealMemory::new(LineStore::new(u64::from(FRAMES) << 6, Fill::Zero), 10);
    let mut component = Component::new(Hw::Small, memory).unwrap();
    set_up(&mut component.bus(Side::Monitor));
    let mut model = Model::new(Hw::Small.config());
    set_up(&mut model.monitor());
    (CxlComponent::new(component, CxlFront::new().unwrap()), Golden::new(model))
}

/// Programs the decoders as a driver does, last one first when they are taken back.
fn program(dut: &mut Dut, golden: &mut Golden, ranges: Vec<Range>, poison: bool) {
    let mut host = dut.words(Side::Host);
    for n in (0..cxl::HDM_DECODERS).rev() {
        host.write_word(cxl::hdm_decoder(n) + decoder::CONTROL, 0).unwrap();
    }
    for (n, range) in (0..).zip(&ranges) {
        let at = cxl::hdm_decoder(n);
        for (low, high, value) in [
            (decoder::BASE_LOW, decoder::BASE_HIGH, range.base),
            (decoder::SIZE_LOW, decoder::SIZE_HIGH, range.size),
            (decoder::SKIP_LOW, decoder::SKIP_HIGH, range.skip),
        ] {
            host.write_word(at + low, value as u32).unwrap();
            host.write_word(at + high, (value >> 32) as u32).unwrap();
        }
        let control = range.granularity | range.ways << 4 | decoder::COMMIT;
        host.write_word(at + decoder::CONTROL, control).unwrap();
        let control = host.read_word(at + decoder::CONTROL).unwrap();
        let state = control & (decoder::COMMITTED | decoder::ERROR);
        assert_eq!(state, decoder::COMMITTED, "{range:x?}: {control:#x}");
    }
    host.write_word(cxl::HDM_CONTROL, 2 | u32::from(poison)).unwrap();
    (golden.ranges, golden.poison_on_decode) = (ranges, poison);
}

fn show(dut: &mut Dut, golden: &mut Golden, slot: usize, window: Option<Window>) {
    let none = Window { pid: 0, va: 0, bytes: 0, read: false, write: false };
    dut.show(slot as u32, &window.unwrap_or(none)).unwrap();
    golden.windows[slot] = window;
}

/// Sends messages and compares their answers; no two of them in flight go to one line.
struct Checker {
    dut: Dut,
    golden: Golden,
    due: HashMap<u16, (Due, u8)>,
    /// Lines with a message in flight: of a process, and of device addresses.
    busy: HashMap<u16, [u64; 2]>,
    taken: HashSet<u64>,
    tag: u16,
    answered: u64,
}

impl Checker {
    fn new((dut, golden): (Dut, Golden)) -> Self {
        let (due, busy, taken) = Default::default();
        Self { dut, golden, due, busy, taken, tag: 0, answered: 0 }
    }

    /// Lines that a message touches, named so that they cannot be taken for one another.
    fn lines(&self, hpa: u64) -> [u64; 2] {
        let Some(dpa) = self.golden.dpa(hpa) else { return [hpa | 1, hpa | 2] };
        match self.golden.target(dpa) {
            Some((window, va)) => [(u64::from(window.pid) << 48 | va) | 3, dpa | 4],
            None => [dpa | 4, dpa | 4],
        }
    }

    /// Sends a message, unless one to the same line is in flight.
    fn send(&mut self, hpa: u64, make: impl FnOnce(u16) -> Message) -> bool {
        let lines = self.lines(hpa);
        if lines.iter().any(|line| self.taken.contains(line)) || self.due.contains_key(&self.tag) {
            return false;
        }
        let message = make(self.tag);
        let ld_id = match &message {
            Message::Req(req) => req.ld_id,
            Message::Rwd(rwd) => rwd.ld_id,
            _ => 0,
        };
        if let Some(due) = self.golden.answer(&message) {
            self.due.insert(self.tag, (due, ld_id));
            self.busy.insert(self.tag, lines);
            self.taken.extend(lines);
        }
        self.dut.front().send(&message);
        self.tag = self.tag.wrapping_add(0x1235);
        true
    }

    fn tick(&mut self) {
        self.dut.tick();
        while let Some(taken) = self.dut.front().receive() {
            let (tag, ld_id, got) = match taken.message {
                Message::Ndr(ndr) => (ndr.tag, ndr.ld_id, Due::Cmp),
                Message::Drs(drs) => {
                    (drs.tag, drs.ld_id, Due::Data { poison: drs.poison, data: drs.data })
                }
                other => panic!("{other:?}"),
            };
            let due = self.due.remove(&tag);
            assert_eq!(due, Some((got, ld_id)), "tag {tag:#x}, cycle {}", taken.cycle);
            for line in self.busy.remove(&tag).unwrap() {
                self.taken.remove(&line);
            }
            self.answered += 1;
        }
    }

    fn drain(&mut self) {
        for _ in 0..100_000 {
            if self.due.is_empty() && self.dut.front().is_idle() {
                return;
            }
            self.tick();
        }
        panic!("{} answers are missing: {:x?}", self.due.len(), self.due.keys());
    }

    /// Empties the event log; every event was due, and those lost are counted.
    fn events(&mut self) {
        let mut monitor = self.dut.words(Side::Monitor);
        loop {
            let count = monitor.read_word(cxl::EVENT_COUNT).unwrap();
            if count & 0xff == 0 {
                let lost = (count >> 8) as usize;
                assert!(self.golden.events.len() <= lost, "{:x?}", self.golden.events);
                self.golden.events.clear();
                return;
            }
            let mut words = [0; 3];
            for (i, word) in (0..).zip(&mut words) {
                *word = monitor.read_word(cxl::EVENT + 4 * i).unwrap();
            }
            monitor.write_word(cxl::EVENT_POP, 0).unwrap();
            let event = Event::decode(words).unwrap_or_else(|| panic!("no event: {words:x?}"));
            assert_eq!(self.golden.events.remove(&event.tag), Some(event));
        }
    }
}

#[test]
fn random_messages_are_answered_as_the_golden_model_says() {
    let seed = 7;
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut check = Checker::new(pair());
    for round in 0..24 {
        check.drain();
        check.events();
        let chance = [0.0, 0.2, 0.6][round % 3];
        check.dut.inner().stall(round as u64, Stalls::all(chance));
        let stalls = CxlStalls { message: chance, answer: [0.0, 0.5, 0.2][round / 3 % 3] };
        check.dut.front().stall(round as u64, stalls);
        // Decoders: one or two ranges, interleaved or not.
        let mut end = 0;
        let ranges: Vec<Range> = (0..rng.random_range(1..=2))
            .map(|_| {
                let (ways, granularity) = (rng.random_range(0..=4), rng.random_range(0..=6));
                let base = end + SLOT * rng.random_range(0..3);
                let size = (SLOT * rng.random_range(1..=3)) << ways;
                end = base + size;
                let skip = SLOT * rng.random_range(0..=1);
                // The interleaving of ranges whose device addresses do not begin at zero too.
                Range { base, size, ways, granularity, skip }
            })
            .collect();
        let poison = rng.random();
        program(&mut check.dut, &mut check.golden, ranges.clone(), poison);
        // What was poisoned may not be within reach any more.
        let mut monitor = check.dut.words(Side::Monitor);
        for entry in 0..POISON_ENTRIES as u32 {
            monitor.write_word(cxl::POISON_INDEX, entry).unwrap();
            monitor.write_word(cxl::POISON_CHANGE, 2).unwrap();
        }
        check.golden.poisoned.clear();
        for slot in 0..8 {
            let window = rng.random_bool(0.8).then(|| Window {
                pid: *[1, 1, 2, 3].choose(&mut rng).unwrap(),
                va: FIRST_VA + (rng.random_range(0..4) << 12),
                bytes: rng.random_range(1..30) << 12,
                read: rng.random_bool(0.9),
                write: rng.random_bool(0.9),
            });
            show(&mut check.dut, &mut check.golden, slot, window);
        }
        // Where poison was written: aimed at again, or too few requests would meet it.
        let mut damaged = Vec::new();
        for _ in 0..1500 {
            for _ in 0..rng.random_range(0..4) {
                if check.due.len() >= 200 {
                    break;
                }
                let range = ranges.choose(&mut rng).unwrap();
                // A device address where windows are, and what the host calls it.
                let slot = rng.random_range(0..range.size >> range.ways >> WINDOW_SHIFT) * SLOT;
                let offset =
                    slot | rng.random_range(0..32u64) << 12 | rng.random_range(0..8u64) << 6;
                let granule = range.granularity + 8;
                let (high, low) = (offset >> granule, offset & ((1 << granule) - 1));
                let position = rng.random_range(0..1u64 << range.ways);
                let hpa = match rng.random_range(0..20) {
                    0 => rng.random_range(0..1u64 << 52) & !63,
                    1 if !damaged.is_empty() => *damaged.choose(&mut rng).unwrap(),
                    _ => range.base + ((high << range.ways | position) << granule | low),
                };
                let ld_id = rng.random_range(0..16);
                let few = check.golden.poisoned.len() < POISON_ENTRIES / 2;
                match rng.random_range(0..10) {
                    0..4 => check.send(hpa, |tag| {
                        let opcode = *ReqOpcode::ALL.choose(&mut rng).unwrap();
                        let address = hpa | (32 * u64::from(tag & 1));
                        Message::Req(Req { ld_id, ..Req::new(opcode, tag, address) })
                    }),
                    kind => {
                        let poison = few && rng.random_bool(0.3);
                        if poison {
                            damaged.push(hpa);
                        }
                        check.send(hpa, |tag| {
                            let data = std::array::from_fn(|_| rng.random());
                            let rwd = match kind {
                                4..7 => Rwd::write(tag, hpa, data),
                                _ => Rwd::write_bytes(tag, hpa, data, rng.random()),
                            };
                            Message::Rwd(Rwd { ld_id, poison, ..rwd })
                        })
                    }
                };
            }
            check.tick();
        }
    }
    check.drain();
    check.events();
    println!("{} answers; denied: {:?}", check.answered, check.golden.denials);
    assert!(check.answered > 20_000);
    for way in
        ["not decoded", "no window", "window permission", "poisoned", "not mapped", "no permission"]
    {
        assert!(check.golden.denials.get(way).is_some_and(|n| *n > 20), "{way} was not met");
    }
}

/// One range from zero on, one window on the first process.
fn plain() -> Checker {
    let mut check = Checker::new(pair());
    let range = Range { base: SLOT, size: 2 * SLOT, ways: 0, granularity: 0, skip: 0 };
    program(&mut check.dut, &mut check.golden, vec![range], true);
    let window =
        Window { pid: 1, va: FIRST_VA, bytes: u64::from(PAGES) << 12, read: true, write: true };
    show(&mut check.dut, &mut check.golden, 0, Some(window));
    check
}

#[test]
fn too_much_poison_spoils_every_read_until_it_is_forgotten() {
    let mut check = plain();
    for i in 0..=POISON_ENTRIES as u64 {
        let hpa = SLOT + (i << 6);
        let poisoned = |tag| Message::Rwd(Rwd { poison: true, ..Rwd::write(tag, hpa, [1; 64]) });
        assert!(check.send(hpa, poisoned));
        check.drain();
    }
    assert!(check.golden.overflow);
    let status = check.dut.words(Side::Monitor).read_word(cxl::STATUS).unwrap();
    assert_eq!(status & cxl::status::OVERFLOW, cxl::status::OVERFLOW);
    let unspoilt = SLOT + (40 << 6);
    assert!(check.send(unspoilt, |tag| Message::Req(Req::read(tag, unspoilt))));
    check.drain();
    // The monitor reads the list, takes a line off, puts another one on, and forgets the overflow.
    let mut monitor = check.dut.words(Side::Monitor);
    assert_eq!(monitor.read_word(cxl::POISON_USED).unwrap(), 0xffff);
    monitor.write_word(cxl::POISON_INDEX, 3).unwrap();
    let line = u64::from(monitor.read_word(cxl::POISON_LINE_LOW).unwrap())
        | u64::from(monitor.read_word(cxl::POISON_LINE_HIGH).unwrap()) << 32;
    assert!(check.golden.poisoned.remove(&line), "{line:#x}");
    monitor.write_word(cxl::POISON_CHANGE, 2).unwrap();
    assert_eq!(monitor.read_word(cxl::POISON_USED).unwrap(), 0xfff7);
    monitor.write_word(cxl::POISON_LINE_LOW, 60).unwrap();
    monitor.write_word(cxl::POISON_LINE_HIGH, 0).unwrap();
    monitor.write_word(cxl::POISON_CHANGE, 1).unwrap();
    monitor.write_word(cxl::POISON_CHANGE, 4).unwrap();
    assert_eq!(monitor.read_word(cxl::STATUS).unwrap() & cxl::status::OVERFLOW, 0);
    check.golden.poisoned.insert(60);
    check.golden.overflow = false;
    for line in [0, 3, 16, 40, 60, 61] {
        let hpa = SLOT + (line << 6);
        assert!(check.send(hpa, |tag| Message::Req(Req::read(tag, hpa))));
        check.drain();
    }
    check.events();
}

#[test]
fn reserved_opcodes_are_dropped_and_told() {
    let mut check = plain();
    for opcode in [3, 4, 10, 15] {
        check.dut.front().send_reserved(opcode, 1, false);
        check.dut.front().send_reserved(opcode, 2, true);
    }
    assert!(check.send(SLOT, |tag| Message::Req(Req::read(tag, SLOT))));
    check.drain();
    let mut host = check.dut.words(Side::Host);
    assert_eq!(host.read_word(cxl::RAS).unwrap(), 1 << 9);
    host.write_word(cxl::RAS, 1 << 9).unwrap();
    assert_eq!(host.read_word(cxl::RAS).unwrap(), 0);
}

#[test]
fn decoders_commit_lock_and_refuse() {
    let (mut dut, _) = pair();
    let mut host = dut.words(Side::Host);
    let mut commit = |n: u32, base: u64, size: u64, control: u32| {
        let at = cxl::hdm_decoder(n);
        host.write_word(at + decoder::CONTROL, 0).unwrap();
        for (low, high, value) in [
            (decoder::BASE_LOW, decoder::BASE_HIGH, base),
            (decoder::SIZE_LOW, decoder::SIZE_HIGH, size),
        ] {
            host.write_word(at + low, value as u32).unwrap();
            host.write_word(at + high, (value >> 32) as u32).unwrap();
        }
        host.write_word(at + decoder::CONTROL, control | decoder::COMMIT).unwrap();
        let now = host.read_word(at + decoder::CONTROL).unwrap();
        assert_ne!(now & decoder::HOST_ONLY, 0);
        let ends = now & (decoder::COMMITTED | decoder::ERROR);
        assert!(ends == decoder::COMMITTED || ends == decoder::ERROR, "{now:#x}");
        ends == decoder::COMMITTED
    };
    assert!(!commit(1, 4 * SLOT, SLOT, 0), "before decoder 0");
    assert!(!commit(0, SLOT, SLOT, 7), "a granularity of 32 KiB");
    assert!(!commit(0, SLOT, SLOT, 8 << 4), "three ways");
    assert!(!commit(0, (1 << 52) - SLOT, 2 * SLOT, 0), "beyond 2^52");
    assert!(commit(0, (1 << 52) - SLOT, SLOT, 0), "up to 2^52");
    assert!(commit(0, SLOT, 2 * SLOT, decoder::LOCK));
    assert!(!commit(1, 2 * SLOT, SLOT, 0), "overlaps decoder 0");
    assert!(commit(1, 3 * SLOT, 0, 0), "nothing is a range");
    // Locked: nothing changes any more.
    let at = cxl::hdm_decoder(0);
    let before = host.read_word(at + decoder::CONTROL).unwrap();
    host.write_word(at + decoder::CONTROL, 0).unwrap();
    host.write_word(at + decoder::BASE_LOW, 0).unwrap();
    assert_eq!(host.read_word(at + decoder::CONTROL).unwrap(), before);
    assert_eq!(host.read_word(at + decoder::BASE_LOW).unwrap(), SLOT as u32);
}

#[test]
fn the_host_finds_its_capabilities_and_not_the_monitors_registers() {
    let (mut dut, _) = pair();
    let mut host = dut.words(Side::Host);
    let mut read = |offset| host.read_word(offset).unwrap();
    // As Linux's cxl_probe_component_regs walks them.
    let header = read(cxl::CACHEMEM);
    assert_eq!(header & 0xffff, 1);
    let found: HashMap<u32, u32> = (1..=header >> 24)
        .map(|n| read(cxl::CACHEMEM + 4 * n))
        .map(|cap| (cap & 0xffff, cxl::CACHEMEM + (cap >> 20)))
        .collect();
    assert_eq!(found, HashMap::from([(2, cxl::RAS), (4, cxl::LINK), (5, cxl::HDM)]));
    assert_eq!(read(cxl::HDM) & 0xf, 1, "two decoders");
    // As cxl_probe_device_regs does.
    let count = read(cxl::DEVICE + 4) & 0xffff;
    let found: HashMap<u32, u32> = (1..=count)
        .map(|n| cxl::DEVICE + 0x10 * n)
        .map(|at| (read(at) & 0xffff, cxl::DEVICE + read(at + 4)))
        .collect();
    let wanted = [(1, cxl::EVENT_STATUS), (2, cxl::MAILBOX), (0x4000, cxl::MEMDEV_STATUS)];
    assert_eq!(found, HashMap::from(wanted));
    assert_eq!(read(cxl::MAILBOX) & 0x1f, cxl::PAYLOAD_SHIFT);
    // The mailbox: the host's until its doorbell, then the monitor's.
    host.write_word(cxl::MAILBOX_COMMAND, 0x4000).unwrap();
    host.write_word(cxl::MAILBOX_PAYLOAD + 8, 0x1234).unwrap();
    host.write_word(cxl::MAILBOX_CONTROL, 1).unwrap();
    host.write_word(cxl::MAILBOX_COMMAND, 0x5000).unwrap();
    host.write_word(cxl::MAILBOX_PAYLOAD + 8, 0x5678).unwrap();
    host.write_word(cxl::MAILBOX_STATUS, 7).unwrap();
    host.write_word(cxl::MEMDEV_STATUS, 7).unwrap();
    host.write_word(cxl::MAILBOX_CONTROL, 0).unwrap();
    let mut monitor = dut.words(Side::Monitor);
    assert_eq!(monitor.read_word(cxl::STATUS).unwrap(), cxl::status::DOORBELL);
    assert_eq!(monitor.read_word(cxl::MAILBOX_COMMAND).unwrap(), 0x4000);
    assert_eq!(monitor.read_word(cxl::MAILBOX_PAYLOAD + 8).unwrap(), 0x1234);
    assert_eq!(monitor.read_word(cxl::MEMDEV_STATUS).unwrap(), 0);
    monitor.write_word(cxl::MAILBOX_PAYLOAD + 8, 0x9abc).unwrap();
    monitor.write_word(cxl::MAILBOX_STATUS + 4, 3).unwrap();
    monitor.write_word(cxl::MAILBOX_CONTROL, 0).unwrap();
    assert_eq!(monitor.read_word(cxl::STATUS).unwrap(), 0);
    let mut host = dut.words(Side::Host);
    assert_eq!(host.read_word(cxl::MAILBOX_CONTROL).unwrap(), 0);
    assert_eq!(host.read_word(cxl::MAILBOX_STATUS + 4).unwrap(), 3);
    assert_eq!(host.read_word(cxl::MAILBOX_STATUS).unwrap(), 0);
    assert_eq!(host.read_word(cxl::MAILBOX_PAYLOAD + 8).unwrap(), 0x9abc);
}
