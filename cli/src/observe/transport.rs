//! [`Observed`]: a [`Transport`] that passes everything on and keeps count.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pcomponent_driver::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
};
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::Counter;

use super::Latencies;

/// What the host waited for while cycles went by. The host's own work takes no simulated time: it
/// is between two cycles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// The memory monitor's answer: allocate, free, protect.
    Monitor,
    /// Lines or pages that were read, nothing being written.
    Reading,
    /// Lines or pages that were written, nothing being read.
    Writing,
    /// Both at once.
    Both,
    /// Nothing in flight.
    Idle,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Reading, Self::Both, Self::Writing, Self::Monitor, Self::Idle];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monitor => "memory monitor",
            Self::Reading => "fetching",
            Self::Writing => "writing back",
            Self::Both => "fetching and writing back",
            Self::Idle => "nothing in flight",
        }
    }
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    cycles: HashMap<&'static str, u64>,
    /// Latencies of submissions, from being taken to being answered.
    pub submissions: Latencies,
}

impl Observation {
    /// Cycles that went by during an activity.
    pub fn cycles(&self, activity: Activity) -> u64 {
        self.cycles.get(activity.name()).copied().unwrap_or(0)
    }

    /// Cycles in all.
    pub fn total(&self) -> u64 {
        self.cycles.values().sum()
    }
}

/// A transport that passes everything on and keeps count.
pub struct Observed {
    inner: Box<dyn Transport>,
    observation: Arc<Mutex<Observation>>,
    /// By the submission's id, which the driver keeps unique among what is in flight.
    in_flight: HashMap<u64, &'static str>,
    writes_in_flight: usize,
}

/// What was counted so far; to be looked at while the transport is elsewhere.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Mutex<Observation>>);

impl Observer {
    /// A copy of what was counted so far.
    pub fn observation(&self) -> Observation {
        lock(&self.0).clone()
    }
}

/// Counts are whole at any time: a thread that died holding them left nothing half done.
fn lock(observation: &Mutex<Observation>) -> MutexGuard<'_, Observation> {
    observation.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn name(work: &Work) -> &'static str {
    match work {
        Work::ReadLine => "line read",
        Work::WriteLine { .. } => "line write",
        Work::ReadPage => "page read",
        Work::WritePage { .. } => "page write",
        Work::Atomic { .. } => "atomic",
    }
}

fn is_write(name: &str) -> bool {
    name.ends_with("write")
}

impl Observed {
    /// Watches `inner` from now on.
    pub fn new(inner: Box<dyn Transport>) -> (Self, Observer) {
        let observation = Arc::new(Mutex::new(Observation::default()));
        let observer = Observer(Arc::clone(&observation));
        (Self { inner, observation, in_flight: HashMap::new(), writes_in_flight: 0 }, observer)
    }

    fn activity(&self) -> Activity {
        match (self.in_flight.len() - self.writes_in_flight, self.writes_in_flight) {
            (0, 0) => Activity::Idle,
            (_, 0) => Activity::Reading,
            (0, _) => Activity::Writing,
            _ => Activity::Both,
        }
    }

    /// Does something with the transport; the cycles that it takes are those of `activity`.
    fn during<R>(&mut self, activity: Activity, work: impl FnOnce(&mut dyn Transport) -> R) -> R {
        let before = self.inner.cycles();
        let result = work(&mut *self.inner);
        if let (Some(before), Some(after)) = (before, self.inner.cycles()) {
            *lock(&self.observation).cycles.entry(activity.name()).or_default() += after - before;
        }
        result
    }
}

