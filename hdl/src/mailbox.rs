//! The mailbox between host and monitor.
//!
//! In: the inner bus. Out: two pulses, `doorbell` (a command stands ready) and `reply` (it was
//! answered), and `refuse`, up while the host may not write the selected register: the command or
//! the payload while the monitor owns the mailbox.
//!
//! The monitor owns the mailbox from the host's doorbell to its own. Each side's doorbell counts
//! only when it is that side's turn.

use crate::prim::BlockRam;
use crate::registers::{lsb, Access, HwRegister, RwRegister, Select};
use crate::written::WrittenWords;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct Mailbox {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub refuse: Signal<Out, Bit>,
    pub doorbell: Signal<Out, Bit>,
    pub reply: Signal<Out, Bit>,

    command: RwRegister,
    status: RwRegister,
    bell: HwRegister,
    payload_select: Select,
    payload: BlockRam<Bits<32>, 6>,
    written: WrittenWords,
    /// The word that the RAM shows was written; the selected word: a block RAM's output comes late in its
    /// cycle.
    shows: DFF<Bit>,
    taken: DFF<Bits<32>>,
    owned: DFF<Bit>,
    data: Signal<Local, Bits<32>>,
    rung: Signal<Local, Bit>,
    busy_lsb: Constant<Bits<5>>,
}

impl Mailbox {
    pub fn new(config: &HwConfig) -> Self {
        with_defaults!(Self {
            command: RwRegister::new(&regs::MB_COMMAND, config),
            status: RwRegister::new(&regs::MB_STATUS, config),
            bell: HwRegister::new(&regs::MB_DOORBELL),
            payload_select: Select::new(&regs::MB_PAYLOAD),
            payload: BlockRam::new(regs::MAILBOX_WORDS),
            busy_lsb: lsb(field::MB_DOORBELL::BUSY),
        } clock bus read_data refuse doorbell reply written shows taken owned data rung)
    }
}

impl Logic for Mailbox {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, owned, shows, taken);
        clock!(self, clock, command, status, bell, payload_select);
        clock!(self, clock, payload, written);
        self.command.bus.next = self.bus.val();
        self.status.bus.next = self.bus.val();
        self.bell.bus.next = self.bus.val();
        self.payload_select.bus.next = self.bus.val();

        self.data.next = self.bus.val().data;
        self.rung.next =
            self.bell.writes.val() && self.data.val().get_bit(self.busy_lsb.val().index());
        self.doorbell.next = self.rung.val() && self.bus.val().host && !self.owned.q.val();
        self.reply.next = self.rung.val() && !self.bus.val().host && self.owned.q.val();
        if self.doorbell.val() {
            self.owned.d.next = true;
        }
        if self.reply.val() {
            self.owned.d.next = false;
        }
        self.bell.value.next = bit_cast::<32, 1>(self.owned.q.val().into()) << self.busy_lsb.val();
        self.refuse.next = self.bus.val().host
            && self.owned.q.val()
            && (self.command.selected.val() || self.payload_select.selected.val());

        self.payload.read_address.next = bit_cast::<6, 10>(self.bus.val().address);
        self.payload.write_address.next = bit_cast::<6, 10>(self.bus.val().address);
        self.payload.write_data.next = self.bus.val().data;
        self.payload.write_enable.next = self.payload_select.writes.val();
        self.written.index.next = bit_cast::<6, 10>(self.bus.val().address);
        self.written.set.next = self.payload_select.writes.val();
        self.written.clear.next = self.bus.val().reset;

        self.taken.d.next = 0.into();
        self.shows.d.next = self.written.bits.val().get_bit(self.written.index.val().index());
        if self.payload_select.selected.val() && self.shows.q.val() {
            self.taken.d.next = self.payload.read_data.val();
        }
        self.read_data.next = (self.command.read_data.val() | self.status.read_data.val())
            | (self.bell.read_data.val() | self.taken.q.val());
        if self.bus.val().reset {
            self.owned.d.next = false;
        }
    }
}
