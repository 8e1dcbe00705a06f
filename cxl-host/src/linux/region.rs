//! Regions of volatile memory: created, committed, destroyed.
//!
//! The order is the kernel's (drivers/cxl/core/region.c): interleaving, size, device memory, targets,
//! commit, bind. What was done before a step that fails is taken back, last first.

use std::path::Path;

use super::error::CxlError;
use super::topology::{folder, topology, DecoderKind, Region, DEVICES};
use super::tree::Tree;

const BIND: &str = "/sys/bus/cxl/drivers/cxl_region/bind";
const UNBIND: &str = "/sys/bus/cxl/drivers/cxl_region/unbind";
const DAX_DEVICES: &str = "/sys/bus/dax/devices";
/// CXL tells capacity in these.
const UNIT: u64 = 256 << 20;

/// A region to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Bytes: a multiple of 256 MiB times the targets.
    pub size: u64,
    /// Root decoder to take host addresses from; `None` for the first that takes volatile memory.
    pub root: Option<String>,
    /// Endpoint decoders, by position; empty for the first free one.
    pub targets: Vec<String>,
    /// Bytes at one device before the next one's turn; `None` for the root decoder's.
    pub granularity: Option<u64>,
}

impl Plan {
    /// A region of one device, wherever there is room.
    pub fn of(size: u64) -> Self {
        Self { size, root: None, targets: Vec::new(), granularity: None }
    }
}

/// A region that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// `region0`.
    pub name: String,
    /// First host address.
    pub resource: u64,
    /// Its dax device (`dax0.0`), if the kernel made one.
    pub dax: Option<String>,
}

/// Makes a region and binds it to its driver, so that a dax device appears.
///
/// # Errors
/// [`CxlError`]; then all that was done is taken back.
pub fn create(tree: &mut impl Tree, plan: &Plan) -> Result<Made, CxlError> {
    let (root, targets) = choose(tree, plan)?;
    let ways = targets.len() as u64;
    if plan.size == 0 || plan.size % (UNIT * ways) != 0 {
        return Err(CxlError::Missing {
            what: format!("no region of {:#x} bytes over {ways} devices can be made", plan.size),
            hint: "choose a multiple of 256 MiB times the devices",
        });
    }
    let create = folder(&root).join("create_ram_region");
    let name = tree.read(&create)?;
    tree.write(&create, &name)?;
    let mut given = Vec::new();
    let made = build(tree, plan, &name, &root, &targets, &mut given);
    if made.is_err() {
        // The first error is the one to tell; these are attempts.
        for position in 0..targets.len() {
            let _ = tree.write(&folder(&name).join(format!("target{position}")), "\n");
        }
        for target in given.iter().rev() {
            let _ = tree.write(&folder(target).join("dpa_size"), "0");
        }
        let _ = tree.write(&folder(&root).join("delete_region"), &name);
    }
    made
}

/// The root decoder and the endpoint decoders of a plan.
fn choose(tree: &impl Tree, plan: &Plan) -> Result<(String, Vec<String>), CxlError> {
    let (found, _) = topology(tree)?;
    let root = match &plan.root {
        Some(root) => root.clone(),
        None => {
            let root = found.decoders(DecoderKind::Root).find(|root| root.takes_volatile);
            let root = root.ok_or_else(|| CxlError::Missing {
                what: "no root decoder takes volatile memory".to_owned(),
                hint:
                    "see the firmware's CXL memory windows (CEDT CFMWS), and whether cxl_acpi is \
                       loaded",
            })?;
            root.name.clone()
        }
    };
    if !plan.targets.is_empty() {
        return Ok((root, plan.targets.clone()));
    }
    let mut endpoints = found.decoders(DecoderKind::Endpoint);
    let free = endpoints.find(|decoder| decoder.size == 0 && decoder.dpa_size.unwrap_or(0) == 0);
    let free = free.ok_or_else(|| CxlError::Missing {
        what: "no endpoint decoder is free".to_owned(),
        hint: "destroy a region, or see in the kernel's log (dmesg) why cxl_mem bound no device",
    })?;
    Ok((root, vec![free.name.clone()]))
}

