//! The microprogrammed component: the same memory component as [`crate::top`], for an FPGA that is
//! too small for it. One request at a time, data 16 bits at a time.
//!
//! The large component holds whole lines in every stage; here a line stands in block RAM, and a machine
//! with one 16-bit data path does what the stages do there, step by step, under a microprogram: Wilkes'
//! control store, not software. What it answers and what its registers say is the same ([`splitmem_abi`]
//! and the golden model define it); how long it takes is not.
//!
//! ```text
//!  registers (both sides,        ┌──────────── control store 1024 x 64 ─── sequencer
//!  request window) ── access ──┐ │ control signals
//!                              ▼ ▼
//!   scratch 1024 x 16 ──► B ─► ALU ─► R ──► A, X, M, K, scratch, memory, answer of the access
//!   (registers, rings,    ▲                 X: index in the scratch    M: memory address
//!    answers, variables)  │                 K: byte mask of eight words
//!   memory 64 Ki x 16 ────┘
//! ```
//!
//! | block | what it is |
//! | --- | --- |
//! | [`component`] | the whole machine, its pins and cycles |
//! | [`alu`] | sixteen functions of two words |
//! | [`sequencer`] | branches, calls, the step of a register |
//! | [`store`] | block RAM with contents, the hash's parities |
//! | [`word`] | the microinstruction |
//! | [`assembler`] | names to addresses |
//! | [`layout`] | what stands where in the scratch memory |
//! | [`program`] | the microprogram |
//!
//! What is not here, and how that looks: no request ports but the window of [`splitmem_abi::window`]; no
//! statistics, so their registers read zero; no list of 2 MiB frames, so such a frame is never granted;
//! one translation is held, and it is dropped by any table command and any shootdown; the memory reports
//! no errors, so no answer is uncorrectable.

pub mod alu;
pub mod assembler;
pub mod component;
pub mod layout;
pub mod program;
pub mod sequencer;
pub mod store;
pub mod word;

use rust_hdl::prelude::generate_verilog;

/// The Verilog of the component, module `top`.
pub fn emit() -> String {
    crate::on_a_large_stack(|| {
        let mut component = component::Component::new();
        component.connect_pins();
        generate_verilog(&component)
    })
}
