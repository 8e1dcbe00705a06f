//! `splitmem`: simulate, drive and measure memory as a component.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use splitmem_cli::cmd;
use splitmem_cli::error::CliError;

/// Memory as a component: simulate, drive and measure it.
///
/// The memory component owns DRAM, page tables, TLB and page faults; the host keeps virtual
/// addresses and caches. This program runs real work on a simulated component and measures it.
#[derive(Parser)]
#[command(name = "splitmem", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed (the message says what to do), 2 wrong usage, 130 stopped by Ctrl-C.
Every command explains itself with examples: splitmem COMMAND --help";

#[derive(Subcommand)]
enum Command {
    Abi(cmd::abi::Args),
    Bench(cmd::bench::Args),
    #[command(hide = true)]
    BenchKernel(cmd::bench_kernel::Args),
    Board(cmd::board::Args),
    Bitstream(cmd::bitstream::Args),
    Calibrate(cmd::calibrate::Args),
    Component(cmd::component::Args),
    Devices(cmd::devices::Args),
    Dram(cmd::dram::Args),
    Replay(cmd::replay::Args),
    Run(cmd::run::Args),
    Serve(cmd::serve::Args),
    Sim(cmd::sim::Args),
    Top(cmd::top::Args),
    Latency(cmd::latency::Args),
    Lockstep(cmd::lockstep::Args),
    Soak(cmd::soak::Args),
    Flash(cmd::flash::Args),
    Log(cmd::log::Args),
    Fmax(cmd::fmax::Args),
    Hdl(cmd::hdl::Args),
}

impl Command {
    fn run(self) -> Result<(), CliError> {
        match self {
            Self::Abi(args) => args.run(),
            Self::Bench(args) => args.run(),
            Self::BenchKernel(args) => args.run(),
            Self::Board(args) => args.run(),
            Self::Component(args) => args.run(),
            Self::Flash(args) => args.run(),
            Self::Log(args) => args.run(),
            Self::Bitstream(args) => args.run(),
            Self::Calibrate(args) => args.run(),
            Self::Devices(args) => args.run(),
            Self::Dram(args) => args.run(),
            Self::Replay(args) => args.run(),
            Self::Run(args) => args.run(),
            Self::Serve(args) => args.run(),
            Self::Sim(args) => args.run(),
            Self::Top(args) => args.run(),
            Self::Latency(args) => args.run(),
            Self::Lockstep(args) => args.run(),
            Self::Soak(args) => args.run(),
            Self::Fmax(args) => args.run(),
            Self::Hdl(args) => args.run(),
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_of_every_command_fit_together() {
        super::Cli::command().debug_assert();
    }
}
