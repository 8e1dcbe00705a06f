//! The comparison of everything at the end of a case.

use super::checker::by_size;
use super::mode::WEATHER;
use super::world::State;
use super::{Lockstep, Wrong};
use crate::bus::Side;
use crate::dram::{LineMemory, LineStore};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::pte::{decode_bucket, Pte};
use splitmem_abi::regs::field::{EVENT_STATUS, FREE_4K_POP, STATUS};
use splitmem_abi::regs::{self, Counter, Register};
use splitmem_abi::request::Status;
use std::collections::HashSet;

impl Lockstep {
    /// Nothing is in flight: compares page table, contents, frames, events and counters.
    pub(super) fn compare_all(&mut self) -> Result<(), Wrong> {
        // What is queued for zeroing may be much: let it go fast.
        let (stalls, latency) = WEATHER[0];
        self.component.stall(0, stalls);
        self.component.memory_mut().set_latency(latency);
        self.wait_until_idle()?;
        let table = self.compare_tables()?;
        self.compare_contents(&table)?;
        self.compare_counters()?;
        self.compare_events()?;
        self.count_frames(&table)
    }

    fn read(&mut self, offset: u16) -> Result<u32, Wrong> {
        let value = self.component.bus(Side::Monitor).read(offset);
        value.map_err(|error| Wrong::new(error.to_string()))
    }

    fn wait_until_idle(&mut self) -> Result<(), Wrong> {
        let busy = STATUS::ZERO_BUSY.mask() | STATUS::TE_BUSY.mask() | STATUS::SD_BUSY.mask();
        // The zeroing engine stays busy while its list has no room: it is idle when it was seen to
        // leave the DRAM alone for a while.
        let mut calm = 0;
        for _ in 0..1_000_000 {
            let status = self.read(regs::STATUS.offset)?;
            let zeroing = status & STATUS::ZERO_BUSY.mask() != 0;
            calm = if zeroing && !self.component.dram_is_idle() { 0 } else { calm + 1 };
            let done = status & busy & !STATUS::ZERO_BUSY.mask() == 0 && (!zeroing || calm > 32);
            if STATUS::IDLE.get(status) == 1 && done {
                return Ok(());
            }
        }
        Err(Wrong::new("the component does not become idle"))
    }

    fn store(&self) -> &LineStore {
        self.component.memory().store()
    }

    /// Compares the page tables entry by entry, but for the frames. Gives the hardware's entries.
    fn compare_tables(&self) -> Result<Vec<Pte>, Wrong> {
        let mut entries = Vec::new();
        let first = u64::from(self.world.table_base) << (PAGE_SHIFT - LINE_SHIFT);
        for line in first..first + (1 << self.world.table_log2) {
            let hw = self.store().read_line(line);
            let mut model = [0; 64];
            self.model.read_physical(line << LINE_SHIFT, &mut model);
            let bare = |line: &[u8; 64]| {
                let mut entries = decode_bucket(line).map(|pte| Pte { frame: 0, ..pte }.encode());
                entries.sort_unstable();
                entries
            };
            let stray = |line: &[u8; 64]| {
                decode_bucket(line)
                    .iter()
                    .enumerate()
                    .any(|(slot, pte)| pte.encode().to_le_bytes() != line[slot * 16..][..16])
            };
            if bare(&hw) != bare(&model) || stray(&hw) {
                return Err(Wrong::new(format!(
                    "bucket line {line:#x} holds {:#x?}; the model's {:#x?}",
                    decode_bucket(&hw),
                    decode_bucket(&model)
                )));
            }
            entries.extend(decode_bucket(&hw).into_iter().filter(|pte| pte.valid));
        }
        let mapped = self.world.pages.iter().filter(|page| page.state == State::Mapped).count();
        if entries.len() != mapped {
            let what = format!("{} entries are valid, {mapped} pages are mapped", entries.len());
            return Err(Wrong::new(what));
        }
        Ok(entries)
    }

    /// Compares the contents of every page that has a frame, by virtual address, and their poison.
    fn compare_contents(&self, table: &[Pte]) -> Result<(), Wrong> {
        for pte in table.iter().filter(|pte| pte.present) {
            let (pid, page) = (pte.pid, pte.key << PAGE_SHIFT);
            for i in 0..u64::from(PageSize::of(page).lines()) {
                let va = page + (i << LINE_SHIFT);
                let line = (u64::from(pte.frame) << (PAGE_SHIFT - LINE_SHIFT)) + i;
                let mut model = [0; 64];
                let found = self.model.read_virtual(pid, va, &mut model);
                found.map_err(|error| Wrong::at(pid, va, error.to_string()))?;
                let hw = self.store().read_line(line);
                if hw != model {
                    let what = format!(
                        "at the end, memory holds\n  {hw:02x?}\nthe model's\n  {model:02x?}"
                    );
                    return Err(Wrong::at(pid, va, what));
                }
                let model_line = self.model.line_of(pid, va).unwrap_or_default();
                if self.store().is_poisoned(line) != self.model.is_poisoned(model_line) {
                    return Err(Wrong::at(pid, va, "at the end, one of both lines is poisoned"));
                }
            }
        }
        Ok(())
    }

