//! Random traffic of several kinds, with every command checked.

use super::checker::Rules;
use rand::{rngs::SmallRng, Rng, SeedableRng};
use std::collections::HashMap;
use verilator_tb::dram::{
    AddressMapping, Controller, DramCommand, DramConfig, IssuedCommand, Preset, Request, Timing,
};

/// What one run of random traffic did.
struct Run {
    /// Requests in order of acceptance, with the clock of their answer.
    requests: Vec<(Request, u64, Option<u64>)>,
    log: Vec<IssuedCommand>,
    end: u64,
}

/// Pushes `count` requests, `write_share` of them writes, into lines below `lines` chosen around a
/// wandering base, with pauses that are mostly none; then waits for the end.
fn run(config: &DramConfig, seed: u64, count: usize, write_share: f64, spread: u64) -> Run {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut controller = Controller::new(config).expect("the configuration is sound");
    controller.log_commands();
    let mut requests: Vec<(Request, u64, Option<u64>)> = Vec::new();
    let mut base = 0;
    while requests.len() < count || controller.pending() > 0 {
        let write = rng.random_bool(write_share);
        if requests.len() < count && controller.can_accept(write) {
            if rng.random_bool(0.01) {
                base = rng.random_range(0..config.geometry.lines());
            }
            let request = Request {
                id: requests.len() as u32,
                write,
                line: base + rng.random_range(0..spread),
                mask: if rng.random_bool(0.3) { rng.random() } else { !0 },
            };
            controller.push(request);
            requests.push((request, controller.clock(), None));
        }
        let pause = match rng.random_range(0..100) {
            0 => rng.random_range(0..2000),
            1..10 => rng.random_range(0..50),
            _ => 1,
        };
        controller.advance_to(controller.clock() + pause);
        while let Some(done) = controller.pop_done() {
            let answered = &mut requests[done.id as usize].2;
            assert_eq!(*answered, None, "request {} was answered twice", done.id);
            *answered = Some(done.clock);
        }
    }
    Run { requests, log: controller.commands().to_vec(), end: controller.clock() }
}

/// Every request is answered, and every one that was not forwarded has one access to its place;
/// accesses to one line keep the order of the requests as far as contents depend on it.
fn check_accesses(config: &DramConfig, run: &Run) {
    // Per place: accesses in the order of the log.
    let mut accesses: HashMap<(u8, u32, u32), Vec<bool>> = HashMap::new();
    let mut rows: HashMap<u8, u32> = HashMap::new();
    for issued in &run.log {
        let (bank, column, write) = match issued.command {
            DramCommand::Activate { bank, row } => {
                rows.insert(bank, row);
                continue;
            }
            DramCommand::Read { bank, column } => (bank, column, false),
            DramCommand::Write { bank, column } => (bank, column, true),
            _ => continue,
        };
        accesses.entry((bank, rows[&bank], column)).or_default().push(write);
    }
    let mut wanted: HashMap<(u8, u32, u32), Vec<bool>> = HashMap::new();
    for (request, arrival, answered) in &run.requests {
        let answered = answered.expect("every request is answered");
        if !request.write && answered == arrival + 1 {
            continue;
        }
        let place = config.mapping.locate(request.line);
        wanted.entry((place.bank, place.row, place.column)).or_default().push(request.write);
    }
    assert_eq!(accesses.len(), wanted.len());
    for (place, wanted) in wanted {
        let issued = &accesses[&place];
        assert_eq!(issued.len(), wanted.len(), "accesses to {place:?}");
        // The n-th write must come after all reads that were accepted before it.
        let reads_before_writes = |order: &[bool]| -> Vec<usize> {
            let mut reads = 0;
            let mut before = Vec::new();
            for &write in order {
                if write {
                    before.push(reads);
                } else {
                    reads += 1;
                }
            }
            before
        };
        let pairs = reads_before_writes(issued).into_iter().zip(reads_before_writes(&wanted));
        for (had, needed) in pairs {
            assert!(had >= needed, "a write overtook a read of {place:?}");
        }
    }
}

