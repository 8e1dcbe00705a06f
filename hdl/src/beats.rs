//! The DRAM port's width: lines of 64 bytes in beats of `dram_data_bits`.
//!
//! A write goes out in as many beats as its line has, lowest bytes first, each with its part of the
//! mask; a read is one beat. A read's reply comes in as many beats, lowest bytes first, a write's in
//! one; `last` marks the end of either. Beats of different lines do not mix. Only the low
//! `dram_data_bits` of the data pins and an eighth of that of the mask pins are used.
//!
//! With 512 bits a line is one beat, and all of this is wires.

use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;

#[derive(LogicBlock, Default)]
pub struct Beats {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// Whole lines. A command that was offered stays until it is taken.
    pub cmd_valid: Signal<In, Bit>,
    pub cmd_ready: Signal<Out, Bit>,
    pub cmd_write: Signal<In, Bit>,
    pub cmd_mask: Signal<In, Bits<64>>,
    pub cmd_data: Signal<In, Bits<512>>,
    pub resp_valid: Signal<Out, Bit>,
    pub resp_ready: Signal<In, Bit>,
    pub resp_tag: Signal<Out, Bits<10>>,
    pub resp_data: Signal<Out, Bits<512>>,
    pub resp_poison: Signal<Out, Bit>,

    /// Beats.
    pub beat_ready: Signal<In, Bit>,
    pub beat_mask: Signal<Out, Bits<64>>,
    pub beat_data: Signal<Out, Bits<512>>,
    pub beat_last: Signal<Out, Bit>,
    pub reply_valid: Signal<In, Bit>,
    pub reply_ready: Signal<Out, Bit>,
    pub reply_tag: Signal<In, Bits<10>>,
    pub reply_data: Signal<In, Bits<512>>,
    pub reply_last: Signal<In, Bit>,
    pub reply_poison: Signal<In, Bit>,

    /// Beats of the command that were taken.
    sent: DFF<Bits<3>>,
    /// The reply's beats so far; the newest stands highest.
    whole: DFF<Bit>,
    tag: DFF<Bits<10>>,
    line: DFF<Bits<512>>,
    poison: DFF<Bit>,
    /// A beat of this reply was poisoned before.
    tainted: DFF<Bit>,

    last: Signal<Local, Bit>,
    takes: Signal<Local, Bit>,
    bits_sent: Signal<Local, Bits<10>>,
    bytes_sent: Signal<Local, Bits<7>>,
    narrow: Param<Bit>,
    last_beat: Param<Bits<3>>,
    log2_bits: Param<Bits<4>>,
    log2_bytes: Param<Bits<4>>,
    bits: Param<Bits<10>>,
    /// From the low bits of a line to those of its last beat.
    rest: Param<Bits<10>>,
    beat_bits: Param<Bits<512>>,
    beat_bytes: Param<Bits<64>>,
}

impl Beats {
    pub fn new(config: &HwConfig) -> Self {
        let bits = config.dram_data_bits;
        let (beats, bytes) = (config.beats(), bits / 8);
        let beat_bits = (!Bits::<512>::default()) >> u64::from(512 - bits);
        Self {
            narrow: Param::new(beats > 1),
            last_beat: Param::new(u64::from(beats - 1).into()),
            log2_bits: Param::new(u64::from(bits.ilog2()).into()),
            log2_bytes: Param::new(u64::from(bytes.ilog2()).into()),
            bits: Param::new(u64::from(bits).into()),
            rest: Param::new(u64::from(512 - bits).into()),
            beat_bits: Param::new(beat_bits),
            beat_bytes: Param::new((u64::MAX >> (64 - bytes)).into()),
            ..Default::default()
        }
    }
}

impl Logic for Beats {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, sent, whole, tag, line, poison, tainted);

        // Out: the command's parts, lowest first.
        self.bits_sent.next = bit_cast::<10, 3>(self.sent.q.val()) << self.log2_bits.val();
        self.bytes_sent.next = bit_cast::<7, 3>(self.sent.q.val()) << self.log2_bytes.val();
        // Ready, if nothing is offered: a requester may decide by it to take its offer back.
        self.last.next = true;
        self.beat_data.next = self.cmd_data.val();
        self.beat_mask.next = self.cmd_mask.val();
        if self.narrow.val() {
            self.last.next = !self.cmd_valid.val()
                || !self.cmd_write.val()
                || (self.sent.q.val() == self.last_beat.val());
            self.beat_data.next =
                (self.cmd_data.val() >> self.bits_sent.val()) & self.beat_bits.val();
            self.beat_mask.next =
                (self.cmd_mask.val() >> self.bytes_sent.val()) & self.beat_bytes.val();
        }
        self.beat_last.next = self.last.val();
        self.cmd_ready.next = self.beat_ready.val() && self.last.val();
        if self.cmd_valid.val() && self.beat_ready.val() {
            self.sent.d.next = self.sent.q.val() + 1;
            if self.last.val() {
                self.sent.d.next = 0.into();
            }
        }

        // In: the reply is handed on when it is whole.
        self.reply_ready.next = self.resp_ready.val();
        self.resp_valid.next = self.reply_valid.val();
        self.resp_tag.next = self.reply_tag.val();
        self.resp_data.next = self.reply_data.val();
        self.resp_poison.next = self.reply_poison.val();
        self.takes.next = self.narrow.val()
            && self.reply_valid.val()
            && (!self.whole.q.val() || self.resp_ready.val());
        if self.narrow.val() {
            self.reply_ready.next = !self.whole.q.val() || self.resp_ready.val();
            self.resp_valid.next = self.whole.q.val();
            self.resp_tag.next = self.tag.q.val();
            self.resp_data.next = self.line.q.val();
            self.resp_poison.next = self.poison.q.val();
        }
        if self.resp_ready.val() {
            self.whole.d.next = false;
        }
        if self.takes.val() {
            self.whole.d.next = self.reply_last.val();
            self.tag.d.next = self.reply_tag.val();
            self.line.d.next = (self.line.q.val() >> self.bits.val())
                | ((self.reply_data.val() & self.beat_bits.val()) << self.rest.val());
            self.poison.d.next = self.tainted.q.val() || self.reply_poison.val();
            self.tainted.d.next =
                !self.reply_last.val() && (self.tainted.q.val() || self.reply_poison.val());
        }
        if self.reset.val() {
            self.sent.d.next = 0.into();
            self.whole.d.next = false;
            self.tainted.d.next = false;
        }
    }
}
