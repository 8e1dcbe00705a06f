//! The controller: lines on the DRAM port's beats of 64 bits, commands and words at the chip's pins.
//!
//! A line is 32 words in one row: four bursts of eight, without a gap. The line number's low four
//! bits are the place in the row, the next two the bank, the rest the row: lines in sequence move to
//! the next bank every 16 lines. While a line's words move, the next line's row is opened, if it is
//! in another bank; so lines follow one another without a gap unless two rows of one bank do.
//!
//! Whether the next line can begin is found out a cycle ahead and kept in `go`, so that no path leads
//! from a row's comparison to the chip's pins.
//!
//! Lines are served in the order of their commands. A write is answered when its burst begins: what
//! comes later, comes later at the chip too. A refresh is due every 7.5 us and waits for the line
//! under way at most; nothing new begins before it.
//!
//! All outputs to the chip are registers. `dq_in` is sampled by one: a read's first word must stand
//! at the pin `CAS_LATENCY` edges after the one with which the command's register changed.

use super::bank::Bank;
use super::timing::{Cycles, CAS_LATENCY, FIRST_REFRESHES, MODE};
use crate::fifo::Fifo;
use crate::prim::Param;
use rust_hdl::prelude::*;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum State {
    PowerUp,
    Closing,
    Refreshing,
    SetsMode,
    Runs,
}

#[derive(LogicBlock, Default)]
pub struct Sdram {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The chip is initialised.
    pub ready: Signal<Out, Bit>,

    /// Beats, see [`crate::beats::Beats`].
    pub cmd_valid: Signal<In, Bit>,
    pub cmd_ready: Signal<Out, Bit>,
    pub cmd_write: Signal<In, Bit>,
    pub cmd_tag: Signal<In, Bits<10>>,
    pub cmd_line: Signal<In, Bits<19>>,
    pub cmd_mask: Signal<In, Bits<8>>,
    pub cmd_data: Signal<In, Bits<64>>,
    pub cmd_last: Signal<In, Bit>,
    pub resp_valid: Signal<Out, Bit>,
    pub resp_ready: Signal<In, Bit>,
    pub resp_tag: Signal<Out, Bits<10>>,
    pub resp_data: Signal<Out, Bits<64>>,
    pub resp_last: Signal<Out, Bit>,

    /// The chip.
    pub cke: Signal<Out, Bit>,
    pub cs_n: Signal<Out, Bit>,
    pub ras_n: Signal<Out, Bit>,
    pub cas_n: Signal<Out, Bit>,
    pub we_n: Signal<Out, Bit>,
    pub ba: Signal<Out, Bits<2>>,
    pub a: Signal<Out, Bits<13>>,
    pub dqm: Signal<Out, Bits<2>>,
    pub dq_out: Signal<Out, Bits<16>>,
    pub dq_drive: Signal<Out, Bit>,
    pub dq_in: Signal<In, Bits<16>>,

    /// Commands: `[18:0]` line, `[28:19]` tag, `[29]` write.
    commands: Fifo<Bits<30>>,
    commands_in: DFF<Bits<3>>,
    /// The queue's first command, out of its memory.
    next: DFF<Bits<30>>,
    has_next: DFF<Bit>,
    /// It begins in this cycle.
    go: DFF<Bit>,
    /// Beats to write: `[63:0]` data, `[71:64]` mask.
    beats: Fifo<Bits<72>>,
    beats_in: DFF<Bits<5>>,
    bank_0: Bank,
    bank_1: Bank,
    bank_2: Bank,
    bank_3: Bank,

    state: DFF<State>,
    /// Cycles until the state's next step.
    pause: DFF<Bits<16>>,
    first: DFF<Bits<4>>,
    running: DFF<Bit>,
    next_refresh: DFF<Bits<12>>,
    /// Refreshes that are due.
    due: DFF<Bits<4>>,
    /// A line's words move: `word` is the one of this cycle.
    busy: DFF<Bit>,
    word: DFF<Bits<5>>,
    writing: DFF<Bit>,
    bank: DFF<Bits<2>>,
    place: DFF<Bits<4>>,
    /// Cycles until the chip's last word has left the pins.
    turn: DFF<Bits<3>>,
    rrd_in: DFF<Bits<3>>,

