//! The accesses: the same whatever memory is under them.
//!
//! Every page of 4 KiB is filled with half random words, half zeros, so that it compresses about as
//! data does. A *touch* reads one word of a page, which tells which page it is and is checked; a
//! read-modify-write touch counts there too. Touches go over pages at random or in order; before they
//! are timed, as many go by as bring the memory into the state in which it stays.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::error::CliError;
use crate::workload::MemoryError;

/// Words of a page.
pub const PAGE_WORDS: usize = 512;

/// Which page is touched next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Any one.
    Random,
    /// The one behind.
    Sequential,
}

/// What a touch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// Reads a word.
    Read,
    /// Reads a word, adds one, writes it.
    Rmw,
}

/// One thread's memory, in 8-byte words; whole pages.
pub trait Part: Send {
    /// Words.
    fn words(&self) -> usize;

    /// Reads a word.
    ///
    /// # Errors
    /// What the memory has against it.
    fn read(&self, word: usize) -> Result<u64, MemoryError>;

    /// Writes a word.
    ///
    /// # Errors
    /// What the memory has against it.
    fn write(&mut self, word: usize, value: u64) -> Result<(), MemoryError>;

    /// Writes a page.
    ///
    /// # Errors
    /// What the memory has against it.
    fn write_page(&mut self, page: usize, words: &[u64; PAGE_WORDS]) -> Result<(), MemoryError>;
}

/// A generator of a few instructions, so that it does not hide what is measured (Knuth's MMIX).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0 >> 33
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() * end as u64) >> 31) as usize
    }
}

/// The word of a page that is touched: not always in the same line of the page.
fn touched_word(page: usize) -> usize {
    page * PAGE_WORDS + (page * 40) % PAGE_WORDS
}

/// What a touched word holds above its count.
fn tag(page: usize) -> u64 {
    ((page as u64) ^ 0x5eed) << 32 | 1 << 63
}

/// Fills a part.
///
/// # Errors
/// The memory's, and a broken barrier between them.
pub fn fill(part: &mut impl Part, seed: u64) -> Result<(), MemoryError> {
    let mut random = Random(seed);
    let mut words = [0; PAGE_WORDS];
    for page in 0..part.words() / PAGE_WORDS {
        for word in words.iter_mut().step_by(2) {
            *word = random.next() << 33 ^ random.next();
        }
        words[touched_word(page) % PAGE_WORDS] = tag(page);
        part.write_page(page, &words)?;
    }
    Ok(())
}

/// What one thread saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Touched {
    /// Touches before it was timed.
    pub warm_up: u64,
    /// Touches.
    pub touches: u64,
    /// Time that they took.
    pub time: Duration,
}

/// What all threads saw together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Touches of all threads, but for those before it was timed.
    pub touches: u64,
    /// And those.
    pub warm_up: u64,
    /// Nanoseconds a touch took its thread, on average.
    pub touch_ns: f64,
    /// Nanoseconds of processor time a touch, of the whole process, system calls and faults included.
    pub cpu_ns: f64,
}

/// What brings memory into its state takes at most so many times as long as a measurement: on a slow
/// disk it would take minutes.
const WARM_UP: u32 = 2;

/// Touches between looks at the clock, at least and at most.
const STRIDE: u64 = 32;
const LONGEST_STRIDE: u64 = 1024;

/// Touches pages in several threads, each in its own part, for some time.
///
/// # Errors
/// [`CliError::Mismatch`] if a page held what it should not, or the memory's.
pub fn measure<P: Part>(
    parts: &mut [P],
    (pattern, op): (Pattern, Op),
    warm_up: u64,
    time: Duration,
) -> Result<Measured, CliError> {
    let start = Barrier::new(parts.len());
    let mut cpu = 0.0;
    let threads: Vec<Result<Touched, CliError>> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (thread, part) in parts.iter_mut().enumerate() {
            let start = &start;
            running.push(scope.spawn(move || {
                let mut walk = Walk { random: Random(thread as u64 + 1), page: 0 };
                let warm = timed(part, &mut walk, (pattern, op), WARM_UP * time, warm_up);
                // A thread that failed comes here too: the others wait for it.
                start.wait();
                let Touched { touches: warm_up, .. } = warm?;
                let touched = timed(part, &mut walk, (pattern, op), time, u64::MAX)?;
                Ok(Touched { warm_up, ..touched })
            }));
        }
        let joined = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(CliError::Mismatch("a thread died".into())))
        };
        // Roughly from the end of the warm-up: it is counted in proportion below.
        let before = cpu_seconds();
        let results = running.into_iter().map(joined).collect();
        cpu = cpu_seconds() - before;
        results
    });
    let mut all = Touched::default();
    for touched in threads {
        let touched = touched?;
        all.warm_up += touched.warm_up;
        all.touches += touched.touches;
        all.time += touched.time;
    }
    Ok(Measured {
        touches: all.touches,
        warm_up: all.warm_up,
        touch_ns: all.time.as_secs_f64() * 1e9 / all.touches.max(1) as f64,
        cpu_ns: cpu * 1e9 / (all.touches + all.warm_up).max(1) as f64,
    })
}

