//! The mailbox, and what interrupts the monitor.

use crate::error::{Error, Failure};
use crate::hal::Wait;
use crate::journal::{Entry, SLACK};
use crate::Monitor;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{Command, Payload, ReturnCode};
use splitmem_abi::regs::field::{IRQ_STATUS, MB_COMMAND, MB_DOORBELL, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};

/// The interrupt causes that [`Monitor::poll`] takes care of. The event log is left to the host,
/// which asks for it.
const CAUSES: u32 = IRQ_STATUS::DOORBELL.mask()
    | IRQ_STATUS::FREE_4K_LOW.mask()
    | IRQ_STATUS::FREE_2M_LOW.mask()
    | IRQ_STATUS::NO_MEMORY.mask()
    | IRQ_STATUS::UNCORRECTABLE.mask();

/// The causes that raise the interrupt line: also those that a [`Wait`] may sleep for. These are
/// taken before a command ends; one that came late is taken by the next poll.
pub(crate) const IRQ_MASK: u32 = CAUSES | IRQ_STATUS::TE_DONE.mask() | IRQ_STATUS::SD_DONE.mask();

/// What one [`Monitor::poll`] found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// The interrupt causes that stood, as in `IRQ_STATUS`.
    pub causes: u32,
    /// What a command was answered, if there was one.
    pub answered: Option<ReturnCode>,
    /// Nothing is left to do until the interrupt line is high: the caller may sleep.
    pub may_sleep: bool,
}

impl<B: RegisterBus, W: Wait> Monitor<'_, B, W> {
    /// Takes care of everything that stands: refills the free lists and answers the mailbox. To be
    /// called when the interrupt line is high (or now and then, without interrupts).
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`]. A command is answered `Internal` first if the mailbox
    /// can still be reached.
    pub fn poll(&mut self) -> Result<Activity, Error> {
        let causes = self.regs.read(&regs::IRQ_STATUS)? & IRQ_MASK;
        // The doorbell's is taken with its command: a monitor that takes over tells by it whether
        // the command in the mailbox was seen.
        let taken = causes & !IRQ_STATUS::DOORBELL.mask();
        if taken != 0 {
            // Taken before their reasons are looked at, so that none is lost.
            self.regs.write(&regs::IRQ_STATUS, taken)?;
        }
        if IRQ_STATUS::NO_MEMORY.get(causes) == 1 {
            self.telemetry.no_memory = self.telemetry.no_memory.saturating_add(1);
        }
        if IRQ_STATUS::UNCORRECTABLE.get(causes) == 1 {
            self.telemetry.uncorrectable = true;
        }
        if causes & CAUSES & !IRQ_STATUS::DOORBELL.mask() != 0 {
            self.refill()?;
        }
        let rung = self.regs.field(&regs::MB_DOORBELL, MB_DOORBELL::BUSY)? == 1;
        let answered = if rung { Some(self.answer()?) } else { None };
        let left = self.regs.read(&regs::IRQ_STATUS)? & IRQ_MASK;
        Ok(Activity { causes, answered, may_sleep: left == 0 })
    }

    /// Answers the command in the mailbox.
    fn answer(&mut self) -> Result<ReturnCode, Error> {
        let command = self.regs.read(&regs::MB_COMMAND)?;
        let length = MB_COMMAND::LENGTH.get(command) as u16;
        let opcode = MB_COMMAND::OPCODE.get(command) as u16;
        let mut payload = [0; MAILBOX_WORDS];
        let words = (length as usize).div_ceil(4).min(MAILBOX_WORDS);
        for (i, word) in (0..).zip(&mut payload[..words]) {
            *word = self.regs.bus.read(regs::MB_PAYLOAD.at(i))?;
        }
        if !self.resuming {
            // Room for all that a command may log, so that none of it is begun anew in between.
            if self.journal.room() < self.space.records.all().len() + SLACK {
                self.journal.compact(self.space.records.all());
            }
            self.log(Entry::Begun([payload[0], payload[1]]));
        }
        self.regs.write(&regs::IRQ_STATUS, IRQ_STATUS::DOORBELL.mask())?;
        let result = self.handle(opcode, length, &mut payload);
        self.resuming = false;
        let (code, length) = result.unwrap_or((ReturnCode::Internal, 0));
        let words = length as usize / 4;
        for (i, &word) in (0..).zip(&payload[..words]) {
            self.regs.bus.write(regs::MB_PAYLOAD.at(i), word)?;
        }
        let status = MB_STATUS::CODE.put(code as u32) | MB_STATUS::LENGTH.put(length as u32);
        self.regs.write(&regs::MB_STATUS, status)?;
        self.log(Entry::Replied);
        self.regs.write(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.put(1))?;
        result.map(|_| code)
    }

    /// Carries out the command that stands in `payload`, and puts the reply there. Gives the return
    /// code and the reply's bytes (none unless it is `Success`). Every opcode, length and payload
    /// has a defined return code; [`Monitor::poll`] calls this for what the host left in the
    /// mailbox.
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`].
    pub fn handle(
        &mut self,
        opcode: u16,
        length: u16,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        self.telemetry.commands = self.telemetry.commands.wrapping_add(1);
        let result = Command::decode(opcode, length, payload)
            .map_err(Failure::from)
            .and_then(|command| self.execute(command, payload));
        match result {
            Ok(length) => Ok((ReturnCode::Success, length)),
            Err(Failure::Refused(code)) => {
                self.telemetry.commands_refused = self.telemetry.commands_refused.wrapping_add(1);
                Ok((code, 0))
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }
}
