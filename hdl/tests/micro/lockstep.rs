//! Random requests and random monitor accesses against the golden model.

use crate::bench::{Bench, Side, Stalls};
use rand::Rng;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{PageSize, HUGE_BIT};
use splitmem_abi::regs::field::{
    FREE_4K_POP, TE_FLAGS, TE_RESULT, TE_STATUS, ZERO_PUSH, ZERO_STATUS,
};
use splitmem_abi::regs::{self, TableCommand};
use splitmem_abi::request::Status;
use splitmem_abi::window;
use splitmem_model::RawRequest;
use std::collections::BTreeSet;

/// A range of pages that was inserted, perhaps not wholly.
#[derive(Clone, Copy)]
struct Range {
    pid: u16,
    va: u64,
    pages: u32,
}

struct Driver {
    bench: Bench,
    ranges: Vec<Range>,
    /// Frames that the monitor has.
    pool: BTreeSet<u32>,
    /// Frames that came back from pages, of the command under way.
    collected: Vec<u32>,
    pids: Vec<u16>,
    tag: u16,
}

impl Driver {
    fn new(seed: u64, stalls: Stalls) -> Self {
        println!("seed {seed}, {stalls:?}");
        Self::with(Bench::new(seed, stalls))
    }

    fn with(mut bench: Bench) -> Self {
        let pids = (0..4).map(|_| bench.rng.random()).collect();
        // The table is in frame 0, cleared as the monitor does it.
        bench.write(Side::Monitor, &regs::ZERO_BASE, 0);
        bench.write(Side::Monitor, &regs::ZERO_PUSH, ZERO_PUSH::COUNT.put(1));
        bench.settle();
        assert_eq!(FREE_4K_POP::FRAME.get(bench.read(Side::Monitor, &regs::FREE_4K_POP)), 0);
        bench.write(Side::Monitor, &regs::CONTROL, 1);
        let pool = (1..HwConfig::MICRO.frames() as u32).collect();
        Self { bench, ranges: Vec::new(), pool, collected: Vec::new(), pids, tag: 0 }
    }

    fn pick(&mut self, count: usize) -> usize {
        self.bench.rng.random_range(0..count)
    }

    /// Pages that share vRegions and buckets, some of them of 2 MiB.
    fn address(&mut self) -> u64 {
        let rng = &mut self.bench.rng;
        let region = [0, 1, 0x1_5555, 0x3_ffff][rng.random_range(0..4)] & 0x1_ffff;
        let page: u64 = [rng.random_range(0..6), rng.random_range(60..70)][rng.random_range(0..2)];
        if rng.random_ratio(1, 8) {
            return 1 << HUGE_BIT | region << 30 | page << 21;
        }
        region << 30 | page << 12
    }

    fn request(&mut self) -> RawRequest {
        let known = !self.ranges.is_empty() && self.pick(8) > 0;
        let (pid, mut va) = if known {
            let n = self.pick(self.ranges.len());
            let Range { pid, va, pages } = self.ranges[n];
            let size = PageSize::of(va).bytes();
            (pid, va + size * self.bench.rng.random_range(0..u64::from(pages)))
        } else {
            let n = self.pick(4);
            (self.pids[n], self.address())
        };
        let rng = &mut self.bench.rng;
        // Few lines, so that they meet: the first and the last of the page.
        va += [rng.random_range(0..3), PageSize::of(va).bytes() / 64 - 1][rng.random_range(0..2)]
            * 64;
        let op =
            if rng.random_ratio(1, 20) { rng.random_range(4..8) } else { rng.random_range(0..4) };
        if op >= 2 {
            va += 8 * rng.random_range(0..8);
        }
        if rng.random_ratio(1, 20) {
            va += 1 << rng.random_range(0..6);
        }
        let mask = match rng.random_range(0..4) {
            0 => u64::MAX,
            1 => 0,
            2 => rng.random(),
            _ => 0xff << (8 * rng.random_range(0..8)),
        };
        let mut data = [0; 64];
        rng.fill(&mut data[..]);
        self.tag = self.tag.wrapping_mul(5).wrapping_add(1);
        let tag = self.tag;
        let mut request = RawRequest { op, tag, pid, va, mask, data };
        // Compares that succeed.
        if op == 3 && rng.random_ratio(2, 3) {
            let mut old = [0; 8];
            if self.bench.model.read_virtual(pid, va & !7, &mut old).is_ok() {
                request.data[8..16].copy_from_slice(&old);
            }
        }
        request
    }

