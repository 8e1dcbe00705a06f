//! Unmodified programs in managed memory, with limits far below what they use, against the same
//! programs without it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pcomponent_driver::config::Prefetch;
use pcomponent_driver::profile::Profile;
use pcomponent_driver::transparent::settings::{RunSettings, PROFILE, VARIABLE};
use pcomponent_driver::transparent::uffd::Uffd;
use pcomponent_driver::transparent::{Limit, StatsPage, TransparentStats, MIN_FRAMES};
use tempfile::TempDir;

/// When something that should end is taken to hang.
const ENDLESS: Duration = Duration::from_secs(120);

/// A run in managed memory.
struct Run {
    folder: TempDir,
    settings: RunSettings,
}

/// `None`, loudly, where there can be none.
fn run(frames: usize) -> Option<Run> {
    if let Err(reason) = Uffd::open() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = RunSettings {
        limit: Limit::Frames(frames),
        prefetch: Prefetch::Trend { pages: 31 },
        memory: 4 << 30,
        smallest: 1,
        profile: false,
        served: false,
        spill: None,
        folder: Some(folder.path().to_owned()),
    };
    Some(Run { folder, settings })
}

fn library() -> PathBuf {
    let own = std::env::current_exe().expect("our own path");
    let folder = own.parent().expect("a folder");
    let name = "libsplitmem_preload.so";
    let places = [folder.join(name), folder.join("..").join(name)];
    places.into_iter().find(|place| place.is_file()).expect("Cargo builds it with these tests")
}

impl Run {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", library()).env(VARIABLE, self.settings.format());
        command
    }
    fn stress(&self, arguments: &[&str]) -> Output {
        finish(self.command(env!("CARGO_BIN_EXE_splitmem-stress")).args(arguments))
    }
    /// What the processes counted; each kept its limit.
    fn counts(&self) -> Vec<TransparentStats> {
        let counts: Vec<_> = fs::read_dir(self.folder.path())
            .expect("the run's folder")
            .filter_map(|entry| StatsPage::parse(&fs::read(entry.ok()?.path()).ok()?))
            .collect();
        assert!(!counts.is_empty(), "the library was loaded");
        if let Limit::Frames(frames) = self.settings.limit {
            for process in &counts {
                assert!(process.resident_peak <= frames as u64, "{process:?}");
            }
        }
        counts
    }
    /// Both pages that had to leave and pages that came back.
    fn was_tight(&self) {
        let counts = self.counts();
        let sum = |field: fn(&TransparentStats) -> u64| counts.iter().map(field).sum::<u64>();
        assert!(sum(|p| p.fetches) > 0 && sum(|p| p.write_backs) > 0, "{counts:?}");
    }
}

