//! From our hardware description to the bytes that configure a board's FPGA.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`boards`] | the boards: sources, constraints, recipe, clocks |
//! | [`build`] | synthesis, place and route, packing |
//! | [`loader`] | a bitstream into a board, over a cable |
//! | [`companion`] | the same by the microcontroller beside the FPGA |
//! | [`netlist`] | cells by block |
//! | [`report`] | what a bitstream is and what it reached |
//! | [`tools`] | Yosys, nextpnr and what packs |

pub mod boards;
pub mod build;
pub mod companion;
pub mod loader;
pub mod netlist;
pub mod report;
pub mod tools;
