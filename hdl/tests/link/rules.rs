//! A host that breaks the rules: any flit gives the answer that the codec's model gives, and after a
//! reset the link serves again.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use splitmem_abi::cxl::LinkFault;
use splitmem_cxl_host::flit::{
    Control, Credit, Direction, Flit, FlitError, Header, Packer, RetryAck, FLIT_BYTES,
};
use splitmem_cxl_host::link::{Link, LinkError};
use splitmem_cxl_host::message::{Req, Rwd};

use crate::bench::Bench;
use crate::{until, verilog};

pub fn init() -> Flit {
    Control::InitParam { wrap: 64 }.to_flit(Header::default())
}

/// One flit of ours on the device's pins.
pub fn raw(bench: &mut Bench, flit: &Flit) {
    bench.dut.set("rx_valid", 1);
    bench.dut.set_bytes("rx_flit", &flit.0);
    bench.dut.settle();
    bench.dut.tick();
    bench.dut.set("rx_valid", 0);
    bench.dut.settle();
}

/// Both ends anew.
pub fn restart(bench: &mut Bench) {
    bench.dut.set("reset", 1);
    (0..4).for_each(|_| bench.dut.tick());
    bench.dut.set("reset", 0);
    (0..2).for_each(|_| bench.dut.tick());
    bench.host = Link::new(Direction::ToDevice);
    for wire in [&mut bench.down, &mut bench.up] {
        wire.flits.iter_mut().for_each(|flit| *flit = None);
    }
    bench.due.iter_mut().for_each(|due| due.clear());
}

/// Which fault the model's error is; `None` for what the hardware lets through to the transaction
/// layer, which drops messages that cannot be.
fn fault(error: &LinkError) -> Option<LinkFault> {
    Some(match error {
        LinkError::Flit(error) => match error {
            FlitError::Message(_) => return None,
            FlitError::Control(_) => LinkFault::Control,
            FlitError::Format { .. } | FlitError::NoDataDue(_) => LinkFault::Format,
            FlitError::Interrupted => LinkFault::Interrupted,
            FlitError::DataDue(_) => LinkFault::DataDue,
            FlitError::TooMany(_) => LinkFault::TooMany,
            FlitError::Shape => LinkFault::Shape,
            _ => return None,
        },
        LinkError::Init => LinkFault::Init,
        LinkError::Overflow => LinkFault::Overflow,
        // The model has sent nothing here, and the hardware has: what it may be asked for differs.
        _ => return None,
    })
}

/// A flit that is near to being one.
fn odd(rng: &mut SmallRng) -> Flit {
    let header = |rng: &mut SmallRng| Header {
        ack: rng.random_bool(0.1),
        request_credit: Credit(rng.random_range(0..16)),
        ..Header::default()
    };
    match rng.random_range(0..9) {
        // Any control flit, known or not.
        0 => {
            let any = rng.random::<u8>();
            let kind = *[0x10, 0x01, 0x11, 0x21, 0x31, 0x8c, any].choose(rng).unwrap();
            let slot = 1
                | u128::from(rng.random_range(0..16u8) & rng.random::<u8>()) << 5 & 0xe0
                | u128::from(kind) << 32
                | u128::from(rng.random::<u32>() & rng.random::<u32>()) << 64;
            Flit::new([slot, 0, 0, 0])
        }
        // Messages as they should be.
        1..5 => {
            let mut packer = Packer::new(Direction::ToDevice, false);
            for _ in 0..rng.random_range(0..4) {
                let (tag, address) = (rng.random(), rng.random_range(0..1u64 << 46) << 6);
                let message = match rng.random_range(0..3) {
                    0 => Req::read(tag, address).into(),
                    1 => Rwd::write(tag, address, [rng.random(); 64]).into(),
                    _ => Rwd::write_bytes(tag, address, [rng.random(); 64], rng.random()).into(),
                };
                packer.push(&message).unwrap();
            }
            let mut flit = packer.flit(header(rng));
            // And one bit of their header otherwise.
            if rng.random_bool(0.3) {
                let mut slots = flit.slots();
                slots[0] ^= 1 << rng.random_range(0..17);
                flit = Flit::new(slots);
            }
            flit
        }
        // Formats at random.
        5 => {
            let mut slots: [u128; 4] = std::array::from_fn(|_| rng.random::<bool>().into());
            slots[0] = slots[0] << 32 | u128::from(rng.random::<u32>() & 0x1fff8);
            Flit::new(slots)
        }
        6 => Flit::new([0; 4]),
        // Three Req.
        7 => Flit::new([5 << 5 | 4 << 8 | 4 << 11 | 1 << 32, 1, 1, 0]),
        _ => Flit::new(std::array::from_fn(|_| rng.random())),
    }
}

