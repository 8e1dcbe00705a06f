//! Configures an iCE40 FPGA from a microcontroller's pins.
//!
//! Lattice, *iCE40 Programming and Configuration* (FPGA-TN-02001), "SPI Slave Configuration": the
//! microcontroller holds the FPGA in reset with its SPI select low, lets it go, and clocks the bitstream
//! in until CDONE is high. All pins are ordinary ones: a board may have them where no SPI controller of
//! the microcontroller drives data, and once is all that they are used for.

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{InputPin, OutputPin};

/// Reset: at least 200 ns.
const RESET_US: u32 = 1;
/// From reset until the FPGA has cleared its configuration memory: at least 1200 us.
const CLEAR_US: u32 = 1300;
/// Clocks after the last bit of a bitstream within which CDONE rises: 100; and with it high until the
/// pins are the design's: 49. In bytes.
const DONE_BYTES: usize = 13;
const WAKE_BYTES: usize = 7;
/// Every bitstream has it after a comment.
const PREAMBLE: [u8; 4] = [0x7E, 0xAA, 0x99, 0x7E];
/// Where the preamble must have begun.
const COMMENT_BYTES: usize = 1024;

/// Why the FPGA has no design.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ice40Error {
    /// What should be a bitstream is none.
    #[error("there is no iCE40 bitstream where it should be: write it to the flash first")]
    NoBitstream,
    /// The FPGA was held in reset, and CDONE stayed high.
    #[error("CDONE is high while the FPGA is in reset: is CRESET_B connected?")]
    NoReset,
    /// The whole bitstream was sent.
    #[error("CDONE stays low after the bitstream: it is damaged, or for another FPGA")]
    NotDone,
    /// A pin of the microcontroller.
    #[error("a pin of the microcontroller could not be set or read")]
    Pin,
}

/// The pins that lead to the FPGA.
#[derive(Debug)]
pub struct Ice40<R, S, C, D, I> {
    /// CRESET_B, low is reset.
    pub reset: R,
    /// SPI_SS.
    pub select: S,
    /// SPI_SCK, 1 to 25 MHz while it is used.
    pub clock: C,
    /// SPI_SI.
    pub data: D,
    /// CDONE.
    pub done: I,
}

impl<R, S, C, D, I> Ice40<R, S, C, D, I>
where
    R: OutputPin,
    S: OutputPin,
    C: OutputPin,
    D: OutputPin,
    I: InputPin,
{
    /// Resets the FPGA and loads a design. What follows the bitstream in `flash` is not looked at, and
    /// `alive` is called from time to time.
    ///
    /// # Errors
    /// [`Ice40Error`]; the FPGA is then held in reset, so that it drives nothing.
    pub fn configure(
        &mut self,
        flash: &[u8],
        delay: &mut impl DelayNs,
        alive: impl FnMut(),
    ) -> Result<(), Ice40Error> {
        let done = self.try_configure(flash, delay, alive);
        if done.is_err() {
            // That this fails too changes nothing about what is told.
            let _ = self.reset.set_low();
        }
        done
    }

    fn try_configure(
        &mut self,
        flash: &[u8],
        delay: &mut impl DelayNs,
        mut alive: impl FnMut(),
    ) -> Result<(), Ice40Error> {
        let begin = &flash[..flash.len().min(COMMENT_BYTES + PREAMBLE.len())];
        if !begin.windows(PREAMBLE.len()).any(|window| window == PREAMBLE) {
            return Err(Ice40Error::NoBitstream);
        }
        pin(self.clock.set_high())?;
        pin(self.select.set_low())?;
        pin(self.reset.set_low())?;
        delay.delay_us(RESET_US);
        if pin(self.done.is_high())? {
            return Err(Ice40Error::NoReset);
        }
        // The level of select, as reset ends, makes the FPGA the peripheral.
        pin(self.reset.set_high())?;
        delay.delay_us(CLEAR_US);
        pin(self.select.set_high())?;
        self.byte(0)?;
        pin(self.select.set_low())?;
        for (i, byte) in flash.iter().enumerate() {
            if i % 1024 == 0 {
                alive();
            }
            self.byte(*byte)?;
            if pin(self.done.is_high())? {
                break;
            }
        }
        pin(self.select.set_high())?;
        for _ in 0..DONE_BYTES {
            if pin(self.done.is_high())? {
                break;
            }
            self.byte(0)?;
        }
        if pin(self.done.is_low())? {
            return Err(Ice40Error::NotDone);
        }
        (0..WAKE_BYTES).try_for_each(|_| self.byte(0))
    }

    /// Eight bits, the highest first; the FPGA takes them as the clock rises.
    fn byte(&mut self, byte: u8) -> Result<(), Ice40Error> {
        for bit in (0..8).rev() {
            pin(self.clock.set_low())?;
            pin(self.data.set_state((byte >> bit & 1 == 1).into()))?;
            pin(self.clock.set_high())?;
        }
        Ok(())
    }
}

fn pin<T, E>(result: Result<T, E>) -> Result<T, Ice40Error> {
    result.map_err(|_| Ice40Error::Pin)
}
