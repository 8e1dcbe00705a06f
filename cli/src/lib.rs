//! What the `splitmem` program is made of.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`mod@bench`] | what component memory is compared with, and how
//! | [`board`] | boards with a component: debugger's and host's way to them |
//! | [`cmd`] | the commands, one file each |
//! | [`error`] | why a command failed, and the exit code that says so |
//! | [`facts`] | what a command found out: a table for people, one flat object for programs |
//! | [`fpga`] | bitstreams: synthesis, place and route, what they reach |
//! | [`interrupt`] | Ctrl-C as a flag that long work looks at |
//! | [`machine`] | the component and the cache, as the command line describes them |
//! | [`observe`] | what operations take, and where the cycles go |
//! | [`progress`] | a progress bar for what takes longer than two seconds |
//! | [`report`] | a self-contained HTML page with plots |
//! | [`run`] | unmodified programs in managed memory |
//! | [`size`] | sizes as people write them: `64KiB`, `1GiB`, `25%` |
//! | [`trace`] | memory traces of programs, read as a stream |
//! | [`whole_file`] | files that appear whole or not at all |
//! | [`workload`] | real programs whose data lives in component memory |
// Allowed again in one place: `bench::memory`, which maps a file.
#![deny(unsafe_code)]

pub mod bench;
pub mod board;
pub mod cmd;
pub mod error;
pub mod facts;
pub mod fpga;
pub mod interrupt;
pub mod machine;
pub mod observe;
pub mod progress;
pub mod report;
pub mod run;
pub mod size;
pub mod trace;
pub mod whole_file;
pub mod workload;
