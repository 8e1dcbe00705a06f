//! [`Delayed`]: a transport with the timing of a [`Profile`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;
use slab::Slab;
use splitmem_abi::geometry::LINE_BYTES;
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::Counter;

use super::queue::DeviceQueue;
use super::Profile;
use crate::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
    PAGE_BYTES,
};

/// What time it is.
trait Clock: Send {
    /// Picoseconds since the beginning.
    fn now(&self) -> u64;
    /// Returns at this time, or later.
    fn wait_until(&self, at: u64);
    /// The time as the host's.
    fn instant(&self, at: u64) -> Option<Instant>;
}

/// The host's monotonic clock.
struct Monotonic(Instant);

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64 * 1000
    }

    fn wait_until(&self, at: u64) {
        if let Some(at) = self.instant(at) {
            wait_until(at, || false);
        }
    }

    fn instant(&self, at: u64) -> Option<Instant> {
        self.0.checked_add(Duration::from_nanos(at.div_ceil(1000)))
    }
}

/// Waits this much less than it should by sleeping: a sleep is that late at times.
const SLEEP_LATE: Duration = Duration::from_micros(100);

/// A page of an idle device that takes no longer is waited for where it is asked for: the way over
/// a submission alone would take the host as long.
const AT_ONCE_NS: f64 = 1000.0;

/// Returns at a time, or once `over` says so. A short wait spins on the clock, because a sleeping
/// thread would come back tens of microseconds late.
pub(crate) fn wait_until(at: Instant, mut over: impl FnMut() -> bool) {
    loop {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() || over() {
            return;
        }
        if left > 2 * SLEEP_LATE {
            std::thread::sleep((left - SLEEP_LATE).min(SLEEP_LATE));
        } else {
            std::hint::spin_loop();
        }
    }
}

/// How well delays were kept, over the reads so far. Somebody waits for a read; a write that nobody
/// waits for is collected when the next one comes to look, and that says nothing of the delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DelayStats {
    /// Reads (and atomics) completed.
    pub requests: u64,
    /// Mean nanoseconds from submission to completion that the profile asks for.
    pub modelled_ns: f64,
    /// Mean nanoseconds that it took.
    pub achieved_ns: f64,
}

impl DelayStats {
    /// By how much of it the achieved mean is off; `None` without requests.
    pub fn error(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.achieved_ns / self.modelled_ns - 1.0)
    }
}

#[derive(Default)]
struct Totals {
    requests: u64,
    modelled_ps: u64,
    achieved_ps: u64,
}

impl Totals {
    /// A request that came, was due, and was handed over at these times.
    fn count(&mut self, came: u64, due: u64, over: u64) {
        self.requests += 1;
        self.modelled_ps += due - came;
        self.achieved_ps += over - came;
    }
}

/// A submission in the transport behind.
struct Flying {
    /// The caller's name for it.
    id: u64,
    came: u64,
    due: u64,
    read: bool,
}

/// A completion that waits for its time; ordered by it, then by arrival.
struct Held {
    due: u64,
    order: u64,
    came: u64,
    read: bool,
    completion: Completion,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// A transport whose completions come when a device with a [`Profile`]'s timing would give them,
/// queueing included; never sooner, and later only if the transport behind it takes longer by itself.
///
/// A request's time begins when it is submitted, so the work of the golden model is a part of the
/// delay and does not add to it. Mailbox commands and counters are not delayed: they are not on the
/// path of data.
///
/// ```
/// use pcomponent_driver::backend::model::ModelTransport;
/// use pcomponent_driver::profile::{Delayed, Profile};
/// use pcomponent_driver::{config::CacheConfig, HwConfig, RemoteMemory};
///
/// let far = Delayed::new(ModelTransport::new(HwConfig::SMALL)?, &Profile::network());
/// let stats = far.stats();
/// let memory = RemoteMemory::connect(far, 1, CacheConfig::None)?;
/// memory.alloc::<u64>(512)?.get(3)?;
/// assert_eq!(stats.get().requests, 1);
/// assert!(stats.get().achieved_ns >= 2000.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Delayed<T> {
    inner: T,
    queue: DeviceQueue,
    /// Whether pages are given at once, see [`AT_ONCE_NS`].
    at_once: bool,
    clock: Box<dyn Clock>,
    flying: Slab<Flying>,
    held: BinaryHeap<Reverse<Held>>,
    /// Completions held so far.
    order: u64,
    /// For one submission on its way in, and for completions on their way out.
    one: VecDeque<Submission>,
    arrived: Vec<Completion>,
    totals: DelayMeter,
}

