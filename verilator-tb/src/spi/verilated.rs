//! The Verilated bridge: with `crate::verilated` the only place with unsafe code.
//!
//! Safety rules: 1. [`Inputs`] and [`Outputs`] have the layout of `cpp/spi.h` (a test compares it), and a
//! `bool` of [`Outputs`] is a one-bit pin. 2. A [`Bridge`] owns its model alone: the pointer comes from
//! `ss_new`, is not null, is never copied, and is freed once, on drop. 3. No C++ exception leaves the
//! shim.

use std::ptr::NonNull;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Inputs {
    pub m_rdata: u32,
    pub reset: bool,
    pub sck: bool,
    pub cs_n: bool,
    pub mosi: bool,
    pub m_done: bool,
    pub m_error: bool,
    pub irq_monitor: bool,
}

#[repr(C)]
#[derive(Default)]
pub(crate) struct Outputs {
    pub m_wdata: u32,
    pub m_addr: u16,
    pub m_valid: bool,
    pub m_write: bool,
    pub miso: bool,
    pub irq: bool,
}

/// The C++ side's object.
#[repr(C)]
struct Model {
    _opaque: [u8; 0],
}

extern "C" {
    fn ss_new() -> *mut Model;
    fn ss_free(model: *mut Model);
    fn ss_low(model: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn ss_high(model: *mut Model);
    #[cfg(test)]
    fn ss_layout(numbers: *mut u32, count: u32) -> u32;
}

/// The Verilated bridge. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(crate) struct Bridge(NonNull<Model>);

// SAFETY: rule 2; a model has a context of its own, so it may be used from any one thread at a time.
unsafe impl Send for Bridge {}

impl Bridge {
    /// A model before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: takes nothing; rule 3.
        NonNull::new(unsafe { ss_new() }).map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { ss_low(self.0.as_ptr(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { ss_high(self.0.as_ptr()) }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { ss_free(self.0.as_ptr()) }
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
            offset_of!(Inputs, irq_monitor),
            size_of::<Outputs>(),
            offset_of!(Outputs, irq),
        ];
        let mut theirs = [0; 16];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { ss_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
