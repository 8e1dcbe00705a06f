//! The codec: what is packed comes out again, and any bytes give a defined result.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::sample::select;
use splitmem_cxl_host::flit::{
    Direction, Flit, Header, Packer, Received, Unpacker, FLIT_BYTES, MOST_WAITING,
};
use splitmem_cxl_host::message::{
    DevLoad, Drs, DrsOpcode, Message, Meta, MetaField, MetaValue, Ndr, NdrOpcode, Req, ReqOpcode,
    Rwd, RwdOpcode, SnpType,
};

fn meta() -> impl Strategy<Value = Meta> {
    (any::<bool>(), select(MetaValue::ALL)).prop_map(|(some, value)| match some {
        true => Meta { field: MetaField::Meta0State, value },
        false => Meta::NONE,
    })
}

fn line() -> impl Strategy<Value = [u8; 64]> {
    any::<[[u8; 32]; 2]>().prop_map(|halves| std::array::from_fn(|i| halves[i / 32][i % 32]))
}

fn req() -> impl Strategy<Value = Message> {
    let head = (select(ReqOpcode::ALL), select(SnpType::ALL), meta());
    (head, any::<u16>(), 0u64..1 << 47, 0u8..4, 0u8..16).prop_map(
        |((opcode, snoop, meta), tag, address, tc, ld_id)| {
            Message::Req(Req { opcode, snoop, meta, tag, address: address << 5, tc, ld_id })
        },
    )
}

fn rwd() -> impl Strategy<Value = Message> {
    let head = (select(RwdOpcode::ALL), select(SnpType::ALL), meta());
    let tail = (any::<bool>(), 0u8..4, 0u8..16, line(), any::<u64>());
    (head, any::<u16>(), 0u64..1 << 46, tail).prop_map(
        |((opcode, snoop, meta), tag, address, (poison, tc, ld_id, data, mask))| {
            let mask = if opcode == RwdOpcode::MemWr { u64::MAX } else { mask };
            let address = address << 6;
            Message::Rwd(Rwd { opcode, snoop, meta, tag, address, poison, tc, ld_id, data, mask })
        },
    )
}

fn ndr() -> impl Strategy<Value = Message> {
    (select(NdrOpcode::ALL), meta(), any::<u16>(), 0u8..16, select(DevLoad::ALL)).prop_map(
        |(opcode, meta, tag, ld_id, load)| Message::Ndr(Ndr { opcode, meta, tag, ld_id, load }),
    )
}

fn drs() -> impl Strategy<Value = Message> {
    let head = (select(DrsOpcode::ALL), meta(), any::<u16>(), any::<bool>());
    (head, 0u8..16, select(DevLoad::ALL), line()).prop_map(
        |((opcode, meta, tag, poison), ld_id, load, data)| {
            Message::Drs(Drs { opcode, meta, tag, poison, ld_id, load, data })
        },
    )
}

fn with_data(message: &Message) -> bool {
    matches!(message, Message::Rwd(_) | Message::Drs(_))
}

/// Sends messages in bursts and compares each kind's order.
fn round_trip(direction: Direction, multiple: bool, bursts: &[Vec<Message>]) -> usize {
    let mut packer = Packer::new(direction, multiple);
    let mut unpacker = Unpacker::new(direction, multiple);
    let mut expected = [VecDeque::new(), VecDeque::new()];
    let mut bursts = bursts.iter();
    let (mut flits, mut burst) = (0, bursts.next());
    while let Some(messages) = burst {
        for message in messages {
            packer.push(message).expect("goes this way");
            expected[usize::from(with_data(message))].push_back(*message);
        }
        burst = bursts.next();
        // One flit between bursts, all that is left at the end.
        loop {
            assert_eq!(packer.is_all_data(), unpacker.expects_all_data());
            let header = Header { ack: flits % 3 == 0, ..Header::default() };
            let flit = packer.flit(header);
            flits += 1;
            assert!(flit.is_intact());
            let Received::Messages(header, messages) = unpacker.flit(&flit).expect("well formed")
            else {
                panic!("a control flit came out")
            };
            assert!(header.is_none_or(|h| h.ack == ((flits - 1) % 3 == 0)));
            for message in messages {
                let next = expected[usize::from(with_data(&message))].pop_front();
                assert_eq!(Some(message), next);
            }
            assert!(unpacker.due() <= MOST_WAITING);
            if burst.is_some() || packer.is_empty() {
                break;
            }
        }
    }
    assert!(expected.iter().all(VecDeque::is_empty) && unpacker.due() == 0);
    flits
}

