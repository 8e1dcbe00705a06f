//! Boards and their ports, as people meet them.

use assert_cmd::Command;
use predicates::prelude::*;

fn wordcount(port: &str, text: &str) -> assert_cmd::assert::Assert {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("text");
    std::fs::write(&file, text).expect("write the text");
    let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
    command.args(["sim", "wordcount"]).arg(&file).args(["--backend", "serial", "--port", port]);
    command.assert()
}

#[test]
fn a_port_that_is_not_there_is_named() {
    wordcount("/dev/no-such-port", "words\n")
        .failure()
        .stderr(predicate::str::contains("/dev/no-such-port"));
}

#[test]
fn flash_says_what_it_would_do_and_what_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ulx3s.bit");
    let flash = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
        command
            .args(["bitstream", "flash", "ulx3s", "--bitstream"])
            .arg(&file)
            .args(arguments)
            .assert()
    };
    flash(&["--dry-run"]).failure().stderr(predicate::str::contains("bitstream build ulx3s"));
    std::fs::write(&file, b"\xff\x00Part: LFE5U-85F\x00\xff\xff\xbd\xb3").expect("write");
    flash(&["--dry-run", "--save"])
        .success()
        .stdout(predicate::str::starts_with("openFPGALoader --board ulx3s --write-flash "));
    flash(&["--loader", "/no/such/loader"])
        .failure()
        .stderr(predicate::str::contains("apt-get install openfpgaloader"));
}
