//! Page out: reads lines of the component and writes them to the host.
//!
//! In: pieces of [`super::commands`], at most a payload each, and the lines (`fill_*`), which come in
//! any order. Out: line reads (`read_*`, one a cycle), memory writes to the host (`data_*`, one TLP a
//! piece, one line a cycle), and the pieces that are done. A piece is sent when all of its lines are
//! there, so that the stream to the host never waits for the component; one with a line that the
//! component refused is not sent. 128 lines are in flight or wait to be sent.

use crate::fifo::Fifo;
use crate::prim::LutRam;
use rust_hdl::prelude::*;

/// A piece under way.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct Piece {
    pub slot: Bits<8>,
    pub host: Bits<64>,
    pub lines: Bits<7>,
    /// Of the first line that was not ok, once all are there.
    pub status: Bits<3>,
}

#[derive(LogicBlock, Default)]
pub struct PageOut {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// The endpoint's own bus, device and function number.
    pub requester: Signal<In, Bits<16>>,
    pub busy: Signal<Out, Bit>,

    pub piece_valid: Signal<In, Bit>,
    pub piece_ready: Signal<Out, Bit>,
    pub slot: Signal<In, Bits<8>>,
    pub pid: Signal<In, Bits<16>>,
    pub va: Signal<In, Bits<48>>,
    pub host: Signal<In, Bits<64>>,
    pub lines: Signal<In, Bits<7>>,

    /// Reads of the component. Once up, valid stays with a stable payload until ready.
    pub read_valid: Signal<Out, Bit>,
    pub read_ready: Signal<In, Bit>,
    /// The line's place, to come back with it.
    pub read_place: Signal<Out, Bits<7>>,
    pub read_pid: Signal<Out, Bits<16>>,
    pub read_va: Signal<Out, Bits<48>>,
    pub fill: Signal<In, Bit>,
    pub fill_place: Signal<In, Bits<7>>,
    pub fill_status: Signal<In, Bits<3>>,
    pub fill_data: Signal<In, Bits<512>>,

    /// Memory writes; a TLP's beats come without a gap.
    pub data_valid: Signal<Out, Bit>,
    pub data_ready: Signal<In, Bit>,
    pub data_first: Signal<Out, Bit>,
    pub data_last: Signal<Out, Bit>,
    pub data_header: Signal<Out, Bits<128>>,
    pub data: Signal<Out, Bits<512>>,

    pub sent_valid: Signal<Out, Bit>,
    pub sent_ready: Signal<In, Bit>,
    pub sent_slot: Signal<Out, Bits<8>>,
    pub sent_lines: Signal<Out, Bits<7>>,
    pub sent_status: Signal<Out, Bits<8>>,

    pieces: Fifo<Piece>,
    waiting: DFF<Bits<5>>,
    lines_ram: LutRam<Bits<512>, 7>,
    statuses: LutRam<Bits<3>, 7>,
    filled: DFF<Bits<128>>,
    /// Next place to be given away, oldest one not sent; eight bits, to tell full from empty.
    tail: DFF<Bits<8>>,
    head: DFF<Bits<8>>,
    at: DFF<Bits<8>>,
    used: Signal<Local, Bits<8>>,

    // The piece whose lines are being read.
    reading: DFF<Bit>,
    read_left: DFF<Bits<7>>,
    pid_now: DFF<Bits<16>>,
    line_now: DFF<Bits<42>>,
    can_read: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    last_read: Signal<Local, Bit>,
    new_piece: Signal<Local, Piece>,

    // The piece whose lines are awaited.
    awaited: Signal<Local, Piece>,
    seen: DFF<Bits<7>>,
    worst: DFF<Bits<3>>,
    status: Signal<Local, Bits<3>>,
    here: Signal<Local, Bit>,
    complete: Signal<Local, Bit>,
    whole: Signal<Local, Piece>,
    // The piece that is sent, and those that were.
    ready: Fifo<Piece>,
    current: Signal<Local, Piece>,
    sent_count: DFF<Bits<7>>,
    good: Signal<Local, Bit>,
    over: Signal<Local, Bit>,
    sent: Fifo<Piece>,
    reported: Signal<Local, Piece>,
    pop: Signal<Local, Bit>,
    host_now: Signal<Local, Bits<64>>,
    one: Signal<Local, Bits<128>>,
    lost: Signal<Local, Bits<128>>,
    come: Signal<Local, Bits<128>>,
    dw0: Signal<Local, Bits<32>>,
    dw1: Signal<Local, Bits<32>>,
}

