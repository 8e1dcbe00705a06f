//! The registers, as the core reaches them: volatile, by name or offset, each only as the register
//! map allows. The map is `splitmem-abi`'s; nothing here knows an address of its own.

use core::ptr::NonNull;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::regs::{self, Register};
use splitmem_abi::soc;
use volatile::VolatilePtr;

/// Words of a register window.
const WORDS: usize = regs::WINDOW_BYTES as usize / 4;
/// Words of the access rights: a bit per register.
const RIGHTS: usize = WORDS / 32;

/// What the monitor may do with each word of a window, worked out when the firmware is compiled.
struct Rights {
    reads: [u32; RIGHTS],
    writes: [u32; RIGHTS],
}

impl Rights {
    const fn of(map: &[Register]) -> Self {
        let mut rights = Self { reads: [0; RIGHTS], writes: [0; RIGHTS] };
        let mut i = 0;
        while i < map.len() {
            let mut word = map[i].offset as usize / 4;
            let end = word + map[i].count as usize;
            while word < end {
                rights.reads[word / 32] |= (map[i].monitor.reads() as u32) << (word % 32);
                rights.writes[word / 32] |= (map[i].monitor.writes() as u32) << (word % 32);
                word += 1;
            }
            i += 1;
        }
        rights
    }
}

static COMPONENT_RIGHTS: Rights = Rights::of(regs::ALL);

/// A register at a fixed address.
fn at(base: u32, word: usize) -> VolatilePtr<'static, u32> {
    let address = (base as usize + 4 * word) as *mut u32;
    // SAFETY: the address map in `splitmem_abi::soc` says that registers stand at `base`, for as long
    // as the firmware runs; they are words, aligned, and no Rust object.
    unsafe { VolatilePtr::new(NonNull::new_unchecked(address)) }
}

/// The component's registers, over the bridge.
#[derive(Clone, Copy, Debug)]
pub struct Component;

impl RegisterBus for Component {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        let word = offset as usize / 4;
        if word >= WORDS || COMPONENT_RIGHTS.reads[word / 32] >> (word % 32) & 1 == 0 {
            return Err(BusError::Denied { offset });
        }
        Ok(at(soc::COMPONENT_BASE, word).read())
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        let word = offset as usize / 4;
        if word >= WORDS || COMPONENT_RIGHTS.writes[word / 32] >> (word % 32) & 1 == 0 {
            return Err(BusError::Denied { offset });
        }
        at(soc::COMPONENT_BASE, word).write(value);
        Ok(())
    }
}

/// The registers of the system around the core.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl System {
    /// Reads a register that can be read.
    pub fn read(self, register: &Register) -> u32 {
        debug_assert!(register.monitor.reads());
        at(soc::SYSTEM_BASE, register.offset as usize / 4).read()
    }

    /// Writes a register that can be written.
    pub fn write(self, register: &Register, value: u32) {
        debug_assert!(register.monitor.writes());
        at(soc::SYSTEM_BASE, register.offset as usize / 4).write(value);
    }

    /// The core's clocks since power-up.
    pub fn now(self) -> u64 {
        let low = self.read(&soc::TIME_LO);
        (self.read(&soc::TIME_HI) as u64) << 32 | low as u64
    }

    /// Has the timer interrupt stand from `time` on.
    pub fn set_alarm(self, time: u64) {
        // Never earlier than asked in between: the high half is far away while the low one changes.
        self.write(&soc::ALARM_HI, u32::MAX);
        self.write(&soc::ALARM_LO, time as u32);
        self.write(&soc::ALARM_HI, (time >> 32) as u32);
    }
}
