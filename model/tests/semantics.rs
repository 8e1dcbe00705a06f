//! What the random tests do not reach: priorities, poison, parameters, replaced translations.

mod common;

use common::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field, ShootdownCommand};
use splitmem_abi::request::{Request, Response, Status, FULL_MASK};
use splitmem_model::{Choice, FrameNotPending, InspectError, Model, RawRequest};

const HUGE: u64 = 1 << 47;

fn component(frames: u32) -> Model {
    let mut model = Model::new(HwConfig::SMALL);
    push_frames(&mut model, 32, frames, PageSize::Small);
    model
}

fn fill(value: u8) -> Request {
    Request::write(0, 1, 0, FULL_MASK, [value; 64])
}

fn status(model: &mut Model, request: &Request) -> Status {
    model.request(0, request).status
}

#[test]
fn the_worst_status_is_answered() {
    let mut model = component(0);
    let unaligned = Request { va: 8, ..fill(1) };
    assert_eq!(status(&mut model, &unaligned), Status::BadRequest);
    assert_eq!(status(&mut model, &fill(1)), Status::NotMapped);
    insert(&mut model, page(1, 0), R);
    assert_eq!(status(&mut model, &fill(1)), Status::NoPermission, "before no memory");
    protect(&mut model, page(1, 0), RW);
    assert_eq!(status(&mut model, &fill(1)), Status::NoMemory);
    assert_eq!(status(&mut model, &Request::read(0, 1, 0)), Status::Ok, "zeros need no frame");
    assert_eq!(status(&mut model, &Request::compare_swap(0, 1, 0, 5, 6)), Status::NoMemory);
    assert_eq!(status(&mut model, &Request { mask: 0, ..fill(1) }), Status::NoMemory);
    assert_eq!(read(&mut model, &regs::PENDING_4K), 0);
}

#[test]
fn poison_is_answered_and_healed_by_a_whole_write() {
    let mut model = component(4);
    insert(&mut model, page(1, 0), RW);
    status(&mut model, &fill(7));
    let line = model.line_of(1, 0).expect("has a frame");
    model.poison(line);
    let bad = Response { tag: 3, status: Status::Uncorrectable, data: [0; 64] };
    assert_eq!(model.request(0, &Request::read(3, 1, 0)), bad);
    assert_eq!(model.request(0, &Request::fetch_add(3, 1, 8, 1)), bad);
    assert_eq!(status(&mut model, &Request { mask: 1, ..fill(8) }), Status::Ok);
    assert_eq!(model.request(0, &Request::read(3, 1, 0)), bad, "the rest is still lost");
    assert_eq!(model.peek_status(&(&Request::read(3, 1, 0)).into(), Choice::Current), bad.status);
    assert_eq!(status(&mut model, &fill(9)), Status::Ok);
    assert_eq!(model.request(0, &Request::read(0, 1, 0)).data, [9; 64]);

    // A poisoned bucket stops everything but what is bad by itself.
    model.poison(model.bucket_line(1, 0));
    assert_eq!(status(&mut model, &fill(1)), Status::Uncorrectable);
    assert_eq!(status(&mut model, &Request { va: 1, ..fill(1) }), Status::BadRequest);
    assert_eq!(status(&mut model, &Request::read(0, 1, 0)), Status::Uncorrectable);
    assert!(model.is_poisoned(model.bucket_line(1, 0)));
}

#[test]
fn a_cleared_frame_is_not_poisoned() {
    let mut model = component(0);
    model.poison(40 << 6);
    push_frames(&mut model, 40, 1, PageSize::Small);
    insert(&mut model, page(1, 0), RW);
    assert_eq!(status(&mut model, &Request::fetch_add(0, 1, 0, 1)), Status::Ok);
}

#[test]
fn without_permission_checks_a_valid_mapping_allows_everything() {
    let config = HwConfig { check_permissions: false, ..HwConfig::SMALL };
    let mut model = Model::new(config);
    push_frames(&mut model, 32, 1, PageSize::Small);
    insert(&mut model, page(1, 0), 0);
    for request in [fill(1), Request::read(0, 1, 0), Request::fetch_add(0, 1, 0, 1)] {
        assert_eq!(status(&mut model, &request), Status::Ok);
    }
    assert_eq!(status(&mut model, &Request::read(0, 2, 0)), Status::NotMapped);
}

#[test]
fn atomics_answer_the_old_value_and_nothing_else() {
    let mut model = component(1);
    insert(&mut model, page(1, 0), RW);
    status(&mut model, &fill(0xff));
    let mut old = [0; 64];
    old[..8].fill(0xff);
    assert_eq!(model.request(0, &Request::fetch_add(0, 1, 56, 2)).data, old);
    let mut expected = [0xff; 64];
    expected[56..].copy_from_slice(&1u64.to_le_bytes());
    assert_eq!(model.request(0, &Request::read(0, 1, 0)).data, expected, "it wrapped around");
}

