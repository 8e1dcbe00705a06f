//! The soft core: its Verilog and the black box, Verilated to a model of its own.

use crate::cache::{Cache, Key};
use crate::tools::{compile, with_extension, Tools};
use splitmem_abi::soc::SocConfig;
use splitmem_hdl::soc::sources::{packages, ram_name, DEFINES};
use splitmem_hdl::soc::{emit, SOURCES};
use std::error::Error;
use std::path::PathBuf;

const VERILATE: &[&str] = &[
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-assert",
    "--no-timing",
    // Third-party sources: their style is not ours to be told.
    "-Wno-fatal",
    "-Wno-lint",
    "-Wno-style",
    "-Wno-UNOPTFLAT",
];

/// The folder with the model's library, shim included.
pub fn build(tools: &Tools, cache: &Cache, base: &Key) -> Result<PathBuf, Box<dyn Error>> {
    let found = packages(&tools.site_packages).ok_or_else(|| {
        format!(
            "the soft core is not installed in {}.\n       Run scripts/setup.sh sim soc (or make setup).",
            tools.site_packages.display()
        )
    })?;
    let verilog = emit(&SocConfig::DEFAULT);
    let shim = ["cpp/model.h", "cpp/soc.h", "cpp/soc.cpp"];
    let mut key = base.clone();
    key.add(&VERILATE.join(" ")).add(&verilog);
    for (_, text) in SOURCES {
        key.add(text);
    }
    for file in shim {
        key.add(&std::fs::read_to_string(file)?);
    }
    // A pinned package of another version has other files.
    for file in &found.files {
        key.add(&std::fs::read_to_string(file)?);
    }
    cache.get("soc", &key, |folder| {
        let mut files = found.files.clone();
        for (name, text) in SOURCES.into_iter().chain([("top.v", verilog.as_str())]) {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            files.push(path);
        }
        let defines = DEFINES.map(|name| format!("-D{name}"));
        let includes = found.includes.iter().map(|folder| format!("-I{}", folder.display()));
        let flags: Vec<String> = defines.into_iter().chain(includes).collect();
        let options: Vec<&str> =
            VERILATE.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        tools.verilate(&options, "top", "soc", folder, &files)?;
        let mut cpp = tools.cpp(3);
        // Ibex's packages have large constants that the C++ keeps in files of their own.
        cpp.include(folder).include("cpp").file("cpp/soc.cpp");
        cpp.files(with_extension(folder, "cpp")?);
        let header = std::fs::read_to_string(folder.join("Vsoc___024root.h"))?;
        let ram =
            ram_name(&header).ok_or("the soft core's memory is not in the Verilated model")?;
        cpp.define("SOC_RAM", Some(ram));
        compile(cpp, "soc", folder)
    })
}
