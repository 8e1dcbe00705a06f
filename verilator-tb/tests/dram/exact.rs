//! Clock counts computed by hand from the data sheet numbers.
//!
//! DDR4-2400T: CL 17, CWL 12, tRCD 17, tRP 17, tRAS 39, tRRD 4/6, tFAW 26, tCCD 4/6, tWTR 3/9,
//! tWR 18, tRTP 9, tRFC 420, tREFI 9360. DDR3-1600K: CL 11, CWL 8, tRCD 11, tRP 11, tRAS 28,
//! tRRD 6, tFAW 32, tCCD 4, tWTR 6, tWR 12, tRTP 6, tRFC 280, tREFI 6240. A burst is 4 clocks.

use super::channel::{At, Channel, ORIGIN};
use verilator_tb::dram::{DramCommand, IssuedCommand, Preset};

const OTHER_ROW: At = At { row: 7, ..ORIGIN };
const OTHER_COLUMN: At = At { column: 9, ..ORIGIN };

#[test]
fn a_read_of_a_closed_bank_takes_trcd_cl_and_the_burst() {
    for (preset, latency) in [(Preset::Ddr4_2400, 17 + 17 + 4), (Preset::Ddr3_1600, 11 + 11 + 4)] {
        let mut channel = Channel::new(preset);
        channel.read(50, ORIGIN);
        assert_eq!(channel.run_to(500), [Some(50 + latency)], "{preset}");
        let stats = channel.controller.stats();
        assert_eq!(stats.read_latency.max(), Some(latency));
        assert_eq!((stats.row_misses, stats.busy_clocks), (1, latency));
    }
}

#[test]
fn a_row_hit_takes_cl_and_the_burst() {
    for (preset, latency) in [(Preset::Ddr4_2400, 17 + 4), (Preset::Ddr3_1600, 11 + 4)] {
        let mut channel = Channel::new(preset);
        channel.read(0, ORIGIN);
        channel.read(100, OTHER_COLUMN);
        assert_eq!(channel.run_to(500)[1], Some(100 + latency), "{preset}");
        assert_eq!(channel.controller.stats().row_hits, 1);
    }
}

#[test]
fn a_row_conflict_adds_trp() {
    for (preset, latency) in
        [(Preset::Ddr4_2400, 17 + 17 + 17 + 4), (Preset::Ddr3_1600, 11 + 11 + 11 + 4)]
    {
        let mut channel = Channel::new(preset);
        channel.read(0, ORIGIN);
        channel.read(100, OTHER_ROW);
        assert_eq!(channel.run_to(500)[1], Some(100 + latency), "{preset}");
        assert_eq!(channel.controller.stats().row_conflicts, 1);
    }
}

#[test]
fn an_early_row_conflict_waits_for_tras() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.read(0, ORIGIN);
    channel.read(0, OTHER_ROW);
    // ACT 0, PRE at tRAS, ACT a tRP later (which is tRC), RD a tRCD later.
    assert_eq!(channel.run_to(500), [Some(38), Some(39 + 17 + 17 + 21)]);
    assert_eq!(channel.precharges(), [39]);
    assert_eq!(channel.activates(), [0, 56]);
}

#[test]
fn a_late_read_holds_the_precharge_for_trtp() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.read(0, ORIGIN);
    channel.read(100, OTHER_COLUMN);
    channel.read(101, OTHER_ROW);
    channel.run_to(500);
    assert_eq!(channel.precharges(), [100 + 9]);
}

#[test]
fn four_activates_fit_in_tfaw() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    for group in 0..4 {
        channel.read(0, At { group, ..ORIGIN });
    }
    channel.read(0, At { bank: 1, ..ORIGIN });
    let done = channel.run_to(500);
    assert_eq!(channel.activates(), [0, 4, 8, 12, 26]);
    assert_eq!(done[4], Some(26 + 17 + 21));

    let mut channel = Channel::new(Preset::Ddr3_1600);
    for bank in 0..6 {
        channel.read(0, At { bank, ..ORIGIN });
    }
    channel.run_to(500);
    assert_eq!(channel.activates(), [0, 6, 12, 18, 32, 38]);
}

#[test]
fn activates_in_one_bank_group_keep_trrd_l() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    for bank in 0..4 {
        channel.read(0, At { bank, ..ORIGIN });
    }
    channel.run_to(500);
    // RD of the first bank takes the command bus in clock 17.
    assert_eq!(channel.activates(), [0, 6, 12, 18]);
}

#[test]
fn reads_in_one_bank_group_keep_tccd_l() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    for column in 0..4 {
        channel.read(0, At { column, ..ORIGIN });
    }
    assert_eq!(channel.run_to(500), [38, 44, 50, 56].map(Some));

    let mut channel = Channel::new(Preset::Ddr3_1600);
    for column in 0..4 {
        channel.read(0, At { column, ..ORIGIN });
    }
    assert_eq!(channel.run_to(500), [26, 30, 34, 38].map(Some));
}

