//! A bitstream into a board, by openFPGALoader: what it is called with, and what its words mean.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::boards::Board;
use crate::error::CliError;

/// How a board is loaded.
pub struct Loading {
    /// openFPGALoader's name for it.
    pub board: &'static str,
    /// What openFPGALoader calls its FPGA.
    pub model: &'static str,
    /// What the comment at the beginning of its bitstreams says.
    pub part: &'static str,
    /// The connector.
    pub port: &'static str,
    /// The udev rule that lets an ordinary user reach it.
    pub udev: &'static str,
}

/// Why a board was not flashed.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// No bitstream there.
    #[error(
        "no bitstream at {}: build it with 'splitmem bitstream build {board}', or say where it is \
         with --bitstream", path.display()
    )]
    NoBitstream {
        /// Where.
        path: PathBuf,
        /// For which board.
        board: &'static str,
    },
    /// Something else is there.
    #[error("{} is no bitstream for an {part}", path.display())]
    NotABitstream {
        /// Where.
        path: PathBuf,
        /// What it should be for.
        part: &'static str,
    },
    /// No openFPGALoader.
    #[error(
        "{} cannot be started ({source}): install it with 'apt-get install openfpgaloader', or say \
         where it is with --loader", loader.display()
    )]
    NoLoader {
        /// What was tried.
        loader: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No board.
    #[error(
        "no board was found: is it connected to its {port} with a cable that carries data?\n{text}"
    )]
    NoBoard {
        /// The connector.
        port: &'static str,
        /// The loader's words.
        text: String,
    },
    /// Not allowed.
    #[error(
        "the board may not be used by this user: 'splitmem flash {board} --udev' prints the rule that \
         allows it\n{text}"
    )]
    NoPermission {
        /// Which board.
        board: &'static str,
        /// The loader's words.
        text: String,
    },
    /// Somebody else has it.
    #[error(
        "another program uses the board: end it (a terminal, 'splitmem sim', a debugger)\n{0}"
    )]
    Busy(String),
    /// Another FPGA.
    #[error("the board found is another one: its FPGA is no {part}, nothing was written\n{text}")]
    WrongBoard {
        /// What it should be.
        part: &'static str,
        /// The loader's words.
        text: String,
    },
    /// It began and did not end well.
    #[error(
        "writing was interrupted or failed; the board may now hold half a bitstream: run the same \
         command again (the loader itself cannot be damaged)\n{0}"
    )]
    Interrupted(String),
}

/// What is to be done.
pub struct Load<'a> {
    /// To which board.
    pub board: &'static Board,
    /// How it is loaded.
    pub loading: &'static Loading,
    /// With what.
    pub bitstream: &'a Path,
    /// For every power-up from now on, or until the next one.
    pub save: bool,
    /// The loader.
    pub loader: &'a Path,
}

impl Load<'_> {
    /// Refuses what is no bitstream for this board.
    ///
    /// # Errors
    /// [`FlashError::NoBitstream`], [`FlashError::NotABitstream`].
    pub fn check(&self) -> Result<(), FlashError> {
        let path = || self.bitstream.to_owned();
        let bytes = std::fs::read(self.bitstream)
            .map_err(|_| FlashError::NoBitstream { path: path(), board: self.board.name })?;
        // A comment tells the part; the preamble that an ECP5 waits for (Lattice TN1260) follows it.
        let head = &bytes[..bytes.len().min(1024)];
        let has = |wanted: &[u8]| head.windows(wanted.len()).any(|window| window == wanted);
        let part = self.loading.part;
        if has(&[0xFF, 0xFF, 0xBD, 0xB3]) && has(part.as_bytes()) {
            Ok(())
        } else {
            Err(FlashError::NotABitstream { path: path(), part })
        }
    }

    /// The commands: look which FPGA is there, then write.
    pub fn commands(&self) -> [Vec<String>; 2] {
        let board = ["--board", self.loading.board].map(str::to_owned);
        let mut write = board.to_vec();
        if self.save {
            write.push("--write-flash".to_owned());
        }
        write.push(self.bitstream.display().to_string());
        [[&board[..], &["--detect".to_owned()]].concat(), write]
    }

    /// Does it. What the loader says while it writes is shown.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn run(&self) -> Result<(), CliError> {
        let [detect, write] = self.commands();
        let (status, text) = self.call(&detect, false)?;
        if !status.success() {
            return Err(self.failure(&text).into());
        }
        let loading = self.loading;
        if !text.contains(loading.model) {
            let (part, text) = (loading.part, last_lines(&text));
            return Err(FlashError::WrongBoard { part, text }.into());
        }
        let (status, text) = self.call(&write, true)?;
        if status.success() {
            return Ok(());
        }
        Err(self.failure(&text).into())
    }

    /// Calls the loader; gives how it ended and what it said.
    fn call(&self, arguments: &[String], show: bool) -> Result<(ExitStatus, String), FlashError> {
        let broken = |source| FlashError::NoLoader { loader: self.loader.to_owned(), source };
        let mut child = Command::new(self.loader)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let said = std::thread::scope(|scope| {
            let listens = scope.spawn(|| out.map_or_else(Vec::new, |out| listen(out, show)));
            let errors = err.map_or_else(Vec::new, |err| listen(err, show));
            [listens.join().unwrap_or_default(), errors].concat()
        });
        let status = child.wait().map_err(broken)?;
        Ok((status, String::from_utf8_lossy(&said).into_owned()))
    }

    /// What openFPGALoader's words mean.
    fn failure(&self, text: &str) -> FlashError {
        let loading = self.loading;
        let lower = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let text = last_lines(text);
        if has(&["permission", "access denied", "usb_open() failed"]) {
            FlashError::NoPermission { board: self.board.name, text }
        } else if has(&["unable to claim", "resource busy"]) {
            FlashError::Busy(text)
        } else if has(&["mismatch between target", "unknown device", "fpga not supported"]) {
            FlashError::WrongBoard { part: loading.part, text }
        } else if has(&["device not found", "no device found", "jtag init failed"]) {
            FlashError::NoBoard { port: loading.port, text }
        } else {
            FlashError::Interrupted(text)
        }
    }
}

/// All that comes, also shown while it comes.
fn listen(mut from: impl Read, show: bool) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1024]);
    // A pipe that breaks has ended.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
        if show {
            // Without a standard error there is nobody to show it to.
            let _ = io::stderr().write_all(&buffer[..count]);
        }
    }
    all
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
