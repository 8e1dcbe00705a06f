//! A program that does everything with its memory that programs do, and checks what it finds there.
//! Nothing in it knows of Splitmem: it is run with and without.
//!
//! `splitmem-stress SECONDS THREADS SEED [overfill|promise|uffd]`

use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;

/// Small, seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn pattern(key: u64, i: usize) -> u8 {
    (key.wrapping_add(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn fill(bytes: &mut [u8], key: u64) {
    bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = pattern(key, i));
}

fn is_filled(bytes: &[u8], key: u64) -> bool {
    bytes.iter().enumerate().all(|(i, byte)| *byte == pattern(key, i))
}

fn check(bytes: &[u8], key: u64, what: &str) {
    if let Some(i) = (0..bytes.len()).find(|i| bytes[*i] != pattern(key, *i)) {
        eprintln!("CORRUPT: {what}: byte {i} of {} at {:p}", bytes.len(), bytes.as_ptr());
        std::process::abort();
    }
}

/// A mapping of the program's own.
struct Map(*mut u8, usize);

impl Map {
    fn new(pages: usize) -> Self {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), pages * PAGE, prot, flags, -1, 0) };
        assert!(at != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        Self(at.cast(), pages * PAGE)
    }
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: ours, readable and writable whenever this is called.
        unsafe { std::slice::from_raw_parts_mut(self.0, self.1) }
    }
    fn protect(&mut self, pages: usize, prot: i32) {
        // SAFETY: ours.
        assert_eq!(unsafe { libc::mprotect(self.0.cast(), pages * PAGE, prot) }, 0);
    }
    fn forget(&mut self, pages: usize) {
        // SAFETY: ours, and what it holds is given up.
        assert_eq!(unsafe { libc::madvise(self.0.cast(), pages * PAGE, libc::MADV_DONTNEED) }, 0);
    }
}

fn mappings(random: &mut Random) {
    let pages = 4 + random.below(40);
    let key = random.next();
    let mut map = Map::new(pages);
    assert!(map.bytes().iter().all(|byte| *byte == 0), "a new mapping holds zeros");
    fill(map.bytes(), key);
    map.protect(pages / 2, libc::PROT_NONE);
    let busy = vec![1u8; 40 * PAGE];
    map.protect(pages / 2, libc::PROT_READ);
    check(map.bytes(), key, "mprotect");
    map.protect(pages / 2, libc::PROT_READ | libc::PROT_WRITE);
    let more = pages + 1 + random.below(30);
    let at = map.0;
    // SAFETY: ours; nothing borrows it.
    let new = unsafe { libc::mremap(at.cast(), pages * PAGE, more * PAGE, libc::MREMAP_MAYMOVE) };
    assert!(new != libc::MAP_FAILED, "mremap: {}", std::io::Error::last_os_error());
    (map.0, map.1) = (new.cast(), more * PAGE);
    check(&map.bytes()[..pages * PAGE], key, "mremap");
    assert!(map.bytes()[pages * PAGE..].iter().all(|byte| *byte == 0), "growth holds zeros");
    map.forget(2);
    assert!(map.bytes()[..2 * PAGE].iter().all(|byte| *byte == 0), "forgotten");
    // SAFETY: ours, and not used again.
    unsafe { libc::munmap(map.0.cast(), map.1) };
    drop(busy);
}

/// Through the kernel and back: it reads from pages that are not there, and writes to such.
fn through_the_kernel(random: &mut Random) {
    let key = random.next();
    let mut out = vec![0; 1 + random.below(400_000)];
    fill(&mut out, key);
    let mut back = vec![0; out.len()];
    let mut ends = [0; 2];
    // SAFETY: two new descriptors, owned below.
    let (mut read, mut write) = unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        (std::fs::File::from_raw_fd(ends[0]), std::fs::File::from_raw_fd(ends[1]))
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write.write_all(&out).expect("a pipe takes it"));
        read.read_exact(&mut back).expect("a pipe gives it");
    });
    check(&back, key, "pipe");
    let mut file = tempfile();
    file.write_all(&out).expect("a file takes it");
    file.rewind().expect("a file can be rewound");
    back.fill(0);
    file.read_exact(&mut back).expect("a file gives it");
    check(&back, key, "file");
}

