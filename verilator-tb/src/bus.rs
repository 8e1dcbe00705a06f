//! The register buses, from the master's side.

use crate::stalls::Dice;
use crate::verilated::{BusIn, BusOut};
use splitmem_abi::bus::BusError;

/// Which side's register bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Side {
    /// The memory monitor's.
    Monitor,
    /// The host's.
    Host,
}

/// One register access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusAccess {
    /// Read the register at this byte offset.
    Read(u16),
    /// Write the value to the register at this byte offset.
    Write(u16, u32),
}

impl BusAccess {
    fn offset(self) -> u16 {
        match self {
            Self::Read(offset) | Self::Write(offset, _) => offset,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Idle,
    /// Waits to be offered.
    Waiting(BusAccess),
    /// Stands on the pins.
    Offered(BusAccess),
    /// Over; valid must be low for a cycle.
    Done(Result<u32, BusError>),
    /// As `Done`, and valid was low for a cycle.
    Rested(Result<u32, BusError>),
    /// The result was taken before the cycle of rest; perhaps the next access waits already.
    Resting(Option<BusAccess>),
}

/// The master of one bus: one access at a time.
pub(crate) struct BusMaster(State);

impl BusMaster {
    pub fn new() -> Self {
        Self(State::Idle)
    }

    /// Starts an access. False if one is under way or its result was not taken.
    pub fn start(&mut self, access: BusAccess) -> bool {
        self.0 = match self.0 {
            State::Idle => State::Waiting(access),
            State::Resting(None) => State::Resting(Some(access)),
            _ => return false,
        };
        true
    }

    /// The result of the access that was started, once.
    pub fn take(&mut self) -> Option<Result<u32, BusError>> {
        match self.0 {
            State::Done(result) => {
                self.0 = State::Resting(None);
                Some(result)
            }
            State::Rested(result) => {
                self.0 = State::Idle;
                Some(result)
            }
            _ => None,
        }
    }

    #[inline]
    pub fn drive(&mut self, pins: &mut BusIn, dice: &mut Dice) {
        pins.valid = false;
        match self.0 {
            State::Idle => {}
            State::Waiting(access) => {
                if !dice.roll(dice.bus) {
                    self.0 = State::Offered(access);
                    pins.valid = true;
                    pins.addr = access.offset();
                    (pins.write, pins.wdata) = match access {
                        BusAccess::Read(_) => (false, 0),
                        BusAccess::Write(_, value) => (true, value),
                    };
                }
            }
            State::Offered(_) => pins.valid = true,
            State::Done(result) => self.0 = State::Rested(result),
            State::Rested(_) => {}
            State::Resting(None) => self.0 = State::Idle,
            State::Resting(Some(access)) => self.0 = State::Waiting(access),
        }
    }

    #[inline]
    pub fn settle(&mut self, outs: &BusOut) {
        if let State::Offered(access) = self.0 {
            if outs.done {
                self.0 = State::Done(if outs.error {
                    Err(BusError::Denied { offset: access.offset() })
                } else {
                    Ok(outs.rdata)
                });
            }
        }
    }
}
