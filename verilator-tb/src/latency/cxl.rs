//! The CXL.mem port: what the device's transaction layer adds to the native port, stage by stage, and
//! how many lines a cycle go through it; then the same with its link layer, from flit to flit at the
//! pins of the physical layer.

use super::rig::{misbehaved, Table};
use super::{FrontReport, LatencyError, Report};
use crate::component::Component;
use crate::cxl::{CxlComponent, CxlFront, Joined as _, LinkOptions};
use crate::dram::IdealMemory;
use crate::hw::Hw;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use splitmem_abi::cxl::{Window, WINDOW_SHIFT};
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::PAGE_SHIFT;
use splitmem_abi::request::Request;
use splitmem_cxl_host::message::{Message, Req, Rwd};

const DOING: &str = "measuring the CXL.mem port";
const PID: u16 = 0x1234;
/// Pages that stay in the TLB, and as many that were never looked at.
const PAGES: u64 = 32;
/// Where the host sees the device: at 4 GiB.
const HPA: u64 = 1 << 32;
/// Cycles that an answer may take.
const PATIENCE: u64 = 10_000;

/// A message's way, from its acceptance to the moment its answer was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which kind of message.
    pub name: &'static str,
    /// Stages and their cycles, in order.
    pub stages: Vec<(&'static str, u64)>,
}

