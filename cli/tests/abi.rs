//! `splitmem abi` as people run it.

use assert_cmd::Command;
use predicates::prelude::*;

fn abi(form: &str) -> Command {
    let mut command = Command::cargo_bin("splitmem").expect("the program is built with its tests");
    command.args(["abi", form]);
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.assert().success().get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

#[test]
fn docs_are_a_page_of_markdown() {
    let page = stdout(&mut abi("docs"));
    assert!(page.starts_with("# Registers\n"));
    assert!(page.contains("\n### TE_COMMAND\n"));
}

#[test]
fn svd_shows_one_side_at_its_address() {
    let monitor = stdout(abi("svd").args(["--base", "0x40000000"]));
    let device = roxmltree::Document::parse(&monitor).expect("XML");
    let text = |name: &str| {
        device.descendants().find(|node| node.has_tag_name(name)).and_then(|node| node.text())
    };
    assert_eq!(text("baseAddress"), Some("0x40000000"));
    assert!(monitor.contains("<name>TE_COMMAND</name>"));
    let host = stdout(abi("svd").args(["--side", "host"]));
    assert!(!host.contains("<name>TE_COMMAND</name>"));
    assert!(host.contains("<name>MB_COMMAND</name>"));
}

#[test]
fn a_file_holds_what_the_standard_output_shows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for form in ["docs", "svd"] {
        let path = folder.path().join(form);
        for _ in 0..2 {
            abi(form).arg("-o").arg(&path).assert().success().stdout("");
        }
        let written = std::fs::read_to_string(&path).expect("written");
        assert_eq!(written, stdout(&mut abi(form)));
    }
    assert_eq!(folder.path().read_dir().expect("the folder").count(), 2, "nothing else is left");
}

#[test]
fn what_cannot_be_written_is_said() {
    abi("docs")
        .args(["-o", "/nonexistent/registers.md"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("cannot write /nonexistent/registers.md: "));
    abi("docs")
        .args(["-o", "/"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("cannot write /"));
    abi("svd")
        .args(["--base", "twelve"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("an address is like"));
}
