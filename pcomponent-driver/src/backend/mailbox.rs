//! The host's side of the registers: commands to the memory monitor, and counters.
//!
//! [`send`] rings the doorbell, [`receive`] looks whether the monitor has answered. How long to wait
//! between, and what makes time pass, is the backend's.

use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::mailbox::{Command, ReturnCode};
use splitmem_abi::regs::{self, field, Counter, MAILBOX_WORDS};

use crate::transport::{MailboxReply, TransportError};

/// Whether the monitor still owns the mailbox.
///
/// # Errors
/// [`TransportError::Gone`] or [`TransportError::Protocol`].
pub fn busy(bus: &mut impl RegisterBus) -> Result<bool, TransportError> {
    let doorbell = bus.read(regs::MB_DOORBELL.offset).map_err(broken)?;
    Ok(field::MB_DOORBELL::BUSY.get(doorbell) == 1)
}

/// Writes a command and rings the doorbell.
///
/// # Errors
/// [`TransportError::Timeout`] if an earlier command was never answered,
/// [`TransportError::Gone`] or [`TransportError::Protocol`].
pub fn send(bus: &mut impl RegisterBus, command: &Command) -> Result<(), TransportError> {
    if busy(bus)? {
        return Err(TransportError::Timeout("the time of the command before this one".into()));
    }
    let mut payload = [0; MAILBOX_WORDS];
    let (opcode, length) = command.encode(&mut payload);
    for (i, word) in payload.iter().take(words(length)).enumerate() {
        bus.write(regs::MB_PAYLOAD.at(i as u16), *word).map_err(broken)?;
    }
    let header =
        field::MB_COMMAND::OPCODE.put(opcode as u32) | field::MB_COMMAND::LENGTH.put(length as u32);
    bus.write(regs::MB_COMMAND.offset, header).map_err(broken)?;
    bus.write(regs::MB_DOORBELL.offset, field::MB_DOORBELL::BUSY.put(1)).map_err(broken)
}

/// The monitor's reply, if it has answered.
///
/// # Errors
/// [`TransportError::Gone`], or [`TransportError::Protocol`] if the reply is malformed.
pub fn receive(bus: &mut impl RegisterBus) -> Result<Option<MailboxReply>, TransportError> {
    if busy(bus)? {
        return Ok(None);
    }
    let status = bus.read(regs::MB_STATUS.offset).map_err(broken)?;
    let code = field::MB_STATUS::CODE.get(status) as u16;
    let length = field::MB_STATUS::LENGTH.get(status) as u16;
    let code = ReturnCode::from_code(code)
        .ok_or_else(|| TransportError::Protocol(format!("unknown return code {code}")))?;
    if words(length) > MAILBOX_WORDS {
        return Err(TransportError::Protocol(format!("a reply of {length} bytes")));
    }
    let mut payload = Box::new([0; MAILBOX_WORDS]);
    for (i, word) in payload.iter_mut().take(words(length)).enumerate() {
        *word = bus.read(regs::MB_PAYLOAD.at(i as u16)).map_err(broken)?;
    }
    bus.write(regs::HOST_IRQ_STATUS.offset, field::HOST_IRQ_STATUS::REPLY.put(1))
        .map_err(broken)?;
    Ok(Some(MailboxReply { code, payload }))
}

/// A hardware counter.
///
/// # Errors
/// [`TransportError::Gone`] or [`TransportError::Protocol`].
pub fn counter(bus: &mut impl RegisterBus, counter: Counter) -> Result<u64, TransportError> {
    // Reading the low word keeps the high one as it was then.
    let low = bus.read(counter.offset()).map_err(broken)?;
    let high = bus.read(counter.offset() + 4).map_err(broken)?;
    Ok((high as u64) << 32 | low as u64)
}

/// The error of a register access that failed.
pub fn broken(error: BusError) -> TransportError {
    match error {
        BusError::Gone => TransportError::Gone(
            "a register access was not answered: look at its power and its cable".into(),
        ),
        BusError::Denied { .. } => TransportError::Protocol(error.to_string()),
    }
}

fn words(bytes: u16) -> usize {
    (bytes as usize).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use splitmem_abi::mailbox::Address;

    use super::*;

    /// Registers that hold what is written to them.
    #[derive(Default)]
    struct Registers {
        values: HashMap<u16, u32>,
        fails: Option<BusError>,
    }

    impl RegisterBus for Registers {
        fn read(&mut self, offset: u16) -> Result<u32, BusError> {
            self.fails.map_or(Ok(self.values.get(&offset).copied().unwrap_or(0)), Err)
        }

        fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
            self.values.insert(offset, value);
            self.fails.map_or(Ok(()), Err)
        }
    }

    impl Registers {
        /// What a monitor does at the end.
        fn answer(&mut self, code: u32, length: u32) {
            let status = field::MB_STATUS::CODE.put(code) | field::MB_STATUS::LENGTH.put(length);
            self.values.insert(regs::MB_STATUS.offset, status);
            self.values.insert(regs::MB_DOORBELL.offset, 0);
        }
    }

    #[test]
    fn a_reply_is_taken_when_the_doorbell_is_clear() {
        let mut bus = Registers::default();
        send(&mut bus, &Command::Drop { pid: 7 }).unwrap();
        assert_eq!(bus.values[&regs::MB_PAYLOAD.offset], 7);
        let header = bus.values[&regs::MB_COMMAND.offset];
        assert_eq!(field::MB_COMMAND::OPCODE.get(header), Command::DROP.0 as u32);
        assert_eq!(field::MB_COMMAND::LENGTH.get(header), Command::DROP.1 as u32);
        assert_eq!(receive(&mut bus).unwrap(), None, "not yet answered");
        let early = send(&mut bus, &Command::Info);
        assert!(matches!(early, Err(TransportError::Timeout(_))), "{early:?}");
        bus.values.insert(regs::MB_PAYLOAD.at(1), 0x12);
        bus.answer(0, Address::BYTES as u32);
        let reply = receive(&mut bus).unwrap().unwrap();
        assert_eq!(reply.code, ReturnCode::Success);
        assert_eq!(Address::decode(&reply.payload).0, 0x12_0000_0007);
    }

    #[test]
    fn replies_that_cannot_be_are_errors() {
        for (code, length) in [(99, 0), (0, 257)] {
            let mut bus = Registers::default();
            bus.answer(code, length);
            let reply = receive(&mut bus);
            assert!(matches!(reply, Err(TransportError::Protocol(_))), "{reply:?}");
        }
    }

    #[test]
    fn register_errors_come_through() {
        let mut bus = Registers { fails: Some(BusError::Gone), ..Registers::default() };
        assert!(matches!(send(&mut bus, &Command::Info), Err(TransportError::Gone(_))));
        bus.fails = Some(BusError::Denied { offset: 4 });
        assert!(matches!(counter(&mut bus, Counter::Reads), Err(TransportError::Protocol(_))));
    }

    #[test]
    fn counters_have_two_halves() {
        let mut bus = Registers::default();
        bus.values.insert(Counter::Writes.offset(), 5);
        bus.values.insert(Counter::Writes.offset() + 4, 6);
        assert_eq!(counter(&mut bus, Counter::Writes).unwrap(), 6 << 32 | 5);
    }
}
