//! What a system call touches of managed memory.
//!
//! The kernel cannot bring pages in: for it an absent page is a bad address. So the pages of a call's
//! arguments are brought in and held before the call, and let go after it.

use pcomponent_driver::transparent::{process, sys, EngineError, Pin};
use pcomponent_driver::transport::PAGE_BYTES;

use crate::{gate, memory};

/// Ranges that one call can hold.
const HELD: usize = 96;
/// Times that others are waited for who hold the frames.
const PATIENCE: usize = 2000;

/// Ranges held for one call; let go when dropped.
pub struct Held {
    pins: [Option<Pin>; HELD],
    len: usize,
    last: (usize, bool),
}

impl Held {
    /// Nothing held.
    pub fn new() -> Self {
        Self { pins: [None; HELD], len: 0, last: (usize::MAX, false) }
    }

    /// Holds the managed pages of a range; `ENOMEM` if too much is held already.
    pub fn hold(&mut self, address: usize, bytes: usize, write: bool) -> Result<(), isize> {
        self.hold_patiently(address, bytes, write, PATIENCE)
    }

    /// As [`Self::hold`], without waiting for others.
    pub fn hold_at_once(&mut self, address: usize, bytes: usize, write: bool) -> Result<(), isize> {
        self.hold_patiently(address, bytes, write, 1)
    }

    fn hold_patiently(
        &mut self,
        address: usize,
        bytes: usize,
        write: bool,
        patience: usize,
    ) -> Result<(), isize> {
        if bytes == 0 || !memory::is_managed(address) {
            return Ok(());
        }
        let no_room = -(libc::ENOMEM as isize);
        let only_page = address / PAGE_BYTES == (address + bytes - 1) / PAGE_BYTES;
        if only_page && self.last == (address / PAGE_BYTES, write) {
            return Ok(());
        }
        if self.len == HELD {
            return Err(no_room);
        }
        for _ in 0..patience {
            let answer = gate::engine(|engine| {
                let first = engine.page(address)?;
                let end = (address + bytes).min(engine.range().end);
                let count = (end - engine.address(first)).div_ceil(PAGE_BYTES);
                Some(engine.pin(first..first + count, write))
            });
            match answer {
                None => return Ok(()),
                Some(Ok(pin)) => {
                    self.pins[self.len] = Some(pin);
                    self.len += 1;
                    self.last = if only_page { (address / PAGE_BYTES, write) } else { self.last };
                    return Ok(());
                }
                Some(Err(EngineError::Pinned)) => sys::yield_now(),
                Some(Err(error)) => process::lost(&error),
            }
        }
        Err(no_room)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.len > 0 {
            gate::engine(|engine| {
                self.pins[..self.len].iter().flatten().for_each(|pin| engine.unpin(*pin));
            });
        }
    }
}

/// A buffer of a call: which argument points to it, which one says how long it is, and whether
/// the kernel writes to it.
#[derive(Clone, Copy)]
pub struct Buffer {
    pub pointer: usize,
    pub length: usize,
    pub unit: usize,
    pub write: bool,
}

const fn buffer(pointer: usize, length: usize, unit: usize, write: bool) -> Option<Buffer> {
    Some(Buffer { pointer, length, unit, write })
}

/// The buffer of a call whose size stands in its arguments.
pub fn sized(n: i64) -> Option<Buffer> {
    match n {
        libc::SYS_read | libc::SYS_pread64 | libc::SYS_recvfrom => buffer(1, 2, 1, true),
        libc::SYS_getdents | libc::SYS_getdents64 | libc::SYS_readlink => buffer(1, 2, 1, true),
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_sendto => buffer(1, 2, 1, false),
        libc::SYS_readlinkat => buffer(2, 3, 1, true),
        libc::SYS_getrandom | libc::SYS_getcwd => buffer(0, 1, 1, true),
        libc::SYS_poll | libc::SYS_ppoll => buffer(0, 1, 8, true),
        libc::SYS_epoll_wait | libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => {
            buffer(1, 2, 12, true)
        }
        libc::SYS_mincore => buffer(2, 1, 1, true),
        libc::SYS_getxattr | libc::SYS_lgetxattr | libc::SYS_fgetxattr => buffer(2, 3, 1, true),
        libc::SYS_setxattr | libc::SYS_lsetxattr | libc::SYS_fsetxattr => buffer(2, 3, 1, false),
        libc::SYS_listxattr | libc::SYS_llistxattr | libc::SYS_flistxattr => buffer(1, 2, 1, true),
        libc::SYS_getgroups => buffer(1, 0, 4, true),
        libc::SYS_msgrcv => buffer(1, 2, 1, true),
        libc::SYS_msgsnd => buffer(1, 2, 1, false),
        libc::SYS_add_key => buffer(2, 3, 1, false),
        _ => None,
    }
}

