//! The first stage of the receiver: a flit from the pins, and whether its CRC is right.

use super::crc::FlitCrc;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Check {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub rx_valid: Signal<In, Bit>,
    pub rx_flit: Signal<In, Bits<528>>,
    /// A cycle later.
    pub there: Signal<Out, Bit>,
    pub good: Signal<Out, Bit>,
    pub slots: Signal<Out, Bits<512>>,
    crc: FlitCrc,
    came: DFF<Bit>,
    intact: DFF<Bit>,
    held: DFF<Bits<512>>,
}

impl Logic for Check {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, came, intact, held);
        self.crc.slots.next = self.rx_flit.val().get_bits::<512>(0);
        self.came.d.next = self.rx_valid.val();
        self.intact.d.next = self.crc.crc.val() == self.rx_flit.val().get_bits::<16>(512);
        self.held.d.next = self.rx_flit.val().get_bits::<512>(0);
        self.there.next = self.came.q.val();
        self.good.next = self.intact.q.val();
        self.slots.next = self.held.q.val();
        if self.reset.val() {
            self.came.d.next = false;
        }
    }
}
