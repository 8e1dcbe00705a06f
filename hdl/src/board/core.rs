//! What is the same on every board with an SDRAM and a serial port: all but pads and clocks.
//!
//! ```text
//!  rx, tx ─ Link ─┬─ port 0 ─ Component ─ Memory ─ SDRAM pins
//!                 │               │
//!                 │               └─ monitor's registers ─ Soc ─ JTAG
//!                 └─ registers: host's, the board's own
//! ```
//!
//! The monitor runs on the soft core, in `core_clock`, and starts when the memory was tested. The
//! link's monitor space answers nobody.
//!
//! LEDs: 0 memory ready, 1 memory failed, 2 a host is there, 3 the monitor is awake, 4 a
//! frame came, 5 an answer goes out, 6 a frame was damaged since power-up, 7 the clock runs.

use crate::prim::Param;
use crate::sdram::memory::Memory;
use crate::sdram::timing::Cycles;
use crate::serial::link::{Link, LinkConfig};
use crate::soc::{Soc, TimeBase};
use crate::top::Component;
use rust_hdl::prelude::*;
use splitmem_abi::board;
use splitmem_abi::config::HwConfig;
use splitmem_abi::serial::welcome;
use splitmem_abi::soc::SocConfig;

/// Cycles for which a pulse lights a LED: 2^21, some 40 ms.
const GLOW: usize = 21;

/// The board's own registers, combinational.
#[derive(LogicBlock, Default)]
pub struct BoardRegisters {
    pub address: Signal<In, Bits<12>>,
    pub memory: Signal<In, Bits<2>>,
    pub fail_line: Signal<In, Bits<19>>,
    pub fail_bits: Signal<In, Bits<16>>,
    pub bad_frames: Signal<In, Bits<16>>,
    pub ready_cycles: Signal<In, Bits<32>>,
    pub data: Signal<Out, Bits<32>>,
    pub known: Signal<Out, Bit>,
    _clock_khz: u32,
}

impl Logic for BoardRegisters {
    fn update(&mut self) {
        let address = self.address.val().index() as u16;
        let value = match address {
            board::MAGIC => u64::from(board::MAGIC_VALUE),
            board::CLOCK_KHZ => u64::from(self._clock_khz),
            board::MEMORY => self.memory.val().index() as u64,
            board::FAIL_LINE => self.fail_line.val().index() as u64,
            board::FAIL_BITS => self.fail_bits.val().index() as u64,
            board::BAD_FRAMES => self.bad_frames.val().index() as u64,
            board::READY_CYCLES => self.ready_cycles.val().index() as u64,
            _ => 0,
        };
        self.data.next = value.into();
        self.known.next = address <= board::READY_CYCLES && address % 4 == 0;
    }

    fn connect(&mut self) {
        self.data.connect();
        self.known.connect();
    }

    fn hdl(&self) -> Verilog {
        let registers = [
            (board::MAGIC, format!("32'd{}", board::MAGIC_VALUE)),
            (board::CLOCK_KHZ, format!("32'd{}", self._clock_khz)),
            (board::MEMORY, "{30'd0, memory}".into()),
            (board::FAIL_LINE, "{13'd0, fail_line}".into()),
            (board::FAIL_BITS, "{16'd0, fail_bits}".into()),
            (board::BAD_FRAMES, "{16'd0, bad_frames}".into()),
            (board::READY_CYCLES, "ready_cycles".into()),
        ];
        let lines: String = registers
            .iter()
            .map(|(address, value)| format!("    12'd{address}: data = {value};\n"))
            .collect();
        Verilog::Custom(format!(
            "always @(*) begin\n  known = 1'b1;\n  data = 32'd0;\n  case (address)\n{lines}    \
             default: known = 1'b0;\n  endcase\nend\n"
        ))
    }
}

