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

/// Pages written at once that the device need not have taken yet before the next one waits.
const POSTED: usize = 256;

/// Half of what a look at the clock takes: who looks again comes later than who does not.
const HALF_A_LOOK: Duration = Duration::from_nanos(15);

/// Returns at a time, or once `over` says so. A short wait spins on the clock, because a sleeping
/// thread would come back tens of microseconds late.
/// Gives the time that it was.
pub(crate) fn wait_until(at: Instant, mut over: impl FnMut() -> bool) -> Instant {
    loop {
        let now = Instant::now();
        let left = at.saturating_duration_since(now);
        if left < HALF_A_LOOK || over() {
            return now;
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
    /// Requests whose wait the machine interrupted: over by 10 us or more, as when another program gets
    /// the processor meanwhile.
    pub interrupted: u64,
    /// Mean nanoseconds that the others took, beyond what the profile asks for.
    pub late_ns: f64,
}

/// Later than this a wait was interrupted: ten times what the slowest request of a host's own takes.
const INTERRUPTED_PS: u64 = 10_000_000;

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
    interrupted: u64,
    late_ps: u64,
}

impl Totals {
    /// A request that came, was due, and was handed over at these times.
    fn count(&mut self, came: u64, due: u64, over: u64) {
        self.requests += 1;
        self.modelled_ps += due - came;
        self.achieved_ps += over - came;
        match over - due {
            INTERRUPTED_PS.. => self.interrupted += 1,
            late => self.late_ps += late,
        }
    }
}

/// Pages that were announced to a timed transport ([`Transport::expect_pages`]).
#[must_use = "it is to be waited for"]
pub struct Expected {
    /// When the last one is there, as the host's time.
    at: Instant,
    came: u64,
    due: u64,
    meter: DelayMeter,
}

impl Expected {
    /// Returns when the pages may be read. To be called without any lock that others need.
    pub fn wait(self) {
        let now = wait_until(self.at, || false);
        let late = now.saturating_duration_since(self.at).as_nanos() as u64 * 1000;
        self.meter.count(self.came, self.due, self.due + late);
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
/// Reads and writes go in the two directions of a link, so neither queues behind the other.
///
/// A request's time begins when it is submitted, so the work of the golden model is a part of the
/// delay and does not add to it. A page that is read at once may be looked at when its time has come:
/// moving it into a frame is the host's own work. A page that is written at once is posted: nobody
/// waits for it, unless the device is behind by many. Mailbox commands and counters are not delayed: they are not on the
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
    reads: DeviceQueue,
    writes: DeviceQueue,
    /// Pages that were announced and not read yet.
    expected: usize,
    /// When the pages that were written at once are done.
    posted: VecDeque<u64>,
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

    /// Counts a request that came, was due, and was handed over at these times; not if another thread
    /// is just at it, because this is called in signal handlers, which must not sleep.
    fn count(&self, came: u64, due: u64, over: u64) {
        if let Some(mut totals) = self.0.try_lock() {
            totals.count(came, due, over);
        }
    }

    /// As they are now.
    pub fn get(&self) -> DelayStats {
        let totals = self.0.lock();
        let mean = |ps: u64| ps as f64 / 1000.0 / totals.requests.max(1) as f64;
        DelayStats {
            requests: totals.requests,
            modelled_ns: mean(totals.modelled_ps),
            achieved_ns: mean(totals.achieved_ps),
            interrupted: totals.interrupted,
            late_ns: totals.late_ps as f64
                / 1000.0
                / (totals.requests - totals.interrupted).max(1) as f64,
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
            reads: DeviceQueue::new(profile),
            writes: DeviceQueue::new(profile),
            expected: 0,
            posted: VecDeque::new(),
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
            let queue = if read { &mut self.reads } else { &mut self.writes };
            self.flying[key].due = queue.arrive(came, size);
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

    fn read_page_now(
        &mut self,
        pid: u16,
        va: u64,
        take: &mut dyn FnMut(&[u8; PAGE_BYTES]) -> bool,
    ) -> Result<bool, TransportError> {
        if self.expected > 0 {
            self.expected -= 1;
            return self.inner.read_page_now(pid, va, take);
        }
        let Self { inner, reads, clock, totals, .. } = self;
        let came = clock.now();
        inner.read_page_now(pid, va, &mut |page| {
            let due = reads.arrive(came, PAGE_BYTES);
            clock.wait_until(due);
            totals.count(came, due, clock.now());
            take(page)
        })
    }

    fn read_pages_now(
        &mut self,
        pid: u16,
        va: u64,
        most: usize,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TransportError> {
        if self.expected == 0 {
            let take = &mut |page: &[u8; PAGE_BYTES]| {
                take(page);
                true
            };
            return self.read_page_now(pid, va, take).map(usize::from);
        }
        let read = self.inner.read_pages_now(pid, va, most.min(self.expected), take)?;
        self.expected -= read;
        Ok(read)
    }

    fn pages_stay(&self) -> bool {
        self.inner.pages_stay()
    }

    fn expect_pages(&mut self, pages: usize) -> Option<Expected> {
        let came = self.clock.now();
        self.clock.instant(came)?;
        let due = (0..pages).map(|_| self.reads.arrive(came, PAGE_BYTES)).last()?;
        self.expected += pages;
        let at = self.clock.instant(due)?;
        Some(Expected { at, came, due, meter: self.totals.clone() })
    }

    fn write_page_now(
        &mut self,
        pid: u16,
        va: u64,
        data: &[u8; PAGE_BYTES],
    ) -> Result<bool, TransportError> {
        if !self.inner.write_page_now(pid, va, data)? {
            return Ok(false);
        }
        if self.posted.len() >= POSTED {
            if let Some(first) = self.posted.pop_front() {
                self.clock.wait_until(first);
            }
        }
        self.posted.push_back(self.writes.arrive(self.clock.now(), PAGE_BYTES));
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
            take: &mut dyn FnMut(&[u8; PAGE_BYTES]) -> bool,
        ) -> Result<bool, TransportError> {
            Ok(take(&[va as u8; PAGE_BYTES]))
        }
        fn write_page_now(
            &mut self,
            _: u16,
            _: u64,
            _: &[u8; PAGE_BYTES],
        ) -> Result<bool, TransportError> {
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
        assert_eq!((stats.interrupted, stats.late_ns), (0, 0.0));
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
            let take = &mut |page: &[u8; PAGE_BYTES]| {
                seen.push((page[0], clock.now()));
                true
            };
            device.read_page_now(1, va, take).unwrap()
        };
        assert!(read(&mut device, 7));
        assert_eq!(clock.now(), 173_000);
        // A line is on the channel from here to 183: the page comes 73 + 100 after that.
        device.submit(&mut VecDeque::from([line(0, 0)])).unwrap();
        assert!(read(&mut device, 8));
        assert_eq!(clock.now(), (173 + 10 + 73 + 100) * 1000);
        assert_eq!(device.stats().get().requests, 2);
        // Nothing is looked at before its time.
        assert_eq!(seen, [(7, 173_000), (8, 356_000)]);
    }

    #[test]
    fn what_is_written_is_posted_and_does_not_hold_up_what_is_read() {
        let (mut device, clock) = device(8);
        (0..POSTED as u64)
            .for_each(|va| assert!(device.write_page_now(1, va, &[0; 4096]).unwrap()));
        assert_eq!(clock.now(), 0);
        assert!(device.read_page_now(1, 0, &mut |_| true).unwrap());
        assert_eq!(clock.now(), 173_000);
        // The device is behind by as many as may be: one more waits for the first of those due.
        (0..4).for_each(|va| assert!(device.write_page_now(1, va, &[0; 4096]).unwrap()));
        assert_eq!(clock.now(), (4 * 73 + 100) * 1000);
    }

    #[test]
    fn announced_pages_are_waited_for_once_and_outside() {
        let profile = Profile { base_latency_ns: 2e6, ..Profile::cxl() };
        let inner = AtOnce { done: Vec::new(), depth: 8 };
        let mut device = Delayed::new(inner, &profile);
        let started = Instant::now();
        let expected = device.expect_pages(2).unwrap();
        let read =
            |device: &mut Delayed<AtOnce>| device.read_page_now(1, 1, &mut |_| true).unwrap();
        assert!(read(&mut device) && read(&mut device));
        assert_eq!(device.stats().get().requests, 0, "nobody waited yet");
        expected.wait();
        assert!(started.elapsed() >= Duration::from_millis(2));
        let stats = device.stats().get();
        assert_eq!(stats.requests, 1);
        assert!(stats.achieved_ns >= stats.modelled_ns && stats.modelled_ns > 2e6, "{stats:?}");
    }

    #[test]
    fn what_comes_late_is_told_from_what_was_interrupted() {
        let meter = DelayMeter::default();
        // In picoseconds: in time, 30 ns late, and after another program had the processor.
        for late in [0, 30_000, 4_000_000_000] {
            meter.count(1000, 401_000, 401_000 + late);
        }
        let stats = meter.get();
        assert_eq!((stats.requests, stats.interrupted, stats.late_ns), (3, 1, 15.0));
        assert!(stats.error() > Some(1000.0), "{stats:?}");
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
