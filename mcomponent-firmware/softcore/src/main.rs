//! The memory monitor as firmware of the soft core.
//!
//! It sleeps until the component's interrupt line is high, does what stands there, and sleeps again.
//! What can go wrong leaves a post-mortem record and waits for the watchdog; the monitor that starts
//! then takes the component over as it is.
#![no_std]
#![no_main]

#[cfg(guards)]
mod guards;
mod postmortem;
mod power;
mod registers;
mod tables;

use core::convert::Infallible;
use defmt_rtt as _;
use mcomponent_firmware::{Error, Monitor, MonitorConfig};
use registers::{Component, System};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::{regs, soc};

defmt::timestamp!("{=u64}", System.now());

#[riscv_rt::entry]
fn main() -> ! {
    #[cfg(guards)]
    guards::set_up();
    power::feed();
    // SAFETY: interrupts stay disabled (`mstatus.MIE`); these only let them end a sleep.
    unsafe {
        riscv::register::mie::set_mext();
        riscv::register::mie::set_mtimer();
    }
    match run() {
        Ok(never) => match never {},
        Err(error) => panic!("{}", error),
    }
}

fn run() -> Result<Infallible, Error> {
    let cause = System.read(&soc::RESET_CAUSE);
    System.write(&soc::RESET_CAUSE, cause);
    let (left, text) = postmortem::take();
    defmt::info!(
        "memory monitor {=u32}.{=u32}, start {=u32}, reset cause {=u32:#b}",
        mcomponent_firmware::VERSION >> 16,
        mcomponent_firmware::VERSION & 0xffff,
        left.starts,
        cause
    );
    if left.kind != 0 {
        defmt::warn!(
            "the monitor before failed: kind {=u32}, mcause {=u32}, mepc {=u32:#x}, mtval {=u32:#x}",
            left.kind,
            left.cause,
            left.pc,
            left.value
        );
    }
    let config =
        MonitorConfig { frames: Some(System.read(&soc::BOARD_FRAMES)), ..MonitorConfig::default() };
    let layout = config.layout(Component.read(regs::HW_MEMORY.offset)?)?;
    let tables = tables::take(&layout)?;
    let recovers = Monitor::<Component, power::Sleeper>::in_use(&mut Component)?;
    let mut monitor = if recovers {
        Monitor::recover(Component, power::Sleeper, tables, &config)?
    } else {
        Monitor::boot(Component, power::Sleeper, tables, &config)?
    };
    monitor.set_post_mortem(left, text);
    defmt::info!(
        "ready: {=u32} frames, a table of 2^{=u32} buckets, recovered {=bool}",
        layout.frames(),
        layout.log2_buckets(),
        recovers
    );
    loop {
        power::feed();
        let activity = monitor.poll()?;
        if let Some(code) = activity.answered {
            defmt::debug!("command answered with {=u16}", code as u16);
        }
        if activity.may_sleep {
            power::sleep();
        }
    }
}

/// Nothing more until the watchdog, which is not fed any more; a debugger finds everything as it was.
fn wait_for_the_watchdog() -> ! {
    System.set_alarm(u64::MAX);
    loop {
        riscv::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    postmortem::leave(postmortem::PANIC, [0, 0, line], format_args!("{}", info.message()));
    defmt::error!("panic: {}", defmt::Display2Format(info));
    wait_for_the_watchdog()
}

/// Every exception is a failure of the firmware.
#[export_name = "ExceptionHandler"]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    let cause = riscv::register::mcause::read().bits() as u32;
    let pc = riscv::register::mepc::read() as u32;
    let value = riscv::register::mtval::read() as u32;
    let numbers = [cause, pc, value];
    postmortem::leave(postmortem::EXCEPTION, numbers, format_args!("exception {cause} at {pc:#x}"));
    defmt::error!("exception {=u32} at {=u32:#x}, mtval {=u32:#x}", cause, pc, value);
    wait_for_the_watchdog()
}