    /// A request, with monitor and host at work meanwhile.
    fn send(&mut self) {
        let request = self.request();
        self.send_this(request);
    }

    /// A request to the range's last page, whose translation is held then.
    fn touch(&mut self, Range { pid, va, pages }: Range) {
        let last = va + PageSize::of(va).bytes() * u64::from(pages.max(1) - 1);
        let request = RawRequest { pid, va: last, op: self.pick(2) as u8, ..self.request() };
        self.send_this(request);
    }

    fn send_this(&mut self, request: RawRequest) {
        if (1..4).contains(&request.op) && !self.bench.frames_told() {
            return;
        }
        self.bench.prepare(&request);
        self.bench.go(&request);
        while self.pick(3) == 0 {
            self.beside();
        }
        if self.bench.answered.take().is_none() {
            self.bench.finish();
        }
    }

    /// Register accesses that change nothing of tables and frames.
    fn beside(&mut self) {
        let bench = &mut self.bench;
        let (choice, value) = (bench.rng.random_range(0..12), bench.rng.random::<u32>());
        match choice {
            0 => bench.write(Side::Monitor, &regs::IRQ_MASK, value),
            1 => bench.write(Side::Monitor, &regs::IRQ_STATUS, value & !(1 << 5)),
            2 => bench.write(Side::Monitor, &regs::EVENT_POP, 1),
            3 => bench.write(Side::Monitor, &regs::FREE_4K_LOW, value & 31),
            4 => bench.write(Side::Monitor, &regs::FREE_2M_LOW, value & 1),
            5 => bench.write(Side::Host, &regs::HOST_IRQ_MASK, value),
            6 => bench.write(Side::Host, &regs::HOST_IRQ_STATUS, value),
            7 => bench.write(Side::Host, &regs::MB_DOORBELL, value),
            8 => bench.write(Side::Monitor, &regs::MB_DOORBELL, value),
            // The mailbox and any register at all: perhaps denied, by both alike.
            9 => {
                let word = regs::MB_PAYLOAD.at((value % 64) as u16);
                let side = Side::BOTH[(value >> 8) as usize % 2];
                let _ = bench.access(side, word, Some(value));
            }
            10 => {
                let _ = bench.access(Side::Host, regs::MB_COMMAND.offset, Some(value));
            }
            _ => {
                let offset = (value % 0x1000) as u16;
                let pops = [&regs::FREE_4K_POP, &regs::FREE_2M_POP, &regs::TE_RESULT];
                if pops.iter().all(|register| register.offset != offset & !3) {
                    let _ = bench.access(Side::BOTH[(value >> 16) as usize % 2], offset, None);
                }
            }
        }
    }

    fn table(&mut self, command: u32, range: Range, flags: u32, frame: u32) {
        let Range { pid, va, pages } = range;
        for (register, value) in [
            (&regs::TE_PID, u32::from(pid)),
            (&regs::TE_VA_LO, va as u32),
            (&regs::TE_VA_HI, (va >> 32) as u32),
            (&regs::TE_COUNT, pages),
            (&regs::TE_FLAGS, flags),
            (&regs::TE_FRAME, frame),
        ] {
            self.bench.write(Side::Monitor, register, value);
        }
        // A request at the range's end, which the command has not reached.
        let last = va + PageSize::of(va).bytes() * u64::from(pages.max(1) - 1);
        let request = RawRequest { pid, va: last, op: self.pick(2) as u8, ..self.request() };
        let beside = self.pick(2) == 0 && (request.op == 0 || self.bench.frames_told());
        if beside {
            self.bench.prepare(&request);
        }
        self.bench.write(Side::Monitor, &regs::TE_COMMAND, command);
        if beside {
            self.bench.go(&request);
            if self.bench.answered.take().is_none() {
                self.bench.finish();
            }
        }
    }

