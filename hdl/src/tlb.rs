//! TLB: set-associative, one lookup a cycle, answer in stage 3.
//!
//! | stage | what happens |
//! | --- | --- |
//! | 0 | the set index goes to the ways' block RAMs |
//! | 1 | the entries are read and registered (block RAM is slow to come out) |
//! | 2 | pid and page key are compared, way by way; the matching one's permissions are checked |
//! | 3 | the matching way's frame is selected; the caller decides |
//!
//! Invalidations travel through the same stages and clear what matches in stage 3; a fill must not
//! happen in a cycle in which one is in stage 3. An entry that is written while a lookup of it is in
//! stage 0 or 1 is no hit.
//!
//! Promise: stage 3 says `hit` only for a pid and page key that were filled as such and not
//! invalidated since.

use crate::prim::{HeldRam, Param};
use crate::recency::Recency;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

/// One way: its memory, its comparator.
///
/// Entry: `[27:0]` frame, `[63:28]` page key, `[79:64]` pid, `[80]` READ, `[81]` WRITE, `[82]` valid.
#[derive(LogicBlock, Default)]
pub struct TlbWay {
    pub clock: Signal<In, Clock>,
    pub advance: Signal<In, Bit>,
    /// Stage 0.
    pub read_set: Signal<In, Bits<9>>,
    /// Stage 2: what to compare with; `any_*` matches every valid entry's.
    pub pid: Signal<In, Bits<16>>,
    pub key: Signal<In, Bits<36>>,
    pub any_pid: Signal<In, Bit>,
    pub any_key: Signal<In, Bit>,
    /// What the request needs to be allowed.
    pub reads: Signal<In, Bit>,
    pub writes: Signal<In, Bit>,
    /// Zero where there is no hit.
    pub hit_2: Signal<Out, Bit>,
    pub allowed_2: Signal<Out, Bit>,
    /// Stage 3; zero where there is no hit.
    pub hit: Signal<Out, Bit>,
    pub frame: Signal<Out, Bits<28>>,
    /// Fill or clear.
    pub write_enable: Signal<In, Bit>,
    pub write_set: Signal<In, Bits<9>>,
    pub write_data: Signal<In, Bits<83>>,
    ram: HeldRam<Bits<83>, 9>,
    /// Where the entry in stage 1 was read, and what was written in the last cycle: an entry that was
    /// written since it was read, or as it was, is there no more.
    read_at: DFF<Bits<9>>,
    wrote: DFF<Bit>,
    wrote_at: DFF<Bits<9>>,
    overtaken: DFF<Bit>,
    gone: Signal<Local, Bit>,
    read: Signal<Local, Bits<83>>,
    present: Param<Bits<83>>,
    entry: DFF<Bits<83>>,
    hit_3: DFF<Bit>,
    frame_3: DFF<Bits<28>>,
    equal: Signal<Local, Bit>,
}

impl TlbWay {
    pub fn new(sets: usize) -> Self {
        Self {
            ram: HeldRam::loose(sets),
            present: Param::new(Bits::<83>::from(1u64) << 82u64),
            ..Default::default()
        }
    }
}

