//! Splitmem's Verilated memory component, DRAM timing and latency tests.

pub mod dram;
