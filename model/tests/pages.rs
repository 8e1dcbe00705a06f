//! Whole pages against the requests of their lines, in a twin that never sees a page.

mod common;

use common::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, Counter};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_model::Model;

/// Two processes' pages: fresh ones, readable ones, pages of 2 MiB, and some that do not exist.
const PAGES: [u64; 6] = [0x10_0000, 0x10_1000, 0x10_2000, 1 << 47, (1 << 47) + 0x5000, 0x77_0000];

fn component() -> Model {
    let mut model = Model::new(HwConfig { statistics: true, ..HwConfig::SMALL });
    write(&mut model, &regs::TABLE_SIZE, 6);
    write(&mut model, &regs::CONTROL, 1);
    // Two small frames for up to four pages: they run out.
    push_frames(&mut model, 64, 2, PageSize::Small);
    push_frames(&mut model, 1024, 1, PageSize::Huge);
    for pid in 0..2 {
        insert(&mut model, page(pid, PAGES[0]), RW);
        insert(&mut model, page(pid, PAGES[1]), if pid == 0 { RW } else { W });
        insert(&mut model, page(pid, PAGES[2]), R);
    }
    insert(&mut model, page(0, PAGES[3]), RW);
    model
}

fn read_lines(model: &mut Model, pid: u16, va: u64) -> (Status, Vec<u8>) {
    let mut status = Status::Ok;
    let mut bytes = Vec::new();
    for line in 0..64 {
        let answer =
            model.request(line as u8 % 2, &Request::read(line as u16, pid, va + 64 * line));
        bytes.extend(answer.data);
        status = if status == Status::Ok { answer.status } else { status };
    }
    (status, bytes)
}

fn write_lines(model: &mut Model, pid: u16, va: u64, bytes: &[u8; 4096]) -> Status {
    let mut status = Status::Ok;
    for line in 0..64 {
        let mut data = [0; 64];
        data.copy_from_slice(&bytes[64 * line..][..64]);
        let request = Request::write(line as u16, pid, va + 64 * line as u64, FULL_MASK, data);
        let answer = model.request(line as u8 % 2, &request);
        status = if status == Status::Ok { answer.status } else { status };
    }
    status
}

fn counters(model: &mut Model) -> Vec<u64> {
    let mut value = |counter: Counter| {
        let low = read_at(model, counter.offset());
        low as u64 | (read_at(model, counter.offset() + 4) as u64) << 32
    };
    Counter::ALL.iter().map(|(counter, _)| value(*counter)).collect()
}

#[test]
fn a_page_does_what_its_lines_do() {
    let (mut whole, mut lines) = (component(), component());
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut fast, mut slow, mut several) = (0, 0, 0);
    for step in 0..2000 {
        let (pid, va) = (rng.random_range(0..2), PAGES[rng.random_range(0..PAGES.len())]);
        if step % 100 == 50 {
            // Poison comes, and goes with the next whole write.
            let line = lines.line_of(0, PAGES[0]).unwrap_or(64 * 64);
            whole.poison(line);
            lines.poison(line);
        }
        if rng.random() {
            let most = rng.random_range(1..=3);
            let pages = match most {
                1 => whole.read_page(pid, va).map(|bytes| bytes.to_vec()),
                _ => whole.read_pages(pid, va, most).map(|bytes| bytes.to_vec()),
            };
            slow += u32::from(pages.is_none());
            let answer = match pages {
                Some(bytes) => (Status::Ok, bytes),
                None => read_lines(&mut whole, pid, va),
            };
            let count = answer.1.len() / 4096;
            assert!((1..=most).contains(&count), "step {step}: {count} pages of {most}");
            several += u32::from(count > 1);
            for (i, bytes) in answer.1.chunks_exact(4096).enumerate() {
                let expected = read_lines(&mut lines, pid, va + 4096 * i as u64);
                let same = (answer.0, bytes) == (expected.0, &expected.1[..]);
                assert!(same, "step {step}: read of {pid} {va:#x}, page {i}");
            }
        } else {
            let bytes = std::array::from_fn(|i| (i as u8).wrapping_mul(step as u8 | 1));
            let expected = write_lines(&mut lines, pid, va, &bytes);
            let done = whole.write_page(pid, va, &bytes);
            fast += done as u32;
            let answer = if done { Status::Ok } else { write_lines(&mut whole, pid, va, &bytes) };
            assert_eq!(answer, expected, "step {step}: write of {pid} {va:#x}");
        }
        assert_eq!(whole.requests(), lines.requests());
        assert_eq!(whole.irq_monitor(), lines.irq_monitor());
    }
    let counted = counters(&mut whole);
    assert_eq!(counted, counters(&mut lines));
    assert!(counted.iter().sum::<u64>() > 100_000, "{counted:?}");
    assert!(fast > 200 && slow > 200 && several > 50, "{fast} {slow} {several}");
}

#[test]
fn what_is_no_page_is_left_alone() {
    let mut model = component();
    assert!(model.read_page(0, PAGES[0]).is_some());
    let before = counters(&mut model);
    for va in [PAGES[0] + 64, 1 << 48, PAGES[5]] {
        assert!(model.read_page(0, va).is_none(), "{va:#x}");
        assert!(!model.write_page(0, va, &[1; 4096]), "{va:#x}");
    }
    assert!(!model.write_page(0, PAGES[2], &[1; 4096]), "read-only");
    assert!(model.read_page(1, PAGES[1]).is_none(), "write-only");
    assert_eq!(counters(&mut model), before);
}
