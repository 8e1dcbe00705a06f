//! Splitmem's memory component in RustHDL.
// RustHDL's derive macros and kernels are shaped by what translates to Verilog.
#![allow(missing_docs, clippy::all)]

pub mod prim;
