//! `splitmem bitstream`: from our hardware description to the bytes that configure a board's FPGA.

use std::path::PathBuf;

use crate::error::CliError;
use crate::fpga::boards::{BoardName, SEEDS};
use crate::fpga::build::{write, Job};

const AFTER_HELP: &str = "\
What goes in is fixed, seeds included, so the same sources and tools give the same bytes. Yosys and
nextpnr come with 'scripts/setup.sh synth'. Without -o the bitstream and its report go to
bitstreams/BOARD, where they are kept. All that is made on the way is in the work folder: Verilog,
netlist, logs, placements. A build that was stopped goes on there: what was made of the same sources by
the same tools is not made again. Delete the folder to make all of it again.

Examples:
  splitmem bitstream build ulx3s
  splitmem bitstream build ulx3s -o build/ulx3s --seed 2 --seed 3
  splitmem bitstream hash ulx3s";

/// Build the bitstream of a board.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Synthesise, place, route and pack.
    Build {
        /// Which board.
        board: BoardName,
        /// Folder for the bitstream and report.json [default: bitstreams/BOARD]
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Folder for what is made on the way [default: build/BOARD]
        #[arg(short, long, value_name = "DIR")]
        work: Option<PathBuf>,
        /// Seed of a placement; the best one of several makes the bitstream
        #[arg(long, value_name = "N", default_values_t = SEEDS)]
        seed: Vec<u32>,
        /// Placements at once; each takes a processor and 2 GiB
        #[arg(short, long, value_name = "N", default_value_t = 1)]
        jobs: usize,
        /// Print one flat JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write the sources that go into a board's bitstream. In the ULX3S's ulx3s.v module `top` is all
    /// but pads and clocks.
    Emit {
        /// Which board.
        board: BoardName,
        /// Folder to write to; it is made if it is not there.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Print the hash of the hardware that goes into a board's bitstream, with constraints and recipe; its
    /// report holds the one it came from.
    Hash {
        /// Which board.
        board: BoardName,
    },
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// A tool that is missing or fails, Ctrl-C, the folders, a clock that is not reached.
    pub fn run(self) -> Result<(), CliError> {
        match self.action {
            Action::Hash { board } => {
                let board = board.board();
                println!("{}", board.inputs(&(board.sources)()?));
                Ok(())
            }
            Action::Emit { board, output } => write(&(board.board().sources)()?, &output),
            Action::Build { board, output, work, seed, jobs, json } => {
                let board = board.board();
                let output = output.unwrap_or_else(|| board.folder());
                let work = work.unwrap_or_else(|| PathBuf::from("build").join(board.name));
                let job = Job { board, seeds: &seed, jobs, work: &work, output: &output };
                job.run()?.facts().print(json)
            }
        }
    }
}
