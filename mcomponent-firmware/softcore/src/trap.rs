//! Traps. Interrupts are never taken (see [`crate::power`]), so there are two kinds: a compartment
//! calls the kernel or fails, and what runs in machine mode fails.
//!
//! `mscratch` holds the frame of the compartment that runs, and zero while machine mode does.

use core::arch::global_asm;

/// Bytes of stack that the handler of failures needs.
const EMERGENCY: usize = 2048;

/// A stack for the handler of failures, if the one in use is what failed.
#[no_mangle]
static mut EMERGENCY_STACK: [u128; EMERGENCY / 16] = [0; EMERGENCY / 16];

// Ibex takes every trap at a multiple of 256 bytes, exceptions at the first entry of a table of
// jumps; the other entries are interrupts'.
global_asm!(
    ".section .trap.vector, \"ax\"
    .balign 256
    .option push
    .option norvc
trap_vector:
    .rept 32
    j trap_entry
    .endr
    .option pop

    .section .trap.start, \"ax\"
trap_entry:
    csrrw t0, mscratch, zero
    beqz t0, 1f
    j compartment_trap

1:  // Machine mode failed. Its stack is good if it lies between guard and top with room to spare.
    la t0, __estack + 1024
    bltu sp, t0, 2f
    la t0, _stack_start
    bgeu t0, sp, 3f
2:  la sp, EMERGENCY_STACK + {emergency}
3:  .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    j {failed}",
    emergency = const EMERGENCY,
    failed = sym crate::machine_failed,
);

#[cfg(not(isolation = "full"))]
global_asm!(
    ".section .trap.start, \"ax\"
compartment_trap:
    j compartment_trap"
);

/// Where traps go, from before the first variable is used.
#[riscv_rt::setup_interrupts]
fn set_up() {
    // SAFETY: the vector is code for exactly this; no trap can come between the two.
    unsafe {
        core::arch::asm!(
            "csrw mscratch, zero",
            "la {address}, trap_vector",
            "csrw mtvec, {address}",
            address = out(reg) _,
        );
    }
}