impl PageOut {
    pub fn new() -> Self {
        Self {
            pieces: Fifo::new(16),
            ready: Fifo::new(16),
            sent: Fifo::new(16),
            lines_ram: LutRam::new(128),
            statuses: LutRam::new(128),
            ..Default::default()
        }
    }
}

impl Logic for PageOut {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, waiting, filled, tail, head, at, reading, read_left, pid_now);
        dff_setup!(self, clock, line_now, seen, worst, sent_count);
        clock!(self, clock, pieces, ready, sent, lines_ram, statuses);
        self.pieces.reset.next = self.reset.val();
        self.ready.reset.next = self.reset.val();
        self.sent.reset.next = self.reset.val();
        self.busy.next = self.reading.q.val() || self.waiting.q.val().any();

        // Reading. The next piece is taken with the last line of the one before.
        self.used.next = self.tail.q.val() - self.head.q.val();
        self.can_read.next = self.reading.q.val() && !self.used.val().get_bit(7);
        self.read_valid.next = self.can_read.val();
        self.read_place.next = self.tail.q.val().get_bits::<7>(0);
        self.read_pid.next = self.pid_now.q.val();
        self.read_va.next = bit_cast::<48, 42>(self.line_now.q.val()) << 6;
        self.last_read.next = self.read_left.q.val() == 1;
        self.one.next = 1.into();
        self.lost.next = 0.into();
        if self.can_read.val() && self.read_ready.val() {
            self.tail.d.next = self.tail.q.val() + 1;
            self.lost.next = self.one.val() << self.tail.q.val().get_bits::<7>(0);
            self.line_now.d.next = self.line_now.q.val() + 1;
            self.read_left.d.next = self.read_left.q.val() - 1;
            if self.last_read.val() {
                self.reading.d.next = false;
            }
        }
        self.piece_ready.next = (!self.waiting.q.val().get_bit(4))
            && ((!self.reading.q.val())
                || (self.can_read.val() && self.read_ready.val() && self.last_read.val()));
        self.take.next = self.piece_valid.val() && self.piece_ready.val();
        self.new_piece.next.slot = self.slot.val();
        self.new_piece.next.host = self.host.val();
        self.new_piece.next.lines = self.lines.val();
        self.new_piece.next.status = 0.into();
        self.pieces.push.next = self.take.val();
        self.pieces.push_data.next = self.new_piece.val();
        if self.take.val() {
            self.reading.d.next = true;
            self.read_left.d.next = self.lines.val();
            self.pid_now.d.next = self.pid.val();
            self.line_now.d.next = self.va.val().get_bits::<42>(6);
        }
        self.lines_ram.write_address.next = self.fill_place.val();
        self.lines_ram.write_data.next = self.fill_data.val();
        self.lines_ram.write_enable.next = self.fill.val();
        self.statuses.write_address.next = self.fill_place.val();
        self.statuses.write_data.next = self.fill_status.val();
        self.statuses.write_enable.next = self.fill.val();
        self.come.next = 0.into();
        if self.fill.val() {
            self.come.next = self.one.val() << self.fill_place.val();
        }
        self.filled.d.next = (self.filled.q.val() & (!self.lost.val())) | self.come.val();

        // Lines are looked at one a cycle, as they come, in the order in which they were asked for.
        self.statuses.read_address.next = self.at.q.val().get_bits::<7>(0);
        self.here.next = self.filled.q.val().get_bit(self.at.q.val().get_bits::<7>(0).index())
            && (self.at.q.val() != self.tail.q.val());
        self.awaited.next = self.pieces.head.val();
        self.status.next = self.worst.q.val();
        if !self.worst.q.val().any() {
            self.status.next = self.statuses.read_data.val();
        }
        self.complete.next = self.pieces.nonempty.val()
            && self.here.val()
            && ((self.seen.q.val() + 1) == self.awaited.val().lines);
        if self.pieces.nonempty.val() && self.here.val() {
            self.at.d.next = self.at.q.val() + 1;
            self.seen.d.next = self.seen.q.val() + 1;
            self.worst.d.next = self.status.val();
            if self.complete.val() {
                self.seen.d.next = 0.into();
                self.worst.d.next = 0.into();
            }
        }
        self.pieces.pop.next = self.complete.val();
        self.whole.next.slot = self.awaited.val().slot;
        self.whole.next.host = self.awaited.val().host;
        self.whole.next.lines = self.awaited.val().lines;
        self.whole.next.status = self.status.val();
        self.ready.push.next = self.complete.val();
        self.ready.push_data.next = self.whole.val();

        // Sending.
        self.current.next = self.ready.head.val();
        self.lines_ram.read_address.next = self.head.q.val().get_bits::<7>(0);
        self.host_now.next = self.current.val().host;
        self.dw0.next = (bit_cast::<32, 7>(self.current.val().lines) << 4) & 0x3ff;
        self.dw1.next = (bit_cast::<32, 16>(self.requester.val()) << 16) | 0xff;
        self.data_header.next = bit_cast::<128, 32>(self.dw0.val())
            | (bit_cast::<128, 1>(true.into()) << 30)
            | (bit_cast::<128, 32>(self.dw1.val()) << 32)
            | (bit_cast::<128, 32>(self.host_now.val().get_bits::<32>(0)) << 64);
        if self.host_now.val().get_bits::<32>(32).any() {
            self.data_header.next = bit_cast::<128, 32>(self.dw0.val())
                | (bit_cast::<128, 2>(3.into()) << 29)
                | (bit_cast::<128, 32>(self.dw1.val()) << 32)
                | (bit_cast::<128, 32>(self.host_now.val().get_bits::<32>(32)) << 64)
                | (bit_cast::<128, 32>(self.host_now.val().get_bits::<32>(0)) << 96);
        }
        self.data.next = self.lines_ram.read_data.val();
        self.good.next = !bit_cast::<3, 3>(self.current.val().status).any();
        self.data_valid.next = self.ready.nonempty.val() && self.good.val();
        self.data_first.next = !self.sent_count.q.val().any();
        self.data_last.next = (self.sent_count.q.val() + 1) == self.current.val().lines;
        self.over.next = self.ready.nonempty.val()
            && ((!self.good.val()) || (self.data_ready.val() && self.data_last.val()));
        if self.data_valid.val() && self.data_ready.val() {
            self.head.d.next = self.head.q.val() + 1;
            self.sent_count.d.next = self.sent_count.q.val() + 1;
        }
        if self.over.val() {
            self.sent_count.d.next = 0.into();
            if !self.good.val() {
                self.head.d.next = self.head.q.val() + bit_cast::<8, 7>(self.current.val().lines);
            }
        }
        self.ready.pop.next = self.over.val();
        self.sent.push.next = self.over.val();
        self.sent.push_data.next = self.current.val();
        self.reported.next = self.sent.head.val();
        self.sent_valid.next = self.sent.nonempty.val();
        self.sent_slot.next = self.reported.val().slot;
        self.sent_lines.next = self.reported.val().lines;
        self.sent_status.next = bit_cast::<8, 3>(self.reported.val().status);
        self.pop.next = self.sent.nonempty.val() && self.sent_ready.val();
        self.sent.pop.next = self.pop.val();
        if self.take.val() && !self.pop.val() {
            self.waiting.d.next = self.waiting.q.val() + 1;
        }
        if self.pop.val() && !self.take.val() {
            self.waiting.d.next = self.waiting.q.val() - 1;
        }
        if self.reset.val() {
            self.waiting.d.next = 0.into();
            self.filled.d.next = 0.into();
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
            self.at.d.next = 0.into();
            self.seen.d.next = 0.into();
            self.worst.d.next = 0.into();
            self.sent_count.d.next = 0.into();
            self.reading.d.next = false;
        }
    }
}
