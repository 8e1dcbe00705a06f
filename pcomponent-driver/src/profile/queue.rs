//! [`DeviceQueue`]: a device with a [`Profile`]'s timing, in virtual time.
//!
//! Everything is whole picoseconds, so that the same requests at the same times are done at the same
//! times on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Profile;

/// Picoseconds of a nanosecond.
const PS: f64 = 1000.0;

/// When the requests of one device are done.
#[derive(Clone, Debug)]
pub struct DeviceQueue {
    base: u64,
    overhead: u64,
    /// Picoseconds a byte, on one channel.
    per_byte: f64,
    /// When each channel is free.
    free: Vec<u64>,
    /// When the requests that are in the device are done, the first one first.
    inside: BinaryHeap<Reverse<u64>>,
    queue: usize,
}

impl DeviceQueue {
    /// An idle device at time zero. The profile's numbers are taken as they are; see
    /// [`Profile::check`].
    pub fn new(profile: &Profile) -> Self {
        Self {
            base: (profile.base_latency_ns * PS) as u64,
            overhead: (profile.request_overhead_ns * PS) as u64,
            per_byte: PS * f64::from(profile.channels) / profile.bandwidth_gb_per_s,
            free: vec![0; profile.channels.max(1) as usize],
            inside: BinaryHeap::new(),
            queue: profile.queue.max(1) as usize,
        }
    }

    /// A request of some bytes comes at `now`: when it is done, both in picoseconds. Times of coming
    /// must not go back.
    pub fn arrive(&mut self, now: u64, bytes: usize) -> u64 {
        while self.inside.peek().is_some_and(|Reverse(done)| *done <= now) {
            self.inside.pop();
        }
        // A full device lets it in when the first of those inside is done. Those that wait outside
        // count as inside from then on, so each takes the place of another one.
        let mut start = now;
        if self.inside.len() >= self.queue {
            if let Some(Reverse(done)) = self.inside.pop() {
                start = done;
            }
        }
        let service = self.overhead + (bytes as f64 * self.per_byte).round() as u64;
        // There is at least one channel.
        let channel = (0..self.free.len()).min_by_key(|channel| self.free[*channel]).unwrap_or(0);
        let over = start.max(self.free[channel]) + service;
        self.free[channel] = over;
        let done = over + self.base;
        self.inside.push(Reverse(done));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 ns, 10 ns a request, 1 byte a ns and channel.
    fn device(channels: u32, queue: u32) -> DeviceQueue {
        DeviceQueue::new(&Profile {
            base_latency_ns: 100.0,
            request_overhead_ns: 10.0,
            bandwidth_gb_per_s: f64::from(channels),
            channels,
            queue,
            ..Profile::cxl()
        })
    }

    /// Times of completion in ns for (time in ns, bytes).
    fn done(mut device: DeviceQueue, requests: &[(u64, usize)]) -> Vec<u64> {
        requests.iter().map(|(at, bytes)| device.arrive(at * 1000, *bytes) / 1000).collect()
    }

    #[test]
    fn an_idle_device_takes_base_overhead_and_bytes() {
        assert_eq!(done(device(1, 64), &[(0, 64), (1000, 4096), (9000, 0)]), [174, 5206, 9110]);
    }

    #[test]
    fn a_busy_channel_makes_the_next_wait_and_latency_overlaps() {
        // Back to back on the channel, 74 ns each; the base latency is not waited for.
        assert_eq!(done(device(1, 64), &[(0, 64), (0, 64), (50, 64)]), [174, 248, 322]);
        // A gap: the channel is free again.
        assert_eq!(done(device(1, 64), &[(0, 64), (80, 64)]), [174, 254]);
    }

    #[test]
    fn the_channel_that_is_free_first_is_taken() {
        // 0 and 1 take a channel each; 2 the one of the short request.
        let requests = [(0, 990), (0, 90), (0, 40), (0, 900)];
        assert_eq!(done(device(2, 64), &requests), [1100, 200, 250, 1160]);
    }

    #[test]
    fn a_full_device_lets_in_one_for_one() {
        let requests = [(0, 0), (0, 0), (0, 0), (0, 0), (500, 0)];
        // Without a bound they come 10 ns apart; two at a time, in pairs.
        assert_eq!(done(device(1, 64), &requests), [110, 120, 130, 140, 610]);
        assert_eq!(done(device(1, 2), &requests), [110, 120, 220, 230, 610]);
    }

    #[test]
    fn throughput_is_the_bandwidth_or_what_the_queue_lets_through() {
        let mut open = device(4, 1000);
        let last = (0..1000).map(|_| open.arrive(0, 90)).last().unwrap();
        // 1000 requests of 100 ns on 4 channels.
        assert_eq!(last, 1000 * (250 * 100 + 100));
        let mut narrow = device(4, 2);
        let last = (0..1000).map(|_| narrow.arrive(0, 90)).last().unwrap();
        // Two every 200 ns.
        assert_eq!(last, 1000 * (500 * 200));
    }
}
