//! Emits the boards' cores, Verilates them and compiles the C++, kept by a hash like the component's
//! own models.

#[path = "../verilator-tb/build/cache.rs"]
mod cache;
// The component's build uses more of it.
#[allow(dead_code)]
#[path = "../verilator-tb/build/tools.rs"]
mod tools;

use cache::{Cache, Key};
use splitmem_hdl::soc::sources::{packages, ram_name, DEFINES};
use splitmem_hdl::soc::SOURCES;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tools::{compile, with_extension, Tools, VERILATE};

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
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-changed=../verilator-tb/build");
    println!("cargo::rerun-if-env-changed=SPLITMEM_TOOLS");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let tools = Tools::find()?;
    let verilog = splitmem_hdl::board::ulx3s::core(0);
    let shim = std::fs::read_to_string("cpp/board.cpp")?;
    let core = packages(&tools.site_packages).ok_or_else(|| {
        format!(
            "the soft core is not installed in {}.\n       Run scripts/setup.sh sim soc (or make setup).",
            tools.site_packages.display()
        )
    })?;
    let mut base = Key::default();
    base.add(&tools.verilator_version()?).add(&tools.compiler_version()?).add(&VERILATE.join(" "));
    let mut key = base.clone();
    key.add(&shim).add(&verilog);
    for (_, text) in SOURCES {
        key.add(text);
    }
    for file in &core.files {
        key.add(&std::fs::read_to_string(file)?);
    }
    let cache = Cache::new(&tools.cache, &out);
    let board = cache.get("ulx3s", &key, |folder| {
        let mut files = core.files.clone();
        for (name, text) in SOURCES.into_iter().chain([("top.v", verilog.as_str())]) {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            files.push(path);
        }
        let defines = DEFINES.map(|name| format!("-D{name}"));
        let includes = core.includes.iter().map(|folder| format!("-I{}", folder.display()));
        // The core's sources are others': their style is not ours to be told.
        let flags: Vec<String> =
            defines.into_iter().chain(includes).chain(["-Wno-fatal".to_owned()]).collect();
        let options: Vec<&str> =
            VERILATE.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        tools.verilate(&options, "top", "ulx3s", folder, &files)?;
        let header = std::fs::read_to_string(folder.join("Vulx3s___024root.h"))?;
        let ram =
            ram_name(&header).ok_or("the soft core's memory is not in the Verilated board")?;
        let mut cpp = tools.cpp(3);
        cpp.include(folder).file("cpp/board.cpp").files(with_extension(folder, "cpp")?);
        cpp.define("SOC_RAM", Some(ram));
        for file in ["verilated.cpp", "verilated_threads.cpp"] {
            cpp.file(tools.verilator.join("include").join(file));
        }
        compile(cpp, "ulx3s", folder)
    })?;
    let verilog = splitmem_hdl::board::ulx3s::memory();
    let shim = std::fs::read_to_string("cpp/memory.cpp")?;
    let mut key = base;
    key.add(&shim).add(&verilog);
    let memory = cache.get("sdram", &key, |folder| {
        let source = folder.join("top.v");
        std::fs::write(&source, &verilog)?;
        tools.verilate(VERILATE, "top", "sdram", folder, [source])?;
        let mut cpp = tools.cpp(3);
        cpp.include(folder).file("cpp/memory.cpp").files(with_extension(folder, "cpp")?);
        compile(cpp, "sdram", folder)
    })?;
    // The board's library has Verilator's own code, which both need: it stands last. Cargo gets its own
    // copies: the cache may drop this version.
    for (folder, name) in [(&memory, "sdram"), (&board, "ulx3s")] {
        let library = format!("libsplitmem_{name}.a");
        std::fs::copy(folder.join(&library), out.join(&library))?;
        println!("cargo::rustc-link-lib=static=splitmem_{name}");
    }
    println!("cargo::rustc-link-search=native={}", out.display());
    for library in ["pthread", "stdc++"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}
