//! [`Hardware`]: which component is simulated.

use std::path::PathBuf;
use std::str::FromStr;

use splitmem_abi::config::HwConfig;
use splitmem_hdl::config::{self, ConfigLoadError};

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
    /// The file.
    #[error(transparent)]
    Load(#[from] ConfigLoadError),
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
        Ok(match self {
            Self::Large => HwConfig::LARGE,
            Self::Small => HwConfig::SMALL,
            Self::File(path) => config::load(path)?,
        })
    }
}
