//! One HDM decoder (CXL 3.1, section 8.2.4.20): which host addresses are this device's, and which
//! device addresses they are.
//!
//! Registers: base, size, control and DPA skip. Commit works in the cycle after it is written; it
//! fails (ERROR) if the ways or the granularity are none that the device knows (1, 2, 4, 8 or 16
//! ways; 256 bytes to 16 KiB), if the decoder before is not committed, or if the range begins below
//! the end of that decoder's or ends beyond 2^52. The specification asks for the last two only of
//! decoders that lock; they are checked always, because overlapping ranges could not be told apart.
//! What is decoded is what stood in the registers at commit. Locked, the registers stand still until
//! reset.
//!
//! The device address of an access is `(hpa >> iw above the granule) + delta`: the sum of skips and
//! sizes before, less the base, is one number per decoder, made at commit.

use super::words::{Word, WordAccess, WordSelect};
use rust_hdl::prelude::*;
use splitmem_abi::cxl::{self, decoder};

#[derive(LogicBlock, Default)]
pub struct Decoder {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    /// The decoder before is committed; of decoder 0, always.
    pub chained: Signal<In, Bit>,
    /// End of the range of the decoder before, in 256 MiB; zero without one.
    pub before_end: Signal<In, Bits<25>>,
    /// End of its device addresses, in 16 MiB.
    pub before_dpa: Signal<In, Bits<28>>,
    pub committed: Signal<Out, Bit>,
    pub range_end: Signal<Out, Bits<25>>,
    pub dpa_end: Signal<Out, Bits<28>>,

    /// Host address bits 51:28; `hit` in the same cycle.
    pub look: Signal<In, Bits<24>>,
    pub hit: Signal<Out, Bit>,
    /// Ways as a power of two.
    pub ways: Signal<Out, Bits<3>>,
    /// Line bits below the granularity.
    pub granule: Signal<Out, Bits<9>>,
    /// To be added, in 16 MiB.
    pub delta: Signal<Out, Bits<28>>,

    base_low: Word,
    base_high: Word,
    size_low: Word,
    size_high: Word,
    skip_low: Word,
    skip_high: Word,
    control: WordSelect,
    /// `[3:0]` granularity, `[7:4]` ways, `[8]` lock, `[9]` commit.
    settings: DFF<Bits<10>>,
    is_committed: DFF<Bit>,
    is_wrong: DFF<Bit>,
    commits: DFF<Bit>,
    at_base: DFF<Bits<24>>,
    at_end: DFF<Bits<25>>,
    at_dpa_end: DFF<Bits<28>>,
    with_ways: DFF<Bits<3>>,
    with_granule: DFF<Bits<9>>,
    with_delta: DFF<Bits<28>>,
    locked: Signal<Local, Bit>,
    written: Signal<Local, Bits<32>>,
    base: Signal<Local, Bits<24>>,
    size: Signal<Local, Bits<24>>,
    skip: Signal<Local, Bits<28>>,
    ends: Signal<Local, Bits<25>>,
    granularity: Signal<Local, Bits<4>>,
    interleave: Signal<Local, Bits<4>>,
    base_16: Signal<Local, Bits<28>>,
    size_16: Signal<Local, Bits<28>>,
    dpa: Signal<Local, Bits<28>>,
    right: Signal<Local, Bit>,
    four: Signal<Local, Bits<9>>,
}

impl Decoder {
    /// Decoder `n` of the device.
    pub fn new(n: u32) -> Self {
        let at = cxl::hdm_decoder(n);
        let word = |register, mask| Word::new(at + register, mask, mask, 0);
        let (low, high) = (0xf000_0000, 0x000f_ffff);
        Self {
            base_low: word(decoder::BASE_LOW, low),
            base_high: word(decoder::BASE_HIGH, high),
            size_low: word(decoder::SIZE_LOW, low),
            size_high: word(decoder::SIZE_HIGH, high),
            skip_low: word(decoder::SKIP_LOW, low),
            skip_high: word(decoder::SKIP_HIGH, high),
            control: WordSelect::new(at + decoder::CONTROL, 4),
            ..Default::default()
        }
    }
}

