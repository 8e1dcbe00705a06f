//! Frames on their way to their pages: the zeroing engine's queue and the free lists.
//!
//! A run that is pushed is cleared as far as its list has room; the rest waits in the queue and is
//! cleared frame by frame as frames are granted. A run of one page size never waits for the other:
//! a first write whose frames are queued would wait with it.

use crate::memory::Memory;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT, PAGE_SHIFT};
use std::collections::VecDeque;

/// A run of frames that wait to be cleared.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// First frame, in 4 KiB.
    base: u32,
    /// Frames of the run's size.
    count: u32,
}

/// Frames of one size.
#[derive(Debug)]
struct Lane {
    size: PageSize,
    /// The bits that a frame number of this size has.
    mask: u32,
    /// Frames that the free list holds.
    depth: usize,
    /// Cleared frames, granted in the order of their arrival.
    list: VecDeque<u32>,
    runs: VecDeque<Run>,
}

impl Lane {
    fn new(size: PageSize, depth: u32, config: &HwConfig) -> Self {
        Self {
            size,
            mask: config.frame_mask() & !(size.frames() - 1),
            depth: depth as usize,
            list: VecDeque::new(),
            runs: VecDeque::new(),
        }
    }

    fn queued(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// Clears frames into the list while it has room. Gives their number.
    fn refill(&mut self, memory: &mut Memory) -> u64 {
        let mut cleared = 0;
        while self.list.len() < self.depth {
            let Some(run) = self.runs.front_mut() else { break };
            let frame = run.base;
            run.base = (run.base + self.size.frames()) & self.mask;
            run.count -= 1;
            if run.count == 0 {
                self.runs.pop_front();
            }
            clear(memory, frame, self.size);
            self.list.push_back(frame);
            cleared += 1;
        }
        cleared
    }

    /// Takes `frame` out of list or queue, wherever it stands.
    fn take(&mut self, frame: u32) -> bool {
        if let Some(i) = self.list.iter().position(|&f| f == frame) {
            self.list.remove(i);
            return true;
        }
        let step = self.size.frames();
        let before = |run: &Run| frame.wrapping_sub(run.base) / step;
        let within = |run: &Run| frame & self.mask == frame && before(run) < run.count;
        let Some(i) = self.runs.iter().position(within) else { return false };
        let run = self.runs[i];
        let before = before(&run);
        let parts = [
            Run { base: run.base, count: before },
            Run { base: frame + step, count: run.count - before - 1 },
        ];
        self.runs.remove(i);
        for part in parts.into_iter().rev().filter(|part| part.count > 0) {
            self.runs.insert(i, part);
        }
        true
    }
}

fn clear(memory: &mut Memory, frame: u32, size: PageSize) {
    memory.clear((frame as u64) << (PAGE_SHIFT - LINE_SHIFT), size.lines() as u64);
}

/// The zeroing queue and both free lists.
#[derive(Debug)]
pub(crate) struct Frames {
    small: Lane,
    huge: Lane,
    queue: u32,
    /// A push was dropped since reset.
    pub overflow: bool,
}

impl Frames {
    pub fn new(config: &HwConfig) -> Self {
        Self {
            small: Lane::new(PageSize::Small, config.free_4k, config),
            huge: Lane::new(PageSize::Huge, config.free_2m, config),
            queue: config.zero_queue,
            overflow: false,
        }
    }

    fn lane(&self, size: PageSize) -> &Lane {
        match size {
            PageSize::Small => &self.small,
            PageSize::Huge => &self.huge,
        }
    }

    fn lane_mut(&mut self, size: PageSize) -> &mut Lane {
        match size {
            PageSize::Small => &mut self.small,
            PageSize::Huge => &mut self.huge,
        }
    }

    /// Runs that can still be pushed.
    pub fn room(&self) -> u32 {
        self.queue.saturating_sub((self.small.runs.len() + self.huge.runs.len()) as u32)
    }

    /// Whether frames wait to be cleared.
    pub fn busy(&self) -> bool {
        !self.small.runs.is_empty() || !self.huge.runs.is_empty()
    }

    /// Cleared frames in the list.
    pub fn free(&self, size: PageSize) -> u32 {
        self.lane(size).list.len() as u32
    }

    /// Frames pushed and not yet granted.
    pub fn pending(&self, size: PageSize) -> u32 {
        self.free(size) + self.lane(size).queued()
    }

    /// The frame that is granted next.
    pub fn next(&self, size: PageSize) -> Option<u32> {
        self.lane(size).list.front().copied()
    }

    /// Queues a run and clears what the list has room for. Gives the number of frames cleared.
    pub fn push(&mut self, base: u32, count: u32, size: PageSize, memory: &mut Memory) -> u64 {
        if count == 0 || self.room() == 0 || self.lane(size).depth == 0 {
            self.overflow = true;
            return 0;
        }
        let lane = self.lane_mut(size);
        lane.runs.push_back(Run { base: base & lane.mask, count });
        lane.refill(memory)
    }

