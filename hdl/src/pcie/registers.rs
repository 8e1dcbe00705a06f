//! The endpoint's own registers and its window table.

use crate::prim::LutRam;
use crate::registers::{constant, lsb, Access, HwRegister, RwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::pcie::{self, field};
use splitmem_abi::regs::Register;

/// Counts pulses; stays at its largest.
#[derive(LogicBlock)]
pub struct ErrorCounter {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub pulse: Signal<In, Bit>,
    pub read_data: Signal<Out, Bits<32>>,
    register: HwRegister,
    count: DFF<Bits<32>>,
}

impl ErrorCounter {
    pub fn new(register: &Register) -> Self {
        with_defaults!(Self {
            register: HwRegister::new(register),
        } clock bus pulse read_data count)
    }
}

impl Logic for ErrorCounter {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count);
        clock!(self, clock, register);
        self.register.bus.next = self.bus.val();
        self.register.value.next = self.count.q.val();
        self.read_data.next = self.register.read_data.val();
        if self.pulse.val() && !self.count.q.val().all() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if self.bus.val().reset {
            self.count.d.next = 0.into();
        }
    }
}

/// The registers of page 1. `read_data` is zero while the page is not the one asked for.
#[derive(LogicBlock)]
pub struct EndpointRegisters {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub page: Signal<In, Bits<2>>,
    pub read_data: Signal<Out, Bits<32>>,

    pub enable: Signal<Out, Bit>,
    pub sq_base: Signal<Out, Bits<64>>,
    pub cq_base: Signal<Out, Bits<64>>,
    pub ring_log2: Signal<Out, Bits<4>>,
    pub sq_tail: Signal<Out, Bits<16>>,
    pub cq_head: Signal<Out, Bits<16>>,
    pub timeout: Signal<Out, Bits<32>>,
    pub cycles: Signal<Out, Bits<32>>,

    pub busy: Signal<In, Bit>,
    pub ready: Signal<In, Bit>,
    pub dead_tags: Signal<In, Bits<8>>,
    pub unsupported: Signal<In, Bit>,
    pub poisoned: Signal<In, Bit>,
    pub malformed: Signal<In, Bit>,
    pub outside: Signal<In, Bit>,
    pub lines: Signal<In, Bit>,
    pub unexpected: Signal<In, Bit>,
    pub host: Signal<In, Bit>,

    id: HwRegister,
    version: HwRegister,
    caps: HwRegister,
    control: RwRegister,
    status: HwRegister,
    sq_lo: RwRegister,
    sq_hi: RwRegister,
    cq_lo: RwRegister,
    cq_hi: RwRegister,
    log2: RwRegister,
    tail: RwRegister,
    head: RwRegister,
    timeout_register: RwRegister,
    clock_cycles: HwRegister,
    err_unsupported: ErrorCounter,
    err_poisoned: ErrorCounter,
    err_malformed: ErrorCounter,
    err_window: ErrorCounter,
    err_lines: ErrorCounter,
    err_unexpected: ErrorCounter,
    err_host: ErrorCounter,
    count: DFF<Bits<32>>,
    any_data: Signal<Local, Bits<32>>,
    id_value: Constant<Bits<32>>,
    version_value: Constant<Bits<32>>,
    caps_value: Constant<Bits<32>>,
    dead_lsb: Constant<Bits<5>>,
    ready_lsb: Constant<Bits<5>>,
}

impl EndpointRegisters {
    pub fn new(config: &HwConfig) -> Self {
        let fixed =
            |register: &Register| constant(register.reset_value(config).unwrap_or(0) as u64);
        let rw = |register: &Register| RwRegister::new(register, config);
        with_defaults!(Self {
            id: HwRegister::new(&pcie::EP_ID),
            version: HwRegister::new(&pcie::EP_VERSION),
            caps: HwRegister::new(&pcie::EP_CAPS),
            control: rw(&pcie::DMA_CONTROL),
            status: HwRegister::new(&pcie::DMA_STATUS),
            sq_lo: rw(&pcie::SQ_BASE_LO),
            sq_hi: rw(&pcie::SQ_BASE_HI),
            cq_lo: rw(&pcie::CQ_BASE_LO),
            cq_hi: rw(&pcie::CQ_BASE_HI),
            log2: rw(&pcie::RING_LOG2),
            tail: rw(&pcie::SQ_TAIL),
            head: rw(&pcie::CQ_HEAD),
            timeout_register: rw(&pcie::TIMEOUT),
            clock_cycles: HwRegister::new(&pcie::EP_CYCLES),
            err_unsupported: ErrorCounter::new(&pcie::ERR_UNSUPPORTED),
            err_poisoned: ErrorCounter::new(&pcie::ERR_POISONED),
            err_malformed: ErrorCounter::new(&pcie::ERR_MALFORMED),
            err_window: ErrorCounter::new(&pcie::ERR_WINDOW),
            err_lines: ErrorCounter::new(&pcie::ERR_LINES),
            err_unexpected: ErrorCounter::new(&pcie::ERR_UNEXPECTED),
            err_host: ErrorCounter::new(&pcie::ERR_HOST),
            id_value: fixed(&pcie::EP_ID),
            version_value: fixed(&pcie::EP_VERSION),
            caps_value: fixed(&pcie::EP_CAPS),
            dead_lsb: lsb(field::DMA_STATUS::DEAD_TAGS),
            ready_lsb: lsb(field::DMA_STATUS::READY),
        } clock bus page read_data enable sq_base cq_base ring_log2 sq_tail cq_head timeout cycles
          busy ready dead_tags unsupported poisoned malformed outside lines unexpected host count
          any_data)
    }
}

