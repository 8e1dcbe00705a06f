//! The driver on the golden model with the firmware's monitor: what needs both.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use pcomponent_driver::backend::model::{ModelConfig, ModelError, ModelTransport};
use pcomponent_driver::config::{Associativity, CacheConfig, ExCacheConfig, VCacheConfig};
use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo,
};
use pcomponent_driver::{
    AllocOptions, HwConfig, MemoryError, PageSize, Permission, RemoteMemory, RemoteSlice,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::mailbox::{Command, ReturnCode};
use splitmem_abi::regs::Counter;
use splitmem_model::Model;

/// A model that the test can reach while the driver uses it.
#[derive(Clone)]
struct Reachable(Arc<Mutex<ModelTransport>>);

impl Reachable {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(ModelTransport::new(HwConfig::SMALL).unwrap())))
    }

    fn with<R>(&self, work: impl FnOnce(&mut ModelTransport) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn model<R>(&self, work: impl FnOnce(&mut Model) -> R) -> R {
        self.with(|transport| transport.with_model(work))
    }
}

impl Transport for Reachable {
    fn info(&self) -> TransportInfo {
        self.with(|t| t.info())
    }
    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        self.with(|t| t.submit(batch))
    }
    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        self.with(|t| t.poll(done, wait))
    }
    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        self.with(|t| t.mailbox(command))
    }
    fn cycles(&self) -> Option<u64> {
        self.with(|t| t.cycles())
    }
    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        self.with(|t| t.counter(counter))
    }
}

/// One of each kind of cache, all far smaller than what the tests write.
fn caches() -> Vec<CacheConfig> {
    let excache = |eviction: &str| {
        ExCacheConfig::with_bytes(64 * 4096).eviction(eviction.parse().unwrap()).into()
    };
    vec![
        CacheConfig::None,
        VCacheConfig { ways: 4, sets: 64 }.into(),
        excache("write-protect"),
        excache("set-list"),
        excache("victim"),
    ]
}

/// What a range of the component's memory holds, past all caches.
fn at_component(component: &Reachable, slice: &RemoteSlice<u64>, pid: u16) -> Vec<u64> {
    let mut bytes = vec![0u8; slice.len() * 8];
    component.model(|model| model.read_virtual(pid, slice.va(), &mut bytes)).unwrap();
    bytemuck::pod_collect_to_vec(&bytes)
}

#[test]
fn what_is_written_comes_back_and_reaches_the_component() {
    for (seed, cache) in caches().into_iter().enumerate() {
        println!("seed {seed}: {cache:?}");
        let component = Reachable::new();
        let memory = RemoteMemory::connect(component.clone(), 3, cache).unwrap();
        let mut rng = SmallRng::seed_from_u64(seed as u64);
        for page_size in [PageSize::Small, PageSize::Huge] {
            let options = AllocOptions { page_size, ..AllocOptions::default() };
            let words = memory.alloc_with::<u64>(100_000, options).unwrap();
            let mut oracle = vec![0; words.len()];
            for _ in 0..4000 {
                let index = rng.random_range(0..oracle.len());
                if rng.random() {
                    oracle[index] = rng.random();
                    words.set(index, oracle[index]).unwrap();
                } else {
                    assert_eq!(words.get(index).unwrap(), oracle[index]);
                }
            }
            assert_eq!(words.to_vec().unwrap(), oracle);
            memory.flush().unwrap();
            assert!(at_component(&component, &words, 3) == oracle);
        }
    }
}

#[test]
fn freed_memory_goes_back_and_comes_again_as_zeros() {
    for cache in caches() {
        let memory =
            RemoteMemory::connect(ModelTransport::new(HwConfig::SMALL).unwrap(), 1, cache).unwrap();
        // 24 MiB of 32, again and again.
        for round in 1..3u64 {
            let words = memory.alloc::<u64>(3 << 20).unwrap();
            assert!(words.iter().all(|word| word.unwrap() == 0), "round {round}");
            words.fill(round).unwrap();
            assert_eq!(words.get(3_000_000).unwrap(), round);
            words.free().unwrap();
        }
        assert_eq!(memory.component_info().unwrap().mappings, 0);
        let words = memory.alloc::<u64>(512).unwrap();
        assert_eq!(memory.component_info().unwrap().mappings, 1);
        let part = words.slice(10..20).unwrap();
        words.free().unwrap();
        assert_eq!(memory.component_info().unwrap().mappings, 1, "a part is left");
        drop(part);
        assert_eq!(memory.component_info().unwrap().mappings, 0);
    }
}

