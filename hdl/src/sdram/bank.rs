//! One bank of the chip: which row is open, and what it is ready for.
//!
//! In: the row that is wanted, and the commands that go out to this bank in this cycle. Out: whether
//! that row is open (`hit`), any is (`open`), and which commands the data sheet's times allow now.

use crate::prim::Param;
use crate::sdram::timing::Cycles;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Bank {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub row: Signal<In, Bits<13>>,
    pub activate: Signal<In, Bit>,
    pub precharge: Signal<In, Bit>,
    /// A burst of eight words begins.
    pub column: Signal<In, Bit>,
    pub write: Signal<In, Bit>,
    pub open: Signal<Out, Bit>,
    pub hit: Signal<Out, Bit>,
    pub column_ready: Signal<Out, Bit>,
    pub precharge_ready: Signal<Out, Bit>,
    pub activate_ready: Signal<Out, Bit>,

    is_open: DFF<Bit>,
    open_row: DFF<Bits<13>>,
    /// Cycles until the command is allowed, less one after the command that set it; a read or write is
    /// decided on a cycle before it goes out, so of these less two.
    column_in: DFF<Bits<5>>,
    precharge_in: DFF<Bits<5>>,
    activate_in: DFF<Bits<5>>,
    /// tRC apart from tRP: either may be the longer one.
    cycle_in: DFF<Bits<5>>,
    rcd: Param<Bits<5>>,
    ras: Param<Bits<5>>,
    rc: Param<Bits<5>>,
    rp: Param<Bits<5>>,
    after_read: Param<Bits<5>>,
    after_write: Param<Bits<5>>,
}

impl Bank {
    pub fn new(cycles: &Cycles) -> Self {
        let less_one = |cycles: u32| Param::new(u64::from(cycles - 1).into());
        Self {
            rcd: Param::new(u64::from(cycles.rcd.saturating_sub(2)).into()),
            ras: less_one(cycles.ras),
            rc: less_one(cycles.rc),
            rp: less_one(cycles.rp),
            // A read's words are all out. One cycle less would do, at CAS latency 2.
            after_read: less_one(8),
            after_write: less_one(7 + cycles.wr),
            ..Default::default()
        }
    }
}

impl Logic for Bank {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, is_open, open_row, column_in, precharge_in, activate_in, cycle_in);
        self.open.next = self.is_open.q.val();
        self.hit.next = self.is_open.q.val() && (self.open_row.q.val() == self.row.val());
        self.column_ready.next = self.column_in.q.val() == 0;
        self.precharge_ready.next = self.precharge_in.q.val() == 0;
        self.activate_ready.next = (self.activate_in.q.val() | self.cycle_in.q.val()) == 0;
        if self.column_in.q.val() != 0 {
            self.column_in.d.next = self.column_in.q.val() - 1;
        }
        if self.precharge_in.q.val() != 0 {
            self.precharge_in.d.next = self.precharge_in.q.val() - 1;
        }
        if self.activate_in.q.val() != 0 {
            self.activate_in.d.next = self.activate_in.q.val() - 1;
        }
        if self.cycle_in.q.val() != 0 {
            self.cycle_in.d.next = self.cycle_in.q.val() - 1;
        }
        if self.activate.val() {
            self.is_open.d.next = true;
            self.open_row.d.next = self.row.val();
            self.column_in.d.next = self.rcd.val();
            self.precharge_in.d.next = self.ras.val();
            self.cycle_in.d.next = self.rc.val();
        }
        // A burst is longer than what is left of tRAS when it may begin.
        if self.column.val() {
            self.precharge_in.d.next = self.after_read.val();
            if self.write.val() {
                self.precharge_in.d.next = self.after_write.val();
            }
        }
        if self.precharge.val() {
            self.is_open.d.next = false;
            self.activate_in.d.next = self.rp.val();
        }
        if self.reset.val() {
            self.is_open.d.next = false;
            self.column_in.d.next = 0.into();
            self.precharge_in.d.next = 0.into();
            self.activate_in.d.next = 0.into();
            self.cycle_in.d.next = 0.into();
        }
    }
}
