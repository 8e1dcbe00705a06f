//! Zeroing engine and free lists: what is granted was cleared, once, and none is lost.

use crate::bench::{Bench, Side, CONFIG, HUGE_LINES};
use rand::Rng;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::field::{FREE_4K_POP, IRQ_STATUS, ZERO_PUSH, ZERO_STATUS};
use splitmem_abi::regs::{self, Register};
use std::collections::{HashMap, VecDeque};

#[derive(Clone, Copy)]
struct Size {
    page: PageSize,
    name: &'static str,
    depth: u32,
    lines: u32,
    pop: Register,
    pending: Register,
    free: Register,
}

const SIZES: [Size; 2] = [
    Size {
        page: PageSize::Small,
        name: "4k",
        depth: CONFIG.free_4k,
        lines: PageSize::Small.lines(),
        pop: regs::FREE_4K_POP,
        pending: regs::PENDING_4K,
        free: regs::FREE_4K,
    },
    Size {
        page: PageSize::Huge,
        name: "2m",
        depth: CONFIG.free_2m,
        lines: HUGE_LINES,
        pop: regs::FREE_2M_POP,
        pending: regs::PENDING_2M,
        free: regs::FREE_2M,
    },
];

/// Frames pushed of each size and not yet granted, in order.
#[derive(Default)]
struct Expected {
    frames: [VecDeque<u32>; 2],
    granted: [u32; 2],
    /// How often the zeroing engine wrote a line.
    writes: HashMap<u64, u32>,
}

impl Expected {
    fn push(&mut self, bench: &mut Bench, size: usize, base: u32, count: u32) {
        let size_of = SIZES[size].page;
        bench.write(&regs::ZERO_BASE, base);
        let huge = ZERO_PUSH::HUGE.put(size as u32);
        bench.write(&regs::ZERO_PUSH, ZERO_PUSH::COUNT.put(count) | huge);
        let mask = CONFIG.frame_mask() & !(size_of.frames() - 1);
        for i in 0..count {
            self.frames[size].push_back(((base & mask) + i * size_of.frames()) & mask);
        }
    }

    /// A frame was granted or popped: it is the oldest one, and all its lines were written and
    /// acknowledged exactly once since it was pushed.
    fn takes(&mut self, bench: &mut Bench, size: usize, frame: u32) {
        for line in bench.zeroed.drain(..) {
            *self.writes.entry(line).or_default() += 1;
        }
        assert_eq!(Some(frame), self.frames[size].pop_front(), "{}", SIZES[size].name);
        for line in 0..SIZES[size].lines as u64 {
            let line = ((frame as u64) << 6) + line;
            assert_eq!(self.writes.remove(&line), Some(1), "frame {frame:#x} line {line:#x}");
        }
        self.granted[size] += 1;
    }

    /// One cycle in which grants are taken with some chance.
    fn cycle(&mut self, bench: &mut Bench, chance: u32) {
        for (size, Size { name, .. }) in SIZES.into_iter().enumerate() {
            bench.dut.set(&format!("grant_{name}_take"), 0);
            bench.dut.settle();
            let valid = bench.dut.is(&format!("grant_{name}_valid"));
            let more = bench.dut.is(&format!("more_{name}"));
            // With neither up, nothing is on its way.
            assert!(valid || more || self.frames[size].is_empty());
            assert!(!more || !self.frames[size].is_empty());
            if valid && bench.chance(chance) {
                let frame = bench.dut.get(&format!("grant_{name}_frame")) as u32;
                self.takes(bench, size, frame);
                bench.dut.set(&format!("grant_{name}_take"), 1);
            }
        }
        bench.cycle();
        for size in SIZES {
            bench.dut.set(&format!("grant_{}_take", size.name), 0);
        }
    }
}

