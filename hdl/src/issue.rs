//! Issue stage: the request that goes to the DRAM next, and its data.
//!
//! Four ways lead here, in this order: an atomic's write, a request woken by the line order, a
//! replayed one (there is one in two cycles at most, so it does not starve the last), one straight out
//! of the TLB. It stays one cycle if there is room before the DRAM port: TLB hits stand here four
//! cycles after they were accepted. If its line is held it is told so before the DRAM port, and waits.

use crate::prim::HeldRam;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct Issue {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// A request was accepted: its data are kept by slot.
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    pub accept_mask: Signal<In, Bits<64>>,
    pub accept_data: Signal<In, Bits<512>>,

    /// An atomic's write: 8 bytes at word `amo_word`.
    pub amo_valid: Signal<In, Bit>,
    pub amo_slot: Signal<In, Bits<7>>,
    pub amo_word: Signal<In, Bits<3>>,
    pub amo_data: Signal<In, Bits<64>>,
    pub amo_take: Signal<Out, Bit>,
    pub wake_valid: Signal<In, Bit>,
    pub wake_slot: Signal<In, Bits<7>>,
    pub wake_take: Signal<Out, Bit>,
    pub look_slot: Signal<Out, Bits<7>>,
    pub look_line: Signal<In, Bits<34>>,
    pub look_write: Signal<In, Bit>,
    /// A replayed waiter wants the next place; it may have it; it takes it.
    pub replay_active: Signal<In, Bit>,
    pub replay_ready: Signal<Out, Bit>,
    pub replay_issue: Signal<In, Bit>,
    pub replay_slot: Signal<In, Bits<7>>,
    pub replay_write: Signal<In, Bit>,
    pub replay_line: Signal<In, Bits<34>>,
    pub hit_ready: Signal<Out, Bit>,
    pub hit_issue: Signal<In, Bit>,
    pub hit_slot: Signal<In, Bits<7>>,
    pub hit_write: Signal<In, Bit>,
    pub hit_line: Signal<In, Bits<34>>,

    /// Line order: `slot` and `line` are those of the stage.
    pub slot: Signal<Out, Bits<7>>,
    pub line: Signal<Out, Bits<34>>,
    pub write: Signal<Out, Bit>,
    pub pass: Signal<Out, Bit>,

    /// To the DRAM port.
    pub valid: Signal<Out, Bit>,
    pub amo: Signal<Out, Bit>,
    pub mask: Signal<Out, Bits<64>>,
    pub data: Signal<Out, Bits<512>>,
    /// There is room for it.
    pub ready: Signal<In, Bit>,

    store: HeldRam<Bits<512>, 7>,
    masks: HeldRam<Bits<64>, 7>,
    s_valid: DFF<Bit>,
    s_ordered: DFF<Bit>,
    s_amo: DFF<Bit>,
    s_write: DFF<Bit>,
    s_slot: DFF<Bits<7>>,
    s_line: DFF<Bits<34>>,
    s_amo_mask: DFF<Bits<64>>,
    s_amo_data: DFF<Bits<64>>,
    free: Signal<Local, Bit>,
    open: Signal<Local, Bit>,
    take_slot: Signal<Local, Bits<7>>,
    amo_shift: Signal<Local, Bits<64>>,
    low_byte: Signal<Local, Bits<64>>,
}

impl Issue {
    pub fn new(config: &HwConfig) -> Self {
        let slots = 2 * config.port_slots as usize;
        Self { store: HeldRam::loose(slots), masks: HeldRam::loose(slots), ..Default::default() }
    }
}

impl Logic for Issue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, s_valid, s_ordered, s_amo, s_write, s_slot, s_line, s_amo_mask, s_amo_data
        );
        self.store.clock.next = self.clock.val();
        self.store.write_enable.next = self.accept.val();
        self.store.write_address.next = self.accept_slot.val();
        self.store.write_data.next = self.accept_data.val();
        self.masks.clock.next = self.clock.val();
        self.masks.write_enable.next = self.accept.val();
        self.masks.write_address.next = self.accept_slot.val();
        self.masks.write_data.next = self.accept_mask.val();

        self.free.next = !self.s_valid.q.val() || self.ready.val();
        self.amo_take.next = self.amo_valid.val() && self.free.val();
        self.wake_take.next = self.wake_valid.val() && self.free.val() && !self.amo_valid.val();
        self.open.next = self.free.val() && !self.amo_valid.val() && !self.wake_valid.val();
        self.replay_ready.next = self.open.val() && self.replay_active.val();
        self.hit_ready.next = self.open.val() && !self.replay_active.val();
        self.look_slot.next = self.wake_slot.val();
        if self.amo_valid.val() {
            self.look_slot.next = self.amo_slot.val();
        }

        self.take_slot.next = self.hit_slot.val();
        if self.replay_active.val() {
            self.take_slot.next = self.replay_slot.val();
        }
        if self.wake_valid.val() {
            self.take_slot.next = self.wake_slot.val();
        }
        if self.amo_valid.val() {
            self.take_slot.next = self.amo_slot.val();
        }
        self.amo_shift.next = bit_cast::<64, 3>(self.amo_word.val()) << 3;
        self.low_byte.next = 0xff.into();
        if self.free.val() {
            self.s_slot.d.next = self.take_slot.val();
            self.s_valid.d.next = self.amo_valid.val()
                || self.wake_valid.val()
                || self.replay_issue.val()
                || self.hit_issue.val();
            self.s_ordered.d.next = self.amo_valid.val() || self.wake_valid.val();
            self.s_amo.d.next = self.amo_valid.val();
            self.s_amo_mask.d.next = (self.low_byte.val()) << (self.amo_shift.val());
            self.s_amo_data.d.next = self.amo_data.val();
            self.s_line.d.next = self.hit_line.val();
            self.s_write.d.next = self.hit_write.val();
            if self.replay_active.val() {
                self.s_line.d.next = self.replay_line.val();
                self.s_write.d.next = self.replay_write.val();
            }
            if self.wake_valid.val() {
                self.s_line.d.next = self.look_line.val();
                self.s_write.d.next = self.look_write.val();
            }
            if self.amo_valid.val() {
                self.s_line.d.next = self.look_line.val();
                self.s_write.d.next = true;
            }
        }
        self.store.read_enable.next = self.free.val();
        self.store.read_address.next = self.take_slot.val();
        self.masks.read_enable.next = self.free.val();
        self.masks.read_address.next = self.take_slot.val();

        self.slot.next = self.s_slot.q.val();
        self.line.next = self.s_line.q.val();
        self.write.next = self.s_write.q.val();
        self.pass.next = self.s_valid.q.val() && self.ready.val() && !self.s_ordered.q.val();
        self.valid.next = self.s_valid.q.val();
        self.amo.next = self.s_amo.q.val();
        self.mask.next = self.masks.read_data.val();
        self.data.next = self.store.read_data.val();
        if self.s_amo.q.val() {
            self.mask.next = self.s_amo_mask.q.val();
            self.data.next = (bit_cast::<512, 64>(self.s_amo_data.q.val()))
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 64)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 128)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 192)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 256)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 320)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 384)
                | (bit_cast::<512, 64>(self.s_amo_data.q.val()) << 448);
        }
        if self.reset.val() {
            self.s_valid.d.next = false;
        }
    }
}
