//! Splitmem's memory component in RustHDL.
// RustHDL's derive macros and kernels are shaped by what translates to Verilog.
#![allow(missing_docs, clippy::all)]

pub mod amo;
pub mod bucket;
pub mod completion;
pub mod dispatch;
pub mod dram_port;
pub mod fifo;
pub mod intake;
pub mod issue;
pub mod line_order;
pub mod line_slot;
pub mod manage;
pub mod prim;
pub mod replay;
pub mod response_fifo;
pub mod shootdown;
pub mod tlb;
pub mod top;
pub mod walk_entry;
pub mod walk_table;

use rust_hdl::prelude::generate_verilog;
use splitmem_abi::config::HwConfig;

/// The Verilog of a whole component, module `top`.
pub fn emit(config: &HwConfig) -> String {
    let mut component = top::Component::new(config);
    component.connect_pins();
    generate_verilog(&component)
}
