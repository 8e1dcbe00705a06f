//! Atomic unit: fetch-add and compare-and-swap on 8 bytes.
//!
//! In: the slot of an atomic whose line was read, and the 8 bytes it found. Out: a masked write of
//! the new value to the issue stage, or, for a compare-and-swap that found something else, an
//! answer. The line order keeps everybody else off the line in between. The old value stays here
//! until the answer is given.

use crate::fifo::Fifo;
use crate::prim::{HeldRam, LutRam};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum AmoState {
    Idle,
    Operand,
    Compute,
    Finish,
}

#[derive(LogicBlock, Default)]
pub struct Amo {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// A request was accepted: its operands are kept by slot.
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    pub accept_operands: Signal<In, Bits<128>>,

    /// An atomic's line was read.
    pub line_read: Signal<In, Bit>,
    pub line_slot: Signal<In, Bits<7>>,
    pub line_word: Signal<In, Bits<3>>,
    pub line_swap: Signal<In, Bit>,
    pub line_old: Signal<In, Bits<64>>,

    pub write_valid: Signal<Out, Bit>,
    pub write_take: Signal<In, Bit>,
    pub slot: Signal<Out, Bits<7>>,
    pub word: Signal<Out, Bits<3>>,
    pub data: Signal<Out, Bits<64>>,

    /// A failed compare-and-swap: the slot can be answered.
    pub answer: Signal<Out, Bit>,
    pub answer_take: Signal<In, Bit>,
    /// The old value of a slot.
    pub look_slot: Signal<In, Bits<7>>,
    pub look_old: Signal<Out, Bits<64>>,

    operands: HeldRam<Bits<128>, 7>,
    old_for_amo: LutRam<Bits<64>, 7>,
    old_for_answer: LutRam<Bits<64>, 7>,
    /// `[6:0]` slot, `[9:7]` word, `[10]` compare-and-swap.
    queue: Fifo<Bits<11>>,
    state: DFF<AmoState>,
    job: DFF<Bits<11>>,
    operand: DFF<Bits<64>>,
    expected: DFF<Bits<64>>,
    old: DFF<Bits<64>>,
    sum: Signal<Local, Bits<64>>,
    value: DFF<Bits<64>>,
    /// In `Finish`: it is written, or it failed and is answered.
    writes: DFF<Bit>,
    fails: DFF<Bit>,
    equal: Signal<Local, Bit>,
}

impl Amo {
    pub fn new(config: &HwConfig) -> Self {
        let slots = 2 * config.port_slots as usize;
        Self {
            operands: HeldRam::loose(slots),
            old_for_amo: LutRam::new(slots),
            old_for_answer: LutRam::new(slots),
            queue: Fifo::new(slots),
            ..Default::default()
        }
    }
}

impl Logic for Amo {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, job, operand, expected, old, value, writes, fails);
        clock!(self, clock, operands, old_for_amo, old_for_answer, queue);
        self.queue.reset.next = self.reset.val();
        self.operands.write_enable.next = self.accept.val();
        self.operands.write_address.next = self.accept_slot.val();
        self.operands.write_data.next = self.accept_operands.val();
        self.operands.read_enable.next = true;
        self.operands.read_address.next = self.queue.head.val().get_bits::<7>(0);
        self.old_for_amo.write_enable.next = self.line_read.val();
        self.old_for_amo.write_address.next = self.line_slot.val();
        self.old_for_amo.write_data.next = self.line_old.val();
        self.old_for_amo.read_address.next = self.job.q.val().get_bits::<7>(0);
        self.old_for_answer.write_enable.next = self.line_read.val();
        self.old_for_answer.write_address.next = self.line_slot.val();
        self.old_for_answer.write_data.next = self.line_old.val();
        self.old_for_answer.read_address.next = self.look_slot.val();
        self.look_old.next = self.old_for_answer.read_data.val();
        self.queue.push.next = self.line_read.val();
        self.queue.push_data.next = bit_cast::<11, 7>(self.line_slot.val())
            | (bit_cast::<11, 3>(self.line_word.val()) << 7)
            | (bit_cast::<11, 1>(self.line_swap.val().into()) << 10);
        self.queue.pop.next = false;
        self.write_valid.next = self.writes.q.val();
        self.answer.next = self.fails.q.val();
        self.equal.next = self.old.q.val() == self.expected.q.val();
        self.sum.next = self.old.q.val() + self.operand.q.val();
        match self.state.q.val() {
            AmoState::Idle => {
                if self.queue.nonempty.val() {
                    self.queue.pop.next = true;
                    self.job.d.next = self.queue.head.val();
                    self.state.d.next = AmoState::Operand;
                }
            }
            AmoState::Operand => {
                self.operand.d.next = self.operands.read_data.val().get_bits::<64>(0);
                self.expected.d.next = self.operands.read_data.val().get_bits::<64>(64);
                self.old.d.next = self.old_for_amo.read_data.val();
                self.state.d.next = AmoState::Compute;
            }
            AmoState::Compute => {
                self.value.d.next = self.sum.val();
                self.writes.d.next = !self.job.q.val().get_bit(10) || self.equal.val();
                self.fails.d.next = self.job.q.val().get_bit(10) && !self.equal.val();
                if self.job.q.val().get_bit(10) {
                    self.value.d.next = self.operand.q.val();
                }
                self.state.d.next = AmoState::Finish;
            }
            AmoState::Finish => {
                if (self.writes.q.val() && self.write_take.val())
                    || (self.fails.q.val() && self.answer_take.val())
                {
                    self.writes.d.next = false;
                    self.fails.d.next = false;
                    self.state.d.next = AmoState::Idle;
                }
            }
            _ => {
                self.state.d.next = AmoState::Idle;
            }
        }
        self.slot.next = self.job.q.val().get_bits::<7>(0);
        self.word.next = self.job.q.val().get_bits::<3>(7);
        self.data.next = self.value.q.val();
        if self.reset.val() {
            self.state.d.next = AmoState::Idle;
            self.writes.d.next = false;
            self.fails.d.next = false;
        }
    }
}
