//! One entry of the walk table: a page on which requests wait.
//!
//! Its life: allocated by a miss; `done` when the bucket line was read; the waiting requests are
//! replayed in their order; freed when none waits and no PTE write is under way. While it lives,
//! every request to its page that cannot be served out of the TLB joins its list.

use crate::prim::Param;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct WalkEntry {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Stage 2's comparison.
    pub pid_2: Signal<In, Bits<16>>,
    pub key_2: Signal<In, Bits<36>>,
    /// This entry holds that page.
    pub equal: Signal<Out, Bit>,
    /// Its index, or zero.
    pub match_index: Signal<Out, Bits<7>>,

    /// Stage 3: take this entry for page and first waiter.
    pub allocate: Signal<In, Bit>,
    pub allocate_index: Signal<In, Bits<7>>,
    pub pid_3: Signal<In, Bits<16>>,
    pub key_3: Signal<In, Bits<36>>,
    pub slot_3: Signal<In, Bits<7>>,
    /// Stage 3: the entry it looks at, and joins.
    pub attach: Signal<In, Bit>,
    pub join_index: Signal<In, Bits<7>>,
    /// The entry that stage 3 looks at; zero from all others.
    pub join_valid: Signal<Out, Bit>,
    pub join_done: Signal<Out, Bit>,
    pub join_waiting: Signal<Out, Bit>,
    pub join_stale: Signal<Out, Bit>,
    pub join_tail: Signal<Out, Bits<7>>,

    /// The bucket line was read.
    pub finish: Signal<In, Bit>,
    pub finish_index: Signal<In, Bits<7>>,

    /// The entry to be replayed next.
    pub load_index: Signal<In, Bits<7>>,
    pub load_head: Signal<Out, Bits<7>>,
    /// The entry being replayed.
    pub replay_index: Signal<In, Bits<7>>,
    pub replay_tail: Signal<Out, Bits<7>>,
    pub replay_filled: Signal<Out, Bit>,
    pub replay_stale: Signal<Out, Bit>,
    /// Its last waiter left.
    pub replay_last: Signal<In, Bit>,
    /// It has to wait for a frame: this waiter becomes its head again.
    pub replay_return: Signal<In, Bit>,
    pub replay_slot: Signal<In, Bits<7>>,
    /// Its translation went into the TLB.
    pub replay_fill: Signal<In, Bit>,
    /// It got a frame: a PTE write is under way.
    pub replay_fault: Signal<In, Bit>,

    /// The DRAM answered a PTE write.
    pub written: Signal<In, Bit>,
    pub written_index: Signal<In, Bits<7>>,
    /// A shootdown began: what this entry read may be old.
    pub mark: Signal<In, Bit>,
    /// An old translation is still waited for.
    pub stale: Signal<Out, Bit>,
    /// A walk is in flight.
    pub walking: Signal<Out, Bit>,
    /// Nothing holds it any more; its index, or zero.
    pub freeable: Signal<Out, Bit>,
    pub freeable_index: Signal<Out, Bits<7>>,
    pub free: Signal<In, Bit>,
    pub free_index: Signal<In, Bits<7>>,
    pub free_ok: Signal<Out, Bit>,

    index: Param<Bits<7>>,
    valid: DFF<Bit>,
    done: DFF<Bit>,
    waiting: DFF<Bit>,
    filled: DFF<Bit>,
    writing: DFF<Bit>,
    old: DFF<Bit>,
    pid: DFF<Bits<16>>,
    key: DFF<Bits<36>>,
    head: DFF<Bits<7>>,
    tail: DFF<Bits<7>>,
    is_join: Signal<Local, Bit>,
    is_replay: Signal<Local, Bit>,
    is_free: Signal<Local, Bit>,
    hit: Signal<Local, Bit>,
    idle: Signal<Local, Bit>,
}

impl WalkEntry {
    pub fn new(index: usize) -> Self {
        Self { index: Param::new((index as u64).into()), ..Default::default() }
    }
}

impl Logic for WalkEntry {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid, done, waiting, filled, writing, old, pid, key, head, tail);
        self.hit.next = self.valid.q.val()
            && (self.pid.q.val() == self.pid_2.val())
            && (self.key.q.val() == self.key_2.val());
        self.equal.next = self.hit.val();
        self.match_index.next = 0.into();
        if self.hit.val() {
            self.match_index.next = self.index.val();
        }
        self.is_join.next = self.join_index.val() == self.index.val();
        self.join_valid.next = self.is_join.val() && self.valid.q.val();
        self.join_done.next = self.is_join.val() && self.done.q.val();
        self.join_waiting.next = self.is_join.val() && self.waiting.q.val();
        self.join_stale.next = self.is_join.val() && self.old.q.val();
        self.join_tail.next = 0.into();
        if self.is_join.val() {
            self.join_tail.next = self.tail.q.val();
        }
        self.load_head.next = 0.into();
        if self.load_index.val() == self.index.val() {
            self.load_head.next = self.head.q.val();
        }
        self.is_replay.next = self.replay_index.val() == self.index.val();
        self.replay_filled.next = self.is_replay.val() && self.filled.q.val();
        self.replay_stale.next = self.is_replay.val() && self.old.q.val();
        self.replay_tail.next = 0.into();
        if self.is_replay.val() {
            self.replay_tail.next = self.tail.q.val();
        }
        self.stale.next = self.valid.q.val() && self.old.q.val();
        self.walking.next = self.valid.q.val() && !self.done.q.val();
        self.idle.next = self.valid.q.val()
            && self.done.q.val()
            && !self.waiting.q.val()
            && !self.writing.q.val();
        self.freeable.next = self.idle.val();
        self.freeable_index.next = 0.into();
        if self.idle.val() {
            self.freeable_index.next = self.index.val();
        }
        self.is_free.next = self.free_index.val() == self.index.val();
        self.free_ok.next = self.is_free.val() && self.idle.val();

        if self.free.val() && self.is_free.val() {
            self.valid.d.next = false;
        }
        if self.written.val() && (self.written_index.val() == self.index.val()) {
            self.writing.d.next = false;
        }
        if self.finish.val() && (self.finish_index.val() == self.index.val()) {
            self.done.d.next = true;
        }
        if self.is_replay.val() {
            if self.replay_last.val() {
                self.waiting.d.next = false;
            }
            if self.replay_return.val() {
                self.head.d.next = self.replay_slot.val();
            }
            if self.replay_fill.val() {
                self.filled.d.next = true;
            }
            if self.replay_fault.val() {
                self.writing.d.next = true;
            }
        }
        if self.mark.val() && self.valid.q.val() {
            self.old.d.next = true;
        }
        if self.attach.val() && self.is_join.val() {
            self.tail.d.next = self.slot_3.val();
            self.waiting.d.next = true;
            if !self.waiting.q.val() {
                self.head.d.next = self.slot_3.val();
            }
        }
        if self.allocate.val() && (self.allocate_index.val() == self.index.val()) {
            self.valid.d.next = true;
            self.done.d.next = false;
            self.waiting.d.next = true;
            self.filled.d.next = false;
            self.writing.d.next = false;
            self.old.d.next = false;
            self.pid.d.next = self.pid_3.val();
            self.key.d.next = self.key_3.val();
            self.head.d.next = self.slot_3.val();
            self.tail.d.next = self.slot_3.val();
        }
        if self.reset.val() {
            self.valid.d.next = false;
        }
    }
}
