//! Misses with many processes, and with many entries.
//!
//! The tables really stand in the simulated DRAM, entry by entry. Every measured request misses the
//! TLB and walks; that it does is checked.

use super::rig::{expect_ok, misbehaved, Rig, Table};
use super::{LatencyError, Options, Report};
use crate::dram::LineMemory;
use crate::hw::Hw;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::{PAGE_SHIFT, VREGION_SHIFT};
use splitmem_abi::regs::ShootdownCommand;
use splitmem_abi::request::Request;

const DOING: &str = "measuring misses in large tables";
/// Misses that are measured in each table.
const SAMPLES: usize = 12_288;
/// Requests in flight in the loaded measurement, over both ports.
const IN_FLIGHT: usize = 8;
/// The address that every process uses.
const VA: u64 = 0x4000_0000;

/// The mean latency of misses, in cycles.
struct Misses {
    alone: f64,
    loaded: f64,
    entries: usize,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    if options.hw != Hw::Large {
        // The small component cannot address tables of this size.
        return Ok(());
    }
    let pids = misses(options, 15, (0..=u16::MAX).map(|pid| (pid, VA)))?;
    let pages = misses(options, 15, (0..1u64 << 16).map(|page| (7, VA + (page << PAGE_SHIFT))))?;
    add(
        report,
        ["miss_latency_65536_pids_over_1", "miss_latency_65536_pids_over_1_loaded"],
        "Miss latency, 65,536 processes over 1",
        &pids,
        &pages,
    );
    report.add("scale_pids_entries", "  entries, both", pids.entries as f64, "PTEs");

    // Ranges of 4096 pages of 1200 processes, as far as the buckets take them.
    let range = |i: u64| {
        let (pid, region) = ((i * 97) as u16, i % 31);
        let first = (region << VREGION_SHIFT) + ((i % 57 * 4096) << PAGE_SHIFT);
        (0..4096u64).map(move |page| (pid, first + (page << PAGE_SHIFT)))
    };
    let many = misses(options, 21, (0..1200).flat_map(range).take(FOUR_M + FOUR_M / 8))?;
    let few = misses(options, 21, range(0).take(1024))?;
    add(
        report,
        ["miss_latency_4m_ptes_over_1k", "miss_latency_4m_ptes_over_1k_loaded"],
        "Miss latency, 4 million entries over 1024",
        &many,
        &few,
    );
    report.add("scale_ptes_entries", "  entries of the large table", many.entries as f64, "PTEs");
    Ok(())
}

/// Entries of the large table.
const FOUR_M: usize = 4 << 20;

fn add(
    report: &mut Report,
    [key, loaded_key]: [&'static str; 2],
    label: &'static str,
    many: &Misses,
    few: &Misses,
) {
    report.add(key, label, many.alone / few.alone, "").at_most(1.0);
    let loaded = many.loaded / few.loaded;
    report.add(loaded_key, "  the same with 8 misses in flight", loaded, "");
}

/// Measures misses on random pages of a table.
fn misses(
    options: &Options,
    log2: u32,
    pages: impl Iterator<Item = (u16, u64)>,
) -> Result<Misses, LatencyError> {
    let mut table = Table::new(options.hw, log2);
    let mut mapped: Vec<(u16, u64)> =
        pages.filter(|&(pid, va)| table.map(pid, va, true)).take(FOUR_M).collect();
    let mut rig = table.into_ideal_rig(options.hw)?;
    let mut rng = SmallRng::seed_from_u64(options.seed);
    let entries = mapped.len();
    // Tables that the TLB could hold are measured in rounds, with an empty TLB before each.
    let round = SAMPLES.min(entries);
    let mut sums = [0; 2];
    for (sum, in_flight) in sums.iter_mut().zip([1, IN_FLIGHT]) {
        for _ in 0..SAMPLES / round {
            mapped.partial_shuffle(&mut rng, round);
            rig.shoot_down(ShootdownCommand::All)?;
            // What was shuffled stands at the end.
            *sum += rig.visit(&mapped[entries - round..], in_flight)?;
        }
    }
    let samples = (SAMPLES / round * round) as f64;
    Ok(Misses { alone: sums[0] as f64 / samples, loaded: sums[1] as f64 / samples, entries })
}

impl<M: LineMemory> Rig<M> {
    /// Reads a line of each page, in turn on both ports. Gives the sum of the latencies.
    fn visit(&mut self, pages: &[(u16, u64)], in_flight: usize) -> Result<u64, LatencyError> {
        let (mut sum, mut walks, mut answers, mut next) = (0, 0, 0, 0);
        while answers < pages.len() {
            while next < pages.len() && next - answers < in_flight {
                let (pid, va) = pages[next];
                self.dut.port(next % 2).send(Request::read(next as u16, pid, va));
                next += 1;
            }
            self.dut.tick();
            let seen = self.dut.seen();
            let walk = |tag| TagClass::of(tag) == Some(TagClass::Walk);
            walks += usize::from(seen.dram.is_some_and(|o| o.accepted && walk(o.tag)));
            for port in 0..2 {
                while let Some(answer) = self.dut.port(port).receive() {
                    expect_ok(DOING, &answer)?;
                    sum += answer.latency();
                    answers += 1;
                }
            }
        }
        if walks != pages.len() {
            let what = format!("{} requests made {walks} walks", pages.len());
            return Err(misbehaved(DOING, what));
        }
        Ok(sum)
    }
}