/// Runs to the end, or stops what does not end.
fn finish(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut pipes = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        pipes.1.read_to_end(&mut text).map(|_| text)
    });
    let output = std::thread::spawn(move || {
        let mut text = Vec::new();
        pipes.0.read_to_end(&mut text).map(|_| text)
    });
    let status = wait(&mut child);
    Output {
        status,
        stdout: output.join().expect("no panic").expect("readable"),
        stderr: errors.join().expect("no panic").expect("readable"),
    }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let started = Instant::now();
    loop {
        match child.try_wait().expect("a child") {
            Some(status) => return status,
            None if started.elapsed() > ENDLESS => {
                let _ = child.kill();
                panic!("it hangs");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn succeeded(output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("SKIPPED: {program} is not installed (scripts/setup.sh installs it)");
    }
    found
}

#[test]
fn threads_forks_and_system_calls_find_what_was_written() {
    for (frames, threads) in [(2 * MIN_FRAMES, "1"), (4 * MIN_FRAMES, "4")] {
        let Some(run) = run(frames) else { return };
        let text = succeeded(run.stress(&["3", threads, "42"]));
        assert!(text.contains("all as it should be"), "{text}");
        run.was_tight();
        let counts = run.counts();
        assert!(counts.iter().map(|p| p.forks).sum::<u64>() > 0, "{counts:?}");
    }
}

#[test]
fn signals_of_the_programs_own_come_as_ever() {
    let plain = finish(&mut Command::new(env!("CARGO_BIN_EXE_splitmem-signals")));
    assert!(succeeded(plain).contains("all signals came"));
    let Some(run) = run(1024) else { return };
    let mut managed = run.command(env!("CARGO_BIN_EXE_splitmem-signals"));
    assert!(succeeded(finish(&mut managed)).contains("all signals came"));
    run.was_tight();
}

#[test]
fn sort_sorts() {
    let Some(run) = run(1024) else { return };
    let file = run.folder.path().join("lines");
    let mut lines = String::new();
    for i in 0..200_000u64 {
        lines += &format!("{} and some more text {i}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    fs::write(&file, lines).expect("written");
    let sort = |mut command: Command| {
        succeeded(finish(command.env("LC_ALL", "C").args(["-S", "64M", "--parallel=2"]).arg(&file)))
    };
    let plain = sort(Command::new("sort"));
    assert!(plain.len() > 5_000_000);
    assert!(sort(run.command("sort")) == plain, "sorted otherwise");
    run.was_tight();
}

const PYTHON: &str = "
import random
random.seed(5)
d = {}
for i in range(150000):
    d[random.randrange(60000)] = str(i) * 3
a = [float(i % 1013) for i in range(300000)]
for _ in range(3):
    a = [x * 0.5 + y for x, y in zip(a, reversed(a))]
words = sorted(d.values())
print(len(d), sum(map(len, words)), words[1234], sum(a))
import subprocess
print(subprocess.run(['sh', '-c', 'echo from a child'], capture_output=True, text=True).stdout)
";

#[test]
fn python_computes_the_same() {
    if !installed("python3") {
        return;
    }
    let Some(run) = run(2048) else { return };
    let python = |mut command: Command| {
        succeeded(finish(command.env("PYTHONHASHSEED", "0").args(["-c", PYTHON])))
    };
    assert_eq!(python(run.command("python3")), python(Command::new("python3")));
    run.was_tight();
}

const SQL: &str = "
create table t(a integer, b text);
with recursive c(x) as (select 1 union all select x+1 from c where x<120000)
  insert into t select x*7919%100003, 'text '||x*x from c;
create index i on t(a);
select count(*), sum(a), max(b) from t where a%7=3;
select a, count(*), min(b) from t group by a%11 order by 1;
delete from t where a%2=0; vacuum;
select count(*), sum(length(b)) from t;
";

#[test]
fn sqlite_answers_the_same() {
    if !installed("sqlite3") {
        return;
    }
    let Some(run) = run(1024) else { return };
    let sqlite = |mut command: Command| succeeded(finish(command.args([":memory:", SQL])));
    assert_eq!(sqlite(run.command("sqlite3")), sqlite(Command::new("sqlite3")));
    run.was_tight();
}

/// Debian's package of Redis's tools has the server under this name: it goes by what it is called as.
const REDIS: &str = "redis-check-rdb";

#[test]
fn redis_serves_and_saves() {
    if !installed(REDIS) || !installed("redis-benchmark") {
        return;
    }
    let Some(run) = run(1024) else { return };
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let port = port.to_string();
    let folder = run.folder.path().join("data");
    fs::create_dir(&folder).expect("a folder");
    let mut server = run
        .command(REDIS)
        .arg0("redis-server")
        .args(["--port", &port, "--save", "", "--dir"])
        .arg(&folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let started = Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(started.elapsed() < ENDLESS, "redis does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    let client = |arguments: &[&str]| {
        succeeded(finish(Command::new("redis-cli").args(["-p", &port]).args(arguments)))
    };
    succeeded(finish(Command::new("redis-benchmark").args([
        "-p",
        &port,
        "-n",
        "40000",
        "-r",
        "20000",
        "-d",
        "400",
        "-P",
        "16",
        "-c",
        "8",
        "-t",
        "set,get,incr,lpush,zadd",
        "-q",
    ])));
    let keys: u64 = client(&["dbsize"]).trim().parse().expect("a number");
    assert!(keys > 15_000, "{keys}");
    let digest = client(&["debug", "digest"]);
    // A forked child writes all of it to a file while the parent goes on.
    client(&["bgsave"]);
    let started = Instant::now();
    while client(&["info", "persistence"]).contains("rdb_bgsave_in_progress:1") {
        assert!(started.elapsed() < ENDLESS, "redis does not finish saving");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(client(&["info", "persistence"]).contains("rdb_last_bgsave_status:ok"));
    client(&["flushall"]);
    client(&["shutdown", "nosave"]);
    assert!(wait(&mut server).success());
    run.was_tight();
    // What the child saved is what there was, as a server without us reads it.
    let mut server = Command::new(REDIS)
        .arg0("redis-server")
        .args(["--port", &port, "--save", "", "--dir"])
        .arg(&folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    while !finish(Command::new("redis-cli").args(["-p", &port, "ping"])).stdout.starts_with(b"PONG")
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client(&["dbsize"]).trim(), keys.to_string());
    assert_eq!(client(&["debug", "digest"]), digest);
    client(&["shutdown", "nosave"]);
    wait(&mut server);
}

#[test]
fn threads_that_wait_for_a_device_find_what_was_written() {
    let Some(mut run) = run(4 * MIN_FRAMES) else { return };
    let profile = run.folder.path().join(PROFILE);
    fs::write(profile, Profile::network().to_toml()).expect("a file in the run's folder");
    run.settings.profile = true;
    succeeded(run.stress(&["3", "4", "43"]));
    run.was_tight();
    // Every fetch for a touch took as long as the device, at least.
    let slow = |stats: &TransparentStats| stats.quantile(0.99) >= Some(2000);
    assert!(run.counts().iter().any(slow));
}

#[test]
fn what_the_component_cannot_hold_is_refused_or_stops_the_program() {
    let Some(mut run) = run(MIN_FRAMES) else { return };
    run.settings.memory = 128 << 20;
    let text = succeeded(run.stress(&["1", "1", "1", "promise"]));
    assert!(text.contains("refused: Cannot allocate memory"), "{text}");
    let output = run.stress(&["1", "1", "1", "overfill"]);
    assert_eq!(output.status.code(), Some(74));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the memory component is full"), "{text}");
}

#[test]
fn what_cannot_work_is_refused() {
    let Some(run) = run(MIN_FRAMES) else { return };
    let output = run.stress(&["1", "1", "1", "uffd"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("refused: the program uses userfaultfd"), "{text}");
    let mut broken = run.command(env!("CARGO_BIN_EXE_splitmem-stress"));
    let output = finish(broken.env(VARIABLE, "nonsense"));
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be read: nonsense"));
}

#[test]
fn without_settings_the_library_does_nothing() {
    let program = Path::new(env!("CARGO_BIN_EXE_splitmem-stress"));
    let output = finish(Command::new(program).env("LD_PRELOAD", library()).args(["0", "1", "1"]));
    assert!(succeeded(output).contains("all as it should be"));
    std::io::stdout().flush().expect("flushed");
}
