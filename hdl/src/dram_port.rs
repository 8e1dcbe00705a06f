//! DRAM port: five sources of line commands share one command channel.
//!
//! Order: requests, PTE writes, walks, the table engine, the zeroing engine. After eight commands of
//! the requests one of the other sources' comes next, the table engine's at the latest after one of
//! the walks' or the PTE writes', and the zeroing engine's after sixteen of all others: none starves.
//! A command that was offered stays until it is taken; its mask and data count if it writes.

use rust_hdl::prelude::*;
use splitmem_abi::dram::TagClass;
use splitmem_abi::pte;

use crate::prim::Param;

#[derive(LogicBlock, Default)]
pub struct DramPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    pub issue_present: Signal<In, Bit>,
    pub issue_valid: Signal<In, Bit>,
    pub issue_write: Signal<In, Bit>,
    pub issue_amo: Signal<In, Bit>,
    pub issue_slot: Signal<In, Bits<7>>,
    pub issue_line: Signal<In, Bits<34>>,
    pub issue_mask: Signal<In, Bits<64>>,
    pub issue_data: Signal<In, Bits<512>>,
    pub issue_ready: Signal<Out, Bit>,

    pub pte_valid: Signal<In, Bit>,
    pub pte_index: Signal<In, Bits<7>>,
    pub pte_way: Signal<In, Bits<2>>,
    pub pte_frame: Signal<In, Bits<28>>,
    pub pte_line: Signal<In, Bits<34>>,
    pub pte_ready: Signal<Out, Bit>,

    pub walk_valid: Signal<In, Bit>,
    pub walk_index: Signal<In, Bits<7>>,
    pub walk_line: Signal<In, Bits<34>>,
    pub walk_ready: Signal<Out, Bit>,

    pub table_valid: Signal<In, Bit>,
    pub table_write: Signal<In, Bit>,
    pub table_tag: Signal<In, Bits<7>>,
    pub table_line: Signal<In, Bits<34>>,
    pub table_mask: Signal<In, Bits<64>>,
    pub table_data: Signal<In, Bits<512>>,
    pub table_ready: Signal<Out, Bit>,

    pub zero_valid: Signal<In, Bit>,
    pub zero_tag: Signal<In, Bits<7>>,
    pub zero_line: Signal<In, Bits<34>>,
    pub zero_ready: Signal<Out, Bit>,

    pub cmd_valid: Signal<Out, Bit>,
    pub cmd_ready: Signal<In, Bit>,
    pub cmd_write: Signal<Out, Bit>,
    pub cmd_tag: Signal<Out, Bits<10>>,
    pub cmd_line: Signal<Out, Bits<34>>,
    pub cmd_mask: Signal<Out, Bits<64>>,
    pub cmd_data: Signal<Out, Bits<512>>,

    /// 0 request, 1 PTE write, 2 walk, 3 table engine, 4 zeroing engine.
    pick: Signal<Local, Bits<3>>,
    any: Signal<Local, Bit>,
    locked: DFF<Bit>,
    lock: DFF<Bits<3>>,
    others: Signal<Local, Bit>,
    patience: DFF<Bits<4>>,
    zero_patience: DFF<Bits<5>>,
    /// A walk or a PTE write passed the waiting table engine.
    passed: DFF<Bit>,
    taken: Signal<Local, Bit>,
    pte: Signal<Local, Bits<128>>,
    pte_shift: Signal<Local, Bits<64>>,
    pte_bytes: Signal<Local, Bits<64>>,
    fault_mask: Param<Bits<64>>,
    c_data: Param<Bits<10>>,
    c_walk: Param<Bits<10>>,
    c_pte: Param<Bits<10>>,
    c_zero: Param<Bits<10>>,
    c_table: Param<Bits<10>>,
    c_atomic: Param<Bits<10>>,
}

impl DramPort {
    pub fn new() -> Self {
        let class =
            |c: TagClass| Param::new(((c as u64) << splitmem_abi::dram::TAG_INDEX_BITS).into());
        Self {
            fault_mask: Param::new((pte::FAULT_MASK as u64).into()),
            c_data: class(TagClass::Data),
            c_walk: class(TagClass::Walk),
            c_pte: class(TagClass::PteWrite),
            c_zero: class(TagClass::Zero),
            c_table: class(TagClass::Table),
            c_atomic: class(TagClass::AtomicWrite),
            ..Default::default()
        }
    }
}

