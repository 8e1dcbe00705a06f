//! The virtual cache: lines of 64 bytes, found by virtual address.
//!
//! Set-associative, virtually indexed and tagged (the pid is part of the tag), write-back with LRU.
//! Each line knows which of its bytes are valid and which are dirty, so that a write to an absent
//! line allocates it without a fetch, and only a read of bytes that are not there fetches.
//!
//! A set is locked during an access, the request for it included, so nothing of a line is ever in
//! flight while another access looks at it. A bulk access locks the sets of its lines, in
//! ascending order, and hands their requests over together.

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use splitmem_abi::geometry::{LINE_BYTES, LINE_SHIFT};
use splitmem_abi::request::{Line as Bytes, Op};
use std::sync::Arc;

use crate::config::{ConfigError, VCacheConfig};
use crate::direct::{self, checked};
use crate::error::MemoryError;
use crate::link::Link;
use crate::region::Region;
use crate::span::{parts, Part};
use crate::transport::{Completion, Work};

/// Most lines of one step of a bulk access.
const STEP: usize = 64;

/// Counters of a virtual cache, in lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VCacheStats {
    /// Line reads: one for each line that an operation touches.
    pub reads: u64,
    /// Line writes: one for each line that an operation touches.
    pub writes: u64,
    /// Accesses that found no line, or not all the bytes that they read.
    pub misses: u64,
    /// Of the misses: reads that fetched.
    pub fetches: u64,
    /// Of the misses: writes, which allocated without a fetch.
    pub write_allocates: u64,
    /// Dirty lines written back.
    pub write_backs: u64,
    /// Write-backs that failed. The data stayed in the cache each time.
    pub write_back_failures: u64,
}

impl VCacheStats {
    /// Hits by accesses; `None` without accesses.
    pub fn hit_ratio(&self) -> Option<f64> {
        let accesses = self.reads + self.writes;
        (accesses > 0).then(|| (accesses - self.misses) as f64 / accesses as f64)
    }

    fn add(&mut self, other: &Self) {
        let Self { reads, writes, misses, fetches, write_allocates, .. } = other;
        self.reads += reads;
        self.writes += writes;
        self.misses += misses;
        self.fetches += fetches;
        self.write_allocates += write_allocates;
        self.write_backs += other.write_backs;
        self.write_back_failures += other.write_back_failures;
    }
}

#[derive(Clone)]
struct Line {
    pid: u16,
    /// Address of its first byte.
    va: u64,
    /// Bytes that are there; none: the way is empty.
    valid: u64,
    /// Bytes that are newer than the component.
    dirty: u64,
    /// When it was used last, in accesses of its set.
    used: u64,
    data: Bytes,
}

impl Line {
    const EMPTY: Self = Self { pid: 0, va: 0, valid: 0, dirty: 0, used: 0, data: [0; LINE_BYTES] };

    /// Puts in the component's copy, except for bytes that are newer here.
    fn fill(&mut self, from: &[u8]) {
        for (i, (here, there)) in self.data.iter_mut().zip(from).enumerate() {
            if self.valid >> i & 1 == 0 {
                *here = *there;
            }
        }
        self.valid = u64::MAX;
    }

    fn write_back(&self) -> (u16, u64, Work) {
        (self.pid, self.va, Work::WriteLine { data: Box::new(self.data), mask: self.dirty })
    }
}

struct Set {
    lines: Box<[Line]>,
    time: u64,
    stats: VCacheStats,
}

impl Set {
    fn find(&self, pid: u16, va: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.va == va && line.pid == pid && line.valid != 0)
    }

    fn oldest(&self) -> usize {
        let age = |way: &usize| (self.lines[*way].valid != 0, self.lines[*way].used);
        (0..self.lines.len()).min_by_key(age).unwrap_or(0)
    }

    fn touch(&mut self, way: usize) {
        self.time += 1;
        self.lines[way].used = self.time;
    }
}

pub(crate) struct VCache {
    config: VCacheConfig,
    link: Arc<Link>,
    sets: Box<[Mutex<Set>]>,
}

/// What a bulk access does with a part of a line.
enum Access<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8]),
}

/// One line of a step, in its locked set.
struct Visit<'a> {
    part: Part,
    va: u64,
    set: MutexGuard<'a, Set>,
    way: usize,
    /// The line in the way is another one, which has to leave.
    replaces: bool,
    fetches: bool,
}

