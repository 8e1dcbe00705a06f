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
//! | [`port`], [`words`] | the register buses and what hangs on them |
//!
//! Section numbers are those of the CXL specification 3.1.

pub mod decoder;
pub mod device;
pub mod events;
pub mod front;
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
        renamed(&generate_verilog(&device), "cxl_mem")
    })
}

/// Emitted Verilog whose modules are called `name` instead of `top`, so that it can stand beside the
/// component's.
fn renamed(verilog: &str, name: &str) -> String {
    let mut out = String::with_capacity(verilog.len());
    let mut rest = verilog;
    while let Some(at) = rest.find("top") {
        let before = rest[..at].chars().next_back();
        let after = rest[at + 3..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        out.push_str(&rest[..at]);
        let inner = before == Some('$');
        out.push_str(if word(before) || word(after) || inner { "top" } else { name });
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_whole_names_change() {
        let before = "module top(stop, top_x, a); top$b top$b_0(); x$top y; endmodule";
        let after = "module m(stop, top_x, a); m$b m$b_0(); x$top y; endmodule";
        assert_eq!(super::renamed(before, "m"), after);
    }
}
