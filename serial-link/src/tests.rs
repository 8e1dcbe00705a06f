//! The host's end against a board in software, with frames lost on the way, and against no board.

use super::*;

/// Answers Hello and nothing else.
fn welcome(version: u8, board: u8, session: u8) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, Kind::Welcome, [0, 0, session], &[version, 32, board, 1, 0x78, 0x56, 0x34, 0x12]);
    out
}

fn greeted() -> Link {
    let mut link = Link::new(7, Patience::default());
    let mut out = Vec::new();
    link.bytes_out(0, &mut out);
    assert_eq!(out[1..5], [Kind::Hello as u8, 0, 0, 7]);
    link.bytes_in(&welcome(serial::VERSION, 1, 7), 10);
    link
}

#[test]
fn a_board_is_greeted() {
    let link = greeted();
    let welcome = link.welcome().copied();
    let expected = Welcome {
        board: BoardId::Ulx3s85,
        build: 0x1234_5678,
        slots: 32,
        memory_ready: true,
        memory_failed: false,
        own_monitor: false,
    };
    assert_eq!(welcome, Some(expected));
}

#[test]
fn what_is_wrong_at_the_other_end_is_said() {
    let fail = |bytes: &[u8]| {
        let mut link = Link::new(7, Patience::default());
        let mut out = Vec::new();
        link.bytes_out(0, &mut out);
        link.bytes_in(bytes, 1);
        link.bytes_out(2 + Patience::default().give_up_us, &mut out);
        link.error()
    };
    assert_eq!(fail(&[]), Some(LinkError::Silent));
    assert_eq!(fail(&[0x80, 0xA5, 0xF0]), Some(LinkError::Garbage { bytes: 3 }));
    assert_eq!(fail(&welcome(9, 1, 7)), Some(LinkError::Version { theirs: 9, ours: 1 }));
    assert_eq!(fail(&welcome(1, 77, 7)), Some(LinkError::UnknownBoard(77)));
    // Another session's welcome is none.
    assert!(matches!(fail(&welcome(1, 1, 8)), Some(LinkError::Garbage { .. })));

    let mut link = greeted();
    let mut out = Vec::new();
    link.call(1, Call::Read(Space::Board, 0));
    link.bytes_out(20, &mut out);
    link.bytes_out(21 + Patience::default().give_up_us, &mut out);
    assert_eq!(link.error(), Some(LinkError::Lost));

    let mut link = greeted();
    let mut out = Vec::new();
    link.call(1, Call::Read(Space::Board, 0));
    link.bytes_out(20, &mut out);
    let mut answer = Vec::new();
    put(&mut answer, Kind::NoSession, [out[2], out[3], 0], &[]);
    link.bytes_in(&answer, 30);
    assert_eq!(link.error(), Some(LinkError::NoSession));
}

#[test]
fn a_request_is_repeated_with_its_number_and_answered_once() {
    let mut link = greeted();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    link.call(5, Call::Write(Space::Monitor, 0x10, 1));
    link.bytes_out(100, &mut first);
    link.bytes_out(200, &mut again);
    assert!(again.is_empty());
    link.bytes_out(200_000, &mut again);
    assert_eq!(first, again);
    let mut answer = Vec::new();
    put(&mut answer, Kind::Register, [first[2], first[3], 0], &[0; 4]);
    link.bytes_in(&answer, 200_100);
    link.bytes_in(&answer, 200_200);
    assert_eq!(link.reply(), Some(Reply { id: 5, outcome: Outcome::Register(Ok(0)) }));
    assert_eq!(link.reply(), None);
    assert_eq!((link.counts().repeated, link.counts().superfluous), (1, 1));
}

/// The frames of register reads in `bytes`, as slot and number.
fn reads(bytes: &[u8]) -> VecDeque<[u8; 2]> {
    bytes.chunks(Kind::RegisterRead.frame()).map(|frame| [frame[2], frame[3]]).collect()
}

fn answer(link: &mut Link, [slot, number]: [u8; 2], now: u64) {
    let mut frame = Vec::new();
    put(&mut frame, Kind::Register, [slot, number, 0], &[0; 4]);
    link.bytes_in(&frame, now);
}

#[test]
fn a_full_window_on_a_slow_line_is_not_repeated() {
    let mut link = greeted();
    (0..200).for_each(|id| link.call(id, Call::Read(Space::Board, 0)));
    let (mut out, mut line) = (Vec::new(), VecDeque::new());
    for step in 0..200 {
        let now = 100 + step * 80_000;
        link.bytes_out(now, &mut out);
        line.extend(reads(&std::mem::take(&mut out)));
        let next = line.pop_front().expect("the window is full");
        answer(&mut link, next, now + 79_000);
    }
    assert_eq!(link.pending(), 0);
    assert_eq!(link.counts(), Counts { requests: 200, ..Counts::default() });
}

#[test]
fn what_was_lost_is_repeated_while_others_are_answered() {
    let mut link = greeted();
    (0..100).for_each(|id| link.call(id, Call::Read(Space::Board, 0)));
    let (mut out, mut line) = (Vec::new(), VecDeque::new());
    link.bytes_out(100, &mut out);
    line.extend(reads(&std::mem::take(&mut out)));
    let lost = line.pop_front().expect("a request");
    for count in 1..=OVERTAKEN {
        assert!(!line.contains(&lost), "after {count} answers");
        let next = line.pop_front().expect("a request");
        answer(&mut link, next, 200);
        link.bytes_out(300, &mut out);
        line.extend(reads(&std::mem::take(&mut out)));
    }
    assert_eq!(line.iter().filter(|&&request| request == lost).count(), 1);
    assert_eq!(link.counts().repeated, 1);
}

#[test]
fn requests_to_one_line_go_one_after_the_other() {
    let mut link = greeted();
    for (id, va) in [(0, 0x40), (1, 0x40), (2, 0x80), (3, 0x40)] {
        link.call(id, Call::Memory(Request::read(0, 1, va)));
    }
    let mut out = Vec::new();
    link.bytes_out(0, &mut out);
    assert_eq!(out.len(), 2 * Kind::Read.frame(), "the second and fourth wait");
    let mut answer = Vec::new();
    put(&mut answer, Kind::Line, [out[2], out[3], 0], &[9; 64]);
    link.bytes_in(&answer, 5);
    assert_eq!(link.reply().map(|reply| reply.id), Some(0));
    out.clear();
    link.bytes_out(6, &mut out);
    assert_eq!(out.len(), Kind::Read.frame(), "now the second");
    assert_eq!(link.pending(), 3);
}

#[test]
fn a_damaged_frame_does_not_take_the_next_one_along() {
    let mut link = greeted();
    let mut out = Vec::new();
    link.call(1, Call::Memory(Request::read(0, 1, 0)));
    link.bytes_out(0, &mut out);
    let mut answer = Vec::new();
    put(&mut answer, Kind::Line, [out[2], out[3], 0], &[serial::SYNC; 64]);
    let mut bytes = answer.clone();
    bytes.remove(30);
    bytes.extend(&answer);
    link.bytes_in(&bytes, 5);
    assert_eq!(link.reply().map(|reply| reply.id), Some(1));
}
