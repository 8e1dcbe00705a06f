//! The soft core's side: its address map, and the registers of the system around it.
//!
//! The core reaches the component's registers ([`crate::regs`]) through a bridge between the two
//! clocks, everything else in its own clock. An access to an address where nothing stands ends in
//! an access fault.

#[cfg(test)]
use crate::config::HwConfig;
use crate::regs::{registers, Access, Field, Register, Reset};

/// First byte of the core's memory, which holds code and data.
pub const RAM_BASE: u32 = 0x8000_0000;
/// The core starts here after reset.
pub const RESET_VECTOR: u32 = RAM_BASE + 0x80;
/// First byte of the component's register window.
pub const COMPONENT_BASE: u32 = 0x4000_0000;
/// First byte of the system registers below.
pub const SYSTEM_BASE: u32 = 0x4001_0000;
/// First byte of the debug module.
pub const DEBUG_BASE: u32 = 0x1a11_0000;

/// GPIO pins: what each bit of [`GPIO_OUT`] and [`GPIO_IN`] is.
pub mod pin {
    /// LED, output.
    pub const LED: u32 = 0;
    /// SPI flash: chip select (low is selected), output.
    pub const FLASH_CS: u32 = 1;
    /// SPI flash: clock, output.
    pub const FLASH_SCK: u32 = 2;
    /// SPI flash: to the flash, output.
    pub const FLASH_MOSI: u32 = 3;
    /// SPI flash: from the flash, input.
    pub const FLASH_MISO: u32 = 4;
    /// I2C clock: open drain, zero pulls it low.
    pub const I2C_SCL: u32 = 5;
    /// I2C data: open drain, zero pulls it low.
    pub const I2C_SDA: u32 = 6;
}

/// Parameters of one soft core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocConfig {
    /// 32-bit words of memory: a power of two.
    pub ram_words: u32,
    /// Clocks of the component per clock of the core, at least: tells the firmware how fast it is.
    pub clock_ratio: u32,
    /// Regions of physical memory protection, 1 to 16. The firmware uses three.
    pub pmp_regions: u32,
    /// Registers in distributed RAM, which an FPGA has, instead of in flip-flops.
    pub ram_registers: bool,
}

impl SocConfig {
    /// 256 KiB, and half of the component's clock.
    pub const DEFAULT: Self =
        Self { ram_words: 1 << 16, clock_ratio: 2, pmp_regions: 16, ram_registers: false };

    /// Bytes of memory.
    pub const fn ram_bytes(&self) -> u32 {
        4 * self.ram_words
    }
}

registers! {
    /// Low half of the time: the core's clocks since power-up, also while it sleeps.
    TIME_LO[1] @ 0x000: Ro / None = Reset::Volatile;
    /// High half of the time, taken when the low one was read.
    TIME_HI[1] @ 0x004: Ro / None = Reset::Volatile;
    /// Low half of the time from which on the timer interrupt stands.
    ALARM_LO[1] @ 0x008: Rw / None = Reset::Value(u32::MAX);
    /// High half of it.
    ALARM_HI[1] @ 0x00C: Rw / None = Reset::Value(u32::MAX);
    /// Restarts the watchdog: in that many clocks it resets the core, unless it is restarted before.
    /// Zero stops it. It stands still while a debugger has halted the core.
    WATCHDOG[1] @ 0x010: Wo / None = Reset::Value(0);
    { CLOCKS 0 + 32: "Clocks" }
    /// Why the core starts. The cause stays until it is written.
    RESET_CAUSE[1] @ 0x014: W1c / None = Reset::Volatile;
    {
        POWER 0 + 1: "The component was switched on or reset: its tables are to be made",
        WATCHDOG 1 + 1: "The watchdog was not restarted in time",
        REQUEST 2 + 1: "The firmware, or a debugger, asked for it"
    }
    /// Resets the core (not the component).
    RESET[1] @ 0x018: Wo / None = Reset::Value(0);
    { CORE 0 + 1: "Writing one resets the core" }
    /// 4 KiB frames of memory behind the component on this board.
    BOARD_FRAMES[1] @ 0x01C: Ro / None = Reset::Volatile;
    /// How fast the core is.
    CLOCKS[1] @ 0x020: Ro / None = Reset::Volatile;
    { RATIO 0 + 8: "Clocks of the component per clock of the core" }
    /// Output pins, see `pin`.
    GPIO_OUT[1] @ 0x024: Rw / None = Reset::Value(1 << pin::FLASH_CS | 1 << pin::I2C_SCL | 1 << pin::I2C_SDA);
    { PINS 0 + 8: "One bit per pin" }
    /// Input pins.
    GPIO_IN[1] @ 0x028: Ro / None = Reset::Volatile;
    { PINS 0 + 8: "One bit per pin" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_do_not_overlap() {
        let mut end = 0;
        for r in ALL {
            assert!(r.offset >= end && r.offset % 4 == 0, "{}", r.name);
            end = r.offset + 4 * r.count;
        }
        assert!(end <= 0x100);
        let config = HwConfig::SMALL;
        assert!(ALL.iter().all(|r| r.reset_value(&config).unwrap_or(0) & !r.mask() == 0));
    }
}
