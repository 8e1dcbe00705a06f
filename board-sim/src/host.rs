//! A host at the other end of a simulated board's serial line, in simulated time: the link's own code
//! over the pins.

use crate::{Board, BoardError, CLOCK_KHZ};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serial_link::{Call, Link, LinkError, Outcome, Patience, Reply};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::serial::Space;

/// Simulated time after which nothing more is waited for, in us.
const GIVE_UP_US: u64 = 2_000_000;

/// Why a host cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nothing comes, and nothing is wrong.
    #[error("no answer within {GIVE_UP_US} us of simulated time")]
    NoAnswer,
}

/// What a wire does to its bytes: each is damaged, lost or repeated with this chance per thousand.
pub struct Wire {
    noise: u32,
    cut: bool,
    rng: SmallRng,
}

impl Wire {
    /// A wire with this chance, whose damages come from `seed`.
    pub fn new(noise: u32, seed: u64) -> Self {
        Self { noise, cut: false, rng: SmallRng::seed_from_u64(seed) }
    }

    /// What becomes of some bytes.
    pub fn carry(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.cut {
            return Vec::new();
        }
        if self.noise == 0 {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.rng.random_range(0..1000) >= self.noise {
                out.push(byte);
                continue;
            }
            match self.rng.random_range(0..4) {
                0 => {}
                1 => out.extend([byte, byte]),
                2 => out.push(byte ^ 1 << self.rng.random_range(0..8)),
                _ => out.extend([byte, self.rng.random()]),
            }
        }
        out
    }
}

/// A host, with the board at its line. As [`RegisterBus`] it reaches the component's host registers.
pub struct Host {
    board: Board,
    link: Link,
    wire: Wire,
    next: u64,
}

impl Host {
    /// Greets a board over a wire.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn greet(board: Board, session: u8, wire: Wire) -> Result<Self, HostError> {
        let patience = Patience { repeat_us: 5_000, give_up_us: 500_000 };
        let link = Link::new(session, patience);
        let mut host = Self { board, link, wire, next: 0 };
        host.until(|host| host.link.welcome().is_some())?;
        Ok(host)
    }

    /// The board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The board, which its host leaves as a process that is killed does.
    pub fn leave(self) -> Board {
        self.board
    }

    /// Cuts the wire.
    pub fn cut(&mut self) {
        self.wire.cut = true;
    }

    /// The link.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// One clock cycle of the board.
    pub fn tick(&mut self) {
        // A look at the link costs more than a cycle, and nothing happens in a fraction of a byte.
        if self.board.cycle() % 64 == 0 {
            self.speak();
        }
        self.board.tick();
        let heard = self.board.heard();
        if !heard.is_empty() {
            let heard = self.wire.carry(&heard);
            self.link.bytes_in(&heard, self.now_us());
        }
    }

    /// Hands the link's bytes to the line, if that has none.
    fn speak(&mut self) {
        if self.board.queued() == 0 {
            let mut out = Vec::new();
            self.link.bytes_out(self.now_us(), &mut out);
            let out = self.wire.carry(&out);
            self.board.send(&out);
        }
    }

    fn now_us(&self) -> u64 {
        self.board.cycle() * 1000 / u64::from(CLOCK_KHZ)
    }

    fn until(&mut self, mut over: impl FnMut(&mut Self) -> bool) -> Result<(), HostError> {
        let end = self.now_us() + GIVE_UP_US;
        while !over(self) {
            self.tick();
            if let Some(error) = self.link.error() {
                return Err(error.into());
            }
            if self.board.cycle() % 4096 == 0 {
                self.board.check()?;
                if self.now_us() > end {
                    return Err(HostError::NoAnswer);
                }
            }
        }
        Ok(self.board.check()?)
    }

    /// Asks several things at once; gives what came of them, in their order.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn ask(&mut self, calls: &[Call]) -> Result<Vec<Outcome>, HostError> {
        let first = self.next;
        for call in calls {
            self.link.call(self.next, *call);
            self.next += 1;
        }
        self.speak();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; calls.len()];
        let mut left = calls.len();
        self.until(|host| {
            while let Some(Reply { id, outcome }) = host.link.reply() {
                // The link answers each call once; only these are under way.
                outcomes[(id - first) as usize] = Some(outcome);
                left -= 1;
            }
            left == 0
        })?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Reads a register.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn register(
        &mut self,
        space: Space,
        offset: u16,
    ) -> Result<Result<u32, BusError>, HostError> {
        match self.ask(&[Call::Read(space, offset)])?[0] {
            Outcome::Register(value) => Ok(value),
            Outcome::Memory(..) => Err(HostError::NoAnswer),
        }
    }

    /// Waits until the board's own monitor has let requests in; `false` if it does not in time.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn monitor_up(&mut self, within_us: u64) -> Result<bool, HostError> {
        let end = self.now_us() + within_us;
        loop {
            let control = self.register(Space::Host, splitmem_abi::regs::CONTROL.offset)?;
            // Denied while the memory is tested.
            let enabled = splitmem_abi::regs::field::CONTROL::ENABLE.get(control.unwrap_or(0));
            if enabled == 1 || self.now_us() > end {
                return Ok(enabled == 1);
            }
        }
    }
}

impl RegisterBus for Host {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.register(Space::Host, offset).map_err(|_| BusError::Gone)?
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        let outcomes = self.ask(&[Call::Write(Space::Host, offset, value)]);
        match outcomes.map_err(|_| BusError::Gone)?[0] {
            Outcome::Register(result) => result.map(drop),
            Outcome::Memory(..) => Err(BusError::Gone),
        }
    }
}
