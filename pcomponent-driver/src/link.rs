//! [`Link`]: one transport shared by many threads.
//!
//! A cache hands over [`Order`]s, each with what is to be done at its end. Whoever waits for
//! something drives the transport for all: there is no thread of the driver's own. What an order's
//! end changes is seen by waiting through the link's *epoch*: read [`Link::epoch`], look at the
//! state, and if it is not yet as wanted, [`Link::advance`] past the epoch and look again.
//!
//! The first [`TransportError`] of a submission or a poll ends the link: what is in flight and
//! whatever is submitted later is completed with that error.
//!
//! Lock order: the ends of orders run under the link's lock and may take the locks of cache sets;
//! so no cache calls the link while it holds a lock that an end takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use slab::Slab;
use splitmem_abi::geometry::LINE_BYTES;
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::Counter;
use splitmem_abi::request::Status;

use crate::error::MemoryError;
use crate::profile::delayed::wait_until;
use crate::transport::{
    Completion, Expected, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
    PAGE_BYTES,
};

/// How an order ended.
pub(crate) type Outcome = Result<Completion, Arc<TransportError>>;
/// What is done at an order's end. Runs under the link's lock and must not call the link.
pub(crate) type End = Box<dyn FnOnce(Outcome) + Send>;

/// Work for the component and what is done at its end.
pub(crate) struct Order {
    pub pid: u16,
    pub va: u64,
    pub work: Work,
    pub end: End,
}

struct State {
    transport: Box<dyn Transport>,
    /// Submissions that the transport had no room for, in order.
    backlog: VecDeque<Submission>,
    /// Everything in the backlog and in flight, by the submission's id: what is done at its end,
    /// and the bytes that it reads.
    ends: Slab<(End, usize)>,
    arrived: Vec<Completion>,
    dead: Option<Arc<TransportError>>,
}

impl State {
    /// Gives the backlog to the transport as far as it has room.
    fn send(&mut self) -> Result<(), TransportError> {
        if !self.backlog.is_empty() {
            self.transport.submit(&mut self.backlog)?;
        }
        Ok(())
    }

    /// Moves completions to `arrived`; with `wait`, at least one.
    fn receive(&mut self, wait: bool) -> Result<(), TransportError> {
        self.send()?;
        self.transport.poll(&mut self.arrived, wait)?;
        if wait && self.arrived.is_empty() && !self.ends.is_empty() {
            return Err(TransportError::Protocol(format!(
                "nothing arrives, with {} submissions in flight and {} not taken",
                self.ends.len() - self.backlog.len(),
                self.backlog.len(),
            )));
        }
        Ok(())
    }
}

/// A transport, shared.
pub(crate) struct Link {
    state: Mutex<State>,
    epoch: AtomicU64,
    changed: Condvar,
    pages_at_hand: bool,
}

/// The pages that a transport has at hand. None of them may be in an order that is in flight.
pub(crate) struct AtHand<'a> {
    transport: &'a mut dyn Transport,
    failed: Option<TransportError>,
}

impl AtHand<'_> {
    /// Hands a page's bytes to `take`; tells whether it took them.
    pub fn read(
        &mut self,
        pid: u16,
        va: u64,
        mut take: impl FnMut(&[u8; PAGE_BYTES]) -> bool,
    ) -> bool {
        let done = self.transport.read_page_now(pid, va, &mut take);
        self.kept(done)
    }

    /// Writes a page; tells whether it did.
    pub fn write(&mut self, pid: u16, va: u64, page: &[u8; PAGE_BYTES]) -> bool {
        let done = self.transport.write_page_now(pid, va, page);
        self.kept(done)
    }

    /// Keeps an error, with which the link then ends.
    fn kept(&mut self, done: Result<bool, TransportError>) -> bool {
        done.unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            false
        })
    }
}

