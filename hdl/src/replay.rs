//! Replay and fault unit: serves the requests that waited for a walk, in their order.
//!
//! In: results of walks, entry by entry. Out, one waiter in two cycles: to the issue stage with its
//! physical line, or to the completion with a status. In the first cycle all that is known of the
//! waiter and its page is read, and what follows from it; in the second it is decided; it stands before the issue stage in the
//! next. A third one, in which nobody can join, ends the entry or finds that somebody joined while the
//! last one was decided. A first write to a page without a frame takes one from the free list in the
//! same cycle, and its PTE write goes out behind it: nothing waits for it, and nothing waits for
//! software.
//!
//! With the free list empty but frames still being cleared, the entry steps aside until one is
//! ready; with no frame anywhere the request is answered `no memory`.

use crate::fifo::Fifo;
use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::request::Status;

#[derive(LogicBlock, Default)]
pub struct Replay {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// A request was accepted: what its replay would need of it.
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    pub accept_op: Signal<In, Bits<3>>,
    pub accept_va: Signal<In, Bits<48>>,
    /// Stage 3 allocates an entry.
    pub allocate: Signal<In, Bit>,
    pub allocate_index: Signal<In, Bits<7>>,
    pub pid_3: Signal<In, Bits<16>>,
    pub key_3: Signal<In, Bits<36>>,
    pub line_3: Signal<In, Bits<34>>,
    pub victim_3: Signal<In, Bits<3>>,
    /// Stage 3 joins an entry that is done and has no waiter: it must be replayed once more. Not in
    /// the cycle before `result`.
    pub again: Signal<In, Bit>,
    pub again_index: Signal<In, Bits<7>>,

    /// The result of a walk.
    pub result: Signal<In, Bit>,
    pub result_index: Signal<In, Bits<7>>,
    pub result_poison: Signal<In, Bit>,
    pub result_mapped: Signal<In, Bit>,
    pub result_present: Signal<In, Bit>,
    pub result_read: Signal<In, Bit>,
    pub result_write: Signal<In, Bit>,
    pub result_frame: Signal<In, Bits<28>>,
    pub result_way: Signal<In, Bits<2>>,

    /// The walk table's side.
    pub load_index: Signal<Out, Bits<7>>,
    pub load_head: Signal<In, Bits<7>>,
    pub index: Signal<Out, Bits<7>>,
    pub slot: Signal<Out, Bits<7>>,
    pub at_tail: Signal<In, Bit>,
    /// One joins the entry at `index`.
    pub joined: Signal<In, Bit>,
    pub following: Signal<In, Bits<7>>,
    pub closing: Signal<Out, Bit>,
    pub filled: Signal<In, Bit>,
    pub stale: Signal<In, Bit>,
    pub mark: Signal<In, Bit>,
    pub last: Signal<Out, Bit>,
    pub fill: Signal<Out, Bit>,
    pub fault: Signal<Out, Bit>,

    /// A waiter goes to the issue stage; it has the next place, before any TLB hit: one to the same page
    /// must not pass it.
    pub active: Signal<Out, Bit>,
    /// The issue stage has a place for it.
    pub issue_ready: Signal<In, Bit>,
    pub issue: Signal<Out, Bit>,
    pub issue_slot: Signal<Out, Bits<7>>,
    pub issue_write: Signal<Out, Bit>,
    pub issue_line: Signal<Out, Bits<34>>,
    /// The completion has a place for it.
    pub answer_ready: Signal<In, Bit>,
    pub answer: Signal<Out, Bit>,
    pub answer_status: Signal<Out, Bits<3>>,

    /// TLB fill. Not while an invalidation is in stage 3.
    pub fill_blocked: Signal<In, Bit>,
    pub fill_way: Signal<Out, Bits<3>>,
    pub fill_pid: Signal<Out, Bits<16>>,
    pub fill_key: Signal<Out, Bits<36>>,
    pub fill_frame: Signal<Out, Bits<28>>,
    pub fill_read: Signal<Out, Bit>,
    pub fill_write: Signal<Out, Bit>,

