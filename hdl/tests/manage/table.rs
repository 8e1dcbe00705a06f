//! The table engine against a model of the buckets.

use crate::bench::{Bench, Line, CONFIG};
use rand::Rng;
use splitmem_abi::geometry::{page_key, PageSize, FRAME_BITS, HUGE_BIT, VREGION_SHIFT};
use splitmem_abi::hash::bucket;
use splitmem_abi::pte::{decode_bucket, encode_slot, Pte, FAULT_MASK};
use splitmem_abi::regs::field::{IRQ_STATUS, TE_FLAGS, TE_RESULT, TE_STATUS};
use splitmem_abi::regs::{self, TableCommand, TableError};
use std::collections::HashMap;

const BASE: u64 = 0x123;
const FRAME_LINES: u64 = 64;
const UNWRITTEN: Line = [0xee; 64];

#[derive(Clone, Copy, Debug)]
struct Job {
    code: u32,
    pid: u16,
    va: u64,
    count: u32,
    flags: u32,
    frame: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    done: u32,
    error: u32,
    results: Vec<u32>,
}

/// What `abi` says of a command, on the memory as it stands.
struct Model<'a> {
    memory: &'a mut HashMap<u64, Line>,
    poisoned: &'a dyn Fn(u64) -> bool,
    log2: u32,
}

impl Model<'_> {
    fn run(&mut self, job: &Job) -> Outcome {
        let mut outcome = Outcome::default();
        if !(1..=5).contains(&job.code) {
            outcome.error = TableError::BadCommand as u32;
            return outcome;
        }
        let size = PageSize::of(job.va);
        for i in 0..job.count {
            let page = Job {
                va: job.va + i as u64 * size.bytes(),
                frame: job.frame.wrapping_add(i * size.frames()) & ((1 << FRAME_BITS) - 1),
                ..*job
            };
            match self.page(&page, &mut outcome.results) {
                Ok(()) => outcome.done += 1,
                Err(error) => {
                    outcome.error = error as u32;
                    break;
                }
            }
        }
        outcome
    }

    fn page(&mut self, job: &Job, results: &mut Vec<u32>) -> Result<(), TableError> {
        let at = BASE * FRAME_LINES + bucket(job.pid, job.va, self.log2) as u64;
        if (self.poisoned)(at) {
            return Err(TableError::Poison);
        }
        let line = self.memory.entry(at).or_insert(UNWRITTEN);
        let slots = decode_bucket(line);
        let key = page_key(job.va);
        let find = |wanted: &dyn Fn(&Pte) -> bool| slots.iter().position(wanted);
        let valid = find(&|pte| pte.maps(job.pid, key)).ok_or(TableError::NotFound);
        let flag = |field: regs::Field| field.get(job.flags) == 1;
        let (read, write) = (flag(TE_FLAGS::READ), flag(TE_FLAGS::WRITE));
        match job.code {
            1 => {
                if valid.is_ok() {
                    return Err(TableError::Exists);
                }
                let slot = find(&|pte| pte.is_free()).ok_or(TableError::BucketFull)?;
                let present = flag(TE_FLAGS::PRESENT);
                let pte = Pte {
                    valid: true,
                    read,
                    write,
                    shared: flag(TE_FLAGS::SHARED),
                    dying: false,
                    present,
                    pid: job.pid,
                    key,
                    frame: if present { job.frame } else { 0 },
                };
                encode_slot(line, slot, pte);
            }
            2 => {
                let slot = valid?;
                line[16 * slot] = Pte { valid: false, dying: true, ..slots[slot] }.encode() as u8;
            }
            3 => {
                let dying = |pte: &Pte| pte.dying && pte.pid == job.pid && pte.key == key;
                let slot = find(&dying).ok_or(TableError::NotFound)?;
                if slots[slot].present {
                    results.push(report(&slots[slot]));
                }
                encode_slot(line, slot, Pte::default());
            }
            4 => {
                let slot = valid?;
                line[16 * slot] = Pte { read, write, ..slots[slot] }.encode() as u8;
            }
            _ => results.push(report(&slots[valid?])),
        }
        Ok(())
    }
}

fn report(pte: &Pte) -> u32 {
    TE_RESULT::FRAME.put(pte.frame)
        | TE_RESULT::WRITE.put(pte.write as u32)
        | TE_RESULT::SHARED.put(pte.shared as u32)
        | TE_RESULT::PRESENT.put(pte.present as u32)
        | TE_RESULT::VALID.put(1)
}

/// A bench with a cleared table of `1 << log2` buckets.
fn bench(seed: u64, log2: u32) -> Bench {
    let mut bench = Bench::new(seed);
    for bucket in 0..1 << log2 {
        bench.memory.insert(BASE * FRAME_LINES + bucket, [0; 64]);
    }
    bench.write(&regs::TABLE_BASE, BASE as u32);
    bench.write(&regs::TABLE_SIZE, log2);
    bench
}

