//! `splitmem flash`: a bitstream into a board, or firmware onto its soft core.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::builder::PossibleValue;
use clap::ValueEnum;
use verilator_tb::soc::{Debugger, Image, Isolation};

use crate::board::client::RemoteJtag;
use crate::board::{BoardError, DEBUG_ADDRESS};
use crate::error::CliError;
use crate::fpga::boards::{Board, BoardName, Way};
use crate::fpga::companion::Companion;
use crate::fpga::loader::{Load, Loading};

/// The chip's name for probe-rs.
pub const CHIP: &str = "splitmem-soc";
/// Its description for probe-rs.
const DESCRIPTION: &str = include_str!("../../../mcomponent-firmware/softcore/splitmem-soc.yaml");

const AFTER_HELP: &str = "\
A board is given its bitstream by openFPGALoader: 'apt-get install openfpgaloader' on Debian. Without
--save the bitstream is gone when the board is switched off. The memory monitor is part of it.

The pico-ice's RP2040 configures the FPGA at every start: bitstream and, as FIRMWARE, its own program go
into its flash by probe-rs, with a debug probe at its SWD pads.

With FIRMWARE other firmware goes onto the soft core, until the next reset: over the debug module's
JTAG pins by a probe (--probe, with probe-rs), or onto the board that 'splitmem board' simulates.

Examples:
  splitmem flash ulx3s
  splitmem flash ulx3s --save
  splitmem flash ulx3s --bitstream build/ulx3s/ulx3s.bit --dry-run
  splitmem flash ulx3s --udev | sudo tee /etc/udev/rules.d/80-ulx3s.rules
  splitmem flash ulx3s my-firmware.elf --probe 0403:6010
  splitmem flash pico-ice
  splitmem flash pico-ice monitor.elf
  splitmem flash sim
  splitmem flash sim my-firmware.elf";

/// A board that can be flashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Fpga(BoardName),
    Sim,
}

impl ValueEnum for Target {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Fpga(BoardName::Ulx3s), Self::Fpga(BoardName::PicoIce), Self::Sim]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Fpga(board) => board.to_possible_value(),
            Self::Sim => {
                Some(PossibleValue::new("sim").help("The one that 'splitmem board' simulates"))
            }
        }
    }
}

/// Load a bitstream into a board, or firmware onto its soft core.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Which board
    #[arg(value_enum)]
    board: Target,
    /// Firmware for the soft core, an ELF file
    #[arg(conflicts_with_all = ["bitstream", "save", "udev", "loader"])]
    firmware: Option<PathBuf>,
    /// The bitstream [default: bitstreams/BOARD/BOARD.bit]
    #[arg(long, value_name = "FILE")]
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
    /// The probe at the board's debug pins, as probe-rs names it
    #[arg(long, value_name = "VID:PID[:SERIAL]")]
    probe: Option<String>,
    /// Where the simulated board listens for debuggers
    #[arg(long, value_name = "HOST:PORT", default_value = DEBUG_ADDRESS)]
    debug: String,
}

impl Args {
    /// Flashes.
    ///
    /// # Errors
    /// [`CliError::Flash`], [`CliError::Board`], [`CliError::Read`], [`CliError::Usage`].
    pub fn run(self) -> Result<(), CliError> {
        match (self.board, &self.firmware) {
            (Target::Sim, _) if self.bitstream.is_some() || self.save || self.udev => {
                Err(CliError::Usage("the simulated board takes firmware only".to_owned()))
            }
            (Target::Sim, firmware) => self.onto_simulation(firmware.as_deref()),
            (Target::Fpga(board), firmware) => {
                let board = board.board();
                match (&board.loading, firmware) {
                    (Way::Companion(companion), firmware) => {
                        self.by_companion(board, companion, firmware.as_deref())
                    }
                    (Way::Cable(loading), None) => self.load(board, loading),
                    (Way::Cable(_), Some(firmware)) => self.over_probe(firmware),
                }
            }
        }
    }

    fn bitstream_of(&self, board: &Board) -> PathBuf {
        self.bitstream.clone().unwrap_or_else(|| board.folder().join(board.bitstream()))
    }

