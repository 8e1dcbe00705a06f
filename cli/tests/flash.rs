//! `splitmem flash` with a loader that answers as openFPGALoader does, word for word.

use assert_cmd::assert::Assert;
use assert_cmd::Command;
use predicates::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// What openFPGALoader 0.10 says of a chain with an LFE5U-85 when asked to `--detect`.
const FOUND: &str =
    "Jtag frequency : requested 6.00MHz   -> real 3.00MHz\nindex 0:\n\tidcode 0x1113043\n\
                     \tmanufacturer lattice\n\tfamily ECP5\n\tmodel  LFE5U-85\n\tirlength 8\n";

/// A folder with a bitstream and a loader in it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// A loader that runs `detect` or `write`, of shell, as it is called.
    fn new(detect: &str, write: &str) -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> '{}'\ncase \"$*\" in *--detect*) {detect} ;; *) {write} ;; esac\n",
            bench.path("calls").display()
        );
        let loader = bench.path("loader");
        fs::write(&loader, script).expect("write the loader");
        fs::set_permissions(&loader, fs::Permissions::from_mode(0o755)).expect("executable");
        let bits = b"\xff\x00Part: LFE5U-85F-6CABGA381\x00\xff\xff\xbd\xb3";
        fs::write(bench.path("a.bit"), bits).expect("write the bitstream");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A loader with an LFE5U-85 at its cable.
    fn with_board(write: &str) -> Self {
        Self::new(&says(FOUND, 0), write)
    }

    fn flash(&self, arguments: &[&str]) -> Assert {
        let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
        command.args(["flash", "ulx3s", "--bitstream"]).arg(self.path("a.bit"));
        command.arg("--loader").arg(self.path("loader")).args(arguments).assert()
    }

    /// What the loader was called with.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Shell that prints and exits.
fn says(text: &str, code: u8) -> String {
    format!("printf '%s\\n' '{text}' >&2; exit {code}")
}

#[test]
fn a_board_is_looked_at_and_then_written() {
    let bench = Bench::with_board(&says("Loading: [=====] 100.00%\nDone", 0));
    bench
        .flash(&[])
        .success()
        .stdout(predicate::str::contains("The bitstream is in the board"))
        .stderr(predicate::str::contains("100.00%"));
    let file = bench.path("a.bit").display().to_string();
    let detect = "--board ulx3s --detect".to_owned();
    assert_eq!(bench.calls(), [detect.clone(), format!("--board ulx3s {file}")]);
    bench.flash(&["--save"]).success();
    assert_eq!(bench.calls()[2..], [detect, format!("--board ulx3s --write-flash {file}")]);
}

#[test]
fn a_dry_run_prints_the_commands_and_calls_nobody() {
    let bench = Bench::with_board("exit 1");
    let loader = bench.path("loader").display().to_string();
    bench
        .flash(&["--dry-run", "--save"])
        .success()
        .stdout(predicate::str::contains(format!("{loader} --board ulx3s --detect\n")))
        .stdout(predicate::str::contains(format!("{loader} --board ulx3s --write-flash ")));
    assert!(bench.calls().is_empty());
}

#[test]
fn what_stands_in_the_way_before_writing_is_said_and_nothing_is_written() {
    let failed = "JTAG init failed with: unable to open ftdi device";
    let other = FOUND.replace("LFE5U-85", "LFE5U-12/25");
    let cases = [
        (says(&format!("unable to open ftdi device: -3 (device not found)\n{failed}"), 1), "no board was found"),
        (says(&format!("unable to open ftdi device: -4 (usb_open() failed)\n{failed}"), 1), "--udev"),
        (
            says(&format!("unable to open ftdi device: -5 (unable to claim usb device. Make sure the default FTDI driver is not in use)\n{failed}"), 1),
            "another program uses the board",
        ),
        (says(&other, 0), "its FPGA is no LFE5U-85F, nothing was written"),
    ];
    for (detect, wanted) in cases {
        let bench = Bench::new(&detect, "exit 0");
        bench.flash(&[]).code(1).stderr(predicate::str::contains(wanted));
        assert_eq!(bench.calls(), ["--board ulx3s --detect"], "{detect}");
    }
}

