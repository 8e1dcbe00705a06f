//! Watching a run from outside: what each operation took, and where the component's cycles went.
//!
//! | module | what it watches |
//! | --- | --- |
//! | [`latency`] | latencies of operations, by name |
//! | [`transport`] | everything that passes between driver and component |

pub mod latency;
pub mod transport;

pub use latency::Latencies;
pub use transport::{Activity, Observation, Observed, Observer};
