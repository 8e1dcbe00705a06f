//! [`Hardware`]: which component is simulated.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use splitmem_abi::config::{ConfigError, HwConfig};

/// A hardware configuration, by name or in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hardware {
    /// What the simulator runs by default.
    Large,
    /// What fits a board.
    Small,
    /// A TOML file with the parameters of [`HwConfig`].
    File(PathBuf),
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HardwareError {
    /// Neither a name nor a file.
    #[error("expected large, small, or the path of a .toml file")]
    Name,
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML, or a key is unknown, missing or of the wrong kind.
    #[error("{}: {error}", path.display())]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and in which line.
        error: toml::de::Error,
    },
    /// A parameter that the hardware cannot be built with.
    #[error("{}: {error}", path.display())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Which parameter.
        error: ConfigError,
    },
}

impl FromStr for Hardware {
    type Err = HardwareError;

    fn from_str(text: &str) -> Result<Self, HardwareError> {
        match text {
            "large" => Ok(Self::Large),
            "small" => Ok(Self::Small),
            _ if text.ends_with(".toml") => Ok(Self::File(text.into())),
            _ => Err(HardwareError::Name),
        }
    }
}

impl std::fmt::Display for Hardware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Large => f.write_str("large"),
            Self::Small => f.write_str("small"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Hardware {
    /// The parameters, read and checked.
    ///
    /// # Errors
    /// [`HardwareError`].
    pub fn config(&self) -> Result<HwConfig, HardwareError> {
        let path = match self {
            Self::Large => return Ok(HwConfig::LARGE),
            Self::Small => return Ok(HwConfig::SMALL),
            Self::File(path) => path.clone(),
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(HardwareError::Read { path, source }),
        };
        let config: HwConfig = match toml::from_str(&text) {
            Ok(config) => config,
            Err(error) => return Err(HardwareError::Parse { path, error }),
        };
        match config.check() {
            Ok(()) => Ok(config),
            Err(error) => Err(HardwareError::Range { path, error }),
        }
    }
}
