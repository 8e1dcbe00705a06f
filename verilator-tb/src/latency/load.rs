//! Sustained loads with the ideal memory.

use super::rig::{expect_ok, Rig, Table};
use super::{LatencyError, Options, Report};
use crate::dram::{IdealMemory, LatencyHistogram, LineMemory};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::PAGE_SHIFT;
use splitmem_abi::request::{Request, FULL_MASK};

/// Requests that wait at a saturated port.
const QUEUE: usize = 2;
/// The process whose pages stay in the TLB.
const HIT_PID: u16 = 3;
const HIT_PAGES: u64 = 64;
/// The process that misses and faults.
const STORM_PID: u16 = 0x8003;
/// Its first page; far from the other's, so that they fall into the same buckets and TLB sets at
/// random.
const STORM_VA: u64 = 0x40_0000_0000;
/// One request in so many of the storm is a first write.
const FAULT_IN: u64 = 16;

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    let (rate, _) = saturated_hits(options)?;
    report
        .add("requests_per_cycle", "TLB-hit reads, both ports", rate, "requests/cycle")
        .at_least(0.99);

    let storm = storm(options, Some(4))?;
    report
        .add("outstanding_walks", "Walks in flight at once", storm.walks_peak, "walks")
        .at_least(16.0);
    let label = "Hits beside a storm, p99.9 / p50";
    report.add("hit_p999_over_p50", label, storm.spread(), "").at_most(1.2);
    let q = |q| storm.hits.percentile(q).unwrap_or(0) as f64;
    report.add("hit_beside_storm_p50_cycles", "  p50", q(0.5), "cycles");
    report.add("hit_beside_storm_p99_cycles", "  p99", q(0.99), "cycles");
    report.add("hit_beside_storm_p999_cycles", "  p99.9", q(0.999), "cycles");
    report.add("hit_beside_storm_max_cycles", "  worst", q(1.0), "cycles");
    let offered = storm.hits.samples() as f64 / storm.cycles as f64;
    report.add("hit_beside_storm_rate", "  hits", offered, "requests/cycle");
    let misses = storm.misses as f64 / storm.cycles as f64;
    report.add("storm_miss_rate", "  misses of the other process", misses, "requests/cycle");
    let faults = storm.faults as f64 / storm.cycles as f64 * 1000.0;
    report.add("storm_fault_rate", "  its first writes", faults, "per 1000 cycles");

    let full = self::storm(options, None)?;
    let label = "The same, hits as fast as they are taken";
    report.add("hit_p999_over_p50_saturated", label, full.spread(), "");
    let offered = full.hits.samples() as f64 / full.cycles as f64;
    report.add("hit_beside_storm_rate_saturated", "  hits", offered, "requests/cycle");
    Ok(())
}

fn hit_table(options: &Options, log2: u32) -> Table {
    let mut table = Table::new(options.hw, log2);
    for page in 0..HIT_PAGES {
        // An empty table has room for them: consecutive pages take consecutive buckets.
        let _ = table.map(HIT_PID, page << PAGE_SHIFT, true);
    }
    table
}

/// Reads of all lines of the hit pages, in random order, again and again: no line is read twice in
/// short succession, so that no read waits for another one of its line.
struct Hits {
    lines: Vec<u64>,
    next: usize,
    tag: u16,
}

impl Hits {
    fn new(seed: u64) -> Self {
        let mut lines: Vec<u64> = (0..HIT_PAGES << (PAGE_SHIFT - 6)).collect();
        lines.shuffle(&mut SmallRng::seed_from_u64(seed));
        Self { lines, next: 0, tag: 0 }
    }

    fn next(&mut self) -> Request {
        self.next = (self.next + 1) % self.lines.len();
        self.tag = self.tag.wrapping_add(1);
        Request::read(self.tag, HIT_PID, self.lines[self.next] << 6)
    }
}

impl<M: LineMemory> Rig<M> {
    /// Brings the hit pages into the TLB.
    pub fn warm_up(&mut self) -> Result<(), LatencyError> {
        for page in 0..HIT_PAGES {
            let answer = self.answer(0, Request::read(0, HIT_PID, page << PAGE_SHIFT))?;
            expect_ok("filling the TLB", &answer)?;
        }
        self.settle()
    }
}

/// Reads that hit, on both ports, as fast as they are taken. Gives the answers per cycle and the
/// component, which is still under load.
pub(super) fn saturated_hits(options: &Options) -> Result<(f64, Rig<IdealMemory>), LatencyError> {
    const WARM_UP: u64 = 2_000;
    const CYCLES: u64 = 50_000;
    let table = hit_table(options, 8);
    let mut rig = table.into_ideal_rig(options.hw)?;
    rig.warm_up()?;
    let mut hits = Hits::new(options.seed);
    let mut answers = 0;
    for cycle in 0..WARM_UP + CYCLES {
        for port in 0..2 {
            while rig.dut.port(port).queued() < QUEUE {
                rig.dut.port(port).send(hits.next());
            }
        }
        rig.dut.tick();
        for port in 0..2 {
            while let Some(answer) = rig.dut.port(port).receive() {
                expect_ok("saturating both ports", &answer)?;
                answers += u64::from(cycle >= WARM_UP);
            }
        }
    }
    Ok((answers as f64 / CYCLES as f64, rig))
}

/// What was seen in a storm.
#[derive(Default)]
struct Storm {
    cycles: u64,
    hits: LatencyHistogram,
    misses: u64,
    faults: u64,
    walks_peak: u32,
}

