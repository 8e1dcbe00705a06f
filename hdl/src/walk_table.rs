//! The pages on which requests wait: comparison in stage 2, lists, and freeing.
//!
//! One entry per page at most: that two first writes to one page cannot both take a frame, and that
//! requests to one page keep their order, both follow from it.

use crate::fifo::IndexPool;
use crate::prim::LutRam;
use crate::walk_entry::WalkEntry;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct WalkTable {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub advance: Signal<In, Bit>,
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
    /// The waiter behind `replay_slot`, and whether there is one (it may join in this very cycle).
    pub replay_next: Signal<Out, Bits<7>>,
    pub replay_more: Signal<Out, Bit>,
    pub replay_filled: Signal<Out, Bit>,
    pub replay_stale: Signal<Out, Bit>,
    pub replay_last: Signal<In, Bit>,
    pub replay_return: Signal<In, Bit>,
    pub replay_fill: Signal<In, Bit>,
    pub replay_fault: Signal<In, Bit>,
    pub written: Signal<In, Bit>,
    pub written_index: Signal<In, Bits<7>>,
    pub mark: Signal<In, Bit>,
    pub any_stale: Signal<Out, Bit>,
    pub walks: Signal<Out, Bits<7>>,

    entries: Vec<WalkEntry>,
    _entries: usize,
    pool: IndexPool,
    /// Behind each slot in its list.
    links: LutRam<Bits<7>, 7>,
    found_slot: DFF<Bit>,
    found_at: DFF<Bits<7>>,
    same_as_3: Signal<Local, Bit>,
    any: Signal<Local, Bit>,
    index: Signal<Local, Bits<7>>,
    j_valid: Signal<Local, Bit>,
    j_done: Signal<Local, Bit>,
    j_waiting: Signal<Local, Bit>,
    j_stale: Signal<Local, Bit>,
    j_tail: Signal<Local, Bits<7>>,
    l_head: Signal<Local, Bits<7>>,
    r_tail: Signal<Local, Bits<7>>,
    r_filled: Signal<Local, Bit>,
    r_stale: Signal<Local, Bit>,
    stale: Signal<Local, Bit>,
    at_tail: Signal<Local, Bit>,
    joins_replay: Signal<Local, Bit>,
    free_any: Signal<Local, Bit>,
    free_index: Signal<Local, Bits<7>>,
    free_ok: Signal<Local, Bit>,
    free_now: Signal<Local, Bit>,
    pick: DFF<Bit>,
    pick_at: DFF<Bits<7>>,
    count: Signal<Local, Bits<7>>,
    walking: DFF<Bits<7>>,
}

impl WalkTable {
    pub fn new(config: &HwConfig) -> Self {
        let entries = config.walk_entries as usize;
        Self {
            entries: (0..entries).map(WalkEntry::new).collect(),
            _entries: entries,
            pool: IndexPool::new(entries),
            links: LutRam::new(2 * config.port_slots as usize),
            ..Default::default()
        }
    }
}

