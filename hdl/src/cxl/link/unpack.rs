//! Slots of a protocol flit to the device into messages (sections 4.2.3 to 4.2.5).
//!
//! Combinational, but for what is known of the line under way: how many chunks of it are due, how
//! many came. A chunk goes to the bank of its number in the inbox at once; the chunks that an old line
//! gets in a flit and those of a new one never have the same number, so a bank is written once.
//!
//! Messages are cut to the fields that mean something: `[3:0]` opcode, `[19:4]` tag, `[66:20]` address
//! 51:5 of a Req, or `[65:20]` address 51:6 and `[66]` poison of an RwD, `[70:67]` LD-ID.

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Unpack {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub slots: Signal<In, Bits<512>>,
    /// The flit counts: its CRC is right and it is the next one, and `fault` is zero.
    pub take: Signal<In, Bit>,
    /// The next flit has no header. A line is under way.
    pub all_data: Signal<Out, Bit>,
    pub data_due: Signal<Out, Bit>,
    /// What is wrong with the flit, by `abi::cxl::LinkFault`; zero if nothing is.
    pub fault: Signal<Out, Bits<4>>,

    /// What the flit brings: up to two Req, in order.
    pub req_1: Signal<Out, Bit>,
    pub req_2: Signal<Out, Bit>,
    pub req_1_cut: Signal<Out, Bits<71>>,
    pub req_2_cut: Signal<Out, Bits<71>>,
    /// A line begins, a line is whole.
    pub announce: Signal<Out, Bit>,
    pub rwd_cut: Signal<Out, Bits<71>>,
    pub whole: Signal<Out, Bit>,
    /// Chunks, by bank; of the line that begins, not of the one under way.
    pub write_0: Signal<Out, Bit>,
    pub write_1: Signal<Out, Bit>,
    pub write_2: Signal<Out, Bit>,
    pub write_3: Signal<Out, Bit>,
    pub write_mask: Signal<Out, Bit>,
    pub new_0: Signal<Out, Bit>,
    pub new_1: Signal<Out, Bit>,
    pub new_2: Signal<Out, Bit>,
    pub chunk_0: Signal<Out, Bits<128>>,
    pub chunk_1: Signal<Out, Bits<128>>,
    pub chunk_2: Signal<Out, Bits<128>>,
    pub chunk_3: Signal<Out, Bits<128>>,
    pub mask: Signal<Out, Bits<64>>,

    /// Chunks that are due, byte enables too, and those that came.
    due: DFF<Bits<3>>,
    got: DFF<Bits<3>>,
    at_0: SlotDown,
    at_1: SlotDown,
    at_2: SlotDown,
    at_3: SlotDown,
    header: Signal<Local, Bit>,
    enables: Signal<Local, Bit>,
    /// The first slot with data of the line that begins; 4 if none has.
    first: Signal<Local, Bits<3>>,
    came: Signal<Local, Bits<3>>,
    old: Signal<Local, Bit>,
    old_1: Signal<Local, Bit>,
    old_2: Signal<Local, Bit>,
    old_3: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
    too_many: Signal<Local, Bit>,
    shape: Signal<Local, Bit>,
    slot_1: Signal<Local, Bits<128>>,
    slot_2: Signal<Local, Bits<128>>,
    slot_3: Signal<Local, Bits<128>>,
}

/// One slot.
#[derive(LogicBlock, Default)]
pub struct SlotDown {
    /// Its bits, without the flit header's.
    pub bits: Signal<In, Bits<128>>,
    pub format: Signal<In, Bits<3>>,
    /// Slot 0, whose formats have other codes.
    pub first: Signal<In, Bit>,
    /// Data stand here.
    pub data: Signal<In, Bit>,
    pub req: Signal<Out, Bit>,
    pub rwd: Signal<Out, Bit>,
    pub cut: Signal<Out, Bits<71>>,
    /// A format without CXL.mem messages; a header where data are due.
    pub reserved: Signal<Out, Bit>,
    pub data_missing: Signal<Out, Bit>,
    code_req: Signal<Local, Bit>,
    code_rwd: Signal<Local, Bit>,
}

