//! The bitstreams that are kept, against their reports and the sources of today.

use clap::ValueEnum as _;
use splitmem_cli::fpga::boards::{BoardName, SEEDS};
use splitmem_cli::fpga::report::{FirmwareReport, Report};
use splitmem_cli::fpga::tools::hash;
use std::path::Path;

#[test]
fn every_boards_bitstream_is_that_of_its_report_and_of_these_sources() {
    for name in BoardName::value_variants() {
        let board = name.board();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(board.folder());
        let again = format!("run 'splitmem bitstream build {}'", board.name);
        let text = std::fs::read_to_string(folder.join("report.json")).expect(&again);
        let report: Report = serde_json::from_str(&text).expect("a report");
        let bits = std::fs::read(folder.join(board.bitstream())).expect(&again);
        assert_eq!(
            report.bitstream,
            format!("{:016x}", hash(&[&bits])),
            "not its bitstream: {again}"
        );
        assert_eq!(report.bitstream_bytes, bits.len() as u64);

        let sources = (board.sources)().expect("the sources");
        let inputs = board.inputs(&sources);
        assert_eq!(report.inputs, inputs, "{} is of other hardware: {again}", board.name);
        // What the compiler makes of them here may be something else: see `FirmwareReport::image`.
        let of = |firmware: Option<FirmwareReport>| firmware.map(|firmware| firmware.sources);
        let (kept, here) = (of(report.firmware), of(sources.firmware()));
        assert_eq!(kept, here, "{} has other firmware: {again}", board.name);

        // Every placement reaches every clock, not only the one that was taken.
        assert_eq!(report.clocks.len(), board.clocks.len());
        for (clock, wanted) in report.clocks.iter().zip(board.clocks) {
            assert_eq!(clock.runs_at_mhz, f64::from(wanted.khz) / 1000.0);
            assert_eq!(clock.reached_mhz.len(), SEEDS.len());
            for (seed, mhz) in &clock.reached_mhz {
                assert!(*mhz > clock.runs_at_mhz, "{} clock, seed {seed}: {mhz} MHz", clock.clock);
            }
        }
    }
}
