//! A progress bar on the standard error for work that takes longer than two seconds. Shorter work,
//! and a standard error that is no terminal, see nothing.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);
/// The clock is looked at once in this many updates.
const STRIDE: u32 = 64;

/// How far some work is.
pub struct Progress {
    bar: ProgressBar,
    shown: bool,
    start: Instant,
    updates: u32,
}

impl Progress {
    /// Starts the clock. `what` names the work, for instance `simulating`.
    pub fn new(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(what);
        Self { bar, shown: false, start: Instant::now(), updates: 0 }
    }

    /// `done` of `total` units are done; a `total` of zero is one that nobody knows.
    pub fn update(&mut self, done: u64, total: u64) {
        self.updates = self.updates.wrapping_add(1);
        if self.updates % STRIDE != 1 {
            return;
        }
        if !self.shown {
            if self.start.elapsed() < PATIENCE {
                return;
            }
            self.show(total > 0);
        }
        if total > 0 {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn show(&mut self, bounded: bool) {
        let template = if bounded {
            "{msg} {wide_bar} {percent}% {elapsed} (left {eta})"
        } else {
            "{msg} {spinner} {human_pos} {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.shown = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
