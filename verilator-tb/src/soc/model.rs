//! The Verilated soft core. Safety rules: those of [`crate::owner`], and
//! 4. The core's memory is an array of words inside the model, which nothing else touches while a
//!    call into the model is not under way.

use crate::owner::{Model, Owner};

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

extern "C" {
    fn soc_new() -> *mut Model;
    fn soc_free(soc: *mut Model);
    fn soc_step(soc: *mut Model, inputs: *const SocIn, outputs: *mut SocOut);
    fn soc_ram(soc: *mut Model, words: *mut u32) -> *mut u32;
    #[cfg(test)]
    fn soc_layout(numbers: *mut u32, count: u32) -> u32;
}

/// One Verilated core.
pub(super) struct SocModel(Owner);

impl SocModel {
    /// A core before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(soc_new(), soc_free) }.map(Self)
    }

    /// Settles the inputs, lets the clocks rise that are to rise, and samples the outputs.
    #[inline]
    pub fn step(&mut self, inputs: &SocIn, outputs: &mut SocOut) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { soc_step(self.0.get(), inputs, outputs) }
    }

    /// The core's memory, in words.
    pub fn ram(&mut self) -> &mut [u32] {
        let mut words = 0;
        // SAFETY: rules 2, 3 and 4: as many words as the shim says, borrowed as long as the model.
        unsafe {
            let first = soc_ram(self.0.get(), &mut words);
            std::slice::from_raw_parts_mut(first, words as usize)
        }
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
        assert_eq!(crate::owner::layout(soc_layout), ours);
    }
}
