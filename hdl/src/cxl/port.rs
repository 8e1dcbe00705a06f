//! Two register buses in, one access at a time out: the host's, which reaches what stands in its
//! BARs, and the monitor's, which reaches everything.
//!
//! A master raises `valid` and holds it and the payload until `done`, a pulse in which `rdata`
//! counts; then it drops `valid` for at least one cycle. An access takes seven cycles. The sides take
//! turns when both want one. Words are 32 bits: an 8-byte register is two of them, and the low one
//! of a command may be written first, since only the doorbell counts. Where nothing stands, reads
//! give zero and writes change nothing.

use super::words::WordAccess;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PortState {
    Idle,
    Select,
    Strobe,
    Settle,
    Collect,
    Done,
}

#[derive(LogicBlock, Default)]
pub struct WordPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub r_valid: Signal<In, Bit>,
    pub r_write: Signal<In, Bit>,
    /// Byte address; the lowest two bits are ignored.
    pub r_addr: Signal<In, Bits<17>>,
    pub r_wdata: Signal<In, Bits<32>>,
    pub r_done: Signal<Out, Bit>,
    pub r_rdata: Signal<Out, Bits<32>>,
    pub k_valid: Signal<In, Bit>,
    pub k_write: Signal<In, Bit>,
    pub k_addr: Signal<In, Bits<18>>,
    pub k_wdata: Signal<In, Bits<32>>,
    pub k_done: Signal<Out, Bit>,
    pub k_rdata: Signal<Out, Bits<32>>,
    pub bus: Signal<Out, WordAccess>,
    /// All registers' `read_data`, ORed.
    pub read_data: Signal<In, Bits<32>>,

    state: DFF<PortState>,
    host: DFF<Bit>,
    is_write: DFF<Bit>,
    address: DFF<Bits<16>>,
    data: DFF<Bits<32>>,
    strobe: DFF<Bit>,
    rdata: DFF<Bits<32>>,
    r_finished: DFF<Bit>,
    k_finished: DFF<Bit>,
    pick_host: Signal<Local, Bit>,
}

impl Logic for WordPort {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, host, is_write, address, data, strobe, rdata);
        dff_setup!(self, clock, r_finished, k_finished);
        self.bus.next.reset = self.reset.val();
        self.bus.next.address = self.address.q.val();
        self.bus.next.data = self.data.q.val();
        self.bus.next.host = self.host.q.val();
        self.bus.next.write = self.strobe.q.val();
        self.r_done.next = self.r_finished.q.val();
        self.k_done.next = self.k_finished.q.val();
        // Neither side sees what the other one read.
        self.r_rdata.next = 0.into();
        self.k_rdata.next = 0.into();
        if self.r_finished.q.val() {
            self.r_rdata.next = self.rdata.q.val();
        }
        if self.k_finished.q.val() {
            self.k_rdata.next = self.rdata.q.val();
        }
        self.strobe.d.next = false;
        self.r_finished.d.next = false;
        self.k_finished.d.next = false;
        self.pick_host.next = self.r_valid.val() && (!self.k_valid.val() || !self.host.q.val());
        match self.state.q.val() {
            PortState::Idle => {
                if self.r_valid.val() || self.k_valid.val() {
                    self.state.d.next = PortState::Select;
                    self.host.d.next = self.pick_host.val();
                    if self.pick_host.val() {
                        self.is_write.d.next = self.r_write.val();
                        self.address.d.next = bit_cast::<16, 17>(self.r_addr.val() >> 2);
                        self.data.d.next = self.r_wdata.val();
                    } else {
                        self.is_write.d.next = self.k_write.val();
                        self.address.d.next = bit_cast::<16, 18>(self.k_addr.val() >> 2);
                        self.data.d.next = self.k_wdata.val();
                    }
                }
            }
            PortState::Select => {
                self.state.d.next = PortState::Strobe;
                self.strobe.d.next = self.is_write.q.val();
            }
            PortState::Strobe => {
                self.state.d.next = PortState::Settle;
            }
            PortState::Settle => {
                self.state.d.next = PortState::Collect;
            }
            PortState::Collect => {
                self.state.d.next = PortState::Done;
                self.rdata.d.next = 0.into();
                if !self.is_write.q.val() {
                    self.rdata.d.next = self.read_data.val();
                }
                self.r_finished.d.next = self.host.q.val();
                self.k_finished.d.next = !self.host.q.val();
            }
            PortState::Done => {
                self.state.d.next = PortState::Idle;
            }
            _ => {
                self.state.d.next = PortState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = PortState::Idle;
            self.host.d.next = false;
            self.strobe.d.next = false;
            self.r_finished.d.next = false;
            self.k_finished.d.next = false;
            self.rdata.d.next = 0.into();
        }
    }
}
