//! `splitmem bench --programs`: what far memory costs unmodified programs.

use std::path::Path;

use serde_json::{Map, Value};

use crate::bench::programs::{How, Program, ProgramError, Ran};
use crate::bench::Unavailable;
use crate::error::CliError;
use crate::facts::Facts;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Slowdown that is reached where there is locality.
const GOAL: f64 = 1.3;

/// Local memory of a program, of what it touches altogether.
const LOCAL: f64 = 0.25;

/// Measures programs, a quarter of their memory local, with this profile; inputs are made below a folder.
///
/// # Errors
/// A wrong result, or Ctrl-C. A program that cannot be measured is no error.
pub fn measure(
    programs: &[Program],
    profile: &str,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Facts, CliError> {
    let scratch = tempfile::Builder::new().prefix("splitmem-bench-").tempdir_in(folder);
    let scratch = scratch.map_err(|source| CliError::Write { path: folder.to_owned(), source })?;
    let mut facts = Facts::new();
    facts.add("programs_local", "Local memory of the programs, of what they touch", LOCAL, "");
    facts.add("programs_profile", "  timing of the component", profile, "");
    let mut progress = Progress::new("running programs");
    let steps = (3 * programs.len()) as u64;
    let mut step = 0;
    for program in programs {
        let mut runs: Vec<Ran> = Vec::new();
        let mut missing: Option<Unavailable> = None;
        for run in 0..3 {
            progress.update(step, steps);
            step += 1;
            if missing.is_some() {
                continue;
            }
            let bytes = runs.last().map_or(0, local_bytes).to_string();
            let how = match run {
                0 => How::Plain,
                1 => How::Managed { local: "100%", profile: None },
                _ => How::Managed { local: &bytes, profile: Some(profile) },
            };
            match program.run(how, scratch.path(), interrupt) {
                Ok(ran) => runs.push(ran),
                Err(ProgramError::Unavailable(why)) => missing = Some(why),
                Err(ProgramError::Stop(error)) => return Err(error),
            }
        }
        match (&runs[..], missing) {
            ([plain, all, part], None) => add(&mut facts, *program, [plain, all, part]),
            (_, why) => {
                let why = why.map_or_else(String::new, |why| why.to_string());
                eprintln!("splitmem: WARNING: {} NOT MEASURED: {why}", program.key());
                facts.add(key(*program, "skipped"), format!("SKIPPED {}", program.key()), why, "");
            }
        }
    }
    Ok(facts)
}

fn key(program: Program, what: &str) -> String {
    format!("program_{}_{what}", program.key())
}

fn number(figures: &Map<String, Value>, key: &str) -> f64 {
    figures.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn add(facts: &mut Facts, program: Program, [plain, all, part]: [&Ran; 3]) {
    let slowdown = part.seconds / plain.seconds;
    let name = program.key().replace('_', " ");
    facts.add(key(program, "local_s"), format!("{name}, all local"), plain.seconds, "s");
    facts.add(key(program, "touched_bytes"), "  memory", count(all, "touched_bytes"), "bytes");
    facts.add(key(program, "local_bytes"), "  of it local", local_bytes(all), "bytes");
    facts.add(key(program, "slowdown"), "  slowdown", slowdown, "");
    let interception = all.seconds / plain.seconds;
    facts.add(
        key(program, "interception"),
        "  of it with all local: interception",
        interception,
        "",
    );
    facts.add(key(program, "misses"), "  misses", count(part, "misses"), "pages");
    facts.add(
        key(program, "in_misses"),
        "  seconds in misses",
        number(&part.counted, "miss_seconds"),
        "s",
    );
    facts.add(key(program, "why"), "  so", why(slowdown, plain, all, part), "");
}

/// What is to be local, after a run in which all was.
fn local_bytes(all: &Ran) -> u64 {
    (count(all, "touched_bytes") as f64 * LOCAL) as u64
}

fn count(ran: &Ran, key: &str) -> u64 {
    ran.counted.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// In words, where the time goes.
fn why(slowdown: f64, plain: &Ran, all: &Ran, part: &Ran) -> String {
    if slowdown <= GOAL {
        return "it touches near what it touched: little has to be fetched".to_owned();
    }
    let more = part.seconds - plain.seconds;
    let intercepted = (all.seconds - plain.seconds).max(0.0) / more;
    let each = number(&part.counted, "miss_us_mean");
    let rate = number(&part.counted, "misses") / part.seconds / 1e3;
    let ahead = count(part, "prefetches") as f64;
    let most = if intercepted > 0.5 {
        "mostly the interception of its system calls and first touches"
    } else if 2.0 * ahead > number(&part.counted, "page_fetches") {
        "mostly pages that come ahead: it goes in order through more than is local"
    } else {
        "mostly misses: what it touches next is rarely local"
    };
    let pages = (number(&part.counted, "misses") + ahead) / part.seconds / 1e3;
    format!(
        "{most}; {rate:.0} thousand misses a second of {each:.1} us each, which bring {pages:.0} thousand \
         pages, {:.0} % interception",
        100.0 * intercepted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(seconds: f64) -> Ran {
        ran_with(seconds, 0)
    }

    fn ran_with(seconds: f64, ahead: u64) -> Ran {
        let counted = serde_json::json!(
            {"misses": 2000, "miss_us_mean": 5.0, "page_fetches": 5000, "prefetches": ahead}
        );
        let Value::Object(counted) = counted else { return Ran { seconds, counted: Map::new() } };
        Ran { seconds, counted }
    }

    #[test]
    fn the_larger_part_is_told() {
        let tell = |all: f64| why(2.0, &ran(1.0), &ran(all), &ran(2.0));
        assert!(tell(1.1).starts_with("mostly misses") && tell(1.1).contains("1 thousand"));
        assert!(tell(1.8).starts_with("mostly the interception") && tell(1.8).contains("80 %"));
        let ahead = why(2.0, &ran(1.0), &ran(1.1), &ran_with(2.0, 4000));
        assert!(ahead.starts_with("mostly pages") && ahead.contains("bring 3 thousand"), "{ahead}");
        assert!(why(1.2, &ran(1.0), &ran(1.0), &ran(1.2)).contains("near"));
    }
}
