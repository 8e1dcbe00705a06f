//! Frames: who has how many, and the refill of the hardware's free lists ahead of need.
//!
//! Per page size, `reserved` counts the pages that were promised memory (private pages, touched or
//! not, and shareable frames), and `out` the frames that left the pool (waiting in the hardware, or
//! granted to a page). The monitor never pushes a frame that no promise is behind, so
//! `out <= reserved` as far as it pushes, and without overcommit it promises only what it can
//! keep:
//!
//! ```text
//! whole blocks needed by 4 KiB promises + 2 MiB promises not yet out <= whole blocks in the pool
//! ```
//!
//! where the former is what exceeds the capacity of the blocks that are broken already. Taking a
//! frame that is promised, breaking a block for it, and every return of a frame keep this true.
//!
//! What a grant takes is not reported; the hardware's PENDING registers tell how much of `out` is
//! still waiting. Frames are known one by one again when they are collected.

use crate::error::{Error, Failure};
use crate::hal::{Wait, Waiting};
use crate::pool::{FramePool, NotOut};
use crate::Allocator;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, FRAMES_PER_HUGE};
use splitmem_abi::mailbox::ReturnCode;
use splitmem_abi::regs::field::{FREE_4K_POP, ZERO_BASE, ZERO_PUSH, ZERO_STATUS};
use splitmem_abi::regs::{self, Register};

/// Most frames in one push.
const RUN_MAX: u32 = ZERO_PUSH::COUNT.mask() >> ZERO_PUSH::COUNT.lsb;

/// The registers of one page size.
struct LaneRegisters {
    pending: Register,
    low: Register,
    pop: Register,
}

fn registers(size: PageSize) -> LaneRegisters {
    match size {
        PageSize::Small => LaneRegisters {
            pending: regs::PENDING_4K,
            low: regs::FREE_4K_LOW,
            pop: regs::FREE_4K_POP,
        },
        PageSize::Huge => LaneRegisters {
            pending: regs::PENDING_2M,
            low: regs::FREE_2M_LOW,
            pop: regs::FREE_2M_POP,
        },
    }
}

/// Accounts of one page size, in frames of that size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// Frames that the hardware's free list holds.
    pub depth: u32,
    /// Pages that were promised memory.
    pub reserved: u32,
    /// Frames that are not in the pool.
    pub out: u32,
    /// Of these, frames of shareable memory.
    pub shared: u32,
    /// What the hardware's threshold register holds.
    low: u32,
}

impl Lane {
    pub const fn new(depth: u32) -> Self {
        Self { depth, reserved: 0, out: 0, shared: 0, low: 0 }
    }
}

/// The pool and the accounts.
#[derive(Debug)]
pub(crate) struct Supply<'a> {
    pub pool: FramePool<'a>,
    lanes: [Lane; 2],
    overcommit: bool,
}

impl<'a> Supply<'a> {
    pub fn new(pool: FramePool<'a>, small: Lane, huge: Lane, overcommit: bool) -> Self {
        Self { pool, lanes: [small, huge], overcommit }
    }

    pub fn lane(&self, size: PageSize) -> &Lane {
        &self.lanes[size as usize]
    }

    pub fn lane_mut(&mut self, size: PageSize) -> &mut Lane {
        &mut self.lanes[size as usize]
    }

    /// Whether `pages` more pages could be promised memory.
    pub fn admits(&self, size: PageSize, pages: u32) -> bool {
        if self.overcommit {
            // Whether the table has room for it is asked later; here only whether it is a number.
            return self.lane(size).reserved.checked_add(pages).is_some();
        }
        let mut promised = self.lanes.map(|lane| lane.reserved as u64);
        promised[size as usize] += pages as u64;
        let huge_out = self.lane(PageSize::Huge).out;
        let unbroken = (self.pool.whole() + huge_out) as u64 * FRAMES_PER_HUGE as u64;
        let broken = self.pool.total() as u64 - unbroken;
        let for_small = promised[0].saturating_sub(broken).div_ceil(FRAMES_PER_HUGE as u64);
        let for_huge = promised[1].saturating_sub(huge_out as u64);
        for_small + for_huge <= self.pool.whole() as u64
    }

