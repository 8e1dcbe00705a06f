//! The AXI4 subordinate, to stand at a request port of the component.
//!
//! Addresses are those of an aperture of 64 windows of 256 MiB, as of the CXL.mem device, set over the
//! monitor's register bus `k_*` ([`splitmem_abi::cxl`], WINDOW_*). Reads and writes take turns, each of
//! up to 64 beats in flight, one beat a cycle together. A write's response comes when all of its beats
//! are in the component's memory.
//!
//! | what | response |
//! | --- | --- |
//! | the component's status is ok | OKAY |
//! | any other status, or a window that does not allow it | SLVERR, reads with zeros |
//! | no window there | DECERR, reads with zeros |
//!
//! A burst's write response is its worst beat's. Exclusive accesses are answered OKAY, which says that
//! they were none (A7.2.4). Cacheability, protection, quality of service and region mean nothing here and
//! have no pins. No output depends on an input of the same cycle.

use super::burst::Burst;
use super::order::Order;
use crate::cxl::port::WordPort;
use crate::cxl::windows::Windows;
use crate::prim::LutRam;
use crate::skid::Skid;
use rust_hdl::prelude::*;

/// An address channel's payload.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Asked {
    pub id: Bits<8>,
    pub address: Bits<52>,
    pub len: Bits<8>,
    pub size: Bits<3>,
    pub kind: Bits<2>,
}

/// The write data channel's payload.
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
pub struct Written {
    pub data: Bits<512>,
    pub mask: Bits<64>,
}

#[derive(LogicBlock)]
pub struct Subordinate {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    pub s_axi_awid: Signal<In, Bits<8>>,
    pub s_axi_awaddr: Signal<In, Bits<52>>,
    pub s_axi_awlen: Signal<In, Bits<8>>,
    pub s_axi_awsize: Signal<In, Bits<3>>,
    pub s_axi_awburst: Signal<In, Bits<2>>,
    pub s_axi_awvalid: Signal<In, Bit>,
    pub s_axi_awready: Signal<Out, Bit>,
    pub s_axi_wdata: Signal<In, Bits<512>>,
    pub s_axi_wstrb: Signal<In, Bits<64>>,
    /// Not looked at: a burst's length says it.
    pub s_axi_wlast: Signal<In, Bit>,
    pub s_axi_wvalid: Signal<In, Bit>,
    pub s_axi_wready: Signal<Out, Bit>,
    pub s_axi_bid: Signal<Out, Bits<8>>,
    pub s_axi_bresp: Signal<Out, Bits<2>>,
    pub s_axi_bvalid: Signal<Out, Bit>,
    pub s_axi_bready: Signal<In, Bit>,
    pub s_axi_arid: Signal<In, Bits<8>>,
    pub s_axi_araddr: Signal<In, Bits<52>>,
    pub s_axi_arlen: Signal<In, Bits<8>>,
    pub s_axi_arsize: Signal<In, Bits<3>>,
    pub s_axi_arburst: Signal<In, Bits<2>>,
    pub s_axi_arvalid: Signal<In, Bit>,
    pub s_axi_arready: Signal<Out, Bit>,
    pub s_axi_rid: Signal<Out, Bits<8>>,
    pub s_axi_rdata: Signal<Out, Bits<512>>,
    pub s_axi_rresp: Signal<Out, Bits<2>>,
    pub s_axi_rlast: Signal<Out, Bit>,
    pub s_axi_rvalid: Signal<Out, Bit>,
    pub s_axi_rready: Signal<In, Bit>,

