//! The log of requests that were answered with poison or whose data were dropped: a queue that the
//! monitor empties, to make records of it. An event that finds it full is lost and counted.

use super::words::{LiveWord, WordAccess};
use crate::fifo::Fifo;
use rust_hdl::prelude::*;
use splitmem_abi::cxl;

#[derive(LogicBlock)]
pub struct Events {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    pub valid: Signal<In, Bit>,
    pub reason: Signal<In, Bits<4>>,
    pub write: Signal<In, Bit>,
    pub ld: Signal<In, Bits<4>>,
    pub tag: Signal<In, Bits<16>>,
    pub line: Signal<In, Bits<46>>,
    pub waits: Signal<Out, Bit>,
    word_0: LiveWord,
    word_1: LiveWord,
    word_2: LiveWord,
    count_word: LiveWord,
    pop: LiveWord,
    /// `[3:0]` reason, `[4]` write, `[8:5]` logical device, `[24:9]` tag, `[70:25]` line.
    queue: Fifo<Bits<71>>,
    count: DFF<Bits<8>>,
    lost: DFF<Bits<24>>,
    push: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    head: Signal<Local, Bits<71>>,
}

impl Events {
    pub fn new() -> Self {
        with_defaults!(Self {
            word_0: LiveWord::new(cxl::EVENT),
            word_1: LiveWord::new(cxl::EVENT + 4),
            word_2: LiveWord::new(cxl::EVENT + 8),
            count_word: LiveWord::new(cxl::EVENT_COUNT),
            pop: LiveWord::new(cxl::EVENT_POP),
            queue: Fifo::new(64),
        } clock bus read_data valid reason write ld tag line waits count lost push take head)
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Events {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, word_0, word_1, word_2, count_word, pop, queue);
        dff_setup!(self, clock, count, lost);
        self.word_0.bus.next = self.bus.val();
        self.word_1.bus.next = self.bus.val();
        self.word_2.bus.next = self.bus.val();
        self.count_word.bus.next = self.bus.val();
        self.pop.bus.next = self.bus.val();
        self.pop.value.next = 0.into();
        self.head.next = self.queue.head.val();
        self.word_0.value.next = bit_cast::<32, 5>(self.head.val().get_bits::<5>(0))
            | (bit_cast::<32, 4>(self.head.val().get_bits::<4>(5)) << 8)
            | (bit_cast::<32, 16>(self.head.val().get_bits::<16>(9)) << 16);
        self.word_1.value.next = self.head.val().get_bits::<32>(25);
        self.word_2.value.next = bit_cast::<32, 14>(self.head.val().get_bits::<14>(57));
        self.count_word.value.next =
            bit_cast::<32, 8>(self.count.q.val()) | (bit_cast::<32, 24>(self.lost.q.val()) << 8);
        self.read_data.next = (self.word_0.read_data.val() | self.word_1.read_data.val())
            | (self.word_2.read_data.val() | self.count_word.read_data.val());
        self.waits.next = self.queue.nonempty.val();

        self.queue.reset.next = self.bus.val().reset;
        self.push.next = self.valid.val() && !(self.count.q.val() == 64);
        self.take.next = self.pop.writes.val() && self.queue.nonempty.val() && !self.bus.val().host;
        self.queue.push.next = self.push.val();
        self.queue.push_data.next = bit_cast::<71, 4>(self.reason.val())
            | (bit_cast::<71, 1>(self.write.val().into()) << 4)
            | (bit_cast::<71, 4>(self.ld.val()) << 5)
            | (bit_cast::<71, 16>(self.tag.val()) << 9)
            | (bit_cast::<71, 46>(self.line.val()) << 25);
        self.queue.pop.next = self.take.val();
        if self.push.val() && !self.take.val() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if self.take.val() && !self.push.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        if (self.valid.val() && !self.push.val()) && !(self.lost.q.val() == 0xffffff) {
            self.lost.d.next = self.lost.q.val() + 1;
        }
        if self.bus.val().reset {
            self.count.d.next = 0.into();
            self.lost.d.next = 0.into();
        }
    }
}
