//! A mailbox client: commands to the memory monitor with timeouts and retries, over any registers of
//! the host.
//!
//! A command is rung once and never again by itself: it might be carried out twice. What is repeated
//! is the waiting, and register accesses that were lost on their way. A monitor that is restarted
//! meanwhile still answers, since the command stands in the component until it does.

use std::time::{Duration, Instant};

use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::mailbox::{Command, Payload, ReturnCode};

use super::mailbox;
use crate::transport::{MailboxReply, TransportError};

/// How long a client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// For a reply, and for the mailbox to become free.
    pub reply: Duration,
    /// Between two looks at the doorbell.
    pub pause: Duration,
    /// How often a register access that was lost is made again.
    pub retries: u32,
}

impl Default for Patience {
    /// Ten seconds: many times a watchdog's period and a restart.
    fn default() -> Self {
        Self { reply: Duration::from_secs(10), pause: Duration::from_micros(200), retries: 3 }
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// Somebody's earlier command is still being worked on.
    #[error("the mailbox is in use: an earlier command was not answered within {0:?}")]
    Busy(Duration),
    /// The monitor does not answer. The command still stands there and may be carried out later.
    #[error(
        "the memory monitor did not answer within {0:?}; the command may still be carried out"
    )]
    NoReply(Duration),
    /// The monitor refuses.
    #[error("{}", explain(*.0))]
    Refused(ReturnCode),
    /// A register access was lost again and again.
    #[error("the component does not answer: {0}")]
    Gone(String),
    /// The component does something that it should not.
    #[error("the component breaks its protocol: {0}")]
    Protocol(String),
}

/// A return code for people.
fn explain(code: ReturnCode) -> &'static str {
    match code {
        ReturnCode::Success => "done",
        ReturnCode::UnknownCommand => "refused: the monitor does not know this command",
        ReturnCode::BadLength => "refused: the command's length is wrong",
        ReturnCode::BadArgument => {
            "refused: an argument is out of range (addresses are multiples of the page size, counts \
             not zero)"
        }
        ReturnCode::NoAddress => "refused: no address range is left that the page table has room for",
        ReturnCode::NoMemory => "refused: not as much memory is left",
        ReturnCode::NotAllocated => {
            "refused: the range is not, or not wholly, allocated to this process"
        }
        ReturnCode::NotShareable => "refused: the memory was not allocated shareable",
        ReturnCode::TablesFull => "refused: the monitor's own tables are full",
        ReturnCode::MemoryFault => "refused: the component's memory failed its test",
        ReturnCode::Internal => "failed: the hardware did something unexpected; see its health",
    }
}

impl From<TransportError> for MailboxError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Gone(why) => Self::Gone(why),
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// Registers whose lost accesses are made again. Only those that may be made twice: a doorbell that
/// was rung is not rung again (the second ring of an owned mailbox changes nothing anyway).
struct Retrying<'a, B> {
    bus: &'a mut B,
    retries: u32,
}

impl<B: RegisterBus> Retrying<'_, B> {
    fn again<T>(
        &mut self,
        mut access: impl FnMut(&mut B) -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let mut left = self.retries;
        loop {
            match access(self.bus) {
                Err(BusError::Gone) if left > 0 => left -= 1,
                result => return result,
            }
        }
    }
}

impl<B: RegisterBus> RegisterBus for Retrying<'_, B> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.again(|bus| bus.read(offset))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.again(|bus| bus.write(offset, value))
    }
}

/// The client.
#[derive(Debug)]
pub struct MailboxClient<B> {
    bus: B,
    patience: Patience,
}

impl<B: RegisterBus> MailboxClient<B> {
    /// Over the host's registers of a component.
    pub fn new(bus: B, patience: Patience) -> Self {
        Self { bus, patience }
    }

    /// The registers.
    pub fn bus(&mut self) -> &mut B {
        &mut self.bus
    }

    /// Sends a command and waits for its reply, which is a success.
    ///
    /// # Errors
    /// [`MailboxError`].
    pub fn call(&mut self, command: &Command) -> Result<Box<Payload>, MailboxError> {
        let Patience { reply, pause, retries } = self.patience;
        let mut bus = Retrying { bus: &mut self.bus, retries };
        let start = Instant::now();
        while mailbox::busy(&mut bus)? {
            if start.elapsed() > reply {
                return Err(MailboxError::Busy(reply));
            }
            std::thread::sleep(pause);
        }
        mailbox::send(&mut bus, command)?;
        let start = Instant::now();
        loop {
            match mailbox::receive(&mut bus)? {
                Some(MailboxReply { code: ReturnCode::Success, payload }) => return Ok(payload),
                Some(MailboxReply { code, .. }) => return Err(MailboxError::Refused(code)),
                None if start.elapsed() > reply => return Err(MailboxError::NoReply(reply)),
                None => std::thread::sleep(pause),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use splitmem_abi::regs::{self, field};

    use super::*;

    /// Registers over a bus that loses accesses, and a monitor that answers after some looks.
    struct Lossy {
        lose: u32,
        busy: u32,
        code: u32,
        written: Vec<(u16, u32)>,
    }

    impl Lossy {
        fn lost(&mut self) -> bool {
            let lost = self.lose > 0;
            self.lose = self.lose.saturating_sub(1);
            lost
        }
    }

    impl RegisterBus for Lossy {
        fn read(&mut self, offset: u16) -> Result<u32, BusError> {
            if self.lost() {
                return Err(BusError::Gone);
            }
            Ok(match offset {
                o if o == regs::MB_DOORBELL.offset => {
                    let busy = self.busy > 0;
                    self.busy = self.busy.saturating_sub(1);
                    busy as u32
                }
                o if o == regs::MB_STATUS.offset => field::MB_STATUS::CODE.put(self.code),
                _ => 0,
            })
        }

        fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
            if self.lost() {
                return Err(BusError::Gone);
            }
            self.written.push((offset, value));
            Ok(())
        }
    }

    fn call(lose: u32, busy: u32, code: u32) -> (Result<Box<Payload>, MailboxError>, Vec<u16>) {
        let bus = Lossy { lose, busy, code, written: Vec::new() };
        let patience =
            Patience { reply: Duration::from_millis(20), pause: Duration::ZERO, retries: 2 };
        let mut client = MailboxClient::new(bus, patience);
        let result = client.call(&Command::Drop { pid: 7 });
        (result, client.bus.written.iter().map(|w| w.0).collect())
    }

    #[test]
    fn a_command_is_rung_once_and_its_reply_awaited() {
        let (result, written) = call(0, 0, 0);
        assert!(result.is_ok(), "{result:?}");
        let rings = written.iter().filter(|&&o| o == regs::MB_DOORBELL.offset).count();
        assert_eq!(rings, 1);
    }

    #[test]
    fn lost_accesses_are_made_again_and_not_for_ever() {
        assert!(call(2, 0, 0).0.is_ok());
        assert!(matches!(call(3, 0, 0).0, Err(MailboxError::Gone(_))));
    }

    #[test]
    fn each_failure_has_its_type() {
        let refused = call(0, 0, ReturnCode::NoMemory as u32).0;
        assert!(matches!(refused, Err(MailboxError::Refused(ReturnCode::NoMemory))), "{refused:?}");
        assert!(matches!(call(0, 0, 99).0, Err(MailboxError::Protocol(_))));
        assert!(matches!(call(0, u32::MAX, 0).0, Err(MailboxError::Busy(_))));
    }
}
