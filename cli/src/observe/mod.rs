//! Watching a run from outside: what each operation took, and where the component's cycles went.
//!
//! | module | what it watches |
//! | --- | --- |
//! | [`latency`] | latencies of operations, by name |
//! | [`timeline`] | a cache's hits over time |
//! | [`transport`] | everything that passes between driver and component |
//! | [`watched`] | everything that a workload does with its memory; ends it with Ctrl-C |

pub mod latency;
pub mod timeline;
pub mod transport;
pub mod watched;

pub use latency::Latencies;
pub use timeline::Timeline;
pub use transport::{Activity, Observation, Observed, Observer};
pub use watched::{CacheCounts, Metered, Watched};
