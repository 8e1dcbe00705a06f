//! `splitmem calibrate` as people run it, on a few requests.

mod common;

use common::*;
use predicates::prelude::*;

#[test]
fn the_small_component_is_fitted_and_its_profile_can_be_used() {
    let files = Files::new();
    let profile = files.path("small.toml");
    let mut command = splitmem(&["calibrate", "--config", "small", "--bytes", "64KiB"]);
    command.args(["--requests", "512", "--loads", "1,4,16", "-o"]).arg(&profile);
    let figures = json(&mut command);
    let number = |key: &str| figures[key].as_f64().unwrap_or(f64::NAN);
    // A page is 64 lines, and more at a time take no less.
    assert!(number("page_1_ns") > number("line_1_ns"), "{figures:?}");
    assert!(number("page_16_ns") > 4.0 * number("page_1_ns"), "{figures:?}");
    assert!(number("line_16_ns") >= number("line_1_ns"), "{figures:?}");
    // A component of this kind is not far from the model of one.
    assert!(number("fit_mean_error") < 30.0, "{figures:?}");
    let text = std::fs::read_to_string(&profile).unwrap();
    assert!(text.contains("name = \"rtl-small-ddr4-2400\"") && text.contains("source"), "{text}");
    // The same simulation gives the same profile.
    let again = files.path("again.toml");
    let mut command = splitmem(&["calibrate", "--config", "small", "--bytes", "64KiB"]);
    command.args(["--requests", "512", "--loads", "1,4,16", "-o"]).arg(&again);
    assert_eq!(json(&mut command)["line_1_ns"], figures["line_1_ns"]);
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
    let mut bench = splitmem(&["bench-kernel", "--explicit", "--bytes", "1MiB", "--local"]);
    bench.args(["256KiB", "--seconds", "0.01", "--profile"]).arg(&profile);
    let delayed = flat(&bench.assert().success().get_output().stdout);
    let (asked, took) = (&delayed["delay_modelled_ns"], &delayed["delay_achieved_ns"]);
    assert!(asked.as_f64() > Some(0.0) && took.as_f64() >= asked.as_f64(), "{delayed:?}");
}

#[test]
fn wrong_usage_is_told() {
    for (words, message) in [
        (["--loads", "0"], "--loads"),
        (["--bytes", "5000"], "--bytes"),
        (["--requests", "1"], "--requests"),
    ] {
        splitmem(&["calibrate"])
            .args(words)
            .assert()
            .code(2)
            .stderr(predicate::str::contains(message));
    }
}
