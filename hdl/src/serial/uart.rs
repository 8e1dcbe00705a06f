//! Bytes on a wire: 8 data bits, no parity, one stop bit, lowest bit first.
//!
//! Bit times come from an accumulator that overflows once a bit, so any clock of at least ten times
//! the baud rate will do, whether or not it is a multiple.

use crate::prim::Param;
use rust_hdl::prelude::*;

/// What the accumulator adds each cycle: 2^16 is one bit.
fn increment(clock_khz: u32, baud: u32) -> Param<Bits<17>> {
    let step = (u64::from(baud) << 16) / (u64::from(clock_khz) * 1000);
    Param::new(step.into())
}

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Line {
    Idle,
    Bits,
    Broken,
}

/// A byte comes with a pulse of `valid`. A stop bit that is none gives a pulse of `error` instead, and
/// what follows counts only after the line was high.
#[derive(LogicBlock, Default)]
pub struct UartRx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub pin: Signal<In, Bit>,
    pub valid: Signal<Out, Bit>,
    pub octet: Signal<Out, Bits<8>>,
    pub error: Signal<Out, Bit>,
    /// The pin, low active, so that it starts as a line at rest.
    pin_1: DFF<Bit>,
    pin_2: DFF<Bit>,
    line: DFF<Line>,
    ticks: DFF<Bits<17>>,
    count: DFF<Bits<4>>,
    bits: DFF<Bits<8>>,
    good: DFF<Bit>,
    bad: DFF<Bit>,
    sum: Signal<Local, Bits<17>>,
    step: Param<Bits<17>>,
}

impl UartRx {
    pub fn new(clock_khz: u32, baud: u32) -> Self {
        Self { step: increment(clock_khz, baud), ..Default::default() }
    }
}

impl Logic for UartRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, pin_1, pin_2, line, ticks, count, bits, good, bad);
        self.pin_1.d.next = !self.pin.val();
        self.pin_2.d.next = self.pin_1.q.val();
        self.valid.next = self.good.q.val();
        self.octet.next = self.bits.q.val();
        self.error.next = self.bad.q.val();
        self.good.d.next = false;
        self.bad.d.next = false;
        self.sum.next = (self.ticks.q.val() & 0xFFFF) + self.step.val();
        self.ticks.d.next = self.sum.val();
        match self.line.q.val() {
            Line::Idle => {
                // From the edge, half a bit to the middle of the start bit.
                self.ticks.d.next = 0x8000.into();
                self.count.d.next = 0.into();
                if self.pin_2.q.val() {
                    self.line.d.next = Line::Bits;
                }
            }
            Line::Bits => {
                if self.sum.val().get_bit(16) {
                    self.count.d.next = self.count.q.val() + 1;
                    if (self.count.q.val() == 0) && !self.pin_2.q.val() {
                        self.line.d.next = Line::Idle;
                    }
                    if (self.count.q.val() != 0) && (self.count.q.val() != 9) {
                        self.bits.d.next = self.bits.q.val() >> 1;
                        if !self.pin_2.q.val() {
                            self.bits.d.next = (self.bits.q.val() >> 1) | 0x80;
                        }
                    }
                    if self.count.q.val() == 9 {
                        self.line.d.next = Line::Idle;
                        self.good.d.next = !self.pin_2.q.val();
                        if self.pin_2.q.val() {
                            self.bad.d.next = true;
                            self.line.d.next = Line::Broken;
                        }
                    }
                }
            }
            Line::Broken => {
                if !self.pin_2.q.val() {
                    self.line.d.next = Line::Idle;
                }
            }
            _ => {
                self.line.d.next = Line::Idle;
            }
        }
        if self.reset.val() {
            self.line.d.next = Line::Idle;
            self.good.d.next = false;
            self.bad.d.next = false;
            self.pin_1.d.next = false;
            self.pin_2.d.next = false;
        }
    }
}

/// Takes a byte in a cycle with `valid` and `ready`.
#[derive(LogicBlock, Default)]
pub struct UartTx {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub valid: Signal<In, Bit>,
    pub ready: Signal<Out, Bit>,
    pub octet: Signal<In, Bits<8>>,
    pub pin: Signal<Out, Bit>,
    /// Bits to go, the present one lowest; complemented, so that a configured FPGA starts at rest.
    bits: DFF<Bits<10>>,
    left: DFF<Bits<4>>,
    ticks: DFF<Bits<17>>,
    inverted: Signal<Local, Bits<8>>,
    sum: Signal<Local, Bits<17>>,
    step: Param<Bits<17>>,
}

impl UartTx {
    pub fn new(clock_khz: u32, baud: u32) -> Self {
        Self { step: increment(clock_khz, baud), ..Default::default() }
    }
}

impl Logic for UartTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, bits, left, ticks);
        self.inverted.next = !self.octet.val();
        self.pin.next = !self.bits.q.val().get_bit(0);
        self.ready.next = self.left.q.val() == 0;
        self.sum.next = (self.ticks.q.val() & 0xFFFF) + self.step.val();
        self.ticks.d.next = self.sum.val();
        if self.left.q.val() == 0 {
            self.ticks.d.next = 0.into();
            if self.valid.val() {
                self.left.d.next = 10.into();
                self.bits.d.next = (bit_cast::<10, 8>(self.inverted.val()) << 1) | 1;
            }
        }
        if (self.left.q.val() != 0) && self.sum.val().get_bit(16) {
            self.left.d.next = self.left.q.val() - 1;
            self.bits.d.next = self.bits.q.val() >> 1;
        }
        if self.reset.val() {
            self.left.d.next = 0.into();
            self.bits.d.next = 0.into();
        }
    }
}
