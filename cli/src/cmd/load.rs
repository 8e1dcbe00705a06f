//! `splitmem bitstream flash`: a bitstream into a board.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::bitstream::BoardName;
use crate::error::CliError;

/// What lets an ordinary user reach the ULX3S's FT231X.
const UDEV_RULE: &str = "\
# /etc/udev/rules.d/80-ulx3s.rules: Radiona ULX3S (FT231X). After writing it, as root:
#   udevadm control --reload && udevadm trigger
SUBSYSTEM==\"usb\", ATTRS{idVendor}==\"0403\", ATTRS{idProduct}==\"6015\", MODE=\"664\", GROUP=\"plugdev\", TAG+=\"uaccess\"
SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"0403\", ATTRS{idProduct}==\"6015\", MODE=\"664\", GROUP=\"dialout\", TAG+=\"uaccess\"
";

const AFTER_HELP: &str = "\
The work is done by openFPGALoader: 'apt-get install openfpgaloader' on Debian. Without --save the
bitstream is gone when the board is switched off.

Examples:
  splitmem bitstream flash ulx3s --bitstream build/ulx3s/ulx3s.bit
  splitmem bitstream flash ulx3s --bitstream build/ulx3s/ulx3s.bit --save
  splitmem bitstream flash ulx3s --bitstream build/ulx3s/ulx3s.bit --dry-run
  splitmem bitstream flash ulx3s --udev | sudo tee /etc/udev/rules.d/80-ulx3s.rules";

/// Load a bitstream into a board.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Which board
    board: BoardName,
    /// The bitstream, as 'splitmem bitstream build' made it
    #[arg(long, value_name = "FILE", required_unless_present = "udev")]
    bitstream: Option<PathBuf>,
    /// Write it to the board's flash memory, so that it is loaded at every power-up
    #[arg(long)]
    save: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the udev rule that lets an ordinary user reach the board
    #[arg(long)]
    udev: bool,
    /// The openFPGALoader to use [default: the one on the PATH]
    #[arg(long, value_name = "FILE")]
    loader: Option<PathBuf>,
}

/// Why a board was not flashed.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// No bitstream there.
    #[error("no bitstream at {}: build it with 'splitmem bitstream build ulx3s -o DIR'", .0.display())]
    NoBitstream(PathBuf),
    /// Something else is there.
    #[error("{} is no ECP5 bitstream", .0.display())]
    NotABitstream(PathBuf),
    /// No openFPGALoader.
    #[error(
        "{} cannot be started ({source}): install it with 'apt-get install openfpgaloader', or say \
         where it is with --loader", loader.display()
    )]
    NoLoader {
        /// What was tried.
        loader: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No board.
    #[error(
        "no board was found: is it connected to its US1 port with a cable that carries data?\n{0}"
    )]
    NoBoard(String),
    /// Not allowed.
    #[error(
        "the board may not be used by this user: 'splitmem bitstream flash ulx3s --udev' prints the rule that \
         allows it\n{0}"
    )]
    NoPermission(String),
    /// Another FPGA.
    #[error("the board found is not the one that this bitstream is for (LFE5U-85F):\n{0}")]
    WrongBoard(String),
    /// It began and did not end well.
    #[error(
        "writing was interrupted or failed; the board may now hold half a bitstream: run the same \
         command again (the loader itself cannot be damaged)\n{0}"
    )]
    Interrupted(String),
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CliError::Flash`], or the output.
    pub fn run(self) -> Result<(), CliError> {
        if self.udev {
            print!("{UDEV_RULE}");
            return Ok(());
        }
        let bitstream = self.bitstream.clone().unwrap_or_default();
        check(&bitstream)?;
        let loader = self.loader.clone().unwrap_or_else(|| "openFPGALoader".into());
        let arguments = arguments(&bitstream, self.save);
        if self.dry_run {
            println!("{} {}", loader.display(), arguments.join(" "));
            return Ok(());
        }
        let output = Command::new(&loader)
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| FlashError::NoLoader { loader, source })?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        if output.status.success() {
            println!("The bitstream is in the board. Its LED 0 lights when its memory is ready.");
            return Ok(());
        }
        Err(failure(&text).into())
    }
}

fn check(path: &Path) -> Result<(), FlashError> {
    let bytes = std::fs::read(path).map_err(|_| FlashError::NoBitstream(path.to_owned()))?;
    // The preamble that an ECP5 waits for (Lattice TN1260) follows a comment.
    let head = &bytes[..bytes.len().min(1024)];
    if head.windows(4).any(|window| window == [0xFF, 0xFF, 0xBD, 0xB3]) {
        Ok(())
    } else {
        Err(FlashError::NotABitstream(path.to_owned()))
    }
}

fn arguments(bitstream: &Path, save: bool) -> Vec<String> {
    let mut arguments = vec!["--board".to_owned(), "ulx3s".to_owned()];
    if save {
        arguments.push("--write-flash".to_owned());
    }
    arguments.push(bitstream.display().to_string());
    arguments
}

/// What openFPGALoader's words mean.
fn failure(text: &str) -> FlashError {
    let lines: Vec<_> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(8)..].join("\n");
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["permission", "access denied", "error code -4 (usb_open", "usb_open() failed"]) {
        FlashError::NoPermission(end)
    } else if has(&["device not found", "unable to open ftdi", "no device", "cable not found"]) {
        FlashError::NoBoard(end)
    } else if has(&["mismatch between target", "idcode", "unknown device", "wrong device"]) {
        FlashError::WrongBoard(end)
    } else {
        FlashError::Interrupted(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_says_is_told_apart() {
        for (text, wanted) in [
            ("unable to open ftdi device: -3 (device not found)\nJTAG init failed", "no board"),
            ("unable to open ftdi device: -4 (usb_open() failed)", "may not be used"),
            ("mismatch between target's idcode and bitstream idcode", "not the one"),
            ("Loading: [====      ] 40.00%\nwrite error", "run the same command again"),
        ] {
            let message = failure(text).to_string();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }

    #[test]
    fn a_file_that_is_no_bitstream_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.bit");
        assert!(matches!(check(&file), Err(FlashError::NoBitstream(_))));
        std::fs::write(&file, b"hello").expect("write");
        assert!(matches!(check(&file), Err(FlashError::NotABitstream(_))));
        std::fs::write(&file, b"\xff\x00Part: LFE5U-85F\x00\xff\xff\xbd\xb3").expect("write");
        assert!(check(&file).is_ok());
        let words = arguments(&file, true).join(" ");
        assert!(words.starts_with("--board ulx3s --write-flash "));
    }
}
