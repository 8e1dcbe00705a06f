//! The Verilated CXL link layer. Safety rules: those of [`crate::owner`].

use crate::owner::{all_low, Model, Owner};
use bytemuck::Zeroable;

use splitmem_cxl_host::flit::FLIT_BYTES;

/// All pins that are driven from outside, for one cycle.
#[repr(C)]
#[derive(Zeroable)]
pub(super) struct Inputs {
    pub reset: bool,
    pub phy_up: bool,
    pub rx_valid: bool,
    pub tx_ready: bool,
    pub req_ready: bool,
    pub rwd_ready: bool,
    pub ndr_valid: bool,
    pub ndr_ld_id: u8,
    pub drs_valid: bool,
    pub drs_ld_id: u8,
    pub drs_poison: bool,
    pub dev_load: u8,
    pub ndr_tag: u16,
    pub drs_tag: u16,
    pub link_control: u64,
    pub drs_data: [u8; 64],
    pub rx_flit: [u8; FLIT_BYTES],
}

/// All pins that the link layer drives, in one cycle.
#[repr(C)]
#[derive(Zeroable)]
pub(super) struct Outputs {
    pub retrain: bool,
    pub tx_valid: bool,
    pub req_valid: bool,
    pub req_opcode: u8,
    pub req_ld_id: u8,
    pub rwd_valid: bool,
    pub rwd_opcode: u8,
    pub rwd_ld_id: u8,
    pub rwd_poison: bool,
    pub ndr_ready: bool,
    pub drs_ready: bool,
    pub fault: u8,
    pub ras_correctable: u8,
    pub req_tag: u16,
    pub rwd_tag: u16,
    pub ras_uncorrectable: u32,
    pub req_address: u64,
    pub rwd_address: u64,
    pub rwd_mask: u64,
    pub rwd_data: [u8; 64],
    pub link_status: [u8; 12],
    pub tx_flit: [u8; FLIT_BYTES],
}

all_low!(Inputs, Outputs);

extern "C" {
    fn cl_new() -> *mut Model;
    fn cl_free(dut: *mut Model);
    fn cl_low(dut: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn cl_high(dut: *mut Model, inputs: *const Inputs);
    #[cfg(test)]
    fn cl_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated link layer. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(super) struct VerilatedLink(Owner);

impl VerilatedLink {
    /// A link before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(cl_new(), cl_free) }.map(Self)
    }

    /// Settles with these inputs; what stands on the pins in this cycle. No output follows the ready of
    /// the request channels, which is not looked at yet.
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { cl_low(self.0.get(), inputs, outputs) }
    }

    /// The clock edge that ends the cycle, with the ready of the request channels.
    pub fn high(&mut self, inputs: &Inputs) {
        // SAFETY: rules 1, 2 and 3; the reference outlives the call, which does not keep it.
        unsafe { cl_high(self.0.get(), inputs) }
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
            offset_of!(Inputs, ndr_tag),
            offset_of!(Inputs, rx_flit),
            size_of::<Outputs>(),
            offset_of!(Outputs, req_tag),
            offset_of!(Outputs, rwd_mask),
            offset_of!(Outputs, link_status),
            offset_of!(Outputs, tx_flit),
        ];
        assert_eq!(crate::owner::layout(cl_layout), ours);
    }
}
