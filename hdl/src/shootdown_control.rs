//! The monitor's side of shootdown: its registers, and how long it took.
//!
//! In: the inner bus, `sd_busy`. Out: `sd_start` (a pulse) with `sd_code`, `sd_pid`, `sd_va` and
//! `sd_count`, which stand still until the shootdown is over. `sd_busy` goes up after the start and
//! down at the end; `done` pulses then. The registers may be written meanwhile, for the next one.

use crate::registers::{constant, lsb, Access, HwRegister, RwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct ShootdownControl {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub sd_start: Signal<Out, Bit>,
    pub sd_code: Signal<Out, Bits<2>>,
    pub sd_pid: Signal<Out, Bits<16>>,
    pub sd_va: Signal<Out, Bits<48>>,
    pub sd_count: Signal<Out, Bits<19>>,
    pub sd_busy: Signal<In, Bit>,
    pub busy: Signal<Out, Bit>,
    pub done: Signal<Out, Bit>,

    pid: RwRegister,
    va_lo: RwRegister,
    va_hi: RwRegister,
    pages: RwRegister,
    command: HwRegister,
    status: HwRegister,
    cycles: HwRegister,
    started: DFF<Bit>,
    under_way: DFF<Bit>,
    was_busy: DFF<Bit>,
    finished: DFF<Bit>,
    code: DFF<Bits<2>>,
    target_pid: DFF<Bits<16>>,
    target_va: DFF<Bits<48>>,
    target_pages: DFF<Bits<19>>,
    elapsed: DFF<Bits<32>>,
    asked: Signal<Local, Bits<2>>,
    half: Constant<Bits<6>>,
    busy_lsb: Constant<Bits<5>>,
}

impl ShootdownControl {
    pub fn new(config: &HwConfig) -> Self {
        with_defaults!(Self {
            pid: RwRegister::new(&regs::SD_PID, config),
            va_lo: RwRegister::new(&regs::SD_VA_LO, config),
            va_hi: RwRegister::new(&regs::SD_VA_HI, config),
            pages: RwRegister::new(&regs::SD_COUNT, config),
            command: HwRegister::new(&regs::SD_COMMAND),
            status: HwRegister::new(&regs::SD_STATUS),
            cycles: HwRegister::new(&regs::SD_CYCLES),
            half: constant(32),
            busy_lsb: lsb(field::SD_STATUS::BUSY),
        } clock bus read_data sd_start sd_code sd_pid sd_va sd_count sd_busy busy done started
          under_way was_busy finished code target_pid target_va target_pages elapsed asked)
    }
}

impl Logic for ShootdownControl {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, started, under_way, was_busy, finished, code, elapsed);
        dff_setup!(self, clock, target_pid, target_va, target_pages);
        clock!(self, clock, pid, va_lo, va_hi, pages, command, status, cycles);
        self.pid.bus.next = self.bus.val();
        self.va_lo.bus.next = self.bus.val();
        self.va_hi.bus.next = self.bus.val();
        self.pages.bus.next = self.bus.val();
        self.command.bus.next = self.bus.val();
        self.status.bus.next = self.bus.val();
        self.cycles.bus.next = self.bus.val();

        self.started.d.next = false;
        self.finished.d.next = false;
        self.was_busy.d.next = self.sd_busy.val();
        self.asked.next = bit_cast::<2, 32>(self.bus.val().data);
        if self.under_way.q.val() {
            self.elapsed.d.next = self.elapsed.q.val() + 1;
            if self.was_busy.q.val() && !self.sd_busy.val() {
                self.under_way.d.next = false;
                self.finished.d.next = true;
            }
        } else if self.command.writes.val() && self.asked.val().any() {
            self.started.d.next = true;
            self.under_way.d.next = true;
            self.elapsed.d.next = 0.into();
            self.code.d.next = self.asked.val();
            self.target_pid.d.next = bit_cast::<16, 32>(self.pid.value.val());
            self.target_va.d.next = (bit_cast::<48, 32>(self.va_hi.value.val()) << self.half.val())
                | bit_cast::<48, 32>(self.va_lo.value.val());
            self.target_pages.d.next = bit_cast::<19, 32>(self.pages.value.val());
        }
        self.sd_start.next = self.started.q.val();
        self.sd_code.next = self.code.q.val();
        self.sd_pid.next = self.target_pid.q.val();
        self.sd_va.next = self.target_va.q.val();
        self.sd_count.next = self.target_pages.q.val();
        self.busy.next = self.under_way.q.val();
        self.done.next = self.finished.q.val();

        self.command.value.next = 0.into();
        self.status.value.next =
            bit_cast::<32, 1>(self.under_way.q.val().into()) << self.busy_lsb.val();
        self.cycles.value.next = self.elapsed.q.val();
        self.read_data.next = ((self.pid.read_data.val() | self.va_lo.read_data.val())
            | (self.va_hi.read_data.val() | self.pages.read_data.val()))
            | (self.status.read_data.val() | self.cycles.read_data.val());
        if self.bus.val().reset {
            self.started.d.next = false;
            self.under_way.d.next = false;
            self.was_busy.d.next = false;
            self.finished.d.next = false;
            self.code.d.next = 0.into();
            self.elapsed.d.next = 0.into();
        }
    }
}