#[test]
fn more_than_there_is_is_refused() {
    let memory = RemoteMemory::connect(
        ModelTransport::new(HwConfig::SMALL).unwrap(),
        1,
        CacheConfig::default(),
    )
    .unwrap();
    let error = memory.alloc::<u8>(64 << 20).unwrap_err();
    assert!(matches!(error, MemoryError::Refused { code: ReturnCode::NoMemory, .. }), "{error}");
}

#[test]
fn protection_holds_at_once_and_at_the_component() {
    for cache in caches() {
        println!("{cache:?}");
        let component = Reachable::new();
        let memory = RemoteMemory::connect(component.clone(), 1, cache).unwrap();
        let words = memory.alloc::<u64>(4 * 512).unwrap();
        words.fill(8).unwrap();
        words.protect(Permission::RO).unwrap();
        assert!(at_component(&component, &words, 1).iter().all(|word| *word == 8));
        for index in [0, 600] {
            assert_eq!(words.get(index).unwrap(), 8);
            let error = words.set(index, 9).unwrap_err();
            assert!(matches!(error, MemoryError::NoPermission { pid: 1, .. }), "{error}");
            let error = words.fetch_add(index, 1).unwrap_err();
            assert!(matches!(error, MemoryError::NoPermission { pid: 1, .. }), "{error}");
        }
        assert!(words.fill(9).is_err(), "whole pages neither");
        assert!(words.iter().all(|word| word.unwrap() == 8));
        words.protect(Permission::RW).unwrap();
        words.set(600, 10).unwrap();
        assert_eq!(words.get(600).unwrap(), 10);
        words.protect(Permission { read: false, write: false }).unwrap();
        for index in [0, 600] {
            let error = words.get(index).unwrap_err();
            assert!(matches!(error, MemoryError::NoPermission { pid: 1, .. }), "{error}");
        }
        let read_only = AllocOptions { permission: Permission::RO, ..AllocOptions::default() };
        let zeros = memory.alloc_with::<u64>(512, read_only).unwrap();
        assert_eq!(zeros.get(5).unwrap(), 0);
        assert!(matches!(zeros.set(5, 1), Err(MemoryError::NoPermission { .. })));
        assert_eq!(zeros.get(5).unwrap(), 0);
        memory.flush().unwrap();
    }
}

#[test]
fn shared_memory_is_seen_by_both() {
    for cache in caches() {
        println!("{cache:?}");
        let component = Reachable::new();
        let ours = RemoteMemory::connect(component.clone(), 1, cache.clone()).unwrap();
        let theirs = ours.with_pid(2);
        let options = AllocOptions { shareable: true, ..AllocOptions::default() };
        let here = ours.alloc_with::<u64>(2000, options).unwrap();
        assert_eq!(here.get(7).unwrap(), 0);
        let there = here.slice(512..).unwrap().share(&theirs, Permission::RW).unwrap();
        there.set(3, 33).unwrap();
        there.flush().unwrap();
        here.evict().unwrap();
        assert_eq!(here.get(515).unwrap(), 33);
        for _ in 0..5 {
            here.fetch_add(515, 1).unwrap();
            there.fetch_add(3, 10).unwrap();
        }
        assert_eq!(there.compare_swap(3, 88, 1).unwrap(), 88);
        assert_eq!(here.get(515).unwrap(), 1);
        // Dropping one side saves what was written through it.
        there.set(4, 44).unwrap();
        drop(there);
        here.evict().unwrap();
        assert_eq!(here.get(516).unwrap(), 44);
        let private = ours.alloc::<u64>(512).unwrap();
        let refused = private.share(&theirs, Permission::RO);
        assert!(matches!(
            refused,
            Err(MemoryError::Refused { code: ReturnCode::NotShareable, .. })
        ));
    }
}

