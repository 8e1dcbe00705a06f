//! The component: one request's way reads from top to bottom.
//!
//! ```text
//!  p0, p1 ─ Intake ─ Tlb ─ Dispatch ─┬─ hit ──────────────── Issue ─ DramPort ─ DRAM
//!                                    └─ miss ─ WalkTable        │        │
//!                                              Bucket, Replay ──┘   LineOrder
//!  p0, p1 ─ ResponseFifo ─ Completion ─────────────────────────────────── DRAM
//! ```

use crate::accepted::Accepted;
use crate::amo::Amo;
use crate::background::Background;
use crate::beats::Beats;
use crate::bucket::{BucketAddress, BucketMatch};
use crate::completion::Completion;
use crate::dispatch::Dispatch;
use crate::dram_port::DramPort;
use crate::fifo::Fifo;
use crate::intake::Intake;
use crate::issue::Issue;
use crate::line_order::LineOrder;
use crate::manage::Manage;
use crate::relay::Relay;
use crate::replay::Replay;
use crate::response_fifo::ResponseFifo;
use crate::sends::Sends;
use crate::shootdown::Shootdown;
use crate::skid::Skid;
use crate::tlb::Tlb;
use crate::walk_table::WalkTable;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct Component {
    pub clock: Signal<In, Clock>,
    /// Registered once: hold it for two cycles or more.
    pub reset: Signal<In, Bit>,

    pub p0_req_valid: Signal<In, Bit>,
    pub p0_req_ready: Signal<Out, Bit>,
    pub p0_req_op: Signal<In, Bits<3>>,
    pub p0_req_tag: Signal<In, Bits<16>>,
    pub p0_req_pid: Signal<In, Bits<16>>,
    pub p0_req_va: Signal<In, Bits<48>>,
    pub p0_req_mask: Signal<In, Bits<64>>,
    pub p0_req_data: Signal<In, Bits<512>>,
    pub p0_resp_valid: Signal<Out, Bit>,
    pub p0_resp_ready: Signal<In, Bit>,
    pub p0_resp_tag: Signal<Out, Bits<16>>,
    pub p0_resp_status: Signal<Out, Bits<3>>,
    pub p0_resp_data: Signal<Out, Bits<512>>,
    pub p1_req_valid: Signal<In, Bit>,
    pub p1_req_ready: Signal<Out, Bit>,
    pub p1_req_op: Signal<In, Bits<3>>,
    pub p1_req_tag: Signal<In, Bits<16>>,
    pub p1_req_pid: Signal<In, Bits<16>>,
    pub p1_req_va: Signal<In, Bits<48>>,
    pub p1_req_mask: Signal<In, Bits<64>>,
    pub p1_req_data: Signal<In, Bits<512>>,
    pub p1_resp_valid: Signal<Out, Bit>,
    pub p1_resp_ready: Signal<In, Bit>,
    pub p1_resp_tag: Signal<Out, Bits<16>>,
    pub p1_resp_status: Signal<Out, Bits<3>>,
    pub p1_resp_data: Signal<Out, Bits<512>>,

    pub dram_cmd_valid: Signal<Out, Bit>,
    pub dram_cmd_ready: Signal<In, Bit>,
    pub dram_cmd_write: Signal<Out, Bit>,
    pub dram_cmd_tag: Signal<Out, Bits<10>>,
    pub dram_cmd_line: Signal<Out, Bits<34>>,
    /// Data and mask of a beat, in their low bits; see [`Beats`].
    pub dram_cmd_mask: Signal<Out, Bits<64>>,
    pub dram_cmd_data: Signal<Out, Bits<512>>,
    pub dram_cmd_last: Signal<Out, Bit>,
    pub dram_resp_valid: Signal<In, Bit>,
    pub dram_resp_ready: Signal<Out, Bit>,
    pub dram_resp_tag: Signal<In, Bits<10>>,
    pub dram_resp_data: Signal<In, Bits<512>>,
    pub dram_resp_last: Signal<In, Bit>,
    pub dram_resp_poison: Signal<In, Bit>,

    pub m_valid: Signal<In, Bit>,
    pub m_write: Signal<In, Bit>,
    pub m_addr: Signal<In, Bits<12>>,
    pub m_wdata: Signal<In, Bits<32>>,
    pub m_done: Signal<Out, Bit>,
    pub m_rdata: Signal<Out, Bits<32>>,
    pub m_error: Signal<Out, Bit>,
    pub h_valid: Signal<In, Bit>,
    pub h_write: Signal<In, Bit>,
    pub h_addr: Signal<In, Bits<12>>,
    pub h_wdata: Signal<In, Bits<32>>,
    pub h_done: Signal<Out, Bit>,
    pub h_rdata: Signal<Out, Bits<32>>,
    pub h_error: Signal<Out, Bit>,
    pub irq_monitor: Signal<Out, Bit>,
    pub irq_host: Signal<Out, Bit>,

    /// Requests in the order in which they took effect, for checkers.
    pub retire_valid: Signal<Out, Bit>,
    pub retire_port: Signal<Out, Bit>,
    pub retire_tag: Signal<Out, Bits<16>>,
    pub retire_status: Signal<Out, Bits<3>>,

    resets: DFF<Bit>,
    finished: DFF<Bit>,
    finished_slot: DFF<Bits<7>>,
    intake: Intake,
    accepted: Accepted,
    /// A request that was accepted and cannot go into stage 0 yet.
    entrance: Skid<Bits<74>>,
    entering: Signal<Local, Bits<74>>,
    tlb: Tlb,
    bucket: BucketAddress,
    walks: WalkTable,
    walk_queue: Fifo<Bits<41>>,
    matcher: BucketMatch,
    dispatch: Dispatch,
    replay: Replay,
    /// A TLB hit that the issue stage could not take at once: it goes before any waiter that is
    /// replayed after it.
    hits: Skid<Bits<42>>,
    hit: Signal<Local, Bits<42>>,
    issue: Issue,
    order: LineOrder,
    /// Requests whose turn has come: out of the line order's queue, which is slow to come out.
    turns: Relay<Bits<7>>,
    sends: Sends,
    send: Signal<Local, Bits<619>>,
    zeroes: Relay<Bits<41>>,
    background: Background,
    dram: DramPort,
    /// A command that the DRAM did not take at once.
    commands: Skid<Bits<621>>,
    command: Signal<Local, Bits<621>>,
    beats: Beats,
    completion: Completion,
    amo: Amo,
    responses_0: ResponseFifo,
    responses_1: ResponseFifo,
    shootdown: Shootdown,
    manage: Manage,
}

