//! Two register buses in, one access at a time out.
//!
//! In: the monitor's bus `m_*` and the host's `h_*`. A master raises `valid` and holds it and the
//! payload until `done`, a pulse in which `rdata` and `error` count; then it drops `valid` for at
//! least one cycle. Out: the inner bus of [`crate::registers`]. An access takes eight cycles, longer
//! while `busy`. The sides take turns when both want one, so neither waits for more than one access
//! of the other.
//!
//! What a side may not do, and what stands nowhere, is answered with `error` and zero, and reaches no
//! register.

use crate::access::AccessRights;
use crate::registers::Access;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum BusState {
    Idle,
    Decode,
    Check,
    Strobe,
    Settle,
    Collect,
    Done,
}

#[derive(LogicBlock, Default)]
pub struct RegisterBus {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
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
    pub bus: Signal<Out, Access>,
    /// All registers' `read_data`, ORed.
    pub read_data: Signal<In, Bits<32>>,
    /// A register needs more time.
    pub busy: Signal<In, Bit>,
    /// The selected register cannot take a write now: it is answered with an error.
    pub refuse: Signal<In, Bit>,

    state: DFF<BusState>,
    host: DFF<Bit>,
    is_write: DFF<Bit>,
    address: DFF<Bits<12>>,
    data: DFF<Bits<32>>,
    rights: AccessRights,
    allowed: DFF<Bit>,
    reading: DFF<Bit>,
    writing: DFF<Bit>,
    rdata: DFF<Bits<32>>,
    m_finished: DFF<Bit>,
    h_finished: DFF<Bit>,
    error: DFF<Bit>,
    pick_host: Signal<Local, Bit>,
}

impl Logic for RegisterBus {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, host, is_write, address, data, allowed, reading, writing);
        dff_setup!(self, clock, rdata, m_finished, h_finished, error);
        self.bus.next.reset = self.reset.val();
        self.bus.next.address = bit_cast::<10, 12>(self.address.q.val() >> 2);
        self.bus.next.data = self.data.q.val();
        self.bus.next.host = self.host.q.val();
        self.bus.next.read = self.reading.q.val();
        self.bus.next.write = self.writing.q.val();
        self.m_done.next = self.m_finished.q.val();
        self.h_done.next = self.h_finished.q.val();
        // Neither side sees what the other one read.
        self.m_rdata.next = 0.into();
        self.h_rdata.next = 0.into();
        if self.m_finished.q.val() {
            self.m_rdata.next = self.rdata.q.val();
        }
        if self.h_finished.q.val() {
            self.h_rdata.next = self.rdata.q.val();
        }
        self.m_error.next = self.m_finished.q.val() && self.error.q.val();
        self.h_error.next = self.h_finished.q.val() && self.error.q.val();

        self.rights.address.next = self.address.q.val();
        self.rights.host.next = self.host.q.val();
        self.rights.is_write.next = self.is_write.q.val();
        self.allowed.d.next = self.rights.allowed.val();
        self.reading.d.next = false;
        self.writing.d.next = false;
        self.m_finished.d.next = false;
        self.h_finished.d.next = false;
        self.pick_host.next = self.h_valid.val() && (!self.m_valid.val() || !self.host.q.val());

        match self.state.q.val() {
            BusState::Idle => {
                if self.m_valid.val() || self.h_valid.val() {
                    self.state.d.next = BusState::Decode;
                    self.host.d.next = self.pick_host.val();
                    if self.pick_host.val() {
                        self.is_write.d.next = self.h_write.val();
                        self.address.d.next = self.h_addr.val();
                        self.data.d.next = self.h_wdata.val();
                    } else {
                        self.is_write.d.next = self.m_write.val();
                        self.address.d.next = self.m_addr.val();
                        self.data.d.next = self.m_wdata.val();
                    }
                }
            }
            BusState::Decode => {
                self.state.d.next = BusState::Check;
            }
            BusState::Check => {
                self.state.d.next = BusState::Strobe;
                self.error.d.next = true;
                if self.allowed.q.val() && !(self.refuse.val() && self.is_write.q.val()) {
                    self.error.d.next = false;
                    self.reading.d.next = !self.is_write.q.val();
                    self.writing.d.next = self.is_write.q.val();
                }
            }
            BusState::Strobe => {
                self.state.d.next = BusState::Settle;
            }
            BusState::Settle => {
                self.state.d.next = BusState::Collect;
            }
            BusState::Collect => {
                if !self.busy.val() {
                    self.state.d.next = BusState::Done;
                    self.rdata.d.next = 0.into();
                    if !self.error.q.val() && !self.is_write.q.val() {
                        self.rdata.d.next = self.read_data.val();
                    }
                    self.m_finished.d.next = !self.host.q.val();
                    self.h_finished.d.next = self.host.q.val();
                }
            }
            BusState::Done => {
                self.state.d.next = BusState::Idle;
            }
            _ => {
                self.state.d.next = BusState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = BusState::Idle;
            self.host.d.next = false;
            self.reading.d.next = false;
            self.writing.d.next = false;
            self.m_finished.d.next = false;
            self.h_finished.d.next = false;
            self.rdata.d.next = 0.into();
            self.error.d.next = false;
        }
    }
}
