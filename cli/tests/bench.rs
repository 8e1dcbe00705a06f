//! `splitmem bench` as people run it, on little memory: that it measures, says what it does not, and
//! leaves nothing behind. What it measures is not looked at.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::*;
use predicates::prelude::*;
use serde_json::Value;

const LITTLE: [&str; 7] = ["bench", "--bytes", "8MiB", "--local", "2MiB", "--seconds", "0.01"];

/// What the benchmark of a process leaves if it does not undo it.
fn left_behind(folder: &Path, pid: u32) -> Vec<String> {
    let mut left: Vec<String> = names(folder);
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"] {
        let ours = format!("splitmem-bench-{pid}");
        left.extend(names(Path::new(root)).into_iter().filter(|name| *name == ours));
    }
    left
}

/// Names of what the machine swaps on.
fn swaps() -> Vec<String> {
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    swaps.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Swap that was not there before. Others on this machine may turn swap on and off meanwhile, so what
/// is there for a moment only says nothing.
fn swap_left(before: &[String]) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let mut left = swaps();
        left.retain(|name| !before.contains(name));
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_explicit_api_is_measured_beside_local_memory() {
    let files = Files::new();
    let folder = files.path("report");
    let mut command = splitmem(&LITTLE);
    command.args(["--ways", "local,explicit", "--report", folder.to_str().unwrap()]);
    let figures = json(&mut command);
    for key in [
        "local_random_read_us",
        "explicit_rmw_us",
        "explicit_seq_read_2t_us",
        "explicit_miss_us",
        "page_copy_us",
        "explicit_word_ns",
        "delay_modelled_ns",
        "delay_achieved_ns",
    ] {
        assert!(figures[key].as_f64().is_some_and(|value| value > 0.0), "{key}: {figures:?}");
    }
    assert!(figures["explicit_hit_ns_over_raw"].is_number());
    // A delay is never cut short.
    assert!(figures["delay_error"].as_f64().is_some_and(|error| error >= 0.0), "{figures:?}");
    // Not asked for: no figure, and nothing made up.
    assert_eq!(figures["ratio_to_zram_swap"], Value::Null);
    assert!(!figures.contains_key("zram_swap_random_read_us"));
    let page = std::fs::read_to_string(folder.join("bench.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("explicit API"));
}

#[test]
fn every_other_way_is_measured_or_skipped_with_a_reason_and_leaves_nothing() {
    let files = Files::new();
    let before = swaps();
    let mut command = splitmem(&LITTLE);
    command.args(["--ways", "transparent,zram,swap-file,mapped-file", "--threads", "1", "--json"]);
    command.arg("--dir").arg(files.path(""));
    let output = command.assert().success().get_output().clone();
    let figures = flat(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    for (way, name) in [
        ("transparent", "splitmem run"),
        ("zram_swap", "zram swap"),
        ("swap_file", "swap file"),
        ("mmapped_file", "mmapped file"),
    ] {
        let measured = figures[&format!("{way}_random_read_us")].is_number();
        let skipped = figures.get(&format!("skipped_{way}")).and_then(Value::as_str);
        assert!(measured != skipped.is_some(), "{way}: {figures:?}");
        if let Some(why) = skipped {
            assert!(said.contains(&format!("WARNING: {name} NOT MEASURED: {why}")), "{said}");
        }
    }
    assert_eq!(swap_left(&before), [""; 0]);
    assert_eq!(names(&files.path("")), [""; 0]);
}

#[test]
fn ctrl_c_undoes_what_was_set_up() {
    let files = Files::new();
    let before = swaps();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("splitmem"))
        .args(["bench", "--bytes", "8MiB", "--local", "2MiB", "--seconds", "600"])
        .args(["--ways", "mapped-file,zram", "--threads", "1", "--dir"])
        .arg(files.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its folder is there before anything else is set up; then give it a moment to do so.
    let deadline = Instant::now() + Duration::from_secs(20);
    while names(&files.path("")).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id();
    // Without root nothing can be measured, and it has ended by itself.
    let running = child.try_wait().unwrap().is_none();
    for _ in 0..3 {
        let _ = Command::new("kill").args(["-INT", &pid.to_string()]).status();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(if running { 130 } else { 0 }));
    assert_eq!(swap_left(&before), [""; 0]);
    assert_eq!(left_behind(&files.path(""), pid), [""; 0]);
}

#[test]
fn wrong_usage_is_told() {
    for (words, message) in [
        (&["--threads", "0"][..], "--threads"),
        (&["--local", "2GiB"], "--local"),
        (&["--seconds", "nan"], "--seconds"),
        (&["--profile", "cxll"], "no profile named cxll"),
        (&["--ways", "disk"], "disk"),
    ] {
        let words = [&["bench"], words].concat();
        splitmem(&words).assert().failure().stderr(predicate::str::contains(message));
    }
}