#[test]
fn reads_across_bank_groups_keep_tccd_s() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    for column in 0..2 {
        for group in 0..4 {
            channel.read(0, At { group, column, ..ORIGIN });
        }
    }
    let back_to_back: Vec<_> = (0..8).map(|n| Some(38 + 4 * n)).collect();
    assert_eq!(channel.run_to(500), back_to_back);
}

#[test]
fn a_read_after_a_write_waits_for_twtr() {
    const OTHER_GROUP: At = At { group: 1, ..ORIGIN };
    const OTHER_BANK: At = At { bank: 1, ..ORIGIN };
    for (preset, at, turnaround) in [
        // CWL, the burst, and tWTR.
        (Preset::Ddr4_2400, OTHER_COLUMN, 12 + 4 + 9),
        (Preset::Ddr4_2400, OTHER_BANK, 12 + 4 + 9),
        (Preset::Ddr4_2400, OTHER_GROUP, 12 + 4 + 3),
        (Preset::Ddr3_1600, OTHER_COLUMN, 8 + 4 + 6),
        (Preset::Ddr3_1600, OTHER_BANK, 8 + 4 + 6),
    ] {
        let mut channel = Channel::new(preset);
        // Opens both rows.
        channel.read(0, at);
        channel.read(0, ORIGIN);
        channel.write(200, ORIGIN);
        channel.read(201, at);
        channel.run_to(600);
        assert_eq!(channel.writes(), [200], "{preset}");
        assert_eq!(channel.reads().last(), Some(&(200 + turnaround)), "{preset} {at:?}");
    }
}

#[test]
fn a_write_after_a_read_leaves_the_bus_two_clocks() {
    for (preset, write) in [
        // Data of the read ends in CL + 4; that of the write begins 2 later, CWL after WR.
        (Preset::Ddr4_2400, 17 + 17 + 4 + 2 - 12),
        (Preset::Ddr3_1600, 11 + 11 + 4 + 2 - 8),
    ] {
        let mut channel = Channel::new(preset);
        channel.read(0, ORIGIN);
        channel.write(0, OTHER_COLUMN);
        let done = channel.run_to(500);
        assert_eq!(channel.writes(), [write], "{preset}");
        assert_eq!(done[1], Some(1), "writes are posted");
    }
}

#[test]
fn a_precharge_after_a_write_waits_for_twr() {
    for (preset, precharge) in
        [(Preset::Ddr4_2400, 17 + 12 + 4 + 18), (Preset::Ddr3_1600, 11 + 8 + 4 + 12)]
    {
        let mut channel = Channel::new(preset);
        channel.write(0, ORIGIN);
        channel.read(20, OTHER_ROW);
        channel.run_to(500);
        assert_eq!(channel.precharges(), [precharge], "{preset}");
    }
}

#[test]
fn a_refresh_blocks_the_rank_for_trfc() {
    for (preset, refi, rp, rfc, closed) in
        [(Preset::Ddr4_2400, 9360, 17, 420, 38), (Preset::Ddr3_1600, 6240, 11, 280, 26)]
    {
        // All banks precharged already.
        let mut channel = Channel::new(preset);
        channel.read(refi, ORIGIN);
        assert_eq!(channel.run_to(refi + 1000), [Some(refi + rfc + closed)]);

        // A row is open, and the refresh closes it.
        let mut channel = Channel::new(preset);
        channel.read(1000, ORIGIN);
        channel.read(refi, ORIGIN);
        let done = channel.run_to(refi + 1000);
        assert_eq!(done[1], Some(refi + rp + rfc + closed), "{preset}");
        let maintenance: Vec<_> = channel.commands()[2..4].to_vec();
        assert_eq!(
            maintenance,
            [
                IssuedCommand { clock: refi, command: DramCommand::PrechargeAll },
                IssuedCommand { clock: refi + rp, command: DramCommand::Refresh }
            ]
        );
    }
}

#[test]
fn a_refresh_waits_for_trtp_of_the_last_read() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.read(1000, ORIGIN);
    channel.read(9359, OTHER_COLUMN);
    channel.read(9360, OTHER_COLUMN);
    let done = channel.run_to(11_000);
    assert_eq!(done[1], Some(9359 + 21), "issued before the refresh is due");
    // PREA after tRTP, REF after tRP, ACT after tRFC.
    assert_eq!(done[2], Some(9359 + 9 + 17 + 420 + 38));
}

#[test]
fn refreshes_keep_their_pace_when_nothing_else_happens() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.run_to(9360 * 100 + 1);
    let clocks: Vec<_> = channel.commands().iter().map(|c| c.clock).collect();
    let expected: Vec<_> = (1..=100).map(|n| 9360 * n).collect();
    assert_eq!(clocks, expected);
    assert_eq!(channel.controller.stats().refreshes, 100);
    assert_eq!(channel.controller.stats().busy_clocks, 0);
}