#[test]
fn every_timing_rule_holds_on_random_traffic() {
    for preset in Preset::ALL {
        let rules = Rules::of(preset);
        for mapping in [AddressMapping::DEFAULT, AddressMapping::INTERLEAVED] {
            let config = preset.config().with_mapping(mapping).expect("known fields");
            for (kind, write_share, spread) in [
                ("streams", 0.0, 64),
                ("one hot row", 0.5, 16),
                ("a few rows", 0.3, 4096),
                ("all rows", 0.4, 1 << 24),
                ("writes of all rows", 1.0, 1 << 24),
            ] {
                for seed in 0..2 {
                    let run = run(&config, seed, 10_000, write_share, spread);
                    let name = format!("{preset} {mapping} {kind} seed {seed}");
                    println!("{name}: {} commands", run.log.len());
                    if let Err(broken) = rules.check(&run.log, run.end) {
                        panic!("{name}: {broken}");
                    }
                    check_accesses(&config, &run);
                }
            }
        }
    }
}

/// Small queues and a short age cap, so that every change of service happens often.
#[test]
fn every_timing_rule_holds_under_constant_ageing() {
    for preset in Preset::ALL {
        let mut config = preset.config();
        config.controller.read_queue = 5;
        config.controller.write_queue = 3;
        config.controller.write_high = 3;
        config.controller.write_low = 1;
        config.controller.age_cap = 60;
        for seed in 0..4 {
            let run = run(&config, seed, 10_000, 0.5, 1 << 16);
            if let Err(broken) = Rules::of(preset).check(&run.log, run.end) {
                panic!("{preset} seed {seed}: {broken}");
            }
            check_accesses(&config, &run);
        }
    }
}

/// The checker must see each rule broken, by a device that is faster than the standard by one
/// clock in one parameter.
#[test]
fn a_device_one_clock_too_fast_is_caught() {
    type Break = (&'static str, fn(&mut Timing));
    let breaks: [Break; 17] = [
        ("tRCD", |t| t.rcd -= 1),
        ("tRP", |t| t.rp -= 1),
        ("tRAS", |t| t.ras -= 1),
        ("tRC", |t| {
            t.ras -= 1;
            t.rc -= 1;
        }),
        ("tRRD", |t| t.rrd_s -= 1),
        ("tRRD", |t| t.rrd_l -= 1),
        ("tFAW", |t| t.faw -= 1),
        ("tCCD", |t| t.ccd_l -= 1),
        ("tCCD", |t| {
            t.ccd_s -= 1;
            // Only the distance of bursts changes, not what else their length enters.
            t.burst -= 1;
            t.wtr_s += 1;
            t.wtr_l += 1;
            t.wr += 1;
            t.bus_turn += 1;
        }),
        ("tWTR", |t| t.wtr_s -= 1),
        ("tWTR", |t| t.wtr_l -= 1),
        ("tWR", |t| t.wr -= 1),
        ("tRTP", |t| t.rtp -= 1),
        ("tRFC", |t| t.rfc -= 1),
        ("read to write", |t| t.bus_turn -= 1),
        ("tREFI", |t| t.refi -= 1),
        ("tREFI", |t| t.refi += 200),
    ];
    for (rule, make_faster) in breaks {
        let mut config = Preset::Ddr4_2400.config();
        make_faster(&mut config.timing);
        let mut rules = Rules::of(Preset::Ddr4_2400);
        if rule == "tRC" {
            // As the sum of tRAS and tRP it is broken alone only where tRAS allows it.
            rules.ras -= 1;
        }
        // Rows that are hit, a few rows that conflict, and all rows.
        let caught = [64, 1 << 12, 1 << 24].into_iter().find_map(|spread| {
            let run = run(&config, 1, 20_000, 0.4, spread);
            rules.check(&run.log, run.end).err()
        });
        println!("short {rule}: {caught:?}");
        assert!(
            caught.as_ref().is_some_and(|broken| broken.starts_with(rule)),
            "a device with a short {rule} gave {caught:?}"
        );
    }
}
