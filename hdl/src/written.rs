//! Which words of a memory were written since it was cleared.
//!
//! A RAM cannot be cleared at once; its users read zero for words whose bit is not set.

use rust_hdl::prelude::*;

/// `bits` changes the cycle after `clear` or `set`; of both at once, `set` is lost.
#[derive(LogicBlock, Default)]
pub struct WrittenWords {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub set: Signal<In, Bit>,
    pub index: Signal<In, Bits<6>>,
    pub bits: Signal<Out, Bits<64>>,
    flags: DFF<Bits<64>>,
    one: Signal<Local, Bits<64>>,
}

impl Logic for WrittenWords {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, flags);
        self.bits.next = self.flags.q.val();
        self.one.next = 1.into();
        if self.set.val() {
            self.flags.d.next = self.flags.q.val() | (self.one.val() << self.index.val());
        }
        if self.clear.val() {
            self.flags.d.next = 0.into();
        }
    }
}
