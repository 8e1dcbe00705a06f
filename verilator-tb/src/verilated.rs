//! The Verilated models: the one place with unsafe code.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`Inputs`] and [`Outputs`] have the layout of `cpp/shim.h` (a test compares it). A `bool` of
//!    [`Outputs`] is a one-bit pin, whose unused bits Verilator keeps clear.
//! 2. A [`Verilated`] owns its model alone: the pointer comes from `sm_new`, is not null, is never
//!    copied, and is freed once, on drop.
//! 3. No C++ exception leaves the shim; all of its functions are `noexcept`.

use crate::hw::Hw;
use splitmem_abi::config::PORTS;
use splitmem_abi::request::Line;
use std::ffi::CString;
use std::os::raw::c_char;
use std::path::Path;
use std::ptr::NonNull;

/// The two register buses, in the order of the arrays below.
pub(crate) const BUSES: usize = 2;

/// Pins of a request port that the test bench drives.
#[repr(C)]
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
#[derive(Default)]
pub(crate) struct BusIn {
    pub valid: bool,
    pub write: bool,
    pub addr: u16,
    pub wdata: u32,
}

/// All pins that the test bench drives, for one cycle.
#[repr(C)]
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
#[derive(Default)]
pub(crate) struct BusOut {
    pub done: bool,
    pub error: bool,
    pub rdata: u32,
}

/// All pins that the component drives, in one cycle.
#[repr(C)]
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

impl Default for PortIn {
    fn default() -> Self {
        Self {
            req_valid: false,
            req_load: false,
            req_op: 0,
            resp_ready: false,
            req_tag: 0,
            req_pid: 0,
            req_va: 0,
            req_mask: 0,
            req_data: [0; 64],
        }
    }
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            port: Default::default(),
            bus: Default::default(),
            reset: false,
            dram_cmd_ready: false,
            dram_resp_valid: false,
            dram_resp_load: false,
            dram_resp_last: false,
            dram_resp_poison: false,
            dram_resp_tag: 0,
            dram_resp_data: [0; 64],
        }
    }
}

impl Default for PortOut {
    fn default() -> Self {
        Self {
            req_ready: false,
            resp_valid: false,
            resp_status: 0,
            resp_tag: 0,
            resp_data: [0; 64],
        }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            port: Default::default(),
            bus: Default::default(),
            irq_monitor: false,
            irq_host: false,
            retire_valid: false,
            retire_port: 0,
            retire_status: 0,
            retire_tag: 0,
            dram_resp_ready: false,
            dram_cmd_valid: false,
            dram_cmd_write: false,
            dram_cmd_last: false,
            dram_cmd_tag: 0,
            dram_cmd_line: 0,
            dram_cmd_mask: 0,
            dram_cmd_data: [0; 64],
        }
    }
}

/// The C++ side's object.
#[repr(C)]
struct Dut {
    _opaque: [u8; 0],
}

extern "C" {
    fn sm_new(configuration: u32, traced: bool) -> *mut Dut;
    fn sm_free(dut: *mut Dut);
    fn sm_low(dut: *mut Dut, inputs: *const Inputs, outputs: *mut Outputs);
    fn sm_high(dut: *mut Dut);
    fn sm_trace(dut: *mut Dut, path: *const c_char) -> bool;
    fn sm_trace_close(dut: *mut Dut);
    #[cfg(test)]
    fn sm_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated model. A cycle is [`low`](Self::low), which settles it with the given inputs and
/// samples the outputs, then [`high`](Self::high), the clock edge that ends the cycle.
pub(crate) struct Verilated(NonNull<Dut>);

// SAFETY: rule 2; a model shares nothing with other models (each has a context of its own), so it
// may be used from any one thread at a time.
unsafe impl Send for Verilated {}

impl Verilated {
    /// A model before reset; a `traced` one is slower and can write a trace. `None` if there is no
    /// memory for it.
    pub fn new(hw: Hw, traced: bool) -> Option<Self> {
        let configuration = match hw {
            Hw::Large => 0,
            Hw::Small => 1,
        };
        // SAFETY: takes plain values; rule 3.
        NonNull::new(unsafe { sm_new(configuration, traced) }).map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sm_low(self.0.as_ptr(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sm_high(self.0.as_ptr()) }
    }

    /// Starts to write every signal to an FST file. False if the model is not a traced one or the
    /// file cannot be written.
    pub fn trace(&mut self, path: &Path) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
        // SAFETY: rules 2 and 3; the string outlives the call, which does not keep it.
        unsafe { sm_trace(self.0.as_ptr(), path.as_ptr()) }
    }

    /// Finishes the trace file, if there is one.
    pub fn trace_close(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sm_trace_close(self.0.as_ptr()) }
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this. Closes the trace.
        unsafe { sm_free(self.0.as_ptr()) }
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
        let mut theirs = [0; 32];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { sm_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
