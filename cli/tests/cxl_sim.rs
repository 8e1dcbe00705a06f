//! The component behind CXL.mem answers as the golden model does, although CXL.mem has no atomics,
//! no order and no word for a fault.

use std::collections::{HashMap, VecDeque};

use pcomponent_driver::backend::model::ModelTransport;
use pcomponent_driver::transport::{Completion, Submission, Transport, Work, PAGE_BYTES};
use pcomponent_driver::HwConfig;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission, ReturnCode};
use splitmem_abi::request::{Op, Status};
use splitmem_cli::machine::cxl_sim::CxlSimTransport;
use verilator_tb::cxl::LinkOptions;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::{Component, Hw, Machine, MonitorOptions};

const PAGES: u32 = 6;

fn alloc(transport: &mut dyn Transport, pid: u16, permission: Permission) -> u64 {
    let size = PageSize::Small;
    let command = Command::Alloc { pid, pages: PAGES, size, permission, shareable: false };
    let reply = transport.mailbox(&command).unwrap();
    assert_eq!(reply.code, ReturnCode::Success);
    Address::decode(&reply.payload).0
}

/// Submits and waits for all; by id.
fn run(transport: &mut dyn Transport, all: &[Submission]) -> HashMap<u64, Completion> {
    let mut batch: VecDeque<Submission> = all.iter().cloned().collect();
    let mut done = Vec::new();
    while done.len() < all.len() {
        transport.submit(&mut batch).unwrap();
        transport.poll(&mut done, true).unwrap();
    }
    done.into_iter().map(|c| (c.id, Completion { cycles: None, ..c })).collect()
}

#[test]
fn random_work_ends_as_on_the_golden_model() {
    work_ends_as_on_the_golden_model(None, 30, 21);
}

#[test]
fn so_it_does_over_a_link_with_bit_errors() {
    let link = LinkOptions { flight: 16, errors: 1e-3, seed: 5 };
    work_ends_as_on_the_golden_model(Some(link), 20, 22);
}

fn work_ends_as_on_the_golden_model(link: Option<LinkOptions>, rounds: usize, seed: u64) {
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let dram = IdealMemory::new(LineStore::new(1 << 18, Fill::Noise(1)), 20);
    let component = Component::new(Hw::Small, dram).unwrap();
    let machine = Machine::boot(component, MonitorOptions::default()).unwrap();
    let mut sim = CxlSimTransport::new(machine, 200.0, link).unwrap();
    let mut model = ModelTransport::new(HwConfig::SMALL).unwrap();
    let mut ranges = Vec::new();
    for (pid, permission) in [(1, Permission::RW), (2, Permission::RW), (3, Permission::RO)] {
        let va = alloc(&mut sim, pid, permission);
        ranges.push((pid, va, alloc(&mut model, pid, permission)));
    }
    let mut statuses = HashMap::new();
    for round in 0..rounds {
        let mut batches = [Vec::new(), Vec::new()];
        for id in 0..rng.random_range(1..60) {
            let (pid, ours, models) = ranges[rng.random_range(0..ranges.len())];
            // The last page is beyond the range.
            let page = u64::from(rng.random_range(0..=PAGES)) << 12;
            let line = rng.random_range(0..4u64) << 6;
            let data = Box::new([rng.random::<u8>(); 64]);
            let (offset, work) = match rng.random_range(0..6) {
                0 => (line, Work::ReadLine),
                1 | 2 => (line, Work::WriteLine { data, mask: rng.random() }),
                3 => (0, Work::ReadPage),
                4 => (0, Work::WritePage { data: Box::new([rng.random(); PAGE_BYTES]) }),
                _ => {
                    let op = if rng.random() { Op::FetchAdd } else { Op::CompareSwap };
                    let (operand, expected) = (rng.random_range(0..3), rng.random_range(0..3));
                    (line + 8, Work::Atomic { op, operand, expected })
                }
            };
            for (batch, base) in batches.iter_mut().zip([ours, models]) {
                let va = base + page + offset;
                batch.push(Submission { id, pid, va, work: work.clone() });
            }
        }
        let got = run(&mut sim, &batches[0]);
        let wanted = run(&mut model, &batches[1]);
        for submission in &batches[0] {
            let (got, wanted) = (&got[&submission.id], &wanted[&submission.id]);
            let what = format!("round {round}: {:?} {:#x}", submission.work, submission.va);
            assert_eq!(got.status, wanted.status, "{what}");
            assert_eq!(got.data, wanted.data, "{what}");
            *statuses.entry(got.status).or_insert(0) += 1;
        }
    }
    println!("{statuses:?}");
    for status in [Status::Ok, Status::NotMapped, Status::NoPermission] {
        assert!(statuses[&status] > 10, "{statuses:?}");
    }
}
