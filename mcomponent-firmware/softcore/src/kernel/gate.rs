//! The gates: how compartments are entered, and what they may ask for.
//!
//! A call is one trap each way. Arguments and results are registers and a message, which the kernel
//! copies from the one's memory to the other's; no compartment gives anybody an address. A call
//! begins at the compartment's entry with an empty stack, so that nothing of an earlier one is on it.

use super::rights::{self, give, place, RIGHTS};
use crate::parts::{self, trap};
use crate::{postmortem, power};
use core::arch::global_asm;
use core::ptr::{addr_of, addr_of_mut};
use splitmem_abi::mailbox::{Compartment, Payload};
use splitmem_abi::regs::MAILBOX_WORDS;

/// `mcause` of a call without privilege.
const CALL: u32 = 8;

/// What a compartment gave back.
#[derive(Clone, Copy)]
pub struct Reply {
    pub value: u32,
    /// Words of its message that count.
    pub words: usize,
}

/// A compartment's registers while something else runs.
#[repr(C)]
struct Frame {
    kernel_sp: u32,
    pc: u32,
    ra: u32,
    sp: u32,
    saved: [u32; 12],
    arguments: [u32; 8],
}

const EMPTY: Frame = Frame { kernel_sp: 0, pc: 0, ra: 0, sp: 0, saved: [0; 12], arguments: [0; 8] };

/// One for each compartment.
static mut FRAMES: [Frame; 3] = [EMPTY; 3];
/// Those that are in a call: a bit each. Nobody is called twice at once.
static mut BUSY: u32 = 0;
/// Those that failed and were not started since.
static mut FAILED: u32 = 0;

// Both give what ended it: `mcause`. What they do not keep of the compartment's registers, a function
// call does not keep either.
global_asm!(
    ".section .text.gate, \"ax\"
    .option push
    .option norelax

compartment_enter:
    .cfi_startproc
    addi sp, sp, -64
    sw ra, 0(sp)
    sw s0, 4(sp)
    sw s1, 8(sp)
    sw s2, 12(sp)
    sw s3, 16(sp)
    sw s4, 20(sp)
    sw s5, 24(sp)
    sw s6, 28(sp)
    sw s7, 32(sp)
    sw s8, 36(sp)
    sw s9, 40(sp)
    sw s10, 44(sp)
    sw s11, 48(sp)
    sw sp, 0(a0)
    csrw mscratch, a0
    lw t0, 4(a0)
    csrw mepc, t0
    lw sp, 12(a0)
    lw a1, 68(a0)
    lw a2, 72(a0)
    lw a3, 76(a0)
    lw a4, 80(a0)
    lw a5, 84(a0)
    lw a6, 88(a0)
    lw a7, 92(a0)
    lw a0, 64(a0)
    li ra, 0
    li s0, 0
    li s1, 0
    li s2, 0
    li s3, 0
    li s4, 0
    li s5, 0
    li s6, 0
    li s7, 0
    li s8, 0
    li s9, 0
    li s10, 0
    li s11, 0
1:  li t0, 0
    li t1, 0
    li t2, 0
    li t3, 0
    li t4, 0
    li t5, 0
    li t6, 0
    mret

compartment_resume:
    addi sp, sp, -64
    sw ra, 0(sp)
    sw s0, 4(sp)
    sw s1, 8(sp)
    sw s2, 12(sp)
    sw s3, 16(sp)
    sw s4, 20(sp)
    sw s5, 24(sp)
    sw s6, 28(sp)
    sw s7, 32(sp)
    sw s8, 36(sp)
    sw s9, 40(sp)
    sw s10, 44(sp)
    sw s11, 48(sp)
    sw sp, 0(a0)
    csrw mscratch, a0
    lw t0, 4(a0)
    csrw mepc, t0
    lw ra, 8(a0)
    lw sp, 12(a0)
    lw s0, 16(a0)
    lw s1, 20(a0)
    lw s2, 24(a0)
    lw s3, 28(a0)
    lw s4, 32(a0)
    lw s5, 36(a0)
    lw s6, 40(a0)
    lw s7, 44(a0)
    lw s8, 48(a0)
    lw s9, 52(a0)
    lw s10, 56(a0)
    lw s11, 60(a0)
    lw a1, 68(a0)
    lw a0, 64(a0)
    li a2, 0
    li a3, 0
    li a4, 0
    li a5, 0
    li a6, 0
    li a7, 0
    j 1b

compartment_trap:
    // t0 is the frame; a compartment that calls does not count on t0 to t6.
    csrr t1, mcause
    sw a0, 64(t0)
    sw a1, 68(t0)
    sw a7, 92(t0)
    addi t2, t1, -{call}
    bnez t2, 2f
    beqz a7, 2f
    csrr t2, mepc
    addi t2, t2, 4
    sw t2, 4(t0)
    sw ra, 8(t0)
    sw sp, 12(t0)
    sw s0, 16(t0)
    sw s1, 20(t0)
    sw s2, 24(t0)
    sw s3, 28(t0)
    sw s4, 32(t0)
    sw s5, 36(t0)
    sw s6, 40(t0)
    sw s7, 44(t0)
    sw s8, 48(t0)
    sw s9, 52(t0)
    sw s10, 56(t0)
    sw s11, 60(t0)
    sw a2, 72(t0)
    sw a3, 76(t0)
    sw a4, 80(t0)
    sw a5, 84(t0)
    sw a6, 88(t0)
2:  lw sp, 0(t0)
    lw ra, 0(sp)
    lw s0, 4(sp)
    lw s1, 8(sp)
    lw s2, 12(sp)
    lw s3, 16(sp)
    lw s4, 20(sp)
    lw s5, 24(sp)
    lw s6, 28(sp)
    lw s7, 32(sp)
    lw s8, 36(sp)
    lw s9, 40(sp)
    lw s10, 44(sp)
    lw s11, 48(sp)
    addi sp, sp, 64
    la gp, __global_pointer$
    mv a0, t1
    ret
    .cfi_endproc
    .option pop",
    call = const CALL,
);

