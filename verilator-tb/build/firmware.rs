//! The memory monitor's firmware, compiled for the soft core.

use crate::tools::Tools;
use fnv::FnvHasher;
use std::collections::HashMap;
use std::error::Error;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "riscv32imc-unknown-none-elf";

/// How much is kept apart in the firmware: a feature of it each.
const ISOLATIONS: [&str; 3] = ["none", "guards", "full"];

/// Compiles the firmware in `workspace`, once for each kind of isolation, and tells the crate where
/// the ELF files are and which one is the firmware's own choice.
pub fn build(tools: &Tools, workspace: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let package = workspace.join("mcomponent-firmware/softcore");
    for folder in ["mcomponent-firmware/src", "mcomponent-firmware/Cargo.toml", "abi"] {
        println!("cargo::rerun-if-changed={}", workspace.join(folder).display());
    }
    println!("cargo::rerun-if-changed={}", package.display());
    let toolchain = toolchain(tools)?;
    let value = |key: &str| toolchain.get(key).map(String::as_str);
    let missing = || "the firmware's toolchain file is not whole; run scripts/setup.sh soc";

    // Beside the folders of cargo's profiles, so that they share it: OUT_DIR is
    // target/PROFILE/build/PACKAGE/out.
    let target_folder = out.ancestors().nth(4).unwrap_or(out).join("firmware");
    for isolation in ISOLATIONS {
        let mut cargo = Command::new(value("cargo").ok_or_else(missing)?);
        // What the outer cargo (or clippy) told this build script is not meant for the firmware.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let ours =
                ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY"].contains(&name.as_ref());
            if (name.starts_with("CARGO") && !ours)
                || name.starts_with("RUST") && name != "RUSTUP_HOME"
            {
                cargo.env_remove(name.as_ref());
            }
        }
        cargo.env("RUSTC", value("rustc").ok_or_else(missing)?).env("DEFMT_LOG", "debug");
        let upper = TARGET.to_uppercase().replace('-', "_");
        // Paths in the ELF, which the logs and panics show, do not tell where it was built.
        let mut flags = format!("--remap-path-prefix={}=.", workspace.display());
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
        if let Some(home) = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home) {
            flags.push_str(&format!(" --remap-path-prefix={}=cargo", home.display()));
            // Nor from which registry: the folder of its crates has a name of its own for each. Of
            // several that fit, the last holds.
            for registry in std::fs::read_dir(home.join("registry/src")).into_iter().flatten() {
                let folder = registry?.path();
                flags.push_str(&format!(" --remap-path-prefix={}=crates", folder.display()));
            }
        }
        if let Some(sysroot) = value(&format!("sysroot.{TARGET}")) {
            flags.push_str(&format!(" --sysroot={sysroot}"));
        }
        if let Some(linker) = value(&format!("linker.{TARGET}")) {
            cargo.env(format!("CARGO_TARGET_{upper}_LINKER"), linker);
        }
        cargo.env(format!("CARGO_TARGET_{upper}_RUSTFLAGS"), flags);
        cargo.args(["build", "--release", "--locked", "--quiet", "--target", TARGET]);
        cargo.args(["--features", &format!("isolation-{isolation}")]);
        cargo.arg("--target-dir").arg(&target_folder).current_dir(&package);
        crate::tools::run(&mut cargo)?;
        let elf = out.join(format!("splitmem-softcore-{isolation}.elf"));
        std::fs::copy(target_folder.join(TARGET).join("release/splitmem-softcore"), &elf)?;
        let name = format!("SPLITMEM_FIRMWARE_{}", isolation.to_uppercase());
        println!("cargo::rustc-env={name}={}", elf.display());
    }
    println!("cargo::rustc-env=SPLITMEM_FIRMWARE_SOURCES={:016x}", sources(workspace)?);
    let version = value("version").ok_or_else(missing)?;
    println!("cargo::rustc-env=SPLITMEM_FIRMWARE_COMPILER={version}");
    let chosen = chosen(&package.join("isolation.toml"))?;
    println!("cargo::rustc-env=SPLITMEM_FIRMWARE_ISOLATION={chosen}");
    Ok(())
}

/// What the firmware's own table chooses. That it is one of the three, its build has checked.
fn chosen(file: &Path) -> Result<String, Box<dyn Error>> {
    let table: toml::Table = std::fs::read_to_string(file)?.parse()?;
    let chosen = table.get("isolation").and_then(|value| value.as_str());
    Ok(chosen.ok_or("isolation.toml chooses nothing")?.to_owned())
}

/// A hash of what the firmware is compiled from: its own packages' code without comments, and the
/// versions of the others. Unlike the compiled firmware, it is the same on every machine: functions'
/// names, and so their order, depend on where a package lies.
fn sources(workspace: &Path) -> Result<u64, Box<dyn Error>> {
    let mut files = Vec::new();
    for path in ["abi", "mcomponent-firmware/Cargo.toml", "mcomponent-firmware/src"] {
        list(&workspace.join(path), &mut files)?;
    }
    list(&workspace.join("mcomponent-firmware/softcore"), &mut files)?;
    files.sort();
    let mut hasher = FnvHasher::default();
    for path in files {
        hasher.write(path.strip_prefix(workspace)?.as_os_str().as_encoded_bytes());
        hasher.write_u8(0);
        for line in std::fs::read_to_string(&path)?.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with("//") {
                hasher.write(line.as_bytes());
                hasher.write_u8(0);
            }
        }
    }
    Ok(hasher.finish())
}

/// Code and tables at or under a path, but for what was built.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name != "target") {
                list(&path, files)?;
            }
        }
    } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "toml" || kind == "lock")
    {
        files.push(path.to_owned());
    }
    Ok(())
}

/// What `scripts/firmware-toolchain.sh` found.
fn toolchain(tools: &Tools) -> Result<HashMap<String, String>, Box<dyn Error>> {
    let file = tools.root.join("firmware/toolchain");
    println!("cargo::rerun-if-changed={}", file.display());
    let text = std::fs::read_to_string(&file).map_err(|_| {
        "there is no Rust for the firmware.\n       Run scripts/setup.sh soc (or make setup)."
    })?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}