#[test]
fn frames_beyond_the_memory_wrap_around() {
    let mut model = component(0);
    let frames = HwConfig::SMALL.frames() as u32;
    insert_frame(&mut model, page(1, 0), RW, frames + 5);
    status(&mut model, &fill(3));
    let mut bytes = [0; 64];
    model.read_physical(5 << 12, &mut bytes);
    assert_eq!(bytes, [3; 64]);
}

#[test]
fn a_2_mib_frame_is_aligned_whatever_its_entry_says() {
    let mut model = component(0);
    insert_frame(&mut model, page(1, HUGE), RW, 0x405);
    assert_eq!(model.line_of(1, HUGE + 0x5000), Some((0x405 & 0xfff) << 6));
    assert_eq!(model.line_of(1, HUGE), Some(0x400 << 6));
    // Runs wrap around, and do not start within a frame.
    push_frames(&mut model, HwConfig::SMALL.frames() as u32 - 0x1ff, 2, PageSize::Huge);
    assert_eq!(pop_frame(&mut model, PageSize::Huge), Some(0x1e00));
    assert_eq!(pop_frame(&mut model, PageSize::Huge), Some(0));
}

#[test]
fn the_smallest_memory_works() {
    let mut model = Model::new(HwConfig { pa_bits: 20, ..HwConfig::SMALL });
    push_frames(&mut model, 128, 128, PageSize::Small);
    insert(&mut model, page(1, 0), RW);
    assert_eq!(status(&mut model, &fill(3)), Status::Ok);
    assert_eq!(model.line_of(1, 0), Some(128 << 6));
    // One 2 MiB frame is all of it: clearing it clears that.
    push_frames(&mut model, 0, 1, PageSize::Huge);
    assert_eq!(status(&mut model, &fill(3)), Status::NotMapped);
}

#[test]
#[should_panic(expected = "tlb_sets = 3: expected a power of two")]
fn a_wrong_configuration_is_refused() {
    Model::new(HwConfig { tlb_sets: 3, ..HwConfig::SMALL });
}

/// What a request would be answered with each translation that may still be used, the oldest
/// first, the current one last.
fn foreseen(model: &Model, request: &Request) -> Vec<Status> {
    let raw = RawRequest::from(request);
    let replaced = model.replaced(request.pid, request.va);
    (0..replaced)
        .map(Choice::Replaced)
        .chain([Choice::Current])
        .map(|choice| model.peek_status(&raw, choice))
        .collect()
}

#[test]
fn replaced_translations_live_until_their_shootdown_completes() {
    use Status::{NoPermission, NotMapped, Ok};
    let mut model = component(4);
    model.hold_shootdowns();
    let pages = Pages { pid: 1, va: 0, count: 2 };
    insert(&mut model, pages, RW);
    assert_eq!(foreseen(&model, &fill(1)), [NotMapped, Ok]);
    let inserted = model.mark();
    insert(&mut model, page(3, 0), RW);
    model.settle_inserts(inserted);
    assert_eq!(foreseen(&model, &fill(1)), [Ok]);
    assert_eq!(model.replaced(3, 0), 1, "it came later");

    protect(&mut model, pages, R);
    unmap(&mut model, pages);
    assert_eq!(foreseen(&model, &fill(1)), [Ok, NoPermission, NotMapped]);
    assert_eq!(foreseen(&model, &Request::read(0, 1, 0x1000)), [Ok, Ok, NotMapped]);

    shoot_down(&mut model, ShootdownCommand::Pages, page(1, 0));
    assert_eq!(read(&mut model, &regs::SD_STATUS), 1);
    assert_eq!(field::STATUS::SD_BUSY.get(read(&mut model, &regs::STATUS)), 1);
    assert_eq!(foreseen(&model, &fill(1)).len(), 3, "not complete");
    shoot_down(&mut model, ShootdownCommand::All, page(0, 0)); // ignored
    assert!(model.complete_shootdown());
    assert!(!model.complete_shootdown());
    assert_eq!(read(&mut model, &regs::SD_STATUS), 0);
    assert_eq!(foreseen(&model, &fill(1)), [NotMapped]);
    assert_eq!(foreseen(&model, &Request::read(0, 1, 0x1000)), [Ok, Ok, NotMapped]);
    assert_eq!(model.replaced(3, 0), 1);
}