    /// 4 KiB frames that could still be promised.
    pub fn unpromised(&self) -> u32 {
        let [small, huge] = self.lanes.map(|lane| lane.reserved as u64);
        let promised = small + huge * FRAMES_PER_HUGE as u64;
        (self.pool.total() as u64).saturating_sub(promised) as u32
    }

    /// Frames that wait in the hardware for pages that were freed untouched.
    fn excess(&self, size: PageSize) -> u32 {
        let lane = self.lane(size);
        lane.out.saturating_sub(lane.reserved)
    }

    /// Counts a frame as out that was found to be. Counted ones stay so; false if it is none.
    pub fn claim(&mut self, size: PageSize, frame: u32) -> bool {
        let taken = match size {
            PageSize::Small => self.pool.claim(frame),
            PageSize::Huge => self.pool.claim_whole(frame),
        };
        self.lane_mut(size).out += (taken == Some(true)) as u32;
        taken.is_some()
    }

    /// Takes a frame back into the pool.
    pub fn put(&mut self, size: PageSize, frame: u32) -> Result<(), NotOut> {
        match size {
            PageSize::Small => self.pool.put(frame),
            PageSize::Huge => self.pool.put_whole(frame),
        }?;
        let lane = self.lane_mut(size);
        lane.out = lane.out.saturating_sub(1);
        Ok(())
    }
}

/// How much is gotten back.
#[derive(Clone, Copy)]
enum Reclaim {
    /// What is cleared already.
    Cleared,
    /// Everything; what is not yet cleared is waited for.
    All,
}

