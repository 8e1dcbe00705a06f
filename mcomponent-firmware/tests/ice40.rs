//! The configuration of an iCE40, against a model of what the FPGA's data sheet wants at its pins.

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use mcomponent_firmware::ice40::{Ice40, Ice40Error};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

/// The FPGA, at its configuration pins.
#[derive(Default)]
struct Fpga {
    reset: bool,
    select: bool,
    clock: bool,
    data: bool,
    /// It takes the bits that come.
    listens: bool,
    /// Nanoseconds in the present state of reset.
    since_ns: u64,
    bits: Vec<bool>,
    /// Clocks with select high, after reset and after the bits.
    before: u32,
    after: u32,
    done: bool,
    expected: Vec<u8>,
    /// CDONE is stuck.
    stuck: bool,
}

impl Fpga {
    fn reset(&mut self, level: bool) {
        if level && !self.reset {
            assert!(self.since_ns >= 200, "reset was too short");
            // Select low makes it the peripheral, high the controller of its own flash.
            self.listens = !self.select;
        }
        if !level {
            self.done = self.stuck;
            self.bits.clear();
            (self.before, self.after) = (0, 0);
        }
        (self.reset, self.since_ns) = (level, 0);
    }

    fn clock(&mut self, level: bool) {
        if level && !self.clock && self.reset && self.listens {
            assert!(self.since_ns >= 1_200_000, "not ready for clocks");
            if self.done {
                self.after += 1;
            } else if self.select {
                self.before += 1;
            } else {
                assert!(self.before >= 8, "eight clocks with select high come first");
                self.bits.push(self.data);
            }
            // CDONE comes with the last bits, and some more clocks.
            let bytes: Vec<u8> = (self.bits.chunks(8))
                .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
                .collect();
            let whole = self.bits.len() % 8 == 0 && bytes.starts_with(&self.expected);
            self.done |= whole && !self.expected.is_empty();
        }
        self.clock = level;
    }
}

type Shared = Rc<RefCell<Fpga>>;

struct Pin(Shared, fn(&mut Fpga, bool), fn(&Fpga) -> bool);

impl ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.1(&mut self.0.borrow_mut(), false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.1(&mut self.0.borrow_mut(), true);
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.2(&self.0.borrow()))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

struct Time(Shared);

impl DelayNs for Time {
    fn delay_ns(&mut self, ns: u32) {
        self.0.borrow_mut().since_ns += u64::from(ns);
    }
}

fn configure(fpga: &Shared, flash: &[u8]) -> Result<(), Ice40Error> {
    let pin = |set| Pin(fpga.clone(), set, |fpga| fpga.done);
    let mut pins = Ice40 {
        reset: pin(Fpga::reset),
        select: pin(|fpga, level| fpga.select = level),
        clock: pin(Fpga::clock),
        data: pin(|fpga, level| fpga.data = level),
        done: pin(|_, _| ()),
    };
    pins.configure(flash, &mut Time(fpga.clone()), || ())
}

/// A bitstream as icepack writes it: a comment, the preamble, and what the FPGA makes of it.
fn bitstream() -> Vec<u8> {
    let mut bytes = b"\xFF\x00a comment\x00\x00\xFF\x7E\xAA\x99\x7E".to_vec();
    bytes.extend((0..300).map(|i| (i * 37) as u8));
    bytes
}

fn fpga() -> Shared {
    Rc::new(RefCell::new(Fpga { expected: bitstream(), ..Fpga::default() }))
}

#[test]
fn a_bitstream_is_loaded_and_the_pins_wake_up() {
    let fpga = fpga();
    // Erased flash behind it.
    let mut flash = bitstream();
    flash.resize(4096, 0xFF);
    for _ in 0..2 {
        assert_eq!(configure(&fpga, &flash), Ok(()));
        let fpga = fpga.borrow();
        assert!(fpga.done && fpga.after >= 49, "{}", fpga.after);
        assert_eq!(fpga.bits.len(), 8 * bitstream().len());
    }
}

#[test]
fn what_is_wrong_is_told_and_the_fpga_is_held_in_reset() {
    let erased = [0xFF; 4096];
    let mut damaged = bitstream();
    damaged[100] ^= 1;
    for (flash, stuck, error) in [
        (&erased[..], false, Ice40Error::NoBitstream),
        (&[][..], false, Ice40Error::NoBitstream),
        (&damaged[..], false, Ice40Error::NotDone),
        (&bitstream()[..], true, Ice40Error::NoReset),
    ] {
        let fpga = fpga();
        fpga.borrow_mut().stuck = stuck;
        assert_eq!(configure(&fpga, flash), Err(error));
        assert!(!fpga.borrow().reset);
    }
}
