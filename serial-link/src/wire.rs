//! A UART at a simulated pin: bytes as levels, one level a clock cycle, and back.
//!
//! 8 data bits, no parity, one stop bit, lowest bit first; the bit time need not be a whole number of
//! cycles.

use std::collections::VecDeque;

/// Drives a receiver's pin.
pub struct Transmitter {
    cycles_per_bit: f64,
    queue: VecDeque<u8>,
    /// Bits of the byte under way, and how many are left.
    bits: u16,
    left: u32,
    time: f64,
}

impl Transmitter {
    /// At `cycles_per_bit` clock cycles a bit.
    pub fn new(cycles_per_bit: f64) -> Self {
        Self { cycles_per_bit, queue: VecDeque::new(), bits: 0, left: 0, time: 0.0 }
    }

    /// Queues bytes.
    pub fn send(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.queue.extend(bytes);
    }

    /// Bytes that are not out.
    pub fn queued(&self) -> usize {
        self.queue.len() + usize::from(self.left > 0)
    }

    /// The pin's level in the next cycle.
    #[inline]
    pub fn level(&mut self) -> bool {
        if self.left == 0 {
            let Some(byte) = self.queue.pop_front() else { return true };
            self.bits = u16::from(byte) << 1 | 1 << 9;
            self.left = 10;
            self.time += self.cycles_per_bit;
        }
        let level = self.bits & 1 == 1;
        self.time -= 1.0;
        if self.time < 0.5 {
            self.bits >>= 1;
            self.left -= 1;
            self.time = if self.left > 0 { self.time + self.cycles_per_bit } else { 0.0 };
        }
        level
    }
}

/// Listens to a transmitter's pin.
pub struct Listener {
    cycles_per_bit: f64,
    /// Cycles to the next sample, while a byte comes.
    time: Option<f64>,
    bits: u16,
    count: u32,
    broken: bool,
    /// Bytes with a stop bit that was none.
    errors: u64,
}

impl Listener {
    /// At `cycles_per_bit` clock cycles a bit.
    pub fn new(cycles_per_bit: f64) -> Self {
        Self { cycles_per_bit, time: None, bits: 0, count: 0, broken: false, errors: 0 }
    }

    /// Bytes that were broken.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The pin's level in this cycle; a byte, if it is whole now.
    #[inline]
    pub fn hear(&mut self, level: bool) -> Option<u8> {
        let Some(time) = self.time else {
            if level {
                self.broken = false;
            } else if !self.broken {
                self.time = Some(self.cycles_per_bit / 2.0);
                (self.bits, self.count) = (0, 0);
            }
            return None;
        };
        if time > 1.0 {
            self.time = Some(time - 1.0);
            return None;
        }
        self.time = Some(time - 1.0 + self.cycles_per_bit);
        self.bits |= u16::from(level) << self.count;
        self.count += 1;
        if self.count == 1 && level {
            // No start bit, but a glitch.
            self.time = None;
        }
        if self.count < 10 {
            return None;
        }
        self.time = None;
        if !level {
            self.broken = true;
            self.errors += 1;
            return None;
        }
        Some((self.bits >> 1) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_from_pin_to_pin_at_odd_bit_times() {
        for cycles in [10.0, 13.333, 16.0, 20.5] {
            let (mut out, mut ear) = (Transmitter::new(cycles), Listener::new(cycles * 1.01));
            out.send(0..=255);
            let mut heard = Vec::new();
            while out.queued() > 0 {
                heard.extend(ear.hear(out.level()));
            }
            (0..50).for_each(|_| heard.extend(ear.hear(true)));
            assert_eq!(heard, (0..=255).collect::<Vec<u8>>(), "{cycles}");
        }
    }
}
