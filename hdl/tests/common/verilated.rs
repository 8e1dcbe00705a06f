//! An emitted block, Verilated and loaded into the test: set inputs, clock it, read outputs.
//!
//! Made once per Verilog text and kept in the target directory. Memories and undriven values start
//! random (the seed is an argument), so that nothing gets by with reading what was never written.

use splitmem_hdl::boundary::{pins, Pin};
use std::collections::hash_map::DefaultHasher;
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Words of the widest port that can be driven: 1024 bits.
const WORDS: usize = 32;

struct Port {
    index: u32,
    bits: u32,
    input: bool,
}

pub struct Verilated {
    model: *mut c_void,
    ports: HashMap<String, Port>,
    eval: unsafe extern "C" fn(*mut c_void),
    set: unsafe extern "C" fn(*mut c_void, u32, *const u32),
    get: unsafe extern "C" fn(*mut c_void, u32, *mut u32),
    delete: unsafe extern "C" fn(*mut c_void),
    // Last: the functions above live in it.
    _library: libloading::Library,
}

impl Verilated {
    /// Builds module `top` of `verilog`, unless this very text was built before.
    pub fn new(name: &str, verilog: &str, seed: u32) -> Self {
        let ports = pins(verilog);
        let mut hasher = DefaultHasher::new();
        (verilog, SHIM).hash(&mut hasher);
        let work = format!("{name}-{:016x}", hasher.finish());
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join(work);
        let library = work.join("model.so");
        {
            // Tests run side by side: one builds, the others wait.
            static BUILDING: Mutex<()> = Mutex::new(());
            let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
            if !library.exists() {
                build(&work, verilog, &ports, &library);
            }
        }
        // SAFETY: the library is the one that `build` made from SHIM; the types are SHIM's. The model
        // lives as long as `self`, which frees it before the library is closed.
        unsafe {
            let library = libloading::Library::new(&library).expect("load the Verilated model");
            let make: libloading::Symbol<unsafe extern "C" fn(u32) -> *mut c_void> =
                library.get(b"model_new").expect("model_new");
            let model = make(seed);
            let mut verilated = Self {
                model,
                eval: *library.get(b"model_eval").expect("model_eval"),
                set: *library.get(b"model_set").expect("model_set"),
                get: *library.get(b"model_get").expect("model_get"),
                delete: *library.get(b"model_delete").expect("model_delete"),
                ports: (0..)
                    .zip(ports)
                    .map(|(index, Pin { name, bits, input })| (name, Port { index, bits, input }))
                    .collect(),
                _library: library,
            };
            verilated.clear_inputs();
            verilated
        }
    }

    /// Random values are for what is inside: inputs start at zero.
    fn clear_inputs(&mut self) {
        let inputs = self.ports.iter().filter(|(_, port)| port.input);
        let inputs: Vec<_> = inputs.map(|(name, _)| name.clone()).collect();
        for name in inputs {
            self.set_words(&name, &[]);
        }
    }

    fn port(&self, name: &str) -> &Port {
        self.ports.get(name).unwrap_or_else(|| panic!("no port {name}"))
    }

    pub fn set(&mut self, name: &str, value: u64) {
        let port = self.port(name);
        assert!(port.bits >= 64 || value >> port.bits == 0, "{value:#x} does not fit {name}");
        self.set_words(name, &[value as u32, (value >> 32) as u32]);
    }

    pub fn set_line(&mut self, name: &str, line: &[u8; 64]) {
        self.set_bytes(name, line);
    }

    /// A port of any width: its bytes, the lowest first.
    pub fn set_bytes(&mut self, name: &str, bytes: &[u8]) {
        let word = |w: &[u8]| (0..).zip(w).fold(0, |word, (i, b)| word | u32::from(*b) << (8 * i));
        let words: Vec<_> = bytes.chunks(4).map(word).collect();
        self.set_words(name, &words);
    }

    fn set_words(&mut self, name: &str, words: &[u32]) {
        let mut value = [0; WORDS];
        value[..words.len()].copy_from_slice(words);
        let index = self.port(name).index;
        // SAFETY: `model` is alive, the index is a port's, and the buffer holds the widest one.
        unsafe { (self.set)(self.model, index, value.as_ptr()) }
    }

    fn get_words(&self, name: &str) -> [u32; WORDS] {
        let mut value = [0; WORDS];
        let index = self.port(name).index;
        // SAFETY: as in `set_words`.
        unsafe { (self.get)(self.model, index, value.as_mut_ptr()) }
        value
    }

    pub fn get(&self, name: &str) -> u64 {
        let words = self.get_words(name);
        words[0] as u64 | (words[1] as u64) << 32
    }

    pub fn is(&self, name: &str) -> bool {
        self.get(name) == 1
    }

    pub fn get_line(&self, name: &str) -> [u8; 64] {
        self.get_bytes(name)
    }

    pub fn get_bytes<const N: usize>(&self, name: &str) -> [u8; N] {
        let words = self.get_words(name);
        std::array::from_fn(|i| words[i / 4].to_le_bytes()[i % 4])
    }

    /// Lets the inputs reach the outputs, without a clock edge.
    pub fn settle(&mut self) {
        // SAFETY: `model` is alive.
        unsafe { (self.eval)(self.model) }
    }

