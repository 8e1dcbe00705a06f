//! Commands that no request waits for: PTE writes, the table engine's and the zeroing engine's.
//!
//! They share one register before the DRAM port. Order: PTE writes, the table engine, the zeroing
//! engine; the table engine's comes at the latest after one PTE write, and the zeroing engine's after four
//! of the others: none starves. Their data are 16 bytes, the same in each quarter of the line.

use crate::prim::Param;
use crate::relay::Relay;
use rust_hdl::prelude::*;
use splitmem_abi::dram::{TagClass, TAG_INDEX_BITS};
use splitmem_abi::pte;

#[derive(LogicBlock, Default)]
pub struct Background {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// A frame into entry `pte_way` of a bucket line.
    pub pte_valid: Signal<In, Bit>,
    pub pte_index: Signal<In, Bits<7>>,
    pub pte_way: Signal<In, Bits<2>>,
    pub pte_frame: Signal<In, Bits<28>>,
    pub pte_line: Signal<In, Bits<34>>,
    pub pte_ready: Signal<Out, Bit>,

    pub table_valid: Signal<In, Bit>,
    pub table_write: Signal<In, Bit>,
    pub table_tag: Signal<In, Bits<7>>,
    pub table_line: Signal<In, Bits<34>>,
    pub table_mask: Signal<In, Bits<64>>,
    pub table_entry: Signal<In, Bits<128>>,
    pub table_ready: Signal<Out, Bit>,

    pub zero_valid: Signal<In, Bit>,
    pub zero_tag: Signal<In, Bits<7>>,
    pub zero_line: Signal<In, Bits<34>>,
    pub zero_ready: Signal<Out, Bit>,

    /// One command; it stays until it is taken.
    pub valid: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub write: Signal<Out, Bit>,
    pub tag: Signal<Out, Bits<10>>,
    pub line: Signal<Out, Bits<34>>,
    pub mask: Signal<Out, Bits<64>>,
    pub entry: Signal<Out, Bits<128>>,

    /// `[127:0]` entry, `[191:128]` mask, `[225:192]` line, `[235:226]` tag, `[236]` write.
    out: Relay<Bits<237>>,
    room: Signal<Local, Bit>,
    picks_pte: Signal<Local, Bit>,
    picks_table: Signal<Local, Bit>,
    picks_zero: Signal<Local, Bit>,
    /// A PTE write passed the waiting table engine.
    passed: DFF<Bit>,
    /// Commands that passed the waiting zeroing engine.
    patience: DFF<Bits<3>>,
    pte: Signal<Local, Bits<128>>,
    pte_shift: Signal<Local, Bits<64>>,
    pte_bytes: Signal<Local, Bits<64>>,
    command: Signal<Local, Bits<237>>,
    head: Signal<Local, Bits<237>>,
    fault_mask: Param<Bits<64>>,
    whole_line: Param<Bits<64>>,
    c_pte: Param<Bits<10>>,
    c_zero: Param<Bits<10>>,
    c_table: Param<Bits<10>>,
}

impl Background {
    pub fn new() -> Self {
        let class = |c: TagClass| Param::new(((c as u64) << TAG_INDEX_BITS).into());
        Self {
            fault_mask: Param::new((pte::FAULT_MASK as u64).into()),
            whole_line: Param::new(u64::MAX.into()),
            c_pte: class(TagClass::PteWrite),
            c_zero: class(TagClass::Zero),
            c_table: class(TagClass::Table),
            ..Default::default()
        }
    }
}

impl Logic for Background {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, passed, patience);
        clock!(self, clock, out);
        self.out.reset.next = self.reset.val();
        self.room.next = self.out.in_ready.val();
        self.picks_zero.next = self.zero_valid.val()
            && (self.patience.q.val().get_bit(2)
                || (!self.pte_valid.val() && !self.table_valid.val()));
        self.picks_table.next = self.table_valid.val()
            && !self.picks_zero.val()
            && (self.passed.q.val() || !self.pte_valid.val());
        self.picks_pte.next =
            self.pte_valid.val() && !self.picks_zero.val() && !self.picks_table.val();
        self.pte_ready.next = self.picks_pte.val() && self.room.val();
        self.table_ready.next = self.picks_table.val() && self.room.val();
        self.zero_ready.next = self.picks_zero.val() && self.room.val();

        self.pte.next = (bit_cast::<128, 28>(self.pte_frame.val()) << 96)
            | (bit_cast::<128, 1>(true.into()) << 8);
        self.pte_shift.next = bit_cast::<64, 2>(self.pte_way.val()) << 4;
        self.pte_bytes.next = (self.fault_mask.val()) << (self.pte_shift.val());
        // The zeroing engine's: zeros, to all of a line.
        self.command.next = (bit_cast::<237, 64>(self.whole_line.val()) << 128)
            | (bit_cast::<237, 34>(self.zero_line.val()) << 192)
            | (bit_cast::<237, 10>(bit_cast::<10, 7>(self.zero_tag.val()) | (self.c_zero.val()))
                << 226)
            | (bit_cast::<237, 1>(true.into()) << 236);
        if self.picks_table.val() {
            self.command.next = bit_cast::<237, 128>(self.table_entry.val())
                | (bit_cast::<237, 64>(self.table_mask.val()) << 128)
                | (bit_cast::<237, 34>(self.table_line.val()) << 192)
                | (bit_cast::<237, 10>(
                    bit_cast::<10, 7>(self.table_tag.val()) | (self.c_table.val()),
                ) << 226)
                | (bit_cast::<237, 1>(self.table_write.val().into()) << 236);
        }
        if self.picks_pte.val() {
            self.command.next = bit_cast::<237, 128>(self.pte.val())
                | (bit_cast::<237, 64>(self.pte_bytes.val()) << 128)
                | (bit_cast::<237, 34>(self.pte_line.val()) << 192)
                | (bit_cast::<237, 10>(
                    bit_cast::<10, 7>(self.pte_index.val()) | (self.c_pte.val()),
                ) << 226)
                | (bit_cast::<237, 1>(true.into()) << 236);
        }
        self.out.in_valid.next =
            self.pte_valid.val() || self.table_valid.val() || self.zero_valid.val();
        self.out.in_data.next = self.command.val();
        self.out.out_ready.next = self.ready.val();
        self.head.next = self.out.out_data.val();
        self.valid.next = self.out.out_valid.val();
        self.entry.next = self.head.val().get_bits::<128>(0);
        self.mask.next = self.head.val().get_bits::<64>(128);
        self.line.next = self.head.val().get_bits::<34>(192);
        self.tag.next = self.head.val().get_bits::<10>(226);
        self.write.next = self.head.val().get_bit(236);

        if (!self.table_valid.val()) || (self.picks_table.val() && self.room.val()) {
            self.passed.d.next = false;
        } else if self.picks_pte.val() && self.room.val() {
            self.passed.d.next = true;
        }
        if (!self.zero_valid.val()) || (self.picks_zero.val() && self.room.val()) {
            self.patience.d.next = 0.into();
        } else if self.room.val() {
            self.patience.d.next = self.patience.q.val() + 1;
        }
        if self.reset.val() {
            self.passed.d.next = false;
            self.patience.d.next = 0.into();
        }
    }
}
