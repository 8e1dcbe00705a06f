//! The endpoint on a plain TLP interface: one stream in, one out, as hard IPs have whose user side
//! is a single pair (Intel's P-Tile and the like). See [`super`] for a beat's form.
//!
//! In: `rx_*`, requests and completions. Out: `tx_*`, completions before requests; the beats of a TLP
//! stay together. While the hard IP has no credit for a non-posted request, `tx_nonposted_ok` is low;
//! then none is begun, and completions and posted requests pass.

use super::endpoint::Endpoint;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct PlainEndpoint {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub flr: Signal<In, Bit>,
    pub flr_done: Signal<Out, Bit>,
    pub cfg_id: Signal<In, Bits<16>>,
    pub cfg_max_payload: Signal<In, Bits<3>>,
    pub cfg_max_read: Signal<In, Bits<3>>,
    pub cfg_bus_master: Signal<In, Bit>,
    pub cfg_msix_enable: Signal<In, Bit>,
    pub cfg_msix_mask: Signal<In, Bit>,

    pub rx_valid: Signal<In, Bit>,
    pub rx_ready: Signal<Out, Bit>,
    pub rx_first: Signal<In, Bit>,
    pub rx_last: Signal<In, Bit>,
    pub rx_header: Signal<In, Bits<128>>,
    pub rx_bar: Signal<In, Bits<3>>,
    pub rx_data: Signal<In, Bits<512>>,
    pub rx_dwords: Signal<In, Bits<5>>,
    pub tx_valid: Signal<Out, Bit>,
    pub tx_ready: Signal<In, Bit>,
    pub tx_first: Signal<Out, Bit>,
    pub tx_last: Signal<Out, Bit>,
    pub tx_header: Signal<Out, Bits<128>>,
    pub tx_data: Signal<Out, Bits<512>>,
    pub tx_dwords: Signal<Out, Bits<5>>,
    pub tx_nonposted_ok: Signal<In, Bit>,

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
    /// The TLP that is coming in is a completion.
    completion: DFF<Bit>,
    to_rc: Signal<Local, Bit>,
    kind: Signal<Local, Bits<5>>,
    /// The TLP that is going out is a request, and has more beats.
    inside_rq: DFF<Bit>,
    inside_cc: DFF<Bit>,
    pick_rq: Signal<Local, Bit>,
}

impl PlainEndpoint {
    pub fn new() -> Self {
        Self { endpoint: Endpoint::new(), ..Default::default() }
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident),+) => { $( self.$pin.connect(); )+ };
        }
        connect!(clock, reset, flr, cfg_id, cfg_max_payload, cfg_max_read, cfg_bus_master);
        connect!(cfg_msix_enable, cfg_msix_mask, rx_valid, rx_first, rx_last, rx_header, rx_bar);
        connect!(rx_data, rx_dwords, tx_ready, tx_nonposted_ok);
        connect!(w_req_ready, w_resp_valid, w_resp_tag, w_resp_status);
        connect!(w_resp_data, d_req_ready, d_resp_valid, d_resp_tag);
        connect!(d_resp_status, d_resp_data, h_done, h_rdata);
        connect!(h_error, irq_host);
        self.connect_all();
    }
}

impl Logic for PlainEndpoint {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, completion, inside_rq, inside_cc);
        clock!(self, clock, endpoint);
        self.endpoint.reset.next = self.reset.val();
        self.endpoint.flr.next = self.flr.val();
        self.endpoint.cfg_id.next = self.cfg_id.val();
        self.endpoint.cfg_max_payload.next = self.cfg_max_payload.val();
        self.endpoint.cfg_max_read.next = self.cfg_max_read.val();
        self.endpoint.cfg_bus_master.next = self.cfg_bus_master.val();
        self.endpoint.cfg_msix_enable.next = self.cfg_msix_enable.val();
        self.endpoint.cfg_msix_mask.next = self.cfg_msix_mask.val();
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
        self.flr_done.next = self.endpoint.flr_done.val();
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
        self.endpoint.nonposted_ok.next = self.tx_nonposted_ok.val();

        // In: completions go one way, all else the other.
        self.kind.next = self.rx_header.val().get_bits::<5>(24);
        self.to_rc.next = self.completion.q.val();
        if self.rx_first.val() {
            self.to_rc.next = (self.kind.val() == 10) || (self.kind.val() == 11);
        }
        if self.rx_valid.val() {
            self.completion.d.next = self.to_rc.val();
        }
        self.endpoint.cq_valid.next = self.rx_valid.val() && !self.to_rc.val();
        self.endpoint.cq_first.next = self.rx_first.val();
        self.endpoint.cq_last.next = self.rx_last.val();
        self.endpoint.cq_header.next = self.rx_header.val();
        self.endpoint.cq_bar.next = self.rx_bar.val();
        self.endpoint.cq_data.next = self.rx_data.val();
        self.endpoint.cq_dwords.next = self.rx_dwords.val();
        self.endpoint.rc_valid.next = self.rx_valid.val() && self.to_rc.val();
        self.endpoint.rc_first.next = self.rx_first.val();
        self.endpoint.rc_last.next = self.rx_last.val();
        self.endpoint.rc_header.next = self.rx_header.val();
        self.endpoint.rc_data.next = self.rx_data.val();
        self.endpoint.rc_dwords.next = self.rx_dwords.val();
        self.rx_ready.next = self.endpoint.cq_ready.val();
        if self.to_rc.val() {
            self.rx_ready.next = self.endpoint.rc_ready.val();
        }

        // Out: a completion, unless a request has begun.
        self.pick_rq.next =
            self.inside_rq.q.val() || ((!self.inside_cc.q.val()) && !self.endpoint.cc_valid.val());
        self.tx_valid.next = self.endpoint.cc_valid.val();
        self.tx_first.next = self.endpoint.cc_first.val();
        self.tx_last.next = self.endpoint.cc_last.val();
        self.tx_header.next = self.endpoint.cc_header.val();
        self.tx_data.next = self.endpoint.cc_data.val();
        self.tx_dwords.next = self.endpoint.cc_dwords.val();
        if self.pick_rq.val() {
            self.tx_valid.next = self.endpoint.rq_valid.val();
            self.tx_first.next = self.endpoint.rq_first.val();
            self.tx_last.next = self.endpoint.rq_last.val();
            self.tx_header.next = self.endpoint.rq_header.val();
            self.tx_data.next = self.endpoint.rq_data.val();
            self.tx_dwords.next = self.endpoint.rq_dwords.val();
        }
        self.endpoint.cc_ready.next = self.tx_ready.val() && !self.pick_rq.val();
        self.endpoint.rq_ready.next = self.tx_ready.val() && self.pick_rq.val();
        // A beat that was offered stays: what was picked stays until the last beat is taken.
        if self.pick_rq.val() {
            if self.endpoint.rq_valid.val() {
                self.inside_rq.d.next = !(self.tx_ready.val() && self.endpoint.rq_last.val());
            }
        } else {
            if self.endpoint.cc_valid.val() {
                self.inside_cc.d.next = !(self.tx_ready.val() && self.endpoint.cc_last.val());
            }
        }
        if self.reset.val() {
            self.completion.d.next = false;
            self.inside_rq.d.next = false;
            self.inside_cc.d.next = false;
        }
    }
}
