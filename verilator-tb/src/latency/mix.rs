//! Latencies by kind of request, under a moderate random load, with the memory that was asked for.

use super::rig::{misbehaved, Rig, Table};
use super::{Distribution, LatencyError, Options, Report};
use crate::bus::Side;
use crate::dram::{LatencyHistogram, LineMemory};
use crate::hw::Hw;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{HUGE_BIT, HUGE_SHIFT, PAGE_SHIFT};
use splitmem_abi::regs::{self, ShootdownCommand};
use splitmem_abi::request::{Request, Status, FULL_MASK};

const DOING: &str = "measuring a mixed load";
const PID: u16 = 11;
const CYCLES: u64 = 400_000;
/// A port gets a request every so many cycles, on average.
const EVERY: u32 = 16;
/// Pages that stay in the TLB.
const HOT: u64 = 32;
const HOT_HUGE: u64 = 2;

/// A kind of request: name, and the keys of its median and its 99.9th percentile.
type Kind = (&'static str, [&'static str; 2]);

/// The kinds, in the order of their tags' high bits.
const KINDS: [Kind; 10] = [
    ("read hit", ["read_hit_p50_cycles", "read_hit_p999_cycles"]),
    ("write hit", ["write_hit_p50_cycles", "write_hit_p999_cycles"]),
    ("fetch-add hit", ["fetch_add_hit_p50_cycles", "fetch_add_hit_p999_cycles"]),
    ("compare-swap hit", ["compare_swap_hit_p50_cycles", "compare_swap_hit_p999_cycles"]),
    ("read hit, 2 MiB page", ["read_hit_2m_p50_cycles", "read_hit_2m_p999_cycles"]),
    ("read miss", ["read_miss_p50_cycles", "read_miss_p999_cycles"]),
    ("write miss", ["write_miss_p50_cycles", "write_miss_p999_cycles"]),
    ("first write", ["first_write_p50_cycles", "first_write_p999_cycles"]),
    ("first read", ["first_read_p50_cycles", "first_read_p999_cycles"]),
    ("not mapped", ["not_mapped_p50_cycles", "not_mapped_p999_cycles"]),
];
const NOT_MAPPED: usize = 9;
/// Their shares. Each first write costs the DRAM 64 more lines, to clear the next frame.
const SHARES: [u16; KINDS.len()] = [6, 4, 2, 2, 2, 4, 4, 1, 2, 1];
/// Bits of a tag below the kind.
const KIND_SHIFT: u32 = 12;

/// Where the pages of each kind begin, in pages of the lower half, and how many there are.
#[derive(Clone)]
struct Pages {
    miss: u64,
    misses: u64,
    fault: u64,
    faults: u64,
    zero: u64,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    let config = options.hw.config();
    let small = options.hw == Hw::Small;
    let pages = Pages {
        miss: 1 << 12,
        misses: u64::from(4 * config.tlb_sets * config.tlb_ways),
        fault: 1 << 15,
        faults: if small { 1 << 11 } else { 1 << 13 },
        zero: 1 << 16,
    };
    let log2 = (pages.misses + 2 * pages.faults).next_power_of_two().ilog2() - 1;
    let mut table = Table::new(options.hw, log2);
    let mut fits = true;
    for page in 0..HOT {
        fits &= table.map(PID, page << PAGE_SHIFT, true);
    }
    for page in 0..HOT_HUGE {
        fits &= table.map(PID, (1 << HUGE_BIT) + (page << HUGE_SHIFT), true);
    }
    for page in 0..pages.misses {
        fits &= table.map(PID, (pages.miss + page) << PAGE_SHIFT, true);
    }
    for page in 0..pages.faults {
        fits &= table.map(PID, (pages.fault + page) << PAGE_SHIFT, false);
        fits &= table.map(PID, (pages.zero + page) << PAGE_SHIFT, false);
    }
    if !fits {
        return Err(misbehaved(DOING, "the pages do not fit the table"));
    }
    let (first, rest) = table.rest();
    let mut rig = table.into_rig(options.hw, |store| options.dram.over(store))?;
    rig.push_frames(first, rest.min(pages.faults as u32), false)?;
    rig.wait_cleared(config.free_4k / 2, false)?;
    for page in 0..HOT {
        rig.answer(0, Request::read(0, PID, page << PAGE_SHIFT))?;
    }
    for page in 0..HOT_HUGE {
        rig.answer(0, Request::read(0, PID, (1 << HUGE_BIT) + (page << HUGE_SHIFT)))?;
    }
    rig.dut.memory_mut().reset_stats();
    rig.load(options, &pages, report)?;

