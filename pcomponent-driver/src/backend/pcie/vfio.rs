//! A PCI device of this machine, by way of the kernel's VFIO, as a [`PcieDevice`].
//!
//! The device has to be bound to `vfio-pci`, and to have an IOMMU before it: it reaches the memory that
//! is lent to it, and no other.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pci_driver::backends::vfio::VfioPciDevice;
use pci_driver::device::PciDevice as _;
use pci_driver::regions::{OwningPciRegion, PciRegion as _, Permissions};
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use splitmem_abi::pcie::{self, Vector};

use super::shared::SharedMemory;
use super::{PcieDevice, SHARED_BYTES};
use crate::transport::TransportError;

/// Where the kernel shows PCI devices.
const DEVICES: &str = "/sys/bus/pci/devices";
/// Least address for the shared memory: what is below has had its uses.
const LEAST_ADDRESS: u64 = 1 << 20;
/// What a register reads when nobody answers.
const NOBODY: u32 = u32::MAX;

/// Why a PCI device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such device.
    #[error("there is no PCI device {0}: see 'splitmem devices' for Splitmem's")]
    Missing(String),
    /// The device is another one.
    #[error(
        "PCI device {address} is {found}, not Splitmem's {:04x}:{:04x}",
        pcie::VENDOR_ID,
        pcie::DEVICE_ID
    )]
    Other {
        /// Its address.
        address: String,
        /// Vendor and device.
        found: String,
    },
    /// Another driver has it, or none.
    #[error(
        "PCI device {address} is bound to {driver}, not to vfio-pci; as root:\n  \
         modprobe vfio-pci\n  \
         echo vfio-pci > {DEVICES}/{address}/driver_override\n  \
         echo {address} > {DEVICES}/{address}/driver/unbind    # if it has a driver\n  \
         echo {address} > /sys/bus/pci/drivers_probe"
    )]
    NotBound {
        /// Its address.
        address: String,
        /// Who has it.
        driver: String,
    },
    /// The kernel has no IOMMU group for it.
    #[error(
        "PCI device {0} has no IOMMU before it: switch it on in the firmware's setup and on the kernel's \
         command line (intel_iommu=on; AMD's is on by default)"
    )]
    NoIommu(String),
    /// The group's device file may not be opened.
    #[error("no permission for {}: be root, or give yourself the file (chown)", .0.display())]
    Permission(PathBuf),
    /// Somebody has it.
    #[error("{} is in use: another process drives the device", .0.display())]
    InUse(PathBuf),
    /// The kernel refused something.
    #[error("the kernel does not give PCI device {address}: {what}: {source}{hint}")]
    Refused {
        /// Its address.
        address: String,
        /// What was asked.
        what: &'static str,
        /// What it said.
        source: io::Error,
        /// What to do, if that is known.
        hint: &'static str,
    },
    /// The device has not what it should have.
    #[error("PCI device {address} has no {what}")]
    Lacks {
        /// Its address.
        address: String,
        /// What.
        what: &'static str,
    },
}

/// A PCI device that this process drives, and the memory lent to it.
pub struct VfioDevice {
    // The interrupt and the mapping end with it.
    device: VfioPciDevice,
    bar0: OwningPciRegion,
    shared: SharedMemory,
    address: u64,
    /// Completion entries are there.
    interrupt: OwnedFd,
}

impl VfioDevice {
    /// Takes a device by its address (`0000:03:00.0`): looks whether it is Splitmem's, lends it memory,
    /// lets it use it, and asks for its interrupts.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(address: &str) -> Result<Self, OpenError> {
        let folder = Path::new(DEVICES).join(address);
        let group = check(&folder, address)?;
        let refused = |what: &'static str, hint: &'static str| {
            let address = address.to_owned();
            move |source: io::Error| OpenError::Refused { address, what, source, hint }
        };
        let device = VfioPciDevice::open(&folder).map_err(|error| match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => OpenError::Permission(group.clone()),
            Some(libc::EBUSY) => OpenError::InUse(group.clone()),
            _ => refused("opening it", "")(error),
        })?;
        let lacks = |what| OpenError::Lacks { address: address.to_owned(), what };
        let bar0 = device.bar(0).ok_or_else(|| lacks("BAR0"))?;
        if bar0.len() != 1 << pcie::BAR0_BITS {
            return Err(lacks("BAR0 of the right size"));
        }
        if device.interrupts().msi_x().max() == 0 {
            return Err(lacks("MSI-X"));
        }
        let shared = SharedMemory::anonymous().map_err(refused("memory to share", ""))?;
        let iova = place(&device).ok_or_else(|| lacks("room in its address space for DMA"))?;
        lend(&device, iova, &shared).map_err(refused(
            "mapping memory for DMA",
            "; the limit of locked memory may be too small: see 'ulimit -l'",
        ))?;
        let interrupt = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let interrupt = interrupt.map_err(io::Error::from).map_err(refused("an eventfd", ""))?;
        let opened = Self { device, bar0, shared, address: iova, interrupt };
        opened.connect().map_err(refused("its bus mastering and interrupts", ""))?;
        Ok(opened)
    }

    /// Lets the device work: memory space, bus mastering, and the interrupt of [`Vector::Completion`].
    fn connect(&self) -> io::Result<()> {
        let config = self.device.config();
        config.command().memory_space_enable().write(true)?;
        config.command().bus_master_enable().write(true)?;
        self.device.interrupts().msi_x().enable(&[self.interrupt.as_raw_fd()])
    }

    /// Resets the device's function: its endpoint forgets everything, the component nothing. A transport
    /// over it must be started anew.
    ///
    /// # Errors
    /// [`TransportError::Gone`] with what the kernel said.
    pub fn reset(&mut self) -> Result<(), TransportError> {
        let interrupts = self.device.interrupts();
        let reset = interrupts.msi_x().disable().and_then(|()| self.device.reset());
        reset.and_then(|()| self.connect()).map_err(gone)
    }
}