impl Storm {
    fn spread(&self) -> f64 {
        let q = |q| self.hits.percentile(q).unwrap_or(0) as f64;
        q(0.999) / q(0.5)
    }
}

/// Hits of one process on port 0, one in `every` cycles or as fast as they are taken; on port 1, as
/// fast as they are taken, reads of another process that miss the TLB and first writes.
fn storm(options: &Options, every: Option<u64>) -> Result<Storm, LatencyError> {
    const WARM_UP: u64 = 5_000;
    const CYCLES: u64 = 200_000;
    let doing = "measuring hits beside a storm";
    let config = options.hw.config();
    // Several times what the TLB holds, each page visited in turn: none is there any more when its
    // turn comes again.
    let miss_pages = u64::from(4 * config.tlb_sets * config.tlb_ways);
    let fault_pages = if options.hw == crate::Hw::Large { 1 << 15 } else { 1 << 12 };
    let log2 = ((miss_pages + fault_pages) / 2).next_power_of_two().ilog2();
    let mut table = hit_table(options, log2);
    let miss: Vec<u64> = (0..miss_pages)
        .map(|i| STORM_VA + (i << PAGE_SHIFT))
        .filter(|&va| table.map(STORM_PID, va, true))
        .collect();
    let fault: Vec<u64> = (miss_pages..miss_pages + fault_pages)
        .map(|i| STORM_VA + (i << PAGE_SHIFT))
        .filter(|&va| table.map(STORM_PID, va, false))
        .collect();
    let (first, rest) = table.rest();
    let mut rig = table.into_ideal_rig(options.hw)?;
    rig.push_frames(first, rest.min(fault.len() as u32), false)?;
    rig.wait_cleared(config.free_4k / 2, false)?;
    rig.warm_up()?;

    let mut hits = Hits::new(options.seed);
    let mut seen = Storm { cycles: CYCLES, ..Storm::default() };
    let (mut tag, mut walks, mut sent) = (0u16, 0u32, 0u64);
    let mut fault = fault.into_iter();
    let end = WARM_UP + CYCLES;
    for cycle in 0..end {
        let due = match every {
            Some(every) => cycle % every == 0,
            None => rig.dut.port(0).queued() < QUEUE,
        };
        if due {
            rig.dut.port(0).send(hits.next());
        }
        while rig.dut.port(1).queued() < QUEUE {
            sent += 1;
            tag = tag.wrapping_add(1);
            let first_write = if sent % FAULT_IN == 0 { fault.next() } else { None };
            rig.dut.port(1).send(match first_write {
                Some(va) => Request::write(tag, STORM_PID, va, FULL_MASK, [1; 64]),
                None => Request::read(tag, STORM_PID, miss[sent as usize % miss.len()]),
            });
        }
        rig.dut.tick();
        let class = |tag| TagClass::of(tag);
        let now = rig.dut.seen();
        if now.dram.is_some_and(|o| o.accepted && class(o.tag) == Some(TagClass::Walk)) {
            walks += 1;
            seen.walks_peak = seen.walks_peak.max(walks);
        }
        if now.dram_reply.is_some_and(|tag| class(tag) == Some(TagClass::Walk)) {
            walks -= 1;
        }
        let counts = cycle >= WARM_UP;
        while let Some(answer) = rig.dut.port(0).receive() {
            expect_ok(doing, &answer)?;
            if counts {
                seen.hits.record(answer.latency());
            }
        }
        while let Some(answer) = rig.dut.port(1).receive() {
            expect_ok(doing, &answer)?;
            if counts {
                seen.misses += 1;
            }
        }
        if counts && now_grants(&rig) {
            seen.faults += 1;
        }
    }
    seen.misses -= seen.faults.min(seen.misses);
    Ok(seen)
}

/// Whether a frame was granted in the last cycle: its PTE was written.
fn now_grants<M: LineMemory>(rig: &Rig<M>) -> bool {
    rig.dut
        .seen()
        .dram
        .is_some_and(|offer| offer.accepted && TagClass::of(offer.tag) == Some(TagClass::PteWrite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_used_once_leave_a_hot_page_in_the_tlb() {
        let sets = u64::from(crate::Hw::Small.config().tlb_sets);
        let ways = u64::from(crate::Hw::Small.config().tlb_ways);
        let page = |i: u64| (i * sets) << PAGE_SHIFT;
        let mut table = Table::new(crate::Hw::Small, 8);
        let pages = 1 + 4 * ways;
        assert!((0..pages).all(|i| table.map(HIT_PID, page(i), true)));
        let mut rig = table.into_ideal_rig(crate::Hw::Small).unwrap();
        let mut latency = |i| rig.answer(0, Request::read(0, HIT_PID, page(i))).unwrap().latency();
        let miss = latency(0);
        let hit = latency(0);
        assert!(hit < miss);
        for i in 1..pages {
            assert_eq!(latency(i), miss, "page {i}, its first time");
            assert_eq!(latency(0), hit, "the hot page, after page {i}");
        }
        // A page that is not hot any more makes room: the others fill the set when they are used.
        for i in 1..=ways {
            latency(i);
            latency(i);
        }
        assert_eq!(latency(0), miss);
    }

    #[test]
    fn a_burst_of_finished_walks_slows_a_hit_by_a_few_cycles() {
        let options = Options { hw: crate::Hw::Large, dram: Default::default(), seed: 1 };
        let storm = storm(&options, Some(4)).unwrap();
        assert!(storm.misses > 1000 && storm.faults > 100);
        assert!(storm.spread() <= 1.2, "p99.9 is {} times the median", storm.spread());
    }
}
