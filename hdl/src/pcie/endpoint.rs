//! Endpoint: the transaction layer as a whole; see [`super`] for a drawing and for the streams.
//!
//! In and out: the four neutral TLP streams, what configuration space says, two native ports (`w_*`
//! for the window, `d_*` for DMA) and the host's register bus `h_*` of the component, and its host
//! interrupt.
//!
//! A function level reset (`flr`, held until `flr_done`) leaves the component alone: line requests and
//! register accesses that were offered are finished, their answers thrown away, and all else begins
//! anew.

use super::account::Account;
use super::bar0::Bar0;
use super::commands::Commands;
use super::completions::Completions;
use super::host_reads::HostReads;
use super::msix::Msix;
use super::page_out::PageOut;
use super::reads::Reads;
use super::registers::{EndpointRegisters, WindowTable};
use super::requester::Requester;
use super::rings::Rings;
use super::target::Target;
use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::request::Op;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ResetState {
    Run,
    /// Nothing new is offered; what is offered is finished.
    Hold,
    /// In reset until all answers have come.
    Drain,
    Done,
}

#[derive(LogicBlock, Default)]
pub struct Endpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub flr: Signal<In, Bit>,
    pub flr_done: Signal<Out, Bit>,

    /// Bus, device and function number.
    pub cfg_id: Signal<In, Bits<16>>,
    /// As in the Device Control register: 0 is 128 bytes, 5 is 4096.
    pub cfg_max_payload: Signal<In, Bits<3>>,
    pub cfg_max_read: Signal<In, Bits<3>>,
    pub cfg_bus_master: Signal<In, Bit>,
    pub cfg_msix_enable: Signal<In, Bit>,
    pub cfg_msix_mask: Signal<In, Bit>,
    /// The hard IP has room for a non-posted request.
    pub nonposted_ok: Signal<In, Bit>,

    pub cq_valid: Signal<In, Bit>,
    pub cq_ready: Signal<Out, Bit>,
    pub cq_first: Signal<In, Bit>,
    pub cq_last: Signal<In, Bit>,
    pub cq_header: Signal<In, Bits<128>>,
    pub cq_bar: Signal<In, Bits<3>>,
    pub cq_data: Signal<In, Bits<512>>,
    pub cq_dwords: Signal<In, Bits<5>>,
    pub cc_valid: Signal<Out, Bit>,
    pub cc_ready: Signal<In, Bit>,
    pub cc_first: Signal<Out, Bit>,
    pub cc_last: Signal<Out, Bit>,
    pub cc_header: Signal<Out, Bits<128>>,
    pub cc_data: Signal<Out, Bits<512>>,
    pub cc_dwords: Signal<Out, Bits<5>>,
    pub rq_valid: Signal<Out, Bit>,
    pub rq_ready: Signal<In, Bit>,
    pub rq_first: Signal<Out, Bit>,
    pub rq_last: Signal<Out, Bit>,
    pub rq_header: Signal<Out, Bits<128>>,
    pub rq_data: Signal<Out, Bits<512>>,
    pub rq_dwords: Signal<Out, Bits<5>>,
    pub rc_valid: Signal<In, Bit>,
    pub rc_ready: Signal<Out, Bit>,
    pub rc_first: Signal<In, Bit>,
    pub rc_last: Signal<In, Bit>,
    pub rc_header: Signal<In, Bits<128>>,
    pub rc_data: Signal<In, Bits<512>>,
    pub rc_dwords: Signal<In, Bits<5>>,

    pub w_req_valid: Signal<Out, Bit>,
    pub w_req_ready: Signal<In, Bit>,
    pub w_req_op: Signal<Out, Bits<3>>,
    pub w_req_tag: Signal<Out, Bits<16>>,
    pub w_req_pid: Signal<Out, Bits<16>>,
    pub w_req_va: Signal<Out, Bits<48>>,
    pub w_req_mask: Signal<Out, Bits<64>>,
    pub w_req_data: Signal<Out, Bits<512>>,
    pub w_resp_valid: Signal<In, Bit>,
    pub w_resp_ready: Signal<Out, Bit>,
    pub w_resp_tag: Signal<In, Bits<16>>,
    pub w_resp_status: Signal<In, Bits<3>>,
    pub w_resp_data: Signal<In, Bits<512>>,
    pub d_req_valid: Signal<Out, Bit>,
    pub d_req_ready: Signal<In, Bit>,
    pub d_req_op: Signal<Out, Bits<3>>,
    pub d_req_tag: Signal<Out, Bits<16>>,
    pub d_req_pid: Signal<Out, Bits<16>>,
    pub d_req_va: Signal<Out, Bits<48>>,
    pub d_req_mask: Signal<Out, Bits<64>>,
    pub d_req_data: Signal<Out, Bits<512>>,
    pub d_resp_valid: Signal<In, Bit>,
    pub d_resp_ready: Signal<Out, Bit>,
    pub d_resp_tag: Signal<In, Bits<16>>,
    pub d_resp_status: Signal<In, Bits<3>>,
    pub d_resp_data: Signal<In, Bits<512>>,

    pub h_valid: Signal<Out, Bit>,
    pub h_write: Signal<Out, Bit>,
    pub h_addr: Signal<Out, Bits<12>>,
    pub h_wdata: Signal<Out, Bits<32>>,
    pub h_done: Signal<In, Bit>,
    pub h_rdata: Signal<In, Bits<32>>,
    pub h_error: Signal<In, Bit>,
    pub irq_host: Signal<In, Bit>,

    target: Target,
    bar0: Bar0,
    registers: EndpointRegisters,
    windows: WindowTable,
    msix: Msix,
    reads: Reads,
    rings: Rings,
    commands: Commands,
    host_reads: HostReads,
    page_out: PageOut,
    account: Account,
    completions: Completions,
    requester: Requester,

    state: DFF<ResetState>,
    inner: DFF<Bit>,
    held: Signal<Local, Bit>,
    settle: DFF<Bits<3>>,
    w_open: DFF<Bits<7>>,
    d_open: DFF<Bits<9>>,
    w_go: Signal<Local, Bit>,
    w_back: Signal<Local, Bit>,
    d_go: Signal<Local, Bit>,
    d_back: Signal<Local, Bit>,
    irq_before: DFF<Bit>,
    errors: Signal<Local, Bit>,
    fire: Signal<Local, Bits<4>>,
    payload_dwords: Signal<Local, Bits<11>>,
    one: Signal<Local, Bits<11>>,
    payload_lines: Signal<Local, Bits<7>>,
    read_lines: Signal<Local, Bits<7>>,

    // The DMA port's request.
    d_valid: DFF<Bit>,
    d_op: DFF<Bits<3>>,
    d_tag: DFF<Bits<16>>,
    d_pid: DFF<Bits<16>>,
    d_va: DFF<Bits<48>>,
    d_mask: DFF<Bits<64>>,
    d_data: DFF<Bits<512>>,
    d_free: Signal<Local, Bit>,
    d_page: Signal<Local, Bit>,
    c_read: Param<Bits<3>>,
    c_write: Param<Bits<3>>,
    c_add: Param<Bits<3>>,
    c_swap: Param<Bits<3>>,
}

