//! CXL: a Type 3 device (memory expander) whose memory is the component's.
//!
//! | block | what it is |
//! | --- | --- |
//! | [`device`] | the whole: messages, a request port, registers |
//! | [`front`] | the transaction layer: messages to native requests and back |
//! | [`decoder`] | HDM decoders: host to device physical addresses |
//! | [`windows`] | device physical addresses to processes and their addresses |
//! | [`poison`] | lines whose data are known to be bad |
//! | [`events`] | what was answered with poison, for the monitor |
//! | [`mailbox`] | device status and the mailbox |
//! | [`link_registers`] | the link capability |
//! | [`port`], [`words`] | the register buses and what hangs on them |
//!
//! Section numbers are those of the CXL specification 3.1.

pub mod decoder;
pub mod device;
pub mod events;
pub mod front;
pub mod link;
pub mod link_registers;
pub mod mailbox;
pub mod poison;
pub mod port;
pub mod windows;
pub mod words;

use rust_hdl::prelude::generate_verilog;

/// The Verilog of the CXL.mem device, module `cxl_mem`.
pub fn emit() -> String {
    crate::on_a_large_stack(|| {
        let mut device = device::CxlMem::new();
        device.connect_pins();
        crate::renamed(&generate_verilog(&device), "cxl_mem")
    })
}
