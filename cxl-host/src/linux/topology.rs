//! What CXL there is: memory devices, ports, decoders, regions.

use std::path::{Path, PathBuf};

use super::error::CxlError;
use super::tree::{parse, Tree};

/// Where the kernel shows it.
pub const DEVICES: &str = "/sys/bus/cxl/devices";

/// A memory device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memdev {
    /// `mem0`.
    pub name: String,
    /// Serial number.
    pub serial: Option<u64>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// NUMA node, if it has one.
    pub node: Option<u32>,
    /// Volatile bytes.
    pub volatile: u64,
    /// Persistent bytes.
    pub persistent: u64,
}

/// What a decoder belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecoderKind {
    /// A window of host addresses (CFMWS).
    Root,
    /// Of a switch or a host bridge.
    Switch,
    /// Of a memory device.
    Endpoint,
}

/// An HDM decoder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoder {
    /// `decoder0.0`: port and index.
    pub name: String,
    /// What it belongs to.
    pub kind: DecoderKind,
    /// First host address; all ones where it decodes nothing.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Whether it cannot be changed.
    pub locked: bool,
    /// Of a root decoder: whether it takes volatile memory.
    pub takes_volatile: bool,
    /// Of an endpoint decoder: its mode (`ram`, `pmem`, `none`).
    pub mode: Option<String>,
    /// Of an endpoint decoder: bytes of device memory that are given to it.
    pub dpa_size: Option<u64>,
}

/// A region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// `region0`.
    pub name: String,
    /// Bytes; 0 before they are set.
    pub size: u64,
    /// First host address, once it has one.
    pub resource: Option<u64>,
    /// Interleave ways.
    pub ways: u64,
    /// Bytes at one device before the next one's turn.
    pub granularity: u64,
    /// Whether its decoders are programmed.
    pub committed: bool,
    /// `ram` or `pmem`, where the kernel says it.
    pub mode: Option<String>,
    /// Endpoint decoders, by position.
    pub targets: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    /// Memory devices.
    pub memdevs: Vec<Memdev>,
    /// Ports (`port1`, `root0`, `endpoint2`).
    pub ports: Vec<String>,
    /// Decoders.
    pub decoders: Vec<Decoder>,
    /// Regions.
    pub regions: Vec<Region>,
}

/// Something that was found and cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: CxlError,
}

/// Reads what there is. What cannot be read does not hide the rest: it is told apart.
///
/// # Errors
/// [`CxlError::Refused`] if there is no CXL at all.
pub fn topology(tree: &impl Tree) -> Result<(Topology, Vec<Unreadable>), CxlError> {
    let (mut found, mut unreadable) = (Topology::default(), Vec::new());
    for name in tree.list(Path::new(DEVICES))? {
        let folder = Path::new(DEVICES).join(&name);
        let result = if numbered(&name, "mem") {
            memdev(tree, &name, &folder).map(|memdev| found.memdevs.push(memdev))
        } else if name.starts_with("decoder") {
            decoder(tree, &name, &folder).map(|decoder| found.decoders.push(decoder))
        } else if numbered(&name, "region") {
            region(tree, &name, &folder).map(|region| found.regions.push(region))
        } else {
            let port = ["port", "root", "endpoint"].iter().any(|kind| numbered(&name, kind));
            if port {
                found.ports.push(name.clone());
            }
            Ok(())
        };
        if let Err(error) = result {
            unreadable.push(Unreadable { name, error });
        }
    }
    Ok((found, unreadable))
}

fn numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind).is_some_and(|number| number.parse::<u32>().is_ok())
}

fn optional_number(tree: &impl Tree, path: &Path) -> Result<Option<u64>, CxlError> {
    match tree.read_if_there(path)? {
        None => Ok(None),
        Some(value) => match parse(&value) {
            Some(number) => Ok(Some(number)),
            None => Err(CxlError::Malformed { path: path.into(), value, expected: "a number" }),
        },
    }
}

fn memdev(tree: &impl Tree, name: &str, folder: &Path) -> Result<Memdev, CxlError> {
    let node = tree.read_if_there(&folder.join("numa_node"))?;
    Ok(Memdev {
        name: name.to_owned(),
        serial: optional_number(tree, &folder.join("serial"))?,
        firmware: tree.read_if_there(&folder.join("firmware_version"))?,
        // -1 says that there is none.
        node: node.and_then(|node| node.parse().ok()),
        volatile: tree.number(&folder.join("ram/size"))?,
        persistent: optional_number(tree, &folder.join("pmem/size"))?.unwrap_or(0),
    })
}

fn decoder(tree: &impl Tree, name: &str, folder: &Path) -> Result<Decoder, CxlError> {
    let path = folder.join("devtype");
    let value = tree.read(&path)?;
    let kind = match value.as_str() {
        "cxl_decoder_root" => DecoderKind::Root,
        "cxl_decoder_switch" => DecoderKind::Switch,
        "cxl_decoder_endpoint" => DecoderKind::Endpoint,
        _ => {
            let expected = "cxl_decoder_root, cxl_decoder_switch or cxl_decoder_endpoint";
            return Err(CxlError::Malformed { path, value, expected });
        }
    };
    let endpoint = kind == DecoderKind::Endpoint;
    let flag = |attribute| Ok(optional_number(tree, &folder.join(attribute))? == Some(1));
    Ok(Decoder {
        name: name.to_owned(),
        kind,
        start: tree.number(&folder.join("start"))?,
        size: tree.number(&folder.join("size"))?,
        locked: flag("locked")?,
        takes_volatile: flag("cap_ram")?,
        mode: if endpoint { tree.read_if_there(&folder.join("mode"))? } else { None },
        dpa_size: if endpoint { optional_number(tree, &folder.join("dpa_size"))? } else { None },
    })
}

fn region(tree: &impl Tree, name: &str, folder: &Path) -> Result<Region, CxlError> {
    let ways = tree.number(&folder.join("interleave_ways"))?;
    let targets = (0..ways).map(|n| tree.read_if_there(&folder.join(format!("target{n}"))));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    // Before there is an address, the kernel shows all ones.
    let resource = optional_number(tree, &folder.join("resource"))?;
    Ok(Region {
        name: name.to_owned(),
        size: optional_number(tree, &folder.join("size"))?.unwrap_or(0),
        resource: resource.filter(|&resource| resource != u64::MAX),
        ways,
        granularity: tree.number(&folder.join("interleave_granularity"))?,
        committed: optional_number(tree, &folder.join("commit"))? == Some(1),
        mode: tree.read_if_there(&folder.join("mode"))?,
        targets: targets.into_iter().flatten().filter(|target| !target.is_empty()).collect(),
    })
}

impl Topology {
    /// Decoders of one kind.
    pub fn decoders(&self, kind: DecoderKind) -> impl Iterator<Item = &Decoder> {
        self.decoders.iter().filter(move |decoder| decoder.kind == kind)
    }
}

/// The folder of a device on the CXL bus.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(DEVICES).join(name)
}
