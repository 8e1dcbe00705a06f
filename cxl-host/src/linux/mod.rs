//! Bindings to Linux's CXL.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`tree`] | files of sysfs, real or recorded |
//! | [`topology`] | memory devices, ports, decoders and regions, as sysfs shows them |
//! | [`region`] | create, commit and destroy regions of volatile memory |
//! | [`mailbox`] | commands to a memory device, through `/dev/cxl/memN` |
//! | [`dax`] | the region as a mapping |
//! | [`error`] | every failure: which file, what was written, the errno, and what to do next |
//!
//! Regions of volatile memory need Linux 6.3 or later, built with `CONFIG_CXL_REGION` and
//! `CONFIG_DEV_DAX_CXL`. Kernel attributes are documented in the kernel's
//! `Documentation/ABI/testing/sysfs-bus-cxl`.

pub mod dax;
pub mod error;
pub mod mailbox;
pub mod region;
mod sys;
pub mod topology;
pub mod tree;
