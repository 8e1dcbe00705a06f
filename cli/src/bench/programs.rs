//! Unmodified programs with a part of their memory local, beside themselves with all of it local.
//!
//! Each runs three times: by itself, under `splitmem run` with all of its memory in local frames, which
//! shows what the interception of its system calls and first touches costs, and with a part of it
//! local and a device's timing. What it prints must be the same each time.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};
use serde_json::{Map, Value};

use super::{back_memory, Unavailable};
use crate::error::CliError;
use crate::interrupt::Interrupt;

/// A program that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// sort of a file of 2 million lines
    Sort,
    /// A table, an index and joins in an in-memory sqlite database
    Sqlite,
    /// Python: look-ups and updates of a dictionary of a million entries, at random
    PythonDict,
    /// Python: passes over arrays of numbers
    PythonNumeric,
    /// PageRank of a graph of a million vertices
    Pagerank,
    /// redis under redis-benchmark: get and set of 150,000 keys, uniformly
    Redis,
    /// redis: get and a tenth set, by Zipf's law
    RedisZipf,
}

const DICT: &str = "
import random
random.seed(1)
table = {i * 7919: [i] for i in range(1000000)}
total = 0
for _ in range(1500000):
    entry = table[random.randrange(1000000) * 7919]
    entry[0] += 1
    total += entry[0]
print(total)
";

const NUMERIC: &str = "
from array import array
from itertools import accumulate
values = array('d', range(6000000))
for step in range(3):
    values = array('d', accumulate(values))
    top = values[-1]
    values = array('d', (value / top for value in values))
print(sum(values))
";

const SQL: &str = "
create table t (id integer primary key, k integer, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 600000)
insert into t select i, (i * 7919) % 600007, 'name of number ' || i from n;
create index by_k on t (k);
select count(*), sum(length(name)) from t where k between 1000 and 500000;
select count(*) from t a join t b on b.k = a.id where a.id % 3 = 0;
select sum(id) from (select id from t order by name limit 100000);
";

/// Keys of the redis programs.
const KEYS: u32 = 150_000;
/// Bytes of a value there.
const VALUE: usize = 400;
/// Requests of the mix by Zipf's law, and how many go together.
const REQUESTS: usize = 400_000;
const PIPELINE: usize = 16;
/// Lines of the file that is sorted.
const LINES: u64 = 2_000_000;

/// How a program is run.
#[derive(Clone, Copy, Debug)]
pub enum How<'a> {
    /// By itself.
    Plain,
    /// Under `splitmem run`, with so much local memory and this profile.
    Managed {
        /// As `--local` takes it.
        local: &'a str,
        /// As `--profile` takes it.
        profile: Option<&'a str>,
    },
}

