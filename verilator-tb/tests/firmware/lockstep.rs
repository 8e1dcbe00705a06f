//! Commands and requests at once, hardware and its monitor against the golden model and one of its
//! own: the monitor on the core, and in the host.
//!
//! Requests of both ports go on, with stalls and a memory that answers in any order, while commands
//! stand in the mailbox. The component's tap tells in which order requests take effect, and the model
//! executes them in that order; a command takes effect in the model when the monitor has answered it.
//! Pages that a command takes away or changes get no requests from before it until its answer: what
//! those would find is the register-level lockstep's business (`verilator_tb::lockstep`).

use super::bench::FRAMES;
use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Info, Payload, Permission, Range, ReturnCode};
use splitmem_abi::regs::field::{MB_COMMAND, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};
use splitmem_abi::request::{Op, Response, Status, FULL_MASK};
use splitmem_model::{Choice, Model};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use verilator_tb::dram::{Fill, LineStore};
use verilator_tb::lockstep::{ChaosMemory, Latency};
use verilator_tb::{
    BusAccess, Component, Hw, Machine, MonitorOptions, MonitorPlace, RawRequest, Side, Stalls,
};

/// What both monitors can remember.
const RECORDS: usize = 1024;
const SHARES: usize = 2048;
/// Cycles that a command may take.
const PATIENCE: u64 = 30_000_000;
/// Requests that wait at a port.
const QUEUE: usize = 2;

/// The model's registers, for the monitor beside it.
struct Bus(Rc<RefCell<Model>>);

impl RegisterBus for Bus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.borrow_mut().monitor().read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.borrow_mut().monitor().write(offset, value)
    }
}

/// What a case went through.
#[derive(Debug, Default)]
pub struct Counts {
    pub commands: u32,
    /// Commands by their return code.
    pub codes: HashMap<u32, u32>,
    pub requests: u32,
    pub by_status: HashMap<u8, u32>,
    /// First writes that found the list empty for the moment.
    pub late: u32,
    /// Requests answered while a command was under way.
    pub beside: u32,
}

/// Where the command under way is.
#[allow(clippy::large_enum_variant)] // There is one of them.
enum Stage {
    Resting(u64),
    /// Its pages still have requests in flight.
    Settling(Command),
    /// These accesses of the host are still to be made.
    Writing(Command, VecDeque<BusAccess>),
    Waiting(Command, u64),
    Reading(Command, Payload, Vec<BusAccess>, Vec<u32>),
}

struct Lockstep {
    dut: Machine<ChaosMemory>,
    model: Rc<RefCell<Model>>,
    monitor: Monitor<'static, Bus, Spin>,
    rng: SmallRng,
    ranges: Vec<Range>,
    stage: Stage,
    on_bus: bool,
    /// Requests without an answer, by port and tag, and what the model says when they took effect.
    flights: HashMap<(u8, u16), (RawRequest, Option<Response>)>,
    next_tag: u16,
    counts: Counts,
}

/// Runs commands beside requests; fails on the first thing that hardware and model disagree on.
pub fn run(place: MonitorPlace, seed: u64, commands: u32) -> Counts {
    let mut lockstep = Lockstep::new(place, seed);
    while lockstep.counts.commands < commands || !matches!(lockstep.stage, Stage::Resting(_)) {
        lockstep.step();
    }
    lockstep.counts
}

