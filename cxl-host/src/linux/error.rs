//! [`CxlError`]: bring-up of CXL fails in many places, and the kernel says only a number. Here is
//! where, with what, why, and what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What was done to a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It was read.
    Read,
    /// This was written to it.
    Write(String),
    /// It was listed.
    List,
    /// It was opened.
    Open,
    /// It was mapped: bytes.
    Map(u64),
    /// A command was sent through it: its name.
    Command(String),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("reading"),
            Self::Write(value) => write!(f, "writing \"{}\" to", value.escape_default()),
            Self::List => f.write_str("listing"),
            Self::Open => f.write_str("opening"),
            Self::Map(bytes) => write!(f, "mapping {bytes:#x} bytes of"),
            Self::Command(name) => write!(f, "sending {name} to"),
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CxlError {
    /// The kernel refused.
    #[error("{action} {}: {source}{}", path.display(), next(hint))]
    Refused {
        /// What was done.
        action: Action,
        /// To which file.
        path: PathBuf,
        /// The errno.
        source: io::Error,
        /// What to do next, if it is known.
        hint: Option<&'static str>,
    },
    /// A file holds what it never should.
    #[error("{} holds \"{}\": expected {expected}", path.display(), value.escape_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it holds.
        value: String,
        /// What it should.
        expected: &'static str,
    },
    /// The device did the command's work, and says that it failed.
    #[error("{device} answered {command} with return code {code:#x} ({}){}", meaning(*code), next(&advice(*code)))]
    Device {
        /// The memory device.
        device: String,
        /// The command.
        command: String,
        /// The return code.
        code: u32,
    },
    /// Something that has to be there is not.
    #[error("{what}{}", next(&Some(*hint)))]
    Missing {
        /// What.
        what: String,
        /// What to do next.
        hint: &'static str,
    },
}

fn next(hint: &Option<&'static str>) -> String {
    hint.map_or_else(String::new, |hint| format!(".\nNext: {hint}"))
}

impl CxlError {
    /// The kernel refused; what to do next is looked up.
    pub(crate) fn refused(action: Action, path: &Path, source: io::Error) -> Self {
        let errno = source.raw_os_error().unwrap_or(0);
        let attribute = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let hint = hint(&action, attribute, errno);
        Self::Refused { action, path: path.to_owned(), source, hint }
    }