    /// Which of the last cycles asked for a word that is to be read.
    asked: DFF<Bits<3>>,
    taken: DFF<Bits<16>>,
    half_beat: DFF<Bits<48>>,
    words_taken: DFF<Bits<2>>,
    /// Lines whose words are not all handed on: there is room for four.
    reads: DFF<Bits<3>>,
    words: Fifo<Bits<64>>,
    /// Replies in order: `[9:0]` tag, `[10]` write.
    replies: Fifo<Bits<11>>,
    replies_in: DFF<Bits<4>>,
    beat_out: DFF<Bits<3>>,

    // The pins' registers, active high: the chip sees no command before the first clock edge.
    cke_r: DFF<Bit>,
    select_r: DFF<Bit>,
    ras_r: DFF<Bit>,
    cas_r: DFF<Bit>,
    we_r: DFF<Bit>,
    ba_r: DFF<Bits<2>>,
    a_r: DFF<Bits<13>>,
    dqm_r: DFF<Bits<2>>,
    dq_r: DFF<Bits<16>>,
    drive_r: DFF<Bit>,

    takes_beat: Signal<Local, Bit>,
    takes_command: Signal<Local, Bit>,
    head: Signal<Local, Bits<30>>,
    head_write: Signal<Local, Bit>,
    head_bank: Signal<Local, Bits<2>>,
    head_row: Signal<Local, Bits<13>>,
    head_place: Signal<Local, Bits<4>>,
    open: Signal<Local, Bit>,
    hit: Signal<Local, Bit>,
    column_ready: Signal<Local, Bit>,
    precharge_ready: Signal<Local, Bit>,
    activate_ready: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    takes_next: Signal<Local, Bit>,
    start: Signal<Local, Bit>,
    moves: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    column: Signal<Local, Bit>,
    row_slot: Signal<Local, Bit>,
    activate: Signal<Local, Bit>,
    precharge: Signal<Local, Bit>,
    close_all: Signal<Local, Bit>,
    this_bank: Signal<Local, Bits<2>>,
    this_place: Signal<Local, Bits<4>>,
    to_write: Signal<Local, Bits<16>>,
    to_mask: Signal<Local, Bits<2>>,
    beat_done: Signal<Local, Bit>,
    read_start: Signal<Local, Bit>,
    read_end: Signal<Local, Bit>,
    replied: Signal<Local, Bit>,
    reply_write: Signal<Local, Bit>,
    put_beat: Signal<Local, Bit>,

    power_up: Param<Bits<16>>,
    rp: Param<Bits<16>>,
    rfc: Param<Bits<16>>,
    mode_pause: Param<Bits<16>>,
    rrd: Param<Bits<3>>,
    refresh: Param<Bits<12>>,
    mode: Param<Bits<13>>,
    first_refreshes: Param<Bits<4>>,
    turn_cycles: Param<Bits<3>>,
}

impl Sdram {
    pub fn new(cycles: &Cycles) -> Self {
        let less_one = |cycles: u32| Param::new(u64::from(cycles - 1).into());
        Self {
            commands: Fifo::new(4),
            beats: Fifo::new(16),
            words: Fifo::new(32),
            replies: Fifo::new(8),
            bank_0: Bank::new(cycles),
            bank_1: Bank::new(cycles),
            bank_2: Bank::new(cycles),
            bank_3: Bank::new(cycles),
            power_up: less_one(cycles.power_up),
            rp: less_one(cycles.rp),
            rfc: less_one(cycles.rfc),
            mode_pause: less_one(2),
            rrd: Param::new(u64::from(cycles.rrd - 1).into()),
            refresh: Param::new(u64::from(cycles.refresh - 1).into()),
            mode: Param::new(u64::from(MODE).into()),
            first_refreshes: Param::new(u64::from(FIRST_REFRESHES).into()),
            turn_cycles: Param::new(u64::from(CAS_LATENCY).into()),
            ..Default::default()
        }
    }
}

