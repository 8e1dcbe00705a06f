//! The memory monitor's library runs the component, and hosts allocate, use, share and free memory.
//!
//! What they read is compared with what they wrote, kept here by process and address: a model that knows
//! neither pages nor frames.

use crate::bench::{Bench, Side, Stalls};
use crate::board::Board;
use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission, Range, ReturnCode};
use splitmem_abi::regs::field::{MB_COMMAND, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};
use splitmem_abi::request::{Line, Op, Request, Response, Status};
use splitmem_abi::window::{self, HostSide, HOST_SIDE};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Both sides on one bus, of the component beside its model.
#[derive(Clone)]
struct Followed(Rc<RefCell<Bench>>);

impl Followed {
    fn access(&self, offset: u16, write: Option<u32>) -> Result<u32, BusError> {
        let side = Side::BOTH[usize::from(offset & HOST_SIDE)];
        self.0.borrow_mut().access(side, offset & !HOST_SIDE, write)
    }
}

impl RegisterBus for Followed {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(offset, None)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(offset, Some(value)).map(drop)
    }
}

/// An allocation.
#[derive(Clone, Copy)]
struct Area {
    pid: u16,
    va: u64,
    pages: u32,
    permission: Permission,
}

impl Area {
    fn range(&self) -> Range {
        Range { pid: self.pid, va: self.va, pages: self.pages }
    }
}

struct World<B: RegisterBus> {
    monitor: Monitor<'static, B, Spin>,
    host: HostSide<B>,
    /// Tells the test bench what request is set off.
    sends: Box<dyn FnMut(&Request)>,
    rng: SmallRng,
    areas: Vec<Area>,
    /// Bytes that are not zero, by process and line.
    lines: HashMap<(u16, u64), Line>,
    answers: [u32; Status::ALL.len()],
}

impl<B: RegisterBus + Clone> World<B> {
    fn new(seed: u64, bus: B, sends: Box<dyn FnMut(&Request)>) -> Self {
        let config = MonitorConfig::default();
        let mut there = bus.clone();
        let memory = there.read(regs::HW_MEMORY.offset).expect("readable");
        let layout = config.layout(memory).expect("a memory for a table and some frames");
        let tables = MonitorTables {
            frames: vec![0; layout.frame_words()].leak(),
            buckets: vec![0; layout.bucket_words()].leak(),
            records: vec![Record::EMPTY; 32].leak(),
            shares: vec![SharedFrame::EMPTY; 32].leak(),
            journal: &mut [],
        };
        let monitor = Monitor::boot(bus.clone(), Spin, tables, &config).expect("it starts");
        Self {
            monitor,
            host: HostSide(bus),
            sends,
            rng: SmallRng::seed_from_u64(seed),
            areas: Vec::new(),
            lines: HashMap::new(),
            answers: [0; Status::ALL.len()],
        }
    }

    /// A command through the mailbox.
    fn command(&mut self, command: Command) -> (ReturnCode, [u32; MAILBOX_WORDS]) {
        let mut payload = [0; MAILBOX_WORDS];
        let (opcode, length) = command.encode(&mut payload);
        for (i, word) in payload.iter().take(usize::from(length).div_ceil(4)).enumerate() {
            self.host
                .write(regs::MB_PAYLOAD.at(i as u16), *word)
                .expect("the mailbox is the host's");
        }
        let head = MB_COMMAND::OPCODE.put(opcode.into()) | MB_COMMAND::LENGTH.put(length.into());
        self.host.write(regs::MB_COMMAND.offset, head).expect("the mailbox is the host's");
        self.host.write(regs::MB_DOORBELL.offset, 1).expect("the mailbox is the host's");
        while self.host.read(regs::MB_DOORBELL.offset).expect("readable") == 1 {
            self.monitor.poll().expect("the component is well");
        }
        let status = self.host.read(regs::MB_STATUS.offset).expect("readable");
        let code = ReturnCode::from_code(MB_STATUS::CODE.get(status) as u16).expect("a code");
        for i in 0..MB_STATUS::LENGTH.get(status).div_ceil(4) {
            payload[i as usize] = self.host.read(regs::MB_PAYLOAD.at(i as u16)).expect("readable");
        }
        (code, payload)
    }

    fn request(&mut self, request: &Request) -> Response {
        let words: Vec<_> = window::writes(request).collect();
        let (go, words) = words.split_last().expect("at least the last");
        for (offset, word) in words {
            self.host.write(*offset, *word).expect("the window is open");
        }
        (self.sends)(request);
        self.host.write(go.0, go.1).expect("the window is open");
        let mut response = loop {
            let status = self.host.read(window::RQ_STATUS.offset).expect("readable");
            if let Some(response) = window::answer(status) {
                break response;
            }
        };
        for i in 0..16 {
            let word = self.host.read(window::RQ_DATA.at(i)).expect("readable");
            response.data[4 * i as usize..][..4].copy_from_slice(&word.to_le_bytes());
        }
        response
    }

