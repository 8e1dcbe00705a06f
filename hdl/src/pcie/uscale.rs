//! The endpoint on the streams of AMD's UltraScale+ PCIe block (PG213): CQ, CC, RQ and RC, 512 bits
//! wide, dword-aligned, without straddling.
//!
//! There a descriptor of four dwords (CQ, RQ) or three (CC, RC) stands before the payload in the same
//! beats, in a form of its own. [`Unpack`] takes it off and [`Pack`] puts it on; this block turns
//! descriptors into headers and back. A TLP in takes one cycle more than it has beats. Tags are
//! managed here (AXISTEN_IF_ENABLE_CLIENT_TAG), parity is not used.

use super::endpoint::Endpoint;
use crate::prim::{Encode, Param};
use rust_hdl::prelude::*;

/// Takes the first dwords off a stream. They stand at `descriptor`, with what was at `side` in the
/// first beat, while the rest passes as a neutral stream.
#[derive(LogicBlock, Default)]
pub struct Unpack {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_last: Signal<In, Bit>,
    pub in_keep: Signal<In, Bits<16>>,
    pub in_data: Signal<In, Bits<512>>,
    pub in_side: Signal<In, Bits<8>>,
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub out_first: Signal<Out, Bit>,
    pub out_last: Signal<Out, Bit>,
    pub out_data: Signal<Out, Bits<512>>,
    pub out_dwords: Signal<Out, Bits<5>>,
    pub descriptor: Signal<Out, Bits<128>>,
    pub side: Signal<Out, Bits<8>>,

    head: DFF<Bits<128>>,
    head_side: DFF<Bits<8>>,
    carry: DFF<Bits<512>>,
    carried: DFF<Bits<5>>,
    within_tlp: DFF<Bit>,
    begun: DFF<Bit>,
    flush: DFF<Bit>,
    top: Encode,
    keep: Signal<Local, Bits<16>>,
    count: Signal<Local, Bits<5>>,
    rest: Signal<Local, Bits<5>>,
    size: Param<Bits<5>>,
    down: Param<Bits<10>>,
    up: Param<Bits<10>>,
    room: Param<Bits<5>>,
}

impl Unpack {
    /// For descriptors of `dwords`.
    pub fn new(dwords: u64) -> Self {
        Self {
            size: Param::new(dwords.into()),
            down: Param::new((32 * dwords).into()),
            up: Param::new((512 - 32 * dwords).into()),
            room: Param::new((16 - dwords).into()),
            ..Default::default()
        }
    }
}

impl Logic for Unpack {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, head, head_side, carry, carried, within_tlp, begun, flush);
        // The kept dwords are the low ones: their count is the place of the highest, and one.
        self.keep.next = self.in_keep.val();
        self.top.bits.next = bit_cast::<64, 16>(self.keep.val() & (!(self.keep.val() >> 1)));
        self.count.next = bit_cast::<5, 7>(self.top.index.val()) + 1;
        self.rest.next = self.count.val() - self.size.val();
        if self.count.val() < self.size.val() {
            self.rest.next = 0.into();
        }
        self.descriptor.next = self.head.q.val();
        self.side.next = self.head_side.q.val();
        self.out_first.next = !self.begun.q.val();
        self.out_valid.next = false;
        self.out_last.next = false;
        self.out_data.next = self.carry.q.val();
        self.out_dwords.next = self.carried.q.val();
        self.in_ready.next = false;
        if self.flush.q.val() {
            self.out_valid.next = true;
            self.out_last.next = true;
            if self.out_ready.val() {
                self.flush.d.next = false;
                self.within_tlp.d.next = false;
            }
        } else if !self.within_tlp.q.val() {
            self.in_ready.next = true;
            if self.in_valid.val() {
                self.head.d.next = self.in_data.val().get_bits::<128>(0);
                self.head_side.d.next = self.in_side.val();
                self.carry.d.next = self.in_data.val() >> self.down.val();
                self.carried.d.next = self.rest.val();
                self.within_tlp.d.next = true;
                self.begun.d.next = false;
                self.flush.d.next = self.in_last.val();
            }
        } else {
            self.out_valid.next = self.in_valid.val();
            self.in_ready.next = self.out_ready.val();
            self.out_data.next = self.carry.q.val() | (self.in_data.val() << self.up.val());
            self.out_dwords.next = 16.into();
            if self.in_last.val() && !(self.count.val() > self.size.val()) {
                self.out_last.next = true;
                self.out_dwords.next = self.room.val() + self.count.val();
            }
            if self.in_valid.val() && self.out_ready.val() {
                self.begun.d.next = true;
                self.carry.d.next = self.in_data.val() >> self.down.val();
                self.carried.d.next = self.rest.val();
                if self.in_last.val() {
                    self.within_tlp.d.next = self.count.val() > self.size.val();
                    self.flush.d.next = self.count.val() > self.size.val();
                }
            }
        }
        if self.reset.val() {
            self.within_tlp.d.next = false;
            self.flush.d.next = false;
        }
    }
}

