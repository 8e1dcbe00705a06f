//! A burst's addresses, beat by beat (A3.4.1).
//!
//! A burst is taken while there is none, or in the cycle in which the last beat of the one before goes:
//! beats of bursts that follow each other have no gap. `advance` takes the beat that stands at the
//! outputs. Of a wrapping burst the length is 2, 4, 8 or 16, and its address aligned, as the manager has
//! to see to; other lengths give addresses, but no sensible ones. A size of 128 bytes, which the bus has
//! not, counts as 64.

use crate::prim::Param;
use rust_hdl::prelude::*;

#[derive(LogicBlock)]
pub struct Burst {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_id: Signal<In, Bits<8>>,
    pub in_address: Signal<In, Bits<52>>,
    /// Beats less one.
    pub in_len: Signal<In, Bits<8>>,
    /// log2 of a beat's bytes.
    pub in_size: Signal<In, Bits<3>>,
    /// 0: every beat at the same address, 1: one after the other, 2: around a boundary.
    pub in_kind: Signal<In, Bits<2>>,
    pub valid: Signal<Out, Bit>,
    pub id: Signal<Out, Bits<8>>,
    /// Line of the beat: address bits 51:6.
    pub line: Signal<Out, Bits<46>>,
    pub last: Signal<Out, Bit>,
    pub advance: Signal<In, Bit>,

    active: DFF<Bit>,
    burst_id: DFF<Bits<8>>,
    address: DFF<Bits<52>>,
    /// Beats after this one.
    left: DFF<Bits<8>>,
    step: DFF<Bits<52>>,
    /// Address bits that change within the burst.
    moving: DFF<Bits<52>>,
    over: Signal<Local, Bit>,
    size: Signal<Local, Bits<3>>,
    beats: Signal<Local, Bits<52>>,
    bytes: Signal<Local, Bits<52>>,
    next_address: Signal<Local, Bits<52>>,
    one: Param<Bits<52>>,
}

impl Burst {
    pub fn new() -> Self {
        with_defaults!(Self {
            one: Param::new(1u64.into()),
        } clock reset in_valid in_ready in_id in_address in_len in_size in_kind valid id line last
          advance active burst_id address left step moving over size beats bytes next_address)
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Burst {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, active, burst_id, address, left, step, moving);
        self.valid.next = self.active.q.val();
        self.id.next = self.burst_id.q.val();
        self.line.next = bit_cast::<46, 52>(self.address.q.val() >> 6);
        self.last.next = !self.left.q.val().any();
        self.over.next = self.advance.val() && self.last.val();
        self.in_ready.next = !self.active.q.val() || self.over.val();

        // The first beat may be unaligned, those after it are not.
        self.next_address.next =
            (self.address.q.val() & (!(self.step.q.val() - 1))) + self.step.q.val();
        if self.advance.val() {
            self.left.d.next = self.left.q.val() - 1;
            self.address.d.next = (self.address.q.val() & (!self.moving.q.val()))
                | (self.next_address.val() & self.moving.q.val());
        }
        if self.over.val() {
            self.active.d.next = false;
        }

        self.size.next = self.in_size.val();
        if self.in_size.val() == 7 {
            self.size.next = 6.into();
        }
        self.beats.next = bit_cast::<52, 8>(self.in_len.val()) + 1;
        self.bytes.next = self.beats.val() << self.size.val();
        if self.in_valid.val() && self.in_ready.val() {
            self.active.d.next = true;
            self.burst_id.d.next = self.in_id.val();
            self.address.d.next = self.in_address.val();
            self.left.d.next = self.in_len.val();
            self.step.d.next = self.one.val() << self.size.val();
            self.moving.d.next = !(self.one.val() & 0);
            if self.in_kind.val() == 0 {
                self.moving.d.next = 0.into();
            }
            if self.in_kind.val() == 2 {
                self.moving.d.next = self.bytes.val() - 1;
            }
        }
        if self.reset.val() {
            self.active.d.next = false;
            self.left.d.next = 0.into();
        }
    }
}