impl Endpoint {
    pub fn new() -> Self {
        let code = |op: Op| Param::new((op as u64).into());
        Self {
            target: Target::new(),
            registers: EndpointRegisters::new(&HwConfig::LARGE),
            windows: WindowTable::new(),
            msix: Msix::new(),
            reads: Reads::new(),
            rings: Rings::new(),
            commands: Commands::new(),
            host_reads: HostReads::new(),
            page_out: PageOut::new(),
            account: Account::new(),
            c_read: code(Op::Read),
            c_write: code(Op::Write),
            c_add: code(Op::FetchAdd),
            c_swap: code(Op::CompareSwap),
            ..Default::default()
        }
    }
}

impl Logic for Endpoint {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, inner, settle, w_open, d_open, irq_before);
        dff_setup!(self, clock, d_valid, d_op, d_tag, d_pid, d_va, d_mask, d_data);
        clock!(self, clock, target, bar0, registers, windows, msix, reads, rings, commands);
        clock!(self, clock, host_reads, page_out, account, completions, requester);
        self.target.reset.next = self.inner.q.val();
        self.bar0.reset.next = self.inner.q.val();
        self.reads.reset.next = self.inner.q.val();
        self.rings.reset.next = self.inner.q.val();
        self.commands.reset.next = self.inner.q.val();
        self.host_reads.reset.next = self.inner.q.val();
        self.page_out.reset.next = self.inner.q.val();
        self.account.reset.next = self.inner.q.val();
        self.completions.reset.next = self.inner.q.val();
        self.requester.reset.next = self.inner.q.val();

        self.held.next = self.state.q.val() != ResetState::Run;

        // Sizes from configuration space.
        self.one.next = 1.into();
        self.payload_dwords.next = (self.one.val() << 5) << self.cfg_max_payload.val();
        self.payload_lines.next =
            (bit_cast::<7, 11>(self.one.val()) << 1) << self.cfg_max_payload.val();
        self.read_lines.next = (bit_cast::<7, 11>(self.one.val()) << 1) << self.cfg_max_read.val();

        // The host's requests.
        self.target.hold.next = self.held.val();
        self.target.max_payload.next = self.payload_dwords.val();
        self.target.cq_valid.next = self.cq_valid.val();
        self.cq_ready.next = self.target.cq_ready.val();
        self.target.cq_first.next = self.cq_first.val();
        self.target.cq_last.next = self.cq_last.val();
        self.target.cq_header.next = self.cq_header.val();
        self.target.cq_bar.next = self.cq_bar.val();
        self.target.cq_data.next = self.cq_data.val();
        self.target.cq_dwords.next = self.cq_dwords.val();
        self.bar0.hold.next = self.held.val();
        self.bar0.reg_valid.next = self.target.reg_valid.val();
        self.bar0.reg_write.next = self.target.reg_write.val();
        self.bar0.reg_addr.next = self.target.reg_addr.val();
        self.bar0.reg_wdata.next = self.target.reg_wdata.val();
        self.target.reg_done.next = self.bar0.reg_done.val();
        self.target.reg_rdata.next = self.bar0.reg_rdata.val();
        self.h_valid.next = self.bar0.h_valid.val();
        self.h_write.next = self.bar0.h_write.val();
        self.h_addr.next = self.bar0.h_addr.val();
        self.h_wdata.next = self.bar0.h_wdata.val();
        self.bar0.h_done.next = self.h_done.val();
        self.bar0.h_rdata.next = self.h_rdata.val();
        self.bar0.h_error.next = self.h_error.val();
        self.registers.bus.next = self.bar0.own.val();
        self.windows.bus.next = self.bar0.windows.val();
        self.msix.bus.next = self.bar0.msix.val();
        self.registers.page.next = self.bar0.page.val();
        self.windows.page.next = self.bar0.page.val();
        self.msix.page.next = self.bar0.page.val();
        self.bar0.read_data.next = self.registers.read_data.val()
            | self.windows.read_data.val()
            | self.msix.read_data.val();
        self.windows.slot.next = self.target.window_slot.val();
        self.target.window_pid.next = self.windows.pid.val();
        self.target.window_base.next = self.windows.base.val();
        self.target.window_pages.next = self.windows.pages.val();
        self.target.window_read.next = self.windows.read.val();
        self.target.window_write.next = self.windows.write.val();

        // The window's port.
        self.w_req_valid.next = self.target.req_valid.val();
        self.target.req_ready.next = self.w_req_ready.val();
        self.w_req_op.next = self.c_read.val();
        if self.target.req_write.val() {
            self.w_req_op.next = self.c_write.val();
        }
        self.w_req_tag.next = self.target.req_tag.val();
        self.w_req_pid.next = self.target.req_pid.val();
        self.w_req_va.next = self.target.req_va.val();
        self.w_req_mask.next = self.target.req_mask.val();
        self.w_req_data.next = self.target.req_data.val();
        self.w_resp_ready.next = true;
        self.reads.max_payload.next = self.payload_dwords.val();
        self.reads.completer.next = self.cfg_id.val();
        self.reads.read_context.next = self.target.read_context.val();
        self.reads.context_push.next = self.target.context_push.val();
        self.target.context_room.next = self.reads.context_room.val();
        self.target.ring_room.next = self.reads.ring_room.val();
        self.target.ring_slot.next = self.reads.ring_slot.val();
        self.reads.ring_take.next = self.target.ring_take.val();
        // Lines of registers take the ring's write port when no answer comes.
        self.target.fill_ready.next = !self.w_resp_valid.val();
        self.reads.fill.next = self.target.fill_valid.val();
        self.reads.fill_slot.next = self.target.fill_slot.val();
        self.reads.fill_status.next = 0.into();
        self.reads.fill_data.next = self.target.fill_data.val();
        if self.w_resp_valid.val() {
            self.reads.fill.next = !self.w_resp_tag.val().get_bit(15);
            self.reads.fill_slot.next = self.w_resp_tag.val().get_bits::<6>(0);
            self.reads.fill_status.next = self.w_resp_status.val();
            self.reads.fill_data.next = self.w_resp_data.val();
        }
        self.cc_valid.next = self.reads.cc_valid.val();
        self.reads.cc_ready.next = self.cc_ready.val();
        self.cc_first.next = self.reads.cc_first.val();
        self.cc_last.next = self.reads.cc_last.val();
        self.cc_header.next = self.reads.cc_header.val();
        self.cc_data.next = self.reads.cc_data.val();
        self.cc_dwords.next = self.reads.cc_dwords.val();

        // Commands of the DMA engine.
        self.rings.enable.next = self.registers.enable.val() && self.cfg_bus_master.val();
        self.rings.base.next = self.registers.sq_base.val();
        self.rings.ring_log2.next = self.registers.ring_log2.val();
        self.rings.sq_tail.next = self.registers.sq_tail.val();
        self.rings.cq_head.next = self.registers.cq_head.val();
        self.host_reads.timeout.next = self.registers.timeout.val();
        self.host_reads.requester.next = self.cfg_id.val();
        self.host_reads.fetch_valid.next = self.rings.fetch_valid.val();
        self.rings.fetch_ready.next = self.host_reads.fetch_ready.val();
        self.host_reads.fetch_address.next = self.rings.fetch_address.val();
        self.host_reads.fetch_place.next = self.rings.fetch_place.val();
        self.rings.line.next = self.host_reads.ring_line.val();
        self.rings.line_place.next = self.host_reads.line_place.val();
        self.rings.line_status.next = self.host_reads.line_status.val();
        self.rings.line_data.next = self.host_reads.line_data.val();
        self.commands.payload_lines.next = self.payload_lines.val();
        self.commands.read_lines.next = self.read_lines.val();
        self.commands.command_valid.next = self.rings.command_valid.val();
        self.rings.command_ready.next = self.commands.command_ready.val();
        self.commands.command_slot.next = self.rings.command_slot.val();
        self.commands.command_status.next = self.rings.command_status.val();
        self.commands.command.next = self.rings.command.val();
        self.commands.line.next = self.host_reads.list_line.val();
        self.commands.line_status.next = self.host_reads.line_status.val();
        self.commands.line_data.next = self.host_reads.line_data.val();
        self.host_reads.list_valid.next = self.commands.list_valid.val();
        self.commands.list_ready.next = self.host_reads.list_ready.val();
        self.host_reads.data_valid.next = self.commands.in_valid.val();
        self.commands.in_ready.next = self.host_reads.data_ready.val();
        self.host_reads.host.next = self.commands.host.val();
        self.host_reads.slot.next = self.commands.slot.val();
        self.host_reads.pid.next = self.commands.pid.val();
        self.host_reads.va.next = self.commands.va.val();
        self.host_reads.lines.next = self.commands.lines.val();
        self.host_reads.mask.next = self.commands.mask.val();
        self.page_out.requester.next = self.cfg_id.val();
        self.page_out.piece_valid.next = self.commands.out_valid.val();
        self.commands.out_ready.next = self.page_out.piece_ready.val();
        self.page_out.slot.next = self.commands.slot.val();
        self.page_out.pid.next = self.commands.pid.val();
        self.page_out.va.next = self.commands.va.val();
        self.page_out.host.next = self.commands.host.val();
        self.page_out.lines.next = self.commands.lines.val();
        self.host_reads.rc_valid.next = self.rc_valid.val();
        self.rc_ready.next = self.host_reads.rc_ready.val();
        self.host_reads.rc_first.next = self.rc_first.val();
        self.host_reads.rc_last.next = self.rc_last.val();
        self.host_reads.rc_header.next = self.rc_header.val();
        self.host_reads.rc_data.next = self.rc_data.val();
        self.host_reads.rc_dwords.next = self.rc_dwords.val();

        // The DMA port: lines from the host first, since they wait in the link; then atomics; reads.
        self.d_req_valid.next = self.d_valid.q.val();
        self.d_req_op.next = self.d_op.q.val();
        self.d_req_tag.next = self.d_tag.q.val();
        self.d_req_pid.next = self.d_pid.q.val();
        self.d_req_va.next = self.d_va.q.val();
        self.d_req_mask.next = self.d_mask.q.val();
        self.d_req_data.next = self.d_data.q.val();
        self.d_free.next = ((!self.d_valid.q.val()) || self.d_req_ready.val()) && !self.held.val();
        self.host_reads.write_ready.next = false;
        self.commands.atomic_ready.next = false;
        self.page_out.read_ready.next = false;
        if self.d_req_ready.val() {
            self.d_valid.d.next = false;
        }
        if self.d_free.val() {
            if self.host_reads.write_valid.val() {
                self.host_reads.write_ready.next = true;
                self.d_valid.d.next = true;
                self.d_op.d.next = self.c_write.val();
                self.d_tag.d.next = bit_cast::<16, 8>(self.host_reads.write_slot.val())
                    | (bit_cast::<16, 1>(true.into()) << 14);
                self.d_pid.d.next = self.host_reads.write_pid.val();
                self.d_va.d.next = self.host_reads.write_va.val();
                self.d_mask.d.next = self.host_reads.write_mask.val();
                self.d_data.d.next = self.host_reads.write_data.val();
            } else if self.commands.atomic_valid.val() {
                self.commands.atomic_ready.next = true;
                self.d_valid.d.next = true;
                self.d_op.d.next = self.c_add.val();
                if self.commands.swap.val() {
                    self.d_op.d.next = self.c_swap.val();
                }
                self.d_tag.d.next = bit_cast::<16, 8>(self.commands.slot.val())
                    | (bit_cast::<16, 1>(true.into()) << 15);
                self.d_pid.d.next = self.commands.pid.val();
                self.d_va.d.next = self.commands.va.val();
                self.d_data.d.next = bit_cast::<512, 64>(self.commands.operand.val())
                    | (bit_cast::<512, 64>(self.commands.expected.val()) << 64);
            } else if self.page_out.read_valid.val() {
                self.page_out.read_ready.next = true;
                self.d_valid.d.next = true;
                self.d_op.d.next = self.c_read.val();
                self.d_tag.d.next = bit_cast::<16, 7>(self.page_out.read_place.val());
                self.d_pid.d.next = self.page_out.read_pid.val();
                self.d_va.d.next = self.page_out.read_va.val();
            }
        }
        self.d_page.next = !self.d_resp_tag.val().get_bits::<2>(14).any();
        self.page_out.fill.next = self.d_resp_valid.val() && self.d_page.val();
        self.page_out.fill_place.next = self.d_resp_tag.val().get_bits::<7>(0);
        self.page_out.fill_status.next = self.d_resp_status.val();
        self.page_out.fill_data.next = self.d_resp_data.val();
        self.account.wrote_valid.next = self.d_resp_valid.val() && !self.d_page.val();
        self.account.wrote_slot.next = self.d_resp_tag.val().get_bits::<8>(0);
        self.account.wrote_status.next = bit_cast::<8, 3>(self.d_resp_status.val());
        self.account.wrote_value.next = 0.into();
        if self.d_resp_tag.val().get_bit(15) {
            self.account.wrote_value.next = self.d_resp_data.val().get_bits::<64>(0);
        }
        self.d_resp_ready.next =
            self.d_page.val() || self.account.wrote_ready.val() || self.inner.q.val();

        // Their ends.
        self.account.cycles.next = self.registers.cycles.val();
        self.account.start_valid.next = self.commands.start_valid.val();
        self.commands.start_ready.next = self.account.start_ready.val();
        self.account.start_slot.next = self.commands.start_slot.val();
        self.account.start_id.next = self.commands.start_id.val();
        self.account.start_lines.next = self.commands.start_lines.val();
        self.account.start_status.next = self.commands.start_status.val();
        self.account.sent_valid.next = self.page_out.sent_valid.val();
        self.page_out.sent_ready.next = self.account.sent_ready.val();
        self.account.sent_slot.next = self.page_out.sent_slot.val();
        self.account.sent_lines.next = self.page_out.sent_lines.val();
        self.account.sent_status.next = self.page_out.sent_status.val();
        self.account.failed_valid.next = self.host_reads.failed_valid.val();
        self.host_reads.failed_ready.next = self.account.failed_ready.val();
        self.account.failed_slot.next = self.host_reads.failed_slot.val();
        self.account.failed_lines.next = self.host_reads.failed_lines.val();
        self.account.failed_status.next = self.host_reads.failed_status.val();
        self.account.lost_valid.next = self.commands.lost_valid.val();
        self.commands.lost_ready.next = self.account.lost_ready.val();
        self.account.lost_slot.next = self.commands.slot.val();
        self.account.lost_lines.next = self.commands.lost_lines.val();
        self.account.lost_status.next = self.commands.lost_status.val();
        self.completions.starts.next = self.rings.starts.val();
        self.completions.base.next = self.registers.cq_base.val();
        self.completions.ring_log2.next = self.registers.ring_log2.val();
        self.completions.requester.next = self.cfg_id.val();
        self.completions.end_valid.next = self.account.end_valid.val();
        self.account.end_ready.next = self.completions.end_ready.val();
        self.completions.end_record.next = self.account.end_record.val();

        // What goes to the host.
        self.requester.requester.next = self.cfg_id.val();
        self.requester.nonposted_ok.next = self.nonposted_ok.val();
        self.requester.entry_valid.next = self.completions.valid.val();
        self.completions.ready.next = self.requester.entry_ready.val();
        self.requester.entry_header.next = self.completions.header.val();
        self.requester.entry_data.next = self.completions.data.val();
        self.requester.message_valid.next = self.msix.valid.val();
        self.msix.ready.next = self.requester.message_ready.val();
        self.requester.message_address.next = self.msix.address.val();
        self.requester.message_data.next = self.msix.data.val();
        self.requester.ask_valid.next = self.host_reads.ask_valid.val();
        self.host_reads.ask_ready.next = self.requester.ask_ready.val();
        self.requester.ask_header.next = self.host_reads.ask_header.val();
        self.requester.data_valid.next = self.page_out.data_valid.val();
        self.page_out.data_ready.next = self.requester.data_ready.val();
        self.requester.data_first.next = self.page_out.data_first.val();
        self.requester.data_last.next = self.page_out.data_last.val();
        self.requester.data_header.next = self.page_out.data_header.val();
        self.requester.data.next = self.page_out.data.val();
        self.rq_valid.next = self.requester.rq_valid.val();
        self.requester.rq_ready.next = self.rq_ready.val();
        self.rq_first.next = self.requester.rq_first.val();
        self.rq_last.next = self.requester.rq_last.val();
        self.rq_header.next = self.requester.rq_header.val();
        self.rq_data.next = self.requester.rq_data.val();
        self.rq_dwords.next = self.requester.rq_dwords.val();

        // Interrupts, state and errors.
        self.irq_before.d.next = self.irq_host.val();
        self.registers.unsupported.next = self.target.unsupported.val();
        self.registers.poisoned.next = self.target.poisoned.val();
        self.registers.malformed.next = self.target.malformed.val();
        self.registers.outside.next = self.target.outside.val();
        self.registers.lines.next = self.w_resp_valid.val()
            && self.w_resp_tag.val().get_bit(15)
            && self.w_resp_status.val().any();
        self.registers.unexpected.next = self.host_reads.unexpected.val();
        self.registers.host.next = self.host_reads.host_error.val();
        self.errors.next = self.target.unsupported.val()
            || self.target.poisoned.val()
            || self.target.malformed.val()
            || self.target.outside.val()
            || (self.w_resp_valid.val()
                && self.w_resp_tag.val().get_bit(15)
                && self.w_resp_status.val().any())
            || self.host_reads.unexpected.val()
            || self.host_reads.host_error.val();
        self.fire.next = bit_cast::<4, 1>(self.completions.interrupt.val().into())
            | (bit_cast::<4, 1>((self.irq_host.val() && !self.irq_before.q.val()).into()) << 1)
            | (bit_cast::<4, 1>(self.errors.val().into()) << 2);
        self.msix.fire.next = self.fire.val();
        self.msix.enable.next = self.cfg_msix_enable.val() && self.cfg_bus_master.val();
        self.msix.function_mask.next = self.cfg_msix_mask.val();
        self.registers.busy.next = self.rings.busy.val()
            || self.commands.busy.val()
            || self.host_reads.busy.val()
            || self.page_out.busy.val()
            || self.account.busy.val();
        self.registers.ready.next = self.account.ready.val();
        self.registers.dead_tags.next = self.host_reads.dead_tags.val();

        // Function level reset.
        self.w_go.next = self.target.req_valid.val() && self.w_req_ready.val();
        self.w_back.next = self.w_resp_valid.val();
        if self.w_go.val() && !self.w_back.val() {
            self.w_open.d.next = self.w_open.q.val() + 1;
        }
        if self.w_back.val() && !self.w_go.val() {
            self.w_open.d.next = self.w_open.q.val() - 1;
        }
        self.d_go.next = self.d_valid.q.val() && self.d_req_ready.val();
        self.d_back.next = self.d_resp_valid.val() && self.d_resp_ready.val();
        if self.d_go.val() && !self.d_back.val() {
            self.d_open.d.next = self.d_open.q.val() + 1;
        }
        if self.d_back.val() && !self.d_go.val() {
            self.d_open.d.next = self.d_open.q.val() - 1;
        }
        self.inner.d.next = false;
        self.settle.d.next = 0.into();
        self.flr_done.next = false;
        match self.state.q.val() {
            ResetState::Run => {
                if self.flr.val() {
                    self.state.d.next = ResetState::Hold;
                }
            }
            ResetState::Hold => {
                if (!self.target.req_valid.val())
                    && (!self.d_valid.q.val())
                    && !self.bar0.h_valid.val()
                {
                    self.state.d.next = ResetState::Drain;
                    self.inner.d.next = true;
                }
            }
            ResetState::Drain => {
                self.inner.d.next = true;
                if (!self.w_open.q.val().any()) && !self.d_open.q.val().any() {
                    self.settle.d.next = self.settle.q.val() + 1;
                    if self.settle.q.val().all() {
                        self.state.d.next = ResetState::Done;
                    }
                }
            }
            ResetState::Done => {
                self.flr_done.next = true;
                if !self.flr.val() {
                    self.state.d.next = ResetState::Run;
                }
            }
            _ => {
                self.state.d.next = ResetState::Run;
            }
        }
        if self.reset.val() {
            self.state.d.next = ResetState::Run;
            self.inner.d.next = true;
            self.d_valid.d.next = false;
            self.w_open.d.next = 0.into();
            self.d_open.d.next = 0.into();
            self.irq_before.d.next = false;
        }
    }
}
