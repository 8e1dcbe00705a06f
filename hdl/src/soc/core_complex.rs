//! The core, its debug module and its memory: a black box, `soc/core_complex.sv` over Ibex and PULP's
//! debug module, which `scripts/setup.sh` installs.

use rust_hdl::prelude::*;
use splitmem_abi::soc::SocConfig;

#[derive(LogicBlock)]
pub struct CoreComplex {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub core_reset: Signal<In, Bit>,
    pub irq_external: Signal<In, Bit>,
    pub irq_timer: Signal<In, Bit>,
    /// An access to what is neither memory nor debug module; held until `p_gnt`.
    pub p_req: Signal<Out, Bit>,
    pub p_we: Signal<Out, Bit>,
    pub p_be: Signal<Out, Bits<4>>,
    pub p_addr: Signal<Out, Bits<32>>,
    pub p_wdata: Signal<Out, Bits<32>>,
    pub p_gnt: Signal<In, Bit>,
    /// Pulse: the access is over; `p_rdata` and `p_err` count.
    pub p_rvalid: Signal<In, Bit>,
    pub p_rdata: Signal<In, Bits<32>>,
    pub p_err: Signal<In, Bit>,
    /// The core waits for an interrupt: nothing changes until one comes, or a debugger.
    pub sleeping: Signal<Out, Bit>,
    /// A debugger has halted the core.
    pub halted: Signal<Out, Bit>,
    /// A debugger resets the core.
    pub debug_reset: Signal<Out, Bit>,
    pub pc: Signal<Out, Bits<32>>,
    pub tck: Signal<In, Bit>,
    pub tms: Signal<In, Bit>,
    pub trst_n: Signal<In, Bit>,
    pub tdi: Signal<In, Bit>,
    pub tdo: Signal<Out, Bit>,
    _config: SocConfig,
}

impl CoreComplex {
    pub fn new(config: &SocConfig) -> Self {
        assert!(config.ram_words.is_power_of_two());
        with_defaults!(Self { _config: *config, } clock reset core_reset irq_external irq_timer
            p_req p_we p_be p_addr p_wdata p_gnt p_rvalid p_rdata p_err sleeping halted debug_reset pc
            tck tms trst_n tdi tdo)
    }
}

impl Logic for CoreComplex {
    // What it does is in the black box; RustHDL's own simulator does not run it.
    fn update(&mut self) {}

    fn connect(&mut self) {
        self.p_req.connect();
        self.p_we.connect();
        self.p_be.connect();
        self.p_addr.connect();
        self.p_wdata.connect();
        self.sleeping.connect();
        self.halted.connect();
        self.debug_reset.connect();
        self.pc.connect();
        self.tdo.connect();
    }

    fn hdl(&self) -> Verilog {
        const PINS: &[&str] = &[
            "clock",
            "reset",
            "core_reset",
            "irq_external",
            "irq_timer",
            "p_req",
            "p_we",
            "p_be",
            "p_addr",
            "p_wdata",
            "p_gnt",
            "p_rvalid",
            "p_rdata",
            "p_err",
            "sleeping",
            "halted",
            "debug_reset",
            "pc",
            "tck",
            "tms",
            "trst_n",
            "tdi",
            "tdo",
        ];
        let pins: Vec<String> = PINS.iter().map(|pin| format!(".{pin}({pin})")).collect();
        Verilog::Wrapper(Wrapper {
            code: format!(
                "core_complex #(.RAM_WORDS({}), .PMP_REGIONS({}), .RAM_REGISTERS(1'b{})) complex ({});",
                self._config.ram_words,
                self._config.pmp_regions,
                u8::from(self._config.ram_registers),
                pins.join(", ")
            ),
            // The module comes from `soc/core_complex.sv`, beside the emitted Verilog.
            cores: String::new(),
        })
    }
}
