//! Messages that came, until the transaction layer takes them: room for as many as credits were given.
//!
//! Two Req a cycle go in (even and odd ones stand in two memories), one comes out. Of lines the chunks
//! go in as they come, each to its own memory; a line comes out once it is whole. A message stands at
//! the output in the cycle after it came, and is kept there until it is taken.

use crate::prim::LutRam;
use rust_hdl::prelude::*;

/// Messages of each kind that are held, and credits for them.
pub const ROOM: usize = 64;

#[derive(LogicBlock)]
pub struct Inbox {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// See [`super::unpack`]. `add` says that what the flit brings counts.
    pub add: Signal<In, Bit>,
    pub req_1: Signal<In, Bit>,
    pub req_2: Signal<In, Bit>,
    pub req_1_cut: Signal<In, Bits<71>>,
    pub req_2_cut: Signal<In, Bits<71>>,
    pub announce: Signal<In, Bit>,
    pub rwd_cut: Signal<In, Bits<71>>,
    /// A line is under way, so the one that begins is the next.
    pub data_due: Signal<In, Bit>,
    pub whole: Signal<In, Bit>,
    pub write_0: Signal<In, Bit>,
    pub write_1: Signal<In, Bit>,
    pub write_2: Signal<In, Bit>,
    pub write_3: Signal<In, Bit>,
    pub write_mask: Signal<In, Bit>,
    pub new_0: Signal<In, Bit>,
    pub new_1: Signal<In, Bit>,
    pub new_2: Signal<In, Bit>,
    pub chunk_0: Signal<In, Bits<128>>,
    pub chunk_1: Signal<In, Bits<128>>,
    pub chunk_2: Signal<In, Bits<128>>,
    pub chunk_3: Signal<In, Bits<128>>,
    pub mask: Signal<In, Bits<64>>,
    /// More messages than there is room for: the other end sent without credit.
    pub overflow: Signal<Out, Bit>,

    pub req_valid: Signal<Out, Bit>,
    pub req_ready: Signal<In, Bit>,
    pub req_cut: Signal<Out, Bits<71>>,
    pub rwd_valid: Signal<Out, Bit>,
    pub rwd_ready: Signal<In, Bit>,
    pub rwd_head: Signal<Out, Bits<71>>,
    pub rwd_mask: Signal<Out, Bits<64>>,
    pub rwd_data: Signal<Out, Bits<512>>,
    /// A message was taken: a credit for another one.
    pub req_taken: Signal<Out, Bit>,
    pub rwd_taken: Signal<Out, Bit>,

    even: LutRam<Bits<71>, 5>,
    odd: LutRam<Bits<71>, 5>,
    req_in: DFF<Bits<6>>,
    req_out: DFF<Bits<6>>,
    reqs: DFF<Bits<7>>,
    req_next: Signal<Local, Bits<6>>,
    req_count: Signal<Local, Bits<8>>,
    take_req: Signal<Local, Bit>,

    heads: LutRam<Bits<71>, 6>,
    masks: LutRam<Bits<64>, 6>,
    bank_0: LutRam<Bits<128>, 6>,
    bank_1: LutRam<Bits<128>, 6>,
    bank_2: LutRam<Bits<128>, 6>,
    bank_3: LutRam<Bits<128>, 6>,
    /// The line under way, or the next one.
    line_in: DFF<Bits<6>>,
    line_out: DFF<Bits<6>>,
    /// Lines that began and were not taken; of them those that are whole.
    lines: DFF<Bits<7>>,
    whole_lines: DFF<Bits<7>>,
    line_new: Signal<Local, Bits<6>>,
    take_rwd: Signal<Local, Bit>,
    begins: Signal<Local, Bit>,
}

