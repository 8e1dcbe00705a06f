//! Splitmem's Verilated memory component, DRAM timing and latency tests.
//!
//! [`Component`] is the component that `splitmem-hdl` emits, Verilated when this crate is built and
//! simulated cycle by cycle, over any memory of [`dram`].

mod beats;
mod bus;
mod component;
pub mod cxl;
pub mod dram;
mod hw;
pub mod latency;
pub mod lockstep;
mod machine;
mod monitor_task;
mod owner;
pub mod pcie;
mod port;
pub mod soc;
pub mod spi;
mod stalls;
mod verilated;

pub use bus::{BusAccess, Side};
pub use component::{BlockingBus, Component, ComponentError, DramOffer, Retired, Seen};
pub use hw::Hw;
pub use machine::{HostBus, Machine, MachineError, MonitorOptions, MonitorPlace};
pub use port::{Answer, Port, RawRequest};
pub use stalls::Stalls;