impl Default for EndpointRegisters {
    fn default() -> Self {
        Self::new(&HwConfig::LARGE)
    }
}

impl Logic for EndpointRegisters {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count);
        clock!(self, clock, id, version, caps, control, status, sq_lo, sq_hi, cq_lo, cq_hi, log2);
        clock!(
            self,
            clock,
            tail,
            head,
            timeout_register,
            clock_cycles,
            err_unsupported,
            err_poisoned
        );
        clock!(self, clock, err_malformed, err_window, err_lines, err_unexpected, err_host);
        self.id.bus.next = self.bus.val();
        self.version.bus.next = self.bus.val();
        self.caps.bus.next = self.bus.val();
        self.control.bus.next = self.bus.val();
        self.status.bus.next = self.bus.val();
        self.sq_lo.bus.next = self.bus.val();
        self.sq_hi.bus.next = self.bus.val();
        self.cq_lo.bus.next = self.bus.val();
        self.cq_hi.bus.next = self.bus.val();
        self.log2.bus.next = self.bus.val();
        self.tail.bus.next = self.bus.val();
        self.head.bus.next = self.bus.val();
        self.timeout_register.bus.next = self.bus.val();
        self.clock_cycles.bus.next = self.bus.val();
        self.err_unsupported.bus.next = self.bus.val();
        self.err_poisoned.bus.next = self.bus.val();
        self.err_malformed.bus.next = self.bus.val();
        self.err_window.bus.next = self.bus.val();
        self.err_lines.bus.next = self.bus.val();
        self.err_unexpected.bus.next = self.bus.val();
        self.err_host.bus.next = self.bus.val();
        self.err_unsupported.pulse.next = self.unsupported.val();
        self.err_poisoned.pulse.next = self.poisoned.val();
        self.err_malformed.pulse.next = self.malformed.val();
        self.err_window.pulse.next = self.outside.val();
        self.err_lines.pulse.next = self.lines.val();
        self.err_unexpected.pulse.next = self.unexpected.val();
        self.err_host.pulse.next = self.host.val();

        self.count.d.next = self.count.q.val() + 1;
        self.cycles.next = self.count.q.val();
        self.id.value.next = self.id_value.val();
        self.version.value.next = self.version_value.val();
        self.caps.value.next = self.caps_value.val();
        self.clock_cycles.value.next = self.count.q.val();
        self.status.value.next = bit_cast::<32, 1>(self.busy.val().into())
            | (bit_cast::<32, 1>(self.ready.val().into()) << self.ready_lsb.val())
            | (bit_cast::<32, 8>(self.dead_tags.val()) << self.dead_lsb.val());
        self.enable.next = self.control.value.val().get_bit(0);
        self.sq_base.next = bit_cast::<64, 32>(self.sq_lo.value.val())
            | (bit_cast::<64, 32>(self.sq_hi.value.val()) << 32);
        self.cq_base.next = bit_cast::<64, 32>(self.cq_lo.value.val())
            | (bit_cast::<64, 32>(self.cq_hi.value.val()) << 32);
        self.ring_log2.next = self.log2.value.val().get_bits::<4>(0);
        if self.log2.value.val().get_bit(3) {
            self.ring_log2.next = 8.into();
        }
        self.sq_tail.next = self.tail.value.val().get_bits::<16>(0);
        self.cq_head.next = self.head.value.val().get_bits::<16>(0);
        self.timeout.next = self.timeout_register.value.val();

        self.any_data.next = (self.id.read_data.val() | self.version.read_data.val())
            | (self.caps.read_data.val() | self.control.read_data.val())
            | (self.status.read_data.val() | self.sq_lo.read_data.val())
            | (self.sq_hi.read_data.val() | self.cq_lo.read_data.val())
            | (self.cq_hi.read_data.val() | self.log2.read_data.val())
            | (self.tail.read_data.val() | self.head.read_data.val())
            | (self.timeout_register.read_data.val() | self.clock_cycles.read_data.val())
            | (self.err_unsupported.read_data.val() | self.err_poisoned.read_data.val())
            | (self.err_malformed.read_data.val() | self.err_window.read_data.val())
            | (self.err_lines.read_data.val() | self.err_unexpected.read_data.val())
            | self.err_host.read_data.val();
        self.read_data.next = 0.into();
        if self.page.val() == 1 {
            self.read_data.next = self.any_data.val();
        }
        if self.bus.val().reset {
            self.count.d.next = 0.into();
        }
    }
}

