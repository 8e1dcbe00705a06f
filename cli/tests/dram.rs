//! `splitmem dram` as people run it.

use std::io::Write as _;

use assert_cmd::Command;
use flate2::{write::GzEncoder, Compression};
use predicates::prelude::*;
use serde_json::Value;

fn dram() -> Command {
    let mut command = Command::cargo_bin("splitmem").expect("the program is built with its tests");
    command.arg("dram");
    command
}

fn trace_file(contents: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(contents).expect("a temporary file is written");
    file
}

fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).expect("one JSON object")
}

/// A closed bank, a hit and a conflict, one after the other.
const THREE_READS: &str = "op,addr\n# closed, hit, conflict\nR,0x0\nR,64\nR,0x20000\n";

#[test]
fn latencies_are_the_ones_of_the_data_sheet() {
    for (preset, latencies) in
        [("ddr4-2400", [38.0, 21.0, 55.0]), ("ddr3-1600", [26.0, 15.0, 37.0])]
    {
        let result = json(
            dram().args(["-", "--preset", preset, "--outstanding", "1"]).write_stdin(THREE_READS),
        );
        let [closed, _, conflict] = latencies;
        let total: f64 = latencies.iter().sum();
        assert_eq!(result["read_latency_mean_clocks"], total / 3.0);
        assert_eq!(result["read_latency_p50_clocks"], closed);
        assert_eq!(result["read_latency_max_clocks"], conflict);
        assert_eq!(result["total_clocks"].as_f64(), Some(total));
        for kind in ["row_hits", "row_misses", "row_conflicts"] {
            assert_eq!(result[kind], 1, "{kind}");
        }
        let keys = result.as_object().expect("an object").values();
        assert!(keys.into_iter().all(|value| !value.is_object() && !value.is_array()), "flat");
    }
}

#[test]
fn nanoseconds_and_bandwidth_follow_from_the_clocks() {
    let result = json(dram().args(["-", "--outstanding", "1"]).write_stdin("R,0\n"));
    let close = |key: &str, value: f64| {
        let found = result[key].as_f64().unwrap_or(f64::NAN);
        assert!((found - value).abs() < 1e-9, "{key} is {found}, not {value}");
    };
    close("read_latency_mean_ns", 38.0 / 1.2);
    close("total_ns", 38.0 / 1.2);
    close("bandwidth_gb_per_s", 64.0 / (38.0 / 1.2));
    close("data_bus_utilization", 4.0 / 38.0);
}

#[test]
fn compressed_files_read_like_plain_ones() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(THREE_READS.as_bytes()).expect("memory is written");
    let compressed = trace_file(&encoder.finish().expect("memory is written"));
    let plain = trace_file(THREE_READS.as_bytes());
    assert_eq!(json(dram().arg(compressed.path())), json(dram().arg(plain.path())));
}

#[test]
fn the_interleaved_mapping_is_faster_on_a_stream() {
    let trace: String = (0..20_000).map(|line| format!("R,{}\n", line * 64)).collect();
    let rate = |mapping: &str| {
        let result = json(
            dram().args(["-", "--saturate", "--mapping", mapping]).write_stdin(trace.as_str()),
        );
        assert_eq!(result["mapping"], mapping);
        result["bandwidth_gb_per_s"].as_f64().unwrap_or(f64::NAN)
    };
    let (default, interleaved) =
        (rate("row:bank:bankgroup:column"), rate("row:bank:column:bankgroup"));
    assert!(default < 14.7 && interleaved > 18.0, "{default} and {interleaved} GB/s");
}

#[test]
fn addresses_beyond_the_rank_are_counted_and_writes_have_no_latency() {
    let result = json(dram().arg("-").write_stdin("W,0x7fff00000000\nW,64\n"));
    assert_eq!(result["wrapped_addresses"], 1);
    assert_eq!(result["writes"], 2);
    assert_eq!(result["read_latency_mean_clocks"], Value::Null);
}

#[test]
fn people_get_a_table_with_units() {
    dram()
        .arg("-")
        .write_stdin(THREE_READS)
        .assert()
        .success()
        .stdout(predicate::str::contains("Read latency, p99"))
        .stdout(predicate::str::contains("GB/s"))
        .stdout(predicate::str::contains("DDR4-2400T (17-17-17) 8Gb x8"));
}

#[test]
fn bad_input_is_told_and_fails() {
    let bad_line = trace_file(b"op,addr\nR,0x40\nR,4x\n");
    let name = bad_line.path().display().to_string();
    dram()
        .arg(bad_line.path())
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::contains(format!("{name}:3: the address is no number")));
    dram()
        .arg("-")
        .write_stdin("R,0\nQ,0\n")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("-:2: expected OP,ADDR"));
    dram()
        .arg("-")
        .write_stdin("# nothing\n")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("holds no access"));
    dram()
        .arg("/no/such/trace.csv")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("cannot read /no/such/trace.csv"));
    let cut = trace_file(&[0x1f, 0x8b, 8, 0, 0]);
    dram().arg(cut.path()).assert().code(1).stderr(predicate::str::contains("cannot read"));
}

#[test]
fn wrong_usage_is_told_and_fails() {
    for (arguments, message) in [
        (&["-", "--preset", "ddr5-4800"][..], "known are ddr4-2400, ddr3-1600"),
        (&["-", "--mapping", "row:rank:column"], "unknown field `rank`"),
        (&["-", "--mapping", "row:bank:column"], "field `bankgroup` is missing"),
        (&["-", "--outstanding", "0"], "0 is not in 1.."),
        (&["-", "--outstanding", "4", "--saturate"], "cannot be used with"),
    ] {
        dram()
            .args(arguments)
            .write_stdin("R,0\n")
            .assert()
            .code(2)
            .stderr(predicate::str::contains(message));
    }
}
