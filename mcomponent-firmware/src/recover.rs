//! Starting again on a component in use.
//!
//! Everything that the monitor knows is either in the page table or in the [`Journal`]; its own
//! tables are made anew from both, so that whatever a monitor that went wrong has done to them is
//! forgotten. Requests go on all the while. What the steps rely on:
//!
//! 1. The journal says which ranges may have entries (each was logged before its first entry was
//!    made, and until its last one was gone), and the table engine says of each page whether it has
//!    one, and which frame.
//! 2. Frames in the hardware's queue and free lists are in no table and belong to nobody. The lists
//!    are first in, first out: taking a frame out and pushing it again until as many were pushed as
//!    are pending means that all that wait now are known. A first write that takes one meanwhile
//!    takes either one of the old frames, whose entry is then seen below, or a known one.
//! 3. A shootdown of everything ends when no first write that began before it is still to write its
//!    entry.
//! 4. What is in no entry and not known to wait is free.
//!
//! A command that was cut short is finished: an allocation that nobody was told of is taken back
//! first and then made anew, the others are repeated, which changes nothing that was done already.

use crate::allocator::{Allocator, MonitorConfig};
use crate::error::Error;
use crate::hal::{Registers, Wait, Waiting};
use crate::journal::{Entry, Journal};
use crate::layout::MonitorTables;
use crate::space::without_first;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::Range;
use splitmem_abi::regs::field::{
    CONTROL, IRQ_STATUS, MB_DOORBELL, SD_STATUS, TABLE_SIZE, TE_RESULT, TE_STATUS, ZERO_STATUS,
};
use splitmem_abi::regs::{self, ShootdownCommand};

/// How far the command in the mailbox came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Last {
    /// It was not begun.
    Nothing,
    /// It was begun, with ranges logged from this entry on, and these words in its payload.
    Begun(usize, [u32; 2]),
    /// Its reply was written.
    Replied,
}

impl<'a, B: RegisterBus, W: Wait> Allocator<'a, B, W> {
    /// Whether the component was taken into use by a monitor and not reset since: then
    /// [`Self::recover`] is the way to start, else [`Self::boot`].
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn in_use(bus: &mut B) -> Result<bool, Error> {
        Ok(CONTROL::ENABLE.get(bus.read(regs::CONTROL.offset)?) == 1)
    }

    /// Takes over a component that another monitor, gone by now, was in charge of. The configuration
    /// must be the same, and [`MonitorTables::journal`] hold what that one left.
    ///
    /// # Errors
    /// Those of [`Self::boot`], and [`Error::NoJournal`] if the journal is not there or says what
    /// cannot be; the component must then be reset.
    pub fn recover(
        bus: B,
        wait: W,
        tables: MonitorTables<'a>,
        config: &MonitorConfig,
    ) -> Result<Self, Error> {
        let mut regs = Registers { bus, wait, patience: config.patience };
        let found = regs.field(&regs::TABLE_SIZE, TABLE_SIZE::LOG2)?;
        let mut allocator = Self::prepare(regs, tables, config, Journal::open)?;
        if found != allocator.layout.log2_buckets() {
            return Err(Error::NoJournal);
        }
        // As this monitor's own tables have it; the refill sets them.
        allocator.regs.write(&regs::FREE_4K_LOW, 0)?;
        allocator.regs.write(&regs::FREE_2M_LOW, 0)?;
        allocator.regs.write(&regs::IRQ_MASK, crate::allocator::IRQ_MASK)?;
        allocator.settle_engines()?;
        let last = allocator.replay()?;
        for size in [PageSize::Small, PageSize::Huge] {
            allocator.rotate(size)?;
        }
        allocator.run_shootdown(0, ShootdownCommand::All)?;
        allocator.take_stock()?;
        allocator.refill()?;
        allocator.finish_command(last)?;
        if !allocator.resuming {
            allocator.journal.forget_command();
        }
        allocator.journal.compact(allocator.space.records.all());
        allocator.counts.restarts = 1;
        Ok(allocator)
    }

    /// Lets the table engine and a shootdown that the old monitor began come to their end. What the
    /// engine reports is taken and dropped: it waits while nobody takes it.
    fn settle_engines(&mut self) -> Result<(), Error> {
        let mut looks = 0;
        loop {
            let busy = self.regs.field(&regs::TE_STATUS, TE_STATUS::BUSY)? == 1;
            let result = self.regs.read(&regs::TE_RESULT)?;
            if TE_RESULT::VALID.get(result) == 0 && !busy {
                break;
            }
            looks += 1;
            if looks > self.regs.patience {
                return Err(Error::Stuck(Waiting::TableEngine));
            }
            self.regs.wait.wait(Waiting::Result);
        }
        self.regs.until(Waiting::Shootdown, &regs::SD_STATUS, SD_STATUS::BUSY, 0)
    }