/// The window table: looked up within the cycle, written and read by the bus. A slot is off until
/// its last word is written.
#[derive(LogicBlock, Default)]
pub struct WindowTable {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub page: Signal<In, Bits<2>>,
    /// An access to the page is under way: then nobody looks anything up.
    pub read_data: Signal<Out, Bits<32>>,
    pub slot: Signal<In, Bits<4>>,
    pub pid: Signal<Out, Bits<16>>,
    /// `va[47:12]`.
    pub base: Signal<Out, Bits<36>>,
    pub pages: Signal<Out, Bits<17>>,
    pub read: Signal<Out, Bit>,
    pub write: Signal<Out, Bit>,

    rights: LutRam<Bits<32>, 4>,
    low: LutRam<Bits<32>, 4>,
    high: LutRam<Bits<32>, 4>,
    size: LutRam<Bits<32>, 4>,
    written: DFF<Bits<16>>,
    index: Signal<Local, Bits<4>>,
    look: Signal<Local, Bits<4>>,
    word: Signal<Local, Bits<2>>,
    here: Signal<Local, Bit>,
    one: Signal<Local, Bits<16>>,
    known: Signal<Local, Bit>,
}

impl WindowTable {
    pub fn new() -> Self {
        let depth = pcie::WINDOWS as usize;
        Self {
            rights: LutRam::new(depth),
            low: LutRam::new(depth),
            high: LutRam::new(depth),
            size: LutRam::new(depth),
            ..Default::default()
        }
    }
}

impl Logic for WindowTable {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, written);
        clock!(self, clock, rights, low, high, size);
        self.index.next = bit_cast::<4, 10>(self.bus.val().address >> 2);
        self.word.next = bit_cast::<2, 10>(self.bus.val().address);
        self.here.next = !bit_cast::<4, 10>(self.bus.val().address >> 6).any();
        self.look.next = self.slot.val();
        if self.page.val() == 2 {
            self.look.next = self.index.val();
        }
        self.rights.read_address.next = self.look.val();
        self.low.read_address.next = self.look.val();
        self.high.read_address.next = self.look.val();
        self.size.read_address.next = self.look.val();
        self.rights.write_address.next = self.index.val();
        self.low.write_address.next = self.index.val();
        self.high.write_address.next = self.index.val();
        self.size.write_address.next = self.index.val();
        self.rights.write_data.next = self.bus.val().data;
        self.low.write_data.next = self.bus.val().data;
        self.high.write_data.next = self.bus.val().data;
        self.size.write_data.next = self.bus.val().data;
        self.rights.write_enable.next =
            self.bus.val().write && self.here.val() && (self.word.val() == 0);
        self.low.write_enable.next =
            self.bus.val().write && self.here.val() && (self.word.val() == 1);
        self.high.write_enable.next =
            self.bus.val().write && self.here.val() && (self.word.val() == 2);
        self.size.write_enable.next =
            self.bus.val().write && self.here.val() && (self.word.val() == 3);
        self.one.next = 1.into();
        if self.size.write_enable.val() {
            self.written.d.next = self.written.q.val() | (self.one.val() << self.index.val());
        }
        self.known.next = self.written.q.val().get_bit(self.look.val().index());

        self.pid.next = self.rights.read_data.val().get_bits::<16>(0);
        self.read.next = self.rights.read_data.val().get_bit(30);
        self.write.next = self.rights.read_data.val().get_bit(31);
        self.base.next = bit_cast::<36, 32>(self.low.read_data.val())
            | (bit_cast::<36, 4>(self.high.read_data.val().get_bits::<4>(0)) << 32);
        self.pages.next = 0.into();
        if self.known.val() {
            self.pages.next = self.size.read_data.val().get_bits::<17>(0);
        }
        self.read_data.next = 0.into();
        if (self.page.val() == 2) && self.here.val() && self.known.val() {
            if self.word.val() == 0 {
                self.read_data.next = self.rights.read_data.val();
            } else if self.word.val() == 1 {
                self.read_data.next = self.low.read_data.val();
            } else if self.word.val() == 2 {
                self.read_data.next = self.high.read_data.val();
            } else {
                self.read_data.next = self.size.read_data.val();
            }
        }
        if self.bus.val().reset {
            self.written.d.next = 0.into();
        }
    }
}