#[derive(LogicBlock, Default)]
pub struct BoardCore {
    pub clock: Signal<In, Clock>,
    /// Registered once. An FPGA comes up with its registers at zero, and that is in reset.
    pub reset: Signal<In, Bit>,
    /// The soft core's; whatever its ratio and phase to `clock`.
    pub core_clock: Signal<In, Clock>,
    /// The soft core's debug port.
    pub tck: Signal<In, Bit>,
    pub tms: Signal<In, Bit>,
    pub tdi: Signal<In, Bit>,
    pub tdo: Signal<Out, Bit>,
    pub rx: Signal<In, Bit>,
    pub tx: Signal<Out, Bit>,
    /// Test all of the memory after reset, which takes seconds.
    pub thorough: Signal<In, Bit>,
    pub leds: Signal<Out, Bits<8>>,

    pub cke: Signal<Out, Bit>,
    pub cs_n: Signal<Out, Bit>,
    pub ras_n: Signal<Out, Bit>,
    pub cas_n: Signal<Out, Bit>,
    pub we_n: Signal<Out, Bit>,
    pub ba: Signal<Out, Bits<2>>,
    pub a: Signal<Out, Bits<13>>,
    pub dqm: Signal<Out, Bits<2>>,
    pub dq_out: Signal<Out, Bits<16>>,
    pub dq_drive: Signal<Out, Bit>,
    pub dq_in: Signal<In, Bits<16>>,

    component: Component,
    memory: Memory,
    link: Link,
    registers: BoardRegisters,
    soc: Soc,
    timebase: TimeBase,
    runs: DFF<Bit>,
    // In the core's clock: the memory is ready, so it may start.
    ready_meta: DFF<Bit>,
    ready_here: DFF<Bit>,
    core_resets: Signal<Local, Bit>,
    resets: Signal<Local, Bit>,
    ready_cycles: DFF<Bits<32>>,
    /// A register access that the board answers itself.
    answered: DFF<Bit>,
    denied: DFF<Bit>,
    value: DFF<Bits<32>>,
    ticks: DFF<Bits<25>>,
    received: DFF<Bits<22>>,
    sent: DFF<Bits<22>>,
    space: Signal<Local, Bits<2>>,
    closed: Signal<Local, Bit>,
    own: Signal<Local, Bit>,
    led: Signal<Local, Bits<8>>,
    glow: Param<Bits<22>>,
    frames: Param<Bits<32>>,
    own_monitor: Param<Bits<8>>,
}

impl BoardCore {
    /// `config.dram_data_bits` must be 64.
    pub fn new(config: &HwConfig, link: &LinkConfig, soc: &SocConfig) -> Self {
        Self {
            component: Component::new(config),
            soc: Soc::new(soc),
            frames: Param::new(config.frames().into()),
            own_monitor: Param::new(u64::from(welcome::OWN_MONITOR).into()),
            memory: Memory::new(&Cycles::at(link.clock_khz)),
            link: Link::new(link),
            registers: BoardRegisters { _clock_khz: link.clock_khz, ..Default::default() },
            glow: Param::new((1u64 << GLOW).into()),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.core_clock.connect();
        self.tck.connect();
        self.tms.connect();
        self.tdi.connect();
        self.rx.connect();
        self.thorough.connect();
        self.dq_in.connect();
        self.connect_all();
    }
}

impl Logic for BoardCore {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, runs, ready_cycles, answered, denied, value, ticks, received, sent);
        clock!(self, clock, component, memory, link);
        self.runs.d.next = !self.reset.val();
        dff_setup!(self, core_clock, ready_meta, ready_here);
        self.resets.next = !self.runs.q.val();
        self.component.reset.next = self.resets.val();
        self.memory.reset.next = self.resets.val();
        self.link.reset.next = self.resets.val();
        self.link.rx.next = self.rx.val();
        self.tx.next = self.link.tx.val();
        self.memory.thorough.next = self.thorough.val();
        self.closed.next = !self.memory.ready.val();
        self.link.closed.next = self.closed.val();
        self.link.flags.next = bit_cast::<8, 1>(self.memory.ready.val().into())
            | (bit_cast::<8, 1>(self.memory.failed.val().into()) << 1)
            | self.own_monitor.val();