/// Puts a descriptor before a neutral stream.
#[derive(LogicBlock, Default)]
pub struct Pack {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub in_valid: Signal<In, Bit>,
    pub in_ready: Signal<Out, Bit>,
    pub in_first: Signal<In, Bit>,
    pub in_last: Signal<In, Bit>,
    pub in_data: Signal<In, Bits<512>>,
    pub in_dwords: Signal<In, Bits<5>>,
    /// Counts in the first beat.
    pub descriptor: Signal<In, Bits<128>>,
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub out_first: Signal<Out, Bit>,
    pub out_last: Signal<Out, Bit>,
    pub out_keep: Signal<Out, Bits<16>>,
    pub out_data: Signal<Out, Bits<512>>,

    carry: DFF<Bits<512>>,
    carried: DFF<Bits<5>>,
    flush: DFF<Bit>,
    earlier: Signal<Local, Bits<512>>,
    count: Signal<Local, Bits<5>>,
    kept: Signal<Local, Bits<5>>,
    spills: Signal<Local, Bit>,
    one: Signal<Local, Bits<17>>,
    keep: Signal<Local, Bits<17>>,
    size: Param<Bits<5>>,
    up: Param<Bits<10>>,
    down: Param<Bits<10>>,
    room: Param<Bits<5>>,
}

impl Pack {
    /// For descriptors of `dwords`.
    pub fn new(dwords: u64) -> Self {
        Self {
            size: Param::new(dwords.into()),
            up: Param::new((32 * dwords).into()),
            down: Param::new((512 - 32 * dwords).into()),
            room: Param::new((16 - dwords).into()),
            ..Default::default()
        }
    }
}

impl Logic for Pack {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, carry, carried, flush);
        self.earlier.next = self.carry.q.val();
        if self.in_first.val() {
            self.earlier.next = bit_cast::<512, 128>(self.descriptor.val());
        }
        self.spills.next = self.in_dwords.val() > self.room.val();
        self.count.next = self.size.val() + self.in_dwords.val();
        self.kept.next = self.count.val();
        self.out_valid.next = self.in_valid.val();
        self.out_first.next = self.in_first.val();
        self.out_last.next = self.in_last.val() && !self.spills.val();
        self.out_data.next = self.earlier.val() | (self.in_data.val() << self.up.val());
        self.in_ready.next = self.out_ready.val();
        if self.spills.val() {
            self.kept.next = 16.into();
        }
        if self.flush.q.val() {
            self.out_valid.next = true;
            self.out_first.next = false;
            self.out_last.next = true;
            self.out_data.next = self.carry.q.val();
            self.kept.next = self.carried.q.val();
            self.in_ready.next = false;
            if self.out_ready.val() {
                self.flush.d.next = false;
            }
        } else if self.in_valid.val() && self.out_ready.val() {
            self.carry.d.next = self.in_data.val() >> self.down.val();
            self.carried.d.next = self.in_dwords.val() - self.room.val();
            self.flush.d.next = self.in_last.val() && self.spills.val();
        }
        self.one.next = 1.into();
        self.keep.next = (self.one.val() << self.kept.val()) - 1;
        self.out_keep.next = bit_cast::<16, 17>(self.keep.val());
        if self.reset.val() {
            self.flush.d.next = false;
        }
    }
}

