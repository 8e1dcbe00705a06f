//! Block RAM with contents: the control store and the table of registers. And the parts of the region
//! hash, as the parities that `abi` defines.

use crate::prim::index_bits;
use rust_hdl::prelude::*;
use splitmem_abi::hash::ROWS;
use std::fmt::Write as _;

/// A read-only memory of 64-bit words: `word` comes one cycle after `address`, and stays while
/// `enable` is low.
#[derive(LogicBlock, Default)]
pub struct Rom<const A: usize> {
    pub clock: Signal<In, Clock>,
    pub enable: Signal<In, Bit>,
    pub address: Signal<In, Bits<A>>,
    pub word: Signal<Out, Bits<64>>,
    _words: Vec<u64>,
}

impl<const A: usize> Rom<A> {
    pub fn new(mut words: Vec<u64>) -> Self {
        assert!(words.len() <= 1 << A);
        words.resize(words.len().next_power_of_two(), 0);
        Self { _words: words, ..Default::default() }
    }
}

impl<const A: usize> Logic for Rom<A> {
    fn update(&mut self) {
        if self.clock.pos_edge() && self.enable.val() {
            let address = self.address.val().index() & (self._words.len() - 1);
            self.word.next = self._words[address].into();
        }
    }

    fn connect(&mut self) {
        self.word.connect();
    }

    fn hdl(&self) -> Verilog {
        let depth = self._words.len();
        let mut words = String::new();
        for (i, word) in self._words.iter().enumerate() {
            let _ = writeln!(words, "  words[{i}] = 64'h{word:016x};");
        }
        Verilog::Custom(format!(
            "(* rom_style = \"block\" *) reg [63:0] words [0:{}];\ninitial begin\n{words}end\n\
             always @(posedge clock) if (enable) word <= words[address[{}:0]];\n",
            depth - 1,
            index_bits(depth) - 1,
        ))
    }
}

/// The eleven low bits of the region hash are linear in pid and address. `sum` is the part of the hash
/// that comes from one word of them: zero for none of the three, `select` 1 the pid, 2 bits 31 to 16 of
/// the address, 3 its bits 47 to 32.
#[derive(LogicBlock, Default)]
pub struct HashPart {
    pub select: Signal<In, Bits<2>>,
    pub word: Signal<In, Bits<16>>,
    pub sum: Signal<Out, Bits<11>>,
}

/// The bits of a word that hash bit `k` is the parity of. The hash's input is `va[47:30]`, pid.
fn row(select: usize, k: usize) -> u16 {
    match select {
        1 => ROWS[k] as u16,
        2 => ((ROWS[k] >> 16 & 3) as u16) << 14,
        3 => (ROWS[k] >> 18) as u16,
        _ => 0,
    }
}

impl Logic for HashPart {
    fn update(&mut self) {
        let (select, word) = (self.select.val().index(), self.word.val().index() as u16);
        let bit = |k: usize| u64::from((word & row(select, k)).count_ones() & 1) << k;
        self.sum.next = (0..11).fold(0, |sum, k| sum | bit(k)).into();
    }

    fn connect(&mut self) {
        self.sum.connect();
    }

    fn hdl(&self) -> Verilog {
        let rows: String = (0..11)
            .map(|k| {
                let part = |select| format!("^(word & 16'h{:04x})", row(select, k));
                format!(
                    "    sum[{k}] = select == 2'd1 ? {} : select == 2'd2 ? {} : {};\n",
                    part(1),
                    part(2),
                    part(3)
                )
            })
            .collect();
        Verilog::Custom(format!(
            "always @(*) begin\n  if (select == 2'd0) sum = 11'd0;\n  else begin\n{rows}  end\nend\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splitmem_abi::geometry::vregion;
    use splitmem_abi::hash::region_hash;

    #[test]
    fn the_parts_sum_up_to_the_hash() {
        let mut x = 1u64;
        for _ in 0..1000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (pid, va) = (x as u16, x >> 16);
            let words = [pid, (va >> 16) as u16, (va >> 32) as u16];
            let sum = (0..11).fold(0, |sum, k| {
                let part = |i: usize| (words[i] & row(i + 1, k)).count_ones();
                sum | ((part(0) + part(1) + part(2)) & 1) << k
            });
            assert_eq!(sum, region_hash(pid, vregion(va)) & 0x7ff);
        }
    }
}
