//! The pages that the table engine has in flight, oldest first.
//!
//! A page enters at the `tail` when its bucket is asked for, is `committed` in order when the bucket
//! was looked at, and leaves in order when what was written for it is acknowledged. As many
//! consecutive pages lie in as many different buckets, so no bucket is read or written twice at a
//! time.

use crate::registers::constant;
use rust_hdl::prelude::*;

/// Bits of the index of a page in flight.
pub const PAGE_INDEX_BITS: usize = 5;

#[derive(LogicBlock)]
pub struct PageRing {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A page enters at `tail`; only while `room`.
    pub enter: Signal<In, Bit>,
    pub tail: Signal<Out, Bits<PAGE_INDEX_BITS>>,
    pub room: Signal<Out, Bit>,
    /// The bucket of page `found_index` was looked at.
    pub found: Signal<In, Bit>,
    pub found_index: Signal<In, Bits<PAGE_INDEX_BITS>>,
    /// The oldest page not yet committed, and whether its bucket was looked at.
    pub front: Signal<Out, Bits<PAGE_INDEX_BITS>>,
    pub front_found: Signal<Out, Bit>,
    /// Page `front` is committed; `settled` if nothing is written for it.
    pub commit: Signal<In, Bit>,
    pub settled: Signal<In, Bit>,
    /// What was written for page `acked_index` is acknowledged.
    pub acked: Signal<In, Bit>,
    pub acked_index: Signal<In, Bits<PAGE_INDEX_BITS>>,
    pub empty: Signal<Out, Bit>,

    at_tail: DFF<Bits<PAGE_INDEX_BITS>>,
    at_front: DFF<Bits<PAGE_INDEX_BITS>>,
    at_head: DFF<Bits<PAGE_INDEX_BITS>>,
    pages: DFF<Bits<6>>,
    looked_at: DFF<Bits<32>>,
    over: DFF<Bits<32>>,
    leave: Signal<Local, Bit>,
    one: Signal<Local, Bits<32>>,
    now_found: Signal<Local, Bits<32>>,
    now_committed: Signal<Local, Bits<32>>,
    now_settled: Signal<Local, Bits<32>>,
    now_acked: Signal<Local, Bits<32>>,
    now_left: Signal<Local, Bits<32>>,
    most: Constant<Bits<6>>,
    index_mask: Constant<Bits<PAGE_INDEX_BITS>>,
}

impl PageRing {
    /// A ring of `pages`, a power of two up to 32.
    pub fn new(pages: u32) -> Self {
        assert!(pages.is_power_of_two() && pages <= 1 << PAGE_INDEX_BITS);
        with_defaults!(Self {
            most: constant(pages as u64),
            index_mask: constant(pages as u64 - 1),
        } clock reset enter tail room found found_index front front_found commit settled acked
          acked_index empty at_tail at_front at_head pages looked_at over leave one now_found
          now_committed now_settled now_acked now_left)
    }
}

impl Logic for PageRing {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, at_tail, at_front, at_head, pages, looked_at, over);
        self.tail.next = self.at_tail.q.val();
        self.front.next = self.at_front.q.val();
        self.room.next = self.pages.q.val() != self.most.val();
        self.empty.next = !self.pages.q.val().any();
        self.front_found.next = self.looked_at.q.val().get_bit(self.at_front.q.val().index());
        self.leave.next = self.over.q.val().get_bit(self.at_head.q.val().index());

        self.one.next = 1.into();
        self.now_found.next = 0.into();
        if self.found.val() {
            self.now_found.next = self.one.val() << self.found_index.val();
        }
        self.now_committed.next = 0.into();
        self.now_settled.next = 0.into();
        if self.commit.val() {
            self.now_committed.next = self.one.val() << self.at_front.q.val();
            self.at_front.d.next = (self.at_front.q.val() + 1) & self.index_mask.val();
            if self.settled.val() {
                self.now_settled.next = self.one.val() << self.at_front.q.val();
            }
        }
        self.now_acked.next = 0.into();
        if self.acked.val() {
            self.now_acked.next = self.one.val() << self.acked_index.val();
        }
        self.now_left.next = 0.into();
        if self.leave.val() {
            self.now_left.next = self.one.val() << self.at_head.q.val();
            self.at_head.d.next = (self.at_head.q.val() + 1) & self.index_mask.val();
        }
        self.looked_at.d.next =
            (self.looked_at.q.val() & (!self.now_committed.val())) | self.now_found.val();
        self.over.d.next = (self.over.q.val() & (!self.now_left.val()))
            | (self.now_settled.val() | self.now_acked.val());

        if self.enter.val() {
            self.at_tail.d.next = (self.at_tail.q.val() + 1) & self.index_mask.val();
        }
        if self.enter.val() && !self.leave.val() {
            self.pages.d.next = self.pages.q.val() + 1;
        }
        if !self.enter.val() && self.leave.val() {
            self.pages.d.next = self.pages.q.val() - 1;
        }
        if self.reset.val() {
            self.at_tail.d.next = 0.into();
            self.at_front.d.next = 0.into();
            self.at_head.d.next = 0.into();
            self.pages.d.next = 0.into();
            self.looked_at.d.next = 0.into();
            self.over.d.next = 0.into();
        }
    }
}
