//! CXL as the host sees it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`message`] | the messages of CXL.mem: Req and RwD from the host, NDR and DRS from the device |
//! | [`flit`] | the 68-byte flit: slots, header, CRC, control flits, packing and unpacking |
//!
//! Sections are those of the CXL specification, revision 3.1 (those on 68-byte flits read the same
//! in 2.0); the texts we could read are conversions by others, so where they leave a doubt, the
//! item says what we followed.
#![forbid(unsafe_code)]

pub mod flit;
pub mod message;