impl Lockstep {
    fn new(place: MonitorPlace, seed: u64) -> Self {
        let hw = Hw::Small;
        let store = LineStore::new(u64::from(FRAMES) << 6, Fill::Noise(seed));
        let latency = Latency { min: 2, max: 40, outlier_in: 50 };
        let component = Component::new(hw, ChaosMemory::new(store, latency, seed)).unwrap();
        let mut options =
            MonitorOptions { place, records: RECORDS, shares: SHARES, ..MonitorOptions::default() };
        options.config.frames = Some(FRAMES);
        let dut = Machine::boot(component, options).unwrap();

        let model = Rc::new(RefCell::new(Model::new(hw.config())));
        let config = MonitorConfig { frames: Some(FRAMES), ..MonitorConfig::default() };
        let mut bus = Bus(model.clone());
        let layout = config.layout(bus.read(regs::HW_MEMORY.offset).unwrap()).unwrap();
        let tables = MonitorTables {
            frames: vec![0; layout.frame_words()].leak(),
            buckets: vec![0; layout.bucket_words()].leak(),
            records: vec![Record::EMPTY; RECORDS].leak(),
            shares: vec![SharedFrame::EMPTY; SHARES].leak(),
            journal: &mut [],
        };
        let monitor = Monitor::boot(bus, Spin, tables, &config).unwrap();
        Self {
            dut,
            model,
            monitor,
            rng: SmallRng::seed_from_u64(seed),
            ranges: Vec::new(),
            stage: Stage::Resting(0),
            on_bus: false,
            flights: HashMap::new(),
            next_tag: 0,
            counts: Counts::default(),
        }
    }

    fn step(&mut self) {
        if self.rng.random_ratio(1, 5000) {
            let stalls = [Stalls::NONE, Stalls::all(0.1), Stalls::all(0.5)];
            let stalls = stalls[self.rng.random_range(0..stalls.len())];
            let seed = self.rng.random();
            self.dut.component_mut().stall(seed, stalls);
        }
        self.command();
        self.send();
        self.dut.tick();
        let component = self.dut.component_mut();
        assert_eq!(component.fault(), None);
        assert_eq!(component.memory().violation(), None);
        if let Some(retired) = component.seen().retired {
            self.retired(retired.port, retired.tag, retired.status);
        }
        for port in 0..2 {
            while let Some(answer) = self.dut.port(port).receive() {
                let key = (port as u8, answer.response.tag);
                let (request, expected) = self.flights.remove(&key).expect("it was sent");
                let expected = expected.expect("it took effect before it was answered");
                assert_eq!(answer.response, expected, "{request:x?}, cycle {}", self.dut.cycle());
                self.counts.requests += 1;
                let beside = matches!(self.stage, Stage::Waiting(..));
                self.counts.beside += u32::from(beside);
            }
        }
    }

    /// A request took effect in the hardware: now it does in the model.
    fn retired(&mut self, port: u8, tag: u16, status: u8) {
        let (request, expected) = self.flights.get_mut(&(port, tag)).expect("it was sent");
        *self.counts.by_status.entry(status).or_default() += 1;
        if status == Status::NoMemory as u8 {
            // The monitor's refill came too late; it changed nothing, in the model neither.
            self.counts.late += 1;
            let tag = request.tag;
            *expected = Some(Response { tag, status: Status::NoMemory, data: [0; 64] });
            return;
        }
        let raw = splitmem_model::RawRequest {
            op: request.op,
            tag: request.tag,
            pid: request.pid,
            va: request.va,
            mask: request.mask,
            data: request.data,
        };
        *expected = Some(self.model.borrow_mut().request_as(port, &raw, Choice::Current));
        while self.model.borrow().irq_monitor() {
            self.monitor.poll().unwrap();
        }
    }

    /// Whether a command takes this page away or changes it.
    fn concerns(command: &Command, pid: u16, va: u64) -> bool {
        match *command {
            Command::Free(range) | Command::Protect(range, _) => {
                let bytes = u64::from(range.pages) * PageSize::of(range.va).bytes();
                pid == range.pid && (range.va..range.va + bytes).contains(&va)
            }
            Command::Drop { pid: of } => pid == of,
            _ => false,
        }
    }

    fn is_frozen(&self, pid: u16, va: u64) -> bool {
        match &self.stage {
            Stage::Resting(_) => false,
            Stage::Settling(command)
            | Stage::Writing(command, _)
            | Stage::Waiting(command, _)
            | Stage::Reading(command, ..) => Self::concerns(command, pid, va),
        }
    }

