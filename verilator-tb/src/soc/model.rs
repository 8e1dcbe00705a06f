//! The Verilated soft core, with the unsafe code that it takes.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`SocIn`] and [`SocOut`] have the layout of `cpp/soc.h` (a test compares it). A `bool` of
//!    [`SocOut`] is a one-bit pin, whose unused bits Verilator keeps clear.
//! 2. A [`SocModel`] owns its model alone: the pointer comes from `soc_new`, is not null, is never
//!    copied, and is freed once, on drop.
//! 3. No C++ exception leaves the shim; all of its functions are `noexcept`.
//! 4. The core's memory is an array of words inside the model, which nothing else touches while a
//!    call into the model is not under way.

use std::ptr::NonNull;

/// Pins that the test bench drives.
#[repr(C)]
#[derive(Default)]
pub(super) struct SocIn {
    pub now: u64,
    pub board_frames: u32,
    pub m_rdata: u32,
    /// The core's clock rises in this step.
    pub core_edge: bool,
    /// The component's clock rises in this step.
    pub bus_edge: bool,
    pub reset: bool,
    pub irq_monitor: bool,
    pub m_done: bool,
    pub m_error: bool,
    pub gpio_in: u8,
    pub tck: bool,
    pub tms: bool,
    pub tdi: bool,
    pub trst_n: bool,
}

/// Pins that the core drives.
#[repr(C)]
#[derive(Default)]
pub(super) struct SocOut {
    pub alarm: u64,
    pub deadline: u64,
    pub m_wdata: u32,
    pub pc: u32,
    pub m_addr: u16,
    pub m_valid: bool,
    pub m_write: bool,
    pub sleeping: bool,
    pub halted: bool,
    pub busy: bool,
    pub resetting: bool,
    pub gpio_out: u8,
    pub tdo: bool,
}

/// The C++ side's object.
#[repr(C)]
struct Soc {
    _opaque: [u8; 0],
}

extern "C" {
    fn soc_new() -> *mut Soc;
    fn soc_free(soc: *mut Soc);
    fn soc_step(soc: *mut Soc, inputs: *const SocIn, outputs: *mut SocOut);
    fn soc_ram(soc: *mut Soc, words: *mut u32) -> *mut u32;
    #[cfg(test)]
    fn soc_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated core.
pub(super) struct SocModel(NonNull<Soc>);

// SAFETY: rule 2; a model shares nothing with other models (each has a context of its own), so it
// may be used from any one thread at a time.
unsafe impl Send for SocModel {}

impl SocModel {
    /// A core before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rule 3.
        NonNull::new(unsafe { soc_new() }).map(Self)
    }

    /// Settles the inputs, lets the clocks rise that are to rise, and samples the outputs.
    #[inline]
    pub fn step(&mut self, inputs: &SocIn, outputs: &mut SocOut) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { soc_step(self.0.as_ptr(), inputs, outputs) }
    }

    /// The core's memory, in words.
    pub fn ram(&mut self) -> &mut [u32] {
        let mut words = 0;
        // SAFETY: rules 2, 3 and 4: as many words as the shim says, borrowed as long as the model.
        unsafe {
            let first = soc_ram(self.0.as_ptr(), &mut words);
            std::slice::from_raw_parts_mut(first, words as usize)
        }
    }
}

impl Drop for SocModel {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { soc_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_structs_have_the_shims_layout() {
        let ours = [
            size_of::<SocIn>(),
            offset_of!(SocIn, m_rdata),
            offset_of!(SocIn, core_edge),
            offset_of!(SocIn, trst_n),
            size_of::<SocOut>(),
            offset_of!(SocOut, m_addr),
            offset_of!(SocOut, m_valid),
            offset_of!(SocOut, tdo),
        ];
        let mut theirs = [0; 16];
        // SAFETY: rule 3; the array outlives the call, and its length is told.
        let count = unsafe { soc_layout(theirs.as_mut_ptr(), theirs.len() as u32) };
        assert_eq!(theirs[..count as usize].to_vec(), ours.map(|n| n as u32).to_vec());
    }
}
