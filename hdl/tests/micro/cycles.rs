//! How many cycles things take, on a memory and a bus that never wait. A change that makes one of them
//! slower is a change of the documentation (`docs/src/reference/pico-ice.md`).

use crate::bench::{Bench, Side, Stalls};
use splitmem_abi::regs::field::TE_FLAGS;
use splitmem_abi::regs::{self, TableCommand};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_abi::window;

const PID: u16 = 7;
const VA: u64 = 0x1_2345_6000;

/// A component with a table in frame 0, four frames ready, and four pages.
fn ready() -> Bench {
    let mut bench = Bench::new(1, Stalls::NONE);
    bench.write(Side::Monitor, &regs::ZERO_PUSH, 5);
    bench.settle();
    assert_eq!(bench.read(Side::Monitor, &regs::FREE_4K_POP) << 1, 0);
    let rights = TE_FLAGS::READ.mask() | TE_FLAGS::WRITE.mask();
    for (register, value) in [
        (&regs::TE_PID, u32::from(PID)),
        (&regs::TE_VA_LO, VA as u32),
        (&regs::TE_VA_HI, (VA >> 32) as u32),
        (&regs::TE_COUNT, 4),
        (&regs::TE_FLAGS, rights),
        (&regs::TE_COMMAND, TableCommand::Insert as u32),
        (&regs::CONTROL, 1),
    ] {
        bench.write(Side::Monitor, register, value);
    }
    bench.settle();
    bench
}

/// Cycles from the end of the access to RQ_GO to the request's effect.
fn request(bench: &mut Bench, request: Request) -> u64 {
    let request = (&request).into();
    bench.prepare(&request);
    bench.go(&request);
    let begun = bench.cycle;
    let end = bench.until_retired();
    assert_eq!(bench.finish().status, Status::Ok);
    end - begun
}

#[test]
fn what_is_documented() {
    let bench = &mut ready();
    let write = |va| Request::write(1, PID, va, FULL_MASK, [3; 64]);
    let mut took = |what, wanted, r| {
        let cycles = request(bench, r);
        println!("{what}: {cycles} cycles");
        assert!(cycles <= wanted, "{what} took {cycles} cycles");
    };
    took("first write of a page", 290, write(VA));
    took("write, translation held", 140, write(VA + 64));
    took("read, translation held", 128, Request::read(1, PID, VA));
    took("read of another page, never written", 160, Request::read(1, PID, VA + 0x1000));
    took("read, table walked", 232, Request::read(1, PID, VA));
    took("fetch-and-add, translation held", 108, Request::fetch_add(1, PID, VA, 1));

    let access = |bench: &mut Bench, side, offset, write| {
        let begun = bench.cycle;
        bench.raw(side, offset, write).expect("allowed");
        bench.cycle - begun
    };
    let read = access(bench, Side::Host, window::RQ_STATUS.offset, None);
    let written = access(bench, Side::Host, window::RQ_PID.offset, Some(9));
    let masked = access(bench, Side::Monitor, regs::IRQ_STATUS.offset, Some(0));
    println!("register: read {read}, write {written}, with interrupts looked at {masked} cycles");
    assert!(read <= 14 && written <= 18 && masked <= 40);

    // A frame is cleared line by line, between other things.
    bench.write(Side::Monitor, &regs::ZERO_BASE, 9);
    bench.write(Side::Monitor, &regs::ZERO_PUSH, 1);
    let begun = bench.cycle;
    while bench.look(&regs::FREE_4K) < 4 {}
    println!("a frame cleared: {} cycles", bench.cycle - begun);
    assert!(bench.cycle - begun < 6_200);
}