/// Reads the [`DelayStats`] of a [`Delayed`] that somebody else owns by now.
#[derive(Clone, Default)]
pub struct DelayMeter(std::sync::Arc<parking_lot::Mutex<Totals>>);

impl DelayMeter {
    /// Forgets what was measured so far: a program that fills its memory is slowed by the host that
    /// has to find it, not by the device.
    pub fn reset(&self) {
        *self.0.lock() = Totals::default();
    }

    /// As they are now.
    pub fn get(&self) -> DelayStats {
        let totals = self.0.lock();
        let mean = |ps: u64| ps as f64 / 1000.0 / totals.requests.max(1) as f64;
        DelayStats {
            requests: totals.requests,
            modelled_ns: mean(totals.modelled_ps),
            achieved_ns: mean(totals.achieved_ps),
        }
    }
}

impl<T: Transport> Delayed<T> {
    /// Gives a transport the timing of a profile, from now on.
    pub fn new(inner: T, profile: &Profile) -> Self {
        Self::with_clock(inner, profile, Box::new(Monotonic(Instant::now())))
    }

    fn with_clock(inner: T, profile: &Profile, clock: Box<dyn Clock>) -> Self {
        Self {
            inner,
            queue: DeviceQueue::new(profile),
            at_once: profile.idle_ns(PAGE_BYTES) <= AT_ONCE_NS,
            clock,
            flying: Slab::new(),
            held: BinaryHeap::new(),
            order: 0,
            one: VecDeque::new(),
            arrived: Vec::new(),
            totals: DelayMeter::default(),
        }
    }

    /// How well delays are kept.
    pub fn stats(&self) -> DelayMeter {
        self.totals.clone()
    }

    /// Takes what the transport behind has finished.
    fn collect(&mut self, wait: bool) -> Result<(), TransportError> {
        self.inner.poll(&mut self.arrived, wait)?;
        for mut completion in self.arrived.drain(..) {
            let Some(Flying { id, came, due, read }) =
                self.flying.try_remove(completion.id as usize)
            else {
                let message = format!("a completion of submission {}", completion.id);
                return Err(TransportError::Protocol(message));
            };
            completion.id = id;
            self.held.push(Reverse(Held { due, order: self.order, came, read, completion }));
            self.order += 1;
        }
        Ok(())
    }

    /// Hands over what is due.
    fn release(&mut self, done: &mut Vec<Completion>) -> usize {
        if self.held.is_empty() {
            return 0;
        }
        let now = self.clock.now();
        let mut totals = self.totals.0.lock();
        let mut count = 0;
        while self.held.peek().is_some_and(|Reverse(held)| held.due <= now) {
            let Some(Reverse(held)) = self.held.pop() else { break };
            if held.read {
                totals.count(held.came, held.due, now);
            }
            done.push(held.completion);
            count += 1;
        }
        count
    }
}

/// Bytes that a submission moves over the device's channel.
fn bytes(work: &Work) -> usize {
    match work {
        Work::ReadLine | Work::WriteLine { .. } | Work::Atomic { .. } => LINE_BYTES,
        Work::ReadPage | Work::WritePage { .. } => PAGE_BYTES,
    }
}

