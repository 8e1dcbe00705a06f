//! Requester: puts what goes to the host into one stream.
//!
//! In: completion entries, MSI-X messages, read requests, and data, in this order of precedence. Out:
//! the `rq` stream. What was offered stays until it is taken; the beats of a TLP stay together. Read
//! requests are held back while the hard IP has no room for non-posted ones (`nonposted_ok`), so that
//! the posted ones can pass them.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Requester {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub requester: Signal<In, Bits<16>>,
    pub nonposted_ok: Signal<In, Bit>,

    pub entry_valid: Signal<In, Bit>,
    pub entry_ready: Signal<Out, Bit>,
    pub entry_header: Signal<In, Bits<128>>,
    pub entry_data: Signal<In, Bits<512>>,
    pub message_valid: Signal<In, Bit>,
    pub message_ready: Signal<Out, Bit>,
    pub message_address: Signal<In, Bits<64>>,
    pub message_data: Signal<In, Bits<32>>,
    pub ask_valid: Signal<In, Bit>,
    pub ask_ready: Signal<Out, Bit>,
    pub ask_header: Signal<In, Bits<128>>,
    pub data_valid: Signal<In, Bit>,
    pub data_ready: Signal<Out, Bit>,
    pub data_first: Signal<In, Bit>,
    pub data_last: Signal<In, Bit>,
    pub data_header: Signal<In, Bits<128>>,
    pub data: Signal<In, Bits<512>>,

    pub rq_valid: Signal<Out, Bit>,
    pub rq_ready: Signal<In, Bit>,
    pub rq_first: Signal<Out, Bit>,
    pub rq_last: Signal<Out, Bit>,
    pub rq_header: Signal<Out, Bits<128>>,
    pub rq_data: Signal<Out, Bits<512>>,
    pub rq_dwords: Signal<Out, Bits<5>>,

    // The beat that is offered.
    valid: DFF<Bit>,
    first: DFF<Bit>,
    last: DFF<Bit>,
    header: DFF<Bits<128>>,
    payload: DFF<Bits<512>>,
    dwords: DFF<Bits<5>>,
    /// In the middle of data.
    within_tlp: DFF<Bit>,
    free: Signal<Local, Bit>,
    message: Signal<Local, Bits<128>>,
}

impl Logic for Requester {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, valid, first, last, header, payload, dwords, within_tlp);
        self.rq_valid.next = self.valid.q.val();
        self.rq_first.next = self.first.q.val();
        self.rq_last.next = self.last.q.val();
        self.rq_header.next = self.header.q.val();
        self.rq_data.next = self.payload.q.val();
        self.rq_dwords.next = self.dwords.q.val();
        self.free.next = (!self.valid.q.val()) || self.rq_ready.val();
        self.entry_ready.next = false;
        self.message_ready.next = false;
        self.ask_ready.next = false;
        self.data_ready.next = false;
        // A memory write of one dword.
        self.message.next = bit_cast::<128, 1>(true.into())
            | (bit_cast::<128, 1>(true.into()) << 30)
            | (bit_cast::<128, 4>(15.into()) << 32)
            | (bit_cast::<128, 16>(self.requester.val()) << 48)
            | (bit_cast::<128, 32>(self.message_address.val().get_bits::<32>(0)) << 64);
        if self.message_address.val().get_bits::<32>(32).any() {
            self.message.next = bit_cast::<128, 1>(true.into())
                | (bit_cast::<128, 2>(3.into()) << 29)
                | (bit_cast::<128, 4>(15.into()) << 32)
                | (bit_cast::<128, 16>(self.requester.val()) << 48)
                | (bit_cast::<128, 32>(self.message_address.val().get_bits::<32>(32)) << 64)
                | (bit_cast::<128, 32>(self.message_address.val().get_bits::<32>(0)) << 96);
        }
        if self.free.val() {
            self.valid.d.next = false;
            self.first.d.next = true;
            self.last.d.next = true;
            if (!self.within_tlp.q.val()) && self.entry_valid.val() {
                self.entry_ready.next = true;
                self.valid.d.next = true;
                self.header.d.next = self.entry_header.val();
                self.payload.d.next = self.entry_data.val();
                self.dwords.d.next = 4.into();
            } else if (!self.within_tlp.q.val()) && self.message_valid.val() {
                self.message_ready.next = true;
                self.valid.d.next = true;
                self.header.d.next = self.message.val();
                self.payload.d.next = bit_cast::<512, 32>(self.message_data.val());
                self.dwords.d.next = 1.into();
            } else if (!self.within_tlp.q.val()) && self.ask_valid.val() && self.nonposted_ok.val()
            {
                self.ask_ready.next = true;
                self.valid.d.next = true;
                self.header.d.next = self.ask_header.val();
                self.dwords.d.next = 0.into();
            } else if self.data_valid.val() {
                self.data_ready.next = true;
                self.valid.d.next = true;
                self.first.d.next = self.data_first.val();
                self.last.d.next = self.data_last.val();
                self.header.d.next = self.data_header.val();
                self.payload.d.next = self.data.val();
                self.dwords.d.next = 16.into();
                self.within_tlp.d.next = !self.data_last.val();
            }
        }
        if self.reset.val() {
            self.valid.d.next = false;
            self.within_tlp.d.next = false;
        }
    }
}
