//! CXL as the host sees it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`message`] | the messages of CXL.mem: Req and RwD from the host, NDR and DRS from the device |
//! | [`flit`] | the 68-byte flit: slots, header, CRC, control flits, packing and unpacking |
//! | [`link`] | one end of a link: credits, acknowledgements, retry |
//! | [`requester`] | line accesses as messages, told apart by tags |
//! | `linux` | bindings to Linux's CXL |
//!
//! Sections are those of the CXL specification, revision 3.1 (those on 68-byte flits read the same
//! in 2.0); the texts we could read are conversions by others, so where they leave a doubt, the
//! item says what we followed.
// Allowed again in `linux::sys` and `linux::dax`, each of which states its rules.
#![deny(unsafe_code)]

pub mod flit;
pub mod link;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod message;
pub mod requester;
