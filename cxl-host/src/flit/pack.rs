//! Messages into slots (section 4.2.5).

use std::collections::VecDeque;

use super::{format, Flit, Header, HEADER_BITS, SLOTS};
use crate::message::{Message, Ndr, DRS_BITS};

/// Which way a flit goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    /// Host to device: Req and RwD.
    ToDevice,
    /// Device to host: NDR and DRS.
    ToHost,
}

impl Direction {
    /// The other way.
    pub const fn other(self) -> Self {
        match self {
            Self::ToDevice => Self::ToHost,
            Self::ToHost => Self::ToDevice,
        }
    }

    /// Whether such a message goes this way.
    pub const fn carries(self, message: &Message) -> bool {
        matches!(
            (self, message),
            (Self::ToDevice, Message::Req(_) | Message::Rwd(_))
                | (Self::ToHost, Message::Ndr(_) | Message::Drs(_))
        )
    }
}

/// A message that does not go this way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a flit {0:?} carries no such message")]
pub struct PackError(pub Direction);

/// Puts messages into flits, as many as there is room for. Messages of one kind keep their order.
#[derive(Debug)]
pub struct Packer {
    direction: Direction,
    /// Announce more than one line in a flit (Multi-Data-Header, to the host only).
    multiple: bool,
    /// Messages without data, by their bits.
    plain: VecDeque<u128>,
    /// Messages with data: header, chunks.
    data: VecDeque<(u128, Vec<u128>)>,
    /// Chunks whose header was sent.
    chunks: VecDeque<u128>,
    /// Whose turn slot 0 is when both kinds wait.
    data_next: bool,
}

/// One flit being filled.
struct Filling {
    header: Header,
    slots: [u128; SLOTS],
    plain: usize,
    lines: usize,
}

impl Packer {
    /// An empty one. `multiple`: to the host, announce up to three lines in a flit.
    pub fn new(direction: Direction, multiple: bool) -> Self {
        Self {
            direction,
            multiple: multiple && direction == Direction::ToHost,
            plain: VecDeque::new(),
            data: VecDeque::new(),
            chunks: VecDeque::new(),
            data_next: true,
        }
    }

    /// Queues a message.
    ///
    /// # Errors
    /// [`PackError`] if it goes the other way.
    pub fn push(&mut self, message: &Message) -> Result<(), PackError> {
        if !self.direction.carries(message) {
            return Err(PackError(self.direction));
        }
        match message {
            Message::Req(req) => self.plain.push_back(req.pack()),
            Message::Ndr(ndr) => self.plain.push_back(ndr.pack()),
            Message::Rwd(rwd) => {
                let mut chunks = chunks(&rwd.data);
                if rwd.opcode == crate::message::RwdOpcode::MemWrPtl {
                    chunks.push(rwd.mask.into());
                }
                self.data.push_back((rwd.pack(), chunks));
            }
            Message::Drs(drs) => self.data.push_back((drs.pack(), chunks(&drs.data))),
        }
        Ok(())
    }

    /// Messages that no flit has announced yet.
    pub fn waiting(&self) -> usize {
        self.plain.len() + self.data.len()
    }

