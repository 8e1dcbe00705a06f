//! What a DRAM channel is made of: geometry, timing, controller queues, and the presets.
//!
//! Sources: JESD79-4 (DDR4 SDRAM) and JESD79-3 (DDR3 SDRAM), tables of speed bins, of timing
//! parameters by speed grade, and of refresh parameters by density. Times in nanoseconds become
//! whole clocks by rounding up.

use super::mapping::{AddressMapping, MappingError};
use super::queue::MAX_QUEUE;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Banks a rank may have, all groups together.
pub const MAX_BANKS: usize = 16;
/// Bank groups a rank may have.
pub const MAX_GROUPS: usize = 4;

/// Bytes that one column address of a 64-bit rank holds.
const COLUMN_BYTES: u64 = 8;

/// Why a DRAM configuration cannot be built.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// No such preset.
    #[error("unknown DRAM preset `{0}`; known are {known}", known = Preset::NAMES.join(", "))]
    UnknownPreset(String),
    /// The address mapping does not fit.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A field of the geometry is not a power of two, or too large.
    #[error("{field} must be a power of two of at most {max}, not {value}")]
    Geometry {
        /// Which field.
        field: &'static str,
        /// What it was.
        value: u32,
        /// What it may be.
        max: u32,
    },
    /// A queue has no entries, or more than the controller holds.
    #[error("the {queue} queue must have 1 to {MAX_QUEUE} entries, not {depth}")]
    QueueDepth {
        /// `read` or `write`.
        queue: &'static str,
        /// What was asked for.
        depth: usize,
    },
    /// The watermarks do not leave a batch to drain.
    #[error("write watermarks must satisfy low < high <= depth, not {low} < {high} <= {depth}")]
    Watermarks {
        /// Drain until this many writes are left.
        low: usize,
        /// Drain from this many writes on.
        high: usize,
        /// Write queue depth.
        depth: usize,
    },
    /// A clock frequency of zero.
    #[error("the {0} clock must not be 0 MHz")]
    ZeroClock(&'static str),
}

/// A 64-bit rank on one channel: how its address space is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bank groups; 1 for a device without them.
    pub bank_groups: u32,
    /// Banks in each group.
    pub banks_per_group: u32,
    /// Rows in each bank.
    pub rows: u32,
    /// Column addresses in each row; a 64-byte line takes eight (BL8).
    pub columns: u32,
}

impl Geometry {
    /// Banks in the rank.
    pub fn banks(&self) -> u32 {
        self.bank_groups * self.banks_per_group
    }

    /// 64-byte lines in a row of the rank.
    pub fn lines_per_row(&self) -> u32 {
        self.columns / 8
    }

    /// 64-byte lines in the rank.
    pub fn lines(&self) -> u64 {
        u64::from(self.banks()) * u64::from(self.rows) * u64::from(self.lines_per_row())
    }

    /// Bytes in the rank.
    pub fn bytes(&self) -> u64 {
        u64::from(self.banks()) * u64::from(self.rows) * u64::from(self.columns) * COLUMN_BYTES
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (field, value, min, max) in [
            ("bank groups", self.bank_groups, 1, MAX_GROUPS as u32),
            (
                "banks per group",
                self.banks_per_group,
                1,
                MAX_BANKS as u32 / self.bank_groups.max(1),
            ),
            ("rows", self.rows, 1, 1 << 24),
            ("columns", self.columns, 8, 1 << 16),
        ] {
            if !value.is_power_of_two() || value < min || value > max {
                return Err(ConfigError::Geometry { field, value, max });
            }
        }
        Ok(())
    }
}

