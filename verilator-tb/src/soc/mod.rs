//! The soft core beside the component: the memory monitor as firmware.
//!
//! The core is a Verilated model of its own. It gets a clock only while it is awake, so that a
//! sleeping one costs a comparison per cycle of the component; the two meet at the component's
//! monitor bus and interrupt line, as they do in hardware.

mod debugger;
mod image;
mod jtag;
mod log;
mod model;

pub use debugger::{DebugError, Debugger, Scan};
pub use image::{Image, ImageError, Isolation, COMPILER, FIRMWARE_SOURCES};
pub use jtag::{Remote, Wires};
pub use log::{Log, LogError, RttChannel};

use crate::bus::{BusAccess, Side};
use crate::component::Component;
use crate::dram::LineMemory;
use model::{SocIn, SocModel, SocOut};
use splitmem_abi::bus::BusError;
use splitmem_abi::soc::RAM_BASE;

/// Clocks of the core in reset.
const RESET_CLOCKS: u64 = 8;
/// Clocks of sleep before the clock is stopped.
const DOZES: u32 = 4;
/// Jump to itself: what an empty board runs.
const SPIN: u32 = 0x0000_006f;

/// The core's access on the component's monitor bus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnBus {
    Nothing,
    Started,
    /// The result was shown; `m_valid` falls next.
    Shown,
}

/// The core, its memory and what surrounds it. See the module's documentation.
pub struct SoftCore {
    model: SocModel,
    ins: Box<SocIn>,
    outs: Box<SocOut>,
    ratio: u64,
    on_bus: OnBus,
    asleep: bool,
    /// Clocks in a row in which it said that it sleeps. For one clock it also says so after reset.
    dozes: u32,
    /// The component's cycle at which a sleeping core is woken.
    wake_at: u64,
    /// The component's cycle until which a debugger keeps it awake.
    debug_until: u64,
    clocks: u64,
    resets: u32,
}

impl SoftCore {
    /// A core in reset, its memory filled with `image`. `ratio` clocks of the component are one of
    /// the core; `frames` is what the board tells the firmware about its memory. `None` if there is
    /// no memory for the model.
    pub fn new(image: Option<&Image>, ratio: u32, frames: u32) -> Option<Self> {
        let mut core = Self {
            model: SocModel::new()?,
            ins: Box::default(),
            // Power-up is no reset of its own.
            outs: Box::new(SocOut { resetting: true, ..SocOut::default() }),
            ratio: u64::from(ratio.max(1)),
            on_bus: OnBus::Nothing,
            asleep: false,
            dozes: 0,
            wake_at: 0,
            debug_until: 0,
            clocks: 0,
            resets: 0,
        };
        core.ins.board_frames = frames;
        core.ins.reset = true;
        core.ins.tms = true;
        match image {
            Some(image) => core.load(image),
            None => core.write_word(RAM_BASE + 0x80, SPIN),
        }
        Some(core)
    }

    /// Writes an image into the core's memory.
    pub fn load(&mut self, image: &Image) {
        for (at, bytes) in image.segments() {
            for (i, &byte) in (0..).zip(bytes) {
                let at = at + i;
                let shift = at % 4 * 8;
                let word = self.read_word(at) & !(0xff << shift) | u32::from(byte) << shift;
                self.write_word(at, word);
            }
        }
    }

    /// The word of the core's memory at an address; zero beyond it.
    pub fn read_word(&mut self, address: u32) -> u32 {
        let word = (address.wrapping_sub(RAM_BASE) / 4) as usize;
        self.model.ram().get(word).copied().unwrap_or(0)
    }

    /// Changes a word of the core's memory behind its back.
    pub fn write_word(&mut self, address: u32, value: u32) {
        let word = (address.wrapping_sub(RAM_BASE) / 4) as usize;
        if let Some(word) = self.model.ram().get_mut(word) {
            *word = value;
        }
    }

    /// Whether it waits for an interrupt and gets no clock.
    pub fn is_asleep(&self) -> bool {
        self.asleep
    }

    /// Whether a debugger has halted it.
    pub fn is_halted(&self) -> bool {
        self.outs.halted
    }

    /// Clocks that it got.
    pub fn clocks(&self) -> u64 {
        self.clocks
    }

