//! DRAM port: requests, walks and what nobody waits for share one command channel.
//!
//! Order: requests, walks, then the background's (see [`crate::background`]). After eight commands of
//! the requests one of the others comes next, and the background's at the latest after one walk: none
//! starves. Which command is offered may change until it is taken: [`crate::skid`] keeps the pins
//! still. Its mask and data count if it writes.

use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::dram::TagClass;

#[derive(LogicBlock, Default)]
pub struct DramPort {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// `issue_present` claims the port; without `issue_valid` no command comes of it.
    pub issue_present: Signal<In, Bit>,
    pub issue_valid: Signal<In, Bit>,
    pub issue_write: Signal<In, Bit>,
    pub issue_amo: Signal<In, Bit>,
    pub issue_slot: Signal<In, Bits<7>>,
    pub issue_line: Signal<In, Bits<34>>,
    pub issue_mask: Signal<In, Bits<64>>,
    pub issue_data: Signal<In, Bits<512>>,
    pub issue_ready: Signal<Out, Bit>,

    pub walk_valid: Signal<In, Bit>,
    pub walk_index: Signal<In, Bits<7>>,
    pub walk_line: Signal<In, Bits<34>>,
    pub walk_ready: Signal<Out, Bit>,

    /// Its data are `back_entry`, in each quarter of the line.
    pub back_valid: Signal<In, Bit>,
    pub back_write: Signal<In, Bit>,
    pub back_tag: Signal<In, Bits<10>>,
    pub back_line: Signal<In, Bits<34>>,
    pub back_mask: Signal<In, Bits<64>>,
    pub back_entry: Signal<In, Bits<128>>,
    pub back_ready: Signal<Out, Bit>,

    pub cmd_valid: Signal<Out, Bit>,
    pub cmd_ready: Signal<In, Bit>,
    pub cmd_write: Signal<Out, Bit>,
    pub cmd_tag: Signal<Out, Bits<10>>,
    pub cmd_line: Signal<Out, Bits<34>>,
    pub cmd_mask: Signal<Out, Bits<64>>,
    pub cmd_data: Signal<Out, Bits<512>>,

    /// Commands of the requests while another source waited.
    patience: DFF<Bits<4>>,
    /// A walk passed the waiting background.
    passed: DFF<Bit>,
    picks_issue: Signal<Local, Bit>,
    picks_walk: Signal<Local, Bit>,
    picks_back: Signal<Local, Bit>,
    others: Signal<Local, Bit>,
    any: Signal<Local, Bit>,
    c_data: Param<Bits<10>>,
    c_walk: Param<Bits<10>>,
    c_atomic: Param<Bits<10>>,
}

impl DramPort {
    pub fn new() -> Self {
        let class =
            |c: TagClass| Param::new(((c as u64) << splitmem_abi::dram::TAG_INDEX_BITS).into());
        Self {
            c_data: class(TagClass::Data),
            c_walk: class(TagClass::Walk),
            c_atomic: class(TagClass::AtomicWrite),
            ..Default::default()
        }
    }
}

impl Logic for DramPort {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, patience, passed);
        self.others.next = self.walk_valid.val() || self.back_valid.val();
        self.picks_issue.next =
            self.issue_present.val() && !(self.others.val() && self.patience.q.val().get_bit(3));
        self.picks_back.next = self.back_valid.val()
            && (self.passed.q.val() || !self.walk_valid.val())
            && !(self.issue_present.val() && !self.patience.q.val().get_bit(3));
        self.picks_walk.next = self.walk_valid.val()
            && !(self.passed.q.val() && self.back_valid.val())
            && !(self.issue_present.val() && !self.patience.q.val().get_bit(3));
        self.any.next = (self.picks_issue.val() && self.issue_valid.val())
            || self.picks_walk.val()
            || self.picks_back.val();
        self.cmd_valid.next = self.any.val();
        self.issue_ready.next = self.picks_issue.val() && self.cmd_ready.val();
        self.walk_ready.next = self.picks_walk.val() && self.cmd_ready.val();
        self.back_ready.next = self.picks_back.val() && self.cmd_ready.val();

        self.cmd_write.next = self.issue_write.val();
        self.cmd_tag.next = bit_cast::<10, 7>(self.issue_slot.val()) | (self.c_data.val());
        if self.issue_amo.val() {
            self.cmd_tag.next = bit_cast::<10, 7>(self.issue_slot.val()) | (self.c_atomic.val());
        }
        self.cmd_line.next = self.issue_line.val();
        self.cmd_mask.next = self.issue_mask.val();
        self.cmd_data.next = self.issue_data.val();
        if self.picks_walk.val() {
            self.cmd_write.next = false;
            self.cmd_tag.next = bit_cast::<10, 7>(self.walk_index.val()) | (self.c_walk.val());
            self.cmd_line.next = self.walk_line.val();
        }
        if self.picks_back.val() {
            self.cmd_write.next = self.back_write.val();
            self.cmd_tag.next = self.back_tag.val();
            self.cmd_line.next = self.back_line.val();
            self.cmd_mask.next = self.back_mask.val();
            self.cmd_data.next = bit_cast::<512, 128>(self.back_entry.val())
                | (bit_cast::<512, 128>(self.back_entry.val()) << 128)
                | (bit_cast::<512, 128>(self.back_entry.val()) << 256)
                | (bit_cast::<512, 128>(self.back_entry.val()) << 384);
        }

        if (!self.others.val())
            || (self.cmd_ready.val() && (self.picks_walk.val() || self.picks_back.val()))
        {
            self.patience.d.next = 0.into();
        } else if self.cmd_ready.val() && self.picks_issue.val() {
            self.patience.d.next = self.patience.q.val() + 1;
        }
        if (!self.back_valid.val()) || (self.cmd_ready.val() && self.picks_back.val()) {
            self.passed.d.next = false;
        } else if self.cmd_ready.val() && self.picks_walk.val() {
            self.passed.d.next = true;
        }
        if self.reset.val() {
            self.passed.d.next = false;
            self.patience.d.next = 0.into();
        }
    }
}
