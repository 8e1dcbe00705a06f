//! The configurations of the hardware that are Verilated. Used by the build script too.

use splitmem_abi::config::HwConfig;

/// A Verilated configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Hw {
    /// The large component, [`HwConfig::LARGE`].
    Large,
    /// The small component, [`HwConfig::SMALL`], whose DRAM port is narrower than a line.
    Small,
}

impl Hw {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Large, Self::Small];

    /// Its parameters.
    pub const fn config(self) -> HwConfig {
        match self {
            Self::Large => HwConfig::LARGE,
            Self::Small => HwConfig::SMALL,
        }
    }

    /// Its name: `large` or `small`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Large => "large",
            Self::Small => "small",
        }
    }
}

impl std::fmt::Display for Hw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Hw {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|hw| hw.name() == name);
        found.ok_or_else(|| format!("no such configuration: {name}; there are large and small"))
    }
}
