//! `splitmem devices` as people run it.

use assert_cmd::Command;
use predicates::str::contains;

const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cxl-host/tests/one-device.tree");

fn splitmem(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("splitmem").expect("the program is built with its tests");
    command.args(arguments);
    command
}

#[test]
fn a_recorded_machine_is_listed() {
    let output = splitmem(&["devices", "--json", "--recorded", TREE]).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["memory_devices"], 1);
    assert_eq!(facts["mem0_volatile_bytes"], 512u64 << 20);
    assert_eq!(facts["mem0_serial"], "0x1234");
    assert_eq!(facts["decoder0.0"], "0x110000000, 0x40000000 bytes");
    assert_eq!(facts["regions"], 0);
    splitmem(&["devices", "--recorded", TREE]).assert().success().stdout(contains("decoder0.0"));
}

#[test]
fn memory_components_are_listed_also_without_cxl() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tree = folder.path().join("pci.tree");
    let devices = "/sys/bus/pci/devices";
    let text = format!(
        "{devices}/0000:00:02.0/vendor=0x8086\n{devices}/0000:00:02.0/device=0x5350\n\
         {devices}/0000:03:00.0/vendor=0x1234\n{devices}/0000:03:00.0/device=0x5350\n\
         /sys/bus/pci/drivers/vfio-pci/0000:03:00.0/vendor=0x1234\n"
    );
    std::fs::write(&tree, text).expect("written");
    let output = splitmem(&["devices", "--json", "--recorded"]).arg(&tree).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["memory_components"], 1);
    assert_eq!(facts["0000:03:00.0"], "bound to vfio-pci");
    assert!(facts["cxl_error"].is_string(), "{facts}");
}

#[test]
fn what_cannot_be_is_told() {
    splitmem(&["devices", "--recorded", "no/such.tree"])
        .assert()
        .code(1)
        .stderr(contains("cannot read no/such.tree"));
    splitmem(&["devices", "--recorded", TREE, "destroy", "region0"]).assert().code(2);
    splitmem(&["devices", "create"]).assert().code(2).stderr(contains("--size"));
    // Not a path of sysfs: no machine has this region, with or without CXL.
    splitmem(&["devices", "destroy", "region77"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("/sys/bus/cxl/devices"))
        .stderr(contains("Next: "));
}

/// A file stands in for a dax device, with noise in it, as real memory has.
#[test]
fn a_program_runs_in_mapped_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (dax, text) = (folder.path().join("dax"), folder.path().join("text"));
    std::fs::write(&dax, vec![0xa5; 16 << 20]).expect("written");
    std::fs::write(&text, "one two two three three three\n".repeat(500)).expect("written");
    let (dax, text) = (dax.to_str().expect("UTF-8"), text.to_str().expect("UTF-8"));
    let arguments = ["sim", "wordcount", text, "--backend", "cxl", "--excache", "32KiB", "--json"];
    splitmem(&arguments).args(["--dax", dax]).assert().success().stdout(contains("\"cxl\""));
    splitmem(&arguments).assert().code(2).stderr(contains("--backend cxl and --dax go together"));
    splitmem(&arguments)
        .args(["--dax", "dax77.0"])
        .assert()
        .code(1)
        .stderr(contains("opening /dev/dax77.0: "));
}
