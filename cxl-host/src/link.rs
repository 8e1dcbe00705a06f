//! [`Link`]: one end of a link of 68-byte flits (section 4.2.8): credits, acknowledgements, the retry
//! buffer, and the two state machines that resend what was hit by an error.
//!
//! It is the model that a hardware link layer is to be tested against, and the host's end of that
//! test. Time is counted in flits: [`Link::transmit`] gives the flit of this flit time, if there is
//! one, [`Link::receive`] takes the one that arrived.
//!
//! Two things the text leaves open, and what is done here: a RETRY.Req or RETRY.Ack counts only right
//! behind at least four RETRY.Frame, since up to three all-data flits in a row could look like
//! anything; and credits are returned only by whole powers of two, the rest with a later flit.

use std::collections::VecDeque;

use crate::flit::{
    Control, Credit, Direction, Flit, FlitError, Header, PackError, Packer, Received, RetryAck,
    RetryRequest, Unpacker,
};
use crate::message::Message;

/// Flits that the retry buffer holds; sequence numbers wrap there.
pub const BUFFER: u8 = 64;
/// Messages of each kind that the receiver holds.
pub const ROOM: u16 = 64;
/// RETRY.Frame before a RETRY.Req or RETRY.Ack; all but one of them must arrive.
const FRAMES: u32 = 5;
/// Acknowledgements that are sent by themselves.
const FORCE_ACKS: u8 = 16;
/// Flit times that acknowledgements and credits may wait.
const FLUSH: u32 = 32;
/// Flit times after which a request counts as lost.
const TIMEOUT: u32 = 4096;
/// Where sequence numbers wrap until INIT.Param says it (4.2.7).
const WRAP_BEFORE_INIT: u8 = 9;
/// Requests before the physical layer is trained again, and trainings before the link is given up.
const MOST_RETRIES: u8 = 10;

/// The state of the machine that asks for flits again (LRSM, table 4-13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Local {
    /// Flits are taken.
    Normal,
    /// A request is to be sent.
    Request,
    /// A request was sent, its acknowledgement is waited for.
    Idle,
    /// Given up: the link is down.
    Abort,
}

/// An error that no retry heals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A flit of right CRC that cannot be.
    #[error(transparent)]
    Flit(#[from] FlitError),
    /// Something came before INIT.Param, or a second one.
    #[error("the other end did not begin with one INIT.Param")]
    Init,
    /// More messages than credits were given for.
    #[error("more messages came than there were credits for")]
    Overflow,
    /// More flits were acknowledged than sent.
    #[error("more flits were acknowledged than sent")]
    Acknowledged,
    /// The other end asks for a flit that is not in the buffer any more.
    #[error("flit {0} was asked for, which is not in the retry buffer")]
    Forgotten(u8),
    /// Too many retries.
    #[error("the link was given up after too many retries")]
    Abort,
}

/// A flit in the retry buffer.
#[derive(Clone, Copy, Debug)]
struct Kept {
    flit: Flit,
    /// It has no header, and must follow the one before it at once.
    all_data: bool,
}

/// What is sent in one piece: frames, then a request or an acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    frames: u32,
    last: Control,
}

/// Counts for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkCounts {
    /// Flits sent, replays and control flits too.
    pub sent: u64,
    /// Of which were sent before.
    pub replayed: u64,
    /// Flits dropped for their CRC.
    pub corrupt: u64,
    /// Requests for a retry.
    pub requests: u64,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    packer: Packer,
    unpacker: Unpacker,
    incoming: Direction,
    // Sending.
    queue: VecDeque<Message>,
    /// Credits for messages without data, and with.
    credits: [u16; 2],
    buffer: VecDeque<Kept>,
    /// Sequence number of the buffer's first flit.
    oldest: u8,
    /// Place in the buffer of the next flit to be sent again; the buffer's length if there is none.
    replay: usize,
    sequence: Option<Sequence>,
    /// The other end's request, to be acknowledged.
    asked: Option<RetryRequest>,
    init_sent: bool,
    // Receiving.
    /// A clean flit came: the other end is there.
    heard: bool,
    local: Local,
    init_seen: bool,
    /// Sequence number of the next good flit, and where it wraps.
    expected: u8,
    wrap: u8,
    retries: u8,
    trainings: u8,
    waited: u32,
    frames: u32,
    inbox: VecDeque<Message>,
    // To be returned.
    acks: u8,
    owed: [u16; 2],
    flush: u32,
    counts: LinkCounts,
}