#[test]
fn a_shootdown_covers_what_it_says() {
    for (how, left) in [
        (ShootdownCommand::Pages, [1, 0, 0, 1, 1, 1]),
        (ShootdownCommand::Pid, [0, 0, 0, 0, 0, 1]),
        (ShootdownCommand::All, [0; 6]),
    ] {
        let mut model = component(0);
        model.hold_shootdowns();
        let pages = [(1, 0x1000), (1, 0x2000), (1, 0x3000), (1, 0x4000), (1, HUGE), (2, 0x2000)];
        for (pid, va) in pages {
            insert(&mut model, page(pid, va), RW);
        }
        shoot_down(&mut model, how, Pages { pid: 1, va: 0x2fc0, count: 2 });
        // Replaced after the command: not covered by it.
        protect(&mut model, page(1, 0x2000), R);
        model.complete_shootdown();
        let count = pages.map(|(pid, va)| model.replaced(pid, va));
        let mut expected = left;
        expected[1] += 1;
        assert_eq!(count, expected, "{how:?}");
    }
    let mut model = component(0);
    model.hold_shootdowns();
    insert(&mut model, Pages { pid: 1, va: HUGE, count: 3 }, RW);
    shoot_down(&mut model, ShootdownCommand::Pages, Pages { pid: 1, va: HUGE + 64, count: 2 });
    model.complete_shootdown();
    assert_eq!([0, 1, 2].map(|n| model.replaced(1, HUGE + (n << 21))), [0, 0, 1]);
}

#[test]
fn a_request_in_flight_may_fault_a_dying_page() {
    let mut model = component(4);
    model.hold_shootdowns();
    insert(&mut model, page(1, 0), RW);
    model.settle_inserts(model.mark());
    unmap(&mut model, page(1, 0));
    let raw = RawRequest::from(&fill(6));
    assert_eq!(model.peek_status(&raw, Choice::Replaced(0)), Status::Ok);
    assert_eq!(model.request_as(0, &raw, Choice::Replaced(0)).status, Status::Ok);
    let read_old = RawRequest::from(&Request::read(0, 1, 0));
    assert_eq!(model.request_as(0, &read_old, Choice::Replaced(0)).data, [6; 64]);
    assert_eq!(model.request_as(0, &read_old, Choice::Current).status, Status::NotMapped);
    assert_eq!(model.request_as(0, &read_old, Choice::Replaced(1)).status, Status::NotMapped);
    shoot_down(&mut model, ShootdownCommand::Pid, page(1, 0));
    model.complete_shootdown();
    collect(&mut model, page(1, 0));
    let found = result(&mut model).expect("the frame that it was given last");
    assert_eq!(field::TE_RESULT::FRAME.get(found), 32);
}

#[test]
fn without_holding_nothing_is_kept() {
    let mut model = component(0);
    insert(&mut model, page(1, 0), RW);
    unmap(&mut model, page(1, 0));
    assert_eq!(model.replaced(1, 0), 0);
    shoot_down(&mut model, ShootdownCommand::All, page(0, 0));
    assert_eq!(read(&mut model, &regs::SD_STATUS), 0);
}

#[test]
fn a_preferred_frame_is_granted_next() {
    let mut model = component(4);
    insert(&mut model, Pages { pid: 1, va: 0, count: 2 }, RW);
    assert_eq!(model.prefer_frame(34, PageSize::Small), Ok(()));
    assert_eq!(model.prefer_frame(36, PageSize::Small), Err(FrameNotPending { frame: 36 }));
    status(&mut model, &fill(1));
    assert_eq!(model.entry(1, 0).map(|e| e.pte.frame), Some(34));
    assert_eq!(pop_frame(&mut model, PageSize::Small), Some(32));
}

#[test]
fn inspection_reaches_across_lines_and_pages() {
    let mut model = component(4);
    insert(&mut model, Pages { pid: 1, va: 0, count: 3 }, R);
    let text: Vec<u8> = (0..200).collect();
    assert_eq!(
        model.write_virtual(1, 0xfa0, &text),
        Err(InspectError::NotPresent { pid: 1, va: 0xfa0 })
    );
    protect(&mut model, Pages { pid: 1, va: 0, count: 2 }, RW);
    for va in [0x1000, 0] {
        status(&mut model, &Request { va, ..fill(0xee) });
    }
    assert_eq!(model.write_virtual(1, 0xfa3, &text), Ok(()));
    let before = model.requests();
    let mut back = vec![0; 202];
    assert_eq!(model.read_virtual(1, 0xfa2, &mut back), Ok(()));
    assert_eq!((back[0], back[1..201] == text[..], back[201]), (0, true, 0));
    let mut end = [1; 16];
    assert_eq!(model.read_virtual(1, 0x1ff8, &mut end), Ok(()), "the last page has no frame");
    assert_eq!(end, [0; 16]);
    assert_eq!(
        model.read_virtual(1, 0x2ff8, &mut end),
        Err(InspectError::NotMapped { pid: 1, va: 0x3000 })
    );
    assert_eq!(model.requests(), before);
    let line = model.request(0, &Request::read(0, 1, 0x1000)).data;
    assert_eq!(line[..], text[0x5d..0x5d + 64]);
}
