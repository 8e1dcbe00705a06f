//! Compares what the component does with what the model does, cycle by cycle.

use super::history::{at, op_name, status_name, Event as Past};
use super::{Lockstep, Wrong};
use crate::component::{DramOffer, Retired};
use crate::port::{Answer, RawRequest};
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::{page_key, PageSize, LINE_SHIFT};
use splitmem_abi::request::{Op, Response, Status};
use splitmem_model::{Choice, Mark};
use std::collections::{HashMap, HashSet, VecDeque};

/// An event that the log must tell, without its cycle: status, op, port, pid, va.
pub(super) type ExpectedEvent = (u8, u8, u8, u16, u64);

/// A request between its sending and its answer.
struct Flight {
    request: RawRequest,
    port: u8,
    /// Index of its page in the world, if it is one of those.
    page: Option<usize>,
    /// Order and cycle of acceptance.
    accepted: Option<(u64, u64)>,
    /// Frames of the page's size that had been pushed when it was accepted.
    pushed: u64,
    /// What the model says, since it took effect.
    expected: Option<Response>,
}

/// An answer "no memory" that is right only if requests in flight turn out to have taken all
/// frames that the model still has.
struct Obligation {
    /// Frames that must still turn out to be taken.
    need: u64,
    /// Requests that may have taken them, by order of acceptance, and their pages.
    takers: Vec<(u64, (u16, u64))>,
    page: (u16, u64),
}

/// State of the comparison.
#[derive(Default)]
pub(super) struct Checker {
    /// Port and tag of each flight.
    keys: Vec<u32>,
    flights: Vec<Flight>,
    accepted: u64,
    /// The ports may accept.
    pub enabled: bool,
    /// Requests in flight to pages outside the world.
    pub wild: u32,
    /// Frames handed to the component, by size.
    pub pushed: [u64; 2],
    /// Frames that came out of it again: granted to first writes, or popped.
    pub taken: [u64; 2],
    obligations: Vec<Obligation>,
    /// Table writes that are over, and the acceptances before their end.
    inserts: VecDeque<Mark>,
    /// How many of them stood when the shootdown under way began.
    inserts_shot: usize,
    /// Events to come, with their number.
    pub events: HashMap<ExpectedEvent, u64>,
    pub errors: u64,
    /// Buckets that are poisoned, with the pages that no TLB can hold since then.
    pub poisoned_buckets: HashMap<u64, HashSet<(u16, u64)>>,
}

impl Checker {
    fn key(port: u8, tag: u16) -> u32 {
        u32::from(port) << 16 | u32::from(tag)
    }

    fn find(&self, port: u8, tag: u16) -> Option<usize> {
        let key = Self::key(port, tag);
        self.keys.iter().position(|&k| k == key)
    }

    /// Whether a tag is free at a port.
    pub fn is_free(&self, port: u8, tag: u16) -> bool {
        self.find(port, tag).is_none()
    }

    /// A request was put into a port's queue.
    pub fn sent(&mut self, port: u8, request: RawRequest, page: Option<usize>) {
        self.keys.push(Self::key(port, request.tag));
        self.flights.push(Flight {
            request,
            port,
            page,
            accepted: None,
            pushed: 0,
            expected: None,
        });
        self.wild += u32::from(page.is_none());
    }

    /// A table write is over in the hardware. A request may still join a walk that began before it,
    /// and miss a new entry, until a shootdown that begins now is complete.
    pub fn table_written(&mut self, mark: Mark) {
        self.inserts.push_back(mark);
    }

    /// A shootdown begins: it ends the walks that began before the table writes so far.
    pub fn shootdown_begins(&mut self) {
        self.inserts_shot = self.inserts.len();
    }

    /// It is complete: the table writes that no request can miss any more.
    pub fn shootdown_ends(&mut self) -> Option<Mark> {
        self.inserts.drain(..std::mem::take(&mut self.inserts_shot)).next_back()
    }
}

/// Index of a size in arrays by size.
pub(super) fn by_size(size: PageSize) -> usize {
    match size {
        PageSize::Small => 0,
        PageSize::Huge => 1,
    }
}

impl Lockstep {
    /// Checks what was seen in the last cycle.
    pub(super) fn check_cycle(&mut self) -> Result<(), Wrong> {
        if let Some(fault) = self.component.fault() {
            return Err(Wrong::new(fault));
        }
        if let Some(violation) = self.component.memory().violation() {
            return Err(Wrong::new(violation));
        }
        let seen = *self.component.seen();
        if let Some(offer) = seen.dram.filter(|offer| offer.accepted) {
            self.check_dram(&offer)?;
        }
        for (port, accepted) in seen.accepted.iter().enumerate() {
            if let Some(request) = accepted {
                self.check_accepted(port as u8, request)?;
            }
        }
        if let Some(retired) = seen.retired {
            self.check_retired(retired)?;
        }
        for port in 0..seen.answered.len() {
            if let Some(answer) = self.component.port(port).receive() {
                self.check_answer(port as u8, &answer)?;
            }
        }
        Ok(())
    }

