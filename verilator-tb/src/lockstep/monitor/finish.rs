//! The ends of the small monitor's jobs: what came out of them is compared, and what follows.

use super::{Job, Step};
use crate::dram::LineMemory;
use crate::lockstep::checker::by_size;
use crate::lockstep::history::{at, Event as Past};
use crate::lockstep::world::{FramePair, State};
use crate::lockstep::{Lockstep, Wrong};
use rand::Rng;
use splitmem_abi::event::Event;
use splitmem_abi::geometry::{page_key, PageSize};
use splitmem_abi::pte::{decode_bucket, Pte};
use splitmem_abi::regs::field::{
    EVENT_STATUS, FREE_4K_POP, TE_FLAGS, TE_RESULT, ZERO_PUSH, ZERO_STATUS,
};
use splitmem_abi::regs::{self, TableCommand};

/// Cycles between two pushes of 2 MiB frames. Clearing one takes a tenth of it, and meanwhile first
/// writes to 2 MiB pages wait, and shootdowns with them.
const HUGE_EVERY: u64 = 400_000;

impl Lockstep {
    pub(super) fn finish_job(&mut self, job: Job) -> Result<(), Wrong> {
        match job {
            Job::Plain => {}
            Job::Room => self.push_frames()?,
            Job::Popped(group) => self.map_group(group)?,
            Job::Shared(group) => {
                let group = &mut self.world.groups[group];
                let mapped = |&i: &usize| self.world.pages[i].state == State::Mapped;
                if !group.pages.iter().any(mapped) {
                    // Every bucket was full.
                    self.monitor.free[by_size(PageSize::of(self.world.pages[group.pages[0]].va))]
                        .extend(group.frame.take());
                }
            }
            Job::Collected => self.take_frames()?,
            Job::Queried { frozen, written } => self.check_query(frozen, written)?,
            Job::Events => self.check_events()?,
            Job::PoisonLine { page, line } => self.poison_line(page, line),
            Job::Bucket { line, poison } => self.set_bucket_poison(line, poison),
        }
        Ok(())
    }

    /// Pushes a run of free frames, if there is room in both queues.
    fn push_frames(&mut self) -> Result<(), Wrong> {
        let room = ZERO_STATUS::ROOM.get(self.monitor.reads[0]);
        let model_room = ZERO_STATUS::ROOM.get(self.read_model(regs::ZERO_STATUS)?);
        if room.min(model_room) == 0 {
            return Ok(());
        }
        let rng = &mut self.monitor.rng;
        let huge = self.component.cycle() >= self.monitor.next_huge
            && !self.monitor.free[1].is_empty()
            && (self.monitor.free[0].is_empty() || rng.random_ratio(1, 8));
        if huge {
            self.monitor.next_huge = self.component.cycle() + HUGE_EVERY;
        }
        let step = if huge { PageSize::Huge.frames() } else { 1 };
        let free = &mut self.monitor.free[usize::from(huge)];
        let wanted = if huge { 1 } else { rng.random_range(1..=64) };
        let Some(first) = free.pop() else { return Ok(()) };
        let mut count = 1;
        while count < wanted {
            let next = FramePair { hw: first.hw + count * step, model: first.model + count * step };
            if free.last() != Some(&next) {
                break;
            }
            free.pop();
            count += 1;
        }
        let push = ZERO_PUSH::COUNT.put(count) | ZERO_PUSH::HUGE.put(huge.into());
        self.begin(
            Job::Plain,
            [Step::Pair(regs::ZERO_BASE, first), Step::Both(regs::ZERO_PUSH, push)],
        );
        Ok(())
    }

    /// Maps a frame that was popped into all pages of a group that have a place for it.
    fn map_group(&mut self, group: usize) -> Result<(), Wrong> {
        let pages = self.world.groups[group].pages.clone();
        let huge = PageSize::of(self.world.pages[pages[0]].va) == PageSize::Huge;
        let register = if huge { regs::FREE_2M_POP } else { regs::FREE_4K_POP };
        let hw = self.monitor.reads[0];
        // FREE_2M_POP has the fields of FREE_4K_POP.
        if FREE_4K_POP::VALID.get(hw) == 0 {
            self.checker.taken[usize::from(huge)] -= 1;
            return Ok(());
        }
        let model = self.read_model(register)?;
        if FREE_4K_POP::VALID.get(model) == 0 {
            return Err(Wrong::new("a frame was popped although the model has none"));
        }
        let frame =
            FramePair { hw: FREE_4K_POP::FRAME.get(hw), model: FREE_4K_POP::FRAME.get(model) };
        self.world.groups[group].frame = Some(frame);
        let mut script = Vec::new();
        for page in pages {
            if !self.is_poisoned(page) {
                let flags =
                    self.choose_rights() | TE_FLAGS::SHARED.mask() | TE_FLAGS::PRESENT.mask();
                let state = Some(State::Mapped);
                let run = page..page + 1;
                script.extend(self.table(TableCommand::Insert, run, flags, Some(frame), state));
            }
        }
        self.begin(Job::Shared(group), script);
        Ok(())
    }

