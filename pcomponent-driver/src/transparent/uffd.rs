//! [`Uffd`]: the kernel's userfaultfd, as far as the engine needs it.
//!
//! The descriptor is opened for faults of user mode only, which needs no privilege, and with the
//! feature that turns a miss into a `SIGBUS` in the thread that missed. Structures and numbers are
//! those of `include/uapi/linux/userfaultfd.h`.
//!
//! # Rule that the `unsafe` here relies on
//! **Own mapping**: pages are put into, protected in and taken from ranges that the engine reserved,
//! and that hold no Rust object.
#![allow(unsafe_code)]

use std::ops::Deref;

use super::sys::{self, Errno};

const API: u64 = 0xaa;
const USER_MODE_ONLY: usize = 1;
const FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
const FEATURE_SIGBUS: u64 = 1 << 7;
const MODE_MISSING: u64 = 1 << 0;
const MODE_WP: u64 = 1 << 1;
const COPY_WP: u64 = 1 << 1;
const PROTECT_WP: u64 = 1 << 0;

const IOC_API: usize = 0xc018_aa3f;
const IOC_REGISTER: usize = 0xc020_aa00;
const IOC_COPY: usize = 0xc028_aa03;
const IOC_WRITEPROTECT: usize = 0xc018_aa06;

/// Why unmodified programs cannot be served on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The kernel has none.
    #[error("this kernel was built without userfaultfd (CONFIG_USERFAULTFD): {0}")]
    NotBuilt(Errno),
    /// It may not be used.
    #[error(
        "userfaultfd is not allowed here ({0}); a container's seccomp profile or a security module \
         forbids it: allow the system call userfaultfd (vm.unprivileged_userfaultfd is not needed)"
    )]
    Forbidden(Errno),
    /// Faults cannot be answered in the thread that faulted, or first writes not be seen.
    #[error("userfaultfd here lacks SIGBUS delivery or write-protection: Linux 5.11 or newer is needed ({0})")]
    Features(Errno),
    /// A range cannot be watched.
    #[error("the address range cannot be watched: {0}")]
    Register(Errno),
}

/// An open userfaultfd, closed when dropped.
pub struct Uffd(Descriptor);

/// A userfaultfd that somebody has open.
#[derive(Clone, Copy)]
pub struct Descriptor(usize);

impl Deref for Uffd {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        &self.0
    }
}

impl Uffd {
    /// Opens one with the features that the engine needs.
    ///
    /// # Errors
    /// [`Unavailable`]: which switch is missing.
    pub fn open() -> Result<Self, Unavailable> {
        let flags = libc::O_CLOEXEC as usize | USER_MODE_ONLY;
        // SAFETY: gives a new descriptor.
        let fd = sys::result(unsafe { sys::raw(libc::SYS_userfaultfd, [flags, 0, 0, 0, 0, 0]) });
        let uffd = Self(Descriptor(fd.map_err(|errno| match errno.0 {
            libc::EPERM | libc::EACCES => Unavailable::Forbidden(errno),
            libc::EINVAL => Unavailable::Features(errno),
            _ => Unavailable::NotBuilt(errno),
        })?));
        let mut api = [API, FEATURE_SIGBUS | FEATURE_PAGEFAULT_FLAG_WP, 0];
        uffd.ioctl(IOC_API, &mut api).map_err(Unavailable::Features)?;
        Ok(uffd)
    }

    /// For who uses it while it is open.
    pub fn descriptor(&self) -> Descriptor {
        self.0
    }
}

impl Descriptor {
    /// Watches a range for missing pages and for writes to protected ones.
    ///
    /// # Errors
    /// [`Unavailable::Register`].
    pub fn register(&self, address: usize, bytes: usize) -> Result<(), Unavailable> {
        let mut request = [address as u64, bytes as u64, MODE_MISSING | MODE_WP, 0];
        self.ioctl(IOC_REGISTER, &mut request).map_err(Unavailable::Register)
    }

    /// Puts whole pages where there are none; protected from writes if `protect`.
    ///
    /// # Errors
    /// `EEXIST` if a page is there already, `ENOMEM`, `ENOENT` if the range is not watched.
    pub fn copy(&self, address: usize, pages: &[u8], protect: bool) -> Result<(), Errno> {
        let mut request = [
            address as u64,
            pages.as_ptr() as u64,
            pages.len() as u64,
            if protect { COPY_WP } else { 0 },
            0,
        ];
        loop {
            let answer = self.ioctl(IOC_COPY, &mut request);
            let copied = request[4] as i64;
            match answer {
                // Interrupted on the way, or the mappings are just changing: go on with the rest.
                Err(Errno(libc::EAGAIN)) => {
                    let done = copied.max(0) as u64;
                    request[0] += done;
                    request[1] += done;
                    request[2] -= done;
                    request[4] = 0;
                    if request[2] == 0 {
                        return Ok(());
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Protects pages from writes, or lets them be written again. Absent pages stay absent.
    ///
    /// # Errors
    /// `ENOENT` if the range is not watched.
    pub fn protect(&self, address: usize, bytes: usize, protect: bool) -> Result<(), Errno> {
        let mut request = [address as u64, bytes as u64, if protect { PROTECT_WP } else { 0 }];
        loop {
            match self.ioctl(IOC_WRITEPROTECT, &mut request) {
                Err(Errno(libc::EAGAIN)) => {}
                answer => return answer,
            }
        }
    }

    fn ioctl<const N: usize>(&self, number: usize, request: &mut [u64; N]) -> Result<(), Errno> {
        let args = [self.0, number, request.as_mut_ptr() as usize, 0, 0, 0];
        // SAFETY: the kernel reads and writes the request, whose size is in the number; pages
        // appear and change protection only in the engine's own range (own mapping).
        sys::result(unsafe { sys::raw(libc::SYS_ioctl, args) }).map(drop)
    }
}

impl Drop for Uffd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { sys::raw(libc::SYS_close, [self.0 .0, 0, 0, 0, 0, 0]) };
    }
}
