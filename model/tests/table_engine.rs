//! The table engine's commands, seen in the bytes of the DRAM.

mod common;

use common::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{page_key, PageSize};
use splitmem_abi::hash;
use splitmem_abi::pte::{decode_bucket, Pte};
use splitmem_abi::regs::{self, field, TableError};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_model::Model;

const BASE: u32 = 3;
const LOG2: u32 = 8;
const OK: u32 = 0;

fn component() -> Model {
    let mut model = Model::new(HwConfig::SMALL);
    write(&mut model, &regs::TABLE_BASE, BASE);
    write(&mut model, &regs::TABLE_SIZE, LOG2);
    push_frames(&mut model, 32, 64, PageSize::Small);
    push_frames(&mut model, 1024, 2, PageSize::Huge);
    model
}

/// The entries of a page's bucket, from the bytes at their place.
fn bucket(model: &Model, pid: u16, va: u64) -> [Pte; 4] {
    let mut line = [0; 64];
    let number = hash::bucket(pid, va, LOG2) as u64;
    model.read_physical(((BASE as u64) << 12) + number * 64, &mut line);
    decode_bucket(&line)
}

/// Every byte of the table.
fn table(model: &Model) -> Vec<u8> {
    let mut bytes = vec![0; 64 << LOG2];
    model.read_physical((BASE as u64) << 12, &mut bytes);
    bytes
}

fn done(done: u32, error: u32) -> Ended {
    Ended { done, error, busy: false }
}

#[test]
fn insert_writes_whole_entries() {
    let mut model = component();
    let va = 0x7000_1234_5000;
    assert_eq!(insert(&mut model, Pages { pid: 5, va, count: 3 }, RW), done(3, OK));
    let frames = insert_frame(&mut model, Pages { pid: 6, va, count: 2 }, R | SHARED, 0x80);
    assert_eq!(frames, done(2, OK));
    let huge = 1 << 47 | 0x4000_0000;
    let frames = insert_frame(&mut model, Pages { pid: 7, va: huge, count: 2 }, W, 0x400);
    assert_eq!(frames, done(2, OK));
    for n in 0..3 {
        let va = va + 0x1000 * n;
        let plain = Pte {
            valid: true,
            read: true,
            write: true,
            pid: 5,
            key: page_key(va),
            ..Pte::default()
        };
        assert!(bucket(&model, 5, va).contains(&plain), "{n}");
        let shared = Pte {
            write: false,
            shared: true,
            present: true,
            pid: 6,
            frame: 0x80 + n as u32,
            ..plain
        };
        assert_eq!(bucket(&model, 6, va).contains(&shared), n < 2, "{n}");
        let huge = Pte {
            read: false,
            write: true,
            shared: false,
            pid: 7,
            key: page_key(huge + (n << 21)),
            frame: 0x400 + 0x200 * n as u32,
            ..shared
        };
        let at = (1 << 47 | 0x4000_0000) + (n << 21);
        assert_eq!(bucket(&model, 7, at).contains(&huge), n < 2, "{n}");
    }
}

#[test]
fn the_first_write_changes_present_and_frame_only() {
    let mut model = component();
    for (va, frame) in [(0x1000, 32), (1 << 47, 1024)] {
        insert(&mut model, page(1, va), RW);
        let before = table(&model);
        let write = Request::write(0, 1, va + 64, FULL_MASK, [9; 64]);
        assert_eq!(model.request(0, &write).status, Status::Ok);
        let entry = model.entry(1, va).expect("mapped");
        assert_eq!((entry.pte.present, entry.pte.frame), (true, frame));
        let mut expected = before;
        let at = hash::bucket(1, va, LOG2) as usize * 64 + entry.address.slot * 16;
        expected[at + 1] = 1;
        expected[at + 12..at + 16].copy_from_slice(&frame.to_le_bytes());
        assert_eq!(table(&model), expected);
        let mut line = [0; 64];
        model.read_physical(((frame as u64) << 12) + 64, &mut line);
        assert_eq!(line, [9; 64]);
    }
}

#[test]
fn unmap_protect_and_collect_touch_what_they_say() {
    let mut model = component();
    let va = 0x2000;
    insert(&mut model, page(1, va), RW | SHARED);
    let fresh = table(&model);
    let at = hash::bucket(1, va, LOG2) as usize * 64;

    assert_eq!(protect(&mut model, page(1, va), R), done(1, OK));
    let mut expected = fresh.clone();
    expected[at] = 0b1011; // VALID, READ, SHARED
    assert_eq!(table(&model), expected, "SHARED stays");

    assert_eq!(unmap(&mut model, page(1, va)), done(1, OK));
    expected[at] = 0b1000_1010; // DYING, READ, SHARED
    assert_eq!(table(&model), expected);
    assert_eq!(model.entry(1, va), None);
    assert!(model.dying_entry(1, va).is_some_and(|e| e.pte.dying && e.pte.key == page_key(va)));

    assert_eq!(collect(&mut model, page(1, va)), done(1, OK));
    assert!(table(&model).iter().all(|&byte| byte == 0));
    assert_eq!(result(&mut model), None, "it had no frame");
}

