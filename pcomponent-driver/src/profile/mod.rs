//! [`Profile`]: how long a memory device takes, for backends that take no time of their own.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`queue`] | the device in virtual time: when a request that comes then is done |
//! | [`fit`] | the profile that comes closest to what was measured |
//! | [`delayed`] | a transport whose completions come no sooner than that |
//!
//! A request of `n` bytes that finds the device idle is done after
//! `base_latency_ns + request_overhead_ns + n / bandwidth_gb_per_s` nanoseconds. Of these it occupies
//! one channel for all but the base latency, and whoever comes meanwhile waits.
//!
//! As a file it is TOML:
//!
//! ```
//! let text = r#"
//! name = "mine"
//! source = "measured on the bench of room 12"
//! base_latency_ns = 340.0
//! bandwidth_gb_per_s = 20.0
//! request_overhead_ns = 2.5
//! channels = 1
//! queue = 64
//! "#;
//! let profile = pcomponent_driver::profile::Profile::from_toml(text)?;
//! assert_eq!(profile.idle_ns(4096).round(), 547.0);
//! # Ok::<(), pcomponent_driver::profile::ProfileError>(())
//! ```

pub mod delayed;
pub mod fit;
pub mod queue;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use delayed::{DelayMeter, DelayStats, Delayed, Expected};

/// The timing of a memory device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where its numbers come from, for whoever reads a figure that rests on them.
    pub source: String,
    /// Nanoseconds that every request takes besides its time on a channel, 0 to 1e9. Requests
    /// overlap in it.
    pub base_latency_ns: f64,
    /// Bytes a nanosecond that all channels together move, reads and writes alike.
    pub bandwidth_gb_per_s: f64,
    /// Nanoseconds that a request occupies its channel besides its bytes, 0 to 1e9.
    #[serde(default)]
    pub request_overhead_ns: f64,
    /// Channels, 1 to 64, each with its share of the bandwidth. A request takes the one that is free
    /// first.
    #[serde(default = "one")]
    pub channels: u32,
    /// Requests in the device at once, 1 to 65,536; more wait until one is done.
    #[serde(default = "most")]
    pub queue: u32,
}

const QUEUE_MAX: u32 = 1 << 16;
const CHANNELS_MAX: u32 = 64;
const NS_MAX: f64 = 1e9;

fn one() -> u32 {
    1
}

fn most() -> u32 {
    QUEUE_MAX
}

