//! The parameters of a component, from a TOML file.
//!
//! A file gives every key of [`HwConfig`] and no other; `configs/large.toml` says what each means.

use splitmem_abi::config::{ConfigError, HwConfig};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why a configuration could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigLoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or a key is missing, unknown, or of the wrong type. The message shows the line.
    #[error("{}: {}", path.display(), source.to_string().trim_end())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("{}: {source}", path.display())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Key, value, and what it may be.
        source: ConfigError,
    },
}

/// Reads a configuration.
///
/// # Errors
/// [`ConfigLoadError`] if the file cannot be read or does not hold a buildable configuration.
pub fn load(path: &Path) -> Result<HwConfig, ConfigLoadError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigLoadError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<HwConfig, ConfigLoadError> {
    let config: HwConfig = toml::from_str(text).map_err(|source| ConfigLoadError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    config.check().map_err(|source| ConfigLoadError::Range { path: path.to_owned(), source })?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: &str = include_str!("../configs/large.toml");
    const SMALL: &str = include_str!("../configs/small.toml");
    const TINY: &str = include_str!("../configs/tiny.toml");
    const MICRO: &str = include_str!("../configs/micro.toml");

    fn good(text: &str) -> HwConfig {
        parse(Path::new("shipped.toml"), text).expect("what ships can be built")
    }

    fn error_of(text: &str) -> String {
        parse(Path::new("board.toml"), text).expect_err("must be refused").to_string()
    }

    fn large(from: &str, to: &str) -> String {
        assert!(LARGE.contains(from));
        LARGE.replace(from, to)
    }

    #[test]
    fn what_ships_is_what_abi_says() {
        assert_eq!(good(LARGE), HwConfig::LARGE);
        assert_eq!(good(SMALL), HwConfig::SMALL);
        assert_eq!(good(MICRO), HwConfig::MICRO);
    }

    #[test]
    fn tiny_is_the_smallest_of_everything() {
        let tiny = good(TINY);
        let halved: [fn(&mut HwConfig); 10] = [
            |c| c.tlb_sets /= 2,
            |c| c.tlb_ways /= 2,
            |c| c.walk_entries /= 2,
            |c| c.port_slots /= 2,
            |c| c.free_4k /= 2,
            |c| c.free_2m /= 2,
            |c| c.zero_queue /= 2,
            |c| c.event_log /= 2,
            |c| c.pa_bits -= 1,
            |c| c.dram_data_bits /= 2,
        ];
        for halve in halved {
            let mut smaller = tiny;
            halve(&mut smaller);
            assert!(smaller.check().is_err(), "{smaller:?} is legal and smaller");
        }
        assert!(!tiny.statistics);
    }

    #[test]
    fn errors_name_file_key_value_and_range() {
        let message = error_of(&large("tlb_sets = 512", "tlb_sets = 48"));
        assert_eq!(message, "board.toml: tlb_sets = 48: expected a power of two from 2 to 512");
        let message = error_of(&large("pa_bits = 36", "pa_bits = 41"));
        assert_eq!(message, "board.toml: pa_bits = 41: expected 20 to 40");
        for (text, wanted) in [
            (large("tlb_sets", "tlb_stes"), ["unknown field `tlb_stes`", "expected one of"]),
            (large("tlb_ways = 4", "tlb_ways = \"four\""), ["tlb_ways = \"four\"", "expected u32"]),
            (large("tlb_ways = 4", "tlb_ways = -4"), ["tlb_ways = -4", "expected u32"]),
            (large("statistics = true", ""), ["missing field", "statistics"]),
            (large("statistics = true", "statistics ="), ["statistics =", "TOML parse error"]),
        ] {
            let message = error_of(&text);
            assert!(message.starts_with("board.toml: "), "{message}");
            for part in wanted {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let message = load(Path::new("no/such.toml")).expect_err("not there").to_string();
        assert!(message.starts_with("cannot read no/such.toml: "), "{message}");
    }
}
