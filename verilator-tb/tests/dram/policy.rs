//! What the controller chooses: forwarding, same-line order, draining, ageing.

use super::channel::{At, Channel, ORIGIN};
use verilator_tb::dram::{DramCommand, Preset};

fn column(column: u64) -> At {
    At { column, ..ORIGIN }
}

#[test]
fn a_read_of_a_line_that_waits_to_be_written_is_forwarded() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.read(0, column(1));
    channel.write(0, ORIGIN);
    channel.read(2, ORIGIN);
    assert_eq!(channel.run_to(500)[2], Some(3));
    assert_eq!(channel.controller.stats().forwarded_reads, 1);
    assert_eq!(channel.reads().len(), 1);
}

#[test]
fn two_half_writes_are_forwarded_together_and_one_is_not() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    channel.read(0, column(1));
    channel.write_masked(0, ORIGIN, 0xffff_ffff);
    channel.read(1, ORIGIN);
    channel.write_masked(2, ORIGIN, !0xffff_ffff);
    channel.read(3, ORIGIN);
    let done = channel.run_to(500);
    assert_eq!(done[2], Some(38 + 6), "a row hit after the first read");
    assert_eq!(done[4], Some(4));
}

#[test]
fn a_write_waits_for_older_reads_of_its_line() {
    // Enough writes that they are drained before the reads of another row are served.
    let mut channel = Channel::new(Preset::Ddr4_2400);
    let row = |row, column| At { row, column, ..ORIGIN };
    channel.write(0, row(1, 0));
    channel.run_to(30);
    channel.read(30, row(2, 5));
    channel.write(30, row(2, 5));
    for column in 1..30 {
        channel.write(30, row(1, column));
    }
    channel.run_to(2000);
    let places: Vec<_> = channel
        .commands()
        .iter()
        .filter_map(|c| match c.command {
            DramCommand::Read { column, .. } => Some(('R', column)),
            DramCommand::Write { column: 5, .. } => Some(('W', 5)),
            _ => None,
        })
        .collect();
    // Column 5 of row 1 is written first, in the drain; row 2 is read before it is written.
    assert_eq!(places, [('W', 5), ('R', 5), ('W', 5)]);
}

#[test]
fn reads_go_first_until_the_high_watermark_then_writes_down_to_the_low_one() {
    let mut channel = Channel::new(Preset::Ddr4_2400);
    let mut clock = 0;
    // A read every 10 clocks keeps the read queue busy; 26 writes start a drain.
    channel.read(0, ORIGIN);
    for n in 1..26 {
        channel.write(0, column(100 - n));
    }
    for n in 1..20 {
        clock += 6;
        channel.read(clock, column(n % 90));
        assert!(channel.writes().is_empty(), "25 writes wait for reads");
    }
    channel.write(clock, column(101));
    for n in 0..30 {
        clock += 6;
        channel.read(clock, column(n));
    }
    let written = |channel: &Channel| channel.writes().len();
    assert_eq!(written(&channel), 20, "drained from 26 to 6");
    channel.run_to(clock + 1000);
    assert_eq!(written(&channel), 26, "the rest when no read waits");
}

#[test]
fn a_row_conflict_among_endless_row_hits_waits_no_longer_than_the_age_cap() {
    let mut config = Preset::Ddr4_2400.config();
    config.controller.age_cap = 500;
    let mut channel = Channel::of(&config);
    let mut clock = 0;
    let mut victim = None;
    let mut hits = 0;
    while clock < 5000 {
        if channel.controller.can_accept(false) {
            if clock == 100 {
                victim = Some(channel.read(clock, At { row: 9, ..ORIGIN }));
            } else {
                channel.read(clock, column(hits % 128));
                hits += 1;
            }
        }
        clock += 4;
        channel.run_to(clock);
    }
    let done = victim.and_then(|v| channel.run_to(clock)[v]);
    // After the cap: tRTP, tRP, tRCD, CL and the burst at most.
    let bound = 100 + 500 + 1 + 9 + 17 + 17 + 21;
    assert!(done.is_some_and(|d| d > 600 && d <= bound), "{done:?}");
}

#[test]
fn a_few_writes_among_endless_reads_are_written_by_the_age_cap() {
    let mut config = Preset::Ddr4_2400.config();
    config.controller.age_cap = 500;
    let mut channel = Channel::of(&config);
    channel.write(0, At { row: 9, ..ORIGIN });
    for clock in 0..1000 {
        if channel.controller.can_accept(false) {
            channel.read(clock, column(clock % 128));
        }
        channel.run_to(clock);
    }
    let first = channel.writes().first().copied();
    assert!(first.is_some_and(|w| w > 500 && w < 600), "{first:?}");
}
