//! Which step comes next, see [`super::word::Next`].

use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Sequencer {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The step on hand ends with this cycle.
    pub ends: Signal<In, Bit>,
    pub way: Signal<In, Bits<4>>,
    pub target: Signal<In, Bits<10>>,
    pub zero: Signal<In, Bit>,
    pub carry: Signal<In, Bit>,
    /// The selected bit of B.
    pub selected: Signal<In, Bit>,
    pub line_end: Signal<In, Bit>,
    pub entry_end: Signal<In, Bit>,
    pub scratch_end: Signal<In, Bit>,
    pub access: Signal<In, Bit>,
    /// The step of the register that is accessed.
    pub register: Signal<In, Bits<10>>,
    /// The step that comes next, if `ends`.
    pub fetch: Signal<Out, Bits<10>>,
    at: DFF<Bits<10>>,
    behind: Signal<Local, Bits<10>>,
    /// Where calls came from: the last one, and the one before it.
    last: DFF<Bits<10>>,
    older: DFF<Bits<10>>,
    taken: Signal<Local, Bit>,
    to: Signal<Local, Bits<10>>,
}

impl Logic for Sequencer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, at, last, older);
        self.behind.next = self.at.q.val() + 1;
        self.taken.next = false;
        if (self.way.val() == 1) || (self.way.val() == 12) {
            self.taken.next = true;
        }
        if self.way.val() == 2 {
            self.taken.next = self.zero.val();
        }
        if self.way.val() == 3 {
            self.taken.next = !self.zero.val();
        }
        if self.way.val() == 4 {
            self.taken.next = self.carry.val();
        }
        if self.way.val() == 5 {
            self.taken.next = !self.carry.val();
        }
        if self.way.val() == 6 {
            self.taken.next = self.selected.val();
        }
        if self.way.val() == 7 {
            self.taken.next = !self.selected.val();
        }
        if self.way.val() == 8 {
            self.taken.next = !self.line_end.val();
        }
        if self.way.val() == 9 {
            self.taken.next = !self.entry_end.val();
        }
        if self.way.val() == 10 {
            self.taken.next = !self.scratch_end.val();
        }
        if self.way.val() == 11 {
            self.taken.next = self.access.val();
        }
        self.to.next = self.behind.val();
        if self.taken.val() {
            self.to.next = self.target.val();
        }
        if self.way.val() == 13 {
            self.to.next = self.last.q.val();
        }
        if self.way.val() == 14 {
            self.to.next = self.register.val();
        }
        self.fetch.next = self.to.val();
        if self.ends.val() {
            self.at.d.next = self.to.val();
            if self.way.val() == 12 {
                self.last.d.next = self.behind.val();
                self.older.d.next = self.last.q.val();
            }
            if self.way.val() == 13 {
                self.last.d.next = self.older.q.val();
            }
        }
        if self.reset.val() {
            self.fetch.next = 0.into();
            self.at.d.next = 0.into();
        }
    }
}
