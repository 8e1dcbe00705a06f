//! The Verilated component behind its Verilated CXL.mem device, in this process.
//!
//! Lines go as a host's home agent sends them: MemRd, MemWr and MemWrPtl messages to host physical
//! addresses, through the device's HDM decoder and window table. What CXL.mem has not, a host makes
//! up for, and so does this:
//!
//! | missing | instead |
//! | --- | --- |
//! | order of messages to one line | one message per line in flight |
//! | a word for a fault | the device's event log, looked at while its interrupt is up |
//! | atomics | the line is read, changed and written back while nothing else goes to it |
//! | pid and virtual address | windows of 256 MiB, set on demand, the one unused longest replaced |
//!
//! The monitor and the counters are reached through the component's registers (CXL.io).

use std::collections::{HashMap, HashSet, VecDeque};

use pcomponent_driver::backend::mailbox;
use pcomponent_driver::backend::tags::InFlight;
use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo,
};
use splitmem_abi::config::PORTS;
use splitmem_abi::cxl::{self, Denial, Event, Window, WordBus as _, WINDOWS, WINDOW_SHIFT};
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::Counter;
use splitmem_abi::request::{Op, Request, Response, Status};
use splitmem_cxl_host::message::Message;
use splitmem_cxl_host::requester::{Access, Outcome, Requester};
use verilator_tb::cxl::{CxlComponent, CxlFront, LinkOptions};
use verilator_tb::dram::LineMemory;
use verilator_tb::{ComponentError, Machine, Side};

/// Submissions in flight before no more are taken.
const DEPTH: usize = 256;
/// Messages kept ready at the device, so that it never waits for the host.
const AHEAD: usize = 2;
/// Messages in flight; the device holds 64.
const TAGS: u16 = 128;
/// The same over a link, which has room for more of them before the device: its event log holds 64.
const LINK_TAGS: u16 = 64;
/// Cycles that pass when a caller looks for completions without waiting.
const GLANCE: u64 = 16;
/// Cycles without any progress after which the component counts as dead; see `rtl`.
const PATIENCE: u64 = 4_000_000;
/// Cycles between looks at the mailbox.
const MAILBOX_PERIOD: u64 = 32;
/// Where the host sees the device.
const HPA: u64 = 1 << 36;

/// A request whose messages are under way.
struct Flying {
    request: Request,
    slot: usize,
    /// An atomic's old value, once its line was read.
    old: Option<u64>,
}

/// What a slot of the aperture shows, and how much is in flight through it.
#[derive(Clone, Copy, Default)]
struct Slot {
    shows: Option<(u16, u64)>,
    flying: usize,
    used: u64,
}

/// A simulated component behind CXL.mem. See the module's documentation.
pub struct CxlSimTransport<M: LineMemory> {
    dut: CxlComponent<Machine<M>>,
    clock_mhz: f64,
    jobs: InFlight,
    done: VecDeque<Completion>,
    requester: Requester,
    /// By the request's tag.
    flying: HashMap<u64, Flying>,
    /// Lines with a message in flight.
    busy: HashSet<(u16, u64)>,
    slots: [Slot; WINDOWS],
    /// What the event log said of a message, by the message's tag.
    denied: HashMap<u16, Denial>,
    sent: u64,
}

impl<M: LineMemory> CxlSimTransport<M> {
    /// Over a machine whose monitor is up. `clock_mhz` turns its cycles into time. With a `link`,
    /// messages go through the device's link layer.
    ///
    /// # Errors
    /// [`ComponentError`] if the device cannot be simulated, or does not let its decoder be
    /// committed.
    pub fn new(
        machine: Machine<M>,
        clock_mhz: f64,
        link: Option<LinkOptions>,
    ) -> Result<Self, ComponentError> {
        let tags = if link.is_some() { LINK_TAGS } else { TAGS };
        let front = match link {
            Some(link) => CxlFront::linked(link)?,
            None => CxlFront::new()?,
        };
        let mut dut = CxlComponent::new(machine, front);
        dut.commit(HPA, cxl::APERTURE)?;
        Ok(Self {
            dut,
            clock_mhz,
            jobs: InFlight::default(),
            done: VecDeque::new(),
            requester: Requester::new(tags),
            flying: HashMap::new(),
            busy: HashSet::new(),
            slots: [Slot::default(); WINDOWS],
            denied: HashMap::new(),
            sent: 0,
        })
    }

