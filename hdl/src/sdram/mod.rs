//! A 16-bit SDR SDRAM behind the component's DRAM port.
//!
//! ```text
//!  DRAM port, beats ─ Memory ─┬─ SelfTest (until it is over)
//!                             └─ Sdram ─┬─ commands, words to write ─ 4 x Bank ─ pins
//!                                       └─ words read, replies
//! ```

pub mod bank;
pub mod controller;
pub mod memory;
pub mod self_test;
pub mod timing;
