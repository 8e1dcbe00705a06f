//! Bytes of an answer's frame.
//!
//! In: `start`, a pulse while `idle`, with header and payload length. The payload's bytes are asked
//! for with `at` and must stand at `data` a cycle later. Out: bytes. One takes a hundred cycles, so the
//! next is in a register long before it goes, and no path leads from the memory to the CRC.

use super::crc::CrcStep;
use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::serial::{CRC_START, SYNC};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Sends {
    Nothing,
    Sync,
    Header,
    Payload,
    Check,
}

#[derive(LogicBlock, Default)]
pub struct Sender {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub idle: Signal<Out, Bit>,
    pub start: Signal<In, Bit>,
    /// kind, slot, number, status; the first one lowest.
    pub header: Signal<In, Bits<32>>,
    pub length: Signal<In, Bits<7>>,
    pub at: Signal<Out, Bits<7>>,
    pub data: Signal<In, Bits<8>>,
    pub valid: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub octet: Signal<Out, Bits<8>>,

    crc: CrcStep,
    sends: DFF<Sends>,
    head: DFF<Bits<32>>,
    bytes: DFF<Bits<7>>,
    place: DFF<Bits<7>>,
    check: DFF<Bits<32>>,
    octet_now: DFF<Bits<8>>,
    /// Cycles, as ones, since the byte to send last changed; after two `octet_now` is it.
    settles: DFF<Bits<2>>,
    goes: Signal<Local, Bit>,
    sync: Param<Bits<8>>,
    first: Param<Bits<32>>,
}

impl Sender {
    pub fn new() -> Self {
        Self {
            sync: Param::new(u64::from(SYNC).into()),
            first: Param::new(u64::from(CRC_START).into()),
            ..Default::default()
        }
    }
}

impl Logic for Sender {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, sends, head, bytes, place, check, octet_now, settles);
        self.idle.next = self.sends.q.val() == Sends::Nothing;
        self.at.next = self.place.q.val();
        self.valid.next = self.settles.q.val().get_bit(1);
        self.octet_now.d.next = self.sync.val();
        if self.sends.q.val() == Sends::Header {
            self.octet_now.d.next = bit_cast::<8, 32>(self.head.q.val());
        }
        if self.sends.q.val() == Sends::Payload {
            self.octet_now.d.next = self.data.val();
        }
        if self.sends.q.val() == Sends::Check {
            self.octet_now.d.next = bit_cast::<8, 32>(!self.check.q.val());
        }
        self.octet.next = self.octet_now.q.val();
        self.crc.crc.next = self.check.q.val();
        self.crc.octet.next = self.octet_now.q.val();
        self.goes.next = self.ready.val() && self.settles.q.val().get_bit(1);
        self.settles.d.next = (self.settles.q.val() << 1) | 1;
        if self.goes.val() || (self.sends.q.val() == Sends::Nothing) {
            self.settles.d.next = 0.into();
        }
        if self.start.val() {
            self.sends.d.next = Sends::Sync;
            self.head.d.next = self.header.val();
            self.bytes.d.next = self.length.val();
            self.place.d.next = 0.into();
            self.check.d.next = self.first.val();
        }
        if self.goes.val() {
            self.place.d.next = self.place.q.val() + 1;
            match self.sends.q.val() {
                Sends::Sync => {
                    self.sends.d.next = Sends::Header;
                    self.place.d.next = 0.into();
                }
                Sends::Header => {
                    self.check.d.next = self.crc.result.val();
                    self.head.d.next = self.head.q.val() >> 8;
                    if self.place.q.val() == 3 {
                        self.place.d.next = 0.into();
                        self.sends.d.next = Sends::Payload;
                        if self.bytes.q.val() == 0 {
                            self.sends.d.next = Sends::Check;
                        }
                    }
                }
                Sends::Payload => {
                    self.check.d.next = self.crc.result.val();
                    if (self.place.q.val() + 1) == self.bytes.q.val() {
                        self.place.d.next = 0.into();
                        self.sends.d.next = Sends::Check;
                    }
                }
                Sends::Check => {
                    self.check.d.next = self.check.q.val() >> 8;
                    if self.place.q.val() == 3 {
                        self.sends.d.next = Sends::Nothing;
                    }
                }
                _ => {
                    self.sends.d.next = Sends::Nothing;
                }
            }
        }
        if self.reset.val() {
            self.sends.d.next = Sends::Nothing;
            self.settles.d.next = 0.into();
        }
    }
}
