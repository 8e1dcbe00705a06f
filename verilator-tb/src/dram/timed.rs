//! A memory with contents and the timing of a DRAM channel, clocked by the component.

use super::{
    ConfigError, Controller, DramConfig, DramStats, LineCommand, LineMemory, LineReply, LineStore,
    Request, LINE_BYTES,
};

/// Commands that may be between `push` and `pop_reply`: both queues, what is in flight, and a
/// backlog of replies that the component has not taken.
const SLOTS: usize = 256;

/// A DRAM channel behind the component's DRAM port.
///
/// The component's clock and the memory clock stand in the ratio of their frequencies; both start
/// in clock 0. A command pushed in component clock `n` arrives in the memory clock in which `n`
/// begins, and its reply can be taken in the first component clock that begins when or after the
/// last data beat is over. Crossing the clock domains costs no more than this rounding.
///
/// Latencies in [`stats`](LineMemory::stats) are memory clocks.
pub struct TimedDram {
    controller: Controller,
    store: LineStore,
    /// Memory clocks in `component_mhz` component clocks.
    memory_mhz: u64,
    component_mhz: u64,
    /// Memory clocks passed, in units of 1 / `component_mhz`, less whole clocks.
    fraction: u64,
    replies: Box<[LineReply]>,
    free: Vec<u32>,
}

impl TimedDram {
    /// A channel of `config` over `store`, for a component clocked at `component_mhz` MHz.
    ///
    /// The store may be smaller than the rank, or larger: the line number is cut to the rank's
    /// address bits for timing only.
    ///
    /// # Errors
    /// If `config` cannot be built, or a clock is 0 MHz.
    pub fn new(
        config: &DramConfig,
        store: LineStore,
        component_mhz: u32,
    ) -> Result<Self, ConfigError> {
        if component_mhz == 0 {
            return Err(ConfigError::ZeroClock("component"));
        }
        let empty = LineReply { tag: 0, data: [0; LINE_BYTES], poison: false };
        Ok(Self {
            controller: Controller::new(config)?,
            store,
            memory_mhz: u64::from(config.timing.clock_mhz),
            component_mhz: u64::from(component_mhz),
            fraction: 0,
            replies: vec![empty; SLOTS].into_boxed_slice(),
            free: (0..SLOTS as u32).rev().collect(),
        })
    }

    /// The controller, to look at its clock, or to log its commands.
    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.controller
    }
}

impl LineMemory for TimedDram {
    #[inline]
    fn can_accept(&self, write: bool) -> bool {
        !self.free.is_empty() && self.controller.can_accept(write)
    }

    #[inline]
    fn push(&mut self, command: LineCommand) {
        let Some(id) = self.free.pop() else {
            panic!("a command was pushed while the memory accepted none");
        };
        if command.line >= self.store.lines() {
            self.controller.stats_mut().out_of_range += 1;
        }
        self.replies[id as usize] = command.perform(&mut self.store);
        self.controller.push(Request {
            id,
            write: command.write,
            line: command.line,
            mask: command.mask,
        });
    }

    #[inline]
    fn tick(&mut self) {
        let mut clock = self.controller.clock();
        self.fraction += self.memory_mhz;
        while self.fraction >= self.component_mhz {
            self.fraction -= self.component_mhz;
            clock += 1;
        }
        self.controller.advance_to(clock);
    }

    #[inline]
    fn pop_reply(&mut self) -> Option<LineReply> {
        let done = self.controller.pop_done()?;
        self.free.push(done.id);
        Some(self.replies[done.id as usize].clone())
    }

    fn is_idle(&self) -> bool {
        self.controller.pending() == 0
    }

    fn store(&self) -> &LineStore {
        &self.store
    }

    fn store_mut(&mut self) -> &mut LineStore {
        &mut self.store
    }

    fn stats(&self) -> &DramStats {
        self.controller.stats()
    }

    fn reset_stats(&mut self) {
        *self.controller.stats_mut() = DramStats::default();
    }
}