fn start(bench: &mut Bench, job: &Job) {
    bench.write(&regs::TE_PID, job.pid as u32);
    bench.write(&regs::TE_VA_LO, job.va as u32);
    bench.write(&regs::TE_VA_HI, (job.va >> 32) as u32);
    bench.write(&regs::TE_COUNT, job.count);
    bench.write(&regs::TE_FLAGS, job.flags);
    bench.write(&regs::TE_FRAME, job.frame);
    bench.write(&regs::IRQ_STATUS, IRQ_STATUS::TE_DONE.mask());
    bench.write(&regs::TE_COMMAND, job.code);
}

fn finished(bench: &mut Bench) -> bool {
    TE_STATUS::BUSY.get(bench.read(&regs::TE_STATUS)) == 0
}

/// Waits for the end, with results read `eagerly` or only when the engine cannot go on.
fn finish(bench: &mut Bench, eagerly: bool) -> Outcome {
    let mut results = Vec::new();
    let mut idle = 0;
    loop {
        let over = finished(bench);
        if over || eagerly || idle > 20 {
            let result = bench.read(&regs::TE_RESULT);
            if TE_RESULT::VALID.get(result) == 1 {
                results.push(result);
                continue;
            }
            assert_eq!(result, 0);
        }
        if over {
            break;
        }
        idle += 1;
    }
    assert_eq!(IRQ_STATUS::TE_DONE.get(bench.read(&regs::IRQ_STATUS)), 1);
    let error = TE_STATUS::ERROR.get(bench.read(&regs::TE_STATUS));
    Outcome { done: bench.read(&regs::TE_DONE), error, results }
}

fn check(bench: &mut Bench, job: &Job, log2: u32, eagerly: bool) -> Outcome {
    let mut memory = bench.memory.clone();
    let poisoned = bench.poisoned.clone();
    let mut model = Model { memory: &mut memory, poisoned: &|line| poisoned.contains(&line), log2 };
    let expected = model.run(job);
    start(bench, job);
    let outcome = finish(bench, eagerly);
    assert_eq!(outcome, expected, "{job:x?}");
    for (line, data) in &memory {
        if *data != UNWRITTEN {
            assert_eq!(bench.memory.get(line), Some(data), "{job:x?} line {line:#x}");
        }
    }
    outcome
}

/// A page near the end of a vRegion, of one of few pids, so that commands meet.
fn some_job(bench: &mut Bench) -> Job {
    let rng = &mut bench.rng;
    let huge = rng.random_bool(0.4);
    let size = if huge { PageSize::Huge } else { PageSize::Small };
    let region = (huge as u64) << HUGE_BIT | rng.random_range(1..3) << VREGION_SHIFT;
    let page = region as i64 + rng.random_range(-20..20) * size.bytes() as i64;
    let in_page = rng.random_range(0..size.bytes());
    Job {
        code: if rng.random_bool(0.03) { rng.random_range(0..8) } else { rng.random_range(1..6) },
        pid: [3, 4, 0xfff0][rng.random_range(0..3)],
        va: page as u64 + in_page,
        count: [0, 1, 2, 5, 17, 40, 90][rng.random_range(0..7)],
        flags: rng.random::<u32>(),
        frame: rng.random::<u32>() & ((1 << FRAME_BITS) - 1),
    }
}

#[test]
fn random_commands_do_what_the_model_does() {
    let mut errors = [0; 6];
    let mut pages = 0;
    for seed in 0..6 {
        let log2 = 6 + (seed as u32 & 1);
        let mut bench = bench(100 + seed, log2);
        for round in 0..60 {
            bench.pace = [100, 60, 15][bench.rng.random_range(0..3)];
            bench.hold = [0, 4][bench.rng.random_range(0..2)];
            bench.poisoned.clear();
            if round % 5 == 0 {
                let bucket = bench.rng.random_range(0..1 << log2);
                bench.poisoned.insert(BASE * FRAME_LINES + bucket);
            }
            let job = some_job(&mut bench);
            let eagerly = bench.rng.random();
            let outcome = check(&mut bench, &job, log2, eagerly);
            errors[outcome.error as usize] += 1;
            pages += outcome.done;
        }
        assert_eq!(bench.table_in_flight, CONFIG.walk_entries as usize, "pages in flight");
    }
    println!("{pages} pages, outcomes {errors:?}");
    assert!(errors.iter().all(|&n| n > 0), "not all outcomes were met: {errors:?}");
}

