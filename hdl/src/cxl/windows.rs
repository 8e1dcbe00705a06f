//! The window entries: what the slots of the aperture show.
//!
//! In: a line of device physical address space. Out, in the same cycle: whose memory that is and
//! where, and whether loads and stores are let through. The monitor writes a window's words and then
//! its slot's index. After reset the table is emptied, one slot a cycle; until it is, `ready` is low.

use super::words::{LiveWord, Word, WordAccess};
use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::cxl;

/// Line bits of a slot.
const SLOT_LINES: u64 = (1 << (cxl::WINDOW_SHIFT - 6)) - 1;
const INDEX_BITS: usize = cxl::WINDOWS.trailing_zeros() as usize;

#[derive(LogicBlock)]
pub struct Windows {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    pub ready: Signal<Out, Bit>,
    pub line: Signal<In, Bits<46>>,
    /// The line is within the slot's window.
    pub found: Signal<Out, Bit>,
    pub read: Signal<Out, Bit>,
    pub write: Signal<Out, Bit>,
    pub pid: Signal<Out, Bits<16>>,
    /// Line of the process: `va[47:6]`.
    pub va_line: Signal<Out, Bits<42>>,

    pid_word: Word,
    page_low: Word,
    page_high: Word,
    pages_word: Word,
    set: LiveWord,
    /// `[15:0]` pid, `[51:16]` first page, `[75:52]` pages, `[76]` read, `[77]` write.
    entries: LutRam<Bits<78>, 8>,
    sweep: DFF<Bits<7>>,
    entry: Signal<Local, Bits<78>>,
    asked: Signal<Local, Bits<78>>,
    page: Signal<Local, Bits<24>>,
    va_page: Signal<Local, Bits<36>>,
    beyond: Signal<Local, Bits<18>>,
    slot_lines: Param<Bits<46>>,
}

impl Windows {
    pub fn new() -> Self {
        let word = |offset, mask| Word::new(offset, 0, mask, 0);
        with_defaults!(Self {
            pid_word: word(cxl::WINDOW_PID, 0x3_ffff),
            page_low: word(cxl::WINDOW_PAGE_LOW, u32::MAX),
            page_high: word(cxl::WINDOW_PAGE_HIGH, 0xf),
            pages_word: word(cxl::WINDOW_PAGES, 0xff_ffff),
            set: LiveWord::new(cxl::WINDOW_SET),
            entries: LutRam::new(cxl::WINDOWS),
    slot_lines: Param::new(SLOT_LINES.into()),
        } clock bus read_data ready line found read write pid va_line sweep entry asked page va_page
          beyond)
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for Windows {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, pid_word, page_low, page_high, pages_word, set, entries);
        dff_setup!(self, clock, sweep);
        self.pid_word.bus.next = self.bus.val();
        self.page_low.bus.next = self.bus.val();
        self.page_high.bus.next = self.bus.val();
        self.pages_word.bus.next = self.bus.val();
        self.set.bus.next = self.bus.val();
        self.pid_word.locked.next = false;
        self.page_low.locked.next = false;
        self.page_high.locked.next = false;
        self.pages_word.locked.next = false;
        self.set.value.next = 0.into();
        self.read_data.next = (self.pid_word.read_data.val() | self.pages_word.read_data.val())
            | (self.page_low.read_data.val() | self.page_high.read_data.val());

        self.asked.next = bit_cast::<78, 16>(self.pid_word.value.val().get_bits::<16>(0))
            | (bit_cast::<78, 32>(self.page_low.value.val()) << 16)
            | (bit_cast::<78, 4>(self.page_high.value.val().get_bits::<4>(0)) << 48)
            | (bit_cast::<78, 24>(self.pages_word.value.val().get_bits::<24>(0)) << 52)
            | (bit_cast::<78, 2>(self.pid_word.value.val().get_bits::<2>(16)) << 76);
        self.ready.next = self.sweep.q.val().get_bit(6);
        self.entries.write_enable.next = self.set.writes.val();
        self.entries.write_address.next = bit_cast::<8, 32>(self.bus.val().data);
        self.entries.write_data.next = self.asked.val();
        if !self.sweep.q.val().get_bit(6) {
            self.sweep.d.next = self.sweep.q.val() + 1;
            self.entries.write_enable.next = true;
            self.entries.write_address.next = bit_cast::<8, 7>(self.sweep.q.val());
            self.entries.write_data.next = 0.into();
        }

        self.entries.read_address.next = bit_cast::<8, 46>(self.line.val() >> 22);
        self.entry.next = self.entries.read_data.val();
        self.page.next = bit_cast::<24, 46>((self.line.val() & self.slot_lines.val()) >> 6);
        // Beyond the aperture there is no slot.
        self.beyond.next = bit_cast::<18, 46>(self.line.val() >> 28);
        self.found.next =
            (self.page.val() < self.entry.val().get_bits::<24>(52)) && !self.beyond.val().any();
        self.read.next = self.entry.val().get_bit(76);
        self.write.next = self.entry.val().get_bit(77);
        self.pid.next = self.entry.val().get_bits::<16>(0);
        self.va_page.next =
            self.entry.val().get_bits::<36>(16) + bit_cast::<36, 24>(self.page.val());
        self.va_line.next = (bit_cast::<42, 36>(self.va_page.val()) << 6)
            | bit_cast::<42, 6>(self.line.val().get_bits::<6>(0));
        if self.bus.val().reset {
            self.sweep.d.next = 0.into();
        }
    }
}

// The constants above stand in the code as numbers, for RustHDL translates no others.
const _: () = assert!(INDEX_BITS == 6 && cxl::WINDOW_SHIFT == 28);