    fn send(&mut self) {
        for port in 0..2 {
            if self.dut.port(port).queued() >= QUEUE {
                continue;
            }
            let (pid, va) = if self.ranges.is_empty() || self.rng.random_ratio(1, 50) {
                // Never anybody's.
                (500 + self.rng.random_range(0..4), self.rng.random_range(0..1u64 << 35) << 6)
            } else {
                let range = self.ranges[self.rng.random_range(0..self.ranges.len())];
                let bytes = u64::from(range.pages) * PageSize::of(range.va).bytes();
                // A few lines of a page, so that some meet.
                let at = self.rng.random_range(0..bytes) & !0xfff;
                (range.pid, range.va + at + 64 * self.rng.random_range(0..3))
            };
            if self.is_frozen(pid, va) {
                continue;
            }
            let op = Op::ALL[[0, 0, 1, 1, 1, 2, 3][self.rng.random_range(0..7)]];
            let mask = if self.rng.random() { FULL_MASK } else { self.rng.random() };
            let mut data = [0; 64];
            self.rng.fill(&mut data[..]);
            self.next_tag = self.next_tag.wrapping_add(1);
            let request = RawRequest { op: op as u8, tag: self.next_tag, pid, va, mask, data };
            self.flights.insert((port as u8, request.tag), (request, None));
            self.dut.port(port).send(request);
        }
    }

    fn choose(&mut self) -> Command {
        let rng = &mut self.rng;
        let pid = rng.random_range(1..8);
        let permission = if rng.random_ratio(1, 6) { Permission::RO } else { Permission::RW };
        let some = |rng: &mut SmallRng, ranges: &[Range]| {
            if ranges.is_empty() || rng.random_ratio(1, 20) {
                return Range { pid, va: 0x4000_0000, pages: 3 };
            }
            ranges[rng.random_range(0..ranges.len())]
        };
        match rng.random_range(0..20) {
            0..8 => {
                let huge = rng.random_ratio(1, 12);
                let size = if huge { PageSize::Huge } else { PageSize::Small };
                let pages = if huge { 1 } else { rng.random_range(1..120) };
                let shareable = !huge && rng.random_ratio(1, 4);
                Command::Alloc { pid, pages, size, permission, shareable }
            }
            8..12 => Command::Free(some(rng, &self.ranges)),
            12..15 => Command::Protect(some(rng, &self.ranges), permission),
            15..17 => Command::Share { source: some(rng, &self.ranges), pid, permission },
            17 => Command::Info,
            18 => Command::Health,
            _ => Command::Drop { pid },
        }
    }

    /// Goes on with the command.
    fn command(&mut self) {
        if self.on_bus {
            let Some(result) = self.dut.component_mut().bus_poll(Side::Host) else { return };
            self.on_bus = false;
            let value = result.unwrap();
            match &mut self.stage {
                Stage::Reading(_, _, _, values) => values.push(value),
                Stage::Waiting(command, _) if value == 0 => {
                    let mut reads = vec![BusAccess::Read(regs::MB_STATUS.offset)];
                    reads.extend((0..16).map(|i| BusAccess::Read(regs::MB_PAYLOAD.at(i))));
                    reads.reverse();
                    self.stage = Stage::Reading(*command, [0; MAILBOX_WORDS], reads, Vec::new());
                }
                _ => {}
            }
        }
        let cycle = self.dut.cycle();
        match &mut self.stage {
            Stage::Resting(until) if cycle >= *until => {
                self.stage = Stage::Settling(self.choose());
            }
            Stage::Resting(_) => {}
            Stage::Settling(command) => {
                let command = *command;
                let mut flights = self.flights.values();
                if flights.any(|(request, _)| Self::concerns(&command, request.pid, request.va)) {
                    return;
                }
                let mut payload = [0; MAILBOX_WORDS];
                let (opcode, length) = command.encode(&mut payload);
                let words = (0..length / 4).map(|i| (regs::MB_PAYLOAD.at(i), payload[i as usize]));
                let header =
                    MB_COMMAND::OPCODE.put(opcode.into()) | MB_COMMAND::LENGTH.put(length.into());
                let last = [(regs::MB_COMMAND.offset, header), (regs::MB_DOORBELL.offset, 1)];
                let writes = words.chain(last).map(|(to, value)| BusAccess::Write(to, value));
                self.stage = Stage::Writing(command, writes.collect());
            }
            Stage::Writing(command, writes) => match writes.pop_front() {
                Some(access) => self.access(access),
                None => self.stage = Stage::Waiting(*command, cycle),
            },
            Stage::Waiting(command, since) => {
                assert!(cycle < *since + PATIENCE, "no answer to {command:?}");
                // The host looks now and then, as one would.
                if cycle % 64 == 0 {
                    self.access(BusAccess::Read(regs::MB_DOORBELL.offset));
                }
            }
            Stage::Reading(_, _, reads, _) => match reads.pop() {
                Some(access) => self.access(access),
                None => self.answered(),
            },
        }
    }

