//! Two ends of a link with errors between them: nothing is lost, doubled or reordered.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_cxl_host::flit::{Control, Direction, Flit, Header, FLIT_BYTES};
use splitmem_cxl_host::link::{Link, LinkError, Local};
use splitmem_cxl_host::message::{Drs, Message, Ndr, Req, Rwd};

/// Flit times from end to end.
const FLIGHT: usize = 20;

/// A message that tells its number.
fn message(down: bool, n: u64) -> Message {
    let data = std::array::from_fn(|i| (n.wrapping_mul(0x9e37_79b9) >> (i % 32)) as u8);
    let tag = n as u16;
    match (down, n % 3) {
        (true, 0) => Rwd::write(tag, n << 6, data).into(),
        (true, 1) => Rwd::write_bytes(tag, n << 6, data, n).into(),
        (true, _) => Req::read(tag, n << 6).into(),
        (false, 0) => Ndr::cmp(tag).into(),
        (false, _) => Drs::data(tag, data).into(),
    }
}

fn with_data(message: &Message) -> usize {
    usize::from(matches!(message, Message::Rwd(_) | Message::Drs(_)))
}

struct Wire {
    flits: VecDeque<Option<Flit>>,
    hits: u64,
}

impl Wire {
    fn new() -> Self {
        Self { flits: vec![None; FLIGHT].into(), hits: 0 }
    }

    /// One flit time; with the probability `rate`, up to three bits of the flit are turned.
    fn pass(&mut self, flit: Option<Flit>, rng: &mut SmallRng, rate: f64) -> Option<Flit> {
        self.flits.push_back(flit);
        let mut flit = self.flits.pop_front().flatten()?;
        if rng.random_bool(rate) {
            self.hits += 1;
            for _ in 0..rng.random_range(1..=3) {
                flit.0[rng.random_range(0..FLIT_BYTES)] ^= 1 << rng.random_range(0..8);
            }
        }
        Some(flit)
    }
}

/// Sends this many messages each way; gives the messages per flit time and the errors.
fn exchange(messages: u64, rate: f64, seed: u64) -> (f64, u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut ends = [Link::new(Direction::ToDevice), Link::new(Direction::ToHost)];
    let mut wires = [Wire::new(), Wire::new()];
    let mut sent = [0; 2];
    // By end that sent, by kind: numbers that are due, in order.
    let mut due: [[VecDeque<u64>; 2]; 2] = Default::default();
    let mut arrived = 0;
    let mut times = 0u64;
    while arrived < 2 * messages {
        times += 1;
        let counts = [ends[0].counts(), ends[1].counts()];
        assert!(times < 100 * messages + 1_000_000, "nothing moves: {counts:?}");
        for end in 0..2 {
            while sent[end] < messages && ends[end].queued() < 8 {
                let next = message(end == 0, sent[end]);
                due[end][with_data(&next)].push_back(sent[end]);
                ends[end].send(next).unwrap();
                sent[end] += 1;
            }
        }
        for end in 0..2 {
            let flit = ends[end].transmit();
            if let Some(flit) = wires[end].pass(flit, &mut rng, rate) {
                ends[1 - end].receive(&flit).unwrap();
            }
            // A reader that is sometimes slow: credits run out.
            while rng.random_bool(0.7) {
                let Some(got) = ends[1 - end].take() else { break };
                let n = due[end][with_data(&got)].pop_front().unwrap();
                assert_eq!(got, message(end == 0, n));
                arrived += 1;
            }
        }
    }
    let hits = wires.iter().map(|wire| wire.hits).sum();
    let corrupt: u64 = ends.iter().map(|end| end.counts().corrupt).sum();
    // Turning a bit twice heals it.
    assert!(corrupt <= hits && corrupt + hits / 50 + 3 >= hits, "{corrupt} of {hits} were seen");
    (messages as f64 / times as f64, hits)
}

#[test]
fn nothing_is_lost_doubled_or_reordered() {
    let clean = exchange(40_000, 0.0, 1).0;
    // Seeds with which, up to 1e-3, no retry request is hit: that costs a timeout of 4,096 flit times, and
    // whether it happens once in such a run is chance.
    for (rate, seed) in [(1e-4, 2), (1e-3, 3), (4e-3, 4)] {
        let (throughput, hits) = exchange(40_000, rate, seed);
        println!("error rate {rate}: {throughput:.3} messages a flit each way, {hits} flits hit");
        assert!(hits > 0 && throughput <= clean);
        assert!(rate > 1e-3 || throughput > 0.9 * clean, "{throughput} of {clean}");
    }
}

/// A million messages at each of the rates that a link is specified for.
#[test]
#[ignore = "a minute: make soak"]
fn a_million_messages() {
    for rate in [0.0, 1e-6, 1e-5, 1e-4, 1e-3] {
        let (throughput, hits) = exchange(500_000, rate, 9);
        println!("error rate {rate:e}: {throughput:.4} messages a flit each way, {hits} flits hit");
    }
}

#[test]
fn a_dead_wire_ends_in_abort() {
    let mut end = Link::new(Direction::ToHost);
    let mut bad = Control::RetryIdle.to_flit(Header::default());
    bad.0[9] ^= 1;
    end.receive(&bad).unwrap();
    let mut times = 0u64;
    while end.local() != Local::Abort {
        end.transmit();
        times += 1;
        assert!(times < 10_000_000);
    }
    assert_eq!(end.transmit(), None);
    assert_eq!(end.receive(&bad), Err(LinkError::Abort));
}

#[test]
fn a_peer_that_breaks_the_rules_is_told() {
    let init = Control::InitParam { wrap: 64 }.to_flit(Header::default());
    let idle = Control::RetryIdle.to_flit(Header::default());
    let ack = Control::Ack { acks: 3 }.to_flit(Header::default());
    let end = || {
        let mut end = Link::new(Direction::ToHost);
        end.receive(&idle).unwrap();
        end
    };
    assert_eq!(end().receive(&ack), Err(LinkError::Init), "before INIT.Param");
    let mut twice = end();
    twice.receive(&init).unwrap();
    assert_eq!(twice.receive(&init), Err(LinkError::Init));
    let mut early = end();
    early.receive(&init).unwrap();
    assert_eq!(early.receive(&ack), Err(LinkError::Acknowledged));
    assert!(early.send(Req::read(0, 0).into()).is_err(), "that goes the other way");
}

#[test]
fn any_flits_give_a_defined_result() {
    let mut rng = SmallRng::seed_from_u64(4);
    for _ in 0..20_000 {
        let mut end = Link::new(Direction::ToHost);
        for _ in 0..6 {
            let mut slots: [u128; 4] = std::array::from_fn(|_| rng.random());
            // Half of them look like control flits of some kind.
            if rng.random() {
                slots[0] = slots[0] & !0xff_0000_00ff | 1 | u128::from(rng.random::<u8>()) << 32;
            }
            if end.receive(&Flit::new(slots)).is_err() {
                break;
            }
            end.transmit();
        }
    }
}
