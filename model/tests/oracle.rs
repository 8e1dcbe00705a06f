//! Random requests and mapping changes against an oracle that knows bytes by process and address
//! and nothing of tables, buckets' contents, frames or lines.

mod common;

use common::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{page_base, PageSize};
use splitmem_abi::hash;
use splitmem_abi::regs::{self, field, ShootdownCommand, TableError};
use splitmem_abi::request::{Line, Op, Status};
use splitmem_model::{Choice, Model, RawRequest};
use std::collections::HashMap;

const TABLE_LOG2: u32 = 6;
const HUGE: u64 = 1 << 47;

/// A page as its process sees it. Processes that share one share `bytes`.
#[derive(Clone, Copy, Debug)]
struct Page {
    read: bool,
    write: bool,
    /// Which of the oracle's byte stores; none until the first write.
    bytes: Option<usize>,
}

#[derive(Default)]
struct Oracle {
    pages: HashMap<(u16, u64), Page>,
    stores: Vec<HashMap<u64, u8>>,
    frames: HashMap<PageSize, u32>,
    /// Entries per bucket.
    load: HashMap<u32, u32>,
}

impl Oracle {
    fn new_store(&mut self) -> usize {
        self.stores.push(HashMap::new());
        self.stores.len() - 1
    }

    fn get(&self, store: usize, offset: u64) -> u8 {
        self.stores[store].get(&offset).copied().unwrap_or(0)
    }

