//! What a side may do at an address, straight from `abi::regs`.

use rust_hdl::prelude::*;
use splitmem_abi::regs::{self, Access, Register};
use std::collections::BTreeMap;

/// Whether the monitor, or the host, may read, or write, the byte address. Combinational.
///
/// A primitive: `abi`'s table of registers as a table in Verilog.
#[derive(LogicBlock, Default)]
pub struct AccessRights {
    pub address: Signal<In, Bits<12>>,
    pub host: Signal<In, Bit>,
    pub is_write: Signal<In, Bit>,
    pub allowed: Signal<Out, Bit>,
}

/// Bit `2 * host + is_write` says whether that access is allowed.
fn rights(register: &Register) -> u32 {
    let side = |access: Access| access.reads() as u32 | (access.writes() as u32) << 1;
    side(register.monitor) | side(register.host) << 2
}

impl Logic for AccessRights {
    fn update(&mut self) {
        let address = self.address.val().index() as u16;
        let kind = 2 * self.host.val() as u32 + self.is_write.val() as u32;
        self.allowed.next = regs::ALL.iter().any(|register| {
            let run = register.offset..register.at(register.count);
            run.contains(&address) && address % 4 == 0 && rights(register) >> kind & 1 == 1
        });
    }

    fn connect(&mut self) {
        self.allowed.connect();
    }

    fn hdl(&self) -> Verilog {
        let mut offsets = BTreeMap::<u32, Vec<String>>::new();
        for register in regs::ALL {
            let of_kind = offsets.entry(rights(register)).or_default();
            of_kind.extend((0..register.count).map(|i| format!("12'h{:03x}", register.at(i))));
        }
        let arms: String = offsets
            .iter()
            .map(|(rights, offsets)| {
                let offsets: Vec<_> = offsets.chunks(12).map(|line| line.join(", ")).collect();
                format!("    {}: rights = 4'b{rights:04b};\n", offsets.join(",\n    "))
            })
            .collect();
        Verilog::Custom(format!(
            "reg [3:0] rights;\nalways @(*) begin\n  case (address)\n{arms}    \
             default: rights = 4'b0000;\n  endcase\n  allowed = rights[{{host, is_write}}];\nend\n"
        ))
    }
}
