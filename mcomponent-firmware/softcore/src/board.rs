//! What else is on the board, behind `embedded-hal`: an LED, an SPI flash, an I2C temperature sensor,
//! delays. Boards differ only here; [`flash_id`] and [`temperature`] work over any bus.
//!
//! The buses are made of GPIO pins in software. They are used at the start and when somebody asks, not
//! while requests depend on it.

use crate::registers::System;
use core::convert::Infallible;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{self, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource};
use embedded_hal::spi::{self, Operation, SpiDevice};
use splitmem_abi::soc::{self, pin};

/// Clocks of the core in a microsecond, at most: what a delay lasts at least.
const CLOCKS_PER_US: u64 = 50;
/// Looks at an I2C clock that somebody holds down.
const STRETCH: u32 = 50;
/// The sensor's address: LM75 and its relatives, address pins low.
const SENSOR: u8 = 0x48;
/// SPI flash: read the manufacturer's and the device's identification (JEDEC JESD216).
const READ_ID: u8 = 0x9f;

/// A pin of the board.
#[derive(Clone, Copy)]
pub struct Pin(u32);

/// The LED.
pub const LED: Pin = Pin(pin::LED);

impl Pin {
    fn set(self, high: bool) {
        let pins = System.read(&soc::GPIO_OUT);
        let bit = 1 << self.0;
        System.write(&soc::GPIO_OUT, if high { pins | bit } else { pins & !bit });
    }

    fn is_set(self) -> bool {
        System.read(&soc::GPIO_IN) >> self.0 & 1 == 1
    }
}

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(true);
        Ok(())
    }
}

impl InputPin for Pin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.is_set())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.is_set())
    }
}

/// Delays by the core's clock.
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let until = System.now() + (ns as u64 * CLOCKS_PER_US).div_ceil(1000);
        while System.now() < until {}
    }
}

/// The SPI flash on its pins, mode 0. A pin changes a register access after the other: tens of clocks,
/// which no flash is too slow for.
pub struct Flash;

impl Flash {
    fn exchange(&mut self, out: u8) -> u8 {
        let mut read = 0;
        for bit in (0..8).rev() {
            Pin(pin::FLASH_MOSI).set(out >> bit & 1 == 1);
            Pin(pin::FLASH_SCK).set(true);
            read = read << 1 | Pin(pin::FLASH_MISO).is_set() as u8;
            Pin(pin::FLASH_SCK).set(false);
        }
        read
    }
}

impl spi::ErrorType for Flash {
    type Error = Infallible;
}

impl SpiDevice for Flash {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        Pin(pin::FLASH_CS).set(false);
        for operation in operations {
            match operation {
                Operation::Read(words) => {
                    words.iter_mut().for_each(|word| *word = self.exchange(0));
                }
                Operation::Write(words) => words.iter().for_each(|&word| {
                    self.exchange(word);
                }),
                Operation::Transfer(read, write) => {
                    for i in 0..read.len().max(write.len()) {
                        let word = self.exchange(write.get(i).copied().unwrap_or(0));
                        if let Some(to) = read.get_mut(i) {
                            *to = word;
                        }
                    }
                }
                Operation::TransferInPlace(words) => {
                    words.iter_mut().for_each(|word| *word = self.exchange(*word));
                }
                Operation::DelayNs(ns) => Delay.delay_ns(*ns),
            }
        }
        Pin(pin::FLASH_CS).set(true);
        Ok(())
    }
}

/// The I2C bus on its pins, which pull low or let go; 100 kHz at most.
pub struct Wires;

impl Wires {
    fn wait(&mut self) {
        Delay.delay_us(5);
    }

    fn data(&mut self, high: bool) {
        Pin(pin::I2C_SDA).set(high);
        self.wait();
    }

    /// Lets the clock rise; somebody may hold it down for a while.
    fn rise(&mut self) -> Result<(), i2c::ErrorKind> {
        Pin(pin::I2C_SCL).set(true);
        for _ in 0..STRETCH {
            if Pin(pin::I2C_SCL).is_set() {
                self.wait();
                return Ok(());
            }
        }
        Err(i2c::ErrorKind::Bus)
    }