    /// Grants the oldest cleared frame; the next one of the queue takes its place in the list.
    /// Gives the frame and the number of frames cleared.
    pub fn grant(&mut self, size: PageSize, memory: &mut Memory) -> Option<(u32, u64)> {
        let lane = self.lane_mut(size);
        let frame = lane.list.pop_front()?;
        Some((frame, lane.refill(memory)))
    }

    /// Moves a frame that is pending to the front of its list, cleared. Gives whether it was.
    pub fn prefer(&mut self, frame: u32, size: PageSize, memory: &mut Memory) -> bool {
        let lane = self.lane_mut(size);
        let pending = lane.take(frame);
        if pending {
            clear(memory, frame, size);
            lane.list.push_front(frame);
            // One came in, so the youngest goes back to wait if the list was full.
            if lane.list.len() > lane.depth {
                if let Some(base) = lane.list.pop_back() {
                    lane.runs.push_front(Run { base, count: 1 });
                }
            }
            lane.refill(memory);
        }
        pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splitmem_abi::request::FULL_MASK;

    fn small() -> (Frames, Memory) {
        (Frames::new(&HwConfig::SMALL), Memory::new(HwConfig::SMALL.pa_bits))
    }

    fn drain(frames: &mut Frames, memory: &mut Memory, size: PageSize) -> Vec<u32> {
        std::iter::from_fn(|| frames.grant(size, memory).map(|(frame, _)| frame)).collect()
    }

    #[test]
    fn frames_are_granted_in_order_and_cleared_when_listed() {
        let (mut frames, mut memory) = small();
        for frame in 100..300 {
            memory.write(frame << 6, &[9; 64], FULL_MASK);
        }
        assert_eq!(frames.push(100, 200, PageSize::Small, &mut memory), 64);
        assert_eq!((frames.free(PageSize::Small), frames.pending(PageSize::Small)), (64, 200));
        assert_eq!(memory.line(163 << 6), [0; 64]);
        assert_eq!(memory.line(164 << 6), [9; 64]);
        assert_eq!(
            drain(&mut frames, &mut memory, PageSize::Small),
            (100..300).collect::<Vec<_>>()
        );
        assert_eq!(memory.line(299 << 6), [0; 64]);
        assert!(!frames.busy());
    }

    #[test]
    fn sizes_do_not_wait_for_each_other() {
        let (mut frames, mut memory) = small();
        frames.push(0, 1000, PageSize::Small, &mut memory);
        frames.push(1024, 2, PageSize::Huge, &mut memory);
        assert_eq!(drain(&mut frames, &mut memory, PageSize::Huge), [1024, 1536]);
    }

    #[test]
    fn a_push_without_room_or_frames_is_dropped() {
        let (mut frames, mut memory) = small();
        frames.push(0, 0, PageSize::Small, &mut memory);
        assert!(frames.overflow);
        frames.overflow = false;
        for run in 0..4 {
            assert_eq!(frames.room(), 4 - run);
            frames.push(run * 1000, 100, PageSize::Small, &mut memory);
        }
        assert_eq!((frames.room(), frames.overflow), (0, false));
        frames.push(5000, 1, PageSize::Huge, &mut memory);
        assert!(frames.overflow);
        assert_eq!(frames.pending(PageSize::Huge), 0);
    }

    #[test]
    fn a_size_without_a_list_is_refused() {
        let mut frames = Frames::new(&HwConfig::MICRO);
        let mut memory = Memory::new(HwConfig::MICRO.pa_bits);
        frames.push(0, 1, PageSize::Huge, &mut memory);
        assert!(frames.overflow);
        assert_eq!((frames.pending(PageSize::Huge), frames.room()), (0, 4));
        assert_eq!(frames.push(1, 20, PageSize::Small, &mut memory), 16);
    }

    #[test]
    fn a_preferred_frame_comes_next_and_none_is_lost() {
        for wanted in [0, 5, 63, 64, 65, 99, 199] {
            let (mut frames, mut memory) = small();
            frames.push(0, 100, PageSize::Small, &mut memory);
            frames.push(100, 100, PageSize::Small, &mut memory);
            assert!(frames.prefer(wanted, PageSize::Small, &mut memory));
            let mut order = drain(&mut frames, &mut memory, PageSize::Small);
            assert_eq!(order[0], wanted);
            assert!(order[1..].is_sorted(), "{order:?}");
            order.sort_unstable();
            assert_eq!(order, (0..200).collect::<Vec<_>>());
            assert!(!frames.prefer(wanted, PageSize::Small, &mut memory));
        }
    }
}