#[test]
fn a_write_that_does_not_end_well_is_no_success() {
    let again = predicate::str::contains("run the same command again");
    let broken = "Loading: [==        ] 40.00%\nwrite error: -1 instead of 64";
    Bench::with_board(&says(broken, 1)).flash(&[]).code(1).stderr(again.clone());
    // Killed, as by Ctrl-C.
    Bench::with_board("kill -9 $$").flash(&[]).code(1).stderr(again);
    let mismatch =
        "mismatch between target idcode and bitstream idcode\n\tbitstream has 0x41113043";
    let wrong = predicate::str::contains("its FPGA is no LFE5U-85F");
    Bench::with_board(&says(mismatch, 1)).flash(&[]).code(1).stderr(wrong);
}

#[test]
fn what_is_no_bitstream_for_the_board_is_refused() {
    let bench = Bench::with_board("exit 0");
    // A smaller FPGA's.
    let bits = b"\xff\x00Part: LFE5U-25F-6CABGA381\x00\xff\xff\xbd\xb3";
    for (bits, wanted) in [(&bits[..], "no bitstream for an LFE5U-85F"), (b"hello", "no bitstream")]
    {
        fs::write(bench.path("a.bit"), bits).expect("write");
        bench.flash(&[]).code(1).stderr(predicate::str::contains(wanted));
    }
    fs::remove_file(bench.path("a.bit")).expect("it was there");
    let build = predicate::str::contains("splitmem bitstream build ulx3s");
    bench.flash(&["--dry-run"]).code(1).stderr(build);
    assert!(bench.calls().is_empty());
}

#[test]
fn a_loader_that_is_not_there_can_be_installed() {
    let bench = Bench::with_board("exit 0");
    fs::remove_file(bench.path("loader")).expect("it was there");
    let install = predicate::str::contains("apt-get install openfpgaloader");
    bench.flash(&[]).code(1).stderr(install);
}

#[test]
fn the_udev_rule_and_firmware_for_a_probe() {
    let bench = Bench::with_board("exit 0");
    bench
        .flash(&["--udev"])
        .success()
        .stdout(predicate::str::contains("ATTRS{idProduct}==\"6015\""));
    let flash = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
        command.arg("flash").args(arguments).assert()
    };
    let file = bench.path("a.bit").display().to_string();
    flash(&["ulx3s", &file]).code(2).stderr(predicate::str::contains("--probe"));
    // Not an ELF file: no probe is asked.
    flash(&["ulx3s", &file, "--probe", "0403:6010"])
        .code(1)
        .stderr(predicate::str::contains("not a firmware image"));
    flash(&["sim", "--save"]).code(2).stderr(predicate::str::contains("firmware only"));
}

#[test]
fn the_pico_ice_is_flashed_through_its_microcontroller() {
    let bench = Bench::with_board("exit 0");
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../bitstreams/pico-ice/pico-ice.bit");
    let flash = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("splitmem").expect("built with its tests");
        command.args(["flash", "pico-ice", "--dry-run"]).args(arguments).assert()
    };
    let words = "probe-rs download --chip RP2040 --binary-format bin --base-address 0x10100000 ";
    flash(&["--bitstream", kept]).success().stdout(format!("{words}{kept}\n"));
    // Another FPGA's, firmware that is none, and what only openFPGALoader does.
    let other = bench.path("a.bit").display().to_string();
    let refused = predicate::str::contains("is no bitstream for an iCE40UP5K");
    flash(&["--bitstream", &other]).failure().stderr(refused);
    flash(&[&other]).code(2).stderr(predicate::str::contains("is no ELF file"));
    flash(&["--bitstream", kept, "--save"]).code(2).stderr(predicate::str::contains("probe-rs"));
    assert!(bench.calls().is_empty());
}
