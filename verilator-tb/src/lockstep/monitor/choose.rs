//! What the small monitor does next: random jobs, written as scripts.

use super::{Coverage, Job, Step};
use crate::dram::LineMemory;
use crate::lockstep::mode::Jobs;
use crate::lockstep::world::{FramePair, State};
use crate::lockstep::Lockstep;
use rand::Rng;
use splitmem_abi::geometry::{page_key, PageSize};
use splitmem_abi::pte::decode_bucket;
use splitmem_abi::regs::field::{CONTROL, STATUS, TE_FLAGS, TE_STATUS};
use splitmem_abi::regs::{self, ShootdownCommand, TableCommand};
use std::ops::Range;

impl Lockstep {
    /// Begins a random job. False if none was possible.
    pub(super) fn choose_job(&mut self) -> bool {
        type Choose = fn(&mut Lockstep) -> bool;
        let Jobs {
            map,
            unmap,
            protect,
            share,
            unshare,
            query,
            bad,
            shootdown,
            poison,
            heal,
            pause,
        } = self.shape.jobs;
        let choices: [(u32, Choose); 13] = [
            (10, Self::choose_push),
            (map, Self::choose_map),
            (unmap, Self::choose_unmap),
            (protect, Self::choose_protect),
            (share, Self::choose_share),
            (unshare, Self::choose_unshare),
            (query, Self::choose_query),
            (bad, Self::choose_bad),
            (shootdown, Self::choose_shootdown),
            (poison, Self::choose_poison),
            (heal, Self::choose_heal),
            (pause, Self::choose_pause),
            (4, Self::choose_events),
        ];
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut dice = self.monitor.rng.random_range(0..total);
        for (weight, choose) in choices {
            if dice < weight {
                return choose(self);
            }
            dice -= weight;
        }
        false
    }

    /// Hands free frames to the component, unless they are kept back.
    pub(super) fn choose_push(&mut self) -> bool {
        let cycle = self.component.cycle();
        if cycle < self.monitor.withhold_until || self.monitor.free.iter().all(Vec::is_empty) {
            return false;
        }
        if self.monitor.rng.random_bool(self.shape.withhold) {
            self.monitor.withhold_until = cycle + self.monitor.rng.random_range(1000..20_000);
            return false;
        }
        self.begin(Job::Room, [Step::Read(regs::ZERO_STATUS, 0)]);
        true
    }

    /// Pages of an area that follow one another and are all in `state`, and whose buckets are sound.
    fn choose_run(&mut self, state: State) -> Option<Range<usize>> {
        let rng = &mut self.monitor.rng;
        let area = self.world.areas[rng.random_range(0..self.world.areas.len())].clone();
        let first = rng.random_range(area.clone());
        let wanted = rng.random_range(1..=area.end - first);
        let fits = |i: &usize| {
            let page = &self.world.pages[*i];
            let bucket = self.world.bucket_line(page.pid, page.va);
            page.state == state && !self.checker.poisoned_buckets.contains_key(&bucket)
        };
        let run = (first..first + wanted).take_while(fits).count();
        (run > 0).then_some(first..first + run)
    }

    fn choose_map(&mut self) -> bool {
        let Some(run) = self.choose_run(State::Unmapped) else { return false };
        let flags = self.choose_rights();
        let script = self.table(TableCommand::Insert, run, flags, None, Some(State::Mapped));
        self.begin(Job::Plain, script);
        true
    }

    pub(super) fn choose_rights(&mut self) -> u32 {
        let (read, write) = match self.monitor.rng.random_range(0..20) {
            0..15 => (1, 1),
            15..18 => (1, 0),
            18 => (0, 1),
            _ => (0, 0),
        };
        TE_FLAGS::READ.put(read) | TE_FLAGS::WRITE.put(write)
    }

    fn choose_unmap(&mut self) -> bool {
        let Some(run) = self.choose_run(State::Mapped) else { return false };
        let script = self.unmap(run);
        self.begin(Job::Collected, script);
        true
    }

    /// Unmap, shootdown, collect.
    fn unmap(&mut self, run: Range<usize>) -> Vec<Step> {
        let mut script =
            self.table(TableCommand::Unmap, run.clone(), 0, None, Some(State::Unmapped));
        if self.monitor.rng.random_ratio(1, 8) {
            // A shootdown of something else while the table engine works.
            let at = script.len() - 3;
            let other = self.choose_coverage();
            script.splice(at..at, shoot_down_beside(other));
        }
        script.extend(self.shoot_down_run(run.clone()));
        let mut collect = self.table(TableCommand::Collect, run, 0, None, None);
        // Its results first: the engine waits while their queue is full.
        let at = collect.len() - 3;
        collect.insert(at, Step::Drain);
        script.extend(collect);
        script
    }

