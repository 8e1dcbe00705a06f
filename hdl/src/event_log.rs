//! The log of requests that were not answered ok.
//!
//! In: at most one event a cycle, `ev_valid` with its fields. Out: the registers EVENT_STATUS, EVENT
//! and EVENT_POP on the inner bus; `waits` while there is an event. When the log is full the new
//! event is lost and counted.

use crate::prim::HeldRam;
use crate::registers::{constant, lsb, Access, HwRegister};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::regs::{self, field};

/// An event as `abi::event` lays it out in four words.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct LoggedEvent {
    pub status: Bits<8>,
    pub op: Bits<3>,
    pub port: Bit,
    pub reserved: Bits<4>,
    pub pid: Bits<16>,
    pub va: Bits<48>,
    pub reserved_high: Bits<16>,
    pub cycle: Bits<32>,
}

#[derive(LogicBlock)]
pub struct EventLog {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub ev_valid: Signal<In, Bit>,
    pub ev_status: Signal<In, Bits<3>>,
    pub ev_op: Signal<In, Bits<3>>,
    pub ev_port: Signal<In, Bit>,
    pub ev_pid: Signal<In, Bits<16>>,
    pub ev_va: Signal<In, Bits<48>>,
    pub waits: Signal<Out, Bit>,

    status: HwRegister,
    words: Vec<HwRegister>,
    _words: usize,
    pop: HwRegister,
    log: HeldRam<Bits<128>, 10>,
    tail: DFF<Bits<10>>,
    head: DFF<Bits<10>>,
    count: DFF<Bits<16>>,
    dropped: DFF<Bits<16>>,
    cycle: DFF<Bits<32>>,
    /// The oldest event has reached the RAM's output.
    shown: DFF<Bit>,
    record: Signal<Local, LoggedEvent>,
    entry: Signal<Local, Bits<128>>,
    push: Signal<Local, Bit>,
    drop_oldest: Signal<Local, Bit>,
    word: Signal<Local, Bits<32>>,
    /// The selected word: a block RAM's output comes late in its cycle.
    taken: DFF<Bits<32>>,
    depth: Constant<Bits<16>>,
    dropped_max: Constant<Bits<16>>,
    count_lsb: Constant<Bits<5>>,
    dropped_lsb: Constant<Bits<5>>,
}

impl EventLog {
    pub fn new(config: &HwConfig) -> Self {
        let words = regs::EVENT.count;
        with_defaults!(Self {
            status: HwRegister::new(&regs::EVENT_STATUS),
            words: (0..words).map(|i| HwRegister::nth(&regs::EVENT, i)).collect(),
            _words: words as usize,
            pop: HwRegister::new(&regs::EVENT_POP),
            log: HeldRam::loose(config.event_log as usize),
            depth: constant(config.event_log as u64),
            dropped_max: constant(u16::MAX as u64),
            count_lsb: lsb(field::EVENT_STATUS::COUNT),
            dropped_lsb: lsb(field::EVENT_STATUS::DROPPED),
        } clock bus read_data ev_valid ev_status ev_op ev_port ev_pid ev_va waits tail head count
          dropped cycle shown record entry push drop_oldest word taken)
    }
}

impl Logic for EventLog {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, tail, head, count, dropped, cycle, shown, taken);
        clock!(self, clock, status, pop, log);
        self.status.bus.next = self.bus.val();
        self.pop.bus.next = self.bus.val();

        self.cycle.d.next = self.cycle.q.val() + 1;
        self.record.next.status = bit_cast::<8, 3>(self.ev_status.val());
        self.record.next.op = self.ev_op.val();
        self.record.next.port = self.ev_port.val();
        self.record.next.reserved = 0.into();
        self.record.next.pid = self.ev_pid.val();
        self.record.next.va = self.ev_va.val();
        self.record.next.reserved_high = 0.into();
        self.record.next.cycle = self.cycle.q.val();
        self.entry.next = self.record.val().into();

        self.push.next = self.ev_valid.val() && (self.count.q.val() != self.depth.val());
        self.drop_oldest.next = self.pop.writes.val() && self.count.q.val().any();
        self.log.write_address.next = self.tail.q.val();
        self.log.write_data.next = self.entry.val();
        self.log.write_enable.next = self.push.val();
        self.log.read_enable.next = true;
        self.log.read_address.next = self.head.q.val();
        if self.push.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }
        if self.drop_oldest.val() {
            self.head.d.next = self.head.q.val() + 1;
        }
        if self.push.val() && !self.drop_oldest.val() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if !self.push.val() && self.drop_oldest.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        if self.ev_valid.val()
            && !self.push.val()
            && (self.dropped.q.val() != self.dropped_max.val())
        {
            self.dropped.d.next = self.dropped.q.val() + 1;
        }
        self.waits.next = self.count.q.val().any();
        self.shown.d.next = self.count.q.val().any();

        self.status.value.next = (bit_cast::<32, 16>(self.count.q.val()) << self.count_lsb.val())
            | (bit_cast::<32, 16>(self.dropped.q.val()) << self.dropped_lsb.val());
        self.pop.value.next = 0.into();
        self.word.next = 0.into();
        for i in 0..self._words {
            self.words[i].clock.next = self.clock.val();
            self.words[i].bus.next = self.bus.val();
            self.words[i].value.next = self.log.read_data.val().get_bits::<32>(i * 32);
            self.word.next = self.word.val() | self.words[i].read_data.val();
        }
        self.taken.d.next = 0.into();
        if self.shown.q.val() {
            self.taken.d.next = self.word.val();
        }
        self.read_data.next = self.status.read_data.val() | self.taken.q.val();
        if self.bus.val().reset {
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
            self.count.d.next = 0.into();
            self.dropped.d.next = 0.into();
            self.cycle.d.next = 0.into();
            self.shown.d.next = false;
        }
    }
}
