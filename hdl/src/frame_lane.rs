//! Frames of one size on their way to a fault: pushed, cleared, listed, granted.
//!
//! In: runs of frames (`push`). Out: `grant_valid` with `grant_frame`, taken by `grant_take` in the
//! same cycle, one in two cycles as long as the list holds any; `more` while frames are pushed that
//! are not yet at the head of the list, so that a grant may become valid without software.
//! If `grant_valid` and `more` are both zero, every frame ever pushed was granted or popped.
//!
//! FREE_POP takes from the same head. While a pop is under way no grant is valid, so no frame goes
//! two ways and a pop waits at most three cycles.

use crate::free_list::FreeList;
use crate::registers::{constant, lsb, Access, HwRegister, RwRegister};
use crate::zeroer::{Zeroer, SLOT_BITS};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct FrameLane {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    /// The register being read needs more time.
    pub waits: Signal<Out, Bit>,
    pub push: Signal<In, Bit>,
    pub push_base: Signal<In, Bits<28>>,
    pub push_count: Signal<In, Bits<16>>,
    pub queued: Signal<Out, Bits<8>>,
    pub busy: Signal<Out, Bit>,
    /// PENDING is below its threshold.
    pub low: Signal<Out, Bit>,
    /// Pulse: a frame was cleared.
    pub cleared: Signal<Out, Bit>,
    pub grant_valid: Signal<Out, Bit>,
    pub grant_frame: Signal<Out, Bits<28>>,
    pub grant_take: Signal<In, Bit>,
    pub more: Signal<Out, Bit>,
    pub cmd_valid: Signal<Out, Bit>,
    pub cmd_line: Signal<Out, Bits<34>>,
    pub cmd_slot: Signal<Out, Bits<SLOT_BITS>>,
    pub cmd_ready: Signal<In, Bit>,
    pub ack_valid: Signal<In, Bit>,
    pub ack_slot: Signal<In, Bits<SLOT_BITS>>,

    zeroer: Zeroer,
    list: FreeList,
    free: HwRegister,
    pending: HwRegister,
    threshold: RwRegister,
    pop: HwRegister,
    /// Frames pushed and neither granted nor popped.
    owed: DFF<Bits<24>>,
    /// Of these, the ones listed or being cleared: they have their place in the list.
    placed: DFF<Bits<16>>,
    below: DFF<Bit>,
    /// The head was granted in the last cycle: it leaves the list in this one.
    taken: DFF<Bit>,
    popping: DFF<Bit>,
    popped: DFF<Bits<28>>,
    popped_valid: DFF<Bit>,
    leaves: Signal<Local, Bit>,
    pushed: Signal<Local, Bits<24>>,
    left: Signal<Local, Bits<24>>,
    spoken_for: Signal<Local, Bit>,
    depth: Constant<Bits<16>>,
    count_mask: Constant<Bits<32>>,
    valid_lsb: Constant<Bits<5>>,
}

impl FrameLane {
    /// See [`Zeroer::new`].
    pub fn new(config: &HwConfig, size: PageSize, slots: usize, lines: u32) -> Self {
        let (depth, [free, pending, threshold, pop]) = match size {
            PageSize::Small => (
                config.free_4k,
                [regs::FREE_4K, regs::PENDING_4K, regs::FREE_4K_LOW, regs::FREE_4K_POP],
            ),
            PageSize::Huge => (
                config.free_2m,
                [regs::FREE_2M, regs::PENDING_2M, regs::FREE_2M_LOW, regs::FREE_2M_POP],
            ),
        };
        with_defaults!(Self {
            zeroer: Zeroer::new(config, size, slots, lines),
            list: FreeList::new(depth),
            free: HwRegister::new(&free),
            threshold: RwRegister::new(&threshold, config),
            count_mask: constant(pending.mask() as u64),
            pending: HwRegister::new(&pending),
            pop: HwRegister::new(&pop),
            depth: constant(depth as u64),
            // Both sizes' registers have the same fields.
            valid_lsb: lsb(field::FREE_4K_POP::VALID),
        } clock bus read_data waits push push_base push_count queued busy low cleared grant_valid
          grant_frame grant_take more cmd_valid cmd_line cmd_slot cmd_ready ack_valid ack_slot owed
          placed below taken popping popped popped_valid leaves pushed left spoken_for)
    }
}

