//! How remote memory is cached: [`CacheConfig`] and the policies of ExCache.
//!
//! Every policy reads and prints as a word of a command line ([`FromStr`], [`Display`]).

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::Serialize;

use crate::transport::PAGE_BYTES;

/// Which cache stands between the program and the component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheConfig {
    /// None: every access is a request.
    None,
    /// The virtual cache: 64-byte lines.
    VCache(VCacheConfig),
    /// ExCache: 4 KiB pages in local DRAM.
    ExCache(ExCacheConfig),
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self::ExCache(ExCacheConfig::default())
    }
}

impl From<VCacheConfig> for CacheConfig {
    fn from(config: VCacheConfig) -> Self {
        Self::VCache(config)
    }
}

impl From<ExCacheConfig> for CacheConfig {
    fn from(config: ExCacheConfig) -> Self {
        Self::ExCache(config)
    }
}

/// A configuration that no cache can be built with, or a word that names no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {value}: expected {expected}")]
pub struct ConfigError {
    /// What is wrong.
    pub name: &'static str,
    /// What was given.
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

impl ConfigError {
    fn new(name: &'static str, value: impl Display, expected: &'static str) -> Self {
        Self { name, value: value.to_string(), expected }
    }
}

/// Shape of the virtual cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VCacheConfig {
    /// Lines of a set, 1 to 64.
    pub ways: usize,
    /// Sets, a power of two.
    pub sets: usize,
}

impl Default for VCacheConfig {
    /// 1 MiB in 8 ways.
    fn default() -> Self {
        Self { ways: 8, sets: 2048 }
    }
}

impl VCacheConfig {
    /// Checks the shape.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=64).contains(&self.ways) {
            return Err(ConfigError::new("vcache ways", self.ways, "1 to 64"));
        }
        if !self.sets.is_power_of_two() {
            return Err(ConfigError::new("vcache sets", self.sets, "a power of two"));
        }
        Ok(())
    }
}

/// Which page leaves when a set is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replacement {
    /// The one that came first.
    Fifo,
    /// The first one, in the order of arrival, that was not used since it was last passed over
    /// (second chance, the clock approximation of LRU).
    #[default]
    Lru,
    /// Any one.
    Random,
}

/// How a dirty page is kept from changing, and from being fetched stale, while its write-back is in
/// flight (LegoOS, `managers/processor/pcache`, "atomic eviction mechanism").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eviction {
    /// The page is made read-only and stays where it is until the write-back is done; then it is
    /// unmapped. Reads go on hitting it, a write waits and then fetches the page again.
    WriteProtect,
    /// The page is unmapped first and stands in its set's eviction list until the write-back is
    /// done. A read or write of it finds it in the list, waits, and then fetches it again.
    SetList,
    /// The page is unmapped and moved to a small fully associative victim cache, which gives its
    /// frame free at once; it is written back from there. A read or write of it takes it back
    /// from there, during the write-back and after it, without traffic.
    Victim {
        /// Pages in the victim cache (LegoOS: 8), 1 to 128.
        pages: usize,
    },
}

impl Default for Eviction {
    /// LegoOS's default.
    fn default() -> Self {
        Self::SetList
    }
}

impl Eviction {
    /// Pages of the victim cache in LegoOS.
    pub const VICTIM_PAGES: usize = 8;
}

/// Which pages are fetched before they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefetch {
    /// None.
    #[default]
    None,
    /// The pages behind the one that missed.
    Sequential {
        /// How many, 1 to 64.
        pages: usize,
    },
    /// Pages at the distance of the last two steps, if both were equal.
    Stride {
        /// How many, 1 to 64.
        pages: usize,
    },
    /// Pages along the majority trend of the last 32 steps, as many as earlier prefetches were
    /// useful (Leap, ATC'20).
    Trend {
        /// At most how many, 1 to 64.
        pages: usize,
    },
}

impl Prefetch {
    /// Pages at most per prefetch, where none are named; Leap's bound.
    pub const PAGES: usize = 8;
}

/// What a write-back writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirtyTracking {
    /// The whole page.
    #[default]
    Page,
    /// The lines that were written.
    Line,
}

macro_rules! words {
    ($type:ident, $name:literal, $expected:literal, { $($word:literal => $value:expr),+ $(,)? }) => {
        impl FromStr for $type {
            type Err = ConfigError;
            fn from_str(word: &str) -> Result<Self, ConfigError> {
                match word {
                    $($word => Ok($value),)+
                    _ => Err(ConfigError::new($name, word, $expected)),
                }
            }
        }
        impl Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(if *self == $value { return f.write_str($word); })+
                Ok(())
            }
        }
    };
}

words!(Replacement, "replacement", "fifo, lru or random", {
    "fifo" => Self::Fifo, "lru" => Self::Lru, "random" => Self::Random,
});
words!(DirtyTracking, "dirty tracking", "page or line", {
    "page" => Self::Page, "line" => Self::Line,
});