impl Logic for TlbWay {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, read_at, wrote, wrote_at, overtaken, entry, hit_3, frame_3);
        self.ram.clock.next = self.clock.val();
        self.ram.read_enable.next = self.advance.val();
        self.ram.read_address.next = self.read_set.val();
        self.ram.write_address.next = self.write_set.val();
        self.ram.write_data.next = self.write_data.val();
        self.ram.write_enable.next = self.write_enable.val();
        self.wrote.d.next = self.write_enable.val();
        self.wrote_at.d.next = self.write_set.val();
        self.gone.next = self.overtaken.q.val()
            || (self.wrote.q.val() && (self.wrote_at.q.val() == self.read_at.q.val()));
        self.overtaken.d.next = self.gone.val() && !self.advance.val();
        self.read.next = self.ram.read_data.val();
        if self.gone.val() {
            self.read.next = (self.ram.read_data.val()) & (!self.present.val());
        }
        self.equal.next = self.entry.q.val().get_bit(82)
            && (self.any_pid.val() || (self.entry.q.val().get_bits::<16>(64) == self.pid.val()))
            && (self.any_key.val() || (self.entry.q.val().get_bits::<36>(28) == self.key.val()));
        if self.advance.val() {
            self.read_at.d.next = self.read_set.val();
            self.entry.d.next = self.read.val();
            self.hit_3.d.next = self.equal.val();
            self.frame_3.d.next = self.entry.q.val().get_bits::<28>(0);
        }
        self.hit_2.next = self.equal.val();
        self.allowed_2.next = self.equal.val()
            && (self.entry.q.val().get_bit(80) || !self.reads.val())
            && (self.entry.q.val().get_bit(81) || !self.writes.val());
        self.hit.next = self.hit_3.q.val();
        self.frame.next = 0.into();
        if self.hit_3.q.val() {
            self.frame.next = self.frame_3.q.val();
        }
    }
}

#[derive(LogicBlock, Default)]
pub struct Tlb {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// All stages move on in this cycle; otherwise all hold.
    pub advance: Signal<In, Bit>,

    /// Stage 0: a lookup, or an invalidation, or nothing.
    pub valid_0: Signal<In, Bit>,
    pub slot_0: Signal<In, Bits<7>>,
    pub op_0: Signal<In, Bits<3>>,
    pub pid_0: Signal<In, Bits<16>>,
    pub va_0: Signal<In, Bits<48>>,
    pub invalidate_0: Signal<In, Bit>,
    pub any_pid_0: Signal<In, Bit>,
    pub any_key_0: Signal<In, Bit>,
    /// With `any_key_0`: the set to clear, instead of the one that the page maps to.
    pub sweep_set_0: Signal<In, Bits<9>>,

    /// Stage 1: for the bucket address.
    pub pid_1: Signal<Out, Bits<16>>,
    pub va_1: Signal<Out, Bits<48>>,
    /// Stage 1: for the walk table's comparison.
    pub page_1: Signal<Out, Bits<36>>,
    /// Stage 2: for the walk table's comparison.
    pub valid_2: Signal<Out, Bit>,
    pub pid_2: Signal<Out, Bits<16>>,
    pub key_2: Signal<Out, Bits<36>>,
    /// Stage 3.
    pub valid_3: Signal<Out, Bit>,
    pub slot_3: Signal<Out, Bits<7>>,
    pub op_3: Signal<Out, Bits<3>>,
    pub pid_3: Signal<Out, Bits<16>>,
    pub key_3: Signal<Out, Bits<36>>,
    pub va_3: Signal<Out, Bits<48>>,
    pub invalidate_3: Signal<Out, Bit>,
    /// A request that can be served; one that cannot, whatever the page.
    pub good_3: Signal<Out, Bit>,
    pub bad_3: Signal<Out, Bit>,
    pub hit_3: Signal<Out, Bit>,
    /// The page may be read, written, or both, as the request needs.
    pub allowed_3: Signal<Out, Bit>,
    pub frame_3: Signal<Out, Bits<28>>,
    /// The way that a fill of this page should replace, if it misses.
    pub victim_3: Signal<Out, Bits<3>>,

    pub fill: Signal<In, Bit>,
    pub fill_way: Signal<In, Bits<3>>,
    pub fill_pid: Signal<In, Bits<16>>,
    pub fill_key: Signal<In, Bits<36>>,
    pub fill_frame: Signal<In, Bits<28>>,
    pub fill_read: Signal<In, Bit>,
    pub fill_write: Signal<In, Bit>,