    /// Free lists: the head, whether more is on its way, and taking the head.
    pub grant_4k_valid: Signal<In, Bit>,
    pub grant_4k_frame: Signal<In, Bits<28>>,
    pub grant_4k_take: Signal<Out, Bit>,
    pub more_4k: Signal<In, Bit>,
    pub grant_2m_valid: Signal<In, Bit>,
    pub grant_2m_frame: Signal<In, Bits<28>>,
    pub grant_2m_take: Signal<Out, Bit>,
    pub more_2m: Signal<In, Bit>,
    pub no_memory: Signal<Out, Bit>,
    pub zero_read: Signal<Out, Bit>,

    /// PTE writes: a frame into entry `way` of a bucket line.
    pub pte_valid: Signal<Out, Bit>,
    pub pte_ready: Signal<In, Bit>,
    pub pte_index: Signal<Out, Bits<7>>,
    pub pte_way: Signal<Out, Bits<2>>,
    pub pte_frame: Signal<Out, Bits<28>>,
    pub pte_line: Signal<Out, Bits<34>>,

    /// Of each slot: `[14:0]` line in a 2 MiB page, `[15]` 2 MiB, `[18:16]` op.
    requests: LutRam<Bits<19>, 7>,
    /// Of each entry: `[27:0]` frame, `[29:28]` way, `[30]` present, `[31]` READ, `[32]` WRITE,
    /// `[33]` mapped, `[34]` poison.
    results: LutRam<Bits<35>, 7>,
    /// Of each entry: `[15:0]` pid, `[51:16]` page key, `[54:52]` the TLB's way to fill.
    pages: LutRam<Bits<55>, 7>,
    lines: LutRam<Bits<34>, 7>,
    ready: Fifo<Bits<7>>,
    /// Entries that wait for a frame, `[6:0]`, and the waiter that needs it, `[13:7]`.
    starved_4k: Fifo<Bits<14>>,
    starved_2m: Fifo<Bits<14>>,
    pte_writes: Fifo<Bits<37>>,
    /// The cycle of the waiter at hand: it is read, decided, or was the last one.
    reading: DFF<Bit>,
    run: DFF<Bit>,
    ending: DFF<Bit>,
    read_request: DFF<Bits<19>>,
    read_result: DFF<Bits<35>>,
    /// What follows from both: it goes to its page's frame, or to one that it takes first; else it is
    /// answered, and so.
    has_frame: DFF<Bit>,
    needs_4k: DFF<Bit>,
    needs_2m: DFF<Bit>,
    reads_zeros: DFF<Bit>,
    status: DFF<Bits<3>>,
    read_page: DFF<Bits<55>>,
    read_filled: DFF<Bit>,
    read_stale: DFF<Bit>,
    read_at_tail: DFF<Bit>,
    /// Somebody joined since `read_at_tail` was read.
    has_joined: DFF<Bit>,
    once_more: DFF<Bit>,
    once_more_index: DFF<Bits<7>>,
    /// What `more_*` said in the last cycle. It may say for one cycle too long that a frame is on its
    /// way; then the entry looks again.
    coming_4k: DFF<Bit>,
    coming_2m: DFF<Bit>,
    run_index: DFF<Bits<7>>,
    run_slot: DFF<Bits<7>>,
    /// The waiter before the issue stage.
    next_valid: DFF<Bit>,
    next_slot: DFF<Bits<7>>,
    next_write: DFF<Bit>,
    next_line: DFF<Bits<34>>,
    bypass: Signal<Local, Bit>,
    may_load: Signal<Local, Bit>,

