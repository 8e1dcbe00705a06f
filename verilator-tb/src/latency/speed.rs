//! How fast the simulation itself is.

use super::load::saturated_hits;
use super::{LatencyError, Options, Report};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::time::{clock_gettime, ClockId};
use splitmem_abi::request::{Request, FULL_MASK};
use std::time::Duration;

/// How long the simulation runs.
const TIME: Duration = Duration::from_millis(1500);
/// Cycles between two looks at the clock.
const STRIDE: u64 = 20_000;

/// How long this thread has run: what other programs take from the processor is not the simulation's.
pub(super) fn ran() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The whole component, its ports saturated with reads and writes that hit, by processor time.
pub(super) fn measure(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    let (_, mut rig) = saturated_hits(options)?;
    let mut rng = SmallRng::seed_from_u64(options.seed);
    let (mut tag, mut cycles) = (0u16, 0u64);
    let start = ran();
    while ran() - start < TIME {
        for _ in 0..STRIDE {
            for port in 0..2 {
                while rig.dut.port(port).queued() < 2 {
                    tag = tag.wrapping_add(1);
                    let va = rng.random_range(0..64 * 64u64) * 64;
                    rig.dut.port(port).send(match tag % 4 {
                        0 => Request::write(tag, 3, va, FULL_MASK, [tag as u8; 64]),
                        _ => Request::read(tag, 3, va),
                    });
                }
                while rig.dut.port(port).receive().is_some() {}
            }
            rig.dut.tick();
        }
        cycles += STRIDE;
    }
    let rate = cycles as f64 / (ran() - start).as_secs_f64();
    let label = "Simulation, loaded, one thread";
    report.add("sim_cycles_per_second", label, rate, "cycles/s").at_least(1_000_000.0);
    Ok(())
}