    /// Makes the records from the journal.
    fn replay(&mut self) -> Result<Last, Error> {
        let mut last = Last::Nothing;
        for i in 0..self.journal.len() {
            let Some(entry) = self.journal.get(i) else { return Err(Error::NoJournal) };
            self.regs.wait.wait(Waiting::Itself);
            match entry {
                Entry::Alloc(range, attributes) => {
                    let record = self.space.records.insert(range, attributes);
                    if record.is_err() || !self.space.reserve(range) {
                        return Err(Error::NoJournal);
                    }
                }
                Entry::Gone(range) => {
                    if !self.space.records.cover(range) || self.space.forget(range).is_err() {
                        return Err(Error::NoJournal);
                    }
                }
                Entry::Permission(range, permission) => {
                    let records = &mut self.space.records;
                    if !records.cover(range) || records.set_permission(range, permission).is_err() {
                        return Err(Error::NoJournal);
                    }
                }
                Entry::Begun(words) => last = Last::Begun(i + 1, words),
                Entry::Freeing => {}
                Entry::Replied => last = Last::Replied,
            }
        }
        Ok(last)
    }

    /// Has every frame that waits in the hardware go through our hands once.
    fn rotate(&mut self, size: PageSize) -> Result<(), Error> {
        let (mut pushed, mut looks) = (0, 0);
        while pushed < self.pending(size)? {
            if self.regs.field(&regs::ZERO_STATUS, ZERO_STATUS::ROOM)? > 0 {
                if let Some(frame) = self.pop(size)? {
                    // The component's word: a frame that is none of ours is given up.
                    if self.supply.claim(size, frame) {
                        self.push(size, frame, 1)?;
                        pushed += 1;
                    } else {
                        self.anomaly();
                    }
                    looks = 0;
                    continue;
                }
            }
            looks += 1;
            if looks > self.regs.patience {
                return Err(Error::Stuck(Waiting::Frame));
            }
            self.regs.wait.wait(Waiting::Frame);
        }
        Ok(())
    }

    /// Asks for every page of every record, and counts. Pages without an entry are forgotten.
    fn take_stock(&mut self) -> Result<(), Error> {
        let mut at = 0;
        while let Some(record) = self.space.records.touching(at, u64::MAX).first().copied() {
            at = record.end();
            let range = record.range();
            let size = PageSize::of(range.va);
            // Pages without an entry, a run of them.
            let mut missing = Range { pages: 0, ..range };
            for i in 0..range.pages {
                let page = Range { pages: 1, ..without_first(range, i) };
                let entry = self.entry_of(page)?;
                if entry.is_some() && missing.pages > 0 {
                    self.forget(missing);
                    missing.pages = 0;
                }
                match entry {
                    Some(entry) if TE_RESULT::PRESENT.get(entry) == 1 => {
                        let frame = TE_RESULT::FRAME.get(entry);
                        self.supply.claim(size, frame);
                        if TE_RESULT::SHARED.get(entry) == 0 {
                            self.supply.lane_mut(size).reserved += 1;
                        } else {
                            let known = self.shares.len();
                            if self.shares.add(frame).is_err() {
                                return Err(Error::NoJournal);
                            }
                            let new = (self.shares.len() > known) as u32;
                            let lane = self.supply.lane_mut(size);
                            lane.shared += new;
                            lane.reserved += new;
                        }
                    }
                    Some(_) => self.supply.lane_mut(size).reserved += 1,
                    None => {
                        self.bury(page)?;
                        if missing.pages == 0 {
                            missing = page;
                        } else {
                            missing.pages += 1;
                        }
                    }
                }
            }
            self.forget(missing);
        }
        Ok(())
    }

    /// The entry of a page.
    fn entry_of(&mut self, page: Range) -> Result<Option<u32>, Error> {
        let done = self.ask(page)?;
        let result = self.regs.read(&regs::TE_RESULT)?;
        Ok((done.error.is_none() && TE_RESULT::VALID.get(result) == 1).then_some(result))
    }

    /// Clears the entry of a page that was being freed, if it has one. Its frame is free.
    fn bury(&mut self, page: Range) -> Result<(), Error> {
        self.start_collect(page)?;
        self.settle_engines()
    }

    /// Does what is left of the command in the mailbox.
    fn finish_command(&mut self, last: Last) -> Result<(), Error> {
        let owned = self.regs.field(&regs::MB_DOORBELL, MB_DOORBELL::BUSY)? == 1;
        match last {
            Last::Nothing => {}
            Last::Begun(first, words) => {
                if owned {
                    // Half a reply may stand over it.
                    for (i, word) in (0..).zip(words) {
                        self.regs.bus.write(regs::MB_PAYLOAD.at(i), word)?;
                    }
                }
                // Nobody was told of what was allocated since.
                for i in first..self.journal.len() {
                    match self.journal.get(i) {
                        Some(Entry::Alloc(range, _)) => {
                            self.tear_down_parts(range)?;
                        }
                        Some(Entry::Freeing) => self.resuming = owned,
                        _ => {}
                    }
                }
            }
            Last::Replied => {
                // Only the bell is missing, unless the host has rung for another one since.
                let rung = self.regs.field(&regs::IRQ_STATUS, IRQ_STATUS::DOORBELL)? == 1;
                if owned && !rung {
                    self.regs.write(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.put(1))?;
                }
            }
        }
        Ok(())
    }
}
