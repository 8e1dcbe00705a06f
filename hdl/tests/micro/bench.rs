//! The component with its memory, and the model that follows it.
//!
//! The model is told of each register access when the component has done it, and of a request when it
//! took effect. What the component does later than the model, which is done at once, is not compared
//! until it had the time: see [`Bench::settle`].

use crate::verilated::Verilated;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::field::{
    FREE_4K_POP, IRQ_STATUS, STATUS, TE_RESULT, TE_STATUS, ZERO_STATUS,
};
use splitmem_abi::regs::{self, Access, Field, Register};
use splitmem_abi::request::{Line, Request, Response, Status};
use splitmem_abi::window::{self, field::RQ_HEAD, field::RQ_STATUS};
use splitmem_model::{Choice, Model, RawRequest};

/// Cycles within which whatever was begun is over.
const PATIENCE: u64 = 200_000;
/// 16-bit words of the memory.
const WORDS: usize = 1 << (HwConfig::MICRO.pa_bits - 1);

/// Whose registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Monitor,
    Host,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Monitor, Self::Host];

    fn rights(self, register: &Register) -> Access {
        match self {
            Self::Monitor => register.monitor,
            Self::Host => register.host,
        }
    }
}

/// In so many of a hundred cycles the memory is not ready, or the bus rests.
#[derive(Clone, Copy, Debug)]
pub struct Stalls {
    pub memory: u32,
    pub bus: u32,
}

impl Stalls {
    pub const NONE: Self = Self { memory: 0, bus: 0 };
}

pub struct Bench {
    dut: Verilated,
    pub model: Model,
    pub rng: SmallRng,
    stalls: Stalls,
    memory: Vec<u16>,
    /// What the memory was offered and did not take.
    offered: Option<(bool, u64, u64, u64)>,
    pub cycle: u64,
    /// The request that was set off and is not answered.
    flight: Option<RawRequest>,
    /// It took effect in a cycle that was not looked at yet.
    retired: bool,
    /// The table engine may be at work.
    pub table_busy: bool,
    pub answered: Option<Response>,
    pub seen: [u64; Status::ALL.len()],
    /// Answers by a translation that the table engine was about to replace.
    pub stale: u64,
}

impl Bench {
    /// A component after its reset, over a memory of noise.
    pub fn new(seed: u64, stalls: Stalls) -> Self {
        Self::of(&splitmem_hdl::micro::emit(), seed, stalls)
    }