    /// Compares the results of a collect and takes the frames back.
    fn take_frames(&mut self) -> Result<(), Wrong> {
        let results = std::mem::take(&mut self.monitor.results);
        let frame = TE_RESULT::FRAME;
        for (hw, model) in results {
            if hw & !frame.mask() != model & !frame.mask() {
                return Err(Wrong::new(format!(
                    "a collected page was reported as {hw:#010x}; the model says {model:#010x}"
                )));
            }
            let pair = FramePair { hw: frame.get(hw), model: frame.get(model) };
            if TE_RESULT::SHARED.get(hw) == 0 {
                let size = usize::from(self.world.frames[1].contains(&pair.hw));
                self.monitor.free[size].insert(0, pair);
                self.summary.recycled += 1;
            }
        }
        for group in &mut self.world.groups {
            let mapped = |&i: &usize| self.world.pages[i].state == State::Mapped;
            if group.frame.is_some() && !group.pages.iter().any(mapped) {
                let size = by_size(PageSize::of(self.world.pages[group.pages[0]].va));
                self.monitor.free[size].extend(group.frame.take());
                self.summary.recycled += 1;
            }
        }
        Ok(())
    }

    /// A first write's PTE write goes out behind it and is answered when the memory likes. So PRESENT
    /// must be found if it was in the memory before, and must not be if no request can have set it.
    fn check_query(&mut self, frozen: bool, written: bool) -> Result<(), Wrong> {
        let (hw, model) = self.monitor.results.first().copied().unwrap_or_default();
        let mask = TE_RESULT::VALID.mask() | TE_RESULT::WRITE.mask() | TE_RESULT::SHARED.mask();
        let [in_hw, in_model] = [hw, model].map(|result| TE_RESULT::PRESENT.get(result) != 0);
        let lost = written && in_model && !in_hw;
        let early = frozen && in_hw && !in_model;
        if hw & mask == model & mask && self.monitor.results.len() <= 1 && !lost && !early {
            return Ok(());
        }
        Err(Wrong::new(format!("a query found {hw:#010x}; the model says {model:#010x}")))
    }

    /// First call: how many events there are. Then their words.
    fn check_events(&mut self) -> Result<(), Wrong> {
        let count = EVENT_STATUS::COUNT.get(self.monitor.reads[0]);
        if self.monitor.reads.len() == 1 {
            let mut script = vec![Step::Read(regs::EVENT_STATUS, 0)];
            for _ in 0..count.min(4) {
                script.extend((0..4).map(|word| Step::Read(regs::EVENT, word)));
                script.push(Step::Hardware(regs::EVENT_POP, 1));
            }
            if count > 0 {
                self.begin(Job::Events, script);
            }
            return Ok(());
        }
        let reads = std::mem::take(&mut self.monitor.reads);
        for words in reads[1..].chunks_exact(4) {
            let words = [words[0], words[1], words[2], words[3]];
            let Some(event) = Event::decode(words) else {
                return Err(Wrong::new(format!("an event of unknown kind: {words:08x?}")));
            };
            let Event { status, op, port, pid, va, .. } = event;
            let expected = (status as u8, op, port, pid, va);
            match self.checker.events.get_mut(&expected) {
                Some(n) if *n > 0 => *n -= 1,
                _ => return Err(Wrong::at(pid, va, format!("an event of no request: {event:x?}"))),
            }
            self.monitor.events_seen += 1;
            self.summary.events += 1;
        }
        Ok(())
    }

    /// Poisons a line of a page in hardware and model, if the page has a frame.
    fn poison_line(&mut self, page: usize, line: u64) {
        let (pid, page_va) = (self.world.pages[page].pid, self.world.pages[page].va);
        let va = page_va + (line << 6);
        let Some(model) = self.model.line_of(pid, va) else { return };
        let bucket = self.world.bucket_line(pid, va);
        let entries = decode_bucket(&self.component.memory().store().read_line(bucket));
        let entry = entries.into_iter().find(|pte| pte.maps(pid, page_key(va)) && pte.present);
        let Some(Pte { frame, .. }) = entry else { return };
        let hw = (u64::from(frame) << 6) + line;
        if self.component.memory().touches(hw) {
            return;
        }
        let what = format!("poisons a line: {}", at(pid, va));
        self.history.add(self.component.cycle(), Past::Monitor(what));
        self.component.memory_mut().store_mut().poison(hw);
        self.model.poison(model);
    }

    fn set_bucket_poison(&mut self, line: u64, poison: bool) {
        let what = format!("poison of bucket line {line:#x} becomes {poison}");
        self.history.add(self.component.cycle(), Past::Monitor(what));
        let store = self.component.memory_mut().store_mut();
        if poison {
            store.poison(line);
            self.model.poison(line);
            self.checker.poisoned_buckets.insert(line, Default::default());
        } else {
            store.clear_poison(line);
            self.heal_model(line);
            self.checker.poisoned_buckets.remove(&line);
        }
    }
}
