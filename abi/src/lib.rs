//! The one definition of what Splitmem's hardware, firmware, driver and test bench share.
//!
//! A register, a status code or a PTE field is written once, here. The RTL takes its constants from
//! this crate when it emits Verilog, the firmware and the driver compile against it, and the
//! register reference and the CMSIS-SVD file are printed from it (`emit`, a feature).
//!
//! | module | what it defines |
//! | --- | --- |
//! | [`geometry`] | lines, pages, vRegions, address widths |
//! | [`pte`] | the 16-byte page-table entry and the 64-byte bucket |
//! | [`hash`] | which bucket a page lives in |
//! | [`request`] | the native request and its answer |
//! | [`dram`] | the tag space of the DRAM port |
//! | [`bus`] | how software reaches the registers |
//! | [`regs`] | the register map, with access rights per side |
//! | [`event`] | entries of the event log |
//! | [`serial`] | frames of the serial link to a board |
//! | [`spi`] | frames of the SPI link to a companion microcontroller |
//! | [`board`] | registers of a board around the component |
//! | [`mailbox`] | commands and replies of the memory monitor |
//! | [`pcie`] | the PCIe endpoint: BARs, window table, rings of its DMA engine |
//! | [`config`] | the parameters of the emitted hardware |
//! | [`cxl`] | the registers and windows of the CXL front end |
//! | [`window`] | native requests through registers, for a component without a request port |
//! | `emit` | the register map as a page of documentation and as a CMSIS-SVD file |
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![forbid(unsafe_code)]

pub mod board;
pub mod bus;
pub mod config;
pub mod cxl;
pub mod dram;
#[cfg(feature = "emit")]
pub mod emit;
pub mod event;
pub mod geometry;
pub mod hash;
pub mod mailbox;
pub mod pcie;
pub mod pte;
pub mod regs;
pub mod request;
pub mod serial;
pub mod soc;
pub mod spi;
pub mod window;
