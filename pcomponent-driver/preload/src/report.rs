//! What this process tells the program that started the run: counters in a file of its own, mapped by
//! both, in the run's folder.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::OnceLock;

use memmap2::MmapMut;
use pcomponent_driver::transparent::{process, sys, StatsPage};

use crate::gate;

static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
/// Where is counted if there is no folder.
static NOWHERE: StatsPage = StatsPage::new();

/// The folder of the run.
pub fn set_folder(folder: Option<PathBuf>) {
    let _ = FOLDER.set(folder);
}

/// Counters of this process, from zero.
pub fn open() -> &'static StatsPage {
    let page = FOLDER.get().and_then(Option::as_deref).and_then(create).unwrap_or(&NOWHERE);
    page.clear();
    page.pid.store(u64::from(std::process::id()), Relaxed);
    page.state.store(1, Relaxed);
    page.started_ns.store(sys::now(), Relaxed);
    page.magic.store(StatsPage::MAGIC, Release);
    page
}

/// A file for this process; a program that has replaced itself gets another.
fn create(folder: &Path) -> Option<&'static StatsPage> {
    let pid = std::process::id();
    let file = (0..1000).find_map(|n| {
        let path = folder.join(format!("{pid}.{n}"));
        OpenOptions::new().read(true).write(true).create_new(true).open(path).ok()
    })?;
    file.set_len(size_of::<StatsPage>() as u64).ok()?;
    // SAFETY: the file is ours, and nobody shortens it while the run lasts.
    let map = unsafe { MmapMut::map_mut(&file) }.ok()?;
    // Mapped for good: the engine counts in it to the end.
    let map = Box::leak(Box::new(map));
    // SAFETY: the mapping is page-aligned, as large as the page of counters, zeroed, which is a value
    // of each of its atomics, and lives as long as the process.
    Some(unsafe { &*map.as_ptr().cast::<StatsPage>() })
}

/// The process had a child.
pub fn forked(stats: &StatsPage) {
    stats.forks.fetch_add(1, Relaxed);
}

/// The process is about to end.
pub fn ended() {
    gate::engine(|engine| {
        let stats = engine.stats();
        if stats.pid.load(Relaxed) == u64::from(std::process::id()) {
            stats.ended_ns.store(sys::now(), Relaxed);
            stats.state.store(2, Relaxed);
        }
    });
}

/// Why the process cannot begin.
pub fn refuse(why: &str) -> ! {
    process::stop(why)
}
