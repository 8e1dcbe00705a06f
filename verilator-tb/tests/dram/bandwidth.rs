//! Sequential bandwidth against what the timing allows.

use std::convert::Infallible;
use verilator_tb::dram::{replay, Access, AddressMapping, Load, Preset};

fn sequential_reads(preset: Preset, mapping: &str, load: Load) -> f64 {
    let config = preset.config().with_mapping(mapping).expect("known fields");
    let reads = (0..100_000).map(|line| Ok::<_, Infallible>(Access { write: false, line }));
    let report = replay(&config, load, reads, |_| {}).expect("nothing can fail");
    let rate = report.gb_per_second(&config);
    println!("{preset} {mapping}: {rate:.2} GB/s");
    rate
}

/// The share of time that refreshes leave.
const DDR4_AWAKE: f64 = 1.0 - 420.0 / 9360.0;
const DDR3_AWAKE: f64 = 1.0 - 280.0 / 6240.0;

#[test]
fn interleaved_bank_groups_reach_the_peak_less_refresh() {
    let rate = sequential_reads(Preset::Ddr4_2400, AddressMapping::INTERLEAVED, Load::Saturate);
    assert!(rate > 19.2 * DDR4_AWAKE * 0.98 && rate < 19.2 * DDR4_AWAKE, "{rate}");
}

#[test]
fn the_default_mapping_is_held_to_tccd_l() {
    // Six in flight hide the latency of a hit and hardly reach from one row into the next.
    let rate = sequential_reads(Preset::Ddr4_2400, AddressMapping::DEFAULT, Load::Outstanding(6));
    let limit = 19.2 * 4.0 / 6.0 * DDR4_AWAKE;
    assert!(rate > limit * 0.93 && rate < limit * 1.03, "{rate}");
}

#[test]
fn a_full_queue_overlaps_the_end_of_a_row_with_the_next_bank_group() {
    // Of the 128 lines of a row, the last 32 share the queue of 32 with the first 32 of the next
    // row, which lies in another bank group: 64 go at tCCD_S = 4, the other 64 at tCCD_L = 6.
    let rate = sequential_reads(Preset::Ddr4_2400, AddressMapping::DEFAULT, Load::Saturate);
    let limit = 19.2 * 4.0 / 5.0 * DDR4_AWAKE;
    assert!(rate > limit * 0.96 && rate < limit, "{rate}");
}

#[test]
fn ddr3_has_no_groups_and_reaches_the_peak_less_refresh() {
    let rate = sequential_reads(Preset::Ddr3_1600, AddressMapping::DEFAULT, Load::Saturate);
    assert!(rate > 12.8 * DDR3_AWAKE * 0.98 && rate < 12.8 * DDR3_AWAKE, "{rate}");
}

#[test]
fn one_read_at_a_time_pays_the_whole_latency() {
    let config = Preset::Ddr4_2400.config();
    let reads = (0..100).map(|line| Ok::<_, Infallible>(Access { write: false, line }));
    let report = replay(&config, Load::Outstanding(1), reads, |_| {}).expect("nothing can fail");
    assert_eq!(report.clocks, 38 + 99 * 21);
    assert_eq!(report.stats.read_latency.percentile(0.99), Some(21));
    assert_eq!(report.stats.row_hits, 99);
}

#[test]
fn a_failing_trace_stops_the_replay() {
    let accesses = [Ok(Access { write: true, line: 1 }), Err("line 2")];
    let result = replay(&Preset::Ddr4_2400.config(), Load::Saturate, accesses, |_| {});
    assert_eq!(result.map_err(|e| e.to_string()), Err("line 2".into()));
}
