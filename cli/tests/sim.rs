//! `splitmem sim` as people run it, on the golden model.

mod common;

use std::collections::HashMap;
use std::time::Duration;

use common::{json, names, splitmem, text, Files};
use flate2::{write::GzEncoder, Compression};
use predicates::prelude::*;
use predicates::str::contains;

/// When a run that should have failed at its beginning counts as one that does not end.
const ENDLESS: Duration = Duration::from_secs(20);
const MODEL: [&str; 2] = ["--backend", "model"];

#[test]
fn words_are_counted_in_the_component() {
    let files = Files::new();
    let text = text(5000, 1);
    let path = files.write("text", &text);
    let result = json(splitmem(&["sim", "wordcount", &path]).args(MODEL));
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    assert_eq!(result["completed"], true);
    assert_eq!(result["checked"], true);
    assert_eq!(result["words"], 5000);
    assert_eq!(result["distinct_words"], counts.len());
    assert_eq!(result["top_word_count"].as_u64(), counts.values().max().copied());
    // A quarter of the data fits in the cache: pages must have come and gone.
    assert!(result["page_fetches"].as_u64() > Some(0), "{result:?}");
    assert!(result["write_backs"].as_u64() > Some(0), "{result:?}");
    assert!(result["component_reads"].as_u64() >= result["page_fetches"].as_u64().map(|n| 64 * n));
}

#[test]
fn texts_may_be_compressed_or_come_from_the_standard_input() {
    let files = Files::new();
    let text = text(300, 2);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut gzip, text.as_bytes()).expect("memory");
    let path = files.write("text.gz", gzip.finish().expect("memory"));
    let zipped = json(splitmem(&["sim", "wordcount", &path]).args(MODEL));
    let piped = json(splitmem(&["sim", "wordcount", "-"]).args(MODEL).write_stdin(text));
    for key in ["words", "distinct_words", "top_word", "top_word_count"] {
        assert_eq!(zipped[key], piped[key], "{key}");
    }
    assert_eq!(zipped["words"], 300);
}

#[test]
fn lines_are_sorted_in_the_component() {
    let files = Files::new();
    let path = files.write("text", text(4000, 3));
    let result = json(splitmem(&["sim", "sort", &path, "--run-size", "512"]).args(MODEL));
    assert_eq!(result["checked"], true);
    assert_eq!(result["lines"], 445);
    assert!(result["merge_passes"].as_u64() >= Some(2), "{result:?}");
}

#[test]
fn nodes_are_ranked_in_the_component() {
    let files = Files::new();
    let edges: String =
        (1..2000u64).map(|i| format!("{} {}\n", i * 7919 % 500, i * i % 500)).collect();
    let path = files.write("edges", edges);
    let result = json(splitmem(&["sim", "pagerank", &path, "--iterations", "3"]).args(MODEL));
    assert_eq!(result["checked"], true);
    assert_eq!(result["edges"], 1999);
    assert!((result["rank_sum"].as_f64().expect("a number") - 1.0).abs() < 1e-9);
}

#[test]
fn every_mix_is_served_under_every_policy() {
    let policies: [&[&str]; 6] = [
        &["--replacement", "fifo", "--eviction", "set-list"],
        &["--replacement", "lru", "--eviction", "write-protect", "--prefetch", "sequential:4"],
        &["--replacement", "random", "--eviction", "victim:4", "--prefetch", "trend"],
        &["--no-zero-fill", "--dirty", "line", "--prefetch", "stride", "--ways", "4"],
        &["--cache", "vcache"],
        &["--cache", "none"],
    ];
    for (mix, policy) in ["a", "B", "c", "d", "e", "f"].into_iter().zip(policies) {
        let words = ["sim", "kv", "--mix", mix, "--records", "200", "--requests", "300"];
        let result = json(splitmem(&words).args(["--excache", "10%"]).args(policy).args(MODEL));
        assert_eq!(result["checked"], true, "{mix}");
        let ops = ["reads", "updates", "inserts", "scans", "read_modify_writes"];
        let sum: u64 = ops.iter().filter_map(|key| result[*key].as_u64()).sum();
        assert_eq!(sum, 300, "{mix}: {result:?}");
    }
}

#[test]
fn a_larger_cache_misses_less() {
    let files = Files::new();
    let path = files.write("text", text(5000, 4));
    let misses = |size| {
        let mut command = splitmem(&["sim", "wordcount", &path, "--excache", size]);
        json(command.args(MODEL))["cache_misses"].as_u64().expect("a count")
    };
    let [small, large] = [misses("32KiB"), misses("100%")];
    assert!(small > 2 * large, "{small} misses with 32 KiB, {large} with room for all");
}

#[test]
fn a_report_is_one_whole_page() {
    let files = Files::new();
    let path = files.write("text", text(3000, 5));
    let folder = files.path("new/report");
    let report = folder.to_str().expect("UTF-8");
    let result = json(splitmem(&["sim", "wordcount", &path, "--report", report]).args(MODEL));
    assert_eq!(names(&folder), ["sim-wordcount.html"]);
    assert_eq!(result["report"].as_str(), folder.join("sim-wordcount.html").to_str());
    let html = std::fs::read_to_string(folder.join("sim-wordcount.html")).expect("the report");
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&html, options).expect("well-formed");
    let tagged = |tag| page.descendants().filter(move |n| n.tag_name().name() == tag);
    assert!(tagged("svg").count() >= 1, "no plot");
    let headings: Vec<_> = tagged("h2").filter_map(|h| h.text()).collect();
    assert!(headings.contains(&"Hit ratio over time"), "{headings:?}");
}

