//! The pico-ice's wires: an RP2040 beside an iCE40UP5K.
//!
//! From the netlist of tinyVision's KiCad project (`tinyvision-ai-inc/pico-ice`, `Board/Rev3/`), which
//! agrees with `include/boards/pico_ice.h` of the `pico-ice-sdk`:
//!
//! | wire | RP2040 | iCE40 pin |
//! | --- | --- | --- |
//! | the bridge's MISO | GPIO4, SPI0 RX | 26 |
//! | the bridge's chip select | GPIO5 | 23 |
//! | the bridge's SCK | GPIO6, SPI0 SCK | 20 |
//! | the bridge's MOSI | GPIO7, SPI0 TX | 18 |
//! | the monitor's interrupt | GPIO3 | 19 |
//! | the FPGA's clock | GPIO24, a clock output | 35 |
//! | configuration: data | GPIO8 | 17, SPI_SI |
//! | configuration: select | GPIO9 | 16, SPI_SS |
//! | configuration: clock | GPIO10 | 15, SPI_SCK |
//! | CDONE | GPIO26 | 7 |
//! | CRESET_B | GPIO27 | 8 |
//!
//! GPIO8 can only be an input of the SPI controller, so the design is loaded by software; that takes a
//! sixth of a second. The FPGA's own flash hangs on the same wires and is selected with it; GPIO11,
//! its data input, stays as it is after reset, pulled down, so that all it hears is zeros: no command.

use crate::Failure;
use embedded_hal::spi::MODE_0;
use embedded_hal_bus::spi::ExclusiveDevice;
use fugit::{HertzU32, RateExtU32};
use mcomponent_firmware::ice40::Ice40;
use rp2040_hal::clocks::{init_clocks_and_plls, Clock};
use rp2040_hal::gpio::bank0::{
    Gpio10, Gpio26, Gpio27, Gpio3, Gpio4, Gpio5, Gpio6, Gpio7, Gpio8, Gpio9,
};
use rp2040_hal::gpio::{
    FunctionClock, FunctionSioInput, FunctionSioOutput, FunctionSpi, Interrupt, Pin, Pins,
    PullDown, PullNone, PullUp,
};
use rp2040_hal::spi::{Enabled, Spi};
use rp2040_hal::timer::Alarm0;
use rp2040_hal::{pac, Sio, Timer, Watchdog};
use splitmem_abi::board::PICO_ICE_BITSTREAM;
use splitmem_abi::spi::CLOCKS_PER_SCK;

/// The board's crystal.
const CRYSTAL_HZ: u32 = 12_000_000;
/// What the FPGA gets: the USB PLL's 48 MHz over four.
const FPGA_HZ: u32 = 12_000_000;
/// The second MiB of flash: the FPGA's bitstream, written there by itself, so that firmware and design
/// are flashed one without the other.
const BITSTREAM: (usize, usize) = (PICO_ICE_BITSTREAM as usize, 128 << 10);

type Output<I, P = PullNone> = Pin<I, FunctionSioOutput, P>;
type Input<I, P = PullNone> = Pin<I, FunctionSioInput, P>;
type SpiPins = (
    Pin<Gpio7, FunctionSpi, PullNone>,
    Pin<Gpio4, FunctionSpi, PullDown>,
    Pin<Gpio6, FunctionSpi, PullNone>,
);

/// The SPI bridge in the FPGA.
pub type Bridge = ExclusiveDevice<Spi<Enabled, pac::SPI0, SpiPins>, Output<Gpio5>, Timer>;
/// The FPGA's configuration pins.
pub type Fpga = Ice40<Output<Gpio27>, Output<Gpio9>, Output<Gpio10>, Output<Gpio8>, Input<Gpio26>>;

/// Everything on the board that the monitor uses.
pub struct Board {
    pub bridge: Bridge,
    pub fpga: Fpga,
    pub interrupt: Input<Gpio3, PullDown>,
    pub watchdog: Watchdog,
    pub timer: Timer,
    pub alarm: Alarm0,
}

impl Board {
    /// Starts the clocks, also the FPGA's, and takes the pins.
    pub fn take() -> Result<Self, Failure> {
        let pac = pac::Peripherals::take().ok_or(Failure::Board("the peripherals are taken"))?;
        let mut resets = pac.RESETS;
        let mut watchdog = Watchdog::new(pac.WATCHDOG);
        let (xosc, sys, usb) = (pac.XOSC, pac.PLL_SYS, pac.PLL_USB);
        let mut clocks = init_clocks_and_plls(
            CRYSTAL_HZ,
            xosc,
            pac.CLOCKS,
            sys,
            usb,
            &mut resets,
            &mut watchdog,
        )
        .map_err(|_| Failure::Board("the clocks do not start"))?;
        let mut timer = Timer::new(pac.TIMER, &mut resets, &clocks);
        let alarm = timer.alarm_0().ok_or(Failure::Board("the timer's alarm is taken"))?;
        let sio = Sio::new(pac.SIO);
        let pins = Pins::new(pac.IO_BANK0, pac.PADS_BANK0, sio.gpio_bank0, &mut resets);

        let fpga_clock: HertzU32 = FPGA_HZ.Hz();
        (clocks.gpio_output2_clock)
            .configure_clock(&clocks.usb_clock, fpga_clock)
            .map_err(|_| Failure::Board("the FPGA's clock cannot be made"))?;
        let _out: Pin<_, FunctionClock, PullNone> = pins.gpio24.reconfigure();

        let spi_pins: SpiPins =
            (pins.gpio7.reconfigure(), pins.gpio4.reconfigure(), pins.gpio6.reconfigure());
        let rate: HertzU32 = (FPGA_HZ / CLOCKS_PER_SCK).Hz();
        let spi = Spi::new(pac.SPI0, spi_pins);
        let spi = spi.init(&mut resets, clocks.peripheral_clock.freq(), rate, MODE_0);
        let select = high(pins.gpio5.reconfigure());
        let Ok(bridge) = ExclusiveDevice::new(spi, select, timer);

        let interrupt: Input<Gpio3, PullDown> = pins.gpio3.reconfigure();
        interrupt.set_interrupt_enabled(Interrupt::LevelHigh, true);
        let fpga = Ice40 {
            reset: pins.gpio27.reconfigure(),
            select: high(pins.gpio9.reconfigure()),
            clock: pins.gpio10.reconfigure(),
            data: pins.gpio8.reconfigure(),
            done: pins.gpio26.reconfigure(),
        };
        Ok(Self { bridge, fpga, interrupt, watchdog, timer, alarm })
    }
}

/// An output that begins high.
fn high<I: rp2040_hal::gpio::PinId>(pin: Input<I>) -> Output<I>
where
    I: rp2040_hal::gpio::ValidFunction<FunctionSioOutput>,
{
    pin.into_push_pull_output_in_state(rp2040_hal::gpio::PinState::High)
}

/// Lets go of the wires that the FPGA's flash is on; the design goes on. Gives CRESET_B, which must stay
/// high.
pub fn release(fpga: Fpga) -> Output<Gpio27> {
    let _: Input<Gpio9, PullUp> = fpga.select.reconfigure();
    let _: Input<Gpio10, PullDown> = fpga.clock.reconfigure();
    let _: Input<Gpio8, PullDown> = fpga.data.reconfigure();
    fpga.reset
}

/// Where the FPGA's bitstream is.
pub fn bitstream() -> &'static [u8] {
    let (address, bytes) = BITSTREAM;
    // SAFETY: flash, which is mapped there and read-only to this program; memory.x keeps the program
    // out of it.
    unsafe { core::slice::from_raw_parts(address as *const u8, bytes) }
}
