//! [`OutputArgs`]: how a command shows what it found out.

use std::path::PathBuf;

use clap::Args;

use crate::error::CliError;
use crate::facts::Facts;
use crate::machine::session::Session;
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

    /// Shows what a session did: prints it, and writes the report if one was asked for. After
    /// Ctrl-C prints what was done so far, without a report, which would look like that of a whole
    /// run; after any other error shows nothing. Gives that error on.
    ///
    /// # Errors
    /// `outcome`'s, [`CliError::Write`] and [`CliError::Output`].
    pub fn show(
        &self,
        name: &str,
        result: Facts,
        machine: Facts,
        session: &Session,
        outcome: Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut rest = machine;
        rest.extend(session.facts());
        let mut all = result.clone();
        all.extend(rest.clone());
        match (&outcome, &self.report) {
            (Ok(()), Some(folder)) => {
                let mut report = Report::new(&format!("splitmem {name}"), &command_line());
                report.heading("Result");
                report.facts(&result);
                session.draw(&mut report);
                report.heading("Machine and counters");
                report.facts(&rest);
                let path = report.write(folder, &name.replace(' ', "-"))?;
                all.add("report", "Report", path.display().to_string(), "");
                all.print(self.json)
            }
            (Ok(()), None) => all.print(self.json),
            (Err(CliError::Interrupted), _) => all.print(self.json).and(outcome),
            (Err(_), _) => outcome,
        }
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
