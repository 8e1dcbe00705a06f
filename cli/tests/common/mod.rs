//! What the tests of the command line share.
#![allow(dead_code)] // each test program uses a part of it

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Map, Value};
use tempfile::TempDir;

/// `splitmem` with these words of a command line.
pub fn splitmem(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("splitmem").expect("the program is built with its tests");
    command.args(words);
    command
}

/// Runs a command that must succeed and gives its flat JSON object.
pub fn json(command: &mut Command) -> Map<String, Value> {
    let output = command.arg("--json").assert().success().get_output().stdout.clone();
    flat(&output)
}

/// The flat object in an output.
pub fn flat(output: &[u8]) -> Map<String, Value> {
    let Value::Object(object) = serde_json::from_slice(output).expect("one JSON object") else {
        panic!("not an object: {}", String::from_utf8_lossy(output));
    };
    for (key, value) in &object {
        assert!(!value.is_object() && !value.is_array(), "{key} is not flat");
    }
    object
}

/// A folder of files for one test.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Writes a file; gives its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, contents).expect("a file is written");
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Names of what is in a folder; none if there is no such folder.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect()
}

/// Some text, the same for a seed, with a few frequent words.
pub fn text(words: u64, seed: u64) -> String {
    let mut state = seed;
    let mut text = String::new();
    for i in 0..words {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (state >> 33) % 1000;
        text += &format!("w{}", word * word / 1000);
        text.push(if i % 9 == 8 { '\n' } else { ' ' });
    }
    text
}
