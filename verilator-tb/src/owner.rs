//! What the wrappers of all Verilated models share.
//!
//! Safety rules, which every `unsafe` of this crate relies on; a wrapper adds its own:
//! 1. A wrapper's structs have the layout of its shim's header in `cpp/` (a test compares it). A `bool`
//!    that a shim fills is a one-bit pin, whose unused bits Verilator keeps clear.
//! 2. An [`Owner`] owns its model alone: the pointer comes from the shim's `new`, is not null, is never
//!    copied, and is freed once, on drop.
//! 3. No C++ exception leaves a shim; all of its functions are `noexcept`.

use std::ptr::NonNull;

/// The C++ side's object.
#[repr(C)]
pub(crate) struct Model {
    _opaque: [u8; 0],
}

/// A Verilated model.
pub(crate) struct Owner {
    model: NonNull<Model>,
    free: unsafe extern "C" fn(*mut Model),
}

// SAFETY: rule 2; a model shares nothing with other models (each has a context of its own), so it
// may be used from any one thread at a time.
unsafe impl Send for Owner {}

impl Owner {
    /// `None` if the shim had no memory for one.
    ///
    /// # Safety
    /// `model` is null or new, and `free` is of the same shim: rule 2 holds.
    pub unsafe fn new(model: *mut Model, free: unsafe extern "C" fn(*mut Model)) -> Option<Self> {
        NonNull::new(model).map(|model| Self { model, free })
    }

    /// For a call of the shim that the pointer came from.
    #[inline]
    pub fn get(&mut self) -> *mut Model {
        self.model.as_ptr()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: rule 2: the pointer is not used after this.
        unsafe { (self.free)(self.model.as_ptr()) }
    }
}

/// The sizes and offsets of the structs that a shim shares with its wrapper.
#[cfg(test)]
pub(crate) fn layout(shim: unsafe extern "C" fn(*mut u32, u32) -> u32) -> Vec<usize> {
    let mut numbers = [0; 32];
    // SAFETY: rule 3; the array outlives the call, and its length is told.
    let count = unsafe { shim(numbers.as_mut_ptr(), numbers.len() as u32) };
    numbers[..count as usize].iter().map(|number| *number as usize).collect()
}

/// Implements `Default` for structs of pins: all low.
macro_rules! all_low {
    ($($pins:ty),*) => {$(
        impl Default for $pins {
            fn default() -> Self {
                bytemuck::Zeroable::zeroed()
            }
        }
    )*};
}
pub(crate) use all_low;
