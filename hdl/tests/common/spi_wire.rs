//! An SPI controller at the pins of a Verilated block, in another clock: its edges come at any time
//! between the block's.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A block with SPI pins.
pub trait Pins {
    /// One cycle of the block's clock with these levels sampled at its edge: gives `miso` after it.
    fn cycle(&mut self, sck: bool, cs_n: bool, mosi: bool) -> bool;
}

/// How the controller clocks, in cycles of the block.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long SCK is low, and high.
    pub low: f64,
    pub high: f64,
    /// Longest random pause between bytes.
    pub pause: f64,
}

impl Pace {
    /// The fastest that the bridge allows.
    pub const FASTEST: Self = Self { low: 2.0, high: 2.0, pause: 0.0 };

    /// Any that it allows, up to some ten cycles a bit.
    pub fn random(rng: &mut SmallRng) -> Self {
        let pause = if rng.random() { 0.0 } else { rng.random_range(0.0..60.0) };
        Self { low: rng.random_range(2.0..6.0), high: rng.random_range(2.0..6.0), pause }
    }
}

pub struct Controller<P> {
    pub pins: P,
    pub pace: Pace,
    pub rng: SmallRng,
    /// Chance that a bit is flipped on its way, per million, in either direction.
    pub noise: u32,
    now: f64,
    cycles: u64,
    sck: bool,
    cs_n: bool,
    mosi: bool,
    miso: bool,
}

impl<P: Pins> Controller<P> {
    pub fn new(pins: P, pace: Pace, seed: u64) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        let (sck, cs_n, mosi, miso) = (false, true, false, false);
        Self { pins, pace, rng, noise: 0, now: 0.3, cycles: 0, sck, cs_n, mosi, miso }
    }

    /// Cycles of the block so far.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Lets time pass, in cycles.
    pub fn wait(&mut self, cycles: f64) {
        self.now += cycles;
        while (self.cycles as f64) < self.now {
            self.miso = self.pins.cycle(self.sck, self.cs_n, self.mosi);
            self.cycles += 1;
        }
    }

    /// Begins a transaction. The first edge may come at any time after it.
    pub fn select(&mut self) {
        self.cs_n = false;
        let setup = self.rng.random_range(1.0..5.0);
        self.wait(setup);
    }

    /// Ends a transaction, wherever it is, for as long as the bridge needs to see it.
    pub fn deselect(&mut self) {
        self.cs_n = true;
        let hold = self.rng.random_range(2.0..8.0);
        self.sck = false;
        self.wait(hold);
    }

    fn flips(&mut self) -> bool {
        self.noise > 0 && self.rng.random_range(0..1_000_000) < self.noise
    }

    /// One bit each way.
    pub fn bit(&mut self, out: bool) -> bool {
        self.mosi = out ^ self.flips();
        self.wait(self.pace.low);
        // The controller takes the bit as SCK rises.
        let taken = self.miso;
        self.sck = true;
        self.wait(self.pace.high);
        self.sck = false;
        taken ^ self.flips()
    }

    /// The pause between two bytes.
    pub fn idle(&mut self) {
        if self.pace.pause > 0.0 {
            let pause = self.rng.random_range(0.0..self.pace.pause);
            self.wait(pause);
        }
    }

    /// One byte each way.
    pub fn byte(&mut self, out: u8) -> u8 {
        self.idle();
        (0..8).rev().fold(0, |byte, i| byte << 1 | u8::from(self.bit(out >> i & 1 == 1)))
    }

    /// Bytes each way, in place.
    pub fn bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.byte(*byte);
        }
    }
}
