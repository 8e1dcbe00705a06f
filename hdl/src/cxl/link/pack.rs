//! Answers into slots of flits to the host (sections 4.2.3 to 4.2.5).
//!
//! A flit with a header has in slot 0 one DRS and one NDR (H3), or one NDR (H4): the transaction layer
//! gives at most one answer a cycle, so more never wait for long. Behind it stand the chunks that are
//! due, then the first ones of the line that slot 0 announces. Each announcement leaves one chunk more
//! for the next flit; four of them are an all-data flit. So four lines take five flits.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Pack {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The answers at hand.
    pub ndr_tag: Signal<In, Bits<16>>,
    pub ndr_ld: Signal<In, Bits<4>>,
    pub drs_tag: Signal<In, Bits<16>>,
    pub drs_ld: Signal<In, Bits<4>>,
    pub drs_poison: Signal<In, Bit>,
    pub drs_data: Signal<In, Bits<512>>,
    pub load: Signal<In, Bits<2>>,
    /// What goes into the flit, and what its header returns.
    pub with_drs: Signal<In, Bit>,
    pub with_ndr: Signal<In, Bit>,
    pub ack: Signal<In, Bit>,
    pub req_credit: Signal<In, Bits<4>>,
    pub data_credit: Signal<In, Bits<4>>,
    /// The flit leaves: the one with a header, or the one of data alone.
    pub take_header: Signal<In, Bit>,
    pub take_data: Signal<In, Bit>,
    pub header_flit: Signal<Out, Bits<512>>,
    pub data_flit: Signal<Out, Bits<512>>,
    /// Chunks are due; a whole flit of them.
    pub due: Signal<Out, Bit>,
    pub all_data: Signal<Out, Bit>,

    rest: DFF<Bits<512>>,
    chunks: DFF<Bits<3>>,
    line: Signal<Local, Bits<512>>,
    data: Signal<Local, Bits<384>>,
    drs: Signal<Local, Bits<40>>,
    ndr: Signal<Local, Bits<30>>,
    slot: Signal<Local, Bits<96>>,
    format: Signal<Local, Bits<32>>,
    header: Signal<Local, Bits<32>>,
}

impl Logic for Pack {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, rest, chunks);
        self.due.next = self.chunks.q.val().any();
        self.all_data.next = self.chunks.q.val().get_bit(2);
        self.data_flit.next = self.rest.q.val();

        // DRS (3.3.10): Valid, MemData, MetaField No-Op (3), MetaValue 0, Tag, Poison, LD-ID, DevLoad.
        self.drs.next = 0.into();
        if self.with_drs.val() {
            self.drs.next = ((bit_cast::<40, 16>(self.drs_tag.val()) << 8)
                | (bit_cast::<40, 1>(self.drs_poison.val().into()) << 24))
                | ((bit_cast::<40, 4>(self.drs_ld.val()) << 25)
                    | (bit_cast::<40, 2>(self.load.val()) << 29))
                | 0x31;
        }
        // NDR (3.3.9): Valid, Cmp, MetaField No-Op, MetaValue 0, Tag, LD-ID, DevLoad.
        self.ndr.next = 0.into();
        if self.with_ndr.val() {
            self.ndr.next = (bit_cast::<30, 16>(self.ndr_tag.val()) << 8)
                | ((bit_cast::<30, 4>(self.ndr_ld.val()) << 24)
                    | (bit_cast::<30, 2>(self.load.val()) << 28))
                | 0x31;
        }
        // H3: DRS, then NDR. H4: two NDR without their DevLoad, then both DevLoad; the second is none.
        self.slot.next =
            bit_cast::<96, 40>(self.drs.val()) | (bit_cast::<96, 30>(self.ndr.val()) << 40);
        if !self.with_drs.val() {
            self.slot.next = bit_cast::<96, 28>(self.ndr.val().get_bits::<28>(0))
                | (bit_cast::<96, 2>(self.ndr.val().get_bits::<2>(28)) << 56);
        }
        // Ak 2, Sz 4 (lines are whole), Slot0 7:5, ReqCrd 27:24, DataCrd 31:28. Slots 1 to 3 are G0.
        self.format.next = 0.into();
        if self.with_ndr.val() {
            self.format.next = 0x80.into();
        }
        if self.with_drs.val() {
            self.format.next = 0x70.into();
        }
        self.header.next = (self.format.val() | (bit_cast::<32, 1>(self.ack.val().into()) << 2))
            | ((bit_cast::<32, 4>(self.req_credit.val()) << 24)
                | (bit_cast::<32, 4>(self.data_credit.val()) << 28));

        self.line.next = 0.into();
        if self.with_drs.val() {
            self.line.next = self.drs_data.val();
        }
        // Beyond the chunks that are due, the rest is zero.
        self.data.next = bit_cast::<384, 512>(self.rest.q.val());
        if self.chunks.q.val() == 0 {
            self.data.next = bit_cast::<384, 512>(self.line.val());
        }
        if self.chunks.q.val() == 1 {
            self.data.next = bit_cast::<384, 512>(self.rest.q.val())
                | (bit_cast::<384, 256>(self.line.val().get_bits::<256>(0)) << 128);
        }
        if self.chunks.q.val() == 2 {
            self.data.next = bit_cast::<384, 512>(self.rest.q.val())
                | (bit_cast::<384, 128>(self.line.val().get_bits::<128>(0)) << 256);
        }
        self.header_flit.next = bit_cast::<512, 32>(self.header.val())
            | ((bit_cast::<512, 96>(self.slot.val()) << 32)
                | (bit_cast::<512, 384>(self.data.val()) << 128));

        if self.take_data.val() {
            self.chunks.d.next = 0.into();
            self.rest.d.next = 0.into();
        }
        if self.take_header.val() {
            self.chunks.d.next = 0.into();
            self.rest.d.next = 0.into();
            if self.with_drs.val() {
                self.chunks.d.next = self.chunks.q.val() + 1;
                self.rest.d.next = self.line.val();
                if self.chunks.q.val() == 0 {
                    self.rest.d.next = self.line.val() >> 384;
                }
                if self.chunks.q.val() == 1 {
                    self.rest.d.next = self.line.val() >> 256;
                }
                if self.chunks.q.val() == 2 {
                    self.rest.d.next = self.line.val() >> 128;
                }
            }
        }
        if self.reset.val() {
            self.chunks.d.next = 0.into();
            self.rest.d.next = 0.into();
        }
    }
}