impl Logic for Decoder {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, base_low, base_high, size_low, size_high, skip_low, skip_high, control);
        dff_setup!(self, clock, settings, is_committed, is_wrong, commits, at_base, at_end);
        dff_setup!(self, clock, at_dpa_end, with_ways, with_granule, with_delta);
        self.base_low.bus.next = self.bus.val();
        self.base_high.bus.next = self.bus.val();
        self.size_low.bus.next = self.bus.val();
        self.size_high.bus.next = self.bus.val();
        self.skip_low.bus.next = self.bus.val();
        self.skip_high.bus.next = self.bus.val();
        self.control.bus.next = self.bus.val();
        self.locked.next = self.is_committed.q.val() && self.settings.q.val().get_bit(8);
        self.base_low.locked.next = self.locked.val();
        self.base_high.locked.next = self.locked.val();
        self.size_low.locked.next = self.locked.val();
        self.size_high.locked.next = self.locked.val();
        self.skip_low.locked.next = self.locked.val();
        self.skip_high.locked.next = self.locked.val();

        // What the registers ask for.
        self.base.next = bit_cast::<24, 32>(self.base_low.value.val() >> 28)
            | (bit_cast::<24, 32>(self.base_high.value.val()) << 4);
        self.size.next = bit_cast::<24, 32>(self.size_low.value.val() >> 28)
            | (bit_cast::<24, 32>(self.size_high.value.val()) << 4);
        self.skip.next = (bit_cast::<28, 32>(self.skip_low.value.val() >> 28) << 4)
            | (bit_cast::<28, 32>(self.skip_high.value.val()) << 8);
        self.ends.next = bit_cast::<25, 24>(self.base.val()) + bit_cast::<25, 24>(self.size.val());
        self.granularity.next = self.settings.q.val().get_bits::<4>(0);
        self.interleave.next = self.settings.q.val().get_bits::<4>(4);
        self.base_16.next = (bit_cast::<28, 24>(self.base.val()) << 4) >> self.interleave.val();
        self.size_16.next = (bit_cast::<28, 24>(self.size.val()) << 4) >> self.interleave.val();
        self.dpa.next = self.before_dpa.val() + self.skip.val();
        self.right.next = self.chained.val()
            && (self.granularity.val() <= 6)
            && (self.interleave.val() <= 4)
            && (bit_cast::<25, 24>(self.base.val()) >= self.before_end.val())
            && (!self.ends.val().get_bit(24) || (self.ends.val() == 0x1000000));

        self.written.next = self.bus.val().data;
        self.commits.d.next = false;
        if self.control.writes.val() && !(self.locked.val() && self.bus.val().host) {
            self.settings.d.next = bit_cast::<10, 32>(self.written.val());
            if self.written.val().get_bit(9) {
                self.commits.d.next = !self.is_committed.q.val();
            } else {
                self.is_committed.d.next = false;
                self.is_wrong.d.next = false;
            }
        }
        self.four.next = 4.into();
        if self.commits.q.val() {
            self.is_committed.d.next = self.right.val();
            self.is_wrong.d.next = !self.right.val();
            self.at_base.d.next = self.base.val();
            self.at_end.d.next = self.ends.val();
            self.at_dpa_end.d.next = self.dpa.val() + self.size_16.val();
            self.with_ways.d.next = bit_cast::<3, 4>(self.interleave.val());
            self.with_granule.d.next = (self.four.val() << self.granularity.val()) - 1;
            self.with_delta.d.next = self.dpa.val() - self.base_16.val();
        }
        self.committed.next = self.is_committed.q.val();
        self.range_end.next = self.at_end.q.val();
        self.dpa_end.next = self.at_dpa_end.q.val();

        self.hit.next = self.is_committed.q.val()
            && (self.look.val() >= self.at_base.q.val())
            && (bit_cast::<25, 24>(self.look.val()) < self.at_end.q.val());
        self.ways.next = self.with_ways.q.val();
        self.granule.next = self.with_granule.q.val();
        self.delta.next = self.with_delta.q.val();

        self.read_data.next = (self.base_low.read_data.val() | self.base_high.read_data.val())
            | (self.size_low.read_data.val() | self.size_high.read_data.val())
            | (self.skip_low.read_data.val() | self.skip_high.read_data.val());
        if self.control.selected.val() {
            // The target type is host-only coherent, and cannot be changed.
            self.read_data.next = bit_cast::<32, 10>(self.settings.q.val())
                | (bit_cast::<32, 1>(self.is_committed.q.val().into()) << 10)
                | (bit_cast::<32, 1>(self.is_wrong.q.val().into()) << 11)
                | 0x1000;
        }
        if self.bus.val().reset {
            self.settings.d.next = 0.into();
            self.is_committed.d.next = false;
            self.is_wrong.d.next = false;
            self.commits.d.next = false;
            self.at_end.d.next = 0.into();
            self.at_dpa_end.d.next = 0.into();
        }
    }
}