impl Route {
    /// A way by the cycles, since its begin, at which its stages ended.
    pub(super) fn through(
        name: &'static str,
        ends: &[(&'static str, u64)],
    ) -> Result<Self, LatencyError> {
        let mut before = 0;
        let mut stages = Vec::new();
        for (stage, end) in ends {
            let cycles = end.checked_sub(before).filter(|_| *end > 0);
            let cycles = cycles.ok_or_else(|| {
                misbehaved("following a request", format!("{name} did not go its way: {ends:?}"))
            })?;
            stages.push((*stage, cycles));
            before = *end;
        }
        Ok(Self { name, stages })
    }

    /// All stages together.
    pub fn cycles(&self) -> u64 {
        self.stages.iter().map(|(_, cycles)| cycles).sum()
    }

    /// Of which those of the CXL.mem device: what it adds to the native port.
    pub fn added(&self) -> u64 {
        let ours = [FIRST, LAST];
        self.stages.iter().filter(|(name, _)| ours.contains(name)).map(|(_, cycles)| cycles).sum()
    }
}

/// What gets through a link on which flits are hit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ErrorRate {
    /// How probable it is that a flit is hit.
    pub errors: f64,
    /// Reads that were answered in a cycle.
    pub requests_per_cycle: f64,
    /// Flits that were hit meanwhile, both ways.
    pub hits: u64,
    /// Cycles that this took.
    pub cycles: u64,
}

/// Error rates that are measured, and cycles for each: enough for some flits to be hit, but for the least.
const ERROR_RATES: [(f64, u64); 6] = [
    (0.0, 20_000),
    (1e-6, 200_000),
    (1e-5, 200_000),
    (1e-4, 100_000),
    (1e-3, 50_000),
    (1e-2, 50_000),
];

const FIRST: &str = "M2S to native request";
const LAST: &str = "native answer to S2M";
const IN: &str = "flit to M2S";
const OUT: &str = "S2M to flit";

type Dut = CxlComponent<Component<IdealMemory>>;

/// Measures the port of a component over the ideal memory.
///
/// # Errors
/// [`LatencyError`].
pub fn measure_cxl(hw: Hw, seed: u64) -> Result<FrontReport, LatencyError> {
    let mut component = component(hw)?;
    let native = native_rate(&mut component, seed)?;
    let mut dut = join(component, CxlFront::new()?)?;

    let mut routes = Vec::new();
    for (name, message) in [
        ("MemRd, TLB hit", Message::Req(Req::read(1, line(0, 1)))),
        ("MemWr, TLB hit", Message::Rwd(Rwd::write(2, line(0, 2), [7; 64]))),
        ("MemRd, TLB miss", Message::Req(Req::read(3, line(PAGES, 0)))),
        ("MemWr, first write", Message::Rwd(Rwd::write(4, line(2 * PAGES, 0), [7; 64]))),
    ] {
        routes.push(watch(&mut dut, name, message)?);
    }
    let (reads, read_load) = rate(&mut dut, seed, false, CYCLES)?;
    let (mixed, _) = rate(&mut dut, seed, true, CYCLES)?;

    let mut report = Report::default();
    let of = |i: usize| routes[i].cycles() as f64;
    report.add("cxl_memrd_cycles", "MemRd to MemData, TLB hit, without link", of(0), "cycles");
    report.add("cxl_memwr_cycles", "MemWr to Cmp, TLB hit", of(1), "cycles");
    report.add("cxl_memrd_miss_cycles", "MemRd to MemData, TLB miss", of(2), "cycles");
    report.add("cxl_first_write_cycles", "MemWr to Cmp, first write to a page", of(3), "cycles");
    let added = routes.iter().map(Route::added).max().unwrap_or(0) as f64;
    report
        .add("cxl_added_cycles", "Added to the native port, at most", added, "cycles")
        .at_most(4.0);
    report.add("cxl_requests_per_cycle", "MemRd, TLB hits", reads, "requests/cycle").at_least(0.99);
    let label = "MemRd and MemWr, one to one";
    report.add("cxl_mixed_requests_per_cycle", label, mixed, "requests/cycle");
    let label = "  native reads on the same port, to compare";
    report.add("native_requests_per_cycle", label, native, "requests/cycle");
    report.add("cxl_dev_load", "DevLoad under that load, at most (0 to 3)", read_load, "");
    measure_link(hw, seed, &mut report, &mut routes)?;
    let errors = ERROR_RATES.map(|(errors, cycles)| error_rate(hw, seed, errors, cycles));
    let errors = errors.into_iter().collect::<Result<_, _>>()?;
    Ok(FrontReport { report, routes, errors })
}

/// The line of a page, as the host sees it.
fn line(page: u64, line: u64) -> u64 {
    HPA + (page << PAGE_SHIFT) + (line << 6)
}

/// A component whose first pages have frames; the last one is to be written first.
fn component(hw: Hw) -> Result<Component<IdealMemory>, LatencyError> {
    let mut table = Table::new(hw, 8);
    let fits = (0..=2 * PAGES).all(|page| table.map(PID, page << PAGE_SHIFT, page < 2 * PAGES));
    if !fits {
        return Err(misbehaved(DOING, "the pages do not fit the table"));
    }
    let (first, _) = table.rest();
    let mut rig = table.into_ideal_rig(hw)?;
    rig.push_frames(first, 16, false)?;
    rig.wait_cleared(8, false)?;
    Ok(rig.dut)
}

/// The device before it, as host and monitor set it up.
fn join(component: Component<IdealMemory>, front: CxlFront) -> Result<Dut, LatencyError> {
    let mut dut = CxlComponent::new(component, front);
    dut.commit(HPA, 1 << WINDOW_SHIFT)?;
    let window = Window { pid: PID, va: 0, bytes: 1 << WINDOW_SHIFT, read: true, write: true };
    dut.show(0, &window)?;
    Ok(dut)
}

/// The same with the link layer.
fn measure_link(
    hw: Hw,
    seed: u64,
    report: &mut Report,
    routes: &mut Vec<Route>,
) -> Result<(), LatencyError> {
    let mut dut = join(component(hw)?, CxlFront::linked(LinkOptions::default())?)?;
    // The pages' translations, and the link's first exchange of credits.
    rate(&mut dut, seed, false, CYCLES)?;
    for (name, message) in [
        ("MemRd, TLB hit, flit to flit", Message::Req(Req::read(1, line(0, 1)))),
        ("MemWr, TLB hit, flit to flit", Message::Rwd(Rwd::write(2, line(0, 2), [7; 64]))),
    ] {
        routes.push(watch(&mut dut, name, message)?);
    }
    let of = |i: usize| routes[routes.len() - 2 + i].cycles() as f64;
    let label = "MemRd to MemData, TLB hit, first flit in to last flit out";
    report.add("cxl_memrd_link_cycles", label, of(0), "cycles");
    let label = "MemWr to Cmp, TLB hit, first flit in to flit out";
    report.add("cxl_memwr_link_cycles", label, of(1), "cycles");
    let (reads, _) = rate(&mut dut, seed, false, CYCLES)?;
    let (mixed, _) = rate(&mut dut, seed, true, CYCLES)?;
    let label = "MemRd over the link, TLB hits (a flit holds 0.8 lines)";
    report.add("cxl_link_requests_per_cycle", label, reads, "requests/cycle");
    let label = "  MemRd and MemWr, one to one";
    report.add("cxl_link_mixed_requests_per_cycle", label, mixed, "requests/cycle");
    Ok(())
}

/// The rate of reads over a link on which flits are hit.
fn error_rate(hw: Hw, seed: u64, errors: f64, cycles: u64) -> Result<ErrorRate, LatencyError> {
    let options = LinkOptions { errors, seed, ..LinkOptions::default() };
    let mut dut = join(component(hw)?, CxlFront::linked(options)?)?;
    rate(&mut dut, seed, false, WARM_UP)?;
    let before = dut.front().link_hits();
    let (requests_per_cycle, _) = rate(&mut dut, seed, false, cycles)?;
    if let Some(why) = dut.front().link_failure() {
        return Err(misbehaved(DOING, format!("with {errors:e} of the flits hit, {why}")));
    }
    let hits = dut.front().link_hits() - before;
    Ok(ErrorRate { errors, requests_per_cycle, hits, cycles })
}

/// Follows one message through an idle component.
fn watch(dut: &mut Dut, name: &'static str, message: Message) -> Result<Route, LatencyError> {
    // Nothing else is under way: let the last one's tail pass.
    for _ in 0..256 {
        dut.tick();
    }
    dut.front().send(&message);
    let (mut came, mut left) = (None, None);
    let (mut accepted, mut native, mut command) = (None, None, None);
    let (mut walk, mut walked, mut replied, mut answered) = (None, None, None, None);
    for cycle in 0..PATIENCE {
        dut.tick();
        let seen = *dut.inner().inner().seen();
        if dut.front().flits_seen().came {
            came.get_or_insert(cycle);
        }
        if dut.front().seen().accepted.is_some() {
            accepted = Some(cycle);
        }
        if dut.front().seen().answered != [None; 2] {
            left = Some(cycle);
        }
        if seen.accepted[0].is_some() {
            native = Some(cycle);
        }
        match seen.dram.map(|offer| TagClass::of(offer.tag)) {
            Some(Some(TagClass::Walk)) => _ = walk.get_or_insert(cycle),
            Some(Some(TagClass::Data)) => _ = command.get_or_insert(cycle),
            _ => {}
        }
        match seen.dram_reply.map(TagClass::of) {
            Some(Some(TagClass::Walk)) => walked = Some(cycle),
            Some(Some(TagClass::Data)) => replied = Some(cycle),
            _ => {}
        }
        if seen.answered[0] {
            answered = Some(cycle);
        }
        if let Some(taken) = dut.front().receive() {
            if let Message::Drs(drs) = taken.message {
                if drs.poison {
                    return Err(misbehaved(DOING, format!("{name} was answered with poison")));
                }
            }
            let times = (accepted, native, command, replied, answered, left);
            let (Some(a), Some(n), Some(c), Some(r), Some(p), Some(l)) = times else {
                return Err(misbehaved(DOING, format!("{name} did not go its way: {times:?}")));
            };
            let line_read = walk.zip(walked).map_or(0, |(from, to)| to - from);
            let mut stages = vec![
                (FIRST, n - a),
                ("translation", c - n - line_read),
                ("page-table line read", line_read),
                ("DRAM", r - c),
                ("native answer", p - r),
                (LAST, l - p),
            ];
            if let Some(came) = came {
                stages.insert(0, (IN, a - came));
                stages.push((OUT, cycle - l));
            }
            return Ok(Route { name, stages });
        }
    }
    Err(misbehaved(DOING, format!("no answer to {name}")))
}

/// Lines of the pages that stay in the TLB, in random order.
fn lines(seed: u64) -> Vec<u64> {
    let mut lines: Vec<u64> = (0..PAGES << (PAGE_SHIFT - 6)).map(|line| line << 6).collect();
    lines.shuffle(&mut SmallRng::seed_from_u64(seed));
    lines
}

const WARM_UP: u64 = 2_000;
const CYCLES: u64 = 20_000;

/// Answers per cycle, as fast as messages are taken, and the highest DevLoad.
fn rate(dut: &mut Dut, seed: u64, writes: bool, cycles: u64) -> Result<(f64, f64), LatencyError> {
    let lines = lines(seed);
    let (mut next, mut answers, mut load) = (0usize, 0, 0);
    for cycle in 0..WARM_UP + cycles {
        while dut.front().queued() < 4 {
            let hpa = HPA + lines[next % lines.len()];
            let tag = next as u16;
            dut.front().send(&if writes && next % 2 == 1 {
                Message::Rwd(Rwd::write(tag, hpa, [next as u8; 64]))
            } else {
                Message::Req(Req::read(tag, hpa))
            });
            next += 1;
        }
        dut.tick();
        load = load.max(dut.front().load() as u8);
        while let Some(taken) = dut.front().receive() {
            if matches!(taken.message, Message::Drs(drs) if drs.poison) {
                return Err(misbehaved(DOING, "a hit was answered with poison"));
            }
            answers += u64::from(cycle >= WARM_UP);
        }
    }
    // What is in flight ends before the next measurement.
    for _ in 0..PATIENCE {
        if dut.front().is_idle() {
            break;
        }
        dut.tick();
        while dut.front().receive().is_some() {}
    }
    Ok((answers as f64 / cycles as f64, f64::from(load)))
}

/// The same reads at the native port.
fn native_rate(dut: &mut Component<IdealMemory>, seed: u64) -> Result<f64, LatencyError> {
    let lines = lines(seed);
    let (mut next, mut answers) = (0usize, 0);
    for cycle in 0..WARM_UP + CYCLES {
        while dut.port(0).queued() < 2 {
            dut.port(0).send(Request::read(next as u16, PID, lines[next % lines.len()]));
            next += 1;
        }
        dut.tick();
        while dut.port(0).receive().is_some() {
            answers += u64::from(cycle >= WARM_UP);
        }
    }
    while !dut.port(0).is_idle() {
        dut.tick();
        while dut.port(0).receive().is_some() {}
    }
    Ok(answers as f64 / CYCLES as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transaction_layer_adds_four_cycles_and_loses_no_rate() {
        let FrontReport { report, routes, errors } = measure_cxl(Hw::Large, 1).unwrap();
        assert!(report.missed().next().is_none(), "{:?}", report.figures);
        for route in &routes {
            assert_eq!(route.added(), 4, "{route:?}");
        }
        // One flit brings a MemRd, two a MemWr; the last chunk of a line goes with a second flit.
        let ends = |route: &Route| (route.stages[0].1, route.stages[route.stages.len() - 1].1);
        assert_eq!(routes[4..].iter().map(ends).collect::<Vec<_>>(), [(2, 3), (3, 2)]);
        let value = |key| report.figure(key).unwrap().value;
        assert!(value("cxl_requests_per_cycle") > 0.99 * value("native_requests_per_cycle"));
        assert!(value("cxl_link_requests_per_cycle") > 0.79);
        // Errors cost throughput, and those of the rates that a link is specified for cost little.
        println!("{errors:?}");
        let [clean, .., hundredth] = &errors[..] else { panic!("{errors:?}") };
        assert!(clean.hits == 0 && clean.requests_per_cycle > 0.79);
        assert!(
            hundredth.hits > 500 && hundredth.requests_per_cycle < 0.9 * clean.requests_per_cycle
        );
        assert!(errors[..4].iter().all(|e| e.requests_per_cycle > 0.95 * clean.requests_per_cycle));
    }
}
