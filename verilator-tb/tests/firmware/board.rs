//! The board's peripherals: an SPI flash and an I2C sensor at the core's pins, as the firmware finds
//! them when it starts.

use super::bench::{boot, state, Dut, RESTART};
use splitmem_abi::soc::pin;
use verilator_tb::soc::{Debugger, Wires};

/// What the flash answers to 9Fh: 16 MiB of a known maker.
const ID: [u8; 3] = [0xef, 0x40, 0x18];
/// What the sensor measures: 27.5 degrees.
const TEMPERATURE: [u8; 2] = [0x1b, 0x80];

/// An SPI flash that tells its identification, mode 0.
#[derive(Default)]
struct Flash {
    clock: bool,
    bits: usize,
    command: u8,
    out: bool,
}

impl Flash {
    fn drive(&mut self, pins: u8) {
        let at = |bit: u32| pins >> bit & 1 == 1;
        let clock = at(pin::FLASH_SCK);
        if at(pin::FLASH_CS) {
            *self = Self { clock, ..Self::default() };
            return;
        }
        if clock && !self.clock {
            if self.bits < 8 {
                self.command = self.command << 1 | u8::from(at(pin::FLASH_MOSI));
            }
            self.bits += 1;
        }
        if !clock && self.clock && self.bits >= 8 && self.command == 0x9f {
            let bit = self.bits - 8;
            self.out = ID.get(bit / 8).is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1);
        }
        self.clock = clock;
    }
}

/// An LM75 at address 48h: one register that is read.
#[derive(Default)]
struct Sensor {
    levels: (bool, bool),
    /// Bits since the start; none: it was not addressed.
    bits: Option<usize>,
    byte: u8,
    reads: bool,
    sent: usize,
    pull: bool,
    acknowledged: u32,
}

impl Sensor {
    fn drive(&mut self, pins: u8) {
        let at = |bit: u32| pins >> bit & 1 == 1;
        let (scl, sda) = (at(pin::I2C_SCL), at(pin::I2C_SDA) && !self.pull);
        let (was_scl, was_sda) = std::mem::replace(&mut self.levels, (scl, sda));
        if scl && was_scl && was_sda != sda {
            // Start, or stop.
            let start = !sda;
            *self = Self { levels: (scl, sda), acknowledged: self.acknowledged, ..Self::default() };
            self.bits = start.then_some(0);
            return;
        }
        let Some(bits) = self.bits else { return };
        if scl && !was_scl {
            if bits % 9 < 8 {
                self.byte = self.byte << 1 | u8::from(sda);
            } else if self.reads && sda {
                // Not acknowledged: the host has what it wants.
                self.bits = None;
                return;
            }
            self.bits = Some(bits + 1);
        }
        if !scl && was_scl {
            let within = bits % 9;
            self.pull = false;
            if within == 8 && !(self.reads && bits > 9) {
                // A byte for us: the first one is the address.
                if bits == 8 {
                    self.reads = self.byte & 1 == 1;
                    if self.byte >> 1 != 0x48 {
                        self.bits = None;
                        return;
                    }
                }
                self.pull = true;
                self.acknowledged += 1;
            } else if self.reads && bits >= 9 && within < 8 {
                let byte = TEMPERATURE[(bits / 9 - 1).min(1)];
                self.pull = byte >> (7 - within) & 1 == 0;
                self.sent += 1;
            }
        }
    }
}

/// Lets the monitor start anew, with what is at the pins.
fn restart(dut: &mut Dut, present: bool) -> String {
    Debugger::attach(Wires(dut)).unwrap().reset().unwrap();
    let (mut flash, mut sensor) = (Flash::default(), Sensor::default());
    let patience = dut.cycle() + RESTART;
    loop {
        dut.tick();
        let core = dut.core_mut().unwrap();
        let pins = core.gpio();
        let mut levels = pins & (1 << pin::I2C_SCL | 1 << pin::I2C_SDA);
        if present {
            flash.drive(pins);
            sensor.drive(pins);
            levels |= u8::from(flash.out) << pin::FLASH_MISO;
            levels &= !(u8::from(sensor.pull) << pin::I2C_SDA);
        }
        core.set_gpio(levels);
        if core.is_asleep() && core.gpio() >> pin::LED & 1 == 1 {
            return state(dut);
        }
        assert!(dut.cycle() < patience, "{}", state(dut));
    }
}

#[test]
fn flash_sensor_and_led_work_through_the_pins() {
    let mut dut = boot();
    let log = restart(&mut dut, true);
    assert!(log.contains("SPI flash ef 40 18"), "{log}");
    assert!(log.contains("board at 27 degrees Celsius"), "{log}");
}

#[test]
fn a_board_without_them_says_so() {
    let mut dut = boot();
    let log = restart(&mut dut, false);
    assert!(log.contains("no SPI flash"), "{log}");
    assert!(log.contains("no temperature sensor"), "{log}");
}
