//! [`OutputArgs`]: how a command shows what it found out.

use std::path::PathBuf;

use clap::Args;

use crate::error::CliError;
use crate::facts::Facts;
use crate::report::Report;

/// How results are shown.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Print one flat JSON object instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write a self-contained HTML report with plots into this folder
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

impl OutputArgs {
    /// Makes the report's folder, before any work is done.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub fn prepare(&self) -> Result<(), CliError> {
        self.report.as_deref().map_or(Ok(()), Report::prepare)
    }

    /// Prints the facts, and writes the report if one was asked for. `page` makes it.
    ///
    /// # Errors
    /// [`CliError::Write`] and [`CliError::Output`].
    pub fn show(
        &self,
        mut facts: Facts,
        name: &str,
        page: impl FnOnce() -> Report,
    ) -> Result<(), CliError> {
        if let Some(folder) = &self.report {
            let path = page().write(folder, name)?;
            facts.add("report", "Report", path.display().to_string(), "");
        }
        facts.print(self.json)
    }
}

/// The command line, as a person would type it again.
pub fn command_line() -> String {
    let mut words: Vec<String> = std::env::args_os()
        .map(|word| {
            let word = word.to_string_lossy();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,%+@".contains(&b);
            if !word.is_empty() && word.bytes().all(plain) {
                word.into_owned()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect();
    if let Some(program) = words.first_mut() {
        "splitmem".clone_into(program);
    }
    words.join(" ")
}