impl Component {
    pub fn new(config: &HwConfig) -> Self {
        Self {
            intake: Intake::new(config),
            tlb: Tlb::new(config),
            walks: WalkTable::new(config),
            walk_queue: Fifo::new(config.walk_entries as usize),
            matcher: BucketMatch::new(config),
            dispatch: Dispatch::new(),
            replay: Replay::new(config),
            issue: Issue::new(config),
            order: LineOrder::new(config),
            background: Background::new(),
            dram: DramPort::new(),
            beats: Beats::new(config),
            completion: Completion::new(config),
            amo: Amo::new(config),
            responses_0: ResponseFifo::new(config),
            responses_1: ResponseFifo::new(config),
            shootdown: Shootdown::new(config),
            manage: Manage::new(config),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident),+) => { $( self.$pin.connect(); )+ };
        }
        connect!(
            clock,
            reset,
            p0_req_valid,
            p0_req_op,
            p0_req_tag,
            p0_req_pid,
            p0_req_va,
            p0_req_mask,
            p0_req_data,
            p0_resp_ready,
            p1_req_valid,
            p1_req_op,
            p1_req_tag,
            p1_req_pid,
            p1_req_va,
            p1_req_mask,
            p1_req_data,
            p1_resp_ready,
            dram_cmd_ready,
            dram_resp_valid,
            dram_resp_tag,
            dram_resp_data,
            dram_resp_last,
            dram_resp_poison,
            m_valid,
            m_write,
            m_addr,
            m_wdata,
            h_valid,
            h_write,
            h_addr,
            h_wdata
        );
        self.connect_all();
    }
}

impl Logic for Component {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(
            self,
            clock,
            intake,
            accepted,
            entrance,
            tlb,
            bucket,
            walks,
            walk_queue,
            matcher,
            replay,
            hits,
            issue,
            order,
            turns,
            sends,
            zeroes,
            background,
            dram,
            commands,
            beats,
            completion,
            amo,
            responses_0,
            responses_1,
            shootdown,
            manage
        );
        // Through a register, so that no logic stands between the pin and its many loads, and a
        // simulation need not look at all of that logic whenever an input changes.
        dff_setup!(self, clock, resets, finished, finished_slot);
        self.resets.d.next = self.reset.val();
        self.intake.reset.next = self.resets.q.val();
        self.accepted.reset.next = self.resets.q.val();
        self.entrance.reset.next = self.resets.q.val();
        self.tlb.reset.next = self.resets.q.val();
        self.walks.reset.next = self.resets.q.val();
        self.walk_queue.reset.next = self.resets.q.val();
        self.matcher.reset.next = self.resets.q.val();
        self.replay.reset.next = self.resets.q.val();
        self.hits.reset.next = self.resets.q.val();
        self.issue.reset.next = self.resets.q.val();
        self.order.reset.next = self.resets.q.val();
        self.turns.reset.next = self.resets.q.val();
        self.beats.reset.next = self.resets.q.val();
        self.sends.reset.next = self.resets.q.val();
        self.dram.reset.next = self.resets.q.val();
        self.zeroes.reset.next = self.resets.q.val();
        self.background.reset.next = self.resets.q.val();
        self.commands.reset.next = self.resets.q.val();
        self.completion.reset.next = self.resets.q.val();
        self.amo.reset.next = self.resets.q.val();
        self.responses_0.reset.next = self.resets.q.val();
        self.responses_1.reset.next = self.resets.q.val();
        self.shootdown.reset.next = self.resets.q.val();
        self.manage.reset.next = self.resets.q.val();

