//! Frames out of bytes.
//!
//! `frame` is a pulse when a frame with a right CRC is whole; its header stays until the next one's
//! first byte, a hundred cycles later at least, and its payload can be read meanwhile:
//! `payload_data` comes a cycle after `payload_at`. A frame with a wrong CRC, of no known kind, with a
//! broken byte, or that stops in the middle, is counted in `bad_frames` and forgotten.

use super::crc::CrcStep;
use crate::prim::{BlockRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::serial::{Kind, CRC_START, IDLE_CYCLES, SYNC};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum Part {
    Hunt,
    Header,
    Payload,
    Check,
}

#[derive(LogicBlock, Default)]
pub struct Receiver {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub valid: Signal<In, Bit>,
    pub octet: Signal<In, Bits<8>>,
    pub error: Signal<In, Bit>,
    pub frame: Signal<Out, Bit>,
    pub kind: Signal<Out, Bits<8>>,
    pub slot: Signal<Out, Bits<8>>,
    pub number: Signal<Out, Bits<8>>,
    pub session: Signal<Out, Bits<8>>,
    pub payload_at: Signal<In, Bits<7>>,
    pub payload_data: Signal<Out, Bits<8>>,
    pub bad_frames: Signal<Out, Bits<16>>,

    payload: BlockRam<Bits<8>, 7>,
    crc: CrcStep,
    part: DFF<Part>,
    /// kind, slot, number, session; the newest stands highest.
    header: DFF<Bits<32>>,
    at: DFF<Bits<7>>,
    length: DFF<Bits<7>>,
    check: DFF<Bits<32>>,
    wrong: DFF<Bit>,
    whole: DFF<Bit>,
    lost: DFF<Bits<16>>,
    quiet: DFF<Bits<17>>,
    known: Signal<Local, Bit>,
    payload_bytes: Signal<Local, Bits<7>>,
    code: Signal<Local, Bits<8>>,
    lose: Signal<Local, Bit>,
    idle: Param<Bits<17>>,
    sync: Param<Bits<8>>,
    first: Param<Bits<32>>,
    lengths: Lengths,
}

/// The payload's length by the frame's kind.
#[derive(LogicBlock, Default)]
pub struct Lengths {
    pub code: Signal<In, Bits<8>>,
    pub known: Signal<Out, Bit>,
    pub bytes: Signal<Out, Bits<7>>,
}

impl Logic for Lengths {
    fn update(&mut self) {
        let code = self.code.val().index() as u8;
        let kind = Kind::REQUESTS.into_iter().find(|kind| *kind as u8 == code);
        self.known.next = kind.is_some();
        self.bytes.next = kind.map_or(0, |kind| kind.payload() as u64).into();
    }

    fn connect(&mut self) {
        self.known.connect();
        self.bytes.connect();
    }

    fn hdl(&self) -> Verilog {
        let lines: String = Kind::REQUESTS
            .iter()
            .map(|kind| {
                let (code, bytes) = (*kind as u8, kind.payload());
                format!("    8'd{code}: begin known = 1'b1; bytes = 7'd{bytes}; end\n")
            })
            .collect();
        Verilog::Custom(format!(
            "always @(*) begin\n  known = 1'b0;\n  bytes = 7'd0;\n  case (code)\n{lines}    \
             default: ;\n  endcase\nend\n"
        ))
    }
}

impl Receiver {
    pub fn new() -> Self {
        Self {
            payload: BlockRam::new(128),
            idle: Param::new(u64::from(IDLE_CYCLES).into()),
            sync: Param::new(u64::from(SYNC).into()),
            first: Param::new(u64::from(CRC_START).into()),
            ..Default::default()
        }
    }
}

impl Logic for Receiver {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, part, header, at, length, check, wrong, whole, lost, quiet);
        clock!(self, clock, payload);
        self.frame.next = self.whole.q.val();
        self.kind.next = self.header.q.val().get_bits::<8>(0);
        self.slot.next = self.header.q.val().get_bits::<8>(8);
        self.number.next = self.header.q.val().get_bits::<8>(16);
        self.session.next = self.header.q.val().get_bits::<8>(24);
        self.bad_frames.next = self.lost.q.val();
        self.payload.read_address.next = self.payload_at.val();
        self.payload_data.next = self.payload.read_data.val();
        self.payload.write_address.next = self.at.q.val();
        self.payload.write_data.next = self.octet.val();
        self.payload.write_enable.next = false;
        self.crc.crc.next = self.check.q.val();
        self.crc.octet.next = self.octet.val();
        self.code.next = self.header.q.val().get_bits::<8>(8);
        self.lengths.code.next = self.code.val();
        self.known.next = self.lengths.known.val();
        self.payload_bytes.next = self.lengths.bytes.val();
        self.whole.d.next = false;
        self.lose.next = false;

        self.quiet.d.next = self.quiet.q.val() + 1;
        if self.valid.val() || (self.part.q.val() == Part::Hunt) {
            self.quiet.d.next = 0.into();
        }
        if self.valid.val() {
            self.at.d.next = self.at.q.val() + 1;
            match self.part.q.val() {
                Part::Hunt => {
                    if self.octet.val() == self.sync.val() {
                        self.part.d.next = Part::Header;
                        self.at.d.next = 0.into();
                        self.check.d.next = self.first.val();
                    }
                }
                Part::Header => {
                    self.check.d.next = self.crc.result.val();
                    self.header.d.next =
                        (self.header.q.val() >> 8) | (bit_cast::<32, 8>(self.octet.val()) << 24);
                    if self.at.q.val() == 3 {
                        // The header moves on by one with this byte: the kind is in its second place.
                        self.length.d.next = self.payload_bytes.val();
                        self.at.d.next = 0.into();
                        self.wrong.d.next = false;
                        self.part.d.next = Part::Payload;
                        if self.payload_bytes.val() == 0 {
                            self.part.d.next = Part::Check;
                        }
                        if !self.known.val() {
                            self.part.d.next = Part::Hunt;
                            self.lose.next = true;
                        }
                    }
                }
                Part::Payload => {
                    self.check.d.next = self.crc.result.val();
                    self.payload.write_enable.next = true;
                    if (self.at.q.val() + 1) == self.length.q.val() {
                        self.at.d.next = 0.into();
                        self.part.d.next = Part::Check;
                    }
                }
                Part::Check => {
                    self.check.d.next = self.check.q.val() >> 8;
                    if self.octet.val() != bit_cast::<8, 32>(!self.check.q.val()) {
                        self.wrong.d.next = true;
                    }
                    if self.at.q.val() == 3 {
                        self.part.d.next = Part::Hunt;
                        self.whole.d.next = !self.wrong.q.val()
                            && (self.octet.val() == bit_cast::<8, 32>(!self.check.q.val()));
                        self.lose.next = self.wrong.q.val()
                            || (self.octet.val() != bit_cast::<8, 32>(!self.check.q.val()));
                    }
                }
                _ => {
                    self.part.d.next = Part::Hunt;
                }
            }
        }
        if self.error.val() || (self.quiet.q.val() == self.idle.val()) {
            self.part.d.next = Part::Hunt;
            self.lose.next = true;
        }
        if self.lose.val() && (self.lost.q.val() != 0xFFFF) {
            self.lost.d.next = self.lost.q.val() + 1;
        }
        if self.reset.val() {
            self.part.d.next = Part::Hunt;
            self.whole.d.next = false;
            self.lost.d.next = 0.into();
            self.quiet.d.next = 0.into();
        }
    }
}