impl Logic for Sdram {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, commands_in, beats_in, state, pause, first, running, next_refresh);
        dff_setup!(self, clock, next, has_next, go);
        dff_setup!(self, clock, due, busy, word, writing, bank, place, turn, rrd_in);
        dff_setup!(self, clock, asked, taken, half_beat, words_taken, reads, replies_in, beat_out);
        dff_setup!(
            self, clock, cke_r, select_r, ras_r, cas_r, we_r, ba_r, a_r, dqm_r, dq_r, drive_r
        );
        clock!(self, clock, commands, beats, words, replies, bank_0, bank_1, bank_2, bank_3);
        self.commands.reset.next = self.reset.val();
        self.beats.reset.next = self.reset.val();
        self.words.reset.next = self.reset.val();
        self.replies.reset.next = self.reset.val();
        self.bank_0.reset.next = self.reset.val();
        self.bank_1.reset.next = self.reset.val();
        self.bank_2.reset.next = self.reset.val();
        self.bank_3.reset.next = self.reset.val();
        self.ready.next = self.running.q.val();

        // In: a command is in the queue when all its beats are.
        self.cmd_ready.next = (self.commands_in.q.val() != 4) && (self.beats_in.q.val() != 16);
        self.takes_beat.next = self.cmd_valid.val() && self.cmd_ready.val();
        self.takes_command.next = self.takes_beat.val() && self.cmd_last.val();
        self.put_beat.next = self.takes_beat.val() && self.cmd_write.val();
        self.commands.push.next = self.takes_command.val();
        self.commands.push_data.next = bit_cast::<30, 19>(self.cmd_line.val())
            | (bit_cast::<30, 10>(self.cmd_tag.val()) << 19)
            | (bit_cast::<30, 1>(self.cmd_write.val().into()) << 29);
        self.beats.push.next = self.put_beat.val();
        self.beats.push_data.next = bit_cast::<72, 64>(self.cmd_data.val())
            | (bit_cast::<72, 8>(self.cmd_mask.val()) << 64);

        // The line that is next, and its bank.
        self.start.next = self.go.q.val();
        self.takes_next.next =
            self.commands.nonempty.val() && (!self.has_next.q.val() || self.start.val());
        self.commands.pop.next = self.takes_next.val();
        if self.start.val() {
            self.has_next.d.next = false;
        }
        if self.takes_next.val() {
            self.has_next.d.next = true;
            self.next.d.next = self.commands.head.val();
        }
        self.head.next = self.next.q.val();
        self.head_place.next = self.head.val().get_bits::<4>(0);
        self.head_bank.next = self.head.val().get_bits::<2>(4);
        self.head_row.next = self.head.val().get_bits::<13>(6);
        self.head_write.next = self.head.val().get_bit(29);
        self.bank_0.row.next = self.head_row.val();
        self.bank_1.row.next = self.head_row.val();
        self.bank_2.row.next = self.head_row.val();
        self.bank_3.row.next = self.head_row.val();
        self.open.next = self.bank_0.open.val();
        self.hit.next = self.bank_0.hit.val();
        self.column_ready.next = self.bank_0.column_ready.val();
        self.precharge_ready.next = self.bank_0.precharge_ready.val();
        self.activate_ready.next = self.bank_0.activate_ready.val();
        if self.head_bank.val() == 1 {
            self.open.next = self.bank_1.open.val();
            self.hit.next = self.bank_1.hit.val();
            self.column_ready.next = self.bank_1.column_ready.val();
            self.precharge_ready.next = self.bank_1.precharge_ready.val();
            self.activate_ready.next = self.bank_1.activate_ready.val();
        }
        if self.head_bank.val() == 2 {
            self.open.next = self.bank_2.open.val();
            self.hit.next = self.bank_2.hit.val();
            self.column_ready.next = self.bank_2.column_ready.val();
            self.precharge_ready.next = self.bank_2.precharge_ready.val();
            self.activate_ready.next = self.bank_2.activate_ready.val();
        }
        if self.head_bank.val() == 3 {
            self.open.next = self.bank_3.open.val();
            self.hit.next = self.bank_3.hit.val();
            self.column_ready.next = self.bank_3.column_ready.val();
            self.precharge_ready.next = self.bank_3.precharge_ready.val();
            self.activate_ready.next = self.bank_3.activate_ready.val();
        }

        // A line begins in the cycle after the last word of the one before it, if all is ready. What is
        // true of a closed timer and an open row stays true until then; a read's last word turns the
        // pins' direction only afterwards.
        self.room.next =
            (self.replies_in.q.val() != 8) && (self.head_write.val() || (self.reads.q.val() != 4));
        self.go.d.next = (self.running.q.val()
            && (self.state.q.val() == State::Runs)
            && (self.due.q.val() == 0)
            && self.has_next.q.val()
            && !self.start.val())
            && (!self.busy.q.val() || (self.word.q.val() == 31))
            && (self.hit.val() && self.column_ready.val() && self.room.val())
            && (!self.head_write.val()
                || ((self.turn.q.val() == 0) && (!self.busy.q.val() || self.writing.q.val())));
        if self.takes_command.val() && !self.takes_next.val() {
            self.commands_in.d.next = self.commands_in.q.val() + 1;
        }
        if self.takes_next.val() && !self.takes_command.val() {
            self.commands_in.d.next = self.commands_in.q.val() - 1;
        }
        self.moves.next = self.start.val() || self.busy.q.val();
        self.writes.next = self.writing.q.val();
        self.this_bank.next = self.bank.q.val();
        self.this_place.next = self.place.q.val();
        if self.start.val() {
            self.writes.next = self.head_write.val();
            self.this_bank.next = self.head_bank.val();
            self.this_place.next = self.head_place.val();
            self.busy.d.next = true;
            self.writing.d.next = self.head_write.val();
            self.bank.d.next = self.head_bank.val();
            self.place.d.next = self.head_place.val();
        }
        if self.moves.val() {
            self.word.d.next = self.word.q.val() + 1;
        }
        if self.word.q.val() == 31 {
            self.busy.d.next = false;
        }
        self.column.next = self.moves.val() && (self.word.q.val().get_bits::<3>(0) == 0);
        if self.turn.q.val() != 0 {
            self.turn.d.next = self.turn.q.val() - 1;
        }
        if self.moves.val() && !self.writes.val() {
            self.turn.d.next = self.turn_cycles.val();
        }

        // Words to write come from the queue's head, lowest first.
        self.beat_done.next =
            self.moves.val() && self.writes.val() && (self.word.q.val().get_bits::<2>(0) == 3);
        self.beats.pop.next = self.beat_done.val();
        if self.put_beat.val() && !self.beat_done.val() {
            self.beats_in.d.next = self.beats_in.q.val() + 1;
        }
        if self.beat_done.val() && !self.put_beat.val() {
            self.beats_in.d.next = self.beats_in.q.val() - 1;
        }
        self.to_write.next = self.beats.head.val().get_bits::<16>(0);
        self.to_mask.next = self.beats.head.val().get_bits::<2>(64);
        if self.word.q.val().get_bits::<2>(0) == 1 {
            self.to_write.next = self.beats.head.val().get_bits::<16>(16);
            self.to_mask.next = self.beats.head.val().get_bits::<2>(66);
        }
        if self.word.q.val().get_bits::<2>(0) == 2 {
            self.to_write.next = self.beats.head.val().get_bits::<16>(32);
            self.to_mask.next = self.beats.head.val().get_bits::<2>(68);
        }
        if self.word.q.val().get_bits::<2>(0) == 3 {
            self.to_write.next = self.beats.head.val().get_bits::<16>(48);
            self.to_mask.next = self.beats.head.val().get_bits::<2>(70);
        }

        // Rows are opened and closed for the next line in the cycles between the bursts' commands.
        self.row_slot.next = self.running.q.val()
            && (self.state.q.val() == State::Runs)
            && (self.due.q.val() == 0)
            && self.has_next.q.val()
            && !self.column.val();
        self.activate.next = self.row_slot.val()
            && !self.open.val()
            && self.activate_ready.val()
            && (self.rrd_in.q.val() == 0);
        self.precharge.next = self.row_slot.val()
            && self.open.val()
            && !self.hit.val()
            && self.precharge_ready.val()
            && !(self.busy.q.val() && (self.bank.q.val() == self.head_bank.val()));
        if self.rrd_in.q.val() != 0 {
            self.rrd_in.d.next = self.rrd_in.q.val() - 1;
        }
        if self.activate.val() {
            self.rrd_in.d.next = self.rrd.val();
        }

        // When refreshes are due.
        self.next_refresh.d.next = self.next_refresh.q.val() - 1;
        if self.next_refresh.q.val() == 0 {
            self.next_refresh.d.next = self.refresh.val();
            if self.running.q.val() && (self.due.q.val() != 15) {
                self.due.d.next = self.due.q.val() + 1;
            }
        }

        // What goes out to the chip.
        self.cke_r.d.next = true;
        self.select_r.d.next = false;
        self.ras_r.d.next = false;
        self.cas_r.d.next = false;
        self.we_r.d.next = false;
        self.ba_r.d.next = self.head_bank.val();
        self.a_r.d.next = self.head_row.val();
        self.drive_r.d.next = self.moves.val() && self.writes.val();
        self.dq_r.d.next = self.to_write.val();
        self.dqm_r.d.next = 0.into();
        if self.moves.val() && self.writes.val() {
            self.dqm_r.d.next = !self.to_mask.val();
        }
        if self.column.val() {
            self.select_r.d.next = true;
            self.cas_r.d.next = true;
            self.we_r.d.next = self.writes.val();
            self.ba_r.d.next = self.this_bank.val();
            self.a_r.d.next = (bit_cast::<13, 4>(self.this_place.val()) << 5)
                | bit_cast::<13, 5>(self.word.q.val());
        }
        if self.activate.val() {
            self.select_r.d.next = true;
            self.ras_r.d.next = true;
        }
        if self.precharge.val() {
            self.select_r.d.next = true;
            self.ras_r.d.next = true;
            self.we_r.d.next = true;
            self.a_r.d.next = 0.into();
        }

        // Initialisation and refreshes.
        self.close_all.next = false;
        if self.pause.q.val() != 0 {
            self.pause.d.next = self.pause.q.val() - 1;
        }
        match self.state.q.val() {
            State::PowerUp => {
                self.dqm_r.d.next = 3.into();
                if self.pause.q.val() == 0 {
                    self.close_all.next = true;
                }
            }
            State::Closing => {
                if self.pause.q.val() == 0 {
                    self.select_r.d.next = true;
                    self.ras_r.d.next = true;
                    self.cas_r.d.next = true;
                    self.pause.d.next = self.rfc.val();
                    self.state.d.next = State::Refreshing;
                    if self.running.q.val() {
                        self.due.d.next = self.due.q.val() - 1;
                        if self.next_refresh.q.val() == 0 {
                            self.due.d.next = self.due.q.val();
                        }
                    }
                }
            }
            State::Refreshing => {
                if self.pause.q.val() == 0 {
                    if self.running.q.val() {
                        self.state.d.next = State::Runs;
                    } else {
                        self.first.d.next = self.first.q.val() - 1;
                        // All banks are closed: the next refresh may follow at once.
                        self.state.d.next = State::Closing;
                        if self.first.q.val() == 1 {
                            self.state.d.next = State::SetsMode;
                            self.select_r.d.next = true;
                            self.ras_r.d.next = true;
                            self.cas_r.d.next = true;
                            self.we_r.d.next = true;
                            self.ba_r.d.next = 0.into();
                            self.a_r.d.next = self.mode.val();
                            self.pause.d.next = self.mode_pause.val();
                        }
                    }
                }
            }
            State::SetsMode => {
                if self.pause.q.val() == 0 {
                    self.state.d.next = State::Runs;
                    self.running.d.next = true;
                    self.next_refresh.d.next = self.refresh.val();
                }
            }
            State::Runs => {
                if (self.due.q.val() != 0)
                    && !self.busy.q.val()
                    && !self.start.val()
                    && self.bank_0.precharge_ready.val()
                    && self.bank_1.precharge_ready.val()
                    && self.bank_2.precharge_ready.val()
                    && self.bank_3.precharge_ready.val()
                {
                    self.close_all.next = true;
                }
            }
            _ => {
                self.state.d.next = State::PowerUp;
            }
        }
        if self.close_all.val() {
            self.select_r.d.next = true;
            self.ras_r.d.next = true;
            self.we_r.d.next = true;
            self.a_r.d.next = 0x400.into();
            self.pause.d.next = self.rp.val();
            self.state.d.next = State::Closing;
        }

        self.bank_0.write.next = self.writes.val();
        self.bank_1.write.next = self.writes.val();
        self.bank_2.write.next = self.writes.val();
        self.bank_3.write.next = self.writes.val();
        self.bank_0.activate.next = self.activate.val() && (self.head_bank.val() == 0);
        self.bank_1.activate.next = self.activate.val() && (self.head_bank.val() == 1);
        self.bank_2.activate.next = self.activate.val() && (self.head_bank.val() == 2);
        self.bank_3.activate.next = self.activate.val() && (self.head_bank.val() == 3);
        self.bank_0.precharge.next =
            self.close_all.val() || (self.precharge.val() && (self.head_bank.val() == 0));
        self.bank_1.precharge.next =
            self.close_all.val() || (self.precharge.val() && (self.head_bank.val() == 1));
        self.bank_2.precharge.next =
            self.close_all.val() || (self.precharge.val() && (self.head_bank.val() == 2));
        self.bank_3.precharge.next =
            self.close_all.val() || (self.precharge.val() && (self.head_bank.val() == 3));
        self.bank_0.column.next = self.column.val() && (self.this_bank.val() == 0);
        self.bank_1.column.next = self.column.val() && (self.this_bank.val() == 1);
        self.bank_2.column.next = self.column.val() && (self.this_bank.val() == 2);
        self.bank_3.column.next = self.column.val() && (self.this_bank.val() == 3);

        self.cke.next = self.cke_r.q.val();
        self.cs_n.next = !self.select_r.q.val();
        self.ras_n.next = !self.ras_r.q.val();
        self.cas_n.next = !self.cas_r.q.val();
        self.we_n.next = !self.we_r.q.val();
        self.ba.next = self.ba_r.q.val();
        self.a.next = self.a_r.q.val();
        self.dqm.next = self.dqm_r.q.val();
        self.dq_out.next = self.dq_r.q.val();
        self.dq_drive.next = self.drive_r.q.val();

        // Words that come back, four to a beat.
        self.asked.d.next = self.asked.q.val() << 1;
        if self.moves.val() && !self.writes.val() {
            self.asked.d.next = (self.asked.q.val() << 1) | 1;
        }
        self.taken.d.next = self.dq_in.val();
        self.words.push.next = false;
        self.words.push_data.next = bit_cast::<64, 48>(self.half_beat.q.val())
            | (bit_cast::<64, 16>(self.taken.q.val()) << 48);
        if self.asked.q.val().get_bit(2) {
            self.words_taken.d.next = self.words_taken.q.val() + 1;
            self.half_beat.d.next =
                (self.half_beat.q.val() >> 16) | (bit_cast::<48, 16>(self.taken.q.val()) << 32);
            self.words.push.next = self.words_taken.q.val() == 3;
        }

        // Out: replies in the order in which lines began.
        self.read_start.next = self.start.val() && !self.head_write.val();
        self.replies.push.next = self.start.val();
        self.replies.push_data.next = bit_cast::<11, 10>(self.head.val().get_bits::<10>(19))
            | (bit_cast::<11, 1>(self.head_write.val().into()) << 10);
        self.reply_write.next = self.replies.head.val().get_bit(10);
        self.resp_tag.next = self.replies.head.val().get_bits::<10>(0);
        self.resp_data.next = self.words.head.val();
        self.resp_last.next = self.reply_write.val() || (self.beat_out.q.val() == 7);
        self.resp_valid.next =
            self.replies.nonempty.val() && (self.reply_write.val() || self.words.nonempty.val());
        self.words.pop.next = false;
        self.replied.next = false;
        self.read_end.next = false;
        if self.resp_valid.val() && self.resp_ready.val() {
            self.replied.next = self.resp_last.val();
            if !self.reply_write.val() {
                self.words.pop.next = true;
                self.beat_out.d.next = self.beat_out.q.val() + 1;
                self.read_end.next = self.resp_last.val();
            }
        }
        self.replies.pop.next = self.replied.val();
        if self.start.val() && !self.replied.val() {
            self.replies_in.d.next = self.replies_in.q.val() + 1;
        }
        if self.replied.val() && !self.start.val() {
            self.replies_in.d.next = self.replies_in.q.val() - 1;
        }
        if self.read_start.val() && !self.read_end.val() {
            self.reads.d.next = self.reads.q.val() + 1;
        }
        if self.read_end.val() && !self.read_start.val() {
            self.reads.d.next = self.reads.q.val() - 1;
        }

        if self.reset.val() {
            self.commands_in.d.next = 0.into();
            self.has_next.d.next = false;
            self.go.d.next = false;
            self.beats_in.d.next = 0.into();
            self.state.d.next = State::PowerUp;
            self.pause.d.next = self.power_up.val();
            self.first.d.next = self.first_refreshes.val();
            self.running.d.next = false;
            self.due.d.next = 0.into();
            self.busy.d.next = false;
            self.word.d.next = 0.into();
            self.turn.d.next = 0.into();
            self.rrd_in.d.next = 0.into();
            self.asked.d.next = 0.into();
            self.words_taken.d.next = 0.into();
            self.reads.d.next = 0.into();
            self.replies_in.d.next = 0.into();
            self.beat_out.d.next = 0.into();
            self.cke_r.d.next = false;
            self.select_r.d.next = false;
            self.drive_r.d.next = false;
            self.dqm_r.d.next = 3.into();
        }
    }
}
