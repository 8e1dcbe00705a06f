//! Boards with a memory component, as the commands for them reach one: the simulated board of
//! `splitmem board`, over TCP.

pub mod client;
pub mod server;

use std::fmt;
use std::str::FromStr;

/// Where the simulated board listens for debuggers, unless told otherwise.
pub const DEBUG_ADDRESS: &str = "127.0.0.1:7777";
/// Where it listens for the host's register accesses.
pub const HOST_ADDRESS: &str = "127.0.0.1:7778";

/// Which board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Board {
    /// The one that `splitmem board` simulates.
    Sim,
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sim")
    }
}

impl FromStr for Board {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sim" => Ok(Self::Sim),
            _ => Err(format!(
                "no such board: {name}; there is sim. A board with a probe: see --probe of \
                 'splitmem flash' and 'splitmem log'"
            )),
        }
    }
}

/// What went wrong with a board.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// Nobody listens.
    #[error(
        "the simulated board is not running at {address} ({source}).\n\
         Start it in another terminal: splitmem board"
    )]
    NotRunning {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The board cannot listen.
    #[error("cannot listen at {address}: {source}. Is another board running there?")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection to the board broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The other side does not speak the protocol.
    #[error("what listens there is no board: it answered {0:?}")]
    Protocol(String),
    /// Debugging.
    #[error("{0}")]
    Debug(String),
    /// The firmware image.
    #[error("{}: {source}", path)]
    Image {
        /// Its file, or what it is.
        path: String,
        /// What is wrong.
        source: verilator_tb::soc::ImageError,
    },
    /// Its log.
    #[error(transparent)]
    Log(#[from] verilator_tb::soc::LogError),
    /// The component's answer to a command.
    #[error(transparent)]
    Mailbox(#[from] pcomponent_driver::backend::client::MailboxError),
    /// `probe-rs`, for real probes.
    #[error(
        "probe-rs is not installed, which drives real probes.\n\
         Install it: cargo install probe-rs-tools --locked (ten minutes), or see https://probe.rs"
    )]
    NoProbeRs,
    /// `probe-rs` failed; it has said why.
    #[error("probe-rs ended with {0}")]
    ProbeRs(std::process::ExitStatus),
}
