//! `splitmem abi`: the register map for people and for their tools.

use std::io::Write as _;
use std::path::PathBuf;

use splitmem_abi::config::HwConfig;
use splitmem_abi::emit::{markdown, svd, Side, SvdError};

use crate::error::CliError;
use crate::whole_file;

/// Print the register map: as documentation, or as a CMSIS-SVD file.
///
/// Hardware, firmware and driver are built from the same map. Reset values are those of the large
/// configuration.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    form: Form,
}

const SVD_EXAMPLES: &str = "\
Examples:
  splitmem abi svd -o splitmem.svd --base 0x40000000
  splitmem abi svd --side host | less";

#[derive(clap::Subcommand, Debug)]
enum Form {
    /// The register reference, a page of Markdown.
    Docs {
        /// Write to this file instead of the standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// A CMSIS-SVD file, for debuggers and generators of register access code.
    #[command(after_help = SVD_EXAMPLES)]
    Svd {
        /// Write to this file instead of the standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Whose view: what a side may not touch is left out.
        #[arg(long, value_enum, default_value_t = View::Monitor)]
        side: View,
        /// Address of the register window there, decimal or 0x hexadecimal.
        #[arg(long, value_name = "ADDRESS", default_value = "0", value_parser = address)]
        base: u64,
    },
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum View {
    Monitor,
    Host,
}

impl From<View> for Side {
    fn from(view: View) -> Self {
        match view {
            View::Monitor => Self::Monitor,
            View::Host => Self::Host,
        }
    }
}

fn address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}: an address is like 1073741824 or 0x40000000"))
}

/// Why the register map cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum AbiError {
    /// It breaks a rule of the format.
    #[error("the register map makes no CMSIS-SVD file: {0}")]
    Svd(#[from] SvdError),
}

impl Args {
    /// Prints the map.
    ///
    /// # Errors
    /// The file or the standard output cannot be written.
    pub fn run(self) -> Result<(), CliError> {
        let (text, output) = match self.form {
            Form::Docs { output } => (markdown(&HwConfig::LARGE, "large"), output),
            Form::Svd { output, side, base } => {
                (svd(&HwConfig::LARGE, side.into(), base).map_err(AbiError::from)?, output)
            }
        };
        match output {
            Some(path) => whole_file::write(&path, &text),
            None => std::io::stdout().lock().write_all(text.as_bytes()).map_err(CliError::Output),
        }
    }
}
