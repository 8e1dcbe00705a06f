//! Slots into messages (section 4.2.5).

use std::collections::VecDeque;

use super::pack::{split, Direction, JOINED_BITS};
use super::{format, Control, ControlError, Flit, Header, HEADER_BITS, SLOTS};
use crate::message::{Drs, Message, MessageError, Ndr, Req, Rwd, RwdOpcode, DRS_BITS};

/// A flit that cannot be. The link layer calls it an uncorrectable error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlitError {
    /// A message that cannot be.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A control flit that cannot be.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A slot format that is reserved, or carries messages of CXL.cache.
    #[error("slot {slot} has format {format}, which carries nothing of CXL.mem this way")]
    Format {
        /// Which slot.
        slot: usize,
        /// Its format.
        format: u8,
    },
    /// A control flit between a header and its data.
    #[error("a control flit between a message and its data")]
    Interrupted,
    /// A header that stands where data are due.
    #[error("slot {0} has a header where data are due")]
    DataDue(usize),
    /// Data that no header announced.
    #[error("slot {0} has data that no header announced")]
    NoDataDue(usize),
    /// More messages than a flit may carry.
    #[error("more {0} messages than a flit may carry")]
    TooMany(&'static str),
    /// Several lines announced in one flit, while that is disabled.
    #[error("several lines announced in one flit, which is disabled")]
    Multiple,
    /// A flit that announces half lines, or byte enables that its message has not or lacks.
    #[error("Sz or BE of the header do not fit the flit's messages")]
    Shape,
}

/// What a flit brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// Messages that are whole now, in their order, and the header, if it had one.
    Messages(Option<Header>, Vec<Message>),
    /// A control flit and its header.
    Control(Header, Control),
}

/// A line that is on its way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    message: Message,
    /// Chunks that came.
    came: usize,
}

impl Pending {
    fn chunks(&self) -> usize {
        let enables = matches!(&self.message, Message::Rwd(r) if r.opcode == RwdOpcode::MemWrPtl);
        SLOTS + usize::from(enables)
    }

    fn take(&mut self, chunk: u128) {
        let at = self.came * 16;
        self.came += 1;
        let data = match &mut self.message {
            Message::Rwd(rwd) if at == 64 => {
                rwd.mask = chunk as u64;
                return;
            }
            Message::Rwd(rwd) => &mut rwd.data,
            Message::Drs(drs) => &mut drs.data,
            Message::Req(_) | Message::Ndr(_) => return,
        };
        data[at..at + 16].copy_from_slice(&chunk.to_le_bytes());
    }
}

/// Takes messages out of flits whose CRC is right and which come in order.
#[derive(Clone, Debug)]
pub struct Unpacker {
    direction: Direction,
    multiple: bool,
    pending: VecDeque<Pending>,
}

/// One flit being read.
#[derive(Default)]
struct Reading {
    out: Vec<Message>,
    plain: usize,
    lines: usize,
}

impl Unpacker {
    /// For flits that go this way. `multiple`: several lines may be announced in a flit.
    pub fn new(direction: Direction, multiple: bool) -> Self {
        let multiple = multiple && direction == Direction::ToHost;
        Self { direction, multiple, pending: VecDeque::new() }
    }

    /// Chunks of data that are due.
    pub fn due(&self) -> usize {
        self.pending.iter().map(|p| p.chunks() - p.came).sum()
    }

    /// Whether the next flit is an all-data flit.
    pub fn expects_all_data(&self) -> bool {
        self.due() >= SLOTS
    }

    /// Takes a flit.
    ///
    /// # Errors
    /// [`FlitError`]; then nothing has changed.
    pub fn flit(&mut self, flit: &Flit) -> Result<Received, FlitError> {
        let mut next = self.clone();
        let received = next.read(flit)?;
        *self = next;
        Ok(received)
    }