    /// Waits for the table engine, requests going on, and takes its results. Gives its error, and the
    /// pages that it did.
    fn table_ends(&mut self) -> (u32, u32) {
        loop {
            if self.pick(3) == 0 {
                self.send();
            }
            let status = self.bench.read(Side::Monitor, &regs::TE_STATUS);
            loop {
                let result = self.bench.read(Side::Monitor, &regs::TE_RESULT);
                if TE_RESULT::VALID.get(result) == 0 {
                    break;
                }
                if TE_RESULT::PRESENT.get(result) == 1 {
                    self.collected.push(TE_RESULT::FRAME.get(result));
                }
            }
            if TE_STATUS::BUSY.get(status) == 0 {
                let done = self.bench.read(Side::Monitor, &regs::TE_DONE);
                return (TE_STATUS::ERROR.get(status), done);
            }
        }
    }

    fn rights(&mut self) -> u32 {
        let bits = TE_FLAGS::READ.mask() | TE_FLAGS::WRITE.mask() | TE_FLAGS::SHARED.mask();
        if self.pick(3) > 0 {
            return bits & !TE_FLAGS::SHARED.mask();
        }
        self.bench.rng.random::<u32>() & bits
    }

    fn insert(&mut self) {
        let n = self.pick(4);
        let mut range = Range { pid: self.pids[n], va: self.address(), pages: 1 };
        let mut flags = self.rights();
        let mut frame = 0;
        if self.pick(5) == 0 {
            let popped = self.bench.read(Side::Monitor, &regs::FREE_4K_POP);
            if FREE_4K_POP::VALID.get(popped) == 1 {
                flags |= TE_FLAGS::PRESENT.mask();
                frame = FREE_4K_POP::FRAME.get(popped);
                // A 2 MiB page shows the whole memory, also the table.
                if PageSize::of(range.va) == PageSize::Huge {
                    flags &= !TE_FLAGS::WRITE.mask();
                }
            }
        } else {
            range.pages = [1, 2, 5, 20][self.pick(4)];
        }
        self.table(TableCommand::Insert as u32, range, flags, frame);
        let (_, done) = self.table_ends();
        if done > 0 {
            self.ranges.push(Range { pages: done, ..range });
        } else if frame != 0 {
            self.pool.insert(frame);
        }
    }

    fn remove(&mut self) {
        if self.ranges.is_empty() {
            return;
        }
        let n = self.pick(self.ranges.len());
        let range = self.ranges.swap_remove(n);
        self.touch(range);
        self.table(TableCommand::Unmap as u32, range, 0, 0);
        assert_eq!(self.table_ends(), (0, range.pages));
        // No translation outlives its entry, also before the shootdown.
        self.touch(range);
        for (register, value) in [
            (&regs::SD_PID, u32::from(range.pid)),
            (&regs::SD_VA_LO, range.va as u32),
            (&regs::SD_VA_HI, (range.va >> 32) as u32),
            (&regs::SD_COUNT, range.pages),
        ] {
            self.bench.write(Side::Monitor, register, value);
        }
        let code = self.bench.rng.random_range(1..4);
        self.bench.write(Side::Monitor, &regs::SD_COMMAND, code);
        self.collected.clear();
        self.table(TableCommand::Collect as u32, range, 0, 0);
        assert_eq!(self.table_ends(), (0, range.pages));
        for frame in std::mem::take(&mut self.collected) {
            assert!(self.pool.insert(frame), "frame {frame} was in two pages");
        }
    }

