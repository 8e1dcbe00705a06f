//! The parameters of the emitted hardware.
//!
//! The same RustHDL source gives the large simulated component and the small one that fits a board.
//! `splitmem-hdl` reads these from TOML; the ranges are checked here ([`HwConfig::check`]).

use crate::geometry::{FRAME_BITS, LINE_BYTES, PAGE_SHIFT, PA_BITS_MAX};

/// Request ports of the component.
pub const PORTS: usize = 2;

/// Parameters of one component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct HwConfig {
    /// TLB sets: a power of two, 2 to 512.
    pub tlb_sets: u32,
    /// TLB ways: 1, 2, 4 or 8.
    pub tlb_ways: u32,
    /// Page-table walks that can be in flight at once: a power of two, 2 to 64.
    pub walk_entries: u32,
    /// Requests that each port can have in flight: a power of two, 2 to 32.
    pub port_slots: u32,
    /// Depth of the list of cleared 4 KiB frames: a power of two, 4 to 4096.
    pub free_4k: u32,
    /// Depth of the list of cleared 2 MiB frames: a power of two, 2 to 256. Zero, there is none, only
    /// in [`HwConfig::MICRO`].
    pub free_2m: u32,
    /// Depth of the zeroing engine's queue of frame runs: a power of two, 2 to 64.
    pub zero_queue: u32,
    /// Depth of the event log: a power of two, 4 to 1024.
    pub event_log: u32,
    /// Bits of a physical address: 20 (1 MiB of DRAM) to 40 (1 TiB).
    pub pa_bits: u32,
    /// Data bits of the DRAM port: 64, 128, 256 or 512. A line takes `512 / dram_data_bits` beats. 16 is
    /// the microprogrammed component, [`HwConfig::MICRO`].
    pub dram_data_bits: u32,
    /// Check READ and WRITE. Without it every valid mapping may be read and written.
    pub check_permissions: bool,
    /// Counters and latency histograms. Without them their registers read zero.
    pub statistics: bool,
}

/// A parameter that the hardware cannot be built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// Name of the parameter.
    pub name: &'static str,
    /// Its value.
    pub value: u32,
    /// What it may be.
    pub expected: &'static str,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} = {}: expected {}", self.name, self.value, self.expected)
    }
}

impl core::error::Error for ConfigError {}

impl HwConfig {
    /// The large component: what the simulator runs.
    pub const LARGE: Self = Self {
        tlb_sets: 512,
        tlb_ways: 4,
        walk_entries: 32,
        port_slots: 32,
        free_4k: 1024,
        free_2m: 16,
        zero_queue: 16,
        event_log: 256,
        pa_bits: 36,
        dram_data_bits: 512,
        check_permissions: true,
        statistics: true,
    };

    /// The small component: what fits a board next to a soft core.
    pub const SMALL: Self = Self {
        tlb_sets: 64,
        tlb_ways: 2,
        walk_entries: 4,
        port_slots: 4,
        free_4k: 64,
        free_2m: 4,
        zero_queue: 4,
        event_log: 16,
        pa_bits: 25,
        dram_data_bits: 128,
        check_permissions: true,
        statistics: false,
    };

    /// The microprogrammed component: one request at a time over a memory of 128 KiB, 16 bits wide. It
    /// has no other size.
    pub const MICRO: Self = Self {
        tlb_sets: 1,
        tlb_ways: 1,
        walk_entries: 1,
        port_slots: 1,
        free_4k: 16,
        free_2m: 0,
        zero_queue: 4,
        event_log: 8,
        pa_bits: 17,
        dram_data_bits: 16,
        check_permissions: true,
        statistics: false,
    };