    /// One rising edge of `clock`.
    pub fn tick(&mut self) {
        self.set("clock", 1);
        self.settle();
        self.set("clock", 0);
        self.settle();
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: made by `model_new`, and dropped once.
        unsafe { (self.delete)(self.model) }
    }
}

const SHIM: &str = r#"
#include "Vtop.h"
#include <cstdint>
struct Model { VerilatedContext context; Vtop* top; };
extern "C" void* model_new(uint32_t seed) {
    Model* m = new Model;
    m->context.randReset(2);
    m->context.randSeed(seed ? seed : 1);
    m->top = new Vtop(&m->context);
    return m;
}
extern "C" void model_delete(void* p) { Model* m = (Model*)p; delete m->top; delete m; }
extern "C" void model_eval(void* p) { ((Model*)p)->top->eval(); }
"#;

fn shim(ports: &[Pin]) -> String {
    let (mut set, mut get) = (String::new(), String::new());
    for (i, Pin { name, bits, .. }) in ports.iter().enumerate() {
        match bits.div_ceil(32) {
            1 => {
                let _ = writeln!(set, "case {i}: t->{name} = w[0]; break;");
                let _ = writeln!(get, "case {i}: w[0] = t->{name}; break;");
            }
            2 => {
                let _ = writeln!(set, "case {i}: t->{name} = w[0] | (uint64_t)w[1] << 32; break;");
                let _ = writeln!(
                    get,
                    "case {i}: w[0] = (uint32_t)t->{name}; w[1] = t->{name} >> 32; break;"
                );
            }
            words => {
                let copy = format!("for (int i = 0; i < {words}; i++)");
                let _ = writeln!(set, "case {i}: {copy} t->{name}[i] = w[i]; break;");
                let _ = writeln!(get, "case {i}: {copy} w[i] = t->{name}[i]; break;");
            }
        }
    }
    format!(
        "{SHIM}\nextern \"C\" void model_set(void* p, uint32_t port, const uint32_t* w) {{\n\
         Vtop* t = ((Model*)p)->top;\nswitch (port) {{\n{set}}}\n}}\n\
         extern \"C\" void model_get(void* p, uint32_t port, uint32_t* w) {{\n\
         Vtop* t = ((Model*)p)->top;\nswitch (port) {{\n{get}}}\n}}\n"
    )
}

/// Verilator's root in the Python environment that `scripts/setup.sh` makes.
fn verilator_root() -> PathBuf {
    let tools = std::env::var_os("SPLITMEM_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools"), PathBuf::from);
    let lib = tools.join("venv/lib");
    let pythons = fs::read_dir(&lib).into_iter().flatten().flatten();
    pythons
        .map(|python| python.path().join("site-packages/verilator"))
        .find(|root| root.join("bin/verilator").exists())
        .unwrap_or_else(|| panic!("no Verilator under {}: run scripts/setup.sh", lib.display()))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn build(work: &Path, verilog: &str, ports: &[Pin], library: &Path) {
    // Two test processes may build the same text at once: each works aside and moves it in place.
    let aside = work.with_extension(std::process::id().to_string());
    fs::create_dir_all(&aside).expect("make the work directory");
    fs::create_dir_all(work).expect("make the work directory");
    fs::write(aside.join("top.v"), verilog).expect("write the Verilog");
    fs::write(aside.join("shim.cpp"), shim(ports)).expect("write the shim");
    let root = verilator_root();
    run(Command::new(root.join("bin/verilator"))
        .current_dir(&aside)
        .env("VERILATOR_ROOT", &root)
        .args(["--cc", "--top-module", "top", "--prefix", "Vtop", "--Mdir", ".", "-O3"])
        .args(["--x-assign", "unique", "--x-initial", "unique"])
        .args(["-Wno-fatal", "-Wno-WIDTH", "top.v"]));
    let sources = fs::read_dir(&aside).expect("list the generated C++").flatten();
    let sources = sources
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"));
    let mut compile = compiler(&root);
    compile.current_dir(&aside).args(["-shared", "-I."]).args(sources).args(runtime(&root));
    run(compile.args(["-pthread", "-o", "model.so"]));
    fs::rename(aside.join("model.so"), library).expect("move the library in place");
    fs::remove_dir_all(&aside).expect("remove the work directory");
}

fn compiler(root: &Path) -> Command {
    let mut compile = Command::new("c++");
    compile.args(["-std=c++17", "-O1", "-w", "-fPIC", "-I"]).arg(root.join("include"));
    compile.arg("-I").arg(root.join("include/vltstd"));
    compile
}

/// Verilator's own run-time, compiled once for all blocks.
fn runtime(root: &Path) -> [PathBuf; 2] {
    ["verilated", "verilated_threads"].map(|name| {
        let mut hasher = DefaultHasher::new();
        root.hash(&mut hasher);
        let object = format!("{name}-{:016x}.o", hasher.finish());
        let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join(object);
        if !object.exists() {
            let aside = object.with_extension(std::process::id().to_string());
            let source = root.join(format!("include/{name}.cpp"));
            run(compiler(root).arg("-c").arg(source).arg("-o").arg(&aside));
            fs::rename(&aside, &object).expect("move the object in place");
        }
        object
    })
}