/// Splits `word:count`.
fn counted(word: &str, default: usize) -> Option<(&str, usize)> {
    match word.split_once(':') {
        None => Some((word, default)),
        Some((word, count)) => Some((word, count.parse().ok()?)),
    }
}

impl FromStr for Eviction {
    type Err = ConfigError;

    fn from_str(word: &str) -> Result<Self, ConfigError> {
        let expected = "write-protect, set-list, victim or victim:PAGES (1 to 128)";
        match counted(word, Self::VICTIM_PAGES) {
            Some(("victim", pages)) if (1..=128).contains(&pages) => Ok(Self::Victim { pages }),
            _ if word == "write-protect" => Ok(Self::WriteProtect),
            _ if word == "set-list" => Ok(Self::SetList),
            _ => Err(ConfigError::new("eviction", word, expected)),
        }
    }
}

impl Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteProtect => f.write_str("write-protect"),
            Self::SetList => f.write_str("set-list"),
            Self::Victim { pages } => write!(f, "victim:{pages}"),
        }
    }
}

impl FromStr for Prefetch {
    type Err = ConfigError;

    fn from_str(word: &str) -> Result<Self, ConfigError> {
        let expected = "none, sequential, stride or trend, with :PAGES (1 to 64) or without";
        match counted(word, Self::PAGES) {
            _ if word == "none" => Ok(Self::None),
            Some(("sequential", pages @ 1..=64)) => Ok(Self::Sequential { pages }),
            Some(("stride", pages @ 1..=64)) => Ok(Self::Stride { pages }),
            Some(("trend", pages @ 1..=64)) => Ok(Self::Trend { pages }),
            _ => Err(ConfigError::new("prefetch", word, expected)),
        }
    }
}

impl Display for Prefetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sequential { pages } => write!(f, "sequential:{pages}"),
            Self::Stride { pages } => write!(f, "stride:{pages}"),
            Self::Trend { pages } => write!(f, "trend:{pages}"),
        }
    }
}

/// Frames that a page may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Associativity {
    /// Those of one set of this many.
    Ways(usize),
    /// All of them.
    Full,
}

impl Default for Associativity {
    /// LegoOS's 64 ways.
    fn default() -> Self {
        Self::Ways(64)
    }
}

impl FromStr for Associativity {
    type Err = ConfigError;

    fn from_str(word: &str) -> Result<Self, ConfigError> {
        match word.parse() {
            Ok(ways) if ways > 0 => Ok(Self::Ways(ways)),
            _ if word == "full" => Ok(Self::Full),
            _ => Err(ConfigError::new("associativity", word, "a number of ways, or full")),
        }
    }
}

impl Display for Associativity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ways(ways) => write!(f, "{ways}"),
            Self::Full => f.write_str("full"),
        }
    }
}

/// Size and policies of ExCache.
///
/// ```
/// use pcomponent_driver::config::{Associativity, ExCacheConfig, Prefetch, Replacement};
///
/// let config = ExCacheConfig::with_bytes(1 << 20)
///     .replacement("fifo".parse::<Replacement>()?)
///     .associativity(Associativity::Ways(16))
///     .prefetch(Prefetch::Trend { pages: 8 });
/// assert_eq!(config.shape()?.frames(), 256);
/// assert_eq!(config.shape()?.sets, 16);
/// # Ok::<(), pcomponent_driver::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExCacheConfig {
    /// Local memory for pages. Rounded down to whole sets.
    pub bytes: usize,
    /// Frames that a page may go to.
    pub associativity: Associativity,
    /// Which page leaves.
    pub replacement: Replacement,
    /// How it leaves.
    pub eviction: Eviction,
    /// Pages evicted together when a miss finds its set full, so that the next misses find free
    /// frames. At most a quarter of a set, at least one.
    pub evict_batch: usize,
    /// Make the first touch of fresh memory a frame of zeros at the host, without traffic
    /// ("p-local" in LegoOS).
    pub zero_fill: bool,
    /// Which pages are fetched before they are asked for.
    pub prefetch: Prefetch,
    /// What a write-back writes.
    pub dirty: DirtyTracking,
    /// Reads, and writes, of a thread between two points of the time series; zero for none.
    /// Rounded up to a power of two.
    pub sample_every: u64,
    /// Seed of random replacement.
    pub seed: u64,
}

impl Default for ExCacheConfig {
    /// 64 MiB with LegoOS's choices.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            associativity: Associativity::default(),
            replacement: Replacement::default(),
            eviction: Eviction::default(),
            evict_batch: 8,
            zero_fill: true,
            prefetch: Prefetch::default(),
            dirty: DirtyTracking::default(),
            sample_every: 0,
            seed: 1,
        }
    }
}

/// Sets and ways of an ExCache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Sets.
    pub sets: usize,
    /// Frames of a set.
    pub ways: usize,
}