    fn access(&mut self, access: BusAccess) {
        self.on_bus = self.dut.component_mut().bus_start(Side::Host, access);
        assert!(self.on_bus, "one access at a time");
    }

    /// The command's reply is known: it takes effect in the model too.
    fn answered(&mut self) {
        let Stage::Reading(command, mut words, _, values) =
            std::mem::replace(&mut self.stage, Stage::Resting(0))
        else {
            return;
        };
        let rest = self.rng.random_range(0..20_000);
        self.stage = Stage::Resting(self.dut.cycle() + rest);
        let code = MB_STATUS::CODE.get(values[0]);
        let mut reply = [0; MAILBOX_WORDS];
        reply[..values.len() - 1].copy_from_slice(&values[1..]);
        let (opcode, length) = command.encode(&mut words);
        let (expected, _) = self.monitor.handle(opcode, length, &mut words).unwrap();
        while self.model.borrow().irq_monitor() {
            self.monitor.poll().unwrap();
        }
        assert_eq!(code, expected as u32, "{command:?}, cycle {}", self.dut.cycle());
        self.counts.commands += 1;
        *self.counts.codes.entry(code).or_default() += 1;
        if expected != ReturnCode::Success {
            return;
        }
        match command {
            Command::Alloc { pid, pages, .. } => self.mapped(pid, pages, &reply, &words),
            Command::Share { source, pid, .. } => self.mapped(pid, source.pages, &reply, &words),
            Command::Free(range) => self.ranges.retain(|other| *other != range),
            Command::Drop { pid } => self.ranges.retain(|range| range.pid != pid),
            Command::Info => {
                let [ours, theirs] = [&reply, &words].map(|words| {
                    let info = Info::decode(words);
                    (info.mappings, info.processes, info.frames_total, info.buckets)
                });
                assert_eq!(ours, theirs);
            }
            _ => {}
        }
    }

    fn mapped(&mut self, pid: u16, pages: u32, reply: &Payload, expected: &Payload) {
        let va = Address::decode(reply).0;
        assert_eq!(va, Address::decode(expected).0, "where it was mapped");
        self.ranges.push(Range { pid, va, pages });
    }
}

/// What a case must have gone through to be worth anything.
fn check(counts: &Counts) {
    let seen = |code: ReturnCode| counts.codes.get(&(code as u32)).copied().unwrap_or(0);
    assert!(seen(ReturnCode::Success) > counts.commands / 2, "{counts:?}");
    assert!(seen(ReturnCode::NotAllocated) + seen(ReturnCode::NotShareable) > 0, "{counts:?}");
    assert!(counts.requests > 200 * counts.commands, "{counts:?}");
    assert!(counts.beside > 20 * counts.commands, "{counts:?}");
    for status in [Status::Ok, Status::NotMapped, Status::NoPermission] {
        assert!(counts.by_status.get(&(status as u8)).is_some_and(|&n| n > 50), "{counts:?}");
    }
    assert_eq!(counts.by_status.get(&(Status::Uncorrectable as u8)), None, "{counts:?}");
}

#[test]
fn the_monitor_on_the_core_agrees_with_the_model() {
    check(&run(MonitorPlace::Firmware, 1, 60));
}

#[test]
fn the_monitor_in_the_host_agrees_with_the_model() {
    check(&run(MonitorPlace::Host, 1, 60));
}

/// Many of them: 'make soak'.
#[test]
#[ignore = "minutes: make soak runs it"]
fn the_monitor_agrees_with_the_model_over_many_commands() {
    for seed in 100..108 {
        for place in [MonitorPlace::Firmware, MonitorPlace::Host] {
            println!("seed {seed}, monitor in {place}");
            check(&run(place, seed, 1000));
        }
    }
}