    fn word(&self, store: usize, offset: u64) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.get(store, offset + i as u64)))
    }

    fn put(&mut self, store: usize, offset: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            self.stores[store].insert(offset + i as u64, *byte);
        }
    }

    fn request(&mut self, r: &RawRequest) -> (Status, Line) {
        let mut answer = [0; 64];
        let status = self.carry_out(r, &mut answer).err().unwrap_or(Status::Ok);
        (status, answer)
    }

    fn carry_out(&mut self, r: &RawRequest, answer: &mut Line) -> Result<(), Status> {
        let op = Op::from_code(r.op).ok_or(Status::BadRequest)?;
        let unit = if op == Op::Read || op == Op::Write { 64 } else { 8 };
        if r.va % unit != 0 || r.va >> 48 != 0 {
            return Err(Status::BadRequest);
        }
        let base = page_base(r.va);
        let page = *self.pages.get(&(r.pid, base)).ok_or(Status::NotMapped)?;
        let (reads, writes) = match op {
            Op::Read => (true, false),
            Op::Write => (false, true),
            _ => (true, true),
        };
        if reads && !page.read || writes && !page.write {
            return Err(Status::NoPermission);
        }
        let store = match page.bytes {
            Some(store) => store,
            None if !writes => return Ok(()),
            None => {
                let frames = self.frames.entry(PageSize::of(r.va)).or_default();
                *frames = frames.checked_sub(1).ok_or(Status::NoMemory)?;
                let store = self.new_store();
                if let Some(page) = self.pages.get_mut(&(r.pid, base)) {
                    page.bytes = Some(store);
                }
                store
            }
        };
        let offset = r.va - base;
        match op {
            Op::Read => {
                for (i, byte) in answer.iter_mut().enumerate() {
                    *byte = self.get(store, offset + i as u64);
                }
            }
            Op::Write => {
                for i in (0..64).filter(|i| r.mask >> i & 1 == 1) {
                    self.put(store, offset + i, &[r.data[i as usize]]);
                }
            }
            Op::FetchAdd | Op::CompareSwap => {
                let old = self.word(store, offset);
                let operand =
                    |i: usize| u64::from_le_bytes(std::array::from_fn(|byte| r.data[8 * i + byte]));
                let new = match op {
                    Op::FetchAdd => old.wrapping_add(operand(0)),
                    _ if old == operand(1) => operand(0),
                    _ => old,
                };
                self.put(store, offset, &new.to_le_bytes());
                answer[..8].copy_from_slice(&old.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// One random step.
#[derive(Clone, Debug)]
enum Step {
    Request { port: u8, request: RawRequest },
    Insert { pid: u16, page: usize, flags: u32 },
    Protect { pid: u16, page: usize, flags: u32 },
    Free { pid: u16, page: usize },
    Share { from: u16, to: u16, page: usize, flags: u32 },
}

/// Few pages, so that steps meet. Pages 64 apart share a bucket of one process.
fn address(page: usize) -> u64 {
    match page {
        0..8 => 0x1234_0000 + 0x1000 * page as u64,
        8..16 => 0x1234_0000 + 0x40_000 * page as u64,
        _ => HUGE | (page as u64) << 21,
    }
}
const PAGES: usize = 19;

fn request() -> impl Strategy<Value = RawRequest> {
    let op = prop_oneof![
        8 => Just(0u8), 6 => Just(1u8), 3 => Just(2u8), 3 => Just(3u8), 1 => 4..8u8
    ];
    // Few lines and few values: reads shall find what was written, compares shall match.
    let offset = prop_oneof![
        8 => (0..4u64).prop_map(|line| 64 * line),
        4 => (0..32u64).prop_map(|word| 8 * word),
        2 => Just(0xfc0u64),
        1 => 0..256u64,
    ];
    let mask = prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), Just(0xff00)];
    let beyond = prop_oneof![30 => Just(0), 1 => Just(1u64 << 48)];
    (
        op,
        0..3u16,
        0..PAGES,
        offset,
        mask,
        beyond,
        any::<u16>(),
        proptest::collection::vec(0..3u8, 16),
    )
        .prop_map(|(op, pid, page, offset, mask, beyond, tag, small)| {
            let va = address(page) + offset + beyond;
            // Bytes of 8-byte operands that are mostly zero, noise behind them.
            let mut data: Line = std::array::from_fn(|i| (i as u8).wrapping_mul(tag as u8 | 1));
            data[..16].fill(0);
            (data[0], data[8]) = (small[0], small[8]);
            RawRequest { op, tag, pid, va, mask, data }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![3 => Just(RW), 1 => Just(R), 1 => Just(W), 1 => Just(0)];
    prop_oneof![
        30 => (0..2u8, request()).prop_map(|(port, request)| Step::Request { port, request }),
        6 => (0..3u16, 0..PAGES, flags.clone())
            .prop_map(|(pid, page, flags)| Step::Insert { pid, page, flags }),
        2 => (0..3u16, 0..PAGES, flags.clone())
            .prop_map(|(pid, page, flags)| Step::Protect { pid, page, flags }),
        2 => (0..3u16, 0..PAGES).prop_map(|(pid, page)| Step::Free { pid, page }),
        2 => (0..3u16, 0..3u16, 0..PAGES, flags)
            .prop_map(|(from, to, page, flags)| Step::Share { from, to, page, flags }),
    ]
}

struct Both {
    model: Model,
    oracle: Oracle,
}

impl Both {
    fn new() -> Self {
        let mut both = Self { model: Model::new(HwConfig::SMALL), oracle: Oracle::default() };
        write(&mut both.model, &regs::TABLE_SIZE, TABLE_LOG2);
        write(&mut both.model, &regs::CONTROL, 1);
        // Fewer frames than pages, so that they run out. Both lists get dirty memory.
        both.model.write_physical(0x10_000, &vec![0xee; 0x10_000]);
        both.push(16, 12, PageSize::Small);
        both.push(4096, 2, PageSize::Huge);
        both
    }

    fn push(&mut self, frame: u32, count: u32, size: PageSize) {
        push_frames(&mut self.model, frame, count, size);
        *self.oracle.frames.entry(size).or_default() += count;
    }

    fn insert(&mut self, at: Pages, flags: u32, bytes: Option<(u32, usize)>) {
        let ended = match bytes {
            Some((frame, _)) => insert_frame(&mut self.model, at, flags | SHARED, frame),
            None => insert(&mut self.model, at, flags),
        };
        let load = self.oracle.load.entry(hash::bucket(at.pid, at.va, TABLE_LOG2)).or_default();
        let exists = self.oracle.pages.contains_key(&(at.pid, at.va));
        let error = match (exists, *load) {
            (true, _) => TableError::Exists as u32,
            (false, 4) => TableError::BucketFull as u32,
            _ => 0,
        };
        if error == 0 {
            *load += 1;
            let bytes = bytes.map(|(_, store)| store);
            let page = Page { read: flags & R != 0, write: flags & W != 0, bytes };
            self.oracle.pages.insert((at.pid, at.va), page);
        }
        assert_eq!(ended, Ended { done: (error == 0) as u32, error, busy: false });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Request { port, request } => {
                let foreseen = self.model.peek_status(&request, Choice::Current);
                let answer = self.model.request_as(port, &request, Choice::Current);
                let expected = self.oracle.request(&request);
                assert_eq!((answer.status, answer.data), expected, "{request:?}");
                assert_eq!((foreseen, answer.tag), (answer.status, request.tag));
            }
            Step::Insert { pid, page: n, flags } => self.insert(page(pid, address(n)), flags, None),
            Step::Protect { pid, page: n, flags } => {
                let ended = protect(&mut self.model, page(pid, address(n)), flags);
                let page = self.oracle.pages.get_mut(&(pid, address(n)));
                assert_eq!(ended.done, page.is_some() as u32);
                if let Some(page) = page {
                    (page.read, page.write) = (flags & R != 0, flags & W != 0);
                }
            }
            Step::Free { pid, page: n } => self.free(page(pid, address(n))),
            Step::Share { from, to, page: n, flags } => {
                let va = address(n);
                let source = self.oracle.pages.get(&(from, va)).and_then(|page| page.bytes);
                let Some(store) = source else { return };
                assert_eq!(query(&mut self.model, page(from, va)).error, 0);
                let found = result(&mut self.model).expect("a query's result");
                let frame = field::TE_RESULT::FRAME.get(found);
                self.insert(page(to, va), flags, Some((frame, store)));
            }
        }
    }

    fn free(&mut self, at: Pages) {
        let unmapped = unmap(&mut self.model, at);
        let page = self.oracle.pages.remove(&(at.pid, at.va));
        assert_eq!(unmapped.done, page.is_some() as u32);
        let Some(page) = page else { return };
        shoot_down(&mut self.model, ShootdownCommand::Pages, at);
        assert_eq!(collect(&mut self.model, at), Ended { done: 1, error: 0, busy: false });
        *self.oracle.load.get_mut(&hash::bucket(at.pid, at.va, TABLE_LOG2)).expect("a bucket") -= 1;
        let found = result(&mut self.model);
        assert_eq!(found.is_some(), page.bytes.is_some());
        // The last mapping gives the frame back.
        let shared = self.oracle.pages.values().any(|other| other.bytes == page.bytes);
        if let (Some(found), false) = (found, shared) {
            self.push(field::TE_RESULT::FRAME.get(found), 1, PageSize::of(at.va));
        }
    }

    /// All memory by the way around the requests.
    fn compare(&self) {
        for (&(pid, va), page) in &self.oracle.pages {
            let mut bytes = [0; 4096];
            self.model.read_virtual(pid, va, &mut bytes).expect("mapped");
            for (offset, byte) in bytes.iter().enumerate() {
                let expected = page.bytes.map_or(0, |store| self.oracle.get(store, offset as u64));
                assert_eq!(*byte, expected, "pid {pid}, {:#x}", va + offset as u64);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        rng_seed: RngSeed::Fixed(0x5eed_0001),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn requests_agree_with_the_oracle(steps in proptest::collection::vec(step(), 1..400)) {
        let mut both = Both::new();
        for step in steps {
            both.take(step);
        }
        both.compare();
        let pending = [&regs::PENDING_4K, &regs::PENDING_2M].map(|r| read(&mut both.model, r));
        let expected = [PageSize::Small, PageSize::Huge].map(|size| both.oracle.frames[&size]);
        prop_assert_eq!(pending, expected);
    }
}
