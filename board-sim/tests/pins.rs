//! Exactly what is in the bitstream, at its pins: hosts that come and go, wires that damage bytes, and a
//! debugger at the soft core, which runs the monitor.

use board_sim::host::{Host, HostError, Wire};
use board_sim::{Board, CLOCK_KHZ};
use pcomponent_driver::backend::mailbox;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serial_link::wire::Transmitter;
use serial_link::{Call, LinkError, Outcome};
use splitmem_abi::board::{BAD_FRAMES, MAGIC, MAGIC_VALUE};
use splitmem_abi::bus::BusError;
use splitmem_abi::geometry::{PageSize, LINE_BYTES};
use splitmem_abi::mailbox::{Address, Command, Info, Permission};
use splitmem_abi::request::{Line, Request, Status, FULL_MASK};
use splitmem_abi::serial::{Kind, Space};
use splitmem_abi::soc::RAM_BASE;
use splitmem_hdl::board::ulx3s;
use std::collections::HashMap;
use std::convert::Infallible;
use verilator_tb::soc::{Debugger, Image, Isolation, Scan};

const PID: u16 = 3;

fn board() -> Board {
    let image =
        Image::read(Isolation::within(ulx3s::SOC.pmp_regions).monitor()).expect("the monitor");
    Board::power_up(image.segments(), None).expect("a board")
}

fn host(board: Board, session: u8, noise: u32) -> Host {
    let mut host = Host::greet(board, session, Wire::new(noise, session.into())).expect("a board");
    assert!(host.monitor_up(1_000_000).expect("a link"), "the monitor is not up in a second");
    host
}

fn command(host: &mut Host, command: &Command) -> pcomponent_driver::transport::MailboxReply {
    mailbox::send(host, command).expect("the mailbox is free");
    loop {
        if let Some(reply) = mailbox::receive(host).expect("a reply") {
            return reply;
        }
    }
}

/// Memory for [`PID`].
fn alloc(host: &mut Host, pages: u32) -> u64 {
    let size = PageSize::Small;
    let alloc =
        Command::Alloc { pid: PID, pages, size, permission: Permission::RW, shareable: false };
    Address::decode(&command(host, &alloc).payload).0
}

fn write(va: u64, data: Line) -> Call {
    Call::Memory(Request::write(0, PID, va, FULL_MASK, data))
}

fn read(va: u64) -> Call {
    Call::Memory(Request::read(0, PID, va))
}

#[test]
fn hosts_come_and_go_and_the_monitor_stays() {
    let mut first = host(board(), 1, 0);
    assert_eq!(Info::decode(&command(&mut first, &Command::Info).payload).frames_total, 8192);
    let va = alloc(&mut first, 2);
    first.ask(&[write(va, [7; LINE_BYTES])]).expect("a link");
    // The board's own monitor lets nobody else at the component's registers.
    let denied = first.register(Space::Monitor, 0).expect("a link");
    assert_eq!(denied, Err(BusError::Denied { offset: 0 }));

    // The cable is pulled in the middle of a write's frame, and of an answer.
    let mut board = first.leave();
    let frame = Kind::Write.frame();
    board.send(&vec![0xA5; frame / 2]);
    (0..40_000).for_each(|_| board.tick());
    let mut second = host(board, 2, 0);
    let outcomes = second.ask(&[read(va), read(va + 64)]).expect("a link");
    assert_eq!(outcomes[0], Outcome::Memory(Status::Ok, [7; LINE_BYTES]));
    assert_eq!(outcomes[1], Outcome::Memory(Status::Ok, [0; LINE_BYTES]));
    assert_ne!(alloc(&mut second, 1), va, "memory that is somebody's is given to nobody");
}