impl Logic for SlotDown {
    #[hdl_gen]
    fn update(&mut self) {
        // H5 and G4 carry a Req, H4 and G5 an RwD.
        self.code_req.next = self.format.val() == 4;
        self.code_rwd.next = self.format.val() == 5;
        if self.first.val() {
            self.code_req.next = self.format.val() == 5;
            self.code_rwd.next = self.format.val() == 4;
        }
        self.req.next = self.code_req.val() && !self.data.val() && self.bits.val().get_bit(0);
        self.rwd.next = self.code_rwd.val() && !self.data.val() && self.bits.val().get_bit(0);
        self.cut.next = bit_cast::<71, 4>(self.bits.val().get_bits::<4>(1))
            | (bit_cast::<71, 16>(self.bits.val().get_bits::<16>(12)) << 4)
            | (bit_cast::<71, 47>(self.bits.val().get_bits::<47>(28)) << 20)
            | (bit_cast::<71, 4>(self.bits.val().get_bits::<4>(77)) << 67);
        // Of the other formats those of CXL.cache may stand there empty.
        self.reserved.next = !self.data.val()
            && !(self.code_req.val() || self.code_rwd.val())
            && (self.format.val().get_bit(2) || self.bits.val().any());
        self.data_missing.next = self.data.val() && self.format.val().any();
    }
}