    /// Each part of the component keeps to its own region of the memory.
    fn check_dram(&self, offer: &DramOffer) -> Result<(), Wrong> {
        let in_table = self.world.in_table(offer.line);
        let right = match TagClass::of(offer.tag) {
            Some(TagClass::Walk) => in_table && !offer.write,
            Some(TagClass::PteWrite) => in_table && offer.write,
            Some(TagClass::Table) => in_table,
            Some(TagClass::Zero) => !in_table && offer.write,
            Some(TagClass::Data) => !in_table,
            Some(TagClass::AtomicWrite) => !in_table && offer.write,
            None => false,
        };
        if right {
            return Ok(());
        }
        let DramOffer { tag, write, line, .. } = *offer;
        Err(Wrong::new(format!(
            "DRAM command outside its owner's region: tag {tag:#05x}, write {write}, line {line:#x}"
        )))
    }

    fn check_accepted(&mut self, port: u8, request: &RawRequest) -> Result<(), Wrong> {
        let RawRequest { op, tag, pid, va, mask, .. } = *request;
        let cycle = self.component.cycle();
        self.history.add(cycle, Past::Accepted { port, tag, op, pid, va, mask });
        let checker = &mut self.checker;
        if !checker.enabled {
            return Err(Wrong::at(
                pid,
                va,
                "a request was accepted while CONTROL.ENABLE was clear",
            ));
        }
        let Some(i) = checker.find(port, tag) else {
            return Err(Wrong::at(
                pid,
                va,
                format!("port {port} accepted an unknown tag {tag:#06x}"),
            ));
        };
        let same = |flight: &&Flight| {
            flight.accepted.is_some()
                && flight.expected.is_none()
                && flight.request.pid == pid
                && flight.request.va >> LINE_SHIFT == va >> LINE_SHIFT
        };
        self.summary.same_line += u64::from(checker.flights.iter().any(|flight| same(&flight)));
        self.summary.huge += u64::from(PageSize::of(va) == PageSize::Huge);
        self.summary.by_op[usize::from(op).min(4)] += 1;
        checker.accepted += 1;
        let flight = &mut checker.flights[i];
        flight.accepted = Some((checker.accepted, cycle));
        flight.pushed = checker.pushed[by_size(PageSize::of(va))];
        Ok(())
    }

    fn check_retired(&mut self, retired: Retired) -> Result<(), Wrong> {
        let Retired { port, tag, status } = retired;
        let Some(i) = self.checker.find(port, tag) else {
            return Err(Wrong::new(format!("port {port} retired an unknown tag {tag:#06x}")));
        };
        let flight = &self.checker.flights[i];
        let request = flight.request;
        let RawRequest { op, pid, va, .. } = request;
        let cycle = self.component.cycle();
        self.history.add(cycle, Past::Retired { port, tag, status, pid, va });
        let wrong = |what: String| Wrong::at(pid, va, what);
        let Some((order, accepted_at)) = flight.accepted else {
            return Err(wrong(format!("tag {tag:#06x} was retired before it was accepted")));
        };
        if flight.expected.is_some() {
            return Err(wrong(format!("tag {tag:#06x} was retired twice")));
        }
        let Some(status) = Status::from_code(status) else {
            return Err(wrong(format!("tag {tag:#06x} was retired with unknown status {status}")));
        };
        if status == Status::Ok {
            self.check_order(order, accepted_at, &request)?;
        } else {
            let event = (status as u8, op, port, pid, va);
            *self.checker.events.entry(event).or_default() += 1;
            self.checker.errors += 1;
        }

        let faults = self.summary.faults;
        let response = self.follow(port, order, status, &request)?;
        self.checker.flights[i].expected = Some(response);
        self.summary.by_status[status as usize] += 1;
        self.check_obligations(order, page_of(&request), self.summary.faults > faults)
    }

