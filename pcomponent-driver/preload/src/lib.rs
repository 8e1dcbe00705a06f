//! Puts an unmodified program's memory behind a fixed number of local frames.
//!
//! `splitmem run` has the dynamic linker load this library into the program (`LD_PRELOAD`) before
//! anything of the program runs. Without the settings that `splitmem run` puts into the environment it
//! does nothing.
//!
//! | module | what it is |
//! | --- | --- |
//! | `gate` | the program's system calls come to us |
//! | `calls` | what is done with each |
//! | `buffers` | which pages a call touches |
//! | `memory` | `mmap` and its relatives |
//! | `signals` | `SIGBUS` and `SIGSYS` are ours, the rest the program's |
//! | `threads` | threads and forks |
//! | `store` | the memory component |
//! | `alloc` | our own heap |
//! | `report` | counters for whoever watches |
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod alloc;
mod buffers;
mod calls;
mod gate;
mod memory;
mod report;
mod signals;
mod store;
mod threads;

use pcomponent_driver::transparent::settings::{RunSettings, VARIABLE};
use pcomponent_driver::transparent::{process, Engine, Limit, TransparentConfig, MIN_FRAMES};
use pcomponent_driver::transport::PAGE_BYTES;

/// Run by the dynamic linker when the library is loaded.
#[used]
#[link_section = ".init_array"]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    let Some(text) = std::env::var_os(VARIABLE) else { return };
    let settings = match RunSettings::parse(&text.to_string_lossy()) {
        Ok(settings) => settings,
        Err(error) => report::refuse(&error.to_string()),
    };
    if let Err(why) = take_over(&settings) {
        report::refuse(&why);
    }
}

fn take_over(settings: &RunSettings) -> Result<(), String> {
    report::set_folder(settings.folder.clone());
    if let Some(file) = &settings.spill {
        process::spill_to(file).map_err(|error| error.to_string())?;
    }
    let config = TransparentConfig {
        limit: settings.limit,
        prefetch: settings.prefetch,
        ..TransparentConfig::with_frames(MIN_FRAMES)
    };
    let store = store::of(settings).map_err(|error| error.to_string())?;
    let engine = Engine::new(config, store, report::open()).map_err(|error| error.to_string())?;
    let smallest = settings.smallest.max(1);
    memory::set_range(engine.range(), smallest);
    let frames = match settings.limit {
        Limit::Frames(frames) => frames.max(MIN_FRAMES),
        Limit::Share(_) => MIN_FRAMES,
    };
    calls::set_piece((frames * PAGE_BYTES / 8).min(1 << 20));
    process::set(engine).map_err(|_| "it has an engine already".to_owned())?;
    signals::install().map_err(|errno| errno.to_string())?;
    gate::close().map_err(|errno| {
        format!(
            "the kernel lacks Syscall User Dispatch (Linux 5.11, CONFIG_GENERIC_ENTRY): {errno}"
        )
    })
}