    request: Signal<Local, Bits<19>>,
    found: Signal<Local, Bits<35>>,
    op: Signal<Local, Bits<3>>,
    huge: Signal<Local, Bit>,
    reads: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    denied: Signal<Local, Bit>,
    serves: Signal<Local, Bit>,
    present: Signal<Local, Bit>,
    wants: Signal<Local, Bit>,
    outcome: Signal<Local, Bits<3>>,
    to_issue: Signal<Local, Bit>,
    starves: Signal<Local, Bit>,
    frame: Signal<Local, Bits<28>>,
    line: Signal<Local, Bits<34>>,
    wants_fill: Signal<Local, Bit>,
    go_issue: Signal<Local, Bit>,
    go_answer: Signal<Local, Bit>,
    go_starve: Signal<Local, Bit>,
    takes_frame: Signal<Local, Bit>,
    leaves: Signal<Local, Bit>,
    /// An entry that starved may go on: as of the last cycle. If it was too early, it looks again.
    wake_4k: DFF<Bit>,
    wake_2m: DFF<Bit>,
    at_end: Signal<Local, Bit>,
    can_load: Signal<Local, Bit>,
    load_at: Signal<Local, Bits<7>>,
    load_slot: Signal<Local, Bits<7>>,
    load: Signal<Local, Bit>,
    frame_mask: Param<Bits<28>>,
    /// What a fault leaves of a result: all but the frame.
    keep: Param<Bits<35>>,
    check: Param<Bit>,
    ok: Param<Bits<3>>,
    not_mapped: Param<Bits<3>>,
    no_permission: Param<Bits<3>>,
    out_of_memory: Param<Bits<3>>,
    uncorrectable: Param<Bits<3>>,
}

impl Replay {
    pub fn new(config: &HwConfig) -> Self {
        let slots = 2 * config.port_slots as usize;
        let entries = config.walk_entries as usize;
        let status = |s: Status| Param::new((s as u64).into());
        Self {
            requests: LutRam::new(slots),
            results: LutRam::new(entries),
            pages: LutRam::new(entries),
            lines: LutRam::new(entries),
            ready: Fifo::new(entries),
            starved_4k: Fifo::new(entries),
            starved_2m: Fifo::new(entries),
            pte_writes: Fifo::new(entries),
            frame_mask: Param::new((config.frame_mask() as u64).into()),
            keep: Param::new(0x7_b000_0000u64.into()),
            check: Param::new(config.check_permissions),
            ok: status(Status::Ok),
            not_mapped: status(Status::NotMapped),
            no_permission: status(Status::NoPermission),
            out_of_memory: status(Status::NoMemory),
            uncorrectable: status(Status::Uncorrectable),
            ..Default::default()
        }
    }
}

