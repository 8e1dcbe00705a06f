//! The mailbox: a host's bytes become a command, and the answer is put where the host looks for it.
//!
//! Nothing here changes memory: commands go to whoever provides [`Services`].

use crate::error::Error;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{Command, Payload, ReturnCode};
use splitmem_abi::regs::field::{MB_COMMAND, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};

/// What the mailbox counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Commands handled, the one under way included.
    pub commands: u32,
    /// Commands refused.
    pub refused: u32,
}

/// What carries commands out. Each puts the reply into `payload` and gives the return code and the
/// reply's bytes.
pub trait Services {
    /// A command for the allocator.
    ///
    /// # Errors
    /// The allocator cannot go on.
    fn allocate(
        &mut self,
        command: Command,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error>;

    /// A question about the component's state.
    ///
    /// # Errors
    /// The component cannot be reached.
    fn tell(
        &mut self,
        command: Command,
        traffic: Traffic,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error>;
}

/// The mailbox's parser.
#[derive(Clone, Debug)]
pub struct Mailbox {
    payload: Payload,
    traffic: Traffic,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Mailbox {
    /// One that has seen nothing.
    pub const fn new() -> Self {
        Self { payload: [0; MAILBOX_WORDS], traffic: Traffic { commands: 0, refused: 0 } }
    }

    /// Reads what a host left: a command, or the code that says why it is none.
    ///
    /// # Errors
    /// [`Error::Bus`].
    // A function of its own, so that a debugger finds it.
    #[inline(never)]
    pub fn read(
        &mut self,
        bus: &mut impl RegisterBus,
    ) -> Result<Result<Command, ReturnCode>, Error> {
        let header = bus.read(regs::MB_COMMAND.offset)?;
        let length = MB_COMMAND::LENGTH.get(header) as u16;
        let opcode = MB_COMMAND::OPCODE.get(header) as u16;
        let words = (length as usize).div_ceil(4).min(MAILBOX_WORDS);
        for (i, word) in (0..).zip(&mut self.payload[..words]) {
            *word = bus.read(regs::MB_PAYLOAD.at(i))?;
        }
        Ok(Command::decode(opcode, length, &self.payload))
    }

    /// Has what was read carried out. Gives the return code and the reply's bytes, which [`Self::write`]
    /// is to put into the mailbox.
    ///
    /// # Errors
    /// Those of the services. `Internal` is then the answer.
    pub fn handle(
        &mut self,
        command: Result<Command, ReturnCode>,
        services: &mut impl Services,
    ) -> Result<(ReturnCode, u16), Error> {
        self.traffic.handle(command, &mut self.payload, services)
    }

    /// Puts an answer into the mailbox. The doorbell is to be cleared after that.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn write(
        &mut self,
        bus: &mut impl RegisterBus,
        code: ReturnCode,
        length: u16,
    ) -> Result<(), Error> {
        let words = (length as usize / 4).min(MAILBOX_WORDS);
        for (i, &word) in (0..).zip(&self.payload[..words]) {
            bus.write(regs::MB_PAYLOAD.at(i), word)?;
        }
        let status = MB_STATUS::CODE.put(code as u32) | MB_STATUS::LENGTH.put(length as u32);
        Ok(bus.write(regs::MB_STATUS.offset, status)?)
    }

    /// As [`Self::handle`], for a command that did not come through the mailbox's registers.
    pub(crate) fn handle_words(
        &mut self,
        (opcode, length): (u16, u16),
        payload: &mut Payload,
        services: &mut impl Services,
    ) -> Result<(ReturnCode, u16), Error> {
        self.traffic.handle(Command::decode(opcode, length, payload), payload, services)
    }
}

impl Traffic {
    fn handle(
        &mut self,
        command: Result<Command, ReturnCode>,
        payload: &mut Payload,
        services: &mut impl Services,
    ) -> Result<(ReturnCode, u16), Error> {
        self.commands = self.commands.wrapping_add(1);
        let (code, length) = match command {
            Err(code) => (code, 0),
            Ok(question @ (Command::Health | Command::Events | Command::PostMortem)) => {
                services.tell(question, *self, payload)?
            }
            Ok(command) => services.allocate(command, payload)?,
        };
        self.refused = self.refused.wrapping_add((code != ReturnCode::Success) as u32);
        Ok((code, length))
    }
}
