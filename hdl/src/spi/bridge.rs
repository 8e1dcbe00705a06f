//! SPI peripheral that carries out register accesses: `abi::spi` defines the frames.
//!
//! In: the SPI pins (mode 0, most significant bit first), from any other clock. Out: a register bus
//! `m_*` as [`crate::bus`] wants it (`h_*` of the component is the same), and `irq`, the monitor's
//! interrupt, from a flip-flop.
//!
//! **Clocks.** The pins are sampled: SCK must be high and low for two cycles of `clock` or more each,
//! so its frequency is at most a quarter of the clock's; chip select must be low for one cycle before
//! SCK's first edge, and high for two to end a frame. `mosi` is taken at SCK's rising edge. `miso`
//! changes two to three cycles *after* the rising edge: the controller has taken the bit before by
//! then, and finds the next one there a cycle before it takes that, even at the highest frequency.
//!
//! **Time.** An access starts two to four cycles after the request's last rising edge. The status says
//! that it is not over if it took longer than the turnaround: 28 cycles at the highest frequency, of
//! which the component's bus needs 8, and 16 while the host is at its registers.
//!
//! **Promise.** Whatever the pins do: `m_valid` and the payload stand until `m_done`, then it falls; it
//! rises once for each intact request with a new sequence number, and for nothing else.

use crate::prim::Param;
use rust_hdl::prelude::*;
use splitmem_abi::spi::{status, Operation, CRC_POLYNOMIAL, CRC_START, HELLO_VALUE};

/// What the bits at SCK's rising edges are. From `Status` on it is the bit that goes to `miso` then,
/// which the controller takes at the edge after it: so the turnaround is a bit shorter here, and `End`
/// is there for the last bit.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Part {
    Header,
    Data,
    Check,
    Turn,
    Status,
    Value,
    Seal,
    End,
}

#[derive(LogicBlock, Default)]
pub struct Bridge {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    pub sck: Signal<In, Bit>,
    pub cs_n: Signal<In, Bit>,
    pub mosi: Signal<In, Bit>,
    pub miso: Signal<Out, Bit>,
    /// Chip select, not sampled: the pad lets go of a shared wire at once.
    pub miso_drive: Signal<Out, Bit>,
    pub irq: Signal<Out, Bit>,

    pub m_valid: Signal<Out, Bit>,
    pub m_write: Signal<Out, Bit>,
    pub m_addr: Signal<Out, Bits<12>>,
    pub m_wdata: Signal<Out, Bits<32>>,
    pub m_done: Signal<In, Bit>,
    pub m_rdata: Signal<In, Bits<32>>,
    pub m_error: Signal<In, Bit>,
    pub irq_monitor: Signal<In, Bit>,

    // The pins.
    sck_meta: DFF<Bit>,
    sck_here: DFF<Bit>,
    sck_before: DFF<Bit>,
    chosen_meta: DFF<Bit>,
    chosen: DFF<Bit>,
    mosi_meta: DFF<Bit>,
    mosi_here: DFF<Bit>,
    miso_next: DFF<Bit>,
    interrupt: DFF<Bit>,

    // The frame.
    part: DFF<Part>,
    /// Bits of the part that follow this one.
    left: DFF<Bits<5>>,
    crc: DFF<Bits<16>>,
    operation: DFF<Bits<2>>,
    /// Sequence number and address.
    header: DFF<Bits<14>>,
    data: DFF<Bits<32>>,
    /// An access was under way when the frame began: address and data must stand, so this one's are
    /// not taken.
    deaf: DFF<Bit>,
    /// Pulse: the request is whole.
    whole: DFF<Bit>,
    damaged: DFF<Bit>,
    unknown: DFF<Bit>,
    closed: DFF<Bit>,
    late: DFF<Bit>,

    // The access.
    open: DFF<Bit>,
    last: DFF<Bits<2>>,
    valid: DFF<Bit>,
    write: DFF<Bit>,
    result: DFF<Bits<32>>,
    error: DFF<Bit>,

    rising: Signal<Local, Bit>,
    hears: Signal<Local, Bit>,
    is_write: Signal<Local, Bit>,
    is_access: Signal<Local, Bit>,
    carried_out: Signal<Local, Bit>,
    base: Signal<Local, Bits<8>>,
    status: Signal<Local, Bits<8>>,
    sends: Signal<Local, Bit>,
    receives: Signal<Local, Bit>,
    feedback: Signal<Local, Bit>,
    stepped: Signal<Local, Bits<16>>,

