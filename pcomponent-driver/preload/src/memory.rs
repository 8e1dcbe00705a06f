//! `mmap` and its relatives, as the program calls them.

use std::sync::atomic::{AtomicUsize, Ordering};

use pcomponent_driver::transparent::sys::{self, Errno};
use pcomponent_driver::transparent::Move;
use pcomponent_driver::transport::PAGE_BYTES;

use crate::gate;

static START: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
static SMALLEST: AtomicUsize = AtomicUsize::new(0);

/// The managed range, and the smallest mapping that goes there.
pub fn set_range(range: std::ops::Range<usize>, smallest: usize) {
    START.store(range.start, Ordering::Relaxed);
    END.store(range.end, Ordering::Relaxed);
    SMALLEST.store(smallest, Ordering::Relaxed);
}

/// Whether an address is in the managed range.
#[inline]
pub fn is_managed(address: usize) -> bool {
    address.wrapping_sub(START.load(Ordering::Relaxed))
        < END.load(Ordering::Relaxed) - START.load(Ordering::Relaxed)
}

fn touches(address: usize, bytes: usize) -> bool {
    address < END.load(Ordering::Relaxed)
        && address.saturating_add(bytes) > START.load(Ordering::Relaxed)
}

fn answer(result: Result<usize, Errno>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(errno) => -(errno.0 as isize),
    }
}

fn done(result: Result<(), Errno>) -> isize {
    answer(result.map(|()| 0))
}

fn pass(n: i64, args: [usize; 6]) -> isize {
    // SAFETY: the program's own call, on memory that is not ours.
    unsafe { sys::raw(n, args) }
}

/// Mappings that stay with the kernel: they have needs that managed memory does not meet, or are
/// too near to the machine (stacks, on which the kernel itself writes).
const OUTSIDE: i32 = libc::MAP_STACK
    | libc::MAP_GROWSDOWN
    | libc::MAP_HUGETLB
    | libc::MAP_32BIT
    | libc::MAP_LOCKED
    | libc::MAP_FIXED_NOREPLACE;

/// `mmap`.
pub fn mmap(args: [usize; 6]) -> isize {
    let [address, bytes, prot, flags, ..] = args;
    let (prot, flags) = (prot as i32, flags as i32);
    let ours = flags & (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
        == libc::MAP_PRIVATE | libc::MAP_ANONYMOUS
        && prot & !(libc::PROT_READ | libc::PROT_WRITE) == 0;
    if flags & libc::MAP_FIXED != 0 && touches(address, bytes) {
        if ours {
            let mapped = gate::engine(|engine| engine.map_over(address, bytes, prot));
            return answer(mapped.map(|()| address));
        }
        sys::say(&["splitmem: refused: a file, or code, mapped over managed memory\n"]);
        return -(libc::EINVAL as isize);
    }
    if !ours || flags & (OUTSIDE | libc::MAP_FIXED) != 0 || bytes < SMALLEST.load(Ordering::Relaxed)
    {
        return pass(libc::SYS_mmap, args);
    }
    let noreserve = flags & libc::MAP_NORESERVE != 0;
    answer(gate::engine(|engine| engine.map(bytes, prot, noreserve)))
}

/// `munmap`.
pub fn munmap(args: [usize; 6]) -> isize {
    let [address, bytes, ..] = args;
    if !touches(address, bytes) {
        return pass(libc::SYS_munmap, args);
    }
    done(gate::engine(|engine| engine.unmap(address, bytes)))
}

/// `mprotect` and `pkey_mprotect`.
pub fn mprotect(n: i64, args: [usize; 6]) -> isize {
    let [address, bytes, prot, ..] = args;
    if !touches(address, bytes) {
        return pass(n, args);
    }
    if n != libc::SYS_mprotect {
        return -(libc::ENOSYS as isize);
    }
    done(gate::engine(|engine| engine.protect(address, bytes, prot as i32)))
}

/// `mremap`.
pub fn mremap(args: [usize; 6]) -> isize {
    let [address, old, new, flags, target, _] = args;
    let flags = flags as i32;
    if !touches(address, old) {
        let fixed = flags & libc::MREMAP_FIXED != 0;
        if fixed && touches(target, new) {
            return -(libc::EINVAL as isize);
        }
        return pass(libc::SYS_mremap, args);
    }
    let place = match flags {
        0 => Move::No,
        libc::MREMAP_MAYMOVE => Move::Anywhere,
        _ => {
            sys::say(&["splitmem: refused: mremap of managed memory to a given place\n"]);
            return -(libc::EINVAL as isize);
        }
    };
    answer(gate::engine(|engine| engine.remap(address, old, new, place)))
}

/// `madvise`.
pub fn madvise(args: [usize; 6]) -> isize {
    let [address, bytes, advice, ..] = args;
    if !touches(address, bytes) {
        return pass(libc::SYS_madvise, args);
    }
    match advice as i32 {
        libc::MADV_DONTNEED | libc::MADV_FREE => {
            done(gate::engine(|engine| engine.clear(address, bytes)))
        }
        // Hints, which may be ignored. Large pages and merging would take or give frames uncounted.
        libc::MADV_NORMAL
        | libc::MADV_RANDOM
        | libc::MADV_SEQUENTIAL
        | libc::MADV_WILLNEED
        | libc::MADV_COLD
        | libc::MADV_PAGEOUT
        | libc::MADV_HUGEPAGE
        | libc::MADV_NOHUGEPAGE
        | libc::MADV_MERGEABLE
        | libc::MADV_UNMERGEABLE
        | libc::MADV_DODUMP
        | libc::MADV_DONTDUMP
        | libc::MADV_DOFORK => 0,
        _ => -(libc::EINVAL as isize),
    }
}

/// `brk`: the heap does not grow, so `malloc` turns to `mmap`, where all mappings are managed.
pub fn brk(args: [usize; 6]) -> isize {
    let all = SMALLEST.load(Ordering::Relaxed) <= PAGE_BYTES;
    pass(libc::SYS_brk, if all { [0; 6] } else { args })
}

/// `mlock` and its relatives: managed memory cannot be held.
pub fn mlock(n: i64, args: [usize; 6]) -> isize {
    let all = n == libc::SYS_mlockall;
    if all || touches(args[0], args[1]) {
        return -(libc::ENOMEM as isize);
    }
    pass(n, args)
}