impl Link {
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            pages_at_hand: transport.pages_at_hand(),
            state: Mutex::new(State {
                transport,
                backlog: VecDeque::new(),
                ends: Slab::new(),
                arrived: Vec::new(),
                dead: None,
            }),
            epoch: AtomicU64::new(0),
            changed: Condvar::new(),
        }
    }

    /// Counts changes that somebody may wait for.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Hands orders over, in their order. Returns without waiting for their ends.
    pub fn submit(&self, orders: impl IntoIterator<Item = Order>) {
        let mut orders = orders.into_iter().peekable();
        if orders.peek().is_none() {
            return;
        }
        let mut state = self.state.lock();
        if let Some(error) = state.dead.clone() {
            orders.for_each(|order| (order.end)(Err(Arc::clone(&error))));
            self.changed(&state);
            return;
        }
        for Order { pid, va, work, end } in orders {
            let id = state.ends.insert((end, bytes_read(&work))) as u64;
            state.backlog.push_back(Submission { id, pid, va, work });
        }
        let failed = state.send().err();
        self.settle(&mut state, failed);
        // Whoever found nothing in flight to wait for has something to drive now.
        self.changed.notify_all();
    }

    /// Reads a page if the transport has it without waiting; tells whether it did. `take` runs under
    /// the link's lock, like an order's end. No order for the page may be in flight.
    pub fn read_page_now(
        &self,
        pid: u16,
        va: u64,
        mut take: impl FnMut(&[u8; PAGE_BYTES]) -> bool,
    ) -> bool {
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return false;
        }
        match state.transport.read_page_now(pid, va, &mut take) {
            Ok(done) => {
                if done {
                    self.changed(&state);
                }
                done
            }
            Err(error) => {
                self.settle(&mut state, Some(error));
                false
            }
        }
    }

    /// Whether [`Self::with_pages_at_hand`] is the way to a page.
    pub fn pages_at_hand(&self) -> bool {
        self.pages_at_hand
    }

    /// Runs `work`, which may take the locks that the ends of orders take, with the pages that the
    /// transport has at hand; not on a link that has ended: `None`.
    pub fn with_pages_at_hand<R>(&self, work: impl FnOnce(&mut AtHand<'_>) -> R) -> Option<R> {
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return None;
        }
        let mut pages = AtHand { transport: &mut *state.transport, failed: None };
        let result = work(&mut pages);
        let failed = pages.failed;
        if failed.is_some() {
            self.settle(&mut state, failed);
        }
        Some(result)
    }

    /// Announces a page that [`Self::read_page_now`] will read; gives the time to wait for first.
    pub fn expect_page(&self) -> Option<Expected> {
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return None;
        }
        state.transport.expect_pages(1)
    }

    /// Returns when the epoch is past `seen`; drives the transport meanwhile.
    pub fn advance(&self, seen: u64) {
        let mut state = self.state.lock();
        while self.epoch() == seen {
            if state.ends.is_empty() {
                // What is waited for is in another thread's hands, which ends with `touch`.
                self.changed.wait(&mut state);
                continue;
            }
            self.drive(&mut state, false);
            match state.transport.ready_at() {
                // Others may submit meanwhile: what they want comes no later for our waiting.
                Some(at) => MutexGuard::unlocked(&mut state, || {
                    wait_until(at, || self.epoch() != seen);
                }),
                None if self.epoch() == seen => self.drive(&mut state, true),
                None => {}
            }
        }
    }

    /// Collects what has arrived, without waiting.
    pub fn poll(&self) {
        self.drive(&mut self.state.lock(), false);
    }

    /// Tells those who wait that something changed other than by an order's end.
    pub fn touch(&self) {
        self.changed(&self.state.lock());
    }

    fn changed(&self, _locked: &State) {
        self.epoch.fetch_add(1, Ordering::Release);
        self.changed.notify_all();
    }

    /// Submits the work and waits for all of it; completions in the order of the work.
    pub fn run(&self, work: Vec<(u16, u64, Work)>) -> Result<Vec<Completion>, MemoryError> {
        let results: Arc<Mutex<Vec<Option<Outcome>>>> =
            Arc::new(Mutex::new((0..work.len()).map(|_| None).collect()));
        let left = Arc::new(AtomicU64::new(work.len() as u64));
        self.submit(work.into_iter().enumerate().map(|(i, (pid, va, work))| {
            let (results, left) = (Arc::clone(&results), Arc::clone(&left));
            let end = Box::new(move |outcome| {
                results.lock()[i] = Some(outcome);
                left.fetch_sub(1, Ordering::Release);
            });
            Order { pid, va, work, end }
        }));
        self.wait_until(|| left.load(Ordering::Acquire) == 0);
        let mut results = results.lock();
        // Every slot is filled: `left` came to zero.
        results.drain(..).flatten().map(|outcome| outcome.map_err(MemoryError::from)).collect()
    }

    /// Drives the transport until `done`, which must become true by an order's end or a `touch`.
    pub fn wait_until(&self, mut done: impl FnMut() -> bool) {
        loop {
            let seen = self.epoch();
            if done() {
                return;
            }
            self.advance(seen);
        }
    }

    pub fn mailbox(&self, command: &Command) -> Result<MailboxReply, MemoryError> {
        let mut state = self.state.lock();
        if let Some(error) = &state.dead {
            return Err(Arc::clone(error).into());
        }
        state.transport.mailbox(command).map_err(|error| Arc::new(error).into())
    }

    pub fn counter(&self, counter: Counter) -> Result<u64, MemoryError> {
        self.state.lock().transport.counter(counter).map_err(|error| Arc::new(error).into())
    }

    pub fn info(&self) -> TransportInfo {
        self.state.lock().transport.info()
    }

    pub fn cycles(&self) -> Option<u64> {
        self.state.lock().transport.cycles()
    }

    fn drive(&self, state: &mut State, wait: bool) {
        let failed = state.receive(wait).err();
        self.settle(state, failed);
    }

    /// Runs the ends of what arrived, or, after an error, of everything.
    fn settle(&self, state: &mut State, failed: Option<TransportError>) {
        let mut failed = failed;
        let mut arrived = std::mem::take(&mut state.arrived);
        let mut changed = !arrived.is_empty();
        for completion in arrived.drain(..) {
            let known = state.ends.get(completion.id as usize).map(|(_, bytes)| *bytes);
            let bytes = if completion.status == Status::Ok { known.unwrap_or(0) } else { 0 };
            if known.is_none() || completion.data.len() != bytes {
                failed.get_or_insert(TransportError::Protocol(format!(
                    "{} bytes for submission {}, which reads {known:?}",
                    completion.data.len(),
                    completion.id,
                )));
                continue;
            }
            let (end, _) = state.ends.remove(completion.id as usize);
            end(Ok(completion));
        }
        state.arrived = arrived;
        if let Some(error) = failed {
            changed = true;
            let error = Arc::new(error);
            state.backlog.clear();
            for (end, _) in state.ends.drain() {
                end(Err(Arc::clone(&error)));
            }
            state.dead = Some(error);
        }
        if changed {
            self.changed(state);
        }
    }
}

