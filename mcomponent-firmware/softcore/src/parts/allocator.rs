//! The allocator and page-table writer.

use super::{ask, command, give_back, message, operation, trap, BAD_MEMORY, VITALS};
use crate::registers::Component;
use crate::tables;
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use mcomponent_firmware::{Allocator, Error, MonitorConfig, Wait, Waiting};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{Compartment, Payload, ReturnCode};
use splitmem_abi::regs;

type Owner = Allocator<'static, Component, Patience>;

#[no_mangle]
#[link_section = ".allocator.state"]
static mut ALLOCATOR_STATE: MaybeUninit<Owner> = MaybeUninit::uninit();

/// Waits behind the gate.
struct Patience;

impl Wait for Patience {
    fn wait(&mut self, what: Waiting) {
        ask(if what.interrupts() { trap::SLEEP } else { trap::ALIVE });
    }
}

/// Called by the kernel, and with commands by the parser.
pub extern "C" fn enter(what: u32, head: u32, a: u32, b: u32, c: u32, d: u32, e: u32, f: u32) -> ! {
    // SAFETY: this part runs, and has no other reference to its message.
    let message = unsafe { message(Compartment::Allocator) };
    let state = addr_of_mut!(ALLOCATOR_STATE);
    if what == operation::START {
        match start(head, message) {
            // SAFETY: the state is this part's alone, and it is entered once at a time.
            Ok(owner) => unsafe { (*state).write(owner) },
            Err(Error::BadMemory(fault)) => {
                let words = [fault.address as u32, (fault.address >> 32) as u32, fault.bits];
                message[..3].copy_from_slice(&words);
                give_back(BAD_MEMORY, 3);
            }
            Err(error) => panic!("{}", error),
        };
        give_back(0, 4);
    }
    // SAFETY: as above, and it was started before.
    let owner = unsafe { (*state).assume_init_mut() };
    let done = match what {
        operation::SERVE => serve(owner, head, [a, b, c, d, e, f], message),
        operation::TEND => owner.tend().map(|_| (0, 0)),
        operation::CONCLUDE => owner.conclude().map(|()| (0, 0)),
        operation::ABANDON => owner.abandon().map(|()| (0, 0)),
        _ => Ok((0, 0)),
    };
    match done {
        Ok((value, words)) => give_back(value, words),
        Err(error) => panic!("{}", error),
    }
}

fn start(frames: u32, message: &mut Payload) -> Result<Owner, Error> {
    let frames = Some(frames);
    let config = MonitorConfig { frames, test_memory: true, ..MonitorConfig::default() };
    let layout = config.layout(Component.read(regs::HW_MEMORY.offset)?)?;
    // SAFETY: a part that failed here is only started after a reset of the core.
    let tables = unsafe { tables::take(&layout) }?;
    let recovers = Owner::in_use(&mut Component)?;
    let owner = if recovers {
        Allocator::recover(Component, Patience, tables, &config)?
    } else {
        Allocator::boot(Component, Patience, tables, &config)?
    };
    let words =
        [layout.frames(), layout.log2_buckets(), recovers as u32, owner.has_statistics() as u32];
    message[..4].copy_from_slice(&words);
    Ok(owner)
}

fn serve(
    owner: &mut Owner,
    head: u32,
    words: [u32; 6],
    message: &mut Payload,
) -> Result<(u32, usize), Error> {
    if head == VITALS as u32 {
        let length = owner.vitals().encode(message);
        return Ok((ReturnCode::Success as u32, length as usize / 4));
    }
    let (code, length) = match command(head, words) {
        Ok(command) => owner.execute(command, message)?,
        Err(code) => (code, 0),
    };
    Ok((code as u32, length as usize / 4))
}