    /// Protect, query, and commands that end with an error.
    fn other_command(&mut self) {
        let protect = TableCommand::Protect as u32;
        let code = [0, 3, protect, protect, protect, 5, 6, 7][self.pick(8)];
        let fresh = Range { pid: 0x7777, va: 0x5000, pages: 1 };
        let range = match self.ranges.len() {
            0 => fresh,
            n => [fresh, self.ranges[self.bench.rng.random_range(0..n)]][self.pick(2)],
        };
        // What ends ranges has its own step.
        if code == TableCommand::Collect as u32 && range.pid != fresh.pid {
            return;
        }
        self.touch(range);
        let mut flags = self.rights();
        if PageSize::of(range.va) == PageSize::Huge {
            flags &= !TE_FLAGS::WRITE.mask();
        }
        self.table(code, range, flags, 0);
        if code == TableCommand::Query as u32 && range.pages > 16 {
            // It waits for room in the queue: a command now is ignored.
            while self.bench.look(&regs::TE_DONE) < 16 {}
            self.bench.write(Side::Monitor, &regs::TE_COMMAND, TableCommand::Unmap as u32);
        }
        self.table_ends();
        self.touch(range);
    }

    fn push(&mut self) {
        let bench = &mut self.bench;
        if ZERO_STATUS::ROOM.get(bench.look(&regs::ZERO_STATUS)) == 0 {
            bench.settle();
        }
        let room = ZERO_STATUS::ROOM.get(bench.look(&regs::ZERO_STATUS)) > 0;
        let (mut base, mut count) = (0, 0);
        if let Some(&first) = self.pool.iter().nth(bench.rng.random_range(0..4)) {
            let most = bench.rng.random_range(1..8);
            let run = (first..first + most).take_while(|frame| self.pool.contains(frame));
            (base, count) = (first, run.count() as u32);
        }
        let huge = bench.rng.random_ratio(1, 10);
        if room && !huge {
            (base..base + count).for_each(|frame| assert!(self.pool.remove(&frame)));
        }
        // The bits beyond the memory are not looked at.
        let beyond = bench.rng.random::<u32>() << HwConfig::MICRO.frames().trailing_zeros();
        bench.write(Side::Monitor, &regs::ZERO_BASE, base | beyond);
        let push = ZERO_PUSH::COUNT.put(count) | ZERO_PUSH::HUGE.put(huge.into());
        bench.write(Side::Monitor, &regs::ZERO_PUSH, push);
    }

    /// A request that finds the component closed waits.
    fn close(&mut self) {
        let request = self.request();
        if !self.bench.frames_told() {
            return;
        }
        self.bench.write(Side::Monitor, &regs::CONTROL, 0);
        self.bench.prepare(&request);
        self.bench.go(&request);
        for _ in 0..5 {
            self.beside();
            let status = self.bench.read(Side::Host, &window::RQ_STATUS);
            assert_eq!(window::answer(status), None, "answered while closed");
            for register in [&window::RQ_PID, &window::RQ_DATA, &window::RQ_GO] {
                let denied = self.bench.access(Side::Host, register.offset, Some(9));
                denied.expect_err("a request under way is not to be changed");
            }
        }
        self.bench.write(Side::Monitor, &regs::CONTROL, 1);
        if self.bench.answered.take().is_none() {
            self.bench.finish();
        }
    }

    fn step(&mut self) {
        match self.pick(100) {
            0..70 => self.send(),
            70..76 => self.insert(),
            76..81 => self.remove(),
            81..86 => self.other_command(),
            86..94 => self.push(),
            94..97 => self.close(),
            _ => self.beside(),
        }
    }

    /// Gives the answers by status, and how many met the table engine at work.
    fn run(&mut self, steps: u32) -> ([u64; Status::ALL.len()], u64) {
        for step in 0..steps {
            self.step();
            if step % 100 == 99 {
                self.bench.compare();
            }
        }
        self.bench.compare();
        let Bench { seen, stale, cycle, .. } = self.bench;
        println!(
            "answers by status {seen:?}, {stale} of them before a replacement; {cycle} cycles"
        );
        (seen, stale)
    }
}

