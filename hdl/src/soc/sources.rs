//! The files of the black box, in the order in which tools want them: Ibex's and the debug module's,
//! as their Python packages install them, then our own.

use std::path::{Path, PathBuf};

/// What surrounds the core in its package.
const IBEX: &str = "pythondata_cpu_ibex/system_verilog";
/// What the debug module came with.
const CV32E40P: &str = "pythondata_cpu_cv32e40p/system_verilog/rtl";

const PRIMITIVES: &[&str] =
    &["util_pkg", "ram_1p_pkg", "secded_pkg", "count_pkg", "mubi_pkg", "cipher_pkg"];
const CORE: &[&str] = &[
    "pkg",
    "alu",
    "branch_predict",
    "compressed_decoder",
    "controller",
    "cs_registers",
    "csr",
    "counter",
    "decoder",
    "ex_block",
    "fetch_fifo",
    "id_stage",
    "if_stage",
    "load_store_unit",
    "multdiv_fast",
    "multdiv_slow",
    "prefetch_buffer",
    "pmp",
    "wb_stage",
    "register_file_ff",
    "register_file_fpga",
    "core",
    "top",
    "icache",
    "dummy_instr",
    "lockstep",
];
const DEBUG: &[&str] = &[
    "riscv-dbg/src/dm_pkg.sv",
    "vendor/pulp_platform_common_cells/src/fifo_v3.sv",
    "vendor/pulp_platform_common_cells/src/deprecated/fifo_v2.sv",
    "vendor/pulp_platform_common_cells/src/cdc_2phase.sv",
    "riscv-dbg/debug_rom/debug_rom.sv",
    "riscv-dbg/src/dm_csrs.sv",
    "riscv-dbg/src/dm_mem.sv",
    "riscv-dbg/src/dm_sba.sv",
    "riscv-dbg/src/dmi_cdc.sv",
    "riscv-dbg/src/dmi_jtag.sv",
    "riscv-dbg/src/dmi_jtag_tap.sv",
    "riscv-dbg/src/dm_top.sv",
    "riscv-dbg/src/dm_wrap.sv",
];

/// Macros that the sources want: no assertions, no clock gate of their own.
pub const DEFINES: [&str; 2] = ["SYNTHESIS", "YOSYS"];

/// The memory's name in the header of a Verilated model: it carries the names of all blocks around it.
pub fn ram_name(header: &str) -> Option<&str> {
    let mut words = header.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.find(|word| word.ends_with("u_ram__DOT__mem"))
}

/// Files that the sources include; tools that see one folder only want them there too.
const INCLUDED: &[&str] = &[
    "prim_assert.sv",
    "prim_assert_dummy_macros.svh",
    "prim_assert_yosys_macros.svh",
    "prim_assert_standard_macros.svh",
    "prim_assert_sec_cm.svh",
    "prim_flop_macros.sv",
    "dv_fcov_macros.svh",
];

/// Files and include folders of the packages in a Python environment's `site-packages`.
#[derive(Clone, Debug)]
pub struct Packages {
    /// SystemVerilog files, packages before those that use them.
    pub files: Vec<PathBuf>,
    /// Folders of included files.
    pub includes: Vec<PathBuf>,
    /// The included files.
    pub included: Vec<PathBuf>,
}

/// The packages' files in `site_packages`; `None` if they are not installed there.
pub fn packages(site_packages: &Path) -> Option<Packages> {
    let (ibex, cv32e40p) = (site_packages.join(IBEX), site_packages.join(CV32E40P));
    let primitives = ibex.join("vendor/lowrisc_ip/ip/prim/rtl");
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(PRIMITIVES.iter().map(|name| primitives.join(format!("prim_{name}.sv"))));
    files.extend(CORE.iter().map(|name| ibex.join(format!("rtl/ibex_{name}.sv"))));
    files.extend(DEBUG.iter().map(|name| cv32e40p.join(name)));
    let includes = vec![
        primitives,
        ibex.join("vendor/lowrisc_ip/dv/sv/dv_utils"),
        cv32e40p.join("vendor/pulp_platform_common_cells/include"),
    ];
    let in_folders = |name: &&str| includes.iter().map(|f| f.join(name)).find(|f| f.is_file());
    let included: Option<Vec<_>> = INCLUDED.iter().map(in_folders).collect();
    let included = included?;
    files.iter().all(|file| file.is_file()).then_some(Packages { files, includes, included })
}
