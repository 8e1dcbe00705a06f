//! The pages on which requests wait: comparison in stage 1, lists, and freeing.
//!
//! An entry's life: allocated by a miss; `done` when the bucket line was read; the waiting requests
//! are replayed in their order; freed when none waits and no PTE write is under way. While it lives,
//! every request to its page that cannot be served out of the TLB joins its list.
//!
//! One entry per page at most: that two first writes to one page cannot both take a frame, and that
//! requests to one page keep their order, both follow from it.

use crate::fifo::IndexPool;
use crate::prim::{Cam, Encode, LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct WalkTable {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub advance: Signal<In, Bit>,
    /// Stage 1.
    pub pid_1: Signal<In, Bits<16>>,
    pub key_1: Signal<In, Bits<36>>,
    /// Stage 2.
    pub pid_2: Signal<In, Bits<16>>,
    pub key_2: Signal<In, Bits<36>>,
    /// Stage 3: the request, and the entry of its page.
    pub pid_3: Signal<In, Bits<16>>,
    pub key_3: Signal<In, Bits<36>>,
    pub slot_3: Signal<In, Bits<7>>,
    pub found_3: Signal<Out, Bit>,
    pub found_done_3: Signal<Out, Bit>,
    pub found_waiting_3: Signal<Out, Bit>,
    pub found_stale_3: Signal<Out, Bit>,
    /// The entry found may be over in this cycle: nobody can join it now.
    pub found_leaving_3: Signal<Out, Bit>,
    pub found_index_3: Signal<Out, Bits<7>>,
    /// An entry can be allocated.
    pub room: Signal<Out, Bit>,
    pub room_index: Signal<Out, Bits<7>>,
    /// Stage 3's decision: allocate an entry for it, or let it join the one found.
    pub allocate: Signal<In, Bit>,
    pub attach: Signal<In, Bit>,

    pub finish: Signal<In, Bit>,
    pub finish_index: Signal<In, Bits<7>>,
    pub load_index: Signal<In, Bits<7>>,
    pub load_head: Signal<Out, Bits<7>>,
    pub replay_index: Signal<In, Bits<7>>,
    pub replay_slot: Signal<In, Bits<7>>,
    /// No waiter is behind `replay_slot` (one may join in this very cycle), or which it is.
    pub replay_at_tail: Signal<Out, Bit>,
    /// One joins the entry at `replay_index` in this cycle.
    pub replay_joined: Signal<Out, Bit>,
    pub replay_next: Signal<Out, Bits<7>>,
    /// Nobody can join the entry at `replay_index` in the next cycle.
    pub replay_closing: Signal<In, Bit>,
    pub replay_filled: Signal<Out, Bit>,
    pub replay_stale: Signal<Out, Bit>,
    pub replay_last: Signal<In, Bit>,
    pub replay_fill: Signal<In, Bit>,
    pub replay_fault: Signal<In, Bit>,
    pub written: Signal<In, Bit>,
    pub written_index: Signal<In, Bits<7>>,
    pub mark: Signal<In, Bit>,
    pub any_stale: Signal<Out, Bit>,
    pub walks: Signal<Out, Bits<7>>,

    pages: Cam<52>,
    pool: IndexPool,
    /// The entry that is allocated next, as an index and as one bit.
    spare_valid: DFF<Bit>,
    spare_at: DFF<Bits<7>>,
    spare: DFF<Bits<64>>,
    heads: LutRam<Bits<7>, 7>,
    join_tails: LutRam<Bits<7>, 7>,
    replay_tails: LutRam<Bits<7>, 7>,
    /// Behind each slot in its list.
    links: LutRam<Bits<7>, 7>,
    found_encode: Encode,
    gone_encode: Encode,
    /// One bit an entry: it holds a page; its bucket line was read; requests wait; its translation
    /// went into the TLB; a PTE write is under way; a shootdown began since it was allocated.
    valid: DFF<Bits<64>>,
    done: DFF<Bits<64>>,
    waiting: DFF<Bits<64>>,
    filled: DFF<Bits<64>>,
    writing: DFF<Bits<64>>,
    old: DFF<Bits<64>>,
    /// Entries that hold or held stage 2's page.
    equal_2: DFF<Bits<64>>,
    /// Stage 3's entry, as one bit and as an index, and what the entries' bits say of it.
    found: DFF<Bits<64>>,
    found_at: DFF<Bits<7>>,
    is_found: DFF<Bit>,
    is_done: DFF<Bit>,
    is_waiting: DFF<Bit>,
    is_stale: DFF<Bit>,
    is_leaving: DFF<Bit>,
    /// The entry that may be picked next, the one that will be freed, and the one that was.
    chosen: DFF<Bits<64>>,
    picked: DFF<Bits<64>>,
    gone: DFF<Bits<64>>,
    replayed: DFF<Bits<64>>,
    walking: DFF<Bits<7>>,

    hits: Signal<Local, Bits<64>>,
    same_13: Signal<Local, Bit>,
    same_23: Signal<Local, Bit>,
    now_done: Signal<Local, Bits<64>>,
    now_waiting: Signal<Local, Bits<64>>,
    now_stale: Signal<Local, Bits<64>>,
    is_replayed: Signal<Local, Bit>,
    allocated: Signal<Local, Bits<64>>,
    joined: Signal<Local, Bits<64>>,
    finished: Signal<Local, Bits<64>>,
    emptied: Signal<Local, Bits<64>>,
    fills: Signal<Local, Bits<64>>,
    faults: Signal<Local, Bits<64>>,
    answered: Signal<Local, Bits<64>>,
    freed: Signal<Local, Bits<64>>,
    idle: Signal<Local, Bits<64>>,
    candidates: Signal<Local, Bits<64>>,
    now_picked: Signal<Local, Bits<64>>,
    refill: Signal<Local, Bit>,
    one: Param<Bits<64>>,
    /// The entries that there are.
    all: Param<Bits<64>>,
}

impl WalkTable {
    pub fn new(config: &HwConfig) -> Self {
        let entries = config.walk_entries as usize;
        Self {
            pages: Cam::new(entries),
            pool: IndexPool::new(entries),
            heads: LutRam::new(entries),
            join_tails: LutRam::new(entries),
            replay_tails: LutRam::new(entries),
            links: LutRam::new(2 * config.port_slots as usize),
            one: Param::new(1u64.into()),
            all: Param::new((u64::MAX >> (64 - entries)).into()),
            ..Default::default()
        }
    }
}

impl Logic for WalkTable {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            valid,
            done,
            waiting,
            filled,
            writing,
            old,
            equal_2,
            found,
            found_at,
            is_found,
            is_done,
            is_waiting,
            is_stale,
            is_leaving,
            picked,
            chosen,
            gone,
            replayed,
            walking,
            spare_valid,
            spare_at,
            spare
        );
        clock!(self, clock, pages, pool, heads, join_tails, replay_tails, links);
        self.pool.reset.next = self.reset.val();

        self.refill.next =
            self.pool.available.val() && (!self.spare_valid.q.val() || self.allocate.val());
        self.pool.take.next = self.refill.val();
        self.spare_valid.d.next =
            self.refill.val() || (self.spare_valid.q.val() && !self.allocate.val());
        if self.refill.val() {
            self.spare_at.d.next = self.pool.index.val();
            self.spare.d.next = ((self.one.val()) << (self.pool.index.val())) & (self.all.val());
        }

        // Stage 1 compares. The page of the request in stage 3 may get its entry in this very cycle.
        self.pages.look.next =
            (bit_cast::<52, 36>(self.key_1.val()) << 16) | bit_cast::<52, 16>(self.pid_1.val());
        self.same_13.next =
            (self.pid_1.val() == self.pid_3.val()) && (self.key_1.val() == self.key_3.val());
        self.same_23.next =
            (self.pid_2.val() == self.pid_3.val()) && (self.key_2.val() == self.key_3.val());
        if self.advance.val() {
            self.equal_2.d.next = self.pages.equal.val();
            if self.allocate.val() {
                self.equal_2.d.next = (self.pages.equal.val()) & (!self.spare.q.val());
                if self.same_13.val() {
                    self.equal_2.d.next = (self.pages.equal.val()) | (self.spare.q.val());
                }
            }
        }
        self.found_3.next = self.is_found.q.val();
        self.found_done_3.next = self.is_done.q.val();
        self.found_waiting_3.next = self.is_waiting.q.val();
        self.found_stale_3.next = self.is_stale.q.val();
        self.is_replayed.next = self.found_at.q.val() == self.replay_index.val();
        self.found_leaving_3.next = self.is_leaving.q.val();
        self.replay_joined.next = self.attach.val() && self.is_replayed.val();
        self.found_index_3.next = self.found_at.q.val();
        self.room.next = self.spare_valid.q.val();
        self.room_index.next = self.spare_at.q.val();
        self.pages.write_enable.next = self.allocate.val();
        self.pages.write_address.next = self.spare_at.q.val();
        self.pages.write_data.next =
            (bit_cast::<52, 36>(self.key_3.val()) << 16) | bit_cast::<52, 16>(self.pid_3.val());

        // Lists: head, tail, and a link from each slot to the one behind it.
        self.join_tails.read_address.next = self.found_at.q.val();
        self.links.write_enable.next = self.attach.val() && self.found_waiting_3.val();
        self.links.write_address.next = self.join_tails.read_data.val();
        self.links.write_data.next = self.slot_3.val();
        self.heads.write_enable.next =
            self.allocate.val() || (self.attach.val() && !self.found_waiting_3.val());
        self.heads.write_address.next = self.found_at.q.val();
        self.heads.write_data.next = self.slot_3.val();
        self.join_tails.write_enable.next = self.allocate.val() || self.attach.val();
        self.join_tails.write_address.next = self.found_at.q.val();
        self.join_tails.write_data.next = self.slot_3.val();
        self.replay_tails.write_enable.next = self.allocate.val() || self.attach.val();
        self.replay_tails.write_address.next = self.found_at.q.val();
        self.replay_tails.write_data.next = self.slot_3.val();
        if self.allocate.val() {
            self.heads.write_address.next = self.spare_at.q.val();
            self.join_tails.write_address.next = self.spare_at.q.val();
            self.replay_tails.write_address.next = self.spare_at.q.val();
        }
        self.heads.read_address.next = self.load_index.val();
        self.load_head.next = self.heads.read_data.val();
        self.replay_tails.read_address.next = self.replay_index.val();
        self.links.read_address.next = self.replay_slot.val();
        self.replay_at_tail.next = self.replay_slot.val() == self.replay_tails.read_data.val();
        self.replay_next.next = self.links.read_data.val();
        self.replay_filled.next = self.filled.q.val().get_bit(self.replay_index.val().index());
        self.replay_stale.next = self.old.q.val().get_bit(self.replay_index.val().index());
        self.any_stale.next = ((self.valid.q.val()) & (self.old.q.val())).any();

        // Freeing takes four cycles: choose one, pick it if it is still idle, free it if it still is, give
        // its name back.
        self.idle.next = (self.valid.q.val())
            & (self.done.q.val())
            & (!self.waiting.q.val())
            & (!self.writing.q.val());
        self.candidates.next = (self.idle.val()) & (!self.chosen.q.val()) & (!self.picked.q.val());
        self.chosen.d.next = (self.candidates.val()) & ((!self.candidates.val()) + 1);
        self.now_picked.next = (self.idle.val()) & (self.chosen.q.val());
        self.picked.d.next = self.now_picked.val();
        self.freed.next = (self.picked.q.val()) & (self.idle.val());
        self.gone.d.next = self.freed.val();
        self.gone_encode.bits.next = self.gone.q.val();
        self.pool.give.next = self.gone.q.val().any();
        self.pool.give_index.next = self.gone_encode.index.val();

        // What happens to which entry.
        self.allocated.next = 0.into();
        self.joined.next = 0.into();
        self.finished.next = 0.into();
        self.emptied.next = 0.into();
        self.fills.next = 0.into();
        self.faults.next = 0.into();
        self.answered.next = 0.into();
        self.replayed.d.next = ((self.one.val()) << (self.replay_index.val())) & (self.all.val());
        if self.allocate.val() {
            self.allocated.next = self.spare.q.val();
        }
        if self.attach.val() {
            self.joined.next = self.found.q.val();
        }
        if self.finish.val() {
            self.finished.next = ((self.one.val()) << (self.finish_index.val())) & (self.all.val());
        }
        if self.written.val() {
            self.answered.next =
                ((self.one.val()) << (self.written_index.val())) & (self.all.val());
        }
        if self.replay_last.val() {
            self.emptied.next = self.replayed.q.val();
        }
        if self.replay_fill.val() {
            self.fills.next = self.replayed.q.val();
        }
        if self.replay_fault.val() {
            self.faults.next = self.replayed.q.val();
        }
        // Stage 2 looks at the entries' bits, as they will be in the next cycle. While a request
        // stands in stage 3, they are looked at again.
        self.hits.next = (self.equal_2.q.val()) & (self.valid.q.val());
        self.found_encode.bits.next = self.hits.val();
        self.now_done.next = (self.done.q.val()) | (self.finished.val());
        self.now_waiting.next = (self.waiting.q.val()) & (!self.emptied.val());
        self.now_stale.next = self.old.q.val();
        if self.mark.val() {
            self.now_stale.next = (self.old.q.val()) | (self.valid.q.val());
        }
        if self.advance.val() {
            self.found.d.next = self.hits.val();
            self.found_at.d.next = self.found_encode.index.val();
            self.is_found.d.next = ((self.hits.val()) & (!self.freed.val())).any();
            self.is_done.d.next = ((self.hits.val()) & (self.now_done.val())).any();
            self.is_waiting.d.next = ((self.hits.val()) & (self.now_waiting.val())).any()
                || (self.attach.val() && self.same_23.val());
            self.is_stale.d.next = ((self.hits.val()) & (self.now_stale.val())).any();
            self.is_leaving.d.next = ((self.hits.val()) & (self.now_picked.val())).any()
                || (self.replay_closing.val()
                    && (self.found_encode.index.val() == self.replay_index.val()));
            if self.allocate.val() && self.same_23.val() {
                self.found.d.next = self.spare.q.val();
                self.found_at.d.next = self.spare_at.q.val();
                self.is_found.d.next = true;
                self.is_done.d.next = false;
                self.is_waiting.d.next = true;
                self.is_stale.d.next = false;
                self.is_leaving.d.next = false;
            }
        } else {
            self.is_found.d.next =
                self.is_found.q.val() && !((self.found.q.val()) & (self.freed.val())).any();
            self.is_done.d.next = ((self.found.q.val()) & (self.now_done.val())).any();
            self.is_waiting.d.next = ((self.found.q.val()) & (self.now_waiting.val())).any();
            self.is_stale.d.next = ((self.found.q.val()) & (self.now_stale.val())).any();
            self.is_leaving.d.next = ((self.found.q.val()) & (self.now_picked.val())).any()
                || (self.replay_closing.val() && self.is_replayed.val());
        }
        self.valid.d.next = ((self.valid.q.val()) & (!self.freed.val())) | (self.allocated.val());
        self.done.d.next = (self.now_done.val()) & (!self.allocated.val());
        self.waiting.d.next =
            (self.now_waiting.val()) | (self.allocated.val()) | (self.joined.val());
        self.filled.d.next = ((self.filled.q.val()) | (self.fills.val())) & (!self.allocated.val());
        self.writing.d.next = (((self.writing.q.val()) & (!self.answered.val()))
            | (self.faults.val()))
            & (!self.allocated.val());
        self.old.d.next = (self.now_stale.val()) & (!self.allocated.val());
        if self.allocate.val() && !self.finish.val() {
            self.walking.d.next = self.walking.q.val() + 1;
        }
        if self.finish.val() && !self.allocate.val() {
            self.walking.d.next = self.walking.q.val() - 1;
        }
        self.walks.next = self.walking.q.val();
        if self.reset.val() {
            self.valid.d.next = 0.into();
            self.spare_valid.d.next = false;
            self.is_found.d.next = false;
            self.picked.d.next = 0.into();
            self.chosen.d.next = 0.into();
            self.gone.d.next = 0.into();
            self.walking.d.next = 0.into();
        }
    }
}
