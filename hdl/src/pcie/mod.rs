//! The PCIe endpoint: the transaction layer between a hard IP and the component.
//!
//! ```text
//!            ┌ Target ── Bar0 ── h bus (registers, mailbox), own registers, windows, MSI-X table
//!  cq, cc ───┤    └───── w port (BAR2 window)
//!            └ Reads ─── w port's answers
//!            ┌ Rings ─── Commands ─┬─ PageOut ──── d port (reads)
//!  rq, rc ───┤                     └─ HostReads ── d port (writes)
//!            └ Requester ─ Completions ─ Account ── d port's answers
//! ```
//!
//! **The neutral TLP stream.** Four of them, as hard IPs have: `cq` requests from the host, `cc`
//! completions to it, `rq` requests to the host, `rc` completions from it. A beat passes where
//! `valid` and `ready` are both up; `valid`, once up, stays with a stable payload. A TLP is one or
//! more beats, the first marked `first`, the last `last`. `header` counts in the first beat: the
//! header's dwords as in the PCIe Base Specification 5.0, section 2.2.1, dword 0 in bits 31..0, each
//! dword's byte 0 in its bits 31..24. `data` is up to sixteen payload dwords from lane 0 up, the byte
//! of the lowest address in bits 7..0; `dwords` says how many, sixteen in all beats but the last, none
//! in a TLP without data.

pub mod account;
pub mod bar0;
pub mod commands;
pub mod completions;
pub mod endpoint;
pub mod host_reads;
pub mod msix;
pub mod page_out;
pub mod plain;
pub mod reads;
pub mod registers;
pub mod requester;
pub mod rings;
pub mod target;
pub mod uscale;

use rust_hdl::prelude::generate_verilog;

/// The Verilog of the endpoint on a plain TLP interface, module `pcie_plain`.
pub fn emit_plain() -> String {
    crate::on_a_large_stack(|| {
        let mut endpoint = plain::PlainEndpoint::new();
        endpoint.connect_pins();
        crate::renamed(&generate_verilog(&endpoint), "pcie_plain")
    })
}

/// The Verilog of the endpoint on the streams of AMD's UltraScale+ block, module `pcie_uscale`.
pub fn emit_uscale() -> String {
    crate::on_a_large_stack(|| {
        let mut endpoint = uscale::UscaleEndpoint::new();
        endpoint.connect_pins();
        crate::renamed(&generate_verilog(&endpoint), "pcie_uscale")
    })
}
