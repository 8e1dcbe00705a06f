//! AXI4: a subordinate with 512 bits of data, what vendors' CXL and PCIe cores give to user logic.
//!
//! | block | what it is |
//! | --- | --- |
//! | [`subordinate`] | the whole: five channels, a request port, the windows' register bus |
//! | [`burst`] | a burst's addresses, beat by beat |
//! | [`order`] | answers in the order of the beats, however they come |
//!
//! The bus is as wide as a line, so a beat of any size and alignment lies in one line, and its bytes are
//! in the lanes where the line has them. Each beat is one request to the component. Section numbers are
//! those of Arm's AMBA AXI protocol specification, IHI 0022H.

pub mod burst;
pub mod order;
pub mod subordinate;

use rust_hdl::prelude::generate_verilog;

/// The Verilog of the subordinate, module `axi_port`.
pub fn emit() -> String {
    crate::on_a_large_stack(|| {
        let mut subordinate = subordinate::Subordinate::new();
        subordinate.connect_pins();
        crate::renamed(&generate_verilog(&subordinate), "axi_port")
    })
}
