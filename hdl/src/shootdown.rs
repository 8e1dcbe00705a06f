//! Shootdown: old translations leave the TLB, and nothing in flight keeps one.
//!
//! Software changed PTEs and saw the writes answered. Then, in this order:
//!
//! 1. Walks in flight are marked: what they read may be old, so they do not fill the TLB. The unit
//!    waits until they are gone.
//! 2. The pages (or, for a whole process or everything, all sets) pass through the TLB's pipeline
//!    and are cleared. A range of more pages than the TLB has sets is cleared as a whole process.
//! 3. What is in flight then may have looked up before the clearing. It is noted, and the unit waits
//!    until it took effect.
//!
//! Each wait is for a fixed set of requests, so a shootdown ends under any load. After reset the
//! unit clears the whole TLB in the same way; `ready` comes up when that is done.

use crate::prim::Param;
use crate::relay::Relay;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::ShootdownCommand;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum ShootdownState {
    Reset,
    Idle,
    Mark,
    Walks,
    Sweep,
    Pipeline,
    Note,
    Drain,
}

#[derive(LogicBlock, Default)]
pub struct Shootdown {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub start: Signal<In, Bit>,
    pub code: Signal<In, Bits<2>>,
    pub pid: Signal<In, Bits<16>>,
    pub va: Signal<In, Bits<48>>,
    pub count: Signal<In, Bits<19>>,
    pub busy: Signal<Out, Bit>,
    pub done: Signal<Out, Bit>,
    pub ready: Signal<Out, Bit>,

    pub mark_walks: Signal<Out, Bit>,
    pub walks_marked: Signal<In, Bit>,
    pub note: Signal<Out, Bit>,
    pub noted: Signal<In, Bit>,

    /// Into stage 0 of the pipeline, in cycles with `advance`.
    pub advance: Signal<In, Bit>,
    pub invalidate: Signal<Out, Bit>,
    pub any_pid: Signal<Out, Bit>,
    pub any_key: Signal<Out, Bit>,
    pub sweep_set: Signal<Out, Bits<9>>,
    pub out_pid: Signal<Out, Bits<16>>,
    pub out_va: Signal<Out, Bits<48>>,

    /// Before the pipeline: `[47:0]` address, `[56:48]` set. So the sweep does not hang on `advance`.
    offers: Relay<Bits<57>>,
    state: DFF<ShootdownState>,
    left: DFF<Bits<19>>,
    /// In the sweep, and something is left to offer.
    sweeping: DFF<Bit>,
    at: DFF<Bits<48>>,
    set: DFF<Bits<9>>,
    whole: DFF<Bit>,
    all: DFF<Bit>,
    is_ready: DFF<Bit>,
    settle: DFF<Bits<3>>,
    sets: Param<Bits<19>>,
    pages: Param<Bits<2>>,
    everything: Param<Bits<2>>,
}

impl Shootdown {
    pub fn new(config: &HwConfig) -> Self {
        Self {
            sets: Param::new((config.tlb_sets as u64).into()),
            pages: Param::new((ShootdownCommand::Pages as u64).into()),
            everything: Param::new((ShootdownCommand::All as u64).into()),
            ..Default::default()
        }
    }
}

impl Logic for Shootdown {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, left, sweeping, at, set, whole, all, is_ready, settle);
        self.mark_walks.next = false;
        self.note.next = false;
        self.done.next = false;
        self.offers.clock.next = self.clock.val();
        self.offers.reset.next = self.reset.val();
        self.offers.in_valid.next = self.sweeping.q.val();
        self.offers.in_data.next =
            bit_cast::<57, 48>(self.at.q.val()) | (bit_cast::<57, 9>(self.set.q.val()) << 48);
        self.offers.out_ready.next = self.advance.val();
        self.invalidate.next = self.offers.out_valid.val();
        self.any_key.next = self.whole.q.val();
        self.any_pid.next = self.all.q.val();
        self.sweep_set.next = self.offers.out_data.val().get_bits::<9>(48);
        self.out_pid.next = self.pid.val();
        self.out_va.next = self.offers.out_data.val().get_bits::<48>(0);
        self.busy.next = true;
        match self.state.q.val() {
            ShootdownState::Reset => {
                self.whole.d.next = true;
                self.all.d.next = true;
                self.left.d.next = self.sets.val();
                self.set.d.next = 0.into();
                self.sweeping.d.next = true;
                self.state.d.next = ShootdownState::Sweep;
            }
            ShootdownState::Idle => {
                self.busy.next = false;
                self.at.d.next = self.va.val();
                self.set.d.next = 0.into();
                if self.start.val() {
                    self.state.d.next = ShootdownState::Mark;
                    self.all.d.next = self.code.val() == self.everything.val();
                    self.whole.d.next = true;
                    self.left.d.next = self.sets.val();
                    if (self.code.val() == self.pages.val()) && (self.count.val() < self.sets.val())
                    {
                        self.whole.d.next = false;
                        self.left.d.next = self.count.val();
                    }
                }
            }
            ShootdownState::Mark => {
                self.mark_walks.next = true;
                self.state.d.next = ShootdownState::Walks;
            }
            ShootdownState::Walks => {
                if !self.walks_marked.val() {
                    self.sweeping.d.next = self.left.q.val().any();
                    self.state.d.next = ShootdownState::Sweep;
                }
            }
            ShootdownState::Sweep => {
                self.settle.d.next = 0.into();
                if !self.sweeping.q.val() {
                    self.state.d.next = ShootdownState::Pipeline;
                }
            }
            ShootdownState::Pipeline => {
                // The last invalidation has passed stage 3 after four moves of the pipeline.
                if self.advance.val() && !self.offers.out_valid.val() {
                    self.settle.d.next = self.settle.q.val() + 1;
                }
                if self.settle.q.val().get_bit(2) {
                    self.state.d.next = ShootdownState::Note;
                }
            }
            ShootdownState::Note => {
                self.note.next = true;
                self.state.d.next = ShootdownState::Drain;
            }
            ShootdownState::Drain => {
                if !self.noted.val() {
                    self.is_ready.d.next = true;
                    self.done.next = self.is_ready.q.val();
                    self.state.d.next = ShootdownState::Idle;
                }
            }
            _ => {
                self.state.d.next = ShootdownState::Idle;
            }
        }
        if self.sweeping.q.val() && self.offers.in_ready.val() {
            self.sweeping.d.next = self.left.q.val() != 1;
            self.left.d.next = self.left.q.val() - 1;
            self.set.d.next = self.set.q.val() + 1;
            self.at.d.next = self.at.q.val() + 0x1000;
            if self.at.q.val().get_bit(47) {
                self.at.d.next = self.at.q.val() + 0x200000;
            }
        }
        self.ready.next = self.is_ready.q.val();
        if self.reset.val() {
            self.state.d.next = ShootdownState::Reset;
            self.sweeping.d.next = false;
            self.is_ready.d.next = false;
        }
    }
}
