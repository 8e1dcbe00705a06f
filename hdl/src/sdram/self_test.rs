//! The memory's test after power-up: finds data, address, bank and mask wires that are open, stuck
//! or shorted, before anything is kept in it.
//!
//! Tested are line 0 and the 19 lines whose number is a power of two, so each row, bank and column
//! wire alone makes the difference between two of them; with `thorough`, every line. Four passes write
//! all of these lines and then read them all:
//!
//! | pass | written | expected |
//! | --- | --- | --- |
//! | 0 | the pattern | the pattern |
//! | 1 | its complement | its complement |
//! | 2 | the pattern, even bytes only | even bytes pattern, odd bytes complement |
//! | 3 | its complement, odd bytes only | as in pass 2 |
//!
//! The pattern is a one that walks over the 16 data wires, XORed with the line's number. The first
//! line that reads wrong ends the test: `fail_line` is its number, `fail_bits` says which data wires
//! differed anywhere in it.

use crate::prim::Param;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Step {
    Waits,
    Writes,
    WriteReply,
    Reads,
    ReadReply,
    Over,
}

#[derive(LogicBlock, Default)]
pub struct SelfTest {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The memory can be used.
    pub start: Signal<In, Bit>,
    /// Test every line; looked at when the test starts.
    pub thorough: Signal<In, Bit>,
    pub done: Signal<Out, Bit>,
    pub failed: Signal<Out, Bit>,
    pub fail_line: Signal<Out, Bits<19>>,
    pub fail_bits: Signal<Out, Bits<16>>,

    pub cmd_valid: Signal<Out, Bit>,
    pub cmd_ready: Signal<In, Bit>,
    pub cmd_write: Signal<Out, Bit>,
    pub cmd_line: Signal<Out, Bits<19>>,
    pub cmd_mask: Signal<Out, Bits<8>>,
    pub cmd_data: Signal<Out, Bits<64>>,
    pub cmd_last: Signal<Out, Bit>,
    pub resp_valid: Signal<In, Bit>,
    pub resp_data: Signal<In, Bits<64>>,
    pub resp_last: Signal<In, Bit>,

    step: DFF<Step>,
    /// The word to write belongs to this beat: its pattern takes a cycle.
    fresh: DFF<Bit>,
    to_write: DFF<Bits<64>>,
    /// What a read's next beat should be; beats of 16-bit words come four cycles apart.
    to_read: DFF<Bits<64>>,
    // A beat that was read, and then what of it was wrong.
    got: DFF<Bit>,
    got_last: DFF<Bit>,
    got_data: DFF<Bits<64>>,
    seen: DFF<Bit>,
    seen_last: DFF<Bit>,
    seen_wires: DFF<Bits<16>>,
    every: DFF<Bit>,
    pass: DFF<Bits<2>>,
    line: DFF<Bits<20>>,
    beat: DFF<Bits<3>>,
    bad: DFF<Bit>,
    bad_bits: DFF<Bits<16>>,
    failing: DFF<Bit>,
    number: Signal<Local, Bits<16>>,
    high: Signal<Local, Bits<16>>,
    walk: Signal<Local, Bits<64>>,
    pattern: Signal<Local, Bits<64>>,
    expected: Signal<Local, Bits<64>>,
    differs: Signal<Local, Bits<64>>,
    next_line: Signal<Local, Bits<20>>,
    last_line: Signal<Local, Bit>,
    ones: Param<Bits<64>>,
    odd_bytes: Param<Bits<64>>,
}

impl SelfTest {
    pub fn new() -> Self {
        Self {
            ones: Param::new(0x0008_0004_0002_0001u64.into()),
            odd_bytes: Param::new(0xFF00_FF00_FF00_FF00u64.into()),
            ..Default::default()
        }
    }
}

