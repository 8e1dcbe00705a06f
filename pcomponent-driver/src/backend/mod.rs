//! Backends of [`Transport`](crate::transport::Transport), and what they share.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`model`] | the golden model and the firmware's monitor, in process |
//! | [`pcie`] | a PCIe device: the endpoint's DMA rings and BAR0 |
//! | [`serial`] | a board at a serial port, and the monitor in a host thread |
//! | [`job`] | a submission as line requests, and its completion as their answers |
//! | [`tags`] | many jobs in flight at a port that answers out of order |
//! | [`mailbox`] | the host's registers: commands to the monitor, counters |
//! | [`client`] | a mailbox client of its own, with timeouts and retries |
//!
//! The Verilated component's is in the `splitmem` program: the library that goes into unmodified
//! programs must not bring C++ with it.

pub mod client;
pub mod job;
pub mod mailbox;
pub mod model;
pub mod pcie;
pub mod serial;
pub mod tags;