/// A run.
pub struct Ran {
    /// Seconds that the program's work took.
    pub seconds: f64,
    /// What `splitmem run` counted; empty without it.
    pub counted: Map<String, Value>,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Sort,
        Self::Sqlite,
        Self::PythonDict,
        Self::PythonNumeric,
        Self::Pagerank,
        Self::Redis,
        Self::RedisZipf,
    ];

    /// In the names of figures.
    pub fn key(self) -> &'static str {
        match self {
            Self::Sort => "sort",
            Self::Sqlite => "sqlite",
            Self::PythonDict => "python_dict",
            Self::PythonNumeric => "python_numeric",
            Self::Pagerank => "pagerank",
            Self::Redis => "redis",
            Self::RedisZipf => "redis_zipf",
        }
    }

    fn is_server(self) -> bool {
        matches!(self, Self::Redis | Self::RedisZipf)
    }

    /// Program and arguments, their input made in a folder.
    fn command(self, folder: &Path) -> Result<Vec<String>, Unavailable> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let path = |name: &str| folder.join(name).display().to_string();
        Ok(match self {
            Self::Sort => {
                let input = folder.join("lines");
                if !input.exists() {
                    lines(&input).map_err(Unavailable::io(&input))?;
                }
                words(&["sort", "-S", "1G", "--parallel=1", &path("lines")])
            }
            Self::Sqlite => words(&["sqlite3", ":memory:", SQL]),
            Self::PythonDict => words(&["python3", "-c", DICT]),
            Self::PythonNumeric => words(&["python3", "-c", NUMERIC]),
            Self::Pagerank => {
                let own = std::env::current_exe().map_err(Unavailable::io(folder))?;
                words(&[&own.display().to_string(), "bench-kernel", "--pagerank", "1000000"])
            }
            Self::Redis | Self::RedisZipf => {
                let socket = path("redis");
                let server = redis_server(folder).map_err(Unavailable::io(folder))?;
                let server = [&*server, "--port", "0", "--save", "", "--unixsocket", &socket];
                words(&server)
            }
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// What keeps it from running, a wrong result, or Ctrl-C.
    pub fn run(
        self,
        how: How<'_>,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> Result<Ran, ProgramError> {
        let words = self.command(folder)?;
        let own = std::env::current_exe().map_err(Unavailable::io(folder))?;
        let mut command = match how {
            How::Plain => Command::new(&words[0]),
            How::Managed { local, profile } => {
                let mut command = Command::new(own);
                command.args(["run", "--json", "--local", local]);
                command.args(profile.map_or(vec![], |profile| vec!["--profile", profile]));
                command.arg("--").arg(&words[0]);
                command
            }
        };
        back_memory(BACKED, interrupt).map_err(ProgramError::Stop)?;
        let output = folder.join("output");
        let file = File::create(&output).map_err(Unavailable::io(&output))?;
        command.args(&words[1..]).env("LC_ALL", "C").stdin(Stdio::null()).stdout(file);
        let started = Instant::now();
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = Ended(child.map_err(|error| failed(&words[0], &error.to_string()))?);
        // Taken while it runs, so that it never waits for us to.
        let errors = child.0.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = String::new();
                pipe.read_to_string(&mut text).map(|_| text)
            })
        });
        let served = match self.is_server() {
            true => Some(self.serve(&folder.join("redis"))),
            false => None,
        };
        let status = loop {
            if matches!(served, Some(Err(_))) {
                let _ = child.0.kill();
            }
            interrupt.check().map_err(ProgramError::Stop)?;
            match child.0.try_wait().map_err(|error| failed(&words[0], &error.to_string()))? {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let whole = started.elapsed().as_secs_f64();
        let text = errors.and_then(|thread| thread.join().ok()?.ok()).unwrap_or_default();
        let seconds = match served {
            Some(served) => served?,
            None => whole,
        };
        if !status.success() {
            let last = text.lines().next_back().unwrap_or_default();
            return Err(failed(&words[0], &format!("{status} {last}")).into());
        }
        if !self.is_server() {
            self.check(&output, &folder.join(self.key()))?;
        }
        let counted = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or("{}");
        let counted = serde_json::from_str(counted).unwrap_or_default();
        Ok(Ran { seconds, counted })
    }

    /// The first run's output is kept, later ones are compared with it.
    fn check(self, output: &Path, first: &Path) -> Result<(), ProgramError> {
        if !first.exists() {
            fs::rename(output, first).map_err(Unavailable::io(first))?;
            return Ok(());
        }
        let read = |path: &Path| fs::read(path).map_err(Unavailable::io(path));
        if read(output)? == read(first)? {
            return Ok(());
        }
        let text = format!("{} printed something else in managed memory", self.key());
        Err(ProgramError::Stop(CliError::Mismatch(text)))
    }

    /// Fills a redis server, measures requests to it, and ends it.
    fn serve(self, socket: &Path) -> Result<f64, Unavailable> {
        let lost = |error: std::io::Error| failed("redis-server", &error.to_string());
        let mut client = Client::connect(socket).map_err(lost)?;
        let value = vec![b'x'; VALUE];
        let keys: Vec<u32> = (0..KEYS).collect();
        for keys in keys.chunks(PIPELINE) {
            client.ask(keys.iter().map(|key| (*key, Some(&value[..])))).map_err(lost)?;
        }
        let started = Instant::now();
        if self == Self::RedisZipf {
            let mut rng = SmallRng::seed_from_u64(1);
            let zipf =
                Zipf::new(f64::from(KEYS), 0.99).map_err(|e| failed("zipf", &e.to_string()))?;
            for _ in 0..REQUESTS / PIPELINE {
                let mut key = || {
                    let rank = zipf.sample(&mut rng) as u32 - 1;
                    // Popular keys are not neighbours.
                    let key = (u64::from(rank) * 7919 % u64::from(KEYS)) as u32;
                    (key, rng.random_bool(0.1).then_some(&value[..]))
                };
                let batch: Vec<_> = (0..PIPELINE).map(|_| key()).collect();
                client.ask(batch.into_iter()).map_err(lost)?;
            }
        } else {
            let (keys, size) = (KEYS.to_string(), VALUE.to_string());
            let path = socket.display().to_string();
            let arguments = [
                "-s", &path, "-n", "200000", "-r", &keys, "-d", &size, "-t", "set,get", "-P", "16",
            ];
            super::program("redis-benchmark", &arguments)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        client.shut_down().map_err(lost)?;
        Ok(seconds)
    }
}

/// More memory than any of the programs needs.
const BACKED: usize = 512 << 20;

/// A line of redis's protocol at a time, as much of it as is needed here.
struct Client(BufReader<UnixStream>);

impl Client {
    fn connect(socket: &Path) -> std::io::Result<Self> {
        let started = Instant::now();
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => return Ok(Self(BufReader::new(stream))),
                Err(error) if started.elapsed() > Duration::from_secs(10) => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Sets the keys that have a value, gets the others, and checks that they have one.
    fn ask<'v>(
        &mut self,
        requests: impl Iterator<Item = (u32, Option<&'v [u8]>)> + Clone,
    ) -> std::io::Result<()> {
        let mut out = Vec::new();
        for (key, value) in requests.clone() {
            match value {
                Some(value) => {
                    let len = value.len();
                    write!(out, "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n${len}\r\n")?;
                    out.extend_from_slice(value);
                    out.extend_from_slice(b"\r\n");
                }
                None => write!(out, "*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n")?,
            }
        }
        self.0.get_mut().write_all(&out)?;
        for (_, value) in requests {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let expected = if value.is_some() { "+OK".to_owned() } else { format!("${VALUE}") };
            if line.trim_end() != expected {
                return Err(std::io::Error::other(format!("it answered {line:?}")));
            }
            if value.is_none() {
                let mut data = [0; VALUE + 2];
                self.0.read_exact(&mut data)?;
            }
        }
        Ok(())
    }

    fn shut_down(&mut self) -> std::io::Result<()> {
        self.0.get_mut().write_all(b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n")
    }
}

/// Why a program was not measured.
#[derive(Debug)]
pub enum ProgramError {
    /// It cannot be measured here.
    Unavailable(Unavailable),
    /// The whole command is to end.
    Stop(CliError),
}

impl From<Unavailable> for ProgramError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

fn failed(program: &str, why: &str) -> Unavailable {
    Unavailable::Child(format!("{program}: {why}"))
}

/// A child that does not outlive this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already, unless we stop early.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program that is redis's server. Debian's package of its tools has it under another name only, and
/// it goes by what it is called as: then a link of the right name is made in the folder.
fn redis_server(folder: &Path) -> std::io::Result<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name| std::env::split_paths(&path).map(|f| f.join(name)).find(|f| f.is_file());
    let name = "redis-server";
    let link = folder.join(name);
    match (find(name), find("redis-check-rdb")) {
        (None, Some(other)) if !link.exists() => std::os::unix::fs::symlink(other, &link)?,
        (None, Some(_)) => {}
        _ => return Ok(name.to_owned()),
    }
    Ok(link.display().to_string())
}

fn lines(path: &PathBuf) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for i in 0..LINES {
        writeln!(file, "{:016x} line {i}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))?;
    }
    file.flush()
}

/// Edges that leave a vertex of [`pagerank`]'s graph.
const DEGREE: usize = 12;
/// Its rounds.
const ROUNDS: usize = 12;

/// PageRank of a graph with a few vertices that many edges go to: the sum of the squares of the
/// ranks.
pub fn pagerank(vertices: usize) -> f64 {
    let mut rng = SmallRng::seed_from_u64(7);
    let targets: Vec<u32> = (0..vertices * DEGREE)
        .map(|_| (rng.random::<f64>().powi(3) * vertices as f64) as u32)
        .collect();
    let mut ranks = vec![1.0 / vertices as f64; vertices];
    for _ in 0..ROUNDS {
        let mut next = vec![0.15 / vertices as f64; vertices];
        for (rank, targets) in ranks.iter().zip(targets.chunks_exact(DEGREE)) {
            let share = 0.85 * rank / DEGREE as f64;
            targets.iter().for_each(|target| next[*target as usize] += share);
        }
        ranks = next;
    }
    ranks.iter().map(|rank| rank * rank).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_whom_many_edges_go_to() {
        // All ranks together are one, so the sum of squares lies between that of equal ranks and one.
        let sum = pagerank(1000);
        assert!(sum > 2.0 / 1000.0 && sum < 1.0, "{sum}");
        assert_eq!(sum.to_bits(), pagerank(1000).to_bits());
    }

    #[test]
    fn another_output_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (output, first) = (folder.path().join("output"), folder.path().join("first"));
        let check = |text: &str| {
            fs::write(&output, text).unwrap();
            Program::Sort.check(&output, &first)
        };
        assert!(check("a").is_ok() && check("a").is_ok());
        assert!(matches!(check("b"), Err(ProgramError::Stop(CliError::Mismatch(_)))));
    }
}