#[derive(LogicBlock, Default)]
pub struct UscaleEndpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    pub s_axis_cq_tdata: Signal<In, Bits<512>>,
    pub s_axis_cq_tkeep: Signal<In, Bits<16>>,
    pub s_axis_cq_tuser: Signal<In, Bits<183>>,
    pub s_axis_cq_tlast: Signal<In, Bit>,
    pub s_axis_cq_tvalid: Signal<In, Bit>,
    pub s_axis_cq_tready: Signal<Out, Bit>,
    pub m_axis_cc_tdata: Signal<Out, Bits<512>>,
    pub m_axis_cc_tkeep: Signal<Out, Bits<16>>,
    pub m_axis_cc_tuser: Signal<Out, Bits<81>>,
    pub m_axis_cc_tlast: Signal<Out, Bit>,
    pub m_axis_cc_tvalid: Signal<Out, Bit>,
    pub m_axis_cc_tready: Signal<In, Bit>,
    pub m_axis_rq_tdata: Signal<Out, Bits<512>>,
    pub m_axis_rq_tkeep: Signal<Out, Bits<16>>,
    pub m_axis_rq_tuser: Signal<Out, Bits<137>>,
    pub m_axis_rq_tlast: Signal<Out, Bit>,
    pub m_axis_rq_tvalid: Signal<Out, Bit>,
    pub m_axis_rq_tready: Signal<In, Bit>,
    pub s_axis_rc_tdata: Signal<In, Bits<512>>,
    pub s_axis_rc_tkeep: Signal<In, Bits<16>>,
    pub s_axis_rc_tuser: Signal<In, Bits<161>>,
    pub s_axis_rc_tlast: Signal<In, Bit>,
    pub s_axis_rc_tvalid: Signal<In, Bit>,
    pub s_axis_rc_tready: Signal<Out, Bit>,
    /// One more non-posted request may come, always.
    pub pcie_cq_np_req: Signal<Out, Bits<2>>,
    pub pcie_tfc_nph_av: Signal<In, Bits<4>>,
    pub cfg_bus_number: Signal<In, Bits<8>>,
    pub cfg_max_payload: Signal<In, Bits<2>>,
    pub cfg_max_read_req: Signal<In, Bits<3>>,
    pub cfg_function_status: Signal<In, Bits<16>>,
    pub cfg_interrupt_msix_enable: Signal<In, Bits<4>>,
    pub cfg_interrupt_msix_mask: Signal<In, Bits<4>>,
    pub cfg_flr_in_process: Signal<In, Bits<4>>,
    pub cfg_flr_done: Signal<Out, Bits<4>>,

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

    endpoint: Endpoint,
    cq: Unpack,
    rc: Unpack,
    cc: Pack,
    rq: Pack,
    request: Signal<Local, Bits<128>>,
    kind: Signal<Local, Bits<4>>,
    fmt: Signal<Local, Bits<3>>,
    code: Signal<Local, Bits<5>>,
    answer: Signal<Local, Bits<128>>,
    error: Signal<Local, Bits<4>>,
    status: Signal<Local, Bits<3>>,
    bad: Signal<Local, Bit>,
    out: Signal<Local, Bits<128>>,
    done: Signal<Local, Bits<128>>,
    address: Signal<Local, Bits<64>>,
    rq_length: Signal<Local, Bits<11>>,
    cc_length: Signal<Local, Bits<11>>,
    cc_bytes: Signal<Local, Bits<13>>,
}

