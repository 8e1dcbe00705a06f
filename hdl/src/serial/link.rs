//! The serial link from its two pins to the component's port and registers: wires between its parts.

use super::receiver::Receiver;
use super::sender::Sender;
use super::slots::Slots;
use super::uart::{UartRx, UartTx};
use rust_hdl::prelude::*;

/// What a link is built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// Clock in kHz: at least ten times the baud rate.
    pub clock_khz: u32,
    /// Bits per second.
    pub baud: u32,
    /// Code of the board, `abi::board::BoardId`.
    pub board: u8,
    /// What tells this build from others.
    pub build: u32,
}

#[derive(LogicBlock, Default)]
pub struct Link {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub rx: Signal<In, Bit>,
    pub tx: Signal<Out, Bit>,
    pub closed: Signal<In, Bit>,
    pub flags: Signal<In, Bits<8>>,
    pub open: Signal<Out, Bit>,
    pub bad_frames: Signal<Out, Bits<16>>,
    /// A frame came; an answer goes out.
    pub received: Signal<Out, Bit>,
    pub sending: Signal<Out, Bit>,

    pub req_valid: Signal<Out, Bit>,
    pub req_ready: Signal<In, Bit>,
    pub req_op: Signal<Out, Bits<3>>,
    pub req_tag: Signal<Out, Bits<16>>,
    pub req_pid: Signal<Out, Bits<16>>,
    pub req_va: Signal<Out, Bits<48>>,
    pub req_mask: Signal<Out, Bits<64>>,
    pub req_data: Signal<Out, Bits<512>>,
    pub resp_valid: Signal<In, Bit>,
    pub resp_ready: Signal<Out, Bit>,
    pub resp_tag: Signal<In, Bits<16>>,
    pub resp_status: Signal<In, Bits<3>>,
    pub resp_data: Signal<In, Bits<512>>,

    pub reg_valid: Signal<Out, Bit>,
    pub reg_write: Signal<Out, Bit>,
    pub reg_address: Signal<Out, Bits<14>>,
    pub reg_wdata: Signal<Out, Bits<32>>,
    pub reg_done: Signal<In, Bit>,
    pub reg_rdata: Signal<In, Bits<32>>,
    pub reg_error: Signal<In, Bit>,
    pub irq_monitor: Signal<In, Bit>,
    pub irq_host: Signal<In, Bit>,

    uart_rx: UartRx,
    receiver: Receiver,
    slots: Slots,
    sender: Sender,
    uart_tx: UartTx,
}

impl Link {
    pub fn new(config: &LinkConfig) -> Self {
        Self {
            uart_rx: UartRx::new(config.clock_khz, config.baud),
            receiver: Receiver::new(),
            slots: Slots::new(config.board, config.build),
            sender: Sender::new(),
            uart_tx: UartTx::new(config.clock_khz, config.baud),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.rx.connect();
        self.closed.connect();
        self.flags.connect();
        self.req_ready.connect();
        self.resp_valid.connect();
        self.resp_tag.connect();
        self.resp_status.connect();
        self.resp_data.connect();
        self.reg_done.connect();
        self.reg_rdata.connect();
        self.reg_error.connect();
        self.irq_monitor.connect();
        self.irq_host.connect();
        self.connect_all();
    }
}

impl Logic for Link {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, uart_rx, receiver, slots, sender, uart_tx);
        self.uart_rx.reset.next = self.reset.val();
        self.receiver.reset.next = self.reset.val();
        self.slots.reset.next = self.reset.val();
        self.sender.reset.next = self.reset.val();
        self.uart_tx.reset.next = self.reset.val();

        self.uart_rx.pin.next = self.rx.val();
        self.receiver.valid.next = self.uart_rx.valid.val();
        self.receiver.octet.next = self.uart_rx.octet.val();
        self.receiver.error.next = self.uart_rx.error.val();
        self.receiver.payload_at.next = self.slots.payload_at.val();
        self.slots.frame.next = self.receiver.frame.val();
        self.slots.kind.next = self.receiver.kind.val();
        self.slots.slot.next = self.receiver.slot.val();
        self.slots.number.next = self.receiver.number.val();
        self.slots.session.next = self.receiver.session.val();
        self.slots.payload_data.next = self.receiver.payload_data.val();
        self.bad_frames.next = self.receiver.bad_frames.val();
        self.received.next = self.receiver.frame.val();

        self.slots.sender_idle.next = self.sender.idle.val();
        self.slots.send_at.next = self.sender.at.val();
        self.sender.start.next = self.slots.send.val();
        self.sender.header.next = self.slots.send_header.val();
        self.sender.length.next = self.slots.send_length.val();
        self.sender.data.next = self.slots.send_data.val();
        self.sending.next = !self.sender.idle.val();
        self.sender.ready.next = self.uart_tx.ready.val();
        self.uart_tx.valid.next = self.sender.valid.val();
        self.uart_tx.octet.next = self.sender.octet.val();
        self.tx.next = self.uart_tx.pin.val();

        self.open.next = self.slots.open.val();
        self.slots.closed.next = self.closed.val();
        self.slots.flags.next = self.flags.val();
        self.req_valid.next = self.slots.req_valid.val();
        self.slots.req_ready.next = self.req_ready.val();
        self.req_op.next = self.slots.req_op.val();
        self.req_tag.next = self.slots.req_tag.val();
        self.req_pid.next = self.slots.req_pid.val();
        self.req_va.next = self.slots.req_va.val();
        self.req_mask.next = self.slots.req_mask.val();
        self.req_data.next = self.slots.req_data.val();
        self.slots.resp_valid.next = self.resp_valid.val();
        self.resp_ready.next = self.slots.resp_ready.val();
        self.slots.resp_tag.next = self.resp_tag.val();
        self.slots.resp_status.next = self.resp_status.val();
        self.slots.resp_data.next = self.resp_data.val();
        self.reg_valid.next = self.slots.reg_valid.val();
        self.reg_write.next = self.slots.reg_write.val();
        self.reg_address.next = self.slots.reg_address.val();
        self.reg_wdata.next = self.slots.reg_wdata.val();
        self.slots.reg_done.next = self.reg_done.val();
        self.slots.reg_rdata.next = self.reg_rdata.val();
        self.slots.reg_error.next = self.reg_error.val();
        self.slots.irq_monitor.next = self.irq_monitor.val();
        self.slots.irq_host.next = self.irq_host.val();
    }
}
