//! Emits the boards' cores, Verilates them and compiles the C++, kept by a hash like the component's
//! own models.

#[path = "../verilator-tb/build/cache.rs"]
mod cache;
// The component's build uses more of it.
#[allow(dead_code)]
#[path = "../verilator-tb/build/tools.rs"]
mod tools;

use cache::{Cache, Key};
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
    let mut key = Key::default();
    key.add(&tools.verilator_version()?).add(&tools.compiler_version()?);
    key.add(&VERILATE.join(" ")).add(&shim).add(&verilog);
    let folder = Cache::new(&tools.cache, &out).get("ulx3s", &key, |folder| {
        let source = folder.join("top.v");
        std::fs::write(&source, &verilog)?;
        tools.verilate(VERILATE, "top", "ulx3s", folder, [source])?;
        let mut cpp = tools.cpp(3);
        cpp.include(folder).file("cpp/board.cpp").files(with_extension(folder, "cpp")?);
        for file in ["verilated.cpp", "verilated_threads.cpp"] {
            cpp.file(tools.verilator.join("include").join(file));
        }
        compile(cpp, "ulx3s", folder)
    })?;
    // Cargo gets its own copy: the cache may drop this version.
    std::fs::copy(folder.join("libsplitmem_ulx3s.a"), out.join("libsplitmem_ulx3s.a"))?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static=splitmem_ulx3s");
    for library in ["pthread", "stdc++"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}
