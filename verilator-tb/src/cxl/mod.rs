//! The Verilated CXL.mem device at a request port of the component.
//!
//! [`CxlFront`] is the device alone, with or without its link layer; [`CxlComponent`] joins it to port 0 of anything that ticks a
//! component. The two models are wired cycle by cycle: all of the device's outputs to the component
//! come from registers, so they are known before the component's cycle, and the component's are known
//! before the device's.

mod front;
mod join;
mod linked;
mod verilated;
mod verilated_link;

pub use front::{CxlFront, CxlStalls, FrontSeen, Taken};
pub use join::{CxlComponent, Joined, Words};
pub use linked::{FlitsSeen, LinkOptions};
