//! Which way of a TLB set a fill replaces: one that was not hit lately.
//!
//! One bit per way says that it was hit; when all would be set, only the newest stays (the clock
//! algorithm's approximation of LRU). A fill sets no bit, so pages that are used once replace each
//! other and not those that are used again: one process's misses leave another's hot pages alone.
//!
//! The bits are read along with the lookup and may be a few cycles old when they are used or written
//! back. A lost update costs a worse choice once, never a wrong translation.

use crate::prim::{HeldRam, Param};
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Recency {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The lookup's stages move on.
    pub advance: Signal<In, Bit>,
    /// Stage 0.
    pub read_set: Signal<In, Bits<9>>,
    /// Stage 3: the lookup hit one of `ways`, or its set is being cleared.
    pub set_3: Signal<In, Bits<9>>,
    pub touch_3: Signal<In, Bit>,
    pub clear_3: Signal<In, Bit>,
    pub ways_3: Signal<In, Bits<8>>,
    /// The way to replace if the lookup missed.
    pub victim_3: Signal<Out, Bits<3>>,

    /// Of each set: bit by way, it was hit.
    ram: HeldRam<Bits<8>, 9>,
    used_2: DFF<Bits<8>>,
    used_3: DFF<Bits<8>>,
    pick_3: DFF<Bits<3>>,
    /// Where the search begins, so that misses in one set that follow closely choose differently.
    turn: DFF<Bits<3>>,
    pick: Signal<Local, Bits<3>>,
    touched: Signal<Local, Bits<8>>,
    way_bit: Vec<Param<Bits<8>>>,
    way_index: Vec<Param<Bits<3>>>,
    _ways: usize,
    all: Param<Bits<8>>,
    turn_mask: Param<Bits<3>>,
}

impl Recency {
    pub fn new(sets: usize, ways: usize) -> Self {
        Self {
            ram: HeldRam::new(sets),
            way_bit: (0..ways).map(|way| Param::new((1u64 << way).into())).collect(),
            way_index: (0..ways).map(|way| Param::new((way as u64).into())).collect(),
            _ways: ways,
            all: Param::new(((1u64 << ways) - 1).into()),
            turn_mask: Param::new((ways as u64 - 1).into()),
            ..Default::default()
        }
    }
}

impl Logic for Recency {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, used_2, used_3, pick_3, turn);
        self.ram.clock.next = self.clock.val();
        self.ram.read_enable.next = self.advance.val();
        self.ram.read_address.next = self.read_set.val();

        // The turn's way if it is unused, else the last unused one.
        self.pick.next = self.turn.q.val();
        for i in 0..self._ways {
            if !((self.used_2.q.val()) & (self.way_bit[i].val())).any() {
                self.pick.next = self.way_index[i].val();
            }
        }
        for i in 0..self._ways {
            if !((self.used_2.q.val()) & (self.way_bit[i].val())).any()
                && (self.way_index[i].val() == self.turn.q.val())
            {
                self.pick.next = self.way_index[i].val();
            }
        }
        if self.advance.val() {
            self.used_2.d.next = self.ram.read_data.val();
            self.used_3.d.next = self.used_2.q.val();
            self.pick_3.d.next = self.pick.val();
            self.turn.d.next = (self.turn.q.val() + 1) & (self.turn_mask.val());
        }
        self.victim_3.next = self.pick_3.q.val();

        self.touched.next = (self.used_3.q.val()) | (self.ways_3.val());
        self.ram.write_enable.next = self.clear_3.val() || self.touch_3.val();
        self.ram.write_address.next = self.set_3.val();
        self.ram.write_data.next = self.touched.val();
        if self.touched.val() == self.all.val() {
            self.ram.write_data.next = self.ways_3.val();
        }
        if self.clear_3.val() {
            self.ram.write_data.next = 0.into();
        }
        if self.reset.val() {
            self.turn.d.next = 0.into();
        }
    }
}