        // Requests in.
        self.intake.enable.next = self.manage.enable.val();
        self.intake.advance.next = self.entrance.in_ready.val();
        self.intake.invalidating.next = self.shootdown.invalidate.val();
        self.intake.p0_valid.next = self.p0_req_valid.val();
        self.p0_req_ready.next = self.intake.p0_ready.val();
        self.intake.p0_op.next = self.p0_req_op.val();
        self.intake.p0_tag.next = self.p0_req_tag.val();
        self.intake.p0_pid.next = self.p0_req_pid.val();
        self.intake.p0_va.next = self.p0_req_va.val();
        self.intake.p1_valid.next = self.p1_req_valid.val();
        self.p1_req_ready.next = self.intake.p1_ready.val();
        self.intake.p1_op.next = self.p1_req_op.val();
        self.intake.p1_tag.next = self.p1_req_tag.val();
        self.intake.p1_pid.next = self.p1_req_pid.val();
        self.intake.p1_va.next = self.p1_req_va.val();
        self.accepted.accept.next = self.intake.valid.val();
        self.accepted.accept_slot.next = self.intake.slot.val();
        self.accepted.accept_op.next = self.intake.op.val();
        self.accepted.accept_tag.next = self.intake.tag.val();
        self.accepted.accept_pid.next = self.intake.pid.val();
        self.accepted.accept_va.next = self.intake.va.val();
        self.accepted.accept_port.next = self.intake.port.val();
        self.accepted.p0_mask.next = self.p0_req_mask.val();
        self.accepted.p0_data.next = self.p0_req_data.val();
        self.accepted.p1_mask.next = self.p1_req_mask.val();
        self.accepted.p1_data.next = self.p1_req_data.val();
        self.issue.accept.next = self.accepted.valid.val();
        self.issue.accept_slot.next = self.accepted.slot.val();
        self.issue.accept_mask.next = self.accepted.mask.val();
        self.issue.accept_data.next = self.accepted.data.val();
        self.amo.accept.next = self.accepted.valid.val();
        self.amo.accept_slot.next = self.accepted.slot.val();
        self.amo.accept_operands.next = self.accepted.data.val().get_bits::<128>(0);
        self.order.accept.next = self.accepted.valid.val();
        self.order.accept_slot.next = self.accepted.slot.val();
        self.replay.accept.next = self.accepted.valid.val();
        self.replay.accept_slot.next = self.accepted.slot.val();
        self.replay.accept_op.next = self.accepted.op.val();
        self.replay.accept_va.next = self.accepted.va.val();
        self.completion.accept.next = self.accepted.valid.val();
        self.completion.accept_slot.next = self.accepted.slot.val();
        self.completion.accept_op.next = self.accepted.op.val();
        self.completion.accept_tag.next = self.accepted.tag.val();
        self.completion.accept_pid.next = self.accepted.pid.val();
        self.completion.accept_va.next = self.accepted.va.val();

