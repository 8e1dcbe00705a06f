//! `splitmem replay` as people run it, on the golden model.

mod common;

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use common::{flat, json, names, splitmem, Files};
use flate2::{write::GzEncoder, Compression};
use predicates::str::contains;

const MODEL: [&str; 2] = ["--backend", "model"];
const SIZE: [&str; 2] = ["--excache", "64KiB"];

const LACKEY: &str = "\
==7== Lackey, an example Valgrind tool
I  04001000,3
 S 1ffefff9a0,8
 L 1ffefff9a0,8
 M 0421c7ce,4
 L 0421c7ce,4
==7== done
";

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    gzip.finish().expect("memory")
}

#[test]
fn a_lackey_trace_is_replayed_and_verified() {
    let files = Files::new();
    for path in [files.write("trace", LACKEY), files.write("trace.gz", gzip(LACKEY))] {
        let result = json(splitmem(&["replay", &path, "--verify"]).args(MODEL));
        assert_eq!(result["completed"], true);
        assert_eq!(result["verified"], true);
        assert_eq!(result["trace_accesses"], 5);
        assert_eq!(result["trace_fetches"], 1);
        assert_eq!(result["trace_bytes"], 27);
    }
    let piped = json(splitmem(&["replay", "-"]).args(MODEL).args(SIZE).write_stdin(gzip(LACKEY)));
    assert_eq!(piped["trace_accesses"], 5);
}

#[test]
fn fetches_can_be_left_out_and_the_trace_cut() {
    let replay = |more: &[&str]| {
        let mut command = splitmem(&["replay", "-"]);
        json(command.args(MODEL).args(SIZE).args(more).write_stdin(LACKEY))
    };
    let result = replay(&["--skip-fetches"]);
    assert_eq!((&result["trace_fetches"], &result["trace_accesses"]), (&0.into(), &4.into()));
    let result = replay(&["--skip-fetches", "--limit", "2"]);
    assert_eq!((&result["trace_stores"], &result["trace_loads"]), (&1.into(), &1.into()));
    assert_eq!(result["trace_accesses"], 2);
}

#[test]
fn a_trace_larger_than_the_cache_keeps_its_data() {
    // Two sweeps over 600 pages, far apart, through a cache of 16: every page leaves and returns.
    let mut csv = "op,addr,size\n".to_owned();
    for round in 0..2 {
        for page in 0..600u64 {
            let address = page / 100 * (1 << 40) + page * 4096 + 8 * round;
            csv += &format!("W,{address},16\nM,{:#x},4\nR,{address},64\n", address + 4);
        }
    }
    let words = ["replay", "-", "--verify", "--prefetch", "stride"];
    let result = json(splitmem(&words).args(MODEL).args(SIZE).write_stdin(csv));
    assert_eq!(result["trace_accesses"], 3600);
    assert!(result["write_backs"].as_u64() >= Some(1000), "{result:?}");
}

#[test]
fn a_share_needs_a_file_to_read_twice() {
    let mut command = splitmem(&["replay", "-", "--excache", "25%"]);
    command.args(MODEL).write_stdin(LACKEY).assert().code(2).stderr(contains("standard"));
}

#[test]
fn malformed_traces_give_the_line() {
    let files = Files::new();
    let folder = files.path("report");
    let report = folder.to_str().expect("UTF-8");
    for (text, message) in [
        (" L 1000,8\n L 10x0,8\n", "trace:2: the address is no number"),
        ("R,0x1000,8\nR,0x1000\n", "trace:2: expected OP,ADDR,SIZE"),
        ("S,1000,0\n", "trace:1: the size must be"),
        ("==1== nothing\n", "no memory access"),
    ] {
        let path = files.write("trace", text);
        for size in ["25%", "64KiB"] {
            let mut command = splitmem(&["replay", &path, "--excache", size, "--report", report]);
            command.args(MODEL).assert().code(1).stdout("").stderr(contains(message));
            assert_eq!(names(&folder), Vec::<String>::new());
        }
    }
    let gone = splitmem(&["replay", "/no/such/trace"]).args(MODEL).assert();
    gone.code(1).stderr(contains("cannot read /no/such/trace"));
}

/// Ctrl-C while the trace still comes: what was done so far, exit code 130, no report.
#[test]
fn ctrl_c_stops_at_a_safe_point() {
    let files = Files::new();
    let folder = files.path("report");
    let words = ["replay", "-", "--json", "--report", folder.to_str().expect("UTF-8")];
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("splitmem"))
        .args(words)
        .args(MODEL)
        .args(SIZE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut trace = child.stdin.take().expect("a pipe");
    let line = b" S 1000,8\n";
    // More than the pipe and the program's buffer hold: when this is written the program replays,
    // so it has begun to listen to Ctrl-C.
    trace.write_all(&line.repeat(100_000)).expect("the program reads");
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    // The program ends and closes the pipe.
    while trace.write_all(line).is_ok() {}
    let status = child.wait().expect("the program ends");
    let (mut out, mut err) = (Vec::new(), String::new());
    child.stdout.take().expect("a pipe").read_to_end(&mut out).expect("output");
    child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("output");
    assert_eq!(status.code(), Some(130), "{err}");
    assert!(err.contains("stopped by Ctrl-C"), "{err}");
    let result = flat(&out);
    assert_eq!(result["completed"], false);
    assert!(result["trace_stores"].as_u64() > Some(0));
    assert_eq!(names(&folder), Vec::<String>::new());
}
