//! The table engine and the shootdown unit: every change of the page table goes through here.

use crate::error::{Error, Failure};
use crate::hal::{Wait, Waiting};
use crate::space::{split, without_first};
use crate::Allocator;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Permission, Range, ReturnCode};
use splitmem_abi::regs::field::{IRQ_STATUS, SD_STATUS, TE_FLAGS, TE_FRAME, TE_RESULT, TE_STATUS};
use splitmem_abi::regs::{self, ShootdownCommand, TableCommand, TableError};

/// Most pages of one command to the table engine. Between two commands the free lists are refilled,
/// so first writes of other processes do not wait for a long one.
pub(crate) const CHUNK: u32 = 64;

/// What the entries of an INSERT or PROTECT are to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub permission: Permission,
    /// The frames from this one on, shared; otherwise a first write gets one.
    pub frame: Option<u32>,
}

/// How far the table engine came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub pages: u32,
    /// Why it went no further.
    pub error: Option<TableError>,
}

impl<B: RegisterBus, W: Wait> Allocator<'_, B, W> {
    /// Starts a command on pages of one vRegion.
    pub(crate) fn start(&mut self, command: TableCommand, range: Range) -> Result<(), Error> {
        self.regs.write(&regs::TE_PID, range.pid as u32)?;
        self.regs.write_va(&regs::TE_VA_LO, &regs::TE_VA_HI, range.va)?;
        self.regs.write(&regs::TE_COUNT, range.pages)?;
        self.regs.write(&regs::TE_COMMAND, command as u32)
    }

    /// Waits for the command's end, and tells how far it came.
    fn finish(&mut self) -> Result<Done, Error> {
        let done = self.finish_quietly()?;
        match done.error {
            None => {}
            Some(TableError::Poison) => self.counts.uncorrectable = true,
            Some(_) => self.anomaly(),
        }
        Ok(done)
    }

    /// As [`Self::finish`], where an error may be an answer.
    pub(crate) fn finish_quietly(&mut self) -> Result<Done, Error> {
        self.regs.until_done(
            Waiting::TableEngine,
            &regs::TE_STATUS,
            TE_STATUS::BUSY,
            IRQ_STATUS::TE_DONE,
        )?;
        let error = self.regs.field(&regs::TE_STATUS, TE_STATUS::ERROR)?;
        let error = TableError::from_code(error);
        let pages = self.regs.read(&regs::TE_DONE)?;
        Ok(Done { pages, error })
    }

    /// Makes entries of pages of one vRegion.
    pub(crate) fn insert(&mut self, range: Range, entry: Entry) -> Result<Done, Error> {
        self.write_entry(entry)?;
        self.start(TableCommand::Insert, range)?;
        self.finish()
    }

    fn write_entry(&mut self, entry: Entry) -> Result<(), Error> {
        let shared = entry.frame.is_some() as u32;
        let flags = TE_FLAGS::READ.put(entry.permission.read as u32)
            | TE_FLAGS::WRITE.put(entry.permission.write as u32)
            | TE_FLAGS::SHARED.put(shared)
            | TE_FLAGS::PRESENT.put(shared);
        if let Some(frame) = entry.frame {
            self.regs.write(&regs::TE_FRAME, TE_FRAME::FRAME.put(frame))?;
        }
        self.regs.write(&regs::TE_FLAGS, flags)
    }

    /// Changes the permission of a range. Stops where the table engine does.
    pub(crate) fn protect(&mut self, range: Range, permission: Permission) -> Result<Done, Error> {
        self.write_entry(Entry { permission, frame: None })?;
        let mut pages = 0;
        for part in split(range, CHUNK) {
            self.start(TableCommand::Protect, part)?;
            let done = self.finish()?;
            pages += done.pages;
            if done.error.is_some() {
                return Ok(Done { pages, ..done });
            }
            self.refill()?;
        }
        Ok(Done { pages, error: None })
    }

    /// Marks the entries of a range dying. Gives how many pages could not be.
    pub(crate) fn unmap(&mut self, range: Range) -> Result<u32, Error> {
        let mut failed = 0;
        for part in split(range, CHUNK) {
            let mut rest = part;
            while rest.pages > 0 {
                self.start(TableCommand::Unmap, rest)?;
                let done = self.finish()?.pages.min(rest.pages);
                rest = without_first(rest, done);
                if rest.pages > 0 {
                    // This page's entry cannot be read, or is not there. The others are freed.
                    failed += 1;
                    rest = without_first(rest, 1);
                }
            }
            self.refill()?;
        }
        Ok(failed)
    }

    /// Clears the dying entries of a range, takes their frames back and forgets the pages. Gives how
    /// many pages had none: they stay allocated.
    pub(crate) fn collect(&mut self, range: Range) -> Result<u32, Error> {
        let mut failed = 0;
        // Collected, and not yet forgotten: that is done in one go, so that it takes no records.
        let mut gone = Range { pages: 0, ..range };
        for part in split(range, CHUNK) {
            let mut rest = part;
            while rest.pages > 0 {
                self.start(TableCommand::Collect, rest)?;
                self.drain(PageSize::of(rest.va))?;
                let done = self.finish()?.pages.min(rest.pages);
                self.unpromise_private(Range { pages: done, ..rest });
                gone.pages += done;
                rest = without_first(rest, done);
                if rest.pages > 0 {
                    failed += 1;
                    self.forget(gone);
                    rest = without_first(rest, 1);
                    gone = Range { pages: 0, ..rest };
                }
            }
            self.refill()?;
        }
        self.forget(gone);
        Ok(failed)
    }

    /// Takes the frames that COLLECT reports until it is over.
    fn drain(&mut self, size: PageSize) -> Result<(), Error> {
        let mut looks = 0;
        while looks < self.regs.patience {
            // Asked first: what is reported before it is over is taken below.
            let busy = self.regs.field(&regs::TE_STATUS, TE_STATUS::BUSY)? == 1;
            looks += 1;
            loop {
                let result = self.regs.read(&regs::TE_RESULT)?;
                if TE_RESULT::VALID.get(result) == 0 {
                    break;
                }
                looks = 0;
                self.collected(size, result);
            }
            if !busy {
                return Ok(());
            }
            self.regs.wait.wait(Waiting::Result);
        }
        Err(Error::Stuck(Waiting::Result))
    }

    /// A page's frame came back.
    fn collected(&mut self, size: PageSize, result: u32) {
        let frame = TE_RESULT::FRAME.get(result);
        if TE_RESULT::PRESENT.get(result) == 0 {
            return;
        }
        if TE_RESULT::SHARED.get(result) == 0 {
            self.take_back(size, frame);
            return;
        }
        match self.shares.remove(frame) {
            Ok(0) => {
                self.supply.lane_mut(size).shared -= 1;
                self.unpromise(size, 1);
                self.take_back(size, frame);
            }
            Ok(_) => {}
            Err(_) => self.anomaly(),
        }
    }

    /// Has the entry of a page reported.
    pub(crate) fn ask(&mut self, page: Range) -> Result<Done, Error> {
        self.start(TableCommand::Query, page)?;
        self.finish_quietly()
    }

    /// Starts to clear a page's dying entry.
    pub(crate) fn start_collect(&mut self, page: Range) -> Result<(), Error> {
        self.start(TableCommand::Collect, page)
    }

    /// The frame of a shareable page.
    pub(crate) fn query(&mut self, pid: u16, va: u64) -> Result<u32, Failure> {
        let done = self.ask(Range { pid, va, pages: 1 })?;
        let result = self.regs.read(&regs::TE_RESULT)?;
        let shared = TE_RESULT::PRESENT.mask() | TE_RESULT::SHARED.mask();
        if done.error.is_some() || TE_RESULT::VALID.get(result) == 0 || result & shared != shared {
            return Err(ReturnCode::Internal.into());
        }
        Ok(TE_RESULT::FRAME.get(result))
    }

    /// Ends all use of a range's old translations: page by page, or of the whole process where that
    /// is less work (the one takes a lookup per page, the other one per set of the TLB).
    pub(crate) fn shoot_down(&mut self, range: Range) -> Result<(), Error> {
        if range.pages > self.hardware.tlb_sets {
            return self.shoot_down_process(range.pid);
        }
        self.regs.write_va(&regs::SD_VA_LO, &regs::SD_VA_HI, range.va)?;
        self.regs.write(&regs::SD_COUNT, range.pages)?;
        self.run_shootdown(range.pid, ShootdownCommand::Pages)
    }

    /// Ends all use of a process's old translations.
    pub(crate) fn shoot_down_process(&mut self, pid: u16) -> Result<(), Error> {
        self.run_shootdown(pid, ShootdownCommand::Pid)
    }

    pub(crate) fn run_shootdown(
        &mut self,
        pid: u16,
        command: ShootdownCommand,
    ) -> Result<(), Error> {
        self.regs.write(&regs::SD_PID, pid as u32)?;
        self.regs.write(&regs::SD_COMMAND, command as u32)?;
        self.regs.until_done(
            Waiting::Shootdown,
            &regs::SD_STATUS,
            SD_STATUS::BUSY,
            IRQ_STATUS::SD_DONE,
        )?;
        let cycles = self.regs.read(&regs::SD_CYCLES)?;
        let counts = &mut self.counts;
        counts.shootdowns = counts.shootdowns.saturating_add(1);
        counts.shootdown_cycles_max = counts.shootdown_cycles_max.max(cycles);
        Ok(())
    }
}
