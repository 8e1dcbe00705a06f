//! Every cache, with every combination of its policies, against a flat vector of bytes.

mod common;

use common::{caches, component, describe, lock};
use pcomponent_driver::config::CacheConfig;
use pcomponent_driver::{CacheStats, RemoteMemory, RemoteSlice};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Bytes of the memory under test: more pages than any of the caches has frames.
const BYTES: usize = 30 * 4096 + 100;

#[derive(Clone, Debug)]
enum Step {
    Read { at: usize, len: usize },
    Write { at: usize, len: usize, value: u8 },
    FetchAdd { word: usize, addend: u64 },
    CompareSwap { word: usize, hit: bool, new: u64 },
    Flush,
    Evict,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || prop_oneof![4 => 1usize..20, 2 => 1usize..300, 1 => 4000usize..20_000];
    // Whole pages, and often the same few places.
    let at = || {
        prop_oneof![
            2 => 0..BYTES,
            1 => (0usize..30).prop_map(|page| page * 4096),
            1 => 0usize..3 * 4096,
        ]
    };
    let word = || 0..BYTES / 8;
    let step = prop_oneof![
        8 => (at(), len()).prop_map(|(at, len)| Step::Read { at, len }),
        8 => (at(), len(), any::<u8>()).prop_map(|(at, len, value)| Step::Write { at, len, value }),
        1 => (word(), any::<u64>()).prop_map(|(word, addend)| Step::FetchAdd { word, addend }),
        1 => (word(), any::<bool>(), any::<u64>())
            .prop_map(|(word, hit, new)| Step::CompareSwap { word, hit, new }),
        1 => Just(Step::Flush),
        1 => Just(Step::Evict),
    ];
    prop::collection::vec(step, 1..120)
}

fn word_at(oracle: &[u8], word: usize) -> u64 {
    u64::from_le_bytes(oracle[word * 8..][..8].try_into().unwrap())
}

fn run(
    cache: CacheConfig,
    (delay, at_hand): (u64, bool),
    seed: u64,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let (sim, handle) = component(seed, delay);
    let memory = RemoteMemory::connect(sim.at_hand(at_hand), 5, cache).unwrap();
    // A neighbour of another process, whose pages must not mix with these.
    let other = memory.with_pid(6).alloc::<u8>(8 * 4096).unwrap();
    other.fill(0xee).unwrap();
    let words = memory.alloc::<u64>(BYTES.div_ceil(8)).unwrap();
    let (pid, va) = (memory.pid(), words.va());
    let mut oracle = vec![0u8; BYTES];
    for step in steps {
        match *step {
            Step::Read { at, len } => {
                let len = len.min(BYTES - at);
                prop_assert_eq!(&read(&words, at, len), &oracle[at..at + len], "{:?}", step);
            }
            Step::Write { at, len, value } => {
                let len = len.min(BYTES - at);
                let bytes: Vec<u8> = (0..len).map(|i| value.wrapping_add(i as u8)).collect();
                write(&words, at, &bytes);
                oracle[at..at + len].copy_from_slice(&bytes);
            }
            Step::FetchAdd { word, addend } => {
                let old = word_at(&oracle, word);
                prop_assert_eq!(words.fetch_add(word, addend).unwrap(), old);
                oracle[word * 8..][..8].copy_from_slice(&old.wrapping_add(addend).to_le_bytes());
            }
            Step::CompareSwap { word, hit, new } => {
                let old = word_at(&oracle, word);
                let expected = if hit { old } else { !old };
                prop_assert_eq!(words.compare_swap(word, expected, new).unwrap(), old);
                if hit {
                    oracle[word * 8..][..8].copy_from_slice(&new.to_le_bytes());
                }
            }
            Step::Flush => {
                memory.flush().unwrap();
                prop_assert!(lock(&handle).bytes(pid, va, BYTES) == oracle);
            }
            Step::Evict => words.evict().unwrap(),
        }
    }
    prop_assert_eq!(read(&words, 0, BYTES), oracle);
    prop_assert!(other.to_vec().unwrap().iter().all(|byte| *byte == 0xee));
    if let CacheStats::ExCache(stats) = memory.stats() {
        let filled = stats.zero_fills + stats.overwrites + stats.victim_hits + stats.fetches;
        prop_assert_eq!(stats.misses, filled + stats.prefetch_late, "{:?}", stats);
        prop_assert!(stats.prefetch_useful + stats.prefetch_unused <= stats.prefetch_issued);
        prop_assert_eq!(lock(&handle).page_reads, stats.fetches + stats.prefetch_issued);
    }
    drop(words);
    drop(other);
    let component = lock(&handle);
    prop_assert_eq!((component.allocations(), component.frees), (0, 2));
    prop_assert_eq!(component.overlaps, 0);
    Ok(())
}

/// Reads bytes through the slice of words, at any offset.
fn read(words: &RemoteSlice<u64>, at: usize, len: usize) -> Vec<u8> {
    // One word alone takes the path of `get`, several that of `read`.
    if at % 8 + len <= 8 {
        return words.get(at / 8).unwrap().to_le_bytes()[at % 8..][..len].to_vec();
    }
    let last = (at + len).div_ceil(8);
    let mut out = vec![0u64; last - at / 8];
    words.read(at / 8, &mut out).unwrap();
    bytemuck::cast_slice::<u64, u8>(&out)[at % 8..][..len].to_vec()
}

/// Writes bytes through a slice of the words where they are aligned, and through bytes elsewhere.
fn write(words: &RemoteSlice<u64>, at: usize, bytes: &[u8]) {
    words.as_bytes().write(at, bytes).unwrap();
}

#[test]
fn all_policies_agree_with_a_vector() {
    for (i, cache) in caches().into_iter().enumerate() {
        for (delay, at_hand) in [(0, false), (5, false), (5, true)] {
            let seed = i as u64 * 2 + delay;
            println!("seed {seed}, delay {delay}, at hand {at_hand}: {}", describe(&cache));
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed as u8 + 1; 32]);
            let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
            TestRunner::new_with_rng(config, rng)
                .run(&steps(), |steps| run(cache.clone(), (delay, at_hand), seed, &steps))
                .unwrap_or_else(|failure| panic!("{}: {failure}", describe(&cache)));
        }
    }
}
