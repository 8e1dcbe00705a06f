//! What the core reaches beside its memory: the system registers and, over the crossing, the
//! component's.
//!
//! In: the core's peripheral port `p_*`, one access at a time. Out: the inner bus of
//! [`crate::registers`] to [`crate::soc::system`], or an access of [`crate::soc::crossing`]. Only
//! whole words; anything else, and addresses where nothing stands, end with `p_err`.
//!
//! It is not reset with the core: an access that the core has begun ends as it should, also if the
//! core has forgotten it.

use crate::registers::{constant, Access};
use rust_hdl::prelude::*;
use splitmem_abi::soc::{ALL, COMPONENT_BASE, SYSTEM_BASE};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum PortState {
    Idle,
    Select,
    Check,
    Strobe,
    Settle,
    Collect,
    Cross,
    Refuse,
}

#[derive(LogicBlock)]
pub struct Peripherals {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub p_req: Signal<In, Bit>,
    pub p_we: Signal<In, Bit>,
    pub p_be: Signal<In, Bits<4>>,
    pub p_addr: Signal<In, Bits<32>>,
    pub p_wdata: Signal<In, Bits<32>>,
    pub p_gnt: Signal<Out, Bit>,
    pub p_rvalid: Signal<Out, Bit>,
    pub p_rdata: Signal<Out, Bits<32>>,
    pub p_err: Signal<Out, Bit>,
    /// An access is under way.
    pub busy: Signal<Out, Bit>,

    pub bus: Signal<Out, Access>,
    pub read_data: Signal<In, Bits<32>>,

    pub start: Signal<Out, Bit>,
    pub write: Signal<Out, Bit>,
    pub address: Signal<Out, Bits<12>>,
    pub wdata: Signal<Out, Bits<32>>,
    pub done: Signal<In, Bit>,
    pub crossed: Signal<In, Bits<32>>,
    pub error: Signal<In, Bit>,

    state: DFF<PortState>,
    is_write: DFF<Bit>,
    at: DFF<Bits<12>>,
    data: DFF<Bits<32>>,
    over: DFF<Bit>,
    result: DFF<Bits<32>>,
    failed: DFF<Bit>,
    page: Signal<Local, Bits<20>>,
    whole: Signal<Local, Bit>,
    page_bits: Constant<Bits<6>>,
    component: Constant<Bits<20>>,
    system: Constant<Bits<20>>,
    system_end: Constant<Bits<12>>,
    all_bytes: Constant<Bits<4>>,
    low_bits: Constant<Bits<32>>,
}

impl Default for Peripherals {
    fn default() -> Self {
        let end = ALL.iter().map(|r| r.offset + 4 * r.count).max().unwrap_or(0);
        with_defaults!(Self {
            page_bits: constant(12),
            component: constant((COMPONENT_BASE >> 12) as u64),
            system: constant((SYSTEM_BASE >> 12) as u64),
            system_end: constant(end as u64),
            all_bytes: constant(0xf),
            low_bits: constant(3),
        } clock reset p_req p_we p_be p_addr p_wdata p_gnt p_rvalid p_rdata p_err busy bus read_data
          start write address wdata done crossed error state is_write at data over result failed
          page whole)
    }
}

impl Logic for Peripherals {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, is_write, at, data, over, result, failed);
        self.page.next = bit_cast::<20, 32>(self.p_addr.val() >> self.page_bits.val());
        self.whole.next = (self.p_be.val() == self.all_bytes.val())
            && !(self.p_addr.val() & self.low_bits.val()).any();
        self.bus.next.reset = self.reset.val();
        self.bus.next.address = bit_cast::<10, 12>(self.at.q.val() >> 2);
        self.bus.next.data = self.data.q.val();
        self.bus.next.host = false;
        self.bus.next.read = false;
        self.bus.next.write = false;
        self.write.next = self.is_write.q.val();
        self.address.next = self.at.q.val();
        self.wdata.next = self.data.q.val();
        self.start.next = false;
        self.p_gnt.next = false;
        self.busy.next = true;
        self.over.d.next = false;
        match self.state.q.val() {
            PortState::Idle => {
                self.busy.next = self.p_req.val() || self.over.q.val();
                if self.p_req.val() {
                    self.p_gnt.next = true;
                    self.is_write.d.next = self.p_we.val();
                    self.at.d.next = bit_cast::<12, 32>(self.p_addr.val());
                    self.data.d.next = self.p_wdata.val();
                    self.state.d.next = PortState::Refuse;
                    if self.whole.val() && (self.page.val() == self.system.val()) {
                        self.state.d.next = PortState::Select;
                    }
                    if self.whole.val() && (self.page.val() == self.component.val()) {
                        self.state.d.next = PortState::Check;
                    }
                }
            }
            PortState::Check => {
                // The access is in its registers now.
                self.start.next = true;
                self.state.d.next = PortState::Cross;
            }
            PortState::Cross => {
                if self.done.val() {
                    self.over.d.next = true;
                    self.result.d.next = self.crossed.val();
                    self.failed.d.next = self.error.val();
                    self.state.d.next = PortState::Idle;
                }
            }
            PortState::Select => {
                self.state.d.next = PortState::Strobe;
                if self.at.q.val() >= self.system_end.val() {
                    self.state.d.next = PortState::Refuse;
                }
            }
            PortState::Strobe => {
                self.bus.next.read = !self.is_write.q.val();
                self.bus.next.write = self.is_write.q.val();
                self.state.d.next = PortState::Settle;
            }
            PortState::Settle => {
                self.state.d.next = PortState::Collect;
            }
            PortState::Collect => {
                self.over.d.next = true;
                self.result.d.next = self.read_data.val();
                self.failed.d.next = false;
                self.state.d.next = PortState::Idle;
            }
            PortState::Refuse => {
                self.over.d.next = true;
                self.result.d.next = 0.into();
                self.failed.d.next = true;
                self.state.d.next = PortState::Idle;
            }
            _ => {
                self.state.d.next = PortState::Idle;
            }
        }
        self.p_rvalid.next = self.over.q.val();
        self.p_rdata.next = self.result.q.val();
        self.p_err.next = self.over.q.val() && self.failed.q.val();
        if self.reset.val() {
            self.state.d.next = PortState::Idle;
            self.over.d.next = false;
        }
    }
}