    fn read(&mut self, flit: &Flit) -> Result<Received, FlitError> {
        let slots = flit.slots();
        let mut reading = Reading::default();
        if self.expects_all_data() {
            for slot in slots {
                self.chunk(slot, &mut reading);
            }
            return Ok(Received::Messages(None, reading.out));
        }
        let header = flit.header();
        if header.control {
            let control = Control::from_flit(flit)?;
            // Retry flits are the link layer's; anything else must not come between.
            return match self.pending.is_empty() || !control.is_retryable() {
                true => Ok(Received::Control(header, control)),
                false => Err(FlitError::Interrupted),
            };
        }
        for (i, (slot, format)) in slots.into_iter().zip(header.formats).enumerate() {
            // Data that were due at the beginning of the flit, or that a slot before has announced.
            if i > 0 && self.due() > 0 {
                if format != format::DATA {
                    return Err(FlitError::DataDue(i));
                }
                self.chunk(slot, &mut reading);
                continue;
            }
            let slot = if i == 0 { slot >> HEADER_BITS } else { slot };
            match self.direction {
                Direction::ToDevice => self.header_down(i, format, slot, header, &mut reading)?,
                Direction::ToHost => self.header_up(i, format, slot, &mut reading)?,
            }
        }
        if reading.lines > 0 && !header.whole_lines {
            return Err(FlitError::Shape);
        }
        let most = if self.direction == Direction::ToDevice { ("Req", 2) } else { ("NDR", 2) };
        if reading.plain > most.1 {
            return Err(FlitError::TooMany(most.0));
        }
        if reading.lines > if self.multiple { 3 } else { 1 } {
            return Err(FlitError::TooMany("data"));
        }
        Ok(Received::Messages(Some(header), reading.out))
    }

    fn chunk(&mut self, chunk: u128, reading: &mut Reading) {
        let Some(first) = self.pending.front_mut() else { return };
        first.take(chunk);
        if first.came == first.chunks() {
            reading.out.push(first.message);
            self.pending.pop_front();
        }
    }

    fn announce(&mut self, message: Message, reading: &mut Reading) {
        reading.lines += 1;
        self.pending.push_back(Pending { message, came: 0 });
    }

    fn header_down(
        &mut self,
        slot: usize,
        code: u8,
        bits: u128,
        header: Header,
        reading: &mut Reading,
    ) -> Result<(), FlitError> {
        let (req, rwd) =
            if slot == 0 { (format::H_REQ, format::H_RWD) } else { (format::G_REQ, format::G_RWD) };
        if code == req {
            if let Some(req) = Req::unpack(bits)? {
                reading.plain += 1;
                reading.out.push(Message::Req(req));
            }
        } else if code == rwd {
            if let Some(rwd) = Rwd::unpack(bits)? {
                if (rwd.opcode == RwdOpcode::MemWrPtl) != header.byte_enables {
                    return Err(FlitError::Shape);
                }
                self.announce(Message::Rwd(rwd), reading);
            }
        } else {
            nothing(slot, code, bits)?;
        }
        Ok(())
    }

    fn header_up(
        &mut self,
        slot: usize,
        code: u8,
        bits: u128,
        reading: &mut Reading,
    ) -> Result<(), FlitError> {
        let (lines, ndrs) = match (slot, code) {
            (0, format::H_DRS_NDR) => {
                let ndr = bits >> DRS_BITS & ((1 << crate::message::NDR_BITS) - 1);
                (bits & ((1 << DRS_BITS) - 1), [ndr, 0])
            }
            (0, format::H_NDRS) => (0, split(bits)),
            (1.., format::G_DRS_NDRS) => {
                let ndrs = bits >> DRS_BITS & ((1 << JOINED_BITS) - 1);
                (bits & ((1 << DRS_BITS) - 1), split(ndrs))
            }
            (1.., format::G_NDRS) => (0, split(bits)),
            (0, format::H_DRSS) => (bits & ((1 << (2 * DRS_BITS)) - 1), [0; 2]),
            (1.., format::G_DRSS) => (bits & ((1 << (3 * DRS_BITS)) - 1), [0; 2]),
            _ => {
                nothing(slot, code, bits)?;
                (0, [0; 2])
            }
        };
        let multiple = (slot, code) == (0, format::H_DRSS) || (slot > 0 && code == format::G_DRSS);
        let before = reading.lines;
        for i in 0..3 {
            if let Some(drs) = Drs::unpack(lines >> (i * DRS_BITS) & ((1 << DRS_BITS) - 1))? {
                self.announce(Message::Drs(drs), reading);
            }
        }
        // The formats of several lines are for several.
        if multiple && reading.lines > before && (!self.multiple || reading.lines - before < 2) {
            return Err(FlitError::Multiple);
        }
        for ndr in ndrs {
            if let Some(ndr) = Ndr::unpack(ndr)? {
                reading.plain += 1;
                reading.out.push(Message::Ndr(ndr));
            }
        }
        Ok(())
    }
}

/// A slot of a format without CXL.mem messages must be empty: formats 0 to 3 of slot 0 and 0 of the
/// others stand there when there is nothing to send.
fn nothing(slot: usize, format: u8, bits: u128) -> Result<(), FlitError> {
    match format {
        _ if bits == 0 && format <= 3 => Ok(()),
        format::DATA if slot > 0 => Err(FlitError::NoDataDue(slot)),
        _ => Err(FlitError::Format { slot, format }),
    }
}
