//! The Verilated CXL.mem device. Safety rules: those of [`crate::owner`].

use crate::owner::{all_low, Model, Owner};
use bytemuck::Zeroable;

/// Pins of a register bus that the test bench drives.
#[repr(C)]
#[derive(Default, Zeroable)]
pub(super) struct WordIn {
    pub valid: bool,
    pub write: bool,
    pub addr: u32,
    pub wdata: u32,
}

/// Pins of a register bus that the device drives.
#[repr(C)]
#[derive(Default, Zeroable)]
pub(super) struct WordOut {
    pub done: bool,
    pub rdata: u32,
}

/// All pins that the test bench drives, for one cycle.
#[repr(C)]
#[derive(Zeroable)]
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
#[derive(Zeroable)]
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

all_low!(Inputs, Outputs);

extern "C" {
    fn cx_new() -> *mut Model;
    fn cx_free(dut: *mut Model);
    fn cx_low(dut: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn cx_high(dut: *mut Model, outputs: *mut Outputs);
    #[cfg(test)]
    fn cx_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated device. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(super) struct VerilatedCxl(Owner);

impl VerilatedCxl {
    /// A device before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(cx_new(), cx_free) }.map(Self)
    }

    /// Settles with these inputs; what stands on the pins in this cycle.
    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { cx_low(self.0.get(), inputs, outputs) }
    }

    /// The clock edge that ends the cycle; what the registers give in the next one.
    #[inline]
    pub fn high(&mut self, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the reference outlives the call, which does not keep it.
        unsafe { cx_high(self.0.get(), outputs) }
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
        assert_eq!(crate::owner::layout(cx_layout), ours);
    }
}
