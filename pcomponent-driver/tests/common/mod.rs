//! A component in a `HashMap`, which delays, reorders and fails as a test wants.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pcomponent_driver::config::{
    Associativity, CacheConfig, DirtyTracking, Eviction, ExCacheConfig, Prefetch, Replacement,
    VCacheConfig,
};
use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
    PAGE_BYTES,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::mailbox::{Address, Command, ReturnCode};
use splitmem_abi::regs::Counter;
use splitmem_abi::request::{Op, Status};

const LINE: u64 = 64;
type Page = [u8; PAGE_BYTES];

/// The component's side, for the test to look at and to meddle with.
pub struct Component {
    lines: HashMap<(u16, u64), [u8; 64]>,
    /// First address of each allocation, and its bytes.
    allocations: BTreeMap<(u16, u64), u64>,
    next_va: u64,
    in_flight: Vec<(u64, Submission)>,
    clock: u64,
    rng: SmallRng,
    /// Longest delay of a submission, in polls; with more than zero they overtake each other.
    pub delay: u64,
    /// What writes, and reads, of a page are answered with instead.
    pub fail_writes: HashMap<u64, Status>,
    pub fail_reads: HashMap<u64, Status>,
    /// The link breaks when this many submissions have come.
    pub gone_after: Option<u64>,
    pub submissions: u64,
    pub polls: u64,
    pub page_reads: u64,
    pub line_reads: u64,
    pub page_writes: u64,
    pub line_writes: u64,
    pub written_bytes: u64,
    pub frees: u64,
    /// Pairs in flight together on one page, one of them a write.
    pub overlaps: u64,
    pub watch_overlaps: bool,
    /// Pages are at hand, as the golden model's are; but for one time in six.
    at_hand: bool,
    /// Pages that were read and written so.
    pub reads_at_hand: u64,
    pub writes_at_hand: u64,
}

/// The driver's side.
pub struct Sim(Arc<Mutex<Component>>);

impl Sim {
    /// Has pages at hand, as the golden model does.
    pub fn at_hand(self, at_hand: bool) -> Self {
        lock(&self.0).at_hand = at_hand;
        self
    }
}

pub type Handle = Arc<Mutex<Component>>;

pub fn component(seed: u64, delay: u64) -> (Sim, Handle) {
    let component = Component {
        lines: HashMap::new(),
        allocations: BTreeMap::new(),
        next_va: 0x10_0000,
        in_flight: Vec::new(),
        clock: 0,
        rng: SmallRng::seed_from_u64(seed),
        delay,
        fail_writes: HashMap::new(),
        fail_reads: HashMap::new(),
        gone_after: None,
        submissions: 0,
        polls: 0,
        page_reads: 0,
        line_reads: 0,
        page_writes: 0,
        line_writes: 0,
        written_bytes: 0,
        frees: 0,
        overlaps: 0,
        watch_overlaps: true,
        at_hand: false,
        reads_at_hand: 0,
        writes_at_hand: 0,
    };
    let handle = Arc::new(Mutex::new(component));
    (Sim(Arc::clone(&handle)), handle)
}

pub fn lock(handle: &Handle) -> MutexGuard<'_, Component> {
    handle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn page_of(submission: &Submission) -> (u16, u64) {
    (submission.pid, submission.va & !(PAGE_BYTES as u64 - 1))
}

fn writes(work: &Work) -> bool {
    !matches!(work, Work::ReadLine | Work::ReadPage)
}

impl Component {
    fn mapped(&self, pid: u16, va: u64) -> bool {
        self.allocations
            .range((pid, 0)..=(pid, va))
            .next_back()
            .is_some_and(|((_, start), bytes)| va < start + bytes)
    }

    /// What the component holds from a line's address on.
    pub fn bytes(&self, pid: u16, va: u64, len: usize) -> Vec<u8> {
        let line = |i: u64| self.lines.get(&(pid, va + i * LINE)).copied().unwrap_or([0; 64]);
        let mut bytes: Vec<u8> = (0..(len as u64).div_ceil(LINE)).flat_map(line).collect();
        bytes.truncate(len);
        bytes
    }

    /// Submissions in flight for a page.
    pub fn in_flight(&self, va: u64) -> usize {
        self.in_flight.iter().filter(|(_, submission)| page_of(submission).1 == va).count()
    }

    pub fn forget_allocations(&mut self) {
        self.allocations.clear();
    }

    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    fn take(&mut self, submission: Submission) {
        self.submissions += 1;
        self.watch(&submission);
        let due = self.clock + self.rng.random_range(0..=self.delay);
        self.in_flight.push((due, submission));
    }

    /// A page as it is now, if it is at hand and there is nothing against it.
    fn page_at_hand(&mut self, pid: u16, va: u64) -> Option<Page> {
        let refused = self.rng.random_ratio(1, 6) || !self.mapped(pid, va);
        (self.at_hand && !refused && !self.fail_reads.contains_key(&va))
            .then(|| self.bytes(pid, va, PAGE_BYTES).try_into().unwrap())
    }