    /// Bitstream, or firmware, into the flash of the board's microcontroller.
    fn by_companion(
        &self,
        board: &'static Board,
        companion: &Companion,
        firmware: Option<&Path>,
    ) -> Result<(), CliError> {
        if self.udev || self.save || self.loader.is_some() {
            let what = format!(
                "the {} is flashed by probe-rs, for good, and needs none of this",
                board.name
            );
            return Err(CliError::Usage(what));
        }
        let probe = self.probe.as_deref();
        let mut command = match firmware {
            Some(firmware) => companion.firmware(firmware, probe)?,
            None => companion.bitstream(board, &self.bitstream_of(board), probe)?,
        };
        if self.dry_run {
            let words = command.get_args().map(|word| word.to_string_lossy());
            println!("probe-rs {}", words.collect::<Vec<_>>().join(" "));
            return Ok(());
        }
        run_probe_rs(&mut command)
    }

    fn load(&self, board: &'static Board, loading: &'static Loading) -> Result<(), CliError> {
        if self.probe.is_some() {
            let what = "a probe is for firmware: say which to load".to_owned();
            return Err(CliError::Usage(what));
        }
        if self.udev {
            print!("{}", loading.udev);
            return Ok(());
        }
        let bitstream = self.bitstream_of(board);
        let loader = self.loader.clone().unwrap_or_else(|| "openFPGALoader".into());
        let load = Load { board, loading, bitstream: &bitstream, save: self.save, loader: &loader };
        load.check()?;
        if self.dry_run {
            for arguments in load.commands() {
                println!("{} {}", loader.display(), arguments.join(" "));
            }
            return Ok(());
        }
        load.run()?;
        println!("The bitstream is in the board. Its LED 0 lights when its memory is ready.");
        Ok(())
    }

    fn over_probe(&self, firmware: &Path) -> Result<(), CliError> {
        let Some(probe) = &self.probe else {
            let what =
                "firmware reaches a board through a probe at its JTAG pins: say which with --probe";
            return Err(CliError::Usage(what.to_owned()));
        };
        check(firmware)?;
        let description = tempfile::Builder::new().suffix(".yaml").tempfile();
        let description =
            description.map_err(|source| CliError::Write { path: std::env::temp_dir(), source })?;
        std::fs::write(description.path(), DESCRIPTION)
            .map_err(|source| CliError::Write { path: description.path().to_owned(), source })?;
        let mut command = Command::new("probe-rs");
        command.args(["download", "--probe", probe, "--protocol", "jtag", "--chip", CHIP]);
        command.arg("--chip-description-path").arg(description.path()).arg(firmware);
        if self.dry_run {
            let words = command.get_args().map(|word| word.to_string_lossy());
            println!("probe-rs {}", words.collect::<Vec<_>>().join(" "));
            return Ok(());
        }
        run_probe_rs(&mut command)
    }

    fn onto_simulation(&self, firmware: Option<&Path>) -> Result<(), CliError> {
        let elf = read_elf(firmware)?;
        let name = firmware.map_or("the built firmware".into(), |p| p.display().to_string());
        let image = image(&elf, &name)?;
        if self.dry_run {
            println!("{name} would be loaded over JTAG at {}", self.debug);
            return Ok(());
        }
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

fn image(elf: &[u8], name: &str) -> Result<Image, CliError> {
    let wrong = |source| BoardError::Image { path: name.to_owned(), source };
    Ok(Image::read(elf).map_err(wrong)?)
}

/// Refuses what does not run on the core, before a probe is asked.
fn check(firmware: &Path) -> Result<(), CliError> {
    image(&read_elf(Some(firmware))?, &firmware.display().to_string()).map(drop)
}

/// The ELF file, or the built-in firmware.
pub fn read_elf(path: Option<&Path>) -> Result<Vec<u8>, CliError> {
    match path {
        None => Ok(Isolation::default().monitor().to_vec()),
        Some(path) => {
            std::fs::read(path).map_err(|source| CliError::Read { path: path.to_owned(), source })
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