    ways: Vec<TlbWay>,
    _ways: usize,
    way_index: Vec<Param<Bits<3>>>,
    way_bit: Vec<Param<Bits<8>>>,
    recency: Recency,
    set_mask: Param<Bits<9>>,
    frame_mask: Param<Bits<28>>,

    set_0: Signal<Local, Bits<9>>,
    fill_set: Signal<Local, Bits<9>>,
    key_0: Signal<Local, Bits<36>>,
    bad_2: Signal<Local, Bit>,
    fill_entry: Signal<Local, Bits<83>>,
    hit: Signal<Local, Bit>,
    hit_ways: Signal<Local, Bits<8>>,
    frame: Signal<Local, Bits<28>>,
    allowed: Signal<Local, Bit>,
    check: Param<Bit>,

    s1_valid: DFF<Bit>,
    s1_invalidate: DFF<Bit>,
    s1_any_pid: DFF<Bit>,
    s1_any_key: DFF<Bit>,
    s1_slot: DFF<Bits<7>>,
    s1_op: DFF<Bits<3>>,
    s1_pid: DFF<Bits<16>>,
    s1_va: DFF<Bits<48>>,
    s1_key: DFF<Bits<36>>,
    s1_set: DFF<Bits<9>>,
    s2_valid: DFF<Bit>,
    s2_invalidate: DFF<Bit>,
    s2_any_pid: DFF<Bit>,
    s2_any_key: DFF<Bit>,
    s2_slot: DFF<Bits<7>>,
    s2_op: DFF<Bits<3>>,
    s2_pid: DFF<Bits<16>>,
    s2_va: DFF<Bits<48>>,
    s2_key: DFF<Bits<36>>,
    s2_set: DFF<Bits<9>>,
    s3_valid: DFF<Bit>,
    s3_invalidate: DFF<Bit>,
    s3_good: DFF<Bit>,
    s3_bad: DFF<Bit>,
    s3_hit: DFF<Bit>,
    s3_allowed: DFF<Bit>,
    s3_slot: DFF<Bits<7>>,
    s3_op: DFF<Bits<3>>,
    s3_pid: DFF<Bits<16>>,
    s3_va: DFF<Bits<48>>,
    s3_key: DFF<Bits<36>>,
    s3_set: DFF<Bits<9>>,
}

impl Tlb {
    pub fn new(config: &HwConfig) -> Self {
        let ways = config.tlb_ways as usize;
        Self {
            ways: (0..ways).map(|_| TlbWay::new(config.tlb_sets as usize)).collect(),
            _ways: ways,
            way_index: (0..ways).map(|i| Param::new((i as u64).into())).collect(),
            way_bit: (0..ways).map(|i| Param::new((1u64 << i).into())).collect(),
            recency: Recency::new(config.tlb_sets as usize, ways),
            set_mask: Param::new((config.tlb_sets as u64 - 1).into()),
            frame_mask: Param::new((config.frame_mask() as u64).into()),
            check: Param::new(config.check_permissions),
            ..Default::default()
        }
    }
}