    /// The slot that shows an address, set if need be; `None` while all are in use.
    fn slot(&mut self, pid: u16, va: u64) -> Result<Option<usize>, TransportError> {
        let shows = Some((pid, va >> WINDOW_SHIFT));
        if let Some(slot) = self.slots.iter().position(|slot| slot.shows == shows) {
            return Ok(Some(slot));
        }
        let unused = self.slots.iter().enumerate().filter(|(_, slot)| slot.flying == 0);
        let Some(slot) = unused.min_by_key(|(_, slot)| slot.used).map(|(i, _)| i) else {
            return Ok(None);
        };
        let va = va >> WINDOW_SHIFT << WINDOW_SHIFT;
        let window = Window { pid, va, bytes: 1 << WINDOW_SHIFT, read: true, write: true };
        self.dut.show(slot as u32, &window).map_err(mailbox::broken)?;
        self.slots[slot].shows = shows;
        Ok(Some(slot))
    }

    /// Gives the device messages, as far as it keeps up.
    fn feed(&mut self) -> Result<(), TransportError> {
        for port in 0..PORTS {
            while self.dut.front().queued() < AHEAD && self.requester.room() > 0 {
                let Some(request) = self.jobs.offer(port).copied() else { break };
                if self.busy.contains(&line_of(&request)) {
                    break;
                }
                let Some(slot) = self.slot(request.pid, request.va)? else { break };
                self.jobs.sent(port);
                self.busy.insert(line_of(&request));
                self.slots[slot].flying += 1;
                self.sent += 1;
                self.slots[slot].used = self.sent;
                let access = match request.op {
                    Op::Write => Access::Write { data: request.data, mask: request.mask },
                    _ => Access::Read,
                };
                self.flying.insert(request.tag.into(), Flying { request, slot, old: None });
                self.ask(&request, slot, access)?;
            }
        }
        Ok(())
    }

    /// Sends a request's message.
    fn ask(
        &mut self,
        request: &Request,
        slot: usize,
        access: Access,
    ) -> Result<(), TransportError> {
        let hpa =
            HPA + ((slot as u64) << WINDOW_SHIFT) + (request.va & ((1 << WINDOW_SHIFT) - 1) & !63);
        let message = self.requester.ask(request.tag.into(), hpa, access);
        let message = message.map_err(|e| TransportError::Protocol(e.to_string()))?;
        self.dut.front().send(&message);
        Ok(())
    }

    /// One clock cycle: messages out, answers in.
    fn tick(&mut self) -> Result<(), TransportError> {
        // While there are events nothing new is sent, so that the log holds all that may come.
        if self.dut.front().irq() {
            self.take_events()?;
        }
        self.feed()?;
        self.dut.tick();
        if self.dut.front().irq() {
            self.take_events()?;
        }
        while let Some(taken) = self.dut.front().receive() {
            self.answer(&taken.message)?;
        }
        Ok(())
    }

    /// Empties the event log. An event is in it before its answer leaves the device.
    fn take_events(&mut self) -> Result<(), TransportError> {
        let mut monitor = self.dut.words(Side::Monitor);
        loop {
            let count = monitor.read_word(cxl::EVENT_COUNT).map_err(mailbox::broken)?;
            if count >> 8 != 0 {
                return Err(TransportError::Protocol("the device lost events".into()));
            }
            if count == 0 {
                return Ok(());
            }
            let mut words = [0; 3];
            for (i, word) in (0..).zip(&mut words) {
                *word = monitor.read_word(cxl::EVENT + 4 * i).map_err(mailbox::broken)?;
            }
            monitor.write_word(cxl::EVENT_POP, 0).map_err(mailbox::broken)?;
            let event = Event::decode(words);
            let event = event.ok_or_else(|| {
                TransportError::Protocol(format!("an event that cannot be: {words:x?}"))
            })?;
            self.denied.insert(event.tag, event.denial);
        }
    }