impl Link {
    /// One end; it sends flits that go `outgoing`.
    pub fn new(outgoing: Direction) -> Self {
        Self {
            packer: Packer::new(outgoing, false),
            unpacker: Unpacker::new(outgoing.other(), false),
            incoming: outgoing.other(),
            queue: VecDeque::new(),
            credits: [0; 2],
            buffer: VecDeque::new(),
            oldest: 0,
            replay: 0,
            sequence: None,
            asked: None,
            init_sent: false,
            heard: false,
            local: Local::Normal,
            init_seen: false,
            expected: 0,
            wrap: WRAP_BEFORE_INIT,
            retries: 0,
            trainings: 0,
            waited: 0,
            frames: 0,
            inbox: VecDeque::new(),
            acks: 0,
            owed: [ROOM; 2],
            flush: 0,
            counts: LinkCounts::default(),
        }
    }

    /// Queues a message to be sent.
    ///
    /// # Errors
    /// [`PackError`] if it goes the other way.
    pub fn send(&mut self, message: Message) -> Result<(), PackError> {
        let outgoing = self.incoming.other();
        if !outgoing.carries(&message) {
            return Err(PackError(outgoing));
        }
        self.queue.push_back(message);
        Ok(())
    }

    /// The oldest message that arrived.
    pub fn take(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        self.owed[kind(&message)] += 1;
        Some(message)
    }

