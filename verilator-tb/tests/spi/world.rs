//! The world around the driver: a microcontroller's SPI controller and its pins, simulated time, and a
//! host on the other side.

use crate::spi_wire::{Controller, Pace, Pins};
use embedded_hal::digital::{self, InputPin};
use embedded_hal::spi::{self, Operation, SpiDevice};
use mcomponent_firmware::spi::Nap;
use rand::Rng;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::request::Request;
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::spi::SpiComponent;
use verilator_tb::{Answer, BusAccess, Component, Hw, Side};

/// Cycles that a nap lasts if no interrupt ends it.
const NAP: u64 = 2_000;

/// What goes wrong on the wires.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Bits that are flipped, per million, in each direction.
    pub flips: u32,
    /// Transactions in which chip select rises for a moment, or for good, per thousand.
    pub aborts: u32,
}

impl Faults {
    pub const NONE: Self = Self { flips: 0, aborts: 0 };
}

pub struct Board {
    dut: SpiComponent<IdealMemory>,
    /// The FPGA's MISO does not reach the microcontroller.
    cut: bool,
}

impl Pins for Board {
    fn cycle(&mut self, sck: bool, cs_n: bool, mosi: bool) -> bool {
        self.dut.cycle(sck, cs_n, mosi) && !self.cut
    }
}

struct Inner {
    wire: Controller<Board>,
    aborts: u32,
}

/// A handle of the one world; each of the microcontroller's drivers has one.
#[derive(Clone)]
pub struct World(Rc<RefCell<Inner>>);

impl World {
    pub fn new(seed: u64, frames: u32, pace: Pace, faults: Faults) -> Self {
        let memory = IdealMemory::new(LineStore::new(u64::from(frames) << 6, Fill::Noise(1)), 10);
        let component = Component::new(Hw::Small, memory).unwrap();
        let board = Board { dut: SpiComponent::new(component).unwrap(), cut: false };
        let mut wire = Controller::new(board, pace, seed);
        wire.noise = faults.flips;
        Self(Rc::new(RefCell::new(Inner { wire, aborts: faults.aborts })))
    }

    pub fn cycles(&self) -> u64 {
        self.0.borrow().wire.cycles()
    }

    /// Lets time pass with the wires at rest.
    pub fn pass(&self, cycles: u64) {
        self.0.borrow_mut().wire.wait(cycles as f64);
    }

    /// Moves the wires: gives the byte that came, if one did.
    pub fn wire(&self, moves: impl FnOnce(&mut Controller<Board>) -> u8) -> u8 {
        moves(&mut self.0.borrow_mut().wire)
    }

    pub fn irq(&self) -> bool {
        self.0.borrow().wire.pins.dut.irq()
    }

    pub fn reset_bridge(&self) {
        self.0.borrow_mut().wire.pins.dut.reset_bridge();
    }

    pub fn cut(&self) {
        self.0.borrow_mut().wire.pins.cut = true;
    }

    pub fn component<R>(&self, use_it: impl FnOnce(&mut Component<IdealMemory>) -> R) -> R {
        use_it(self.0.borrow_mut().wire.pins.dut.component())
    }

    pub fn accesses(&self, look: impl FnOnce(&[(BusAccess, Result<u32, BusError>)])) {
        look(self.0.borrow().wire.pins.dut.accesses());
    }

    pub fn send(&self, request: Request) {
        self.component(|component| component.port(0).send(request));
    }

    pub fn receive(&self) -> Option<Answer> {
        self.component(|component| component.port(0).receive())
    }

    fn host(&self, access: BusAccess) -> u32 {
        while !self.component(|component| component.bus_start(Side::Host, access)) {
            self.pass(1);
        }
        loop {
            if let Some(result) = self.component(|component| component.bus_poll(Side::Host)) {
                return result.unwrap();
            }
            self.pass(1);
        }
    }

    pub fn host_read(&self, offset: u16) -> u32 {
        self.host(BusAccess::Read(offset))
    }

    pub fn host_write(&self, offset: u16, value: u32) {
        self.host(BusAccess::Write(offset, value));
    }
}

impl spi::ErrorType for World {
    type Error = Infallible;
}

impl SpiDevice for World {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let Inner { wire, aborts } = &mut *self.0.borrow_mut();
        let bytes: usize = operations
            .iter()
            .map(|operation| match operation {
                Operation::TransferInPlace(bytes) => bytes.len(),
                _ => panic!("the driver transfers in place"),
            })
            .sum();
        let aborted = wire.rng.random_range(0..1000) < *aborts;
        let mut left = if aborted { wire.rng.random_range(0..bytes * 8) } else { usize::MAX };
        let for_good = wire.rng.random::<bool>();
        wire.select();
        for operation in operations {
            let Operation::TransferInPlace(bytes) = operation else { unreachable!() };
            for byte in bytes.iter_mut() {
                let out = *byte;
                *byte = 0;
                for bit in (0..8).rev() {
                    if left == 0 {
                        wire.deselect();
                        if !for_good {
                            wire.select();
                        }
                    }
                    left = left.wrapping_sub(1);
                    *byte |= u8::from(wire.bit(out >> bit & 1 == 1)) << bit;
                }
                wire.idle();
            }
        }
        wire.deselect();
        Ok(())
    }
}

impl digital::ErrorType for World {
    type Error = Infallible;
}

impl InputPin for World {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.borrow().wire.pins.dut.irq())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

impl Nap for World {
    fn sleep(&mut self) {
        let inner = &mut *self.0.borrow_mut();
        for _ in 0..NAP / 20 {
            if inner.wire.pins.dut.irq() {
                break;
            }
            inner.wire.wait(20.0);
        }
    }

    fn alive(&mut self) {
        self.pass(1);
    }
}

/// Writes down what goes through it.
pub struct Recorder<B> {
    bus: B,
    log: Vec<(BusAccess, Result<u32, BusError>)>,
}

impl<B: RegisterBus> Recorder<B> {
    pub fn new(bus: B) -> Self {
        Self { bus, log: Vec::new() }
    }

    pub fn log(&self) -> &[(BusAccess, Result<u32, BusError>)] {
        &self.log
    }

    pub fn inner(&self) -> &B {
        &self.bus
    }
}

impl<B: RegisterBus> RegisterBus for Recorder<B> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        let result = self.bus.read(offset);
        self.log.push((BusAccess::Read(offset), result));
        result
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        let result = self.bus.write(offset, value);
        self.log.push((BusAccess::Write(offset, value), result.map(|()| 0)));
        result
    }
}
