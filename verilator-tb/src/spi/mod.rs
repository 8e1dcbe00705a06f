//! The Verilated SPI bridge on the component's monitor bus: what a companion microcontroller has at its
//! pins.

mod verilated;

use crate::bus::{BusAccess, Side};
use crate::component::{Component, ComponentError};
use crate::dram::LineMemory;
use splitmem_abi::bus::BusError;
use verilated::{Bridge, Inputs, Outputs};

/// Cycles of reset.
const RESET_CYCLES: u32 = 4;

/// A component whose monitor bus ends in SPI pins.
pub struct SpiComponent<M> {
    component: Component<M>,
    bridge: Bridge,
    inputs: Inputs,
    outputs: Outputs,
    /// The access on the bus.
    under_way: Option<BusAccess>,
    accesses: Vec<(BusAccess, Result<u32, BusError>)>,
}

impl<M: LineMemory> SpiComponent<M> {
    /// The component, ready, behind a bridge after reset.
    ///
    /// # Errors
    /// [`ComponentError::NoMemory`].
    pub fn new(component: Component<M>) -> Result<Self, ComponentError> {
        let bridge = Bridge::new().ok_or(ComponentError::NoMemory)?;
        let (inputs, outputs) = (Inputs { cs_n: true, ..Inputs::default() }, Outputs::default());
        let (under_way, accesses) = (None, Vec::new());
        let mut pins = Self { component, bridge, inputs, outputs, under_way, accesses };
        pins.reset_bridge();
        Ok(pins)
    }

    /// Resets the bridge, and leaves the component as it is.
    pub fn reset_bridge(&mut self) {
        self.inputs.reset = true;
        for _ in 0..RESET_CYCLES {
            self.cycle(false, true, false);
        }
        self.inputs.reset = false;
    }

    /// One clock cycle, at whose edge the pins have these levels: gives `miso` after it.
    pub fn cycle(&mut self, sck: bool, cs_n: bool, mosi: bool) -> bool {
        let pins = &mut self.inputs;
        (pins.sck, pins.cs_n, pins.mosi) = (sck, cs_n, mosi);
        pins.irq_monitor = self.component.irq(Side::Monitor);
        pins.m_done = false;
        let result = self.component.bus_poll(Side::Monitor);
        if let (Some(access), Some(result)) = (self.under_way, result) {
            pins.m_done = true;
            pins.m_error = result.is_err();
            pins.m_rdata = result.unwrap_or(0);
            self.under_way = None;
            self.accesses.push((access, result));
        }
        self.bridge.low(&self.inputs, &mut self.outputs);
        let outs = &self.outputs;
        if outs.m_valid && !self.inputs.m_done && self.under_way.is_none() {
            let access = match outs.m_write {
                true => BusAccess::Write(outs.m_addr, outs.m_wdata),
                false => BusAccess::Read(outs.m_addr),
            };
            self.under_way = self.component.bus_start(Side::Monitor, access).then_some(access);
        }
        self.bridge.high();
        self.component.tick();
        // What the next cycle's beginning shows: nothing changes between the edges.
        self.bridge.low(&self.inputs, &mut self.outputs);
        self.outputs.miso
    }

    /// The interrupt pin, after the last cycle.
    pub fn irq(&self) -> bool {
        self.outputs.irq
    }

    /// The component, for its ports and its host's registers.
    pub fn component(&mut self) -> &mut Component<M> {
        &mut self.component
    }

    /// The accesses to the monitor's registers so far, in their order, with their results.
    pub fn accesses(&self) -> &[(BusAccess, Result<u32, BusError>)] {
        &self.accesses
    }
}