    /// Whether a flit is due: messages or the rest of a line.
    pub fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.chunks.is_empty()
    }

    /// Whether the next flit has no header and must follow the last one at once.
    pub fn is_all_data(&self) -> bool {
        self.chunks.len() >= SLOTS
    }

    /// The next flit; `header`'s acknowledgement and credits go along if the flit has a header (see
    /// [`Self::is_all_data`]).
    pub fn flit(&mut self, header: Header) -> Flit {
        if self.is_all_data() {
            return Flit::new(std::array::from_fn(|_| self.chunks.pop_front().unwrap_or(0)));
        }
        let header = Header { control: false, formats: [0; SLOTS], ..header };
        let mut flit = Filling { header, slots: [0; SLOTS], plain: 0, lines: 0 };
        for slot in 0..SLOTS {
            match (slot, self.direction) {
                (0, Direction::ToDevice) => self.first_to_device(&mut flit),
                (0, Direction::ToHost) => self.first_to_host(&mut flit),
                _ => match (self.chunks.pop_front(), self.direction) {
                    (Some(chunk), _) => flit.slots[slot] = chunk,
                    (None, Direction::ToDevice) => self.later_to_device(&mut flit, slot),
                    (None, Direction::ToHost) => self.later_to_host(&mut flit, slot),
                },
            }
        }
        flit.slots[0] = flit.slots[0] << HEADER_BITS | u128::from(flit.header.to_bits());
        Flit::new(flit.slots)
    }

    /// Takes the header of the next message with data, whose chunks come next.
    fn announce(&mut self, flit: &mut Filling) -> Option<u128> {
        let (header, chunks) = self.data.pop_front()?;
        flit.header.whole_lines = true;
        // Four chunks are the line, a fifth its byte enables.
        flit.header.byte_enables = chunks.len() > SLOTS;
        flit.lines += 1;
        self.chunks.extend(chunks);
        Some(header)
    }

    fn first_to_device(&mut self, flit: &mut Filling) {
        let data = !self.data.is_empty() && (self.data_next || self.plain.is_empty());
        self.data_next = !data;
        if data {
            flit.header.formats[0] = format::H_RWD;
            flit.slots[0] = self.announce(flit).unwrap_or(0);
        } else if let Some(req) = self.plain.pop_front() {
            flit.header.formats[0] = format::H_REQ;
            flit.slots[0] = req;
            flit.plain = 1;
        }
    }

    fn later_to_device(&mut self, flit: &mut Filling, slot: usize) {
        // At most two Req and one RwD a flit.
        if flit.plain < 2 {
            if let Some(req) = self.plain.pop_front() {
                flit.header.formats[slot] = format::G_REQ;
                flit.slots[slot] = req;
                flit.plain += 1;
                return;
            }
        }
        if flit.lines == 0 {
            if let Some(rwd) = self.announce(flit) {
                flit.header.formats[slot] = format::G_RWD;
                flit.slots[slot] = rwd;
            }
        }
    }

    fn first_to_host(&mut self, flit: &mut Filling) {
        if self.multiple && self.data.len() >= 2 {
            flit.header.formats[0] = format::H_DRSS;
            flit.slots[0] = self.lines(flit, 2);
        } else if !self.data.is_empty() {
            flit.header.formats[0] = format::H_DRS_NDR;
            let line = self.announce(flit).unwrap_or(0);
            let ndr = self.plain.pop_front();
            flit.plain += usize::from(ndr.is_some());
            flit.slots[0] = line | ndr.unwrap_or(0) << DRS_BITS;
        } else if !self.plain.is_empty() {
            flit.header.formats[0] = format::H_NDRS;
            flit.slots[0] = self.two(flit);
        }
    }

    fn later_to_host(&mut self, flit: &mut Filling, slot: usize) {
        // At most two NDR a flit, and one DRS or, all of them announced in one slot, three.
        let ndrs = flit.plain == 0 && !self.plain.is_empty();
        if flit.lines == 0 && self.multiple && self.data.len() >= 2 {
            flit.header.formats[slot] = format::G_DRSS;
            flit.slots[slot] = self.lines(flit, 3);
        } else if flit.lines == 0 && !self.data.is_empty() && flit.plain == 0 {
            flit.header.formats[slot] = format::G_DRS_NDRS;
            let line = self.announce(flit).unwrap_or(0);
            flit.slots[slot] = line | self.two(flit) << DRS_BITS;
        } else if ndrs {
            flit.header.formats[slot] = format::G_NDRS;
            flit.slots[slot] = self.two(flit);
        }
    }

    /// Up to `most` headers of lines, one after the other.
    fn lines(&mut self, flit: &mut Filling, most: u32) -> u128 {
        (0..most).fold(0, |slot, i| slot | self.announce(flit).unwrap_or(0) << (i * DRS_BITS))
    }

    /// Up to two NDR.
    fn two(&mut self, flit: &mut Filling) -> u128 {
        let first = self.plain.pop_front();
        let second = self.plain.pop_front();
        flit.plain += usize::from(first.is_some()) + usize::from(second.is_some());
        join(first.unwrap_or(0), second.unwrap_or(0))
    }
}

/// Bits of an NDR without its DevLoad.
const NDR_CORE: u32 = crate::message::NDR_BITS - 2;

/// Two NDR in a slot: both without DevLoad, then both DevLoads (tables 4-16 to 4-19).
fn join(first: u128, second: u128) -> u128 {
    let core = |ndr: u128| ndr & ((1 << NDR_CORE) - 1);
    core(first)
        | core(second) << NDR_CORE
        | (first >> NDR_CORE) << (2 * NDR_CORE)
        | (second >> NDR_CORE) << (2 * NDR_CORE + 2)
}

/// The reverse of [`join`].
pub(super) fn split(bits: u128) -> [u128; 2] {
    let core = |at: u32| bits >> at & ((1 << NDR_CORE) - 1);
    let load = |at: u32| (bits >> at & 3) << NDR_CORE;
    [core(0) | load(2 * NDR_CORE), core(NDR_CORE) | load(2 * NDR_CORE + 2)]
}

/// Bits that [`join`] fills.
pub(super) const JOINED_BITS: u32 = 2 * crate::message::NDR_BITS;

fn chunks(line: &[u8; 64]) -> Vec<u128> {
    line.chunks_exact(16)
        .map(|chunk| u128::from_le_bytes(std::array::from_fn(|i| chunk[i])))
        .collect()
}

impl From<Ndr> for Message {
    fn from(ndr: Ndr) -> Self {
        Self::Ndr(ndr)
    }
}

impl From<crate::message::Req> for Message {
    fn from(req: crate::message::Req) -> Self {
        Self::Req(req)
    }
}

impl From<crate::message::Rwd> for Message {
    fn from(rwd: crate::message::Rwd) -> Self {
        Self::Rwd(rwd)
    }
}

impl From<crate::message::Drs> for Message {
    fn from(drs: crate::message::Drs) -> Self {
        Self::Drs(drs)
    }
}
