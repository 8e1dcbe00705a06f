//! The device registers that are more than constants: status, and the mailbox (section 8.2.8).
//!
//! The registers are hardware, the commands are the monitor's: `doorbell` is up from the host's
//! doorbell until the monitor clears it, and meanwhile the host's writes to command and payload
//! change nothing.

use super::words::{Word, WordAccess, WordSelect};
use crate::prim::BlockRam;
use rust_hdl::prelude::*;
use splitmem_abi::cxl;

#[derive(LogicBlock)]
pub struct CxlMailbox {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    pub doorbell: Signal<Out, Bit>,
    events: Word,
    memdev: Word,
    command_low: Word,
    command_high: Word,
    status_low: Word,
    status_high: Word,
    background_low: Word,
    background_high: Word,
    control: WordSelect,
    payload_select: WordSelect,
    payload: BlockRam<Bits<32>, 7>,
    rung: DFF<Bit>,
    /// The selected word: a block RAM's output comes late in its cycle.
    taken: DFF<Bits<32>>,
    data: Signal<Local, Bits<32>>,
}

impl CxlMailbox {
    pub fn new() -> Self {
        let monitors = |offset, reset| Word::new(offset, 0, u32::MAX, reset);
        let both = |offset| Word::new(offset, u32::MAX, u32::MAX, 0);
        with_defaults!(Self {
            events: monitors(cxl::EVENT_STATUS, 0),
            // Nothing is ready before the monitor says so.
            memdev: monitors(cxl::MEMDEV_STATUS, 0),
            command_low: both(cxl::MAILBOX_COMMAND),
            command_high: both(cxl::MAILBOX_COMMAND + 4),
            status_low: monitors(cxl::MAILBOX_STATUS, 0),
            status_high: monitors(cxl::MAILBOX_STATUS + 4, 0),
            background_low: monitors(cxl::MAILBOX_BACKGROUND, 0),
            background_high: monitors(cxl::MAILBOX_BACKGROUND + 4, 0),
            control: WordSelect::new(cxl::MAILBOX_CONTROL, 4),
            payload_select: WordSelect::new(cxl::MAILBOX_PAYLOAD, cxl::PAYLOAD_BYTES as u32),
            payload: BlockRam::new(cxl::PAYLOAD_BYTES / 4),
        } clock bus read_data doorbell rung taken data)
    }
}

impl Default for CxlMailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for CxlMailbox {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, events, memdev, command_low, command_high, status_low, status_high);
        clock!(self, clock, background_low, background_high, control, payload_select, payload);
        dff_setup!(self, clock, rung, taken);
        self.events.bus.next = self.bus.val();
        self.memdev.bus.next = self.bus.val();
        self.command_low.bus.next = self.bus.val();
        self.command_high.bus.next = self.bus.val();
        self.status_low.bus.next = self.bus.val();
        self.status_high.bus.next = self.bus.val();
        self.background_low.bus.next = self.bus.val();
        self.background_high.bus.next = self.bus.val();
        self.control.bus.next = self.bus.val();
        self.payload_select.bus.next = self.bus.val();
        self.events.locked.next = false;
        self.memdev.locked.next = false;
        self.status_low.locked.next = false;
        self.status_high.locked.next = false;
        self.background_low.locked.next = false;
        self.background_high.locked.next = false;
        self.command_low.locked.next = self.rung.q.val();
        self.command_high.locked.next = self.rung.q.val();

        self.data.next = self.bus.val().data;
        if self.control.writes.val() {
            if self.bus.val().host {
                self.rung.d.next = self.rung.q.val() || self.data.val().get_bit(0);
            } else {
                self.rung.d.next = self.data.val().get_bit(0);
            }
        }
        self.doorbell.next = self.rung.q.val();
        self.payload.read_address.next = bit_cast::<7, 16>(self.bus.val().address);
        self.payload.write_address.next = bit_cast::<7, 16>(self.bus.val().address);
        self.payload.write_data.next = self.bus.val().data;
        self.payload.write_enable.next =
            self.payload_select.writes.val() && !(self.rung.q.val() && self.bus.val().host);
        self.taken.d.next = 0.into();
        if self.payload_select.selected.val() {
            self.taken.d.next = self.payload.read_data.val();
        }
        self.read_data.next = (self.events.read_data.val() | self.memdev.read_data.val())
            | (self.command_low.read_data.val() | self.command_high.read_data.val())
            | (self.status_low.read_data.val() | self.status_high.read_data.val())
            | (self.background_low.read_data.val() | self.background_high.read_data.val())
            | self.taken.q.val();
        if self.control.selected.val() {
            self.read_data.next = bit_cast::<32, 1>(self.rung.q.val().into());
        }
        if self.bus.val().reset {
            self.rung.d.next = false;
        }
    }
}