impl Logic for Tlb {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            s1_valid,
            s1_invalidate,
            s1_any_pid,
            s1_any_key,
            s1_slot,
            s1_op,
            s1_pid,
            s1_va,
            s1_key,
            s1_set,
            s2_valid,
            s2_invalidate,
            s2_any_pid,
            s2_any_key,
            s2_slot,
            s2_op,
            s2_pid,
            s2_va,
            s2_key,
            s2_set,
            s3_valid,
            s3_invalidate,
            s3_good,
            s3_bad,
            s3_hit,
            s3_allowed,
            s3_slot,
            s3_op,
            s3_pid,
            s3_va,
            s3_key,
            s3_set
        );
        // The set: low bits of the page number, turned by the pid so that processes with equal
        // addresses do not fight for one set.
        self.set_0.next =
            bit_cast::<9, 48>(self.va_0.val() >> 12) ^ bit_cast::<9, 16>(self.pid_0.val());
        if self.va_0.val().get_bit(47) {
            self.set_0.next =
                bit_cast::<9, 48>(self.va_0.val() >> 21) ^ bit_cast::<9, 16>(self.pid_0.val());
        }
        if self.any_key_0.val() {
            self.set_0.next = self.sweep_set_0.val();
        }
        self.key_0.next = bit_cast::<36, 48>(self.va_0.val() >> 12);
        if self.va_0.val().get_bit(47) {
            self.key_0.next = bit_cast::<36, 48>((self.va_0.val() >> 21) << 9);
        }
        // Unknown op, or an address that is not aligned to 8 bytes, or to 64 for reads and writes.
        self.bad_2.next = self.s2_op.q.val().get_bit(2)
            || (self.s2_va.q.val().get_bits::<3>(0) != 0)
            || (!self.s2_op.q.val().get_bit(1) && (self.s2_va.q.val().get_bits::<3>(3) != 0));
        if self.advance.val() {
            self.s1_valid.d.next = self.valid_0.val() && !self.invalidate_0.val();
            self.s1_invalidate.d.next = self.invalidate_0.val();
            self.s1_any_pid.d.next = self.invalidate_0.val() && self.any_pid_0.val();
            self.s1_any_key.d.next = self.invalidate_0.val() && self.any_key_0.val();
            self.s1_slot.d.next = self.slot_0.val();
            self.s1_op.d.next = self.op_0.val();
            self.s1_pid.d.next = self.pid_0.val();
            self.s1_va.d.next = self.va_0.val();
            self.s1_key.d.next = self.key_0.val();
            self.s1_set.d.next = (self.set_0.val()) & (self.set_mask.val());
            self.s2_valid.d.next = self.s1_valid.q.val();
            self.s2_invalidate.d.next = self.s1_invalidate.q.val();
            self.s2_any_pid.d.next = self.s1_any_pid.q.val();
            self.s2_any_key.d.next = self.s1_any_key.q.val();
            self.s2_slot.d.next = self.s1_slot.q.val();
            self.s2_op.d.next = self.s1_op.q.val();
            self.s2_pid.d.next = self.s1_pid.q.val();
            self.s2_va.d.next = self.s1_va.q.val();
            self.s2_key.d.next = self.s1_key.q.val();
            self.s2_set.d.next = self.s1_set.q.val();
            self.s3_valid.d.next = self.s2_valid.q.val();
            self.s3_invalidate.d.next = self.s2_invalidate.q.val();
            self.s3_good.d.next = self.s2_valid.q.val() && !self.bad_2.val();
            self.s3_bad.d.next = self.s2_valid.q.val() && self.bad_2.val();
            self.s3_slot.d.next = self.s2_slot.q.val();
            self.s3_op.d.next = self.s2_op.q.val();
            self.s3_pid.d.next = self.s2_pid.q.val();
            self.s3_va.d.next = self.s2_va.q.val();
            self.s3_key.d.next = self.s2_key.q.val();
            self.s3_set.d.next = self.s2_set.q.val();
        }

        self.fill_set.next =
            bit_cast::<9, 36>(self.fill_key.val()) ^ bit_cast::<9, 16>(self.fill_pid.val());
        if self.fill_key.val().get_bit(35) {
            self.fill_set.next = bit_cast::<9, 36>(self.fill_key.val() >> 9)
                ^ bit_cast::<9, 16>(self.fill_pid.val());
        }
        self.fill_entry.next =
            (bit_cast::<83, 28>((self.fill_frame.val()) & (self.frame_mask.val())))
                | (bit_cast::<83, 36>(self.fill_key.val()) << 28)
                | (bit_cast::<83, 16>(self.fill_pid.val()) << 64)
                | (bit_cast::<83, 1>(self.fill_read.val().into()) << 80)
                | (bit_cast::<83, 1>(self.fill_write.val().into()) << 81)
                | (bit_cast::<83, 1>(true.into()) << 82);

        self.hit.next = false;
        self.hit_ways.next = 0.into();
        self.frame.next = 0.into();
        self.allowed.next = false;
        for i in 0..self._ways {
            self.ways[i].clock.next = self.clock.val();
            self.ways[i].advance.next = self.advance.val();
            self.ways[i].read_set.next = (self.set_0.val()) & (self.set_mask.val());
            self.ways[i].pid.next = self.s2_pid.q.val();
            self.ways[i].key.next = self.s2_key.q.val();
            self.ways[i].any_pid.next = self.s2_any_pid.q.val();
            self.ways[i].any_key.next = self.s2_any_key.q.val();
            self.ways[i].reads.next = self.check.val() && (self.s2_op.q.val() != 1);
            self.ways[i].writes.next = self.check.val() && (self.s2_op.q.val() != 0);
            self.ways[i].write_set.next = (self.fill_set.val()) & (self.set_mask.val());
            self.ways[i].write_data.next = self.fill_entry.val();
            self.ways[i].write_enable.next =
                self.fill.val() && (self.fill_way.val() == self.way_index[i].val());
            if self.s3_invalidate.q.val() {
                self.ways[i].write_set.next = self.s3_set.q.val();
                self.ways[i].write_data.next = 0.into();
                self.ways[i].write_enable.next = self.ways[i].hit.val();
            }
            if self.ways[i].hit.val() {
                self.hit_ways.next = (self.hit_ways.val()) | (self.way_bit[i].val());
            }
            self.hit.next = self.hit.val() || self.ways[i].hit_2.val();
            self.frame.next = (self.frame.val()) | (self.ways[i].frame.val());
            self.allowed.next = self.allowed.val() || self.ways[i].allowed_2.val();
        }

        if self.advance.val() {
            self.s3_hit.d.next = self.hit.val();
            self.s3_allowed.d.next = self.allowed.val();
        }

        self.recency.clock.next = self.clock.val();
        self.recency.reset.next = self.reset.val();
        self.recency.advance.next = self.advance.val();
        self.recency.read_set.next = (self.set_0.val()) & (self.set_mask.val());
        self.recency.set_3.next = self.s3_set.q.val();
        self.recency.touch_3.next = self.s3_valid.q.val() && self.s3_hit.q.val();
        self.recency.clear_3.next = self.s3_invalidate.q.val();
        self.recency.ways_3.next = self.hit_ways.val();
        self.victim_3.next = self.recency.victim_3.val();

        self.pid_1.next = self.s1_pid.q.val();
        self.va_1.next = self.s1_va.q.val();
        self.page_1.next = self.s1_key.q.val();
        self.valid_2.next = self.s2_valid.q.val();
        self.pid_2.next = self.s2_pid.q.val();
        self.key_2.next = self.s2_key.q.val();
        self.valid_3.next = self.s3_valid.q.val();
        self.slot_3.next = self.s3_slot.q.val();
        self.op_3.next = self.s3_op.q.val();
        self.pid_3.next = self.s3_pid.q.val();
        self.key_3.next = self.s3_key.q.val();
        self.va_3.next = self.s3_va.q.val();
        self.invalidate_3.next = self.s3_invalidate.q.val();
        self.good_3.next = self.s3_good.q.val();
        self.bad_3.next = self.s3_bad.q.val();
        self.hit_3.next = self.s3_hit.q.val();
        self.frame_3.next = self.frame.val();
        self.allowed_3.next = self.s3_allowed.q.val();
        if self.reset.val() {
            self.s1_valid.d.next = false;
            self.s2_valid.d.next = false;
            self.s3_valid.d.next = false;
            self.s3_good.d.next = false;
            self.s3_bad.d.next = false;
            self.s1_invalidate.d.next = false;
            self.s2_invalidate.d.next = false;
            self.s3_invalidate.d.next = false;
        }
    }
}
