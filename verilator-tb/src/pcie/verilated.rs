//! The Verilated endpoint: with `crate::verilated` the only place with unsafe code.
//!
//! Safety rules: 1. [`Inputs`] and [`Outputs`] have the layout of `cpp/pcie.h` (a test compares it), and
//! a `bool` of [`Outputs`] is a one-bit pin. 2. An [`Endpoint`] owns its model alone: the pointer comes
//! from `sp_new`, is not null, is never copied, and is freed once, on drop. 3. No C++ exception leaves
//! the shim.

use splitmem_abi::request::Line;
use std::ptr::NonNull;

/// One beat of a TLP; `hdl/src/pcie/mod.rs` says what the fields mean.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Beat {
    pub valid: bool,
    pub first: bool,
    pub last: bool,
    pub bar: u8,
    pub dwords: u8,
    pub header: [u8; 16],
    pub data: Line,
}

impl Default for Beat {
    fn default() -> Self {
        let (header, data) = ([0; 16], [0; 64]);
        Self { valid: false, first: false, last: false, bar: 0, dwords: 0, header, data }
    }
}

#[repr(C)]
pub(crate) struct NativeIn {
    pub req_ready: bool,
    pub resp_valid: bool,
    pub resp_status: u8,
    pub resp_tag: u16,
    pub resp_data: Line,
}

#[repr(C)]
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

impl Default for NativeIn {
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

impl Default for NativeOut {
    fn default() -> Self {
        Self {
            req_valid: false,
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

#[repr(C)]
#[derive(Default)]
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
#[derive(Default)]
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

/// The C++ side's object.
#[repr(C)]
struct Model {
    _opaque: [u8; 0],
}

extern "C" {
    fn sp_new() -> *mut Model;
    fn sp_free(model: *mut Model);
    fn sp_low(model: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn sp_high(model: *mut Model);
    #[cfg(test)]
    fn sp_layout(numbers: *mut u32, count: u32) -> u32;
}

/// The Verilated endpoint. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(crate) struct Endpoint(NonNull<Model>);

// SAFETY: rule 2; a model has a context of its own, so it may be used from any one thread at a time.
unsafe impl Send for Endpoint {}

impl Endpoint {
    /// A model before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: takes nothing; rule 3.
        NonNull::new(unsafe { sp_new() }).map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sp_low(self.0.as_ptr(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { sp_high(self.0.as_ptr()) }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { sp_free(self.0.as_ptr()) }
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
        let mut theirs = [0; 16];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { sp_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
