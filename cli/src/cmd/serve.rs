//! `splitmem serve`: a simulated board behind a terminal path, for programs that want a serial port, or
//! as a PCI device of another process.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use board_sim::host::Wire;
use board_sim::{Board, BoardError, Defect};
use clap::ValueEnum;
use serialport::{SerialPort as _, TTYPort};
use splitmem_hdl::board::ulx3s;
use verilator_tb::soc::{Image, Isolation};

use super::serve_vfio::{self, PciArgs};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::machine::MachineError;

const EXAMPLES: &str = "\
At a pseudo-terminal the board is simulated down to its pins: serial line and SDRAM chip. It is 20 and
more times slower than a real one. It prints the path of its terminal, and works until Ctrl-C.

As a PCI device (vfio-user) it is the component behind its PCIe endpoint. Simulated time passes while
the device has work. One client at a time; what it stored stays there for the next one. QEMU 10.1 or
newer puts the device into a virtual machine:
  -object memory-backend-memfd,id=m0,size=512M,share=on -machine memory-backend=m0
  -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"SOCKET\"}}'

Examples:
  splitmem serve --board ulx3s --pty
  splitmem sim wordcount notes.txt --backend serial --port /dev/pts/7
  splitmem serve --vfio-user board.sock
  splitmem sim wordcount notes.txt --backend vfio-user --port board.sock";

/// Cycles between looks at the terminal.
const SLICE: u32 = 256;
/// Slices without a byte after which the simulation pauses between slices.
const QUIET: u32 = 2000;

/// A board that can be simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SimulatedBoard {
    /// Radiona ULX3S with an ECP5-85F
    Ulx3s,
}

/// Simulate a board and serve it as a serial port, or as a PCI device.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which board
    #[arg(long, value_enum, required_unless_present = "vfio_user", requires = "pty")]
    board: Option<SimulatedBoard>,
    /// Serve it at a pseudo-terminal, whose path is printed
    #[arg(long, requires = "board")]
    pty: bool,
    /// Give the SDRAM a data wire that is stuck at 0, to see what its test says
    #[arg(long, value_name = "WIRE", value_parser = clap::value_parser!(u8).range(0..16))]
    broken_wire: Option<u8>,
    /// Damage, lose or repeat bytes on the serial line, both ways: so many of a thousand
    #[arg(long, value_name = "N", default_value_t = 0, requires = "pty", value_parser = clap::value_parser!(u32).range(0..=100))]
    noise: u32,
    /// Serve the component with its PCIe endpoint as a PCI device, at this socket
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["board", "pty", "broken_wire", "noise"])]
    vfio_user: Option<PathBuf>,
    #[command(flatten)]
    pci: PciArgs,
}

/// Why a board cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// Its host.
    #[error("the simulated board's host: {0}")]
    Host(#[from] board_sim::host::HostError),
    /// The terminal.
    #[error("cannot serve the board at a pseudo-terminal: {0}")]
    Terminal(std::io::Error),
    /// The PCI device.
    #[error(transparent)]
    Pci(#[from] verilator_tb::pcie::ServeError),
}

impl Args {
    /// Serves until Ctrl-C.
    ///
    /// # Errors
    /// [`CliError::Serve`], [`CliError::Output`], [`CliError::Interrupted`].
    pub fn run(self) -> Result<(), CliError> {
        if let Some(socket) = &self.vfio_user {
            return serve_vfio::run(socket, &self.pci);
        }
        let interrupt = Interrupt::install();
        let terminal = |e: serialport::Error| ServeError::Terminal(e.into());
        // Both ends are kept: a client that leaves does not end the terminal.
        let (mut ours, theirs) = TTYPort::pair().map_err(terminal)?;
        ours.set_timeout(Duration::ZERO).map_err(terminal)?;
        let path = theirs.name().unwrap_or_default();
        let defect = self.broken_wire.map(|bit| Defect::DataStuck { bit, high: false });
        let image = Image::read(Isolation::within(ulx3s::SOC.pmp_regions).monitor())
            .map_err(verilator_tb::MachineError::from);
        let image = image.map_err(MachineError::from)?;
        let mut board = Board::power_up(image.segments(), defect).map_err(ServeError::from)?;
        println!("{path}");
        std::io::stdout().flush().map_err(CliError::Output)?;
        let (mut to_board, mut to_host) = (Wire::new(self.noise, 1), Wire::new(self.noise, 2));
        let mut buffer = [0; 4096];
        let mut quiet = 0;
        loop {
            interrupt.check()?;
            match ours.read(&mut buffer) {
                Ok(count) => {
                    board.send(&to_board.carry(&buffer[..count]));
                    quiet = 0;
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted
                    ) => {}
                Err(e) => return Err(ServeError::Terminal(e).into()),
            }
            (0..SLICE).for_each(|_| board.tick());
            board.check().map_err(ServeError::from)?;
            let heard = to_host.carry(&board.heard());
            if !heard.is_empty() {
                quiet = 0;
                ours.set_timeout(Duration::from_secs(1)).map_err(terminal)?;
                // With nobody there the terminal's buffer fills up: such bytes are lost, as on a cable.
                match ours.write_all(&heard) {
                    Ok(()) => {}
                    Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {}
                    Err(e) => return Err(ServeError::Terminal(e).into()),
                }
                ours.set_timeout(Duration::ZERO).map_err(terminal)?;
            }
            quiet += u32::from(board.queued() == 0);
            if quiet > QUIET {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}
