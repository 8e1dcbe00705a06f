//! `splitmem hdl` and `splitmem fmax` as people run them.

use std::fs;

use assert_cmd::Command;
use predicates::prelude::*;

fn splitmem(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("splitmem").expect("the program is built with its tests");
    command.args(arguments);
    command
}

#[test]
fn emit_writes_the_component_and_its_front_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("new/build");
    let mut texts = Vec::new();
    for config in ["small", concat!(env!("CARGO_MANIFEST_DIR"), "/../hdl/configs/tiny.toml")] {
        splitmem(&["hdl", "emit", "--config", config, "-o"]).arg(&output).assert().success();
        assert_eq!(output.read_dir().expect("the folder").count(), 7);
        let verilog = fs::read_to_string(output.join("top.v")).expect("written");
        assert!(verilog.trim_start().starts_with("module top("), "{config}");
        texts.push(verilog);
        for name in ["axi_port", "cxl_link", "cxl_mem", "pcie_plain", "pcie_uscale", "spi_bridge"] {
            let verilog = fs::read_to_string(output.join(format!("{name}.v"))).expect("written");
            assert!(verilog.trim_start().starts_with(&format!("module {name}(")), "{config}");
        }
    }
    assert_ne!(texts[0], texts[1]);
}

#[test]
fn a_wrong_configuration_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("board.toml");
    let good = include_str!("../../hdl/configs/small.toml");
    for (text, message) in [
        (good.replace("tlb_sets = 64", "tlb_sets = 65"), "tlb_sets = 65: expected a power of two"),
        (good.replace("tlb_sets", "tlb_set"), "unknown field `tlb_set`"),
        (String::new(), "missing field"),
    ] {
        fs::write(&file, text).expect("written");
        splitmem(&["hdl", "emit", "-o", "out", "--config", "board.toml"])
            .current_dir(folder.path())
            .assert()
            .code(1)
            .stderr(
                predicate::str::contains("board.toml: ").and(predicate::str::contains(message)),
            );
    }
    splitmem(&["hdl", "emit", "-o", "out", "--config", "medium.toml"])
        .current_dir(folder.path())
        .assert()
        .code(1)
        .stderr(predicate::str::contains("cannot read medium.toml: "));
    assert_eq!(folder.path().read_dir().expect("the folder").count(), 1);
}

#[test]
fn what_cannot_be_written_is_said() {
    splitmem(&["hdl", "emit", "--config", "small", "-o", "/dev/null/build"])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("cannot write /dev/null/build: "));
}

#[test]
fn without_the_tools_fmax_says_how_to_get_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    splitmem(&["fmax", "--config", "small"])
        .env("SPLITMEM_TOOLS", folder.path())
        .assert()
        .code(1)
        .stderr(predicate::str::contains("scripts/setup.sh synth"));
}