impl Logic for SelfTest {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, step, every, pass, line, beat, bad, bad_bits, failing, fresh);
        dff_setup!(self, clock, to_write, to_read, got, got_last, got_data);
        dff_setup!(self, clock, seen, seen_last, seen_wires);
        self.done.next = self.step.q.val() == Step::Over;
        self.failed.next = self.failing.q.val();
        self.fail_line.next = bit_cast::<19, 20>(self.line.q.val());
        self.fail_bits.next = self.bad_bits.q.val();

        self.high.next = bit_cast::<16, 20>(self.line.q.val() >> 16);
        self.number.next = bit_cast::<16, 20>(self.line.q.val())
            ^ (self.high.val() | (self.high.val() << 4))
            ^ ((self.high.val() << 8) | (self.high.val() << 12));
        // The ones of a beat's four words stand one further in each word, and four in each beat.
        self.walk.next =
            self.ones.val() << (bit_cast::<6, 2>(self.beat.q.val().get_bits::<2>(0)) << 2);
        self.pattern.next = self.walk.val()
            ^ (bit_cast::<64, 16>(self.number.val())
                | (bit_cast::<64, 16>(self.number.val()) << 16))
            ^ ((bit_cast::<64, 16>(self.number.val()) << 32)
                | (bit_cast::<64, 16>(self.number.val()) << 48));
        if self.beat.q.val().get_bit(2) {
            self.pattern.next = !(self.walk.val()
                ^ (bit_cast::<64, 16>(self.number.val())
                    | (bit_cast::<64, 16>(self.number.val()) << 16))
                ^ ((bit_cast::<64, 16>(self.number.val()) << 32)
                    | (bit_cast::<64, 16>(self.number.val()) << 48)));
        }
        self.cmd_mask.next = 0xFF.into();
        self.to_write.d.next = self.pattern.val();
        self.expected.next = self.pattern.val();
        if self.pass.q.val() == 1 {
            self.to_write.d.next = !self.pattern.val();
            self.expected.next = !self.pattern.val();
        }
        if self.pass.q.val() == 2 {
            self.cmd_mask.next = 0x55.into();
            self.expected.next = self.pattern.val() ^ self.odd_bytes.val();
        }
        if self.pass.q.val() == 3 {
            self.cmd_mask.next = 0xAA.into();
            self.to_write.d.next = !self.pattern.val();
            self.expected.next = self.pattern.val() ^ self.odd_bytes.val();
        }
        self.cmd_line.next = bit_cast::<19, 20>(self.line.q.val());
        self.cmd_data.next = self.to_write.q.val();
        self.to_read.d.next = self.expected.val();
        self.fresh.d.next = (self.step.q.val() == Step::Writes) && !self.fresh.q.val();
        if self.fresh.q.val() && !self.cmd_ready.val() {
            self.fresh.d.next = true;
        }
        self.cmd_valid.next = ((self.step.q.val() == Step::Writes) && self.fresh.q.val())
            || (self.step.q.val() == Step::Reads);
        self.cmd_write.next = self.step.q.val() == Step::Writes;
        self.cmd_last.next = (self.step.q.val() == Step::Reads) || (self.beat.q.val() == 7);

        self.got.d.next = self.resp_valid.val();
        self.got_last.d.next = self.resp_last.val();
        self.got_data.d.next = self.resp_data.val();
        self.differs.next = self.got_data.q.val() ^ self.to_read.q.val();
        self.seen.d.next = self.got.q.val();
        self.seen_last.d.next = self.got_last.q.val();
        self.seen_wires.d.next = self.differs.val().get_bits::<16>(0)
            | self.differs.val().get_bits::<16>(16)
            | self.differs.val().get_bits::<16>(32)
            | self.differs.val().get_bits::<16>(48);

        self.next_line.next = self.line.q.val() << 1;
        if self.every.q.val() || (self.line.q.val() == 0) {
            self.next_line.next = self.line.q.val() + 1;
        }
        self.last_line.next = self.next_line.val().get_bit(19);

        match self.step.q.val() {
            Step::Waits => {
                if self.start.val() {
                    self.step.d.next = Step::Writes;
                    self.every.d.next = self.thorough.val();
                }
            }
            Step::Writes => {
                if self.fresh.q.val() && self.cmd_ready.val() {
                    self.beat.d.next = self.beat.q.val() + 1;
                    if self.beat.q.val() == 7 {
                        self.step.d.next = Step::WriteReply;
                    }
                }
            }
            Step::WriteReply => {
                if self.seen.q.val() {
                    self.step.d.next = Step::Writes;
                    self.line.d.next = self.next_line.val();
                    if self.last_line.val() {
                        self.step.d.next = Step::Reads;
                        self.line.d.next = 0.into();
                    }
                }
            }
            Step::Reads => {
                if self.cmd_ready.val() {
                    self.step.d.next = Step::ReadReply;
                    self.bad.d.next = false;
                    self.bad_bits.d.next = 0.into();
                }
            }
            Step::ReadReply => {
                if self.seen.q.val() {
                    self.beat.d.next = self.beat.q.val() + 1;
                    self.bad_bits.d.next = self.bad_bits.q.val() | self.seen_wires.q.val();
                    self.bad.d.next = self.bad.q.val() || (self.seen_wires.q.val() != 0);
                    if self.seen_last.q.val() {
                        self.step.d.next = Step::Reads;
                        self.line.d.next = self.next_line.val();
                        if self.last_line.val() {
                            self.step.d.next = Step::Writes;
                            self.line.d.next = 0.into();
                            self.pass.d.next = self.pass.q.val() + 1;
                            if self.pass.q.val() == 3 {
                                self.step.d.next = Step::Over;
                            }
                        }
                        if self.bad.q.val() || (self.seen_wires.q.val() != 0) {
                            self.step.d.next = Step::Over;
                            self.failing.d.next = true;
                            // The line stays: it is what `fail_line` shows.
                            self.line.d.next = self.line.q.val();
                        }
                    }
                }
            }
            Step::Over => {}
            _ => {
                self.step.d.next = Step::Waits;
            }
        }
        if self.reset.val() {
            self.step.d.next = Step::Waits;
            self.fresh.d.next = false;
            self.got.d.next = false;
            self.seen.d.next = false;
            self.pass.d.next = 0.into();
            self.line.d.next = 0.into();
            self.beat.d.next = 0.into();
            self.failing.d.next = false;
            self.bad_bits.d.next = 0.into();
        }
    }
}
