//! The chip's times in cycles of the controller's clock.

/// Times in clock cycles. They keep AS4C16M16SA-7, IS42S16160G-7 and MT48LC16M16A2-75: of every
/// time the longest of the three data sheets, and the most that any of them wants per clock cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cycles {
    /// Pause after power-up: 200 us.
    pub power_up: u32,
    /// Activation to activation of one bank, tRC: 66 ns.
    pub rc: u32,
    /// Refresh to any command, tRFC: 70 ns.
    pub rfc: u32,
    /// Activation to read or write, tRCD: 21 ns.
    pub rcd: u32,
    /// Precharge to activation or refresh, tRP: 21 ns.
    pub rp: u32,
    /// Activation to precharge, tRAS: 44 ns.
    pub ras: u32,
    /// Activation to activation of another bank, tRRD: 15 ns.
    pub rrd: u32,
    /// Last word written to precharge, tWR: 20 ns, two cycles at least.
    pub wr: u32,
    /// Between two refreshes: 7.5 us, so that 8192 of them take less than 64 ms whatever waits
    /// for a line to end.
    pub refresh: u32,
}

/// Edges from a read to its first word. All three chips allow 2 up to 100 MHz.
pub const CAS_LATENCY: u32 = 2;
/// The mode register: CAS latency 2, sequential bursts of 8, writes like reads.
pub const MODE: u32 = CAS_LATENCY << 4 | 3;
/// Refreshes before the mode is set.
pub const FIRST_REFRESHES: u32 = 8;
/// The fastest clock at which CAS latency 2 is allowed.
pub const MAX_KHZ: u32 = 100_000;

impl Cycles {
    /// At a clock of `khz`, at most [`MAX_KHZ`].
    pub const fn at(khz: u32) -> Self {
        const fn ns(khz: u32, ns: u32) -> u32 {
            let cycles = (khz as u64 * ns as u64).div_ceil(1_000_000) as u32;
            if cycles == 0 {
                1
            } else {
                cycles
            }
        }
        let wr = ns(khz, 20);
        Self {
            power_up: ns(khz, 200_000),
            rc: ns(khz, 66),
            rfc: ns(khz, 70),
            rcd: ns(khz, 21),
            rp: ns(khz, 21),
            ras: ns(khz, 44),
            rrd: ns(khz, 15),
            wr: if wr < 2 { 2 } else { wr },
            // Rounded down: never later.
            refresh: (khz as u64 * 7_500 / 1_000_000) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_rounded_to_the_safe_side() {
        let c = Cycles::at(50_000);
        assert_eq!((c.rcd, c.rp, c.ras, c.rc, c.rfc, c.wr), (2, 2, 3, 4, 4, 2));
        assert_eq!((c.power_up, c.refresh, c.rrd), (10_000, 375, 1));
        let c = Cycles::at(100_000);
        assert_eq!((c.rcd, c.rp, c.ras, c.rc, c.rfc, c.rrd), (3, 3, 5, 7, 7, 2));
    }
}