    fn write_at_hand(&mut self, pid: u16, va: u64, page: &Page) -> bool {
        let refused = self.rng.random_ratio(1, 6) || !self.mapped(pid, va);
        if !self.at_hand || refused || self.fail_writes.contains_key(&va) {
            return false;
        }
        let submission =
            Submission { id: 0, pid, va, work: Work::WritePage { data: Box::new(*page) } };
        self.submissions += 1;
        self.watch(&submission);
        self.writes_at_hand += 1;
        self.execute(submission);
        true
    }

    /// Looks for pairs in flight together that must not be.
    fn watch(&mut self, submission: &Submission) {
        if self.watch_overlaps {
            let page = page_of(submission);
            let lines = matches!(submission.work, Work::ReadPage | Work::WritePage { .. });
            self.overlaps += self
                .in_flight
                .iter()
                .filter(|(_, other)| {
                    let whole = matches!(other.work, Work::ReadPage | Work::WritePage { .. });
                    page_of(other) == page
                        && (writes(&other.work) || writes(&submission.work))
                        && (lines || whole || other.va == submission.va)
                })
                .count() as u64;
        }
    }

    fn check_plug(&self) -> Result<(), TransportError> {
        match self.gone_after {
            Some(limit) if self.submissions >= limit => {
                Err(TransportError::Gone("the test pulled the plug".into()))
            }
            _ => Ok(()),
        }
    }

    fn line(&mut self, pid: u16, va: u64) -> &mut [u8; 64] {
        self.lines.entry((pid, va)).or_insert([0; 64])
    }

    fn execute(&mut self, submission: Submission) -> Completion {
        let Submission { id, pid, va, work } = submission;
        let (page, writing) = (va & !(PAGE_BYTES as u64 - 1), writes(&work));
        let failure = if writing { &self.fail_writes } else { &self.fail_reads }.get(&page);
        let mut status = failure.copied().unwrap_or(Status::Ok);
        if !self.mapped(pid, va) {
            status = Status::NotMapped;
        }
        let mut data = Vec::new();
        if status == Status::Ok {
            match work {
                Work::ReadLine => {
                    self.line_reads += 1;
                    data = self.line(pid, va).to_vec();
                }
                Work::ReadPage => {
                    self.page_reads += 1;
                    for line in 0..64 {
                        let line = *self.line(pid, va + line * LINE);
                        data.extend_from_slice(&line);
                    }
                }
                Work::WriteLine { data, mask } => {
                    self.line_writes += 1;
                    self.written_bytes += mask.count_ones() as u64;
                    let line = self.line(pid, va);
                    for i in (0..64).filter(|i| mask >> i & 1 == 1) {
                        line[i] = data[i];
                    }
                }
                Work::WritePage { data } => {
                    self.page_writes += 1;
                    self.written_bytes += PAGE_BYTES as u64;
                    for (i, bytes) in data.chunks_exact(64).enumerate() {
                        *self.line(pid, va + i as u64 * LINE) = bytes.try_into().unwrap();
                    }
                }
                Work::Atomic { op, operand, expected } => {
                    let at = (va % LINE) as usize;
                    let word = &mut self.line(pid, va & !(LINE - 1))[at..at + 8];
                    let old = u64::from_le_bytes(word.try_into().unwrap());
                    let new = match op {
                        Op::FetchAdd => old.wrapping_add(operand),
                        _ if old == expected => operand,
                        _ => old,
                    };
                    word.copy_from_slice(&new.to_le_bytes());
                    data = old.to_le_bytes().to_vec();
                }
            }
        }
        Completion { id, status, data, cycles: None }
    }

    /// Executes something that is due and before which nothing of its page came.
    fn step(&mut self) -> Option<Completion> {
        let due: Vec<usize> = (0..self.in_flight.len())
            .filter(|i| {
                let (due, submission) = &self.in_flight[*i];
                let page = page_of(submission);
                *due <= self.clock
                    && self.in_flight[..*i].iter().all(|(_, earlier)| page_of(earlier) != page)
            })
            .collect();
        if due.is_empty() {
            return None;
        }
        let pick = if self.delay == 0 { 0 } else { self.rng.random_range(0..due.len()) };
        let (_, submission) = self.in_flight.remove(due[pick]);
        Some(self.execute(submission))
    }
}

