//! The memory monitor as firmware of the soft core.
//!
//! It sleeps until the component's interrupt line is high, does what stands there, and sleeps again.
//! What can go wrong leaves a post-mortem record and waits for the watchdog; the monitor that starts
//! then takes the component over as it is.
//!
//! `isolation.toml` decides whether it runs in one piece ([`whole`]) or as a kernel and compartments
//! without privilege ([`kernel`], [`parts`]).
#![no_std]
#![no_main]

mod board;
#[cfg(not(isolation = "none"))]
mod guards;
#[cfg(isolation = "full")]
mod kernel;
#[cfg(isolation = "full")]
mod parts;
mod postmortem;
mod power;
mod registers;
mod tables;
mod trap;
#[cfg(not(isolation = "full"))]
mod whole;

use defmt_rtt as _;
use embedded_hal::digital::OutputPin;
use mcomponent_firmware::Fault;
use registers::{Component, System};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::Compartment;
use splitmem_abi::regs::field::{IRQ_STATUS, MB_DOORBELL};
use splitmem_abi::{regs, soc};

defmt::timestamp!("{=u64}", System.now());

#[riscv_rt::entry]
fn main() -> ! {
    #[cfg(not(isolation = "none"))]
    guards::set_up();
    power::feed();
    power::set_up();
    let cause = System.read(&soc::RESET_CAUSE);
    System.write(&soc::RESET_CAUSE, cause);
    let left = postmortem::take(soc::field::RESET_CAUSE::WATCHDOG.get(cause) == 1);
    defmt::info!(
        "memory monitor {=u32}.{=u32}, start {=u32}, reset cause {=u32:#b}",
        mcomponent_firmware::VERSION >> 16,
        mcomponent_firmware::VERSION & 0xffff,
        left.record.starts,
        cause
    );
    if left.record.kind != 0 {
        defmt::warn!(
            "the monitor before failed: compartment {=u32}, kind {=u32}, mcause {=u32}, mepc {=u32:#x}, \
             mtval {=u32:#x}",
            left.record.compartment,
            left.record.kind,
            left.record.cause,
            left.record.pc,
            left.record.value
        );
    }
    board::look_around();
    #[cfg(isolation = "full")]
    kernel::run_parts(&left);
    #[cfg(not(isolation = "full"))]
    match whole::run(&left) {
        Ok(never) => match never {},
        Err(mcomponent_firmware::Error::BadMemory(fault)) => serve_nothing(fault),
        Err(error) => panic!("{}", error),
    }
}

/// The memory is not to be used: every command is answered so.
fn serve_nothing(fault: Fault) -> ! {
    defmt::error!(
        "the memory failed its test at {=u64:#x}, bits {=u32:#x}: nothing is served",
        fault.address,
        fault.bits
    );
    // Nothing that these do can fail on a component that got this far, and nobody could be told.
    let _ = Component.write(regs::IRQ_MASK.offset, IRQ_STATUS::DOORBELL.mask());
    loop {
        let _ = Component.write(regs::IRQ_STATUS.offset, u32::MAX);
        if Component.read(regs::MB_DOORBELL.offset) == Ok(1) {
            let _ = fault.announce(&mut Component);
            let _ = Component.write(regs::MB_DOORBELL.offset, MB_DOORBELL::BUSY.put(1));
        }
        power::feed();
        power::sleep();
    }
}

/// The monitor is up.
fn ready(frames: u32, log2_buckets: u32, recovered: bool) {
    let Ok(()) = board::LED.clone().set_high();
    defmt::info!(
        "ready: {=u32} frames, a table of 2^{=u32} buckets, recovered {=bool}",
        frames,
        log2_buckets,
        recovered
    );
}

/// A command was answered.
fn answered(code: u32) {
    defmt::debug!("command answered with {=u32}", code);
}

/// Nothing more until the watchdog, which is not fed any more; a debugger finds everything as it was.
fn wait_for_the_watchdog() -> ! {
    let Ok(()) = board::LED.clone().set_low();
    System.set_alarm(u64::MAX);
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    #[cfg(isolation = "full")]
    if !kernel::is_machine_mode() {
        parts::panic(line, info);
    }
    let failure =
        postmortem::Failure { kind: postmortem::PANIC, value: line, ..Default::default() };
    postmortem::leave(Compartment::Kernel, failure, format_args!("{}", info.message()));
    defmt::error!("panic: {}", defmt::Display2Format(info));
    wait_for_the_watchdog()
}

/// Every exception in machine mode is a failure of the firmware.
extern "C" fn machine_failed() -> ! {
    failed(Compartment::Kernel);
    wait_for_the_watchdog()
}

/// Leaves a record of the exception that stands in the core's registers.
fn failed(compartment: Compartment) {
    let cause = riscv::register::mcause::read().bits() as u32;
    let pc = riscv::register::mepc::read() as u32;
    let value = riscv::register::mtval::read() as u32;
    let failure = postmortem::Failure { kind: postmortem::EXCEPTION, cause, pc, value };
    let name = compartment.name();
    postmortem::leave(compartment, failure, format_args!("{name}: exception {cause} at {pc:#x}"));
    defmt::error!("{=str}: exception {=u32} at {=u32:#x}, mtval {=u32:#x}", name, cause, pc, value);
}