impl<B: RegisterBus, W: Wait> Allocator<'_, B, W> {
    /// Whether `pages` pages can be promised memory.
    pub(crate) fn admit(&mut self, size: PageSize, pages: u32) -> Result<(), Failure> {
        if !self.supply.admits(size, pages) {
            self.reclaim(Reclaim::All)?;
            if !self.supply.admits(size, pages) {
                return Err(ReturnCode::NoMemory.into());
            }
        }
        Ok(())
    }

    /// Promises memory to `pages` pages that were admitted, and has it ready before they can be
    /// touched.
    pub(crate) fn promise(&mut self, size: PageSize, pages: u32) -> Result<(), Error> {
        self.supply.lane_mut(size).reserved += pages;
        self.refill()
    }

    /// Takes `pages` promises back.
    pub(crate) fn unpromise(&mut self, size: PageSize, pages: u32) {
        let lane = self.supply.lane_mut(size);
        lane.reserved = lane.reserved.saturating_sub(pages);
    }

    /// Gives the hardware frames up to its lists' depth, as far as they are promised, and sets the
    /// thresholds at which it asks for more.
    ///
    /// Never more than a list holds: a run that waited for room in its list would hold up the runs
    /// behind it, of the other size too, until somebody takes a frame.
    pub(crate) fn refill(&mut self) -> Result<(), Error> {
        for size in [PageSize::Small, PageSize::Huge] {
            // With overcommit, the pool may be empty while frames wait for pages that are gone.
            if !self.refill_lane(size)? && self.reclaim(Reclaim::Cleared)? {
                self.refill_lane(size)?;
            }
        }
        Ok(())
    }

    /// Gives whether the pool had what was promised.
    fn refill_lane(&mut self, size: PageSize) -> Result<bool, Error> {
        let registers = registers(size);
        let mut lane = *self.supply.lane(size);
        // Asked at three quarters: that is what first writes can take until the monitor comes.
        let mut low = lane.depth - lane.depth / 4;
        let mut had_all = true;
        if lane.out < lane.reserved {
            let mut pending = self.regs.read(&registers.pending)?;
            let mut room = self.regs.field(&regs::ZERO_STATUS, ZERO_STATUS::ROOM)?;
            while pending < lane.depth && lane.out < lane.reserved {
                if room == 0 {
                    // No interrupt tells when there is. With some frames left, the next grant is
                    // soon enough; with few, the line stays high until they could be pushed.
                    low = low.min(pending.max(lane.depth / 4));
                    break;
                }
                let want = (lane.depth - pending).min(lane.reserved - lane.out).min(RUN_MAX);
                let run = match size {
                    PageSize::Small => self.supply.pool.take(want),
                    PageSize::Huge => self.supply.pool.take_whole(want),
                };
                let Some(run) = run else {
                    low = 0;
                    had_all = false;
                    break;
                };
                let count = run.count / size.frames();
                self.push(size, run.first, count)?;
                self.counts.refills = self.counts.refills.saturating_add(1);
                lane.out += count;
                pending += count;
                room -= 1;
            }
        }
        if lane.out >= lane.reserved {
            // Nothing to push is nothing to be asked for; the next promise comes by here.
            low = 0;
        }
        if low != lane.low {
            lane.low = low;
            self.regs.write(&registers.low, low)?;
        }
        *self.supply.lane_mut(size) = lane;
        Ok(had_all)
    }

    /// Hands a run of frames to the zeroing engine, which must have room.
    pub(crate) fn push(&mut self, size: PageSize, first: u32, count: u32) -> Result<(), Error> {
        self.regs.write(&regs::ZERO_BASE, ZERO_BASE::FRAME.put(first))?;
        let huge = (size == PageSize::Huge) as u32;
        self.regs.write(&regs::ZERO_PUSH, ZERO_PUSH::COUNT.put(count) | ZERO_PUSH::HUGE.put(huge))
    }

    /// Takes a cleared frame out of the hardware's free list, if one is there.
    pub(crate) fn pop(&mut self, size: PageSize) -> Result<Option<u32>, Error> {
        // Both registers have the same fields.
        let popped = self.regs.read(&registers(size).pop)?;
        Ok((FREE_4K_POP::VALID.get(popped) == 1).then(|| FREE_4K_POP::FRAME.get(popped)))
    }

    /// Frames of a size that wait in the hardware.
    pub(crate) fn pending(&mut self, size: PageSize) -> Result<u32, Error> {
        self.regs.read(&registers(size).pending)
    }

    /// Takes a cleared frame that was promised, and waits for it if it is not yet cleared.
    pub(crate) fn take_cleared(&mut self, size: PageSize) -> Result<u32, Failure> {
        for _ in 0..self.regs.patience {
            if let Some(frame) = self.pop(size)? {
                return Ok(frame);
            }
            self.refill()?;
            if self.pending(size)? == 0 && self.supply.lane(size).low == 0 {
                // Only where more was promised than there is.
                return Err(ReturnCode::NoMemory.into());
            }
            self.regs.wait.wait(Waiting::Frame);
        }
        Err(Error::Stuck(Waiting::Frame).into())
    }

    /// Gets back what waits in the hardware for pages that are gone, so that the pool can put it to
    /// another use. Gives whether there was something.
    fn reclaim(&mut self, what: Reclaim) -> Result<bool, Error> {
        let mut reclaimed = false;
        for size in [PageSize::Small, PageSize::Huge] {
            let mut looks = 0;
            while self.supply.excess(size) > 0 {
                match (self.pop(size)?, what) {
                    (Some(frame), _) => {
                        self.take_back(size, frame);
                        reclaimed = true;
                        looks = 0;
                    }
                    (None, Reclaim::Cleared) => break,
                    (None, Reclaim::All) if looks == self.regs.patience => {
                        return Err(Error::Stuck(Waiting::Frame));
                    }
                    (None, Reclaim::All) => {
                        looks += 1;
                        self.regs.wait.wait(Waiting::Frame);
                    }
                }
            }
        }
        Ok(reclaimed)
    }

    /// Puts a frame into the pool. One that cannot be out is never taken: better lost than twice.
    pub(crate) fn take_back(&mut self, size: PageSize, frame: u32) {
        if self.supply.put(size, frame).is_err() {
            self.anomaly();
        }
    }
}