    pub p_req_valid: Signal<Out, Bit>,
    pub p_req_ready: Signal<In, Bit>,
    pub p_req_op: Signal<Out, Bits<3>>,
    pub p_req_tag: Signal<Out, Bits<16>>,
    pub p_req_pid: Signal<Out, Bits<16>>,
    pub p_req_va: Signal<Out, Bits<48>>,
    pub p_req_mask: Signal<Out, Bits<64>>,
    pub p_req_data: Signal<Out, Bits<512>>,
    pub p_resp_valid: Signal<In, Bit>,
    pub p_resp_ready: Signal<Out, Bit>,
    /// Bits 5:0 are the slot, bit 6 says write.
    pub p_resp_tag: Signal<In, Bits<16>>,
    pub p_resp_status: Signal<In, Bits<3>>,
    pub p_resp_data: Signal<In, Bits<512>>,

    pub k_valid: Signal<In, Bit>,
    pub k_write: Signal<In, Bit>,
    pub k_addr: Signal<In, Bits<18>>,
    pub k_wdata: Signal<In, Bits<32>>,
    pub k_done: Signal<Out, Bit>,
    pub k_rdata: Signal<Out, Bits<32>>,

    words: WordPort,
    windows: Windows,
    aw: Skid<Asked>,
    w: Skid<Written>,
    ar: Skid<Asked>,
    writes: Burst,
    reads: Burst,
    write_order: Order,
    read_order: Order,
    data: LutRam<Bits<512>, 6>,

    // A beat on its way: picked, with its window, to the component.
    picked: DFF<Bit>,
    picked_write: DFF<Bit>,
    picked_slot: DFF<Bits<6>>,
    picked_line: DFF<Bits<46>>,
    picked_data: DFF<Written>,
    out: DFF<Bit>,
    out_write: DFF<Bit>,
    out_slot: DFF<Bits<6>>,
    out_pid: DFF<Bits<16>>,
    out_line: DFF<Bits<42>>,
    out_data: DFF<Written>,
    /// Writes go next when both want to.
    turn: DFF<Bit>,
    /// What earlier beats of the write at the head were answered.
    worst_bad: DFF<Bit>,
    worst_outside: DFF<Bit>,

    aw_in: Signal<Local, Asked>,
    aw_out: Signal<Local, Asked>,
    ar_in: Signal<Local, Asked>,
    ar_out: Signal<Local, Asked>,
    w_in: Signal<Local, Written>,
    sent: Signal<Local, Written>,
    move_out: Signal<Local, Bit>,
    move_picked: Signal<Local, Bit>,
    read_wants: Signal<Local, Bit>,
    write_wants: Signal<Local, Bit>,
    pick_read: Signal<Local, Bit>,
    pick_write: Signal<Local, Bit>,
    allowed: Signal<Local, Bit>,
    denied: Signal<Local, Bit>,
    answers_write: Signal<Local, Bit>,
    answers_read: Signal<Local, Bit>,
    is_bad: Signal<Local, Bit>,
    write_bad: Signal<Local, Bit>,
    write_outside: Signal<Local, Bit>,
    write_done: Signal<Local, Bit>,
}

impl Subordinate {
    pub fn new() -> Self {
        with_defaults!(Self {
            data: LutRam::new(64),
        } clock reset s_axi_awid s_axi_awaddr s_axi_awlen s_axi_awsize s_axi_awburst s_axi_awvalid
          s_axi_awready s_axi_wdata s_axi_wstrb s_axi_wlast s_axi_wvalid s_axi_wready s_axi_bid
          s_axi_bresp s_axi_bvalid s_axi_bready s_axi_arid s_axi_araddr s_axi_arlen s_axi_arsize
          s_axi_arburst s_axi_arvalid s_axi_arready s_axi_rid s_axi_rdata s_axi_rresp s_axi_rlast
          s_axi_rvalid s_axi_rready p_req_valid p_req_ready p_req_op p_req_tag p_req_pid p_req_va
          p_req_mask p_req_data p_resp_valid p_resp_ready p_resp_tag p_resp_status p_resp_data
          k_valid k_write k_addr k_wdata k_done k_rdata words windows aw w ar writes reads write_order
          read_order picked picked_write picked_slot picked_line picked_data out out_write out_slot
          out_pid out_line out_data turn worst_bad worst_outside aw_in aw_out ar_in ar_out w_in
          sent move_out move_picked read_wants write_wants pick_read pick_write allowed denied
          answers_write answers_read is_bad write_bad write_outside write_done)
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident)+) => { $( self.$pin.connect(); )+ };
        }
        connect!(clock reset s_axi_awid s_axi_awaddr s_axi_awlen s_axi_awsize s_axi_awburst
            s_axi_awvalid s_axi_wdata s_axi_wstrb s_axi_wlast s_axi_wvalid s_axi_bready s_axi_arid
            s_axi_araddr s_axi_arlen s_axi_arsize s_axi_arburst s_axi_arvalid s_axi_rready p_req_ready
            p_resp_valid p_resp_tag p_resp_status p_resp_data k_valid k_write k_addr k_wdata);
        self.connect_all();
    }
}

