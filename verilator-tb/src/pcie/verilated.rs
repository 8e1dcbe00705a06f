//! The Verilated PCIe endpoint. Safety rules: those of [`crate::owner`].

use crate::owner::{all_low, Model, Owner};
use bytemuck::Zeroable;
use splitmem_abi::request::Line;

/// One beat of a TLP; `hdl/src/pcie/mod.rs` says what the fields mean.
#[repr(C)]
#[derive(Clone, Copy, Zeroable)]
pub(crate) struct Beat {
    pub valid: bool,
    pub first: bool,
    pub last: bool,
    pub bar: u8,
    pub dwords: u8,
    pub header: [u8; 16],
    pub data: Line,
}

#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct NativeIn {
    pub req_ready: bool,
    pub resp_valid: bool,
    pub resp_status: u8,
    pub resp_tag: u16,
    pub resp_data: Line,
}

#[repr(C)]
#[derive(Zeroable)]
pub(crate) struct NativeOut {
    pub req_valid: bool,
    pub req_op: u8,
    pub resp_ready: bool,
    pub req_tag: u16,
    pub req_pid: u16,
    pub req_va: u64,
    pub req_mask: u64,
    pub req_data: Line,
}

#[repr(C)]
#[derive(Default, Zeroable)]
pub(crate) struct Inputs {
    pub rx: Beat,
    pub port: [NativeIn; 2],
    pub h_rdata: u32,
    pub cfg_id: u16,
    pub h_done: bool,
    pub h_error: bool,
    pub irq_host: bool,
    pub reset: bool,
    pub flr: bool,
    pub tx_ready: bool,
    pub cfg_max_payload: u8,
    pub cfg_max_read: u8,
    pub cfg_bus_master: bool,
    pub cfg_msix_enable: bool,
    pub cfg_msix_mask: bool,
}

#[repr(C)]
#[derive(Default, Zeroable)]
pub(crate) struct Outputs {
    pub tx: Beat,
    pub port: [NativeOut; 2],
    pub h_wdata: u32,
    pub h_addr: u16,
    pub h_valid: bool,
    pub h_write: bool,
    pub rx_ready: bool,
    pub flr_done: bool,
}

all_low!(Beat, NativeIn, NativeOut);

extern "C" {
    fn sp_new() -> *mut Model;
    fn sp_free(model: *mut Model);
    fn sp_low(model: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn sp_high(model: *mut Model);
    #[cfg(test)]
    fn sp_layout(numbers: *mut u32, count: u32) -> u32;
}

/// The Verilated endpoint. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(crate) struct Endpoint(Owner);

impl Endpoint {
    /// A model before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(sp_new(), sp_free) }.map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sp_low(self.0.get(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sp_high(self.0.get()) }
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
            offset_of!(Inputs, port) + size_of::<NativeIn>() + offset_of!(NativeIn, resp_data),
            offset_of!(Inputs, cfg_msix_mask),
            offset_of!(Inputs, cfg_id),
            size_of::<Outputs>(),
            offset_of!(Outputs, port) + size_of::<NativeOut>() + offset_of!(NativeOut, req_data),
            offset_of!(Outputs, flr_done),
            offset_of!(Outputs, h_addr),
        ];
        assert_eq!(crate::owner::layout(sp_layout), ours);
    }
}