/// Flits by random; the model's verdict on each, and the hardware's.
fn odd_flits(rounds: u64, seed: u64) {
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut bench = Bench::new(&verilog(), seed, 2);
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..rounds {
        restart(&mut bench);
        bench.dut.set("req_ready", 1);
        bench.dut.set("rwd_ready", 1);
        bench.dut.set("tx_ready", 1);
        let mut model = Link::new(Direction::ToHost);
        if rng.random_bool(0.95) {
            model.receive(&init()).unwrap();
            raw(&mut bench, &init());
        }
        for _ in 0..12 {
            let flit = odd(&mut rng);
            raw(&mut bench, &flit);
            bench.dut.tick();
            bench.dut.tick();
            let verdict = model.receive(&flit);
            while model.take().is_some() {}
            let found = bench.fault();
            match &verdict {
                Ok(()) => assert_eq!(found, None, "{flit:?}"),
                Err(error) => {
                    // A flit with two faults tells one of them.
                    assert!(fault(error).is_none() || found.is_some(), "{error} at {flit:?}");
                }
            }
            if verdict.is_err() {
                break;
            }
        }
        let name = bench.fault().map_or("none".into(), |fault| format!("{fault:?}"));
        *seen.entry(name).or_default() += 1;
        // It goes on, whatever that was.
        if rng.random_bool(0.05) {
            restart(&mut bench);
            until(&mut bench, 1_000, |b| b.dut.is("up"));
            for _ in 0..6 {
                let message = bench.request();
                bench.send(message);
            }
            until(&mut bench, 1_000, Bench::is_idle);
        }
    }
    println!("{seen:?}");
    for fault in [
        LinkFault::Control,
        LinkFault::Interrupted,
        LinkFault::Format,
        LinkFault::DataDue,
        LinkFault::TooMany,
        LinkFault::Shape,
        LinkFault::Init,
        LinkFault::Acknowledged,
    ] {
        assert!(seen.contains_key(&format!("{fault:?}")), "{fault:?} was not met");
    }
}

#[test]
fn any_flit_gets_the_models_verdict() {
    odd_flits(3_000, 11);
}

#[test]
#[ignore = "a minute: make soak"]
fn many_more_flits_get_the_models_verdict() {
    for seed in 20..30 {
        odd_flits(20_000, seed);
    }
}

/// What the named fault needs, after INIT.Param.
fn after_init(flits: &[Flit]) -> Option<LinkFault> {
    let mut bench = Bench::new(&verilog(), 1, 2);
    bench.dut.set("tx_ready", 1);
    raw(&mut bench, &init());
    for flit in flits {
        assert_eq!(bench.fault(), None);
        raw(&mut bench, flit);
        bench.dut.tick();
        bench.dut.tick();
    }
    bench.fault()
}

