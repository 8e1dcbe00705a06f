//! Line order: two requests to one physical line take effect one after the other.
//!
//! Every slot that is in flight holds its line. A request whose line is held waits behind the last
//! one to hold it (a chain, one link a slot) and is woken when that one took effect. So a DRAM
//! controller may reorder as it likes, an atomic's read and write stand together, and it makes no
//! difference through which pid or port a line is reached.

use crate::fifo::Fifo;
use crate::line_slot::LineSlot;
use crate::prim::LutRam;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct LineOrder {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,

    /// The issue stage's request: its line is held by another.
    pub slot: Signal<In, Bits<7>>,
    pub line: Signal<In, Bits<34>>,
    pub write: Signal<In, Bit>,
    pub conflict: Signal<Out, Bit>,
    /// It leaves the issue stage for the first time, to the DRAM or to wait.
    pub pass: Signal<In, Bit>,

    pub finish: Signal<In, Bit>,
    pub finish_slot: Signal<In, Bits<7>>,

    /// A request whose turn has come.
    pub wake_valid: Signal<Out, Bit>,
    pub wake_slot: Signal<Out, Bits<7>>,
    pub wake_take: Signal<In, Bit>,
    /// Line and kind of any slot that has passed.
    pub look_slot: Signal<In, Bits<7>>,
    pub look_line: Signal<Out, Bits<34>>,
    pub look_write: Signal<Out, Bit>,

    pub mark: Signal<In, Bit>,
    pub any_marked: Signal<Out, Bit>,
    pub idle: Signal<Out, Bit>,

    slots: Vec<LineSlot>,
    _slots: usize,
    behind: LutRam<Bits<7>, 7>,
    lines: LutRam<Bits<35>, 7>,
    woken: Fifo<Bits<7>>,
    hit: Signal<Local, Bit>,
    holder: Signal<Local, Bits<7>>,
    wakes: Signal<Local, Bit>,
    marked: Signal<Local, Bit>,
    active: Signal<Local, Bit>,
}

impl LineOrder {
    pub fn new(config: &HwConfig) -> Self {
        let slots = 2 * config.port_slots as usize;
        Self {
            slots: (0..slots).map(LineSlot::new).collect(),
            _slots: slots,
            behind: LutRam::new(slots),
            lines: LutRam::new(slots),
            woken: Fifo::new(slots),
            ..Default::default()
        }
    }
}

impl Logic for LineOrder {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, behind, lines, woken);
        self.woken.reset.next = self.reset.val();
        self.hit.next = false;
        self.holder.next = 0.into();
        self.wakes.next = false;
        self.marked.next = false;
        self.active.next = false;
        for i in 0..self._slots {
            self.hit.next = self.hit.val() || self.slots[i].equal.val();
            self.holder.next = (self.holder.val()) | (self.slots[i].match_slot.val());
            self.wakes.next = self.wakes.val() || self.slots[i].wakes.val();
            self.marked.next = self.marked.val() || self.slots[i].marked.val();
            self.active.next = self.active.val() || self.slots[i].active.val();
        }
        self.conflict.next = self.hit.val();
        self.any_marked.next = self.marked.val();
        self.idle.next = !self.active.val();

        self.behind.write_enable.next = self.pass.val() && self.hit.val();
        self.behind.write_address.next = self.holder.val();
        self.behind.write_data.next = self.slot.val();
        self.behind.read_address.next = self.finish_slot.val();
        self.woken.push.next = self.wakes.val();
        self.woken.push_data.next = self.behind.read_data.val();
        self.wake_valid.next = self.woken.nonempty.val();
        self.wake_slot.next = self.woken.head.val();
        self.woken.pop.next = self.wake_take.val();
        self.lines.write_enable.next = self.pass.val();
        self.lines.write_address.next = self.slot.val();
        self.lines.write_data.next = bit_cast::<35, 34>(self.line.val())
            | (bit_cast::<35, 1>(self.write.val().into()) << 34);
        self.lines.read_address.next = self.look_slot.val();
        self.look_line.next = self.lines.read_data.val().get_bits::<34>(0);
        self.look_write.next = self.lines.read_data.val().get_bit(34);

        for i in 0..self._slots {
            self.slots[i].clock.next = self.clock.val();
            self.slots[i].reset.next = self.reset.val();
            self.slots[i].accept.next = self.accept.val();
            self.slots[i].accept_slot.next = self.accept_slot.val();
            self.slots[i].line.next = self.line.val();
            self.slots[i].pass.next = self.pass.val();
            self.slots[i].pass_slot.next = self.slot.val();
            self.slots[i].waits.next = self.pass.val() && self.hit.val();
            self.slots[i].behind.next = self.holder.val();
            self.slots[i].finish.next = self.finish.val();
            self.slots[i].finish_slot.next = self.finish_slot.val();
            self.slots[i].mark.next = self.mark.val();
        }
    }
}