        // Requests: port 0. Port 1 is free.
        self.component.p0_req_valid.next = self.link.req_valid.val();
        self.link.req_ready.next = self.component.p0_req_ready.val();
        self.component.p0_req_op.next = self.link.req_op.val();
        self.component.p0_req_tag.next = self.link.req_tag.val();
        self.component.p0_req_pid.next = self.link.req_pid.val();
        self.component.p0_req_va.next = self.link.req_va.val();
        self.component.p0_req_mask.next = self.link.req_mask.val();
        self.component.p0_req_data.next = self.link.req_data.val();
        self.link.resp_valid.next = self.component.p0_resp_valid.val();
        self.component.p0_resp_ready.next = self.link.resp_ready.val();
        self.link.resp_tag.next = self.component.p0_resp_tag.val();
        self.link.resp_status.next = self.component.p0_resp_status.val();
        self.link.resp_data.next = self.component.p0_resp_data.val();
        self.component.p1_req_valid.next = false;
        self.component.p1_req_op.next = 0.into();
        self.component.p1_req_tag.next = 0.into();
        self.component.p1_req_pid.next = 0.into();
        self.component.p1_req_va.next = 0.into();
        self.component.p1_req_mask.next = 0.into();
        self.component.p1_req_data.next = 0.into();
        self.component.p1_resp_ready.next = true;

        // Registers, by their space. The component's are denied until it has a memory.
        self.space.next = self.link.reg_address.val().get_bits::<2>(12);
        self.own.next = self.link.reg_valid.val()
            && (self.closed.val() || (self.space.val() != 0))
            && !self.answered.q.val();
        self.registers.address.next = bit_cast::<12, 14>(self.link.reg_address.val());
        self.registers.memory.next = bit_cast::<2, 1>(self.memory.ready.val().into())
            | (bit_cast::<2, 1>(self.memory.failed.val().into()) << 1);
        self.registers.fail_line.next = self.memory.fail_line.val();
        self.registers.fail_bits.next = self.memory.fail_bits.val();
        self.registers.bad_frames.next = self.link.bad_frames.val();
        self.registers.ready_cycles.next = self.ready_cycles.q.val();
        self.answered.d.next = self.own.val();
        self.denied.d.next =
            (self.space.val() != 2) || self.link.reg_write.val() || !self.registers.known.val();
        self.value.d.next = self.registers.data.val();
        self.component.h_valid.next =
            self.link.reg_valid.val() && !self.closed.val() && (self.space.val() == 0);
        self.component.h_write.next = self.link.reg_write.val();
        self.component.h_addr.next = bit_cast::<12, 14>(self.link.reg_address.val());
        self.component.h_wdata.next = self.link.reg_wdata.val();
        self.link.reg_done.next = self.answered.q.val() || self.component.h_done.val();
        self.link.reg_rdata.next = self.component.h_rdata.val();
        self.link.reg_error.next = self.component.h_error.val();
        if self.answered.q.val() {
            self.link.reg_rdata.next = self.value.q.val();
            self.link.reg_error.next = self.denied.q.val();
        }
        // The monitor's: the soft core, which waits for the memory, as does the time that it counts.
        self.ready_meta.d.next = self.memory.ready.val();
        self.ready_here.d.next = self.ready_meta.q.val();
        self.core_resets.next = !self.ready_here.q.val();
        self.timebase.clock.next = self.core_clock.val();
        self.timebase.reset.next = self.core_resets.val();
        self.soc.core_clock.next = self.core_clock.val();
        self.soc.core_reset.next = self.core_resets.val();
        self.soc.bus_clock.next = self.clock.val();
        self.soc.bus_reset.next = self.resets.val();
        self.soc.now.next = self.timebase.now.val();
        self.soc.board_frames.next = self.frames.val();
        self.soc.gpio_in.next = 0.into();
        self.soc.irq_monitor.next = self.component.irq_monitor.val();
        self.component.m_valid.next = self.soc.m_valid.val();
        self.component.m_write.next = self.soc.m_write.val();
        self.component.m_addr.next = self.soc.m_addr.val();
        self.component.m_wdata.next = self.soc.m_wdata.val();
        self.soc.m_done.next = self.component.m_done.val();
        self.soc.m_rdata.next = self.component.m_rdata.val();
        self.soc.m_error.next = self.component.m_error.val();
        self.soc.tck.next = self.tck.val();
        self.soc.tms.next = self.tms.val();
        self.soc.tdi.next = self.tdi.val();
        self.soc.trst_n.next = self.ready_here.q.val();
        self.tdo.next = self.soc.tdo.val();
        self.link.irq_monitor.next = self.component.irq_monitor.val();
        self.link.irq_host.next = self.component.irq_host.val();