impl<T: Transport> Transport for Delayed<T> {
    fn info(&self) -> TransportInfo {
        self.inner.info()
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let came = self.clock.now();
        let mut count = 0;
        while let Some(mut submission) = batch.pop_front() {
            let (id, size) = (submission.id, bytes(&submission.work));
            let read = !matches!(submission.work, Work::WriteLine { .. } | Work::WritePage { .. });
            let key = self.flying.insert(Flying { id, came, due: came, read });
            submission.id = key as u64;
            self.one.push_back(submission);
            let taken = self.inner.submit(&mut self.one);
            if let Some(mut back) = self.one.pop_front() {
                back.id = id;
                batch.push_front(back);
                self.flying.remove(key);
                taken?;
                break;
            }
            self.flying[key].due = self.queue.arrive(came, size);
            taken?;
            count += 1;
        }
        Ok(count)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        self.collect(false)?;
        let mut count = self.release(done);
        while wait && count == 0 {
            match self.held.peek() {
                Some(Reverse(first)) => self.clock.wait_until(first.due),
                None if self.flying.is_empty() => break,
                None => {}
            }
            // Only if nothing waits for its time may the transport behind take its own.
            self.collect(self.held.is_empty())?;
            count = self.release(done);
        }
        Ok(count)
    }

    /// For devices so fast that a caller waits for them on the spot; the others' pages are submitted.
    fn read_page_now(
        &mut self,
        pid: u16,
        va: u64,
        take: &mut dyn FnMut(&[u8; PAGE_BYTES]),
    ) -> Result<bool, TransportError> {
        let came = self.clock.now();
        if !self.at_once || !self.inner.read_page_now(pid, va, take)? {
            return Ok(false);
        }
        let due = self.queue.arrive(came, PAGE_BYTES);
        self.clock.wait_until(due);
        let now = self.clock.now();
        self.totals.0.lock().count(came, due, now);
        Ok(true)
    }

    fn ready_at(&self) -> Option<Instant> {
        let Reverse(first) = self.held.peek()?;
        self.clock.instant(first.due)
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        self.inner.mailbox(command)
    }

