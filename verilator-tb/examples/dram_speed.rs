//! How fast the memories simulate on this host: `cargo run --release --example dram_speed`.

use std::time::Instant;
use verilator_tb::dram::{Fill, IdealMemory, LineCommand, LineMemory, LineStore};

const LINES: u64 = 1 << 20;
const CLOCKS: u64 = 4_000_000;

fn main() {
    let store = || LineStore::new(LINES, Fill::Zero);
    for (pattern, next) in [
        ("sequential", (|i| i % LINES) as fn(u64) -> u64),
        ("random", |i| {
            i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & (LINES - 1)
        }),
    ] {
        report(
            "ideal, 20 clocks",
            pattern,
            IdealMemory::new(store(), 20),
            next,
        );
    }
}

fn report(name: &str, pattern: &str, mut memory: impl LineMemory, next: fn(u64) -> u64) {
    let data = [0x5a; 64];
    for line in 0..LINES {
        memory.store_mut().write_line(line, &data);
    }
    let start = Instant::now();
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
    let per_clock = start.elapsed().as_nanos() as f64 / CLOCKS as f64;
    let rate = commands as f64 / CLOCKS as f64;
    println!("{name:20} {pattern:12} {per_clock:6.1} ns per component clock, {rate:.3} commands per clock");
}
