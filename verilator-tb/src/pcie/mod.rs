//! The PCIe endpoint, Verilated, with a component behind it: what a host finds in a slot.

mod board;
mod client_memory;
mod server;
mod tlp;
mod verilated;

pub use board::{BarRead, Board, BoardError, HostMemory, Passed, Sent, Settings, Traffic};
pub use server::{serve, Event, ServeError};
pub use tlp::{Tlp, COMPLETION, MEMORY, SUCCESSFUL, UNSUPPORTED};
