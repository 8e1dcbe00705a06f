//! What the latency tests stand on: a component with a page table that is written by hand.

use super::{LatencyError, IDEAL_LATENCY};
use crate::bus::Side;
use crate::component::Component;
use crate::dram::{ConfigError, Fill, IdealMemory, LineMemory, LineStore};
use crate::hw::Hw;
use crate::port::Answer;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{page_key, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::hash;
use splitmem_abi::pte::{decode_bucket, encode_slot, Pte};
use splitmem_abi::regs::field::{CONTROL, SD_STATUS, ZERO_PUSH};
use splitmem_abi::regs::{self, ShootdownCommand};
use splitmem_abi::request::{Request, Status};

/// Cycles that a request may take.
const PATIENCE: u64 = 200_000;

/// A page table in the first frames of a memory, written without the component's help.
pub(super) struct Table {
    store: LineStore,
    log2: u32,
    next_frame: u32,
    end: u32,
}

impl Table {
    /// An empty table of `1 << log2` buckets in a memory as large as the hardware can address.
    pub fn new(hw: Hw, log2: u32) -> Self {
        let config = hw.config();
        Self {
            store: LineStore::new(1 << (config.pa_bits - LINE_SHIFT), Fill::Zero),
            log2,
            next_frame: 1 << (log2 - (PAGE_SHIFT - LINE_SHIFT)),
            end: config.frames() as u32,
        }
    }

    /// Maps a page for loads and stores; with `present`, to a frame of its own. False if its bucket
    /// or the memory is full.
    pub fn map(&mut self, pid: u16, va: u64, present: bool) -> bool {
        let size = splitmem_abi::geometry::PageSize::of(va).frames();
        let first = self.next_frame.next_multiple_of(size);
        let line = u64::from(hash::bucket(pid, va, self.log2));
        let mut bucket = self.store.read_line(line);
        let slot = decode_bucket(&bucket).iter().position(|pte| pte.is_free());
        let (Some(slot), true) = (slot, !present || first + size <= self.end) else { return false };
        let mut pte =
            Pte { valid: true, read: true, write: true, pid, key: page_key(va), ..Pte::default() };
        if present {
            pte.present = true;
            pte.frame = first;
            self.next_frame = first + size;
        }
        encode_slot(&mut bucket, slot, pte);
        self.store.write_line(line, &bucket);
        true
    }

    /// Frames that are left for the component to grant: the first one, and how many.
    pub fn rest(&self) -> (u32, u32) {
        (self.next_frame, self.end - self.next_frame)
    }

    /// Puts a component on it, its ports open, with the ideal memory.
    pub fn into_ideal_rig(self, hw: Hw) -> Result<Rig<IdealMemory>, LatencyError> {
        self.into_rig(hw, |store| Ok(IdealMemory::new(store, IDEAL_LATENCY)))
    }

    /// Puts a component on it, its ports open.
    pub fn into_rig<M: LineMemory>(
        self,
        hw: Hw,
        memory: impl FnOnce(LineStore) -> Result<M, ConfigError>,
    ) -> Result<Rig<M>, LatencyError> {
        let mut dut = Component::new(hw, memory(self.store)?)?;
        let mut bus = dut.bus(Side::Monitor);
        bus.write(regs::TABLE_BASE.offset, 0)?;
        bus.write(regs::TABLE_SIZE.offset, self.log2)?;
        bus.write(regs::CONTROL.offset, CONTROL::ENABLE.mask())?;
        Ok(Rig { dut })
    }
}

/// A component under measurement.
pub(super) struct Rig<M> {
    /// It.
    pub dut: Component<M>,
}

impl<M: LineMemory> Rig<M> {
    /// Hands frames to the zeroing engine: at most 65,535.
    pub fn push_frames(&mut self, first: u32, count: u32, huge: bool) -> Result<(), LatencyError> {
        let mut bus = self.dut.bus(Side::Monitor);
        bus.write(regs::ZERO_BASE.offset, first)?;
        let push = ZERO_PUSH::COUNT.put(count) | ZERO_PUSH::HUGE.put(huge.into());
        Ok(bus.write(regs::ZERO_PUSH.offset, push)?)
    }

    /// Waits until that many frames are cleared.
    pub fn wait_cleared(&mut self, count: u32, huge: bool) -> Result<(), LatencyError> {
        let register = if huge { regs::FREE_2M } else { regs::FREE_4K };
        for _ in 0..PATIENCE {
            if self.dut.bus(Side::Monitor).read(register.offset)? >= count {
                return Ok(());
            }
        }
        Err(misbehaved("clearing frames", "they do not arrive in the free list"))
    }

    /// Makes every translation miss again. Gives the cycles that it took.
    pub fn shoot_down(&mut self, command: ShootdownCommand) -> Result<u32, LatencyError> {
        let mut bus = self.dut.bus(Side::Monitor);
        bus.write(regs::SD_COMMAND.offset, command as u32)?;
        for _ in 0..PATIENCE {
            if SD_STATUS::BUSY.get(bus.read(regs::SD_STATUS.offset)?) == 0 {
                return Ok(bus.read(regs::SD_CYCLES.offset)?);
            }
        }
        Err(misbehaved("shooting down", "it does not end"))
    }

    /// Sends a request and waits for its answer.
    pub fn answer(&mut self, port: usize, request: Request) -> Result<Answer, LatencyError> {
        self.dut.port(port).send(request);
        for _ in 0..PATIENCE {
            self.dut.tick();
            if let Some(answer) = self.dut.port(port).receive() {
                return Ok(answer);
            }
        }
        Err(misbehaved("sending single requests", format!("no answer to {request:?}")))
    }

    /// Waits until nothing is in flight, neither in the component nor in the memory, and lets a few
    /// cycles pass.
    pub fn settle(&mut self) -> Result<(), LatencyError> {
        let mut calm = 0;
        for _ in 0..PATIENCE {
            self.dut.tick();
            let idle =
                self.dut.ports().iter().all(|port| port.is_idle()) && self.dut.dram_is_idle();
            calm = if idle { calm + 1 } else { 0 };
            if calm == 8 {
                return Ok(());
            }
        }
        Err(misbehaved("waiting for the end of a load", "the component does not become idle"))
    }
}

pub(super) fn misbehaved(doing: &'static str, what: impl Into<String>) -> LatencyError {
    LatencyError::Misbehaved { doing, what: what.into() }
}

/// An answer that must be ok.
pub(super) fn expect_ok(doing: &'static str, answer: &Answer) -> Result<(), LatencyError> {
    match answer.response.status {
        Status::Ok => Ok(()),
        status => Err(misbehaved(doing, format!("a request was answered {status:?}"))),
    }
}
