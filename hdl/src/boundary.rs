//! Registers around a component, for place and route.
//!
//! A component has thousands of pins and a chip has hundreds. [`wrap`] puts each input behind a
//! register of a shift chain and each output before a register of a parity tree, so that a chip with
//! three pins holds the whole component, none of it is optimised away, and every path from pin to
//! pin of the component is a path from register to register that counts.

use std::fmt::Write as _;

/// A pin of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// Name.
    pub name: String,
    /// Bits.
    pub bits: u32,
    /// Input or output.
    pub input: bool,
}

/// The pins of the first module in emitted Verilog, which is `top`.
pub fn pins(verilog: &str) -> Vec<Pin> {
    let module = verilog.split("endmodule").next().unwrap_or_default();
    let declared = |line: &str| {
        let line = line.trim().strip_suffix(';')?;
        let input = line.starts_with("input");
        let kinds = ["input wire", "output reg", "output wire"];
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?.trim();
        let (bits, name) = match rest.strip_prefix('[') {
            Some(range) => {
                let (high, name) = range.split_once(":0]")?;
                (high.parse::<u32>().ok()? + 1, name.trim())
            }
            None => (1, rest),
        };
        Some(Pin { name: name.to_owned(), bits, input })
    };
    module.lines().filter_map(declared).collect()
}

/// What [`wrap`] makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chip {
    /// Module `chip` with pins `clock`, `shift_in` and `parity_out`, and an instance of `top`.
    pub verilog: String,
    /// Registers that it adds to those of `top`.
    pub registers: u32,
    /// Parity LUTs that it adds to those of `top`.
    pub luts: u32,
}

/// A chip around module `top` of the emitted Verilog.
pub fn wrap(verilog: &str) -> Chip {
    let pins = pins(verilog);
    let (mut inputs, mut outputs, mut ports) = (0, 0, String::from(".clock(clock)"));
    for pin in pins.iter().filter(|pin| pin.name != "clock") {
        let (vector, first) = match pin.input {
            true => ("chain", &mut inputs),
            false => ("outputs", &mut outputs),
        };
        let last = *first + pin.bits - 1;
        let _ = write!(ports, ",\n    .{}({vector}[{last}:{first}])", pin.name);
        *first = last + 1;
    }
    // Four bits a level: one LUT between registers.
    let (mut levels, mut stages) = (String::new(), String::new());
    let (mut from, mut width) = (String::from("level_0"), outputs);
    let (mut level, mut luts) = (0, 0);
    while width > 1 {
        level += 1;
        let to = format!("level_{level}");
        let next = width.div_ceil(4);
        luts += next;
        let _ = writeln!(levels, "  reg [{}:0] {to};", next - 1);
        for bit in 0..next {
            let last = (4 * bit + 3).min(width - 1);
            let _ = writeln!(stages, "    {to}[{bit}] <= ^{from}[{last}:{}];", 4 * bit);
        }
        (from, width) = (to, next);
    }
    let verilog = format!(
        "module chip(input wire clock, input wire shift_in, output wire parity_out);\n  \
         reg [{}:0] chain;\n  wire [{}:0] outputs;\n  reg [{}:0] level_0;\n{levels}  \
         top component(\n    {ports}\n  );\n  always @(posedge clock) begin\n    \
         chain <= {{chain[{}:0], shift_in}};\n    level_0 <= outputs;\n{stages}  end\n  \
         assign parity_out = {from}[0];\nendmodule\n",
        inputs - 1,
        outputs - 1,
        outputs - 1,
        inputs - 2,
    );
    Chip { verilog, registers: inputs + outputs + luts, luts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "module top(clock,a,b,y);\n    input wire  clock;\n    \
                       input wire  [2:0] a;\n    input wire  b;\n    output reg  [4:0] y;\n    \
                       reg [7:0] inner;\nendmodule\nmodule top$x(z);\n    input wire  z;\nendmodule\n";

    #[test]
    fn pins_are_those_of_the_first_module() {
        let pin = |name: &str, bits, input| Pin { name: name.to_owned(), bits, input };
        assert_eq!(
            pins(TOP),
            [pin("clock", 1, true), pin("a", 3, true), pin("b", 1, true), pin("y", 5, false)]
        );
    }

    #[test]
    fn every_pin_but_the_clock_is_registered_once() {
        let chip = wrap(TOP);
        assert_eq!((chip.registers, chip.luts), (4 + 5 + 3, 3));
        for line in [
            ".a(chain[2:0])",
            ".b(chain[3:3])",
            ".y(outputs[4:0])",
            "chain <= {chain[2:0], shift_in};",
            "level_1[0] <= ^level_0[3:0];",
            "level_1[1] <= ^level_0[4:4];",
            "level_2[0] <= ^level_1[1:0];",
            "assign parity_out = level_2[0];",
        ] {
            assert!(chip.verilog.contains(line), "{line} in\n{}", chip.verilog);
        }
    }
}
