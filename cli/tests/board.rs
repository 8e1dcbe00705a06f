//! The simulated board at a terminal, and the unmodified driver on it, as people run them.

use assert_cmd::cargo::CommandCargoExt as _;
use assert_cmd::Command;
use predicates::prelude::*;
use serialport::{SerialPort as _, TTYPort};
use splitmem_abi::board::BoardId;
use splitmem_abi::serial::{encode, Kind, CRC_BYTES, HEADER_BYTES, PAYLOAD_BYTES, VERSION};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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

#[test]
fn a_wire_that_damages_bytes_is_not_noticed() {
    let board = Served::start(&["--noise", "4"]);
    let text = "what the wire has lost the link has said again\n".repeat(4);
    wordcount(&board.path, &text).success();
}

#[test]
fn a_cable_that_is_pulled_in_the_middle_is_said() {
    let mut board = Served::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    std::fs::write(&file, "a text that takes a while\n".repeat(4000)).expect("write the text");
    let mut command = std::process::Command::cargo_bin("splitmem").expect("built with its tests");
    command.args(["sim", "wordcount"]).arg(&file).args(["--backend", "serial", "--port"]);
    command.arg(&board.path).stdout(Stdio::null()).stderr(Stdio::piped());
    let work = command.spawn().expect("the workload starts");
    std::thread::sleep(std::time::Duration::from_secs(2));
    board.process.kill().expect("it runs");
    let output = work.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cable") || said.contains("closed at its other end"), "{said}");
}

/// A terminal with something at its other end that makes answers of what it hears.
fn other_board(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> (TTYPort, String) {
    let (ours, theirs) = TTYPort::pair().expect("a terminal");
    let path = theirs.name().expect("its path");
    let mut other = ours.try_clone_native().expect("its other end");
    other.set_timeout(std::time::Duration::from_secs(60)).expect("a timeout");
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        // Nobody speaks any more: then nothing is to be said.
        while let Ok(count @ 1..) = other.read(&mut buffer) {
            if other.write_all(&answer(&buffer[..count])).is_err() {
                return;
            }
        }
    });
    // Kept open: a terminal without an end is gone.
    (theirs, path)
}

#[test]
fn something_else_at_the_port_is_told_apart() {
    let (_kept, path) = other_board(|_| b"login: ".to_vec());
    let wanted = predicate::str::contains("none of them made sense");
    wordcount(&path, "words\n").failure().stderr(wanted);
}

#[test]
fn an_older_bitstream_is_told_apart() {
    let (_kept, path) = other_board(|hello| {
        let mut frame = [0; 1 + HEADER_BYTES + PAYLOAD_BYTES + CRC_BYTES];
        let session = hello.get(4).copied().unwrap_or(0);
        let payload = [VERSION - 1, 32, BoardId::Ulx3s85 as u8, 1, 0, 0, 0, 0];
        let length = encode(&mut frame, Kind::Welcome, [0, 0, session], &payload);
        frame[..length].to_vec()
    });
    let wanted =
        predicate::str::contains("speaks version 0 of the link and this program version 1")
            .and(predicate::str::contains("splitmem flash"));
    wordcount(&path, "words\n").failure().stderr(wanted);
}
