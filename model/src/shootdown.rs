//! Shootdowns: the end of replaced translations.

use crate::replaced::{Coverage, Mark};
use crate::Model;
use splitmem_abi::geometry::{page_key, PageSize, PAGE_SHIFT};
use splitmem_abi::regs;
use splitmem_abi::regs::field::{IRQ_STATUS, SD_COMMAND, SD_STATUS};

/// The shootdown unit's state.
#[derive(Debug, Default)]
pub(crate) struct Shootdown {
    /// The one under way, and the last table write before it.
    under_way: Option<(Coverage, Mark)>,
    /// Wait for [`Model::complete_shootdown`].
    hold: bool,
}

impl Shootdown {
    /// `SD_STATUS`.
    pub fn status(&self) -> u32 {
        SD_STATUS::BUSY.put(self.under_way.is_some() as u32)
    }
}

impl Model {
    /// From now on a shootdown is complete only at [`Model::complete_shootdown`], and what the
    /// table engine replaces stays usable until then (see [`Choice::Replaced`]).
    ///
    /// [`Choice::Replaced`]: crate::Choice::Replaced
    pub fn hold_shootdowns(&mut self) {
        self.shootdown.hold = true;
        self.replaced.keep = true;
    }

    /// Completes the shootdown that is under way; gives whether there was one.
    pub fn complete_shootdown(&mut self) -> bool {
        let Some((coverage, until)) = self.shootdown.under_way.take() else { return false };
        self.replaced.shoot_down(&coverage, until);
        self.statistics.shootdowns += 1;
        self.raise(IRQ_STATUS::SD_DONE);
        true
    }

    /// How many replaced translations of the page of `va` a request may still use.
    pub fn replaced(&self, pid: u16, va: u64) -> usize {
        self.replaced.count(pid, va)
    }

    /// The point after the last table write so far.
    pub fn mark(&self) -> Mark {
        self.replaced.mark()
    }

    /// Ends all "was not mapped" that an INSERT up to `until` replaced. An INSERT needs no
    /// shootdown, because no TLB holds that a page is not mapped: once the requests that were in
    /// flight at its end are answered, none can miss the new entry.
    pub fn settle_inserts(&mut self, until: Mark) {
        self.replaced.settle_inserts(until);
    }

    /// `SD_COMMAND`. Unknown codes do nothing.
    pub(crate) fn start_shootdown(&mut self, value: u32) {
        if self.shootdown.under_way.is_some() {
            return;
        }
        let pid = self.file.get(&regs::SD_PID) as u16;
        let va =
            self.file.get(&regs::SD_VA_LO) as u64 | (self.file.get(&regs::SD_VA_HI) as u64) << 32;
        let coverage = match SD_COMMAND::CODE.get(value) {
            1 => Coverage::Pages {
                pid,
                first: page_key(va),
                step: PageSize::of(va).bytes() >> PAGE_SHIFT,
                count: self.file.get(&regs::SD_COUNT),
            },
            2 => Coverage::Pid(pid),
            3 => Coverage::All,
            _ => return,
        };
        self.shootdown.under_way = Some((coverage, self.replaced.mark()));
        if !self.shootdown.hold {
            self.complete_shootdown();
        }
    }
}
