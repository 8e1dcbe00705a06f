//! The soft core that runs the memory monitor, in a clock of its own.
//!
//! ```text
//!  JTAG ─ debug module ─┐
//!               core ───┼─ memory
//!                       └─ Peripherals ─┬─ System: time, watchdog, reset, GPIO
//!                                       └─ Crossing ══ component's monitor bus m_*
//!  irq_monitor ══ two flip-flops ─ core
//! ```
//! `══` is where the clocks meet. A component without a core leaves all of this out and has the same
//! pins `m_*` and `irq_monitor`, for a monitor that runs elsewhere.

pub mod core_complex;
pub mod crossing;
pub mod peripherals;
pub mod sources;
pub mod system;

use core_complex::CoreComplex;
use crossing::Crossing;
use peripherals::Peripherals;
use rust_hdl::prelude::*;
use splitmem_abi::soc::SocConfig;
use system::System;

/// The SystemVerilog that belongs to [`emit`]'s, in the order in which tools want it after Ibex's and
/// the debug module's own files.
pub const SOURCES: [(&str, &str); 2] = [
    ("primitives.sv", include_str!("../../soc/primitives.sv")),
    ("core_complex.sv", include_str!("../../soc/core_complex.sv")),
];

/// The core's Verilog, module `top`; the black box is in [`SOURCES`].
pub fn emit(config: &SocConfig) -> String {
    crate::on_a_large_stack(|| {
        let mut soc = Soc::new(config);
        soc.connect_pins();
        generate_verilog(&soc)
    })
}

/// The core and everything in its clock, and the component's side of the crossing.
#[derive(LogicBlock)]
pub struct Soc {
    pub core_clock: Signal<In, Clock>,
    pub core_reset: Signal<In, Bit>,
    pub bus_clock: Signal<In, Clock>,
    pub bus_reset: Signal<In, Bit>,
    /// The core's clocks since power-up, counted by [`TimeBase`] also while the core sleeps and
    /// gets no clock.
    pub now: Signal<In, Bits<64>>,
    /// Frames of memory on this board.
    pub board_frames: Signal<In, Bits<32>>,
    pub gpio_in: Signal<In, Bits<8>>,
    pub gpio_out: Signal<Out, Bits<8>>,
    /// The component's interrupt, in the component's clock.
    pub irq_monitor: Signal<In, Bit>,
    pub m_valid: Signal<Out, Bit>,
    pub m_write: Signal<Out, Bit>,
    pub m_addr: Signal<Out, Bits<12>>,
    pub m_wdata: Signal<Out, Bits<32>>,
    pub m_done: Signal<In, Bit>,
    pub m_rdata: Signal<In, Bits<32>>,
    pub m_error: Signal<In, Bit>,
    /// No clock is needed until `irq_monitor`, the times below, or JTAG.
    pub sleeping: Signal<Out, Bit>,
    pub halted: Signal<Out, Bit>,
    /// A register access is under way: the crossing needs both clocks.
    pub busy: Signal<Out, Bit>,
    pub resetting: Signal<Out, Bit>,
    pub alarm: Signal<Out, Bits<64>>,
    pub deadline: Signal<Out, Bits<64>>,
    pub pc: Signal<Out, Bits<32>>,
    pub tck: Signal<In, Bit>,
    pub tms: Signal<In, Bit>,
    pub trst_n: Signal<In, Bit>,
    pub tdi: Signal<In, Bit>,
    pub tdo: Signal<Out, Bit>,

    complex: CoreComplex,
    peripherals: Peripherals,
    system: System,
    crossing: Crossing,
    irq_meta: DFF<Bit>,
    irq_here: DFF<Bit>,
}

impl Default for Soc {
    fn default() -> Self {
        Self::new(&SocConfig::DEFAULT)
    }
}

impl Soc {
    pub fn new(config: &SocConfig) -> Self {
        with_defaults!(Self {
            complex: CoreComplex::new(config),
            system: System::new(config),
        } core_clock core_reset bus_clock bus_reset now board_frames gpio_in gpio_out irq_monitor
          m_valid m_write m_addr m_wdata m_done m_rdata m_error sleeping halted busy resetting alarm
          deadline pc tck tms trst_n tdi tdo peripherals crossing irq_meta irq_here)
    }