#[test]
fn commands_stop_where_they_cannot_go_on() {
    let mut model = component();
    let not_found = TableError::NotFound as u32;
    let pages = Pages { pid: 1, va: 0, count: 5 };
    for n in [0, 1, 3] {
        insert(&mut model, page(1, n << 12), RW);
    }
    assert_eq!(
        insert(&mut model, Pages { va: 2 << 12, ..pages }, R),
        done(1, TableError::Exists as u32)
    );
    assert_eq!(protect(&mut model, pages, R), done(4, not_found));
    assert_eq!(collect(&mut model, pages), done(0, not_found), "nothing is dying");
    assert_eq!(unmap(&mut model, pages), done(4, not_found));
    assert_eq!(unmap(&mut model, pages), done(0, not_found), "dying is not valid");
    assert_eq!(query(&mut model, page(1, 0)), done(0, not_found));
    assert_eq!(collect(&mut model, pages), done(4, not_found));
    for code in [0, 6, 7] {
        assert_eq!(command(&mut model, code, pages, 0, 0), done(0, TableError::BadCommand as u32));
    }
    model.poison(model.bucket_line(1, 2 << 12));
    assert_eq!(insert(&mut model, pages, R), done(2, TableError::Poison as u32));
    assert_eq!(insert(&mut model, Pages { count: 0, ..pages }, R), done(0, OK));
}

#[test]
fn a_bucket_holds_four_dying_ones_too() {
    let mut model = component();
    let stride = 0x1000 << LOG2;
    for n in 0..4 {
        assert_eq!(insert(&mut model, page(1, n * stride), R), done(1, OK));
    }
    let full = done(0, TableError::BucketFull as u32);
    assert_eq!(insert(&mut model, page(1, 4 * stride), R), full);
    unmap(&mut model, page(1, 2 * stride));
    assert_eq!(insert(&mut model, page(1, 4 * stride), R), full);
    collect(&mut model, page(1, 2 * stride));
    assert_eq!(insert(&mut model, page(1, 4 * stride), R), done(1, OK));
    assert_eq!(bucket(&model, 1, 0)[2].key, page_key(4 * stride), "the lowest free slot");
}

#[test]
fn query_reports_the_entry() {
    let mut model = component();
    insert_frame(&mut model, page(1, 0), W | SHARED, 0x123);
    insert(&mut model, page(1, 0x1000), R);
    for (va, expected) in [
        (
            0,
            field::TE_RESULT::FRAME.put(0x123)
                | field::TE_RESULT::WRITE.put(1)
                | field::TE_RESULT::SHARED.put(1)
                | field::TE_RESULT::PRESENT.put(1)
                | field::TE_RESULT::VALID.put(1),
        ),
        (0x1000, field::TE_RESULT::VALID.put(1)),
    ] {
        let before = table(&model);
        assert_eq!(query(&mut model, page(1, va)), done(1, OK));
        assert_eq!(result(&mut model), Some(expected));
        assert_eq!(result(&mut model), None);
        assert_eq!(table(&model), before);
    }
}

#[test]
fn collect_waits_while_the_result_queue_is_full() {
    let mut model = component();
    let pages = Pages { pid: 1, va: 0, count: 40 };
    insert(&mut model, pages, RW);
    // Every page but each fourth gets a frame.
    let written: Vec<u64> = (0..40).filter(|n| n % 4 != 0).collect();
    for n in &written {
        model.request(0, &Request::write(0, 1, n << 12, 1, [1; 64]));
    }
    unmap(&mut model, pages);
    write(&mut model, &regs::IRQ_STATUS, u32::MAX);
    assert_eq!(collect(&mut model, pages), Ended { done: 22, error: OK, busy: true });
    assert_eq!(read(&mut model, &regs::IRQ_STATUS), 0, "not yet done");
    assert_eq!(field::STATUS::TE_BUSY.get(read(&mut model, &regs::STATUS)), 1);
    // A command meanwhile is ignored.
    assert!(insert(&mut model, page(9, 0), RW).busy);
    assert_eq!(model.entry(9, 0), None);
    for (i, _) in written.iter().enumerate() {
        let found = result(&mut model).expect("one per written page");
        assert_eq!(field::TE_RESULT::FRAME.get(found), 32 + i as u32, "in page order");
        assert_eq!(field::TE_RESULT::PRESENT.get(found), 1);
    }
    assert_eq!(result(&mut model), None);
    assert_eq!(ended(&mut model), done(40, OK));
    assert_eq!(read(&mut model, &regs::IRQ_STATUS), field::IRQ_STATUS::TE_DONE.mask());
    assert!(table(&model).iter().all(|&byte| byte == 0));
}

#[test]
fn only_a_page_that_reports_waits_for_room() {
    let mut model = component();
    let pages = Pages { pid: 1, va: 0, count: 20 };
    insert(&mut model, pages, RW);
    assert_eq!(query(&mut model, pages), Ended { done: 16, error: OK, busy: true });
    result(&mut model);
    assert_eq!(ended(&mut model), Ended { done: 17, error: OK, busy: true });
    for _ in 0..3 {
        result(&mut model);
    }
    assert_eq!(ended(&mut model), done(20, OK));
    // 16 results are left, but pages without a frame report none.
    unmap(&mut model, pages);
    assert_eq!(collect(&mut model, pages), done(20, OK));
    assert_eq!(std::iter::from_fn(|| result(&mut model)).count(), 16);
}
