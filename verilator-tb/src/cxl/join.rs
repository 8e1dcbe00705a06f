//! The device at port 0 of a component.

use splitmem_abi::bus::BusError;
use splitmem_abi::cxl::{self, decoder, Window, WordBus};
use splitmem_abi::geometry::PAGE_SHIFT;

use super::front::CxlFront;
use crate::bus::Side;
use crate::component::Component;
use crate::dram::LineMemory;
use crate::machine::Machine;

/// Cycles within which a register access must be over.
const PATIENCE: u64 = 100_000;

/// What the device can be joined to: a component, alone or with its monitor.
pub trait Joined {
    /// The memory behind it.
    type Memory: LineMemory;
    /// The component.
    fn inner(&mut self) -> &mut Component<Self::Memory>;
    /// One clock cycle.
    fn tick(&mut self);
}

impl<M: LineMemory> Joined for Component<M> {
    type Memory = M;

    fn inner(&mut self) -> &mut Component<M> {
        self
    }

    #[inline]
    fn tick(&mut self) {
        Component::tick(self);
    }
}

impl<M: LineMemory> Joined for Machine<M> {
    type Memory = M;

    fn inner(&mut self) -> &mut Component<M> {
        self.component_mut()
    }

    #[inline]
    fn tick(&mut self) {
        Machine::tick(self);
    }
}

/// A component (or a machine) with the CXL.mem device at its port 0. Port 1 is free.
pub struct CxlComponent<C> {
    joined: C,
    front: CxlFront,
    /// The device's request stands at the port.
    offered: bool,
}

impl<C: Joined> CxlComponent<C> {
    /// Joins them. Nothing else may use port 0 from now on.
    pub fn new(mut joined: C, front: CxlFront) -> Self {
        joined.inner().port(0).hold(true);
        Self { joined, front, offered: false }
    }

    /// What the device stands at.
    pub fn inner(&mut self) -> &mut C {
        &mut self.joined
    }

    /// The same, to look at.
    pub fn joined(&self) -> &C {
        &self.joined
    }

    /// The device.
    pub fn front(&mut self) -> &mut CxlFront {
        &mut self.front
    }

    /// One clock cycle of both.
    #[inline]
    pub fn tick(&mut self) {
        let port = self.joined.inner().port(0);
        if !self.offered {
            if let Some(request) = self.front.request() {
                port.send(request);
                self.offered = true;
            }
        }
        port.hold(!self.front.takes_answer());
        self.joined.tick();
        let port = self.joined.inner().port(0);
        // While only the component ticks, as in its own register accesses, answers wait.
        port.hold(true);
        let accepted = self.offered && port.queued() == 0;
        self.offered &= !accepted;
        let answer = port.receive();
        let response = answer.as_ref().map(|answer| &answer.response);
        self.front.cycle(accepted, response.map(|r| (r.tag, r.status as u8, &r.data)));
    }

    /// The device's registers of one side; an access ticks until it is over.
    pub fn words(&mut self, side: Side) -> Words<'_, C> {
        Words { joined: self, side }
    }

    /// What a host's driver does first: commits HDM decoder 0 for `bytes` from `base` on (multiples of
    /// 256 MiB, no interleaving), and enables the decoders.
    ///
    /// # Errors
    /// [`BusError`]; `Denied` if the commit failed.
    pub fn commit(&mut self, base: u64, bytes: u64) -> Result<(), BusError> {
        let mut host = self.words(Side::Host);
        let at = cxl::hdm_decoder(0);
        host.write_word(at + decoder::BASE_LOW, base as u32)?;
        host.write_word(at + decoder::BASE_HIGH, (base >> 32) as u32)?;
        host.write_word(at + decoder::SIZE_LOW, bytes as u32)?;
        host.write_word(at + decoder::SIZE_HIGH, (bytes >> 32) as u32)?;
        host.write_word(at + decoder::CONTROL, decoder::COMMIT)?;
        if host.read_word(at + decoder::CONTROL)? & decoder::COMMITTED == 0 {
            return Err(BusError::Denied { offset: (at + decoder::CONTROL) as u16 });
        }
        host.write_word(cxl::HDM_CONTROL, 0b11)
    }

    /// What the monitor does: shows a process's memory in a slot of the aperture.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn show(&mut self, slot: u32, window: &Window) -> Result<(), BusError> {
        set_window(&mut self.words(Side::Monitor), slot, window)
    }
}

/// Writes a window.
fn set_window(bus: &mut impl WordBus, slot: u32, window: &Window) -> Result<(), BusError> {
    let rights = u32::from(window.read) << 16 | u32::from(window.write) << 17;
    bus.write_word(cxl::WINDOW_PID, u32::from(window.pid) | rights)?;
    let page = window.va >> PAGE_SHIFT;
    bus.write_word(cxl::WINDOW_PAGE_LOW, page as u32)?;
    bus.write_word(cxl::WINDOW_PAGE_HIGH, (page >> 32) as u32)?;
    bus.write_word(cxl::WINDOW_PAGES, (window.bytes >> PAGE_SHIFT) as u32)?;
    bus.write_word(cxl::WINDOW_SET, slot)
}

/// See [`CxlComponent::words`].
pub struct Words<'a, C> {
    joined: &'a mut CxlComponent<C>,
    side: Side,
}

impl<C: Joined> Words<'_, C> {
    fn access(&mut self, offset: u32, write: Option<u32>) -> Result<u32, BusError> {
        let mut started = false;
        for _ in 0..PATIENCE {
            started = started || self.joined.front.word_start(self.side, offset, write);
            self.joined.tick();
            if started {
                if let Some(result) = self.joined.front.word_poll(self.side) {
                    return Ok(result);
                }
            }
        }
        Err(BusError::Gone)
    }
}

impl<C: Joined> WordBus for Words<'_, C> {
    fn read_word(&mut self, offset: u32) -> Result<u32, BusError> {
        self.access(offset, None)
    }

    fn write_word(&mut self, offset: u32, value: u32) -> Result<(), BusError> {
        self.access(offset, Some(value)).map(drop)
    }
}
