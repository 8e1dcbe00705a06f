//! Dispatch: what becomes of the request in stage 3.
//!
//! Combinational. A request goes to the issue stage (TLB hit), to the walk table (a miss, or a page
//! whose walk is not over: requests to one page keep their order), or to the completion (bad
//! request, no permission). Where the way it must go is taken, the pipeline holds.

use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::request::Status;

#[derive(LogicBlock, Default)]
pub struct Dispatch {
    /// A request that can be served, or one that cannot.
    pub good: Signal<In, Bit>,
    pub bad: Signal<In, Bit>,
    pub op: Signal<In, Bits<3>>,
    pub va: Signal<In, Bits<48>>,
    pub hit: Signal<In, Bit>,
    pub frame: Signal<In, Bits<28>>,
    /// The page's permissions allow it, if `hit`.
    pub allowed: Signal<In, Bit>,
    /// The walk table's entry of its page.
    pub found: Signal<In, Bit>,
    pub found_done: Signal<In, Bit>,
    pub found_waiting: Signal<In, Bit>,
    pub found_stale: Signal<In, Bit>,
    pub found_leaving: Signal<In, Bit>,
    pub room: Signal<In, Bit>,
    /// A walk's result takes the replay queue's port in the next cycle.
    pub result: Signal<In, Bit>,
    pub issue_ready: Signal<In, Bit>,
    pub answer_ready: Signal<In, Bit>,

    pub advance: Signal<Out, Bit>,
    pub issue: Signal<Out, Bit>,
    pub issue_write: Signal<Out, Bit>,
    pub issue_line: Signal<Out, Bits<34>>,
    pub allocate: Signal<Out, Bit>,
    pub attach: Signal<Out, Bit>,
    /// It joins an entry that must be replayed once more.
    pub again: Signal<Out, Bit>,
    pub answer: Signal<Out, Bit>,
    pub answer_status: Signal<Out, Bits<3>>,
    pub tlb_hit: Signal<Out, Bit>,
    pub tlb_miss: Signal<Out, Bit>,

    joins: Signal<Local, Bit>,
    misses: Signal<Local, Bit>,
    errs: Signal<Local, Bit>,
    hits: Signal<Local, Bit>,
    join_held: Signal<Local, Bit>,
    revives: Signal<Local, Bit>,
    held: Signal<Local, Bit>,
    bad_request: Param<Bits<3>>,
    no_permission: Param<Bits<3>>,
}

impl Dispatch {
    pub fn new() -> Self {
        Self {
            bad_request: Param::new((Status::BadRequest as u64).into()),
            no_permission: Param::new((Status::NoPermission as u64).into()),
            ..Default::default()
        }
    }
}

impl Logic for Dispatch {
    #[hdl_gen]
    fn update(&mut self) {
        self.joins.next = self.good.val()
            && self.found.val()
            && (!self.hit.val() || !self.found_done.val() || self.found_waiting.val());
        self.misses.next = self.good.val() && !self.found.val() && !self.hit.val();
        self.hits.next =
            self.good.val() && self.hit.val() && !self.joins.val() && self.allowed.val();
        self.errs.next = self.bad.val()
            || (self.good.val() && self.hit.val() && !self.joins.val() && !self.allowed.val());
        self.revives.next = self.found_done.val() && !self.found_waiting.val();
        // An entry whose translation may be old must run dry before it serves anybody new. One that
        // may be over in this cycle is over, or can be joined, in the next.
        self.join_held.next = (self.found_done.val() && self.found_stale.val())
            || (self.revives.val() && self.result.val())
            || self.found_leaving.val();
        self.held.next = (self.joins.val() && self.join_held.val())
            || (self.misses.val() && !self.room.val())
            || (self.errs.val() && !self.answer_ready.val())
            || (self.hits.val() && !self.issue_ready.val());
        self.advance.next = !self.held.val();
        self.issue.next = self.hits.val() && self.issue_ready.val();
        self.issue_write.next = self.op.val() == 1;
        self.issue_line.next = (bit_cast::<34, 28>(self.frame.val()) << 6)
            | bit_cast::<34, 6>(self.va.val().get_bits::<6>(6));
        if self.va.val().get_bit(47) {
            self.issue_line.next = (bit_cast::<34, 28>(self.frame.val()) << 6)
                | bit_cast::<34, 15>(self.va.val().get_bits::<15>(6));
        }
        self.allocate.next = self.misses.val() && self.room.val();
        self.attach.next = self.joins.val() && !self.join_held.val();
        self.again.next = self.joins.val() && self.revives.val() && !self.join_held.val();
        self.answer.next = self.errs.val() && self.answer_ready.val();
        self.answer_status.next = self.no_permission.val();
        if self.bad.val() {
            self.answer_status.next = self.bad_request.val();
        }
        self.tlb_hit.next = self.good.val() && self.hit.val() && !self.held.val();
        self.tlb_miss.next = self.good.val() && !self.hit.val() && !self.held.val();
    }
}
