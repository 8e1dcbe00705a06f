//! A byte more in a CRC-32, combinational.

use rust_hdl::prelude::*;
use splitmem_abi::serial::crc_step;

#[derive(LogicBlock, Default)]
pub struct CrcStep {
    pub crc: Signal<In, Bits<32>>,
    pub octet: Signal<In, Bits<8>>,
    pub result: Signal<Out, Bits<32>>,
}

impl Logic for CrcStep {
    fn update(&mut self) {
        let crc = self.crc.val().index() as u32;
        self.result.next = u64::from(crc_step(crc, self.octet.val().index() as u8)).into();
    }

    fn connect(&mut self) {
        self.result.connect();
    }

    fn hdl(&self) -> Verilog {
        // The step is linear: each bit of the result is a parity of bits of `{octet, crc}`.
        let of_input = |bit: usize| match bit {
            0..32 => crc_step(1 << bit, 0),
            _ => crc_step(0, 1 << (bit - 32)),
        };
        let lines: String = (0..32)
            .map(|k| {
                let mask = (0..40).filter(|&i| of_input(i) >> k & 1 == 1);
                let mask = mask.fold(0u64, |mask, i| mask | 1 << i);
                format!("  result[{k}] = ^({{octet, crc}} & 40'h{mask:010x});\n")
            })
            .collect();
        Verilog::Custom(format!("always @(*) begin\n{lines}end\n"))
    }
}