        // Translation.
        self.tlb.advance.next = self.dispatch.advance.val();
        self.entrance.in_valid.next = self.intake.valid.val();
        self.entrance.in_data.next = bit_cast::<74, 48>(self.intake.va.val())
            | (bit_cast::<74, 16>(self.intake.pid.val()) << 48)
            | (bit_cast::<74, 7>(self.intake.slot.val()) << 64)
            | (bit_cast::<74, 3>(self.intake.op.val()) << 71);
        self.entrance.out_ready.next =
            self.dispatch.advance.val() && !self.shootdown.invalidate.val();
        self.entering.next = self.entrance.out_data.val();
        self.tlb.valid_0.next = self.entrance.out_valid.val() && !self.shootdown.invalidate.val();
        self.tlb.slot_0.next = self.entering.val().get_bits::<7>(64);
        self.tlb.op_0.next = self.entering.val().get_bits::<3>(71);
        self.tlb.pid_0.next = self.entering.val().get_bits::<16>(48);
        self.tlb.va_0.next = self.entering.val().get_bits::<48>(0);
        self.tlb.invalidate_0.next = self.shootdown.invalidate.val();
        self.tlb.any_pid_0.next = self.shootdown.any_pid.val();
        self.tlb.any_key_0.next = self.shootdown.invalidate.val() && self.shootdown.any_key.val();
        self.tlb.sweep_set_0.next = self.shootdown.sweep_set.val();
        if self.shootdown.invalidate.val() {
            self.tlb.pid_0.next = self.shootdown.out_pid.val();
            self.tlb.va_0.next = self.shootdown.out_va.val();
        }
        self.bucket.advance.next = self.dispatch.advance.val();
        self.bucket.table_base.next = self.manage.table_base.val();
        self.bucket.table_log2.next = self.manage.table_log2.val();
        self.bucket.pid_1.next = self.tlb.pid_1.val();
        self.bucket.va_1.next = self.tlb.va_1.val();

        self.dispatch.good.next = self.tlb.good_3.val();
        self.dispatch.bad.next = self.tlb.bad_3.val();
        self.dispatch.op.next = self.tlb.op_3.val();
        self.dispatch.va.next = self.tlb.va_3.val();
        self.dispatch.hit.next = self.tlb.hit_3.val();
        self.dispatch.frame.next = self.tlb.frame_3.val();
        self.dispatch.allowed.next = self.tlb.allowed_3.val();
        self.dispatch.found.next = self.walks.found_3.val();
        self.dispatch.found_done.next = self.walks.found_done_3.val();
        self.dispatch.found_waiting.next = self.walks.found_waiting_3.val();
        self.dispatch.found_stale.next = self.walks.found_stale_3.val();
        self.dispatch.found_leaving.next = self.walks.found_leaving_3.val();
        self.dispatch.room.next = self.walks.room.val();
        self.dispatch.result.next = self.completion.walk_valid.val();
        // From registers, not from what the issue stage takes in this cycle: the whole pipeline hangs on it.
        self.dispatch.issue_ready.next = self.hits.in_ready.val() && !self.replay.active.val();
        self.dispatch.answer_ready.next = self.completion.hit_ready.val();

        // Walks.
        self.walks.advance.next = self.dispatch.advance.val();
        self.walks.pid_1.next = self.tlb.pid_1.val();
        self.walks.key_1.next = self.tlb.page_1.val();
        self.walks.pid_2.next = self.tlb.pid_2.val();
        self.walks.key_2.next = self.tlb.key_2.val();
        self.walks.pid_3.next = self.tlb.pid_3.val();
        self.walks.key_3.next = self.tlb.key_3.val();
        self.walks.slot_3.next = self.tlb.slot_3.val();
        self.walks.allocate.next = self.dispatch.allocate.val();
        self.walks.attach.next = self.dispatch.attach.val();
        self.walks.finish.next = self.matcher.valid.val();
        self.walks.finish_index.next = self.matcher.index.val();
        self.walks.load_index.next = self.replay.load_index.val();
        self.walks.replay_index.next = self.replay.index.val();
        self.walks.replay_slot.next = self.replay.slot.val();
        self.walks.replay_last.next = self.replay.last.val();
        self.walks.replay_fill.next = self.replay.fill.val();
        self.walks.replay_fault.next = self.replay.fault.val();
        self.walks.written.next = self.completion.pte_written.val();
        self.walks.written_index.next = self.completion.index.val();
        self.walks.mark.next = self.shootdown.mark_walks.val();
        self.walk_queue.push.next = self.dispatch.allocate.val();
        self.walk_queue.push_data.next = bit_cast::<41, 34>(self.bucket.line_3.val())
            | (bit_cast::<41, 7>(self.walks.room_index.val()) << 34);
        self.walk_queue.pop.next = self.walk_queue.nonempty.val() && self.dram.walk_ready.val();
        self.matcher.allocate.next = self.dispatch.allocate.val();
        self.matcher.allocate_index.next = self.walks.room_index.val();
        self.matcher.pid_3.next = self.tlb.pid_3.val();
        self.matcher.key_3.next = self.tlb.key_3.val();
        self.matcher.line_valid.next = self.completion.walk_valid.val();
        self.matcher.line_index.next = self.completion.index.val();
        self.matcher.line.next = self.completion.line.val();
        self.matcher.line_poison.next = self.completion.poison.val();

