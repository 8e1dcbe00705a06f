//! Credits (section 4.2.3, table 4-4): how many messages of a kind the other end may still send.

use super::inbox::ROOM;
use crate::prim::Param;
use rust_hdl::prelude::*;

/// Credits that wait to be returned: at first as many as are to be given, at most the room; then one for
/// each message that was taken. What a flit returns is a power of two, so the rest goes with a later flit.
#[derive(LogicBlock, Default)]
pub struct CreditsOwed {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Credits to be given, as the reset finds them.
    pub given: Signal<In, Bits<10>>,
    /// None is returned yet.
    pub stalled: Signal<In, Bit>,
    pub taken: Signal<In, Bit>,
    /// A flit leaves that returns `code`.
    pub returns: Signal<In, Bit>,
    /// For the flit header; bit 3 says that the credits are CXL.mem's.
    pub code: Signal<Out, Bits<4>>,
    pub any: Signal<Out, Bit>,
    pub count: Signal<Out, Bits<7>>,
    owed: DFF<Bits<7>>,
    most: Signal<Local, Bits<7>>,
    room: Param<Bits<7>>,
}

impl CreditsOwed {
    pub fn new() -> Self {
        Self { room: Param::new((ROOM as u64).into()), ..Default::default() }
    }
}

impl Logic for CreditsOwed {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, owed);
        self.any.next = self.owed.q.val().any();
        self.code.next = 0.into();
        self.most.next = 0.into();
        if self.owed.q.val().get_bit(0) {
            self.code.next = 9.into();
            self.most.next = 1.into();
        }
        if self.owed.q.val().get_bit(1) {
            self.code.next = 10.into();
            self.most.next = 2.into();
        }
        if self.owed.q.val().get_bit(2) {
            self.code.next = 11.into();
            self.most.next = 4.into();
        }
        if self.owed.q.val().get_bit(3) {
            self.code.next = 12.into();
            self.most.next = 8.into();
        }
        if self.owed.q.val().get_bit(4) {
            self.code.next = 13.into();
            self.most.next = 16.into();
        }
        if self.owed.q.val().get_bit(5) {
            self.code.next = 14.into();
            self.most.next = 32.into();
        }
        if self.owed.q.val().get_bit(6) {
            self.code.next = 15.into();
            self.most.next = 64.into();
        }
        if self.stalled.val() {
            self.any.next = false;
            self.code.next = 0.into();
            self.most.next = 0.into();
        }
        self.count.next = self.owed.q.val();
        self.owed.d.next = self.owed.q.val() + bit_cast::<7, 1>(self.taken.val().into());
        if self.returns.val() {
            self.owed.d.next =
                (self.owed.q.val() - self.most.val()) + bit_cast::<7, 1>(self.taken.val().into());
        }
        if self.reset.val() {
            self.owed.d.next = bit_cast::<7, 10>(self.given.val());
            if self.given.val().get_bits::<4>(6).any() {
                self.owed.d.next = self.room.val();
            }
        }
    }
}

/// Credits that the other end gave, and that messages use up. The counter saturates, as 4.2.7 demands:
/// the other end may have more room than it counts.
#[derive(LogicBlock, Default)]
pub struct CreditsHeld {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A header came with `code`.
    pub given: Signal<In, Bit>,
    pub code: Signal<In, Bits<4>>,
    /// A message leaves; only while `any`.
    pub used: Signal<In, Bit>,
    pub any: Signal<Out, Bit>,
    pub count: Signal<Out, Bits<10>>,
    held: DFF<Bits<10>>,
    some: DFF<Bit>,
    more: Signal<Local, Bits<11>>,
    total: Signal<Local, Bits<11>>,
}

impl Logic for CreditsHeld {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held, some);
        self.any.next = self.some.q.val();
        self.count.next = self.held.q.val();
        self.more.next = 0.into();
        // Credits of CXL.cache (bit 3 clear) are none to this device.
        if self.given.val() && self.code.val().get_bit(3) {
            if self.code.val().get_bits::<3>(0) == 1 {
                self.more.next = 1.into();
            }
            if self.code.val().get_bits::<3>(0) == 2 {
                self.more.next = 2.into();
            }
            if self.code.val().get_bits::<3>(0) == 3 {
                self.more.next = 4.into();
            }
            if self.code.val().get_bits::<3>(0) == 4 {
                self.more.next = 8.into();
            }
            if self.code.val().get_bits::<3>(0) == 5 {
                self.more.next = 16.into();
            }
            if self.code.val().get_bits::<3>(0) == 6 {
                self.more.next = 32.into();
            }
            if self.code.val().get_bits::<3>(0) == 7 {
                self.more.next = 64.into();
            }
        }
        self.total.next = (bit_cast::<11, 10>(self.held.q.val()) + self.more.val())
            - bit_cast::<11, 1>(self.used.val().into());
        self.held.d.next = bit_cast::<10, 11>(self.total.val());
        if self.total.val().get_bit(10) {
            self.held.d.next = 1023.into();
        }
        self.some.d.next = self.total.val().any();
        if self.reset.val() {
            self.held.d.next = 0.into();
            self.some.d.next = false;
        }
    }
}