/// A profile that cannot be had or makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Neither a built-in name nor a file.
    #[error("no profile named {0}: expected cxl, pcie-dma, network, or the path of a .toml file")]
    Unknown(String),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or a key is unknown, missing or of the wrong kind.
    #[error("not a profile: {0}")]
    Parse(#[from] Box<toml::de::Error>),
    /// A number out of its range.
    #[error("{name} is {value}: expected {expected}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Profile {
    /// CXL memory: 250 ns, the bandwidth of a link of 8 lanes at 32 GT/s.
    pub fn cxl() -> Self {
        Self {
            name: "cxl".to_owned(),
            source:
                "latency: within the 140 to 410 ns load-to-use that Melody (ASPLOS'25) reports \
                     of four CXL devices. Bandwidth, computed: 32 GT/s x 8 lanes, 128b/130b, 64 of \
                     68 bytes of a flit, 4 data slots and a header slot a line"
                    .to_owned(),
            base_latency_ns: 250.0,
            bandwidth_gb_per_s: 23.7,
            request_overhead_ns: 0.0,
            channels: 1,
            queue: 256,
        }
    }

    /// A DMA engine behind PCIe: a read that software starts and polls for.
    pub fn pcie_dma() -> Self {
        Self {
            name: "pcie-dma".to_owned(),
            source:
                "latency: assumed, not measured (posted doorbell, descriptor, DMA write, poll). \
                     Bandwidth, computed: PCIe 4.0 x8, 128b/130b, 256 bytes of payload in a TLP of \
                     280 bytes"
                    .to_owned(),
            base_latency_ns: 1000.0,
            bandwidth_gb_per_s: 14.4,
            request_overhead_ns: 20.0,
            channels: 1,
            queue: 64,
        }
    }

    /// A memory node behind a network: 2 us, 100 Gbit/s.
    pub fn network() -> Self {
        Self {
            name: "network".to_owned(),
            source:
                "latency: 2 us, as Clio (ASPLOS'22) publishes 1.87 us for a read of 4 bytes and \
                     2.28 us for 64. Bandwidth: its 100 Gbit/s, headers not counted"
                    .to_owned(),
            base_latency_ns: 2000.0,
            bandwidth_gb_per_s: 12.5,
            request_overhead_ns: 0.0,
            channels: 1,
            queue: 1024,
        }
    }

    /// Those that need no file.
    pub fn built_in() -> [Self; 3] {
        [Self::cxl(), Self::pcie_dma(), Self::network()]
    }

    /// A built-in profile by its name, or the one in a file whose name ends in `.toml`: what
    /// `--profile` takes.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn named(name_or_path: &str) -> Result<Self, ProfileError> {
        if let Some(profile) = Self::built_in().into_iter().find(|p| p.name == name_or_path) {
            return Ok(profile);
        }
        let path = Path::new(name_or_path);
        if path.extension().is_none_or(|extension| extension != "toml") {
            return Err(ProfileError::Unknown(name_or_path.to_owned()));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|source| ProfileError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text)
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// [`ProfileError::Parse`] and [`ProfileError::Range`].
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(Box::new)?;
        profile.check()?;
        Ok(profile)
    }

    /// The text that [`Self::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        // Numbers and strings under plain names: there is nothing that TOML cannot say.
        toml::to_string(self).unwrap_or_default()
    }

    /// Whether its numbers are in range.
    ///
    /// # Errors
    /// [`ProfileError::Range`] for the first that is not.
    pub fn check(&self) -> Result<(), ProfileError> {
        let range = |name, value: &dyn std::fmt::Display, expected, ok: bool| {
            let value = value.to_string();
            ok.then_some(()).ok_or(ProfileError::Range { name, value, expected })
        };
        let time = |ns: f64| (0.0..=NS_MAX).contains(&ns);
        let rate = self.bandwidth_gb_per_s;
        let ns = "0 to 1e9 ns";
        range("base_latency_ns", &self.base_latency_ns, ns, time(self.base_latency_ns))?;
        range(
            "request_overhead_ns",
            &self.request_overhead_ns,
            ns,
            time(self.request_overhead_ns),
        )?;
        let rate_ok = (1e-6..=1e6).contains(&rate);
        range("bandwidth_gb_per_s", &rate, "1e-6 to 1e6 GB/s", rate_ok)?;
        let channels_ok = (1..=CHANNELS_MAX).contains(&self.channels);
        range("channels", &self.channels, "1 to 64", channels_ok)?;
        range("queue", &self.queue, "1 to 65536", (1..=QUEUE_MAX).contains(&self.queue))
    }

    /// Nanoseconds that a request of some bytes occupies a channel.
    pub fn service_ns(&self, bytes: usize) -> f64 {
        let share = self.bandwidth_gb_per_s / f64::from(self.channels);
        self.request_overhead_ns + bytes as f64 / share
    }

    /// Nanoseconds that a request of some bytes takes when it finds the device idle.
    pub fn idle_ns(&self, bytes: usize) -> f64 {
        self.base_latency_ns + self.service_ns(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_sound_and_survives_its_text() {
        for profile in Profile::built_in() {
            profile.check().unwrap();
            assert_eq!(Profile::from_toml(&profile.to_toml()).unwrap(), profile);
            assert_eq!(Profile::named(&profile.name).unwrap(), profile);
            assert!(!profile.source.is_empty());
        }
        assert!((Profile::cxl().idle_ns(64) - 252.7).abs() < 0.1);
        assert!((Profile::network().idle_ns(4096) - 2327.7).abs() < 0.1);
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        let text = |key: &str, value: &str| {
            let mut lines = vec![
                ("name", "\"x\""),
                ("source", "\"y\""),
                ("base_latency_ns", "1.0"),
                ("bandwidth_gb_per_s", "1.0"),
            ];
            lines.retain(|(name, _)| *name != key);
            lines.push((key, value));
            lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect::<String>()
        };
        let plain = Profile::from_toml(&text("channels", "2")).unwrap();
        assert_eq!((plain.channels, plain.queue, plain.request_overhead_ns), (2, QUEUE_MAX, 0.0));
        for (key, value) in [
            ("base_latency_ns", "-1.0"),
            ("base_latency_ns", "nan"),
            ("request_overhead_ns", "2e9"),
            ("bandwidth_gb_per_s", "0.0"),
            ("channels", "0"),
            ("queue", "70000"),
        ] {
            let error = Profile::from_toml(&text(key, value)).unwrap_err();
            assert!(matches!(error, ProfileError::Range { name, .. } if name == key), "{error}");
        }
        for (key, value) in [("latency", "3.0"), ("queue", "-1"), ("name", "5")] {
            let error = Profile::from_toml(&text(key, value)).unwrap_err();
            assert!(matches!(error, ProfileError::Parse(_)), "{error}");
        }
        assert!(matches!(Profile::named("cxll"), Err(ProfileError::Unknown(_))));
        assert!(matches!(Profile::named("/no/such.toml"), Err(ProfileError::Read { .. })));
    }
}