impl Logic for Replay {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, reading, run, ending, run_index, run_slot);
        dff_setup!(self, clock, next_valid, next_slot, next_write, next_line);
        dff_setup!(
            self,
            clock,
            read_request,
            read_result,
            has_frame,
            needs_4k,
            needs_2m,
            reads_zeros,
            status,
            read_page,
            read_filled,
            read_stale,
            read_at_tail,
            has_joined,
            once_more,
            once_more_index,
            wake_4k,
            wake_2m,
            coming_4k,
            coming_2m
        );
        self.coming_4k.d.next = self.more_4k.val();
        self.coming_2m.d.next = self.more_2m.val();
        clock!(
            self, clock, requests, results, pages, lines, ready, starved_4k, starved_2m, pte_writes
        );
        self.ready.reset.next = self.reset.val();
        self.starved_4k.reset.next = self.reset.val();
        self.starved_2m.reset.next = self.reset.val();
        self.pte_writes.reset.next = self.reset.val();

        self.requests.write_enable.next = self.accept.val();
        self.requests.write_address.next = self.accept_slot.val();
        self.requests.write_data.next = (bit_cast::<19, 3>(self.accept_op.val()) << 16)
            | bit_cast::<19, 6>(self.accept_va.val().get_bits::<6>(6));
        if self.accept_va.val().get_bit(47) {
            self.requests.write_data.next = (bit_cast::<19, 3>(self.accept_op.val()) << 16)
                | bit_cast::<19, 15>(self.accept_va.val().get_bits::<15>(6))
                | (bit_cast::<19, 1>(true.into()) << 15);
        }
        self.pages.write_enable.next = self.allocate.val();
        self.pages.write_address.next = self.allocate_index.val();
        self.pages.write_data.next = (bit_cast::<55, 3>(self.victim_3.val()) << 52)
            | (bit_cast::<55, 36>(self.key_3.val()) << 16)
            | bit_cast::<55, 16>(self.pid_3.val());
        self.lines.write_enable.next = self.allocate.val();
        self.lines.write_address.next = self.allocate_index.val();
        self.lines.write_data.next = self.line_3.val();

        // What the waiter is, and what its page is.
        self.requests.read_address.next = self.run_slot.q.val();
        self.results.read_address.next = self.run_index.q.val();
        self.pages.read_address.next = self.run_index.q.val();
        self.op.next = self.requests.read_data.val().get_bits::<3>(16);
        self.reads.next = self.op.val() != 1;
        self.writes.next = self.op.val() != 0;
        self.present.next = self.results.read_data.val().get_bit(30);
        self.denied.next = self.check.val()
            && ((self.reads.val() && !self.results.read_data.val().get_bit(31))
                || (self.writes.val() && !self.results.read_data.val().get_bit(32)));
        self.serves.next = self.results.read_data.val().get_bit(33)
            && !self.results.read_data.val().get_bit(34)
            && !self.denied.val();
        self.wants.next = self.serves.val() && self.writes.val() && !self.present.val();
        self.outcome.next = self.ok.val();
        if self.wants.val() {
            self.outcome.next = self.out_of_memory.val();
        }
        if self.denied.val() {
            self.outcome.next = self.no_permission.val();
        }
        if !self.results.read_data.val().get_bit(33) {
            self.outcome.next = self.not_mapped.val();
        }
        if self.results.read_data.val().get_bit(34) {
            self.outcome.next = self.uncorrectable.val();
        }
        self.request.next = self.read_request.q.val();
        self.found.next = self.read_result.q.val();
        self.huge.next = self.request.val().get_bit(15);
        if self.reading.q.val() {
            self.read_request.d.next = self.requests.read_data.val();
            self.read_result.d.next = self.results.read_data.val();
            self.has_frame.d.next = self.serves.val() && self.present.val();
            self.needs_4k.d.next = self.wants.val() && !self.requests.read_data.val().get_bit(15);
            self.needs_2m.d.next = self.wants.val() && self.requests.read_data.val().get_bit(15);
            self.reads_zeros.d.next = self.serves.val() && !self.wants.val();
            self.status.d.next = self.outcome.val();
            self.read_page.d.next = self.pages.read_data.val();
            self.read_filled.d.next = self.filled.val();
            self.read_stale.d.next = self.stale.val();
            self.read_at_tail.d.next = self.at_tail.val();
        }
        // A shootdown that begins marks every entry.
        if self.mark.val() {
            self.read_stale.d.next = true;
        }
        self.frame.next = self.grant_4k_frame.val();
        if self.huge.val() {
            self.frame.next = self.grant_2m_frame.val();
        }
        if self.found.val().get_bit(30) {
            self.frame.next = self.found.val().get_bits::<28>(0);
        }
        self.line.next = (bit_cast::<34, 28>((self.frame.val()) & (self.frame_mask.val())) << 6)
            | bit_cast::<34, 15>(self.request.val().get_bits::<15>(0));
        self.takes_frame.next = (self.needs_4k.q.val() && self.grant_4k_valid.val())
            || (self.needs_2m.q.val() && self.grant_2m_valid.val());
        self.to_issue.next = self.has_frame.q.val() || self.takes_frame.val();
        self.starves.next =
            (self.needs_4k.q.val() && !self.grant_4k_valid.val() && self.coming_4k.q.val())
                || (self.needs_2m.q.val() && !self.grant_2m_valid.val() && self.coming_2m.q.val());

        // What happens to it in this cycle.
        self.wants_fill.next = !self.read_filled.q.val() && !self.read_stale.q.val();
        self.go_issue.next = self.run.q.val()
            && self.to_issue.val()
            && !self.next_valid.q.val()
            && !(self.wants_fill.val() && self.fill_blocked.val())
            && !((self.needs_4k.q.val() || self.needs_2m.q.val()) && self.result.val());
        self.go_starve.next = self.run.q.val() && self.starves.val();
        self.go_answer.next = self.run.q.val()
            && !self.to_issue.val()
            && !self.starves.val()
            && self.answer_ready.val();
        self.leaves.next = self.go_issue.val() || self.go_answer.val();
        if self.issue_ready.val() {
            self.next_valid.d.next = false;
        }
        if !self.next_valid.q.val() {
            self.next_valid.d.next = self.go_issue.val();
            self.next_slot.d.next = self.run_slot.q.val();
            self.next_write.d.next = self.request.val().get_bits::<3>(16) == 1;
            self.next_line.d.next = self.line.val();
        }
        self.active.next = self.next_valid.q.val();
        self.issue.next = self.next_valid.q.val() && self.issue_ready.val();
        self.issue_slot.next = self.next_slot.q.val();
        self.issue_write.next = self.next_write.q.val();
        self.issue_line.next = self.next_line.q.val();
        self.answer.next = self.go_answer.val();
        self.answer_status.next = self.status.q.val();
        self.zero_read.next = self.go_answer.val() && self.reads_zeros.q.val();
        self.no_memory.next =
            self.go_answer.val() && (self.needs_4k.q.val() || self.needs_2m.q.val());
        self.grant_4k_take.next = self.go_issue.val() && self.needs_4k.q.val();
        self.grant_2m_take.next = self.go_issue.val() && self.needs_2m.q.val();
        self.fault.next = self.go_issue.val() && self.takes_frame.val();
        self.fill.next = self.go_issue.val() && self.wants_fill.val();
        self.fill_way.next = self.read_page.q.val().get_bits::<3>(52);
        self.fill_pid.next = self.read_page.q.val().get_bits::<16>(0);
        self.fill_key.next = self.read_page.q.val().get_bits::<36>(16);
        self.fill_frame.next = self.frame.val();
        self.fill_read.next = self.found.val().get_bit(31);
        self.fill_write.next = self.found.val().get_bit(32);
        self.closing.next = self.leaves.val() && self.read_at_tail.q.val();
        self.at_end.next = self.ending.q.val() && !self.has_joined.q.val();
        self.last.next = self.at_end.val();
        self.index.next = self.run_index.q.val();
        self.slot.next = self.run_slot.q.val();

        self.results.write_enable.next =
            self.result.val() || (self.go_issue.val() && self.takes_frame.val());
        self.results.write_address.next = self.run_index.q.val();
        self.results.write_data.next = (bit_cast::<35, 28>(self.frame.val()))
            | (bit_cast::<35, 1>(true.into()) << 30)
            | ((self.found.val()) & (self.keep.val()));
        if self.result.val() {
            self.results.write_address.next = self.result_index.val();
            self.results.write_data.next = (bit_cast::<35, 28>(self.result_frame.val()))
                | (bit_cast::<35, 2>(self.result_way.val()) << 28)
                | (bit_cast::<35, 1>(self.result_present.val().into()) << 30)
                | (bit_cast::<35, 1>(self.result_read.val().into()) << 31)
                | (bit_cast::<35, 1>(self.result_write.val().into()) << 32)
                | (bit_cast::<35, 1>(self.result_mapped.val().into()) << 33)
                | (bit_cast::<35, 1>(self.result_poison.val().into()) << 34);
        }
        self.pte_writes.push.next = self.go_issue.val() && self.takes_frame.val();
        self.pte_writes.push_data.next =
            (bit_cast::<37, 28>((self.frame.val()) & (self.frame_mask.val())))
                | (bit_cast::<37, 2>(self.found.val().get_bits::<2>(28)) << 28)
                | (bit_cast::<37, 7>(self.run_index.q.val()) << 30);
        self.pte_valid.next = self.pte_writes.nonempty.val();
        self.pte_writes.pop.next = self.pte_writes.nonempty.val() && self.pte_ready.val();
        self.pte_frame.next = self.pte_writes.head.val().get_bits::<28>(0);
        self.pte_way.next = self.pte_writes.head.val().get_bits::<2>(28);
        self.pte_index.next = self.pte_writes.head.val().get_bits::<7>(30);
        self.lines.read_address.next = self.pte_writes.head.val().get_bits::<7>(30);
        self.pte_line.next = self.lines.read_data.val();

        // Which entry comes next: one that starved and can go on before a fresh one.
        self.starved_4k.push.next = self.go_starve.val() && !self.huge.val();
        self.starved_4k.push_data.next = bit_cast::<14, 7>(self.run_index.q.val())
            | (bit_cast::<14, 7>(self.run_slot.q.val()) << 7);
        self.starved_2m.push.next = self.go_starve.val() && self.huge.val();
        self.starved_2m.push_data.next = bit_cast::<14, 7>(self.run_index.q.val())
            | (bit_cast::<14, 7>(self.run_slot.q.val()) << 7);
        self.can_load.next =
            self.ready.nonempty.val() || self.wake_4k.q.val() || self.wake_2m.q.val();
        self.may_load.next = !self.reading.q.val()
            && !self.run.q.val()
            && !(self.ending.q.val() && self.has_joined.q.val());
        self.load.next = self.may_load.val() && self.can_load.val();
        // With nothing to do, a walk's result is taken at once.
        self.bypass.next = self.may_load.val() && !self.can_load.val() && self.result.val();
        self.once_more.d.next = self.again.val();
        self.once_more_index.d.next = self.again_index.val();
        self.ready.push.next = (self.result.val() && !self.bypass.val()) || self.once_more.q.val();
        self.ready.push_data.next = self.result_index.val();
        if self.once_more.q.val() {
            self.ready.push_data.next = self.once_more_index.q.val();
        }
        self.load_at.next = self.ready.head.val();
        self.load_slot.next = self.load_head.val();
        self.ready.pop.next = false;
        self.starved_4k.pop.next = false;
        self.starved_2m.pop.next = false;
        if self.wake_2m.q.val() {
            self.load_at.next = self.starved_2m.head.val().get_bits::<7>(0);
            self.load_slot.next = self.starved_2m.head.val().get_bits::<7>(7);
            self.starved_2m.pop.next = self.load.val();
        } else if self.wake_4k.q.val() {
            self.load_at.next = self.starved_4k.head.val().get_bits::<7>(0);
            self.load_slot.next = self.starved_4k.head.val().get_bits::<7>(7);
            self.starved_4k.pop.next = self.load.val();
        } else {
            self.ready.pop.next = self.load.val();
        }
        self.wake_4k.d.next = self.starved_4k.nonempty.val()
            && (self.grant_4k_valid.val() || !self.coming_4k.q.val())
            && !self.starved_4k.pop.val();
        self.wake_2m.d.next = self.starved_2m.nonempty.val()
            && (self.grant_2m_valid.val() || !self.coming_2m.q.val())
            && !self.starved_2m.pop.val();
        self.load_index.next = self.ready.head.val();
        if !self.ready.nonempty.val() {
            self.load_index.next = self.result_index.val();
        }
        self.reading.d.next = false;
        self.ending.d.next = false;
        // Who joins in the cycle before `reading` is seen there.
        self.has_joined.d.next = (self.reading.q.val() || self.run.q.val())
            && (self.has_joined.q.val() || self.joined.val())
            && !(self.leaves.val() && !self.read_at_tail.q.val());
        if self.reading.q.val() {
            self.run.d.next = true;
        }
        if self.go_starve.val() {
            self.run.d.next = false;
        }
        if self.leaves.val() {
            self.run.d.next = false;
            self.ending.d.next = self.read_at_tail.q.val();
        }
        if (self.leaves.val() && !self.read_at_tail.q.val())
            || (self.ending.q.val() && self.has_joined.q.val())
        {
            self.reading.d.next = true;
            self.run_slot.d.next = self.following.val();
        }
        if self.load.val() {
            self.reading.d.next = true;
            self.run_index.d.next = self.load_at.val();
            self.run_slot.d.next = self.load_slot.val();
        }
        if self.bypass.val() {
            self.reading.d.next = true;
            self.run_index.d.next = self.result_index.val();
            self.run_slot.d.next = self.load_head.val();
        }
        if self.reset.val() {
            self.next_valid.d.next = false;
            self.reading.d.next = false;
            self.ending.d.next = false;
            self.run.d.next = false;
            self.wake_4k.d.next = false;
            self.wake_2m.d.next = false;
            self.once_more.d.next = false;
        }
    }
}
