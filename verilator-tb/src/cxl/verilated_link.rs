//! The Verilated CXL link layer.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`Inputs`] and [`Outputs`] have the layout of `cpp/cxl_link.h` (a test compares it). A `bool` of
//!    [`Outputs`] is a one-bit pin, whose unused bits Verilator keeps clear.
//! 2. A [`VerilatedLink`] owns its model alone: the pointer comes from `cl_new`, is not null, is never
//!    copied, and is freed once, on drop.
//! 3. No C++ exception leaves the shim; all of its functions are `noexcept`.

use std::ptr::NonNull;

use splitmem_cxl_host::flit::FLIT_BYTES;

/// All pins that are driven from outside, for one cycle.
#[repr(C)]
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

impl Default for Inputs {
    fn default() -> Self {
        Self {
            reset: false,
            phy_up: false,
            rx_valid: false,
            tx_ready: false,
            req_ready: false,
            rwd_ready: false,
            ndr_valid: false,
            ndr_ld_id: 0,
            drs_valid: false,
            drs_ld_id: 0,
            drs_poison: false,
            dev_load: 0,
            ndr_tag: 0,
            drs_tag: 0,
            link_control: 0,
            drs_data: [0; 64],
            rx_flit: [0; FLIT_BYTES],
        }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            retrain: false,
            tx_valid: false,
            req_valid: false,
            req_opcode: 0,
            req_ld_id: 0,
            rwd_valid: false,
            rwd_opcode: 0,
            rwd_ld_id: 0,
            rwd_poison: false,
            ndr_ready: false,
            drs_ready: false,
            fault: 0,
            ras_correctable: 0,
            req_tag: 0,
            rwd_tag: 0,
            ras_uncorrectable: 0,
            req_address: 0,
            rwd_address: 0,
            rwd_mask: 0,
            rwd_data: [0; 64],
            link_status: [0; 12],
            tx_flit: [0; FLIT_BYTES],
        }
    }
}

/// The C++ side's object.
#[repr(C)]
struct Dut {
    _opaque: [u8; 0],
}

extern "C" {
    fn cl_new() -> *mut Dut;
    fn cl_free(dut: *mut Dut);
    fn cl_low(dut: *mut Dut, inputs: *const Inputs, outputs: *mut Outputs);
    fn cl_high(dut: *mut Dut, inputs: *const Inputs);
    #[cfg(test)]
    fn cl_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated link layer. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(super) struct VerilatedLink(NonNull<Dut>);

// SAFETY: rule 2; a model shares nothing with other models (each has a context of its own), so it
// may be used from any one thread at a time.
unsafe impl Send for VerilatedLink {}

impl VerilatedLink {
    /// A link before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rule 3.
        NonNull::new(unsafe { cl_new() }).map(Self)
    }

    /// Settles with these inputs; what stands on the pins in this cycle. No output follows the ready of
    /// the request channels, which is not looked at yet.
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { cl_low(self.0.as_ptr(), inputs, outputs) }
    }

    /// The clock edge that ends the cycle, with the ready of the request channels.
    pub fn high(&mut self, inputs: &Inputs) {
        // SAFETY: rules 1, 2 and 3; the reference outlives the call, which does not keep it.
        unsafe { cl_high(self.0.as_ptr(), inputs) }
    }
}

impl Drop for VerilatedLink {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { cl_free(self.0.as_ptr()) }
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
        let mut theirs = [0; 16];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { cl_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
