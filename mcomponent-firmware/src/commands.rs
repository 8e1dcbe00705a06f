//! What the commands do.
//!
//! A command that is refused has changed nothing. One that the hardware stops (a poisoned bucket) is
//! undone as far as it made mappings, and carried on past the page as far as it frees them; both are
//! answered `Internal`.

use crate::engine::{Entry, CHUNK};
use crate::error::{Error, Failure};
use crate::hal::Wait;
use crate::journal::Entry as Logged;
use crate::pool::Extent;
use crate::records::{position, Attributes};
use crate::space::{split, without_first};
use crate::Allocator;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, KEY_BITS};
use splitmem_abi::mailbox::{Address, Command, Info, Payload, Permission, Range, ReturnCode};
use splitmem_abi::regs::TableError;

/// Where the frames of new mappings come from.
#[derive(Clone, Copy)]
enum Frames {
    /// Each page gets one at its first write.
    FirstWrite,
    /// Cleared ones, now.
    Cleared,
    /// Those of another process's mapping.
    Of(Range),
}

impl<B: RegisterBus, W: Wait> Allocator<'_, B, W> {
    /// Does what a command asks for, and writes the reply's payload; gives its bytes.
    pub(crate) fn carry_out(
        &mut self,
        command: Command,
        payload: &mut Payload,
    ) -> Result<u16, Failure> {
        match command {
            Command::Info => return Ok(self.info().encode(payload)),
            Command::Alloc { pid, pages, size, permission, shareable } => {
                let attributes = Attributes { permission, shareable };
                return Ok(self.alloc(pid, pages, size, attributes)?.encode(payload));
            }
            Command::Share { source, pid, permission } => {
                return Ok(self.share(source, pid, permission)?.encode(payload));
            }
            Command::Free(range) => self.free(range)?,
            Command::Protect(range, permission) => self.change(range, permission)?,
            Command::Drop { pid } => self.drop_process(pid)?,
            Command::Health | Command::Events | Command::PostMortem => {
                return Err(ReturnCode::UnknownCommand.into());
            }
        }
        Ok(0)
    }

    fn alloc(
        &mut self,
        pid: u16,
        pages: u32,
        size: PageSize,
        attributes: Attributes,
    ) -> Result<Address, Failure> {
        let frames = if attributes.shareable { Frames::Cleared } else { Frames::FirstWrite };
        self.map_new(pid, pages, size, attributes, frames)
    }

    fn share(
        &mut self,
        source: Range,
        pid: u16,
        permission: Permission,
    ) -> Result<Address, Failure> {
        if pid == source.pid {
            return Err(ReturnCode::BadArgument.into());
        }
        self.check_allocated(source)?;
        if !self.space.records.parts(source).all(|part| part.attributes().shareable) {
            return Err(ReturnCode::NotShareable.into());
        }
        let attributes = Attributes { permission, shareable: true };
        let size = PageSize::of(source.va);
        self.map_new(pid, source.pages, size, attributes, Frames::Of(source))
    }

    /// Maps new pages, at addresses of its choice.
    fn map_new(
        &mut self,
        pid: u16,
        pages: u32,
        size: PageSize,
        attributes: Attributes,
        frames: Frames,
    ) -> Result<Address, Failure> {
        loop {
            let needs_memory = !matches!(frames, Frames::Of(_));
            if needs_memory {
                self.admit(size, pages)?;
            }
            let range = self.place(pid, size, pages, attributes, frames)?;
            if needs_memory {
                self.promise(size, pages)?;
            }
            let (mapped, stop) = match frames {
                Frames::FirstWrite => self.map_empty(range, attributes)?,
                _ => self.map_frames(range, attributes, frames)?,
            };
            let Some(stop) = stop else {
                self.told_soon(range);
                return Ok(Address(range.va));
            };
            self.undo(range, mapped, frames)?;
            match stop {
                // The bucket is of no use. There are finitely many, so this ends.
                Stop::Bucket(va) => self.space.retire(pid, va),
                Stop::Refused(code) => return Err(code.into()),
            }
        }
    }

    /// Takes addresses and a record for new pages.
    fn place(
        &mut self,
        pid: u16,
        size: PageSize,
        pages: u32,
        attributes: Attributes,
        frames: Frames,
    ) -> Result<Range, ReturnCode> {
        let new_shares = if matches!(frames, Frames::Cleared) { pages as usize } else { 0 };
        if self.space.records.room() == 0 || self.shares.room() < new_shares {
            return Err(ReturnCode::TablesFull);
        }
        let Some(range) = self.space.place(pid, size, pages) else {
            self.counts.no_address = self.counts.no_address.saturating_add(1);
            return Err(ReturnCode::NoAddress);
        };
        if self.space.records.insert(range, attributes).is_err() {
            self.space.vacate(range);
            return Err(ReturnCode::TablesFull);
        }
        self.log(Logged::Alloc(range, attributes));
        Ok(range)
    }

    /// Makes entries without frames. Gives how many, and why not all.
    fn map_empty(
        &mut self,
        range: Range,
        attributes: Attributes,
    ) -> Result<(u32, Option<Stop>), Error> {
        let entry = Entry { permission: attributes.permission, frame: None };
        let mut mapped = 0;
        for part in split(range, CHUNK) {
            let done = self.insert(part, entry)?;
            mapped += done.pages;
            if let Some(error) = done.error {
                return Ok((mapped, Some(Stop::new(error, without_first(range, mapped)))));
            }
            self.refill()?;
        }
        Ok((mapped, None))
    }

    /// Makes entries with frames, for as many pages at once as there are consecutive frames.
    fn map_frames(
        &mut self,
        range: Range,
        attributes: Attributes,
        frames: Frames,
    ) -> Result<(u32, Option<Stop>), Error> {
        let size = PageSize::of(range.va);
        let step = size.frames();
        let mut mapped = 0;
        let mut next = None;
        while mapped < range.pages {
            let rest = without_first(range, mapped);
            // The longest run of frames, and the frame that ended it.
            let mut run = Extent { first: 0, count: 0 };
            let mut stop = None;
            while run.count < rest.pages.min(CHUNK) {
                let frame = match next.take() {
                    Some(frame) => frame,
                    None => match self.next_frame(size, frames, mapped + run.count) {
                        Ok(frame) => frame,
                        Err(Failure::Refused(code)) => {
                            stop = Some(Stop::Refused(code));
                            break;
                        }
                        Err(Failure::Broken(error)) => return Err(error),
                    },
                };
                if run.count == 0 {
                    run.first = frame;
                } else if frame != run.first + run.count * step {
                    next = Some(frame);
                    break;
                }
                run.count += 1;
            }
            let mut used = 0;
            for part in split(Range { pages: run.count, ..rest }, CHUNK) {
                let frame = Some(run.first + used * step);
                let done = self.insert(part, Entry { permission: attributes.permission, frame })?;
                used += done.pages;
                if let Some(error) = done.error {
                    stop = Some(Stop::new(error, without_first(rest, used)));
                    break;
                }
            }
            for i in 0..run.count {
                let frame = run.first + i * step;
                if i < used {
                    self.count_mapping(size, frame, frames);
                } else {
                    self.put_unused(size, frame, frames);
                }
            }
            mapped += used;
            if stop.is_some() {
                if let Some(frame) = next {
                    self.put_unused(size, frame, frames);
                }
                return Ok((mapped, stop));
            }
            self.refill()?;
        }
        Ok((mapped, None))
    }

    /// The frame of page `i` of a new range.
    fn next_frame(&mut self, size: PageSize, frames: Frames, i: u32) -> Result<u32, Failure> {
        match frames {
            Frames::Of(source) => self.query(source.pid, without_first(source, i).va),
            Frames::Cleared | Frames::FirstWrite => self.take_cleared(size),
        }
    }

    fn count_mapping(&mut self, size: PageSize, frame: u32, frames: Frames) {
        let known = self.shares.len();
        if self.shares.add(frame).is_err() {
            self.anomaly();
        }
        let new = self.shares.len() > known;
        self.supply.lane_mut(size).shared += new as u32;
        if new == matches!(frames, Frames::Of(_)) {
            self.anomaly();
        }
    }

    fn put_unused(&mut self, size: PageSize, frame: u32, frames: Frames) {
        if matches!(frames, Frames::Cleared) {
            self.take_back(size, frame);
        }
    }

    /// Takes a new range back whose first `mapped` pages have entries.
    fn undo(&mut self, range: Range, mapped: u32, frames: Frames) -> Result<(), Error> {
        let rest = without_first(range, mapped);
        match frames {
            Frames::FirstWrite => self.unpromise_private(rest),
            Frames::Cleared => self.unpromise(PageSize::of(range.va), rest.pages),
            Frames::Of(_) => {}
        }
        self.forget(rest);
        self.tear_down(Range { pages: mapped, ..range })?;
        Ok(())
    }

    fn free(&mut self, range: Range) -> Result<(), Failure> {
        if self.resuming {
            // Begun before a restart: what is left of it.
            return match self.tear_down_parts(range)? {
                0 => Ok(()),
                _ => Err(ReturnCode::Internal.into()),
            };
        }
        self.check_allocated(range)?;
        // What is left of one record on both sides takes two.
        let records = &self.space.records;
        if records.room() == 0 && records.cuts(range) == 2 && records.parts(range).count() == 1 {
            return Err(ReturnCode::TablesFull.into());
        }
        self.log(Logged::Freeing);
        match self.tear_down(range)? {
            0 => Ok(()),
            _ => Err(ReturnCode::Internal.into()),
        }
    }

    /// Frees what of a range is allocated. Gives how many pages could not be.
    pub(crate) fn tear_down_parts(&mut self, range: Range) -> Result<u32, Error> {
        let mut failed = 0;
        let mut rest = range;
        while rest.pages > 0 {
            let part = self.space.records.parts(rest).next().map(|part| part.range());
            let Some(part) = part else { break };
            failed += self.tear_down(part)?;
            let size = PageSize::of(range.va);
            rest = without_first(rest, ((part.va - rest.va) >> size.shift()) as u32 + part.pages);
        }
        Ok(failed)
    }

    /// Frees a range. Gives how many pages could not be.
    pub(crate) fn tear_down(&mut self, range: Range) -> Result<u32, Error> {
        if range.pages == 0 {
            self.refill()?;
            return Ok(0);
        }
        self.unmap(range)?;
        self.shoot_down(range)?;
        self.collect(range)
    }

    fn drop_process(&mut self, pid: u16) -> Result<(), Failure> {
        let start = position(pid, 0);
        let end = start + (1 << KEY_BITS);
        let mut at = start;
        while let Some(record) = self.space.records.touching(at, end).first().copied() {
            self.unmap(record.range())?;
            at = record.end();
        }
        if at > start {
            self.shoot_down_process(pid)?;
        }
        at = start;
        let mut failed = 0;
        while let Some(record) = self.space.records.touching(at, end).first().copied() {
            failed += self.collect(record.range())?;
            at = record.end();
        }
        match failed {
            0 => Ok(()),
            _ => Err(ReturnCode::Internal.into()),
        }
    }

    fn change(&mut self, range: Range, permission: Permission) -> Result<(), Failure> {
        self.check_allocated(range)?;
        if self.space.records.room() < self.space.records.cuts(range) {
            return Err(ReturnCode::TablesFull.into());
        }
        let done = self.protect(range, permission)?;
        if done.error.is_none() {
            self.shoot_down(range)?;
            if self.space.records.set_permission(range, permission).is_err() {
                self.anomaly();
            }
            self.log(Logged::Permission(range, permission));
            return Ok(());
        }
        // Back to what the records say, which are not yet changed.
        let mut rest = Range { pages: done.pages, ..range };
        while rest.pages > 0 {
            let part = self.space.records.parts(rest).next();
            let Some(part) = part else { break };
            self.protect(part.range(), part.attributes().permission)?;
            rest = without_first(rest, part.range().pages);
        }
        self.shoot_down(range)?;
        Err(ReturnCode::Internal.into())
    }

    fn check_allocated(&self, range: Range) -> Result<(), ReturnCode> {
        if self.space.records.cover(range) {
            Ok(())
        } else {
            Err(ReturnCode::NotAllocated)
        }
    }

    /// Takes the promises of those pages of a recorded range back that are not shareable: these
    /// lose theirs with their frame's last mapping.
    pub(crate) fn unpromise_private(&mut self, range: Range) {
        let parts = self.space.records.parts(range);
        let private = parts.filter(|part| !part.attributes().shareable);
        let pages = private.map(|part| part.range().pages).sum();
        self.unpromise(PageSize::of(range.va), pages);
    }

    /// Forgets a recorded range whose entries are gone.
    pub(crate) fn forget(&mut self, range: Range) {
        if range.pages == 0 {
            return;
        }
        if self.space.forget(range).is_err() {
            self.anomaly();
        }
        self.log(Logged::Gone(range));
    }

    pub(crate) fn info(&self) -> Info {
        Info {
            monitor_version: crate::VERSION,
            frames_total: self.layout.frames(),
            frames_free: self.supply.pool.free().min(self.supply.unpromised()),
            buckets: self.space.occupancy.buckets(),
            mappings: self.space.occupancy.entries(),
            processes: self.space.records.processes(),
            pa_bits: self.hardware.pa_bits,
            capabilities: (Info::RECOVERS * !self.journal.is_absent() as u32)
                | (Info::MEMORY_TESTED * self.counts.memory_tested as u32)
                | (Info::PERMISSIONS * self.hardware.permissions as u32)
                | (Info::STATISTICS * self.hardware.statistics as u32),
        }
    }
}

/// Why not all pages were mapped.
#[derive(Clone, Copy)]
enum Stop {
    /// The bucket of the page at this address takes no entry.
    Bucket(u64),
    Refused(ReturnCode),
}

impl Stop {
    /// The table engine stopped at the first page of `rest`.
    fn new(error: TableError, rest: Range) -> Self {
        match error {
            // The command is ours, so this is not the bucket's fault.
            TableError::BadCommand => Self::Refused(ReturnCode::Internal),
            _ => Self::Bucket(rest.va),
        }
    }
}
