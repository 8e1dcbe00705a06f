//! The link layer of 68-byte flits (CXL 3.1, section 4.2), the device's end: a block of its own,
//! between ARB/MUX and the channels of [`super::device`].
//!
//! ```text
//!  rx ─ check ─┬─ unpack ─ inbox ───────────────────────────── Req, RwD
//!       (CRC)  └─ retry ─┬─ credits                  pack ──── NDR, DRS
//!                        └──────────── send ─┬───────┘
//!  tx ──────────────────────── (CRC) ────────┴─ replay
//! ```
//!
//! | block | what it is |
//! | --- | --- |
//! | [`layer`] | the whole |
//! | [`check`], [`crc`] | a flit from the pins, and whether its CRC is right |
//! | [`retry`] | whether it counts; asking for flits again, being asked |
//! | [`heard`] | what the other end told of itself, for the registers |
//! | [`unpack`] | slots to messages |
//! | [`inbox`] | messages that wait for the transaction layer |
//! | [`credits`] | credits owed to the other end, and held of it |
//! | [`pack`] | answers to slots |
//! | [`replay`] | the retry buffer |
//! | [`send`] | which flit leaves next |
//!
//! One flit a cycle each way. A message stands at its channel two cycles after its last flit was on
//! the pins, and a flit on the pins two cycles after its answer was taken. A flit of wrong CRC costs a
//! round trip; nothing is lost, doubled or reordered by it.
//!
//! Spoken are the slot formats of CXL.mem with whole lines, LLCRD, RETRY and INIT.Param. Not spoken:
//! CXL.cache, several lines announced in one flit (MDH), link encryption, viral.

pub mod check;
pub mod crc;
pub mod credits;
pub mod heard;
pub mod inbox;
pub mod layer;
pub mod pack;
pub mod replay;
pub mod retry;
pub mod send;
pub mod unpack;

use rust_hdl::prelude::generate_verilog;

/// What the pins `link_control` are to be where no registers drive them: 64 credits of either kind,
/// acknowledgements sent by themselves from 16 on or after 32 cycles.
pub const CONTROL_AT_RESET: u64 = 64 << 3 | 64 << 13 | 16 << 23 | 32 << 31;

/// The Verilog of the link layer, module `cxl_link`.
pub fn emit() -> String {
    crate::on_a_large_stack(|| {
        let mut link = layer::CxlLink::new();
        link.connect_pins();
        crate::renamed(&generate_verilog(&link), "cxl_link")
    })
}
