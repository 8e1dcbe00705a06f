//! The link layer, Verilated, against the codec's own model of a link (`cxl-host`): flits of the one
//! are read by the other, bit for bit, over wires that turn bits, bring noise, and go down; then what
//! a host that breaks the rules gets.

mod bench;
mod rules;
// Other tests use more of it.
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

use bench::{kind, Bench, Damage, Stalls};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rust_hdl::prelude::generate_verilog;
use splitmem_abi::cxl::LinkFault;
use splitmem_cxl_host::flit::crc16;
use splitmem_cxl_host::message::{Message, Req};
use splitmem_hdl::cxl::link::crc::FlitCrc;
use splitmem_hdl::cxl::link::layer::CxlLink;
use verilated::Verilated;

/// Flit times from end to end.
const FLIGHT: usize = 20;

fn verilog() -> String {
    splitmem_hdl::on_a_large_stack(|| {
        let mut link = CxlLink::new();
        link.connect_pins();
        generate_verilog(&link)
    })
}

#[test]
fn the_crc_is_the_codecs() {
    use rust_hdl::prelude::{Block, Logic};
    let mut crc = FlitCrc::default();
    crc.slots.connect();
    crc.connect_all();
    let mut dut = Verilated::new("flit_crc", &generate_verilog(&crc), 1);
    let mut rng = SmallRng::seed_from_u64(3);
    for n in 0..5_000 {
        let slots: [u8; 64] = match n {
            // Each bit alone, then anything.
            0..512 => std::array::from_fn(|i| u8::from(i == n / 8) << (n % 8)),
            _ => std::array::from_fn(|_| rng.random()),
        };
        dut.set_line("slots", &slots);
        dut.settle();
        assert_eq!(dut.get("crc"), u64::from(crc16(&slots)), "{slots:x?}");
    }
}

/// What an exchange came to.
#[derive(Debug)]
struct Exchange {
    /// Messages per flit time, to the device and to the host.
    rates: [f64; 2],
    hits: u64,
    replayed: u64,
}

/// Sends this many messages each way; every one must arrive once and in its order.
fn exchange(messages: u64, damage: Damage, stalls: Stalls, outages: f64, seed: u64) -> Exchange {
    let mut bench = Bench::new(&verilog(), seed, FLIGHT);
    (bench.damage, bench.stalls) = (damage, stalls);
    let mut sent = [0, 0];
    let mut first = None;
    while sent[0] < messages || sent[1] < messages || !bench.is_idle() {
        assert!(bench.cycle < 400 * messages + 1_000_000, "nothing moves: {:?}", bench.host);
        assert_eq!(bench.fault(), None);
        while sent[0] < messages && bench.host.queued() < 8 {
            let request = bench.request();
            bench.send(request);
            sent[0] += 1;
        }
        while sent[1] < messages && bench.answers.iter().any(|waiting| waiting.len() < 2) {
            let answer = bench.answer();
            bench.answers[kind(&answer)].push_back(answer);
            sent[1] += 1;
        }
        if outages > 0.0 && bench.outage == 0 && bench.rng.random_bool(outages) {
            let cycles = bench.rng.random_range(1..200);
            bench.cut(cycles);
        }
        bench.tick();
        if bench.arrived > 0 {
            first.get_or_insert(bench.cycle);
        }
    }
    let arrived = bench.arrived;
    for _ in 0..4 * FLIGHT {
        bench.tick();
    }
    assert_eq!((arrived, bench.arrived), (2 * messages, 2 * messages));
    if outages == 0.0 {
        assert_eq!(bench.corrupt, bench.down.hits, "flits of wrong CRC are seen, and no others");
    }
    let times = (bench.cycle - 4 * FLIGHT as u64 - first.unwrap_or(0)).max(1);
    let counts = bench.host.counts();
    Exchange {
        rates: [messages as f64 / times as f64; 2],
        hits: bench.down.hits + bench.up.hits,
        replayed: counts.replayed,
    }
}

