//! What there is to map and to hit: pids, ranges of pages, pages that share a frame, frames.

use super::mode::Shape;
use crate::hw::Hw;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::Rng;
use splitmem_abi::geometry::{page_key, PageSize, FRAMES_PER_HUGE, HUGE_BIT, VREGION_SHIFT};
use splitmem_abi::hash;
use std::ops::Range;

/// What the monitor has done with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// No entry.
    Unmapped,
    /// A valid entry.
    Mapped,
}

/// A page that requests go to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub pid: u16,
    pub va: u64,
    pub state: State,
    /// Requests sent and not yet answered.
    pub in_flight: u32,
    /// No new requests for now.
    pub frozen: bool,
}

/// Consecutive pages of one pid: indices of [`World::pages`].
pub(super) type Area = Range<usize>;

/// Pages that map one frame: indices of [`World::pages`].
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub pages: Vec<usize>,
    /// The frame while it is mapped: the hardware's and the model's.
    pub frame: Option<FramePair>,
}

/// A frame of the hardware, and the one of the model that plays its part. They differ once first
/// writes have overtaken one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FramePair {
    pub hw: u32,
    pub model: u32,
}

/// All that the stimulus chooses from.
pub(super) struct World {
    /// First frame of the page table.
    pub table_base: u32,
    /// log2 of its buckets.
    pub table_log2: u32,
    pub pages: Vec<Page>,
    pub areas: Vec<Area>,
    pub groups: Vec<Group>,
    /// Frames at the beginning, by size.
    pub frames: [Vec<u32>; 2],
}

impl World {
    pub fn new(hw: Hw, shape: &Shape, rng: &mut SmallRng) -> Self {
        let small = hw == Hw::Small;
        let scale = if small { 4 } else { 1 };
        let mut pids: Vec<u16> = vec![0, u16::MAX, 1];
        while pids.len() < 12 {
            // Neighbours that differ in one bit, and any.
            let near = pids[rng.random_range(0..pids.len())] ^ 1 << rng.random_range(0..16);
            pids.push(if rng.random() { near } else { rng.random() });
        }

        let mut world = Self {
            table_base: 0,
            table_log2: 0,
            pages: Vec::new(),
            areas: Vec::new(),
            groups: Vec::new(),
            frames: [Vec::new(), Vec::new()],
        };
        let mut vas: Vec<u64> = Vec::new();
        for i in 0..(shape.areas / scale).max(3) + shape.huge_areas {
            let huge = i < shape.huge_areas;
            let pages = if huge { 2 } else { rng.random_range(1..=shape.area_pages) };
            for _ in 0..100 {
                let pid = pids[rng.random_range(0..pids.len())];
                // Often an address that another pid uses too.
                let va = match vas.choose(rng) {
                    Some(&va) if rng.random() && PageSize::of(va) == size(huge) => va,
                    _ => world.address(hw, shape, huge, rng),
                };
                if world.add_area(pid, va, pages) {
                    vas.push(va);
                    break;
                }
            }
        }
        for i in 0..shape.groups {
            let huge = i == 0 && !small;
            let mut group = Group { pages: Vec::new(), frame: None };
            for _ in 0..rng.random_range(2..=4) {
                let pid = pids[rng.random_range(0..pids.len())];
                let va = world.address(hw, shape, huge, rng);
                if world.is_new(pid, va, 1) {
                    group.pages.push(world.pages.len());
                    world.add_page(pid, va);
                }
            }
            world.groups.push(group);
        }

        let small_pages = world.pages.iter().filter(|p| PageSize::of(p.va) == PageSize::Small);
        let small_pages = small_pages.count();
        // Three of four slots are enough to meet full buckets.
        world.table_log2 = (small_pages as u32 / 2).next_power_of_two().ilog2().clamp(6, 12);
        world.place_frames(hw, shape, small_pages, rng);
        world
    }

