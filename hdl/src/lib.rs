//! Splitmem's memory component in RustHDL.
//!
//! One file is one block; [`top`] draws how they hang together.
// RustHDL's derive macros and kernels are shaped by what translates to Verilog.
#![allow(missing_docs, clippy::all)]

#[macro_use]
mod macros;

pub mod accepted;
pub mod access;
pub mod amo;
pub mod axi;
pub mod background;
pub mod beats;
pub mod board;
pub mod boundary;
pub mod bucket;
pub mod bucket_lookup;
pub mod bus;
pub mod completion;
pub mod config;
pub mod counters;
pub mod cxl;
pub mod dispatch;
pub mod dram_port;
pub mod event_log;
pub mod fifo;
pub mod frame_lane;
pub mod frames;
pub mod free_list;
pub mod histogram;
pub mod intake;
pub mod interrupts;
pub mod issue;
pub mod line_order;
pub mod mailbox;
pub mod manage;
pub mod micro;
pub mod page_ring;
pub mod pcie;
pub mod prim;
pub mod pte_writer;
pub mod recency;
pub mod registers;
pub mod relay;
pub mod replay;
pub mod response_fifo;
pub mod result_queue;
pub mod sdram;
pub mod sends;
pub mod serial;
pub mod shootdown;
pub mod shootdown_control;
pub mod skid;
pub mod soc;
pub mod spi;
pub mod statistics;
pub mod table_engine;
pub mod table_reader;
pub mod tlb;
pub mod top;
pub mod walk_table;
pub mod written;
pub mod zeroer;

use rust_hdl::prelude::generate_verilog;
use splitmem_abi::config::HwConfig;

/// The Verilog of a whole component, module `top`.
pub fn emit(config: &HwConfig) -> String {
    if config.is_micro() {
        return micro::emit();
    }
    on_a_large_stack(|| {
        let mut component = top::Component::new(config);
        component.connect_pins();
        generate_verilog(&component)
    })
}

/// Makes and emits blocks: on their way they are moved about on the stack, and a large one takes more
/// of it than a thread has.
pub fn on_a_large_stack<R>(emit: impl FnOnce() -> R) -> R {
    const BYTES: usize = 32 << 20;
    stacker::grow(BYTES, emit)
}

/// Emitted Verilog whose modules are called `name` instead of `top`, so that it can stand beside the
/// component's.
fn renamed(verilog: &str, name: &str) -> String {
    let mut out = String::with_capacity(verilog.len());
    let mut rest = verilog;
    while let Some(at) = rest.find("top") {
        let before = rest[..at].chars().next_back();
        let after = rest[at + 3..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        out.push_str(&rest[..at]);
        let inner = before == Some('$');
        out.push_str(if word(before) || word(after) || inner { "top" } else { name });
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_whole_names_change() {
        let before = "module top(stop, top_x, a); top$b top$b_0(); x$top y; endmodule";
        let after = "module m(stop, top_x, a); m$b m$b_0(); x$top y; endmodule";
        assert_eq!(super::renamed(before, "m"), after);
    }
}