    rig.settle()?;
    let idle = rig.shoot_down(ShootdownCommand::All)?;
    report.add("shootdown_idle_cycles", "Shootdown of everything, idle", idle, "cycles");
    Ok(())
}

impl<M: LineMemory> Rig<M> {
    /// Runs the load and reports its latencies.
    fn load(
        &mut self,
        options: &Options,
        pages: &Pages,
        report: &mut Report,
    ) -> Result<(), LatencyError> {
        let mut rng = SmallRng::seed_from_u64(options.seed);
        let mut latencies = vec![LatencyHistogram::default(); KINDS.len()];
        let mut next = pages.clone();
        let mut tag = 0u16;
        let mut longest = 0;
        for cycle in 0..CYCLES {
            for port in 0..2 {
                if rng.random_ratio(1, EVERY) {
                    let kind = choose(&mut rng);
                    tag = tag.wrapping_add(1) & ((1 << KIND_SHIFT) - 1);
                    let request =
                        request(kind, kind << KIND_SHIFT | tag, pages, &mut next, &mut rng);
                    self.dut.port(port).send(request);
                }
            }
            self.dut.tick();
            for port in 0..2 {
                while let Some(answer) = self.dut.port(port).receive() {
                    let kind = usize::from(answer.response.tag >> KIND_SHIFT);
                    let expected = if kind == NOT_MAPPED { Status::NotMapped } else { Status::Ok };
                    if answer.response.status != expected {
                        let what = format!("{}: {:?}", KINDS[kind].0, answer.response.status);
                        return Err(misbehaved(DOING, what));
                    }
                    latencies[kind].record(answer.latency());
                }
            }
            // Shootdowns of a process that is not there disturb nobody, but wait for everybody.
            if cycle % (CYCLES / 16) == 0 {
                let mut bus = self.dut.bus(Side::Monitor);
                bus.write(regs::SD_PID.offset, u32::from(!PID))?;
                longest = longest.max(self.shoot_down(ShootdownCommand::Pid)?);
            }
        }
        report.add("shootdown_loaded_cycles", "Shootdown of a process, loaded", longest, "cycles");
        for ((name, keys), latency) in KINDS.into_iter().zip(latencies) {
            let q = |q| latency.percentile(q).map_or(f64::NAN, |cycles| cycles as f64);
            report.add(keys[0], name, q(0.5), "cycles, median");
            report.add(keys[1], "", q(0.999), "cycles, p99.9");
            report.distributions.push(Distribution { name, latency });
        }
        Ok(())
    }
}

fn choose(rng: &mut SmallRng) -> u16 {
    let mut dice = rng.random_range(0..SHARES.iter().sum());
    let mut kind = 0;
    while dice >= SHARES[kind] {
        dice -= SHARES[kind];
        kind += 1;
    }
    kind as u16
}

/// A request of this kind. `next` counts the pages that are used up.
fn request(kind: u16, tag: u16, pages: &Pages, next: &mut Pages, rng: &mut SmallRng) -> Request {
    let line = rng.random_range(0..64u64) << 6;
    let hot = (rng.random_range(0..HOT) << PAGE_SHIFT) + line;
    let hot_huge = (1 << HUGE_BIT) + (rng.random_range(0..HOT_HUGE) << HUGE_SHIFT) + line;
    // In turn: far more pages than the TLB holds.
    let miss = |next: &mut Pages| {
        next.miss = pages.miss + (next.miss + 1 - pages.miss) % pages.misses;
        (next.miss << PAGE_SHIFT) + line
    };
    let data = [tag as u8; 64];
    match kind {
        0 => Request::read(tag, PID, hot),
        1 => Request::write(tag, PID, hot, FULL_MASK, data),
        2 => Request::fetch_add(tag, PID, hot, 1),
        3 => Request::compare_swap(tag, PID, hot, 0, 1),
        4 => Request::read(tag, PID, hot_huge),
        5 => Request::read(tag, PID, miss(next)),
        6 => Request::write(tag, PID, miss(next), FULL_MASK, data),
        7 => {
            next.fault += 1;
            let page = pages.fault + (next.fault - pages.fault) % pages.faults;
            Request::write(tag, PID, (page << PAGE_SHIFT) + line, FULL_MASK, data)
        }
        8 => {
            next.zero += 1;
            let page = pages.zero + (next.zero - pages.zero) % pages.faults;
            Request::read(tag, PID, (page << PAGE_SHIFT) + line)
        }
        _ => Request::read(tag, !PID, hot),
    }
}