const _: () = assert!(Vector::Completion as u8 == 0, "the first and only one that is enabled");

/// Whether it is ours and bound, and the device file of its IOMMU group.
fn check(folder: &Path, address: &str) -> Result<PathBuf, OpenError> {
    let word = |file: &str| {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    };
    let (Some(vendor), Some(device)) = (word("vendor"), word("device")) else {
        return Err(OpenError::Missing(address.to_owned()));
    };
    let address = address.to_owned();
    if [vendor, device] != [pcie::VENDOR_ID, pcie::DEVICE_ID] {
        return Err(OpenError::Other { address, found: format!("{vendor:04x}:{device:04x}") });
    }
    let link = |name: &str| {
        let target = fs::read_link(folder.join(name)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    };
    match link("driver") {
        Some(driver) if driver == "vfio-pci" => {}
        driver => {
            let driver = driver.unwrap_or_else(|| "no driver".to_owned());
            return Err(OpenError::NotBound { address, driver });
        }
    }
    let group = link("iommu_group").ok_or(OpenError::NoIommu(address))?;
    Ok(Path::new("/dev/vfio").join(group))
}

/// An address at which the IOMMU can show the shared memory to the device.
fn place(device: &VfioPciDevice) -> Option<u64> {
    let iommu = device.iommu();
    let step = iommu.alignment() as u64;
    iommu.valid_iova_ranges().iter().find_map(|range| {
        let start = range.start.max(LEAST_ADDRESS).next_multiple_of(step);
        (start.checked_add(SHARED_BYTES as u64)? <= range.end).then_some(start)
    })
}

#[allow(unsafe_code)]
fn lend(device: &VfioPciDevice, iova: u64, shared: &SharedMemory) -> io::Result<()> {
    // SAFETY: the mapping has that many bytes, whole pages, and is only ever used through raw pointers.
    // It is dropped after the device, with which the kernel takes the device's view of it away; the
    // kernel keeps the pages as long as the device sees them.
    unsafe { device.iommu().map(iova, SHARED_BYTES, shared.as_ptr(), Permissions::ReadWrite) }
}

impl PcieDevice for VfioDevice {
    fn name(&self) -> &'static str {
        "pci"
    }

    fn read_register(&mut self, offset: u32) -> Result<u32, TransportError> {
        self.bar0.read_le_u32(offset.into()).map_err(gone)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), TransportError> {
        self.bar0.write_le_u32(offset.into(), value).map_err(gone)
    }

    fn shared_address(&self) -> u64 {
        self.address
    }

    fn load(&self, at: usize, data: &mut [u8]) {
        self.shared.load(at, data);
    }

    fn store(&mut self, at: usize, data: &[u8]) {
        self.shared.store(at, data);
    }

    fn wait(&mut self, limit: Duration) -> Result<(), TransportError> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut waited = [PollFd::new(&self.interrupt, PollFlags::IN)];
        match poll(&mut waited, Some(&limit)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => {
                // Only what it counted is taken away; another thread cannot have been faster.
                let _ = rustix::io::read(&self.interrupt, &mut [0; 8]);
                return Ok(());
            }
            Err(error) => return Err(gone(error.into())),
        }
        // A device that is no more does not interrupt.
        match self.read_register(pcie::ENDPOINT_PAGE + u32::from(pcie::EP_ID.offset))? {
            NOBODY => Err(TransportError::Gone("it does not answer any more".to_owned())),
            _ => Ok(()),
        }
    }
}

fn gone(error: io::Error) -> TransportError {
    TransportError::Gone(format!("its PCI device: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_device_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let told = || check(folder.path(), "0000:03:00.0").map_err(|error| error.to_string());
        assert!(told().unwrap_err().contains("no PCI device 0000:03:00.0"));
        put("vendor", "0x8086\n");
        put("device", "0x5350\n");
        assert!(told().unwrap_err().contains("is 8086:5350, not Splitmem's 1234:5350"));
        put("vendor", "0x1234\n");
        assert!(told().unwrap_err().contains("bound to no driver, not to vfio-pci; as root:"));
        let driver = folder.path().join("driver");
        std::os::unix::fs::symlink("../../bus/pci/drivers/uio", &driver).unwrap();
        assert!(told().unwrap_err().contains("bound to uio, not"));
        fs::remove_file(&driver).unwrap();
        std::os::unix::fs::symlink("../../bus/pci/drivers/vfio-pci", &driver).unwrap();
        assert!(told().unwrap_err().contains("no IOMMU"));
        let group = folder.path().join("iommu_group");
        std::os::unix::fs::symlink("../../kernel/iommu_groups/7", group).unwrap();
        assert_eq!(told().unwrap(), Path::new("/dev/vfio/7"));
    }
}