impl Shape {
    /// Frames in all.
    pub fn frames(&self) -> usize {
        self.sets * self.ways
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])+ $name:ident: $type:ty),+ $(,)?) => {
        $($(#[$doc])+ #[must_use] pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        })+
    };
}

impl ExCacheConfig {
    /// Most frames that an ExCache can have (64 GiB).
    pub const FRAMES_MAX: usize = 1 << 24;

    /// The defaults, with this much local memory.
    #[must_use]
    pub fn with_bytes(bytes: usize) -> Self {
        Self { bytes, ..Self::default() }
    }

    setters! {
        /// Sets [`Self::associativity`](#structfield.associativity).
        associativity: Associativity,
        /// Sets [`Self::replacement`](#structfield.replacement).
        replacement: Replacement,
        /// Sets [`Self::eviction`](#structfield.eviction).
        eviction: Eviction,
        /// Sets [`Self::evict_batch`](#structfield.evict_batch).
        evict_batch: usize,
        /// Sets [`Self::zero_fill`](#structfield.zero_fill).
        zero_fill: bool,
        /// Sets [`Self::prefetch`](#structfield.prefetch).
        prefetch: Prefetch,
        /// Sets [`Self::dirty`](#structfield.dirty).
        dirty: DirtyTracking,
        /// Sets [`Self::sample_every`](#structfield.sample_every).
        sample_every: u64,
        /// Sets [`Self::seed`](#structfield.seed).
        seed: u64,
    }

    /// Sets and ways.
    ///
    /// # Errors
    /// If there is room for no set, or for more than [`Self::FRAMES_MAX`] frames, or a policy's
    /// number is out of its range.
    pub fn shape(&self) -> Result<Shape, ConfigError> {
        let frames = self.bytes / PAGE_BYTES;
        let ways = match self.associativity {
            Associativity::Ways(ways) => ways,
            Associativity::Full => frames,
        };
        if ways == 0 || frames < ways {
            let expected = "at least one set: 4 KiB times the ways";
            return Err(ConfigError::new("excache size", self.bytes, expected));
        }
        if frames > Self::FRAMES_MAX {
            return Err(ConfigError::new("excache size", self.bytes, "at most 64 GiB"));
        }
        // The numbers inside the policies have the same bounds as on a command line.
        self.eviction.to_string().parse::<Eviction>()?;
        self.prefetch.to_string().parse::<Prefetch>()?;
        Ok(Shape { sets: frames / ways, ways })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_and_print() {
        fn there_and_back<T: FromStr<Err = ConfigError> + Display + PartialEq + fmt::Debug>(
            word: &str,
            value: T,
        ) {
            assert_eq!(word.parse::<T>().unwrap(), value);
            assert_eq!(value.to_string().parse::<T>().unwrap(), value);
        }
        there_and_back("fifo", Replacement::Fifo);
        there_and_back("lru", Replacement::Lru);
        there_and_back("random", Replacement::Random);
        there_and_back("write-protect", Eviction::WriteProtect);
        there_and_back("set-list", Eviction::SetList);
        there_and_back("victim", Eviction::Victim { pages: 8 });
        there_and_back("victim:3", Eviction::Victim { pages: 3 });
        there_and_back("none", Prefetch::None);
        there_and_back("sequential:4", Prefetch::Sequential { pages: 4 });
        there_and_back("stride", Prefetch::Stride { pages: 8 });
        there_and_back("trend:64", Prefetch::Trend { pages: 64 });
        there_and_back("page", DirtyTracking::Page);
        there_and_back("line", DirtyTracking::Line);
        there_and_back("64", Associativity::Ways(64));
        there_and_back("full", Associativity::Full);
    }

    #[test]
    fn wrong_words_say_what_is_expected() {
        assert!("lifo".parse::<Replacement>().unwrap_err().to_string().contains("fifo, lru"));
        for word in ["victim:0", "victim:129", "victim:x", "set-list:3", ""] {
            assert_eq!(word.parse::<Eviction>().unwrap_err().name, "eviction", "{word}");
        }
        for word in ["none:1", "trend:0", "stride:65", "leap"] {
            assert_eq!(word.parse::<Prefetch>().unwrap_err().name, "prefetch", "{word}");
        }
        assert!("0".parse::<Associativity>().is_err());
    }

    #[test]
    fn shapes_are_whole_sets() {
        let config = ExCacheConfig::with_bytes(100 * 4096 + 17);
        assert_eq!(config.shape(), Ok(Shape { sets: 1, ways: 64 }));
        let full = config.clone().associativity(Associativity::Full);
        assert_eq!(full.shape(), Ok(Shape { sets: 1, ways: 100 }));
        assert!(ExCacheConfig::with_bytes(4096).shape().is_err());
        assert!(config.eviction(Eviction::Victim { pages: 0 }).shape().is_err());
    }
}