    fn address(&self, hw: Hw, shape: &Shape, huge: bool, rng: &mut SmallRng) -> u64 {
        let size = size(huge);
        let region = rng.random_range(0..1u64 << (HUGE_BIT - VREGION_SHIFT));
        let pages = 1u64 << (VREGION_SHIFT - size.shift());
        let page = if shape.bunch {
            // The same low bits of the page number, whatever part of them selects the TLB's set.
            rng.random_range(0..pages / u64::from(hw.config().tlb_sets).min(pages))
                * u64::from(hw.config().tlb_sets).min(pages)
        } else {
            rng.random_range(0..pages - shape.area_pages.min(pages / 2))
        };
        (huge as u64) << HUGE_BIT | region << VREGION_SHIFT | page << size.shift()
    }

    fn is_new(&self, pid: u16, va: u64, pages: u64) -> bool {
        let bytes = PageSize::of(va).bytes();
        !self
            .pages
            .iter()
            .any(|page| page.pid == pid && (va..va + pages * bytes).contains(&page.va))
    }

    fn add_page(&mut self, pid: u16, va: u64) {
        self.pages.push(Page { pid, va, state: State::Unmapped, in_flight: 0, frozen: false });
    }

    fn add_area(&mut self, pid: u16, va: u64, pages: u64) -> bool {
        let new = self.is_new(pid, va, pages);
        if new {
            let first = self.pages.len();
            for i in 0..pages {
                self.add_page(pid, va + i * PageSize::of(va).bytes());
            }
            self.areas.push(first..self.pages.len());
        }
        new
    }

    /// Chooses the table's place and the frames: 2 MiB blocks, each either one huge frame or cut in
    /// 4 KiB ones, all over the memory.
    fn place_frames(&mut self, hw: Hw, shape: &Shape, small_pages: usize, rng: &mut SmallRng) {
        let blocks = (hw.config().frames() / u64::from(FRAMES_PER_HUGE)) as u32;
        let mut order: Vec<u32> = if blocks <= 64 {
            (0..blocks).collect()
        } else {
            // The first, the last, and some between.
            let between = (0..62).map(|_| rng.random_range(1..blocks - 1));
            between.chain([0, blocks - 1]).collect()
        };
        order.sort_unstable();
        order.dedup();
        order.shuffle(rng);
        // The smallest component has 16 blocks: enough for what follows.
        let mut blocks = order.into_iter().map(|block| block * FRAMES_PER_HUGE);

        let table_frames = (1 << self.table_log2) / 64;
        let table_block = blocks.next().unwrap_or(0);
        self.table_base = table_block + rng.random_range(0..=FRAMES_PER_HUGE - table_frames);

        let wanted = (small_pages as f64 * shape.frames_per_page) as usize + 4;
        while self.frames[0].len() < wanted {
            let Some(block) = blocks.next() else { break };
            let count = (wanted - self.frames[0].len()).min(FRAMES_PER_HUGE as usize) as u32;
            let first = block + rng.random_range(0..=FRAMES_PER_HUGE - count);
            self.frames[0].extend(first..first + count);
        }
        let huge_pages = self.pages.len() - small_pages;
        let wanted = (huge_pages as f64 * shape.frames_per_page) as usize + 1;
        self.frames[1] = blocks.take(wanted.min(8)).collect();
    }

    /// Physical line number of the bucket of a page.
    pub fn bucket_line(&self, pid: u16, va: u64) -> u64 {
        (u64::from(self.table_base) << 6) + u64::from(hash::bucket(pid, va, self.table_log2))
    }

    /// Whether a physical line is part of the page table.
    pub fn in_table(&self, line: u64) -> bool {
        let first = u64::from(self.table_base) << 6;
        (first..first + (1 << self.table_log2)).contains(&line)
    }

    /// The page with this pid and key.
    pub fn find(&self, pid: u16, va: u64) -> Option<usize> {
        let key = page_key(va);
        self.pages.iter().position(|page| page.pid == pid && page_key(page.va) == key)
    }
}

fn size(huge: bool) -> PageSize {
    if huge {
        PageSize::Huge
    } else {
        PageSize::Small
    }
}