/// A thread's way over its pages.
struct Walk {
    random: Random,
    page: usize,
}

impl Walk {
    #[inline]
    fn touch(&mut self, part: &mut impl Part, pattern: Pattern, op: Op) -> Result<(), CliError> {
        let pages = part.words() / PAGE_WORDS;
        let page = match pattern {
            Pattern::Random => self.random.below(pages),
            Pattern::Sequential => {
                let page = self.page;
                self.page = if page + 1 == pages { 0 } else { page + 1 };
                page
            }
        };
        let word = touched_word(page);
        let value = part.read(word)?;
        if value >> 32 != tag(page) >> 32 {
            return Err(CliError::Mismatch(format!("page {page} holds {value:#x}")));
        }
        if op == Op::Rmw {
            // The count stays below the tag.
            part.write(word, tag(page) | (value + 1) & u64::from(u32::MAX))?;
        }
        Ok(())
    }
}

fn timed(
    part: &mut impl Part,
    walk: &mut Walk,
    (pattern, op): (Pattern, Op),
    time: Duration,
    most: u64,
) -> Result<Touched, CliError> {
    let start = Instant::now();
    let mut touches = 0;
    loop {
        // The more there were, the fewer looks: each makes the processor finish what it has begun, which a
        // miss of a microsecond would show. Where a touch takes milliseconds there are never many.
        let stride = (touches / 64).clamp(STRIDE, LONGEST_STRIDE);
        for _ in 0..stride.min(most - touches) {
            walk.touch(part, pattern, op)?;
            touches += 1;
        }
        let elapsed = start.elapsed();
        if elapsed >= time || touches == most {
            return Ok(Touched { warm_up: 0, touches, time: elapsed });
        }
    }
}

/// Reads in a round of [`word_ns`].
const ROUND: usize = 1 << 21;

/// Nanoseconds of a read of a random word, where all are resident: the best of some rounds, because
/// what others do on this machine is not in question here.
///
/// # Errors
/// The memory's.
pub fn word_ns(part: &impl Part, rounds: u32) -> Result<f64, MemoryError> {
    let part = black_box(part);
    let mut random = Random(1);
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        let mut sum = 0;
        for _ in 0..ROUND {
            sum ^= part.read(random.below(part.words()))?;
        }
        black_box(sum);
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / ROUND as f64);
    }
    Ok(best)
}

/// Processor time of this process so far, in seconds, to the kernel's tick.
fn cpu_seconds() -> f64 {
    /// `USER_HZ`, which Linux promises to every program.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that count how often each page is touched.
    struct Counted {
        words: Vec<u64>,
        touched: std::cell::RefCell<Vec<u32>>,
    }

    impl Part for Counted {
        fn words(&self) -> usize {
            self.words.len()
        }
        fn read(&self, word: usize) -> Result<u64, MemoryError> {
            self.touched.borrow_mut()[word / PAGE_WORDS] += 1;
            Ok(self.words[word])
        }
        fn write(&mut self, word: usize, value: u64) -> Result<(), MemoryError> {
            self.words[word] = value;
            Ok(())
        }
        fn write_page(&mut self, page: usize, new: &[u64; PAGE_WORDS]) -> Result<(), MemoryError> {
            self.words[page * PAGE_WORDS..][..PAGE_WORDS].copy_from_slice(new);
            Ok(())
        }
    }

    fn part(pages: usize) -> Counted {
        let words = vec![0; pages * PAGE_WORDS];
        let mut part = Counted { words, touched: vec![0; pages].into() };
        fill(&mut part, 3).unwrap();
        part
    }

    #[test]
    fn touches_reach_every_page_and_are_counted_in_it() {
        for pattern in [Pattern::Random, Pattern::Sequential] {
            let mut parts = [part(16), part(16)];
            let measured = measure(&mut parts, (pattern, Op::Rmw), STRIDE, Duration::ZERO).unwrap();
            assert_eq!(measured.touches, 2 * STRIDE);
            for part in &parts {
                let counts = (0..16).map(|page| part.words[touched_word(page)] as u32);
                assert_eq!(counts.sum::<u32>(), 2 * STRIDE as u32);
                let touched = part.touched.borrow();
                let even = touched.iter().all(|count| *count == 4);
                assert_eq!(even, pattern == Pattern::Sequential, "{touched:?}");
                assert!(touched.iter().all(|count| *count > 0), "{touched:?}");
            }
        }
    }

    #[test]
    fn a_wrong_page_is_found() {
        let mut parts = [part(4)];
        parts[0].words[touched_word(2)] ^= 1 << 40;
        let wrong = measure(&mut parts, (Pattern::Sequential, Op::Read), 0, Duration::ZERO);
        assert!(matches!(wrong, Err(CliError::Mismatch(_))), "{wrong:?}");
    }

    #[test]
    fn pages_are_half_random() {
        let part = part(4);
        let zeros = part.words.iter().filter(|word| **word == 0).count();
        assert!((4 * PAGE_WORDS / 2 - 4..=4 * PAGE_WORDS / 2).contains(&zeros), "{zeros}");
    }
}