#[test]
fn every_frame_is_cleared_and_granted_once_in_order() {
    for seed in 0..4 {
        let mut bench = Bench::new(200 + seed);
        let mut expected = Expected::default();
        let mut next = [0x400, 0x8000];
        for _ in 0..40 {
            bench.pace = [100, 50, 20][bench.rng.random_range(0..3)];
            bench.hold = [0, 0, 40, 150][bench.rng.random_range(0..4)];
            let size = bench.rng.random_range(0..2);
            let status = bench.read(&regs::ZERO_STATUS);
            if ZERO_STATUS::ROOM.get(status) > 0 {
                let count = bench.rng.random_range(1..if size == 0 { 30 } else { 8 });
                // Low bits of a 2 MiB frame's number are ignored.
                let odd = if size == 1 { 5 } else { 0 };
                expected.push(&mut bench, size, next[size] | odd, count);
                next[size] = (next[size] + count * SIZES[size].page.frames()) & CONFIG.frame_mask();
            }
            let chance = [0, 3, 50, 100][bench.rng.random_range(0..4)];
            for _ in 0..bench.rng.random_range(0..1500) {
                expected.cycle(&mut bench, chance);
            }
            for (size, registers) in SIZES.iter().enumerate() {
                let pending = bench.read(&registers.pending);
                assert_eq!(pending as usize, expected.frames[size].len());
                let free = bench.read(&registers.free);
                assert!(free <= pending && free <= registers.depth);
                if bench.chance(50) {
                    let popped = bench.read(&registers.pop);
                    let valid = FREE_4K_POP::VALID.get(popped) == 1;
                    assert!(valid || free == 0, "pop of {free} gave none");
                    if valid {
                        expected.takes(&mut bench, size, FREE_4K_POP::FRAME.get(popped));
                    } else {
                        assert_eq!(popped, 0);
                    }
                }
            }
        }
        bench.pace = 100;
        bench.hold = 0;
        while expected.frames.iter().any(|frames| !frames.is_empty()) {
            assert!(bench.cycle < 400_000, "frames are stuck");
            expected.cycle(&mut bench, 100);
        }
        assert!(expected.granted.iter().all(|&n| n > 15), "{:?}", expected.granted);
        assert_eq!(bench.zeros_pending(), 0);
        assert!(expected.writes.is_empty(), "lines beside the frames were written");
        assert_eq!(bench.read(&regs::ZERO_STATUS), CONFIG.zero_queue);
    }
}

#[test]
fn lines_go_out_every_cycle_of_a_frame_and_grants_come_every_second_cycle() {
    let mut bench = Bench::new(1);
    let mut expected = Expected::default();
    bench.pace = 100;
    bench.hold = 150;
    bench.in_order = true;
    expected.push(&mut bench, 0, 0x100, 30);
    expected.push(&mut bench, 0, 0x200, 30);
    while !bench.dut.is("zero_cmd_valid") {
        bench.cycle();
    }
    // One cycle passes between two frames of 64 lines.
    let mut gaps = vec![];
    for cycle in 0..60 * 65 - 100 {
        if !bench.dut.is("zero_cmd_valid") {
            gaps.push(cycle);
        }
        bench.cycle();
    }
    assert!(gaps.iter().all(|cycle| cycle % 65 == gaps[0]), "gaps after {gaps:?} cycles");
    assert_eq!(gaps.len(), 58);
    bench.hold = 0;
    bench.cycles(1000);
    assert_eq!(bench.read(&regs::FREE_4K), 60);
    for _ in 0..60 {
        assert!(bench.dut.is("grant_4k_valid"));
        expected.cycle(&mut bench, 100);
        bench.cycle();
    }
    assert!(!bench.dut.is("grant_4k_valid"));
    assert!(!bench.dut.is("more_4k"));
}

#[test]
fn a_pop_never_meets_a_grant() {
    let mut bench = Bench::new(2);
    let mut expected = Expected::default();
    bench.pace = 100;
    expected.push(&mut bench, 0, 0x100, 64);
    bench.cycles(64 * 70);
    // Grants are taken in every cycle of the pop's access in turn; both come from the same head.
    for at in 0..12 {
        bench.dut.set("m_valid", 1);
        bench.dut.set("m_addr", regs::FREE_4K_POP.offset as u64);
        let mut taken = Vec::new();
        let mut cycle = 0;
        let popped = loop {
            bench.dut.settle();
            if bench.dut.is("m_done") {
                break bench.dut.get("m_rdata") as u32;
            }
            let take = cycle >= at && cycle < at + 3 && bench.dut.is("grant_4k_valid");
            if take {
                taken.push(bench.dut.get("grant_4k_frame") as u32);
            }
            bench.dut.set("grant_4k_take", take as u64);
            bench.cycle();
            bench.dut.set("grant_4k_take", 0);
            cycle += 1;
        };
        bench.dut.set("m_valid", 0);
        bench.cycles(2);
        assert_eq!(FREE_4K_POP::VALID.get(popped), 1);
        taken.push(FREE_4K_POP::FRAME.get(popped));
        taken.sort_unstable();
        for frame in taken {
            expected.takes(&mut bench, 0, frame);
        }
    }
    let left = expected.frames[0].len() as u32;
    assert_eq!((bench.read(&regs::PENDING_4K), bench.read(&regs::FREE_4K)), (left, left));
    for _ in 0..left {
        let frame = FREE_4K_POP::FRAME.get(bench.read(&regs::FREE_4K_POP));
        expected.takes(&mut bench, 0, frame);
    }
    assert_eq!(bench.read(&regs::FREE_4K_POP), 0);
}