/// Device timing in memory clocks (tCK), named as in the JEDEC standards without the leading `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Memory clock in MHz; half the data rate.
    pub clock_mhz: u32,
    /// CL, read command to first data beat (additive latency is 0).
    pub cl: u64,
    /// CWL, write command to first data beat.
    pub cwl: u64,
    /// BL/2, clocks that a burst of eight occupies the data bus.
    pub burst: u64,
    /// tRCD, activate to read or write.
    pub rcd: u64,
    /// tRP, precharge to activate or refresh.
    pub rp: u64,
    /// tRAS, activate to precharge.
    pub ras: u64,
    /// tRC, activate to activate or refresh, same bank.
    pub rc: u64,
    /// tRRD_S, activate to activate, different bank group.
    pub rrd_s: u64,
    /// tRRD_L, activate to activate, same bank group.
    pub rrd_l: u64,
    /// tFAW, window that holds at most four activates.
    pub faw: u64,
    /// tCCD_S, read to read or write to write, different bank group.
    pub ccd_s: u64,
    /// tCCD_L, read to read or write to write, same bank group.
    pub ccd_l: u64,
    /// tWTR_S, end of write data to read, different bank group.
    pub wtr_s: u64,
    /// tWTR_L, end of write data to read, same bank group.
    pub wtr_l: u64,
    /// tWR, end of write data to precharge.
    pub wr: u64,
    /// tRTP, read to precharge.
    pub rtp: u64,
    /// Idle clocks on the data bus between read data and write data (preambles, bus turn).
    pub bus_turn: u64,
    /// tRFC, refresh to activate or refresh.
    pub rfc: u64,
    /// tREFI, mean distance of refreshes.
    pub refi: u64,
}

impl Timing {
    /// Read command to write command: the write's data follows the read's by `bus_turn` clocks.
    pub fn read_to_write(&self) -> u64 {
        (self.cl + self.burst + self.bus_turn).saturating_sub(self.cwl)
    }

    /// Write command to read command, different bank group.
    pub fn write_to_read_s(&self) -> u64 {
        self.cwl + self.burst + self.wtr_s
    }

    /// Write command to read command, same bank group.
    pub fn write_to_read_l(&self) -> u64 {
        self.cwl + self.burst + self.wtr_l
    }

    /// Write command to precharge of its bank.
    pub fn write_to_precharge(&self) -> u64 {
        self.cwl + self.burst + self.wr
    }

    /// Nanoseconds that `clocks` memory clocks take.
    pub fn nanoseconds(&self, clocks: f64) -> f64 {
        clocks * 1e3 / f64::from(self.clock_mhz)
    }

    /// What the 64-bit data bus could carry without a gap, in GB/s (1e9 bytes).
    pub fn peak_gb_per_second(&self) -> f64 {
        f64::from(self.clock_mhz) * 2.0 * COLUMN_BYTES as f64 / 1e3
    }
}

/// The controller: queues, write draining, ageing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerConfig {
    /// Read queue depth in lines, at most 64.
    pub read_queue: usize,
    /// Write queue depth in lines, at most 64.
    pub write_queue: usize,
    /// Writes are drained from this many on, although reads wait.
    pub write_high: usize,
    /// The drain ends when this many are left.
    pub write_low: usize,
    /// A request that waited this many clocks goes before row hits and before the other queue.
    pub age_cap: u64,
}

impl Default for ControllerConfig {
    /// 32 + 32 entries, drained from 26 down to 6 (four fifths, one fifth), age cap 4096 clocks.
    fn default() -> Self {
        Self { read_queue: 32, write_queue: 32, write_high: 26, write_low: 6, age_cap: 4096 }
    }
}

impl ControllerConfig {
    fn check(&self) -> Result<(), ConfigError> {
        for (queue, depth) in [("read", self.read_queue), ("write", self.write_queue)] {
            if depth == 0 || depth > MAX_QUEUE {
                return Err(ConfigError::QueueDepth { queue, depth });
            }
        }
        let (low, high, depth) = (self.write_low, self.write_high, self.write_queue);
        if low >= high || high > depth {
            return Err(ConfigError::Watermarks { low, high, depth });
        }
        Ok(())
    }
}

/// One channel with one 64-bit rank, and the controller before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DramConfig {
    /// What the rank is, for people.
    pub device: &'static str,
    /// How the rank is laid out.
    pub geometry: Geometry,
    /// Device timing.
    pub timing: Timing,
    /// Queues and policy.
    pub controller: ControllerConfig,
    /// Where in the rank a line lies.
    pub mapping: AddressMapping,
}

