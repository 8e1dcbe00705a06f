//! The device with its link layer: what goes wrong on the link stands in the RAS registers, and the link
//! capability's registers show the link and steer its beginning (CXL 3.1, sections 8.2.4.17 and 8.2.4.19).

use splitmem_abi::cxl::link::{ACK_TIMER, CAPABILITY, CONTROL, RX_CONTROL, RX_RETURNED, TX_STATUS};
use splitmem_abi::cxl::{self, LinkFault, WordBus as _};
use splitmem_cxl_host::flit::{Control, Flit, Header};
use splitmem_cxl_host::message::{Message, Req, ReqOpcode};
use verilator_tb::cxl::{CxlComponent, CxlFront, LinkOptions};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::{Component, Hw, Side};

type Dut = CxlComponent<Component<IdealMemory>>;

const UNCORRECTABLE: u32 = cxl::RAS;
const UNCORRECTABLE_MASK: u32 = cxl::RAS + 4;
const UNCORRECTABLE_SEVERITY: u32 = cxl::RAS + 8;
const CORRECTABLE: u32 = cxl::RAS + 0xc;
const CORRECTABLE_MASK: u32 = cxl::RAS + 0x10;
/// LL_Reset, LL_Init_Stall, LL_Crd_Stall.
const RESET: u64 = 1;
const INIT_STALL: u64 = 2;
const CREDIT_STALL: u64 = 4;
/// Correctable status: CRC errors.
const CRC: u64 = 1 << 2;

fn linked(options: LinkOptions) -> Dut {
    let memory = IdealMemory::new(LineStore::new(1 << 14, Fill::Zero), 10);
    let component = Component::new(Hw::Small, memory).unwrap();
    let mut dut = CxlComponent::new(component, CxlFront::linked(options).unwrap());
    run(&mut dut, 400);
    dut
}

/// How often each kind of error was reported meanwhile: fatal, not fatal, corrected.
fn run(dut: &mut Dut, cycles: u64) -> [u64; 3] {
    let mut reported = [0; 3];
    for _ in 0..cycles {
        dut.tick();
        for (count, now) in reported.iter_mut().zip(dut.front().seen().reported) {
            *count += u64::from(now);
        }
    }
    reported
}

fn read(dut: &mut Dut, register: u32) -> u64 {
    let mut host = dut.words(Side::Host);
    let low = host.read_word(register).unwrap();
    u64::from(host.read_word(register + 4).unwrap()) << 32 | u64::from(low)
}

fn read_word(dut: &mut Dut, register: u32) -> u64 {
    dut.words(Side::Host).read_word(register).unwrap().into()
}

fn write(dut: &mut Dut, register: u32, value: u64) {
    dut.words(Side::Host).write_word(register, value as u32).unwrap();
}

fn init_state(dut: &mut Dut) -> u64 {
    read(dut, CONTROL) >> 3 & 3
}

/// Both ends begin anew, with these bits of the control register beside the reset.
fn restart(dut: &mut Dut, stalls: u64) {
    write(dut, CONTROL, RESET | stalls);
    dut.front().restart_link();
    run(dut, 20);
}

/// Sends reads and waits for as many answers; what they say does not matter.
fn exchange(dut: &mut Dut, reads: u64) -> [u64; 3] {
    let (mut sent, mut answered, mut reported) = (0, 0, [0; 3]);
    for _ in 0..1_000_000 {
        if answered == reads {
            return reported;
        }
        while sent < reads && dut.front().queued() < 4 {
            dut.front().send(&Message::Req(Req::read(sent as u16, sent << 6)));
            sent += 1;
        }
        let now = run(dut, 1);
        reported.iter_mut().zip(now).for_each(|(count, now)| *count += now);
        while dut.front().receive().is_some() {
            answered += 1;
        }
    }
    panic!("{answered} of {reads} answers; {:?}", dut.front().link_failure());
}