/// All decoders: two.
#[derive(LogicBlock, Default)]
pub struct Decoders {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    /// Whether the host lets the device serve memory (CXL.mem enable of its DVSEC).
    pub enable: Signal<In, Bit>,
    /// Reads that no decoder claims are answered with poison.
    pub poison: Signal<Out, Bit>,
    /// A line of the host; `hit_*` in the same cycle.
    pub line: Signal<In, Bits<46>>,
    pub hit_0: Signal<Out, Bit>,
    pub hit_1: Signal<Out, Bit>,
    /// A line, and which decoder claimed it; `dpa` in the same cycle.
    pub claimed: Signal<In, Bits<46>>,
    pub by_1: Signal<In, Bit>,
    pub dpa: Signal<Out, Bits<46>>,
    control: Word,
    decoder_0: Decoder,
    decoder_1: Decoder,
    ways: Signal<Local, Bits<3>>,
    granule: Signal<Local, Bits<46>>,
    delta: Signal<Local, Bits<46>>,
}

impl Decoders {
    pub fn new() -> Self {
        Self {
            control: Word::new(cxl::HDM_CONTROL, 3, 3, 0),
            decoder_0: Decoder::new(0),
            decoder_1: Decoder::new(1),
            ..Default::default()
        }
    }
}

impl Logic for Decoders {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, control, decoder_0, decoder_1);
        self.control.bus.next = self.bus.val();
        self.control.locked.next = false;
        self.decoder_0.bus.next = self.bus.val();
        self.decoder_1.bus.next = self.bus.val();
        self.decoder_0.chained.next = true;
        self.decoder_0.before_end.next = 0.into();
        self.decoder_0.before_dpa.next = 0.into();
        self.decoder_1.chained.next = self.decoder_0.committed.val();
        self.decoder_1.before_end.next = self.decoder_0.range_end.val();
        self.decoder_1.before_dpa.next = self.decoder_0.dpa_end.val();
        self.read_data.next = self.control.read_data.val()
            | (self.decoder_0.read_data.val() | self.decoder_1.read_data.val());
        self.poison.next = self.control.value.val().get_bit(0);
        self.decoder_0.look.next = bit_cast::<24, 46>(self.line.val() >> 22);
        self.decoder_1.look.next = bit_cast::<24, 46>(self.line.val() >> 22);
        self.hit_0.next =
            self.enable.val() && self.control.value.val().get_bit(1) && self.decoder_0.hit.val();
        self.hit_1.next =
            self.enable.val() && self.control.value.val().get_bit(1) && self.decoder_1.hit.val();

        self.ways.next = self.decoder_0.ways.val();
        self.granule.next = bit_cast::<46, 9>(self.decoder_0.granule.val());
        self.delta.next = bit_cast::<46, 28>(self.decoder_0.delta.val()) << 18;
        if self.by_1.val() {
            self.ways.next = self.decoder_1.ways.val();
            self.granule.next = bit_cast::<46, 9>(self.decoder_1.granule.val());
            self.delta.next = bit_cast::<46, 28>(self.decoder_1.delta.val()) << 18;
        }
        self.dpa.next = (((self.claimed.val() >> self.ways.val()) & (!self.granule.val()))
            | (self.claimed.val() & self.granule.val()))
            + self.delta.val();
    }
}