impl Default for Subordinate {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Subordinate {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(
            self,
            clock,
            words,
            windows,
            aw,
            w,
            ar,
            writes,
            reads,
            write_order,
            read_order,
            data
        );
        dff_setup!(self, clock, picked, picked_write, picked_slot, picked_line, picked_data);
        dff_setup!(self, clock, out, out_write, out_slot, out_pid, out_line, out_data);
        dff_setup!(self, clock, turn, worst_bad, worst_outside);
        self.aw.reset.next = self.reset.val();
        self.w.reset.next = self.reset.val();
        self.ar.reset.next = self.reset.val();
        self.writes.reset.next = self.reset.val();
        self.reads.reset.next = self.reset.val();
        self.write_order.reset.next = self.reset.val();
        self.read_order.reset.next = self.reset.val();

        // The windows' registers; the host has none here.
        self.words.reset.next = self.reset.val();
        self.words.r_valid.next = false;
        self.words.r_write.next = false;
        self.words.r_addr.next = 0.into();
        self.words.r_wdata.next = 0.into();
        self.words.k_valid.next = self.k_valid.val();
        self.words.k_write.next = self.k_write.val();
        self.words.k_addr.next = self.k_addr.val();
        self.words.k_wdata.next = self.k_wdata.val();
        self.k_done.next = self.words.k_done.val();
        self.k_rdata.next = self.words.k_rdata.val();
        self.words.read_data.next = self.windows.read_data.val();
        self.windows.bus.next = self.words.bus.val();

        // Channels to bursts.
        self.aw_in.next.id = self.s_axi_awid.val();
        self.aw_in.next.address = self.s_axi_awaddr.val();
        self.aw_in.next.len = self.s_axi_awlen.val();
        self.aw_in.next.size = self.s_axi_awsize.val();
        self.aw_in.next.kind = self.s_axi_awburst.val();
        self.aw.in_data.next = self.aw_in.val();
        self.aw.in_valid.next = self.s_axi_awvalid.val();
        self.s_axi_awready.next = self.aw.in_ready.val();
        self.aw_out.next = self.aw.out_data.val();
        self.writes.in_valid.next = self.aw.out_valid.val();
        self.aw.out_ready.next = self.writes.in_ready.val();
        self.writes.in_id.next = self.aw_out.val().id;
        self.writes.in_address.next = self.aw_out.val().address;
        self.writes.in_len.next = self.aw_out.val().len;
        self.writes.in_size.next = self.aw_out.val().size;
        self.writes.in_kind.next = self.aw_out.val().kind;
        self.ar_in.next.id = self.s_axi_arid.val();
        self.ar_in.next.address = self.s_axi_araddr.val();
        self.ar_in.next.len = self.s_axi_arlen.val();
        self.ar_in.next.size = self.s_axi_arsize.val();
        self.ar_in.next.kind = self.s_axi_arburst.val();
        self.ar.in_data.next = self.ar_in.val();
        self.ar.in_valid.next = self.s_axi_arvalid.val();
        self.s_axi_arready.next = self.ar.in_ready.val();
        self.ar_out.next = self.ar.out_data.val();
        self.reads.in_valid.next = self.ar.out_valid.val();
        self.ar.out_ready.next = self.reads.in_ready.val();
        self.reads.in_id.next = self.ar_out.val().id;
        self.reads.in_address.next = self.ar_out.val().address;
        self.reads.in_len.next = self.ar_out.val().len;
        self.reads.in_size.next = self.ar_out.val().size;
        self.reads.in_kind.next = self.ar_out.val().kind;
        self.w_in.next.data = self.s_axi_wdata.val();
        self.w_in.next.mask = self.s_axi_wstrb.val();
        self.w.in_data.next = self.w_in.val();
        self.w.in_valid.next = self.s_axi_wvalid.val();
        self.s_axi_wready.next = self.w.in_ready.val();