impl Logic for DramPort {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, locked, lock, patience, zero_patience, passed);
        self.others.next = self.pte_valid.val() || self.walk_valid.val() || self.table_valid.val();
        self.pick.next = 0.into();
        if self.locked.q.val() {
            self.pick.next = self.lock.q.val();
        } else if self.zero_valid.val() && self.zero_patience.q.val().get_bit(4) {
            self.pick.next = 4.into();
        } else if self.issue_present.val()
            && !(self.others.val() && self.patience.q.val().get_bit(3))
        {
            self.pick.next = 0.into();
        } else if self.table_valid.val() && self.passed.q.val() {
            self.pick.next = 3.into();
        } else if self.pte_valid.val() {
            self.pick.next = 1.into();
        } else if self.walk_valid.val() {
            self.pick.next = 2.into();
        } else if self.table_valid.val() {
            self.pick.next = 3.into();
        } else if self.zero_valid.val() {
            self.pick.next = 4.into();
        }

        self.pte.next = (bit_cast::<128, 28>(self.pte_frame.val()) << 96)
            | (bit_cast::<128, 1>(true.into()) << 8);
        self.pte_shift.next = bit_cast::<64, 2>(self.pte_way.val()) << 4;
        self.pte_bytes.next = (self.fault_mask.val()) << (self.pte_shift.val());

        self.any.next = self.issue_valid.val();
        self.cmd_write.next = self.issue_write.val();
        self.cmd_tag.next = bit_cast::<10, 7>(self.issue_slot.val()) | (self.c_data.val());
        self.cmd_line.next = self.issue_line.val();
        self.cmd_mask.next = self.issue_mask.val();
        self.cmd_data.next = self.issue_data.val();
        if self.issue_amo.val() {
            self.cmd_tag.next = bit_cast::<10, 7>(self.issue_slot.val()) | (self.c_atomic.val());
        }
        if self.pick.val() == 1 {
            self.any.next = self.pte_valid.val();
            self.cmd_write.next = true;
            self.cmd_tag.next = bit_cast::<10, 7>(self.pte_index.val()) | (self.c_pte.val());
            self.cmd_line.next = self.pte_line.val();
            self.cmd_mask.next = self.pte_bytes.val();
            self.cmd_data.next = bit_cast::<512, 128>(self.pte.val())
                | (bit_cast::<512, 128>(self.pte.val()) << 128)
                | (bit_cast::<512, 128>(self.pte.val()) << 256)
                | (bit_cast::<512, 128>(self.pte.val()) << 384);
        }
        if self.pick.val() == 2 {
            self.any.next = self.walk_valid.val();
            self.cmd_write.next = false;
            self.cmd_tag.next = bit_cast::<10, 7>(self.walk_index.val()) | (self.c_walk.val());
            self.cmd_line.next = self.walk_line.val();
        }
        if self.pick.val() == 3 {
            self.any.next = self.table_valid.val();
            self.cmd_write.next = self.table_write.val();
            self.cmd_tag.next = bit_cast::<10, 7>(self.table_tag.val()) | (self.c_table.val());
            self.cmd_line.next = self.table_line.val();
            self.cmd_mask.next = self.table_mask.val();
            self.cmd_data.next = self.table_data.val();
        }
        if self.pick.val() == 4 {
            self.any.next = self.zero_valid.val();
            self.cmd_write.next = true;
            self.cmd_tag.next = bit_cast::<10, 7>(self.zero_tag.val()) | (self.c_zero.val());
            self.cmd_line.next = self.zero_line.val();
            self.cmd_mask.next = !bit_cast::<64, 1>(false.into());
            self.cmd_data.next = 0.into();
        }
        self.cmd_valid.next = self.any.val();
        self.issue_ready.next = (self.pick.val() == 0) && self.cmd_ready.val();
        self.pte_ready.next = (self.pick.val() == 1) && self.cmd_ready.val();
        self.walk_ready.next = (self.pick.val() == 2) && self.cmd_ready.val();
        self.table_ready.next = (self.pick.val() == 3) && self.cmd_ready.val();
        self.zero_ready.next = (self.pick.val() == 4) && self.cmd_ready.val();

        self.locked.d.next = self.any.val() && !self.cmd_ready.val();
        self.lock.d.next = self.pick.val();
        self.taken.next = self.any.val() && self.cmd_ready.val();
        if (!self.others.val())
            || (self.taken.val() && (self.pick.val() != 0) && (self.pick.val() != 4))
        {
            self.patience.d.next = 0.into();
        } else if self.taken.val() && !self.patience.q.val().get_bit(3) {
            self.patience.d.next = self.patience.q.val() + 1;
        }
        if (!self.zero_valid.val()) || (self.taken.val() && (self.pick.val() == 4)) {
            self.zero_patience.d.next = 0.into();
        } else if self.taken.val() && !self.zero_patience.q.val().get_bit(4) {
            self.zero_patience.d.next = self.zero_patience.q.val() + 1;
        }
        if (!self.table_valid.val()) || (self.taken.val() && (self.pick.val() == 3)) {
            self.passed.d.next = false;
        } else if self.taken.val() && ((self.pick.val() == 1) || (self.pick.val() == 2)) {
            self.passed.d.next = true;
        }
        if self.reset.val() {
            self.passed.d.next = false;
            self.locked.d.next = false;
            self.patience.d.next = 0.into();
            self.zero_patience.d.next = 0.into();
        }
    }
}
