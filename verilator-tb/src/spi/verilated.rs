//! The Verilated SPI bridge. Safety rules: those of [`crate::owner`].

use crate::owner::{Model, Owner};

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

extern "C" {
    fn ss_new() -> *mut Model;
    fn ss_free(model: *mut Model);
    fn ss_low(model: *mut Model, inputs: *const Inputs, outputs: *mut Outputs);
    fn ss_high(model: *mut Model);
    #[cfg(test)]
    fn ss_layout(numbers: *mut u32, count: u32) -> u32;
}

/// The Verilated bridge. A cycle is [`low`](Self::low), then [`high`](Self::high).
pub(crate) struct Bridge(Owner);

impl Bridge {
    /// A model before reset. `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rules 2 and 3.
        unsafe { Owner::new(ss_new(), ss_free) }.map(Self)
    }

    #[inline]
    pub fn low(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { ss_low(self.0.get(), inputs, outputs) }
    }

    #[inline]
    pub fn high(&mut self) {
        // SAFETY: rules 2 and 3.
        unsafe { ss_high(self.0.get()) }
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
        assert_eq!(crate::owner::layout(ss_layout), ours);
    }
}
