//! Transparent mapping: an unmodified program's memory behind a fixed number of local frames.
//!
//! The kernel's userfaultfd turns a touch of an absent page into a signal in the thread that
//! touched it; the [`Engine`] brings the page from a [`PageStore`] and lets another one go. Resident
//! pages cost nothing. `docs/src/explanation/transparent.md` tells why it is built like this.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`engine`] | frames, faults, eviction |
//! | [`memory`] | mapping, unmapping, protecting and moving parts of the range |
//! | [`process`] | the engine of this process, and its signal |
//! | [`store`] | where pages are that are in no frame |
//! | [`served`] | a component in another process |
//! | [`settings`] | what `splitmem run` tells the library in the program |
//! | [`stats`] | what is counted, readable from outside |
//! | [`floor`] | the least that all this takes on a machine, to compare with |
//! | `ahead` | prefetch |
//! | `history` | which pages stay longer |
//! | `passing` | which pages leave first |
//! | `space` | what is mapped |
//! | `entry`, `array` | the page table |
//! | [`uffd`], `drop`, [`sys`] | the kernel |
//! | [`lock`], [`awake`] | what threads and signal handlers share |

mod ahead;
mod array;
pub mod awake;
mod drop;
pub mod engine;
mod entry;
pub mod floor;
mod history;
pub mod lock;
pub mod memory;
mod passing;
pub mod process;
pub mod served;
pub mod settings;
mod space;
pub mod stats;
pub mod store;
pub mod sys;
pub mod uffd;

pub use awake::Awake;
pub use engine::{
    Coming, Engine, EngineError, Faulted, Limit, Pin, Placement, TransparentConfig, MIN_FRAMES,
};
pub use memory::Move;
pub use stats::{StatsPage, TransparentStats};
pub use store::{Page, PageStore, StoreError, TransportStore};
pub use uffd::Unavailable;
