//! The host's end of the serial link: requests in, bytes out; bytes in, answers out.
//!
//! [`Link`] does no input or output and knows no clock: whoever owns it hands it the bytes that came
//! and the time in microseconds, and sends the bytes that it gives. So the same code speaks to a
//! real port and to a simulated pin. The rules of the link are in [`splitmem_abi::serial`].
//!
//! [`wire`] has a UART for test benches.
#![forbid(unsafe_code)]

mod frames;
pub mod wire;

use frames::Frames;
use splitmem_abi::board::BoardId;
use splitmem_abi::bus::BusError;
use splitmem_abi::geometry::LINE_BYTES;
use splitmem_abi::request::{Line, Op, Request, Status, FULL_MASK};
use splitmem_abi::serial::{self, status, welcome, Kind, Space, SLOTS};
use std::collections::{HashSet, VecDeque};

/// What the board is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// A request to the component; its tag is not used.
    Memory(Request),
    /// Read a register.
    Read(Space, u16),
    /// Write a register.
    Write(Space, u16, u32),
}

/// What came of a [`Call`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The component's answer.
    Memory(Status, Line),
    /// A register's value; zero for a write.
    Register(Result<u32, BusError>),
}

/// The end of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The caller's name for it.
    pub id: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The board.
    pub board: BoardId,
    /// Which build of its bitstream.
    pub build: u32,
    /// Requests that it takes at once.
    pub slots: u8,
    /// Its memory can be used.
    pub memory_ready: bool,
    /// Its memory failed its test.
    pub memory_failed: bool,
    /// Its monitor runs on it.
    pub own_monitor: bool,
}

/// Why a link cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing came at all.
    #[error(
        "nothing answers: is this the board's port, is the board switched on, and does it hold \
         Splitmem's bitstream ('splitmem flash BOARD')?"
    )]
    Silent,
    /// Bytes came, and no frame.
    #[error(
        "{bytes} bytes came and none of them made sense: the speed of the line is wrong, or \
         something else than Splitmem answers"
    )]
    Garbage {
        /// How many.
        bytes: u64,
    },
    /// It answered, and then no more.
    #[error("the board stopped answering: its cable was pulled, or it lost power")]
    Lost,
    /// It forgot this session.
    #[error("the board was reset, or another host took it over")]
    NoSession,
    /// It speaks another version of the link.
    #[error(
        "the board's bitstream speaks version {theirs} of the link and this program version {ours}: \
         flash the bitstream that belongs to this program ('splitmem flash BOARD')"
    )]
    Version {
        /// The board's.
        theirs: u8,
        /// This program's.
        ours: u8,
    },
    /// A board that this program does not know.
    #[error("the board calls itself {0}, which this program does not know")]
    UnknownBoard(u8),
    /// An answer that cannot be.
    #[error("the board gave an answer of the wrong kind ({kind:?})")]
    WrongAnswer {
        /// What it was.
        kind: Kind,
    },
}

/// Times of a link, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// A request is repeated after this long without any frame at the earliest; later on slow links,
    /// which are measured.
    pub repeat_us: u64,
    /// Without any frame for this long while something is asked, the link has failed.
    pub give_up_us: u64,
}

impl Default for Patience {
    /// For real ports: USB adapters hold bytes back for up to 16 ms. A simulated board on a busy machine
    /// may take a second for a frame.
    fn default() -> Self {
        Self { repeat_us: 100_000, give_up_us: 10_000_000 }
    }
}

/// What a link has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Requests sent, without repetitions.
    pub requests: u64,
    /// Requests sent again.
    pub repeated: u64,
    /// Answers that were not waited for any more.
    pub superfluous: u64,
    /// Bytes that were not part of a good frame.
    pub stray_bytes: u64,
}

