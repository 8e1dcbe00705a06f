//! The microprogrammed component, Verilated, beside the golden model.
//!
//! `lockstep`: random requests and random monitor accesses, every answer, register and byte of memory
//! compared. `monitor`: the memory monitor's library runs it while hosts allocate, use and free memory,
//! on the component's pins beside the model, and on the pins of the whole pico-ice. `cycles`: how long
//! things take.

#[allow(dead_code)] // Other tests use more of it.
#[path = "../common/spi_wire.rs"]
mod spi_wire;
#[allow(dead_code)]
#[path = "../common/verilated.rs"]
mod verilated;

mod bench;
mod board;
mod cycles;
mod lockstep;
mod monitor;
