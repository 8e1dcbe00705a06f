//! [`fit`]: the [`Profile`] that comes closest to what was measured of a device.
//!
//! A measurement is a closed loop: so many requests of one size are kept in the device, and each has
//! some latency on average. What a profile makes of the same loop is computed in virtual time, by the
//! same [`DeviceQueue`] that later makes delays, so the error that is reported is the error of the
//! delays.

use super::queue::DeviceQueue;
use super::Profile;

/// A closed loop and its mean latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Bytes of each request.
    pub bytes: usize,
    /// Requests kept in the device.
    pub outstanding: u32,
    /// Nanoseconds from a request to its answer, on average.
    pub latency_ns: f64,
}

/// A profile, and how far it is from what was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The profile.
    pub profile: Profile,
    /// Nanoseconds that it gives for each point, in their order.
    pub predicted_ns: Vec<f64>,
    /// Mean of the relative errors' amounts.
    pub mean_error: f64,
    /// The largest.
    pub worst_error: f64,
}

/// Requests of a loop in virtual time; the first ones, until it has settled, do not count.
const LOOP: u32 = 200;

/// What a profile makes of a loop: mean nanoseconds.
pub fn predict(profile: &Profile, bytes: usize, outstanding: u32) -> f64 {
    let mut device = DeviceQueue::new(profile);
    let outstanding = outstanding.max(1) as usize;
    let mut due: std::collections::VecDeque<u64> =
        (0..outstanding).map(|_| device.arrive(0, bytes)).collect();
    // Requests of one size end in the order in which they came.
    let (mut sum, mut count) = (0, 0);
    for i in 0..outstanding + LOOP as usize {
        let Some(now) = due.pop_front() else { break };
        let done = device.arrive(now, bytes);
        due.push_back(done);
        if i >= outstanding {
            sum += done - now;
            count += 1;
        }
    }
    sum as f64 / 1000.0 / f64::from(count.max(1))
}

/// Fits base latency, bandwidth and overhead of a device of one channel, by the least sum of squared
/// relative errors. `None` without points of at least two sizes.
pub fn fit(name: &str, source: &str, points: &[Point]) -> Option<Fit> {
    let small = points.iter().map(|point| point.bytes).min()?;
    let large = points.iter().map(|point| point.bytes).max()?;
    if small == large
        || points.iter().any(|point| point.latency_ns.is_nan() || point.latency_ns <= 0.0)
    {
        return None;
    }
    // The time between answers of the fullest loop of each size is about what a request occupies the
    // channel.
    let interval = |bytes: usize| {
        let of_size = points.iter().filter(move |point| point.bytes == bytes);
        let full = of_size.max_by_key(|point| point.outstanding)?;
        Some(full.latency_ns / f64::from(full.outstanding))
    };
    let alone = |bytes: usize| {
        let of_size = points.iter().filter(move |point| point.bytes == bytes);
        of_size.min_by_key(|point| point.outstanding).map(|point| point.latency_ns)
    };
    let (short, long) = (interval(small)?, interval(large)?);
    let per_byte = ((long - short) / (large - small) as f64).max(1e-4);
    let start =
        [(alone(small)? - short).max(1.0), per_byte, (short - per_byte * small as f64).max(0.1)];
    let profile = |[base, per_byte, overhead]: [f64; 3]| Profile {
        name: name.to_owned(),
        source: source.to_owned(),
        base_latency_ns: base,
        bandwidth_gb_per_s: 1.0 / per_byte,
        request_overhead_ns: overhead,
        channels: 1,
        queue: super::QUEUE_MAX,
    };
    let errors = |profile: &Profile| -> Vec<f64> {
        let error = |p: &Point| predict(profile, p.bytes, p.outstanding) / p.latency_ns - 1.0;
        points.iter().map(error).collect()
    };
    let cost = |numbers| errors(&profile(numbers)).iter().map(|error| error * error).sum::<f64>();
    let best = profile(descend(start, cost));
    let errors = errors(&best);
    let amount = |error: &f64| error.abs();
    Some(Fit {
        predicted_ns: points.iter().map(|p| predict(&best, p.bytes, p.outstanding)).collect(),
        mean_error: errors.iter().map(amount).sum::<f64>() / errors.len() as f64,
        worst_error: errors.iter().map(amount).fold(0.0, f64::max),
        profile: best,
    })
}

/// Looks for the least cost by scaling one number after the other, in ever smaller steps (a pattern
/// search). Every number stays positive.
fn descend(start: [f64; 3], cost: impl Fn([f64; 3]) -> f64) -> [f64; 3] {
    let (mut best, mut least) = (start, cost(start));
    let mut step: f64 = 0.5;
    while step > 1e-4 {
        let mut better = false;
        for i in 0..3 {
            for factor in [1.0 + step, 1.0 / (1.0 + step)] {
                let mut trial = best;
                trial[i] *= factor;
                let cost = cost(trial);
                if cost < least {
                    (best, least, better) = (trial, cost, true);
                }
            }
        }
        if !better {
            step /= 2.0;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Profile {
        Profile {
            base_latency_ns: 180.0,
            bandwidth_gb_per_s: 9.5,
            request_overhead_ns: 3.0,
            queue: 1 << 16,
            ..Profile::cxl()
        }
    }

    fn points(profile: &Profile) -> Vec<Point> {
        let mut points = Vec::new();
        for bytes in [64, 4096] {
            for outstanding in [1, 2, 4, 16, 64] {
                let latency_ns = predict(profile, bytes, outstanding);
                points.push(Point { bytes, outstanding, latency_ns });
            }
        }
        points
    }

    #[test]
    fn a_loop_takes_the_idle_time_or_what_the_channel_lets_through() {
        let device = device();
        // 64 bytes occupy the channel for 9.7 ns: up to 19 loops do not meet.
        assert!((predict(&device, 64, 1) - device.idle_ns(64)).abs() < 0.01);
        assert!((predict(&device, 64, 16) - device.idle_ns(64)).abs() < 0.01);
        assert!((predict(&device, 64, 64) - 64.0 * device.service_ns(64)).abs() < 0.1);
        assert!((predict(&device, 4096, 4) - 4.0 * device.service_ns(4096)).abs() < 0.1);
    }

    #[test]
    fn a_device_of_this_kind_is_found_again() {
        let device = device();
        let fit = fit("found", "test", &points(&device)).unwrap();
        let near = |a: f64, b: f64, by: f64| assert!((a / b - 1.0).abs() < by, "{a} {b}");
        near(fit.profile.base_latency_ns, 180.0, 0.02);
        near(fit.profile.bandwidth_gb_per_s, 9.5, 0.02);
        near(fit.profile.request_overhead_ns, 3.0, 0.1);
        assert!(fit.mean_error < 0.005 && fit.worst_error < 0.02, "{fit:?}");
        fit.profile.check().unwrap();
    }

    #[test]
    fn the_error_is_told_where_a_device_is_of_another_kind() {
        let mut points = points(&device());
        points[1].latency_ns *= 1.5;
        let fit = fit("off", "test", &points).unwrap();
        assert!(fit.worst_error > 0.2 && fit.mean_error < fit.worst_error, "{fit:?}");
    }

    #[test]
    fn too_little_is_not_enough() {
        let line = Point { bytes: 64, outstanding: 1, latency_ns: 100.0 };
        assert_eq!(fit("x", "y", &[]), None);
        assert_eq!(fit("x", "y", &[line, Point { outstanding: 2, ..line }]), None);
        assert_eq!(fit("x", "y", &[line, Point { bytes: 4096, latency_ns: 0.0, ..line }]), None);
    }
}
