//! Several processes allocate, touch, share, protect and free at random. After every command the
//! page table in DRAM, the frames and all answers are what they must be.

mod common;

use common::{pages_of, proptest_config, Capacity, World, HARDWARE};
use mcomponent_firmware::MonitorConfig;
use proptest::prelude::*;
use proptest::sample::Index;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Permission, Range, ReturnCode};
use splitmem_abi::request::Status;
use std::collections::BTreeMap;

const PIDS: u16 = 4;

#[derive(Clone, Debug)]
enum Step {
    Alloc {
        pid: u16,
        size: PageSize,
        pages: u32,
        permission: Permission,
        shareable: bool,
    },
    /// A part of an allocation: which one, from where, how much.
    Free(Index, Index, Index),
    Protect(Index, Index, Index, Permission),
    Share(Index, u16, Permission),
    Drop(u16),
    /// Touches many pages of one allocation.
    Fill(Index),
    /// Touches a page.
    Write(Index),
    /// A range that is not (wholly) allocated.
    FreeWrong(Index, u32),
}

fn permission() -> impl Strategy<Value = Permission> {
    prop_oneof![
        6 => Just(Permission::RW),
        2 => Just(Permission::RO),
        1 => Just(Permission { read: false, write: true }),
        1 => Just(Permission { read: false, write: false }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        6 => (0..PIDS, 1u32..400, permission(), prop::bool::weighted(0.2)).prop_map(
            |(pid, pages, permission, shareable)| {
                let pages = if shareable { pages / 4 + 1 } else { pages };
                Step::Alloc { pid, size: PageSize::Small, pages, permission, shareable }
            }
        ),
        2 => (0..PIDS, 1u32..3, permission(), prop::bool::weighted(0.3)).prop_map(
            |(pid, pages, permission, shareable)| {
                Step::Alloc { pid, size: PageSize::Huge, pages, permission, shareable }
            }
        ),
        5 => (index(), index(), index()).prop_map(|(a, b, c)| Step::Free(a, b, c)),
        2 => (index(), index(), index(), permission())
            .prop_map(|(a, b, c, p)| Step::Protect(a, b, c, p)),
        3 => (index(), 0..PIDS, permission()).prop_map(|(a, pid, p)| Step::Share(a, pid, p)),
        1 => (0..PIDS).prop_map(Step::Drop),
        3 => index().prop_map(Step::Fill),
        4 => index().prop_map(Step::Write),
        2 => (index(), 0u32..4).prop_map(|(a, how)| Step::FreeWrong(a, how)),
    ]
}

fn part(range: Range, from: Index, len: Index) -> Range {
    let first = from.index(range.pages as usize) as u32;
    let pages = 1 + len.index((range.pages - first) as usize) as u32;
    let va = range.va + first as u64 * PageSize::of(range.va).bytes();
    Range { va, pages, ..range }
}

/// 2 MiB and 4 KiB pages that need a frame: shared ones once.
fn promised(world: &World) -> (u32, u32) {
    let cells: BTreeMap<u64, PageSize> =
        world.pages.iter().map(|(page, p)| (p.cell, PageSize::of(page.1))).collect();
    let huge = cells.values().filter(|&&size| size == PageSize::Huge).count();
    (huge as u32, (cells.len() - huge) as u32)
}

/// Whether a refusal for want of memory, or its absence, is right.
fn check_admission(world: &World, before: (u32, u32), size: PageSize, pages: u32, refused: bool) {
    let layout = world.monitor.layout();
    let frames = layout.frames() - layout.table_frames();
    let blocks = layout.frames() / 512 - layout.table_frames().div_ceil(512);
    let (huge, small) = before;
    match size {
        PageSize::Small => assert_eq!(refused, small + pages + 512 * huge > frames),
        // 4 KiB pages may stand in the way of 2 MiB ones, but nothing else may.
        PageSize::Huge if refused => assert!(huge + pages > blocks || small > 0),
        PageSize::Huge => {
            assert!(huge + pages <= blocks && small + 512 * (huge + pages) <= frames);
        }
    }
}

/// What may be refused, besides for want of memory.
#[derive(Clone, Copy, Default)]
struct Limits {
    /// The tables are small.
    tight: bool,
    /// More memory is promised than there is.
    overcommit: bool,
}

fn run(world: &mut World, steps: &[Step], Limits { tight, overcommit }: Limits) {
    let mut held: Vec<Range> = vec![];
    let may_fail = |code| {
        tight && matches!(code, ReturnCode::NoAddress | ReturnCode::TablesFull)
            || overcommit && matches!(code, ReturnCode::NoAddress | ReturnCode::NoMemory)
    };
    let ended_well = |status| overcommit || status != Status::NoMemory;
    for step in steps {
        match *step {
            Step::Alloc { pid, size, pages, permission, shareable } => {
                let before = promised(world);
                let result = world.alloc(pid, size, pages, permission, shareable);
                let refused = result == Err(ReturnCode::NoMemory);
                if !overcommit {
                    check_admission(world, before, size, pages, refused);
                }
                match result {
                    Ok(range) => held.push(range),
                    Err(code) => assert!(refused || may_fail(code), "{code:?}"),
                }
            }
            Step::Free(which, from, len) if !held.is_empty() => {
                let i = which.index(held.len());
                let gone = part(held[i], from, len);
                let code = world.free(gone);
                if code != ReturnCode::Success {
                    assert!(may_fail(code), "{code:?}");
                    continue;
                }
                let range = held.swap_remove(i);
                let bytes = PageSize::of(gone.va).bytes();
                let before = ((gone.va - range.va) / bytes) as u32;
                let behind = gone.va + gone.pages as u64 * bytes;
                let rest = range.pages - before - gone.pages;
                held.extend((before > 0).then_some(Range { pages: before, ..range }));
                held.extend((rest > 0).then_some(Range { va: behind, pages: rest, ..range }));
                for (pid, va) in [(gone.pid, gone.va), (gone.pid, behind - bytes)] {
                    world.check(pid, va);
                    assert_eq!(world.write(pid, va), Status::NotMapped);
                }
                // Once more is once too often.
                assert_eq!(world.free(gone), ReturnCode::NotAllocated);
            }
            Step::Protect(which, from, len, permission) if !held.is_empty() => {
                let range = part(held[which.index(held.len())], from, len);
                let code = world.protect(range, permission);
                assert!(code == ReturnCode::Success || may_fail(code), "{code:?}");
            }
            Step::Share(which, pid, permission) if !held.is_empty() => {
                let source = held[which.index(held.len())];
                match world.share(source, pid, permission) {
                    Ok(range) => held.push(range),
                    Err(code) => assert!(
                        pid == source.pid || code == ReturnCode::NotShareable || may_fail(code)
                    ),
                }
            }
            Step::Drop(pid) => {
                assert_eq!(world.drop_process(pid), ReturnCode::Success);
                held.retain(|range| range.pid != pid);
            }
            Step::Fill(which) if !held.is_empty() => {
                for (pid, va) in pages_of(held[which.index(held.len())]) {
                    // What was promised is there.
                    assert!(ended_well(world.write(pid, va)));
                }
            }
            Step::Write(which) if !world.pages.is_empty() => {
                let i = which.index(world.pages.len());
                let &(pid, va) = world.pages.keys().nth(i).expect("in range");
                assert!(ended_well(world.write(pid, va)));
                world.check(pid, va);
            }
            Step::FreeWrong(which, how) if !held.is_empty() => {
                let range = held[which.index(held.len())];
                let bytes = PageSize::of(range.va).bytes();
                let wrong = match how {
                    0 => Range { pid: PIDS, ..range },
                    1 => Range { va: 5 << 12, pages: 1, ..range },
                    2 => Range { pages: range.pages + 100_000, ..range },
                    _ => Range { va: range.va + range.pages as u64 * bytes, ..range },
                };
                let allocated = pages_of(wrong).all(|page| world.pages.contains_key(&page));
                if !allocated {
                    let misses = ReturnCode::NotAllocated;
                    let beyond = wrong.va + wrong.pages as u64 * bytes > 1 << 48;
                    if !beyond {
                        assert_eq!(world.free(wrong), misses);
                        assert_eq!(world.protect(wrong, Permission::RW), misses);
                        assert_eq!(world.share(wrong, PIDS + 1, Permission::RW), Err(misses));
                    }
                }
            }
            _ => {}
        }
        world.audit();
        for &(pid, va) in world.pages.clone().keys().step_by(17) {
            world.check(pid, va);
        }
    }
    // Everything comes back, and can be had again, each frame once, cleared.
    for pid in 0..PIDS {
        assert_eq!(world.drop_process(pid), ReturnCode::Success);
    }
    world.audit();
    let layout = world.monitor.layout();
    let mut left = layout.frames() - layout.table_frames();
    while left > 0 {
        let pages = left.min(100);
        let range = match world.alloc_rw(9, PageSize::Small, pages) {
            Ok(range) => range,
            Err(code) if may_fail(code) => return,
            Err(code) => panic!("{code:?} with {left} frames left"),
        };
        for (pid, va) in pages_of(range) {
            world.check(pid, va);
            assert_eq!(world.write(pid, va), Status::Ok);
            world.check(pid, va);
        }
        left -= pages;
    }
    world.audit();
    let one_more = world.alloc_rw(9, PageSize::Small, 1);
    assert!(overcommit || one_more == Err(ReturnCode::NoMemory));
}

proptest! {
    #![proptest_config(proptest_config(100))]

    #[test]
    fn memory_stays_in_order(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(HARDWARE, &MonitorConfig::default(), Capacity::default());
        run(&mut world, &steps, Limits::default());
    }

    #[test]
    fn memory_stays_in_order_with_small_tables(
        steps in prop::collection::vec(step(), 1..60),
        log2_buckets in 6u32..9,
        records in 3usize..12,
        shares in 0usize..80,
    ) {
        let config = MonitorConfig {
            log2_buckets: Some(log2_buckets),
            ..MonitorConfig::default()
        };
        let mut world = World::new(HARDWARE, &config, Capacity { records, shares });
        run(&mut world, &steps, Limits { tight: true, ..Limits::default() });
    }

    #[test]
    fn memory_stays_in_order_with_overcommit(steps in prop::collection::vec(step(), 1..60)) {
        let config = MonitorConfig { overcommit: true, ..MonitorConfig::default() };
        let mut world = World::new(HARDWARE, &config, Capacity::default());
        run(&mut world, &steps, Limits { overcommit: true, ..Limits::default() });
    }
}

proptest! {
    // Fewer cases: each has dozens of recoveries, which ask for every page.
    #![proptest_config(proptest_config(16))]

    /// The monitor dies at any register access, in commands, refills and while it recovers, and is
    /// started again on its journal: nothing is lost, granted twice, or refused that should not be.
    #[test]
    fn memory_stays_in_order_over_restarts(
        steps in prop::collection::vec(step(), 1..40),
        one_in in 1u32..6,
        seed in any::<u64>(),
    ) {
        let config = MonitorConfig::default();
        let mut world = World::mortal(&config, Capacity::default(), one_in, seed);
        run(&mut world, &steps, Limits::default());
    }
}
