//! The retry buffer (section 4.2.8.1): every retryable flit as it was sent, CRC and all, until the
//! other end has acknowledged it.
//!
//! A flit takes its place when it is chosen and is stored a cycle later, with its CRC. The place of a
//! flit that is not acknowledged is never given to another one: [`super::send`] chooses no flit that
//! would leave less than one place free.

use crate::prim::{HeldRam, LutRam};
use rust_hdl::prelude::*;

/// Places; sequence numbers wrap there.
pub const PLACES: usize = 64;

#[derive(LogicBlock)]
pub struct Replay {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A new flit is chosen; it gets the place `write_at`.
    pub push: Signal<In, Bit>,
    pub push_all_data: Signal<In, Bit>,
    pub write_at: Signal<Out, Bits<6>>,
    pub store: Signal<In, Bit>,
    pub store_at: Signal<In, Bits<6>>,
    pub store_flit: Signal<In, Bits<528>>,
    /// Flits that the other end acknowledges.
    pub acks: Signal<In, Bits<8>>,
    pub used: Signal<Out, Bits<7>>,
    pub oldest: Signal<Out, Bits<6>>,
    /// Begins to send again from a place on.
    pub rewind: Signal<In, Bit>,
    pub rewind_to: Signal<In, Bits<6>>,
    /// A flit is to be sent again; it has no header; `advance` takes it.
    pub again: Signal<Out, Bit>,
    pub again_all_data: Signal<Out, Bit>,
    pub advance: Signal<In, Bit>,
    /// The flit that `advance` took last, from the cycle after it on.
    pub flit: Signal<Out, Bits<528>>,

    flits: HeldRam<Bits<528>, 6>,
    headless: LutRam<Bits<1>, 6>,
    write: DFF<Bits<6>>,
    read: DFF<Bits<6>>,
    first: DFF<Bits<6>>,
    count: DFF<Bits<7>>,
}

impl Replay {
    pub fn new() -> Self {
        with_defaults!(Self {
            flits: HeldRam::new(PLACES),
            headless: LutRam::new(PLACES),
        } clock reset push push_all_data write_at store store_at store_flit acks used oldest rewind
          rewind_to again again_all_data advance flit write read first count)
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Replay {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, write, read, first, count);
        clock!(self, clock, flits, headless);
        self.flits.write_address.next = self.store_at.val();
        self.flits.write_data.next = self.store_flit.val();
        self.flits.write_enable.next = self.store.val();
        self.flits.read_address.next = self.read.q.val();
        self.flits.read_enable.next = self.advance.val();
        self.flit.next = self.flits.read_data.val();
        self.headless.write_address.next = self.write.q.val();
        self.headless.write_data.next = self.push_all_data.val().into();
        self.headless.write_enable.next = self.push.val();
        self.headless.read_address.next = self.read.q.val();

        self.write_at.next = self.write.q.val();
        self.used.next = self.count.q.val();
        self.oldest.next = self.first.q.val();
        // One place is always free, so equal pointers mean that there is nothing, not everything.
        self.again.next = self.read.q.val() != self.write.q.val();
        self.again_all_data.next = self.again.val() && self.headless.read_data.val().any();
        if self.advance.val() {
            self.read.d.next = self.read.q.val() + 1;
        }
        if self.push.val() {
            self.write.d.next = self.write.q.val() + 1;
            self.read.d.next = self.read.q.val() + 1;
        }
        if self.rewind.val() {
            self.read.d.next = self.rewind_to.val();
        }
        self.first.d.next = self.first.q.val() + bit_cast::<6, 8>(self.acks.val());
        self.count.d.next = (self.count.q.val() + bit_cast::<7, 1>(self.push.val().into()))
            - bit_cast::<7, 8>(self.acks.val());
        if self.reset.val() {
            self.write.d.next = 0.into();
            self.read.d.next = 0.into();
            self.first.d.next = 0.into();
            self.count.d.next = 0.into();
        }
    }
}

// Places stand in the code as widths.
const _: () = assert!(PLACES == 64);
