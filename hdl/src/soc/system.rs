//! The registers of the system around the core: time, alarm, watchdog, reset, board, GPIO
//! ([`splitmem_abi::soc`]).
//!
//! In: the inner bus of [`crate::registers`] in the core's clock; `now`, the time. Out: the timer
//! interrupt; `core_reset`, up for some clocks when the core is to start anew; `alarm` and
//! `deadline`, the times at which a core that sleeps must get its clock back.
//!
//! The time comes from outside ([`crate::soc::TimeBase`]), so that this block and the core need no
//! clock while nothing happens.

use crate::registers::{constant, Access, HwRegister, RwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::soc::{self, field, SocConfig};

/// Clocks that the core is held in reset.
const RESET_CLOCKS: u64 = 8;

#[derive(LogicBlock)]
pub struct System {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub now: Signal<In, Bits<64>>,
    pub board_frames: Signal<In, Bits<32>>,
    pub gpio_in: Signal<In, Bits<8>>,
    pub gpio_out: Signal<Out, Bits<8>>,
    pub halted: Signal<In, Bit>,
    pub debug_reset: Signal<In, Bit>,
    pub irq_timer: Signal<Out, Bit>,
    pub core_reset: Signal<Out, Bit>,
    pub alarm: Signal<Out, Bits<64>>,
    /// All ones while the watchdog is stopped.
    pub deadline: Signal<Out, Bits<64>>,

    time_lo: HwRegister,
    time_hi: HwRegister,
    alarm_lo: RwRegister,
    alarm_hi: RwRegister,
    watchdog: HwRegister,
    reset_cause: HwRegister,
    reset: HwRegister,
    frames: HwRegister,
    clocks: HwRegister,
    pins_out: RwRegister,
    pins_in: HwRegister,
    high: DFF<Bits<32>>,
    limit: DFF<Bits<64>>,
    causes: DFF<Bits<32>>,
    timer: DFF<Bit>,
    holding: DFF<Bits<4>>,
    inputs_meta: DFF<Bits<8>>,
    inputs: DFF<Bits<8>>,
    alarm_at: Signal<Local, Bits<64>>,
    asked: Signal<Local, Bit>,
    expired: Signal<Local, Bit>,
    never: Constant<Bits<64>>,
    half: Constant<Bits<7>>,
    power: Constant<Bits<32>>,
    bitten: Constant<Bits<32>>,
    requested: Constant<Bits<32>>,
    hold: Constant<Bits<4>>,
    ratio: Constant<Bits<32>>,
}

impl System {
    pub fn new(config: &SocConfig) -> Self {
        // The system's registers follow no parameter of the component.
        let any = &HwConfig::SMALL;
        with_defaults!(Self {
            time_lo: HwRegister::new(&soc::TIME_LO),
            time_hi: HwRegister::new(&soc::TIME_HI),
            alarm_lo: RwRegister::new(&soc::ALARM_LO, any),
            alarm_hi: RwRegister::new(&soc::ALARM_HI, any),
            watchdog: HwRegister::new(&soc::WATCHDOG),
            reset_cause: HwRegister::new(&soc::RESET_CAUSE),
            reset: HwRegister::new(&soc::RESET),
            frames: HwRegister::new(&soc::BOARD_FRAMES),
            clocks: HwRegister::new(&soc::CLOCKS),
            pins_out: RwRegister::new(&soc::GPIO_OUT, any),
            pins_in: HwRegister::new(&soc::GPIO_IN),
            never: constant(u64::MAX),
            half: constant(32),
            power: constant(field::RESET_CAUSE::POWER.mask() as u64),
            bitten: constant(field::RESET_CAUSE::WATCHDOG.mask() as u64),
            requested: constant(field::RESET_CAUSE::REQUEST.mask() as u64),
            hold: constant(RESET_CLOCKS),
            ratio: constant(config.clock_ratio as u64),
        } clock bus read_data now board_frames gpio_in gpio_out halted debug_reset irq_timer
          core_reset alarm deadline high limit causes timer holding inputs_meta inputs alarm_at
          asked expired)
    }
}

impl Logic for System {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, high, limit, causes, timer, holding, inputs_meta, inputs);
        clock!(self, clock, time_lo, time_hi, alarm_lo, alarm_hi, watchdog, reset_cause, reset);
        clock!(self, clock, frames, clocks, pins_out, pins_in);
        self.time_lo.bus.next = self.bus.val();
        self.time_hi.bus.next = self.bus.val();
        self.alarm_lo.bus.next = self.bus.val();
        self.alarm_hi.bus.next = self.bus.val();
        self.watchdog.bus.next = self.bus.val();
        self.reset_cause.bus.next = self.bus.val();
        self.reset.bus.next = self.bus.val();
        self.frames.bus.next = self.bus.val();
        self.clocks.bus.next = self.bus.val();
        self.pins_out.bus.next = self.bus.val();
        self.pins_in.bus.next = self.bus.val();

        self.time_lo.value.next = bit_cast::<32, 64>(self.now.val());
        self.time_hi.value.next = self.high.q.val();
        if self.time_lo.reads.val() {
            self.high.d.next = bit_cast::<32, 64>(self.now.val() >> self.half.val());
        }
        self.alarm_at.next = (bit_cast::<64, 32>(self.alarm_hi.value.val()) << self.half.val())
            | bit_cast::<64, 32>(self.alarm_lo.value.val());
        self.alarm.next = self.alarm_at.val();
        self.timer.d.next = self.now.val() >= self.alarm_at.val();
        self.irq_timer.next = self.timer.q.val();

        // The watchdog. A halted core gets as much time as it is halted.
        self.expired.next = self.now.val() >= self.limit.q.val();
        if self.halted.val() && (self.limit.q.val() != self.never.val()) {
            self.limit.d.next = self.limit.q.val() + 1;
            self.expired.next = false;
        }
        if self.watchdog.writes.val() {
            self.limit.d.next = self.now.val() + bit_cast::<64, 32>(self.bus.val().data);
            if !self.bus.val().data.any() {
                self.limit.d.next = self.never.val();
            }
        }
        self.deadline.next = self.limit.q.val();

        // Reset of the core.
        self.asked.next = self.reset.writes.val() && self.bus.val().data.get_bit(0);
        if self.reset_cause.writes.val() {
            self.causes.d.next = self.causes.q.val() & (!self.bus.val().data);
        }
        if self.holding.q.val().any() {
            self.holding.d.next = self.holding.q.val() - 1;
        }
        if self.expired.val() {
            self.causes.d.next = self.causes.q.val() | self.bitten.val();
        }
        if self.asked.val() || self.debug_reset.val() {
            self.causes.d.next = self.causes.q.val() | self.requested.val();
        }
        if self.expired.val() || self.asked.val() || self.debug_reset.val() {
            self.holding.d.next = self.hold.val();
            self.limit.d.next = self.never.val();
        }
        self.core_reset.next = self.holding.q.val().any();
        self.reset_cause.value.next = self.causes.q.val();
        self.watchdog.value.next = 0.into();
        self.reset.value.next = 0.into();

        self.frames.value.next = self.board_frames.val();
        self.clocks.value.next = self.ratio.val();
        self.gpio_out.next = bit_cast::<8, 32>(self.pins_out.value.val());
        self.inputs_meta.d.next = self.gpio_in.val();
        self.inputs.d.next = self.inputs_meta.q.val();
        self.pins_in.value.next = bit_cast::<32, 8>(self.inputs.q.val());

        self.read_data.next = ((self.time_lo.read_data.val() | self.time_hi.read_data.val())
            | (self.alarm_lo.read_data.val() | self.alarm_hi.read_data.val()))
            | ((self.reset_cause.read_data.val() | self.frames.read_data.val())
                | (self.clocks.read_data.val() | self.pins_out.read_data.val()))
            | (self.pins_in.read_data.val()
                | (self.watchdog.read_data.val() | self.reset.read_data.val()));
        if self.bus.val().reset {
            self.limit.d.next = self.never.val();
            self.causes.d.next = self.power.val();
            self.timer.d.next = false;
            self.holding.d.next = self.hold.val();
        }
    }
}
