//! The parts without privilege: what they do when the kernel calls them, and how they call.
//!
//! Each has its memory for itself and shares no variable with anybody, the log included: what is to
//! be told goes back to the kernel.

mod allocator;
mod parser;
mod telemetry;

use core::arch::asm;
use core::fmt::Write;
use splitmem_abi::mailbox::{
    Command, CommandWords, Compartment, Payload, PostMortem, ReturnCode, POST_MORTEM_TEXT,
};

/// What the kernel is asked for: register a7.
pub mod trap {
    /// The call is done. Value and words of the message.
    pub const RETURN: u32 = 0;
    /// Sleep until the component's interrupt.
    pub const SLEEP: u32 = 1;
    /// A sign of life.
    pub const ALIVE: u32 = 2;
    /// It cannot go on. Address and bytes of a text, a line.
    pub const PANIC: u32 = 3;
    /// Calls the first compartment, and those after it.
    pub const CALL: u32 = 16;
}

/// What a compartment is called for: the first argument.
pub mod operation {
    /// Begin anew.
    pub const START: u32 = 0;
    /// Another compartment's call: opcode and length, six words.
    pub const SERVE: u32 = 1;
    /// Parser: answer the command in the mailbox. Gives the return code.
    pub const ANSWER: u32 = 2;
    /// Allocator: do what stands in the interrupt's causes.
    pub const TEND: u32 = 3;
    /// Allocator: the command's reply is in the mailbox.
    pub const CONCLUDE: u32 = 4;
    /// Allocator: the command was answered `Internal`.
    pub const ABANDON: u32 = 5;
}

/// Opcode by which telemetry asks the allocator for its part of the record of health: none of the
/// mailbox's.
const VITALS: u16 = 0xffff;

/// The value of a call that was not carried out because the called compartment failed.
pub const FAILED: u32 = u32::MAX;

/// The value of a start of the allocator that found the memory broken.
pub const BAD_MEMORY: u32 = 1;

/// Words that telemetry is started with: the last monitor's.
pub const LAST_WORDS: usize = PostMortem::BYTES as usize / 4 + POST_MORTEM_TEXT;

type Entry = extern "C" fn(u32, u32, u32, u32, u32, u32, u32, u32) -> !;

/// Where a compartment begins.
pub fn entry(compartment: Compartment) -> Entry {
    match compartment {
        Compartment::Parser => parser::enter,
        Compartment::Telemetry => telemetry::enter,
        Compartment::Allocator | Compartment::Kernel => allocator::enter,
    }
}

/// Ends a call.
fn give_back(value: u32, words: usize) -> ! {
    // SAFETY: the kernel does not come back.
    unsafe {
        asm!("ecall", in("a0") value, in("a1") words, in("a7") trap::RETURN, options(noreturn))
    }
}

/// Something the kernel does for a compartment.
fn ask(what: u32) {
    // SAFETY: the kernel changes nothing but the registers that a function may change.
    unsafe {
        asm!("ecall", in("a7") what, clobber_abi("C"));
    }
}

/// Calls another compartment with a command, and gives its value and reply's words, which are then in
/// this one's message.
fn call(callee: Compartment, (opcode, length): (u16, u16), words: &CommandWords) -> (u32, usize) {
    let (value, count): (u32, usize);
    // SAFETY: as in `ask`, and the message, which is only looked at after that.
    unsafe {
        asm!(
            "ecall",
            inlateout("a0") opcode as u32 | (length as u32) << 16 => value,
            inlateout("a1") words[0] => count,
            in("a2") words[1],
            in("a3") words[2],
            in("a4") words[3],
            in("a5") words[4],
            in("a6") words[5],
            in("a7") trap::CALL + callee as u32 - 1,
            clobber_abi("C"),
        );
    }
    (value, count)
}

/// A command that came with a call. Its words are checked as a host's are.
fn command(head: u32, words: CommandWords) -> Result<Command, ReturnCode> {
    Command::from_words(head as u16, (head >> 16) as u16, &words)
}

/// A part's message, of which it has the only reference.
///
/// # Safety
/// `stack` is the part's own, and nobody else looks at the message during a call.
unsafe fn message(of: Compartment) -> &'static mut Payload {
    // SAFETY: the caller's promise; any words are a value.
    unsafe { &mut *(crate::kernel::message_address(of) as *mut Payload) }
}

/// The end of a compartment that cannot go on.
pub fn panic(line: u32, info: &core::panic::PanicInfo) -> ! {
    let mut text = Text { bytes: [0; 4 * POST_MORTEM_TEXT], length: 0 };
    // What does not fit is cut.
    let _ = write!(text, "{}", info.message());
    // SAFETY: the kernel does not come back.
    unsafe {
        asm!(
            "ecall",
            in("a0") text.bytes.as_ptr(),
            in("a1") text.length,
            in("a2") line,
            in("a7") trap::PANIC,
            options(noreturn)
        )
    }
}

struct Text {
    bytes: [u8; 4 * POST_MORTEM_TEXT],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = &mut self.bytes[self.length..];
        // Cut at a character, so that it stays text.
        let mut take = text.len().min(room.len());
        while !text.is_char_boundary(take) {
            take -= 1;
        }
        room[..take].copy_from_slice(&text.as_bytes()[..take]);
        self.length += take;
        Ok(())
    }
}