/// A request under way.
struct Flight {
    id: u64,
    call: Call,
    /// When it was sent first, and last.
    first: u64,
    sent: u64,
    /// How often it was sent.
    tries: u32,
    /// Its place in the order of all that was sent, and how many answers to later ones have come.
    order: u64,
    overtaken: u32,
}

#[derive(Default)]
struct Slot {
    number: u8,
    flight: Option<Flight>,
}

/// The host's end of a link.
pub struct Link {
    session: u8,
    patience: Patience,
    welcome: Option<Welcome>,
    hello_sent: Option<u64>,
    slots: [Slot; SLOTS],
    waiting: VecDeque<(u64, Call)>,
    /// Lines with a request under way.
    lines: HashSet<(u16, u64)>,
    frames: Frames,
    replies: VecDeque<Reply>,
    error: Option<LinkError>,
    /// When the last good frame came, or something was asked after a pause.
    heard: u64,
    /// Smoothed time from request to answer.
    round_trip: u64,
    flying: usize,
    /// Requests sent, repetitions included.
    sends: u64,
    bytes: u64,
    irq: u8,
    counts: Counts,
}

/// So many answers to later requests tell that a request or its answer was lost. A board answers nearly
/// in order; a memory may let a few pass.
const OVERTAKEN: u32 = 8;

/// Calls that are looked at for one that can be sent while others are held back.
const LOOK_AHEAD: usize = 128;

impl Link {
    /// A link that was never spoken on. `session` should differ from the last one's.
    pub fn new(session: u8, patience: Patience) -> Self {
        Self {
            session,
            patience,
            welcome: None,
            hello_sent: None,
            slots: Default::default(),
            waiting: VecDeque::new(),
            lines: HashSet::new(),
            frames: Frames::default(),
            replies: VecDeque::new(),
            error: None,
            heard: 0,
            round_trip: 0,
            flying: 0,
            sends: 0,
            bytes: 0,
            irq: 0,
            counts: Counts::default(),
        }
    }

    /// Asks something. Calls to one line of one process keep their order; others need not.
    pub fn call(&mut self, id: u64, call: Call) {
        self.waiting.push_back((id, call));
    }

    /// Who is at the other end, once it is known.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// Why the link cannot go on. It never recovers from that.
    pub fn error(&self) -> Option<LinkError> {
        self.error
    }