    /// Two requests of one pid to one line take effect in the order of their acceptance.
    fn check_order(&self, order: u64, accepted_at: u64, request: &RawRequest) -> Result<(), Wrong> {
        let RawRequest { pid, va, .. } = *request;
        let overtaken = self.checker.flights.iter().find(|flight| {
            let same_line = flight.request.va >> LINE_SHIFT == va >> LINE_SHIFT;
            flight.request.pid == pid
                && same_line
                && flight.expected.is_none()
                // Two ports that accept in one cycle have no order.
                && flight.accepted.is_some_and(|(o, cycle)| o < order && cycle < accepted_at)
        });
        match overtaken {
            // Whoever fails has no effect that could come too late.
            Some(other) if self.must_fail(&other.request) => Ok(()),
            Some(other) => Err(Wrong::at(
                pid,
                va,
                format!(
                    "port {} tag {:#06x} was overtaken by a later request to its line",
                    other.port, other.request.tag
                ),
            )),
            None => Ok(()),
        }
    }

    /// Whether the model says that the request cannot succeed.
    fn must_fail(&self, request: &RawRequest) -> bool {
        let raw = raw(request);
        let replaced = self.model.replaced(request.pid, request.va);
        let choices = std::iter::once(Choice::Current).chain((0..replaced).map(Choice::Replaced));
        choices.into_iter().all(|choice| self.model.peek_status(&raw, choice) != Status::Ok)
    }

    /// Lets the model execute the request so that it ends with `status`, if it may.
    fn follow(
        &mut self,
        port: u8,
        order: u64,
        status: Status,
        request: &RawRequest,
    ) -> Result<Response, Wrong> {
        let RawRequest { op, pid, va, .. } = *request;
        let raw = raw(request);
        let now = self.model.peek_status(&raw, Choice::Current);
        if now == status {
            return Ok(self.execute(port, request, Choice::Current));
        }
        let replaced = self.model.replaced(pid, va);
        for choice in (0..replaced).map(Choice::Replaced) {
            if self.model.peek_status(&raw, choice) == status {
                self.summary.stale += 1;
                return Ok(self.execute(port, request, choice));
            }
        }
        // A translation that the TLB still held needs no walk, and so meets no poison in the bucket.
        if now == Status::Uncorrectable && self.may_be_cached(pid, va) {
            if let Some(response) = self.follow_cached(port, status, request) {
                return Ok(response);
            }
        }
        let failed = Response { tag: request.tag, status, data: [0; 64] };
        if status == Status::NoMemory && self.oblige(order, request) {
            return Ok(failed);
        }
        let mut allowed = vec![status_name(now as u8)];
        for choice in (0..replaced).map(Choice::Replaced) {
            allowed.push(status_name(self.model.peek_status(&raw, choice) as u8));
        }
        Err(Wrong::at(
            pid,
            va,
            format!(
                "{} of port {port} tag {:#06x}, {}, was retired with {status:?}; the model says {}",
                op_name(op),
                request.tag,
                at(pid, va),
                allowed.join(" or "),
            ),
        ))
    }

    fn execute(&mut self, port: u8, request: &RawRequest, choice: Choice) -> Response {
        let size = PageSize::of(request.va);
        let writes = Op::from_code(request.op).is_some_and(Op::writes);
        let before = if writes { self.model_pending(size) } else { 0 };
        let response = self.model.request_as(port, &raw(request), choice);
        if writes {
            let taken = u64::from(before - self.model_pending(size));
            self.checker.taken[by_size(size)] += taken;
            self.summary.faults += taken;
        }
        response
    }

    fn may_be_cached(&self, pid: u16, va: u64) -> bool {
        let line = self.world.bucket_line(pid, va);
        let shot = self.checker.poisoned_buckets.get(&line);
        shot.is_some_and(|pages| !pages.contains(&(pid, page_key(va))))
    }

    /// Executes with the bucket healed for the moment.
    fn follow_cached(
        &mut self,
        port: u8,
        status: Status,
        request: &RawRequest,
    ) -> Option<Response> {
        let line = self.model.bucket_line(request.pid, request.va);
        self.heal_model(line);
        let same = self.model.peek_status(&raw(request), Choice::Current) == status;
        let response = same.then(|| self.execute(port, request, Choice::Current));
        self.model.poison(line);
        response
    }

    /// Takes the poison from a line of the model.
    pub(super) fn heal_model(&mut self, line: u64) {
        let mut bytes = [0; 64];
        self.model.read_physical(line << LINE_SHIFT, &mut bytes);
        self.model.write_physical(line << LINE_SHIFT, &bytes);
    }