#[test]
fn wrong_words_are_usage_errors() {
    for (words, message) in [
        (&["--excache", "lots"][..], "a size like 64KiB"),
        (&["--excache", "0"], "more than zero"),
        (&["--excache", "120%"], "at most 100%"),
        (&["--memory", "25%"], "needs bytes"),
        (&["--replacement", "lifo"], "fifo, lru or random"),
        (&["--eviction", "victim:0"], "victim:PAGES"),
        (&["--prefetch", "psychic"], "sequential, stride or trend"),
        (&["--hw", "huge"], "large, small, or the path of a .toml file"),
        (&["--dram", "ddr9"], "ddr4-2400"),
        (&["--mix", "g"], "possible values"),
        (&["--trace", "x.fst"], "--backend rtl"),
    ] {
        let mut command = splitmem(&["sim", "kv", "--records", "10", "--requests", "10"]);
        let assert = command.args(MODEL).args(words).assert();
        assert.code(2).stdout("").stderr(contains(message));
    }
    splitmem(&["sim"]).assert().code(2);
    splitmem(&["sim", "pagerank", "x", "--damping", "2"]).assert().code(2);
}

#[test]
fn bad_files_fail_without_a_report() {
    let files = Files::new();
    let folder = files.path("report");
    let report = folder.to_str().expect("UTF-8");
    let bad_edge = files.write("edges", "# graph\n1 2\n3 four\n");
    let empty = files.write("empty", "");
    let cut = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut gzip, text(500, 6).as_bytes()).expect("memory");
        let whole = gzip.finish().expect("memory");
        files.write("cut.gz", &whole[..whole.len() / 2])
    };
    for (words, message) in [
        (["wordcount", "/no/such/file"], "cannot read /no/such/file: No such file"),
        (["wordcount", "/"], "cannot read /: "),
        (["sort", &cut], "cut.gz: "),
        (["wordcount", &empty], "nothing to work on"),
        (["pagerank", &bad_edge], "edges: line 3: expected two node numbers"),
    ] {
        let mut command = splitmem(&["sim"]);
        let assert = command.args(words).args(MODEL).args(["--report", report]).assert();
        assert.code(1).stdout("").stderr(contains(message));
        assert_eq!(names(&folder), Vec::<String>::new(), "{words:?}");
    }
}

#[test]
fn a_report_folder_that_cannot_be_made_is_known_before_the_run() {
    let files = Files::new();
    let file = files.write("file", "");
    let mut command = splitmem(&["sim", "kv", "--requests", "1000000000000"]);
    let assert =
        command.timeout(ENDLESS).args(MODEL).args(["--report", &format!("{file}/report")]).assert();
    assert.code(1).stderr(contains("cannot write"));
}

#[test]
fn bad_hardware_files_are_explained() {
    let files = Files::new();
    let good = "tlb_sets = 64\ntlb_ways = 2\nwalk_entries = 4\nport_slots = 4\nfree_4k = 64\n\
                free_2m = 4\nzero_queue = 4\nevent_log = 16\npa_bits = 28\ndram_data_bits = 512\n\
                check_permissions = true\nstatistics = true\n";
    let run = |name: &str, toml: &str| {
        let path = files.write(name, toml);
        let mut command = splitmem(&["sim", "kv", "--records", "50", "--requests", "50"]);
        command.args(MODEL).args(["--hw", &path, "--memory", "32MiB"]).assert()
    };
    run("good.toml", good).success();
    for (name, toml, message) in [
        ("key.toml", format!("{good}tlb_size = 3\n"), "tlb_size"),
        ("type.toml", good.replace("tlb_sets = 64", "tlb_sets = \"many\""), "tlb_sets"),
        ("range.toml", good.replace("tlb_sets = 64", "tlb_sets = 48"), "a power of two"),
        ("missing.toml", good.replace("pa_bits = 28\n", ""), "pa_bits"),
        ("syntax.toml", "tlb_sets = [".to_owned(), "line 1"),
    ] {
        let named = contains(name).and(contains(message));
        run(name, &toml).code(1).stdout("").stderr(named);
    }
    // Known before the run: with so many requests that would not end.
    let words = ["sim", "kv", "--hw", "/no/such.toml", "--requests", "1000000000000"];
    let mut command = splitmem(&words);
    command
        .timeout(ENDLESS)
        .args(MODEL)
        .assert()
        .code(1)
        .stderr(contains("cannot read /no/such.toml"));
}

#[test]
fn a_full_component_says_what_to_do() {
    let words = ["sim", "kv", "--records", "20000", "--requests", "10", "--memory", "8MiB"];
    let mut command = splitmem(&words);
    command.args(MODEL).assert().code(1).stdout("").stderr(contains("--memory"));
}