        // One beat is picked.
        self.move_out.next = !self.out.q.val() || self.p_req_ready.val();
        self.move_picked.next =
            (!self.picked.q.val() || self.move_out.val()) && self.windows.ready.val();
        self.read_wants.next = self.reads.valid.val() && self.read_order.room.val();
        self.write_wants.next =
            (self.writes.valid.val() && self.w.out_valid.val()) && self.write_order.room.val();
        self.pick_write.next = (self.move_picked.val() && self.write_wants.val())
            && (self.turn.q.val() || !self.read_wants.val());
        self.pick_read.next = (self.move_picked.val() && self.read_wants.val())
            && (!self.turn.q.val() || !self.write_wants.val());
        self.reads.advance.next = self.pick_read.val();
        self.writes.advance.next = self.pick_write.val();
        self.w.out_ready.next = self.pick_write.val();
        self.read_order.take.next = self.pick_read.val();
        self.read_order.id.next = self.reads.id.val();
        self.read_order.last.next = self.reads.last.val();
        self.write_order.take.next = self.pick_write.val();
        self.write_order.id.next = self.writes.id.val();
        self.write_order.last.next = self.writes.last.val();
        if self.move_picked.val() {
            self.picked.d.next = self.pick_read.val() || self.pick_write.val();
            self.picked_write.d.next = self.pick_write.val();
            self.picked_slot.d.next = self.read_order.slot.val();
            self.picked_line.d.next = self.reads.line.val();
            if self.pick_write.val() {
                self.picked_slot.d.next = self.write_order.slot.val();
                self.picked_line.d.next = self.writes.line.val();
                self.picked_data.d.next = self.w.out_data.val();
            }
        }
        if self.pick_read.val() {
            self.turn.d.next = true;
        }
        if self.pick_write.val() {
            self.turn.d.next = false;
        }

        // Its window is looked up.
        self.windows.line.next = self.picked_line.q.val();
        self.allowed.next = self.windows.found.val()
            && ((self.picked_write.q.val() && self.windows.write.val())
                || (!self.picked_write.q.val() && self.windows.read.val()));
        self.denied.next = (self.picked.q.val() && self.move_picked.val()) && !self.allowed.val();
        self.read_order.deny.next = self.denied.val() && !self.picked_write.q.val();
        self.read_order.deny_slot.next = self.picked_slot.q.val();
        self.read_order.deny_outside.next = !self.windows.found.val();
        self.write_order.deny.next = self.denied.val() && self.picked_write.q.val();
        self.write_order.deny_slot.next = self.picked_slot.q.val();
        self.write_order.deny_outside.next = !self.windows.found.val();
        if self.move_out.val() {
            self.out.d.next = (self.picked.q.val() && self.move_picked.val()) && self.allowed.val();
            self.out_write.d.next = self.picked_write.q.val();
            self.out_slot.d.next = self.picked_slot.q.val();
            self.out_pid.d.next = self.windows.pid.val();
            self.out_line.d.next = self.windows.va_line.val();
            self.out_data.d.next = self.picked_data.q.val();
        }

