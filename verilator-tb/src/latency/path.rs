//! Single requests through an idle component.

use super::rig::{expect_ok, misbehaved, Rig, Table};
use super::{LatencyError, Options, Report, IDEAL_LATENCY};
use crate::dram::LineMemory;
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::{HUGE_BIT, HUGE_SHIFT, PAGE_SHIFT};
use splitmem_abi::regs::ShootdownCommand;
use splitmem_abi::request::{Request, Status, FULL_MASK};

const DOING: &str = "measuring single requests";
const PID: u16 = 0x1234;
/// Buckets of the table: few, so that full ones are easily made.
const LOG2_BUCKETS: u32 = 8;
/// Pages of each size and kind.
const PAGES: u64 = 8;

/// What was seen of one request: cycles.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    accepted: u64,
    /// The walk's command was first offered.
    walk: Option<u64>,
    /// The walk's reply was taken.
    walked: Option<u64>,
    /// The data command was first offered.
    command: Option<u64>,
    /// The answer was taken.
    answered: u64,
    walk_reads: u32,
    status: Option<Status>,
}

impl Path {
    /// Cycles from acceptance to the data command, without the walk's line read.
    fn to_command(self) -> Option<u64> {
        let read = match (self.walk, self.walked) {
            (Some(walk), Some(walked)) => walked - walk,
            _ => 0,
        };
        Some(self.command? - self.accepted - read)
    }

    fn latency(&self) -> u64 {
        self.answered - self.accepted
    }
}

impl<M: LineMemory> Rig<M> {
    /// Watches a single request's way.
    fn watch(&mut self, port: usize, request: Request) -> Result<Path, LatencyError> {
        self.settle()?;
        self.dut.port(port).send(request);
        let mut path = Path::default();
        for _ in 0..10_000 {
            let cycle = self.dut.cycle();
            self.dut.tick();
            let seen = *self.dut.seen();
            if seen.accepted[port].is_some() {
                path.accepted = cycle;
            }
            if let Some(offer) = seen.dram {
                match TagClass::of(offer.tag) {
                    Some(TagClass::Walk) => {
                        path.walk.get_or_insert(cycle);
                        path.walk_reads += u32::from(offer.accepted);
                    }
                    Some(TagClass::Data) => _ = path.command.get_or_insert(cycle),
                    _ => {}
                }
            }
            if let Some(Some(TagClass::Walk)) = seen.dram_reply.map(TagClass::of) {
                path.walked = Some(cycle);
            }
            if let Some(answer) = self.dut.port(port).receive() {
                path.answered = cycle;
                path.status = Some(answer.response.status);
                return Ok(path);
            }
        }
        Err(misbehaved(DOING, format!("no answer to {request:?}")))
    }
}

/// The worst of several requests of one kind.
#[derive(Default)]
struct Worst {
    to_command: u64,
    latency: u64,
    walk_reads: u32,
    samples: u32,
}

impl Worst {
    fn add(&mut self, path: Path, walks: bool) -> Result<(), LatencyError> {
        if path.status != Some(Status::Ok) || path.walk.is_some() != walks {
            return Err(misbehaved(DOING, format!("a request did not go its way: {path:?}")));
        }
        let Some(to_command) = path.to_command() else {
            return Err(misbehaved(DOING, format!("a request made no DRAM command: {path:?}")));
        };
        self.to_command = self.to_command.max(to_command);
        self.latency = self.latency.max(path.latency());
        self.walk_reads = self.walk_reads.max(path.walk_reads);
        self.samples += 1;
        Ok(())
    }
}

/// First page of each set of pages: 4 KiB or 2 MiB, and which set.
fn page(huge: bool, set: u64, i: u64) -> u64 {
    let shift = if huge { HUGE_SHIFT } else { PAGE_SHIFT };
    (u64::from(huge) << HUGE_BIT) + ((set * PAGES + i) << shift)
}

