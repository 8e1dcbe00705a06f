//! `isolation.toml`, checked.

use splitmem_abi::regs::{self, Register};
use std::error::Error;

/// Bytes of the messages that the kernel copies between parts: as long as the mailbox's payload.
pub const MESSAGE: u32 = 4 * regs::MAILBOX_WORDS as u32;

/// How much is kept apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    None,
    Guards,
    Full,
}

impl Isolation {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Guards => "guards",
            Self::Full => "full",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Guards, Self::Full].into_iter().find(|kind| kind.name() == name)
    }

    /// What cargo was told instead of the file, by one of the features.
    fn from_features() -> Option<Self> {
        [Self::None, Self::Guards, Self::Full].into_iter().find(|kind| {
            let feature = format!("CARGO_FEATURE_ISOLATION_{}", kind.name().to_uppercase());
            std::env::var_os(feature).is_some()
        })
    }
}

/// Addresses that a part may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    pub base: u32,
    pub end: u32,
    pub write: bool,
}

/// A part of the firmware that runs without privilege.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    pub base: u32,
    pub memory: u32,
    pub stack: u32,
    pub registers: Vec<Window>,
    /// By their places in [`PARTS`].
    pub calls: Vec<usize>,
    pub waits: bool,
    pub starts: bool,
}

impl Part {
    /// Its memory's name for the linker.
    pub fn region(&self) -> String {
        self.name.to_uppercase()
    }
}

/// The parts that there are, in the order of `splitmem_abi::mailbox::Compartment`.
pub const PARTS: [&str; 3] = ["parser", "allocator", "telemetry"];

/// What the file says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub isolation: Isolation,
    /// Bytes of the kernel's memory.
    pub kernel: u32,
    pub parts: Vec<Part>,
}

type Wrong = Box<dyn Error>;

impl Settings {
    /// Reads the file; memory is given out from `base` to `end`.
    pub fn read(path: &str, base: u32, end: u32) -> Result<Self, Wrong> {
        let settings: toml::Table = std::fs::read_to_string(path)?.parse()?;
        Self::from_table(&settings, base, end).map_err(|error| format!("{path}: {error}").into())
    }

    fn from_table(settings: &toml::Table, base: u32, end: u32) -> Result<Self, Wrong> {
        let told = settings.get("isolation").and_then(|value| value.as_str());
        let told = told.and_then(Isolation::from_name);
        let told = told.ok_or("isolation is none, guards or full")?;
        let isolation = Isolation::from_features().unwrap_or(told);
        for name in settings.keys() {
            if !["isolation", "kernel"].contains(&name.as_str()) && !PARTS.contains(&name.as_str())
            {
                return Err(format!("there is no part '{name}', only {PARTS:?}").into());
            }
        }
        let kernel = bytes(table(settings, "kernel")?, "memory")?;
        let mut parts: Vec<Part> = Vec::new();
        let mut at = base + kernel;
        for name in PARTS {
            let part = part(name, table(settings, name)?)?;
            parts.push(Part { base: 0, ..part });
        }
        // The small ones first: theirs are powers of two, which stay aligned to their size.
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&i| parts[i].memory);
        for i in order {
            parts[i].base = at;
            at += parts[i].memory;
        }
        if at > end {
            return Err(format!("the parts want {} bytes more than there are", at - end).into());
        }
        Ok(Self { isolation, kernel, parts })
    }
}

fn table<'a>(settings: &'a toml::Table, name: &str) -> Result<&'a toml::Table, Wrong> {
    settings
        .get(name)
        .and_then(|value| value.as_table())
        .ok_or_else(|| format!("the table [{name}] is missing").into())
}

fn part(name: &str, table: &toml::Table) -> Result<Part, Wrong> {
    let known = ["memory", "stack", "registers", "calls", "waits", "starts"];
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("[{name}] has '{key}', which means nothing").into());
    }
    let (memory, stack) = (bytes(table, "memory")?, bytes(table, "stack")?);
    if stack + MESSAGE > memory || stack % 16 != 0 {
        return Err(format!("[{name}]: the stack is a multiple of 16 and fits the memory").into());
    }
    let flag = |key: &str| table.get(key).and_then(|value| value.as_bool()).unwrap_or(false);
    let calls = table.get("calls").and_then(|value| value.as_array());
    let calls = calls.ok_or_else(|| format!("[{name}] has no list 'calls'"))?;
    let calls = calls.iter().map(|callee| {
        let place = PARTS.iter().position(|part| callee.as_str() == Some(*part));
        place.ok_or_else(|| format!("[{name}] calls {callee:?}, which is no part").into())
    });
    let registers = table.get("registers").and_then(|value| value.as_table());
    let registers = registers.ok_or_else(|| format!("[{name}] has no table 'registers'"))?;
    let registers = registers.iter().map(|(which, may)| window(which, may.as_str()));
    Ok(Part {
        name: name.to_owned(),
        base: 0,
        memory,
        stack,
        registers: registers.collect::<Result<_, _>>()?,
        calls: calls.collect::<Result<_, Wrong>>()?,
        waits: flag("waits"),
        starts: flag("starts"),
    })
}

/// A register, or a run of them, `FIRST..LAST`.
fn window(which: &str, may: Option<&str>) -> Result<Window, Wrong> {
    let write = match may {
        Some("r") => false,
        Some("rw") => true,
        _ => return Err(format!("'{which}' is \"r\" or \"rw\"").into()),
    };
    let (first, last) = which.split_once("..").unwrap_or((which, which));
    let (first, last) = (register(first)?, register(last)?);
    let base = splitmem_abi::soc::COMPONENT_BASE;
    let end = base + u32::from(last.offset) + 4 * u32::from(last.count);
    let base = base + u32::from(first.offset);
    if base >= end {
        return Err(format!("the registers '{which}' are in the wrong order").into());
    }
    Ok(Window { base, end, write })
}

fn register(name: &str) -> Result<&'static Register, Wrong> {
    regs::ALL
        .iter()
        .find(|register| register.name == name)
        .ok_or_else(|| format!("there is no register '{name}'").into())
}

/// A number of bytes, of KiB with a K behind it.
fn bytes(table: &toml::Table, key: &str) -> Result<u32, Wrong> {
    let text = table.get(key).and_then(|value| value.as_str());
    let text = text.ok_or_else(|| format!("'{key}' is missing, a number of bytes as text"))?;
    let (digits, unit) = match text.strip_suffix('K') {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    let number = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    number
        .filter(|number| number % 16 == 0)
        .ok_or_else(|| format!("'{key} = {text}' is no number of bytes, in steps of 16").into())
}
