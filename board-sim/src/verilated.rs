//! The Verilated board, and its memory alone: the one place with unsafe code.
//!
//! Safety rules, which every `unsafe` below relies on:
//! 1. [`PinsIn`] and [`PinsOut`] are the structs of `cpp/board.cpp`, field by field; [`MemoryIn`] and
//!    [`MemoryOut`] those of `cpp/memory.cpp`.
//! 2. A [`Verilated`] owns its model alone; it comes from `sb_new`, is not null, and is freed once. So
//!    does a [`Memory`], with `sb_memory_new`.
//! 3. No C++ exception leaves the shim.
//! 4. The soft core's memory is an array of words inside the model, which nothing else touches while
//!    no call into the model is under way.

use std::ptr::NonNull;

/// What stands at the board's input pins.
#[repr(C)]
#[derive(Default)]
pub struct PinsIn {
    pub reset: bool,
    pub rx: bool,
    pub thorough: bool,
    /// The soft core's clock rises with the component's.
    pub core_edge: bool,
    pub tck: bool,
    pub tms: bool,
    pub tdi: bool,
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
    pub tdo: u8,
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
    fn sb_ram(model: *mut Model, words: *mut u32) -> *mut u32;
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

    /// The soft core's memory, in words.
    pub fn ram(&mut self) -> &mut [u32] {
        let mut words = 0;
        // SAFETY: rules 2, 3 and 4: as many words as the shim says, borrowed as long as the model.
        unsafe {
            let first = sb_ram(self.0.as_ptr(), &mut words);
            std::slice::from_raw_parts_mut(first, words as usize)
        }
    }
}

impl Drop for Verilated {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { sb_free(self.0.as_ptr()) }
    }
}

/// What stands at the memory's input pins: reads.
#[repr(C)]
#[derive(Default)]
pub struct MemoryIn {
    pub reset: bool,
    pub valid: bool,
    pub dq_in: u16,
    pub line: u32,
}

/// What the memory drives after the clock edge, and what the edge took. One-bit pins are 0 or 1.
#[repr(C)]
#[derive(Default)]
pub struct MemoryOut {
    pub ready: u8,
    /// The command was taken.
    pub took: u8,
    /// A line's last beat was given.
    pub gave_last: u8,
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

extern "C" {
    fn sb_memory_new() -> *mut Model;
    fn sb_memory_free(model: *mut Model);
    fn sb_memory_cycle(model: *mut Model, pins: *const MemoryIn, out: *mut MemoryOut);
}

/// One memory.
pub struct Memory(NonNull<Model>);

impl Memory {
    /// A memory before its first clock edge; `None` if there is no room for it.
    pub fn new() -> Option<Self> {
        // SAFETY: rule 3.
        NonNull::new(unsafe { sb_memory_new() }).map(Self)
    }

    /// One clock cycle.
    pub fn cycle(&mut self, pins: &MemoryIn, out: &mut MemoryOut) {
        // SAFETY: rules 1, 2 and 3; the references outlive the call, which does not keep them.
        unsafe { sb_memory_cycle(self.0.as_ptr(), pins, out) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { sb_memory_free(self.0.as_ptr()) }
    }
}
