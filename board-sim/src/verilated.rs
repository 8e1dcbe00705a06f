//! The Verilated board: the one place with unsafe code.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`PinsIn`] and [`PinsOut`] are the structs of `cpp/board.cpp`, field by field.
//! 2. A [`Verilated`] owns its model alone; it comes from `sb_new`, is not null, and is freed once.
//! 3. No C++ exception leaves the shim.

use std::ptr::NonNull;

/// What stands at the board's input pins.
#[repr(C)]
#[derive(Default)]
pub struct PinsIn {
    pub reset: bool,
    pub rx: bool,
    pub thorough: bool,
    pub dq_in: u16,
}

/// What the board drives after the clock edge. One-bit pins are 0 or 1.
#[repr(C)]
#[derive(Default)]
pub struct PinsOut {
    pub tx: u8,
    pub leds: u8,
    pub cke: u8,
    pub cs_n: u8,
    pub ras_n: u8,
    pub cas_n: u8,
    pub we_n: u8,
    pub ba: u8,
    pub dqm: u8,
    pub dq_drive: u8,
    pub a: u16,
    pub dq_out: u16,
}

#[repr(C)]
struct Model {
    _opaque: [u8; 0],
}

extern "C" {
    fn sb_new() -> *mut Model;
    fn sb_free(model: *mut Model);
    fn sb_cycle(model: *mut Model, pins: *const PinsIn, out: *mut PinsOut);
}

/// One model.
pub struct Verilated(NonNull<Model>);

// SAFETY: rule 2; a model shares nothing with others (each has a context of its own), so it may be
// used from any one thread at a time.
unsafe impl Send for Verilated {}

impl Verilated {
    /// A board before its first clock edge; `None` if there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rule 3.
        NonNull::new(unsafe { sb_new() }).map(Self)
    }

    /// One clock cycle.
    #[inline]
    pub fn cycle(&mut self, pins: &PinsIn, out: &mut PinsOut) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sb_cycle(self.0.as_ptr(), pins, out) }
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { sb_free(self.0.as_ptr()) }
    }
}