        // Replay and faults.
        self.replay.allocate.next = self.dispatch.allocate.val();
        self.replay.allocate_index.next = self.walks.room_index.val();
        self.replay.pid_3.next = self.tlb.pid_3.val();
        self.replay.key_3.next = self.tlb.key_3.val();
        self.replay.victim_3.next = self.tlb.victim_3.val();
        self.replay.line_3.next = self.bucket.line_3.val();
        self.replay.again.next = self.dispatch.again.val();
        self.replay.again_index.next = self.walks.found_index_3.val();
        self.replay.result.next = self.matcher.valid.val();
        self.replay.result_index.next = self.matcher.index.val();
        self.replay.result_poison.next = self.matcher.poison.val();
        self.replay.result_mapped.next = self.matcher.mapped.val();
        self.replay.result_present.next = self.matcher.present.val();
        self.replay.result_read.next = self.matcher.read.val();
        self.replay.result_write.next = self.matcher.write.val();
        self.replay.result_frame.next = self.matcher.frame.val();
        self.replay.result_way.next = self.matcher.way.val();
        self.replay.load_head.next = self.walks.load_head.val();
        self.replay.following.next = self.walks.replay_next.val();
        self.replay.at_tail.next = self.walks.replay_at_tail.val();
        self.replay.joined.next = self.walks.replay_joined.val();
        self.walks.replay_closing.next = self.replay.closing.val();
        self.replay.mark.next = self.shootdown.mark_walks.val();
        self.replay.filled.next = self.walks.replay_filled.val();
        self.replay.stale.next = self.walks.replay_stale.val();
        self.replay.issue_ready.next = self.issue.replay_ready.val();
        self.replay.answer_ready.next = self.completion.replay_ready.val();
        self.replay.fill_blocked.next = self.tlb.invalidate_3.val();
        self.replay.grant_4k_valid.next = self.manage.grant_4k_valid.val();
        self.replay.grant_4k_frame.next = self.manage.grant_4k_frame.val();
        self.replay.more_4k.next = self.manage.more_4k.val();
        self.replay.grant_2m_valid.next = self.manage.grant_2m_valid.val();
        self.replay.grant_2m_frame.next = self.manage.grant_2m_frame.val();
        self.replay.more_2m.next = self.manage.more_2m.val();
        self.replay.pte_ready.next = self.background.pte_ready.val();
        self.tlb.fill.next = self.replay.fill.val();
        self.tlb.fill_way.next = self.replay.fill_way.val();
        self.tlb.fill_pid.next = self.replay.fill_pid.val();
        self.tlb.fill_key.next = self.replay.fill_key.val();
        self.tlb.fill_frame.next = self.replay.fill_frame.val();
        self.tlb.fill_read.next = self.replay.fill_read.val();
        self.tlb.fill_write.next = self.replay.fill_write.val();