    /// Messages that are not on their way yet.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.packer.waiting()
    }

    /// State of the machine that asks for flits again.
    pub fn local(&self) -> Local {
        self.local
    }

    /// What was counted.
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// The flit of this flit time.
    pub fn transmit(&mut self) -> Option<Flit> {
        let flit = self.choose();
        self.counts.sent += u64::from(flit.is_some());
        if self.local == Local::Idle {
            self.waited += 1;
            if self.waited >= TIMEOUT {
                self.ask();
            }
        }
        let pending = self.acks > 1 || self.owed.iter().any(|&owed| owed > 0);
        self.flush = if pending { self.flush + 1 } else { 0 };
        flit
    }

    /// The physical layer was trained again: flits on their way may be lost, so that everything from
    /// the expected one on is asked for, and nothing is acknowledged that was asked before (4.2.8.6).
    pub fn reinit(&mut self) {
        if self.local != Local::Abort {
            self.local = Local::Request;
            (self.retries, self.frames, self.waited) = (0, 0, 0);
            (self.sequence, self.asked) = (None, None);
        }
    }

    fn choose(&mut self) -> Option<Flit> {
        if self.local == Local::Abort {
            return None;
        }
        if let Some(sequence) = &mut self.sequence {
            if sequence.frames > 0 {
                sequence.frames -= 1;
                return Some(Control::RetryFrame.to_flit(Header::default()));
            }
            let last = sequence.last;
            self.sequence = None;
            match last {
                // Only now: a run that was under way when the request came had to end first.
                Control::RetryAck(ack) => {
                    self.asked = None;
                    self.replay = self.place(ack.sequence);
                }
                _ => (self.local, self.waited) = (Local::Idle, 0),
            }
            return Some(last.to_flit(Header::default()));
        }
        // All-data flits follow at once: nothing comes between.
        let replaying = self.buffer.get(self.replay).copied();
        let run = match replaying {
            Some(kept) => kept.all_data,
            None => self.packer.is_all_data(),
        };
        if !run {
            if let Some(asked) = self.asked {
                return Some(self.begin(self.acknowledgement(asked)));
            }
            if self.local == Local::Request {
                self.counts.requests += 1;
                self.retries += 1;
                return Some(self.begin(Control::RetryRequest(RetryRequest {
                    sequence: self.expected,
                    retries: self.retries,
                    retrains: self.trainings,
                })));
            }
        }
        if let Some(kept) = replaying {
            self.replay += 1;
            self.counts.replayed += 1;
            return Some(kept.flit);
        }
        self.fresh()
    }

    /// Begins a sequence: its first frame.
    fn begin(&mut self, last: Control) -> Flit {
        self.sequence = Some(Sequence { frames: FRAMES - 1, last });
        Control::RetryFrame.to_flit(Header::default())
    }

    fn acknowledgement(&self, asked: RetryRequest) -> Control {
        Control::RetryAck(RetryAck {
            empty: self.place(asked.sequence) == self.buffer.len(),
            viral: false,
            retries: asked.retries,
            write_pointer: (self.oldest + self.buffer.len() as u8) % BUFFER,
            sequence: asked.sequence,
            free: BUFFER - self.buffer.len() as u8,
        })
    }

    /// Where a sequence number stands in the retry buffer.
    fn place(&self, sequence: u8) -> usize {
        usize::from((sequence % BUFFER + BUFFER - self.oldest) % BUFFER)
    }

    /// A flit that was never sent, kept for the other end to ask for again.
    fn fresh(&mut self) -> Option<Flit> {
        let free = usize::from(BUFFER) - self.buffer.len();
        // Until the other end was heard, it may not listen yet.
        if !self.heard {
            return Some(Control::RetryIdle.to_flit(Header::default()));
        }
        if !self.init_sent {
            self.init_sent = true;
            let flit = Control::InitParam { wrap: BUFFER }.to_flit(Header::default());
            return Some(self.keep(flit, false));
        }
        if self.packer.is_all_data() {
            // There is room: the flit that announced the data saw to that.
            let flit = self.packer.flit(Header::default());
            return Some(self.keep(flit, true));
        }
        // Room for a flit and all-data flits behind it.
        let room = free > 6;
        if room {
            self.pack();
        }
        let starving = self.acks >= FORCE_ACKS || self.flush >= FLUSH;
        if room && !self.packer.is_empty() {
            let mut header = self.credits();
            header.ack = self.acks >= 8;
            self.acks -= if header.ack { 8 } else { 0 };
            let flit = self.packer.flit(header);
            return Some(self.keep(flit, false));
        }
        // The last place but one is for a flit that frees places at the other end (4.2.8.1).
        let fits = free > 2 || free == 2 && self.acks > 0;
        if starving && fits && self.packer.is_empty() {
            let header = self.credits();
            let flit = Control::Ack { acks: self.acks }.to_flit(header);
            (self.acks, self.flush) = (0, 0);
            return Some(self.keep(flit, false));
        }
        // While an answer is waited for, flit times pass.
        (self.local == Local::Idle).then(|| Control::RetryIdle.to_flit(Header::default()))
    }

    fn keep(&mut self, flit: Flit, all_data: bool) -> Flit {
        self.buffer.push_back(Kept { flit, all_data });
        self.replay = self.buffer.len();
        flit
    }

    /// Hands messages to the packer as far as there are credits: a flit's worth, so that the rest
    /// waits here and not there.
    fn pack(&mut self) {
        while self.packer.waiting() < 4 {
            let Some(message) = self.queue.front() else { return };
            let credit = &mut self.credits[kind(message)];
            if *credit == 0 {
                return;
            }
            *credit -= 1;
            // `send` saw to the direction.
            if self.packer.push(message).is_err() {
                return;
            }
            self.queue.pop_front();
        }
    }

    /// A header that returns as many credits as it can.
    fn credits(&mut self) -> Header {
        let [plain, data] = self.owed.map(Credit::of);
        self.owed[0] -= plain.count();
        self.owed[1] -= data.count();
        let mut header = Header { data_credit: data, ..Header::default() };
        match self.incoming {
            Direction::ToDevice => header.request_credit = plain,
            Direction::ToHost => header.response_credit = plain,
        }
        header
    }

    /// Takes the flit that arrived in this flit time.
    ///
    /// # Errors
    /// [`LinkError`]; the link is of no use after it.
    pub fn receive(&mut self, flit: &Flit) -> Result<(), LinkError> {
        if !flit.is_intact() {
            self.counts.corrupt += 1;
            self.frames = 0;
            if self.local == Local::Normal {
                self.local = Local::Request;
            }
            return self.alive();
        }
        self.heard = true;
        let data = self.local == Local::Normal && self.unpacker.expects_all_data();
        if !data && flit.header().control {
            match Control::from_flit(flit) {
                Ok(control) if !control.is_retryable() => {
                    self.retry(control)?;
                    return self.alive();
                }
                // In the middle of a loss anything may look like a control flit.
                Err(error) if self.local == Local::Normal => {
                    return Err(FlitError::Control(error).into())
                }
                _ => {}
            }
        }
        self.frames = 0;
        if self.local == Local::Normal {
            self.accept(flit)?;
        }
        self.alive()
    }

    fn alive(&self) -> Result<(), LinkError> {
        if self.local == Local::Abort {
            return Err(LinkError::Abort);
        }
        Ok(())
    }

    /// A flit of the retry protocol.
    fn retry(&mut self, control: Control) -> Result<(), LinkError> {
        let framed = self.frames >= FRAMES - 1;
        self.frames = if control == Control::RetryFrame { self.frames + 1 } else { 0 };
        match control {
            Control::RetryRequest(request) if framed => {
                if self.place(request.sequence) > self.buffer.len() {
                    return Err(LinkError::Forgotten(request.sequence));
                }
                self.asked = Some(request);
                // An acknowledgement that was begun would be of another state.
                if matches!(self.sequence, Some(Sequence { last: Control::RetryAck(_), .. })) {
                    self.sequence = None;
                }
            }
            Control::RetryAck(ack)
                if framed && self.local == Local::Idle && ack.retries == self.retries =>
            {
                self.local = Local::Normal;
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks again, or trains, or gives up.
    fn ask(&mut self) {
        self.local = Local::Request;
        self.waited = 0;
        if self.retries >= MOST_RETRIES {
            self.retries = 0;
            self.trainings += 1;
            if self.trainings > MOST_RETRIES {
                self.local = Local::Abort;
            }
        }
    }

    /// A good flit, in its order.
    fn accept(&mut self, flit: &Flit) -> Result<(), LinkError> {
        let received = self.unpacker.flit(flit)?;
        let init = matches!(received, Received::Control(_, Control::InitParam { .. }));
        if init == self.init_seen {
            return Err(LinkError::Init);
        }
        self.expected = (self.expected + 1) % self.wrap;
        self.acks = self.acks.saturating_add(1);
        (self.retries, self.trainings) = (0, 0);
        match received {
            Received::Control(_, Control::InitParam { wrap }) => {
                self.init_seen = true;
                self.wrap = wrap.max(1);
            }
            Received::Control(header, Control::Ack { acks }) => {
                self.acknowledged(acks)?;
                self.credited(header);
            }
            Received::Control(..) => {}
            Received::Messages(header, messages) => {
                if let Some(header) = header {
                    self.acknowledged(if header.ack { 8 } else { 0 })?;
                    self.credited(header);
                }
                for message in messages {
                    let held = self.inbox.iter().filter(|m| kind(m) == kind(&message)).count();
                    if held >= usize::from(ROOM) {
                        return Err(LinkError::Overflow);
                    }
                    self.inbox.push_back(message);
                }
            }
        }
        Ok(())
    }

    fn acknowledged(&mut self, count: u8) -> Result<(), LinkError> {
        if usize::from(count) > self.buffer.len() {
            return Err(LinkError::Acknowledged);
        }
        self.buffer.drain(..usize::from(count));
        self.oldest = (self.oldest + count) % BUFFER;
        self.replay = self.replay.saturating_sub(count.into());
        Ok(())
    }

    fn credited(&mut self, header: Header) {
        let plain = match self.incoming {
            Direction::ToHost => header.request_credit,
            Direction::ToDevice => header.response_credit,
        };
        self.credits[0] = self.credits[0].saturating_add(plain.count());
        self.credits[1] = self.credits[1].saturating_add(header.data_credit.count());
    }
}

/// 0 for a message without data, 1 for one with.
fn kind(message: &Message) -> usize {
    usize::from(matches!(message, Message::Rwd(_) | Message::Drs(_)))
}
