//! Health, events, counters.

use super::{call, command, give_back, message, operation, LAST_WORDS, VITALS};
use crate::registers::Component;
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use mcomponent_firmware::{Telemetry, Traffic};
use splitmem_abi::mailbox::{
    Command, Compartment, Health, PostMortem, ReturnCode, POST_MORTEM_TEXT,
};

#[link_section = ".telemetry.state"]
static mut STATE: MaybeUninit<Telemetry> = MaybeUninit::uninit();

/// Called by the kernel to start, and by the parser with a question: opcode and length, and what the
/// mailbox counted.
pub extern "C" fn enter(what: u32, head: u32, a: u32, b: u32, _: u32, _: u32, _: u32, _: u32) -> ! {
    let state = addr_of_mut!(STATE);
    if what == operation::START {
        // SAFETY: this part runs, and has no other reference to its message.
        let message = unsafe { message(Compartment::Telemetry) };
        let mut telemetry = Telemetry::new(head != 0);
        let mut text = [0; POST_MORTEM_TEXT];
        text.copy_from_slice(&message[LAST_WORDS - POST_MORTEM_TEXT..LAST_WORDS]);
        telemetry.set_post_mortem(PostMortem::decode(message), text);
        // SAFETY: the state is this part's alone, and it is entered once at a time.
        unsafe { (*state).write(telemetry) };
        give_back(0, 0);
    }
    // SAFETY: as above, and it was started before.
    let telemetry = unsafe { (*state).assume_init_mut() };
    let question = match command(head, [0; 6]) {
        Ok(question) => question,
        Err(code) => give_back(code as u32, 0),
    };
    let mut vitals = Health::default();
    if question == Command::Health {
        let (value, _) = call(Compartment::Allocator, (VITALS, 0), &[0; 6]);
        if value != ReturnCode::Success as u32 {
            give_back(ReturnCode::Internal as u32, 0);
        }
        // SAFETY: as above.
        vitals = Health::decode(unsafe { message(Compartment::Telemetry) });
    }
    // SAFETY: as above.
    let message = unsafe { message(Compartment::Telemetry) };
    let traffic = Traffic { commands: a, refused: b };
    match telemetry.answer(&mut Component, question, traffic, vitals, message) {
        Ok((code, length)) => give_back(code as u32, length as usize / 4),
        Err(error) => panic!("{}", error),
    }
}