impl Transport for Observed {
    fn info(&self) -> TransportInfo {
        self.inner.info()
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let names: Vec<_> = batch.iter().map(|s| (s.id, name(&s.work))).collect();
        let result = self.during(self.activity(), |inner| inner.submit(batch));
        // Also after an error: what was taken before it is in flight.
        for (id, name) in &names[..names.len() - batch.len()] {
            self.in_flight.insert(*id, name);
            self.writes_in_flight += usize::from(is_write(name));
        }
        result
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        let old = done.len();
        let result = self.during(self.activity(), |inner| inner.poll(done, wait));
        for completion in &done[old..] {
            if let Some(name) = self.in_flight.remove(&completion.id) {
                self.writes_in_flight -= usize::from(is_write(name));
                if let Some(cycles) = completion.cycles {
                    lock(&self.observation).submissions.record(name, cycles);
                }
            }
        }
        result
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        self.during(Activity::Monitor, |inner| inner.mailbox(command))
    }

    fn cycles(&self) -> Option<u64> {
        self.inner.cycles()
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        self.during(Activity::Idle, |inner| inner.counter(counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcomponent_driver::transport::PAGE_BYTES;
    use splitmem_abi::mailbox::ReturnCode;
    use splitmem_abi::regs::MAILBOX_WORDS;
    use splitmem_abi::request::Status;

    /// Takes two submissions; a read is done after 10 cycles, a write after 100, one at a time; a
    /// command takes 1000.
    #[derive(Default)]
    struct Clockwork {
        cycles: u64,
        queue: VecDeque<Submission>,
    }

    impl Transport for Clockwork {
        fn info(&self) -> TransportInfo {
            TransportInfo { name: "clockwork", clock_mhz: None, depth: 2 }
        }

        fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
            let room = (2 - self.queue.len()).min(batch.len());
            self.queue.extend(batch.drain(..room));
            Ok(room)
        }

        fn poll(&mut self, done: &mut Vec<Completion>, _: bool) -> Result<usize, TransportError> {
            let Some(next) = self.queue.pop_front() else { return Ok(0) };
            let cycles = if is_write(name(&next.work)) { 100 } else { 10 };
            self.cycles += cycles;
            let (id, status) = (next.id, Status::Ok);
            done.push(Completion { id, status, data: Vec::new(), cycles: Some(cycles) });
            Ok(1)
        }

        fn mailbox(&mut self, _: &Command) -> Result<MailboxReply, TransportError> {
            self.cycles += 1000;
            let payload = Box::new([0; MAILBOX_WORDS]);
            Ok(MailboxReply { code: ReturnCode::Success, payload })
        }

        fn cycles(&self) -> Option<u64> {
            Some(self.cycles)
        }

        fn counter(&mut self, _: Counter) -> Result<u64, TransportError> {
            Ok(0)
        }
    }

    #[test]
    fn cycles_go_to_what_was_in_flight() {
        let (mut observed, observer) = Observed::new(Box::<Clockwork>::default());
        let work = |id, work| Submission { id, pid: 1, va: 0, work };
        let page = || Work::WritePage { data: Box::new([0; PAGE_BYTES]) };
        let mut batch: VecDeque<_> =
            [work(1, Work::ReadPage), work(2, page()), work(3, Work::ReadLine)].into();
        let mut done = Vec::new();
        observed.mailbox(&Command::Info).unwrap();
        assert_eq!(observed.submit(&mut batch).unwrap(), 2);
        observed.poll(&mut done, true).unwrap(); // read beside a write: 10 cycles
        observed.poll(&mut done, true).unwrap(); // the write alone: 100
        observed.submit(&mut batch).unwrap();
        observed.poll(&mut done, true).unwrap(); // a read alone: 10
        observed.poll(&mut done, true).unwrap(); // nothing
        let seen = observer.observation();
        let cycles = Activity::ALL.map(|activity| (activity, seen.cycles(activity)));
        let expected = [
            (Activity::Reading, 10),
            (Activity::Both, 10),
            (Activity::Writing, 100),
            (Activity::Monitor, 1000),
            (Activity::Idle, 0),
        ];
        assert_eq!(cycles, expected);
        assert_eq!(Some(seen.total()), observed.cycles());
        let rows: Vec<_> =
            seen.submissions.rows().iter().map(|r| (r[0].clone(), r[7].clone())).collect();
        let row = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            rows,
            [row("page read", "10"), row("page write", "100"), row("line read", "10")]
        );
    }
}
