//! What the other end told of itself, for the link capability register (section 8.2.4.19.1).
//!
//! In: the flit of this cycle, and which kind it is. Out, from the next cycle on: what the newest
//! INIT.Param, RETRY.Req and RETRY.Ack said; zeros before the first one.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Heard {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub slots: Signal<In, Bits<512>>,
    pub init: Signal<In, Bit>,
    pub request: Signal<In, Bit>,
    pub answer: Signal<In, Bit>,
    /// `[3:0]` version, `[11:4]` wrap value; `[16:12]` NUM_RETRY, `[21:17]` NUM_PHY_REINIT; `[29:22]`
    /// WrPtr, `[37:30]` echoed ESeq, `[45:38]` NumFreeBuf.
    pub told: Signal<Out, Bits<46>>,
    version: DFF<Bits<4>>,
    wrap: DFF<Bits<8>>,
    retries: DFF<Bits<5>>,
    trainings: DFF<Bits<5>>,
    write_at: DFF<Bits<8>>,
    echoed: DFF<Bits<8>>,
    free: DFF<Bits<8>>,
}

impl Logic for Heard {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, version, wrap, retries, trainings, write_at, echoed, free);
        // The payload begins at bit 64 (4.2.7, tables 4-9 and 4-10).
        if self.init.val() {
            self.version.d.next = self.slots.val().get_bits::<4>(64);
            self.wrap.d.next = self.slots.val().get_bits::<8>(88);
        }
        if self.request.val() {
            self.retries.d.next = self.slots.val().get_bits::<5>(80);
            self.trainings.d.next = self.slots.val().get_bits::<5>(85);
        }
        if self.answer.val() {
            self.write_at.d.next = self.slots.val().get_bits::<8>(72);
            self.echoed.d.next = self.slots.val().get_bits::<8>(80);
            self.free.d.next = self.slots.val().get_bits::<8>(88);
        }
        self.told.next = ((bit_cast::<46, 4>(self.version.q.val())
            | (bit_cast::<46, 8>(self.wrap.q.val()) << 4))
            | ((bit_cast::<46, 5>(self.retries.q.val()) << 12)
                | (bit_cast::<46, 5>(self.trainings.q.val()) << 17)))
            | ((bit_cast::<46, 8>(self.write_at.q.val()) << 22)
                | ((bit_cast::<46, 8>(self.echoed.q.val()) << 30)
                    | (bit_cast::<46, 8>(self.free.q.val()) << 38)));
        if self.reset.val() {
            self.version.d.next = 0.into();
            self.wrap.d.next = 0.into();
            self.retries.d.next = 0.into();
            self.trainings.d.next = 0.into();
            self.write_at.d.next = 0.into();
            self.echoed.d.next = 0.into();
            self.free.d.next = 0.into();
        }
    }
}
