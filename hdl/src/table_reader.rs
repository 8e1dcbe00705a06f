//! Which bucket lines the table engine reads: one per page of a run, in order.
//!
//! In: `start` with a page key and a number of pages; then one line after the other is offered with
//! `valid` until `take`. The bucket of the first page of a vRegion costs a hash, the others stand in
//! a row behind it. At the end of a vRegion it waits until the pages in flight are gone (`empty`): in
//! the next one they may meet in a bucket. `over` when every page was taken.

use crate::prim::RegionHash;
use crate::registers::constant;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{
    HUGE_BIT, HUGE_SHIFT, LINE_SHIFT, PAGE_SHIFT, PLINE_BITS, VREGION_SHIFT,
};

/// Bits of a page's place in its vRegion, in the page key.
pub const PLACE_BITS: usize = (VREGION_SHIFT - PAGE_SHIFT) as usize;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ReaderState {
    Idle,
    Hash,
    Bucket,
    Line,
    Offer,
    Drain,
}

#[derive(LogicBlock)]
pub struct TableReader {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub table_base: Signal<In, Bits<28>>,
    pub table_log2: Signal<In, Bits<5>>,
    pub start: Signal<In, Bit>,
    pub start_key: Signal<In, Bits<36>>,
    pub start_pages: Signal<In, Bits<19>>,
    pub pid: Signal<In, Bits<16>>,
    /// Give up the pages not yet taken.
    pub stop: Signal<In, Bit>,
    pub empty: Signal<In, Bit>,
    pub valid: Signal<Out, Bit>,
    pub line: Signal<Out, Bits<34>>,
    /// The page's place in its vRegion, as in its key, and the vRegion of all pages in flight.
    pub place: Signal<Out, Bits<PLACE_BITS>>,
    pub region: Signal<Out, Bits<18>>,
    pub take: Signal<In, Bit>,
    pub over: Signal<Out, Bit>,

    hash: RegionHash,
    state: DFF<ReaderState>,
    key: DFF<Bits<36>>,
    left: DFF<Bits<19>>,
    in_region: DFF<Bits<18>>,
    region_hash: DFF<Bits<24>>,
    mask: DFF<Bits<24>>,
    bucket: DFF<Bits<24>>,
    at: DFF<Bits<34>>,
    huge: Signal<Local, Bit>,
    step: Signal<Local, Bits<36>>,
    index: Signal<Local, Bits<24>>,
    low: Signal<Local, Bits<PLACE_BITS>>,
    region_ends: Signal<Local, Bit>,
    ones: Signal<Local, Bits<24>>,
    huge_bit: Constant<Bits<6>>,
    small_step: Constant<Bits<36>>,
    huge_step: Constant<Bits<36>>,
    huge_low: Constant<Bits<PLACE_BITS>>,
    last_place: Constant<Bits<PLACE_BITS>>,
    place_bits: Constant<Bits<6>>,
    huge_shift: Constant<Bits<5>>,
    line_shift: Constant<Bits<5>>,
    line_mask: Constant<Bits<34>>,
    all: Constant<Bits<24>>,
}

impl TableReader {
    pub fn new(config: &HwConfig) -> Self {
        let huge_shift = HUGE_SHIFT - PAGE_SHIFT;
        let line_shift = PAGE_SHIFT - LINE_SHIFT;
        let lines = config.frames() << line_shift;
        assert!(lines <= 1 << PLINE_BITS);
        with_defaults!(Self {
            huge_bit: constant((HUGE_BIT - PAGE_SHIFT) as u64),
            small_step: constant(1),
            huge_step: constant(1 << huge_shift),
            huge_low: constant((1 << huge_shift) - 1),
            last_place: constant((1 << PLACE_BITS) - 1),
            place_bits: constant(PLACE_BITS as u64),
            huge_shift: constant(huge_shift as u64),
            line_shift: constant(line_shift as u64),
            line_mask: constant(lines - 1),
            all: constant((1 << splitmem_abi::hash::HASH_BITS) - 1),
        } clock reset table_base table_log2 start start_key start_pages pid stop empty valid line
          place region take over hash state key left in_region region_hash mask bucket at huge step
          index low region_ends ones)
    }
}

impl Logic for TableReader {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, key, left, in_region, region_hash, mask, bucket, at);
        self.huge.next = self.key.q.val().get_bit(self.huge_bit.val().index());
        self.low.next = bit_cast::<PLACE_BITS, 36>(self.key.q.val());
        self.region_ends.next = self.low.val() == self.last_place.val();
        self.step.next = self.small_step.val();
        self.index.next = bit_cast::<24, PLACE_BITS>(self.low.val());
        if self.huge.val() {
            self.region_ends.next = (self.low.val() | self.huge_low.val()) == self.last_place.val();
            self.step.next = self.huge_step.val();
            self.index.next = bit_cast::<24, PLACE_BITS>(self.low.val() >> self.huge_shift.val());
        }
        self.hash.pid.next = self.pid.val();
        self.hash.vregion.next = bit_cast::<18, 36>(self.key.q.val() >> self.place_bits.val());
        self.ones.next = self.all.val() << self.table_log2.val();
        self.mask.d.next = self.ones.val() ^ self.all.val();

        self.valid.next = false;
        self.over.next = false;
        match self.state.q.val() {
            ReaderState::Idle => {
                self.over.next = true;
                if self.start.val() {
                    self.key.d.next = self.start_key.val();
                    self.left.d.next = self.start_pages.val();
                    self.state.d.next = ReaderState::Hash;
                }
            }
            ReaderState::Hash => {
                self.region_hash.d.next = self.hash.hash.val();
                self.in_region.d.next = self.hash.vregion.val();
                self.state.d.next = ReaderState::Bucket;
            }
            ReaderState::Bucket => {
                self.bucket.d.next =
                    (self.region_hash.q.val() + self.index.val()) & self.mask.q.val();
                self.state.d.next = ReaderState::Line;
            }
            ReaderState::Line => {
                self.at.d.next = ((bit_cast::<34, 28>(self.table_base.val())
                    << self.line_shift.val())
                    + bit_cast::<34, 24>(self.bucket.q.val()))
                    & self.line_mask.val();
                self.state.d.next = ReaderState::Offer;
            }
            ReaderState::Offer => {
                self.valid.next = true;
                if self.take.val() {
                    self.key.d.next = self.key.q.val() + self.step.val();
                    self.bucket.d.next = (self.bucket.q.val() + 1) & self.mask.q.val();
                    self.left.d.next = self.left.q.val() - 1;
                    self.state.d.next = ReaderState::Line;
                    if self.region_ends.val() {
                        self.state.d.next = ReaderState::Drain;
                    }
                    if self.left.q.val() == 1 {
                        self.state.d.next = ReaderState::Idle;
                    }
                }
            }
            ReaderState::Drain => {
                if self.empty.val() {
                    self.state.d.next = ReaderState::Hash;
                }
            }
            _ => {
                self.state.d.next = ReaderState::Idle;
            }
        }
        self.line.next = self.at.q.val();
        self.place.next = self.low.val();
        self.region.next = self.in_region.q.val();
        if self.stop.val() || self.reset.val() {
            self.state.d.next = ReaderState::Idle;
        }
    }
}