#[test]
fn a_wire_that_damages_bytes_loses_nothing() {
    let mut host = host(board(), 3, 4);
    let va = alloc(&mut host, 4);
    let mut rng = SmallRng::seed_from_u64(1);
    let mut lines: HashMap<u64, Line> = HashMap::new();
    for _ in 0..12 {
        let (mut calls, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..16 {
            let at = va + LINE_BYTES as u64 * rng.random_range(0..32);
            if rng.random() {
                let line = std::array::from_fn(|_| rng.random());
                lines.insert(at, line);
                calls.push(write(at, line));
                expected.push(Outcome::Memory(Status::Ok, [0; LINE_BYTES]));
            } else {
                calls.push(read(at));
                let line = lines.get(&at).copied().unwrap_or([0; LINE_BYTES]);
                expected.push(Outcome::Memory(Status::Ok, line));
            }
        }
        assert_eq!(host.ask(&calls).expect("a link"), expected);
    }
    let counts = host.link().counts();
    let damaged = host.register(Space::Board, BAD_FRAMES).expect("a link");
    println!("{counts:?}, {damaged:?} frames damaged on their way to the board");
    assert!(counts.repeated > 0 && counts.stray_bytes > 0);
    assert!(damaged.is_ok_and(|count| count > 0));
}

#[test]
fn what_makes_no_sense_is_counted_and_forgotten() {
    let mut board = board();
    // A terminal at another speed that says something, then noise at the right one.
    let mut slow = Transmitter::new(f64::from(CLOCK_KHZ) * 1000.0 / 115_200.0);
    slow.send(*b"hello?");
    board.drive(|| (slow.queued() > 0).then(|| slow.level()));
    let mut rng = SmallRng::seed_from_u64(2);
    board.send(&(0..2000).map(|_| rng.random()).collect::<Vec<u8>>());
    while board.queued() > 0 {
        board.tick();
    }
    assert!(board.heard().is_empty(), "nobody was greeted");
    let mut host = Host::greet(board, 4, Wire::new(0, 4)).expect("a board all the same");
    assert_eq!(host.register(Space::Board, MAGIC).expect("a link"), Ok(MAGIC_VALUE));
    assert!(host.register(Space::Board, BAD_FRAMES).expect("a link").is_ok_and(|count| count > 0));
    // A wire that is cut is noticed.
    let mut cut = Host::greet(host.leave(), 5, Wire::new(0, 5)).expect("a board");
    cut.cut();
    let lost = cut.ask(&[Call::Read(Space::Board, MAGIC)]);
    assert!(matches!(lost, Err(HostError::Link(LinkError::Lost))), "{lost:?}");
}

/// A debugger at the JTAG pins; TCK is slower than the soft core's clock.
struct Probe(Board);

impl Probe {
    fn clock(&mut self, tms: bool, tdi: bool) -> bool {
        self.0.jtag(false, tms, tdi);
        (0..12).for_each(|_| self.0.tick());
        let tdo = self.0.jtag(true, tms, tdi);
        (0..12).for_each(|_| self.0.tick());
        tdo
    }
}

impl Scan for Probe {
    type Error = Infallible;

    fn tms(&mut self, count: u32, bits: u64) -> Result<(), Infallible> {
        (0..count).for_each(|i| {
            self.clock(bits >> i & 1 == 1, false);
        });
        Ok(())
    }

    fn shift(&mut self, count: u32, bits: u64) -> Result<u64, Infallible> {
        Ok((0..count)
            .fold(0, |out, i| out | u64::from(self.clock(i + 1 == count, bits >> i & 1 == 1)) << i))
    }
}

#[test]
fn a_debugger_halts_the_core_and_reads_its_firmware() {
    let host = host(board(), 6, 0);
    let mut debugger = Debugger::attach(Probe(host.leave())).expect("a debug module");
    debugger.halt().expect("it halts");
    let mut words = [0; 4];
    let image =
        Image::read(Isolation::within(ulx3s::SOC.pmp_regions).monitor()).expect("the monitor");
    let (at, bytes) = image.segments().next().expect("a segment");
    debugger.read_words(at, &mut words).expect("its memory");
    let wanted: Vec<u32> = bytes
        .chunks(4)
        .take(4)
        .map(|b| u32::from_le_bytes(b.try_into().expect("a word")))
        .collect();
    assert!(at >= RAM_BASE);
    assert_eq!(words.to_vec(), wanted);
    debugger.resume().expect("it goes on");
}