#[test]
fn poison_is_reported_with_its_place() {
    for cache in caches() {
        println!("{cache:?}");
        let component = Reachable::new();
        let memory = RemoteMemory::connect(component.clone(), 1, cache).unwrap();
        let words = memory.alloc::<u64>(4 * 512).unwrap();
        words.fill(8).unwrap();
        words.evict().unwrap();
        let va = words.va() + 2 * 4096 + 128;
        component.model(|model| {
            let line = model.line_of(1, va).unwrap();
            model.poison(line);
        });
        assert_eq!(words.get(0).unwrap(), 8);
        let error = words.get(2 * 512 + 16).unwrap_err();
        assert!(
            matches!(error, MemoryError::Uncorrectable { pid: 1, va: at } if at & !4095 == va & !4095),
            "{error}"
        );
        // Writing all of it heals it.
        words.fill(9).unwrap();
        words.evict().unwrap();
        assert!(words.iter().all(|word| word.unwrap() == 9));
        assert!(memory.component_counter(Counter::Uncorrectable).is_ok());
    }
}

#[test]
fn counters_come_from_the_component() {
    let memory = RemoteMemory::connect(
        ModelTransport::new(HwConfig { pa_bits: 25, ..HwConfig::LARGE }).unwrap(),
        1,
        CacheConfig::None,
    )
    .unwrap();
    let words = memory.alloc::<u64>(512).unwrap();
    words.set(0, 1).unwrap();
    for _ in 0..10 {
        words.get(0).unwrap();
    }
    assert_eq!(memory.component_counter(Counter::Writes).unwrap(), 1);
    assert_eq!(memory.component_counter(Counter::Reads).unwrap(), 10);
    assert_eq!(memory.component_counter(Counter::Faults4k).unwrap(), 1);
    assert_eq!(memory.component_health().unwrap().uncorrectable_events, 0);
    assert_eq!(memory.transport_info().name, "model");
}

#[test]
fn a_model_that_cannot_be_is_refused() {
    let hardware = HwConfig { tlb_sets: 3, ..HwConfig::SMALL };
    assert!(matches!(ModelTransport::new(hardware), Err(ModelError::Hardware(_))));
    let mut config = ModelConfig::from(HwConfig::SMALL);
    config.monitor.frames = Some(1);
    assert!(matches!(ModelTransport::new(config), Err(ModelError::Monitor(_))));
}

#[test]
fn memory_and_slices_go_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<RemoteMemory>();
    shared::<RemoteSlice<u64>>();
    fn sent<T: Send>() {}
    sent::<ModelTransport>();
}

/// The golden model gives pages without being asked by submissions: several threads that miss on the
/// same pages, with write-backs of others in flight.
#[test]
fn threads_that_miss_on_the_same_pages_see_each_others_writes() {
    for eviction in ["write-protect", "set-list", "victim"] {
        println!("{eviction}");
        let cache = ExCacheConfig::with_bytes(16 * 4096)
            .associativity(Associativity::Ways(8))
            .eviction(eviction.parse().unwrap());
        let component = ModelTransport::new(HwConfig::SMALL).unwrap();
        let memory = RemoteMemory::connect(component, 1, cache).unwrap();
        let words = memory.alloc::<u64>(64 * 512).unwrap();
        const THREADS: usize = 3;
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let words = &words;
                scope.spawn(move || {
                    let mut rng = SmallRng::seed_from_u64(thread as u64);
                    let mut counts = [0u64; 64];
                    for _ in 0..4000 {
                        let page = rng.random_range(0..64usize);
                        let at = 512 * page + thread;
                        assert_eq!(words.get(at).unwrap(), counts[page], "page {page}");
                        counts[page] += 1;
                        words.set(at, counts[page]).unwrap();
                    }
                    counts.iter().sum::<u64>()
                });
            }
        });
        let total: u64 = words.iter().map(|word| word.unwrap()).sum();
        assert_eq!(total, 4000 * THREADS as u64);
        memory.flush().unwrap();
        words.evict().unwrap();
        assert_eq!(words.iter().map(|word| word.unwrap()).sum::<u64>(), total);
    }
}