        // To the DRAM.
        self.issue.amo_valid.next = self.amo.write_valid.val();
        self.issue.amo_slot.next = self.amo.slot.val();
        self.issue.amo_word.next = self.amo.word.val();
        self.issue.amo_data.next = self.amo.data.val();
        self.turns.in_valid.next = self.order.wake_valid.val();
        self.turns.in_data.next = self.order.wake_slot.val();
        self.order.wake_take.next = self.order.wake_valid.val() && self.turns.in_ready.val();
        self.issue.wake_valid.next = self.turns.out_valid.val();
        self.issue.wake_slot.next = self.turns.out_data.val();
        self.turns.out_ready.next = self.issue.wake_take.val();
        self.issue.look_line.next = self.order.look_line.val();
        self.issue.look_write.next = self.order.look_write.val();
        self.issue.replay_active.next = self.replay.active.val() && self.hits.in_ready.val();
        self.issue.replay_issue.next = self.replay.issue.val();
        self.issue.replay_slot.next = self.replay.issue_slot.val();
        self.issue.replay_write.next = self.replay.issue_write.val();
        self.issue.replay_line.next = self.replay.issue_line.val();
        self.hits.in_valid.next = self.dispatch.issue.val();
        self.hits.in_data.next = bit_cast::<42, 34>(self.dispatch.issue_line.val())
            | (bit_cast::<42, 7>(self.tlb.slot_3.val()) << 34)
            | (bit_cast::<42, 1>(self.dispatch.issue_write.val().into()) << 41);
        self.hits.out_ready.next = self.issue.hit_ready.val();
        self.hit.next = self.hits.out_data.val();
        self.issue.hit_issue.next = self.hits.out_valid.val() && self.issue.hit_ready.val();
        self.issue.hit_line.next = self.hit.val().get_bits::<34>(0);
        self.issue.hit_slot.next = self.hit.val().get_bits::<7>(34);
        self.issue.hit_write.next = self.hit.val().get_bit(41);
        self.issue.ready.next = self.sends.in_ready.val();
        self.order.slot.next = self.issue.slot.val();
        self.order.line.next = self.issue.line.val();
        self.order.write.next = self.issue.write.val();
        self.order.pass.next = self.issue.pass.val();
        self.order.look_slot.next = self.issue.look_slot.val();
        self.sends.in_valid.next = self.issue.valid.val();
        self.sends.in_data.next = bit_cast::<619, 512>(self.issue.data.val())
            | (bit_cast::<619, 64>(self.issue.mask.val()) << 512)
            | (bit_cast::<619, 34>(self.issue.line.val()) << 576)
            | (bit_cast::<619, 7>(self.issue.slot.val()) << 610)
            | (bit_cast::<619, 1>(self.issue.write.val().into()) << 617)
            | (bit_cast::<619, 1>(self.issue.amo.val().into()) << 618);
        self.sends.out_ready.next = self.dram.issue_ready.val();
        self.sends.drop.next = self.order.conflict.val();
        self.send.next = self.sends.out_data.val();
        self.dram.issue_present.next = self.sends.present.val();
        self.dram.issue_valid.next = self.sends.out_valid.val();
        self.dram.issue_data.next = self.send.val().get_bits::<512>(0);
        self.dram.issue_mask.next = self.send.val().get_bits::<64>(512);
        self.dram.issue_line.next = self.send.val().get_bits::<34>(576);
        self.dram.issue_slot.next = self.send.val().get_bits::<7>(610);
        self.dram.issue_write.next = self.send.val().get_bit(617);
        self.dram.issue_amo.next = self.send.val().get_bit(618);
        self.dram.walk_valid.next = self.walk_queue.nonempty.val();
        self.dram.walk_index.next = self.walk_queue.head.val().get_bits::<7>(34);
        self.dram.walk_line.next = self.walk_queue.head.val().get_bits::<34>(0);
        self.background.pte_valid.next = self.replay.pte_valid.val();
        self.background.pte_index.next = self.replay.pte_index.val();
        self.background.pte_way.next = self.replay.pte_way.val();
        self.background.pte_frame.next = self.replay.pte_frame.val();
        self.background.pte_line.next = self.replay.pte_line.val();
        self.background.table_valid.next = self.manage.te_cmd_valid.val();
        self.background.table_write.next = self.manage.te_cmd_write.val();
        self.background.table_tag.next = self.manage.te_cmd_tag.val();
        self.background.table_line.next = self.manage.te_cmd_line.val();
        self.background.table_mask.next = self.manage.te_cmd_mask.val();
        self.background.table_entry.next = self.manage.te_cmd_entry.val();
        self.zeroes.in_valid.next = self.manage.zero_cmd_valid.val();
        self.zeroes.in_data.next = bit_cast::<41, 34>(self.manage.zero_cmd_line.val())
            | (bit_cast::<41, 7>(self.manage.zero_cmd_tag.val()) << 34);
        self.zeroes.out_ready.next = self.background.zero_ready.val();
        self.background.zero_valid.next = self.zeroes.out_valid.val();
        self.background.zero_tag.next = self.zeroes.out_data.val().get_bits::<7>(34);
        self.background.zero_line.next = self.zeroes.out_data.val().get_bits::<34>(0);
        self.background.ready.next = self.dram.back_ready.val();
        self.dram.back_valid.next = self.background.valid.val();
        self.dram.back_write.next = self.background.write.val();
        self.dram.back_tag.next = self.background.tag.val();
        self.dram.back_line.next = self.background.line.val();
        self.dram.back_mask.next = self.background.mask.val();
        self.dram.back_entry.next = self.background.entry.val();
        self.commands.in_valid.next = self.dram.cmd_valid.val();
        self.dram.cmd_ready.next = self.commands.in_ready.val();
        self.commands.in_data.next = bit_cast::<621, 512>(self.dram.cmd_data.val())
            | (bit_cast::<621, 64>(self.dram.cmd_mask.val()) << 512)
            | (bit_cast::<621, 34>(self.dram.cmd_line.val()) << 576)
            | (bit_cast::<621, 10>(self.dram.cmd_tag.val()) << 610)
            | (bit_cast::<621, 1>(self.dram.cmd_write.val().into()) << 620);
        self.dram_cmd_valid.next = self.commands.out_valid.val();
        self.commands.out_ready.next = self.beats.cmd_ready.val();
        self.command.next = self.commands.out_data.val();
        self.dram_cmd_write.next = self.command.val().get_bit(620);
        self.dram_cmd_tag.next = self.command.val().get_bits::<10>(610);
        self.dram_cmd_line.next = self.command.val().get_bits::<34>(576);
        self.beats.cmd_valid.next = self.commands.out_valid.val();
        self.beats.cmd_write.next = self.command.val().get_bit(620);
        self.beats.cmd_mask.next = self.command.val().get_bits::<64>(512);
        self.beats.cmd_data.next = self.command.val().get_bits::<512>(0);
        self.beats.beat_ready.next = self.dram_cmd_ready.val();
        self.dram_cmd_mask.next = self.beats.beat_mask.val();
        self.dram_cmd_data.next = self.beats.beat_data.val();
        self.dram_cmd_last.next = self.beats.beat_last.val();
        self.beats.reply_valid.next = self.dram_resp_valid.val();
        self.beats.reply_tag.next = self.dram_resp_tag.val();
        self.beats.reply_data.next = self.dram_resp_data.val();
        self.beats.reply_last.next = self.dram_resp_last.val();
        self.beats.reply_poison.next = self.dram_resp_poison.val();
        self.beats.resp_ready.next = self.completion.dram_ready.val();
        self.dram_resp_ready.next = self.beats.reply_ready.val();

