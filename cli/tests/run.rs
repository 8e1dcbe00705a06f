//! `splitmem run` as people run it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{flat, names, splitmem, Files};
use pcomponent_driver::transparent::uffd::Uffd;
use predicates::str::contains;

fn possible() -> bool {
    match Uffd::open() {
        Ok(_) => true,
        Err(reason) => {
            eprintln!("SKIPPED: {reason}");
            false
        }
    }
}

/// A pipeline of unmodified programs whose answer is known.
const SORT: &str = "seq 40000 -1 1 | sort -n --parallel=1 -S 20M | head -n 3; echo done";

#[test]
fn a_shell_and_what_it_starts_run_in_managed_memory() {
    if !possible() {
        return;
    }
    let files = Files::new();
    let report = files.path("report");
    let mut command =
        splitmem(&["run", "--local", "25%", "--profile", "cxl", "--json", "--report"]);
    command.arg(&report).args(["--", "bash", "-c", SORT]);
    let output = command.assert().success().stdout("1\n2\n3\ndone\n").get_output().stderr.clone();
    let result = flat(&output);
    assert!(result["processes"].as_u64() >= Some(4), "{result:?}");
    assert!(result["misses"].as_u64() > Some(100) && result["write_backs"].as_u64() > Some(0));
    let bytes = |key: &str| result[key].as_u64().expect("a number");
    assert!(bytes("local_bytes") < bytes("touched_bytes"), "{result:?}");
    assert_eq!(result["profile"], "cxl");
    assert_eq!(names(&report), ["run.html"]);
}

#[test]
fn the_programs_exit_code_is_ours() {
    if !possible() {
        return;
    }
    splitmem(&["run", "--", "sh", "-c", "exit 7"]).assert().code(7);
    splitmem(&["run", "--", "sh", "-c", "kill -TERM $$"]).assert().code(128 + 15);
}

#[test]
fn what_cannot_be_run_is_refused() {
    splitmem(&["run", "--", "no-such-program"])
        .assert()
        .code(1)
        .stderr(contains("no such program"));
    splitmem(&["run", "--local", "4KiB", "--", "true"])
        .assert()
        .code(2)
        .stderr(contains("at least 256.0 KiB"));
    splitmem(&["run", "--profile", "carrier-pigeon", "--", "true"]).assert().code(1);
    splitmem(&["run"]).assert().code(2);
    splitmem(&["run", "--", "true"])
        .env("SPLITMEM_PRELOAD", "/nowhere/libsplitmem_preload.so")
        .assert()
        .code(1)
        .stderr(contains("Build it with"));
}
