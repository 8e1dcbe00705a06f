//! The Verilated component. Safety rules: those of [`crate::owner`].

use crate::hw::Hw;
use crate::owner::{all_low, Model, Owner};
use bytemuck::Zeroable;
use splitmem_abi::config::PORTS;
use splitmem_abi::request::Line;
use std::ffi::CString;
use std::os::raw::c_char;
use std::path::Path;

/// The two register buses, in the order of the arrays below.
pub(crate) const BUSES: usize = 2;

/// Pins of a request port that the test bench drives.
#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct PortIn {
    pub req_valid: bool,
    /// The request below is new and goes to the pins in this cycle.
    pub req_load: bool,
    pub req_op: u8,
    pub resp_ready: bool,
    pub req_tag: u16,
    pub req_pid: u16,
    pub req_va: u64,
    pub req_mask: u64,
    pub req_data: Line,
}

/// Pins of a register bus that the test bench drives.
#[repr(C)]
#[derive(Default, Zeroable)]
pub(crate) struct BusIn {
    pub valid: bool,
    pub write: bool,
    pub addr: u16,
    pub wdata: u32,
}

/// All pins that the test bench drives, for one cycle.
#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct Inputs {
    pub port: [PortIn; PORTS],
    pub bus: [BusIn; BUSES],
    pub reset: bool,
    pub dram_cmd_ready: bool,
    pub dram_resp_valid: bool,
    /// The reply below is new and goes to the pins in this cycle.
    pub dram_resp_load: bool,
    /// The last beat of its line.
    pub dram_resp_last: bool,
    pub dram_resp_poison: bool,
    pub dram_resp_tag: u16,
    pub dram_resp_data: Line,
}

/// Pins of a request port that the component drives.
#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct PortOut {
    pub req_ready: bool,
    pub resp_valid: bool,
    pub resp_status: u8,
    pub resp_tag: u16,
    /// As it last was with `resp_valid`.
    pub resp_data: Line,
}

/// Pins of a register bus that the component drives.
#[repr(C)]
#[derive(Default, Zeroable)]
pub(crate) struct BusOut {
    pub done: bool,
    pub error: bool,
    pub rdata: u32,
}

/// All pins that the component drives, in one cycle.
#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct Outputs {
    pub port: [PortOut; PORTS],
    pub bus: [BusOut; BUSES],
    pub irq_monitor: bool,
    pub irq_host: bool,
    pub retire_valid: bool,
    pub retire_port: u8,
    pub retire_status: u8,
    pub retire_tag: u16,
    pub dram_resp_ready: bool,
    pub dram_cmd_valid: bool,
    pub dram_cmd_write: bool,
    pub dram_cmd_last: bool,
    pub dram_cmd_tag: u16,
    pub dram_cmd_line: u64,
    /// As it last was with `dram_cmd_valid` and `dram_cmd_write`, like the data.
    pub dram_cmd_mask: u64,
    pub dram_cmd_data: Line,
}

all_low!(PortIn, Inputs, PortOut, Outputs);

extern "C" {
    fn sm_new(configuration: u32, traced: bool) -> *mut Model;
    fn sm_free(dut: *mut Model);
    fn sm_low(dut: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn sm_high(dut: *mut Model);
    fn sm_trace(dut: *mut Model, path: *const c_char) -> bool;
    fn sm_trace_close(dut: *mut Model);
    #[cfg(test)]
    fn sm_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated model. A cycle is [`low`](Self::low), which settles it with the given inputs and
/// samples the outputs, then [`high`](Self::high), the clock edge that ends the cycle.
pub(crate) struct Verilated(Owner);

impl Verilated {
    /// A model before reset; a `traced` one is slower and can write a trace. `None` if there is no
    /// memory for it.
    pub fn new(hw: Hw, traced: bool) -> Option<Self> {
        let configuration = match hw {
            Hw::Large => 0,
            Hw::Small => 1,
        };
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(sm_new(configuration, traced), sm_free) }.map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sm_low(self.0.get(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sm_high(self.0.get()) }
    }

    /// Starts to write every signal to an FST file. False if the model is not a traced one or the
    /// file cannot be written.
    pub fn trace(&mut self, path: &Path) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
        // SAFETY: rules 2 and 3; the string outlives the call, which does not keep it.
        unsafe { sm_trace(self.0.get(), path.as_ptr()) }
    }

    /// Finishes the trace file, if there is one.
    pub fn trace_close(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sm_trace_close(self.0.get()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_structs_have_the_shims_layout() {
        let ours = [
            size_of::<Inputs>(),
            offset_of!(Inputs, port) + size_of::<PortIn>() + offset_of!(PortIn, req_data),
            offset_of!(Inputs, bus) + size_of::<BusIn>() + offset_of!(BusIn, wdata),
            offset_of!(Inputs, reset),
            offset_of!(Inputs, dram_resp_poison),
            offset_of!(Inputs, dram_resp_tag),
            offset_of!(Inputs, dram_resp_data),
            size_of::<Outputs>(),
            offset_of!(Outputs, port) + size_of::<PortOut>() + offset_of!(PortOut, resp_data),
            offset_of!(Outputs, bus) + size_of::<BusOut>() + offset_of!(BusOut, rdata),
            offset_of!(Outputs, retire_tag),
            offset_of!(Outputs, dram_cmd_valid),
            offset_of!(Outputs, dram_cmd_line),
            offset_of!(Outputs, dram_cmd_data),
        ];
        assert_eq!(crate::owner::layout(sm_layout), ours);
    }
}
