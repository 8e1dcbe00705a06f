//! Bucket: where a page's PTE stands, and which of a bucket line's four entries is the page's.
//!
//! Address: the region hash in stage 1, the bucket index in stage 2, the line in stage 3.
//! Match: one cycle to compare, one to select, from a walk's bucket line to its result.

use crate::prim::{LutRam, RegionHash};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

/// The address of a page's bucket line, in step with the TLB's stages.
#[derive(LogicBlock, Default)]
pub struct BucketAddress {
    pub clock: Signal<In, Clock>,
    pub advance: Signal<In, Bit>,
    pub table_base: Signal<In, Bits<28>>,
    pub table_log2: Signal<In, Bits<5>>,
    pub pid_1: Signal<In, Bits<16>>,
    pub va_1: Signal<In, Bits<48>>,
    pub line_3: Signal<Out, Bits<34>>,
    hash: RegionHash,
    mask: DFF<Bits<24>>,
    ones: Signal<Local, Bits<24>>,
    index: Signal<Local, Bits<24>>,
    hash_2: DFF<Bits<24>>,
    index_2: DFF<Bits<24>>,
    bucket_3: DFF<Bits<24>>,
}

impl Logic for BucketAddress {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, mask, hash_2, index_2, bucket_3);
        self.ones.next = 0xffffff.into();
        self.mask.d.next = !((self.ones.val()) << (self.table_log2.val()));
        self.hash.pid.next = self.pid_1.val();
        self.hash.vregion.next = bit_cast::<18, 48>(self.va_1.val() >> 30);
        self.index.next = bit_cast::<24, 18>(self.va_1.val().get_bits::<18>(12));
        if self.va_1.val().get_bit(47) {
            self.index.next = bit_cast::<24, 9>(self.va_1.val().get_bits::<9>(21));
        }
        if self.advance.val() {
            self.hash_2.d.next = self.hash.hash.val();
            self.index_2.d.next = self.index.val();
            self.bucket_3.d.next =
                (self.hash_2.q.val() + self.index_2.q.val()) & (self.mask.q.val());
        }
        self.line_3.next = (bit_cast::<34, 28>(self.table_base.val()) << 6)
            + bit_cast::<34, 24>(self.bucket_3.q.val());
    }
}

/// One entry of a bucket line, see `abi::pte`.
#[derive(LogicBlock, Default)]
pub struct PteMatch {
    pub pte: Signal<In, Bits<128>>,
    pub pid: Signal<In, Bits<16>>,
    pub key: Signal<In, Bits<36>>,
    pub equal: Signal<Out, Bit>,
}

impl Logic for PteMatch {
    #[hdl_gen]
    fn update(&mut self) {
        self.equal.next = self.pte.val().get_bit(0)
            && (self.pte.val().get_bits::<16>(16) == self.pid.val())
            && (self.pte.val().get_bits::<36>(32) == self.key.val());
    }
}

/// From a bucket line to a walk's result.
#[derive(LogicBlock, Default)]
pub struct BucketMatch {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Stage 3 allocates an entry: its page is kept for the comparison.
    pub allocate: Signal<In, Bit>,
    pub allocate_index: Signal<In, Bits<7>>,
    pub pid_3: Signal<In, Bits<16>>,
    pub key_3: Signal<In, Bits<36>>,
    /// The bucket line of an entry.
    pub line_valid: Signal<In, Bit>,
    pub line_index: Signal<In, Bits<7>>,
    pub line: Signal<In, Bits<512>>,
    pub line_poison: Signal<In, Bit>,
    /// The result, one cycle later: the request may be served if `mapped`.
    pub valid: Signal<Out, Bit>,
    pub index: Signal<Out, Bits<7>>,
    pub poison: Signal<Out, Bit>,
    pub mapped: Signal<Out, Bit>,
    pub present: Signal<Out, Bit>,
    pub read: Signal<Out, Bit>,
    pub write: Signal<Out, Bit>,
    pub frame: Signal<Out, Bits<28>>,
    /// Which of the four entries it is.
    pub way: Signal<Out, Bits<2>>,
    pages: LutRam<Bits<52>, 7>,
    slots: [PteMatch; 4],
    hit: [DFF<Bit>; 4],
    flags: [DFF<Bits<9>>; 4],
    frames: [DFF<Bits<28>>; 4],
    ready: DFF<Bit>,
    at: DFF<Bits<7>>,
    bad: DFF<Bit>,
    any: Signal<Local, Bit>,
    sel_flags: Signal<Local, Bits<9>>,
    sel_frame: Signal<Local, Bits<28>>,
}

impl BucketMatch {
    pub fn new(config: &HwConfig) -> Self {
        Self { pages: LutRam::new(config.walk_entries as usize), ..Default::default() }
    }
}

impl Logic for BucketMatch {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, ready, at, bad);
        clock!(self, clock, pages);
        self.pages.write_enable.next = self.allocate.val();
        self.pages.write_address.next = self.allocate_index.val();
        self.pages.write_data.next =
            (bit_cast::<52, 36>(self.key_3.val()) << 16) | bit_cast::<52, 16>(self.pid_3.val());
        self.pages.read_address.next = self.line_index.val();
        self.any.next = false;
        self.sel_flags.next = 0.into();
        self.sel_frame.next = 0.into();
        for i in 0..4 {
            self.hit[i].clock.next = self.clock.val();
            self.flags[i].clock.next = self.clock.val();
            self.frames[i].clock.next = self.clock.val();
            self.slots[i].pte.next = self.line.val().get_bits::<128>(i * 128);
            self.slots[i].pid.next = self.pages.read_data.val().get_bits::<16>(0);
            self.slots[i].key.next = self.pages.read_data.val().get_bits::<36>(16);
            self.hit[i].d.next = self.slots[i].equal.val();
            self.flags[i].d.next = self.line.val().get_bits::<9>(i * 128);
            self.frames[i].d.next = self.line.val().get_bits::<28>(i * 128 + 96);
            self.any.next = self.any.val() || self.hit[i].q.val();
            if self.hit[i].q.val() {
                self.sel_flags.next = (self.sel_flags.val()) | (self.flags[i].q.val());
                self.sel_frame.next = (self.sel_frame.val()) | (self.frames[i].q.val());
            }
        }
        self.ready.d.next = self.line_valid.val();
        self.at.d.next = self.line_index.val();
        self.bad.d.next = self.line_poison.val();
        self.valid.next = self.ready.q.val();
        self.index.next = self.at.q.val();
        self.poison.next = self.bad.q.val();
        self.mapped.next = self.any.val();
        self.read.next = self.sel_flags.val().get_bit(1);
        self.write.next = self.sel_flags.val().get_bit(2);
        self.present.next = self.sel_flags.val().get_bit(8);
        self.frame.next = self.sel_frame.val();
        self.way.next = 0.into();
        if self.hit[1].q.val() {
            self.way.next = 1.into();
        }
        if self.hit[2].q.val() {
            self.way.next = 2.into();
        }
        if self.hit[3].q.val() {
            self.way.next = 3.into();
        }
        if self.reset.val() {
            self.ready.d.next = false;
        }
    }
}