    fn answer(&mut self, message: &Message) -> Result<(), TransportError> {
        let tag = match message {
            Message::Ndr(ndr) => ndr.tag,
            Message::Drs(drs) => drs.tag,
            Message::Req(_) | Message::Rwd(_) => {
                return Err(TransportError::Protocol("the device sent a request".into()))
            }
        };
        let protocol = |why: String| TransportError::Protocol(why);
        let (id, outcome) =
            self.requester.answer(message).map_err(|error| protocol(error.to_string()))?;
        let Some(mut flying) = self.flying.remove(&id) else {
            return Err(protocol(format!("an answer to {id}, which is not in flight")));
        };
        let status = match (self.denied.remove(&tag), &outcome) {
            (Some(denial), _) => status_of(denial),
            (None, Outcome::Poisoned | Outcome::NoMemory) => Status::Uncorrectable,
            (None, Outcome::Read(_) | Outcome::Written) => Status::Ok,
        };
        let request = flying.request;
        let mut data = match outcome {
            Outcome::Read(data) if status == Status::Ok => data,
            _ => [0; 64],
        };
        if request.op.is_atomic() && status == Status::Ok {
            match flying.old {
                Some(old) => data[..8].copy_from_slice(&old.to_le_bytes()),
                None => {
                    let (old, new) = modify(&request, &data);
                    let place = (request.va & 63) as usize;
                    // A comparison that fails writes nothing, and needs the right to write all the
                    // same: as on a host, whose line is its own before it compares.
                    let mask = if new.is_some() { 0xff << place } else { 0 };
                    data[place..place + 8].copy_from_slice(&new.unwrap_or(old).to_le_bytes());
                    flying.old = Some(old);
                    let slot = flying.slot;
                    self.flying.insert(id, flying);
                    return self.ask(&request, slot, Access::Write { data, mask });
                }
            }
        }
        self.slots[flying.slot].flying -= 1;
        self.busy.remove(&line_of(&request));
        let now = Some(self.dut.inner().cycle());
        let response = Response { tag: request.tag, status, data };
        self.done.extend(self.jobs.answer(&response, now)?);
        Ok(())
    }

    /// Lets cycles pass until `over` says so.
    fn tick_until(
        &mut self,
        what: &str,
        mut over: impl FnMut(&mut Self) -> Result<bool, TransportError>,
    ) -> Result<(), TransportError> {
        let patience = self.dut.inner().cycle() + PATIENCE;
        while !over(self)? {
            if self.dut.inner().cycle() > patience {
                return Err(TransportError::Timeout(format!("{PATIENCE} cycles, {what}")));
            }
            self.tick()?;
            if self.dut.inner().cycle() % 4096 == 0 {
                self.check()?;
            }
        }
        Ok(())
    }

    /// Whether component and monitor are still well.
    fn check(&mut self) -> Result<(), TransportError> {
        if let Some(why) = self.dut.front().link_failure() {
            return Err(TransportError::Gone(why.to_owned()));
        }
        let machine = self.dut.inner();
        if let Some(fault) = machine.component().fault() {
            return Err(TransportError::Protocol(fault.to_owned()));
        }
        match machine.monitor_failure() {
            Some(why) => Err(TransportError::Gone(format!("its monitor stopped: {why}"))),
            None => Ok(()),
        }
    }
}

fn line_of(request: &Request) -> (u16, u64) {
    (request.pid, request.va & !63)
}

/// What a native port would have answered.
fn status_of(denial: Denial) -> Status {
    match denial {
        Denial::Status(status) => status,
        Denial::NotDecoded | Denial::NoWindow => Status::NotMapped,
        Denial::WindowPermission => Status::NoPermission,
        Denial::Poisoned => Status::Uncorrectable,
    }
}

/// An atomic's old value, and the new one if there is one.
fn modify(request: &Request, line: &[u8; 64]) -> (u64, Option<u64>) {
    let word =
        |bytes: &[u8; 64], at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let old = word(line, (request.va & 63) as usize);
    let operand = word(&request.data, 0);
    match request.op {
        Op::FetchAdd => (old, Some(old.wrapping_add(operand))),
        _ => (old, (old == word(&request.data, 8)).then_some(operand)),
    }
}

impl<M: LineMemory + Send> Transport for CxlSimTransport<M> {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "cxl-sim", clock_mhz: Some(self.clock_mhz), depth: DEPTH }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let room = DEPTH.saturating_sub(self.jobs.len()).min(batch.len());
        let now = self.dut.inner().cycle();
        for submission in batch.drain(..room) {
            self.jobs.submit(submission, Some(now))?;
        }
        Ok(room)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        if wait {
            self.tick_until(
                "no completion",
                |sim| Ok(!sim.done.is_empty() || sim.jobs.is_empty()),
            )?;
        } else if !self.jobs.is_empty() {
            for _ in 0..GLANCE {
                self.tick()?;
            }
        }
        let count = self.done.len();
        done.extend(self.done.drain(..));
        Ok(count)
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        mailbox::send(&mut self.dut.inner().host(), command)?;
        let mut reply = None;
        self.tick_until("no reply of the monitor", |sim| {
            if sim.dut.inner().cycle() % MAILBOX_PERIOD == 0 {
                reply = mailbox::receive(&mut sim.dut.inner().host())?;
            }
            Ok(reply.is_some())
        })?;
        reply.ok_or_else(|| TransportError::Timeout("the monitor's patience".into()))
    }

    fn cycles(&self) -> Option<u64> {
        Some(self.dut.joined().cycle())
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        mailbox::counter(&mut self.dut.inner().host(), counter)
    }
}
