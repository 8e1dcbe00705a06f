//! The CRC-16 of a flit's four slots (section 4.2.8.7), combinational.

use rust_hdl::prelude::*;

/// x^16 + 0xF053, without its highest term.
const POLYNOMIAL: u16 = 0xf053;
const BITS: usize = 512;

/// What each bit adds to the CRC: bit i is x^(i + 16) modulo the polynomial, for the highest bit goes
/// first, the start is 0, and nothing is reflected or inverted.
fn of_bits() -> [u16; BITS] {
    let mut power = POLYNOMIAL;
    std::array::from_fn(|_| {
        let now = power;
        power = if now >> 15 == 1 { now << 1 ^ POLYNOMIAL } else { now << 1 };
        now
    })
}

#[derive(LogicBlock, Default)]
pub struct FlitCrc {
    pub slots: Signal<In, Bits<512>>,
    pub crc: Signal<Out, Bits<16>>,
}

impl Logic for FlitCrc {
    fn update(&mut self) {
        let slots = self.slots.val();
        let set = of_bits().into_iter().enumerate().filter(|(i, _)| slots.get_bit(*i));
        self.crc.next = u64::from(set.fold(0, |crc, (_, bit)| crc ^ bit)).into();
    }

    fn connect(&mut self) {
        self.crc.connect();
    }

    fn hdl(&self) -> Verilog {
        let bits = of_bits();
        let mask = |k: usize| -> String {
            let nibble = |n: usize| (0..4).fold(0, |v, i| v | (bits[4 * n + i] >> k & 1) << i);
            (0..BITS / 4).rev().map(|n| format!("{:x}", nibble(n))).collect()
        };
        let lines: String =
            (0..16).map(|k| format!("  crc[{k}] = ^(slots & 512'h{});\n", mask(k))).collect();
        Verilog::Custom(format!("always @(*) begin\n{lines}end\n"))
    }
}