fn bursts(message: impl Strategy<Value = Message>) -> impl Strategy<Value = Vec<Vec<Message>>> {
    prop::collection::vec(prop::collection::vec(message, 0..5), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_to_the_device_arrives(bursts in bursts(prop_oneof![req(), rwd()])) {
        round_trip(Direction::ToDevice, false, &bursts);
    }

    #[test]
    fn what_goes_to_the_host_arrives(
        bursts in bursts(prop_oneof![ndr(), drs()]), multiple in any::<bool>()
    ) {
        round_trip(Direction::ToHost, multiple, &bursts);
    }

    /// Random flits, and good flits with bits turned, keep every promise but that of a message.
    #[test]
    fn any_bytes_give_a_defined_result(
        flits in prop::collection::vec(any::<[[u8; 22]; 3]>(), 1..20),
        kinds in prop::collection::vec(any::<u32>(), 20),
        to_host in any::<bool>(),
        multiple in any::<bool>(),
    ) {
        let direction = if to_host { Direction::ToHost } else { Direction::ToDevice };
        let mut unpacker = Unpacker::new(direction, multiple);
        for (bytes, kind) in flits.iter().zip(kinds) {
            let mut flit: [u8; FLIT_BYTES] = std::array::from_fn(|i| bytes[i / 22][i % 22]);
            // Half of them with a plausible header: random ones are nearly all refused at once.
            if kind & 1 == 0 {
                flit[..4].copy_from_slice(&(kind & !1).to_le_bytes());
                for slot in 0..4 {
                    flit[16 * slot + if slot == 0 { 4 } else { 0 }] &= 0b11;
                }
            }
            let before = unpacker.due();
            match unpacker.flit(&Flit(flit)) {
                Ok(Received::Messages(_, messages)) => {
                    prop_assert!(messages.iter().all(|message| direction.carries(message)));
                    prop_assert!(messages.len() <= 6 && unpacker.due() <= MOST_WAITING);
                }
                Ok(Received::Control(header, _)) => prop_assert!(header.control),
                Err(error) => {
                    prop_assert_eq!(unpacker.due(), before, "an error changes nothing");
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }
    }

    #[test]
    fn a_crc_sees_every_burst_of_sixteen_bits(
        bytes in any::<[[u8; 32]; 2]>(), at in 0usize..512, pattern in 1u16..
    ) {
        let slots = std::array::from_fn(|i| {
            u128::from_le_bytes(std::array::from_fn(|k| bytes[i / 2][i % 2 * 16 + k]))
        });
        let mut flit = Flit::new(slots);
        prop_assert!(flit.is_intact());
        let mut turned = false;
        for bit in (0..16).filter(|bit| pattern >> bit & 1 == 1) {
            if let Some(byte) = flit.0.get_mut((at + bit) / 8).filter(|_| at + bit < 512) {
                *byte ^= 1 << ((at + bit) % 8);
                turned = true;
            }
        }
        prop_assert_eq!(flit.is_intact(), !turned);
    }
}

#[test]
fn slots_are_used_well() {
    let line = [7; 64];
    // A line takes five slots, a read one: a flit carries 4/5 of a line, or two reads.
    let writes: Vec<Message> = (0..40).map(|i| Rwd::write(i, 64, line).into()).collect();
    assert_eq!(round_trip(Direction::ToDevice, false, &[writes]), 50);
    let reads: Vec<Message> = (0..40).map(|i| Req::read(i, 64).into()).collect();
    assert_eq!(round_trip(Direction::ToDevice, false, &[reads]), 20);
    let lines: Vec<Message> = (0..40).map(|i| Drs::data(i, line).into()).collect();
    assert_eq!(round_trip(Direction::ToHost, false, std::slice::from_ref(&lines)), 50);
    let several = round_trip(Direction::ToHost, true, &[lines]);
    assert!(several <= 46, "{several} flits");
}

#[test]
fn messages_do_not_go_the_wrong_way() {
    let mut packer = Packer::new(Direction::ToDevice, false);
    assert!(packer.push(&Ndr::cmp(1).into()).is_err());
    assert!(packer.is_empty());
}