/// Seed and stalls: a memory and a bus that never wait, and ones that do.
const RUNS: [(u64, Stalls); 3] =
    [(1, Stalls::NONE), (2, Stalls { memory: 30, bus: 30 }), (3, Stalls { memory: 70, bus: 5 })];

#[test]
fn requests_and_registers_follow_the_model() {
    let (mut answers, mut before) = ([0; Status::ALL.len()], 0);
    for (seed, stalls) in RUNS {
        let (seen, stale) = Driver::new(seed, stalls).run(600);
        answers.iter_mut().zip(seen).for_each(|(sum, n)| *sum += n);
        before += stale;
    }
    // Every answer that this memory gives came, and requests met the table engine at work.
    let (uncorrectable, given) = answers.split_last().expect("six statuses");
    assert!(given.iter().all(|n| *n > 0) && *uncorrectable == 0, "{answers:?}");
    assert!(before > 0);
}

/// As many seeds as `SPLITMEM_SOAK_SEEDS` says, for a long time.
#[test]
#[ignore = "part of make soak"]
fn many_seeds_follow_the_model() {
    let seeds = std::env::var("SPLITMEM_SOAK_SEEDS").ok().and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(20) {
        let (_, stalls) = RUNS[seed as usize % 3];
        Driver::new(1000 + seed, stalls).run(5000);
    }
}

/// What a step of the microprogram is made to leave undone.
enum Leave {
    Branch,
    Store,
}

/// The step that many behind a name, what it leaves, and what is wrong then.
const MUTANTS: [(&str, u16, Leave, &str); 8] = [
    ("slot", 5, Leave::Branch, "another process's entry is taken"),
    ("aligned", 3, Leave::Branch, "another process's held translation is taken"),
    ("aligned", 7, Leave::Branch, "another 1 GiB's held translation is taken"),
    ("permissions", 1, Leave::Branch, "a page that is read-only is written"),
    ("clear words", 2, Leave::Branch, "a frame is listed after its first line was cleared"),
    ("take frame", 2, Leave::Store, "a frame is granted twice"),
    ("table", 0, Leave::Store, "a translation is held that a command replaced"),
    ("read answer", 2, Leave::Branch, "an answer without data shows another's"),
];

/// Each of them is noticed. A Verilator run each: minutes.
#[test]
#[ignore = "part of make soak"]
fn mutants_of_the_microprogram_are_noticed() {
    let program = splitmem_hdl::micro::program::assemble();
    let (words, verilog) = (program.words(), splitmem_hdl::micro::emit());
    for (name, behind, leave, what) in MUTANTS {
        let at = program.address(name) + behind;
        let word = words[usize::from(at)];
        let left = match leave {
            Leave::Branch => 15 << 10,
            Leave::Store => 1 << 50,
        };
        assert_ne!(word & left, 0, "{name} + {behind} has nothing to leave");
        let line = |word: u64| format!("words[{at}] = 64'h{word:016x};");
        // The table of registers has words of these numbers too.
        assert_eq!(verilog.matches(&line(word)).count(), 1);
        let mutant = verilog.replace(&line(word), &line(word & !left));
        let run = || Driver::with(Bench::of(&mutant, 1, Stalls::NONE)).run(700);
        let noticed = std::panic::catch_unwind(run).is_err();
        assert!(noticed, "not noticed: {what}");
        println!("noticed: {what}");
    }
}

#[test]
fn a_reset_component_starts_again() {
    let mut driver = Driver::new(4, Stalls::NONE);
    driver.run(300);
    driver.bench.reset();
    for register in regs::ALL {
        let right = register.reset_value(&HwConfig::MICRO);
        if let (Some(right), true) = (right, register.monitor.reads()) {
            assert_eq!(driver.bench.look(register), right, "{}", register.name);
        }
    }
}
