//! The memory monitor as firmware: its log, what becomes of memory when it is halted, panics, or is
//! reset under load, and what its parts can do to one another.

mod bench;
mod board;
mod isolation;
mod lockstep;
mod memory;

use bench::{
    alloc, boot, boot_with, call, half, in_order, info, reply, restarted, ring, state, write, Load,
    RESTART,
};
use splitmem_abi::mailbox::{Address, Command, Info, PostMortem};
use splitmem_abi::request::Status;
use verilator_tb::soc::{Debugger, Image, Isolation, SoftCore, Wires};
use verilator_tb::Hw;

fn image() -> Image {
    Image::read(Isolation::default().monitor()).unwrap()
}

#[test]
fn the_log_is_decoded_with_file_and_line() {
    let mut dut = boot();
    info(&mut dut);
    let log = state(&mut dut);
    assert!(log.contains("INFO  memory monitor 1.1, start 1"), "{log}");
    assert!(log.contains("ready: 8192 frames, a table of 2^12 buckets"), "{log}");
    assert!(log.contains("main.rs:"), "{log}");
}

/// The most memory that the core's tables hold: no step of the start may take longer than the watchdog.
#[test]
fn much_memory_is_taken_into_use() {
    let frames = 1 << 17;
    let mut dut = boot_with(Hw::Large, frames);
    assert_eq!(dut.core().unwrap().resets(), 0, "{}", state(&mut dut));
    let load = Load::new(&mut dut, 7, 300, 100);
    load.check(&mut dut);
    assert_eq!(info(&mut dut).frames_total, frames);
}

#[test]
fn a_halted_monitor_does_not_disturb_the_data_path() {
    let mut dut = boot();
    let mut load = Load::new(&mut dut, 7, 100, 60);
    let before = info(&mut dut);
    let mut debugger = Debugger::attach(Wires(&mut dut)).unwrap();
    debugger.halt().unwrap();
    assert!(debugger.is_halted().unwrap());
    load.check(&mut dut);
    // First writes go on from the hardware's own list.
    load.touch(&mut dut, 30);
    load.check(&mut dut);
    // A command waits, for longer than the watchdog would; a halted core is not restarted.
    let resets = dut.core().unwrap().resets();
    ring(&mut dut, alloc(8, 3));
    for _ in 0..3_000_000 {
        dut.tick();
    }
    assert_eq!(reply(&mut dut), None);
    assert_eq!(dut.core().unwrap().resets(), resets);
    Debugger::attach(Wires(&mut dut)).unwrap().resume().unwrap();
    let patience = dut.cycle() + RESTART;
    while reply(&mut dut).is_none() {
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    }
    assert_eq!(reply(&mut dut).unwrap().0, 0);
    let before = Info { mappings: before.mappings + 3, processes: 2, ..before };
    in_order(&mut dut, &[&load], before);
}

#[test]
fn a_failed_monitor_is_restarted_and_nothing_is_lost() {
    let mut dut = boot();
    let image = image();
    let mut load = Load::new(&mut dut, 7, 300, 200);
    let other = Load::new(&mut dut, 8, 50, 50);
    let before = info(&mut dut);
    // An instruction that there is none of, where the monitor comes by when it wakes.
    let spot = image.symbol("monitor_feed").unwrap();
    let core: &mut SoftCore = dut.core_mut().unwrap();
    let resets = core.resets();
    let was = core.read_word(spot & !3);
    core.write_word(spot & !3, if spot % 4 == 0 { was & !0xffff } else { was & 0xffff });
    ring(&mut dut, alloc(9, 5));
    for _ in 0..20_000 {
        dut.tick();
    }
    dut.core_mut().unwrap().write_word(spot & !3, was);
    assert_eq!(reply(&mut dut), None, "the monitor has failed");
    load.check(&mut dut);
    load.touch(&mut dut, 20);
    restarted(&mut dut, resets);
    // The command that it did not see is answered by the next one.
    let patience = dut.cycle() + RESTART;
    let answer = loop {
        if let Some(answer) = reply(&mut dut) {
            break answer;
        }
        assert!(dut.cycle() < patience, "{}", state(&mut dut));
    };
    assert_eq!(answer.0, 0);
    let (code, payload) = call(&mut dut, Command::PostMortem);
    let left = PostMortem::decode(&payload);
    assert_eq!((code, left.kind, left.cause, left.starts), (0, 2, 2, 2), "{left:x?}");
    assert_eq!(left.pc, spot);
    let before = Info { mappings: before.mappings + 5, processes: 3, ..before };
    in_order(&mut dut, &[&load, &other], before);
}

/// The firmware writes to its own code: the guard lets it fail, and the next one goes on.
#[test]
fn code_cannot_be_written_by_the_firmware() {
    let mut dut = boot();
    let load = Load::new(&mut dut, 7, 20, 20);
    let before = info(&mut dut);
    let spot = image().symbol("monitor_feed").unwrap();
    let core = dut.core_mut().unwrap();
    let resets = core.resets();
    // auipc t0, 0; sw t0, 0(t0), in halves: code is aligned to two bytes.
    let patch = [0x0297, 0x0000, 0xa023, 0x0052];
    let mut was = [0; 4];
    for (i, (was, patch)) in (0..).zip(was.iter_mut().zip(patch)) {
        *was = half(core, spot + 2 * i, patch);
    }
    ring(&mut dut, Command::Info);
    for _ in 0..20_000 {
        dut.tick();
    }
    let core = dut.core_mut().unwrap();
    for (i, (was, patch)) in (0..).zip(was.into_iter().zip(patch)) {
        assert_eq!(half(core, spot + 2 * i, was), patch, "it was written");
    }
    restarted(&mut dut, resets);
    while reply(&mut dut).is_none() {}
    let (_, payload) = call(&mut dut, Command::PostMortem);
    let left = PostMortem::decode(&payload);
    // Store access fault, at the address that was to be written.
    assert_eq!((left.kind, left.cause, left.value), (2, 7, spot), "{left:x?}");
    in_order(&mut dut, &[&load], before);
}

/// Reset at every so many cycles of a series of commands, while requests go on.
#[test]
fn a_monitor_reset_at_any_moment_loses_nothing() {
    let mut dut = boot();
    let load = Load::new(&mut dut, 7, 120, 80);
    let mut pages = 0;
    for (round, delay) in (0..12u32).map(|round| (round, u64::from(round) * 397)) {
        let resets = dut.core().unwrap().resets();
        let (code, allocated) = {
            ring(&mut dut, alloc(20, 6 + round));
            for _ in 0..delay {
                dut.tick();
            }
            Debugger::attach(Wires(&mut dut)).unwrap().reset().unwrap();
            load.check(&mut dut);
            restarted(&mut dut, resets);
            let patience = dut.cycle() + RESTART;
            loop {
                if let Some((code, payload)) = reply(&mut dut) {
                    break (code, Address::decode(&payload).0);
                }
                assert!(dut.cycle() < patience, "round {round}: {}", state(&mut dut));
            }
        };
        assert_eq!(code, 0, "round {round}");
        pages += 6 + round;
        let after = info(&mut dut);
        assert_eq!(after.mappings, 120 + pages, "round {round}");
        assert_eq!(write(&mut dut, 20, allocated, 1), Status::Ok, "round {round}");
    }
    load.check(&mut dut);
    assert_eq!(call(&mut dut, Command::Drop { pid: 20 }).0, 0);
    assert_eq!(info(&mut dut).mappings, 120);
}