#[test]
fn nothing_is_lost_doubled_or_reordered() {
    for (n, chance) in [0.0, 0.3, 0.7].into_iter().enumerate() {
        for (m, flip) in [0.0, 1e-3, 1e-2].into_iter().enumerate() {
            let seed = (10 * n + m) as u64;
            let damage = Damage { flip, garbage: flip / 4.0 };
            let result = exchange(4_000, damage, Stalls::all(chance), 0.0, seed);
            println!("seed {seed}, stalls {chance}, errors {flip}: {result:?}");
            assert_eq!(flip > 0.0, result.hits > 0);
            assert!(flip > 0.0 || result.replayed == 0);
        }
    }
}

#[test]
fn a_physical_layer_that_comes_and_goes_loses_nothing() {
    for seed in 0..4 {
        let damage = Damage { flip: 1e-3, garbage: 0.0 };
        let result = exchange(3_000, damage, Stalls::all(0.2), 2e-3, seed);
        println!("seed {seed}: {result:?}");
        assert!(result.replayed > 0);
    }
}

/// A million messages at each of the rates that issue 4 names, half of them each way.
#[test]
#[ignore = "minutes: make soak"]
fn a_million_messages() {
    println!("| bit errors per flit | messages a flit, each way | flits hit | flits replayed |");
    println!("| --- | --- | --- | --- |");
    for rate in [0.0, 1e-6, 1e-5, 1e-4, 1e-3] {
        let damage = Damage { flip: rate, garbage: 0.0 };
        let result = exchange(500_000, damage, Stalls::default(), 0.0, 9);
        println!("| {rate:e} | {:.4} | {} | {} |", result.rates[0], result.hits, result.replayed);
    }
}

/// Runs until something is true; gives the cycles that took.
fn until(bench: &mut Bench, patience: u64, done: impl Fn(&Bench) -> bool) -> u64 {
    let start = bench.cycle;
    while !done(bench) {
        assert!(bench.cycle - start < patience, "it does not come");
        bench.tick();
    }
    bench.cycle - start
}

#[test]
fn two_cycles_in_and_two_cycles_out() {
    let mut bench = Bench::new(&verilog(), 1, 1);
    until(&mut bench, 1_000, |b| b.dut.is("up"));
    (0..200).for_each(|_| bench.tick());
    bench.send(Req::read(7, 0x40).into());
    until(&mut bench, 50, |b| b.dut.is("rx_valid"));
    // Its cycle is over then.
    assert_eq!(1 + until(&mut bench, 50, |b| b.dut.is("req_valid")), 2);
    until(&mut bench, 50, |b| b.is_idle());
    (0..200).for_each(|_| bench.tick());
    let before = bench.up.sent;
    bench.answers[1].push_back(splitmem_cxl_host::message::Drs::data(7, [3; 64]).into());
    until(&mut bench, 50, |b| b.answers[1].is_empty());
    assert_eq!(until(&mut bench, 50, |b| b.up.sent > before), 2);
}

#[test]
fn a_dead_wire_is_trained_again_and_again_and_then_given_up() {
    let mut bench = Bench::new(&verilog(), 5, 4);
    until(&mut bench, 1_000, |b| b.dut.is("up"));
    bench.host_gone = true;
    until(&mut bench, 2_000_000, |b| b.fault().is_some());
    assert_eq!(bench.fault(), Some(LinkFault::Retries));
    bench.tick();
    assert_eq!(bench.retrained, 10);
    assert_eq!(bench.uncorrectable, 1 << 8);
}

#[test]
fn a_link_that_was_given_up_takes_answers_and_begins_anew_by_a_reset() {
    let mut bench = Bench::new(&verilog(), 6, 4);
    until(&mut bench, 1_000, |b| b.dut.is("up"));
    rules::raw(&mut bench, &rules::init());
    (0..4).for_each(|_| bench.dut.tick());
    assert_eq!(bench.fault(), Some(LinkFault::Init));
    assert!(!bench.dut.is("up") && !bench.dut.is("tx_valid"));
    bench.dut.set("ndr_valid", 1);
    bench.dut.set("drs_valid", 1);
    bench.dut.settle();
    assert!(bench.dut.is("ndr_ready") && bench.dut.is("drs_ready"));
    bench.dut.set("ndr_valid", 0);
    bench.dut.set("drs_valid", 0);
    rules::restart(&mut bench);
    until(&mut bench, 1_000, |b| b.dut.is("up"));
    for _ in 0..20 {
        let message: Message = bench.request();
        bench.send(message);
    }
    until(&mut bench, 2_000, Bench::is_idle);
}