    /// The hardware's counters against what was seen at the ports.
    fn compare_counters(&mut self) -> Result<(), Wrong> {
        if !self.case.hw.config().statistics {
            return Ok(());
        }
        let [read, write, add, swap, _] = self.summary.by_op;
        let status = |status: Status| self.summary.by_status[status as usize];
        let expected = [
            (Counter::Reads, read),
            (Counter::Writes, write),
            (Counter::Atomics, add + swap),
            (Counter::Ok, status(Status::Ok)),
            (Counter::NotMapped, status(Status::NotMapped)),
            (Counter::NoPermission, status(Status::NoPermission)),
            (Counter::NoMemory, status(Status::NoMemory)),
            (Counter::BadRequest, status(Status::BadRequest)),
            (Counter::Uncorrectable, status(Status::Uncorrectable)),
            (Counter::Shootdowns, self.summary.shootdowns),
        ];
        for (counter, expected) in expected {
            let low = self.read(counter.offset())?;
            let high = self.read(counter.offset() + 4)?;
            let value = u64::from(high) << 32 | u64::from(low);
            if value != expected {
                let (_, name) = Counter::ALL[counter as usize];
                let what = format!("counter {name} stands at {value}, but {expected} were seen");
                return Err(Wrong::new(what));
            }
        }
        Ok(())
    }

    /// Every error was logged or counted as dropped.
    fn compare_events(&mut self) -> Result<(), Wrong> {
        let status = self.read(regs::EVENT_STATUS.offset)?;
        let (left, dropped) = (EVENT_STATUS::COUNT.get(status), EVENT_STATUS::DROPPED.get(status));
        let told = self.monitor.events_seen + u64::from(left) + u64::from(dropped);
        if told == self.checker.errors || (dropped == 65_535 && told < self.checker.errors) {
            return Ok(());
        }
        Err(Wrong::new(format!(
            "{} requests failed, but {} events were logged, {left} left and {dropped} dropped",
            self.checker.errors, self.monitor.events_seen
        )))
    }

    /// Every frame is in exactly one place: mapped, in a free list (and cleared), or with the
    /// monitor.
    fn count_frames(&mut self, table: &[Pte]) -> Result<(), Wrong> {
        let mut places = self.monitor.free_frames();
        let mut shared = HashSet::new();
        for pte in table.iter().filter(|pte| pte.present) {
            if !pte.shared || shared.insert(pte.frame) {
                places[by_size(PageSize::of(pte.key << PAGE_SHIFT))].push(pte.frame);
            }
        }
        for (size, register) in
            [(PageSize::Small, regs::FREE_4K_POP), (PageSize::Huge, regs::FREE_2M_POP)]
        {
            while let Some(frame) = self.pop_cleared(register)? {
                self.check_cleared(frame, size)?;
                places[by_size(size)].push(frame);
            }
        }
        for (i, places) in places.iter_mut().enumerate() {
            let mut all = self.world.frames[i].clone();
            all.sort_unstable();
            places.sort_unstable();
            if *places != all {
                let missing: Vec<_> = all.iter().filter(|frame| !places.contains(frame)).collect();
                let twice: Vec<_> =
                    places.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
                return Err(Wrong::new(format!(
                    "frames are not conserved: lost {missing:x?}, in two places {twice:x?}"
                )));
            }
        }
        Ok(())
    }

    /// Takes a frame out of a free list; waits for those that the list had no room for.
    fn pop_cleared(&mut self, register: Register) -> Result<Option<u32>, Wrong> {
        let mut popped = self.read(register.offset)?;
        if FREE_4K_POP::VALID.get(popped) == 0 {
            self.wait_until_idle()?;
            popped = self.read(register.offset)?;
        }
        let valid = FREE_4K_POP::VALID.get(popped) == 1;
        Ok(valid.then_some(FREE_4K_POP::FRAME.get(popped)))
    }

    fn check_cleared(&self, frame: u32, size: PageSize) -> Result<(), Wrong> {
        let first = u64::from(frame) << (PAGE_SHIFT - LINE_SHIFT);
        for line in first..first + u64::from(size.lines()) {
            if self.store().read_line(line) != [0; 64] || self.store().is_poisoned(line) {
                return Err(Wrong::new(format!("frame {frame:#x} is free and not cleared")));
            }
        }
        Ok(())
    }
}
