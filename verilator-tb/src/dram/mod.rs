//! The memory behind the component's DRAM port: a functional store, an ideal fixed-latency
//! memory, and a cycle-level DRAM controller and device model.
//!
//! A test bench drives any of them through [`LineMemory`], once per component clock:
//!
//! ```
//! use verilator_tb::dram::{Fill, IdealMemory, LineCommand, LineMemory, LineStore};
//!
//! let mut memory = IdealMemory::new(LineStore::new(1 << 20, Fill::Zero), 10);
//! if memory.can_accept(true) {
//!     memory.push(LineCommand { tag: 7, write: true, line: 3, mask: !0, data: [0xa5; 64] });
//! }
//! let mut cycles = 0;
//! let reply = loop {
//!     memory.tick();
//!     cycles += 1;
//!     if let Some(reply) = memory.pop_reply() {
//!         break reply;
//!     }
//! };
//! assert_eq!((reply.tag, cycles), (7, 10));
//! assert_eq!(memory.store().read_line(3), [0xa5; 64]);
//! ```
//!
//! Timing and contents are kept apart: a command takes effect on the [`LineStore`] in the order
//! of [`LineMemory::push`], and the timing model only decides when its reply comes back. So two
//! commands on one line always keep their order, whatever the scheduler does.

mod config;
mod controller;
mod device;
mod ideal;
mod mapping;
mod memory;
mod queue;
mod replay;
mod stats;
mod store;
mod timed;

pub use config::{ConfigError, ControllerConfig, DramConfig, Geometry, Preset, Timing};
pub use controller::{Controller, Done, Request};
pub use device::{DramCommand, IssuedCommand};
pub use ideal::IdealMemory;
pub use mapping::{AddressMapping, Location, MappingError};
pub use memory::{LineCommand, LineMemory, LineReply, LINE_BYTES};
pub use replay::{replay, Access, Load, ReplayError, ReplayReport};
pub use stats::{DramStats, LatencyHistogram};
pub use store::{Fill, LineStore};
pub use timed::TimedDram;
