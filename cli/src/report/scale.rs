//! Axes: where a value lies between 0 and 1, and where the ticks stand.

/// How values spread over an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// By `log10(1 + value)`: decades, with zero at the left end. For values from zero up.
    Log,
}

/// A scale and its two ends.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(0.0).ln_1p() / std::f64::consts::LN_10,
        }
    }
}

impl Span {
    /// From `low` to `high`; a span of nothing is widened.
    pub fn new(scale: Scale, low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { scale, low, high }
    }

    /// The smallest span that holds all values, its ends on ticks; 0 to 1 for no values.
    pub fn around(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return Self::new(scale, 0.0, 1.0);
        }
        match scale {
            Scale::Log => Self::new(scale, 0.0, high),
            Scale::Linear => {
                // Latencies and counts are read best from zero.
                let low = low.min(0.0);
                let step = step(high - low);
                Self::new(scale, (low / step).floor() * step, (high / step).ceil() * step)
            }
        }
    }

    /// Where a value lies: 0 at the low end, 1 at the high one; values beyond are moved there.
    pub fn place(&self, value: f64) -> f64 {
        let [low, high, value] = [self.low, self.high, value].map(|v| self.scale.apply(v));
        ((value - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Ticks and their labels, from low to high.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high - self.low);
                let first = (self.low / step).ceil() as i64;
                let last = (self.high / step + 1e-9).floor() as i64;
                (first..=last).map(|i| i as f64 * step).map(|v| (v, short(v))).collect()
            }
            Scale::Log => {
                let mut ticks = vec![(0.0, short(0.0))];
                let mut value = 1.0;
                while value <= self.high {
                    ticks.push((value, short(value)));
                    value *= 10.0;
                }
                ticks
            }
        }
    }
}

/// A step of 1, 2 or 5 times a power of ten that gives four to ten ticks.
fn step(width: f64) -> f64 {
    let width = if width > 0.0 { width } else { 1.0 };
    let rough = width / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(rough)
}

/// A number in few characters: `0.25`, `40`, `3k`, `1.5M`.
pub fn short(value: f64) -> String {
    let (divisor, unit) = match value.abs() {
        v if v >= 1e12 => (1e12, "T"),
        v if v >= 1e9 => (1e9, "G"),
        v if v >= 1e6 => (1e6, "M"),
        v if v >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let scaled = value / divisor;
    let digits = match scaled.abs() {
        v if v >= 10.0 => 1,
        v if v >= 0.1 || v == 0.0 => 2,
        _ => 4,
    };
    format!("{}{unit}", super::svg::trim(&format!("{scaled:.digits$}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(span: &Span) -> Vec<String> {
        span.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let span = Span::new(Scale::Linear, 0.0, 1.0);
        assert_eq!(labels(&span), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let span = Span::around(Scale::Linear, [0.0, 34_567.0].into_iter());
        assert_eq!(labels(&span), ["0", "10k", "20k", "30k", "40k"]);
        let span = Span::around(Scale::Log, [5.0, 2_000.0].into_iter());
        assert_eq!(labels(&span), ["0", "1", "10", "100", "1k"]);
    }

    #[test]
    fn places_run_from_zero_to_one() {
        let span = Span::new(Scale::Log, 0.0, 999.0);
        assert_eq!(span.place(0.0), 0.0);
        assert!((span.place(9.0) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(span.place(999.0), 1.0);
        assert_eq!(span.place(1e9), 1.0);
        let span = Span::new(Scale::Linear, -1.0, 1.0);
        assert_eq!(span.place(0.0), 0.5);
    }

    #[test]
    fn a_span_of_nothing_still_draws() {
        let span = Span::around(Scale::Linear, [7.0, 7.0].into_iter());
        assert!(span.place(7.0) > 0.0 && labels(&span).len() > 2);
        let span = Span::around(Scale::Linear, std::iter::empty());
        assert_eq!(span.place(0.5), 0.5);
    }
}