extern "C" {
    /// Runs a compartment from its entry on, with eight arguments.
    fn compartment_enter(frame: *mut Frame) -> u32;
    /// Lets one that has called go on, with two results.
    fn compartment_resume(frame: *mut Frame) -> u32;
}

/// The message of a compartment that does not run.
pub fn message(of: Compartment) -> &'static mut Payload {
    let address = rights::message(of);
    // SAFETY: the linker's map leaves these words to nothing else; any words are a value; the
    // compartment does not run meanwhile, and no caller keeps the reference until it does.
    unsafe { &mut *(address as *mut Payload) }
}

/// Whether a compartment has failed since this was asked; it may be entered again.
pub fn take_failed(compartment: Compartment) -> bool {
    let bit = 1 << place(compartment);
    // SAFETY: one hart, no interrupts; nothing else runs in machine mode.
    unsafe {
        let failed = addr_of!(FAILED).read() & bit != 0;
        addr_of_mut!(FAILED).write(addr_of!(FAILED).read() & !bit);
        failed
    }
}

/// Calls a compartment. `None` if it failed, now or before: it has left a record.
pub fn run(target: Compartment, arguments: [u32; 8]) -> Option<Reply> {
    let bit = 1 << place(target);
    // SAFETY: as in `take_failed`.
    let (busy, failed) = unsafe { (addr_of!(BUSY).read(), addr_of!(FAILED).read()) };
    if (busy | failed) & bit != 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe { addr_of_mut!(BUSY).write(busy | bit) };
    let reply = enter(target, arguments);
    // SAFETY: as above.
    unsafe {
        addr_of_mut!(BUSY).write(busy);
        if reply.is_none() {
            addr_of_mut!(FAILED).write(addr_of!(FAILED).read() | bit);
        }
    }
    reply
}

fn enter(target: Compartment, arguments: [u32; 8]) -> Option<Reply> {
    let rights = &RIGHTS[place(target)];
    // SAFETY: the frame is this compartment's alone, which is entered once at a time; the kernel is
    // elsewhere while a compartment runs.
    let frame = unsafe { &mut *addr_of_mut!(FRAMES[place(target)]) };
    let starts = arguments[0] == parts::operation::START;
    let mut may_call = rights.calls;
    frame.pc = parts::entry(target) as usize as u32;
    frame.sp = rights.stack;
    frame.arguments = arguments;
    postmortem::note_running(target);
    give(rights, starts);
    // SAFETY: the frame says where it begins and on which stack; what it may reach was set.
    let mut cause = unsafe { compartment_enter(frame) };
    loop {
        let [value, words, .., which] = frame.arguments;
        if cause != CALL {
            crate::failed(target);
            return None;
        }
        let result = match which {
            trap::RETURN => {
                postmortem::note_running(Compartment::Kernel);
                return Some(Reply { value, words: (words as usize).min(MAILBOX_WORDS) });
            }
            trap::SLEEP if rights.waits => {
                power::feed();
                power::sleep();
                [0, 0]
            }
            trap::ALIVE if rights.waits => {
                power::feed();
                [0, 0]
            }
            trap::PANIC => {
                panicked(target, &frame.arguments);
                return None;
            }
            _ => {
                let callee = which.wrapping_sub(trap::CALL);
                let allowed = callee < 3 && may_call >> callee & 1 == 1;
                let callee = Compartment::from_number(callee.wrapping_add(1));
                let (Some(callee), true) = (callee, allowed) else {
                    crate::failed(target);
                    return None;
                };
                may_call &= !(1 << place(callee));
                call(target, callee, &frame.arguments)
            }
        };
        frame.arguments[..2].copy_from_slice(&result);
        postmortem::note_running(target);
        give(rights, starts);
        // SAFETY: as above; it goes on behind its call.
        cause = unsafe { compartment_resume(frame) };
    }
}

/// One compartment's call of another: value and words, or that it failed.
fn call(caller: Compartment, callee: Compartment, arguments: &[u32; 8]) -> [u32; 2] {
    let [head, a, b, c, d, e, f, _] = *arguments;
    // Only the kernel starts, tends and finishes.
    let Some(reply) = run(callee, [parts::operation::SERVE, head, a, b, c, d, e, f]) else {
        return [parts::FAILED, 0];
    };
    let words = reply.words;
    message(caller)[..words].copy_from_slice(&message(callee)[..words]);
    [reply.value, words as u32]
}

/// A compartment's own words on its failure, as far as they are in its memory.
fn panicked(target: Compartment, arguments: &[u32; 8]) {
    let [at, length, line, ..] = *arguments;
    let rights = &RIGHTS[place(target)];
    let end = at.checked_add(length).filter(|&end| at >= rights.base && end <= rights.end);
    let text = match end {
        // SAFETY: the bytes are in the compartment's memory, and it does not run.
        Some(_) => unsafe { core::slice::from_raw_parts(at as *const u8, length as usize) },
        None => &[],
    };
    let text = core::str::from_utf8(text).unwrap_or("");
    let failure =
        postmortem::Failure { kind: postmortem::PANIC, value: line, ..Default::default() };
    let name = target.name();
    postmortem::leave(target, failure, format_args!("{name}: {text}"));
    defmt::error!("{=str}: panic in line {=u32}: {=str}", name, line, text);
}
