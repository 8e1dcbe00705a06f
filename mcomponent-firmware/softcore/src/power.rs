//! Sleep and the watchdog.

use crate::registers::System;
use mcomponent_firmware::{Wait, Waiting};
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

/// Sleeps until the component's interrupt line is high, or it is time for a sign of life.
///
/// Interrupts are pending, never taken: the core wakes for them with its own interrupts disabled, so
/// that none can come between the look at the line and the sleep.
pub fn sleep() {
    feed();
    System.set_alarm(System.now() + WATCHDOG_CLOCKS as u64 / 2);
    riscv::asm::wfi();
    feed();
}

/// What the monitor waits with.
pub struct Sleeper;

impl Wait for Sleeper {
    fn wait(&mut self, what: Waiting) {
        if what.interrupts() {
            sleep();
        } else {
            feed();
        }
    }
}