        // Back from the DRAM.
        self.completion.dram_valid.next = self.beats.resp_valid.val();
        self.completion.dram_tag.next = self.beats.resp_tag.val();
        self.completion.dram_data.next = self.beats.resp_data.val();
        self.completion.dram_poison.next = self.beats.resp_poison.val();
        self.completion.hit_answer.next = self.dispatch.answer.val();
        self.completion.hit_slot.next = self.tlb.slot_3.val();
        self.completion.hit_status.next = self.dispatch.answer_status.val();
        self.completion.replay_answer.next = self.replay.answer.val();
        self.completion.replay_slot.next = self.replay.slot.val();
        self.completion.replay_status.next = self.replay.answer_status.val();
        self.completion.amo_answer.next = self.amo.answer.val();
        self.completion.amo_slot.next = self.amo.slot.val();
        self.completion.old.next = self.amo.look_old.val();
        self.amo.line_read.next = self.completion.amo_valid.val();
        self.amo.line_slot.next = self.completion.slot.val();
        self.amo.line_word.next = self.completion.amo_word.val();
        self.amo.line_swap.next = self.completion.amo_swap.val();
        self.amo.line_old.next = self.completion.amo_old.val();
        self.amo.write_take.next = self.issue.amo_take.val();
        self.amo.answer_take.next = self.completion.amo_take.val();
        self.amo.look_slot.next = self.completion.old_slot.val();
        // A cycle later is early enough: nobody gets the slot again so soon.
        self.finished.d.next = self.completion.finish.val();
        self.finished_slot.d.next = self.completion.slot.val();
        self.order.finish.next = self.finished.q.val();
        self.order.finish_slot.next = self.finished_slot.q.val();

        // Answers out; a taken answer gives its slot back.
        self.responses_0.push.next = self.completion.finish.val() && !self.completion.port.val();
        self.responses_0.push_slot.next = self.completion.slot.val();
        self.responses_0.push_tag.next = self.completion.tag.val();
        self.responses_0.push_status.next = self.completion.status.val();
        self.responses_0.push_data.next = self.completion.data.val();
        self.p0_resp_valid.next = self.responses_0.valid.val();
        self.responses_0.ready.next = self.p0_resp_ready.val();
        self.p0_resp_tag.next = self.responses_0.tag.val();
        self.p0_resp_status.next = self.responses_0.status.val();
        self.p0_resp_data.next = self.responses_0.data.val();
        self.intake.give_0.next = self.responses_0.valid.val() && self.p0_resp_ready.val();
        self.intake.give_0_slot.next = self.responses_0.slot.val();
        self.responses_1.push.next = self.completion.finish.val() && self.completion.port.val();
        self.responses_1.push_slot.next = self.completion.slot.val();
        self.responses_1.push_tag.next = self.completion.tag.val();
        self.responses_1.push_status.next = self.completion.status.val();
        self.responses_1.push_data.next = self.completion.data.val();
        self.p1_resp_valid.next = self.responses_1.valid.val();
        self.responses_1.ready.next = self.p1_resp_ready.val();
        self.p1_resp_tag.next = self.responses_1.tag.val();
        self.p1_resp_status.next = self.responses_1.status.val();
        self.p1_resp_data.next = self.responses_1.data.val();
        self.intake.give_1.next = self.responses_1.valid.val() && self.p1_resp_ready.val();
        self.intake.give_1_slot.next = self.responses_1.slot.val();
        self.retire_valid.next = self.completion.finish.val();
        self.retire_port.next = self.completion.port.val();
        self.retire_tag.next = self.completion.tag.val();
        self.retire_status.next = self.completion.status.val();

