//! The timed memory as the component sees it: contents, clock ratio, one reply for each command.

use rand::{rngs::SmallRng, Rng, SeedableRng};
use std::collections::HashMap;
use verilator_tb::dram::{Fill, LineCommand, LineMemory, LineStore, Preset, TimedDram};

fn memory(preset: Preset, component_mhz: u32) -> TimedDram {
    TimedDram::new(&preset.config(), LineStore::new(1 << 16, Fill::Noise(3)), component_mhz)
        .expect("the configuration is sound")
}

fn read(tag: u16, line: u64) -> LineCommand {
    LineCommand { tag, write: false, line, mask: 0, data: [0; 64] }
}

/// Component clocks from `push` to the reply.
fn latency(memory: &mut TimedDram, line: u64) -> u64 {
    memory.push(read(0, line));
    (1..)
        .find(|_| {
            memory.tick();
            memory.pop_reply().is_some()
        })
        .expect("every command is answered")
}

#[test]
fn latency_is_the_memory_s_in_component_clocks_rounded_up() {
    // 38 memory clocks at 1200 MHz.
    for (component_mhz, clocks) in [(1200, 38), (200, 7), (100, 4), (2400, 76), (333, 11)] {
        let mut memory = memory(Preset::Ddr4_2400, component_mhz);
        assert_eq!(latency(&mut memory, 0), clocks, "{component_mhz} MHz");
    }
    let mut memory = memory(Preset::Ddr3_1600, 200);
    assert_eq!(latency(&mut memory, 0), 7, "26 clocks at 800 MHz");
}

#[test]
fn the_clock_ratio_does_not_drift() {
    let mut memory = memory(Preset::Ddr4_2400, 333);
    for _ in 0..333_000 {
        memory.tick();
    }
    assert_eq!(memory.stats().clocks, 1_200_000);
}

#[test]
fn contents_agree_with_a_plain_map_and_every_command_is_answered_once() {
    for preset in Preset::ALL {
        let mut memory = memory(preset, 200);
        let initial = LineStore::new(1 << 16, Fill::Noise(3));
        let mut rng = SmallRng::seed_from_u64(11);
        let mut contents: HashMap<u64, [u8; 64]> = HashMap::new();
        let mut expected: HashMap<u16, [u8; 64]> = HashMap::new();
        let mut free: Vec<u16> = (0..200).collect();
        let mut answered = 0;
        let mut sent = 0;
        let mut out_of_order = 0;
        let mut newest = 0;
        while sent < 50_000 || !memory.is_idle() {
            let write = rng.random_bool(0.5);
            if sent < 50_000 && memory.can_accept(write) && rng.random_bool(0.9) {
                if let Some(tag) = free.pop() {
                    // Few lines, so that most commands meet another one on theirs.
                    let line = rng.random_range(0..40) * 1500;
                    let mask = if rng.random() { !0 } else { rng.random() };
                    let data: [u8; 64] = rng.random();
                    let now = contents.entry(line).or_insert_with(|| initial.read_line(line));
                    if write {
                        for byte in (0..64).filter(|byte| mask >> byte & 1 == 1) {
                            now[byte] = data[byte];
                        }
                    }
                    let answer = if write { [0; 64] } else { *now };
                    assert_eq!(expected.insert(tag, answer), None);
                    memory.push(LineCommand { tag, write, line, mask, data });
                    sent += 1;
                }
            }
            memory.tick();
            // The component is not always ready.
            if rng.random_bool(0.8) {
                if let Some(reply) = memory.pop_reply() {
                    assert_eq!(expected.remove(&reply.tag), Some(reply.data));
                    assert!(!reply.poison);
                    out_of_order += u32::from(reply.tag < newest);
                    newest = reply.tag;
                    free.insert(0, reply.tag);
                    answered += 1;
                }
            }
        }
        assert_eq!((answered, expected.len()), (50_000, 0), "{preset}");
        assert!(out_of_order > 1000, "{out_of_order} replies out of order");
        let stats = memory.stats();
        assert_eq!(stats.reads + stats.writes, 50_000);
        assert!(stats.forwarded_reads > 0 && stats.refreshes > 0);
        for (line, data) in contents {
            assert_eq!(memory.store().read_line(line), data);
        }
    }
}

#[test]
fn replies_left_untaken_stop_the_commands() {
    let mut memory = memory(Preset::Ddr4_2400, 200);
    let mut accepted = 0;
    for clock in 0..10_000 {
        if memory.can_accept(false) {
            memory.push(read(0, clock % 64));
            accepted += 1;
        }
        memory.tick();
    }
    assert_eq!(accepted, 256);
    assert!(!memory.can_accept(true));
    assert!(memory.pop_reply().is_some());
    assert!(memory.can_accept(true));
}

#[test]
fn poison_and_lines_beyond_the_end_are_told() {
    let mut memory = memory(Preset::Ddr4_2400, 200);
    memory.store_mut().poison(5);
    for (tag, line) in [(0, 5), (1, 6), (2, 1 << 16)] {
        memory.push(read(tag, line));
    }
    let mut poison = [None; 3];
    while !memory.is_idle() {
        memory.tick();
        if let Some(reply) = memory.pop_reply() {
            poison[reply.tag as usize] = Some(reply.poison);
        }
    }
    assert_eq!(poison, [Some(true), Some(false), Some(true)]);
    assert_eq!(memory.stats().out_of_range, 1);
}

#[test]
fn a_component_clock_of_zero_is_refused() {
    let store = LineStore::new(64, Fill::Zero);
    let memory = TimedDram::new(&Preset::Ddr4_2400.config(), store, 0);
    assert_eq!(
        memory.err().map(|e| e.to_string()),
        Some("the component clock must not be 0 MHz".into())
    );
}