    fn fall(&mut self) {
        Pin(pin::I2C_SCL).set(false);
        self.wait();
    }

    fn start(&mut self) -> Result<(), i2c::ErrorKind> {
        self.data(true);
        self.rise()?;
        self.data(false);
        self.fall();
        Ok(())
    }

    fn stop(&mut self) -> Result<(), i2c::ErrorKind> {
        self.data(false);
        self.rise()?;
        self.data(true);
        Ok(())
    }

    fn bit(&mut self, out: bool) -> Result<bool, i2c::ErrorKind> {
        self.data(out);
        self.rise()?;
        let seen = Pin(pin::I2C_SDA).is_set();
        self.fall();
        Ok(seen)
    }

    fn put(&mut self, byte: u8, source: NoAcknowledgeSource) -> Result<(), i2c::ErrorKind> {
        for bit in (0..8).rev() {
            self.bit(byte >> bit & 1 == 1)?;
        }
        match self.bit(true)? {
            false => Ok(()),
            true => Err(i2c::ErrorKind::NoAcknowledge(source)),
        }
    }

    fn get(&mut self, last: bool) -> Result<u8, i2c::ErrorKind> {
        let mut byte = 0;
        for _ in 0..8 {
            byte = byte << 1 | self.bit(true)? as u8;
        }
        self.bit(last)?;
        Ok(byte)
    }

    fn run(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        let count = operations.len();
        let mut reading = None;
        for i in 0..count {
            let reads = matches!(operations[i], i2c::Operation::Read(_));
            if reading != Some(reads) {
                self.start()?;
                self.put(address << 1 | reads as u8, NoAcknowledgeSource::Address)?;
                reading = Some(reads);
            }
            // The last byte before the direction changes, or of all, is not acknowledged.
            let ends =
                operations.get(i + 1).is_none_or(|next| !matches!(next, i2c::Operation::Read(_)));
            match &mut operations[i] {
                i2c::Operation::Write(bytes) => {
                    for &byte in bytes.iter() {
                        self.put(byte, NoAcknowledgeSource::Data)?;
                    }
                }
                i2c::Operation::Read(bytes) => {
                    let length = bytes.len();
                    for (n, byte) in bytes.iter_mut().enumerate() {
                        *byte = self.get(ends && n + 1 == length)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl i2c::ErrorType for Wires {
    type Error = i2c::ErrorKind;
}

impl I2c for Wires {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        let result = self.run(address, operations);
        self.stop()?;
        result
    }
}

/// Manufacturer and device of an SPI flash. `None` if nothing drives the wire.
///
/// # Errors
/// The bus's.
pub fn flash_id<S: SpiDevice>(flash: &mut S) -> Result<Option<[u8; 3]>, S::Error> {
    let mut id = [0; 3];
    flash.transaction(&mut [Operation::Write(&[READ_ID]), Operation::Read(&mut id)])?;
    Ok((id != [0; 3] && id != [0xff; 3]).then_some(id))
}

/// The temperature that an LM75 or alike measures, in 1/256 of a degree Celsius.
///
/// # Errors
/// The bus's; that of the acknowledgement if there is no sensor.
pub fn temperature<I: I2c>(bus: &mut I) -> Result<i16, I::Error> {
    let mut bytes = [0; 2];
    bus.write_read(SENSOR, &[0], &mut bytes)?;
    Ok(i16::from_be_bytes(bytes))
}

/// Looks at what is there, and tells the log.
pub fn look_around() {
    match flash_id(&mut Flash) {
        Ok(Some([maker, kind, size])) => {
            defmt::info!("SPI flash {=u8:02x} {=u8:02x} {=u8:02x}", maker, kind, size);
        }
        Ok(None) => defmt::info!("no SPI flash"),
        Err(never) => match never {},
    }
    match temperature(&mut Wires) {
        Ok(sixteenths) => {
            defmt::info!("board at {=i16} degrees Celsius", sixteenths >> 8);
        }
        Err(_) => defmt::info!("no temperature sensor"),
    }
}