    fn choose_protect(&mut self) -> bool {
        let Some(run) = self.choose_run(State::Mapped) else { return false };
        let flags = self.choose_rights();
        let mut script = self.table(TableCommand::Protect, run.clone(), flags, None, None);
        script.extend(self.shoot_down_run(run));
        self.begin(Job::Plain, script);
        true
    }

    fn choose_group(&mut self, mapped: bool) -> Option<usize> {
        let group = self.monitor.rng.random_range(0..self.world.groups.len().max(1));
        let found = self.world.groups.get(group)?;
        (found.frame.is_some() == mapped && !found.pages.is_empty()).then_some(group)
    }

    fn choose_share(&mut self) -> bool {
        let Some(group) = self.choose_group(false) else { return false };
        let page = self.world.pages[self.world.groups[group].pages[0]];
        let pop = match PageSize::of(page.va) {
            PageSize::Small => regs::FREE_4K_POP,
            PageSize::Huge => regs::FREE_2M_POP,
        };
        self.begin(Job::Popped(group), [Step::Read(pop, 0)]);
        true
    }

    /// Unmaps all pages of a group, one after the other.
    fn choose_unshare(&mut self) -> bool {
        let Some(group) = self.choose_group(true) else { return false };
        let pages = self.world.groups[group].pages.clone();
        let mut script = Vec::new();
        for page in pages {
            if self.world.pages[page].state == State::Mapped {
                if self.is_poisoned(page) {
                    return false;
                }
                script.extend(self.unmap(page..page + 1));
            }
        }
        self.begin(Job::Collected, script);
        true
    }

    pub(super) fn is_poisoned(&self, page: usize) -> bool {
        let page = &self.world.pages[page];
        let bucket = self.world.bucket_line(page.pid, page.va);
        self.checker.poisoned_buckets.contains_key(&bucket)
    }

    fn choose_query(&mut self) -> bool {
        let page = self.monitor.rng.random_range(0..self.world.pages.len());
        let (pid, va) = (self.world.pages[page].pid, self.world.pages[page].va);
        let frozen = self.world.pages[page].in_flight == 0;
        if frozen {
            self.freeze([page]);
        }
        let bucket = self.world.bucket_line(pid, va);
        let entries = decode_bucket(&self.component.memory().store().read_line(bucket));
        let written = entries.iter().any(|pte| pte.maps(pid, page_key(va)) && pte.present);
        let mut script = self.table(TableCommand::Query, page..page + 1, 0, None, None);
        let at = script.len() - 3;
        script.insert(at, Step::Drain);
        self.begin(Job::Queried { frozen, written }, script);
        true
    }

    /// A command that fails, or that has nothing to do.
    fn choose_bad(&mut self) -> bool {
        let rng = &mut self.monitor.rng;
        let page = rng.random_range(0..self.world.pages.len());
        let command = match (self.world.pages[page].state, rng.random_range(0..3)) {
            (State::Mapped, 0) => TableCommand::Insert,
            (State::Unmapped, 0) => TableCommand::Unmap,
            (State::Unmapped, 1) => TableCommand::Protect,
            _ => TableCommand::Collect,
        };
        let unknown = rng.random_ratio(1, 4).then(|| [0, 6, 7][rng.random_range(0..3)]);
        let nothing = rng.random_ratio(1, 4);
        let mut script = self.table(command, page..page + 1, 0, None, None);
        for step in &mut script {
            match step {
                Step::Both(register, value) if register.offset == regs::TE_COMMAND.offset => {
                    *value = unknown.unwrap_or(*value);
                }
                Step::Both(register, value)
                    if register.offset == regs::TE_COUNT.offset && nothing =>
                {
                    *value = 0;
                }
                _ => {}
            }
        }
        self.begin(Job::Plain, script);
        true
    }

    fn choose_coverage(&mut self) -> Coverage {
        let rng = &mut self.monitor.rng;
        let page = self.world.pages[rng.random_range(0..self.world.pages.len())];
        match rng.random_range(0..4) {
            0 => Coverage::All,
            1 => Coverage::Pid(page.pid),
            _ => Coverage::Pages { pid: page.pid, va: page.va, count: rng.random_range(0..4) },
        }
    }

    fn choose_shootdown(&mut self) -> bool {
        let coverage = self.choose_coverage();
        self.begin(Job::Plain, shoot_down(coverage));
        true
    }

    fn choose_events(&mut self) -> bool {
        self.begin(Job::Events, [Step::Read(regs::EVENT_STATUS, 0)]);
        true
    }

    /// Stops accepting, waits until nothing is in flight, and goes on.
    fn choose_pause(&mut self) -> bool {
        let idle = STATUS::IDLE.mask();
        let script = [
            Step::Hardware(regs::CONTROL, 0),
            Step::Until(regs::STATUS, idle, idle),
            Step::Hardware(regs::CONTROL, CONTROL::ENABLE.mask()),
        ];
        self.begin(Job::Plain, script);
        true
    }

