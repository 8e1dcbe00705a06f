//! What the random stimulus aims at.

use super::chaos::Latency;
use crate::stalls::Stalls;

/// An aim of the random stimulus. All of them run everything; they differ in how much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Mode {
    /// A bit of all.
    Mixed,
    /// Few lines, hit from both ports: write miss followed by read hit, and so on.
    SameLine,
    /// Atomics on a handful of words, many of them in pages shared between pids.
    Atomics,
    /// Misses that compete for one set of the TLB.
    SetStorm,
    /// First writes to pages that were just mapped.
    FaultStorm,
    /// Unmaps, permission changes and shootdowns all the time.
    Shootdown,
    /// Fewer frames than pages, pushed late.
    OutOfMemory,
    /// Lines and buckets that the DRAM reports as uncorrectable.
    Poison,
}

impl Mode {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Mixed, "mixed"),
        (Self::SameLine, "same-line"),
        (Self::Atomics, "atomics"),
        (Self::SetStorm, "set-storm"),
        (Self::FaultStorm, "fault-storm"),
        (Self::Shootdown, "shootdown"),
        (Self::OutOfMemory, "out-of-memory"),
        (Self::Poison, "poison"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Its numbers.
    pub(super) fn shape(self) -> Shape {
        let mixed = Shape {
            areas: 48,
            area_pages: 32,
            huge_areas: 3,
            groups: 8,
            frames_per_page: 0.8,
            hot_pages: 24,
            hot: 0.7,
            hot_lines: 4,
            ops: [40, 40, 10, 10],
            bad: 0.01,
            wild: 0.02,
            jobs: Jobs {
                map: 10,
                unmap: 6,
                protect: 6,
                share: 3,
                unshare: 2,
                query: 4,
                bad: 2,
                shootdown: 1,
                poison: 1,
                heal: 1,
                pause: 1,
            },
            rest: 60,
            withhold: 0.1,
            bunch: false,
        };
        match self {
            Self::Mixed => mixed,
            Self::SameLine => Shape {
                areas: 6,
                area_pages: 3,
                huge_areas: 1,
                groups: 4,
                hot_pages: 3,
                hot: 0.9,
                hot_lines: 2,
                rest: 200,
                ..mixed
            },
            Self::Atomics => Shape {
                areas: 6,
                area_pages: 4,
                huge_areas: 1,
                groups: 8,
                hot_pages: 6,
                hot: 0.9,
                hot_lines: 2,
                ops: [10, 10, 45, 35],
                jobs: Jobs { share: 8, unshare: 2, ..mixed.jobs },
                rest: 200,
                ..mixed
            },
            Self::SetStorm => Shape { bunch: true, areas: 64, area_pages: 1, hot: 0.0, ..mixed },
            Self::FaultStorm => Shape {
                areas: 64,
                area_pages: 64,
                frames_per_page: 1.0,
                hot: 0.1,
                ops: [20, 60, 10, 10],
                jobs: Jobs { map: 30, unmap: 30, protect: 1, ..mixed.jobs },
                rest: 10,
                withhold: 0.0,
                ..mixed
            },
            Self::Shootdown => Shape {
                areas: 12,
                area_pages: 8,
                hot_pages: 12,
                jobs: Jobs { map: 20, unmap: 20, protect: 30, shootdown: 10, ..mixed.jobs },
                rest: 0,
                ..mixed
            },
            Self::OutOfMemory => Shape {
                frames_per_page: 0.3,
                ops: [20, 60, 10, 10],
                jobs: Jobs { map: 20, unmap: 20, ..mixed.jobs },
                rest: 50,
                withhold: 0.7,
                ..mixed
            },
            Self::Poison => Shape {
                areas: 12,
                area_pages: 8,
                hot_pages: 12,
                jobs: Jobs { poison: 20, heal: 12, ..mixed.jobs },
                rest: 100,
                ..mixed
            },
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, n)| *n == name).map(|&(mode, _)| mode);
        found.ok_or_else(|| {
            let names = Self::ALL.map(|(_, name)| name).join(", ");
            format!("no such mode: {name}; there are {names}")
        })
    }
}

/// The numbers of a mode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Ranges of 4 KiB pages.
    pub areas: usize,
    /// Most pages in one of them.
    pub area_pages: u64,
    /// Ranges of 2 MiB pages.
    pub huge_areas: usize,
    /// Frames that several pages map.
    pub groups: usize,
    /// Frames that exist, by pages.
    pub frames_per_page: f64,
    /// Pages that get most of the requests; they change now and then.
    pub hot_pages: usize,
    /// Share of the requests that go to them.
    pub hot: f64,
    /// Lines in a page that get most of its requests.
    pub hot_lines: u64,
    /// Weights of the ops.
    pub ops: [u32; 4],
    /// Share of requests that are malformed.
    pub bad: f64,
    /// Share of requests to pages that are never mapped.
    pub wild: f64,
    /// What the monitor does.
    pub jobs: Jobs,
    /// Most cycles that the monitor rests between two things.
    pub rest: u64,
    /// Share of the time in which the monitor keeps free frames back.
    pub withhold: f64,
    /// Put all pages where they compete for one TLB set and few buckets.
    pub bunch: bool,
}

/// Weights of what the monitor does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jobs {
    pub map: u32,
    pub unmap: u32,
    pub protect: u32,
    pub share: u32,
    pub unshare: u32,
    pub query: u32,
    /// Commands that must fail.
    pub bad: u32,
    /// Shootdowns of nothing in particular.
    pub shootdown: u32,
    pub poison: u32,
    pub heal: u32,
    /// Stop accepting, wait until idle, go on.
    pub pause: u32,
}

/// Weather: stalls and DRAM latencies, changed every few thousand cycles.
pub(super) const WEATHER: [(Stalls, Latency); 8] = [
    (Stalls::NONE, Latency { min: 1, max: 1, outlier_in: 0 }),
    (Stalls::NONE, Latency { min: 2, max: 40, outlier_in: 50 }),
    (Stalls::all(0.1), Latency { min: 10, max: 30, outlier_in: 0 }),
    (Stalls::all(0.5), Latency { min: 1, max: 60, outlier_in: 20 }),
    (Stalls { request: 0.95, ..Stalls::NONE }, Latency { min: 5, max: 20, outlier_in: 0 }),
    (Stalls { request: 0.9, ..Stalls::all(0.2) }, Latency { min: 1, max: 100, outlier_in: 0 }),
    (Stalls { response: 0.9, ..Stalls::NONE }, Latency { min: 1, max: 10, outlier_in: 0 }),
    (Stalls { dram_command: 0.8, ..Stalls::NONE }, Latency { min: 1, max: 10, outlier_in: 0 }),
];