/// Bytes in the completion of some work, if it ends well.
fn bytes_read(work: &Work) -> usize {
    match work {
        Work::ReadLine => LINE_BYTES,
        Work::ReadPage => PAGE_BYTES,
        Work::Atomic { .. } => 8,
        Work::WriteLine { .. } | Work::WritePage { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Completes what it gets at the next poll; breaks after `left` submissions.
    struct Echo {
        taken: Vec<Submission>,
        left: usize,
    }

    impl Transport for Echo {
        fn info(&self) -> TransportInfo {
            TransportInfo { name: "echo", clock_mhz: None, depth: 2 }
        }

        fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
            let count = batch.len().min(2 - self.taken.len());
            if count > self.left {
                return Err(TransportError::Gone("no more".into()));
            }
            self.left -= count;
            self.taken.extend(batch.drain(..count));
            Ok(count)
        }

        fn poll(
            &mut self,
            done: &mut Vec<Completion>,
            _wait: bool,
        ) -> Result<usize, TransportError> {
            done.extend(self.taken.drain(..).map(|submission| Completion {
                id: submission.id,
                status: Status::Ok,
                data: Vec::new(),
                cycles: None,
            }));
            Ok(done.len())
        }

        fn mailbox(&mut self, _: &Command) -> Result<MailboxReply, TransportError> {
            Err(TransportError::Timeout("ever".into()))
        }

        fn cycles(&self) -> Option<u64> {
            None
        }

        fn counter(&mut self, _: Counter) -> Result<u64, TransportError> {
            Ok(0)
        }
    }

    fn link(left: usize) -> Link {
        Link::new(Box::new(Echo { taken: Vec::new(), left }))
    }

    fn write() -> (u16, u64, Work) {
        (1, 0, Work::WriteLine { data: Box::new([0; LINE_BYTES]), mask: 1 })
    }

    #[test]
    fn more_work_than_there_is_room_for_is_done_too() {
        let done = link(100).run(vec![write(); 50]).unwrap();
        assert_eq!(done.len(), 50);
    }

    #[test]
    fn after_an_error_everything_ends_with_it() {
        let link = link(10);
        for _ in 0..3 {
            match link.run(vec![write(); 8]) {
                Ok(done) => assert_eq!(done.len(), 8),
                Err(MemoryError::Transport(error)) => {
                    assert!(matches!(*error, TransportError::Gone(_)), "{error}")
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(link.run(vec![write()]).is_err());
    }

    /// A thread that waits while nothing is in flight drives what another one then submits and
    /// leaves.
    #[test]
    fn a_waiting_thread_takes_over_what_others_submit() {
        let link = link(1);
        let (tell, told) = mpsc::channel();
        let seen = link.epoch();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                link.advance(seen);
                tell.send(()).unwrap();
            });
            // Long enough, as a rule, for the thread to go to sleep; if not, the test is weaker.
            std::thread::sleep(Duration::from_millis(50));
            let (pid, va, work) = write();
            link.submit([Order { pid, va, work, end: Box::new(|_| ()) }]);
            let woken = told.recv_timeout(Duration::from_secs(20));
            // Without this the scope would wait for ever.
            link.touch();
            assert!(woken.is_ok(), "the thread was not woken");
        });
    }
}