    fn cycles(&self) -> Option<u64> {
        self.inner.cycles()
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        self.inner.counter(counter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;

    use splitmem_abi::request::Status;

    use super::*;

    /// A clock that only waiting moves.
    #[derive(Clone, Default)]
    struct Virtual(Arc<AtomicU64>);

    impl Clock for Virtual {
        fn now(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
        fn wait_until(&self, at: u64) {
            self.0.fetch_max(at, Ordering::Relaxed);
        }
        fn instant(&self, _: u64) -> Option<Instant> {
            None
        }
    }

    /// Completes at once, the youngest first, up to some at a time.
    struct AtOnce {
        done: Vec<Completion>,
        depth: usize,
    }

    impl Transport for AtOnce {
        fn info(&self) -> TransportInfo {
            TransportInfo { name: "at once", clock_mhz: None, depth: self.depth }
        }
        fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
            let count = batch.len().min(self.depth - self.done.len());
            for Submission { id, va, .. } in batch.drain(..count) {
                if va == 1 {
                    return Err(TransportError::Gone("as asked".into()));
                }
                let completion =
                    Completion { id, status: Status::Ok, data: vec![va as u8], cycles: None };
                self.done.insert(0, completion);
            }
            Ok(count)
        }
        fn poll(&mut self, done: &mut Vec<Completion>, _: bool) -> Result<usize, TransportError> {
            done.append(&mut self.done);
            Ok(done.len())
        }
        fn read_page_now(
            &mut self,
            _: u16,
            va: u64,
            take: &mut dyn FnMut(&[u8; PAGE_BYTES]),
        ) -> Result<bool, TransportError> {
            take(&[va as u8; PAGE_BYTES]);
            Ok(true)
        }
        fn mailbox(&mut self, _: &Command) -> Result<MailboxReply, TransportError> {
            Err(TransportError::Timeout("ever".into()))
        }
        fn cycles(&self) -> Option<u64> {
            None
        }
        fn counter(&mut self, _: Counter) -> Result<u64, TransportError> {
            Ok(7)
        }
    }

    fn device(depth: usize) -> (Delayed<AtOnce>, Virtual) {
        let profile = Profile {
            base_latency_ns: 100.0,
            bandwidth_gb_per_s: 64.0,
            request_overhead_ns: 9.0,
            ..Profile::cxl()
        };
        let clock = Virtual::default();
        let inner = AtOnce { done: Vec::new(), depth };
        (Delayed::with_clock(inner, &profile, Box::new(clock.clone())), clock)
    }

    fn line(id: u64, va: u64) -> Submission {
        Submission { id, pid: 1, va, work: Work::ReadLine }
    }

    #[test]
    fn completions_come_at_their_time_in_their_order() {
        let (mut device, clock) = device(8);
        let page = Submission { id: 5, pid: 1, va: 64, work: Work::ReadPage };
        let mut batch = VecDeque::from([line(5, 0), page, line(6, 128)]);
        assert_eq!(device.submit(&mut batch).unwrap(), 3);
        let mut done = Vec::new();
        assert_eq!(device.poll(&mut done, false).unwrap(), 0, "nothing is due");
        let mut seen = Vec::new();
        while device.poll(&mut done, true).unwrap() > 0 {
            seen.extend(done.drain(..).map(|c| (clock.now() / 1000, c.id, c.data[0])));
        }
        // 10 ns on the channel, then 73, then 10; names as the caller gave them, twice the same.
        assert_eq!(seen, [(110, 5, 0), (183, 5, 64), (193, 6, 128)]);
        let stats = device.stats().get();
        assert_eq!((stats.requests, stats.achieved_ns), (3, 162.0));
        assert_eq!(stats.error(), Some(0.0));
    }

    #[test]
    fn what_is_not_taken_stays_and_is_not_charged() {
        let (mut device, clock) = device(2);
        let mut batch: VecDeque<_> = (0..5).map(|id| line(id, 0)).collect();
        assert_eq!(device.submit(&mut batch).unwrap(), 2);
        assert_eq!(batch.iter().map(|s| s.id).collect::<Vec<_>>(), [2, 3, 4]);
        let mut done = Vec::new();
        device.poll(&mut done, true).unwrap();
        assert_eq!((done.len(), clock.now()), (1, 110_000));
        assert_eq!(device.submit(&mut batch).unwrap(), 2);
        done.clear();
        while device.poll(&mut done, true).unwrap() > 0 {}
        assert_eq!(done.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(clock.now(), 230_000);
    }

    #[test]
    fn a_page_at_once_waits_on_the_spot_and_on_a_busy_channel() {
        let (mut device, clock) = device(8);
        let mut seen = Vec::new();
        let mut read = |device: &mut Delayed<AtOnce>, va| {
            device.read_page_now(1, va, &mut |page| seen.push(page[0])).unwrap()
        };
        assert!(read(&mut device, 7));
        assert_eq!(clock.now(), 173_000);
        // A line is on the channel from here to 183: the page comes 73 + 100 after that.
        device.submit(&mut VecDeque::from([line(0, 0)])).unwrap();
        assert!(read(&mut device, 8));
        assert_eq!(clock.now(), (173 + 10 + 73 + 100) * 1000);
        device.at_once = false;
        assert!(!read(&mut device, 9));
        assert_eq!(seen, [7, 8]);
        assert_eq!(device.stats().get().requests, 2);
    }

    #[test]
    fn errors_behind_come_through() {
        let (mut device, _) = device(4);
        let mut batch = VecDeque::from([line(0, 0), line(1, 1)]);
        assert!(matches!(device.submit(&mut batch), Err(TransportError::Gone(_))));
        assert_eq!(device.counter(Counter::Reads).unwrap(), 7);
        assert!(device.mailbox(&Command::Info).is_err());
    }
}
