//! Emits the component's Verilog, Verilates it and compiles the C++.
//!
//! Each configuration becomes two models: one without tracing, at full speed (see [`split`] and
//! [`train`]), and one that can write FST. Everything built is kept by a hash of what went into it, in the folder of
//! the tools: a second cargo profile, another checkout, `cargo clean` or an edit that leaves the
//! Verilog as it was cost no second build.

mod cache;
mod firmware;
#[path = "../src/hw.rs"]
#[allow(dead_code)]
mod hw;
mod soc;
mod split;
mod tools;
mod train;

use cache::{Cache, Key};
use hw::Hw;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tools::{compile, with_extension, Tools, VERILATE};

/// Changes when the way of building changes.
const RECIPE: &str = "2";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-changed=src/hw.rs");
    println!("cargo::rerun-if-env-changed=SPLITMEM_TOOLS");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let tools = Tools::find()?;
    let cache = Cache::new(&tools.cache, &out);

    let mut base = Key::default();
    base.add(RECIPE).add(&tools.verilator_version()?).add(&tools.compiler_version()?);

    let runtime = cache.get("runtime", &base, |folder| {
        let mut cpp = tools.cpp(3);
        for file in ["verilated.cpp", "verilated_threads.cpp", "verilated_fst_c.cpp"] {
            cpp.file(tools.verilator.join("include").join(file));
        }
        compile(cpp, "runtime", folder)
    })?;
    let mut models = Vec::new();
    for hw in Hw::ALL {
        hw.config().check()?;
        let verilog = splitmem_hdl::emit(&hw.config());
        for traced in [false, true] {
            models.push(model(&tools, &cache, &base, hw, &verilog, traced, &runtime)?);
        }
    }

    models.push(block(&tools, &cache, &base, "cxl_mem", &splitmem_hdl::cxl::emit())?);
    models.push(block(&tools, &cache, &base, "cxl_link", &splitmem_hdl::cxl::link::emit())?);
    models.push(block(&tools, &cache, &base, "pcie_plain", &splitmem_hdl::pcie::emit_plain())?);
    models.push(block(&tools, &cache, &base, "spi_bridge", &splitmem_hdl::spi::emit())?);

    // The shim is compiled against the models' headers, so that their keys are part of its own.
    let names = ["shim", "cxl", "cxl_link", "pcie", "spi"];
    let sources = names.map(|name| format!("cpp/{name}.cpp"));
    let headers: Vec<_> =
        names.iter().chain(&["model", "split"]).map(|name| format!("cpp/{name}.h")).collect();
    let mut key = base.clone();
    for file in headers.iter().chain(&sources) {
        key.add(&std::fs::read_to_string(file)?);
    }
    for model in &models {
        key.add(&model.to_string_lossy());
    }
    let shim = cache.get("shim", &key, |folder| {
        let mut cpp = tools.cpp(3);
        cpp.files(sources).include("cpp").includes(&models);
        compile(cpp, "shim", folder)
    })?;
    let soc = soc::build(&tools, &cache, &base)?;

    // A library stands before those it needs. Cargo gets its own copies: it may come back to them
    // when the cache has dropped this version.
    println!("cargo::rustc-link-search=native={}", out.display());
    for folder in std::iter::once(&shim).chain(&models).chain([&soc, &runtime]) {
        for library in with_extension(folder, "a")? {
            let file = library.file_name().unwrap_or_default();
            std::fs::copy(&library, out.join(file))?;
            let name = file.to_string_lossy();
            let name = name.trim_start_matches("lib").trim_end_matches(".a");
            println!("cargo::rustc-link-lib=static={name}");
        }
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.parent().unwrap_or(manifest);
    firmware::build(&tools, workspace, &out)?;
    for library in ["z", "lz4", "pthread", "stdc++"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}

/// Verilates and compiles one model; the folder has its headers and its library.
fn model(
    tools: &Tools,
    cache: &Cache,
    base: &Key,
    hw: Hw,
    verilog: &str,
    traced: bool,
    runtime: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    if !traced {
        return split_model(tools, cache, base, hw, verilog, runtime);
    }
    let name = format!("{}_traced", hw.name());
    // Traces are for looking, not for speed: a lower level halves the longest compilation.
    let level = 1;
    let mut key = base.clone();
    key.add(&VERILATE.join(" ")).add(&level.to_string()).add(&name).add(verilog);
    cache.get(&name, &key, |folder| {
        let source = folder.join("top.v");
        std::fs::write(&source, verilog)?;
        let options = [VERILATE, &["--trace-fst"]].concat();
        tools.verilate(&options, "top", &name, folder, [source])?;
        let mut cpp = tools.cpp(level);
        cpp.include(folder).files(with_extension(folder, "cpp")?);
        compile(cpp, &name, folder)
    })
}

/// Verilates and compiles a component in its two parts.
fn split_model(
    tools: &Tools,
    cache: &Cache,
    base: &Key,
    hw: Hw,
    verilog: &str,
    runtime: &Path,
) -> Result<PathBuf, Box<dyn Error>> {
    let name = hw.name();
    // The training load's memory takes whole lines.
    let trained = hw.config().dram_data_bits == 512;
    let split = split::split(verilog, split::CUTS)?;
    let mut key = base.clone();
    key.add(&VERILATE.join(" ")).add(name).add(&split.busy).add(&split.resting).add(&split.join);
    key.add(split::HEADER).add(&std::fs::read_to_string("cpp/split.h")?);
    if trained {
        key.add(&std::fs::read_to_string("cpp/train.cpp")?).add(&train::header()?);
    }
    cache.get(name, &key, |folder| {
        let resting = format!("{name}_resting");
        let parts = [("top", name, &split.busy), ("resting", &resting, &split.resting)];
        for (top, class, text) in parts {
            let source = folder.join(format!("{top}.v"));
            std::fs::write(&source, text)?;
            tools.verilate(VERILATE, top, class, folder, [source])?;
        }
        let mut verilated = String::new();
        for file in with_extension(folder, "cpp")? {
            verilated += &std::fs::read_to_string(file)?;
        }
        let simple = parts.map(|(_, class, _)| {
            split::waits_for_its_clock_alone(&format!("V{class}"), &verilated)
        });
        let header = split::header(name, &split.join, simple);
        std::fs::write(folder.join(format!("{name}_split.h")), header)?;
        std::fs::write(folder.join("split.cpp"), split::source(name))?;
        let mut cpp = tools.cpp(3);
        cpp.include(folder).include("cpp");
        let sources = with_extension(folder, "cpp")?;
        match trained.then(|| train::compile(tools, name, &sources, runtime, folder)).transpose()? {
            Some(Some(object)) => cpp.object(object),
            _ => cpp.files(sources),
        };
        compile(cpp, name, folder)
    })
}

/// Verilates and compiles a block that stands beside the component, of one configuration and without
/// tracing: module `name`.
fn block(
    tools: &Tools,
    cache: &Cache,
    base: &Key,
    name: &str,
    verilog: &str,
) -> Result<PathBuf, Box<dyn Error>> {
    let mut key = base.clone();
    key.add(&VERILATE.join(" ")).add(name).add(verilog);
    cache.get(name, &key, |folder| {
        let source = folder.join(format!("{name}.v"));
        std::fs::write(&source, verilog)?;
        tools.verilate(VERILATE, name, name, folder, [source])?;
        let mut cpp = tools.cpp(3);
        cpp.include(folder).files(with_extension(folder, "cpp")?);
        compile(cpp, name, folder)
    })
}
