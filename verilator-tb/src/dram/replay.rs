//! Drives a controller alone, in memory clocks, from a list of accesses.

use super::config::{ConfigError, DramConfig};
use super::controller::{Controller, Request};
use super::stats::DramStats;
use thiserror::Error;

/// One access of a trace: a whole line read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Write if true, read if false.
    pub write: bool,
    /// Line number: byte address / 64.
    pub line: u64,
}

/// How fast the accesses of a trace are offered. Either way they are offered in order, and at
/// most one a memory clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Closed loop: an access is offered when fewer than this many are unanswered. A read is
    /// answered by its last data beat, a write one clock after its acceptance.
    Outstanding(usize),
    /// As fast as the queues take them.
    Saturate,
}

/// Why a replay stopped.
#[derive(Debug, Error)]
pub enum ReplayError<E> {
    /// The channel cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The source of accesses failed.
    #[error("{0}")]
    Trace(E),
}

/// What a replay measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayReport {
    /// Memory clocks from the first access to the end of the last data beat.
    pub clocks: u64,
    /// Accesses whose address lay beyond the rank, and wrapped.
    pub wrapped: u64,
    /// The controller's counts.
    pub stats: DramStats,
}

impl ReplayReport {
    /// 64 bytes for each access, over the clocks of the replay, in GB/s (1e9 bytes).
    pub fn gb_per_second(&self, config: &DramConfig) -> f64 {
        match config.timing.nanoseconds(self.clocks as f64) {
            0.0 => 0.0,
            nanoseconds => self.stats.bytes() as f64 / nanoseconds,
        }
    }
}

/// Replays `accesses` on a channel of `config` and waits until the last write is in the device.
/// `progress` is told the number of accesses accepted so far, now and then.
///
/// # Errors
/// If the channel cannot be built, or the first failure of `accesses`.
pub fn replay<E>(
    config: &DramConfig,
    load: Load,
    accesses: impl IntoIterator<Item = Result<Access, E>>,
    mut progress: impl FnMut(u64),
) -> Result<ReplayReport, ReplayError<E>> {
    const PROGRESS_STEP: u64 = 1 << 16;
    let mut controller = Controller::new(config)?;
    let limit = match load {
        Load::Outstanding(limit) => limit.max(1),
        Load::Saturate => usize::MAX,
    };
    let mut accesses = accesses.into_iter();
    let mut next = accesses.next().transpose().map_err(ReplayError::Trace)?;
    let (mut accepted, mut answered, mut wrapped) = (0u64, 0u64, 0u64);
    loop {
        while controller.pop_done().is_some() {
            answered += 1;
        }
        let room = |controller: &Controller, accepted: u64, access: Access| {
            controller.can_accept(access.write) && ((accepted - answered) as usize) < limit
        };
        if let Some(access) = next {
            if room(&controller, accepted, access) {
                controller.push(Request {
                    id: 0,
                    write: access.write,
                    line: access.line,
                    mask: !0,
                });
                wrapped += u64::from(access.line >= config.geometry.lines());
                accepted += 1;
                if accepted % PROGRESS_STEP == 0 {
                    progress(accepted);
                }
                next = accesses.next().transpose().map_err(ReplayError::Trace)?;
            }
        }
        let clock = match next {
            None if controller.pending() == 0 => break,
            Some(access) if room(&controller, accepted, access) => controller.clock() + 1,
            _ => controller.next_event(),
        };
        controller.advance_to(clock);
    }
    let end = controller.data_end().max(controller.clock());
    controller.advance_to(end);
    Ok(ReplayReport { clocks: end, wrapped, stats: controller.stats().clone() })
}
