//! Sleep, time and the watchdog.

use core::cell::RefCell;
use cortex_m::peripheral::NVIC;
use fugit::MicrosDurationU32;
use mcomponent_firmware::spi::Nap;
use rp2040_hal::pac::{self, interrupt};
use rp2040_hal::timer::{Alarm, Alarm0};
use rp2040_hal::Watchdog;

/// Time within which the monitor must be heard of, or everything is reset. The longest stretch without a
/// sign of life is a command to the table engine and its bookkeeping: some thousand register accesses of
/// 40 us.
const WATCHDOG: MicrosDurationU32 = MicrosDurationU32::secs(2);
/// How long it sleeps at most.
const NAP: MicrosDurationU32 = MicrosDurationU32::secs(1);

/// The watchdog, and what ends a sleep.
pub struct Power {
    watchdog: Watchdog,
    alarm: RefCell<Alarm0>,
}

impl Power {
    /// Starts the watchdog.
    pub fn start(mut watchdog: Watchdog, mut alarm: Alarm0) -> Self {
        watchdog.start(WATCHDOG);
        alarm.enable_interrupt();
        // SAFETY: interrupts are disabled in the core for good, so none is taken: unmasked ones only end
        // a sleep.
        unsafe {
            NVIC::unmask(interrupt::TIMER_IRQ_0);
            NVIC::unmask(interrupt::IO_IRQ_BANK0);
        }
        Self { watchdog, alarm: RefCell::new(alarm) }
    }

    /// A sign of life.
    pub fn feed(&self) {
        self.watchdog.feed();
    }
}

impl Nap for &Power {
    fn sleep(&mut self) {
        self.feed();
        let mut alarm = self.alarm.borrow_mut();
        alarm.clear_interrupt();
        // What pended for the last sleep must not end this one. A level that is high stays pending.
        NVIC::unpend(interrupt::TIMER_IRQ_0);
        NVIC::unpend(interrupt::IO_IRQ_BANK0);
        // Without an alarm nothing but the pin would end the sleep in time.
        if alarm.schedule(NAP).is_ok() {
            cortex_m::asm::wfi();
        }
        self.feed();
    }

    fn alive(&mut self) {
        self.feed();
    }
}

/// Microseconds since power-up; zero until the clocks run.
pub fn now() -> u64 {
    // SAFETY: reads registers that reading does not change, and that nobody writes.
    let timer = unsafe { &*pac::TIMER::ptr() };
    loop {
        let high = timer.timerawh().read().bits();
        let low = timer.timerawl().read().bits();
        if high == timer.timerawh().read().bits() {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}