        // Lines: beats of 64 bits. This memory corrects and detects no errors of its cells.
        self.memory.cmd_valid.next = self.component.dram_cmd_valid.val();
        self.component.dram_cmd_ready.next = self.memory.cmd_ready.val();
        self.memory.cmd_write.next = self.component.dram_cmd_write.val();
        self.memory.cmd_tag.next = self.component.dram_cmd_tag.val();
        self.memory.cmd_line.next = bit_cast::<19, 34>(self.component.dram_cmd_line.val());
        self.memory.cmd_mask.next = bit_cast::<8, 64>(self.component.dram_cmd_mask.val());
        self.memory.cmd_data.next = bit_cast::<64, 512>(self.component.dram_cmd_data.val());
        self.memory.cmd_last.next = self.component.dram_cmd_last.val();
        self.component.dram_resp_valid.next = self.memory.resp_valid.val();
        self.memory.resp_ready.next = self.component.dram_resp_ready.val();
        self.component.dram_resp_tag.next = self.memory.resp_tag.val();
        self.component.dram_resp_data.next = bit_cast::<512, 64>(self.memory.resp_data.val());
        self.component.dram_resp_last.next = self.memory.resp_last.val();
        self.component.dram_resp_poison.next = false;

        self.cke.next = self.memory.cke.val();
        self.cs_n.next = self.memory.cs_n.val();
        self.ras_n.next = self.memory.ras_n.val();
        self.cas_n.next = self.memory.cas_n.val();
        self.we_n.next = self.memory.we_n.val();
        self.ba.next = self.memory.ba.val();
        self.a.next = self.memory.a.val();
        self.dqm.next = self.memory.dqm.val();
        self.dq_out.next = self.memory.dq_out.val();
        self.dq_drive.next = self.memory.dq_drive.val();
        self.memory.dq_in.next = self.dq_in.val();

        if self.closed.val() {
            self.ready_cycles.d.next = self.ready_cycles.q.val() + 1;
        }
        self.ticks.d.next = self.ticks.q.val() + 1;
        if self.received.q.val() != 0 {
            self.received.d.next = self.received.q.val() - 1;
        }
        if self.link.received.val() {
            self.received.d.next = self.glow.val();
        }
        if self.sent.q.val() != 0 {
            self.sent.d.next = self.sent.q.val() - 1;
        }
        if self.link.sending.val() {
            self.sent.d.next = self.glow.val();
        }
        self.led.next = bit_cast::<8, 1>(self.memory.ready.val().into())
            | (bit_cast::<8, 1>(self.memory.failed.val().into()) << 1)
            | (bit_cast::<8, 1>(self.link.open.val().into()) << 2)
            | (bit_cast::<8, 1>((!self.soc.sleeping.val()).into()) << 3);
        self.leds.next = self.led.val()
            | (bit_cast::<8, 1>((self.received.q.val() != 0).into()) << 4)
            | (bit_cast::<8, 1>((self.sent.q.val() != 0).into()) << 5)
            | (bit_cast::<8, 1>((self.link.bad_frames.val() != 0).into()) << 6)
            | (bit_cast::<8, 1>(self.ticks.q.val().get_bit(24).into()) << 7);
        if self.resets.val() {
            self.ready_cycles.d.next = 0.into();
            self.answered.d.next = false;
            self.received.d.next = 0.into();
            self.sent.d.next = 0.into();
        }
    }
}