    /// The model has a frame and the hardware says it has none. That is right if, at some time
    /// since the request was accepted, all frames pushed by then were taken; some perhaps by
    /// requests that have not taken effect yet. False if it cannot be.
    fn oblige(&mut self, order: u64, request: &RawRequest) -> bool {
        let size = PageSize::of(request.va);
        let Some(i) =
            self.checker.flights.iter().position(|f| f.accepted.map(|a| a.0) == Some(order))
        else {
            return false;
        };
        let raw = raw(request);
        let replaced = self.model.replaced(request.pid, request.va);
        let first_write = |choice| {
            let status = self.model.peek_status(&raw, choice);
            let present = self.model.line_of(request.pid, request.va).is_some();
            matches!(status, Status::Ok | Status::NoMemory) && !present
        };
        let mut choices =
            std::iter::once(Choice::Current).chain((0..replaced).map(Choice::Replaced));
        if !Op::from_code(request.op).is_some_and(Op::writes) || !choices.any(first_write) {
            return false;
        }
        let checker = &mut self.checker;
        let need = checker.flights[i].pushed.saturating_sub(checker.taken[by_size(size)]);
        if need > 0 {
            let takers = checker
                .flights
                .iter()
                .filter(|f| {
                    f.expected.is_none()
                        && PageSize::of(f.request.va) == size
                        && Op::from_code(f.request.op).is_some_and(Op::writes)
                })
                .filter_map(|f| Some((f.accepted?.0, page_of(&f.request))))
                .filter(|&(o, _)| o != order)
                .collect();
            let page = (request.pid, request.va);
            checker.obligations.push(Obligation { need, takers, page });
        }
        true
    }

    /// A request took effect, with or without taking a frame: settles what waits for it.
    ///
    /// The page of `order` took its frame now as far as the model knows. In the hardware it was the
    /// page's first write, which may still be on its way to the DRAM while a later one is done.
    fn check_obligations(&mut self, order: u64, page: (u16, u64), took: bool) -> Result<(), Wrong> {
        if self.checker.obligations.is_empty() {
            return Ok(());
        }
        for obligation in &mut self.checker.obligations {
            let took = took && obligation.takers.iter().any(|&(o, p)| o == order || p == page);
            obligation.takers.retain(|&(taker, _)| taker != order);
            if took {
                obligation.need = obligation.need.saturating_sub(1);
            }
            if obligation.need > obligation.takers.len() as u64 {
                let (pid, va) = obligation.page;
                let what = format!(
                    "answered no memory although {} more frames were pending than were taken",
                    obligation.need
                );
                return Err(Wrong::at(pid, va, what));
            }
        }
        self.checker.obligations.retain(|obligation| obligation.need > 0);
        Ok(())
    }

    fn check_answer(&mut self, port: u8, answer: &Answer) -> Result<(), Wrong> {
        let Response { tag, status, .. } = answer.response;
        let Some(i) = self.checker.find(port, tag) else {
            return Err(Wrong::new(format!("port {port} answered an unknown tag {tag:#06x}")));
        };
        self.checker.keys.swap_remove(i);
        let flight = self.checker.flights.swap_remove(i);
        let RawRequest { op, pid, va, .. } = flight.request;
        let status_code = status as u8;
        let cycle = self.component.cycle();
        self.history.add(cycle, Past::Answered { port, tag, status: status_code, pid, va });
        match flight.page {
            Some(page) => self.world.pages[page].in_flight -= 1,
            None => self.checker.wild -= 1,
        }
        self.summary.requests += 1;
        match flight.expected {
            Some(expected) if expected == answer.response => Ok(()),
            Some(expected) => Err(Wrong::at(
                pid,
                va,
                format!(
                    "{} of port {port} tag {tag:#06x}, {}, answered\n  {status:?} {}\nthe model says\n  {:?} {}",
                    op_name(op),
                    at(pid, va),
                    hex(&answer.response.data),
                    expected.status,
                    hex(&expected.data),
                ),
            )),
            None => Err(Wrong::at(
                pid,
                va,
                format!("port {port} tag {tag:#06x} was answered before it took effect"),
            )),
        }
    }

    /// The model's count of frames pushed and not yet granted.
    pub(super) fn model_pending(&mut self, size: PageSize) -> u32 {
        use splitmem_abi::bus::RegisterBus;
        let register = match size {
            PageSize::Small => splitmem_abi::regs::PENDING_4K,
            PageSize::Huge => splitmem_abi::regs::PENDING_2M,
        };
        // The monitor may always read it.
        self.model.monitor().read(register.offset).unwrap_or(0)
    }
}

/// The request in the model's words.
/// The page of a request.
fn page_of(r: &RawRequest) -> (u16, u64) {
    (r.pid, page_key(r.va))
}

fn raw(r: &RawRequest) -> splitmem_model::RawRequest {
    splitmem_model::RawRequest {
        op: r.op,
        tag: r.tag,
        pid: r.pid,
        va: r.va,
        mask: r.mask,
        data: r.data,
    }
}

fn hex(line: &[u8; 64]) -> String {
    line.chunks(8)
        .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}