impl VCache {
    pub fn new(config: VCacheConfig, link: Arc<Link>) -> Result<Self, ConfigError> {
        config.check()?;
        let set = || {
            let lines = vec![Line::EMPTY; config.ways].into_boxed_slice();
            Mutex::new(Set { lines, time: 0, stats: VCacheStats::default() })
        };
        Ok(Self { sets: (0..config.sets).map(|_| set()).collect(), config, link })
    }

    pub fn config(&self) -> &VCacheConfig {
        &self.config
    }

    pub fn stats(&self) -> VCacheStats {
        let mut total = VCacheStats::default();
        self.sets.iter().for_each(|set| total.add(&set.lock().stats));
        total
    }

    fn index(&self, va: u64) -> usize {
        (va >> LINE_SHIFT) as usize & (self.sets.len() - 1)
    }

    pub fn read(&self, region: &Region, start: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        self.access(region, start, Access::Read(out))
    }

    pub fn write(&self, region: &Region, start: usize, bytes: &[u8]) -> Result<(), MemoryError> {
        self.access(region, start, Access::Write(bytes))
    }

    fn access(
        &self,
        region: &Region,
        start: usize,
        mut access: Access<'_>,
    ) -> Result<(), MemoryError> {
        let len = match &access {
            Access::Read(out) => out.len(),
            Access::Write(bytes) => bytes.len(),
        };
        let parts: Vec<Part> = parts(start, len, LINE_BYTES).collect();
        // No more lines than sets, so that each line of a step has a set of its own.
        for step in parts.chunks(STEP.min(self.sets.len())) {
            self.step(region, step, &mut access)?;
        }
        Ok(())
    }

    fn step(
        &self,
        region: &Region,
        parts: &[Part],
        access: &mut Access<'_>,
    ) -> Result<(), MemoryError> {
        let va = |part: &Part| region.va + ((part.unit as u64) << LINE_SHIFT);
        let mut order: Vec<Part> = parts.to_vec();
        order.sort_by_key(|part| self.index(va(part)));
        let reading = matches!(access, Access::Read(_));
        let mut visits: Vec<Visit<'_>> = order
            .into_iter()
            .map(|part| self.visit(region.pid, va(&part), part, reading))
            .collect();

        let mut works = Vec::new();
        for visit in &visits {
            let line = &visit.set.lines[visit.way];
            if visit.replaces && line.dirty != 0 {
                works.push(line.write_back());
            }
            if visit.fetches {
                works.push((region.pid, visit.va, Work::ReadLine));
            }
        }
        let mut done = if works.is_empty() {
            Vec::new().into_iter()
        } else {
            self.link.run(works)?.into_iter()
        };
        // Every line is brought to its end, whatever becomes of the others.
        let mut result = Ok(());
        for visit in &mut visits {
            result = result.and(visit.finish(region.pid, &mut done, access));
        }
        result
    }

