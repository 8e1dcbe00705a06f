//! MSI-X: the table, the pending bits, and the messages.
//!
//! In: a pulse per vector, page 3 of BAR0, and from configuration space MSI-X enable and function
//! mask. Out: one message at a time, a posted write of one dword; valid stays with a stable payload
//! until ready. A vector that is masked stays pending and is sent when it is unmasked. Pulses that
//! come while a vector is pending are one message (PCI Local Bus Specification 3.0, section 6.8.2).

use crate::prim::LutRam;
use crate::registers::Access;
use rust_hdl::prelude::*;
use splitmem_abi::pcie;

/// The table's addresses and data, read within the cycle: the bus's entry while an access to the page
/// is under way, that of `vector` otherwise.
#[derive(LogicBlock, Default)]
pub struct Messages {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub page: Signal<In, Bits<2>>,
    pub vector: Signal<In, Bits<2>>,
    pub address_low: Signal<Out, Bits<32>>,
    pub address_high: Signal<Out, Bits<32>>,
    pub data: Signal<Out, Bits<32>>,
    low: LutRam<Bits<32>, 2>,
    high: LutRam<Bits<32>, 2>,
    message: LutRam<Bits<32>, 2>,
    index: Signal<Local, Bits<2>>,
    look: Signal<Local, Bits<2>>,
    word: Signal<Local, Bits<2>>,
    in_table: Signal<Local, Bit>,
}

impl Messages {
    pub fn new() -> Self {
        let depth = pcie::VECTORS as usize;
        Self {
            low: LutRam::new(depth),
            high: LutRam::new(depth),
            message: LutRam::new(depth),
            ..Default::default()
        }
    }
}

impl Logic for Messages {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, low, high, message);
        self.index.next = bit_cast::<2, 10>(self.bus.val().address >> 2);
        self.word.next = bit_cast::<2, 10>(self.bus.val().address);
        self.in_table.next =
            self.bus.val().write && !bit_cast::<6, 10>(self.bus.val().address >> 4).any();
        self.look.next = self.vector.val();
        if self.page.val() == 3 {
            self.look.next = self.index.val();
        }
        self.low.read_address.next = self.look.val();
        self.high.read_address.next = self.look.val();
        self.message.read_address.next = self.look.val();
        self.low.write_address.next = self.index.val();
        self.high.write_address.next = self.index.val();
        self.message.write_address.next = self.index.val();
        self.low.write_data.next = self.bus.val().data;
        self.high.write_data.next = self.bus.val().data;
        self.message.write_data.next = self.bus.val().data;
        self.low.write_enable.next = self.in_table.val() && (self.word.val() == 0);
        self.high.write_enable.next = self.in_table.val() && (self.word.val() == 1);
        self.message.write_enable.next = self.in_table.val() && (self.word.val() == 2);
        self.address_low.next = self.low.read_data.val();
        self.address_high.next = self.high.read_data.val();
        self.data.next = self.message.read_data.val();
    }
}

#[derive(LogicBlock, Default)]
pub struct Msix {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub page: Signal<In, Bits<2>>,
    pub read_data: Signal<Out, Bits<32>>,
    pub enable: Signal<In, Bit>,
    pub function_mask: Signal<In, Bit>,
    pub fire: Signal<In, Bits<4>>,

    pub valid: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub address: Signal<Out, Bits<64>>,
    pub data: Signal<Out, Bits<32>>,

    messages: Messages,
    /// Vectors not masked, a reset's value being masked.
    open: DFF<Bits<4>>,
    pending: DFF<Bits<4>>,
    sendable: Signal<Local, Bits<4>>,
    vector: DFF<Bits<2>>,
    chosen: DFF<Bit>,
    offered: DFF<Bit>,
    out_address: DFF<Bits<64>>,
    out_data: DFF<Bits<32>>,
    index: Signal<Local, Bits<2>>,
    word: Signal<Local, Bits<2>>,
    in_table: Signal<Local, Bit>,
    one: Signal<Local, Bits<4>>,
    vector_bit: Signal<Local, Bits<4>>,
    cleared: Signal<Local, Bits<4>>,
    written: Signal<Local, Bits<32>>,
}