#[test]
fn each_fault_is_told_by_its_name() {
    let plain = |control: Control| control.to_flit(Header::default());
    let ack = plain(Control::Ack { acks: 0 });
    let packed = |count: u16, rwd: bool| {
        let mut packer = Packer::new(Direction::ToDevice, false);
        for tag in 0..count {
            let message = match rwd {
                true => Rwd::write(tag, 0, [1; 64]).into(),
                false => Req::read(tag, 0).into(),
            };
            packer.push(&message).unwrap();
        }
        packer.flit(Header::default())
    };
    let edit = |flit: &Flit, slot: usize, bits: u128| {
        let mut slots = flit.slots();
        slots[slot] ^= bits;
        Flit::new(slots)
    };
    let (line, read) = (packed(1, true), packed(1, false));
    let rest = Flit::new([0; 4]);
    let frames = [plain(Control::RetryFrame); 5];
    let request = |sequence| {
        let retry = splitmem_cxl_host::flit::RetryRequest { sequence, retries: 1, retrains: 0 };
        [frames.to_vec(), vec![plain(Control::RetryRequest(retry))]].concat()
    };
    assert_eq!(after_init(&[ack, line, rest, read, ack]), None);
    assert_eq!(after_init(&[edit(&ack, 0, 1 << 36 | 1 << 37)]), Some(LinkFault::Control));
    assert_eq!(after_init(&[line, ack]), Some(LinkFault::Interrupted));
    assert_eq!(after_init(&[edit(&rest, 0, 6 << 5)]), Some(LinkFault::Format));
    assert_eq!(after_init(&[edit(&rest, 2, 1)]), Some(LinkFault::Format));
    assert_eq!(after_init(&[edit(&line, 0, 4 << 8)]), Some(LinkFault::DataDue));
    let three = edit(&edit(&packed(2, false), 0, 4 << 11), 2, 1 | 1 << 1);
    assert_eq!(after_init(&[three]), Some(LinkFault::TooMany));
    assert_eq!(after_init(&[edit(&line, 0, 1 << 4)]), Some(LinkFault::Shape));
    assert_eq!(after_init(&[edit(&line, 0, 1 << 3)]), Some(LinkFault::Shape));
    assert_eq!(after_init(&[init()]), Some(LinkFault::Init));
    assert_eq!(after_init(&[packed(2, false); 33]), Some(LinkFault::Overflow));
    assert_eq!(after_init(&[plain(Control::Ack { acks: 200 })]), Some(LinkFault::Acknowledged));
    assert_eq!(after_init(&request(50)), Some(LinkFault::Forgotten));
    assert_eq!(after_init(&request(0)), None);
    // Without the frames it is nothing.
    assert_eq!(after_init(&request(50)[2..]), None);
}

/// Whether a request is taken that comes behind a RETRY.Ack which says so many `retries`, when the device
/// has asked once for a damaged flit.
fn is_taken_after_an_answer_of(retries: u8) -> bool {
    let mut bench = Bench::new(&verilog(), 1, 2);
    bench.dut.set("tx_ready", 1);
    raw(&mut bench, &init());
    raw(&mut bench, &Flit([0xa5; FLIT_BYTES]));
    // INIT.Param and credits, then the frames and RETRY.Req leave.
    (0..40).for_each(|_| bench.dut.tick());
    let answer =
        RetryAck { empty: false, viral: false, retries, write_pointer: 0, sequence: 0, free: 64 };
    for _ in 0..5 {
        raw(&mut bench, &Control::RetryFrame.to_flit(Header::default()));
    }
    raw(&mut bench, &Control::RetryAck(answer).to_flit(Header::default()));
    let mut packer = Packer::new(Direction::ToDevice, false);
    packer.push(&Req::read(1, 0).into()).unwrap();
    raw(&mut bench, &packer.flit(Header::default()));
    (0..4).for_each(|_| bench.dut.tick());
    assert_eq!(bench.fault(), None);
    bench.dut.is("req_valid")
}

/// An answer to an older request may come late, when the one to the newest is on its way with what has
/// to be sent again behind it (section 4.2.8.5).
#[test]
fn only_the_answer_to_the_newest_request_counts() {
    assert!(is_taken_after_an_answer_of(1));
    assert!(!is_taken_after_an_answer_of(0));
    assert!(!is_taken_after_an_answer_of(2));
}

/// The other end may have more room than the counter can tell (section 4.2.7: it saturates).
#[test]
fn credits_that_are_not_counted_do_not_take_away_those_that_are() {
    let mut bench = Bench::new(&verilog(), 1, 2);
    bench.dut.set("tx_ready", 1);
    raw(&mut bench, &init());
    let most = Credit::of(Credit::MOST);
    let given = Header { response_credit: most, data_credit: most, ..Header::default() };
    for flit in 1..=20 {
        raw(&mut bench, &Control::Ack { acks: 0 }.to_flit(given));
        (0..4).for_each(|_| bench.dut.tick());
        let status = u128::from_le_bytes(bench.dut.get_bytes::<16>("link_status"));
        let held = (flit * u128::from(Credit::MOST)).min(1023);
        assert_eq!((status >> 70 & 1023, status >> 80 & 1023), (held, held), "{flit} times");
    }
}
