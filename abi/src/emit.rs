//! The register map in the forms that people and their tools read: a page of Markdown and a
//! CMSIS-SVD file. Both are printed from [`crate::regs::ALL`], so neither can be out of date.

mod markdown;
mod svd;

pub use markdown::markdown;
pub use svd::{svd, SvdError};

use crate::regs::{Access, Register};

/// The two sides that reach the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The memory monitor.
    Monitor,
    /// The host.
    Host,
}

impl Side {
    /// What the side may do with a register.
    pub const fn access(self, register: &Register) -> Access {
        match self {
            Self::Monitor => register.monitor,
            Self::Host => register.host,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Host => "host",
        }
    }
}

/// A register's description as running text.
fn prose(register: &Register) -> String {
    register.doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