impl Logic for Unpack {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, due, got);
        self.old.next = self.due.q.val().any();
        self.data_due.next = self.old.val();
        self.header.next = !self.due.q.val().get_bit(2);
        self.all_data.next = !self.header.val();
        self.slot_1.next = self.slots.val().get_bits::<128>(128);
        self.slot_2.next = self.slots.val().get_bits::<128>(256);
        self.slot_3.next = self.slots.val().get_bits::<128>(384);

        // Messages. Behind an announcement, and while data are due, everything but slot 0 is data.
        self.at_0.first.next = true;
        self.at_1.first.next = false;
        self.at_2.first.next = false;
        self.at_3.first.next = false;
        self.at_0.bits.next = bit_cast::<128, 96>(self.slots.val().get_bits::<96>(32));
        self.at_1.bits.next = self.slot_1.val();
        self.at_2.bits.next = self.slot_2.val();
        self.at_3.bits.next = self.slot_3.val();
        self.at_0.format.next = self.slots.val().get_bits::<3>(5);
        self.at_1.format.next = self.slots.val().get_bits::<3>(8);
        self.at_2.format.next = self.slots.val().get_bits::<3>(11);
        self.at_3.format.next = self.slots.val().get_bits::<3>(14);
        self.at_0.data.next = false;
        self.at_1.data.next = self.old.val() || self.at_0.rwd.val();
        self.at_2.data.next = (self.due.q.val() >= 2) || self.at_0.rwd.val() || self.at_1.rwd.val();
        self.at_3.data.next = (self.due.q.val() >= 3)
            || self.at_0.rwd.val()
            || (self.at_1.rwd.val() || self.at_2.rwd.val());
        self.begins.next = self.at_0.rwd.val()
            || self.at_1.rwd.val()
            || (self.at_2.rwd.val() || self.at_3.rwd.val());
        self.announce.next = self.header.val() && self.begins.val();
        self.rwd_cut.next = self.at_3.cut.val();
        if self.at_2.rwd.val() {
            self.rwd_cut.next = self.at_2.cut.val();
        }
        if self.at_1.rwd.val() {
            self.rwd_cut.next = self.at_1.cut.val();
        }
        if self.at_0.rwd.val() {
            self.rwd_cut.next = self.at_0.cut.val();
        }
        self.req_1.next = self.header.val()
            && ((self.at_0.req.val() || self.at_1.req.val())
                || (self.at_2.req.val() || self.at_3.req.val()));
        self.req_2.next = self.header.val()
            && ((self.at_0.req.val()
                && (self.at_1.req.val() || self.at_2.req.val() || self.at_3.req.val()))
                || ((self.at_1.req.val() && (self.at_2.req.val() || self.at_3.req.val()))
                    || (self.at_2.req.val() && self.at_3.req.val())));
        self.req_1_cut.next = self.at_3.cut.val();
        if self.at_2.req.val() {
            self.req_1_cut.next = self.at_2.cut.val();
        }
        if self.at_1.req.val() {
            self.req_1_cut.next = self.at_1.cut.val();
        }
        if self.at_0.req.val() {
            self.req_1_cut.next = self.at_0.cut.val();
        }
        // The second one from below is the first one from above.
        self.req_2_cut.next = self.at_1.cut.val();
        if self.at_2.req.val() {
            self.req_2_cut.next = self.at_2.cut.val();
        }
        if self.at_3.req.val() {
            self.req_2_cut.next = self.at_3.cut.val();
        }

        // Chunks.
        self.enables.next = self.slots.val().get_bit(3);
        self.first.next = 4.into();
        if self.at_2.rwd.val() {
            self.first.next = 3.into();
        }
        if self.at_1.rwd.val() {
            self.first.next = 2.into();
        }
        if self.at_0.rwd.val() {
            self.first.next = self.due.q.val() + 1;
        }
        // Slots from there on.
        self.came.next = (self.first.val() ^ 7) + 5;
        self.chunk_0.next = self.slots.val().get_bits::<128>(0);
        if self.header.val() {
            self.chunk_0.next = self.slot_1.val();
            if self.first.val() == 2 {
                self.chunk_0.next = self.slot_2.val();
            }
            if self.first.val() == 3 {
                self.chunk_0.next = self.slot_3.val();
            }
        }
        self.new_0.next = self.header.val();
        self.write_0.next = self.take.val()
            && ((!self.header.val() && !self.got.q.val().any())
                || (self.announce.val() && !self.first.val().get_bit(2)));
        // Bank 1 of the line under way: with a header, one came before.
        self.old_1.next = self.old.val()
            && ((self.got.q.val() == 1) || (!self.header.val() && !self.got.q.val().any()));
        self.new_1.next = !self.old_1.val();
        self.chunk_1.next = self.slot_1.val();
        if !self.header.val() && (self.got.q.val() == 1) {
            self.chunk_1.next = self.slots.val().get_bits::<128>(0);
        }
        if !self.old_1.val() {
            self.chunk_1.next = self.slot_2.val();
            if self.first.val() == 2 {
                self.chunk_1.next = self.slot_3.val();
            }
        }
        self.write_1.next = self.take.val()
            && (self.old_1.val() || (self.announce.val() && (self.first.val() < 3)));
        self.old_2.next = self.old.val()
            && (((self.got.q.val() == 1) || (self.header.val() && (self.got.q.val() == 2)))
                || (!self.header.val() && !self.got.q.val().any()));
        self.new_2.next = !self.old_2.val();
        self.chunk_2.next = self.slot_3.val();
        if self.old_2.val() {
            self.chunk_2.next = self.slot_1.val();
            if !self.got.q.val().any() || (self.header.val() && (self.got.q.val() == 1)) {
                self.chunk_2.next = self.slot_2.val();
            }
        }
        self.write_2.next = self.take.val()
            && (self.old_2.val() || (self.announce.val() && (self.first.val() == 1)));
        self.old_3.next = self.old.val() && !(self.got.q.val() == 4);
        self.chunk_3.next = self.slot_1.val();
        if !self.got.q.val().any() || (self.header.val() && (self.got.q.val() == 1)) {
            self.chunk_3.next = self.slot_3.val();
        }
        if (self.got.q.val() == 2) || (!self.header.val() && (self.got.q.val() == 1)) {
            self.chunk_3.next = self.slot_2.val();
        }
        self.write_3.next = self.take.val() && self.old_3.val();
        // Byte enables are the fifth chunk. Of a line without them nobody looks at the mask.
        self.mask.next = self.slots.val().get_bits::<64>(384);
        if self.got.q.val() == 3 {
            self.mask.next = self.slots.val().get_bits::<64>(256);
        }
        if self.got.q.val() == 4 {
            self.mask.next = self.slots.val().get_bits::<64>(128);
        }
        self.write_mask.next = self.take.val() && self.old.val() && !(self.due.q.val() == 5);
        self.whole.next = self.take.val() && self.old.val() && !(self.due.q.val() == 5);
        if self.take.val() {
            self.due.d.next = 0.into();
            if self.due.q.val() == 5 {
                self.due.d.next = 1.into();
                self.got.d.next = 4.into();
            }
            if self.announce.val() {
                // Four chunks and the enables, less those that came: as many as slots before them.
                self.due.d.next = self.first.val() + bit_cast::<3, 1>(self.enables.val().into());
                self.got.d.next = self.came.val();
            }
        }

        // Faults.
        self.too_many.next = ((self.at_0.req.val() && self.at_1.req.val())
            && (self.at_2.req.val() || self.at_3.req.val()))
            || ((self.at_2.req.val() && self.at_3.req.val())
                && (self.at_0.req.val() || self.at_1.req.val()));
        // Half lines are not sent to a device; MemWrPtl, and nothing else, has byte enables.
        self.shape.next = self.begins.val()
            && (!self.slots.val().get_bit(4)
                || (self.enables.val() != (self.rwd_cut.val().get_bits::<4>(0) == 2)));
        self.fault.next = 0.into();
        if self.header.val() {
            if self.shape.val() {
                self.fault.next = 6.into();
            }
            if self.too_many.val() {
                self.fault.next = 5.into();
            }
            if (self.at_1.data_missing.val() || self.at_2.data_missing.val())
                || self.at_3.data_missing.val()
            {
                self.fault.next = 4.into();
            }
            if (self.at_0.reserved.val() || self.at_1.reserved.val())
                || (self.at_2.reserved.val() || self.at_3.reserved.val())
            {
                self.fault.next = 3.into();
            }
        }
        if self.reset.val() {
            self.due.d.next = 0.into();
        }
    }
}
