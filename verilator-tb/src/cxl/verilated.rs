//! The Verilated CXL.mem device: the one place of this module with unsafe code.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`Inputs`] and [`Outputs`] have the layout of `cpp/cxl.h` (a test compares it). A `bool` of
//!    [`Outputs`] is a one-bit pin, whose unused bits Verilator keeps clear.
//! 2. A [`VerilatedCxl`] owns its model alone: the pointer comes from `cx_new`, is not null, is never
//!    copied, and is freed once, on drop.
//! 3. No C++ exception leaves the shim; all of its functions are `noexcept`.

use std::ptr::NonNull;

/// Pins of a register bus that the test bench drives.
#[repr(C)]
#[derive(Default)]
pub(super) struct WordIn {
    pub valid: bool,
    pub write: bool,
    pub addr: u32,
    pub wdata: u32,
}

/// Pins of a register bus that the device drives.
#[repr(C)]
#[derive(Default)]
pub(super) struct WordOut {
    pub done: bool,
    pub rdata: u32,
}

/// All pins that the test bench drives, for one cycle.
#[repr(C)]
pub(super) struct Inputs {
    pub reset: bool,
    pub mem_enable: bool,
    pub req_valid: bool,
    pub req_opcode: u8,
    pub req_ld_id: u8,
    pub rwd_valid: bool,
    pub rwd_opcode: u8,
    pub rwd_ld_id: u8,
    pub rwd_poison: bool,
    pub ndr_ready: bool,
    pub drs_ready: bool,
    pub p_req_ready: bool,
    pub p_resp_valid: bool,
    pub p_resp_status: u8,
    pub req_tag: u16,
    pub rwd_tag: u16,
    pub p_resp_tag: u16,
    pub req_address: u64,
    pub rwd_address: u64,
    pub rwd_mask: u64,
    pub rwd_data: [u8; 64],
    pub p_resp_data: [u8; 64],
    pub ras_uncorrectable: u32,
    pub ras_correctable: u8,
    pub link_status: [u8; 12],
    pub bus: [WordIn; 2],
}

/// All pins that the device drives, in one cycle.
#[repr(C)]
pub(super) struct Outputs {
    pub req_ready: bool,
    pub rwd_ready: bool,
    pub ndr_valid: bool,
    pub ndr_ld_id: u8,
    pub drs_valid: bool,
    pub drs_ld_id: u8,
    pub drs_poison: bool,
    pub dev_load: u8,
    pub p_req_valid: bool,
    pub p_req_op: u8,
    pub p_resp_ready: bool,
    pub irq: bool,
    pub error_fatal: bool,
    pub error_nonfatal: bool,
    pub error_correctable: bool,
    pub ndr_tag: u16,
    pub drs_tag: u16,
    pub p_req_tag: u16,
    pub p_req_pid: u16,
    pub p_req_va: u64,
    pub p_req_mask: u64,
    pub link_control: u64,
    pub p_req_data: [u8; 64],
    pub drs_data: [u8; 64],
    pub bus: [WordOut; 2],
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            reset: false,
            mem_enable: false,
            req_valid: false,
            req_opcode: 0,
            req_ld_id: 0,
            rwd_valid: false,
            rwd_opcode: 0,
            rwd_ld_id: 0,
            rwd_poison: false,
            ndr_ready: false,
            drs_ready: false,
            p_req_ready: false,
            p_resp_valid: false,
            p_resp_status: 0,
            req_tag: 0,
            rwd_tag: 0,
            p_resp_tag: 0,
            req_address: 0,
            rwd_address: 0,
            rwd_mask: 0,
            rwd_data: [0; 64],
            p_resp_data: [0; 64],
            ras_uncorrectable: 0,
            ras_correctable: 0,
            link_status: [0; 12],
            bus: Default::default(),
        }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            req_ready: false,
            rwd_ready: false,
            ndr_valid: false,
            ndr_ld_id: 0,
            drs_valid: false,
            drs_ld_id: 0,
            drs_poison: false,
            dev_load: 0,
            p_req_valid: false,
            p_req_op: 0,
            p_resp_ready: false,
            irq: false,
            error_fatal: false,
            error_nonfatal: false,
            error_correctable: false,
            ndr_tag: 0,
            drs_tag: 0,
            p_req_tag: 0,
            p_req_pid: 0,
            p_req_va: 0,
            p_req_mask: 0,
            link_control: 0,
            p_req_data: [0; 64],
            drs_data: [0; 64],
            bus: Default::default(),
        }
    }
}

/// The C++ side's object.
#[repr(C)]
struct Dut {
    _opaque: [u8; 0],
}

extern "C" {
    fn cx_new() -> *mut Dut;
    fn cx_free(dut: *mut Dut);
    fn cx_low(dut: *mut Dut, inputs: *const Inputs, outputs: *mut Outputs);
    fn cx_high(dut: *mut Dut, outputs: *mut Outputs);
    #[cfg(test)]
    fn cx_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated device. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(super) struct VerilatedCxl(NonNull<Dut>);

// SAFETY: rule 2; a model shares nothing with other models (each has a context of its own), so it
// may be used from any one thread at a time.
unsafe impl Send for VerilatedCxl {}

impl VerilatedCxl {
    /// A device before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rule 3.
        NonNull::new(unsafe { cx_new() }).map(Self)
    }

    /// Settles with these inputs; what stands on the pins in this cycle.
    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { cx_low(self.0.as_ptr(), inputs, outputs) }
    }

    /// The clock edge that ends the cycle; what the registers give in the next one.
    #[inline]
    pub fn high(&mut self, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the reference outlives the call, which does not keep it.
        unsafe { cx_high(self.0.as_ptr(), outputs) }
    }
}

impl Drop for VerilatedCxl {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { cx_free(self.0.as_ptr()) }
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
            offset_of!(Inputs, req_tag),
            offset_of!(Inputs, rwd_mask),
            offset_of!(Inputs, p_resp_data),
            offset_of!(Inputs, link_status),
            offset_of!(Inputs, bus) + size_of::<WordIn>() + offset_of!(WordIn, wdata),
            size_of::<Outputs>(),
            offset_of!(Outputs, irq),
            offset_of!(Outputs, link_control),
            offset_of!(Outputs, drs_data),
            offset_of!(Outputs, bus) + size_of::<WordOut>() + offset_of!(WordOut, rdata),
        ];
        let mut theirs = [0; 32];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { cx_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
