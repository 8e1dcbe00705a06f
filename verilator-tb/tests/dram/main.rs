//! The DRAM model against hand-computed clocks, and against a checker of its own that replays
//! the command log and knows the standards' timing rules by heart.

mod bandwidth;
mod channel;
mod checker;
mod exact;
mod memory;
mod policy;
mod random_traffic;
