//! `splitmem run` as people run it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

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

/// A program that has touched some memory and waits for a line.
const WAITS: &str = "for i in $(seq 20000); do a[$i]=$i; done; echo ready; read line";

#[test]
fn others_can_watch_it_run() {
    if !possible() {
        return;
    }
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_splitmem"))
        .args(["run", "--local", "1MiB", "--metrics", "127.0.0.1:0", "--", "bash", "-c", WAITS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(run.stderr.take().expect("piped")).lines();
    let line = lines.next().expect("a line").expect("readable");
    let address = line.split("http://").nth(1).and_then(|rest| rest.strip_suffix("/metrics"));
    let mut out = BufReader::new(run.stdout.take().expect("piped"));
    let mut ready = String::new();
    out.read_line(&mut ready).expect("readable");
    assert_eq!(ready, "ready\n");

    let mut peer = TcpStream::connect(address.expect(&line)).expect("served");
    let request = b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    peer.write_all(request).expect("sent");
    let mut page = String::new();
    peer.read_to_string(&mut page).expect("answered");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let limit = page.lines().find(|line| line.starts_with("splitmem_limit_bytes{"));
    assert!(limit.is_some_and(|line| line.ends_with(" 1048576")), "{page}");
    assert!(page.contains("program=\"bash\"") && page.contains("splitmem_miss_seconds_count"));

    let mut top = splitmem(&["top", "--once", "--json", "--interval", "0.1"]);
    let shown = String::from_utf8(top.unwrap().stdout).expect("text");
    // Other runs of this machine are shown too.
    let ours = shown.lines().map(|line| flat(line.as_bytes())).find(|process| {
        let pid = format!("pid=\"{}\"", process["pid"]);
        page.contains(&pid) && process["program"] == "bash"
    });
    let ours = ours.expect(&shown);
    assert!(ours["misses"].as_u64() > Some(100) && ours["dirty_bytes"].as_u64() > Some(0));
    assert!(ours["local_bytes"].as_u64() <= Some(1 << 20), "{ours:?}");

    drop(run.stdin.take());
    run.wait().expect("ends");
    splitmem(&["top"]).assert().code(2).stderr(contains("--once"));
}

/// A program that reads back what it wrote, each time it gets a line.
const READS: &str = "for i in $(seq 30000); do a[$i]=$i; done; echo ready; read line; \
                     s=0; for i in $(seq 30000); do s=$((s + a[i])); done; echo $s";

#[test]
fn a_component_in_another_process_is_reached_forks_and_all() {
    if !possible() {
        return;
    }
    for backend in ["served", "rtl"] {
        let files = Files::new();
        let program =
            "for i in $(seq 3000); do a[$i]=$i; done; (a[7]=8; echo ${a[7]} ${a[2999]}); \
                       echo ${a[7]} $(seq 20000 -1 1 | sort -n | head -n 1)";
        let mut run = splitmem(&["run", "--local", "512KiB", "--backend", backend, "--json"]);
        run.args(["--memory", "8MiB"]);
        run.env("TMPDIR", files.path(".")).args(["--", "bash", "-c", program]);
        let output = run.assert().success().stdout("8 2999\n7 1\n").get_output().stderr.clone();
        let result = flat(&output);
        assert_eq!(result["backend"], backend);
        assert!(result["page_fetches"].as_u64() > Some(0), "{result:?}");
    }
    splitmem(&["run", "--backend", "served", "--profile", "cxl", "--", "true"]).assert().code(2);
}

#[test]
fn a_component_that_dies_stops_the_program_and_what_it_lacks_is_saved() {
    if !possible() {
        return;
    }
    let files = Files::new();
    let spill = files.path("a spill");
    let errors = files.path("errors");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_splitmem"))
        .args(["run", "--local", "512KiB", "--backend", "served", "--spill"])
        .arg(&spill)
        .args(["--", "bash", "-c", &format!("echo $$; {READS}")])
        .env("TMPDIR", files.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&errors).expect("a file"))
        .spawn()
        .expect("starts");
    let mut input = run.stdin.take().expect("piped");
    let mut out = BufReader::new(run.stdout.take().expect("piped")).lines();
    let mut line = || out.next().map(|line| line.expect("readable"));
    let pid = line().expect("its number");
    assert_eq!(line().as_deref(), Some("ready"));
    // The component is in the process that is killed.
    run.kill().expect("killed");
    run.wait().expect("it ends");
    // It may need the component before it reads this, and be gone already.
    let _ = writeln!(input, "go on");
    // The program ends without an answer, which would be wrong or would never come.
    assert_eq!(line(), None);
    let said = std::fs::read_to_string(&errors).expect("readable");
    assert!(said.contains("the memory component is gone: its socket was closed"), "{said}");
    let saved = std::fs::read(files.path(&format!("a spill.{pid}"))).expect(&said);
    let pages = (saved.len() - 17) / (8 + 4096);
    assert!(saved.starts_with(b"splitmem spill 1\n") && (1..=128).contains(&pages), "{pages}");
    assert_eq!(saved.len(), 17 + pages * (8 + 4096));
    assert!(said.contains(&format!("{pages} pages")), "{said}");
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
