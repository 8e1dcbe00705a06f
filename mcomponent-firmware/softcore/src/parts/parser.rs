//! The mailbox's parser: the only part that reads what hosts write.

use super::{call, give_back, message, operation, FAILED};
use crate::registers::Component;
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use mcomponent_firmware::{Error, Mailbox, Services, Traffic};
use splitmem_abi::mailbox::{Command, Compartment, Payload, ReturnCode};

#[link_section = ".parser.state"]
static mut STATE: MaybeUninit<Mailbox> = MaybeUninit::uninit();

/// The other parts, behind the gates.
struct Gates;

impl Services for Gates {
    fn allocate(
        &mut self,
        command: Command,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        let (opcode, length, words) = command.words();
        Ok(reply(call(Compartment::Allocator, (opcode, length), &words), payload))
    }

    fn tell(
        &mut self,
        question: Command,
        traffic: Traffic,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        let (opcode, length, _) = question.words();
        let words = [traffic.commands, traffic.refused, 0, 0, 0, 0];
        Ok(reply(call(Compartment::Telemetry, (opcode, length), &words), payload))
    }
}

/// What came back of a call.
fn reply((value, words): (u32, usize), payload: &mut Payload) -> (ReturnCode, u16) {
    let code = match value {
        FAILED => None,
        value => ReturnCode::from_code(value as u16),
    };
    // SAFETY: this part runs, and has no other reference to its message.
    let message = unsafe { message(Compartment::Parser) };
    let words = words.min(payload.len());
    payload[..words].copy_from_slice(&message[..words]);
    (code.unwrap_or(ReturnCode::Internal), 4 * words as u16)
}

/// Called by the kernel.
pub extern "C" fn enter(what: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> ! {
    let state = addr_of_mut!(STATE);
    if what == operation::START {
        // SAFETY: the state is this part's alone, and it is entered once at a time.
        unsafe { (*state).write(Mailbox::new()) };
        give_back(0, 0);
    }
    // SAFETY: as above, and it was started before.
    let mailbox = unsafe { (*state).assume_init_mut() };
    match answer(mailbox) {
        Ok(code) => give_back(code as u32, 0),
        Err(error) => panic!("{}", error),
    }
}

fn answer(mailbox: &mut Mailbox) -> Result<ReturnCode, Error> {
    let command = mailbox.read(&mut Component)?;
    let (code, length) = mailbox.handle(command, &mut Gates)?;
    mailbox.write(&mut Component, code, length)?;
    Ok(code)
}
