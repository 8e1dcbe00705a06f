//! The monitor's part of the CXL.mem device: it answers the commands of the CXL mailbox and makes
//! records of the device's events.
//!
//! The registers are hardware; [`CxlAgent::poll`] does what the device's interrupt asks for. It
//! reaches the device through [`WordBus`] and allocates nothing. Commands (CXL 3.1, section 8.2.9):
//!
//! | opcode | command | here |
//! | --- | --- | --- |
//! | 0100h, 0101h | Get, Clear Event Records | four logs of 16 records |
//! | 0102h, 0103h | Get, Set Event Interrupt Policy | kept; the device has no message interrupts |
//! | 0300h, 0301h | Get, Set Timestamp | counts events, not time: firmware has no clock |
//! | 0400h, 0401h | Get Supported Logs, Get Log | the Command Effects Log |
//! | 4000h | Identify Memory Device | the aperture, all of it volatile |
//! | 4100h | Get Partition Info | as above |
//! | 4200h | Get Health Info | nominal, or media error while the poison list is too short |
//! | 4300h to 4302h | Get, Inject, Clear Poison | the device's list of 16 lines |
//! | 4400h | Sanitize | see [`Platform::sanitize`] |
//! | C000h, C001h | Set, Get Window (ours) | which process's memory a slot of the aperture shows |
//!
//! Everything else is answered Unsupported, a wrong payload length Invalid Payload Length.

mod commands;
mod log;

use log::Logs;
use splitmem_abi::bus::BusError;
use splitmem_abi::cxl::{self, decoder, Event, Window, WordBus, PAYLOAD_BYTES, WINDOWS};

/// What the agent needs done beside the device's own registers.
pub trait Platform {
    /// Destroys all data that the aperture shows: of every process in `windows`. The agent takes the
    /// windows away and empties the poison list.
    ///
    /// # Errors
    /// [`BusError`] if the component is gone; the command then fails.
    fn sanitize(&mut self, windows: &[Option<Window>; WINDOWS]) -> Result<(), BusError>;

    /// Writes a line of a process, for Clear Poison. False if it cannot be written.
    fn write_line(&mut self, pid: u16, va: u64, data: &[u8; 64]) -> bool;
}

/// The monitor's side of the CXL mailbox and the event logs.
pub struct CxlAgent {
    logs: Logs,
    windows: [Option<Window>; WINDOWS],
    policy: [u8; 4],
    timestamp: u64,
    serviced: u64,
}

impl CxlAgent {
    /// Takes a device that was reset into use: its media is ready, its mailbox open.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn boot(bus: &mut impl WordBus) -> Result<Self, BusError> {
        for offset in (0..PAYLOAD_BYTES as u32).step_by(4) {
            bus.write_word(cxl::MAILBOX_PAYLOAD + offset, 0)?;
        }
        bus.write_word(cxl::MEMDEV_STATUS, cxl::MEDIA_READY | cxl::MAILBOX_READY)?;
        let (logs, windows) = (Logs::new(), [None; WINDOWS]);
        Ok(Self { logs, windows, policy: [0; 4], timestamp: 0, serviced: 0 })
    }

    /// Does what the device's interrupt asks for. True if there was something.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn poll(
        &mut self,
        bus: &mut impl WordBus,
        platform: &mut impl Platform,
    ) -> Result<bool, BusError> {
        let status = bus.read_word(cxl::STATUS)?;
        if status & cxl::status::EVENT != 0 {
            self.take_events(bus)?;
        }
        if status & cxl::status::DOORBELL != 0 {
            self.serve(bus, platform)?;
        }
        Ok(status & (cxl::status::EVENT | cxl::status::DOORBELL) != 0)
    }

    /// What the slots of the aperture show.
    pub fn windows(&self) -> &[Option<Window>; WINDOWS] {
        &self.windows
    }

    /// Shows a process's memory in a slot, or nothing. False, and nothing is done, if the window is
    /// none: beyond a slot or 48 bits, or not made of pages.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn set_window(
        &mut self,
        bus: &mut impl WordBus,
        slot: usize,
        window: Option<Window>,
    ) -> Result<bool, BusError> {
        const PAGE: u64 = 4095;
        let fits = |w: &Window| {
            (w.va | w.bytes) & PAGE == 0
                && w.bytes <= 1 << cxl::WINDOW_SHIFT
                && w.va.checked_add(w.bytes).is_some_and(|end| end <= 1 << 48)
        };
        if slot >= WINDOWS || !window.as_ref().is_none_or(fits) {
            return Ok(false);
        }
        let w = window.unwrap_or(Window { pid: 0, va: 0, bytes: 0, read: false, write: false });
        let rights = (w.read as u32) << 16 | (w.write as u32) << 17;
        bus.write_word(cxl::WINDOW_PID, w.pid as u32 | rights)?;
        bus.write_word(cxl::WINDOW_PAGE_LOW, (w.va >> 12) as u32)?;
        bus.write_word(cxl::WINDOW_PAGE_HIGH, (w.va >> 44) as u32)?;
        bus.write_word(cxl::WINDOW_PAGES, (w.bytes >> 12) as u32)?;
        bus.write_word(cxl::WINDOW_SET, slot as u32)?;
        self.windows[slot] = window;
        Ok(true)
    }

    /// Moves the device's events to the logs.
    fn take_events(&mut self, bus: &mut impl WordBus) -> Result<(), BusError> {
        while bus.read_word(cxl::EVENT_COUNT)? & 0xff != 0 {
            let mut words = [0; 3];
            for (i, word) in (0..).zip(&mut words) {
                *word = bus.read_word(cxl::EVENT + 4 * i)?;
            }
            bus.write_word(cxl::EVENT_POP, 0)?;
            self.timestamp += 1;
            if let Some(event) = Event::decode(words) {
                let dpa = dpa_of(bus, event.hpa)?;
                self.logs.record(&event, dpa, self.timestamp);
            }
        }
        bus.write_word(cxl::EVENT_STATUS, self.logs.status())
    }
}

/// The device physical address that the decoders make of a host's; all ones if they make none.
fn dpa_of(bus: &mut impl WordBus, hpa: u64) -> Result<u64, BusError> {
    let mut dpa_base = 0u64;
    for n in 0..cxl::HDM_DECODERS {
        let at = cxl::hdm_decoder(n);
        let mut wide = |low: u32, high: u32| -> Result<u64, BusError> {
            Ok(bus.read_word(at + low)? as u64 | (bus.read_word(at + high)? as u64) << 32)
        };
        let base = wide(decoder::BASE_LOW, decoder::BASE_HIGH)?;
        let size = wide(decoder::SIZE_LOW, decoder::SIZE_HIGH)?;
        let skip = wide(decoder::SKIP_LOW, decoder::SKIP_HIGH)?;
        let control = bus.read_word(at + decoder::CONTROL)?;
        if control & decoder::COMMITTED == 0 {
            break;
        }
        let (granule, ways) = ((control & 15) + 8, control >> 4 & 15);
        dpa_base = dpa_base.wrapping_add(skip);
        if hpa >= base && hpa - base < size {
            let off = hpa - base;
            let low = off & ((1 << granule) - 1);
            return Ok(dpa_base.wrapping_add(low | off >> (granule + ways) << granule));
        }
        dpa_base = dpa_base.wrapping_add(size >> ways);
    }
    Ok(u64::MAX)
}
