//! `splitmem devices`: the memory components at PCIe and the CXL memory of this machine, and regions of
//! it.

use std::path::{Path, PathBuf};

use splitmem_abi::pcie;

use splitmem_cxl_host::linux::error::CxlError;
use splitmem_cxl_host::linux::mailbox::{Commands as _, Memory};
use splitmem_cxl_host::linux::region::{create, dax_of, destroy, Plan};
use splitmem_cxl_host::linux::topology::{topology, DecoderKind, Topology};
use splitmem_cxl_host::linux::tree::{Recorded, System, Tree};

use crate::error::CliError;
use crate::facts::Facts;
use crate::size::parse_bytes;

const AFTER_HELP: &str = "\
Without an action, lists memory components at PCIe, CXL memory devices, root decoders (windows of host
addresses) and regions.
A region is made of volatile memory; its dax device can then be mapped.

Examples:
  splitmem devices
  splitmem devices --json
  splitmem devices create --size 256MiB
  splitmem devices destroy region0";

/// List the memory components and CXL memory devices of this machine; make and destroy regions.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one flat JSON object instead of a table
    #[arg(long, global = true)]
    json: bool,
    /// List a recorded tree, lines of PATH=CONTENTS, instead of this machine's
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Make a region of volatile memory and bind it, so that a dax device appears
    Create {
        /// Bytes: a multiple of 256 MiB for each device
        #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
        size: u64,
        /// Endpoint decoders to interleave over [default: the first free one]
        #[arg(long, value_name = "DECODER")]
        target: Vec<String>,
        /// Root decoder to take host addresses from [default: the first for volatile memory]
        #[arg(long, value_name = "DECODER")]
        root: Option<String>,
    },
    /// Destroy a region, its dax device with it
    Destroy {
        /// Its name
        region: String,
    },
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CliError::Cxl`] with the file, what was written to it, the errno and what to do next;
    /// [`CliError::Read`], [`CliError::Output`].
    pub fn run(self) -> Result<(), CliError> {
        let mut facts = Facts::new();
        match (self.action, self.recorded) {
            (None, None) => list(&System, &mut facts, true)?,
            (None, Some(path)) => {
                let text = std::fs::read_to_string(&path);
                let text = text.map_err(|source| CliError::Read { path, source })?;
                list(&Recorded::new(&text), &mut facts, false)?;
            }
            (Some(_), Some(_)) => {
                let message = "a recorded tree can only be listed: leave --recorded or the action";
                return Err(CliError::Usage(message.to_owned()));
            }
            (Some(Action::Create { size, target, root }), None) => {
                let plan = Plan { root, targets: target, ..Plan::of(size) };
                let made = create(&mut System, &plan)?;
                facts.add("region", "Region", made.name, "");
                facts.add("resource", "  first address", format!("{:#x}", made.resource), "");
                facts.add("size_bytes", "  size", size, "bytes");
                let dax = made.dax.unwrap_or_else(|| "none: see the kernel's log".to_owned());
                facts.add("dax", "  dax device", dax, "");
            }
            (Some(Action::Destroy { region }), None) => {
                destroy(&mut System, &region)?;
                facts.add("destroyed", "Destroyed", region, "");
            }
        }
        facts.print(self.json)
    }
}

impl From<CxlError> for CliError {
    fn from(error: CxlError) -> Self {
        Self::Cxl(Box::new(error))
    }
}

/// Lists a tree; `live`: asks the devices too.
fn list(tree: &impl Tree, facts: &mut Facts, live: bool) -> Result<(), CliError> {
    let components = components(tree, facts);
    let (found, unreadable) = match topology(tree) {
        Ok(found) => found,
        // A machine may have the one without the other.
        Err(error) if components > 0 => {
            facts.add("cxl_error", "No CXL", first_line(&error), "");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let Topology { memdevs, regions, .. } = &found;
    facts.add("memory_devices", "Memory devices", memdevs.len() as u64, "");
    for memdev in memdevs {
        let name = &memdev.name;
        let key = |field: &str| format!("{name}_{field}");
        facts.add(key("volatile_bytes"), name.clone(), memdev.volatile, "bytes volatile");
        facts.add(key("persistent_bytes"), "  persistent", memdev.persistent, "bytes");
        if let Some(serial) = memdev.serial {
            facts.add(key("serial"), "  serial number", format!("{serial:#x}"), "");
        }
        if let Some(firmware) = &memdev.firmware {
            facts.add(key("firmware"), "  firmware", firmware.clone(), "");
        }
        if !live {
            continue;
        }
        // Health is worth having, and no reason to hide the rest: not every device tells it.
        match Memory::open(name).and_then(|mut memory| memory.health()) {
            Ok(health) => {
                let bad = health.replace || health.maintenance || health.media != 0;
                let words = if bad { "needs attention" } else { "normal" };
                facts.add(key("health"), "  health", words, "");
            }
            Err(error) => {
                facts.add(key("health"), "  health not told", first_line(&error), "");
            }
        }
    }
    for root in found.decoders(DecoderKind::Root) {
        let name = &root.name;
        let words = format!("{:#x}, {:#x} bytes", root.start, root.size);
        facts.add(name.clone(), format!("Window {name}"), words, "");
        facts.add(format!("{name}_volatile"), "  takes volatile memory", root.takes_volatile, "");
    }
    facts.add("regions", "Regions", regions.len() as u64, "");
    for region in regions {
        let name = &region.name;
        facts.add(format!("{name}_bytes"), name.clone(), region.size, "bytes");
        facts.add(format!("{name}_committed"), "  committed", region.committed, "");
        facts.add(format!("{name}_targets"), "  decoders", region.targets.join(" "), "");
        if let Some(dax) = dax_of(tree, name)? {
            facts.add(format!("{name}_dax"), "  dax device", dax, "");
        }
    }
    for broken in unreadable {
        let label = format!("{} unreadable", broken.name);
        facts.add(format!("{}_error", broken.name), label, first_line(&broken.error), "");
    }
    Ok(())
}

fn first_line(error: &CxlError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Lists the PCI devices that are memory components; gives how many there are.
fn components(tree: &impl Tree, facts: &mut Facts) -> u64 {
    let (devices, driver) =
        (Path::new("/sys/bus/pci/devices"), Path::new("/sys/bus/pci/drivers/vfio-pci"));
    let word = |address: &str, file: &str| {
        let text = tree.load(&devices.join(address).join(file)).ok()?;
        u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    };
    let ours = |address: &String| {
        word(address, "vendor") == Some(pcie::VENDOR_ID)
            && word(address, "device") == Some(pcie::DEVICE_ID)
    };
    // A machine without PCI has none.
    let found: Vec<String> =
        tree.names(devices).unwrap_or_default().into_iter().filter(ours).collect();
    let bound = tree.names(driver).unwrap_or_default();
    facts.add("memory_components", "Memory components at PCIe", found.len() as u64, "");
    for address in &found {
        let ready =
            if bound.contains(address) { "bound to vfio-pci" } else { "not bound to vfio-pci" };
        facts.add(address.clone(), format!("  {address}"), ready, "");
    }
    found.len() as u64
}
