//! `splitmem flash`: firmware onto the soft core.

use std::path::PathBuf;
use std::process::Command;

use verilator_tb::soc::{Debugger, Image, Isolation};

use crate::board::client::RemoteJtag;
use crate::board::{Board, BoardError, DEBUG_ADDRESS};
use crate::error::CliError;

/// The chip's name for probe-rs.
pub const CHIP: &str = "splitmem-soc";

/// Load firmware into the soft core's memory and start it.
///
/// On the simulated board it goes through the debug module's JTAG port, as it does on a real one;
/// for a real probe, probe-rs is called.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  splitmem flash --board sim
  splitmem flash --board sim my-firmware.elf
  splitmem flash --probe 0403:6010 --chip-description splitmem-soc.yaml my-firmware.elf")]
pub struct Args {
    /// The firmware, an ELF file [default: the memory monitor that was built with this program]
    elf: Option<PathBuf>,
    /// Which board
    #[arg(long, default_value_t = Board::Sim)]
    board: Board,
    /// Where the simulated board listens for debuggers
    #[arg(long, value_name = "HOST:PORT", default_value = DEBUG_ADDRESS)]
    debug: String,
    /// A real probe, as probe-rs names it
    #[arg(long, value_name = "VID:PID[:SERIAL]", requires_all = ["elf", "chip_description"])]
    probe: Option<String>,
    /// The chip's description for probe-rs
    #[arg(long, value_name = "FILE.yaml")]
    chip_description: Option<PathBuf>,
}

impl Args {
    /// Loads the firmware.
    ///
    /// # Errors
    /// [`CliError::Board`], [`CliError::Read`].
    pub fn run(self) -> Result<(), CliError> {
        let elf = read_elf(self.elf.as_ref())?;
        let name =
            self.elf.as_ref().map_or("the built firmware".into(), |p| p.display().to_string());
        let image =
            Image::read(&elf).map_err(|source| BoardError::Image { path: name.clone(), source })?;
        if let (Some(probe), Some(chip), Some(elf)) =
            (&self.probe, &self.chip_description, &self.elf)
        {
            let mut command = Command::new("probe-rs");
            command.args(["download", "--probe", probe, "--protocol", "jtag", "--chip", CHIP]);
            command.arg("--chip-description-path").arg(chip).arg(elf);
            return run_probe_rs(&mut command);
        }
        let Board::Sim = self.board;
        let mut debugger =
            Debugger::attach(RemoteJtag::connect(&self.debug)?).map_err(BoardError::from)?;
        debugger.halt().map_err(BoardError::from)?;
        let mut bytes = 0;
        for (at, segment) in image.segments() {
            bytes += segment.len();
            let words: Vec<u32> = segment
                .chunks(4)
                .map(|chunk| chunk.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)))
                .collect();
            debugger.write_words(at, &words).map_err(BoardError::from)?;
        }
        debugger.reset().map_err(BoardError::from)?;
        debugger.resume().map_err(BoardError::from)?;
        println!("{name}: {bytes} bytes loaded, started");
        Ok(())
    }
}

/// The ELF file, or the built-in firmware.
pub fn read_elf(path: Option<&PathBuf>) -> Result<Vec<u8>, CliError> {
    match path {
        None => Ok(Isolation::default().monitor().to_vec()),
        Some(path) => {
            std::fs::read(path).map_err(|source| CliError::Read { path: path.clone(), source })
        }
    }
}

/// Runs `probe-rs`, which prints what it does.
pub fn run_probe_rs(command: &mut Command) -> Result<(), CliError> {
    match command.status() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(BoardError::NoProbeRs.into())
        }
        Err(error) => Err(BoardError::Broken(error).into()),
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BoardError::ProbeRs(status).into()),
    }
}