impl DramConfig {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// The first field that cannot be built.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.geometry.check()?;
        self.controller.check()?;
        if self.timing.clock_mhz == 0 {
            return Err(ConfigError::ZeroClock("memory"));
        }
        Ok(())
    }

    /// The same channel with another [`AddressMapping`], given as text.
    ///
    /// # Errors
    /// If `mapping` does not name each field of this geometry once.
    pub fn with_mapping(mut self, mapping: &str) -> Result<Self, ConfigError> {
        self.mapping = AddressMapping::parse(mapping, &self.geometry)?;
        Ok(self)
    }
}

/// The devices whose timing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// DDR4-2400T (17-17-17), 8 Gb x8: eight devices in a 64-bit rank of 8 GiB, 16 banks in 4
    /// bank groups.
    Ddr4_2400,
    /// DDR3-1600K (11-11-11), 8 Gb x16: four devices in a 64-bit rank of 4 GiB, 8 banks.
    Ddr3_1600,
}

impl Preset {
    /// The names that [`FromStr`] understands, in the order of [`ALL`](Self::ALL).
    pub const NAMES: [&'static str; 2] = ["ddr4-2400", "ddr3-1600"];
    /// All presets.
    pub const ALL: [Preset; 2] = [Preset::Ddr4_2400, Preset::Ddr3_1600];

    /// The channel, with [`AddressMapping::DEFAULT`] and the default controller.
    pub fn config(self) -> DramConfig {
        let (device, geometry, timing) = match self {
            Preset::Ddr4_2400 => (
                "DDR4-2400T (17-17-17) 8Gb x8, one 64-bit rank of 8 devices",
                Geometry { bank_groups: 4, banks_per_group: 4, rows: 1 << 16, columns: 1 << 10 },
                ddr4_2400t(),
            ),
            Preset::Ddr3_1600 => (
                "DDR3-1600K (11-11-11) 8Gb x16, one 64-bit rank of 4 devices",
                Geometry { bank_groups: 1, banks_per_group: 8, rows: 1 << 16, columns: 1 << 10 },
                ddr3_1600k(),
            ),
        };
        DramConfig {
            device,
            geometry,
            timing,
            controller: ControllerConfig::default(),
            mapping: AddressMapping::default_for(&geometry),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.to_string() == name)
            .ok_or_else(|| ConfigError::UnknownPreset(name.to_owned()))
    }
}

/// A memory clock that turns the standards' picoseconds into clocks.
struct Clock {
    mhz: u32,
}

impl Clock {
    /// The larger of `clocks` and `picoseconds`, in whole clocks.
    fn at_least(&self, clocks: u64, picoseconds: u64) -> u64 {
        clocks.max((picoseconds * u64::from(self.mhz)).div_ceil(1_000_000))
    }