    /// The errno, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// What to do next: by attribute and errno, from the kernel's drivers/cxl/core/{region,hdm,mbox}.c.
fn hint(action: &Action, attribute: &str, errno: i32) -> Option<&'static str> {
    let write = matches!(action, Action::Write(_));
    let target = attribute.strip_prefix("target").is_some_and(|n| n.parse::<u32>().is_ok());
    Some(match (attribute, errno) {
        (_, libc::EACCES | libc::EPERM) if matches!(action, Action::Command(_)) => {
            "become root; raw commands also need a kernel with CONFIG_CXL_MEM_RAW_COMMANDS and \
             without lockdown"
        }
        (_, libc::EACCES | libc::EPERM) => "become root: only root may configure CXL",
        ("devices", libc::ENOENT) => {
            "load the drivers (modprobe cxl_acpi cxl_pci cxl_mem); without an effect, the kernel was \
             built without CONFIG_CXL_BUS or the firmware shows no CXL host bridge (ACPI0017)"
        }
        ("create_ram_region" | "delete_region", libc::ENOENT) => {
            "the kernel is too old for volatile regions (6.3 or later has them), was built without \
             CONFIG_CXL_REGION, or the root decoder takes no volatile memory (cap_ram is 0)"
        }
        ("create_ram_region", libc::EBUSY) => {
            "another program created a region at the same time: try again"
        }
        ("interleave_ways" | "interleave_granularity", libc::EINVAL) => {
            "write a number of ways (1, 2, 4, 8, 16, 3, 6, 12) or a granularity (a power of two from \
             256) that the root decoder's own interleaving allows"
        }
        ("interleave_ways" | "interleave_granularity" | "size", libc::EBUSY) => {
            "the region has its size already, or is active: destroy it first"
        }
        ("size", libc::ENXIO) => "set interleave_ways and interleave_granularity before the size",
        ("size", libc::EINVAL) => "choose a multiple of 256 MiB times the interleave ways",
        ("size", libc::ERANGE | libc::ENOMEM | libc::ENOSPC) => {
            "the root decoder's window has no room of this size left: see the regions in it"
        }
        ("mode", libc::EBUSY) => "the decoder is in use: destroy its region first",
        ("mode", libc::ENXIO) => "the device has no volatile capacity: see its ram/size",
        ("dpa_size", libc::ENOSPC) => "the device has no capacity of this size left: see ram/size",
        ("dpa_size", libc::EBUSY) => {
            "the decoder is in use, or a later decoder of the device is: take those back first"
        }
        ("dpa_size", libc::EINVAL) => "set the decoder's mode first, and use a multiple of 256 MiB",
        (_, libc::ENODEV) if target => "name an endpoint decoder of /sys/bus/cxl/devices",
        (_, libc::EINVAL) if target => {
            "the decoder's mode and dpa_size must fit the region: its size divided by the ways"
        }
        (_, libc::ENXIO) if target => {
            "set the region's size and the decoder's dpa_size first; the decoder must be below the \
             region's root decoder"
        }
        (_, libc::EBUSY) if target => "the position is taken, or the region is active",
        ("commit", libc::ENXIO) => {
            "the region has too few targets, or the kernel cannot flush the host's caches (in a \
             virtual machine: hide the hypervisor from the CPU, cpu model option hypervisor=off)"
        }
        ("commit", libc::EBUSY) => "commit the decoders before it first: regions come in order",
        ("commit", libc::EIO) => {
            "the device refused (error bit of its HDM decoder): overlapping or misaligned range"
        }
        ("commit", libc::ETIMEDOUT) => {
            "the device did not commit its HDM decoder within 20 ms: look at its RAS registers"
        }
        ("bind", libc::ENODEV) => {
            "no driver takes it: the region is not committed, or its memory belongs to the system \
             already"
        }
        (_, libc::ENODEV | libc::ENXIO) if matches!(action, Action::Open | Action::Map(_)) => {
            "bind the dax device to device_dax: its memory is used as system RAM by kmem"
        }
        (_, libc::EINVAL) if matches!(action, Action::Map(_)) => {
            "map a multiple of the dax device's alignment, shared"
        }
        (_, libc::EBUSY) if matches!(action, Action::Command(_)) => {
            "the kernel keeps this command to itself, or the mailbox is busy: try again"
        }
        (_, libc::ENOTTY) if matches!(action, Action::Command(_)) => {
            "the device or the kernel does not know this command"
        }
        (_, libc::ETIMEDOUT) if matches!(action, Action::Command(_)) => {
            "the device did not answer within two seconds: look at its status, and reset it"
        }
        (_, libc::ENOENT) if write => "the kernel has no such attribute: it is too old for it",
        _ => return None,
    })
}

/// Return codes of the mailbox (CXL 3.1, table 8-34).
pub fn meaning(code: u32) -> &'static str {
    match code {
        0x0 => "success",
        0x1 => "background command started",
        0x2 => "invalid input",
        0x3 => "unsupported",
        0x4 => "internal error",
        0x5 => "retry required",
        0x6 => "busy",
        0x7 => "media disabled",
        0x8 => "firmware transfer in progress",
        0x9 => "firmware transfer out of order",
        0xa => "firmware authentication failed",
        0xb => "invalid firmware slot",
        0xc => "activation failed, firmware rolled back",
        0xd => "activation failed, cold reset required",
        0xe => "invalid handle",
        0xf => "invalid physical address",
        0x10 => "inject poison limit reached",
        0x11 => "permanent media failure",
        0x12 => "aborted",
        0x13 => "invalid security state",
        0x14 => "incorrect passphrase",
        0x15 => "unsupported mailbox",
        0x16 => "invalid payload length",
        0x17 => "invalid log",
        0x18 => "interrupted",
        _ => "unknown",
    }
}

fn advice(code: u32) -> Option<&'static str> {
    match code {
        0x5 | 0x6 => Some("try again"),
        0x7 => Some("wait for the sanitize to end, or reset the device: its media is disabled"),
        0xf => Some("give an address within the device's capacity, a multiple of 64"),
        0x10 => Some("clear injected poison first"),
        _ => None,
    }
}