    /// How often it was reset since power-up.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// Where it last fetched.
    pub fn pc(&self) -> u32 {
        self.outs.pc
    }

    /// GPIO outputs, see `splitmem_abi::soc::pin`.
    pub fn gpio(&self) -> u8 {
        self.outs.gpio_out
    }

    /// Drives the GPIO inputs.
    pub fn set_gpio(&mut self, pins: u8) {
        self.ins.gpio_in = pins;
    }

    /// Drives the JTAG pins and gives TDO as it stands. Cycles must pass before the next change, as
    /// on a board: [`JTAG_CYCLES`](Self::JTAG_CYCLES) of the component or more.
    pub fn jtag(&mut self, cycle: u64, tck: bool, tms: bool, tdi: bool) -> bool {
        (self.ins.tck, self.ins.tms, self.ins.tdi) = (tck, tms, tdi);
        self.asleep = false;
        // What a debugger asks for takes some clocks to arrive and to be done.
        self.debug_until = cycle + 256 * self.ratio;
        let ins = SocIn { core_edge: false, bus_edge: false, ..*self.ins };
        self.model.step(&ins, &mut self.outs);
        self.outs.tdo
    }

    /// Resets the debug module's JTAG port.
    pub fn jtag_reset(&mut self, on: bool) {
        self.ins.trst_n = !on;
    }

    /// Cycles of the component between two changes of JTAG pins.
    pub const JTAG_CYCLES: u64 = 4;

    /// To be called before every tick of the component.
    #[inline]
    pub fn run<M: LineMemory>(&mut self, component: &mut Component<M>) {
        let cycle = component.cycle();
        if self.asleep && !component.irq(Side::Monitor) && cycle < self.wake_at {
            return;
        }
        self.run_awake(component, cycle);
    }

    fn run_awake<M: LineMemory>(&mut self, component: &mut Component<M>, cycle: u64) {
        self.asleep = false;
        let core_edge = cycle % self.ratio == 0;
        // The component's side of the crossing has nothing to do beside accesses.
        let bus_edge = self.outs.busy || self.ins.reset || self.on_bus != OnBus::Nothing;
        if !core_edge && !bus_edge {
            return;
        }
        let ins = &mut *self.ins;
        if bus_edge {
            ins.m_done = false;
            match self.on_bus {
                OnBus::Nothing if self.outs.m_valid => {
                    let offset = self.outs.m_addr;
                    let access = match self.outs.m_write {
                        true => BusAccess::Write(offset, self.outs.m_wdata),
                        false => BusAccess::Read(offset),
                    };
                    if component.bus_start(Side::Monitor, access) {
                        self.on_bus = OnBus::Started;
                    }
                }
                OnBus::Nothing => {}
                OnBus::Started => {
                    if let Some(result) = component.bus_poll(Side::Monitor) {
                        ins.m_done = true;
                        ins.m_error = matches!(result, Err(BusError::Denied { .. }));
                        ins.m_rdata = result.unwrap_or(0);
                        self.on_bus = OnBus::Shown;
                    }
                }
                OnBus::Shown => self.on_bus = OnBus::Nothing,
            }
        }
        ins.irq_monitor = component.irq(Side::Monitor);
        ins.now = cycle / self.ratio;
        ins.core_edge = core_edge;
        ins.bus_edge = bus_edge;
        if self.clocks >= RESET_CLOCKS && ins.reset {
            ins.reset = false;
            ins.trst_n = true;
        }
        let was_resetting = self.outs.resetting;
        self.model.step(ins, &mut self.outs);
        if core_edge {
            self.clocks += 1;
            let begins = self.outs.resetting && !was_resetting && !ins.reset;
            self.resets += u32::from(begins);
            let wake_at = self.outs.alarm.min(self.outs.deadline);
            let due = wake_at <= ins.now + 2;
            self.dozes = if self.outs.sleeping { self.dozes + 1 } else { 0 };
            self.asleep = self.dozes >= DOZES
                && !self.outs.busy
                && !ins.irq_monitor
                && !self.outs.resetting
                && !due
                && self.on_bus == OnBus::Nothing
                && cycle >= self.debug_until;
            self.wake_at = wake_at.saturating_mul(self.ratio);
        }
    }
}