    /// A time that must not be exceeded, in whole clocks.
    fn at_most(&self, picoseconds: u64) -> u64 {
        picoseconds * u64::from(self.mhz) / 1_000_000
    }
}

/// JESD79-4, speed bin DDR4-2400T, page size 1 KiB (x8), 8 Gb.
fn ddr4_2400t() -> Timing {
    let clock = Clock { mhz: 1200 };
    let (cl, rcd, rp) = (17, 17, 17);
    let ras = clock.at_least(0, 32_000);
    Timing {
        clock_mhz: clock.mhz,
        cl,
        // Of the two CWL that the standard has for this rate, the one for a 1 tCK preamble.
        cwl: 12,
        burst: 4,
        rcd,
        rp,
        ras,
        rc: ras + rp,
        rrd_s: clock.at_least(4, 3_300),
        rrd_l: clock.at_least(4, 4_900),
        faw: clock.at_least(20, 21_000),
        ccd_s: 4,
        ccd_l: clock.at_least(5, 5_000),
        wtr_s: clock.at_least(2, 2_500),
        wtr_l: clock.at_least(4, 7_500),
        wr: clock.at_least(0, 15_000),
        rtp: clock.at_least(4, 7_500),
        // READ to WRITE is RL + BL/2 + 1 - WL + tWPRE, with tWPRE = 1.
        bus_turn: 2,
        rfc: clock.at_least(0, 350_000),
        refi: clock.at_most(7_800_000),
    }
}

/// JESD79-3, speed bin DDR3-1600K, page size 2 KiB (x16), 8 Gb.
fn ddr3_1600k() -> Timing {
    let clock = Clock { mhz: 800 };
    let (cl, rcd, rp) = (11, 11, 11);
    let ras = clock.at_least(0, 35_000);
    let (rrd, ccd, wtr) = (clock.at_least(4, 7_500), 4, clock.at_least(4, 7_500));
    Timing {
        clock_mhz: clock.mhz,
        cl,
        cwl: 8,
        burst: 4,
        rcd,
        rp,
        ras,
        rc: ras + rp,
        rrd_s: rrd,
        rrd_l: rrd,
        faw: clock.at_least(0, 40_000),
        ccd_s: ccd,
        ccd_l: ccd,
        wtr_s: wtr,
        wtr_l: wtr,
        wr: clock.at_least(0, 15_000),
        rtp: clock.at_least(4, 7_500),
        // READ to WRITE is RL + tCCD + 2 - WL.
        bus_turn: 2,
        rfc: clock.at_least(0, 350_000),
        refi: clock.at_most(7_800_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ddr4_2400_clocks_are_the_data_sheet_ones() {
        let config = Preset::Ddr4_2400.config();
        let t = config.timing;
        assert_eq!((t.cl, t.rcd, t.rp, t.cwl), (17, 17, 17, 12));
        assert_eq!((t.ras, t.rc, t.rfc, t.refi), (39, 56, 420, 9360));
        assert_eq!((t.rrd_s, t.rrd_l, t.faw), (4, 6, 26));
        assert_eq!((t.ccd_s, t.ccd_l), (4, 6));
        assert_eq!((t.wtr_s, t.wtr_l, t.wr, t.rtp), (3, 9, 18, 9));
        assert_eq!(t.read_to_write(), 11);
        assert_eq!(config.geometry.bytes(), 8 << 30);
        assert_eq!(t.peak_gb_per_second(), 19.2);
    }

    #[test]
    fn ddr3_1600_clocks_are_the_data_sheet_ones() {
        let config = Preset::Ddr3_1600.config();
        let t = config.timing;
        assert_eq!((t.cl, t.rcd, t.rp, t.cwl), (11, 11, 11, 8));
        assert_eq!((t.ras, t.rc, t.rfc, t.refi), (28, 39, 280, 6240));
        assert_eq!((t.rrd_s, t.rrd_l, t.faw), (6, 6, 32));
        assert_eq!((t.ccd_s, t.ccd_l), (4, 4));
        assert_eq!((t.wtr_s, t.wtr_l, t.wr, t.rtp), (6, 6, 12, 6));
        assert_eq!(t.read_to_write(), 9);
        assert_eq!(config.geometry.bytes(), 4 << 30);
        assert_eq!(t.peak_gb_per_second(), 12.8);
    }

    #[test]
    fn presets_are_found_by_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
            assert_eq!(preset.config().check(), Ok(()));
        }
        let error = "ddr5-4800".parse::<Preset>().map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("unknown DRAM preset `ddr5-4800`; known are ddr4-2400, ddr3-1600".into())
        );
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let mut config = Preset::Ddr4_2400.config();
        config.controller.write_low = config.controller.write_high;
        assert!(matches!(config.check(), Err(ConfigError::Watermarks { .. })));
        let mut config = Preset::Ddr4_2400.config();
        config.controller.read_queue = 65;
        assert!(matches!(config.check(), Err(ConfigError::QueueDepth { .. })));
        let mut config = Preset::Ddr4_2400.config();
        config.geometry.banks_per_group = 8;
        assert!(matches!(config.check(), Err(ConfigError::Geometry { .. })));
        let mut config = Preset::Ddr4_2400.config();
        config.timing.clock_mhz = 0;
        assert_eq!(config.check(), Err(ConfigError::ZeroClock("memory")));
    }
}