impl Logic for FrameLane {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, owed, placed, below, taken, popping, popped, popped_valid);
        clock!(self, clock, zeroer, list, free, pending, threshold, pop);
        self.free.bus.next = self.bus.val();
        self.pending.bus.next = self.bus.val();
        self.threshold.bus.next = self.bus.val();
        self.pop.bus.next = self.bus.val();
        self.zeroer.reset.next = self.bus.val().reset;
        self.list.reset.next = self.bus.val().reset;

        self.zeroer.push.next = self.push.val();
        self.zeroer.push_base.next = self.push_base.val();
        self.zeroer.push_count.next = self.push_count.val();
        self.queued.next = self.zeroer.queued.val();
        self.busy.next = self.zeroer.busy.val();
        self.cmd_valid.next = self.zeroer.cmd_valid.val();
        self.cmd_line.next = self.zeroer.cmd_line.val();
        self.cmd_slot.next = self.zeroer.cmd_slot.val();
        self.zeroer.cmd_ready.next = self.cmd_ready.val();
        self.zeroer.ack_valid.next = self.ack_valid.val();
        self.zeroer.ack_slot.next = self.ack_slot.val();
        self.zeroer.room.next = self.placed.q.val() != self.depth.val();
        self.list.push.next = self.zeroer.cleared.val();
        self.list.push_frame.next = self.zeroer.frame.val();
        self.cleared.next = self.zeroer.cleared.val();

        // A pop takes the head as soon as there is one, or tells that the list is empty.
        if self.pop.reads.val() {
            self.popping.d.next = true;
        }
        if self.popping.q.val() {
            self.popped.d.next = 0.into();
            self.popped_valid.d.next = false;
            if self.list.valid.val() && !self.taken.q.val() {
                self.popping.d.next = false;
                self.popped.d.next = self.list.frame.val();
                self.popped_valid.d.next = true;
            }
            if !self.list.count.val().any() {
                self.popping.d.next = false;
            }
        }
        self.waits.next = self.popping.q.val();
        self.taken.d.next = self.grant_take.val();
        self.grant_valid.next =
            self.list.valid.val() && !self.popping.q.val() && !self.taken.q.val();
        self.grant_frame.next = self.list.frame.val();
        self.leaves.next = self.taken.q.val() || (self.popping.q.val() && self.list.valid.val());
        self.list.take.next = self.leaves.val();

        self.pushed.next = 0.into();
        if self.push.val() {
            self.pushed.next = bit_cast::<24, 16>(self.push_count.val());
        }
        self.left.next = 0.into();
        if self.leaves.val() {
            self.left.next = 1.into();
        }
        self.owed.d.next = (self.owed.q.val() + self.pushed.val()) - self.left.val();
        if self.zeroer.started.val() && !self.leaves.val() {
            self.placed.d.next = self.placed.q.val() + 1;
        }
        if !self.zeroer.started.val() && self.leaves.val() {
            self.placed.d.next = self.placed.q.val() - 1;
        }
        // One frame at the head goes to a grant, or to the pop that is under way.
        self.spoken_for.next =
            self.list.valid.val() || (self.popping.q.val() && self.list.count.val().any());
        self.more.next =
            (self.owed.q.val() > 1) || ((self.owed.q.val() == 1) && !self.spoken_for.val());
        self.below.d.next = self.owed.q.val() < bit_cast::<24, 32>(self.threshold.value.val());
        self.low.next = self.below.q.val();

        self.free.value.next = bit_cast::<32, 16>(self.list.count.val());
        self.pending.value.next = bit_cast::<32, 24>(self.owed.q.val()) & self.count_mask.val();
        self.pop.value.next = (bit_cast::<32, 1>(self.popped_valid.q.val().into())
            << self.valid_lsb.val())
            | bit_cast::<32, 28>(self.popped.q.val());
        self.read_data.next = (self.free.read_data.val() | self.pending.read_data.val())
            | (self.threshold.read_data.val() | self.pop.read_data.val());
        if self.bus.val().reset {
            self.owed.d.next = 0.into();
            self.placed.d.next = 0.into();
            self.below.d.next = false;
            self.taken.d.next = false;
            self.popping.d.next = false;
        }
    }
}
