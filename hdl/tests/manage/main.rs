//! The monitor's side of the component, as emitted and Verilated, against models written in Rust.

mod bench;
#[path = "../common/verilated.rs"]
mod verilated;

mod events;
mod frames;
mod registers;
mod statistics;
mod table;
