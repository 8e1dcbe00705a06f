//! The simulated board at a terminal, and the unmodified driver on it, as people run them.

use assert_cmd::cargo::CommandCargoExt as _;
use assert_cmd::Command;
use predicates::prelude::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

/// `splitmem serve`, until it is dropped.
struct Served {
    process: Child,
    path: String,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let mut command =
            std::process::Command::cargo_bin("splitmem").expect("built with its tests");
        command.args(["serve", "--board", "ulx3s", "--pty"]).args(arguments);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("serve starts");
        let mut path = String::new();
        let out = process.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut path).expect("a line");
        Self { process, path: path.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; then the test has failed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wordcount(port: &str, text: &str) -> assert_cmd::assert::Assert {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    std::fs::write(&file, text).expect("write the text");
    let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
    command.args(["sim", "wordcount"]).arg(&file).args(["--backend", "serial", "--port", port]);
    command.assert()
}

#[test]
fn a_workload_runs_through_the_boards_pins() {
    let board = Served::start(&[]);
    let text = "the board that was never there counts the words that never were\n".repeat(8);
    wordcount(&board.path, &text).success();
    // Its monitor runs on its own core: the next host comes as the first one did.
    wordcount(&board.path, "and then came another host\n").success();
}

#[test]
fn a_board_whose_memory_is_broken_says_where_and_serves_nothing() {
    let board = Served::start(&["--broken-wire", "3"]);
    let wanted = "its SDRAM failed the test at address 0x0, data wires D3: nothing is served";
    wordcount(&board.path, "words\n").failure().stderr(predicate::str::contains(wanted));
}

#[test]
fn a_port_that_is_not_there_is_named() {
    wordcount("/dev/no-such-port", "words\n")
        .failure()
        .stderr(predicate::str::contains("/dev/no-such-port"));
}