impl Logic for WalkTable {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, found_slot, found_at, pick, pick_at, walking);
        clock!(self, clock, pool, links);
        self.pool.reset.next = self.reset.val();

        self.any.next = false;
        self.index.next = 0.into();
        self.j_valid.next = false;
        self.j_done.next = false;
        self.j_waiting.next = false;
        self.j_stale.next = false;
        self.j_tail.next = 0.into();
        self.l_head.next = 0.into();
        self.r_tail.next = 0.into();
        self.r_filled.next = false;
        self.r_stale.next = false;
        self.stale.next = false;
        self.free_any.next = false;
        self.free_index.next = 0.into();
        self.free_ok.next = false;
        for i in 0..self._entries {
            self.any.next = self.any.val() || self.entries[i].equal.val();
            self.index.next = (self.index.val()) | (self.entries[i].match_index.val());
            self.j_valid.next = self.j_valid.val() || self.entries[i].join_valid.val();
            self.j_done.next = self.j_done.val() || self.entries[i].join_done.val();
            self.j_waiting.next = self.j_waiting.val() || self.entries[i].join_waiting.val();
            self.j_stale.next = self.j_stale.val() || self.entries[i].join_stale.val();
            self.j_tail.next = (self.j_tail.val()) | (self.entries[i].join_tail.val());
            self.l_head.next = (self.l_head.val()) | (self.entries[i].load_head.val());
            self.r_tail.next = (self.r_tail.val()) | (self.entries[i].replay_tail.val());
            self.r_filled.next = self.r_filled.val() || self.entries[i].replay_filled.val();
            self.r_stale.next = self.r_stale.val() || self.entries[i].replay_stale.val();
            self.stale.next = self.stale.val() || self.entries[i].stale.val();
            // Any freeable entry will do; the last in the chain is taken.
            if self.entries[i].freeable.val() {
                self.free_any.next = true;
                self.free_index.next = self.entries[i].freeable_index.val();
            }
            self.free_ok.next = self.free_ok.val() || self.entries[i].free_ok.val();
        }
        // The page of the request one ahead may get its entry in this very cycle.
        self.same_as_3.next =
            (self.pid_2.val() == self.pid_3.val()) && (self.key_2.val() == self.key_3.val());
        if self.advance.val() {
            self.found_slot.d.next = self.any.val();
            self.found_at.d.next = self.index.val();
            if self.allocate.val() && self.same_as_3.val() {
                self.found_slot.d.next = true;
                self.found_at.d.next = self.pool.index.val();
            }
        }
        // It may have been freed since it was compared.
        self.found_3.next = self.found_slot.q.val() && self.j_valid.val();
        self.found_done_3.next = self.j_done.val();
        self.found_waiting_3.next = self.j_waiting.val();
        self.found_stale_3.next = self.j_stale.val();
        self.found_index_3.next = self.found_at.q.val();
        self.room.next = self.pool.available.val();
        self.room_index.next = self.pool.index.val();
        self.pool.take.next = self.allocate.val();

        self.links.write_enable.next = self.attach.val() && self.j_waiting.val();
        self.links.write_address.next = self.j_tail.val();
        self.links.write_data.next = self.slot_3.val();
        self.links.read_address.next = self.replay_slot.val();
        self.load_head.next = self.l_head.val();
        self.at_tail.next = self.replay_slot.val() == self.r_tail.val();
        self.joins_replay.next =
            self.attach.val() && (self.found_at.q.val() == self.replay_index.val());
        self.replay_more.next = !self.at_tail.val() || self.joins_replay.val();
        self.replay_next.next = self.links.read_data.val();
        if self.at_tail.val() {
            self.replay_next.next = self.slot_3.val();
        }
        self.replay_filled.next = self.r_filled.val();
        self.replay_stale.next = self.r_stale.val();
        self.any_stale.next = self.stale.val();

        // Freeing takes two cycles: pick one, then free it if nobody joined meanwhile.
        self.pick.d.next = self.free_any.val();
        self.pick_at.d.next = self.free_index.val();
        self.free_now.next = self.pick.q.val()
            && self.free_ok.val()
            && !(self.attach.val() && (self.found_at.q.val() == self.pick_at.q.val()));
        self.pool.give.next = self.free_now.val();
        self.pool.give_index.next = self.pick_at.q.val();

        self.count.next = self.walking.q.val();
        if self.allocate.val() && !self.finish.val() {
            self.count.next = self.walking.q.val() + 1;
        }
        if self.finish.val() && !self.allocate.val() {
            self.count.next = self.walking.q.val() - 1;
        }
        self.walking.d.next = self.count.val();
        self.walks.next = self.walking.q.val();

        for i in 0..self._entries {
            self.entries[i].clock.next = self.clock.val();
            self.entries[i].reset.next = self.reset.val();
            self.entries[i].pid_2.next = self.pid_2.val();
            self.entries[i].key_2.next = self.key_2.val();
            self.entries[i].allocate.next = self.allocate.val();
            self.entries[i].allocate_index.next = self.pool.index.val();
            self.entries[i].pid_3.next = self.pid_3.val();
            self.entries[i].key_3.next = self.key_3.val();
            self.entries[i].slot_3.next = self.slot_3.val();
            self.entries[i].attach.next = self.attach.val();
            self.entries[i].join_index.next = self.found_at.q.val();
            self.entries[i].finish.next = self.finish.val();
            self.entries[i].finish_index.next = self.finish_index.val();
            self.entries[i].load_index.next = self.load_index.val();
            self.entries[i].replay_index.next = self.replay_index.val();
            self.entries[i].replay_last.next = self.replay_last.val();
            self.entries[i].replay_return.next = self.replay_return.val();
            self.entries[i].replay_slot.next = self.replay_slot.val();
            self.entries[i].replay_fill.next = self.replay_fill.val();
            self.entries[i].replay_fault.next = self.replay_fault.val();
            self.entries[i].written.next = self.written.val();
            self.entries[i].written_index.next = self.written_index.val();
            self.entries[i].mark.next = self.mark.val();
            self.entries[i].free.next = self.free_now.val();
            self.entries[i].free_index.next = self.pick_at.q.val();
        }
        if self.reset.val() {
            self.found_slot.d.next = false;
            self.pick.d.next = false;
            self.walking.d.next = 0.into();
        }
    }
}
