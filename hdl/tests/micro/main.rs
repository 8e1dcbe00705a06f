//! The microprogrammed component, Verilated, beside the golden model.
//!
//! `lockstep`: random requests and random monitor accesses, every answer, register and byte of memory
//! compared. `monitor`: the memory monitor's library runs it, and hosts allocate, use and free memory.
//! `cycles`: how long things take.

// Other tests use more of it.
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

mod bench;
mod cycles;
mod lockstep;
mod monitor;
