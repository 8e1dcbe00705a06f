//! [`Requester`]: line accesses as CXL.mem messages, told apart by tags. What a host's home agent
//! does.

use crate::message::{DrsOpcode, Message, Req, Rwd};

/// An access to a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)] // a line is what most of them carry
pub enum Access {
    /// Read it.
    Read,
    /// Write the bytes that the mask selects.
    Write {
        /// The line.
        data: [u8; 64],
        /// Bit i selects byte i.
        mask: u64,
    },
}

/// How an access ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Outcome {
    /// The line.
    Read([u8; 64]),
    /// The line is bad: CXL.mem's only word for a fault.
    Poisoned,
    /// There is no memory.
    NoMemory,
    /// Done. It says nothing of whether the device kept it: that, its event log tells.
    Written,
}

/// An access that cannot be asked for, or an answer to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequesterError {
    /// All tags are in flight.
    #[error("all {0} tags are in flight")]
    NoTag(usize),
    /// No address of a line.
    #[error("{0:#x} is no address of a line (a multiple of 64 below 2^52)")]
    Address(u64),
    /// An answer that was not asked for.
    #[error("an answer with tag {tag:#x}, {why}")]
    Answer {
        /// Its tag.
        tag: u16,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Accesses in flight.
#[derive(Debug)]
pub struct Requester {
    /// By tag: the caller's name for it, and whether it is a read.
    flying: Vec<Option<(u64, bool)>>,
    free: Vec<u16>,
}

impl Requester {
    /// With this many tags.
    pub fn new(tags: u16) -> Self {
        Self { flying: vec![None; tags.into()], free: (0..tags).rev().collect() }
    }

    /// Accesses that can be asked for now.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.flying.len()
    }

    /// The message that asks for an access; `id` comes back with its end.
    ///
    /// # Errors
    /// [`RequesterError::NoTag`], [`RequesterError::Address`].
    pub fn ask(&mut self, id: u64, hpa: u64, access: Access) -> Result<Message, RequesterError> {
        if hpa % 64 != 0 || hpa >> crate::message::ADDRESS_BITS != 0 {
            return Err(RequesterError::Address(hpa));
        }
        let tag = self.free.pop().ok_or(RequesterError::NoTag(self.flying.len()))?;
        self.flying[usize::from(tag)] = Some((id, access == Access::Read));
        Ok(match access {
            Access::Read => Message::Req(Req::read(tag, hpa)),
            Access::Write { data, mask: u64::MAX } => Message::Rwd(Rwd::write(tag, hpa, data)),
            Access::Write { data, mask } => Message::Rwd(Rwd::write_bytes(tag, hpa, data, mask)),
        })
    }

    /// Takes a device's answer; gives the access's name and its end.
    ///
    /// # Errors
    /// [`RequesterError::Answer`]; then nothing has changed.
    pub fn answer(&mut self, message: &Message) -> Result<(u64, Outcome), RequesterError> {
        let (tag, is_read, outcome) = match message {
            Message::Ndr(ndr) => (ndr.tag, false, Outcome::Written),
            Message::Drs(drs) if drs.opcode == DrsOpcode::MemDataNxm => {
                (drs.tag, true, Outcome::NoMemory)
            }
            Message::Drs(drs) if drs.poison => (drs.tag, true, Outcome::Poisoned),
            Message::Drs(drs) => (drs.tag, true, Outcome::Read(drs.data)),
            Message::Req(Req { tag, .. }) | Message::Rwd(Rwd { tag, .. }) => {
                return Err(RequesterError::Answer { tag: *tag, why: "which is a request" })
            }
        };
        let wrong = |why| RequesterError::Answer { tag, why };
        let place = self.flying.get_mut(usize::from(tag));
        let place = place.ok_or(wrong("which no request had"))?;
        match *place {
            Some((id, read)) if read == is_read => {
                *place = None;
                self.free.push(tag);
                Ok((id, outcome))
            }
            Some(_) => Err(wrong("which is none to its request")),
            None => Err(wrong("which is not in flight")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Drs, Ndr};

    #[test]
    fn answers_find_their_accesses() {
        let mut requester = Requester::new(2);
        let read = requester.ask(10, 0x40, Access::Read).unwrap();
        let write = Access::Write { data: [1; 64], mask: 3 };
        let write = requester.ask(11, 0x80, write).unwrap();
        let (Message::Req(read), Message::Rwd(write)) = (read, write) else { panic!("swapped") };
        assert_eq!(requester.ask(12, 0, Access::Read), Err(RequesterError::NoTag(2)));
        let ndr = Message::Ndr(Ndr::cmp(read.tag));
        assert!(requester.answer(&ndr).is_err(), "Cmp does not answer a read");
        let drs = Message::Drs(Drs { poison: true, ..Drs::data(read.tag, [0; 64]) });
        assert_eq!(requester.answer(&drs), Ok((10, Outcome::Poisoned)));
        assert!(requester.answer(&drs).is_err(), "twice");
        assert_eq!(
            requester.answer(&Message::Ndr(Ndr::cmp(write.tag))),
            Ok((11, Outcome::Written))
        );
        assert!(requester.is_idle());
        assert!(requester.ask(1, 0x20, Access::Read).is_err());
        assert!(requester.ask(1, 1 << 52, Access::Read).is_err());
        assert!(requester.answer(&Message::Ndr(Ndr::cmp(7))).is_err());
    }
}
