//! The commands: each file holds one command's arguments (clap derive) and a `run` that returns a
//! [`crate::error::CliError`].

pub mod abi;
pub mod bench;
pub mod bench_kernel;
pub mod bench_programs;
pub mod bitstream;
pub mod board;
pub mod calibrate;
pub mod component;
pub mod devices;
pub mod dram;
pub mod flash;
pub mod fmax;
pub mod hdl;
pub mod latency;
mod latency_board;
mod latency_front;
mod latency_vfio;
pub mod lockstep;
pub mod log;
pub mod output;
pub mod replay;
pub mod run;
pub mod serve;
mod serve_vfio;
pub mod sim;
pub mod soak;
pub mod top;
