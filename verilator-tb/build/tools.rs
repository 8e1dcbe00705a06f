//! Where Verilator is, and how its C++ is compiled.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How Verilog that RustHDL emitted is Verilated.
pub const VERILATE: &[&str] = &[
    "--cc",
    "-O3",
    // RustHDL emits one process a block: defaults first, then a tree of conditions, reset last. Split
    // up by signal, each signal would walk that tree again: 30 % slower. Kept whole, some processes
    // read what they cause, and Verilator evaluates those until nothing changes any more.
    "-fno-split",
    "-Wno-UNOPTFLAT",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
    "--no-timing",
    // The emitted Verilog has its own lint (make lint); RustHDL's style is not to be told again here.
    "-Wno-lint",
    "-Wno-style",
];

/// The installed tools.
pub struct Tools {
    /// Verilator's own root: `bin` and `include`.
    pub verilator: PathBuf,
    /// Where pinned Python packages are.
    pub site_packages: PathBuf,
    /// The folder of all tools.
    pub root: PathBuf,
    /// Where compiled models are kept.
    pub cache: PathBuf,
}

impl Tools {
    /// In `$SPLITMEM_TOOLS`, by default `.tools` in the workspace.
    pub fn find() -> Result<Self, Box<dyn Error>> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = manifest.parent().unwrap_or(manifest);
        let root = match std::env::var_os("SPLITMEM_TOOLS") {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder),
            _ => workspace.join(".tools"),
        };
        let verilator = Self::verilator_in(&root).ok_or_else(|| {
            format!(
                "Verilator is not installed in {}.\n       Run scripts/setup.sh (it installs all \
                 that building and simulating need), or set SPLITMEM_TOOLS to where it did.",
                root.join("venv").display()
            )
        })?;
        let site_packages = verilator.parent().unwrap_or(&root).to_owned();
        Ok(Self { verilator, site_packages, cache: root.join("cache/verilated"), root })
    }

    fn verilator_in(root: &Path) -> Option<PathBuf> {
        let pythons = std::fs::read_dir(root.join("venv/lib")).ok()?;
        let mut found: Vec<_> = pythons
            .flatten()
            .map(|python| python.path().join("site-packages/verilator"))
            .filter(|folder| folder.join("bin/verilator_bin").is_file())
            .collect();
        found.sort();
        found.pop()
    }

    /// What `verilator --version` says.
    pub fn verilator_version(&self) -> Result<String, Box<dyn Error>> {
        run(Command::new(self.verilator.join("bin/verilator"))
            .env("VERILATOR_ROOT", &self.verilator)
            .arg("--version"))
    }

    /// Verilates module `top` of the sources to class `V{name}` in `folder`.
    pub fn verilate(
        &self,
        options: &[&str],
        top: &str,
        name: &str,
        folder: &Path,
        sources: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
    ) -> Result<(), Box<dyn Error>> {
        run(Command::new(self.verilator.join("bin/verilator"))
            .env("VERILATOR_ROOT", &self.verilator)
            .args(options)
            .args(["--top-module", top, "--prefix", &format!("V{name}"), "--Mdir"])
            .arg(folder)
            .args(sources))
        .map(drop)
    }

    /// What the C++ compiler says of itself.
    pub fn compiler_version(&self) -> Result<String, Box<dyn Error>> {
        let version = run(self.cpp(0).try_get_compiler()?.to_command().arg("--version"))?;
        Ok(format!("{version} {:?}", Self::processor()))
    }

    /// What the models may use of the processor that they are built on, and will run on: AVX2 copies
    /// the wide signals in half as many steps.
    fn processor() -> Option<&'static str> {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("bmi2")
            && std::is_x86_feature_detected!("fma")
            && std::is_x86_feature_detected!("f16c")
            && std::is_x86_feature_detected!("lzcnt")
            && std::is_x86_feature_detected!("movbe")
        {
            return Some("-march=x86-64-v3");
        }
        None
    }

    /// A C++ build against Verilator's headers, optimised at `level` whatever cargo's profile is:
    /// an unoptimised model would be useless.
    pub fn cpp(&self, level: u32) -> cc::Build {
        let include = self.verilator.join("include");
        let mut build = cc::Build::new();
        if let Some(flag) = Self::processor() {
            build.flag(flag);
        }
        build
            .cpp(true)
            .std("c++17")
            .opt_level(level)
            .debug(false)
            .warnings(false)
            .cargo_metadata(false)
            .define("VL_TIME_CONTEXT", None)
            .include(include.join("vltstd"))
            .include(include.join("fstcpp"))
            .include(include);
        build
    }
}

/// The files in a folder that end so, in a fixed order.
pub fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Compiles to `libsplitmem_{name}.a`.
pub fn compile(mut cpp: cc::Build, name: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let library = format!("splitmem_{name}");
    cpp.out_dir(folder)
        .try_compile(&library)
        .map_err(|error| format!("cannot compile the Verilated C++ of '{name}': {error}").into())
}

/// Runs a program and returns what it wrote.
pub fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} failed ({}):\n{errors}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