    /// Locks the set of a line and says what is to be done there.
    fn visit(&self, pid: u16, va: u64, part: Part, reading: bool) -> Visit<'_> {
        let mut set = self.sets[self.index(va)].lock();
        let found = set.find(pid, va);
        let way = found.unwrap_or_else(|| set.oldest());
        let there = found.is_some_and(|way| part.mask() & !set.lines[way].valid == 0);
        let fetches = reading && !there;
        set.touch(way);
        let stats = &mut set.stats;
        if reading {
            stats.reads += 1;
        } else {
            stats.writes += 1;
        }
        stats.fetches += fetches as u64;
        stats.write_allocates += (!reading && found.is_none()) as u64;
        stats.misses += (fetches || found.is_none()) as u64;
        Visit { part, va, set, way, replaces: found.is_none(), fetches }
    }

    /// An atomic at the component, on the 8 bytes at `start`. The line leaves the cache for it.
    pub fn atomic(
        &self,
        region: &Region,
        start: usize,
        op: Op,
        operand: u64,
        expected: u64,
    ) -> Result<u64, MemoryError> {
        let va = (region.va + start as u64) & !(LINE_BYTES as u64 - 1);
        let mut set = self.sets[self.index(va)].lock();
        if let Some(way) = set.find(region.pid, va) {
            self.clean(&mut [(&mut set, way)])?;
            set.lines[way] = Line::EMPTY;
        }
        direct::atomic(&self.link, region, start, op, operand, expected)
    }

    /// Writes back the dirty lines among those that `wanted` selects by pid and address, and, if
    /// asked to, drops all of them.
    ///
    /// On errors the others are written back all the same, and the first error is given.
    pub fn flush(
        &self,
        wanted: impl Fn(u16, u64) -> bool,
        drop_them: bool,
    ) -> Result<(), MemoryError> {
        let mut result = Ok(());
        for sets in self.sets.chunks(STEP) {
            let mut sets: Vec<_> = sets.iter().map(Mutex::lock).collect();
            let wanted = |line: &Line| line.valid != 0 && wanted(line.pid, line.va);
            let mut dirty = Vec::new();
            for set in &mut sets {
                let ways: Vec<usize> = (0..set.lines.len())
                    .filter(|way| set.lines[*way].dirty != 0 && wanted(&set.lines[*way]))
                    .collect();
                dirty.push(ways);
            }
            let most = dirty.iter().map(Vec::len).max().unwrap_or(0);
            for i in 0..most {
                let mut lines: Vec<_> = sets
                    .iter_mut()
                    .zip(&dirty)
                    .filter_map(|(set, ways)| Some((&mut **set, *ways.get(i)?)))
                    .collect();
                result = result.and(self.clean(&mut lines));
            }
            if drop_them {
                for set in &mut sets {
                    for line in set.lines.iter_mut().filter(|line| wanted(line)) {
                        if line.dirty == 0 {
                            *line = Line::EMPTY;
                        }
                    }
                }
            }
        }
        result
    }

    /// Drops the lines that `wanted` selects, dirty or not.
    pub fn discard(&self, wanted: impl Fn(u16, u64) -> bool) {
        for set in &self.sets {
            for line in set.lock().lines.iter_mut() {
                if line.valid != 0 && wanted(line.pid, line.va) {
                    *line = Line::EMPTY;
                }
            }
        }
    }

    /// Writes back the dirty ones of some lines of locked sets.
    fn clean(&self, lines: &mut [(&mut Set, usize)]) -> Result<(), MemoryError> {
        let dirty = |set: &Set, way: usize| set.lines[way].dirty != 0;
        let works: Vec<_> = lines
            .iter()
            .filter(|(set, way)| dirty(set, *way))
            .map(|(set, way)| set.lines[*way].write_back())
            .collect();
        if works.is_empty() {
            return Ok(());
        }
        let done = self.link.run(works)?;
        let mut result = Ok(());
        let written = lines.iter_mut().filter(|(set, way)| set.lines[*way].dirty != 0);
        for ((set, way), completion) in written.zip(done) {
            result = result.and(written_back(set, *way, completion));
        }
        result
    }
}

/// The write-back of a line has ended: it is clean, or stays as it was.
fn written_back(set: &mut Set, way: usize, completion: Completion) -> Result<(), MemoryError> {
    let line = &mut set.lines[way];
    set.stats.write_backs += 1;
    let outcome = checked(completion, line.pid, line.va);
    match outcome {
        Ok(_) => {
            line.dirty = 0;
            Ok(())
        }
        Err(error) => {
            set.stats.write_back_failures += 1;
            Err(error.of_write_back(line.pid, line.va))
        }
    }
}

impl Visit<'_> {
    /// Takes the completions of the line's requests and does the access.
    fn finish(
        &mut self,
        pid: u16,
        done: &mut impl Iterator<Item = Completion>,
        access: &mut Access<'_>,
    ) -> Result<(), MemoryError> {
        let mut result = Ok(());
        if self.replaces && self.set.lines[self.way].dirty != 0 {
            if let Some(completion) = done.next() {
                result = written_back(&mut self.set, self.way, completion);
            }
        }
        let fetched = if self.fetches { done.next() } else { None };
        result?;
        let line = &mut self.set.lines[self.way];
        if self.replaces {
            *line = Line { pid, va: self.va, used: line.used, ..Line::EMPTY };
        }
        if let Some(completion) = fetched {
            line.fill(&checked(completion, pid, self.va)?.data);
        }
        let here = self.part.offset..self.part.offset + self.part.len;
        match access {
            Access::Read(out) => out[self.part.range()].copy_from_slice(&line.data[here]),
            Access::Write(bytes) => {
                line.data[here].copy_from_slice(&bytes[self.part.range()]);
                line.valid |= self.part.mask();
                line.dirty |= self.part.mask();
            }
        }
        Ok(())
    }
}
