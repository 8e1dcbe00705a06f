//! How fast the memories simulate on this host: `cargo run --release --example dram_speed`.
//! Processor time is counted, so that a busy host disturbs less.

use rustix::time::{clock_gettime, ClockId};
use std::time::Duration;
use verilator_tb::dram::{
    Fill, IdealMemory, LineCommand, LineMemory, LineStore, Preset, TimedDram,
};

const LINES: u64 = 1 << 20;
const CLOCKS: u64 = 2_000_000;

fn main() {
    let store = || LineStore::new(LINES, Fill::Zero);
    let sequential: fn(u64) -> u64 = |i| i % LINES;
    for (pattern, next) in [
        ("sequential", sequential),
        ("random in 1 MiB", |i| scatter(i) % (1 << 14)),
        ("random in 64 MiB", |i| scatter(i) % LINES),
    ] {
        report("ideal, 20 clocks", pattern, IdealMemory::new(store(), 20), next);
        for preset in Preset::ALL {
            match TimedDram::new(&preset.config(), store(), 200) {
                Ok(memory) => report(&format!("{preset} at 200 MHz"), pattern, memory, next),
                Err(error) => eprintln!("{preset}: {error}"),
            }
        }
    }
}

fn scatter(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

/// Time this thread ran.
fn ran() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn report(name: &str, pattern: &str, mut memory: impl LineMemory, next: fn(u64) -> u64) {
    let data = [0x5a; 64];
    for line in 0..LINES {
        memory.store_mut().write_line(line, &data);
    }
    let before = ran();
    let mut commands = 0;
    for _ in 0..CLOCKS {
        let write = commands % 4 == 3;
        if memory.can_accept(write) {
            memory.push(LineCommand {
                tag: commands as u16,
                write,
                line: next(commands),
                mask: !0,
                data,
            });
            commands += 1;
        }
        memory.tick();
        std::hint::black_box(memory.pop_reply());
    }
    let per_clock = (ran() - before).as_nanos() as f64 / CLOCKS as f64;
    let rate = commands as f64 / CLOCKS as f64;
    println!("{name:22} {pattern:16} {per_clock:6.1} ns per component clock, {rate:.3} commands per clock");
}