impl Transport for Sim {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "sim", clock_mhz: None, depth: 48 }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let mut component = lock(&self.0);
        let mut taken = 0;
        while component.in_flight.len() < 48 {
            let Some(submission) = batch.pop_front() else { break };
            component.check_plug()?;
            component.take(submission);
            taken += 1;
        }
        Ok(taken)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        let mut component = lock(&self.0);
        component.clock += 1;
        component.polls += 1;
        component.check_plug()?;
        let before = done.len();
        loop {
            while let Some(completion) = component.step() {
                done.push(completion);
                if component.delay > 0 && component.rng.random_bool(0.5) {
                    break;
                }
            }
            if done.len() > before || !wait || component.in_flight.is_empty() {
                return Ok(done.len() - before);
            }
            component.clock += 1;
        }
    }

    fn pages_at_hand(&self) -> bool {
        lock(&self.0).at_hand
    }

    fn read_page_now(
        &mut self,
        pid: u16,
        va: u64,
        take: &mut dyn FnMut(&Page) -> bool,
    ) -> Result<bool, TransportError> {
        let mut component = lock(&self.0);
        component.check_plug()?;
        let Some(page) = component.page_at_hand(pid, va) else { return Ok(false) };
        // Not locked: what takes the page may be a test that looks at the component.
        drop(component);
        let taken = take(&page);
        let mut component = lock(&self.0);
        if taken {
            component.submissions += 1;
            component.page_reads += 1;
            component.reads_at_hand += 1;
            component.watch(&Submission { id: 0, pid, va, work: Work::ReadPage });
        }
        Ok(taken)
    }

    fn write_page_now(&mut self, pid: u16, va: u64, page: &Page) -> Result<bool, TransportError> {
        let mut component = lock(&self.0);
        component.check_plug()?;
        Ok(component.write_at_hand(pid, va, page))
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        let mut component = lock(&self.0);
        let mut payload = Box::new([0; 64]);
        let code = match command {
            Command::Alloc { pid, pages, size, .. } => {
                let bytes = *pages as u64 * size.bytes();
                // A gap behind each, so that prefetches over the end show.
                let va = component.next_va;
                component.next_va += bytes + 0x4000;
                component.allocations.insert((*pid, va), bytes);
                Address(va).encode(&mut payload);
                ReturnCode::Success
            }
            Command::Free(range) => {
                component.frees += 1;
                let key = (range.pid, range.va);
                let lines = (0..range.pages as u64 * 64).map(|line| range.va + line * LINE);
                for va in lines {
                    component.lines.remove(&(range.pid, va));
                }
                match component.allocations.remove(&key) {
                    Some(bytes) if bytes == range.pages as u64 * 4096 => ReturnCode::Success,
                    _ => ReturnCode::NotAllocated,
                }
            }
            _ => ReturnCode::UnknownCommand,
        };
        Ok(MailboxReply { code, payload })
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn counter(&mut self, _counter: Counter) -> Result<u64, TransportError> {
        Ok(0)
    }
}

pub const REPLACEMENTS: [Replacement; 3] =
    [Replacement::Fifo, Replacement::Lru, Replacement::Random];
pub const EVICTIONS: [Eviction; 3] =
    [Eviction::WriteProtect, Eviction::SetList, Eviction::Victim { pages: 3 }];
pub const PREFETCHES: [Prefetch; 4] = [
    Prefetch::None,
    Prefetch::Sequential { pages: 3 },
    Prefetch::Stride { pages: 3 },
    Prefetch::Trend { pages: 4 },
];

/// Every combination of the policies, over shapes of a few frames.
pub fn excaches() -> Vec<ExCacheConfig> {
    let mut all = Vec::new();
    for replacement in REPLACEMENTS {
        for eviction in EVICTIONS {
            for prefetch in PREFETCHES {
                let i = all.len();
                let (frames, ways) = [(1, 1), (2, 1), (4, 2), (8, 8), (12, 4), (16, 16)][i % 6];
                let dirty = [DirtyTracking::Page, DirtyTracking::Line][i % 2];
                let associativity = match ways {
                    16 => Associativity::Full,
                    ways => Associativity::Ways(ways),
                };
                all.push(
                    ExCacheConfig::with_bytes(frames * PAGE_BYTES)
                        .associativity(associativity)
                        .replacement(replacement)
                        .eviction(eviction)
                        .prefetch(prefetch)
                        .dirty(dirty)
                        .evict_batch(1 + i % 3)
                        .zero_fill(i % 5 != 0),
                );
            }
        }
    }
    all
}

/// No cache, virtual caches of some shapes, and every [`excaches`].
pub fn caches() -> Vec<CacheConfig> {
    let mut all = vec![CacheConfig::None];
    all.extend(
        [(1, 1), (2, 4), (4, 1), (3, 16)]
            .map(|(ways, sets)| CacheConfig::from(VCacheConfig { ways, sets })),
    );
    all.extend(excaches().into_iter().map(CacheConfig::from));
    all
}

pub fn describe(cache: &CacheConfig) -> String {
    match cache {
        CacheConfig::ExCache(c) => format!(
            "{} KiB, {} ways, {}, {}, {}, dirty {}, batch {}, zero-fill {}",
            c.bytes / 1024,
            c.associativity,
            c.replacement,
            c.eviction,
            c.prefetch,
            c.dirty,
            c.evict_batch,
            c.zero_fill
        ),
        other => format!("{other:?}"),
    }
}
