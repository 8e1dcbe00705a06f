//! Sleep and the watchdog.

use crate::registers::System;
use splitmem_abi::soc;

/// Clocks within which the monitor must be heard of, or it is restarted. A hundred times what the
/// longest stretch without a sign of life takes: a command to the table engine and its bookkeeping.
pub const WATCHDOG_CLOCKS: u32 = 1 << 20;

/// A sign of life. Under this name a debugger finds what every turn of the monitor comes by.
#[export_name = "monitor_feed"]
#[inline(never)]
pub extern "C" fn feed() {
    System.write(&soc::WATCHDOG, WATCHDOG_CLOCKS);
}

/// Lets the next sleep set the alarm, wherever the one before a reset was.
pub fn set_up() {
    System.set_alarm(0);
}

/// Sleeps until the component's interrupt line is high, or it is time for a sign of life, which the
/// caller gives before and after.
///
/// Interrupts are pending, never taken: the core wakes for them with its own interrupts disabled, so
/// that none can come between the look at the line and the sleep. They are enabled one by one only
/// meanwhile: without privilege, the core would take them.
pub fn sleep() {
    // An alarm that has not gone off is near enough; setting it takes five register accesses.
    if riscv::register::mip::read().mtimer() {
        System.set_alarm(System.now() + WATCHDOG_CLOCKS as u64 / 4);
    }
    // SAFETY: interrupts stay disabled (`mstatus.MIE`); these only let them end the sleep.
    unsafe {
        riscv::register::mie::set_mext();
        riscv::register::mie::set_mtimer();
        riscv::asm::wfi();
        riscv::register::mie::clear_mext();
        riscv::register::mie::clear_mtimer();
    }
}

/// What the monitor waits with, in machine mode.
#[cfg(not(isolation = "full"))]
pub struct Sleeper;

#[cfg(not(isolation = "full"))]
impl mcomponent_firmware::Wait for Sleeper {
    fn wait(&mut self, what: mcomponent_firmware::Waiting) {
        feed();
        if what.interrupts() {
            sleep();
        }
    }
}