    /// The answers that have come, in their order.
    pub fn reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    /// Calls that are not answered.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.flying
    }

    /// Whether the monitor's interrupt was up in the last answer.
    pub fn irq_monitor(&self) -> bool {
        self.irq & status::IRQ_MONITOR != 0
    }

    /// Whether the host's interrupt was up in the last answer.
    pub fn irq_host(&self) -> bool {
        self.irq & status::IRQ_HOST != 0
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts { stray_bytes: self.frames.stray(), ..self.counts }
    }

    /// Takes bytes that came at `now`.
    pub fn bytes_in(&mut self, bytes: &[u8], now: u64) {
        self.bytes += bytes.len() as u64;
        self.frames.push(bytes);
        while let Some((kind, header, payload)) = self.frames.next() {
            self.heard = now;
            self.frame(kind, header, &payload, now);
        }
    }

    fn frame(&mut self, kind: Kind, [slot, number, last]: [u8; 3], payload: &[u8], now: u64) {
        match kind {
            Kind::Welcome => {
                if last == self.session {
                    self.greeted(payload);
                }
                return;
            }
            Kind::NoSession => {
                // Answers to a former session's requests may still be on their way.
                let flies = self
                    .slots
                    .get(usize::from(slot))
                    .is_some_and(|slot| slot.flight.is_some() && slot.number == number);
                if flies {
                    self.error.get_or_insert(LinkError::NoSession);
                }
                return;
            }
            _ => {}
        }
        self.irq = last;
        let slot = self.slots.get_mut(usize::from(slot)).filter(|slot| slot.number == number);
        let Some(flight) = slot.and_then(|slot| slot.flight.take()) else {
            self.counts.superfluous += 1;
            return;
        };
        self.flying -= 1;
        for other in self.slots.iter_mut().filter_map(|slot| slot.flight.as_mut()) {
            other.overtaken += u32::from(other.order < flight.order);
        }
        // Of a repeated request nobody knows which copy was answered (Karn). Then the time is thought
        // to be somewhat longer than it was, at most as long as from the first copy on: enough to
        // find a link that is slower than thought, and soon undone after a loss.
        let took = now.saturating_sub(flight.first);
        self.round_trip = match (self.round_trip, flight.tries) {
            (0, _) => took,
            (known, 1) => (7 * known + took) / 8,
            (known, _) => (known + known / 4 + 1).min(took.max(known)),
        };
        let outcome = match (flight.call, kind) {
            (Call::Memory(request), Kind::Line | Kind::Done) => {
                self.lines.remove(&line_of(&request));
                let Some(code) = Status::from_code(last & status::CODE) else {
                    self.error.get_or_insert(LinkError::WrongAnswer { kind });
                    return;
                };
                let mut line = [0; LINE_BYTES];
                line[..payload.len()].copy_from_slice(payload);
                Outcome::Memory(code, line)
            }
            (Call::Read(_, offset) | Call::Write(_, offset, _), Kind::Register) => {
                let mut value = [0; 4];
                value.copy_from_slice(payload);
                Outcome::Register(if last & status::DENIED == 0 {
                    Ok(u32::from_le_bytes(value))
                } else {
                    Err(BusError::Denied { offset })
                })
            }
            _ => {
                self.error.get_or_insert(LinkError::WrongAnswer { kind });
                return;
            }
        };
        self.replies.push_back(Reply { id: flight.id, outcome });
    }

    fn greeted(&mut self, payload: &[u8]) {
        let [version, slots, board, flags, build @ ..] = payload else { return };
        if *version != serial::VERSION {
            let (theirs, ours) = (*version, serial::VERSION);
            self.error.get_or_insert(LinkError::Version { theirs, ours });
            return;
        }
        let Some(id) = BoardId::from_code(*board) else {
            self.error.get_or_insert(LinkError::UnknownBoard(*board));
            return;
        };
        let build = build.iter().rev().fold(0, |build, byte| build << 8 | u32::from(*byte));
        self.welcome = Some(Welcome {
            board: id,
            build,
            slots: (*slots).min(SLOTS as u8),
            memory_ready: flags & welcome::MEMORY_READY != 0,
            memory_failed: flags & welcome::MEMORY_FAILED != 0,
            own_monitor: flags & welcome::OWN_MONITOR != 0,
        });
    }

    /// How long an answer may take before its request is repeated.
    fn repeat_after(&self, tries: u32) -> u64 {
        let base = self.patience.repeat_us.max(2 * self.round_trip);
        // Several tries before the link counts as lost.
        (base << tries.saturating_sub(1).min(2)).min(self.patience.give_up_us / 8)
    }

    /// Appends the bytes to send now.
    pub fn bytes_out(&mut self, now: u64, out: &mut Vec<u8>) {
        if self.error.is_some() {
            return;
        }
        let asks = self.welcome.is_none() || self.flying > 0;
        if asks && now.saturating_sub(self.heard) > self.patience.give_up_us {
            self.error = Some(match (self.welcome, self.bytes) {
                (Some(_), _) => LinkError::Lost,
                (None, 0) => LinkError::Silent,
                (None, bytes) => LinkError::Garbage { bytes },
            });
            return;
        }
        let Some(welcome) = self.welcome else {
            let again = self.hello_sent.is_none_or(|then| now >= then + self.repeat_after(1));
            if again {
                if self.hello_sent.is_none() {
                    self.heard = now;
                }
                self.hello_sent = Some(now);
                put(out, Kind::Hello, [0, 0, self.session], &[]);
            }
            return;
        };
        for i in 0..usize::from(welcome.slots) {
            let Some(flight) = &self.slots[i].flight else { continue };
            // While frames come, a request may still stand in a queue: on a line that is slow beside its
            // window, copies would fill it, and each be late in turn.
            let quiet_since = flight.sent.max(self.heard);
            if flight.overtaken >= OVERTAKEN || now >= quiet_since + self.repeat_after(flight.tries)
            {
                let call = flight.call;
                self.counts.repeated += 1;
                self.send(i, call, out);
                let order = self.sends;
                self.sends += 1;
                if let Some(flight) = &mut self.slots[i].flight {
                    flight.sent = now;
                    flight.tries += 1;
                    (flight.order, flight.overtaken) = (order, 0);
                }
            }
        }
        let mut free: Vec<usize> =
            (0..usize::from(welcome.slots)).filter(|&i| self.slots[i].flight.is_none()).collect();
        let mut held: HashSet<(u16, u64)> = HashSet::new();
        let mut at = 0;
        while at < self.waiting.len().min(LOOK_AHEAD) && !free.is_empty() {
            let (id, call) = self.waiting[at];
            if let Call::Memory(request) = call {
                let line = line_of(&request);
                // Also behind another one that is held back.
                if self.lines.contains(&line) || !held.insert(line) {
                    held.insert(line);
                    at += 1;
                    continue;
                }
                self.lines.insert(line);
            }
            self.waiting.remove(at);
            let Some(slot) = free.pop() else { break };
            if self.flying == 0 {
                self.heard = now;
            }
            self.slots[slot].number = self.slots[slot].number.wrapping_add(1);
            let order = self.sends;
            self.sends += 1;
            self.slots[slot].flight =
                Some(Flight { id, call, first: now, sent: now, tries: 1, order, overtaken: 0 });
            self.flying += 1;
            self.counts.requests += 1;
            self.send(slot, call, out);
        }
    }

    fn send(&self, slot: usize, call: Call, out: &mut Vec<u8>) {
        let header = [slot as u8, self.slots[slot].number, self.session];
        match call {
            Call::Memory(request) => {
                let mut payload = [0; serial::PAYLOAD_BYTES];
                payload[..2].copy_from_slice(&request.pid.to_le_bytes());
                payload[2..8].copy_from_slice(&request.va.to_le_bytes()[..6]);
                payload[8..72].copy_from_slice(&request.data);
                payload[72..].copy_from_slice(&request.mask.to_le_bytes());
                let kind = match request.op {
                    Op::Read => Kind::Read,
                    Op::Write if request.mask == FULL_MASK => Kind::Write,
                    Op::Write => Kind::WriteMasked,
                    Op::FetchAdd => Kind::FetchAdd,
                    Op::CompareSwap => Kind::CompareSwap,
                };
                put(out, kind, header, &payload);
            }
            Call::Read(space, offset) => {
                put(out, Kind::RegisterRead, header, &space.address(offset).to_le_bytes());
            }
            Call::Write(space, offset, value) => {
                let mut payload = [0; 6];
                payload[..2].copy_from_slice(&space.address(offset).to_le_bytes());
                payload[2..].copy_from_slice(&value.to_le_bytes());
                put(out, Kind::RegisterWrite, header, &payload);
            }
        }
    }
}

/// The line that a request is about.
fn line_of(request: &Request) -> (u16, u64) {
    (request.pid, request.va & !(LINE_BYTES as u64 - 1))
}

fn put(out: &mut Vec<u8>, kind: Kind, header: [u8; 3], payload: &[u8]) {
    let mut frame = [0; 1 + serial::HEADER_BYTES + serial::PAYLOAD_BYTES + serial::CRC_BYTES];
    let length = serial::encode(&mut frame, kind, header, payload);
    out.extend_from_slice(&frame[..length]);
}

#[cfg(test)]
mod tests;
