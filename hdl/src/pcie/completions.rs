//! Completions: puts entries into the completion ring.
//!
//! In: commands that have ended. Out: a memory write of four dwords each, and then a pulse for the
//! interrupt when no other one is at hand: entries that come together share an interrupt. An entry
//! follows the data of its command, because both go through the same stream in order, and the
//! interrupt's message follows the entry.

use super::account::Ended;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Completions {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub starts: Signal<In, Bit>,
    pub base: Signal<In, Bits<64>>,
    pub ring_log2: Signal<In, Bits<4>>,
    pub requester: Signal<In, Bits<16>>,
    pub end_valid: Signal<In, Bit>,
    pub end_ready: Signal<Out, Bit>,
    pub end_record: Signal<In, Ended>,
    pub valid: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub header: Signal<Out, Bits<128>>,
    pub data: Signal<Out, Bits<512>>,
    /// Pulse: the host is to be interrupted.
    pub interrupt: Signal<Out, Bit>,

    /// Entries written, modulo 65536.
    written: DFF<Bits<16>>,
    told: DFF<Bit>,
    entries: Signal<Local, Bits<16>>,
    one: Signal<Local, Bits<16>>,
    round: Signal<Local, Bits<16>>,
    place: Signal<Local, Bits<64>>,
    address: Signal<Local, Bits<64>>,
    current: Signal<Local, Ended>,
    word: Signal<Local, Bits<32>>,
    dw0: Signal<Local, Bits<32>>,
    dw1: Signal<Local, Bits<32>>,
}

impl Logic for Completions {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, written, told);
        self.one.next = 1.into();
        self.entries.next = self.one.val() << self.ring_log2.val();
        self.place.next = bit_cast::<64, 16>(self.written.q.val() & (self.entries.val() - 1)) << 4;
        self.address.next = self.base.val() + self.place.val();
        self.round.next = self.written.q.val() & self.entries.val();
        self.current.next = self.end_record.val();
        self.word.next = bit_cast::<32, 16>(self.current.val().id)
            | (bit_cast::<32, 8>(self.current.val().status) << 16);
        if !self.round.val().any() {
            self.word.next = bit_cast::<32, 16>(self.current.val().id)
                | (bit_cast::<32, 8>(self.current.val().status) << 16)
                | (bit_cast::<32, 1>(true.into()) << 31);
        }
        self.data.next = bit_cast::<512, 32>(self.word.val())
            | (bit_cast::<512, 32>(self.current.val().cycles) << 32)
            | (bit_cast::<512, 64>(self.current.val().value) << 64);
        self.dw0.next = 4.into();
        self.dw1.next = (bit_cast::<32, 16>(self.requester.val()) << 16) | 0xff;
        self.header.next = bit_cast::<128, 32>(self.dw0.val())
            | (bit_cast::<128, 1>(true.into()) << 30)
            | (bit_cast::<128, 32>(self.dw1.val()) << 32)
            | (bit_cast::<128, 32>(self.address.val().get_bits::<32>(0)) << 64);
        if self.address.val().get_bits::<32>(32).any() {
            self.header.next = bit_cast::<128, 32>(self.dw0.val())
                | (bit_cast::<128, 2>(3.into()) << 29)
                | (bit_cast::<128, 32>(self.dw1.val()) << 32)
                | (bit_cast::<128, 32>(self.address.val().get_bits::<32>(32)) << 64)
                | (bit_cast::<128, 32>(self.address.val().get_bits::<32>(0)) << 96);
        }
        self.valid.next = self.end_valid.val();
        self.end_ready.next = self.ready.val();
        self.interrupt.next = self.told.q.val() && !self.end_valid.val();
        if self.interrupt.val() {
            self.told.d.next = false;
        }
        if self.end_valid.val() && self.ready.val() {
            self.written.d.next = self.written.q.val() + 1;
            self.told.d.next = true;
        }
        if self.starts.val() {
            self.written.d.next = 0.into();
        }
        if self.reset.val() {
            self.written.d.next = 0.into();
            self.told.d.next = false;
        }
    }
}