    /// Poisons a line of data, or a bucket. Not while a request may be looking at it: which of the
    /// two comes first would be anyone's guess.
    fn choose_poison(&mut self) -> bool {
        let page = self.monitor.rng.random_range(0..self.world.pages.len());
        let (pid, va) = (self.world.pages[page].pid, self.world.pages[page].va);
        let bucket = self.world.bucket_line(pid, va);
        if self.monitor.rng.random_ratio(1, 3) {
            return self.checker.poisoned_buckets.len() < 2
                && !self.checker.poisoned_buckets.contains_key(&bucket)
                && self.begin_bucket(bucket, true);
        }
        let mut sharers = vec![page];
        for group in self.world.groups.iter().filter(|group| group.pages.contains(&page)) {
            sharers.extend(&group.pages);
        }
        self.freeze(sharers);
        let line = self.monitor.rng.random_range(0..self.shape.hot_lines) * 37
            % u64::from(PageSize::of(va).lines());
        // The page's frame is known when its entry is written.
        self.begin(Job::PoisonLine { page, line }, [Step::Quiet(vec![bucket])]);
        true
    }

    fn choose_heal(&mut self) -> bool {
        let buckets = &self.checker.poisoned_buckets;
        // The map's order is not the seed's.
        let Some(&line) = buckets.keys().min() else { return false };
        self.begin_bucket(line, false)
    }

    fn begin_bucket(&mut self, line: u64, poison: bool) -> bool {
        let pages: Vec<usize> = (0..self.world.pages.len())
            .filter(|&i| {
                self.world.bucket_line(self.world.pages[i].pid, self.world.pages[i].va) == line
            })
            .collect();
        self.freeze(pages);
        self.begin(Job::Bucket { line, poison }, [Step::Quiet(vec![line])]);
        true
    }

    /// A command of the table engine on consecutive pages, and the wait for its end: the last three
    /// steps.
    pub(super) fn table(
        &self,
        command: TableCommand,
        run: Range<usize>,
        flags: u32,
        frame: Option<FramePair>,
        state: Option<State>,
    ) -> Vec<Step> {
        let page = self.world.pages[run.start];
        let mut script = vec![
            Step::Both(regs::TE_PID, page.pid.into()),
            Step::Both(regs::TE_VA_LO, page.va as u32),
            Step::Both(regs::TE_VA_HI, (page.va >> 32) as u32),
            Step::Both(regs::TE_COUNT, run.len() as u32),
            Step::Both(regs::TE_FLAGS, flags),
        ];
        script.extend(frame.map(|frame| Step::Pair(regs::TE_FRAME, frame)));
        script.extend([
            Step::Both(regs::TE_COMMAND, command as u32),
            Step::Until(regs::TE_STATUS, TE_STATUS::BUSY.mask(), 0),
            Step::Read(regs::TE_STATUS, 0),
            Step::TableEnd(run, state),
        ]);
        script
    }

    /// A shootdown of these pages, or of more.
    fn shoot_down_run(&mut self, run: Range<usize>) -> Vec<Step> {
        let page = self.world.pages[run.start];
        shoot_down(match self.monitor.rng.random_range(0..8) {
            0 => Coverage::All,
            1..3 => Coverage::Pid(page.pid),
            _ => Coverage::Pages { pid: page.pid, va: page.va, count: run.len() as u32 },
        })
    }
}

fn shoot_down(coverage: Coverage) -> Vec<Step> {
    let (mut script, command) = match coverage {
        Coverage::Pages { pid, va, count } => (
            vec![
                Step::Both(regs::SD_PID, pid.into()),
                Step::Both(regs::SD_VA_LO, va as u32),
                Step::Both(regs::SD_VA_HI, (va >> 32) as u32),
                Step::Both(regs::SD_COUNT, count),
            ],
            ShootdownCommand::Pages,
        ),
        Coverage::Pid(pid) => (vec![Step::Both(regs::SD_PID, pid.into())], ShootdownCommand::Pid),
        Coverage::All => (vec![], ShootdownCommand::All),
    };
    script.extend([
        Step::Both(regs::SD_COMMAND, command as u32),
        Step::Until(regs::SD_STATUS, regs::field::SD_STATUS::BUSY.mask(), 0),
        Step::ShootdownEnd(Some(coverage)),
    ]);
    script
}

/// A shootdown that the model is not told of, because the hardware may do it before the table
/// command that it runs beside, which the model has done already.
fn shoot_down_beside(coverage: Coverage) -> Vec<Step> {
    let mut script = shoot_down(coverage);
    for step in &mut script {
        match *step {
            Step::Both(register, value) if register.offset == regs::SD_COMMAND.offset => {
                *step = Step::Hardware(register, value);
            }
            Step::ShootdownEnd(_) => *step = Step::ShootdownEnd(None),
            _ => {}
        }
    }
    script
}
