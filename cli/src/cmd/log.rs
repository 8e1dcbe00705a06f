//! `splitmem log`: the firmware's log, decoded.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use verilator_tb::soc::{Debugger, Image, Log, RttChannel};

use super::flash::{read_elf, run_probe_rs, CHIP};
use crate::board::client::RemoteJtag;
use crate::board::{Board, BoardError, DEBUG_ADDRESS};
use crate::error::CliError;
use crate::interrupt::Interrupt;

/// Between two looks at the log.
const PERIOD: Duration = Duration::from_millis(100);

/// Print the firmware's log as it comes, with file and line, until Ctrl-C.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  splitmem log --board sim
  splitmem log --board sim --seconds 2
  splitmem log --probe 0403:6010 --chip-description splitmem-soc.yaml my-firmware.elf")]
pub struct Args {
    /// The firmware that runs, an ELF file [default: the one that was built with this program]
    elf: Option<PathBuf>,
    /// Which board
    #[arg(long, default_value_t = Board::Sim)]
    board: Board,
    /// Where the simulated board listens for debuggers
    #[arg(long, value_name = "HOST:PORT", default_value = DEBUG_ADDRESS)]
    debug: String,
    /// Stop after that many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// A real probe, as probe-rs names it
    #[arg(long, value_name = "VID:PID[:SERIAL]", requires_all = ["elf", "chip_description"])]
    probe: Option<String>,
    /// The chip's description for probe-rs
    #[arg(long, value_name = "FILE.yaml")]
    chip_description: Option<PathBuf>,
}

impl Args {
    /// Prints the log.
    ///
    /// # Errors
    /// [`CliError::Board`], [`CliError::Read`].
    pub fn run(self) -> Result<(), CliError> {
        if let (Some(probe), Some(chip), Some(elf)) =
            (&self.probe, &self.chip_description, &self.elf)
        {
            let mut command = Command::new("probe-rs");
            command.args(["attach", "--probe", probe, "--protocol", "jtag", "--chip", CHIP]);
            command.arg("--chip-description-path").arg(chip).arg(elf);
            return run_probe_rs(&mut command);
        }
        let Board::Sim = self.board;
        let elf = read_elf(self.elf.as_deref())?;
        let name =
            self.elf.as_ref().map_or("the built firmware".into(), |p| p.display().to_string());
        let image = Image::read(&elf).map_err(|source| BoardError::Image { path: name, source })?;
        let mut log = Log::new(&elf).map_err(BoardError::from)?;
        let ring = image.symbol("_SEGGER_RTT").map(RttChannel::new).ok_or_else(|| {
            BoardError::Debug("this firmware has no log in its memory (_SEGGER_RTT)".to_owned())
        })?;
        let mut debugger =
            Debugger::attach(RemoteJtag::connect(&self.debug)?).map_err(BoardError::from)?;
        let interrupt = Interrupt::install();
        let start = Instant::now();
        let over = |start: Instant| {
            self.seconds.is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds))
        };
        loop {
            let bytes = ring.take(&mut debugger).map_err(BoardError::from)?;
            for line in log.lines(&bytes) {
                println!("{line}");
            }
            if interrupt.is_raised() || over(start) {
                return Ok(());
            }
            std::thread::sleep(PERIOD);
        }
    }
}