#[test]
fn nothing_is_granted_before_its_last_acknowledge() {
    let mut bench = Bench::new(3);
    let mut expected = Expected::default();
    bench.pace = 100;
    // All acknowledges but one come, in any order.
    bench.hold = 64;
    expected.push(&mut bench, 0, 0x77, 1);
    while bench.zeroed.len() + bench.zeros_pending() < 64 {
        bench.cycle();
    }
    while bench.zeros_pending() > 0 {
        bench.cycles(5);
        if bench.zeros_pending() > 0 {
            assert!(!bench.dut.is("grant_4k_valid") && bench.dut.is("more_4k"));
            assert_eq!(bench.read(&regs::FREE_4K), 0);
        }
    }
    bench.cycles(6);
    assert!(bench.dut.is("grant_4k_valid"));
    let frame = bench.dut.get("grant_4k_frame") as u32;
    expected.takes(&mut bench, 0, frame);
}

#[test]
fn a_full_list_of_one_size_does_not_hold_up_the_other() {
    let mut bench = Bench::new(4);
    let mut expected = Expected::default();
    bench.pace = 100;
    expected.push(&mut bench, 1, 0, 20);
    expected.push(&mut bench, 0, 0x3000, 2);
    bench.cycles(3000);
    assert_eq!(bench.read(&regs::FREE_2M), CONFIG.free_2m);
    assert_eq!(bench.read(&regs::PENDING_2M), 20);
    assert_eq!(bench.read(&regs::FREE_4K), 2);
    while expected.frames.iter().any(|frames| !frames.is_empty()) {
        expected.cycle(&mut bench, 100);
    }
}

#[test]
fn pushes_without_room_or_frames_are_dropped() {
    let mut bench = Bench::new(5);
    let mut expected = Expected::default();
    bench.pace = 0;
    bench.write(&regs::ZERO_PUSH, 0);
    let overflow = |bench: &mut Bench| ZERO_STATUS::OVERFLOW.get(bench.read(&regs::ZERO_STATUS));
    assert_eq!(overflow(&mut bench), 1);
    bench.reset();
    // One run of each size goes to work, the rest of them fill the queue.
    for i in 0..CONFIG.zero_queue + 2 {
        assert_eq!(overflow(&mut bench), 0);
        let room = ZERO_STATUS::ROOM.get(bench.read(&regs::ZERO_STATUS));
        assert_eq!(room, CONFIG.zero_queue.min(CONFIG.zero_queue + 2 - i));
        expected.push(&mut bench, (i & 1) as usize, i * 0x800, 3);
    }
    bench.write(&regs::ZERO_PUSH, ZERO_PUSH::COUNT.put(1));
    assert_eq!(overflow(&mut bench), 1);
    assert_eq!(bench.read(&regs::PENDING_4K), expected.frames[0].len() as u32);
    bench.pace = 100;
    while expected.frames.iter().any(|frames| !frames.is_empty()) {
        expected.cycle(&mut bench, 100);
    }
}

#[test]
fn running_low_interrupts() {
    let mut bench = Bench::new(6);
    let mut expected = Expected::default();
    bench.pace = 100;
    for size in 0..2 {
        let (threshold, cause) = match size {
            0 => (regs::FREE_4K_LOW, IRQ_STATUS::FREE_4K_LOW),
            _ => (regs::FREE_2M_LOW, IRQ_STATUS::FREE_2M_LOW),
        };
        bench.write(&regs::IRQ_MASK, cause.mask());
        expected.push(&mut bench, size, 0, 3);
        bench.write(&threshold, 3);
        bench.cycles(2000);
        assert!(!bench.dut.is("irq_monitor"), "three are not fewer than three");
        expected.cycle(&mut bench, 100);
        bench.cycles(4);
        assert!(bench.dut.is("irq_monitor"));
        // The level comes back as long as it holds.
        bench.write(&regs::IRQ_STATUS, cause.mask());
        assert_eq!(bench.read(&regs::IRQ_STATUS) & cause.mask(), cause.mask());
        expected.push(&mut bench, size, 0x1000, 1);
        bench.write(&regs::IRQ_STATUS, cause.mask());
        assert_eq!(bench.read(&regs::IRQ_STATUS) & cause.mask(), 0);
        assert!(!bench.dut.is("irq_monitor"));
        assert!(bench.access(Side::Host, None, threshold.offset).1);
        while !expected.frames[size].is_empty() {
            expected.cycle(&mut bench, 100);
        }
        bench.write(&threshold, 0);
        bench.write(&regs::IRQ_STATUS, cause.mask());
    }
}
