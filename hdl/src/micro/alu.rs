//! The arithmetic and logic unit, combinational: R out of A and B, see [`super::word::Function`].

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Alu {
    pub operation: Signal<In, Bits<4>>,
    pub a: Signal<In, Bits<16>>,
    pub b: Signal<In, Bits<16>>,
    /// The carry of the last sum.
    pub carry_in: Signal<In, Bit>,
    pub result: Signal<Out, Bits<16>>,
    pub zero: Signal<Out, Bit>,
    pub carry: Signal<Out, Bit>,
    /// It is a sum: the carry is to be kept.
    pub is_sum: Signal<Out, Bit>,
    first: Signal<Local, Bits<16>>,
    carry_from: Signal<Local, Bit>,
    sum: Signal<Local, Bits<18>>,
    r: Signal<Local, Bits<16>>,
}

impl Logic for Alu {
    #[hdl_gen]
    fn update(&mut self) {
        // Sums: B and one of A, its complement, zero, and minus one.
        self.first.next = self.a.val();
        self.carry_from.next = false;
        if self.operation.val() == 9 {
            self.carry_from.next = self.carry_in.val();
        }
        if self.operation.val() == 10 {
            self.first.next = !self.a.val();
            self.carry_from.next = true;
        }
        if self.operation.val() == 11 {
            self.first.next = !self.a.val();
            self.carry_from.next = self.carry_in.val();
        }
        if self.operation.val() == 12 {
            self.first.next = 0.into();
            self.carry_from.next = true;
        }
        if self.operation.val() == 13 {
            self.first.next = 0xffff.into();
        }
        self.sum.next = ((bit_cast::<18, 16>(self.first.val()) << 1) | 1)
            + ((bit_cast::<18, 16>(self.b.val()) << 1)
                | bit_cast::<18, 1>(self.carry_from.val().into()));
        self.carry.next = self.sum.val().get_bit(17);
        self.is_sum.next =
            self.operation.val().get_bit(3) && !(self.operation.val().get_bits::<2>(1) == 3);

        self.r.next = self.sum.val().get_bits::<16>(1);
        if self.operation.val() == 0 {
            self.r.next = self.b.val();
        }
        if self.operation.val() == 1 {
            self.r.next = self.a.val();
        }
        if self.operation.val() == 2 {
            self.r.next = self.a.val() & self.b.val();
        }
        if self.operation.val() == 3 {
            self.r.next = self.a.val() | self.b.val();
        }
        if self.operation.val() == 4 {
            self.r.next = self.a.val() ^ self.b.val();
        }
        if self.operation.val() == 5 {
            self.r.next = self.b.val() & !self.a.val();
        }
        if self.operation.val() == 6 {
            self.r.next = (self.b.val() << 4) | (self.a.val() >> 12);
        }
        if self.operation.val() == 7 {
            self.r.next = (self.b.val() >> 1) | (self.a.val() << 15);
        }
        if self.operation.val() == 14 {
            self.r.next = (self.a.val() << 11) | ((self.b.val() & 0x0fff) >> 1);
        }
        if self.operation.val() == 15 {
            self.r.next = self.a.val() << 5;
        }
        self.result.next = self.r.val();
        self.zero.next = self.r.val() == 0;
    }
}