/// How many arguments a call has: what else is in the registers is left from before. Only for calls
/// that are made often; for the rest all six registers are looked at, which costs time and no more.
pub fn arguments(n: i64) -> usize {
    match n {
        // Without pointers.
        libc::SYS_getpid
        | libc::SYS_gettid
        | libc::SYS_getppid
        | libc::SYS_getuid
        | libc::SYS_geteuid
        | libc::SYS_getgid
        | libc::SYS_getegid
        | libc::SYS_sched_yield
        | libc::SYS_close
        | libc::SYS_dup
        | libc::SYS_dup2
        | libc::SYS_lseek
        | libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_ftruncate
        | libc::SYS_socket
        | libc::SYS_listen
        | libc::SYS_shutdown
        | libc::SYS_kill
        | libc::SYS_tgkill
        | libc::SYS_umask
        | libc::SYS_exit
        | libc::SYS_eventfd2
        | libc::SYS_epoll_create1 => 0,
        libc::SYS_pipe | libc::SYS_unlink | libc::SYS_chdir | libc::SYS_uname => 1,
        libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_fstat
        | libc::SYS_access
        | libc::SYS_pipe2
        | libc::SYS_nanosleep
        | libc::SYS_clock_gettime
        | libc::SYS_getrlimit
        | libc::SYS_getrusage
        | libc::SYS_gettimeofday
        | libc::SYS_memfd_create
        | libc::SYS_mkdir
        | libc::SYS_rename => 2,
        libc::SYS_read
        | libc::SYS_write
        | libc::SYS_open
        | libc::SYS_poll
        | libc::SYS_ioctl
        | libc::SYS_fcntl
        | libc::SYS_getdents64
        | libc::SYS_accept
        | libc::SYS_connect
        | libc::SYS_bind
        | libc::SYS_getsockname
        | libc::SYS_getpeername => 3,
        libc::SYS_pread64
        | libc::SYS_pwrite64
        | libc::SYS_openat
        | libc::SYS_newfstatat
        | libc::SYS_epoll_ctl
        | libc::SYS_epoll_wait
        | libc::SYS_accept4
        | libc::SYS_wait4
        | libc::SYS_clock_nanosleep
        | libc::SYS_prlimit64 => 4,
        libc::SYS_setsockopt | libc::SYS_getsockopt | libc::SYS_select | libc::SYS_statx => 5,
        _ => 6,
    }
}

/// Whether the buffer may be worked on in pieces, as the kernel itself may do.
pub fn divisible(n: i64) -> bool {
    matches!(n, libc::SYS_read | libc::SYS_pread64 | libc::SYS_write | libc::SYS_pwrite64)
}

/// Whether the call may do less than its buffer has room for: then the rest is asked for again.
pub fn may_be_short(n: i64) -> bool {
    matches!(
        n,
        libc::SYS_recvfrom
            | libc::SYS_sendto
            | libc::SYS_getrandom
            | libc::SYS_getdents
            | libc::SYS_getdents64
    )
}

/// How many of the vectors, from the first on, have no more than so many managed bytes together and
/// can be held; and the first.
///
/// # Safety
/// They are the program's.
pub unsafe fn vectors_within(vectors: usize, count: usize, most: usize) -> (usize, libc::iovec) {
    let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    let (mut bytes, mut first) = (0usize, nothing);
    for i in 0..count.min(1024) {
        // SAFETY: the caller's promise.
        let vector = unsafe { (vectors as *const libc::iovec).add(i).read() };
        if i == 0 {
            first = vector;
        }
        if memory::is_managed(vector.iov_base as usize) {
            bytes = bytes.saturating_add(vector.iov_len);
        }
        if bytes > most || i + 2 > HELD {
            return (i, first);
        }
    }
    (count, first)
}

/// Holds the vectors of `readv` and `writev` and what they point to.
///
/// # Safety
/// They are the program's.
pub unsafe fn hold_vectors(
    held: &mut Held,
    vectors: usize,
    count: usize,
    write: bool,
) -> Result<(), isize> {
    const BYTES: usize = size_of::<libc::iovec>();
    held.hold(vectors, count * BYTES, false)?;
    for i in 0..count.min(1024) {
        // SAFETY: the caller's promise.
        let vector = unsafe { ((vectors + i * BYTES) as *const libc::iovec).read() };
        held.hold(vector.iov_base as usize, vector.iov_len, write)?;
    }
    Ok(())
}

/// Holds a `msghdr` and what it points to.
///
/// # Safety
/// It is the program's.
pub unsafe fn hold_message(held: &mut Held, message: usize, write: bool) -> Result<(), isize> {
    held.hold(message, size_of::<libc::msghdr>(), true)?;
    // SAFETY: the caller's promise.
    unsafe {
        let message = (message as *const libc::msghdr).read();
        held.hold(message.msg_name as usize, message.msg_namelen as usize, write)?;
        held.hold(message.msg_control as usize, message.msg_controllen, write)?;
        hold_vectors(held, message.msg_iov as usize, message.msg_iovlen, write)
    }
}

/// Reads the text at an address to its end, which brings its pages in.
///
/// # Safety
/// It is the program's pointer to such a text, or null.
pub unsafe fn touch_text(address: usize) {
    if memory::is_managed(address) {
        // SAFETY: the caller's promise.
        let text = unsafe { std::ffi::CStr::from_ptr(address as *const libc::c_char) };
        std::hint::black_box(text.count_bytes());
    }
}

/// Reads a list of texts that ends with a null pointer (`argv`, `envp`).
///
/// # Safety
/// It is the program's, or null.
pub unsafe fn touch_texts(list: usize) {
    if list == 0 {
        return;
    }
    let mut at = list as *const usize;
    // SAFETY: the caller's promise.
    unsafe {
        while at.read_volatile() != 0 {
            touch_text(at.read_volatile());
            at = at.add(1);
        }
    }
}
