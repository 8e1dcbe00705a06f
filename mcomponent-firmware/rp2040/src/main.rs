//! The memory monitor on the RP2040 of a pico-ice.
//!
//! It gives the FPGA its clock and its design, then reaches the component through the SPI bridge in it:
//! asleep until the component's interrupt pin is high, does what stands there, and sleeps again. What can
//! go wrong leaves a post-mortem record and waits for the watchdog; the start after it configures the
//! FPGA anew, and with that the component begins empty.
#![no_std]
#![no_main]

mod board;
mod postmortem;
mod power;
mod tables;

use core::convert::Infallible;
use defmt_rtt as _;
use embedded_hal::digital::InputPin;
use mcomponent_firmware::ice40::Ice40Error;
use mcomponent_firmware::spi::{PinWait, SpiError, SpiRegisters};
use mcomponent_firmware::{Error, Monitor, MonitorConfig};
use power::Power;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{PostMortem, POST_MORTEM_TEXT};
use splitmem_abi::regs;

/// The second stage of the boot ROM: sets the flash up, for a W25Q32.
#[link_section = ".boot2"]
#[used]
pub static BOOT2_FIRMWARE: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

defmt::timestamp!("{=u64:us}", power::now());

/// Why the monitor cannot go on.
enum Failure {
    Fpga(Ice40Error),
    Spi(SpiError),
    Monitor(Error),
    Board(&'static str),
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fpga(error) => error.fmt(f),
            Self::Spi(error) => error.fmt(f),
            Self::Monitor(error) => error.fmt(f),
            Self::Board(error) => f.write_str(error),
        }
    }
}

#[rp2040_hal::entry]
fn main() -> ! {
    // Interrupts end a sleep; none is ever taken.
    cortex_m::interrupt::disable();
    match run() {
        Ok(never) => match never {},
        Err(error) => panic!("{}", error),
    }
}

fn run() -> Result<Infallible, Failure> {
    let (left, text) = postmortem::take();
    defmt::info!(
        "memory monitor {=u32}.{=u32}, start {=u32}",
        mcomponent_firmware::VERSION >> 16,
        mcomponent_firmware::VERSION & 0xffff,
        left.starts
    );
    if left.kind != 0 {
        defmt::warn!(
            "the monitor before failed: kind {=u32}, pc {=u32:#x}, value {=u32}",
            left.kind,
            left.pc,
            left.value
        );
    }
    let board = board::Board::take()?;
    let power = Power::start(board.watchdog, board.alarm);
    let (mut fpga, mut delay) = (board.fpga, board.timer);
    fpga.configure(board::bitstream(), &mut delay, || power.feed()).map_err(Failure::Fpga)?;
    let _running = board::release(fpga);
    defmt::info!("the FPGA is configured");

    let mut bus = SpiRegisters::connect(board.bridge).map_err(Failure::Spi)?;
    let wait = || PinWait::new(board.interrupt.as_input(), &power);
    let served = serve(&mut bus, wait(), wait(), (left, text));
    // The bus's own word says more than that it is gone.
    let gone = bus.failed().map(Failure::Spi);
    served.map_err(|error| gone.unwrap_or(Failure::Monitor(error)))
}

/// The monitor, over any registers; `wait` is its own, and between two turns it takes a `rest`.
fn serve(
    bus: &mut impl RegisterBus,
    wait: PinWait<impl InputPin, &Power>,
    mut rest: PinWait<impl InputPin, &Power>,
    (left, text): (PostMortem, [u32; POST_MORTEM_TEXT]),
) -> Result<Infallible, Error> {
    let config = MonitorConfig::default();
    let layout = config.layout(bus.read(regs::HW_MEMORY.offset)?)?;
    let mut monitor = Monitor::boot(bus, wait, tables::take(&layout)?, &config)?;
    monitor.set_post_mortem(left, text);
    let (frames, buckets) = (layout.frames(), layout.log2_buckets());
    defmt::info!("ready: {=u32} frames, a table of 2^{=u32} buckets", frames, buckets);
    loop {
        let activity = monitor.poll()?;
        if let Some(code) = activity.answered {
            defmt::debug!("command answered with {=u16}", code as u16);
        }
        if activity.may_sleep {
            rest.rest();
        }
    }
}

/// Nothing more until the watchdog, which is not fed any more; a debugger finds everything as it was.
fn wait_for_the_watchdog() -> ! {
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    cortex_m::interrupt::disable();
    let line = info.location().map_or(0, |location| location.line());
    postmortem::leave(postmortem::PANIC, [0, 0, line], format_args!("{}", info.message()));
    defmt::error!("panic: {}", defmt::Display2Format(info));
    wait_for_the_watchdog()
}

/// A fault: the record has where, and where that was called from.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    /// The exception's number.
    const HARD_FAULT: u32 = 3;
    let (pc, lr) = (frame.pc(), frame.lr());
    let numbers = [HARD_FAULT, pc, lr];
    postmortem::leave(postmortem::EXCEPTION, numbers, format_args!("hard fault at {pc:#x}"));
    defmt::error!("hard fault at {=u32:#x}, called from {=u32:#x}", pc, lr);
    wait_for_the_watchdog()
}