/// What the host's end has: 64 credits of either kind at first, each answer of a kind takes one, and it
/// gives them back.
#[test]
fn the_registers_show_both_ends() {
    let mut dut = linked(LinkOptions::default());
    // Version 2 and 64 places, ours and the other end's: `cxl-host`'s model sends version 2 and 64.
    assert_eq!(read(&mut dut, CAPABILITY) & 0xff_ffff, 0x40_4022);
    let control = read(&mut dut, CONTROL);
    assert_eq!(control & 0x1f, 3 << 3, "the link is up");
    assert!(
        control >> 5 <= 1,
        "at most one flit waits for a second one, to be acknowledged with it"
    );
    assert_eq!(read(&mut dut, RX_CONTROL), 64 << 30 | 64 << 40);
    assert_eq!(read(&mut dut, RX_RETURNED), 0, "all credits were given");
    assert_eq!(read(&mut dut, TX_STATUS), 64 << 30 | 64 << 40);
    exchange(&mut dut, 200);
    run(&mut dut, 400);
    assert_eq!(read(&mut dut, RX_RETURNED), 0);
    assert_eq!(read(&mut dut, TX_STATUS), 64 << 30 | 64 << 40, "all came back");
    assert_eq!(read_word(&mut dut, CORRECTABLE), 0);
    // A flit of wrong CRC: the device asks, and keeps what the answer says.
    let mut bad = Control::RetryIdle.to_flit(Header::default());
    bad.0[9] ^= 1;
    dut.front().forge(bad);
    run(&mut dut, 100);
    assert_eq!(read_word(&mut dut, CORRECTABLE), CRC);
    let told = read(&mut dut, CAPABILITY);
    // One flit may be unacknowledged for want of a second one.
    assert!([63, 64].contains(&(told >> 50 & 0xff)), "{told:x}");
    assert_eq!(told >> 34 & 0xff, told >> 42 & 0xff, "the flit asked for was the host's next one");
}

#[test]
fn errors_that_were_healed_are_counted_in_and_reported_unless_masked() {
    let mut dut = linked(LinkOptions { flight: 4, errors: 1e-2, seed: 3 });
    let reported = exchange(&mut dut, 2_000);
    assert!(dut.front().link_hits() > 20);
    assert_eq!(read_word(&mut dut, CORRECTABLE) & CRC, CRC);
    assert_eq!(reported, [0; 3], "everything is masked after a reset");
    // The host asked as well: NUM_RETRY of its newest request, which it counts from 1.
    assert!((1..=10).contains(&(read(&mut dut, CAPABILITY) >> 24 & 31)));
    // Ones clear it, zeros do not.
    write(&mut dut, CORRECTABLE, !CRC);
    assert_eq!(read_word(&mut dut, CORRECTABLE) & CRC, CRC);
    write(&mut dut, CORRECTABLE_MASK, !CRC);
    let reported = exchange(&mut dut, 2_000);
    assert!(reported[2] > 5 && reported[..2] == [0, 0], "{reported:?}");
    assert_eq!(read_word(&mut dut, UNCORRECTABLE), 0);
}

#[test]
fn a_link_that_is_given_up_says_so_and_begins_anew_when_it_is_told_to() {
    for (mask, severity, reported) in [
        (!0, !0, [0, 0, 0]),
        (0, !0, [1, 0, 0]),
        (0, !(1 << 9), [0, 1, 0]),
        (1 << 9, !0, [0, 0, 0]),
    ] {
        let mut dut = linked(LinkOptions::default());
        write(&mut dut, UNCORRECTABLE_MASK, mask);
        write(&mut dut, UNCORRECTABLE_SEVERITY, severity);
        let second: Flit = Control::InitParam { wrap: 64 }.to_flit(Header::default());
        dut.front().forge(second);
        assert_eq!(run(&mut dut, 50), reported);
        let failure = dut.front().link_failure().map(str::to_owned);
        assert!(failure.is_some_and(|why| why.contains(&format!("{:?}", LinkFault::Init))));
        // Reserved encoding, once: it stays clear when it was cleared.
        assert_eq!(read_word(&mut dut, UNCORRECTABLE), 1 << 9);
        write(&mut dut, UNCORRECTABLE, 1 << 9);
        assert_eq!(read_word(&mut dut, UNCORRECTABLE), 0);
        assert_eq!(init_state(&mut dut), 0);
        // The registers outlive the link's reset.
        restart(&mut dut, 0);
        exchange(&mut dut, 100);
        assert_eq!(init_state(&mut dut), 3);
        assert_eq!(read_word(&mut dut, UNCORRECTABLE_MASK), mask & 0x1_cfff);
    }
}