fn tempfile() -> std::fs::File {
    // SAFETY: a new descriptor, owned from here on.
    unsafe {
        let fd = libc::memfd_create(c"stress".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd: {}", std::io::Error::last_os_error());
        std::fs::File::from_raw_fd(fd)
    }
}

/// More than the frames that the tests give: reading it drives all else out.
const OTHERS: usize = 600 * PAGE;

/// The child sees what was, and what it writes the parent does not see.
fn fork(random: &mut Random) {
    let key = random.next();
    let mut block = vec![0; 50_000 + random.below(200_000)];
    fill(&mut block, key);
    // Out with it and in again, so that it is there and unchanged when the child comes.
    let others = vec![1u8; OTHERS];
    check(&block, key, "before the child");
    // SAFETY: the child touches only these blocks, and ends without running anything else.
    unsafe {
        match libc::fork() {
            0 => {
                let right = is_filled(&block, key);
                fill(&mut block, !key);
                let sum = others.iter().step_by(PAGE).map(|byte| u64::from(*byte)).sum::<u64>();
                let right = right && sum == (OTHERS / PAGE) as u64;
                libc::_exit(if right && is_filled(&block, !key) { 7 } else { 1 });
            }
            child if child > 0 => {
                let mut status = 0;
                check(&block, key, "parent during the child's life");
                libc::waitpid(child, &mut status, 0);
                assert!(
                    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7,
                    "child: {status:#x}"
                );
            }
            _ => panic!("fork: {}", std::io::Error::last_os_error()),
        }
    }
    check(&block, key, "parent after the child");
}

type Shared = Arc<(Mutex<Vec<(u64, Vec<u8>)>>, Condvar)>;

fn work(random: &mut Random, shared: &Shared, blocks: &mut Vec<(u64, Vec<u8>)>) {
    match random.below(100) {
        0 => fork(random),
        1..=9 => mappings(random),
        10..=14 => through_the_kernel(random),
        15..=24 => {
            // One thread's block becomes another's.
            let (lock, changed) = &**shared;
            let mut pool = lock.lock().expect("nobody panics holding it");
            if let Some(block) = blocks.pop() {
                pool.push(block);
                changed.notify_one();
            }
            if pool.is_empty() {
                pool = changed.wait_timeout(pool, Duration::from_millis(1)).expect("as above").0;
            }
            blocks.extend(pool.pop());
        }
        25..=54 => {
            let key = random.next();
            let bits = 4 + random.below(14);
            let size = 1 + random.below(1 << bits);
            let mut block = vec![0; size];
            fill(&mut block, key);
            blocks.push((key, block));
        }
        55..=69 if !blocks.is_empty() => {
            let i = random.below(blocks.len());
            let (key, mut block) = blocks.swap_remove(i);
            check(&block, key, "before growth");
            let len = block.len();
            block.extend((len..2 * len).map(|i| pattern(key, i)));
            check(&block, key, "after growth");
            if block.len() < 1 << 18 {
                blocks.push((key, block));
            }
        }
        _ if blocks.len() > 30 => {
            let i = random.below(blocks.len());
            let (key, block) = blocks.swap_remove(i);
            check(&block, key, "at the end");
        }
        _ => {
            for (key, block) in blocks.iter() {
                check(block, *key, "in between");
            }
        }
    }
}

/// Maps more than there is, with or without asking for a promise.
fn beyond(flags: i32) {
    let bytes = 256 << 20;
    let (prot, all) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, touched only inside.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), bytes, prot, all | flags, -1, 0);
        if at == libc::MAP_FAILED {
            println!("refused: {}", std::io::Error::last_os_error());
            return;
        }
        for page in 0..bytes / PAGE {
            at.cast::<u8>().add(page * PAGE).write_volatile(1);
        }
    }
    println!("all written");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |i: usize, or: u64| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (seconds, threads, seed) = (number(1, 1), number(2, 4), number(3, 1));
    match arguments.get(4).map(String::as_str) {
        Some("overfill") => return beyond(libc::MAP_NORESERVE),
        Some("promise") => return beyond(0),
        Some("uffd") => {
            // SAFETY: gives a new descriptor, or fails.
            let answer = unsafe { libc::syscall(libc::SYS_userfaultfd, 1) };
            println!("userfaultfd: {answer} {}", std::io::Error::last_os_error());
            return;
        }
        _ => {}
    }
    let shared: Shared = Arc::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    let steps: Vec<_> = (0..threads)
        .map(|thread| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                let mut random = Random(seed.wrapping_mul(1000) + thread + 1);
                (0..20).for_each(|_| _ = random.next());
                let mut blocks = Vec::new();
                let mut steps = 0u64;
                while Instant::now() < end {
                    work(&mut random, &shared, &mut blocks);
                    steps += 1;
                }
                for (key, block) in &blocks {
                    check(block, *key, "when all is done");
                }
                steps
            })
        })
        .collect();
    let steps: u64 = steps.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    println!("seed {seed}: {steps} steps, all as it should be");
}