impl UscaleEndpoint {
    pub fn new() -> Self {
        Self {
            endpoint: Endpoint::new(),
            cq: Unpack::new(4),
            rc: Unpack::new(3),
            cc: Pack::new(3),
            rq: Pack::new(4),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident),+) => { $( self.$pin.connect(); )+ };
        }
        connect!(clock, reset, s_axis_cq_tdata, s_axis_cq_tkeep, s_axis_cq_tuser, s_axis_cq_tlast);
        connect!(s_axis_cq_tvalid, m_axis_cc_tready, m_axis_rq_tready, s_axis_rc_tdata);
        connect!(s_axis_rc_tkeep, s_axis_rc_tuser, s_axis_rc_tlast, s_axis_rc_tvalid);
        connect!(pcie_tfc_nph_av, cfg_bus_number, cfg_max_payload, cfg_max_read_req);
        connect!(cfg_function_status, cfg_interrupt_msix_enable, cfg_interrupt_msix_mask);
        connect!(cfg_flr_in_process);
        connect!(w_req_ready, w_resp_valid, w_resp_tag, w_resp_status);
        connect!(w_resp_data, d_req_ready, d_resp_valid, d_resp_tag);
        connect!(d_resp_status, d_resp_data, h_done, h_rdata);
        connect!(h_error, irq_host);
        self.connect_all();
    }
}