/// All steps after the region's creation. Decoders that got device memory go to `given`.
fn build(
    tree: &mut impl Tree,
    plan: &Plan,
    name: &str,
    root: &str,
    targets: &[String],
    given: &mut Vec<String>,
) -> Result<Made, CxlError> {
    let region = folder(name);
    let granularity = match plan.granularity {
        Some(granularity) => granularity,
        None => tree.number(&folder(root).join("interleave_granularity"))?,
    };
    let ways = targets.len() as u64;
    tree.write(&region.join("interleave_granularity"), &granularity.to_string())?;
    tree.write(&region.join("interleave_ways"), &ways.to_string())?;
    tree.write(&region.join("size"), &format!("{:#x}", plan.size))?;
    for (position, target) in targets.iter().enumerate() {
        let decoder = folder(target);
        if tree.read(&decoder.join("mode"))? != "ram" {
            tree.write(&decoder.join("dpa_size"), "0")?;
            tree.write(&decoder.join("mode"), "ram")?;
        }
        tree.write(&decoder.join("dpa_size"), &format!("{:#x}", plan.size / ways))?;
        given.push(target.clone());
        tree.write(&region.join(format!("target{position}")), target)?;
    }
    tree.write(&region.join("commit"), "1")?;
    let resource = tree.number(&region.join("resource"));
    let bound = resource.and_then(|resource| {
        bind(tree, name)?;
        Ok(Made { name: name.to_owned(), resource, dax: dax_of(tree, name)? })
    });
    if bound.is_err() {
        let _ = tree.write(&region.join("commit"), "0");
    }
    bound
}

fn bind(tree: &mut impl Tree, name: &str) -> Result<(), CxlError> {
    match tree.write(Path::new(BIND), name) {
        // The driver was quicker and has it already.
        Err(error) if error.errno() == Some(libc::EBUSY) => Ok(()),
        result => result,
    }
}

/// The dax device of a region: they have the same number.
///
/// # Errors
/// [`CxlError`].
pub fn dax_of(tree: &impl Tree, region: &str) -> Result<Option<String>, CxlError> {
    let number = region.strip_prefix("region").unwrap_or(region);
    let wanted = format!("dax{number}.");
    match tree.names(Path::new(DAX_DEVICES)) {
        Ok(names) => Ok(names.into_iter().find(|name| name.starts_with(&wanted))),
        // Without a single dax device the bus may not be there.
        Err(_) => Ok(None),
    }
}

/// Destroys a region: its dax device, its decoders, itself.
///
/// # Errors
/// [`CxlError`]; what was done until then stays done, and it can be tried again.
pub fn destroy(tree: &mut impl Tree, name: &str) -> Result<(), CxlError> {
    let (found, _) = topology(tree)?;
    let region = found.regions.iter().find(|region| region.name == name);
    let region = region.ok_or_else(|| CxlError::Missing {
        what: format!("there is no {name} in {DEVICES}"),
        hint: "see splitmem devices",
    })?;
    let root = root_of(tree, &found, region)?;
    if let Some(dax) = dax_of(tree, name)? {
        for driver in ["device_dax", "kmem"] {
            let unbind = format!("/sys/bus/dax/drivers/{driver}/unbind");
            match tree.write(Path::new(&unbind), &dax) {
                // It is the other one's, or that one is not loaded.
                Err(e) if matches!(e.errno(), Some(libc::ENODEV | libc::ENOENT)) => {}
                result => result?,
            }
        }
    }
    match tree.write(Path::new(UNBIND), name) {
        Err(e) if e.errno() == Some(libc::ENODEV) => {}
        result => result?,
    }
    let at = folder(name);
    if region.committed {
        tree.write(&at.join("commit"), "0")?;
    }
    // The highest decoder first: device memory is given and taken in order.
    for (position, target) in region.targets.iter().enumerate().rev() {
        tree.write(&at.join(format!("target{position}")), "\n")?;
        tree.write(&folder(target).join("dpa_size"), "0")?;
    }
    tree.write(&folder(&root).join("delete_region"), name)
}

/// The root decoder whose window holds the region, or the only one there is.
fn root_of(
    tree: &impl Tree,
    found: &super::topology::Topology,
    region: &Region,
) -> Result<String, CxlError> {
    let mut roots = found.decoders(DecoderKind::Root).filter(|root| {
        let deletes = folder(&root.name).join("delete_region");
        // Written only: that it is there is what counts.
        !matches!(tree.load(&deletes), Err(e) if e.kind() == std::io::ErrorKind::NotFound)
    });
    let holds = |root: &&super::topology::Decoder| match region.resource {
        Some(at) => (root.start..root.start.saturating_add(root.size)).contains(&at),
        None => true,
    };
    roots.find(holds).map(|root| root.name.clone()).ok_or_else(|| CxlError::Missing {
        what: format!("no root decoder holds {}", region.name),
        hint: "the kernel is too old for volatile regions: 6.3 or later has them",
    })
}