impl Msix {
    pub fn new() -> Self {
        Self { messages: Messages::new(), ..Default::default() }
    }
}

impl Logic for Msix {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, open, pending, vector, chosen, offered, out_address, out_data);
        clock!(self, clock, messages);
        self.index.next = bit_cast::<2, 10>(self.bus.val().address >> 2);
        self.word.next = bit_cast::<2, 10>(self.bus.val().address);
        self.in_table.next = !bit_cast::<6, 10>(self.bus.val().address >> 4).any();
        self.messages.bus.next = self.bus.val();
        self.messages.page.next = self.page.val();
        self.messages.vector.next = self.vector.q.val();
        self.one.next = 1.into();
        self.vector_bit.next = self.one.val() << self.index.val();
        self.written.next = self.bus.val().data;
        if self.bus.val().write && self.in_table.val() && (self.word.val() == 3) {
            if self.written.val().get_bit(0) {
                self.open.d.next = self.open.q.val() & (!self.vector_bit.val());
            } else {
                self.open.d.next = self.open.q.val() | self.vector_bit.val();
            }
        }
        self.read_data.next = 0.into();
        if self.page.val() == 3 {
            if self.in_table.val() {
                if self.word.val() == 0 {
                    self.read_data.next = self.messages.address_low.val();
                } else if self.word.val() == 1 {
                    self.read_data.next = self.messages.address_high.val();
                } else if self.word.val() == 2 {
                    self.read_data.next = self.messages.data.val();
                } else {
                    self.read_data.next = 1.into();
                    if self.open.q.val().get_bit(self.index.val().index()) {
                        self.read_data.next = 0.into();
                    }
                }
            } else if bit_cast::<10, 10>(self.bus.val().address) == 512 {
                self.read_data.next = bit_cast::<32, 4>(self.pending.q.val());
            }
        }

        // A vector is chosen, then its entry read, then it is offered. The bus has the table's read
        // port while an access to the page is under way.
        self.sendable.next = 0.into();
        if self.enable.val() && !self.function_mask.val() {
            self.sendable.next = self.pending.q.val() & self.open.q.val();
        }
        self.valid.next = self.offered.q.val();
        self.address.next = self.out_address.q.val();
        self.data.next = self.out_data.q.val();
        self.cleared.next = 0.into();
        if self.offered.q.val() {
            self.chosen.d.next = false;
            if self.ready.val() {
                self.offered.d.next = false;
            }
        } else if !self.chosen.q.val() {
            if self.sendable.val().any() && (self.page.val() != 3) {
                self.chosen.d.next = true;
                self.vector.d.next = 3.into();
                if self.sendable.val().get_bit(2) {
                    self.vector.d.next = 2.into();
                }
                if self.sendable.val().get_bit(1) {
                    self.vector.d.next = 1.into();
                }
                if self.sendable.val().get_bit(0) {
                    self.vector.d.next = 0.into();
                }
            }
        } else {
            self.chosen.d.next = false;
            if self.page.val() != 3 {
                self.offered.d.next = true;
                self.out_address.d.next = bit_cast::<64, 32>(self.messages.address_low.val())
                    | (bit_cast::<64, 32>(self.messages.address_high.val()) << 32);
                self.out_data.d.next = self.messages.data.val();
                self.cleared.next = self.one.val() << self.vector.q.val();
            }
        }
        self.pending.d.next = (self.pending.q.val() & (!self.cleared.val())) | self.fire.val();
        if self.bus.val().reset {
            self.open.d.next = 0.into();
            self.pending.d.next = 0.into();
            self.chosen.d.next = false;
            self.offered.d.next = false;
        }
    }
}