impl Inbox {
    pub fn new() -> Self {
        with_defaults!(Self {
            even: LutRam::new(ROOM / 2),
            odd: LutRam::new(ROOM / 2),
            heads: LutRam::new(ROOM),
            masks: LutRam::new(ROOM),
            bank_0: LutRam::new(ROOM),
            bank_1: LutRam::new(ROOM),
            bank_2: LutRam::new(ROOM),
            bank_3: LutRam::new(ROOM),
        } clock reset add req_1 req_2 req_1_cut req_2_cut announce rwd_cut data_due whole
          write_0 write_1 write_2 write_3 write_mask new_0 new_1 new_2 chunk_0 chunk_1 chunk_2
          chunk_3 mask overflow req_valid req_ready req_cut rwd_valid rwd_ready rwd_head rwd_mask
          rwd_data req_taken rwd_taken req_in req_out reqs req_next req_count take_req line_in
          line_out lines whole_lines line_new take_rwd begins)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Inbox {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, req_in, req_out, reqs, line_in, line_out, lines, whole_lines);
        clock!(self, clock, even, odd, heads, masks, bank_0, bank_1, bank_2, bank_3);

        // Req: an even place and the odd one behind it, or an odd one and the even one behind it.
        self.req_next.next = self.req_in.q.val() + 1;
        self.even.write_address.next = bit_cast::<5, 6>(self.req_in.q.val() >> 1);
        self.odd.write_address.next = bit_cast::<5, 6>(self.req_in.q.val() >> 1);
        self.even.write_data.next = self.req_1_cut.val();
        self.odd.write_data.next = self.req_2_cut.val();
        self.even.write_enable.next = self.add.val() && self.req_1.val();
        self.odd.write_enable.next = self.add.val() && self.req_2.val();
        if self.req_in.q.val().get_bit(0) {
            self.even.write_address.next = bit_cast::<5, 6>(self.req_next.val() >> 1);
            self.even.write_data.next = self.req_2_cut.val();
            self.odd.write_data.next = self.req_1_cut.val();
            self.even.write_enable.next = self.add.val() && self.req_2.val();
            self.odd.write_enable.next = self.add.val() && self.req_1.val();
        }
        if self.add.val() {
            self.req_in.d.next = self.req_in.q.val()
                + (bit_cast::<6, 1>(self.req_1.val().into())
                    + bit_cast::<6, 1>(self.req_2.val().into()));
        }
        self.even.read_address.next = bit_cast::<5, 6>(self.req_out.q.val() >> 1);
        self.odd.read_address.next = bit_cast::<5, 6>(self.req_out.q.val() >> 1);
        self.req_cut.next = self.even.read_data.val();
        if self.req_out.q.val().get_bit(0) {
            self.req_cut.next = self.odd.read_data.val();
        }
        self.req_valid.next = self.reqs.q.val().any();
        self.take_req.next = self.reqs.q.val().any() && self.req_ready.val();
        self.req_taken.next = self.take_req.val();
        if self.take_req.val() {
            self.req_out.d.next = self.req_out.q.val() + 1;
        }
        self.req_count.next = bit_cast::<8, 7>(self.reqs.q.val())
            + (bit_cast::<8, 1>(self.req_1.val().into())
                + bit_cast::<8, 1>(self.req_2.val().into()));
        self.reqs.d.next = self.reqs.q.val() - bit_cast::<7, 1>(self.take_req.val().into());
        if self.add.val() {
            self.reqs.d.next = bit_cast::<7, 8>(self.req_count.val())
                - bit_cast::<7, 1>(self.take_req.val().into());
        }

        // RwD.
        self.line_new.next = self.line_in.q.val();
        if self.data_due.val() {
            self.line_new.next = self.line_in.q.val() + 1;
        }
        self.heads.write_address.next = self.line_new.val();
        self.masks.write_address.next = self.line_in.q.val();
        self.bank_0.write_address.next = self.line_in.q.val();
        self.bank_1.write_address.next = self.line_in.q.val();
        self.bank_2.write_address.next = self.line_in.q.val();
        self.bank_3.write_address.next = self.line_in.q.val();
        if self.new_0.val() {
            self.bank_0.write_address.next = self.line_new.val();
        }
        if self.new_1.val() {
            self.bank_1.write_address.next = self.line_new.val();
        }
        if self.new_2.val() {
            self.bank_2.write_address.next = self.line_new.val();
        }
        self.begins.next = self.add.val() && self.announce.val();
        self.heads.write_enable.next = self.begins.val();
        self.masks.write_enable.next = self.write_mask.val();
        self.bank_0.write_enable.next = self.write_0.val();
        self.bank_1.write_enable.next = self.write_1.val();
        self.bank_2.write_enable.next = self.write_2.val();
        self.bank_3.write_enable.next = self.write_3.val();
        self.heads.write_data.next = self.rwd_cut.val();
        self.masks.write_data.next = self.mask.val();
        self.bank_0.write_data.next = self.chunk_0.val();
        self.bank_1.write_data.next = self.chunk_1.val();
        self.bank_2.write_data.next = self.chunk_2.val();
        self.bank_3.write_data.next = self.chunk_3.val();
        if self.whole.val() {
            self.line_in.d.next = self.line_in.q.val() + 1;
        }
        self.heads.read_address.next = self.line_out.q.val();
        self.masks.read_address.next = self.line_out.q.val();
        self.bank_0.read_address.next = self.line_out.q.val();
        self.bank_1.read_address.next = self.line_out.q.val();
        self.bank_2.read_address.next = self.line_out.q.val();
        self.bank_3.read_address.next = self.line_out.q.val();
        self.rwd_head.next = self.heads.read_data.val();
        self.rwd_mask.next = self.masks.read_data.val();
        self.rwd_data.next = bit_cast::<512, 128>(self.bank_0.read_data.val())
            | (bit_cast::<512, 128>(self.bank_1.read_data.val()) << 128)
            | ((bit_cast::<512, 128>(self.bank_2.read_data.val()) << 256)
                | (bit_cast::<512, 128>(self.bank_3.read_data.val()) << 384));
        self.rwd_valid.next = self.whole_lines.q.val().any();
        self.take_rwd.next = self.whole_lines.q.val().any() && self.rwd_ready.val();
        self.rwd_taken.next = self.take_rwd.val();
        if self.take_rwd.val() {
            self.line_out.d.next = self.line_out.q.val() + 1;
        }
        self.lines.d.next = (self.lines.q.val() + bit_cast::<7, 1>(self.begins.val().into()))
            - bit_cast::<7, 1>(self.take_rwd.val().into());
        self.whole_lines.d.next = (self.whole_lines.q.val()
            + bit_cast::<7, 1>(self.whole.val().into()))
            - bit_cast::<7, 1>(self.take_rwd.val().into());

        self.overflow.next =
            (self.req_count.val() > 64) || (self.announce.val() && (self.lines.q.val() == 64));
        if self.reset.val() {
            self.req_in.d.next = 0.into();
            self.req_out.d.next = 0.into();
            self.reqs.d.next = 0.into();
            self.line_in.d.next = 0.into();
            self.line_out.d.next = 0.into();
            self.lines.d.next = 0.into();
            self.whole_lines.d.next = 0.into();
        }
    }
}

// The room stands in the code as a number.
const _: () = assert!(ROOM == 64);
