//! The whole pico-ice but the FPGA's primitives, which stand here as models: the shell and the core that
//! go into the bitstream, reached as the RP2040 reaches them.

use crate::spi_wire::{Controller, Pace, Pins};
use crate::verilated::Verilated;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::spi::{status, Answer, Operation, Request, HELLO_VALUE, SEQUENCES};
use splitmem_hdl::board::pico_ice;
use std::cell::RefCell;
use std::rc::Rc;

/// Pins by the names that the test bench finds.
const TOP: &str = "\
module top(clock,sck,cs_n,mosi,miso,irq);
    input wire  clock;
    input wire  sck;
    input wire  cs_n;
    input wire  mosi;
    output wire  miso;
    output wire  irq;
    pico_ice board(.clk(clock), .spi_sck(sck), .spi_cs_n(cs_n), .spi_mosi(mosi), .spi_miso(miso), .irq(irq));
endmodule
";

struct Chip(Verilated);

impl Pins for Chip {
    fn cycle(&mut self, sck: bool, cs_n: bool, mosi: bool) -> bool {
        self.0.set("sck", sck.into());
        self.0.set("cs_n", cs_n.into());
        self.0.set("mosi", mosi.into());
        self.0.settle();
        self.0.tick();
        self.0.is("miso")
    }
}

struct Wire {
    controller: Controller<Chip>,
    sequence: u8,
}

/// The registers, frame by frame; an answer that says "not yet" is asked for again, as the firmware's
/// driver does.
#[derive(Clone)]
pub struct Board(Rc<RefCell<Wire>>);

impl Board {
    pub fn new(seed: u64) -> Self {
        println!("board, seed {seed}");
        let verilog = [TOP, pico_ice::shell(), &pico_ice::core(), include_str!("spram.v")].concat();
        let mut chip = Verilated::new("pico_ice", &verilog, seed as u32);
        chip.set("cs_n", 1);
        let mut controller = Controller::new(Chip(chip), Pace::FASTEST, seed);
        // The reset after power-up: 256 cycles and the microprogram's start.
        controller.wait(4000.0);
        let board = Self(Rc::new(RefCell::new(Wire { controller, sequence: 0 })));
        let hello = board.frame(Operation::Hello, 0, 0).expect("the bridge is there");
        assert_eq!(hello.value, HELLO_VALUE);
        board.0.borrow_mut().sequence = hello.status & status::SEQUENCE;
        board
    }

    pub fn cycles(&self) -> u64 {
        self.0.borrow().controller.cycles()
    }

    pub fn irq(&self) -> bool {
        self.0.borrow().controller.pins.0.is("irq")
    }

    fn frame(&self, operation: Operation, address: u16, value: u32) -> Option<Answer> {
        let wire = &mut *self.0.borrow_mut();
        let request = Request { operation, sequence: wire.sequence, address, value };
        let mut bytes = request.encode();
        wire.controller.select();
        wire.controller.bytes(&mut bytes);
        wire.controller.deselect();
        Answer::decode(operation, &bytes)
    }

    fn access(&self, operation: Operation, offset: u16, value: u32) -> Result<u32, BusError> {
        {
            let wire = &mut *self.0.borrow_mut();
            wire.sequence = (wire.sequence + 1) % SEQUENCES;
        }
        for _ in 0..1000 {
            let answer = self.frame(operation, offset, value).expect("a good wire");
            match answer.status & !status::SEQUENCE & !status::ANSWER {
                0 => return Ok(answer.value),
                status::DENIED => return Err(BusError::Denied { offset }),
                status::BUSY => {}
                other => panic!("status {other:#x} at {offset:#x}"),
            }
        }
        Err(BusError::Gone)
    }
}

impl RegisterBus for Board {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(Operation::Read, offset, 0)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(Operation::Write, offset, value).map(drop)
    }
}