        // It is sent.
        self.sent.next = self.out_data.q.val();
        self.p_req_valid.next = self.out.q.val();
        self.p_req_op.next = bit_cast::<3, 1>(self.out_write.q.val().into());
        self.p_req_tag.next = bit_cast::<16, 6>(self.out_slot.q.val())
            | (bit_cast::<16, 1>(self.out_write.q.val().into()) << 6);
        self.p_req_pid.next = self.out_pid.q.val();
        self.p_req_va.next = bit_cast::<48, 42>(self.out_line.q.val()) << 6;
        self.p_req_mask.next = self.sent.val().mask;
        self.p_req_data.next = self.sent.val().data;

        // Answers: there is always a place for them.
        self.p_resp_ready.next = true;
        self.is_bad.next = self.p_resp_status.val().any();
        self.answers_write.next = self.p_resp_valid.val() && self.p_resp_tag.val().get_bit(6);
        self.answers_read.next = self.p_resp_valid.val() && !self.p_resp_tag.val().get_bit(6);
        self.read_order.answer.next = self.answers_read.val();
        self.read_order.answer_slot.next = self.p_resp_tag.val().get_bits::<6>(0);
        self.read_order.answer_bad.next = self.is_bad.val();
        self.write_order.answer.next = self.answers_write.val();
        self.write_order.answer_slot.next = self.p_resp_tag.val().get_bits::<6>(0);
        self.write_order.answer_bad.next = self.is_bad.val();
        self.data.write_enable.next = self.answers_read.val();
        self.data.write_address.next = self.p_resp_tag.val().get_bits::<6>(0);
        self.data.write_data.next = self.p_resp_data.val();

        // Read data leave.
        self.data.read_address.next = self.read_order.head_slot.val();
        self.s_axi_rvalid.next = self.read_order.head_valid.val();
        self.s_axi_rid.next = self.read_order.head_id.val();
        self.s_axi_rlast.next = self.read_order.head_last.val();
        self.s_axi_rdata.next = self.data.read_data.val();
        self.s_axi_rresp.next = 0.into();
        if self.read_order.head_bad.val() {
            // A denied beat's slot holds another one's data.
            self.s_axi_rdata.next = 0.into();
            self.s_axi_rresp.next = 2.into();
        }
        if self.read_order.head_outside.val() {
            self.s_axi_rresp.next = 3.into();
        }
        self.read_order.pop.next = self.read_order.head_valid.val() && self.s_axi_rready.val();

        // Write responses leave, one for the beats of a burst.
        self.write_bad.next = self.worst_bad.q.val() || self.write_order.head_bad.val();
        self.write_outside.next = self.worst_outside.q.val() || self.write_order.head_outside.val();
        self.write_done.next =
            self.write_order.head_valid.val() && self.write_order.head_last.val();
        self.s_axi_bvalid.next = self.write_done.val();
        self.s_axi_bid.next = self.write_order.head_id.val();
        self.s_axi_bresp.next = 0.into();
        if self.write_bad.val() {
            self.s_axi_bresp.next = 2.into();
        }
        if self.write_outside.val() {
            self.s_axi_bresp.next = 3.into();
        }
        self.write_order.pop.next = self.write_order.head_valid.val()
            && (self.s_axi_bready.val() || !self.write_order.head_last.val());
        if self.write_order.pop.val() {
            self.worst_bad.d.next = self.write_bad.val() && !self.write_order.head_last.val();
            self.worst_outside.d.next =
                self.write_outside.val() && !self.write_order.head_last.val();
        }
        if self.reset.val() {
            self.picked.d.next = false;
            self.out.d.next = false;
            self.turn.d.next = false;
            self.worst_bad.d.next = false;
            self.worst_outside.d.next = false;
        }
    }
}
