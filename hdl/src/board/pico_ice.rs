//! tinyVision.ai pico-ice: an iCE40UP5K-SG48 beside an RP2040, which runs the memory monitor.
//!
//! ```text
//!  SPI pins ─ Bridge ─ registers and request window ─ Component (micro) ─ four SPRAM blocks
//!  interrupt ◄─┘                                                           in the shell
//! ```
//!
//! The microcontroller is both sides: an access at a register's offset is the monitor's, at the offset
//! with [`HOST_SIDE`] set the host's.

use crate::micro::component::Component;
use crate::spi::bridge::Bridge;
use rust_hdl::prelude::*;
use splitmem_abi::window::HOST_SIDE;

/// The clock that the RP2040 gives the FPGA.
pub const CLOCK_KHZ: u32 = 12_000;

const SHELL: &str = include_str!("../../boards/pico_ice.v");

// The lowest bit of an address, which no register has set.
const _: () = assert!(HOST_SIDE == 1);

/// Component and bridge.
#[derive(LogicBlock, Default)]
pub struct PicoIce {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub sck: Signal<In, Bit>,
    pub cs_n: Signal<In, Bit>,
    pub mosi: Signal<In, Bit>,
    pub miso: Signal<Out, Bit>,
    pub irq: Signal<Out, Bit>,

    pub mem_valid: Signal<Out, Bit>,
    pub mem_write: Signal<Out, Bit>,
    pub mem_address: Signal<Out, Bits<16>>,
    pub mem_mask: Signal<Out, Bits<2>>,
    pub mem_wdata: Signal<Out, Bits<16>>,
    pub mem_rdata: Signal<In, Bits<16>>,

    component: Component,
    bridge: Bridge,
}

impl PicoIce {
    pub fn new() -> Self {
        Self { component: Component::new(), bridge: Bridge::new(), ..Default::default() }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.sck.connect();
        self.cs_n.connect();
        self.mosi.connect();
        self.mem_rdata.connect();
        self.connect_all();
    }
}

impl Logic for PicoIce {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, component, bridge);
        self.component.reset.next = self.reset.val();
        self.bridge.reset.next = self.reset.val();
        self.bridge.sck.next = self.sck.val();
        self.bridge.cs_n.next = self.cs_n.val();
        self.bridge.mosi.next = self.mosi.val();
        self.miso.next = self.bridge.miso.val();
        self.irq.next = self.bridge.irq.val();

        self.component.bus_valid.next = self.bridge.m_valid.val();
        self.component.bus_host.next = self.bridge.m_addr.val().get_bit(0);
        self.component.bus_write.next = self.bridge.m_write.val();
        self.component.bus_addr.next = (self.bridge.m_addr.val() >> 1) << 1;
        self.component.bus_wdata.next = self.bridge.m_wdata.val();
        self.bridge.m_done.next = self.component.bus_done.val();
        self.bridge.m_error.next = self.component.bus_error.val();
        self.bridge.m_rdata.next = self.component.bus_rdata.val();
        // One wire for both sides' interrupts: the microcontroller is both.
        self.bridge.irq_monitor.next =
            self.component.irq_monitor.val() || self.component.irq_host.val();

        self.mem_valid.next = self.component.mem_valid.val();
        self.component.mem_ready.next = true;
        self.mem_write.next = self.component.mem_write.val();
        self.mem_address.next = self.component.mem_address.val();
        self.mem_mask.next = self.component.mem_mask.val();
        self.mem_wdata.next = self.component.mem_wdata.val();
        self.component.mem_rdata.next = self.mem_rdata.val();
    }
}

/// All but memory, pads and clock: module `core`.
pub fn core() -> String {
    crate::on_a_large_stack(|| {
        let mut core = PicoIce::new();
        core.connect_pins();
        crate::renamed(&generate_verilog(&core), "core")
    })
}

/// Memory, pads and clock, module `pico_ice`, around the core.
pub fn shell() -> &'static str {
    SHELL
}
