//! The kernel: all that runs in machine mode while the monitor's parts are kept apart. It wakes up,
//! has the part do its work that the interrupt is for, and sleeps.
//!
//! A parser or telemetry that fails is started anew and costs one command, which is answered
//! `Internal`. An allocator that fails costs what a failed monitor costs: see
//! [`mcomponent_firmware::Allocator::recover`].

mod gate;
mod rights;

pub use rights::message as message_address;

use crate::parts::{operation, BAD_MEMORY, LAST_WORDS};
use crate::postmortem::{self, LastWords};
use crate::power;
use crate::registers::{Component, System};
use gate::{message, run, Reply};
use mcomponent_firmware::Fault;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{Compartment, PostMortem, ReturnCode, POST_MORTEM_TEXT};
use splitmem_abi::regs::field::{IRQ_STATUS, MB_DOORBELL, MB_STATUS};
use splitmem_abi::regs::{self, Register};
use splitmem_abi::soc;

/// Whether the caller runs in machine mode: its stack tells.
pub fn is_machine_mode() -> bool {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mv {}, sp", out(reg) pointer) };
    !rights::RIGHTS
        .iter()
        .any(|rights| (rights.base as usize..rights.end as usize).contains(&pointer))
}

/// Runs the monitor's parts.
pub fn run_parts(left: &LastWords) -> ! {
    rights::set_up();
    let frames = System.read(&soc::BOARD_FRAMES);
    let start = sure(run(Compartment::Allocator, with(operation::START, frames)));
    let words = *message(Compartment::Allocator);
    if start.value == BAD_MEMORY {
        let [low, high, bits, ..] = words;
        crate::serve_nothing(Fault { address: (high as u64) << 32 | low as u64, bits });
    }
    let [frames, log2_buckets, recovered, statistics, ..] = words;
    sure(run(Compartment::Parser, plain(operation::START)));
    start_telemetry(statistics, (left.record, left.text));
    crate::ready(frames, log2_buckets, recovered != 0);
    let silent = left.record.kind == postmortem::SILENCE
        && left.record.compartment != Compartment::Allocator as u32;
    if silent && rung() {
        // The command in the mailbox is what the parser or telemetry ran for ever with.
        fail_command();
    }
    let tended = read(&regs::IRQ_MASK) & !IRQ_STATUS::DOORBELL.mask();
    loop {
        power::feed();
        if read(&regs::IRQ_STATUS) & tended != 0 {
            sure(run(Compartment::Allocator, plain(operation::TEND)));
        } else if rung() {
            serve(statistics);
        } else {
            power::sleep();
        }
    }
}

/// Has the command in the mailbox answered.
fn serve(statistics: u32) {
    match run(Compartment::Parser, plain(operation::ANSWER)) {
        Some(Reply { value: code, .. }) => {
            sure(run(Compartment::Allocator, plain(operation::CONCLUDE)));
            write(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.put(1));
            crate::answered(code);
        }
        None => fail_command(),
    }
    if gate::take_failed(Compartment::Parser) {
        sure(run(Compartment::Parser, plain(operation::START)));
        news(statistics);
    }
    if gate::take_failed(Compartment::Telemetry) {
        news(statistics);
    }
}

/// Answers the command in the mailbox, as the one who was to do it failed.
fn fail_command() {
    write(&regs::MB_STATUS, MB_STATUS::CODE.put(ReturnCode::Internal as u32));
    sure(run(Compartment::Allocator, plain(operation::ABANDON)));
    write(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.put(1));
}

/// Tells telemetry, which starts anew, what was left since the start.
fn news(statistics: u32) {
    start_telemetry(statistics, postmortem::take_fresh());
}

fn start_telemetry(statistics: u32, (record, text): (PostMortem, [u32; POST_MORTEM_TEXT])) {
    let message = message(Compartment::Telemetry);
    record.encode(message);
    message[LAST_WORDS - POST_MORTEM_TEXT..LAST_WORDS].copy_from_slice(&text);
    sure(run(Compartment::Telemetry, with(operation::START, statistics)));
}

fn plain(operation: u32) -> [u32; 8] {
    with(operation, 0)
}

fn with(operation: u32, argument: u32) -> [u32; 8] {
    [operation, argument, 0, 0, 0, 0, 0, 0]
}

/// A part that has no right to fail here.
fn sure(reply: Option<Reply>) -> Reply {
    match reply {
        Some(reply) => reply,
        // It has left a record.
        None => crate::wait_for_the_watchdog(),
    }
}

fn rung() -> bool {
    MB_DOORBELL::BUSY.get(read(&regs::MB_DOORBELL)) == 1
}

fn read(register: &Register) -> u32 {
    // The monitor may read these.
    Component.read(register.offset).unwrap_or(0)
}

fn write(register: &Register, value: u32) {
    let _ = Component.write(register.offset, value);
}