#[test]
fn a_beginning_is_held_back() {
    let mut dut = linked(LinkOptions::default());
    restart(&mut dut, INIT_STALL);
    run(&mut dut, 1_000);
    assert_eq!(init_state(&mut dut), 0, "INIT.Param is not sent");
    write(&mut dut, CONTROL, 0);
    exchange(&mut dut, 10);
    assert_eq!(init_state(&mut dut), 3);

    restart(&mut dut, CREDIT_STALL);
    run(&mut dut, 1_000);
    assert_eq!(init_state(&mut dut), 2, "no credits are given");
    assert_eq!(read(&mut dut, RX_RETURNED), 64 << 30 | 64 << 40);
    dut.front().send(&Message::Req(Req::read(1, 0)));
    run(&mut dut, 1_000);
    assert!(dut.front().receive().is_none() && !dut.front().is_idle(), "without credits it waits");
    write(&mut dut, CONTROL, 0);
    run(&mut dut, 400);
    assert!(dut.front().receive().is_some(), "{:?}", dut.front().link_failure());
    assert_eq!((init_state(&mut dut), read(&mut dut, RX_RETURNED)), (3, 0));
    // Later it stalls nothing.
    write(&mut dut, CONTROL, CREDIT_STALL);
    exchange(&mut dut, 200);
}

#[test]
fn credits_and_thresholds_are_what_the_registers_say() {
    let mut dut = linked(LinkOptions::default());
    // Three credits for Req, none for RwD; more than there is room for count as the room.
    for (reqs, given) in [(3, 3), (1_000, 64)] {
        write(&mut dut, RX_CONTROL, reqs << 30);
        write(&mut dut, RX_CONTROL + 4, reqs >> 2);
        assert_eq!(read(&mut dut, RX_CONTROL), reqs << 30);
        restart(&mut dut, CREDIT_STALL);
        run(&mut dut, 200);
        assert_eq!(read(&mut dut, RX_RETURNED), given << 30);
        write(&mut dut, CONTROL, 0);
        exchange(&mut dut, 300);
    }
    // Nothing answers a speculative read: its credit goes back by itself when the timer says so.
    for timer in [100, 900] {
        write(&mut dut, ACK_TIMER, 255 | timer << 8);
        // What was owed before is gone, by the timer.
        run(&mut dut, 1_200);
        speculate(&mut dut);
        let sent = dut.front().cycles();
        assert_eq!(read(&mut dut, RX_RETURNED), 1 << 30);
        while read(&mut dut, RX_RETURNED) != 0 {
            assert!(dut.front().cycles() - sent < 2_000, "it does not come");
        }
        let waited = dut.front().cycles() - sent;
        assert!((timer - 20..timer + 60).contains(&waited), "{waited} of {timer} cycles");
    }
    // Or with an acknowledgement, as soon as as many flits are to be acknowledged as the threshold says.
    for (threshold, at_once) in [(255, false), (2, true)] {
        write(&mut dut, ACK_TIMER, threshold | 900 << 8);
        run(&mut dut, 1_200);
        (0..3).for_each(|_| speculate(&mut dut));
        let waiting = read(&mut dut, RX_RETURNED) >> 30;
        assert_eq!(waiting < 3, at_once, "{waiting} credits wait, threshold {threshold}");
    }
}

/// A message that has no answer.
fn speculate(dut: &mut Dut) {
    dut.front().send(&Message::Req(Req::new(ReqOpcode::MemSpecRd, 0, 0)));
    run(dut, 10);
}