    first: Param<Bits<16>>,
    polynomial: Param<Bits<16>>,
    hello: Param<Bits<2>>,
    writes: Param<Bits<2>>,
    signature: Param<Bits<32>>,
    answer_bit: Param<Bits<8>>,
    denied_bit: Param<Bits<8>>,
    busy_bit: Param<Bits<8>>,
    damaged_bit: Param<Bits<8>>,
    unknown_bit: Param<Bits<8>>,
    closed_bit: Param<Bits<8>>,
}

impl Bridge {
    pub fn new() -> Self {
        let bit = |mask: u8| Param::new(u64::from(mask).into());
        Self {
            first: Param::new(u64::from(CRC_START).into()),
            polynomial: Param::new(u64::from(CRC_POLYNOMIAL).into()),
            hello: Param::new((Operation::Hello as u64).into()),
            writes: Param::new((Operation::Write as u64).into()),
            signature: Param::new(u64::from(HELLO_VALUE).into()),
            answer_bit: bit(status::ANSWER),
            denied_bit: bit(status::DENIED),
            busy_bit: bit(status::BUSY),
            damaged_bit: bit(status::DAMAGED),
            unknown_bit: bit(status::UNKNOWN),
            closed_bit: bit(status::CLOSED),
            ..Default::default()
        }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.sck.connect();
        self.cs_n.connect();
        self.mosi.connect();
        self.m_done.connect();
        self.m_rdata.connect();
        self.m_error.connect();
        self.irq_monitor.connect();
        self.connect_all();
    }
}