    /// Connects every pin, as whoever places the core does.
    pub fn connect_pins(&mut self) {
        self.core_clock.connect();
        self.core_reset.connect();
        self.bus_clock.connect();
        self.bus_reset.connect();
        self.now.connect();
        self.board_frames.connect();
        self.gpio_in.connect();
        self.irq_monitor.connect();
        self.m_done.connect();
        self.m_rdata.connect();
        self.m_error.connect();
        self.tck.connect();
        self.tms.connect();
        self.trst_n.connect();
        self.tdi.connect();
        self.connect_all();
    }
}

impl Logic for Soc {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, core_clock, irq_meta, irq_here);
        self.complex.clock.next = self.core_clock.val();
        self.peripherals.clock.next = self.core_clock.val();
        self.system.clock.next = self.core_clock.val();
        self.crossing.core_clock.next = self.core_clock.val();
        self.crossing.bus_clock.next = self.bus_clock.val();
        self.complex.reset.next = self.core_reset.val();
        self.complex.core_reset.next = self.system.core_reset.val();
        self.peripherals.reset.next = self.core_reset.val();
        self.crossing.core_reset.next = self.core_reset.val();
        self.crossing.bus_reset.next = self.bus_reset.val();

        self.irq_meta.d.next = self.irq_monitor.val();
        self.irq_here.d.next = self.irq_meta.q.val();
        self.complex.irq_external.next = self.irq_here.q.val();
        self.complex.irq_timer.next = self.system.irq_timer.val();

        self.peripherals.p_req.next = self.complex.p_req.val();
        self.peripherals.p_we.next = self.complex.p_we.val();
        self.peripherals.p_be.next = self.complex.p_be.val();
        self.peripherals.p_addr.next = self.complex.p_addr.val();
        self.peripherals.p_wdata.next = self.complex.p_wdata.val();
        self.complex.p_gnt.next = self.peripherals.p_gnt.val();
        self.complex.p_rvalid.next = self.peripherals.p_rvalid.val();
        self.complex.p_rdata.next = self.peripherals.p_rdata.val();
        self.complex.p_err.next = self.peripherals.p_err.val();

        self.system.bus.next = self.peripherals.bus.val();
        self.peripherals.read_data.next = self.system.read_data.val();
        self.system.now.next = self.now.val();
        self.system.board_frames.next = self.board_frames.val();
        self.system.gpio_in.next = self.gpio_in.val();
        self.gpio_out.next = self.system.gpio_out.val();
        self.system.halted.next = self.complex.halted.val();
        self.system.debug_reset.next = self.complex.debug_reset.val();
        self.alarm.next = self.system.alarm.val();
        self.deadline.next = self.system.deadline.val();

        self.crossing.start.next = self.peripherals.start.val();
        self.crossing.write.next = self.peripherals.write.val();
        self.crossing.address.next = self.peripherals.address.val();
        self.crossing.wdata.next = self.peripherals.wdata.val();
        self.peripherals.done.next = self.crossing.done.val();
        self.peripherals.crossed.next = self.crossing.rdata.val();
        self.peripherals.error.next = self.crossing.error.val();
        self.m_valid.next = self.crossing.m_valid.val();
        self.m_write.next = self.crossing.m_write.val();
        self.m_addr.next = self.crossing.m_addr.val();
        self.m_wdata.next = self.crossing.m_wdata.val();
        self.crossing.m_done.next = self.m_done.val();
        self.crossing.m_rdata.next = self.m_rdata.val();
        self.crossing.m_error.next = self.m_error.val();

        self.complex.tck.next = self.tck.val();
        self.complex.tms.next = self.tms.val();
        self.complex.trst_n.next = self.trst_n.val();
        self.complex.tdi.next = self.tdi.val();
        self.tdo.next = self.complex.tdo.val();
        self.sleeping.next = self.complex.sleeping.val() && !self.peripherals.busy.val();
        self.halted.next = self.complex.halted.val();
        self.busy.next = self.peripherals.busy.val();
        self.resetting.next = self.system.core_reset.val();
        self.pc.next = self.complex.pc.val();
    }
}

/// Counts the core's clocks since power-up; stays on while the core's own clock is stopped.
#[derive(LogicBlock, Default)]
pub struct TimeBase {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub now: Signal<Out, Bits<64>>,
    count: DFF<Bits<64>>,
}

impl Logic for TimeBase {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count);
        self.now.next = self.count.q.val();
        self.count.d.next = self.count.q.val() + 1;
        if self.reset.val() {
            self.count.d.next = 0.into();
        }
    }
}
