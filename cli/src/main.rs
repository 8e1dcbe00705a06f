//! `splitmem`: simulate, drive and measure memory as a component.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "splitmem", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

fn main() {
    match Cli::parse().command {}
}