#[test]
fn a_run_lives_through_all_commands() {
    for (seed, va) in [(1, 0x1234_5000), (2, 1 << HUGE_BIT | 0x7fe0_0000)] {
        let mut bench = bench(seed, 7);
        let job = |code: TableCommand, flags| Job {
            code: code as u32,
            pid: 77,
            va,
            count: 50,
            flags,
            frame: 0x1000,
        };
        let all = TE_FLAGS::READ.mask() | TE_FLAGS::WRITE.mask() | TE_FLAGS::PRESENT.mask();
        for (command, flags) in [
            (TableCommand::Insert, all),
            (TableCommand::Query, 0),
            (TableCommand::Protect, TE_FLAGS::READ.mask()),
            (TableCommand::Query, 0),
            (TableCommand::Unmap, 0),
            (TableCommand::Collect, 0),
        ] {
            let outcome = check(&mut bench, &job(command, flags), 7, false);
            assert_eq!((outcome.done, outcome.error), (50, 0), "{command:?}");
        }
        // Nothing of the run is left in the table.
        for bucket in 0..128 {
            assert_eq!(bench.memory[&(BASE * FRAME_LINES + bucket)], [0; 64]);
        }
        let outcome = check(&mut bench, &job(TableCommand::Query, 0), 7, true);
        assert_eq!((outcome.done, outcome.error), (0, TableError::NotFound as u32));
    }
}

#[test]
fn a_page_costs_one_read_and_at_most_one_write() {
    let mut bench = bench(7, 8);
    let job = Job { code: 1, pid: 1, va: 0x5000, count: 100, flags: 6, frame: 0 };
    check(&mut bench, &job, 8, true);
    assert_eq!(bench.table_traffic, (100, 100));
    bench.table_traffic = (0, 0);
    check(&mut bench, &Job { code: 5, ..job }, 8, true);
    assert_eq!(bench.table_traffic, (100, 0));
}

#[test]
fn frames_given_meanwhile_survive_flag_changes() {
    for (seed, code) in [(1, TableCommand::Protect), (2, TableCommand::Unmap)] {
        let mut bench = bench(seed, 6);
        let job = Job { code: 1, pid: 9, va: 0x40_0000, count: 60, flags: 6, frame: 0 };
        check(&mut bench, &job, 6, true);
        start(&mut bench, &Job { code: code as u32, flags: TE_FLAGS::READ.mask(), ..job });
        let mut given = HashMap::new();
        while !finished(&mut bench) || given.len() < 60 {
            // What the fault unit does on a first write, between the engine's read and its write.
            let page = bench.rng.random_range(0..60u64);
            let va = job.va + page * PageSize::Small.bytes();
            let line = BASE * FRAME_LINES + bucket(job.pid, va, 6) as u64;
            let line = bench.memory.get_mut(&line).expect("a bucket");
            let slot = decode_bucket(line).iter().position(|pte| pte.key == page_key(va));
            let slot = slot.expect("the page's entry");
            let frame = 0x100 + page as u32;
            let faulted = Pte { present: true, frame, ..Pte::default() }.encode().to_le_bytes();
            for byte in (0..16).filter(|byte| FAULT_MASK >> byte & 1 == 1) {
                line[16 * slot + byte] = faulted[byte];
            }
            given.insert(va, frame);
            bench.cycles(3);
        }
        for (va, frame) in given {
            let line = BASE * FRAME_LINES + bucket(job.pid, va, 6) as u64;
            let ptes = decode_bucket(&bench.memory[&line]);
            let pte = ptes.iter().find(|pte| pte.key == page_key(va)).expect("the page's entry");
            assert_eq!((pte.present, pte.frame), (true, frame));
            let unmapped = code == TableCommand::Unmap;
            assert_eq!((pte.valid, pte.dying, pte.write), (!unmapped, unmapped, unmapped));
        }
    }
}

#[test]
fn a_full_result_queue_stalls_the_engine() {
    let mut bench = bench(11, 7);
    let flags = TE_FLAGS::READ.mask() | TE_FLAGS::PRESENT.mask();
    let job = Job { code: 1, pid: 5, va: 0x9000_0000, count: 40, flags, frame: 0x800 };
    check(&mut bench, &job, 7, true);
    start(&mut bench, &Job { code: 5, ..job });
    bench.cycles(3000);
    assert!(!finished(&mut bench));
    assert_eq!(bench.read(&regs::TE_DONE), 16);
    // Ignored while it is busy.
    bench.write(&regs::TE_COMMAND, TableCommand::Unmap as u32);
    let outcome = finish(&mut bench, true);
    assert_eq!((outcome.done, outcome.error), (40, 0));
    let frames: Vec<_> = outcome.results.iter().map(|&r| TE_RESULT::FRAME.get(r)).collect();
    assert_eq!(frames, (0x800..0x828).collect::<Vec<_>>());
}
