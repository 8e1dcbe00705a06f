//! Radiona ULX3S with an ECP5-85F: what is in its bitstream.

use super::core::BoardCore;
use crate::sdram::memory::Memory;
use crate::sdram::timing::Cycles;
use crate::serial::link::LinkConfig;
use rust_hdl::prelude::generate_verilog;
use splitmem_abi::board::BoardId;
use splitmem_abi::config::HwConfig;
use splitmem_abi::soc::SocConfig;

/// The component on this board: the small one, with the memory's 64-bit beats.
pub const CONFIG: HwConfig = HwConfig {
    tlb_sets: 64,
    tlb_ways: 1,
    walk_entries: 2,
    port_slots: 4,
    free_4k: 64,
    free_2m: 2,
    zero_queue: 4,
    event_log: 4,
    pa_bits: 25,
    dram_data_bits: 64,
    check_permissions: true,
    statistics: false,
};

/// Speed of the serial line: the FT231X's fastest.
pub const BAUD: u32 = 3_000_000;
/// The board's oscillator.
pub const OSCILLATOR_KHZ: u32 = 25_000;
/// Divider before the PLL, its multiplier, and its outputs' dividers: the component's, the soft core's.
pub const PLL: [u32; 4] = [5, 12, 10, 30];
/// The component's clock, and the SDRAM's.
pub const CLOCK_KHZ: u32 = OSCILLATOR_KHZ / PLL[0] * PLL[1];
/// The soft core's clock.
pub const CORE_KHZ: u32 = CLOCK_KHZ * PLL[2] / PLL[3];
/// The soft core. Its block RAM holds the same firmware as anywhere else.
pub const SOC: SocConfig = SocConfig {
    clock_ratio: CLOCK_KHZ.div_ceil(CORE_KHZ),
    pmp_regions: 4,
    ram_registers: true,
    ..SocConfig::DEFAULT
};

/// Cycles of reset after the PLL has locked, or PWR was released.
pub const PLL_WAIT_CYCLES: u64 = 1 << 16;

const SHELL: &str = include_str!("../../boards/ulx3s.v");

/// The core, module `top`, as it is simulated. `build` tells this build from others.
pub fn core(build: u32) -> String {
    let link =
        LinkConfig { clock_khz: CLOCK_KHZ, baud: BAUD, board: BoardId::Ulx3s85 as u8, build };
    crate::on_a_large_stack(|| {
        let mut core = BoardCore::new(&CONFIG, &link, &SOC);
        core.connect_pins();
        generate_verilog(&core)
    })
}

/// The memory alone, module `top`, as the core has it in it.
pub fn memory() -> String {
    crate::on_a_large_stack(|| {
        let mut memory = Memory::new(&Cycles::at(CLOCK_KHZ));
        memory.connect_pins();
        generate_verilog(&memory)
    })
}

/// Pads and clocks, module `ulx3s`, around the core.
pub fn shell() -> String {
    let [input, feedback, output, core] = PLL.map(|n| n.to_string());
    SHELL
        .replace("@PLL_IN@", &input)
        .replace("@PLL_FB@", &feedback)
        .replace("@PLL_OUT@", &output)
        .replace("@PLL_CORE@", &core)
        .replace("@MHZ@", &(f64::from(CLOCK_KHZ) / 1000.0).to_string())
        .replace("@CORE_MHZ@", &(f64::from(CORE_KHZ) / 1000.0).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pll_is_within_its_limits_and_the_clock_within_the_links_and_the_chips() {
        let [input, _, output, core] = PLL;
        assert!((3_125..=50_000).contains(&(OSCILLATOR_KHZ / input)));
        assert!((400_000..=800_000).contains(&(CLOCK_KHZ * output)));
        assert_eq!(CORE_KHZ * core, CLOCK_KHZ * output);
        assert!(CLOCK_KHZ * 1000 >= 10 * BAUD);
        assert!(CLOCK_KHZ <= crate::sdram::timing::MAX_KHZ);
        assert_eq!(CONFIG.check(), Ok(()));
        assert_eq!(CONFIG.dram_data_bits, 64);
        // The shell's counter ends when its highest bit is set.
        assert!(shell().contains(&format!("reg [{}:0] good", PLL_WAIT_CYCLES.ilog2())));
        // No place of the shell is left unfilled; an `@` of Verilog's own stands before a parenthesis.
        assert!(!shell().replace("@(", "").contains('@'));
    }
}
