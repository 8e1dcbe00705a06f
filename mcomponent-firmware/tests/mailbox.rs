//! Whatever bytes stand in the mailbox, the answer is defined and memory stays in order.

mod common;

use common::{pages_of, proptest_config, Capacity, World, HARDWARE};
use mcomponent_firmware::MonitorConfig;
use proptest::prelude::*;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Payload, Permission, ReturnCode};
use splitmem_abi::regs::MAILBOX_WORDS;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Words near what means something, and any others.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0u32..8,
        2 => Just(0x4000_0000),
        2 => (0u32..64).prop_map(|page| 0x4000_0000 + (page << 12)),
        1 => (0u32..64).prop_map(|page| page << 21),
        1 => Just(0x8000),
        1 => Just(0x300),
        2 => any::<u32>(),
        1 => (0u32..32).prop_map(|bit| 1 << bit),
    ]
}

fn mail() -> impl Strategy<Value = (u16, u16, [u32; 8])> {
    let commands = [
        Command::INFO,
        Command::ALLOC,
        Command::FREE,
        Command::PROTECT,
        Command::SHARE,
        Command::DROP,
        Command::HEALTH,
        Command::EVENTS,
    ];
    let known = prop::sample::select(commands.to_vec());
    let head = prop_oneof![
        8 => known.clone(),
        1 => (known, any::<u16>()).prop_map(|(known, length)| (known.0, length)),
        1 => any::<(u16, u16)>(),
    ];
    (head, prop::array::uniform8(word()))
        .prop_map(|((opcode, length), words)| (opcode, length, words))
}

proptest! {
    #![proptest_config(proptest_config(100))]

    #[test]
    fn every_command_has_an_answer(
            mails in prop::collection::vec(mail(), 1..60),
            overcommit in any::<bool>(),
        ) {
        let config = MonitorConfig { overcommit, ..MonitorConfig::default() };
        let mut world = World::new(HARDWARE, &config, Capacity::default());
        for pid in 0..4 {
            world.alloc(pid, PageSize::Small, 20, Permission::RW, pid % 2 == 0).expect("room");
        }
        for (opcode, length, words) in mails {
            let mut payload: Payload = [0; MAILBOX_WORDS];
            payload[..8].copy_from_slice(&words);
            let decoded = Command::decode(opcode, length, &payload);
            let before = world.table();
            let (code, reply) = world.mail(opcode, length, &payload);
            match decoded {
                Err(expected) => prop_assert_eq!(code, expected),
                Ok(_) if code != ReturnCode::Success => {}
                // The books of `World` follow what it did.
                Ok(Command::Alloc { pid, pages, permission, shareable, .. }) => {
                    let va = Address::decode(&reply).0;
                    let range = splitmem_abi::mailbox::Range { pid, va, pages };
                    for (i, page) in (0..).zip(pages_of(range)) {
                        let cell = u64::MAX - (world.pages.len() as u64) * 10_000 - i;
                        world.pages.insert(page, common::Page { permission, shareable, cell });
                    }
                }
                Ok(Command::Free(range)) => world.pages.retain(|page, _| {
                    !pages_of(range).any(|gone| gone == *page)
                }),
                Ok(Command::Protect(range, permission)) => {
                    for page in pages_of(range) {
                        world.pages.get_mut(&page).expect("allocated").permission = permission;
                    }
                }
                Ok(Command::Share { source, pid, permission }) => {
                    let va = Address::decode(&reply).0;
                    let range = splitmem_abi::mailbox::Range { pid, va, pages: source.pages };
                    for (from, to) in pages_of(source).zip(pages_of(range)) {
                        let page = common::Page { permission, ..world.pages[&from] };
                        world.pages.insert(to, page);
                    }
                }
                Ok(Command::Drop { pid }) => world.pages.retain(|page, _| page.0 != pid),
                Ok(
                    Command::Info | Command::Health | Command::Events | Command::PostMortem,
                ) => {}
            }
            if code != ReturnCode::Success {
                prop_assert_eq!(world.table(), before, "refused, and changed something");
            }
            prop_assert_ne!(code, ReturnCode::Internal);
            let audit = catch_unwind(AssertUnwindSafe(|| world.audit()));
            prop_assert!(audit.is_ok(), "after {:?}", decoded);
        }
    }
}
