//! BAR0: one register access at a time, to one of four pages.
//!
//! In: an access of [`super::target`]; valid and its payload stay until `reg_done`, a pulse, and then
//! valid drops for at least a cycle. Out: the component's host bus `h_*` (page 0, see
//! [`crate::bus`]), and the inner bus of [`crate::registers`] for the endpoint's own pages, whose
//! accesses take five cycles. What the component's bus denies reads zero.

use crate::registers::Access;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Bar0State {
    Idle,
    Component,
    Setup,
    Select,
    Strobe,
    Settle,
    Done,
}

#[derive(LogicBlock, Default)]
pub struct Bar0 {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// No new access begins.
    pub hold: Signal<In, Bit>,
    pub reg_valid: Signal<In, Bit>,
    pub reg_write: Signal<In, Bit>,
    pub reg_addr: Signal<In, Bits<14>>,
    pub reg_wdata: Signal<In, Bits<32>>,
    pub reg_done: Signal<Out, Bit>,
    pub reg_rdata: Signal<Out, Bits<32>>,

    pub h_valid: Signal<Out, Bit>,
    pub h_write: Signal<Out, Bit>,
    pub h_addr: Signal<Out, Bits<12>>,
    pub h_wdata: Signal<Out, Bits<32>>,
    pub h_done: Signal<In, Bit>,
    pub h_rdata: Signal<In, Bits<32>>,
    pub h_error: Signal<In, Bit>,

    /// The endpoint's registers.
    pub own: Signal<Out, Access>,
    /// The window table.
    pub windows: Signal<Out, Access>,
    /// The MSI-X table and pending bits.
    pub msix: Signal<Out, Access>,
    /// What the three pages read, ORed; a page gives zero while it is not selected.
    pub read_data: Signal<In, Bits<32>>,
    /// The page of the access under way: 1 own, 2 windows, 3 MSI-X; 0 also while there is none.
    pub page: Signal<Out, Bits<2>>,

    state: DFF<Bar0State>,
    write: DFF<Bit>,
    address: DFF<Bits<14>>,
    data: DFF<Bits<32>>,
    rdata: DFF<Bits<32>>,
    strobe: Signal<Local, Bit>,
}

impl Logic for Bar0 {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, write, address, data, rdata);
        self.reg_done.next = self.state.q.val() == Bar0State::Done;
        self.reg_rdata.next = self.rdata.q.val();
        self.h_valid.next = self.state.q.val() == Bar0State::Component;
        self.h_write.next = self.write.q.val();
        self.h_addr.next = self.address.q.val().get_bits::<12>(0);
        self.h_wdata.next = self.data.q.val();
        self.page.next = 0.into();
        if self.state.q.val() != Bar0State::Idle {
            self.page.next = self.address.q.val().get_bits::<2>(12);
        }
        self.strobe.next = self.state.q.val() == Bar0State::Strobe;

        self.own.next.reset = self.reset.val();
        self.own.next.address = self.address.q.val().get_bits::<10>(2);
        self.own.next.data = self.data.q.val();
        self.own.next.host = true;
        self.own.next.read = self.strobe.val() && (self.page.val() == 1) && !self.write.q.val();
        self.own.next.write = self.strobe.val() && (self.page.val() == 1) && self.write.q.val();
        self.windows.next.reset = self.reset.val();
        self.windows.next.address = self.address.q.val().get_bits::<10>(2);
        self.windows.next.data = self.data.q.val();
        self.windows.next.host = true;
        self.windows.next.read = self.strobe.val() && (self.page.val() == 2) && !self.write.q.val();
        self.windows.next.write = self.strobe.val() && (self.page.val() == 2) && self.write.q.val();
        self.msix.next.reset = self.reset.val();
        self.msix.next.address = self.address.q.val().get_bits::<10>(2);
        self.msix.next.data = self.data.q.val();
        self.msix.next.host = true;
        self.msix.next.read = self.strobe.val() && (self.page.val() == 3) && !self.write.q.val();
        self.msix.next.write = self.strobe.val() && (self.page.val() == 3) && self.write.q.val();

        match self.state.q.val() {
            Bar0State::Idle => {
                self.write.d.next = self.reg_write.val();
                self.address.d.next = self.reg_addr.val();
                self.data.d.next = self.reg_wdata.val();
                if self.reg_valid.val() && !self.hold.val() {
                    self.state.d.next = Bar0State::Setup;
                    if !self.reg_addr.val().get_bits::<2>(12).any() {
                        self.state.d.next = Bar0State::Component;
                    }
                }
            }
            Bar0State::Component => {
                if self.h_done.val() {
                    self.rdata.d.next = 0.into();
                    if !self.h_error.val() {
                        self.rdata.d.next = self.h_rdata.val();
                    }
                    self.state.d.next = Bar0State::Done;
                }
            }
            Bar0State::Setup => {
                self.state.d.next = Bar0State::Select;
            }
            Bar0State::Select => {
                self.state.d.next = Bar0State::Strobe;
            }
            Bar0State::Strobe => {
                self.state.d.next = Bar0State::Settle;
            }
            Bar0State::Settle => {
                self.rdata.d.next = self.read_data.val();
                self.state.d.next = Bar0State::Done;
            }
            Bar0State::Done => {
                self.state.d.next = Bar0State::Idle;
            }
            _ => {
                self.state.d.next = Bar0State::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = Bar0State::Idle;
        }
    }
}