fn requests(va: u64) -> [Request; 4] {
    [
        Request::read(1, PID, va),
        Request::write(2, PID, va, FULL_MASK, [7; 64]),
        Request::fetch_add(3, PID, va + 8, 1),
        Request::compare_swap(4, PID, va + 16, 0, 1),
    ]
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    let mut table = Table::new(options.hw, LOG2_BUCKETS);
    let huge_pages = if options.hw == crate::Hw::Large { PAGES } else { 1 };
    let pages = |huge| if huge { huge_pages } else { PAGES };
    let mut fits = true;
    for huge in [false, true] {
        // Set 0 is there for loads and stores, set 1 for first writes.
        for i in 0..pages(huge) {
            fits &= table.map(PID, page(huge, 0, i), true);
            fits &= table.map(PID, page(huge, 1, i), false);
        }
    }
    // Full buckets: pages as many apart as there are buckets, in all four slots.
    let crowd: Vec<u64> = [false, true]
        .into_iter()
        .flat_map(|huge| {
            let shift = if huge { HUGE_SHIFT } else { PAGE_SHIFT };
            let apart = (1u64 << LOG2_BUCKETS) << shift;
            let first = (u64::from(huge) << HUGE_BIT) + (100 << shift);
            // A vRegion has 512 pages of 2 MiB: only two of them meet in one bucket.
            let slots = if huge { 2 } else { 4 };
            (0..slots).map(move |slot| first + slot * apart)
        })
        .collect();
    for &va in &crowd {
        fits &= table.map(PID, va, false);
    }
    if !fits {
        return Err(misbehaved(DOING, "the pages do not fit the table"));
    }
    let (first, _) = table.rest();
    let mut rig = table.into_ideal_rig(options.hw)?;
    let first_huge = first.next_multiple_of(512);
    rig.push_frames(first_huge, huge_pages as u32, true)?;
    rig.push_frames(first_huge + 512 * huge_pages as u32, 64, false)?;
    rig.wait_cleared(huge_pages as u32, true)?;
    rig.wait_cleared(64.min(options.hw.config().free_4k), false)?;

    let (mut hit, mut miss, mut fault) = (Worst::default(), Worst::default(), Worst::default());
    let mut warm_fault = Worst::default();
    for huge in [false, true] {
        for i in 0..pages(huge) {
            let va = page(huge, 0, i);
            for (n, request) in requests(va).into_iter().enumerate() {
                let port = n % 2;
                rig.shoot_down(ShootdownCommand::All)?;
                miss.add(rig.watch(port, request)?, true)?;
                for request in requests(va + 128) {
                    hit.add(rig.watch(1 - port, request)?, false)?;
                }
            }
            // A first write: half of them to a page that the TLB knows from a read before.
            let va = page(huge, 1, i);
            rig.shoot_down(ShootdownCommand::All)?;
            let request = requests(va)[1 + i as usize % 3];
            if i % 2 == 1 {
                let read = rig.answer(0, Request::read(9, PID, va))?;
                expect_ok(DOING, &read)?;
                let path = rig.watch(i as usize / 2 % 2, request)?;
                warm_fault.add(path, path.walk.is_some())?;
            } else {
                fault.add(rig.watch(i as usize / 2 % 2, request)?, true)?;
            }
        }
    }
    let mut full = 0;
    for &va in &crowd {
        rig.shoot_down(ShootdownCommand::All)?;
        full = full.max(rig.watch(0, Request::read(1, PID, va))?.walk_reads);
        // And pages of the same full bucket that are not mapped.
        full = full.max(rig.watch(1, Request::read(1, PID ^ 1, va))?.walk_reads);
    }

    let (hit_cycles, miss_cycles) = (hit.to_command as f64, miss.to_command as f64);
    report
        .add("tlb_hit_cycles", "TLB hit, accepted to DRAM command", hit_cycles, "cycles")
        .at_most(5.0);
    let extra = miss_cycles - hit_cycles;
    report.add("tlb_miss_extra_cycles", "TLB miss, beyond", extra, "cycles").at_most(6.0);
    let extra = fault.to_command as f64 - miss_cycles;
    report.add("fault_extra_cycles", "First write, beyond", extra, "cycles").at_most(3.0);
    let warm = warm_fault.to_command as f64 - hit_cycles;
    let label = "First write to a page read before, beyond a hit";
    report.add("fault_after_read_extra_cycles", label, warm, "cycles");
    let reads = full.max(miss.walk_reads).max(fault.walk_reads);
    report.add("walk_line_reads_max", "Line reads of a walk, at most", reads, "lines").at_most(1.0);
    let latency = hit.latency as f64;
    report.add(
        "hit_latency_cycles",
        "TLB hit, accepted to answered, atomics too",
        latency,
        "cycles",
    );
    let latency = miss.latency as f64;
    report.add(
        "miss_latency_cycles",
        "TLB miss, accepted to answered, atomics too",
        latency,
        "cycles",
    );
    let latency = fault.latency as f64;
    report.add(
        "fault_latency_cycles",
        "First write, accepted to answered, atomics too",
        latency,
        "cycles",
    );
    let dram = f64::from(IDEAL_LATENCY);
    report.add("ideal_dram_cycles", "  of these, one ideal DRAM access", dram, "cycles");
    Ok(())
}
