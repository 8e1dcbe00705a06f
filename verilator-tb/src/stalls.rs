//! Random stalls on the handshakes.

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

/// How probable it is that a side of a handshake holds back in a cycle, 0 (never) to below 1.
///
/// A side that has raised its valid keeps it up: only the beginning of an offer is held back.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Stalls {
    /// A request that waits at a port is not offered yet.
    pub request: f64,
    /// A port does not take an answer.
    pub response: f64,
    /// The DRAM does not take a command.
    pub dram_command: f64,
    /// A reply of the DRAM is not offered yet.
    pub dram_reply: f64,
    /// A register access that waits is not offered yet.
    pub bus: f64,
}

impl Stalls {
    /// No stalls: every side is always ready.
    pub const NONE: Self =
        Self { request: 0.0, response: 0.0, dram_command: 0.0, dram_reply: 0.0, bus: 0.0 };

    /// The same probability everywhere.
    pub const fn all(probability: f64) -> Self {
        Self {
            request: probability,
            response: probability,
            dram_command: probability,
            dram_reply: probability,
            bus: probability,
        }
    }
}

/// Rolls the dice: [`Stalls`] as thresholds.
pub(crate) struct Dice {
    rng: SmallRng,
    pub request: Chance,
    pub response: Chance,
    pub dram_command: Chance,
    pub dram_reply: Chance,
    pub bus: Chance,
}

/// A probability as a threshold of 32 random bits.
#[derive(Clone, Copy)]
pub(crate) struct Chance(u32);

impl Chance {
    fn new(probability: f64) -> Self {
        // Saturates: a stall of probability 1 would hang, so it is just below.
        Self((probability * 4_294_967_296.0) as u32)
    }
}

impl Dice {
    pub fn new(seed: u64, stalls: Stalls) -> Self {
        let never = Chance(0);
        let mut dice = Self {
            rng: SmallRng::seed_from_u64(seed),
            request: never,
            response: never,
            dram_command: never,
            dram_reply: never,
            bus: never,
        };
        dice.set(stalls);
        dice
    }

    pub fn set(&mut self, stalls: Stalls) {
        self.request = Chance::new(stalls.request);
        self.response = Chance::new(stalls.response);
        self.dram_command = Chance::new(stalls.dram_command);
        self.dram_reply = Chance::new(stalls.dram_reply);
        self.bus = Chance::new(stalls.bus);
    }

    /// Whether it happens. Where the probability is zero, no random number is spent.
    #[inline]
    pub fn roll(&mut self, chance: Chance) -> bool {
        chance.0 != 0 && self.rng.next_u32() < chance.0
    }
}
