//! Both sides' interrupts: causes latched, masked, ORed.
//!
//! In: the causes, edges as pulses and levels as they stand. Out: `irq_monitor`, `irq_host`, one
//! cycle after the cause is latched. A cause that comes in the cycle in which it is cleared stays.

use crate::registers::{lsb, Access, HwRegister, RwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct Interrupts {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub doorbell: Signal<In, Bit>,
    pub low_4k: Signal<In, Bit>,
    pub low_2m: Signal<In, Bit>,
    pub no_memory: Signal<In, Bit>,
    pub event_waits: Signal<In, Bit>,
    pub te_done: Signal<In, Bit>,
    pub sd_done: Signal<In, Bit>,
    pub uncorrectable: Signal<In, Bit>,
    pub reply: Signal<In, Bit>,
    pub irq_monitor: Signal<Out, Bit>,
    pub irq_host: Signal<Out, Bit>,

    status: HwRegister,
    mask: RwRegister,
    host_status: HwRegister,
    host_mask: RwRegister,
    causes: DFF<Bits<32>>,
    host_causes: DFF<Bits<32>>,
    to_monitor: DFF<Bit>,
    to_host: DFF<Bit>,
    raised: Signal<Local, Bits<32>>,
    host_raised: Signal<Local, Bits<32>>,
    cleared: Signal<Local, Bits<32>>,
    host_cleared: Signal<Local, Bits<32>>,
    doorbell_lsb: Constant<Bits<5>>,
    low_4k_lsb: Constant<Bits<5>>,
    low_2m_lsb: Constant<Bits<5>>,
    no_memory_lsb: Constant<Bits<5>>,
    event_lsb: Constant<Bits<5>>,
    te_done_lsb: Constant<Bits<5>>,
    sd_done_lsb: Constant<Bits<5>>,
    uncorrectable_lsb: Constant<Bits<5>>,
    reply_lsb: Constant<Bits<5>>,
}

impl Interrupts {
    pub fn new(config: &HwConfig) -> Self {
        use field::{HOST_IRQ_STATUS, IRQ_STATUS};
        with_defaults!(Self {
            status: HwRegister::new(&regs::IRQ_STATUS),
            mask: RwRegister::new(&regs::IRQ_MASK, config),
            host_status: HwRegister::new(&regs::HOST_IRQ_STATUS),
            host_mask: RwRegister::new(&regs::HOST_IRQ_MASK, config),
            doorbell_lsb: lsb(IRQ_STATUS::DOORBELL),
            low_4k_lsb: lsb(IRQ_STATUS::FREE_4K_LOW),
            low_2m_lsb: lsb(IRQ_STATUS::FREE_2M_LOW),
            no_memory_lsb: lsb(IRQ_STATUS::NO_MEMORY),
            event_lsb: lsb(IRQ_STATUS::EVENT),
            te_done_lsb: lsb(IRQ_STATUS::TE_DONE),
            sd_done_lsb: lsb(IRQ_STATUS::SD_DONE),
            uncorrectable_lsb: lsb(IRQ_STATUS::UNCORRECTABLE),
            reply_lsb: lsb(HOST_IRQ_STATUS::REPLY),
        } clock bus read_data doorbell low_4k low_2m no_memory event_waits te_done sd_done
          uncorrectable reply irq_monitor irq_host causes host_causes to_monitor to_host
          raised host_raised cleared host_cleared)
    }
}

impl Logic for Interrupts {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, causes, host_causes, to_monitor, to_host);
        clock!(self, clock, status, mask, host_status, host_mask);
        self.status.bus.next = self.bus.val();
        self.mask.bus.next = self.bus.val();
        self.host_status.bus.next = self.bus.val();
        self.host_mask.bus.next = self.bus.val();

        self.raised.next = (bit_cast::<32, 1>(self.doorbell.val().into())
            << self.doorbell_lsb.val())
            | (bit_cast::<32, 1>(self.low_4k.val().into()) << self.low_4k_lsb.val())
            | (bit_cast::<32, 1>(self.low_2m.val().into()) << self.low_2m_lsb.val())
            | (bit_cast::<32, 1>(self.no_memory.val().into()) << self.no_memory_lsb.val())
            | (bit_cast::<32, 1>(self.event_waits.val().into()) << self.event_lsb.val())
            | (bit_cast::<32, 1>(self.te_done.val().into()) << self.te_done_lsb.val())
            | (bit_cast::<32, 1>(self.sd_done.val().into()) << self.sd_done_lsb.val())
            | (bit_cast::<32, 1>(self.uncorrectable.val().into()) << self.uncorrectable_lsb.val());
        self.host_raised.next = bit_cast::<32, 1>(self.reply.val().into()) << self.reply_lsb.val();
        self.cleared.next = 0.into();
        if self.status.writes.val() {
            self.cleared.next = self.bus.val().data;
        }
        self.host_cleared.next = 0.into();
        if self.host_status.writes.val() {
            self.host_cleared.next = self.bus.val().data;
        }
        self.causes.d.next = (self.causes.q.val() & (!self.cleared.val())) | self.raised.val();
        self.host_causes.d.next =
            (self.host_causes.q.val() & (!self.host_cleared.val())) | self.host_raised.val();
        self.to_monitor.d.next = (self.causes.q.val() & self.mask.value.val()).any();
        self.to_host.d.next = (self.host_causes.q.val() & self.host_mask.value.val()).any();
        self.irq_monitor.next = self.to_monitor.q.val();
        self.irq_host.next = self.to_host.q.val();

        self.status.value.next = self.causes.q.val();
        self.host_status.value.next = self.host_causes.q.val();
        self.read_data.next = (self.status.read_data.val() | self.mask.read_data.val())
            | (self.host_status.read_data.val() | self.host_mask.read_data.val());
        if self.bus.val().reset {
            self.causes.d.next = 0.into();
            self.host_causes.d.next = 0.into();
            self.to_monitor.d.next = false;
            self.to_host.d.next = false;
        }
    }
}