impl Logic for Bridge {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, sck_meta, sck_here, sck_before, chosen_meta, chosen, mosi_meta);
        dff_setup!(
            self, clock, mosi_here, miso_next, interrupt, part, left, crc, operation, header
        );
        dff_setup!(self, clock, data, deaf, whole, damaged, unknown, closed, late, open, last);
        dff_setup!(self, clock, valid, write, result, error);

        self.sck_meta.d.next = self.sck.val();
        self.sck_here.d.next = self.sck_meta.q.val();
        self.sck_before.d.next = self.sck_here.q.val();
        self.chosen_meta.d.next = !self.cs_n.val();
        self.chosen.d.next = self.chosen_meta.q.val();
        self.mosi_meta.d.next = self.mosi.val();
        self.mosi_here.d.next = self.mosi_meta.q.val();
        self.interrupt.d.next = self.irq_monitor.val();
        self.miso.next = self.miso_next.q.val();
        self.miso_drive.next = !self.cs_n.val();
        self.irq.next = self.interrupt.q.val();
        self.m_valid.next = self.valid.q.val();
        self.m_write.next = self.write.q.val();
        self.m_addr.next = bit_cast::<12, 14>(self.header.q.val());
        self.m_wdata.next = self.data.q.val();

        self.rising.next = self.chosen.q.val() && self.sck_here.q.val() && !self.sck_before.q.val();
        // Deaf comes a cycle after the frame's begin; pins against the rules may be that quick.
        self.hears.next = !self.deaf.q.val() && !self.valid.q.val();
        self.is_write.next = self.operation.q.val() == self.writes.val();
        self.is_access.next =
            (self.operation.q.val() != 0) && (self.operation.q.val() != self.hello.val());

        // What goes out.
        self.base.next = self.answer_bit.val() | bit_cast::<8, 2>(self.last.q.val());
        self.status.next = self.base.val();
        self.carried_out.next = false;
        if self.damaged.q.val() {
            self.status.next = self.base.val() | self.damaged_bit.val();
        } else if self.late.q.val() {
            self.status.next = self.base.val() | self.busy_bit.val();
        } else if self.unknown.q.val() {
            self.status.next = self.base.val() | self.unknown_bit.val();
        } else if self.closed.q.val() {
            self.status.next = self.base.val() | self.closed_bit.val();
        } else {
            self.carried_out.next = true;
            if self.error.q.val() {
                self.status.next = self.base.val() | self.denied_bit.val();
            }
        }
        self.sends.next = false;
        self.receives.next = false;
        match self.part.q.val() {
            Part::Status => {
                self.sends.next = self.status.val().get_bit(self.left.q.val().index());
            }
            Part::Value => {
                self.sends.next = self.carried_out.val()
                    && self.result.q.val().get_bit(self.left.q.val().index());
            }
            Part::Seal => {
                self.sends.next = self.crc.q.val().get_bit(15);
            }
            Part::Turn => {}
            Part::End => {}
            _ => {
                self.receives.next = true;
            }
        }
        // At the seal the two bits are the same: the CRC shifts out.
        self.feedback.next = self.crc.q.val().get_bit(15)
            != (self.sends.val() || (self.receives.val() && self.mosi_here.q.val()));
        self.stepped.next = self.crc.q.val() << 1;
        if self.feedback.val() {
            self.stepped.next = (self.crc.q.val() << 1) ^ self.polynomial.val();
        }

        // The frame, bit by bit.
        self.whole.d.next = false;
        if (self.part.q.val() == Part::Header) && (self.left.q.val() == 15) {
            self.deaf.d.next = self.valid.q.val();
        }
        if self.rising.val() {
            self.miso_next.d.next = self.sends.val();
            self.crc.d.next = self.stepped.val();
            self.left.d.next = self.left.q.val() - 1;
            match self.part.q.val() {
                Part::Header => {
                    if self.left.q.val() >= 14 {
                        self.operation.d.next = (self.operation.q.val() << 1)
                            | bit_cast::<2, 1>(self.mosi_here.q.val().into());
                    }
                    if self.hears.val() {
                        self.header.d.next = (self.header.q.val() << 1)
                            | bit_cast::<14, 1>(self.mosi_here.q.val().into());
                    }
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Check;
                        self.left.d.next = 15.into();
                        if self.is_write.val() {
                            self.part.d.next = Part::Data;
                            self.left.d.next = 31.into();
                        }
                    }
                }
                Part::Data => {
                    if self.hears.val() {
                        self.data.d.next = (self.data.q.val() << 1)
                            | bit_cast::<32, 1>(self.mosi_here.q.val().into());
                    }
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Check;
                        self.left.d.next = 15.into();
                    }
                }
                Part::Check => {
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Turn;
                        self.left.d.next = 6.into();
                        self.whole.d.next = true;
                    }
                }
                Part::Turn => {
                    self.crc.d.next = self.first.val();
                    self.late.d.next = self.deaf.q.val() || self.valid.q.val();
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Status;
                        self.left.d.next = 7.into();
                    }
                }
                Part::Status => {
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Value;
                        self.left.d.next = 31.into();
                        if self.is_write.val() {
                            self.part.d.next = Part::Seal;
                            self.left.d.next = 15.into();
                        }
                    }
                }
                Part::Value => {
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::Seal;
                        self.left.d.next = 15.into();
                    }
                }
                Part::Seal => {
                    if self.left.q.val() == 0 {
                        self.part.d.next = Part::End;
                    }
                }
                _ => {
                    self.part.d.next = Part::Header;
                    self.left.d.next = 15.into();
                    self.crc.d.next = self.first.val();
                }
            }
        }
        if !self.chosen.q.val() {
            self.part.d.next = Part::Header;
            self.left.d.next = 15.into();
            self.crc.d.next = self.first.val();
            self.miso_next.d.next = false;
        }

        // The access.
        if self.valid.q.val() && self.m_done.val() {
            self.valid.d.next = false;
            self.result.d.next = self.m_rdata.val();
            self.error.d.next = self.m_error.val();
        }
        if self.whole.q.val() {
            self.damaged.d.next = self.crc.q.val() != 0;
            self.unknown.d.next = self.operation.q.val() == 0;
            self.closed.d.next = self.is_access.val() && !self.open.q.val();
            if (self.crc.q.val() == 0) && !self.deaf.q.val() {
                if self.operation.q.val() == self.hello.val() {
                    self.open.d.next = true;
                    self.result.d.next = self.signature.val();
                    self.error.d.next = false;
                }
                if self.is_access.val()
                    && self.open.q.val()
                    && (bit_cast::<2, 14>(self.header.q.val() >> 12) != self.last.q.val())
                {
                    self.valid.d.next = true;
                    self.write.d.next = self.is_write.val();
                    self.last.d.next = bit_cast::<2, 14>(self.header.q.val() >> 12);
                }
            }
        }
        if self.reset.val() {
            self.chosen_meta.d.next = false;
            self.chosen.d.next = false;
            self.whole.d.next = false;
            self.open.d.next = false;
            self.last.d.next = 0.into();
            self.valid.d.next = false;
            self.write.d.next = false;
            self.error.d.next = false;
        }
    }
}