impl Logic for UscaleEndpoint {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, endpoint, cq, rc, cc, rq);
        self.cq.reset.next = self.reset.val();
        self.rc.reset.next = self.reset.val();
        self.cc.reset.next = self.reset.val();
        self.rq.reset.next = self.reset.val();
        self.endpoint.reset.next = self.reset.val();
        self.endpoint.w_req_ready.next = self.w_req_ready.val();
        self.endpoint.w_resp_valid.next = self.w_resp_valid.val();
        self.endpoint.w_resp_tag.next = self.w_resp_tag.val();
        self.endpoint.w_resp_status.next = self.w_resp_status.val();
        self.endpoint.w_resp_data.next = self.w_resp_data.val();
        self.endpoint.d_req_ready.next = self.d_req_ready.val();
        self.endpoint.d_resp_valid.next = self.d_resp_valid.val();
        self.endpoint.d_resp_tag.next = self.d_resp_tag.val();
        self.endpoint.d_resp_status.next = self.d_resp_status.val();
        self.endpoint.d_resp_data.next = self.d_resp_data.val();
        self.endpoint.h_done.next = self.h_done.val();
        self.endpoint.h_rdata.next = self.h_rdata.val();
        self.endpoint.h_error.next = self.h_error.val();
        self.endpoint.irq_host.next = self.irq_host.val();
        self.w_req_valid.next = self.endpoint.w_req_valid.val();
        self.w_req_op.next = self.endpoint.w_req_op.val();
        self.w_req_tag.next = self.endpoint.w_req_tag.val();
        self.w_req_pid.next = self.endpoint.w_req_pid.val();
        self.w_req_va.next = self.endpoint.w_req_va.val();
        self.w_req_mask.next = self.endpoint.w_req_mask.val();
        self.w_req_data.next = self.endpoint.w_req_data.val();
        self.w_resp_ready.next = self.endpoint.w_resp_ready.val();
        self.d_req_valid.next = self.endpoint.d_req_valid.val();
        self.d_req_op.next = self.endpoint.d_req_op.val();
        self.d_req_tag.next = self.endpoint.d_req_tag.val();
        self.d_req_pid.next = self.endpoint.d_req_pid.val();
        self.d_req_va.next = self.endpoint.d_req_va.val();
        self.d_req_mask.next = self.endpoint.d_req_mask.val();
        self.d_req_data.next = self.endpoint.d_req_data.val();
        self.d_resp_ready.next = self.endpoint.d_resp_ready.val();
        self.h_valid.next = self.endpoint.h_valid.val();
        self.h_write.next = self.endpoint.h_write.val();
        self.h_addr.next = self.endpoint.h_addr.val();
        self.h_wdata.next = self.endpoint.h_wdata.val();
        self.endpoint.flr.next = self.cfg_flr_in_process.val().get_bit(0);
        self.cfg_flr_done.next = bit_cast::<4, 1>(self.endpoint.flr_done.val().into());
        self.endpoint.cfg_id.next = bit_cast::<16, 8>(self.cfg_bus_number.val()) << 8;
        self.endpoint.cfg_max_payload.next = bit_cast::<3, 2>(self.cfg_max_payload.val());
        self.endpoint.cfg_max_read.next = self.cfg_max_read_req.val();
        self.endpoint.cfg_bus_master.next = self.cfg_function_status.val().get_bit(2);
        self.endpoint.cfg_msix_enable.next = self.cfg_interrupt_msix_enable.val().get_bit(0);
        self.endpoint.cfg_msix_mask.next = self.cfg_interrupt_msix_mask.val().get_bit(0);
        self.pcie_cq_np_req.next = 1.into();
        // The count is some cycles old.
        self.endpoint.nonposted_ok.next = self.pcie_tfc_nph_av.val().get_bits::<2>(2).any();

        // CQ: requests. Addresses are always written with four dwords of header.
        self.cq.in_valid.next = self.s_axis_cq_tvalid.val();
        self.s_axis_cq_tready.next = self.cq.in_ready.val();
        self.cq.in_last.next = self.s_axis_cq_tlast.val();
        self.cq.in_keep.next = self.s_axis_cq_tkeep.val();
        self.cq.in_data.next = self.s_axis_cq_tdata.val();
        self.cq.in_side.next = bit_cast::<8, 4>(self.s_axis_cq_tuser.val().get_bits::<4>(0))
            | (bit_cast::<8, 4>(self.s_axis_cq_tuser.val().get_bits::<4>(8)) << 4);
        self.request.next = self.cq.descriptor.val();
        self.kind.next = self.request.val().get_bits::<4>(75);
        self.fmt.next = 1.into();
        self.code.next = 0.into();
        if self.kind.val() == 1 {
            self.fmt.next = 3.into();
        } else if self.kind.val() == 2 {
            self.fmt.next = 0.into();
            self.code.next = 2.into();
        } else if self.kind.val() == 3 {
            self.fmt.next = 2.into();
            self.code.next = 2.into();
        } else if (self.kind.val() == 4) || (self.kind.val() == 5) || (self.kind.val() == 6) {
            self.fmt.next = 3.into();
            self.code.next = bit_cast::<5, 4>(self.kind.val()) + 8;
        } else if self.kind.val() == 7 {
            self.code.next = 1.into();
        } else if self.kind.val().get_bits::<2>(2) == 2 {
            self.fmt.next = bit_cast::<3, 1>(self.kind.val().get_bits::<1>(1)) << 1;
            self.code.next = 4.into();
        } else if self.kind.val().get_bits::<2>(2) == 3 {
            self.code.next = 16.into();
            if self.cq.out_dwords.val().any() {
                self.fmt.next = 3.into();
            }
        }
        self.endpoint.cq_valid.next = self.cq.out_valid.val();
        self.cq.out_ready.next = self.endpoint.cq_ready.val();
        self.endpoint.cq_first.next = self.cq.out_first.val();
        self.endpoint.cq_last.next = self.cq.out_last.val();
        self.endpoint.cq_data.next = self.cq.out_data.val();
        self.endpoint.cq_dwords.next = self.cq.out_dwords.val();
        self.endpoint.cq_bar.next = self.request.val().get_bits::<3>(112);
        self.endpoint.cq_header.next = bit_cast::<128, 10>(self.request.val().get_bits::<10>(64))
            | (bit_cast::<128, 2>(self.request.val().get_bits::<2>(124)) << 12)
            | (bit_cast::<128, 1>(self.request.val().get_bits::<1>(126)) << 18)
            | (bit_cast::<128, 3>(self.request.val().get_bits::<3>(121)) << 20)
            | (bit_cast::<128, 5>(self.code.val()) << 24)
            | (bit_cast::<128, 3>(self.fmt.val()) << 29)
            | (bit_cast::<128, 8>(self.cq.side.val()) << 32)
            | (bit_cast::<128, 8>(self.request.val().get_bits::<8>(96)) << 40)
            | (bit_cast::<128, 16>(self.request.val().get_bits::<16>(80)) << 48)
            | (bit_cast::<128, 32>(self.request.val().get_bits::<32>(32)) << 64)
            | (bit_cast::<128, 30>(self.request.val().get_bits::<30>(2)) << 98);

        // RC: completions. What the block found wrong counts as a completer abort, poison as poison.
        self.rc.in_valid.next = self.s_axis_rc_tvalid.val();
        self.s_axis_rc_tready.next = self.rc.in_ready.val();
        self.rc.in_last.next = self.s_axis_rc_tlast.val();
        self.rc.in_keep.next = self.s_axis_rc_tkeep.val();
        self.rc.in_data.next = self.s_axis_rc_tdata.val();
        self.rc.in_side.next = 0.into();
        self.answer.next = self.rc.descriptor.val();
        self.error.next = self.answer.val().get_bits::<4>(12);
        self.bad.next = (self.error.val() != 0) && (self.error.val() != 1);
        self.status.next = self.answer.val().get_bits::<3>(43);
        if self.bad.val() && !self.answer.val().get_bits::<3>(43).any() {
            self.status.next = 4.into();
        }
        self.endpoint.rc_valid.next = self.rc.out_valid.val();
        self.rc.out_ready.next = self.endpoint.rc_ready.val();
        self.endpoint.rc_first.next = self.rc.out_first.val();
        self.endpoint.rc_last.next = self.rc.out_last.val();
        self.endpoint.rc_data.next = self.rc.out_data.val();
        self.endpoint.rc_dwords.next = self.rc.out_dwords.val();
        self.endpoint.rc_header.next = bit_cast::<128, 10>(self.answer.val().get_bits::<10>(32))
            | (bit_cast::<128, 1>(self.answer.val().get_bits::<1>(46)) << 14)
            | (bit_cast::<128, 5>(10.into()) << 24)
            | (bit_cast::<128, 1>(self.rc.out_dwords.val().any().into()) << 30)
            | (bit_cast::<128, 12>(self.answer.val().get_bits::<12>(16)) << 32)
            | (bit_cast::<128, 3>(self.status.val()) << 45)
            | (bit_cast::<128, 7>(self.answer.val().get_bits::<7>(0)) << 64)
            | (bit_cast::<128, 8>(self.answer.val().get_bits::<8>(64)) << 72)
            | (bit_cast::<128, 16>(self.answer.val().get_bits::<16>(48)) << 80);

        // CC: completions.
        self.done.next = self.endpoint.cc_header.val();
        self.cc_length.next = 0.into();
        if self.done.val().get_bit(30) {
            self.cc_length.next = bit_cast::<11, 10>(self.done.val().get_bits::<10>(0));
            if !self.done.val().get_bits::<10>(0).any() {
                self.cc_length.next = 1024.into();
            }
        }
        self.cc_bytes.next = bit_cast::<13, 12>(self.done.val().get_bits::<12>(32));
        if !self.done.val().get_bits::<12>(32).any() {
            self.cc_bytes.next = 4096.into();
        }
        self.cc.in_valid.next = self.endpoint.cc_valid.val();
        self.endpoint.cc_ready.next = self.cc.in_ready.val();
        self.cc.in_first.next = self.endpoint.cc_first.val();
        self.cc.in_last.next = self.endpoint.cc_last.val();
        self.cc.in_data.next = self.endpoint.cc_data.val();
        self.cc.in_dwords.next = self.endpoint.cc_dwords.val();
        self.cc.descriptor.next = bit_cast::<128, 7>(self.done.val().get_bits::<7>(64))
            | (bit_cast::<128, 13>(self.cc_bytes.val()) << 16)
            | (bit_cast::<128, 11>(self.cc_length.val()) << 32)
            | (bit_cast::<128, 3>(self.done.val().get_bits::<3>(45)) << 43)
            | (bit_cast::<128, 1>(self.done.val().get_bits::<1>(14)) << 46)
            | (bit_cast::<128, 16>(self.done.val().get_bits::<16>(80)) << 48)
            | (bit_cast::<128, 8>(self.done.val().get_bits::<8>(72)) << 64)
            | (bit_cast::<128, 3>(self.done.val().get_bits::<3>(20)) << 89)
            | (bit_cast::<128, 2>(self.done.val().get_bits::<2>(12)) << 92)
            | (bit_cast::<128, 1>(self.done.val().get_bits::<1>(18)) << 94);
        self.m_axis_cc_tvalid.next = self.cc.out_valid.val();
        self.cc.out_ready.next = self.m_axis_cc_tready.val();
        self.m_axis_cc_tlast.next = self.cc.out_last.val();
        self.m_axis_cc_tkeep.next = self.cc.out_keep.val();
        self.m_axis_cc_tdata.next = self.cc.out_data.val();
        self.m_axis_cc_tuser.next = 0.into();

        // RQ: memory reads and writes.
        self.out.next = self.endpoint.rq_header.val();
        self.address.next = bit_cast::<64, 32>(self.out.val().get_bits::<32>(64));
        if self.out.val().get_bit(29) {
            self.address.next = bit_cast::<64, 32>(self.out.val().get_bits::<32>(96))
                | (bit_cast::<64, 32>(self.out.val().get_bits::<32>(64)) << 32);
        }
        self.rq_length.next = bit_cast::<11, 10>(self.out.val().get_bits::<10>(0));
        if !self.out.val().get_bits::<10>(0).any() {
            self.rq_length.next = 1024.into();
        }
        self.rq.in_valid.next = self.endpoint.rq_valid.val();
        self.endpoint.rq_ready.next = self.rq.in_ready.val();
        self.rq.in_first.next = self.endpoint.rq_first.val();
        self.rq.in_last.next = self.endpoint.rq_last.val();
        self.rq.in_data.next = self.endpoint.rq_data.val();
        self.rq.in_dwords.next = self.endpoint.rq_dwords.val();
        self.rq.descriptor.next = bit_cast::<128, 64>(self.address.val())
            | (bit_cast::<128, 11>(self.rq_length.val()) << 64)
            | (bit_cast::<128, 1>(self.out.val().get_bits::<1>(30)) << 75)
            | (bit_cast::<128, 8>(self.out.val().get_bits::<8>(40)) << 96);
        self.m_axis_rq_tvalid.next = self.rq.out_valid.val();
        self.rq.out_ready.next = self.m_axis_rq_tready.val();
        self.m_axis_rq_tlast.next = self.rq.out_last.val();
        self.m_axis_rq_tkeep.next = self.rq.out_keep.val();
        self.m_axis_rq_tdata.next = self.rq.out_data.val();
        // Byte enables and start of packet, in the first beat.
        self.m_axis_rq_tuser.next = 0.into();
        if self.rq.out_first.val() {
            self.m_axis_rq_tuser.next = bit_cast::<137, 4>(self.out.val().get_bits::<4>(32))
                | (bit_cast::<137, 4>(self.out.val().get_bits::<4>(36)) << 8)
                | (bit_cast::<137, 1>(true.into()) << 20);
        }
    }
}