    /// The same of other Verilog.
    pub fn of(verilog: &str, seed: u64, stalls: Stalls) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let dut = Verilated::new("micro", verilog, seed as u32);
        let mut model = Model::new(HwConfig::MICRO);
        model.hold_shootdowns();
        let mut bytes = vec![0; 2 * WORDS];
        rng.fill_bytes(&mut bytes);
        model.write_physical(0, &bytes);
        let memory = bytes.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let mut bench = Self {
            dut,
            model,
            rng,
            stalls,
            memory,
            offered: None,
            cycle: 0,
            flight: None,
            retired: false,
            table_busy: false,
            answered: None,
            seen: [0; Status::ALL.len()],
            stale: 0,
        };
        bench.reset();
        bench
    }

    pub fn reset(&mut self) {
        self.dut.set("reset", 1);
        (0..4).for_each(|_| self.tick());
        self.dut.set("reset", 0);
    }

    /// One clock cycle, with the memory's part in it.
    pub fn tick(&mut self) {
        let ready = !self.rolls(self.stalls.memory);
        self.dut.set("mem_ready", ready.into());
        self.dut.settle();
        let mut read = None;
        if self.dut.is("mem_valid") && !self.dut.is("reset") {
            let offer = (
                self.dut.is("mem_write"),
                self.dut.get("mem_address"),
                self.dut.get("mem_mask"),
                self.dut.get("mem_wdata"),
            );
            let (write, address, mask, data) = offer;
            let same = |o: (bool, u64, u64, u64)| {
                (o.0, o.1) == (write, address) && (!write || (o.2, o.3) == (mask, data))
            };
            assert!(self.offered.is_none_or(same), "an offer to the memory changed");
            self.offered = (!ready).then_some(offer);
            if ready && write {
                let bytes = ((mask & 1) * 0xff) | ((mask >> 1) * 0xff00);
                let word = &mut self.memory[address as usize];
                *word = (*word & !bytes as u16) | (data & bytes) as u16;
                // A memory gives nothing to rely on after a write.
                read = Some(self.rng.random());
            } else if ready {
                read = Some(self.memory[address as usize]);
            }
        } else {
            assert!(self.offered.is_none(), "an offer to the memory was taken back");
        }
        if self.dut.is("retired") {
            assert!(!self.retired && self.flight.is_some(), "a request took effect twice");
            self.retired = true;
        }
        self.dut.tick();
        if let Some(word) = read {
            self.dut.set("mem_rdata", word.into());
        }
        self.cycle += 1;
    }

    pub fn rolls(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// A register access of the component alone.
    pub fn raw(&mut self, side: Side, offset: u16, write: Option<u32>) -> Result<u32, BusError> {
        while self.rolls(self.stalls.bus) {
            self.tick();
        }
        self.dut.set("bus_valid", 1);
        self.dut.set("bus_host", (side == Side::Host).into());
        self.dut.set("bus_addr", offset.into());
        self.dut.set("bus_write", write.is_some().into());
        self.dut.set("bus_wdata", write.unwrap_or_default().into());
        let begun = self.cycle;
        while !self.dut.is("bus_done") {
            assert!(self.cycle < begun + PATIENCE, "access to {offset:#x} does not end");
            self.tick();
        }
        let (value, error) = (self.dut.get("bus_rdata") as u32, self.dut.is("bus_error"));
        self.dut.set("bus_valid", 0);
        self.tick();
        assert!(!self.dut.is("bus_done"), "done is a pulse");
        if error || write.is_some() {
            assert_eq!(value, 0, "{offset:#x}: an error and a write read zero");
        }
        if error {
            return Err(BusError::Denied { offset });
        }
        Ok(value)
    }

    /// Reads what no rule forbids to read.
    pub fn look(&mut self, register: &Register) -> u32 {
        let side = if register.monitor.reads() { Side::Monitor } else { Side::Host };
        self.raw(side, register.offset, None).expect("readable")
    }

    /// A register access, followed by the model.
    pub fn access(&mut self, side: Side, offset: u16, write: Option<u32>) -> Result<u32, BusError> {
        let result = self.raw(side, offset, write);
        self.catch_up();
        self.mirror(side, offset, write, result);
        result
    }

    pub fn read(&mut self, side: Side, register: &Register) -> u32 {
        self.access(side, register.offset, None).expect("readable")
    }

    pub fn write(&mut self, side: Side, register: &Register, value: u32) {
        self.access(side, register.offset, Some(value)).expect("writable");
    }

    /// Lets the model do what the component did, and compares what both answer.
    fn mirror(
        &mut self,
        side: Side,
        offset: u16,
        write: Option<u32>,
        result: Result<u32, BusError>,
    ) {
        if window::ALL.iter().any(|r| (r.offset..r.at(r.count)).contains(&offset)) {
            return;
        }
        let is = |register: &Register| offset == register.offset;
        // Queues that the component fills later than the model. What it never fills shows in `compare`.
        let none = |valid: Field| result.is_ok_and(|value| valid.get(value) == 0);
        if is(&regs::FREE_4K_POP) && none(FREE_4K_POP::VALID)
            || is(&regs::TE_RESULT) && none(TE_RESULT::VALID) && self.table_busy
        {
            return;
        }
        if is(&regs::TE_COMMAND) && result.is_ok() {
            self.table_busy = true;
        }
        if is(&regs::TE_STATUS) && result.is_ok_and(|v| TE_STATUS::BUSY.get(v) == 0) {
            self.table_busy = false;
        }
        let value = match (side, write) {
            (Side::Monitor, None) => self.model.monitor().read(offset),
            (Side::Monitor, Some(v)) => self.model.monitor().write(offset, v).map(|()| 0),
            (Side::Host, None) => self.model.host().read(offset),
            (Side::Host, Some(v)) => self.model.host().write(offset, v).map(|()| 0),
        };
        if is(&regs::SD_COMMAND) && write.is_some() {
            self.model.complete_shootdown();
        }
        let at = format!("{side:?} {write:?} at {offset:#x}, cycle {}", self.cycle);
        assert_eq!(result.is_ok(), value.is_ok(), "{at}");
        if write.is_none() && !is_volatile(offset) {
            assert_eq!(result, value, "{at}");
        }
    }

    /// Writes a request into the window. None may be under way.
    pub fn prepare(&mut self, request: &RawRequest) {
        assert!(self.flight.is_none());
        let RawRequest { op, tag, pid, va, mask, ref data } = *request;
        let head = RQ_HEAD::OP.put(op.into()) | RQ_HEAD::TAG.put(tag.into());
        let mut words = vec![
            (window::RQ_HEAD.offset, head),
            (window::RQ_PID.offset, pid.into()),
            (window::RQ_VA_LO.offset, va as u32),
            (window::RQ_VA_HI.offset, (va >> 32) as u32),
            (window::RQ_MASK_LO.offset, mask as u32),
            (window::RQ_MASK_HI.offset, (mask >> 32) as u32),
        ];
        for (i, word) in data.chunks(4).enumerate() {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            words.push((window::RQ_DATA.at(i as u16), word));
        }
        for (offset, word) in words {
            self.access(Side::Host, offset, Some(word)).expect("the window is open");
        }
    }

    /// A request is going to be set off by somebody else.
    pub fn expect(&mut self, request: &Request) {
        assert!(self.flight.is_none());
        self.answered = None;
        self.flight = Some(request.into());
    }

    /// Sets the request off that was prepared.
    pub fn go(&mut self, request: &RawRequest) {
        self.flight = Some(*request);
        self.access(Side::Host, window::RQ_GO.offset, Some(1)).expect("nothing is under way");
    }

    /// Lets the model execute the request if it took effect.
    fn catch_up(&mut self) {
        if !std::mem::take(&mut self.retired) {
            return;
        }
        let request = self.flight.take().expect("checked when it took effect");
        let told = self.raw(Side::Host, window::RQ_STATUS.offset, None).expect("readable");
        assert_eq!(RQ_STATUS::BUSY.get(told), 0);
        let status = RQ_STATUS::STATUS.get(told) as u8;
        let status = Status::from_code(status).expect("a status");
        let mut data: Line = [0; 64];
        for i in 0..16 {
            let word = self.raw(Side::Host, window::RQ_DATA.at(i), None).expect("readable");
            data[4 * i as usize..][..4].copy_from_slice(&word.to_le_bytes());
        }
        let response = Response { tag: RQ_STATUS::TAG.get(told) as u16, status, data };
        let RawRequest { op, pid, va, .. } = request;
        let what = format!("op {op}, pid {pid:#x}, va {va:#x}, cycle {}", self.cycle);
        let choice = self.choice(&request, status);
        let choice = choice.unwrap_or_else(|| {
            let now = self.model.peek_status(&request, Choice::Current);
            panic!("{what}: answered {status:?}, the model says {now:?}")
        });
        self.stale += u64::from(choice != Choice::Current);
        let right = self.model.request_as(0, &request, choice);
        assert_eq!(response, right, "{what}");
        self.seen[status as usize] += 1;
        self.answered = Some(response);
    }

    /// The translation with which the model gives this status; while the table engine is at work, it
    /// may be one that it is about to replace.
    fn choice(&self, request: &RawRequest, status: Status) -> Option<Choice> {
        let replaced =
            if self.table_busy { self.model.replaced(request.pid, request.va) } else { 0 };
        std::iter::once(Choice::Current)
            .chain((0..replaced).map(Choice::Replaced))
            .find(|&choice| self.model.peek_status(request, choice) == status)
    }

    /// Looks at the request under way until it is answered.
    pub fn finish(&mut self) -> Response {
        let begun = self.cycle;
        loop {
            let status = self.access(Side::Host, window::RQ_STATUS.offset, None);
            if let Some(response) = self.answered.take() {
                let status = status.expect("readable");
                // It may have taken effect after this look.
                assert!(RQ_STATUS::BUSY.get(status) == 1 || window::answer(status).is_some());
                return response;
            }
            assert!(self.cycle < begun + PATIENCE, "a request is not answered");
        }
    }

    /// Leaves the bus alone until the request takes effect: gives the cycle after that.
    pub fn until_retired(&mut self) -> u64 {
        let begun = self.cycle;
        while !self.retired {
            assert!(self.cycle < begun + PATIENCE, "a request does not take effect");
            self.tick();
        }
        self.cycle
    }

    /// Whether a first write finds what the model has for it: the zeroing engine is done, or has
    /// something ready.
    pub fn frames_told(&mut self) -> bool {
        let free = self.look(&regs::FREE_4K);
        free > 0 || ZERO_STATUS::BUSY.get(self.look(&regs::ZERO_STATUS)) == 0
    }

    /// Waits until the component has done all it was told to.
    pub fn settle(&mut self) {
        let begun = self.cycle;
        loop {
            let status = self.look(&regs::STATUS);
            let full = self.look(&regs::FREE_4K) == HwConfig::MICRO.free_4k;
            let clear = STATUS::ZERO_BUSY.get(status) == 0 || full;
            if STATUS::IDLE.get(status) == 1 && STATUS::TE_BUSY.get(status) == 0 && clear {
                break;
            }
            assert!(self.cycle < begun + 20 * PATIENCE, "the component does not come to rest");
        }
        self.catch_up();
        self.table_busy = false;
    }

    /// Compares all that both have, after [`Self::settle`].
    pub fn compare(&mut self) {
        self.settle();
        for side in Side::BOTH {
            for register in regs::ALL {
                let popped = side.rights(register) == Access::Pop;
                for i in (0..register.count).filter(|_| !popped) {
                    let offset = register.at(i);
                    let told = self.raw(side, offset, None);
                    let right = match side {
                        Side::Monitor => self.model.monitor().read(offset),
                        Side::Host => self.model.host().read(offset),
                    };
                    let name = register.name;
                    if timed(offset) {
                        assert_eq!(told.is_ok(), right.is_ok(), "{side:?} {name}");
                    } else if register.offset == regs::IRQ_STATUS.offset {
                        // Cleared by somebody before it was set, and set before it was cleared.
                        let clear = |value: u32| value & !IRQ_STATUS::TE_DONE.mask();
                        assert_eq!(told.map(clear), right.map(clear), "{side:?} {name}");
                    } else {
                        assert_eq!(told, right, "{side:?} {name}[{i}]");
                    }
                }
            }
        }
        let line = self.look(&regs::IRQ_STATUS) & self.look(&regs::IRQ_MASK) != 0;
        assert_eq!(self.dut.is("irq_monitor"), line);
        assert_eq!(self.dut.is("irq_host"), self.model.irq_host());
        let mut right = vec![0; 2 * WORDS];
        self.model.read_physical(0, &mut right);
        for (at, (told, right)) in self.memory.iter().zip(right.chunks(2)).enumerate() {
            assert_eq!(told.to_le_bytes(), right, "memory at {:#x}", 2 * at);
        }
    }
}

/// Registers whose value is another while the component is still at work.
fn is_volatile(offset: u16) -> bool {
    let later = [
        &regs::STATUS,
        &regs::ZERO_STATUS,
        &regs::FREE_4K,
        &regs::TE_STATUS,
        &regs::TE_DONE,
        &regs::IRQ_STATUS,
    ];
    later.iter().any(|register| register.offset == offset) || timed(offset)
}

/// Registers that hold cycles.
fn timed(offset: u16) -> bool {
    offset == regs::SD_CYCLES.offset || offset == regs::EVENT.at(3)
}
