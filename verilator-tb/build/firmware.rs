//! The memory monitor's firmware, compiled for the soft core.

use crate::tools::Tools;
use std::collections::HashMap;
use std::error::Error;
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
        // Paths in the ELF, which the logs show, are the same wherever it was built.
        let mut flags = format!("--remap-path-prefix={}=.", workspace.display());
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
        if let Some(home) = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home) {
            flags.push_str(&format!(" --remap-path-prefix={}=cargo", home.display()));
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
