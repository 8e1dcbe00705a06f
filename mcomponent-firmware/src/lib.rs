//! Splitmem's memory monitor.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod bitset;
mod commands;
mod engine;
mod error;
mod hal;
mod layout;
mod mailbox;
mod monitor;
mod occupancy;
mod pool;
mod records;
mod shares;
mod space;
mod supply;
#[cfg(test)]
mod testing;

pub use error::Error;
pub use hal::{Spin, Wait, Waiting};
pub use layout::{Layout, MonitorTables};
pub use mailbox::Activity;
pub use monitor::{FrameAccounts, Monitor, MonitorConfig};
pub use records::Record;
pub use shares::SharedFrame;

/// The monitor's version: major 16 bits, minor 16 bits.
pub const VERSION: u32 = 0x0001_0000;