    fn alloc(&mut self) {
        let pid = [1, 2, 0xbeef][self.rng.random_range(0..3)];
        let pages = self.rng.random_range(1..7);
        let permission = if self.rng.random_ratio(1, 4) { Permission::RO } else { Permission::RW };
        let size = PageSize::Small;
        let command = Command::Alloc { pid, pages, size, permission, shareable: false };
        let (code, payload) = self.command(command);
        match code {
            ReturnCode::Success => {
                let va = Address::decode(&payload).0;
                self.areas.push(Area { pid, va, pages, permission });
            }
            ReturnCode::NoMemory => {
                let promised: u32 = self.areas.iter().map(|area| area.pages).sum();
                assert!(promised + pages > 31, "refused with {promised} of 31 frames promised");
            }
            other => panic!("{other:?}"),
        }
    }

    fn free(&mut self) {
        if self.areas.is_empty() {
            return;
        }
        let n = self.rng.random_range(0..self.areas.len());
        let area = self.areas.swap_remove(n);
        assert_eq!(self.command(Command::Free(area.range())).0, ReturnCode::Success);
        let end = area.va + (u64::from(area.pages) << 12);
        self.lines.retain(|(pid, va), _| *pid != area.pid || !(area.va..end).contains(va));
    }

    /// A request somewhere in an area, by its process or by another.
    fn access(&mut self) {
        if self.areas.is_empty() {
            return;
        }
        let area = self.areas[self.rng.random_range(0..self.areas.len())];
        let line = area.va + self.rng.random_range(0..u64::from(area.pages) * 64) * 64;
        let stranger = self.rng.random_ratio(1, 10);
        let pid = if stranger { area.pid ^ 0x100 } else { area.pid };
        let tag = self.rng.random();
        let mut data = [0; 64];
        self.rng.fill(&mut data[..]);
        let at = line + 8 * self.rng.random_range(0..8);
        let request = match self.rng.random_range(0..4) {
            0 => Request::read(tag, pid, line),
            1 => Request::write(tag, pid, line, self.rng.random(), data),
            2 => Request::fetch_add(tag, pid, at, self.rng.random()),
            _ => Request::compare_swap(tag, pid, at, 0, self.rng.random()),
        };
        let mut answer = self.request(&request);
        let allowed = !request.op.writes() || area.permission == Permission::RW;
        let right = match (stranger, allowed) {
            (true, _) => Status::NotMapped,
            (_, false) => Status::NoPermission,
            _ => Status::Ok,
        };
        // The list may be empty for a moment; the monitor fills it, and the request is tried again.
        let mut tries = 0;
        while answer.status == Status::NoMemory && right == Status::Ok && tries < 200 {
            self.monitor.poll().expect("the component is well");
            self.answers[answer.status as usize] += 1;
            answer = self.request(&request);
            tries += 1;
        }
        self.answers[answer.status as usize] += 1;
        assert_eq!((answer.tag, answer.status), (tag, right), "{request:?}");
        assert_eq!(answer.data, self.follow(&request, right), "{request:?}");
    }

    /// What a request answers and does.
    fn follow(&mut self, request: &Request, status: Status) -> Line {
        let mut answer = [0; 64];
        if status != Status::Ok {
            return answer;
        }
        let line = self.lines.entry((request.pid, request.va & !63)).or_insert([0; 64]);
        let at = request.va as usize & 63;
        let word =
            |line: &Line, at: usize| u64::from_le_bytes(line[at..at + 8].try_into().unwrap());
        match request.op {
            Op::Read => answer = *line,
            Op::Write => {
                for i in (0..64).filter(|i| request.mask >> i & 1 == 1) {
                    line[i] = request.data[i];
                }
            }
            Op::FetchAdd | Op::CompareSwap => {
                let (old, operand) = (word(line, at), word(&request.data, 0));
                let new = match request.op {
                    Op::FetchAdd => old.wrapping_add(operand),
                    _ if old == word(&request.data, 8) => operand,
                    _ => old,
                };
                line[at..at + 8].copy_from_slice(&new.to_le_bytes());
                answer[..8].copy_from_slice(&old.to_le_bytes());
            }
        }
        answer
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.rng.random_range(0..12) {
                0 => self.alloc(),
                1 => self.free(),
                _ => self.access(),
            }
            self.monitor.poll().expect("the component is well");
        }
        println!("answers by status {:?}", self.answers);
        for status in [Status::Ok, Status::NotMapped, Status::NoPermission] {
            assert!(self.answers[status as usize] > 0, "no answer {status:?}");
        }
    }
}

#[test]
fn the_monitor_runs_the_component() {
    for (seed, stalls) in [(1, Stalls::NONE), (2, Stalls { memory: 40, bus: 20 })] {
        println!("seed {seed}, {stalls:?}");
        let bus = Followed(Rc::new(RefCell::new(Bench::new(seed, stalls))));
        let bench = bus.0.clone();
        let sends = move |request: &Request| bench.borrow_mut().expect(request);
        let mut world = World::new(seed, bus.clone(), Box::new(sends));
        world.run(250);
        bus.0.borrow_mut().compare();
    }
}

#[test]
fn the_monitor_runs_the_pico_ice() {
    let board = Board::new(1);
    let mut world = World::new(1, board.clone(), Box::new(|_| {}));
    world.run(100);
    // An interrupt asks for the monitor, and is gone when the monitor was there.
    world.host.write(regs::MB_DOORBELL.offset, 1).expect("the mailbox is the host's");
    assert!(board.irq());
    world.monitor.poll().expect("the component is well");
    assert!(!board.irq());
    println!("{} cycles", board.cycles());
}
