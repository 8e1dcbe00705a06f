//! What the SPI driver makes of answers that the hardware does not give, or not on demand. How it works
//! with the hardware, `verilator-tb/tests/spi` has.

use embedded_hal::spi::{Error, ErrorKind, ErrorType, Operation, SpiDevice};
use mcomponent_firmware::spi::{SpiError, SpiRegisters};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::spi::{crc, status, FRAME_BYTES, HELLO_VALUE};

/// Answers one frame after the other: status and value, or that the controller fails.
struct Script<F>(F);

#[derive(Debug)]
struct Overrun;

impl Error for Overrun {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Overrun
    }
}

impl<F> ErrorType for Script<F> {
    type Error = Overrun;
}

impl<F: FnMut(&[u8]) -> Option<(u8, u32)>> SpiDevice for Script<F> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Overrun> {
        let [Operation::TransferInPlace(frame)] = operations else {
            panic!("one transfer a frame")
        };
        assert_eq!(frame.len(), FRAME_BYTES);
        let (status, value) = (self.0)(frame).ok_or(Overrun)?;
        let write = frame[0] >> 6 == 2;
        frame.fill(0);
        let at = if write { 9 } else { 5 };
        frame[at] = status;
        if !write {
            frame[6..10].copy_from_slice(&value.to_be_bytes());
        }
        let check = crc(&frame[at..10]).to_be_bytes();
        frame[10..].copy_from_slice(&check);
        Ok(())
    }
}

const HELLO: Option<(u8, u32)> = Some((status::ANSWER | 2, HELLO_VALUE));

fn operation(frame: &[u8]) -> u8 {
    frame[0] >> 6
}

#[test]
fn a_restarted_driver_goes_on_after_the_last_number() {
    let mut numbers = Vec::new();
    let script = |frame: &[u8]| match operation(frame) {
        3 => HELLO,
        _ => {
            numbers.push(frame[0] >> 4 & 3);
            Some((status::ANSWER | numbers[numbers.len() - 1], 7))
        }
    };
    let mut bus = SpiRegisters::connect(Script(script)).unwrap();
    for _ in 0..3 {
        assert_eq!(bus.read(8), Ok(7));
    }
    assert_eq!(bus.write(8, 1), Ok(()));
    assert_eq!(bus.counts().frames, 5);
    assert_eq!(numbers, [3, 0, 1, 2]);
}

#[test]
fn an_answer_to_another_request_is_none() {
    let mut first = true;
    let script = |frame: &[u8]| match operation(frame) {
        3 => HELLO,
        _ if std::mem::take(&mut first) => Some((status::ANSWER | 2, 9)),
        _ => Some((status::ANSWER | 3, 7)),
    };
    let mut bus = SpiRegisters::connect(Script(script)).unwrap();
    assert_eq!(bus.read(8), Ok(7));
    assert_eq!(bus.counts().damaged, 1);
}

#[test]
fn failures_have_names_and_stay() {
    let connect = |answer| SpiRegisters::connect(Script(move |_: &[u8]| answer)).err();
    assert_eq!(connect(Some((status::ANSWER, 1))), Some(SpiError::Version { found: 1 }));
    let unknown = Some((status::ANSWER | status::UNKNOWN, 0));
    assert_eq!(connect(unknown), Some(SpiError::Version { found: 0 }));
    assert_eq!(connect(None), Some(SpiError::Controller(ErrorKind::Overrun)));

    for (answer, error) in [
        (Some((status::ANSWER | status::BUSY | 2, 0)), SpiError::Busy { offset: 0x10 }),
        (Some((status::ANSWER | status::CLOSED, 0)), SpiError::Reset),
        (Some((status::ANSWER | status::DAMAGED | 2, 0)), SpiError::Damaged),
    ] {
        let script = |frame: &[u8]| if operation(frame) == 3 { HELLO } else { answer };
        let mut bus = SpiRegisters::connect(Script(script)).unwrap();
        assert_eq!(bus.read(0x10), Err(BusError::Gone));
        assert_eq!(bus.failed(), Some(error));
        let frames = bus.counts().frames;
        assert_eq!(bus.write(0x14, 1), Err(BusError::Gone));
        assert_eq!(bus.counts().frames, frames, "nothing more is sent");
    }
}

#[test]
fn a_refusal_is_no_failure() {
    let script = |frame: &[u8]| match (operation(frame), frame[1]) {
        (3, _) => HELLO,
        (_, 0x20) => Some((status::ANSWER | status::DENIED | 3, 0)),
        _ => Some((status::ANSWER, 5)),
    };
    let mut bus = SpiRegisters::connect(Script(script)).unwrap();
    assert_eq!(bus.write(0x20, 1), Err(BusError::Denied { offset: 0x20 }));
    assert_eq!(bus.read(0x24), Ok(5));
    assert_eq!(bus.failed(), None);
}
