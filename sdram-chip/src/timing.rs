//! The times of a data sheet.

/// Times of an SDR SDRAM, in picoseconds unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Edges from a read to its first word.
    pub cas_latency: u32,
    /// Pause after power-up before the first command.
    pub power_up_ps: u64,
    /// Refreshes before the mode is set.
    pub first_refreshes: u32,
    /// Activation to activation of one bank, tRC.
    pub rc_ps: u64,
    /// Refresh to any command, tRFC.
    pub rfc_ps: u64,
    /// Activation to read or write, tRCD.
    pub rcd_ps: u64,
    /// Precharge to activation or refresh, tRP.
    pub rp_ps: u64,
    /// Activation to precharge, tRAS.
    pub ras_ps: u64,
    /// The longest that a row may be open.
    pub ras_max_ps: u64,
    /// Activation to activation of another bank, tRRD.
    pub rrd_ps: u64,
    /// Last word written to precharge, tWR (also tDPL).
    pub wr_ps: u64,
    /// The same in clock cycles; the longer of the two counts.
    pub wr_cycles: u64,
    /// Cycles from setting the mode to the next command, tMRD.
    pub mrd_cycles: u64,
    /// Average time between refreshes: 64 ms for 8192 rows.
    pub refi_ps: u64,
}

impl Timing {
    /// Alliance AS4C16M16SA-7 (data sheet rev. 3.0, table 16), CAS latency 2.
    pub const AS4C16M16SA_7: Self = Self {
        cas_latency: 2,
        power_up_ps: 200_000_000,
        first_refreshes: 2,
        rc_ps: 63_000,
        rfc_ps: 63_000,
        rcd_ps: 21_000,
        rp_ps: 21_000,
        ras_ps: 42_000,
        ras_max_ps: 120_000_000,
        rrd_ps: 14_000,
        wr_ps: 14_000,
        wr_cycles: 1,
        mrd_cycles: 1,
        refi_ps: 7_812_500,
    };

    /// What all chips that were fitted to the ULX3S allow: of every time the longest among Alliance
    /// AS4C16M16SA-7, ISSI IS42S16160G-7 and Micron MT48LC16M16A2-75, with some margin on what their
    /// data sheets give per clock cycle. A controller that keeps these keeps all of theirs.
    pub const ULX3S: Self = Self {
        cas_latency: 2,
        power_up_ps: 200_000_000,
        first_refreshes: 8,
        rc_ps: 66_000,
        rfc_ps: 70_000,
        rcd_ps: 21_000,
        rp_ps: 21_000,
        ras_ps: 44_000,
        ras_max_ps: 100_000_000,
        rrd_ps: 15_000,
        wr_ps: 20_000,
        wr_cycles: 2,
        mrd_cycles: 2,
        refi_ps: 7_812_500,
    };
}