    /// Whether this is the microprogrammed component, see [`HwConfig::MICRO`].
    pub const fn is_micro(&self) -> bool {
        self.dram_data_bits == Self::MICRO.dram_data_bits
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// The first parameter that is out of range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.is_micro() {
            return self.check_micro();
        }
        const fn power(
            name: &'static str,
            value: u32,
            low: u32,
            high: u32,
            expected: &'static str,
        ) -> Result<(), ConfigError> {
            if value.is_power_of_two() && value >= low && value <= high {
                Ok(())
            } else {
                Err(ConfigError { name, value, expected })
            }
        }
        macro_rules! check {
            ($name:ident, $low:expr, $high:expr, $expected:expr) => {
                match power(stringify!($name), self.$name, $low, $high, $expected) {
                    Ok(()) => {}
                    Err(e) => return Err(e),
                }
            };
        }
        check!(tlb_sets, 2, 512, "a power of two from 2 to 512");
        check!(tlb_ways, 1, 8, "1, 2, 4 or 8");
        check!(walk_entries, 2, 64, "a power of two from 2 to 64");
        check!(port_slots, 2, 32, "a power of two from 2 to 32");
        check!(free_4k, 4, 4096, "a power of two from 4 to 4096");
        check!(free_2m, 2, 256, "a power of two from 2 to 256");
        check!(zero_queue, 2, 64, "a power of two from 2 to 64");
        check!(event_log, 4, 1024, "a power of two from 4 to 1024");
        check!(dram_data_bits, 64, LINE_BYTES as u32 * 8, "64, 128, 256 or 512");
        if self.pa_bits < 20 || self.pa_bits > PA_BITS_MAX {
            return Err(ConfigError { name: "pa_bits", value: self.pa_bits, expected: "20 to 40" });
        }
        Ok(())
    }

    /// The microprogrammed component has one size: it is in its microprogram.
    const fn check_micro(&self) -> Result<(), ConfigError> {
        macro_rules! same {
            ($($name:ident)+) => { $(
                if self.$name as u32 != Self::MICRO.$name as u32 {
                    return Err(ConfigError {
                        name: stringify!($name),
                        value: self.$name as u32,
                        expected: "what hdl/configs/micro.toml has, where dram_data_bits is 16",
                    });
                }
            )+ };
        }
        same! {
            tlb_sets tlb_ways walk_entries port_slots free_4k free_2m zero_queue event_log pa_bits
            check_permissions statistics
        }
        Ok(())
    }

    /// 4 KiB frames that the physical address width can name.
    pub const fn frames(&self) -> u64 {
        1 << (self.pa_bits - PAGE_SHIFT)
    }

    /// The frame bits that exist in this component.
    pub const fn frame_mask(&self) -> u32 {
        ((1u64 << (self.pa_bits - PAGE_SHIFT)) - 1) as u32 & ((1 << FRAME_BITS) - 1)
    }

    /// Beats of the DRAM port per line.
    pub const fn beats(&self) -> u32 {
        LINE_BYTES as u32 * 8 / self.dram_data_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_configurations_are_valid() {
        assert_eq!(HwConfig::LARGE.check(), Ok(()));
        assert_eq!(HwConfig::SMALL.check(), Ok(()));
        assert_eq!(HwConfig::MICRO.check(), Ok(()));
    }

    #[test]
    fn the_microprogrammed_component_has_one_size() {
        let wrong = HwConfig { free_4k: 32, ..HwConfig::MICRO };
        assert_eq!(wrong.check().unwrap_err().name, "free_4k");
        let wrong = HwConfig { free_2m: 0, ..HwConfig::SMALL };
        assert_eq!(wrong.check().unwrap_err().name, "free_2m");
    }

    #[test]
    fn the_first_wrong_parameter_is_named() {
        let wrong = HwConfig { tlb_sets: 48, pa_bits: 50, ..HwConfig::LARGE };
        assert_eq!(wrong.check().unwrap_err().name, "tlb_sets");
        let wrong = HwConfig { pa_bits: 50, ..HwConfig::LARGE };
        assert_eq!(wrong.check().unwrap_err().name, "pa_bits");
    }
}