        // Shootdown.
        self.shootdown.start.next = self.manage.sd_start.val();
        self.shootdown.code.next = self.manage.sd_code.val();
        self.shootdown.pid.next = self.manage.sd_pid.val();
        self.shootdown.va.next = self.manage.sd_va.val();
        self.shootdown.count.next = self.manage.sd_count.val();
        self.shootdown.walks_marked.next = self.walks.any_stale.val();
        self.shootdown.noted.next = self.order.any_marked.val();
        self.shootdown.advance.next = self.dispatch.advance.val();
        self.order.mark.next = self.shootdown.note.val();

        // The monitor's side.
        self.manage.ready.next = self.shootdown.ready.val();
        self.manage.idle.next = self.order.idle.val() && !self.accepted.valid.val();
        self.manage.grant_4k_take.next = self.replay.grant_4k_take.val();
        self.manage.grant_2m_take.next = self.replay.grant_2m_take.val();
        self.manage.no_memory.next = self.replay.no_memory.val();
        self.manage.zero_cmd_ready.next = self.zeroes.in_ready.val();
        self.manage.zero_ack_valid.next = self.completion.zero_acked.val();
        self.manage.zero_ack_tag.next = self.completion.index.val();
        self.manage.te_cmd_ready.next = self.background.table_ready.val();
        self.manage.te_resp_valid.next = self.completion.table_valid.val();
        self.manage.te_resp_tag.next = self.completion.index.val();
        self.manage.te_resp_data.next = self.completion.line.val();
        self.manage.te_resp_poison.next = self.completion.poison.val();
        self.manage.sd_busy.next = self.shootdown.busy.val();
        self.manage.ev_valid.next = self.completion.failed.val();
        self.manage.ev_status.next = self.completion.status.val();
        self.manage.ev_op.next = self.completion.op.val();
        self.manage.ev_port.next = self.completion.port.val();
        self.manage.ev_pid.next = self.completion.pid.val();
        self.manage.ev_va.next = self.completion.va.val();
        self.manage.poison.next = self.beats.resp_valid.val()
            && self.completion.dram_ready.val()
            && self.beats.resp_poison.val();
        self.manage.st_accept.next = self.intake.valid.val();
        self.manage.st_accept_op.next = self.intake.op.val();
        self.manage.st_retire.next = self.completion.finish.val();
        self.manage.st_retire_status.next = self.completion.status.val();
        self.manage.st_retire_op.next = self.completion.op.val();
        self.manage.st_retire_latency.next = self.completion.latency.val();
        self.manage.st_tlb_hit.next = self.dispatch.tlb_hit.val();
        self.manage.st_tlb_miss.next = self.dispatch.tlb_miss.val();
        self.manage.st_walk.next = self.dispatch.allocate.val();
        self.manage.st_merge.next = self.dispatch.attach.val();
        self.manage.st_walks_now.next = self.walks.walks.val();
        self.manage.st_fault_4k.next = self.replay.grant_4k_take.val();
        self.manage.st_fault_2m.next = self.replay.grant_2m_take.val();
        self.manage.st_zero_read.next = self.replay.zero_read.val();
        self.manage.st_line_wait.next = self.order.conflict.val();
        self.manage.st_dram_read.next =
            self.dram.cmd_valid.val() && self.commands.in_ready.val() && !self.dram.cmd_write.val();
        self.manage.st_dram_write.next =
            self.dram.cmd_valid.val() && self.commands.in_ready.val() && self.dram.cmd_write.val();
        self.manage.st_stall_0.next = self.p0_req_valid.val() && !self.intake.p0_ready.val();
        self.manage.st_stall_1.next = self.p1_req_valid.val() && !self.intake.p1_ready.val();
        self.manage.st_shootdown.next = self.shootdown.done.val();
        self.m_done.next = self.manage.m_done.val();
        self.m_rdata.next = self.manage.m_rdata.val();
        self.m_error.next = self.manage.m_error.val();
        self.manage.m_valid.next = self.m_valid.val();
        self.manage.m_write.next = self.m_write.val();
        self.manage.m_addr.next = self.m_addr.val();
        self.manage.m_wdata.next = self.m_wdata.val();
        self.h_done.next = self.manage.h_done.val();
        self.h_rdata.next = self.manage.h_rdata.val();
        self.h_error.next = self.manage.h_error.val();
        self.manage.h_valid.next = self.h_valid.val();
        self.manage.h_write.next = self.h_write.val();
        self.manage.h_addr.next = self.h_addr.val();
        self.manage.h_wdata.next = self.h_wdata.val();
        self.irq_monitor.next = self.manage.irq_monitor.val();
        self.irq_host.next = self.manage.irq_host.val();
        if self.resets.q.val() {
            self.finished.d.next = false;
        }
    }
}
